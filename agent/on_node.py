"""As a DaemonSet: runs the pipeline while BotKube is on this node, and waits for it otherwise.

Owns when a replica begins and ends to work; which slot of State it takes is `slots`' matter. A
replica that waits has looked at the slots once, and opens one watch for each selection.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from agent.beginning import stores_of, unless
from agent.pipeline import run
from agent.slots import Node, is_unfinished
from agent.source.api import Client
from agent.source.discovery import Pods, Selection, watch

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.ledger.ledger import Ledger
    from agent.options import Options, World
    from agent.pipeline import Pipeline
    from agent.rules import RuleSet
    from agent.sink.deliver import Send
    from agent.source.switches import ClusterSwitch

log = logging.getLogger(__name__)


async def run_on_node(
    options: Options,
    ruleset: Callable[[], RuleSet],
    world: World,
    *,
    send: Send | None,
    started: Callable[[Pipeline], None],
    stand_by: Callable[[], None],
    lead: Callable[[], None],
    stop: asyncio.Event,
    ledger: Ledger,
    standing_since: float,
    switched: Callable[[tuple[ClusterSwitch, ...]], None] = lambda _found: None,
) -> None:
    """Run the pipeline whenever a pod of BotKube is on this node, until `stop` is set.

    Raises what `run` raises.
    """
    agent = f"botkube-analytics/{options.agent_version}"
    while not stop.is_set():
        async with AsyncExitStack() as stack:
            client = await unless(stop, stack.enter_async_context(Client(options.access, agent)))
            if client is None:
                return
            stand_by()
            log.info("waiting for BotKube on this node")
            await unless(stop, _has_work(client, options, world))
        if stop.is_set():
            return
        lead()
        await run(
            options,
            ruleset(),
            world,
            send=send,
            started=started,
            stop=stop,
            ledger=ledger,
            switched=switched,
            standing_since=standing_since,
        )


async def _has_work(client: Client, options: Options, world: World) -> None:
    """Wait until there is something to do: what an earlier process left, or a pod."""
    stores, _ = stores_of(options, client)
    node = Node(options.node or "", {})
    if not await is_unfinished(stores, node, now_seconds=int(world.clock())):
        await _first_pod(client, options, world)


async def _first_pod(client: Client, options: Options, world: World) -> None:
    """Wait until a pod of BotKube is on this node."""
    found = asyncio.Event()
    pods = Pods(lambda _pod: found.set(), lambda _uid: None)
    async with asyncio.TaskGroup() as group:
        watching = [
            group.create_task(
                watch(
                    client,
                    Selection(namespace, selector, options.containers, options.node),
                    pods,
                    random=world.random,
                    listed=lambda _error: None,
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
