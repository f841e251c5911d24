"""Loads the document, owns it for this process, and commits it.

Owns when State is written, what an ambiguous write was, and what to do about a document that is
missing or unreadable. Everything that changes the document happens between two commits without an
`await`; a commit takes bytes at one instant and writes them.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from attrs import define, field

from agent.aggregate import Windows
from agent.state.document import Document, DocumentError, decode, encode
from agent.state.store import Conflict, StateError, Store

if TYPE_CHECKING:
    from collections.abc import Callable

log = logging.getLogger(__name__)

SAVE_SECONDS = 30


@define
class Keeper:
    """The one owner of the document in this process.

    `new_id` gives fresh random ids, `new_key` random bytes; `before_encode` puts the readers'
    cursors into the document at the instant of a commit.
    """

    store: Store
    new_id: Callable[[], str]
    new_key: Callable[[], bytes]
    document: Document = field(init=False)
    is_new: bool = field(default=False, init=False)
    was_unreadable: bool = field(default=False, init=False)
    _version: str = field(default="", init=False)
    _lock: asyncio.Lock = field(factory=asyncio.Lock, init=False)

    async def load(self, *, window_seconds: int, count_from: int | None) -> None:
        """Load the document or begin a new one. Raises `StateError`, never for its content."""
        stored = await self.store.load()
        self._version = stored.version
        found: Document | None = None
        if stored.data is not None:
            try:
                found = decode(stored.data)
            except DocumentError as error:
                self.was_unreadable = True
                log.error("state is not readable, counting begins anew", extra={"why": str(error)})
        self.is_new = found is None
        self.document = found or Document(
            self.new_key(), self.new_id(), Windows(window_seconds, count_from=count_from)
        )
        self.document.epoch = self.new_id()

    async def commit(self, *, now_seconds: int, before_encode: Callable[[Document], None]) -> None:
        """Write the document as it is now.

        Raises `Conflict` when another process has taken over, `StateError` when the store fails;
        after a `StateError` the next commit writes everything again.
        """
        async with self._lock:
            document = self.document
            # Crash point "before save": nothing of this commit is kept, the lines are read again.
            before_encode(document)
            document.commits += 1
            document.nonce = self.new_id()
            document.saved_seconds = now_seconds
            data = encode(document)
            nonce = document.nonce
            # A commit that has begun is finished even if its task is cancelled, so that this
            # process knows what stands in the store.
            saving = asyncio.ensure_future(self._save(data, nonce))
            try:
                await asyncio.shield(saving)
            except asyncio.CancelledError:
                await asyncio.wait([saving], timeout=SAVE_SECONDS)
                raise
            # Crash point "after save": cursors, counts and outbox stand together.

    async def _save(self, data: bytes, nonce: str) -> None:
        try:
            async with asyncio.timeout(SAVE_SECONDS):
                self._version = await self.store.save(data, self._version)
        except Conflict:
            await self._check_own_write(nonce)
        except (StateError, TimeoutError) as error:
            # It may have been written although the answer was lost: look before the next commit.
            if not await self._was_written(nonce):
                if isinstance(error, StateError):
                    raise
                what = f"{self.store.where} did not answer within {SAVE_SECONDS} s"
                raise StateError(what) from error

    async def _check_own_write(self, nonce: str) -> None:
        if not await self._was_written(nonce):
            what = f"{self.store.where} belongs to another agent now"
            raise Conflict(what)

    async def _was_written(self, nonce: str) -> bool:
        try:
            stored = await self.store.load()
            found = decode(stored.data) if stored.data is not None else None
        except (StateError, DocumentError):
            return False
        if found is not None and found.nonce == nonce:
            self._version = stored.version
            return True
        if found is not None and found.epoch == self.document.epoch:
            # Our own older commit: the write did not happen, the version may be refreshed.
            self._version = stored.version
        return False
