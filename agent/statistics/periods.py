"""Which weeks are compared, and how a number is put beside another. Pure.

A week is whole if the data begin before it and end after it. The last whole one is compared with
the one before.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from typing import Any, TypeVar

from attrs import evolve, field, frozen

from agent.statistics.answers import WITHHELD, Row, Told
from agent.statistics.shown import Shown, is_known

WEEK = timedelta(days=7)
MAX_WEEKS = 13
FEW = 30
"""Of fewer installations a share says little."""
OBSERVED = 0.9
"""Of less of its time observed, a week is marked."""

AnyRow = TypeVar("AnyRow", bound=Row)


@frozen
class Period:
    """The weeks of a report, oldest first; `this` is compared with `before`, if that is told.

    In an `empty` one nobody was active: all was lost, or there is nobody.
    """

    weeks: Sequence[date]
    this: date
    before: date | None
    whole: frozenset[date]
    observed: Mapping[date, float] = field(factory=dict)
    empty: frozenset[date] = frozenset()

    @property
    def doubtful(self) -> frozenset[date]:
        """The weeks that are not whole, or of which too little was observed."""
        return frozenset(one for one in self.weeks if self.why(one))

    def _is_observed(self, week: date) -> bool:
        return self.observed.get(week, 1.0) >= OBSERVED

    def why(self, week: date) -> str:
        """Return in words what is wrong with a week."""
        if week in self.empty:
            return "nobody reported"
        if week not in self.whole:
            return "not whole"
        if not self._is_observed(week):
            return f"{percent(self.observed[week])} observed"
        return ""


def period_of(shown: Shown) -> Period | None:
    """Return the weeks to be shown; None if there are none."""
    weeks = sorted({one.week for one in shown.active_installations})
    if not weeks:
        return None
    whole = frozenset(
        one.week for one in shown.completeness if one.is_complete or one.is_whole is True
    )
    empty = frozenset(one.week for one in shown.active_installations if one.installations == 0)
    this = max((one for one in weeks if one in whole - empty), default=weeks[-1])
    first, before = this - (MAX_WEEKS - 1) * WEEK, this - WEEK
    observed = {
        one.week: one.share
        for one in shown.completeness
        if one.reason == "observed" and isinstance(one.share, int | float)
    }
    last = weeks[-1]
    span = range((last - max(first, weeks[0])).days // 7 + 1)
    every = [max(first, weeks[0]) + number * WEEK for number in span]
    return Period(every, this, before if before in weeks else None, whole, observed, empty)


def of_week(rows: Iterable[AnyRow], week: date | None) -> list[AnyRow]:
    """Return the rows of a week."""
    return [one for one in rows if one.week == week]


def series(
    rows: Iterable[AnyRow], weeks: Sequence[date], name: str
) -> Mapping[tuple[str, ...], list[Told]]:
    """Return a number of each key by week; None where it has none."""
    found: dict[tuple[str, ...], list[Told]] = {}
    at = {week: number for number, week in enumerate(weeks)}
    for one in rows:
        if one.week in at:
            values = found.setdefault(one.key, [None] * len(weeks))
            values[at[one.week]] = getattr(one, name)
    return found


def of_known(rows: Iterable[AnyRow]) -> list[AnyRow]:
    """Return the rows of which is known what they are about, their shares those of all such."""
    found: list[AnyRow] = []
    every = list(rows)
    for week in dict.fromkeys(one.week for one in every):
        those = of_week(every, week)
        everyone: Told = getattr(those[0], "installations_all", None)
        known = figure(everyone) - not_known(those)
        for one in those:
            if is_known(one) and is_number(one.installations) and known > 0:
                share: dict[str, Any] = {"share": figure(one.installations) / known}
                found.append(evolve(one, **share))
            elif is_known(one):
                found.append(one)
    return found


def not_known(rows: Iterable[Row]) -> int:
    """Return of how many it is told that nothing is known of them."""
    return sum(int(figure(one.installations)) for one in rows if not is_known(one))


def by_key(rows: Iterable[AnyRow]) -> Mapping[tuple[str, ...], AnyRow]:
    """Return rows of one week by what they are about."""
    return {one.key: one for one in rows}


# --- numbers in words -----------------------------------------------------------------------------


def is_number(value: Told) -> bool:
    """Whether it is told and there is one."""
    return isinstance(value, int | float)


def figure(value: Told) -> float:
    """Return a number that is told; zero for any that is not."""
    return value if isinstance(value, int | float) else 0.0


def number(value: Told) -> str:
    """Return a number as text."""
    if value is WITHHELD:
        return "withheld"
    if value is None:
        return "–"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:,.2f}" if value < 10 else f"{value:,.0f}"  # noqa: PLR2004 digits that matter


def percent(value: Told) -> str:
    """Return a share as text."""
    if not isinstance(value, int | float):
        return number(value)
    if 0 < value < 0.0001:  # noqa: PLR2004 what would round to nothing
        return "under 0.01 %"
    return f"{100 * value:.{2 if 0 < value < 0.01 else 1}f} %"  # noqa: PLR2004 as above


def change(now: Told, before: Told) -> str:
    """Return how a share has changed, in points."""
    if not (isinstance(now, int | float) and isinstance(before, int | float)):
        return "–"
    points = round(100 * (now - before), 1)
    return f"{points:+.1f}" if points else "0.0"


def version_order(text: str) -> tuple[int, tuple[int, ...], str]:
    """Sort versions by their numbers, and the words that stand for others after them."""
    parts = text.removeprefix("v").split(".")
    if all(one.isdecimal() for one in parts):
        return 0, tuple(map(int, parts)), text
    return 1, (), text


def or_older(rows: Sequence[Row], everyone: Told) -> list[tuple[float, float] | None]:
    """Return for each row, oldest first, between which shares it and all older ones are.

    It is made of what is told alone: of what is withheld, each row has one at least, and all
    together have what the others leave of everyone. Shares are of those of which it is known.
    """
    known = int(figure(everyone)) - not_known(rows)
    if not isinstance(everyone, int) or known <= 0:
        return [None] * len(rows)
    hidden = sum(one.installations is WITHHELD for one in rows)
    rest = everyone - sum(int(figure(one.installations)) for one in rows)
    found: list[tuple[float, float] | None] = []
    told = older = 0
    for one in rows:
        told += int(figure(one.installations))
        older += one.installations is WITHHELD
        least = told + (rest if older == hidden else older)
        most = told + (rest - (hidden - older) if older else 0)
        is_named = version_order(one.key[0])[0] == 0
        found.append((least / known, most / known) if is_named else None)
    return found


def between(bounds: tuple[float, float] | None) -> str:
    """Return two shares as text, or one if they are the same."""
    if bounds is None:
        return "–"
    low, high = map(percent, bounds)
    return low if low == high else f"{low.removesuffix(' %')} to {high}"
