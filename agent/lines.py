"""Bytes of a log reply -> whole physical lines, their stamps, and what their heads say.

Owns framing, the API's stamp prefix, and the head by which the format of a line is known. Must not
know which lines belong together, rules, clocks or where the bytes come from. Any cutting of the
bytes into chunks gives the same lines.
"""

from __future__ import annotations

import re
from calendar import monthrange, timegm
from functools import lru_cache
from typing import TYPE_CHECKING

from attrs import frozen

from agent.model import NANOS, Format

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_LINE_BYTES = 256 * 1024
MAX_STAMP_BYTES = 40

_YEARS = range(1970, 2262)
"""Nanoseconds since the epoch of these years fit into 64 bits, as State needs."""

_STAMP = re.compile(
    rb"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(?:Z|([+-])(\d\d):(\d\d))"
)
TEXT_HEAD = re.compile(
    rb"(\x1b\[\d+m)?(?:INFO|DEBU|WARN|ERRO|FATA|PANI|TRAC)(?:\x1b\[0m)?"
    rb"\[(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:Z|[+-]\d\d:\d\d))\] ?"
)
_STANDARD_HEAD = re.compile(rb"\d{4}/\d\d/\d\d \d\d:\d\d:\d\d(?:\.\d+)? ")
_KLOG_HEAD = re.compile(
    rb"(?:ERROR: logging before flag\.Parse: )?[IWEF]\d{4} \d\d:\d\d:\d\d\.\d{6} "
)
_PANIC_HEAD = re.compile(rb"panic: |fatal error: |SIG[A-Z]+: |runtime: |unexpected fault address ")
_JSON_TIME = re.compile(rb'"time":"([^"]+)"')


class Framer:
    """Turns chunks of bytes into whole lines, split on newline alone.

    A line longer than `MAX_LINE_BYTES` keeps that much of its head; the rest is thrown away and
    `cut` is stepped. A trailing carriage return is not part of the line. `whole` are the lines
    that were returned last in one piece, each with its newline; nothing if they came otherwise.
    """

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._kept = 0
        self.cut = 0
        self.whole = b""

    @property
    def tail(self) -> bytes:
        """The bytes after the last newline: half a line, or a last line without a newline."""
        return b"".join(self._parts)

    def feed(self, chunk: bytes) -> list[bytes]:
        """Return the lines that this chunk completes, without their newlines."""
        *lines, rest = chunk.split(b"\n")
        is_long = len(chunk) > MAX_LINE_BYTES
        is_cut = is_long and max(map(len, lines), default=0) > MAX_LINE_BYTES
        if is_cut:
            lines = [self._end(line) for line in lines]
        elif lines:
            lines[0] = self._end(lines[0])
        self._keep(rest)
        has_returns = b"\r" in chunk or (lines and lines[0].endswith(b"\r"))
        if is_cut or has_returns or not lines:
            self.whole = b""
        else:
            self.whole = lines[0] + chunk[chunk.index(b"\n") : len(chunk) - len(rest)]
        return [line.removesuffix(b"\r") for line in lines] if has_returns else lines

    def _end(self, piece: bytes) -> bytes:
        self._keep(piece)
        line = b"".join(self._parts)
        self._parts.clear()
        self._kept = 0
        return line

    def _keep(self, piece: bytes) -> None:
        room = MAX_LINE_BYTES - self._kept
        if len(piece) > room:
            if room >= 0:
                self.cut += 1
            piece = piece[: max(room, 0)]
            self._kept = MAX_LINE_BYTES + 1
        else:
            self._kept += len(piece)
        if piece:
            self._parts.append(piece)


