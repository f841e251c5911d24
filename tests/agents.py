"""A whole agent in the test's own process, against the simulated cluster and collector.

Owns starting and ending it, and a clock that moves with the turns of the loop, so that an hour of
an agent's life fits into half a minute without anybody sleeping, and a machine that stalls does not
let the agent's time run away from its work. Stamps of log lines come from the same clock.
"""

from __future__ import annotations

import asyncio
import random
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import attrs
import kubernetes_asyncio.config  # noqa: F401 loaded before any clock runs: it takes half a second
import orjson

from agent.election import run_elected
from agent.follow import Pace
from agent.ledger.directory import Directory
from agent.ledger.ledger import Ledger
from agent.lookout import Lookout
from agent.model import REPORT
from agent.on_node import run_on_node
from agent.options import Options, World
from agent.pipeline import Pipeline, run
from agent.rules import RuleSet
from agent.sink.destination import Destination
from agent.sink.http import open_session
from agent.sink.senders import make_sender
from agent.sink.wire import SendWhile
from agent.source.api import Access
from agent.state.lease import LeaseTimes
from tests.sim.botkube import Fact, generate, replay
from tests.sim.botkube_v1_14 import BotKubeV114
from tests.sim.cluster import Cluster
from tests.sim.collector import Collector
from tests.sim.faults import Reset
from tests.sim.pods import Pod

NANOS = 1_000_000_000
TURN_SECONDS = 0.1
"""How far the agent's clock moves in one turn of the loop, which takes a millisecond or more."""

WINDOW_SECONDS = 20
START = 1_800_000_000
PATIENCE_SECONDS = 50.0
PACE = Pace(
    tick=0.01,
    gather=0.0,
    status_wait=0.05,
    gap_confirm=0.1,
    silence=1.0,
    audit=20.0,
    retry=0.01,
    switches=1.0,
)
NAMESPACE = "botkube"
LEASE = "botkube-analytics"
KEYS = {
    "Command executed": ("platform", "command", "result"),
    "Command refused": ("platform", "reason"),
    "Event handled": ("platform",),
    "Notification failed": ("platform", "what"),
    "Integration enabled": ("platform", "type"),
    "Application crashed": ("kind",),
}


@attrs.define
class Clock:
    """Wall time that moves by `TURN_SECONDS` at each turn of the loop, and by hand."""

    moved: float = 0.0
    is_held: bool = False

    def seconds(self) -> float:
        return START + self.moved

    def monotonic(self) -> float:
        """Return the time of the clock that nobody sets; here it only moves with the other."""
        return self.seconds()

    def ns(self) -> int:
        return int(self.seconds() * NANOS)

    async def tick(self) -> None:
        while True:
            await _turn()
            if not self.is_held:
                self.moved += TURN_SECONDS


@attrs.define(eq=False)
class Agent:
    """A running agent; `pipeline` is there once it has begun, and only while it leads."""

    stop: asyncio.Event
    task: asyncio.Task[None]
    ledger: Ledger
    pipeline: Pipeline | None = None
    terms: int = 0
    lookout: Lookout = attrs.field(factory=Lookout)

    def start(self, pipeline: Pipeline) -> None:
        self.pipeline = pipeline
        self.terms += 1

    def stand_by(self) -> None:
        self.pipeline = None


