"""Broken rule files: each fault names its code, its place and the way out, all of them at once."""

from __future__ import annotations

import pytest

from agent.disclosure import disclosures
from agent.rules import Problem, Rule, RuleError, compile_rules, nodes, try_examples, values_of
from agent.rules.nodes import read
from agent.rules.places import Problems
from agent.trial import try_log
from tests.shipped import RULES, TEXTS

SHARED = """\
version: 1
platforms:
  bots: [slack, discord]
  sinks: [webhook]
fragments:
  tail: '(?s:.*)'
vocabularies:
  bots:
    words:
      slack: [Slack]
      discord: [Discord]
facts:
  started: ['true']
  generation: [old, new]
events:
  Integration enabled:
    category: integrations
    properties:
      platform: [slack, discord, unknown]
      type: [bot]
"""
RULE = """\
id: bot-started
event: Integration enabled
question: Which bots are in use?
level: info
message: 'Starting bot${tail}'
fields: {bot: '.+'}
enables: true
properties:
  platform: {capture: bot, vocabulary: bots, otherwise: unknown}
  type: bot
hits:
  - log: '{"bot":"Slack","level":"info","msg":"Starting bot","time":"2026-11-23T21:32:45Z"}'
    expect: {platform: slack, type: bot}
"""


STARTED = """\
id: started
message: 'It has started'
when: {generation: [old, unknown]}
fact: {name: started}
hits: ['{"level":"info","msg":"It has started","time":"2026-11-23T21:32:45Z"}']
"""
"""Uses the facts, which a set may not declare for nothing."""


def files(rule: str = RULE, shared: str = SHARED, **more: str) -> dict[str, str]:
    texts = {"shared.yaml": shared, "rule.yaml": rule, "started.yaml": STARTED}
    return texts | {f"{name}.yaml": text for name, text in more.items()}


def problems(rule: str = RULE, shared: str = SHARED, **more: str) -> tuple[Problem, ...]:
    try:
        return compile_rules(files(rule, shared, **more)).problems
    except RuleError as error:
        return error.problems


def test_the_ground_of_these_tests_compiles() -> None:
    assert not problems()


def edit(old: str, new: str) -> str:
    assert old in RULE
    return RULE.replace(old, new, 1)


