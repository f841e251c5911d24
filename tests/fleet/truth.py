"""What every answer of the warehouse must say of a fleet, worked out without a database.

Owns the definitions of the answers in Python, from what `world` sent and what `deliver` let arrive:
it reads no event and no table. A day of an installation is worked out when its next day begins, so
that of a long history only sums by week are kept.
"""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from itertools import pairwise
from math import ceil, inf
from typing import TYPE_CHECKING, Any, TypeAlias

from attrs import define, evolve, field

from agent.model import CRASHED
from tests.fleet.world import BOTS, DAY, HOUR, READ_AGAIN_SECONDS, SINKS, WEEK

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from tests.fleet.deliver import Fate
    from tests.fleet.world import Said, Sent

Row: TypeAlias = dict[str, Any]
FROM_MONDAY = 4 * DAY
"""1970 began with a Thursday: weeks are counted from the Monday after."""
COMMAND, HANDLED, FAILED = "Command executed", "Event handled", "Notification failed"
FAULTY = "Configuration error"
PLATFORMS = (*(("bot", one) for one in BOTS), *(("sink", one) for one in SINKS))
DOUBTFUL = {"implausible", "contradicted"}
STOP_SECONDS = 600
"""Of a stop no longer than that an agent says nothing."""
SETTLED_DAYS = 40
"""Nothing is away for longer: what is missing on a day is known so much later."""
QUANTILES = {"p10": 10, "p25": 25, "median": 50, "p75": 75, "p90": 90, "p99": 99}


