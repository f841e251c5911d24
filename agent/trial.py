"""A log text -> what a rule set makes of it: how an example is run, without stamps or prefilter.

Owns the way of tools and tests through the core. The agent itself does not come here; what is
counted is counted by its own reader.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.anonymize import state_facts
from agent.entries import Entries
from agent.lines import Framer
from agent.match import match
from agent.model import learn
from agent.reader import Reader
from agent.records import parse
from agent.rules import Run

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent.model import Entry
    from agent.rules import RuleSet


def try_log(ruleset: RuleSet, log: str) -> Run:
    """Read a whole log of one container instance; fatal and panic entries count as crashes."""
    text = log.encode()
    reader = Reader(ruleset, lambda _text: True, stamped=False, count_crashes=True)
    reader.feed(text)
    reader.finish()
    return Run(reader.take().observations, tuple(_matched(ruleset, text)))


def _matched(ruleset: RuleSet, text: bytes) -> Iterator[str]:
    known: set[str] = set()
    for entry in _entries(text):
        record = parse(entry)
        for found in match(record, ruleset, known) if record else ():
            if found is not None:
                yield found.rule.id
                for fact in state_facts(found, known):
                    learn(known, fact)


def _entries(text: bytes) -> Iterator[Entry]:
    entries = Entries()
    lines = Framer().feed(text if text.endswith(b"\n") else text + b"\n")
    for number, line in enumerate(lines, 1):
        yield from entries.feed(line, None, number)
    yield from entries.finish()
