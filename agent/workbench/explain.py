"""`rules explain`: why each line of a log counts as what it does, or as nothing.

Owns the words for a step of `trace`. The text shown is the reader's own.
"""

from __future__ import annotations

import json
import re
import sys
from typing import TYPE_CHECKING

import orjson

from agent.lines import MAX_LINE_BYTES, MAX_STAMP_BYTES
from agent.match import first_failed
from agent.trace import Step, Trace, trace_log
from agent.workbench.faults import nearest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent.model import Record
    from agent.rules import Rule, RuleSet
    from agent.trace import Act

SHOWN_CHARACTERS = 100
SHOWN_OF_FIELD = 60
_TO_QUOTE = re.compile(r'^"|[\s,=]')
MAX_NEAR = 12


def explain(ruleset: RuleSet, text: bytes, *, as_json: bool) -> None:
    """Print what became of each line of a log."""
    trace = trace_log(ruleset, text)
    if as_json:
        for one in tell_lines(trace):
            sys.stdout.buffer.write(orjson.dumps(one) + b"\n")
        sys.stdout.buffer.flush()
        return
    for line in _tell(ruleset, trace):
        print(line)


def tell_lines(trace: Trace) -> Iterator[dict[str, object]]:
    """Yield an object for each line of the text: its rule, and what it counts.

    A line that counts several things has an object for each of them. What a pair counts stands
    at the line that opened it; continuation lines belong to no rule.
    """
    steps = {step.line: step for step in trace.steps}
    for number in range(1, trace.lines + 1):
        step = steps.get(number)
        for rule, observation in step.counts if step is not None else ():
            yield {
                "line": number,
                "rule": rule,
                "event": observation.event,
                "properties": dict(observation.properties),
            }
        if step is None or not step.counts:
            rule_id = step.rule if step is not None else None
            yield {"line": number, "rule": rule_id, "event": None, "properties": None}


def _tell(ruleset: RuleSet, trace: Trace) -> Iterator[str]:
    following = 1
    for step in trace.steps:
        yield from _tell_strays(range(following, step.line), is_stamped=trace.is_stamped)
        yield from _tell_step(ruleset, step)
        yield ""
        following = step.line + step.line_count
    yield from _tell_strays(range(following, trace.lines + 1), is_stamped=trace.is_stamped)
    counted = len(trace.observations)
    entries = len(trace.steps)
    lines = f"{trace.lines} line{'' if trace.lines == 1 else 's'}"
    yield f"{lines}, {entries} {'entry' if entries == 1 else 'entries'}, {counted} counted"


def _tell_strays(lines: range, *, is_stamped: bool) -> Iterator[str]:
    if not lines:
        return
    which = f"line {lines[0]}" if len(lines) == 1 else f"lines {lines[0]}-{lines[-1]}"
    stamp = ", or has no stamp in a log that has them" if is_stamped else ""
    yield f"{which}: no entry begins here{stamp}; BotKube did not log this, and no rule sees it"
    yield ""


def _tell_step(ruleset: RuleSet, step: Step) -> Iterator[str]:
    record = step.record
    which = (
        f"line {step.line}"
        if step.line_count == 1
        else f"lines {step.line}-{step.line + step.line_count - 1}, one entry"
    )
    is_long = len(step.entry.text.partition(b"\n")[0]) >= MAX_LINE_BYTES - MAX_STAMP_BYTES
    cut_off = f"cut at {MAX_LINE_BYTES} bytes, as the agent cuts it"
    if record is None:
        why = cut_off if is_long else "torn?"
        yield f"{which}: begins like {step.entry.format}, but cannot be read as that ({why})"
        return
    origin = "a plugin" if record.plugin else "the core"
    so_far = f", {cut_off}" if is_long else ""
    yield f"{which}: {record.format}, level {record.level or 'none'}, from {origin}{so_far}"
    shown = record.message.decode("utf-8", "replace").replace("\n", r"\n")
    cut = " ..." if len(shown) > SHOWN_CHARACTERS else ""
    yield f"  message  {shown[:SHOWN_CHARACTERS]}{cut}"
    if record.fields:
        fields = (f"{name}={_value(value)}" for name, value in sorted(record.fields.items()))
        yield f"  fields   {', '.join(fields)}"
    yield from _tell_rules(step)
    near = list(_near(ruleset, step, record))
    if near:
        yield "  near"
        yield from (f"    {one}" for one in near[:MAX_NEAR])
        if len(near) > MAX_NEAR:
            yield f"    and {len(near) - MAX_NEAR} more"
    elif step.rule is None:
        yield "  near     no rule: none of their literals stands in this entry"


def _value(text: bytes) -> str:
    """Return a field's value, cut, in quotes where it could be taken for something else."""
    value = text.decode("utf-8", "replace")
    cut = " ..." if len(value) > SHOWN_OF_FIELD else ""
    value = value[:SHOWN_OF_FIELD]
    is_plain = value.isprintable() and not _TO_QUOTE.search(value) and value
    return f"{value if is_plain else json.dumps(value, ensure_ascii=False)}{cut}"


