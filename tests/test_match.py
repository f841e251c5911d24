"""Which rule an entry belongs to, and that the shortcuts on the way decide nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.entries import Entries
from agent.lines import Framer, parse_stamp
from agent.match import first_failed, match, try_rule
from agent.model import NANOS, Entry, Format, Record
from agent.prefilter import Prefilter, make_prefilter, search_with_hyperscan, search_with_re2
from agent.records import parse
from agent.rules import RuleSet, compile_rules
from tests.strategies import NOON, SAMPLE_LOGS, SAMPLES

SHARED = """
version: 1
platforms: {bots: [slack, mattermost], sinks: []}
facts: {mode: [loud, quiet], kind: [fatal]}
events:
  Seen:
    category: events
    properties: {platform: [slack]}
"""

SEEN = "event: Seen\nquestion: How many?\nproperties: {platform: slack}\n"
HIT = "hits: [{log: 'x'}]\n"

RULES = {
    "plain": f"{SEEN}level: info\nmessage: 'event sent'\n",
    "first": f"{SEEN}priority: 1\nmessage: 'event sent to nobody'\n",
    "a-twin": f"{SEEN}message: 'twins of one word'\n",
    "b-twin": f"{SEEN}message: 'twins of '\n",
    "fields": (
        f"{SEEN}message: 'with field (?P<word>\\w+)'\n"
        "fields: {bot: 'Slack|MS Teams'}\nabsent_fields: plugin\n"
        "pair: {key: [word], closers: [{by: plain, then: count}]}\n"
    ),
    "plugins": f"{SEEN}origin: plugin\nmessage: 'of a plugin'\n",
    "klog": f"{SEEN}formats: klog\nmessage: 'reflector says'\n",
    "when": f"{SEEN}when: {{mode: [loud, unknown]}}\nmessage: 'depends on mode'\n",
    "mode": "message: 'mode is loud'\nfact: {name: mode, value: loud}\n",
    "fact": "level: fatal\nmessage: 'event sent'\nfact: {name: kind, value: fatal}\n",
}


def compile_small() -> RuleSet:
    texts = {f"{name}.yaml": f"id: {name}\n{text}{HIT}" for name, text in RULES.items()}
    return compile_rules({**texts, "shared.yaml": SHARED})


SMALL = compile_small()
RULE = {rule.id: rule for rule in SMALL.rules}


def record(
    message: str,
    *,
    level: str = "info",
    shape: Format = Format.JSON,
    plugin: bool = False,
    **fields: str,
) -> Record:
    given = {name: value.encode() for name, value in fields.items()}
    return Record(shape, level, message.encode(), given, NOON * NANOS, 1, plugin=plugin)


def check(given: Record, expected: tuple[str | None, str | None], *known: str) -> None:
    """Compare the ids of the rule that counts and of the rule that states a fact."""
    found = match(given, SMALL, frozenset(known))

    assert expected == tuple(one.rule.id if one else None for one in found)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        pytest.param(record("event sent"), ("plain", None), id="begins-so"),
        pytest.param(record("event sent to you"), ("plain", None), id="anything-may-follow"),
        pytest.param(record("no event sent"), (None, None), id="anchored-at-the-start"),
        pytest.param(record("event sent to nobody"), ("first", None), id="priority"),
        pytest.param(record("twins of one word"), ("a-twin", None), id="id-decides-between-equals"),
        pytest.param(record("event sent", level="debug"), (None, None), id="level"),
        pytest.param(record("event sent", level="fatal"), (None, "fact"), id="fact-only"),
        pytest.param(
            record("event sent to nobody", level="fatal"), ("first", "fact"), id="counts-and-states"
        ),
        pytest.param(
            record("event sent", plugin=True), (None, None), id="plugins-are-not-the-core"
        ),
        pytest.param(record("of a plugin", plugin=True), ("plugins", None), id="plugin"),
        pytest.param(record("of a plugin"), (None, None), id="the-core-is-no-plugin"),
        pytest.param(record("reflector says"), (None, None), id="format"),
        pytest.param(record("reflector says", shape=Format.KLOG), ("klog", None), id="klog"),
        pytest.param(record("with field x", bot="MS Teams"), ("fields", None), id="field"),
        pytest.param(record("with field x", bot="MS Teams!"), (None, None), id="field-in-full"),
        pytest.param(record("with field x"), (None, None), id="field-missing"),
        pytest.param(record("with field x", bot="Slack", plugin_="y"), ("fields", None), id="more"),
        pytest.param(record(""), (None, None), id="empty"),
    ],
)
def test_an_entry_belongs_to_one_rule(
    given: Record, expected: tuple[str | None, str | None]
) -> None:
    check(given, expected)


@pytest.mark.parametrize(
    ("known", "expected"), [((), "when"), (("mode=loud",), "when"), (("mode=quiet",), None)]
)
def test_what_is_known_of_the_instance_may_decide(
    known: tuple[str, ...], expected: str | None
) -> None:
    check(record("depends on mode"), (expected, None), *known)


@pytest.mark.parametrize(
    ("name", "given", "expected"),
    [
        ("plain", record("event sent"), None),
        ("klog", record("reflector says"), "formats"),
        ("plain", record("event sent", level="debug"), "level"),
        ("plain", record("event sent", plugin=True), "origin"),
        ("plain", record("else"), "message"),
        ("fields", record("with field x"), "fields.bot"),
        (
            "fields",
            Record(Format.JSON, "info", b"with field x", {"bot": b"Slack", "plugin": b""}, 0, 1),
            "absent_fields",
        ),
    ],
)
def test_the_first_failed_condition_is_named(
    name: str, given: Record, expected: str | None
) -> None:
    assert expected == first_failed(RULE[name], given)


def test_captures_are_groups_and_fields() -> None:
    found = try_rule(RULE["fields"], record("with field x", bot="Slack", other="y"))

    assert found == {"word": b"x", "bot": b"Slack"}


# --- the shortcuts ---


@pytest.mark.parametrize(
    ("literals", "text", "expected"),
    [
        ([b"abc"], b"xabcx", True),
        ([b"abc", b"d.f"], b"d.f", True),
        ([b"abc", b"d.f"], b"def", False),
        ([b"\xff["], b"\xff[", True),
        ([], b"anything", False),
    ],
)
def test_a_prefilter_looks_for_any_literal(
    literals: list[bytes], text: bytes, expected: bool
) -> None:
    assert expected is make_prefilter(literals)(text)


@pytest.mark.parametrize("search", [search_with_hyperscan, search_with_re2])
@given(
    st.lists(st.binary(min_size=1, max_size=4), min_size=1, max_size=6, unique=True),
    st.binary(max_size=40),
)
def test_both_engines_find_what_plain_search_finds(
    search: Callable[[list[bytes]], Callable[[bytes], bool]], literals: list[bytes], text: bytes
) -> None:
    expected = any(literal in text for literal in literals)

    assert expected is search(literals)(text)


def entries(name: str) -> Iterator[Entry]:
    joined = Entries()
    for number, line in enumerate(Framer().feed((SAMPLES / name).read_bytes() + b"\n"), 1):
        stamp = parse_stamp(line)
        if stamp is not None:
            yield from joined.feed(line[stamp[1] :], stamp[0], number)
    yield from joined.finish()


@pytest.mark.parametrize("name", SAMPLE_LOGS)
def test_shortcuts_change_nothing(name: str, ruleset: RuleSet, prefilter: Prefilter) -> None:
    for entry in entries(name):
        found = parse(entry)
        if found is None:
            continue
        slowly = [rule for rule in ruleset.rules if first_failed(rule, found) is None]
        counted = next((rule for rule in slowly if rule.counts), None)
        stated = next((rule for rule in slowly if not rule.counts), None)

        assert (counted, stated) == tuple(
            one.rule if one else None for one in match(found, ruleset)
        )
        assert prefilter(entry.text) or not slowly, slowly[0].id


def test_every_rule_needs_a_literal(ruleset: RuleSet) -> None:
    assert [rule.id for rule in ruleset.rules if not rule.literals] == []
