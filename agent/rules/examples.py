"""Examples: the part of a rule that proves it, and the faults that only examples show.

Owns the reading of `hits` and `misses`, and the comparison of what they expect with what a run
gives. The run itself is an argument: this package does not read log lines.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from attrs import frozen

from agent.model import CRASHED, Format
from agent.rules.keys import Reader, fix_text, said
from agent.rules.nodes import Items, Mapping, Node, Scalar
from agent.rules.places import Problem, Problems
from agent.rules.reasons import say_reason
from agent.rules.ruleset import LEVELS, Event, Example
from agent.rules.values import is_declared, other_type, say_value, write_value

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from collections.abc import Mapping as MappingType

    from agent.model import Observation, Value
    from agent.rules.places import Place
    from agent.rules.reasons import Failure
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
        elif isinstance(node, Mapping) and not _is_line(node):
            found.append(_read_example(node, event, shared))
        elif isinstance(node, Mapping):
            reader.problems.add("type", node.place, "a log line is a text", fix_text(node))
        else:
            reader.problems.add(
                "type", node.place, "an example has `log` and `expect`", "write `log: '...'`"
            )
    return tuple(found)


EXAMPLE_KEYS = ("log", "expect")
MAX_MESSAGE_SHOWN = 40
_BEGINNINGS = {
    Format.JSON: '{{"level":"{level}","msg":{message}',
    Format.LOGFMT: 'time="2026-11-23T21:32:45Z" level={level} msg={message}',
    Format.TEXT: "{short}[2026-11-23T21:32:45Z] {message}",
}
"""How a line begins in each of the formats that have a level."""
_OF_JSON = frozenset({"level", "msg", "time"})
_OF_A_LINE = re.compile(r'level=|"level"|(?<![A-Z])[A-Z]{4}(?:\x1b\[0m)?\[')
_JSON_LINE = re.compile(r'(?:\S+Z )?(?P<json>\{.*?"(?:level|msg|time)".*)')
_TORN = 'write a quote within the text as \\", and end the line with }'
_WHOLE_LINE = "an example is a whole line as in the pod's log"


def _is_line(node: Mapping) -> bool:
    """Whether a mapping is a log line in JSON that has no quotes around it."""
    is_json = node.place.written.startswith('{"') or not node.entries.keys().isdisjoint(_OF_JSON)
    return is_json and "log" not in node.entries


def _read_example(node: Mapping, event: str | None, shared: Shared) -> Example:
    reader = Reader(node, "an example", shared.problems, EXAMPLE_KEYS)
    log = reader.text("log")
    expect = reader.take("expect")
    items: Iterable[Node] = (
        expect.items if isinstance(expect, Items) else (expect,) if expect else ()
    )
    before = len(shared.problems.found)
    expected = []
    places = []
    for item in items:
        if isinstance(item, Mapping):
            expected.append(_expected(item, event, shared))
            places.append({key: one.place for key, one in item.entries.items()})
        else:
            shared.problems.add(
                "type",
                item.place,
                "what is expected is a mapping of properties",
                "write `{platform: slack}`, or `[]` for nothing",
            )
    if len(shared.problems.found) > before:
        expected = [("", {})]  # nobody knows what it expects
    at = reader.node.keys.get("expect")
    return Example(node.place, log, tuple(expected), at, tuple(places))


def _expected(node: Mapping, event: str | None, shared: Shared) -> tuple[str, dict[str, Value]]:
    reader = Reader(node, "expect", shared.problems)
    name = reader.text("event", event)
    if not name:
        return name, {}
    declared = declared_of(name, reader, shared.events, shared.facts)
    if declared is None:
        return name, {}
    given = Mapping(
        node.place, {key: one for key, one in node.entries.items() if key != "event"}, node.keys
    )
    return declared.name, read_properties(given, declared, shared.problems)


def declared_of(
    name: str,
    reader: Reader,
    events: MappingType[str, Event],
    facts: MappingType[str, frozenset[Value]],
) -> Event | None:
    """Return the event of this name, or the one that was meant; a crash is none of a rule's."""
    crash = Event(CRASHED, "crashes", {"kind": facts.get("kind", frozenset())})
    known = {**events, CRASHED: crash}
    near = name if name in known else None
    near = near or reader.problems.unknown("event", name, reader.place("event"), known)
    return known[near] if near is not None else None


