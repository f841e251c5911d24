"""Bytes of a log reply -> whole physical lines with their stamps -> entries.

Owns framing, the API's stamp prefix, and the rule by which physical lines belong to one entry
(logrus pads a coloured message and puts its fields last). Must not know rules, clocks or where the
bytes come from. Any cutting of the bytes into chunks gives the same lines and the same entries.
"""

from __future__ import annotations

import re
from calendar import monthrange, timegm
from functools import lru_cache

from attrs import define, frozen

from agent.model import NANOS, Entry, Format

MAX_LINE_BYTES = 256 * 1024
MAX_ENTRY_BYTES = 1024 * 1024
MAX_OPEN_BYTES = 8 * 1024 * 1024
_MAX_STAMP_BYTES = 40
_MAX_FIELD_BYTES = 512

_YEARS = range(1970, 2262)
"""Nanoseconds since the epoch of these years fit into 64 bits, as State needs."""

_STAMP = re.compile(
    rb"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(?:Z|([+-])(\d\d):(\d\d))"
)
_TEXT_HEAD = re.compile(
    rb"(\x1b\[\d+m)?(?:INFO|DEBU|WARN|ERRO|FATA|PANI|TRAC)(?:\x1b\[0m)?"
    rb"\[(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:Z|[+-]\d\d:\d\d))\] ?"
)
_STANDARD_HEAD = re.compile(rb"\d{4}/\d\d/\d\d \d\d:\d\d:\d\d(?:\.\d+)? ")
_KLOG_HEAD = re.compile(
    rb"(?:ERROR: logging before flag\.Parse: )?[IWEF]\d{4} \d\d:\d\d:\d\d\.\d{6} "
)
_PANIC_HEAD = re.compile(rb"panic: |fatal error: |SIG[A-Z]+: |runtime: |unexpected fault address ")
_GOROUTINE = re.compile(rb"\ngoroutine \d+ [^\n]*\[[a-z]")
_JSON_TIME = re.compile(rb'"time":"([^"]+)"')
_FIELD_MARK = b"\x1b[0m="
_PLAIN_FIELD_END = re.compile(rb' [A-Za-z_][\w.-]*=(?:"(?:[^"\\]|\\.)*"|[^\s"]*)$')
_PLAIN_FIELDS = re.compile(rb'(?: [A-Za-z_][\w.-]*=(?:"(?:[^"\\]|\\.)*"|[^\s"]*))+')
_OWN_FIELD_END = re.compile(
    rb' (?:bot|sink|commGroup|component|plugin\w*)=(?:"(?:[^"\\]|\\.)*"|[^\s"]*)$'
)
"""A field that BotKube puts last, and hardly anybody whose output it quotes."""
_PADDED_COLUMNS = 45
"""logrus pads a message to 44 columns and puts a space behind it."""
_FIELD_VALUE = re.compile(rb'"(?:[^"\\]|\\.)*"|[^\s"]*')


class Framer:
    """Turns chunks of bytes into whole lines, split on newline alone.

    A line longer than `MAX_LINE_BYTES` keeps that much of its head; the rest is thrown away and
    `cut` is stepped. A trailing carriage return is not part of the line.
    """

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._kept = 0
        self.cut = 0

    @property
    def tail(self) -> bytes:
        """The bytes after the last newline: half a line, or a last line without a newline."""
        return b"".join(self._parts)

    def feed(self, chunk: bytes) -> list[bytes]:
        """Return the lines that this chunk completes, without their newlines."""
        *whole, rest = chunk.split(b"\n")
        lines: list[bytes] = []
        for piece in whole:
            self._keep(piece)
            line = b"".join(self._parts)
            self._parts.clear()
            self._kept = 0
            lines.append(line.removesuffix(b"\r"))
        self._keep(rest)
        return lines

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
    if line[end : end + 1] != b" ":
        if end != len(line):
            return None
        end -= 1  # an empty line whose trailing space was lost on the way
    at_ns = _nanoseconds(found)
    return None if at_ns is None else (at_ns, end + 1)


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
    if first in b"\x1bIDWEFPT" and first and (found := _TEXT_HEAD.match(text)):
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


