"""Entries -> records: logrus' three shapes, the other formats, and lines of plugins."""

from __future__ import annotations

import json
from collections.abc import Mapping

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from agent.entries import Entries
from agent.lines import MAX_LINE_BYTES
from agent.model import NANOS, Entry, Format, Record
from agent.records import parse, unquote
from agent.rules.ruleset import LEVELS_OF
from tests.strategies import NOON, clock, levels, names, render, words


def read(shape: Format, text: bytes) -> Record | None:
    return parse(Entry(shape, text, NOON * NANOS, 1, 1))


def shown(record: Record | None) -> tuple[str, bytes, dict[str, bytes]] | None:
    """Level, message and fields but the time of its own, which the formats keep or not."""
    if record is None:
        return None
    return record.level, record.message, {k: v for k, v in record.fields.items() if k != "time"}


def check_round_trip(
    shape: Format, level: str, message: str, fields: Mapping[str, str], expected: str
) -> None:
    line = render(level, message, fields, at=NOON, shape=shape)
    kept = {name: value.encode() for name, value in fields.items()}

    assert (level, expected.encode(), kept) == shown(read(shape, line))


@given(levels, words, st.dictionaries(names, words, max_size=4))
def test_json_is_read_as_it_was_written(level: str, message: str, fields: dict[str, str]) -> None:
    check_round_trip(Format.JSON, level, message, fields, message)


@given(levels, words, st.dictionaries(words, words, max_size=4))
@example("info", "x", {"<&>\u2028": "a=b"})
def test_json_fields_have_any_name(level: str, message: str, fields: dict[str, str]) -> None:
    reserved = {"time", "level", "msg", "plugin", "logger", "subsystem_name"}
    kept = {name: value for name, value in fields.items() if name not in reserved}
    check_round_trip(Format.JSON, level, message, kept, message)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        pytest.param("7", {"a": b"7"}, id="number"),
        pytest.param("-1.5", {"a": b"-1.5"}, id="fraction"),
        pytest.param("true", {"a": b"true"}, id="boolean"),
        pytest.param("null", {}, id="null-is-absent"),
        pytest.param('[1, "é", null]', {"a": '[1,"é",null]'.encode()}, id="list"),
        pytest.param('{"b": {"c": 1}}', {"a": b'{"b":{"c":1}}'}, id="object"),
        pytest.param("[" * 900 + "]" * 900, {"a": b""}, id="too-deep"),
    ],
)
def test_json_fields_that_are_no_text_are_their_json(
    written: str, expected: dict[str, bytes]
) -> None:
    line = f'{{"level":"info","msg":"x","a":{written}}}'.encode()

    assert ("info", b"x", expected) == shown(read(Format.JSON, line))


@given(levels, words, st.dictionaries(names, words, max_size=4))
@example("info", "", {"a": "", "b": '"', "c": "\\"})
def test_logfmt_is_read_as_it_was_written(level: str, message: str, fields: dict[str, str]) -> None:
    check_round_trip(Format.LOGFMT, level, message, fields, message)


