"""Follows one container instance from where its Cursor stands to its end.

Owns the attempts, the silences and the last read of one instance. Must not know windows or
destinations: what a reader releases goes to `fold` at once, in the same step. No queue stands
between: reading waits while folding works, and TCP holds the rest back.
"""

from __future__ import annotations

import asyncio
import logging
from http import HTTPStatus
from typing import TYPE_CHECKING

from attrs import define, field, frozen

from agent.model import NANOS, Continuity, Gap, Released
from agent.source import podlogs
from agent.source.api import ApiError
from agent.source.discovery import pause_seconds

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from agent.model import Container
    from agent.reader import Reader
    from agent.source.api import Client
    from agent.source.discovery import ContainerStatus, Ended

log = logging.getLogger(__name__)

AUDIT_READ_SECONDS = 10.0


@frozen
class Pace:
    """How long things take: the waits of following and ticking, in seconds.

    `max_age` bounds a stream, since servers stop following rotations in silence (facts, 2.5);
    after `unreadable` a window no longer waits for a container; a container's status comes
    `status_wait` after its stream ends, and a log that does not fit is believed after
    `gap_confirm`; after a silence of `silence` a short read may ask, at least every `audit`.
    Failures wait `retry`, doubling, with jitter.
    """

    tick: float = 0.5
    gather: float = podlogs.GATHER_SECONDS
    max_age: tuple[float, float] = (900.0, 1800.0)
    unreadable: float = 600.0
    status_wait: float = 2.0
    gap_confirm: float = 10.0
    silence: float = 1.0
    audit: float = 60.0
    retry: float = 0.5


