"""The whole path: a log from the API server over TLS to committed counts, against mere printing.

CPU seconds per GiB of the agent as a process, of curl and of kubectl printing to nowhere, each less
what it uses for a log of one line.
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
    used = {name: float("inf") for name in names}
    start = dict(used)
    seconds = dict(used)
    for least, data in ((start, first), (used, log.data)):
        place = folder / f"path-{len(data)}"
        place.mkdir()
        path = place / "log"
        path.write_bytes(data)
        async with served(place, path, 1) as cluster:
            for turn in range(turns):
                for name in names:
                    cpu, took = await _once(
                        name, cluster, place / f"{name}-{turn}", data.count(b"\n")
                    )
                    least[name] = min(least[name], cpu)
                    seconds[name] = took
    gib = len(log.data) / 2**30
    costs = {name: max(used[name] - start[name], 1e-3) / gib for name in names}
    of = f"json debug {SHARE:.0%}, {size >> 20} MiB, {len(log.data) / log.lines:.0f} B a line"
    goals = {"curl": 1.0, "kubectl": 0.25}
    for name in names[1:]:
        yield cheaper("whole path", of, costs["agent"], name, costs[name], goals[name])
    yield within("whole path, throughput", of, size / 2**20 / seconds["agent"], "MiB/s")


async def _once(name: str, cluster: Served, folder: Path, lines: int) -> tuple[float, float]:
    if name == "agent":
        async with agent(folder, cluster.kubeconfig) as one:
            took = await one.until(lambda: sum(one.lines()) >= lines)
            return one.cpu_seconds(), took
    (pod,) = cluster.pods
    loop = asyncio.get_running_loop()
    began = loop.time()
    calls = {
        "curl": ["curl", "--silent", "--fail", "--cacert", str(cluster.authority), "--output",
                 "/dev/null", cluster.log_url(pod)],
        "kubectl": ["kubectl", "--kubeconfig", str(cluster.kubeconfig), "logs", "--timestamps",
                    "--namespace", NAMESPACE, pod],
    }  # fmt: skip
    with Path("/dev/null").open("wb") as nowhere:
        cpu = await asyncio.to_thread(peers.cpu_seconds, calls[name], output=nowhere.fileno())
    return cpu, loop.time() - began
