"""A DaemonSet in virtual time: replicas on three nodes, pods that move, slots that are changed.

A schedule comes from its seed alone. Whatever happens, nothing counts twice, and what lacks is
reported. What is done to a slot is done to a living replica's: a copy that is put back while none
runs is `state_lost`, which is no matter of schedules.
"""

from __future__ import annotations

import asyncio
import random
import tempfile
from base64 import b64decode
from collections import Counter
from pathlib import Path

import attrs

from agent.model import Format
from agent.prefilter import make_prefilter
from agent.source.api import ApiError
from agent.start import FIRST_START_SECONDS
from agent.state.document import Document, decode
from agent.state.store import Conflict, StateError
from tests.agents import NAMESPACE, NANOS, START, Agent, Lab
from tests.faults import virtual
from tests.faults.simulation import open_lab
from tests.faults.truth import Wrong
from tests.faults.words import WORDS, say
from tests.sim.faults import Answer, Call, HalfOpen, LoseResponse, Reset
from tests.sim.pods import Pod
from tests.sim.store import CONFIGMAPS

NODES = ("node-1", "node-2", "node-3")
VERBS = ("said", "said", "asked", "answered")
STEPS = 22
SLOTS = (2, 3, 5, 8)
STATE = "botkube-analytics-state-"
DRAIN_SECONDS = 1200


