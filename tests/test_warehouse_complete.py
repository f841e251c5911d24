"""What an answer of the warehouse is called complete for, and what keeps it from being so.

Two installations of which all is known for three weeks; then one thing goes wrong in the middle
one, and the answers that it may have changed are not complete: those, and no others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import TypeAlias

import pytest

from agent.disclosure import event_names
from agent.model import Aggregate, Value
from agent.names import snake
from agent.sink.batch import Event
from agent.statistics.warehouse import Warehouse
from tests.shipped import RULES
from tests.test_warehouse import (
    DAY,
    DEBUG,
    HOUR,
    INFO,
    MONDAY,
    Database,
    Stream,
    count,
    crash,
    failed,
    handled,
    on_duckdb,
    ran,
    request,
    under_other_ids,
)

Days: TypeAlias = list[list[Event]]
"""The calls of each day of the installation to which something happens."""
Spoil: TypeAlias = Callable[[Stream, Days], Sequence[bytes | list[Event]]]

WEEK = 7 * DAY
START = MONDAY - DAY
MIDDLE = 8
"""The Monday of the second week, in days."""
WEDNESDAY, THURSDAY, SUNDAY = MIDDLE + 2, MIDDLE + 3, MIDDLE + 6
COUNTS = (
    handled(9),
    ran(2),
    failed(1),
    crash(1),
    count("Configuration error", reason="missing", field="channel"),
)

SUMS = {"commands", "notification_failures", "configuration_errors", "crashes", "crash_kinds"}
LATEST = {
    "active_installations",
    "version_adoption",
    "kubernetes_adoption",
    "version_by_kubernetes",
}
CONTRADICTED = {*SUMS, *LATEST, "integrations", "events_per_day"}
ALL = {*SUMS, *LATEST, "integrations", "events_per_day", "completeness"}


def play(spoil: Spoil | None = None) -> list[bytes | list[Event]]:
    """Return the requests of three weeks of daily windows, one thing in them spoilt."""
    one, other = Stream("a", "a"), Stream("b", "b")
    days = [one.window(START + at * DAY, *COUNTS, length=DAY) for at in range(23)]
    rest = [other.window(START + at * DAY, *COUNTS, length=DAY) for at in range(23)]
    who = [each.who(START + at * DAY) for each in (one, other) for at in range(23)]
    changed = days if spoil is None else spoil(one, days)
    return [*who, *changed, *rest]


def without(day: int, event: str | None = None) -> Spoil:
    """Lose the window of a day, or of it what is said of one event."""

    def spoil(_one: Stream, days: Days) -> Days:
        days[day] = [call for call in days[day] if event and call.get("event") != event]
        return [calls for calls in days if calls]

    return spoil


def saying(day: int, **said: Value) -> Spoil:
    """Let the report of a day say something more."""

    def spoil(_one: Stream, _days: Days) -> Days:
        return made_again({day: {**DEBUG, **said}})

    return spoil


def level(said: Mapping[str, Value]) -> Spoil:
    """Let the report of Wednesday say what can be observed."""

    def spoil(_one: Stream, _days: Days) -> Days:
        return made_again({WEDNESDAY: said})

    return spoil


def made_again(said: Mapping[int, Mapping[str, Value]]) -> Days:
    """Return the windows of all days, the reports of some of which say something else."""
    one = Stream("a", "a")
    return [
        one.window(START + at * DAY, *COUNTS, length=DAY, said=said.get(at, DEBUG))
        for at in range(23)
    ]


def ahead(_one: Stream, days: Days) -> Sequence[bytes | list[Event]]:
    """Let a third installation's window come from a day that has not been yet."""
    odd = Stream("c", "c").window(START + (WEDNESDAY + 3) * DAY, length=HOUR)
    return [*days, request(odd, at=START + WEDNESDAY * DAY + HOUR)]


def askew(day: int) -> Spoil:
    """Let a third installation's clock be 40 days behind, as its `sentAt` says of a window."""

    def spoil(_one: Stream, days: Days) -> Sequence[bytes | list[Event]]:
        odd = Stream("c", "c").window(START + (day - 40) * DAY, length=HOUR)
        at = START + day * DAY + HOUR
        body = request(odd, at=at)
        sent, received = request(odd, at=at - 40 * DAY), body.rpartition(b'"receivedAt":')[2]
        return [*days, sent.rpartition(b'"receivedAt":')[0] + b'"receivedAt":' + received]

    return spoil


def doubled(number: int, **said: Value) -> Spoil:
    """Let a window come once more and say something else."""

    def spoil(_one: Stream, days: Days) -> Days:
        copy = Stream("a", "a", seq=WEDNESDAY).window(
            START + WEDNESDAY * DAY,
            handled(number),
            *COUNTS[1:],
            length=DAY,
            said={**DEBUG, **said},
        )
        return [*days, under_other_ids(copy)]

    return spoil


def told_twice(*counts: Aggregate, minor: str = "1.34", **said: Value) -> Spoil:
    """Let the report of a window come once more, as of other counts or with another word."""

    def spoil(_one: Stream, days: Days) -> Days:
        copy = Stream("a", "a", minor=minor, seq=WEDNESDAY).window(
            START + WEDNESDAY * DAY, *(counts or COUNTS), length=DAY, said={**DEBUG, **said}
        )
        return [*days, under_other_ids(copy[-1:])]

    return spoil


