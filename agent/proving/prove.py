"""Logs -> a verdict: would other text in them have changed a byte of what is sent?

Owns which variants are tried and what is looked at in what would be sent. The verdict holds counts,
line numbers and rule ids, never text. Pure but for what `preview` is: no clock, no files.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import orjson
from attrs import frozen

from agent.disclosure import disclosures
from agent.preview import Preview, preview
from agent.proving.reading import Policy, make_policy
from agent.proving.renaming import CANARY, STYLES, Renaming
from agent.proving.variant import Log, read_log, vary
from agent.sink.batch import batch_array

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from agent.rules import RuleSet

_WORD = re.compile(r"\w+")
_MADE = frozenset({"uuid", "boundary", "version", "digest", "minor"})
"""Shapes of texts that the agent makes itself."""


@frozen
class Failure:
    """What was found, and where: which of the inputs, which line of it, which rule."""

    what: str
    input: int | None = None
    line: int | None = None
    rule: str | None = None


@frozen
class Verdict:
    """What was looked at, and what was found.

    `of_rules` are the entries that belong to a rule, one that only states a fact among them.
    """

    lines: int
    entries: int
    matched: int
    of_rules: int
    words_replaced: int
    words_kept: int
    variants: int
    events: int
    values: int
    failures: tuple[Failure, ...]

    @property
    def is_usable(self) -> bool:
        """Whether there was any entry to look at."""
        return self.entries > 0

    @property
    def has_none(self) -> bool:
        """Whether there was nothing of which anything could depend on text."""
        return self.is_usable and not (self.of_rules or self.failures)

    @property
    def is_proved(self) -> bool:
        """Whether nothing was found, although there was something to look at."""
        return self.is_usable and not (self.has_none or self.failures)


def prove(
    texts: Sequence[bytes],
    ruleset: RuleSet,
    *,
    seeds: int,
    show: Callable[[Sequence[bytes]], Preview],
) -> Verdict:
    """Compare what would be sent for the logs with what would be sent for variants of them.

    `show` says what would be sent: `preview` with the settings in force.
    """
    policy = make_policy(ruleset)
    logs = [read_log(text, policy) for text in texts]
    original = show(texts)
    failures = [*_undeclared(logs, ruleset)]
    if original.violations and not failures:
        failures.append(Failure("the exit gate had to discard an event"))
    failures += _unclosed(original, ruleset)
    renaming = Renaming("", 0)
    ways = [(style, seed) for seed in range(seeds) for style in STYLES]
    for style, seed in ways:
        # What decides in one variant decides in most of the others.
        renaming = Renaming(style, seed, set(renaming.kept))
        variants = _vary_all(logs, policy, renaming)
        failures += _compare(logs, variants, original, show([one.text for one in variants]))
    events = _events(original)
    return Verdict(
        lines=sum(one.trace.lines for one in logs),
        entries=sum(len(one.trace.steps) for one in logs),
        matched=sum(step.counted is not None for one in logs for step in one.trace.steps),
        of_rules=sum(step.rule is not None for one in logs for step in one.trace.steps),
        words_replaced=renaming.replaced,
        words_kept=len(renaming.kept),
        variants=len(ways),
        events=len(events) * len(ways),
        values=sum(len(event["properties"]) for event in events),
        failures=tuple(dict.fromkeys(failures)),
    )


def preview_texts(
    texts: Sequence[bytes],
    ruleset: RuleSet,
    *,
    window_seconds: int,
    agent_version: str,
    now_seconds: int,
    minimum: int,
) -> Preview:
    """Return what would be sent for the logs."""
    return preview(
        (iter([text]) for text in texts),
        ruleset,
        window_seconds=window_seconds,
        agent_version=agent_version,
        now_seconds=now_seconds,
        minimum=minimum,
    )


def _vary_all(logs: Sequence[Log], policy: Policy, renaming: Renaming) -> list[Log]:
    """Vary all logs with the same stand-ins: a word that one of them needs is kept in all."""
    while True:
        before = len(renaming.kept)
        variants = [vary(log, policy, renaming) for log in logs]
        if len(renaming.kept) == before or len(logs) == 1:
            return variants


def _arrays(found: Preview) -> bytes:
    return b"\n".join(map(batch_array, found.batches))


def _events(found: Preview) -> list[dict[str, Any]]:
    return [event for batch in found.batches for event in orjson.loads(batch_array(batch))]


def _compare(
    logs: Sequence[Log], variants: Sequence[Log], original: Preview, varied: Preview
) -> Iterator[Failure]:
    """Yield what differs between two logs that differ only in free text."""
    if CANARY.search(_arrays(varied).decode("utf-8", "replace")):
        yield Failure("planted text would be sent")
    found = False
    for number, (log, variant) in enumerate(zip(logs, variants, strict=True), 1):
        for before, after in zip(log.trace.steps, variant.trace.steps, strict=True):
            if before.counts != after.counts:
                found = True
                yield Failure("what is counted depends on text", number, before.line, before.rule)
    if not found and _arrays(original) != _arrays(varied):
        yield Failure("what would be sent depends on text")


def _undeclared(logs: Sequence[Log], ruleset: RuleSet) -> Iterator[Failure]:
    """Yield the lines that count a value which no list declares."""
    declared = {(one.event, one.name): one.values for one in disclosures(ruleset)}
    for number, log in enumerate(logs, 1):
        for step in log.trace.steps:
            for rule, one in step.counts:
                if any(
                    value not in declared.get((one.event, name), ())
                    for name, value in one.properties
                ):
                    yield Failure("a value that is not declared", number, step.line, rule)


def _unclosed(found: Preview, ruleset: RuleSet) -> Iterator[Failure]:
    """Yield what would be sent beside closed words, numbers, ids and times."""
    listed = disclosures(ruleset)
    made = {(one.event, one.name) for one in listed if one.shape in _MADE}
    closed = {word for one in listed for value in one.values for word in _WORD.findall(str(value))}
    for event in _events(found):
        for name, value in event["properties"].items():
            if not isinstance(value, str) or (event["event"], name) in made:
                continue
            if not closed.issuperset(_WORD.findall(value)):
                yield Failure("a word that is in no closed list would be sent")
