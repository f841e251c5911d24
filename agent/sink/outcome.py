"""What a send can come to: values, because none is unexpected; the same for all destinations."""

from __future__ import annotations

from typing import Literal, TypeAlias

from attrs import frozen

Reason: TypeAlias = Literal[
    "rate_limited",
    "request_timeout",
    "server_error",
    "redirected",
    "timeout",
    "connection",
    "switched_off",
]
"""Why a batch is to be sent again: the first four are answers, the next two the lack of
one; the last says that it was not sent, because a switch says off or cannot be read."""


@frozen
class Delivered:
    """The destination took the batch, now or at an earlier attempt whose answer was lost."""


@frozen
class Retry:
    """The destination cannot take the batch now; `after_seconds` is what it asked to wait."""

    reason: Reason
    after_seconds: float | None = None


@frozen
class Rejected:
    """The destination will never take this batch as it is."""

    status: int


Outcome: TypeAlias = Delivered | Retry | Rejected
