"""Where an agent that runs elsewhere is taken to be: its own namespace, and those of BotKube.

Owns the guess of a doctor that is no pod. Asks for rights before it reads, so that nothing is asked
of a namespace that is somebody else's. Must not know what is judged.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from agent.doctor.asking import ask
from agent.doctor.rights import Action
from agent.state.configmap import ConfigMapStore
from agent.state.store import StateError, Stored

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from agent.doctor.verdicts import Refusal
    from agent.source.api import Client

    May = Callable[[Action], Awaitable[bool | Refusal]]


async def open_ones(namespaces: tuple[str, ...], may: May) -> tuple[str, ...]:
    """Return those in which pods may be listed, as far as is known, else the first alone."""
    listing = [Action("list", "pods", "", one, "") for one in namespaces]
    answers = await asyncio.gather(*map(may, listing))
    kept = tuple(
        one for one, answer in zip(namespaces, answers, strict=True) if answer is not False
    )
    return kept or namespaces[:1]


async def find_home(
    client: Client, namespaces: Iterable[str], installation: str, *, may: May, seconds: float
) -> str | None:
    """Return the first namespace that has the object of an installation."""
    for one in namespaces:
        if await may(Action("get", "configmaps", "", one, installation)) is False:
            continue
        try:
            found = await ask(
                ConfigMapStore(client, one, installation, is_owner=False).load(), seconds
            )
        except StateError:
            continue
        if isinstance(found, Stored) and found.version:
            return one
    return None
