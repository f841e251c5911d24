"""Label and field selectors of list and watch requests: text to a predicate over objects."""

from __future__ import annotations

import re
from collections.abc import Callable

from tests.sim.status import ApiError, Json, Kind, bad_request

Matches = Callable[[Json], bool]

_WORD = r"[^\s=!(),<>]+"
_REQUIREMENT = re.compile(
    rf"""\s*(?:
        !\s*(?P<absent>{_WORD})
        | (?P<key>{_WORD})\s*(?:
            (?P<op>==|=|!=|<|>)\s*(?P<value>{_WORD})?
            | (?P<set>in|notin)\s*\((?P<values>[^=!()<>]*)\)
        )?
    )\s*(?P<end>,|$)""",
    re.VERBOSE,
)
_PREFIX = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*", re.ASCII)
_PART = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?", re.ASCII)
_PART_CHARACTERS, _PREFIX_CHARACTERS = 63, 253

_TERM = re.compile(r"(?P<key>(?:[^\\=!]|\\.|!(?!=))*)(?P<op>!=|==|=)(?P<value>.*)", re.DOTALL)
_ESCAPED = re.compile(r"(?:[^\\,=]|\\[\\,=])*", re.DOTALL)

_META_FIELDS = ("metadata.name", "metadata.namespace")
_POD_FIELDS = (
    *_META_FIELDS,
    "spec.nodeName",
    "spec.hostNetwork",
    "spec.restartPolicy",
    "spec.schedulerName",
    "spec.serviceAccountName",
    "status.phase",
    "status.podIP",
    "status.podIPs",
    "status.nominatedNodeName",
)
_DEFAULTS = {"spec.hostNetwork": "false", "spec.schedulerName": "default-scheduler"}


def label_matches(selector: str) -> Matches:
    """Compile a label selector; all its requirements must hold."""
    requirements, place = [], 0
    is_more = bool(selector.strip())
    while is_more:
        found = _REQUIREMENT.match(selector, place)
        if found is None:
            raise bad_request(f"unable to parse requirement: found '{selector[place:]}'")
        requirements.append(_requirement(found))
        place, is_more = found.end(), bool(found["end"])
    return lambda obj: all(holds(_labels(obj)) for holds in requirements)


def is_label_key(key: str) -> bool:
    """Whether a key is a name, perhaps behind a domain and a slash."""
    return not key_faults(key)


def key_faults(key: str) -> list[str]:
    """Say everything that is wrong in a key."""
    prefix, slash, name = key.rpartition("/")
    if "/" in prefix:
        return ["a qualified name must consist of alphanumeric characters"]
    faults = []
    if slash and not prefix:
        faults.append("prefix part must be non-empty")
    elif slash and _PREFIX.fullmatch(prefix) is None:
        faults.append("prefix part a lowercase RFC 1123 subdomain must consist of lower case")
    if len(prefix) > _PREFIX_CHARACTERS:
        faults.append(f"prefix part must be no more than {_PREFIX_CHARACTERS} characters")
    if not name:
        faults.append("name part must be non-empty")
    if len(name) > _PART_CHARACTERS:
        faults.append(f"name part must be no more than {_PART_CHARACTERS} characters")
    if _PART.fullmatch(name) is None:
        faults.append("name part must consist of alphanumeric characters")
    return faults


def is_label_value(value: str) -> bool:
    is_part = not value or _PART.fullmatch(value) is not None
    return is_part and len(value) <= _PART_CHARACTERS


def check_selectors(labels: str, fields: str) -> bool:
    """Return whether they select at all; raise 400 unless they are well formed."""
    label_matches(labels)
    return bool(_terms(fields)) or bool(labels.strip())


def field_matches(selector: str, kind: Kind) -> Matches:
    """Compile a field selector, which knows only the fields of its resource."""
    known = _POD_FIELDS if kind.plural == "pods" else _META_FIELDS
    wanted = _terms(selector)
    for key, _, _ in wanted:
        if key not in known:
            words = '"{}" is not a known field selector: only "metadata.name", "metadata.namespace"'
            words = words if known is _META_FIELDS else "field label not supported: {}"
            raise bad_request(words.format(key))
    return lambda obj: all((_field(obj, key) == value) is equal for key, equal, value in wanted)


def selected_name(selector: str) -> str:
    """Return the one name that a field selector asks for."""
    try:
        terms = _terms(selector)
    except ApiError:
        return ""
    names = (value for key, equal, value in terms if equal and key == "metadata.name")
    found = next(names, "")
    return "" if {"/", "%"} & {*found} or found in {".", ".."} else found


def _terms(selector: str) -> list[tuple[str, bool, str]]:
    """Return field, whether it must be equal, and value; or raise 400."""
    terms = []
    for part in filter(None, re.split(r"(?<!\\),", selector)):
        found = _TERM.fullmatch(part)
        if found is None:
            raise bad_request(f"invalid selector: '{selector}'; can't understand '{part}'")
        if _ESCAPED.fullmatch(found["value"]) is None:
            raise bad_request(f"invalid field selector: unescaped character in '{part}'")
        if found["key"] or found["value"]:
            value = re.sub(r"\\(.)", r"\1", found["value"])
            terms.append((found["key"], found["op"] != "!=", value))
    return terms


def _requirement(found: re.Match[str]) -> Callable[[dict[str, str]], bool]:
    key, op, value = found["key"] or found["absent"], found["op"], found["value"] or ""
    values = [one.strip() for one in (found["values"] or "").split(",")]
    is_number = re.fullmatch(r"[+-]?\d+", value, re.ASCII) is not None
    if not is_label_key(key):
        raise bad_request(f'unable to parse requirement: <nil>: Invalid value: "{key}"')
    if not all(map(is_label_value, (*values, value))):
        raise bad_request(f'unable to parse requirement: values of {key}: Invalid value: "{value}"')
    if op in {"<", ">"} and not is_number:
        raise bad_request("unable to parse requirement: the value must be an integer")
    if found["absent"]:
        return lambda labels: key not in labels
    match found["set"] or op:
        case "in":
            return lambda labels: labels.get(key) in values
        case "notin":
            return lambda labels: labels.get(key) not in values
        case "!=":
            return lambda labels: labels.get(key) != value
        case "=" | "==":
            return lambda labels: labels.get(key) == value
        case "<" | ">":
            return lambda labels: _exceeds(labels.get(key, ""), value, above=op == ">")
        case _:
            return lambda labels: key in labels


def _exceeds(label: str, value: str, *, above: bool) -> bool:
    if re.fullmatch(r"[+-]?\d+", label, re.ASCII) is None:
        return False
    return int(label) > int(value) if above else int(label) < int(value)


def _labels(obj: Json) -> dict[str, str]:
    labels: dict[str, str] = obj["metadata"].get("labels") or {}
    return labels


def _field(obj: Json, path: str) -> str:
    value: object = obj
    for key in path.split("."):
        value = value.get(key) if isinstance(value, dict) else None
    return str(value or _DEFAULTS.get(path, ""))
