"""What can only be seen with all rules of a set at hand.

Owns ids and overrides, names that closers use, rules that another one hides, and whatever is
declared but used by nobody.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.model import Value
from agent.rules.places import nearest_name
from agent.rules.sources import captures_of, values_of
from agent.rules.values import MAX_SHOWN, is_declared
from agent.rules.versions import VERSIONS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from agent.rules.places import Place, Problems
    from agent.rules.ruleset import Closer, Event, Rule, Source
    from agent.rules.shared import Shared


def check_closers(
    rules: Mapping[str, Rule],
    known: Iterable[str],
    shipped: AbstractSet[str],
    problems: Problems,
) -> None:
    """Note closers that name no rule, or a capture that those rules do not have."""
    names = set(known)
    for rule in rules.values():
        for closer in rule.pair.closers if rule.pair else ():
            for name in closer.rules:
                if name not in names:
                    problems.unknown("rule", name, closer.places[name], names)
            present = [rules[name] for name in closer.rules if name in rules]
            for one in present:
                place = closer.places[one.id]
                blamed = _blame(place, [one], shipped)
                place = blamed.places.get("versions", blamed.place) if blamed else place
                _check_versions(rule, one, place, problems)
            if present:
                _check_closer(closer, present, shipped, problems)


def _check_versions(opener: Rule, closer: Rule, place: Place, problems: Problems) -> None:
    """Note a closer that no version of BotKube writes which also writes its opener."""
    (first, last), (begin, end) = opener.versions, closer.versions
    if VERSIONS.index(end) < VERSIONS.index(first) or VERSIONS.index(last) < VERSIONS.index(begin):
        problems.add(
            "impossible",
            place,
            f"{closer.id!r} is of {begin} to {end}, and {opener.id!r} of {first} to {last}: "
            "no log has both",
            "change the `versions` of one of them, or part them",
        )


def check_facts(rules: Iterable[Rule], stating: Iterable[Rule], problems: Problems) -> None:
    """Note a `when` that never holds, as nobody states its fact."""
    stated = {rule.fact[0] for rule in stating if rule.fact}
    for rule in rules:
        for name, values in rule.when.items():
            place = rule.places["when"]
            if name in stated or "unknown" in values:
                continue
            if problems.names(name, place, problems.faulty - problems.shared):
                continue
            problems.add(
                "impossible",
                place,
                f"no rule states the fact {name!r}, so {rule.id!r} never takes a line",
                f"state it in a rule by `fact: {{name: {name}}}`, or remove it here",
            )


def check_keys(
    rules: Mapping[str, Rule], shipped: AbstractSet[str], problems: Problems
) -> set[str]:
    """Note names of a pair's key that no closer has: they are never compared.

    Returns the captures that were probably meant.
    """
    meant: set[str] = set()
    for rule in rules.values():
        closers = rule.pair.closers if rule.pair else ()
        names = {name for closer in closers for name in closer.rules}
        if rule.pair is None or not names or not names <= rules.keys():
            continue  # another rule was meant, or is gone
        present = [rules[name] for name in sorted(names)]
        have = frozenset[str]().union(*(one.captures for one in present))
        joined = {name for one in closers for name in (*one.join, *one.prefer, *one.also)}
        blamed = _blame(rule.place, present, shipped)
        for name in sorted({*rule.pair.key} - have - joined):
            place = rule.pair.places[name]
            if problems.names(name, place, [one.place.path for one in present]):
                continue
            near = nearest_name(name, have)
            meant |= {near} if near is not None else set()
            problems.add(
                "unused-key",
                blamed.place if blamed is not None else place,
                f"no closer of {rule.id!r} has {name!r}, so it is never compared",
                f"a closer has {near!r}: call both the same"
                if near is not None
                else "capture it in a closer's rule, name that capture under `join`, or remove it",
            )
    return meant


def _check_closer(
    closer: Closer, present: Sequence[Rule], shipped: AbstractSet[str], problems: Problems
) -> None:
    have = frozenset[str]().union(*(one.captures for one in present))
    wanted = dict.fromkeys(_joined_by(closer) - have, closer.places["by"])
    for key, source in closer.properties.items():
        wanted.update(dict.fromkeys(captures_of(source) - have, closer.places[key]))
    theirs = [one.place.path for one in present]
    blamed = _blame(closer.places["by"], present, shipped)
    for name, place in sorted(wanted.items()):
        if problems.names(name, place, theirs):
            continue
        at = closer.places.get(f"capture {name}", place)
        if blamed is not None:
            problems.add(
                "unknown-name",
                blamed.place,
                f"this {blamed.id!r} has no capture {name!r}, which a pair reads in {place}",
                "capture it, as the rule that it replaces does",
            )
        else:
            what = f"capture of {' or '.join(closer.rules)}"
            problems.unknown(what, name, at, have)
    if closer.then in {"next", "pass"} and all(one.pair is None for one in present):
        listed = ", ".join(closer.rules)
        place = closer.places[closer.rules[0]]
        if blamed is not None:
            problems.add(
                "pair",
                blamed.place,
                f"this {blamed.id!r} has no `pair`, which `then: {closer.then}` needs in {place}",
                "give it one, as the rule that it replaces does",
            )
        else:
            problems.add(
                "pair",
                place,
                f"`then: {closer.then}` needs a closer that opens a pair of its own",
                f"none of {listed} has a `pair`",
            )


def _blame(place: Place, present: Sequence[Rule], shipped: AbstractSet[str]) -> Rule | None:
    """Return the user's rule that stands where a shipped closer expects another one."""
    if place.path not in shipped:
        return None
    return next((one for one in present if one.place.path not in shipped), None)