BROKEN = {
    "not-yaml": ("id: [", "yaml", 1, 6, "not YAML"),
    "tab": ("id: x\n\tevent: y\n", "yaml", 2, 1, "cannot start any token"),
    "empty": ("", "yaml", 1, 1, "empty"),
    "list": ("- a\n", "type", 1, 1, "a rule file is a mapping"),
    "duplicate-key": (
        edit("level: info\n", "level: info\nlevel: error\n"),
        "duplicate-key",
        5,
        1,
        "'level' stands twice",
    ),
    "unknown-key": (edit("level:", "levle:"), "unknown-name", 4, 1, "did you mean level?"),
    "unknown-level": (edit("info", "inof"), "unknown-name", 4, 8, "did you mean info?"),
    "unknown-format": (
        edit("level: info", "formats: jsno"),
        "unknown-name",
        4,
        10,
        "did you mean json?",
    ),
    "unknown-event": (
        edit("Integration enabled", "Integration enabeld"),
        "unknown-name",
        2,
        8,
        "did you mean Integration enabled?",
    ),
    "unknown-origin": (
        edit("level: info", "origin: plugins"),
        "unknown-name",
        4,
        9,
        "did you mean plugin?",
    ),
    "unknown-vocabulary": (
        edit("vocabulary: bots", "vocabulary: bot"),
        "unknown-name",
        9,
        40,
        "did you mean bots?",
    ),
    "unknown-capture": (
        edit("capture: bot", "capture: bott"),
        "unknown-name",
        9,
        23,
        "did you mean bot?",
    ),
    "unknown-fragment": (edit("${tail}", "${tial}"), "unknown-name", 5, 23, "did you mean tail?"),
    "unknown-property": (
        edit("  type: bot", "  typ: bot"),
        "unknown-name",
        10,
        3,
        "did you mean type?",
    ),
    "missing-property": (edit("  type: bot\n", ""), "missing-property", 9, 3, "needs type"),
    "undeclared-value": (edit("type: bot", "type: bots"), "value", 10, 9, "did you mean bot?"),
    "free-text": (
        edit(", vocabulary: bots, otherwise: unknown", ""),
        "free-text",
        9,
        13,
        "text of a log line",
    ),
    "no-id": (edit("id: bot-started\n", ""), "missing-key", 1, 1, "no 'id'"),
    "bad-id": (edit("bot-started", "Bot Started"), "id", 1, 5, "is no id"),
    "no-message": (
        edit("message: 'Starting bot${tail}'\n", ""),
        "missing-key",
        1,
        1,
        "no 'message'",
    ),
    "no-question": (
        edit("question: Which bots are in use?\n", ""),
        "missing-key",
        1,
        1,
        "no 'question'",
    ),
    "look-ahead": (edit("Starting bot", "Starting (?=bot)"), "pattern", 5, 20, "RE2"),
    "unclosed-group": (edit("Starting bot", "Starting (bot"), "pattern", 5, 20, "RE2"),
    "long-pattern": (edit("Starting bot", "Starting bot" * 100), "pattern", 5, 10, "at most 1000"),
    "large-program": (
        edit("Starting bot", "Starting bot(?:[a-z]{900}){100}"),
        "pattern",
        5,
        37,
        "RE2",
    ),
    "pattern-in-double-quotes": (
        edit("'Starting bot${tail}'", r'"Starting \x62ot \"\u00e9\\d\" (?=x)"'),
        "pattern",
        5,
        41,
        "look-around",
    ),
    "pattern-in-single-quotes": (
        edit("Starting bot", "Starting ''bot'' (?=x)"),
        "pattern",
        5,
        28,
        "look-around",
    ),
    "pattern-without-quotes": (
        edit("'Starting bot${tail}'", "Starting bot (?=x)"),
        "pattern",
        5,
        23,
        "look-around",
    ),
    "pattern-behind-a-fragment": (
        edit("Starting bot${tail}", "Starting ${tail}(?=x)"),
        "pattern",
        5,
        27,
        "look-around",
    ),
    "pattern-of-several-lines": (
        edit("'Starting bot${tail}'", "|-\n  Starting bot (?=x)"),
        "pattern",
        5,
        10,
        "look-around",
    ),
    "pattern-with-an-anchor": (
        edit("'Starting bot${tail}'", "&a 'Starting bot (?=x)'"),
        "pattern",
        5,
        10,
        "look-around",
    ),
    "no-literal": (edit("Starting bot${tail}", ".*${tail}"), "literal", 5, 10, "literals"),
    "bad-literal": (
        edit("level: info", "literals: ['<b>long']"),
        "literal",
        4,
        12,
        "without quotes",
    ),
    "bad-versions": (
        edit("level: info", "versions: [v1.2, v0.9]"),
        "versions",
        4,
        18,
        "write [v0.9, v1.2]",
    ),
    "unused-capture": (
        edit("Starting bot", "Starting (?P<what>bot)"),
        "unused-capture",
        5,
        20,
        "(?:...)",
    ),
    "no-example": (RULE[: RULE.index("hits:")], "no-example", 1, 1, "has no example"),
    "bad-example": (
        edit("platform: slack,", "platform: slak,"),
        "unknown-name",
        13,
        24,
        "did you mean slack?",
    ),
    "unknown-expected": (
        edit("{platform: slack,", "{event: Integraton enabled, platform: slack,"),
        "unknown-name",
        13,
        21,
        "did you mean Integration enabled?",
    ),
    "contradiction": (
        RULE + RULE[RULE.index("  - log") :].replace("slack", "discord"),
        "contradiction",
        14,
        5,
        "compare rule.yaml:12:5",
    ),
    "hit-is-a-miss": (
        RULE
        + "misses:\n"
        + RULE[RULE.index("  - log") : RULE.index("    expect")].replace("log: ", ""),
        "contradiction",
        15,
        5,
        "one of its hits",
    ),
    "unknown-fact": (
        edit("level: info", "when: {generatoin: old}"),
        "unknown-name",
        4,
        8,
        "did you mean generation?",
    ),
    "unknown-fact-value": (
        edit("level: info", "when: {generation: odl}"),
        "unknown-name",
        4,
        20,
        "did you mean old?",
    ),
    "unknown-stated-fact": (
        edit("level: info", "fact: {name: startd}"),
        "unknown-name",
        4,
        14,
        "did you mean started?",
    ),
    "undeclared-fact-value": (
        edit("level: info", "fact: {name: generation, value: newer}"),
        "value",
        4,
        33,
        "'newer'",
    ),
    "once-without-enables": (edit("enables: true", "once: true"), "once", 7, 7, "enables"),
    "not-a-flag": (edit("enables: true", "enables: bot"), "type", 7, 10, "true or false"),
    "unknown-closer": (
        edit("level: info", "pair: {closers: [{by: bot-startd}]}"),
        "unknown-name",
        4,
        23,
        "did you mean bot-started?",
    ),
    "no-closer": (edit("level: info", "pair: {lines: 5}"), "pair", 4, 7, "needs a closer"),
    "too-many-seconds": (
        edit("level: info", "pair: {seconds: 9999, closers: [{by: bot-started}]}"),
        "type",
        4,
        17,
        "from 1 to 3600",
    ),
    "closer-capture": (
        edit(
            "level: info",
            "pair: {closers: [{by: bot-started, properties: "
            "{platform: {capture: bto, vocabulary: bots, otherwise: unknown}}}]}",
        ),
        "unknown-name",
        4,
        69,
        "did you mean bot?",
    ),
    "unknown-unless": (
        edit("level: info", "unless: {bto: 'x'}"),
        "unknown-name",
        4,
        10,
        "did you mean bot?",
    ),
    "within-longer-than-the-pair": (
        edit(
            "level: info",
            "pair: {seconds: 5, closers: [{by: bot-started, within: 9, then: count}]}",
        ),
        "pair",
        4,
        30,
        "may act for 9 seconds, but the pair waits for 5",
    ),
    "unless-of-an-unknown-vocabulary": (
        edit("level: info", "unless: {bot: {vocabulary: bost}}"),
        "unknown-name",
        4,
        28,
        "did you mean bots?",
    ),
    "newer-format": ("version: 2\n" + RULE, "format", 1, 10, "a later botkube-analytics"),
}


