"""What is only seen with all rules at hand: hidden rules, unread captures, whose fault it is."""

from __future__ import annotations

import pytest

from agent.rules import Problem, RuleError, compile_rules, try_examples
from agent.trial import try_log
from tests.test_rules_compile import RULE, SHARED, edit, files, problems
from tests.test_rules_values import at

# --- one slip is one fault ------------------------------------------------------------------------

ONE = {
    "message": (edit("message:", "mesage:"), "unknown-name", 5, 1),
    "id": (edit("id:", "idd:"), "unknown-name", 1, 1),
    "hits": (edit("hits:", "hit:"), "unknown-name", 11, 1),
    "properties": (edit("properties:", "property:"), "unknown-name", 8, 1),
    "case-of-a-key": (edit("level:", "Level:"), "unknown-name", 4, 1),
    "case-of-a-value": (edit("vocabulary: bots", "vocabulary: Bots"), "unknown-name", 9, 40),
    "key-of-a-source": (edit("vocabulary:", "vocab:"), "unknown-name", 9, 28),
    "otherwise": (edit("otherwise:", "otherwsie:"), "unknown-name", 9, 46),
    "capture": (
        edit("{bot: '.+'}", "{bot: '(?P<which>.+)'}").replace("capture: bot", "capture: wich"),
        "unknown-name",
        9,
        23,
    ),
    "vocabulary": (edit("vocabulary: bots", "vocabulary: bost"), "unknown-name", 9, 40),
    "event": (edit("Integration enabled", "Integration enabeld"), "unknown-name", 2, 8),
    "event-of-a-list": (edit("Integration enabled", "[Integration enabled]"), "type", 2, 8),
    "vocabulary-of-a-list": (edit("vocabulary: bots", "vocabulary: [bots]"), "type", 9, 40),
    "no-message": (edit("message: 'Starting bot${tail}'", "message:"), "type", 5, 9),
    "fragment": (edit("${tail}", "${nothing-like-it}"), "unknown-name", 5, 23),
    "pattern": (edit("bot${tail}", "(?P<how>bot${tail}"), "pattern", 5, 20),
    "no-properties": (
        edit("\n  platform: {", "\n  - platform: {").replace("\n  type: bot", "\n    type: bot"),
        "type",
        9,
        3,
    ),
    "no-list-of-hits": (edit("  - log:", "    log:"), "type", 12, 5),
    "hit-without-expect": (
        edit("  - log: '{", "  - '{").replace("\n    expect: {platform: slack, type: bot}", ""),
        "type",
        12,
        5,
    ),
    "hit-that-is-no-text": (
        edit("log: '{", "log: {").replace("\"}'\n    exp", '"}\n    exp'),
        "type",
        12,
        10,
    ),
    "line-as-a-hit": (
        edit("- log: '{", "- {").replace("\"}'\n    exp", '"}\n#    exp'),
        "type",
        12,
        5,
    ),
    "no-hits": (edit("hits:\n", "hits: []\n").partition("  - log")[0], "no-example", 11, 7),
    "tag": (edit("level: info", "level: !!set {info}"), "yaml", 4, 8),
    "tag-of-a-list": (edit("level: info", "level: !!python/object ['id']"), "yaml", 4, 8),
    "no-event": (
        edit("event: Integration enabled\n", "").replace("enables: true\n", ""),
        "missing-key",
        7,
        3,
    ),
    "empty-message": (edit("'Starting bot${tail}'", "''"), "literal", 5, 10),
    "empty-message-of-captures": (
        edit("'Starting bot${tail}'", "''").replace("capture: bot", "capture: which"),
        "literal",
        5,
        10,
    ),
    "vocabulary-in-a-rule": (
        f"{RULE}vocabularies:\n  more:\n    words: {{a: b}}\n",
        "unknown-name",
        14,
        1,
    ),
    "override-that-is-neither": (edit("level: info", "override: yes please"), "type", 4, 11),
    "absent-field-that-must-be-there": (
        edit("level: info", "absent_fields: [user, bot]"),
        "impossible",
        4,
        23,
    ),
    "absent-field-that-may-be-there": (
        edit("level: info", "optional_fields: [user]\nabsent_fields: user"),
        "impossible",
        5,
        16,
    ),
    "level-of-no-such-format": (
        edit("level: info", "formats: [standard, panic]\nlevel: info"),
        "impossible",
        4,
        10,
    ),
    "fields-of-no-such-format": (edit("level: info", "formats: klog"), "impossible", 4, 10),
    "null": (edit("level: info", "level:"), "type", 4, 7),
    "word": (edit("level: info", "alone: no"), "unknown-name", 4, 8),
    "octal": (edit("level: info", "priority: 010"), "type", 4, 11),
    "sexagesimal": (edit("level: info", "priority: 1:30"), "type", 4, 11),
    "true": (edit("level: info", "priority: true"), "type", 4, 11),
    "id-with-a-break": (edit("id: bot-started", 'id: "bot-started\\n"'), "id", 1, 5),
    "version-that-is-none": (edit("level: info", "versions: [v1.0, v9.99]"), "versions", 4, 18),
    "versions-of-numbers": (edit("level: info", "versions: [1.0, v1.2]"), "versions", 4, 12),
    "version-of-a-list": (edit("level: info", "versions: [v1.0, [v1.2]]"), "versions", 4, 18),
    "no-versions": (edit("level: info", "versions:"), "versions", 4, 10),
    "version": ("version: '1'\n" + RULE, "type", 1, 10),
    "version-of-true": ("version: true\n" + RULE, "type", 1, 10),
    "each-and-pair": (
        edit(
            "level: info",
            "each: {capture: bot, pattern: x, once_per: type}\npair: {closers: [{by: started}]}",
        ),
        "each",
        4,
        7,
    ),
    "disable": (edit("level: info", 'disable: "true"'), "type", 4, 10),
    "optional-field-that-nobody-reads": (
        edit("level: info", "optional_fields: [user]"),
        "unused-capture",
        4,
        19,
    ),
    "closer-twice": (
        edit(
            "level: info",
            "pair: {closers: [{by: used, within: 9}, {by: started},\n"
            "  {by: used}, {by: started, then: ignore}]}",
        ),
        "unreachable",
        5,
        20,
    ),
    "closer-of-no-such-version": (
        edit("level: info", "versions: [v0.8, v0.9]\npair: {closers: [{by: used}]}"),
        "impossible",
        5,
        23,
    ),
    "fact-that-nobody-states": (
        edit("level: info", "when: {generation: [old, new]}"),
        "impossible",
        4,
        7,
    ),
    "pair-outdented": (
        edit("level: info", "pair:\nlines: 5\nseconds: 1\nclosers:\n- {by: used}"),
        "unknown-name",
        5,
        1,
    ),
    "closers-outdented": (
        edit("level: info", "pair:\n  lines: 5\nclosers:\n- {by: used}"),
        "unknown-name",
        6,
        1,
    ),
    "properties-outdented": (
        edit("  platform: {", "platform: {").replace("  type: bot", "type: bot"),
        "unknown-name",
        9,
        1,
    ),
    "property-outdented": (edit("  type: bot", "type: bot"), "unknown-name", 10, 1),
    "event-within-the-properties": (
        edit("event: Integration enabled\n", "").replace(
            "  type: bot", "  event: Integration enabled\n  type: bot"
        ),
        "unknown-name",
        9,
        3,
    ),
}


