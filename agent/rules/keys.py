"""The keys of one mapping, taken one by one, each with its type checked.

Owns the faults that a key can have on its own: unknown, missing, of another type. Must not know
what a rule is.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from agent.rules.nodes import Items, Mapping, Node, Scalar
from agent.rules.places import Problem, listed, nearest_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from agent.rules.places import Place, Problems


_ONE_TEXT = "write one text"
_ITEM = "write `- ` before each of its items"
_OTHER_KEYS = {
    "attributes": "properties",
    "description": "question",
    "examples": "hits",
    "expr": "message",
    "expression": "message",
    "labels": "properties",
    "line": "log",
    "match": "message",
    "msg": "message",
    "name": "id",
    "pattern": "message",
    "props": "properties",
    "regex": "message",
    "regexp": "message",
    "severity": "level",
    "tests": "hits",
}
"""What other tools call a key: that is more likely meant than one with like letters."""
_OTHER_WORDS = {
    "earliest": "oldest",
    "first": "oldest",
    "last": "newest",
    "latest": "newest",
    "most recent": "newest",
}
_ENABLED = (
    "a rule holds as long as it is there; to take out another one, write its `id` and "
    "`disable: true` alone in a file"
)
_SURE = 0.8
"""How like its key a misspelt one must be to be meant even if its value is of another type."""
_WRITTEN_NUMBER = re.compile(r"\s*([+-]?\d{1,15})(?:\.\d*)?\s*([a-z]*)\s*", re.IGNORECASE)
_TIMES = frozenset({"seconds", "within", "hold"})
_UNITS = {"": 1, "s": 1, "sec": 1, "seconds": 1, "m": 60, "min": 60, "minutes": 60, "h": 3600}


class Reader:
    """Takes the keys of one mapping; a key that is not among `keys` is a fault.

    A misspelt key is read as the one that was probably meant, so that it is one fault and hides no
    other. Without `keys` any name may stand.
    """

    def __init__(
        self, node: Mapping, what: str, problems: Problems, keys: Iterable[str] | None = None
    ) -> None:
        self.what = what
        self.problems = problems
        self._keys = [] if keys is None else list(keys)
        self._guesses: dict[str, Problem] = {}
        """Keys of which it is a guess that they were meant, with the fault that says so."""
        self.node = node if keys is None else self._corrected(node)

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
        self._mistyped(key, found.place, f"{key!r} is a text", fix_text(found))
        return default or ""

    def number(self, key: str, default: int, least: int, most: int) -> int:
        """Take a whole number within bounds."""
        found = self.take(key)
        if found is None:
            return default
        value = found.value if isinstance(found, Scalar) else None
        if isinstance(value, int) and not isinstance(value, bool) and least <= value <= most:
            return value
        what = f"{key!r} is a whole number from {least} to {most}"
        fix = f"write {default}, which it is without the key"
        meant = _number(said(found) or "", is_time=key in _TIMES)
        if meant is not None:
            fix = f"write {min(max(meant, least), most)}"
            fix += ", the most" if meant > most else ", the least" if meant < least else ""
        self._mistyped(key, found.place, what, fix)
        return default

    def word(self, key: str, options: Iterable[str], default: str) -> str:
        """Take one word out of few."""
        found = self.take(key)
        if found is None:
            return default
        names = list(options)
        if not isinstance(found, Scalar) or found.value is None:
            self._mistyped(key, found.place, f"{key!r} is one word", listed(names))
            return default
        if isinstance(found.value, str) and found.value in names:
            return found.value
        word = said(found) or ""
        other = _OTHER_WORDS.get(word.casefold())
        near = self.problems.unknown(
            f"value of {key!r}", word, found.place, names, meant=other if other in names else None
        )
        return near or default

    def flag(self, key: str) -> bool:
        """Take true or false; missing means false."""
        found = self.take(key)
        value = found.value if isinstance(found, Scalar) else None
        if found is not None and not isinstance(value, bool):
            self._mistyped(key, found.place, f"{key!r} is true or false", "write `true`")
        return value is True

    def texts(self, key: str) -> tuple[str, ...]:
        """Take a text or a list of texts."""
        return tuple(value for _, value in self.placed_texts(key))

    def placed_texts(self, key: str, known: Iterable[str] = ()) -> tuple[tuple[Place, str], ...]:
        """Take a text or a list of texts, each with its place; those that are `known` may stand."""
        found = self.take(key)
        if found is None:
            return ()
        nodes = found.items if isinstance(found, Items) else (found,)
        texts = []
        for node in nodes:
            if isinstance(node, Scalar) and isinstance(node.value, str):
                texts.append((node.place, node.value))
            else:
                fix = listed(known) if known and said(node) else fix_text(node)
                self._mistyped(key, node.place, f"{key!r} is a text or a list of texts", fix)
        return tuple(texts)

    def mapping(self, key: str) -> Mapping | None:
        """Take a mapping."""
        found = self.take(key)
        if found is None or isinstance(found, Mapping):
            return found
        self._mistyped(key, found.place, f"{key!r} is a mapping", "write `{name: value}`")
        return None

    def items(self, key: str) -> Iterator[Node]:
        """Take a list."""
        found = self.take(key)
        if isinstance(found, Items):
            yield from found.items
        elif found is not None:
            fix = f"write `[{found.text}]`" if isinstance(found, Scalar) and found.text else _ITEM
            self._mistyped(key, found.place, f"{key!r} is a list", fix)

    def _corrected(self, node: Mapping) -> Mapping:
        """Return the mapping with each misspelt key as the one that was probably meant."""
        keys = self._keys
        if node.entries.keys() <= set(keys):
            return node
        made = Mapping(node.place)
        for key, value in node.entries.items():
            name: str | None = key
            if key not in keys:
                left = [one for one in keys if one not in node.entries and one not in made.entries]
                name = self._meant(key, node.keys[key], left)
            if name is not None:
                made.entries[name] = value
                made.keys[name] = node.keys[key]
        return made

    def _meant(self, key: str, place: Place, left: list[str]) -> str | None:
        """Note an unknown key; return which of those that are `left` was meant, if any."""
        problems = self.problems
        near = nearest_name(key, self._keys)
        other = _OTHER_KEYS.get(key.casefold())
        if other in self._keys:
            near = other
        elif key.casefold() in {"enabled", "enable"} and "disable" in self._keys:
            problems.add("unknown-name", place, self._unknown(key), _ENABLED)
            return None
        if near in left:
            problems.unknown(f"key in {self.what}", key, place, left, meant=near)
            if near != other and nearest_name(key, [near], least=_SURE) is None:
                self._guesses[near] = problems.found[-1]
            return near
        # What is there already is not what was meant.
        is_there = near is not None and near == other
        fix = f"`{near}` is there already" if is_there else listed(sorted(self._keys))
        problems.add("unknown-name", place, self._unknown(key), fix)
        return None

    def _unknown(self, key: str) -> str:
        return f"no key in {self.what} is called {key!r}"

    def _mistyped(self, key: str, place: Place, message: str, hint: str) -> None:
        """Note a value of another type; a key that was only guessed was not meant then."""
        guess = self._guesses.pop(key, None)
        if guess is None:
            self.problems.add("type", place, message, hint)
            return
        found = self.problems.found
        known = listed(sorted(self._keys))
        found[found.index(guess)] = Problem(guess.code, guess.place, guess.message, known)


def entries(node: Mapping | None) -> Iterable[tuple[str, Node]]:
    """Return the entries of a mapping that may be missing."""
    return node.entries.items() if node else ()


def indented(
    node: Mapping, belongs: Callable[[str, Node, str], bool], problems: Problems
) -> Mapping:
    """Return a mapping with each key under the one above to which it `belongs`, which is told."""
    moved: dict[str, list[str]] = {}
    above: str | None = None
    for key in node.entries:
        if above is not None and belongs(above, node.entries[above], key):
            moved.setdefault(above, []).append(key)
        else:
            above = key
    made = Mapping(node.place, dict(node.entries), node.keys)
    for above, names in moved.items():
        at = node.keys[names[0]]
        given = node.entries[above]
        inner = Mapping(at)
        fix = "indent it"
        if isinstance(given, Mapping):
            inner = Mapping(given.place, dict(given.entries), dict(given.keys))
            is_block = given.place.line > node.keys[above].line
            fix = fix if is_block else "write it within the braces"
        fix += f", and all that follows up to `{names[-1]}:`" if names[1:] else ""
        problems.add("unknown-name", at, f"{names[0]!r} belongs under `{above}:`", fix)
        for name in names:
            inner.entries[name] = made.entries.pop(name)
            inner.keys[name] = node.keys[name]
        made.entries[above] = inner
    return made if moved else node


def gathered(
    node: Mapping, keys: Iterable[str], declared: Iterable[str], problems: Problems
) -> Mapping:
    """Return a mapping with the properties that stand beside `properties` in it, which is told."""
    own = set(declared).difference(keys)
    flat = [key for key in node.entries if key in own]
    given = node.entries.get("properties", Mapping(node.place))
    if not flat or not isinstance(given, Mapping):
        return node
    written = ", ".join(f"{key}: {said(node.entries[key]) or '...'}" for key in flat)
    what = "is a property" if len(flat) == 1 else "is a property, and so are others"
    fix = f"write `properties: {{{written}}}`"
    if given.entries:
        fix = f"write `{written}` under `properties`"
    at = node.keys[flat[0]]
    problems.add("unknown-name", at, f"{flat[0]!r} {what}: they stand under `properties`", fix)
    inner = Mapping(given.place, dict(given.entries), dict(given.keys))
    for key in flat:
        inner.entries.setdefault(key, node.entries[key])
        inner.keys.setdefault(key, node.keys[key])
    rest = {key: one for key, one in node.entries.items() if key not in flat}
    return Mapping(node.place, {**rest, "properties": inner}, {"properties": at, **node.keys})


def is_empty(node: Node | None) -> bool:
    """Whether nothing stands behind the colon of a key."""
    return isinstance(node, Scalar) and node.value is None


def fix_text(node: Node) -> str:
    """Say what to write where a text is wanted."""
    if not isinstance(node, Scalar):
        begin = node.place.written[:1]
        return f"{_ONE_TEXT}; one that begins with {begin} in single quotes" if begin else _ONE_TEXT
    if node.value is None:
        return "write a text after the colon, or remove the key"
    return f"put it in quotes: '{node.text}'"


def said(node: Node | None) -> str | None:
    """Return a scalar as it is written: `no`, where YAML says false; None for anything else."""
    return node.text if isinstance(node, Scalar) else None


def _number(text: str, *, is_time: bool) -> int | None:
    """Return the number that a text was to be, such as `5s`; None if that cannot be told."""
    found = _WRITTEN_NUMBER.fullmatch(text)
    unit = found[2].lower() if found else ""
    if found is None or (unit and not (is_time and unit in _UNITS)):
        return None
    return int(found[1]) * _UNITS[unit]
