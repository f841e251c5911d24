"""Lines that were read and not released: their entries, what matched, and what waits for what.

Owns the order of release: what is taken is a prefix of the lines, with all that they count. Must
not know Cursors, nor how a stream goes on. Pure. Where the lines are to be read again, it is thrown
away whole, as by a crash.
"""

from __future__ import annotations

from collections import Counter, deque
from typing import TYPE_CHECKING

from attrs import frozen

from agent.blocks import DEBUG
from agent.entries import Entries
from agent.match import match
from agent.model import BREAK, NANOS, Entry, Fact
from agent.pairs import Pairs
from agent.records import parse
from agent.stamps import BYTES, at

if TYPE_CHECKING:
    from collections.abc import Sequence, Set

    from agent.blocks import Run
    from agent.model import Format, Observation
    from agent.prefilter import Prefilter
    from agent.rules.ruleset import RuleSet


@frozen
class Taken:
    """The lines that are released at once, and what they say.

    Of lines without the API's stamp only the times are there, in ns. `matched_at` counts by second.
    """

    lines: Sequence[bytes]
    plain_ns: Sequence[int]
    observations: Sequence[Observation]
    facts: Sequence[Fact]
    matched_at: Counter[int]
    hits: Counter[str]


class Unreleased:
    """What was read behind a Cursor, and is not released.

    `read` lines stand before it. What is `known` of the instance, and whether its level is debug,
    comes from what was released before.
    """

    def __init__(
        self,
        ruleset: RuleSet,
        prefilter: Prefilter,
        *,
        read: int,
        known: Set[str],
        debug_seen: bool,
        count_crashes: bool,
    ) -> None:
        self._ruleset = ruleset
        self._prefilter = prefilter
        self._entries = Entries()
        self._pairs = Pairs(set(known), count_crashes=count_crashes)
        self._debug_noted = debug_seen
        self._unreadable = 0
        self.lines: list[bytes] = []
        self._plain_ns: list[int] = []
        self._offsets: dict[int, int] = {}
        self._bytes = 0
        self._matched: deque[tuple[int, int]] = deque()
        self.read = self._released = read

    @property
    def noise(self) -> int:
        """How many lines or entries were none: torn, or without a head."""
        return self._unreadable + self._entries.noise

    @property
    def bound_hits(self) -> int:
        """How many pairs were ended by a bound of memory."""
        return self._pairs.bound_hits

    @property
    def has_lines(self) -> bool:
        """Whether there is any line."""
        return bool(self.lines or self._plain_ns)

    @property
    def looks_for_level(self) -> bool:
        """Whether it is still to be seen that the instance logs at debug level."""
        return not self._debug_noted

    @property
    def patience_seconds(self) -> int:
        """For how long a silence must last before `idle` has something to release."""
        return 0 if self._entries.open_line is not None else self._pairs.patience_seconds

    def may_take_run(self, form: Format) -> bool:
        """Whether a run of this format can be taken with what is open."""
        return self._entries.is_ended_by(form)

    def take_run(self, run: Run) -> None:
        """Take lines that are whole entries, and look at none without a literal."""
        self._close()
        lines, first, before = run.span.lines, self.read + 1, self._bytes
        self.lines += lines
        self.read += len(lines)
        self._bytes += run.size
        for index, size in run.hits:
            line = lines[index]
            entry = Entry(run.format, line[BYTES:], at(line), first + index, 1)
            self._take_candidate(entry, offset=before + size)

    def take_line(self, line: bytes, at_ns: int) -> None:
        """Take the next line, with its stamp."""
        self.lines.append(line)
        self._take_text(line[BYTES:], at_ns, size=len(line))

    def take_plain(self, line: bytes) -> None:
        """Take the next line of an input without stamps."""
        self._take_text(line, None, size=len(line))
        # Without the API's stamp a line has the time of the last entry that said one.
        self._plain_ns.append(self._entries.last_ns)

    def break_off(self) -> None:
        """Note that lines are gone here: nothing that waits can be answered."""
        self._close()
        self._pairs.end()
        self._pairs.state(BREAK, line=self.read, offset=self._bytes)

    def idle(self, waited_seconds: float) -> None:
        """Nothing followed for so long: complete the open entry, end the pairs that gave up."""
        self._close()
        self._pairs.end(waited_seconds=waited_seconds)

    def end(self) -> None:
        """Nothing will follow: complete the open entry, end all pairs."""
        for entry in self._entries.finish():
            self._take_entry(entry)
        self._pairs.end()

    def take(self) -> Taken:
        """Hand over what nothing holds back, in line order."""
        following = self._entries.open_line or self.read + 1
        self._pairs.pass_line(following, offset=self._offset(following))
        observations, facts = self._pairs.released()
        released = min(following, self._pairs.first_line or following) - 1
        count, self._released = released - self._released, released
        for line in [line for line in self._offsets if line <= released]:
            del self._offsets[line]
        matched_at: Counter[int] = Counter()
        while self._matched and self._matched[0][0] <= released:
            matched_at[self._matched.popleft()[1] // NANOS] += 1
        lines, plain_ns = self.lines[:count], self._plain_ns[:count]
        del self.lines[:count], self._plain_ns[:count]
        hits, self._pairs.hits = self._pairs.hits, Counter()
        return Taken(lines, plain_ns, observations, facts, matched_at, hits)

    def _close(self) -> None:
        for entry in self._entries.close():
            self._take_entry(entry)

    def _take_text(self, text: bytes, at_ns: int | None, *, size: int) -> None:
        self.read += 1
        self._offsets[self.read] = self._bytes
        self._bytes += size
        for entry in self._entries.feed(text, at_ns, self.read):
            self._take_entry(entry)

    def _take_entry(self, entry: Entry) -> None:
        looks_for_level = self.looks_for_level and DEBUG.search(entry.text) is not None
        if looks_for_level or self._prefilter(entry.text):
            offset = self._offset(entry.first_line)
            self._take_candidate(entry, offset=offset, looks_for_level=looks_for_level)

    def _take_candidate(self, entry: Entry, *, offset: int, looks_for_level: bool = False) -> None:
        record = parse(entry)
        if record is None:
            self._unreadable += 1
            return
        if looks_for_level and record.level == "debug" and not record.plugin:
            self._debug_noted = True
            self._pairs.state(Fact("level", "debug"), line=entry.first_line, offset=offset)
        counted, stated = match(record, self._ruleset, self._pairs.enabled)
        if counted is not None:
            self._matched.append((entry.first_line, entry.at_ns))
            self._pairs.take(counted, offset=offset)
        if stated is not None:
            self._pairs.take(stated, offset=offset)

    def _offset(self, line: int) -> int:
        """How many bytes stand between the first line that was read and this one."""
        return self._offsets.get(line, self._bytes)
