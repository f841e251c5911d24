"""Who runs what: tables that add up to each other, and what of them may be told together. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence, Set
from functools import partial
from itertools import product
from math import inf, log2
from operator import itemgetter
from typing import Any, TypeVar

from attrs import evolve

from agent.statistics.answers import Answers, Both, Kubernetes, Row
from agent.statistics.blanks import blank, by_week, is_few, whole
from agent.statistics.hiding import Cell, hide
from agent.statistics.periods import DROPPABLE, version_order
from agent.statistics.shown import (
    OR_OLDER,
    OTHERS,
    UNKNOWN,
    Distribution,
    Minor,
    Pair,
    Shown,
    is_known,
)

Hidden = frozenset[Hashable]
Grouping = Callable[[str], str]
"""Under which name a version, or a minor, is put together with others."""
_SERIES = (12, 8, 6, 4, 3, 2, 1)
"""How many series of versions are told apart where not all can be."""
_TOGETHER = 0.75
"""What it is worth to be told of minors together, beside as much of each."""
_KNOWN = 5.0
"""How much dearer is of how many it is not known what they have: all shares are of the others."""
# What hiding a number costs the reader: the Kubernetes minor is what most is decided by.
_MINOR, _VERSION, _DISTRIBUTION, _PLACE, _PAIR = 60.0, 20.0, 8.0, 2.0, 1.0
_UNPRINTED = 1e-3
_PLACES = frozenset({"kubernetes_minors", "distributions"})
"""Tables of what one answer of a cluster says."""


Fine = TypeVar("Fine", bound=Row)
Coarse = TypeVar("Coarse", Minor, Distribution, Pair)


def adoption(answers: Answers, least: int) -> Shown:
    """Return what may be told of who runs what, and nothing else."""
    shown: defaultdict[str, list[Row]] = defaultdict(list)
    places, pairs = by_week(answers.kubernetes_adoption), by_week(answers.version_by_kubernetes)
    versions = by_week(answers.version_adoption)
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
        told, hidden = _hide_adoption(margins, crossed, least)
        for name, rows in told.items():
            shown[name] += (
                blank(one) if (name, *one.key) in hidden else one
                # The order in which they were made tells of what they were made.
                for one in sorted(rows, key=lambda one: one.key)
            )
    adopted: dict[str, Any] = {name: tuple(rows) for name, rows in shown.items()}
    return Shown(least, **adopted)


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


def _groupings(versions: Sequence[Row]) -> Iterator[Grouping]:
    """Yield ever coarser ways to put versions together for the table that crosses them."""
    yield str
    yield series_of
    series: Counter[str] = Counter()
    for one in versions:
        series[series_of(one.key[0])] += whole(one.installations)
    for many in _SERIES:
        if many < len(series):
            yield partial(_told_apart, {name for name, _ in series.most_common(many)})


def _told_apart(series: Set[str], version: str) -> str:
    return name if (name := series_of(version)) in series else OTHERS


def _with_older(minors: Sequence[Row], oldest: Iterable[str]) -> Iterator[Grouping]:
    """Yield ways to put the oldest minors together there: none, then ever more of them."""
    yield str
    first = min((one.key[0] for one in minors), key=version_order, default="")
    for newest in oldest:
        if newest != first:
            yield partial(_or_older, newest)


def _or_older(newest: str, minor: str) -> str:
    return newest + OR_OLDER if version_order(minor) <= version_order(newest) else minor


def _sum(rows: Iterable[Fine], coarse: Callable[[Fine], Coarse]) -> Sequence[Coarse]:
    """Add up the rows that are about the same."""
    found: dict[tuple[str, ...], Coarse] = {}
    for one in map(coarse, rows):
        before = found.get(one.key)
        if before is None:
            found[one.key] = one
            continue
        total = whole(before.installations) + whole(one.installations)
        everyone = whole(one.installations_all)
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
    hiding more there, it is told by fewer groups of versions, of the oldest minors together, or not
    at all.
    """
    told: dict[str, Sequence[Row]] = {}
    hidden: set[Hashable] = set()
    for tables, of_these in _hide_margins(margins, least):
        told |= tables
        hidden |= of_these
    if len(told) < len(margins):
        return told, frozenset(hidden)
    oldest = _oldest(margins["kubernetes_minors"], hidden)
    for names in (tuple(crossed), ("version_by_minor",), ("kubernetes_adoption",)):
        could_be = []
        has_pairs = "version_by_minor" in names
        groupings: Iterable[Grouping] = (str,)
        if has_pairs:
            groupings = _groupings(margins["version_adoption"])
        olders = _with_older(margins["kubernetes_minors"], oldest)
        for together, group in product(olders, groupings):
            tables = {**told, **{name: _grouped(crossed[name], group, together) for name in names}}
            cells = _cells(tables, least, group, together, are_fixed=margins.keys())
            all_of_it = hide(cells, least, hidden)
            if all_of_it is not None:
                could_be.append(
                    (_told_of({*map(together, oldest)}, tables, all_of_it), tables, all_of_it)
                )
        if could_be:
            # The first, of those that tell as much: the finest.
            _, tables, all_of_it = max(could_be, key=itemgetter(0))
            return tables, all_of_it
    return told, frozenset(hidden)


