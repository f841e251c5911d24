"""Openers and closers: what counts, what it counts as, and in which order it is released."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.match import Match
from agent.model import CRASHED, NANOS, Fact
from agent.pairs import MAX_PAIR_BYTES, MAX_WAITING, Pairs
from agent.rules import RuleSet, compile_rules
from tests.strategies import NOON

SHARED = """
version: 1
platforms: {bots: [slack, mattermost, unknown], sinks: []}
vocabularies:
  words: {words: {alpha: [a], beta: [b]}}
events:
  Command executed:
    category: commands
    properties:
      platform: [slack, mattermost, unknown]
      command: [{vocabularies: [words]}, other]
      result: [ok, failed, unknown]
  Command refused:
    category: commands
    properties:
      platform: [slack, mattermost, unknown]
      reason: [ignored, unknown]
"""

HIT = "hits: [{log: 'x'}]\n"

RULES = {
    "request": """
event: Command executed
question: Which?
message: 'request (?P<key>\\w+)'
properties:
  platform: slack
  command: {capture: key, vocabulary: words}
  result: unknown
pair:
  lines: 100
  seconds: 10
  key: [key]
  closers:
    - {by: done, then: count, properties: {result: ok}}
    - {by: broken, then: wait, properties: {result: failed}}
    - {by: dropped, then: ignore}
    - {by: refused, then: count, event: Command refused, properties: {reason: ignored}}
    - {by: muted, then: wait, event: Command refused, properties: {reason: unknown}}
    - {by: reply, then: next, properties: {result: ok}}
    - {by: late, within: 4, then: count, properties: {result: failed}}
    - {by: doubted, then: suspect, event: Command refused, properties: {reason: ignored}}
    - {by: passed, then: count}
    - {by: sent, then: count, hold: 3, properties: {result: ok}}
    - by: gainsaid
      then: count
      join: {key: key}
      event: Command refused
      properties: {reason: ignored}
""",
    "sent": "message: 'sent it'\n",
    "gainsaid": "message: 'gainsaid (?P<key>\\w+)'\n",
    "attempt": """
event: Command executed
question: Which?
message: 'attempt of it'
properties: {platform: slack, command: other, result: unknown}
pair:
  result: ignore
  closers:
    - {by: reply, then: next}
""",
    "done": "message: 'it is done(?: (?P<key>\\w+))?'\n",
    "broken": "message: 'it is broken(?: (?P<key>\\w+))?'\n",
    "late": "message: 'rather late'\n",
    "doubted": "message: 'doubted it'\n",
    "passed": "message: 'passed it'\n",
    "dropped": "message: 'dropped it'\n",
    "muted": "message: 'muted it'\n",
    "refused": """
event: Command refused
question: Which?
message: 'refused it'
properties: {platform: mattermost, reason: ignored}
""",
    "silent": """
event: Command refused
question: Which?
message: 'silent one'
alone: ignore
properties: {platform: mattermost, reason: unknown}
""",
    "reply": """
event: Command executed
question: Which?
message: 'reply given'
properties: {platform: mattermost, command: other, result: unknown}
pair:
  lines: 50
  seconds: 10
  result: ignore
  closers:
    - {by: done, then: count}
""",
    "early": """
event: Command executed
question: Which?
message: 'early step'
properties: {platform: unknown, command: other, result: failed}
pair:
  lines: 100
  seconds: 10
  closers:
    - {by: [request, refused], then: pass}
""",
    "over": """
