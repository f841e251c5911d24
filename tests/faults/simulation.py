"""Whole agents in virtual time: the ordinary pipeline, the simulated servers, pipes of memory.

A schedule comes from its seed alone. Schedules that lose nothing must count everything and report
no gap; those that rotate and remove logs must count nothing twice and report a gap for what lacks.
"""

from __future__ import annotations

import asyncio
import random
import tempfile
from base64 import b64decode
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import attrs

from agent.follow import Pace
from agent.model import CRASHED, Format
from agent.source.api import ApiError
from agent.state.document import Document, decode
from agent.state.store import Conflict, StateError
from tests.agents import NAMESPACE, NANOS, START, Clock, Lab
from tests.faults import virtual
from tests.faults.truth import Wrong
from tests.faults.words import WORDS, say, word_rules
from tests.sim.apiserver import ApiOptions
from tests.sim.cluster import Cluster
from tests.sim.collector import Collector
from tests.sim.faults import (
    Answer,
    Call,
    Delay,
    Fault,
    HalfOpen,
    LoseResponse,
    Reset,
    eof_after,
    hang_after,
    in_band,
    reset_after,
)
from tests.sim.pods import Pod
from tests.sim.status import ApiError as SimulatedError
from tests.sim.store import CONFIGMAPS

SHAPES = (Format.LOGFMT, Format.TEXT, Format.JSON)
VERBS = ("said", "said", "said", "asked", "answered")
STEPS = 24
WINDOW_SECONDS = 60
DRAIN_SECONDS = 40 * 60
COMMIT_SECONDS = 5
ROTATION_SECONDS = 5
REUSE_CHANCE = 0.1
LOSS_CHANCE = 0.15
FIND_CHANCE = 0.4


class LoopClock(Clock):
    """Wall time: the loop's, and by how much it was set wrong."""

    def seconds(self) -> float:
        return super().seconds() + asyncio.get_running_loop().time()

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()


