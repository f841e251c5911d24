"""Label and field selectors of list and watch requests: text to a predicate over objects."""

from __future__ import annotations

import re
from collections.abc import Callable

from tests.sim.status import Json, Kind, bad_request

Matches = Callable[[Json], bool]

_IN = re.compile(r"^(?P<key>\S+)\s+(?P<op>in|notin)\s+\((?P<values>[^)]*)\)$")
_EQUAL = re.compile(r"^(?P<key>[^\s=!]+)\s*(?P<op>==|=|!=)\s*(?P<value>\S*)$")
_EXISTS = re.compile(r"^(?P<absent>!?)\s*(?P<key>[^\s=!(),]+)$")

_META_FIELDS = ("metadata.name", "metadata.namespace")
_POD_FIELDS = (
    *_META_FIELDS,
    "spec.nodeName",
    "spec.restartPolicy",
    "spec.schedulerName",
    "spec.serviceAccountName",
    "status.phase",
    "status.podIP",
    "status.nominatedNodeName",
)


def label_matches(selector: str) -> Matches:
    """Compile a label selector; all its requirements must hold."""
    requirements = [_requirement(part.strip(), selector) for part in _split(selector)]
    return lambda obj: all(holds(_labels(obj)) for holds in requirements)


def field_matches(selector: str, kind: Kind) -> Matches:
    """Compile a field selector, which knows only the fields of its resource."""
    known = _POD_FIELDS if kind.plural == "pods" else _META_FIELDS
    wanted: list[tuple[str, bool, str]] = []
    for part in filter(None, (part.strip() for part in selector.split(","))):
        found = _EQUAL.match(part)
        if found is None:
            raise bad_request(f"invalid selector: '{selector}'; can't understand '{part}'")
        if found["key"] not in known:
            raise bad_request(
                f'Unable to find "{kind.group}/{kind.version}, Resource={kind.plural}" that match '
                f'label selector "", field selector "{selector}": '
                f"field label not supported: {found['key']}"
            )
        wanted.append((found["key"], found["op"] != "!=", found["value"]))
    return lambda obj: all((_field(obj, key) == value) is equal for key, equal, value in wanted)


def selected_name(selector: str) -> str:
    """Return the one name that a field selector asks for."""
    found = re.fullmatch(r"metadata\.name==?([^,!=]+)", selector.strip())
    return found[1] if found else ""


def _split(selector: str) -> list[str]:
    # A comma between parentheses belongs to the set.
    return [part for part in re.split(r",(?![^(]*\))", selector) if part.strip()]


def _requirement(part: str, selector: str) -> Callable[[dict[str, str]], bool]:
    if found := _IN.match(part):
        key, values = found["key"], {value.strip() for value in found["values"].split(",")}
        if found["op"] == "in":
            return lambda labels: labels.get(key) in values
        return lambda labels: labels.get(key) not in values
    if found := _EQUAL.match(part):
        key, value = found["key"], found["value"]
        if found["op"] == "!=":
            return lambda labels: labels.get(key) != value
        return lambda labels: labels.get(key) == value
    if found := _EXISTS.match(part):
        key, absent = found["key"], bool(found["absent"])
        return lambda labels: (key in labels) is not absent
    raise bad_request(f"unable to parse requirement: found '{part}' in '{selector}'")


def _labels(obj: Json) -> dict[str, str]:
    labels: dict[str, str] = obj["metadata"].get("labels") or {}
    return labels


def _field(obj: Json, path: str) -> str:
    value: object = obj
    for key in path.split("."):
        value = value.get(key) if isinstance(value, dict) else None
    return str(value or "")
