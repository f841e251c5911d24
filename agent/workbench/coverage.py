"""`rules coverage`: what no example and no given log reaches, and what no rule takes.

Owns what counts as reached: a rule by an entry that it takes, a closer by an entry that acts
through it, a branch of a pattern by an entry that goes through it, a word by a capture that gives
it. A branch that several rules share through a fragment is reached if one of them goes there.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from attrs import define, field, frozen

from agent.anonymize import parts
from agent.rulefiles import is_shipped
from agent.rules.branches import Branch, Branches, branches_of
from agent.rules.ruleset import Captured, Joined, OnlyEnabled, Source
from agent.rules.sources import within
from agent.trace import Step, Trace, trace_log
from agent.workbench.faults import nearest
from agent.workbench.templates import template_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from agent.match import Match
    from agent.rules import Place, Rule, RuleSet

SEVERE = frozenset({"error", "fatal", "panic", ""})
"""Levels whose messages somebody should have a rule for; the standard log has none: it is fatal."""


@frozen
class Unmatched:
    """Messages without a rule that are one sentence, and where the first of them stands."""

    level: str
    is_plugin: bool
    template: str
    count: int
    where: str


@define
class Reached:
    """What was reached, by id, by name, by text."""

    ruleset: RuleSet
    rules: set[str] = field(factory=set)
    closers: set[tuple[str, int, str]] = field(factory=set)
    branches: set[Branch] = field(factory=set)
    words: set[tuple[str, str]] = field(factory=set)
    _patterns: dict[str, dict[str, Branches]] = field(factory=dict)

    def take(self, trace: Trace) -> None:
        """Note all that the entries of a log reach."""
        openers = {step.line: step for step in trace.steps}
        for step in trace.steps:
            for found in (step.counted, step.stated):
                if found is None:
                    continue
                self._take_match(found, step)
                if step.closes is not None and found.rule.id in step.closes.closer.rules:
                    opener = openers[step.closes.opener].counted
                    assert opener is not None
                    assert opener.rule.pair is not None
                    index = opener.rule.pair.closers.index(step.closes.closer)
                    self.closers.add((opener.rule.id, index, found.rule.id))
                    for source in step.closes.closer.properties.values():
                        self.words.update(_words(source, found.captures))

    def patterns(self, rule: Rule) -> dict[str, Branches]:
        """Return the branches of a rule's message and fields, by the key they stand under."""
        if rule.id not in self._patterns:
            fields = {f"fields.{name}": _text(one.pattern) for name, one in rule.fields.items()}
            texts = {"message": rule.pattern, **fields}
            self._patterns[rule.id] = {key: branches_of(text) for key, text in texts.items()}
        return self._patterns[rule.id]

    def _take_match(self, found: Match, step: Step) -> None:
        rule = found.rule
        self.rules.add(rule.id)
        assert step.record is not None
        for key, branches in self.patterns(rule).items():
            text = step.record.message if key == "message" else step.record.fields[key[7:]]
            self.branches.update(branches.taken(text))
        for captures in parts(rule, found.captures):
            for source in _sources(rule):
                self.words.update(_words(source, captures))


@frozen
class Coverage:
    """What nothing reaches, as texts for a person or a program, and the totals beside them."""

    rules: list[str]
    closers: list[dict[str, str]]
    branches: list[dict[str, str]]
    words: dict[str, list[str]]
    totals: dict[str, int]
    unmatched: list[Unmatched]
    own: frozenset[str] = frozenset()
    """The rules and vocabularies of the user's own files, if there are any."""

    @property
    def is_full(self) -> bool:
        """Whether everything is reached, and every severe message has a rule."""
        return not (self.rules or self.closers or self.branches or self.words or self.unmatched)


