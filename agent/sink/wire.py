"""What a destination's translation is: a batch -> requests, and an answer -> what it came to.

Owns the values between the translations, which are pure, and the one client that sends. Must not
know any service. Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from attrs import field, frozen

from agent.sink.outcome import Delivered, Rejected, Retry

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from agent.model import Batch
    from agent.sink.outcome import Outcome, Reason

MAX_ANSWER_BYTES = 65_536


@frozen
class Request:
    """One POST of JSON; `path` is below the endpoint. Query and authorization may be secret."""

    path: str
    body: bytes = field(repr=False)
    query: Mapping[str, str] = field(factory=dict, repr=False)
    authorization: str | None = field(default=None, repr=False)
    is_packed: bool = False


@frozen
class Answer:
    """What came back: `after_seconds` is what it asks to wait, `body` at most its first bytes."""

    status: int
    after_seconds: float | None = None
    body: bytes = field(default=b"", repr=False)


class SendWhile(Protocol):
    """Sends a batch once, or what is left of it; `may_go_on` is asked between its requests."""

    async def __call__(
        self, batch: Batch, *, sent_seconds: float, may_go_on: Callable[[], bool]
    ) -> Outcome: ...


def always() -> bool:
    """Let a batch go on at any time."""
    return True


class Translation(Protocol):
    """One service's words for a batch. All of it is pure: the same batch gives the same bytes."""

    @property
    def reads_body(self) -> bool:
        """Whether the body of an answer says more than its status."""

    def pieces(self, batch: Batch) -> tuple[bytes, ...]:
        """Return what the service is given of a batch, one piece a request, within its limits.

        What people are shown: neither the key nor anything that changes between attempts is in it.
        """

    def request(self, piece: bytes, batch: Batch, *, key: str, sent_seconds: float) -> Request:
        """Return the request of one attempt."""

    def read(self, answer: Answer, piece: bytes) -> Outcome:
        """Say what an answer means for the piece."""


def read_status(answer: Answer) -> Outcome:
    """Say what a status means for all services that keep to HTTP."""
    if 200 <= answer.status < 300:  # noqa: PLR2004 - the classes of HTTP
        return Delivered()
    reason = _reason(answer.status)
    if reason is None:
        return Rejected(answer.status)
    is_untaken = reason in {"rate_limited", "redirected"}
    return Retry(reason, answer.after_seconds, is_untaken=is_untaken)


def _reason(status: int) -> Reason | None:
    """Why a status is worth another attempt; None if it is not."""
    match status:
        case 429:
            return "rate_limited"
        case 408:
            return "request_timeout"
        case _ if 300 <= status < 400:  # noqa: PLR2004 - the classes of HTTP
            return "redirected"  # a captive portal or a moved endpoint, which will be mended
        case _ if status >= 500:  # noqa: PLR2004 - the classes of HTTP
            return "server_error"
        case _:
            return None
