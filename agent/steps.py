"""Steps back in a stream: whether a line may be from before the one that came before it.

Owns the suspicion. A kubelet whose reader waited over several rotations opens the newest file and
serves it again, in the same stream: its first line is one that was taken before, or is stamped
before the last. Whether the log itself runs so, a short read tells (`lag.Neighbours`); what it has
allowed once is asked no more while all lines of that much time are known. Must not know requests.
Pure.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from typing import TYPE_CHECKING

from agent.lag import Suspect
from agent.model import NANOS
from agent.stamps import at, size_of, text_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agent.stamps import Span

STEP_NS = 1_000_000
"""A runtime stamps the lines of a container's two streams apart, and may write them this much out
of order; so little back only a line that is known tells of a file that is served again."""
MAX_STEP_NS = 2 * NANOS
"""Whoever writes further back has had its clock set: it begins another time."""

FEW_LINES = 64
"""Not before there are so many is it looked which lines need not be known any more."""
MAX_LINES = 20_000
MAX_BYTES = 2 << 20
"""Of more lines within a step the older half is forgotten: less far back is a step again."""


class Recent:
    """The last lines of a stream: all that were taken and are stamped at `since_ns` or later.

    `step_ns` is how far behind the highest stamp a line may be and is known if it was taken.
    """

    def __init__(self, step_ns: int) -> None:
        self.step_ns = step_ns
        self._begin()

    def _begin(self) -> None:
        self.highest_ns = self.since_ns = 0
        self._lines: deque[bytes] = deque()
        self._known: set[bytes] = set()
        self._enough = FEW_LINES

    def is_back(self, line: bytes, at_ns: int) -> bool:
        """Whether a line was taken before, or may have been."""
        if at_ns > self.highest_ns:
            return False
        return at_ns < max(self.since_ns, self.highest_ns - self.step_ns) or line in self._known

    def add(self, line: bytes, at_ns: int) -> None:
        """Add a line, which may be as far back as this one is from now on."""
        back_ns = self.highest_ns - at_ns
        if back_ns > MAX_STEP_NS:
            self._begin()
        else:
            self.step_ns = max(self.step_ns, back_ns)
        self.highest_ns = max(self.highest_ns, at_ns)
        self._keep((line,))

    def add_all(self, lines: Sequence[bytes], highest_ns: int) -> None:
        """Add lines that stand in order and behind all others."""
        self.highest_ns = highest_ns
        if len(lines) > FEW_LINES:
            begin = bisect_left(lines, text_of(highest_ns - self.step_ns))
            self._forget(lines[begin - 1 : begin] if begin else ())
            lines = lines[begin:]
        self._keep(lines)

    def _keep(self, lines: Sequence[bytes]) -> None:
        self._lines.extend(lines)
        self._known.update(lines)
        if len(self._lines) >= self._enough:
            self._forget_old()

    def _forget_old(self) -> None:
        oldest, lines = text_of(self.highest_ns - self.step_ns), self._lines
        forgotten = []
        while lines and lines[0] < oldest:
            forgotten.append(lines.popleft())
        while len(lines) > MAX_LINES or size_of(lines) > MAX_BYTES:
            forgotten += [lines.popleft() for _ in range(len(lines) // 2 + 1)]
        self._forget(forgotten)
        self._enough = max(FEW_LINES, 2 * len(lines))

    def _forget(self, lines: Sequence[bytes]) -> None:
        if lines:
            self._known.difference_update(lines)
            self.since_ns = max(self.since_ns, at(max(lines)) + 1)


class Steps:
    """The steps back of one stream after the other. `step` waits to be looked into, if it is set.

    `behind` are the lines from there on, as they came; `highest_ns` is the highest stamp before.
    """

    def __init__(self) -> None:
        self._stepped_after = -1
        self.highest_ns = 0
        self._recent = Recent(STEP_NS)
        self.reopen()

    def reopen(self) -> None:
        """Begin another stream. It was looked for how the last one's step goes on."""
        self.step: Suspect | None = None
        self.behind: list[bytes] = []
        self._followed: Suspect | None = None
        self._recent = Recent(self._recent.step_ns)
        self.last: bytes | None = None
        """The line that was taken last."""

    def note(self, taken: Span) -> None:
        """Note what was taken of the reply last."""
        if taken.is_ordered and at(taken.lowest) > self._recent.highest_ns:
            self._recent.add_all(taken.lines, at(taken.highest))
            self.highest_ns = max(self.highest_ns, self._recent.highest_ns)
            self.last = taken.lines[-1]
            return
        for line in taken.lines:
            self.note_line(line, at(line))

    def may_be_in(self, arrived: Span) -> bool:
        """Whether lines, of which none was taken, may hold a step."""
        if not arrived.is_ordered or at(arrived.lowest) <= self._recent.highest_ns:
            return True
        return arrived.has_equal

    def take(self, line: bytes, at_ns: int, *, read: int) -> bool:
        """Take the next line, the one after `read` lines of the instance; or set `step`.

        Return whether it is set.
        """
        is_back = read > self._stepped_after and self._recent.is_back(line, at_ns)
        if is_back and self.last is not None:
            step = Suspect(at(self.last), self.last, at_ns, line)
            if step != self._followed:
                self._stepped_after, self.step = read, step
                return True
        self.note_line(line, at_ns)
        return False

    def note_line(self, line: bytes, at_ns: int) -> None:
        """Note a line that was taken whatever it steps."""
        self._recent.add(line, at_ns)
        self.highest_ns = max(self.highest_ns, at_ns)
        self.last = line

    def go_on(self, following: int) -> list[bytes]:
        """Return what stands behind the step: in the log so many of the lines follow, too."""
        self._stepped_after += max(following - 1, 0)
        self._followed, self.step = self.step, None
        behind, self.behind = self.behind, []
        return behind
