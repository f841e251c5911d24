"""What is withheld cannot be found again from all that is told.

The attacker here reads the tables that are written, knows which numbers add up to which, and tries
every whole number in the place of a withheld one; nothing of the code that withholds is used.
"""

from __future__ import annotations

import csv
import io
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence, Set
from datetime import date, timedelta
from itertools import product
from typing import Any, TypeAlias

import pytest
from attrs import evolve
from hypothesis import example, given, settings
from hypothesis import strategies as st

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
    Told,
    Version,
)
from agent.statistics.blanks import whole
from agent.statistics.hiding import Cell, hide
from agent.statistics.page import About, render
from agent.statistics.report import csv_files
from agent.statistics.shown import Minor, Shown
from agent.statistics.withhold import withhold

WEEK = date(2026, 11, 2)
MOST = 5000
Table: TypeAlias = list[dict[str, str]]
Sum: TypeAlias = tuple[Mapping[Any, int], int]
"""Unknown numbers with their signs, and what they add up to."""


def written(shown: Shown) -> dict[str, Table]:
    """Return the tables as somebody reads them."""
    return {
        name.removesuffix(".csv"): list(csv.DictReader(io.StringIO(text)))
        for name, text in csv_files(shown)
    }


def equation(total: tuple[Any, str], parts: Iterable[tuple[Any, str]]) -> Sum:
    """Return what is known of a sum: what is told goes to the other side."""
    signs: Counter[Any] = Counter()
    known = 0
    for sign, (name, text) in [(-1, total), *((1, part) for part in parts)]:
        if text == "withheld":
            signs[name] += sign
        else:
            known -= sign * int(float(text or 0))
    return signs, known


def can_be(
    sums: Sequence[Sum], domains: Mapping[Any, tuple[int, int]], name: object, value: int
) -> bool:
    """Whether numbers exist that fit all sums with this one among them."""
    bounds = {**domains, name: (value, value)}
    return _search(sums, bounds)


def _search(sums: Sequence[Sum], bounds: dict[Any, tuple[int, int]]) -> bool:
    bounds = dict(bounds)
    changed = True
    while changed:
        changed = False
        for signs, total in sums:
            least = sum(s * bounds[n][0 if s > 0 else 1] for n, s in signs.items())
            most = sum(s * bounds[n][1 if s > 0 else 0] for n, s in signs.items())
            if not least <= total <= most:
                return False
            for one, sign in signs.items():
                low, high = bounds[one]
                if sign > 0:
                    new = (max(low, high - (most - total)), min(high, low + (total - least)))
                else:
                    new = (max(low, high - (total - least)), min(high, low + (most - total)))
                if new != (low, high):
                    if new[0] > new[1]:
                        return False
                    bounds[one] = new
                    changed = True
                    break
    open_ones = [one for one, (low, high) in bounds.items() if low < high]
    if not open_ones:
        return True
    one = min(open_ones, key=lambda name: bounds[name][1] - bounds[name][0])
    low, high = bounds[one]
    return any(_search(sums, {**bounds, one: (v, v)}) for v in range(low, high + 1))


def check(
    sums: Sequence[Sum],
    truth: Mapping[Any, int],
    least: int,
    *,
    low: int = 1,
    small: Set[Any] | None = None,
    besides: Sequence[Sum] = (),
) -> None:
    """Fail if a withheld number could be known better than is promised.

    `besides` are sums of what is told whatever else is withheld.
    """
    if small is None:
        small = {name for name, value in truth.items() if 0 < value < least}
    names = {name for signs, _ in sums for name in signs}
    domains = dict.fromkeys(names | {name for signs, _ in besides for name in signs}, (low, MOST))
    for name in names:
        if not truth[name]:
            continue  # that there is none tells of nobody
        if name in small and truth[name] <= least:
            wanted = [v for v in range(1, least + 1) if can_be(besides, domains, name, v)]
            assert all(can_be(sums, domains, name, v) for v in wanted), (name, truth[name])
        else:
            near = range(max(low, truth[name] - least), truth[name] + least + 1)
            possible = sum(can_be(sums, domains, name, v) for v in near)
            if possible < least:
                alone = sum(can_be(besides, domains, name, v) for v in near)
                assert possible == alone, (name, truth[name])


counts = st.dictionaries(
    st.tuples(
        st.sampled_from(("v1.13.0", "v1.13.1", "v1.14.0", "other")),
        st.sampled_from(("1.28", "1.29", "1.30", "unknown")),
        st.sampled_from(("eks", "kind")),
    ),
    st.one_of(st.integers(1, 9), st.integers(1, 60)),
    min_size=1,
    max_size=10,
)


def _grouped(joint: Mapping[Any, int], *places: int) -> Counter[tuple[str, ...]]:
    found: Counter[tuple[str, ...]] = Counter()
    for key, count in joint.items():
        found[tuple(key[place] for place in places)] += count
    return found


def adoption(joint: Mapping[tuple[str, str, str], int]) -> Answers:
    total = sum(joint.values())

    def told(count: int) -> dict[str, Any]:
        return {
            "week": WEEK,
            "installations": count,
            "installations_all": total,
            "share": count / total,
        }

    return Answers(
        active_installations=[Active(week=WEEK, installations=total)],
        version_adoption=[
            Version(botkube_version=key[0], **told(count))
            for key, count in sorted(_grouped(joint, 0).items())
        ],
        kubernetes_adoption=[
            Kubernetes(kubernetes_minor=key[0], distribution=key[1], **told(count))
            for key, count in sorted(_grouped(joint, 1, 2).items())
        ],
        version_by_kubernetes=[
            Both(botkube_version=key[0], kubernetes_minor=key[1], distribution=key[2], **told(n))
            for key, n in sorted(joint.items())
        ],
    )


def _series(version: str) -> str:
    return ".".join(version.split(".")[:2])


def groups(table: Table, versions: Iterable[str]) -> dict[str, str]:
    """Return the row of the crossed table in which each version stands, as its names tell."""
    named = {row["botkube_version"] for row in table}
    return {
        one: one if one in named else _series(one) if _series(one) in named else "all others"
        for one in versions
    }


def columns_of(table: Table, minors: Iterable[str]) -> dict[str, str]:
    """Return the column in which each minor stands."""
    together = {row["kubernetes_minor"] for row in table if "older" in row["kubernetes_minor"]}
    assert len(together) <= 1
    oldest = next(iter(together), None)
    return {
        one: oldest
        if oldest and one[:1].isdecimal() and one <= oldest.removesuffix(" or older")
        else one
        for one in minors
    }


@given(counts, st.integers(2, 5))
@settings(deadline=None)
def test_who_runs_what_cannot_be_found_by_subtraction(
    joint: dict[tuple[str, str, str], int], least: int
) -> None:
    shown = withhold(adoption(joint), least)
    tables = written(shown)
    total = sum(joint.values())

    if total < least:
        assert all(not rows for name, rows in tables.items() if name != "active_installations")
        assert tables["active_installations"][0]["installations"] == "withheld"
        return
    keys = {
        "version_adoption": ("botkube_version",),
        "kubernetes_minors": ("kubernetes_minor",),
        "distributions": ("distribution",),
        "kubernetes_adoption": ("kubernetes_minor", "distribution"),
        "version_by_minor": ("botkube_version", "kubernetes_minor"),
    }
    places = {"botkube_version": 0, "kubernetes_minor": 1, "distribution": 2}
    group = groups(tables["version_by_minor"], {version for version, _, _ in joint})
    minors = {minor for _, minor, _ in joint}
    crossed = ("version_by_minor", "kubernetes_adoption")
    column = {name: columns_of(tables[name], minors) for name in crossed}
    grouped: dict[str, Counter[tuple[str, ...]]] = {name: Counter() for name in crossed}
    for name, counted in grouped.items():
        for (v, m, d), count in joint.items():
            counted[group[v], column[name][m], d] += count
    cells: dict[str, dict[tuple[str, ...], str]] = {}
    truth: dict[Any, int] = {}
    for name, columns in keys.items():
        cells[name] = {tuple(r[c] for c in columns): r["installations"] for r in tables[name]}
        source: Mapping[Any, int] = grouped.get(name, joint)
        true = _grouped(source, *(places[c] for c in columns))
        truth |= {(name, key): count for key, count in true.items()}
        for row in tables[name]:
            key = tuple(row[c] for c in columns)
            assert row["installations"] in {"withheld", str(true[key])}
            assert (row["share"] == "withheld") == (row["installations"] == "withheld")
            assert row["installations"] == "withheld" or true[key] >= least

    def named(table: str, *, where: Mapping[int, str]) -> list[tuple[Any, str]]:
        return [
            ((table, key), text)
            for key, text in cells[table].items()
            if all(key[at] == word for at, word in where.items())
        ]

    sums = [
        equation(("all", str(total)), named(table, where={}))
        for table in ("version_adoption", "kubernetes_minors", "distributions")
        if cells[table]
    ]
    for (distribution,), text in cells["distributions"].items():
        if cells["kubernetes_adoption"]:
            whole = (("distributions", (distribution,)), text)
            sums.append(equation(whole, named("kubernetes_adoption", where={1: distribution})))
    for table, fine, place, where in (
        ("version_adoption", "version_by_minor", 0, group),
        ("kubernetes_minors", "version_by_minor", 1, column["version_by_minor"]),
        ("kubernetes_minors", "kubernetes_adoption", 0, column["kubernetes_adoption"]),
    ):
        those: defaultdict[str, list[tuple[Any, str]]] = defaultdict(list)
        for (name,), text in cells[table].items():
            those[where[name]].append(((table, (name,)), text))
        for name, parts in those.items() if cells[fine] else ():
            signs, known = equation(("", "0"), parts)
            others, taken = equation(("", "0"), named(fine, where={place: name}))
            both: Counter[Any] = Counter(signs)
            both.subtract(others)
            sums.append((both, known - taken))
    check([(signs, known) for signs, known in sums if signs], truth, least)