def raised(minimum: int) -> Spoil:
    """Let the operator have the counts of Wednesday raised."""

    def spoil(_one: Stream, _days: Days) -> Days:
        one = Stream("a", "a")
        days = []
        for at in range(23):
            one.minimum = minimum if at == WEDNESDAY else 0
            days.append(one.window(START + at * DAY, *COUNTS, length=DAY))
        return days

    return spoil


def clock_put_back(_one: Stream, _days: Days) -> Sequence[bytes | list[Event]]:
    """Let a clock be put back on Saturday, and be there again on Wednesday."""
    one, saturday = Stream("a", "a"), MIDDLE - 2
    sent: list[bytes | list[Event]] = []
    for at in range(23):
        late = {**DEBUG, "late_lines": 20} if at == saturday else DEBUG
        counts = () if saturday < at < WEDNESDAY else COUNTS
        calls = one.window(START + at * DAY, *counts, length=DAY, said=late)
        is_held = saturday <= at < WEDNESDAY
        sent.append(request(calls, at=START + WEDNESDAY * DAY + HOUR) if is_held else calls)
    return sent


def restored(_one: Stream, days: Days) -> Days:
    """Let the state of the day before yesterday count on from Thursday."""
    one = Stream("a", "a")
    again = []
    for at in range(23):
        if at == THURSDAY:
            one.seq -= 2
        again.append(one.window(START + at * DAY, *COUNTS, length=DAY))
    return again


def stopped(gap: int) -> Spoil:
    """Let nobody run it on Wednesday, which it says on Thursday, or does not."""

    def spoil(_one: Stream, _days: Days) -> Days:
        one = Stream("a", "a")
        said = {**DEBUG, "gap_seconds_stopped": gap} if gap else DEBUG
        return [
            one.window(
                START + at * DAY, *COUNTS, length=DAY, said=said if at == THURSDAY else DEBUG
            )
            for at in range(23)
            if at != WEDNESDAY
        ]

    return spoil


def stopped_from(first: int, end: int) -> Spoil:
    """Let nobody run it from one day to another, which says so."""

    def spoil(_one: Stream, _days: Days) -> Days:
        one = Stream("a", "a")
        said = {**DEBUG, "gap_seconds_stopped": DAY}
        return [
            one.window(START + at * DAY, *COUNTS, length=DAY, said=said if at == end else DEBUG)
            for at in range(23)
            if not first <= at < end
        ]

    return spoil


def beside(at: int, *, minor: str = "1.34", distribution: str = "kind", **said: Value) -> Spoil:
    """Let an agent on another node say something of a day beside the first."""

    def spoil(_one: Stream, days: Days) -> Days:
        other = Stream("a", "other node", minor=minor, distribution=distribution)
        window = other.window(START + at * DAY, *COUNTS, length=DAY, said={**DEBUG, **said})
        return [*days, window]

    return spoil


def tied(last: Spoil | None) -> Spoil:
    """Let an agent on another node lack something of Sunday, of which the first says all."""

    def spoil(_one: Stream, days: Days) -> Sequence[bytes | list[Event]]:
        other = Stream("a", "other node")
        windows = [other.window(START + at * DAY, *COUNTS, length=DAY) for at in range(23)]
        if last is not None:
            return [*days, *last(other, windows)]
        other = Stream("a", "other node")
        blind: Mapping[str, Value] = {"gap_seconds_unreadable": DAY}
        windows = [
            other.window(START + at * DAY, length=DAY, said=blind if at == SUNDAY else DEBUG)
            for at in range(23)
        ]
        return [*days, *windows]

    return spoil


def switched_off(_one: Stream, _days: Days) -> Days:
    """Let a switch turn it off over the week's end: what follows is a stream of its own."""
    one, after = Stream("a", "a"), Stream("a", "after")
    return [
        *(one.window(START + at * DAY, *COUNTS, length=DAY) for at in range(SUNDAY)),
        *(after.window(START + at * DAY, *COUNTS, length=DAY) for at in range(SUNDAY + 2, 23)),
    ]


def off_on_sunday(seconds: int) -> Spoil:
    """Let it be off for a while on Sunday; what follows is a stream of its own."""

    def spoil(_one: Stream, _days: Days) -> Days:
        one, after = Stream("a", "a"), Stream("a", "after")
        begin = START + SUNDAY * DAY
        return [
            *(one.window(START + at * DAY, *COUNTS, length=DAY) for at in range(SUNDAY)),
            one.window(begin, *COUNTS, length=20 * HOUR),
            after.window(begin + 20 * HOUR + seconds, *COUNTS, length=4 * HOUR - seconds),
            *(after.window(START + at * DAY, *COUNTS, length=DAY) for at in range(SUNDAY + 1, 23)),
        ]

    return spoil


def wiped(_one: Stream, days: Days) -> Days:
    """Let another node's state be lost on Sunday, which the stream that begins on Monday says."""
    other, after = Stream("a", "other node"), Stream("a", "after")
    lost: Mapping[str, Value] = {**DEBUG, "gap_seconds_state_lost": HOUR}
    monday = START + (SUNDAY + 1) * DAY
    return [
        *days,
        *(other.window(START + at * DAY, *COUNTS, length=DAY) for at in range(SUNDAY)),
        other.window(START + SUNDAY * DAY, *COUNTS, length=20 * HOUR),
        after.window(monday + HOUR, *COUNTS, length=HOUR, said=lost),
        after.window(monday + 2 * HOUR, *COUNTS, length=22 * HOUR),
        *(after.window(START + at * DAY, *COUNTS, length=DAY) for at in range(SUNDAY + 2, 23)),
    ]