@attrs.define(eq=False)
class Nodes:
    """One schedule: the pods and what they wrote, a replica on each node, and older copies."""

    rng: random.Random
    lab: Lab
    pods: dict[str, Pod] = attrs.field(factory=dict)
    truth: Counter[str] = attrs.field(factory=Counter)
    lines: int = 0
    lives: dict[str, asyncio.Task[None]] = attrs.field(factory=dict)
    agents: dict[str, Agent] = attrs.field(factory=dict)
    started: int = 0
    created: int = 0
    is_upgraded: bool = False
    copies: dict[str, str] = attrs.field(factory=dict)
    trace: list[str] = attrs.field(factory=list)

    def now(self) -> int:
        return int((START + asyncio.get_running_loop().time()) * NANOS)

    def note(self, what: str) -> None:
        self.trace.append(f"{asyncio.get_running_loop().time():.3f} {what}")

    # --- replicas ---

    def start(self, node: str) -> None:
        self.started += 1
        self.lives[node] = asyncio.create_task(self._live(node, self.started))

    async def _live(self, node: str, seed: int) -> None:
        async with self.lab.agent(seed=seed, waits=False, node=node) as agent:
            self.agents[node] = agent
            try:
                await agent.task
            except* (Conflict, StateError, ApiError) as group:
                self.note(f"{node} ended: {group.exceptions}")

    async def keep_alive(self) -> None:
        """Start again what has ended, as a kubelet would."""
        while True:
            await asyncio.sleep(1)
            for node, life in self.lives.items():
                if life.done() and not self.is_upgraded:
                    if not life.cancelled():
                        life.result()
                    self.start(node)

    async def kill_at_commit(self) -> None:
        """Kill a replica around the next write of a slot: before it, or before its answer."""
        if not (known := self._known()):
            return
        life, is_due = self.lives[self.rng.choice(known)], asyncio.Event()
        pause = self.rng.choice((0, 0.001, 0.01, 0.03))

        def note_write(call: Call) -> bool:
            if call.verb == "update" and call.name.startswith(STATE) and not is_due.is_set():
                is_due.set()
                asyncio.get_running_loop().call_later(pause, life.cancel)
            return False

        faults = self.lab.cluster.server.faults
        watching = faults.add(Reset(), path="/configmaps/", times=None, when=note_write)
        self.write()
        await asyncio.wait([life], timeout=100)
        faults.schedules.remove(watching)

    async def change_rules(self) -> None:
        """Take another rule set up in mid-stream, and perhaps die over it."""
        for agent in self.agents.values():
            if agent.pipeline is not None:
                rules = self.lab.ruleset
                agent.pipeline.change_rules(rules, make_prefilter(rules.literals))
        self.write()
        if (known := self._known()) and self.rng.random() < 0.5:
            await asyncio.sleep(self.rng.uniform(0, 1))
            self.lives[self.rng.choice(known)].cancel()

    async def upgrade(self) -> None:
        """Stop all replicas and start them with more or fewer slots, but no fewer than are held."""
        await asyncio.sleep(20)
        held = [int(name.removeprefix(STATE)) for name, one in self.slots().items() if one.holder]
        self.is_upgraded = True
        for agent in self.agents.values():
            agent.stop.set()
        await asyncio.wait(list(self.lives.values()), timeout=30)
        slots = self.rng.choice([one for one in SLOTS if one > max(held, default=0)])
        self.lab.changes.update(slots=slots)
        await asyncio.sleep(self.rng.uniform(0, 20))
        self.is_upgraded = False

    # --- slots ---

    def slots(self) -> dict[str, Document]:
        return {name: decode(b64decode(state)) for name, state in self._states().items()}

    def _states(self) -> dict[str, str]:
        found = self.lab.cluster.server.store.objects(CONFIGMAPS, NAMESPACE)
        return {
            one["metadata"]["name"]: one["binaryData"]["state"]
            for one in found
            if one["metadata"]["name"].startswith(STATE) and one.get("binaryData")
        }

    async def roll_back(self) -> None:
        """Put back an older copy that the same process wrote."""
        slots, copies = self.slots(), self.copies
        for name, copy in copies.items():
            older = decode(b64decode(copy))
            if name in slots and older.epoch == slots[name].epoch:
                self._put(name, {"state": copy})
        await self._let_write()

    async def wipe(self) -> None:
        """Empty a slot that a living replica holds.

        Not while another one begins in the first minutes: it may claim it before its holder writes
        again, who then begins at the head once more.
        """
        is_first = asyncio.get_running_loop().time() < FIRST_START_SECONDS + 60
        is_claimed = set(self._known()) == self.pods.keys()
        for name, slot in self.slots().items() if is_claimed or not is_first else ():
            if any(key.startswith(pod.uid) for key in slot.cursors for pod in self.pods.values()):
                self._put(name, None)
                break
        await self._let_write()

    def _put(self, name: str, data: dict[str, str] | None) -> None:
        self.note(f"put {name}")
        self.lab.cluster.server.store.merge(CONFIGMAPS, NAMESPACE, name, {"binaryData": data})

    async def _let_write(self) -> None:
        for _ in range(2):
            self.write()
            await asyncio.sleep(12)

    async def fault(self) -> None:
        fault = self.rng.choice((LoseResponse(), Reset(), Answer(500), Answer(429), HalfOpen()))
        faults, times = self.lab.cluster.server.faults, self.rng.choice((1, 2, 4))
        faults.add(fault, path="/configmaps", verb="update", times=times)

    # --- pods ---

    def write(self) -> None:
        for pod in self.pods.values():
            for _ in range(self.rng.choice((0, 1, 5, 20))):
                verb, word = self.rng.choice(VERBS), self.rng.choice(WORDS)
                text = say(verb, word, at_seconds=self.now() // NANOS, shape=Format.LOGFMT)
                pod.write(text + b"\n", at=self.now())
                self.truth[word] += verb != "answered"
                self.lines += 1

    def create(self) -> None:
        self.created += 1
        node = self.rng.choice([one for one in NODES if one not in self.pods])
        name = f"botkube-{self.created}"
        self.pods[node] = self.lab.cluster.botkube(NAMESPACE, at=self.now(), node=node, name=name)

    async def add(self) -> None:
        if len(self.pods) < len(NODES) - 1:
            self.create()

    async def move(self) -> None:
        """Let a pod that is known end on its node, by deletion or eviction; another one comes."""
        for _ in range(60):
            if known := self._known():
                break
            await asyncio.sleep(2)
        else:
            return
        await asyncio.sleep(45)
        pod = self.pods.pop(self.rng.choice(known))
        if self.rng.random() < 0.5:
            pod.evict(at=self.now())
        else:
            pod.begin_delete(at=self.now())
            pod.crash(at=self.now(), exit_code=0, reason="Completed")
            await asyncio.sleep(12)
            pod.remove(at=self.now())
        await asyncio.sleep(self.rng.choice((8, 100)))
        self.create()

    def _known(self) -> list[str]:
        """Return the nodes of whose pods a slot holds a place."""
        places = [
            key for one in self.slots().values() for key, at in one.cursors.items() if at.total
        ]
        return [
            node
            for node, pod in self.pods.items()
            if any(key.startswith(pod.uid) for key in places)
        ]

    # --- the schedule ---

    async def play(self) -> None:
        """Play the schedule, let it end well, and compare."""
        steps = (
            (self.kill_at_commit, 6), (self.change_rules, 4), (self.roll_back, 4), (self.wipe, 2),
            (self.upgrade, 2), (self.fault, 2), (self.add, 2), (self.move, 4),
        )  # fmt: skip
        for node in NODES:
            self.start(node)
        await asyncio.sleep(20)
        self.create()
        async with asyncio.TaskGroup() as group:
            living = group.create_task(self.keep_alive())
            for _ in range(STEPS):
                self.write()
                await asyncio.sleep(self.rng.choice((1, 5, 30)))
                (step,) = self.rng.choices([one for one, _ in steps], [many for _, many in steps])
                self.note(step.__name__)
                if step in (self.upgrade, self.move):
                    self.lab.cluster.server.faults.clear()
                await step()
                if self.rng.random() < 0.6:
                    self.copies = self._states()
            self.lab.cluster.server.faults.clear()
            until = asyncio.get_running_loop().time() + DRAIN_SECONDS
            while asyncio.get_running_loop().time() < until:
                if self._is_equal():
                    break
                await asyncio.sleep(10)
            await asyncio.sleep(180)
            living.cancel()
        self._compare()

    def _counted(self) -> Counter[str]:
        words = Counter[str]()
        for event in self.lab.collector.accepted:
            if event.get("event") in {"Said", "Asked"}:
                words[event["properties"]["word"]] += event["properties"]["count"]
        return words

    def _is_equal(self) -> bool:
        return (self._counted(), self.lab.lines()) == (self.truth, self.lines)

    def _compare(self) -> None:
        counted, lines, gaps = self._counted(), self.lab.lines(), self.lab.gaps()
        if counted - self.truth or lines > self.lines:
            raise Wrong(f"counted twice: {dict(counted - self.truth)}, {lines} of {self.lines}")
        if (self.truth - counted or lines < self.lines) and not gaps:
            raise Wrong(f"lost without a word: {dict(self.truth - counted)}, {lines} lines")


async def _play(seed: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with open_lab(Path(folder)) as lab:
            lab.changes.update(slots=5)
            nodes = Nodes(random.Random(f"{seed} nodes"), lab)
            try:
                await nodes.play()
            except BaseException as error:
                error.add_note(f"seed {seed}\n" + "\n".join(nodes.trace))
                raise
            finally:
                for life in nodes.lives.values():
                    life.cancel()
                await asyncio.gather(*nodes.lives.values(), return_exceptions=True)


def play(seed: int) -> None:
    """Play the schedule of a seed."""
    virtual.run(_play(seed), seed=seed)
