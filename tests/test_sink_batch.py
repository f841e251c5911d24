"""The builder: the payload's shape (goldens), its limits, its ids, and that nothing is lost."""

import copy
import gzip
import json
import random
import string
import uuid
from collections import Counter
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import orjson
import pytest
from attrs import evolve
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.model import REPORT, Aggregate, Batch, Identity, Report, Value
from agent.names import MAX_NUMBER, RESERVED
from agent.sink.batch import (
    AGE_LIMIT_SECONDS,
    ENVELOPE_BYTES,
    MAX_BATCH_BYTES,
    MAX_BATCH_EVENTS,
    MAX_BODY_BYTES,
    MAX_EVENT_BYTES,
    Event,
    batch_array,
    build_identity,
    build_window,
    check_event,
    envelope,
    seal,
)

GOLDEN = Path(__file__).parent / "golden"
NOON = 1_795_435_200  # 2026-11-23T12:00:00Z
HOUR = 3600
EVENTS = ("Command executed", "Event handled", "Notification failed")
IDENTITY = Identity(
    "8f14e45f-ceea-467f-9d3b-5d1c0a7e2b11",
    cluster_id="0b9f3a52-7c1e-5b0a-8d6f-2f1f5e0c9a77",
    kubernetes_minor="1.34",
    distribution="kind",
)
UNKNOWN = Identity(IDENTITY.installation_id)
REPORT_OF_NOON = Report(
    NOON,
    NOON + HOUR,
    (
        Aggregate(
            "Command executed",
            (("command", "kubectl get"), ("platform", "slack"), ("result", "ok")),
            "v1.14.0",
            3,
        ),
        Aggregate("Application crashed", (("kind", "oom"),), "v0.18.0", 1),
    ),
    (
        ("botkube_version", "several"),
        ("commands_observable", True),
        ("gap_seconds_rotated", 120),
        ("late_lines", 0),
        ("lines_matched", 4),
        ("lines_read", 5120),
        ("slack_enabled", True),
    ),
)


def build(report: Report = REPORT_OF_NOON, **changes: object) -> tuple[list[Event], Counter[str]]:
    arguments: dict[str, Any] = {
        "identity": IDENTITY,
        "stream": "3e0c8a7d-94a1-4bb0-9c55-0e3f4f3d2a10",
        "seq": 7,
        "gate": lambda _event: None,
        "totals": {"Command executed": 40},
        "events": EVENTS,
        "agent_version": "0.1.0",
        "rules_digest": "5f1b7a",
    }
    return build_window(report, **(arguments | changes))


def sealed(events: list[Event]) -> list[Batch]:
    return seal(events, seq=7, sealed_seconds=NOON + HOUR)[0]


def unsealed(batches: list[Batch]) -> list[Event]:
    return [event for batch in batches for event in json.loads(batch_array(batch))]


# How fast a busy machine generates is no property of the code.
patiently = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


def check(name: str, found: object) -> None:
    """Compare with a golden file. To accept a change, write what pytest shows into the file."""
    assert json.loads((GOLDEN / f"{name}.json").read_text()) == found


# The payload


def test_a_window_becomes_the_golden_batch() -> None:
    events, _ = build()

    check("batch-window", unsealed(sealed(events)))


def test_an_identity_becomes_the_golden_calls() -> None:
    check("batch-identity", build_identity(IDENTITY, agent_version="0.1.0", at_seconds=NOON))


def test_the_envelope_becomes_the_golden_request() -> None:
    (batch,) = sealed(build(Report(NOON, NOON + HOUR, (), ()))[0])

    check(
        "batch-envelope",
        json.loads(envelope(batch, sent_seconds=NOON + HOUR + 30.5, agent_version="0.1.0")),
    )


def test_what_could_not_be_read_is_left_out() -> None:
    """An absent trait is NULL in a warehouse; `null` or a made-up word would be neither."""
    calls = build_identity(UNKNOWN, agent_version="0.1.0", at_seconds=NOON)
    report = build(identity=UNKNOWN)[0][-1]

    assert [(c["type"], c["traits"]) for c in calls] == [("identify", {"agent_version": "0.1.0"})]
    assert {"kubernetes_minor", "distribution"}.isdisjoint(report["properties"])


def test_a_changed_rule_set_is_said_only_when_it_changed() -> None:
    assert "rules_changed" not in build()[0][-1]["properties"]
    assert build(rules_changed=True)[0][-1]["properties"]["rules_changed"] is True