@pytest.mark.parametrize(("text", "code", "line", "column"), ONE.values(), ids=ONE)
def test_one_slip_is_one_fault(text: str, code: str, line: int, column: int) -> None:
    found = problems(
        text,
        used=f"id: used\n{edit('id: bot-started', 'versions: [v1.0, v1.2]')}".replace(
            "Starting", "Ending"
        ),
    )

    assert [(code, line, column)] == at(found), found
    assert [one.place.path for one in found] == ["rule.yaml"]
    assert found[0].hint


CLOSES = """\
id: bot-closed
message: 'Bot (?P<which>[a-z]+) is closed'
hits: ['{"level":"info","msg":"Bot x is closed","time":"2026-11-23T21:32:45Z"}']
"""


def waits(keys: str = "", closer: str = "") -> str:
    pair = f"{{{keys}key: bot, closers: [{{by: bot-closed, join: {{bot: which}}{closer}}}]}}"
    return edit("level: info", f"pair: {pair}")


ADVICE = {
    "examples": (edit("hits:", "examples:"), "did you mean hits?"),
    "tests": (edit("hits:", "tests:"), "did you mean hits?"),
    "regex": (edit("message:", "regex:"), "did you mean message?"),
    "pattern": (edit("message:", "pattern:"), "did you mean message?"),
    "expr": (edit("message:", "expr:"), "did you mean message?"),
    "severity": (edit("level:", "severity:"), "did you mean level?"),
    "name": (edit("id:", "name:"), "did you mean id?"),
    "name-beside-an-id": (edit("level: info", "name: Bot"), "`id` is there already"),
    "enabled": (edit("level: info", "enabled: false"), "`disable: true` alone in a file"),
    "log-like-a-mapping": (
        edit("log: '{", "log: {").replace("\"}'\n    exp", '"}\n    exp'),
        "write one text; one that begins with { in single quotes",
    ),
    "message-like-a-list": (
        edit("'Starting bot${tail}'", "[a-z]"),
        "write one text; one that begins",
    ),
    "pair-outdented": (
        edit("level: info", "pair:\nkey: bot\nclosers: [{by: bot-closed, join: {bot: which}}]"),
        "indent it, and all that follows up to `closers:`",
    ),
    "property-outdented": (edit("  type: bot", "type: bot"), "indent it"),
    "property-outside-of-braces": (
        edit("\n  platform: {capture: bot,", " {platform: {capture: bot,").replace(
            "unknown}\n  type", "unknown}}\ntype"
        ),
        "write it within the braces",
    ),
    "like-none": (edit("level: info", "zzz: x"), "known: absent_fields, alone"),
    "guess-of-another-type": (edit("level: info", "prior: [x]"), "known: absent_fields, alone"),
    "guess-of-its-type": (edit("enables: true", "enabls: true"), "did you mean enables?"),
    "number-as-a-level": (edit("level: info", "level: 3"), "known: trace, debug, info"),
    "number-as-a-format": (edit("level: info", "formats: [json, 3]"), "known: json, klog, logfmt"),
    "number-beyond": (edit("level: info", "priority: 1000"), "write 100, the most"),
    "number-below": (edit("level: info", "priority: -101"), "write -100, the least"),
    "number-in-quotes": (edit("level: info", "priority: '7'"), "write 7"),
    "number-with-a-fraction": (edit("level: info", "priority: 7.0"), "write 7"),
    "no-number": (edit("level: info", "priority: high"), "write 0, which it is without the key"),
    "seconds": (waits("seconds: 5s, "), "write 5"),
    "minutes": (waits("seconds: 2m, "), "write 120"),
    "lines-of-time": (waits("lines: 2m, "), "write 1000, which it is without the key"),
    "major": (edit("level: info", "versions: [v1, v1.14]"), "write v1.0"),
    "major-of-a-number": (edit("level: info", "versions: [1, v1.14]"), "write v1.0"),
    "latest": (waits(closer=", choose: latest"), "did you mean newest?"),
    "property-of-a-closer": (waits(closer=", type: bot"), "write `properties: {type: bot}`"),
    "property-of-a-closer-with-others": (
        waits(closer=", type: bot, properties: {platform: slack}"),
        "write `type: bot` under `properties`",
    ),
    "first": (waits(closer=", choose: First"), "did you mean oldest?"),
}


@pytest.mark.parametrize(("text", "hint"), ADVICE.values(), ids=ADVICE)
def test_one_slip_has_the_advice_that_mends_it(text: str, hint: str) -> None:
    closer = {"closes": CLOSES} if "bot-closed" in text else {}
    used = edit("id: bot-started", "id: used\nalone: count").replace("Starting", "Ending")
    (found,) = problems(text, used=used, **closer)

    assert found.place.path == "rule.yaml"
    assert hint in found.hint
    assert found.hint.startswith(hint) or "alone" in hint


