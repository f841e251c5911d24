"""An export of received events: whatever was lost or doubled on the way is named, nothing else is.

The events are the product's own, made by the builder that makes what is sent.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.audit import Audit, Effect, Finding, Kind, is_consistent
from agent.model import REPORT, Aggregate, Identity, Report
from agent.names import snake
from agent.received import NotAnEvent, read_line
from agent.sink.batch import build_identity, build_window

Event: TypeAlias = dict[str, Any]

HOUR = 3600
START = 1_795_435_200
NAMES = ("Command executed", "Event handled", "Plugin restarted")
INSTALLATIONS = ("8f14e45f-ceea-467f-9d3b-5d1c0a7e2b11", "11d3c9a2-5a3e-4d7e-8f52-3a8a2b9d4c77")


def windows(
    counts: Iterable[Mapping[tuple[str, str], int]],
    *,
    installation: str = INSTALLATIONS[0],
    stream: str = "3e0c8a7d-94a1-4bb0-9c55-0e3f4f3d2a10",
    collection: Mapping[int, tuple[tuple[str, int], ...]] | None = None,
    start: int = START,
) -> list[Event]:
    """Return the events of a stream's windows; each has counts by event and platform."""
    totals: Counter[str] = Counter()
    made: list[Event] = []
    for seq, one in enumerate(counts, 1):
        aggregates = tuple(
            Aggregate(name, (("platform", platform),), "v1.14.0", count)
            for (name, platform), count in sorted(one.items())
        )
        report = Report(start, start + HOUR, aggregates, (collection or {}).get(seq, ()))
        events, totals = build_window(
            report,
            identity=Identity(installation),
            stream=stream,
            seq=seq,
            totals=totals,
            events=NAMES,
            agent_version="1",
            rules_digest="5f1b7a",
            gate=lambda _event: None,
        )
        made += events
        start += HOUR
    return made


def as_row(event: Event) -> Event:
    """Return an event as a warehouse's table for all events holds it."""
    columns = dict.fromkeys(("user_id", "reason", "gap_seconds_rotated", "other_delta"))
    return {
        **columns,
        **{snake(name): value for name, value in event["properties"].items()},
        "id": event["messageId"],
        "anonymous_id": event["anonymousId"],
        "event": snake(event["event"]),
        "event_text": event["event"],
        "received_at": "2026-11-24 00:00:07.123 UTC",
        "uuid_ts": "2026-11-24 00:00:09 UTC",
        "context_ip": "0.0.0.0",
        "seq": str(event["properties"]["seq"]),
        "window_start": event["properties"]["window_start"].replace("T", " ").replace("Z", " UTC"),
        "window_end": event["properties"]["window_end"].replace("Z", ".000+00:00"),
    }


def audit(events: Iterable[Event], *, is_part: bool = False) -> list[Finding]:
    taken = Audit(is_part=is_part)
    for event in events:
        for one in read_line(orjson.dumps(event))[0]:
            taken.add(one)
    return taken.findings()


def place(event: Event) -> tuple[str, int]:
    return event["properties"]["stream"], event["properties"]["seq"]


def start_of(event: Event) -> int:
    return START + (place(event)[1] - 1) * HOUR


FEW = [
    {("Event handled", "slack"): 3, ("Event handled", "webhook"): 1},
    {},
    {("Command executed", "slack"): 2, ("Event handled", "slack"): 5},
    {("Event handled", "slack"): 4},
]

some_windows = st.lists(
    st.dictionaries(
        st.tuples(st.sampled_from(NAMES), st.sampled_from(("slack", "discord", "webhook"))),
        st.integers(1, 50),
        max_size=4,
    ),
    min_size=1,
    max_size=3,
)


@st.composite
def exports(draw: st.DrawFn) -> list[Event]:
    """Return sound streams of two installations, one of them with two streams, in any order."""
    events = windows(draw(some_windows))
    events += windows(draw(some_windows), stream="again")
    events += windows(draw(some_windows), installation=INSTALLATIONS[1], stream="other")
    draw(st.randoms(use_true_random=False)).shuffle(events)
    return events


shapes = st.sampled_from([dict, as_row])


