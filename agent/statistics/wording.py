"""What sentences are made of: lists, numbers of something, why there is nothing to tell. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeVar

from agent.statistics.answers import WITHHELD, Integration, Row, Told
from agent.statistics.periods import (
    ALWAYS,
    FEW,
    Period,
    figure,
    hides_unknown,
    is_number,
    not_known,
    number,
)
from agent.statistics.shown import is_known

AnyRow = TypeVar("AnyRow", bound=Row)
MAX_NAMES = 4
"""Of a list in a sentence."""
NOTHING = "Nothing of it is told of the week."
TOO_FEW = "It is withheld: it would tell of single installations."
AS_A_WHOLE = "It is withheld as a whole: by sums, single installations would be found in it."
SO_FEW = "It is withheld: too few installations reported in the week to tell of them."
NOBODY = "Nobody reported in the week."

REASONS = {
    "observed": "an agent was there and read what BotKube wrote",
    "rotated": "a log was rotated before it was read",
    "overtaken": "a log was rotated more than once while it was being read",
    "backpressure": "an agent waited, because it could not send, and a log was rotated meanwhile",
    "restarted": "a container ended, or restarted, before its log was read to the end",
    "unreadable": "pods could not be listed or left, or a log could not be read for ten minutes",
    "pod_gone": "a pod was deleted before its log was read to the end",
    "stopped": "an agent was stopped, switched off or scaled to zero",
    "state_lost": "what an agent had noted of where it was is gone, and it began anew",
    "delivery": "windows were counted and did not arrive: lost, or still on their way",
    "hole": "two windows are apart, and nothing says why",
    "no_report": "counts arrived without the report that says what they could show",
    "short": "a report says more than the counts that arrived",
    "withheld": "a kind of count is new and held back yet, or disabled by the operator's rules",
    "discarded": "an agent let a count go that its rules do not declare",
    "implausible": "of windows with a clock that must be wrong, or that came too late: none counts",
}
"""What the reasons of `completeness` mean."""


def nothing(period: Period, table: str, none: str = NOTHING) -> str:
    """Say why a table has no rows of the week: `none`, if there may simply be none."""
    if period.this in period.withheld:
        return SO_FEW
    if period.this in period.empty:
        return NOBODY
    if table in ALWAYS:
        return AS_A_WHOLE
    if period.this in period.held_back:
        return f"{none.removesuffix('.')}, as far as operators let it be seen."
    return none


def not_compared(now: Sequence[Row], before: Iterable[Row], period: Period) -> str:
    """Say why shares are not compared with the week before's, or if those are of others."""
    were = list(before)
    if period.before is None or period.before in period.empty:
        return ""
    if not were:
        return "The week before is withheld."
    if hides_unknown(were) and not hides_unknown(now):
        return (
            "Not compared with the week before: of how many it was not known then is withheld, "
            "so that its shares would be of others."
        )
    if not hides_unknown(now) and (many := not_known(were)) != not_known(now):
        return f"The week before it was not known of {many:,}."
    return ""


def hidden(week: Sequence[Row]) -> str:
    """Say how many rows of a week are withheld, if not all or none are."""
    many = sum(one.installations is WITHHELD for one in week)
    if not many or many == len(week):
        return ""
    return f" {many_of(many, 'number is', 'numbers are')} withheld."


def the_most_common(most: Row, week: Sequence[Row]) -> str:
    """Say that it is, or that it is of those told if one that is withheld can be of as many."""
    hidden = sum(one.installations is WITHHELD for one in week)
    everyone: Told = getattr(most, "installations_all", None)
    rest = figure(everyone) - sum(figure(one.installations) for one in week)
    # Of all that is withheld each has one at least.
    if hidden and rest - (hidden - 1) >= figure(most.installations):
        return "The most common of those told"
    return "The most common"


def whose(rows: Sequence[Row]) -> str:
    """Say of which installations the shares of a week are."""
    if hides_unknown(rows):
        return "of all installations (of how many it is not known is withheld)"
    if many := not_known(rows):
        return f"of those installations of which it is known (of {many:,} it is not)"
    return "of all installations"


