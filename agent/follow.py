"""Follows one container instance from where its Cursor stands to its end.

Owns the attempts, the silences and the last read of one instance. Must not know windows or
destinations: what a reader releases goes to `fold` at once, in the same step. No queue stands
between: reading waits while folding works, and TCP holds the rest back.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import aclosing, suppress
from http import HTTPStatus
from typing import TYPE_CHECKING

from attrs import define, field, frozen

from agent.lag import Neighbours
from agent.model import NANOS, Continuity, Gap, Released
from agent.source import podlogs
from agent.source.api import ApiError
from agent.source.discovery import pause_seconds

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from random import Random

    from agent.lag import Suspect
    from agent.model import Container
    from agent.reader import Reader
    from agent.source.api import Client
    from agent.source.discovery import ContainerStatus, Ended

log = logging.getLogger(__name__)

AUDIT_READ_SECONDS = 10.0
TAKE_OVER_SECONDS = 30.0
MAX_LAST_READS = 6
MAX_SKEW_SECONDS = 120.0
"""How far the clocks of agent and node may be apart before lines come late."""


@frozen
class Pace:
    """How long things take: the waits of following and ticking, in seconds.

    `max_age` bounds a stream, since servers stop following rotations in silence
    (kubernetes/kubernetes#115702);
    after `unreadable` a window no longer waits for a container; a container's status comes
    `status_wait` after its stream ends, and a log that does not fit is believed after
    `gap_confirm`; after a silence of `silence` a short read may ask, at least every `audit`.
    Failures wait `retry`, doubling, with jitter. The user's rule files are looked at every `rules`.
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
    rules: float = 5.0


@define(eq=False)
class Follow:
    """One container instance that is being read.

    `status` is the latest picture of its container, None once the pod is gone. `clear_seconds` is
    the agent's time up to which nothing is left to read. `before` is the previous instance of the
    same container while it is still being read.
    """

    container: Container
    reader: Reader
    client: Client
    clock: Callable[[], float]
    random: Random
    fold: Callable[[Follow, Released], None]
    may_read: asyncio.Event
    pace: Pace
    taken_over: Callable[[Follow, Follow], None]
    refresh: Callable[[Follow], Awaitable[None]]
    before: Follow | None = None
    may_finish: asyncio.Event = field(factory=asyncio.Event)
    has_stopped: asyncio.Event = field(factory=asyncio.Event)
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
    _end_seconds: float = 0.0
    _is_live: bool = False
    _was_held_back: bool = False
    _ended: Ended | None = None
    _changed: asyncio.Event = field(factory=asyncio.Event)
    _scope: asyncio.Timeout | None = None

    def take_status(self, status: ContainerStatus | None, *, is_deleting: bool) -> None:
        """Take a new picture of the container."""
        if status != self.status:
            self._changed.set()
        self.status, self.is_deleting = status, is_deleting
        for one in (status.ended, status.last_ended) if status is not None else ():
            if one is not None and one.container_id == self.container.container_id:
                self._ended = one
        if status is not None and not self.is_current():
            # The stream may be the next instance's already: what is left is read by id.
            self.interrupt()

    def ended(self) -> Ended | None:
        """Return how this instance ended, if a status ever said so."""
        return self._ended

    def is_current(self) -> bool:
        """Whether a plain log request is answered with this instance's log."""
        return self.status is not None and self.status.container_id == self.container.container_id

    async def run(self) -> None:
        """Read until the instance has ended and was read to its end."""
        failures = 0
        accept_gap = False
        before, self.before = self.before, None
        if before is not None:
            await self._take_over(before)
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
                # The watch may be behind; the object itself says which instance there is now.
                await self.refresh(self)
            elif error is not None:
                await self._wait_for_change(self._pause(failures, error))
            elif self._saw_end:
                await self._wait_for_change(self.pace.status_wait)
                await self.refresh(self)

    async def _attempt(self, *, accept_gap: bool) -> None:
        since = self.reader.reopen(accept_gap=accept_gap, gap_reason=self._gap_reason("rotated"))
        self.opened += 1
        self._saw_end = self._is_live = False
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
                    await self.take(chunk, now_ns=int(self.clock() * NANOS))
                    if self.reader.is_proved:
                        self._was_held_back = False
                    if self.reader.gap_suspected:
                        return
                self._saw_end, self._end_seconds = True, self.clock()
        except TimeoutError:
            return  # an audit, or the outbox, has asked for another attempt
        finally:
            self._scope = None
        if self.reader.unstamped > unstamped:
            # In-band text without a stamp ends an attempt like an error.
            raise ApiError(0, "in-band text")

    async def take(self, chunk: bytes, *, now_ns: int | None = None) -> None:
        """Feed the reader and fold what it releases, in one step; then give the loop a turn."""
        self.reader.feed(chunk, now_ns=now_ns)
        self._fold()
        await asyncio.sleep(0)

    def _fold(self) -> None:
        released = self.reader.take()
        if released.last_ns:
            self.released_seconds = max(self.released_seconds, released.last_ns / NANOS)
            if self._is_live:
                # The smallest delay of a fresh line is the difference of the two clocks, at most.
                lag = min(max(0.0, self.clock() - released.last_ns / NANOS), MAX_SKEW_SECONDS)
                known = self.skew_seconds
                self.skew_seconds = lag if known is None else min(lag, known)
                self.reader.lag.skew_ns = int(self.skew_seconds * NANOS)
        self.fold(self, released)

    def interrupt(self) -> None:
        """End the running attempt; the next one begins where the Cursor stands."""
        if self._scope is not None:
            self._scope.reschedule(asyncio.get_running_loop().time())

    def hold_back(self) -> None:
        """Stop reading until there is room for what it counts; the Cursor stays."""
        self._was_held_back = True
        self.interrupt()

    def _gap_reason(self, otherwise: str) -> str:
        """Name why lines are gone: because we did not read, if that is so."""
        return "backpressure" if self._was_held_back else otherwise

    def holds(self, end_seconds: int) -> bool:
        """Whether lines stamped before `end_seconds` may still come from this instance."""
        if self.is_done:
            return False
        if self.reader.lag.suspects and not self.is_unreadable():
            return True
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
        if min(silence, since_audit) < 0:
            # The clock was set back: begin to measure anew.
            self._last_bytes = self._last_audit = now
        if self.is_auditing or not self._is_open():
            return False
        if self.reader.lag.suspects:
            return since_audit >= self.pace.silence
        if min(silence, since_audit) < self.pace.silence:
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
        """Ask by a short read whether anything follows what was read, or stands in between."""
        self._last_audit = began = self.clock()
        for suspect in tuple(self.reader.lag.suspects):
            await self._look_between(suspect)
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
                self.clear_seconds = max(self.clear_seconds, began - (self.skew_seconds or 0.0))
            # What comes from now on has just been written.
            self._is_live = True
        elif began - self._last_bytes > 2 * self.pace.silence:
            self.interrupt()  # a silently dead stream, or another file

    async def _look_between(self, suspect: Suspect) -> None:
        """Ask whether two lines are neighbours; if not, files between them were skipped."""
        neighbours = Neighbours(suspect)
        reply = podlogs.read_chunks(
            self.client,
            self.container,
            since_seconds=suspect.before_ns // NANOS,
            previous=not self.is_current(),
            read_seconds=AUDIT_READ_SECONDS,
        )
        try:
            async with aclosing(reply):
                async for chunk in reply:
                    neighbours.feed(chunk)
                    if neighbours.verdict:
                        break
        except ApiError as error:
            self._fail(error)
            return
        self._clear(suspect)
        if not neighbours.verdict:
            self._overtaken(suspect)

    def _clear(self, suspect: Suspect) -> None:
        with suppress(ValueError):
            self.reader.lag.suspects.remove(suspect)

    def _overtaken(self, suspect: Suspect) -> None:
        gap = Gap("overtaken", suspect.before_ns, suspect.after_ns)
        self.fold(self, Released(gaps=(gap,)))

    async def _read_rest(self) -> None:
        """Read an ended instance to its end, by its id and not by `previous` alone."""
        self.has_stopped.set()
        for suspect in tuple(self.reader.lag.suspects):
            await self._look_between(suspect)
            if suspect in self.reader.lag.suspects:
                # Nobody can be asked any more.
                self._clear(suspect)
                self._overtaken(suspect)
        await _wait(self.may_finish, TAKE_OVER_SECONDS)
        accept_gap = False
        for attempt in range(MAX_LAST_READS):
            if self.status is None or (not self.is_current() and self.ended() is None):
                break
            try:
                if await self._read_to_the_end(accept_gap=accept_gap):
                    return
                break
            except ApiError as error:
                self._fail(error)
                if error.status in {HTTPStatus.NOT_FOUND, HTTPStatus.BAD_REQUEST}:
                    break
                # A head that does not fit twice, with the object asked in between, is a rotation.
                accept_gap = self.reader.gap_suspected
                await self._wait_for_change(self._pause(attempt + 1, error))
                await self.refresh(self)
        is_whole = self._ended_with_its_container()
        self.reader.finish()
        self._fold()
        if not is_whole:
            reason = "restarted" if self.status is not None else "pod_gone"
            self._lose(self._gap_reason(reason))

    def _ended_with_its_container(self) -> bool:
        """Whether the stream ended because its container had: then it brought everything.

        A stream that a server ended before the container finished may have left lines behind.
        """
        ended = self.ended()
        return (
            self._saw_end
            and ended is not None
            and self._end_seconds >= ended.finished_seconds
            and not self.reader.tail
        )

    async def _read_to_the_end(self, *, accept_gap: bool) -> bool:
        """Read what is left; return whether the reply was the log of this instance."""
        since = self.reader.cursor().since_seconds
        previous = not self.is_current()
        is_open = False
        unstamped = stamped = 0
        async for chunk in podlogs.read_chunks(
            self.client, self.container, since_seconds=since, previous=previous
        ):
            if not is_open:
                # The reply does not say whose it is: the object must still say the same.
                await self.refresh(self)
                if previous is self.is_current():
                    raise ApiError(0, "another instance")
                # Only now, because what was read before is all there is if nothing comes.
                reason = self._gap_reason("rotated")
                self.reader.reopen(accept_gap=accept_gap, gap_reason=reason)
                unstamped, stamped = self.reader.unstamped, self.reader.lines_read
                is_open = True
            await self.take(chunk)
            if self.reader.gap_suspected:
                raise ApiError(0, "the log does not continue")
        if is_open and self.reader.tail and not await self._ends_the_same(since, previous=previous):
            raise ApiError(0, "the end of the log has changed")
        self.reader.finish()
        self._fold()
        if not is_open:
            return self._ended_with_its_container() or not self.reader.cursor().count
        # `unable to retrieve container logs`: the runtime has removed the container.
        return self.reader.unstamped == unstamped or self.reader.lines_read > stamped

    async def _ends_the_same(self, since: int, *, previous: bool) -> bool:
        """Whether a second read shows the same unterminated last line: then it is a line."""
        end = b""
        async for chunk in podlogs.read_chunks(
            self.client, self.container, since_seconds=since, previous=previous
        ):
            end = (end + chunk)[-len(self.reader.tail) - 1 :]
        return end.endswith(self.reader.tail)

    async def _take_over(self, before: Follow) -> None:
        """Take over the lines that were counted as the previous instance's but are this one's.

        A status comes later than the container: a stream that is opened meanwhile already brings
        the new instance's log. Whose lines they were is told by content, not by time.
        """
        try:
            await _wait(before.has_stopped, TAKE_OVER_SECONDS)
            cursor = before.reader.cursor()
            if cursor.total:
                reply = await podlogs.read(
                    self.client, self.container, since_seconds=cursor.since_seconds, previous=False
                )
                if self.reader.take_over(before.reader, reply):
                    self.taken_over(before, self)
        except ApiError as error:
            self._fail(error)
        finally:
            before.may_finish.set()

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
        await _wait(self._changed, seconds)


async def _wait(event: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
