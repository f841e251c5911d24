"""Lines that are passed over in blocks: whatever the log, the same as one line after the other."""

from __future__ import annotations

import re
from collections import Counter
from itertools import product

import pytest
from attrs import define, evolve, field
from hypothesis import given
from hypothesis import strategies as st

from agent.entries import Entries
from agent.lag import Suspect
from agent.lines import parse_stamp, read_head
from agent.model import Cursor, Format, Released
from agent.prefilter import Everything, Prefilter, search_with_re2
from agent.reader import Reader
from agent.runs import Runs
from agent.stamps import BYTES
from tests.shipped import PREFILTER, RULES
from tests.strategies import NOON, SAMPLES, chunks, cuts, stamp

KEY = b"key"
RE2 = search_with_re2(sorted(RULES.literals))
NANOS = 10**9
LOGS = {
    path.stem + str(path.parent.name): path.read_bytes() for path in sorted(SAMPLES.rglob("*.log"))
}
TEXTS = sorted({line[31:] for log in LOGS.values() for line in log.splitlines()})
ODD = [
    b"",
    b" ",
    b"\x1b[37mDEBU\x1b[0m[2026-11-26T06:33:21Z] no padding",
    b"\x1b[36mINFO\x1b[0m[2026-11-26T06:33:20Z] time runs back \x1b[36mbot\x1b[0m=Slack",
    b"\x1b[36mINFO\x1b[0m[2026-13-26T06:33:20Z] no such month ",
    b'\x1b[36mINFO\x1b[0m[2026-11-26T06:33:20Z] odd field \x1b[36mx\x1b[0m="a\\" b" ',
    b'\x1b[36mINFO\x1b[0m[2026-11-26T06:33:20Z] torn field \x1b[36mx\x1b[0m="a\\"',
    b'\x1b[36mINFO\x1b[0m[2026-11-26T06:33:20Z] quote in a field \x1b[36mx\x1b[0m=a"b',
    b"\x1b[36mINFO\x1b[0m[2026-11-26T06:33:20Z] two fields \x1b[36mx\x1b[0m=a b",
    b"\x1b[36mINFO\x1b[0m[26-11-26T06:33:20Z] no such time ",
    b"\x1b[36mHINT\x1b[0m[2026-11-26T06:33:20Z] no such level ",
    b"INFO[2026-11-26T06:33:21Z] without colours                           ",
    b"the beginning of logfmt",
    b"time=",
    b'{"a":1}',
    b'{"a":1,"msg":"x"}',
    b'{"level":"debug","msg":"x","time":"2026-11-26T06:33:21Z"}',
    b"panic: runtime error",
    b"goroutine 1 [running]:",
    b"a line that belongs to the entry before\r",
]


@define
class Told:
    """All that a reader tells, in the order of its release."""

    observations: list[object] = field(factory=list)
    facts: list[object] = field(factory=list)
    lines_at: Counter[int] = field(factory=Counter)
    matched_at: Counter[int] = field(factory=Counter)
    hits: Counter[str] = field(factory=Counter)
    steps: list[Suspect] = field(factory=list)
    rest: tuple[object, ...] = ()
    cursor: Cursor = field(factory=Cursor)

    def take(self, released: Released) -> None:
        self.observations += released.observations
        self.facts += released.facts
        self.lines_at.update(released.lines_at)
        self.matched_at.update(released.matched_at)
        self.hits.update(released.hits)


def read(pieces: list[bytes], prefilter: Prefilter = PREFILTER, *, now_ns: int) -> Told:
    reader, told = Reader(RULES, prefilter, key=KEY), Told()
    for piece in pieces:
        reader.feed(piece, now_ns=now_ns)
        while reader.step is not None:
            told.steps.append(reader.step)
            reader.go_on()
        told.take(reader.take())
    open_line = reader._unreleased._entries.open_line
    reader.finish()
    told.take(reader.take())
    told.rest = (
        reader.noise, reader.cut, reader.bound_hits, reader.lines_read, reader.unstamped,
        reader.lag.suspects, reader.lines_stamped, open_line, reader._unreleased._bytes,
    )  # fmt: skip
    told.cursor = reader.cursor()
    return told


