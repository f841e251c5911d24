"""One question with its seconds: an answer, or why there is none, without the error's text."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

from agent.doctor.verdicts import Refusal
from agent.source.api import ApiError

if TYPE_CHECKING:
    from collections.abc import Awaitable

T = TypeVar("T")

NO_ANSWER = Refusal(0, "no answer in time")


async def ask(asking: Awaitable[T], seconds: float) -> T | Refusal:
    """Wait for an answer of the API server at most so long."""
    try:
        async with asyncio.timeout(seconds):
            return await asking
    except TimeoutError:
        return NO_ANSWER
    except ApiError as error:
        return Refusal(error.status, error.reason)