def check_taken_out(
    rules: Mapping[str, Rule],
    gone: Mapping[str, Place],
    shipped: AbstractSet[str],
    problems: Problems,
) -> None:
    """Note rules taken out that a user's own pair names, or needs for its event to count at all."""
    for name, place in gone.items():
        idle = sorted(one.id for one in rules.values() if _needs(one, name, gone))
        own = [one for one in rules.values() if one.place.path not in shipped]
        for closer in (closer for one in own if one.pair for closer in one.pair.closers):
            if name in closer.rules and not idle:
                problems.add(
                    "pair",
                    closer.places[name],
                    f"{name!r} is taken out, so it never ends this pair",
                    f"remove it here, or what takes it out: {place}",
                )
        if idle:
            several = ", ".join(idle)
            problems.add(
                "pair",
                place,
                f"without {name!r} the events of {several} can never count: they wait for it",
                f"take out {several}, too, or replace {'them' if idle[1:] else 'it'} "
                "by `override: true`",
            )


def _needs(rule: Rule, name: str, gone: Mapping[str, Place]) -> bool:
    """Whether a rule's event counts by nothing but closers that are gone, this one among them."""
    if rule.event is None or rule.pair is None or rule.pair.result == "count":
        return False
    counting = {
        one
        for closer in rule.pair.closers
        if closer.then != "ignore" and closer.event in {None, rule.event}
        for one in closer.rules
    }
    return name in counting and counting <= gone.keys()


def check_passes(
    rules: Mapping[str, Rule], events: Mapping[str, Event], problems: Problems
) -> None:
    """Note properties that a pair passes on to a rule whose event does not declare them."""
    for rule in rules.values():
        closers = rule.pair.closers if rule.pair else ()
        for closer in closers:
            # One without a pair counts on its own, and takes nothing over.
            nexts = [rules[name] for name in closer.rules if name in rules and rules[name].pair]
            for name in closer.passes if closer.then == "pass" else ():
                given = [one[name] for one in _given(rule) if name in one]
                values = frozenset[Value]().union(*map(values_of, given))
                for one in nexts:
                    _check_passed(name, values, one, events, closer.places["passes"], problems)


def _given(rule: Rule) -> list[Mapping[str, Source]]:
    closers = rule.pair.closers if rule.pair else ()
    return [rule.properties, *(one.properties for one in closers)]


def _check_passed(
    name: str,
    values: frozenset[Value],
    rule: Rule,
    events: Mapping[str, Event],
    place: Place,
    problems: Problems,
) -> None:
    properties = events[rule.event].properties if rule.event else {name: values}
    declared = properties.get(name, frozenset())
    if name in properties and not declared:
        return
    wrong = sorted(str(one) for one in values if not is_declared(one, declared))
    if wrong:
        problems.add(
            "value",
            place,
            f"{name!r} of {rule.event!r}, to which {rule.id!r} takes it over, does not declare "
            f"{', '.join(map(repr, wrong[:MAX_SHOWN]))}",
            "name in `passes` what that event has, or declare it",
        )


