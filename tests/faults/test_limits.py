"""Losses that leave no trace: the README's known limits, each shown by the machine.

If one of these tests fails because the line is counted or its loss reported, a limit is gone.
Where a whole agent is needed, there is one. The last two show the opposite: a gap though nothing
was lost.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.model import NANOS, Format
from agent.state.store import Conflict
from tests.agents import NAMESPACE, START
from tests.faults import virtual
from tests.faults.machine import World
from tests.faults.simulation import is_follow, open_lab
from tests.faults.truth import Wrong
from tests.faults.words import WORDS, say
from tests.sim.faults import Answer, Cut
from tests.sim.store import CONFIGMAPS

SLOT = "botkube-analytics-state-0"


@pytest.fixture
def world() -> Iterator[World]:
    opened = World()
    yield opened
    opened.close()


def read(world: World) -> None:
    """Let all that is there be read by a stream, opened now or before."""
    world.observe()
    following = world.following
    if following is not None and following.reply is None:
        world.connect()
    world.receive(1 << 20)


def check_lost_in_silence(world: World, *, lines: int) -> None:
    world.settle()

    lost = world.truth.heads.keys() - world.truth.counted.places
    assert (len(lost), list(world.gaps)) == (lines, [])


def test_a_line_stamped_far_back_while_the_agent_was_not_connected(world: World) -> None:
    world.append()
    world.append(step_ns=9 * NANOS)
    read(world)
    world.disconnect()
    world.append(step_ns=-5 * NANOS)

    check_lost_in_silence(world, lines=1)


def test_a_line_stamped_before_the_second_that_its_stream_was_asked_from(world: World) -> None:
    world.append()
    world.append(step_ns=9 * NANOS)
    read(world)
    world.connect()
    world.append(step_ns=-5 * NANOS)
    world.receive(1 << 20)

    check_lost_in_silence(world, lines=1)


def test_what_is_written_until_a_clock_that_was_set_back_is_where_it_was(world: World) -> None:
    """What an open stream brings is counted, what comes once it is opened anew is not."""
    world.append()
    world.append(step_ns=60 * NANOS)
    read(world)
    world.append(step_ns=-30 * NANOS)
    world.append(step_ns=5 * NANOS)
    world.receive(1 << 20)
    world.disconnect()
    for _ in range(7):
        world.append(step_ns=5 * NANOS)

    # Those that are 20, 15, 10 and 5 seconds behind.
    check_lost_in_silence(world, lines=4)


def test_a_line_written_to_a_file_that_was_just_renamed(world: World) -> None:
    world.append()
    read(world)
    world.rotate()
    world.append()
    world.receive(1 << 20)
    world.append_late()

    check_lost_in_silence(world, lines=1)


def test_files_that_were_filled_and_rotated_while_a_stream_hardly_lagged(world: World) -> None:
    world.append()
    read(world)
    for _ in range(2):
        world.append()
        world.rotate()
    world.append()

    check_lost_in_silence(world, lines=1)


def test_a_file_that_was_rotated_before_anything_of_the_instance_was_counted(world: World) -> None:
    world.append()
    world.rotate()
    world.append()
    read(world)

    check_lost_in_silence(world, lines=1)


def test_a_record_that_a_rotation_cut_in_two(world: World) -> None:
    world.append()
    read(world)
    world.tear()
    world.append()

    # The kubelet serves neither half, so that it is not even among the lines of the machine.
    check_lost_in_silence(world, lines=0)


def test_skipped_files_of_which_an_agent_died_before_it_could_ask(world: World) -> None:
    world.append()
    read(world)
    for _ in range(2):
        world.append()
        world.rotate()
        world.pass_time(written_ns=20 * NANOS, agent_ns=0)
    world.append()
    world.receive(1 << 20)
    world.commit()
    world.kill()

    check_lost_in_silence(world, lines=1)


def test_a_file_served_again_whose_stamps_run_back() -> None:
    """A limit by which lines count twice: the second time they follow each other, too."""
    world = World(serves_again=True)
    world.append()
    read(world)
    for _ in range(2):
        world.pass_time(written_ns=20 * NANOS, agent_ns=0)
        world.rotate()
    world.append()
    world.serves_again, again = False, world.serves_again
    world.append(step_ns=-3 * NANOS)
    world.serves_again = again

    with pytest.raises(Wrong, match="lines counted where"):
        world.receive(1 << 20)
    world.close()


def test_an_instance_that_was_gone_before_any_commit_knew_of_it(world: World) -> None:
    world.append()
    for _ in range(2):
        world.crash_container()
        world.start_container()
    world.observe()
    world.append()

    check_lost_in_silence(world, lines=1)


async def end_last_reads_early(cut: Cut, *, times: int) -> tuple[int, Counter[str]]:
    """Let each of the first reads of an ended container's log end at the same place."""
    with tempfile.TemporaryDirectory() as folder:
        async with open_lab(Path(folder)) as lab:
            pod, faults = (
                lab.cluster.botkube(NAMESPACE, at=lab.clock.ns()),
                lab.cluster.server.faults,
            )

            def write(count: int) -> None:
                for word in WORDS[:count]:
                    text = say("said", word, at_seconds=START, shape=Format.LOGFMT)
                    pod.write(text + b"\n", at=lab.clock.ns())

            async with lab.agent():
                await asyncio.sleep(10)
                write(5)
                await asyncio.sleep(0.5)
                faults.add(Answer(503), path="/log", when=is_follow, times=None)
                lab.cluster.server.order_streams("reset", path="/log")
                await asyncio.sleep(0.5)
                write(5)
                faults.add(cut, path="/log", when=lambda call: not is_follow(call), times=times)
                pod.crash(at=lab.clock.ns())
                await asyncio.sleep(150)
                return lab.lines(), lab.gaps()


