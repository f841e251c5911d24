"""All kept reports of this process, newest last, and their way to a directory.

Owns the bounds, the numbering, and that a report is kept before it is given to the destination.
Must not know destinations or windows. A directory that cannot be written stops nothing: it is said
and counted, and the report is kept in memory.
"""

from __future__ import annotations

import asyncio
import gzip
import logging
from typing import TYPE_CHECKING

from attrs import define, evolve, field

from agent.ledger.entries import Answer, Entry, digest_of, find_number, summarize

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agent.ledger.directory import Directory
    from agent.model import Batch

log = logging.getLogger(__name__)

MAX_ENTRIES = 200
MAX_BYTES = 4 << 20
"""Of the arrays; in memory they are compressed, on disk they are as they were sent."""
SAVE_SECONDS = 30


@define(eq=False)
class Ledger:
    """The entries by number, oldest first. Without a directory they end with the process."""

    directory: Directory | None = None
    max_entries: int = MAX_ENTRIES
    max_bytes: int = MAX_BYTES
    dropped: int = 0
    failures: int = 0
    _entries: dict[int, Entry] = field(factory=dict)
    _numbers: dict[str, int] = field(factory=dict)
    _last: int = 0
    _bytes: int = 0
    _changed: set[int] = field(factory=set)
    _gone: set[int] = field(factory=set)
    _lock: asyncio.Lock = field(factory=asyncio.Lock)
    _writing: asyncio.Future[None] | None = None
    _is_failing: bool = False

    @property
    def entries(self) -> tuple[Entry, ...]:
        """All entries, the newest first."""
        return tuple(reversed(self._entries.values()))

    @property
    def total_bytes(self) -> int:
        """The bytes of all arrays."""
        return self._bytes

    def find(self, name: str) -> Entry | None:
        """Return an entry by its number, or by enough of its digest."""
        return find_entry(self.entries, name)

    def send(
        self,
        batch: Batch,
        *,
        array: bytes,
        destination: str,
        now_seconds: int,
        shown: bytes | None = None,
    ) -> Entry | None:
        """Keep a batch that is about to be given to the destination, for the first time or again.

        `array` is what was sealed, `shown` what the destination is given of it, where that differs.
        Until there is an answer it is not known what became of it. Return what was known before.
        """
        before = self._entries.get(self._numbers.get(digest_of(array), 0))
        entry = self._keep(batch, array, shown, now_seconds=now_seconds, destination=destination)
        if before is not None and before.number != entry.number:
            # It goes elsewhere, in other words.
            before = evolve(before, answer=Answer.DISCARDED, detail="destination_changed")
            self._put(evolve(before, at_seconds=now_seconds))
            before = None
        self._put(
            evolve(
                entry,
                at_seconds=now_seconds,
                destination=destination,
                answer=Answer.WAITING,
                detail="",
                attempts=entry.attempts + 1,
            )
        )
        return before

    def hold_back(self, array: bytes, before: Entry | None, *, why: str) -> None:
        """Take back that a batch was given to the destination: what was known before holds."""
        number = self._numbers.get(digest_of(array))
        if number is not None:
            entry = evolve(self._entries[number], answer=Answer.RETRY, detail=why, attempts=0)
            self._put(before or entry)

    def answer(self, array: bytes, answer: Answer, *, detail: str = "", now_seconds: int) -> None:
        """Note what the destination said to a batch that `send` has kept."""
        number = self._numbers.get(digest_of(array))
        if number is not None:
            entry = self._entries[number]
            self._put(evolve(entry, answer=answer, detail=detail, at_seconds=now_seconds))

    def discard(self, arrays: Iterable[bytes], *, why: str, now_seconds: int) -> None:
        """Note of what `send` has kept that it is not sent again, or never was.

        Of what had no answer (an off breaks off the request under way) none will be known.
        """
        for array in arrays:
            number = self._numbers.get(digest_of(array))
            if number is not None:
                entry = self._entries[number]
                answer = Answer.DISCARDED if entry.attempts else Answer.NOT_SENT
                answer = Answer.WAITING if entry.is_unanswered else answer
                self.answer(array, answer, detail=why, now_seconds=now_seconds)

    def keep_unsent(
        self,
        batch: Batch,
        *,
        array: bytes,
        why: str,
        now_seconds: int,
        shown: bytes | None = None,
    ) -> None:
        """Keep a report that is not sent, once however often its window is closed."""
        if digest_of(array) not in self._numbers:
            entry = self._keep(batch, array, shown, now_seconds=now_seconds, destination="")
            self._put(evolve(entry, answer=Answer.NOT_SENT, detail=why))

    def _keep(
        self,
        batch: Batch,
        array: bytes,
        shown: bytes | None,
        *,
        now_seconds: int,
        destination: str,
    ) -> Entry:
        """Return the entry of what was sealed, as it is, or a new one of what is given of it."""
        sealed = digest_of(array)
        if (known := self._entries.get(self._numbers.get(sealed, 0))) is not None and (
            shown is None or known.digest == digest_of(shown)
        ):
            return known
        given = array if shown is None else shown
        return Entry(
            number=self._last + 1,
            digest=digest_of(given),
            sealed=sealed,
            body=batch.body if given == array else gzip.compress(given, mtime=0),
            size=len(given),
            events=batch.events,
            first_seconds=now_seconds,
            at_seconds=now_seconds,
            destination=destination,
            answer=Answer.WAITING,
            summary=summarize(array),
        )

    def _put(self, entry: Entry) -> None:
        if entry.number not in self._entries:
            self._last = entry.number
            self._bytes += entry.size
            self._numbers[entry.sealed] = entry.number
        self._entries[entry.number] = entry
        self._changed.add(entry.number)
        while self._is_over() and len(self._entries) > 1:
            self._drop_oldest()

    def _is_over(self) -> bool:
        return len(self._entries) > self.max_entries or self._bytes > self.max_bytes

    def _drop_oldest(self) -> None:
        oldest = self._entries.pop(next(iter(self._entries)))
        if self._numbers.get(oldest.sealed) == oldest.number:
            del self._numbers[oldest.sealed]
        self._bytes -= oldest.size
        self._changed.discard(oldest.number)
        self._gone.add(oldest.number)
        self.dropped += 1

    async def load(self) -> None:
        """Take up what the directory holds; a directory that cannot be read is said and counted."""
        if self.directory is None:
            return
        try:
            async with asyncio.timeout(SAVE_SECONDS):
                found, self._last = await asyncio.to_thread(self.directory.load)
        except OSError as error:
            self._fail(error)
            return
        self._take(found)

    def _take(self, found: Iterable[Entry]) -> None:
        before, dropped = self._last, self.dropped
        for entry in found:
            self._put(entry)
        # What is on disk already is neither new nor changed; what is too much there is removed.
        self._last, self.dropped = before, dropped
        self._changed.clear()

    async def save(self, *, limit_seconds: float = SAVE_SECONDS) -> None:
        """Write what has changed into the directory, if there is one. Never raises `OSError`.

        What a cancelled write was to keep is for the next to write, once that one has ended.
        """
        if self.directory is None or not (self._changed or self._gone):
            return
        async with self._lock:
            changed, self._changed = self._changed, set()
            gone, self._gone = self._gone, set()
            try:
                async with asyncio.timeout(limit_seconds):
                    await self._write(self.directory, changed, gone)
            except (OSError, asyncio.CancelledError) as error:  # a timeout is an `OSError`
                self._changed |= changed
                self._gone |= gone
                if not isinstance(error, OSError):
                    raise
                self._fail(error)
            else:
                self._is_failing = False

    async def _write(self, directory: Directory, changed: set[int], gone: set[int]) -> None:
        if self._writing is not None:
            # A thread cannot be cancelled: what it still writes shall not fall on what is newer.
            # How it ends was for the one to know that was cancelled.
            await asyncio.wait({self._writing})
        entries = [self._entries[number] for number in changed if number in self._entries]
        loop = asyncio.get_running_loop()
        self._writing = loop.run_in_executor(None, directory.write, entries, gone)
        await asyncio.shield(self._writing)

    def _fail(self, error: OSError) -> None:
        self.failures += 1
        if not self._is_failing:
            why = error.strerror or type(error).__name__
            log.error("ledger cannot be written", extra={"why": why})
        self._is_failing = True


def find_entry(entries: Iterable[Entry], name: str) -> Entry | None:
    """Return an entry by its number, or by enough of its digest."""
    by_number = {one.number: one for one in entries}
    number = find_number([(one.number, one.digest) for one in by_number.values()], name)
    return None if number is None else by_number[number]
