"""Facts that need two lines: openers wait for their closers, and nothing overtakes them.

Owns the waiting pairs of one container instance and the order of release. What comes in is a
`Match` in line order; what goes out are Observations and Facts in line order, each behind all
open pairs before it, so that what was released is always a prefix of the log, and never one
that ends between an opener and its closers: what follows must mean the same when it is read
again alone. Must not know text, windows or clocks: a pair's line time is the highest stamp of
the matched entries since its opener.
"""

from __future__ import annotations

import hashlib
import re
from bisect import bisect_left
from collections import Counter, deque
from typing import TYPE_CHECKING

from attrs import define, field, frozen

from agent.anonymize import anonymize, evaluate, freeze, state_facts
from agent.model import CRASHED, NANOS, Fact, Observation, Value, learn

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from agent.match import Match
    from agent.rules.ruleset import Closer, Pair

MAX_WAITING = 256
_NEVER = (float("inf"),) * 3
_NAMED = 2
"""What a key that the closer names itself weighs against one that both only happen to have."""
MAX_PAIR_BYTES = 8 * 1024 * 1024


@frozen
class Opened:
    """The entry of a line opened a pair."""

    line: int


@frozen
class Acted:
    """The entry of a line acted, as this closer says, on the pair that another one opened."""

    line: int
    opener: int
    closer: Closer


@frozen
class Counted:
    """The entry of a line was released with what it counts by a rule, or by none."""

    line: int
    rule: str | None
    observations: tuple[Observation, ...]


Note = Opened | Acted | Counted
"""What a tool is told of each step; the agent itself does not listen."""


@define(eq=False)
class _Waiting:
    """An open pair: what it will count if it ends now, and what it waits for.

    It is over `seconds` after `since_ns`. If it `is_held`, a closer has said what it counts, and
    only an entry that names it (`join`) may still say otherwise.
    """

    pair: Pair
    key: dict[str, set[bytes]]
    counts: bool
    event: str | None
    values: dict[str, Value]
    since_ns: int
    seconds: int
    is_changed: bool = False
    is_held: bool = False
    suspected: tuple[str, dict[str, Value]] | None = None
    acted: set[tuple[bytes | None, ...]] = field(factory=set)

    def become(self, event: str | None, said: Mapping[str, Value]) -> None:
        """Take over what an entry says of it, and another event if it names one."""
        if event is not None and event != self.event:
            kept = {"platform": self.values["platform"]} if "platform" in self.values else {}
            self.event, self.values, self.is_changed = event, {**kept, **said}, True
            self.counts = True
        elif not self.is_changed:
            # Once an entry has made it another event, its properties are settled.
            self.values.update(said)


@define(eq=False)
class _Slot:
    """One matched entry's place in the order of release.

    `offset` counts the bytes before the entry, `until` is the last line that acted on it.
    """

    line: int
    offset: int
    until: int
    at_ns: int
    facts: tuple[Fact, ...] = ()
    observations: tuple[Observation, ...] = ()
    waiting: _Waiting | None = None
    rule: str | None = None


