"""Lag as evidence: whether a stream may have skipped whole files, and what proves that it did not.

Owns the suspicion and its proof. The kubelet reads its open file to the end and then opens the
newest one; those rotated in between are never served, and the stream shows no sign of it. While a
line arrives soon after it was stamped nothing can have been skipped; where a lag collapses from one
line to the next, or stamps of this stream's time jump by a file's, a short read tells whether the
two lines are neighbours. Must not know requests or clocks. Pure.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from attrs import define, field, frozen

from agent.lines import Framer, parse_stamp
from agent.model import NANOS
from agent.stamps import at, in_usual_form

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agent.stamps import Span

SMALL_LAG_NS = 2 * NANOS
"""A file of 10 MiB is not filled and followed by another within this, at any rate measured."""

MAX_SKEW_NS = 120 * NANOS
"""A line that seems to arrive so long before it is stamped is one of a clock that was set."""

MAX_SUSPECTS = 64
"""Catching up with a year's log makes no more than 24, since each halves the lag."""


@frozen
class Suspect:
    """Two lines that arrived one after the other, and between which there may have been a file."""

    before_ns: int
    before: bytes
    after_ns: int
    after: bytes


@define
class Lag:
    """The lag of one stream. `skew_ns` is what the two clocks are apart, None before it is known.

    `delay_ns` is how long after its stamp the stream's last line arrived, by the two clocks; None
    before its first, and where the stream is known to have reached the end of the log.

    Of more than `MAX_SUSPECTS` that nobody could look into, the last two are made one, which
    nothing will prove innocent.
    """

    skew_ns: int | None = None
    delay_ns: int | None = None
    suspects: deque[Suspect] = field(factory=deque)
    _last_ns: int = 0
    _last: bytes = b""
    _opened_ns: int | None = None

    @property
    def is_small(self) -> bool:
        """Whether nothing can have been skipped before the line that comes next."""
        return self.delay_ns is None or self.delay_ns - (self.skew_ns or 0) <= SMALL_LAG_NS

    def take(self, at_ns: int, line: bytes, *, now_ns: int) -> None:
        """Take the next line of the stream and when it arrived."""
        self._note_opening(now_ns)
        delay_ns = now_ns - at_ns
        skew_ns = self._skew_ns(delay_ns)
        before_ns = 0 if self.delay_ns is None else self.delay_ns - skew_ns
        collapses = 2 * (delay_ns - skew_ns) < before_ns
        if before_ns > SMALL_LAG_NS and (collapses or self._jumps(self._last_ns, at_ns, skew_ns)):
            self.suspects.append(Suspect(self._last_ns, self._last, at_ns, line))
            if len(self.suspects) > MAX_SUSPECTS:
                late, early = self.suspects.pop(), self.suspects.pop()
                self.suspects.append(
                    Suspect(early.before_ns, early.before, late.after_ns, late.after)
                )
        self._last_ns, self._last, self.delay_ns = at_ns, line, delay_ns

    def take_all(self, arrived: Span, *, now_ns: int) -> None:
        """Take lines that arrived together."""
        self._note_opening(now_ns)
        lowest_ns, highest_ns = at(arrived.lowest), at(arrived.highest)
        smallest, largest = now_ns - highest_ns, now_ns - lowest_ns
        if self.delay_ns is not None:
            largest, lowest_ns = max(largest, self.delay_ns), min(lowest_ns, self._last_ns)
        skew_ns = self._skew_ns(smallest)
        collapses = 2 * (smallest - skew_ns) < largest - skew_ns
        jumps = self._jumps(lowest_ns, highest_ns, skew_ns)
        lines = arrived.lines
        if largest - skew_ns > SMALL_LAG_NS and (collapses or jumps):
            for line in lines:
                self.take(at(line), line, now_ns=now_ns)
        else:
            self.take(at(lines[-1]), lines[-1], now_ns=now_ns)

    def learn(self) -> None:
        """Take it that the last line had just been written: so far the clocks are apart at most."""
        if self.delay_ns is not None:
            known = self.delay_ns if self.skew_ns is None else self.skew_ns
            self.skew_ns = min(known, self.delay_ns)

    def catch_up(self) -> None:
        """Take it that the log ends with the last line, however late that one came."""
        self.delay_ns = None

    def reopen(self) -> None:
        """Begin another stream: how that one continues this one is proved by its head."""
        self.delay_ns = self._opened_ns = None

    def _note_opening(self, now_ns: int) -> None:
        if self._opened_ns is None:
            self._opened_ns = now_ns

    def _skew_ns(self, delay_ns: int) -> int:
        """Return what the clocks are apart, now that a line came with this delay.

        No line comes before it was written: two lines are compared by the same clocks, also where
        these are only known since the second one.
        """
        known = self.skew_ns or 0
        return max(min(known, delay_ns), known - MAX_SKEW_NS)

    def _jumps(self, before_ns: int, after_ns: int, skew_ns: int) -> bool:
        """Whether a file that was begun after the stream fits between two stamps.

        The lag alone does not tell: what waits between the kubelet and here is in it before and
        after a skipped file. Pauses of the time before the stream, of which there may be
        thousands, are none.
        """
        is_since = self._opened_ns is not None and after_ns > self._opened_ns - skew_ns
        return is_since and after_ns - before_ns > SMALL_LAG_NS


