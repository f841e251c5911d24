"""What may be told: numbers of few installations are withheld, and what they follow from. Pure.

Owns which numbers of the answers add up to which. Everything that is printed, in words, drawings
and tables, is made of what comes out of here, and so tells nothing more.

Rows whose installations may be in several of them (commands, failures, days) add up to nothing,
and of those only the small ones are withheld.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence, Set
from datetime import date
from functools import partial
from math import inf
from typing import Any, ClassVar, TypeVar

from attrs import evolve, field, frozen

from agent.statistics.answers import (
    WITHHELD,
    Active,
    Answers,
    Both,
    Command,
    Completeness,
    Crashes,
    CrashKind,
    Failure,
    Integration,
    Kubernetes,
    Misconfigured,
    PerDay,
    Row,
    Told,
    Version,
    numbers,
)
from agent.statistics.hiding import OUTSIDE, Cell, hide

AnyRow = TypeVar("AnyRow", bound=Row)
Hidden = frozenset[Hashable]

DAYS = 7
_QUANTILES = {"p10": 10, "p25": 25, "median": 50, "p75": 75, "p90": 90, "p99": 99}
_PARTS = ("new", "kept", "returned", "gone")
OTHERS = "all others"
_UNKNOWN = {"unknown", "several", OTHERS}
_SERIES = (12, 8, 6, 4, 3, 2, 1)
"""How many series of versions are told apart where not all can be."""
# What hiding a number costs the reader: the Kubernetes minor is what most is decided by.
_MINOR, _VERSION, _DISTRIBUTION, _PLACE, _PAIR = 60.0, 20.0, 8.0, 2.0, 1.0


@frozen(kw_only=True)
class Minor(Row):
    """How many run on a minor of Kubernetes, whoever made it."""

    KEYS: ClassVar[tuple[str, ...]] = ("kubernetes_minor",)
    kubernetes_minor: str
    installations_all: Told = None
    share: Told = None


@frozen(kw_only=True)
class Distribution(Row):
    """How many run on somebody's Kubernetes, whatever its minor."""

    KEYS: ClassVar[tuple[str, ...]] = ("distribution",)
    distribution: str
    installations_all: Told = None
    share: Told = None


@frozen(kw_only=True)
class Pair(Row):
    """How many run a version of BotKube on a minor of Kubernetes."""

    KEYS: ClassVar[tuple[str, ...]] = ("botkube_version", "kubernetes_minor")
    botkube_version: str
    kubernetes_minor: str
    installations_all: Told = None
    share: Told = None


@frozen
class Shown:
    """What may be told. `too_few` are the answers of which nothing is told in a week."""

    least: int = 0
    active_installations: Sequence[Active] = ()
    version_adoption: Sequence[Version] = ()
    kubernetes_minors: Sequence[Minor] = ()
    distributions: Sequence[Distribution] = ()
    kubernetes_adoption: Sequence[Kubernetes] = ()
    version_by_minor: Sequence[Pair] = ()
    integrations: Sequence[Integration] = ()
    commands: Sequence[Command] = ()
    events_per_day: Sequence[PerDay] = ()
    notification_failures: Sequence[Failure] = ()
    configuration_errors: Sequence[Misconfigured] = ()
    crashes: Sequence[Crashes] = ()
    crash_kinds: Sequence[CrashKind] = ()
    completeness: Sequence[Completeness] = ()
    too_few: frozenset[tuple[str, date]] = field(default=frozenset())


SHOWN: dict[str, type[Row]] = {
    "active_installations": Active,
    "version_adoption": Version,
    "kubernetes_minors": Minor,
    "distributions": Distribution,
    "kubernetes_adoption": Kubernetes,
    "version_by_minor": Pair,
    "integrations": Integration,
    "commands": Command,
    "events_per_day": PerDay,
    "notification_failures": Failure,
    "configuration_errors": Misconfigured,
    "crashes": Crashes,
    "crash_kinds": CrashKind,
    "completeness": Completeness,
}
"""The kind of row of each table that is written."""


