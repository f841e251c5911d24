"""What can only be seen with all rules of a set at hand.

Owns ids and overrides, names that closers use, rules that another one hides, and whatever is
declared but used by nobody.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.rules.sources import captures_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from agent.rules.places import Place, Problems
    from agent.rules.ruleset import Closer, Rule
    from agent.rules.shared import Shared


def check_closers(rules: Mapping[str, Rule], known: Iterable[str], problems: Problems) -> None:
    """Note closers that name no rule, or a capture that those rules do not have."""
    names = set(known)
    for rule in rules.values():
        for closer in rule.pair.closers if rule.pair else ():
            for name in closer.rules:
                if name not in names:
                    problems.unknown("rule", name, closer.places[name], names)
            present = [rules[name] for name in closer.rules if name in rules]
            have = frozenset[str]().union(*(one.captures for one in present))
            for name in sorted(_joined_by(closer) - have):
                if present:
                    what = f"capture of {' or '.join(closer.rules)}"
                    problems.unknown(what, name, closer.places["by"], have)
            for key, source in closer.properties.items():
                for name in sorted(captures_of(source) - have):
                    if present:
                        what = f"capture of {' or '.join(closer.rules)}"
                        problems.unknown(what, name, closer.places[key], have)
            if (
                present
                and closer.then in {"next", "pass"}
                and all(one.pair is None for one in present)
            ):
                problems.add(
                    "pair",
                    closer.places[closer.rules[0]],
                    f"`then: {closer.then}` needs a closer that opens a pair of its own",
                    f"none of {', '.join(closer.rules)} has a `pair`",
                )


def check_captures(
    rules: Mapping[str, Rule],
    openers: Iterable[Rule],
    written: Mapping[str, Mapping[str, Place]],
    problems: Problems,
) -> None:
    """Note captures that nobody reads: a mistake, or they should not be captured.

    Rules that a user has taken out are among the `openers`: what they read is no mistake.
    """
    used = {name: _own_uses(rule) for name, rule in rules.items()}
    for rule in openers:
        for closer in rule.pair.closers if rule.pair else ():
            wanted = frozenset(rule.pair.key if rule.pair else ()).union(
                _joined_by(closer), *map(captures_of, closer.properties.values())
            )
            for name in closer.rules:
                if name in used:
                    used[name] |= wanted
    for name, places in written.items():
        for capture in sorted(places.keys() - used.get(name, places.keys())):
            problems.add(
                "unused-capture",
                places[capture],
                f"nothing uses the capture {capture!r}",
                "write (?:...) instead, or use it",
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


def check_shared(shared: Shared, problems: Problems) -> None:
    """Note vocabularies and fragments that no rule names."""
    for (kind, name), place in shared.places.items():
        if kind in {"vocabularies", "fragments"} and (kind, name) not in shared.used:
            what = "vocabulary" if kind == "vocabularies" else "fragment"
            problems.add(
                f"unused-{what}", place, f"no rule uses the {what} {name!r}", "use it or remove it"
            )


def check_reachable(rules: Sequence[Rule], problems: Problems) -> None:
    """Note rules behind one that takes every entry that they would take."""
    for index, rule in enumerate(rules):
        for earlier in rules[:index]:
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