@attrs.define(eq=False)
class Stage:
    """One schedule: the lab, the pod and what it wrote, the agents that run.

    `crashed` are the container instances that have crashed, also since their runtime lost them;
    `unsure` those of them that it found again, maybe before anybody has seen that.
    """

    rng: random.Random
    lab: Lab
    loses: bool
    reuses: random.Random | None = None
    losses: random.Random | None = None
    pod: Pod = attrs.field(init=False)
    truth: Counter[str] = attrs.field(factory=Counter)
    lines: int = 0
    agents: list[asyncio.Task[None]] = attrs.field(factory=list)
    started: int = 0
    crashed: set[str] = attrs.field(factory=set)
    unsure: set[str] = attrs.field(factory=set)
    is_lost: bool = False
    excused: set[str] = attrs.field(factory=set)
    is_restarted: bool = False
    skew_ns: int = 0
    rotated_ns: int = 0
    trace: list[str] = attrs.field(factory=list)

    def __attrs_post_init__(self) -> None:
        self.skew_ns = self.rng.choice((0, 0, 1, -1)) * NANOS
        self.pod = self.lab.cluster.botkube(NAMESPACE, at=self.now())

    def now(self) -> int:
        """Return the time on the node."""
        return int((START + asyncio.get_running_loop().time()) * NANOS) + self.skew_ns

    # --- the node ---

    def write(self, count: int) -> None:
        before = self.crashed - {self.pod.container_id()}
        shape = SHAPES[len(before) % len(SHAPES)]
        for _ in range(count):
            verb, word = self.rng.choice(VERBS), self.rng.choice(WORDS)
            text = say(verb, word, at_seconds=self.now() // NANOS, shape=shape) + b"\n"
            self.pod.write(text, at=self.now())
            self.truth[word] += verb != "answered"
            self.lines += text.count(b"\n")

    async def crash(self) -> None:
        """Panic, wait in back-off for a while or not at all, start again."""
        if self.pod.names_dead() and not self.loses:
            return  # the node keeps one dead instance: a second one may be gone before it is read
        if not self._restarts_are_known():
            return  # what ended before State knew of the container leaves no trace
        self._find()
        self._note_end()
        self.pod.crash(at=self.now(), exit_code=2)
        if self.rng.random() < 0.5:
            await self.sleep(0, 5)
            self.pod.back_off()
            await self.sleep(0, 30)
        self.pod.restart(at=self.now())

    async def rotate(self) -> None:
        # What was rotated away before State knew anything of an instance leaves no trace, nor
        # does a file that is gone while a stream hardly lags.
        is_soon = self.now() - self.rotated_ns < ROTATION_SECONDS * NANOS
        may_rotate = self.loses and not (is_soon or self.is_lost)
        if may_rotate and self._is_known(self.pod.container_id()):
            self.pod.rotate()
            self.rotated_ns = self.now()

    async def replace(self) -> None:
        """Delete the pod; another one gets its name, as a StatefulSet's does."""
        # A crash that no status has shown yet goes with the pod and leaves no trace.
        if self.loses and not self.is_restarted and self._is_known(self.pod.container_id()):
            self._note("replace")
            self.pod.remove(at=self.now())
            await self.sleep(0, 10)
            self.pod = self.lab.cluster.botkube(NAMESPACE, at=self.now())

    def lose_or_find(self, losses: random.Random) -> None:
        """Let the runtime lose what runs, or find what it lost, or run another in its place."""
        chance = losses.random()
        if not self.is_lost and chance < LOSS_CHANCE and self._restarts_are_known():
            self._note("lose")
            if not self.pod.names_dead():
                self.crashed.add(self.pod.container_id())  # the kubelet counts a restart
            self.pod.lose()
            self.is_lost = self.is_restarted = True
            # If it is found late, and if its log is still to be asked about lines in between.
            self.excused |= {"restarted", "overtaken"}
        elif self.is_lost and chance < FIND_CHANCE:
            self._find()
        elif self.is_lost and self.loses:
            self._note("replace lost")
            self._note_end()
            self.pod.replace_lost(at=self.now())
            self.is_lost = False

    def _find(self) -> None:
        if self.is_lost:
            self._note("find")
            self.pod.find()
            self.is_lost = False
            self.unsure |= self.crashed & {self.pod.container_id()}

    def _note_end(self) -> None:
        """Note that what runs ends, and for sure: a status will say so, or a restart count."""
        self.crashed.add(self.pod.container_id())
        self.unsure.discard(self.pod.container_id())
        self.is_restarted = True

    def _note(self, step: str) -> None:
        self.trace.append(f"{asyncio.get_running_loop().time():.3f} {step}")

    def _is_known(self, container_id: str) -> bool:
        """Whether State holds a place in this instance's log."""
        document = self._state()
        cursor = document and document.cursors.get(f"{self.pod.uid}/{container_id}")
        return bool(cursor and cursor.total)

    def _restarts_are_known(self) -> bool:
        document = self._state()
        return document is not None and any(
            key.startswith(self.pod.uid) for key in document.restarts
        )

    def _state(self) -> Document | None:
        store = self.lab.cluster.server.store
        with suppress(SimulatedError):
            found = store.get(CONFIGMAPS, NAMESPACE, "botkube-analytics-state")
            data = (found.get("binaryData") or {}).get("state")
            return decode(b64decode(data)) if data else None
        return None

    # --- the wire ---

    async def fault(self) -> None:
        """Let some of the next requests of a kind go wrong."""
        rng, server = self.rng, self.lab.cluster.server
        kinds = ("follow", "follow", "short", "watch", "state", "object", "batch")
        kind: str = rng.choice(kinds)
        times = rng.choice((1, 1, 2, 4))
        match kind:
            case "follow":
                server.faults.add(self._stream_fault(), path="/log", when=is_follow, times=times)
            case "short":
                server.faults.add(
                    self._short_fault(), path="/log", when=lambda call: not is_follow(call),
                    times=times,
                )  # fmt: skip
            case "watch":
                server.faults.add(self._plain_fault(), path="/pods$", times=times)
            case "state":
                fault = rng.choice((LoseResponse(), Reset(), Answer(500), Answer(429), HalfOpen()))
                server.faults.add(fault, path="/configmaps", verb="update", times=times)
            case "object":
                server.faults.add(self._plain_fault(), path="/(pods|configmaps)/", verb="get")
            case _:
                fault = rng.choice((LoseResponse(), Reset(), Answer(503), Answer(429), HalfOpen()))
                self.lab.collector.faults.add(fault, path="/v1/batch", times=times)
        self.trace.append(f"fault {kind}")

    def _plain_fault(self) -> Fault:
        return self.rng.choice(
            (Reset(), Answer(500), Answer(503), Delay(seconds=self.rng.uniform(1, 15)))
        )

    def _short_fault(self) -> Fault:
        early = eof_after(self.rng.randint(0, 5000))
        return self.rng.choice((early, early, self._plain_fault()))

    def _stream_fault(self) -> Fault:
        rng = self.rng
        return rng.choice(
            (
                reset_after(rng.randint(0, 5000)),
                eof_after(rng.randint(0, 5000)),
                hang_after(lines=rng.randint(0, 30)),
                in_band("rpc error: code = Unknown", after_lines=rng.randint(0, 30)),
                Answer(500),
                Reset(),
            )
        )

    async def cut(self) -> None:
        self.lab.cluster.server.order_streams(self.rng.choice(("reset", "close", "eof", "hang")))

    async def expire(self) -> None:
        self.lab.cluster.server.expire_watches()

    # --- the agents ---

    async def start(self) -> None:
        """Start an agent; one that runs already will find that it was fenced off."""
        self.started += 1
        begun = asyncio.Event()
        self.agents.append(asyncio.create_task(self._live(self.started, begun)))
        await asyncio.wait([self.agents[-1], asyncio.create_task(begun.wait())], timeout=120,
                           return_when=asyncio.FIRST_COMPLETED)  # fmt: skip

    async def _live(self, seed: int, begun: asyncio.Event) -> None:
        async with self.lab.agent(seed=seed, waits=False) as agent:
            begun.set()
            try:
                await agent.task
            except* Conflict:
                self.trace.append(f"{seed} fenced")
            except* (StateError, ApiError) as group:
                self.trace.append(f"{seed} could not begin: {group.exceptions}")

    async def kill(self) -> None:
        """Kill one agent, and start another if that was the only one."""
        await self._end_one()
        await self.sleep(0, 20)
        if not self._living():
            await self.start()

    async def _end_one(self) -> None:
        living = self._living()
        if living:
            task = self.rng.choice(living)
            task.cancel()
            await asyncio.wait([task])

    def _living(self) -> list[asyncio.Task[None]]:
        for task in self.agents:
            if task.done() and not task.cancelled() and task.exception() is not None:
                task.result()
        return [task for task in self.agents if not task.done()]

    async def jump(self) -> None:
        """Set the agent's clock wrong; writers are on another machine."""
        self.lab.clock.moved = self.rng.choice((-40.0, 0.0, 3.0, 70.0))

    async def sleep(self, least: float, most: float) -> None:
        await asyncio.sleep(self.rng.uniform(least, most))

    async def play(self) -> None:
        """Play the schedule."""
        rng = self.rng
        steps: list[tuple[Callable[[], Awaitable[None]], int]] = [
            (self.fault, 10),
            (self.cut, 3),
            (self.kill, 3),
            (self.start, 2),
            (self.crash, 2),
            (self.rotate, 3),
            (self.expire, 1),
            (self.jump, 1),
        ]
        await self.start()
        for _ in range(STEPS):
            self.write(rng.choice((0, 1, 3, 20)))
            await self.sleep(0, rng.choice((0.1, 2, 30)))
            (step,) = rng.choices([one for one, _ in steps], [weight for _, weight in steps])
            self._note(step.__name__)
            await step()
            if self.reuses is not None and self.reuses.random() < REUSE_CHANCE:
                await self.replace()
            if self.losses is not None:
                self.lose_or_find(self.losses)
            if not self._living():
                await self.start()
        self._find()

    async def settle(self) -> None:
        """Let it all end well, and compare."""
        self.lab.cluster.server.faults.clear()
        self.lab.collector.faults.clear()
        self.lab.clock.moved = 0.0
        self.write(3)
        loop = asyncio.get_running_loop()
        until = loop.time() + DRAIN_SECONDS
        while loop.time() < until and not self._is_equal():
            await asyncio.sleep(10)
            if not self._living():
                await self.start()
        await asyncio.sleep(3 * WINDOW_SECONDS)
        self._compare()

    def _is_equal(self) -> bool:
        crashes, counted = self._counted()
        is_whole = (counted, self.lab.lines()) == (self.truth, self.lines)
        return is_whole and self._may_be(crashes)

    def _may_be(self, crashes: int) -> bool:
        return len(self.crashed - self.unsure) <= crashes <= len(self.crashed)

    def _counted(self) -> tuple[int, Counter[str]]:
        """Return how many crashes and which words the collector accepted."""
        crashes, words = 0, Counter[str]()
        for event in self.lab.collector.accepted:
            count = event.get("properties", {}).get("count", 0)
            if event.get("event") == CRASHED:
                crashes += count
            elif event.get("event") in {"Said", "Asked"}:
                words[event["properties"]["word"]] += count
        return crashes, words

    def _compare(self) -> None:
        (crashes, counted), truth = self._counted(), self.truth
        lines, gaps = self.lab.lines(), self.lab.gaps()
        if not self._may_be(crashes):
            raise Wrong(f"{len(self.crashed)} crashes, {crashes} counted; gaps {gaps}")
        twice = counted - truth
        if twice or lines > self.lines:
            raise Wrong(f"counted twice: {dict(twice)}, lines {lines} of {self.lines}; gaps {gaps}")
        lacking = truth - counted
        if self.loses:
            if (lacking or lines < self.lines) and not gaps:
                raise Wrong(f"lost without a word: {dict(lacking)}, lines {lines} of {self.lines}")
        elif lacking or lines < self.lines or set(gaps) - self.excused:
            raise Wrong(f"lost: {dict(lacking)}, lines {lines} of {self.lines}; gaps {gaps}")


def is_follow(call: Call) -> bool:
    return "follow" in call.query


@asynccontextmanager
async def open_lab(folder: Path, *, window_seconds: int = WINDOW_SECONDS) -> AsyncIterator[Lab]:
    """Open a laboratory whose agents wait as they do in a cluster, in virtual time."""
    clock = LoopClock()
    async with Cluster.running(ApiOptions(now=clock.ns)) as cluster:
        cluster.server.date = clock.seconds
        collector = Collector("write-key")
        async with collector.running():
            cluster.namespace(NAMESPACE)
            yield Lab(
                cluster,
                collector,
                clock,
                folder,
                word_rules(),
                {
                    "state_path": None,
                    "commit_seconds": COMMIT_SECONDS,
                    "window_seconds": window_seconds,
                    "pace": Pace(),
                },
            )


async def _play(seed: int, *, reuses_names: bool, loses_containers: bool) -> list[str]:
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory() as folder:
        async with open_lab(Path(folder)) as lab:
            stage = Stage(rng, lab, loses=rng.random() < 0.4)
            if reuses_names:
                stage.reuses = random.Random(f"{seed} names")
            if loses_containers:
                stage.losses = random.Random(f"{seed} losses")
            try:
                await stage.play()
                await stage.settle()
            except AssertionError as error:
                error.add_note(f"seed {seed}\n" + "\n".join(stage.trace))
                raise
            finally:
                for task in stage.agents:
                    task.cancel()
                await asyncio.gather(*stage.agents, return_exceptions=True)
            calls = [f"{call.verb} {call.path}" for call in lab.cluster.server.calls]
            return [*stage.trace, *calls]


def play(seed: int, *, reuses_names: bool = True, loses_containers: bool = True) -> list[str]:
    """Play the schedule of a seed; return what happened, to compare it with another run.

    Without `reuses_names` it is the schedule of before pods could get another's name, without
    `loses_containers` that of before their runtime could lose containers.
    """
    life = _play(seed, reuses_names=reuses_names, loses_containers=loses_containers)
    return virtual.run(life, seed=seed)