def withhold(answers: Answers, least: int) -> Shown:
    """Return the answers without what would tell of fewer than `least` installations."""
    told = [one for one in answers.active_installations if not _is_few(one.installations, least)]
    # Of a week in which nobody was active there is nothing but why.
    weeks = {one.week for one in told}
    left = _Left(least)
    found = _of_weeks(answers, weeks)
    adoption = _adoption(found, left)
    crashes, kinds = _crashes(found, adoption.version_adoption, left)
    few = {
        (name, one.week)
        for name in SHOWN
        for one in answers.active_installations
        if one.week not in weeks
    }
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
        completeness=_completeness(found.completeness, left),
        too_few=frozenset(left.too_few | few),
    )


@frozen
class _Left:
    """What had to be left out as a whole."""

    least: int
    too_few: set[tuple[str, date]] = field(factory=set)


def is_known(row: Row) -> bool:
    """Whether what the row is about is one thing, and known."""
    return not _UNKNOWN & {*row.key}


def _is_few(value: Told, least: int) -> bool:
    return isinstance(value, int | float) and 0 < value < least


def _int(value: Told) -> int:
    return round(value) if isinstance(value, int | float) else 0


def _blank(row: AnyRow) -> AnyRow:
    """Return a row of which nothing is told but what it is about."""
    kept = {"installations_all", "is_whole"}
    names = (*numbers(type(row)), *(name for name in row.SHARED if name not in kept))
    return _change(row, dict.fromkeys(names, WITHHELD))


def _change(row: AnyRow, told: Mapping[str, Any]) -> AnyRow:
    return evolve(row, **told)


def _small(rows: Iterable[AnyRow], least: int) -> Sequence[AnyRow]:
    return tuple(_blank(one) if _is_few(one.installations, least) else one for one in rows)


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


def _by_week(rows: Iterable[AnyRow]) -> Mapping[date, list[AnyRow]]:
    found: defaultdict[date, list[AnyRow]] = defaultdict(list)
    for one in rows:
        found[one.week].append(one)
    return found


# --- who runs what --------------------------------------------------------------------------------


Fine = TypeVar("Fine", bound=Row)
Coarse = TypeVar("Coarse", Minor, Distribution, Pair)


def _adoption(answers: Answers, left: _Left) -> Shown:
    shown: defaultdict[str, list[Row]] = defaultdict(list)
    places, pairs = _by_week(answers.kubernetes_adoption), _by_week(answers.version_by_kubernetes)
    versions = _by_week(answers.version_adoption)
    for week in sorted({*places, *pairs, *versions}):
        margins: dict[str, Sequence[Row]] = {
            "version_adoption": versions[week],
            "kubernetes_minors": _sum(places[week], partial(_coarse, Minor)),
            "distributions": _sum(places[week], partial(_coarse, Distribution)),
        }
        crossed = {
            "kubernetes_adoption": places[week],
            "version_by_minor": _sum(pairs[week], partial(_coarse, Pair)),
        }
        told, hidden = _hide_adoption(margins, crossed, left.least)
        for name, rows in told.items():
            shown[name] += (_blank(one) if (name, *one.key) in hidden else one for one in rows)
        left.too_few.update((name, week) for name in {*margins, *crossed} - told.keys())
    adopted: dict[str, Any] = {name: tuple(rows) for name, rows in shown.items()}
    return Shown(left.least, **adopted)


def _coarse(kind: type[Coarse], row: Kubernetes | Both) -> Coarse:
    """Return a row as one of a kind that says less of it."""
    what = {name: getattr(row, name) for name in kind.KEYS}
    return kind(
        week=row.week,
        is_complete=row.is_complete,
        installations=row.installations,
        installations_all=row.installations_all,
        share=row.share,
        **what,
    )


