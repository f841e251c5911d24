"""The sealed batches as delivery sees them: only what is committed is handed out.

Owns the knowledge of what the last commit held, and tells the ledger what became of each batch.
Removing a batch is part of the next commit, so a crash in between sends it again with the same ids.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, TypeAlias

from attrs import define, field

from agent.ledger.entries import Answer
from agent.sink.batch import batch_array
from agent.state.document import mark_attempted

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.counting import Counting
    from agent.ledger.entries import Entry
    from agent.model import Batch

HELD_BACK: Final = "switched_off"
"""The reason of a retry that was no attempt: not a byte of the batch has left."""

BatchKey: TypeAlias = tuple[int, int]
"""`seq` and `part`, which tell batches apart."""


@define(eq=False)
class CommittedOutbox:
    """The outbox of the one document; `sink.deliver` takes batches from here.

    Until `may_send` is set it takes none.
    """

    counting: Counting
    destination: str
    clock: Callable[[], float]
    may_send: asyncio.Event = field(factory=asyncio.Event)
    _committed: frozenset[BatchKey] = frozenset()
    _changed: asyncio.Event = field(factory=asyncio.Event)
    _before: Entry | None = None

    def __attrs_post_init__(self) -> None:
        # What was loaded was committed by the process before.
        self._committed = self.keys()

    def keys(self) -> frozenset[BatchKey]:
        """Return which batches are sealed now."""
        return frozenset((batch.seq, batch.part) for batch in self.counting.document.outbox)

    def commit(self, sealed: frozenset[BatchKey]) -> None:
        """Take it that these batches are committed."""
        self._committed = sealed
        self._changed.set()

    async def next(self) -> Batch:
        """Wait for a committed batch and return the oldest."""
        while True:
            await self.may_send.wait()
            for batch in self.counting.document.outbox:
                if (batch.seq, batch.part) in self._committed:
                    return batch
            self._changed.clear()
            await self._changed.wait()

    def may_leave(self, batch: Batch) -> bool:
        """Whether a batch may be sent at this instant: it may have been discarded since `next`."""
        key = (batch.seq, batch.part)
        return self.may_send.is_set() and key in self._committed & self.keys()

    async def attempted(self, batch: Batch) -> None:
        """Note that the batch is about to be given to the destination.

        It is in the ledger before a byte of it leaves.
        """
        mark_attempted(self.counting.document, batch)
        self._before = self.counting.ledger.send(
            batch,
            array=batch_array(batch),
            destination=self.destination,
            now_seconds=int(self.clock()),
        )
        await self.counting.ledger.save()

    async def delivered(self, batch: Batch) -> None:
        """Remove a batch that was accepted."""
        self.counting.drop_batch(batch)
        await self._note(batch, Answer.DELIVERED)

    async def retried(self, batch: Batch, reason: str) -> None:
        """Note that a batch was not accepted and why; it stays, unless it was discarded."""
        if (batch.seq, batch.part) not in self.keys():
            return
        if reason == HELD_BACK:
            self.counting.ledger.hold_back(batch_array(batch), self._before, why=reason)
            await self.counting.ledger.save()
        else:
            await self._note(batch, Answer.RETRY, reason)

    async def rejected(self, batch: Batch, status: int) -> None:
        """Park a batch that will never be accepted: the ledger keeps it."""
        self.counting.document.parked += 1
        # Who reports may have been in it; it is said again with the next window.
        self.counting.document.identified_digest = ""
        self.counting.drop_batch(batch)
        await self._note(batch, Answer.REJECTED, str(status))

    async def _note(self, batch: Batch, answer: Answer, detail: str = "") -> None:
        ledger = self.counting.ledger
        now = int(self.clock())
        ledger.answer(batch_array(batch), answer, detail=detail, now_seconds=now)
        await ledger.save()
