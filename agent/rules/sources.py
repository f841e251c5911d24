"""Where the value of a property comes from: the part of the language that keeps text from leaving.

Owns the reading of `properties` and the list of all values that a property can take. A source is
a constant, a vocabulary's word, a boolean, a bucket or a fact; anything else does not compile.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import frozen

from agent.rules.keys import Reader, fix_text
from agent.rules.nodes import Mapping, Node, Scalar
from agent.rules.places import Place
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
from agent.rules.words import Vocabulary

if TYPE_CHECKING:
    from collections.abc import Iterable
    from collections.abc import Mapping as MappingType
    from collections.abc import Set as AbstractSet

    from agent.model import Value
    from agent.rules.places import Problems

MAX_VALUES = 10_000
"""How many values a property may have: each is a series of its own for ever."""

FORMS: tuple[tuple[str, ...], ...] = (
    ("capture", "vocabulary", "otherwise"),
    ("capture", "buckets"),
    ("present",),
    ("join",),
    ("only_enabled", "otherwise"),
)
"""The keys that go together."""
KEYS = tuple(dict.fromkeys(key for form in FORMS for key in form))
_NOWHERE = Place("", 1, 1)
_FORMS = ", ".join(f"`{{{', '.join(form)}}}`" for form in FORMS)


@frozen
class Sources:
    """Reads property sources. `captures` None means that they are not known here.

    What cannot be read still reads its captures, so that one fault does not make another.
    """

    vocabularies: MappingType[str, Vocabulary]
    captures: AbstractSet[str] | None
    problems: Problems

    def read(self, node: Node, name: str) -> Source:
        """Read one property's value."""
        if isinstance(node, Scalar) and isinstance(node.value, str | bool | int):
            return Skip() if node.value == SKIP else Constant(node.value)
        if not isinstance(node, Mapping):
            fix = (
                fix_text(node) if isinstance(node, Scalar) else "write a word, or `{capture: ...}`"
            )
            self.problems.add("type", node.place, f"{name!r} is a value or a mapping", fix)
            # Which captures were meant cannot be told: all of them.
            return _nothing(self.captures or ())
        reader = Reader(node, f"property {name}", self.problems, KEYS)
        if not any(set(reader.node.entries) <= set(form) for form in FORMS):
            given = " and ".join(f"`{key}`" for key in reader.node.entries)
            self.problems.add(
                "source", node.place, f"{given} do not go together", f"write one of {_FORMS}"
            )
            texts = (one.value for one in reader.node.entries.values() if isinstance(one, Scalar))
            return _nothing(one for one in texts if isinstance(one, str))
        return self._read_mapping(reader, name)

    def _read_mapping(self, reader: Reader, name: str) -> Source:
        if reader.has("join"):
            parts = tuple(self.read(item, name) for item in reader.items("join"))
            return self._bounded(Joined(parts), reader)
        if reader.has("present"):
            return Present(self._capture(reader, "present"))
        if reader.has("only_enabled"):
            words = reader.texts("only_enabled")
            return OnlyEnabled(words, self._otherwise(reader, name))
        if not reader.has("capture"):
            self.problems.add(
                "source",
                reader.node.place,
                "this reads nothing of a line",
                f"write one of {_FORMS}",
            )
            return _nothing(self.captures or ())
        capture = self._capture(reader, "capture")
        if not capture:
            return _nothing(self.captures or ())
        if reader.has("buckets"):
            return Bucketed(capture, self._bounds(reader))
        if not reader.has("vocabulary"):
            self.problems.add(
                "free-text",
                reader.node.place,
                f"{name!r} would carry the text of a log line",
                "name a `vocabulary`, `buckets`, or use `present`",
            )
            return _nothing([capture])
        wanted = reader.text("vocabulary")
        otherwise = self._otherwise(reader, name)
        near = wanted if wanted in self.vocabularies or not wanted else None
        if near is None:
            place = reader.place("vocabulary")
            near = self.problems.unknown("vocabulary", wanted, place, self.vocabularies)
        if not near:
            return _nothing([capture])
        return Captured(capture, self.vocabularies[near], otherwise)

    def _otherwise(self, reader: Reader, name: str) -> Source:
        node = reader.take("otherwise")
        return Constant("other") if node is None else self.read(node, name)

    def _bounds(self, reader: Reader) -> tuple[int, ...]:
        bounds: list[int] = []
        for item in reader.items("buckets"):
            value = item.value if isinstance(item, Scalar) else None
            if isinstance(value, int) and not isinstance(value, bool):
                if bounds and value <= bounds[-1]:
                    self.problems.add(
                        "buckets",
                        item.place,
                        f"the bound {value} comes behind {bounds[-1]}",
                        "write each bound once, the lowest first",
                    )
                bounds.append(value)
            else:
                self.problems.add(
                    "type", item.place, "a bucket's bound is a whole number", "write [1, 10, 100]"
                )
        return tuple(sorted(bounds))

    def _capture(self, reader: Reader, key: str) -> str:
        name = reader.text(key)
        if self.captures is None or not name or name in self.captures:
            return name
        near = self.problems.unknown("capture or field", name, reader.place(key), self.captures)
        return near or name

    def _bounded(self, source: Joined, reader: Reader) -> Source:
        size = 1
        for part in source.parts:
            size *= max(1, len(values_of(part)))
            if size > MAX_VALUES:
                self.problems.add(
                    "too-large",
                    reader.node.place,
                    f"these make more than {MAX_VALUES} values",
                    "count by fewer words, or by two properties",
                )
                return _nothing(captures_of(source))
        return source


def _nothing(captures: Iterable[str]) -> Source:
    """Return a source that reads captures and has no value, for one that is at fault."""
    empty = Vocabulary("", _NOWHERE, "exact", {})
    return Joined(tuple(Captured(name, empty, Skip()) for name in captures) or (Skip(),))


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
