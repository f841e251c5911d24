"""One container instance: chunks of its log -> what may be folded, and where its Cursor stands.

Joins lines, records, match and pairs for one instance. Pure: it is handed bytes and asked for
results. What was read but not released is forgotten on `reopen`, exactly as after a crash, and
read again; so a reconnection and a restart are one mechanism.
"""

from __future__ import annotations

from collections import Counter, deque
from typing import TYPE_CHECKING

from agent.blocks import DEBUG, Block
from agent.entries import Entries
from agent.lag import Lag, Suspect
from agent.lines import Framer, parse_stamp
from agent.match import match
from agent.model import (
    BREAK,
    MAX_BREAKS,
    NANOS,
    Continuity,
    Cursor,
    Entry,
    Fact,
    Gap,
    Released,
    learn,
)
from agent.pairs import Pairs
from agent.records import parse
from agent.resume import Proof, Trail
from agent.stamps import BYTES, at, count_seconds, in_usual_form, span, stamped

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from agent.blocks import Run
    from agent.prefilter import Prefilter
    from agent.rules.ruleset import RuleSet
    from agent.stamps import Span

BLOCK_LINES = 2000
"""So many lines are looked at in one piece, at most; fewer than `FEW_LINES` are taken singly."""
FEW_LINES = 4

STEP_NS = 1_000_000
"""A runtime stamps the lines of a container's two streams apart, and may write them this much out
of order; so little back only a line that is known tells of a file that is served again."""
RECENT_LINES = 64


