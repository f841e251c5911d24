"""One rule file -> `Rule`: the meaning of its keys.

Owns what a rule may say on its own. What needs other rules (ids, closers, shadows, unused names)
is looked at in `checks`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import re2

from agent.model import Format
from agent.rules.examples import read_examples
from agent.rules.keys import Reader, entries, fix_text, indented, is_empty, said
from agent.rules.literals import read_literals
from agent.rules.nodes import Items, Mapping, Node, Scalar
from agent.rules.pairing import PAIR_KEYS, check_complete, read_pair
from agent.rules.patterns import Pattern, captures_in, compile_pattern
from agent.rules.places import nearest_name, stem
from agent.rules.ruleset import LEVELS, LEVELS_OF, Constant, Each, Rule, Source
from agent.rules.shared import check_format, read_formats
from agent.rules.sources import Sources, values_of
from agent.rules.values import check_source, check_values
from agent.rules.versions import read_versions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from collections.abc import Mapping as MappingType

    from agent.rules.places import Place, Problems
    from agent.rules.shared import Shared

KEYS = (
    "version", "id", "event", "question", "versions", "formats", "level", "origin", "message",
    "fields", "optional_fields", "absent_fields", "when", "unless", "each", "literals",
    "properties", "priority", "alone", "enables", "once", "fact", "pair", "hits", "misses",
    "override", "disable",
)  # fmt: skip
EACH_KEYS = ("capture", "pattern", "once_per")
UNLESS_KEYS = ("vocabulary",)
FACT_KEYS = ("name", "value")
_INNER_KEYS = {"pair": PAIR_KEYS, "each": EACH_KEYS, "fact": FACT_KEYS}
_OF_ANY_NAME = frozenset({"properties", "fields", "when", "unless"})
ORIGINS = {"core": False, "plugin": True, "any": None}
ID = r"[a-z0-9]+(-[a-z0-9]+)*"
_LOGRUS = frozenset({Format.JSON, Format.LOGFMT, Format.TEXT})


class RuleCompiler:
    """Compiles one rule file. `written` are the captures that stand in it, not in a fragment."""

    def __init__(self, node: Mapping, shared: Shared, problems: Problems) -> None:
        node = _indented(node, shared)
        self.reader = Reader(node, "a rule", problems, KEYS)
        self.node = node
        self.shared = shared
        self.problems = problems
        self.captures: set[str] = set()
        self.absent_fields: tuple[tuple[Place, str], ...] = ()
        self.written: dict[str, Place] = {}
        # A pattern that cannot be read may capture anything.
        self.is_readable = True

    def compile(self) -> Rule:
        """Read all keys in one pass, noting every fault."""
        reader = self.reader
        check_format(reader)
        name = self._id()
        event = self.shared.event_named(reader)
        pattern, message = self._message()
        node = reader.mapping("fields")
        self.is_readable &= node is not None or not reader.has("fields")
        fields = {
            field: self._sub_pattern(value, f"field {field!r}") for field, value in entries(node)
        }
        optional = reader.placed_texts("optional_fields")
        optional_fields = tuple(name for _, name in optional)
        self.written |= {name: place for place, name in optional}
        self.absent_fields = reader.placed_texts("absent_fields")
        self.captures |= {*fields, *optional_fields}
        each = self._each()
        properties = self._properties(event)
        node = reader.mapping("pair")
        captures = self.captures if self.is_readable else None
        pair = read_pair(node, event, captures, properties, self.shared) if node else None
        rule = Rule(
            id=name,
            place=reader.place("id"),
            event=event,
            question=reader.text("question", None if event else ""),
            versions=read_versions(reader),
            formats=read_formats(reader) or _LOGRUS,
            levels=frozenset(self._words("level", LEVELS)),
            plugin=ORIGINS[reader.word("origin", ORIGINS, "core")],
            message=message,
            pattern=pattern,
            fields=fields,
            optional_fields=optional_fields,
            absent_fields=tuple(name for _, name in self.absent_fields),
            literals=read_literals(reader, pattern) if self.is_readable else (),
            properties=properties,
            priority=reader.number("priority", 0, -100, 100),
            alone=reader.word("alone", ("count", "ignore"), "count"),
            enables=self._enables(properties),
            once=reader.flag("once"),
            when=self._when(),
            unless=self._unless(),
            each=each,
            fact=self._fact(),
            pair=pair,
            hits=read_examples(
                # Of an event that does not exist no example can be right or wrong.
                reader,
                "hits",
                event or ("" if reader.has("event") or self._has_lost_event() else None),
                self.shared,
            ),
            misses=read_examples(reader, "misses", None, self.shared),
            captures=frozenset(self.captures),
            places={key: reader.place(key) for key in reader.node.entries},
        )
        self._check_whole(rule)
        reader.flag("override")
        reader.flag("disable")
        if not self.is_readable or not re.fullmatch(ID, name):
            self.written.clear()
        return rule

    def _is_doubtful(self, name: str) -> bool:
        """Whether a property reads a vocabulary of which no word is known, as it is at fault."""
        sources = self.reader.take("properties")
        source = sources.entries.get(name) if isinstance(sources, Mapping) else None
        named = source.entries.get("vocabulary") if isinstance(source, Mapping) else None
        found = self.shared.vocabularies.get(said(named) or "")
        return found is not None and not found.words

    def _has_lost_event(self) -> bool:
        """Whether its event was forgotten: its properties can belong to nothing else."""
        has = self.reader.has
        return has("properties") and not has("enables") and not has("pair")

    def _check_possible(self, rule: Rule) -> None:
        """Note keys of which one excludes what another wants."""
        formats = " or ".join(sorted(rule.formats))
        levels = " or ".join(sorted(rule.levels))
        has_levels = {level for one in rule.formats for level in LEVELS_OF.get(one, LEVELS)}
        if rule.levels and has_levels.isdisjoint(rule.levels):
            self._impossible(
                "formats", f"no line of the format {formats} has the level {levels}", "`level`"
            )
        elif rule.fields and rule.formats <= LEVELS_OF.keys():
            self._impossible("formats", f"no line of the format {formats} has fields", "`fields`")
        wanted = {*rule.fields, *rule.optional_fields}
        for place, name in self.absent_fields:
            if name in wanted:
                key = "fields" if name in rule.fields else "optional_fields"
                what = f"the field {name!r} must not be there, but `{key}` names it"
                self._impossible("absent_fields", what, f"it from `{key}`", place)

    def _impossible(self, key: str, what: str, other: str, place: Place | None = None) -> None:
        fix = f"change `{key}`, or remove {other}"
        self.problems.add("impossible", place or self.reader.place(key), what, fix)

    def _check_whole(self, rule: Rule) -> None:
        add = self.problems.add
        reader = self.reader
        self._check_possible(rule)
        if rule.once and not rule.enables:
            add("once", reader.place("once"), "`once` is told by `enables`", "add `enables: true`")
        if rule.each and rule.pair:
            add(
                "each",
                reader.place("each"),
                "a rule with `each` cannot open a pair",
                "remove one of the two",
            )
        if rule.each and rule.each.once_per not in rule.properties:
            self.problems.unknown(
                "property", rule.each.once_per, reader.place("each"), rule.properties
            )
        if not reader.has("hits"):
            add("no-example", self.node.place, f"rule {rule.id!r} has no example", "add `hits:`")
        elif isinstance(hits := reader.take("hits"), Items) and not hits.items:
            add("no-example", hits.place, f"rule {rule.id!r} has no example", "write one")
        check_complete(rule, reader, self.shared)

    def _id(self) -> str:
        name = self.reader.text("id")
        if not re.fullmatch(ID, name):
            # Others may call the rule what its id should be, or what its file is called.
            meant = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
            self.problems.lost |= {stem(self.node.place.path), meant}
        if name and not re.fullmatch(ID, name):
            self.problems.add(
                "id",
                self.reader.place("id"),
                f"{name!r} is no id",
                "write words of a-z and 0-9 with hyphens between",
            )
        return name

    def _message(self) -> tuple[str, re2._Regexp]:
        """Return the pattern of the message, as text and compiled."""
        place = self.reader.place("message")
        text = self.reader.text("message")
        node = self.reader.take("message")
        if not isinstance(node, Scalar) or not isinstance(node.value, str):
            self.is_readable = False
        elif not text and not self.reader.has("literals"):
            self.is_readable = False
            fix = "write how the messages begin that this rule takes"
            self.problems.add("literal", place, "the message is empty", fix)
        pattern = self._expand(text, place)
        return pattern.text, self._compile(pattern)

    def _compile(self, pattern: Pattern) -> re2._Regexp:
        if not pattern.is_whole:
            return re2.compile(b"")
        before = len(self.problems.found)
        made = compile_pattern(pattern, self.problems)
        self.is_readable &= len(self.problems.found) == before
        return made

    def _words(self, key: str, options: Iterable[str]) -> tuple[str, ...]:
        known = tuple(options)
        words = []
        for place, word in self.reader.placed_texts(key, known):
            near = word if word in known else self.problems.unknown(key, word, place, known)
            words += [near] if near is not None else []
        return tuple(words)

    def _expand(self, pattern: str, place: Place) -> Pattern:
        for name, index in captures_in(pattern).items():
            self.written[name] = place.within(pattern, index)
        before = len(self.problems.found)
        expanded = self.shared.expand(pattern, place)
        # What a fragment that is not there would capture is not known.
        self.is_readable &= len(self.problems.found) == before and expanded.is_whole
        self.captures |= captures_in(expanded.text).keys()
        return expanded

    def _sub_pattern(self, node: Node, what: str) -> re2._Regexp:
        value = node.value if isinstance(node, Scalar) else None
        if not isinstance(value, str):
            self.problems.add("type", node.place, f"{what} is matched by a text", fix_text(node))
            value = ""
        return self._compile(self._expand(value, node.place))

    def _sources(self) -> Sources:
        captures = self.captures if self.is_readable else None
        return Sources(self.shared.vocabularies, captures, self.problems)

    def _properties(self, event: str | None) -> dict[str, Source]:
        node = self.reader.mapping("properties")
        read = self._sources().read
        found = {name: self.shared.noted(read(value, name)) for name, value in entries(node)}
        if event is not None and node is not None:
            check_values(self.shared.events[event], found, node, self.problems)
        if node is None and self.reader.has("properties"):
            # What was meant to be a mapping of sources may read every capture.
            self.written.clear()
        return found

    def _enables(self, properties: MappingType[str, Source]) -> dict[str, str]:
        if not self.reader.flag("enables"):
            return {}
        if "platform" not in properties:
            if self.reader.has("properties") and not properties:
                return {}  # they are at fault, which was told
            place = self.reader.place("enables")
            self.problems.add("enables", place, "`enables` needs a property `platform`", "add it")
            return {}
        if self._is_doubtful("platform"):
            return {"": "bot"}  # it enables something
        kinds = self.shared.kinds
        words = map(str, values_of(properties["platform"]))
        return {word: kinds[word] for word in words if word in kinds}

    def _when(self) -> dict[str, frozenset[str]]:
        conditions: dict[str, frozenset[str]] = {}
        node = self.reader.mapping("when")
        inner = Reader(node, "when", self.problems) if node else None
        for name in node.entries if node else ():
            assert node is not None
            assert inner is not None
            found = inner.placed_texts(name)
            near = name if name in self.shared.facts else None
            near = near or self.problems.unknown("fact", name, node.keys[name], self.shared.facts)
            if near is None:
                continue
            self.shared.used.add(("facts", near))
            values = self.shared.facts[near]
            known = {*map(str, values), "unknown"}
            for place, word in found:
                if values and word not in known:
                    self.problems.unknown(f"value of the fact {near}", word, place, known)
            conditions[near] = frozenset(word for _, word in found)
        return conditions

    def _unless(self) -> dict[str, Callable[[bytes], object]]:
        node = self.reader.mapping("unless")
        made: dict[str, Callable[[bytes], object]] = {}
        for name, value in entries(node):
            assert node is not None
            near: str | None = name
            if name not in self.captures and self.is_readable:
                near = self.problems.unknown(
                    "capture or field", name, node.keys[name], self.captures
                )
            if isinstance(value, Mapping):
                reader = Reader(value, f"unless {name!r}", self.problems, UNLESS_KEYS)
                wanted = reader.text("vocabulary")
                vocabulary = self.shared.vocabulary_named(wanted, reader.place("vocabulary"))
                made[near or name] = vocabulary.word if vocabulary else lambda _text: None
            else:
                made[near or name] = self._sub_pattern(value, f"unless {name!r}").search
        return made

    def _each(self) -> Each | None:
        node = self.reader.mapping("each")
        if node is None:
            return None
        inner = Reader(node, "each", self.problems, EACH_KEYS)
        capture = inner.text("capture")
        if capture and capture not in self.captures and self.is_readable:
            near = self.problems.unknown(
                "capture or field", capture, inner.place("capture"), self.captures
            )
            capture = near or capture
        place = inner.place("pattern")
        pattern = self._expand(inner.text("pattern"), place)
        return Each(capture, self._compile(pattern), inner.text("once_per"))

    def _fact(self) -> tuple[str, Source] | None:
        node = self.reader.mapping("fact")
        if node is None:
            return None
        inner = Reader(node, "fact", self.problems, FACT_KEYS)
        name = inner.text("name")
        value = inner.take("value")
        source = Constant("true") if value is None else self._sources().read(value, "value")
        near: str | None = name
        if name and name not in self.shared.facts:
            near = self.problems.unknown("fact", name, inner.place("name"), self.shared.facts)
        if not near:
            return None
        self.shared.used.add(("facts", near))
        check_source(
            source,
            # Of the fact that was meant it is not known.
            self.shared.facts[near] if near == name else (),
            value if value is not None else node,
            f"the fact {near!r}",
            self.problems,
        )
        return near, self.shared.noted(source)


def _indented(node: Mapping, shared: Shared) -> Mapping:
    """Return a rule with what stands outside of its block, or an event within one, put right."""
    if node.entries.keys() <= set(KEYS):
        return _with_event(node, shared)
    event = shared.events.get(said(node.entries.get("event")) or "")
    declared = event.properties if event is not None else {}

    def belongs(above: str, given: Node, key: str) -> bool:
        if key in KEYS or not (is_empty(given) or isinstance(given, Mapping)):
            return False
        if isinstance(given, Mapping) and key in given.entries:
            return False
        if above in _INNER_KEYS:
            return key in _INNER_KEYS[above]
        if above == "properties" and key in declared:
            return True
        return above in _OF_ANY_NAME and is_empty(given) and nearest_name(key, KEYS) is None

    return indented(node, belongs, shared.problems)


def _with_event(node: Mapping, shared: Shared) -> Mapping:
    """Return a rule with the event that is named among its properties."""
    properties = node.entries.get("properties")
    if "event" in node.entries or not isinstance(properties, Mapping):
        return node
    name = properties.entries.get("event")
    if name is None or said(name) not in shared.events:
        return node
    fix = "indent it like `properties:`, above which it stands best"
    shared.problems.add("unknown-name", properties.keys["event"], "'event' is no property", fix)
    rest = {key: one for key, one in properties.entries.items() if key != "event"}
    given = Mapping(properties.place, rest, properties.keys)
    return Mapping(
        node.place,
        {**node.entries, "properties": given, "event": name},
        {**node.keys, "event": properties.keys["event"]},
    )
