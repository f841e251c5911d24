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
from collections import deque
from typing import TYPE_CHECKING

from attrs import define, field

from agent.anonymize import anonymize, evaluate, freeze, state_facts
from agent.model import CRASHED, NANOS, Fact, Observation, Value, learn

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agent.match import Match
    from agent.rules.ruleset import Closer, Pair

MAX_WAITING = 256
MAX_PAIR_BYTES = 8 * 1024 * 1024


@define(eq=False)
class _Waiting:
    """An open pair: what it will count if it ends now, and what it waits for."""

    pair: Pair
    key: Mapping[str, bytes]
    counts: bool
    event: str | None
    values: dict[str, Value]
    clock_ns: int
    is_changed: bool = False


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


@define
class Pairs:
    """The open pairs of one container instance, and what waits behind them."""

    enabled: set[str]
    count_crashes: bool = False
    bound_hits: int = 0
    _slots: deque[_Slot] = field(factory=deque)
    _open: list[_Slot] = field(factory=list)
    _offset: int = 0

    @property
    def waiting(self) -> bool:
        """Whether any pair is open."""
        return bool(self._open)

    @property
    def patience_seconds(self) -> int:
        """How long the open pair that gives up first waits; 0 without one."""
        return min((slot.waiting.pair.seconds for slot in self._open if slot.waiting), default=0)

    @property
    def first_line(self) -> int | None:
        """The line of the oldest entry that is not released."""
        return self._slots[0].line if self._slots else None

    def take(self, match: Match, *, offset: int) -> None:
        """Take the next matched entry of this instance, and how many bytes stand before it."""
        line = match.first_line
        for one in self._open:
            if one.waiting is not None:
                one.waiting.clock_ns = max(one.waiting.clock_ns, match.at_ns)
        self.pass_line(line, offset=offset)
        alone = anonymize(match, self.enabled)
        slot = _Slot(line, offset, line, match.at_ns, state_facts(match, self.enabled))
        for fact in slot.facts:
            learn(self.enabled, fact)
        self._slots.append(slot)
        passed: Mapping[str, Value] = {}
        opener, closer = self._find_opener(match)
        if opener is not None and closer is not None:
            opener.until = line
            passed = self._close(opener, closer, match)
        # What took part in a pair neither counts nor opens on its own, unless the rule says so.
        then = closer.then if closer is not None else "pass"
        if match.rule.pair is not None and then in {"pass", "next"}:
            self._start(slot, match, passed)
        elif match.rule.pair is None and then == "pass" and match.rule.alone == "count":
            slot.observations = alone
        kinds = [fact.value for fact in slot.facts if fact.name == "kind"]
        if self.count_crashes and kinds:
            crashed = Observation(CRASHED, (("kind", kinds[0]),), match.at_ns)
            slot.observations = (*slot.observations, crashed)

    def state(self, fact: Fact, *, line: int, offset: int) -> None:
        """Put a fact that needs no rule into the order of release."""
        self._slots.append(_Slot(line, offset, line, 0, (fact,)))

    def pass_line(self, line: int, *, offset: int) -> None:
        """End the pairs whose lines, seconds or bytes are over: all entries before were taken."""
        self._offset = offset
        for slot in list(self._open):
            waiting = slot.waiting
            if waiting is None:
                continue
            is_full = offset - slot.offset > MAX_PAIR_BYTES
            self.bound_hits += is_full
            if (
                is_full
                or line - slot.line > waiting.pair.lines
                or waiting.clock_ns - slot.at_ns > waiting.pair.seconds * NANOS
            ):
                self._finish(slot)

    def end(self, *, waited_seconds: float = float("inf")) -> None:
        """End the open pairs that wait no longer than this: nothing followed for so long."""
        for slot in list(self._open):
            if slot.waiting is not None and slot.waiting.pair.seconds < waited_seconds:
                self._finish(slot)

    def released(self) -> tuple[list[Observation], list[Fact]]:
        """Return what no open pair holds back, in line order."""
        observations: list[Observation] = []
        facts: list[Fact] = []
        for _ in range(self._ready()):
            slot = self._slots.popleft()
            facts.extend(slot.facts)
            observations.extend(slot.observations)
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
        """Return the oldest open pair that this entry closes, and how."""
        for slot in self._open:
            waiting = slot.waiting
            assert waiting is not None
            for closer in waiting.pair.closers:
                if match.rule.id in closer.rules and _joins(waiting, match):
                    return slot, closer
        return None, None

    def _close(self, slot: _Slot, closer: Closer, match: Match) -> Mapping[str, Value]:
        """Let a closer act on an open pair; return the properties that a successor takes over."""
        waiting = slot.waiting
        assert waiting is not None
        if closer.event is not None and closer.event != waiting.event:
            kept = {"platform": waiting.values["platform"]} if "platform" in waiting.values else {}
            waiting.event, waiting.values, waiting.is_changed = closer.event, kept, True
            waiting.counts = True
        if closer.event is not None or not waiting.is_changed:
            # Once an entry has made it another event, the opener's own properties are settled.
            waiting.values.update(evaluate(closer.properties, match.captures, self.enabled) or {})
        if closer.then == "wait":
            return {}
        waiting.counts = closer.then in {"count", "next"}
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
        key = {name: _digest(match.captures[name]) for name in pair.key if name in match.captures}
        slot.waiting = _Waiting(
            pair, key, pair.result == "count", match.rule.event, values, match.at_ns
        )
        self._open.append(slot)
        if len(self._open) > MAX_WAITING:
            self.bound_hits += 1
            self._finish(self._open[0])

    def _finish(self, slot: _Slot) -> None:
        waiting, slot.waiting = slot.waiting, None
        self._open.remove(slot)
        if waiting is not None and waiting.counts and waiting.event is not None:
            slot.observations = (Observation(waiting.event, freeze(waiting.values), slot.at_ns),)


def _joins(waiting: _Waiting, match: Match) -> bool:
    """Whether the join keys that both entries have are equal."""
    return all(
        name not in match.captures or _digest(match.captures[name]) == value
        for name, value in waiting.key.items()
    )


def _digest(text: bytes) -> bytes:
    # Join keys are compared and dropped; a digest keeps them small.
    return hashlib.blake2b(b" ".join(text.split()), digest_size=16).digest()