@attrs.define(eq=False, repr=False)
class Lab:
    """The cluster, the collector, the clock, and where agents keep their State."""

    cluster: Cluster
    collector: Collector
    clock: Clock
    folder: Path
    ruleset: RuleSet
    changes: dict[str, Any] = attrs.field(factory=dict)
    token: str = ""
    ledger_path: Path | None = None

    def sender(self, session: aiohttp.ClientSession) -> SendWhile:
        """Return what sends to the destination of the options."""
        return make_sender(
            self.options().destination, session, key="write-key", agent_version="test"
        )

    @asynccontextmanager
    async def agent(
        self,
        *,
        sends: bool = True,
        seed: int = 1,
        waits: bool = True,
        wrong_seconds: float = 0.0,
        check: Callable[[], None] = lambda: None,
        node: str | None = None,
    ) -> AsyncIterator[Agent]:
        """Run an agent; leaving without `finish` kills it as SIGKILL would.

        It has begun when the body runs, unless `waits` is off. `wrong_seconds` is how far its wall
        clock is out; `check` is the pipeline's, without a lease; `node` is where it runs.
        """
        stop = asyncio.Event()
        async with open_session("test") as session:

            def started(pipeline: Pipeline) -> None:
                agent.start(pipeline)

            def stand_by() -> None:
                agent.stand_by()

            lookout = Lookout()
            ledger = Ledger(Directory(self.ledger_path) if self.ledger_path else None)
            await ledger.load()
            life = self.life(
                self.sender(session) if sends else None,
                seed=seed,
                started=started,
                stand_by=stand_by,
                stop=stop,
                ledger=ledger,
                wrong_seconds=wrong_seconds,
                check=check,
                node=node,
                lookout=lookout,
            )
            agent = Agent(stop, asyncio.create_task(life), ledger, lookout=lookout)
            _LIVING.add(agent.task)
            try:
                if waits:
                    await until(lambda: agent.pipeline is not None)
                yield agent
            finally:
                await self.kill(agent)

    def life(
        self,
        send: SendWhile | None,
        *,
        seed: int,
        started: Callable[[Pipeline], None],
        stand_by: Callable[[], None],
        stop: asyncio.Event,
        ledger: Ledger,
        wrong_seconds: float = 0.0,
        check: Callable[[], None] = lambda: None,
        node: str | None = None,
        lookout: Lookout | None = None,
    ) -> Coroutine[None, None, None]:
        """Return the life of an agent, elected or alone as the options say."""
        ids = random.Random(seed)
        world = World(
            lambda: self.clock.seconds() + wrong_seconds,
            random.Random(seed),
            lambda: uuid.UUID(int=ids.getrandbits(128), version=4),
            ids.randbytes,
            self.clock.monotonic,
        )
        options = self.options()
        if options.slots:
            options = attrs.evolve(options, node=node or options.node)
        since, saw_none, lookout = world.monotonic(), False, lookout or Lookout()

        def see_none() -> None:
            nonlocal saw_none
            saw_none = True

        def term(check: Callable[[], None] = check) -> Coroutine[None, None, None]:
            return run(
                options,
                self.ruleset,
                world,
                send=send,
                started=started,
                stop=stop,
                ledger=ledger,
                lookout=lookout,
                check=check,
                standing_since=since,
                saw_none=saw_none,
            )

        if not options.slots and options.lease_name is None:
            return term()
        in_turn = (
            partial(run_on_node, none_here=see_none, answers={}) if options.slots else run_elected
        )
        return in_turn(
            options,
            world,
            term,
            stand_by=stand_by,
            lead=lambda: None,
            stop=stop,
            lookout=lookout,
        )

    async def kill(self, agent: Agent) -> None:
        """End an agent as SIGKILL would: it cannot even release its lease."""
        _LIVING.discard(agent.task)
        faults = self.cluster.server.faults
        unsaid = faults.add(Reset(), path="/leases/", times=None)
        agent.task.cancel()
        await asyncio.gather(agent.task, return_exceptions=True)
        faults.schedules.remove(unsaid)
        agent.pipeline = None

    async def finish(self, agent: Agent) -> None:
        """Stop an agent as SIGTERM would, and let it end."""
        agent.stop.set()
        await agent.task

    def options(self) -> Options:
        kubeconfig = self.folder / "kubeconfig"
        kubeconfig.write_bytes(orjson.dumps(self.cluster.server.kubeconfig(self.token)))
        options = Options(
            access=Access(str(kubeconfig)),
            namespaces=(NAMESPACE,),
            selectors=("app=botkube,component=controller",),
            containers=frozenset({"botkube"}),
            deployments=("botkube",),
            node=None,
            window_seconds=WINDOW_SECONDS,
            commit_seconds=0,
            quiet_period_seconds=0,
            cluster_id="uuid5",
            state_path=self.folder / "state.json",
            state_namespace=NAMESPACE,
            state_name="botkube-analytics-state",
            installation_name="botkube-analytics-installation",
            agent_version="test",
            destination=Destination(endpoint=self.collector.url),
            pace=PACE,
            # Waits are the loop's, the others the agent's clock's.
            lease_times=LeaseTimes(retry=0.02, attempt=1.0),
        )
        return attrs.evolve(options, **self.changes)

    def counted(self) -> Counter[Fact]:
        """Return what the collector accepted, in the words of the writers' truth."""
        facts: Counter[Fact] = Counter()
        for event in self.collector.accepted:
            keys = KEYS.get(event.get("event", ""))
            if keys is not None:
                properties = {key: event["properties"][key] for key in keys}
                facts[event["event"], tuple(sorted(properties.items()))] += event["properties"][
                    "count"
                ]
        return facts

    def arrays(self) -> list[bytes]:
        """Return the `batch` arrays that were received, byte for byte as they stood in requests."""
        bodies = [one.text for one in self.collector.requests]
        return [body[len(b'{"batch":') : body.rindex(b',"context":')] for body in bodies]

    def reports(self) -> list[Mapping[str, Any]]:
        """Return the properties of the accepted Collection reports, in order of `seq`."""
        found = [event["properties"] for event in self.collector.tracks(REPORT)]
        return sorted(found, key=lambda properties: properties["seq"])

    def gaps(self) -> Counter[str]:
        """Return the reported gap seconds by reason."""
        total: Counter[str] = Counter()
        for report in self.reports():
            for name, value in report.items():
                if name.startswith("gap_seconds_"):
                    total[name.removeprefix("gap_seconds_")] += value
        return total

    def lines(self) -> int:
        return sum(report["lines_read"] for report in self.reports())


