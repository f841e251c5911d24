"""What a validated rule set is: plain frozen values that match, anonymize and the tools read.

Owns no behaviour. Every value that a property can take is listed here, which is why nothing else
can leave the cluster.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import re2
from attrs import define, field, frozen

from agent.model import Format, Value
from agent.rules.words import Vocabulary, options

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from agent.rules.places import Place, Problem

LEVELS = ("trace", "debug", "info", "warning", "error", "fatal", "panic")
LEVELS_OF: dict[Format, frozenset[str]] = {
    Format.STANDARD: frozenset(),
    Format.KLOG: frozenset({"info", "warning", "error", "fatal"}),
    Format.PANIC: frozenset({"panic"}),
}
"""The formats whose lines have no fields, each with the levels that they may have."""
MAX_SECONDS = 3600
"""How long a pair waits at most."""
SKIP = "skip"
"""`otherwise: skip`: an entry whose word is not in the vocabulary is not counted at all."""


@frozen
class Constant:
    """Always this value."""

    value: Value


@frozen
class Captured:
    """The vocabulary's word for a capture, else `otherwise`."""

    capture: str
    vocabulary: Vocabulary
    otherwise: Source


@frozen
class Present:
    """Whether a capture took part in the match."""

    capture: str


@frozen
class Bucketed:
    """The highest bound that a captured number reaches; 0 below the first."""

    capture: str
    bounds: tuple[int, ...]


@frozen
class OnlyEnabled:
    """The only platform of these that the instance is known to have enabled, else `otherwise`."""

    words: tuple[str, ...]
    otherwise: Source


@frozen
class Joined:
    """Several words with a space between; empty words are left out."""

    parts: tuple[Source, ...]


@frozen
class Skip:
    """No value: the entry is not counted."""


Source = Constant | Captured | Present | Bucketed | OnlyEnabled | Joined | Skip


@frozen
class Event:
    """A track event: which values each of its properties may take."""

    name: str
    category: str
    properties: Mapping[str, frozenset[Value]]
    optional: frozenset[str] = frozenset()

    @property
    def required(self) -> frozenset[str]:
        """The properties without which it is not sent."""
        return frozenset(self.properties) - self.optional


@frozen
class Closer:
    """What an entry of one of these rules does to a waiting opener.

    `then` is `count` (it ends and counts), `ignore` (it ends and counts nothing), `wait` (it goes
    on waiting, changed), `next` (it ends and counts, and the closer opens its own pair), `pass`
    (it ends, and the closer's own pair takes over the properties that `passes` names) or `suspect`
    (it goes on waiting, and becomes another event unless a later entry says something of it).

    It acts on the opener with most in common, of several equal ones on the `choose`n: the oldest,
    or the newest touched. `join` and `prefer` map names of the opener's key to captures of the
    closer: both must have those of `join`, and be equal; those of `prefer` only decide between
    several. A closer that waits acts on an opener once for each rule and value of `once_per`, and
    adds with `also` another value to the opener's key. `within` so many seconds of line time it
    acts. With `hold` a `count` is final only that many seconds of line time later: until then an
    entry whose closer has a `join` may still say otherwise.
    """

    rules: tuple[str, ...]
    then: str
    event: str | None
    properties: Mapping[str, Source]
    passes: tuple[str, ...] = ("result",)
    choose: str = "oldest"
    join: Mapping[str, str] = field(factory=dict)
    prefer: Mapping[str, str] = field(factory=dict)
    also: Mapping[str, str] = field(factory=dict)
    once_per: tuple[str, ...] = ()
    within: int = MAX_SECONDS
    hold: int = 0
    places: Mapping[str, Place] = field(factory=dict)
    """Where its rules and its properties are written, by their names."""


@frozen(slots=False)
class Pair:
    """An opener waits for its closers, so many lines and seconds of line time long.

    `also` gives names of the key a second value from the opener's own captures.
    """

    lines: int
    seconds: int
    key: tuple[str, ...]
    result: str
    closers: tuple[Closer, ...]
    also: Mapping[str, str] = field(factory=dict)
    places: Mapping[str, Place] = field(factory=dict, eq=False)
    """Where the names of the key are written."""

    @cached_property
    def closers_of(self) -> Mapping[str, tuple[Closer, ...]]:
        """The closers by the rules whose entries they are."""
        names = {name for closer in self.closers for name in closer.rules}
        return {
            name: tuple(closer for closer in self.closers if name in closer.rules) for name in names
        }