@lru_cache(maxsize=4096)
def _epoch_seconds(whole: bytes) -> int | None:
    """Seconds since the epoch of `YYYY-MM-DDThh:mm:ss` read as UTC, or None for no such time."""
    year, month, day = int(whole[0:4]), int(whole[5:7]), int(whole[8:10])
    hour, minute, second = int(whole[11:13]), int(whole[14:16]), int(whole[17:19])
    if year not in _YEARS or not 1 <= month <= 12:  # noqa: PLR2004 the calendar's own numbers
        return None
    if not 1 <= day <= monthrange(year, month)[1]:
        return None
    if not (hour < 24 and minute < 60 and second < 61):  # noqa: PLR2004 the clock's
        return None
    return timegm((year, month, day, hour, minute, second))


def parse_time(text: bytes) -> int | None:
    """Nanoseconds since the epoch of an RFC 3339 time at the start of `text`, else None."""
    found = _STAMP.match(text)
    return _nanoseconds(found) if found else None


def _nanoseconds(found: re.Match[bytes]) -> int | None:
    seconds = _epoch_seconds(found.string[found.start() : found.start() + 19])
    if seconds is None:
        return None
    fraction, sign, hours, minutes = found.group(7, 8, 9, 10)
    if sign:
        offset = int(hours) * 3600 + int(minutes) * 60
        seconds += -offset if sign == b"+" else offset
    return seconds * NANOS + (int(fraction.ljust(9, b"0")) if fraction else 0)


def parse_stamp(line: bytes) -> tuple[int, int] | None:
    """Return (stamp in ns, where the text begins) of a line with the API's stamp, else None.

    The kubelet prints RFC 3339 with nine digits and one space; a line without it is a fragment,
    error text or in-band noise (kubernetes/kubernetes#77603, #142258) and never a line of the log.
    """
    found = _STAMP.match(line)
    if not found:
        return None
    end = found.end()
    # Nothing follows where an empty line's trailing space was lost on the way.
    if line[end : end + 1] not in {b" ", b""}:
        return None
    at_ns = _nanoseconds(found)
    return None if at_ns is None else (at_ns, end + 1)


def is_stamped(lines: Sequence[bytes]) -> bool:
    """Whether a saved log stands with the API's stamps (`kubectl logs --timestamps`) or without.

    The first line that begins an entry decides; kubectl or an editor may have put others before.
    """
    for line in lines:
        whole = line.removesuffix(b"\r")
        stamp = parse_stamp(whole)
        if read_head(whole if stamp is None else whole[stamp[1] :]) is not None:
            return stamp is not None
    return any(parse_stamp(line.removesuffix(b"\r")) is not None for line in lines)


@frozen
class Head:
    """What the first bytes of a line say it begins."""

    format: Format
    own_ns: int | None
    coloured: bool = False


def read_head(text: bytes) -> Head | None:
    """Tell the format of the entry that this line would begin, or None for a continuation."""
    first = text[:1]
    if first == b"{":
        if not text.startswith(b'{"'):
            return None
        found = _JSON_TIME.search(text, max(0, len(text) - 120)) or _JSON_TIME.search(text)
        own = parse_time(found.group(1)) if found else None
        return Head(Format.JSON, own) if b'"msg":' in text or b'"level":' in text else None
    if first == b"t" and text.startswith(b"time="):
        return Head(Format.LOGFMT, parse_time(text[5:].lstrip(b'"')))
    if first in b"\x1bIDWEFPT" and first and (found := TEXT_HEAD.match(text)):
        return Head(Format.TEXT, parse_time(found.group(2)), coloured=found.group(1) is not None)
    if first in b"IWEF" and first and _KLOG_HEAD.match(text):
        return Head(Format.KLOG, None)
    if first in b"pfSru" and first and _PANIC_HEAD.match(text):
        return Head(Format.PANIC, None)
    if first.isdigit() and _STANDARD_HEAD.match(text):
        return Head(Format.STANDARD, _standard_time(text))
    return None


def _standard_time(text: bytes) -> int | None:
    # Go's standard logger prints local time without a zone; containers run in UTC.
    return parse_time(text[:10].replace(b"/", b"-") + b"T" + text[11:19] + b"Z")
