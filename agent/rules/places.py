"""YAML text -> nodes that remember where they stand, and the errors that point there.

Owns reading YAML without losing places, duplicate keys, and the form of an error. Must not know
what a rule is. Pure: text comes in, nodes or `RuleError`s go out.
"""

from __future__ import annotations

import difflib
from contextlib import suppress
from typing import TYPE_CHECKING

import yaml
from attrs import field, frozen

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


@frozen(order=True)
class Place:
    """A place in a rule file; line and column count from 1."""

    path: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.path}:{self.line}:{self.column}"


@frozen
class Problem:
    """One fault of a rule file: a stable code, what is wrong, and what to write instead."""

    code: str
    place: Place
    message: str
    hint: str = ""

    def __str__(self) -> str:
        hint = f" ({self.hint})" if self.hint else ""
        return f"{self.place}: {self.code}: {self.message}{hint}"


class RuleError(Exception):
    """All faults that were found in all files of a rule set."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))


@frozen
class Scalar:
    """A YAML scalar as PyYAML's safe loader reads it."""

    place: Place
    value: str | int | float | bool | None


@frozen
class Items:
    """A YAML sequence."""

    place: Place
    items: tuple[Node, ...]


@frozen
class Mapping:
    """A YAML mapping; keys are strings and each stands once."""

    place: Place
    entries: dict[str, Node] = field(factory=dict)
    keys: dict[str, Place] = field(factory=dict)


Node = Scalar | Items | Mapping


class Problems:
    """Collects the faults of one run, so that all are reported at once."""

    def __init__(self) -> None:
        self.found: list[Problem] = []

    def add(self, code: str, place: Place, message: str, hint: str = "") -> None:
        """Note one fault."""
        self.found.append(Problem(code, place, message, hint))

    def unknown(self, what: str, name: str, place: Place, known: Iterable[str]) -> None:
        """Note a name that does not exist, with the nearest that does."""
        options = sorted(known)
        near = difflib.get_close_matches(name, options, n=1)
        listed = ", ".join(options[:MAX_LISTED]) + (", ..." if len(options) > MAX_LISTED else "")
        hint = f"did you mean {near[0]}?" if near else f"known: {listed}"
        self.add("unknown-name", place, f"no {what} is called {name!r}", hint)


MAX_LISTED = 30
_YAML_HINTS = (
    ("'\\t'", "indent with spaces"),
    ("cannot start any token", "put the text in quotes"),
    ("mapping values are not allowed", "put a text with a colon in it in quotes"),
    ("unexpected end of stream", "close the quote that begins here"),
    ("could not find expected ':'", "write `key: value`, or put the text in quotes"),
    ("expected ',' or", "close the bracket, or put the text in quotes"),
    ("expected the node content", "close the bracket"),
    ("unknown escape character", "use single quotes, in which a backslash stands for itself"),
    ("undefined alias", "put a text that begins with * in quotes"),
)
_QUOTES = "put it in quotes"
_FAST = getattr(yaml, "CSafeLoader", None)
_KEPT_AS_TEXT = "tag:yaml.org,2002:timestamp"


def read(path: str, text: str, problems: Problems) -> Mapping | None:
    """Read one file whose top is a mapping; faults go to `problems`."""
    start = Place(path, 1, 1)
    loader = yaml.SafeLoader(text)
    try:
        node = _compose(text, loader)
        if node is None:
            problems.add("yaml", start, "the file is empty", "write a rule or delete the file")
            return None
        found = _convert(node, loader, path, problems)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        if error.context == "while scanning a quoted scalar":
            mark = error.context_mark  # the end of the file says nothing of where it began
        place = Place(path, mark.line + 1, mark.column + 1) if mark else start
        what = " ".join(part for part in (error.context, error.problem) if part)
        hint = next((hint for part, hint in _YAML_HINTS if part in what), "check the indentation")
        problems.add("yaml", place, f"this is not YAML: {what}", hint)
        return None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        problems.add("yaml", start, f"this is not YAML: {type(error).__name__}")
        return None
    finally:
        loader.dispose()
    if not isinstance(found, Mapping):
        problems.add("type", start, "a rule file is a mapping", "begin with `id: ...`")
        return None
    return found


def _compose(text: str, loader: yaml.SafeLoader) -> yaml.Node | None:
    """Compose with libyaml, ten times as fast; faults are left to the one whose words we know."""
    if _FAST is not None:
        fast: yaml.SafeLoader = _FAST(text)
        with suppress(yaml.YAMLError):
            return fast.get_single_node()
    return loader.get_single_node()