@given(
    counts,
    st.integers(1, 9),
    st.integers(0, 6),
    st.sampled_from(("1.28", "1.29", "1.30")),
    st.integers(2, 5),
)
@example({("v1.14.0", "1.30", "gke"): 92, ("v1.14.0", "1.29", "k3s"): 2}, 6, 0, "1.30", 5)
@example({("v1.14.0", "1.30", "gke"): 72, ("v1.14.0", "1.28", "gke"): 2}, 6, 0, "1.30", 5)
@settings(deadline=None)
def test_of_how_many_neither_minor_nor_distribution_is_known_is_one_number(
    joint: dict[tuple[str, str, str], int], neither: int, alone: int, minor: str, least: int
) -> None:
    """Both are of one answer of a cluster; a distribution can be withheld by itself."""
    joint = {key: many for key, many in joint.items() if key[1] != "unknown"}
    joint["v1.14.0", "unknown", "unknown"] = neither
    if alone:
        joint["v1.14.0", minor, "unknown"] = alone
    shown = withhold(adoption(joint), least)
    tables = written(shown)
    total = sum(joint.values())
    if not (tables["kubernetes_minors"] and tables["distributions"]):
        return  # one of them tells nothing of the other

    truth: dict[Any, int] = {"alone": alone}
    sums = []
    unknown: dict[str, tuple[Any, str]] = {}
    for table, place, column in (
        ("kubernetes_minors", 1, "kubernetes_minor"),
        ("distributions", 2, "distribution"),
    ):
        truth |= {(table, *key): many for key, many in _grouped(joint, place).items()}
        told = {row[column]: row["installations"] for row in tables[table]}
        parts = [((table, word), text) for word, text in told.items()]
        sums.append(equation(("all", str(total)), parts))
        unknown[table] = next(part for part in parts if part[0][1] == "unknown")
    of_both = [unknown["kubernetes_minors"], ("alone", "withheld" if alone else "0")]
    sums.append(equation(unknown["distributions"], of_both))
    if not alone:
        check([(signs, known) for signs, known in sums if signs], truth, least)
    elif alone < least:
        assert "withheld" in {text for _, text in unknown.values()}


def test_what_can_be_told_is_told() -> None:
    joint = {("v1.14.0", "1.30", "eks"): 60, ("v1.14.0", "1.29", "eks"): 40}
    joint |= {("v1.13.0", "1.30", "eks"): 30, ("v1.13.0", "1.29", "eks"): 2}
    shown = withhold(adoption(joint), 5)

    assert [one.installations for one in shown.version_adoption] == [32, 100]
    assert [one.installations for one in shown.kubernetes_minors] == [42, 90]
    # The two, and what it takes to tell 32, 100, 42 and 90 nevertheless.
    assert {one.installations for one in shown.version_by_minor} == {WITHHELD}
    assert len(shown.kubernetes_adoption) == 2


@pytest.mark.parametrize(
    ("oldest", "told"),
    [
        # Told apart, all three versions would hide all of the oldest minor.
        ((5, 2, 3), {("v1.12", "1.28"): 5, ("all others", "1.28"): 5}),
        ((5, 6, 7), {("v1.12.0", "1.28"): 5, ("v1.13.0", "1.28"): 6, ("v1.14.0", "1.28"): 7}),
        ((2, 2, 1), {}),
    ],
)
def test_versions_are_told_apart_as_the_oldest_minors_allow(
    oldest: tuple[int, ...], told: dict[tuple[str, str], int]
) -> None:
    """The finer the better, but not where it leaves nothing of what could be dropped."""
    newer = {"v1.12.0": (30, 30), "v1.13.0": (20, 10), "v1.14.0": (40, 10)}
    joint = {
        (version, minor, "eks"): many
        for (version, those), old in zip(newer.items(), oldest, strict=True)
        for minor, many in zip(("1.28", "1.30", "1.31"), (old, *those), strict=True)
    }
    shown = withhold(adoption(joint), 5)

    assert {
        (one.botkube_version, one.kubernetes_minor): one.installations
        for one in shown.version_by_minor
        if one.kubernetes_minor == "1.28" and one.installations is not WITHHELD
    } == told
    assert shown.kubernetes_adoption


def test_the_oldest_minors_are_put_together_where_each_would_tell_of_few() -> None:
    """What runs on those that could be dropped is worth more than which of them it runs on."""
    minors = {"1.27": (2, 1, 0), "1.28": (1, 3, 4), "1.29": (3, 4, 3), "1.31": (50, 60, 70)}
    joint = {
        (version, minor, "eks"): many
        for minor, those in minors.items()
        for version, many in zip(("v1.12.0", "v1.13.0", "v1.14.0"), those, strict=True)
        if many
    }
    shown = withhold(adoption(joint), 5)

    found = {
        one.kubernetes_minor: [
            each.installations
            for each in shown.version_by_minor
            if each.kubernetes_minor == one.kubernetes_minor
        ]
        for one in shown.version_by_minor
    }
    assert found == {"1.29 or older": [6, 8, 7], "1.31": [50, 60, 70]}


def test_minors_that_can_be_told_alone_are_not_put_together() -> None:
    joint = {
        (version, minor, "eks"): many
        for minor, many in (("1.28", 9), ("1.29", 9), ("1.31", 90))
        for version in ("v1.13.0", "v1.14.0")
    }
    shown = withhold(adoption(joint), 5)

    assert [(one.kubernetes_minor, one.installations) for one in shown.version_by_minor] == [
        *(("1.28", 9), ("1.29", 9), ("1.31", 90)) * 2
    ]


def test_of_what_hides_few_the_least_is_withheld() -> None:
    many = {"v1.12.0": 80, "v1.13.0": 10, "v1.14.0": 2}
    joint = {(version, "1.30", "eks"): count for version, count in many.items()}
    shown = withhold(adoption(joint), 5)

    for rows in (shown.version_adoption, shown.version_by_minor):
        assert [one.installations for one in rows] == [80, WITHHELD, WITHHELD]


def test_what_crosses_a_table_that_is_withheld_as_a_whole_is_so_too() -> None:
    joint = {("v1.13.0", "1.30", "eks"): 1, ("v1.13.1", "1.30", "eks"): 1}
    shown = withhold(adoption(joint), 2)

    assert [one.installations for one in shown.kubernetes_minors] == [2]
    assert [one.installations for one in shown.distributions] == [2]
    assert not [*shown.version_adoption, *shown.version_by_minor, *shown.kubernetes_adoption]


@pytest.mark.parametrize("least", [0, 1])
def test_nothing_is_withheld_below_one(least: int) -> None:
    joint = {("v1.14.0", "1.30", "eks"): 1, ("v1.13.0", "1.29", "kind"): 2}
    active = Active(week=WEEK, installations=3, clusters=2, installations_without_cluster=0)
    rows: dict[str, Any] = {name: [row] for name, row in FEW_ROWS.items()}
    crashes = Crashes(week=WEEK, botkube_version="several", crashes=1, installations=1)
    kind = CrashKind(week=WEEK, botkube_version="v1.14.0", kind="panic", crashes=1, installations=1)
    missing = Completeness(week=WEEK, reason="observed", hours=1, share=1, installations=1)
    answers = evolve(
        adoption(joint),
        active_installations=[active],
        crashes=[crashes],
        crash_kinds=[kind],
        completeness=[missing],
        **rows,
    )
    shown = withhold(answers, least)
    page = (render(shown, About(["x"], 1, 0, 0, "1", "x-tables")) or b"").decode()

    assert "withheld" not in str(written(shown))
    assert [*shown.active_installations, *shown.crashes] == [active, crashes]
    assert [*shown.crash_kinds, *shown.completeness] == [kind, missing]
    assert all(list(getattr(shown, name)) == row for name, row in rows.items())
    assert "Nothing is withheld: " in page
    assert "can be any" not in page


HISTORY = tuple(f"installations{part}" for part in ("", "_new", "_kept", "_returned", "_gone"))


Edge: TypeAlias = tuple[Any, Any, Any]
"""A number that is not told, from which sum it comes, and into which it goes."""


def histories(table: Table) -> list[Edge]:
    """Return what of a table of who came and went is not told, as it flows from week to week.

    Who has gone and not returned is away: no more can return.
    """
    last = len(table) - 1
    edges: list[Edge] = []
    for at, row in enumerate(table):
        left = ("left", at) if at else None
        ends = {
            "installations": (("here", at), ("left", at + 1) if at < last else None),
            "installations_new": (None, ("here", at)),
            "installations_kept": (left, ("here", at)),
            "installations_returned": (("away", at), ("here", at)),
            "installations_gone": (left, ("away", at + 1) if at < last else None),
        }
        edges += [((at, name), *ends[name]) for name in HISTORY if row[name] == "withheld"]
        edges.append(((at, "away"), ("away", at), ("away", at + 1) if at < last else None))
    return edges


def most(edges: Sequence[Edge], truth: Mapping[Any, int], name: object, sign: int) -> int:
    """Return how much more a number can be, or less, while all that is told stays as it is.

    All numbers between are possible, too: it is a flow of whole ones.
    """
    flow = dict(truth)
    (start, end), *_ = [(head, tail) for one, tail, head in edges if one == name]
    if sign < 0:
        start, end = end, start
    room = flow[name] if sign < 0 else MOST
    pushed = 0
    while pushed < room:
        came: dict[Any, tuple[Any, Any, int]] = {}
        waiting = [start]
        for node in waiting:
            for one, tail, head in edges:
                steps = [(tail, head, 1)] if one != name else []
                if one != name and flow[one]:
                    steps.append((head, tail, -1))
                for source, target, way in steps:
                    if source == node and target not in came and target != start:
                        came[target] = (node, one, way)
                        waiting.append(target)
        if start == end:
            return room
        if end not in came:
            break
        node, path = end, []
        while node != start:
            node, one, way = came[node]
            path.append((one, way))
        step = min([room - pushed, *(flow[one] for one, way in path if way < 0)])
        for one, way in path:
            flow[one] += way * step
        pushed += step
    return pushed


@given(
    st.lists(st.sets(st.integers(0, 40), max_size=30), min_size=2, max_size=5), st.integers(2, 5)
)
@example([set(range(30, 50)), set(range(20)), {0, *range(5, 20), 30, 60}], 5)
@example([set(range(30)), set(range(18)), set(range(29)), set(range(42)), set(range(42))], 5)
@example([set(range(12)), set(range(5)), set(range(11)), set(range(12))], 5)
@example([set(range(20)), set(range(24))], 5)
@example([set(range(20)), set(range(20)), set(range(24))], 5)
@example([set(range(60)), set(range(60)), set(range(62)), set(range(66))], 5)
@settings(deadline=None)
def test_who_came_and_went_cannot_be_found_by_subtraction(
    weeks: list[set[int]], least: int
) -> None:
    rows = []
    seen: set[int] = set()
    before: set[int] = set()
    for number, those in enumerate(weeks):
        parts: dict[str, Any] = {
            "installations": len(those),
            "installations_new": len(those - seen),
            "installations_kept": len(those & before),
            "installations_returned": len((those & seen) - before),
            "installations_gone": len(before - those),
        }
        rows.append(Active(week=WEEK + timedelta(weeks=number), **parts))
        seen, before = seen | those, those
    told = written(withhold(Answers(active_installations=rows), least))["active_installations"]

    truth: dict[Any, int] = {}
    for number, (row, true) in enumerate(zip(told, rows, strict=True)):
        for name in HISTORY:
            truth[number, name] = getattr(true, name)
            assert row[name] == "withheld" or not 0 < truth[number, name] < least
    # In the first week all are new, whatever is told.
    totals = [told[0], *({**one, **dict.fromkeys(HISTORY[1:], "withheld")} for one in told[1:])]
    away = 0
    for number, true in enumerate(rows):
        away -= whole(true.installations_returned)
        truth[number, "away"] = away  # printed nowhere
        away += whole(true.installations_gone)

    def possible(edges: Sequence[Edge], name: object) -> range:
        low, high = (most(edges, truth, name, sign) for sign in (-1, 1))
        return range(truth[name] - low, truth[name] + high + 1)

    edges, besides = histories(told), histories(totals)
    for name, _, _ in edges:
        value = truth[name]
        if not value or name[1] == "away":
            continue  # that there is none tells of nobody
        found, alone = possible(edges, name), possible(besides, name)
        if value < least:
            assert all(one in found for one in range(1, least + 1) if one in alone), (name, value)
        else:
            near = range(value - least, value + least + 1)
            many = sum(one in found for one in near)
            assert many >= least or many == sum(one in alone for one in near), (name, value)


