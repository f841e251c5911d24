"""Match -> Observation: the one privacy door.

Every value that leaves this file is a constant of a rule, a word of a vocabulary, a boolean or a
bucket bound; `rules.values_of` lists them all. Captures end here. Nothing downstream accepts
anything but `Observation` and `Fact`. Read this file to know what can leave.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.model import Fact, Observation, Properties, Value
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
from agent.rules.words import named_groups

if TYPE_CHECKING:
    from collections.abc import Mapping, Set

    from agent.match import Match
    from agent.rules.ruleset import Rule


def anonymize(match: Match, enabled: Set[str]) -> tuple[Observation, ...]:
    """Return what a match says in closed words: nothing where a rule says `skip`.

    `enabled` are the platforms that the container instance is known to have enabled. A rule with
    `each` says one thing for each fault that its entry names; one with `once` nothing of a
    platform that is known already.
    """
    rule = match.rule
    if rule.event is None:
        return ()
    found: dict[Value, Observation] = {}
    for captures in parts(rule, match.captures):
        properties = evaluate(rule.properties, captures, enabled)
        if properties is None or (rule.once and properties.get("platform") in enabled):
            continue
        key = properties[rule.each.once_per] if rule.each else ""
        found.setdefault(key, Observation(rule.event, freeze(properties), match.at_ns))
    return tuple(found.values())


def parts(rule: Rule, captures: Mapping[str, bytes]) -> list[Mapping[str, bytes]]:
    """Return the captures of each fault that an entry names; without `each` it is one."""
    if rule.each is None:
        return [captures]
    text = captures.get(rule.each.capture, b"")
    found: list[Mapping[str, bytes]] = [
        {**captures, **named_groups(one)} for one in rule.each.pattern.finditer(text)
    ]
    return [
        part
        for part in found or [captures]
        if not any(find(part.get(name, b"")) is not None for name, find in rule.unless.items())
    ]


def state_facts(match: Match, enabled: Set[str]) -> tuple[Fact, ...]:
    """Return what a match says about its container instance from here on."""
    rule = match.rule
    facts = []
    if rule.fact is not None:
        name, source = rule.fact
        value = _value(source, match.captures, enabled)
        if value is not None:
            facts.append(Fact(name, str(value)))
    if rule.enables:
        platform = str(_value(rule.properties["platform"], match.captures, enabled))
        if platform in rule.enables:
            facts.append(Fact(f"enabled_{rule.enables[platform]}", platform))
    return tuple(facts)


def evaluate(
    sources: Mapping[str, Source], captures: Mapping[str, bytes], enabled: Set[str]
) -> dict[str, Value] | None:
    """Return the values of the properties, or None if one of them says `skip`."""
    values: dict[str, Value] = {}
    for name, source in sources.items():
        value = _value(source, captures, enabled)
        if value is None:
            return None
        values[name] = value
    return values


def freeze(values: Mapping[str, Value]) -> Properties:
    """Sort properties by name, so that equal properties are equal keys."""
    return tuple(sorted(values.items()))


def _value(source: Source, captures: Mapping[str, bytes], enabled: Set[str]) -> Value | None:
    match source:
        case Constant():
            return source.value
        case Captured():
            text = captures.get(source.capture)
            word = source.vocabulary.word(text) if text is not None else None
            return word if word is not None else _value(source.otherwise, captures, enabled)
        case Present():
            return source.capture in captures
        case Bucketed():
            return _bucket(captures.get(source.capture, b""), source.bounds)
        case OnlyEnabled():
            known = [word for word in source.words if word in enabled]
            return known[0] if len(known) == 1 else _value(source.otherwise, captures, enabled)
        case Joined():
            parts = [_value(part, captures, enabled) for part in source.parts]
            return None if None in parts else " ".join(str(part) for part in parts if part != "")
        case Skip():
            return None


def _bucket(text: bytes, bounds: tuple[int, ...]) -> int:
    number = int(text) if text.isdigit() and len(text) < 18 else 0  # noqa: PLR2004 fits 64 bits
    return max((bound for bound in bounds if bound <= number), default=0)
