"""A listener of ours: how it opens, what it says when it cannot, and what every answer of it has.

Owns that no answer, not even to what is no HTTP, lacks the headers, names a version or repeats what
was asked. Must not know what is served. The sockets of the health port and of the page are opened
here alone.
"""

from __future__ import annotations

import asyncio
import errno
import logging
from contextlib import asynccontextmanager
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

log = logging.getLogger(__name__)

GUARDS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
"""The headers of every answer: a browser stores, guesses, frames and runs nothing."""

KEEPALIVE_SECONDS = 30
SHUTDOWN_SECONDS = 1
"""Less than the five seconds in which the agent must have ended."""


class ServerError(Exception):
    """A port cannot be opened. The message names the settings that decide it."""


@asynccontextmanager
async def listen(
    host: str,
    port: int,
    answer: Callable[[web.BaseRequest], Awaitable[web.Response]],
    *,
    section: str,
    guards: Mapping[str, str] = GUARDS,
) -> AsyncIterator[int]:
    """Answer requests and give the port's number, which port 0 leaves open. Raises `ServerError`.

    `section` is that of the settings that decide where; `guards` are headers of every answer.
    """
    loop = asyncio.get_running_loop()
    server = _Server(
        answer,
        request_factory=partial(_Request, guards, loop=loop),
        access_log=None,
        keepalive_timeout=KEEPALIVE_SECONDS,
    )
    runner = web.ServerRunner(server, shutdown_timeout=SHUTDOWN_SECONDS)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, host, port).start()
        except (OSError, OverflowError) as error:
            raise ServerError(_why(host, port, error, section)) from error
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


class _Request(web.BaseRequest):
    """A request whose answer has the headers, whoever made it."""

    def __init__(self, guards: Mapping[str, str], *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 aiohttp's
        super().__init__(*args, **kwargs)
        self._guards = guards

    async def _prepare_hook(self, response: web.StreamResponse) -> None:
        response.headers.update(self._guards)
        response.headers.pop("Server", None)


class _Server(web.Server):
    def __call__(self) -> web.RequestHandler:
        return _Handler(self, loop=self._loop, **self._kwargs)


class _Handler(web.RequestHandler):
    """A connection that says of what it cannot answer that it cannot, and no more."""

    __slots__ = ()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = HTTPStatus.INTERNAL_SERVER_ERROR,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002 it quotes the request
    ) -> web.StreamResponse:
        if status == HTTPStatus.INTERNAL_SERVER_ERROR:
            log.error("an answer has failed", exc_info=exc)
        if request.writer.output_size > 0:
            raise ConnectionError("the answer has begun already")
        response = web.Response(text=f"{HTTPStatus(status).phrase.lower()}\n", status=status)
        response.force_close()
        return response


def _why(host: str, port: int, error: Exception, section: str) -> str:
    code = getattr(error, "errno", None)
    if code == errno.EADDRINUSE:
        return f"port {port} is already in use on {host}; set {section}.port to another, or to 0"
    if code == errno.EACCES:
        return f"port {port} needs a right that the agent has not; set {section}.port above 1023"
    what = type(error).__name__
    return f"{host}:{port} cannot be listened on ({what}); check {section}.host"
