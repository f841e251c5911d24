"""Where one stream of counts ends and another begins: a mode is left, a slot is given back.

Owns what of a document goes with its stream, and what must not outlive a mode. Must not know what
is read or counted; random ids and time are arguments. Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.aggregate import Windows
from agent.sink.batch import batch_array

if TYPE_CHECKING:
    from agent.state.document import Document


def note_off(document: Document, stream: str, *, now_seconds: int) -> list[bytes]:
    """Discard all that is unsent and all that was learned, and note that it was off.

    Return what was discarded, which the ledger shall not call to be sent again.
    """
    discarded = leave_mode(document, stream)
    forget_facts(document)
    if document.off_seconds is None:
        document.off_seconds = now_seconds
    document.stopped_seconds = None
    return discarded


def forget_facts(document: Document) -> None:
    """Forget what was learned of BotKube: since when an off had stood that is seen, nobody knows.

    It may have been taken back before anybody who works could see it.
    """
    document.instances = {key: one.forgotten() for key, one in document.instances.items()}


def give_back(document: Document) -> None:
    """Leave a slot, of which all was read, closed and sent, to whoever needs one next."""
    document.holder = ""
    document.instances.clear()
    document.restarts.clear()


def begin_stream(document: Document, stream: str) -> None:
    """Begin anew with a slot that nobody held: what was counted in it ends where it ended."""
    document.stream, document.seq = stream, 0
    document.totals.clear()
    document.windows = Windows(document.windows.seconds)
    document.stopped_seconds = document.off_seconds = document.sends = None
    document.blind = None


def leave_mode(document: Document, stream: str) -> list[bytes]:
    """Leave or enter `on`: what was counted in the other mode, or stamped in it, is never sent.

    Return the arrays that were discarded.
    """
    discarded = [batch_array(batch) for batch in document.outbox]
    document.stream, document.seq = stream, 0
    document.totals.clear()
    document.restarts.clear()  # crashes that nobody saw are of the other mode
    document.outbox.clear()
    document.windows.open.clear()
    document.identified_digest = ""
    document.windows.count_from = None
    document.sends = False
    return discarded
