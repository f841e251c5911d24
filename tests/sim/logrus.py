"""The three shapes in which logrus prints an entry, byte for byte: coloured, logfmt and JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from tests.sim.gotime import seconds_stamp

Fields = Mapping[str, object]

_COLOURS = {"debug": 37, "info": 36, "warning": 33, "error": 31, "fatal": 31, "panic": 31}
_BARE = re.compile(r"[A-Za-z0-9\-._/@^+]*")
_ESCAPES = {
    '"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r",
    "\a": "\\a", "\b": "\\b", "\f": "\\f", "\v": "\\v",
}  # fmt: skip


def coloured(at: int, level: str, message: str, fields: Fields | None = None) -> bytes:
    """Print as TextFormatter does with colours: newlines of the message stay newlines."""
    colour = f"\x1b[{_COLOURS[level]}m"
    head = f"{colour}{level.upper()[:4]}\x1b[0m[{seconds_stamp(at)}] "
    tail = "".join(
        f" {colour}{key}\x1b[0m={_value(value)}" for key, value in sorted((fields or {}).items())
    )
    return f"{head}{message.removesuffix(chr(10)):<44} {tail}\n".encode()


def logfmt(at: int, level: str, message: str, fields: Fields | None = None) -> bytes:
    """Print as TextFormatter does without colours: one physical line."""
    head = f'time="{seconds_stamp(at)}" level={level} msg={_value(message)}'
    tail = "".join(f" {key}={_value(value)}" for key, value in sorted((fields or {}).items()))
    return f"{head}{tail}\n".encode()


def as_json(at: int, level: str, message: str, fields: Fields | None = None) -> bytes:
    """Print as JSONFormatter does: sorted keys, and Go's escapes for HTML."""
    entry = {**(fields or {}), "level": level, "msg": message, "time": seconds_stamp(at)}
    text = json.dumps(entry, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    for char, escape in (("<", "\\u003c"), (">", "\\u003e"), ("&", "\\u0026")):
        text = text.replace(char, escape)
    return text.encode() + b"\n"


def klog(at: int, severity: str, source: str, message: str) -> bytes:
    """Print as client-go does, on stderr."""
    stamp = seconds_stamp(at)
    day, clock = stamp[5:7] + stamp[8:10], stamp[11:19]
    micros = at % 1_000_000_000 // 1000
    return f"{severity}{day} {clock}.{micros:06d}       1 {source}] {message}\n".encode()


def _value(value: object) -> str:
    text = _go_text(value)
    if _BARE.fullmatch(text):
        return text
    return '"' + "".join(_quoted(char) for char in text) + '"'


def _quoted(char: str) -> str:
    if char in _ESCAPES:
        return _ESCAPES[char]
    if char.isprintable():
        return char
    code = ord(char)
    return (
        f"\\x{code:02x}"
        if code < 0x80
        else f"\\u{code:04x}"
        if code < 0x10000
        else f"\\U{code:08x}"
    )


def _go_text(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f"[{' '.join(map(str, value))}]"
    return str(value)