def concerns(findings: list[Finding], event: Event) -> bool:
    """Whether all findings name exactly the interval of one event."""
    start = start_of(event)
    return bool(findings) and all(
        (one.stream, one.first_seq, one.last_seq) == (*place(event), place(event)[1])
        and one.installation == event["anonymousId"]
        # Of windows before the first of an export nobody knows the start.
        and one.start_seconds in {start, *([None] if one.first_seq == 1 else [])}
        and one.end_seconds == start + HOUR
        for one in findings
    )


# --- the proof ------------------------------------------------------------------------------------


@given(exports(), shapes)
def test_sound_streams_are_consistent(events: list[Event], shape: Callable[[Event], Event]) -> None:
    assert audit(map(shape, events)) == []


@given(exports(), shapes, st.data())
def test_a_lost_event_is_named_with_its_interval(
    events: list[Event], shape: Callable[[Event], Event], data: st.DataObject
) -> None:
    at = data.draw(st.integers(0, len(events) - 1))
    lost = events.pop(at)
    same = [one for one in events if place(one) == place(lost)]
    newest = max((place(one)[1] for one in events if place(one)[0] == place(lost)[0]), default=0)
    findings = audit(map(shape, events))

    if not same and newest < place(lost)[1]:
        # What was last of a stream cannot be missed.
        assert findings == []
    else:
        assert concerns(findings, lost)
        assert {one.effect for one in findings} == {Effect.LOST}
        if lost["event"] != REPORT:
            (one,) = findings
            assert (one.event, one.count) == (snake(lost["event"]), lost["properties"]["count"])


@given(exports(), shapes, st.data())
def test_a_doubled_event_is_named_with_its_interval(
    events: list[Event], shape: Callable[[Event], Event], data: st.DataObject
) -> None:
    doubled = data.draw(st.sampled_from(events))
    has_new_id = data.draw(st.booleans())
    copy = {**doubled, "messageId": "another"} if has_new_id else doubled
    events.insert(data.draw(st.integers(0, len(events))), copy)
    (one,) = findings = audit(map(shape, events))

    assert concerns(findings, doubled)
    assert one.effect is Effect.DOUBLED
    assert one.kind is (Kind.SAME_CONTENT if has_new_id else Kind.SAME_ID)
    assert one.count == doubled["properties"].get("count", 1)


@given(exports(), st.data())
def test_the_order_of_events_is_irrelevant(events: list[Event], data: st.DataObject) -> None:
    rng = data.draw(st.randoms(use_true_random=False))
    for _ in range(3):
        events.pop(rng.randrange(len(events))) if len(events) > 3 else None
        events.append({**rng.choice(events), "messageId": rng.choice(events)["messageId"]})
    findings = audit(events)
    rng.shuffle(events)

    assert audit(events) == findings


@given(exports(), st.data())
def test_a_loss_is_not_covered_up_by_a_double(events: list[Event], data: st.DataObject) -> None:
    """Such as one that brings the sum back to what it should be."""
    lost = data.draw(st.sampled_from(events))
    left = [one for one in events if one is not lost]
    doubled = data.draw(st.sampled_from(left))

    assert not is_consistent(audit([*left, doubled]))


# --- one thing at a time --------------------------------------------------------------------------


def change(event: Event, **properties: object) -> Event:
    return {**event, "properties": event["properties"] | properties}


def of(events: list[Event], seq: int, name: str = REPORT) -> int:
    return next(
        index for index, one in enumerate(events) if (one["event"], place(one)[1]) == (name, seq)
    )


def found(findings: list[Finding]) -> list[tuple[Kind, Effect, int, int, str | None, int | None]]:
    return [
        (one.kind, one.effect, one.first_seq, one.last_seq, one.event, one.count)
        for one in findings
    ]


def test_windows_that_are_missing_are_named_with_what_they_counted() -> None:
    events = [one for one in windows(FEW) if place(one)[1] not in {2, 3}]

    assert found(audit(events)) == [
        (Kind.SHORT, Effect.LOST, 2, 3, "command_executed", 2),
        (Kind.SHORT, Effect.LOST, 2, 3, "event_handled", 5),
        (Kind.NO_WINDOW, Effect.LOST, 2, 3, None, None),
    ]
    one = audit(events)[0]
    assert (one.start_seconds, one.end_seconds) == (START + HOUR, START + 3 * HOUR)