USERS = ("installations", "installations_disabled", "installations_unknown")


def integration(on: int, off: int, unknown: int, platform: str, kind: str = "bot") -> Integration:
    everyone = on + off + unknown
    return Integration(
        week=WEEK,
        is_complete=not unknown,
        kind=kind,
        platform=platform,
        installations=on,
        installations_disabled=off,
        installations_unknown=unknown,
        installations_all=everyone,
        share=on / (on + off) if on + off and kind == "bot" else None,
        share_at_least=on / everyone,
    )


def told_of(rows: Iterable[Integration], least: int) -> Table:
    rows = list(rows)
    active = [Active(week=WEEK, installations=rows[0].installations_all)]
    return written(withhold(Answers(active, integrations=rows), least))["integrations"]


def users_that_fit(row: Mapping[str, str], unknown: int) -> list[tuple[int, int, int]]:
    """Return how many can have it on, off, or unknown, if so many are unknown."""

    def fits(on: int, off: int) -> bool:
        numbers = zip(USERS, (on, off, unknown), strict=True)
        shares = (("share", on + off), ("share_at_least", everyone))
        return (
            all(row[name] in {"withheld", str(value)} for name, value in numbers)
            and all(
                row[name] == "withheld"
                or (float(row[name]) == round(on / of, 6) if of and row[name] else of == 0)
                for name, of in shares
            )
            and (row["is_complete"] == "false" or not unknown)
        )

    everyone = int(row["installations_all"])
    known = everyone - unknown
    return [(on, known - on, unknown) for on in range(known + 1) if fits(on, known - on)]


def users_that_can_be(table: Table, spread: int) -> list[set[tuple[int, int, int]]] | None:
    """Return what each row can be if as many are unknown in each, or up to so many more.

    None if they cannot be: who assumes so is told that it is not so.
    """
    everyone = int(table[0]["installations_all"])
    by_unknown = [[users_that_fit(row, many) for row in table] for many in range(everyone + 1)]
    found: list[set[tuple[int, int, int]]] = [set() for _ in table]
    for base in range(everyone + 1):
        near = [
            {one for of_row in by_unknown[base : base + spread + 1] for one in of_row[at]}
            for at in range(len(table))
        ]
        if all(near):
            found = [one | more for one, more in zip(found, near, strict=True)]
    return found if all(found) else None


@st.composite
def bots(draw: st.DrawFn) -> tuple[list[Integration], int]:
    """Make the bots of a week, of nearly all of which as many are unknown."""
    least = draw(st.integers(2, 5))
    everyone = draw(st.integers(least, 40))
    unknown = draw(st.one_of(st.integers(0, 9), st.integers(0, everyone)))
    rows = []
    for number in range(draw(st.integers(1, 5))):
        more = draw(st.sampled_from((0, 0, 0, 0, 1, 2)))
        known = max(0, everyone - unknown - more)
        ends = st.integers(0, min(6, known)), st.integers(max(0, known - 6), known)
        on = draw(st.one_of(*ends, st.integers(0, known)))
        rows.append(integration(on, known - on, everyone - known, f"bot{number}"))
    return rows, least


@settings(max_examples=300)
@given(bots(), st.integers(0, 2))
@example(([integration(1, 24, 7, "cloudSlack"), integration(0, 25, 7, "slack")], 5), 0)
@example(([integration(4, 26, 10, "teams"), integration(19, 12, 9, "slack")], 5), 1)
@example(([integration(20, 18, 2, "slack"), integration(0, 38, 2, "teams")], 5), 0)
@example(([integration(29, 2, 9, "slack"), integration(19, 12, 9, "teams")], 5), 0)
@example(([integration(40, 0, 0, "slack"), integration(38, 0, 2, "teams")], 5), 2)
def test_users_of_a_bot_cannot_be_found_by_subtraction_from_the_other_bots(
    week: tuple[list[Integration], int], spread: int
) -> None:
    """Not even by who takes it that of each bot as many are unknown, as is nearly always true."""
    rows, least = week
    table = told_of(rows, least)
    apart = [of_row for row in table for of_row in users_that_can_be([row], 0) or ()]
    assert len(apart) == len(table)
    ways = [*apart, *(users_that_can_be(table, spread) or ())]
    told = [int(row["installations"]) for row in table if row["installations"] != "withheld"]

    for row, text, can_be_all in zip([*rows, *rows], [*table, *table], ways, strict=False):
        for at, name in enumerate(USERS):
            value = getattr(row, name)
            if text[name] != "withheld":
                assert not 0 < value < least
                continue
            can_be = {one[at] for one in can_be_all}
            # As many as have another bot more are off or unknown here, whoever these are.
            low = max(told, default=0) - getattr(row, USERS[0]) if at == 1 else 0
            assert len(can_be) >= least, (row, name, can_be)
            assert value > least or can_be.issuperset(range(max(1, low), least + 1)), (row, name)


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        # Known are all, or all but many: who has few users gives away nothing but that.
        ([(19, 21, 0), (3, 37, 0), (0, 40, 0)], [(19, 21, 0), (-1, -1, 0), (0, 40, 0)]),
        ([(19, 12, 9), (3, 28, 9), (31, 0, 9)], [(19, 12, 9), (-1, -1, 9), (31, 0, 9)]),
        # Of one more the one is unknown: not of all those of whom the other is, and one.
        ([(19, 12, 9), (9, 21, 10)], [(19, 12, 9), (9, 21, 10)]),
        # Unknown are few, or known: users are told, as a share of all.
        ([(19, 19, 2), (3, 35, 2), (0, 38, 2)], [(19, -1, -1), (-1, -1, -1), (0, -1, -1)]),
        ([(19, 12, 9), (27, 4, 9)], [(19, -1, -1), (27, -1, -1)]),
        ([(3, 0, 37), (0, 3, 37)], [(-1, -1, -1), (0, -1, -1)]),
        # Few have not the one, but nobody is unknown.
        ([(38, 2, 0), (19, 21, 0)], [(-1, -1, 0), (19, 21, 0)]),
        # Few have the one not, or it is unknown of them.
        ([(37, 1, 2), (19, 19, 2)], [(-1, -1, -1), (19, -1, -1)]),
    ],
)
def test_of_bots_users_are_told_before_who_has_them_off(
    rows: list[tuple[int, int, int]], told: list[tuple[int, int, int]]
) -> None:
    """-1 is withheld."""
    made = [integration(*users, f"bot{number}") for number, users in enumerate(rows)]
    table = told_of(made, 5)

    assert told == [
        tuple(-1 if row[name] == "withheld" else int(row[name]) for name in USERS) for row in table
    ]
    for row, (on, off, _) in zip(table, told, strict=True):
        assert (row["share"] == "withheld", row["share_at_least"] == "withheld") == (
            off < 0,
            on < 0,
        )


@given(st.integers(0, 40), st.integers(0, 40), st.integers(2, 5))
def test_users_of_a_sink_cannot_be_found_by_subtraction(on: int, unknown: int, least: int) -> None:
    if on + unknown < least:
        return
    (told,) = told_of([integration(on, 0, unknown, "webhook", "sink")], least)
    truth = dict(zip(USERS, (on, 0, unknown), strict=True))
    one = equation(("all", str(on + unknown)), ((name, told[name]) for name in USERS))

    check([one] if one[0] else [], truth, least, low=0)
    if told["installations"] == "withheld":
        assert told["share_at_least"] == "withheld"


@pytest.mark.parametrize(
    ("without", "told"),
    [(0, WITHHELD), (4, WITHHELD), (5, 5), (15, 15), (16, WITHHELD), (20, WITHHELD)],
)
def test_clusters_are_withheld_like_installations(without: int, told: Told) -> None:
    row = Active(
        week=WEEK,
        installations=60,
        clusters=40,
        clusters_new=2,
        clusters_kept=30,
        clusters_returned=8,
        clusters_gone=3,
        installations_without_cluster=without,
    )
    (one,) = withhold(Answers([row]), 5).active_installations

    assert (one.clusters, one.clusters_new, one.clusters_gone) == (40, WITHHELD, WITHHELD)
    assert WITHHELD in {one.clusters_kept, one.clusters_returned}
    assert one.installations_without_cluster == told


@pytest.mark.parametrize(
    ("clusters", "without", "told"),
    [(0, 60, 60), (1, 59, WITHHELD), (1, 54, WITHHELD), (4, 40, WITHHELD), (5, 40, 40)],
)
def test_who_names_no_cluster_is_told_if_all_do_or_as_many_clusters_are_there(
    clusters: int, without: int, told: Told
) -> None:
    row = Active(
        week=WEEK,
        installations=60,
        clusters=clusters,
        installations_without_cluster=without,
    )
    (one,) = withhold(Answers([row]), 5).active_installations

    assert one.installations_without_cluster == told


def test_few_clusters_of_many_installations_are_not_told() -> None:
    row = Active(week=WEEK, installations=60, clusters=4, clusters_new=4, clusters_kept=0)
    (one,) = withhold(Answers([row]), 5).active_installations

    assert one.installations == 60
    assert {one.clusters, one.clusters_new, one.clusters_kept} == {WITHHELD}


some_failures = st.dictionaries(
    st.sampled_from(("timeout", "rate_limited", "not_found", "unknown")),
    st.tuples(st.integers(1, 40), st.integers(1, 60)),
    min_size=1,
)


