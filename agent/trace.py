"""A log text -> every entry with what became of it: how tools explain what the agent counts.

Owns the way of `rules explain` and `rules coverage` through the core: the same lines, records,
match and pairs as `reader`, each step kept. Lines count from 1 as they stand in the text, stamped
or not. What a pair counts belongs to the line that opened it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import define, field, frozen

from agent.entries import Entries
from agent.lines import Framer, is_stamped, parse_stamp
from agent.match import match
from agent.pairs import Acted, Counted, Note, Opened, Pairs
from agent.records import parse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from agent.match import Match
    from agent.model import Entry, Observation, Record
    from agent.rules import RuleSet
    from agent.rules.ruleset import Closer


@frozen
class Act:
    """What the entry of one line did to the pair that another line opened."""

    line: int
    opener: int
    closer: Closer


@define(eq=False)
class Step:
    """One entry: how it was read, which rules it belongs to, what it counted in the end.

    `known` is what was known of the instance before it. `counts` says of each Observation which
    rule it came from; `closes` and `closed_by` are the two ends of acts on pairs.
    """

    line: int
    line_count: int
    entry: Entry
    record: Record | None
    known: frozenset[str]
    counted: Match | None
    stated: Match | None
    opens: bool = False
    closes: Act | None = None
    closed_by: list[Act] = field(factory=list)
    counts: list[tuple[str, Observation]] = field(factory=list)

    @property
    def rule(self) -> str | None:
        """The rule that the entry belongs to, one that only states a fact last."""
        found = self.counted or self.stated
        return found.rule.id if found is not None else None


@frozen
class Trace:
    """All steps of a text in line order, and how many lines it has."""

    steps: tuple[Step, ...]
    lines: int
    is_stamped: bool

    @property
    def observations(self) -> tuple[Observation, ...]:
        """What the text counts, in line order."""
        return tuple(observation for step in self.steps for _, observation in step.counts)


def trace_log(
    ruleset: RuleSet, text: bytes, *, keep: Callable[[Step], bool] = lambda _step: True
) -> Trace:
    """Read a whole log of one container instance, stamped or plain, keeping every step.

    `keep` is asked of entries that no rule takes, which may be most of a log.
    """
    numbers: list[int] = []
    steps: dict[int, Step] = {}

    def note(one: Note) -> None:
        step = steps.get(one.line)
        if step is None:
            return
        match one:
            case Opened():
                step.opens = True
            case Acted():
                opener = steps[one.opener]
                step.closes = Act(step.line, opener.line, one.closer)
                opener.closed_by.append(step.closes)
            case Counted():
                step.counts += [(str(one.rule), found) for found in one.observations]

    pairs = Pairs(set(), count_crashes=True, note=note)
    lines = Framer().feed(text if text.endswith(b"\n") or not text else text + b"\n")
    offsets: list[int] = []
    has_stamps = is_stamped(lines)
    for entry in _entries(lines, numbers, offsets, is_stamped=has_stamps):
        record = parse(entry)
        known = frozenset(pairs.enabled)
        counted, stated = match(record, ruleset, known) if record is not None else (None, None)
        last = entry.first_line + entry.line_count - 1
        line = numbers[entry.first_line - 1]
        count = numbers[last - 1] - line + 1
        step = Step(line, count, entry, record, known, counted, stated)
        if counted is not None or stated is not None or keep(step):
            steps[entry.first_line] = step
        for found in (counted, stated):
            if found is not None:
                pairs.take(found, offset=offsets[entry.first_line - 1])
    pairs.end()
    pairs.released()
    return Trace(tuple(steps.values()), len(lines), has_stamps)


def _entries(
    lines: list[bytes], numbers: list[int], offsets: list[int], *, is_stamped: bool
) -> Iterator[Entry]:
    """Join lines to entries; note which line of the text, and which byte, each line that counts is.

    In a stamped log a line without a stamp is none of BotKube's (kubernetes/kubernetes#142258).
    """
    entries = Entries()
    size = 0
    for number, line in enumerate(lines, 1):
        at_ns, begin = None, 0
        if is_stamped:
            stamp = parse_stamp(line)
            if stamp is None:
                continue
            at_ns, begin = stamp
        numbers.append(number)
        offsets.append(size)
        size += len(line)
        yield from entries.feed(line[begin:], at_ns, len(numbers))
    yield from entries.finish()
