"""The delivery loop that all destinations share: oldest batch first, one at a time, until taken.

Owns when to send again. Must not know what a batch holds, where it is kept, or how it is sent: the
outbox hands out committed batches only, and the destination is a function.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Protocol

import backoff

from agent.sink.outcome import Delivered, GivenUp, Rejected, Retry

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator
    from typing import NoReturn

    from agent.model import Batch
    from agent.sink.outcome import Outcome, Reason

MAX_WAIT_SECONDS = 300
"""Cap of the growing wait between attempts. What the destination asks for may be longer."""

logger = logging.getLogger(__name__)


class Outbox(Protocol):
    """Where committed batches wait. Batches are told apart by `seq` and `part`.

    Of a batch that is gone in the meantime (the mode was left) nothing is to be done.
    """

    async def next(self) -> Batch:
        """Wait for a committed batch and return the oldest, as it now stands."""

    async def attempted(self, batch: Batch) -> None:
        """Note that the batch is about to be given to the destination."""

    async def delivered(self, batch: Batch) -> None:
        """Remove a batch that was accepted."""

    async def retried(self, batch: Batch, reason: Reason, *, is_untaken: bool) -> None:
        """Note that a batch was not accepted and will be sent again."""

    async def rejected(self, batch: Batch, status: int) -> None:
        """Park a batch that will never be accepted, visibly, so that it does not block the rest."""

    async def given_up(self, batch: Batch) -> None:
        """Park a batch that may have been accepted and is not to be sent again."""


class Send(Protocol):
    """Send a batch once, or what is left of it."""

    async def __call__(self, batch: Batch, *, sent_seconds: float) -> Outcome: ...


async def deliver(
    outbox: Outbox,
    send: Send,
    *,
    clock: Callable[[], float],
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    jitter: Callable[[float], float] = backoff.full_jitter,
) -> NoReturn:
    """Deliver batches until cancelled.

    The batch is asked for anew before each attempt, so that nothing is sent that was discarded
    while we waited. Waits grow with each attempt that is not accepted. A rejection counts as one,
    too: when everything is rejected (a wrong key), the outbox drains slowly enough to be noticed.
    """
    waits = _growing()
    trouble: str | None = None
    while True:
        batch = await outbox.next()
        await outbox.attempted(batch)
        outcome = await send(batch, sent_seconds=clock())
        match outcome:
            case Delivered():
                await outbox.delivered(batch)
                logger.info("batch delivered", extra=_fields(batch))
                waits, trouble = _growing(), None
            case Rejected(status):
                await outbox.rejected(batch, status)
                logger.error("batch rejected and parked", extra=_fields(batch) | {"status": status})
                trouble = None
                await sleep(jitter(next(waits)))
            case GivenUp():
                await outbox.given_up(batch)
                logger.error("batch given up and parked", extra=_fields(batch))
                trouble = None
                await sleep(jitter(next(waits)))
            case Retry(reason, after_seconds, is_untaken):
                await outbox.retried(batch, reason, is_untaken=is_untaken)
                # Always taken, so that the wait also grows under answers that name none.
                grown = jitter(next(waits))
                if reason != trouble:
                    logger.warning(
                        "batch not accepted, will retry", extra=_fields(batch) | {"reason": reason}
                    )
                    trouble = reason
                await sleep(grown if after_seconds is None else after_seconds)


def _growing() -> Generator[float, None, None]:
    waits = backoff.expo(max_value=MAX_WAIT_SECONDS)
    # backoff yields None first, for a value that its own decorators send in.
    next(waits)
    return waits


def _fields(batch: Batch) -> dict[str, object]:
    return {"seq": batch.seq, "part": batch.part, "events": batch.events}
