"""Sentences on what is used and where it fails, one for each chart. Pure.

A sentence is made of what may be told alone. What is withheld is said to be, or left out.
"""

from __future__ import annotations

from collections.abc import Sequence

from agent.statistics.answers import (
    WITHHELD,
    Command,
    Completeness,
    Crashes,
    CrashKind,
    Failure,
    Integration,
    Misconfigured,
    PerDay,
)
from agent.statistics.hours import BESIDE
from agent.statistics.periods import Period, figure, is_number, number, of_week, percent
from agent.statistics.shown import is_known
from agent.statistics.wording import (
    TOO_FEW,
    as_far_as,
    first_few,
    is_any_withheld,
    is_told,
    listing,
    many_of,
    mark,
    most_of,
    nothing,
    share_of,
    told_of,
    whose_integrations,
)


def integrations(rows: Sequence[Integration], period: Period) -> str:
    """Say which bot and which sink most have."""
    week = of_week(rows, period.this)
    told = [
        _switched_on([one for one in week if one.kind == kind], f"{kind}s")
        for kind in ("bot", "sink")
    ]
    if not any(told):
        if is_any_withheld(week, "share_on"):
            return TOO_FEW
        return nothing(period, "integrations", "None was seen to be switched on.")
    return " ".join(filter(None, told))


def _switched_on(rows: Sequence[Integration], what: str) -> str:
    now = sorted(
        (one for one in rows if figure(one.share_on)), key=lambda one: -figure(one.share_on)
    )
    if not now:
        return ""
    whose = whose_integrations(rows)
    said = as_far_as(rows, "share_on", f"{what} switched on most often, as a share {whose}")
    few = [f"{one.platform} ({percent(one.share_on)}{mark(one)})" for one in now[:3]]
    return f"{said}: {listing(few)}."


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
    said += f" {number(one.median)}{mark(one, is_apart=True)} events a day"
    if is_number(one.p90):
        said += f", on nine days of ten at most {number(one.p90)}"
    return f"{said}."


def commands(rows: Sequence[Command], period: Period) -> str:
    """Say which commands most use."""
    week = of_week(rows, period.this)
    now = told_of(week)
    if not now:
        if week:
            return "Commands were seen; how many installations used them is withheld."
        return nothing(period, "commands", "No command was seen.")
    most, *others = most_of(now)
    used = f"{'one of ' if others else ''}the most used is"
    said = (
        f"{as_far_as(week, 'installations', used)} {most.command} on "
        f"{most.platform}: {many_of(most.installations, 'installation')}"
    )
    if is_number(most.installations_observable):
        said += f" of {number(most.installations_observable)} that could show commands"
    if is_number(most.count):
        said += f", {many_of(most.count, 'time')}"
    return f"{said}."


def failures(rows: Sequence[Failure], period: Period) -> str:
    """Say where most events were lost, as far as the rates of all reasons are told."""
    week = of_week(rows, period.this)
    now = [one for one in week if one.what == "event" and one.rate is not None]
    rates = lost(now)
    if not week:
        return nothing(period, "notification_failures", "No failure was seen.")
    if not now:
        return "No failure was seen of an event whose attempts are known."
    if not rates:
        return "Failures were seen; of how many attempts is withheld."
    most = max(rates.values())
    worst = [name for name, rate in rates.items() if rate == most]
    hidden = {one.platform for one in now if one.rate is WITHHELD}
    if not most:
        # A reason stands there because somebody met it.
        if hidden:
            return "Failures were seen; of how many attempts is withheld."
        return "None failed of the attempts that were seen."
    others = [one for one in now if one.platform not in worst]
    which = [
        *(["told"] if is_any_withheld(others, "rate") else []),
        *(["whose attempts are known"] if any(map(_lacks_attempts, week)) else []),
    ]
    said = f"Of those {' '.join(which)}, " if which else ""
    at_least = "at least " if hidden & {*worst} else ""
    whose_events = "its events were" if len(worst) == 1 else "their events each were"
    few = [one for one in now if one.platform in worst and is_number(one.rate)]
    return (
        f"{said}{listing(first_few(worst))} lost most: {at_least}{percent(most)}"
        f"{max(mark(one, 'installations_observed', is_apart=True) for one in few)} of "
        f"{whose_events} not delivered.{_hit(week)}"
    )