@pytest.mark.parametrize(
    ("type_", "value", "fix"),
    [
        ("[true, false]", "'true'", "write it without quotes: true"),
        ("[1, 2]", "'1'", "write it without quotes: 1"),
        ("[bot, 'no']", "no", "put it in quotes: 'no' without quotes is false"),
        ("[bot, '12']", "12", "put it in quotes: '12' without quotes is 12"),
    ],
)
def test_a_declared_value_of_another_type_is_told_how_to_be_written(
    type_: str, value: str, fix: str
) -> None:
    shared = SHARED.replace("type: [bot]", f"type: {type_}")
    right = type_.strip("[]").split(", ")[-1]
    rule = edit("  type: bot\n", f"  type: {right}\n")
    (expected,) = problems(rule.replace("type: bot}", f"type: {value}}}"), shared)
    (given,) = problems(rule.replace(f"type: {right}\n", f"type: {value}\n"), shared)[:1]

    assert (expected.code, expected.hint) == ("unknown-name", fix)
    assert expected.message.startswith("no value of type is ")
    assert (given.code, given.hint.split("; ")[0]) == ("value", fix)


@pytest.mark.parametrize(
    ("twice", "line", "column"),
    [
        ("events:\n  Integration enabled:\n    category: x\n    properties: {a: [b]}\n", 2, 3),
        ("events:\n  Integration enabled: {category: x, properties: {type: [c]}}\n", 2, 3),
        ("vocabularies:\n  bots: {words: {x: }}\n", 2, 3),
        ("facts:\n  generation: [x]\n", 2, 3),
        ("fragments:\n  tail: '(?P<x>y)'\n", 2, 3),
    ],
)
@pytest.mark.parametrize("name", ["a", "z"])
def test_what_is_declared_twice_is_one_fault(twice: str, line: int, column: int, name: str) -> None:
    """Whichever comes first, what it means is not known."""
    (found,) = problems(**{name: twice})

    assert found.code == "duplicate"
    assert f"{name}.yaml" in f"{found.place.path} {found.hint}"
    if name == "z":
        assert at((found,), "z.yaml") == [("duplicate", line, column)]


def test_a_word_that_yaml_reads_as_false_is_told_to_be_quoted() -> None:
    found = problems(shared=SHARED.replace("type: [bot]", "type: [bot, off]"))

    assert [one.hint.split(";")[0] for one in found] == [
        "put it in quotes: 'off' without quotes is false"
    ]


def test_a_rule_that_is_to_be_enabled_no_more_is_taken_out_by_disable() -> None:
    (found,) = problems(user="id: bot-started\nenabled: false\n")

    assert at((found,), "user.yaml") == [("unknown-name", 2, 1)]
    assert found.hint.startswith("write `id` and `disable: true` alone")


@pytest.mark.parametrize("properties", ["", ", properties: "])
def test_an_event_without_properties_is_one_fault_at_the_event(properties: str) -> None:
    events = f"events:\n  Mine: {{category: x{properties}}}\n"
    rule = edit("event: Integration enabled", "event: Mine").replace("Start", "End")
    (found,) = problems(more=events, mine=rule.replace("id: bot-started", "id: mine"))

    assert found.place.path == "more.yaml"
    assert found.place.line == 2
    if not properties:
        assert at((found,), "more.yaml") == [("missing-key", 2, 3)]
        assert "or `properties: {}` for none" in found.hint
        assert not [
            one
            for one in problems(more=events.replace("x", "x, properties: {}"))
            if one.code != "unused-event"
        ]


def test_a_vocabulary_that_only_an_event_names_is_not_removed_from_one_side() -> None:
    shared = SHARED.replace("type: [bot]", "type: [bot, {vocabularies: [idle]}]").replace(
        "vocabularies:\n  bots", "vocabularies:\n  idle: {words: {a: }}\n  bots"
    )
    (found,) = problems(shared=shared)

    assert found.code == "unused-vocabulary"
    assert found.hint == (
        "use it in a rule's property, or remove it here and from "
        "'type' of the event 'Integration enabled'"
    )


@pytest.mark.parametrize(
    "rule",
    [
        waits().replace("by: bot-closed", "by: bot-closd"),
        waits().replace("by: bot-closed", "by: zzz"),
        waits().replace("by: bot-closed, ", ""),
    ],
    ids=["misspelt", "unknown", "none"],
)
def test_a_closer_that_names_no_rule_leaves_no_capture_unused(rule: str) -> None:
    (found,) = problems(rule, closes=CLOSES)

    assert found.place.path == "rule.yaml"


@pytest.mark.parametrize(
    ("values", "hint"),
    [
        ("[bot]", "write a declared value of `type`, known: bot"),
        (
            "[bot, unknown]",
            "write `unknown`, or another declared value, where a line does not tell",
        ),
    ],
)
def test_a_missing_property_has_a_fix_that_is_declared(values: str, hint: str) -> None:
    shared = SHARED.replace("type: [bot]", f"type: {values}")
    rule = edit("  type: bot\n", "").replace(", type: bot", "")
    (found,) = problems(rule, shared)

    assert (found.code, found.hint) == ("missing-property", hint)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("disable: true\n", "no 'id'"),
        ("id: bot-started\ndisable: true\nlevel: info\nonce: true\n", "level, once"),
        ("log: x\nexpect: []\n", "*.scenario.yaml"),
    ],
)
def test_a_file_that_is_not_what_it_seems_is_one_fault(text: str, says: str) -> None:
    (problem,) = problems(user=text)

    assert says in f"{problem.message} {problem.hint}"


