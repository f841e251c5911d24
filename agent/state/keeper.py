"""Loads the document, owns it for this process, and commits it.

Owns when State is written, what an ambiguous write was, and what to do about a document that is
missing or unreadable. Everything that changes the document happens between two commits without an
`await`; a commit takes bytes at one instant and writes them.
"""

from __future__ import annotations

import asyncio
import logging
import math
from typing import TYPE_CHECKING

from attrs import define, field

from agent.aggregate import Windows
from agent.state.document import Document, DocumentError, NewerFormat, decode, encode
from agent.state.store import Conflict, StateError, Store

if TYPE_CHECKING:
    from collections.abc import Callable

log = logging.getLogger(__name__)

SAVE_SECONDS = 30


@define
class Keeper:
    """The one owner of the document in this process.

    `new_id` gives fresh random ids, `new_key` random bytes; `before_encode` puts the readers'
    cursors into the document at the instant of a commit. `rest_bytes` is what the document took of
    its place at the last one, beside the outbox.
    """

    store: Store
    new_id: Callable[[], str]
    new_key: Callable[[], bytes]
    document: Document = field(init=False)
    is_new: bool = field(default=False, init=False)
    committed: int = field(default=0, init=False)
    rest_bytes: int = field(default=0, init=False)
    was_unreadable: bool = field(default=False, init=False)
    _end: float = field(default=math.inf, init=False)
    _version: str = field(default="", init=False)
    _epoch_before: str = field(default="", init=False)
    _was_written: bool = field(default=False, init=False)
    _lock: asyncio.Lock = field(factory=asyncio.Lock, init=False)

    async def load(self, *, window_seconds: int, known_commits: int = 0) -> None:
        """Load the document or begin a new one. Raises `StateError`, never for its content.

        A document that was written less often than is known is an older copy that somebody put
        back: what it holds was counted and sent before.
        """
        stored = await self.store.load()
        self._version = stored.version
        self.was_unreadable = False
        found: Document | None = None
        if stored.data is not None:
            try:
                found = decode(stored.data)
            except NewerFormat as error:
                # Written by a later release: it must not be overwritten by an older one.
                raise StateError(str(error)) from error
            except DocumentError as error:
                self.was_unreadable = True
                log.error("state is not readable, counting begins anew", extra={"why": str(error)})
        if found is not None and found.commits < known_commits:
            found, self.was_unreadable = None, True
            log.error("state is an older copy, counting begins anew")
        self.is_new = found is None
        self.document = found or Document(self.new_key(), self.new_id(), Windows(window_seconds))
        self.document.commits = max(self.document.commits, known_commits)
        self._epoch_before = self.document.epoch
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
            self.rest_bytes = len(data) - document.outbox_bytes
            nonce = document.nonce
            # A commit that has begun is finished even if its task is cancelled, so that this
            # process knows what stands in the store.
            saving = asyncio.ensure_future(self._save(data, nonce))
            try:
                await asyncio.shield(saving)
            except asyncio.CancelledError:
                await asyncio.wait([saving], timeout=self._limit_seconds())
                saving.cancel()
                await asyncio.gather(saving, return_exceptions=True)
                raise
            # Crash point "after save": cursors, counts and outbox stand together.
            self.committed = document.commits

    async def _save(self, data: bytes, nonce: str) -> None:
        try:
            self._version = await self._save_in_time(data)
        except Conflict:
            is_ours = await self._is_ours(nonce)
            if is_ours is None:
                # What another one wrote stays as it is; the next commit looks again.
                what = f"{self.store.where} was changed, by whom cannot be read"
                raise StateError(what) from None
            if not is_ours:
                what = f"{self.store.where} belongs to another agent now"
                raise Conflict(what) from None
            if not self._was_written:
                # Somebody changed a label, or an earlier answer was lost: the content is ours.
                self._version = await self._save_in_time(data)
        except StateError:
            # It may have been written although the answer was lost: look before the next commit.
            if not await self._is_ours(nonce) or not self._was_written:
                raise

    def end_within(self, seconds: float) -> None:
        """From now on let all that the store is asked for take no longer than this together."""
        self._end = asyncio.get_running_loop().time() + seconds

    def _limit_seconds(self) -> float:
        # Each request may take two thirds of what is left, so that the last commit has its turn.
        left = self._end - asyncio.get_running_loop().time()
        return min(SAVE_SECONDS, max(0.0, left * 2 / 3))

    async def _save_in_time(self, data: bytes) -> str:
        limit = self._limit_seconds()
        try:
            async with asyncio.timeout(limit):
                return await self.store.save(data, self._version)
        except TimeoutError as error:
            what = f"{self.store.where} did not answer within {limit:.1f} s"
            raise StateError(what) from error

    async def _is_ours(self, nonce: str) -> bool | None:
        """Look whose commit stands in the store; learn its version and whether it is this one.

        None: nobody says.
        """
        self._was_written = False
        try:
            async with asyncio.timeout(self._limit_seconds()):
                stored = await self.store.load()
            found = decode(stored.data) if stored.data is not None else None
        except (StateError, TimeoutError):
            return None
        except DocumentError:
            return False
        if stored.data is None:
            # Somebody has deleted the object: nothing of another agent stands there.
            self._version = stored.version
            return True
        if found is None:
            return False
        # An older copy of the document that was loaded here is no other agent: nobody who takes
        # over keeps the epoch that he found.
        is_older = found.epoch == self._epoch_before and found.commits < self.committed
        if found.epoch != self.document.epoch and not is_older:
            return False
        self._version = stored.version
        self._was_written = found.nonce == nonce
        return True