def test_two_last_reads_that_a_server_ended_at_the_same_line() -> None:
    """A whole log looks the same: nothing but its lines says where it ends."""
    cut = Cut("eof", after_lines=7)

    assert virtual.run(end_last_reads_early(cut, times=2), seed=1) == (7, Counter())


def test_last_reads_that_a_server_ended_within_the_same_line_are_none() -> None:
    cut = Cut("eof", after_bytes=650)

    assert virtual.run(end_last_reads_early(cut, times=4), seed=1) == (10, Counter())


async def let_another_claim_a_wiped_slot(*, begun_seconds: float) -> tuple[int, Counter[str]]:
    """Empty a slot of which the holder has nothing to write, and let another replica take it."""
    with tempfile.TemporaryDirectory() as folder:
        async with open_lab(Path(folder)) as lab:
            lab.changes.update(slots=3)
            store = lab.cluster.server.store
            pod = lab.cluster.botkube(NAMESPACE, at=lab.clock.ns(), node="node-1", name="one")

            def write() -> None:
                text = say("said", WORDS[0], at_seconds=START, shape=Format.LOGFMT)
                pod.write(text + b"\n", at=lab.clock.ns())

            async with lab.agent(node="node-1", waits=False) as holder:
                await asyncio.sleep(10)
                write()
                await asyncio.sleep(begun_seconds)
                store.merge(CONFIGMAPS, NAMESPACE, SLOT, {"binaryData": None})
                lab.cluster.botkube(NAMESPACE, at=lab.clock.ns(), node="node-2", name="two")
                async with lab.agent(node="node-2", seed=2, waits=False):
                    await asyncio.sleep(20)
                    write()
                    with pytest.raises(ExceptionGroup) as raised:
                        await holder.task
                    assert raised.group_contains(Conflict)
                    async with lab.agent(node="node-1", seed=3, waits=False):
                        await asyncio.sleep(20)
                        write()
                        await asyncio.sleep(150)
                return lab.lines(), lab.gaps()


