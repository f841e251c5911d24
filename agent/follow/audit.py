"""Short reads beside a stream: does anything follow that it did not bring, or stand in between?

Owns when a silence is worth a request, and what its answer means for the stream.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING

from agent.lag import Neighbours
from agent.model import NANOS, Continuity, Gap
from agent.source import podlogs
from agent.source.api import ApiError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agent.follow.instance import Follow
    from agent.lag import Suspect

AUDIT_READ_SECONDS = 10.0
LAG_SILENCES = 10
"""After so many silences it is asked whether a stream that lags has reached the end of its log, at
most so often: with a clock that was set it seems to lag for ever."""

MAX_ASKED = 3
"""A server may end a reply early without a sign: only a second one as long says where a file
begins, or one that goes beyond what was read. A log that grows meanwhile is asked once more."""

MAX_DOUBLINGS = 6
"""With each doubt it is asked half as often, and so a stream has twice as long before it is ended.
"""
DEAD_SILENCES = 2
FIRST_BYTE_SILENCES = 10
"""For how long a stream may be silent although more follows what it brought, and before it brings
anything: a server may take its time."""

STEPS_AT_ONCE = 20
STEP_SECONDS = 1.0
"""After so many steps back in one stream one waits so long before the next is looked into, together
with all that came meanwhile. A longer pause would be taken for a lag."""


def wants_audit(one: Follow, due_seconds: int | None) -> bool:
    """Whether a short read would tell something: a window waits, or a pair, or it is time."""
    now = one.monotonic()
    silence, since_audit = now - one.last_bytes, now - one.last_audit
    if one.is_auditing or not _is_open(one):
        return False
    if since_audit < one.pace.silence * 2 ** min(one.doubts, MAX_DOUBLINGS):
        return False
    if one.reader.lag.suspects:
        return True
    if silence < one.pace.silence:
        return False
    if due_seconds is not None and one.holds(due_seconds):
        return True
    if one.reader.is_holding and silence > one.reader.patience_seconds + 1:
        return True
    if not one.reader.lag.is_small and since_audit >= LAG_SILENCES * one.pace.silence:
        return True
    return since_audit > one.pace.audit


async def audit(one: Follow) -> None:
    """Ask by a short read whether anything follows what was read, or stands in between."""
    began, one.last_audit = one.clock(), one.monotonic()
    for suspect in tuple(one.reader.lag.suspects):
        await look_between(one, suspect)
    silence = one.monotonic() - one.last_bytes
    since = one.reader.cursor().since_seconds
    read_before = one.reader.lines_read
    try:
        reply = await podlogs.read(
            one.client,
            one.container,
            since_seconds=since,
            previous=False,
            read_seconds=AUDIT_READ_SECONDS,
        )
    except ApiError as error:
        one.doubt(error)
        return
    if one.reader.lines_read != read_before or not _is_open(one):
        return
    verdict = one.reader.audit(reply)
    if verdict in {Continuity.CONTINUOUS, Continuity.ROTATED}:
        one.failing_since, one.doubts = None, 0
        one.reader.idle(silence)
        one.fold_released()
        if not one.reader.is_holding:
            one.clear_seconds = max(one.clear_seconds, began - (one.skew_seconds or 0.0))
        # What comes from now on has just been written.
        one.is_live = True
    elif verdict is None and one.reader.is_proved:
        one.doubt(ApiError(0, "the reply says nothing of the log"))
    elif silence > one.pace.silence * (DEAD_SILENCES if one.has_spoken else FIRST_BYTE_SILENCES):
        one.doubt(ApiError(0, "the stream is silent"))
        one.interrupt()  # a silently dead stream, or another file


def _is_open(one: Follow) -> bool:
    # A stream that has not sent a byte yet is open as well: an empty log is silent. So is one that
    # came to its end, until the next attempt: there are servers that end each at once. One whose
    # bytes are not taken yet, since the object is still asked whose they are, is not.
    is_between = one.saw_end and one.is_current() and not one.has_stopped.is_set()
    return (one.scope is not None or is_between) and not one.is_in_question


async def look_between(one: Follow, suspect: Suspect) -> None:
    """Ask whether two lines are neighbours; if not, files between them were skipped."""
    asked_first = one.asked.setdefault(suspect, one.monotonic())
    previous, version = not one.is_current(), one.version
    neighbours = await _ask(one, suspect, previous=previous)
    is_conclusive = neighbours.is_conclusive and await one.is_answered(
        previous=previous, version=version
    )
    waited = one.monotonic() - asked_first
    # A reply that broke off, or that the next instance gave, proves nothing; but windows do not
    # wait for ever.
    if neighbours.verdict or is_conclusive or waited > one.pace.unreadable:
        settle(one, suspect, are_neighbours=neighbours.verdict)


async def has_gone_on(one: Follow) -> bool:
    """Whether the stream goes on, also where its stamps ran backwards.

    A kubelet whose reader had to wait while the log was rotated more than once opens the newest
    file once for each rotation, so what stands in it is served again and again, until the log is
    asked for anew. Where a clock was set back, the log itself runs so.
    """
    while (step := one.reader.step) is not None:
        one.steps += 1
        if one.steps > STEPS_AT_ONCE:
            await asyncio.sleep(STEP_SECONDS)
        following = await _count_following(one, step)
        if following is None:
            return False
        one.reader.go_on(following)
        one.fold_released()
    return True


async def _count_following(one: Follow, step: Suspect) -> int | None:
    """Return how many of the lines behind a step follow in the log, None if it does not."""
    lines = None
    for _ in range(MAX_ASKED):
        neighbours = await _ask(one, step, one.reader.behind_step, previous=not one.is_current())
        if neighbours.verdict:
            return neighbours.following
        if not neighbours.begins_file:
            return None
        # What is stamped later than all that was read stands behind it. If the file were served
        # again, what was read last would stand in front.
        has_passed = neighbours.highest_ns > one.reader.highest_ns
        if has_passed or neighbours.lines == lines:
            return 1
        lines = neighbours.lines
    return None


async def _ask(
    one: Follow, suspect: Suspect, after: Sequence[bytes] = (), *, previous: bool
) -> Neighbours:
    neighbours = Neighbours(suspect, after)
    reply = podlogs.read_chunks(
        one.client,
        one.container,
        since_seconds=min(suspect.before_ns, suspect.after_ns) // NANOS,
        previous=previous,
        read_seconds=AUDIT_READ_SECONDS,
    )
    try:
        async with aclosing(reply):
            async for chunk in reply:
                neighbours.feed(chunk)
                if neighbours.is_done:
                    break
    except ApiError as error:
        one.fail(error)
        return Neighbours(suspect)
    return neighbours


def settle(one: Follow, suspect: Suspect, *, are_neighbours: bool) -> None:
    """Take it that two lines are neighbours, or report what stood between them."""
    if suspect not in one.reader.lag.suspects:
        return
    one.reader.lag.suspects.remove(suspect)
    if not one.reader.lag.suspects:
        one.asked.clear()
    if not are_neighbours:
        one.lose(Gap("overtaken", suspect.before_ns, suspect.after_ns))
