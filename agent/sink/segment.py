"""Segment's HTTP tracking API, and what speaks the same: one POST for one sealed batch.

Owns the request around the frozen array. A success says little: Segment answers 200 to nearly
everything, so what it would drop is kept out where batches are sealed. Pure.
"""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING

from attrs import frozen

from agent.sink.batch import batch_array, envelope
from agent.sink.destination import KINDS, SEGMENT
from agent.sink.wire import Request, read_status

if TYPE_CHECKING:
    from agent.model import Batch
    from agent.sink.outcome import Outcome
    from agent.sink.wire import Answer


@frozen
class Segment:
    """The batch as it was sealed; constants and a fresh `sentAt` stand around it."""

    agent_version: str
    reads_body: bool = False

    def pieces(self, batch: Batch) -> tuple[bytes, ...]:
        """Return the frozen array alone."""
        return (batch_array(batch),)

    def request(self, piece: bytes, batch: Batch, *, key: str, sent_seconds: float) -> Request:  # noqa: ARG002 the piece is in the batch
        """Return the array in its envelope."""
        return Request(
            KINDS[SEGMENT].path,
            envelope(batch, sent_seconds=sent_seconds, agent_version=self.agent_version),
            authorization=f"Basic {b64encode(f'{key}:'.encode()).decode()}",
            is_packed=True,
        )

    def read(self, answer: Answer, piece: bytes) -> Outcome:  # noqa: ARG002 the status says all
        """Take the status: nothing else is said."""
        return read_status(answer)
