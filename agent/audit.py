"""Received events -> what was lost or doubled on the way, and in which interval.

Owns the proof that an export is complete: within a window the counts must add up to the Collection
report's deltas; from window to window `seq` must step by one, the windows must meet, and each total
must be the last one and the delta. The order of the events does not matter. Pure.

Of each event 28 bytes are kept, of each Collection report its sums. Two losses leave no trace: that
of everything after the newest window of a stream, and that of a whole stream.
"""

from __future__ import annotations

import struct
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from enum import StrEnum
from hashlib import sha256
from typing import TYPE_CHECKING, TypeAlias

from attrs import define, evolve, field, frozen

from agent.model import REPORT
from agent.names import snake

if TYPE_CHECKING:
    from agent.received import Received, Sums

_ENTRY = struct.Struct("<8s8sIQ")
_REPORT = snake(REPORT)

StreamKey: TypeAlias = tuple[str, str]
"""Installation and stream."""


class Effect(StrEnum):
    """What happened to an interval."""

    LOST = "lost"
    DOUBLED = "doubled"
    UNCERTAIN = "uncertain"


class Kind(StrEnum):
    """What was found, as an explanation for a person. `uncertain` alone is no inconsistency."""

    NO_WINDOW = "no event of these windows arrived"
    NO_REPORT = "the Collection report is missing"
    SHORT = "fewer than the Collection reports say"
    OVER = "more than the Collection report says"
    SAME_ID = "the same message id more than once"
    SAME_CONTENT = "the same event under another message id"
    ALTERED = "one message id with different contents"
    SECOND_REPORT = "Collection reports that contradict each other"
    REUSED = "one seq for different windows"
    BROKEN_TOTAL = "the total is not the last total and the delta"
    HOLE = "time between two windows that follow each other"
    OVERLAP = "a window that begins before the last one ended"
    RETRIED_LATE = "sent again when its message id may have been forgotten"


@frozen
class Finding:
    """One interval and what is the matter with it.

    `start_seconds` is None where the export begins later than the stream; `count` is how many
    facts of `event` are concerned, None where that cannot be told.
    """

    installation: str
    stream: str
    first_seq: int
    last_seq: int
    start_seconds: int | None
    end_seconds: int
    effect: Effect
    kind: Kind
    event: str | None = None
    count: int | None = None


@frozen
class Summary:
    """What was looked at of one stream."""

    installation: str
    stream: str
    first_seq: int
    last_seq: int
    start_seconds: int
    end_seconds: int
    windows: int
    events: int


@define
class _Window:
    """What arrived of one window, in any order."""

    seq: int
    start_seconds: int
    end_seconds: int
    entries: bytearray = field(factory=bytearray)
    reports: dict[bytes, Sums] = field(factory=dict)
    was_stopped: bool = False
    late: int = 0

    @property
    def sums(self) -> Sums | None:
        """The Collection report's; of several always the same one."""
        return self.reports[min(self.reports)] if self.reports else None


