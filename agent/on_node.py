"""As a DaemonSet: runs the pipeline while BotKube is on this node, and waits for it otherwise.

Owns when a replica begins and ends to work; which slot of State it takes is `slots`' matter. A
replica that waits has looked at the slots once, opens one watch for each selection, and looks at
the switches now and then.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import AsyncExitStack
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING

from agent.beginning import unless
from agent.slots import Node, is_unfinished
from agent.source.api import Client
from agent.source.discovery import Pods, Selection, tell_listed, watch
from agent.standing import stand
from agent.stores import stores_of

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from agent.lookout import Lookout
    from agent.options import Options, World
    from agent.source.api import ApiError
    from agent.source.discovery import Pod

log = logging.getLogger(__name__)

STANDING_LOOKS = 10
"""A replica on each of many nodes shall not ask the API server as often as one that reads; it takes
so many times as long from one look at the switches to the next."""


async def run_on_node(
    options: Options,
    world: World,
    term: Callable[[], Coroutine[None, None, None]],
    *,
    stand_by: Callable[[], None],
    lead: Callable[[], None],
    none_here: Callable[[], None],
    answers: dict[str, int],
    stop: asyncio.Event,
    lookout: Lookout,
    is_again: bool = False,
) -> None:
    """Let a term, a run of the pipeline, follow each pod of BotKube on this node, until `stop`.

    `none_here` hears that there was none when all were listed; `answers` are the statuses of the
    lists by namespace, as this replica saw them while it waited. Raises what a term raises.
    `is_again` says that the last turn came to nothing, so that waiting for the next is no news.
    """
    agent = f"botkube-analytics/{options.agent_version}"
    while not stop.is_set():
        async with AsyncExitStack() as stack:
            client = await unless(stop, stack.enter_async_context(Client(options.access, agent)))
            if client is None:
                return
            stand_by()
            if not is_again:
                log.info("waiting for BotKube on this node")
            every = options.pace.switches * STANDING_LOOKS
            waiting = _has_work(client, options, world, none_here, answers)
            waiting = stand(waiting, options, lookout, clock=world.clock, every_seconds=every)
            await unless(stop, waiting)
        if stop.is_set():
            return
        lead()
        await term()
        is_again = False


async def _has_work(
    client: Client,
    options: Options,
    world: World,
    none_here: Callable[[], None],
    answers: dict[str, int],
) -> None:
    """Wait until there is something to do: what an earlier process left, or a pod."""
    stores, _ = stores_of(options, client)
    node = Node(options.node or "", {})
    if not await is_unfinished(stores, node, now_seconds=int(world.clock())):
        await _first_pod(client, options, world, none_here, answers)


async def _first_pod(
    client: Client,
    options: Options,
    world: World,
    none_here: Callable[[], None],
    answers: dict[str, int],
) -> None:
    """Wait until a pod of BotKube is on this node, and not only what is left of one."""
    found = asyncio.Event()
    unlisted = {(one, selector) for one in options.namespaces for selector in options.selectors}

    def changed(pod: Pod) -> None:
        if not pod.is_finished:
            found.set()

    def listed(namespace: str, selector: str, error: ApiError | None) -> None:
        if error is None or error.status in {HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND}:
            unlisted.discard((namespace, selector))
        if not unlisted and not found.is_set():
            none_here()
        if error is not None or namespace in answers:
            # That all is well is said by the pipeline; here only that it is again.
            tell_listed(answers, namespace, error)

    pods = Pods(changed, lambda _uid: None)
    async with asyncio.TaskGroup() as group:
        watching = [
            group.create_task(
                watch(
                    client,
                    Selection(namespace, selector, options.containers, options.node),
                    pods,
                    random=world.random,
                    listed=partial(listed, namespace, selector),
                    may_not_watch=lambda: None,
                ),
                name="watch",
            )
            for namespace in options.namespaces
            for selector in options.selectors
        ]
        await found.wait()
        for task in watching:
            task.cancel()
