"""Entry -> Record: level, message and fields of BotKube's five line shapes.

Owns logrus' text, logfmt and JSON, the standard log, klog and panics, and the unwrapping of plugin
lines. Must not know what
any message means. Never raises: what cannot be read as its format is None.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from typing import TypeAlias

import orjson

from agent.lines import MAX_LINE_BYTES, read_head
from agent.model import Entry, Format, Record

_LEVELS = {
    b"TRAC": "trace",
    b"DEBU": "debug",
    b"INFO": "info",
    b"WARN": "warning",
    b"ERRO": "error",
    b"FATA": "fatal",
    b"PANI": "panic",
}
_KLOG_LEVELS = {b"I": "info", b"W": "warning", b"E": "error", b"F": "fatal"}
_LEVEL_WORDS = frozenset({"trace", "debug", "info", "warning", "error", "fatal", "panic"})

_SGR = re.compile(rb"\x1b\[[0-9;]*m")
_TEXT_HEAD = re.compile(
    rb"(?:\x1b\[(\d+)m)?(TRAC|DEBU|INFO|WARN|ERRO|FATA|PANI)(?:\x1b\[0m)?\[[^\]]*\] ?"
)
_VALUE = rb'"(?:[^"\\]|\\.)*"|[^\s"]*'
_PLAIN_FIELDS = re.compile(rb"  ((?:[A-Za-z_][\w.-]*=(?:%b)(?: |$))+)$" % _VALUE)
_PLAIN_FIELD = re.compile(rb"([A-Za-z_][\w.-]*)=(%b)(?: |$)" % _VALUE)
_LOGFMT_FIELD = re.compile(rb"([A-Za-z_][\w.-]*)=(%b)(?: |$)" % _VALUE)
_LOGFMT_CUT = re.compile(rb'([A-Za-z_][\w.-]*)="((?:[^"\\]|\\.)*)\\?')
_SHORTEST_CUT = MAX_LINE_BYTES - 64
"""A line that was too long has lost its end; what stands before it is read."""
_LONGEST_ESCAPE = len(r"\ud83d\ude00")
_KLOG = re.compile(
    rb"(?:ERROR: logging before flag\.Parse: )?([IWEF])\d{4} \d\d:\d\d:\d\d\.\d{6} +\d+ [^\]]*\] ?"
)
_STANDARD_PREFIX = re.compile(rb"\d{4}/\d\d/\d\d \d\d:\d\d:\d\d(?:\.\d+)? ")
_ESCAPE = re.compile(rb"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|(.))", re.DOTALL)
_SIMPLE = {
    b"n": b"\n",
    b"t": b"\t",
    b"r": b"\r",
    b"a": b"\a",
    b"b": b"\b",
    b"f": b"\f",
    b"v": b"\v",
}

_PLUGIN_FIELDS = frozenset({"plugin", "logger", "subsystem_name"})


def parse(entry: Entry) -> Record | None:
    """Read an entry as its format, or return None if it is torn or only looks like it."""
    parts = _PARSERS[entry.format](entry.text)
    if parts is None:
        return None
    level, message, fields = parts
    plugin = not _PLUGIN_FIELDS.isdisjoint(fields)
    if plugin and fields.get("logger") in {b"stderr", b"stdout"}:
        level, message, fields = _unwrap(level, message, fields)
    return Record(
        entry.format, level, message, fields, entry.at_ns, entry.first_line, plugin=plugin
    )


_Parts: TypeAlias = tuple[str, bytes, Mapping[str, bytes]]


def _unwrap(level: str, message: bytes, fields: Mapping[str, bytes]) -> _Parts:
    """Read the log line that a plugin wrote and BotKube wrapped through go-plugin, once."""
    head = read_head(message)
    inner = _PARSERS[head.format](message) if head and head.format is not Format.PANIC else None
    if inner is None:
        return level, message, fields
    return inner[0], inner[1], {**inner[2], **fields}


def _parse_json(text: bytes) -> _Parts | None:
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError:
        found = _parse_json_leniently(text)
    if not isinstance(found, dict):
        return None
    level, message = found.pop("level", None), found.pop("msg", None)
    if not isinstance(level, str) or level not in _LEVEL_WORDS or not isinstance(message, str):
        return None
    fields = {name: _json_field(value) for name, value in found.items() if value is not None}
    return level, message.encode("utf-8", "replace"), fields


def _json_field(value: object) -> bytes:
    """Return a text as it is, and anything else as JSON without spaces; `null` is no value."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace")
    try:
        return orjson.dumps(value)
    except orjson.JSONEncodeError:  # nested more deeply than it is written
        return b""