def check_captures(
    rules: Mapping[str, Rule],
    openers: Iterable[Rule],
    written: Mapping[str, Mapping[str, Place]],
    meant: AbstractSet[str],
    problems: Problems,
) -> None:
    """Note captures that nobody reads: a mistake, or they should not be captured.

    Those that were `meant` by another name are told there. Rules that a user has taken out are
    among the `openers`: what they read is no mistake.
    """
    used = {name: _own_uses(rule) for name, rule in rules.items()}
    faulty = problems.faulty
    waiting = list(openers)
    ids = {rule.id for rule in waiting}
    for rule in waiting:
        for closer in rule.pair.closers if rule.pair else ():
            wanted = frozenset(rule.pair.key if rule.pair else ()).union(
                _joined_by(closer), *map(captures_of, closer.properties.values())
            )
            # Which rule was meant where none or another is named cannot be told: any.
            is_lost = not closer.rules or not ids.issuperset(closer.rules)
            for name in used if is_lost else closer.rules:
                if name in used:
                    used[name] |= wanted
    for name, places in written.items():
        own = rules[name].place
        unused = sorted(places.keys() - used.get(name, places.keys()) - meant)
        if unused and problems.names(name, own, faulty - {own.path}):
            continue  # one of those may be a pair that reads them
        for capture in unused:
            if problems.names(capture, own, faulty & {own.path}):
                continue
            is_field = capture in rules[name].optional_fields
            problems.add(
                "unused-capture",
                places[capture],
                f"nothing uses the {'field' if is_field else 'capture'} {capture!r}",
                "remove it, or use it" if is_field else "write (?:...) instead, or use it",
            )


def _joined_by(closer: Closer) -> set[str]:
    """Return the captures of a closer's own that say which opener it acts on."""
    return {
        *closer.join.values(),
        *closer.prefer.values(),
        *closer.also.values(),
        *closer.once_per,
    }


def _own_uses(rule: Rule) -> set[str]:
    sources = [*rule.properties.values(), *([rule.fact[1]] if rule.fact else [])]
    used = set[str]().union(*map(captures_of, sources))
    used |= rule.unless.keys()
    if rule.pair:
        used |= {*rule.pair.key, *rule.pair.also.values()}
    if rule.each:
        used.add(rule.each.capture)
    return used


_HIDING = frozenset(
    {"duplicate-key", "free-text", "missing-key", "missing-property", "source", "type", "yaml"}
)
"""Faults where a name is left out or cannot be read."""


def check_shared(shared: Shared, problems: Problems) -> None:
    """Note what is declared and named by no rule."""
    told = {one.place for one in problems.found}
    is_hidden = problems.unread or not _HIDING.isdisjoint(one.code for one in problems.found)
    faulty = problems.faulty
    for (kind, name), place in shared.places.items():
        if place not in told and kind in _KINDS and (kind, name) not in shared.used:
            what = _KINDS[kind]
            if is_hidden or what in problems.unnamed or problems.names(name, place, faulty):
                continue  # it may be meant there
            where = shared.listed_in.get(name) if kind == "vocabularies" else None
            problems.add(
                f"unused-{what}",
                place,
                f"no rule uses the {what} {name!r}",
                f"use it in a rule's property, or remove it here and from {where}"
                if where
                else "use it or remove it",
            )


_KINDS = {
    "vocabularies": "vocabulary",
    "fragments": "fragment",
    "events": "event",
    "facts": "fact",
}


def check_reachable(rules: Sequence[Rule], problems: Problems) -> None:
    """Note rules behind one that takes every entry that they would take."""
    faulty = problems.faulty
    sound = [rule for rule in rules if rule.place.path not in faulty]
    for index, rule in enumerate(sound):
        for earlier in sound[:index]:
            if earlier.pattern == rule.pattern and _covers(earlier, rule):
                problems.add(
                    "unreachable",
                    rule.place,
                    f"rule {earlier.id!r} takes every entry that {rule.id!r} would take",
                    f"raise `priority`, or narrow the rule in {earlier.place}",
                )
                break


def _covers(earlier: Rule, later: Rule) -> bool:
    return (
        earlier.counts == later.counts
        and earlier.formats >= later.formats
        and (not earlier.levels or (bool(later.levels) and earlier.levels >= later.levels))
        and earlier.plugin in {None, later.plugin}
        and not earlier.unless
        and set(earlier.absent_fields) <= set(later.absent_fields)
        and all(
            name in later.fields and later.fields[name].pattern == pattern.pattern
            for name, pattern in earlier.fields.items()
        )
        and all(
            name in later.when and values >= later.when[name]
            for name, values in earlier.when.items()
        )
    )
