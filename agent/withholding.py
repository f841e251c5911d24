"""What a rule set newly discloses, and until when it is withheld.

Owns the comparison with what was acknowledged before: a series is acknowledged by the rules of the
first start, or by having been withheld for a whole quiet period. Must not know windows, State or
the wire. Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from attrs import frozen

from agent.disclosure import CALL, REQUEST, disclosures, texts

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agent.model import Value
    from agent.rules import RuleSet

Series: TypeAlias = tuple[str, str, str]
"""An event, one of its properties and one of its values as text, or "" where it is no word."""

MAX_ACKNOWLEDGED = 20_000
"""Rules that were taken out may come back; beyond this only what is declared now is remembered."""


@frozen
class Withholding:
    """The series that were acknowledged, and those that are withheld until a moment."""

    acknowledged: frozenset[Series] = frozenset()
    withheld: frozenset[Series] = frozenset()
    until_seconds: int = 0

    @property
    def events(self) -> frozenset[str]:
        """The events of which something is withheld."""
        return frozenset(event for event, _, _ in self.withheld)

    def hides(self, event: str, properties: Iterable[tuple[str, Value]]) -> bool:
        """Whether any of an event's properties says what is withheld."""
        return bool(self.withheld) and any(
            not self.withheld.isdisjoint({(event, name, ""), (event, name, *texts([value]))})
            for name, value in properties
        )


def series_of(ruleset: RuleSet) -> frozenset[Series]:
    """Return every series that a rule set declares."""
    return frozenset(
        (one.event, one.name, value)
        for one in disclosures(ruleset)
        if one.event not in {CALL, REQUEST}
        for value in (texts(one.values) if one.shape == "words" else ("",))
    )


def review(
    before: Withholding | None, ruleset: RuleSet, *, now_seconds: int, quiet_seconds: int
) -> Withholding:
    """Return what is withheld under a rule set that comes into force now.

    `before` None is a first start: there the quiet period holds back everything. What becomes
    newly disclosed while something is withheld begins the time of all of it anew.
    """
    declared = series_of(ruleset)
    if before is None:
        return Withholding(declared)
    known = before.acknowledged
    if now_seconds >= before.until_seconds:
        known |= before.withheld
    if len(known) > MAX_ACKNOWLEDGED:
        known &= declared
    new = declared - known
    if not new or not quiet_seconds:
        return Withholding(known | new)
    waits = now_seconds < before.until_seconds and new <= before.withheld
    return Withholding(known, new, before.until_seconds if waits else now_seconds + quiet_seconds)
