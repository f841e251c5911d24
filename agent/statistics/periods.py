"""Which weeks are compared, and how a number is put beside another. Pure.

A week is whole if the data begin before it and end after it. The last whole one is compared with
the one before.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from typing import Any, TypeVar

from attrs import evolve, field, frozen

from agent.statistics.answers import WITHHELD, Completeness, Row, Told
from agent.statistics.shown import OR_OLDER, Shown, is_known

WEEK = timedelta(days=7)
MAX_WEEKS = 13
FEW = 30
"""Of fewer installations a share says little."""
OBSERVED = 0.9
"""Of less of its time observed, a week is marked."""
ALWAYS = (
    "version_adoption",
    "kubernetes_minors",
    "distributions",
    "kubernetes_adoption",
    "version_by_minor",
    "crashes",
    "completeness",
)
"""Tables with rows of every week in which somebody reported: one without is withheld as a whole."""

DROPPABLE = 0.2
"""Of more installations nobody drops a version."""
_FRACTION = 1e-9
"""By less a share that was added up can be beside all."""

AnyRow = TypeVar("AnyRow", bound=Row)


@frozen
class Period:
    """The weeks of a report, oldest first; `this` is compared with `before`, if that is told.

    In an `empty` one nobody was active: all was lost, or there is nobody. Of one that is `withheld`
    nothing is told, for it would be told of few.
    """

    weeks: Sequence[date]
    this: date
    before: date | None
    whole: frozenset[date]
    observed: Mapping[date, Told] = field(factory=dict)
    empty: frozenset[date] = frozenset()
    withheld: frozenset[date] = frozenset()
    held_back: frozenset[date] = frozenset()
    """In which an operator lets something go unsent."""

    @property
    def doubtful(self) -> frozenset[date]:
        """The weeks that are not whole, or of which too little was observed."""
        return frozenset(one for one in self.weeks if self.why(one)) - self.withheld

    def _is_observed(self, week: date) -> bool:
        share = self.observed.get(week)
        return not is_number(share) or figure(share) >= OBSERVED

    def is_left_out(self, table: str, rows: Iterable[Row], week: date) -> bool:
        """Whether a table is withheld of a week as a whole: it has no rows, and should have."""
        is_due = week in self.withheld or (table in ALWAYS and week not in self.empty)
        return is_due and not of_week(rows, week)

    def why(self, week: date) -> str:
        """Return in words what is wrong with a week."""
        if week in self.withheld:
            return "withheld"
        if week in self.empty:
            return "nobody reported"
        if week not in self.whole:
            return "not whole"
        if not self._is_observed(week):
            return f"{percent(self.observed.get(week))} observed"
        return ""

    def note(self, week: date) -> str:
        """Return in words what is wrong with a week, or that nobody may be told."""
        is_told = self.observed.get(week) is not WITHHELD
        return self.why(week) or ("" if is_told else "how much was observed is withheld")


def period_of(shown: Shown) -> Period | None:
    """Return the weeks to be shown; None if there are none."""
    weeks = sorted({one.week for one in shown.active_installations})
    if not weeks:
        return None
    active = shown.active_installations
    whole = whole_weeks(weeks, shown.completeness)
    empty = frozenset(one.week for one in active if one.installations == 0)
    withheld = frozenset(one.week for one in active if one.installations is WITHHELD)
    over = whole.intersection(weeks) - empty
    this = max(over - withheld or over or weeks[-1:])
    first, before = this - (MAX_WEEKS - 1) * WEEK, this - WEEK
    observed = {one.week: one.share for one in shown.completeness if one.reason == "observed"}
    last = weeks[-1]
    span = range((last - max(first, weeks[0])).days // 7 + 1)
    every = [max(first, weeks[0]) + number * WEEK for number in span]
    before_it = before if before in weeks else None
    held_back = frozenset(one.week for one in shown.completeness if one.reason == "withheld")
    return Period(every, this, before_it, whole, observed, empty, withheld, held_back)


def whole_weeks(weeks: Sequence[date], completeness: Iterable[Completeness]) -> frozenset[date]:
    """Return those of the weeks, oldest first, of which the data have every day."""
    rows = tuple(completeness)
    told = {one.week for one in rows}
    # Between the ends there are only whole ones.
    return frozenset(one.week for one in rows if one.is_complete or one.is_whole is True) | {
        one for one in weeks[1:-1] if one not in told
    }


def left_out(shown: Shown) -> Mapping[str, Sequence[date]]:
    """Return of which weeks a table is withheld as a whole, and `everything` is."""
    weeks = [one.week for one in shown.active_installations if figure(one.installations)]
    every = [one.week for one in shown.active_installations if one.installations is WITHHELD]
    found = {"everything": every} if every else {}
    for name in ALWAYS:
        told = {one.week for one in getattr(shown, name)}
        if missing := [week for week in weeks if week not in told]:
            found[name] = missing
    return found


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


def of_known(rows: Iterable[AnyRow], like: Iterable[Row] = ()) -> list[AnyRow]:
    """Return the rows of which is known what they are about, with shares that can be compared.

    They are of those of which it is known. Where it is withheld how many these are, in a week that
    they are to be `like`, they are of all; in another week there are none, then.
    """
    found: list[AnyRow] = []
    every = list(rows)
    is_of_all = hides_unknown(like)
    for week in dict.fromkeys(one.week for one in every):
        those = of_week(every, week)
        everyone: Told = getattr(those[0], "installations_all", None)
        of = figure(everyone) - (0 if is_of_all else not_known(those))
        is_hidden = hides_unknown(those) and not is_of_all
        for one in those:
            if is_known(one) and is_number(one.installations) and (of > 0 or is_hidden):
                share: Told = WITHHELD if is_hidden else figure(one.installations) / of
                more: dict[str, Any] = {"share": share}
                found.append(evolve(one, **more))
            elif is_known(one):
                found.append(one)
    return found


def with_absent(rows: Sequence[AnyRow], others: Iterable[AnyRow]) -> list[AnyRow]:
    """Return the rows of a week, and one of nobody for each thing that only others are about.

    Of a table that is told each that somebody has has a row, be it withheld. Where nothing of a
    week is known, or told, nobody knows who has none.
    """
    if not any(map(is_known, rows)):
        return list(rows)
    nobody: dict[str, Any] = {
        "week": rows[0].week,
        "is_complete": rows[0].is_complete,
        "installations": 0,
        "installations_all": getattr(rows[0], "installations_all", None),
        "share": 0.0,
    }
    have = {one.key for one in rows}
    return [
        *rows,
        *(evolve(one, **nobody) for key, one in by_key(others).items() if key not in have),
    ]


def hides_unknown(rows: Iterable[Row]) -> bool:
    """Whether it is withheld of how many it is known what a week's rows are about."""
    return any(one.installations is WITHHELD and not is_known(one) for one in rows)