def off_on_monday(_one: Stream, _days: Days) -> Days:
    """Let the window of the Monday after be discarded by a switch, with what was late in it."""
    one, after = Stream("a", "a"), Stream("a", "after")
    return [
        *(one.window(START + at * DAY, *COUNTS, length=DAY) for at in range(SUNDAY + 1)),
        *(after.window(START + at * DAY, *COUNTS, length=DAY) for at in range(SUNDAY + 2, 23)),
    ]


def lost_on_monday(_one: Stream, _days: Days) -> Days:
    """Let the state be lost on the Monday after, with what was late in its open window."""
    one, after = Stream("a", "a"), Stream("a", "after")
    lost: Mapping[str, Value] = {**DEBUG, "gap_seconds_state_lost": HOUR}
    monday = SUNDAY + 1
    return [
        *(one.window(START + at * DAY, *COUNTS, length=DAY) for at in range(monday)),
        *(
            after.window(
                START + at * DAY, *COUNTS, length=DAY, said=lost if at == monday else DEBUG
            )
            for at in range(monday, 23)
        ),
    ]


def slot_taken(_one: Stream, days: Days) -> Days:
    """Let a node's slot be given back long before, and another begin after: neither lacks any."""
    before, after = Stream("a", "before"), Stream("a", "after")
    lost: Mapping[str, Value] = {**DEBUG, "gap_seconds_state_lost": 60}
    begins = SUNDAY + 3
    return [
        *days,
        *(before.window(START + at * DAY, *COUNTS, length=DAY) for at in range(3)),
        *(
            after.window(
                START + at * DAY, *COUNTS, length=DAY, said=lost if at == begins else DEBUG
            )
            for at in range(begins, 23)
        ),
    ]


def new_version_withheld(_one: Stream, _days: Days) -> Days:
    """Let Friday's upgrade be to a version that the rules have just come to know."""
    one = Stream("a", "a")
    withheld = {f"{snake(event)}_withheld": True for event in event_names(RULES)}
    silent = {name: what for name, what in DEBUG.items() if name != "botkube_version"}
    friday = MIDDLE + 4
    return [
        one.window(
            START + at * DAY,
            *(COUNTS if at < friday else ()),
            length=DAY,
            said=DEBUG if at < friday else {**silent, **withheld},
        )
        for at in range(23)
    ]


def known_from(day: int, *, is_version_withheld: bool = False) -> Spoil:
    """Let nobody know what is on before a day, from which on it is off."""
    unknown = {name: what for name, what in DEBUG.items() if not name.endswith("_enabled")}
    if is_version_withheld:
        unknown |= {"command_refused_withheld": True}
        del unknown["botkube_version"]

    def spoil(_one: Stream, _days: Days) -> Days:
        off: Mapping[str, Value] = {**DEBUG, "slack_enabled": False}
        return made_again({at: unknown if at < day else off for at in range(23)})

    return spoil


def an_hour_lost(day: int) -> Spoil:
    """Let the request of an hour be lost: it may have said that the cluster is another."""

    def spoil(_one: Stream, _days: Days) -> Days:
        one = Stream("a", "a")
        begin = START + day * DAY
        before = [one.window(START + at * DAY, *COUNTS, length=DAY) for at in range(day)]
        parts = [one.window(begin, *COUNTS, length=10 * HOUR), one.window(begin + 10 * HOUR)]
        rest = one.window(begin + 11 * HOUR, *COUNTS, length=13 * HOUR)
        after = [one.window(START + at * DAY, *COUNTS, length=DAY) for at in range(day + 1, 23)]
        return [*before, parts[0], rest, *after]

    return spoil


def copied_state(_one: Stream, days: Days) -> Days:
    """Let another go on with a copy of its state; of one report the facts of both arrive."""
    copy = Stream("a", "a", seq=WEDNESDAY)
    twice = copy.window(START + WEDNESDAY * DAY, handled(7, "discord"), length=DAY)
    return [*days, twice[:-1]]


def idle(**said: Value) -> Spoil:
    """Let a third installation be one without a BotKube, whose report of Wednesday says more."""

    def spoil(_one: Stream, days: Days) -> Days:
        idle = Stream("c", "c")
        windows = [
            idle.window(START + at * DAY, length=DAY, said=said if at == WEDNESDAY else {})
            for at in range(23)
        ]
        return [*days, idle.who(START), *windows]

    return spoil


def lost_trace(_one: Stream, days: Days) -> Days:
    """Let all that is known of a third installation's BotKube be one fact, which is lost."""
    idle = Stream("c", "c")
    windows = [
        idle.window(START + at * DAY, *COUNTS[-1:] * (at == WEDNESDAY), length=DAY, said={})
        for at in range(23)
    ]
    windows[WEDNESDAY] = windows[WEDNESDAY][-1:]
    return [*days, idle.who(START), *windows]


def without_the_first_of(length: int) -> Spoil:
    """Let the first two windows of an agent on another node be lost, whose third was cut short."""

    def spoil(_one: Stream, days: Days) -> Days:
        other = Stream("a", "other node", seq=2)
        at = START + (MIDDLE + 7) * DAY + 2 * HOUR
        return [
            *days,
            other.window(at, *COUNTS, length=HOUR),
            other.window(at + HOUR, *COUNTS, length=length),
            other.window(at + DAY, *COUNTS, length=DAY - 2 * HOUR),
        ]

    return spoil


