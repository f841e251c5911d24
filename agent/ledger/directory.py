"""The ledger's directory: one file an entry, replaced as a whole, removed when it is too old.

Owns names and rights of the files. One agent writes into a directory; others may read it. Blocks:
call in a thread.
"""

from __future__ import annotations

import re
from contextlib import suppress
from typing import TYPE_CHECKING

from attrs import frozen

from agent.ledger.entries import Entry, EntryError, decode, encode
from agent.replace import replace_file, sync_directory

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

_NAME = re.compile(r"([0-9]{8})\.report")
_LEFT_OVER = re.compile(r"\.[0-9]{8}\.report\.[0-9]+")
KEPT_NUMBERS = 200
"""Files whose numbers lie further back are removed, readable or not."""


@frozen
class Directory:
    """A directory of ours alone, made if it is not there."""

    path: Path

    def read(self) -> Iterator[Entry]:
        """Return every readable entry, oldest first. Raises `OSError` if there is no directory."""
        for number in sorted(self._numbers()):
            # Removed since we looked, or no entry: neither is one.
            with suppress(FileNotFoundError, EntryError):
                yield decode(self._file(number).read_bytes())

    def load(self) -> tuple[list[Entry], int]:
        """Return every readable entry and the highest number; remove what a crash left over."""
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        for one in self.path.iterdir():
            if _LEFT_OVER.fullmatch(one.name):
                one.unlink(missing_ok=True)
        last = max(self._numbers(), default=0)
        for number in self._numbers():
            if number <= last - KEPT_NUMBERS:
                self._file(number).unlink(missing_ok=True)
        return list(self.read()), last

    def write(self, entries: Iterable[Entry], gone: Iterable[int]) -> None:
        """Write entries and remove those of these numbers."""
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        for entry in entries:
            replace_file(self._file(entry.number), encode(entry))
        for number in gone:
            self._file(number).unlink(missing_ok=True)
        sync_directory(self.path)

    def _numbers(self) -> list[int]:
        names = (_NAME.fullmatch(one.name) for one in self.path.iterdir())
        return [int(name.group(1)) for name in names if name is not None]

    def _file(self, number: int) -> Path:
        return self.path / f"{number:08}.report"