def one_by_one(log: bytes) -> list[bytes]:
    """Cut a log so that no piece has as many lines as make a block."""
    return re.findall(rb"[^\n]*\n", log)


@pytest.mark.parametrize("name", sorted(LOGS))
@pytest.mark.parametrize("prefilter", [PREFILTER, RE2, Everything()])
def test_a_recorded_log_is_read_in_blocks_as_line_by_line(name: str, prefilter: Prefilter) -> None:
    log = LOGS[name]
    now_ns = NOON * NANOS

    assert read([log], prefilter, now_ns=now_ns) == read(one_by_one(log), now_ns=now_ns)


def test_what_a_run_is_made_of_begins_entries_that_end_with_it() -> None:
    runs = 0
    for text in (*TEXTS, *ODD):
        line = stamp(NOON * NANOS) + b" " + text
        found, end = Runs(line + b"\n").at(0)
        head = read_head(text)
        entries = Entries()
        entries.feed(text, 1, 1)
        runs += found is not None

        assert end == (0 if found is None else len(line) + 1), text
        assert found is None or (head is not None and head.format is found), text
        assert found is None or entries.is_ended_by(found), text
    assert runs > len(TEXTS) // 4


def runs_of(block: bytes) -> list[tuple[object, int, int]]:
    """Return the runs of a block, and where they begin and end."""
    runs, begin = Runs(block), 0
    found: list[tuple[object, int, int]] = []
    while begin < len(block):
        form, end = runs.at(begin)
        if form is not None:
            found.append((form, begin, end))
        begin = max(end, block.index(b"\n", begin) + 1)
    return found


WHOLE = (
    b"\x1b[36mINFO\x1b[0m[2026-11-26T06:33:20Z] padded  ",
    b"\x1b[31mERRO\x1b[0m[2026-11-26T06:33:20Z] a field  \x1b[31mbot\x1b[0m=Slack",
    b'time="2026-11-26T06:33:20Z" level=info msg=x',
    b'{"level":"info","msg":"x"}',
    b'{"component":"{x,\\"level\\":","level":"info","msg":"x"}',
    b'{"msg":"x"}',
)
OTHERS = [b"", *(bytes((one,)) for one in b'{},":=[]\\ \x1b\x0b\r012469ZTmelv-')]


@pytest.mark.parametrize("text", WHOLE)
def test_a_line_of_which_any_byte_is_another_is_in_a_run_as_re2_says(text: bytes) -> None:
    line = b"2026-10-29T19:59:48.123456789Z " + text  # of its digits many are at an edge
    for at, width, other in product(range(len(line)), (0, 1), OTHERS):
        changed = line[:at] + other + line[at + width :]
        block = b"".join(one + b"\n" for one in (line, changed, line))
        fast = runs_of(block)
        with pytest.MonkeyPatch.context() as patch:
            # Nothing is known of what may be odd: RE2 alone decides.
            patch.setattr("agent.runs.MAX_ODD", -1)
            slow = runs_of(block)

        assert fast == slow
        if len(fast) == 1:
            # Whether its day exists, nobody has looked at so far.
            stamped = parse_stamp(b"2026-11-26" + changed[10:])
            head = read_head(changed[BYTES:])
            assert stamped is not None
            assert stamped[1] == BYTES
            assert head is not None
            assert head.format is fast[0][0]


@pytest.mark.parametrize("odd", [0, 1, 63, 64, 65, 66, 200])
def test_a_block_with_many_odd_lines_has_the_same_runs(odd: int) -> None:
    mark = stamp(NOON * NANOS) + b" "
    block = b"".join(mark + text + b"\n" for text in [*[WHOLE[5]] * odd, *[WHOLE[3]] * 5])

    assert runs_of(block) == [(Format.JSON, 0, len(block))]


TEXT = st.sampled_from(TEXTS) | st.sampled_from([*filter(PREFILTER, TEXTS)]) | st.sampled_from(ODD)


