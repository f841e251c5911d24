"""What delivery is given of the sealed batches, and what becomes of each."""

from __future__ import annotations

import asyncio

import pytest

from agent.ledger.entries import Answer
from agent.model import Batch
from agent.outbox import HELD_BACK, CommittedOutbox
from tests.test_gate import counting
from tests.test_ledger import batch


def outbox_of(*batches: Batch) -> CommittedOutbox:
    """Return the outbox of a document that was loaded with these batches."""
    made = counting()
    made.document.outbox = [*batches]
    made.document.identified_digest = "d"
    outbox = CommittedOutbox(made, "https://example.org", lambda: 5.0)
    outbox.may_send.set()
    return outbox


async def test_what_the_process_before_committed_is_sent_the_oldest_first() -> None:
    outbox = outbox_of(batch(seq=1), batch(seq=2))

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
    outbox = outbox_of(sealed := batch())
    if why == "discarded":
        outbox.counting.document.outbox = []
    else:
        outbox.may_send.clear()

    assert not outbox.may_leave(sealed)


async def test_of_a_rejected_batch_who_reports_is_said_again() -> None:
    outbox = outbox_of(sealed := batch())
    await outbox.attempted(sealed)
    await outbox.rejected(sealed, 400)
    document, (entry,) = outbox.counting.document, outbox.counting.ledger.entries

    assert (document.outbox, document.parked, document.identified_digest) == ([], 1, "")
    assert (entry.answer, entry.detail) == (Answer.REJECTED, "400")


@pytest.mark.parametrize("reason", ["timeout", HELD_BACK])
async def test_what_comes_of_a_batch_that_was_discarded_meanwhile_is_not_known(reason: str) -> None:
    outbox = outbox_of(sealed := batch())
    await outbox.attempted(sealed)
    outbox.counting.document.outbox = []
    await outbox.retried(sealed, reason)
    (entry,) = outbox.counting.ledger.entries

    assert (entry.answer, entry.attempts) == (Answer.WAITING, 1)
