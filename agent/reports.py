"""A window -> batches, for the wire, the ledger and the page: the one call of the one builder.

Owns what of the document goes into a report: stream, number and totals for what is sent; zeros for
what is not, so that nothing of a sent stream is used up by looking. Pure: changes nothing.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING
from uuid import UUID

from attrs import evolve, field, frozen

from agent.disclosure import disclosures, event_names
from agent.gate import admit
from agent.model import REPORT
from agent.names import snake
from agent.sink.batch import build_identity, build_window, seal
from agent.withholding import Withholding

if TYPE_CHECKING:
    from agent.aggregate import Instance
    from agent.gate import Gate
    from agent.model import Batch, Identity, Report
    from agent.rules import RuleSet
    from agent.sink.batch import Event
    from agent.state.document import Document

MATCHED = "lines_matched"
ZERO = str(UUID(int=0))
"""Stands for the stream of what is not sent."""

DAY_SECONDS = 86_400


@frozen
class Origin:
    """Who reports, by which rules, and through which gate.

    Of windows that were over before `learned_seconds` nobody knows the Kubernetes: then it was
    learned that it is this one, and not another.
    """

    identity: Identity
    ruleset: RuleSet
    agent_version: str
    gate: Gate
    minimum: int = 0
    withholding: Withholding = field(factory=Withholding)
    learned_seconds: int = 0

    def identity_in(self, report: Report, *, is_sent: bool) -> Identity:
        """Return what may be said of the cluster in a window; nothing withheld, if it is sent."""
        identity = self.known_at(report.start_seconds) if is_sent else self.identity
        if report.end_seconds <= self.learned_seconds:
            return evolve(identity, kubernetes_minor=None, distribution=None)
        return identity

    def known_at(self, seconds: int) -> Identity:
        """Return what may be said of the cluster at that time: no word that is withheld."""
        word = (("distribution", self.identity.distribution or ""),)
        if seconds < self.withholding.of(REPORT, word):
            return evolve(self.identity, distribution=None)
        return self.identity

    def without_withheld(self, report: Report) -> Report:
        """Return a report that says of which events something is withheld, and not what.

        So it does of events of which rules were disabled: what is not counted is not zero.
        Of how many lines were matched nothing is said then: the difference would tell, as it would
        tell a count below the minimum.
        """
        if self.minimum:
            said = tuple(one for one in report.collection if one[0] != MATCHED)
            report = evolve(report, collection=said)
        start = report.start_seconds
        events = self.withholding.events(start)
        kept = dict(report.collection)
        if events:
            optional = {
                one.name
                for one in disclosures(self.ruleset)
                if one.event == REPORT and one.is_optional
            }
            kept = {
                name: value
                for name, value in kept.items()
                if name not in optional
                or (name != MATCHED and start >= self.withholding.of(REPORT, [(name, value)]))
            }
        counted = {*events, *self.ruleset.taken_out} & set(event_names(self.ruleset))
        kept |= {f"{snake(event)}_withheld": True for event in counted}
        return evolve(report, collection=tuple(sorted(kept.items())))


@frozen
class Made:
    """Sealed batches of one window, the sums after them, and how many events were refused.

    `dropped` broke a limit of the destination's, `violations` are not declared by the rules.
    """

    batches: tuple[Batch, ...]
    totals: Counter[str]
    dropped: int
    violations: int


@frozen
class Told:
    """Which identity was last told, and when."""

    digest: str = ""
    seconds: int = 0


def make_sent(
    report: Report, document: Document, origin: Origin, calls: list[Event], *, now_seconds: int
) -> Made:
    """Return the next report of the document's stream, with identity calls in front."""
    seq = document.seq + 1
    events, totals = build_window(
        origin.without_withheld(report),
        identity=origin.identity_in(report, is_sent=True),
        stream=document.stream,
        seq=seq,
        totals=document.totals,
        events=event_names(origin.ruleset),
        gate=origin.gate,
        minimum=origin.minimum,
        agent_version=origin.agent_version,
        rules_digest=origin.ruleset.digest,
        rules_changed=document.rules_digest != origin.ruleset.digest,
    )
    return _seal([*calls, *events], totals, origin, seq=seq, now_seconds=now_seconds)


def make_unsent(report: Report, origin: Origin, calls: list[Event], *, now_seconds: int) -> Made:
    """Return a report that is not sent: stream and number are zero, totals are its own counts."""
    events, totals = build_window(
        report,
        identity=origin.identity_in(report, is_sent=False),
        stream=ZERO,
        seq=0,
        totals={},
        events=event_names(origin.ruleset),
        gate=origin.gate,
        minimum=origin.minimum,
        agent_version=origin.agent_version,
        rules_digest=origin.ruleset.digest,
    )
    return _seal([*calls, *events], totals, origin, seq=0, now_seconds=now_seconds)


def _seal(
    events: list[Event], totals: Counter[str], origin: Origin, *, seq: int, now_seconds: int
) -> Made:
    admitted, violations = admit(origin.gate, events)
    batches, dropped = seal(admitted, seq=seq, sealed_seconds=now_seconds)
    return Made(tuple(batches), totals, dropped, violations)


def identity_calls(origin: Origin, told: Told, *, now_seconds: int) -> tuple[list[Event], Told]:
    """Return the identify and group calls that are due, on change and once a day."""
    identity = origin.known_at(now_seconds)
    known = digest(identity)
    if known == told.digest and now_seconds - told.seconds < DAY_SECONDS:
        return [], told
    calls = build_identity(identity, agent_version=origin.agent_version, at_seconds=now_seconds)
    return calls, Told(known, now_seconds)


def digest(identity: Identity) -> str:
    """Return what tells two identities apart."""
    return repr(identity)


def present(document: Document, start: int, end: int | None = None) -> list[Instance]:
    """Return the container instances that were there from `start` on, or between it and `end`."""
    return [
        one
        for one in document.instances.values()
        if one.ended_seconds is None or one.ended_seconds >= start
        if end is None or one.began_seconds is None or one.began_seconds < end
    ]


@frozen
class Standing:
    """The next report as it stands: what would be sent, or kept unsent, if it closed now."""

    start_seconds: int
    end_seconds: int
    is_sent: bool
    batches: tuple[Batch, ...]


def look(document: Document, origin: Origin, unsent_told: Told, *, now_seconds: int) -> Standing:
    """Return the report of the window that closes next, byte for byte as it stands.

    `unsent_told` is which identity the reports that are not sent have told last.
    """
    windows = document.windows
    start = windows.closed_until or windows.oldest()
    if start is None:
        start = now_seconds - now_seconds % windows.seconds
    instances = present(document, start, start + windows.seconds)
    rules = origin.ruleset
    is_sent = bool(document.sends) and windows.is_sent(start)
    sent_told = Told(document.identified_digest, document.identified_seconds)
    told = sent_told if is_sent else unsent_told
    calls, _ = identity_calls(origin, told, now_seconds=now_seconds)
    if is_sent:
        report = windows.look(start, instances, bots=rules.bots, sinks=rules.sinks)
        made = make_sent(report, document, origin, calls, now_seconds=now_seconds)
    else:
        report = windows.look_unsent(start, instances, bots=rules.bots, sinks=rules.sinks)
        made = make_unsent(report, origin, calls, now_seconds=now_seconds)
    return Standing(start, report.end_seconds, is_sent, made.batches)
