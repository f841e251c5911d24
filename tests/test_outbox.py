"""What delivery is given of the sealed batches, and what becomes of each."""

from __future__ import annotations

import asyncio

import pytest
from attrs import evolve

from agent.ledger.entries import Answer
from agent.model import Batch
from agent.outbox import HELD_BACK, CommittedOutbox
from agent.sink.destination import Destination
from tests.test_gate import counting
from tests.test_ledger import batch

THERE = Destination(endpoint="https://example.org")


def given(one: Batch) -> Batch:
    """Return a batch as State has it once it was given to the destination."""
    return evolve(one, attempted=True, place=THERE.place)


def outbox_of(*batches: Batch) -> CommittedOutbox:
    """Return the outbox of a document that was loaded with these batches."""
    made = counting()
    made.document.outbox = [*batches]
    made.document.identified_digest = "d"
    outbox = CommittedOutbox(made, THERE, lambda: 5.0)
    outbox.may_send.set()
    return outbox


async def test_what_the_process_before_committed_is_sent_the_oldest_first() -> None:
    outbox = outbox_of(given(batch(seq=1)), batch(seq=2))

    assert (await outbox.next()).seq == 1


async def test_a_batch_is_waited_for_until_it_is_committed() -> None:
    outbox, sealed = outbox_of(), batch()
    outbox.counting.document.outbox = [sealed]
    waiting = asyncio.create_task(outbox.next())
    await asyncio.sleep(0)
    before = waiting.done(), outbox.may_leave(sealed)
    outbox.commit(outbox.keys())
    found = await asyncio.wait_for(waiting, 1)

    assert (before, found, outbox.may_leave(sealed)) == ((False, False), sealed, True)


@pytest.mark.parametrize("why", ["switched off", "discarded"])
async def test_a_batch_that_may_not_be_sent_any_more_does_not_leave(why: str) -> None:
    outbox = outbox_of(sealed := given(batch()))
    if why == "discarded":
        outbox.counting.document.outbox = []
    else:
        outbox.may_send.clear()

    assert not outbox.may_leave(sealed)


async def test_of_a_rejected_batch_who_reports_is_said_again() -> None:
    outbox = outbox_of(sealed := given(batch()))
    await outbox.attempted(sealed)
    await outbox.rejected(sealed, 400)
    document, (entry,) = outbox.counting.document, outbox.counting.ledger.entries

    assert (document.outbox, document.parked, document.identified_digest) == ([], 1, "")
    assert (entry.answer, entry.detail) == (Answer.REJECTED, "400")


@pytest.mark.parametrize("reason", ["timeout", HELD_BACK])
async def test_what_comes_of_a_batch_that_was_discarded_meanwhile_is_not_known(reason: str) -> None:
    outbox = outbox_of(sealed := given(batch()))
    await outbox.attempted(sealed)
    outbox.counting.document.outbox = []
    await outbox.retried(sealed, reason, is_untaken=False)
    (entry,) = outbox.counting.ledger.entries

    assert (entry.answer, entry.attempts) == (Answer.WAITING, 1)


async def test_attempts_that_nothing_was_taken_of_cost_no_write_each() -> None:
    """State has the batch as attempted throughout, and an orderly end takes that back."""
    outbox = outbox_of(batch())
    made = outbox.counting
    waiting = asyncio.create_task(outbox.next())
    await asyncio.sleep(0)
    outbox.commit(outbox.keys())
    first = await waiting
    made.is_dirty = made.is_urgent = False
    for _ in range(3):
        await outbox.attempted(first)
        await outbox.retried(first, "connection", is_untaken=True)
        assert await outbox.next() == first
        assert [bool(one.place) for one in made.document.outbox] == [True]
    outbox.take_back()

    assert (made.is_dirty, made.is_urgent) == (False, False)
    assert made.document.outbox == [batch()]


async def test_what_is_being_attempted_at_an_end_may_have_been_taken() -> None:
    outbox = outbox_of(batch())
    waiting = asyncio.create_task(outbox.next())
    await asyncio.sleep(0)
    outbox.commit(outbox.keys())
    one = await waiting
    await outbox.attempted(one)
    await outbox.retried(one, "rate_limited", is_untaken=True)
    await outbox.attempted(one)
    outbox.take_back()

    assert [found.place for found in outbox.counting.document.outbox] == [THERE.place]


async def test_a_batch_is_marked_with_the_commit_of_its_window() -> None:
    """Where delivery waits for one, it needs no commit of its own."""
    outbox = outbox_of()
    waiting = asyncio.create_task(outbox.next())
    await asyncio.sleep(0)
    outbox.counting.document.outbox = [batch()]
    outbox.offer()
    outbox.commit(outbox.keys())

    assert await asyncio.wait_for(waiting, 1) == batch()
    assert outbox.may_leave(batch())


async def test_a_batch_is_not_marked_for_a_delivery_that_does_not_wait() -> None:
    """At an end, and while a switch cannot be read, nothing is about to be sent."""
    outbox = outbox_of(batch())
    outbox.offer()
    waiting = asyncio.create_task(outbox.next())
    outbox.may_send.clear()
    await asyncio.sleep(0)
    outbox.offer()
    waiting.cancel()

    assert not outbox.keys()


async def test_what_was_committed_before_it_was_marked_waits_for_another_commit() -> None:
    """Else it would leave before State says that it was given away, and where."""
    outbox = outbox_of()
    outbox.counting.document.outbox = [batch()]
    outbox.commit(outbox.keys())
    waiting = asyncio.create_task(outbox.next())
    for _ in range(3):
        await asyncio.sleep(0)
    before = waiting.done(), outbox.may_leave(batch())
    outbox.commit(outbox.keys())

    assert before == (False, False)
    assert await asyncio.wait_for(waiting, 1) == batch()


async def test_what_may_not_leave_any_more_is_not_handed_out() -> None:
    """The installation could not be told of it, so nothing that was committed may leave."""
    outbox = outbox_of(given(batch()))
    outbox.commit(frozenset())
    waiting = asyncio.create_task(outbox.next())
    for _ in range(3):
        await asyncio.sleep(0)
    waiting.cancel()

    assert not outbox.may_leave(batch())
    assert waiting.cancelling()


async def test_a_batch_that_may_have_been_taken_once_stays_so() -> None:
    outbox = outbox_of(batch())
    waiting = asyncio.create_task(outbox.next())
    await asyncio.sleep(0)
    outbox.commit(outbox.keys())
    one = await waiting
    for is_untaken in (False, True):
        await outbox.attempted(one)
        await outbox.retried(one, "connection", is_untaken=is_untaken)
    outbox.take_back()

    assert [found.place for found in outbox.counting.document.outbox] == [THERE.place]


async def test_of_a_batch_that_is_given_up_who_reports_is_said_again() -> None:
    outbox = outbox_of(one := given(batch()))
    await outbox.attempted(one)
    await outbox.given_up(one)
    document, (entry,) = outbox.counting.document, outbox.counting.ledger.entries

    assert (document.outbox, document.parked, document.identified_digest) == ([], 1, "")
    assert (entry.answer, entry.detail) == (Answer.WAITING, "at_most_once")