@pytest.mark.parametrize(
    "second",
    [RULE.replace("level: info", "override: true"), "id: bot-started\ndisable: true\n"],
)
@pytest.mark.parametrize(
    "first", [RULE.replace("level: info", "override: true"), "id: bot-started\ndisable: true\n"]
)
def test_one_rule_is_replaced_or_taken_out_once(first: str, second: str) -> None:
    found = problems(x=first, y=second)

    assert [one.code for one in found] == ["duplicate"]
    assert found[0].hint.startswith(("first in x.yaml:1:5", "first in y.yaml:1:5"))


@pytest.mark.parametrize(
    "text",
    ["id: bot-started\ndisabled: true\n", edit("level: info", "overide: true")],
    ids=["disabled", "overide"],
)
def test_a_misspelt_key_that_acts_on_another_rule_is_one_fault(text: str) -> None:
    (found,) = problems(own=text)

    assert (found.place.path, found.code) == ("own.yaml", "unknown-name")
    assert found.hint in {"did you mean disable?", "did you mean override?"}


def test_an_unknown_flag_of_an_override_is_not_passed_over() -> None:
    found = problems(user=RULE.replace("level: info", "override: 1"))

    assert at(found, "user.yaml") == [("type", 4, 11)]


def test_a_list_of_known_names_ends() -> None:
    found = problems(edit("vocabulary: bots", "vocabulary: zzz"), SHARED)

    assert found[-1].hint in {"known: bots", "use it or remove it"}


def test_what_an_unread_file_uses_is_not_unused() -> None:
    shared = SHARED.replace("vocabularies:", "vocabularies:\n  idle: {words: {a: }}")

    assert [one.code for one in problems(shared=shared)] == ["unused-vocabulary"]
    assert [one.code for one in problems(shared=shared, broken="id: [")] == ["yaml"]


@pytest.mark.parametrize("kind", ["events", "facts"])
def test_what_is_declared_is_used(kind: str) -> None:
    more = {"events": "Mine: {category: x, properties: {}}", "facts": "mine: [a]"}[kind]

    assert [f"unused-{kind[:-1]}"] == [one.code for one in problems(more=f"{kind}: {{{more}}}\n")]


# --- what a file at fault declares and uses is not known -----------------------------------------

WAITS = edit(
    "level: info", "level: info\npair: {key: bot, closers: [{by: bot-closed, join: {bot: which}}]}"
)
MORE = SHARED.replace("vocabularies:", "vocabularies:\n  words: {words: {slack: [Sl]}}")
USES = RULE.replace("vocabulary: bots", "vocabulary: words")

FOLLOWED = {
    # the one file at fault, and what stands beside it
    "closer-is-not-yaml": (f"{CLOSES}x: [", {"rule": WAITS}),
    "closer-has-a-bad-pattern": (CLOSES.replace("[a-z]+)", "[a-z]+"), {"rule": WAITS}),
    "closer-has-a-bad-id": (CLOSES.replace("bot-closed", "Bot Closed"), {"rule": WAITS}),
    "closer-has-no-id": (CLOSES.replace("id: bot-closed\n", ""), {"rule": WAITS}),
    "closer-is-empty": ("", {"rule": WAITS}),
    "opener-is-not-yaml": (f"{WAITS}x: [", {"rule": RULE, "closes": CLOSES}),
    "opener-has-a-key-of-no-rule": (
        WAITS.replace("pair:", "waits:").replace("bot-started", "other").replace("Start", "End"),
        {"closes": CLOSES},
    ),
    "words-are-not-yaml": (f"{MORE}x: [", {"shared": "version: 1\n", "rule": USES}),
    "words-have-a-bad-section": (
        MORE.replace("vocabularies:", "list-of-words:"),
        {"shared": "version: 1\n", "rule": USES},
    ),
    "words-are-a-list": (
        MORE.replace("  words: {words: {slack: [Sl]}}\n  bots:", "  - words: [Sl]\n  - bots:"),
        {"shared": "version: 1\n", "rule": USES},
    ),
    "event-is-a-list": (
        SHARED[: SHARED.index("    category")].replace("enabled:", "enabled: [platform]"),
        {"shared": "version: 1\n"},
    ),
    "event-has-unknown-words": (
        SHARED.replace("[slack, discord, unknown]", "[{vocabularies: [zzz]}]"),
        {"shared": "version: 1\n"},
    ),
    "property-without-values": (SHARED.replace("[bot]", ""), {"shared": "version: 1\n"}),
    "fact-without-values": (SHARED.replace("[old, new]", "[]"), {"shared": "version: 1\n"}),
    "words-without-a-key": (
        MORE.replace("{words: {slack: [Sl]}}", "{slack: [Sl], discord: [Di]}"),
        {"shared": "version: 1\n", "rule": USES},
    ),
    "words-outdented": (
        MORE.replace("  words: {words: {slack", "  list:\n  words: {slack").replace("]}}", "]}"),
        {"shared": "version: 1\n", "rule": USES.replace("vocabulary: words", "vocabulary: list")},
    ),
    "event-outdented": (
        SHARED.replace("\n    category", "\n  category").replace(
            "\n    properties", "\n  properties"
        ),
        {"shared": "version: 1\n"},
    ),
    "fragment-of-a-number": (SHARED.replace("'(?s:.*)'", "5"), {"shared": "version: 1\n"}),
    "fragment-that-two-rules-need": (
        SHARED.replace("'(?s:.*)'", "'(?s:.*'"),
        {
            "shared": "version: 1\n",
            "more": RULE.replace("bot-started", "x").replace("Start", "End"),
        },
    ),
    "free-text": (USES.replace(", vocabulary: words, otherwise: unknown", ""), {"shared": MORE}),
    "no-vocabulary-like-it": (
        USES.replace("vocabulary: words", "vocabulary: zz"),
        {"shared": MORE},
    ),
    "message-twice": (RULE.replace("message:", "message: x\nmessage:"), {}),
    "property-twice": (RULE.replace("  type: bot", "  type: x\n  type: bot"), {}),
    "fields-of-a-list": (
        RULE.replace("{bot: '.+'}", "[bot]").replace("level:", "priority: 1\nlevel:"),
        {"more": RULE.replace("bot-started", "behind")},
    ),
    "fact-that-another-is-like": (
        RULE.replace("level: info", "fact: {name: restarted, value: again}"),
        {},
    ),
    "key-that-is-there-already": (RULE.replace("level:", "question2: x\nlevel:"), {}),
    "override-of-a-word": (RULE.replace("level:", "override: tru\nlevel:"), {"rule": RULE}),
}


