"""Real processes: the agent as it is installed, killed, stopped and cut off; its writers know."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import attrs
import pytest

from tests.agents import KEYS, NAMESPACE
from tests.faults.proxy import Proxy
from tests.sim.apiserver import ApiOptions
from tests.sim.botkube import Fact, generate
from tests.sim.botkube_v1_14 import BotKubeV114
from tests.sim.cluster import Cluster
from tests.sim.collector import Collector
from tests.sim.faults import LoseResponse
from tests.sim.store import CONFIGMAPS, LEASES

COMMIT_SECONDS = 1
FAIL_OVER_SECONDS = 20
LEASE = "botkube-analytics"
WINDOW_SECONDS = 2
DRAIN_SECONDS = 60


@attrs.define(eq=False)
class AgentProcess:
    """The agent as a process; what ends is started again, as a kubelet would."""

    environment: dict[str, str]
    log: Path
    process: asyncio.subprocess.Process | None = None
    starts: int = 0

    async def start(self) -> None:
        with self.log.open("ab") as output:
            self.process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "agent", "run",
                env=self.environment, stdout=output, stderr=output,
            )  # fmt: skip
        self.starts += 1

    async def kill(self) -> None:
        """SIGKILL, and the next one at once."""
        await self.end(signal.SIGKILL)
        await self.start()

    async def stop_for(self, seconds: float) -> None:
        """SIGSTOP, a while in which everything else goes on, SIGCONT."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)
        await asyncio.sleep(seconds)
        self.process.send_signal(signal.SIGCONT)

    async def end(self, number: signal.Signals) -> None:
        assert self.process is not None
        if self.process.returncode is None:
            self.process.send_signal(number)
        await self.process.wait()


@attrs.define(eq=False)
class Writers:
    """BotKube's side: what it wrote, which is the truth."""

    cluster: Cluster
    rng: random.Random
    truth: Counter[Fact] = attrs.field(factory=Counter)
    lines: int = 0

    async def write(self, stop: asyncio.Event) -> None:
        pod = self.cluster.botkube(NAMESPACE, at=time.time_ns(), version="v1.14.0")
        writer = BotKubeV114(self.rng, cluster="test")
        for action in generate(writer, self.rng, iter(time.time_ns, None)):
            if stop.is_set():
                return
            pod.play(action)
            self.truth.update(action.truth)
            self.lines += action.text.count(b"\n")
            await asyncio.sleep(self.rng.uniform(0.005, 0.05))

    @property
    def written(self) -> tuple[Counter[Fact], int]:
        return self.truth, self.lines


def counted(collector: Collector) -> tuple[Counter[Fact], int]:
    facts: Counter[Fact] = Counter()
    lines = 0
    for event in collector.accepted:
        if event.get("event") == "Collection report":
            lines += event["properties"]["lines_read"]
        elif (keys := KEYS.get(event.get("event", ""))) is not None:
            properties = {key: event["properties"][key] for key in keys}
            key = event["event"], tuple(sorted(properties.items()))
            facts[key] += event["properties"]["count"]
    return facts, lines


def gaps(collector: Collector) -> set[str]:
    return {
        name
        for event in collector.tracks("Collection report")
        for name in event["properties"]
        if name.startswith("gap_seconds_")
    }


def environment(folder: Path, api: str, collector: str) -> dict[str, str]:
    kubeconfig = folder / "kubeconfig"
    cluster = {"name": "c", "cluster": {"server": api}}
    context = {"name": "c", "context": {"cluster": "c", "user": "u"}}
    user = {"name": "u", "user": {}}
    config = {"apiVersion": "v1", "kind": "Config", "current-context": "c"}
    kubeconfig.write_text(
        json.dumps({**config, "clusters": [cluster], "contexts": [context], "users": [user]})
    )
    prefix = "BOTKUBE_ANALYTICS_"
    settings = {
        "KUBERNETES_KUBECONFIG": str(kubeconfig),
        "KUBERNETES_NAMESPACES": NAMESPACE,
        "STATE_NAMESPACE": NAMESPACE,
        "WINDOW_SECONDS": str(WINDOW_SECONDS),
        "COMMIT_SECONDS": str(COMMIT_SECONDS),
        "PRIVACY_QUIET_PERIOD_SECONDS": "0",
        "DESTINATION_ENDPOINT": collector,
        "DESTINATION_WRITE_KEY": "write-key",
        "HEALTH_HOST": "127.0.0.1",
        "HEALTH_PORT": "0",
        # Another run on this machine may have the usual one, and then the agent ends at once.
        "PAGE_PORT": "0",
    }
    kept = {key: value for key, value in os.environ.items() if not key.startswith(prefix)}
    # In a cluster State is a ConfigMap, so that cuts hit the commits, too.
    in_cluster = {"KUBERNETES_SERVICE_HOST": "127.0.0.1"}
    return kept | in_cluster | {prefix + key: value for key, value in settings.items()}


