"""One container instance read in any pieces, over any reconnections and crashes: the same total."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

import pytest
from attrs import define, field
from hypothesis import example, given
from hypothesis import strategies as st

from agent.aggregate import Instance
from agent.lines import MAX_LINE_BYTES, Framer, parse_stamp
from agent.model import (
    BREAK,
    NANOS,
    Continuity,
    Cursor,
    Fact,
    Format,
    Gap,
    Observation,
    Released,
)
from agent.pairs import MAX_PAIR_BYTES
from agent.prefilter import Everything, Prefilter, make_prefilter
from agent.reader import Reader
from agent.resume import Trail, keep_breaks
from agent.rules import RuleSet, compile_rules
from tests.strategies import (
    NOON,
    SAMPLE_LOGS,
    SAMPLES,
    Kubelet,
    chunks,
    cuts,
    render,
    stamp,
    stamped,
    stamps,
)

KEY = b"key"

RULES = """
id: asked
event: Asked
question: How many questions are asked?
message: 'asked (?P<key>\\w+)'
optional_fields: [bot]
enables: true
properties: {platform: mattermost, result: unknown}
pair:
  lines: 6
  seconds: 3
  key: [key]
  closers:
    - {by: answered, then: count, properties: {result: ok}}
    - {by: failed, then: wait, properties: {result: failed}}
    - {by: moved, then: pass}
hits: [{log: 'time="2026-01-01T12:00:00Z" level=info msg="asked a"'}]
---
id: answered
event: Answered
question: How many answers belong to no question?
message: 'answered(?: (?P<key>\\w+))?'
properties: {platform: mattermost}
hits: [{log: 'time="2026-01-01T12:00:00Z" level=info msg="answered a"'}]
---
id: failed
message: 'failed (?P<key>\\w+)'
hits: [{log: 'time="2026-01-01T12:00:00Z" level=info msg="failed a"'}]
---
id: moved
event: Asked
question: How many questions are asked?
message: 'moved here'
properties: {platform: slack, result: unknown}
pair:
  lines: 9
  seconds: 5
  closers:
    - {by: answered, then: count}
hits: [{log: 'time="2026-01-01T12:00:00Z" level=info msg="moved here"'}]
---
id: kinds
message: '(?s:.*)'
level: fatal
literals: [FATA, fatal]
fact: {name: kind, value: fatal}
hits: [{log: 'time="2026-01-01T12:00:00Z" level=fatal msg="it is over"'}]
"""

SHARED = """
version: 1
platforms: {bots: [slack, mattermost], sinks: []}
facts: {kind: [fatal]}
events:
  Asked:
    category: commands
    properties: {platform: [slack, mattermost], result: [ok, failed, unknown]}
  Answered:
    category: commands
    properties: {platform: [slack, mattermost]}
"""


def compile_small(rules: str) -> RuleSet:
    texts = {f"{n}.yaml": text for n, text in enumerate(rules.split("---\n"))}
    return compile_rules({**texts, "shared.yaml": SHARED})


SMALL = compile_small(RULES)
SMALL_PREFILTER = make_prefilter(SMALL.literals)
PATIENT = compile_small(RULES.replace("lines: 6", "lines: 9999"))
"""Whose questions wait for an answer over very many lines."""


@define
class Total:
    """What was folded, in the order in which it was released."""

    observations: list[Observation] = field(factory=list)
    facts: list[Fact] = field(factory=list)
    gaps: list[Gap] = field(factory=list)
    lines: int = 0
    matched: int = 0

    def fold(self, released: Released) -> None:
        self.observations += released.observations
        self.facts += released.facts
        self.gaps += released.gaps
        self.lines += released.lines
        self.matched += released.matched


@define
class Reading:
    """A reader with what is committed of it: the total, the Cursor and the instance's facts."""

    ruleset: RuleSet
    prefilter: Prefilter
    total: Total = field(factory=Total)
    cursor: Cursor = field(factory=Cursor)
    instance: Instance = field(factory=Instance)
    reader: Reader = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.start()

    def start(self) -> int:
        """Begin as after a crash, from what is committed; return the second to ask from."""
        self.reader = Reader(
            self.ruleset,
            self.prefilter,
            key=KEY,
            cursor=self.cursor,
            enabled=self.instance.known,
            debug_seen=self.instance.debug,
        )
        return self.cursor.since_seconds

    def commit(self) -> None:
        """Fold what is released, as a caller does without an `await` between."""
        released = self.reader.take()
        self.total.fold(released)
        self.instance.learn(released)
        self.cursor = self.reader.cursor()


def read_at_once(kubelet: Kubelet, ruleset: RuleSet, prefilter: Prefilter) -> Total:
    reading = Reading(ruleset, prefilter)
    reading.reader.feed(reply(kubelet, 0))
    reading.reader.finish()
    reading.commit()
    return reading.total


def reply(kubelet: Kubelet, since_seconds: int) -> bytes:
    return b"".join(line + b"\n" for line in kubelet.reply(since_seconds))


Step = tuple[str, int]
steps = st.lists(
    st.tuples(
        st.sampled_from(["read", "read", "read", "commit", "reopen", "crash"]), st.integers(0, 4000)
    ),
    max_size=14,
)


def read_with(
    kubelet: Kubelet, ruleset: RuleSet, prefilter: Prefilter, plan: Sequence[Step]
) -> Total:
    """Follow the plan: read so many bytes, commit, lose the connection, lose the process."""
    reading = Reading(ruleset, prefilter)
    rest = reply(kubelet, 0)
    for what, size in plan:
        match what:
            case "read":
                reading.reader.feed(rest[:size])
                rest = rest[size:]
            case "commit":
                reading.commit()
            case "reopen":
                rest = reply(kubelet, reading.reader.reopen())
            case _:
                rest = reply(kubelet, reading.start())
    reading.reader.feed(rest)
    reading.reader.finish()
    reading.commit()
    return reading.total


# --- samples ---


@pytest.fixture(scope="module", params=SAMPLE_LOGS)
def sample(request: pytest.FixtureRequest) -> Kubelet:
    found = Kubelet()
    for line in Framer().feed((SAMPLES / request.param).read_bytes() + b"\n"):
        stamp = parse_stamp(line)
        if stamp is not None:
            found.lines.append((stamp[0], line))
    return found


