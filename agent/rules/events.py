"""Events: what a user may declare, so that what is counted also arrives.

Owns the keys of an event. A name that the receiver keeps for itself, or that the agent sends
besides, costs the event or is written over, and nobody would hear of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.model import CRASHED, REPORT
from agent.names import ADDED, TABLES, check_name, snake
from agent.rules.keys import Reader, entries
from agent.rules.nodes import Mapping, Node
from agent.rules.places import nearest_name
from agent.rules.ruleset import Event
from agent.rules.values import read_values

if TYPE_CHECKING:
    from collections.abc import Mapping as MappingType

    from agent.model import Value
    from agent.rules.places import Place, Problems
    from agent.rules.words import Vocabulary

KEYS = ("category", "properties", "optional")
_RENAME = "give it another name"
_NO_PROPERTIES = "add `properties:` with the values of each, or `properties: {}` for none"
_LONGEST = "_total"
"""The Collection report says of each event its sum under the event's name with this behind it."""
_LIKE = 0.8


def read_event(
    name: str,
    node: Node,
    place: Place,
    *,
    vocabularies: MappingType[str, Vocabulary],
    others: MappingType[str, Event],
    problems: Problems,
) -> Event | None:
    """Read one event; `others` are those declared before it."""
    if not isinstance(node, Mapping):
        fix = "write `{category: ..., properties: {...}}`"
        problems.add("type", node.place, "an event is a mapping", fix)
        return None
    _check_event_name(name, place, others, problems)
    reader = Reader(node, f"event {name}", problems, KEYS)
    category = reader.text("category")
    _check_category(category, reader, others)
    listed = reader.mapping("properties")
    if listed is None:
        if not reader.has("properties"):
            what = f"event {name!r} has no 'properties'"
            problems.add("missing-key", place, what, _NO_PROPERTIES)
        return None
    properties: dict[str, frozenset[Value]] = {}
    optional = set()
    for key, value in entries(listed):
        before = len(problems.found)
        _check_property(key, listed.keys[key], properties, problems)
        if len(problems.found) > before:
            optional.add(key)  # what it will be called nobody knows
        properties[key] = read_values(value, vocabularies, problems)
    for at, key in reader.placed_texts("optional"):
        near = key if key in properties else None
        near = near or problems.unknown(f"property of {name}", key, at, properties)
        optional.add(near or key)
    return Event(name, category, properties, frozenset(optional))


def _check_event_name(
    name: str, place: Place, others: MappingType[str, Event], problems: Problems
) -> None:
    column = snake(name)
    twin = next((one for one in others if snake(one) == column and one != name), None)
    own = next((one for one in (CRASHED, REPORT) if snake(one) == column), None)
    if own is not None:
        problems.add("reserved", place, f"the agent itself sends {own!r}", _RENAME)
    elif twin is not None:
        problems.add(
            "reserved", place, f"{name!r} and {twin!r} are both {column} to the receiver", _RENAME
        )
    elif column in TABLES:
        problems.add("reserved", place, f"the receiver has a table {column} of its own", _RENAME)
    elif check_name(f"{column}{_LONGEST}") is not None:
        problems.add(
            "reserved",
            place,
            f"{name!r} cannot be the name of an event",
            "write words of a-z and 0-9, 57 characters at most, such as `Plugin restarted`",
        )


def _check_property(
    name: str, place: Place, others: MappingType[str, object], problems: Problems
) -> None:
    column = snake(name)
    twin = next((one for one in others if snake(one) == column), None)
    fault = check_name(name)
    if fault == "name":
        problems.add(
            "reserved",
            place,
            f"{name!r} cannot be the name of a property",
            "begin with a letter, then letters, digits and _, 63 at most",
        )
    elif fault is not None:
        problems.add("reserved", place, f"the receiver keeps {name!r} for itself", _RENAME)
    elif column in ADDED:
        problems.add("reserved", place, f"the agent adds {column!r} to every event", _RENAME)
    elif twin is not None:
        problems.add(
            "reserved", place, f"{name!r} and {twin!r} are both {column} to the receiver", _RENAME
        )


def _check_category(category: str, reader: Reader, others: MappingType[str, Event]) -> None:
    """Note a category that looks like another one misspelt; a new one is nobody's fault."""
    known = {one.category for one in others.values()}
    if not category or category in known:
        return
    near = nearest_name(category, known, least=_LIKE)
    if near is not None:
        reader.problems.unknown("category", category, reader.place("category"), known)