@given(some_failures, st.integers(0, 200), st.integers(2, 5))
def test_failures_of_few_cannot_be_found_by_subtraction(
    failed: dict[str, tuple[int, int]], handled: int, least: int
) -> None:
    attempts = handled + sum(many for many, _ in failed.values())
    rows = [
        Failure(
            week=WEEK,
            platform="slack",
            what="event",
            reason=reason,
            failed=many,
            failed_all=many,
            attempts=attempts,
            rate=many / attempts,
            installations=whose,
            installations_failed=min(many, whose),
            installations_observed=99,
        )
        for reason, (many, whose) in failed.items()
    ]
    active = [Active(week=WEEK, installations=99)]
    tables = written(withhold(Answers(active, notification_failures=rows), least))
    told = tables["notification_failures"]

    truth: dict[Any, int] = {reason: many for reason, (many, _) in failed.items()}
    truth["attempts"] = attempts
    # Whoever knows how many were handled knows how many failed, if the attempts are told.
    shown = {row["attempts"] for row in told} - {"withheld"}
    total = (str(attempts - handled), "told") if shown else ("withheld", "")
    names = [(row["reason"], row["failed"]) for row in told]
    sums = [equation(("all", total[0]), names)] if shown else []
    small = {reason for reason, both in failed.items() if min(both) < least}
    check([one for one in sums if one[0]], truth, least, small=small)
    for row in told:
        few = row["reason"] in small
        assert not few or {row["failed"], row["failed_all"], row["rate"]} == {"withheld"}
        assert row["rate"] == "withheld" or shown


def failure(**numbers: Told) -> Failure:
    """Return what is told of a failure at fifty installations."""
    told_of: dict[str, Any] = {
        "failed": 60,
        "attempts": 900,
        "rate": 60 / 900,
        "installations": 50,
        "installations_failed": 50,
        "installations_observed": 80,
        "installations_unobserved": 0,
        "failed_all": 60,
        **numbers,
    }
    row = Failure(week=WEEK, platform="slack", what="event", reason="unreachable", **told_of)
    active = [Active(week=WEEK, installations=99)]
    (told,) = withhold(Answers(active, notification_failures=[row]), 5).notification_failures
    return told


def test_failures_of_few_are_not_told_however_many_failed_elsewhere() -> None:
    told = failure(installations_failed=1, installations_unobserved=49, failed_all=300)

    assert {told.failed, told.rate, told.installations_failed} == {WITHHELD}


def test_failures_of_few_elsewhere_alone_are_not_told() -> None:
    told = failure(
        failed=0, installations_failed=0, installations=3, installations_unobserved=3, failed_all=9
    )

    assert {told.failed, told.failed_all, told.installations, told.rate} == {WITHHELD}


@pytest.mark.parametrize(
    ("everyone", "failed", "unobserved", "hides_everyone", "hides_unobserved"),
    [
        (50, 46, 9, True, True),  # 4 met it in windows alone that show no attempts
        (50, 40, 46, False, True),  # 4 in others alone
        (50, 40, 14, False, True),  # 4 in both
        (50, 40, 10, False, False),
        (50, 30, 35, False, False),
    ],
)
def test_few_that_met_a_failure_here_alone_or_there_are_not_what_is_left(
    everyone: int, failed: int, unobserved: int, hides_everyone: bool, hides_unobserved: bool
) -> None:
    told = failure(
        installations=everyone,
        installations_failed=failed,
        installations_unobserved=unobserved,
        failed_all=99,
    )

    assert told.installations_failed == failed
    assert (told.installations is WITHHELD) == (told.failed_all is WITHHELD) == hides_everyone
    assert (told.installations_unobserved is WITHHELD) == hides_unobserved


def test_failures_of_few_elsewhere_are_not_what_all_have_more() -> None:
    told = failure(installations_failed=49, installations_unobserved=1, failed_all=61)

    assert {told.failed_all, told.installations, told.installations_unobserved} == {WITHHELD}
    assert (told.failed, told.rate, told.installations_failed) == (60, 60 / 900, 49)


def of_platform(*, users: int = 40, **answers: Any) -> Shown:  # noqa: ANN401 rows of any kind
    """Return what is told where 99 are active, of which so many have Slack."""
    slack = Integration(
        week=WEEK,
        kind="bot",
        platform="slack",
        installations=users,
        installations_disabled=99 - users,
        installations_unknown=0,
        installations_all=99,
    )
    active = [Active(week=WEEK, installations=99)]
    return withhold(Answers(active, integrations=[slack], **answers), 5)


FEW_ROWS: dict[str, Any] = {
    "commands": Command(
        week=WEEK,
        platform="slack",
        command="get",
        count=7,
        count_failed=7,
        installations=3,
        installations_failed=3,
        installations_observable=50,
        hours_observable=9000,
    ),
    "events_per_day": PerDay(
        week=WEEK,
        platform="slack",
        installations=3,
        installation_days=3,
        total=7,
        p10=1,
        p25=1,
        median=1,
        p75=1,
        p90=1,
        p99=1,
        days_left_out=100,
    ),
    "notification_failures": Failure(
        week=WEEK,
        platform="slack",
        what="event",
        reason="unreachable",
        failed=7,
        attempts=9,
        rate=7 / 9,
        installations=3,
        installations_failed=3,
        installations_observed=30,
        installations_unobserved=0,
        failed_all=7,
    ),
    "configuration_errors": Misconfigured(
        week=WEEK,
        reason="missing",
        field="token",
        platform="slack",
        count=7,
        installations=3,
        installations_observable=99,
        share=3 / 99,
    ),
}


@pytest.mark.parametrize("name", FEW_ROWS)
def test_nothing_is_told_in_a_row_of_few(name: str) -> None:
    few: dict[str, Any] = {name: [FEW_ROWS[name]]}
    (row,) = written(of_platform(**few))[name]
    about = {"week", "is_complete", "installations_all", *FEW_ROWS[name].KEYS}

    assert {text for column, text in row.items() if column not in about} == {"withheld"}


@pytest.mark.parametrize(
    ("used", "observable", "told"),
    [
        (50, 90, (50, 90, 900)),
        # Of all: the hours of all less these can be few, or of few that were idle for a while.
        (50, 99, (50, 99, WITHHELD)),
        # Of the 40 that have its platform.
        (35, 94, (35, 94, 900)),
        (36, 94, (WITHHELD, 94, 900)),
        (39, 94, (WITHHELD, 94, 900)),
        (40, 94, (40, 94, 900)),
        (50, 96, (50, WITHHELD, WITHHELD)),
        (88, 90, (WITHHELD, 90, 900)),
        (96, 96, (WITHHELD, WITHHELD, WITHHELD)),
        (99, 99, (99, 99, WITHHELD)),
    ],
)
def test_commands_do_not_tell_of_few_that_could_not_show_or_did_not_use_them(
    used: int, observable: int, told: tuple[Told, Told, Told]
) -> None:
    row = evolve(
        FEW_ROWS["commands"],
        installations=used,
        installations_observable=observable,
        hours_observable=900,
        count=700,
    )
    (one,) = of_platform(commands=[row]).commands

    assert (one.installations, one.installations_observable, one.hours_observable) == told
    assert one.count == 700


@pytest.mark.parametrize(("count", "is_told"), [(36, False), (39, False), (40, True), (90, True)])
def test_how_often_does_not_tell_how_many_at_most_where_that_is_withheld(
    count: int, *, is_told: bool
) -> None:
    """Of forty who have the platform all but one to four: that may be 36 to 39."""
    never = {"count_failed": 0, "installations_failed": 0}
    row = evolve(FEW_ROWS["commands"], installations=36, count=count, **never)
    fault = evolve(FEW_ROWS["configuration_errors"], installations=96, count=count + 59)
    shown = of_platform(commands=[row], configuration_errors=[fault])

    assert [shown.commands[0].count, shown.configuration_errors[0].count] == (
        [count, count + 59] if is_told else [WITHHELD, WITHHELD]
    )


@pytest.mark.parametrize(("again", "is_told"), [(0, True), (52, False), (50, True)])
def test_who_alone_failed_does_not_tell_how_many_at_most_did_anything(
    again: int, *, is_told: bool
) -> None:
    """Of ninety times fifty more than one for each who failed leave forty: so many at most."""
    failed = {"installations_failed": 20, "count_failed": 20 + again}
    row = evolve(FEW_ROWS["commands"], installations=36, count=90, **failed)
    tried = evolve(
        FEW_ROWS["notification_failures"],
        installations=20,
        installations_failed=20,
        failed=20 + again,
        attempts=90,
        installations_observed=36,
    )
    shown = of_platform(commands=[row], notification_failures=[tried])

    assert (shown.commands[0].count, shown.notification_failures[0].attempts) == (
        (90, 90) if is_told else (WITHHELD, WITHHELD)
    )


@pytest.mark.parametrize(("failed", "is_told"), [(35, True), (36, False), (39, False), (40, True)])
def test_how_often_a_command_failed_does_not_tell_of_how_many_at_most(
    failed: int, *, is_told: bool
) -> None:
    """All forty used it, and those of whom it failed once each: so all but one to four."""
    failures = {"installations_failed": failed, "count_failed": failed}
    row = evolve(FEW_ROWS["commands"], installations=40, count=90, **failures)
    (one,) = of_platform(commands=[row]).commands

    assert (one.installations, one.count) == (40, 90)
    assert {one.installations_failed, one.count_failed} == {failed if is_told else WITHHELD}


@pytest.mark.parametrize("used", [6, 7, 8, 10, 11])
def test_all_but_few_of_two_that_are_near_each_other_are_withheld_alike(used: int) -> None:
    """Eleven could show it, twelve have the platform: seven is all but few of the eleven alone."""
    row = evolve(FEW_ROWS["commands"], installations=used, count=90, installations_observable=11)
    (one,) = of_platform(users=12, commands=[row]).commands

    assert (one.installations, one.count) == ((6, 90) if used == 6 else (WITHHELD, WITHHELD))


@pytest.mark.parametrize(("users", "is_told"), [(9, False), (12, False), (13, True)])
def test_who_could_show_a_command_does_not_tell_how_many_at_most_used_it(
    users: int, *, is_told: bool
) -> None:
    row = evolve(FEW_ROWS["commands"], installations=8, count=90, installations_observable=8)
    (one,) = of_platform(users=users, commands=[row]).commands

    assert (one.installations, one.count) == ((8, 90) if is_told else (WITHHELD, WITHHELD))


@pytest.mark.parametrize(("failed", "told"), [(36, WITHHELD), (39, WITHHELD), (40, 40)])
def test_failures_do_not_tell_how_many_failed_at_most(failed: int, told: Told) -> None:
    row = evolve(
        FEW_ROWS["notification_failures"],
        installations=36,
        installations_failed=36,
        installations_observed=37,
        failed=failed,
        attempts=900,
    )
    (one,) = of_platform(notification_failures=[row]).notification_failures

    assert (one.installations_failed, one.failed) == (WITHHELD, told)


@pytest.mark.parametrize(("failed", "told"), [(36, WITHHELD), (39, WITHHELD), (40, 40)])
def test_failures_do_not_tell_how_many_of_those_with_whole_days_failed_at_most(
    failed: int, told: Told
) -> None:
    """Of sixty who have the platform forty have whole days, and all but few of these failed."""
    days = evolve(FEW_ROWS["events_per_day"], installations=40, installation_days=200)
    row = evolve(
        FEW_ROWS["notification_failures"],
        installations=36,
        installations_failed=36,
        installations_observed=37,
        failed=failed,
        attempts=900,
    )
    shown = of_platform(users=60, events_per_day=[days], notification_failures=[row])
    (one,) = shown.notification_failures

    assert shown.events_per_day[0].installations == 40
    assert (one.installations_failed, one.failed) == (WITHHELD, told)


