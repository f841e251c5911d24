"""What all rules of a set share: vocabularies, fragments of patterns, platforms, facts and events.

Owns the meaning of the shared files, which are those without an `id`. Names may be used before
the file that declares them: fragments are read first, then vocabularies, which use them, then
events and facts, which name vocabularies.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from agent.model import Format
from agent.rules.patterns import compile_pattern
from agent.rules.places import Items, Mapping, Node, Place, Problems, Reader, Scalar
from agent.rules.ruleset import Captured, Event, Source, Uncovered, Vocabulary
from agent.rules.sources import read_values, within

if TYPE_CHECKING:
    from collections.abc import Iterable

    import re2

    from agent.model import Value

FORMAT_VERSION = 1
KEYS = ("version", "platforms", "fragments", "vocabularies", "facts", "events", "uncovered")
VISIBLE_AT = ("info", "debug", "any")
_FRAGMENT = re.compile(r"\$\{([^}]*)\}")
CATEGORIES = ("crashes",)
"""Categories of which the container status counts the events, beside those that events name."""


class Shared:
    """Reads all shared files of a rule set; `used` notes which names the rules asked for."""

    def __init__(self, problems: Problems) -> None:
        self.problems = problems
        self.vocabularies: dict[str, Vocabulary] = {}
        self.fragments: dict[str, str] = {}
        self.events: dict[str, Event] = {}
        self.facts: dict[str, frozenset[Value]] = {}
        self.platforms: dict[str, tuple[str, ...]] = {"bots": (), "sinks": ()}
        self.uncovered: list[Uncovered] = []
        self.used: set[tuple[str, str]] = set()
        self.places: dict[tuple[str, str], Place] = {}

    @property
    def kinds(self) -> dict[str, str]:
        """Each platform and whether it is a bot or a sink."""
        return {
            name: kind.removesuffix("s") for kind, names in self.platforms.items() for name in names
        }

    def take(self, nodes: Iterable[Mapping]) -> None:
        """Read all shared files."""
        readers = [Reader(node, "a shared file", self.problems) for node in nodes]
        for reader in readers:
            reader.number("version", FORMAT_VERSION, FORMAT_VERSION, FORMAT_VERSION)
            self._each(reader, "fragments", self._fragment)
            self._each(reader, "platforms", self._platforms)
        for reader in readers:
            self._each(reader, "vocabularies", self._vocabulary)
        for reader in readers:
            self._each(reader, "facts", self._fact)
            self._each(reader, "events", self._event)
            for node in reader.items("uncovered"):
                self._uncovered(node)
            reader.done((*KEYS, "id"))

    def expand(self, pattern: str, place: Place) -> str:
        """Write out the fragments that a pattern names."""

        def replace(found: re.Match[str]) -> str:
            name = found.group(1)
            self.used.add(("fragments", name))
            if name not in self.fragments:
                self.problems.unknown("fragment", name, place, self.fragments)
            return self.fragments.get(name, "")

        return _FRAGMENT.sub(replace, pattern)

    def event_named(self, reader: Reader) -> str | None:
        """Take the key `event` of a rule or a closer: a declared event, or none."""
        if "event" not in reader.node.entries:
            return None
        name = reader.text("event")
        if name in self.events:
            return name
        self.problems.unknown("event", name, reader.place("event"), self.events)
        return None

    def vocabulary_named(self, name: str, place: Place) -> Vocabulary | None:
        """Return a vocabulary that is used, or none that is not declared."""
        self.used.add(("vocabularies", name))
        if name not in self.vocabularies:
            self.problems.unknown("vocabulary", name, place, self.vocabularies)
        return self.vocabularies.get(name)

    def noted(self, source: Source) -> Source:
        """Note which vocabularies a source uses."""
        for one in within(source):
            if isinstance(one, Captured):
                self.used.add(("vocabularies", one.vocabulary.name))
        return source

    def _each(self, reader: Reader, key: str, take: _Taker) -> None:
        found = reader.mapping(key)
        for name, node in entries(found):
            assert found is not None
            place = found.keys[name]
            first = self.places.setdefault((key, name), place)
            if first is not place:
                self.problems.add(
                    "duplicate", place, f"{name!r} is declared twice", f"first in {first}"
                )
            else:
                take(name, node)

    def _fragment(self, name: str, node: Node) -> None:
        if isinstance(node, Scalar) and isinstance(node.value, str):
            self.fragments[name] = node.value
        else:
            self.problems.add("type", node.place, "a fragment is a text", "put it in quotes")

    def _platforms(self, name: str, node: Node) -> None:
        if name not in self.platforms:
            place = self.places["platforms", name]
            self.problems.unknown("list of platforms", name, place, self.platforms)
        elif isinstance(node, Items):
            self.platforms[name] = tuple(
                str(item.value) for item in node.items if isinstance(item, Scalar)
            )
        else:
            self.problems.add("type", node.place, f"{name!r} is a list of words")

    def _vocabulary(self, name: str, node: Node) -> None:
        if not isinstance(node, Mapping):
            self.problems.add(
                "type", node.place, "a vocabulary is a mapping", "write its words under `words:`"
            )
            return
        reader = Reader(node, f"vocabulary {name}", self.problems)
        kind = reader.word("match", ("exact", "search"), "exact")
        if reader.word("used_by", ("rules", "agent"), "rules") == "agent":
            self.used.add(("vocabularies", name))
        words: dict[str, tuple[str, ...]] = {}
        listed = reader.mapping("words")
        for word, value in entries(listed):
            if isinstance(value, Scalar) and value.value is None:
                words[word] = (word,)
                continue
            texts = Reader(Mapping(node.place, {"words": value}), name, self.problems)
            found = texts.placed_texts("words")
            if kind == "search":
                found = tuple((place, self.expand(text, place)) for place, text in found)
                for place, pattern in found:
                    compile_pattern(pattern, place, self.problems)
            words[word] = tuple(text for _, text in found)
        if not words:
            self.problems.add(
                "type", node.place, f"vocabulary {name!r} has no words", "add `words:`"
            )
        hide = self._hide(reader, kind)
        reader.done(("match", "used_by", "words", "hide"))
        self._check_texts(kind, words, listed)
        self.vocabularies[name] = Vocabulary(name, node.place, kind, words, hide)

    def _hide(self, reader: Reader, kind: str) -> re2._Regexp | None:
        if "hide" not in reader.node.entries:
            return None
        place = reader.place("hide")
        made = compile_pattern(self.expand(reader.text("hide"), place), place, self.problems)
        if kind != "search":
            self.problems.add("hide", place, "`hide` needs `match: search`", "add it")
        elif not made.groups:
            self.problems.add(
                "hide",
                place,
                "what the groups of `hide` take in is not looked at, and it has none",
                "put what users name in parentheses",
            )
        return made

    def _check_texts(
        self, kind: str, words: dict[str, tuple[str, ...]], listed: Mapping | None
    ) -> None:
        """Note a text that two words claim; it would belong to the first in silence."""
        seen: dict[str, str] = {}
        for word, texts in words.items():
            for text in texts:
                key = text.lower() if kind == "exact" else text
                first = seen.setdefault(key, word)
                if first != word and listed is not None:
                    self.problems.add(
                        "duplicate",
                        listed.keys[word],
                        f"{text!r} already stands for {first!r}",
                        "remove it from one of the two words",
                    )

    def _uncovered(self, node: Node) -> None:
        if not isinstance(node, Mapping):
            self.problems.add("type", node.place, "it is a mapping", "begin with `- category: ...`")
            return
        reader = Reader(node, "uncovered", self.problems)
        known = {str(one) for one in Format}
        formats = reader.placed_texts("formats")
        for place, name in formats:
            if name not in known:
                self.problems.unknown("format", name, place, known)
        versions = reader.texts("versions")
        made = Uncovered(
            node.place,
            reader.text("category"),
            frozenset(Format(name) for _, name in formats if name in known),
            (versions[0], versions[-1]) if versions else ("", ""),
            reader.word("at", VISIBLE_AT, "any"),
            reader.text("reason"),
        )
        reader.done()
        if not made.formats or len(versions) != 2:  # noqa: PLR2004 first, last
            self.problems.add(
                "uncovered",
                node.place,
                "it needs formats, and a first and a last version",
                "write `formats: [json]` and `versions: [v1.2, v1.14]`",
            )
        self.uncovered.append(made)

    def _fact(self, name: str, node: Node) -> None:
        self.facts[name] = read_values(node, self.vocabularies, self.problems)

    def _event(self, name: str, node: Node) -> None:
        if not isinstance(node, Mapping):
            self.problems.add("type", node.place, "an event is a mapping", "add `properties:`")
            return
        reader = Reader(node, f"event {name}", self.problems)
        category = reader.text("category")
        optional = frozenset(reader.texts("optional"))
        properties: dict[str, frozenset[Value]] = {}
        for key, value in entries(reader.mapping("properties")):
            properties[key] = read_values(value, self.vocabularies, self.problems)
        reader.done(("category", "optional", "properties"))
        self.events[name] = Event(name, category, properties, optional)


if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    _Taker: TypeAlias = Callable[[str, Node], None]


def entries(node: Mapping | None) -> Iterable[tuple[str, Node]]:
    """Return the entries of a mapping that may be missing."""
    return node.entries.items() if node else ()
