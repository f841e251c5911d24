"""Reads a living instance: one attempt after another, each proved to continue the one before.

Owns the order of attempts, their pauses, and the hand-over between two instances of a container.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING

from agent.follow.audit import has_gone_on
from agent.follow.last_read import NO_LOG, read_rest
from agent.model import NANOS
from agent.source import podlogs
from agent.source.api import ApiError

if TYPE_CHECKING:
    from agent.follow.instance import Follow
    from agent.model import Cursor

NO_LOG_SECONDS = 24.0
"""After so long an answer that there is no such log is final."""


class _EmptyReplyError(Exception):
    """Nothing was written yet, or the reply ended early without a sign: only a second one tells."""


async def read_instance(one: Follow) -> None:
    """Read until the instance has ended and was read to its end, or its pod has left."""
    failures = 0
    was_lost = False
    before, one.before = one.before, None
    if before is not None:
        await _take_over(before, one)
    while True:
        await one.may_read.wait()
        if one.has_left:
            one.was_put_down = True
            one.has_stopped.set()
            return
        if one.may_return() and not one.is_current() and not was_lost:
            was_lost = True
            await _wait_until_found(one)
            continue
        was_lost = False
        if one.ended is not None or not one.is_current():
            await read_rest(one)
            one.is_done = True
            return
        read_before = one.reader.lines_read
        try:
            await _attempt(one, read_before, accept_gap=one.reader.gap_suspected)
            error = None
        except ApiError as raised:
            error = raised
            one.fail(raised)
        progress = one.reader.lines_read > read_before
        # One that just grew old has not failed, and a dead one has waited already.
        has_failed = error is not None or one.saw_end
        failures = failures + 1 if has_failed and not progress else 0
        if error is None and one.saw_end and not one.reader.gap_suspected:
            pause = one.pause_seconds(failures, None) if failures else 0.0
            await one.wait_for_change(max(pause, one.pace.status_wait))
            await one.refresh(one)
        elif error is not None and not one.reader.gap_suspected:
            await one.wait_for_change(one.pause_seconds(failures, error))
        if one.reader.gap_suspected:
            # A head that does not fit, by then maybe an audit's, may be the next instance's: its
            # status comes late.
            await one.wait_for_change(one.pace.gap_confirm)


async def _wait_until_found(one: Follow) -> None:
    """Wait a little: what a runtime has lost it may find again, and mostly does so soon."""
    until = one.monotonic() + one.pace.gap_confirm
    while one.may_return() and not one.is_current() and one.monotonic() < until:
        await one.wait_for_change(until - one.monotonic())


async def _attempt(one: Follow, read_before: int, *, accept_gap: bool) -> None:
    """Read one stream from where the Cursor stands until it ends. Raises `ApiError`.

    It ends where the server ends it, where it is too old, and where its head or a step back does
    not fit. Everybody else calls `Follow.interrupt`, which ends its `scope`: an audit that found it
    dead, a status that names another instance, a full outbox, other rules, a pod that left. None of
    them says why: the next attempt reads again what was not released, and `read_instance` looks at
    the facts.
    """
    reader = one.reader
    since = reader.reopen(accept_gap=accept_gap, gap_reason=one.gap_reason("rotated"))
    one.opened += 1
    one.steps = 0
    one.saw_end = one.is_live = one.has_spoken = False
    one.last_bytes = one.monotonic()
    age = one.random.uniform(*one.pace.max_age)
    unstamped, version, is_asked = reader.unstamped, one.version, False
    try:
        async with asyncio.timeout(None) as one.scope:
            async for chunk in podlogs.follow(
                one.client,
                one.container,
                since_seconds=since,
                max_age_seconds=age,
                gather_seconds=one.pace.gather,
            ):
                one.last_bytes = one.monotonic()
                if not is_asked and (accept_gap or not reader.lines_read):
                    is_asked = True
                    if not await _is_its_own(one, version):
                        return
                await one.take(chunk, now_ns=int(one.clock() * NANOS))
                if reader.is_proved:
                    one.was_held_back = False
                    if not one.doubts or reader.lines_read > read_before:
                        one.failing_since = None
                if reader.gap_suspected or not await has_gone_on(one):
                    return
                del chunk  # a quiet stream must not keep it
            one.saw_end, one.end_seconds = True, one.node_seconds()
            # A reply that lacks what was counted is not the log up to its end.
            one.at_end = None if reader.is_broken_off else (reader.lines_read, reader.tail)
    except TimeoutError:
        return  # it is old enough, or an audit or the outbox has asked for another attempt
    finally:
        one.scope = None
    if reader.unstamped > unstamped:
        # In-band text without a stamp ends an attempt like an error.
        one.at_end = None
        raise ApiError(0, "in-band text")


async def _is_its_own(one: Follow, version: int) -> bool:
    """Whether a log that nothing proves is this instance's, as the object says by now.

    The watch may be behind, another pod have the name, and the object have changed since the
    request. Raises `ApiError` while nobody can be asked; but windows do not wait for ever.
    """
    one.is_in_question = True
    try:
        uid = await one.refresh(one)
    finally:
        one.is_in_question = False
        one.last_bytes = one.monotonic()  # it was not the stream that was silent
    if uid is None and not one.is_unreadable():
        raise ApiError(0, "nobody says whose log it is")
    if uid == "" and not one.reader.lines_read:
        return True  # all that a pod has said which is gone by now
    return one.is_as_before(version) and one.is_current()


async def _take_over(before: Follow, after: Follow) -> None:
    """Take over the lines that were counted as the previous instance's but are the next one's.

    A status comes later than the container: a stream that is opened meanwhile already brings
    the new instance's log. Whose lines they were is told by content, not by time.
    """
    try:
        # It stops as soon as it may: it is not the current one any more. While the outbox is full
        # neither is read.
        await before.has_stopped.wait()
        if before.was_put_down:
            after.leave()
        else:
            with suppress(TimeoutError):
                async with asyncio.timeout(after.pace.unreadable):
                    await _ask_until_answered(before, after)
            # What is held may be the next instance's, too: what is this one's is read again.
            before.reader.forget()
    finally:
        before.end_asking()


async def _ask_until_answered(before: Follow, after: Follow) -> None:
    """Ask as long as an unreadable log is waited for: neither can be read meanwhile, either."""
    began, failures, was_empty = after.monotonic(), 0, False
    while True:
        try:
            await _ask_whose(before, after, believes_empty=was_empty)
        except _EmptyReplyError:
            was_empty = True
            await asyncio.sleep(after.pace.retry)
        except ApiError as error:
            for one in (before, after):
                one.fail(error)
            waited = after.monotonic() - began
            if error.status in NO_LOG and after.is_previous() and waited > NO_LOG_SECONDS:
                return
            failures += 1
            await asyncio.sleep(after.pause_seconds(failures, error))
        else:
            before.failing_since = after.failing_since = None
            return


async def _ask_whose(before: Follow, after: Follow, *, believes_empty: bool) -> None:
    # Seen late, this instance may have been followed by the next one already; the replies do not
    # say whose they are, so the object is asked first.
    uid = await after.refresh(after)
    if uid is None and not after.is_unreadable():
        # Lost by its runtime meanwhile, it would be answered for with the log of the one before.
        raise ApiError(0, "nobody says whose log it is")
    previous, version = not after.is_current(), after.version
    if previous and not after.is_previous():
        return  # no request is answered with its log any more
    for place in before.reader.places():
        is_its = await _is_continued_by(
            after, place, previous=previous, believes_empty=believes_empty
        )
        part = before.reader.part_of(place) if place in before.reader.places() else 0
        if is_its and not await after.is_answered(previous=previous, version=version):
            raise ApiError(0, "another instance")
        if is_its and after.reader.take_over(before.reader, place):
            after.taken_over(before, after, part)
            return


async def _is_continued_by(
    one: Follow, place: Cursor, *, previous: bool, believes_empty: bool
) -> bool:
    """Whether an instance's log has the lines in front of a place.

    Raises `_EmptyReplyError`, and `ApiError` where the reply does not say.
    """
    claim = one.reader.claim(place)
    reply = podlogs.read_chunks(
        one.client, one.container, since_seconds=place.since_seconds, previous=previous
    )
    async with aclosing(reply):
        async for chunk in reply:
            claim.feed(chunk)
            if claim.is_decided:
                break
    if claim.is_empty and not believes_empty:
        raise _EmptyReplyError
    answer = claim.answer()
    if answer is None:
        raise ApiError(0, "the reply does not say whose it is")
    return answer