@asynccontextmanager
async def lab(folder: Path, ruleset: RuleSet, **changes: object) -> AsyncIterator[Lab]:
    """Open a laboratory with one namespace for BotKube."""
    async with Cluster.running() as cluster:
        collector = Collector("write-key")
        async with collector.running():
            cluster.namespace(NAMESPACE)
            clock = Clock()
            cluster.server.date = clock.seconds
            ticking = asyncio.create_task(clock.tick(), name="clock")
            try:
                yield Lab(cluster, collector, clock, folder, ruleset, dict(changes))
            finally:
                ticking.cancel()


def write(pod: Pod, lab_: Lab, count: int, *, seed: int = 1) -> Counter[Fact]:
    """Let a pod write some actions at once, stamped a little apart; return their truth."""
    rng = random.Random(seed)
    writer = BotKubeV114(rng, cluster="test")
    now = lab_.clock.ns()
    times = (now + index * 1_000_000 for index in range(count))
    actions = list(generate(writer, rng, times))
    for action in actions:
        pod.play(action)
    return replay(actions)


def missing(truth: Counter[Fact], lab_: Lab) -> dict[Fact, tuple[int, int]]:
    """Return where truth and counts differ: (written, counted)."""
    counted = lab_.counted()
    return {
        key: (truth[key], counted[key])
        for key in truth.keys() | counted.keys()
        if truth[key] != counted[key]
    }


_LIVING: set[asyncio.Task[None]] = set()


async def until(is_true: Callable[[], bool], *, fenced: bool = False) -> None:
    """Give the loop turns until something is true; fail if it takes too long or an agent dies.

    `fenced` says that an agent may die because another has taken over.
    """
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not is_true():
            await _turn()
            for task in _LIVING:
                if not fenced and task.done() and task.exception() is not None:
                    await task


async def after(lab_: Lab, seconds: float) -> None:
    """Give the loop turns until the agent's clock has moved on by so much."""
    then = lab_.clock.seconds() + seconds
    await until(lambda: lab_.clock.seconds() >= then)


async def _turn() -> None:
    # A millisecond of the loop's time, so that sockets are served between the looks.
    await asyncio.sleep(0.001)
