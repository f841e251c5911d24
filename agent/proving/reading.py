"""What counting may depend on in a log: the closed decisions that the rules make of each entry.

Two logs with equal readings differ only in free text, and what is sent of them must be equal byte
by byte. A reading is made from the rules' conditions and vocabularies, not from what `anonymize`
returns, so that a value that leaks there shows as a difference. Pure.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Mapping
from functools import cache
from typing import TYPE_CHECKING

import re2
from attrs import frozen

from agent.anonymize import parts
from agent.entries import Entries
from agent.match import match
from agent.prefilter import Prefilter, make_prefilter
from agent.records import parse
from agent.rules.ruleset import (
    Bucketed,
    Captured,
    Constant,
    Joined,
    OnlyEnabled,
    Present,
    Skip,
    Source,
)
from agent.rules.words import Vocabulary, options, without

if TYPE_CHECKING:
    from agent.match import Match
    from agent.model import Entry, Record
    from agent.rules import RuleSet
    from agent.trace import Step, Trace


@frozen(eq=False)
class Policy:
    """What the rules look at: all that a decision may rest on.

    `closers` are, by rule id, the sources that its entries decide when they act on another rule's
    pair; `prefilter` says whether an entry has any of the literals without which none is looked at.
    """

    ruleset: RuleSet
    prefilter: Prefilter
    closers: Mapping[str, tuple[Source, ...]]


@frozen
class Reading:
    """One entry in closed terms; equal readings count the same.

    `act` is what the entry did to which line's pair: it says which join keys were equal.
    """

    line: int
    line_count: int
    decided: Hashable
    opens: bool
    act: Hashable


def make_policy(ruleset: RuleSet) -> Policy:
    """Return what the rules of a set look at."""
    found: defaultdict[str, list[Source]] = defaultdict(list)
    for rule in ruleset.rules:
        for closer in rule.pair.closers if rule.pair is not None else ():
            for name in closer.rules:
                found[name] += closer.properties.values()
    closers = {name: tuple(sources) for name, sources in found.items()}
    return Policy(ruleset, make_prefilter(ruleset.literals), closers)


def read(trace: Trace, policy: Policy) -> dict[int, Reading]:
    """Return the readings of a traced log by the lines on which their entries begin."""
    return {step.line: _read_step(step, policy) for step in trace.steps}


def _read_step(step: Step, policy: Policy) -> Reading:
    found = (step.counted, step.stated)
    decided = _decide(step.entry, step.record, found, policy)
    act = (step.closes.opener, step.closes.closer.rules) if step.closes is not None else None
    return Reading(step.line, step.line_count, decided, step.opens, act)


def read_alone(text: bytes, policy: Policy, *, like: Step, is_stamped: bool) -> Hashable:
    """Return what is decided of the text of one entry, standing alone where `like` stands."""
    entries = Entries()
    found: list[Entry] = []
    lines = text.split(b"\n")
    for number, line in enumerate(lines, 1):
        found += entries.feed(line, like.entry.at_ns if is_stamped else None, number)
    found += entries.finish()
    return tuple(_read_entry(one, policy, like) for one in found)


def _read_entry(entry: Entry, policy: Policy, like: Step) -> Hashable:
    record = parse(entry)
    found = match(record, policy.ruleset, like.known) if record is not None else ()
    return (entry.first_line, entry.line_count, _decide(entry, record, found, policy))


def _decide(
    entry: Entry, record: Record | None, found: Iterable[Match | None], policy: Policy
) -> Hashable:
    """Return how an entry is read, which rules it belongs to, and what its captures decide."""
    shape = (record.level, record.plugin) if record is not None else None
    chosen = tuple(_decide_rule(one, policy) for one in found if one is not None)
    is_seen = not chosen or policy.prefilter(entry.text)
    return (entry.format, entry.at_ns, shape, is_seen, chosen)


def _decide_rule(found: Match, policy: Policy) -> Hashable:
    rule = found.rule
    sources = [*rule.properties.values(), *policy.closers.get(rule.id, ())]
    if rule.fact is not None:
        sources.append(rule.fact[1])
    each = parts(rule, found.captures)
    return (rule.id, tuple(tuple(_choose(sources, captures)) for captures in each))


def _choose(sources: Iterable[Source], captures: Mapping[str, bytes]) -> Iterator[Hashable]:
    return (_decision(source, captures) for source in sources)


def _decision(source: Source, captures: Mapping[str, bytes]) -> Hashable:
    match source:
        case Captured():
            text = captures.get(source.capture)
            word = _look_up(source.vocabulary, text) if text is not None else None
            return word if word is not None else (_decision(source.otherwise, captures),)
        case Present():
            return source.capture in captures
        case Bucketed():
            return _reached(captures.get(source.capture, b""), source.bounds)
        case OnlyEnabled():
            return _decision(source.otherwise, captures)
        case Joined():
            return tuple(_choose(source.parts, captures))
        case Constant() | Skip():
            return None


def _look_up(vocabulary: Vocabulary, text: bytes) -> str | None:
    """Return the word that the declaration gives, whatever `Vocabulary.word` would say."""
    seen = text if vocabulary.hide is None else without(vocabulary.hide, text)
    for word, sought in _declared(vocabulary):
        if any(one.search(seen) is not None for one in sought):
            return word
    return None


@cache
def _declared(vocabulary: Vocabulary) -> tuple[tuple[str, tuple[re2._Regexp, ...]], ...]:
    return tuple(
        (word, tuple(_sought(vocabulary.kind, text) for text in texts))
        for word, texts in vocabulary.words.items()
    )


def _sought(kind: str, text: str) -> re2._Regexp:
    whole = rf"(?i)^\s*{re2.escape(text)}\s*$"
    return re2.compile((whole if kind == "exact" else text).encode(), options())


def _reached(text: bytes, bounds: tuple[int, ...]) -> Hashable:
    return tuple(bound for bound in bounds if text.isdigit() and int(text[:18]) >= bound)