def series_of(version: str) -> str:
    """Return the minor of a version: v1.13.0 -> v1.13."""
    return ".".join(version.split(".")[:2])


def _groupings(versions: Sequence[Row]) -> Iterator[Callable[[str], str]]:
    """Yield ever coarser ways to put versions together for the table that crosses them."""
    yield str
    yield series_of
    series: Counter[str] = Counter()
    for one in versions:
        series[series_of(one.key[0])] += _int(one.installations)
    for many in _SERIES:
        if many < len(series):
            yield partial(_told_apart, {name for name, _ in series.most_common(many)})


def _told_apart(series: Set[str], version: str) -> str:
    return name if (name := series_of(version)) in series else OTHERS


def _sum(rows: Iterable[Fine], coarse: Callable[[Fine], Coarse]) -> Sequence[Coarse]:
    """Add up the rows that are about the same."""
    found: dict[tuple[str, ...], Coarse] = {}
    for one in map(coarse, rows):
        before = found.get(one.key)
        if before is None:
            found[one.key] = one
            continue
        total = _int(before.installations) + _int(one.installations)
        everyone = _int(one.installations_all)
        found[one.key] = evolve(
            before,
            is_complete=before.is_complete and one.is_complete,
            installations=total,
            share=total / everyone if everyone else None,
        )
    return tuple(found.values())


def _hide_adoption(
    margins: Mapping[str, Sequence[Row]],
    crossed: Mapping[str, Sequence[Row]],
    least: int,
) -> tuple[Mapping[str, Sequence[Row]], Hidden]:
    """Return the tables of a week that can be told, and what is hidden in them.

    What the crossed tables tell is bought with nothing of the others: if it cannot be had without
    hiding more there, it is told by fewer groups of versions, or not at all.
    """
    told: dict[str, Sequence[Row]] = {}
    hidden: set[Hashable] = set()
    for name, rows in margins.items():
        alone = hide(_cells({name: rows}, least), least)
        if alone is not None:
            told[name] = rows
            hidden |= alone
    if len(told) < len(margins):
        return told, frozenset(hidden)
    for names in (tuple(crossed), ("version_by_minor",), ("kubernetes_adoption",)):
        for group in _groupings(margins["version_adoption"]):
            tables = {**told, **{name: crossed[name] for name in names}}
            if "version_by_minor" in tables:
                tables["version_by_minor"] = _grouped(tables["version_by_minor"], group)
            cells = _cells(tables, least, group, are_fixed=margins.keys())
            all_of_it = hide(cells, least, hidden)
            if all_of_it is not None:
                return tables, all_of_it
    return told, frozenset(hidden)


def _grouped(rows: Iterable[Row], group: Callable[[str], str]) -> Sequence[Row]:
    pairs = (one for one in rows if isinstance(one, Pair))
    return _sum(pairs, lambda one: evolve(one, botkube_version=group(one.botkube_version)))


def _cells(
    tables: Mapping[str, Sequence[Row]],
    least: int,
    group: Callable[[str], str] = str,
    *,
    are_fixed: Set[str] = frozenset(),
) -> list[Cell]:
    """Return installations as they flow: all, by version, by minor, by distribution, all."""
    has_pairs, has_places = "version_by_minor" in tables, "kubernetes_adoption" in tables
    ends: Mapping[str, Callable[[tuple[str, ...]], tuple[Hashable, Hashable, float]]] = {
        "version_adoption": lambda key: (
            "all",
            ("version", group(key[0])) if has_pairs else "of versions",
            _VERSION,
        ),
        "version_by_minor": lambda key: (("version", key[0]), ("minor", key[1]), _PAIR),
        "kubernetes_minors": lambda key: (
            ("minor", key[0]) if has_pairs else "by minors",
            ("on", key[0]) if has_places else "of minors",
            _MINOR,
        ),
        "kubernetes_adoption": lambda key: (("on", key[0]), ("distribution", key[1]), _PLACE),
        "distributions": lambda key: (
            ("distribution", key[0]) if has_places else "by distributions",
            "of distributions",
            _DISTRIBUTION,
        ),
    }
    cells = []
    for name, rows in tables.items():
        everyone = sum(_int(one.installations) for one in rows) or 1
        for row in rows:
            value = _int(row.installations)
            tail, head, cost = ends[name](row.key)
            cells.append(
                Cell(
                    (name, *row.key),
                    value,
                    tail,
                    head,
                    is_small=_is_few(value, least),
                    cost=inf if name in are_fixed else cost * (1 + 10 * value / everyone),
                )
            )
    return cells