def _hit(rows: Sequence[Failure]) -> str:
    """Say which failures of events most installations met, each counted once."""
    events = [one for one in rows if one.what == "event"]
    now = told_of(events)
    if not now:
        return ""
    those = most_of(now)
    names = listing(first_few([f"{one.reason} on {one.platform}" for one in those]))
    met = f"most installations met {names}: {number(those[0].installations)}"
    return f" {as_far_as(events, 'installations', met)}."


def lost(rows: Sequence[Failure]) -> dict[str, float]:
    """Return what share of its events each platform lost for all reasons of which it is told."""
    rates: dict[str, float] = {}
    for one in rows:
        if one.what == "event" and isinstance(one.rate, int | float):
            rates[one.platform] = rates.get(one.platform, 0.0) + one.rate
    return rates


def _lacks_attempts(one: Failure) -> bool:
    return one.what == "event" and one.rate is None


def misconfigured(rows: Sequence[Misconfigured], period: Period) -> str:
    """Say which fault most have."""
    week = of_week(rows, period.this)
    now = told_of(week)
    if not now:
        if week:
            return "Faults were seen; how many installations have them is withheld."
        return nothing(period, "configuration_errors", "No fault was seen.")
    most, *others = most_of(now)
    whose = "those that could show faults" if is_told(week) else "all"
    common = f"{'one of ' if others else ''}the most common is"
    return (
        f"{as_far_as(week, 'installations', common)} {most.reason} "
        f"(key {most.field}, platform {most.platform}): "
        f"{many_of(most.installations, 'installation')}"
        + (f", {percent(share_of(most))} of {whose}." if share_of(most) is not None else ".")
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
        return (
            TOO_FEW
            if hidden
            else "No hour is known in which a version ran whose crashes could be seen."
        )
    worst = max(now, key=lambda one: figure(one.per_1000_hours))
    if not figure(worst.per_1000_hours):
        said = "No crash was seen"
        if hidden:
            whose = many_of(hidden, "version", "versions")
            return f"{said} of those versions that are told; it is withheld of {whose}."
        return f"{said} in hours in which one version is known to have run."
    said = f"BotKube {worst.botkube_version} crashed most for its time"
    times = number(worst.per_1000_hours) + mark(worst, is_apart=True)
    said = f"{as_far_as(named, 'per_1000_hours', said)}: {times} times in"
    return f"{said} 1,000 hours{_mostly(worst, of_week(kinds, period.this))}."


def _mostly(version: Crashes, kinds: Sequence[CrashKind]) -> str:
    of_it = [one for one in kinds if one.botkube_version == version.botkube_version]
    most = max(of_it, key=lambda one: figure(one.crashes), default=None)
    if most is None or not figure(most.crashes):
        return ""
    told = ", of the kinds told" if is_any_withheld(of_it, "crashes") else ""
    return f"{told}, most often of kind {most.kind}"


def completeness(rows: Sequence[Completeness], period: Period) -> str:
    """Say how much was observed, and what was mostly in the way."""
    week = of_week(rows, period.this)
    if not week:
        return nothing(period, "completeness")
    seen = next((one for one in week if one.reason == "observed"), None)
    if seen is not None and seen.share is WITHHELD:
        return TOO_FEW
    share = seen.share if seen else 0.0
    told_share = percent(share)
    said = f"{told_share[0].upper()}{told_share[1:]} of the time of all installations was observed"
    # Reasons are sums over streams, of which one can miss what another observed.
    if figure(share) >= 1 or is_any_withheld(week, "hours"):
        return f"{said}."
    told = []
    unsaid = _unsaid(week)
    others = [one for one in week if one.reason != "observed" and one.reason not in BESIDE]
    most = max(others, key=lambda one: figure(one.hours), default=None)
    if most is not None and figure(most.hours) >= unsaid:
        told.append(
            "of the reasons why something is missing, that of most hours is "
            f"{reason(most.reason)} ({number(most.hours)})"
        )
    if unsaid:
        told.append(f"of {many_of(unsaid, 'hour')} at least that are missing nobody says why")
    return f"{'; '.join([said, *told])}."


def _unsaid(week: Sequence[Completeness]) -> int:
    """Return of how many hours at least there is no reason: between two streams there is none."""
    everything = next((figure(one.hours) / figure(one.share) for one in week if one.share), 0.0)
    # Of what a wrong clock says it can be all that is missing.
    beside = BESIDE - {"implausible"}
    told = sum(figure(one.hours) for one in week if one.reason not in beside)
    return max(0, int(everything - told))


def reason(name: str) -> str:
    """Return a reason why something is missing, apart from what this report withholds."""
    return "withheld by the operator" if name == "withheld" else name