def unread(_one: Stream, _days: Days) -> Days:
    """Let nothing of Sunday be read, not even which version runs."""
    one = Stream("a", "a")
    blind: Mapping[str, Value] = {"gap_seconds_unreadable": DAY}
    return [
        one.window(START + at * DAY, *(() if at == SUNDAY else COUNTS), length=DAY, said=said)
        for at in range(23)
        for said in [blind if at == SUNDAY else DEBUG]
    ]


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    with on_duckdb(tmp_path_factory.mktemp("warehouse")) as found:
        yield found


@pytest.fixture
def database(opened: Database) -> Database:
    # To make its views costs more than all that a test asks.
    opened.empty()
    return opened


def incomplete(database: Database) -> set[str]:
    """Return the answers about the middle week that are not complete."""
    # As a report asks: what many answers need is made once.
    answers = Warehouse(database.cursor(), Path()).answers()
    found = set()
    for view in ALL:
        rows = [
            row
            for row in getattr(answers, view)
            # Of other platforms nobody says anything.
            if str(row.week) == "2026-11-30"
            and getattr(row, "platform", "unknown") in {"unknown", "slack"}
        ]
        assert rows, view
        if not all(row.is_complete for row in rows):
            found.add(view)
    return found


def test_all_answers_are_complete_where_all_is_known(database: Database) -> None:
    database.take(*play())

    assert incomplete(database) == set()


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        pytest.param(
            without(WEDNESDAY),
            {*SUMS, "integrations", "events_per_day", "completeness"},
            id="a window is lost",
        ),
        pytest.param(without(SUNDAY), ALL, id="the last window is lost"),
        pytest.param(
            without(WEDNESDAY, "Event handled"), {*SUMS, "events_per_day"}, id="a fact is lost"
        ),
        pytest.param(
            without(WEDNESDAY, "Collection report"),
            {*SUMS, "integrations", "events_per_day"},
            id="a report is lost",
        ),
        pytest.param(
            without(SUNDAY, "Collection report"),
            {*SUMS, *LATEST, "integrations", "events_per_day"},
            id="the last report is lost",
        ),
        pytest.param(
            saying(WEDNESDAY, gap_seconds_rotated=60),
            {*SUMS, "integrations", "events_per_day"},
            id="a gap",
        ),
        pytest.param(
            unread,
            {*SUMS, "version_adoption", "version_by_kubernetes", "integrations", "events_per_day"},
            id="nothing of the last day could be read",
        ),
        pytest.param(
            saying(WEDNESDAY, events_discarded=1), {*SUMS, "events_per_day"}, id="discarded"
        ),
        pytest.param(
            saying(WEDNESDAY, late_lines=1), {*SUMS, "events_per_day"}, id="something is late"
        ),
        pytest.param(
            saying(MIDDLE + 7, late_lines=1),
            {*SUMS, "events_per_day"},
            id="something is late on the day after",
        ),
        pytest.param(saying(MIDDLE + 8, late_lines=1), set(), id="something is late afterwards"),
        pytest.param(
            without(MIDDLE + 7, "Collection report"),
            {*SUMS, "events_per_day"},
            id="nobody says whether something is late on the day after",
        ),
        pytest.param(
            without(MIDDLE + 8, "Collection report"),
            set(),
            id="nobody says whether something is late afterwards",
        ),
        pytest.param(without(MIDDLE + 7), {*SUMS, "events_per_day"}, id="the day after is lost"),
        pytest.param(without(MIDDLE + 8), set(), id="a later day is lost"),
        pytest.param(
            saying(MIDDLE - 1, late_lines=1),
            {*SUMS, "events_per_day"},
            id="something was late in a window that was received in the week",
        ),
        pytest.param(saying(MIDDLE - 2, late_lines=1), set(), id="something was late before"),
        pytest.param(
            clock_put_back,
            {*SUMS, "events_per_day"},
            id="what was read until Wednesday is in a window of the week before",
        ),
        pytest.param(
            told_twice(late_lines=1),
            {*SUMS, "events_per_day"},
            id="a copy says that something is late",
        ),
        pytest.param(
            saying(WEDNESDAY, event_handled_withheld=True),
            {"notification_failures", "events_per_day"},
            id="events withheld",
        ),
        pytest.param(
            saying(WEDNESDAY, command_executed_withheld=True), {"commands"}, id="commands withheld"
        ),
        pytest.param(
            saying(WEDNESDAY, application_crashed_withheld=True),
            {"crashes", "crash_kinds"},
            id="crashes withheld",
        ),
        pytest.param(
            saying(WEDNESDAY, configuration_error_withheld=True),
            {"configuration_errors"},
            id="faults withheld",
        ),
        pytest.param(
            level(INFO),
            {"commands", "notification_failures", "events_per_day"},
            id="at info for a day",
        ),
        pytest.param(
            level({name: one for name, one in DEBUG.items() if "observable" not in name}),
            {"commands", "notification_failures", "events_per_day"},
            id="at a level that nobody knows",
        ),
        pytest.param(ahead, ALL, id="a clock is ahead"),
        pytest.param(askew(WEDNESDAY), ALL, id="a clock is behind"),
        pytest.param(askew(SUNDAY + 2), ALL, id="a clock is behind two days after"),
        pytest.param(askew(SUNDAY + 3), set(), id="a clock is behind afterwards"),
        pytest.param(doubled(5), CONTRADICTED, id="a copy says less"),
        pytest.param(
            doubled(9, slack_enabled=False),
            CONTRADICTED,
            id="a copy says another platform",
        ),
        pytest.param(doubled(9), set(), id="a copy says the same"),
        pytest.param(
            told_twice(handled(8), ran(3), *COUNTS[2:]),
            CONTRADICTED,
            id="a copy says as many of something else",
        ),
        pytest.param(
            told_twice(mattermost_enabled=False),
            CONTRADICTED,
            id="a copy says that a platform is off of which the other says nothing",
        ),
        pytest.param(
            told_twice(botkube_version="v1.13.0"),
            CONTRADICTED,
            id="a copy says another version",
        ),
        pytest.param(
            told_twice(minor="1.33"),
            CONTRADICTED,
            id="a copy says another Kubernetes",
        ),
        pytest.param(
            told_twice(events_observable=False),
            CONTRADICTED,
            id="a copy says that it saw no events",
        ),
        pytest.param(
            told_twice(commands_observable=False),
            CONTRADICTED,
            id="a copy says that it saw no commands",
        ),
        pytest.param(
            raised(2),
            SUMS - {"commands"},
            id="what is rare is raised",
        ),
        pytest.param(raised(10), {*SUMS, "events_per_day"}, id="all is raised"),
        pytest.param(
            saying(SUNDAY, botkube_version="several"),
            {"version_adoption", "version_by_kubernetes"},
            id="an upgrade in the last window",
        ),
        pytest.param(
            restored,
            {*SUMS, "integrations", "events_per_day", "completeness"},
            id="a state is restored",
        ),
        pytest.param(
            stopped(0),
            {*SUMS, "integrations", "events_per_day", "completeness"},
            id="nobody says why there is nothing",
        ),
        pytest.param(stopped(DAY), {*SUMS, "integrations", "events_per_day"}, id="it was stopped"),
        pytest.param(
            stopped_from(SUNDAY, SUNDAY + 3),
            {*SUMS, *LATEST, "integrations", "events_per_day"},
            id="it was stopped over the week's end",
        ),
        pytest.param(
            stopped_from(MIDDLE - 2, MIDDLE + 1),
            # In which cluster it ended the week before nobody knows.
            {*SUMS, "active_installations", "integrations", "events_per_day"},
            id="it was stopped over the week's begin",
        ),
        pytest.param(
            stopped_from(MIDDLE, MIDDLE + 7),
            {*SUMS, *LATEST, "integrations", "events_per_day"},
            id="it was stopped all week",
        ),
        pytest.param(
            tied(None),
            {*SUMS, "version_adoption", "version_by_kubernetes", "integrations", "events_per_day"},
            id="the other node could read nothing of the last day",
        ),
        pytest.param(
            tied(without(SUNDAY, "Collection report")),
            {*SUMS, *LATEST, "integrations", "events_per_day"},
            id="the other node's last report is lost",
        ),
        pytest.param(
            tied(without(SUNDAY)),
            ALL,
            id="the other node's last window is lost",
        ),
        pytest.param(
            saying(SUNDAY, gap_seconds_rotated=60),
            {*SUMS, "version_adoption", "version_by_kubernetes", "integrations", "events_per_day"},
            id="a gap in the last window",
        ),
        pytest.param(
            switched_off,
            {*SUMS, *LATEST, "integrations", "events_per_day"},
            id="it was switched off over the week's end",
        ),
        pytest.param(
            off_on_sunday(60),
            # Which cluster it was in is told once a day.
            {*SUMS, "active_installations", "integrations", "events_per_day"},
            id="it was switched off for a minute",
        ),
        pytest.param(
            wiped,
            {*SUMS, *LATEST, "integrations", "events_per_day"},
            id="the other node's state was lost",
        ),
        pytest.param(
            off_on_monday,
            {*SUMS, "events_per_day"},
            id="it was switched off on the day after",
        ),
        pytest.param(
            lost_on_monday, {*SUMS, "events_per_day"}, id="its state was lost on the day after"
        ),
        pytest.param(slot_taken, set(), id="a free slot was taken later on"),
        pytest.param(
            new_version_withheld,
            {*SUMS, "version_adoption", "version_by_kubernetes", "events_per_day"},
            id="the version that it was upgraded to is withheld",
        ),
        pytest.param(
            known_from(MIDDLE + 2), {"integrations"}, id="what is on is known from Wednesday on"
        ),
        pytest.param(known_from(MIDDLE), set(), id="what is on is known from Monday on"),
        pytest.param(
            known_from(MIDDLE + 2, is_version_withheld=True),
            {"integrations", "events_per_day"},
            id="nor which version ran until then, for it is withheld",
        ),
        pytest.param(
            an_hour_lost(WEDNESDAY),
            {*SUMS, "integrations", "events_per_day", "completeness"},
            id="an hour of Wednesday is lost",
        ),
        pytest.param(
            an_hour_lost(SUNDAY),
            {*SUMS, "active_installations", "integrations", "events_per_day", "completeness"},
            id="an hour of Sunday is lost",
        ),
        pytest.param(copied_state, {*SUMS, "events_per_day"}, id="more arrived than was told"),
        pytest.param(idle(), set(), id="there is one without a BotKube"),
        pytest.param(
            idle(gap_seconds_unreadable=DAY),
            {*SUMS, *LATEST, "integrations", "events_per_day"},
            id="nobody knows whether there is a BotKube",
        ),
        pytest.param(
            idle(events_discarded=1),
            {*SUMS, *LATEST, "integrations", "events_per_day"},
            id="all that is known of a BotKube was discarded",
        ),
        pytest.param(
            lost_trace,
            {*SUMS, *LATEST, "integrations"},
            id="all that is known of a BotKube is lost",
        ),
        pytest.param(
            idle(application_crashed_withheld=True),
            {*LATEST, "integrations", "crashes", "crash_kinds"},
            id="it is not told whether there is a BotKube",
        ),
        pytest.param(
            beside(SUNDAY, botkube_version="v1.13.0"),
            {"version_adoption", "version_by_kubernetes"},
            id="two versions run side by side at the end",
        ),
        pytest.param(
            beside(WEDNESDAY, botkube_version="v1.13.0", minor="1.33"),
            set(),
            id="two versions run side by side before",
        ),
        pytest.param(
            beside(SUNDAY, minor="1.33"),
            {"kubernetes_adoption", "version_by_kubernetes"},
            id="two agents say two minors at the end",
        ),
        pytest.param(
            beside(SUNDAY, distribution="k3s"),
            {"kubernetes_adoption", "version_by_kubernetes"},
            id="two agents say two distributions at the end",
        ),
        pytest.param(
            without_the_first_of(HOUR),
            {*SUMS, "events_per_day"},
            id="two windows of an hour are lost after the week",
        ),
        pytest.param(
            without_the_first_of(DAY // 2),
            ALL,
            id="two windows that may have been longer are lost",
        ),
    ],
)
def test_an_answer_that_something_may_have_changed_is_not_complete(
    database: Database, spoil: Spoil, expected: set[str]
) -> None:
    database.take(*play(spoil))

    assert incomplete(database) == expected


