"""What can be declared and what can be counted: values, names, sources, and whole events."""

from __future__ import annotations

import pytest

from agent.model import Aggregate, Identity, Report
from agent.names import ADDED
from agent.rules import Problem, compile_rules
from agent.rules.sources import values_of
from agent.sink.batch import build_window, check_event
from tests.test_rules_compile import SHARED, edit, files, problems

INSTALLATION = "6f1c1a36-0b1f-4d6e-9d4e-0f8f3f6b9f11"


def at(found: tuple[Problem, ...], path: str = "rule.yaml") -> list[tuple[str, int, int]]:
    return [(one.code, one.place.line, one.place.column) for one in found if one.place.path == path]


# --- what an event declares -----------------------------------------------------------------------

NAMES = {
    "id": "keeps 'id' for itself",
    "timestamp": "keeps 'timestamp' for itself",
    "userId": "keeps 'userId' for itself",
    "received_at": "keeps 'received_at' for itself",
    "context_ip": "keeps 'context_ip' for itself",
    "a b": "cannot be the name of a property",
    "überall": "cannot be the name of a property",
    "1st": "cannot be the name of a property",
    "x" * 64: "cannot be the name of a property",
    "count": "the agent adds 'count'",
    "seq": "the agent adds 'seq'",
    "stream": "the agent adds 'stream'",
    "windowStart": "the agent adds 'window_start'",
    "botkube_version": "the agent adds 'botkube_version'",
    "Type": "are both type to the receiver",
}


@pytest.mark.parametrize("name", NAMES, ids=lambda one: one[:20])
def test_a_property_cannot_have_a_name_that_loses_the_event(name: str) -> None:
    shared = SHARED.replace("      type: [bot]\n", f"      type: [bot]\n      {name}: [a]\n")
    (problem,) = (one for one in problems(shared=shared) if one.place.path == "shared.yaml")

    assert (problem.code, problem.place.line, problem.place.column) == ("reserved", 21, 7)
    assert NAMES[name] in problem.message
    assert problem.hint


def test_a_property_that_cannot_be_is_not_told_to_be_missing() -> None:
    (found,) = problems(shared=SHARED.replace("      type:", "      timestamp: [a]\n      type:"))

    assert found.code == "reserved"


def test_what_the_agent_adds_to_an_event_is_what_rules_leave_free() -> None:
    """And whatever the compiler lets pass, the builder of batches keeps."""
    report = Report(0, 60, (Aggregate("Mine", (("kind", "a"),), "v1.14.0", 1),), ())
    events, _ = build_window(
        report,
        identity=Identity(INSTALLATION),
        stream=INSTALLATION,
        seq=1,
        totals={},
        events=["Mine"],
        agent_version="1",
        rules_digest="x",
        minimum=5,
        gate=lambda _event: None,
    )

    assert events[0]["properties"].keys() - {"kind"} == ADDED
    assert check_event(events[0]) is None


EVENTS = {
    "Application crashed": "the agent itself sends",
    "Collection report": "the agent itself sends",
    "integration enabled": "are both integration_enabled",
    "tracks": "a table tracks of its own",
    "Über": "cannot be the name of an event",
    "x" * 58: "cannot be the name of an event",
}


@pytest.mark.parametrize("name", EVENTS, ids=lambda one: one[:20])
def test_an_event_cannot_have_a_name_that_is_taken(name: str) -> None:
    shared = f"{SHARED}  {name}: {{category: integrations, properties: {{x: [a]}}}}\n"
    found = [one for one in problems(shared=shared) if one.code != "unused-event"]

    assert at(tuple(found), "shared.yaml") == [("reserved", 21, 3)]
    assert EVENTS[name] in found[0].message


DECLARED = {
    "mixed-words": ("type: [bot, 1]", "type", 20, 19, "of another type"),
    "mixed-numbers": ("type: [0, true]", "type", 20, 17, "of another type"),
    "no-values": ("type: []", "type", 20, 13, "no values"),
    "fraction": ("type: [bot, 1.5]", "type", 20, 19, "whole number"),
    "large-number": (f"type: [{2**53 + 1}]", "too-large", 20, 14, "2 to the power of 53"),
    "long-text": (f"type: [{'x' * 513}]", "too-large", 20, 14, "512 characters"),
    "many-values": (
        f"type: [{{vocabularies: [{', '.join(['bots'] * 9)}]}}]",
        "too-large",
        20,
        78,
        "more than 10000 values",
    ),
    "list-of-many": (
        f"type: [{', '.join(map(str, range(10_001)))}]",
        "too-large",
        20,
        58904,
        "more than 10000 values",
    ),
    "optional": ("type: [bot]\n    optional: [typ]", "unknown-name", 21, 16, "'typ'"),
}