# --- who came and went ----------------------------------------------------------------------------


def _active(rows: Sequence[Active], least: int) -> Iterable[Active]:
    before: dict[str, Told] = {}
    for row in sorted(rows, key=lambda one: one.week):
        told: dict[str, Told] = {}
        for what in ("installations", "clusters"):
            told |= _came_and_went(row, what, before.get(what), least)
            before[what] = told.get(what, getattr(row, what))
        if _is_few(row.installations, least):
            told = dict.fromkeys(numbers(Active), WITHHELD)
        elif _int(row.installations_without_cluster) < least:
            # Fewer clusters than installations tell that there is one: 0 is not told apart.
            told["installations_without_cluster"] = WITHHELD
        yield _change(row, told)


def _came_and_went(row: Active, what: str, before: Told, least: int) -> Mapping[str, Told]:
    """Return what is withheld: new, kept and returned are this week's, kept and gone the last's."""
    parts = {part: f"{what}_{part}" for part in _PARTS}
    nothing: Mapping[str, Told] = dict.fromkeys(parts.values(), WITHHELD)
    total: Told = getattr(row, what)
    if _is_few(total, least):
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
        Cell(name, _int(value), *ends[part][:2], _is_few(value, least), ends[part][2])
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
        Cell(name, _int(value), "all", "parts", _is_few(value, least), cost)
        for name, cost in costs.items()
        if (value := getattr(row, name)) is not None
    ]
    hidden = hide(cells, least)
    if hidden is None:
        return _blank(row)
    told: dict[str, Told] = {str(name): WITHHELD for name in hidden}
    if hidden & {"installations", "installations_disabled"}:
        told["share"] = WITHHELD
    if "installations" in hidden:
        told["share_at_least"] = WITHHELD
    return _change(row, told)


def _command(row: Command, least: int) -> Command:
    """Withhold the part of a count that is of few."""
    return _change(
        row,
        {
            name: WITHHELD
            for part in ("failed", "at_most")
            if _is_few(getattr(row, f"installations_{part}"), least)
            for name in (f"count_{part}", f"installations_{part}")
        },
    )


def _per_day(row: PerDay, least: int) -> PerDay:
    """Withhold quantiles: one is of somebody, so as many must lie on either side of it."""
    if _is_few(row.installations, least):
        return _blank(row)
    told: dict[str, Told] = {
        name: WITHHELD
        for name, at in _QUANTILES.items()
        if min(at, 100 - at) * _int(row.installations) < 100 * least
        and getattr(row, name) is not None
    }
    # Of so few days each may be of the same installations.
    if 0 < _int(row.days_left_out) <= DAYS * (least - 1):
        told["days_left_out"] = WITHHELD
    return _change(row, told)


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
                _int(one.failed),
                "attempts",
                OUTSIDE,
                any(
                    _is_few(many, least)
                    for many in (one.installations, one.installations_failed, one.failed)
                ),
                1 + _int(one.failed) / 1000,
            )
            for one in group
        ]
        attempts = group[0].attempts
        if attempts is None:
            yield from _small(group, least)
            continue
        observed = group[0].installations_observed
        if observed is None or _is_few(observed, least):
            told = dict.fromkeys(_OBSERVED, WITHHELD)
            yield from (_change(one, told) for one in _small(group, least))
            continue
        all_of_them = Cell("attempts", _int(attempts), OUTSIDE, "attempts", cost=1e6)
        hidden = hide([*cells, all_of_them], least)
        for one in group:
            if hidden is None or one.reason in hidden:
                yield _blank(evolve(one, attempts=WITHHELD))
                continue
            told = {}
            if "attempts" in hidden:
                told |= dict.fromkeys(("attempts", "rate"), WITHHELD)
            if _is_few(one.installations_unobserved, least):
                told |= dict.fromkeys(_UNOBSERVED, WITHHELD)
            yield _change(one, told)


