"""Pairs: the part of a rule that waits for another entry.

Owns the keys of `pair` and of its closers, and whether what comes out of a pair is a whole event.
Whether the rules that a closer names exist, and have the captures that it reads, is looked at in
`checks`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.rules.keys import Reader, entries, fix_text, gathered, said
from agent.rules.nodes import Items, Mapping, Node, Scalar
from agent.rules.places import listed
from agent.rules.ruleset import MAX_SECONDS, SKIP, Closer, Pair
from agent.rules.sources import Sources
from agent.rules.values import check_values, write_value, written_values

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence
    from collections.abc import Set as AbstractSet

    from agent.rules.places import Place
    from agent.rules.ruleset import Rule, Source
    from agent.rules.shared import Shared

THEN = ("count", "ignore", "wait", "pass", "next", "suspect")
CHOICES = ("oldest", "newest")
PAIR_KEYS = ("lines", "seconds", "key", "result", "closers", "also")
CLOSER_KEYS = (
    "by", "then", "event", "properties", "passes", "choose", "join", "prefer", "also", "once_per",
    "within", "hold",
)  # fmt: skip
CARRIED = frozenset({"platform"})
"""What an opener's event hands on to another event that a closer makes of it."""


def read_pair(
    node: Mapping,
    event: str | None,
    captures: AbstractSet[str] | None,
    properties: Collection[str],
    shared: Shared,
) -> Pair:
    """Read a rule's `pair`; `captures` are the rule's own, which may join, or None if unknown."""
    problems = shared.problems
    reader = Reader(node, "pair", problems, PAIR_KEYS)
    key = {
        _meant(name, captures, "capture or field", place, shared): place
        for place, name in reader.placed_texts("key")
    }
    closers = [_read_closer(item, event, shared) for item in reader.items("closers")]
    made = Pair(
        lines=reader.number("lines", 1000, 1, 100_000),
        seconds=reader.number("seconds", 30, 1, MAX_SECONDS),
        key=tuple(key),
        result=reader.word("result", ("count", "ignore"), "count" if event else "ignore"),
        closers=tuple(closer for closer in closers if closer is not None),
        also=_read_names(reader, "also", shared),
        places=key,
    )
    for name, capture in made.also.items():
        _meant(name, made.key, "name of the key", reader.place("also"), shared)
        _meant(capture, captures, "capture or field", reader.place("also"), shared)
    _tell_unreachable(made.closers, shared)
    passed = {*properties, *(name for one in made.closers for name in one.properties), "result"}
    for closer in made.closers:
        if made.seconds < closer.within != MAX_SECONDS:
            problems.add(
                "pair",
                closer.places["by"],
                f"it may act for {closer.within} seconds, but the pair waits for {made.seconds}",
                "lower `within`, or raise the pair's `seconds`",
            )
        for name in sorted({*closer.join, *closer.prefer, *closer.also}):
            _meant(name, made.key, "name of the key", closer.places["by"], shared)
        for name in closer.passes:
            _meant(name, passed, "property of the pair", closer.places["passes"], shared)
    if made.result == "count" and event is None and not reader.has("event"):
        place = reader.place("result")
        problems.add("pair", place, "`result: count` needs an `event`", "add `event:`")
    items = reader.take("closers")
    if items is None or (isinstance(items, Items) and not items.items):
        problems.add("pair", node.place, "a pair needs a closer", "add `closers: [{by: rule-id}]`")
    return made


def _tell_unreachable(closers: Sequence[Closer], shared: Shared) -> None:
    """Note a rule of a closer for which an earlier closer of the same rule always acts."""
    for index, closer in enumerate(closers):
        for earlier in closers[:index]:
            if (
                earlier.then in {"wait", "suspect"}
                or earlier.within < closer.within
                or earlier.join != closer.join
            ):
                continue
            for name in dict.fromkeys(one for one in closer.rules if one in earlier.rules):
                shared.problems.add(
                    "unreachable",
                    closer.places[name],
                    f"an earlier closer acts on every entry of {name!r}",
                    "remove one of the two, or give the earlier one a shorter `within`",
                )


def check_complete(rule: Rule, reader: Reader, shared: Shared) -> None:
    """Note what a rule, or one of its closers, would count without a property that it needs."""
    own = set(rule.properties)
    if reader.has("properties") and not isinstance(reader.take("properties"), Mapping):
        return
    if rule.event is not None and (rule.pair is None or rule.pair.result == "count"):
        missing = shared.events[rule.event].required - own
        _tell_missing(rule.event, missing, reader.place("properties"), shared)
        own |= missing
    closers = rule.pair.closers if rule.pair is not None else ()
    is_used = rule.event or rule.enables or any(one.event or one.then == "pass" for one in closers)
    if own and not is_used and not reader.has("event"):
        shared.problems.add(
            "missing-key",
            reader.place("properties"),
            f"rule {rule.id!r} has properties and no event to which they belong",
            "add `event:`, or remove `properties:`",
        )
    for closer in closers:
        if closer.then == "wait":
            own |= closer.properties.keys() if closer.event in {None, rule.event} else set()
    for closer in closers:
        target = closer.event or rule.event
        is_same = target == rule.event
        if (
            target is None
            or closer.then in {"ignore", "pass"}
            or (is_same and closer.then == "wait")
        ):
            continue
        have = closer.properties.keys() | (own if is_same else own & CARRIED)
        missing = shared.events[target].required - have
        place = closer.places.get("properties", closer.places["by"])
        _tell_missing(target, missing, place, shared)


