"""What a replica does while it waits for its turn: it looks at the switches, so that it shows them.

Owns the looks alone, and that an off is known to who works next, whatever the switches say by then;
who that is is decided elsewhere.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from agent.obey import note_owed
from agent.source.api import ApiError, Client
from agent.state.store import StateError
from agent.stores import stores_of

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from agent.lookout import Lookout
    from agent.options import Options


async def stand(
    waiting: Coroutine[None, None, None],
    options: Options,
    lookout: Lookout,
    *,
    clock: Callable[[], float],
    every_seconds: float,
) -> None:
    """Wait, and look at the cluster's switches meanwhile."""
    looking = asyncio.create_task(_look(options, lookout, clock, every_seconds), name="switches")
    try:
        await waiting
    finally:
        looking.cancel()
        await asyncio.wait({looking})
    if not looking.cancelled():
        looking.result()


async def _look(
    options: Options,
    lookout: Lookout,
    clock: Callable[[], float],
    every_seconds: float,
) -> None:
    # A client of its own: these requests must not delay what is waited for.
    async with Client(options.access, f"botkube-analytics/{options.agent_version}") as client:
        _, installation = stores_of(options, client)
        while True:
            # The last answer stands, and what is owed stays so: nothing is read or sent here.
            with suppress(ApiError, StateError):
                now = int(clock())
                await lookout.look(client, options, now_seconds=now, limit_seconds=every_seconds)
                if lookout.owed_since is not None:
                    await note_owed(lookout, installation)
            await asyncio.sleep(every_seconds)