@define
class Audit:
    """Takes events one by one, then tells what is wrong with them.

    `is_part` says that the export may begin later than its streams do.
    """

    is_part: bool = False
    _streams: dict[StreamKey, dict[tuple[int, int, int], _Window]] = field(
        factory=lambda: defaultdict(dict)
    )
    _names: dict[str, int] = field(factory=dict)

    def add(self, one: Received) -> None:
        """Take one event."""
        windows = self._streams[one.installation, one.stream]
        bounds = (one.seq, one.start_seconds, one.end_seconds)
        window = windows.get(bounds)
        if window is None:
            window = windows[bounds] = _Window(*bounds)
        index = self._names.setdefault(one.name, len(self._names))
        message = sha256(one.message_id.encode()).digest()
        window.entries += _ENTRY.pack(message[:8], one.content[:8], index, one.count)
        if one.sums is not None:
            window.reports[one.content] = one.sums
            window.was_stopped |= one.was_stopped
        window.late += one.is_retried_late

    def summaries(self) -> list[Summary]:
        """Return what was looked at, by installation and stream."""
        return [
            Summary(
                *key,
                min(one.seq for one in windows.values()),
                max(one.seq for one in windows.values()),
                min(one.start_seconds for one in windows.values()),
                max(one.end_seconds for one in windows.values()),
                len(windows),
                sum(len(one.entries) // _ENTRY.size for one in windows.values()),
            )
            for key, windows in sorted(self._streams.items())
        ]

    def findings(self) -> list[Finding]:
        """Return what is wrong, by installation, stream and seq."""
        names = list(self._names)
        found = [
            evolve(one, installation=installation, stream=stream)
            for (installation, stream), windows in sorted(self._streams.items())
            for one in _Chain(names, is_part=self.is_part).follow(windows)
        ]
        return sorted(found, key=_place)


def is_consistent(findings: list[Finding]) -> bool:
    """Whether nothing was lost or doubled, as far as the events can tell."""
    return all(one.effect is Effect.UNCERTAIN for one in findings)


def _place(one: Finding) -> tuple[str, str, int, int, str, str]:
    return one.installation, one.stream, one.first_seq, one.last_seq, one.kind, one.event or ""


@define
class _Chain:
    """One stream's windows in order: each against itself, and against those before it.

    `totals` are what the next report must begin with, None while nothing is known; `open_from` and
    `open_start` are where the windows begin that no report has confirmed.
    """

    names: list[str]
    is_part: bool
    totals: Counter[str] | None = None
    last: _Window | None = None
    open_from: int | None = None
    open_start: int | None = None

    def follow(self, windows: Mapping[tuple[int, int, int], _Window]) -> Iterator[Finding]:
        """Yield the findings of a stream, without its name."""
        by_seq: dict[int, list[_Window]] = defaultdict(list)
        for bounds in sorted(windows):
            by_seq[bounds[0]].append(windows[bounds])
        if not self.is_part:
            self.totals = Counter()
        for variants in by_seq.values():
            # Of several windows with one seq, the one with a report is the one to go on with.
            variants.sort(key=lambda one: (not one.reports, one.start_seconds))
            for one in variants[1:]:
                yield _finding(one, Effect.DOUBLED, Kind.REUSED)
            yield from self._next(variants[0])

    def _next(self, window: _Window) -> Iterator[Finding]:
        yield from self._meets(window)
        counted: Counter[str] = Counter()
        yield from self._count(window, counted)
        sums = window.sums
        if sums is None:
            yield _finding(window, Effect.LOST, Kind.NO_REPORT)
            if self.open_from is None:
                self.open_from, self.open_start = window.seq, window.start_seconds
            if self.totals is not None:
                self.totals += counted
        else:
            yield from _compare(window, counted, sums)
            yield from self._continue(window, sums)
            self.totals = Counter({name: total for name, (_, total) in sums.items()})
            self.open_from = None
        if window.late:
            yield _finding(window, Effect.UNCERTAIN, Kind.RETRIED_LATE, count=window.late)
        self.last = window

    def _meets(self, window: _Window) -> Iterator[Finding]:
        """Compare a window's seq and start with the end of the one before it."""
        last = self.last
        before, end = (0, None) if last is None else (last.seq, last.end_seconds)
        if window.seq > before + 1 and not (last is None and self.is_part):
            missing = evolve(
                _finding(window, Effect.LOST, Kind.NO_WINDOW),
                first_seq=before + 1,
                last_seq=window.seq - 1,
                start_seconds=end,
                end_seconds=window.start_seconds,
            )
            yield missing
            if self.open_from is None:
                self.open_from, self.open_start = missing.first_seq, end
        if last is None or end is None:
            return
        if window.start_seconds < end:
            overlap = _finding(window, Effect.DOUBLED, Kind.OVERLAP)
            yield evolve(overlap, end_seconds=min(end, window.end_seconds))
        # What was written while the agent was stopped is not counted, and its windows have no seq.
        is_stop = last.was_stopped or window.was_stopped
        if window.start_seconds > end and window.seq == before + 1 and not is_stop:
            hole = _finding(window, Effect.LOST, Kind.HOLE)
            yield evolve(hole, start_seconds=end, end_seconds=window.start_seconds)

    def _count(self, window: _Window, counted: Counter[str]) -> Iterator[Finding]:
        """Add up what arrived of a window, each event once; yield what came more often."""
        ids: dict[bytes, bytes] = {}
        copies: dict[bytes, list[bytes]] = defaultdict(list)
        facts: dict[bytes, tuple[int, int]] = {}
        for message, content, index, count in _ENTRY.iter_unpack(window.entries):
            copies[content].append(message)
            facts[content] = (index, count)
            # Whatever the order, the same one of the contents of an id is taken.
            ids[message] = min(content, ids.get(message, content))
        extra: Counter[tuple[Kind, str]] = Counter()
        for content, messages in copies.items():
            index, count = facts[content]
            name, count = self.names[index], 1 if self.names[index] == _REPORT else count
            distinct = set(messages)
            extra[Kind.SAME_ID, name] += count * (len(messages) - len(distinct))
            own = {message for message in distinct if ids[message] == content}
            extra[Kind.ALTERED, name] += count * (len(distinct) - len(own))
            if own:
                extra[Kind.SAME_CONTENT, name] += count * (len(own) - 1)
                if name != _REPORT:
                    counted[name] += count
        if len(window.reports) > 1:
            extra[Kind.SECOND_REPORT, _REPORT] += len(window.reports) - 1
        for (kind, name), count in extra.items():
            if count:
                yield _finding(window, Effect.DOUBLED, kind, event=name, count=count)

    def _continue(self, window: _Window, sums: Sums) -> Iterator[Finding]:
        """Compare what a report's totals begin with and what the windows before have made of it."""
        if self.totals is None:
            return
        for name, (delta, total) in sorted(sums.items()):
            off = total - delta - self.totals[name]
            if off > 0 and self.open_from is not None:
                # The missing windows had these facts.
                yield evolve(
                    _finding(window, Effect.LOST, Kind.SHORT, event=name, count=off),
                    first_seq=self.open_from,
                    last_seq=window.seq - 1,
                    start_seconds=self.open_start,
                    end_seconds=window.start_seconds,
                )
            elif off:
                effect = Effect.LOST if off > 0 else Effect.DOUBLED
                yield _finding(window, effect, Kind.BROKEN_TOTAL, event=name, count=abs(off))


def _compare(window: _Window, counted: Mapping[str, int], sums: Sums) -> Iterator[Finding]:
    """Compare the sum of an event's counts with its delta."""
    for name in sorted({*counted, *sums}):
        off = counted.get(name, 0) - sums.get(name, (0, 0))[0]
        if off < 0:
            yield _finding(window, Effect.LOST, Kind.SHORT, event=name, count=-off)
        elif off > 0:
            yield _finding(window, Effect.DOUBLED, Kind.OVER, event=name, count=off)


def _finding(
    window: _Window,
    effect: Effect,
    kind: Kind,
    *,
    event: str | None = None,
    count: int | None = None,
) -> Finding:
    where = (window.seq, window.seq, window.start_seconds, window.end_seconds)
    return Finding("", "", *where, effect, kind, event, count)
