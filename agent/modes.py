"""Off, local or on: one pure function of all switches.

Any switch that says off wins; without a write key the agent collects and shows but sends nothing.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from attrs import frozen

if TYPE_CHECKING:
    from collections.abc import Iterable


class Mode(StrEnum):
    """What the agent does: nothing, collect and show, or also send."""

    OFF = "off"
    LOCAL = "local"
    ON = "on"


class Switch(Protocol):
    """A switch by its name, the value found and whether that turns the agent off."""

    @property
    def name(self) -> str:
        """Where the switch stands: a variable, a setting."""

    @property
    def value(self) -> str:
        """What was found there, in words for a person."""

    @property
    def is_off(self) -> bool:
        """Whether its value turns the agent off."""


@frozen
class Decision:
    """The mode, and what decided it in words for a person."""

    mode: Mode
    why: str


def decide(switches: Iterable[Switch], *, has_destination: bool) -> Decision:
    """Return the mode. Any off wins, then a destination whose key is missing."""
    for switch in switches:
        if switch.is_off:
            return Decision(Mode.OFF, f"{switch.name} is {switch.value}")
    if not has_destination:
        return Decision(Mode.LOCAL, "no write key is set (destination.write_key)")
    return Decision(Mode.ON, "a destination is set and no switch says off")
