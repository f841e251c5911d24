"""Kept reports -> counts of the last 24 hours by event, in hours. Pure.

An hour of which no report is kept is no zero, so it is told apart.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import field, frozen

from agent.ledger.entries import Answer

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agent.ledger.entries import Entry

HOURS = 24
HOUR_SECONDS = 3600


@frozen
class Day:
    """One event's counts by hour, oldest first: what was delivered, and what was not (yet)."""

    event: str
    delivered: list[int] = field(factory=lambda: [0] * HOURS)
    others: list[int] = field(factory=lambda: [0] * HOURS)

    @property
    def total(self) -> int:
        """All that was counted."""
        return sum(self.delivered) + sum(self.others)

    @property
    def highest(self) -> int:
        """The highest count of an hour."""
        return max(map(sum, zip(self.delivered, self.others, strict=True)))


def first_hour(now_seconds: int) -> int:
    """Return when the first of the hours begins; the last one is that of now."""
    return now_seconds - now_seconds % HOUR_SECONDS - (HOURS - 1) * HOUR_SECONDS


def last_day(entries: Iterable[Entry], *, now_seconds: int) -> tuple[Day, ...]:
    """Return the counts of every event that was counted, by the hours in which windows begin."""
    days: dict[str, Day] = {}
    for entry in entries:
        hour = _hour(entry.summary.start_seconds, now_seconds)
        if hour is None:
            continue
        for event, count in entry.summary.counts.items():
            day = days.setdefault(event, Day(event))
            is_delivered = entry.answer is Answer.DELIVERED
            (day.delivered if is_delivered else day.others)[hour] += count
    return tuple(days[event] for event in sorted(days))


def reported(entries: Iterable[Entry], *, now_seconds: int) -> list[bool]:
    """Return for each hour whether a report of it is kept."""
    found = [False] * HOURS
    for entry in entries:
        start, end = entry.summary.start_seconds, entry.summary.end_seconds
        for at in range(start, end, HOUR_SECONDS):
            hour = _hour(at, now_seconds)
            if hour is not None:
                found[hour] = True
    return found


def _hour(at_seconds: int, now_seconds: int) -> int | None:
    hour = (at_seconds - first_hour(now_seconds)) // HOUR_SECONDS
    return hour if 0 <= hour < HOURS else None