def test_nothing_is_told_of_who_tried_where_all_that_failed_did() -> None:
    """Seven of eight have tried, and failed."""
    row = evolve(
        FEW_ROWS["notification_failures"],
        installations=7,
        installations_failed=7,
        installations_observed=7,
        attempts=900,
    )
    (one,) = of_platform(users=8, notification_failures=[row]).notification_failures

    assert {one.installations, one.failed_all, one.installations_observed} == {WITHHELD}


@pytest.mark.parametrize(("attempts", "told"), [(257, WITHHELD), (258, 142)])
def test_who_failed_of_several_reasons_does_not_tell_who_tried(attempts: int, told: Told) -> None:
    """So often some failed again that no more than 23 of the 24 can have tried, or just 24."""
    row = evolve(
        FEW_ROWS["notification_failures"],
        installations=11,
        installations_failed=11,
        installations_observed=20,
        failed=142,
        attempts=attempts,
    )
    other = evolve(row, reason="other", installations=9, installations_failed=9, failed=112)
    rows = of_platform(users=24, notification_failures=[row, other]).notification_failures

    assert rows[0].failed == told
    assert (rows[1].failed is WITHHELD) == (told is WITHHELD)


def test_how_often_somebody_failed_of_a_reason_that_is_withheld_bounds_nothing() -> None:
    """Of three, one is of few, and another covers it: only the third tells who failed again."""
    row = evolve(
        FEW_ROWS["notification_failures"],
        installations=11,
        installations_failed=11,
        installations_observed=20,
        failed=130,
        attempts=290,
    )
    few = evolve(row, reason="few", installations=3, installations_failed=3, failed=140)
    cover = evolve(row, reason="cover", installations=9, installations_failed=9, failed=20)
    rows = of_platform(users=24, notification_failures=[row, cover, few]).notification_failures

    assert [one.failed for one in rows] == [130, WITHHELD, WITHHELD]


def test_of_those_of_whom_it_is_withheld_how_many_they_are_nobody_says_who_are_all_but_few() -> (
    None
):
    """Had it been of one that could not show it, 54 could not be told: so it would be four."""
    row = evolve(FEW_ROWS["commands"], installations=94, count=200, installations_observable=99)
    other = evolve(row, installations=94, installations_observable=96)
    fault = evolve(
        FEW_ROWS["configuration_errors"], installations=94, count=200, installations_observable=96
    )
    shown = of_platform(
        commands=[evolve(row, platform="unknown"), evolve(other, platform="unknown")],
        configuration_errors=[fault],
    )

    assert [(one.installations, one.installations_observable) for one in shown.commands] == [
        (94, 99),
        (94, WITHHELD),
    ]
    assert [one.installations for one in shown.configuration_errors] == [94]


@pytest.mark.parametrize(("users", "is_told"), [(6, False), (8, False), (9, True)])
def test_all_but_few_of_hardly_more_are_not_told_apart_from_few(
    users: int, *, is_told: bool
) -> None:
    """Of six a number that is not of few, and not of all, is five."""
    many = users - 1
    used = evolve(FEW_ROWS["commands"], installations=many, count=70, installations_observable=50)
    days = evolve(FEW_ROWS["events_per_day"], installations=many, installation_days=7 * many)
    failed = evolve(
        FEW_ROWS["notification_failures"],
        installations=many,
        installations_failed=many,
        installations_observed=many,
        failed=90,
        attempts=900,
    )
    shown = of_platform(
        users=users,
        commands=[used],
        events_per_day=[evolve(days, days_left_out=49)],
        notification_failures=[failed],
    )

    assert shown.commands[0].installations is WITHHELD
    assert shown.events_per_day[0].installations is WITHHELD
    assert [
        shown.commands[0].count,
        shown.events_per_day[0].days_left_out,
        shown.notification_failures[0].attempts,
    ] == ([70, 49, 900] if is_told else [WITHHELD] * 3)


@pytest.mark.parametrize(
    ("users", "told"),
    [
        (44, {"p25", "median", "p75"}),
        (45, {"p10", "p25", "median", "p75", "p90"}),
        (90, {"p10", "p25", "median", "p75", "p90"}),
    ],
)
def test_a_quantile_does_not_tell_how_many_days_there_are_at_least(
    users: int, told: Set[str]
) -> None:
    """Beside 10 % of them lie 28: of 281 days, which 41 installations have."""
    named: dict[str, Any] = dict.fromkeys(QUANTILES, 7)
    row = evolve(
        FEW_ROWS["events_per_day"], installations=users - 1, installation_days=7 * users - 7
    )
    (one,) = of_platform(
        users=users,
        events_per_day=[evolve(row, **named)],
        completeness=[Completeness(week=WEEK, reason="observed", hours=900, installations=99)],
    ).events_per_day

    assert one.installations is WITHHELD
    assert {name for name in QUANTILES if getattr(one, name) == 7} == told


@pytest.mark.parametrize("users", [42, 43, 44, 45])
def test_a_quantile_does_not_tell_how_many_have_a_sink_where_that_is_withheld(users: int) -> None:
    """Who has it and of whom it is unknown are all 46: so the unknown are one to four."""
    row = evolve(FEW_ROWS["events_per_day"], platform="webhook", installation_days=287)
    answers = Answers(
        [Active(week=WEEK, installations=46)],
        integrations=[integration(users, 0, 46 - users, "webhook", "sink")],
        events_per_day=[evolve(row, installations=42)],
        completeness=[Completeness(week=WEEK, reason="observed", hours=900, installations=46)],
    )
    shown = withhold(answers, 5)

    assert [one.installations for one in shown.integrations] == [WITHHELD]
    assert [one.p10 for one in shown.events_per_day] == [1]


@pytest.mark.parametrize(("observed", "is_told"), [(44, False), (45, True)])
def test_a_quantile_does_not_tell_how_many_of_those_observed_have_days_at_least(
    observed: int, *, is_told: bool
) -> None:
    """Of 44 observed 41 at least would have the 281 days: so one to three have none."""
    row = evolve(
        FEW_ROWS["events_per_day"], installations=observed - 1, installation_days=7 * observed - 7
    )
    hours = Completeness(week=WEEK, reason="observed", hours=900, installations=observed)
    (one,) = of_platform(users=60, events_per_day=[row], completeness=[hours]).events_per_day

    assert (one.installations, one.median) == (WITHHELD, 1)
    assert {one.p10, one.p90} == {1 if is_told else WITHHELD}


@pytest.mark.parametrize(
    ("users", "is_whole", "told"), [(60, False, WITHHELD), (61, False, 1), (60, True, 1)]
)
def test_of_a_week_that_is_not_whole_a_quantile_does_not_tell_how_many_have_days_at_least(
    users: int, *, is_whole: bool, told: Told
) -> None:
    """Beside a median lie 28: 57 days are of as many, where the data have but one of the week."""
    row = evolve(FEW_ROWS["events_per_day"], installations=57, installation_days=57)
    hours = Completeness(
        week=WEEK,
        is_complete=False,
        reason="observed",
        hours=900,
        installations=99,
        is_whole=is_whole,
    )
    (one,) = of_platform(users=users, events_per_day=[row], completeness=[hours]).events_per_day

    assert (one.installations, one.median) == (WITHHELD, told)


@pytest.mark.parametrize(
    ("days", "left_out", "told"),
    [(313, 36, WITHHELD), (313, 37, 313), (313, 60, 313), (285, 36, 285)],
)
def test_days_that_were_left_out_do_not_tell_which_were_none(
    days: int, left_out: int, told: Told
) -> None:
    row = evolve(
        FEW_ROWS["events_per_day"],
        installations=50,
        installation_days=days,
        days_left_out=left_out,
    )
    observed = Completeness(week=WEEK, reason="observed", hours=900, installations=99)
    (one,) = of_platform(events_per_day=[row], completeness=[observed]).events_per_day

    assert one.installation_days == told


@pytest.mark.parametrize(("days", "told"), [(355, WITHHELD), (250, 250)])
def test_days_left_out_of_others_do_not_tell_which_were_none(days: int, told: Told) -> None:
    """Five of sixty have no whole day, and one of the others none on Wednesday."""
    row = evolve(
        FEW_ROWS["events_per_day"], installations=55, installation_days=days, days_left_out=64
    )
    observed = Completeness(week=WEEK, reason="observed", hours=900, installations=99)
    shown = of_platform(users=60, events_per_day=[row], completeness=[observed])

    assert [one.installation_days for one in shown.events_per_day] == [told]


@pytest.mark.parametrize(("left_out", "told"), [(334, 330), (335, WITHHELD), (340, WITHHELD)])
def test_days_left_out_do_not_tell_of_few_that_had_whole_days_without_the_platform(
    left_out: int, told: Told
) -> None:
    """Of 693 that all 99 have, 28 that are neither left out nor of Slack can be of four alone."""
    row = evolve(
        FEW_ROWS["events_per_day"],
        installations=55,
        installation_days=330,
        days_left_out=left_out,
    )
    observed = Completeness(week=WEEK, reason="observed", hours=900, installations=99)
    (one,) = of_platform(users=60, events_per_day=[row], completeness=[observed]).events_per_day

    assert (one.installations, one.installation_days, one.days_left_out) == (55, told, left_out)


@pytest.mark.parametrize(("clusters", "told"), [(85, 10), (86, WITHHELD), (90, WITHHELD)])
def test_clusters_do_not_tell_of_few_that_several_name(clusters: int, told: Told) -> None:
    active = Active(
        week=WEEK, installations=100, clusters=clusters, installations_without_cluster=10
    )
    (one,) = withhold(Answers([active]), 5).active_installations

    assert (one.installations, one.installations_without_cluster) == (100, told)


@pytest.mark.parametrize(
    ("able", "told"), [(80, 80), (79, WITHHELD), (76, WITHHELD), (75, 75), (90, 90)]
)
def test_commands_do_not_tell_of_few_whose_version_is_known_and_that_could_not_show_them(
    able: int, told: Told
) -> None:
    """Who could show commands told its version, too."""
    row = evolve(FEW_ROWS["commands"], installations=20, installations_observable=able)
    versions = [
        Version(week=WEEK, botkube_version=name, installations=many, installations_all=99)
        for name, many in (("v1.14.0", 80), ("unknown", 19))
    ]
    (one,) = of_platform(commands=[row], version_adoption=versions).commands

    assert (one.installations, one.installations_observable) == (20, told)