def _parse_json_leniently(text: bytes) -> object:
    """Read JSON with bytes that are not UTF-8 (they become replacement characters), or cut off."""
    text = text.decode("utf-8", "replace").encode()
    with suppress(orjson.JSONDecodeError):
        return orjson.loads(text)
    # What a line that was too long ends in the middle of is a text, perhaps in an escape of it.
    for lost in range(_LONGEST_ESCAPE) if len(text) > _SHORTEST_CUT else ():
        with suppress(orjson.JSONDecodeError):
            return orjson.loads(text[: len(text) - lost] + b'"}')
    return None


def _parse_logfmt(text: bytes) -> _Parts | None:
    fields: dict[str, bytes] = {}
    position = 0
    while position < len(text):
        found = _LOGFMT_FIELD.match(text, position)
        if found is None:
            cut = _LOGFMT_CUT.fullmatch(text, position) if len(text) > _SHORTEST_CUT else None
            if cut is None:
                return None
            fields.setdefault(cut.group(1).decode(), unquote(b'"' + cut.group(2) + b'"'))
            break
        fields.setdefault(found.group(1).decode(), unquote(found.group(2)))
        position = found.end()
    level = fields.pop("level", b"").decode("ascii", "replace")
    message = fields.pop("msg", None)
    if level not in _LEVEL_WORDS or message is None:
        return None
    return level, message, fields


def _parse_text(text: bytes) -> _Parts | None:
    found = _TEXT_HEAD.match(text)
    if found is None:
        return None
    colour, level = found.group(1), _LEVELS[found.group(2)]
    rest = text[found.end() :]
    if colour is None:
        message, fields = _split_plain_fields(rest)
    else:
        message, fields = _split_coloured_fields(rest, colour)
    return level, _SGR.sub(b"", message).rstrip(b" "), fields


def _split_coloured_fields(rest: bytes, colour: bytes) -> tuple[bytes, Mapping[str, bytes]]:
    """Cut the fields off the end: ` ESC[36mbot ESC[0m=Mattermost`, in the colour of the level.

    They stand behind the message's padding, on the last physical line. A
    plugin's own fields are in the colour of the plugin's level and stay in the message.
    """
    mark = b" \x1b[" + colour + b"m"
    last_line = rest.rfind(b"\n") + 1
    start = rest.find(b" " + mark, last_line)
    if start < 0:
        return rest, {}
    fields: dict[str, bytes] = {}
    for piece in rest[start + 1 :].split(mark)[1:]:
        name, separator, value = piece.partition(b"\x1b[0m=")
        if not separator:
            return rest, {}
        fields[_SGR.sub(b"", name).decode("ascii", "replace")] = unquote(value)
    return rest[:start], fields


def _split_plain_fields(rest: bytes) -> tuple[bytes, Mapping[str, bytes]]:
    """Do the same for text that somebody pasted without its escapes."""
    last_line = rest.rfind(b"\n") + 1
    found = _PLAIN_FIELDS.search(rest, last_line) if b"=" in rest[last_line:] else None
    if found is None:
        return rest, {}
    fields = {name.decode(): unquote(value) for name, value in _PLAIN_FIELD.findall(found.group(1))}
    return rest[: found.start()], fields


def _parse_standard(text: bytes) -> _Parts | None:
    # Only `log.Fatal` in BotKube's main uses the standard logger (cmd/botkube/main.go).
    found = _STANDARD_PREFIX.match(text)
    return ("", text[found.end() :], {}) if found else None


def _parse_klog(text: bytes) -> _Parts | None:
    found = _KLOG.match(text)
    return (_KLOG_LEVELS[found.group(1)], text[found.end() :], {}) if found else None


def _parse_panic(text: bytes) -> _Parts | None:
    return "panic", text, {}


_PARSERS = {
    Format.JSON: _parse_json,
    Format.LOGFMT: _parse_logfmt,
    Format.TEXT: _parse_text,
    Format.STANDARD: _parse_standard,
    Format.KLOG: _parse_klog,
    Format.PANIC: _parse_panic,
}


def unquote(value: bytes) -> bytes:
    r"""Undo Go's `%q` where a value is quoted: `\"`, `\n`, `\x1b`, `\u00e9`."""
    if value[:1] != b'"' or value[-1:] != b'"' or len(value) < 2:  # noqa: PLR2004 two quotes
        return value
    inner = value[1:-1]
    return _ESCAPE.sub(_unescape, inner) if b"\\" in inner else inner


def _unescape(found: re.Match[bytes]) -> bytes:
    byte, short, long, simple = found.groups()
    if byte is not None:
        return bytes((int(byte, 16),))
    if simple is not None:
        return _SIMPLE.get(simple, simple)
    code = int(short or long, 16)
    return chr(code).encode("utf-8", "replace") if code < 0x110000 else b"\xef\xbf\xbd"  # noqa: PLR2004
