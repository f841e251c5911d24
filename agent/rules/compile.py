"""YAML texts -> `RuleSet`, or every fault of every file at once.

Owns the order of compiling: shared files, rules, overrides, then what needs all of them. Must not
read files or match lines.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from agent.rules.checks import check_captures, check_closers, check_reachable, check_shared
from agent.rules.examples import check_contradictions
from agent.rules.places import Mapping, Problems, Reader, RuleError, Scalar, read
from agent.rules.rule import RuleCompiler
from agent.rules.ruleset import Rule, RuleSet
from agent.rules.shared import Shared

if TYPE_CHECKING:
    from collections.abc import Mapping as MappingType


def compile_rules(texts: MappingType[str, str]) -> RuleSet:
    """Compile the files of a rule set, given as path -> text. Raises `RuleError` with all faults.

    A file with `id` and `disable: true` takes the rule of this id out; one with `override: true`
    stands in its place. Both need the rule to be there.
    """
    problems = Problems()
    nodes = [read(path, text, problems) for path, text in sorted(texts.items())]
    files = [node for node in nodes if node is not None]
    shared = Shared(problems)
    shared.take(node for node in files if not _is_rule(node))
    compilers = [
        RuleCompiler(node, shared, problems)
        for node in files
        if _is_rule(node) and not _says(node, "disable")
    ]
    compiled = [(one, one.compile()) for one in compilers]
    rules = _choose(compiled, files, problems)
    order = sorted(rules.values(), key=lambda rule: (-rule.priority, rule.id))
    known = {rule.id for _, rule in compiled}
    check_closers(rules, known, problems)
    check_captures(
        rules,
        [rule for _, rule in compiled],
        {rule.id: one.written for one, rule in compiled if rules.get(rule.id) is rule},
        problems,
    )
    check_reachable(order, problems)
    check_contradictions(order, problems)
    if len(files) == len(nodes):
        # What a file that cannot be read would use is not known.
        check_shared(shared, problems)
    if problems.found:
        raise RuleError(sorted(problems.found, key=lambda one: (one.place, one.code)))
    return RuleSet(
        tuple(order),
        shared.events,
        shared.vocabularies,
        shared.facts,
        shared.platforms["bots"],
        shared.platforms["sinks"],
        _digest(texts),
        tuple(shared.uncovered),
    )


def _is_rule(node: Mapping) -> bool:
    return bool(node.entries.keys() & {"id", "message", "hits"}) or not node.entries


def _says(node: Mapping, key: str) -> bool:
    found = node.entries.get(key)
    return isinstance(found, Scalar) and found.value is True


def _choose(
    compiled: list[tuple[RuleCompiler, Rule]], files: list[Mapping], problems: Problems
) -> dict[str, Rule]:
    """Return the rules that hold, by id, once overrides and disables have acted."""
    rules: dict[str, Rule] = {}
    overrides = [rule for one, rule in compiled if _says(one.node, "override")]
    for one, rule in compiled:
        if _says(one.node, "override"):
            continue
        if rule.id in rules:
            problems.add(
                "duplicate",
                rule.place,
                f"rule {rule.id!r} is declared twice",
                f"first in {rules[rule.id].place}; to replace it, add `override: true`",
            )
        rules.setdefault(rule.id, rule)
    shipped = dict(rules)
    for rule in overrides:
        if rule.id not in shipped:
            problems.unknown("rule", rule.id, rule.place, shipped)
        rules[rule.id] = rule
    for node in files:
        if _says(node, "disable"):
            reader = Reader(node, "a file that disables a rule", problems)
            name = reader.text("id")
            for key in ("version", "disable"):
                reader.take(key)
            reader.done()
            if name not in shipped:
                problems.unknown("rule", name, reader.place("id"), shipped)
            rules.pop(name, None)
    return rules


def _digest(texts: MappingType[str, str]) -> str:
    digest = hashlib.sha256()
    for path, text in sorted(texts.items()):
        digest.update(f"{path}\0{len(text)}\0{text}".encode())
    return digest.hexdigest()[:16]