@st.composite
def logs(draw: st.DrawFn) -> bytes:
    """Lines of recorded logs in any order, many that rules may count, in runs of one.

    Odd ones and odd stamps stand between.
    """
    at_ns, lines = NOON * NANOS, []
    for text in draw(st.lists(TEXT, max_size=12)):
        for _ in range(draw(st.sampled_from([1, 1, 2, 5, 30]))):
            at_ns += draw(st.sampled_from([0, 1, 10**6, NANOS, 3 * NANOS, -NANOS, 3600 * NANOS]))
            mark = draw(
                st.sampled_from([stamp(at_ns)] * 9 + [b"2026-02-30T01:02:03.000000004Z", b"torn"])
            )
            lines.append(mark + b" " + text)
    return b"".join(line + b"\n" for line in lines)


@given(logs(), cuts, st.integers(0, 7200))
def test_any_log_is_read_in_blocks_as_line_by_line(
    log: bytes, places: list[int], ahead: int
) -> None:
    now_ns = (NOON + ahead) * NANOS
    pieces = chunks(log, places)

    assert read(pieces, now_ns=now_ns) == read(one_by_one(log), now_ns=now_ns)


@given(logs(), cuts)
def test_any_log_counts_the_same_whatever_searches_for_its_literals(
    log: bytes, places: list[int]
) -> None:
    """But for noise: whether an entry can be read is asked only where a rule may care."""
    pieces, now_ns = chunks(log, places), NOON * NANOS
    expected = evolve(read(pieces, Everything(), now_ns=now_ns), rest=())
    for prefilter in (PREFILTER, RE2):
        assert evolve(read(pieces, prefilter, now_ns=now_ns), rest=()) == expected


def head(text: str, second: int) -> bytes:
    return f"\x1b[36mINFO\x1b[0m[2026-11-26T06:33:{second:02}Z] {text}".encode()


LATE, EARLY = 40, 20
KINDS = (
    head(f"{'padded':<44} ", LATE),
    head(f"{'padded':<44} ", EARLY),
    head("not padded", LATE),
    head("with a field  \x1b[36mbot\x1b[0m=Slack", LATE),
    head("with a field  \x1b[36mbot\x1b[0m=Slack", EARLY),
    b"INFO[2026-11-26T06:33:30Z] without colours                    ",
    b"a line in the middle",
    b"a last line ",
    b'{"level":"info","msg":"x"}',
    b"panic: x",
)


BARE = [re.sub(rb"\x1b\[\d*m", b"", text) for text in TEXTS if text.startswith(b"\x1b")]


@pytest.mark.parametrize("run", [(0, 3, 0, 3), (0, 0, 3), (3, 0, 3)])
def test_padding_that_comes_back_in_a_run_is_seen_as_line_by_line(run: tuple[int, ...]) -> None:
    """Whether a line without colours is a part of what is open depends on the run before it."""
    mark = stamp(NOON * NANOS) + b" "
    stripped = (head("unpadded one", 20), head("unpadded two", 21), KINDS[8])
    for text in BARE[len(run) :: 4]:
        lines = (*stripped, *(KINDS[kind] for kind in run), text, head("after", 50), KINDS[8])
        log = b"".join(mark + line + b"\n" for line in lines)

        assert read([log], now_ns=NOON * NANOS) == read(one_by_one(log), now_ns=NOON * NANOS)


@pytest.mark.parametrize(("run", "entries"), [(KINDS[1], 3), (KINDS[4], 2), (KINDS[8], 2)])
def test_a_run_after_anything_is_read_as_line_by_line(run: bytes, entries: int) -> None:
    """Whatever is open when a run begins: the run ends it, or is a part of it."""
    mark = stamp(NOON * NANOS) + b" "
    for before in product(KINDS, repeat=entries):
        log = b"".join(mark + text + b"\n" for text in (*before, *[run] * 5))

        assert read([log], now_ns=NOON * NANOS) == read(one_by_one(log), now_ns=NOON * NANOS)
