"""What could ever leave: every event, property and value, from the rule set alone.

Owns the one list behind the exit gate, `plan`, and the tables of PRIVACY.md, so that what is
documented, what is announced and what is let through cannot differ; and the comparison of two such
lists. It goes by what a rule set declares, not by what its rules or any log say. Pure.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from attrs import frozen

from agent.aggregate import GAP_REASONS
from agent.model import CRASHED, REPORT, Value
from agent.names import snake

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from agent.rules import Rule, RuleSet

CALL = "every call"
REQUEST = "every request"
IDENTIFY, GROUP = "identify", "group"
OTHER, SEVERAL = "other", "several"

SHAPES = {
    "words": "one of the values listed",
    "true": "true, or absent",
    "count": "a whole number from 1",
    "number": "a whole number from 0",
    "minutes": "whole minutes, in seconds",
    "sum": "the sum of this window's counts as sent",
    "total": "the sum of all such sums since the stream began",
    "uuid": "a UUID",
    "boundary": "a time no finer than the window or the day, RFC 3339 in UTC",
    "now": "when the request is made, RFC 3339 in UTC",
    "minor": "two numbers, such as 1.34",
    "version": "the version of this agent",
    "digest": "16 hexadecimal digits of a hash of the rule files",
    "hash": "a hash of what is said of it",
    "told": "what stands in this plan already, in this service's words",
    "setting": "the value of a setting of yours",
}
"""The shapes that a value can have, and how a person is told."""

KILLED_KINDS = ("oom", "killed", "unknown", "unseen")
"""What a crash is called when the log says nothing and the container status has to."""


@frozen(order=True)
class Disclosure:
    """One property of one event: the shape of its values and, of `words`, each of them.

    `event` is an event's name, or `identify`, `group`, `every call`, `every request` for what
    stands there. `tells` says in a sentence what it tells about an installation.
    """

    event: str
    name: str
    shape: str
    values: tuple[Value, ...] = ()
    tells: str = ""
    is_optional: bool = False


_optional = partial(Disclosure, is_optional=True)


def disclosures(ruleset: RuleSet) -> tuple[Disclosure, ...]:
    """Return everything that an agent with these rules could ever send, each property once."""
    return (
        *_calls(ruleset),
        *(one for name in event_names(ruleset) for one in _event(ruleset, name)),
        *_report(ruleset),
        *_traits(ruleset),
    )


def event_names(ruleset: RuleSet) -> tuple[str, ...]:
    """Return the track events that count something: those of the rules, and crashes."""
    return tuple(dict.fromkeys((*ruleset.events, CRASHED)))


def questions(ruleset: RuleSet, event: str) -> tuple[str, ...]:
    """Return the questions for which rules count an event, in the order of the rules' ids."""
    rules = sorted(ruleset.rules, key=lambda rule: rule.id)
    asked = (rule.question for rule in rules if rule.question and _counts(rule, event))
    return tuple(dict.fromkeys(asked))


def _counts(rule: Rule, event: str) -> bool:
    is_kind = rule.fact is not None and rule.fact[0] == "kind"
    return rule.event == event or (event == CRASHED and is_kind)


def releases(ruleset: RuleSet) -> tuple[str, ...]:
    """Return what `botkube_version` can be."""
    return (*_words(ruleset, "releases"), OTHER)


def _words(ruleset: RuleSet, vocabulary: str) -> tuple[str, ...]:
    # A rule set of the operator's own may lack the vocabulary: then there are no known words.
    found = ruleset.vocabularies.get(vocabulary)
    return tuple(found.words) if found is not None else ()


def _calls(ruleset: RuleSet) -> Iterator[Disclosure]:
    names = (*event_names(ruleset), REPORT)
    yield from (
        Disclosure(CALL, "type", "words", ("track", IDENTIFY, GROUP)),
        Disclosure(CALL, "event", "words", names, is_optional=True),
        Disclosure(CALL, "anonymousId", "uuid", tells="Which installation: a random number."),
        Disclosure(CALL, "groupId", "uuid", is_optional=True, tells="Which cluster: see below."),
        Disclosure(CALL, "messageId", "uuid", tells="Which call, so that repeats are known."),
        Disclosure(CALL, "timestamp", "boundary", tells="The end of the window, or the day."),
        Disclosure(REQUEST, "sentAt", "now", tells="When the agent was running and online."),
        Disclosure(REQUEST, "context.ip", "words", ("0.0.0.0",), tells="Nothing."),  # noqa: S104
        Disclosure(REQUEST, "context.library.name", "words", ("botkube-analytics",)),
        Disclosure(REQUEST, "context.library.version", "version"),
        Disclosure(REQUEST, "context.retried_late", "true", is_optional=True),
    )


def _event(ruleset: RuleSet, name: str) -> Iterator[Disclosure]:
    for key, values, is_optional in _own(ruleset, name):
        yield Disclosure(name, key, "words", sort_words(values), is_optional=is_optional)
    yield Disclosure(name, "count", "count", tells="How often, in this window.")
    yield Disclosure(
        name, "count_floor", "true", is_optional=True, tells="The true count is this or smaller."
    )
    yield Disclosure(
        name, "botkube_version", "words", releases(ruleset), tells="Which BotKube runs."
    )
    yield from _window(name)


