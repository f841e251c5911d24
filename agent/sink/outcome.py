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
    "unexpected_answer",
    "quota",
    "file",
    "interrupted",
    "switched_off",
]
"""Why a batch is to be sent again: the first four are answers, the next two the lack of one.

`unexpected_answer` is a success that the service does not give, `quota` one that says that it kept
nothing, `file` that a file cannot be written. `interrupted` says that a part was sent and the rest
waits, `switched_off` that nothing was: a switch says off or cannot be read."""


@frozen
class Delivered:
    """The destination took the batch, now or at an earlier attempt whose answer was lost."""


@frozen
class Retry:
    """The destination cannot take the batch now; `after_seconds` is what it asked to wait.

    `is_untaken` is whether it certainly has nothing of it.
    """

    reason: Reason
    after_seconds: float | None = None
    is_untaken: bool = False


@frozen
class Rejected:
    """The destination will never take this batch as it is."""

    status: int


@frozen
class GivenUp:
    """Whether the destination took all of the batch is not known, and it is not to get it twice."""


Outcome: TypeAlias = Delivered | Retry | Rejected | GivenUp
