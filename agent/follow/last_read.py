"""Reads what an ended instance has left, for as long as the pod's status still names it.

Owns the proof that a reply is this instance's log and that it came whole: a reply does not say
whose it is, a server may end it early without a sign, and `previous` may be answered with another
instance's log or with error text.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from agent.follow.audit import look_between, settle
from agent.lines import Framer, parse_stamp
from agent.model import NANOS, Gap
from agent.source import podlogs
from agent.source.api import ApiError

if TYPE_CHECKING:
    from agent.follow.instance import Follow

TORN_READS = 5
"""So many reads in a row must end with the same half of a line before it is taken to be the log's
end: it seldom is, and a server that ends its replies early does so within a line."""

NO_LOG = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.BAD_REQUEST})
MAX_REFUSALS = 3
"""After so many answers that there is no such log it is taken to be gone."""


async def read_rest(one: Follow) -> None:
    """Read an ended instance to its end; report what of it could not be had.

    Three things show that it was all: a read that brings as much as the one before (several, where
    it ends within a line), or as much as the stream had brought at its end; and, where no request
    is answered with this log any more, that the stream ended behind its container.
    """
    one.has_stopped.set()
    await one.may_finish.wait()  # those who ask end by themselves
    for suspect in tuple(one.reader.lag.suspects):
        for failures in range(1, MAX_REFUSALS + 1):
            await look_between(one, suspect)
            if suspect not in one.reader.lag.suspects:
                break
            await one.wait_for_change(one.pause_seconds(failures, None))
        settle(one, suspect, are_neighbours=False)  # if it is still there, nobody can be asked
    began = one.monotonic()
    failures = refusals = 0
    accept_gap = False
    # What a stream brought after which nothing followed is whole if a read brings as much.
    seen = one.at_end if one.saw_end else None
    times = 1
    while refusals < MAX_REFUSALS and one.monotonic() - began < one.pace.unreadable:
        if not (one.is_current() or one.is_previous()):
            break
        try:
            now = await _read_once(one, accept_gap=accept_gap)
            times = times + 1 if now == seen else 1
            if times >= (TORN_READS if now[1] else 2):
                one.reader.finish()
                one.fold_released()
                return
            seen, failures, one.failing_since = now, 0, None
            continue
        except ApiError as error:
            one.fail(error)
            failures += 1
            refusals += error.status in NO_LOG
            # A head that does not fit twice, with the object asked in between, is a rotation.
            accept_gap = one.reader.gap_suspected
            await one.wait_for_change(one.pause_seconds(failures, error))
        await one.refresh(one)
    is_whole = _ended_with_its_container(one)
    if one.reader.is_proved or not one.may_return():
        one.reader.abandon()
    # Else its Cursor stays as it is: if it is found again, its log is read on from there.
    one.fold_released()
    # A read that broke off may have forgotten what the stream had brought.
    if not is_whole or one.at_end is None or one.reader.lines_read < one.at_end[0]:
        _lose_the_rest(one)


def _ended_with_its_container(one: Follow) -> bool:
    """Whether the stream ended because its container had: then it brought everything.

    A stream that a server ended before the container finished may have left lines behind.
    """
    return (
        one.saw_end
        and one.at_end is not None
        and one.ended is not None
        and one.end_seconds >= one.ended.finished_seconds
        and not one.at_end[1]
    )


async def _read_once(one: Follow, *, accept_gap: bool) -> tuple[int, bytes]:
    """Read from the Cursor to the end of the reply; return how far that is.

    Raises `ApiError` where the reply is not, or may not be, this instance's log as it stands.
    """
    since = one.reader.cursor().since_seconds
    previous = not one.is_current()
    # One that has ended is not lost and found again, and the next may take its log away meanwhile.
    version = one.version if one.ended is None else None
    unstamped: int | None = None
    stamped = 0
    async for chunk in podlogs.read_chunks(
        one.client, one.container, since_seconds=since, previous=previous
    ):
        if unstamped is None:
            is_its = await one.is_answered(previous=previous, version=version)
            if not is_its or _is_anothers(one, chunk):
                raise ApiError(0, "another instance")
            # Only now, because what was read before is all there is if nothing comes.
            reason = one.gap_reason("rotated")
            one.reader.reopen(accept_gap=accept_gap, gap_reason=reason)
            unstamped, stamped = one.reader.unstamped, one.reader.lines_stamped
        await one.take(chunk)
        if one.reader.gap_suspected:
            raise ApiError(0, "the log does not continue")
    if unstamped is None:
        if one.reader.cursor().count or not one.reader.is_proved:
            # It does not even hold the lines that were read: the file is another one.
            raise ApiError(HTTPStatus.NOT_FOUND, "the log is empty")
        return one.reader.lines_read, one.reader.tail
    tail = one.reader.tail
    if one.reader.unstamped > unstamped or (tail and parse_stamp(tail) is None):
        # `unable to retrieve container logs` alone: the runtime has removed the container.
        is_gone = one.reader.lines_stamped == stamped
        raise ApiError(HTTPStatus.NOT_FOUND if is_gone else 0, "in-band text")
    one.reader.settle()
    if one.reader.is_broken_off:
        raise ApiError(0, "the reply broke off")
    if one.reader.gap_suspected:
        raise ApiError(0, "the log does not continue")
    return one.reader.lines_read, one.reader.tail


def _is_anothers(one: Follow, chunk: bytes) -> bool:
    """Whether a reply begins after this instance had finished, so that it is a later one's."""
    if one.ended is None or not one.ended.finished_seconds:
        return False
    stamps = filter(None, map(parse_stamp, Framer().feed(chunk)))
    first = next(iter(stamps), None)
    return first is not None and first[0] // NANOS > one.ended.finished_seconds + 1


def _lose_the_rest(one: Follow) -> None:
    # Of one of which no line was read all is lost.
    began = one.began_seconds
    start = one.reader.cursor().last_ns or int((began or one.clock()) * NANOS)
    end = one.ended.finished_seconds * NANOS if one.ended else int(one.clock() * NANOS)
    reason = one.gap_reason("restarted" if one.status is not None else "pod_gone")
    one.lose(Gap(reason, start, max(start, end)))
