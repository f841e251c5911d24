"""The exit gate: every event is looked at once more before it is sealed.

Owns the shape that each event must have, compiled from `disclosure`'s list and nothing else. It
stands apart from `anonymize` and from what the rule compiler proved: it knows neither, and would
stop a value that both had let through. Says where an event violates its shape in a constant word,
never what stands there. Pure.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeAlias

from agent.disclosure import CALL, GROUP, IDENTIFY, Disclosure, disclosures

if TYPE_CHECKING:
    from agent.rules import RuleSet

Gate: TypeAlias = Callable[[Mapping[str, Any]], str | None]
"""Returns None for an event that may leave, else which part of it may not."""

_DAY_SECONDS = 86_400
_MAX_NUMBER = 2**53
_UUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
_MINOR = re.compile(r"\d{1,3}\.\d{1,3}")
_OWN_KEYS = {
    "track": frozenset({"event", "properties"}),
    IDENTIFY: frozenset({"traits"}),
    GROUP: frozenset({"groupId", "traits"}),
}
_KEYS = frozenset({"type", "anonymousId", "messageId", "timestamp"})


def make_gate(ruleset: RuleSet, *, agent_version: str) -> Gate:
    """Compile the shapes of everything that may leave under a rule set."""
    constants = {"version": agent_version, "digest": ruleset.digest}
    shapes: defaultdict[str, dict[str, Disclosure]] = defaultdict(dict)
    for one in disclosures(ruleset):
        shapes[one.event][one.name] = one
    tracked = frozenset(shapes[CALL]["event"].values)

    def gate(event: Mapping[str, Any]) -> str | None:
        kind = event.get("type")
        if not isinstance(kind, str) or kind not in _OWN_KEYS:
            return "type"
        if event.keys() != _KEYS | _OWN_KEYS[kind]:
            return "keys"
        for key in ("anonymousId", "messageId", "groupId"):
            if key in event and not _is_uuid(event[key]):
                return key
        name = event["event"] if kind == "track" else kind
        if not isinstance(name, str) or (kind == "track" and name not in tracked):
            return "event"
        values = event["properties" if kind == "track" else "traits"]
        if not isinstance(values, Mapping):
            return "properties"
        return _check_values(values, shapes[name], constants) or (
            _check_window(event) if kind == "track" else _check_day(event["timestamp"])
        )

    return gate


def admit(gate: Gate, events: Iterable[Mapping[str, Any]]) -> tuple[list[dict[str, Any]], int]:
    """Return the events that may leave, and how many may not."""
    found = [dict(event) for event in events]
    admitted = [event for event in found if gate(event) is None]
    return admitted, len(found) - len(admitted)


def _check_values(
    values: Mapping[str, Any], shapes: Mapping[str, Disclosure], constants: Mapping[str, str]
) -> str | None:
    for name, value in values.items():
        # An unknown name may be text itself, so it is not repeated.
        if name not in shapes:
            return "property"
        if not _fits(value, shapes[name], constants):
            return name
    missing = [one.name for one in shapes.values() if not one.is_optional]
    return next((name for name in missing if name not in values), None)


def _fits(value: object, shape: Disclosure, constants: Mapping[str, str]) -> bool:
    if shape.shape in constants:
        return type(value) is str and value == constants[shape.shape]
    match shape.shape:
        case "words":
            # 1 == True, so equality alone would let the one pass for the other.
            return any(type(one) is type(value) and one == value for one in shape.values)
        case "true":
            return value is True
        case "count":
            return _is_number(value, 1)
        case "number" | "sum" | "total":
            return _is_number(value, 0)
        case "minutes":
            return isinstance(value, int) and _is_number(value, 0) and value % 60 == 0
        case "uuid":
            return _is_uuid(value)
        case "boundary":
            return _seconds(value) is not None
        case "minor":
            return type(value) is str and _MINOR.fullmatch(value) is not None
        case _:
            return False


def _is_number(value: object, least: int) -> bool:
    return type(value) is int and least <= value <= _MAX_NUMBER


def _is_uuid(value: object) -> bool:
    return type(value) is str and _UUID.fullmatch(value) is not None


def _check_window(event: Mapping[str, Any]) -> str | None:
    """Let no time be finer than a window: it ends where windows at least as long do.

    The first window after a change of `window.seconds` is shorter than those that follow.
    """
    start = _seconds(event["properties"]["window_start"])
    end = _seconds(event["properties"]["window_end"])
    if event["timestamp"] != event["properties"]["window_end"]:
        return "timestamp"
    if start is None or end is None or not 0 < end - start <= _DAY_SECONDS:
        return "window_end"
    is_boundary = any(
        _DAY_SECONDS % length == 0 and end % length == 0
        for length in range(end - start, _DAY_SECONDS + 1)
    )
    return None if is_boundary else "window_end"


def _check_day(value: object) -> str | None:
    at = _seconds(value)
    return None if at is not None and at % _DAY_SECONDS == 0 else "timestamp"


def _seconds(value: object) -> int | None:
    if type(value) is not str or _TIME.fullmatch(value) is None:
        return None
    try:
        return int(datetime.strptime(value, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).timestamp())
    except ValueError:
        return None
