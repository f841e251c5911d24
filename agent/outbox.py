"""The sealed batches as delivery sees them: only what is committed is handed out.

Owns the knowledge of what the last commit held, and tells the ledger what became of each batch.
That a batch is about to be attempted, and where, is committed before a byte of it leaves: one that
was attempted ends there, any other goes to whatever destination there is.
Removing a batch is part of the next commit, so a crash in between sends it again with the same ids.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final, TypeAlias

from attrs import define, evolve, field

from agent.ledger.entries import Answer
from agent.sink.batch import batch_array
from agent.state.document import put_batch

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.counting import Counting
    from agent.ledger.entries import Entry
    from agent.model import Batch
    from agent.sink.destination import Destination

HELD_BACK: Final = "switched_off"
"""The reason of a retry that was no attempt: not a byte of the batch has left."""

BatchKey: TypeAlias = tuple[int, int]
"""`seq` and `part`, which tell batches apart."""

log = logging.getLogger(__name__)


@define(eq=False)
class CommittedOutbox:
    """The outbox of the one document; `sink.deliver` takes batches from here.

    Until `may_send` is set it takes none.
    """

    counting: Counting
    destination: Destination
    clock: Callable[[], float]
    may_send: asyncio.Event = field(factory=asyncio.Event)
    _committed: frozenset[BatchKey] = frozenset()
    _changed: asyncio.Event = field(factory=asyncio.Event)
    _untried: dict[BatchKey, Batch] = field(factory=dict)
    """What was marked here and of which the destination has nothing, as it was before."""
    _in_hand: Batch | None = None
    """The one that is being attempted, if it is one of these."""
    _is_waiting: bool = False
    _before: Entry | None = None

    def __attrs_post_init__(self) -> None:
        # What was loaded was committed by the process before.
        self._committed = self.keys()

    def keys(self) -> frozenset[BatchKey]:
        """Return which batches are marked as attempted: these may leave once it is committed."""
        return frozenset(_key(batch) for batch in self.counting.document.outbox if batch.place)

    def commit(self, marked: frozenset[BatchKey]) -> None:
        """Take it that these batches are committed as attempted."""
        self._committed = marked
        self._changed.set()

    def offer(self) -> None:
        """Mark the oldest batch, if delivery waits for one, for the next commit to hold it so."""
        if self._is_waiting and self.may_send.is_set() and self.counting.document.outbox:
            self._mark(self.counting.document.outbox[0])

    async def next(self) -> Batch:
        """Wait for a committed batch and return the oldest, as it was before it was marked."""
        while True:
            await self.may_send.wait()
            outbox = self.counting.document.outbox
            if outbox and outbox[0].place and not self.destination.is_place_of(outbox[0].place):
                await self._park(outbox[0])
                continue
            if outbox:
                self._mark(outbox[0])
                key = _key(outbox[0])
                if key in self._committed:
                    return self._untried.get(key, outbox[0])
            self._changed.clear()
            self._is_waiting = True
            try:
                await self._changed.wait()
            finally:
                self._is_waiting = False

    def _mark(self, batch: Batch) -> None:
        if batch.place:
            return
        self._untried[_key(batch)] = batch
        put_batch(
            self.counting.document, evolve(batch, attempted=True, place=self.destination.place)
        )
        self.counting.is_dirty = self.counting.is_urgent = True

    def take_back(self) -> None:
        """At an orderly end, mark no more what the destination has nothing of: it may go elsewhere.

        Until then State says that it may have it, which an attempt under way could make true.
        """
        for batch in self._untried.values():
            put_batch(self.counting.document, batch)

    def may_leave(self, batch: Batch) -> bool:
        """Whether a batch may be sent at this instant: it may have been discarded since `next`."""
        return self.may_send.is_set() and _key(batch) in self._committed & self.keys()

    async def attempted(self, batch: Batch) -> None:
        """Note that the batch is about to be given to the destination.

        It is in the ledger before a byte of it leaves.
        """
        self._in_hand = self._untried.pop(_key(batch), None)
        self._before = self.counting.ledger.send(
            batch,
            array=batch_array(batch),
            shown=self.counting.show(batch),
            destination=self.destination.name,
            now_seconds=int(self.clock()),
        )
        await self.counting.ledger.save()

    async def delivered(self, batch: Batch) -> None:
        """Remove a batch that was accepted."""
        self._drop(batch)
        await self._note(batch, Answer.DELIVERED)

    async def retried(self, batch: Batch, reason: str, *, is_untaken: bool) -> None:
        """Note that a batch was not accepted and why; it stays, unless it was discarded."""
        if is_untaken and self._in_hand is not None:
            self._untried[_key(batch)] = self._in_hand
        if all(_key(batch) != _key(one) for one in self.counting.document.outbox):
            return
        if reason == HELD_BACK:
            self.counting.ledger.hold_back(batch_array(batch), self._before, why=reason)
            await self.counting.ledger.save()
        else:
            await self._note(batch, Answer.RETRY, reason)

    async def rejected(self, batch: Batch, status: int) -> None:
        """Park a batch that will never be accepted: the ledger keeps it."""
        self._end(batch)
        await self._note(batch, Answer.REJECTED, str(status))

    async def given_up(self, batch: Batch) -> None:
        """Park a batch that the destination may have, and may not get again."""
        self._end(batch)
        await self._note(batch, Answer.WAITING, "at_most_once")

    async def _park(self, batch: Batch) -> None:
        """Park a batch that another destination may have, so that this one must not get it."""
        log.error(
            "batch parked, the destination has changed",
            extra={"seq": batch.seq, "part": batch.part, "events": batch.events},
        )
        now, array = int(self.clock()), batch_array(batch)
        # The process that attempted it may have kept it in memory alone.
        why = "destination_changed"
        self.counting.ledger.keep_unsent(batch, array=array, why=why, now_seconds=now)
        self._end(batch)
        await self._note(batch, Answer.WAITING, why)

    def _end(self, batch: Batch) -> None:
        self.counting.document.parked += 1
        # Who reports may have been in it; it is said again with the next window.
        self.counting.document.identified_digest = ""
        self._drop(batch)

    def _drop(self, batch: Batch) -> None:
        self._untried.pop(_key(batch), None)
        self.counting.drop_batch(batch)

    async def _note(self, batch: Batch, answer: Answer, detail: str = "") -> None:
        ledger = self.counting.ledger
        now = int(self.clock())
        ledger.answer(batch_array(batch), answer, detail=detail, now_seconds=now)
        await ledger.save()


def _key(batch: Batch) -> BatchKey:
    return batch.seq, batch.part