@pytest.mark.parametrize(("text", "code", "line", "column", "says"), BROKEN.values(), ids=BROKEN)
def test_a_fault_names_its_place_and_the_way_out(
    text: str, code: str, line: int, column: int, says: str
) -> None:
    found = problems(text)

    assert (code, "rule.yaml", line, column) in [
        (one.code, one.place.path, one.place.line, one.place.column) for one in found
    ]
    assert any(one.code == code and says in f"{one.message} {one.hint}" for one in found)


def searched(more: str) -> str:
    return SHARED.replace(
        "  bots:\n    words", f"  bots:\n    match: search\n    {more}\n    words"
    )


SHARED_BROKEN = {
    "unused-fragment": (SHARED.replace("tail:", "tail: ''\n  other:"), "unused-fragment", 7, 3),
    "unused-vocabulary": (
        SHARED.replace("  bots:\n    words", "  idle:\n    words: {a: }\n  bots:\n    words"),
        "unused-vocabulary",
        8,
        3,
    ),
    "two-words-one-text": (SHARED.replace("[Discord]", "[slack]"), "duplicate", 11, 17),
    "unknown-section": (SHARED.replace("facts:", "fact:"), "unknown-name", 12, 1),
    "vocabulary-of-a-value": (
        SHARED.replace("type: [bot]", "type: [{vocabularies: [bost]}]"),
        "unknown-name",
        20,
        30,
    ),
    "broken-search": (
        SHARED.replace("  bots:\n    words", "  bots:\n    match: search\n    words").replace(
            "[Slack]", "['(Slack']"
        ),
        "pattern",
        11,
        16,
    ),
    "hide-without-a-group": (searched('hide: \'"[^"]*"\''), "hide", 10, 11),
    "hide-without-a-search": (searched("hide: '(x)'").replace("search", "exact"), "hide", 10, 11),
    "hide-of-an-unknown-fragment": (searched("hide: '(x)${tial}'"), "unknown-name", 10, 15),
}


@pytest.mark.parametrize(
    ("text", "code", "line", "column"), SHARED_BROKEN.values(), ids=SHARED_BROKEN
)
def test_a_fault_of_a_shared_file_names_its_place(
    text: str, code: str, line: int, column: int
) -> None:
    assert (code, "shared.yaml", line, column) in [
        (one.code, one.place.path, one.place.line, one.place.column)
        for one in problems(shared=text)
    ]


def test_what_a_vocabulary_hides_is_not_looked_at() -> None:
    hides = searched('hide: \'"([^"]*)"|<(?P<name>\\w+)>\'')
    bots = compile_rules(files(RULE, hides)).vocabularies["bots"]
    expected = {
        b'Slack "Discord"': "slack",
        b'"Slack" Discord': "discord",
        b"<Slack> Discord <Slack>": "discord",
        b'"Slack" "Discord" <Slack>': None,
        b'Sla"x"ck': None,
        b'"Slack': "slack",
        b"": None,
    }

    assert expected == {text: bots.word(text) for text in expected}


