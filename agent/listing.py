"""Which selections of pods could be listed, and from when to when nobody knows who came.

Owns what a list or a watch that fails means for windows; must not know how either is asked for.
"""

from __future__ import annotations

from http import HTTPStatus

from attrs import define, field

from agent.instances import LEFT_SECONDS

REFUSED = frozenset({HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND})
"""Answers that asking again does not change."""
_EARLIER = ""
"""In place of a selection's name, which State may not hold: any that there was."""


def told_by(blind: tuple[int, int] | None, seconds: int, *, grace: int) -> tuple[int, int] | None:
    """Return since when, and up to which window of so many seconds, nobody knew who came.

    Of a window's first seconds, the `grace` after which the one before is closed, nothing is said:
    State is written then anyway.
    """
    return None if blind is None else (blind[0], (blind[1] - grace) // seconds)


@define
class Listing:
    """Selections by name, of which so many are `wanted`; times are seconds of the agent's clock.

    `settled` are those that were listed once, or may not be; those of which that was the last
    answer are `listed`, or `refused`. What came to one of them is `unseen` from when to when; since
    when nothing could be asked is in `failing`, which windows wait for as long as `patience`.
    """

    wanted: int
    patience: float
    settled: set[str] = field(factory=set)
    listed: set[str] = field(factory=set)
    refused: set[str] = field(factory=set)
    unseen: dict[str, tuple[float, float]] = field(factory=dict)
    failing: dict[str, float] = field(factory=dict)

    @property
    def is_settled(self) -> bool:
        """Whether every selection was listed once, or may not be: then windows may close."""
        return len(self.settled) >= self.wanted

    @property
    def is_whole(self) -> bool:
        """Whether all that was selected is known."""
        return self.is_settled and self.listed == self.settled

    @property
    def is_blind(self) -> bool:
        """Whether none may be listed: whether there is a BotKube nobody knows."""
        return self.refused >= self.settled

    def unseen_since(self, start_seconds: int, end_seconds: int) -> float | None:
        """Return since when nobody knows who came in a window, to any of the selections."""
        since = [
            at for at, until in self.unseen.values() if at < end_seconds and start_seconds < until
        ]
        return min(
            [*since, *(at for at in self.failing.values() if at < end_seconds)], default=None
        )

    def blind(self, closed_until: int, *, now: float) -> tuple[int, int] | None:
        """Return from when to when nobody knows who came, as open windows will have to tell."""
        times = [one for one in self.unseen.values() if closed_until < one[1]]
        times += [(at, now) for at in self.failing.values() if now - at >= self.patience]
        if not times:
            return None
        since, until = min(at for at, _ in times), max(until for _, until in times)
        return int(since), int(max(since, min(until, now)))

    def go_on(self, blind: tuple[int, int] | None) -> None:
        """Take up what nobody knew when an earlier process noted it last."""
        if blind is not None:
            self.unseen[_EARLIER] = blind

    def is_awaited(self, end_seconds: int, *, now: float) -> bool:
        """Whether a window waits for word of who has come."""
        return any(
            at < end_seconds and 0 <= now - at < self.patience for at in self.failing.values()
        )

    def take_list(self, selection: str, status: int, *, now: float, closed_until: int) -> None:
        """Take it that pods could be listed, may not be, or that it failed (0 without an answer).

        What is `closed_until` was told.
        """
        if status == HTTPStatus.OK:
            self.listed.add(selection)
            self.refused.discard(selection)
            if selection in self.unseen:
                since, until = self.unseen[selection]
                self.unseen[selection] = since, min(until, max(since, now))
        elif status in REFUSED:
            if selection not in self.refused:
                # What came before this start nobody saw either. After a day all that came is taken
                # to be gone, like a pod.
                since = now if selection in self.settled else closed_until or now
                since = min(since, self.failing.get(selection, since))
                self._miss(selection, since, now + LEFT_SECONDS, closed_until)
            self.refused.add(selection)
            self.failing.pop(selection, None)
        if status != HTTPStatus.OK:
            self.listed.discard(selection)
        # A namespace that may not be read must not hold the others' windows.
        self.settled |= self.listed | self.refused

    def take_answer(self, selection: str, status: int, *, now: float, closed_until: int) -> None:
        """Take it that who comes would be told of, by a list or a watch, or would not."""
        if status == HTTPStatus.OK:
            since = self.failing.pop(selection, now)
            if now - since >= self.patience:
                self._miss(selection, since, now, closed_until)
        elif status not in REFUSED:
            self.failing.setdefault(selection, now)

    def _miss(self, selection: str, since: float, until: float, closed_until: int) -> None:
        before, end = self.unseen.get(selection, (since, 0.0))
        if end > closed_until:
            since = min(before, since)
        self.unseen[selection] = since, until
