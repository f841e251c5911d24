"""Observations -> windows -> reports: the counting, and the one step in which counts move.

Owns what a window is, which window an Observation belongs to, and what a closed window says.
Must not know cursors, clocks or JSON; `now` is an argument. Fold order within a window is
irrelevant.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, TypeAlias

from attrs import define, field

from agent.model import (
    BREAK,
    MAX_BREAKS,
    NANOS,
    Aggregate,
    Observation,
    Properties,
    Released,
    Report,
    Value,
    learn,
)
from agent.names import snake

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from agent.model import Gap

GAP_REASONS = (
    "rotated",
    "overtaken",
    "backpressure",
    "restarted",
    "unreadable",
    "pod_gone",
    "stopped",
    "state_lost",
)

MAX_STOPS = 16
MAX_OPEN = 2000
MAX_AHEAD = 100
"""How many windows may be open, and how far ahead of the present one: a clock that is far off must
not fill State, nor keep counts back for years. What finds no window counts late in the present."""
MAX_GAP_WINDOWS = 500
"""A gap is spread over so many windows at most; State has a budget."""

SeriesKey = tuple[str, str, Properties]
"""(event, botkube_version, properties): the key of one series."""


@define
class Instance:
    """The facts of one container instance; statements about the present, in closed words.

    `kinds_before` is, for each break in its log, what ended it by the lines before: those behind a
    break may be the next instance's, and only those before the first are surely its own.
    `counted_by` is the restart count with which its crash was counted, if it was: it may live on.
    `began_seconds` is when it began by its status, which is of the node's clock as its lines are,
    or by its first line, if that is older: a clock that was ahead then may have been put right.
    """

    version: str = "other"
    debug: bool = False
    started: bool = False
    kind: str | None = None
    bots: set[str] = field(factory=set)
    sinks: set[str] = field(factory=set)
    ended_seconds: int | None = None
    marks: set[str] = field(factory=set)
    kinds_before: tuple[str | None, ...] = ()
    counted_by: int | None = None
    began_seconds: int | None = None

    @property
    def said_kind(self) -> str | None:
        """What ended the process by its own last words, if it said so."""
        return self.kind or next(filter(None, reversed(self.kinds_before)), None)

    @property
    def own_kind(self) -> str | None:
        """What surely ended it, where another instance's words may be among its own."""
        return (*self.kinds_before, self.kind)[0]

    def give_up(self, part: int) -> str | None:
        """Return what ended the process by the words behind so many breaks: they are another's."""
        kinds = [*self.kinds_before, self.kind]
        given = kinds.pop(part) if part < len(kinds) else None
        *before, self.kind = kinds or [None]
        self.kinds_before = tuple(before)
        return given

    def forgotten(self) -> Instance:
        """Return what stays once nothing may be known of it: where its breaks are, and its end."""
        return Instance(
            ended_seconds=self.ended_seconds,
            kinds_before=(None,) * len(self.kinds_before),
            counted_by=self.counted_by,
        )

    @property
    def known(self) -> frozenset[str]:
        """What a reader of this instance starts with (`model.learn`)."""
        facts = {"level=debug"} if self.debug else set()
        facts |= {"started=true"} if self.started else set()
        facts |= {f"kind={self.kind}"} if self.kind is not None else set()
        return frozenset(self.bots | self.sinks | self.marks | facts)

    @property
    def level(self) -> str:
        """`debug` once a core debug entry was seen; a start without any is `info`."""
        if self.debug:
            return "debug"
        return "info" if self.started else "unknown"

    def learn(self, released: Released) -> None:
        """Take the facts of released entries, in line order, and how old the oldest line is."""
        if self.began_seconds is not None:
            self.began_seconds = min([self.began_seconds, *released.lines_at])
        for fact in released.facts:
            match fact.name:
                case "level":
                    self.debug = True
                case "started":
                    self.started = True
                case "kind":
                    self.kind = fact.value
                case BREAK.name:
                    self.kinds_before = (*self.kinds_before, self.kind)[-MAX_BREAKS:]
                    self.kind = None
                case "enabled_bot":
                    self.bots.add(fact.value)
                case "enabled_sink":
                    self.sinks.add(fact.value)
                case _:
                    learn(self.marks, fact)


@define
class Window:
    """What was counted in one half-open interval of event time.

    What must not be sent is counted apart, for the eyes of the operator alone.
    """

    counts: Counter[SeriesKey] = field(factory=Counter)
    unsent: Counter[SeriesKey] = field(factory=Counter)
    lines: int = 0
    matched: int = 0
    late: int = 0
    rotations: int = 0
    gaps: Counter[str] = field(factory=Counter)
    unsent_lines: int = 0
    unsent_matched: int = 0
    unsent_late: int = 0

    @property
    def has_unsent(self) -> bool:
        """Whether anything in it must not be sent."""
        return bool(self.unsent or self.unsent_lines or self.unsent_matched)

    def only_unsent(self) -> Window:
        """Return what must not be sent as if it were what counts."""
        return Window(
            counts=self.unsent,
            lines=self.unsent_lines,
            matched=self.unsent_matched,
            late=self.unsent_late,
            rotations=self.rotations,
            gaps=self.gaps,
        )


