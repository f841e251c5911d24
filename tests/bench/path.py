"""The whole path: a log from the API server over TLS to committed counts, against mere printing.

CPU seconds per GiB of the agent as a process that runs already when the pod appears, and of curl and
kubectl printing to nowhere, less what they use for a log of one line.
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tests.bench import peers
from tests.bench.cluster import NAMESPACE, served
from tests.bench.figures import Row, cheaper, within
from tests.bench.logs import make_log
from tests.bench.process import agent

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.bench.cluster import Served

SHARE = 0.01


async def measure(
    folder: Path, *, size: int, turns: int, here: frozenset[str]
) -> AsyncIterator[Row]:
    """Yield a row for each peer."""
    log = make_log("json", "debug", SHARE, size, begin_ns=time.time_ns())
    first = log.data[: log.data.index(b"\n") + 1]
    names = ["agent", *(name for name in ("curl", "kubectl") if name in here)]
    used, seconds = dict.fromkeys(names, float("inf")), dict.fromkeys(names, float("inf"))
    for turn in range(turns):
        place = folder / f"path-{turn}"
        place.mkdir()
        (place / "first").write_bytes(first)
        (place / "all").write_bytes(log.data)
        async with served(place, place / "first", 1) as cluster:
            cpu, took = await _read(cluster, place, log.lines)
            # One after the other, so that all meet the same machine.
            used["agent"], seconds["agent"] = min(used["agent"], cpu), min(seconds["agent"], took)
            _, pod = await cluster.ask("calls")
            for name in names[1:]:
                least = await _print(name, cluster, cluster.pods[0])
                used[name] = min(used[name], await _print(name, cluster, pod) - least)
    gib = len(log.data) / 2**30
    costs = {name: max(one, 1e-3) / gib for name, one in used.items()}
    of = f"json debug {SHARE:.0%}, {size >> 20} MiB, {len(log.data) / log.lines:.0f} B a line"
    goals = {"curl": 1.0, "kubectl": 0.25}
    for name in names[1:]:
        yield cheaper("whole path", of, costs["agent"], name, costs[name], goals[name])
    yield within("whole path, throughput", of, size / 2**20 / seconds["agent"], "MiB/s")


async def _read(cluster: Served, folder: Path, lines: int) -> tuple[float, float]:
    """Let a running agent meet a pod with a log; return CPU seconds and time until the commit."""
    async with agent(folder / "agent", cluster.kubeconfig, COMMIT_SECONDS="1") as one:
        await one.until(lambda: sum(one.lines()) == 1)
        before, began = one.cpu_seconds(), asyncio.get_running_loop().time()
        await cluster.ask(f"add {folder / 'all'}")
        await one.until(lambda: sum(one.lines()) > lines)
        return one.cpu_seconds() - before, asyncio.get_running_loop().time() - began


async def _print(name: str, cluster: Served, pod: str) -> float:
    calls = {
        "curl": ["curl", "--silent", "--fail", "--cacert", str(cluster.authority), "--output",
                 "/dev/null", cluster.log_url(pod)],
        "kubectl": ["kubectl", "--kubeconfig", str(cluster.kubeconfig), "logs", "--timestamps",
                    "--namespace", NAMESPACE, pod],
    }  # fmt: skip
    with Path("/dev/null").open("wb") as nowhere:
        return await asyncio.to_thread(peers.cpu_seconds, calls[name], output=nowhere.fileno())
