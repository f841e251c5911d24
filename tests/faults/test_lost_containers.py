"""Containers that their runtime has lost, for a while or for ever: each crash and line counts once.

The kubelet names no id of what it cannot find (`ContainerStatusUnknown`), and counts a restart if
none of the container has ended before.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import Iterator

import pytest

from tests.agents import NAMESPACE, Agent
from tests.faults.simulation import WINDOW_SECONDS, is_follow
from tests.faults.test_late_status import Node, play
from tests.faults.test_whose_lines import burst, restart
from tests.sim.faults import Answer, Call, Fault, HalfOpen, Reset
from tests.sim.store import PODS

sleep = asyncio.sleep


def lose(node: Node) -> None:
    node.crashes += 1
    node.pod.lose()


def test_a_container_that_is_lost_has_crashed() -> None:
    async def scene(node: Node) -> None:
        async with node.lab.agent():
            await node.write(5)
            await sleep(100)
            lose(node)
            await sleep(150)

    play(scene)


@pytest.mark.parametrize("is_killed", [False, True])
@pytest.mark.parametrize("lost_seconds", [5, 20, 3 * WINDOW_SECONDS, 900])
def test_a_container_that_is_found_again_is_read_on(lost_seconds: int, *, is_killed: bool) -> None:
    """Its end, when it comes, is the crash that was counted already."""

    async def scene(node: Node) -> None:
        async with node.lab.agent() as agent:
            await node.write(5)
            await sleep(100)
            lose(node)
            await sleep(lost_seconds)
            await node.write(3)
            if is_killed:
                await node.lab.kill(agent)
            else:
                await _find_again(node, agent)
        if is_killed:
            async with node.lab.agent(seed=2) as agent:
                await _find_again(node, agent)

    play(scene)


async def _find_again(node: Node, agent: Agent) -> None:
    await sleep(30)
    node.pod.find()
    await node.write(3)
    await sleep(3 * WINDOW_SECONDS)
    assert agent.pipeline is not None
    (instance,) = agent.pipeline.counting.document.instances.values()
    assert instance.ended_seconds is None
    await node.write(3)
    node.pod.crash(at=node.now())
    node.pod.restart(at=node.now())
    await node.settle()


def test_a_container_that_is_found_soon_leaves_no_gap() -> None:
    async def scene(node: Node) -> None:
        async with node.lab.agent():
            await node.write(5)
            await sleep(100)
            lose(node)
            await sleep(5)
            node.pod.find()
            await node.settle()
        assert not node.lab.gaps()

    play(scene)


def test_a_container_that_a_new_agent_finds_after_its_crash_was_counted_is_read_on() -> None:
    """The agent is killed in the commit that has the crash, before anything else happens."""

    async def scene(node: Node) -> None:
        async with node.lab.agent() as agent:
            await node.write(5)
            await sleep(100)
            lose(node)
            await sleep(7)
            await node.lab.kill(agent)
        node.pod.find()
        await node.write(5)
        async with node.lab.agent(seed=2):
            await node.settle()

    play(scene)


@pytest.mark.parametrize("lost_seconds", [5, 60])
def test_a_container_that_is_found_when_it_has_ended_is_read_to_its_end(lost_seconds: int) -> None:
    async def scene(node: Node) -> None:
        async with node.lab.agent():
            await node.write(5)
            await sleep(100)
            lose(node)
            await node.write(3)
            await sleep(lost_seconds)
            node.pod.crash(at=node.now())
            node.pod.restart(at=node.now())
            await node.settle()

    play(scene)


@pytest.mark.parametrize("lost_seconds", [5, 60, 3 * WINDOW_SECONDS])
@pytest.mark.parametrize("has_crashed", [False, True])
def test_a_container_that_is_lost_and_replaced_has_crashed_and_leaves_a_gap(
    lost_seconds: int, *, has_crashed: bool
) -> None:
    """Of one that had crashed before the kubelet counts no restart until the next one runs."""

    async def scene(node: Node) -> None:
        async with node.lab.agent() as agent:
            await node.write(5)
            if has_crashed:
                node.crashes += 1
                node.pod.crash(at=node.now())
                node.pod.restart(at=node.now())
                await node.write(5)
            await sleep(100)
            lose(node)
            await sleep(lost_seconds)
            node.pod.replace_lost(at=node.now())
            await node.settle()
            assert agent.pipeline is not None
            document = agent.pipeline.counting.document
            assert len(document.cursors) == 1
            assert len(document.instances) == 1 + has_crashed
        assert [*node.lab.gaps()] == ["restarted"]

    play(scene)


@pytest.mark.parametrize("named_seconds", [0, 3])
def test_one_that_was_lost_before_a_status_named_it_is_lost_with_a_gap(named_seconds: int) -> None:
    """Its predecessor's crash is one, its own another; its lines are gone."""

    async def scene(node: Node) -> None:
        async with node.lab.agent():
            await node.write(5)
            await sleep(60)
            node.hide_status()
            await sleep(0.5)
            node.crashes += 1
            node.pod.crash(at=node.now())
            node.pod.restart(at=node.now())
            await sleep(named_seconds)
            node.pod.lose()
            node.lab.cluster.server.expire_watches()
            node.show_status()
            await sleep(20)
            node.crashes += 1
            node.pod.replace_lost(at=node.now())
            await node.write(2)
            await sleep(30)
            await node.settle()
            gaps.update(node.lab.gaps())

    gaps = Counter[str]()
    play(scene)
    assert set(gaps) == {"restarted"}