def _crashes(
    answers: Answers, versions: Iterable[Version], left: _Left
) -> tuple[Sequence[Crashes], Sequence[CrashKind]]:
    """Withhold crashes: also of a version that is withheld; its hours are left of everybody's."""
    least = left.least
    secret = {(one.week, one.botkube_version) for one in versions if one.installations is WITHHELD}
    shown: list[Crashes] = []
    kinds: list[CrashKind] = []
    of_version: defaultdict[tuple[date, str], list[CrashKind]] = defaultdict(list)
    for kind in answers.crash_kinds:
        of_version[kind.week, kind.botkube_version].append(kind)
    for week, rows in _by_week(answers.crashes).items():
        cells = [
            Cell(
                one.botkube_version,
                _int(one.installation_hours),
                "all",
                "versions",
                _is_few(one.installations, least) or (week, one.botkube_version) in secret,
                1 + _int(one.installation_hours),
            )
            for one in rows
        ]
        hidden = hide(cells, least)
        if hidden is None or ("version_adoption", week) in left.too_few:
            left.too_few.update({("crashes", week), ("crash_kinds", week)})
            continue
        for one in rows:
            if one.botkube_version in hidden:
                shown.append(_blank(one))
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
    is_few = bool(row.crashes) and (not is_known(row) or _is_few(row.installations_crashed, least))
    between = abs(sum(_int(one.crashes) for one in kinds) - _int(row.crashes))
    cells = [
        Cell(
            one.kind,
            _int(one.crashes),
            "version",
            OUTSIDE,
            _is_few(one.installations, least),
            1 + _int(one.crashes),
        )
        for one in kinds
    ]
    total = ("all", "kinds")
    cells.append(Cell(total, _int(row.crashes), OUTSIDE, "version", is_small=is_few, cost=1e6))
    hidden = None if kinds and _is_few(between, least) else hide(cells, least)
    told = [] if hidden is None else [_blank(k) if k.kind in hidden else k for k in kinds]
    if total in hidden if hidden is not None else is_few or not _is_few(between, least):
        row = evolve(row, crashes=WITHHELD, per_1000_hours=WITHHELD)
    if row.crashes is WITHHELD or any(one.installations is WITHHELD for one in told):
        row = evolve(row, installations_crashed=WITHHELD)
    return row, told


def _completeness(rows: Iterable[Completeness], left: _Left) -> Sequence[Completeness]:
    """Withhold hours: those of all reasons are all hours."""
    shown: list[Completeness] = []
    for week, those in _by_week(rows).items():
        cells = [
            Cell(
                one.reason,
                _int(one.hours),
                "all",
                "reasons",
                _is_few(one.installations, left.least),
                1 + _int(one.hours),
            )
            for one in those
        ]
        hidden = hide(cells, left.least)
        if hidden is None:
            left.too_few.add(("completeness", week))
            continue
        shown += (_blank(one) if one.reason in hidden else one for one in those)
    return tuple(shown)


def count_withheld(shown: Shown) -> Counter[str]:
    """Return in how many rows of each table something is withheld."""
    return Counter(
        name
        for name in SHOWN
        for row in getattr(shown, name)
        if any(getattr(row, one) is WITHHELD for one in numbers(type(row)))
    )
