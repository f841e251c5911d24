"""What was measured: one row each, and the table and JSON that are made of the rows.

Owns how a figure is written. A row compares the agent with a peer in the same run, or with a goal.
"""

from __future__ import annotations

import json
import os
import platform
from datetime import UTC, datetime
from pathlib import Path

import attrs
from rich.console import Console
from rich.table import Table


@attrs.frozen
class Row:
    """One figure of the agent, the same of a peer where there is one, and the goal.

    `ratio` is how much better the agent is than the peer (below 1: worse).
    """

    what: str
    of: str
    agent: float
    unit: str
    peer: str = ""
    peers: float | None = None
    ratio: float | None = None
    goal: str = ""
    is_met: bool | None = None


def faster(what: str, of: str, agent: float, peer: str, peers: float, least: float | None) -> Row:
    """Compare speeds in MiB/s; `least` is the goal for the ratio."""
    ratio = agent / peers
    goal = "" if least is None else f">= {least:g} x"
    is_met = None if least is None else ratio >= least
    return Row(what, of, agent, "MiB/s", peer, peers, ratio, goal, is_met)


def cheaper(what: str, of: str, agent: float, peer: str, peers: float, most: float | None) -> Row:
    """Compare CPU seconds per GiB; `most` is the goal for what the agent takes of the peer's."""
    goal = "" if most is None else f"<= {most:g} x"
    is_met = None if most is None else agent <= most * peers
    return Row(what, of, agent, "CPU s/GiB", peer, peers, peers / agent, goal, is_met)


def within(what: str, of: str, agent: float, unit: str, most: float | None = None) -> Row:
    """State a figure alone; `most` is the goal."""
    goal = "" if most is None else f"<= {most:g}"
    return Row(what, of, agent, unit, goal=goal, is_met=None if most is None else agent <= most)


def _machine() -> dict[str, object]:
    names = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "processor": names[0] if names else platform.processor(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "load_at_start": round(os.getloadavg()[0], 1),
    }


@attrs.define
class Report:
    """All rows of one run, and what was not measured."""

    rows: list[Row] = attrs.field(factory=list)
    left_out: list[str] = attrs.field(factory=list)
    machine: dict[str, object] = attrs.field(factory=_machine)
    title: str = "botkube-analytics bench"

    def print(self, console: Console) -> None:
        """Print the one table."""
        table = Table(title=self.title, caption=_said(self.machine))
        for name in ("what", "of", "agent", "peer", "ratio", "goal"):
            table.add_column(name, justify="left" if name in {"what", "of"} else "right")
        for row in self.rows:
            peers = "" if row.peers is None else f"{row.peer} {_short(row.peers)}"
            ratio = "" if row.ratio is None else f"{_short(row.ratio)} x"
            met = {None: "", True: " met", False: " missed"}[row.is_met]
            agent = f"{_short(row.agent)} {row.unit}"
            table.add_row(row.what, row.of, agent, peers, ratio, row.goal + met)
        console.print(table)
        for one in self.left_out:
            console.print(f"left out: {one}", markup=False)

    def write(self, path: Path) -> None:
        """Write the same as JSON."""
        found = {
            "machine": self.machine,
            "rows": [attrs.asdict(row) for row in self.rows],
            "left_out": self.left_out,
        }
        path.write_text(json.dumps(found, indent=1) + "\n")


def _short(figure: float) -> str:
    return f"{figure:.0f}" if abs(figure) >= 100 else f"{figure:.3g}"


def _said(machine: dict[str, object]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in machine.items())
