"""What is known of one container instance that is being read, and the step in which it is counted.

Owns the pictures of its container, its silences and its failures. Must not know requests.
"""

from __future__ import annotations

import asyncio
import logging
import math
from contextlib import suppress
from typing import TYPE_CHECKING

from attrs import define, field, frozen

from agent.model import NANOS, Gap, Released
from agent.source.discovery import pause_seconds
from agent.source.gathering import GATHER_SECONDS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from random import Random

    from agent.lag import Suspect
    from agent.model import Container
    from agent.reader import Reader
    from agent.source.api import ApiError, Client
    from agent.source.discovery import ContainerStatus, Ended, Pod

log = logging.getLogger(__name__)

PAUSE_SECONDS = 0.4
"""Longer than chunks are gathered: what comes after it was not there before."""
MAX_SKEW_SECONDS = 120.0
"""How far the clocks of agent and node may be apart before lines come late."""

MAX_CHANGES = 10
"""So many replies in a row are not believed because the object has changed meanwhile."""


@frozen
class Pace:
    """How long things take: the waits of following and ticking, in seconds.

    `max_age` bounds a stream, since servers stop following rotations in silence
    (kubernetes/kubernetes#115702);
    after `unreadable` a window no longer waits for a container; a container's status comes
    `status_wait` after its stream ends, and a log that does not fit is believed after
    `gap_confirm`; after a silence of `silence` a short read may ask, at least every `audit`.
    Failures wait `retry`, doubling, with jitter. The user's rule files are looked at every `rules`,
    the cluster's switches every `switches`, from one beginning to the next; its Kubernetes is asked
    for its version every `kubernetes`, for one without nodes of its own is upgraded in silence.
    """

    tick: float = 0.5
    gather: float = GATHER_SECONDS
    max_age: tuple[float, float] = (900.0, 1800.0)
    unreadable: float = 600.0
    status_wait: float = 2.0
    gap_confirm: float = 10.0
    silence: float = 1.0
    audit: float = 60.0
    retry: float = 0.5
    rules: float = 5.0
    switches: float = 30.0
    kubernetes: float = 3600.0


