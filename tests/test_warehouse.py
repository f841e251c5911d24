"""The warehouse's models on DuckDB and PostgreSQL: small scenes whose answers are found by hand.

Whether they are true of whole fleets is `test_fleet`'s to say.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeAlias
from uuid import UUID, uuid5

import duckdb
import orjson
import psycopg
import pytest
from attrs import define, field
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.aggregate import GAP_REASONS
from agent.disclosure import event_names
from agent.model import CRASHED, Aggregate, Identity, Report, Value
from agent.names import snake
from agent.sink.batch import Event, build_identity, build_window
from tests.fleet.load import DuckDB, Loader, PostgreSQL, Warehouse
from tests.postgres import postgresql
from tests.shipped import RULES
from tests.warehouse import (
    FOLDER,
    install,
    own_columns,
    refresh,
    tables,
    view_names,
    write_tables,
)

HOUR, DAY = 3600, 86_400
MONDAY = 1_795_392_000 - 1_795_392_000 % DAY  # 2026-11-23
assert datetime.fromtimestamp(MONDAY, UTC).isoformat() == "2026-11-23T00:00:00+00:00"
WEEK = date(2026, 11, 23)
NAMES = event_names(RULES)
HANDLED, RAN, FAILED = "Event handled", "Command executed", "Notification failed"

VIEWS = (
    "active_installations",
    "version_adoption",
    "kubernetes_adoption",
    "version_by_kubernetes",
    "integrations",
    "commands",
    "events_per_day",
    "notification_failures",
    "configuration_errors",
    "crashes",
    "crash_kinds",
    "completeness",
)
KEPT = (
    "intervals",
    "facts",
    "identities",
    "stream_days",
    "version_days",
    "installation_days",
    "platform_days",
    "installation_weeks",
    "counts",
    "reports",
)
"""The tables that answers come from, and those that they are made of."""

Row: TypeAlias = dict[str, Any]


# --- scenes ---------------------------------------------------------------------------------------


def uuid(name: str) -> str:
    return str(uuid5(UUID(int=1), name))


def count(event: str, number: int = 1, **properties: Value) -> Aggregate:
    return Aggregate(event, tuple(sorted(properties.items())), "v1.14.0", number)


def handled(number: int, platform: str = "slack") -> Aggregate:
    return count(HANDLED, number, platform=platform)


def ran(number: int, command: str = "get", result: str = "ok") -> Aggregate:
    return count(RAN, number, platform="slack", command=command, result=result)


def failed(number: int, what: str = "event", platform: str = "slack") -> Aggregate:
    return count(FAILED, number, platform=platform, what=what, reason="other")


def crash(number: int = 1, kind: str = "panic") -> Aggregate:
    return count(CRASHED, number, kind=kind)


DEBUG: Mapping[str, Value] = {
    "commands_observable": True,
    "events_observable": True,
    "botkube_version": "v1.14.0",
    "slack_enabled": True,
    "teams_enabled": False,
}
INFO: Mapping[str, Value] = {
    **DEBUG,
    "commands_observable": False,
    "events_observable": False,
}


@define
class Stream:
    """One lineage of windows, built by the product."""

    installation: str = "one"
    name: str = "stream"
    cluster: str | None = "cluster"
    minor: str | None = "1.34"
    distribution: str = "kind"
    minimum: int = 0
    seq: int = 0
    totals: Counter[str] = field(factory=Counter)

    @property
    def identity(self) -> Identity:
        cluster = None if self.cluster is None else uuid(self.cluster)
        return Identity(uuid(self.installation), cluster, self.minor, self.distribution)

    def window(
        self,
        start: int,
        *counts: Aggregate,
        said: Mapping[str, Value] = DEBUG,
        length: int = HOUR,
        **more: Value,
    ) -> list[Event]:
        """Return the calls of the next window, its report last."""
        self.seq += 1
        collection = tuple(sorted({"lines_read": 1, "late_lines": 0, **said, **more}.items()))
        calls, self.totals = build_window(
            Report(start, start + length, counts, collection),
            identity=self.identity,
            stream=uuid(self.name),
            seq=self.seq,
            totals=self.totals,
            events=NAMES,
            gate=lambda _event: None,
            agent_version="0.1.0",
            rules_digest="0" * 16,
            minimum=self.minimum,
        )
        return calls

    def who(self, at: int) -> list[Event]:
        """Return who reports, as it is told on a day."""
        return build_identity(self.identity, agent_version="0.1.0", at_seconds=at)

    def hours(
        self,
        start: int,
        hours: int,
        *counts: Aggregate,
        said: Mapping[str, Value] = DEBUG,
        length: int = HOUR,
        **more: Value,
    ) -> list[Event]:
        """Return the calls of so many windows, all alike."""
        return [
            call
            for at in range(start, start + hours * length, length)
            for call in self.window(at, *counts, said=said, length=length, **more)
        ]


def request(calls: Sequence[Event], *, at: int | None = None, retried: bool = False) -> bytes:
    """Return a request that arrives at a time, or five minutes after its last window."""
    if at is None:
        ends = [one["properties"]["window_end"] for one in calls if "properties" in one]
        ends = ends or [one["timestamp"] for one in calls]
        at = int(max(datetime.fromisoformat(end).timestamp() for end in ends)) + 300
    said = datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    context = {"retried_late": True} if retried else {}
    whole = {"batch": calls, "context": context, "sentAt": said, "receivedAt": said}
    return orjson.dumps(whole)


def under_other_ids(calls: Sequence[Event]) -> list[Event]:
    return [{**one, "messageId": uuid(one["messageId"])} for one in calls]


@define
class Database:
    """A warehouse, and how it is asked."""

    execute: Callable[[str], Any]
    cursor: Callable[[], Any]
    warehouse: Warehouse
    is_installed: bool = False

    def clear(self) -> None:
        """Begin with a schema that has nothing in it."""
        self.is_installed = False
        self.execute("drop schema if exists scene cascade")
        self.execute("create schema scene")
        self.execute("set search_path = 'scene'")

    def empty(self) -> None:
        """Begin with the tables and views of the scene before, and nothing in them."""
        if self.is_installed:
            cursor = self.cursor()
            cursor.execute(
                "select table_name from information_schema.tables"
                " where table_schema = 'scene' and table_type = 'BASE TABLE'"
            )
            for (name,) in cursor.fetchall():
                self.execute(f"delete from {name}")  # noqa: S608 a name of ours
        else:
            self.clear()

    def load(self, requests: Sequence[bytes], times: str = "timestamptz") -> None:
        self.execute("set TimeZone = 'UTC'")
        Loader(self.warehouse, times).load(requests)

    def take(self, *requests: bytes | Sequence[Event], slice_calls: int | None = None) -> None:
        """Load requests, or calls that arrive in time, and bring the models up to date.

        With `slice_calls` by one slice of so many.
        """
        self.load([one if isinstance(one, bytes) else request(one) for one in requests])
        if not self.is_installed:
            install(self.execute)
            self.is_installed = True
        if slice_calls is not None:
            self.execute(f"insert into refresh (calls) values ({slice_calls})")  # noqa: S608 ours
        refresh(self.execute)

    def rows(self, name: str) -> list[Row]:
        cursor = self.cursor()
        cursor.execute(f"select * from {name}")  # noqa: S608 a name of ours
        names = [one[0] for one in cursor.description]
        found = [dict(zip(names, map(_plain, row), strict=True)) for row in cursor.fetchall()]
        return sorted(found, key=str)

    def row(self, name: str, **where: object) -> Row:
        """Return the one row that has these values."""
        found = [
            row for row in self.rows(name) if all(row[key] == one for key, one in where.items())
        ]
        assert len(found) == 1, found
        return found[0]

    def everything(self) -> Any:  # noqa: ANN401
        """Return what is kept, of which every answer is made."""
        return {name: self.rows(name) for name in KEPT}


def _plain(value: object) -> object:
    return float(value) if isinstance(value, Decimal) else value


@contextmanager
def on_duckdb(directory: Path) -> Iterator[Database]:
    with duckdb.connect() as connection:
        connection.execute("set threads = 1")
        yield Database(connection.execute, lambda: connection, DuckDB(connection, directory))


@contextmanager
def on_postgresql(server: str) -> Iterator[Database]:
    with psycopg.connect(server, autocommit=True) as connection:

        def execute(sql: str) -> None:
            connection.execute(sql.encode())

        yield Database(execute, connection.cursor, PostgreSQL(connection))


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    try:
        with postgresql() as found:
            yield found
    except FileNotFoundError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module", params=["duckdb", "postgresql"])
def opened(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Database]:
    if request.param == "duckdb":
        with on_duckdb(tmp_path_factory.mktemp("warehouse")) as found:
            yield found
    else:
        with on_postgresql(request.getfixturevalue("server")) as found:
            yield found


@pytest.fixture
def database(opened: Database) -> Database:
    # To make the views anew costs more than most of what a test asks.
    opened.empty()
    return opened


# --- the files ------------------------------------------------------------------------------------


def test_tables_sql_is_what_the_rules_say() -> None:
    # Written anew by: python -m tests.warehouse --write
    assert (FOLDER / "tables.sql").read_text(encoding="utf-8") == write_tables()


def test_the_models_know_every_event_property_platform_and_gap() -> None:
    models = (FOLDER / "models.sql").read_text(encoding="utf-8")
    words = set(re.findall(r"\w+", models))

    assert {snake(name) for name in NAMES} <= words
    assert set(own_columns()) <= words
    assert {f"gap_seconds_{reason}" for reason in GAP_REASONS} <= words
    for kind, platforms in (("bot", RULES.bots), ("sink", RULES.sinks)):
        for platform in platforms:
            said = f"'{kind}' as kind, '{platform}' as platform,"
            assert said in re.sub(r"\s+", " ", models), platform


@pytest.mark.parametrize("name", ["tables.sql", "models.sql", "refresh.sql"])
def test_the_sql_keeps_to_what_all_warehouses_know(name: str) -> None:
    text = (FOLDER / name).read_text(encoding="utf-8")
    bare = re.sub(r"--.*|'[^']*'", "", text).lower()

    foreign = r"::|\bfilter\s*\(|percentile|\bilike\b|\btext\b|\blateral\b|\bwindow\s+\w+\s+as\b"
    assert not re.findall(foreign, bare)
    # The epoch is taken in one line: the one that another warehouse has to change.
    assert sum("epoch" in line for line in bare.splitlines()) == (name == "tables.sql")


def test_without_any_table_there_is_nothing_to_say(database: Database) -> None:
    database.clear()
    database.take()
    refresh(database.execute)

    for view in (*VIEWS, "audit_windows", *KEPT):
        assert database.rows(view) == [], view


def test_columns_that_were_never_sent_are_made(database: Database) -> None:
    database.clear()
    stream = Stream(cluster=None, minor=None)
    bare = {"botkube_version": "v1.14.0"}
    database.take(stream.window(MONDAY, said=bare))

    known = database.row("active_installations")
    assert known["installations"] == known["installations_without_cluster"] == 1
    assert database.row("kubernetes_adoption")["kubernetes_minor"] == "unknown"
    assert database.row("integrations", platform="slack")["installations_unknown"] == 1
    assert database.rows("commands") == []
    assert not set(tables()) - {one for one in tables() if database.rows(one) is not None}


def test_a_raw_table_that_lacks_a_column_of_segments_gets_it(database: Database) -> None:
    database.clear()
    # As an earlier tables.sql made it, of an event that nobody has sent since.
    database.execute(
        "create table application_crashed (id varchar, anonymous_id varchar, received_at timestamp)"
    )
    install(database.execute)

    assert database.rows("crashes") == []


# --- counts ---------------------------------------------------------------------------------------


def test_a_double_counts_once_under_the_same_id_and_under_another(database: Database) -> None:
    stream = Stream()
    calls = stream.window(MONDAY, ran(3), ran(1, result="failed"), handled(5))
    late = under_other_ids(calls)
    database.take(calls, calls, request(late, at=MONDAY + 3 * DAY, retried=True))

    row = database.row("commands")
    assert (row["count"], row["count_failed"], row["installations"]) == (4, 1, 1)
    audit = database.row("audit_windows")
    assert (audit["windows"], audit["rows_doubled"], audit["windows_retried_late"]) == (1, 8, 1)
    assert database.row("facts", event="event_handled")["count"] == 5
    assert database.row("intervals")["copies"] == 12


def test_equal_words_of_two_windows_are_two_counts(database: Database) -> None:
    stream = Stream()
    database.take(stream.window(MONDAY, ran(3)), stream.window(MONDAY + HOUR, ran(3)))

    assert database.row("commands")["count"] == 6


def test_of_a_count_that_was_raised_only_one_is_known(database: Database) -> None:
    stream = Stream(minimum=5)
    of_days = [
        stream.window(
            MONDAY + at * HOUR,
            *(ran(2), ran(7, command="describe")),
            *(handled(3), handled(9, platform="teams"), failed(2), crash(3), crash(6, kind="oom")),
            count("Configuration error", 4, reason="missing", field="channel"),
        )
        for at in range(24)
    ]
    database.take(*of_days)

    counts = {one["command"]: one["count"] for one in database.rows("commands")}
    assert counts == {"get": 24, "describe": 24 * 7}
    # Of small ones nobody knows more, so that its week is in no rate.
    failure = database.row("notification_failures")
    assert (failure["failed"], failure["attempts"], failure["failed_all"]) == (0, None, 24)
    assert failure["installations_unobserved"] == 1
    assert database.row("configuration_errors")["count"] == 24
    kinds = {one["kind"]: one["crashes"] for one in database.rows("crash_kinds")}
    assert kinds == {"panic": 24, "oom": 24 * 6}
    row = database.row("crashes")
    assert (row["installations"], row["installation_hours"], row["crashes"]) == (0, 0, 0)
    assert database.rows("events_per_day") == []


@pytest.mark.parametrize(
    ("raised", "days", "attempts", "hours"),
    [
        (handled(2, "webhook"), (7, 49, 7), 7 * 8, 336),
        (failed(2, platform="webhook"), (14, 112, 0), 7 * 8, 336),
        (crash(2), (14, 112, 0), 7 * 8 + 7 * 9, 168),
        (ran(2), (14, 112, 0), 7 * 8 + 7 * 9, 336),
    ],
)
def test_the_whole_week_of_a_raised_count_is_in_no_rate_of_its_kind(
    database: Database, raised: Aggregate, days: tuple[int, ...], attempts: int, hours: int
) -> None:
    one, other = Stream("a", "a", minimum=5), Stream("b", "b")
    database.take(
        *(one.window(MONDAY + at * DAY, handled(9), length=DAY) for at in range(6)),
        one.window(MONDAY + 6 * DAY, handled(9), raised, length=DAY),
        # In the week after no count of it was raised.
        *(one.window(MONDAY + at * DAY, handled(9), length=DAY) for at in range(7, 14)),
        *(other.window(MONDAY + at * DAY, handled(7), failed(1), length=DAY) for at in range(14)),
    )

    found = [
        (row["installation_days"], row["total"], row["days_left_out"])
        for row in database.rows("events_per_day")
        if row["platform"] == "slack"
    ]
    assert found == [days, (14, 112, 0)]
    failures = [
        row["attempts"]
        for row in database.rows("notification_failures")
        if row["platform"] == "slack"
    ]
    assert failures == [attempts, 7 * 8 + 7 * 9]
    ran_for = [row["installation_hours"] for row in database.rows("crashes")]
    assert ran_for == [hours, 336]


def test_a_day_on_which_crashes_are_withheld_is_in_no_rate_of_them(database: Database) -> None:
    one, other = Stream("a", "a"), Stream("b", "b")
    database.take(
        *(one.window(MONDAY + at * HOUR, crash(1)) for at in range(24)),
        # Of one that is withheld in part a known kind may come all the same.
        *(
            other.window(MONDAY + at * HOUR, crash(1), said={**DEBUG, **withheld})
            for at in range(48)
            for withheld in [
                # What was not read of it is in no hours of others.
                {"application_crashed_withheld": True, "gap_seconds_rotated": 600}
                if at == 30
                else {}
            ]
        ),
    )

    row = database.row("crashes")
    assert (row["crashes"], row["installation_hours"]) == (48, 48)
    assert (row["installations"], row["installations_crashed"]) == (2, 2)
    assert database.row("crash_kinds")["crashes"] == 24 + 48


def test_where_all_crashes_are_withheld_a_version_ran_without_a_rate(database: Database) -> None:
    said = {**DEBUG, "application_crashed_withheld": True}
    database.take(Stream().window(MONDAY, said=said))

    row = database.row("crashes")
    assert (row["installations"], row["installation_hours"], row["crashes"]) == (0, 0, 0)
    assert row["per_1000_hours"] is None


def test_who_could_show_no_fault_is_no_part_of_their_share(database: Database) -> None:
    said = {**DEBUG, "configuration_error_withheld": True}
    fault = count("Configuration error", reason="missing", field="channel")
    other = count("Configuration error", reason="other", field="channel")
    database.take(
        Stream("a", "a").window(MONDAY, fault),
        Stream("b", "b").window(MONDAY),
        Stream("c", "c").window(MONDAY, said=said),
        # Of what is withheld in part the rest is there, but not of others like it.
        Stream("d", "d").window(MONDAY, other, said=said),
        # Of a report that was lost nobody knows what it said.
        Stream("f", "f").window(MONDAY, handled(1))[:-1],
        # Where there is no BotKube there is no configuration of it.
        Stream("e", "e").window(MONDAY, said={}),
    )

    unsure = database.row("configuration_errors", reason="other")
    assert (unsure["installations"], unsure["share"]) == (1, None)
    row = database.row("configuration_errors", reason="missing")
    assert (row["installations"], row["installations_observable"]) == (1, 2)
    assert row["share"] == pytest.approx(1 / 2)


# --- what is missing ------------------------------------------------------------------------------


def test_a_window_that_never_came_is_a_hole(database: Database) -> None:
    stream = Stream()
    first, _lost, third = (stream.window(MONDAY + hour * HOUR, handled(2)) for hour in range(3))
    database.take(first, third)

    audit = database.row("audit_windows")
    assert (audit["windows"], audit["windows_missing"], audit["seconds_missing"]) == (2, 1, HOUR)
    assert audit["facts_missing"] == 2
    hours = {row["reason"]: row["hours"] for row in database.rows("completeness")}
    assert hours == {"observed": 2, "delivery": 1}
    assert database.row("completeness", reason="delivery")["share"] == pytest.approx(1 / 3)


def test_a_loss_is_told_in_every_week_that_it_touches(database: Database) -> None:
    week = 7 * DAY
    stream = Stream()
    before = stream.hours(MONDAY, 24)
    stream.hours(MONDAY + DAY, 2 * 168)
    database.take(before, stream.hours(MONDAY + DAY + 2 * week, 6 * 24))

    rows = {(row["week"].day, row["reason"]): row for row in database.rows("completeness")}
    assert {key: row["hours"] for key, row in rows.items()} == {
        (23, "observed"): 24,
        (23, "delivery"): 144,
        (30, "delivery"): 168,
        (7, "delivery"): 24,
        (7, "observed"): 144,
    }
    assert rows[23, "observed"]["share"] == pytest.approx(1 / 7)
    assert rows[30, "delivery"]["share"] == 1
    assert not any(row["is_complete"] for row in rows.values())
    # Lost or not, the data go from before the week to after it.
    assert all(row["is_whole"] for row in rows.values())


def test_time_in_which_an_agent_was_stopped_is_told_in_every_week(database: Database) -> None:
    stream = Stream()
    before = stream.hours(MONDAY, 6 * 24, gap_seconds_stopped=1)
    database.take(before, stream.hours(MONDAY + 8 * DAY, 24))

    rows = [row for row in database.rows("completeness") if row["reason"] == "stopped"]
    hours = {row["week"].day: row["hours"] for row in rows}
    assert hours == {23: pytest.approx(24 + 144 / HOUR), 30: 24}


def test_days_that_are_lost_as_a_whole_are_left_out(database: Database) -> None:
    stream = Stream()
    before = stream.hours(MONDAY, 2 * 24, handled(1))
    stream.hours(MONDAY + 2 * DAY, 2 * 24 + 1, handled(1))
    after = stream.hours(MONDAY + 4 * DAY + HOUR, 23 + 24, handled(1))
    database.take(before, after)

    row = database.row("events_per_day")
    # Two days of which nothing came, and one of which an hour is missing.
    assert (row["installation_days"], row["days_left_out"], row["is_complete"]) == (3, 3, False)


def test_a_window_without_its_report_is_no_observation(database: Database) -> None:
    stream = Stream()
    whole = stream.window(MONDAY, ran(1))
    *counts, _report = stream.window(MONDAY + HOUR, ran(8), crash())
    database.take(whole, counts)

    row = database.row("commands")
    assert (row["count"], row["hours_observable"], row["is_complete"]) == (1, 1, False)
    assert database.row("crashes")["crashes"] == 0
    assert database.row("crash_kinds")["crashes"] == 1
    assert database.row("completeness", reason="no_report")["hours"] == 1
    assert database.row("intervals", has_report=0)["botkube_version"] is None


def test_a_count_that_did_not_come_is_short(database: Database) -> None:
    stream = Stream()
    first, *rest = stream.window(MONDAY, handled(4), ran(1))
    database.take(rest if first["event"] == HANDLED else [first, *rest[1:]])

    assert database.row("intervals")["event_handled_off"] == -4
    assert database.row("completeness", reason="short")["hours"] == 1
    assert database.row("audit_windows")["facts_missing"] == 4


def test_time_while_the_agent_was_stopped_is_no_loss(database: Database) -> None:
    stream = Stream()
    before = stream.window(MONDAY, gap_seconds_stopped=600)
    after = stream.window(MONDAY + 5 * HOUR)
    database.take(before, after)

    audit = database.row("audit_windows")
    assert (audit["seconds_stopped"], audit["seconds_missing"]) == (4 * HOUR, 0)
    hours = {row["reason"]: row["hours"] for row in database.rows("completeness")}
    assert hours == {
        "observed": pytest.approx(2 - 1 / 6),
        "stopped": pytest.approx(4 + 1 / 6),
    }


def test_what_is_withheld_or_discarded_is_said(database: Database) -> None:
    stream = Stream()
    database.take(
        stream.window(MONDAY, ran(2)),
        stream.window(MONDAY + HOUR, ran(1), command_executed_withheld=True),
        stream.window(MONDAY + 2 * HOUR, events_discarded=2),
    )

    row = database.row("commands")
    assert (row["count"], row["hours_observable"], row["is_complete"]) == (2, 2, False)
    assert database.row("completeness", reason="withheld")["hours"] == 1
    assert database.row("completeness", reason="discarded")["hours"] == 1


@pytest.mark.parametrize("off", [400 * DAY, -400 * DAY])
def test_a_clock_that_is_far_off_spoils_completeness_alone(database: Database, off: int) -> None:
    stream, other = Stream(), Stream("two", "other")
    wrong = request(stream.window(MONDAY + off, ran(50)), at=MONDAY + HOUR)
    database.take(other.window(MONDAY, ran(1)), wrong)

    assert database.row("active_installations")["installations"] == 1
    assert database.row("commands")["count"] == 1
    row = database.row("completeness", reason="implausible")
    assert (row["week"], row["hours"], row["installations"]) == (WEEK, 1, 1)


def test_of_two_windows_with_one_seq_the_reported_one_counts(database: Database) -> None:
    stream = Stream()
    *unreported, _report = stream.window(MONDAY, ran(1))
    stream.seq = 0
    reported = stream.window(MONDAY + HOUR, ran(5))
    database.take(unreported, reported)

    assert database.row("commands")["count"] == 5
    assert database.row("intervals")["window_start"] == MONDAY + HOUR
    assert database.row("audit_windows")["seqs_reused"] == 1


# --- what was observable --------------------------------------------------------------------------


def test_an_installation_at_info_is_in_no_denominator(database: Database) -> None:
    loud, quiet = Stream("loud", "a"), Stream("quiet", "b")
    database.take(
        loud.hours(MONDAY, 24, handled(9), failed(1), ran(1)),
        quiet.hours(MONDAY, 24, failed(2), said=INFO),
    )

    commands = database.row("commands")
    assert (commands["installations_observable"], commands["hours_observable"]) == (1, 24)
    assert commands["is_complete"] is False
    failures = database.row("notification_failures")
    assert (failures["failed"], failures["attempts"], failures["failed_all"]) == (24, 240, 72)
    assert failures["rate"] == pytest.approx(0.1)
    # The rate tells of one of them alone.
    assert (failures["installations"], failures["installations_observed"]) == (2, 1)
    assert (failures["installations_failed"], failures["installations_unobserved"]) == (1, 1)
    events = database.row("events_per_day")
    assert (events["installation_days"], events["days_left_out"]) == (1, 1)
    assert events["median"] == 9 * 24


def test_a_failed_reply_has_no_denominator(database: Database) -> None:
    database.take(Stream().window(MONDAY, handled(9), failed(1, what="reply")))

    row = database.row("notification_failures")
    assert (row["failed"], row["attempts"], row["rate"], row["failed_all"]) == (None, None, None, 1)
    assert (row["installations"], row["installations_observed"]) == (1, None)
    assert (row["installations_failed"], row["installations_unobserved"]) == (None, None)


def test_a_silent_day_of_an_enabled_platform_is_a_true_zero(database: Database) -> None:
    stream = Stream()
    database.take(stream.hours(MONDAY, 24), stream.hours(MONDAY + DAY, 24, handled(1)))

    row = database.row("events_per_day")
    assert (row["platform"], row["installation_days"], row["total"]) == ("slack", 2, 24)
    assert (row["p10"], row["median"], row["p75"], row["p99"]) == (0, 0, 24, 24)


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param({"gap_seconds_rotated": 60}, id="a gap"),
        pytest.param({"events_discarded": 1}, id="discarded"),
        pytest.param({"late_lines": 1}, id="late"),
        pytest.param({"event_handled_withheld": True}, id="withheld"),
        pytest.param({"events_observable": False}, id="not observable"),
    ],
)
def test_a_day_that_was_not_wholly_seen_is_left_out(
    database: Database, spoil: Mapping[str, Value]
) -> None:
    stream = Stream()
    database.take(
        stream.hours(MONDAY, 24, handled(1)),
        stream.hours(MONDAY + DAY, 23, handled(1)),
        stream.window(MONDAY + DAY + 23 * HOUR, handled(1), said={**DEBUG, **spoil}),
    )

    row = database.row("events_per_day")
    assert (row["installation_days"], row["days_left_out"], row["is_complete"]) == (1, 1, False)


# --- streams --------------------------------------------------------------------------------------


def test_hours_of_two_streams_are_told_once_and_their_counts_both(database: Database) -> None:
    one, two = Stream(name="one"), Stream(name="two")
    database.take(
        one.hours(MONDAY, 24, handled(1), ran(1)),
        two.hours(MONDAY + 12 * HOUR, 24, handled(2), ran(2)),
    )

    commands = database.row("commands")
    assert (commands["count"], commands["hours_observable"]) == (72, 36)
    assert commands["installations"] == commands["installations_observable"] == 1
    crashes = database.row("crashes")
    assert (crashes["installation_hours"], crashes["installations"]) == (36, 1)
    day = database.row("events_per_day")
    assert (day["installation_days"], day["total"], day["days_left_out"]) == (1, 24 + 24, 1)
    assert database.row("completeness", reason="observed")["hours"] == 36


def test_a_hole_of_one_stream_is_not_filled_by_another(database: Database) -> None:
    whole, holed = Stream(name="whole"), Stream(name="holed")
    before = holed.hours(MONDAY, 11, handled(1))
    holed.hours(MONDAY + 11 * HOUR, 1, handled(100))
    after = holed.hours(MONDAY + 12 * HOUR, 12, handled(1))
    database.take(whole.hours(MONDAY, 24, handled(1)), before, after)

    assert database.rows("events_per_day") == []


def test_windows_of_two_lengths_that_overlap_in_part_are_told_once(database: Database) -> None:
    long, short = Stream(name="long"), Stream(name="short")
    database.take(
        long.window(MONDAY, length=6 * HOUR),
        *(short.window(MONDAY + hour * HOUR, crash()) for hour in range(4, 9)),
    )

    crashes = database.row("crashes")
    assert (crashes["installation_hours"], crashes["crashes"]) == (9, 5)
    assert crashes["per_1000_hours"] == pytest.approx(5000 / 9)


def unread(stream: Stream, start: int, hours: int, *, unread: int) -> list[Event]:
    """Return windows of which the first ones could not be read."""
    return [
        *stream.hours(start, unread, gap_seconds_unreadable=HOUR),
        *stream.hours(start + unread * HOUR, hours - unread),
    ]


def test_a_gap_that_all_streams_share_is_told_once(database: Database) -> None:
    one, two, three = (Stream(name=name) for name in ("one", "two", "three"))
    database.take(*(unread(each, MONDAY, 24, unread=9) for each in (one, two, three)))

    assert database.row("crashes")["installation_hours"] == 15
    assert database.row("completeness", reason="observed")["hours"] == 15
    # How much the streams lacked is another question.
    assert database.row("completeness", reason="unreadable")["hours"] == 27


def test_what_one_stream_read_was_observed(database: Database) -> None:
    whole, blind = Stream(name="whole"), Stream(name="blind")
    database.take(
        whole.hours(MONDAY, 24, crash()),
        unread(blind, MONDAY, 24, unread=24),
    )

    crashes = database.row("crashes")
    assert (crashes["installation_hours"], crashes["crashes"]) == (24, 24)
    assert database.row("completeness", reason="observed")["hours"] == 24


def test_of_windows_that_overlap_in_part_the_better_one_counts(database: Database) -> None:
    long, short = Stream(name="long"), Stream(name="short")
    database.take(
        long.window(MONDAY, length=6 * HOUR, gap_seconds_rotated=3 * HOUR),
        short.window(MONDAY + 4 * HOUR, gap_seconds_rotated=HOUR),
        short.window(MONDAY + 5 * HOUR),
        short.window(MONDAY + 6 * HOUR, gap_seconds_rotated=HOUR // 4),
    )

    # Half of the first five hours, all of the sixth, three quarters of the seventh.
    assert database.row("crashes")["installation_hours"] == 2.5 + 1 + 0.75


def test_a_state_made_anew_is_the_same_installation(database: Database) -> None:
    old, new = Stream(name="old"), Stream(name="new")
    database.take(
        old.hours(MONDAY, 3, ran(1)),
        new.hours(MONDAY + 4 * HOUR, 2, ran(1), gap_seconds_state_lost=60),
    )

    assert database.row("active_installations")["installations"] == 1
    assert database.row("commands")["count"] == 5
    assert [row["windows_missing"] for row in database.rows("audit_windows")] == [0, 0]


# --- weeks ----------------------------------------------------------------------------------------


def test_new_kept_returned_and_gone(database: Database) -> None:
    week = 7 * DAY
    always, left, back = Stream("a", "a"), Stream("b", "b"), Stream("c", "c", cluster="other")
    database.take(
        *(always.hours(MONDAY + one * week, 168) for one in range(5)),
        left.hours(MONDAY, 1),
        back.hours(MONDAY + week, 168),
        back.window(MONDAY + 3 * week, gap_seconds_stopped=HOUR),
        back.hours(MONDAY + 3 * week + HOUR, 2 * 168 - 1),
        *([*one.who(MONDAY)] for one in (always, left)),
        *(back.who(MONDAY + one * week) for one in (1, 3)),
    )

    rows = sorted(database.rows("active_installations"), key=lambda row: row["week"])
    told = (
        "installations",
        *(f"installations_{one}" for one in ("new", "kept", "returned", "gone")),
    )
    assert [tuple(row[name] for name in told) for row in rows] == [
        (2, 2, 0, 0, 0),
        (2, 1, 1, 0, 1),
        (1, 0, 1, 0, 1),
        (2, 0, 1, 1, 0),
        (2, 0, 2, 0, 0),
    ]
    told = tuple(one.replace("installations", "clusters") for one in told)
    assert [tuple(row[name] for name in told) for row in rows] == [
        (1, 1, 0, 0, 0),
        (2, 1, 1, 0, 0),
        (1, 0, 1, 0, 1),
        (2, 0, 1, 1, 0),
        (2, 0, 2, 0, 0),
    ]
    # Of the first week it cannot be told who is new; in the third the agent of one was stopped,
    # which may have been there, so that it may not have returned in the fourth.
    assert [row["is_complete"] for row in rows] == [False, True, False, False, True]


def test_a_week_in_which_all_of_an_installation_was_lost_is_not_complete(
    database: Database,
) -> None:
    week = 7 * DAY
    sure, lossy = Stream("a", "a"), Stream("b", "b")
    seen = [sure.hours(MONDAY, 4 * 168), lossy.hours(MONDAY, 168)]
    lossy.hours(MONDAY + week, 168)
    database.take(*seen, lossy.hours(MONDAY + 2 * week, 168))

    rows = sorted(database.rows("active_installations"), key=lambda row: row["week"])
    assert [row["installations"] for row in rows] == [2, 1, 2, 1]
    assert [row["is_complete"] for row in rows] == [False, False, False, True]


def test_a_week_in_which_all_of_a_fleet_was_lost_is_told_and_not_complete(
    database: Database,
) -> None:
    week = 7 * DAY
    stream = Stream()
    seen = stream.hours(MONDAY, 168)
    stream.hours(MONDAY + week, 168)
    database.take(seen, stream.hours(MONDAY + 2 * week, 2 * 168))

    rows = sorted(database.rows("active_installations"), key=lambda row: row["week"])
    assert [row["week"].day for row in rows] == [23, 30, 7, 14]
    assert [row["installations"] for row in rows] == [1, 0, 1, 1]
    assert [row["installations_gone"] for row in rows] == [0, 1, 0, 0]
    assert [row["is_complete"] for row in rows] == [False, False, False, True]


def test_a_week_in_which_a_fleet_was_stopped_is_told(database: Database) -> None:
    week = 7 * DAY
    stream = Stream()
    seen = [*stream.hours(MONDAY, 167), *stream.window(MONDAY + week - HOUR, gap_seconds_stopped=1)]
    database.take(seen, stream.hours(MONDAY + 2 * week, 168))

    rows = sorted(database.rows("active_installations"), key=lambda row: row["week"])
    assert [row["installations"] for row in rows] == [1, 0, 1]
    # Nothing was lost, and nobody knows whether BotKube was there.
    assert [row["is_complete"] for row in rows] == [False, False, False]


def test_an_upgrade_within_a_week_counts_once(database: Database) -> None:
    stream = Stream()
    new: Mapping[str, Value] = {**DEBUG, "botkube_version": "v1.13.0"}
    both: Mapping[str, Value] = {**DEBUG, "botkube_version": "several"}
    database.take(
        stream.hours(MONDAY, 20, crash()),
        stream.hours(MONDAY + 20 * HOUR, 1, said=both),
        stream.hours(MONDAY + 21 * HOUR, 10, said=new),
        stream.hours(MONDAY + 31 * HOUR, 1, said=both),
    )

    row = database.row("version_adoption")
    assert (row["botkube_version"], row["installations"], row["share"]) == ("v1.13.0", 1, 1)
    hours = {row["botkube_version"]: row["installation_hours"] for row in database.rows("crashes")}
    assert hours == {"v1.14.0": 20, "several": 2, "v1.13.0": 10}
    assert database.row("crashes", botkube_version="v1.14.0")["per_1000_hours"] == 1000


def test_an_integration_is_on_off_or_not_known(database: Database) -> None:
    unsure: Mapping[str, Value] = {"botkube_version": "v1.14.0", "webhook_enabled": True}
    database.take(
        Stream("a", "a").window(MONDAY),
        Stream("b", "b").window(MONDAY, said={**DEBUG, "slack_enabled": False}),
        Stream("c", "c").window(MONDAY, said=unsure),
    )

    slack = database.row("integrations", platform="slack")
    assert (slack["installations"], slack["installations_disabled"]) == (1, 1)
    assert (slack["installations_unknown"], slack["share"]) == (1, 0.5)
    assert slack["share_at_least"] == pytest.approx(1 / 3)
    webhook = database.row("integrations", platform="webhook")
    assert (webhook["kind"], webhook["share"], webhook["installations"]) == ("sink", None, 1)


# --- columns of other types, and other sessions ---------------------------------------------------


@pytest.mark.parametrize("times", ["timestamptz", "timestamp", "text"])
@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Kolkata"])
def test_times_are_utc_whatever_their_type_and_the_session(
    database: Database, times: str, zone: str
) -> None:
    stream = Stream()
    calls = stream.hours(MONDAY + 22 * HOUR, 4, ran(1))
    database.clear()
    database.load([request(calls)], times=times)
    database.execute(f"set TimeZone = '{zone}'")
    install(database.execute)
    refresh(database.execute)
    database.execute(f"set TimeZone = '{zone}'")

    assert [row["count"] for row in database.rows("facts")] == [2, 2]
    days = {row["day"] for row in database.rows("facts")}
    assert days == {MONDAY // DAY, MONDAY // DAY + 1}
    assert database.row("commands")["week"] == WEEK


# --- refreshing -----------------------------------------------------------------------------------


@pytest.mark.parametrize("opened", ["postgresql"], indirect=True)
def test_a_planner_knows_how_large_the_tables_are_that_answers_read(database: Database) -> None:
    database.clear()
    database.take(Stream().hours(MONDAY, 30, ran(1), handled(2)))
    cursor = database.cursor()
    cursor.execute(
        "select relname, reltuples from pg_class where relnamespace = 'scene'::regnamespace"
        " and relkind = 'r'"
    )
    known = {name for name, rows in cursor.fetchall() if rows > 0}

    asked = {"facts", "stream_days", "installation_days", "installation_weeks", "platform_days"}
    assert asked | {"version_days"} <= known


def test_a_second_refresh_changes_nothing(database: Database) -> None:
    stream = Stream()
    database.take(stream.who(MONDAY), stream.hours(MONDAY, 30, ran(1), handled(2)))
    before = database.everything()
    refresh(database.execute)
    install(database.execute)
    refresh(database.execute)

    assert database.everything() == before


def test_what_arrives_late_changes_its_own_day(database: Database) -> None:
    stream = Stream()
    first = stream.hours(MONDAY, 5, ran(1))
    late = stream.window(MONDAY + 5 * HOUR, ran(10))
    rest = stream.hours(MONDAY + 6 * HOUR, 24 * 9, ran(1))
    database.take(first, rest)
    assert database.row("completeness", week=WEEK, reason="delivery")["hours"] == 1
    database.take(request(late, at=MONDAY + 10 * DAY))

    assert [row for row in database.rows("completeness") if row["reason"] == "delivery"] == []
    assert sum(row["count"] for row in database.rows("commands")) == 5 + 10 + 24 * 9


def test_rows_that_a_warehouse_got_days_late_are_asked_for(database: Database) -> None:
    stream = Stream()
    early, late = stream.window(MONDAY, ran(1)), stream.window(MONDAY + HOUR, ran(2))
    database.take(early, stream.hours(MONDAY + 2 * HOUR, 24 * 6, ran(1)))
    # Received in time, but loaded into the warehouse only now.
    database.take(late)
    assert database.row("audit_windows")["windows_missing"] == 1
    database.execute("insert into refresh (days_back) values (30)")
    refresh(database.execute)

    assert database.row("audit_windows")["windows_missing"] == 0
    assert database.rows("refresh") == []


def test_a_refresh_that_is_cut_into_slices_goes_on_where_it_stopped(database: Database) -> None:
    calls = [Stream(one).hours(MONDAY, 30, ran(1), handled(2)) for one in ("one", "two")]
    database.take(*calls)
    whole = database.everything()
    database.empty()
    database.take(*calls, slice_calls=1)
    left = [len(database.rows("pending"))]
    windows = [[row["windows"] for row in database.rows("stream_days")]]
    for _ in range(3):
        database.take(slice_calls=1)
        left.append(len(database.rows("pending")))
        windows.append(sorted(row["windows"] for row in database.rows("stream_days")))

    # Two installations, a day and six hours of the next: the earlier day first.
    assert left == [3, 2, 1, 0]
    assert windows == [[24], [24, 24], [6, 24, 24], [6, 6, 24, 24]]
    assert database.everything() == whole


def test_what_arrives_between_two_slices_is_not_lost(database: Database) -> None:
    stream = Stream()
    first, second = stream.hours(MONDAY, 30, ran(1)), stream.hours(MONDAY + 30 * HOUR, 30, ran(1))
    database.take(first, slice_calls=1)
    database.take(second, slice_calls=1)
    assert sum(row["windows"] for row in database.rows("stream_days")) == 30
    database.take(slice_calls=1)
    database.take(stream.hours(MONDAY + 60 * HOUR, 30, ran(1)))

    assert sum(row["windows"] for row in database.rows("stream_days")) == 90
    assert database.rows("pending") == []


def test_what_is_deleted_from_the_raw_tables_leaves_the_answers(database: Database) -> None:
    kept, gone = Stream("kept").hours(MONDAY, 30, ran(1)), Stream("gone").hours(MONDAY, 30, ran(1))
    database.take(kept, gone)
    delete_raw(database, "gone")
    database.execute("insert into refresh (days_back) values (100)")
    refresh(database.execute)
    left = database.everything()
    database.empty()
    database.take(kept)

    assert left == database.everything()


def test_days_are_reloaded_also_while_slices_are_left(database: Database) -> None:
    kept, gone = Stream("kept").hours(MONDAY, 30, ran(1)), Stream("gone").hours(MONDAY, 30, ran(1))
    database.take(kept, gone, slice_calls=1)
    assert database.rows("pending")
    delete_raw(database, "gone")
    database.execute("insert into refresh (days_back, calls) values (100, 1)")
    for _ in range(4):
        database.take(slice_calls=1)
    left = database.everything()
    database.empty()
    database.take(kept)

    assert left == database.everything()


def delete_raw(database: Database, installation: str) -> None:
    for table in tables():
        database.execute(f"delete from {table} where anonymous_id = '{uuid(installation)}'")  # noqa: S608


def test_a_copy_with_a_wrong_clock_changes_no_count(database: Database) -> None:
    stream = Stream()
    # Received on the day of the windows: the day alone does not tell them apart.
    good = request(stream.hours(MONDAY, 23, ran(1), handled(2), crash(), failed(1)))
    database.take(good)
    names = ("commands", "events_per_day", "notification_failures", "crashes", "crash_kinds")
    counted = {name: without_complete(database.rows(name)) for name in names}
    database.empty()
    # Sent thirty hours before and after it was received, by that clock.
    skewed = [
        re.sub(rb'"sentAt":"[^"]+"', b'"sentAt":"%s"' % said.encode(), good)
        for said in ("2026-11-22T17:05:00Z", "2026-11-25T05:05:00Z")
    ]
    database.take(*skewed, good)

    assert {name: without_complete(database.rows(name)) for name in names} == counted
    assert database.row("completeness", reason="implausible")["hours"] > 0


def test_a_window_of_another_year_takes_nobodys_seq(database: Database) -> None:
    stream = Stream()
    windows = []
    # A state that is restored twice: once with right clocks, and once long ago.
    for start, times in ((MONDAY, 1), (MONDAY + HOUR, 2), (MONDAY - 100 * DAY, 4)):
        stream.seq = 0
        windows.append(request(stream.window(start, ran(times)), at=MONDAY + 3 * HOUR))
    database.take(*windows)

    assert database.row("commands")["count"] == 1
    assert database.row("completeness", reason="implausible")["hours"] == 1


def without_complete(rows: Sequence[Row]) -> list[Row]:
    return [{**row, "is_complete": None} for row in rows]


Arrival: TypeAlias = tuple[int, int, int, bool]


@st.composite
def arrivals(draw: st.DrawFn) -> list[list[bytes]]:
    """Return requests in the order in which they arrive, cut into what each refresh finds."""
    calls: list[tuple[int, bytes]] = []
    for number in range(draw(st.integers(1, 3))):
        stream = Stream(f"i{number % 2}", f"s{number}")
        at = MONDAY + draw(st.integers(0, 40)) * HOUR
        for _ in range(draw(st.integers(1, 12))):
            length = draw(st.sampled_from([HOUR, 6 * HOUR, DAY]))
            at += draw(st.sampled_from([0, 0, 0, HOUR, DAY]))
            at += -at % length
            said: Mapping[str, Value] = draw(st.sampled_from([DEBUG, INFO, {}]))
            made = stream.window(at, ran(1), handled(2), said=said, length=length)
            at += length
            if draw(st.integers(0, 9)) == 0:
                stream.seq -= 1
            for _copy in range(draw(st.sampled_from([0, 1, 1, 1, 1, 2]))):
                arrives = at + draw(st.sampled_from([300, 300, 2 * DAY, 9 * DAY]))
                some = made[draw(st.sampled_from([0, 0, 0, 1])) :]
                calls.append((arrives, request(some, at=arrives)))
    calls.sort(key=lambda one: one[0])
    cuts = sorted(draw(st.lists(st.integers(0, len(calls)), max_size=3)))
    edges = [0, *cuts, len(calls)]
    return [[one for _, one in calls[start:end]] for start, end in pairwise(edges)]


@settings(
    max_examples=3, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(arrivals(), st.lists(st.sampled_from([None, 1, 10]), min_size=4, max_size=4))
def test_refreshing_on_the_way_gives_what_refreshing_at_the_end_gives(
    database: Database, pieces: list[list[bytes]], slices: list[int | None]
) -> None:
    database.empty()
    for piece, slice_calls in zip(pieces, slices, strict=False):
        database.take(*piece, slice_calls=slice_calls)
    refresh(database.execute)
    on_the_way = database.everything()
    database.empty()
    database.take(*(one for piece in pieces for one in piece))

    assert on_the_way == database.everything()


# --- the description ------------------------------------------------------------------------------


def test_every_view_of_answers_is_described_with_its_columns(database: Database) -> None:
    database.take()
    text = (FOLDER / "README.md").read_text(encoding="utf-8")
    for view in (*VIEWS, "audit_windows"):
        cursor = database.cursor()
        cursor.execute(f"select * from {view}")  # noqa: S608 a name of ours
        columns = [one[0] for one in cursor.description]
        section = re.search(rf"(?ms)^### {view}\n(.*?)(?=^##|\Z)", text)
        assert section is not None, view
        _grain, listed, caveats, *_ = section.group(1).strip().split("\n\n")
        assert re.findall(r"`(\w+)`", listed.removeprefix("Columns: ")) == columns, view
        assert caveats, view


def test_every_table_that_is_made_is_named_for_an_upgrade() -> None:
    models = (FOLDER / "models.sql").read_text(encoding="utf-8")
    text = (FOLDER / "README.md").read_text(encoding="utf-8")
    named = re.findall(r"`(\w+)`", re.findall(r"drop the tables \((.*?)\)", text)[0])
    made = re.findall(r"create table if not exists (\w+)", models)

    rest = [one for one in made if not re.fullmatch(rf"{'|'.join(named)}|\w+_days|touched\w*", one)]
    assert rest == ["installation_weeks"]
    assert "`_days` or `_weeks` or begin with `touched`" in text


def test_every_view_that_is_made_has_a_purpose() -> None:
    models = (FOLDER / "models.sql").read_text(encoding="utf-8")
    made = [name for name in view_names(models) if not name.startswith("stage_")]
    text = (FOLDER / "README.md").read_text(encoding="utf-8")

    assert {*VIEWS, "audit_windows"} <= set(made)
    assert [name for name in made if f"`{name}`" not in text and f"### {name}" not in text] == []
