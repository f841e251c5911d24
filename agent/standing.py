"""What a replica does while it waits for its turn: it looks at the switches, so that it shows them.

Owns the looks alone; who works is decided elsewhere, and whoever does reads the switches again.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from agent.source.api import ApiError, Client

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from agent.lookout import Lookout
    from agent.options import Options


async def stand(
    waiting: Coroutine[None, None, None],
    options: Options,
    lookout: Lookout,
    *,
    every_seconds: float,
) -> None:
    """Wait, and look at the cluster's switches meanwhile."""
    looking = asyncio.create_task(_look(options, lookout, every_seconds), name="switches")
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
    every_seconds: float,
) -> None:
    # A client of its own: these requests must not delay what is waited for.
    async with Client(options.access, f"botkube-analytics/{options.agent_version}") as client:
        while True:
            with suppress(ApiError):  # The last answer stands: nothing is read or sent here.
                await lookout.look(client, options, limit_seconds=every_seconds)
            await asyncio.sleep(every_seconds)
