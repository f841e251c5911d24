"""Whose lines a reply brings, where nothing in it says so: no instance counts another one's."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

import pytest

from agent.model import Format
from tests.agents import NAMESPACE, NANOS, START
from tests.faults import virtual
from tests.faults.simulation import is_follow, open_lab
from tests.faults.test_late_status import Node, kinds, play
from tests.faults.words import WORDS, say
from tests.sim.faults import Answer, Call, Delay, Fault, HalfOpen

sleep = asyncio.sleep


def burst(node: Node, count: int, verb: str = "said") -> None:
    """Write so many lines at once, each with a word of its own."""
    for _ in range(count):
        word = WORDS[sum(node.truth.values()) % len(WORDS)]
        text = say(verb, word, at_seconds=node.now() // NANOS, shape=Format.LOGFMT)
        node.pod.write(text + b"\n", at=node.now())
        node.truth[word] += 1


def restart(node: Node) -> None:
    node.crashes += 1
    node.pod.crash(at=node.now())
    node.pod.restart(at=node.now())


def _asks_for_previous(call: Call) -> bool:
    return call.query.get("previous") == "true"


def test_the_old_lines_are_known_while_the_next_instances_are_held() -> None:
    """Nothing of the next one was released, so the gap before it is as if it had not been."""

    async def scene(node: Node) -> None:
        async with node.lab.agent() as agent:
            await node.write(20)
            await sleep(70)
            burst(node, 20)
            await sleep(20)
            node.hide_status()
            await sleep(1)
            restart(node)
            burst(node, 1, "asked")
            assert agent.pipeline is not None
            follows = agent.pipeline.containers.follows
            while not any(one.reader.breaks for one in follows.values()):
                await sleep(0.05)
            node.show_status()
            await node.settle()

    play(scene)


@pytest.mark.parametrize("fault", [Answer(503), HalfOpen()], ids=["refused", "half-open"])
def test_the_newest_instance_before_is_the_one_that_is_asked(fault: Answer | HalfOpen) -> None:
    """An older one may still wait for its last read."""

    async def scene(node: Node) -> None:
        faults = node.lab.cluster.server.faults
        async with node.lab.agent():
            await node.write(20)
            await sleep(70)
            outage = faults.add(fault, path="/log", when=_asks_for_previous, times=None)
            restart(node)
            await node.write(8)
            await sleep(10)
            node.hide_status()
            await sleep(1)
            await node.restart()
            node.show_status()
            await sleep(20)
            faults.schedules.remove(outage)
            await node.settle()

    play(scene)


def test_a_crash_is_counted_although_its_last_read_was_cut_off_by_a_kill() -> None:
    """Its restart was noted, and by the next start no status names the instance any more."""

    async def scene(node: Node) -> None:
        faults = node.lab.cluster.server.faults
        async with node.lab.agent() as agent:
            await node.write(5)
            await sleep(70)
            outage = faults.add(Answer(503), path="/log", when=_asks_for_previous, times=None)
            restart(node)
            await node.write(5)
            await sleep(70)
            await node.lab.kill(agent)
        faults.schedules.remove(outage)
        restart(node)
        async with node.lab.agent(seed=2):
            await node.settle()
        assert node.lab.gaps().keys() == {"restarted"}

    play(scene)


def test_an_end_that_was_told_and_is_still_read_is_none_of_those_that_a_count_skipped() -> None:
    """What killed it is said, and that all of it was read is known."""

    async def scene(node: Node) -> None:
        faults = node.lab.cluster.server.faults
        async with node.lab.agent():
            await node.write(5)
            await sleep(70)
            outage = faults.add(
                Answer(503), path="/log", when=lambda call: not is_follow(call), times=None
            )
            node.crashes += 1
            node.pod.crash(at=node.now(), exit_code=137)
            await sleep(3)
            node.hide_status()
            await sleep(1)
            node.pod.restart(at=node.now())
            restart(node)
            node.lab.cluster.server.expire_watches()  # a list tells of both at once
            node.show_status()
            await sleep(20)
            faults.schedules.remove(outage)
            await node.settle()
        assert kinds(node.lab) == {"killed": 1, "unknown": 1}
        assert not node.lab.gaps()

    play(scene)


def test_a_previous_log_is_nobodys_while_the_pod_cannot_be_asked_for() -> None:
    """By then it is the log of the instance between."""

    async def scene(node: Node) -> None:
        faults = node.lab.cluster.server.faults
        async with node.lab.agent():
            await node.write(20)
            await sleep(70)
            outage = faults.add(Answer(503), path="/log", when=_asks_for_previous, times=None)
            restart(node)
            await node.write(3)
            node.hide_status(is_object_known=False)
            await sleep(1)
            restart(node)
            await sleep(10)
            faults.schedules.remove(outage)
            await sleep(30)
            node.show_status()
            await node.settle()

    play(scene)


def test_a_pod_that_took_the_name_of_one_that_had_written_nothing_is_read_once() -> None:
    async def scene(node: Node) -> None:
        server = node.lab.cluster.server
        async with node.lab.agent():
            await sleep(70)
            name = node.pod.name
            server.order_streams("reset")
            node.pod.remove(at=node.now())
            node.pod = node.lab.cluster.botkube(NAMESPACE, at=node.now())
            assert node.pod.name == name
            await node.write(20)
            await node.settle()

    play(scene)


@pytest.mark.parametrize("starts_at_once", [False, True])
def test_a_previous_log_is_nobodys_while_the_pod_is_shown_as_it_was(
    *, starts_at_once: bool
) -> None:
    """That of a later instance begins after this one had finished; or it does not continue it.

    In the second case it is not believed at once, and then the pod is shown as it is.
    """

    async def scene(node: Node) -> None:
        server = node.lab.cluster.server
        async with node.lab.agent():
            await node.write(5)
            await sleep(70)
            outage = server.faults.add(
                Answer(503), path="/log", when=_asks_for_previous, times=None
            )
            restart(node)
            await sleep(0 if starts_at_once else 5)
            await node.write(3)
            node.hide_status()
            await sleep(1)
            restart(node)
            await sleep(5)
            server.faults.schedules.remove(outage)
            before = len(server.calls)
            while not any(map(_asks_for_previous, server.calls[before:])):
                await sleep(0.05)
            await sleep(0.05 if starts_at_once else 150)
            node.show_status()
            await node.settle()

    play(scene)


@pytest.mark.parametrize("lines", [0, 5])
def test_a_pod_that_took_the_name_of_another_is_read_once_although_nobody_can_be_asked(
    lines: int,
) -> None:
    """Its log does not continue the other's, as if that had been rotated."""

    async def scene(node: Node) -> None:
        async with node.lab.agent():
            await node.write(lines)
            await sleep(70)
            name = node.pod.name
            node.hide_status(is_object_known=False)
            await sleep(1)
            node.pod.remove(at=node.now())
            await sleep(2)
            node.pod = node.lab.cluster.botkube(NAMESPACE, at=node.now())
            assert node.pod.name == name
            await node.write(10)
            await sleep(5)
            node.show_status()
            await node.settle()

    play(scene)