def _hide_margins(
    margins: Mapping[str, Sequence[Row]], least: int
) -> Iterator[tuple[Mapping[str, Sequence[Row]], Set[Hashable]]]:
    """Yield the tables of one kind each that can be told, and what is hidden in them."""
    places = {name: rows for name, rows in margins.items() if name in _PLACES}
    of_both = hide(_cells(places, least), least)
    if of_both is not None:
        yield places, of_both
    for name, rows in margins.items():
        if of_both is not None and name in places:
            continue
        cells = _cells({name: rows}, least)
        if name in places:
            # Too few to hide one with the other: then it is told of neither.
            cells = [evolve(one, is_small=one.is_small or _is_unknown(one)) for one in cells]
        alone = hide(cells, least)
        if alone is not None:
            yield {name: rows}, alone


def _is_unknown(cell: Cell) -> bool:
    return cell.name in {(name, UNKNOWN) for name in _PLACES}


def _oldest(minors: Sequence[Row], hidden: Set[Hashable]) -> Sequence[str]:
    """Return the minors that are told and could be dropped: the oldest one, and up to so many."""
    told = [one for one in minors if ("kubernetes_minors", *one.key) not in hidden]
    everyone = sum(whole(one.installations) for one in minors)
    older = 0
    found: list[str] = []
    for one in sorted(told, key=lambda one: version_order(one.key[0])):
        older += whole(one.installations)
        if version_order(one.key[0])[0] or (found and older > DROPPABLE * everyone):
            break
        found.append(one.key[0])
    return found


def _told_of(minors: Iterable[str], tables: Mapping[str, Sequence[Row]], hidden: Hidden) -> float:
    """Return how much the table tells of which BotKube those on these minors run, in bits.

    It is made of what would be told: all that is withheld of a minor is one number there.
    """
    bits = 0.0
    for minor in minors:
        parts: Counter[Hashable] = Counter()
        for one in tables.get("version_by_minor", ()):
            if one.key[1] == minor:
                name = ("version_by_minor", *one.key)
                parts[None if name in hidden else name] += whole(one.installations)
        everyone = parts.total()
        told = sum(many * log2(everyone / many) for many in parts.values() if many)
        bits += told * (_TOGETHER if minor.endswith(OR_OLDER) else 1)
    return round(bits, 9)


def _grouped(rows: Iterable[Row], group: Grouping, together: Grouping) -> Sequence[Row]:
    names = {"botkube_version": group, "kubernetes_minor": together}

    def coarse(row: Row) -> Any:  # noqa: ANN401 of any kind
        those: dict[str, Any] = {
            name: put(getattr(row, name)) for name, put in names.items() if name in row.KEYS
        }
        return evolve(row, **those)

    return _sum(rows, coarse)


def _cells(
    tables: Mapping[str, Sequence[Row]],
    least: int,
    group: Grouping = str,
    together: Grouping = str,
    *,
    are_fixed: Set[str] = frozenset(),
) -> list[Cell]:
    """Return installations as they flow: all, by version, by minor, by distribution, all.

    An agent learns the minor and the distribution from one answer (`find_kubernetes`), so those of
    which neither is known are the same: who is told how many in one table knows it of both.
    """
    has_pairs, has_places = "version_by_minor" in tables, "kubernetes_adoption" in tables
    has_both = not has_places and tables.keys() >= _PLACES

    def of_place(key: tuple[str, ...], known: str) -> str:
        return "of neither" if has_both and key[0] == UNKNOWN else known

    ends: Mapping[str, Callable[[tuple[str, ...]], tuple[Hashable, Hashable, float]]] = {
        "version_adoption": lambda key: (
            "all",
            ("version", group(key[0])) if has_pairs else "of versions",
            _VERSION,
        ),
        "version_by_minor": lambda key: (("version", key[0]), ("minor", key[1]), _PAIR),
        "kubernetes_minors": lambda key: (
            ("minor", together(key[0])) if has_pairs else "by minors",
            ("on", together(key[0])) if has_places else of_place(key, "of minors"),
            _MINOR,
        ),
        "kubernetes_adoption": lambda key: (("on", key[0]), ("distribution", key[1]), _PLACE),
        "distributions": lambda key: (
            ("distribution", key[0]) if has_places else of_place(key, "by distributions"),
            "of distributions",
            _DISTRIBUTION,
        ),
    }
    cells = _of_both(tables, least) if has_both else []
    for name, rows in tables.items():
        everyone = sum(whole(one.installations) for one in rows) or 1
        for row in rows:
            value = whole(row.installations)
            tail, head, cost = ends[name](row.key)
            if len(row.KEYS) == 1 and not is_known(row):
                cost *= _KNOWN
            cells.append(
                Cell(
                    (name, *row.key),
                    value,
                    tail,
                    head,
                    is_small=is_few(value, least),
                    cost=inf if name in are_fixed else cost * (1 + 10 * value / everyone),
                )
            )
    return cells


def _of_both(tables: Mapping[str, Sequence[Row]], least: int) -> list[Cell]:
    """Return how many both are known of, and of how many one alone: no table says so."""
    minors, distributions = tables["kubernetes_minors"], tables["distributions"]
    of_no_minor, of_no_distribution = (
        sum(whole(one.installations) for one in rows if one.key[0] == UNKNOWN)
        for rows in (minors, distributions)
    )
    everyone = sum(whole(one.installations) for one in minors)
    alone = of_no_distribution - of_no_minor
    both = everyone - max(of_no_minor, of_no_distribution)
    cells = [Cell("both", both, "of minors", "by distributions", cost=_UNPRINTED, floor=0)]
    if alone:
        ends = ("of minors", "of neither") if alone > 0 else ("of neither", "by distributions")
        many = abs(alone)
        cells.append(Cell("one alone", many, *ends, is_few(many, least), _UNPRINTED, floor=0))
    return cells
