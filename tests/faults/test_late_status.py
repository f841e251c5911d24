"""Restarts that no status tells of for a while: whose lines they were is told by their content."""

from __future__ import annotations

import asyncio
import tempfile
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path

import attrs
import pytest

from agent.follow import Pace
from agent.model import CRASHED, Format
from agent.rules import RuleSet
from tests.agents import NAMESPACE, NANOS, START, Lab
from tests.faults import virtual
from tests.faults.simulation import WINDOW_SECONDS, is_follow, open_lab
from tests.faults.words import WORDS, say
from tests.sim.faults import (
    Answer,
    Call,
    Delay,
    Fault,
    Scheduled,
    eof_after,
    hang_after,
    in_band,
)
from tests.sim.pods import Pod
from tests.sim.store import PODS

sleep = asyncio.sleep
SETTLE_SECONDS = 4 * WINDOW_SECONDS
MAX_AGE_SECONDS = Pace().max_age[1]
"""By then each stream has been opened anew."""


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

    def hide_status(self, *, is_object_known: bool = True) -> None:
        """Let the watch fall silent, and the object stay as it is, or not be had at all."""
        server, shown = self.lab.cluster.server, asyncio.Event()
        server.faults.add(Delay(until=shown), path="/pods$", verb="watch")
        server.end_watches()
        stale = Answer(200, server.store.get(PODS, NAMESPACE, self.pod.name))
        answer = stale if is_object_known else Answer(503)
        self._hidden = shown, server.faults.add(answer, path="/pods/[^/]+$", times=None)

    def show_status(self) -> None:
        assert self._hidden is not None
        shown, asked = self._hidden
        self.lab.cluster.server.faults.schedules.remove(asked)
        shown.set()

    async def settle(self, seconds: float = SETTLE_SECONDS) -> None:
        await sleep(seconds)
        await self.write(3)
        await sleep(seconds)


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


async def restart_behind_a_late_status(node: Node) -> None:
    await node.write(20)
    await sleep(200)
    node.hide_status()
    await sleep(1)
    await node.restart()


def _compare(node: Node) -> None:
    crashes, words = 0, Counter[str]()
    for event in node.lab.collector.accepted:
        count = event.get("properties", {}).get("count", 0)
        if event.get("event") == CRASHED:
            crashes += count
        elif event.get("event") in {"Said", "Asked"}:
            words[event["properties"]["word"]] += count

    assert words == node.truth
    assert node.lab.lines() == sum(node.truth.values())
    assert crashes == node.crashes


@pytest.mark.parametrize(("restarts", "is_object_known"), [(1, True), (2, True), (2, False)])
def test_restarts_behind_one_late_status_are_told_apart(
    restarts: int, *, is_object_known: bool
) -> None:
    async def scene(node: Node) -> None:
        async with node.lab.agent():
            await node.write(20)
            await sleep(200)
            node.hide_status(is_object_known=is_object_known)
            await sleep(1)
            for _ in range(restarts):
                await node.restart()
            node.show_status()
            await node.settle(MAX_AGE_SECONDS / 2)

    play(scene)


@pytest.mark.parametrize("is_killed", [False, True])
def test_an_agent_that_starts_again_behind_a_late_status_tells_them_apart(
    *, is_killed: bool
) -> None:
    async def scene(node: Node) -> None:
        async with node.lab.agent() as agent:
            await restart_behind_a_late_status(node)
            await (node.lab.kill(agent) if is_killed else node.lab.finish(agent))
            node.show_status()
        async with node.lab.agent(seed=2):
            await node.settle()

    play(scene)


def _is_short(call: Call) -> bool:
    return not is_follow(call)


def _asks_for_current(call: Call) -> bool:
    return _is_short(call) and "previous" not in call.query


@pytest.mark.parametrize(
    ("fault", "times"),
    [
        pytest.param(in_band("rpc error: Unknown", after_lines=0), 2, id="text"),
        pytest.param(in_band("rpc error: Unknown\n", after_lines=0), 2, id="line of text"),
        pytest.param(eof_after(1), 2, id="no whole line"),
        pytest.param(eof_after(0), 1, id="nothing"),
    ],
)
def test_a_reply_that_does_not_say_whose_lines_they_are_is_asked_for_again(
    fault: Fault, times: int
) -> None:
    async def scene(node: Node) -> None:
        async with node.lab.agent():
            await restart_behind_a_late_status(node)
            node.lab.cluster.server.faults.add(fault, path="/log", when=_is_short, times=times)
            node.show_status()
            await node.settle()

    play(scene)


def test_a_log_that_is_said_not_to_be_there_is_asked_for_as_long_as_any() -> None:
    """The instance runs, so that it is the answer that is wrong."""

    async def scene(node: Node) -> None:
        faults = node.lab.cluster.server.faults
        async with node.lab.agent():
            await restart_behind_a_late_status(node)
            asked = faults.add(Answer(404), path="/log", when=_asks_for_current, times=None)
            node.show_status()
            await sleep(60)
            faults.schedules.remove(asked)
            await node.settle()

    play(scene)


