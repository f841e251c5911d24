"""The delivery loop: its order and waits, then over real HTTP against the simulated collector."""

import contextlib
import logging
from collections import deque
from collections.abc import AsyncIterator, Iterable

import pytest
from attrs import define, evolve, field
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.model import Batch
from agent.sink.batch import AGE_LIMIT_SECONDS, seal
from agent.sink.deliver import MAX_WAIT_SECONDS, deliver
from agent.sink.http import HttpSender, open_session
from agent.sink.outcome import Delivered, Outcome, Rejected, Retry
from agent.sink.segment import Segment
from tests.sim.collector import Collector
from tests.sim.faults import Answer, Fault, LoseResponse, Reset

NOW = 1_795_435_200  # 2026-11-23T12:00:00Z


class Emptied(Exception):  # noqa: N818 - not an error: the test is over
    """The outbox has nothing more; a real one would wait."""


@define
class FakeOutbox:
    """An outbox in memory that ends the loop when it is empty."""

    batches: list[Batch]
    delivered_seqs: list[int] = field(factory=list)
    parked: list[tuple[int, int]] = field(factory=list)
    given: list[int] = field(factory=list)
    reasons: list[tuple[int, str]] = field(factory=list)

    async def next(self) -> Batch:
        if not self.batches:
            raise Emptied
        return self.batches[0]

    async def attempted(self, batch: Batch) -> None:
        self.batches = [
            evolve(one, attempted=True) if one.seq == batch.seq else one for one in self.batches
        ]

    async def delivered(self, batch: Batch) -> None:
        self.delivered_seqs.append(batch.seq)
        self._remove(batch)

    async def retried(self, batch: Batch, reason: str, *, is_untaken: bool) -> None:  # noqa: ARG002
        self.reasons.append((batch.seq, reason))

    async def rejected(self, batch: Batch, status: int) -> None:
        self.parked.append((batch.seq, status))
        self._remove(batch)

    async def given_up(self, batch: Batch) -> None:
        self.given.append(batch.seq)
        self._remove(batch)

    def _remove(self, batch: Batch) -> None:
        self.batches = [one for one in self.batches if one.seq != batch.seq]


@define
class Clock:
    """Wall time that moves only when somebody sleeps."""

    seconds: float = NOW
    waits: list[float] = field(factory=list)

    def __call__(self) -> float:
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.seconds += seconds


@define
class Scripted:
    """A destination that gives the answers it was told, then accepts."""

    outcomes: deque[Outcome]
    sent: list[tuple[int, bool, float]] = field(factory=list)

    async def __call__(self, batch: Batch, *, sent_seconds: float) -> Outcome:
        self.sent.append((batch.seq, batch.attempted, sent_seconds))
        return self.outcomes.popleft() if self.outcomes else Delivered()


def batches(count: int) -> list[Batch]:
    return [
        seal(
            [
                {
                    "type": "track",
                    "event": "Event handled",
                    "anonymousId": "a",
                    "messageId": f"m{seq}",
                    "timestamp": "2026-11-23T12:00:00Z",
                    "properties": {"count": 1},
                }
            ],
            seq=seq,
            sealed_seconds=NOW,
        )[0][0]
        for seq in range(1, count + 1)
    ]


def unchanged(value: float) -> float:
    return value


async def run(outbox: FakeOutbox, *outcomes: Outcome) -> tuple[Clock, Scripted]:
    clock, send = Clock(), Scripted(deque(outcomes))
    with contextlib.suppress(Emptied):
        await deliver(outbox, send, clock=clock, sleep=clock.sleep, jitter=unchanged)
    return clock, send


# Order and outcome


async def test_batches_are_delivered_oldest_first() -> None:
    outbox = FakeOutbox(batches(3))
    clock, _ = await run(outbox)

    assert outbox.delivered_seqs == [1, 2, 3]
    assert clock.waits == []


async def test_a_batch_is_repeated_before_the_next_is_sent() -> None:
    _, send = await run(FakeOutbox(batches(2)), Retry("connection"), Retry("timeout"))

    assert [seq for seq, _, _ in send.sent] == [1, 1, 1, 2]


async def test_a_rejected_batch_does_not_block_the_rest() -> None:
    outbox = FakeOutbox(batches(3))
    await run(outbox, Delivered(), Rejected(400))

    assert outbox.delivered_seqs == [1, 3]
    assert outbox.parked == [(2, 400)]


async def test_a_batch_is_marked_before_it_is_sent_and_knows_it_when_repeated() -> None:
    _, send = await run(FakeOutbox(batches(1)), Retry("connection"))

    assert [attempted for _, attempted, _ in send.sent] == [False, True]


async def test_each_attempt_carries_its_own_time() -> None:
    _, send = await run(FakeOutbox(batches(1)), Retry("connection"), Retry("connection"))

    assert [at - NOW for _, _, at in send.sent] == [0, 1, 3]


async def test_what_was_discarded_while_waiting_is_not_sent() -> None:
    outbox, clock, send = FakeOutbox(batches(1)), Clock(), Scripted(deque([Retry("connection")]))

    async def leave_the_mode(_: float) -> None:
        outbox.batches = []

    with pytest.raises(Emptied):
        await deliver(outbox, send, clock=clock, sleep=leave_the_mode)

    assert len(send.sent) == 1


# Waits