class Neighbours:
    """Looks in a reply from the first line's second for both lines next to each other.

    `verdict` is true once they were found so; equal lines exist, so nothing but the reply's end
    says that they are none, and only of a reply that reached the second line's time in one piece
    (`is_conclusive`).

    `lines` counts what it held, up to the stamp `highest_ns`. `after` are lines that are to follow,
    the second of the two first; `following` says how many of them do. Once `is_done`, nothing that
    the reply still brings changes anything.
    """

    def __init__(self, suspect: Suspect, after: Sequence[bytes] = ()) -> None:
        self._suspect = suspect
        self._after = after
        self._goes_on = False
        self.following = self.lines = self.highest_ns = 0
        self._framer = Framer()
        self._last = b""
        self.verdict = False
        self._has_reached = self._has_text = False
        self._has_before = self._has_after = False

    @property
    def is_done(self) -> bool:
        """Whether they are neighbours, and it is known how many lines follow them."""
        return self.verdict and not self._goes_on

    @property
    def is_conclusive(self) -> bool:
        """Whether the reply, now that it has ended, tells that they are no neighbours."""
        return self._has_reached and not self._has_text and not self.verdict

    @property
    def begins_file(self) -> bool:
        """Whether the reply, now that it has ended, has the second line and not the first.

        If it is whole, the second one is the first of a file, and follows the first one, which
        stands in the file before. A reply that was ended early looks the same.
        """
        is_part = self._has_text or bool(self._framer.tail)
        return self._has_after and not self._has_before and not is_part

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes of the reply."""
        for raw in self._framer.feed(chunk):
            self.lines += 1
            stamp = parse_stamp(raw)
            if stamp is None:
                self._has_text = True
                continue
            line = in_usual_form(raw, *stamp)
            self.highest_ns = max(self.highest_ns, stamp[0])
            self._has_reached = self._has_reached or stamp[0] >= self._suspect.after_ns
            self._has_before = self._has_before or line == self._suspect.before
            self._has_after = self._has_after or line == self._suspect.after
            if self._goes_on:
                self._goes_on = line == self._after[self.following]
                self._count()
            elif line == self._suspect.after and self._last == self._suspect.before:
                self._goes_on = not self.verdict and bool(self._after)
                self.verdict = True
                self._count()
            self._last = line

    def _count(self) -> None:
        self.following += self._goes_on
        self._goes_on = self._goes_on and self.following < len(self._after)
