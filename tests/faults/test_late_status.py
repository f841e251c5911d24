"""Restarts that no status tells of for a while: whose lines they were is told by their content."""

from __future__ import annotations

import asyncio
import tempfile
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path

import attrs
import pytest

from agent.model import CRASHED, Format
from tests.agents import NAMESPACE, NANOS, START, Lab
from tests.faults import virtual
from tests.faults.simulation import open_lab
from tests.faults.words import WORDS, say
from tests.sim.faults import Answer, Delay, Scheduled
from tests.sim.pods import Pod

sleep = asyncio.sleep


@attrs.define(eq=False)
class Node:
    """A container whose status may come late."""

    lab: Lab
    pod: Pod
    truth: Counter[str] = attrs.field(factory=Counter)
    crashes: int = 0
    _hidden: tuple[asyncio.Event, Scheduled] | None = None

    def now(self) -> int:
        return int((START + asyncio.get_running_loop().time()) * NANOS)

    async def write(self, count: int) -> None:
        for _ in range(count):
            word = WORDS[sum(self.truth.values()) % len(WORDS)]
            text = say("said", word, at_seconds=self.now() // NANOS, shape=Format.LOGFMT)
            self.pod.write(text + b"\n", at=self.now())
            self.truth[word] += 1
            await sleep(3)

    async def restart(self) -> None:
        """Crash and run again, and write so much that the gap is believed."""
        self.crashes += 1
        self.pod.crash(at=self.now())
        self.pod.restart(at=self.now())
        await self.write(20)
        await sleep(30)

    def hide_status(self) -> None:
        server, shown = self.lab.cluster.server, asyncio.Event()
        server.faults.add(Delay(until=shown), path="/pods$", verb="watch")
        server.end_watches()
        self._hidden = shown, server.faults.add(Answer(503), path="/pods/[^/]+$", times=None)

    def show_status(self) -> None:
        assert self._hidden is not None
        shown, asked = self._hidden
        self.lab.cluster.server.faults.schedules.remove(asked)
        shown.set()

    async def settle(self) -> None:
        await sleep(900)
        await self.write(3)
        await sleep(900)


def play(scene: Callable[[Node], Awaitable[None]]) -> None:
    """Play a scene; each line must then have been counted once, and each crash."""

    async def run() -> None:
        with tempfile.TemporaryDirectory() as folder:
            async with open_lab(Path(folder)) as lab:
                pod = lab.cluster.botkube(NAMESPACE, at=START * NANOS)
                node = Node(lab, pod)
                await scene(node)
                _compare(node)

    virtual.run(run(), seed=1)


def _compare(node: Node) -> None:
    crashes, words = 0, Counter[str]()
    for event in node.lab.collector.accepted:
        count = event.get("properties", {}).get("count", 0)
        if event.get("event") == CRASHED:
            crashes += count
        elif event.get("event") == "Said":
            words[event["properties"]["word"]] += count

    assert words == node.truth
    assert node.lab.lines() == sum(node.truth.values())
    assert crashes == node.crashes


@pytest.mark.parametrize("restarts", [1, 2])
def test_restarts_behind_one_late_status_are_told_apart(restarts: int) -> None:
    async def scene(node: Node) -> None:
        async with node.lab.agent():
            await node.write(20)
            await sleep(200)
            node.hide_status()
            await sleep(1)
            for _ in range(restarts):
                await node.restart()
            node.show_status()
            await node.settle()

    play(scene)


@pytest.mark.parametrize("is_killed", [False, True])
def test_an_agent_that_starts_again_behind_a_late_status_tells_them_apart(
    *, is_killed: bool
) -> None:
    async def scene(node: Node) -> None:
        async with node.lab.agent() as agent:
            await node.write(20)
            await sleep(200)
            node.hide_status()
            await sleep(1)
            await node.restart()
            await (node.lab.kill(agent) if is_killed else node.lab.finish(agent))
            node.show_status()
        async with node.lab.agent(seed=2):
            await node.settle()

    play(scene)
