"""A file that the kubelet serves again in one stream: its lines count once, whatever their stamps.

The reader waited while the log was rotated twice, so the newest file is opened twice.
"""

from __future__ import annotations

import asyncio

import pytest

from agent.follow import Pace
from agent.follow.audit import STEPS_AT_ONCE
from agent.model import Format
from tests.agents import NANOS
from tests.faults.simulation import is_follow
from tests.faults.test_late_status import Node, play
from tests.faults.words import WORDS, say
from tests.sim.faults import Call, Cut, Fault, eof_after

sleep = asyncio.sleep


def burst(node: Node, count: int, *, apart_ns: int, back_ns: int = 0) -> None:
    """Write so many lines at once."""
    for number in range(count):
        word = WORDS[number % len(WORDS)]
        text = say("said", word, at_seconds=node.now() // NANOS, shape=Format.LOGFMT)
        node.pod.write(text + b"\n", at=node.now() - back_ns + number * apart_ns)
        node.truth[word] += 1


async def serve_again(node: Node, count: int, *, apart_ns: int) -> None:
    """Let a stream that is open bring a new file twice."""
    node.pod.rotate()
    node.pod.rotate()
    burst(node, count, apart_ns=apart_ns)
    await node.settle()


@pytest.mark.parametrize("apart_ns", [0, 5_000, 2_000_000], ids=["at once", "dense", "apart"])
def test_a_file_that_is_served_again_counts_once(apart_ns: int) -> None:
    async def scene(node: Node) -> None:
        async with node.lab.agent():
            await sleep(50)
            await node.write(10)
            await serve_again(node, 100, apart_ns=apart_ns)

        assert not node.lab.gaps()

    play(scene)


@pytest.mark.parametrize(
    ("fault", "times", "apart_ns"),
    [
        pytest.param(eof_after(150), 3, 2_000_000, id="in a line"),
        pytest.param(Cut("eof", after_lines=20), 1, 2_000_000, id="behind a line"),
        pytest.param(Cut("eof", after_lines=2), 1, 0, id="behind one of equal stamps"),
    ],
)
def test_a_short_read_that_ends_early_does_not_make_it_another_file(
    fault: Fault, times: int, apart_ns: int
) -> None:
    async def scene(node: Node) -> None:
        node.lab.changes["pace"] = Pace(tick=5.0)
        async with node.lab.agent():
            await sleep(50)
            await node.write(10)
            node.lab.cluster.server.faults.add(
                fault, path="/log", when=lambda call: not is_follow(call), times=times
            )
            await serve_again(node, 40, apart_ns=apart_ns)

        assert not node.lab.gaps()

    play(scene)


def test_a_file_that_begins_with_a_step_back_goes_on() -> None:
    """The line before it cannot be read any more, so two short reads must show that."""

    async def scene(node: Node) -> None:
        async with node.lab.agent():
            await sleep(50)
            await node.write(10)
            node.pod.rotate()
            burst(node, 1, apart_ns=0, back_ns=4 * NANOS)
            await node.settle()

        assert not node.lab.gaps()

    play(scene)


def test_a_log_whose_stamps_run_back_again_and_again_is_asked_for_once_a_second() -> None:
    """As if its clock were set all the time: every other line is a step back."""
    asked: list[int] = []

    async def scene(node: Node) -> None:
        node.lab.changes["pace"] = Pace(tick=5.0)
        async with node.lab.agent():
            await sleep(10)
            before = sum(map(_is_short, node.lab.cluster.server.calls))
            for number in range(150):
                burst(node, 1, apart_ns=0, back_ns=(100 + number % 2 * 5) * NANOS)
                await sleep(0.1)
            asked.append(sum(map(_is_short, node.lab.cluster.server.calls)) - before)
            await sleep(100)

        assert not node.lab.gaps()

    play(scene)

    assert asked[0] < STEPS_AT_ONCE + 15


def _is_short(call: Call) -> bool:
    return call.path.endswith("/log") and not is_follow(call)


def test_a_busy_log_whose_file_begins_with_a_step_back_goes_on() -> None:
    """No two short reads are equal: what is stamped later than all that was read tells."""

    async def scene(node: Node) -> None:
        node.lab.changes["pace"] = Pace(tick=5.0)
        async with node.lab.agent():
            await sleep(10)
            for number in range(200):
                if number == 100:
                    node.pod.rotate()
                burst(node, 1, apart_ns=0, back_ns=(number == 100) * 20_000_000)
                await sleep(0.01)
            await sleep(100)

        assert not node.lab.gaps()

    play(scene)