message: 'it is over'
fact: {name: kind, value: fatal}
""",
}


def compile_small() -> RuleSet:
    texts = {f"{name}.yaml": f"id: {name}\n{text}{HIT}" for name, text in RULES.items()}
    return compile_rules({**texts, "shared.yaml": SHARED + "facts: {kind: [fatal]}\n"})


RULE = {rule.id: rule for rule in compile_small().rules}


def match(name: str, *, at: float = 0, line: int = 1, **captures: str) -> Match:
    given = {key: value.encode() for key, value in captures.items()}
    return Match(RULE[name], given, int((NOON + at) * NANOS), line)


Row = tuple[str, float, int] | tuple[str, float, int, str]


def play(pairs: Pairs, rows: list[Row]) -> None:
    for row in rows:
        captures = {"key": row[3]} if len(row) > 3 else {}
        pairs.take(match(row[0], at=row[1], line=row[2], **captures), offset=row[2] * 100)


def shown(pairs: Pairs) -> list[tuple[str, ...]]:
    """Name, second and properties' values of what is released, in order."""
    released, _ = pairs.released()
    return [
        (one.event.split()[1], str(one.at_ns // NANOS - NOON), *(str(v) for _, v in one.properties))
        for one in released
    ]


def check(rows: list[Row], expected: list[str]) -> None:
    """Take the entries, end the input, and compare `event second values...` of what counts."""
    pairs = Pairs(set())
    play(pairs, rows)
    pairs.end()

    assert expected == [" ".join(one) for one in shown(pairs)]
    assert pairs.first_line is None
    assert not pairs.waiting


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        pytest.param([("request", 0, 1, "a")], ["executed 0 alpha slack unknown"], id="no-closer"),
        pytest.param([("reply", 0, 1)], [], id="no-closer-and-ignored"),
        pytest.param([("done", 0, 1)], [], id="closer-alone"),
        pytest.param(
            [("refused", 0, 1)], ["refused 0 mattermost ignored"], id="closer-alone-counts"
        ),
        pytest.param([("silent", 0, 1)], [], id="closer-alone-ignored"),
        pytest.param(
            [("request", 0, 1, "a"), ("done", 1, 2, "a")],
            ["executed 0 alpha slack ok"],
            id="count-at-the-openers-time",
        ),
        pytest.param([("request", 0, 1, "a"), ("dropped", 1, 2)], [], id="ignore"),
        pytest.param(
            [("request", 0, 1, "a"), ("broken", 1, 2, "a")],
            ["executed 0 alpha slack failed"],
            id="wait-changes",
        ),
        pytest.param(
            [("request", 0, 1, "a"), ("broken", 1, 2, "a"), ("done", 2, 3, "a")],
            ["executed 0 alpha slack ok"],
            id="wait-then-count",
        ),
        pytest.param(
            [("request", 0, 1, "a"), ("refused", 1, 2)],
            ["refused 0 slack ignored"],
            id="another-event-keeps-the-platform",
        ),
        pytest.param(
            [("request", 0, 1, "a"), ("muted", 1, 2), ("done", 2, 3, "a")],
            ["refused 0 slack unknown"],
            id="another-event-is-settled",
        ),
        pytest.param(
            [("request", 0, 1, "a"), ("muted", 1, 2)],
            ["refused 0 slack unknown"],
            id="another-event-waits",
        ),
        pytest.param(
            [("request", 0, 1, "a"), ("doubted", 1, 2)],
            ["refused 0 slack ignored"],
            id="what-was-suspected-counts-if-nothing-else-comes",
        ),
        pytest.param(
            [("request", 0, 1, "a"), ("doubted", 1, 2), ("passed", 2, 3)],
            ["refused 0 slack ignored"],
            id="an-end-that-says-nothing-confirms-what-was-suspected",
        ),
        pytest.param(
            [("request", 0, 1, "a"), ("doubted", 1, 2), ("done", 2, 3, "a")],
            ["executed 0 alpha slack ok"],
            id="what-was-suspected-is-taken-back",
        ),
        pytest.param(
            [("request", 0, 1, "a"), ("doubted", 1, 2), ("dropped", 2, 3)],
            [],
            id="what-was-suspected-is-ignored-with-the-rest",
        ),
        pytest.param(
            [("request", 0, 1, "a"), ("muted", 1, 2), ("doubted", 2, 3)],
            ["refused 0 slack unknown"],
            id="what-is-settled-cannot-be-suspected",
        ),
        pytest.param(
            [
                ("request", 0, 1, "a"),
                ("request", 1, 2, "b"),
                ("doubted", 2, 3),
                ("doubted", 3, 4),
            ],
            ["refused 0 slack ignored", "refused 1 slack ignored"],
            id="each-is-suspected-once",
        ),
        pytest.param(
            [("request", 0, 1, "a"), ("request", 1, 2, "a"), ("done", 2, 3, "a")],
            ["executed 0 alpha slack ok", "executed 1 alpha slack unknown"],
            id="the-oldest-opener-wins",
        ),
        pytest.param(
            [("request", 0, 1, "a"), ("request", 1, 2, "b"), ("done", 2, 3, "b")],
            ["executed 0 alpha slack unknown", "executed 1 beta slack ok"],
            id="keys-join",
        ),
        pytest.param(
            [("request", 0, 1, "a  b"), ("done", 2, 3, " a b ")],
            ["executed 0 other slack ok"],
            id="keys-join-over-spaces",
        ),
        pytest.param(
            [("request", 0, 1, "a"), ("done", 2, 3)],
            ["executed 0 alpha slack ok"],
            id="a-closer-without-the-key-joins",
        ),
        pytest.param(
            [("request", 0, 1, "a"), ("done", 1, 2, "b")],
            ["executed 0 alpha slack unknown"],
            id="another-key-does-not-join",
        ),
        pytest.param(
            [("early", 0, 1), ("request", 1, 2, "a")],
            ["executed 1 alpha slack failed"],
            id="pass-hands-the-result-over",
        ),
        pytest.param(
            [("early", 0, 1), ("request", 1, 2, "a"), ("done", 2, 3, "a")],
            ["executed 1 alpha slack ok"],
            id="pass-then-count",
        ),
        pytest.param(
            [("early", 0, 1)], ["executed 0 other unknown failed"], id="pass-without-closer"
        ),
        pytest.param(
            [("early", 0, 1), ("refused", 1, 2)],
            ["refused 1 mattermost ignored"],
            id="pass-to-one-without-a-pair-counts-it",
        ),
        pytest.param(
            [("request", 0, 1, "a"), ("reply", 1, 2), ("done", 2, 3)],
            ["executed 0 alpha slack ok", "executed 1 other mattermost unknown"],
            id="next-counts-and-opens",
        ),
        pytest.param(
            [("request", 0, 1, "a"), ("reply", 1, 2)],
            ["executed 0 alpha slack ok"],
            id="next-opens-its-own",
        ),
        pytest.param(
            [("request", 0, 1, "a"), ("done", 10, 2, "a")],
            ["executed 0 alpha slack ok"],
            id="just-in-time",
        ),
        pytest.param(
            [("request", 0, 1, "a"), ("done", 10.5, 2, "a")],
            ["executed 0 alpha slack unknown"],
            id="too-late-by-line-time",
        ),
        pytest.param(
            [("request", 0, 1, "a"), ("refused", 11, 2), ("done", 5, 3, "a")],
            ["executed 0 alpha slack unknown", "refused 11 mattermost ignored"],
            id="a-backward-stamp-opens-nothing-again",
        ),
        pytest.param(
            [("silent", 20, 1), ("request", 0, 2, "a"), ("done", 5, 3, "a")],
            ["executed 0 alpha slack ok"],
            id="a-stamp-before-the-opener-is-not-its-time",
        ),
        pytest.param(
            [("request", 0, 1, "a"), ("silent", 5, 2), ("late", 3, 3)],
            ["executed 0 alpha slack unknown"],
            id="a-backward-stamp-makes-nothing-younger",
        ),
        pytest.param(
            [("request", 0, 1, "a"), ("late", 4, 2)],
            ["executed 0 alpha slack failed"],
            id="within-its-own-time",
        ),
        pytest.param(
            [("request", 0, 1, "a"), ("late", 5, 2), ("done", 6, 3)],
            ["executed 0 alpha slack ok"],
            id="too-late-for-this-closer-alone",
        ),
        pytest.param(
            [("request", 0, 1, "a"), ("request", 3, 2, "b"), ("late", 5, 3)],
            ["executed 0 alpha slack unknown", "executed 3 beta slack failed"],
            id="an-opener-that-is-young-enough",
        ),
        pytest.param(
            [("request", 0, 1, "a"), ("done", 1, 101, "a")],
            ["executed 0 alpha slack ok"],
            id="just-near-enough",
        ),
        pytest.param(
            [("request", 0, 1, "a"), ("sent", 1, 2), ("gainsaid", 4, 3, "a")],
            ["refused 0 slack ignored"],
            id="what-is-held-can-be-gainsaid",
        ),
        pytest.param(
            [("request", 0, 1, "a"), ("sent", 1, 2), ("gainsaid", 4.5, 3, "a")],
            ["executed 0 alpha slack ok"],
            id="too-late-to-gainsay",
        ),
        pytest.param(
            [("request", 0, 1, "a"), ("sent", 9, 2), ("gainsaid", 12, 3, "a")],
            ["refused 0 slack ignored"],
            id="it-is-held-from-when-it-was-said",
        ),
        pytest.param(
            [("request", 0, 1, "a"), ("sent", 1, 2), ("dropped", 2, 3)],
            ["executed 0 alpha slack ok"],
            id="only-an-entry-that-names-it-gainsays",
        ),
        pytest.param(
            [
                ("request", 0, 1, "a"),
                ("request", 0, 2, "a"),
                ("sent", 1, 3),
                ("gainsaid", 2, 4, "a"),
            ],
            ["executed 0 alpha slack ok", "refused 0 slack ignored"],
            id="one-that-waits-comes-before-one-that-is-held",
        ),
        pytest.param(
            [("request", 0, 1, "a"), ("request", 0, 2, "a"), ("sent", 1, 3), ("sent", 1, 4)],
            ["executed 0 alpha slack ok", "executed 0 alpha slack ok"],
            id="each-is-sent-once",
        ),
        pytest.param(
            [("attempt", 0, 1), ("reply", 1, 2)],
            ["executed 0 other slack unknown"],
            id="next-counts-what-would-be-ignored",
        ),
        pytest.param(
            [("request", 0, 1, "a `b` c"), ("done", 1, 2, "a b 'c'")],
            ["executed 0 other slack ok"],
            id="keys-join-over-quotes",
        ),
        pytest.param(
            [("request", 0, 1, "a"), ("done", 1, 102, "a")],
            ["executed 0 alpha slack unknown"],
            id="too-many-lines",
        ),
    ],
)
def test_pairs_count(rows: list[Row], expected: list[str]) -> None:
    check(rows, expected)


