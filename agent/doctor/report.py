"""Prints what the doctor found, for a person or as JSON, and ends with the code of the worst."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import orjson
from rich.console import Console

from agent.doctor.examine import examine
from agent.doctor.verdicts import Line, Verdict, worst

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agent.doctor.examine import Patient

COLOURS = {Verdict.OK: "green", Verdict.WARN: "yellow", Verdict.FAIL: "bold red"}


async def show_doctor(patient: Patient, *, as_json: bool) -> int:
    """Examine and print; 1 if something fails. What hangs is not waited for."""
    decision, lines = await examine(patient)
    verdict = worst(lines)
    if as_json:
        found = {
            "version": patient.options.agent_version,
            "mode": decision.mode,
            "verdict": verdict,
            "lines": [
                {"check": one.check, "verdict": one.verdict, "says": one.says, "fix": one.fix}
                for one in lines
            ],
        }
        sys.stdout.buffer.write(orjson.dumps(found, option=orjson.OPT_INDENT_2) + b"\n")
        sys.stdout.buffer.flush()
    else:
        _print(Console(highlight=False, soft_wrap=True), lines, verdict)
    return 1 if verdict is Verdict.FAIL else 0


def _print(console: Console, lines: Iterable[Line], verdict: Verdict) -> None:
    lines = list(lines)
    for one in lines:
        console.print(f"{one.verdict:<4}", style=COLOURS[one.verdict], end=" ")
        console.print(f"{one.check}: {one.says}", markup=False)
        if one.fix and one.verdict is not Verdict.OK:
            console.print(f"       fix: {one.fix}", markup=False)
    counts = ", ".join(
        f"{sum(one.verdict is kind for one in lines)} {kind}" for kind in reversed(Verdict)
    )
    console.print(f"{verdict}: {counts}", style=COLOURS[verdict])
