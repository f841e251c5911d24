"""What all rules of a set share: vocabularies, fragments of patterns, platforms, facts and events.

Owns the meaning of the shared files, which are those without an `id`. Names may be used before
the file that declares them: fragments are read first, then vocabularies, which use them, then
events and facts, which name vocabularies.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from agent.model import Format, Value
from agent.names import check_name, snake
from agent.rules.events import KEYS as EVENT_KEYS
from agent.rules.events import read_event
from agent.rules.keys import Reader, entries, fix_text, indented, is_empty
from agent.rules.nodes import Items, Mapping, Node, Scalar
from agent.rules.patterns import MAX_PATTERN_CHARACTERS, Pattern, compile_pattern
from agent.rules.places import Problems
from agent.rules.ruleset import Captured, Event, Source, Uncovered
from agent.rules.sources import within
from agent.rules.values import read_values
from agent.rules.versions import read_versions
from agent.rules.vocabularies import KEYS as VOCABULARY_KEYS
from agent.rules.vocabularies import read_vocabulary
from agent.rules.words import Vocabulary

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agent.rules.places import Place, Problem

FORMAT_VERSION = 1
KEYS = ("version", "platforms", "fragments", "vocabularies", "facts", "events", "uncovered")
UNCOVERED_KEYS = ("category", "formats", "versions", "at", "reason")
VISIBLE_AT = ("info", "debug", "any")
_FRAGMENT = re.compile(r"\$\{([^}]*)\}")
_INNER_KEYS = {"events": EVENT_KEYS, "vocabularies": VOCABULARY_KEYS}
CATEGORIES = ("crashes",)
"""Categories of which the container status counts the events, beside those that events name."""


class Shared:
    """Reads all shared files of a rule set; `used` notes which names the rules asked for."""

    def __init__(self, problems: Problems) -> None:
        self.problems = problems
        self.vocabularies: dict[str, Vocabulary] = {}
        self.fragments: dict[str, str] = {}
        self.torn: dict[str, Problem] = {}
        self.events: dict[str, Event] = {}
        self.facts: dict[str, frozenset[Value]] = {}
        self.platforms: dict[str, tuple[str, ...]] = {"bots": (), "sinks": ()}
        self.uncovered: list[Uncovered] = []
        self.used: set[tuple[str, str]] = set()
        self._pieces: dict[str, Scalar] = {}
        self._partial: set[str] = set()
        """Fragments that name one that is not there, or themselves."""
        self.listed_in: dict[str, str] = {}
        """Vocabularies whose words an event or a fact declares, and what that is."""
        self.places: dict[tuple[str, str], Place] = {}

    @property
    def kinds(self) -> dict[str, str]:
        """Each platform and whether it is a bot or a sink."""
        return {
            name: kind.removesuffix("s") for kind, names in self.platforms.items() for name in names
        }

    def take(self, nodes: Iterable[Mapping]) -> None:
        """Read all shared files."""
        readers = [Reader(node, "a shared file", self.problems, KEYS) for node in nodes]
        for reader in readers:
            check_format(reader)
            self._each(reader, "fragments", self._fragment)
            self._each(reader, "platforms", self._platforms)
        self._write_out_fragments()
        for reader in readers:
            self._each(reader, "vocabularies", self._vocabulary)
        for reader in readers:
            self._each(reader, "facts", self._fact)
            self._each(reader, "events", self._event)
        for reader in readers:
            for node in reader.items("uncovered"):
                self._uncovered(node)

    def expand(self, pattern: str, place: Place) -> Pattern:
        """Write out the fragments that a pattern names."""
        text = ""
        origins: list[int] = []
        is_whole = True
        torn = None
        end = 0
        for found in _FRAGMENT.finditer(pattern):
            name, begin = found.group(1), found.start()
            near = name if name in self.fragments else None
            if near is None:
                at = place.within(pattern, begin)
                near = self.problems.unknown("fragment", name, at, self.fragments)
            self.used.add(("fragments", near or name))
            is_whole &= near is not None and near not in self._partial
            torn = torn or self.torn.get(near or name)
            # Of what is too large no more is written out.
            is_small = len(text) <= MAX_PATTERN_CHARACTERS
            piece = self.fragments.get(near or name, "") if is_small else ""
            text += pattern[end:begin] + piece
            origins += [*range(end, begin), *[begin] * len(piece)]
            end = found.end()
        text += pattern[end:]
        origins += range(end, len(pattern))
        return Pattern(place, pattern, text, origins, is_whole, torn)

    def event_named(self, reader: Reader) -> str | None:
        """Take the key `event` of a rule or a closer: a declared event, or none."""
        name = reader.text("event", "")
        near = name if name in self.events or not name else None
        if near is None:
            near = self.problems.unknown("event", name, reader.place("event"), self.events)
        self.used.add(("events", near or ""))
        return near or None

    def vocabulary_named(self, name: str, place: Place) -> Vocabulary | None:
        """Return a vocabulary that is used, the one that was meant, or none."""
        near = name if name in self.vocabularies or not name else None
        near = near or self.problems.unknown("vocabulary", name, place, self.vocabularies)
        self.used.add(("vocabularies", near or name))
        return self.vocabularies.get(near or name)

    def noted(self, source: Source) -> Source:
        """Note which vocabularies a source uses."""
        for one in within(source):
            if isinstance(one, Captured):
                self.used.add(("vocabularies", one.vocabulary.name))
        return source

    def _each(self, reader: Reader, key: str, take: _Taker) -> None:
        found = reader.mapping(key)
        if found is not None and (inner := _INNER_KEYS.get(key)) is not None:
            found = indented(
                found,
                lambda _above, given, name: is_empty(given) and name in inner,
                self.problems,
            )
        for name, node in entries(found):
            assert found is not None
            place = found.keys[name]
            first = self.places.setdefault((key, name), place)
            if first is not place:
                alone = "; a set of your own has `platforms:` at the beginning of a line"
                self.problems.add(
                    "duplicate",
                    place,
                    f"{name!r} is declared twice",
                    f"first in {first}{alone if key == 'platforms' else '; give it another name'}",
                )
                self._doubt(key, name, node)
            else:
                take(name, node)

    def _doubt(self, key: str, name: str, node: Node) -> None:
        """Forget what a name means that is declared twice: which of the two is meant is unknown."""
        if key == "events" and name in self.events:
            first = self.events[name]
            listed = node.entries.get("properties") if isinstance(node, Mapping) else None
            more = listed.entries.keys() if isinstance(listed, Mapping) else set()
            either = dict.fromkeys([*first.properties, *more], frozenset[Value]())
            self.events[name] = Event(name, first.category, either, frozenset(either))
        elif key == "vocabularies":
            self.vocabularies[name] = Vocabulary(name, self.places[key, name], "exact", {})
        elif key == "facts":
            self.facts[name] = frozenset()

    def _fragment(self, name: str, node: Node) -> None:
        if isinstance(node, Scalar) and isinstance(node.value, str):
            self.fragments[name] = node.value
            self._pieces[name] = node
        else:
            self.problems.add("type", node.place, "a fragment is a text", fix_text(node))

    def _write_out_fragments(self) -> None:
        """Put the fragments that others name into those, each before the ones that name it."""
        done: set[str] = set()
        for first in self._pieces:
            begun = {first: _FRAGMENT.finditer(self._pieces[first].text)}
            while begun:
                name, names = next(reversed(begun.items()))
                inner = next(
                    (one for one in names if one[1] in self._pieces and one[1] not in done), None
                )
                if inner is not None and inner[1] not in begun:
                    begun[inner[1]] = _FRAGMENT.finditer(self._pieces[inner[1]].text)
                    continue
                if inner is not None:
                    self._tell_cycle(name, inner)
                elif name not in done:
                    self._write_out(name)
                done.add(name)
                del begun[name]

    def _tell_cycle(self, name: str, inner: re.Match[str]) -> None:
        node = self._pieces[name]
        self.problems.add(
            "pattern",
            node.place.within(node.text, inner.start()),
            f"the fragment {inner[1]!r} holds itself",
            "write the text itself",
        )
        self.used.add(("fragments", inner[1]))
        self._partial.add(name)

    def _write_out(self, name: str) -> None:
        before = len(self.problems.found)
        made = self.expand(self._pieces[name].text, self._pieces[name].place)
        if len(self.problems.found) > before or not made.is_whole:
            self._partial.add(name)
        self.fragments[name] = made.text
        # A piece may be a pattern only together with others: its fault is told where it is one.
        alone = Problems()
        compile_pattern(made, alone)
        if alone.found:
            self.torn[name] = alone.found[0]

    def _platforms(self, name: str, node: Node) -> None:
        if name not in self.platforms:
            place = self.places["platforms", name]
            self.problems.unknown("list of platforms", name, place, self.platforms)
            return
        if not isinstance(node, Items):
            self.problems.add("type", node.place, f"{name!r} is a list of words", "write [slack]")
            return
        texts = Reader(Mapping(node.place, {name: node}), name, self.problems).placed_texts(name)
        for place, text in texts:
            if check_name(f"{snake(text)}_enabled") is not None:
                self.problems.add(
                    "reserved",
                    place,
                    f"{text!r} cannot be the name of a platform",
                    "begin with a letter, then letters, digits and _, 55 at most",
                )
        self.platforms[name] = tuple(text for _, text in texts)

    def _vocabulary(self, name: str, node: Node) -> None:
        self.vocabularies[name] = read_vocabulary(name, node, self)

    def _uncovered(self, node: Node) -> None:
        if not isinstance(node, Mapping):
            self.problems.add("type", node.place, "it is a mapping", "begin with `- category: ...`")
            return
        reader = Reader(node, "uncovered", self.problems, UNCOVERED_KEYS)
        category = reader.text("category")
        categories = {*(event.category for event in self.events.values()), *CATEGORIES}
        if category and category not in categories:
            self.problems.unknown("category", category, reader.place("category"), categories)
        formats = read_formats(reader)
        if not formats and not reader.has("formats"):
            self.problems.add(
                "uncovered", node.place, "it needs formats", "write `formats: [json, logfmt]`"
            )
        if not reader.has("versions"):
            self.problems.add(
                "uncovered",
                node.place,
                "it needs a first and a last version",
                "write `versions: [v1.2, v1.14]`",
            )
        self.uncovered.append(
            Uncovered(
                node.place,
                category,
                formats,
                read_versions(reader),
                reader.word("at", VISIBLE_AT, "any"),
                reader.text("reason"),
            )
        )

    def _fact(self, name: str, node: Node) -> None:
        self._note_listed(node, f"the fact {name!r}")
        self.facts[name] = read_values(node, self.vocabularies, self.problems)

    def _event(self, name: str, node: Node) -> None:
        listed = node.entries.get("properties") if isinstance(node, Mapping) else None
        for key, value in entries(listed if isinstance(listed, Mapping) else None):
            self._note_listed(value, f"{key!r} of the event {name!r}")
        made = read_event(
            name,
            node,
            self.places["events", name],
            vocabularies=self.vocabularies,
            others=self.events,
            problems=self.problems,
        )
        if made is not None:
            self.events[name] = made
        else:
            self.used.add(("events", name))

    def _note_listed(self, node: Node, where: str) -> None:
        """Note the vocabularies that a declared list of values names."""
        for item in node.items if isinstance(node, Items) else (node,):
            names = item.entries.get("vocabularies") if isinstance(item, Mapping) else None
            for one in names.items if isinstance(names, Items) else (names,):
                if isinstance(one, Scalar):
                    self.listed_in.setdefault(one.text, where)


if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    _Taker: TypeAlias = Callable[[str, Node], None]


def check_format(reader: Reader) -> None:
    """Take the key `version`, that of the rule language."""
    found = reader.take("version")
    value = found.value if isinstance(found, Scalar) else None
    if found is None or (value == FORMAT_VERSION and type(value) is int):
        return
    if isinstance(value, int) and not isinstance(value, bool) and value > FORMAT_VERSION:
        reader.problems.add(
            "format",
            found.place,
            f"this file is of version {value} of the rule language, which is not known here",
            f"use a later botkube-analytics, or write for version {FORMAT_VERSION}",
        )
        return
    reader.problems.add(
        "type",
        found.place,
        "'version' is that of the rule language, a whole number",
        f"write `version: {FORMAT_VERSION}`",
    )


def read_formats(reader: Reader) -> frozenset[Format]:
    """Take the key `formats`: the wire formats in which a line stands."""
    known = {str(one) for one in Format}
    found = set()
    for place, name in reader.placed_texts("formats", sorted(known)):
        near = name if name in known else None
        near = near or reader.problems.unknown("format", name, place, known)
        if near is not None:
            found.add(Format(near))
    return frozenset(found)
