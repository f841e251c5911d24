"""`make bench`: measure everything, or the parts that BENCH_ONLY names, and print one table."""

from __future__ import annotations

import asyncio
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from tests.bench import fleet, matching, path, peers, start
from tests.bench.figures import Report, Row

if TYPE_CHECKING:
    from collections.abc import Callable

PARTS = ("matching", "path", "fleet", "start")
PATH_SIZES = 4
"""The whole path takes a longer log: less what it takes to start is all that is left of it."""


async def measure(report: Report, note: Callable[[Row], None]) -> None:
    """Measure what is asked for."""
    size = int(os.environ.get("BENCH_MIB", "16")) << 20
    turns = int(os.environ.get("BENCH_TURNS", "3"))
    only = os.environ.get("BENCH_ONLY", " ".join(PARTS)).split()
    unknown = ", ".join(sorted(set(only) - set(PARTS)))
    if unknown or not only:
        raise SystemExit(f"BENCH_ONLY: {unknown or 'nothing'}; the parts are {', '.join(PARTS)}")
    here = peers.installed()
    report.left_out += [f"{name} is not installed" for name in peers.NAMES if name not in here]
    report.left_out += [f"{part} was not asked for" for part in PARTS if part not in only]
    with tempfile.TemporaryDirectory(prefix="botkube-analytics-bench-") as name:
        folder = Path(name)
        if "matching" in only:
            for row in matching.measure(folder, size=size, turns=turns, here=here):
                note(row)
        if "path" in only:
            async for row in path.measure(folder, size=PATH_SIZES * size, turns=turns, here=here):
                note(row)
        if "fleet" in only:
            async for row in fleet.measure(folder):
                note(row)
    if "start" in only:
        for row in start.measure(turns=turns):
            note(row)


def main() -> int:
    """Measure and print. Missing a goal is no error: the table says so."""
    console, report = Console(width=150), Report()

    def note(row: Row) -> None:
        report.rows.append(row)
        console.print(f"{row.what}: {row.of}: {row.agent:.3g} {row.unit}", markup=False)

    asyncio.run(measure(report, note))
    report.print(console)
    if target := os.environ.get("BENCH_JSON"):
        report.write(Path(target))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