@define
class Pairs:
    """The open pairs of one container instance, and what waits behind them."""

    enabled: set[str]
    count_crashes: bool = False
    note: Callable[[Note], None] | None = None
    bound_hits: int = 0
    hits: Counter[str] = field(factory=Counter)
    _slots: deque[_Slot] = field(factory=deque)
    _open: list[_Slot] = field(factory=list)
    _offset: int = 0
    _due: tuple[float, float, float] = _NEVER
    _clock_ns: int = 0
    # Lines and stamps of the entries that none after them has a higher stamp than, from the oldest
    # open pair on. Where time does not run back this is the last entry alone.
    _peaks: list[tuple[int, int]] = field(factory=list)
    # The pairs that are open, by their openers' rules, and how many of each.
    _kinds: dict[str, tuple[Pair, int]] = field(factory=dict)

    @property
    def waiting(self) -> bool:
        """Whether any pair is open."""
        return bool(self._open)

    @property
    def patience_seconds(self) -> int:
        """How long the open pair that gives up first waits; 0 without one."""
        return min((slot.waiting.seconds for slot in self._open if slot.waiting), default=0)

    @property
    def first_line(self) -> int | None:
        """The line of the oldest entry that is not released."""
        return self._slots[0].line if self._slots else None

    def take(self, match: Match, *, offset: int) -> None:
        """Take the next matched entry of this instance, and how many bytes stand before it."""
        line = match.first_line
        self._pass_time(line, match.at_ns)
        self.pass_line(line, offset=offset)
        counts_alone = match.rule.pair is None and match.rule.alone == "count"
        alone = anonymize(match, self.enabled) if counts_alone else ()
        facts = state_facts(match, self.enabled)
        slot = _Slot(line, offset, line, match.at_ns, facts, rule=match.rule.id)
        for fact in slot.facts:
            learn(self.enabled, fact)
        self._slots.append(slot)
        passed: Mapping[str, Value] = {}
        opener, closer = self._find_opener(match)
        if opener is not None and closer is not None:
            opener.until = line
            if self.note is not None:
                self.note(Acted(line, opener.line, closer))
            passed = self._close(opener, closer, match)
        # What took part in a pair neither counts nor opens on its own, unless the rule says so.
        then = closer.then if closer is not None else "pass"
        if match.rule.pair is not None and then in {"pass", "next"}:
            self._start(slot, match, passed)
        elif counts_alone and then == "pass":
            slot.observations = alone
        kinds = [fact.value for fact in slot.facts if fact.name == "kind"]
        if self.count_crashes and kinds:
            crashed = Observation(CRASHED, (("kind", kinds[0]),), match.at_ns)
            slot.observations = (*slot.observations, crashed)

    def state(self, fact: Fact, *, line: int, offset: int) -> None:
        """Put a fact that needs no rule into the order of release."""
        self._slots.append(_Slot(line, offset, line, 0, (fact,)))

    def _pass_time(self, line: int, at_ns: int) -> None:
        """Note the stamp of an entry, without a look at each pair that is open."""
        self._clock_ns = max(self._clock_ns, at_ns)
        while self._peaks and self._peaks[-1][1] <= at_ns:
            self._peaks.pop()
        first = self._open[0].line if self._open else line
        del self._peaks[: bisect_left(self._peaks, (first,))]
        self._peaks.append((line, at_ns))

    def _line_time(self, slot: _Slot) -> int:
        """Return the highest stamp of the matched entries since an opener, its own among them."""
        return self._peaks[bisect_left(self._peaks, (slot.line,))][1]

    def pass_line(self, line: int, *, offset: int) -> None:
        """End the pairs whose lines, seconds or bytes are over: all entries before were taken."""
        self._offset = offset
        due_line, due_ns, due_offset = self._due
        if line <= due_line and self._clock_ns <= due_ns and offset <= due_offset:
            return
        self._due = _NEVER
        for slot in list(self._open):
            waiting = slot.waiting
            if waiting is None:
                continue
            is_full = offset - slot.offset > MAX_PAIR_BYTES
            self.bound_hits += is_full
            if (
                is_full
                or line - slot.line > waiting.pair.lines
                or self._line_time(slot) - waiting.since_ns > waiting.seconds * NANOS
            ):
                self._finish(slot)
            else:
                self._expect(slot, waiting)

    def _expect(self, slot: _Slot, waiting: _Waiting) -> None:
        """Note when an open pair may be over, so that until then nobody looks."""
        due_line, due_ns, due_offset = self._due
        self._due = (
            min(due_line, slot.line + waiting.pair.lines),
            min(due_ns, waiting.since_ns + waiting.seconds * NANOS),
            min(due_offset, slot.offset + MAX_PAIR_BYTES),
        )

    def end(self, *, waited_seconds: float = float("inf")) -> None:
        """End the open pairs that wait no longer than this: nothing followed for so long."""
        for slot in list(self._open):
            if slot.waiting is not None and slot.waiting.seconds < waited_seconds:
                self._finish(slot)

    def released(self) -> tuple[list[Observation], list[Fact]]:
        """Return what no open pair holds back, in line order."""
        observations: list[Observation] = []
        facts: list[Fact] = []
        for _ in range(self._ready()):
            slot = self._slots.popleft()
            facts.extend(slot.facts)
            observations.extend(slot.observations)
            if slot.rule is not None:
                self.hits[slot.rule] += 1
            if self.note is not None:
                self.note(Counted(slot.line, slot.rule, slot.observations))
        return observations, facts

    def _ready(self) -> int:
        """How many slots may be released: none that waits, nor without all that acted on them."""
        ready = reach = 0
        is_full = bool(self._slots) and self._offset - self._slots[0].offset > MAX_PAIR_BYTES
        for index, slot in enumerate(self._slots):
            if reach < slot.line or is_full:
                ready = index
            if slot.waiting is not None:
                return ready
            reach = max(reach, slot.until)
        return len(self._slots)

    def _find_opener(self, match: Match) -> tuple[_Slot, Closer] | tuple[None, None]:
        """Return the open pair that this entry acts on, and how.

        It is the one with most in common; of several one that is not held, the oldest or, where
        the closer chooses so, the newest that anything acted on.
        """
        name, entry = match.rule.id, _Keys(match)
        if not any(name in pair.closers_of for pair, _ in self._kinds.values()):
            return None, None
        best: tuple[_Slot, Closer] | None = None
        most = (0, False)
        for slot in self._open:
            waiting = slot.waiting
            assert waiting is not None
            for closer in waiting.pair.closers_of.get(name, ()):
                keys = _common(waiting, closer, entry)
                if keys is None or self._line_time(slot) - slot.at_ns > closer.within * NANOS:
                    continue
                common = (keys, not waiting.is_held)
                is_newer = best is not None and slot.until > best[0].until
                is_chosen = common == most and is_newer and closer.choose == "newest"
                if best is None or common > most or is_chosen:
                    best, most = (slot, closer), common
                break
        return best or (None, None)

    def _close(self, slot: _Slot, closer: Closer, match: Match) -> Mapping[str, Value]:
        """Let a closer act on an open pair; return the properties that a successor takes over."""
        waiting = slot.waiting
        assert waiting is not None
        said = evaluate(closer.properties, match.captures, self.enabled) or {}
        entry = _Keys(match)
        if closer.then == "suspect" and closer.event is not None:
            waiting.suspected = (closer.event, said)
            waiting.acted.add(_occasion(closer, entry))
            return {}
        if closer.event is not None or said or closer.then not in {"wait", "count", "next"}:
            waiting.suspected = None
        waiting.become(closer.event, said)
        if closer.then == "wait":
            waiting.acted.add(_occasion(closer, entry))
            for name, capture in closer.also.items():
                if (value := entry.get(capture)) is not None:
                    waiting.key.setdefault(name, set()).add(value)
            return {}
        waiting.counts = closer.then in {"count", "next"}
        if closer.hold:
            waiting.is_held, waiting.since_ns = True, self._line_time(slot)
            waiting.seconds = closer.hold
            self._expect(slot, waiting)
            return {}
        self._finish(slot)
        if closer.then != "pass":
            return {}
        return {name: waiting.values[name] for name in closer.passes if name in waiting.values}

    def _start(self, slot: _Slot, match: Match, passed: Mapping[str, Value]) -> None:
        """Open a pair. Properties passed on by the pair that ended win over the opener's own."""
        pair = match.rule.pair
        assert pair is not None
        sources = {
            name: source for name, source in match.rule.properties.items() if name not in passed
        }
        values = evaluate(sources, match.captures, self.enabled)
        if values is None:
            return
        values.update(passed)
        entry = _Keys(match)
        key = {name: {value} for name in pair.key if (value := entry.get(name)) is not None}
        for name, capture in pair.also.items():
            if (value := entry.get(capture)) is not None:
                key.setdefault(name, set()).add(value)
        counts = pair.result == "count"
        slot.waiting = _Waiting(
            pair, key, counts, match.rule.event, values, match.at_ns, pair.seconds
        )
        self._open.append(slot)
        self._expect(slot, slot.waiting)
        self._kinds[match.rule.id] = (pair, self._kinds.get(match.rule.id, (pair, 0))[1] + 1)
        if self.note is not None:
            self.note(Opened(slot.line))
        if len(self._open) > MAX_WAITING:
            self.bound_hits += 1
            self._finish(self._open[0])

    def _finish(self, slot: _Slot) -> None:
        waiting, slot.waiting = slot.waiting, None
        self._open.remove(slot)
        if slot.rule is not None and (kind := self._kinds.pop(slot.rule, None)) and kind[1] > 1:
            self._kinds[slot.rule] = (kind[0], kind[1] - 1)
        if waiting is not None and waiting.suspected is not None:
            waiting.become(*waiting.suspected)
        if waiting is not None and waiting.counts and waiting.event is not None:
            slot.observations = (Observation(waiting.event, freeze(waiting.values), slot.at_ns),)


