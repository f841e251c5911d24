"""Logs that are served in part, for ever: windows close all the same, and requests are few."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime

import attrs
import pytest

from agent.follow import Pace
from tests.agents import NANOS
from tests.faults.simulation import WINDOW_SECONDS, is_follow
from tests.faults.test_late_status import Node, play
from tests.faults.test_whose_lines import burst
from tests.sim.faults import (
    Answer,
    Call,
    Delay,
    Fault,
    HalfOpen,
    eof_after,
    hang_after,
    in_band,
    reset_after,
)

sleep = asyncio.sleep

LASTS_SECONDS = 3000
RESETS = 1
MOST_REQUESTS = 300
"""Of a log, in all this time: six a minute."""


def is_short(call: Call) -> bool:
    return not is_follow(call)


@attrs.define
class Asked:
    """How often a log was asked for, and how often in vain."""

    requests: int = 0
    errors: int = 0


async def serve_in_part(
    node: Node, disturb: Callable[[], Callable[[], object]], *, every_seconds: float
) -> Asked:
    """Let something be wrong for long, and all be well then; return what it cost.

    `disturb` returns how to end it. Each line that is written meanwhile comes after so many
    seconds.
    """
    server, loop = node.lab.cluster.server, asyncio.get_running_loop()
    async with node.lab.agent() as agent:
        await node.write(5)
        burst(node, 3)
        await sleep(2.2 * WINDOW_SECONDS)
        before, begun = len(server.calls), loop.time()
        end = disturb()
        server.order_streams("reset", path="/log")
        while loop.time() < begun + LASTS_SECONDS:
            await sleep(every_seconds)
            await node.write(1)
        assert agent.pipeline is not None
        (one,) = agent.pipeline.containers.follows.values()
        requests = sum(call.path.endswith("/log") for call in server.calls[before:])
        asked = Asked(requests, one.errors)
        ends = [report["window_end"] for report in node.lab.reports()]
        newest = max(datetime.fromisoformat(end).timestamp() for end in ends)
        assert node.now() / NANOS - newest < Pace().unreadable + 6 * WINDOW_SECONDS
        end()
        await node.settle(3 * WINDOW_SECONDS)
        assert not one.doubts
    return asked


async def end_all(node: Node) -> None:
    """End each stream soon after it began."""
    while True:
        await sleep(0.2)
        node.lab.cluster.server.order_streams("eof", path="/log")


def faulty(node: Node, fault: Fault, when: Callable[[Call], bool]) -> Callable[[], object]:
    """Let each request of a kind go wrong; return how to end that."""
    faults = node.lab.cluster.server.faults
    planned = faults.add(fault, path="/log", when=when, times=None)
    return lambda: faults.schedules.remove(planned)


EVERY = (50, pytest.param(400, marks=pytest.mark.slow), LASTS_SECONDS)
"""How often a line is written: often, now and then, and once."""


@pytest.mark.parametrize("every_seconds", EVERY)
@pytest.mark.parametrize(
    ("fault", "when"),
    [
        pytest.param(hang_after(lines=0), is_follow, id="no-byte"),
        pytest.param(HalfOpen(), is_follow, id="no-answer"),
        pytest.param(Delay(seconds=400), is_follow, id="very-late"),
        pytest.param(eof_after(0), is_follow, id="empty"),
        pytest.param(Answer(404), is_short, id="short-404"),
        pytest.param(Answer(400), is_short, id="short-400"),
        pytest.param(reset_after(0), is_short, id="short-reset"),
        pytest.param(eof_after(5), is_short, id="short-torn"),
        pytest.param(in_band("rpc error", after_lines=0), is_short, id="short-text"),
        pytest.param(HalfOpen(), is_short, id="short-no-answer"),
    ],
)
def test_what_is_served_in_part_holds_no_window_for_ever_and_is_asked_for_seldom(
    fault: Fault, when: Callable[[Call], bool], every_seconds: int
) -> None:
    async def scene(node: Node) -> None:
        asked = await serve_in_part(
            node, lambda: faulty(node, fault, when), every_seconds=every_seconds
        )
        assert asked.requests < MOST_REQUESTS
        # Of a stream that brings lines the windows before them are known to be whole.
        is_whole = when is is_short and every_seconds < Pace().unreadable
        assert [*node.lab.gaps()] == ([] if is_whole else ["unreadable"])

    play(scene)


@pytest.mark.parametrize("every_seconds", EVERY)
@pytest.mark.parametrize("seconds", [4, 30])
def test_a_stream_whose_first_byte_is_late_is_waited_for(
    seconds: float, every_seconds: float
) -> None:
    async def scene(node: Node) -> None:
        fault = Delay(seconds=seconds)
        asked = await serve_in_part(
            node, lambda: faulty(node, fault, is_follow), every_seconds=every_seconds
        )
        assert asked.requests < MOST_REQUESTS
        assert (asked.errors == RESETS) is (seconds == 4)
        assert not node.lab.gaps()

    play(scene)


@pytest.mark.parametrize("every_seconds", [50, 400, LASTS_SECONDS])
def test_a_log_that_is_never_followed_is_read_again_and_again(every_seconds: float) -> None:
    """As by a proxy that ends each answer with what there is."""

    async def scene(node: Node) -> None:
        asked = await serve_in_part(
            node, lambda: asyncio.create_task(end_all(node)).cancel, every_seconds=every_seconds
        )
        assert asked.requests < 2 * MOST_REQUESTS
        assert not node.lab.gaps()

    play(scene)


@pytest.mark.parametrize("count", [1, 2])
def test_a_log_that_is_never_followed_is_read_on_behind_a_rotation(count: int) -> None:
    """Though an audit, and no stream, finds that it does not continue."""

    async def scene(node: Node) -> None:
        async with node.lab.agent():
            await node.write(5)
            await sleep(2.2 * WINDOW_SECONDS)
            ending = asyncio.create_task(end_all(node))
            await sleep(60)
            node.pod.rotate()
            await sleep(0)
            burst(node, count)
            await sleep(400)
            lines = node.lab.lines()
            ending.cancel()
            await node.settle()
        assert lines == 5 + count
        assert set(node.lab.gaps()) == {"rotated"}

    play(scene)


@pytest.mark.parametrize("is_killed", [False, True])
@pytest.mark.parametrize("bytes_served", [0, 90, 300])
def test_what_every_reply_leaves_out_for_a_while_counts_once(
    bytes_served: int, *, is_killed: bool
) -> None:
    """Lines wait for an answer when it begins; all that is known of them is served again later."""

    async def scene(node: Node) -> None:
        server = node.lab.cluster.server
        async with node.lab.agent() as agent:
            await sleep(40)
            burst(node, 6)
            burst(node, 2, "asked")
            await sleep(0.5)
            planned = server.faults.add(eof_after(bytes_served), path="/log", times=None)
            server.order_streams("reset", path="/log")
            await sleep(Pace().unreadable / 2)
            if is_killed:
                await node.lab.kill(agent)
            server.faults.schedules.remove(planned)
            if not is_killed:
                await node.settle()
        async with node.lab.agent(seed=2):
            await node.settle()
        assert not node.lab.gaps()

    play(scene)


@pytest.mark.parametrize("folded", [0, 5])
def test_what_waits_counts_though_replies_are_empty_until_its_container_is_dead(
    folded: int,
) -> None:
    async def scene(node: Node) -> None:
        server = node.lab.cluster.server
        async with node.lab.agent():
            burst(node, folded)
            burst(node, 1, "asked")
            await sleep(1)
            server.faults.add(eof_after(0), path="/log", times=None)
            server.order_streams("reset", path="/log")
            await sleep(5)
            node.crashes += 1
            node.pod.crash(at=node.now())
            await sleep(30)
            node.pod.restart(at=node.now())
            await sleep(30)
            server.faults.clear()
            await node.settle()
        assert set(node.lab.gaps()) == {"restarted"}

    play(scene)


@pytest.mark.parametrize(
    "empty", [pytest.param(eof_after(0), id="empty"), pytest.param(eof_after(1), id="known-lines")]
)
def test_what_a_reply_without_the_known_lines_leaves_out_of_a_dead_container_is_reported(
    empty: Fault,
) -> None:
    """Its stream ended behind the container, but it was not its log."""

    async def scene(node: Node) -> None:
        server = node.lab.cluster.server
        async with node.lab.agent():
            await node.write(4)
            burst(node, 3)
            await sleep(130)
            planned = server.faults.add(empty, path="/log", times=None)
            server.order_streams("reset", path="/log")
            await sleep(1)
            before = node.truth.copy()
            burst(node, 5)
            lost = node.truth - before
            node.crashes += 1
            node.pod.crash(at=node.now())
            node.pod.restart(at=node.now())
            await sleep(30)
            server.faults.schedules.remove(planned)
            await node.settle()
        assert set(node.lab.gaps()) == {"restarted"}
        node.truth -= lost

    play(scene)


@pytest.mark.parametrize(("seconds", "gaps"), [(0, {"restarted"}), (1, set[str]())])
def test_a_crash_just_after_a_rotation_and_a_start_in_the_same_instant(
    seconds: int, gaps: set[str]
) -> None:
    """Nothing is lost, but nobody could ask whether the new file was empty to its end."""

    async def scene(node: Node) -> None:
        async with node.lab.agent():
            await node.write(5)
            await sleep(60)
            node.pod.rotate()
            await sleep(5)
            node.crashes += 1
            node.pod.crash(at=node.now())
            await sleep(seconds)
            node.pod.restart(at=node.now())
            await node.settle()
        assert set(node.lab.gaps()) == gaps

    play(scene)