@pytest.mark.parametrize(("days", "told"), [(28, 28), (30, WITHHELD), (32, WITHHELD), (33, 28)])
def test_attempts_do_not_tell_of_few_that_had_whole_days_and_tried_nothing(
    days: int, told: Told
) -> None:
    shown = of_platform(
        events_per_day=[
            evolve(FEW_ROWS["events_per_day"], installations=days, installation_days=100)
        ],
        notification_failures=[
            evolve(
                FEW_ROWS["notification_failures"],
                installations=20,
                installations_failed=20,
                installations_observed=28,
            )
        ],
    )

    assert shown.events_per_day[0].installations == days
    assert shown.notification_failures[0].installations_observed == told


@pytest.mark.parametrize(("attempts", "told"), [(36, WITHHELD), (39, WITHHELD), (40, 40)])
def test_attempts_do_not_tell_how_many_of_those_with_whole_days_tried_at_most(
    attempts: int, told: Told
) -> None:
    """Of sixty who have the platform forty have whole days, and all but few of these tried."""
    days = evolve(FEW_ROWS["events_per_day"], installations=40, installation_days=200)
    row = evolve(
        FEW_ROWS["notification_failures"],
        installations=20,
        installations_failed=20,
        installations_observed=36,
        failed=20,
        attempts=attempts,
    )
    shown = of_platform(users=60, events_per_day=[days], notification_failures=[row])
    (one,) = shown.notification_failures

    assert shown.events_per_day[0].installations == 40
    assert (one.installations_observed, one.attempts) == (WITHHELD, told)


@pytest.mark.parametrize(("failed", "told"), [(30, 30), (39, WITHHELD)])
def test_who_failed_does_not_tell_who_at_least_tried_where_that_is_withheld(
    failed: int, told: Told
) -> None:
    """So few have the platform and did not try, or did not run the command."""
    row = evolve(FEW_ROWS["commands"], installations=39, installations_failed=failed, count=90)
    tried = evolve(
        FEW_ROWS["notification_failures"],
        installations=failed,
        installations_failed=failed,
        installations_observed=39,
        attempts=900,
    )
    shown = of_platform(commands=[row], notification_failures=[tried])
    (command,), (failure,) = shown.commands, shown.notification_failures

    assert (command.installations, failure.installations_observed) == (WITHHELD, WITHHELD)
    assert (command.installations_failed, failure.installations_failed) == (told, told)
    assert failure.installations == told


def test_who_failed_does_not_tell_who_has_a_bot_where_that_is_withheld() -> None:
    bot = integration(59, 1, 0, "slack")
    row = evolve(
        FEW_ROWS["notification_failures"],
        installations=59,
        installations_failed=59,
        installations_observed=59,
        failed=70,
        attempts=900,
    )
    active = [Active(week=WEEK, installations=60)]
    answers = Answers(active, integrations=[bot], notification_failures=[row])
    (one,) = withhold(answers, 5).notification_failures

    assert {one.installations, one.installations_failed, one.installations_observed} == {WITHHELD}
    assert one.failed == 70


@pytest.mark.parametrize(("met", "told"), [(40, 40), (58, WITHHELD)])
def test_who_crashed_does_not_tell_who_at_least_ran_a_version_where_that_is_withheld(
    met: int, told: Told
) -> None:
    answers = Answers(
        active_installations=[Active(week=WEEK, installations=60)],
        version_adoption=[
            Version(week=WEEK, botkube_version=name, installations=many, installations_all=60)
            for name, many in (("v1.13.0", 50), ("v1.14.0", 10))
        ],
        crashes=[
            Crashes(
                week=WEEK,
                botkube_version="v1.13.0",
                crashes=met,
                installation_hours=900,
                per_1000_hours=met / 0.9,
                installations=58,
                installations_crashed=met,
            )
        ],
        crash_kinds=[
            CrashKind(
                week=WEEK, botkube_version="v1.13.0", kind="panic", crashes=met, installations=met
            )
        ],
    )
    shown = withhold(answers, 5)
    ((row,), (kind,)) = shown.crashes, shown.crash_kinds

    assert (row.installations, row.crashes, kind.crashes) == (WITHHELD, met, met)
    assert (row.installations_crashed, kind.installations) == (told, told)


@pytest.mark.parametrize(("many", "is_told"), [(94, True), (95, False), (98, False), (99, True)])
def test_a_fault_that_all_but_few_have_does_not_tell_of_these(many: int, is_told: bool) -> None:
    row = evolve(FEW_ROWS["configuration_errors"], installations=many, share=many / 99)
    (one,) = of_platform(configuration_errors=[row]).configuration_errors

    assert (one.installations, one.share) == (
        (many, many / 99) if is_told else (WITHHELD, WITHHELD)
    )


@pytest.mark.parametrize(("many", "is_told"), [(35, True), (36, False), (39, False), (40, True)])
def test_days_and_attempts_do_not_tell_of_few_users_without(many: int, is_told: bool) -> None:
    shown = of_platform(
        events_per_day=[
            evolve(
                FEW_ROWS["events_per_day"],
                installations=many,
                installation_days=7 * many,
                days_left_out=0,
            )
        ],
        notification_failures=[
            evolve(
                FEW_ROWS["notification_failures"],
                installations=20,
                installations_failed=20,
                installations_observed=many,
                attempts=900,
            )
        ],
    )
    (days,), (failed,) = shown.events_per_day, shown.notification_failures

    told = (many, 7 * many) if is_told else (WITHHELD, WITHHELD)
    assert (days.installations, days.installation_days) == told
    assert failed.installations_observed == (many if is_told else WITHHELD)


@pytest.mark.parametrize(("many", "is_told"), [(75, True), (76, False), (79, False), (80, True)])
def test_nothing_tells_of_few_that_were_observed_otherwise(many: int, is_told: bool) -> None:
    observed = Completeness(week=WEEK, reason="observed", hours=900, share=0.9, installations=80)
    shown = of_platform(
        completeness=[observed],
        commands=[
            evolve(FEW_ROWS["commands"], installations=used, installations_observable=of)
            for used, of in ((9, many), (many, 90))
        ],
        events_per_day=[
            evolve(
                FEW_ROWS["events_per_day"],
                platform="unknown",
                installations=many,
                installation_days=7 * many,
            )
        ],
        configuration_errors=[
            evolve(FEW_ROWS["configuration_errors"], installations=9, installations_observable=many)
        ],
        notification_failures=[
            evolve(
                FEW_ROWS["notification_failures"],
                platform="teams",
                installations=20,
                installations_failed=20,
                installations_observed=many,
            )
        ],
    )

    told = {
        shown.commands[0].installations_observable,
        shown.commands[1].installations,
        shown.events_per_day[0].installations,
        shown.configuration_errors[0].installations_observable,
        shown.notification_failures[0].installations_observed,
    }
    assert told == {many if is_told else WITHHELD}


@pytest.mark.parametrize(
    ("days", "told"), [(181, 181), (182, WITHHELD), (204, WITHHELD), (209, WITHHELD), (210, 210)]
)
def test_days_that_lack_so_few_that_they_are_of_few_are_not_told(days: int, told: Told) -> None:
    row = evolve(FEW_ROWS["events_per_day"], installations=30, installation_days=days)
    (one,) = of_platform(events_per_day=[row]).events_per_day

    assert (one.installations, one.installation_days) == (30, told)


@pytest.mark.parametrize(
    ("days", "is_whole", "told"),
    [
        (91, False, 91),
        (92, False, WITHHELD),  # 8 of the days that fifty have in two days of data
        (99, False, WITHHELD),
        (100, False, 100),
        (137, False, 137),
        (138, False, WITHHELD),
        (149, False, WITHHELD),
        (92, True, 92),
        (149, True, 149),
        (322, True, WITHHELD),
    ],
)
def test_of_a_week_that_is_not_whole_nobody_says_how_many_days_all_would_be(
    days: int, *, is_whole: bool, told: Told
) -> None:
    observed = Completeness(
        week=WEEK,
        is_complete=False,
        reason="observed",
        hours=900,
        installations=99,
        is_whole=is_whole,
    )
    row = evolve(
        FEW_ROWS["events_per_day"], installations=50, installation_days=days, days_left_out=0
    )
    (one,) = of_platform(events_per_day=[row], completeness=[observed]).events_per_day

    assert (one.installations, one.installation_days) == (50, told)


@pytest.mark.parametrize(
    ("many", "is_told"),
    [(94, True), (95, False), (98, False), (99, True), (100, False), (103, False), (104, True)],
)
def test_observed_hours_do_not_tell_of_few_without_or_with_no_botkube(
    many: int, is_told: bool
) -> None:
    row = Completeness(week=WEEK, reason="observed", hours=900, share=0.9, installations=many)
    (one,) = of_platform(completeness=[row]).completeness

    assert (one.hours, one.share) == (900, 0.9)
    assert one.installations == (many if is_told else WITHHELD)


@pytest.mark.parametrize(("left_out", "total"), [(0, 7), (1, WITHHELD), (100, WITHHELD)])
def test_events_of_days_left_out_are_not_what_the_attempts_have_more(
    left_out: int, total: Told
) -> None:
    row = evolve(FEW_ROWS["events_per_day"], installations=20, days_left_out=left_out)
    (one,) = of_platform(events_per_day=[row]).events_per_day

    assert one.total == total


def test_the_part_of_a_count_that_is_of_few_is_not_told() -> None:
    row = Command(
        week=WEEK,
        platform="slack",
        command="get",
        count=900,
        count_failed=7,
        installations=60,
        installations_failed=4,
    )
    active = [Active(week=WEEK, installations=99)]
    (told,) = withhold(Answers(active, commands=[row]), 5).commands

    assert (told.count, told.count_failed, told.installations_failed) == (900, WITHHELD, WITHHELD)


@pytest.mark.parametrize("observed", [1, 4, None])
def test_attempts_of_few_observed_are_not_told_whoever_else_failed(observed: int | None) -> None:
    row = Failure(
        week=WEEK,
        platform="mattermost",
        what="event",
        reason="rate_limited",
        failed=30,
        failed_all=180,
        attempts=6216,
        rate=30 / 6216,
        installations=60,
        installations_observed=observed,
    )
    active = [Active(week=WEEK, installations=99)]
    (told,) = withhold(Answers(active, notification_failures=[row]), 5).notification_failures

    assert {told.failed, told.attempts, told.rate, told.installations_observed} == {WITHHELD}
    assert (told.failed_all, told.installations) == (180, 60)


