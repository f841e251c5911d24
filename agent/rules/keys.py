"""The keys of one mapping, taken one by one, each with its type checked.

Owns the faults that a key can have on its own: unknown, missing, of another type. Must not know
what a rule is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.rules.nodes import Items, Mapping, Node, Scalar
from agent.rules.places import listed, nearest_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from agent.rules.places import Place, Problems


_ITEM = "write `- ` before each of its items"


class Reader:
    """Takes the keys of one mapping; a key that is not among `keys` is a fault.

    A misspelt key is read as the one that was probably meant, so that it is one fault and hides no
    other. Without `keys` any name may stand.
    """

    def __init__(
        self, node: Mapping, what: str, problems: Problems, keys: Iterable[str] | None = None
    ) -> None:
        self.node = node if keys is None else _corrected(node, what, problems, list(keys))
        self.what = what
        self.problems = problems

    def place(self, key: str) -> Place:
        """Where the value of a key stands, else where the mapping begins."""
        found = self.node.entries.get(key)
        return found.place if found else self.node.place

    def has(self, key: str) -> bool:
        """Whether a key is there, be its value right or wrong."""
        return key in self.node.entries

    def take(self, key: str) -> Node | None:
        """Take a value of any type."""
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
        self.problems.add("type", found.place, f"{key!r} is a text", fix_text(found))
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
        names = list(options)
        if not isinstance(found, Scalar) or found.value is None:
            self.problems.add("type", found.place, f"{key!r} is one word", listed(names))
            return default
        if isinstance(found.value, str) and found.value in names:
            return found.value
        near = self.problems.unknown(f"value of {key!r}", said(found) or "", found.place, names)
        return near or default

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
                    "type", node.place, f"{key!r} is a text or a list of texts", fix_text(node)
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
            fix = f"write `[{found.text}]`" if isinstance(found, Scalar) and found.text else _ITEM
            self.problems.add("type", found.place, f"{key!r} is a list", fix)


def entries(node: Mapping | None) -> Iterable[tuple[str, Node]]:
    """Return the entries of a mapping that may be missing."""
    return node.entries.items() if node else ()


def fix_text(node: Node) -> str:
    """Say what to write where a text is wanted."""
    if not isinstance(node, Scalar):
        return "write one text"
    if node.value is None:
        return "write a text after the colon, or remove the key"
    return f"put it in quotes: '{node.text}'"


def said(node: Node | None) -> str | None:
    """Return a scalar as it is written: `no`, where YAML says false; None for anything else."""
    return node.text if isinstance(node, Scalar) else None


def _corrected(node: Mapping, what: str, problems: Problems, keys: list[str]) -> Mapping:
    if node.entries.keys() <= set(keys):
        return node
    made = Mapping(node.place)
    for key, value in node.entries.items():
        name: str | None = key
        if key not in keys:
            left = [one for one in keys if one not in node.entries and one not in made.entries]
            if nearest_name(key, keys) in left:
                name = problems.unknown(f"key in {what}", key, node.keys[key], left)
            else:
                # What is there already is not what was meant.
                message = f"no key in {what} is called {key!r}"
                problems.add("unknown-name", node.keys[key], message, listed(sorted(keys)))
                continue
        assert name is not None
        made.entries[name] = value
        made.keys[name] = node.keys[key]
    return made
