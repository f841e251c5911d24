"""Where the value of a property comes from: the part of the language that keeps text from leaving.

Owns the reading of `properties` and the list of all values that a property can take. A source is
a constant, a vocabulary's word, a boolean, a bucket or a fact; anything else does not compile.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import frozen

from agent.rules.places import Items, Mapping, Node, Problems, Reader, Scalar
from agent.rules.ruleset import (
    SKIP,
    Bucketed,
    Captured,
    Constant,
    Joined,
    OnlyEnabled,
    Present,
    Skip,
    Source,
)

if TYPE_CHECKING:
    from collections.abc import Iterable
    from collections.abc import Mapping as MappingType
    from collections.abc import Set as AbstractSet

    from agent.model import Value
    from agent.rules.places import Place
    from agent.rules.ruleset import Event, Vocabulary


@frozen
class Sources:
    """Reads property sources. `captures` None means that they are another rule's."""

    vocabularies: MappingType[str, Vocabulary]
    captures: AbstractSet[str] | None
    problems: Problems

    def read(self, node: Node, name: str) -> Source:
        """Read one property's value."""
        if isinstance(node, Scalar) and isinstance(node.value, str | bool | int):
            return Skip() if node.value == SKIP else Constant(node.value)
        if not isinstance(node, Mapping):
            self.problems.add(
                "type",
                node.place,
                f"{name!r} is a value or a mapping",
                "write a word, or `capture:`",
            )
            return Skip()
        reader = Reader(node, f"property {name}", self.problems)
        made = self._read_mapping(reader, name)
        reader.done(
            ("capture", "vocabulary", "otherwise", "buckets", "present", "join", "only_enabled")
        )
        return made

    def _read_mapping(self, reader: Reader, name: str) -> Source:
        if "join" in reader.node.entries:
            return Joined(tuple(self.read(item, name) for item in reader.items("join")))
        if "present" in reader.node.entries:
            return Present(self._capture(reader, "present"))
        if "only_enabled" in reader.node.entries:
            words = reader.texts("only_enabled")
            return OnlyEnabled(words, self._otherwise(reader, name))
        capture = self._capture(reader, "capture")
        if "buckets" in reader.node.entries:
            return Bucketed(capture, self._bounds(reader))
        if "vocabulary" not in reader.node.entries:
            self.problems.add(
                "free-text",
                reader.node.place,
                f"{name!r} would carry the text of a log line",
                "name a `vocabulary`, `buckets`, or use `present`",
            )
            return Skip()
        wanted = reader.text("vocabulary")
        otherwise = self._otherwise(reader, name)
        vocabulary = self.vocabularies.get(wanted)
        if vocabulary is None:
            place = reader.place("vocabulary")
            self.problems.unknown("vocabulary", wanted, place, self.vocabularies)
            return Skip()
        return Captured(capture, vocabulary, otherwise)

    def _otherwise(self, reader: Reader, name: str) -> Source:
        node = reader.take("otherwise")
        return Constant("other") if node is None else self.read(node, name)

    def _bounds(self, reader: Reader) -> tuple[int, ...]:
        bounds = []
        for item in reader.items("buckets"):
            value = item.value if isinstance(item, Scalar) else None
            if isinstance(value, int) and not isinstance(value, bool):
                bounds.append(value)
            else:
                self.problems.add("type", item.place, "a bucket's bound is a whole number")
        return tuple(sorted(bounds))

    def _capture(self, reader: Reader, key: str) -> str:
        name = reader.text(key)
        if self.captures is not None and name and name not in self.captures:
            self.problems.unknown("capture or field", name, reader.place(key), self.captures)
        return name


def check_values(
    event: Event,
    found: MappingType[str, Source],
    places: MappingType[str, Place],
    problems: Problems,
) -> None:
    """Note each property or value that the event does not declare, where it is written."""
    for name, source in found.items():
        allowed = event.properties.get(name)
        if allowed is None:
            problems.unknown(f"property of {event.name}", name, places[name], event.properties)
            continue
        for value in sorted(map(str, values_of(source) - allowed)):
            problems.add(
                "value",
                places[name],
                f"{event.name!r} does not declare the value {value!r} of {name!r}",
                "add it to the event's declaration, or use a declared one",
            )


def read_values(
    node: Node, vocabularies: MappingType[str, Vocabulary], problems: Problems
) -> frozenset[Value]:
    """Read a declared list of values: words, or the words of vocabularies joined by a space."""
    values: set[Value] = set()
    for item in node.items if isinstance(node, Items) else (node,):
        if isinstance(item, Scalar) and isinstance(item.value, str | int | bool):
            values.add(item.value)
        elif isinstance(item, Mapping):
            reader = Reader(item, "a list of values", problems)
            words: set[str] = {""}
            for place, name in reader.placed_texts("vocabularies"):
                found = vocabularies.get(name)
                if found is None:
                    problems.unknown("vocabulary", name, place, vocabularies)
                    continue
                several = (*found.words, "other")
                words |= {f"{left} {right}".strip() for left in words for right in several}
            reader.done(("vocabularies",))
            values |= words - {""}
        else:
            problems.add("type", item.place, "a value is a word, a number or a boolean")
    return frozenset(values)


def values_of(source: Source) -> frozenset[Value]:
    """Every value that a property can take: the ground of the promise that no text leaves."""
    match source:
        case Constant():
            return frozenset({source.value})
        case Captured():
            return frozenset(source.vocabulary.words) | values_of(source.otherwise)
        case Present():
            return frozenset({True, False})
        case Bucketed():
            return frozenset({0, *source.bounds})
        case OnlyEnabled():
            return frozenset(source.words) | values_of(source.otherwise)
        case Joined():
            joined: set[Value] = {""}
            for part in source.parts:
                joined = {
                    " ".join(filter(None, (str(left), str(right))))
                    for left in joined
                    for right in values_of(part)
                }
            return frozenset(joined)
        case Skip():
            return frozenset()


def within(source: Source) -> Iterable[Source]:
    """Yield a source and all those that stand inside it."""
    yield source
    match source:
        case Captured() | OnlyEnabled():
            yield from within(source.otherwise)
        case Joined():
            for part in source.parts:
                yield from within(part)
        case _:
            pass


def captures_of(source: Source) -> frozenset[str]:
    """Return the captures and fields that a source reads."""
    return frozenset(
        one.capture for one in within(source) if isinstance(one, Captured | Present | Bucketed)
    )
