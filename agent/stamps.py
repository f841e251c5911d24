"""Many stamped lines at a time: the one form of a stamp in which its bytes have the order of time.

Owns that form, which is the kubelet's own (UTC, nine digits behind the second), and what can be
told of many lines by it. Must not know what the lines say.
"""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from functools import lru_cache
from operator import itemgetter
from typing import TYPE_CHECKING

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
    return b"%s.%09dZ %s" % (_text_of(at_ns // NANOS), at_ns % NANOS, line[begin:])


def stamped(lines: Iterable[bytes]) -> list[bytes]:
    """Return the lines that have a stamp, in the usual form."""
    pairs = ((line, parse_stamp(line)) for line in lines)
    return [in_usual_form(line, *stamp) for line, stamp in pairs if stamp is not None]


def are_dates(lines: Sequence[bytes]) -> bool:
    """Whether all of these lines, whose stamps have the usual form, are of days that exist."""
    first, last = min(lines)[:10], max(lines)[:10]
    days = {first} if first == last else set(map(_DAY, lines))
    return all(map(_is_day, days))


def size_of(lines: Iterable[bytes]) -> int:
    """Return how many bytes the lines have, without their newlines."""
    return sum(map(len, lines))


def at(line: bytes) -> int:
    """Return the stamp of a stamped line in ns."""
    stamp = parse_stamp(line)
    return 0 if stamp is None else stamp[0]


def since(lines: Sequence[bytes], second: int) -> list[bytes]:
    """Return the lines that are stamped in this second or later."""
    if not lines or second <= 0:
        return list(lines)
    text = _text_of(second)
    return list(lines) if min(lines) >= text else [line for line in lines if line >= text]


def count_seconds(lines: Sequence[bytes]) -> Counter[int]:
    """Count the lines by the second of their stamps."""
    counts: Counter[int] = Counter()
    for second, count in Counter(map(_SECOND, lines)).items():
        counts[_second_of(second)] += count
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
