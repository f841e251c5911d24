"""`rules test`: run every example and every scenario file; show what differs from what is expected.

Owns finding the scenario files beside the rules and reading the logs that they name.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from attrs import frozen

from agent.anonymize import freeze
from agent.rulefiles import SCENARIO_ENDS, find_scenarios, load_rules, read_files, shipped_folder
from agent.rules import Problem, RuleError, RuleSet
from agent.rules.places import Place
from agent.rules.scenarios import Scenario, count, differences, read_scenario
from agent.trace import trace_log
from agent.trial import try_log
from agent.workbench.check import failing_examples
from agent.workbench.faults import as_text, nearest, sources
from agent.workbench.inputs import InputError, read_log

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence


@frozen
class Failure:
    """A test that failed: where it stands, what it tried, and the lines that differ."""

    place: Place
    title: str
    lines: tuple[str, ...]


def test(paths: Sequence[str]) -> int:
    """Run the examples and scenarios of the given files and folders, or of the shipped rules."""
    scenarios = [Path(path) for path in paths if path.endswith(SCENARIO_ENDS)]
    rules = [path for path in paths if not path.endswith(SCENARIO_ENDS)]
    ruleset = load_rules(rules)
    for folder in [*map(Path, rules), *([] if paths else [shipped_folder()])]:
        scenarios += find_scenarios(folder) if folder.is_dir() else []
    failures, faults = list(_examples(ruleset, rules)), list[Problem]()
    for path in scenarios:
        try:
            failures += run_scenario(path, ruleset)
        except RuleError as error:
            faults += error.problems
    for failure in failures:
        place = failure.place
        print(f"{nearest(place.path)}:{place.line}:{place.column}: {failure.title}")
        for line in failure.lines:
            print(f"  {line}")
        print()
    for line in as_text(faults, sources(one.place.path for one in faults)):
        print(line)
    examples = sum(len(rule.hits) + len(rule.misses) for rule in ruleset.rules)
    failed = len(failures) + len(faults)
    print(f"{examples} examples, {len(scenarios)} scenarios, {failed} failed")
    return 1 if failed else 0


def read_scenarios(paths: Iterable[Path], ruleset: RuleSet) -> Iterator[tuple[Scenario, bytes]]:
    """Yield each scenario with its log. Raises `RuleError`."""
    for path in paths:
        try:
            scenario = read_scenario(str(path), path.read_text(encoding="utf-8"), ruleset)
            text = (
                scenario.log.encode()
                if scenario.log is not None
                else read_log(str(path.parent / str(scenario.file)))
            )
        except (OSError, UnicodeDecodeError, InputError) as error:
            what = f"{error}" if isinstance(error, InputError) else "this file cannot be read"
            raise RuleError([Problem("file", Place(str(path), 1, 1), what)]) from error
        yield scenario, text


def run_scenario(path: Path, ruleset: RuleSet) -> Iterator[Failure]:
    """Run one scenario file; yield its failure, if it has one. Raises `RuleError`."""
    for scenario, text in read_scenarios([path], ruleset):
        found = count(trace_log(ruleset, text).observations)
        if found != scenario.expected:
            lines = tuple(differences(scenario.expected, found))
            yield Failure(scenario.place, "scenario: - expected, + counted", lines)


def _examples(ruleset: RuleSet, paths: Sequence[str]) -> Iterator[Failure]:
    files = read_files(paths)
    examples = {example.place: example for rule in ruleset.rules for example in rule.hits}
    for problem in failing_examples(ruleset, files):
        (placed,) = files.relocate([problem])
        example = examples.get(problem.place)
        if example is None or problem.code != "hit":
            yield Failure(placed.place, problem.code, (problem.message, problem.hint))
            continue
        expected = Counter((event, freeze(values)) for event, values in example.expected)
        found = count(try_log(ruleset, example.log).observations)
        lines = tuple(differences(expected, found))
        yield Failure(placed.place, "example: - expected, + counted", lines)