def test_a_sample_in_any_pieces_gives_the_same_total(
    sample: Kubelet, ruleset: RuleSet, prefilter: Prefilter
) -> None:
    expected = read_at_once(sample, ruleset, prefilter)
    size = len(reply(sample, 0))
    for piece in (size // 50 + 1, 9000, 1 << 20):
        plan = [(what, piece) for _ in range(size // piece + 1) for what in ("read", "commit")]

        assert expected == read_with(sample, ruleset, prefilter, plan)


def test_a_sample_with_lost_connections_and_crashes_gives_the_same_total(
    sample: Kubelet, ruleset: RuleSet, prefilter: Prefilter
) -> None:
    expected = read_at_once(sample, ruleset, prefilter)
    size = len(reply(sample, 0))
    for count in (3, 12):
        piece = size // count + 7
        for end in ("reopen", "crash"):
            plan = [("read", piece), ("commit", 0), ("read", piece // 2), (end, 0)] * count

            assert expected == read_with(sample, ruleset, prefilter, plan)


def every_crash(kubelet: Kubelet, ruleset: RuleSet, prefilter: Prefilter) -> Iterator[Total]:
    """Read on after a crash at each commit that moved the Cursor, as far as lines tell apart."""
    reading = Reading(ruleset, prefilter)
    for line in kubelet.reply(0):
        before = reading.cursor.total
        reading.reader.feed(line + b"\n")
        reading.commit()
        if reading.cursor.total == before:
            continue
        again = Reading(ruleset, prefilter, cursor=reading.cursor)
        again.instance.learn(Released(facts=tuple(reading.total.facts)))
        again.start()
        again.total.observations += reading.total.observations
        again.total.facts += reading.total.facts
        again.total.lines, again.total.matched = reading.total.lines, reading.total.matched
        again.reader.feed(reply(kubelet, reading.cursor.since_seconds))
        again.reader.finish()
        again.commit()
        yield again.total


@pytest.mark.timeout(30)
@pytest.mark.parametrize("name", ["v0.12.4/pod.log", "v1.14.0-text/pod.log", "v0.11.0/info.log"])
def test_a_sample_cut_at_each_line_gives_the_same_total(
    name: str, ruleset: RuleSet, prefilter: Prefilter
) -> None:
    lines = [
        (stamp[0], line)
        for line in Framer().feed((SAMPLES / name).read_bytes())
        if (stamp := parse_stamp(line))
    ]
    kubelet = Kubelet(lines)
    expected = read_at_once(kubelet, ruleset, prefilter)
    for number, total in enumerate(every_crash(kubelet, ruleset, prefilter)):
        assert expected == total, f"crash {number}"


def test_samples_are_worth_reading(sample: Kubelet, ruleset: RuleSet, prefilter: Prefilter) -> None:
    total = read_at_once(sample, ruleset, prefilter)

    assert (len(sample.lines), []) == (total.lines, total.gaps)
    assert total.matched > 0 or total.facts


def test_the_prefilter_changes_nothing(
    sample: Kubelet, ruleset: RuleSet, prefilter: Prefilter
) -> None:
    assert read_at_once(sample, ruleset, Everything()) == read_at_once(sample, ruleset, prefilter)


# --- generated logs ---


def logfmt(message: str, level: str = "info") -> bytes:
    return render(level, message, {"component": "x"}, at=NOON, shape=Format.LOGFMT)


ENTRIES = [
    *[logfmt(f"{what} {key}") for what in ("asked", "answered", "failed") for key in "ab"],
    logfmt("answered"),
    logfmt("moved here"),
    logfmt("nothing of note", "debug"),
    logfmt("it is over", "fatal"),
    b"noise",
    b"panic: x",
    b"goroutine 1 [running]:",
    b"2026/01/01 12:00:00 while x:",
    b"\t* asked b",
    *render("debug", "Response: a\nasked a\nb", {}, at=NOON, shape=Format.TEXT).split(b"\n"),
    render("info", "asked a", {}, at=NOON - 60, shape=Format.TEXT),
    render("info", "answered a", {}, at=NOON + 60, shape=Format.TEXT),
]


@st.composite
def logs(draw: st.DrawFn) -> Kubelet:
    texts = draw(st.lists(st.sampled_from(ENTRIES), max_size=30))
    return stamped(zip(draw(stamps(len(texts))), texts, strict=True))


def alternating(*texts: str) -> Kubelet:
    return stamped((NOON * NANOS + at, logfmt(text)) for at, text in enumerate(texts))


@given(logs(), steps)
@example(
    alternating("asked a", "asked a", "answered a", "answered a"),
    [("read", 280), ("commit", 0), ("crash", 0)],
)
@example(
    alternating("asked a", "failed a", "moved here", "nothing of note", "answered b"),
    [("read", 280), ("commit", 0), ("reopen", 0)],
)
def test_any_pieces_connections_and_crashes_give_the_same_total(
    kubelet: Kubelet, plan: list[Step]
) -> None:
    expected = read_at_once(kubelet, SMALL, SMALL_PREFILTER)

    assert expected == read_with(kubelet, SMALL, SMALL_PREFILTER, plan)


@given(logs())
def test_a_crash_after_any_line_gives_the_same_total(kubelet: Kubelet) -> None:
    expected = read_at_once(kubelet, SMALL, SMALL_PREFILTER)
    for total in every_crash(kubelet, SMALL, SMALL_PREFILTER):
        assert expected == total


@given(logs(), cuts)
def test_what_is_taken_is_a_prefix(kubelet: Kubelet, cuts: list[int]) -> None:
    whole = read_at_once(kubelet, SMALL, SMALL_PREFILTER)
    reading = Reading(SMALL, SMALL_PREFILTER)
    for piece in chunks(reply(kubelet, 0), cuts):
        reading.reader.feed(piece)
        reading.commit()
        seen = reading.total

        assert whole.observations[: len(seen.observations)] == seen.observations
        assert whole.facts[: len(seen.facts)] == seen.facts
        assert seen.lines == reading.cursor.total <= reading.reader.lines_read


@given(logs())
def test_without_stamps_the_same_is_counted(kubelet: Kubelet) -> None:
    # Equal times, so that the entry's own time and the API's stamp end pairs alike.
    texts = [line.split(b" ", 1)[1] for _, line in kubelet.lines if b"[" not in line]
    same = stamped((NOON * NANOS, text) for text in texts)
    total = Total()
    reader = Reader(SMALL, SMALL_PREFILTER, stamped=False)
    for text in texts:
        reader.feed(text + b"\n")
        total.fold(reader.take())
    reader.finish()
    total.fold(reader.take())
    expected = read_at_once(same, SMALL, SMALL_PREFILTER)

    assert (expected.observations, expected.lines) == (total.observations, total.lines)


def test_without_stamps_a_line_is_of_the_second_that_its_entry_says() -> None:
    reader = Reader(SMALL, SMALL_PREFILTER, stamped=False)
    counted = []
    for second in range(3):
        text = render("info", "x", {}, at=NOON + second, shape=Format.LOGFMT)
        reader.feed(text + b"\n")
        counted.append(reader.take().lines_at)

    assert counted == [{NOON + second: 1} for second in range(3)]


# --- particulars ---


def read(*texts: bytes, step: int = NANOS // 10) -> tuple[Kubelet, Reading]:
    kubelet = stamped((NOON * NANOS + n * step, text) for n, text in enumerate(texts))
    reading = Reading(SMALL, SMALL_PREFILTER)
    reading.reader.feed(reply(kubelet, 0))
    reading.commit()
    return kubelet, reading


def test_an_open_pair_holds_back_what_came_after_it() -> None:
    _, reading = read(logfmt("answered a"), logfmt("asked a"), logfmt("answered b"))
    held = reading.cursor.total
    reading.reader.idle(60)
    reading.commit()

    assert (held, reading.cursor.total) == (1, 3)


def test_an_open_entry_holds_the_cursor() -> None:
    _, reading = read(logfmt("answered a"), b"2026/01/01 12:00:00 while x:", b"\t* y")

    assert (reading.cursor.total, reading.reader.is_holding) == (1, True)


def test_an_answer_that_may_go_on_is_taken_after_a_short_silence() -> None:
    _, reading = read(
        logfmt("asked a"), render("info", "answered a", {}, at=NOON, shape=Format.TEXT)
    )
    patience = reading.reader.patience_seconds
    reading.reader.idle(0.5)
    reading.commit()

    assert (patience, reading.cursor.total) == (0, 2)
    assert [one.properties for one in reading.total.observations] == [
        (("platform", "mattermost"), ("result", "ok"))
    ]


def test_a_closer_of_many_lines_closes_by_its_first_one() -> None:
    answer = "answered a\n" + "more\n" * 20 + "end"
    lines = render("info", answer, {}, at=NOON, shape=Format.TEXT).split(b"\n")
    _, reading = read(logfmt("asked a"), *lines, step=1)
    before = reading.total.observations[:]
    reading.reader.finish()
    reading.commit()

    assert (
        before,
        [one.properties for one in reading.total.observations],
    ) == ([], [(("platform", "mattermost"), ("result", "ok"))])


def test_a_short_silence_ends_no_pair() -> None:
    _, reading = read(logfmt("asked a"))
    patience = reading.reader.patience_seconds
    reading.reader.idle(patience)
    reading.commit()

    assert (patience, reading.cursor.total) == (3, 0)


def test_what_a_pair_holds_is_bounded_in_bytes() -> None:
    size = 200_000
    lines = [logfmt("asked a"), *[b"x" * size] * 5]
    _, reading = read(*lines)
    assert reading.cursor.total == 0

    reading = Reading(PATIENT, make_prefilter(PATIENT.literals))
    kubelet = stamped(
        (NOON * NANOS, text)
        for text in [logfmt("asked a"), *[b"x" * size] * (MAX_PAIR_BYTES // size + 1)]
    )
    reading.reader.feed(reply(kubelet, 0))
    reading.commit()
    reading.reader.reopen()

    assert (len(kubelet.lines), 1) == (reading.cursor.total, reading.reader.bound_hits)
    assert [(one.event, one.properties) for one in reading.total.observations] == [
        ("Asked", (("platform", "mattermost"), ("result", "unknown")))
    ]


@pytest.mark.parametrize("shape", [Format.LOGFMT, Format.TEXT])
@pytest.mark.parametrize("together", [False, True])
@pytest.mark.parametrize("more", [0, 1])
def test_a_pair_holds_as_many_bytes_as_it_may_and_not_one_more(
    shape: Format, more: int, *, together: bool
) -> None:
    """Its opener's among them, which of text is still open when it is committed."""
    texts = [render("info", "asked a", {}, at=NOON, shape=shape)]
    size, empty = len(stamp(0)) + 1 + len(texts[0]), len(stamp(0)) + 1 + len(logfmt(""))
    while size < MAX_PAIR_BYTES:
        length = min(200_000, MAX_PAIR_BYTES + more - size - empty)
        texts.append(logfmt("x" * length))
        size += empty + length
    before = [logfmt("answered b")] * 9
    lines = stamped((NOON * NANOS, text) for text in [*before, *texts]).reply(0)
    reading = Reading(PATIENT, make_prefilter(PATIENT.literals))
    for piece in [lines[:9], lines[9:]] if together else [[line] for line in lines]:
        reading.reader.feed(b"".join(line + b"\n" for line in piece))
        reading.commit()

    assert (size, reading.reader.bound_hits) == (MAX_PAIR_BYTES + more, more)
    assert (reading.reader.is_holding, reading.total.matched) == (not more, 9 + more)


def test_nothing_is_kept_of_lines_that_were_released() -> None:
    kubelet, reading = read(logfmt("answered a"), logfmt("asked a"))
    kubelet.write((NOON + 1) * NANOS, logfmt("answered a"))
    reading.reader.feed(reply(kubelet, reading.reader.reopen()))
    reading.commit()
    waiting = reading.reader._unreleased

    assert (reading.total.lines, reading.reader._held) == (3, ())
    assert (waiting.lines, waiting._offsets, [*waiting._matched]) == ([], {}, [])
    assert reading.reader._framer.whole == b""


def test_a_hit_of_a_rule_is_told_once() -> None:
    reading = Reading(SMALL, SMALL_PREFILTER)
    told = []
    for at, text in enumerate(["answered a", "x", "answered b"]):
        reading.reader.feed(reply(stamped([(NOON * NANOS + at, logfmt(text))]), 0))
        told.append(dict(reading.reader.take().hits))

    assert told == [{"answered": 1}, {}, {"answered": 1}]


def test_what_is_read_before_it_is_reopened_is_read_by_the_rules_that_it_had() -> None:
    """Of many lines at once those that may matter are chosen by the same rules."""
    other = compile_small(RULES.replace("answered", "replied"))
    lines = stamped((NOON * NANOS + n, logfmt("answered a")) for n in range(9))
    reading = Reading(SMALL, SMALL_PREFILTER)
    counted = []
    for _ in range(2):
        reading.reader.change_rules(other, make_prefilter(other.literals))
        reading.reader.feed(reply(lines, 0))
        counted.append(reading.reader.take().matched)
        reading.reader.reopen()
        reading.reader.abandon()

    assert counted == [9, 0]


def test_what_was_cut_or_was_no_line_stays_known() -> None:
    torn = b'{"level":"info","msg":"asked a'
    _, reading = read(logfmt("answered a"), b"x" * MAX_LINE_BYTES, b"\t* y", torn)
    reading.reader.feed(b"no stamp\n")
    before = reading.reader.cut, reading.reader.noise
    reading.reader.reopen()

    assert before == (reading.reader.cut, reading.reader.noise) == (1, 4)


@pytest.mark.parametrize(
    "noise",
    [
        b"unable to retrieve container logs for containerd://" + b"0" * 64,
        b"rpc error: code = Unknown",
        logfmt("answered a"),
    ],
)
def test_text_without_a_stamp_is_noise_and_moves_nothing(noise: bytes) -> None:
    _, reading = read(logfmt("answered a"))
    before = reading.cursor
    reading.reader.feed(noise + b"\n")
    reading.commit()

    assert (before, 1, 1) == (reading.cursor, reading.total.lines, reading.reader.noise)


def test_an_unterminated_last_line_counts_only_at_the_end() -> None:
    kubelet = stamped([(NOON * NANOS, logfmt("answered a"))])
    reading = Reading(SMALL, SMALL_PREFILTER)
    reading.reader.feed(reply(kubelet, 0)[:-1])
    reading.commit()
    before = reading.total.lines
    reading.reader.finish()
    reading.commit()

    assert (before, reading.total.lines) == (0, 1)


def test_a_panic_at_the_end_lacks_its_goroutines(ruleset: RuleSet, prefilter: Prefilter) -> None:
    reading = Reading(ruleset, prefilter)
    reading.reader.feed(reply(stamped([(NOON * NANOS, b"panic: boom")]), 0))
    reading.reader.idle(60)
    reading.commit()
    before = reading.total.facts[:]
    reading.reader.feed(reply(stamped([(NOON * NANOS, b"panic: boom")]), 0))
    reading.reader.finish()
    reading.commit()

    assert (before, reading.total.facts) == ([], [Fact("kind", "panic")])


def test_an_unterminated_last_line_is_recognised_again() -> None:
    kubelet = stamped([(NOON * NANOS, logfmt("answered a")), (NOON * NANOS, logfmt("answered"))])
    reading = Reading(SMALL, SMALL_PREFILTER)
    for _ in range(2):
        reading.reader.feed(reply(kubelet, 0)[:-1])
        reading.reader.finish()
        reading.commit()
        reading.reader.reopen()

    assert (reading.total.lines, reading.total.gaps) == (2, [])


@pytest.mark.parametrize(("second", "end"), [(9, 9), (3, 4)])
def test_a_rotation_past_the_cursor_is_a_gap_from_the_last_line_to_the_first(
    second: int, end: int
) -> None:
    """It ends where it begins if that line is stamped before the last one."""
    kubelet, reading = read(*[logfmt("answered a")] * 5, step=NANOS)
    kubelet.write((NOON + second) * NANOS, logfmt("answered b"))
    kubelet.rotate(5)
    reading.reader.feed(reply(kubelet, reading.reader.reopen()))
    reading.reader.finish()
    reading.commit()

    assert [Gap("rotated", (NOON + 4) * NANOS, (NOON + end) * NANOS)] == reading.total.gaps
    assert reading.total.lines == 6


def test_a_break_stands_between_what_ended_the_lines_before_and_behind_it() -> None:
    kubelet, reading = read(logfmt("it is over", "fatal"))
    kubelet.write((NOON + 1) * NANOS, logfmt("it is over", "fatal"))
    kubelet.rotate(1)
    reading.reader.feed(reply(kubelet, reading.reader.reopen()))
    reading.reader.finish()
    reading.commit()

    assert reading.total.facts == [Fact("kind", "fatal"), BREAK, Fact("kind", "fatal")]


def test_a_question_that_was_open_at_a_gap_is_not_answered_behind_it() -> None:
    question = render("info", "asked a", {}, at=NOON, shape=Format.TEXT)
    kubelet, reading = read(logfmt("answered b"), question)
    kubelet.write((NOON + 1) * NANOS, logfmt("answered a"))
    kubelet.rotate(2)
    reading.reader.feed(reply(kubelet, reading.reader.reopen()))
    reading.reader.finish()
    reading.commit()

    asked = [one.properties for one in reading.total.observations if one.event == "Asked"]
    assert asked == [(("platform", "mattermost"), ("result", "unknown"))]


@pytest.mark.parametrize("folded", [0, 3])
@pytest.mark.parametrize("dropped", [0, 1, 2, 3])
@pytest.mark.parametrize("follows", [True, False], ids=["more follows", "nothing follows"])
def test_what_waits_is_counted_although_its_file_is_gone(
    folded: int, dropped: int, *, follows: bool
) -> None:
    """A question and two lines behind it wait; the file loses some of them, or all."""
    waiting = [logfmt("asked a"), logfmt("x"), logfmt("y")]
    kubelet, reading = read(*[logfmt("answered b")] * folded, *waiting)
    assert reading.cursor.total == folded
    kubelet.rotate(folded + dropped)
    if follows:
        kubelet.write((NOON + 1) * NANOS, logfmt("answered a"))
    reading.reader.feed(reply(kubelet, reading.reader.reopen()))
    reading.reader.finish()
    reading.commit()

    is_lost = dropped == len(waiting)
    result = "unknown" if is_lost or not follows else "ok"
    asked = [one.properties for one in reading.total.observations if one.event == "Asked"]
    assert asked == [(("platform", "mattermost"), ("result", result))]
    assert reading.total.lines == folded + len(waiting) + follows
    # What waited was counted, so only what came after it is gone; of that the first line tells.
    last_ns = NOON * NANOS + (folded + len(waiting) - 1) * NANOS // 10
    gap = Gap("rotated", last_ns, (NOON + 1) * NANOS)
    assert reading.total.gaps == [gap] * (is_lost and follows)


def test_what_waits_survives_attempts_that_bring_nothing() -> None:
    kubelet, reading = read(logfmt("answered b"), logfmt("asked a"))
    kubelet.rotate(2)
    for _ in range(3):
        reading.reader.reopen(accept_gap=False)
        reading.reader.feed(b"no stamp\n")
        reading.reader.settle()
    reading.reader.abandon()
    reading.commit()

    assert (reading.total.lines, [one.event for one in reading.total.observations]) == (
        2,
        ["Answered", "Asked"],
    )
    assert not reading.total.gaps


@pytest.mark.parametrize(("dropped", "told"), [(0, 0), (3, 1), (5, 0)])
def test_a_rotation_that_lost_nothing_is_told_once(dropped: int, told: int) -> None:
    kubelet, reading = read(*[logfmt("answered a")] * 5)
    kubelet.rotate(dropped)
    reading.reader.feed(reply(kubelet, reading.reader.reopen()))
    reading.reader.settle()

    assert [told, 0] == [reading.reader.take().rotations for _ in range(2)]


def test_an_empty_log_is_no_gap_before_its_first_line() -> None:
    kubelet, reading = read(*[logfmt("answered a")] * 5)
    kubelet.rotate(5)
    reading.reader.feed(reply(kubelet, reading.reader.reopen()))
    reading.reader.settle()
    reading.commit()
    undecided = (reading.reader.is_proved, reading.total.gaps[:])
    kubelet.write((NOON + 9) * NANOS, logfmt("answered b"))
    reading.reader.feed(reply(kubelet, reading.reader.reopen()))
    reading.reader.finish()
    reading.commit()

    assert undecided == (False, [])
    assert (reading.total.lines, [gap.reason for gap in reading.total.gaps]) == (6, ["rotated"])


def test_a_head_that_does_not_fit_is_held_back_where_it_may_be_anothers() -> None:
    _, reading = read(*[logfmt("answered a")] * 5)
    other = stamped([(NOON * NANOS + 5, logfmt("answered b"))] * 3)
    reading.reader.reopen(accept_gap=False)
    reading.reader.feed(reply(other, 0))
    suspected = reading.reader.gap_suspected
    reading.commit()

    assert (suspected, reading.total.lines, reading.total.gaps) == (True, 5, [])


def test_debug_is_stated_once_and_only_of_the_core() -> None:
    plugin = render("debug", "x", {"plugin": "y", "logger": "stdout"}, at=NOON, shape=Format.LOGFMT)
    _, reading = read(plugin, logfmt("level=debug"), logfmt("a", "debug"), logfmt("b", "debug"))

    assert [Fact("level", "debug")] == reading.total.facts


def test_a_debug_line_of_a_plugin_says_nothing_of_the_core() -> None:
    plugin = render("debug", "x", {"plugin": "y", "logger": "stdout"}, at=NOON, shape=Format.LOGFMT)
    _, reading = read(plugin)

    assert reading.total.facts == []


# --- two instances of a container ---


def takes_over(after: Reader, before: Reader, place: Cursor, log: bytes) -> bool:
    """Whether a reader of this log takes over another one's place, however the log is cut."""
    cuts = (0, len(log) // 3, len(log) // 2, len(log))
    claim = after.claim(place)
    for start, end in pairwise(cuts):
        claim.feed(log[start:end])
    return bool(claim.answer()) and after.take_over(before, place)


@pytest.mark.parametrize("breaks_off", [False, True])
def test_a_place_in_the_next_instances_log_is_taken_over(*, breaks_off: bool) -> None:
    """Its stream was taken for the log of the one before, and a question in it waits."""
    old, before = read(logfmt("answered a"), logfmt("answered b"))
    texts = [logfmt("a", "debug"), *map(logfmt, ["asked a", "answered a", "asked b", "x", "y"])]
    new = stamped((NOON * NANOS + n, text) for n, text in enumerate(texts, 100))
    for _attempt in range(2):
        before.reader.feed(reply(new, before.reader.reopen()))
        before.reader.settle()
        before.commit()
    if breaks_off:
        before.reader.reopen()  # an attempt that brings nothing
    taken = before.cursor.total
    after = Reading(SMALL, SMALL_PREFILTER)
    log = b"no stamp\n" * 3 + reply(new, 0)
    is_taken = takes_over(after.reader, before.reader, before.reader.cursor(), log)
    before.reader.forget()
    # What its lines had told is known to the other now.
    known = set(after.reader._enabled), after.reader._debug_seen
    new.write((NOON + 1) * NANOS, logfmt("answered b"))
    old.write((NOON + 1) * NANOS, logfmt("answered c"))
    for reading, kubelet in ((after, new), (before, old)):
        reading.reader.feed(reply(kubelet, reading.reader.reopen(accept_gap=False)))
        reading.reader.finish()
        reading.commit()

    assert (is_taken, taken) == (True, 2 + 3)
    assert (before.total.lines, after.total.lines) == (2 + 3 + 1, 4)
    assert (before.cursor.total, after.cursor.total) == (2 + 1, 2 + 3 + 4)
    events = [[one.event for one in each.total.observations] for each in (before, after)]
    assert events == [["Answered", "Answered", "Asked", "Answered"], ["Asked"]]
    assert [len(before.total.gaps), len(after.total.gaps)] == [1, 0]
    assert known == ({"mattermost", "level=debug"}, True)


def test_each_of_several_later_instances_takes_its_own_place() -> None:
    """As if three restarts stood behind one late status."""
    old, before = read(*map(logfmt, ["answered a", "answered b"]))
    before.reader.idle(60)
    before.commit()
    logs = []
    for second in (100, 200, 300):
        times = ((NOON + second) * NANOS + n for n in range(3))
        log = stamped((at, logfmt(f"answered {second}")) for at in times)
        logs.append(log)
        before.reader.feed(reply(log, before.reader.reopen()))
        before.reader.idle(60)
        before.commit()
    # State keeps them, so that an agent that is started again can tell as well.
    breaks = keep_breaks({"key": before.reader.breaks}, {"key"})["key"]
    again = Reader(SMALL, SMALL_PREFILTER, key=KEY, cursor=before.reader.cursor(), breaks=breaks)
    for log in logs:
        after = Reading(SMALL, SMALL_PREFILTER)
        places = again.places()
        taken = [
            place.total
            for place in places
            if takes_over(after.reader, again, place, reply(log, place.since_seconds))
        ]
        left = {place.total for place in places} - {place.total for place in again.places()}

        assert places == sorted(places, key=lambda place: -place.total)
        assert [again.part_of(place) for place in again.places()] == [*range(len(places) - 1)][::-1]
        assert [*left] == taken == [after.reader.cursor().total]
        assert not takes_over(after.reader, again, after.reader.cursor(), reply(log, 0))
    again.reopen(accept_gap=False)
    again.feed(reply(old, 0))

    assert [place.total for place in again.places()] == [2]
    assert (again.is_proved, again.gap_suspected, again.lines_read) == (True, False, 2)


def test_what_was_held_at_a_break_is_before_it() -> None:
    """It is counted at once, because its file is gone; that file may be another instance's."""
    old, before = read(*map(logfmt, ["answered a", "asked b"]))
    before.commit()
    new = stamped((NOON * NANOS + 100 + n, logfmt("answered x")) for n in range(3))
    before.reader.feed(reply(new, before.reader.reopen()))
    before.reader.settle()
    before.reader.idle(60)
    before.commit()
    after = Reading(SMALL, SMALL_PREFILTER)
    is_taken = takes_over(after.reader, before.reader, before.reader.places()[0], reply(new, 0))
    before.reader.forget()
    before.reader.feed(reply(old, before.reader.reopen(accept_gap=False)))

    before.reader.finish()
    before.commit()

    assert is_taken
    assert (before.total.lines, before.cursor.total, len(before.total.gaps)) == (2 + 3, 2, 1)


@pytest.mark.parametrize("left", [1, 2])
def test_a_place_is_taken_over_from_a_log_that_was_rotated(left: int) -> None:
    # Of a line that stands twice, the reply's end alone tells which one is left.
    kubelet, before = read(*(logfmt(f"answered {word}") for word in "aba"), step=0)
    before.reader.idle(60)
    before.commit()
    kubelet.rotate(3 - left)
    after = Reading(SMALL, SMALL_PREFILTER)

    assert takes_over(after.reader, before.reader, before.reader.cursor(), reply(kubelet, 0))
    assert after.reader.cursor().total == 3


@pytest.mark.parametrize(
    ("pieces", "answer"),
    [
        pytest.param([], False, id="nothing"),
        pytest.param([b"", b""], False, id="an-empty-log"),
        pytest.param([b"no stamp\n", b""], None, id="the-kubelets-own-words"),
        pytest.param([b"FIRST", b""], None, id="less-than-a-line"),
        pytest.param([b"FIRST\n", b""], None, id="without-the-last-line"),
        pytest.param([b"FIRST\nSECOND\n"], True, id="all"),
        pytest.param([b"SECOND\nFIRST\n"], True, id="rotated"),
        pytest.param([b"OTHER\n"], False, id="another-log"),
        pytest.param([b"FIRST\n", b"SECOND\nOTHER\n", b"OTHER\n" * 9], True, id="and-more"),
    ],
)
def test_a_log_says_whether_a_place_is_in_it(pieces: list[bytes], answer: bool | None) -> None:
    kubelet, before = read(*(logfmt(f"answered {word}") for word in "abc"))
    first, second, other = kubelet.reply(0)
    trail = Trail(KEY, Cursor())
    trail.add([first, second], last_ns=NOON * NANOS)
    claim = before.reader.claim(trail.cursor())
    for piece in pieces:
        whole = piece.replace(b"FIRST", first).replace(b"SECOND", second)
        claim.feed(whole.replace(b"OTHER", other))

    assert claim.answer() is answer


@pytest.mark.parametrize("texts", [[], ["answered a"]])
@pytest.mark.parametrize("head", [[], ["answered x"], ["answered x", "y", "z"]])
def test_a_log_that_continues_nothing_takes_nothing_over(texts: list[str], head: list[str]) -> None:
    _, before = read(*map(logfmt, texts))
    before.reader.idle(60)
    before.commit()
    other = stamped((NOON * NANOS + n, logfmt(text)) for n, text in enumerate(head, 100))
    after = Reading(SMALL, SMALL_PREFILTER)

    is_its = takes_over(after.reader, before.reader, before.reader.cursor(), reply(other, 0))

    assert is_its is False
    assert len(before.reader.places()) == len(texts)
    assert (after.reader.cursor(), before.reader.cursor()) == (Cursor(), before.cursor)


@pytest.mark.parametrize("released", [0, 1])
def test_a_break_is_forgotten_if_nothing_behind_it_was_released(released: int) -> None:
    old, reading = read(*map(logfmt, ["answered a", "answered b"]))
    texts = [*["answered c"] * released, "asked a"]
    new = stamped((NOON * NANOS + n, logfmt(text)) for n, text in enumerate(texts, 100))
    reading.reader.feed(reply(new, reading.reader.reopen()))
    reading.reader.settle()
    reading.commit()
    reading.reader.forget()
    places = [place.total for place in reading.reader.places()]
    since = reading.reader.reopen(accept_gap=False)
    reading.reader.feed(reply(new if released else old, since))
    reading.reader.settle()

    assert reading.total.facts == [BREAK]
    assert places == ([3, 2] if released else [2])
    assert (reading.reader.is_proved, reading.reader.gap_suspected) == (True, False)


@pytest.mark.parametrize("attempts", ["none", "broken off", "whole"])
@pytest.mark.parametrize("is_gone", [False, True])
def test_what_is_forgotten_is_read_again_or_is_lost(attempts: str, *, is_gone: bool) -> None:
    kubelet, reading = read(logfmt("answered b"), logfmt("asked a"), logfmt("x"))
    if attempts != "none":
        since = reading.reader.reopen()
        reading.reader.feed(reply(kubelet, since) if attempts == "whole" else b"")
    reading.reader.forget()
    since = reading.reader.reopen()
    if is_gone:
        reading.reader.abandon()
    else:
        reading.reader.feed(reply(kubelet, since))
        reading.reader.finish()
    reading.commit()

    assert (reading.total.lines, reading.total.gaps) == (1 if is_gone else 3, [])
    expected = ["Answered"] if is_gone else ["Answered", "Asked"]
    assert [one.event for one in reading.total.observations] == expected


# --- when lines were read ---


READ = (NOON + 4) * NANOS
LATER = (NOON + 20) * NANOS


@pytest.mark.parametrize("way", ["waits", "reopened", "reopened twice", "step", "step, reopened"])
def test_what_had_to_wait_is_as_far_ahead_as_when_it_was_read(way: str) -> None:
    """The highest stamp is six seconds ahead, and it is later when the last line is released."""
    is_step = way.startswith("step")
    texts = ["answered a", "x" if is_step else "asked a", "y"]
    # Less far back than what is a step, the last one is not the highest.
    times = {"step": [8, 8, 10], "step, reopened": [10, 10, 10]}.get(way, [8, 10, 9.9999])
    kubelet = stamped(
        (NOON * NANOS + int(at * NANOS), logfmt(text))
        for at, text in zip(times, texts, strict=True)
    )
    first, second, third = (line + b"\n" for line in kubelet.reply(0))
    # A file that is served again stands behind its own end.
    behind = {"step": first + third, "step, reopened": first}.get(way, third)
    reader = Reader(SMALL, SMALL_PREFILTER, key=KEY)
    reader.feed(first + second + behind, now_ns=READ)
    ahead = [reader.take(now_ns=READ).ahead_ns]
    for _ in range({"reopened": 1, "reopened twice": 2, "step, reopened": 1}.get(way, 0)):
        reader.reopen()
        reader.feed(first + (second if is_step else b""), now_ns=LATER)
        ahead.append(reader.take(now_ns=LATER).ahead_ns)
    if way == "step":
        reader.go_on()
    elif way != "waits":
        reader.feed(third if is_step else second + third, now_ns=LATER)
    reader.idle(60)
    ahead.append(reader.take(now_ns=LATER).ahead_ns)

    assert {6 * NANOS} == {*ahead}
    assert reader.take(now_ns=READ + NANOS).ahead_ns == 0


def test_lines_that_are_taken_together_are_as_far_ahead_as_the_highest() -> None:
    kubelet = stamped(((NOON + 9) * NANOS + n, logfmt("asked a")) for n in range(9))
    kubelet.write((NOON + 10) * NANOS, logfmt("x"))
    reader = Reader(SMALL, SMALL_PREFILTER)
    reader.feed(reply(kubelet, 0), now_ns=READ)

    assert reader.take(now_ns=READ).ahead_ns == 6 * NANOS


# --- audit ---


def check_audit(
    read_lines: int, reply_lines: slice, expected: Continuity | None, *, burst: int = 10
) -> None:
    """Read some lines of a burst and audit with some of its lines."""
    kubelet = stamped(
        (NOON * NANOS + n, logfmt("asked a") if n == 3 else b"line %d" % n) for n in range(burst)
    )
    lines = kubelet.reply(0)
    reading = Reading(SMALL, SMALL_PREFILTER)
    reading.reader.feed(b"".join(line + b"\n" for line in lines[:read_lines]))
    reading.commit()
    answer = b"".join(line + b"\n" for line in lines[reply_lines])

    assert expected is reading.reader.audit(answer)


@pytest.mark.parametrize(
    ("read_lines", "reply_lines", "expected"),
    [
        pytest.param(10, slice(0, 10), Continuity.CONTINUOUS, id="all-was-read"),
        pytest.param(5, slice(0, 5), Continuity.CONTINUOUS, id="all-so-far-was-read"),
        pytest.param(9, slice(0, 10), Continuity.FRESH, id="one-more"),
        pytest.param(2, slice(0, 10), Continuity.FRESH, id="many-more"),
        pytest.param(10, slice(0, 7), Continuity.CONTINUOUS, id="reply-is-older-than-the-stream"),
        pytest.param(8, slice(5, 8), Continuity.ROTATED, id="rotated"),
        pytest.param(8, slice(5, 10), Continuity.FRESH, id="rotated-and-more"),
        pytest.param(5, slice(6, 10), Continuity.GAP, id="another-file"),
        pytest.param(5, slice(0, 0), Continuity.ROTATED, id="rotated-and-empty"),
        pytest.param(0, slice(0, 0), Continuity.CONTINUOUS, id="nothing-yet"),
        pytest.param(0, slice(0, 1), Continuity.FRESH, id="nothing-read"),
    ],
)
def test_an_audit_tells_whether_more_follows(
    read_lines: int, reply_lines: slice, expected: Continuity
) -> None:
    check_audit(read_lines, reply_lines, expected)


@pytest.mark.parametrize(
    ("read_lines", "expected"),
    [(40_000, Continuity.CONTINUOUS), (39_999, Continuity.FRESH), (30_000, Continuity.FRESH)],
)
def test_an_audit_knows_a_burst_larger_than_its_memory(
    read_lines: int, expected: Continuity
) -> None:
    check_audit(read_lines, slice(0, 40_000), expected, burst=40_000)


@pytest.mark.parametrize("is_served_again", [False, True])
def test_an_audit_shows_that_a_stream_which_is_late_has_come_to_the_end(
    *, is_served_again: bool
) -> None:
    """Unless more has come, which may be from before the end, or behind it."""
    kubelet = stamped((NOON * NANOS + n, logfmt("answered a")) for n in range(3))
    log = reply(kubelet, 0)
    reading = Reading(SMALL, SMALL_PREFILTER)
    reading.reader.feed(log, now_ns=(NOON + 60) * NANOS)
    if is_served_again:
        reading.reader.feed(log[: len(log) // 3], now_ns=(NOON + 60) * NANOS)
    kubelet.write((NOON + 1) * NANOS, logfmt("answered b"))
    more = reply(kubelet, 0)
    reading.reader.audit(more)
    before = reading.reader.lag.is_small
    reading.reader.audit(log)

    assert (before, reading.reader.lag.is_small) == (False, not is_served_again)


def test_a_file_that_is_served_again_behind_known_lines_is_a_step() -> None:
    kubelet, reading = read(*[logfmt("answered a")] * 3)
    first, *_, last = kubelet.reply(0)
    reading.reader.reopen()
    reading.reader.feed(reply(kubelet, 0) + first + b"\n", now_ns=(NOON + 60) * NANOS)
    step = reading.reader.step

    assert step is not None
    assert (step.before, step.after) == (last, first)


def test_another_stream_begins_with_no_lag_and_no_lines() -> None:
    kubelet = stamped((NOON * NANOS + n, logfmt("answered a")) for n in range(9))
    reading = Reading(SMALL, SMALL_PREFILTER)
    told = []
    for _ in range(2):
        reading.reader.feed(reply(kubelet, 0), now_ns=(NOON + 60) * NANOS)
        told.append((reading.reader.lines_stamped, reading.reader.lag.is_small))
        reading.commit()
        reading.reader.reopen()
        told.append((reading.reader.lines_stamped, reading.reader.lag.is_small))

    # Of the second reply all lines are known: nothing is behind them yet.
    assert told == [(9, False), (0, True), (9, True), (0, True)]


@pytest.mark.parametrize(("following", "asked"), [(1, True), (3, False)])
def test_of_what_follows_a_step_in_the_log_nothing_is_asked_again(
    following: int, *, asked: bool
) -> None:
    kubelet = stamped((NOON * NANOS + n, logfmt("answered a")) for n in range(3))
    log = reply(kubelet, 0)
    reading = Reading(SMALL, SMALL_PREFILTER)
    reading.reader.feed(log + log, now_ns=(NOON + 60) * NANOS)
    behind = len(reading.reader.behind_step)
    reading.reader.go_on(following)

    assert (behind, reading.reader.step is not None) == (3, asked)


def test_what_waits_is_counted_once_an_audit_finds_its_file_empty() -> None:
    kubelet, reading = read(logfmt("answered a"), logfmt("asked a"))
    kubelet.rotate(2)
    reading.reader.reopen()
    verdict = reading.reader.audit(b"")
    reading.commit()

    before = reading.total.lines
    reading.reader.finish()
    reading.commit()

    assert (verdict, before) == (Continuity.ROTATED, 1)
    assert (reading.total.lines, reading.total.gaps) == (2, [])


def test_an_audit_settles_a_head_that_is_whole() -> None:
    kubelet, reading = read(*[b"line %d" % n for n in range(100)], step=1)
    kubelet.rotate(90)
    rest = reply(kubelet, reading.reader.reopen())
    reading.reader.feed(rest)
    undecided = reading.reader.is_proved

    assert (undecided, reading.reader.audit(rest)) == (False, Continuity.CONTINUOUS)


def test_an_audit_that_is_answered_with_an_error_says_nothing() -> None:
    _, reading = read(*[b"line %d" % n for n in range(5)])

    assert reading.reader.audit(b"unable to retrieve container logs for containerd://0") is None


def test_an_audit_before_the_head_was_read_says_nothing() -> None:
    kubelet, reading = read(*[b"line %d" % n for n in range(5)])
    reading.reader.reopen()

    assert reading.reader.audit(reply(kubelet, 0)) is None


@pytest.mark.parametrize("written", [0, 1])
def test_an_audit_that_is_answered_with_another_file_settles_no_head(written: int) -> None:
    line = logfmt("answered a")
    kubelet = stamped([(NOON * NANOS, line), (NOON * NANOS, line)])
    reading = Reading(SMALL, SMALL_PREFILTER)
    reading.reader.feed(reply(kubelet, 0))
    reading.reader.idle(60)
    reading.commit()
    first, second = kubelet.reply(reading.reader.reopen())
    reading.reader.feed(first + b"\n")
    kubelet.rotate(2)
    for _ in range(written):
        kubelet.write(NOON * NANOS, logfmt("answered b"))
    verdict = reading.reader.audit(reply(kubelet, 0))
    reading.reader.feed(second + b"\n")
    reading.commit()

    assert (verdict, reading.total.lines) == (None, 2)


@pytest.mark.parametrize("folded", [0, 3])
@pytest.mark.parametrize("is_killed", [False, True])
@pytest.mark.parametrize("is_lost", [False, True])
def test_what_waits_is_counted_once_if_replies_are_empty_for_a_while(
    folded: int, *, is_killed: bool, is_lost: bool
) -> None:
    """Whether it stands in the log still, the first line tells that comes."""
    waiting = [logfmt("asked a"), logfmt("x"), logfmt("asked b"), logfmt("y")]
    kubelet, reading = read(*[logfmt("answered b")] * folded, *waiting)
    waits: list[int] = []
    for idle_seconds in (0, 60):
        reading.reader.reopen()
        verdict = reading.reader.audit(b"")
        reading.reader.idle(idle_seconds)
        reading.commit()
        waits.append(folded + len(waiting) - reading.total.lines)
        assert verdict is Continuity.ROTATED
    if is_lost:
        kubelet.rotate(folded + len(waiting))
    kubelet.write((NOON + 1) * NANOS, logfmt("answered c"))
    rest = reply(kubelet, reading.start() if is_killed else reading.reader.reopen())
    reading.reader.feed(rest)
    reading.reader.finish()
    reading.commit()

    assert waits == [len(waiting), 0]
    assert reading.total.lines == folded + len(waiting) + 1
    assert len(reading.total.gaps) == is_lost


@pytest.mark.parametrize("begin", [0, 2])
def test_what_lacks_in_replies_that_break_off_is_not_gone(begin: int) -> None:
    """The first lines of a file that was rotated, or of one that was not, come again and again."""
    kubelet, reading = read(*(logfmt(f"answered {word}") for word in "abababab"))
    kubelet.rotate(begin)
    for _ in range(3):
        part = reply(kubelet, reading.reader.reopen())[:200]
        reading.reader.feed(part)
        assert reading.reader.audit(part) is None
        reading.commit()
    reading.reader.feed(reply(kubelet, reading.reader.reopen()))
    reading.reader.finish()
    reading.commit()

    assert (reading.total.lines, reading.total.gaps) == (8, [])


def test_a_file_that_stays_empty_is_a_gap_once_its_first_line_comes() -> None:
    """A quiet container is connected to again and again; that alone loses nothing."""
    _, reading = read(*(logfmt(f"answered {word}") for word in "abc"))
    reading.reader.idle(60)
    reading.commit()
    gaps: list[Gap] = []
    for _ in range(3):
        reading.reader.reopen()
        assert reading.reader.audit(b"") is Continuity.ROTATED
        gaps += reading.reader.take().gaps
    assert gaps == []

    later = stamp(NOON * NANOS + 60 * NANOS) + b" " + logfmt("answered d") + b"\n"
    reading.reader.feed(later)
    reading.reader.settle()
    assert [one.reason for one in reading.reader.take().gaps] == ["rotated"]


def test_a_burst_is_proved_by_the_first_line_after_it() -> None:
    """It is kept as a count; a slow container would not bring as many lines for hours."""
    count = 300
    _, reading = read(*(logfmt("answered a") for _ in range(count)), step=1000)
    reading.reader.idle(60)
    reading.commit()
    assert reading.reader.cursor().count > len(reading.reader.cursor().hashes)

    reading.reader.reopen()
    reading.reader.feed(stamp((NOON + 9) * NANOS) + b" " + logfmt("answered b") + b"\n")
    assert reading.reader.is_proved