@pytest.mark.parametrize(
    ("text", "code", "line", "column", "says"), DECLARED.values(), ids=DECLARED
)
def test_a_declaration_at_fault_has_its_place(
    text: str, code: str, line: int, column: int, says: str
) -> None:
    found = problems(shared=SHARED.replace("type: [bot]", text))

    assert (code, line, column) in at(found, "shared.yaml")
    assert any(says in one.message for one in found)


@pytest.mark.parametrize("category", ["integration", "Integrations"])
def test_a_category_that_looks_like_another_is_a_slip(category: str) -> None:
    more = f"events:\n  Mine: {{category: {category}, properties: {{x: [a]}}}}\n"
    found = [one for one in problems(zz=more) if one.code == "unknown-name"]

    assert at(tuple(found), "zz.yaml") == [("unknown-name", 2, 20)]
    assert found[0].hint == "did you mean integrations?"


def test_a_category_of_ones_own_is_none() -> None:
    more = "events:\n  Mine: {category: plugins, properties: {x: [a]}}\n"

    assert [one.code for one in problems(zz=more)] == ["unused-event"]


def test_an_uncovered_category_is_one_that_an_event_names() -> None:
    more = "uncovered: [{category: nope, formats: json, versions: [v1.2, v1.9], reason: x}]\n"

    assert at(problems(zz=more), "zz.yaml") == [("unknown-name", 1, 24)]


# --- what a source can give -----------------------------------------------------------------------

UNDECLARED = {
    "otherwise": ("otherwise: unknown", "otherwise: unknwon", 9, 57, "did you mean unknown?"),
    "without-otherwise": (", otherwise: unknown", "", 9, 40, "no `otherwise`; add one"),
    "of-a-vocabulary": ("vocabulary: bots", "vocabulary: tones", 9, 40, "declare it"),
    "only-enabled": (
        "{capture: bot, vocabulary: bots, otherwise: unknown}",
        "{only_enabled: [slak, discord], otherwise: unknown}",
        9,
        29,
        "did you mean slack?",
    ),
    "otherwise-of-only-enabled": (
        "{capture: bot, vocabulary: bots, otherwise: unknown}",
        "{only_enabled: [slack], otherwise: {only_enabled: [discord], otherwise: noone}}",
        9,
        85,
        "declare it",
    ),
    "bucket": ("type: bot", "type: {capture: bot, buckets: [1]}", 10, 33, "declare it"),
    "present": ("type: bot", "type: {present: bot}", 10, 19, "declare it"),
    "yes": ("type: bot", "type: yes", 10, 9, "put it in quotes: 'yes' without quotes is true"),
    "no": ("otherwise: unknown", "otherwise: no", 9, 57, "'no' without quotes is false"),
    "joined": ("type: bot", "type: {join: [bot, bot]}", 10, 9, "did you mean bot?"),
}
TONES = SHARED.replace("vocabularies:\n", "vocabularies:\n  tones: {words: {loud: [x], slack: }}\n")


@pytest.mark.parametrize(
    ("old", "new", "line", "column", "fix"), UNDECLARED.values(), ids=UNDECLARED
)
def test_a_value_that_could_leave_undeclared_does_not_compile(
    old: str, new: str, line: int, column: int, fix: str
) -> None:
    shared = TONES if "tones" in new else SHARED
    found = problems(edit(old, new), shared)

    assert ("value", line, column) in at(found)
    assert any(fix in one.hint for one in found)


@pytest.mark.parametrize("buckets", ["[5, 2]", "[5, 5]"])
def test_the_bounds_of_buckets_rise(buckets: str) -> None:
    shared = SHARED.replace("type: [bot]", "type: [0, 2, 5]")
    rule = edit("type: bot\n", f"type: {{capture: bot, buckets: {buckets}}}\n")
    (found,) = problems(rule.replace("type: bot", "type: 2"), shared)

    assert at((found,)) == [("buckets", 10, 37)]


NUMBERS = SHARED.replace(
    "type: [bot]", "type: [bot]\n      size: [0, 1]\n      heard: [true, false]"
)


@pytest.mark.parametrize(
    ("size", "heard", "column"),
    [
        pytest.param("true", "{present: bot}", 9, id="true-is-not-one"),
        pytest.param("{present: bot}", "true", 19, id="present-is-not-zero-or-one"),
    ],
)
def test_true_is_not_one(size: str, heard: str, column: int) -> None:
    rule = edit("type: bot\n", f"type: bot\n  size: {size}\n  heard: {heard}\n")

    assert ("value", 11, column) in at(problems(rule, NUMBERS))