def not_known(rows: Iterable[Row]) -> int:
    """Return of how many it is told that nothing is known of them."""
    return sum(int(figure(one.installations)) for one in rows if not is_known(one))


def known_of(rows: Sequence[Row], everyone: Told) -> int:
    """Return of how many the shares of a week are: see `of_known`."""
    return int(figure(everyone)) - (0 if hides_unknown(rows) else not_known(rows))


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
    if 0 < value < 0.01:  # noqa: PLR2004 what would round to nothing, or nearly
        return "under 0.01"
    return f"{value:,.2f}" if value < 10 else f"{value:,.0f}"  # noqa: PLR2004 digits that matter


def percent(value: Told) -> str:
    """Return a share as text."""
    if not isinstance(value, int | float):
        return number(value)
    if 0 < value < 0.0001:  # noqa: PLR2004 what would round to nothing
        return "under 0.01 %"
    if 0.9995 <= value < 1 - _FRACTION:  # noqa: PLR2004 what would round to all
        return "over 99.9 %"
    return f"{100 * value:.{2 if 0 < value < 0.01 else 1}f} %"  # noqa: PLR2004 as above


def change(now: Told, before: Told) -> str:
    """Return how a share has changed, in points."""
    if not (isinstance(now, int | float) and isinstance(before, int | float)):
        return "–"
    points = round(100 * (now - before), 1)
    return f"{points:+.1f}" if points else "0.0"


def version_order(text: str) -> tuple[int, tuple[int, ...], str]:
    """Sort versions by their numbers, and the words that stand for others after them."""
    parts = text.removeprefix("v").removesuffix(OR_OLDER).split(".")
    if all(one.isdecimal() for one in parts):
        return 0, tuple(map(int, parts)), text
    return 1, (), text


def or_older(rows: Sequence[Row], everyone: Told) -> list[tuple[float, float] | None]:
    """Return for each row, oldest first, between which shares it and all older ones are.

    It is made of what is told alone: of what is withheld, each row has one at least, and all
    together have what the others leave of everyone. Shares are as in `of_known`.
    """
    known = known_of(rows, everyone)
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
