"""`rules check`: every fault of every rule file in one run, in the form that its reader needs.

Owns which faults there are to show; `faults` owns how they look. A file that does not compile
does not keep the examples of the others from being tried.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from agent.rulefiles import RuleFiles, load_rules, read_files, shipped_folder
from agent.rules import Problem, RuleError, RuleSet, compile_rules, try_examples
from agent.trial import try_log
from agent.workbench.faults import FORMATS, sources

if TYPE_CHECKING:
    from collections.abc import Iterable


def check(paths: Iterable[str], *, style: str) -> int:
    """Print every fault of the given files and folders, or of the shipped rules."""
    ruleset, problems = find_faults(paths)
    texts = sources(one.place.path for one in problems)
    for line in FORMATS[style](problems, texts):
        print(line)
    if style != "text":
        return 1 if problems else 0
    if ruleset is None or problems:
        count = len(problems)
        print(f"{count} {'fault' if count == 1 else 'faults'}")
        return 1
    examples = sum(len(rule.hits) + len(rule.misses) for rule in ruleset.rules)
    print(f"{len(ruleset.rules)} rules, {examples} examples, 0 faults; digest {ruleset.digest}")
    return 0


def find_faults(paths: Iterable[str]) -> tuple[RuleSet | None, list[Problem]]:
    """Return the rule set, if it compiles, and all faults in the order of their places."""
    try:
        files = read_files(paths)
    except RuleError as error:
        return None, list(error.problems)
    ruleset: RuleSet | None = None
    problems: list[Problem] = []
    try:
        ruleset = compile_rules(files.texts)
    except RuleError as error:
        problems += error.problems
    tried = ruleset if ruleset is not None else _without(files, problems)
    if tried is not None:
        problems += failing_examples(tried, files)
    return ruleset, sorted(files.relocate(problems), key=lambda one: (one.place, one.code))


def failing_examples(ruleset: RuleSet, files: RuleFiles) -> list[Problem]:
    """Run every example; return what is not as a rule says.

    An example of a shipped rule that goes through a rule which the user took out or replaced tells
    nothing any more.
    """
    problems = try_examples(ruleset, partial(try_log, ruleset))
    ours = {name for name, path in files.paths.items() if shipped_folder() in path.parents}
    held = {rule.id for rule in ruleset.rules if rule.place.path in ours}
    if not ours or all(one.place.path not in ours for one in problems):
        return list(problems)
    shipped = load_rules()
    replaced = {rule.id for rule in shipped.rules} - held
    moot = {
        rule.place.path
        for rule in shipped.rules
        for example in (*rule.hits, *rule.misses)
        if replaced & set(try_log(shipped, example.log).matched)
    }
    return [one for one in problems if one.place.path not in ours & moot]


def _without(files: RuleFiles, problems: Iterable[Problem]) -> RuleSet | None:
    """Compile what is left without the files at fault, unless the rest needs them."""
    faulty = {one.place.path for one in problems}
    try:
        return compile_rules(
            {name: text for name, text in files.texts.items() if name not in faulty}
        )
    except RuleError:
        return None