def test_an_example_expects_values_of_the_declared_type() -> None:
    rule = edit("type: bot\n", "type: bot\n  size: 1\n  heard: true\n")
    rule = rule.replace("type: bot}", "type: bot, size: true, heard: 1}")

    assert at(problems(rule, NUMBERS)) == [("unknown-name", 15, 48), ("unknown-name", 15, 61)]


def test_below_the_first_bound_a_bucket_is_zero() -> None:
    rule = edit("type: bot\n", "type: bot\n  size: {capture: bot, buckets: [1]}\n  heard: true\n")
    rule = rule.replace("type: bot}", "type: bot, size: 0, heard: true}")
    made = compile_rules(files(rule, NUMBERS))
    (sources,) = (one.properties for one in made.rules if one.id == "bot-started")

    assert values_of(sources["size"]) == {0, 1}
    assert problems(rule, NUMBERS.replace("size: [0, 1]", "size: [1]"))


SOURCES = {
    "two": ("capture: bot,", "capture: bot, buckets: [1],", "source", 13),
    "present-beside-capture": (
        "{capture: bot, vocabulary: bots, otherwise: unknown}",
        "{capture: bot, present: bot}",
        "source",
        13,
    ),
    "none": ("{capture: bot, vocabulary: bots, otherwise: unknown}", "{}", "source", 13),
    "no-capture": ("capture: bot, ", "", "source", 13),
    "text": (", vocabulary: bots, otherwise: unknown", "", "free-text", 13),
    "text-in-otherwise": ("otherwise: unknown", "otherwise: {capture: bot}", "free-text", 57),
    "text-in-a-join": (
        "{capture: bot, vocabulary: bots, otherwise: unknown}",
        "{join: [{capture: bot}]}",
        "free-text",
        21,
    ),
    "many": (
        "{capture: bot, vocabulary: bots, otherwise: unknown}",
        f"{{join: [{', '.join(['{capture: bot, vocabulary: bots}'] * 12)}]}}",
        "too-large",
        13,
    ),
    "number": ("{capture: bot, vocabulary: bots, otherwise: unknown}", "1.5", "type", 13),
    "list": ("{capture: bot, vocabulary: bots, otherwise: unknown}", "[slack]", "type", 13),
    "nothing": ("{capture: bot, vocabulary: bots, otherwise: unknown}", "", "type", 12),
    "capture-of-a-number": ("capture: bot", "capture: 1", "type", 23),
    "bound": (
        "{capture: bot, vocabulary: bots, otherwise: unknown}",
        "{capture: bot, buckets: [many]}",
        "type",
        38,
    ),
}


@pytest.mark.parametrize(("old", "new", "code", "column"), SOURCES.values(), ids=SOURCES)
def test_a_source_at_fault_is_one_fault(old: str, new: str, code: str, column: int) -> None:
    """Its captures count as read, so that nothing else is said."""
    rule = edit("fields: {bot: '.+'}\n", "fields: {bot: '(?P<inner>.+)'}\n")
    found = problems(
        rule.replace("capture: bot", "capture: inner").replace(
            old.replace("capture: bot", "capture: inner"),
            new.replace("capture: bot", "capture: inner"),
        )
    )
    mine = [one for one in at(found) if one[0] != "value"]

    assert [code] == [one[0] for one in mine], found
    assert mine[0][1:] == (9, column + 2 * new[: column - 13].count("capture: bot"))


# --- events that come out of pairs ----------------------------------------------------------------

