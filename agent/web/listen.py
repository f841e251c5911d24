"""A listener of ours: how it opens, what it says when it cannot, and that it names no versions.

Must not know what is served. The sockets of the health port and of the page are opened here alone.
"""

from __future__ import annotations

import asyncio
import errno
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

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
) -> AsyncIterator[int]:
    """Answer requests and give the port's number, which port 0 leaves open. Raises `ServerError`.

    `section` is that of the settings that decide where.
    """
    loop = asyncio.get_running_loop()
    server = web.Server(
        answer,
        request_factory=partial(_Request, loop=loop),
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
    """A request whose answer, be it aiohttp's own to a malformed request, names no versions."""

    async def _prepare_hook(self, response: web.StreamResponse) -> None:
        response.headers.pop("Server", None)


def _why(host: str, port: int, error: Exception, section: str) -> str:
    code = getattr(error, "errno", None)
    if code == errno.EADDRINUSE:
        return f"port {port} is already in use on {host}; set {section}.port to another, or to 0"
    if code == errno.EACCES:
        return f"port {port} needs a right that the agent has not; set {section}.port above 1023"
    what = type(error).__name__
    return f"{host}:{port} cannot be listened on ({what}); check {section}.host"