@pytest.mark.parametrize("is_known", [False, True])
def test_one_that_is_found_after_its_crash_was_counted_as_one_that_nobody_saw(
    *, is_known: bool
) -> None:
    """While nobody looks, one is lost and replaced by another that is lost, too."""

    async def scene(node: Node) -> None:
        async with node.lab.agent() as agent:
            await node.write(5)
            await sleep(60)
            if is_known:
                lose(node)
                await sleep(5)
                node.pod.find()
                await sleep(10)
            await node.lab.kill(agent)
        if not is_known:
            node.crashes += 1
        node.pod.lose()
        node.pod.replace_lost(at=node.now())
        lose(node)
        async with node.lab.agent(seed=2):
            await sleep(20)
            node.pod.find()
            await node.write(2)
            node.pod.crash(at=node.now())
            node.pod.restart(at=node.now())
            await node.settle()
        assert set(node.lab.gaps()) == {"restarted"}

    play(scene)


@pytest.mark.parametrize("is_found", [False, True])
def test_one_that_was_lost_before_any_agent_saw_it_is_none_that_has_ended(
    *, is_found: bool
) -> None:
    """While nobody looks, two more instances run; the second is lost when the next agent begins."""

    async def scene(node: Node) -> None:
        async with node.lab.agent() as agent:
            await node.write(5)
            await sleep(60)
            node.crashes += 1
            node.pod.crash(at=node.now())
            await sleep(20)
            await node.lab.kill(agent)
        node.pod.restart(at=node.now())
        await node.write(2)
        node.crashes += 1
        node.pod.crash(at=node.now())
        node.pod.restart(at=node.now())
        node.pod.lose()
        async with node.lab.agent(seed=2):
            await sleep(20)
            if is_found:
                node.pod.find()
                await node.write(2)
            node.crashes += 1
            if is_found:
                node.pod.crash(at=node.now())
                node.pod.restart(at=node.now())
            else:
                node.pod.replace_lost(at=node.now())
            await node.settle()
            gaps.update(node.lab.gaps())

    gaps = Counter[str]()
    play(scene)
    assert set(gaps) == (set() if is_found else {"restarted"})


@pytest.mark.parametrize(
    "fault", [pytest.param(Answer(500), id="refused"), pytest.param(HalfOpen(), id="no-answer")]
)
def test_one_whose_log_nobody_serves_while_it_is_lost_is_read_on_where_it_was(
    fault: Fault,
) -> None:
    async def scene(node: Node) -> None:
        server = node.lab.cluster.server
        async with node.lab.agent():
            burst(node, 20)
            await sleep(60)
            planned = server.faults.add(fault, path="/log", times=None)
            server.order_streams("reset", path="/log")
            await sleep(1)
            lose(node)
            await sleep(20)
            server.faults.schedules.remove(planned)
            node.pod.find()
            await sleep(20)
            await node.settle()

    play(scene)


@pytest.mark.parametrize("lost_seconds", [0.01, 0.02, 0.03])
@pytest.mark.parametrize("asks_follow", [True, False])
def test_one_that_is_lost_while_a_request_is_answered_counts_no_lines_of_the_one_before(
    lost_seconds: float, *, asks_follow: bool
) -> None:
    """The reply is the dead one's log; by the time that the object is asked, it is found again."""

    def lose_for_a_moment(node: Node, call: Call) -> bool:
        if is_follow(call) == asks_follow and call.query.get("previous") != "true" and pending:
            pending.pop()
            node.lab.cluster.server.expire_watches()  # which would tell in time, mostly
            node.pod.lose()
            asyncio.get_running_loop().call_later(lost_seconds, node.pod.find)
        return False

    async def scene(node: Node) -> None:
        faults = node.lab.cluster.server.faults
        async with node.lab.agent():
            burst(node, 5)
            await sleep(60)
            faults.add(
                Reset(), path="/log", times=None, when=lambda call: lose_for_a_moment(node, call)
            )
            restart(node)
            burst(node, 3)
            pending.append(None)
            await sleep(60)
            await node.settle()
        assert not pending

    pending: list[None] = []
    play(scene)


def touch(node: Node, times: Iterator[int]) -> bool:
    note = {"metadata": {"annotations": {"seen": str(next(times))}}}
    node.lab.cluster.server.store.merge(PODS, NAMESPACE, node.pod.name, note)
    return False


def test_a_log_is_read_although_its_pods_object_changes_with_every_request() -> None:
    times = itertools.count()

    async def scene(node: Node) -> None:
        faults = node.lab.cluster.server.faults
        faults.add(Reset(), path="/log", times=None, when=lambda _call: touch(node, times))
        async with node.lab.agent():
            burst(node, 5)
            await sleep(60)
            restart(node)
            await node.settle()
        assert not node.lab.gaps()

    play(scene)


def test_the_log_of_one_that_has_ended_is_its_own_whatever_changes_meanwhile(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """What is asked again waits, and the next crash takes the log away."""
    times = itertools.count()

    async def scene(node: Node) -> None:
        node.lab.cluster.server.faults.add(
            Reset(),
            path="/log",
            times=None,
            when=lambda call: "previous" in call.query and touch(node, times),
        )
        async with node.lab.agent():
            for _ in range(3):
                burst(node, 5)
                await sleep(20)
                restart(node)
            await node.settle()
        assert not node.lab.gaps()

    play(scene)
    assert next(times) > 0
    assert "cannot be read" not in caplog.text