def test_a_vocabulary_may_say_what_a_rule_is_not_for() -> None:
    hides = searched('hide: \'"([^"]*)"\'').replace("[Slack]", "['Sl${fragment}']")
    shared = hides.replace("fragments:\n", "fragments:\n  fragment: 'ack$'\n")
    rule = edit("level: info", "unless: {bot: {vocabulary: bots}}").replace("Slack", "other")
    made = compile_rules(files(rule.replace("slack", "unknown"), shared))
    find = made.rules[0].unless["bot"]
    found = [find(text) for text in (b"x", b'"x" Slack', b'"Slack"', b"Discord")]

    assert found == [None, "slack", None, "discord"]


@pytest.mark.parametrize(
    ("pattern", "says"),
    [
        pytest.param("Error [Ǵ-Ȁ]", "in a class", id="class"),
        pytest.param("Error [^é]", "in a class", id="negated-class"),
        pytest.param(r"Error (?:[\]]|[]é])", "in a class", id="class-with-brackets"),
        pytest.param("Error é+", "repeated", id="repeated"),
        pytest.param("Error é{2}", "repeated", id="counted"),
        pytest.param("Error (?i:x|(?:y)é)", "without case", id="case"),
        pytest.param("(?i)Error é", "without case", id="case-of-all"),
        pytest.param(r"Error \p{L}", "by number or kind", id="kind"),
        pytest.param(r"Error \x{1F4}", "by number or kind", id="number"),
    ],
)
def test_a_pattern_that_tears_a_character_apart_is_a_fault(pattern: str, says: str) -> None:
    found = problems(edit("Starting bot${tail}", pattern))

    assert any(one.code == "pattern" and says in one.message for one in found)


@pytest.mark.parametrize(
    "pattern",
    ["Error é", "Error (?:é|è)+", r"Error \xc3[\xa8-\xa9]", r"Error \x{7f}", "(?i:Error) é [a-z]"],
)
def test_a_character_outside_ascii_may_stand_for_itself(pattern: str) -> None:
    found = problems(edit("Starting bot${tail}", pattern))

    assert not any(one.code == "pattern" for one in found)


def test_all_faults_of_all_files_come_at_once() -> None:
    found = problems(
        edit("level: info", "levle: inof"),
        more=RULE.replace("bot-started", "other").replace("vocabulary: bots", "vocabulary: x"),
        broken="id: [",
    )

    assert {"rule.yaml", "more.yaml", "broken.yaml"} == {one.place.path for one in found}


def test_the_same_id_twice_is_a_fault() -> None:
    found = problems(more=RULE)

    assert [one.code for one in found if one.code == "duplicate"] == ["duplicate"]


def test_a_rule_behind_one_that_takes_all_its_entries_is_unreachable() -> None:
    later = RULE.replace("bot-started", "later").replace("level: info", "level: info\npriority: -1")

    assert [one.code for one in problems(more=later)] == ["unreachable"]


def test_a_rule_may_be_narrower_than_one_behind_it() -> None:
    narrow = (
        RULE.replace("bot-started", "narrow")
        .replace("level: info", "level: info\npriority: 1")
        .replace("{bot: '.+'}", "{bot: Slack}")
    )

    assert not problems(more=narrow)


def test_a_users_file_replaces_a_rule() -> None:
    other = RULE.replace("level: info", "override: true\nlevel: error")
    rules = compile_rules(files(user=other))

    assert frozenset({"error"}) in [rule.levels for rule in rules.rules]
    assert len(rules.rules) == 2


def test_a_users_file_takes_a_rule_out() -> None:
    rules = compile_rules(files(user="id: bot-started\ndisable: true\n"))

    assert [rule.id for rule in rules.rules] == ["started"]


@pytest.mark.parametrize("key", ["override: true", "disable: true"])
def test_an_override_of_nothing_asks_what_was_meant(key: str) -> None:
    text = RULE.replace("bot-started", "bot-startd", 1).replace("level: info", key)
    text = text.replace("Starting", "Ending")
    (found,) = problems(user=text if key.startswith("o") else f"id: bot-startd\n{key}\n")

    assert (found.code, found.place.line, found.place.column) == ("unknown-name", 1, 5)
    assert "there is no rule 'bot-startd' to" in found.message
    assert "did you mean bot-started?" in found.hint