@pytest.mark.parametrize(("text", "beside"), FOLLOWED.values(), ids=FOLLOWED)
def test_a_fault_brings_no_other_after_it(text: str, beside: dict[str, str]) -> None:
    names = {f"{name}.yaml": one for name, one in beside.items()}
    base = {"rule.yaml": ""} if "id: bot-started" in text and "rule" not in beside else {}
    texts = {name: one for name, one in (files() | names).items() if name not in base}
    with pytest.raises(RuleError) as caught:
        compile_rules({**texts, "bot-closed.yaml": text})

    assert [one.place.path for one in caught.value.problems] == ["bot-closed.yaml"]


def test_two_rules_without_an_id_are_two_faults() -> None:
    nameless = RULE.replace("id: bot-started\n", "")
    found = problems(x=nameless.replace("Start", "End"), y=nameless.replace("Start", "Halt"))

    assert [one.code for one in found] == ["missing-key"] * 2


def test_a_file_at_fault_hides_no_other_fault() -> None:
    shared = SHARED.replace("vocabularies:", "vocabularies:\n  idle: {words: {a: }}")
    found = problems(
        edit("vocabulary: bots", "vocabulary: bost"),
        shared,
        x=RULE.replace("bot-started", "x").replace("Start", "End").replace("info\n", "inof\n"),
        y=CLOSES.replace("message", "versions: [v9.9, v1.0]\nmessage"),
    )

    assert [(one.place.path, one.code) for one in found] == [
        ("rule.yaml", "unknown-name"),
        ("shared.yaml", "unused-vocabulary"),
        ("x.yaml", "unknown-name"),
        ("y.yaml", "versions"),
        ("y.yaml", "unused-capture"),
    ]


def test_what_a_file_that_cannot_be_read_declares_is_not_unknown() -> None:
    for made_out in (None, "words: {words: {slack: [Sl]}}"):
        with pytest.raises(RuleError) as caught:
            compile_rules(files(USES), unread={"more.yaml": made_out})
        assert not caught.value.problems

    with pytest.raises(RuleError) as caught:
        compile_rules(files(USES), unread={"more.yaml": "something else"})
    assert [one.code for one in caught.value.problems] == ["unknown-name"]


def test_what_all_rules_share_is_not_declared_in_the_file_of_one() -> None:
    found = problems(
        f"{RULE}{SHARED[SHARED.index('vocabularies') :]}", SHARED[: SHARED.index("vocab")]
    )

    assert [one.code for one in found] == ["unknown-name"] * 3
    assert [one.place.line for one in found] == [14, 19, 22]


def test_an_example_that_needs_a_rule_at_fault_tells_nothing() -> None:
    line = '{"bot":"x","level":"info","msg":"Starting bot slowly","time":"2026-11-23T21:32:45Z"}'
    miss = f"{RULE}misses: ['{line}']\n"
    ruleset = compile_rules(files(miss))

    assert [one.code for one in try_examples(ruleset, lambda x: try_log(ruleset, x))] == ["miss"]
    assert not try_examples(ruleset, lambda x: try_log(ruleset, x), [f"hits: ['{line}']"])


# --- vocabularies ---------------------------------------------------------------------------------

WORDS = {
    "word-that-is-no-pattern": ("match: search, words: {'a(b': }", "pattern", 23),
    "word-behind-all": ("match: search, words: {a: '.*', b: x}", "unreachable", 26),
    "word-behind-nothing": ("match: search, words: {a: 'x|', b: x}", "unreachable", 26),
    "word-without-texts": ("words: {a: []}", "type", 11),
    "no-words": ("words: {}", "type", -17),
    "number": ("words: {a: [1]}", "type", 12),
}


@pytest.mark.parametrize(("text", "code", "column"), WORDS.values(), ids=WORDS)
def test_a_vocabulary_at_fault_has_its_place(text: str, code: str, column: int) -> None:
    found = problems(more=f"vocabularies: {{mine: {{used_by: agent, {text}}}}}\n")

    assert [(code, 1, 39 + column)] == at(found, "more.yaml")


def test_a_last_word_may_take_all() -> None:
    words = "{used_by: agent, match: search, words: {a: x, b: '.*'}}"

    assert not problems(more=f"vocabularies: {{mine: {words}}}\n")


# --- literals -------------------------------------------------------------------------------------

UNSEEN = {
    "given": (edit("level: info", "literals: [zzzzzz]"), "zzzzzz"),
    "fields": (
        edit("Starting bot${tail}", "Starting${tail}").replace(
            "level: info", "literals: [Beginning]"
        ),
        "Beginning",
    ),
}


@pytest.mark.parametrize(("rule", "literal"), UNSEEN.values(), ids=UNSEEN)
def test_a_hit_that_the_agent_would_not_look_at_is_a_fault(rule: str, literal: str) -> None:
    ruleset = compile_rules(files(rule))
    (problem,) = try_examples(ruleset, lambda log: try_log(ruleset, log))
    line, column = 11 + rule.count("\n") - RULE.count("\n") + 1, 5
    if "literals:" in rule:
        line = rule[: rule.index("literals:")].count("\n") + 1
        column = len("literals: ") + 1

    assert problem.code == "literal"
    assert (line, column) == (problem.place.line, problem.place.column)
    assert repr(literal) in problem.message


# --- examples that are no lines ------------------------------------------------------------------

MERE = {
    "json": ("", '{"level":"info","msg":"Starting bot'),
    "logfmt": ("formats: logfmt\n", 'level=info msg="Starting bot'),
    "text": ("formats: text\n", "INFO[2026-11-23T21:32:45Z] Starting bot"),
}


