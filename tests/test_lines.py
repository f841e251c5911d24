"""Bytes -> lines -> entries: framing, stamps, and which lines belong together."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from agent.entries import MAX_ENTRY_BYTES, MAX_OPEN_BYTES, MAX_OPEN_NS, Entries
from agent.lines import (
    MAX_LINE_BYTES,
    Framer,
    Head,
    is_stamped,
    parse_stamp,
    parse_time,
    read_head,
)
from agent.model import NANOS, Entry, Format
from tests.strategies import NOON, SAMPLE_LOGS, SAMPLES, chunks, clock, cuts, render, stamp

# --- framing ---


def check_lines(pieces: list[bytes], expected: list[bytes], *, tail: bytes = b"") -> None:
    framer = Framer()
    found = [line for piece in pieces for line in framer.feed(piece)]

    assert (expected, tail) == (found, framer.tail)


@pytest.mark.parametrize(
    ("pieces", "expected", "tail"),
    [
        pytest.param([b"a\nb\n"], [b"a", b"b"], b"", id="two-lines"),
        pytest.param([b"a", b"b\n", b"c"], [b"ab"], b"c", id="line-in-two-pieces"),
        pytest.param([b"\n\n"], [b"", b""], b"", id="empty-lines"),
        pytest.param([b"a\r\n"], [b"a"], b"", id="carriage-return-at-the-end"),
        pytest.param([b"a\r", b"\n"], [b"a"], b"", id="carriage-return-cut-off"),
        pytest.param([b"a\r\r\n"], [b"a\r"], b"", id="only-one-carriage-return"),
        pytest.param([b"a\rb\n"], [b"a\rb"], b"", id="carriage-return-within"),
        pytest.param([b"a\0b\n"], [b"a\0b"], b"", id="nul"),
        pytest.param([b"\xff\xc3\n"], [b"\xff\xc3"], b"", id="invalid-utf-8"),
        pytest.param(
            ["a\x0b\x0c\x1c\x85\u2028\u2029b\n".encode()],
            ["a\x0b\x0c\x1c\x85\u2028\u2029b".encode()],
            b"",
            id="other-line-separators",
        ),
    ],
)
def test_only_a_newline_ends_a_line(
    pieces: list[bytes], expected: list[bytes], tail: bytes
) -> None:
    check_lines(pieces, expected, tail=tail)


@given(data=st.binary(max_size=200).map(lambda data: data.replace(b"x", b"\n")), cuts=cuts)
def test_any_chunking_gives_the_same_lines(data: bytes, cuts: list[int]) -> None:
    whole, cut = Framer(), Framer()
    expected = whole.feed(data)
    found = []
    for piece in chunks(data, cuts):
        lines = cut.feed(piece)
        found += lines
        assert cut.whole == b"".join(line + b"\n" for line in lines) or b"\r" in data
        assert cut.whole in data

    assert (expected, whole.tail) == (found, cut.tail)


@pytest.mark.parametrize(
    "pieces",
    [
        pytest.param([b"x" * (1 << 20) + b"\ny\n"], id="one-piece"),
        pytest.param([b"x" * 8192] * 128 + [b"\ny\n"], id="pieces"),
        pytest.param([b"x" * MAX_LINE_BYTES, b"z", b"z\ny\n"], id="cut-at-the-limit"),
        pytest.param([b"x" * (MAX_LINE_BYTES - 1), b"xz", b"", b"\ny\n"], id="cut-before-it"),
    ],
)
def test_a_long_line_keeps_its_head_and_is_counted_once(pieces: list[bytes]) -> None:
    framer, found = Framer(), []
    for piece in pieces:
        lines = framer.feed(piece)
        found += lines
        assert framer.whole in {b"", b"".join(line + b"\n" for line in lines)}

    assert (found, framer.cut) == ([b"x" * MAX_LINE_BYTES, b"y"], 1)


def test_lines_that_were_cut_are_not_what_came_in_one_piece() -> None:
    framer = Framer()
    lines = framer.feed(b"y\n" + b"x" * (MAX_LINE_BYTES + 1) + b"\n")

    assert (lines, framer.whole) == ([b"y", b"x" * MAX_LINE_BYTES], b"")


def test_a_line_of_the_greatest_length_is_not_cut() -> None:
    framer = Framer()

    assert (framer.feed(b"x" * MAX_LINE_BYTES + b"\n"), framer.cut) == ([b"x" * MAX_LINE_BYTES], 0)


# --- stamps ---


def check_stamp(line: bytes, expected: tuple[int, int] | None) -> None:
    assert expected == parse_stamp(line)


@pytest.mark.parametrize(
    ("line", "at_ns"),
    [
        (b"2026-01-01T12:00:00Z x", NOON * NANOS),
        (b"2026-01-01T12:00:00.1Z x", NOON * NANOS + 100_000_000),
        (b"2026-01-01T12:00:00.000000001Z x", NOON * NANOS + 1),
        (b"2026-01-01T13:30:00+01:30 x", NOON * NANOS),
        (b"2026-01-01T04:00:00.5-08:00 x", NOON * NANOS + NANOS // 2),
        (b"2024-02-29T00:00:00Z x", 1_709_164_800 * NANOS),
        (b"1970-01-01T00:00:00Z x", 0),
    ],
)
def test_stamps_are_read_to_the_nanosecond(line: bytes, at_ns: int) -> None:
    check_stamp(line, (at_ns, len(line) - 1))


@pytest.mark.parametrize("line", [b"2026-01-01T12:00:00.5Z", b"2026-01-01T12:00:00.5Z "])
def test_an_empty_line_is_a_line(line: bytes) -> None:
    found = parse_stamp(line)

    assert found is not None
    assert (found[0], line[found[1] :]) == (NOON * NANOS + NANOS // 2, b"")


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"x",
        b"2026-00-01T12:00:00Z x",
        b"2026-13-01T12:00:00Z x",
        b"2026-01-00T12:00:00Z x",
        b"2026-01-32T12:00:00Z x",
        b"2026-02-30T12:00:00Z x",
        b"2026-01-01T24:00:00Z x",
        b"2026-01-01T12:60:00Z x",
        b"2026-01-01T12:00:61Z x",
        b"0000-01-01T00:00:00Z x",
        b"0001-01-01T00:00:00Z x",
        b"1969-12-31T23:59:59Z x",
        b"2262-01-01T00:00:00Z x",
        b"9999-12-31T23:59:59Z x",
        b"2026-01-01T12:00:00.Z x",
        b"2026-01-01T12:00:00.1234567890Z x",
        b"2026-01-01T12:00:00 x",
        b"2026-01-01 12:00:00Z x",
        b"2026-01-01T12:00:00Zx",
        b"2026-01-01T12:00:00Z\tx",
        b" 2026-01-01T12:00:00Z x",
        "٢٠٢٦-01-01T12:00:00Z x".encode(),
        b"unable to retrieve container logs for containerd://" + b"0" * 64,
        b"failed to create fsnotify watcher: too many open files",
        b"rpc error: code = Unknown desc = 2026-01-01T12:00:00Z x",
    ],
)
def test_text_without_a_stamp_is_never_a_line(line: bytes) -> None:
    check_stamp(line, None)


@given(st.integers(0, 1 << 62), st.integers(0, 9), st.sampled_from(["Z", "+00:00", "-00:00"]))
def test_a_stamp_says_its_time_with_any_number_of_digits(at: int, digits: int, zone: str) -> None:
    fraction = at % NANOS // 10 ** (9 - digits) * 10 ** (9 - digits)
    shown = f".{at % NANOS:09d}"[: digits + 1] if digits else ""
    line = f"{clock(at // NANOS)[:-1]}{shown}{zone} text".encode()

    assert (at // NANOS * NANOS + fraction, len(line) - 4) == parse_stamp(line)


digit_like = st.from_regex(
    rb"\A\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)( .{0,5})?\Z"
)


@given(st.one_of(st.binary(max_size=60), digit_like))
@example(b"0000-01-01T00:00:00Z x")
def test_no_stamp_raises_or_leaves_64_bits(line: bytes) -> None:
    found = parse_stamp(line)

    assert found is None or (abs(found[0]) < 1 << 63 and 0 < found[1] <= len(line) + 1)
    assert (found is None) or parse_time(line) == found[0]


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        pytest.param([], False, id="nothing"),
        pytest.param([b"a", b"b"], False, id="no-stamp-and-no-entry"),
        pytest.param([b"a", b"2026-01-01T12:00:00Z b\r"], True, id="a-stamp-and-no-entry"),
        pytest.param(
            [b"2026-01-01T12:00:00Z a", b'{"msg":"x"}'], False, id="an-entry-without-a-stamp"
        ),
        pytest.param([b"a", b'2026-01-01T12:00:00Z {"msg":"x"}\r'], True, id="an-entry-with-one"),
    ],
)
def test_the_first_entry_tells_whether_a_log_has_stamps(
    lines: list[bytes], *, expected: bool
) -> None:
    assert is_stamped(lines) is expected


@pytest.mark.parametrize("message", ["x", "x" * 500, 'now \\"time\\":\\"never\\"'])
@pytest.mark.parametrize("is_first", [False, True])
def test_json_says_its_time_in_front_or_at_its_end(message: str, *, is_first: bool) -> None:
    time, said = '"time":"2026-01-01T12:00:00Z"', f'"level":"info","msg":"{message}"'
    line = "{" + ",".join([time, said] if is_first else [said, time]) + "}"

    assert read_head(line.encode()) == Head(Format.JSON, NOON * NANOS)


# --- entries ---


def text(level: str, message: str, at: int = NOON, **fields: str) -> bytes:
    return render(level, message, fields, at=at, shape=Format.TEXT)


def plain(line: bytes) -> bytes:
    """Return what remains of coloured text where it is pasted: no escapes, no padding."""
    return re.sub(rb"\x1b\[\d+m", b"", line).rstrip()


def read(lines: list[bytes], at_ns: int | None = NOON * NANOS) -> list[Entry]:
    entries = Entries()
    found = [
        entry for number, line in enumerate(lines, 1) for entry in entries.feed(line, at_ns, number)
    ]
    return found + entries.finish()


def check_entries(lines: list[bytes], expected: list[tuple[Format, int, int]]) -> None:
    """Compare the format, first line and number of lines of each entry."""
    found = read(lines)

    assert expected == [(one.format, one.first_line, one.line_count) for one in found]
    for one in found:
        lines_of = lines[one.first_line - 1 : one.first_line - 1 + one.line_count]
        assert b"\n".join(lines_of) == one.text


INFO = text("info", "Starting slack bot")
JSON = b'{"level":"info","msg":"x","time":"2026-01-01T12:00:00Z"}'
LOGFMT = b'time="2026-01-01T12:00:00Z" level=info msg=x'
KLOG = b"E0101 12:00:00.099247       1 reflector.go:138] Failed to watch"
STANDARD = b"2026/01/01 12:00:00 while starting: 2 errors occurred:"
PANIC = b"panic: runtime error: index out of range [0] with length 0"
GOROUTINE = [b"", b"goroutine 78 [running]:", b"pkg.func(0x1)", b"\tfile.go:1 +0x5c"]
REPLY = [
    *text("debug", "Slack Response: Cluster: prod\nNAME   READY\nweb-0  1/1", NOON + 60).split(
        b"\n"
    )
]
REPLY_WITH_FIELDS = [
    *text("debug", "Slack Response: a\nb", NOON + 60, bot="Slack", note="two words").split(b"\n")
]
LATER = text("info", "Starting slack bot", NOON + 61)
OLD = text("info", "Slack incoming Request: get pods", NOON)


def within(copies: list[bytes]) -> list[bytes]:
    """Return a reply whose middle lines are copies of earlier log lines."""
    return [REPLY[0], *copies, REPLY[-1]]


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        pytest.param([JSON, JSON], [(Format.JSON, 1, 1), (Format.JSON, 2, 1)], id="json"),
        pytest.param([b'{"msg":"x"}'], [(Format.JSON, 1, 1)], id="json-without-level"),
        pytest.param([b'{"level":"info"}'], [(Format.JSON, 1, 1)], id="json-without-message"),
        pytest.param([b'{"time":"2026-01-01T12:00:00Z"}'], [], id="json-of-others"),
        pytest.param([LOGFMT, LOGFMT], [(Format.LOGFMT, 1, 1), (Format.LOGFMT, 2, 1)], id="logfmt"),
        pytest.param([KLOG, KLOG], [(Format.KLOG, 1, 1), (Format.KLOG, 2, 1)], id="klog"),
        pytest.param([INFO, INFO], [(Format.TEXT, 1, 1), (Format.TEXT, 2, 1)], id="text"),
        pytest.param(
            [b"ERROR: logging before flag.Parse: " + KLOG], [(Format.KLOG, 1, 1)], id="glog"
        ),
        pytest.param([b"noise", JSON, b"noise"], [(Format.JSON, 2, 1)], id="noise-between"),
        pytest.param([*REPLY, LATER], [(Format.TEXT, 1, 3), (Format.TEXT, 4, 1)], id="reply"),
        pytest.param(
            [*REPLY_WITH_FIELDS, LATER],
            [(Format.TEXT, 1, 2), (Format.TEXT, 3, 1)],
            id="fields-end-the-last-line",
        ),
        pytest.param(
            [
                *text("error", "a\nb", error="x " * 4000).split(b"\n"),
                INFO,
            ],
            [(Format.TEXT, 1, 2), (Format.TEXT, 3, 1)],
            id="a-long-field-ends-the-last-line",
        ),
        pytest.param(
            [text("info", "x" * 80).rstrip(b" ") + b"y" * MAX_LINE_BYTES, INFO],
            [(Format.TEXT, 1, 1), (Format.TEXT, 2, 1)],
            id="a-line-that-was-cut-has-no-padding",
        ),
        pytest.param(within([OLD] * 3), [(Format.TEXT, 1, 5)], id="copies-byte-for-byte"),
        pytest.param(within([plain(OLD)] * 3), [(Format.TEXT, 1, 5)], id="copies-without-colour"),
        pytest.param(
            within([plain(text("info", "y", NOON + 61))]),
            [(Format.TEXT, 1, 3)],
            id="without-colour-in-a-coloured-stream-is-never-a-head",
        ),
        pytest.param(within([JSON, LOGFMT, KLOG]), [(Format.TEXT, 1, 5)], id="copies-of-others"),
        pytest.param(within([PANIC, b"x"]), [(Format.TEXT, 1, 4)], id="somebody-says-panic"),
        pytest.param(
            [plain(REPLY[0]), REPLY[1], plain(text("info", "y", NOON + 61))],
            [(Format.TEXT, 1, 2), (Format.TEXT, 3, 1)],
            id="pasted",
        ),
        pytest.param(
            [plain(REPLY[0]), REPLY[1], plain(OLD), plain(text("info", "y", NOON + 61))],
            [(Format.TEXT, 1, 3), (Format.TEXT, 4, 1)],
            id="pasted-with-a-copy",
        ),
        pytest.param(
            [plain(INFO), plain(text("debug", "a")), plain(INFO)],
            [(Format.TEXT, n, 1) for n in (1, 2, 3)],
            id="pasted-without-padding",
        ),
        pytest.param(
            [STANDARD, b"\t* one", b"\t* two", JSON],
            [(Format.STANDARD, 1, 3), (Format.JSON, 4, 1)],
            id="bullets",
        ),
        pytest.param(
            [STANDARD, STANDARD], [(Format.STANDARD, n, 1) for n in (1, 2)], id="standard"
        ),
        pytest.param(
            [PANIC, b"\tpanic: again", *GOROUTINE, b"", b"goroutine 9 [select]:"],
            [(Format.PANIC, 1, 8)],
            id="panic",
        ),
        pytest.param([PANIC, PANIC, *GOROUTINE], [(Format.PANIC, 1, 6)], id="nested-panics"),
        pytest.param([PANIC, JSON], [(Format.JSON, 2, 1)], id="panic-without-goroutine"),
        pytest.param([PANIC], [(Format.PANIC, 1, 1)], id="panic-at-the-end"),
        pytest.param(
            [INFO, PANIC, *GOROUTINE],
            [(Format.TEXT, 1, 1), (Format.PANIC, 2, 5)],
            id="text-then-panic",
        ),
        pytest.param(
            [b"fatal error: all goroutines are asleep - deadlock!", *GOROUTINE],
            [(Format.PANIC, 1, 5)],
            id="runtime-fatal",
        ),
        pytest.param(
            [
                b"SIGABRT: abort",
                b"PC=0x40 m=0 sigcode=0",
                b"",
                b"goroutine 0 gp=0x1 m=0 mp=0x2 [idle]:",
                b"rip    0x40",
            ],
            [(Format.PANIC, 1, 5)],
            id="sigabrt",
        ),
    ],
)
def test_lines_join_to_entries(lines: list[bytes], expected: list[tuple[Format, int, int]]) -> None:
    check_entries(lines, expected)


def test_a_panic_without_goroutines_is_noise_unless_the_stream_ends() -> None:
    entries = Entries()
    entries.feed(PANIC, 1, 1)

    assert (entries.close(), entries.noise) == ([], 1)


def test_an_entry_without_an_api_stamp_has_its_own_time() -> None:
    lines = [
        INFO,
        LOGFMT.replace(b"12:00:00", b"12:00:07"),
        KLOG,
        STANDARD.replace(b":00 ", b":09 "),
    ]

    assert [one.at_ns // NANOS for one in read(lines, None)] == [NOON, NOON + 7, NOON + 7, NOON + 9]


def test_an_entry_has_the_api_stamp_of_its_head() -> None:
    entries = Entries()
    found = [
        *entries.feed(REPLY[0], 5, 1),
        *entries.feed(REPLY[1], 6, 2),
        *entries.feed(REPLY[2], 7, 3),
        *entries.feed(LATER, 8, 4),
    ]

    assert [one.at_ns for one in found] == [5]


def test_an_open_entry_is_where_a_cursor_may_stand() -> None:
    entries = Entries()
    entries.feed(JSON, 1, 1)
    at_rest = entries.open_line
    entries.feed(REPLY[0], 1, 2)
    entries.feed(REPLY[1], 1, 3)

    assert (at_rest, entries.open_line) == (None, 2)


def test_of_a_huge_entry_the_head_is_kept_and_all_lines_are_counted() -> None:
    line = b"x" * 1000
    count = 2 * MAX_ENTRY_BYTES // 1000
    (found,) = read([STANDARD, *[line] * count])

    assert count + 1 == found.line_count
    assert MAX_ENTRY_BYTES - 2000 < len(found.text) <= MAX_ENTRY_BYTES


def test_an_entry_that_does_not_end_is_ended() -> None:
    entries = Entries()
    entries.feed(STANDARD, 1, 1)
    line, number, done = b"x" * 100_000, 1, list[Entry]()
    while entries.open_line is not None and number < 1000:
        number += 1
        done = entries.feed(line, 1, number)

    assert MAX_OPEN_BYTES // 100_000 < number < 1.1 * MAX_OPEN_BYTES / 100_000
    assert [one.first_line for one in done] == [1]


@given(
    st.lists(
        st.one_of(
            st.binary(max_size=30),
            st.sampled_from(
                [
                    *REPLY,
                    *REPLY_WITH_FIELDS,
                    OLD,
                    JSON,
                    LOGFMT,
                    KLOG,
                    STANDARD,
                    PANIC,
                    *GOROUTINE,
                    plain(OLD),
                ]
            ),
        ),
        max_size=20,
    )
)
def test_entries_never_overlap_and_stand_in_order(lines: list[bytes]) -> None:
    end = 0
    for one in read(lines):
        assert one.first_line > end
        end = one.first_line + one.line_count - 1
    assert end <= len(lines)


def sample_lines(name: str) -> list[tuple[int, bytes]]:
    found = []
    for line in Framer().feed((SAMPLES / name).read_bytes()):
        parsed = parse_stamp(line)
        if parsed is not None:
            found.append((parsed[0], line[parsed[1] :]))
    return found


@pytest.mark.parametrize("name", SAMPLE_LOGS)
def test_a_sample_cut_at_any_line_gives_the_same_entries(name: str) -> None:
    lines = sample_lines(name)
    whole = Entries()
    expected: list[Entry] = []
    starts = []
    for number, (at_ns, line) in enumerate(lines, 1):
        expected += whole.feed(line, at_ns, number)
        starts.append(whole.open_line or number + 1)
    ahead = 40
    for start in sorted(set(starts)):
        again = Entries()
        end = start + ahead
        found = [
            entry
            for number, (at_ns, line) in enumerate(lines[start - 1 : end - 1], start)
            for entry in again.feed(line, at_ns, number)
        ]

        done = again.open_line or end
        assert [
            one
            for one in expected
            if start <= one.first_line < done and one.first_line + one.line_count <= end
        ] == found


def test_samples_have_an_entry_for_nearly_every_line_with_a_head() -> None:
    assert SAMPLE_LOGS
    for name in SAMPLE_LOGS:
        lines = sample_lines(name)
        entries = Entries()
        covered = sum(
            one.line_count
            for number, (at_ns, line) in enumerate(lines, 1)
            for one in entries.feed(line, at_ns, number)
        ) + sum(one.line_count for one in entries.finish())

        assert len(lines) - entries.noise == covered, name
        assert entries.noise <= 1 + len(lines) // 20, name


def test_stamps_of_strategies_are_read_back() -> None:
    assert parse_stamp(stamp(NOON * NANOS + 5) + b" ") == (NOON * NANOS + 5, 31)


def test_a_line_that_a_library_prints_holds_nothing_off() -> None:
    lines = [
        text("info", "Starting slack bot"),
        b"some library prints this",
        text("debug", "Slack incoming Request:  get pods"),
        b"unexpected fault address 0x7f",
        b"fatal error: fault",
        b"",
        b"goroutine 1 [running]:",
    ]

    check_entries(lines, [(Format.TEXT, 1, 1), (Format.TEXT, 3, 1), (Format.PANIC, 4, 4)])


@pytest.mark.parametrize("padded", [False, True])
def test_stamped_lines_count_without_their_padding(padded: bool) -> None:
    lines = [text("info", "Starting slack bot"), text("info", "Starting controller")]
    entries = Entries()
    done = [
        entry
        for number, line in enumerate(lines * 2, 1)
        for entry in entries.feed(line if padded else line.rstrip(), number, number)
    ]

    assert len(done) == len(lines * 2) - 1


@pytest.mark.parametrize("first", [b"", b"x" * 100, b"x" * (MAX_LINE_BYTES + 5)])
def test_a_long_chunk_gives_the_lines_of_its_pieces(first: bytes) -> None:
    sizes = [10, MAX_LINE_BYTES - 1, MAX_LINE_BYTES, MAX_LINE_BYTES + 1, 0, 3 * MAX_LINE_BYTES, 7]
    log = b"".join(b"%c" % (97 + n) * size + b"\n" for n, size in enumerate(sizes)) + b"rest"
    whole, pieces = Framer(), Framer()
    expected: list[bytes] = pieces.feed(first)
    for at in range(0, len(log), 1000):
        expected += pieces.feed(log[at : at + 1000])

    assert whole.feed(first) + whole.feed(log) == expected
    assert (whole.tail, whole.cut) == (pieces.tail, pieces.cut)


@pytest.mark.parametrize(("later_ns", "ends"), [(MAX_OPEN_NS, False), (MAX_OPEN_NS + 1, True)])
def test_an_entry_whose_end_does_not_show_is_ended_by_what_comes_much_later(
    later_ns: int, *, ends: bool
) -> None:
    """Else a stream that never rests, in which no text comes any more, would hold all windows."""
    entries, began = Entries(), 1_800_000_000 * NANOS
    odd = b"\x1b[36mINFO\x1b[0m[2026-11-26T10:00:00Z] Starting, and no padding behind it"
    other = b'{"level":"info","msg":"x","time":"2026-11-26T10:00:01Z"}'
    assert entries.feed(odd, began, 1) == []
    found = entries.feed(other, began + later_ns, 2)

    assert [(one.text, one.at_ns) for one in found] == (
        [(odd, began), (other, began + later_ns)] if ends else []
    )
