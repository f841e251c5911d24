"""Whole agents whose destination is another after a kill: what ends where, and nothing twice."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from agent.ledger.directory import Directory
from agent.ledger.entries import Answer, Entry
from agent.rules import RuleSet
from agent.sink.destination import AT_MOST_ONCE, Destination
from agent.state.document import decode
from tests.agents import NAMESPACE, WINDOW_SECONDS, Agent, Lab, after, lab, missing, until, write
from tests.sim.botkube import Fact
from tests.sim.collector import Collector
from tests.sim.faults import Answer as Reply
from tests.sim.faults import Fault, LoseResponse
from tests.sim.ga4 import GA4
from tests.sim.receiving import Receiver

BATCH = r"/v1/batch"
MEASUREMENT = "G-ABC123"


@pytest.fixture
async def world(tmp_path: Path, ruleset: RuleSet) -> AsyncIterator[Lab]:
    async with lab(tmp_path, ruleset) as opened:
        opened.ledger_path = tmp_path / "ledger"
        yield opened


def attempted(world: Lab) -> list[bool]:
    """Return of each batch that is committed whether it is known to have been given away."""
    path = world.folder / "state.json"
    outbox = decode(path.read_bytes()).outbox if path.exists() else []
    return [bool(one.place) for one in outbox]


def kept(world: Lab) -> list[Entry]:
    assert world.ledger_path is not None
    return list(Directory(world.ledger_path).read())


def ids(receiver: Receiver) -> set[str]:
    """Return the ids of what is counted; who reports is said again with the same id."""
    return {one["messageId"] for one in receiver.accepted if one["type"] == "track"}


async def seal(world: Lab, agent: Agent, count: int) -> None:
    assert agent.pipeline is not None
    counting = agent.pipeline.counting
    await until(lambda: len(counting.document.outbox) >= count)


async def test_what_was_never_attempted_moves(world: Lab, unused_tcp_port: int) -> None:
    """Nobody listens at the first: certainly nothing is there, so the counts go to the second."""
    there = Destination(endpoint=f"http://127.0.0.1:{unused_tcp_port}")
    pod = world.cluster.botkube(NAMESPACE, at=world.clock.ns())
    truth = Counter[Fact]()
    world.changes["destination"] = there
    async with world.agent() as agent:
        truth += write(pod, world, 40)
        await seal(world, agent, 2)
        await world.finish(agent)
    assert attempted(world) == [False] * len(attempted(world)) != []
    del world.changes["destination"]
    async with world.agent(seed=2) as agent:
        await until(lambda: missing(truth, world) == {})
        assert agent.pipeline is not None
        assert agent.pipeline.counting.document.parked == 0

    assert world.reports()[0]["seq"] == 1


@pytest.mark.parametrize("is_kept", [True, False], ids=["ledger kept", "ledger lost"])
@pytest.mark.parametrize("fault", [Reply(500), LoseResponse()], ids=str)
async def test_what_another_may_have_is_parked_and_the_rest_moves(
    world: Lab, fault: Fault, caplog: pytest.LogCaptureFixture, *, is_kept: bool
) -> None:
    pod = world.cluster.botkube(NAMESPACE, at=world.clock.ns())
    async with Collector("write-key").running() as other:
        other.faults.add(fault, path=BATCH, times=None)
        world.changes["destination"] = Destination(endpoint=other.url)
        async with world.agent() as agent:
            write(pod, world, 40)
            await seal(world, agent, 3)
        waiting = attempted(world)
        first = set(ids(other))
        del world.changes["destination"]
        if not is_kept:
            world.ledger_path = world.folder / "another"
        with caplog.at_level(logging.ERROR):
            async with world.agent(seed=2) as agent:
                await until(lambda: len(world.reports()) >= len(waiting))
                assert agent.pipeline is not None
                parked = agent.pipeline.counting.document.parked
    entries = await asyncio.to_thread(kept, world)
    (given,) = [one for one in entries if one.detail == "destination_changed"]

    assert waiting[0] is True
    assert not any(waiting[1:])
    assert parked == 1
    assert "batch parked, the destination has changed" in caplog.messages
    assert given.answer is Answer.WAITING
    assert ids(other) == first
    assert not ids(world.collector) & first
    assert [one["seq"] for one in world.reports()][:2] == [2, 3]


async def test_a_kill_right_after_the_first_has_taken_it_gives_the_second_nothing_of_it(
    world: Lab,
) -> None:
    """The removal is not committed; that it was attempted is, before a byte of it left."""
    pod = world.cluster.botkube(NAMESPACE, at=world.clock.ns())
    async with Collector("write-key").running() as other:
        world.changes["destination"] = Destination(endpoint=other.url)
        async with world.agent() as agent:
            write(pod, world, 10)
            await until(lambda: bool(other.accepted))
            await world.kill(agent)
        taken = set(ids(other))
        del world.changes["destination"]
        async with world.agent(seed=2):
            await until(lambda: len(world.reports()) >= 2)

    assert taken
    assert not taken & ids(world.collector)
    assert min(one["seq"] for one in world.reports()) >= 2


async def test_the_same_place_with_the_kill_gets_all_of_it_once(world: Lab) -> None:
    pod = world.cluster.botkube(NAMESPACE, at=world.clock.ns())
    truth = Counter[Fact]()
    for seed in (1, 2):
        async with world.agent(seed=seed) as agent:
            truth += write(pod, world, 20)
            before = len(world.collector.accepted)
            await until(lambda before=before: len(world.collector.accepted) > before)  # type: ignore[misc]
            await world.kill(agent)
    async with world.agent(seed=3):
        await until(lambda: missing(truth, world) == {})


@pytest.mark.parametrize("delivery", ["at-least-once", AT_MOST_ONCE])
async def test_google_analytics_gets_everything_once_or_what_is_lost_is_parked(
    world: Lab, delivery: str
) -> None:
    """An answer that is lost and a kill: either may count twice, or not at all, never both."""
    pod = world.cluster.botkube(NAMESPACE, at=world.clock.ns())
    truth = Counter[Fact]()
    async with GA4(MEASUREMENT, "write-key").running() as service:
        service.now = world.clock.seconds
        service.faults.add(LoseResponse(), path="/mp/collect", nth=2)
        world.changes["destination"] = Destination(
            "ga4", service.url, MEASUREMENT, delivery=delivery
        )

        def counted_there() -> list[dict[str, Any]]:
            """Leave out who reports, which is said again after something was parked."""
            return [one["params"] for one in service.accepted if "seq" in one["params"]]

        for seed in (1, 2, 3):
            async with world.agent(seed=seed) as agent:
                truth += write(pod, world, 20)
                before = len(counted_there())
                await until(lambda before=before: len(counted_there()) > before)  # type: ignore[misc]
                await world.kill(agent)
        async with world.agent(seed=4) as agent:
            await after(world, 3 * WINDOW_SECONDS)
            assert agent.pipeline is not None
            parked = agent.pipeline.counting.document.parked
            await world.finish(agent)
    found = Counter[str]()
    counted = 0
    for params in counted_there():
        found[f"{params['message_id']}/{params.get('part', 0)}"] += 1
        if found[f"{params['message_id']}/{params.get('part', 0)}"] == 1:
            counted += params.get("count", 0)

    assert service.dropped == []
    if delivery == AT_MOST_ONCE:
        assert set(found.values()) == {1}
        assert parked > 0
        assert counted <= sum(truth.values())
    else:
        assert max(found.values()) >= 2
        assert parked == 0
        assert counted == sum(truth.values())


async def test_files_hold_everything_once_over_kills(world: Lab, tmp_path: Path) -> None:
    path = tmp_path / "out" / "events.ndjson"
    world.changes["destination"] = Destination("file", "", path=str(path))
    pod = world.cluster.botkube(NAMESPACE, at=world.clock.ns())
    truth = Counter[Fact]()

    def lines() -> int:
        return path.read_bytes().count(b"\n") if path.exists() else 0

    for seed in (1, 2, 3):
        async with world.agent(seed=seed) as agent:
            truth += write(pod, world, 20)
            before = lines()
            await until(lambda before=before: lines() > before)  # type: ignore[misc]
            await world.kill(agent)
    async with world.agent(seed=4) as agent:
        await after(world, 3 * WINDOW_SECONDS)
        await world.finish(agent)
    events = [orjson.loads(line) for line in path.read_bytes().splitlines()]
    world.collector.accepted[:] = events

    assert len({one["messageId"] for one in events}) == len(events)
    assert missing(truth, world) == {}