def whose_integrations(rows: Iterable[Integration]) -> str:
    """Say of which installations the shares of a week's bots are, or of its sinks."""
    if any(one.is_at_least for one in rows):
        return "of all installations at least"
    return "of those installations of which it is known"


def whose_by_week(now: Sequence[Row], rows: Sequence[Row]) -> str:
    """Say of which installations the shares of weeks are that are like those of this one."""
    if hides_unknown(now) or all(map(is_known, rows)):
        return "of all installations"
    return "of those installations of which it is known in each week"


def could_show(now: Sequence[Row], before: Sequence[Row], what: str) -> str:
    """Say of how many the shares of a week are, and of how many those of the week before.

    It is the same number in all rows of a week, but for those of which nothing is told.
    """
    if not now:
        return ""
    told = [
        number(max((_observable(one) for one in rows), key=figure))
        for rows in (now, before)
        if rows
    ]
    if what == "faults" and not is_told(now):
        if any(is_number(share_of(one)) for one in now):
            return "Shares are of all installations, of which few could show no fault."
        return "How many could show faults is withheld."
    of = f"Shares are of the installations that could show {what} in the same week"
    return f"{of}: {', in the week before '.join(told)}."


def is_told(rows: Iterable[Row]) -> bool:
    """Whether it is told of how many installations the shares are."""
    return any(is_number(_observable(one)) for one in rows)


def _observable(row: Row) -> Told:
    found: Told = getattr(row, "installations_observable", None)
    return found


def mark(row: Row, *names: str, is_apart: bool = False) -> str:
    """Return the mark of a number that says little: few are behind it, by one of `names`.

    Where these stand apart from it, so does one of which it is withheld how many are.
    """
    of: list[Told] = [getattr(row, name) for name in names or ("installations",)]
    is_few = any(
        (is_number(one) and figure(one) < FEW) or (is_apart and one is WITHHELD) for one in of
    )
    return "°" if is_few else ""


def as_far_as(rows: Iterable[Row], name: str, said: str) -> str:
    """Say something, and that there are others of which it is not told."""
    if is_any_withheld(rows, name):
        return f"Of those told, {said}"
    return said[0].upper() + said[1:]


def is_any_withheld(rows: Iterable[Row], *names: str) -> bool:
    """Whether one of these numbers is withheld of one of the rows."""
    return any(getattr(one, name) is WITHHELD for one in rows for name in names)


def week_note(period: Period) -> str:
    """Say which weeks are compared, and how good they are."""
    note = period.note(period.this)
    said = f"The week of {period.this}{f' ({note})' if note else ''}"
    if period.before is None:
        return f"{said}; there is none before to compare it with."
    note = period.note(period.before)
    if period.before in period.withheld:
        return f"{said}; the one before cannot be compared with it: it is withheld."
    return f"{said}, compared with that of {period.before}{f' ({note})' if note else ''}."


def most_of(rows: Sequence[AnyRow]) -> list[AnyRow]:
    """Return the row that most installations have; all such if several have as many."""
    most = max(figure(one.installations) for one in rows)
    return [one for one in rows if figure(one.installations) == most]


def first_few(words: Sequence[str]) -> Sequence[str]:
    """Return a few words, and how many more there are."""
    if len(words) <= MAX_NAMES:
        return words
    return [*words[: MAX_NAMES - 1], f"{len(words) - MAX_NAMES + 1} more"]


def told_of(rows: Iterable[AnyRow]) -> list[AnyRow]:
    """Return the rows of which it is told how many installations have them."""
    return [one for one in rows if is_number(one.installations)]


def many_of(value: Told, one: str, many: str = "") -> str:
    """Return a number of things."""
    return f"{number(value)} {one if value == 1 else many or f'{one}s'}"


def more_or_fewer(value: int) -> str:
    """Return a difference in words."""
    return f"{abs(value):,} {'more' if value > 0 else 'fewer'}"


def listing(words: Sequence[str]) -> str:
    """Return words as a sentence lists them."""
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))


def share_of(row: Row) -> Told:
    """Return the share of a row whose kind may have none."""
    found: Told = getattr(row, "share", None)
    return found
