"""With several replicas: the one that holds the lease runs the pipeline, the others stand by.

Owns what follows from the lease, and nothing of how it is had: leading and renewing are one group
of tasks, so that neither goes on without the other, and however a term of leading ends, the lease
is released last. What a term held in memory is dropped with it; the next one, here or elsewhere,
begins at the last commit.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from agent.beginning import unless
from agent.source.api import Client
from agent.standing import stand
from agent.state.lease import Lease, LeaseLost
from agent.state.store import Conflict

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from agent.lookout import Lookout
    from agent.options import Options, World

log = logging.getLogger(__name__)


async def run_elected(
    options: Options,
    world: World,
    term: Callable[[Callable[[], None]], Coroutine[None, None, None]],
    *,
    stand_by: Callable[[], None],
    lead: Callable[[], None],
    stop: asyncio.Event,
    lookout: Lookout,
    is_again: bool = False,
) -> None:
    """Let a term run whenever this process holds the lease, until `stop` is set.

    A term is a run of the pipeline, given the check that raises once the lease is lost. Raises what
    a term raises, the lease being released, except for what another replica causes. `is_again` says
    that the last turn came to nothing, so that the next one is no news.
    """
    assert options.lease_name is not None
    agent = f"botkube-analytics/{options.agent_version}"
    # A client of its own: whatever keeps the pipeline's connections busy must not cost the lease.
    async with AsyncExitStack() as stack:
        opening = stack.enter_async_context(Client(options.access, agent))
        client = await unless(stop, opening)
        if client is None:
            return
        lease = Lease(
            client,
            options.state_namespace,
            options.lease_name,
            str(world.new_uuid()),
            world.monotonic,
            world.clock,
            world.random,
            options.lease_times,
        )
        stand_by()
        while not stop.is_set():
            if not is_again:
                log.info("standing by")
            try:
                every = options.pace.switches
                waiting = stand(
                    lease.acquire(), options, lookout, clock=world.clock, every_seconds=every
                )
                await unless(stop, waiting)
                if not stop.is_set():
                    lead()
                    if not is_again:
                        log.info("leading")
                    await _serve(lease, term(lease.check))
            except LeaseLost as error:
                log.warning("lease was lost", extra={"why": str(error)})
            except Conflict as error:
                # Nobody but the holder should have written: let whoever did so go on.
                log.warning("lease was lost", extra={"why": str(error)})
                await unless(stop, asyncio.sleep(options.lease_times.retry))
            finally:
                stand_by()
                await lease.release()
            is_again = False


async def _serve(lease: Lease, term: Coroutine[None, None, None]) -> None:
    """Work for as long as the lease is held. Raises why that ended before the work did."""
    try:
        async with asyncio.TaskGroup() as group:
            holding = group.create_task(lease.hold(), name="lease")
            await term
            holding.cancel()
    except ExceptionGroup as ended:
        raise _why(ended) from ended


def _why(ended: ExceptionGroup[Exception]) -> Exception:
    """Return the one exception that tells what a term's end was: a fault of ours before others'."""
    _, faults = ended.split((LeaseLost, Conflict))
    if faults is not None:
        only = faults.exceptions[0]
        # What a beginning fails with is no fault of a task, and is raised as `run` raises it.
        is_beginning = len(faults.exceptions) == 1 and not isinstance(only, ExceptionGroup)
        return only if is_beginning else faults
    lost = ended.subgroup(LeaseLost) or ended
    while isinstance(lost.exceptions[0], ExceptionGroup):
        lost = lost.exceptions[0]
    return lost.exceptions[0]