@pytest.mark.parametrize(("formats", "begins"), MERE.values(), ids=MERE)
def test_an_example_that_is_a_mere_message_is_told_how_it_would_begin(
    formats: str, begins: str
) -> None:
    rule = edit("level: info\n", f"level: info\n{formats}")
    line = rule[rule.index("'{\"bot") : rule.index("\n    expect")]
    ruleset = compile_rules(files(rule.replace(line, "Starting bot")))
    (found,) = try_examples(ruleset, lambda log: try_log(ruleset, log))

    assert found.code == "hit"
    assert found.hint.startswith("an example is a whole line as in the pod's log")
    assert found.hint.endswith(begins)


def test_an_example_of_a_rule_without_an_event_may_be_a_mere_message_too() -> None:
    rule = edit("bot-started", "x")
    ruleset = compile_rules(
        files(rule, fact="id: fact\nmessage: It is\nfact: {name: started}\nhits: [It is]\n")
    )
    (found,) = try_examples(ruleset, lambda log: try_log(ruleset, log))

    assert found.code == "shadowed"
    assert found.hint.endswith('{"level":"info","msg":"It is')


LOG = RULE.partition("log: '")[2].partition("'")[0]
TWO = f"|\n      {LOG}\n      {LOG[:-1]}"
STATES = """\
id: states
message: 'It is (?P<which>old|new)'
fact: {name: generation, value: old}
unless: {which: new}
hits: ['{"level":"info","msg":"It is old","time":"2026-11-23T21:32:45Z"}']
"""
READS = {"waits": WAITS.replace("bot-started", "waits").replace("Starting", "Ending")}
TORN = {
    "quotes-within": (edit("Slack", 'Sl"a"ck'), {}, "this line"),
    "no-last-brace": (edit('Z"}', 'Z"'), {}, "this line"),
    "second-line": (
        edit(f"'{LOG}'", TWO).replace(
            "expect: {", "expect:\n    - {platform: slack, type: bot}\n    - {"
        ),
        {},
        "line 2 of this log",
    ),
    "no-event": (RULE, {"closes": CLOSES.replace("[a-z]+", ".").replace('Z"}', 'Z"')}, "this line"),
}


@pytest.mark.parametrize(("rule", "more", "which"), TORN.values(), ids=TORN)
def test_an_example_that_is_no_json_is_told_so(rule: str, more: dict[str, str], which: str) -> None:
    ruleset = compile_rules(files(rule, **{**more, **READS}) if more else files(rule))
    (found,) = try_examples(ruleset, lambda log: try_log(ruleset, log))

    assert (found.code, found.message) == ("hit", f"{which} cannot be read as JSON")
    assert found.hint == 'write a quote within the text as \\", and end the line with }'


def test_a_whole_line_that_fails_is_not_called_a_mere_message() -> None:
    ruleset = compile_rules(files(edit("level: info", "level: error")))
    (found,) = try_examples(ruleset, lambda log: try_log(ruleset, log))

    assert found.hint == "no rule takes it: `level` (line 4) wants error, and the line has info"


WHY = {
    "formats": (
        ("level: info", "formats: text"),
        "`formats` (line 4) wants text, and the line is json",
    ),
    "origin": (
        ("level: info", "origin: plugin"),
        "`origin` (line 4) wants lines of a plugin, and this is one of the core",
    ),
    "message": (
        ("Starting bot${tail}", "Starting bots?\\\\ now"),
        "`message` (line 5) says `\\\\ now` where the line ends",
    ),
    "message-from-its-beginning": (
        ("'Starting bot${tail}'", "“Starting bot”"),
        "`message` (line 5) says `“Starting bot”` where the line says `Starting bot`",
    ),
    "message-of-alike-words": (
        ("'Starting bot${tail}'", "Starting * bots"),
        "`message` (line 5) says `bots` where the line says `bot`",
    ),
    "message-of-two": (
        ("'Starting bot${tail}'", "'Ending|Begin'\nliterals: [Start]"),
        "`message` (line 5) says `Ending|Begin` where the line says `Starting bot`",
    ),
    "field": (
        ("bot: '.+'", "bot: 'x'"),
        "`fields` (line 6) wants another value of 'bot', and the line has `Slack`",
    ),
    "no-field": (
        ("bot: '.+'", "bot: '.+', user: x"),
        "`fields` (line 6) wants another value of 'user', and the line has no such field",
    ),
    "when": (
        ("level: info", "when: {generation: [old]}"),
        "`when` (line 4) does not hold for 'generation'",
    ),
}


@pytest.mark.parametrize(("change", "reason"), WHY.values(), ids=WHY)
def test_an_example_that_no_rule_takes_is_told_which_key_failed(
    change: tuple[str, str], reason: str
) -> None:
    rule = edit(*change)
    shared = SHARED if "${tail}" in rule else SHARED.replace("fragments:\n  tail: '(?s:.*)'\n", "")
    ruleset = compile_rules(files(rule, shared, states=STATES))
    (found,) = try_examples(ruleset, lambda log: try_log(ruleset, log))

    assert found.code == "hit"
    assert found.hint == f"no rule takes it: {reason}"


def test_an_absent_field_that_is_there_is_told() -> None:
    rule = edit("bot: '.+'", "level2: 'x'").replace('\'{"bot"', '\'{"level2":"x","bot"')
    rule = rule.replace("level: info", "absent_fields: [bot]").replace(
        "capture: bot", "capture: level2"
    )
    ruleset = compile_rules(files(rule))
    (found,) = try_examples(ruleset, lambda log: try_log(ruleset, log))

    assert found.hint.endswith("`absent_fields` (line 4) wants no field bot, and the line has it")


@pytest.mark.parametrize("line", ['level":"info","msg":"x"}', "Starting bot"])
def test_a_miss_that_is_no_line_is_a_fault(line: str) -> None:
    ruleset = compile_rules(files(f"{RULE}misses:\n  - '{line}'\n"))
    (found,) = try_examples(ruleset, lambda log: try_log(ruleset, log))

    assert (found.code, found.place.line, found.place.column) == ("miss", 15, 5)
    assert found.hint.startswith("an example is a whole line")


