"""State in a file that is replaced as a whole. The version is a digest of the content."""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from attrs import define, field

from agent.replace import replace_file
from agent.state.store import Conflict, StateError, Stored

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


@define
class FileStore:
    """One file on a disk of ours alone; its owner's lock file keeps a second process away."""

    path: Path
    is_owner: bool = True
    _lock: int | None = field(default=None, init=False)

    @property
    def where(self) -> str:
        """The file's path."""
        return str(self.path)

    async def load(self) -> Stored:
        """Read the file. A missing file is nothing stored."""
        return await _to_its_end(self._load)

    async def save(self, data: bytes, version: str) -> str:
        """Replace the file if its content is still what was loaded or saved last."""
        return await _to_its_end(partial(self._save, data, version))

    def _load(self) -> Stored:
        try:
            self._take_lock()
            data = self.path.read_bytes()
        except FileNotFoundError:
            return Stored(None, "")
        except OSError as error:
            what = f"cannot read {self.path}: {error.strerror}; check `state.path`"
            raise StateError(what) from error
        return Stored(data, _digest(data))

    def _save(self, data: bytes, version: str) -> str:
        try:
            self._take_lock()
            if version != self._current():
                what = f"{self.path} was changed by another process"
                raise Conflict(what)
            self.path.parent.mkdir(parents=True, exist_ok=True)
            replace_file(self.path, data)
        except OSError as error:
            what = f"cannot write {self.path}: {error.strerror}; check `state.path`"
            raise StateError(what) from error
        return _digest(data)

    def _current(self) -> str:
        try:
            return _digest(self.path.read_bytes())
        except FileNotFoundError:
            return ""

    def _take_lock(self) -> None:
        if self._lock is not None or not self.is_owner:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        lock = self.path.with_name(f".{self.path.name}.lock")
        handle = os.open(lock, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(handle)
            what = f"{self.path} is in use by another agent"
            raise Conflict(what) from error
        self._lock = handle

    def close(self) -> None:
        """Let another process have the file."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


async def _to_its_end(work: Callable[[], T]) -> T:
    """Do work in a thread. Whoever is cancelled, however often, waits until the thread has ended.

    A thread cannot be cancelled, and a write that outlives its owner would fall on the next one's.
    """
    thread = asyncio.ensure_future(asyncio.to_thread(work))
    cancelled: asyncio.CancelledError | None = None
    while not thread.done():
        try:
            await asyncio.wait([thread])
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        thread.exception()  # looked at, so that nobody is warned of it
        raise cancelled
    return thread.result()


def _digest(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=16).hexdigest()
