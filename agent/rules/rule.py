"""One rule file -> `Rule`: the meaning of its keys.

Owns what a rule may say on its own. What needs other rules (ids, closers, shadows, unused names)
is looked at in `checks`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from agent.model import Format
from agent.rules.examples import read_examples
from agent.rules.pairing import read_pair
from agent.rules.patterns import MIN_LITERAL_BYTES, captures_in, compile_pattern, longest_literal
from agent.rules.places import Mapping, Node, Place, Problems, Reader, Scalar
from agent.rules.ruleset import Constant, Each, Rule, Source
from agent.rules.shared import FORMAT_VERSION, entries
from agent.rules.sources import Sources, check_values, values_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from collections.abc import Mapping as MappingType

    import re2

    from agent.rules.shared import Shared

LEVELS = ("trace", "debug", "info", "warning", "error", "fatal", "panic")
KEYS = (
    "version", "id", "event", "question", "versions", "formats", "level", "origin", "message",
    "fields", "optional_fields", "absent_fields", "when", "unless", "each", "literals",
    "properties", "priority", "alone", "enables", "once", "fact", "pair", "hits", "misses",
    "override", "disable",
)  # fmt: skip
ORIGINS = {"core": False, "plugin": True, "any": None}
FIRST, LAST = "v0.8", "v1.14"
ID = r"[a-z0-9]+(-[a-z0-9]+)*$"
VERSION = r"v(\d+)\.(\d+)$"
_LOGRUS = (Format.JSON, Format.LOGFMT, Format.TEXT)


class RuleCompiler:
    """Compiles one rule file. `written` are the captures that stand in it, not in a fragment."""

    def __init__(self, node: Mapping, shared: Shared, problems: Problems) -> None:
        self.reader = Reader(node, "a rule", problems)
        self.node = node
        self.shared = shared
        self.problems = problems
        self.captures: set[str] = set()
        self.written: dict[str, Place] = {}

    def compile(self) -> Rule:
        """Read all keys in one pass, noting every fault."""
        reader = self.reader
        reader.number("version", FORMAT_VERSION, FORMAT_VERSION, FORMAT_VERSION)
        name = self._id()
        event = self.shared.event_named(reader)
        pattern = self._expand(reader.text("message"), reader.place("message"))
        message = compile_pattern(pattern, reader.place("message"), self.problems)
        fields = {
            field: self._sub_pattern(value, f"field {field!r}")
            for field, value in entries(reader.mapping("fields"))
        }
        optional_fields = reader.texts("optional_fields")
        self.captures |= {*fields, *optional_fields}
        each = self._each()
        node = reader.mapping("pair")
        pair = read_pair(node, event, self.captures, self.shared) if node else None
        properties = self._properties(event)
        rule = Rule(
            id=name,
            place=self.node.place,
            event=event,
            question=reader.text("question", None if event else ""),
            versions=self._versions(),
            formats=frozenset(map(Format, self._words("formats", Format) or _LOGRUS)),
            levels=frozenset(self._words("level", LEVELS)),
            plugin=ORIGINS[reader.word("origin", ORIGINS, "core")],
            message=message,
            pattern=pattern,
            fields=fields,
            optional_fields=optional_fields,
            absent_fields=reader.texts("absent_fields"),
            literals=self._literals(pattern),
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
                event or ("" if "event" in self.node.entries else None),
                self.shared,
            ),
            misses=read_examples(reader, "misses", None, self.shared),
            captures=frozenset(self.captures),
        )
        self._check_whole(rule)
        reader.take("override")
        reader.take("disable")
        reader.done(KEYS)
        return rule

    def _check_whole(self, rule: Rule) -> None:
        add = self.problems.add
        if rule.once and not rule.enables:
            add(
                "once",
                self.reader.place("once"),
                "`once` is told by `enables`",
                "add `enables: true`",
            )
        if rule.each and rule.pair:
            add("each", self.reader.place("each"), "a rule with `each` cannot open a pair")
        if rule.each and rule.each.once_per not in rule.properties:
            self.problems.unknown(
                "property", rule.each.once_per, self.reader.place("each"), rule.properties
            )
        if not rule.hits:
            add("no-example", self.node.place, f"rule {rule.id!r} has no example", "add `hits:`")

    def _id(self) -> str:
        name = self.reader.text("id")
        if name and not re.match(ID, name):
            self.problems.add(
                "id",
                self.reader.place("id"),
                f"{name!r} is no id",
                "write words of a-z and 0-9 with hyphens between",
            )
        return name

    def _versions(self) -> tuple[str, str]:
        found = self.reader.placed_texts("versions")
        if not found:
            return FIRST, LAST
        numbers = [
            tuple(map(int, m.groups())) for _, text in found if (m := re.match(VERSION, text))
        ]
        first, last = found[0][1], found[-1][1]
        if len(found) != 2 or len(numbers) != 2 or numbers[0] > numbers[1]:  # noqa: PLR2004 first, last
            self.problems.add(
                "versions",
                self.reader.place("versions"),
                "versions are a first and a last one",
                "write [v0.13, v0.18]",
            )
        return first, last

    def _words(self, key: str, options: Iterable[str]) -> tuple[str, ...]:
        known = tuple(str(option) for option in options)
        found = self.reader.placed_texts(key)
        for place, word in found:
            if word not in known:
                self.problems.unknown(key, word, place, known)
        return tuple(word for _, word in found if word in known)

    def _expand(self, pattern: str, place: Place) -> str:
        self.written.update(dict.fromkeys(captures_in(pattern), place))
        expanded = self.shared.expand(pattern, place)
        self.captures |= captures_in(expanded)
        return expanded

    def _sub_pattern(self, node: Node, what: str) -> re2._Regexp:
        value = node.value if isinstance(node, Scalar) else None
        if not isinstance(value, str):
            self.problems.add(
                "type", node.place, f"{what} is matched by a text", "put it in quotes"
            )
            value = ""
        return compile_pattern(self._expand(value, node.place), node.place, self.problems)

    def _literals(self, pattern: str) -> tuple[bytes, ...]:
        given = self.reader.placed_texts("literals")
        for place, text in given:
            if not text or longest_literal(re.escape(text)) != text.encode():
                self.problems.add(
                    "literal",
                    place,
                    f"{text!r} may be written in another way in a line",
                    "a literal is plain ASCII without quotes, <, > and &",
                )
        if given:
            return tuple(text.encode() for _, text in given)
        found = longest_literal(pattern)
        if len(found) < MIN_LITERAL_BYTES:
            self.problems.add(
                "literal",
                self.reader.place("message"),
                "no plain text of five characters stands in every match of this pattern",
                "give `literals: [...]`, one of which each matching line contains",
            )
        return (found,)

    def _sources(self) -> Sources:
        return Sources(self.shared.vocabularies, self.captures, self.problems)

    def _properties(self, event: str | None) -> dict[str, Source]:
        node = self.reader.mapping("properties")
        read = self._sources().read
        found = {name: self.shared.noted(read(value, name)) for name, value in entries(node)}
        if event is None or (node is None and "pair" in self.reader.node.entries):
            return found
        declared = self.shared.events[event]
        if node is not None:
            check_values(declared, found, node.keys, self.problems)
        missing = declared.properties.keys() - declared.optional - found.keys()
        if missing:
            names = ", ".join(sorted(missing))
            self.problems.add(
                "missing-property",
                self.reader.place("properties"),
                f"{event!r} needs {names}",
                "write `unknown`, or another declared value, where a line does not tell",
            )
        return found

    def _enables(self, properties: MappingType[str, Source]) -> dict[str, str]:
        if not self.reader.flag("enables"):
            return {}
        if "platform" not in properties:
            place = self.reader.place("enables")
            self.problems.add("enables", place, "`enables` needs a property `platform`", "add it")
            return {}
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
            if name not in self.shared.facts:
                self.problems.unknown("fact", name, node.keys[name], self.shared.facts)
                continue
            known = {*map(str, self.shared.facts[name]), "unknown"}
            for place, word in found:
                if word not in known:
                    self.problems.unknown(f"value of the fact {name}", word, place, known)
            conditions[name] = frozenset(word for _, word in found)
        return conditions

    def _unless(self) -> dict[str, Callable[[bytes], object]]:
        node = self.reader.mapping("unless")
        made: dict[str, Callable[[bytes], object]] = {}
        for name, value in entries(node):
            assert node is not None
            if name not in self.captures:
                self.problems.unknown("capture or field", name, node.keys[name], self.captures)
            if isinstance(value, Mapping):
                reader = Reader(value, f"unless {name!r}", self.problems)
                wanted = reader.text("vocabulary")
                vocabulary = self.shared.vocabulary_named(wanted, reader.place("vocabulary"))
                reader.done()
                made[name] = vocabulary.word if vocabulary else lambda _text: None
            else:
                made[name] = self._sub_pattern(value, f"unless {name!r}").search
        return made

    def _each(self) -> Each | None:
        node = self.reader.mapping("each")
        if node is None:
            return None
        inner = Reader(node, "each", self.problems)
        capture = inner.text("capture")
        if capture and capture not in self.captures:
            self.problems.unknown(
                "capture or field", capture, inner.place("capture"), self.captures
            )
        pattern = self._expand(inner.text("pattern"), inner.place("pattern"))
        once_per = inner.text("once_per")
        inner.done(("capture", "pattern", "once_per"))
        return Each(
            capture, compile_pattern(pattern, inner.place("pattern"), self.problems), once_per
        )

    def _fact(self) -> tuple[str, Source] | None:
        node = self.reader.mapping("fact")
        if node is None:
            return None
        inner = Reader(node, "fact", self.problems)
        name = inner.text("name")
        value = inner.take("value")
        source = Constant("true") if value is None else self._sources().read(value, "value")
        inner.done(("name", "value"))
        if name not in self.shared.facts:
            self.problems.unknown("fact", name, inner.place("name"), self.shared.facts)
            return None
        for word in sorted(map(str, values_of(source) - self.shared.facts[name])):
            self.problems.add(
                "value",
                inner.place("value"),
                f"the fact {name!r} does not declare the value {word!r}",
                "add it to the fact's declaration, or use a declared one",
            )
        return name, self.shared.noted(source)