_SINGLE_LINE = frozenset({Format.JSON, Format.LOGFMT, Format.KLOG})


@define
class _Open:
    format: Format
    coloured: bool
    own_ns: int | None
    at_ns: int
    first_line: int
    texts: list[bytes]
    size: int
    last: bytes
    count: int = 1
    is_sure: bool = False
    """Whether the first line shows that nothing of this entry follows it."""
    quotes: bool = False
    """Whether a line of it looked like the head of another entry."""


class Entries:
    """Joins lines to entries. Feed lines in order; an entry comes out when it is known to be whole.

    Single-line formats come out at once. A coloured or standard-log entry, and a panic, stay open
    until a line begins the next one or nothing can follow. `open_line` is where a Cursor may
    stand. Bounded: of an open entry at most `MAX_ENTRY_BYTES` are kept, its lines all counted; one
    of more than `MAX_OPEN_BYTES` is ended, since its lines can be neither counted nor forgotten.
    """

    def __init__(self) -> None:
        self._open: _Open | None = None
        self._padded = False
        self._has_fields = False
        self._stripped = False
        self.last_ns = 0
        self.noise = 0

    @property
    def open_line(self) -> int | None:
        """The number of the open entry's head line, if one is open."""
        return self._open.first_line if self._open else None

    def feed(self, text: bytes, at_ns: int | None, number: int) -> list[Entry]:
        """Take line `number` (its text without the stamp) and return the entries it completes.

        `at_ns` is the API's stamp; None means that the input has none and the entry's own time
        stands in for it.
        """
        head = read_head(text)
        current = self._open
        if head is not None and head.format is Format.TEXT and text[-1:] == b" ":
            self._padded = True
        elif head is not None and current is not None:
            self._notice_stripping(current, head, text, at_ns)
        if current is not None and not self._begins(current, head):
            if head is None and current.is_sure and (self._padded or self._shows_by_fields()):
                # A line that a library prints, and no part of the message before it.
                self.noise += 1
                return self.close()
            current.last = text
            current.quotes |= head is not None and head.format is Format.TEXT
            current.count += 1
            current.size += len(text) + 1
            if current.size <= MAX_ENTRY_BYTES:
                current.texts.append(text)
            return self.close() if current.size > MAX_OPEN_BYTES else []
        if current is not None and head is not None and _lacks_padding(current, head):
            self._stripped = True
        done = self.close()
        if head is None:
            self.noise += 1
            return done
        at = at_ns if at_ns is not None else head.own_ns or self.last_ns
        self.last_ns = at
        if head.format in _SINGLE_LINE:
            done.append(Entry(head.format, text, at, number, 1))
            return done
        self._open = _Open(
            head.format, head.coloured, head.own_ns, at, number, [text], len(text), text
        )
        self._open.is_sure = _is_whole(self._open)
        self._has_fields |= self._open.is_sure
        if head.coloured and at_ns is not None and not self._stripped:
            # The API gives lines as they were written; an editor may have cut the padding off.
            self._padded = True
        return done

    def _notice_stripping(self, current: _Open, head: Head, text: bytes, at_ns: int | None) -> None:
        """Note that saved lines have lost their padding: two heads in a row end without it.

        No line of a log ends so but the first of a message with several, whose copies of earlier
        entries are padded.
        """
        if (
            at_ns is not None
            and not self._stripped
            and current.format is head.format is Format.TEXT
            and (current.coloured and head.coloured)
            and not (_is_complete(current.last, current) or _is_complete(text, current))
            and (head.own_ns or 0) >= (current.own_ns or 0)
        ):
            self._stripped, self._padded = True, False

    def _shows_by_fields(self) -> bool:
        return self._has_fields and not self._stripped

    def close(self) -> list[Entry]:
        """Complete the open entry, if any, because another entry begins."""
        current, self._open = self._open, None
        if current is None:
            return []
        text = b"\n".join(current.texts)
        if current.format is Format.PANIC and _GOROUTINE.search(text) is None:
            # Somebody's words: a real panic is followed by a goroutine header.
            self.noise += 1
            return []
        return [Entry(current.format, text, current.at_ns, current.first_line, current.count)]

    def finish(self) -> list[Entry]:
        """Complete the open entry because the stream has ended: a panic may lack its goroutines."""
        current = self._open
        if current is None or current.format is not Format.PANIC:
            return self.close()
        self._open = None
        text = b"\n".join(current.texts)
        return [Entry(current.format, text, current.at_ns, current.first_line, current.count)]

    def _begins(self, current: _Open, head: Head | None) -> bool:
        """Whether a line with this head begins a new entry while `current` is open."""
        if head is None:
            return False
        if current.format is not Format.TEXT:
            # Bullets follow a standard-log line; nested panics belong to the first.
            return not (current.format is Format.PANIC and head.format is Format.PANIC)
        # A pasted log may have lost its padding, but no field: against a line that has a time of
        # its own that is no evidence, against one that has none it is the only one.
        is_padded = self._padded or (self._shows_by_fields() and head.own_ns is None)
        if current.is_sure and current.count == 1 and is_padded:
            return True
        first, last = _is_complete(current.texts[0], current), _is_complete(current.last, current)
        if is_padded and not last and not (first and head.coloured):
            return False
        if current.coloured and head.format is Format.TEXT and not head.coloured:
            # Coloured streams quote earlier lines without their colours.
            return False
        if head.own_ns is None or current.own_ns is None:
            if not is_padded:
                return current.count == 1
            # Without colours a line in the middle may end with what looks like a field.
            is_ended = (
                current.coloured
                or current.last[-1:] == b" "
                or _OWN_FIELD_END.search(current.last, len(current.last) - _MAX_FIELD_BYTES)
                is not None
            )
            return is_ended and (current.count == 1 or not current.quotes)
        if current.count == 1 and self._padded:
            return True
        # A copy of an earlier line inside a reply shows by its own time running back.
        return head.own_ns >= current.own_ns