def test_every_event_name_has_its_sums() -> None:
    events, totals = build()
    sums = {
        name: value
        for name, value in events[-1]["properties"].items()
        if name.endswith(("_delta", "_total"))
    }

    assert sums == {
        "command_executed_delta": 3,
        "command_executed_total": 43,
        "event_handled_delta": 0,
        "event_handled_total": 0,
        "notification_failed_delta": 0,
        "notification_failed_total": 0,
        "application_crashed_delta": 1,
        "application_crashed_total": 1,
    }
    assert Counter({"Command executed": 43, "Application crashed": 1}) == totals


def test_sums_of_events_that_the_rules_no_longer_name_are_kept_and_not_said() -> None:
    made, sums = build(events=(), totals={"Old event": 9})
    report = made[-1]["properties"]

    assert (sums["Old event"], sums["Command executed"]) == (9, 3)
    assert {"application_crashed"} == {
        name.removesuffix("_total") for name in report if name.endswith("_total")
    }


def test_what_the_gate_refuses_is_in_no_sum() -> None:
    made, sums = build(gate=lambda event: "kind" if event["event"] != REPORT else None)
    report = made[-1]["properties"]

    assert (dict(sums), report["events_discarded"]) == ({"Command executed": 40}, 2)
    assert not {value for name, value in report.items() if name.endswith("_delta") and value}


def test_a_count_below_the_minimum_is_sent_and_summed_as_the_minimum() -> None:
    events, totals = build(minimum=3)
    sent = [
        (event["properties"]["count"], event["properties"].get("count_floor"))
        for event in events[:-1]
    ]

    assert sent == [(3, None), (3, True)]
    assert totals["Application crashed"] == 3


def test_an_event_that_cannot_be_sent_is_in_no_sum() -> None:
    """Otherwise the audit would call it lost on the way."""
    bad = Aggregate("Event handled", (("sent_at", "noon"),), "v1.14.0", 5)
    events, totals = build(evolve(REPORT_OF_NOON, aggregates=(bad,)))
    batches, discarded = seal(events, seq=7, sealed_seconds=NOON)

    assert (discarded, sum(batch.events for batch in batches)) == (1, 1)
    assert (
        events[-1]["properties"]["events_discarded"],
        events[-1]["properties"]["event_handled_delta"],
    ) == (1, 0)
    assert "Event handled" not in totals


# Message ids


def ids(events: list[Event]) -> list[str]:
    return [event["messageId"] for event in events]


def test_ids_are_the_same_for_the_same_window() -> None:
    assert ids(build()[0]) == ids(build()[0])


@pytest.mark.parametrize(
    "changes",
    [
        {"stream": "c0ffee00-94a1-4bb0-9c55-0e3f4f3d2a10"},
        {"seq": 8},
        {"identity": evolve(IDENTITY, installation_id="a87ff679-a2f3-471d-9181-a67b7542122c")},
    ],
    ids=["stream", "seq", "installation"],
)
def test_ids_differ_between_places(changes: Mapping[str, Any]) -> None:
    assert set(ids(build()[0])).isdisjoint(ids(build(**changes)[0]))


def test_ids_differ_when_the_same_place_holds_other_content() -> None:
    """After a roll-back of State; Segment would drop the new counts as repeats."""
    first, second = REPORT_OF_NOON.aggregates
    other = evolve(REPORT_OF_NOON, aggregates=(evolve(first, count=4), second))
    before, after = ids(build()[0]), ids(build(other)[0])

    assert [a != b for a, b in zip(before, after, strict=True)] == [True, False, True]


def test_two_equal_events_of_a_window_have_two_ids() -> None:
    twin = REPORT_OF_NOON.aggregates[0]

    assert len(set(ids(build(evolve(REPORT_OF_NOON, aggregates=(twin, twin)))[0]))) == 3


def test_ids_are_made_of_installation_place_and_content() -> None:
    """Anybody who holds an event can compute its id again."""
    event = build()[0][1]
    properties = event["properties"]
    found = uuid.UUID(event.pop("messageId"))
    content = json.dumps(event, sort_keys=True, separators=(",", ":")).encode()
    place = f"{properties['stream']}/{properties['seq']}/1/{sha256(content).hexdigest()}"

    assert uuid.uuid5(uuid.UUID(event["anonymousId"]), place) == found


@pytest.mark.parametrize(
    ("at_seconds", "version", "same"),
    [
        (NOON + 11 * HOUR, "0.1.0", True),
        (NOON + 12 * HOUR, "0.1.0", False),
        (NOON, "0.2.0", False),
    ],
    ids=["same-day", "next-day", "other-content"],
)
def test_identity_ids_are_stable_for_a_day_and_content(
    at_seconds: int, version: str, same: bool
) -> None:
    first = ids(build_identity(UNKNOWN, agent_version="0.1.0", at_seconds=NOON))
    again = ids(build_identity(UNKNOWN, agent_version=version, at_seconds=at_seconds))

    assert same == (first == again)