@given(levels, st.text(min_size=1, max_size=12), st.integers(0, 16), st.booleans())
@example("debug", "\\", 1, False)  # noqa: FBT003
@example("debug", "\U0001f600", 3, True)  # noqa: FBT003
@example("debug", '"', 0, False)  # noqa: FBT003
def test_of_json_that_was_too_long_the_head_is_read(
    level: str, text: str, off: int, escaped: bool
) -> None:
    message = text * (2 * MAX_LINE_BYTES // len(text))
    fields = {"bot": "Slack", "level": level, "msg": message, "time": "x"}
    line = json.dumps(fields, ensure_ascii=escaped, separators=(",", ":")).encode()
    record = read(Format.JSON, line[: MAX_LINE_BYTES - off])

    assert record is not None
    assert (record.level, record.fields) == (level, {"bot": b"Slack"})
    # A torn piece of UTF-8 is a replacement character.
    whole = record.message.decode().rstrip("\ufffd")
    assert message.replace("\ufffd", "").startswith(whole.replace("\ufffd", ""))
    assert len(record.message) > MAX_LINE_BYTES // 12


@pytest.mark.parametrize("text", [b'{"level":"info","msg":"x', b'{"level":"info","msg":"x"'])
def test_json_that_is_torn_is_none(text: bytes) -> None:
    assert read(Format.JSON, text) is None


uncoloured = st.text(st.characters(codec="utf-8", exclude_characters="\x1b"), max_size=80)


@given(levels, uncoloured, st.dictionaries(names, words, max_size=4))
@example("info", "a\n  b=c", {"bot": "MS Teams"})
@example("error", "x" * 60 + "\n", {})
def test_text_is_read_up_to_its_padding(level: str, message: str, fields: dict[str, str]) -> None:
    # logrus drops one newline and pads with spaces, so neither can be told from the message's own.
    check_round_trip(Format.TEXT, level, message, fields, message.removesuffix("\n").rstrip(" "))


@pytest.mark.parametrize("shape", [Format.JSON, Format.LOGFMT, Format.TEXT])
def test_entries_are_recognised_as_what_they_are(shape: Format) -> None:
    line = render("info", "Starting bot", {"bot": "MS Teams"}, at=NOON, shape=shape)
    entries = Entries()
    (found,) = [*entries.feed(line, None, 1), *entries.finish()]

    assert (shape, NOON * NANOS) == (found.format, found.at_ns)


# --- the others ---


def check(shape: Format, text: bytes, expected: tuple[str, bytes, dict[str, bytes]] | None) -> None:
    assert expected == shown(read(shape, text))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(
            b"INFO[2022-05-22T03:36:26Z] Starting slack bot",
            ("info", b"Starting slack bot", {}),
            id="pasted",
        ),
        pytest.param(
            b'ERRO[2022-05-22T03:36:26Z] while sending                  bot=Slack note="two words"',
            ("error", b"while sending", {"bot": b"Slack", "note": b"two words"}),
            id="pasted-with-fields",
        ),
        pytest.param(
            b"INFO[2022-05-22T03:36:26Z] Slack incoming Request:  get pods  -l a=b c",
            ("info", b"Slack incoming Request:  get pods  -l a=b c", {}),
            id="pasted-words-that-are-no-fields",
        ),
        pytest.param(
            b"\x1b[36mINFO\x1b[0m[2022-05-22T03:36:26Z] a \x1b[31mred\x1b[0m word   ",
            ("info", b"a red word", {}),
            id="colours-within-the-message",
        ),
        pytest.param(
            b"\x1b[37mDEBU\x1b[0m[2022-05-22T03:36:26Z] Slack incoming Request:  get po ",
            ("debug", b"Slack incoming Request:  get po", {}),
            id="inner-spaces-stay",
        ),
        pytest.param(b"\x1b[37mDEBU\x1b[0m 2022 x", None, id="no-time"),
    ],
)
def test_text(text: bytes, expected: tuple[str, bytes, dict[str, bytes]] | None) -> None:
    check(Format.TEXT, text, expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b'time="x" level=fatal msg=invalid_auth', ("fatal", b"invalid_auth", {})),
        (b"time=x level=info msg=", ("info", b"", {})),
        (b'time="x" level=info msg="a \\"b\\"\\n\\tc" k=', ("info", b'a "b"\n\tc', {"k": b""})),
        (b'time="x" level=info msg=a fields.level=b', ("info", b"a", {"fields.level": b"b"})),
        (b'time="x" level=info msg="a', None),
        (b'time="x" level=info msg="a"b', None),
        (b'time="x" level=loud msg=a', None),
        (b'time="x" level=info', None),
        (b'time="x" msg=a', None),
    ],
)
def test_logfmt(text: bytes, expected: tuple[str, bytes, dict[str, bytes]] | None) -> None:
    check(Format.LOGFMT, text, expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b'{"level":"info","msg":"\\u003ca\\u003e","n":7}', ("info", b"<a>", {"n": b"7"})),
        (
            b'{"level":"info","msg":"x","bindings":["a"],"url":{"a":1}}',
            ("info", b"x", {"bindings": b'["a"]', "url": b'{"a":1}'}),
        ),
        (b'{"level":"info","msg":"\xff"}', ("info", "\ufffd".encode(), {})),
        (b'{"level":"info","msg":"tor', None),
        (b'{"level":"info","msg":"x"}{', None),
        (b'{"level":"info","msg":7}', None),
        (b'{"level":"notice","msg":"x"}', None),
        (b'{"level":["info"],"msg":"x"}', None),
        (b'{"level":{},"msg":"x"}', None),
        (b'{"msg":"x"}', None),
        (b'["level","msg"]', None),
        (b"[" * 5000, None),
    ],
)
def test_json(text: bytes, expected: tuple[str, bytes, dict[str, bytes]] | None) -> None:
    check(Format.JSON, text, expected)


@pytest.mark.parametrize(
    ("shape", "text", "expected"),
    [
        pytest.param(
            Format.KLOG,
            b"E0821 13:26:24.099247       1 reflector.go:138] pkg: Failed",
            ("error", b"pkg: Failed", {}),
            id="klog",
        ),
        pytest.param(
            Format.KLOG,
            b"ERROR: logging before flag.Parse: W0321 13:26:24.099247       1 x.go:1] y",
            ("warning", b"y", {}),
            id="glog",
        ),
        pytest.param(Format.KLOG, b"E0821 13:26:24.099247 torn", None, id="klog-torn"),
        pytest.param(
            Format.STANDARD,
            b"2022/08/03 13:32:27 while x: 1 error occurred:\n\t* y",
            ("", b"while x: 1 error occurred:\n\t* y", {}),
            id="standard",
        ),
        pytest.param(
            Format.STANDARD, b"2022/05/22 03:36:26.5 [DG0] x", ("", b"[DG0] x", {}), id="fraction"
        ),
        pytest.param(Format.STANDARD, b"2022/05/22", None, id="standard-torn"),
        pytest.param(Format.PANIC, b"panic: x\n\n", ("panic", b"panic: x\n\n", {}), id="panic"),
    ],
)
def test_other_formats(
    shape: Format, text: bytes, expected: tuple[str, bytes, dict[str, bytes]] | None
) -> None:
    check(shape, text, expected)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"bare", b"bare"),
        (b'"', b'"'),
        (b'""', b""),
        (b'"\\x1b\\a\\b\\f\\n\\r\\t\\v\\\\\\""', b'\x1b\a\b\f\n\r\t\v\\"'),
        (b'"\\u00e9\\U0001f600"', "é😀".encode()),
        (b'"\\ud800\\U00110000"', b"?\xef\xbf\xbd"),
    ],
)
def test_go_quoting_is_undone(value: bytes, expected: bytes) -> None:
    assert expected == unquote(value)


