"""Whose log it is: a reply, read piece by piece, against a place up to which lines were counted.

Owns when the reply has said enough, so that of a large log only the head is read. Must not know
whose place it is, nor what is done with the answer. Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.lines import Framer
from agent.resume import Proof
from agent.stamps import stamped

if TYPE_CHECKING:
    from agent.model import Cursor


class Claim:
    """What a reply says of one `place`: whether the lines in front of it stand in this log."""

    def __init__(self, key: bytes, place: Cursor) -> None:
        self.place = place
        self._framer = Framer()
        self._proof = Proof(key, place)
        self.is_empty, self._has_lines = True, False

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes of the reply."""
        self.is_empty = self.is_empty and not chunk
        for line in stamped(self._framer.feed(chunk)):
            self._has_lines = True
            if not self.is_decided:
                self._proof.take(line)

    @property
    def is_decided(self) -> bool:
        """Whether what follows in the reply changes nothing."""
        return self._proof.verdict is not None

    def answer(self) -> bool | None:
        """Take it that the reply ends here, or is decided. None: it does not say."""
        if not (self.is_empty or self._has_lines):
            return None  # the kubelet's own words, or less than a line
        if self._has_lines and self._proof.is_broken_off:
            return None  # it ended before the last line that was counted
        self._proof.settle()
        return bool(self._proof.seen)