# What may leave


def changed(path: str, value: object) -> Event:
    event = copy.deepcopy(build()[0][0])
    place, _, name = path.rpartition(".")
    (event[place] if place else event)[name] = value
    return event


@pytest.mark.parametrize(
    ("path", "value", "fault"),
    [
        ("type", "page", "type"),
        ("type", ["track"], "type"),
        ("userId", "u", "keys"),
        ("messageId", "", "message_id"),
        ("messageId", "x" * 101, "message_id"),
        ("anonymousId", "", "identity"),
        ("event", None, "identity"),
        ("timestamp", "2026-11-23T12:00:00+01:00", "timestamp"),
        ("timestamp", 5, "timestamp"),
        ("properties", [], "properties"),
        ("properties.user_id", 1, "reserved"),
        ("properties.sentAt", 1, "reserved"),
        ("properties.ID", 1, "reserved"),
        ("properties.context_ip", 1, "reserved"),
        ("properties.a-b", 1, "name"),
        ("properties." + "x" * 64, 1, "name"),
        ("properties.x", None, "value"),
        ("properties.x", 0.5, "value"),
        ("properties.x", [1], "value"),
        ("properties.x", {"y": 1}, "value"),
        ("properties.x", "y" * 513, "value"),
        ("properties.x", MAX_NUMBER + 1, "value"),
        ("properties.x", -MAX_NUMBER - 1, "value"),
        ("properties.x", "\ud800", "encoding"),
        ("properties", {f"x{i}": "y" * 512 for i in range(62)}, "size"),
        ("properties.x", "y" * 512, None),
        ("properties.x", -MAX_NUMBER, None),
        ("properties.x", False, None),
        ("messageId", "x" * 100, None),
    ],
)
def test_an_event_is_checked(path: str, value: object, fault: str | None) -> None:
    assert fault == check_event(changed(path, value))


@pytest.mark.parametrize("name", sorted(RESERVED))
def test_no_property_is_named_like_a_warehouse_column(name: str) -> None:
    assert check_event(changed(f"properties.{name}", "x")) == "reserved"


@pytest.mark.parametrize("name", ["track", "identify", "group"])
def test_a_call_without_its_keys_is_refused(name: str) -> None:
    assert check_event({"type": name}) == "keys"


def test_what_is_built_passes() -> None:
    calls = build_identity(IDENTITY, agent_version="0.1.0", at_seconds=NOON)

    assert [check_event(event) for event in calls + build()[0]] == [None] * 5


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@patiently
@given(st.dictionaries(st.sampled_from([*build()[0][0], "traits", "groupId"]), json_values))
def test_checking_never_raises(changes: Event) -> None:
    check_event({**build()[0][0], **changes})


# Sealing

words = st.text(st.characters(codec="ascii", categories=["L", "N"]), max_size=512)
values: st.SearchStrategy[Value] = words | st.integers(-MAX_NUMBER, MAX_NUMBER) | st.booleans()
aggregates = st.builds(
    Aggregate,
    st.sampled_from(EVENTS),
    st.dictionaries(st.sampled_from("abcdefgh"), values).map(lambda found: tuple(found.items())),
    st.sampled_from(["v1.14.0", "other"]),
    st.integers(1, 1_000_000),
)


def wide(count: int, *, characters: str) -> list[Event]:
    """Return events of about 25 KB each, made of random choices of some characters."""
    event = build()[0][0]
    generator = random.Random(5)
    return [
        {
            **event,
            "messageId": f"m{i}",
            "properties": {
                f"x{at}": "".join(generator.choices(characters, k=512)) for at in range(48)
            },
        }
        for i in range(count)
    ]


def check_limits(events: list[Event]) -> list[Batch]:
    batches, discarded = seal(events, seq=7, sealed_seconds=NOON)

    assert discarded == 0
    assert events == unsealed(batches)
    assert list(range(len(batches))) == [batch.part for batch in batches]
    for batch in batches:
        array = batch_array(batch)
        sent = envelope(
            evolve(batch, attempted=True),
            sent_seconds=NOON + 2 * AGE_LIMIT_SECONDS,
            agent_version="10.20.30.dev40+local",
        )
        assert batch.events == len(json.loads(array))
        assert batch.events <= MAX_BATCH_EVENTS
        assert len(batch.body) <= MAX_BODY_BYTES
        assert len(sent) <= MAX_BATCH_BYTES
        assert len(sent) - len(array) <= ENVELOPE_BYTES
        assert array in sent
    return batches


