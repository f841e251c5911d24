"""Lines -> entries: which physical lines belong to one message.

Owns the rule by which they do: logrus pads a coloured message and puts its fields last, so that
the end of an entry shows. Must not know rules, clocks or where the lines come from. Any cutting of
the bytes into chunks gives the same entries.
"""

from __future__ import annotations

import re

from attrs import define

from agent.lines import MAX_LINE_BYTES, MAX_STAMP_BYTES, TEXT_HEAD, Head, read_head
from agent.model import NANOS, Entry, Format

MAX_ENTRY_BYTES = 1024 * 1024
MAX_OPEN_BYTES = 8 * 1024 * 1024
MAX_OPEN_NS = 60 * NANOS
"""An entry is written at once: what the API stamps so much later than its head is none of it."""
_MAX_FIELD_BYTES = 512
_GOROUTINE = re.compile(rb"\ngoroutine \d+ [^\n]*\[[a-z]")
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
    of more than `MAX_OPEN_BYTES` or `MAX_OPEN_NS` is ended, since its lines can be neither counted
    nor forgotten.
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
        is_over = current is not None and at_ns is not None and at_ns > current.at_ns + MAX_OPEN_NS
        if current is not None and not (is_over or self._begins(current, head)):
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

    def is_ended_by(self, run: Format) -> bool:
        """Whether a run of whole entries (`runs`) ends what is open, and is ended line by line.

        Then what is open can be closed, and only the run's last line, if it is text, need be fed.
        """
        current = self._open
        if run is not Format.TEXT:
            return current is None
        if current is None:
            # Saved lines that have lost their padding: each padded one changes what is known.
            return self._padded or not self._stripped
        return (
            self._padded
            and current.count == 1
            and current.format is Format.TEXT
            and current.coloured
            and _is_complete(current.last, current)
        )

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
    if last_line[-1:] == b" " or len(last_line) > MAX_LINE_BYTES - MAX_STAMP_BYTES:
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
    found = TEXT_HEAD.match(line)
    rest = line[found.end() :] if found else b""
    start = rest[: 4 * _PADDED_COLUMNS].decode("utf-8", "replace")  # four bytes a character
    if line[-1:] == b" ":
        return len(start) == _PADDED_COLUMNS and len(rest) <= 4 * _PADDED_COLUMNS
    padded = start[:_PADDED_COLUMNS]
    fields = _PLAIN_FIELDS.fullmatch(rest, len(padded.encode()))
    return padded.endswith("  ") and fields is not None
