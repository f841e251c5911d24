"""The whole path: a log from an API server over TLS to committed counts, against mere printing.

Owns what is compared; which API server it is, the simulated one or a real one, it need not know.
CPU seconds per GiB of the agent as a process that runs already when the pod appears, and of curl and
kubectl printing to nowhere, less what they use for a log of one line.
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from tests.bench import peers
from tests.bench.cluster import served
from tests.bench.figures import Row, cheaper, within
from tests.bench.logs import make_log
from tests.bench.process import agent

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping

    from tests.bench.logs import Log

SHARE = 0.01
GOALS = {"curl": 1.0, "kubectl": 0.25}
"""How much of a peer's CPU the agent may take."""


class Place(Protocol):
    """An API server with one pod whose log is one line, and how to reach it."""

    namespace: str
    kubeconfig: Path
    authority: Path
    token: str
    pods: list[str]

    def log_url(self, pod: str, /) -> str:
        """Return where a pod's log is, as it stands now."""

    async def add(self, log: Path, /) -> str:
        """Add a pod with a log; return its name."""


async def measure(
    folder: Path, *, size: int, turns: int, here: frozenset[str]
) -> AsyncIterator[Row]:
    """Yield a row for each peer."""
    log = make_log("json", "debug", SHARE, size, begin_ns=time.time_ns())
    best: dict[str, float] = {}
    for turn in range(turns):
        place = folder / f"path-{turn}"
        place.mkdir()
        first = first_line(log, place)
        async with served(place, first, 1) as cluster:
            used = await compare(place, cluster, log, here=here)
        best = {name: min(one, best.get(name, one)) for name, one in used.items()}
    for row in rows(best, log):
        yield row


def first_line(log: Log, folder: Path) -> Path:
    """Write the first line of a log into a file of its own."""
    path = folder / "first"
    path.write_bytes(log.data[: log.data.index(b"\n") + 1])
    return path


async def compare(
    folder: Path, place: Place, log: Log, *, here: frozenset[str]
) -> dict[str, float]:
    """Return the CPU seconds of the agent and each peer, and the agent's time as `seconds`."""
    path = folder / "all"
    path.write_bytes(log.data)
    others = {"KUBERNETES_NAMESPACES": place.namespace, "COMMIT_SECONDS": "1"}
    async with agent(folder / "agent", place.kubeconfig, **others) as one:
        await one.until(lambda: sum(one.lines()) == 1)
        before, began = one.cpu_seconds(), asyncio.get_running_loop().time()
        pod = await place.add(path)
        await one.until(lambda: sum(one.lines()) > log.lines)
        used = {"agent": one.cpu_seconds() - before}
        used["seconds"] = asyncio.get_running_loop().time() - began
    # One after the other, so that all meet the same machine.
    for name in ("curl", "kubectl"):
        if name in here:
            least = await _print(name, place, place.pods[0])
            used[name] = await _print(name, place, pod) - least
    return used


def rows(used: Mapping[str, float], log: Log) -> Iterator[Row]:
    """Yield a row for each peer, in CPU seconds per GiB, and one for the throughput."""
    size = len(log.data)
    of = f"json debug {SHARE:.0%}, {size >> 20} MiB, {size / log.lines:.0f} B a line"
    cost = {name: max(one, 1e-3) / size * 2**30 for name, one in used.items()}
    for name, goal in GOALS.items():
        if name in used:
            yield cheaper("whole path", of, cost["agent"], name, cost[name], goal)
    yield within("whole path, throughput", of, size / 2**20 / used["seconds"], "MiB/s")


async def _print(name: str, place: Place, pod: str) -> float:
    calls = {
        "curl": ["curl", "--silent", "--fail", "--cacert", str(place.authority), "--header",
                 f"Authorization: Bearer {place.token}", "--output", "/dev/null",
                 place.log_url(pod)],
        "kubectl": ["kubectl", "--kubeconfig", str(place.kubeconfig), "logs", "--timestamps",
                    "--namespace", place.namespace, pod],
    }  # fmt: skip
    with Path("/dev/null").open("wb") as nowhere:
        return await asyncio.to_thread(peers.cpu_seconds, calls[name], output=nowhere.fileno())
