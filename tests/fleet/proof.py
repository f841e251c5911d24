"""`python -m tests.fleet.proof`: a fleet of any size, day by day, and whether all answers are true.

Each day's requests go to a file, into DuckDB as `botkube-analytics report` loads an export, and are
refreshed, as a maintainer's warehouse does once a day; then every answer is compared with the
truth. Says what it took: time by part, calls a second, memory, and how a day's refresh grows.
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
from collections import defaultdict
from contextlib import contextmanager
from itertools import groupby
from typing import TYPE_CHECKING

import duckdb

from agent.statistics.sources import load
from agent.statistics.warehouse import opened
from tests.fleet.compare import compare
from tests.fleet.fleet import Fleet
from tests.fleet.truth import Truth
from tests.fleet.world import HOUR, Setting

if TYPE_CHECKING:
    from collections.abc import Iterator


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fleet.proof", description=__doc__)
    parser.add_argument("--installations", type=int, default=10_000, metavar="N")
    parser.add_argument("--days", type=int, default=90, metavar="N")
    parser.add_argument("--seed", type=int, default=1, metavar="N")
    parser.add_argument("--window-seconds", type=int, default=HOUR, metavar="N")
    parser.add_argument("--trouble", type=float, default=0.3, metavar="X")
    given = parser.parse_args()
    setting = Setting(
        given.seed, given.days, given.window_seconds, trouble=given.trouble, is_exact=False
    )
    fleet, truth, took, refreshes = Fleet(setting, given.installations), Truth(), Clock(), []
    loaded, started = 0, time.monotonic()
    with opened(is_large=True) as warehouse:
        for script in ("tables.sql", "models.sql"):
            warehouse.run(script)
        path = warehouse.folder / "day.ndjson"
        requests = took.over("generate", fleet.requests(truth))
        for day, some in groupby(requests, key=lambda one: one[-26:-16]):
            with path.open("wb") as file:
                file.writelines(one + b"\n" for one in some)
            size = path.stat().st_size
            with took.at("load"):
                loaded += load([str(path)], warehouse, lambda _name: lambda _share: None).events
            with took.at("refresh"):
                warehouse.run("refresh.sql")
            refreshes.append(took.last)
            say(
                f"{day.decode()}  {size / 1e6:8,.1f} MB  {fleet.windows:12,} windows"
                f"  {loaded:12,} calls  refresh {took.last:7.2f} s  {took}  {peak()} MiB"
            )
        with took.at("truth"):
            true = truth.answers()
        with took.at("answers"):
            differences = compare(warehouse.connection, true)
        stored = sum(one.stat().st_size for one in warehouse.folder.glob("warehouse.duckdb*"))
    report(fleet, took, refreshes, loaded=loaded, stored=stored)
    say(f"{time.monotonic() - started:,.0f} s by the clock")
    for one in differences[:50]:
        say(one)
    rows = sum(map(len, true.values()))
    say(f"{rows:,} rows of {len(true)} answers: {len(differences):,} differences")
    return 1 if differences else 0


def report(fleet: Fleet, took: Clock, refreshes: list[float], *, loaded: int, stored: int) -> None:
    """Say what it took."""
    seconds = took.seconds
    say(f"{fleet.installations:,} installations, {fleet.setting.days} days")
    say(f"{fleet.windows:,} windows, {fleet.events:,} calls sent, {loaded:,} arrived")
    for part, spent in seconds.items():
        say(f"{part:10} {spent:9,.1f} CPU s")
    say(f"generated {fleet.events / seconds['generate']:,.0f} calls/s, truth told meanwhile")
    say(f"loaded    {loaded / seconds['load']:,.0f} calls/s")
    # The last days bring only what is late.
    whole = refreshes[: fleet.setting.days]
    third = max(1, len(whole) // 3)
    first, last = (sum(some) / len(some) for some in (whole[:third], whole[-third:]))
    say(f"refresh of a day: {first:.2f} CPU s in the first third, {last:.2f} in the last")
    say(f"peak memory {peak():,} MiB, DuckDB's file {stored / 1e6:,.0f} MB, {duckdb.__version__}")


class Clock:
    """Processor time spent, by part: of all threads, and whatever else the machine does."""

    def __init__(self) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self.last = 0.0

    def __str__(self) -> str:
        return "  ".join(f"{part} {spent:,.0f} s" for part, spent in self.seconds.items())

    @contextmanager
    def at(self, part: str) -> Iterator[None]:
        started = time.process_time()
        yield
        self.last = time.process_time() - started
        self.seconds[part] += self.last

    def over(self, part: str, items: Iterator[bytes]) -> Iterator[bytes]:
        """Count the time that each item takes to be made."""
        while True:
            started = time.process_time()
            found = next(items, None)
            self.seconds[part] += time.process_time() - started
            if found is None:
                return
            yield found


def peak() -> int:
    """Return the most memory that was ever held, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