def test_lines_without_a_match_end_a_pair_as_well() -> None:
    pairs = Pairs(set())
    play(pairs, [("request", 0, 1, "a")])
    pairs.pass_line(101, offset=0)
    before = shown(pairs)
    pairs.pass_line(102, offset=0)

    assert (before, shown(pairs)) == ([], [("executed", "0", "alpha", "slack", "unknown")])
    assert pairs.bound_hits == 0


def test_too_many_bytes_end_a_pair_with_its_declared_result() -> None:
    pairs = Pairs(set())
    pairs.take(match("request", key="a"), offset=7)
    pairs.pass_line(2, offset=MAX_PAIR_BYTES + 7)
    before = shown(pairs)
    pairs.pass_line(3, offset=MAX_PAIR_BYTES + 8)

    assert (before, shown(pairs)) == ([], [("executed", "0", "alpha", "slack", "unknown")])
    assert pairs.bound_hits == 1


def test_too_many_open_pairs_end_the_oldest_with_its_declared_result() -> None:
    pairs = Pairs(set())
    play(pairs, [("request", 0, 1 + n % 50, "a") for n in range(MAX_WAITING)])
    before = shown(pairs)
    play(pairs, [("request", 0, 50, "a")])

    assert (before, pairs.bound_hits) == ([], 1)
    assert shown(pairs) == [("executed", "0", "alpha", "slack", "unknown")]