def measure(
    ruleset: RuleSet, logs: Mapping[str, bytes], scenarios: Iterable[bytes] = ()
) -> Coverage:
    """Run the examples of all rules, the logs of scenarios, and the given logs by their names."""
    reached = Reached(ruleset)
    examples = {one.log for rule in ruleset.rules for one in (*rule.hits, *rule.misses)}
    for text in (*map(str.encode, sorted(examples)), *scenarios):
        reached.take(trace_log(ruleset, text, keep=lambda _: False))
    templates: Counter[tuple[str, bool, str]] = Counter()
    first: dict[tuple[str, bool, str], str] = {}
    for name, log in logs.items():
        trace = trace_log(ruleset, log, keep=_is_severe)
        reached.take(trace)
        for step in trace.steps:
            if step.rule is None and step.record is not None:
                template = template_of(step.record.message.decode("utf-8", "replace"))
                key = (step.record.level, step.record.plugin, template)
                templates[key] += 1
                first.setdefault(key, f"{name}:{step.line}")
    unmatched = [
        Unmatched(level or "none", is_plugin, template, count, first[level, is_plugin, template])
        for (level, is_plugin, template), count in templates.most_common()
    ]
    return _compare(ruleset, reached, unmatched)


def _is_severe(step: Step) -> bool:
    return step.record is not None and step.record.level in SEVERE


def _compare(ruleset: RuleSet, reached: Reached, unmatched: list[Unmatched]) -> Coverage:
    closers = [
        (rule, closer, (rule.id, index, by))
        for rule in ruleset.rules
        for index, closer in enumerate(rule.pair.closers if rule.pair else ())
        for by in closer.rules
    ]
    branches = {
        branch: (rule, key)
        for rule in reversed(ruleset.rules)
        for key, found in reached.patterns(rule).items()
        for branch in found.all
    }
    words = sorted(_all_words(ruleset))
    missing = [(name, word) for name, word in words if (name, word) not in reached.words]
    return Coverage(
        rules=[rule.id for rule in ruleset.rules if rule.id not in reached.rules],
        closers=[
            {
                "rule": rule.id,
                "by": key[2],
                "then": closer.then,
                "place": _shown(closer.places[key[2]]),
            }
            for rule, closer, key in closers
            if key not in reached.closers
        ],
        branches=[
            {"rule": rule.id, "key": key, "branch": branch.text}
            for branch, (rule, key) in sorted(branches.items(), key=lambda one: one[1][0].id)
            if branch not in reached.branches
        ],
        words={
            name: [word for other, word in missing if other == name]
            for name in dict.fromkeys(name for name, _ in missing)
        },
        totals={
            "rules": len(ruleset.rules),
            "closers": len(closers),
            "branches": len(branches),
            "words": len(words),
        },
        unmatched=unmatched,
        own=frozenset(
            name
            for name, place in (
                *((rule.id, rule.place) for rule in ruleset.rules),
                *((one.name, one.place) for one in ruleset.vocabularies.values()),
            )
            if not is_shipped(place)
        ),
    )


def _text(pattern: str | bytes) -> str:
    return pattern.decode() if isinstance(pattern, bytes) else pattern


def _shown(place: Place) -> str:
    return f"{nearest(place.path)}:{place.line}:{place.column}"


def _sources(rule: Rule) -> list[Source]:
    return [*rule.properties.values(), *([rule.fact[1]] if rule.fact else [])]


def _all_words(ruleset: RuleSet) -> set[tuple[str, str]]:
    """Return the words that rules can give; those for the agent itself have no example."""
    sources = [source for rule in ruleset.rules for source in _sources(rule)]
    sources += [
        source
        for rule in ruleset.rules
        for closer in (rule.pair.closers if rule.pair else ())
        for source in closer.properties.values()
    ]
    return {
        (one.vocabulary.name, word)
        for source in sources
        for one in within(source)
        if isinstance(one, Captured)
        for word in one.vocabulary.words
    }


def _words(source: Source, captures: Mapping[str, bytes]) -> Iterator[tuple[str, str]]:
    """Yield the words that a source takes from captures, going on where it has none."""
    match source:
        case Captured():
            text = captures.get(source.capture)
            word = source.vocabulary.word(text) if text is not None else None
            if word is not None:
                yield source.vocabulary.name, word
            else:
                yield from _words(source.otherwise, captures)
        case OnlyEnabled():
            yield from _words(source.otherwise, captures)
        case Joined():
            for part in source.parts:
                yield from _words(part, captures)
        case _:
            pass
