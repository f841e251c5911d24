"""What was read of the sources of a report, and what could not be. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from attrs import define, field

MAX_FAULTS = 1000
Tables: TypeAlias = Mapping[str, Mapping[str, str]]
"""Columns of tables, with their types."""


@define
class Loaded:
    """What was read, and what could not be: `path:line: why`, the first of them all."""

    events: int = 0
    others: int = 0
    faults: list[str] = field(factory=list)
    more_faults: int = 0
    ahead: int = 0
    """How many were of windows that have not been yet, by a clock that is wrong."""

    foreign: int = 0
    """How many had a number, a word or a time that no window has, so that no model reads them."""

    has_reports: bool = True
    """Whether a Collection report was among them, without which little is known."""

    def note(self, fault: str) -> None:
        """Keep a fault, or count it."""
        if len(self.faults) < MAX_FAULTS:
            self.faults.append(fault)
        else:
            self.more_faults += 1