@pytest.mark.parametrize("name", ["Collection report", "collection report", "Application crashed"])
def test_an_event_that_the_agent_sends_is_reserved_and_no_more(name: str) -> None:
    text = f"events:\n  {name}: {{category: x, properties: {{kind: [a]}}}}\n"

    assert [one.code for one in problems(more=text)] == ["reserved"]


def test_shadowed_rules_are_found_by_their_examples() -> None:
    wide = edit("bot-started", "wide").replace("level: info\n", "priority: 9\n")
    wide = wide.replace("Starting bot$", "Starting [b]ot$")
    ruleset = compile_rules(files(wide=wide))
    found = try_examples(ruleset, lambda log: try_log(ruleset, log))

    assert [(one.code, one.place.path) for one in found] == [("shadowed", "rule.yaml")]
    assert "wide" in found[0].hint


def test_an_example_that_counts_something_else_is_a_fault() -> None:
    wrong = edit("{platform: slack,", "{platform: discord,")
    ruleset = compile_rules(files(wrong))
    found = try_examples(ruleset, lambda log: try_log(ruleset, log))

    assert [(one.code, one.place.line, one.place.column) for one in found] == [("hit", 13, 24)]
    assert "platform: slack" in found[0].message


@pytest.mark.parametrize(
    ("expect", "place"),
    {
        "{platform: slack}": (13, 5),
        "[]": (13, 5),
        "[{platform: slack, type: bot}, {platform: slack, type: bot}]": (13, 5),
        "{event: Other, type: bot}": (13, 21),
        "{type: bot, platform: unknown}": (13, 35),
    }.items(),
    ids=lambda one: str(one)[:20],
)
def test_what_an_example_expects_in_vain_is_where_the_fault_is(
    expect: str, place: tuple[int, int]
) -> None:
    other = "version: 1\nevents:\n  Other: {category: x, properties: {type: [bot]}}\n"
    uses = RULE.replace("bot-started", "other").replace("Integration enabled", "Other")
    uses = uses.replace("Starting", "Ending").replace("enables: true\n", "")
    uses = "".join(one for one in uses.splitlines(keepends=True) if "bots, otherwise" not in one)
    wrong = edit("{platform: slack, type: bot}", expect)
    ruleset = compile_rules(files(wrong, more=other, uses=uses.replace("platform: slack, ", "")))
    found = try_examples(ruleset, lambda log: try_log(ruleset, log))

    assert [("hit", *place)] == [(one.code, one.place.line, one.place.column) for one in found]


@pytest.mark.parametrize(
    ("versions", "column", "fix"),
    [
        ("[v1.2, v0.9]", 18, "write [v0.9, v1.2]"),
        ("[v1.0.0, v1.14]", 12, "write v1.0"),
        ("[v1.0, 1.14]", 18, "write v1.14"),
        ("[v1.0, v1.15]", 18, "did you mean v1.14?"),
        ("[v0.19, v1.0]", 12, "did you mean v0.18?"),
        ("[v0.7, v1.0]", 12, "did you mean v0.8?"),
        ("[v1.0, v1_4]", 18, "did you mean v1.4?"),
        ("[v1.0, latest]", 18, "write one as v1.2; there are v0.8 to v0.18 and v1.0 to v1.14"),
        ("v1.3", 11, "write [v1.3, v1.14]"),
        ("[]", 11, "write [v0.8, v1.14]"),
        ("[v1.3, v1.1, v1.2]", 24, "write [v1.1, v1.3]"),
    ],
)
def test_versions_at_fault_say_which_to_write(versions: str, column: int, fix: str) -> None:
    (found,) = problems(edit("level: info", f"versions: {versions}"))

    assert ("versions", 4, column) == (found.code, found.place.line, found.place.column)
    assert found.hint.startswith(fix)


def test_a_miss_that_its_rule_takes_is_a_fault() -> None:
    miss = (
        RULE
        + """misses:
  - '{"bot":"Discord","level":"info","msg":"Starting bot","time":"2026-11-23T21:32:45Z"}'
"""
    )
    ruleset = compile_rules(files(miss))
    found = try_examples(ruleset, lambda log: try_log(ruleset, log))

    assert [(one.code, one.place.line, one.place.column) for one in found] == [("miss", 15, 5)]


