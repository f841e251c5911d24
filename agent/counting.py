"""The document in memory: folding, crashes, closing windows, sealing batches.

Owns, with `instances`, every change of the document between two commits; nothing here awaits, so
counts, facts and cursors move together. Must not know sockets, tasks or files; time and ids are
arguments.
"""

from __future__ import annotations

import logging
from collections import Counter, deque
from typing import TYPE_CHECKING

from attrs import define, evolve, field

from agent.disclosure import OTHER, releases
from agent.gate import Gate, make_gate
from agent.ledger.ledger import Ledger
from agent.model import CRASHED, NANOS, Gap, Observation
from agent.reports import (
    Origin,
    Told,
    identity_calls,
    look,
    make_sent,
    make_unsent,
    present,
)
from agent.resume import CURSORS_BYTES
from agent.sink.batch import batch_array
from agent.start import Start
from agent.streams import forget_facts, leave_mode, note_off
from agent.withholding import ABSENT, Withholding

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from agent.model import Batch, Identity, Released, Report
    from agent.reports import Standing
    from agent.rules import RuleSet
    from agent.state.document import Document

log = logging.getLogger(__name__)

GRACE_SECONDS = 2
STOP_TOLERANCE_SECONDS = 600
OUTBOX_BYTES = 440 * 1024
"""With the batches of one more window, and with `CURSORS_BYTES`, it fits into a ConfigMap."""
MAX_WINDOWS_A_TICK = 200
MAX_GAPS = 50
"""How many gaps are kept with their bounds, for the page."""