def test_a_silence_ends_the_pairs_that_wait_no_longer() -> None:
    pairs = Pairs(set())
    play(pairs, [("request", 0, 1, "a")])
    pairs.end(waited_seconds=10)
    before = shown(pairs)
    pairs.end(waited_seconds=10.1)

    assert (before, len(shown(pairs))) == ([], 1)


def test_a_silence_ends_what_is_held_sooner() -> None:
    pairs = Pairs(set())
    play(pairs, [("request", 0, 1, "a"), ("sent", 1, 2)])
    patience = pairs.patience_seconds
    pairs.end(waited_seconds=3)
    before = shown(pairs)
    pairs.end(waited_seconds=3.1)

    assert (patience, before) == (3, [])
    assert shown(pairs) == [("executed", "0", "alpha", "slack", "ok")]


def test_an_open_pair_holds_back_what_came_after_it() -> None:
    pairs = Pairs(set())
    play(pairs, [("refused", 0, 1), ("request", 1, 2, "a"), ("early", 2, 3)])
    released, held_at = shown(pairs), pairs.first_line
    pairs.pass_line(500, offset=0)

    assert (released, held_at) == ([("refused", "0", "mattermost", "ignored")], 2)
    assert [one[1] for one in shown(pairs)] == ["1", "2"]