class Reader:
    """The reading state of one container instance.

    `key` hashes lines in cursors; `breaks` are where its log did not continue, oldest first: what
    followed may have been the next instance's log. `stamped` says whether each line begins with
    the API's stamp; `count_crashes` counts fatal and panic entries themselves, where there is no
    container status.
    """

    def __init__(
        self,
        ruleset: RuleSet,
        prefilter: Prefilter,
        *,
        key: bytes = b"",
        cursor: Cursor | None = None,
        breaks: Iterable[Cursor] = (),
        enabled: frozenset[str] = frozenset(),
        debug_seen: bool = False,
        stamped: bool = True,
        count_crashes: bool = False,
    ) -> None:
        self._ruleset = ruleset
        self._prefilter = prefilter
        self._next_rules = (ruleset, prefilter)
        self._key = key
        self._stamped = stamped
        self._count_crashes = count_crashes
        self._cursor = cursor or Cursor()
        self._enabled = set(enabled)
        self._debug_seen = debug_seen
        self._gaps: list[Gap] = []
        self._held: tuple[bytes, ...] = ()
        self._ahead = Cursor()
        self._breaks = deque(breaks, MAX_BREAKS)
        self._rotations = 0
        self.unstamped = 0
        self._unreadable = 0
        self._past = Counter[str]()
        self._now_ns: int | None = None
        self._newest_ns = self._ahead_ns = self._most_read = 0
        self._stepped_after = -1
        self._may_step = False
        self.lag = Lag()
        self._begin()

    def reopen(self, *, accept_gap: bool = True, gap_reason: str = "rotated") -> int:
        """Forget what is not released; return the second since which to ask again (0: all).

        Without `accept_gap` a head that does not continue what was folded sets `gap_suspected`
        and is held back: it may be the log of the next container instance. Else it is a gap of
        this reason.
        """
        if self._proof is None:
            # What was read and not released is read again, unless the file is gone by then.
            self._cursor, self._held = self._trail.cursor(), tuple(self._unreleased)
            self._ahead = self._ahead_cursor(self._held)
        self._most_read = max(self._most_read, self._read + len(self._behind_step))
        self._past.update(cut=self._framer.cut, noise=self._entries.noise)
        self._past.update(bounds=self._pairs.bound_hits)
        self._ruleset, self._prefilter = self._next_rules
        self._begin()
        self._accept_gap, self._gap_reason = accept_gap, gap_reason
        return self._cursor.since_seconds

    def change_rules(self, ruleset: RuleSet, prefilter: Prefilter) -> None:
        """Use another set from the next `reopen` on: what is not released then is read with it."""
        self._next_rules = (ruleset, prefilter)

    def _begin(self) -> None:
        cursor = self._cursor
        self._stamped_lines = 0
        self._framer = Framer()
        self._entries = Entries()
        self._pairs = Pairs(set(self._enabled), count_crashes=self._count_crashes)
        self._trail = Trail(self._key, cursor)
        # Where nothing was folded yet, there is still what was read beyond.
        self._is_proof_ahead = not cursor.total and bool(self._held)
        proved = self._ahead if self._is_proof_ahead else cursor
        self._proof: Proof | None = Proof(self._key, proved) if proved.total else None
        self._unreleased: list[bytes] = []
        self._plain_ns: list[int] = []
        self._offsets: dict[int, int] = {}
        self._bytes = 0
        self._read = self._released = cursor.total
        self._matched: deque[tuple[int, int]] = deque()
        self._debug_noted = self._debug_seen
        self._accept_gap, self._gap_reason = True, "rotated"
        self.gap_suspected = False
        self.step: Suspect | None = None
        self._followed: Suspect | None = None
        self._behind_step: list[bytes] = []
        self._recent: deque[bytes] = deque(maxlen=RECENT_LINES)
        self._last_ns = 0
        self.lag.reopen()

    @property
    def noise(self) -> int:
        """How many lines or entries were none: unstamped, torn, or without a head."""
        return self.unstamped + self._unreadable + self._past["noise"] + self._entries.noise

    @property
    def cut(self) -> int:
        """How many lines were longer than `lines.MAX_LINE_BYTES`."""
        return self._past["cut"] + self._framer.cut

    @property
    def bound_hits(self) -> int:
        """How many pairs were ended by a bound of memory."""
        return self._past["bounds"] + self._pairs.bound_hits

    @property
    def is_proved(self) -> bool:
        """Whether it is known how the reply continues what was folded."""
        return self._proof is None

    @property
    def is_holding(self) -> bool:
        """Whether lines were read that are not released."""
        return bool(self._unreleased or self._plain_ns)

    @property
    def tail(self) -> bytes:
        """What was read after the last newline."""
        return self._framer.tail

    @property
    def lines_stamped(self) -> int:
        """How many lines with a stamp the reply has brought, known ones among them."""
        return self._stamped_lines

    @property
    def lines_read(self) -> int:
        """How many lines of this instance were read, released or not."""
        return self._read

    def feed(self, chunk: bytes, *, now_ns: int | None = None) -> None:
        """Take the next bytes of the reply or of the input; of a stream also when they arrived."""
        self._now_ns = now_ns
        self._may_step = now_ns is not None
        self._take_lines(self._framer.feed(chunk), self._framer.whole)

    def settle(self) -> None:
        """Decide how the reply continues: it is known to end here, so its head is whole."""
        self._may_step = False
        while self._proof is not None and not self.gap_suspected:
            self._proof.settle()
            self._end_proof(self._proof)

    @property
    def patience_seconds(self) -> int:
        """For how long a silence must last before `idle` has something to release."""
        return 0 if self._entries.open_line is not None else self._pairs.patience_seconds

    def idle(self, waited_seconds: float) -> None:
        """Nothing followed for so long: complete the open entry, end the pairs that gave up."""
        for entry in self._entries.close():
            self._take_entry(entry)
        self._pairs.end(waited_seconds=waited_seconds)

    def finish(self) -> None:
        """Take the end of the instance, or of the input: an unterminated last line is a line."""
        if self._framer.tail:
            self.feed(b"\n")
        self.settle()
        self._end_entries()

    def abandon(self) -> None:
        """Take it that nothing more can be had: what was read is counted, half a line is not."""
        if self._proof is not None:
            self._proof = None
            self._take_held()
        self._end_entries()

    def forget(self) -> None:
        """Forget what is not released, for good: it may be another instance's."""
        self._cursor, self._held = self.cursor(), ()
        self._begin()

    def _end_entries(self) -> None:
        for entry in self._entries.finish():
            self._take_entry(entry)
        self._pairs.end()

    def take(self, *, now_ns: int | None = None) -> Released:
        """Hand over what is released since the last call, in line order.

        The caller folds it and takes `cursor` with no `await` between. Where it matters when lines
        were read, it says when it fed them last.
        """
        ahead_ns = self._ahead_ns
        if now_ns is not None:
            ahead_ns = max(ahead_ns, self._newest_ns - now_ns)
        following = self._entries.open_line or self._read + 1
        self._pairs.pass_line(following, offset=self._offset(following))
        observations, facts = self._pairs.released()
        released = min(following, self._pairs.first_line or following) - 1
        lines_at, last_ns = self._release(released - self._released)
        for line in [line for line in self._offsets if line <= released]:
            del self._offsets[line]
        self._released = released
        matched_at: Counter[int] = Counter()
        while self._matched and self._matched[0][0] <= released:
            matched_at[self._matched.popleft()[1] // NANOS] += 1
        for fact in facts:
            if fact != BREAK:
                learn(self._enabled, fact)
        self._debug_seen = self._debug_seen or any(f.name == "level" for f in facts)
        gaps, self._gaps = tuple(self._gaps), []
        rotations, self._rotations = self._rotations, 0
        hits, self._pairs.hits = self._pairs.hits, Counter()
        # What waits was read by now, also if it is to be read again after a `reopen`.
        is_behind = self._proof is not None or self._read < self._most_read
        waits = self.is_holding or is_behind or self.step is not None
        self._newest_ns, self._ahead_ns = (self._newest_ns, ahead_ns) if waits else (0, 0)
        return Released(
            tuple(observations),
            tuple(facts),
            gaps,
            lines_at,
            matched_at,
            rotations,
            last_ns,
            hits,
            ahead_ns,
        )

    def _release(self, count: int) -> tuple[Counter[int], int]:
        """Let go of the next lines: how many of which second, and the highest stamp."""
        if not self._stamped:
            plain, self._plain_ns = self._plain_ns[:count], self._plain_ns[count:]
            return Counter(at_ns // NANOS for at_ns in plain), max(plain, default=0)
        lines = self._unreleased[:count]
        del self._unreleased[:count]
        if not lines:
            return Counter(), 0
        released = span(lines)
        last_ns = at(released.highest)
        self._trail.add(lines, last_ns=last_ns, lowest=released.lowest)
        return count_seconds(released), last_ns

    def _ahead_cursor(self, lines: Sequence[bytes]) -> Cursor:
        """Return where the Cursor would stand after lines that are not released."""
        return self._trail.cursor_after(lines, last_ns=at(max(lines)) if lines else 0)

    def cursor(self) -> Cursor:
        """Return how far the taken lines reach. Hashes the lines of the last seconds."""
        return self._cursor if self._proof is not None else self._trail.cursor()

    @property
    def breaks(self) -> tuple[Cursor, ...]:
        """Where the log did not continue, oldest first."""
        return tuple(self._breaks)

    def places(self) -> list[Cursor]:
        """Return up to where lines were counted that may be of one instance, the newest first."""
        return [one for one in (self.cursor(), *reversed(self._breaks)) if one.total]

    def part_of(self, place: Cursor) -> int:
        """Return behind how many breaks the lines in front of a place stand."""
        return [*self._breaks, self.cursor()].index(place)

    def take_over(self, before: Reader, place: Cursor, reply: bytes) -> bool:
        """Take over one of another reader's places if `reply`, this instance's log, continues it.

        The other goes back to where its own log was last continued. What it holds is for the
        caller to let it `forget`.
        """
        proof = Proof(self._key, place)
        for line in stamped(Framer().feed(reply)):
            if proof.verdict is None:
                proof.take(line)
        proof.settle()
        if proof.verdict is Continuity.GAP or not proof.seen or place not in before.places():
            return False  # not this instance's, or another one has taken it meanwhile
        self._cursor = place
        self._enabled |= before._enabled
        self._debug_seen = self._debug_seen or before._debug_seen
        self._begin()
        before._give_up(place)
        return True

    def _give_up(self, place: Cursor) -> None:
        left = self.places()
        left.remove(place)
        self._cursor = left[0] if left else Cursor()
        self._breaks = deque(reversed(left[1:]), MAX_BREAKS)
        self._begin()

    def audit(self, reply: bytes) -> Continuity | None:
        """Compare a short read from the current `since` with what was read.

        CONTINUOUS or ROTATED mean that nothing follows what was read, FRESH that more follows
        (the stream is behind or dead), GAP that the file is another one. None: too early to say.
        """
        lines = stamped(Framer().feed(reply))
        if reply and not lines:
            return None  # the kubelet's own words say nothing of the log
        if self._proof is not None and not (lines or self._proof.head or self._held):
            # A file that is still empty: whether anything is gone, its first line will tell.
            return Continuity.ROTATED
        if self._proof is not None and lines == self._proof.head:
            self.settle()
        if self._proof is not None:
            return None
        ahead = self._ahead_cursor(self._unreleased)
        if not ahead.count:
            return Continuity.FRESH if lines else Continuity.CONTINUOUS
        if not lines:
            return Continuity.ROTATED
        if self.step is None and self._recent and lines[-1] == self._recent[-1]:
            self.lag.catch_up()
        if self._trail.starts_with(lines, self._unreleased):
            return Continuity.CONTINUOUS
        proof = Proof(self._key, ahead)
        for line in lines:
            if proof.verdict is not None:
                break
            proof.take(line)
        proof.settle()
        follows = len(lines) > len(proof.seen) > 0
        return Continuity.FRESH if follows else proof.verdict

    def _take_lines(self, lines: Sequence[bytes], whole: bytes = b"") -> None:
        begin = 0
        while begin < len(lines):
            is_known = self._stamped and self._proof is None and self.step is None
            if is_known and len(lines) - begin >= FEW_LINES:
                part = lines[begin : begin + BLOCK_LINES]
                self._take_block(part, whole if len(part) == len(lines) else b"")
                begin += BLOCK_LINES
            else:
                self._take_line(lines[begin])
                begin += 1

    def _take_block(self, lines: Sequence[bytes], whole: bytes) -> None:
        """Take lines of a stream that is proved; look singly at those that may matter."""
        block = Block(lines, whole or b"\n".join(lines) + b"\n", self._prefilter)
        while block.has_more:
            run = block.run(self._entries.is_ended_by, until_debug=not self._debug_noted)
            if run is None:
                self._take_line(block.take_line())
            else:
                if self.step is not None or self._may_step_back(run.span):
                    for line in run.span.lines:
                        self._take_line(line)
                else:
                    self._take_run(run)
                block.take_run(run)

    def _take_run(self, run: Run) -> None:
        """Take lines that are whole entries, and look at none without a literal."""
        for entry in self._entries.close():
            self._take_entry(entry)
        if self._now_ns is not None:
            self.lag.take_all(run.span, now_ns=self._now_ns)
        self._newest_ns = max(self._newest_ns, at(run.span.highest))
        lines, first, before = run.span.lines, self._read + 1, self._bytes
        self._note(lines)
        self._unreleased += lines
        self._stamped_lines += len(lines)
        self._read += len(lines)
        self._bytes += run.size
        for index, size in run.hits:
            line = lines[index]
            entry = Entry(run.format, line[BYTES:], at(line), first + index, 1)
            self._take_candidate(entry, offset=before + size)

    def _may_step_back(self, arrived: Span) -> bool:
        """Whether a line may be from before the one that came before it."""
        if not self._may_step:
            return False
        if not arrived.is_ordered or at(arrived.lowest) <= self._last_ns:
            return True
        return arrived.has_equal

    def _steps_back(self, line: bytes, at_ns: int) -> bool:
        if not self._may_step or at_ns > self._last_ns or self._read <= self._stepped_after:
            return False
        return at_ns < self._last_ns - STEP_NS or line in self._recent

    def _wait_behind_step(self, raw: bytes, at_ns: int) -> None:
        self._behind_step.append(raw)
        self._newest_ns = max(self._newest_ns, at_ns)

    def _note(self, lines: Sequence[bytes]) -> None:
        """Note what was taken of the reply last."""
        self._recent.extend(lines[-RECENT_LINES:])
        self._last_ns = at(lines[-1]) if lines else 0

    def go_on(self) -> None:
        """Take what stands behind `step`: so it stands in the log, too."""
        self._followed, self.step = self.step, None
        behind, self._behind_step = self._behind_step, []
        self._take_lines(behind)

    def _take_line(self, raw: bytes) -> None:
        if not self._stamped:
            self._take_plain(raw)
            return
        stamp = parse_stamp(raw)
        if self.step is not None:
            self._wait_behind_step(raw, 0 if stamp is None else stamp[0])
            return
        if stamp is None:
            # A fragment, or the kubelet's own words (kubernetes/kubernetes#142258): never counted,
            # and it moves no cursor.
            self.unstamped += 1
            return
        line = in_usual_form(raw, *stamp)
        if self._proof is None:
            if self._steps_back(line, stamp[0]):
                step = Suspect(self._last_ns, self._recent[-1], stamp[0], line)
                if step != self._followed:
                    self._stepped_after, self.step = self._read, step
                    self._wait_behind_step(raw, stamp[0])
                    return
            self._recent.append(line)
            self._last_ns = stamp[0]
        self._stamped_lines += 1
        self._newest_ns = max(self._newest_ns, stamp[0])
        if self._proof is None:
            if self._now_ns is not None:
                self.lag.take(stamp[0], line, now_ns=self._now_ns)
            self._take_stamped(line, stamp[0])
        elif not self.gap_suspected:
            self._proof.take(line)
            if self._proof.verdict is not None:
                self._end_proof(self._proof)

    def _end_proof(self, proof: Proof) -> None:
        if proof.verdict is Continuity.GAP and self._held and not self._is_proof_ahead:
            # The file may still hold the end of what was read beyond the Cursor.
            self._is_proof_ahead = True
            self._proof = Proof(self._key, self._ahead)
        elif proof.verdict is Continuity.GAP and not self._accept_gap:
            self.gap_suspected = True
            return
        else:
            self._proof = None
            self._rotations += proof.verdict is Continuity.ROTATED
            if self._is_proof_ahead:
                self._take_held()
            else:
                self._trail.restore(proof.seen)
            if proof.verdict is Continuity.GAP:
                self._take_gap(proof.fresh)
            self._held = ()
        self._note(proof.seen)
        self._take_lines(proof.fresh)

    def _take_held(self) -> None:
        """Count what was read before its file was gone: it cannot be read again."""
        held, self._held = self._held, ()
        for line in held:
            self._take_stamped(line, at(line))

    def _take_gap(self, fresh: Sequence[bytes]) -> None:
        """Report what is gone in front of these lines; nothing that waits can be answered."""
        for entry in self._entries.close():
            self._take_entry(entry)
        self._pairs.end()
        self._breaks.append(self._ahead if self._is_proof_ahead else self._cursor)
        self._pairs.state(BREAK, line=self._read, offset=self._bytes)
        last_ns = max(self._cursor.last_ns, at(self._unreleased[-1]) if self._unreleased else 0)
        end_ns = max(at(fresh[0]), last_ns) if fresh else last_ns
        self._gaps.append(Gap(self._gap_reason, last_ns, end_ns))

    def _take_stamped(self, line: bytes, at_ns: int) -> None:
        self._unreleased.append(line)
        self._take_text(line[BYTES:], at_ns, size=len(line))

    def _take_plain(self, line: bytes) -> None:
        self._take_text(line, None, size=len(line))
        # Without the API's stamp a line has the time of the last entry that said one.
        self._plain_ns.append(self._entries.last_ns)

    def _take_text(self, text: bytes, at_ns: int | None, *, size: int) -> None:
        self._read += 1
        self._offsets[self._read] = self._bytes
        self._bytes += size
        for entry in self._entries.feed(text, at_ns, self._read):
            self._take_entry(entry)

    def _take_entry(self, entry: Entry) -> None:
        looks_for_level = not self._debug_noted and DEBUG.search(entry.text) is not None
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