def _convert(node: yaml.Node, loader: yaml.SafeLoader, path: str, problems: Problems) -> Node:
    place = Place(path, node.start_mark.line + 1, node.start_mark.column + 1)
    if isinstance(node, yaml.ScalarNode):
        if node.tag == _KEPT_AS_TEXT:
            return Scalar(place, node.value)
        return Scalar(place, loader.construct_object(node))
    if isinstance(node, yaml.SequenceNode):
        return Items(place, tuple(_convert(item, loader, path, problems) for item in node.value))
    found = Mapping(place)
    for key_node, value_node in node.value:
        at = Place(path, key_node.start_mark.line + 1, key_node.start_mark.column + 1)
        if not isinstance(key_node, yaml.ScalarNode):
            problems.add("type", at, "a key is a plain word")
            continue
        key = key_node.value
        if key in found.entries:
            first = found.keys[key].line
            problems.add("duplicate-key", at, f"{key!r} stands twice", f"first in line {first}")
            continue
        found.keys[key] = at
        found.entries[key] = _convert(value_node, loader, path, problems)
    return found


class Reader:
    """Takes the keys of one mapping, checking each one's type; what is left over is unknown."""

    def __init__(self, node: Mapping, what: str, problems: Problems) -> None:
        self.node = node
        self.what = what
        self.problems = problems
        self._taken: set[str] = set()

    def place(self, key: str) -> Place:
        """Where the value of a key stands, else where the mapping begins."""
        found = self.node.entries.get(key)
        return found.place if found else self.node.place

    def take(self, key: str) -> Node | None:
        """Take a value of any type."""
        self._taken.add(key)
        return self.node.entries.get(key)

    def text(self, key: str, default: str | None = None) -> str:
        """Take a text; without a default it must be there."""
        found = self.take(key)
        if found is None:
            if default is None:
                self.problems.add(
                    "missing-key", self.node.place, f"{self.what} has no {key!r}", f"add `{key}:`"
                )
            return default or ""
        if isinstance(found, Scalar) and isinstance(found.value, str):
            return found.value
        self.problems.add("type", found.place, f"{key!r} is a text", _QUOTES)
        return default or ""

    def number(self, key: str, default: int, least: int, most: int) -> int:
        """Take a whole number within bounds."""
        found = self.take(key)
        if found is None:
            return default
        value = found.value if isinstance(found, Scalar) else None
        if isinstance(value, int) and not isinstance(value, bool) and least <= value <= most:
            return value
        self.problems.add(
            "type",
            found.place,
            f"{key!r} is a whole number from {least} to {most}",
            f"write {default}, which it is without the key",
        )
        return default

    def word(self, key: str, options: Iterable[str], default: str) -> str:
        """Take one word out of few."""
        found = self.take(key)
        if found is None:
            return default
        value = found.value if isinstance(found, Scalar) else None
        if isinstance(value, str) and value in set(options):
            return value
        self.problems.unknown(f"{key} in {self.what}", str(value), found.place, options)
        return default

    def flag(self, key: str) -> bool:
        """Take true or false; missing means false."""
        found = self.take(key)
        value = found.value if isinstance(found, Scalar) else None
        if found is not None and not isinstance(value, bool):
            self.problems.add("type", found.place, f"{key!r} is true or false", "write `true`")
        return value is True

    def texts(self, key: str) -> tuple[str, ...]:
        """Take a text or a list of texts."""
        return tuple(value for _, value in self.placed_texts(key))

    def placed_texts(self, key: str) -> tuple[tuple[Place, str], ...]:
        """Take a text or a list of texts, each with its place."""
        found = self.take(key)
        if found is None:
            return ()
        nodes = found.items if isinstance(found, Items) else (found,)
        texts = []
        for node in nodes:
            if isinstance(node, Scalar) and isinstance(node.value, str):
                texts.append((node.place, node.value))
            else:
                self.problems.add(
                    "type", node.place, f"{key!r} is a text or a list of texts", _QUOTES
                )
        return tuple(texts)

    def mapping(self, key: str) -> Mapping | None:
        """Take a mapping."""
        found = self.take(key)
        if found is None or isinstance(found, Mapping):
            return found
        self.problems.add("type", found.place, f"{key!r} is a mapping", "write `{name: value}`")
        return None

    def items(self, key: str) -> Iterator[Node]:
        """Take a list."""
        found = self.take(key)
        if isinstance(found, Items):
            yield from found.items
        elif found is not None:
            self.problems.add("type", found.place, f"{key!r} is a list", "write `- ` before it")

    def done(self, known: Iterable[str] = ()) -> None:
        """Note the keys that nobody took."""
        options = self._taken | set(known)
        for key in self.node.entries.keys() - options:
            self.problems.unknown(f"key in {self.what}", key, self.node.keys[key], options)
