"""A simulated fleet, its events, and whether the warehouse's answers about it are true."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from functools import lru_cache
from itertools import groupby
from typing import Any

import orjson
import pytest
from attrs import define, field, frozen

from agent.audit import Audit, Finding, Kind
from agent.gate import make_gate
from agent.model import CRASHED
from agent.received import read_line
from agent.sink.batch import check_event
from tests.fleet.compare import compare
from tests.fleet.deliver import Fate
from tests.fleet.fleet import Fleet
from tests.fleet.load import load_duckdb, load_postgresql
from tests.fleet.truth import Row, Truth, week_of
from tests.fleet.world import AGENT_VERSION, DAY, GAPS, START, Sent, Setting
from tests.postgres import find_programs, postgresql
from tests.shipped import ROOT, RULES

duckdb = pytest.importorskip("duckdb", reason="the warehouse's SQL runs on DuckDB ([report])")
psycopg = pytest.importorskip("psycopg", reason="PostgreSQL is asked through psycopg ([report])")

SEEDS = (1, 8)
"""Of small fleets in which everything happens that can."""
INSTALLATIONS, DAYS, TROUBLE = 24, 21, 1.5
FAULTS = {
    "absurd clock",
    "count floor",
    "counted late",
    "crashed",
    "days late",
    "discarded",
    "doubled",
    "doubled days later",
    "doubled under other ids",
    "late",
    "level changed",
    "lost batch",
    "lost event",
    "lost report",
    "moved to another cluster",
    "moved to another slot",
    "new installation id",
    "opted out",
    "restored state",
    "restored state, read again",
    "retried late",
    "scaled to zero",
    "state lost",
    "upgraded",
    "withheld",
    *(f"gap {reason}" for reason in GAPS),
}


@define
class Recorder:
    """Keeps what was sent and what became of it, by stream and in order."""

    streams: defaultdict[tuple[str, str], list[tuple[Sent, Fate]]] = field(
        factory=lambda: defaultdict(list)
    )

    def take(self, sent: Sent, fate: Fate) -> None:
        self.streams[sent.installation, sent.stream].append((sent, fate))


@frozen
class Played:
    """A fleet after its time, with all that is known of it."""

    met: Counter[str]
    requests: list[bytes]
    streams: Mapping[tuple[str, str], list[tuple[Sent, Fate]]]
    answers: Mapping[str, list[Row]]


@lru_cache(maxsize=len(SEEDS))
def play(seed: int) -> Played:
    fleet = Fleet(Setting(seed, DAYS, trouble=TROUBLE, is_exact=False), INSTALLATIONS)
    recorder, truth = Recorder(), Truth()
    requests = list(fleet.requests(recorder, truth))
    return Played(fleet.met, requests, recorder.streams, truth.answers())


# --- the fleet itself -----------------------------------------------------------------------------


@pytest.mark.parametrize("seed", SEEDS)
def test_everything_that_can_go_wrong_does(seed: int) -> None:
    played = play(seed)
    assert set(played.met) >= FAULTS, FAULTS - set(played.met)
    windows = [sent for stream in played.streams.values() for sent, _ in stream]
    assert {one.end - one.start for one in windows} == {300, 3600, 86_400}
    assert {one.is_observable for one in windows} == {True, False, None}
    assert {one.version for one in windows} >= {None, "several"}
    assert any(one.skew_seconds for one in windows)
    arrived = [orjson.loads(one)["receivedAt"] for one in played.requests]
    assert arrived == sorted(arrived)


def test_a_seed_gives_the_same_bytes_again_and_another_gives_others() -> None:
    first, again, other = (
        b"".join(Fleet(Setting(seed, 7, is_exact=False), 12).requests()) for seed in (5, 5, 6)
    )
    assert first == again != other


def test_the_quick_gate_lets_through_what_the_products_does() -> None:
    exact, quick = (
        list(Fleet(Setting(4, 7, is_exact=is_exact), 10).requests()) for is_exact in (True, False)
    )
    assert exact == quick


def test_every_call_may_leave() -> None:
    gate = make_gate(RULES, agent_version=AGENT_VERSION)
    for stream in play(SEEDS[0]).streams.values():
        for sent, fate in stream:
            assert len(sent.calls) == sent.identity_calls + len(sent.facts) + 1
            assert len(fate.copies) == len(sent.calls)
            for call in sent.calls:
                assert gate(call) is None, call
                assert check_event(call) is None, call


@pytest.mark.parametrize("seed", SEEDS)
def test_the_audit_finds_what_was_done_to_the_events_and_nothing_else(seed: int) -> None:
    played = play(seed)
    taken = Audit()
    for request in played.requests:
        for one in read_line(request)[0]:
            taken.add(one)
    found: defaultdict[tuple[str, str], list[Finding]] = defaultdict(list)
    for finding in taken.findings():
        found[finding.installation, finding.stream].append(finding)
    for key, stream in played.streams.items():
        check_stream(stream, found.pop(key, []))
    assert not found


def check_stream(stream: list[tuple[Sent, Fate]], findings: list[Finding]) -> None:
    """Compare what the audit says of a stream with what was done to it."""
    said = {(one.kind, one.first_seq) for one in findings if one.first_seq == one.last_seq}
    missing = [one for one in findings if one.kind is Kind.NO_WINDOW]
    gone = {seq for one in missing for seq in range(one.first_seq, one.last_seq + 1)}
    arrived: defaultdict[int, set[int]] = defaultdict(set)
    for sent, fate in stream:
        arrived[sent.seq] |= {sent.start} if any(fate.copies[sent.identity_calls :]) else set()
    times = Counter(sent.seq for sent, _ in stream)
    spoilt = set()
    for sent, fate in stream:
        tracks = fate.copies[sent.identity_calls :]
        if not any(tracks):
            spoilt.add(sent.seq)
        elif times[sent.seq] == 1 and not all(tracks):
            spoilt.add(sent.seq)
            assert (Kind.SHORT if tracks[-1] else Kind.NO_REPORT, sent.seq) in said
        if times[sent.seq] == 1 and max(tracks) > 1:
            spoilt.add(sent.seq)
            assert (Kind.SAME_CONTENT if fate.ids > 1 else Kind.SAME_ID, sent.seq) in said
    newest = max((seq for seq, windows in arrived.items() if windows), default=0)
    assert gone == {seq for seq, windows in arrived.items() if not windows and seq < newest}
    twice = {seq for seq, windows in arrived.items() if len(windows) > 1}
    assert twice == {one.first_seq for one in findings if one.kind is Kind.REUSED}
    if len(times) < len(stream):
        # Nothing else about a stream that was told twice is sure.
        return
    for one in findings:
        if one.kind is not Kind.RETRIED_LATE:
            assert spoilt & set(range(one.first_seq, one.last_seq + 1)), one


# --- the warehouse's answers ----------------------------------------------------------------------

MODELS = [
    (ROOT / "deploy" / "warehouse" / name).read_text(encoding="utf-8")
    for name in ("tables.sql", "models.sql", "refresh.sql")
]


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    if find_programs() is None:
        pytest.skip("no PostgreSQL is installed (Debian: apt-get install postgresql)")
    with postgresql() as info:
        yield info


@pytest.mark.parametrize(("seed", "times"), [(SEEDS[0], "timestamptz"), (SEEDS[1], "text")])
def test_every_answer_is_true_on_duckdb(seed: int, times: str) -> None:
    played = play(seed)
    with duckdb.connect() as database:
        load_duckdb(database, played.requests, times=times)
        database.execute("set timezone = 'Asia/Kolkata'")
        for statements in MODELS:
            database.execute(statements)
        assert compare(database, played.answers) == []


@pytest.mark.parametrize(("seed", "times"), [(SEEDS[0], "timestamp"), (SEEDS[1], "text")])
def test_every_answer_is_true_on_postgresql(server: str, seed: int, times: str) -> None:
    played = play(seed)
    with psycopg.connect(server, autocommit=True) as database:
        database.execute(f"create schema {times}_; set search_path = {times}_")
        load_postgresql(database, played.requests, times=times)
        database.execute("set timezone = 'America/St_Johns'")
        for statements in MODELS:
            database.execute(statements)
        assert compare(database.cursor(), played.answers) == []


def test_a_refresh_now_and_then_gives_the_same_answers() -> None:
    played = play(SEEDS[1])
    with duckdb.connect() as database:
        for statements in MODELS:
            database.execute(statements)
        parts = groupby(enumerate(played.requests), key=lambda one: one[0] // 3000)
        for _, requests in parts:
            load_duckdb(database, (one for _, one in requests), times="text")
            database.execute(MODELS[-1])
        database.execute(MODELS[-1])
        assert compare(database, played.answers) == []


def test_what_a_warehouse_got_late_is_asked_for_by_days() -> None:
    played = play(SEEDS[0])
    day = sorted(received_day(one) for one in played.requests)[len(played.requests) // 3]
    late = [one for one in played.requests if received_day(one) == day]
    rest = [one for one in played.requests if received_day(one) != day]
    with duckdb.connect() as database:
        load_duckdb(database, rest)
        for statements in MODELS:
            database.execute(statements)
        load_duckdb(database, late)
        database.execute("insert into refresh (days_back) values (60)")
        database.execute(MODELS[-1])
        assert compare(database, played.answers) == []


def received_day(request: bytes) -> str:
    found: str = orjson.loads(request)["receivedAt"][:10]
    return found


# --- what complete means --------------------------------------------------------------------------


@define
class Reality:
    """Adds up what happened, heard of or not, by view and week; of counts not raised to a floor.

    Of windows at the end of a stream that were lost nobody can know: they are left out.
    """

    waiting: defaultdict[tuple[str, str], list[Sent]] = field(factory=lambda: defaultdict(list))
    happened: defaultdict[tuple[str, int], Counter[tuple[str, ...]]] = field(
        factory=lambda: defaultdict(Counter)
    )
    active: defaultdict[int, set[str]] = field(factory=lambda: defaultdict(set))

    def take(self, sent: Sent, fate: Fate) -> None:
        if sent.hidden is None:
            return
        waiting = self.waiting[sent.installation, sent.stream]
        waiting.append(sent)
        if any(fate.copies[sent.identity_calls :]):
            for one in waiting:
                self._add(one)
            waiting.clear()

    def _add(self, sent: Sent) -> None:
        week = week_of(sent.start)
        if sent.version is not None:
            self.active[week].add(sent.installation)
        for (event, _, properties), count in (sent.hidden or {}).items():
            self._count(week, event, dict(properties), count)
        for (event, _, properties), count in sent.late.items():
            self._count(week, event, dict(properties), -count)
            before = week_of(2 * sent.start - sent.end)
            self._count(before, event, dict(properties), count)
        for fact in sent.facts:
            self._count(week, fact.event, fact.properties, fact.count)

    def _count(self, week: int, event: str, said: Mapping[str, Any], count: int) -> None:
        if event == "Command executed":
            self.happened["commands", week][said["platform"], said["command"]] += count
        elif event == "Event handled":
            self.happened["events_per_day", week][said["platform"],] += count
        elif event == "Notification failed":
            cell = said["platform"], said["what"], said["reason"]
            self.happened["notification_failures", week][cell] += count
        elif event == "Configuration error":
            cell = said["reason"], said["field"], said.get("platform")
            self.happened["configuration_errors", week][cell] += count
        elif event == CRASHED:
            self.happened["crashes", week]["all",] += count


SUMS = {
    "commands": (("platform", "command"), "count"),
    "events_per_day": (("platform",), "total"),
    "notification_failures": (("platform", "what", "reason"), "failed_all"),
    "configuration_errors": (("reason", "field", "platform"), "count"),
}


def quiet(seed: int) -> Fleet:
    """Return a fleet of few troubles: some of its weeks are whole, and others only just not."""
    monday = START - 2 * DAY
    setting = Setting(seed, 14, start=monday, trouble=0.1, debug_share=0.9, is_exact=False)
    return Fleet(setting, 1 + (seed % 8 == 0))


def test_every_answer_about_a_quiet_fleet_is_true() -> None:
    complete: Counter[str] = Counter()
    for seed in (12, 40):
        truth = Truth()
        requests = list(quiet(seed).requests(truth))
        answers = truth.answers()
        complete.update(
            view for view, rows in answers.items() for one in rows if one["is_complete"]
        )
        with duckdb.connect() as database:
            load_duckdb(database, requests)
            for statements in MODELS:
                database.execute(statements)
            assert compare(database, answers) == []


def test_what_is_called_complete_is_what_happened() -> None:
    seen: Counter[tuple[str, bool]] = Counter()
    for seed in range(32):
        fleet = quiet(seed)
        truth, reality = Truth(), Reality()
        for _ in fleet.requests(truth, reality):
            pass
        check_complete(truth.answers(), reality, seen)
    for view in (*SUMS, "active_installations", "crashes"):
        assert seen[view, True] > 5, view
        assert seen[view, False] > 5, view


def check_complete(
    answers: Mapping[str, list[Row]], reality: Reality, seen: Counter[tuple[str, bool]]
) -> None:
    for view, rows in answers.items():
        seen.update((view, row["is_complete"]) for row in rows)
    for row in answers["active_installations"]:
        if row["is_complete"]:
            assert row["installations"] == len(reality.active[row["week"]])
    for view, (names, measure) in SUMS.items():
        complete: defaultdict[int, dict[tuple[Any, ...], int]] = defaultdict(dict)
        for row in answers[view]:
            if row["is_complete"]:
                complete[row["week"]][tuple(row[name] for name in names)] = row[measure]
        for week, cells in complete.items():
            happened = reality.happened[view, week]
            # A platform that is on and does nothing has a row of its own.
            assert {key: sum_ for key, sum_ in cells.items() if sum_} == happened
    by_week: defaultdict[int, list[Row]] = defaultdict(list)
    for row in answers["crashes"]:
        by_week[row["week"]].append(row)
    for week, rows in by_week.items():
        if all(row["is_complete"] for row in rows):
            assert sum(row["crashes"] for row in rows) == reality.happened["crashes", week]["all",]