@define
class Counting:
    """The one place where the document changes."""

    document: Document
    ruleset: RuleSet
    identity: Identity
    agent_version: str
    sends: bool
    ledger: Ledger = field(factory=Ledger)
    minimum: int = 0
    withholding: Withholding = field(factory=Withholding)
    show: Callable[[Batch], bytes] = batch_array
    """What the destination is given of a batch, for the ledger and the page."""
    is_urgent: bool = False
    is_dirty: bool = False
    rest_bytes: int = 0
    observed: Counter[str] = field(factory=Counter)
    gap_seconds: Counter[str] = field(factory=Counter)
    gaps: deque[Gap] = field(factory=lambda: deque(maxlen=MAX_GAPS))
    hits: Counter[str] = field(factory=Counter)
    lines: int = 0
    matched: int = 0
    windows_closed: int = 0
    discarded: int = 0
    violations: int = 0
    _window_seconds: int = 0
    _first: int | None = None
    _told: Told = field(factory=Told)
    _gate: Gate = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._obey_rules()

    def begin(
        self,
        *,
        now_seconds: int,
        window_seconds: int,
        count_from: int,
        latest_seconds: int = 0,
        start: Start = Start.GOES_ON,
        not_before: int = 0,
        off_noted: int = 0,
        was_off: bool = False,
        waited_seconds: int = 0,
        new_stream: Callable[[], str],
        is_new_installation: bool = False,
    ) -> None:
        """Take up the loaded document: what happened since it was written?

        `latest_seconds` is the time by a clock that may be ahead of ours: before it nothing counts
        where counting begins now.
        `count_from` is when the quiet period of this installation ends (0: there is none); before
        `not_before` it was off, or the mode another one, and with `was_off` it was until now. A
        State that went by another of them, or by another off than the last one, which was noted at
        `off_noted`, has missed that. For `waited_seconds` this process waited
        for its turn: an agent that waits is not stopped. With a new installation nothing goes on
        that would link it to the one before.
        """
        document, windows = self.document, self.document.windows
        # A line of this very second may be older than this moment.
        next_second = max(now_seconds, latest_seconds) + 1
        began, counts_since = now_seconds - waited_seconds, next_second - waited_seconds
        # The object of the installation may have been deleted, and another replica have been first:
        # with it went whatever off was noted.
        is_another = document.installation not in {"", self.identity.installation_id}
        document.installation = self.identity.installation_id
        has_missed = document.sends is not None and (
            was_off
            or is_new_installation
            or is_another
            or _has_missed(document, off_noted, not_before)
        )
        not_before = next_second if was_off else not_before
        self._window_seconds = window_seconds
        self._learn(now_seconds)
        if not windows.open:
            windows.seconds = window_seconds
        elif windows.seconds != window_seconds:
            log.info("the new window length is used once the open windows are closed")
        if document.stopped_seconds is not None:
            stopped = document.stopped_seconds
            if began - stopped > STOP_TOLERANCE_SECONDS:
                # Scaled to zero is an opt-out: what was written meanwhile is not counted.
                windows.stop(stopped, counts_since)
                self.add_gap(Gap("stopped", stopped * NANOS, began * NANOS))
                document.restarts.clear()  # nor are the crashes that nobody saw
            document.stopped_seconds = None
        if has_missed:
            forget_facts(document)
        if has_missed or document.off_seconds is not None:
            # Since when it was off nobody knows, so of no line that is older than its end.
            windows.stop(0, next_second)
            document.off_seconds = None
        if document.sends is not None and (has_missed or document.sends != self.sends):
            discarded = leave_mode(document, new_stream())
            self.ledger.discard(discarded, why="mode_changed", now_seconds=now_seconds)
            # Hours that were spent in the other mode make no empty reports.
            present = now_seconds - now_seconds % windows.seconds
            windows.closed_until = max(windows.closed_until, present)
            count_from = max(count_from, next_second)
        known_since = {
            Start.STATE_LOST: max(not_before, next_second),
            Start.SINCE_WAITING: max(not_before, counts_since),
            Start.FROM_HEAD: not_before,
        }.get(start, 0)
        if known_since:
            # In which mode older lines were written nobody knows, so nothing is learned of them. Of
            # an off of its own an agent leaves no trace but in State, if that is there.
            windows.stop(0, known_since)
        if self.sends:
            # Sending starts at a window boundary; from the log's head on a first start.
            aligned = -(-count_from // windows.seconds) * windows.seconds
            windows.count_from = max(windows.count_from or 0, aligned)
            if start in {Start.SINCE_WAITING, Start.STATE_LOST}:
                windows.count_from = max(windows.count_from, known_since)
            if start is Start.STATE_LOST:
                # What was counted before is not known, so counting starts now.
                begin = now_seconds - now_seconds % windows.seconds
                self.add_gap(Gap("state_lost", begin * NANOS, now_seconds * NANOS))
        else:
            windows.count_from = None
        document.sends = self.sends
        document.rules_digest = document.rules_digest or self.ruleset.digest
        # Whether a batch was given to the destination just before the last process died is not
        # known, so it may have been.
        document.outbox = [evolve(batch, attempted=True) for batch in document.outbox]
        self.is_dirty = True

    def go_by(self, not_before: int, off_noted: int) -> None:
        """Keep which off State has obeyed, once the installation says that it is over.

        Not before: while it stands, another that is seen is noted as the same.
        """
        document = self.document
        if (document.not_before, document.off_noted) != (not_before, off_noted):
            document.not_before, document.off_noted = not_before, off_noted
            self.is_dirty = self.is_urgent = True

    def switch_off(self, stream: str, *, now_seconds: int) -> None:
        """Discard all that is unsent, because a switch says off; nothing more is counted."""
        self.sends = False
        discarded = note_off(self.document, stream, now_seconds=now_seconds)
        self.ledger.discard(discarded, why="switched_off", now_seconds=now_seconds)
        self.is_dirty = self.is_urgent = True

    def fold(self, key: str, released: Released, *, now_seconds: int) -> None:
        """Count what a reader released. The caller's reader keeps the matching cursor."""
        if not released:
            return
        self.document.windows.fold(
            self.document.instances[key],
            released,
            now_seconds=now_seconds,
            sent_from=self._sent_from,
        )
        self.lines += released.lines
        self.matched += released.matched
        self.hits.update(released.hits)
        for observation in released.observations:
            self.observed[observation.event] += 1
        for gap in released.gaps:
            self._note_gap(gap)
        self.is_dirty = True
        if released.observations or released.facts or released.gaps:
            self.is_urgent = True

    def change_rules(self, ruleset: RuleSet, withholding: Withholding) -> None:
        """Count with another rule set from here on; windows are not split."""
        self.ruleset, self.withholding = ruleset, withholding
        self._obey_rules()
        self.is_dirty = self.is_urgent = True

    def _obey_rules(self) -> None:
        """Let only that leave which the rule set in force declares.

        State may hold what an older set declared. A release that is unknown now is called `other`.
        The gate discards the other series of open windows that the present set does not declare.
        """
        self._gate = make_gate(self.ruleset, agent_version=self.agent_version)
        known = frozenset(releases(self.ruleset))
        for instance in self.document.instances.values():
            if instance.version not in known:
                instance.version = OTHER
        distributions = self.ruleset.vocabularies.get("distributions")
        words = distributions.words if distributions is not None else ()
        if self.identity.distribution not in {None, OTHER, *words}:
            self.identity = evolve(self.identity, distribution=OTHER)

    def add_gap(self, gap: Gap) -> None:
        """Report an interval in which lines could not be had."""
        self.document.windows.add_gap(gap, now_seconds=gap.end_ns // NANOS)
        self._note_gap(gap)
        self.is_dirty = self.is_urgent = True

    def _note_gap(self, gap: Gap) -> None:
        self.gap_seconds[gap.reason] += max(1, (gap.end_ns - gap.start_ns) // NANOS)
        self.gaps.append(gap)

    def crash(
        self,
        kind: str,
        version: str,
        at_seconds: int,
        now_seconds: int,
        *,
        since_seconds: int | None = None,
    ) -> None:
        """Count a crash; it may have been as early as `since_seconds`."""
        observation = Observation(CRASHED, (("kind", kind),), at_seconds * NANOS)
        self.document.windows.count(
            observation,
            version,
            now_seconds=now_seconds,
            read_seconds=since_seconds,
            sent_from=self._sent_from,
        )
        self.observed[CRASHED] += 1
        self.is_dirty = self.is_urgent = True

    def due(self, *, now_seconds: float) -> int | None:
        """Return the end of the oldest window if it is over by the agent's clock, else None."""
        windows = self.document.windows
        start = windows.closed_until or windows.oldest()
        if start is None:
            return None
        end = windows.end_of(start)
        return end if now_seconds >= end + GRACE_SECONDS else None

    def awaited(self, *, now_seconds: float) -> int | None:
        """Return the second up to which every container must be read for a window to close.

        None: no window is over. Where nothing was ever counted it is the start of the first window.
        """
        return self._first if self._is_before_first() else self.due(now_seconds=now_seconds)

    def _is_before_first(self) -> bool:
        return not self.document.windows.closed_until and self.document.windows.oldest() is None

    def close_due(
        self,
        *,
        now_seconds: float,
        may_close: Callable[[int], bool],
        unreadable: Callable[[int, int], Iterable[float]] = lambda _start, _end: (),
    ) -> None:
        """Close the windows that are over and that no container holds, oldest first.

        `unreadable` names, for a window's start and end, since when containers could not be read
        that it no longer waits for.
        """
        windows = self.document.windows
        if self._is_before_first():
            present = int(now_seconds) - int(now_seconds) % windows.seconds
            self._first = min(self._first or present, present)
            if not may_close(self._first):
                return  # a log that begins earlier is still to come
            windows.closed_until = self._first
        for _ in range(MAX_WINDOWS_A_TICK):
            end = self.due(now_seconds=now_seconds)
            if end is None or self.is_full or not may_close(end):
                return
            start = windows.closed_until or windows.oldest() or 0
            for since in unreadable(start, end):
                begin = min(max(start, int(since)), end - 1)
                self.add_gap(Gap("unreadable", begin * NANOS, end * NANOS))
            self._close(start, int(now_seconds))

    @property
    def is_full(self) -> bool:
        """Whether the outbox has used its budget, so that reading must wait.

        What the rest of State takes beyond its share is taken from that of the outbox.
        """
        used, beyond = self.document.outbox_bytes, max(0, self.rest_bytes - CURSORS_BYTES)
        return used > 0 and used + beyond > OUTBOX_BYTES

    def _close(self, start: int, now_seconds: int) -> None:
        document, windows, rules = self.document, self.document.windows, self.ruleset
        is_sent = self.sends and windows.is_sent(start)
        instances = present(document, start, start + windows.seconds)
        if windows.has_unsent(start) or not (is_sent or windows.is_stopped(start)):
            unsent = windows.look_unsent(start, instances, bots=rules.bots, sinks=rules.sinks)
            self._keep_unsent(unsent, now_seconds)
        report = windows.close(start, instances, bots=rules.bots, sinks=rules.sinks)
        self.windows_closed += 1
        self.is_dirty = self.is_urgent = True
        if not windows.open:
            windows.seconds = self._window_seconds
        if is_sent:
            self._seal(report, now_seconds)

    def learn(self, minor: str | None, distribution: str | None, *, now_seconds: int) -> None:
        """Take the cluster's Kubernetes from now on for what it says that it is."""
        self.identity = evolve(self.identity, kubernetes_minor=minor, distribution=distribution)
        self._learn(now_seconds)

    def _learn(self, now_seconds: int) -> None:
        """Note since when the Kubernetes is known that it is now, as after an upgrade.

        One that does not say what it is, as without the right to ask, is not another for that. And
        of the first nothing says that it was another before, while its logs were written.
        """
        minor, distribution = self.identity.kubernetes_minor, self.identity.distribution
        if minor is None:
            return
        document, known = self.document, f"{minor} {distribution}"
        since = now_seconds if document.kubernetes else 0
        if document.kubernetes == known:
            # A clock that was ahead when it was learned may have been put right.
            since = min(document.learned_seconds, now_seconds)
        if (document.kubernetes, document.learned_seconds) != (known, since):
            document.kubernetes, document.learned_seconds = known, since
            self.is_dirty = True

    def _seal(self, report: Report, now_seconds: int) -> None:
        """Put the report of a closed window into the outbox, as the next of the stream."""
        document = self.document
        told = Told(document.identified_digest, document.identified_seconds)
        calls, told = identity_calls(self.origin, told, now_seconds=now_seconds)
        made = make_sent(report, document, self.origin, calls, now_seconds=now_seconds)
        document.seq += 1
        document.totals = made.totals
        document.identified_digest, document.identified_seconds = told.digest, told.seconds
        # State keeps the digest of the last report, so that a crash does not hide a change.
        document.rules_digest = self.ruleset.digest
        self.discarded += made.dropped
        self._count_violations(made.violations)
        document.outbox.extend(made.batches)

    def _keep_unsent(self, report: Report, now_seconds: int) -> None:
        """Put what is not sent of a closed window into the ledger, and nowhere else."""
        calls, self._told = identity_calls(self.origin, self._told, now_seconds=now_seconds)
        made = make_unsent(report, self.origin, calls, now_seconds=now_seconds)
        self._count_violations(made.violations)
        for batch in made.batches:
            self.ledger.keep_unsent(
                batch,
                array=batch_array(batch),
                shown=self.show(batch),
                why=self._why_unsent(report.start_seconds),
                now_seconds=now_seconds,
            )

    def _why_unsent(self, start: int) -> str:
        if not self.sends:
            return "local"
        holds = self.document.windows.is_sent(start) and self.withholding.events(start)
        return "withheld" if holds else "before_start"

    def _count_violations(self, refused: int) -> None:
        if refused and not self.violations:
            log.error("the exit gate has discarded an event")
        self.violations += refused

    def look(self, *, now_seconds: int) -> Standing:
        """Return the next report as it stands."""
        return look(self.document, self.origin, self._told, now_seconds=now_seconds)

    @property
    def origin(self) -> Origin:
        """Who reports, by the rules of this moment."""
        return Origin(
            self.identity,
            self.ruleset,
            self.agent_version,
            self._gate,
            minimum=self.minimum,
            withholding=self.withholding,
            learned_seconds=self.document.learned_seconds,
        )

    def _sent_from(self, observation: Observation, version: str) -> int:
        """Return when the first window begins that has all of what an Observation says."""
        if not self.withholding.latest:
            return 0
        event = self.ruleset.events.get(observation.event)
        names = dict(observation.properties).keys()
        absent = (event.optional if event is not None else frozenset()) - names
        said = (
            *observation.properties,
            ("botkube_version", version),
            *((name, ABSENT) for name in absent),
        )
        seconds = self.document.windows.seconds
        return -(-self.withholding.of(observation.event, said) // seconds) * seconds

    def drop_batch(self, batch: Batch) -> None:
        """Take a delivered or parked batch out of the outbox."""
        self.document.outbox = [
            one for one in self.document.outbox if (one.seq, one.part) != (batch.seq, batch.part)
        ]
        self.is_dirty = True


def _has_missed(document: Document, off_noted: int, not_before: int) -> bool:
    """Whether an off was noted, and taken back by another replica, of which State knows nothing."""
    if not document.sends:
        # Of a time in `local` it need not know, in which it was so itself.
        return off_noted not in {0, document.off_noted}
    if document.not_before is not None:
        # An installation that says 0 was on ever since it was chosen.
        return not_before not in {0, document.not_before}
    # What an older release wrote only says when: by a clock that may be behind, or that it counts
    # only from a later second on.
    return not_before > max(document.saved_seconds, document.windows.count_from or 0)
