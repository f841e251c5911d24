"""How long an off in the cluster takes, and a stop: a real cluster's waits, in virtual time."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from agent.model import Format
from agent.source.switches import ANNOTATION
from tests.agents import NAMESPACE, Agent, Lab
from tests.faults import virtual
from tests.faults.simulation import open_lab
from tests.faults.words import WORDS, say
from tests.sim.faults import Delay, HalfOpen
from tests.sim.pods import Pod
from tests.sim.store import NAMESPACES

MINUTE = 60.0
OTHERS = tuple(f"team-{at:02}" for at in range(11))
SLOW_SECONDS = 8.0
"""36 switches, 16 at a time: three rounds, which a look of 25 seconds has just room for."""


@pytest.mark.parametrize("wait", [4.0, 28.0])
def test_an_off_stops_reading_within_a_minute_although_the_cluster_is_slow_and_busy(
    tmp_path: Path, wait: float
) -> None:
    """Wherever between two looks it is set; BotKube writes all the time."""
    reading, sending = virtual.run(_switch_off(tmp_path, wait), seed=int(wait * 10))

    assert 0 < reading < MINUTE
    assert sending < MINUTE


def test_a_stop_ends_in_time_although_state_cannot_be_written(tmp_path: Path) -> None:
    """In five seconds a Lease must have been released as well."""
    assert virtual.run(_stop(tmp_path), seed=1) < 5


async def _stop(folder: Path) -> float:
    clock = asyncio.get_running_loop().time
    async with open_lab(folder) as lab:
        pod = lab.cluster.botkube(NAMESPACE, at=lab.clock.ns())
        async with lab.agent() as agent:
            busy = asyncio.create_task(_write(lab, pod))
            await asyncio.sleep(MINUTE)
            busy.cancel()
            lab.cluster.server.faults.add(HalfOpen(), path="/configmaps", times=None)
            began = clock()
            await lab.finish(agent)
            return clock() - began


async def _switch_off(folder: Path, wait: float) -> tuple[float, float]:
    """Return how many seconds after the off the last line was read, and the last batch sent."""
    clock = asyncio.get_running_loop().time
    async with open_lab(folder) as lab:
        lab.changes["namespaces"] = (NAMESPACE, *OTHERS)
        for name in OTHERS:
            lab.cluster.namespace(name)
        pod = lab.cluster.botkube(NAMESPACE, at=lab.clock.ns())
        async with lab.agent() as agent:
            busy = asyncio.create_task(_write(lab, pod))
            await asyncio.sleep(2 * MINUTE)
            assert lab.collector.requests
            lab.cluster.server.faults.add(
                Delay(seconds=SLOW_SECONDS),
                when=lambda call: call.verb == "get" and call.subresource != "log",
                times=None,
            )
            await asyncio.sleep(MINUTE + wait)
            began = clock()
            patch = {"metadata": {"annotations": {ANNOTATION: "true"}}}
            lab.cluster.server.store.merge(NAMESPACES, "", OTHERS[-1], patch)
            read, sent = await _last(lab, agent, until=began + 3 * MINUTE)
            busy.cancel()
    return read - began, sent - began


async def _last(lab: Lab, agent: Agent, *, until: float) -> tuple[float, float]:
    """Return when the last line was read and the last request was received."""
    clock = asyncio.get_running_loop().time
    assert agent.pipeline is not None
    counting = agent.pipeline.counting
    seen, at = (counting.lines, len(lab.collector.requests)), [clock(), clock()]
    while clock() < until:
        await asyncio.sleep(0.5)
        now = (counting.lines, len(lab.collector.requests))
        at = [clock() if new > old else last for new, old, last in zip(now, seen, at, strict=True)]
        seen = now
    return at[0], at[1]


async def _write(lab: Lab, pod: Pod) -> None:
    while True:
        for word in WORDS[:10]:
            at = int(lab.clock.seconds())
            pod.write(
                say("said", word, at_seconds=at, shape=Format.LOGFMT) + b"\n", at=lab.clock.ns()
            )
        await asyncio.sleep(1)
