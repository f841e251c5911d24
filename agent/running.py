"""What a running agent shows of itself: all figures, and all that the page says.

Owns the way from the pipeline's parts to the plain values of `web`. Must not know sockets; changes
nothing.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from attrs import define, evolve, field

from agent.lookout import Lookout
from agent.model import NANOS
from agent.modes import Mode, decide
from agent.on_node import STANDING_LOOKS
from agent.reload import Reloading
from agent.sink.batch import batch_array
from agent.sink.outcome import Delivered, Retry
from agent.web.metrics import Snapshot
from agent.web.view import GapRow, NextReport, RuleRow, SwitchRow, View

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from agent.ledger.ledger import Ledger
    from agent.model import Batch
    from agent.modes import Decision, Switch
    from agent.options import Options
    from agent.pipeline import Pipeline
    from agent.prefilter import Prefilter
    from agent.rules import RuleSet
    from agent.sink.outcome import Outcome


@define(eq=False)
class Running:
    """The pipeline once it runs, and what the destination answered.

    `leads` is whether this replica leads, None where there is no election; `looked` is when the
    cluster's switches were read last; `standing_since` is since when this process may lead, by the
    clock that nobody sets, and `saw_none` whether no BotKube was on this node since then;
    `cannot_begin` is why there is no pipeline, in closed words, and `has_tried` whether a turn has
    come to nothing since one last started; `answers` are the statuses of the lists of pods while
    this replica waited for one on its node.
    """

    decision: Decision
    ruleset: RuleSet
    options: Options
    ledger: Ledger
    local_switches: tuple[Switch, ...]
    has_destination: bool
    clock: Callable[[], float]
    pipeline: Pipeline | None = None
    switches: tuple[Switch, ...] = ()
    leads: bool | None = None
    looked: float | None = None
    lookout: Lookout = field(factory=Lookout)
    reloading: Reloading = field(factory=Reloading)
    delivered: int = 0
    retried: int = 0
    rejected: int = 0
    events: int = 0
    last_delivery: float | None = None
    standing_since: float = 0.0
    saw_none: bool = False
    cannot_begin: str = ""
    has_tried: bool = False
    answers: dict[str, int] = field(factory=dict)

    def __attrs_post_init__(self) -> None:
        self.switches = self.local_switches

    def change_rules(self, ruleset: RuleSet, prefilter: Prefilter) -> None:
        """Put another rule set in force."""
        self.ruleset = ruleset
        if self.pipeline is not None:
            self.pipeline.change_rules(ruleset, prefilter)

    def switch(self, found: Iterable[Switch]) -> None:
        """Take what the cluster's switches say; local ones were decided before."""
        self.looked = self.clock()
        self.switches = (*self.local_switches, *found)
        self.decision = decide(self.switches, has_destination=self.has_destination)
        if self.decision.mode is Mode.OFF:
            self.pipeline = None

    def stand(self, *, since: float) -> None:
        """Begin to wait for a turn."""
        self.standing_since, self.saw_none = since, False

    def see_none(self) -> None:
        """Note that no pod of BotKube is on this node."""
        self.saw_none = True

    def stand_by(self) -> None:
        """Show a replica that waits for its turn."""
        self.pipeline, self.leads = None, False

    def lead(self) -> None:
        """Show the replica whose turn it is."""
        self.leads = True

    def note(self, batch: Batch, outcome: Outcome, at: float) -> None:
        """Count what came of one send."""
        if isinstance(outcome, Delivered):
            self.delivered += 1
            self.events += batch.events
            self.last_delivery = at
        elif isinstance(outcome, Retry):
            self.retried += 1
        else:  # refused or given up: parked either way
            self.rejected += 1

    def snapshot(self) -> Snapshot:
        """Return all figures of this moment."""
        own = Snapshot(
            mode=str(self.decision.mode),
            leads=self.leads,
            holds_back=self.decision.mode is Mode.ON and bool(self.cannot_begin),
            cannot_begin=bool(self.cannot_begin) and self.leads is not False,
            batches_delivered=self.delivered,
            batches_retried=self.retried,
            batches_rejected=self.rejected,
            events_accepted=self.events,
            last_delivery_seconds=self.last_delivery,
            rules_loaded=len(self.ruleset.rules),
            rules_digest=self.ruleset.digest,
            rules_reload_failures=self.reloading.failures,
            are_rules_refused=self.reloading.is_refused,
            ledger_entries=len(self.ledger.entries),
            ledger_bytes=self.ledger.total_bytes,
            ledger_dropped=self.ledger.dropped,
            ledger_failures=self.ledger.failures,
        )
        return own if self.pipeline is None else self._full(own, self.pipeline)

    def _full(self, own: Snapshot, pipeline: Pipeline) -> Snapshot:
        counting, containers = pipeline.counting, pipeline.containers
        follows = list(containers.follows.values())
        document = counting.document
        return evolve(
            own,
            is_settled=pipeline.listing.is_settled,
            containers_refused=containers.refused,
            lines_read=counting.lines,
            lines_matched=counting.matched,
            noise_lines=containers.ended.noise + sum(one.reader.noise for one in follows),
            lines_cut=containers.ended.cut + sum(one.reader.cut for one in follows),
            observations=counting.observed,
            gap_seconds=counting.gap_seconds,
            gate_violations=counting.violations,
            pair_bounds_hit=containers.ended.bounds + sum(one.reader.bound_hits for one in follows),
            containers_followed=len(follows),
            streams_opened=containers.ended.opened + sum(one.opened for one in follows),
            stream_errors=containers.ended.errors + sum(one.errors for one in follows),
            windows_open=len(document.windows.open),
            windows_closed=counting.windows_closed,
            outbox_batches=len(document.outbox),
            outbox_bytes=document.outbox_bytes,
            commits=pipeline.commits,
            commit_failures=pipeline.commit_failures,
            holds_back=pipeline.holds_back,
        )

    def view(self) -> View:
        """Return all that the page shows of this moment."""
        directory = self.ledger.directory
        base = View(
            now_seconds=int(self.clock()),
            version=self.options.agent_version,
            mode=str(self.decision.mode),
            why=self.decision.why,
            switches=tuple(SwitchRow(one.name, one.value, one.is_off) for one in self.switches),
            has_looked=self.looked is not None,
            looked_seconds=int(self.looked or 0),
            look_every_seconds=int(self._look_seconds()),
            cannot_begin=self.cannot_begin,
            is_blind=any(status != HTTPStatus.OK for status in self.answers.values()),
            owes_off=self.lookout.owed_since is not None,
            destination=self.options.destination.name if self.decision.mode is Mode.ON else "",
            promise=str(self.options.destination.promise),
            window_seconds=self.options.window_seconds,
            entries=self.ledger.entries,
            ledger_path="" if directory is None else str(directory.path),
            rules=self._rules(),
            properties={
                name: tuple(event.properties) for name, event in self.ruleset.events.items()
            },
            figures=self.snapshot(),
        )
        return base if self.pipeline is None else self._whole(base, self.pipeline)

    def _look_seconds(self) -> float:
        every = self.options.pace.switches
        return every * STANDING_LOOKS if self.options.slots and self.leads is False else every

    def _whole(self, base: View, pipeline: Pipeline) -> View:
        counting = pipeline.counting
        document, identity = counting.document, counting.identity
        coming = counting.look(now_seconds=base.now_seconds)
        withheld = counting.withholding.events(base.now_seconds) if counting.sends else {}
        return evolve(
            base,
            installation_id=identity.installation_id,
            cluster_id=identity.cluster_id or "",
            stream=document.stream,
            seq=document.seq,
            count_from_seconds=document.windows.count_from,
            may_send=pipeline.outbox.may_send.is_set(),
            is_untold=bool(pipeline.untold),
            is_full=counting.is_full,
            withheld=tuple(sorted(withheld)),
            withheld_until_seconds=max(withheld.values(), default=0),
            window_seconds=document.windows.seconds,
            next=NextReport(
                coming.start_seconds,
                coming.end_seconds,
                coming.is_sent,
                tuple(map(batch_array, coming.batches)),
                tuple(map(counting.show, coming.batches)),
            ),
            parked=document.parked,
            gaps=tuple(
                GapRow(one.reason, one.start_ns // NANOS, one.end_ns // NANOS)
                for one in reversed(counting.gaps)
            ),
        )

    def _rules(self) -> tuple[RuleRow, ...]:
        hits = {} if self.pipeline is None else self.pipeline.counting.hits
        return tuple(
            RuleRow(one.id, one.event or "", one.question, hits.get(one.id, 0))
            for one in sorted(self.ruleset.rules, key=lambda rule: rule.id)
        )