async def disturb(
    agent: AgentProcess, api: Proxy, collector: Collector, rng: random.Random, seconds: float
) -> None:
    """Do something bad again and again."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        await asyncio.sleep(rng.uniform(0.3, 1.2))
        match rng.choice(("kill", "kill", "stop", "cut", "cut", "lose")):
            case "kill":
                await agent.kill()
            case "stop":
                await agent.stop_for(COMMIT_SECONDS * rng.uniform(1.2, 2.5))
            case "cut":
                api.cut()
            case "lose":
                collector.faults.add(LoseResponse(), path="/v1/batch")


async def wait_until(is_true: Callable[[], bool], seconds: float) -> None:
    until = time.monotonic() + seconds
    while not is_true() and time.monotonic() < until:  # noqa: ASYNC110 another process changes it
        await asyncio.sleep(0.1)


@asynccontextmanager
async def writing(
    writers: Writers, collector: Collector, *agents: AgentProcess
) -> AsyncIterator[None]:
    """Write while the body runs, wait until all is counted, and end the agents."""
    stop = asyncio.Event()
    task = asyncio.create_task(writers.write(stop))
    try:
        yield
        stop.set()
        await task
        await wait_until(lambda: counted(collector) == writers.written, DRAIN_SECONDS)
        # One more window, so that anything counted twice would show.
        await asyncio.sleep(1.5 * WINDOW_SECONDS)
    finally:
        task.cancel()
        for agent in agents:
            await agent.end(signal.SIGKILL)


async def run(folder: Path, *, seed: int, seconds: float) -> None:
    """Write, disturb, drain, compare; a failure names the seed and shows the agent's log."""
    rng = random.Random(seed)
    collector = Collector("write-key")
    options = ApiOptions(now=time.time_ns)
    async with Cluster.running(options) as cluster, collector.running():
        async with Proxy.before(cluster.server.url) as api:
            cluster.namespace(NAMESPACE)
            writers = Writers(cluster, random.Random(seed))
            agent = AgentProcess(environment(folder, api.url, collector.url), folder / "log")
            await agent.start()
            async with writing(writers, collector, agent):
                await disturb(agent, api, collector, rng, seconds)
        told = f"seed {seed}, {agent.starts} starts, {api.cuts} cuts\n{agent.log.read_text()}"
        assert cluster.server.store.get(CONFIGMAPS, NAMESPACE, "botkube-analytics-state"), told
        assert counted(collector) == writers.written, told
        assert not gaps(collector), told


@pytest.mark.timeout(120)
async def test_a_process_that_is_killed_stopped_and_cut_off_counts_each_line_once(
    tmp_path: Path,
) -> None:
    await run(tmp_path, seed=1, seconds=5)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", range(2, 8))
async def test_minutes_of_kills_stops_and_cuts(tmp_path: Path, seed: int) -> None:
    await run(tmp_path, seed=seed, seconds=120)


@pytest.mark.slow
@pytest.mark.timeout(200)
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
async def test_another_process_leads_soon_after_the_leader_is_silent(
    tmp_path: Path, number: signal.Signals
) -> None:
    collector = Collector("write-key")
    async with Cluster.running(ApiOptions(now=time.time_ns)) as cluster, collector.running():
        cluster.namespace(NAMESPACE)
        cluster.lease(NAMESPACE, LEASE)
        settings = environment(tmp_path, cluster.server.url, collector.url)
        settings["BOTKUBE_ANALYTICS_LEASE_NAME"] = LEASE
        leader, other = (AgentProcess(settings, tmp_path / name) for name in ("1", "2"))

        def holder() -> str:
            spec = cluster.server.store.get(LEASES, NAMESPACE, LEASE)["spec"]
            return str(spec.get("holderIdentity") or "")

        def has_listed() -> bool:
            return other.log.exists() and "pods listed" in other.log.read_text()

        writers = Writers(cluster, random.Random(1))
        async with writing(writers, collector, leader, other):
            await leader.start()
            await wait_until(lambda: counted(collector)[1] > 0, DRAIN_SECONDS)
            await other.start()
            # Until it has seen the lease renewed.
            await asyncio.sleep(6)
            held = holder()
            assert held
            assert not has_listed()
            assert leader.process is not None
            leader.process.send_signal(number)
            began = time.monotonic()
            await wait_until(has_listed, 2 * FAIL_OVER_SECONDS)
            took = time.monotonic() - began
            if number is signal.SIGSTOP:
                leader.process.send_signal(signal.SIGCONT)
            await asyncio.sleep(2 * WINDOW_SECONDS)
    told = f"after {took:.1f} s\n{leader.log.read_text()}\n{other.log.read_text()}"
    assert took < FAIL_OVER_SECONDS, told
    assert holder() not in {"", held}, told
    assert counted(collector) == writers.written, told
    assert not gaps(collector), told
