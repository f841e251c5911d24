"""What may be told: numbers of few installations are withheld, and what they follow from. Pure.

Owns which numbers of the answers add up to which. Everything that is printed, in words, drawings
and tables, is made of what comes out of here, and so tells nothing more.

Rows whose installations may be in several of them (commands, failures, days) add up to nothing,
and of those only the small ones are withheld.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from datetime import date
from typing import TypeVar

from attrs import evolve

from agent.statistics.answers import (
    WITHHELD,
    Active,
    Answers,
    Command,
    Completeness,
    Crashes,
    CrashKind,
    Failure,
    Integration,
    PerDay,
    Row,
    Told,
    Version,
    numbers,
)
from agent.statistics.blanks import blank, by_week, changed, is_few, whole
from agent.statistics.crossing import adoption as adoption_of
from agent.statistics.hiding import OUTSIDE, Cell, hide
from agent.statistics.shown import Shown, is_known

AnyRow = TypeVar("AnyRow", bound=Row)

DAYS = 7
_QUANTILES = {"p10": 10, "p25": 25, "median": 50, "p75": 75, "p90": 90, "p99": 99}
_PARTS = ("new", "kept", "returned", "gone")


def withhold(answers: Answers, least: int) -> Shown:
    """Return the answers without what would tell of fewer than `least` installations."""
    told = [one for one in answers.active_installations if not is_few(one.installations, least)]
    # Of a week in which nobody was active there is nothing but why.
    weeks = {one.week for one in told}
    found = _of_weeks(answers, weeks)
    adoption = adoption_of(found, least)
    crashes, kinds = _crashes(found, adoption.version_adoption, least)
    return evolve(
        adoption,
        active_installations=tuple(_active(answers.active_installations, least)),
        integrations=tuple(_integration(one, least) for one in found.integrations),
        commands=tuple(_command(one, least) for one in _small(found.commands, least)),
        events_per_day=tuple(_per_day(one, least) for one in found.events_per_day),
        notification_failures=tuple(_failures(found.notification_failures, least)),
        configuration_errors=_small(found.configuration_errors, least),
        crashes=crashes,
        crash_kinds=kinds,
        completeness=_completeness(found.completeness, least),
    )


def _small(rows: Iterable[AnyRow], least: int) -> Sequence[AnyRow]:
    return tuple(blank(one) if is_few(one.installations, least) else one for one in rows)


def _of_weeks(answers: Answers, weeks: set[date]) -> Answers:
    def only(rows: Iterable[AnyRow]) -> Sequence[AnyRow]:
        return tuple(one for one in rows if one.week in weeks)

    return Answers(
        only(answers.active_installations),
        only(answers.version_adoption),
        only(answers.kubernetes_adoption),
        only(answers.version_by_kubernetes),
        only(answers.integrations),
        only(answers.commands),
        only(answers.events_per_day),
        only(answers.notification_failures),
        only(answers.configuration_errors),
        only(answers.crashes),
        only(answers.crash_kinds),
        only(answers.completeness),
    )


# --- who came and went ----------------------------------------------------------------------------


def _active(rows: Sequence[Active], least: int) -> Iterable[Active]:
    before: dict[str, Told] = {}
    for row in sorted(rows, key=lambda one: one.week):
        told: dict[str, Told] = {}
        for what in ("installations", "clusters"):
            told |= _came_and_went(row, what, before.get(what), least)
            before[what] = told.get(what, getattr(row, what))
        if is_few(row.installations, least):
            told = dict.fromkeys(numbers(Active), WITHHELD)
        elif whole(row.installations_without_cluster) < least:
            # Fewer clusters than installations tell that there is one: 0 is not told apart.
            told["installations_without_cluster"] = WITHHELD
        yield changed(row, told)


def _came_and_went(row: Active, what: str, before: Told, least: int) -> Mapping[str, Told]:
    """Return what is withheld: new, kept and returned are this week's, kept and gone the last's."""
    parts = {part: f"{what}_{part}" for part in _PARTS}
    nothing: Mapping[str, Told] = dict.fromkeys(parts.values(), WITHHELD)
    total: Told = getattr(row, what)
    if is_few(total, least):
        return {**nothing, what: WITHHELD}
    if before is WITHHELD:
        return nothing
    ends: Mapping[str, tuple[Hashable, Hashable, float]] = {
        "new": (OUTSIDE, "now", 4.0),
        "returned": (OUTSIDE, "now", 2.0),
        "kept": ("before", "now", 5.0),
        "gone": ("before", OUTSIDE, 3.0),
    }
    cells = [
        Cell(name, whole(value), *ends[part][:2], is_few(value, least), ends[part][2])
        for part, name in parts.items()
        if (value := getattr(row, name)) is not None
    ]
    hidden = hide(cells, least)
    return nothing if hidden is None else {str(name): WITHHELD for name in hidden}


# --- what is used, and what goes wrong ------------------------------------------------------------


def _integration(row: Integration, least: int) -> Integration:
    """Withhold users: on, off and unknown are all installations."""
    costs = {"installations": 100.0, "installations_disabled": 5.0, "installations_unknown": 1.0}
    cells = [
        Cell(name, whole(value), "all", "parts", is_few(value, least), cost)
        for name, cost in costs.items()
        if (value := getattr(row, name)) is not None
    ]
    hidden = hide(cells, least)
    if hidden is None:
        return blank(row)
    told: dict[str, Told] = {str(name): WITHHELD for name in hidden}
    if hidden & {"installations", "installations_disabled"}:
        told["share"] = WITHHELD
    if "installations" in hidden:
        told["share_at_least"] = WITHHELD
    return changed(row, told)


def _command(row: Command, least: int) -> Command:
    """Withhold the part of a count that is of few."""
    return changed(
        row,
        {
            name: WITHHELD
            for part in ("failed", "at_most")
            if is_few(getattr(row, f"installations_{part}"), least)
            for name in (f"count_{part}", f"installations_{part}")
        },
    )


def _per_day(row: PerDay, least: int) -> PerDay:
    """Withhold quantiles: one is of somebody, so as many must lie on either side of it."""
    if is_few(row.installations, least):
        return blank(row)
    told: dict[str, Told] = {
        name: WITHHELD
        for name, at in _QUANTILES.items()
        if min(at, 100 - at) * whole(row.installations) < 100 * least
        and getattr(row, name) is not None
    }
    # Of so few days each may be of the same installations.
    if 0 < whole(row.days_left_out) <= DAYS * (least - 1):
        told["days_left_out"] = WITHHELD
    return changed(row, told)


_OBSERVED = (
    "failed",
    "attempts",
    "rate",
    "installations_failed",
    "installations_observed",
    "installations_unobserved",
)
"""What failures tell of windows that could show the attempts."""
_UNOBSERVED = ("failed_all", "installations", "installations_unobserved")
"""What they tell of the other windows, the observed being told."""


def _failures(rows: Iterable[Failure], least: int) -> Iterable[Failure]:
    """Withhold failures: attempts are those that failed, by reason, and those that did not."""
    groups: defaultdict[tuple[date, str, str], list[Failure]] = defaultdict(list)
    for one in rows:
        groups[one.week, one.platform, one.what].append(one)
    for group in groups.values():
        cells = [
            Cell(
                one.reason,
                whole(one.failed),
                "attempts",
                OUTSIDE,
                any(
                    is_few(many, least)
                    for many in (one.installations, one.installations_failed, one.failed)
                ),
                1 + whole(one.failed) / 1000,
            )
            for one in group
        ]
        attempts = group[0].attempts
        if attempts is None:
            yield from _small(group, least)
            continue
        observed = group[0].installations_observed
        if observed is None or is_few(observed, least):
            told = dict.fromkeys(_OBSERVED, WITHHELD)
            yield from (changed(one, told) for one in _small(group, least))
            continue
        all_of_them = Cell("attempts", whole(attempts), OUTSIDE, "attempts", cost=1e6)
        hidden = hide([*cells, all_of_them], least)
        for one in group:
            if hidden is None or one.reason in hidden:
                yield blank(evolve(one, attempts=WITHHELD))
                continue
            told = {}
            if "attempts" in hidden:
                told |= dict.fromkeys(("attempts", "rate"), WITHHELD)
            if is_few(one.installations_unobserved, least):
                told |= dict.fromkeys(_UNOBSERVED, WITHHELD)
            yield changed(one, told)


def _crashes(
    answers: Answers, versions: Sequence[Version], least: int
) -> tuple[Sequence[Crashes], Sequence[CrashKind]]:
    """Withhold crashes: also of a version that is withheld; its hours are left of everybody's."""
    told = {one.week for one in versions}
    secret = {(one.week, one.botkube_version) for one in versions if one.installations is WITHHELD}
    shown: list[Crashes] = []
    kinds: list[CrashKind] = []
    of_version: defaultdict[tuple[date, str], list[CrashKind]] = defaultdict(list)
    for kind in answers.crash_kinds:
        of_version[kind.week, kind.botkube_version].append(kind)
    for week, rows in by_week(answers.crashes).items():
        cells = [
            Cell(
                one.botkube_version,
                whole(one.installation_hours),
                "all",
                "versions",
                is_few(one.installations, least) or (week, one.botkube_version) in secret,
                1 + whole(one.installation_hours),
            )
            for one in rows
        ]
        hidden = hide(cells, least)
        if hidden is None or week not in told:
            continue
        for one in rows:
            if one.botkube_version in hidden:
                shown.append(blank(one))
            else:
                row, those = _kinds(one, of_version[week, one.botkube_version], least)
                shown.append(row)
                kinds += those
    return tuple(shown), tuple(kinds)


