"""One plain sentence for each chart: what it shows, in words. Pure.

A sentence is made of what may be told alone. What is withheld is said to be, or left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeVar

from agent.statistics.answers import (
    WITHHELD,
    Active,
    Command,
    Completeness,
    Crashes,
    CrashKind,
    Failure,
    Integration,
    Misconfigured,
    PerDay,
    Row,
    Told,
)
from agent.statistics.periods import (
    Period,
    between,
    by_key,
    change,
    figure,
    is_number,
    not_known,
    number,
    of_known,
    of_week,
    or_older,
    percent,
    version_order,
)
from agent.statistics.shown import OTHERS, is_known

AnyRow = TypeVar("AnyRow", bound=Row)
NOTHING = "Nothing of it is told of the week."
TOO_FEW = "Too few installations to tell any of it without telling of single ones."


def active(rows: Sequence[Active], period: Period) -> str:
    """Say how many there were, and how that has changed."""
    now = next(iter(of_week(rows, period.this)), None)
    if now is None or now.installations is WITHHELD:
        return TOO_FEW
    said = f"{_many(now.installations, 'installation')} reported in the week of {period.this}"
    if isinstance(now.clusters, int):
        said += f", in {_many(now.clusters, 'cluster')} at least"
    before = next(iter(of_week(rows, period.before)), None)
    if before is not None and is_number(before.installations):
        more = int(figure(now.installations) - figure(before.installations))
        said += f"; {_more(more)} than the week before" if more else "; as many as the week before"
    moved = [
        f"{number(value)} {what}"
        for value, what in (
            (now.installations_new, "new"),
            (now.installations_returned, "back again"),
            (now.installations_gone, "gone"),
        )
        if is_number(value)
    ]
    return f"{said} ({', '.join(moved)})." if moved else f"{said}."


def adoption(rows: Sequence[Row], period: Period, what: str) -> str:
    """Say what most have, and how many numbers are withheld."""
    return _most_common(rows, period, what) + _hidden(of_week(rows, period.this))


def _hidden(week: Sequence[Row]) -> str:
    hidden = sum(one.installations is WITHHELD for one in week)
    if not hidden or hidden == len(week):
        return ""
    return f" {_many(hidden, 'number is', 'numbers are')} withheld."


def _most_common(rows: Sequence[Row], period: Period, what: str) -> str:
    week = of_week(rows, period.this)
    if not _told(week):
        return TOO_FEW
    now = _told(of_known(week))
    if not now:
        return NOTHING
    most = max(now, key=lambda one: figure(one.installations))
    before = by_key(of_known(of_week(rows, period.before))).get(most.key)
    share, was = _share(most), _share(before) if before else None
    said = f"The most common is {what} {' on '.join(most.key)}: {percent(share)}"
    if not_known(week):
        said += " of those of which it is known"
    if before is not None and is_number(was):
        said += f", {change(share, was)} points against the week before"
    return f"{said}."


def droppable(rows: Sequence[Row], period: Period, everyone: Told, what: str) -> str:
    """Say how many would be left behind if the oldest were dropped."""
    now = sorted(of_week(rows, period.this), key=lambda one: version_order(one.key[0]))
    named = [
        (one, bounds)
        for one, bounds in zip(now, or_older(now, everyone), strict=True)
        if bounds is not None
    ]
    exact = [(one, bounds) for one, bounds in named if bounds[0] == bounds[1]]
    told_ones = [pair for pair in named if is_number(pair[0].installations)]
    chosen = exact if len(exact) >= min(2, len(named)) else told_ones or named
    # That all but the newest are older tells nothing.
    told = [f"{one.key[0]} {between(bounds)}" for one, bounds in chosen[:4] if bounds[0] < 1]
    if not told:
        return ""
    return f"On this {what} or an older one are, {whose(now)}: {'; '.join(told)}."


def whose(rows: Sequence[Row]) -> str:
    """Say of which installations the shares of a week are."""
    if many := not_known(rows):
        return f"of those installations of which it is known (of {many:,} it is not)"
    if any(one.installations is WITHHELD and not is_known(one) for one in rows):
        return "of all installations (of how many it is not known is withheld)"
    return "of all installations"


def pairs(rows: Sequence[Row], period: Period) -> str:
    """Say which pair most have."""
    named = [one for one in rows if one.key[0] != OTHERS]
    said = _most_common(named, period, "BotKube").replace(" on ", " on Kubernetes ", 1)
    return said + _hidden(of_week(rows, period.this))


def integrations(rows: Sequence[Integration], period: Period) -> str:
    """Say which bot or sink most have."""
    now = sorted(
        (one for one in of_week(rows, period.this) if figure(one.share_at_least)),
        key=lambda one: -figure(one.share_at_least),
    )
    if not now:
        return NOTHING
    told = [f"{one.platform} ({percent(one.share_at_least)})" for one in now[:3]]
    return f"Switched on most often, as a share of all installations at least: {_list(told)}."


def per_day(rows: Sequence[PerDay], period: Period) -> str:
    """Say how much half of the installations handle."""
    now = sorted(
        (one for one in of_week(rows, period.this) if is_number(one.median)),
        key=lambda one: -figure(one.installations),
    )
    if not now:
        return TOO_FEW
    one = now[0]
    said = f"On half of the days an installation with {one.platform} handles at most"
    said += f" {number(one.median)} events a day"
    if is_number(one.p90):
        said += f"; on one day of ten more than {number(one.p90)}"
    return f"{said}."


def commands(rows: Sequence[Command], period: Period) -> str:
    """Say which commands most use."""
    now = sorted(
        (one for one in of_week(rows, period.this) if is_number(one.installations)),
        key=lambda one: -figure(one.installations),
    )
    if not now:
        return TOO_FEW
    most = now[0]
    said = (
        f"{most.command} on {most.platform} is used by most: "
        f"{_many(most.installations, 'installation')}"
    )
    if is_number(most.installations_observable):
        said += f" of {number(most.installations_observable)} that could show commands"
    return f"{said}, {_many(most.count, 'time')}."


def failures(rows: Sequence[Failure], period: Period) -> str:
    """Say where most events were lost."""
    rates: dict[str, float] = {}
    now = of_week(rows, period.this)
    for one in now:
        if one.what == "event" and isinstance(one.rate, int | float):
            rates[one.platform] = rates.get(one.platform, 0.0) + one.rate
    if not rates:
        return "No failure of a platform whose attempts are known may be told of the week."
    worst = max(rates, key=lambda name: rates[name])
    said = f"{worst} lost most: at least {percent(rates[worst])} of its events were not delivered."
    return _as_far_as(now, "rate") + said


def misconfigured(rows: Sequence[Misconfigured], period: Period) -> str:
    """Say which fault most have."""
    now = _told(of_week(rows, period.this))
    if not now:
        return "No fault was seen in enough installations to be told."
    most = max(now, key=lambda one: figure(one.installations))
    return (
        f"Most have {most.reason} (key {most.field}, platform {most.platform}): "
        f"{_many(most.installations, 'installation')}, {percent(_share(most))} of all."
    )


def crashes(rows: Sequence[Crashes], kinds: Sequence[CrashKind], period: Period) -> str:
    """Say which version crashes most for its time."""
    now = [
        one for one in of_week(rows, period.this) if is_number(one.per_1000_hours) and is_known(one)
    ]
    if not now:
        return TOO_FEW
    worst = max(now, key=lambda one: figure(one.per_1000_hours))
    if not figure(worst.per_1000_hours):
        return "No crash was seen in the versions that may be told."
    of_it = [one for one in of_week(kinds, period.this) if one.key[0] == worst.key[0]]
    most = max(of_it, key=lambda one: figure(one.crashes), default=None)
    said = (
        f"{_as_far_as(of_week(rows, period.this), 'per_1000_hours')}"
        f"BotKube {worst.botkube_version} crashed most for its time: "
        f"{number(worst.per_1000_hours)} times in 1,000 hours"
    )
    if most is not None and figure(most.crashes):
        said += f", most often of kind {most.kind}"
    return f"{said}."


def completeness(rows: Sequence[Completeness], period: Period) -> str:
    """Say how much was observed, and what was mostly in the way."""
    now = [one for one in of_week(rows, period.this) if is_number(one.share)]
    seen = next((one for one in now if one.reason == "observed"), None)
    if seen is None:
        return TOO_FEW
    others = [one for one in now if one.reason != "observed" and figure(one.hours)]
    said = f"{percent(seen.share)} of the time of all installations was observed"
    if others:
        most = max(others, key=lambda one: figure(one.hours))
        said += f"; most of the rest is missing as {most.reason} ({percent(most.share)})"
    return f"{said}."


def _as_far_as(rows: Iterable[Row], name: str) -> str:
    """Say that there are others of which it is not told."""
    return "Of those told, " if any(getattr(one, name) is WITHHELD for one in rows) else ""


def week_note(period: Period) -> str:
    """Say which weeks are compared, and how good they are."""
    why = period.why(period.this)
    said = f"The week of {period.this}{f' ({why})' if why else ''}"
    if period.before is None:
        return f"{said}; there is none before to compare it with."
    why = period.why(period.before)
    return f"{said}, compared with that of {period.before}{f' ({why})' if why else ''}."


def _told(rows: Iterable[AnyRow]) -> list[AnyRow]:
    return [one for one in rows if is_number(one.installations)]


def _share(row: Row) -> Told:
    found: Told = getattr(row, "share", None)
    return found


def _many(value: Told, one: str, many: str = "") -> str:
    return f"{number(value)} {one if value == 1 else many or f'{one}s'}"


def _more(value: int) -> str:
    return f"{abs(value):,} {'more' if value > 0 else 'fewer'}"


def _list(words: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))
