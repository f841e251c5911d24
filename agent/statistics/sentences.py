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
    ALWAYS,
    Period,
    between,
    by_key,
    change,
    figure,
    hides_unknown,
    is_number,
    not_known,
    number,
    of_known,
    of_week,
    or_older,
    percent,
    version_order,
)
from agent.statistics.shown import OTHERS, Pair, is_known

AnyRow = TypeVar("AnyRow", bound=Row)
MAX_NAMES = 4
"""Of a list in a sentence."""
DROPPABLE = 0.2
"""Of more installations nobody drops a version."""
NOTHING = "Nothing of it is told of the week."
TOO_FEW = "It is withheld: it would tell of single installations."
AS_A_WHOLE = "It is withheld as a whole: any of it would tell of single installations."
SO_FEW = "It is withheld: too few installations reported in the week to tell of them."
NOBODY = "Nobody reported in the week."


def nothing(period: Period, table: str, none: str = NOTHING) -> str:
    """Say why a table has no rows of the week: `none`, if there may simply be none."""
    if period.this in period.withheld:
        return SO_FEW
    if period.this in period.empty:
        return NOBODY
    return AS_A_WHOLE if table in ALWAYS else none


def not_compared(now: Sequence[Row], before: Iterable[Row], period: Period) -> str:
    """Say why shares are not compared with those of the week before, if they are not."""
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
    return ""


def active(rows: Sequence[Active], period: Period) -> str:
    """Say how many there were, and how that has changed."""
    now = next(iter(of_week(rows, period.this)), None)
    if now is None or now.installations is WITHHELD:
        return SO_FEW
    if not now.installations:
        return NOBODY
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
    if not week:
        return nothing(period, "distributions")
    now = _told(of_known(week, week))
    if not now:
        return TOO_FEW if is_any_withheld(week, "installations") else "It is known of none."
    most, *others = _most(now)
    before = by_key(of_known(of_week(rows, period.before), week)).get(most.key)
    share, was = _share(most), _share(before) if before else None
    common = _the_most_common(most, week)
    if others:
        names = [str(one.key[0]) for one in (most, *others)]
        said = f"{common} are {what} {_list(_first(names))}: {percent(share)} each"
    else:
        said = f"{common} is {what} {most.key[0]}: {percent(share)}"
    if hides_unknown(week):
        said += " of all installations"
    elif not_known(week):
        said += " of those of which it is known"
    if is_number(was) and not others:
        said += f", {change(share, was)} points against the week before"
    return f"{said}."


def _the_most_common(most: Row, week: Sequence[Row]) -> str:
    """Say that it is, or that it is of those told if one that is withheld can be of as many."""
    hidden = sum(one.installations is WITHHELD for one in week)
    everyone: Told = getattr(most, "installations_all", None)
    rest = figure(everyone) - sum(figure(one.installations) for one in week)
    # Of all that is withheld each has one at least.
    if hidden and rest - (hidden - 1) >= figure(most.installations):
        return "The most common of those told"
    return "The most common"


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
    most = [pair for pair in told_ones if pair[1][1] <= DROPPABLE][-1:]
    chosen = (
        [pair for pair in named if pair in exact or pair in most]
        if len(exact) >= min(2, len(named))
        else told_ones or named
    )
    # That all but the newest are older tells nothing.
    told = [f"{one.key[0]} {between(bounds)}" for one, bounds in _steps(chosen) if bounds[0] < 1]
    gone = _no_longer(now, of_week(rows, period.before))
    if not told:
        return gone
    said = f"On this {what} or an older one are, {whose(now)}: {'; '.join(told)}."
    return " ".join(filter(None, (said, _without_order(now), gone)))


