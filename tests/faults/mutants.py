"""Known bugs, each a patch of the agent's code: the suite must fail with any of them.

The first are other tailers' (the issue that tells of one stands beside it), the rest are what our
own code could have got wrong. The agent itself has no switch for them.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from agent import instances, reader, resume
from agent.counting import Counting
from agent.lag import Lag
from agent.lines import parse_stamp
from agent.model import Batch, Continuity, Cursor, Released
from agent.outbox import CommittedOutbox
from agent.reader import Reader
from agent.resume import Proof
from agent.state import keeper
from agent.state.document import Document, decode, encode
from agent.state.keeper import Keeper
from agent.state.store import StateError
from agent.steps import Recent
from agent.unreleased import Unreleased

Patch = Callable[[pytest.MonkeyPatch], None]


class _Skipping(Proof):
    """A proof that compares nothing: it skips what `is_old` says, and goes on."""

    def is_old(self, line: bytes) -> bool:
        raise NotImplementedError

    def take(self, line: bytes) -> None:
        self._lines.append(line)
        if not self.is_old(line):
            self._decide(Continuity.CONTINUOUS, len(self._lines) - 1)

    def settle(self) -> None:
        if self.verdict is None:
            self._decide(Continuity.CONTINUOUS, len(self._lines))


class _ByStamp(_Skipping):
    def is_old(self, line: bytes) -> bool:
        return _stamp(line) < self._cursor.last_ns


class _ByLaterStamp(_Skipping):
    def is_old(self, line: bytes) -> bool:
        return _stamp(line) <= self._cursor.last_ns


class _ByCount(_Skipping):
    def is_old(self, line: bytes) -> bool:  # noqa: ARG002 that is the bug
        return len(self._lines) <= self._cursor.count


def _stamp(line: bytes) -> int:
    stamp = parse_stamp(line)
    assert stamp is not None
    return stamp[0]


def _proof(kind: type[Proof]) -> Patch:
    return lambda patch: patch.setattr(reader, "Proof", kind)


def _drop_live(is_dropped: Callable[[int, int], bool]) -> Patch:
    """Leave out lines of a running stream by comparing stamps with the highest one so far."""

    def take(self: Unreleased, line: bytes, at_ns: int) -> None:
        highest = getattr(self, "highest", 0)
        if not is_dropped(at_ns, highest):
            _take_line(self, line, at_ns)
        self.highest = max(highest, at_ns)  # type: ignore[attr-defined]

    return lambda patch: patch.setattr(Unreleased, "take_line", take)


_take_line = Unreleased.take_line


def _saved_apart(*, cursors_first: bool) -> Patch:
    """Write cursors and counts in two commits: of each write one half is that of the last."""

    def patch_encode(patch: pytest.MonkeyPatch) -> None:
        last: dict[str, Document] = {}

        def encode_apart(document: Document) -> bytes:
            data = encode(document)
            now, before = decode(data), last.get(document.epoch, document)
            last[document.epoch] = decode(data)
            if cursors_first:
                now.windows, now.outbox, now.seq = before.windows, before.outbox, before.seq
            else:
                now.cursors = before.cursors
            return encode(now)

        patch.setattr(keeper, "encode", encode_apart)

    return patch_encode


def _without_outbox(document: Document) -> bytes:
    kept = decode(encode(document))
    kept.outbox = []
    return encode(kept)


_save = Keeper._save


async def _save_and_hope(self: Keeper, data: bytes, nonce: str) -> None:
    with suppress(StateError):
        await _save(self, data, nonce)


def _never_ends(self: Counting, *_args: object, **_kwargs: object) -> None:
    """Forget that an instance was read to its end, so that `previous` is read again."""


def _is_ours(*, checks_epoch: bool, checks_nonce: bool) -> Patch:
    async def is_ours(self: Keeper, nonce: str) -> bool:
        stored = await self.store.load()
        found = decode(stored.data) if stored.data is not None else None
        if checks_epoch and (found is None or found.epoch != self.document.epoch):
            return False
        self._version = stored.version
        self._was_written = not checks_nonce or (found is not None and found.nonce == nonce)
        return True

    return lambda patch: patch.setattr(Keeper, "_is_ours", is_ours)


async def _next(self: CommittedOutbox) -> Batch:
    """Hand out what is sealed, committed or not."""
    while not self.counting.document.outbox:
        self._changed.clear()
        await self._changed.wait()
    return self.counting.document.outbox[0]


async def _attempted(self: CommittedOutbox, batch: Batch) -> None:
    self.counting.drop_batch(batch)


def _unreleased_cursor(self: Reader) -> Cursor:
    ahead: Cursor = self._ahead_cursor(self._unreleased.lines)
    return self._cursor if self._proof is not None else ahead


def _stale_cursor(self: Reader) -> Cursor:
    return self._cursor


def _settle_always_rotated(self: Proof) -> None:
    if self.verdict is None:
        self._decide(Continuity.ROTATED, self._suffix)


def _settle_never_rotated(self: Proof) -> None:
    if self.verdict is None:
        self._decide(Continuity.GAP, 0)


def _decide_without_fresh(self: Proof, verdict: Continuity, seen: int) -> None:
    _decide(self, verdict, seen)
    if verdict is Continuity.GAP:
        self.fresh = []


def _decide_without_seen(self: Proof, verdict: Continuity, seen: int) -> None:
    _decide(self, verdict, seen)
    self.seen = []


_decide = Proof._decide
_reopen, _take = Reader.reopen, Reader.take


def _count_tails(patch: pytest.MonkeyPatch) -> None:
    """Take what stands behind the last newline for a line when a stream ends."""
    held: dict[Reader, Released] = {}

    def reopen(self: Reader, **how: Any) -> int:  # noqa: ANN401 as it is called
        if self.tail:
            self.feed(b"\n")
            held[self] = _take(self)
        return _reopen(self, **how)

    patch.setattr(Reader, "reopen", reopen)
    patch.setattr(Reader, "take", lambda self: held.pop(self, None) or _take(self))


def _no_other(self: Reader, *_args: object) -> bool:
    return False


def _any_stamp(line: bytes) -> tuple[int, int] | None:
    return parse_stamp(line) or (0, 0)


def _no_lag(self: Lag, *_args: object, **_kwargs: object) -> None:
    """Trust the stream to be whole."""


def _no_step(self: Recent, *_args: object) -> bool:
    """Take what a stream brings for new."""
    return False


def _set(owner: object, name: str, value: object) -> Patch:
    return lambda patch: patch.setattr(owner, name, value)


SEEDS = {
    "strict comparison of stamps": 401,
    "next instance taken for this one": 208,
    "rest of a torn line not looked past": 91,
    "skipped files not suspected": 329,
    "sent before it is committed": 96,
    "file served again counted": 1,
}
"""Schedules that find the bugs which few do; the first ones find the others."""

MUTANTS: dict[str, Patch] = {
    # grafana/alloy#6824, #7192: the last line is sent again after each reconnection.
    "time stamp alone as cursor": _proof(_ByStamp),
    # grafana/alloy#3959, elastic/cloud-on-k8s#3389.
    "strict comparison of stamps": _proof(_ByLaterStamp),
    # stern: wrong after a rotation, when fewer lines replay.
    "count of lines as cursor": _proof(_ByCount),
    # grafana/alloy#3959.
    "equal stamps dropped": _drop_live(lambda at, highest: at == highest),
    # grafana/alloy#7076: 4 % of the lines.
    "backward stamps dropped": _drop_live(lambda at, highest: at < highest),
    # ClickHouse/ClickHouse#111722.
    "position saved before effect": _saved_apart(cursors_first=True),
    "position saved after effect": _saved_apart(cursors_first=False),
    # In back-off, `previous` and the plain request mean the same instance.
    "previous trusted twice": _set(instances, "end_instance", _never_ends),
    "next instance taken for this one": _set(Reader, "take_over", _no_other),
    "no slack behind the highest stamp": _set(resume, "SLACK_SECONDS", 0),
    "every gap taken for a rotation": _set(Proof, "settle", _settle_always_rotated),
    "every rotation taken for a gap": _set(Proof, "settle", _settle_never_rotated),
    "lines behind a gap left out": _set(Proof, "_decide", _decide_without_fresh),
    "proved lines forgotten": _set(Proof, "_decide", _decide_without_seen),
    "rest of a torn line not looked past": _set(resume, "MAX_TORN", 0),
    "text without a stamp counted": _set(reader, "parse_stamp", _any_stamp),
    "half a line counted": _count_tails,
    "skipped files not suspected": _set(Lag, "take", _no_lag),
    "file served again counted": _set(Recent, "is_back", _no_step),
    "cursor moved over unreleased lines": _set(Reader, "cursor", _unreleased_cursor),
    "folded without moving the cursor": _set(Reader, "cursor", _stale_cursor),
    "nonce not checked": _is_ours(checks_epoch=True, checks_nonce=False),
    "epoch not checked": _is_ours(checks_epoch=False, checks_nonce=True),
    "failed write taken for done": _set(Keeper, "_save", _save_and_hope),
    "outbox not saved": _set(keeper, "encode", _without_outbox),
    "sent before it is committed": _set(CommittedOutbox, "next", _next),
    "removed before it is accepted": _set(CommittedOutbox, "attempted", _attempted),
}