def read_properties(node: Mapping, event: Event, problems: Problems) -> dict[str, Value]:
    """Read the properties that are expected of an event; each value is one that it declares."""
    values: dict[str, Value] = {}
    for key, value in node.entries.items():
        near = key if key in event.properties else None
        near = near or problems.unknown(
            f"property of {event.name}", key, node.keys[key], event.properties
        )
        if near is None:
            continue
        declared = event.properties[near]
        found = value.value if isinstance(value, Scalar) else None
        is_known = is_declared(found, declared) or not declared
        if isinstance(found, str | int | bool) and is_known:
            values[near] = found
            continue
        written = said(value) or ""
        known = sorted(map(write_value, declared))
        if written in known:
            problems.add(
                "unknown-name",
                value.place,
                f"no value of {near} is {say_value(found)}",
                other_type(written, found),
            )
            continue
        problems.unknown(f"value of {near}", written, value.place, known)
    return values


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
            if any(not event for event, _ in example.expected):
                continue  # it is at fault
            first = seen.setdefault(example.log.rstrip("\n"), example)
            if first.expected != example.expected:
                problems.add(
                    "contradiction",
                    example.place,
                    "the same log is expected to count something else elsewhere",
                    f"compare {first.place}; make both say the same, or remove one",
                )


@frozen
class Run:
    """What a run of a log gave: what was counted, and which rules its entries belonged to.

    `unseen` are the rules that took an entry in which none of their literals stands, `failures`
    tells which condition of a rule each entry fails that it does not take.
    """

    observations: tuple[Observation, ...]
    matched: tuple[str, ...]
    unseen: frozenset[str] = frozenset()
    failures: Callable[[Rule], Iterable[Failure]] = lambda _rule: ()


def try_examples(
    ruleset: RuleSet, run: Callable[[str], Run], lost: Iterable[str] = ()
) -> tuple[Problem, ...]:
    """Run every example; return what is not as a rule says, shadowed rules among it.

    `lost` are the texts of files at fault: an example that needs one of them tells nothing. One
    that contradicts another is not run.
    """
    problems = Problems()
    doubted = {one.place for one in ruleset.problems if one.code == "contradiction"}
    for rule in ruleset.rules:
        reached: dict[str, Run] = {}
        before = len(problems.found)
        for example in (one for one in rule.hits if one.place not in doubted):
            found = reached[example.log] = run(example.log)
            told = len(problems.found)
            _compare(rule, example, found, problems)
            if rule.id in found.unseen:
                _tell_unseen(rule, example, problems)
            is_right = len(problems.found) == told and rule.id in found.matched
            if not is_right and _may_need(lost, rule, example, found):
                del problems.found[told:], reached[example.log]
        if len(problems.found) == before:
            _find_shadow(rule, reached.values(), problems)
        for example in (one for one in rule.misses if one.place not in doubted):
            found = run(example.log)
            if rule.id in found.matched and not _may_need(lost, rule, example, found):
                problems.add(
                    "miss",
                    example.place,
                    f"this line belongs to {rule.id!r}, which says that it does not",
                    "narrow the message, or add a field or `unless`",
                )
            elif not found.matched and not any(found.failures(rule)):
                torn = torn_line(example.log)
                fix = torn[1] if torn else _whole_line(rule, example) or _WHOLE_LINE
                problems.add("miss", example.place, "no rule could take this: it is no line", fix)
    return tuple(problems.found)


def _may_need(lost: Iterable[str], rule: Rule, example: Example, found: Run) -> bool:
    """Whether a rule at fault may take an entry of an example, or replace one that did."""
    lines = [line.strip() for line in example.log.splitlines() if line.strip()]
    others = set(found.matched) - {rule.id}
    return any(
        (len(lines) > 1 and len(found.matched) < len(lines))
        or any(line in text for line in lines)
        or any(name in text for name in others)
        for text in lost
    )


def _tell_unseen(rule: Rule, example: Example, problems: Problems) -> None:
    """Note a line that an agent would never look at: no literal of the rule stands in it."""
    literals = " or ".join(repr(one.decode()) for one in rule.literals)
    given = rule.places.get("literals")
    place = given or example.place
    if any(one.code == "literal" and one.place == place for one in problems.found):
        return
    line = "this line" if given is None else f"the example in line {example.place.line}"
    problems.add(
        "literal",
        place,
        f"{rule.id!r} takes {line}, but {literals}, by which it is looked for, is not in it",
        "remove them, or write one that stands in each of its lines as it is written"
        if given
        else "give `literals: [...]`, one of which stands in each of its lines as it is written",
    )