def _kinds(row: Crashes, kinds: Sequence[CrashKind], least: int) -> tuple[Crashes, list[CrashKind]]:
    """Withhold kinds: a version's crashes are those of each kind.

    Those of a version that is not known are also what the kinds of a version have more than its
    row, and of how many installations these are nobody says.
    """
    is_of_few = bool(row.crashes) and (
        not is_known(row) or is_few(row.installations_crashed, least)
    )
    between = abs(sum(whole(one.crashes) for one in kinds) - whole(row.crashes))
    cells = [
        Cell(
            one.kind,
            whole(one.crashes),
            "version",
            OUTSIDE,
            is_few(one.installations, least),
            1 + whole(one.crashes),
        )
        for one in kinds
    ]
    total = ("all", "kinds")
    cells.append(Cell(total, whole(row.crashes), OUTSIDE, "version", is_small=is_of_few, cost=1e6))
    hidden = None if kinds and is_few(between, least) else hide(cells, least)
    told = [] if hidden is None else [blank(k) if k.kind in hidden else k for k in kinds]
    if total in hidden if hidden is not None else is_of_few or not is_few(between, least):
        row = evolve(row, crashes=WITHHELD, per_1000_hours=WITHHELD)
    if row.crashes is WITHHELD or any(one.installations is WITHHELD for one in told):
        row = evolve(row, installations_crashed=WITHHELD)
    return row, told


def _completeness(rows: Iterable[Completeness], least: int) -> Sequence[Completeness]:
    """Withhold hours: those of all reasons are all hours."""
    shown: list[Completeness] = []
    for those in by_week(rows).values():
        cells = [
            Cell(
                one.reason,
                whole(one.hours),
                "all",
                "reasons",
                is_few(one.installations, least),
                1 + whole(one.hours),
            )
            for one in those
        ]
        hidden = hide(cells, least)
        if hidden is not None:
            shown += (blank(one) if one.reason in hidden else one for one in those)
    return tuple(shown)