def _own(ruleset: RuleSet, name: str) -> Iterator[tuple[str, Iterable[Value], bool]]:
    event = ruleset.events.get(name)
    if event is not None:
        for key, values in event.properties.items():
            yield key, values, key in event.optional
    if name == CRASHED and (event is None or "kind" not in event.properties):
        yield "kind", {*ruleset.facts.get("kind", ()), *KILLED_KINDS}, False


def _window(event: str) -> Iterator[Disclosure]:
    yield from (
        Disclosure(event, "stream", "uuid", tells="Which lineage of counts: a random number."),
        Disclosure(
            event, "seq", "number", tells="The number of the window in it; 0 in what is not sent."
        ),
        Disclosure(event, "window_start", "boundary", tells="Which interval was counted."),
        Disclosure(event, "window_end", "boundary", tells="Which interval was counted."),
    )


def _report(ruleset: RuleSet) -> Iterator[Disclosure]:
    for name, tells in _NUMBERS.items():
        # While something is withheld, the number of lines that were matched would tell it.
        is_optional = name == "lines_matched"
        yield Disclosure(REPORT, name, "number", tells=tells, is_optional=is_optional)
    for name in ("commands_observable", "events_observable"):
        yield _optional(REPORT, name, "words", (False, True), "Whether it logs at debug.")
    versions = (*releases(ruleset), SEVERAL)
    yield _optional(REPORT, "botkube_version", "words", versions, "Which BotKube runs.")
    for bot in ruleset.bots:
        name = f"{snake(bot)}_enabled"
        yield _optional(REPORT, name, "words", (False, True), f"Whether {bot} is used.")
    for sink in ruleset.sinks:
        tells = f"That {sink} is used."
        yield _optional(REPORT, f"{snake(sink)}_enabled", "true", (), tells)
    for reason in GAP_REASONS:
        tells = "For how long lines could not be had."
        yield _optional(REPORT, f"gap_seconds_{reason}", "minutes", (), tells)
    for event in sorted(map(snake, event_names(ruleset))):
        yield Disclosure(REPORT, f"{event}_delta", "sum", tells="Follows from the counts.")
        yield Disclosure(REPORT, f"{event}_total", "total", tells="Follows from the counts.")
        tells = "That something of it is new and held back for now, or not counted: disabled."
        yield _optional(REPORT, f"{event}_withheld", "true", (), tells)
    yield from _known(ruleset, REPORT)
    yield _version(REPORT)
    yield Disclosure(
        REPORT, "rules_digest", "digest", tells="Which rules count: yours differ from the shipped."
    )
    yield _optional(REPORT, "rules_changed", "true", (), "That the rules were changed.")
    yield _optional(REPORT, "events_discarded", "count", (), "That events were left out.")
    yield from _window(REPORT)


_NUMBERS = {
    "lines_read": "How much BotKube logs.",
    "lines_matched": "How much of it is counted.",
    "late_lines": "How much was read after its window.",
    "rotations_crossed": "How often a log file was seen rotated.",
}


def _traits(ruleset: RuleSet) -> Iterator[Disclosure]:
    yield from _known(ruleset, IDENTIFY)
    yield _version(IDENTIFY)
    yield from _known(ruleset, GROUP)


def _known(ruleset: RuleSet, event: str) -> Iterator[Disclosure]:
    """Return what could be read of the cluster; an absent trait is a right that is missing."""
    words = (*_words(ruleset, "distributions"), OTHER)
    yield _optional(event, "kubernetes_minor", "minor", (), "Which Kubernetes runs.")
    yield _optional(event, "distribution", "words", words, "Who made that Kubernetes.")


def _version(event: str) -> Disclosure:
    return Disclosure(event, "agent_version", "version", tells="Which version of this agent runs.")


def sort_words(values: Iterable[Value]) -> tuple[Value, ...]:
    """Sort values, those that stand for all others last."""
    return tuple(sorted(values, key=lambda one: (str(one).startswith(OTHER), str(one))))


@frozen(order=True)
class New:
    """What an older plan does not have: a property, or some values of one that it has."""

    event: str
    name: str
    what: str
    values: tuple[str, ...] = ()


def newly_disclosed(old: Iterable[Disclosure], new: Iterable[Disclosure]) -> tuple[New, ...]:
    """Return what could be sent under the new plan and could not under the old."""
    before = {(one.event, one.name): one for one in old}
    found = []
    for one in new:
        known = before.get((one.event, one.name))
        if known is None:
            found.append(New(one.event, one.name, "a new property", texts(one.values)))
            continue
        more = texts(value for value in one.values if not _has(known, value))
        if known.shape != one.shape and not _is_within(one, known):
            found.append(New(one.event, one.name, f"{known.shape} before, now {one.shape}", more))
        elif more:
            found.append(New(one.event, one.name, "new values", more))
        if one.is_optional and not known.is_optional:
            found.append(New(one.event, one.name, "may be absent now"))
    return tuple(found)


def _is_within(one: Disclosure, known: Disclosure) -> bool:
    """Whether all that a property can be now was possible before, though in another shape."""
    return one.shape == "true" and _has(known, True)  # noqa: FBT003 the value that it is


def _has(known: Disclosure, value: Value) -> bool:
    return any(type(one) is type(value) and one == value for one in known.values)


def texts(values: Iterable[Value]) -> tuple[str, ...]:
    """Return values as they stand in JSON, words without quotes."""
    return tuple(str(one).lower() if isinstance(one, bool) else str(one) for one in values)