@patiently
@given(st.lists(aggregates, max_size=30))
def test_sealing_keeps_every_event_within_the_limits(found: list[Aggregate]) -> None:
    check_limits(build(evolve(REPORT_OF_NOON, aggregates=tuple(found)))[0])


@patiently
@given(st.lists(aggregates, max_size=30))
def test_sums_are_what_was_sent(found: list[Aggregate]) -> None:
    events, totals = build(evolve(REPORT_OF_NOON, aggregates=tuple(found)), totals={})
    sent: Counter[str] = Counter()
    for event in unsealed(sealed(events)):
        if event["event"] != REPORT:
            sent[event["event"]] += event["properties"]["count"]

    assert sent == totals


def test_batches_are_cut_by_count() -> None:
    events = [{**build()[0][0], "messageId": f"m{i}", "properties": {}} for i in range(5001)]

    assert [batch.events for batch in check_limits(events)][:3] == [2500, 2500, 1]


def test_batches_are_cut_by_raw_size() -> None:
    event = build()[0][0]
    events = [{**event, "messageId": f"m{i:04}"} for i in range(2400)]

    assert 499 * 1000 // (len(orjson.dumps(events[0])) + 1) == check_limits(events)[0].events


def test_batches_are_cut_by_compressed_size() -> None:
    events = wide(19, characters=string.ascii_letters)

    assert [batch.events for batch in check_limits(events)] == [2, 2, 2, 3, 2, 3, 2, 3]


def event_of(size: int) -> Event:
    """Return an event of so many bytes that hardly compresses."""
    (event,) = wide(1, characters=string.ascii_letters)
    while room := size - len(orjson.dumps(event)):
        name = f"y{len(event['properties'])}"
        overhead = len(f',"{name}":""')
        # Never leaves less than a further property would need.
        length = min(room - overhead, 400)
        event["properties"][name] = "Zq" * (length // 2) + "Z" * (length % 2)
    return event


@pytest.mark.parametrize("too_long", [0, 1])
def test_an_event_may_be_as_long_as_the_limit(too_long: int) -> None:
    batches, discarded = seal([event_of(MAX_EVENT_BYTES + too_long)], seq=7, sealed_seconds=NOON)

    assert (1 - too_long, too_long) == (len(batches), discarded)


def test_nothing_is_sealed_of_nothing() -> None:
    assert seal([], seq=7, sealed_seconds=NOON) == ([], 0)


def test_a_refused_event_is_counted_and_not_sealed() -> None:
    events = [changed("properties.id", 1), build()[0][1]]
    batches, discarded = seal(events, seq=7, sealed_seconds=NOON)

    assert (1, events[1:]) == (discarded, unsealed(batches))


def test_sealing_is_deterministic() -> None:
    first, again = sealed(build()[0]), sealed(build()[0])

    assert first == again
    # The modification time in the header of a gzip file.
    assert first[0].body[4:8] == bytes(4)


# The envelope


def test_the_envelope_holds_the_frozen_bytes() -> None:
    """Also where another encoder would write them differently."""
    array = b'[{"b" : 1,"a":"\xc3\xa4\\u00e4"}]'
    batch = Batch(1, 0, gzip.compress(array), 1, NOON)

    assert array in envelope(batch, sent_seconds=NOON, agent_version="0.1.0")


def test_only_the_time_of_sending_differs_between_attempts() -> None:
    (batch,) = sealed(build()[0])
    first, second = (
        json.loads(envelope(batch, sent_seconds=at, agent_version="0.1.0"))
        for at in (NOON, NOON + 60)
    )

    assert (
        first.pop("sentAt"),
        second.pop("sentAt"),
    ) == ("2026-11-23T12:00:00Z", "2026-11-23T12:01:00Z")
    assert first == second


@pytest.mark.parametrize(
    ("attempted", "age_seconds", "late"),
    [
        (True, AGE_LIMIT_SECONDS + 1, True),
        (True, AGE_LIMIT_SECONDS, False),
        (False, AGE_LIMIT_SECONDS + 1, False),
    ],
    ids=["uncertain", "still-remembered", "never-sent-before"],
)
def test_a_repeat_beyond_the_receivers_memory_is_flagged(
    attempted: bool, age_seconds: int, late: bool
) -> None:
    batch = evolve(sealed(build()[0])[0], attempted=attempted)
    sent = envelope(batch, sent_seconds=batch.sealed_seconds + age_seconds, agent_version="0.1.0")

    assert late == json.loads(sent)["context"].get("retried_late", False)
    assert batch_array(batch) in sent
