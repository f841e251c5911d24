"""Examples: the part of a rule that proves it, and the faults that only examples show.

Owns the reading of `hits` and `misses`, and the comparison of what they expect with what a run
gives. The run itself is an argument: this package does not read log lines.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import frozen

from agent.model import CRASHED
from agent.rules.places import Items, Mapping, Node, Problem, Problems, Reader, Scalar
from agent.rules.ruleset import Event, Example

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from collections.abc import Mapping as MappingType

    from agent.model import Observation, Value
    from agent.rules.ruleset import Rule, RuleSet
    from agent.rules.shared import Shared


def read_examples(
    reader: Reader, key: str, event: str | None, shared: Shared
) -> tuple[Example, ...]:
    """Read the examples under a key: texts, or `log` with what it is expected to count."""
    found = []
    for node in reader.items(key):
        if isinstance(node, Scalar) and isinstance(node.value, str) and not event:
            found.append(Example(node.place, node.value, ()))
        elif isinstance(node, Mapping):
            found.append(_read_example(node, event, shared))
        else:
            reader.problems.add(
                "type", node.place, "an example has `log` and `expect`", "write `log: '...'`"
            )
    return tuple(found)


def _read_example(node: Mapping, event: str | None, shared: Shared) -> Example:
    reader = Reader(node, "an example", shared.problems)
    log = reader.text("log")
    expect = reader.take("expect")
    reader.done(("log", "expect"))
    items: Iterable[Node] = (
        expect.items if isinstance(expect, Items) else (expect,) if expect else ()
    )
    expected = []
    for item in items:
        if isinstance(item, Mapping):
            expected.append(_expected(item, event, shared))
        else:
            shared.problems.add(
                "type", item.place, "what is expected is a mapping of properties", "or `[]`"
            )
    return Example(node.place, log, tuple(expected))


def _expected(node: Mapping, event: str | None, shared: Shared) -> tuple[str, dict[str, Value]]:
    reader = Reader(node, "expect", shared.problems)
    name = reader.text("event", event)
    if not name:
        return name, {}
    declared = shared.events.get(name)
    if name == CRASHED and declared is None:
        declared = Event(name, "crashes", {"kind": shared.facts.get("kind", frozenset())})
    if declared is None:
        shared.problems.unknown("event", name, reader.place("event"), (*shared.events, CRASHED))
        return name, {}
    values: dict[str, Value] = {}
    for key, value in node.entries.items():
        if key == "event":
            continue
        found = value.value if isinstance(value, Scalar) else None
        if key not in declared.properties:
            shared.problems.unknown(f"property of {name}", key, node.keys[key], declared.properties)
        elif not isinstance(found, str | int | bool) or found not in declared.properties[key]:
            shared.problems.unknown(
                f"value of {key}", str(found), value.place, map(str, declared.properties[key])
            )
        else:
            values[key] = found
    return name, values


def check_contradictions(rules: Iterable[Rule], problems: Problems) -> None:
    """Note the texts that two examples say different things of."""
    seen: dict[str, Example] = {}
    for rule in rules:
        mine = {example.log.rstrip("\n") for example in rule.hits}
        for example in rule.misses:
            if example.log.rstrip("\n") in mine:
                problems.add(
                    "contradiction",
                    example.place,
                    f"this miss of {rule.id!r} is one of its hits, too",
                    "remove one of them",
                )
        for example in rule.hits:
            first = seen.setdefault(example.log.rstrip("\n"), example)
            if first.expected != example.expected:
                problems.add(
                    "contradiction",
                    example.place,
                    "the same log is expected to count something else elsewhere",
                    f"compare {first.place}",
                )


@frozen
class Run:
    """What a run of a log gave: what was counted, and which rules its entries belonged to."""

    observations: tuple[Observation, ...]
    matched: tuple[str, ...]


def try_examples(ruleset: RuleSet, run: Callable[[str], Run]) -> tuple[Problem, ...]:
    """Run every example; return what is not as a rule says, shadowed rules among it."""
    problems = Problems()
    for rule in ruleset.rules:
        reached: dict[str, Run] = {}
        for example in rule.hits:
            found = reached[example.log] = run(example.log)
            _compare(rule, example, found, problems)
        _find_shadow(rule, reached.values(), problems)
        for example in rule.misses:
            if rule.id in run(example.log).matched:
                problems.add(
                    "miss",
                    example.place,
                    f"this line belongs to {rule.id!r}, which says that it does not",
                    "narrow the message, or add a field or `unless`",
                )
    return tuple(problems.found)


def _find_shadow(rule: Rule, runs: Iterable[Run], problems: Problems) -> None:
    matched = [found.matched for found in runs]
    if not matched or any(rule.id in found for found in matched):
        return
    others = sorted({name for found in matched for name in found})
    problems.add(
        "shadowed",
        rule.place,
        f"no example of {rule.id!r} reaches it",
        f"its examples belong to {', '.join(others)}; raise `priority` or narrow those"
        if others
        else "its examples match no rule; `rules explain` shows the first condition that failed",
    )


def _compare(rule: Rule, example: Example, found: Run, problems: Problems) -> None:
    got = [(one.event, dict(one.properties)) for one in found.observations]
    want: list[tuple[str, MappingType[str, Value]]] = list(example.expected)
    if got != want:
        problems.add(
            "hit",
            example.place,
            f"this example of {rule.id!r} counts {_say(got)}",
            f"expected is {_say(want)}",
        )


def _say(counted: Iterable[tuple[str, MappingType[str, Value]]]) -> str:
    said = [
        f"{event} {{{', '.join(f'{key}: {value}' for key, value in sorted(values.items()))}}}"
        for event, values in counted
    ]
    return "; ".join(said) or "nothing"
