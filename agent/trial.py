"""A log text -> what a rule set makes of it: how an example is run, without stamps or prefilter.

Owns the way of tools and tests through the core. The agent itself does not come here; what is
counted is counted by its own reader.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from agent.anonymize import state_facts
from agent.entries import Entries
from agent.lines import Framer
from agent.match import first_failed, match
from agent.model import learn
from agent.reader import Reader
from agent.records import parse
from agent.rules import Run

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent.model import Entry, Record
    from agent.rules import Rule, RuleSet


def try_log(ruleset: RuleSet, log: str) -> Run:
    """Read a whole log of one container instance; fatal and panic entries count as crashes."""
    text = log.encode()
    reader = Reader(ruleset, lambda _text: True, stamped=False, count_crashes=True)
    reader.feed(text)
    reader.finish()
    matched = list(_matched(ruleset, text))
    return Run(
        reader.take().observations,
        tuple(rule.id for rule, _ in matched),
        frozenset(rule.id for rule, is_seen in matched if not is_seen),
        partial(_failures, text),
    )


def _failures(text: bytes, rule: Rule) -> Iterator[tuple[str, Record]]:
    """Yield each entry that a rule does not take, with the first condition that failed."""
    for record in filter(None, map(parse, _entries(text))):
        failed = first_failed(rule, record)
        if failed is not None:
            yield failed, record


def _matched(ruleset: RuleSet, text: bytes) -> Iterator[tuple[Rule, bool]]:
    """Yield the rules to which entries belong, and whether a literal of theirs stands there."""
    known: set[str] = set()
    for entry in _entries(text):
        record = parse(entry)
        for found in match(record, ruleset, known) if record else ():
            if found is not None:
                yield found.rule, any(one in entry.text for one in found.rule.literals)
                for fact in state_facts(found, known):
                    learn(known, fact)


def _entries(text: bytes) -> Iterator[Entry]:
    entries = Entries()
    lines = Framer().feed(text if text.endswith(b"\n") else text + b"\n")
    for number, line in enumerate(lines, 1):
        yield from entries.feed(line, None, number)
    yield from entries.finish()