def test_nothing_is_released_without_the_closers_that_acted_on_it() -> None:
    # Read again from line 2, the closer in line 3 would close the second opener instead.
    pairs = Pairs(set())
    play(pairs, [("request", 0, 1, "a"), ("request", 1, 2, "a"), ("done", 2, 3, "a")])

    assert (shown(pairs), pairs.first_line) == ([], 1)
    play(pairs, [("done", 2, 4, "a")])
    assert (len(shown(pairs)), pairs.first_line) == (2, None)


def test_nothing_is_released_without_a_closer_that_waits_itself() -> None:
    pairs = Pairs(set())
    play(pairs, [("request", 0, 1, "a"), ("reply", 1, 2)])

    assert (shown(pairs), pairs.first_line) == ([], 1)


def test_a_chain_of_pairs_does_not_hold_for_ever() -> None:
    pairs = Pairs(set())
    pairs.take(match("request", key="a", line=1), offset=0)
    pairs.take(match("request", key="b", line=2), offset=1)
    pairs.take(match("done", key="a", line=3), offset=2)
    pairs.take(match("request", key="a", line=4), offset=MAX_PAIR_BYTES)
    pairs.take(match("done", key="b", line=5), offset=MAX_PAIR_BYTES)
    before = shown(pairs)
    pairs.pass_line(6, offset=MAX_PAIR_BYTES + 1)

    assert (before, len(shown(pairs)), pairs.first_line) == ([], 2, 4)


def test_facts_are_released_in_line_order() -> None:
    pairs = Pairs(set())
    pairs.state(Fact("level", "debug"), line=1, offset=0)
    play(pairs, [("over", 0, 1), ("request", 0, 2, "a"), ("over", 0, 3)])
    _, before = pairs.released()
    pairs.end()
    _, after = pairs.released()

    assert ([Fact("level", "debug"), Fact("kind", "fatal")], [Fact("kind", "fatal")]) == (
        before,
        after,
    )


@pytest.mark.parametrize(("count_crashes", "expected"), [(True, [CRASHED]), (False, [])])
def test_a_fatal_entry_counts_itself_only_where_there_is_no_status(
    count_crashes: bool, expected: list[str]
) -> None:
    pairs = Pairs(set(), count_crashes=count_crashes)
    play(pairs, [("over", 0, 1)])
    observations, _ = pairs.released()

    assert expected == [one.event for one in observations]


names = st.sampled_from(sorted(RULES))
plays = st.lists(
    st.tuples(names, st.integers(-1, 4), st.integers(1, 40), st.sampled_from("ab")), max_size=30
)


def rows_of(moves: list[tuple[str, int, int, str]]) -> list[Row]:
    rows: list[Row] = []
    at = line = 0
    for name, seconds, lines, key in moves:
        at, line = at + seconds, line + lines
        rows.append((name, at, line, key))
    return rows


@given(plays)
def test_each_entry_counts_at_most_once_and_in_line_order(
    moves: list[tuple[str, int, int, str]],
) -> None:
    rows = rows_of(moves)
    pairs = Pairs(set())
    play(pairs, rows)
    pairs.end()
    found, _ = pairs.released()
    times = [int((NOON + row[1]) * NANOS) for row in rows]
    at = 0
    for one in found:
        at = times.index(one.at_ns, at) + 1


@given(plays, st.integers(0, 30))
def test_the_order_of_release_does_not_change_what_counts(
    moves: list[tuple[str, int, int, str]], cut: int
) -> None:
    rows = rows_of(moves)
    whole, often = Pairs(set()), Pairs(set())
    play(whole, rows)
    whole.end()
    found = []
    for row in rows:
        play(often, [row])
        if row[2] % 3 != cut % 3:
            found += often.released()[0]
    often.end()

    assert whole.released()[0] == found + often.released()[0]
