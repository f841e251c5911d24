"""Whose lines are behind a late status is asked: neither instance goes on before the answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from agent.follow import Pace
from tests.agents import NAMESPACE
from tests.faults.simulation import is_follow
from tests.faults.test_late_status import Node, play
from tests.faults.test_served_again import burst
from tests.sim.faults import Answer, Call, Cut, Scheduled
from tests.sim.store import PODS

sleep = asyncio.sleep


@asynccontextmanager
async def behind_a_late_status(node: Node) -> AsyncIterator[None]:
    """Let a restart's lines be counted as those of the instance before; its status is to come."""
    node.lab.changes["pace"] = Pace(tick=5.0)
    async with node.lab.agent():
        await node.write(3)
        await sleep(70)
        node.hide_status()
        await sleep(1)
        node.crashes += 1
        node.pod.crash(at=node.now())
        node.pod.restart(at=node.now())
        burst(node, 4, apart_ns=1000)
        await sleep(30)
        yield
        await sleep(60)
        await node.write(1)
        await sleep(150)


def _asks_whose(call: Call) -> bool:
    return not is_follow(call) and call.query.get("previous") != "true"


def fill_outbox(node: Node, monkeypatch: pytest.MonkeyPatch) -> Scheduled:
    """Let reading wait from the end of the next window on."""
    monkeypatch.setattr("agent.counting.OUTBOX_BYTES", 0)
    return node.lab.collector.faults.add(Answer(503), path="/v1/batch", times=None)


def test_an_instance_that_a_full_outbox_holds_is_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def scene(node: Node) -> None:
        async with behind_a_late_status(node):
            refused = fill_outbox(node, monkeypatch)
            await sleep(90)
            node.show_status()
            await sleep(60)
            node.lab.collector.faults.schedules.remove(refused)

    play(scene)


def test_an_instance_that_a_full_outbox_holds_may_leave_and_come_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def relabel(node: Node, component: str) -> None:
        patch = {"metadata": {"labels": {"component": component}}}
        node.lab.cluster.server.store.merge(PODS, NAMESPACE, node.pod.name, patch)

    async def scene(node: Node) -> None:
        async with behind_a_late_status(node):
            refused = fill_outbox(node, monkeypatch)
            await sleep(90)
            relabel(node, "another")
            node.lab.cluster.server.expire_watches()  # a list does not tell of the restart
            node.show_status()
            await sleep(20)
            relabel(node, "controller")
            await sleep(20)
            node.lab.collector.faults.schedules.remove(refused)

    play(scene)


def test_the_last_read_of_an_instance_waits_for_the_answer() -> None:
    async def scene(node: Node) -> None:
        async with behind_a_late_status(node):
            outage = node.lab.cluster.server.faults.add(
                Answer(503), path="/log", when=_asks_whose, times=None
            )
            node.show_status()
            await sleep(60)
            node.lab.cluster.server.faults.schedules.remove(outage)

        # While the status was late its lines did not continue the other's log; none was lost.
        assert [*node.lab.gaps()] == ["rotated"]

    play(scene)


def test_a_reply_that_ends_before_the_last_known_line_is_no_answer() -> None:
    async def scene(node: Node) -> None:
        async with behind_a_late_status(node):
            node.lab.cluster.server.faults.add(
                Cut("eof", after_lines=2), path="/log", when=_asks_whose, times=2
            )
            node.show_status()

    play(scene)


def test_one_that_was_seen_later_does_not_wait_for_the_one_that_runs() -> None:
    """Some runtimes say only later which instance ended before."""

    async def scene(node: Node) -> None:
        node.lab.changes["pace"] = Pace(tick=5.0)
        store, name = node.lab.cluster.server.store, node.pod.name

        def say_last(ended: dict[str, object] | None) -> None:
            pod = store.get(PODS, NAMESPACE, name)
            pod["status"]["containerStatuses"][0]["lastState"] = ended or {}
            store.update(PODS, NAMESPACE, name, pod)

        await node.write(3)
        node.crashes += 1
        node.pod.crash(at=node.now())
        node.pod.restart(at=node.now())
        status = store.get(PODS, NAMESPACE, name)["status"]["containerStatuses"][0]
        last = status["lastState"]
        say_last(None)
        async with node.lab.agent():
            await node.write(3)
            await sleep(10)
            say_last(last)
            await sleep(150)

    play(scene)
