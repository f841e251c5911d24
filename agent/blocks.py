"""A block of whole lines: its runs of whole entries, and which lines of a run may matter to a rule.

Owns the way through a block, in which no Python code looks at a line that does not matter. Must not
know rules, nor what is open before the block. Pure.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING

import re2
from attrs import frozen

from agent.model import Format
from agent.rules.words import options
from agent.runs import Runs
from agent.stamps import BYTES, Span, are_dates, span

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from agent.prefilter import Prefilter

DEBUG = re2.compile(rb'level=debug|"level":"debug"|(?:^|Z )(?:\x1b\[\d+m)?DEBU', options=options())
_DEBUG_WORDS = (b"level=debug", b'"level":"debug"', b"DEBU")
"""Of these one stands wherever that pattern matches; they are found faster."""


@frozen
class Run:
    """Lines that are each a whole entry of one format.

    `size` counts their bytes without newlines. `hits` are those with a literal behind the stamp:
    their index, and how many bytes stand before them.
    """

    format: Format
    span: Span
    size: int
    hits: Sequence[tuple[int, int]]


class Block:
    """Lines of a stream, taken one after the other: singly, or a run at a time.

    `text` are the same lines in one piece, each with its newline.
    """

    def __init__(self, lines: Sequence[bytes], text: bytes, prefilter: Prefilter) -> None:
        self._lines = lines
        self._text = text
        self._places = prefilter.places(text)
        self._runs = Runs(text)
        self._place = 0
        self._index = self._begin = 0
        self._format: Format | None = None
        self._run_end = self._last = 0
        self._run: Span | None = None
        self._debug = -1

    @property
    def has_more(self) -> bool:
        """Whether lines are left."""
        return self._index < len(self._lines)

    def take_line(self) -> bytes:
        """Take the next line."""
        line = self._lines[self._index]
        self._index += 1
        self._begin += len(line) + 1
        return line

    def take_run(self, run: Run) -> None:
        """Take the lines of a run that begins here."""
        self._index += len(run.span.lines)
        self._begin += run.size + len(run.span.lines)

    def run(self, may_take: Callable[[Format], bool], *, until_debug: bool) -> Run | None:
        """Return the run that begins here; None: the next line is to be looked at singly.

        `may_take` says whether a run of a format can be taken with what is open before it. Of text
        the last line is left out, since what follows it may still belong to it; and all from the
        first on that may be one of level debug, if that is asked for.
        """
        if self._begin >= self._run_end:
            self._find_run()
        if self._format is None or self._run is None or not may_take(self._format):
            return None
        begin, end = self._begin, self._run_end
        if until_debug and (debug := self._find_debug()) < end:
            end = self._text.rfind(b"\n", begin, debug) + 1
        last = self._last if end == self._run_end else self._index + self._count(begin, end)
        if self._format is Format.TEXT:
            last -= 1
            end = self._text.rfind(b"\n", begin, max(end - 1, begin)) + 1
        if last <= self._index:
            return None
        first = self._last - len(self._run.lines)
        lines = self._run.part(self._index - first, last - first)
        return Run(self._format, lines, end - begin - len(lines.lines), self._hits(begin, end))

    def _find_run(self) -> None:
        self._format, self._run_end = self._runs.at(self._begin)
        self._last = self._index + self._count(self._begin, self._run_end)
        if self._format is not None:
            self._run = span(self._lines[self._index : self._last])
            if not are_dates(self._run):
                self._format = None

    def _count(self, begin: int, end: int) -> int:
        is_rest = begin == self._begin and end == len(self._text)
        return len(self._lines) - self._index if is_rest else self._text.count(b"\n", begin, end)

    def _find_debug(self) -> int:
        if self._debug < self._begin:
            found = None
            if any(self._text.find(word, self._begin) >= 0 for word in _DEBUG_WORDS):
                found = DEBUG.search(self._text, self._begin)
            self._debug = len(self._text) if found is None else found.end() - 1
        return self._debug

    def _hits(self, begin: int, end: int) -> list[tuple[int, int]]:
        text, places, hits = self._text, self._places, []
        at = self._place = bisect_left(places, begin, self._place)
        number, position = 0, begin
        while at < len(places) and places[at] < end:
            start = text.rfind(b"\n", begin, places[at]) + 1 or begin
            number += text.count(b"\n", position, start)
            position = start
            stop = text.index(b"\n", places[at])
            # What stands in the stamp is nothing that the entry says.
            at = bisect_left(places, start + BYTES, at)
            if at < len(places) and places[at] <= stop:
                hits.append((number, start - begin - number))
            at = bisect_left(places, stop + 1, at)
        return hits
