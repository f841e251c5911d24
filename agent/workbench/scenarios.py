"""Scenario files with the logs that they name, and what is wrong with them.

Owns reading the log beside a scenario. A scenario that counts something else is one fault, and in
`rules test` a difference line by line.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.rulefiles import read_text
from agent.rules import Place, Problem, RuleError, RuleSet
from agent.rules.examples import torn_line
from agent.rules.scenarios import Scenario, count, differences, read_scenario
from agent.trace import trace_log
from agent.workbench.inputs import InputError, read_log

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path


def read_scenarios(
    paths: Iterable[Path], ruleset: RuleSet, lost: Mapping[str, str] | None = None
) -> tuple[list[tuple[Scenario, bytes]], list[Problem]]:
    """Return each scenario that can be read with its log, and the faults of all others.

    `lost` are the texts of rule files at fault by path, which may declare what is not known.
    """
    found: list[tuple[Scenario, bytes]] = []
    problems: list[Problem] = []
    for path in paths:
        text = read_text(path)
        if isinstance(text, Problem):
            problems.append(text)
            continue
        try:
            scenario = read_scenario(str(path), text, ruleset, lost or {})
        except RuleError as error:
            problems += error.problems
            continue
        try:
            found.append((scenario, _log(scenario, path)))
        except InputError as error:
            fix = "name a file as it is seen from the scenario's folder"
            problems.append(Problem("file", scenario.source, str(error), fix))
    return found, problems


def differing(scenario: Scenario, text: bytes, ruleset: RuleSet) -> tuple[Place, tuple[str, ...]]:
    """Return where a scenario is wrong, and a line for each count if it counts something else."""
    found = count(trace_log(ruleset, text).observations)
    is_right = found == scenario.expected
    lines = () if is_right else tuple(differences(scenario.expected, found))
    return scenario.wrong(found), lines


def failing_scenarios(
    paths: Iterable[Path], ruleset: RuleSet, lost: Mapping[str, str]
) -> list[Problem]:
    """Return the faults of scenario files, those that count something else among them."""
    found, problems = read_scenarios(paths, ruleset, lost)
    for scenario, text in found if not lost else ():
        place, lines = differing(scenario, text, ruleset)
        wrong = [line for line in lines if not line.startswith(" ")]
        torn = torn_line(scenario.log or "") if wrong else None
        if torn is not None:
            problems.append(Problem("scenario", scenario.source, *torn))
        elif wrong:
            problems.append(
                Problem(
                    "scenario",
                    place,
                    f"the log counts something else: {'; '.join(wrong)}",
                    "`rules test` shows all counts, `rules explain` each line",
                )
            )
    return problems


def _log(scenario: Scenario, path: Path) -> bytes:
    if scenario.log is not None:
        return scenario.log.encode()
    return read_log(str(path.parent / str(scenario.file)))