@frozen
class Each:
    """One entry that names several faults: each match of `pattern` in a capture counts on its own.

    Parts that say the same of the property `once_per` count once; without a match the whole
    capture is one part.
    """

    capture: str
    pattern: re2._Regexp
    once_per: str


@frozen
class Uncovered:
    """Why no rule covers a category in some versions and formats, at a log level of BotKube's."""

    place: Place
    category: str
    formats: frozenset[Format]
    versions: tuple[str, str]
    at: str
    reason: str


@frozen
class Example:
    """A log excerpt and the observations that it gives: (event, properties) in order.

    `expect` is where they stand, `places` where each property of each of them, and its `event`.
    """

    place: Place
    log: str
    expected: tuple[tuple[str, Mapping[str, Value]], ...]
    expect: Place | None = None
    places: tuple[Mapping[str, Place], ...] = ()

    @property
    def all_places(self) -> tuple[Place, ...]:
        """Every place at which a fault of this example may stand."""
        whole = (self.place,) if self.expect is None else (self.place, self.expect)
        return (*whole, *(one for places in self.places for one in places.values()))


@define(eq=False)
class Rule:
    """One declaration, whose `place` is that of its id.

    `event` is None for a line that only opens, closes or states a fact.

    `plugin` None means that plugins' lines and the core's are looked at alike. `enables` says of
    each platform that the rule can name whether it is a bot or a sink. `when` lists the values
    that a fact of the instance may have, `unknown` among them.
    """

    id: str
    place: Place
    event: str | None
    question: str
    versions: tuple[str, str]
    formats: frozenset[Format]
    levels: frozenset[str]
    plugin: bool | None
    message: re2._Regexp
    pattern: str
    fields: Mapping[str, re2._Regexp]
    optional_fields: tuple[str, ...]
    absent_fields: tuple[str, ...]
    literals: tuple[bytes, ...]
    properties: Mapping[str, Source]
    priority: int = 0
    alone: str = "count"
    enables: Mapping[str, str] = field(factory=dict)
    once: bool = False
    when: Mapping[str, frozenset[str]] = field(factory=dict)
    unless: Mapping[str, Callable[[bytes], object]] = field(factory=dict)
    """Captures, each with what finds something in it (else None) that the rule is not for."""
    each: Each | None = None
    fact: tuple[str, Source] | None = None
    pair: Pair | None = None
    hits: tuple[Example, ...] = ()
    misses: tuple[Example, ...] = ()
    captures: frozenset[str] = field(factory=frozenset)
    places: Mapping[str, Place] = field(factory=dict)
    """Where the value of each of its keys stands."""

    @property
    def counts(self) -> bool:
        """Whether the rule is one of those of which an entry belongs to one, not a mere fact."""
        return self.fact is None or self.event is not None or self.pair is not None


@frozen(eq=False, slots=False)
class RuleSet:
    """All rules, validated and compiled. `digest` names the set in every report.

    `problems` are its faults that change nothing of what it counts; `taken_out` are the events of
    which a rule was disabled, so that they are not counted as a whole.
    """

    rules: tuple[Rule, ...]
    events: Mapping[str, Event]
    vocabularies: Mapping[str, Vocabulary]
    facts: Mapping[str, frozenset[Value]]
    bots: tuple[str, ...]
    sinks: tuple[str, ...]
    digest: str
    uncovered: tuple[Uncovered, ...] = ()
    problems: tuple[Problem, ...] = ()
    taken_out: frozenset[str] = frozenset()

    @cached_property
    def messages(self) -> re2.Set:
        """One automaton over all message patterns, so that cost does not grow with rules."""
        found = re2.Set.MatchSet(options())
        for rule in self.rules:
            found.Add(rule.pattern.encode())
        found.Compile()
        return found

    @cached_property
    def literals(self) -> tuple[bytes, ...]:
        """Every literal of which a matching entry contains at least one."""
        return tuple(sorted({literal for rule in self.rules for literal in rule.literals}))
