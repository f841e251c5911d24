"""`rules check`: every fault of every rule file in one run, in the form that its reader needs.

Owns which faults there are to show; `faults` owns how they look. A file that does not compile
does not keep the examples of the others from being tried.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from agent.rulefiles import RuleFiles, is_shipped, read_files, split_scenarios
from agent.rules import Problem, Rule, RuleError, RuleSet, try_examples
from agent.trial import try_log
from agent.workbench.faults import FORMATS, sources
from agent.workbench.scenarios import failing_scenarios

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

MAX_TRIES = 4
"""How often what is left is compiled: a file that needs a lost one may itself be needed."""


def check(paths: Sequence[str], *, style: str) -> int:
    """Print every fault of the given files and folders, or of the shipped rules."""
    ruleset, problems = find_faults(paths)
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
    examples = sum(len(rule.hits) + len(rule.misses) for rule in ruleset.rules)
    print(f"{len(ruleset.rules)} rules, {examples} examples, 0 faults; digest {ruleset.digest}")
    return 0


def is_missing(path: str) -> bool:
    """Whether a path that was given does not lead to anything that can be looked at."""
    try:
        return not Path(path).exists()
    except (OSError, RuntimeError):
        return True


def find_faults(paths: Sequence[str]) -> tuple[RuleSet | None, list[Problem]]:
    """Return the rule set, if it compiles, and all faults in the order of their places."""
    rules, scenarios = split_scenarios(paths)
    files = read_files(rules)
    ruleset: RuleSet | None = None
    problems = list(files.problems)
    try:
        ruleset = files.compile()
    except RuleError as error:
        problems += error.problems
    faulty = {one.place.path for one in problems}
    tried = ruleset if ruleset is not None else _without(files, faulty)
    if tried is not None:
        lost = files.lost(faulty) if ruleset is None else {}
        problems += failing_examples(tried, lost.values())
        # Of a scenario with another set than the one that was meant nothing can be said.
        problems += failing_scenarios(scenarios, tried, lost=lost)
    return ruleset, sorted(problems, key=lambda one: (one.place, one.code))


def failing_examples(ruleset: RuleSet, lost: Collection[str] = ()) -> list[Problem]:
    """Run every example; return what is not as a rule says. `lost` are texts of files at fault.

    An example of a shipped rule that goes through a rule which the user took out or replaced tells
    nothing any more; if a rule of the user's takes its line, the fault is that rule's.
    """
    problems = try_examples(ruleset, partial(try_log, ruleset), lost)
    theirs = [one for one in problems if not is_shipped(one.place)]
    ours = [one for one in problems if is_shipped(one.place)]
    if not ours:
        return theirs
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
    return [*theirs, *shadows, *(one for one in ours if one.place.path not in told)]


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
            faulty |= {one.place.path for one in error.problems}
    return None
