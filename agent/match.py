"""Record + RuleSet -> Match: which rule an entry belongs to, and its raw captures.

Owns the exact decision. Must not know windows, pairs or privacy: the captures it returns are raw
and go to `anonymize` alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import frozen

from agent.rules.words import named_groups

if TYPE_CHECKING:
    from collections.abc import Mapping, Set

    from agent.model import Record
    from agent.rules.ruleset import Rule, RuleSet


@frozen
class Match:
    """A rule's hit with its raw captures. Lives in memory only."""

    rule: Rule
    captures: Mapping[str, bytes]
    at_ns: int
    first_line: int


def match(
    record: Record, ruleset: RuleSet, known: Set[str] = frozenset()
) -> tuple[Match | None, Match | None]:
    """Return the one rule that counts, opens or closes with this entry, and the one fact it states.

    Both go by the rules' order (priority, then id); an entry of a plugin is looked at only by
    rules that ask for plugins. `known` is what is known of the instance (`model.learn`).
    """
    counted: Match | None = None
    stated: Match | None = None
    for index in sorted(ruleset.messages.Match(record.message) or ()):
        rule = ruleset.rules[index]
        is_fact = not rule.counts
        if (stated if is_fact else counted) is not None:
            continue
        captures = try_rule(rule, record, known)
        if captures is None:
            continue
        found = Match(rule, captures, record.at_ns, record.first_line)
        if is_fact:
            stated = found
        else:
            counted = found
        if counted is not None and stated is not None:
            break
    return counted, stated


def try_rule(
    rule: Rule, record: Record, known: Set[str] = frozenset()
) -> Mapping[str, bytes] | None:
    """Return the captures if all conditions of a rule hold for a record, else None."""
    failed, captures = _look(rule, record, known)
    return captures if failed is None else None


def first_failed(rule: Rule, record: Record, known: Set[str] = frozenset()) -> str | None:
    """Name the first condition of a rule that a record does not meet, or None if it meets all."""
    return _look(rule, record, known)[0]


def _look(rule: Rule, record: Record, known: Set[str]) -> tuple[str | None, dict[str, bytes]]:
    """Return the first condition that fails, and what was captured before it."""
    captures: dict[str, bytes] = {}
    if record.format not in rule.formats:
        return "formats", captures
    if rule.levels and record.level not in rule.levels:
        return "level", captures
    if rule.plugin is not None and record.plugin != rule.plugin:
        return "origin", captures
    found = rule.message.match(record.message)
    if found is None:
        return "message", captures
    fields = record.fields
    captures = named_groups(found)
    captures.update((name, fields[name]) for name in rule.optional_fields if name in fields)
    for name, pattern in rule.fields.items():
        value = fields.get(name)
        found = pattern.fullmatch(value) if value is not None else None
        if value is None or found is None:
            return f"fields.{name}", captures
        captures[name] = value
        captures.update(named_groups(found))
    if not fields.keys().isdisjoint(rule.absent_fields):
        return "absent_fields", captures
    return _first_exception(rule, captures, known), captures


def _first_exception(rule: Rule, captures: Mapping[str, bytes], known: Set[str]) -> str | None:
    for name, values in rule.when.items():
        if not _is_one_of(name, values, known):
            return f"when.{name}"
    if rule.each is None:
        for name, find in rule.unless.items():
            if find(captures.get(name, b"")) is not None:
                return f"unless.{name}"
    return None


def _is_one_of(name: str, values: Set[str], known: Set[str]) -> bool:
    if any(f"{name}={value}" in known for value in values):
        return True
    return "unknown" in values and not any(word.startswith(f"{name}=") for word in known)