def crashed(version: str, crashes: int, of_all: int, *kinds: tuple[str, int, int]) -> Shown:
    """Return what is told of a version that all fifty run for a while, and its kinds."""
    answers = Answers(
        active_installations=[Active(week=WEEK, installations=50)],
        version_adoption=[
            Version(week=WEEK, botkube_version="v1.14.0", installations=50, installations_all=50)
        ],
        crashes=[
            Crashes(
                week=WEEK,
                botkube_version=version,
                crashes=crashes,
                installation_hours=900,
                per_1000_hours=crashes / 0.9,
                installations=50,
                installations_crashed=of_all,
            )
        ],
        crash_kinds=[
            CrashKind(week=WEEK, botkube_version=version, kind=kind, crashes=many, installations=of)
            for kind, many, of in kinds
        ],
    )
    return withhold(answers, 5)


@pytest.mark.parametrize(
    ("at_its_end", "told"), [(50, 50), (46, WITHHELD), (45, 50), (54, WITHHELD), (55, 50)]
)
def test_crashes_do_not_tell_of_few_that_left_a_version_or_could_show_none(
    at_its_end: int, told: Told
) -> None:
    versions = [("v1.14.0", at_its_end), ("v1.13.0", 20)]
    answers = Answers(
        active_installations=[Active(week=WEEK, installations=at_its_end + 20)],
        version_adoption=[
            Version(week=WEEK, botkube_version=one, installations=many) for one, many in versions
        ],
        crashes=[
            Crashes(
                week=WEEK,
                botkube_version="v1.14.0",
                crashes=9,
                installation_hours=900,
                installations=50,
                installations_crashed=9,
            )
        ],
    )
    (one,) = withhold(answers, 5).crashes

    assert (one.installations, one.crashes, one.installations_crashed) == (told, 9, 9)


@pytest.mark.parametrize(
    ("everyone", "observed", "is_told"),
    [
        *((28, 28, True), (29, 29, False), (32, 32, False), (33, 33, True)),
        # Of those that were observed; of five more it is not known what they ran.
        *((38, 28, True), (38, 29, False), (38, 32, False), (38, 33, True)),
    ],
)
def test_crashes_do_not_tell_of_few_that_never_ran_a_version(
    everyone: int, observed: int, is_told: bool
) -> None:
    answers = Answers(
        active_installations=[Active(week=WEEK, installations=everyone)],
        version_adoption=[Version(week=WEEK, botkube_version="v1.13.0", installations=22)],
        crashes=[
            Crashes(
                week=WEEK,
                botkube_version="v1.13.0",
                crashes=0,
                installation_hours=4128,
                installations=28,
                installations_all=everyone,
            )
        ],
        completeness=[
            Completeness(
                week=WEEK, reason="observed", hours=4128, share=0.9, installations=observed
            )
        ],
    )
    (one,) = withhold(answers, 5).crashes

    assert one.installations == (28 if is_told else WITHHELD)
    assert one.installation_hours == 4128


def ran(
    versions: Mapping[str, int], hours: Mapping[str, tuple[int, int]], observed: int = 0
) -> Shown:
    """Return what is told of who runs which version, and of who ran it, for how many hours."""
    everyone = sum(versions.values())
    answers = Answers(
        active_installations=[Active(week=WEEK, installations=max(everyone, 9))],
        version_adoption=[
            Version(week=WEEK, botkube_version=one, installations=many, installations_all=everyone)
            for one, many in versions.items()
        ],
        crashes=[
            Crashes(
                week=WEEK,
                botkube_version=one,
                crashes=0,
                installation_hours=many,
                installations=whose,
            )
            for one, (whose, many) in hours.items()
        ],
        completeness=[
            Completeness(
                week=WEEK, reason="observed", hours=observed, share=1, installations=everyone
            )
        ],
    )
    return withhold(answers, 5)


@pytest.mark.parametrize("of_few", [3, 6])
def test_crashes_do_not_tell_who_runs_a_version_that_is_withheld(of_few: int) -> None:
    # To withhold v3's 600 hours beside v1's would be cheaper than v2's 900.
    shown = ran(
        {"v1": 3, "v2": 8, "v3": 20}, {"v1": (of_few, 500), "v2": (8, 900), "v3": (20, 600)}
    )

    assert [one.installations for one in shown.version_adoption] == [WITHHELD, WITHHELD, 20]
    assert [one.installations for one in shown.crashes] == [WITHHELD, WITHHELD, 20]
    assert [one.installation_hours for one in shown.crashes] == [WITHHELD, WITHHELD, 600]


@pytest.mark.parametrize(
    ("observed", "told"), [(1500, [500, 900, 100]), (1503, [500, 900, WITHHELD])]
)
def test_hours_in_which_crashes_were_withheld_are_not_what_is_left_of_all(
    observed: int, told: list[Told]
) -> None:
    shown = ran(
        {"v1": 30, "v2": 40, "v3": 20},
        {"v1": (30, 500), "v2": (40, 900), "v3": (20, 100)},
        observed=observed,
    )

    assert [one.installation_hours for one in shown.crashes] == told
    assert shown.completeness[0].hours == observed


@pytest.mark.parametrize(("able", "told"), [(90, (90, 19 / 90)), (97, (WITHHELD, 19 / 99))])
def test_how_few_could_show_no_fault_is_not_told(able: int, told: tuple[Told, Told]) -> None:
    row = evolve(
        FEW_ROWS["configuration_errors"],
        installations=19,
        installations_observable=able,
        share=19 / able,
    )
    active = [Active(week=WEEK, installations=99)]
    (one,) = withhold(Answers(active, configuration_errors=[row]), 5).configuration_errors

    assert one.installations == 19
    assert (one.installations_observable, one.share) == told


@pytest.mark.parametrize(("able", "told"), [(0, 0), (1, WITHHELD), (4, WITHHELD), (5, 5)])
def test_how_few_could_show_a_fault_is_not_told(able: int, told: Told) -> None:
    # That others have it is told of windows that hold some faults back, or have no report.
    row = evolve(
        FEW_ROWS["configuration_errors"],
        installations=19,
        installations_observable=able,
        share=None,
    )
    active = [Active(week=WEEK, installations=99)]
    (one,) = withhold(Answers(active, configuration_errors=[row]), 5).configuration_errors

    assert (one.installations, one.installations_observable, one.share) == (19, told, None)


@pytest.mark.parametrize("able", [0, 50, 94])
def test_of_those_that_could_show_no_fault_many_may_have_one_and_how_often_is_told(
    able: int,
) -> None:
    row = evolve(
        FEW_ROWS["configuration_errors"],
        installations=96,
        installations_observable=able,
        count=200,
        share=None,
    )
    (one,) = of_platform(configuration_errors=[row]).configuration_errors

    assert (one.installations, one.installations_observable, one.count) == (WITHHELD, able, 200)


def test_crashes_are_not_told_of_a_week_whose_versions_are_not() -> None:
    shown = ran({"v1": 4}, {"v1": (9, 900)})

    assert (shown.version_adoption, shown.crashes) == ((), ())


@pytest.mark.parametrize(
    ("version", "crashes", "of_all", "kinds"),
    [
        ("several", 1, 1, []),
        ("unknown", 30, 10, []),
        ("v1.14.0", 2, 1, [("panic", 1, 1), ("oom", 1, 1)]),
        ("v1.14.0", 30, 2, [("panic", 15, 1), ("oom", 15, 1)]),
    ],
)
def test_crashes_of_few_that_crashed_are_not_told_however_many_run_it(
    version: str, crashes: int, of_all: int, kinds: list[tuple[str, int, int]]
) -> None:
    (told,) = crashed(version, crashes, of_all, *kinds).crashes

    assert {told.crashes, told.per_1000_hours, told.installations_crashed} == {WITHHELD}
    assert told.installation_hours == 900


@pytest.mark.parametrize("between", [-20, -8, -1, 1, 8])
def test_kinds_do_not_give_away_crashes_between_versions(between: int) -> None:
    shown = crashed("v1.14.0", 40 - between, 20, ("panic", 31, 20), ("oom", 9, 9))
    (told,) = shown.crashes

    assert (told.crashes, told.installations_crashed) == (40 - between, WITHHELD)
    assert [one.crashes for one in shown.crash_kinds] == [31, WITHHELD]


def test_a_kind_of_few_and_crashes_between_versions_are_not_what_is_left_of_a_row() -> None:
    shown = crashed("v1.14.0", 44, 20, ("panic", 40, 20), ("oom", 2, 2))

    # With the 40 told the two others are four together, so that neither could be five.
    assert [one.crashes for one in shown.crashes] == [44]
    assert [one.crashes for one in shown.crash_kinds] == [WITHHELD, WITHHELD]


def test_kinds_are_left_out_if_not_even_one_can_be_withheld() -> None:
    shown = crashed("v1.14.0", 0, 0, ("panic", 2, 2), ("oom", 2, 2))

    assert [one.crashes for one in shown.crashes] == [0]
    assert shown.crash_kinds == ()


def test_several_hidden_numbers_give_way_together() -> None:
    """No large one is withheld for what the small ones can be among themselves."""
    minors = {"1.25": 1, "1.27": 4, "1.28": 4, "1.29": 13, "1.30": 16, "1.31": 69}
    shown = on_minors(minors)

    withheld = {one.kubernetes_minor for one in shown if one.installations is WITHHELD}
    assert withheld == {"1.25", "1.27", "1.28"}


def test_what_is_hidden_must_give_way_as_far_as_each_must_go() -> None:
    # With 1 and 2 alone the 2 could be no 5.
    shown = on_minors({"1.25": 1, "1.27": 2, "1.29": 13, "1.30": 84})

    assert sum(one.installations is WITHHELD for one in shown) == 3


def on_minors(minors: Mapping[str, int]) -> Sequence[Minor]:
    everyone = sum(minors.values())
    places = [
        Kubernetes(
            week=WEEK,
            kubernetes_minor=minor,
            distribution="eks",
            installations=many,
            installations_all=everyone,
        )
        for minor, many in minors.items()
    ]
    active = [Active(week=WEEK, installations=everyone)]
    return withhold(Answers(active, kubernetes_adoption=places), 5).kubernetes_minors


def test_who_crashed_in_all_is_not_told_beside_a_kind_that_is_withheld() -> None:
    shown = crashed("v1.14.0", 60, 9, ("panic", 40, 6), ("oom", 12, 6), ("unknown", 8, 3))
    (told,) = shown.crashes

    assert told.installations_crashed is WITHHELD
    assert {one.kind for one in shown.crash_kinds if one.crashes is WITHHELD} == {"unknown", "oom"}


@pytest.mark.parametrize(
    ("panic", "oom", "crashed_in_all", "is_told"),
    [
        (14, 12, 14, False),  # two by the one alone
        (10, 6, 12, False),  # four by both
        (10, 6, 16, True),
        (10, 7, 17, True),
        (14, 12, 20, True),
    ],
)
def test_kinds_do_not_tell_of_few_that_crashed_in_one_way_or_in_several(
    panic: int, oom: int, crashed_in_all: int, is_told: bool
) -> None:
    shown = crashed("v1.14.0", 60, crashed_in_all, ("panic", 40, panic), ("oom", 20, oom))

    assert [one.installations for one in shown.crash_kinds] == [panic, oom]
    assert shown.crashes[0].installations_crashed == (crashed_in_all if is_told else WITHHELD)