def _find_shadow(rule: Rule, runs: Iterable[Run], problems: Problems) -> None:
    found_all = list(runs)
    matched = [found.matched for found in found_all]
    if not matched or any(rule.id in found for found in matched):
        return
    torn = torn_line(rule.hits[0].log)
    if torn is not None:
        problems.add("hit", rule.hits[0].place, *torn)
        return
    others = sorted({name for found in matched for name in found})
    reasons = (say_reason(rule, found.failures(rule)) for found in found_all)
    reason = next(filter(None, reasons), "`rules explain` shows the first condition that failed")
    fix = f"its examples match no rule: {reason}"
    problems.add(
        "shadowed",
        rule.place if others else rule.hits[0].place,
        f"no example of {rule.id!r} reaches it",
        f"its examples belong to {', '.join(others)}; raise `priority` or narrow those"
        if others
        else _whole_line(rule, rule.hits[0]) or fix,
    )


def torn_line(log: str) -> tuple[str, str] | None:
    """Say which line of a log begins like JSON and is none, and what to write; None without one."""
    lines = log.splitlines()
    for number, line in enumerate(lines, 1):
        found = _JSON_LINE.fullmatch(line.strip())
        if found is None:
            continue
        try:
            json.loads(found["json"])
        except ValueError:
            which = f"line {number} of this log" if len(lines) > 1 else "this line"
            return f"{which} cannot be read as JSON", _TORN
        except RecursionError:
            return None
    return None


def _whole_line(rule: Rule, example: Example) -> str | None:
    """Say how an example would begin that is the mere message of a line; None if it is not."""
    text = next(iter(example.log.splitlines()), "").strip()
    if not rule.formats <= _BEGINNINGS.keys() or _OF_A_LINE.search(text):
        return None
    level = next((name for name in LEVELS if name in rule.levels), "info")
    form = next(one for one in _BEGINNINGS if one in rule.formats)
    message = text[:MAX_MESSAGE_SHOWN]
    if form is not Format.TEXT:
        message = json.dumps(message, ensure_ascii=False)[:-1]
    begin = _BEGINNINGS[form].format(level=level, short=level[:4].upper(), message=message)
    return f"{_WHOLE_LINE}; it would begin {begin}"


def _compare(rule: Rule, example: Example, found: Run, problems: Problems) -> None:
    got = [(one.event, dict(one.properties)) for one in found.observations]
    want: list[tuple[str, MappingType[str, Value]]] = list(example.expected)
    if got == want:
        return
    torn = torn_line(example.log)
    if torn is not None:
        problems.add("hit", example.place, *torn)
        return
    if not want:
        fix = f"if that is right, write `expect: {_written(rule, got)}`"
    elif rule.id in found.matched and not got and rule.pair and rule.pair.result == "ignore":
        closers = ", ".join(dict.fromkeys(name for one in rule.pair.closers for name in one.rules))
        fix = f"its pair counts when {closers} ends it: add such a line to `log:`, or expect `[]`"
    elif rule.id in found.matched:
        fix = f"expected is {_say(want)}; change the rule, or what is under `expect:`"
    else:
        others = ", ".join(sorted(set(found.matched))) or "no rule"
        reason = say_reason(rule, found.failures(rule))
        reason = reason or "`rules explain` shows the first condition that failed"
        fix = f"{others} takes it: {reason}"
        fix = (None if found.matched else _whole_line(rule, example)) or fix
    place = _wrong(example, got) if rule.id in found.matched else example.place
    problems.add("hit", place, f"this example of {rule.id!r} counts {_say(got)}", fix)


def _wrong(example: Example, got: list[tuple[str, dict[str, Value]]]) -> Place:
    """Return where an example expects what is not counted; the key, if it leaves something out."""
    whole = example.expect or example.place
    if len(got) != len(example.expected):
        return whole
    for (event, values), (name, wanted), places in zip(
        got, example.expected, example.places, strict=True
    ):
        wrong = [key for key, value in wanted.items() if values.get(key) != value]
        if event != name:
            return places.get("event", whole)
        if wrong or len(values) != len(wanted):
            return places.get(wrong[0], whole) if wrong else whole
    return whole


def _written(rule: Rule, counted: list[tuple[str, dict[str, Value]]]) -> str:
    """Return what is counted as an example would expect it."""
    told = []
    for event, values in counted:
        named: dict[str, Value] = values if event == rule.event else {"event": event, **values}
        told.append(f"{{{', '.join(f'{key}: {write_value(one)}' for key, one in named.items())}}}")
    return told[0] if len(told) == 1 else f"[{', '.join(told)}]"


def _say(counted: Iterable[tuple[str, MappingType[str, Value]]]) -> str:
    told = []
    for event, values in counted:
        written = (f"{key}: {write_value(value)}" for key, value in sorted(values.items()))
        told.append(f"{event} {{{', '.join(written)}}}")
    return "; ".join(told) or "nothing"
