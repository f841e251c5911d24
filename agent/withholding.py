"""What a rule set newly discloses, and until when it is withheld.

Owns the comparison with what was disclosed before: every series has a time from which on it may be
sent, 0 for those of the first start. It stays known when that time is over, because lines from
before may still be read. Must not know windows, State or the wire. Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from attrs import field, frozen

from agent.disclosure import CALL, REQUEST, disclosures, texts

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from agent.model import Value
    from agent.rules import RuleSet

Series: TypeAlias = tuple[str, str, str]
"""An event, one of its properties and one of its values as text, or "" where it is no word."""

ABSENT = "(absent)"
"""Stands for the absence of a property that may be absent, which tells something, too."""

MAX_SERIES = 20_000
"""Rules that were taken out may come back; beyond this only what is declared now is remembered."""


@frozen
class Withholding:
    """From which second on each series may be sent."""

    sent_from: Mapping[Series, int] = field(factory=dict)
    latest: int = field(init=False)
    """From when on all of them may be: 0 as long as nothing was ever newly disclosed."""

    @latest.default
    def _find_latest(self) -> int:
        return max(self.sent_from.values(), default=0)

    def of(self, event: str, properties: Iterable[tuple[str, Value]]) -> int:
        """Return from when on these properties of an event may be sent together."""
        found = [0]
        for name, value in properties:
            found.append(self.sent_from.get((event, name, ""), 0))
            found.append(self.sent_from.get((event, name, texts([value])[0]), 0))
        return max(found)

    def events(self, at_seconds: int) -> dict[str, int]:
        """Return the events of which something may not be sent at that time, and until when."""
        found: dict[str, int] = {}
        for (event, _, _), seconds in self.sent_from.items():
            if seconds > at_seconds:
                found[event] = max(found.get(event, 0), seconds)
        return found


def series_of(ruleset: RuleSet) -> frozenset[Series]:
    """Return every series that a rule set declares."""
    found = set()
    for one in disclosures(ruleset):
        if one.event in {CALL, REQUEST}:
            continue
        for value in texts(one.values) if one.shape == "words" else ("",):
            found.add((one.event, one.name, value))
        if one.is_optional:
            found.add((one.event, one.name, ABSENT))
    return frozenset(found)


def review(
    before: Withholding | None, ruleset: RuleSet, *, now_seconds: int, quiet_seconds: int
) -> Withholding:
    """Return what is withheld under a rule set that comes into force now.

    `before` None is a first start: there the quiet period holds back everything.
    """
    declared = series_of(ruleset)
    if before is None:
        return Withholding(dict.fromkeys(declared, 0))
    known = before.sent_from
    if len(known) > MAX_SERIES:
        known = {one: seconds for one, seconds in known.items() if one in declared}
    until = now_seconds + quiet_seconds if quiet_seconds else 0
    return Withholding({**dict.fromkeys(declared - known.keys(), until), **known})