async def test_waits_double_up_to_the_cap() -> None:
    clock, _ = await run(FakeOutbox(batches(1)), *[Retry("server_error")] * 11)

    assert clock.waits == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]


async def test_the_destinations_wish_wins() -> None:
    clock, _ = await run(
        FakeOutbox(batches(1)),
        Retry("rate_limited", 1000),
        Retry("rate_limited"),
        Retry("rate_limited", 1),
    )

    assert clock.waits == [1000, 2, 1]


async def test_progress_resets_the_wait() -> None:
    failing = [Retry("connection")] * 3
    clock, _ = await run(FakeOutbox(batches(2)), *failing, Delivered(), *failing)

    assert clock.waits == [1, 2, 4, 1, 2, 4]


async def test_rejections_in_a_row_slow_down() -> None:
    """A wrong key must not park a week of batches in a second."""
    clock, _ = await run(FakeOutbox(batches(4)), *[Rejected(401)] * 4)

    assert clock.waits == [1, 2, 4, 8]


async def test_waits_are_spread_over_their_whole_range() -> None:
    clock, send = Clock(), Scripted(deque([Retry("connection")] * 200))
    with pytest.raises(Emptied):
        await deliver(FakeOutbox(batches(1)), send, clock=clock, sleep=clock.sleep)
    capped = clock.waits[20:]

    assert all(0 <= wait <= MAX_WAIT_SECONDS for wait in capped)
    assert min(capped) < MAX_WAIT_SECONDS / 4 < 3 * MAX_WAIT_SECONDS / 4 < max(capped)


outcomes = st.lists(
    st.sampled_from([Delivered(), Rejected(400), Retry("connection"), Retry("rate_limited", 5)])
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(outcomes)
async def test_every_batch_is_delivered_or_parked_once(script: list[Outcome]) -> None:
    outbox = FakeOutbox(batches(5))
    await run(outbox, *script)

    assert sorted(outbox.delivered_seqs + [seq for seq, _ in outbox.parked]) == [1, 2, 3, 4, 5]
    assert outbox.delivered_seqs == sorted(outbox.delivered_seqs)


# Log


async def test_the_log_has_one_line_a_state_change(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "agent")
    await run(
        FakeOutbox(batches(2)),
        Retry("connection"),
        Retry("connection"),
        Retry("rate_limited"),
        Delivered(),
        Rejected(400),
    )
    lines = [
        (one.levelname, one.message, vars(one).get("reason"), vars(one).get("status"))
        for one in caplog.records
    ]

    assert lines == [
        ("WARNING", "batch not accepted, will retry", "connection", None),
        ("WARNING", "batch not accepted, will retry", "rate_limited", None),
        ("INFO", "batch delivered", None, None),
        ("ERROR", "batch rejected and parked", None, 400),
    ]


# Over the wire


@pytest.fixture(autouse=True)
def _direct(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave a proxy of the machine that runs the tests out of them."""
    monkeypatch.setenv("no_proxy", "*")


@pytest.fixture
async def collector() -> AsyncIterator[Collector]:
    async with Collector().running() as collector:
        yield collector


async def deliver_to(
    collector: Collector, outbox: FakeOutbox, faults: Iterable[Fault] = ()
) -> Clock:
    clock = Clock()
    for fault in faults:
        collector.faults.add(fault)
    async with open_session("0.1.0") as session:
        segment = HttpSender(session, collector.url, collector.write_key, Segment("0.1.0"))
        with contextlib.suppress(Emptied):
            await deliver(outbox, segment.send, clock=clock, sleep=clock.sleep, jitter=unchanged)
    return clock


@pytest.mark.parametrize(
    ("fault", "waits"),
    [
        (Answer(429, retry_after=30), [30]),
        (Answer(500), [1]),
        (Answer(408), [1]),
        (Reset(), [1]),
    ],
    ids=["429", "500", "408", "reset"],
)
async def test_a_fault_delays_and_loses_nothing(
    collector: Collector, fault: Fault, waits: list[float]
) -> None:
    outbox = FakeOutbox(batches(2))
    clock = await deliver_to(collector, outbox, [fault])

    assert [event["messageId"] for event in collector.accepted] == ["m1", "m2"]
    assert collector.duplicates == []
    assert clock.waits == waits


async def test_a_lost_answer_is_counted_once(collector: Collector) -> None:
    await deliver_to(collector, FakeOutbox(batches(1)), [LoseResponse()])

    assert [event["messageId"] for event in collector.accepted] == ["m1"]
    assert [event["messageId"] for event in collector.duplicates] == ["m1"]
    first, second = collector.requests
    assert first.events == second.events


async def test_a_refused_batch_is_parked_and_the_next_delivered(collector: Collector) -> None:
    outbox = FakeOutbox(batches(2))
    await deliver_to(collector, outbox, [Answer(400)])

    assert outbox.parked == [(1, 400)]
    assert outbox.delivered_seqs == [2]


async def test_a_repeat_after_the_receivers_memory_is_flagged(collector: Collector) -> None:
    """Twenty-one waits of an hour later the collector may have forgotten what it took."""
    collector.faults.add(Answer(429, retry_after=3600), times=AGE_LIMIT_SECONDS // 3600 + 1)
    await deliver_to(collector, FakeOutbox(batches(1)))

    assert b'"retried_late":true' in collector.requests[0].text