@pytest.mark.parametrize(
    ("begun_seconds", "lines"),
    [pytest.param(100, 4, id="counted-twice"), pytest.param(700, 2, id="later")],
)
def test_a_slot_that_was_wiped_in_the_first_minutes_and_claimed_by_another(
    begun_seconds: float, lines: int
) -> None:
    counted, gaps = virtual.run(let_another_claim_a_wiped_slot(begun_seconds=begun_seconds), seed=1)

    assert (counted, [*gaps]) == (lines, ["state_lost"])


LINES = 20


async def remove_at(part_of_second: float, *, delay_seconds: float) -> tuple[int, Counter[str]]:
    """Let lines come late, then end a container and remove its pod; return what was counted."""
    loop = asyncio.get_running_loop()
    with tempfile.TemporaryDirectory() as folder:
        async with open_lab(Path(folder)) as lab:
            pod = lab.cluster.botkube(NAMESPACE, at=lab.clock.ns())
            async with lab.agent():
                await asyncio.sleep(100)
                for word in WORDS[:LINES]:
                    text = say("said", word, at_seconds=START, shape=Format.LOGFMT)
                    pod.write(text + b"\n", at=lab.clock.ns() - int(delay_seconds * NANOS))
                    await asyncio.sleep(3)
                await asyncio.sleep(1 - (START + loop.time()) % 1 + part_of_second)
                pod.begin_delete(at=lab.clock.ns())
                pod.remove(at=lab.clock.ns())
                await asyncio.sleep(900)
                return lab.lines(), lab.gaps()


@pytest.mark.parametrize(
    ("part_of_second", "delay_seconds", "is_reported"),
    [
        pytest.param(0.01, 0.0, False, id="no-delay"),
        pytest.param(0.01, 0.05, True, id="sooner-than-a-line-comes"),
        pytest.param(0.2, 0.05, False, id="later"),
    ],
)
def test_a_pod_that_was_removed_at_once_when_a_second_had_just_begun(
    part_of_second: float, delay_seconds: float, *, is_reported: bool
) -> None:
    counted = remove_at(part_of_second, delay_seconds=delay_seconds)
    lines, gaps = virtual.run(counted, seed=1)

    assert (lines, [*gaps]) == (LINES, ["pod_gone"] if is_reported else [])


async def rotate_behind_a_late_line(
    *, wrong_seconds: float, waited_seconds: float, rest_seconds: float
) -> tuple[int, Counter[str]]:
    """Let a line be read late, by the agent's clock; rotate the log, once; write another line."""
    with tempfile.TemporaryDirectory() as folder:
        async with open_lab(Path(folder)) as lab:
            pod = lab.cluster.botkube(NAMESPACE, at=lab.clock.ns())

            def write() -> None:
                text = say("said", WORDS[0], at_seconds=START, shape=Format.LOGFMT)
                pod.write(text + b"\n", at=lab.clock.ns())

            if waited_seconds:
                write()
                await asyncio.sleep(waited_seconds)
            async with lab.agent(wrong_seconds=wrong_seconds):
                if not waited_seconds:
                    await asyncio.sleep(100)
                    write()
                await asyncio.sleep(rest_seconds)
                pod.rotate()
                write()
                await asyncio.sleep(900)
                return lab.lines(), lab.gaps()


@pytest.mark.parametrize(
    ("wrong_seconds", "waited_seconds", "rest_seconds", "is_reported"),
    [
        pytest.param(30, 0, 15, False, id="late-by-a-wrong-clock"),
        pytest.param(-30, 0, 15, False, id="early-by-a-wrong-clock"),
        pytest.param(0, 100, 15, False, id="asked-meanwhile"),
        pytest.param(0, 100, 0.5, True, id="sooner-than-asked"),
    ],
)
def test_a_log_that_was_rotated_just_when_a_stream_had_caught_up(
    wrong_seconds: float, waited_seconds: float, rest_seconds: float, *, is_reported: bool
) -> None:
    counted = rotate_behind_a_late_line(
        wrong_seconds=wrong_seconds, waited_seconds=waited_seconds, rest_seconds=rest_seconds
    )
    lines, gaps = virtual.run(counted, seed=1)

    assert (lines, [*gaps]) == (2, ["overtaken"] if is_reported else [])