@pytest.mark.parametrize(
    ("fault", "gap"),
    [
        pytest.param(Delay(seconds=5), "rotated", id="late"),
        pytest.param(HalfOpen(), "unreadable", id="no"),
    ],
)
def test_an_answer_about_a_pod_that_comes_late_holds_no_window_for_ever(
    fault: Fault, gap: str
) -> None:
    """The stream is not silent meanwhile: nobody takes what it brings."""

    async def scene(node: Node) -> None:
        async with node.lab.agent():
            await node.write(5)
            await sleep(130)
        node.pod.rotate()
        await node.write(3)
        await sleep(200)
        node.lab.cluster.server.faults.add(fault, path="/pods/[^/]+$", verb="get", times=None)
        async with node.lab.agent(seed=2):
            await node.write(2)
            await sleep(1000)
            await node.settle()
        assert gap in node.lab.gaps()

    play(scene)


def test_a_stream_is_not_silent_while_the_pod_is_asked_for() -> None:
    """Else it would be taken for dead as soon as that has an answer."""

    async def scene(node: Node) -> None:
        await node.write(5)
        waits = node.lab.cluster.server.faults.add(
            Delay(seconds=15), path="/pods/[^/]+$", verb="get", times=None
        )
        async with node.lab.agent() as agent:
            assert agent.pipeline is not None
            follows = agent.pipeline.containers.follows
            while not any(one.reader.lines_read for one in follows.values()):
                await sleep(0.05)
            (one,) = follows.values()
            assert waits.seen
            assert one.monotonic() - one.last_bytes < 1
            await node.settle()

    play(scene)


