"""Many containers: what an agent takes while nothing happens, and what one more container costs."""

from __future__ import annotations

import asyncio
import os
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from tests.bench.cluster import served
from tests.bench.figures import Row, within
from tests.bench.logs import make_log
from tests.bench.process import agent

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

LOG_BYTES = 4_000
SETTLE_SECONDS = 5.0
COMMITS = 10
RSS_GOALS = {50: 96.0, 500: 128.0}
IDLE_GOALS = {50: 0.2}
FOLLOW_GOAL = 1.5


@attrs.frozen
class _Fleet:
    followed: float
    first_count: float
    start_cpu: float
    rss: float
    idle_percent: float
    commit_ms: float


async def measure(folder: Path) -> AsyncIterator[Row]:
    """Yield the rows of each size."""
    idle_seconds = float(os.environ.get("BENCH_SECONDS", "60"))
    sizes = [int(one) for one in os.environ.get("BENCH_CONTAINERS", "1 50 500").split()]
    found = {}
    for size in sizes:
        place = folder / f"fleet-{size}"
        place.mkdir()
        log = make_log("json", "debug", 0.01, LOG_BYTES, begin_ns=time.time_ns())
        (place / "log").write_bytes(log.data)
        found[size] = one = await _measure(place, size, log.lines, idle_seconds)
        of = f"{size} containers"
        yield within("start to first follow", of, one.followed, "s", FOLLOW_GOAL)
        yield within("start to first committed count", of, one.first_count, "s")
        yield within("start until all are followed", of, one.start_cpu, "CPU s")
        yield within("resident memory", of, one.rss, "MiB", RSS_GOALS.get(size))
        what = f"idle for {idle_seconds:.0f} s"
        yield within(what, of, one.idle_percent, "% of a core", IDLE_GOALS.get(size))
        yield within("a line that counts and its commit", of, one.commit_ms, "CPU ms")
    if len(found) > 1:
        (few, least), (many, most) = list(found.items())[-2:]
        each = (most.rss - least.rss) / (many - few) * 1024
        yield within("memory of one more container", f"{few} to {many}", each, "KiB")


async def _measure(folder: Path, size: int, lines: int, idle_seconds: float) -> _Fleet:
    async with (
        served(folder, folder / "log", size) as cluster,
        agent(folder / "agent", cluster.kubeconfig, COMMIT_SECONDS="1") as one,
    ):

        def has(wanted: int) -> bool:
            return sum(one.lines()) >= wanted

        followed = 0.0
        while not followed:
            if (await cluster.ask("calls"))[0]:
                followed = asyncio.get_running_loop().time() - one.began
            await asyncio.sleep(0.01)
        first_count = await one.until(lambda: any(one.lines()))
        await one.until(partial(has, size * lines))
        start_cpu = one.cpu_seconds()
        await asyncio.sleep(SETTLE_SECONDS)
        before = one.cpu_seconds()
        await asyncio.sleep(idle_seconds)
        idle = (one.cpu_seconds() - before) / idle_seconds
        rss = one.rss_mib()
        before, began = one.cpu_seconds(), asyncio.get_running_loop().time()
        for number in range(COMMITS):
            await cluster.ask("write")
            await one.until(partial(has, size * lines + number + 1))
        took = asyncio.get_running_loop().time() - began
        commit = max(0.0, one.cpu_seconds() - before - idle * took) / COMMITS
        return _Fleet(followed, first_count, start_cpu, rss, idle * 100, commit * 1000)
