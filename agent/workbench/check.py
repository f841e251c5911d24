"""`rules check`: every fault of every rule file in one run, in the form that its reader needs.

Owns which faults there are to show; `faults` owns how they look. A file that does not compile
does not keep the examples of the others from being tried.
"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from agent.rulefiles import RuleFiles, is_shipped, read_files, split_scenarios
from agent.rules import Problem, Rule, RuleError, RuleSet, try_examples
from agent.rules.codes import HARMLESS
from agent.trial import try_log
from agent.workbench.faults import FORMATS, nearest, sources
from agent.workbench.scenarios import failing_scenarios

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from collections.abc import Set as AbstractSet

    from agent.rules import Place

MAX_TRIES = 4
"""How often what is left is compiled: a file that needs a lost one may itself be needed."""


def check(paths: Sequence[str], *, style: str) -> int:
    """Print every fault of the given files and folders, or of the shipped rules."""
    ruleset, problems, left_out = find_faults(paths)
    texts = sources(one.place.path for one in problems)
    for line in FORMATS[style](problems, texts):
        print(line)
    code = 2 if any(map(is_missing, paths)) else 1 if problems else 0
    if style != "text":
        return code
    if ruleset is None or problems:
        count = len(problems)
        print(f"{count} {'fault' if count == 1 else 'faults'}")
        return code
    examples = say_examples(ruleset, left_out)
    print(f"{len(ruleset.rules)} rules, {examples}, 0 faults; digest {ruleset.digest}")
    return 0


def say_examples(ruleset: RuleSet, left_out: int) -> str:
    """Say how many examples a rule set has, and how many of them told nothing."""
    run = sum(len(rule.hits) + len(rule.misses) for rule in ruleset.rules) - left_out
    said = f"{left_out} left out, as they go through rules that you took out or replaced"
    return f"{run} examples ({said})" if left_out else f"{run} examples"


def is_missing(path: str) -> bool:
    """Whether a path that was given does not lead to anything that can be looked at."""
    found = Path(path)
    try:
        if found.is_dir():
            next(found.iterdir(), None)
        elif found.is_file():
            found.open("rb").close()
        return not found.exists()
    except (OSError, RuntimeError):
        return True


def find_faults(paths: Sequence[str]) -> tuple[RuleSet | None, list[Problem], int]:
    """Return what compiles of a rule set, all faults by place, and the examples left out."""
    rules, scenarios = split_scenarios(paths)
    ruleset, problems, lost = _compile(read_files(rules))
    left_out = 0
    if ruleset is not None:
        failing, left_out = failing_examples(ruleset, lost.values())
        problems += failing
        # Of a scenario with another set than the one that was meant nothing can be said.
        problems += failing_scenarios(scenarios, ruleset, lost=lost)
    return ruleset, sorted(problems, key=lambda one: (one.place, one.code)), left_out


def load_sound(paths: Sequence[str]) -> tuple[RuleSet, dict[str, str]]:
    """Compile the given rules, or what is left of them without the files at fault.

    Those are told on standard error, and returned with their texts. Raises `RuleError` where
    nothing is left, or a path leads nowhere.
    """
    ruleset, problems, lost = _compile(read_files(paths))
    is_meant = lost or all(one.code in HARMLESS for one in problems)
    if ruleset is None or not ruleset.rules or not is_meant or any(map(is_missing, paths)):
        raise RuleError(problems)
    if lost and sys.stderr is not None:
        names = ", ".join(map(nearest, sorted(lost)))
        print(
            f"botkube-analytics: left out, for their faults or those of files that they need "
            f"(see `rules check`): {names}",
            file=sys.stderr,
        )
    return ruleset, lost


def _compile(files: RuleFiles) -> tuple[RuleSet | None, list[Problem], dict[str, str]]:
    """Return what compiles, all faults, and the texts of the files that had to be left out."""
    problems = list(files.problems)
    try:
        ruleset = files.compile()
    except RuleError as error:
        problems += error.problems
    else:
        return ruleset, [*problems, *ruleset.problems], {}
    faulty = _at_fault(problems)
    left = _without(files, faulty)
    return left, problems, files.lost(faulty)


def failing_examples(ruleset: RuleSet, lost: Collection[str] = ()) -> tuple[list[Problem], int]:
    """Run every example; return what is not as a rule says. `lost` are texts of files at fault.

    An example of a shipped rule that goes through a rule which the user took out or replaced tells
    nothing any more: how many those are is returned, too. If a rule of the user's takes its line,
    the fault is that rule's.
    """
    problems = try_examples(ruleset, partial(try_log, ruleset), lost)
    theirs = [one for one in problems if not is_shipped(one.place)]
    ours = [one for one in problems if is_shipped(one.place)]
    if not ours:
        return theirs, 0
    own = {rule.id: rule for rule in ruleset.rules if not is_shipped(rule.place)}
    shipped = read_files().compile()
    held = {rule.id for rule in ruleset.rules} - own.keys()
    replaced = {rule.id for rule in shipped.rules} - held
    told: set[str] = set()
    robbed: dict[str, list[Rule]] = {}
    failing = {one.place.path for one in ours}
    for rule in (one for one in shipped.rules if one.place.path in failing):
        for example in (*rule.hits, *rule.misses):
            if replaced & set(try_log(shipped, example.log).matched):
                told.add(rule.place.path)
                continue
            for name in own.keys() & set(try_log(ruleset, example.log).matched):
                told.add(rule.place.path)
                if rule not in robbed.setdefault(name, []):
                    robbed[name].append(rule)
    shadows = [_shadows(own[name], rules) for name, rules in robbed.items()]
    left = [one for one in ours if one.place.path not in told]
    passed_over = {one.place for one in ours} - {one.place for one in left}
    return [*theirs, *shadows, *left], _count_at(ruleset, passed_over)


def _count_at(ruleset: RuleSet, places: AbstractSet[Place]) -> int:
    """Return how many examples stand at these places: of a rule's own place, all its hits do."""
    return sum(
        not places.isdisjoint((rule.place, *example.all_places))
        for rule in ruleset.rules
        for example in rule.hits
    ) + sum(example.place in places for rule in ruleset.rules for example in rule.misses)


def _shadows(rule: Rule, robbed: Sequence[Rule]) -> Problem:
    names = ", ".join(sorted(one.id for one in robbed))
    return Problem(
        "shadows",
        rule.place,
        f"{rule.id!r} takes lines that are examples of {names}",
        f"lower its `priority`, or narrow it; see {robbed[0].place}",
    )


def _without(files: RuleFiles, faulty: set[str]) -> RuleSet | None:
    """Compile what is left without the files at fault, and without those that need them.

    Those are added to the faulty ones.
    """
    for _ in range(MAX_TRIES):
        try:
            return files.without(faulty)
        except RuleError as error:
            faulty |= _at_fault(error.problems)
    return None


def _at_fault(problems: Iterable[Problem]) -> set[str]:
    """Return the paths of the files without which a set may compile."""
    return {one.place.path for one in problems if one.code not in HARMLESS}
