"""Many stamped lines at a time: the one form of a stamp in which its bytes have the order of time.

Owns that form, which is the kubelet's own (UTC, nine digits behind the second), and what can be
told of many lines by it. Must not know what the lines say.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from datetime import UTC, datetime
from functools import lru_cache
from itertools import islice
from operator import eq, itemgetter
from typing import TYPE_CHECKING

from attrs import frozen

from agent.lines import parse_stamp
from agent.model import NANOS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

BYTES = len(b"2026-11-26T06:33:21.123456789Z ")

_DAY, _SECOND = itemgetter(slice(0, 10)), itemgetter(slice(0, 19))


def in_usual_form(line: bytes, at_ns: int, begin: int) -> bytes:
    """Return a line whose text begins at `begin` with its stamp in the usual form."""
    if begin == BYTES and line[29:30] == b"Z" and line[17:18] != b"6":
        return line
    return b"%sZ %s" % (text_of(at_ns), line[begin:])


def text_of(at_ns: int) -> bytes:
    """Return a stamp as lines begin with it that are stamped so, but for the zone."""
    return b"%s.%09d" % (_text_of(at_ns // NANOS), at_ns % NANOS)


def stamped(lines: Iterable[bytes]) -> list[bytes]:
    """Return the lines that have a stamp, in the usual form."""
    pairs = ((line, parse_stamp(line)) for line in lines)
    return [in_usual_form(line, *stamp) for line, stamp in pairs if stamp is not None]


@frozen
class Span:
    """Lines whose stamps have the usual form, with the lowest and the highest of them."""

    lines: Sequence[bytes]
    lowest: bytes
    highest: bytes
    is_ordered: bool

    @property
    def has_equal(self) -> bool:
        """Whether any of these lines, which stand in order, is there twice."""
        return any(map(eq, self.lines, islice(self.lines, 1, None)))

    def part(self, begin: int, end: int) -> Span:
        """Return some of the lines."""
        lines = self.lines[begin:end]
        if not self.is_ordered:
            return span(lines)
        return Span(lines, lines[0], lines[-1], is_ordered=True)


def span(lines: Sequence[bytes]) -> Span:
    """Look at the order of lines, at least one; those of a log nearly always stand in it."""
    if sorted(lines) == lines:
        return Span(lines, lines[0], lines[-1], is_ordered=True)
    return Span(lines, min(lines), max(lines), is_ordered=False)


def are_dates(lines: Span) -> bool:
    """Whether all of these lines are of days that exist."""
    first, last = lines.lowest[:10], lines.highest[:10]
    days = {first} if first == last else set(map(_DAY, lines.lines))
    return all(map(_is_day, days))


def size_of(lines: Iterable[bytes]) -> int:
    """Return how many bytes the lines have, without their newlines."""
    return sum(map(len, lines))


def at(line: bytes) -> int:
    """Return the stamp of a stamped line in ns."""
    stamp = parse_stamp(line)
    return 0 if stamp is None else stamp[0]


def since(lines: Sequence[bytes], second: int, lowest: bytes | None = None) -> list[bytes]:
    """Return the lines that are stamped in this second or later; `lowest` is one of them."""
    if not lines or second <= 0:
        return list(lines)
    text = _text_of(second)
    if lowest is not None and lowest >= text:
        return list(lines)
    found = span(lines)
    if found.is_ordered:
        return list(lines[bisect_left(lines, text) :])
    return [line for line in lines if line >= text]


def count_seconds(lines: Span) -> Counter[int]:
    """Count the lines by the second of their stamps."""
    counts: Counter[int] = Counter()
    if not lines.is_ordered:
        for second, count in Counter(map(_SECOND, lines.lines)).items():
            counts[_second_of(second)] += count
        return counts
    begin = 0
    while begin < len(lines.lines):
        second = lines.lines[begin][:19]
        # Behind all that begins with this second, and before what comes after it.
        end = bisect_right(lines.lines, second + b"\xff", begin)
        counts[_second_of(second)] += end - begin
        begin = end
    return counts


@lru_cache(maxsize=64)
def _is_day(text: bytes) -> bool:
    return parse_stamp(text + b"T00:00:00Z") is not None


@lru_cache(maxsize=4096)
def _second_of(text: bytes) -> int:
    return at(text + b"Z ") // NANOS


@lru_cache(maxsize=64)
def _text_of(second: int) -> bytes:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S").encode()