def test_a_coloured_line_is_no_mere_message() -> None:
    line = "\\e[31mERRO\\e[0m[2022-05-22T03:36:26Z] Starting bot"
    begin = RULE.index("'{\"bot")
    rule = f'{RULE[:begin]}"{line}"{RULE[RULE.index(chr(10) + "    expect") :]}'
    ruleset = compile_rules(files(rule))
    (found,) = try_examples(ruleset, lambda log: try_log(ruleset, log))

    assert found.hint.startswith("no rule takes it: `level`")


def test_a_pair_that_counts_nothing_alone_is_told_to_be_closed() -> None:
    rule = waits("result: ignore, ").replace("fields: {bot: '.+'}", "fields: {bot: '.+'}")
    ruleset = compile_rules(files(rule, closes=CLOSES))
    (found,) = try_examples(ruleset, lambda log: try_log(ruleset, log))

    assert found.hint == (
        "its pair counts when bot-closed ends it: add such a line to `log:`, or expect `[]`"
    )


# --- unreachable ----------------------------------------------------------------------------------

FIELDS = "fields: {bot: '.+'}\n"
COVERS = {
    # what the first rule, the one behind it, and whether nothing is left for it
    "same": ("", "", True),
    "formats": ("formats: json\n", "", False),
    "formats-of-more": ("", "formats: json\n", True),
    "plugin": ("origin: plugin\n", "", False),
    "any-origin": ("origin: any\n", "", True),
    "unless": ("unless: {bot: x}\n", "", False),
    "absent": ("absent_fields: plugin\n", "", False),
    "absent-in-both": ("absent_fields: plugin\n", "absent_fields: [plugin, sink]\n", True),
    "when": ("when: {generation: old}\n", "", False),
    "when-of-more": ("when: {generation: [old, new]}\n", "when: {generation: old}\n", True),
    "when-of-less": ("when: {generation: old}\n", "when: {generation: [old, new]}\n", False),
    "fact": ("fact: {name: started}\n", "", True),
}


@pytest.mark.parametrize(("first", "second", "is_hidden"), COVERS.values(), ids=COVERS)
def test_a_rule_is_unreachable_if_nothing_is_left_for_it(
    first: str, second: str, is_hidden: bool
) -> None:
    rule = edit("level: info\n", f"priority: 1\n{first}")
    later = edit("level: info\n", second).replace("id: bot-started", "id: later")
    found = problems(rule, later=later, states=STATES)

    assert is_hidden == ("unreachable" in [one.code for one in found])


def test_a_mere_fact_takes_no_entry_from_a_rule_that_counts() -> None:
    fact = "id: a-fact\npriority: 1\nmessage: 'Starting bot${tail}'\nfact: {name: started}\n"

    assert not problems(fact=f"{fact}hits: ['x']\n")


def test_a_name_of_a_key_that_no_closer_has_is_never_compared() -> None:
    waits = edit("level: info", "level: info\npair: {key: bot, closers: [{by: bot-closed}]}")
    other = CLOSED.replace("?P<which>", "")

    assert at(problems(waits, closed=other)) == [("unused-key", 5, 13)]
    assert not problems(waits, closed=other.replace("name: '(", "name: '(?P<bot>"))
    assert not problems(WAITS, closed=CLOSED)


def test_a_misspelt_capture_of_a_closer_is_one_fault() -> None:
    waits = edit("level: info", "level: info\npair: {key: bot, closers: [{by: bot-closed}]}")
    found = problems(waits, closed=CLOSED.replace("which", "bott"))

    assert [one.code for one in found] == ["unused-key"]
    assert found[0].hint == "a closer has 'bott': call both the same"


def test_a_rule_that_replaces_a_closer_without_its_capture_is_at_fault() -> None:
    waits = edit("level: info", "level: info\npair: {key: bot, closers: [{by: bot-closed}]}")
    ours = files(waits, closed=CLOSED.replace("which", "bot"))
    own = CLOSED.replace("?P<which>", "").replace("closed\n", "closed\noverride: true\n", 1)
    found = compile_rules({**ours, "own.yaml": own}, shipped=frozenset(ours)).problems

    assert [(one.code, one.place.path) for one in found] == [("unused-key", "own.yaml")]


HIDDEN = {
    "within": ("[kube]", "[kube/helm]", True),
    "escaped": ("[a.b]", "['a\\.b\\.c']", True),
    "a-pattern": ("['ku(be|de)']", "[kube/helm]", True),
    "the-second-text": ("[x, kube]", "[kube/helm]", True),
    "other-letters": ("[Kube]", "[kube/helm]", False),
    "at-the-end": ("[kube$]", "[in kube]", False),
    "at-a-bound": ("['\\bkube']", "[kube/helm]", False),
    "of-no-plain-text": ("[kube]", "['kubes?']", False),
    "of-a-class": ("[kube]", "['kube\\w']", False),
    "elsewhere": ("[kube/helm]", "[kube]", False),
}


@pytest.mark.parametrize(("first", "second", "is_hidden"), HIDDEN.values(), ids=HIDDEN)
def test_a_word_is_unreachable_if_each_of_its_texts_gives_another(
    first: str, second: str, *, is_hidden: bool
) -> None:
    words = f"    match: search\n    words: {{slack: {first}, discord: {second}}}\n"
    begin, end = SHARED.index("    words:"), SHARED.index("facts:")
    found = problems(shared=f"{SHARED[:begin]}{words}{SHARED[end:]}")

    assert [one.code for one in found] == (["unreachable"] if is_hidden else [])


# --- captures -------------------------------------------------------------------------------------


def test_a_capture_that_only_an_exception_reads_is_used() -> None:
    rule = edit("Starting bot${tail}", "Starting bot(?P<more>.*)").replace(
        "level: info", "unless: {more: x}"
    )

    assert problems(rule)[0].code == "unused-fragment"
    assert len(problems(rule)) == 1


