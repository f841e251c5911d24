"""Pairs: the part of a rule that waits for another entry.

Owns the keys of `pair` and of its closers. Whether the rules that a closer names exist, and have
the captures that it reads, is looked at in `checks`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.rules.places import Mapping, Node, Reader, Scalar
from agent.rules.ruleset import MAX_SECONDS, Closer, Pair, Skip
from agent.rules.shared import entries
from agent.rules.sources import Sources, check_values

if TYPE_CHECKING:
    from collections.abc import Collection
    from collections.abc import Set as AbstractSet

    from agent.rules.places import Place
    from agent.rules.shared import Shared

THEN = ("count", "ignore", "wait", "pass", "next")
CHOICES = ("oldest", "newest")


def read_pair(node: Mapping, event: str | None, captures: AbstractSet[str], shared: Shared) -> Pair:
    """Read a rule's `pair`; `captures` are the rule's own, which may join."""
    problems = shared.problems
    reader = Reader(node, "pair", problems)
    key = reader.placed_texts("key")
    for place, name in key:
        if name not in captures:
            problems.unknown("capture or field", name, place, captures)
    closers = [_read_closer(item, event, shared) for item in reader.items("closers")]
    made = Pair(
        lines=reader.number("lines", 1000, 1, 100_000),
        seconds=reader.number("seconds", 30, 1, MAX_SECONDS),
        key=tuple(name for _, name in key),
        result=reader.word("result", ("count", "ignore"), "count" if event else "ignore"),
        closers=tuple(closer for closer in closers if closer is not None),
        also=_read_names(reader, "also", shared),
    )
    for name, capture in made.also.items():
        _check_name(name, made.key, "name of the key", reader.place("also"), shared)
        _check_name(capture, captures, "capture or field", reader.place("also"), shared)
    for closer in made.closers:
        if made.seconds < closer.within != MAX_SECONDS:
            problems.add(
                "pair",
                closer.places["by"],
                f"it may act for {closer.within} seconds, but the pair waits for {made.seconds}",
                "lower `within`, or raise the pair's `seconds`",
            )
        for name in {*closer.join, *closer.prefer, *closer.also}:
            _check_name(name, made.key, "name of the key", closer.places["by"], shared)
    reader.done(("lines", "seconds", "key", "result", "closers", "also"))
    if made.result == "count" and event is None:
        place = reader.place("result")
        problems.add("pair", place, "`result: count` needs an `event`", "add `event:`")
    if not made.closers:
        problems.add("pair", node.place, "a pair needs a closer", "add `closers:`")
    return made


def _read_names(reader: Reader, key: str, shared: Shared) -> dict[str, str]:
    """Read a mapping of names of the opener's key to captures."""
    names = {}
    for name, node in entries(reader.mapping(key)):
        if isinstance(node, Scalar) and isinstance(node.value, str):
            names[name] = node.value
        else:
            shared.problems.add("type", node.place, f"{key!r} names captures", "write a name")
    return names


def _check_name(name: str, known: Collection[str], what: str, place: Place, shared: Shared) -> None:
    if name not in known:
        shared.problems.unknown(what, name, place, known)


def _read_closer(node: Node, event: str | None, shared: Shared) -> Closer | None:
    problems = shared.problems
    if not isinstance(node, Mapping):
        problems.add("type", node.place, "a closer is a mapping", "begin with `by: rule-id`")
        return None
    reader = Reader(node, "a closer", problems)
    name = shared.event_named(reader)
    sources = Sources(shared.vocabularies, None, problems)
    mapping = reader.mapping("properties")
    properties = {key: shared.noted(sources.read(value, key)) for key, value in entries(mapping)}
    target = name or event
    if target is not None and mapping is not None:
        check_values(shared.events[target], properties, mapping.keys, problems)
    by = reader.placed_texts("by")
    closer = Closer(
        rules=tuple(rule for _, rule in by),
        then=reader.word("then", THEN, "count"),
        event=name,
        properties={key: one for key, one in properties.items() if not isinstance(one, Skip)},
        passes=reader.texts("passes") or ("result",),
        choose=reader.word("choose", CHOICES, CHOICES[0]),
        join=_read_names(reader, "join", shared),
        prefer=_read_names(reader, "prefer", shared),
        also=_read_names(reader, "also", shared),
        once_per=reader.texts("once_per"),
        within=reader.number("within", MAX_SECONDS, 1, MAX_SECONDS),
        places={
            "by": node.place,
            **(mapping.keys if mapping else {}),
            **{rule: place for place, rule in by},
        },
    )
    if closer.then != "wait" and (closer.also or closer.once_per):
        problems.add("pair", node.place, "`also` and `once_per` need `then: wait`")
    if not closer.rules:
        problems.add("missing-key", node.place, "a closer has no 'by'", "add `by: rule-id`")
    reader.done(
        (
            *("by", "then", "event", "properties", "passes"),
            *("choose", "join", "prefer", "also", "once_per", "within"),
        )
    )
    return closer
