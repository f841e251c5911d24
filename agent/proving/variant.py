"""A log and other text of the same shape -> a log that differs from it only in free text.

Owns finding the words on which a decision of the rules rests: they are put back, everywhere, until
the readings of both logs are equal. It ends because each round puts words back and never takes
one away; at worst the variant is the log itself. Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import frozen

from agent.lines import parse_stamp
from agent.proving.reading import Policy, Reading, read, read_alone
from agent.proving.renaming import Renaming, words_of
from agent.trace import Step, Trace, trace_log

if TYPE_CHECKING:
    from collections.abc import Iterator


@frozen
class Log:
    """A log as it was given, with what the rules read in it."""

    text: bytes
    trace: Trace
    readings: dict[int, Reading]

    def lines(self, step: Step) -> range:
        """Return the lines of an entry."""
        return range(step.line, step.line + step.line_count)


def read_log(text: bytes, policy: Policy) -> Log:
    """Read a log of one container instance."""
    trace = trace_log(policy.ruleset, text)
    return Log(text, trace, read(trace, policy))


def vary(log: Log, policy: Policy, renaming: Renaming) -> Log:
    """Return the log with other text in it wherever no decision rests on the text."""
    is_first = True
    while True:
        found = read_log(_render(log, renaming), policy)
        differing = _differing(log, found)
        if not differing:
            return found
        _settle(log, differing, policy, renaming, is_first=is_first)
        is_first = False


def _render(log: Log, renaming: Renaming) -> bytes:
    """Rename all lines behind their stamps, again if a stand-in has changed on the way."""
    while True:
        before = renaming.changes
        lines = [_rename_line(line, log, renaming) for line in log.text.split(b"\n")]
        if renaming.changes == before:
            return b"\n".join(lines)


def _rename_line(line: bytes, log: Log, renaming: Renaming) -> bytes:
    begin = _begin(line, log)
    return line[:begin] + renaming.rename(line[begin:])


def _begin(line: bytes, log: Log) -> int:
    stamp = parse_stamp(line) if log.trace.is_stamped else None
    return stamp[1] if stamp is not None else 0


def _differing(log: Log, varied: Log) -> set[int]:
    """Return the lines of the log at which the readings differ, both ends of a pair included."""
    lines: set[int] = set()
    for line in log.readings.keys() | varied.readings.keys():
        before, after = log.readings.get(line), varied.readings.get(line)
        if before == after:
            continue
        lines.add(line)
        for one in (before, after):
            if one is not None and isinstance(one.act, tuple):
                lines.add(one.act[0])
    return lines


def _settle(
    log: Log,
    differing: set[int],
    policy: Policy,
    renaming: Renaming,
    *,
    is_first: bool,
) -> None:
    """Keep the words on which the differences rest; where none can be made out, all of an entry."""
    before = renaming.changes
    for step in _steps(log, differing):
        keep = _deciding(step, log, policy, renaming) if is_first else set()
        renaming.keep(keep or (set() if is_first else words_of(step.entry.text)))
    if renaming.changes != before:
        return
    raw = log.text.split(b"\n")
    for step in _steps(log, differing):
        renaming.keep(words_of(step.entry.text))
    for line in differing:
        renaming.keep(words_of(raw[line - 1]))
    if renaming.changes == before:
        renaming.keep(words_of(log.text))


def _steps(log: Log, lines: set[int]) -> Iterator[Step]:
    return (step for step in log.trace.steps if not lines.isdisjoint(log.lines(step)))


def _deciding(step: Step, log: Log, policy: Policy, renaming: Renaming) -> set[bytes]:
    """Return the fewest words that must stay for the entry alone to be read as it was."""
    text, stamped = step.entry.text, log.trace.is_stamped
    wanted = read_alone(text, policy, like=step, is_stamped=stamped)

    def is_same(keep: frozenset[bytes]) -> bool:
        # Line by line, as the log is renamed: some shapes are known by where a line begins.
        varied = b"\n".join(renaming.rename(line, keep) for line in text.split(b"\n"))
        found = read_alone(varied, policy, like=step, is_stamped=stamped)
        return found == wanted

    if is_same(frozenset()):
        return set()
    needed = frozenset(words_of(text) - renaming.kept)
    groups = [sorted(needed)]
    while groups:
        group = groups.pop()
        without = needed.difference(group)
        if is_same(without):
            needed = without
        elif len(group) > 1:
            half = len(group) // 2
            groups += [group[:half], group[half:]]
    return set(needed)