def test_a_day_whose_events_are_withheld_is_left_out(database: Database) -> None:
    """Though nobody can tell that there was a BotKube."""
    database.take(*play(new_version_withheld))

    days = {
        str(row["week"]): (row["installation_days"], row["days_left_out"])
        for row in database.rows("events_per_day")
        if row["platform"] == "slack" and "2026-11-23" <= str(row["week"]) <= "2026-12-07"
    }
    assert days == {"2026-11-23": (14, 0), "2026-11-30": (11, 3), "2026-12-07": (7, 7)}


def test_who_names_no_cluster_has_none_to_hide(database: Database) -> None:
    one, other = Stream("a", "a", cluster=None), Stream("b", "b")
    stop: Mapping[str, Value] = {**DEBUG, "gap_seconds_stopped": DAY}
    sent = [
        one.who(START + at * DAY)
        + one.window(START + at * DAY, *COUNTS, length=DAY, said=stop if at == THURSDAY else DEBUG)
        for at in range(23)
        if at != WEDNESDAY
    ]
    rest = [
        other.who(START + at * DAY) + other.window(START + at * DAY, *COUNTS, length=DAY)
        for at in range(23)
    ]
    database.take(*sent, *rest)

    assert "active_installations" not in incomplete(database)


@pytest.mark.parametrize(("lost", "is_complete"), [(None, True), (2, False), (4, False), (5, True)])
def test_a_cluster_that_is_named_after_a_silence_may_have_been_another(
    database: Database, lost: int | None, is_complete: bool
) -> None:
    """The middle week's cluster is told on the fourth day after it alone."""
    one, other = Stream("a", "a"), Stream("b", "b")
    days = [
        one.window(START + at * DAY + part * HOUR, *COUNTS, length=12 * HOUR)
        for at in range(23)
        for part in (0, 12)
    ]
    if lost is not None:
        del days[2 * (SUNDAY + lost)]
    rest = [
        other.who(START + at * DAY) + other.window(START + at * DAY, *COUNTS, length=DAY)
        for at in range(23)
    ]
    database.take(*days, one.who(START + (SUNDAY + 4) * DAY), *rest)

    assert ("active_installations" not in incomplete(database)) == is_complete


