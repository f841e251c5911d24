"""A simulated fleet, its events, and whether the warehouse's answers about it are true."""

from __future__ import annotations

from collections import Counter, defaultdict
from functools import lru_cache

import orjson
import pytest
from attrs import define, field

from agent.audit import Audit, Finding, Kind
from agent.gate import make_gate
from agent.received import read_line
from agent.sink.batch import check_event
from tests.fleet.deliver import Fate
from tests.fleet.fleet import Fleet, generate
from tests.fleet.world import AGENT_VERSION, GAPS, Sent, Setting
from tests.shipped import RULES

SEEDS = (1, 2, 3)
FAULTS = {
    "absurd clock",
    "count floor",
    "crashed",
    "days late",
    "discarded",
    "doubled",
    "doubled days later",
    "doubled under other ids",
    "late",
    "level changed",
    "lost batch",
    "lost event",
    "lost report",
    "moved to another slot",
    "new installation id",
    "opted out",
    "restored state",
    "retried late",
    "scaled to zero",
    "state lost",
    "upgraded",
    "withheld",
    *(f"gap {reason}" for reason in GAPS),
}


@define
class Recorder:
    """Keeps what was sent and what became of it, by stream and in order."""

    streams: defaultdict[tuple[str, str], list[tuple[Sent, Fate]]] = field(
        factory=lambda: defaultdict(list)
    )

    def take(self, sent: Sent, fate: Fate) -> None:
        self.streams[sent.installation, sent.stream].append((sent, fate))


@lru_cache(maxsize=len(SEEDS))
def play(seed: int) -> tuple[Fleet, list[bytes], Recorder]:
    fleet, recorder = generate(seed, 40, 21), Recorder()
    return fleet, list(fleet.requests(recorder)), recorder


# --- the fleet itself -----------------------------------------------------------------------------


@pytest.mark.parametrize("seed", SEEDS)
def test_everything_that_can_go_wrong_does(seed: int) -> None:
    fleet, requests, recorder = play(seed)
    assert set(fleet.met) >= FAULTS, FAULTS - set(fleet.met)
    windows = [sent for stream in recorder.streams.values() for sent, _ in stream]
    assert {one.end - one.start for one in windows} == {300, 3600, 86_400}
    assert {one.is_observable for one in windows} == {True, False, None}
    assert {one.version for one in windows} >= {None, "several"}
    assert any(one.skew_seconds for one in windows)
    arrived = [orjson.loads(one)["receivedAt"] for one in requests]
    assert arrived == sorted(arrived)


def test_a_seed_gives_the_same_bytes_again_and_another_gives_others() -> None:
    first, again, other = (
        b"".join(Fleet(Setting(seed, 7, is_exact=False), 12).requests()) for seed in (5, 5, 6)
    )
    assert first == again != other


def test_the_quick_gate_lets_through_what_the_products_does() -> None:
    exact, quick = (
        list(Fleet(Setting(4, 7, is_exact=is_exact), 20).requests()) for is_exact in (True, False)
    )
    assert exact == quick


@pytest.mark.parametrize("seed", SEEDS)
def test_every_call_may_leave(seed: int) -> None:
    gate = make_gate(RULES, agent_version=AGENT_VERSION)
    _, _, recorder = play(seed)
    for stream in recorder.streams.values():
        for sent, fate in stream:
            assert len(sent.calls) == sent.identity_calls + len(sent.facts) + 1
            assert len(fate.copies) == len(sent.calls)
            for call in sent.calls:
                assert gate(call) is None, call
                assert check_event(call) is None, call


@pytest.mark.parametrize("seed", SEEDS)
def test_the_audit_finds_what_was_done_to_the_events_and_nothing_else(seed: int) -> None:
    _, requests, recorder = play(seed)
    taken = Audit()
    for request in requests:
        for one in read_line(request)[0]:
            taken.add(one)
    found: defaultdict[tuple[str, str], list[Finding]] = defaultdict(list)
    for finding in taken.findings():
        found[finding.installation, finding.stream].append(finding)
    for key, stream in recorder.streams.items():
        check_stream(stream, found.pop(key, []))
    assert not found


def check_stream(stream: list[tuple[Sent, Fate]], findings: list[Finding]) -> None:
    """Compare what the audit says of a stream with what was done to it."""
    said = {(one.kind, one.first_seq) for one in findings if one.first_seq == one.last_seq}
    missing = [one for one in findings if one.kind is Kind.NO_WINDOW]
    gone = {seq for one in missing for seq in range(one.first_seq, one.last_seq + 1)}
    arrived: Counter[int] = Counter()
    for sent, fate in stream:
        arrived[sent.seq] += any(fate.copies[sent.identity_calls :])
    spoilt = set()
    for sent, fate in stream:
        tracks = fate.copies[sent.identity_calls :]
        if arrived[sent.seq] == 1 and any(tracks) and not all(tracks):
            spoilt.add(sent.seq)
            assert (Kind.SHORT if tracks[-1] else Kind.NO_REPORT, sent.seq) in said
        if arrived[sent.seq] == 1 and max(tracks) > 1:
            spoilt.add(sent.seq)
            assert (Kind.SAME_CONTENT if fate.ids > 1 else Kind.SAME_ID, sent.seq) in said
        if not any(tracks):
            spoilt.add(sent.seq)
    newest = max((seq for seq, windows in arrived.items() if windows), default=0)
    assert gone == {seq for seq, windows in arrived.items() if not windows and seq < newest}
    twice = {seq for seq, windows in arrived.items() if windows > 1}
    assert twice == {one.first_seq for one in findings if one.kind is Kind.REUSED}
    if len({sent.seq for sent, _ in stream}) < len(stream):
        # Nothing else about a stream that was told twice is sure.
        return
    for one in findings:
        if one.kind is not Kind.RETRIED_LATE:
            assert spoilt & set(range(one.first_seq, one.last_seq + 1)), one
