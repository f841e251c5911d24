"""One container instance's log on its node, as the runtime writes it: files of CRI records.

Owns the append-only files, their rotation by renaming and the cutting of long lines into pieces. It
does not know who reads: `kubelet.Reader` does, and is told of changes through `listeners`. Pure:
the time of each record is an argument.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import attrs

from tests.sim.gotime import trimmed_stamp

if TYPE_CHECKING:
    from collections.abc import Callable

Stream = Literal["stdout", "stderr"]

# The runtime's limit for the text of one record; a line of exactly this length is not cut.
PIECE_BYTES = 16 * 1024


@attrs.define(eq=False)
class LogFile:
    """One file; it only ever grows, also after it was renamed, for whoever still has it open."""

    data: bytearray = attrs.field(factory=bytearray)


@attrs.define(eq=False)
class Instance:
    """The log of one container instance: rotated files first, the served one last."""

    container_id: str
    files: list[LogFile] = attrs.field(factory=lambda: [LogFile()])
    ended: bool = False
    listeners: set[Callable[[], None]] = attrs.field(factory=set)
    _held: dict[Stream, bytes] = attrs.field(factory=dict)

    @property
    def newest(self) -> LogFile:
        return self.files[-1]

    def write(self, text: bytes, *, at: int, stream: Stream = "stdout") -> None:
        """Append what the container printed; text after the last newline waits for its rest."""
        *lines, rest = (self._held.pop(stream, b"") + text).split(b"\n")
        if rest:
            self._held[stream] = rest
        for line in lines:
            self._record(line, at=at, stream=stream, last_tag=b"F")
        self._tell()

    def write_record(self, record: bytes) -> None:
        """Append one raw line of the file, for records that the kubelet cannot parse."""
        self.newest.data += record
        self._tell()

    def write_late(self, text: bytes, *, at: int, stream: Stream = "stdout") -> None:
        """Append to the file that was just renamed: the runtime has not yet swapped its handle.

        A follow that already went on to the new file never sees these lines.
        """
        for line in text.removesuffix(b"\n").split(b"\n"):
            self.files[-2].data += _head(at, stream, b"F") + line + b"\n"
        self._tell()

    def rotate(self) -> None:
        """Rename the file away and begin a new one, the only one that the API can still reach."""
        self.files.append(LogFile())
        self._tell()

    def end(self, *, at: int) -> None:
        """Stop the instance; what has no newline yet is written as a piece, as containerd does."""
        for stream, rest in self._held.items():
            self._record(rest, at=at, stream=stream, last_tag=b"P")
        self._held.clear()
        self.ended = True
        self._tell()

    def _record(self, line: bytes, *, at: int, stream: Stream, last_tag: bytes) -> None:
        # Pieces are written one after the other, so each has a slightly later stamp.
        while len(line) > PIECE_BYTES:
            self.newest.data += _head(at, stream, b"P") + line[:PIECE_BYTES] + b"\n"
            line, at = line[PIECE_BYTES:], at + 1
        self.newest.data += _head(at, stream, last_tag) + line + b"\n"

    def _tell(self) -> None:
        for listener in tuple(self.listeners):
            listener()


def _head(at: int, stream: Stream, tag: bytes) -> bytes:
    return b"%s %s %s " % (trimmed_stamp(at).encode(), stream.encode(), tag)