def _lacks_padding(entry: _Open, head: Head) -> bool:
    """Whether a whole entry of one line, before a line with this head, ends without padding."""
    return (
        entry.format is head.format is Format.TEXT
        and entry.count == 1
        and not _is_complete(entry.last, entry)
    )


def _is_complete(last_line: bytes, entry: _Open) -> bool:
    """Whether a text entry may end with this line.

    logrus pads the message to 44 columns and a space, and puts the fields behind it, so a line in
    the middle of an entry ends neither with a space nor with a field.
    """
    if last_line[-1:] == b" " or len(last_line) > MAX_LINE_BYTES - _MAX_STAMP_BYTES:
        return True  # of a line that was cut nobody knows how it ended
    if not entry.coloured:
        return _PLAIN_FIELD_END.search(last_line, len(last_line) - _MAX_FIELD_BYTES) is not None
    at = last_line.rfind(_FIELD_MARK)
    return at >= 0 and _FIELD_VALUE.fullmatch(last_line, at + len(_FIELD_MARK)) is not None


def _is_whole(entry: _Open) -> bool:
    """Whether the first line of a text entry shows that it is the only one.

    It ends with a field in colour, or its message is padded to the width of short messages, which
    logrus does behind the last line alone, and nothing or fields follow.
    """
    line = entry.texts[0]
    if line[-1:] != b" " and entry.coloured:
        return _is_complete(line, entry)
    found = _TEXT_HEAD.match(line)
    message = line[found.end() :].decode("utf-8", "replace") if found else ""
    if line[-1:] == b" ":
        return len(message) == _PADDED_COLUMNS
    fields = message[_PADDED_COLUMNS:].encode()
    is_padded = message[:_PADDED_COLUMNS].endswith("  ")
    return is_padded and _PLAIN_FIELDS.fullmatch(fields) is not None
