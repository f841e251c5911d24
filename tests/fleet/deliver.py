"""What becomes of what was sent: lost, doubled, late, or as it should be.

Owns the way from the agent to the collector: which requests are made of a window's calls, when they
arrive, and what is missing then. It tells what it did with each window, so that nobody has to find
it out from what arrived. The envelope around the calls is the product's.
"""

from __future__ import annotations

import gzip
from collections import Counter
from datetime import UTC, datetime
from random import Random
from typing import TYPE_CHECKING, TypeAlias
from uuid import UUID

import orjson
from attrs import define, frozen

from agent.model import Batch
from agent.sink.batch import envelope
from tests.fleet.world import AGENT_VERSION, DAY, HOUR, Sent, Setting

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agent.sink.batch import Event

Request: TypeAlias = tuple[float, bytes]
"""When it arrived, and its body with `receivedAt` added."""
_EMPTY = gzip.compress(b"[]")
"""The calls are put in afterwards: what is compressed would be taken apart again at once."""


@frozen
class Fate:
    """What arrived of a window's calls: how often each, and under how many message ids."""

    copies: tuple[int, ...]
    ids: int
    arrivals: tuple[float, ...]
    """When they arrived, the first of them first."""

    @property
    def is_lost(self) -> bool:
        return not any(self.copies)


@define
class Way:
    """The way of one installation's requests, with a random generator of its own."""

    setting: Setting
    met: Counter[str]
    rng: Random
    out_until: int = 0
    """Until when no request gets through."""
    is_first: bool = False

    @classmethod
    def make(cls, index: int, setting: Setting, met: Counter[str]) -> Way:
        return cls(setting, met, Random(f"{setting.seed}/{index}/way"))

    def send(self, sent: Sent) -> tuple[Fate, list[Request]]:
        """Return what becomes of a window, and the requests that arrive."""
        rng, met, trouble = self.rng, self.met, self.setting.trouble
        hours = (sent.end - sent.start) / HOUR
        at = sent.closed_seconds
        if at >= self.out_until and rng.random() * 600 < trouble * hours:
            met["late"] += 1
            self.out_until = at + int(1800 * 2 ** rng.uniform(0, 8.9))
            self.is_first = True
        calls: Sequence[Event] = sent.calls
        copies = [1] * len(calls)
        # What waits is sent in the order in which it was sealed, the first once more.
        attempted = self.is_first
        if at < self.out_until:
            if self.out_until - at > 3 * DAY:
                met["days late"] += 1
            first = self.out_until + rng.random()
            self.is_first = False
        else:
            first, attempted = at + 0.2 + rng.random(), False
        arrivals = [first]
        ids = 1
        chance = rng.random() / trouble if trouble else 1.0
        if chance < 0.005:
            met["lost batch"] += 1
            copies, arrivals = [0] * len(calls), []
        elif chance < 0.008:
            place = rng.randrange(sent.identity_calls, len(calls))
            met["lost report" if place == len(calls) - 1 else "lost event"] += 1
            copies[place] = 0
            calls = [one for index, one in enumerate(calls) if index != place]
        elif chance < 0.014:
            met["doubled"] += 1
            arrivals.append(first + rng.uniform(1, 7200))
        elif chance < 0.017:
            met["doubled days later"] += 1
            arrivals.append(first + rng.uniform(DAY, 9 * DAY))
        elif chance < 0.019:
            met["doubled under other ids"] += 1
            ids = 2
        copies = [one * (len(arrivals) + ids - 1) for one in copies]
        requests = []
        for place, arrival in enumerate(arrivals):
            is_repeat = attempted or place > 0
            requests.append(self._request(sent, calls, arrival, is_repeat=is_repeat))
        if ids > 1:
            other = [{**one, "messageId": str(UUID(int=rng.getrandbits(128)))} for one in calls]
            requests.append(self._request(sent, other, first + 30, is_repeat=False))
        return Fate(tuple(copies), ids, tuple(arrivals)), requests

    def _request(
        self, sent: Sent, calls: Sequence[Event], arrival: float, *, is_repeat: bool
    ) -> Request:
        sealed = sent.closed_seconds + sent.skew_seconds
        sent_at = arrival - 0.2 + sent.skew_seconds
        around = (
            _around(sent_at, sealed) if is_repeat else _FIRST.replace(_NEVER, iso(int(sent_at)))
        )
        body = around.replace(b"[]", b"[%s]" % b",".join(map(orjson.dumps, calls)), 1)
        if b'"retried_late"' in body:
            self.met["retried late"] += 1
        return arrival, b'%s,"receivedAt":"%s"}' % (body[:-1], iso(arrival))


def _around(sent_at: float, sealed: int) -> bytes:
    """Return the product's envelope for no call at all, that of a repeat."""
    batch = Batch(1, 0, _EMPTY, 0, sealed, attempted=True)
    return envelope(batch, sent_seconds=sent_at, agent_version=AGENT_VERSION)


def iso(at: float) -> bytes:
    """Return a time as a collector writes it, whole seconds as an agent does."""
    whole = int(at)
    text = datetime.fromtimestamp(whole, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return (text + ("Z" if isinstance(at, int) else f".{int((at - whole) * 1000):03d}Z")).encode()


_NEVER = iso(0)
_FIRST = _around(0, 0)
"""What is around the calls of a first attempt; all but the time is always the same."""
