"""Logs through a real API server, read by the kubelet's own code: what was written is counted.

Served by each stand-in for a kubelet: `kubelet/`, which ends a stream with its container, and kwok,
which follows on, as a kubelet does whose runtime is away.
"""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.cluster.binaries import Missing, kwok
from tests.cluster.controlplane import ControlPlane, Given
from tests.cluster.lab import Lab, lab

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(120, func_only=True)]


@pytest.fixture(params=["kubelet", "kwok"])
async def world(
    request: pytest.FixtureRequest, cluster: ControlPlane | Given, tmp_path: Path
) -> AsyncIterator[Lab]:
    try:
        program = kwok() if request.param == "kwok" else None
    except Missing as missing:
        pytest.skip(f"no kwok: {missing}")
    async with lab(cluster, tmp_path, kwok=program) as opened:
        yield opened


async def test_pods_that_are_there_and_pods_that_come_are_counted(world: Lab) -> None:
    first = world.node.botkube("botkube-0")
    world.write(first, 30)
    await world.agent()
    await world.writes(first, 2)
    second = world.node.botkube("botkube-1")
    await asyncio.gather(world.writes(first, 3), world.writes(second, 3))

    await world.all_counted()
    report = world.reports()[0]
    assert (report["botkube_version"], report["kubernetes_minor"]) == ("v1.14.0", "1.34")


async def test_a_log_that_is_rotated_under_its_reader_is_read_on(world: Lab) -> None:
    pod = world.node.botkube()
    await world.agent()
    for _ in range(3):
        await world.writes(pod, 1)
        pod.rotate()
    await world.writes(pod, 1)

    await world.all_counted()


async def test_a_line_longer_than_a_record_comes_in_one_piece(world: Lab) -> None:
    pod = world.node.botkube()
    await world.agent()
    world.write(pod, 5)
    line = b'{"level":"info","msg":"%s","time":"2025-06-18T08:28:13Z"}\n' % (b"x" * 50_000)
    pod.write(line, at=time.time_ns())
    world.lines += 1
    world.write(pod, 5)

    await world.all_counted()


async def test_a_container_that_crashes_is_read_to_its_end_and_so_is_the_next(world: Lab) -> None:
    pod = world.node.botkube()
    await world.agent()
    await world.writes(pod, 1)
    world.crash(pod)
    pod.back_off()
    await asyncio.sleep(1)
    pod.restart(at=time.time_ns())
    await world.writes(pod, 2)

    await world.all_counted()


async def test_the_previous_log_is_read_of_a_container_that_crashed_unseen(world: Lab) -> None:
    pod = world.node.botkube()
    agent = await world.agent()
    await world.writes(pod, 3)
    await agent.end(signal.SIGKILL)
    world.write(pod, 10)
    world.crash(pod)
    pod.restart(at=time.time_ns())
    world.write(pod, 10)
    await agent.start()

    await world.all_counted()
    assert [one for one in world.asked() if "previous=true" in one["requestURI"]]


async def test_an_agent_that_is_killed_again_and_again_counts_each_line_once(world: Lab) -> None:
    pod = world.node.botkube()
    agent = await world.agent()
    writing = asyncio.create_task(world.writes(pod, 12))
    for _ in range(3):
        await asyncio.sleep(3.5)
        await agent.end(signal.SIGKILL)
        await agent.start()
    await writing

    await world.all_counted()