@pytest.mark.parametrize(
    ("named", "is_sure"), [("elsewhere", False), ("another", False), (None, True)]
)
def test_a_cluster_is_not_new_in_which_one_may_have_been(
    database: Database, named: str | None, is_sure: bool
) -> None:
    """A BotKube that nobody could see for a week had, it may be, the cluster of one made later."""
    one, after = Stream("c", "c", cluster=named), Stream("d", "d", cluster="elsewhere")
    unseen: Mapping[str, Value] = {"gap_seconds_unreadable": DAY}
    sent = [
        one.who(START + at * DAY) + one.window(START + at * DAY, length=DAY, said=said)
        for at in range(15)
        for said in [unseen if at < MIDDLE else {}]
    ]
    sent += [
        after.who(START + at * DAY) + after.window(START + at * DAY, *COUNTS, length=DAY)
        for at in range(15, 30)
    ]
    rest = [
        Stream("b", "b", seq=at).window(START + at * DAY, *COUNTS, length=DAY) for at in range(30)
    ]
    database.take(*sent, *rest)

    rows = {str(row["week"]): row for row in database.rows("active_installations")}
    assert rows["2026-12-07"]["clusters_new"] == 1
    complete = [bool(rows[week]["is_complete"]) for week in ("2026-12-07", "2026-12-14")]
    assert complete == [is_sure, True]


def half_days(one: Stream, days: range, *, lost: float | None = None) -> Days:
    """Return windows of half a day, with its cluster said once a day; one is lost."""
    found = []
    for half in range(2 * days.start, 2 * days.stop):
        at = START + half * 12 * HOUR
        said = one.who(at) if half % 2 == 0 else []
        window = one.window(at, *COUNTS, length=12 * HOUR)
        if half / 2 != lost:
            found.append([*said, *window])
    return found


