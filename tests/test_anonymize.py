"""The privacy door: whatever a line holds, only words of the rules come out."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.anonymize import anonymize, evaluate, freeze, state_facts
from agent.match import Match
from agent.model import NANOS, Value
from agent.rules import Place, RuleSet, values_of
from agent.rules.ruleset import (
    Bucketed,
    Captured,
    Constant,
    Joined,
    OnlyEnabled,
    Present,
    Skip,
    Source,
)
from agent.rules.words import Vocabulary
from tests.strategies import NOON

PLACE = Place("x", 1, 1)
VERBS = Vocabulary("verbs", PLACE, "exact", {"get": ("get", "show me"), "other": ()})
REASONS = Vocabulary(
    "reasons", PLACE, "search", {"down": ("refused", "tim.d out"), "late": ("out",)}
)


def check(source: Source, expected: Value | None, *known: str, **captures: bytes) -> None:
    found = evaluate({"x": source}, captures, frozenset(known))

    assert (None if expected is None else {"x": expected}) == found
    assert expected is None or expected in values_of(source)


@pytest.mark.parametrize(
    ("source", "captures", "expected"),
    [
        pytest.param(Constant("a"), {}, "a", id="constant"),
        pytest.param(Constant(value=True), {}, True, id="constant-boolean"),
        pytest.param(Skip(), {}, None, id="skip"),
        pytest.param(Captured("c", VERBS, Constant("no")), {"c": b"get"}, "get", id="word"),
        pytest.param(
            Captured("c", VERBS, Constant("no")), {"c": b" GET\n"}, "get", id="case-and-space"
        ),
        pytest.param(
            Captured("c", VERBS, Constant("no")), {"c": b"show me"}, "get", id="another-text"
        ),
        pytest.param(
            Captured("c", VERBS, Constant("no")), {"c": b"get secret"}, "no", id="whole-text-only"
        ),
        pytest.param(Captured("c", VERBS, Constant("no")), {"c": b"\xff"}, "no", id="bytes"),
        pytest.param(Captured("c", VERBS, Constant("no")), {}, "no", id="missing"),
        pytest.param(Captured("c", VERBS, Skip()), {"c": b"secret"}, None, id="unknown-is-skipped"),
        pytest.param(
            Captured("c", REASONS, Constant("no")),
            {"c": b"it timed out"},
            "down",
            id="first-declared-wins",
        ),
        pytest.param(
            Captured("c", REASONS, Constant("no")), {"c": b"ran out"}, "late", id="search"
        ),
        pytest.param(
            Captured("c", VERBS, Captured("d", VERBS, Constant("no"))),
            {"d": b"get"},
            "get",
            id="otherwise",
        ),
        pytest.param(Present("c"), {"c": b""}, True, id="present"),
        pytest.param(Present("c"), {}, False, id="absent"),
        pytest.param(Bucketed("c", (1, 10)), {"c": b"0"}, 0, id="below"),
        pytest.param(Bucketed("c", (1, 10)), {"c": b"9"}, 1, id="bucket"),
        pytest.param(Bucketed("c", (1, 10)), {"c": b"10"}, 10, id="bound"),
        pytest.param(Bucketed("c", (1, 10)), {"c": b"99999999"}, 10, id="above"),
        pytest.param(Bucketed("c", (1, 10)), {"c": b"9" * 400}, 0, id="too-long-a-number"),
        pytest.param(Bucketed("c", (1, 10)), {"c": b"-5"}, 0, id="negative"),
        pytest.param(Bucketed("c", (1, 10)), {"c": "٣".encode()}, 0, id="other-digits"),
        pytest.param(Bucketed("c", (1, 10)), {}, 0, id="no-number"),
        pytest.param(
            Joined((Captured("c", VERBS, Constant("")), Constant("z"))),
            {"c": b"get"},
            "get z",
            id="joined",
        ),
        pytest.param(
            Joined((Captured("c", VERBS, Constant("")), Constant("z"))), {}, "z", id="joined-empty"
        ),
        pytest.param(Joined((Skip(), Constant("z"))), {}, None, id="joined-skip"),
    ],
)
def test_a_value_is_a_word_of_its_rule(
    source: Source, captures: dict[str, bytes], expected: Value | None
) -> None:
    check(source, expected, **captures)


@pytest.mark.parametrize(
    ("known", "expected"),
    [((), "no"), (("a",), "a"), (("a", "c"), "a"), (("a", "b"), "no"), (("c",), "no")],
)
def test_the_only_enabled_platform_is_told(known: tuple[str, ...], expected: str) -> None:
    check(OnlyEnabled(("a", "b"), Constant("no")), expected, *known)


def test_properties_are_sorted_by_name() -> None:
    assert freeze({"b": True, "a": 1}) == (("a", 1), ("b", True))


@settings(max_examples=20)
@given(data=st.data())
def test_nothing_but_declared_values_leaves(ruleset: RuleSet, data: st.DataObject) -> None:
    texts = [
        text
        for one in ruleset.vocabularies.values()
        for words in one.words.values()
        for text in words
    ]
    text = st.one_of(st.binary(max_size=20), st.sampled_from(texts).map(str.encode), st.just(b"42"))
    known = data.draw(st.frozensets(st.sampled_from([*ruleset.bots, *ruleset.sinks])))
    for rule in ruleset.rules:
        names = (
            data.draw(st.frozensets(st.sampled_from(sorted(rule.captures))))
            if rule.captures
            else ()
        )
        match = Match(rule, {name: data.draw(text) for name in names}, NOON * NANOS, 1)
        for observation in anonymize(match, known):
            declared = ruleset.events[observation.event].properties
            assert all(value in declared[name] for name, value in observation.properties)
            assert {name for name, _ in observation.properties} <= declared.keys()
        for fact in state_facts(match, known):
            words = {
                *ruleset.bots,
                *ruleset.sinks,
                *map(str, ruleset.facts.get(fact.name, ())),
                "true",
            }
            assert fact.value in words
        for closer in rule.pair.closers if rule.pair else ():
            event = closer.event or rule.event
            for name, value in (evaluate(closer.properties, match.captures, known) or {}).items():
                assert event is None or value in ruleset.events[event].properties[name]


def test_a_rule_without_an_event_says_nothing(ruleset: RuleSet) -> None:
    for rule in ruleset.rules:
        if rule.event is None:
            assert anonymize(Match(rule, {}, 0, 1), frozenset()) == ()
