"""Cursors: made from the lines that were folded, proved against the head of the next reply.

Owns the rule: the kubelet's filter is deterministic, so the reply to the same `since`
begins with the lines that were folded, unless the file was rotated or changed. Must not know
entries, rules or the network. Pure; hashing is done at a commit, not per line.
"""

from __future__ import annotations

import hashlib
import itertools
from collections import deque
from collections.abc import Collection, Iterable, Mapping, Sequence

from attrs import evolve

from agent.model import NANOS, Continuity, Cursor
from agent.stamps import at, since, size_of

SLACK_SECONDS = 2
"""Stamps run backwards by less than this (grafana/alloy#7076); `since` stays so far behind."""

MAX_HASHES = 64
CURSORS_BYTES = 400 * 1024
"""What all cursors may take of State; a ConfigMap holds 1 MiB with the outbox in it."""
CONTAINER_BYTES = 260
ENDED_BYTES = 60
"""What a container takes of State beside its hashes (ids, counts and facts), and what one of its
instances that has ended, as measured."""
MAX_TRAIL_BYTES = 1 << 20
HASH_BYTES = 8
BREAK_HASHES = 8
MAX_BROKEN = 50
"""Of so many containers State keeps where their logs did not continue, with so many hashes each:
count and chain prove all but a file that was rotated since."""

MAX_TORN = 2
"""How many lines at the head of a file may be rests of lines that a rotation tore: one of each of
the container's two streams."""


def hash_line(key: bytes, line: bytes) -> bytes:
    """Return the keyed hash of a whole raw line, stamp included. The key never leaves State."""
    return hashlib.blake2b(line, digest_size=HASH_BYTES, key=key).digest()


