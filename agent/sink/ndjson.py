"""Events as lines of JSON: into files that are carried out by hand, or to standard output.

Owns the files: one that grows, and full ones beside it under names of their own, of which none is
ever removed here. Must not know what a batch holds beside its events. Blocks: in a thread.

A batch is appended as one write. Before that the end of the file is compared with it, so what a
crash left there, whole or torn, is completed and not repeated.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import re
import select
import stat
from datetime import UTC, datetime
from typing import TYPE_CHECKING, BinaryIO

from attrs import define

from agent.replace import sync_directory
from agent.sink.calls import lines_of
from agent.sink.outcome import Delivered, GivenUp, Retry
from agent.sink.wire import always

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from agent.model import Batch
    from agent.sink.outcome import Outcome

MAX_FILE_BYTES = 16 << 20
MAX_FILES = 64
"""Full ones. What nobody has carried out is not thrown away: then nothing more is taken."""

LOOK_SECONDS = 0.05
"""Between two looks at whether standard output is read."""

_BLOCK_BYTES = 1 << 16
_PIECE = select.PIPE_BUF
"""What a pipe takes as a whole once it takes anything."""
_BEGINS = (
    b'{"type":"track","event":"',
    b'{"type":"identify","anonymousId":"',
    b'{"type":"group","anonymousId":"',
)
"""How a line of ours begins."""
_MAX_BEGIN = max(map(len, _BEGINS))
_NOT_WRITTEN = Retry("file", is_untaken=True)


@define(eq=False)
class FileSender:
    """A file that grows and is set aside when it is full; `path` names it."""

    path: Path
    max_bytes: int = MAX_FILE_BYTES
    max_files: int = MAX_FILES

    async def send(
        self,
        batch: Batch,
        *,
        sent_seconds: float,
        may_go_on: Callable[[], bool] = always,  # noqa: ARG002 it is one write
    ) -> Outcome:
        """Append a batch, unless it is there already. Never raises `OSError`."""
        at = datetime.fromtimestamp(sent_seconds, UTC)
        try:
            return await asyncio.to_thread(self._append, lines_of(batch), at)
        except OSError:
            return Retry("file")

    def _append(self, data: bytes, at: datetime) -> Outcome:
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            full = self._full()
            if self._holds(data, full):
                return Delivered()
            if len(full) >= self.max_files:
                return _NOT_WRITTEN
            is_new = not self.path.exists()
            # Not blocking, so that one of another kind is found out instead of waited for.
            handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_NONBLOCK, 0o600)
        except OSError:
            return _NOT_WRITTEN
        with os.fdopen(handle, "r+b") as file:
            if not _take(file) or not _is_at(file, self.path):
                return _NOT_WRITTEN
            if (begun := _begun(file, data)) is None:
                return _NOT_WRITTEN
            file.write(data[begun:])
            file.flush()
            os.fsync(handle)
            size = file.tell()
            if is_new:
                sync_directory(self.path.parent)
            if size >= self.max_bytes:
                self._set_aside(at)
        return Delivered()

    def _full(self) -> list[Path]:
        """Return the files that were set aside, the newest last."""
        stem, suffix = re.escape(self.path.stem), re.escape(self.path.suffix)
        name = re.compile(rf"{stem}-[0-9]{{8}}T[0-9]{{6}}Z(-[0-9]+)?{suffix}")
        found = (one for one in self.path.parent.iterdir() if name.fullmatch(one.name))
        return sorted(found, key=lambda one: (one.stat().st_mtime_ns, one.name))

    def _holds(self, data: bytes, full: list[Path]) -> bool:
        """Whether it was the last to be written before the file was set aside."""
        if not full or (self.path.exists() and self.path.stat().st_size):
            return False
        with full[-1].open("rb") as file:
            return _tail(file, len(data)) == data

    def _set_aside(self, at: datetime) -> None:
        base = f"{self.path.stem}-{at:%Y%m%dT%H%M%SZ}"
        names = (f"{base}{end}{self.path.suffix}" for end in ("", *(f"-{n}" for n in range(1, 99))))
        free = next(one for one in map(self.path.with_name, names) if not one.exists())
        self.path.rename(free)
        sync_directory(self.path.parent)


def _take(file: BinaryIO) -> bool:
    """Whether it is a file, and nobody else writes to it now."""
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _is_at(file: BinaryIO, path: Path) -> bool:
    """Whether the file still has that name: who had it before may have set it aside since."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def _begun(file: BinaryIO, data: bytes) -> int | None:
    """Cut off half a line that a crash has left, and return how much of the data is there.

    None if what stands there is none of ours.
    """
    size = file.seek(0, os.SEEK_END)
    whole = _whole_bytes(file, size)
    if whole < size:
        file.seek(whole)
        torn = file.read(_MAX_BEGIN)
        if not any(one.startswith(torn) or torn.startswith(one) for one in _BEGINS):
            return None
        if whole and not _line_before(file, whole).startswith(_BEGINS):
            return None
        file.truncate(whole)
    tail = _tail(file, len(data))
    first = data[: data.find(b"\n") + 1]
    at = tail.rfind(first)  # there is a message id in it, so it is this batch's alone
    return len(tail) - at if at >= 0 and data.startswith(tail[at:]) else 0


def _line_before(file: BinaryIO, end: int) -> bytes:
    """Return how the whole line begins that ends there."""
    file.seek(_whole_bytes(file, end - 1))
    return file.read(_MAX_BEGIN)


def _whole_bytes(file: BinaryIO, size: int) -> int:
    """Return where the last whole line ends."""
    end = size
    while end:
        start = max(0, end - _BLOCK_BYTES)
        file.seek(start)
        at = file.read(end - start).rfind(b"\n")
        if at >= 0:
            return start + at + 1
        end = start
    return 0


def _tail(file: BinaryIO, length: int) -> bytes:
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - length))
    return file.read()


@define(eq=False)
class StandardOutput:
    """Standard output, which nobody can look at again: a batch after a crash comes twice or not.

    It is written to as fast as it is read and no faster, in pieces of which none can block: what
    has not left when a switch says off never does.
    """

    may_repeat: bool = True
    handle: int = 1
    _batch: tuple[int, int, bytes] | None = None
    _rest: bytes = b""
    _is_torn: bool = False

    async def send(
        self,
        batch: Batch,
        *,
        sent_seconds: float,  # noqa: ARG002 a line has no time of its own
        may_go_on: Callable[[], bool] = always,
    ) -> Outcome:
        """Write what is left of a batch. Never raises `OSError`."""
        of = (batch.seq, batch.part, batch.body)
        if self._batch != of:
            if batch.place and not self.may_repeat:
                return GivenUp()
            self._batch, self._rest = of, b"\n" * self._is_torn + lines_of(batch)
        try:
            while self._rest:
                if not may_go_on():
                    return Retry("interrupted")
                if select.select((), (self.handle,), (), 0)[1]:
                    self._wrote(await asyncio.to_thread(os.write, self.handle, self._rest[:_PIECE]))
                else:
                    await asyncio.sleep(LOOK_SECONDS)
        except (OSError, ValueError):
            return Retry("file")
        self._batch = None
        return Delivered()

    def _wrote(self, count: int) -> None:
        self._is_torn = self._rest[count - 1 : count] != b"\n"
        self._rest = self._rest[count:]
