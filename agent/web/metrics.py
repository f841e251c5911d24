"""Every metric of the agent, in one table, and the page that Prometheus reads.

Owns names, types, help and labels, and the `Snapshot` that all pages are made from. Must not know
where the figures come from. Label values are closed words: the event names of the loaded rules,
the reasons of gaps, the modes; anything else is counted as `other`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import TYPE_CHECKING

from attrs import field, frozen
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.registry import Collector

from agent.aggregate import GAP_REASONS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from prometheus_client.metrics_core import Metric

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
PREFIX = "botkube_agent_"
MODES = ("on", "local", "off")
OTHER = "other"
MAX_EVENTS = 100
"""Rules are edited by users: events beyond these, in the order of their names, are `other`."""


class Part(StrEnum):
    """The parts that can die, as /healthz names them."""

    SOURCE = "source"
    READER = "reader"
    STATE = "state"
    SINK = "sink"


@frozen
class Snapshot:
    """All figures of one moment. Counts are since the process started, times in Unix seconds.

    `leads` is None where there is no election.
    """

    mode: str = "off"
    is_settled: bool = False
    containers_refused: int = 0
    leads: bool | None = None
    cannot_begin: bool = False
    dead: tuple[Part, ...] = ()
    lines_read: int = 0
    lines_matched: int = 0
    noise_lines: int = 0
    lines_cut: int = 0
    observations: Mapping[str, int] = field(factory=dict)
    gap_seconds: Mapping[str, int] = field(factory=dict)
    pair_bounds_hit: int = 0
    containers_followed: int = 0
    streams_opened: int = 0
    stream_errors: int = 0
    windows_open: int = 0
    windows_closed: int = 0
    outbox_batches: int = 0
    outbox_bytes: int = 0
    batches_delivered: int = 0
    batches_retried: int = 0
    batches_rejected: int = 0
    events_accepted: int = 0
    last_delivery_seconds: float | None = None
    commits: int = 0
    commit_failures: int = 0
    holds_back: bool = False
    rules_loaded: int = 0
    rules_digest: str = ""
    rules_reload_failures: int = 0
    are_rules_refused: bool = False
    ledger_entries: int = 0
    ledger_bytes: int = 0
    ledger_dropped: int = 0
    ledger_failures: int = 0
    gate_violations: int = 0


Read = Callable[[Snapshot], "Mapping[str, float]"]
"""Label value -> figure; a metric without a label has at most one, under the empty text."""


@frozen
class Declared:
    """One metric. A name that ends in `_total` is a counter, any other a gauge."""

    name: str
    help: str
    read: Read
    label: str | None = None


def _one(attribute: str) -> Read:
    return lambda snapshot: {"": getattr(snapshot, attribute)}


def _of(values: Mapping[str, int], words: Iterable[str]) -> Mapping[str, float]:
    known = frozenset(words)
    figures: Counter[str] = Counter()
    for value, figure in values.items():
        figures[value if value in known else OTHER] += figure
    return figures


def _events(snapshot: Snapshot) -> Mapping[str, float]:
    return _of(snapshot.observations, sorted(snapshot.observations)[:MAX_EVENTS])


def _gaps(snapshot: Snapshot) -> Mapping[str, float]:
    return dict.fromkeys(GAP_REASONS, 0) | dict(_of(snapshot.gap_seconds, GAP_REASONS))


def _modes(snapshot: Snapshot) -> Mapping[str, float]:
    return {mode: int(mode == snapshot.mode) for mode in MODES}


def _last_delivery(snapshot: Snapshot) -> Mapping[str, float]:
    at = snapshot.last_delivery_seconds
    return {} if at is None else {"": at}


def _leader(snapshot: Snapshot) -> Mapping[str, float]:
    return {} if snapshot.leads is None else {"": int(snapshot.leads)}


METRICS = (
    Declared("read_lines_total", "Log lines read from containers", _one("lines_read")),
    Declared("matched_lines_total", "Log lines that a rule matched", _one("lines_matched")),
    Declared(
        "noise_lines_total", "Lines that are no log entry, such as error text", _one("noise_lines")
    ),
    Declared("cut_lines_total", "Lines that were longer than the limit", _one("lines_cut")),
    Declared("observations_total", "Observations counted", _events, "event"),
    Declared("gap_seconds_total", "Time for which lines could not be had", _gaps, "reason"),
    Declared("pair_bounds_total", "Pairs ended by a limit", _one("pair_bounds_hit")),
    Declared("followed_containers", "Containers being followed", _one("containers_followed")),
    Declared(
        "refused_containers_total",
        "Containers that had to wait because as many as possible are followed",
        _one("containers_refused"),
    ),
    Declared(
        "gate_violations_total",
        "Events discarded at the exit because the rules in force do not declare them",
        _one("gate_violations"),
    ),
    Declared("opened_streams_total", "Log streams opened", _one("streams_opened")),
    Declared("stream_errors_total", "Log streams refused or broken off", _one("stream_errors")),
    Declared("open_windows", "Windows that still count", _one("windows_open")),
    Declared("closed_windows_total", "Windows closed", _one("windows_closed")),
    Declared("outbox_batches", "Batches saved and not yet delivered", _one("outbox_batches")),
    Declared("outbox_bytes", "Their compressed size", _one("outbox_bytes")),
    Declared("delivered_batches_total", "Batches accepted", _one("batches_delivered")),
    Declared("retried_batches_total", "Sends that must be repeated", _one("batches_retried")),
    Declared("rejected_batches_total", "Batches refused for good", _one("batches_rejected")),
    Declared("accepted_events_total", "Events in accepted batches", _one("events_accepted")),
    Declared(
        "last_delivery_timestamp_seconds",
        "When a batch was last accepted; absent before the first",
        _last_delivery,
    ),
    Declared("ledger_entries", "Reports kept in the ledger", _one("ledger_entries")),
    Declared("ledger_bytes", "Their bytes", _one("ledger_bytes")),
    Declared(
        "ledger_dropped_total",
        "Reports that were too old for the ledger's limits",
        _one("ledger_dropped"),
    ),
    Declared(
        "ledger_failures_total",
        "Writes and reads of the ledger's directory that failed",
        _one("ledger_failures"),
    ),
    Declared("commits_total", "Writes of the state", _one("commits")),
    Declared("commit_failures_total", "Writes of the state that failed", _one("commit_failures")),
    Declared(
        "held_back",
        "1 while nothing may leave in mode on, because the cluster's switches or the installation "
        "object cannot be read, or it cannot begin, else 0",
        lambda one: {"": int(one.holds_back)},
    ),
    Declared(
        "cannot_begin",
        "1 while the agent cannot begin and tries again, so that nothing is read, else 0",
        lambda one: {"": int(one.cannot_begin)},
    ),
    Declared("mode", "1 for the mode in force: on, local or off", _modes, "mode"),
    Declared(
        "leader",
        "1 for the replica that leads or has BotKube on its node, 0 for one that stands by; absent "
        "for an only one",
        _leader,
    ),
    Declared("loaded_rules", "Rules in force", _one("rules_loaded")),
    Declared(
        "rules_info",
        "The digest of the rules in force",
        lambda one: {one.rules_digest: 1},
        "digest",
    ),
    Declared(
        "rules_reload_failures_total",
        "Changed rule sets that did not compile; the last good one stayed in force",
        _one("rules_reload_failures"),
    ),
    Declared(
        "rules_refused",
        "1 while the rule files do not compile and the last good set is in force, else 0",
        lambda one: {"": int(one.are_rules_refused)},
    ),
)


def exposition(snapshot: Snapshot) -> bytes:
    """Return the /metrics page in Prometheus' text format."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_SnapshotCollector(snapshot))
    return generate_latest(registry)


@frozen(eq=False)
class _SnapshotCollector(Collector):
    snapshot: Snapshot

    def collect(self) -> Iterator[Metric]:
        """Yield every metric of the table."""
        for one in METRICS:
            kind = CounterMetricFamily if one.name.endswith("_total") else GaugeMetricFamily
            family = kind(PREFIX + one.name, one.help, labels=[one.label] if one.label else [])
            for value, figure in one.read(self.snapshot).items():
                family.add_metric([value] if one.label else [], figure)
            yield family
