"""All installations together, hour by hour: requests in the order in which they arrive.

Owns the order of arrival and how much is held at once: what arrives within the hour, what is late,
and a small record of each installation, so that a fleet of any length streams.
"""

from __future__ import annotations

from collections import Counter
from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING, Protocol

from attrs import define, field

from tests.fleet.deliver import Fate, Way
from tests.fleet.world import DAY, HOUR, Installation, Sent, Setting

if TYPE_CHECKING:
    from collections.abc import Iterator


class Witness(Protocol):
    """Is told of every window that is sent and what became of it."""

    def take(self, sent: Sent, fate: Fate) -> None: ...


@define
class Fleet:
    """So many installations, and what happened to them so far."""

    setting: Setting
    installations: int
    met: Counter[str] = field(factory=Counter)
    windows: int = 0
    events: int = 0

    def requests(self, *witnesses: Witness) -> Iterator[bytes]:
        """Yield the requests that arrive, in order, each a line of JSON without its end."""
        setting = self.setting
        gate = setting.gate()
        fleet = [
            (
                Installation.make(index, setting, gate, self.met),
                Way.make(index, setting, self.met),
            )
            for index in range(self.installations)
        ]
        waiting: list[tuple[float, int, bytes]] = []
        number = 0
        for until in self._hours():
            for installation, way in fleet:
                for sent in installation.advance(until):
                    fate, requests = way.send(sent)
                    self.windows += 1
                    self.events += len(sent.calls)
                    for witness in witnesses:
                        witness.take(sent, fate)
                    for arrival, body in requests:
                        number += 1
                        heappush(waiting, (arrival, number, body))
            # A window is told at most two minutes after it could have been.
            while waiting and waiting[0][0] < until - 120:
                yield heappop(waiting)[2]
        heapify(waiting)
        while waiting:
            yield heappop(waiting)[2]

    def _hours(self) -> range:
        start = self.setting.start
        # A day more: the last windows of clocks that are behind.
        return range(start + HOUR, start + (self.setting.days + 1) * DAY + HOUR, HOUR)


def generate(
    seed: int, installations: int, days: int, *, window_seconds: int = HOUR, trouble: float = 1.0
) -> Fleet:
    """Return a fleet; `Fleet.requests` plays it."""
    return Fleet(Setting(seed, days, window_seconds, trouble=trouble), installations)