@pytest.mark.parametrize(
    ("lost", "named", "is_sure"),
    [(SUNDAY + 0.5, "another", False), (SUNDAY + 0.5, None, True), (None, "another", True)],
)
def test_a_cluster_is_not_new_to_which_one_may_have_moved_and_back(
    database: Database, lost: float | None, named: str | None, is_sure: bool
) -> None:
    after = Stream("d", "d", cluster="elsewhere")
    database.take(
        *half_days(Stream("c", "c", cluster=named), range(30), lost=lost),
        *half_days(after, range(22, 30)),
        *half_days(Stream("b", "b"), range(30)),
    )

    rows = {str(row["week"]): row for row in database.rows("active_installations")}
    assert rows["2026-12-14"]["clusters_new"] == 1
    assert bool(rows["2026-12-14"]["is_complete"]) == is_sure


@pytest.mark.parametrize("is_heard", [False, True])
def test_where_one_was_that_ended_before_it_was_told_again_is_not_known(
    database: Database, *, is_heard: bool
) -> None:
    one = Stream("c", "c", cluster="elsewhere")
    days = half_days(one, range(SUNDAY + 1), lost=None if is_heard else SUNDAY + 0.5)
    # On Sunday evening it may have moved and said so; that is told again a day later.
    days.append(one.window(START + (SUNDAY + 1) * DAY, *COUNTS, length=12 * HOUR))
    staying = [half_days(Stream(name, name), range(36)) for name in "ab"]
    database.take(*days, *chain.from_iterable(staying))

    rows = {str(row["week"]): row for row in database.rows("active_installations")}
    told = [bool(rows[week]["is_complete"]) for week in ("2026-12-07", "2026-12-14", "2026-12-21")]
    assert told == [is_heard, is_heard, True]


@pytest.mark.parametrize("is_heard", [False, True])
def test_a_cluster_has_not_returned_in_which_nobody_was_for_certain(
    database: Database, *, is_heard: bool
) -> None:
    one = Stream("c", "c", cluster="elsewhere")
    days = half_days(one, range(MIDDLE, SUNDAY), lost=None if is_heard else SUNDAY - 0.5)
    # On Saturday evening it may have moved and said so; that is told again a day later.
    days.append(one.window(START + SUNDAY * DAY, *COUNTS, length=DAY))
    one.cluster = "cluster"
    days += half_days(one, range(SUNDAY + 1, 36))
    after = half_days(Stream("d", "d", cluster="elsewhere"), range(29, 36))
    database.take(*days, *after, *half_days(Stream("b", "b"), range(36)))

    rows = {str(row["week"]): row for row in database.rows("active_installations")}
    assert rows["2026-12-21"]["clusters_returned"] == 1
    assert bool(rows["2026-12-21"]["is_complete"]) == is_heard


def test_a_window_of_which_nothing_was_observed_names_no_version(database: Database) -> None:
    gone = beside(SUNDAY, botkube_version="v1.13.0", gap_seconds_pod_gone=DAY)
    database.take(*play(gone))

    rows = [row for row in database.rows("version_adoption") if str(row["week"]) == "2026-11-30"]
    assert [(row["botkube_version"], row["installations"]) for row in rows] == [("v1.14.0", 2)]


def test_sums_are_not_complete_before_the_day_after_is_there(database: Database) -> None:
    streams = Stream("a", "a"), Stream("b", "b")
    until = SUNDAY + 1
    database.take(
        *(each.who(START) for each in streams),
        *(
            each.window(START + at * DAY, *COUNTS, length=DAY)
            for at in range(until)
            for each in streams
        ),
    )
    # By Monday at five past midnight all of Sunday is there; what is late may come on Monday.
    assert incomplete(database) == {*SUMS, "events_per_day"}

    database.take(*(each.window(START + until * DAY, *COUNTS, length=DAY) for each in streams))
    assert incomplete(database) == set()


def test_nothing_is_complete_of_which_a_part_is_pending(database: Database) -> None:
    database.take(*play())
    database.execute("insert into pending values ('a', 0, 1)")
    assert incomplete(database) == ALL

    database.take(slice_calls=1)
    assert incomplete(database) == set()