OTHER = (
    SHARED
    + """\
  Asked:
    category: integrations
    properties: {platform: [slack, discord, unknown], result: [ok, failed], how: [loud]}
    optional: [how]
"""
)
CLOSED = {
    "another-event": ("event: Asked", "missing-property", "needs result"),
    "another-event-whole": ("event: Asked, properties: {result: ok}", "", ""),
    "another-event-waits": ("then: wait, event: Asked", "missing-property", "needs result"),
    "another-event-ignored": ("then: ignore, event: Asked", "", ""),
    "undeclared": ("event: Asked, properties: {result: okay}", "value", "'okay'"),
    "undeclared-otherwise": (
        "event: Asked, properties: {result: {only_enabled: [ok], otherwise: no-one}}",
        "value",
        "'no-one'",
    ),
    "skip": ("event: Asked, properties: {result: skip}", "pair", "with `skip`"),
    "skip-within": (
        "event: Asked, properties: {result: ok, how: {only_enabled: [loud], otherwise: skip}}",
        "pair",
        "with `skip`",
    ),
    "also-without-wait": ("also: {bot: bot}", "pair", "need `then: wait`"),
    "suspects-no-event": ("then: suspect", "pair", "needs an `event`"),
    "holds-what-does-not-count": ("then: ignore, hold: 5", "pair", "`hold` needs `then: count`"),
    "once-without-wait": ("once_per: bot", "pair", "need `then: wait`"),
    "passes-without-pass": ("passes: [platform]", "pair", "needs `then: pass`"),
    "joins-a-capture-that-is-not-there": ("join: {bot: bto}", "unknown-name", "'bto'"),
    "passes-to-no-pair": ("then: pass", "pair", "opens a pair of its own"),
    "next-to-no-pair": ("then: next", "pair", "opens a pair of its own"),
}
CLOSER = """\
id: bot-closed
message: 'Bot is closed'
fields: {bot: '.+'}
hits: ['{"bot":"x","level":"info","msg":"Bot is closed","time":"2026-11-23T21:32:45Z"}']
"""


@pytest.mark.parametrize(("closer", "code", "says"), CLOSED.values(), ids=CLOSED)
def test_what_a_closer_counts_is_a_whole_event(closer: str, code: str, says: str) -> None:
    pair = f"level: info\npair: {{key: bot, closers: [{{by: bot-closed, {closer}}}]}}"
    used = "id: asked\n" + edit("id: bot-started\n", "").replace(
        "Integration enabled", "Asked"
    ).replace("type: bot", "result: ok").replace("Starting bot", "Asking about")
    found = problems(edit("level: info", pair), OTHER, closer=CLOSER, used=used)

    assert [code] * bool(code) == [one.code for one in found], found
    assert all(says in one.message for one in found)


def test_a_pair_passes_on_what_it_has() -> None:
    pair = "level: info\npair: {closers: [{by: bot-started, then: pass, passes: [tpye]}]}"
    (problem,) = problems(edit("level: info", pair))

    assert (problem.code, problem.place.line, problem.place.column) == ("unknown-name", 5, 56)
    assert problem.hint == "did you mean type?"


def test_a_rule_closes_a_pair_once() -> None:
    pair = "level: info\npair: {closers: [{by: [bot-closed, bot-closed]}]}"
    found = problems(edit("level: info", pair), closer=CLOSER)

    assert ("duplicate", 5, 36) in at(found)


def test_a_pair_that_counts_nothing_alone_may_leave_the_rest_to_its_closer() -> None:
    pair = (
        "level: info\npair: {key: bot, result: ignore, closers: "
        "[{by: bot-closed, properties: {type: bot}}]}"
    )
    rule = edit("level: info", pair).replace("\n  type: bot", "")
    counts = rule.replace("result: ignore", "result: count")
    leaves = rule.replace("properties: {type: bot}", "then: count")

    assert not problems(rule, closer=CLOSER)
    assert at(problems(counts, closer=CLOSER)) == [("missing-property", 10, 3)]
    assert at(problems(leaves, closer=CLOSER)) == [("missing-property", 5, 44)]


def test_what_is_passed_on_is_declared_where_it_arrives() -> None:
    """A value that the next event does not declare would leave all the same."""
    opens = edit("level: info", "level: info\npair: {key: bot, closers: [{by: asked, then: pass}]}")
    opens = opens.replace(
        "[{by: asked", "[{by: bot-closed, then: wait, properties: {KEY}}, {by: asked"
    )
    asked = (
        edit("id: bot-started", "id: asked")
        .replace("Integration enabled", "Asked")
        .replace("type: bot", "result: ok")
        .replace("Starting bot", "Asking about")
        .replace("level: info", "level: info\npair: {key: bot, closers: [{by: bot-closed}]}")
    )
    shared = OTHER.replace(
        "type: [bot]\n", "type: [bot]\n      result: [ok, torn]\n    optional: [result]\n"
    )

    assert not problems(opens.replace("KEY", "result: ok"), shared, asked=asked, closer=CLOSER)
    found = problems(opens.replace("KEY", "result: torn"), shared, asked=asked, closer=CLOSER)
    assert [one.code for one in found] == ["value"]
    assert "'torn'" in found[0].message


@pytest.mark.parametrize(
    "key", ["event: Integration enabled\n", "question: Which bots are in use?\n"]
)
def test_properties_belong_to_an_event(key: str) -> None:
    rule = edit(key, "").replace("enables: true\n", "")

    assert "missing-key" in [one.code for one in problems(rule)]