def test_of_a_long_reply_so_much_is_read_as_says_whose_lines_they_are() -> None:
    """The rest may be larger than what fits into memory; here it never comes."""

    async def scene(node: Node) -> None:
        async with node.lab.agent():
            await node.write(20)
            await sleep(70)
        await node.restart()
        hangs, before = hang_after(lines=10), len(node.lab.cluster.server.calls)
        asked = node.lab.cluster.server.faults.add(hangs, path="/log", when=_asks_for_current)
        async with node.lab.agent(seed=2):
            await sleep(20)
            assert asked.seen
            assert any(map(is_follow, node.lab.cluster.server.calls[before:]))
            await node.settle()

    play(scene)


@pytest.mark.parametrize("is_all", [False, True], ids=["short reads", "all"])
def test_an_outage_of_the_log_behind_a_late_status_is_waited_out(*, is_all: bool) -> None:
    async def scene(node: Node) -> None:
        server = node.lab.cluster.server
        async with node.lab.agent():
            await restart_behind_a_late_status(node)
            outage = server.faults.add(
                Answer(503), path="/log", when=None if is_all else _is_short, times=None
            )
            if is_all:
                server.order_streams("reset")
            node.show_status()
            await sleep(400)
            server.faults.schedules.remove(outage)
            await node.settle()

    play(scene)


@pytest.mark.parametrize("status", [400, 503])
def test_a_log_that_cannot_be_asked_for_holds_windows_no_longer_than_another(status: int) -> None:
    async def scene() -> None:
        with tempfile.TemporaryDirectory() as folder:
            async with open_lab(Path(folder)) as lab:
                node = Node(lab, lab.cluster.botkube(NAMESPACE, at=START * NANOS))
                async with lab.agent():
                    await node.write(20)
                    await sleep(200)
                    node.hide_status()
                    await sleep(1)
                    await node.restart()
                    lab.cluster.server.faults.add(Answer(status), path="/log", times=None)
                    node.show_status()
                    shown = node.now() // NANOS
                    await sleep(800)
                    ends = [one["window_end"] for one in lab.reports()]
        newest = max(datetime.fromisoformat(end).timestamp() for end in ends)
        assert newest > shown + 60

    virtual.run(scene(), seed=1)


PANIC = (
    b"panic: runtime error: invalid memory address or nil pointer dereference\n\n"
    b"goroutine 1 [running]:\nmain.main()\n\t/app/main.go:1 +0x1\n"
)


@pytest.mark.parametrize("is_started_again", [False, True])
@pytest.mark.parametrize(
    ("panics", "others", "others_again"),
    [
        pytest.param([True, False], ["killed"], ["killed"], id="old"),
        pytest.param([False, True], ["unknown"], ["unknown"], id="new"),
        pytest.param(
            [False, True, False], ["unknown", "killed"], ["unseen", "killed"], id="middle"
        ),
        pytest.param([True, True, False], ["killed"], ["killed"], id="old-and-middle"),
        pytest.param(
            [False, False, True], ["unknown", "unknown"], ["unseen", "unknown"], id="newest"
        ),
    ],
)
def test_last_words_are_those_of_the_instance_that_said_them(
    ruleset: RuleSet,
    panics: list[bool],
    others: list[str],
    others_again: list[str],
    *,
    is_started_again: bool,
) -> None:
    """Whichever panics behind the late status, another one's end is not called so.

    The first of three that an agent which starts again finds skipped is `unseen`.
    """

    async def panic(node: Node) -> None:
        node.pod.write(PANIC, at=node.now())
        await sleep(5)

    async def last(node: Node) -> None:
        await sleep(SETTLE_SECONDS)
        node.pod.crash(at=node.now(), exit_code=137)
        node.pod.restart(at=node.now())
        await node.settle()

    async def scene(node: Node) -> Counter[str]:
        async with node.lab.agent() as agent:
            await node.write(20)
            await sleep(200)
            node.hide_status()
            await sleep(1)
            for number, does_panic in enumerate(panics):
                if number:
                    await node.restart()
                if does_panic:
                    await panic(node)
            if is_started_again:
                await node.lab.kill(agent)
            node.show_status()
            if not is_started_again:
                await last(node)
        if is_started_again:
            async with node.lab.agent(seed=2):
                await last(node)
        return kinds(node.lab)

    async def run() -> Counter[str]:
        with tempfile.TemporaryDirectory() as folder:
            async with open_lab(Path(folder)) as lab:
                lab.ruleset = ruleset
                pod = lab.cluster.botkube(NAMESPACE, at=START * NANOS)
                return await scene(Node(lab, pod))

    found = virtual.run(run(), seed=1)

    expected = others_again if is_started_again else others
    assert found == Counter(["nil_pointer"] * sum(panics) + expected)


def kinds(lab: Lab) -> Counter[str]:
    kinds = Counter[str]()
    for event in lab.collector.tracks(CRASHED):
        kinds[event["properties"]["kind"]] += event["properties"]["count"]
    return kinds
