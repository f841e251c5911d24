"""The one HTTP client of all destinations: a batch's requests in order, one at a time.

Owns sessions, time limits, and how far a batch has got. Must not know when to send or what comes
next, nor any service. Neither an answer's body nor a request is ever logged or kept.
"""

from __future__ import annotations

import gzip
import re
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

import aiohttp
from attrs import define, evolve, field

from agent.sink.batch import LIBRARY
from agent.sink.endpoint import check_key
from agent.sink.outcome import Delivered, GivenUp, Rejected, Retry
from agent.sink.wire import MAX_ANSWER_BYTES, Answer, always

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.model import Batch
    from agent.sink.outcome import Outcome
    from agent.sink.wire import Request, Translation

MIN_RETRY_AFTER_SECONDS = 1.0
"""An answer that asks for no wait at all must not make a busy loop."""
MAX_RETRY_AFTER_SECONDS = 3600.0

_TIMEOUT = aiohttp.ClientTimeout(total=60, sock_connect=10, sock_read=30)
_DECIMAL = re.compile(r"[0-9]{1,9}")


def open_session(agent_version: str) -> aiohttp.ClientSession:
    """Return a session that keeps nothing between requests and honours the proxy variables."""
    return aiohttp.ClientSession(
        # No connection either: one that is kept for the next hour's request would stand open to the
        # destination for half a minute, also after an off.
        connector=aiohttp.TCPConnector(force_close=True),
        cookie_jar=aiohttp.DummyCookieJar(),
        # What is packed could unpack to any size.
        headers={"User-Agent": f"{LIBRARY}/{agent_version}", "Accept-Encoding": "identity"},
        timeout=_TIMEOUT,
        trust_env=True,
        auto_decompress=False,
    )


@define
class _Progress:
    """How far a batch has got: the pieces that are done with, and what came of those that failed.

    `has_left` is whether the destination may have something of it, `is_unknown` whether a piece
    was given up.
    """

    of: tuple[int, int, bytes]
    pieces: tuple[bytes, ...]
    done: int = 0
    has_left: bool = False
    is_unknown: bool = False
    refusal: Rejected | None = None


@define(eq=False)
class HttpSender:
    """One destination: where to, on whose behalf, in which words, and whether it may get it twice.

    It remembers which pieces of the batch in hand were taken. Where nothing may come twice, a piece
    of which that is not known is not sent again, nor a batch that was attempted before it was made:
    make one for each run. Raises `WriteKeyError`.
    """

    session: aiohttp.ClientSession = field(repr=False)
    endpoint: str
    key: str = field(repr=False)
    translation: Translation
    may_repeat: bool = True
    _progress: _Progress | None = field(default=None, init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        check_key(self.key)

    async def send(
        self, batch: Batch, *, sent_seconds: float, may_go_on: Callable[[], bool] = always
    ) -> Outcome:
        """Send what is left of a batch and say what came of it; `may_go_on` is asked in between.

        Never raises for what a network can do.
        """
        of = (batch.seq, batch.part, batch.body)
        at = self._progress
        if at is None or at.of != of:
            if batch.place and not self.may_repeat:
                return GivenUp()
            at = self._progress = _Progress(of, self.translation.pieces(batch))
        while at.done < len(at.pieces):
            if at.has_left and not may_go_on():
                return Retry("interrupted")
            outcome = await self._post(at.pieces[at.done], batch, sent_seconds)
            if isinstance(outcome, Retry) and (outcome.is_untaken or self.may_repeat):
                at.has_left |= not outcome.is_untaken
                return evolve(outcome, is_untaken=not at.has_left)
            at.has_left = True
            at.done += 1
            match outcome:
                case Retry():
                    at.is_unknown = True
                    if at.done < len(at.pieces):
                        return outcome
                case Rejected():
                    at.refusal = outcome
                case _:
                    pass
        self._progress = None
        return at.refusal or (GivenUp() if at.is_unknown else Delivered())

    async def _post(self, piece: bytes, batch: Batch, sent_seconds: float) -> Outcome:
        request = self.translation.request(piece, batch, key=self.key, sent_seconds=sent_seconds)
        headers = {"Content-Type": "application/json"}
        if request.is_packed:
            headers["Content-Encoding"] = "gzip"
        try:
            async with self.session.post(
                f"{self.endpoint}{request.path}",
                params=dict(request.query),
                data=gzip.compress(request.body, mtime=0) if request.is_packed else request.body,
                headers=headers,
                allow_redirects=False,
                middlewares=(_authorize(request),),
            ) as response:
                asked = response.headers.get("Retry-After")
                wait = None if asked is None else _wait_seconds(asked, now=sent_seconds)
                # Where the status says all, the body is left unread, which bounds what it can be.
                # Of what is no success the status says all.
                reads = self.translation.reads_body and response.status < 300  # noqa: PLR2004
                body = await _begin(response) if reads else b""
                return self.translation.read(Answer(response.status, wait, body), piece)
        except TimeoutError as error:
            return Retry("timeout", is_untaken=isinstance(error, aiohttp.ConnectionTimeoutError))
        except (aiohttp.ClientError, OSError, ValueError) as error:
            # A host or a proxy of the environment that fits into no request is a `ValueError`.
            return Retry("connection", is_untaken=isinstance(error, aiohttp.ClientConnectorError))


async def _begin(response: aiohttp.ClientResponse) -> bytes:
    """Return a body, however many pieces it comes in, or the first of one that is too long."""
    body = b""
    async for piece in response.content.iter_any():
        body += piece
        if len(body) >= MAX_ANSWER_BYTES:
            break
    return body[:MAX_ANSWER_BYTES]


def _authorize(request: Request) -> aiohttp.ClientMiddlewareType:
    async def authorize(
        sent: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        # Set here, not with the other headers: with `trust_env` aiohttp looks into ~/.netrc, and
        # refuses a request for which both that file and a header give credentials.
        sent.headers.pop("Authorization", None)
        if request.authorization is not None:
            sent.headers["Authorization"] = request.authorization
        return await handler(sent)

    return authorize


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
