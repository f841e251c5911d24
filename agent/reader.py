"""One container instance: chunks of its log -> what may be folded, and where its Cursor stands.

Owns how a reply goes on where lines were folded: proved by its head, with a gap, or with a step
back. What its lines say is for `unreleased`. Pure: it is handed bytes and asked for results. What
was read but not released is forgotten on `reopen`, exactly as after a crash, and read again; so a
reconnection and a restart are one mechanism.
"""

from __future__ import annotations

from collections import Counter, deque
from typing import TYPE_CHECKING

from agent.blocks import Block
from agent.claim import Claim
from agent.lag import Lag
from agent.lines import Framer, parse_stamp
from agent.model import BREAK, MAX_BREAKS, NANOS, Continuity, Cursor, Gap, Released, learn
from agent.resume import Proof, Trail
from agent.stamps import at, count_seconds, in_usual_form, span, stamped
from agent.steps import Steps
from agent.unreleased import Unreleased

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from agent.blocks import Run
    from agent.lag import Suspect
    from agent.prefilter import Prefilter
    from agent.rules.ruleset import RuleSet
    from agent.unreleased import Taken

BLOCK_LINES = 2000
"""So many lines are looked at in one piece, at most; fewer than `FEW_LINES` are taken singly."""
FEW_LINES = 4


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
        self._past = Counter[str]()
        self._now_ns: int | None = None
        self._newest_ns = self._ahead_ns = self._most_read = 0
        self._may_step = False
        self._steps = Steps()
        self.lag = Lag()
        self._trail = Trail(key, self._cursor)
        self._begin()

    def reopen(self, *, accept_gap: bool = True, gap_reason: str = "rotated") -> int:
        """Forget what is not released; return the second since which to ask again (0: all).

        Without `accept_gap` a head that does not continue what was folded sets `gap_suspected`
        and is held back: it may be the log of the next container instance. Else it is a gap of
        this reason.
        """
        if self._has_trail:
            # What was read and not released is read again, unless the file is gone by then.
            self._cursor, self._held = self._trail.cursor(), tuple(self._unreleased.lines)
            self._ahead = self._ahead_cursor(self._held)
        self._most_read = max(self._most_read, self.lines_read + len(self._steps.behind))
        self._past.update(cut=self._framer.cut, noise=self._unreleased.noise)
        self._past.update(bounds=self._unreleased.bound_hits)
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
        self._unreleased = Unreleased(
            self._ruleset,
            self._prefilter,
            read=cursor.total,
            known=self._enabled,
            debug_seen=self._debug_seen,
            count_crashes=self._count_crashes,
        )
        # Where nothing was folded yet, there is still what was read beyond.
        self._is_proof_ahead = not cursor.total and bool(self._held)
        proved = self._ahead if self._is_proof_ahead else cursor
        self._proof: Proof | None = Proof(self._key, proved) if proved.total else None
        self._has_trail = False
        if self._proof is None:
            self._begin_trail()
        self._accept_gap, self._gap_reason = True, "rotated"
        self.gap_suspected = False
        self._steps.reopen()
        self.lag.reopen()

    def _begin_trail(self) -> None:
        """Begin the trail where the Cursor stands, unless it goes on already."""
        if not self._has_trail:
            self._trail, self._has_trail = Trail(self._key, self._cursor), True

    @property
    def noise(self) -> int:
        """How many lines or entries were none: unstamped, torn, or without a head."""
        return self.unstamped + self._past["noise"] + self._unreleased.noise

    @property
    def cut(self) -> int:
        """How many lines were longer than `lines.MAX_LINE_BYTES`."""
        return self._past["cut"] + self._framer.cut

    @property
    def bound_hits(self) -> int:
        """How many pairs were ended by a bound of memory."""
        return self._past["bounds"] + self._unreleased.bound_hits

    @property
    def is_proved(self) -> bool:
        """Whether it is known how the reply continues what was folded."""
        return self._proof is None

    @property
    def is_broken_off(self) -> bool:
        """Whether the reply, if it ends here, is a part of what it must be."""
        return self._proof is not None and self._proof.is_broken_off

    @property
    def is_holding(self) -> bool:
        """Whether lines were read that are not released."""
        return self._unreleased.has_lines

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
        return self._unreleased.read

    @property
    def step(self) -> Suspect | None:
        """Two lines of which the later may be from before; what follows waits for `go_on`."""
        return self._steps.step

    def feed(self, chunk: bytes, *, now_ns: int | None = None) -> None:
        """Take the next bytes of the reply or of the input; of a stream also when they arrived."""
        self._now_ns = now_ns
        self._may_step = now_ns is not None
        lines = self._framer.feed(chunk)
        whole, self._framer.whole = self._framer.whole, b""  # not kept by a stream that is quiet
        self._take_lines(lines, whole)

    def settle(self) -> None:
        """Decide how the reply continues: it is known to end here, so its head is whole.

        Unless the head itself shows that it was broken off: what it lacks is not gone.
        """
        self._may_step = False
        while not (self._proof is None or self.gap_suspected or self.is_broken_off):
            self._proof.settle()
            self._end_proof(self._proof)

    @property
    def patience_seconds(self) -> int:
        """For how long a silence must last before `idle` has something to release."""
        return self._unreleased.patience_seconds

    def idle(self, waited_seconds: float) -> None:
        """Nothing followed for so long: complete the open entry, end the pairs that gave up."""
        self._unreleased.idle(waited_seconds)

    def finish(self) -> None:
        """Take the end of the instance, or of the input: an unterminated last line is a line."""
        if self._framer.tail:
            self.feed(b"\n")
        self.settle()
        self.abandon()

    def abandon(self) -> None:
        """Take it that nothing more can be had: what was read is counted, half a line is not."""
        if self._proof is not None:
            self._proof = None
            self._begin_trail()
            self._take_held()
        self._unreleased.end()

    def forget(self) -> None:
        """Forget what is not released, for good: it may be another instance's."""
        self._cursor, self._held = self.cursor(), ()
        if self._breaks and self._breaks[-1].total == self._cursor.total:
            self._cursor = self._breaks.pop()  # nothing behind it was released
        self._begin()

    def take(self, *, now_ns: int | None = None) -> Released:
        """Hand over what is released since the last call, in line order.

        The caller folds it and takes `cursor` with no `await` between. Where it matters when lines
        were read, it says when it fed them last.
        """
        ahead_ns = self._ahead_ns
        if now_ns is not None:
            ahead_ns = max(ahead_ns, self._newest_ns - now_ns)
        taken = self._unreleased.take()
        lines_at, last_ns = self._fold(taken)
        for fact in taken.facts:
            if fact != BREAK:
                learn(self._enabled, fact)
        self._debug_seen = self._debug_seen or any(f.name == "level" for f in taken.facts)
        gaps, self._gaps = tuple(self._gaps), []
        rotations, self._rotations = self._rotations, 0
        # What waits was read by now, also if it is to be read again after a `reopen`.
        is_behind = self._proof is not None or self.lines_read < self._most_read
        waits = self.is_holding or is_behind or self.step is not None
        self._newest_ns, self._ahead_ns = (self._newest_ns, ahead_ns) if waits else (0, 0)
        return Released(
            tuple(taken.observations),
            tuple(taken.facts),
            gaps,
            lines_at,
            taken.matched_at,
            rotations,
            last_ns,
            taken.hits,
            ahead_ns,
        )

    def _fold(self, taken: Taken) -> tuple[Counter[int], int]:
        """Move the Cursor over lines: how many of which second, and the highest stamp."""
        if not taken.lines:
            plain = taken.plain_ns
            return Counter(at_ns // NANOS for at_ns in plain), max(plain, default=0)
        released = span(taken.lines)
        last_ns = at(released.highest)
        self._trail.add(taken.lines, last_ns=last_ns, lowest=released.lowest)
        return count_seconds(released), last_ns

    def _ahead_cursor(self, lines: Sequence[bytes]) -> Cursor:
        """Return where the Cursor would stand after lines that are not released."""
        return self._trail.cursor_after(lines, last_ns=at(max(lines)) if lines else 0)

    def cursor(self) -> Cursor:
        """Return how far the taken lines reach. Hashes the lines of the last seconds."""
        return self._trail.cursor() if self._has_trail else self._cursor

    @property
    def breaks(self) -> tuple[Cursor, ...]:
        """Where the log did not continue, oldest first: one for each of `Instance.kinds_before`."""
        return tuple(self._breaks)

    def places(self) -> list[Cursor]:
        """Return up to where lines were counted that may be of one instance, the newest first."""
        return [one for one in (self.cursor(), *reversed(self._breaks)) if one.total]

    def part_of(self, place: Cursor) -> int:
        """Return behind how many breaks the lines in front of a place stand."""
        return [*self._breaks, self.cursor()].index(place)

    def claim(self, place: Cursor) -> Claim:
        """Ask of this instance's log whether it continues another reader's place."""
        return Claim(self._key, place)

    def take_over(self, before: Reader, place: Cursor) -> bool:
        """Take over another reader's place, if nobody else has: this instance's log continues it.

        The other goes back to where its own log was last continued. What it holds is for the
        caller to let it `forget`.
        """
        if place not in before.places():
            return False
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
        if self._proof is not None and not (lines or self._proof.head):
            # A file that is still empty: whether anything is gone, its first line will tell. What
            # was read is counted by then, and has to stand in front of it.
            self._go_on_behind_held()
            return Continuity.ROTATED
        if self._proof is not None and lines == self._proof.head:
            self.settle()
        if self._proof is not None:
            return None
        ahead = self._ahead_cursor(self._unreleased.lines)
        if not ahead.count:
            return Continuity.FRESH if lines else Continuity.CONTINUOUS
        if not lines:
            return Continuity.ROTATED
        if self.step is None and lines[-1] == self._steps.last:
            self.lag.catch_up()
        if self._trail.starts_with(lines, self._unreleased.lines):
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
            waiting = self._unreleased
            run = block.run(waiting.may_take_run, until_debug=waiting.looks_for_level)
            if run is None:
                self._take_line(block.take_line())
            else:
                may_step = self._may_step and self._steps.may_be_in(run.span)
                if self.step is not None or may_step:
                    for line in run.span.lines:
                        self._take_line(line)
                else:
                    self._take_run(run)
                block.take_run(run)

    def _take_run(self, run: Run) -> None:
        """Take lines that are whole entries."""
        if self._now_ns is not None:
            self.lag.take_all(run.span, now_ns=self._now_ns)
            self._steps.note(run.span)
        self._newest_ns = max(self._newest_ns, at(run.span.highest))
        self._stamped_lines += len(run.span.lines)
        self._unreleased.take_run(run)

    def _wait_behind_step(self, raw: bytes, at_ns: int) -> None:
        self._steps.behind.append(raw)
        self._newest_ns = max(self._newest_ns, at_ns)

    @property
    def highest_ns(self) -> int:
        """The highest stamp that was read, up to the first one of `step`."""
        return self._steps.highest_ns

    @property
    def behind_step(self) -> list[bytes]:
        """The lines from the later one of `step` on, as far as they have come."""
        return stamped(self._steps.behind)

    def go_on(self, following: int = 1) -> None:
        """Take what stands behind `step`: in the log so many of these lines follow, too."""
        self._take_lines(self._steps.go_on(following))

    def _take_line(self, raw: bytes) -> None:
        if not self._stamped:
            self._unreleased.take_plain(raw)
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
            if not self._may_step:
                self._steps.note_line(line, stamp[0])
            elif self._steps.take(line, stamp[0], read=self.lines_read):
                self._wait_behind_step(raw, stamp[0])
                return
        self._stamped_lines += 1
        self._newest_ns = max(self._newest_ns, stamp[0])
        if self._proof is None:
            if self._now_ns is not None:
                self.lag.take(stamp[0], line, now_ns=self._now_ns)
            self._unreleased.take_line(line, stamp[0])
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
            self._begin_trail()
            self._rotations += proof.verdict is Continuity.ROTATED
            if self._is_proof_ahead:
                self._take_held()
            else:
                self._trail.restore(proof.seen)
            if proof.verdict is Continuity.GAP:
                self._take_gap(proof.fresh)
            self._held = ()
        if proof.seen:
            self._steps.note(span(proof.seen))
        self._take_lines(proof.fresh)

    def _take_held(self) -> None:
        """Count what was read before its file was gone: it cannot be read again."""
        held, self._held = self._held, ()
        for line in held:
            self._unreleased.take_line(line, at(line))

    def _go_on_behind_held(self) -> None:
        if self._held:
            self._proof, self._is_proof_ahead = Proof(self._key, self._ahead), True
            self._has_trail = True  # that of the stream before still ends where the Cursor stands
            self._take_held()

    def _take_gap(self, fresh: Sequence[bytes]) -> None:
        """Report what is gone in front of these lines; nothing that waits can be answered."""
        self._unreleased.break_off()
        place = self._ahead if self._is_proof_ahead else self._cursor
        self._breaks.append(place)
        end_ns = max(at(fresh[0]), place.last_ns) if fresh else place.last_ns
        self._gaps.append(Gap(self._gap_reason, place.last_ns, end_ns))
