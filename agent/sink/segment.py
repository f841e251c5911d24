"""Segment's HTTP tracking API, and what speaks the same: one POST for one sealed batch.

Owns the request, and what each answer means for the batch. Must not know when to send or what comes
next. Neither an answer's body nor a request is ever logged or kept.
"""

from __future__ import annotations

import gzip
import re
from base64 import b64encode
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

import aiohttp
from attrs import field, frozen

from agent.sink.batch import LIBRARY, envelope
from agent.sink.endpoint import WriteKeyError
from agent.sink.outcome import Delivered, Rejected, Retry

if TYPE_CHECKING:
    from agent.model import Batch
    from agent.sink.outcome import Outcome, Reason

MIN_RETRY_AFTER_SECONDS = 1.0
"""An answer that asks for no wait at all must not make a busy loop."""
MAX_RETRY_AFTER_SECONDS = 3600.0

_TIMEOUT = aiohttp.ClientTimeout(total=60, sock_connect=10, sock_read=30)
_DECIMAL = re.compile(r"[0-9]{1,9}")
_WRITE_KEY = re.compile(r"[!-9;-~]+")


def open_session(agent_version: str) -> aiohttp.ClientSession:
    """Return a session that keeps nothing between requests and honours the proxy variables."""
    return aiohttp.ClientSession(
        # No connection either: one that is kept for the next hour's request would stand open to the
        # destination for half a minute, also after an off.
        connector=aiohttp.TCPConnector(force_close=True),
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"User-Agent": f"{LIBRARY}/{agent_version}"},
        timeout=_TIMEOUT,
        trust_env=True,
        # No answer is read, so none has to be unpacked.
        auto_decompress=False,
    )


@frozen
class Segment:
    """One destination: where to, on whose behalf, and how."""

    session: aiohttp.ClientSession = field(repr=False)
    endpoint: str
    write_key: str = field(repr=False)
    agent_version: str

    @write_key.validator
    def _check_write_key(self, _attribute: object, value: str) -> None:
        # Segment answers 200 to a wrong key, so what can be known to be wrong is said here.
        if not _WRITE_KEY.fullmatch(value):
            raise WriteKeyError(
                "the write key is empty or holds a space, a line break or a colon; copy it again"
            )

    async def send(self, batch: Batch, *, sent_seconds: float) -> Outcome:
        """Send a batch once and say what came of it; never raises for what a network can do."""
        body = envelope(batch, sent_seconds=sent_seconds, agent_version=self.agent_version)
        try:
            async with self.session.post(
                f"{self.endpoint}/v1/batch",
                data=gzip.compress(body, mtime=0),
                headers={"Content-Type": "application/json", "Content-Encoding": "gzip"},
                allow_redirects=False,
                middlewares=(self._authorize,),
            ) as response:
                # The status says all; the body is left unread, which bounds what it can be.
                return _outcome(
                    response.status, response.headers.get("Retry-After"), now=sent_seconds
                )
        except TimeoutError:
            return Retry("timeout")
        except (aiohttp.ClientError, OSError, ValueError):
            # A host or a proxy of the environment that fits into no request is a `ValueError`.
            return Retry("connection")

    async def _authorize(
        self, request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        # Set here, not with the other headers: with `trust_env` aiohttp looks into ~/.netrc, and
        # refuses a request for which both that file and a header give credentials.
        credentials = b64encode(f"{self.write_key}:".encode()).decode()
        request.headers["Authorization"] = f"Basic {credentials}"
        return await handler(request)


def _outcome(status: int, retry_after: str | None, *, now: float) -> Outcome:
    if 200 <= status < 300:  # noqa: PLR2004 - the classes of HTTP
        return Delivered()
    reason = _reason(status)
    if reason is None:
        return Rejected(status)
    return Retry(reason, None if retry_after is None else _wait_seconds(retry_after, now=now))


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


def _wait_seconds(retry_after: str, *, now: float) -> float | None:
    """Read a Retry-After header, in seconds or as a date, within sensible bounds."""
    if _DECIMAL.fullmatch(retry_after):
        wait = float(retry_after)
    else:
        try:
            at = parsedate_to_datetime(retry_after)
        except (ValueError, OverflowError):
            return None
        # HTTP knows GMT only, whatever zone a server names.
        wait = at.replace(tzinfo=UTC).timestamp() - now
    return min(max(wait, MIN_RETRY_AFTER_SECONDS), MAX_RETRY_AFTER_SECONDS)
