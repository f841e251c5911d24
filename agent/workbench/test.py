"""`rules test`: run every example and every scenario file; show what differs from what is expected.

Owns how a difference looks. The scenario files are those beside the rules.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from attrs import frozen

from agent.anonymize import freeze
from agent.rulefiles import split_scenarios
from agent.rules import Place, Problem, RuleSet
from agent.rules.scenarios import count, differences
from agent.trial import try_log
from agent.workbench.check import failing_examples, load_sound, say_examples
from agent.workbench.faults import as_text, nearest, sources
from agent.workbench.scenarios import differing, read_scenarios

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
    rules, scenarios = split_scenarios(paths)
    ruleset, lost = load_sound(rules)
    problems, left_out = failing_examples(ruleset, lost.values())
    failures = list(_examples(ruleset, problems))
    readable, faults = read_scenarios(scenarios, ruleset, lost)
    # Of a scenario with another set than the one that was meant nothing can be said.
    for scenario, text in readable if not lost else ():
        place, lines = differing(scenario, text, ruleset)
        if lines:
            failures.append(Failure(place, "scenario: - expected, + counted", lines))
    for failure in failures:
        place = failure.place
        print(f"{nearest(place.path)}:{place.line}:{place.column}: {failure.title}")
        for line in failure.lines:
            print(f"  {line}")
        print()
    for line in as_text(faults, sources(one.place.path for one in faults)):
        print(line)
    failed = len(failures) + len(faults)
    not_run = " not run" if lost and scenarios else ""
    examples = say_examples(ruleset, left_out)
    number = f"{len(scenarios)} {'scenario' if len(scenarios) == 1 else 'scenarios'}"
    print(f"{examples}, {number}{not_run}, {failed} failed")
    return 1 if failed or lost else 0


def _examples(ruleset: RuleSet, problems: Iterable[Problem]) -> Iterator[Failure]:
    for problem in ruleset.problems:
        if problem.code == "contradiction":
            yield Failure(problem.place, problem.code, (problem.message, problem.hint))
    examples = {
        place: example
        for rule in ruleset.rules
        for example in rule.hits
        for place in example.all_places
    }
    for problem in problems:
        example = examples.get(problem.place)
        if example is None or problem.code != "hit":
            yield Failure(problem.place, problem.code, (problem.message, problem.hint))
            continue
        expected = Counter((event, freeze(values)) for event, values in example.expected)
        found = count(try_log(ruleset, example.log).observations)
        lines = tuple(differences(expected, found))
        yield Failure(problem.place, "example: - expected, + counted", lines)