def _tell_rules(step: Step) -> Iterator[str]:
    if step.counted is not None:
        rule = step.counted.rule
        yield f"  rule     {rule.id} ({_place(rule)})"
        yield from (f"           {one}" for one in (*_acts(step, rule), *_roles(step, rule)))
    if step.stated is not None:
        rule = step.stated.rule
        name = rule.fact[0] if rule.fact else ""
        yield f"  states   {name}, by {rule.id} ({_place(rule)})"
        yield from (f"           {one}" for one in _acts(step, rule))
    if step.rule is None:
        yield "  rule     none"
    if not step.counts:
        yield "  counts   nothing"
    for by, observation in step.counts:
        values = ", ".join(f"{name}: {_word(value)}" for name, value in observation.properties)
        yield f"  counts   {observation.event} {{{values}}}, by {by}"


def _place(rule: Rule) -> str:
    return f"{nearest(rule.place.path)}:{rule.place.line}"


def _word(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _acts(step: Step, rule: Rule) -> Iterator[str]:
    if step.closes is not None and rule.id in step.closes.closer.rules:
        yield f"acts on the pair of line {step.closes.opener}: then {_then(step.closes)}"


def _roles(step: Step, rule: Rule) -> Iterator[str]:
    if step.opens and rule.pair is not None:
        yield f"opens a pair, for {rule.pair.lines} lines and {rule.pair.seconds} s"
        for act in step.closed_by:
            yield f"line {act.line} acts on it: then {_then(act)}"
        if all(act.closer.then in {"wait", "suspect"} for act in step.closed_by):
            yield f"nothing ended it: its result is {rule.pair.result}"
    elif rule.event is None and step.closes is None and rule.fact is None:
        yield "it only closes pairs, and none waits for it here"
    elif rule.event is not None and step.closes is None and not step.counts:
        if rule.alone == "ignore":
            yield "outside a pair it does not count (alone: ignore)"
        elif rule.once:
            yield "this platform was known already (once), or its word is in no vocabulary (skip)"
        else:
            yield "a value is in no vocabulary, and `otherwise: skip` leaves the entry out"


def _then(act: Act) -> str:
    event = f", as {act.closer.event}" if act.closer.event else ""
    return f"{act.closer.then}{event}"


def _near(ruleset: RuleSet, step: Step, record: Record) -> Iterator[str]:
    """Say of each other rule whose message or literal is there which condition failed first."""
    taken = {found.rule.id for found in (step.counted, step.stated) if found is not None}
    matching = set(ruleset.messages.Match(record.message) or ())
    text = step.entry.text.lower()
    order = sorted(range(len(ruleset.rules)), key=lambda index: (index not in matching, index))
    for index in order:
        rule = ruleset.rules[index]
        if rule.id in taken:
            continue
        has_literal = any(literal.lower() in text for literal in rule.literals)
        is_any = rule.message.match(b"") is not None
        if not has_literal and (is_any or index not in matching):
            continue
        failed = first_failed(rule, record, step.known)
        yield f"{rule.id}: {_why(rule, record, failed, step)}"


def _why(rule: Rule, record: Record, failed: str | None, step: Step) -> str:
    kind, _, name = (failed or "").partition(".")
    match kind:
        case "":
            return f"all conditions hold, but {step.rule} comes first (priority, then id)"
        case "formats":
            return f"formats: it wants {_any(rule.formats)}, this is {record.format}"
        case "level":
            return f"level: it wants {_any(rule.levels)}, this is {record.level or 'none'}"
        case "origin":
            wanted = "plugins" if rule.plugin else "the core"
            return f"origin: it wants lines of {wanted}"
        case "message":
            return f"message: {_literal(rule, step)}, but does not match '{rule.pattern}'"
        case "fields":
            pattern = rule.fields[name].pattern
            wanted = pattern.decode() if isinstance(pattern, bytes) else str(pattern)
            value = record.fields.get(name)
            state = (
                "is missing; it must match"
                if value is None
                else f"is {_value(value)}, which does not match"
            )
            return f"fields.{name}: the field {state} '{wanted}'"
        case "absent_fields":
            there = ", ".join(one for one in rule.absent_fields if one in record.fields)
            return f"absent_fields: there must be no field {there}"
        case "when":
            said = [one for one in step.known if one.startswith(f"{name}=")] or [f"{name}=unknown"]
            return f"when.{name}: it wants {_any(rule.when[name])}, known here is {said[0]}"
        case _:
            return f"{failed}: this exception holds"


def _literal(rule: Rule, step: Step) -> str:
    if any(literal in step.entry.text for literal in rule.literals):
        return "it has the literal"
    return "it has the literal with other capital letters"


def _any(words: frozenset[str]) -> str:
    return " or ".join(sorted(map(str, words)))
