"""Scenario files: a longer log and all that it counts, beside the rules that it tries.

Owns the keys `log`, `file` and `expect`, and the comparison with what a run gives. Must not read
the file that `file` names; its text is handed in.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from attrs import frozen

from agent.model import CRASHED, Properties
from agent.rules.places import Mapping, Node, Place, Problems, Reader, RuleError, Scalar, read

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agent.model import Observation, Value
    from agent.rules.ruleset import RuleSet

KEYS = ("description", "log", "file", "expect")
EXPECT_KEYS = ("event", "properties", "count")
MAX_COUNT = 1_000_000

Counts = Counter[tuple[str, Properties]]


@frozen
class Scenario:
    """A log, given or in a file, and how often it counts each event with its properties."""

    place: Place
    log: str | None
    file: str | None
    expected: Counts


def read_scenario(path: str, text: str, ruleset: RuleSet) -> Scenario:
    """Read one scenario file. Raises `RuleError` with all its faults."""
    problems = Problems()
    node = read(path, text, problems)
    if node is None:
        raise RuleError(problems.found)
    reader = Reader(node, "a scenario", problems)
    reader.text("description", "")
    log = reader.text("log", "") if "log" in node.entries else None
    file = reader.text("file", "") if "file" in node.entries else None
    if (log is None) == (file is None):
        problems.add(
            "missing-key", node.place, "a scenario has a `log` or a `file`", "write one of the two"
        )
    if "expect" not in node.entries:
        problems.add(
            "missing-key",
            node.place,
            "a scenario has no 'expect'",
            "write `expect: []` for nothing",
        )
    expected: Counts = Counter()
    for item in reader.items("expect"):
        key, count = _expected(item, ruleset, problems)
        expected[key] += count
    reader.done(KEYS)
    if problems.found:
        raise RuleError(problems.found)
    return Scenario(reader.place("expect"), log, file, expected)


def _expected(
    node: Node, ruleset: RuleSet, problems: Problems
) -> tuple[tuple[str, Properties], int]:
    if not isinstance(node, Mapping):
        problems.add(
            "type", node.place, "what is expected is a mapping", "begin with `- event: ...`"
        )
        return ("", ()), 0
    reader = Reader(node, "expect", problems)
    event = reader.text("event")
    declared = dict(ruleset.events[event].properties) if event in ruleset.events else None
    if event == CRASHED and declared is None:
        declared = {"kind": ruleset.facts.get("kind", frozenset())}
    if event and declared is None:
        problems.unknown("event", event, reader.place("event"), (*ruleset.events, CRASHED))
    listed = reader.mapping("properties")
    values: dict[str, Value] = {}
    for name, value in listed.entries.items() if listed and declared is not None else ():
        assert listed is not None
        assert declared is not None
        said = value.value if isinstance(value, Scalar) else None
        if name not in declared:
            problems.unknown(f"property of {event}", name, listed.keys[name], declared)
        elif not isinstance(said, str | int | bool) or said not in declared[name]:
            problems.unknown(f"value of {name}", str(said), value.place, map(str, declared[name]))
        else:
            values[name] = said
    count = reader.number("count", 1, 1, MAX_COUNT)
    reader.done(EXPECT_KEYS)
    return (event, tuple(sorted(values.items()))), count


def count(observations: Iterable[Observation]) -> Counts:
    """Count observations by event and properties."""
    return Counter((one.event, one.properties) for one in observations)


def differences(expected: Counts, found: Counts) -> list[str]:
    """Return a line for each count that is not as expected: `-` expected, `+` found."""
    lines = []
    for key in sorted(expected.keys() | found.keys(), key=repr):
        if expected[key] != found[key]:
            lines += [f"- {say(key, expected[key])}"] if expected[key] else []
            lines += [f"+ {say(key, found[key])}"] if found[key] else []
        else:
            lines.append(f"  {say(key, found[key])}")
    return lines


def say(key: tuple[str, Properties], number: int) -> str:
    """Return a counted key as a scenario file writes it."""
    event, properties = key
    values = ", ".join(
        f"{name}: {str(value).lower() if isinstance(value, bool) else value}"
        for name, value in properties
    )
    return f"{{event: {event}, properties: {{{values}}}, count: {number}}}"