def _steps(
    chosen: Sequence[tuple[Row, tuple[float, float]]],
) -> Sequence[tuple[Row, tuple[float, float]]]:
    """Return a few of the oldest, up to the most that could be dropped."""
    could_be = [pair for pair in chosen if pair[1][1] <= DROPPABLE]
    if len(could_be) <= MAX_NAMES:
        return chosen[:MAX_NAMES]
    last = len(could_be) - 1
    return [could_be[last * step // (MAX_NAMES - 1)] for step in range(MAX_NAMES)]


def _without_order(now: Sequence[Row]) -> str:
    """Say how many have a version that is neither older nor newer, such as `other`."""
    those = [
        one for one in of_known(now, now) if is_known(one) and version_order(one.key[0])[0] > 0
    ]
    if not those:
        return ""
    names = _list(_first([one.key[0] for one in those]))
    if is_any_withheld(those, "installations"):
        return f"In none of these is {names}, which can be older; how many have it is withheld."
    share = sum(figure(_share(one)) for one in those)
    return f"In none of these is {names} ({percent(share)}), which can be older."


def _no_longer(now: Sequence[Row], before: Sequence[Row]) -> str:
    """Say which versions somebody had the week before and nobody has."""
    names = sorted(
        {one.key[0] for one in before if is_known(one)} - {one.key[0] for one in now},
        key=version_order,
    )
    return f"Seen the week before, and no longer: {_list(_first(names))}." if names else ""


def whose(rows: Sequence[Row]) -> str:
    """Say of which installations the shares of a week are."""
    if hides_unknown(rows):
        return "of all installations (of how many it is not known is withheld)"
    if many := not_known(rows):
        return f"of those installations of which it is known (of {many:,} it is not)"
    return "of all installations"


def whose_by_week(now: Sequence[Row], rows: Sequence[Row]) -> str:
    """Say of which installations the shares of weeks are that are like those of this one."""
    if hides_unknown(now) or all(map(is_known, rows)):
        return "of all installations"
    return "of those installations of which it is known in each week"


def pairs(rows: Sequence[Pair], period: Period) -> str:
    """Say which pair most have, of all: which are known is not told of all that is put together."""
    week = of_week(rows, period.this)
    now = [one for one in _told(week) if is_known(one)]
    if not now:
        return TOO_FEW if is_any_withheld(week, "installations") else "It is known of none."
    most, *others = _most(now)
    before = by_key(of_week(rows, period.before)).get(most.key)
    is_grouped = any(one.botkube_version == OTHERS for one in week)
    common = (
        "Of the series told apart, the most common" if is_grouped else _the_most_common(most, week)
    )
    names = [
        f"BotKube {one.botkube_version} on Kubernetes {one.kubernetes_minor}"
        for one in (most, *others)
    ]
    said = f"{common} {'are' if others else 'is'} {_list(_first(names))}: {percent(most.share)}"
    said += " each of all installations" if others else " of all installations"
    if before is not None and is_number(before.share) and not others:
        said += f", {change(most.share, before.share)} points against the week before"
    return f"{said}.{_hidden(week)}"


def integrations(rows: Sequence[Integration], period: Period) -> str:
    """Say which bot or sink most have."""
    week = of_week(rows, period.this)
    now = sorted(
        (one for one in week if figure(one.share_at_least)),
        key=lambda one: -figure(one.share_at_least),
    )
    if not now:
        if is_any_withheld(week, "share_at_least"):
            return TOO_FEW
        return nothing(period, "integrations", "None was seen to be switched on.")
    told = [f"{one.platform} ({percent(one.share_at_least)})" for one in now[:3]]
    said = "switched on most often, as a share of all installations at least"
    return f"{_as_far_as(week, 'share_at_least', said)}: {_list(told)}."


def per_day(rows: Sequence[PerDay], period: Period) -> str:
    """Say how much half of the installations handle."""
    week = of_week(rows, period.this)
    now = sorted(
        (one for one in week if is_number(one.median)),
        key=lambda one: -figure(one.installations),
    )
    if not now:
        if is_any_withheld(week, "median"):
            return TOO_FEW
        return nothing(period, "events_per_day", "No day was observed as a whole.")
    one = now[0]
    said = f"On half of the days an installation with {one.platform} handles at most"
    said += f" {number(one.median)} events a day"
    if is_number(one.p90):
        said += f", on nine days of ten at most {number(one.p90)}"
    return f"{said}."


def commands(rows: Sequence[Command], period: Period) -> str:
    """Say which commands most use."""
    week = of_week(rows, period.this)
    now = _told(week)
    if not now:
        if week:
            return "Commands were seen; how many installations used them is withheld."
        return nothing(period, "commands", "No command was seen.")
    most, *others = _most(now)
    used = f"{'one of ' if others else ''}the most used is"
    said = (
        f"{_as_far_as(week, 'installations', used)} {most.command} on "
        f"{most.platform}: {_many(most.installations, 'installation')}"
    )
    if is_number(most.installations_observable):
        said += f" of {number(most.installations_observable)} that could show commands"
    if is_number(most.count):
        at_most = "at most " if most.count_at_most else ""
        said += f", {at_most}{_many(most.count, 'time')}"
    return f"{said}."


def failures(rows: Sequence[Failure], period: Period) -> str:
    """Say where most events were lost, as far as the rates of all reasons are told."""
    week = of_week(rows, period.this)
    now = [one for one in week if one.what == "event" and one.rate is not None]
    rates: dict[str, float] = {}
    for one in now:
        if isinstance(one.rate, int | float):
            rates[one.platform] = rates.get(one.platform, 0.0) + one.rate
    if not week:
        return nothing(period, "notification_failures", "No failure was seen.")
    if not now:
        return "No failure was seen of an event whose attempts are known."
    if not rates:
        return "Failures were seen; of how many attempts is withheld."
    worst = max(rates, key=lambda name: rates[name])
    hidden = {one.platform for one in now if one.rate is WITHHELD}
    if not rates[worst]:
        said = "None failed of the attempts that were seen"
        return f"{said}, as far as it is told." if hidden else f"{said}."
    others = [one for one in now if one.platform != worst]
    said = "Of those told, " if is_any_withheld(others, "rate") else ""
    at_least = "at least " if worst in hidden else ""
    return (
        f"{said}{worst} lost most: {at_least}{percent(rates[worst])} of its events were not "
        "delivered."
    )


def misconfigured(rows: Sequence[Misconfigured], period: Period) -> str:
    """Say which fault most have."""
    week = of_week(rows, period.this)
    now = _told(week)
    if not now:
        if week:
            return "Faults were seen; how many installations have them is withheld."
        return nothing(period, "configuration_errors", "No fault was seen.")
    most, *others = _most(now)
    common = f"{'one of ' if others else ''}the most common is"
    return (
        f"{_as_far_as(week, 'installations', common)} {most.reason} "
        f"(key {most.field}, platform {most.platform}): "
        f"{_many(most.installations, 'installation')}, {percent(_share(most))} of all."
    )


def crashes(rows: Sequence[Crashes], kinds: Sequence[CrashKind], period: Period) -> str:
    """Say which version crashes most for its time."""
    week = of_week(rows, period.this)
    named = [one for one in week if is_known(one)]
    now = [one for one in named if is_number(one.per_1000_hours)]
    hidden = sum(one.per_1000_hours is WITHHELD for one in named)
    if not now:
        if not week:
            return nothing(period, "crashes")
        return TOO_FEW if hidden else "In no hour is it known which version ran."
    worst = max(now, key=lambda one: figure(one.per_1000_hours))
    if not figure(worst.per_1000_hours):
        said = "No crash was seen"
        if hidden:
            whose = _many(hidden, "version", "versions")
            return f"{said} of those versions that are told; it is withheld of {whose}."
        return f"{said} in hours in which one version is known to have run."
    said = f"BotKube {worst.botkube_version} crashed most for its time"
    said = f"{_as_far_as(named, 'per_1000_hours', said)}: {number(worst.per_1000_hours)} times in"
    return f"{said} 1,000 hours{_mostly(worst, of_week(kinds, period.this))}."


def _mostly(version: Crashes, kinds: Sequence[CrashKind]) -> str:
    of_it = [one for one in kinds if one.botkube_version == version.botkube_version]
    most = max(of_it, key=lambda one: figure(one.crashes), default=None)
    if most is None or not figure(most.crashes):
        return ""
    told = "; of the kinds told" if is_any_withheld(of_it, "crashes") else ","
    return f"{told} most often of kind {most.kind}"


def completeness(rows: Sequence[Completeness], period: Period) -> str:
    """Say how much was observed, and what was mostly in the way."""
    week = of_week(rows, period.this)
    if not week:
        return nothing(period, "completeness")
    seen = next((one for one in week if one.reason == "observed"), None)
    if seen is not None and seen.share is WITHHELD:
        return TOO_FEW
    share = seen.share if seen else 0.0
    said = f"{percent(share)} of the time of all installations was observed"
    # Reasons are sums over streams, of which one can miss what another observed.
    if figure(share) >= 1 or is_any_withheld(week, "hours", "share"):
        return f"{said}."
    told = []
    unsaid = _unsaid(week)
    others = [one for one in week if one.reason not in {"observed", "implausible"}]
    most = max(others, key=lambda one: figure(one.hours), default=None)
    if most is not None and figure(most.hours) >= unsaid:
        told.append(
            "of the reasons why something is missing, that of most hours is "
            f"{reason(most.reason)} ({number(most.hours)})"
        )
    if unsaid:
        told.append(f"of {_many(unsaid, 'hour')} at least that are missing nobody says why")
    return f"{'; '.join([said, *told])}."


def _unsaid(week: Sequence[Completeness]) -> int:
    """Return of how many hours at least there is no reason: between two streams there is none."""
    everything = next((figure(one.hours) / figure(one.share) for one in week if one.share), 0.0)
    return max(0, int(everything - sum(figure(one.hours) for one in week)))


def reason(name: str) -> str:
    """Return a reason why something is missing, apart from what this report withholds."""
    return "withheld by the operator" if name == "withheld" else name


def _as_far_as(rows: Iterable[Row], name: str, said: str) -> str:
    """Say something, and that there are others of which it is not told."""
    if is_any_withheld(rows, name):
        return f"Of those told, {said}"
    return said[0].upper() + said[1:]


def is_any_withheld(rows: Iterable[Row], *names: str) -> bool:
    """Whether one of these numbers is withheld of one of the rows."""
    return any(getattr(one, name) is WITHHELD for one in rows for name in names)


def week_note(period: Period) -> str:
    """Say which weeks are compared, and how good they are."""
    why = period.why(period.this)
    said = f"The week of {period.this}{f' ({why})' if why else ''}"
    if period.before is None:
        return f"{said}; there is none before to compare it with."
    why = period.why(period.before)
    if period.before in period.withheld:
        return f"{said}; the one before cannot be compared with it: it is withheld."
    return f"{said}, compared with that of {period.before}{f' ({why})' if why else ''}."


def _most(rows: Sequence[AnyRow]) -> list[AnyRow]:
    """Return the row that most installations have; all such if several have as many."""
    most = max(figure(one.installations) for one in rows)
    return [one for one in rows if figure(one.installations) == most]


def _first(words: Sequence[str]) -> Sequence[str]:
    """Return a few words, and how many more there are."""
    if len(words) <= MAX_NAMES:
        return words
    return [*words[: MAX_NAMES - 1], f"{len(words) - MAX_NAMES + 1} more"]


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
