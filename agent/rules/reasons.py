"""Why a rule did not take an entry of its own example: the key that failed, and what stands there.

Owns the words for it. Which condition failed is told by those who match; this package does not.
Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import re2

from agent.rules.literals import longest_literal
from agent.rules.words import options

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import TypeAlias

    from agent.model import Record
    from agent.rules.ruleset import Rule

    Failure: TypeAlias = tuple[str, Record]
    """The first condition of a rule that an entry does not meet, as `key` or `key.name`."""

_ORDER = ("formats", "level", "origin", "message", "fields", "absent_fields", "when", "unless")
MAX_SHOWN = 30


def say_reason(rule: Rule, failures: Iterable[Failure]) -> str | None:
    """Say what kept the entry that came nearest from being the rule's; None without an entry."""
    near = max(failures, key=lambda one: _rank(one[0]), default=None)
    if near is None:
        return None
    key = near[0].partition(".")[0]
    place = rule.places.get(key)
    where = f" (line {place.line})" if place is not None else ""
    return f"`{key}`{where} {_say(rule, *near)}"


def _rank(failed: str) -> int:
    return _ORDER.index(failed.partition(".")[0])


def _say(rule: Rule, failed: str, record: Record) -> str:
    key, _, name = failed.partition(".")
    match key:
        case "formats":
            return f"wants {_any(rule.formats)}, and the line is {record.format}"
        case "level":
            return f"wants {_any(rule.levels)}, and the line has {record.level or 'none'}"
        case "origin":
            whose = ("the core", "a plugin") if rule.plugin else ("a plugin", "the core")
            return f"wants lines of {whose[1]}, and this is one of {whose[0]}"
        case "message":
            return _say_message(rule.pattern, record.message)
        case "fields":
            value = record.fields.get(name)
            has = "no such field" if value is None else f"`{_cut(value)}`"
            return f"wants another value of {name!r}, and the line has {has}"
        case "absent_fields":
            there = ", ".join(one for one in rule.absent_fields if one in record.fields)
            return f"wants no field {there}, and the line has it"
        case _:
            return f"does not hold for {name!r}"


def _say_message(pattern: str, message: bytes) -> str:
    """Say from where on a pattern does not match: behind its longest beginning that does."""
    written, end = 0, 0
    # Each side of a `|` is a beginning of its own; there is no one place then.
    if longest_literal(pattern):
        for length in range(len(pattern), 0, -1):
            found = _match(pattern[:length], message)
            if found is not None:
                written, end = length, found
                break
    # Whole words are shown: `times` and `too` begin alike.
    while written and end and pattern[written - 1].isalnum() and pattern[written - 1].isascii():
        if message[end - 1 : end] != pattern[written - 1].encode():
            break
        written, end = written - 1, end - 1
    rest = _cut(message[end:])
    goes_on = f"says `{rest}`" if rest else "ends"
    return f"says `{_cut(pattern[written:].encode())}` where the line {goes_on}"


def _match(pattern: str, message: bytes) -> int | None:
    try:
        found = re2.compile(pattern.encode(), options=options()).match(message)
    except re2.error:
        return None
    return found.end() if found is not None else None


def _cut(text: bytes) -> str:
    shown = text.decode("utf-8", "replace").replace("\n", r"\n")
    return f"{shown[:MAX_SHOWN]}..." if shown[MAX_SHOWN:] else shown


def _any(words: Iterable[str]) -> str:
    return " or ".join(sorted(map(str, words)))