@define(eq=False)
class Follow:
    """One container instance that is being read.

    `status` is the latest picture of its container, None once the pod is gone. `clear_seconds` is
    the agent's time up to which nothing is left to read.
    """

    container: Container
    reader: Reader
    client: Client
    clock: Callable[[], float]
    random: Random
    fold: Callable[[Follow, Released], None]
    may_read: asyncio.Event
    pace: Pace
    status: ContainerStatus | None = None
    is_deleting: bool = False
    is_connected: bool = False
    is_done: bool = False
    is_auditing: bool = False
    opened: int = 0
    errors: int = 0
    clear_seconds: float = 0.0
    released_seconds: float = 0.0
    failing_since: float | None = None
    skew_seconds: float | None = None
    _last_bytes: float = 0.0
    _last_audit: float = 0.0
    _saw_end: bool = False
    _changed: asyncio.Event = field(factory=asyncio.Event)
    _scope: asyncio.Timeout | None = None

    def take_status(self, status: ContainerStatus | None, *, is_deleting: bool) -> None:
        """Take a new picture of the container."""
        if status != self.status:
            self._changed.set()
        self.status, self.is_deleting = status, is_deleting

    def ended(self) -> Ended | None:
        """Return how this instance ended, if the status says so."""
        if self.status is not None:
            for one in (self.status.ended, self.status.last_ended):
                if one is not None and one.container_id == self.container.container_id:
                    return one
        return None

    def is_current(self) -> bool:
        """Whether a plain log request is answered with this instance's log."""
        return self.status is not None and self.status.container_id == self.container.container_id

    async def run(self) -> None:
        """Read until the instance has ended and was read to its end."""
        failures = 0
        accept_gap = False
        while True:
            await self.may_read.wait()
            if self.ended() is not None or not self.is_current():
                await self._read_rest()
                self.is_done = True
                return
            read_before = self.reader.lines_read
            try:
                await self._attempt(accept_gap=accept_gap)
                error = None
            except ApiError as raised:
                error = raised
                self._fail(raised)
            finally:
                self.is_connected = False
            progress = self.reader.lines_read > read_before
            failures = 0 if progress or error is None else failures + 1
            # A head that does not fit may be the next instance's: its status comes late.
            accept_gap = self.reader.gap_suspected
            if accept_gap:
                await self._wait_for_change(self.pace.gap_confirm)
            elif error is not None:
                await self._wait_for_change(self._pause(failures, error))
            elif self._saw_end:
                await self._wait_for_change(self.pace.status_wait)

    async def _attempt(self, *, accept_gap: bool) -> None:
        since = self.reader.reopen(accept_gap=accept_gap)
        self.opened += 1
        self._saw_end = False
        self._last_bytes = self.clock()
        age = self.random.uniform(*self.pace.max_age)
        unstamped = self.reader.unstamped
        try:
            async with asyncio.timeout(None) as self._scope:
                async for chunk in podlogs.follow(
                    self.client,
                    self.container,
                    since_seconds=since,
                    max_age_seconds=age,
                    gather_seconds=self.pace.gather,
                ):
                    self.is_connected = True
                    self.failing_since = None
                    self._last_bytes = self.clock()
                    self.take(chunk)
                    if self.reader.gap_suspected:
                        return
                self._saw_end = True
        except TimeoutError:
            return  # an audit, or the outbox, has asked for another attempt
        finally:
            self._scope = None
        if self.reader.unstamped > unstamped:
            # In-band text without a stamp ends an attempt like an error (facts, 2.11).
            raise ApiError(0, "in-band text")

    def take(self, chunk: bytes) -> None:
        """Feed the reader and fold what it releases, in one step."""
        self.reader.feed(chunk)
        self._fold()

    def _fold(self) -> None:
        released = self.reader.take()
        if released.last_ns:
            self.released_seconds = max(self.released_seconds, released.last_ns / NANOS)
            lag = self.clock() - released.last_ns / NANOS
            self.skew_seconds = lag if self.skew_seconds is None else min(lag, self.skew_seconds)
        self.fold(self, released)

    def interrupt(self) -> None:
        """End the running attempt; the next one begins where the Cursor stands."""
        if self._scope is not None:
            self._scope.reschedule(asyncio.get_running_loop().time())

    def holds(self, end_seconds: int) -> bool:
        """Whether lines stamped before `end_seconds` may still come from this instance."""
        if self.is_done:
            return False
        return not self.is_unreadable() and self.clear_seconds < end_seconds > self.released_seconds

    def is_unreadable(self) -> bool:
        """Whether it could not be read for so long that windows no longer wait for it."""
        since = self.failing_since
        return since is not None and self.clock() - since > self.pace.unreadable

    def wants_audit(self, due_seconds: int | None) -> bool:
        """Whether a short read would tell something: a window waits, or a pair, or it is time."""
        now = self.clock()
        silence = now - self._last_bytes
        since_audit = now - self._last_audit
        if self.is_auditing or not self._is_open() or min(silence, since_audit) < self.pace.silence:
            return False
        if due_seconds is not None and self.holds(due_seconds):
            return True
        if self.reader.is_holding and silence > self.reader.patience_seconds + 1:
            return True
        return since_audit > self.pace.audit

    def _is_open(self) -> bool:
        # A stream that has not sent a byte yet is open as well: an empty log is silent.
        return self._scope is not None

    async def audit(self) -> None:
        """Ask by a short read whether anything follows what was read."""
        self._last_audit = began = self.clock()
        since = self.reader.cursor().since_seconds
        read_before = self.reader.lines_read
        try:
            reply = await podlogs.read(
                self.client,
                self.container,
                since_seconds=since,
                previous=False,
                read_seconds=AUDIT_READ_SECONDS,
            )
        except ApiError as error:
            self._fail(error)
            return
        if self.reader.lines_read != read_before or not self._is_open():
            return
        verdict = self.reader.audit(reply)
        if verdict in {Continuity.CONTINUOUS, Continuity.ROTATED}:
            self.failing_since = None
            self.reader.idle(began - self._last_bytes)
            self._fold()
            if not self.reader.is_holding:
                self.clear_seconds = began - max(0.0, self.skew_seconds or 0.0)
        elif began - self._last_bytes > 2 * self.pace.silence:
            self.interrupt()  # a silently dead stream, or another file

    async def _read_rest(self) -> None:
        """Read an ended instance to its end, by its id and not by `previous` alone."""
        for attempt in range(5):
            since = self.reader.reopen(accept_gap=True)
            previous = not self.is_current()
            if self.status is None or (previous and self.ended() is None):
                break
            try:
                reply = await podlogs.read(
                    self.client, self.container, since_seconds=since, previous=previous
                )
                again = (
                    reply
                    if reply.endswith(b"\n") or not reply
                    else await podlogs.read(
                        self.client, self.container, since_seconds=since, previous=previous
                    )
                )
            except ApiError as error:
                self._fail(error)
                if error.status in {HTTPStatus.NOT_FOUND, HTTPStatus.BAD_REQUEST}:
                    break
                await self._wait_for_change(self._pause(attempt + 1, error))
                continue
            unstamped = self.reader.unstamped
            stamped_before = self.reader.lines_read
            self.reader.feed(reply if again == reply else reply[: reply.rfind(b"\n") + 1])
            self.reader.finish()
            if self.reader.unstamped > unstamped and self.reader.lines_read == stamped_before:
                break  # `unable to retrieve container logs`: the runtime has removed it
            self._fold()
            return
        self.reader.reopen(accept_gap=True)
        if not self._saw_end:
            # It could not be read to its end, and no stream was seen to end.
            self._lose("restarted" if self.status is not None else "pod_gone")

    def _lose(self, reason: str) -> None:
        start = self.reader.cursor().last_ns or int(self.clock() * NANOS)
        ended = self.ended()
        end = ended.finished_seconds * NANOS if ended else int(self.clock() * NANOS)
        self.fold(self, Released(gaps=(Gap(reason, start, max(start, end)),)))

    def _pause(self, failures: int, error: ApiError) -> float:
        return pause_seconds(failures, error, self.random, base=self.pace.retry)

    def _fail(self, error: ApiError) -> None:
        self.errors += 1
        if self.failing_since is None:
            self.failing_since = self.clock()
            log.warning(
                "container cannot be read", extra={"status": error.status, "reason": error.reason}
            )

    async def _wait_for_change(self, seconds: float) -> None:
        self._changed.clear()
        try:
            async with asyncio.timeout(seconds):
                await self._changed.wait()
        except TimeoutError:
            pass
