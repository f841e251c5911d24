"""The looks of this process at the cluster's switches, over all its runs.

Owns what must not be forgotten from one look to the next: a switch that said off and of which
nobody can say now what it says, and an off that does not stand in State yet. Must not know State,
nor what is read or sent.
"""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING

from attrs import define, evolve, field

from agent.source.switches import NO_POD, NOT_READABLE, read_switches

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.options import Options
    from agent.source.api import Client
    from agent.source.switches import ClusterSwitch

SWITCHES_SECONDS = 25.0
"""How long a look at the switches may take. With `Pace.switches` from the beginning of one to that
of the next, an off stops reading within a minute, however slow the answers are."""

SILENT = frozenset({NOT_READABLE, NO_POD})
"""What a switch says of which nobody knows now whether it would say off."""


@define(eq=False)
class Lookout:
    """What the switches said; `told` hears of it whenever they were read.

    `begun` is when the last look began, by the loop's clock; `owed_since` is since when one said
    off, as long as State is not known to say so, too, and `noted` is when that was noted in the
    installation, as it says; `unreadable` are those that may not be read.
    """

    told: Callable[[tuple[ClusterSwitch, ...]], None] = lambda _found: None
    begun: float = field(default=-math.inf, init=False)
    owed_since: int | None = field(default=None, init=False)
    noted: int | None = field(default=None, init=False)
    unreadable: tuple[ClusterSwitch, ...] = field(default=(), init=False)
    _off: frozenset[str] = field(default=frozenset(), init=False)

    async def look(
        self,
        client: Client,
        options: Options,
        *,
        now_seconds: int,
        limit_seconds: float | None = None,
    ) -> bool:
        """Read the switches, and return whether one says off. Raises `ApiError`.

        Whoever sees it owes it: that it is written to State, whatever the switches say by then. One
        that is only remembered was paid, or still is owed.
        """
        self.begun = asyncio.get_running_loop().time()
        read = await read_switches(
            client,
            options.namespaces,
            options.deployments,
            options.selectors,
            limit_seconds=SWITCHES_SECONDS if limit_seconds is None else limit_seconds,
        )
        found = tuple(map(self._remember, read))
        self._off = frozenset(one.name for one in found if one.is_off)
        self.unreadable = tuple(one for one in found if one.value == NOT_READABLE)
        if any(one.is_off for one in read) and self.owed_since is None:
            self.owed_since = now_seconds
        self.told(found)
        return bool(self._off)

    def _remember(self, one: ClusterSwitch) -> ClusterSwitch:
        # Taking a right away takes no off back, nor does scaling BotKube to zero.
        if one.value in SILENT and one.name in self._off:
            return evolve(one, value=was_off(one.value), is_off=True)
        return one

    def pay(self) -> None:
        """Note that State says so, or that somebody has obeyed who has taken it back."""
        self.owed_since = self.noted = None


def was_off(value: str) -> str:
    """Say of a switch that is silent now that it said off."""
    return f"{value} now, and said off"