SentFrom: TypeAlias = "Callable[[Observation, str], int]"
"""From when on an Observation, of a version of BotKube, may be sent."""


def at_once(_observation: Observation, _version: str) -> int:
    """Hold nothing back."""
    return 0


@define
class Windows:
    """All open windows. Those before `closed_until` are closed; what still comes for them is late.

    What is stamped, or read, before `count_from` is kept apart and never sent; `count_from` None
    means that nothing is sent. What is stamped in `stopped`, while the agent was switched off, is
    neither counted nor learned. What is not kept, as in a preview, need not be bounded.
    """

    seconds: int
    closed_until: int = 0
    count_from: int | None = 0
    stopped: tuple[tuple[int, int], ...] = ()
    open: dict[int, Window] = field(factory=dict)
    is_bounded: bool = True

    def fold(
        self,
        instance: Instance,
        released: Released,
        *,
        now_seconds: int,
        sent_from: SentFrom = at_once,
    ) -> None:
        """Count what one container instance released. No `await` may stand around this."""

        def read_from(at_ns: int) -> int:
            """Return before when a line was not read: one that had to wait was read before now."""
            return min(now_seconds, (at_ns - released.ahead_ns) // NANOS)

        for observation in released.observations:
            self.count(
                observation,
                instance.version,
                now_seconds=now_seconds,
                read_seconds=read_from(observation.at_ns),
                sent_from=sent_from,
            )
        for at, lines in released.lines_at.items():
            if self._is_counted(at, read_from(at * NANOS)):
                self._window(at, now_seconds).lines += lines
            elif not self._is_stopped(at):
                self._window(at, now_seconds).unsent_lines += lines
        for at, matched in released.matched_at.items():
            if self._is_counted(at, read_from(at * NANOS)):
                self._window(at, now_seconds).matched += matched
            elif not self._is_stopped(at):
                self._window(at, now_seconds).unsent_matched += matched
        for gap in released.gaps:
            self.add_gap(gap, now_seconds=now_seconds)
        if released.rotations:
            self._window(now_seconds, now_seconds).rotations += released.rotations
        if not any(map(self._is_stopped, released.lines_at)):
            # Nothing is learned from what was written while the agent was off, nor with it.
            instance.learn(released)

    def _is_counted(self, at_seconds: int, read_seconds: int, sent_from: int = 0) -> bool:
        """Whether what is stamped and read then may contribute to what is sent."""
        if self._is_stopped(at_seconds) or self.count_from is None:
            return False
        return min(at_seconds, read_seconds) >= max(self.count_from, sent_from)

    def _is_stopped(self, at_seconds: int) -> bool:
        return any(start <= at_seconds < end for start, end in self.stopped)

    def was_stopped(self, start: int, end: int) -> bool:
        """Whether the agent was stopped at any moment between two."""
        return any(begin < end and start < until for begin, until in self.stopped)

    def stop(self, start: int, end: int) -> None:
        """Note that the agent was stopped; of very many stops the oldest become one."""
        stops = [*self.stopped, (start, end)]
        if len(stops) > MAX_STOPS:
            stops[:2] = [(stops[0][0], stops[1][1])]
        self.stopped = tuple(stops)

    def count(
        self,
        observation: Observation,
        version: str,
        *,
        now_seconds: int,
        read_seconds: int | None = None,
        sent_from: SentFrom = at_once,
    ) -> None:
        """Count one Observation in the window of its stamp, or late in one that is still open.

        What is stamped, or read, before `sent_from` says is kept apart, too. `read_seconds` is
        before when it was not read, None if that is now.
        """
        at = observation.at_ns // NANOS
        if self._is_stopped(at):
            return
        key = (observation.event, version, observation.properties)
        start = self._place(at, now_seconds)
        window, is_late = self._window_from(start), start != self._start(at)
        read = now_seconds if read_seconds is None else read_seconds
        if self._is_counted(at, read, sent_from(observation, version)):
            window.counts[key] += 1
            window.late += is_late
        else:
            window.unsent[key] += 1
            window.unsent_late += is_late

    def add_gap(self, gap: Gap, *, now_seconds: int) -> None:
        """Spread a gap over the windows it crosses; at least a second in its first one.

        Of one that crosses too many the first says it, which was open then, and the last.
        """
        # Up: a line that was lost in a begun second is of that second's window.
        start, end = gap.start_ns // NANOS, -(-max(gap.end_ns, gap.start_ns) // NANOS)
        start = max(start, self.closed_until)
        end = max(end, start + 1)
        while start < end:
            stop = min(end, self.end_of(start))
            self._window(start, now_seconds).gaps[gap.reason] += stop - start
            start = max(stop, end - (MAX_GAP_WINDOWS - 2) * self.seconds)

    def told_from(self, at_seconds: int, *, now_seconds: int) -> int:
        """Return a time, or the first that is told of: at a first start there was no agent."""
        if self.closed_until:
            return at_seconds
        oldest = self.oldest()
        return max(at_seconds, self._start(now_seconds) if oldest is None else oldest)

    def oldest(self) -> int | None:
        """Return the start of the oldest open window, if any."""
        return min(self.open, default=None)

    def close(
        self,
        start: int,
        instances: Iterable[Instance],
        *,
        bots: Iterable[str],
        sinks: Iterable[str],
    ) -> Report:
        """Close the window that begins at `start` and return what it says.

        `bots` and `sinks` are the platforms of the rule set in force; what State still knows of
        others is not said.
        """
        report = self.look(start, instances, bots=bots, sinks=sinks)
        self.open.pop(start, None)
        self.closed_until = max(self.closed_until, report.end_seconds)
        return report

    def look(
        self,
        start: int,
        instances: Iterable[Instance],
        *,
        bots: Iterable[str],
        sinks: Iterable[str],
    ) -> Report:
        """Return what the window that begins at `start` would say if it closed now."""
        window = self.open.get(start, Window())
        return self._report(start, window, _collection(window, tuple(instances), bots, sinks))

    def look_unsent(
        self,
        start: int,
        instances: Iterable[Instance],
        *,
        bots: Iterable[str],
        sinks: Iterable[str],
    ) -> Report:
        """Return what of the window that begins at `start` is not sent, as if it were."""
        window = self.open.get(start, Window()).only_unsent()
        return self._report(start, window, _collection(window, tuple(instances), bots, sinks))

    def _report(self, start: int, window: Window, collection: Properties) -> Report:
        aggregates = tuple(
            Aggregate(event, properties, version, count)
            for (event, version, properties), count in sorted(window.counts.items(), key=repr)
        )
        return Report(start, self.end_of(start), aggregates, collection)

    def is_sent(self, start: int) -> bool:
        """Whether the window that begins at `start` belongs to what may be sent."""
        if self.count_from is None or self.end_of(start) <= self.count_from:
            return False
        return not self.is_stopped(start)

    def is_stopped(self, start: int) -> bool:
        """Whether the agent was stopped in the whole window that begins at `start`."""
        return any(begin <= start and self.end_of(start) <= end for begin, end in self.stopped)

    def has_unsent(self, start: int) -> bool:
        """Whether something in the window that begins at `start` must not be sent."""
        return start in self.open and self.open[start].has_unsent

    def end_of(self, start: int) -> int:
        """Return where the window that begins at `start` ends: at the next full multiple."""
        return self._start(start) + self.seconds

    def _start(self, at_seconds: int) -> int:
        return at_seconds - at_seconds % self.seconds

    def _window(self, at_seconds: int, now_seconds: int) -> Window:
        return self._window_from(self._place(at_seconds, now_seconds))

    def _window_from(self, start: int) -> Window:
        found = self.open.get(start)
        if found is None:
            found = self.open[start] = Window()
        return found

    def _place(self, at_seconds: int, now_seconds: int) -> int:
        """Return where the window begins in which something of a time is counted now."""
        start = max(self._start(at_seconds), self.closed_until)
        present = max(self._start(now_seconds), self.closed_until)
        is_ahead = start > present + MAX_AHEAD * self.seconds
        is_new = self.is_bounded and start not in self.open and start != present
        return present if is_new and (is_ahead or len(self.open) >= MAX_OPEN) else start


def _collection(
    window: Window, instances: tuple[Instance, ...], bots: Iterable[str], sinks: Iterable[str]
) -> Properties:
    """Return the properties of a Collection report that one window and its instances know."""
    values: dict[str, Value] = {
        "lines_read": window.lines,
        "lines_matched": window.matched,
        "late_lines": window.late,
        "rotations_crossed": window.rotations,
    }
    levels = {instance.level for instance in instances}
    if levels and "unknown" not in levels:
        # Commands and delivered events are written at debug only; not observable is not zero.
        values["commands_observable"] = levels == {"debug"}
        values["events_observable"] = levels == {"debug"}
    versions = {instance.version for instance in instances}
    if versions:
        values["botkube_version"] = versions.pop() if len(versions) == 1 else "several"
    for bot in bots:
        if any(bot in instance.bots for instance in instances):
            values[f"{snake(bot)}_enabled"] = True
        elif instances and all(instance.started for instance in instances):
            values[f"{snake(bot)}_enabled"] = False
    for sink in sinks:
        if any(sink in instance.sinks for instance in instances):
            values[f"{snake(sink)}_enabled"] = True
    for reason, seconds in window.gaps.items():
        # Rounded up to minutes. Of a gap that reaches an edge of the window they tell when it
        # began or ended, to the minute; PRIVACY.md says so.
        values[f"gap_seconds_{reason}"] = -(-seconds // 60) * 60
    return tuple(sorted(values.items()))
