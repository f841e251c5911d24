"""Declared values: what events and facts allow, and whether a source keeps to it.

Owns lists of values and their bounds. `true` is not 1 here, though Python says so: a property is
a column of one type.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.names import MAX_NUMBER, MAX_TEXT_CHARS
from agent.rules.keys import Reader, said
from agent.rules.nodes import Items, Mapping, Node, Scalar
from agent.rules.places import listed, nearest_name
from agent.rules.sources import MAX_VALUES, values_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator
    from collections.abc import Mapping as MappingType

    from agent.model import Value
    from agent.rules.places import Place, Problems
    from agent.rules.ruleset import Event, Source
    from agent.rules.words import Vocabulary

MAX_SHOWN = 5


def read_values(
    node: Node, vocabularies: MappingType[str, Vocabulary], problems: Problems
) -> frozenset[Value]:
    """Read a declared list of values: words, or the words of vocabularies joined by a space.

    One at fault is empty: of what is not known nobody can say that a value is not in it.
    """
    before = len(problems.found)
    values: list[Value] = []
    for item in node.items if isinstance(node, Items) else (node,):
        found: Iterable[Value] = ()
        if isinstance(item, Scalar) and isinstance(item.value, str | int | bool):
            found = (item.value,) if _fits(item.value, item.place, problems) else ()
        elif isinstance(item, Mapping):
            joined = _joined(item, vocabularies, problems)
            if joined is None:
                return frozenset()
            found = joined
        else:
            problems.add(
                "type", item.place, "a value is a word, a whole number, true or false", "write one"
            )
        for value in found:
            if values and type(value) is not type(values[0]):
                all_one = "a property is all words, all numbers, or true and false"
                written = said(item) if isinstance(values[0], str) else None
                problems.add(
                    "type",
                    item.place,
                    f"{say_value(value)} is of another type than {say_value(values[0])} before it",
                    f"{other_type(written, value)}; {all_one}" if written else all_one,
                )
                break
            values.append(value)
        if len(values) > MAX_VALUES:
            _refuse(item.place, problems)
            break
    if isinstance(node, Items) and not node.items:
        problems.add("type", node.place, "it has no values", "write each value that it can take")
    return frozenset(values) if len(problems.found) == before else frozenset()


def _joined(
    item: Mapping, vocabularies: MappingType[str, Vocabulary], problems: Problems
) -> Iterable[Value] | None:
    reader = Reader(item, "a list of values", problems, ("vocabularies",))
    words = {""}
    for place, name in reader.placed_texts("vocabularies"):
        near = name if name in vocabularies else None
        near = near or problems.unknown("vocabulary", name, place, vocabularies)
        if near is None or not vocabularies[near].words:
            return None
        several = (*vocabularies[near].words, "other")
        if len(words) * len(several) > MAX_VALUES:
            _refuse(place, problems)
            break
        words |= {f"{left} {right}".strip() for left in words for right in several}
    return sorted(words - {""})


def _refuse(place: Place, problems: Problems) -> None:
    problems.add(
        "too-large",
        place,
        f"these are more than {MAX_VALUES} values",
        "count by fewer words, or by two properties",
    )


def _fits(value: Value, place: Place, problems: Problems) -> bool:
    if isinstance(value, str):
        fits, limit = len(value) <= MAX_TEXT_CHARS, f"{MAX_TEXT_CHARS} characters"
    else:
        fits, limit = abs(value) <= MAX_NUMBER, "2 to the power of 53"
    if fits:
        return True
    problems.add("too-large", place, f"a value is at most {limit}", "write a smaller one")
    return False


def is_declared(value: object, declared: Collection[Value]) -> bool:
    """Whether a value is declared, of the very type."""
    return any(type(one) is type(value) and one == value for one in declared)


def check_source(
    source: Source, declared: Collection[Value], node: Node, what: str, problems: Problems
) -> None:
    """Note each value of a source that is not declared, where it is written."""
    if not declared:
        return
    kinds = {type(one) for one in declared}
    allowed = frozenset(declared)
    missing = [one for one in values_of(source) if one not in allowed or type(one) not in kinds]
    wrong: dict[Place, list[Value]] = {}
    for value in sorted(missing, key=str):
        wrong.setdefault(_place_of(node, value), []).append(value)
    for place, values in wrong.items():
        several = ", ".join(map(say_value, values[:MAX_SHOWN])) + (
            ", ..." if values[MAX_SHOWN:] else ""
        )
        plural = "s" if values[1:] else ""
        problems.add(
            "value",
            place,
            f"{what} does not declare the value{plural} {several}",
            _fix(node, values[0], sorted(map(write_value, declared))),
        )


def check_values(
    event: Event, found: MappingType[str, Source], node: Mapping, problems: Problems
) -> None:
    """Note each property or value that the event does not declare, where it is written."""
    for name, source in found.items():
        if name not in event.properties:
            problems.unknown(f"property of {event.name}", name, node.keys[name], event.properties)
            continue
        what = f"{name!r} of {event.name!r}"
        check_source(source, event.properties[name], node.entries[name], what, problems)


def _fix(node: Node, value: Value, declared: list[str]) -> str:
    written = [one for one in written_values(node) if _is_same(one, value)]
    is_yes = isinstance(value, bool) and written and written[0].text not in {"true", "false"}
    if written and (is_yes or written[0].text in declared):
        return f"{other_type(written[0].text, value)}; {listed(declared)}"
    near = nearest_name(str(value), declared) if isinstance(value, str) else None
    if near is not None:
        return f"did you mean {near}?"
    if value == "other" and not written:
        return f"it is given where there is no `otherwise`; add one; {listed(declared)}"
    return f"use a declared one, or declare it; {listed(declared)}"


def _place_of(node: Node, value: Value) -> Place:
    """Return where a value is written, or the key that it comes from."""
    for scalar in written_values(node):
        if _is_same(scalar, value):
            return scalar.place
    if isinstance(node, Mapping):
        for key in ("vocabulary", "buckets", "present"):
            if key in node.entries:
                return node.entries[key].place
    return node.place


def written_values(node: Node) -> Iterator[Scalar]:
    """Yield what is written as a value in a source, and not as a name that it reads."""
    match node:
        case Scalar():
            yield node
        case Items():
            for item in node.items:
                yield from written_values(item)
        case Mapping():
            for key, value in node.entries.items():
                if key not in {"capture", "vocabulary", "present"}:
                    yield from written_values(value)


def other_type(written: str, value: object) -> str:
    """Say how to write what stands there so that it is of the other type, a text or none."""
    if isinstance(value, str):
        return f"write it without quotes: {written}"
    return f"put it in quotes: '{written}' without quotes is {say_value(value)}"


def _is_same(scalar: Scalar, value: Value) -> bool:
    return type(scalar.value) is type(value) and scalar.value == value


def say_value(value: object) -> str:
    """Return a value as a fault names it: a text in quotes."""
    return repr(value) if isinstance(value, str) else write_value(value)


def write_value(value: object) -> str:
    """Return a value as YAML has it."""
    return str(value).lower() if isinstance(value, bool) else str(value)
