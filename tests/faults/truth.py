"""The model that only counts, and what it takes for a loss that left a trace.

A line of a reply counts once, from when it is released, and is as if never read after a crash that
lost the commit. Whatever was written and counts nowhere must have been reported as a gap, or be one
of the losses that nobody can notice; these are listed in the README.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import attrs

from agent.model import NANOS, Released
from agent.resume import SLACK_SECONDS
from tests.faults.replies import Line, Place


class Wrong(AssertionError):  # noqa: N818 says what the agent is
    """The agent did what it must not do."""


@attrs.define
class Counted:
    """What is counted, in order; what a commit keeps and a crash goes back to."""

    lines: list[tuple[str, Line]] = attrs.field(factory=list)
    places: set[Place] = attrs.field(factory=set)
    heads: set[Place] = attrs.field(factory=set)
    words: Counter[str] = attrs.field(factory=Counter)

    def copy(self) -> Counted:
        return Counted(list(self.lines), set(self.places), set(self.heads), Counter(self.words))

    def of(self, instance: str) -> list[Line]:
        """Return what was counted as an instance's; until that is known it may be the next's."""
        return [line for owner, line in self.lines if owner == instance]

    def take_over(self, before: str, after: str) -> None:
        """Give the lines of an instance to it that were counted as those of the one before."""
        self.lines = [
            (after, line) if (owner, line.places[0][0]) == (before, after) else (owner, line)
            for owner, line in self.lines
        ]


@attrs.define
class Truth:
    """What was written, counted, reported as lost, and lost where nobody could notice."""

    heads: dict[Place, str | None] = attrs.field(factory=dict)
    tails: dict[Place, Place] = attrs.field(factory=dict)
    counted: Counted = attrs.field(factory=Counted)
    reported: set[Place] = attrs.field(factory=set)
    traceless: set[Place] = attrs.field(factory=set)

    def is_new(self, line: Line, pending: list[Line], *, after_gap: bool) -> bool:
        """Whether a line of a reply is to be counted: neither counted nor about to be.

        Behind a gap nobody can know that its record was counted as the end of another line.
        """
        heads = {one.places[0] for one in pending}
        if after_gap:
            return line.places[0] not in self.counted.heads | heads
        known = {place for one in pending for place in one.places}
        return not any(place in self.counted.places or place in known for place in line.places)

    def word(self, line: Line) -> str | None:
        """Return the word that a line says: it must be a whole record, or the two pieces of one.

        The word stands in the second piece; a stream that skipped files may show it behind another
        line's first one.
        """
        match line.places:
            case (one,):
                return None if one in self.tails.values() else self.heads.get(one)
            case (_, tail) if tail in self.tails:
                return self.heads[self.tails[tail]]
        return None

    def count(self, instance: str, pending: list[Line], released: Released) -> None:
        """Take what a reader released: the next lines of its replies, and their words."""
        if released.lines > len(pending):
            raise Wrong(f"{released.lines} lines counted where {len(pending)} were read")
        lines = [pending.pop(0) for _ in range(released.lines)]
        words = Counter(word for line in lines if (word := self.word(line)))
        said = Counter(str(dict(one.properties)["word"]) for one in released.observations)
        if words != said:
            raise Wrong(f"said {words}, counted {said}")
        self.counted.lines += [(instance, line) for line in lines]
        self.counted.places.update(place for line in lines for place in line.places)
        self.counted.heads.update(line.places[0] for line in lines)
        self.counted.words += words

    def uncounted(self, instance: str, *, files: range | None = None) -> set[Place]:
        """Return what was written to an instance, or to some of its files, and is not counted."""
        return {
            place
            for place in self.heads.keys() - self.counted.places
            if place[0] == instance and (files is None or place[1] in files)
        }

    def hide(self, passed: Iterable[Line], *, highest_ns: int) -> None:
        """Excuse lines that a request left out, if their stamps ran back by more than the slack."""
        for line in passed:
            if line.at_ns // NANOS < highest_ns // NANOS - SLACK_SECONDS:
                self.traceless.update(line.places)

    def missing(self) -> set[Place]:
        """Return what is neither counted nor reported, although that could have been noticed."""
        return self.heads.keys() - self.counted.places - self.reported - self.traceless