# --- plugins ---


def wrapped(message: str, **fields: str) -> bytes:
    return render(
        "error", message, {"plugin": "botkube/kubernetes", **fields}, at=NOON, shape=Format.JSON
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(
            wrapped(
                render("info", "Registering", {"id": "1"}, at=NOON, shape=Format.TEXT).decode(),
                logger="stderr",
            ),
            ("info", b"Registering", b"1"),
            id="text",
        ),
        pytest.param(
            wrapped(
                render("info", "Registering", {"id": "1"}, at=NOON, shape=Format.LOGFMT).decode(),
                logger="stdout",
            ),
            ("info", b"Registering", b"1"),
            id="logfmt",
        ),
        pytest.param(
            wrapped("just words", logger="stderr"), ("error", b"just words", None), id="words"
        ),
        pytest.param(
            wrapped("panic: x", logger="stderr"), ("error", b"panic: x", None), id="panic"
        ),
        pytest.param(wrapped('{"msg":', logger="stderr"), ("error", b'{"msg":', None), id="torn"),
        pytest.param(
            wrapped("plugin process exited", id="1"),
            ("error", b"plugin process exited", b"1"),
            id="not-wrapped",
        ),
    ],
)
def test_a_plugins_line_is_unwrapped_once(
    text: bytes, expected: tuple[str, bytes, bytes | None]
) -> None:
    record = read(Format.JSON, text)

    assert record is not None
    assert record.plugin
    assert expected == (record.level, record.message, record.fields.get("id"))


def test_an_unwrapped_line_is_not_unwrapped_again() -> None:
    inner = render("info", "deep", {}, at=NOON, shape=Format.LOGFMT).decode()
    middle = render("debug", inner, {"logger": "stderr"}, at=NOON, shape=Format.LOGFMT).decode()
    record = read(Format.JSON, wrapped(middle, logger="stderr"))

    assert record is not None
    assert ("debug", inner.encode()) == (record.level, record.message)


def test_a_plugin_cannot_pass_for_the_core() -> None:
    inner = render("info", "Starting bot", {"plugin": "", "bot": "x"}, at=NOON, shape=Format.LOGFMT)
    record = read(Format.JSON, wrapped(inner.decode(), logger="stdout"))

    assert record is not None
    assert (record.plugin, record.fields["plugin"]) == (True, b"botkube/kubernetes")


# --- parsing never raises ---

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.sampled_from(["info", "stderr", "x"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["level", "msg", "plugin", "logger", "time"]), inner, max_size=5
        )
    ),
    max_leaves=8,
)
rendered = st.builds(
    lambda level, message, shape: render(
        level, message, {"bot": "MS Teams", "error": message}, at=NOON, shape=shape
    ),
    levels,
    words,
    st.sampled_from([Format.JSON, Format.LOGFMT, Format.TEXT]),
)
torn = st.builds(
    lambda line, at, put: line[: at % (len(line) + 1)] + put + line[at % (len(line) + 1) :][1:],
    rendered,
    st.integers(0, 300),
    st.binary(max_size=4),
)


@given(st.sampled_from(Format), st.binary(max_size=120) | torn | json_values.map(orjson.dumps))
@example(Format.JSON, b'{"level":[],"msg":"x"}')
def test_parsing_never_raises(shape: Format, text: bytes) -> None:
    record = read(shape, text)

    assert record is None or isinstance(record.message, bytes)


def test_a_clock_of_strategies_is_logrus_time() -> None:
    assert clock(NOON) == "2026-01-01T12:00:00Z"


def test_the_rules_know_which_formats_have_which_levels() -> None:
    texts = {
        Format.STANDARD: [b"2022/05/22 03:36:26 x"],
        Format.KLOG: [b"%c0821 13:26:24.099247       1 x.go:1] x" % letter for letter in b"IWEF"],
        Format.PANIC: [b"panic: x"],
    }
    records = {one: [read(one, text) for text in lines] for one, lines in texts.items()}

    assert {
        one: frozenset(record.level for record in found if record and record.level)
        for one, found in records.items()
    } == LEVELS_OF
    assert not any(record is None or record.fields for one in records.values() for record in one)
