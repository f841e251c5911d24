"""Rows of which numbers are withheld: what is few, and how a row is blanked. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any, TypeVar

from attrs import evolve

from agent.statistics.answers import WITHHELD, Row, Told, numbers

AnyRow = TypeVar("AnyRow", bound=Row)


def is_few(value: Told, least: int) -> bool:
    """Whether a number is of few, but not of nobody."""
    return isinstance(value, int | float) and 0 < value < least


def leaves_few(value: Told, of: Told, least: int) -> bool:
    """Whether a number is of all but few: whoever knows both, knows of how few it is not.

    Where it is withheld of how many, the number may be that.
    """
    return of is WITHHELD or is_few(whole(of) - whole(value), least)


def are_few_apart(one: Told, other: Told, least: int) -> bool:
    """Whether either number is of all but few of the other."""
    return leaves_few(one, other, least) or leaves_few(other, one, least)


def whole(value: Told) -> int:
    """Return a number as a whole one; zero if there is none."""
    return round(value) if isinstance(value, int | float) else 0


def blank(row: AnyRow) -> AnyRow:
    """Return a row of which nothing is told but what it is about."""
    kept = {"installations_all", "is_whole"}
    names = (*numbers(type(row)), *(name for name in row.SHARED if name not in kept))
    return changed(row, dict.fromkeys(names, WITHHELD))


def changed(row: AnyRow, told: Mapping[str, Any]) -> AnyRow:
    """Return a row with other numbers."""
    return evolve(row, **told)


def by_week(rows: Iterable[AnyRow]) -> Mapping[date, list[AnyRow]]:
    """Return rows by their week."""
    found: defaultdict[date, list[AnyRow]] = defaultdict(list)
    for one in rows:
        found[one.week].append(one)
    return found
