"""Scenario files: a longer log and all that it counts, beside the rules that it tries.

Owns the keys `log`, `file` and `expect`, and the comparison with what a run gives. Must not read
the file that `file` names; its text is handed in.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

from attrs import field, frozen

from agent.rules.examples import declared_of, read_properties
from agent.rules.keys import Reader, gathered, said
from agent.rules.nodes import Mapping, Node, read
from agent.rules.places import Place, Problems, RuleError
from agent.rules.values import write_value

if TYPE_CHECKING:
    from collections.abc import Iterable
    from collections.abc import Mapping as MappingType
    from typing import TypeAlias

    from agent.model import Observation, Properties
    from agent.rules.ruleset import RuleSet

    Counts: TypeAlias = Counter[tuple[str, Properties]]

KEYS = ("description", "log", "file", "expect")
EXPECT_KEYS = ("event", "properties", "count")
MAX_COUNT = 1_000_000


@frozen
class Scenario:
    """A log, given or in a file, and how often it counts each event with its properties.

    `place` is that of what is expected, `places` those of each entry and its count, `source` that
    of the log or of the name of its file.
    """

    place: Place
    source: Place
    log: str | None
    file: str | None
    expected: Counts
    places: MappingType[tuple[str, Properties], tuple[Place, Place]] = field(factory=dict)

    def wrong(self, found: Counts) -> Place:
        """Return where it expects what is not counted: an entry, or its count, if it is one."""
        differing = [key for key in self.expected if self.expected[key] != found[key]]
        if len(differing) != 1:
            return self.place
        entry, number = self.places[differing[0]]
        return number if found.keys() <= self.expected.keys() else entry


def read_scenario(path: str, text: str, ruleset: RuleSet, lost: MappingType[str, str]) -> Scenario:
    """Read one scenario file. Raises `RuleError` with all its faults.

    `lost` are the texts of rule files at fault by path, which may declare what is not known.
    """
    problems = Problems()
    problems.texts |= lost
    problems.unread |= lost.keys()
    node = read(path, text, problems)
    if node is None:
        raise RuleError(problems.found)
    reader = Reader(node, "a scenario", problems, KEYS)
    reader.text("description", "")
    log = reader.text("log", "") if reader.has("log") else None
    file = reader.text("file", "") if reader.has("file") else None
    if log is not None and file is not None:
        what = "a scenario has a `log` or a `file`, and not both"
        problems.add("duplicate", reader.node.keys["file"], what, "remove one of the two")
    elif log is None and file is None:
        problems.add(
            "missing-key", node.place, "a scenario has a `log` or a `file`", "write one of the two"
        )
    if not reader.has("expect"):
        problems.add(
            "missing-key",
            node.place,
            "a scenario has no 'expect'",
            "write `expect: []` for nothing",
        )
    expected: Counts = Counter()
    places: dict[tuple[str, Properties], tuple[Place, Place]] = {}
    for item in reader.items("expect"):
        key, count, place = _expected(item, ruleset, problems)
        expected[key] += count
        places.setdefault(key, (item.place, place))
    if problems.found:
        raise RuleError(problems.found)
    source = reader.place("log" if file is None else "file")
    return Scenario(reader.place("expect"), source, log, file, expected, places)


def _expected(
    node: Node, ruleset: RuleSet, problems: Problems
) -> tuple[tuple[str, Properties], int, Place]:
    if not isinstance(node, Mapping):
        problems.add(
            "type", node.place, "what is expected is a mapping", "begin with `- event: ...`"
        )
        return ("", ()), 0, node.place
    named = said(node.entries.get("event")) or ""
    if _is_declared_in(problems.texts.values(), named):
        return ("", ()), 0, node.place  # which of the two is meant nobody knows
    if named in ruleset.events:
        node = gathered(node, EXPECT_KEYS, ruleset.events[named].properties, problems)
    reader = Reader(node, "expect", problems, EXPECT_KEYS)
    name = reader.text("event")
    event = declared_of(name, reader, ruleset.events, ruleset.facts) if name else None
    listed = reader.mapping("properties")
    values = read_properties(listed, event, problems) if listed and event else {}
    count = reader.number("count", 1, 1, MAX_COUNT)
    key = (event.name if event else "", tuple(sorted(values.items())))
    return key, count, reader.place("count")


def _is_declared_in(texts: Iterable[str], event: str) -> bool:
    """Whether one of these texts, which are of files at fault, may declare an event."""
    key = re.compile(rf"^\s+['\"]?{re.escape(event)}['\"]?\s*:", re.MULTILINE)
    return bool(event) and any(map(key.search, texts))


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
    values = ", ".join(f"{name}: {write_value(value)}" for name, value in properties)
    return f"{{event: {event}, properties: {{{values}}}, count: {number}}}"
