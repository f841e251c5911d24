"""The exit gate: nothing passes but what the rule set in force declares, whoever let it through."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any
from uuid import UUID, uuid5

import orjson
import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from agent import instances
from agent.aggregate import Instance, Windows
from agent.anonymize import anonymize
from agent.counting import Counting
from agent.disclosure import disclosures
from agent.gate import admit, make_gate
from agent.instances import MAX_UNSEEN
from agent.match import Match
from agent.model import CRASHED, NANOS, REPORT, Identity, Observation, Released
from agent.rules import RuleSet
from agent.rules.ruleset import Captured, Constant, Event
from agent.rules.words import Vocabulary
from agent.sink.batch import Event as Call
from agent.sink.batch import batch_array, build_identity
from agent.state.document import Document, decode, encode
from agent.web.metrics import Snapshot, exposition
from agent.withholding import Withholding
from tests.shipped import RULES

HOUR = 3600
NOON = 1_795_435_200
ID = str(uuid5(UUID(int=7), "installation"))
IDENTITY = Identity(ID, ID, "1.34", "kind")
GATE = make_gate(RULES, agent_version="1")
EXECUTED = (("command", "kubectl get"), ("platform", "slack"), ("result", "ok"))
SECRET = "db-password-hunter2"


def counting(ruleset: RuleSet = RULES, **changes: Any) -> Counting:  # noqa: ANN401 any of its fields
    made = Counting(
        Document(b"", ID, Windows(HOUR), instances={"pod/one": Instance("v1.14.0")}),
        ruleset,
        IDENTITY,
        "1",
        sends=True,
        **changes,
    )
    made.begin(now_seconds=NOON, window_seconds=HOUR, count_from=0, new_stream=lambda: ID)
    return made


def count(made: Counting, *observations: Observation) -> None:
    made.fold("pod/one", Released(observations), now_seconds=NOON)


def executed(properties: tuple[tuple[str, Any], ...] = EXECUTED, at: int = NOON) -> Observation:
    return Observation("Command executed", properties, at * NANOS)


def closed(made: Counting, *, at: int = NOON + HOUR) -> list[Call]:
    """Close the window and return the calls that are sealed."""
    made.close_due(now_seconds=at + 10, may_close=lambda _end: True)
    arrays = map(batch_array, made.document.outbox)
    return [call for array in arrays for call in orjson.loads(array)]


def sound() -> list[Call]:
    """Return one call of each kind as they are sealed."""
    made = counting()
    count(made, executed(), Observation(CRASHED, (("kind", "oom"),), NOON * NANOS))
    return closed(made)


CALLS = {str(call.get("event", call["type"])): call for call in sound()}


def changed(name: str, /, **values: object) -> Call:
    """Return a sound call with other properties or traits; `...` takes one out."""
    call = CALLS[name]
    inner = "properties" if call["type"] == "track" else "traits"
    merged = {**call[inner], **values}
    return {**call, inner: {key: one for key, one in merged.items() if one is not ...}}


# --- what passes, and what does not ---------------------------------------------------------------


def test_what_the_agent_makes_passes() -> None:
    assert {"identify", "group", "Command executed", CRASHED, REPORT} == CALLS.keys()
    assert [GATE(call) for call in CALLS.values()] == [None] * 5


@pytest.mark.parametrize(
    ("name", "values", "expected"),
    [
        ("Command executed", {"command": SECRET}, "command"),
        ("Command executed", {"command": "kubectl get "}, "command"),
        ("Command executed", {"platform": ...}, "platform"),
        ("Command executed", {"namespace": "payments"}, "property"),
        ("Command executed", {"result": True}, "result"),
        ("Command executed", {"result": ["ok"]}, "result"),
        ("Command executed", {"count": 0}, "count"),
        ("Command executed", {"count": True}, "count"),
        ("Command executed", {"count": 1.0}, "count"),
        ("Command executed", {"count": "1"}, "count"),
        ("Command executed", {"count": 2**60}, "count"),
        ("Command executed", {"count_floor": 1}, "count_floor"),
        ("Command executed", {"count_floor": False}, "count_floor"),
        ("Command executed", {"botkube_version": "v1.14.0-acme"}, "botkube_version"),
        ("Command executed", {"botkube_version": "several"}, "botkube_version"),
        ("Command executed", {"stream": "acme"}, "stream"),
        ("Command executed", {"stream": ID.upper()}, "stream"),
        ("Command executed", {"seq": -1}, "seq"),
        ("Command executed", {"window_start": "2026-11-23T12:00:00.5Z"}, "window_start"),
        ("Command executed", {"window_start": "2026-11-23T13:00:00Z"}, "window_end"),
        ("Command executed", {"window_end": "2026-11-23T13:00:07Z"}, "timestamp"),
        (CRASHED, {"kind": "nil map of " + SECRET}, "kind"),
        (REPORT, {"lines_read": -1}, "lines_read"),
        (REPORT, {"lines_read": "12"}, "lines_read"),
        (REPORT, {"gap_seconds_rotated": 61}, "gap_seconds_rotated"),
        (REPORT, {"gap_seconds_acme": 60}, "property"),
        (REPORT, {"slack_enabled": 1}, "slack_enabled"),
        (REPORT, {"webhook_enabled": False}, "webhook_enabled"),
        (REPORT, {"acme_enabled": True}, "property"),
        (REPORT, {"acme_total": 7}, "property"),
        (REPORT, {"agent_version": "1; " + SECRET}, "agent_version"),
        (REPORT, {"rules_digest": "0123456789abcdef"}, "rules_digest"),
        (REPORT, {"distribution": "acme-linux"}, "distribution"),
        (REPORT, {"kubernetes_minor": "1.34.2"}, "kubernetes_minor"),
        (REPORT, {"command_executed_delta": ...}, "command_executed_delta"),
        ("identify", {"distribution": "acme-linux"}, "distribution"),
        ("identify", {"name": "acme"}, "property"),
        ("group", {"agent_version": "1"}, "property"),
    ],
    ids=str,
)
def test_a_value_that_is_not_declared_is_refused(
    name: str, values: Mapping[str, object], expected: str
) -> None:
    assert expected == GATE(changed(name, **values))


@pytest.mark.parametrize(
    ("name", "changes", "expected"),
    [
        ("Command executed", {"type": "page"}, "type"),
        ("Command executed", {"type": ["track"]}, "type"),
        ("Command executed", {"event": SECRET}, "event"),
        ("Command executed", {"event": "every call"}, "event"),
        ("Command executed", {"userId": "jane"}, "keys"),
        ("Command executed", {"context": {"ip": "10.0.0.7"}}, "keys"),
        ("Command executed", {"anonymousId": "jane"}, "anonymousId"),
        ("Command executed", {"messageId": SECRET}, "messageId"),
        ("Command executed", {"anonymousId": f"{ID} {SECRET}"}, "anonymousId"),
        ("Command executed", {"messageId": f"{ID}\n"}, "messageId"),
        ("group", {"groupId": f"{ID}-jane"}, "groupId"),
        ("Command executed", {"properties": SECRET}, "properties"),
        ("Command executed", {"timestamp": "2026-11-23T12:59:59Z"}, "timestamp"),
        ("group", {"groupId": "acme"}, "groupId"),
        ("identify", {"timestamp": "2026-11-23T12:00:00Z"}, "timestamp"),
    ],
    ids=str,
)
def test_a_call_of_another_shape_is_refused(
    name: str, changes: Mapping[str, object], expected: str
) -> None:
    assert expected == GATE({**CALLS[name], **changes})


def test_a_time_finer_than_a_window_is_refused() -> None:
    call = changed("Command executed", window_end="2026-11-23T13:00:07Z")

    assert GATE({**call, "timestamp": "2026-11-23T13:00:07Z"}) == "window_end"


def test_the_first_window_after_a_change_of_length_passes() -> None:
    assert GATE(changed("Command executed", window_start="2026-11-23T12:01:00Z")) is None


@given(st.sampled_from(sorted(CALLS)), st.data())
def test_no_text_passes_in_any_place(name: str, data: st.DataObject) -> None:
    call = CALLS[name]
    inner = "properties" if call["type"] == "track" else "traits"
    places = [*call[inner], *(key for key in call if key != inner)]
    place = data.draw(st.sampled_from(places))
    text = data.draw(st.text(st.characters(codec="utf-8"), max_size=40)) + "\N{SNOWMAN}"
    spoiled = {**call, place: text} if place in call else changed(name, **{place: text})

    assert GATE(spoiled) is not None


def test_a_refusal_names_no_value_and_no_name_that_is_not_declared() -> None:
    declared = {one.name for one in disclosures(RULES)} | {"property", "keys", "properties"}
    said = {GATE(changed("Command executed", **{SECRET: "x"})), GATE({SECRET: 1, "type": "track"})}

    assert said <= declared


# --- independent of what came before --------------------------------------------------------------


class Leaking(Vocabulary):
    """A closed list that is none: whatever stands in the line comes out."""

    def word(self, text: bytes) -> str | None:
        return text.decode()


def leaked() -> Observation:
    """Return what `anonymize` makes of a rule that leaks, which could not have been compiled."""
    rule = next(one for one in RULES.rules if one.id == "command-request")
    open_list = Leaking("open", rule.place, "exact", {"get": ("get",)})
    source = Captured("command", open_list, Constant("other"))
    leaky = evolve(rule, properties={**rule.properties, "command": source})
    match = Match(leaky, {"command": SECRET.encode()}, NOON * NANOS, 1)
    (observation,) = anonymize(match, frozenset())
    return observation


def test_what_anonymize_was_made_to_leak_is_stopped_and_is_in_no_sum(
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert SECRET in dict(leaked().properties).values()
    made = counting()
    with caplog.at_level(logging.DEBUG):
        count(made, leaked(), executed(), executed())
        sent = closed(made)
    report = sent[-1]["properties"]

    assert not [call for call in sent if SECRET in str(call)]
    assert (report["command_executed_delta"], report["command_executed_total"]) == (2, 2)
    assert (made.violations, report["events_discarded"]) == (1, 1)
    assert caplog.messages == ["the exit gate has discarded an event"]
    assert SECRET not in caplog.text


def test_it_is_said_once_and_counted_each_time(caplog: pytest.LogCaptureFixture) -> None:
    made = counting()
    for hour in range(3):
        count(made, evolve(leaked(), at_ns=(NOON + hour * HOUR) * NANOS))
        closed(made, at=NOON + (hour + 1) * HOUR)
    page = exposition(Snapshot(gate_violations=made.violations)).decode()

    assert caplog.messages.count("the exit gate has discarded an event") == 1
    assert "botkube_agent_gate_violations_total 3.0" in page


def test_an_identity_that_is_not_closed_is_stopped() -> None:
    calls = build_identity(
        evolve(IDENTITY, distribution=SECRET, cluster_id="acme"), agent_version="1", at_seconds=NOON
    )

    assert admit(GATE, calls) == ([], 2)


# --- another rule set than the one that counted ---------------------------------------------------


def without(event: str, word: str) -> RuleSet:
    """Return the shipped rules as if one word of a property had never been declared."""
    declared = RULES.events[event]
    properties = {key: values - {word} for key, values in declared.properties.items()}
    events = {**RULES.events, event: evolve(declared, properties=properties)}
    return _with(events=events)


def _with(**changes: Any) -> RuleSet:  # noqa: ANN401 any of its fields
    return evolve(RULES, digest="0123456789abcdef", **changes)


def test_what_an_older_rule_set_counted_and_the_present_does_not_know_is_discarded() -> None:
    made = counting()
    count(made, executed(), executed((("command", "helm"), *EXECUTED[1:])))
    made.change_rules(without("Command executed", "helm"), Withholding())
    sent = closed(made)
    report = sent[-1]["properties"]

    assert [
        call["properties"]["command"] for call in sent if call.get("event") == "Command executed"
    ] == ["kubectl get"]
    assert (report["command_executed_delta"], made.violations) == (1, 1)


def test_an_event_that_the_present_rule_set_does_not_know_is_not_even_named() -> None:
    made = counting(_with(events={**RULES.events, "Old": Event("Old", "old", {})}))
    count(made, Observation("Old", (), NOON * NANOS), executed())
    assert closed(made)[-1]["properties"]["old_total"] == 1
    count(made, Observation("Old", (), (NOON + HOUR) * NANOS))
    made.change_rules(RULES, Withholding())
    made.document.outbox.clear()
    sent = closed(made, at=NOON + 2 * HOUR)
    report = sent[-1]["properties"]

    assert not [name for call in sent for name in (call.get("event"), *call) if name == "Old"]
    assert "old_total" not in report
    assert report["events_discarded"] == 1


def test_facts_of_an_older_rule_set_do_not_cost_the_report() -> None:
    older = _with(sinks=(*RULES.sinks, "acme"))
    made = counting(older)
    made.document.instances["pod/one"] = Instance("v99.0.0", sinks={"acme", "webhook"})
    made.change_rules(RULES, Withholding())
    count(made, executed())
    sent = closed(made)
    report = sent[-1]["properties"]

    assert (
        sent[-1]["event"],
        report["botkube_version"],
        report["webhook_enabled"],
    ) == (REPORT, "other", True)
    assert "acme" not in str(sent)
    assert not made.violations


def test_a_minimum_passes_and_totals_are_sums_of_what_was_sent() -> None:
    made = counting(minimum=5)
    count(made, executed(), executed())
    sent = closed(made)
    command = next(one["properties"] for one in sent if one.get("event") == "Command executed")
    report = sent[-1]["properties"]

    assert (command["count"], command["count_floor"]) == (5, True)
    assert (report["command_executed_delta"], report["command_executed_total"]) == (5, 5)
    # Of one line or two that were matched it would be known how many.
    assert "lines_matched" not in report
    assert not made.violations


def test_any_number_of_restarts_is_counted_in_bounded_time() -> None:
    made = counting()
    instances.count_restarts(
        made, "uid/botkube", 0, current="uid/a", last_ended="", now_seconds=NOON
    )
    instances.count_restarts(
        made, "uid/botkube", 2**31 - 1, current="uid/b", last_ended="", now_seconds=NOON
    )

    assert made.observed[CRASHED] == MAX_UNSEEN


@pytest.mark.parametrize(("noted", "sent"), [(-1, {}), (0, {"unseen": 5})], ids=["before", "after"])
def test_instances_that_may_have_gone_in_the_quiet_period_are_not_sent(
    noted: int, sent: dict[str, int]
) -> None:
    """Nobody knows when they ended: it may have been just after their number was last noted."""
    made = counting()
    ends = NOON + HOUR
    made.document.windows.count_from = ends
    for restarts, current, at in ((1, "uid/a", ends + noted), (7, "uid/b", ends + 60)):
        instances.count_restarts(
            made, "uid/botkube", restarts, current=current, last_ended="uid/z", now_seconds=at
        )
        made.document = decode(encode(made.document))
    crashes = [one["properties"] for one in closed(made, at=ends + HOUR) if is_crash(one)]

    assert {one["kind"]: one["count"] for one in crashes} == sent
    assert made.observed[CRASHED] == 5


def is_crash(call: Call) -> bool:
    return call.get("event") == CRASHED