@define(eq=False)
class Follow:
    """One container instance that is being read.

    `status` is the latest picture of its container, None once the pod is gone; `version` is the pod
    object's, and `changes` counts the replies in a row behind which that was another. `ended` is
    how the instance ended, if a picture ever said so. `clear_seconds` is the agent's time up to
    which nothing is left to read. `before` is the previous instance of the same container while it
    is still being read, and `asking` how many later ones ask whose its last lines are;
    `has_stopped` says that its stream has ended, `was_put_down` that it left, and is not read on.
    `last_bytes`, `last_audit` and since when a suspect is `asked` about are times of the clock that
    nobody sets. `steps` counts the steps back of its stream that were looked into, `doubts` the
    short reads since the last one that showed that nothing follows which failed, or found the
    stream dead. `has_spoken` says that the stream has brought a byte. `saw_end` says that the
    stream came to its end, at `end_seconds` by the node's clock, at least, with `at_end`, as far as
    the log was read then. By `node_ahead` that clock is before the one that nobody sets, at least.
    The follow `is_in_question` while the object is asked whether the log is its own.
    """

    container: Container
    reader: Reader
    client: Client
    clock: Callable[[], float]
    monotonic: Callable[[], float]
    random: Random
    fold: Callable[[Follow, Released], None]
    may_read: asyncio.Event
    pace: Pace
    taken_over: Callable[[Follow, Follow, int], None]
    refresh: Callable[[Follow], Awaitable[str | None]]
    before: Follow | None = None
    began_seconds: int | None = None
    may_finish: asyncio.Event = field(factory=asyncio.Event)
    asking: int = 0
    has_stopped: asyncio.Event = field(factory=asyncio.Event)
    status: ContainerStatus | None = None
    version: int = 0
    changes: int = 0
    ended: Ended | None = None
    is_deleting: bool = False
    is_done: bool = False
    is_auditing: bool = False
    is_in_question: bool = False
    opened: int = 0
    errors: int = 0
    steps: int = 0
    doubts: int = 0
    has_spoken: bool = False
    clear_seconds: float = 0.0
    released_seconds: float = 0.0
    failing_since: float | None = None
    failing_from: float = 0.0
    skew_seconds: float | None = None
    last_bytes: float = 0.0
    last_audit: float = 0.0
    asked: dict[Suspect, float] = field(factory=dict)
    saw_end: bool = False
    taken_at: float = math.inf
    node_ahead: float = -math.inf
    end_seconds: float = -math.inf
    at_end: tuple[int, bytes] | None = None
    is_live: bool = False
    was_held_back: bool = False
    has_left: bool = False
    was_put_down: bool = False
    scope: asyncio.Timeout | None = None
    _changed: asyncio.Event = field(factory=asyncio.Event)

    def take_picture(self, status: ContainerStatus, pod: Pod) -> None:
        """Take a new picture of the container, from that of its pod."""
        self.version = pod.version
        self.take_status(status, is_deleting=pod.is_deleting)

    def take_status(self, status: ContainerStatus | None, *, is_deleting: bool) -> None:
        """Take what is known of the container by now."""
        if status != self.status:
            self._changed.set()
        self.status, self.is_deleting = status, is_deleting
        for one in (status.ended, status.last_ended) if status is not None else ():
            if one is not None and one.container_id == self.container.container_id:
                self.ended = one
        if status is not None and not self.is_current():
            # The stream may be the next instance's already: what is left is read by id.
            self.interrupt()

    def is_current(self) -> bool:
        """Whether a plain log request is answered with this instance's log."""
        return self.status is not None and self.status.container_id == self.container.container_id

    def is_previous(self) -> bool:
        """Whether a request for the previous log is answered with this instance's log."""
        last = self.status.last_ended if self.status is not None else None
        is_last = last is not None and last.container_id == self.container.container_id
        return is_last and not self.is_current()

    async def is_answered(self, *, previous: bool, version: int | None) -> bool:
        """Whether a reply was this instance's log: it does not say, so the object is asked.

        Only if that is as it was before the request (`version`), does it tell of the moment of the
        answer: a runtime that had lost the container by then may have found it since. Where that
        cannot be, there is no `version`.
        """
        is_known = await self.refresh(self) is not None
        is_known = is_known and (version is None or self.is_as_before(version))
        return is_known and (self.is_previous() if previous else self.is_current())

    def is_as_before(self, version: int) -> bool:
        """Whether the object is as it was before a request.

        One that changes with each is believed in the end.
        """
        self.changes = 0 if self.version == version else self.changes + 1
        return not 0 < self.changes <= MAX_CHANGES

    def may_return(self) -> bool:
        """Whether nobody says that it has ended, though its runtime may have lost it."""
        status = self.status
        if status is None or status.ended is not None or self.ended is not None:
            return False
        return status.container_id in {"", self.container.container_id}

    def leave(self) -> None:
        """Stop reading where the Cursor stands: its pod left the selection, and may come back."""
        self.has_left = True
        self._changed.set()
        self.interrupt()

    def begin_asking(self) -> None:
        """Let this one wait with its last read: a later instance asks whose its lines are."""
        self.asking += 1
        self.may_finish.clear()

    def end_asking(self) -> None:
        """Take it that a later instance has its answer, or gave up."""
        self.asking -= 1
        if not self.asking:
            self.may_finish.set()

    async def take(self, chunk: bytes, *, now_ns: int | None = None) -> None:
        """Feed the reader and fold what it releases, in one step; then give the loop a turn."""
        self.has_spoken = True
        self.reader.feed(chunk, now_ns=now_ns)
        now = self.monotonic()
        if self.is_live or now - self.taken_at >= PAUSE_SECONDS:
            # Behind a pause come lines that were written just now; those of a backlog tell nothing.
            self.node_ahead = max(self.node_ahead, self.reader.highest_ns / NANOS - now)
        self.taken_at = now
        delay_ns = self.reader.lag.delay_ns
        if self.is_live and delay_ns is not None:
            # The smallest delay of a fresh line is the difference of the two clocks, at most. A
            # line that a pair holds back is released late, but it arrived when it arrived.
            lag = min(max(0.0, delay_ns / NANOS), MAX_SKEW_SECONDS)
            known = self.skew_seconds
            self.skew_seconds = lag if known is None else min(lag, known)
            self.reader.lag.learn()
        self.fold_released()
        await asyncio.sleep(0)

    def node_seconds(self) -> float:
        """Return the node's time, at least: no line came before it was written.

        Where none was read soon after that, it is taken for the agent's.
        """
        if self.node_ahead == -math.inf:
            return self.clock() - (self.skew_seconds or 0.0)
        return self.node_ahead + self.monotonic()

    def fold_released(self) -> None:
        """Fold what the reader releases."""
        released = self.reader.take(now_ns=int(self.clock() * NANOS))
        if released.last_ns:
            self.released_seconds = max(self.released_seconds, released.last_ns / NANOS)
        self.fold(self, released)

    def lose(self, gap: Gap) -> None:
        """Report an interval in which lines could not be had."""
        self.fold(self, Released(gaps=(gap,)))

    def gap_reason(self, otherwise: str) -> str:
        """Name why lines are gone: because we did not read, if that is so."""
        return "backpressure" if self.was_held_back else otherwise

    def interrupt(self) -> None:
        """End the running attempt; the next one begins where the Cursor stands."""
        # One that is ending already must not be ended again.
        if self.scope is not None and not self.scope.expired():
            self.scope.reschedule(asyncio.get_running_loop().time())

    def hold_back(self) -> None:
        """Stop reading until there is room for what it counts; the Cursor stays."""
        self.was_held_back = True
        self.interrupt()

    def holds(self, end_seconds: int) -> bool:
        """Whether lines stamped before `end_seconds` may still come from this instance."""
        if self.is_done or self.is_unreadable():
            return False
        if self.reader.lag.suspects:
            return True
        return self.clear_seconds < end_seconds > self.released_seconds

    def may_lack(self, start_seconds: int, end_seconds: int) -> bool:
        """Whether lines of a window may lack that no longer waits for them."""
        if not self.is_unreadable() or not self.clear_seconds < end_seconds > self.released_seconds:
            return False
        finished = self.ended.finished_seconds if self.ended is not None else 0
        # The runtime stamps a last line when it reads it, after the process has ended.
        return not finished or start_seconds <= finished + 1

    def is_unreadable(self) -> bool:
        """Whether it could not be read for so long that windows no longer wait for it."""
        if self.failing_since is None or not self.may_read.is_set():
            return False  # while nobody tries, nobody knows
        return self.monotonic() - self.failing_from > self.pace.unreadable

    def fail(self, error: ApiError) -> None:
        """Note that a request failed; the first failure in a row is said."""
        self.errors += 1
        if self.failing_since is None:
            self.failing_since, self.failing_from = self.clock(), self.monotonic()
            log.warning(
                "container cannot be read",
                extra={
                    "status": error.status,
                    "reason": error.reason,
                    "namespace": self.container.namespace,
                    "right": "get pods/log",
                },
            )

    def doubt(self, error: ApiError) -> None:
        """Note that nobody says that the stream has brought everything: that it goes on may not."""
        self.doubts += 1
        self.fail(error)

    def pause_seconds(self, failures: int, error: ApiError | None) -> float:
        """Return how long to wait after so many failures in a row."""
        return pause_seconds(failures, error, self.random, base=self.pace.retry)

    async def wait_for_change(self, seconds: float) -> None:
        """Wait for another picture of the container, no longer than so many seconds."""
        self._changed.clear()
        await wait(self._changed, seconds)


async def wait(event: asyncio.Event, seconds: float) -> None:
    """Wait for an event, no longer than so many seconds."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
