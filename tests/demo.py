"""`make demo`: the ordinary agent against a simulated cluster, with the truth counted from outside.

Owns the writers, the truth and the comparison. The agent runs as a process of its own with the
command and settings that a user would give it; kill it and it is started again, as a kubelet would.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import attrs
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from tests.sim.apiserver import ApiOptions
from tests.sim.botkube import Action, Fact, Generation, generate
from tests.sim.botkube_v0_12 import BotKubeV012
from tests.sim.botkube_v0_18 import BotKubeV018
from tests.sim.botkube_v1_14 import BotKubeV114
from tests.sim.cluster import Cluster
from tests.sim.collector import Collector

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tests.sim.pods import Pod

NANOS = 1_000_000_000
WINDOW_SECONDS = 5
WRITE_KEY = "demo-write-key"
DRAIN_SECONDS = 60
KEYS = {
    "Command executed": ("platform", "result"),
    "Command refused": ("platform", "reason"),
    "Event handled": ("platform",),
    "Notification failed": ("platform", "what"),
    "Integration enabled": ("platform", "type"),
    "Application crashed": ("kind",),
}

Row = tuple[str, ...]


@attrs.define
class Writer:
    """One BotKube: a pod, the generation that writes its log, and what it wrote."""

    pod: Pod
    generation: Generation
    rng: random.Random
    truth: Counter[Fact] = attrs.field(factory=Counter)
    lines: int = 0

    def play(self, action: Action) -> None:
        """Write what one action prints and add it to the truth."""
        self.pod.play(action)
        self.truth.update(action.truth)
        self.lines += action.text.count(b"\n")

    async def write(self, stop: asyncio.Event) -> None:
        """Write actions until told to stop."""

        def times() -> object:
            while True:
                yield time.time_ns()

        for action in generate(self.generation, self.rng, times()):  # type: ignore[arg-type]
            if stop.is_set():
                return
            self.play(action)
            await asyncio.sleep(self.rng.uniform(0.01, 0.12))


@attrs.define
class AgentProcess:
    """The agent as a process, started again when it dies, as a kubelet would."""

    environment: Mapping[str, str]
    log: Path
    starts: int = 0
    process: asyncio.subprocess.Process | None = None

    async def keep_running(self) -> None:
        """Run the agent until cancelled; then stop it with SIGTERM."""
        try:
            while True:
                with self.log.open("ab") as output:
                    self.process = await asyncio.create_subprocess_exec(
                        sys.executable, "-m", "agent", "run",
                        env=dict(self.environment), stdout=output, stderr=output,
                    )  # fmt: skip
                self.starts += 1
                await self.process.wait()
                await asyncio.sleep(1)
        finally:
            if self.process is not None and self.process.returncode is None:
                self.process.send_signal(signal.SIGTERM)
                await asyncio.wait_for(self.process.wait(), 10)


def project(event: str, properties: Mapping[str, object]) -> Row:
    """Return the row of the table that an event belongs to."""
    return (event, *(str(properties.get(key, "")) for key in KEYS.get(event, ())))


def written(writers: list[Writer]) -> Counter[Row]:
    """Return what was written, by row."""
    rows: Counter[Row] = Counter()
    for writer in writers:
        for (event, properties), count in writer.truth.items():
            rows[project(event, dict(properties))] += count
    return rows


def received(collector: Collector) -> tuple[Counter[Row], int]:
    """Return what the collector accepted, by row, and the lines read that the agent reported."""
    rows: Counter[Row] = Counter()
    lines = 0
    for event in collector.accepted:
        if event.get("type") != "track":
            continue
        properties = event["properties"]
        if event["event"] == "Collection report":
            lines += properties["lines_read"]
        else:
            rows[project(event["event"], properties)] += properties["count"]
    return rows, lines


def render(writers: list[Writer], collector: Collector, agent: AgentProcess, note: str) -> Group:
    """Return the live table."""
    truth = written(writers)
    counted, lines = received(collector)
    table = Table(title="What BotKube wrote, and what reached the collector")
    for name in ("event", "of", "written", "counted"):
        table.add_column(name, justify="right" if name in {"written", "counted"} else "left")
    for row in sorted(set(truth) | set(counted)):
        same = truth[row] == counted[row]
        style = "green" if same else "yellow"
        table.add_row(
            row[0], " ".join(row[1:]), str(truth[row]), Text(str(counted[row]), style=style)
        )
    total = sum(writer.lines for writer in writers)
    figures = (
        f"lines written {total} · lines reported {lines} · batches accepted "
        f"{len(collector.requests)} · duplicates dropped {len(collector.duplicates)} · agent pid "
        f"{agent.process.pid if agent.process else '-'} (start {agent.starts})"
    )
    return Group(table, Text(figures), Text(note, style="bold"))


async def run(seconds: float, console: Console) -> bool:
    """Run the demo; return whether everything that was written was counted."""
    seed = int(os.environ.get("DEMO_SEED", "0")) or random.SystemRandom().randrange(1, 10**6)
    rng = random.Random(seed)
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGINT, stop.set)
    collector = Collector(WRITE_KEY, strict=True)
    with tempfile.TemporaryDirectory(prefix="botkube-analytics-demo-") as folder:
        async with Cluster.running(ApiOptions()) as cluster, collector.running():
            writers = _install(cluster, rng)
            agent = AgentProcess(
                _environment(cluster, collector, Path(folder)), Path(folder, "log")
            )
            console.print(
                f"seed {seed}; agent log {agent.log}; kill -9 the agent and watch it catch up"
            )
            running = asyncio.create_task(agent.keep_running())
            try:
                with Live(console=console, refresh_per_second=4, transient=True) as live:
                    await _write(
                        writers,
                        seconds,
                        stop,
                        lambda note: live.update(render(writers, collector, agent, note)),
                    )
                    is_equal = await _drain(
                        writers,
                        collector,
                        lambda note: live.update(render(writers, collector, agent, note)),
                    )
            finally:
                running.cancel()
                with suppress(asyncio.CancelledError):
                    await running
            console.print(render(writers, collector, agent, "stopped"))
            _verdict(console, writers, collector, agent, is_equal=is_equal)
            return is_equal


def _install(cluster: Cluster, rng: random.Random) -> list[Writer]:
    generations: tuple[tuple[str, Callable[..., Generation]], ...] = (
        ("v0.12.4", BotKubeV012),
        ("v0.18.0", BotKubeV018),
        ("v1.14.0", BotKubeV114),
    )
    writers = []
    for number, (version, generation) in enumerate(generations):
        namespace = f"botkube-{number}"
        cluster.namespace(namespace)
        pod = cluster.botkube(namespace, at=time.time_ns(), version=version)
        own = random.Random(rng.random())
        writers.append(Writer(pod, generation(own, cluster="demo"), own))
    return writers


def _environment(cluster: Cluster, collector: Collector, folder: Path) -> dict[str, str]:
    kubeconfig = folder / "kubeconfig"
    kubeconfig.write_text(json.dumps(cluster.server.kubeconfig("")))
    kept = {
        key: os.environ[key] for key in ("PATH", "HOME", "LANG", "VIRTUAL_ENV") if key in os.environ
    }
    return kept | {
        "PYTHONUNBUFFERED": "1",
        **{k: v for k, v in os.environ.items() if k.startswith("BOTKUBE_ANALYTICS_")},
        "BOTKUBE_ANALYTICS_KUBERNETES_KUBECONFIG": str(kubeconfig),
        "BOTKUBE_ANALYTICS_KUBERNETES_NAMESPACES": "botkube-0;botkube-1;botkube-2",
        "BOTKUBE_ANALYTICS_STATE_PATH": str(folder / "state.json"),
        "BOTKUBE_ANALYTICS_WINDOW_SECONDS": str(WINDOW_SECONDS),
        "BOTKUBE_ANALYTICS_COMMIT_SECONDS": "1",
        "BOTKUBE_ANALYTICS_PRIVACY_QUIET_PERIOD_SECONDS": "0",
        "BOTKUBE_ANALYTICS_DESTINATION_ENDPOINT": collector.url,
        "BOTKUBE_ANALYTICS_DESTINATION_WRITE_KEY": WRITE_KEY,
        "BOTKUBE_ANALYTICS_HEALTH_HOST": "127.0.0.1",
        "BOTKUBE_ANALYTICS_HEALTH_PORT": "0",
        "BOTKUBE_ANALYTICS_PAGE_PORT": "0",
    }


async def _write(writers: list[Writer], seconds: float, stop: asyncio.Event, show: object) -> None:
    """Let the writers write; one of them crashes and restarts on the way."""
    assert callable(show)
    until = time.monotonic() + seconds
    crash_at = time.monotonic() + seconds * 0.4
    crashed = writers[0]
    own_stop = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        for writer in writers[1:]:
            group.create_task(writer.write(stop))
        group.create_task(crashed.write(own_stop))
        while not stop.is_set() and time.monotonic() < until:
            if crash_at and time.monotonic() > crash_at:
                crash_at = 0
                own_stop.set()
                await asyncio.sleep(0.3)
                action = crashed.generation.panic(time.time_ns())
                crashed.play(action)
                crashed.pod.crash(at=time.time_ns(), exit_code=action.exit_code or 2)
                await asyncio.sleep(1.5)
                crashed.pod.restart(at=time.time_ns())
                group.create_task(crashed.write(stop))
            left = max(0, int(until - time.monotonic()))
            show(f"writing for {left} s more (Ctrl-C to stop early)")
            await asyncio.sleep(0.25)
        stop.set()
        own_stop.set()


async def _drain(writers: list[Writer], collector: Collector, show: object) -> bool:
    """Wait until what was written has been delivered, or it is too late."""
    assert callable(show)
    truth = written(writers)
    lines = sum(writer.lines for writer in writers)
    until = time.monotonic() + DRAIN_SECONDS
    while time.monotonic() < until:
        if received(collector) == (truth, lines):
            # One more window, so that anything counted twice would show.
            await asyncio.sleep(2 * WINDOW_SECONDS)
            return received(collector) == (truth, lines)
        show("writers have stopped, waiting for the windows to close and be delivered")
        await asyncio.sleep(0.25)
    return False


def _verdict(
    console: Console,
    writers: list[Writer],
    collector: Collector,
    agent: AgentProcess,
    *,
    is_equal: bool,
) -> None:
    truth, (counted, lines) = written(writers), received(collector)
    if is_equal:
        console.print(
            f"[green]equal[/]: {sum(truth.values())} facts in {lines} lines were written, counted "
            f"and delivered once each; {len(collector.requests)} batches"
        )
        return
    console.print("[red]not equal[/]")
    for row in sorted(set(truth) | set(counted)):
        if truth[row] != counted[row]:
            console.print(f"  {' '.join(row)}: written {truth[row]}, counted {counted[row]}")
    console.print(f"  lines: written {sum(writer.lines for writer in writers)}, reported {lines}")
    console.print(agent.log.read_text()[-2000:], markup=False)


def main() -> int:
    """Run the demo for `DEMO_SECONDS` (default 60) and return the exit code."""
    seconds = float(os.environ.get("DEMO_SECONDS", "60"))
    return 0 if asyncio.run(run(seconds, Console())) else 1


if __name__ == "__main__":
    raise SystemExit(main())