def _tell_missing(event: str, missing: AbstractSet[str], place: Place, shared: Shared) -> None:
    if not missing:
        return
    declared = shared.events[event].properties
    fix = "write `unknown`, or another declared value, where a line does not tell"
    # Of one at fault no value is known.
    known = {name: declared[name] for name in sorted(missing) if declared[name]}
    if not all("unknown" in values for values in known.values()):
        words = {name: sorted(map(write_value, values)) for name, values in known.items()}
        each = "; ".join(f"`{name}`, {listed(values)}" for name, values in words.items())
        fix = f"write a declared value of {each}"
    needed = ", ".join(sorted(missing))
    shared.problems.add("missing-property", place, f"{event!r} needs {needed}", fix)


def _read_names(reader: Reader, key: str, shared: Shared) -> dict[str, str]:
    """Read a mapping of names of the opener's key to captures."""
    names = {}
    for name, node in entries(reader.mapping(key)):
        if isinstance(node, Scalar) and isinstance(node.value, str):
            names[name] = node.value
        else:
            shared.problems.add("type", node.place, f"{key!r} names captures", fix_text(node))
    return names


def _meant(
    name: str, known: Collection[str] | None, what: str, place: Place, shared: Shared
) -> str:
    """Return a name, or the one that was probably meant; `known` None means any."""
    if known is None or name in known:
        return name
    return shared.problems.unknown(what, name, place, known) or name


def _read_closer(node: Node, event: str | None, shared: Shared) -> Closer | None:
    problems = shared.problems
    if not isinstance(node, Mapping):
        problems.add("type", node.place, "a closer is a mapping", "begin with `by: rule-id`")
        return None
    counted = shared.events.get(said(node.entries.get("event")) or event or "")
    if counted is not None:
        node = gathered(node, CLOSER_KEYS, counted.properties, problems)
    reader = Reader(node, "a closer", problems, CLOSER_KEYS)
    name = shared.event_named(reader)
    properties = _read_properties(reader, name or event, shared)
    by = reader.placed_texts("by")
    seen: set[str] = set()
    for place, rule in by:
        if rule in seen:
            problems.add("duplicate", place, f"{rule!r} stands twice", "remove one of them")
        seen.add(rule)
    mapping = reader.mapping("properties")
    closer = Closer(
        rules=tuple(rule for _, rule in by),
        then=reader.word("then", THEN, "count"),
        event=name,
        properties=properties,
        passes=reader.texts("passes") or ("result",),
        choose=reader.word("choose", CHOICES, CHOICES[0]),
        join=_read_names(reader, "join", shared),
        prefer=_read_names(reader, "prefer", shared),
        also=_read_names(reader, "also", shared),
        once_per=reader.texts("once_per"),
        within=reader.number("within", MAX_SECONDS, 1, MAX_SECONDS),
        hold=reader.number("hold", 0, 1, MAX_SECONDS),
        places={
            **{f"capture {name}": place for name, place in _written_captures(node)},
            "by": node.place,
            "passes": reader.place("passes"),
            **({"properties": mapping.place} if mapping else {}),
            **(mapping.keys if mapping else {}),
            **{rule: place for place, rule in by},
        },
    )
    if closer.then != "wait" and (closer.also or closer.once_per):
        problems.add(
            "pair", node.place, "`also` and `once_per` need `then: wait`", "remove them, or wait"
        )
    if closer.then != "count" and closer.hold:
        problems.add(
            "pair", reader.place("hold"), "`hold` needs `then: count`", "remove it, or count"
        )
    if closer.then == "suspect" and not reader.has("event"):
        problems.add(
            "pair",
            reader.place("then"),
            "`then: suspect` needs an `event`",
            "add the `event:` that it becomes, or `then: wait`",
        )
    if closer.then != "pass" and reader.has("passes"):
        problems.add("pair", node.place, "`passes` needs `then: pass`", "remove it, or pass")
    if not reader.has("by"):
        problems.add("missing-key", node.place, "a closer has no 'by'", "add `by: rule-id`")
    return closer


def _written_captures(node: Node) -> Iterator[tuple[str, Place]]:
    """Yield each text in a closer that may be a capture, and where it stands."""
    match node:
        case Scalar():
            yield node.text, node.place
        case Items():
            for item in node.items:
                yield from _written_captures(item)
        case Mapping():
            for value in node.entries.values():
                yield from _written_captures(value)


def _read_properties(reader: Reader, event: str | None, shared: Shared) -> dict[str, Source]:
    mapping = reader.mapping("properties")
    sources = Sources(shared.vocabularies, None, shared.problems)
    found = {key: shared.noted(sources.read(value, key)) for key, value in entries(mapping)}
    if mapping is None:
        return found
    if event is not None:
        check_values(shared.events[event], found, mapping, shared.problems)
    for value in written_values(mapping):
        if value.value == SKIP:
            shared.problems.add(
                "pair",
                value.place,
                "a closer cannot leave an entry out with `skip`",
                "write a declared value, or `then: ignore`",
            )
    return found
