"""A log text -> what a rule set makes of it: how an example, stamped or plain, is run.

Owns the way of tools and tests through the core. The agent itself does not come here; what is
counted is counted by its own reader.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from agent.anonymize import state_facts
from agent.entries import Entries
from agent.lines import Framer, is_stamped, parse_stamp
from agent.match import first_failed, match
from agent.model import learn
from agent.prefilter import Everything
from agent.reader import Reader
from agent.records import parse
from agent.rules import Run

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from agent.model import Entry, Record
    from agent.rules import Rule, RuleSet


def try_log(ruleset: RuleSet, log: str) -> Run:
    """Read a whole log of one container instance; fatal and panic entries count as crashes."""
    text = log.encode()
    lines = Framer().feed(text if text.endswith(b"\n") else text + b"\n")
    has_stamps = is_stamped(lines)
    reader = Reader(ruleset, Everything(), stamped=has_stamps, count_crashes=True)
    reader.feed(text)
    reader.finish()
    plain = tuple(_without_stamps(lines) if has_stamps else lines)
    matched = list(_matched(ruleset, plain))
    return Run(
        reader.take().observations,
        tuple(rule.id for rule, _ in matched),
        frozenset(rule.id for rule, is_seen in matched if not is_seen),
        partial(_failures, plain),
    )


def _failures(lines: Iterable[bytes], rule: Rule) -> Iterator[tuple[str, Record]]:
    """Yield each entry that a rule does not take, with the first condition that failed."""
    for record in filter(None, map(parse, _entries(lines))):
        failed = first_failed(rule, record)
        if failed is not None:
            yield failed, record


def _matched(ruleset: RuleSet, lines: Iterable[bytes]) -> Iterator[tuple[Rule, bool]]:
    """Yield the rules to which entries belong, and whether a literal of theirs stands there."""
    known: set[str] = set()
    for entry in _entries(lines):
        record = parse(entry)
        for found in match(record, ruleset, known) if record else ():
            if found is not None:
                yield found.rule, any(one in entry.text for one in found.rule.literals)
                for fact in state_facts(found, known):
                    learn(known, fact)


def _without_stamps(lines: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the lines that have a stamp without it: others are none of BotKube's."""
    for line in lines:
        stamp = parse_stamp(line)
        if stamp is not None:
            yield line[stamp[1] :]


def _entries(lines: Iterable[bytes]) -> Iterator[Entry]:
    entries = Entries()
    for number, line in enumerate(lines, 1):
        yield from entries.feed(line, None, number)
    yield from entries.finish()