class _Keys:
    """The digests of an entry's captures, made when they are asked for."""

    def __init__(self, match: Match) -> None:
        self.rule = match.rule.id
        self._captures = match.captures
        self._digests: dict[str, bytes] = {}

    def get(self, name: str) -> bytes | None:
        if name not in self._digests and name in self._captures:
            self._digests[name] = _digest(self._captures[name])
        return self._digests.get(name)


def _common(waiting: _Waiting, closer: Closer, entry: _Keys) -> int | None:
    """How many join keys an entry has in common with an opener; None if it does not act on it."""
    if waiting.is_held and not closer.join:
        return None
    common = 0
    for name, values in waiting.key.items():
        value = entry.get(name)
        if value is not None:
            if value not in values:
                return None
            common += 1
    for name, capture in closer.join.items():
        if entry.get(capture) not in waiting.key.get(name, ()):
            return None
        common += _NAMED
    for name, capture in closer.prefer.items():
        common += _NAMED * (entry.get(capture) in waiting.key.get(name, ()))
    if closer.then in {"wait", "suspect"} and _occasion(closer, entry) in waiting.acted:
        return None
    return common


def _occasion(closer: Closer, entry: _Keys) -> tuple[bytes | None, ...]:
    """Return what a closer that waits acts on an opener only once for."""
    return (entry.rule.encode(), *map(entry.get, closer.once_per))


def _digest(text: bytes) -> bytes:
    """Keep a join key small: it is compared and dropped.

    BotKube prints one command in several ways (as typed, cleaned, Go-quoted), so spaces, quotes
    and the mark-up of links make no difference.
    """
    plain = _QUOTES.sub(b"", _BREAKS.sub(b" ", _LINK.sub(rb"\1", text)))
    return hashlib.blake2b(b" ".join(plain.split()), digest_size=16).digest()


_LINK = re.compile(rb"<(?:[^<>|\s]*\|)?([^<>|\s]*)>")
_BREAKS = re.compile(rb"\\[nrt]")
_QUOTES = re.compile(rb"[\"'`\\]|\xe2\x80[\x98-\x9f]|\xc2[\xab\xbb]")
