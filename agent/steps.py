"""Steps back in a stream: whether a line may be from before the one that came before it.

Owns the suspicion. A kubelet whose reader waited over several rotations opens the newest file and
serves it again, in the same stream: its first line is one that was taken before, or is stamped
before the last. Whether the log itself runs so, a short read tells (`lag.Neighbours`). Must not
know requests. Pure.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from agent.lag import Suspect
from agent.stamps import at

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agent.stamps import Span

STEP_NS = 1_000_000
"""A runtime stamps the lines of a container's two streams apart, and may write them this much out
of order; so little back only a line that is known tells of a file that is served again."""
RECENT_LINES = 64


class Steps:
    """The steps back of one stream after the other. `step` waits to be looked into, if it is set.

    `behind` are the lines from there on, as they came.
    """

    def __init__(self) -> None:
        self._stepped_after = -1
        self.reopen()

    def reopen(self) -> None:
        """Begin another stream. It was looked for how the last one's step goes on."""
        self.step: Suspect | None = None
        self.behind: list[bytes] = []
        self._followed: Suspect | None = None
        self._recent: deque[bytes] = deque(maxlen=RECENT_LINES)
        self._last_ns = 0

    @property
    def last(self) -> bytes | None:
        """The line that was taken last."""
        return self._recent[-1] if self._recent else None

    def note(self, lines: Sequence[bytes]) -> None:
        """Note what was taken of the reply last."""
        self._recent.extend(lines[-RECENT_LINES:])
        self._last_ns = at(lines[-1]) if lines else 0

    def may_be_in(self, arrived: Span) -> bool:
        """Whether lines, of which none was taken, may hold a step."""
        if not arrived.is_ordered or at(arrived.lowest) <= self._last_ns:
            return True
        return arrived.has_equal

    def take(self, line: bytes, at_ns: int, *, read: int) -> bool:
        """Take the next line, the one after `read` lines of the instance; or set `step`.

        Return whether it is set.
        """
        if self._is_back(line, at_ns) and read > self._stepped_after:
            step = Suspect(self._last_ns, self._recent[-1], at_ns, line)
            if step != self._followed:
                self._stepped_after, self.step = read, step
                return True
        self.note_line(line, at_ns)
        return False

    def note_line(self, line: bytes, at_ns: int) -> None:
        """Note a line that was taken whatever it steps."""
        self._recent.append(line)
        self._last_ns = at_ns

    def go_on(self, following: int) -> list[bytes]:
        """Return what stands behind the step: in the log so many of the lines follow, too."""
        self._stepped_after += max(following - 1, 0)
        self._followed, self.step = self.step, None
        behind, self.behind = self.behind, []
        return behind

    def _is_back(self, line: bytes, at_ns: int) -> bool:
        if at_ns > self._last_ns:
            return False
        return at_ns < self._last_ns - STEP_NS or line in self._recent