def test_a_week_is_over_when_nobody_has_more_on_the_way(database: Database) -> None:
    one, other = Stream("a", "a"), Stream("b", "b")
    database.take(
        *(one.window(START + at * DAY, *COUNTS, length=DAY) for at in range(SUNDAY)),
        one.window(START + SUNDAY * DAY, *COUNTS, length=DAY // 2),
        *(other.window(START + at * DAY, *COUNTS, length=DAY) for at in range(SUNDAY + 1)),
        *(each.who(START) for each in (one, other)),
    )
    # On Monday at five past midnight the other has said all, and this one half of Sunday.
    assert incomplete(database) == ALL

    database.take(other.window(START + (SUNDAY + 1) * DAY, *COUNTS, length=DAY))
    assert incomplete(database) == ALL
    assert not is_whole(database)

    database.take(other.window(START + (SUNDAY + 2) * DAY, *COUNTS, length=DAY))
    # Of it nothing has come for two days: it is gone.
    assert incomplete(database) == {"events_per_day"}
    assert is_whole(database)


def is_whole(database: Database) -> bool:
    """Return whether the data reach over the middle week, whoever is behind."""
    rows = [one for one in database.rows("completeness") if str(one["week"]) == "2026-11-30"]
    (found,) = {one["is_whole"] for one in rows}
    return bool(found)


def test_a_week_is_not_over_before_something_was_received_after_it(database: Database) -> None:
    one = Stream("a", "a")
    days = [one.window(START + at * DAY, *COUNTS, length=DAY) for at in range(SUNDAY + 1)]
    # By a clock that is ten minutes ahead.
    early = [request(calls, at=START + (at + 1) * DAY - 300) for at, calls in enumerate(days)]
    database.take(one.who(START), *early)

    assert incomplete(database) == ALL


def test_a_week_is_not_over_while_one_stream_is_weeks_behind(database: Database) -> None:
    one, behind = Stream("a", "a"), Stream("a", "other node")
    days = [one.window(START + at * DAY, *COUNTS, length=DAY) for at in range(23)]
    late = [behind.window(START + at * DAY, *COUNTS, length=DAY) for at in range(23)]

    def come(number: int) -> list[bytes]:
        return [request(calls, at=START + 23 * DAY + 600 + at) for at, calls in enumerate(late)][
            :number
        ]

    database.take(one.who(START), *days, *come(WEDNESDAY))
    assert incomplete(database) == ALL
    assert is_whole(database)

    database.take(*come(23)[WEDNESDAY:])
    assert incomplete(database) == set()


def test_a_window_without_its_report_tells_that_more_is_on_the_way(database: Database) -> None:
    one, other = Stream("a", "a"), Stream("b", "b")
    days = [one.window(START + at * DAY, *COUNTS, length=DAY) for at in range(23)]
    rest = [other.window(START + at * DAY, *COUNTS, length=DAY) for at in range(WEDNESDAY + 1)]
    *facts, report = rest[-1]
    newest = START + 23 * DAY + 600
    database.take(one.who(START), other.who(START), *days, *rest[:-1], request(facts, at=newest))
    assert incomplete(database) == ALL

    database.take(request([report], at=newest))
    assert incomplete(database) == ALL


def test_a_copy_of_one_who_is_gone_holds_no_week_back(database: Database) -> None:
    one, gone = Stream("a", "a"), Stream("b", "b")
    days = [one.window(START + at * DAY, *COUNTS, length=DAY) for at in range(23)]
    rest = [gone.window(START + at * HOUR, *COUNTS, length=HOUR) for at in range(24 * WEDNESDAY)]
    database.take(one.who(START), gone.who(START), *days, *rest)
    assert incomplete(database) == set()

    database.take(*(request(rest[at], at=START + 23 * DAY + 600) for at in (-3, -1)))
    assert incomplete(database) == set()


def test_a_copy_of_a_fact_of_one_who_is_gone_holds_no_week_back(database: Database) -> None:
    one, gone = Stream("a", "a"), Stream("b", "b")
    days = [one.window(START + at * DAY, *COUNTS, length=DAY) for at in range(23)]
    rest = [gone.window(START + at * DAY, *COUNTS, length=DAY) for at in range(WEDNESDAY + 1)]
    facts = rest[-1][:-1]
    database.take(one.who(START), gone.who(START), *days, *rest[:-1], facts)
    expected = {*SUMS, *LATEST, "integrations", "events_per_day"}
    assert incomplete(database) == expected

    database.take(request(facts, at=START + 23 * DAY + 600))
    assert incomplete(database) == expected


def test_nobody_is_new_of_whom_an_earlier_week_may_be_lost(database: Database) -> None:
    one, other = Stream("a", "a"), Stream("b", "b")
    windows = [other.window(START + at * DAY, length=DAY) for at in range(23)]
    one.seq = 7  # a week of windows before its first
    late = [one.window(START + at * DAY, length=DAY) for at in range(MIDDLE, 23)]
    who = [other.who(START + at * DAY) for at in range(23)]
    who += [one.who(START + at * DAY) for at in range(MIDDLE, 23)]
    database.take(*windows, *late, *who)

    weeks = sorted(database.rows("active_installations"), key=lambda row: str(row["week"]))
    told = [(row["installations"], row["installations_new"], row["is_complete"]) for row in weeks]
    # Not complete: the first of all, that of the hole, that of the new one, the one not over.
    assert told == [
        (1, 1, False),
        (1, 0, False),
        (2, 1, False),
        (2, 0, True),
        (2, 0, False),
    ]


@pytest.mark.parametrize(
    "said", [{"seq": 10**15}, {"count": 2**62}, {"count": -3}, {"count": None}]
)
def test_a_number_that_no_agent_sends_stops_nothing_and_counts_for_nothing(
    database: Database, said: dict[str, object]
) -> None:
    bad = Stream("c", "c").window(START + WEDNESDAY * DAY, *COUNTS, length=DAY)
    bad = [{**call, "properties": {**call["properties"], **said}} for call in bad if len(said)]
    database.take(*play(), [call for call in bad if call["event"] != "Collection report"])

    assert incomplete(database) == set()
    weeks = sorted(database.rows("commands"), key=lambda row: str(row["week"]))
    assert [row["count"] for row in weeks] == [4, 28, 28, 28, 4]


def test_sums_that_no_agent_sends_stop_nothing(database: Database) -> None:
    bad = Stream("c", "c").window(
        START + WEDNESDAY * DAY, length=DAY, gap_seconds_rotated=2**62, gap_seconds_restarted=2**62
    )
    database.take(*play(), bad)

    assert incomplete(database) == set()