def week_of(seconds: float) -> int:
    return int((seconds - FROM_MONDAY) // WEEK)


def start_of(week: int) -> int:
    return week * WEEK + FROM_MONDAY


def by_week(start: int, end: int) -> Iterator[tuple[int, int]]:
    """Return how much of a stretch of time is in each week that it crosses."""
    while start < end:
        until = min(end, start_of(week_of(start) + 1))
        yield week_of(start), until - start
        start = until


@define
class Arrived:
    """One window as far as it arrived; without its report nothing but its facts is known."""

    stream: str
    seq: int
    start: int
    end: int
    facts: list[Said]
    has_report: bool
    received: int = 0
    """The day on which it was first received."""
    version: str | None = None
    is_observable: bool | None = None
    enabled: dict[str, bool] = field(factory=dict)
    gaps: dict[str, int] = field(factory=dict)
    place: tuple[str | None, str | None] = (None, None)
    withheld: frozenset[str] = frozenset()
    discarded: int = 0
    late: int = 0
    """How much of it is of a window before."""
    deltas: Counter[str] = field(factory=Counter)
    """How much of each event its report says was sent."""
    is_contradicted: bool = False
    """Whether it was told twice, and not the same."""

    @property
    def seconds(self) -> int:
        return self.end - self.start

    @property
    def is_stopped(self) -> bool:
        return "stopped" in self.gaps

    @property
    def off(self) -> dict[str, int]:
        """The events of which more or less arrived than its report says, and by how much."""
        if not self.has_report:
            return {}
        counted = sum_by_event(self.facts)
        names = self.deltas.keys() | counted.keys()
        return {name: off for name in names if (off := counted[name] - self.deltas[name])}

    def shows(self, event: str) -> bool:
        """Whether everything of an event that is written at debug only is in it."""
        return self.is_observable is True and event not in self.withheld

    @property
    def gap(self) -> int:
        return min(self.seconds, sum(self.gaps.values()))


@define
class OfWeek:
    """What is known of one installation in one week."""

    is_active: bool = False
    is_several: bool = False
    versions: set[str] = field(factory=set)
    named_end: int = 0
    """What the last windows that name one version name, and their end."""
    places: list[tuple[str | None, str | None]] = field(factory=list)
    report_end: int = 0
    """What the last reports say of Kubernetes, and their end."""
    enabled: set[str] = field(factory=set)
    disabled: set[str] = field(factory=set)
    unsaid: set[str] = field(factory=set)
    """What nobody knew of whether it was on while a BotKube ran."""
    shows_commands: bool = False
    shows_faults: bool = False
    observed: Counter[str | None] = field(factory=Counter)
    """Seconds by version, None for all; of a version on days whose crashes were told alone."""
    raised: set[str] = field(factory=set)
    """The events of which a count of it was raised, so that it is in no rate of these."""
    crashes: Counter[str] = field(factory=Counter)
    attempts: Counter[str] = field(factory=Counter)
    faults: set[tuple[str, str, str | None]] = field(factory=set)
    failed: Counter[tuple[str, str, str]] = field(factory=Counter)
    """What its rates would be made of."""
    silent_on: set[str] = field(factory=set)
    """Versions that it ran on days on which crashes were withheld."""
    unreported_end: int = 0
    unseen_end: int = 0
    """The end of the last window without a report, or of which not all was read and no version."""

    @property
    def version(self) -> str:
        if len(self.versions) == 1:
            return next(iter(self.versions))
        return "several" if self.versions or self.is_several else "unknown"

    @property
    def place(self) -> tuple[str, str]:
        """Which Kubernetes it is, where the last reports agree."""
        minor, distribution = ({place[at] for place in self.places} - {None} for at in (0, 1))
        return only(minor), only(distribution)


@define
class Known:
    """What is kept of one installation."""

    windows: dict[int, list[Arrived]] = field(factory=dict)
    """By day, of those of which more may come."""
    week: int = 0
    of_week: OfWeek | None = None
    last: dict[str, Arrived] = field(factory=dict)
    """By stream, the newest window before that day."""
    groups: dict[int, str] = field(factory=dict)
    """By day, which cluster it said it was in."""
    days: deque[tuple[int, Counter[str]]] = field(factory=deque)
    """Days of which all seems to be there, with their events; of older ones that is sure."""
    holes: list[tuple[int, int]] = field(factory=list)
    stops: list[tuple[int, int]] = field(factory=list)
    """When its agent was stopped or switched off, between two windows."""
    raised: set[int] = field(factory=set)
    """The weeks in which a count of handled events of it was raised."""
    gone: list[tuple[int, int]] = field(factory=list)
    """Those of them before a stream, so that what was not sent by then is gone."""
    lost: list[tuple[str, int]] = field(factory=list)
    """Streams that began because a state was lost, and when."""
    touched: set[int] = field(factory=set)
    """The weeks that something missing reaches into."""
    silent: set[int] = field(factory=set)
    """Those, and the weeks in which its agent was stopped for a while."""
    ends_of: dict[int, tuple[int, int]] = field(factory=dict)
    """By week in which it was active, the ends of its last named version and last report."""
    idle: set[int] = field(factory=set)
    """The weeks in which something that it sent does not say whether it was active."""
    begins: int | None = None
    ends: int = 0
    seen_on: set[int] = field(factory=set)
    """The days of which a window arrived."""

    @property
    def lost_days(self) -> set[int]:
        """The days of which nothing arrived although something was sent."""
        return {
            day
            for start, end in self.holes
            for day in range(ceil(start / DAY), end // DAY)
            if day not in self.seen_on
        }

    def is_unsure(self, week: int) -> bool:
        """Whether it may have named another cluster by a week's end than the last that arrived."""
        if week not in self.ends_of or not self.groups:
            return False
        end = start_of(week + 1)
        named = max((day * DAY for day in self.groups if day * DAY < end), default=0)
        # Of a week by whose end it had named none, the first that it named after counts.
        told = max(end, min(self.groups) * DAY + DAY)
        return any(
            # Told again a day later, it may have ended before that, in the week after.
            since < told and until > max(named, start_of(week) - 2 * DAY)
            for since, until in (*self.holes, *self.stops)
        )

    def group(self, week: int) -> str | None:
        """Return the cluster it was in at a week's end, as far as it said so until then."""
        last = start_of(week + 1) // DAY
        until = [day for day in self.groups if day < last]
        return self.groups[max(until) if until else min(self.groups)] if self.groups else None


@define
class Weekly:
    """Sums over all installations of one week."""

    active: set[str] = field(factory=set)
    present: set[str] = field(factory=set)
    versions: Counter[str] = field(factory=Counter)
    places: Counter[tuple[str, str]] = field(factory=Counter)
    both: Counter[tuple[str, str, str]] = field(factory=Counter)
    enabled: Counter[str] = field(factory=Counter)
    disabled: Counter[str] = field(factory=Counter)
    command_seconds: int = 0
    show_commands: int = 0
    show_faults: int = 0
    unsure_faults: set[tuple[str, str, str | None]] = field(factory=set)
    """Those that one has that could not show others."""
    commands: defaultdict[tuple[str, str], Counter[str]] = field(
        factory=lambda: defaultdict(Counter)
    )
    behind: defaultdict[tuple[Any, ...], set[str]] = field(factory=lambda: defaultdict(set))
    """By view and cell, which installations are behind it."""
    per_day: defaultdict[str, list[int]] = field(factory=lambda: defaultdict(list))
    days_left_out: int = 0
    attempts: Counter[str] = field(factory=Counter)
    failed: defaultdict[tuple[str, str, str], Counter[str]] = field(
        factory=lambda: defaultdict(Counter)
    )
    errors: Counter[tuple[str, str, str | None]] = field(factory=Counter)
    crashes: Counter[str] = field(factory=Counter)
    crash_seconds: Counter[str] = field(factory=Counter)
    kinds: Counter[tuple[str, str]] = field(factory=Counter)
    lacking: Counter[str] = field(factory=Counter)
    span: int = 0
    spoilt: set[str] = field(factory=set)
    """What keeps the week's answers from being complete."""


@define
class Truth:
    """Is told of every window; `answers` says what each view must hold."""

    known: defaultdict[str, Known] = field(factory=lambda: defaultdict(Known))
    weeks: defaultdict[int, Weekly] = field(factory=lambda: defaultdict(Weekly))
    begins: int | None = None
    ends: int = 0
    received: int = 0
    """The newest day on which anything was received."""
    closed: float = 0
    mostly_closed: float = 0
    """Until when all is there, as far as can be told, and most: `answers` finds out."""

    # --- one window at a time ---------------------------------------------------------------------

    def take(self, sent: Sent, fate: Fate) -> None:
        """Note a window and what became of it."""
        if fate.is_lost:
            return
        known = self.known[sent.installation]
        last = max(fate.arrivals) + (30 if fate.ids > 1 else 0)
        self.received = max(self.received, int(last // DAY))
        is_askew = abs(sent.skew_seconds) > DAY
        if sent.group is not None and any(fate.copies[: sent.identity_calls]):
            told, group = sent.group
            for arrival in fate.arrivals:
                # Of a day that has not begun when it is received the clock alone knows.
                day = int(arrival // DAY) if is_askew else min(told, int(arrival // DAY))
                known.groups[day] = max(group, known.groups.get(day, ""))
        if not any(fate.copies[sent.identity_calls :]):
            return
        if is_askew or not -90 * DAY <= sent.end - fate.arrivals[0] <= DAY:
            # Nobody knows when it was: it stands where it was received, on each day anew.
            for day in {int(at // DAY) for at in fate.arrivals}:
                # It may be of one of the two days before, and of the week before.
                for number in {week_of(day * DAY), week_of(day * DAY - 2 * DAY)}:
                    known.idle.add(number)
                    self.weeks[number].spoilt.add("implausible")
                week = self.weeks[week_of(day * DAY)]
                week.lacking["implausible"] += sent.end - sent.start
                week.behind["completeness", "implausible"].add(sent.installation)
            return
        one = arrived(sent, fate, received=int(fate.arrivals[0] // DAY))
        known.windows.setdefault(sent.start // DAY, []).append(one)
        over = (sent.start - READ_AGAIN_SECONDS) // DAY
        for day in sorted(day for day in known.windows if day < over):
            self._end_day(sent.installation, known, day)

    def _end_day(self, installation: str, known: Known, day: int) -> None:
        """Work out the day of an installation that is over."""
        same: dict[tuple[str, int, int, int], Arrived] = {}
        for one in known.windows.pop(day):
            where = (one.stream, one.seq, one.start, one.end)
            same[where] = merged(same[where], one) if where in same else one
        chosen: dict[tuple[str, int], Arrived] = {}
        for one in sorted(same.values(), key=lambda one: (not one.has_report, one.start, one.end)):
            chosen.setdefault((one.stream, one.seq), one)
        windows = sorted(chosen.values(), key=lambda one: (one.start, one.seq))
        week = week_of(windows[0].start)
        if known.of_week is None or week != known.week:
            self._end_week(installation, known)
            known.week, known.of_week = week, OfWeek()
        assert known.of_week is not None
        begins = min(one.start for one in windows)
        self.begins = begins if self.begins is None else min(self.begins, begins)
        self._find_silence(known, windows)
        known.begins = begins if known.begins is None else min(known.begins, begins)
        known.ends = max(known.ends, *(one.end for one in windows))
        known.seen_on.add(day)
        self.ends = max(self.ends, known.ends)
        of_all = self.weeks[week]
        of_all.present.add(installation)
        if any(one.gaps or one.withheld or one.off or one.discarded for one in windows):
            known.idle.add(week)
        if len(chosen) < len(same):
            self._miss(known, day * DAY, day * DAY + DAY)
        shows_crashes = not any(CRASHED in one.withheld for one in windows)
        for one in windows:
            self._follow(installation, known, one)
            _note(known.of_week, one)
            _count(of_all, installation, known.of_week, one, shows_crashes=shows_crashes)
            if one.late:
                # The window before may be of the day before, and of the week before; or, by a clock
                # that was put back, any until it was received.
                last = week_of(max(day, one.received) * DAY)
                for number in range(week_of(day * DAY - DAY), last + 1):
                    self.weeks[number].spoilt.add("late")
            elif (not one.has_report or "state_lost" in one.gaps) and week_of(
                day * DAY - DAY
            ) != week:
                # Nobody says whether something is.
                self.weeks[week - 1].spoilt.add("late")
        _add_hours(known.of_week, of_all, windows, shows_crashes=shows_crashes)
        counted = events_of_day(windows)
        if counted is not None:
            known.days.append((day, counted))
        elif any(
            one.version is not None
            or one.facts
            or one.gaps
            or one.discarded
            or HANDLED in one.withheld
            for one in windows
        ):
            of_all.days_left_out += 1
        # Of a week that is not over nobody knows whether a count of it was raised.
        before = min(day - SETTLED_DAYS, start_of(week) // DAY)
        self._settle_days(installation, known, before=before)

    def _find_silence(self, known: Known, windows: list[Arrived]) -> None:
        """Find when no stream had a window: each is silent for reasons that it gives itself."""
        spans: dict[str, tuple[int, int]] = {}
        for one in windows:
            start, end = spans.get(one.stream, (one.start, one.end))
            spans[one.stream] = min(start, one.start), max(end, one.end)
        until = known.ends
        for stream, (start, end) in sorted(spans.items(), key=lambda one: one[1]):
            # What was not sent before another stream begins is gone; of a short stop one reads on.
            is_new = stream not in known.last
            if until and start > until + (0 if is_new else STOP_SECONDS):
                self._note_stop(known, until, start)
                if is_new:
                    known.gone.append((until, start))
            until = max(until, end)

    def _settle_days(self, installation: str, known: Known, *, before: float) -> None:
        """Add the days in which nothing was found to be missing later on."""
        while known.days and known.days[0][0] < before:
            day, counted = known.days.popleft()
            week = self.weeks[week_of(day * DAY)]
            start = day * DAY
            is_raised = week_of(start) in known.raised
            if is_raised or any(begin < start + DAY and start < end for begin, end in known.holes):
                week.days_left_out += 1
                continue
            for platform, count in counted.items():
                week.per_day[platform].append(count)
                week.behind["events_per_day", platform].add(installation)

    def _follow(self, installation: str, known: Known, one: Arrived) -> None:
        """Find what is missing between a window and the one before it in its stream."""
        before = known.last.get(one.stream)
        known.last[one.stream] = one
        if before is None:
            if "state_lost" in one.gaps:
                known.lost.append((one.stream, one.start))
            if one.seq > 1:
                # The windows of a stream are all as long here.
                self._miss(known, one.start - (one.seq - 1) * one.seconds, one.start)
            return
        if one.seq <= before.seq:
            # A state was restored: what it counted since then may be anywhere, or nowhere.
            day = one.start // DAY
            self._miss(known, day * DAY, day * DAY + DAY)
        if one.start <= before.end:
            return
        if one.seq > before.seq + 1:
            self._miss(known, before.end, one.start)
            reason = "delivery"
        elif one.is_stopped or before.is_stopped:
            reason = "stopped"
            if one.start // DAY > before.start // DAY:
                self._note_stop(known, before.end, one.start)
        else:
            reason = "hole"
            if one.start - before.end > STOP_SECONDS:
                self._miss(known, before.end, one.start)
        for number, seconds in by_week(before.end, one.start):
            self.weeks[number].lacking[reason] += seconds
            self.weeks[number].behind["completeness", reason].add(installation)

    def _note_stop(self, known: Known, start: int, end: int) -> None:
        """Note that nobody heard an installation, though nothing that was sent is missing."""
        known.stops.append((start, end))
        for number, _ in by_week(start, end):
            known.silent.add(number)
            self.weeks[number].spoilt.add("stopped")

    def _miss(self, known: Known, start: int, end: int) -> None:
        known.holes.append((start, end))
        weeks = range(week_of(start), week_of(end - 1) + 1)
        known.touched.update(weeks)
        known.silent.update(weeks)

    def _end_week(self, installation: str, known: Known) -> None:
        """Add what is known of an installation to the week that is over."""
        one, week = known.of_week, self.weeks[known.week]
        if one is None:
            return
        for version, seconds in one.observed.items():
            if version is not None:
                week.crash_seconds[version] += 0 if CRASHED in one.raised else seconds
                if CRASHED not in one.raised:
                    week.behind["crashes", version].add(installation)
            elif seconds > 0:
                week.lacking["observed"] += seconds
                week.behind["completeness", "observed"].add(installation)
        for version in one.silent_on:
            week.crash_seconds[version] += 0
        _add_rates(week, installation, one)
        if not one.shows_faults:
            week.unsure_faults |= one.faults
        if HANDLED in one.raised:
            known.raised.add(known.week)
        if one.unseen_end and one.unseen_end >= one.named_end:
            week.spoilt.add("later version")
        if one.unreported_end and one.unreported_end >= one.report_end:
            week.spoilt.add("later report")
        if not one.is_active:
            return
        week.active.add(installation)
        known.ends_of[known.week] = one.named_end, one.report_end
        week.versions[one.version] += 1
        week.places[one.place] += 1
        week.both[one.version, *one.place] += 1
        week.enabled.update(one.enabled)
        week.disabled.update(one.disabled - one.enabled - one.unsaid)
        week.show_commands += one.shows_commands
        week.show_faults += one.shows_faults

    # --- the answers ------------------------------------------------------------------------------

    def answers(self) -> dict[str, list[Row]]:
        """Return the rows of every answer view, by its name. Nothing can be told afterwards."""
        for installation, known in self.known.items():
            for day in sorted(known.windows):
                self._end_day(installation, known, day)
            self._end_week(installation, known)
            self._settle_days(installation, known, before=inf)
            known.of_week = None
        found: dict[str, list[Row]] = {name: [] for name in VIEWS}
        touched = {week for known in self.known.values() for week in known.touched}
        told = [number for number, week in self.weeks.items() if week.present]
        # A week in which nobody said anything lies between others: its answer is that.
        calendar = range(min(told), max(told) + 1) if told else range(0)
        self._close()
        for known in self.known.values():
            for day in known.lost_days:
                self.weeks[week_of(day * DAY)].days_left_out += 1
            for number, seconds in by_week(known.begins or 0, known.ends):
                self.weeks[number].span += seconds
        for number in calendar:
            week = self.weeks[number]
            if number in touched:
                self.weeks[number].spoilt.add("missing")
            for view, rows in VIEWS.items():
                for row in rows(self, number, week):
                    found[view].append({"week": number, **row})
        return found

    def _close(self) -> None:
        """Find until when all is there, and what may have been said last in a hole."""
        # Whoever sent something on this day or the two before may have more on the way.
        newest = self.received * DAY
        due = (
            one.end
            for known in self.known.values()
            for one in known.last.values()
            if one.received >= self.received - 2
        )
        self.closed = min(newest, self.ends, *due)
        self.mostly_closed = max(self.closed, min(newest - 2 * DAY, self.ends))
        for known in self.known.values():
            for stream, start in known.lost:
                ended = (
                    last.end
                    for name, last in known.last.items()
                    if name != stream and last.end < start
                )
                # One that had ended a day before was given back, more likely.
                until = max(max(ended, default=start), start - DAY)
                if start > until:
                    self._note_stop(known, until, start)
                    known.gone.append((until, start))
            for start, end in (*known.holes, *known.gone):
                for number in range(week_of(start), week_of(end - 1) + 1):
                    if start < start_of(number) + DAY:
                        self.weeks[number - 1].spoilt.add("late")
            for number, (named_end, report_end) in known.ends_of.items():
                silences = (*known.holes, *known.stops)
                until = max(
                    (end for start, end in silences if start < start_of(number + 1)), default=0
                )
                if until > start_of(number) and until >= named_end:
                    self.weeks[number].spoilt.add("later version")
                if until > start_of(number) and until >= report_end:
                    self.weeks[number].spoilt.add("later report")

    @property
    def first_week(self) -> int | None:
        return None if self.begins is None else week_of(self.begins)

    def begun(self, week: int) -> bool:
        return self.begins is not None and self.begins <= start_of(week)

    def ended(self, week: int) -> bool:
        return self.closed >= start_of(week + 1)

    def is_new_for_sure(self, week: int) -> bool:
        """Whether none of the new ones may have been there in an earlier week."""
        first = self.first_week
        return not any(
            known.ends_of
            and min(known.ends_of) == week
            and any(
                one < week
                for one in known.idle | {one for one in known.silent if first and one >= first}
            )
            for known in self.known.values()
        )

    def are_clusters_sure(self, week: int) -> bool:
        """Whether it is known in which clusters all were, also in the week before.

        And that in none that is there for certain the first time one may have been before.
        """
        first: dict[str, int] = {}
        for known in self.known.values():
            for number in known.ends_of:
                group = known.group(number)
                if group is not None and not known.is_unsure(number):
                    first[group] = min(first.get(group, number), number)
        new = {group for group, number in first.items() if number == week}
        return not any(
            any(known.is_unsure(number) for number in (week, week - 1))
            or (
                new
                and known.groups
                and any(
                    number < week
                    and (
                        known.is_unsure(number)
                        or (
                            number not in known.ends_of
                            and number in known.idle | known.silent
                            and number >= (self.first_week or number)
                        )
                    )
                    for number in known.ends_of.keys() | known.idle | known.silent
                )
            )
            for known in self.known.values()
        )

    def is_decided(self, week: int) -> bool:
        """Whether it is known of every installation that it was active, or that it was not."""
        active = self.weeks[week].active if week in self.weeks else set()
        return not any(
            installation not in active and (week in known.silent or week in known.idle)
            for installation, known in self.known.items()
        )

    def is_lossless(self, week: int) -> bool:
        lost = {"missing", "no_report", "gap", "discarded", "off", "stopped", "late", *DOUBTFUL}
        return self.begun(week) and self.is_punctual(week) and not lost & self.weeks[week].spoilt

    def is_punctual(self, week: int) -> bool:
        """Whether all is there that may tell of something that is counted late."""
        return self.closed >= start_of(week + 1) + DAY


def only(words: set[str | None]) -> str:
    """Return the one word, if there is one."""
    return next(filter(None, words)) if len(words) == 1 else "unknown"


def arrived(sent: Sent, fate: Fate, *, received: int) -> Arrived:
    """Return what is known of a window, given what arrived of it."""
    copies = fate.copies[sent.identity_calls :]
    facts = [one for one, times in zip(sent.facts, copies, strict=False) if times]
    where = (sent.stream, sent.seq, sent.start, sent.end)
    if not copies[-1]:
        return Arrived(*where, facts, has_report=False, received=received)
    return Arrived(
        *where,
        facts,
        has_report=True,
        received=received,
        version=sent.version,
        is_observable=sent.is_observable,
        enabled=sent.enabled,
        gaps=sent.gaps,
        place=(sent.kubernetes_minor, sent.distribution),
        withheld=sent.withheld,
        discarded=sent.discarded,
        late=sent.late.total(),
        deltas=sum_by_event(sent.facts),
    )


def sum_by_event(facts: Iterable[Said]) -> Counter[str]:
    found: Counter[str] = Counter()
    for one in facts:
        found[one.event] += one.count
    return found


def merged(one: Arrived, other: Arrived) -> Arrived:
    """Return what is known of a window that was told twice: of each thing the greater one."""
    facts: dict[tuple[Any, ...], Said] = {}
    is_contradicted = one.is_contradicted or other.is_contradicted
    for fact in (*one.facts, *other.facts):
        key = (fact.event, fact.version, *sorted(fact.properties.items()))
        known = facts.get(key, fact)
        is_contradicted |= known.count != fact.count
        facts[key] = evolve(
            fact,
            count=max(known.count, fact.count),
            is_floor=known.is_floor or fact.is_floor,
        )
    told = [each for each in (one, other) if each.has_report]
    both = Arrived(one.stream, one.seq, one.start, one.end, list(facts.values()), bool(told))
    both.received = min(each.received for each in told or (one, other))
    for each in told:
        for name, seconds in each.gaps.items():
            both.gaps[name] = max(seconds, both.gaps.get(name, 0))
        for name, is_on in each.enabled.items():
            both.enabled[name] = is_on or both.enabled.get(name, False)
        both.withheld |= each.withheld
        both.discarded = max(both.discarded, each.discarded)
        both.late = max(both.late, each.late)
        both.deltas |= each.deltas
    versions = {each.version for each in told} - {None}
    both.version = "several" if len(versions) > 1 else next(iter(versions), None)
    seen = [each.is_observable for each in told if each.is_observable is not None]
    both.is_observable = all(seen) if seen else None
    minor, distribution = (
        max((word for each in told if (word := each.place[at])), default=None) for at in (0, 1)
    )
    both.place = (minor, distribution)
    says = {
        (
            each.version,
            each.place,
            each.is_observable,
            frozenset(each.deltas.items()),
            frozenset(each.enabled.items()),
        )
        for each in told
    }
    both.is_contradicted = is_contradicted or len(says) > 1
    return both


def _note(one: OfWeek, window: Arrived) -> None:
    """Add a window to what is known of its installation in this week."""
    one.is_active |= window.version is not None or bool(window.facts)
    if window.version == "several":
        one.is_several = True
    elif window.version is not None and window.gap < window.seconds and window.end >= one.named_end:
        if window.end > one.named_end:
            one.versions, one.named_end = set(), window.end
        one.versions.add(window.version)
    if window.has_report and window.end >= one.report_end:
        if window.end > one.report_end:
            one.places, one.report_end = [], window.end
        one.places.append(window.place)
    if not window.has_report:
        one.unreported_end = max(one.unreported_end, window.end)
    hides_version = window.version is None and window.withheld
    if not window.has_report or window.gaps or window.version == "several" or hides_version:
        one.unseen_end = max(one.unseen_end, window.end)
    for platform, is_on in window.enabled.items():
        (one.enabled if is_on else one.disabled).add(platform)
    if window.version is not None or window.withheld:
        one.unsaid |= {platform for _, platform in PLATFORMS} - window.enabled.keys()
    one.shows_commands |= window.shows(COMMAND)
    one.shows_faults |= window.has_report and FAULTY not in window.withheld


def _count(
    week: Weekly, installation: str, known: OfWeek, window: Arrived, *, shows_crashes: bool
) -> None:
    """Add up the facts of a window, and what it lacks."""

    def lack(reason: str, seconds: int) -> None:
        week.lacking[reason] += seconds
        week.behind["completeness", reason].add(installation)

    for reason, seconds in window.gaps.items():
        week.spoilt.add("gap")
        lack(reason, min(window.seconds, seconds))
    for reason, is_so in (
        ("no_report", not window.has_report),
        ("short", any(off < 0 for off in window.off.values())),
        ("withheld", bool(window.withheld)),
        ("discarded", bool(window.discarded)),
    ):
        if is_so:
            week.spoilt.add(reason)
            lack(reason, window.seconds)
    if window.off:
        week.spoilt.add("off")
    if window.is_contradicted:
        week.spoilt.add("contradicted")
    week.spoilt |= {f"withheld {event}" for event in window.withheld}
    if window.version is not None and not window.is_observable:
        week.spoilt.add("not observable")
    for fact in window.facts:
        if fact.is_floor:
            known.raised.add(fact.event)
            week.spoilt.add(f"raised {fact.event}")
        _count_fact(week, installation, known, window, fact, shows_crashes=shows_crashes)


def _count_fact(
    week: Weekly,
    installation: str,
    known: OfWeek,
    window: Arrived,
    fact: Said,
    *,
    shows_crashes: bool,
) -> None:
    # Of a count that was raised nobody knows more.
    said, count = fact.properties, min(1, fact.count) if fact.is_floor else fact.count
    cell: tuple[Any, ...]
    if fact.event == COMMAND and window.shows(COMMAND):
        command = said["platform"], said["command"]
        sums = week.commands[command]
        sums["count"] += count
        sums["count_failed"] += count * (said["result"] == "failed")
        week.behind["commands", *command].add(installation)
        if said["result"] == "failed":
            week.behind["commands failed", *command].add(installation)
    elif fact.event == FAILED:
        cell = said["platform"], said["what"], said["reason"]
        is_shown = window.shows(HANDLED) and FAILED not in window.withheld
        week.failed[cell]["failed_all"] += count
        week.behind["notification_failures", *cell].add(installation)
        if is_shown:
            known.failed[cell] += count
            if said["what"] == "event":
                known.attempts[said["platform"]] += count
        else:
            week.behind["unobserved", *cell].add(installation)
    elif fact.event == HANDLED and window.shows(HANDLED) and FAILED not in window.withheld:
        known.attempts[said["platform"]] += count
    elif fact.event == FAULTY:
        cell = said["reason"], said["field"], said.get("platform")
        known.faults.add(cell)
        week.errors[cell] += count
        week.behind["configuration_errors", *cell].add(installation)
    elif fact.event == CRASHED:
        if window.has_report and shows_crashes:
            known.crashes[window.version or "unknown"] += count
        # Which of several it was the crash itself says.
        week.kinds[fact.version, said["kind"]] += count
        week.behind["crash_kinds", fact.version, said["kind"]].add(installation)


def _add_rates(week: Weekly, installation: str, one: OfWeek) -> None:
    """Add what rates are made of; of whom a count was raised, small ones are not known."""
    if CRASHED not in one.raised:
        for version, count in one.crashes.items():
            week.crashes[version] += count
            week.behind["crashed", version].add(installation)
    if {HANDLED, FAILED} & one.raised:
        for cell in one.failed:
            week.behind["unobserved", *cell].add(installation)
        return
    for cell, count in one.failed.items():
        week.failed[cell]["failed"] += count
        week.behind["failed", *cell].add(installation)
    for platform, count in one.attempts.items():
        week.attempts[platform] += count
        week.behind["attempts", platform].add(installation)


def _add_hours(one: OfWeek, week: Weekly, windows: list[Arrived], *, shows_crashes: bool) -> None:
    """Add the time of a day that was observed: streams that overlap count once."""
    by_version: defaultdict[str | None, list[Arrived]] = defaultdict(list)
    for window in windows:
        if window.has_report:
            by_version[None].append(window)
            by_version[window.version or "unknown"].append(window)
    for version, some in by_version.items():
        if version is None or shows_crashes:
            one.observed[version] += seen(some)
        else:
            one.silent_on.add(version)
    week.command_seconds += union(window for window in windows if window.shows(COMMAND))


def events_of_day(windows: list[Arrived]) -> Counter[str] | None:
    """Return an installation's events of a day by platform, None where not all can be known.

    What is on and delivers nothing has a true zero.
    """
    seeing = [one for one in windows if one.version is not None]
    is_whole = union(one for one in windows if one.has_report) == DAY
    if not seeing or not is_whole or not all(one.is_observable for one in seeing):
        return None
    if any(
        not one.has_report
        or one.gaps
        or one.discarded
        or one.late
        or HANDLED in {*one.off, *one.withheld}
        for one in windows
    ):
        return None
    counted = Counter({name: 0 for one in windows for name, is_on in one.enabled.items() if is_on})
    for one in windows:
        for fact in one.facts:
            if fact.event == HANDLED:
                counted[fact.properties["platform"]] += fact.count
    return counted


def union(windows: Iterable[Arrived]) -> int:
    """Return how many seconds at least one of the windows covers."""
    seconds, until = 0, 0
    for start, end in sorted((one.start, one.end) for one in windows):
        seconds += max(0, end - max(start, until))
        until = max(until, end)
    return seconds


def seen(windows: Iterable[Arrived]) -> int:
    """Return how many seconds were read, of each moment as well as its best stream read it.

    Nobody knows where in a window its gap is: a piece of it was read as well as the whole.
    """
    seconds, until = 0, 0
    beside: list[Arrived] = []
    for one in sorted(windows, key=lambda one: one.start):
        if one.start >= until:
            seconds += _seen_beside(beside)
            beside = []
        beside.append(one)
        until = max(until, one.end)
    return seconds + _seen_beside(beside)


def _seen_beside(windows: list[Arrived]) -> int:
    edges = sorted({edge for one in windows for edge in (one.start, one.end)})
    return sum(
        max(
            (end - start) * (one.seconds - one.gap) // one.seconds
            for one in windows
            if one.start <= start and end <= one.end
        )
        for start, end in pairwise(edges)
    )


# --- one view each --------------------------------------------------------------------------------


def _active(truth: Truth, number: int, week: Weekly) -> Iterator[Row]:
    def clusters(at: int) -> set[str]:
        return {group for one in active(at) if (group := truth.known[one].group(at)) is not None}

    def ever(of: Callable[[int], set[str]]) -> set[str]:
        return set().union(*(of(at) for at in truth.weeks if at < number))

    def active(at: int) -> set[str]:
        return truth.weeks[at].active if at in truth.weeks else set()

    row: Row = {
        "is_complete": truth.ended(number)
        and number != truth.first_week
        and truth.is_decided(number)
        and truth.is_decided(number - 1)
        and truth.is_new_for_sure(number)
        and truth.are_clusters_sure(number)
        and not {"later report", *DOUBTFUL} & week.spoilt,
        "installations_without_cluster": sum(
            truth.known[one].group(number) is None for one in week.active
        ),
    }
    for name, of in (("installations", active), ("clusters", clusters)):
        now, before, earlier = of(number), of(number - 1), ever(of)
        row[name] = len(now)
        row[f"{name}_new"] = len(now - earlier)
        row[f"{name}_kept"] = len(now & before)
        row[f"{name}_returned"] = len((now & earlier) - before)
        row[f"{name}_gone"] = len(before - now)
    yield row


def _shares(
    week: Weekly, cells: Counter[Any], names: tuple[str, ...], *, is_complete: bool
) -> Iterator[Row]:
    for cell, count in cells.items():
        values = cell if isinstance(cell, tuple) else (cell,)
        yield {
            **dict(zip(names, values, strict=True)),
            "is_complete": is_complete,
            "installations": count,
            "installations_all": len(week.active),
            "share": count / len(week.active),
        }


def _is_sure(truth: Truth, number: int) -> bool:
    return truth.begun(number) and truth.ended(number) and truth.is_decided(number)


def _versions(truth: Truth, number: int, week: Weekly) -> Iterator[Row]:
    is_complete = (
        _is_sure(truth, number)
        and not {"several", "unknown"} & week.versions.keys()
        and not {"later version", *DOUBTFUL} & week.spoilt
    )
    return _shares(week, week.versions, ("botkube_version",), is_complete=is_complete)


def _kubernetes(truth: Truth, number: int, week: Weekly) -> Iterator[Row]:
    is_complete = (
        _is_sure(truth, number)
        and all("unknown" not in one for one in week.places)
        and not {"later report", *DOUBTFUL} & week.spoilt
    )
    names = ("kubernetes_minor", "distribution")
    return _shares(week, week.places, names, is_complete=is_complete)


def _both(truth: Truth, number: int, week: Weekly) -> Iterator[Row]:
    is_complete = (
        _is_sure(truth, number)
        and not any({"several", "unknown"} & set(one) for one in week.both)
        and not {"later version", "later report", *DOUBTFUL} & week.spoilt
    )
    names = ("botkube_version", "kubernetes_minor", "distribution")
    return _shares(week, week.both, names, is_complete=is_complete)


def _integrations(truth: Truth, number: int, week: Weekly) -> Iterator[Row]:
    for kind, platform in PLATFORMS if week.active else ():
        on, off, everyone = week.enabled[platform], week.disabled[platform], len(week.active)
        yield {
            "kind": kind,
            "platform": platform,
            "is_complete": _is_sure(truth, number)
            and on + off == everyone
            and not {"missing", "no_report", "gap", "stopped", *DOUBTFUL} & week.spoilt,
            "installations": on,
            "installations_disabled": off,
            "installations_unknown": everyone - on - off,
            "installations_all": everyone,
            "share": on / (on + off) if kind == "bot" and on + off else None,
            "share_at_least": on / everyone,
        }


def untold(event: str) -> set[str]:
    """Return what keeps a count from being known: it was withheld, or raised to a minimum."""
    return {f"withheld {event}", f"raised {event}"}


def _commands(truth: Truth, number: int, week: Weekly) -> Iterator[Row]:
    unseen = {"not observable", *untold(COMMAND)}
    is_complete = truth.is_lossless(number) and not unseen & week.spoilt
    for (platform, command), sums in week.commands.items():
        yield {
            "platform": platform,
            "command": command,
            "is_complete": is_complete,
            **{name: sums[name] for name in ("count", "count_failed")},
            "installations": len(week.behind["commands", platform, command]),
            "installations_failed": len(week.behind["commands failed", platform, command]),
            "installations_observable": week.show_commands,
            "hours_observable": week.command_seconds / HOUR,
        }


def _events_per_day(truth: Truth, number: int, week: Weekly) -> Iterator[Row]:
    is_complete = not week.days_left_out and (
        truth.begun(number)
        and truth.is_punctual(number)
        and not {"missing", "stopped", "late", *DOUBTFUL} & week.spoilt
    )
    for platform, counts in week.per_day.items():
        counts.sort()
        yield {
            "platform": platform,
            "is_complete": is_complete,
            "installation_days": len(counts),
            "installations": len(week.behind["events_per_day", platform]),
            "total": sum(counts),
            # The smallest of which enough are not greater.
            **{
                name: counts[max(1, ceil(len(counts) * hundredth / 100)) - 1]
                for name, hundredth in QUANTILES.items()
            },
            "days_left_out": week.days_left_out,
        }


def _failures(truth: Truth, number: int, week: Weekly) -> Iterator[Row]:
    unseen = {"not observable", *untold(HANDLED), *untold(FAILED)}
    is_complete = truth.is_lossless(number) and not unseen & week.spoilt
    for (platform, what, reason), sums in week.failed.items():
        # Of replies and other messages nobody says how many were tried.
        is_event = what == "event" and platform != "unknown"
        attempts = week.attempts[platform] if is_event and platform in week.attempts else None
        yield {
            "platform": platform,
            "what": what,
            "reason": reason,
            "is_complete": is_complete,
            "failed": sums["failed"] if is_event else None,
            "attempts": attempts,
            "rate": sums["failed"] / attempts if attempts else None,
            "installations": len(week.behind["notification_failures", platform, what, reason]),
            **{
                f"installations_{how}": len(week.behind[how, platform, what, reason])
                if is_event
                else None
                for how in ("failed", "unobserved")
            },
            "installations_observed": (
                None if attempts is None else len(week.behind["attempts", platform])
            ),
            "failed_all": sums["failed_all"],
        }


def _errors(truth: Truth, number: int, week: Weekly) -> Iterator[Row]:
    is_complete = truth.is_lossless(number) and not untold(FAULTY) & week.spoilt
    for (reason, at, platform), count in week.errors.items():
        installations = len(week.behind["configuration_errors", reason, at, platform])
        yield {
            "reason": reason,
            "field": at,
            "platform": platform,
            "is_complete": is_complete,
            "count": count,
            "installations": installations,
            "installations_observable": week.show_faults,
            "share": None
            if (reason, at, platform) in week.unsure_faults
            else installations / week.show_faults,
        }


def _crashes(truth: Truth, number: int, week: Weekly) -> Iterator[Row]:
    is_complete = truth.is_lossless(number) and not untold(CRASHED) & week.spoilt
    for version in week.crash_seconds.keys() | week.crashes.keys():
        hours, crashes = week.crash_seconds[version] / HOUR, week.crashes[version]
        yield {
            "botkube_version": version,
            "is_complete": is_complete,
            "crashes": crashes,
            "installation_hours": hours,
            "per_1000_hours": crashes * 1000 / hours if hours else None,
            "installations": len(week.behind["crashes", version]),
            "installations_crashed": len(week.behind["crashed", version]),
            "installations_all": len(week.active),
        }


def _crash_kinds(truth: Truth, number: int, week: Weekly) -> Iterator[Row]:
    is_complete = truth.is_lossless(number) and not untold(CRASHED) & week.spoilt
    for (version, kind), count in week.kinds.items():
        yield {
            "botkube_version": version,
            "kind": kind,
            "is_complete": is_complete,
            "crashes": count,
            "installations": len(week.behind["crash_kinds", version, kind]),
        }


def _completeness(truth: Truth, number: int, week: Weekly) -> Iterator[Row]:
    is_whole = truth.begun(number) and truth.mostly_closed >= start_of(number + 1)
    # Of a week that nobody's data reaches there is no time to compare with.
    for reason, seconds in week.lacking.items() if week.span else ():
        yield {
            "reason": reason,
            "is_complete": is_whole
            and truth.ended(number)
            and not {"missing", "implausible"} & week.spoilt,
            "is_whole": is_whole,
            "hours": seconds / HOUR,
            "installations": len(week.behind["completeness", reason]),
            "share": seconds / week.span,
        }


VIEWS = {
    "active_installations": _active,
    "version_adoption": _versions,
    "kubernetes_adoption": _kubernetes,
    "version_by_kubernetes": _both,
    "integrations": _integrations,
    "commands": _commands,
    "events_per_day": _events_per_day,
    "notification_failures": _failures,
    "configuration_errors": _errors,
    "crashes": _crashes,
    "crash_kinds": _crash_kinds,
    "completeness": _completeness,
}