def test_what_a_pod_wrote_that_is_gone_when_it_is_asked_for_is_its_own() -> None:
    async def scene(node: Node) -> None:
        await node.write(5)
        node.lab.cluster.server.faults.add(Answer(404), path="/pods/[^/]+$", times=None)
        async with node.lab.agent():
            await sleep(20)
            node.pod.remove(at=node.now())
            await sleep(200)

    play(scene)


def test_a_rotation_is_believed_although_nobody_can_ever_be_asked_whose_log_it_is() -> None:
    async def scene(node: Node) -> None:
        server = node.lab.cluster.server
        async with node.lab.agent():
            await node.write(5)
            await sleep(70)
            server.faults.add(Answer(503), path="/pods/[^/]+$", times=None)
            server.order_streams("reset", path="/log")
            await sleep(60)
            node.pod.rotate()
            await node.settle(1000)

    play(scene)


def test_two_that_start_for_the_first_time_at_once_lose_nothing() -> None:
    """The one that chose the id may meet State which the other has begun."""

    async def run() -> None:
        with tempfile.TemporaryDirectory() as folder:
            async with open_lab(Path(folder)) as lab:
                node = Node(lab, lab.cluster.botkube(NAMESPACE, at=START * NANOS))

                async def live(seed: int) -> None:
                    async with lab.agent(seed=seed, waits=False) as agent:
                        await asyncio.wait([agent.task])

                await node.write(5)
                first = asyncio.create_task(live(1))
                await sleep(0.02)
                second = asyncio.create_task(live(2))
                await node.write(5)
                await sleep(200)
                assert lab.lines() == sum(node.truth.values())
                for one in (first, second):
                    one.cancel()
                await asyncio.gather(first, second, return_exceptions=True)

    for seed in range(4, 7):
        virtual.run(run(), seed=seed)


@pytest.mark.parametrize("seconds", [5, 60])
def test_one_that_its_runtime_lost_takes_over_no_lines_while_nobody_can_be_asked(
    seconds: float,
) -> None:
    """Its log is asked for without its id, and answered with that of the one before."""

    async def scene(node: Node) -> None:
        server = node.lab.cluster.server
        async with node.lab.agent():
            await node.write(5)
            await sleep(60)
            planned = server.faults.add(Answer(503), path="/log", times=None)
            restart(node)
            await node.write(3)
            await sleep(5)
            node.hide_status(is_object_known=False)
            await sleep(1)
            node.pod.lose()
            await sleep(2)
            server.faults.schedules.remove(planned)
            await sleep(seconds)
            node.show_status()
            await sleep(20)
            node.pod.find()
            await sleep(20)
            await node.settle()

    play(scene)


@pytest.mark.parametrize("seconds", [0.1, 0.5, 1])
def test_one_that_its_runtime_loses_while_it_is_asked_for_takes_over_no_lines(
    seconds: float,
) -> None:
    async def scene(node: Node) -> None:
        server = node.lab.cluster.server
        async with node.lab.agent():
            await node.write(5)
            await sleep(60)
            late = server.faults.add(
                Delay(seconds=2), path="/log", when=lambda call: not is_follow(call), times=None
            )
            restart(node)
            await sleep(seconds)
            node.pod.lose()
            await sleep(60)
            server.faults.schedules.remove(late)
            node.pod.find()
            await sleep(20)
            await node.settle()

    play(scene)
