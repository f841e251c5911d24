"""Hours and crashes: what of them must be withheld so that no sum of hours tells of few. Pure.

Owns that the hours of all versions, and those of all reasons, are hours of the same time.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import date

from attrs import evolve

from agent.statistics.answers import (
    WITHHELD,
    Answers,
    Completeness,
    Crashes,
    CrashKind,
    Told,
    Version,
)
from agent.statistics.blanks import (
    are_few_apart,
    blank,
    by_week,
    changed,
    is_few,
    leaves_few,
    whole,
)
from agent.statistics.hiding import OUTSIDE, Cell, hide
from agent.statistics.periods import figure
from agent.statistics.shown import is_known

_OBSERVED = "observed"
_SILENT = ("hours", "crashes withheld")
_ROUNDED = 0.01
"""Hours by which sums of the same time may differ."""
BESIDE = frozenset({"short", "withheld", "discarded", "implausible"})
"""Reasons whose time was observed all the same, or is no part of that which shares are of."""


def crashes_of(
    answers: Answers,
    versions: Sequence[Version],
    lost: Mapping[date, int],
    wholes: Mapping[date, Sequence[Told]],
    least: int,
) -> tuple[Sequence[Crashes], Sequence[CrashKind]]:
    """Withhold crashes: also of a version that is withheld; its hours are left of everybody's.

    Where those are withheld that were observed, for the sake of `lost` hours, the hours of all
    versions would tell them. `wholes` is of how many all the others of a week are a part.
    """
    told = {one.week for one in versions}
    run_by = {(one.week, one.botkube_version): one.installations for one in versions}
    shown: list[Crashes] = []
    kinds: list[CrashKind] = []
    observed = {
        one.week: figure(one.hours) for one in answers.completeness if one.reason == _OBSERVED
    }
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
                is_few(one.installations, least)
                or run_by.get((week, one.botkube_version)) is WITHHELD,
                1 + whole(one.installation_hours),
            )
            for one in rows
        ]
        if week in lost:
            cells.append(Cell(None, lost[week], "all", "versions", is_small=True))
        # Of days on which crashes were withheld the hours were observed, and stand in no version.
        silent = observed.get(week, 0) - sum(figure(one.installation_hours) for one in rows)
        if silent > _ROUNDED:
            cells.append(Cell(_SILENT, whole(silent), "all", "versions", is_small=True))
        hidden = hide(cells, least)
        if hidden is None or week not in told:
            continue
        for one in rows:
            if one.botkube_version in hidden:
                shown.append(blank(one))
            else:
                row, those = _kinds(one, of_version[week, one.botkube_version], least)
                ends = run_by.get((week, one.botkube_version))
                # Few ran another at its end, or withheld crashes, or had a count raised.
                known = (ends, one.installations_all, *wholes[week])
                if any(are_few_apart(one.installations, of, least) for of in known):
                    row = evolve(row, installations=WITHHELD)
                    # Nor how many of those at least ran it, by who of them crashed.
                    if any(leaves_few(row.installations_crashed, of, least) for of in known):
                        row = evolve(row, installations_crashed=WITHHELD)
                        those = [changed(kind, {"installations": WITHHELD}) for kind in those]
                shown.append(row)
                kinds += those
    return tuple(shown), tuple(kinds)


def _kinds(row: Crashes, kinds: Sequence[CrashKind], least: int) -> tuple[Crashes, list[CrashKind]]:
    """Withhold kinds: a version's crashes are those of each kind.

    What the kinds have more than its row, or less, are crashes of windows of several versions, or
    of none that is known: of how many installations nobody says.
    """
    is_of_few = bool(row.crashes) and (
        not is_known(row) or is_few(row.installations_crashed, least)
    )
    total, between = ("all", "kinds"), ("between", "versions")
    more = sum(whole(one.crashes) for one in kinds) - whole(row.crashes)
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
    cells.append(Cell(total, whole(row.crashes), OUTSIDE, "version", is_of_few, 1e6))
    if kinds and more:
        tail, head = (OUTSIDE, "version") if more > 0 else ("version", OUTSIDE)
        cells.append(Cell(between, abs(more), tail, head, is_small=True))
    hidden = hide(cells, least)
    told = [] if hidden is None else [blank(k) if k.kind in hidden else k for k in kinds]
    if is_of_few or (hidden is not None and total in hidden):
        row = evolve(row, crashes=WITHHELD, per_1000_hours=WITHHELD)
    crashed = whole(row.installations_crashed)
    met = [whole(one.installations) for one in told]
    # Few did not meet one of the kinds, or met several.
    if any(is_few(apart, least) for apart in (sum(met) - crashed, *(crashed - one for one in met))):
        row = evolve(row, installations_crashed=WITHHELD)
    if row.crashes is WITHHELD or any(one.installations is WITHHELD for one in told):
        row = evolve(row, installations_crashed=WITHHELD)
    return row, told


def completeness_of(
    rows: Iterable[Completeness], everyone: Mapping[date, Told], least: int
) -> Sequence[Completeness]:
    """Withhold hours: those that were observed and those that were not are all hours."""
    shown: list[Completeness] = []
    for those in by_week(rows).values():
        cells = [
            Cell(
                one.reason,
                whole(one.hours),
                OUTSIDE if one.reason in BESIDE else "all",
                OUTSIDE if one.reason in BESIDE else "reasons",
                is_few(one.installations, least),
                1 + whole(one.hours),
            )
            for one in those
        ]
        hidden = hide(cells, least)
        if hidden is not None:
            for one in those:
                if one.reason in hidden:
                    shown.append(blank(one))
                elif are_few_apart(one.installations, everyone[one.week], least):
                    shown.append(changed(one, {"installations": WITHHELD}))
                else:
                    shown.append(one)
    return tuple(shown)


def lost_hours(rows: Iterable[Completeness], shown: Iterable[Completeness]) -> Mapping[date, int]:
    """Return by week the hours for whose sake it is withheld how many were observed."""
    hidden = {(one.week, one.reason) for one in shown if one.hours is WITHHELD}
    lost: defaultdict[date, int] = defaultdict(int)
    for one in rows:
        is_of_all = one.reason != _OBSERVED and one.reason not in BESIDE
        if is_of_all and {(one.week, one.reason), (one.week, _OBSERVED)} <= hidden:
            lost[one.week] += whole(one.hours)
    return lost