def test_no_capture_of_a_shipped_rule_can_leave_as_text() -> None:
    """Without its vocabulary, every shipped property that reads a capture stops compiling."""
    with pytest.raises(RuleError) as caught:
        compile_rules(
            {
                path: text
                if "vocabularies:" in text
                else text.replace("vocabulary: failure-reasons", "note: x")
                for path, text in TEXTS.items()
            }
        )

    assert any(one.code == "free-text" for one in caught.value.problems)


def test_a_digest_names_the_texts() -> None:
    other = compile_rules({**TEXTS, "rules/more.yaml": "# nothing\nversion: 1\n"})

    assert RULES.digest != other.digest


@pytest.mark.parametrize(
    "rule", [pytest.param(one, id=one.id) for one in RULES.rules if one.pair and one.priority]
)
def test_a_shipped_rule_can_be_taken_out_alone(rule: Rule) -> None:
    own = {"own.yaml": f"id: {rule.id}\ndisable: true\n"}

    assert not compile_rules({**TEXTS, **own}, shipped=frozenset(TEXTS)).problems


@pytest.mark.parametrize("path", TEXTS)
def test_files_read_the_same_without_libyaml(monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    fast = read(path, TEXTS[path], Problems())
    monkeypatch.setattr(nodes, "_FAST", None)

    assert fast == read(path, TEXTS[path], Problems())


# --- no place of a rule may carry text ------------------------------------------------------------

FREE = "{capture: bot}"
PLACES = {
    "property": edit("{capture: bot, vocabulary: bots, otherwise: unknown}", FREE),
    "otherwise": edit("otherwise: unknown", f"otherwise: {FREE}"),
    "part of a join": edit(
        "{capture: bot, vocabulary: bots, otherwise: unknown}", f"{{join: [slack, {FREE}]}}"
    ),
    "otherwise of a part": edit(
        "{capture: bot, vocabulary: bots, otherwise: unknown}",
        f"{{join: [{{capture: bot, vocabulary: bots, otherwise: {FREE}}}]}}",
    ),
    "otherwise of only_enabled": edit(
        "{capture: bot, vocabulary: bots, otherwise: unknown}",
        f"{{only_enabled: [slack], otherwise: {FREE}}}",
    ),
    "otherwise of an otherwise": edit(
        "otherwise: unknown", f"otherwise: {{capture: bot, vocabulary: bots, otherwise: {FREE}}}"
    ),
    "property of a closer": edit(
        "hits:",
        f"pair:\n  closers:\n    - {{by: bot-started, properties: {{platform: {FREE}}}}}\nhits:",
    ),
    "fact": edit("hits:", f"fact: {{name: generation, value: {FREE}}}\nhits:"),
}


@pytest.mark.parametrize("place", PLACES)
def test_a_capture_without_a_closed_list_does_not_compile_anywhere(place: str) -> None:
    found = [one for one in problems(PLACES[place]) if one.code == "free-text"]

    assert [one.message for one in found] != []
    assert all("would carry the text of a log line" in one.message for one in found)


@pytest.mark.parametrize(
    "source",
    [
        "{capture: bot, vocabulary: everything}",
        "{capture: bot, pattern: '.*'}",
        "{text: bot}",
        "{capture: bot, hash: true}",
        "'${tail}'",
        "Jane",
        "1.5",
        "[slack, discord]",
        "{present: bot}",
        "{capture: bot, buckets: [1, 5]}",
        "{capture: bot, buckets: bot}",
        "",
    ],
)
def test_no_value_compiles_that_the_event_does_not_declare(source: str) -> None:
    assert problems(edit("{capture: bot, vocabulary: bots, otherwise: unknown}", source))


def test_every_source_that_compiles_gives_declared_values_only() -> None:
    """The language has no other sources than these, and each lists all that it can give."""
    for rule in RULES.rules:
        closers = rule.pair.closers if rule.pair is not None else ()
        for event, properties in (
            (rule.event, rule.properties),
            *((one.event or rule.event, one.properties) for one in closers),
        ):
            declared = RULES.events[event].properties if event is not None else {}
            for name, source in properties.items():
                values = values_of(source)

                assert len(values) < 1000
                assert event is None or values <= declared[name], (rule.id, name)


def test_what_the_compiler_accepts_is_what_the_gate_lets_through() -> None:
    listed = {(one.event, one.name): set(one.values) for one in disclosures(RULES)}
    for event in RULES.events.values():
        for name, values in event.properties.items():
            assert listed[event.name, name] == values
