"""Runs of lines that are each a whole entry and no more: what need not be looked at line by line.

Owns what such a line looks like in each format. A line counts here only if `lines.parse_stamp` and
`lines.read_head` would say the same of it, and if it shows on its own that its entry ends with it;
so `entries` knows where it stands after such a run without having seen it. Must not know rules.

RE2 decides. Hyperscan, where there is a wheel of it, is several times as fast, and asked for the
opposite, so that it has nothing to say of a usual log: which lines may not be of a run.
"""

from __future__ import annotations

from bisect import bisect_left
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING

import re2
from attrs import field, frozen

from agent.model import Format
from agent.rules.words import options
from agent.stamps import BYTES

try:
    import hyperscan
except ImportError:  # no wheel for this platform
    hyperscan = None  # type: ignore[assignment]

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Part = tuple[tuple[str, ...], ...]
"""Alternatives of the same length, each the insides of a character class per byte."""

MAX_ODD = 64
"""Of a block with more odd lines each would cost more than RE2 takes for the whole of it."""


def _parts(text: str) -> list[Part]:
    """Read bytes that stand for themselves, and `#` for a digit."""
    return [(("0-9" if char == "#" else f"\\x{ord(char):02x}",),) for char in text]


_STAMP: Sequence[Part] = [
    *_parts("####-"),
    *[(("01", "0-9"),), *_parts("-"), (("0-3", "0-9"),)],  # whether the day exists, `stamps` tells
    *[*_parts("T"), (("01", "0-9"), ("2", "0-3"))],
    *2 * [*_parts(":"), (("0-5", "0-9"),)],
    *_parts(".#########Z "),
]
_LEVELS: Part = tuple(tuple(level) for level in ("INFO", "DEBU", "WARN", "ERRO"))
_COLOURED = [
    *_parts("\x1b["),
    *2 * [(("0-9",),)],
    *_parts("m"),
    _LEVELS,
    *_parts("\x1b[0m[####-##-##T##:##:##Z] "),
]

_TEXT_LINE = (
    rb"\x1b\[\d+m(?:INFO|DEBU|WARN|ERRO)\x1b\[0m"
    rb"\[\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:Z|[+-]\d\d:\d\d)\] "
    rb"(?:[^\n]* |[^\n]*\x1b\[0m=(?:[^\s\x0b\"\x1b]*|\"(?:[^\"\\\x1b\n]|\\[^\n\x1b])*\"))"
)
"""A coloured entry that ends with the padding of its message, or with a field."""
_JSON_LINE = rb"\{(?:\"(?:level|msg)\":|\"[^\n]*\"(?:level|msg)\":)[^\n]*"
_LOGFMT_LINE = rb"time=[^\n]*"


def _pattern(parts: Iterable[Part]) -> bytes:
    """Return what matches all of these parts."""
    alternatives = (["".join(f"[{one}]" for one in each) for each in part] for part in parts)
    return "".join(f"(?:{'|'.join(each)})" for each in alternatives).encode()


def _other_than(parts: Sequence[Part]) -> str:
    """Return what matches all up to the first byte by which something is not these parts."""
    return _other_in(parts[0], _other_than(parts[1:])) if parts else ""


def _other_in(part: Part, behind: str) -> str:
    heads = {each[0]: tuple(one[1:] for one in part if one[0] == each[0]) for each in part}
    others = [f"[^{''.join(heads)}]"]
    for head, rests in heads.items():
        other = _other_in(rests, behind) if rests[0] else behind
        others += [f"[{head}]{other}"] if other else []
    return f"(?:{'|'.join(others)})"


def _without_key(key: str) -> str:
    """Return what matches each line of JSON that has no such key of which nothing is escaped."""
    fails = ""
    for char in reversed(rf'"{key}":'):
        other = rf"[^{char}{{,\n][^{{,\n]*"
        fails = rf"(?:{other}|{char}{fails})?" if fails else rf"(?:{other})?"
    return rf"^[^{{,\n]*(?:[{{,]{fails})*\n"


@frozen(eq=False)
class _Run:
    """What a run of one format is, and what tells lines that may not be of it."""

    format: Format
    lines: re2._Regexp
    _odd: hyperscan.Database | None = field(default=None)

    def odd(self, block: bytes) -> list[int] | None:
        """Return where lines begin that may not be of a run, in order; None: it is not known."""
        if self._odd is None:
            return None
        ends: list[int] = []

        def note(_pattern: int, _begin: int, end: int, *_rest: object) -> bool:
            ends.append(end)
            return len(ends) > MAX_ODD

        with suppress(hyperscan.ScanTerminated):
            self._odd.scan(block, match_event_handler=note)
        if len(ends) > MAX_ODD:
            return None
        return sorted({block.rfind(b"\n", 0, end - 1) + 1 for end in ends})


@cache
def _run(first: bytes) -> _Run | None:
    """Return what a run is whose lines begin with this byte."""
    if first == b"\x1b":
        # Of those that end with a field, nothing tells the good ones apart as fast as RE2 does.
        return _make_run(Format.TEXT, _TEXT_LINE, _COLOURED, r"[^ \n]\n")
    if first == b"t":
        return _make_run(Format.LOGFMT, _LOGFMT_LINE, _parts("time="))
    if first == b"{":
        return _make_run(Format.JSON, _JSON_LINE, _parts('{"'), _without_key("level"))
    return None


def _make_run(form: Format, line: bytes, begin: Sequence[Part], *others: str) -> _Run:
    lines = re2.compile(rb"(?:%b%b\n)*" % (_pattern(_STAMP), line), options=options())
    if hyperscan is None:
        return _Run(form, lines)
    odd = hyperscan.Database()
    sought = ["^" + _other_than([*_STAMP, *begin]), *others]
    odd.compile(
        expressions=[one.encode() for one in sought],
        ids=list(range(len(sought))),
        flags=[hyperscan.HS_FLAG_MULTILINE] * len(sought),
    )
    return _Run(form, lines, odd)


class Runs:
    """The runs of a block, which holds whole lines, each with its newline."""

    def __init__(self, block: bytes) -> None:
        self._block = block
        self._odd: dict[Format, list[int] | None] = {}

    def at(self, begin: int) -> tuple[Format | None, int]:
        """Return the format of the run of whole entries that begins here, and where it ends.

        Without such a line here: None and `begin`.
        """
        first = self._block[begin + BYTES : begin + BYTES + 1]
        run = _run(first)
        if run is None:
            return None, begin
        end = self._end(run, begin)
        return (run.format, end) if end > begin else (None, begin)

    def _end(self, run: _Run, begin: int) -> int:
        if run.format not in self._odd:
            self._odd[run.format] = run.odd(self._block)
        odd = self._odd[run.format]
        if odd is None:
            return _match(run, self._block, begin, len(self._block))
        end = begin
        while True:
            place = bisect_left(odd, end)
            end = odd[place] if place < len(odd) else len(self._block)
            if end == len(self._block):
                return end
            next_line = self._block.index(b"\n", end) + 1
            if _match(run, self._block, end, next_line) == end:
                return end
            end = next_line


def _match(run: _Run, block: bytes, begin: int, end: int) -> int:
    found = run.lines.match(block, begin, end)
    return begin if found is None else found.end()