def test_a_part_of_a_stream_may_begin_late_and_is_checked_from_there() -> None:
    events = [one for one in windows(FEW) if place(one)[1] > 1]

    assert audit(events, is_part=True) == []
    assert {one.last_seq for one in audit(events)} == {1}


def test_a_report_and_an_event_of_one_window_are_both_missed() -> None:
    events = windows(FEW)
    del events[of(events, 3)]
    del events[of(events, 3, "Command executed")]

    assert found(audit(events)) == [
        (Kind.SHORT, Effect.LOST, 3, 3, "command_executed", 2),
        (Kind.NO_REPORT, Effect.LOST, 3, 3, None, None),
    ]


def test_a_total_that_does_not_continue() -> None:
    events = windows(FEW)
    for seq, total in ((3, 12), (4, 16)):
        index = of(events, seq)
        events[index] = change(events[index], event_handled_total=total)

    assert found(audit(events)) == [
        (Kind.BROKEN_TOTAL, Effect.LOST, 3, 3, "event_handled", 3),
    ]


@pytest.mark.parametrize(
    ("by", "kind", "effect"),
    [(HOUR, Kind.HOLE, Effect.LOST), (-HOUR // 2, Kind.OVERLAP, Effect.DOUBLED)],
    ids=["hole", "overlap"],
)
def test_windows_that_do_not_meet(by: int, kind: Kind, effect: Effect) -> None:
    moved = [one for one in windows(FEW, start=START + by) if place(one)[1] > 2]
    findings = audit([one for one in windows(FEW) if place(one)[1] <= 2] + moved)
    (one,) = findings

    assert (one.kind, one.effect, one.first_seq) == (kind, effect, 3)
    assert {one.start_seconds, one.end_seconds} == {START + 2 * HOUR, START + 2 * HOUR + by}


def test_a_hole_that_a_stop_explains_is_none() -> None:
    stopped = {2: (("gap_seconds_stopped", 600),)}
    before = [one for one in windows(FEW, collection=stopped) if place(one)[1] <= 2]
    after = [one for one in windows(FEW, start=START + HOUR) if place(one)[1] > 2]

    assert audit(before + after) == []


def test_one_seq_for_two_windows() -> None:
    """Such as after State was rolled back."""
    again = [one for one in windows(FEW, start=START + 9 * HOUR) if place(one)[1] == 4]
    (one,) = audit(windows(FEW) + again)

    assert (one.kind, one.effect, one.first_seq) == (Kind.REUSED, Effect.DOUBLED, 4)
    assert one.start_seconds == START + 12 * HOUR


def test_more_than_the_report_says() -> None:
    events = windows(FEW)
    index = of(events, 4, "Event handled")
    events.append({**change(events[index], count=7), "messageId": "another"})

    assert found(audit(events)) == [(Kind.OVER, Effect.DOUBLED, 4, 4, "event_handled", 7)]


def test_two_reports_that_contradict_each_other() -> None:
    events = windows(FEW)
    report = events[of(events, 2)]
    findings = audit([*events, {**change(report, lines_read=9), "messageId": "another"}])

    assert found(findings) == [(Kind.SECOND_REPORT, Effect.DOUBLED, 2, 2, "collection_report", 1)]


@pytest.mark.parametrize("reverse", [True, False])
def test_one_id_with_two_contents(reverse: bool) -> None:
    events = windows(FEW)
    events.append(change(events[of(events, 4, "Event handled")], count=7))
    findings = audit(reversed(events) if reverse else events)

    assert Kind.ALTERED in {one.kind for one in findings}
    assert {one.first_seq for one in findings} == {4}


@pytest.mark.parametrize("flag", ["context", "column"])
def test_what_was_retried_late_is_said_and_is_no_inconsistency(flag: str) -> None:
    events = windows(FEW)
    if flag == "column":
        events = [as_row(one) for one in events]
        events[0]["context_retried_late"] = True
    else:
        events[0]["context"] = {"retried_late": True}
    findings = audit(events)

    assert found(findings) == [(Kind.RETRIED_LATE, Effect.UNCERTAIN, 1, 1, None, 1)]
    assert is_consistent(findings)


# --- lines ----------------------------------------------------------------------------------------


def test_a_line_may_hold_an_array_or_a_request() -> None:
    events = windows(FEW)
    body = {"batch": events, "context": {"retried_late": True}, "sentAt": "2026-11-24T00:00:00Z"}

    assert len(read_line(orjson.dumps(events))[0]) == len(events)
    taken, others = read_line(orjson.dumps(body))
    assert (len(taken), others) == (len(events), 0)
    assert all(one.is_retried_late for one in taken)


def test_other_events_are_left_out() -> None:
    calls = build_identity(Identity(INSTALLATIONS[0]), agent_version="1", at_seconds=START)
    foreign = {"type": "track", "event": "Signed up", "properties": {"plan": "free"}}

    assert read_line(orjson.dumps([*calls, foreign])) == ([], 2)


def test_a_property_named_type_is_no_type_of_call() -> None:
    event = windows([{("Event handled", "slack"): 3}])[0]
    row = as_row(change(event, type="bot"))

    assert len(read_line(orjson.dumps(row))[0]) == 1


EVENT = windows(FEW)[0]
REPORT_EVENT = next(one for one in windows(FEW) if one["event"] == REPORT)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"{", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b"[" * 2000, "not JSON"),
        (b"7", "not an object"),
        (b"[[]]", "not an object"),
        (b'{"batch": [7]}', "not an object"),
        (orjson.dumps({**EVENT, "messageId": None}), "`messageId` or `message_id` or `id`"),
        (orjson.dumps({**EVENT, "anonymousId": 7}), "`anonymousId` or `anonymous_id`"),
        (orjson.dumps({**EVENT, "event": ""}), "`event`"),
        (orjson.dumps(change(EVENT, seq=0)), "`seq` is out of range"),
        (orjson.dumps(change(EVENT, seq=True)), "`seq` is missing or no whole number"),
        (orjson.dumps(change(EVENT, seq="٣")), "`seq` is missing or no whole number"),
        (orjson.dumps(change(EVENT, seq=None)), "`seq` is missing or no whole number"),
        (orjson.dumps(change(EVENT, count=1.5)), "`count` is missing or no whole number"),
        (orjson.dumps(change(EVENT, count=2**63)), "`count` is out of range"),
        (orjson.dumps(change(EVENT, count=-1)), "`count` is missing or no whole number"),
        (orjson.dumps(change(EVENT, window_start="noon")), "`window_start` is no time"),
        (orjson.dumps(change(EVENT, window_start=7)), "`window_start` is missing or no text"),
        (orjson.dumps(change(EVENT, window_end=EVENT["properties"]["window_start"])), "not after"),
        (orjson.dumps(change(REPORT_EVENT, event_handled_total="x")), "`event_handled_total`"),
        (orjson.dumps(change(REPORT_EVENT, event_handled_total=0)), "`_total` is less"),
    ],
)
def test_a_line_that_cannot_be_used_says_why(line: bytes, expected: str) -> None:
    with pytest.raises(NotAnEvent) as caught:
        read_line(line)

    assert expected in str(caught.value)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from([*EVENT, *REPORT_EVENT["properties"], "batch", "context", "id"]),
                inner,
            )
        ),
    )
)
def test_no_line_raises_anything_else(value: object) -> None:
    for given_ in (value, {**EVENT, "properties": value}, change(EVENT, seq=value)):
        try:
            line = orjson.dumps(given_)
        except TypeError:
            continue
        try:
            taken, _ = read_line(line)
        except NotAnEvent:
            continue
        for one in taken:
            Audit().add(one)


def test_a_year_of_a_stream_takes_little_memory() -> None:
    rng = random.Random(1)
    taken = Audit()
    counts = [
        {(name, platform): rng.randint(1, 9) for name in NAMES for platform in ("a", "b", "c")}
        for _ in range(500)
    ]
    for event in windows(counts):
        for one in read_line(orjson.dumps(event))[0]:
            taken.add(one)
    ((_, stream),) = taken._streams.items()

    assert taken.findings() == []
    assert sum(len(one.entries) for one in stream.values()) == 28 * 500 * 10