# --- examples -------------------------------------------------------------------------------------


def test_examples_that_differ_in_the_last_break_are_one() -> None:
    other = (
        RULE[RULE.index("  - log") :]
        .replace("slack", "discord")
        .replace("log: '", "log: |\n      ")
    )
    other = other.replace("Z\"}'", 'Z"}')

    assert "contradiction" in [one.code for one in problems(RULE + other)]


def test_no_example_contradicts_one_whose_event_is_unknown() -> None:
    other = edit("Integration enabled", "Zzz").replace("id: bot-started", "id: other")
    found = problems(other=other.replace("Starting bot$", "Starting [b]ot$"))

    assert [one.code for one in found if one.place.path == "other.yaml"] == ["unknown-name"]


# --- the user's files beside ours -----------------------------------------------------------------

OURS = frozenset({"shared.yaml", "rule.yaml", "started.yaml"})
PAIR = edit(
    "level: info",
    "level: info\npair: {key: bot, closers: [{by: bot-closed, join: {bot: which}}, "
    "{by: bot-again, then: next}]}",
)
CLOSED = """\
id: bot-closed
message: 'Bot is closed'
fields: {name: '(?P<which>.+)'}
hits: ['{"name":"x","level":"info","msg":"Bot is closed","time":"2026-11-23T21:32:45Z"}']
"""
AGAIN = PAIR.replace("id: bot-started", "id: bot-again").replace("Starting bot", "Bot again")

BLAMED = {
    "same-id": (RULE.replace("Starting", "Ending"), [("duplicate", 1, 5)]),
    "vocabulary": ("vocabularies:\n  bots: {words: {a: [b]}}\n", [("duplicate", 2, 3)]),
    "event": ("events:\n  Integration enabled: {category: x}\n", [("duplicate", 2, 3)]),
    "fragment": ("fragments:\n  tail: ''\n", [("duplicate", 2, 3)]),
    "capture-that-a-pair-of-ours-reads": (
        CLOSED.replace("id: bot-closed", "id: bot-closed\noverride: true").replace("?P<which>", ""),
        [("unknown-name", 1, 5)],
    ),
    "closer-of-no-such-version": (
        CLOSED.replace("id: bot-closed", "id: bot-closed\noverride: true\nversions: [v1.0, v1.2]"),
        [("impossible", 3, 11)],
    ),
    "pair-that-a-pair-of-ours-needs": (
        AGAIN.replace(AGAIN[AGAIN.index("pair:") : AGAIN.index("message:")], "override: true\n"),
        [("pair", 1, 5)],
    ),
}


@pytest.mark.parametrize("name", ["a", "zz"])
@pytest.mark.parametrize(("text", "faults"), BLAMED.values(), ids=BLAMED)
def test_what_does_not_go_with_our_files_is_the_users_fault(
    text: str, faults: list[tuple[str, int, int]], name: str
) -> None:
    versions = "versions: [v0.8, v0.9]\n" if "versions" in text else ""
    ours = files(versions + PAIR, closed=CLOSED, again=AGAIN)
    compile_rules(ours, shipped=frozenset(ours))
    with pytest.raises(RuleError) as caught:
        compile_rules({**ours, f"{name}.yaml": text}, shipped=frozenset(ours))

    found = caught.value.problems
    assert faults == sorted(set(at(found, f"{name}.yaml")))
    assert {f"{name}.yaml"} == {one.place.path for one in found}


WANTS = edit(
    "level: info",
    "level: info\npair: {result: ignore, closers: [{by: [bot-closed, bot-again]}, "
    "{by: started, then: ignore}]}",
)


def test_a_rule_without_which_another_cannot_count_is_not_taken_out_alone() -> None:
    closed = CLOSED.replace("?P<which>", "")
    ours = files(WANTS, closed=closed, again=AGAIN.replace(", join: {bot: which}", ""))
    out = {
        f"{name}-out.yaml": f"id: {name}\ndisable: true\n" for name in ("bot-closed", "bot-again")
    }
    for path, text in out.items():
        # The other one is still there.
        assert "can never count" not in str(_faults({**ours, path: text}))
    found = [one for one in _faults({**ours, **out}) if one.code == "pair"]

    assert [(one.place.path, one.place.line, one.place.column) for one in found] == [
        ("bot-again-out.yaml", 1, 5),
        ("bot-closed-out.yaml", 1, 5),
    ]
    assert "the events of bot-started can never count" in found[0].message
    assert found[0].hint == "take out bot-started, too, or replace it by `override: true`"
    assert not _faults({**ours, **out, "opener-out.yaml": "id: bot-started\ndisable: true\n"})


def test_a_closer_names_no_rule_that_is_taken_out() -> None:
    waits = PAIR.replace("Starting", "Ending").replace("id: bot-started", "id: own")
    ours = files(closed=CLOSED, again=RULE.replace("bot-started", "bot-again").replace("St", "Sp"))
    out = {"own.yaml": waits.replace("next", "count"), "out.yaml": "id: bot-again\ndisable: true\n"}
    found = _faults({**ours, **out})

    assert at(found, "own.yaml") == [("pair", 5, 71)]
    assert found[0].hint == "remove it here, or what takes it out: out.yaml:1:5"
    assert len(found) == 1


def _faults(texts: dict[str, str]) -> tuple[Problem, ...]:
    try:
        return compile_rules(texts, shipped=OURS | {"closed.yaml", "again.yaml"}).problems
    except RuleError as error:
        return error.problems


def test_a_place_shows_the_path_of_its_file() -> None:
    with pytest.raises(RuleError) as caught:
        compile_rules(
            files(more=RULE), paths={"more.yaml": "/mnt/b.yaml", "rule.yaml": "/mnt/a.yaml"}
        )

    (problem,) = caught.value.problems
    assert {"/mnt/a.yaml", "/mnt/b.yaml"} >= {problem.place.path}
    assert "first in /mnt/" in problem.hint
