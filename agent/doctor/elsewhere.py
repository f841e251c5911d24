"""Where an agent that runs elsewhere is taken to be: its own namespace, and those of BotKube.

Owns the guess of a doctor that is no pod. Asks for rights before it reads, so that nothing is asked
of a namespace that is somebody else's. Must not know what is judged.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from attrs import frozen

from agent.doctor.asking import ask
from agent.doctor.rights import Action
from agent.state.configmap import ConfigMapStore
from agent.state.store import StateError, Stored

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

    from agent.doctor.verdicts import Refusal
    from agent.source.api import Client

    May = Callable[[Action], Awaitable[bool | Refusal]]


@frozen
class Home:
    """Where an installation was found, if anywhere, and the namespaces that could not be seen."""

    namespace: str | None
    unseen: frozenset[str]

    def guess(self, namespaces: Sequence[str], open_: Sequence[str]) -> str:
        """Return where it was found, else where it may be: where pods may be listed, if anywhere.

        Best where it could not be looked for: so it is told which right is missing there.
        """
        may_be = [one for one in namespaces if one in open_]
        hidden = [one for one in may_be if one in self.unseen]
        return self.namespace or [*hidden, *may_be, *namespaces][0]


async def open_ones(
    namespaces: tuple[str, ...], may: May, *, home: str | None = None
) -> tuple[str, ...]:
    """Return those in which pods may be listed, as far as is known, else one: `home`, or the first.

    `home` is where the agent was found.
    """
    listing = [Action("list", "pods", "", one, "") for one in namespaces]
    answers = await asyncio.gather(*map(may, listing))
    kept = tuple(
        one for one, answer in zip(namespaces, answers, strict=True) if answer is not False
    )
    return kept or ((home,) if home in namespaces else namespaces[:1])


async def find_home(
    client: Client, namespaces: Iterable[str], installation: str, *, may: May, seconds: float
) -> Home:
    """Look for the first namespace with an installation; one that is empty was switched off."""
    empty: str | None = None
    unseen: set[str] = set()
    for one in namespaces:
        if await may(Action("get", "configmaps", "", one, installation)) is False:
            unseen.add(one)
            continue
        store = ConfigMapStore(client, one, installation, is_owner=False)
        try:
            found = await ask(store.load(), seconds)
        except StateError:
            found = None
        if not isinstance(found, Stored):
            unseen.add(one)
        elif found.data is not None:
            return Home(one, frozenset())
        elif found.version and empty is None:
            empty = one
    return Home(empty, frozenset(unseen))