def hashes_kept(containers: int, ended: int) -> int:
    """Return how many hashes a cursor may keep in State beside those of so many containers."""
    room = (CURSORS_BYTES - ended * ENDED_BYTES) // max(containers, 1) - CONTAINER_BYTES
    return min(max(room // HASH_BYTES, 1), MAX_HASHES)


def keep_breaks(
    breaks: Mapping[str, Iterable[Cursor]], living: Collection[str]
) -> dict[str, tuple[Cursor, ...]]:
    """Return what State keeps of the living containers' breaks: of the latest, and few hashes."""
    short = {
        key: tuple(evolve(one, hashes=one.hashes[-BREAK_HASHES:]) for one in found)
        for key, found in breaks.items()
        if key in living
    }
    latest = sorted(filter(short.get, short), key=lambda key: short[key][-1].last_ns)
    return {key: short[key] for key in latest[-MAX_BROKEN:]}


class Trail:
    """The folded lines that a request with `since` would return, in arrival order.

    Raw as long as they fit into `MAX_TRAIL_BYTES`; in a burst that does not fit, the oldest are
    kept as count, chain and last hashes, and `since` stays where it is until they are behind it.
    """

    def __init__(self, key: bytes, cursor: Cursor, *, max_bytes: int = MAX_TRAIL_BYTES) -> None:
        self._key = key
        self._max_bytes = max_bytes
        self._since = cursor.since_seconds
        self._total = cursor.total
        self._last_ns = cursor.last_ns
        self._lines: list[bytes] = []
        self._size = 0
        self._count = 0
        self._chain = _Chain(key)
        self._folded_second = 0
        self._hashes: tuple[bytes, ...] = ()

    def add(self, lines: Sequence[bytes], *, last_ns: int, lowest: bytes | None = None) -> None:
        """Take the next folded lines; `last_ns` is the highest of their stamps."""
        self._total += len(lines)
        self._last_ns = max(self._last_ns, last_ns)
        self.restore(lines, lowest=lowest)

    def restore(self, lines: Sequence[bytes], *, lowest: bytes | None = None) -> None:
        """Take lines that were folded before and stand in the head of a reply again."""
        lines = since(lines, self._since, lowest)
        self._lines += lines
        self._size += size_of(lines)
        if self._size > self._max_bytes:
            self._raise_since()
        if self._size > self._max_bytes:
            self._fold_oldest()

    def cursor(self) -> Cursor:
        """Return where the trail ends."""
        self._raise_since()
        return self.cursor_after((), last_ns=0)

    def cursor_after(self, lines: Sequence[bytes], *, last_ns: int) -> Cursor:
        """Return where the trail would end with these lines, too, but with the same `since`."""
        served = [*self._lines, *since(lines, self._since)]
        chain = self._chain.copy()
        chain.add(served)
        return Cursor(
            self._since,
            self._count + len(served),
            chain.digest() if self._count or served else b"",
            self._last_hashes(served),
            self._total + len(lines),
            max(self._last_ns, last_ns),
        )

    def starts_with(self, head: Iterable[bytes], lines: Sequence[bytes]) -> bool:
        """Whether a reply ends within the trail and these lines: it is older than they are."""
        if self._count:
            return False  # the first lines are known by their hashes alone
        known = itertools.chain(self._lines, since(lines, self._since))
        return all(line == next(known, None) for line in head)

    def _last_hashes(self, lines: Sequence[bytes]) -> tuple[bytes, ...]:
        hashes = (hash_line(self._key, line) for line in lines[-MAX_HASHES:])
        return (*self._hashes, *hashes)[-MAX_HASHES:]

    def _raise_since(self) -> None:
        second = self._last_ns // NANOS - SLACK_SECONDS
        if second <= self._since or (self._count and second <= self._folded_second):
            return
        self._since = second
        self._lines = since(self._lines, second)
        self._size = size_of(self._lines)
        self._count = self._folded_second = 0
        self._chain = _Chain(self._key)
        self._hashes = ()

    def _fold_oldest(self) -> None:
        """Keep half of what may be kept, and of the rest no more than what proves it."""
        sizes = itertools.accumulate(map(len, reversed(self._lines)))
        keep = sum(1 for size in sizes if size <= self._max_bytes // 2)
        end = len(self._lines) - keep
        folded, self._lines = self._lines[:end], self._lines[end:]
        self._size = size_of(self._lines)
        self._count += len(folded)
        self._chain.add(folded)
        self._hashes = self._last_hashes(folded)
        self._folded_second = max(self._folded_second, at(max(folded)) // NANOS)


class _Chain:
    """A keyed hash over lines in their order."""

    def __init__(self, key: bytes) -> None:
        self._hash = hashlib.blake2b(digest_size=HASH_BYTES, key=key)

    def add(self, lines: Iterable[bytes]) -> None:
        self._hash.update(
            b"".join(itertools.chain.from_iterable(zip(lines, itertools.repeat(b"\n"))))
        )

    def digest(self) -> bytes:
        return self._hash.digest()

    def copy(self) -> _Chain:
        other = _Chain(b"")
        other._hash = self._hash.copy()
        return other


class Proof:
    """Holds the head of a reply until it is clear how it continues what was folded.

    `take` lines until `verdict` is set; `seen` are then the lines that were folded before and
    still stand in the file, `fresh` those that follow. Equal lines with equal stamps exist, so a
    verdict waits as long as another one could still explain more lines. Where no line of the head
    fits, its first ones may be rests of lines that were folded whole: they are looked past.
    """

    def __init__(self, key: bytes, cursor: Cursor) -> None:
        self._key = key
        self._cursor = cursor
        self._torn: list[bytes] = []
        self.verdict: Continuity | None = None if cursor.total else Continuity.FRESH
        self.seen: list[bytes] = []
        self.fresh: list[bytes] = []
        self._begin()

    def _begin(self) -> None:
        hashes = self._cursor.hashes
        self._lines: list[bytes] = []
        self._chain = _Chain(self._key)
        self._last: deque[bytes] = deque(maxlen=len(hashes))
        self._starts: Sequence[int] = range(len(hashes))
        self._suffix = 0

    @property
    def head(self) -> list[bytes]:
        """The lines that were taken."""
        return self._torn + self._lines

    @property
    def is_broken_off(self) -> bool:
        """Whether a reply that ends here has lost its end: it has known lines, not the last one.

        A file is only ever added to, so what follows a line that was folded stays there with it.
        """
        if self.verdict is not None or self._suffix:
            return False
        if not self._lines:
            return not self._torn
        unhashed = self._cursor.count - len(self._cursor.hashes)
        return len(self._lines) <= unhashed or self._last[-1] in self._cursor.hashes

    def take(self, line: bytes) -> None:
        """Take the next line of the head."""
        cursor, hashes = self._cursor, self._cursor.hashes
        digest = hash_line(self._key, line)
        self._lines.append(line)
        self._last.append(digest)
        self._chain.add([line])
        number = len(self._lines)
        if number == cursor.count and self._chain.digest() == cursor.chain:
            self._decide(Continuity.CONTINUOUS, number)
            return
        if hashes and digest == hashes[-1] and tuple(self._last) == hashes[-number:]:
            self._suffix = number
        if cursor.count > len(hashes):
            # Folded lines stand in front of all others, and none is younger than the last.
            if number >= cursor.count or at(line) > cursor.last_ns:
                self.settle()
            return
        self._starts = [
            at
            for at in self._starts
            if at + number <= len(hashes) and hashes[at + number - 1] == digest
        ]
        if any(at + number < len(hashes) for at in self._starts):
            return
        if self._suffix or len(self._torn) == MAX_TORN:
            self.settle()
        else:
            self._look_past()

    def settle(self) -> None:
        """Decide although the head is short: the reply is known to end here.

        Where not even the last folded line is left, lines after it may be gone as well.
        """
        if self.verdict is None:
            verdict = Continuity.ROTATED if self._suffix else Continuity.GAP
            self._decide(verdict, self._suffix)

    def _look_past(self) -> None:
        first, *lines = self._lines
        self._torn.append(first)
        self._begin()
        for line in lines:
            self.take(line)

    def _decide(self, verdict: Continuity, seen: int) -> None:
        self.verdict = verdict
        lines = self.head
        seen += len(self._torn) if seen else 0
        self.seen, self.fresh = lines[:seen], lines[seen:]
        self._torn, self._lines = [], []