some_kinds = st.dictionaries(
    st.sampled_from(("panic", "oom", "killed")), st.tuples(st.integers(1, 20), st.integers(1, 20))
)


@given(
    st.dictionaries(
        st.sampled_from(("v1.12.0", "v1.13.0", "v1.14.0")),
        st.tuples(st.integers(1, 40), st.integers(1, 500), some_kinds, st.integers(-20, 20)),
        min_size=1,
    ),
    st.integers(2, 5),
)
def test_crashes_of_few_cannot_be_found_by_subtraction(
    versions: dict[str, tuple[int, int, dict[str, tuple[int, int]], int]], least: int
) -> None:
    total = sum(whose for whose, *_ in versions.values())
    # What the windows of a version have more than its kinds is of windows of several.
    crashes = {
        one: max(0, more + sum(many for many, _ in kinds.values()))
        for one, (_, _, kinds, more) in versions.items()
    }
    if total < least:
        return
    answers = Answers(
        active_installations=[Active(week=WEEK, installations=total)],
        version_adoption=[
            Version(week=WEEK, botkube_version=one, installations=whose, installations_all=total)
            for one, (whose, *_) in versions.items()
        ],
        crashes=[
            Crashes(
                week=WEEK,
                botkube_version=one,
                crashes=crashes[one],
                installation_hours=hours,
                per_1000_hours=1.0,
                installations=whose,
            )
            for one, (whose, hours, *_) in versions.items()
        ],
        crash_kinds=[
            CrashKind(week=WEEK, botkube_version=one, kind=kind, crashes=many, installations=who)
            for one, (_, _, kinds, _) in versions.items()
            for kind, (many, who) in kinds.items()
        ],
    )
    tables = written(withhold(answers, least))

    hidden = {
        row["botkube_version"]
        for row in tables["version_adoption"]
        if row["installations"] == "withheld"
    }
    hours = [("all", str(sum(hours for _, hours, *_ in versions.values())))]
    parts = [(row["botkube_version"], row["installation_hours"]) for row in tables["crashes"]]
    if parts:
        one = equation(hours[0], parts)
        true = {version: hours for version, (_, hours, *_) in versions.items()}
        check([one] if one[0] else [], true, least, small=hidden)
    for row in tables["crashes"]:
        version = row["botkube_version"]
        those = [r for r in tables["crash_kinds"] if r["botkube_version"] == version]
        if version in hidden:
            assert {row["installations"], row["crashes"], row["installation_hours"]} == {"withheld"}
            assert those == []
            continue
        kinds = {kind: many for kind, (many, _) in versions[version][2].items()}
        more = crashes[version] - sum(kinds.values())
        truth: dict[Any, int] = {**kinds, "all": crashes[version], "between": abs(more)}
        if those:
            signs, known = equation(
                ("all", row["crashes"]), ((r["kind"], r["crashes"]) for r in those)
            )
            if more:
                signs = {**signs, "between": 1 if more > 0 else -1}
            small = {kind for kind, (_, who) in versions[version][2].items() if who < least}
            check([(signs, known)] if signs else [], truth, least, small={*small, "between"})
        assert (row["per_1000_hours"] == "withheld") == (row["crashes"] == "withheld")
        for r in those:
            assert r["crashes"] == "withheld" or versions[version][2][r["kind"]][1] >= least


def test_hours_of_few_are_not_what_is_left_of_all() -> None:
    rows = [
        Completeness(week=WEEK, reason=reason, hours=hours, share=hours / 1000, installations=whose)
        for reason, hours, whose in (
            ("observed", 900, 50),
            ("rotated", 80, 20),
            ("no_report", 20, 2),
        )
    ]
    active = [Active(week=WEEK, installations=50)]
    shown = withhold(Answers(active, completeness=rows), 5)

    assert [one.hours for one in shown.completeness] == [900, WITHHELD, WITHHELD]
    assert [one.share for one in shown.completeness] == [0.9, WITHHELD, WITHHELD]


def test_hours_of_few_are_not_what_all_versions_leave_of_all() -> None:
    def missing(reason: str, hours: int, whose: int) -> Completeness:
        return Completeness(
            week=WEEK, reason=reason, hours=hours, share=hours / 10080, installations=whose
        )

    active = [Active(week=WEEK, installations=60)]
    seen = missing("observed", 10075, 60)
    # That of a wrong clock is no part of the time of all: it says nothing of the others.
    rows = [seen, missing("rotated", 5, 1), missing("implausible", 40, 10)]
    run = {"v1.13.0": 20, "v1.14.0": 40}
    versions = [
        Version(week=WEEK, botkube_version=one, installations=many, installations_all=60)
        for one, many in run.items()
    ]
    crashes = [
        Crashes(
            week=WEEK,
            botkube_version=one,
            crashes=0,
            installation_hours=167.5 * many + 25 * (many == 40),
            per_1000_hours=0,
            installations=many,
            installations_crashed=0,
            installations_all=60,
        )
        for one, many in run.items()
    ]
    found = Answers(active, version_adoption=versions, completeness=rows, crashes=crashes)
    shown = withhold(found, 5)

    assert [one.hours for one in shown.completeness] == [WITHHELD, WITHHELD, 40]
    assert [one.installation_hours for one in shown.crashes] == [WITHHELD, 6725]
    # Of five nothing needs to be withheld.
    rows[1] = missing("rotated", 5, 5)
    shown = withhold(evolve(found, completeness=rows), 5)
    assert [one.hours for one in shown.completeness] == [10075, 5, 40]
    assert [one.installation_hours for one in shown.crashes] == [3350, 6725]


QUANTILES = ("p10", "p25", "median", "p75", "p90", "p99")


@pytest.mark.parametrize(
    ("days", "told"),
    [
        (56, []),  # one of fifty was observed for seven days, the others for one each
        (57, ["median"]),
        (280, ["p25", "median", "p75"]),
        (281, ["p10", "p25", "median", "p75", "p90"]),
        (2801, list(QUANTILES)),
    ],
)
def test_a_quantile_may_be_of_any_of_so_many_however_the_days_are_theirs(
    days: int, told: list[str]
) -> None:
    named: dict[str, Any] = dict.fromkeys(QUANTILES, 7)
    row = PerDay(
        week=WEEK, platform="slack", installations=50, installation_days=days, total=9, **named
    )
    (one,) = withhold(
        Answers([Active(week=WEEK, installations=50)], events_per_day=[row]), 5
    ).events_per_day

    assert [name for name in QUANTILES if getattr(one, name) == 7] == told
    assert {getattr(one, name) for name in QUANTILES} <= {7, WITHHELD}


def test_a_quantile_is_told_only_if_as_many_may_lie_beyond_it() -> None:
    named: dict[str, Any] = dict.fromkeys(QUANTILES, 7)
    days: dict[str, Any] = {"installations": 50, "installation_days": 300, "days_left_out": 3}
    row = PerDay(week=WEEK, platform="slack", total=9, **days, **named)
    active = [Active(week=WEEK, installations=50)]
    (told,) = withhold(Answers(active, events_per_day=[row]), 5).events_per_day

    # The days of five installations lie beyond the 90 %; 28 left out may be those of four.
    assert (told.p10, told.p90, told.p99, told.days_left_out) == (7, 7, WITHHELD, WITHHELD)


@pytest.mark.parametrize(("days", "told"), [(0, 0), (1, WITHHELD), (28, WITHHELD), (29, 29)])
def test_days_left_out_are_told_if_they_are_more_than_four_can_have(days: int, told: Told) -> None:
    row = PerDay(
        week=WEEK, platform="slack", installations=50, installation_days=300, days_left_out=days
    )
    active = [Active(week=WEEK, installations=50)]
    (one,) = withhold(Answers(active, events_per_day=[row]), 5).events_per_day

    assert one.days_left_out == told


@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(1, 12)),
        min_size=1,
        max_size=8,
    ),
    st.integers(2, 5),
)
def test_any_sums_hold_what_is_promised(edges: list[tuple[int, int, int]], least: int) -> None:
    cells = [
        Cell(number, value, f"{tail}", f"{head}", is_small=value < least)
        for number, (tail, head, value) in enumerate(edges)
    ]
    hidden = hide(cells, least)
    if hidden is None:
        return
    nodes = {node for one in cells for node in (one.tail, one.head)}
    sums = []
    for node in nodes:
        signs: Counter[Any] = Counter()
        total = 0
        for one in cells:
            sign = (one.head == node) - (one.tail == node)
            # What comes from outside keeps the sum as it is.
            total += sign * one.value
            if one.name in hidden:
                signs[one.name] += sign
            else:
                total -= sign * one.value
        sums.append(({name: sign for name, sign in signs.items() if sign}, total))
    check([one for one in sums if one[0]], {one.name: one.value for one in cells}, least)


def test_the_attacker_finds_what_is_hidden_alone() -> None:
    joint = list(product(("a", "b"), ("x", "y")))
    sums = [equation(("all", "10"), [(joint[0], "withheld"), (joint[1], "8")])]

    assert not can_be(sums, {joint[0]: (1, MOST)}, joint[0], 3)
    assert can_be(sums, {joint[0]: (1, MOST)}, joint[0], 2)


def test_the_order_of_rows_does_not_tell_what_they_were_made_of() -> None:
    places = [
        ("1.24", "rke2", 1),
        ("1.25", "openshift", 1),
        *(("1.30", name, 13) for name in ("aks", "eks", "gke", "k3s", "kind")),
    ]
    answers = Answers(
        active_installations=[Active(week=WEEK, installations=67)],
        kubernetes_adoption=[
            Kubernetes(
                week=WEEK,
                kubernetes_minor=minor,
                distribution=distribution,
                installations=many,
                installations_all=67,
            )
            for minor, distribution, many in places
        ],
    )
    for name in ("distributions", "kubernetes_minors", "kubernetes_adoption"):
        keys = [one.key for one in getattr(withhold(answers, 5), name)]
        assert keys == sorted(keys)


def test_days_of_users_that_are_withheld_are_withheld_too() -> None:
    answers = Answers(
        active_installations=[Active(week=WEEK, installations=30)],
        integrations=[
            Integration(
                week=WEEK,
                kind="bot",
                platform="slack",
                installations=28,
                installations_disabled=0,
                installations_unknown=2,
                installations_all=30,
            )
        ],
        events_per_day=[
            PerDay(week=WEEK, platform="slack", installations=28, installation_days=196)
        ],
    )
    shown = withhold(answers, 5)

    assert {one.installations for one in shown.integrations} == {WITHHELD}
    assert [(one.installations, one.installation_days) for one in shown.events_per_day] == [
        (WITHHELD, WITHHELD)
    ]
