"""The health port: /healthz, /readyz, /metrics, and nothing else.

Owns the listener and the words of the answers. Must not know what is measured: `read` gives a
`Snapshot`. Neither answer depends on the destination, so that no orchestrator restarts an agent
because the network is closed.
"""

from __future__ import annotations

import asyncio
import errno
from contextlib import asynccontextmanager
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING

from aiohttp import web

from agent.web.metrics import CONTENT_TYPE, exposition

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from agent.web.metrics import Snapshot

KEEPALIVE_SECONDS = 30
SHUTDOWN_SECONDS = 1
"""Less than the five seconds in which the agent must have ended."""


class ServerError(Exception):
    """The health port cannot be opened. The message names the settings that decide it."""


@asynccontextmanager
async def serve(host: str, port: int, read: Callable[[], Snapshot]) -> AsyncIterator[int]:
    """Serve the health port and give its number, which port 0 leaves open. Raises `ServerError`."""
    loop = asyncio.get_running_loop()
    server = web.Server(
        partial(_answer, read),
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
            raise ServerError(_why(host, port, error)) from error
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


async def _answer(read: Callable[[], Snapshot], request: web.BaseRequest) -> web.Response:
    if request.method not in {"GET", "HEAD"}:
        return _line("only GET", HTTPStatus.METHOD_NOT_ALLOWED, Allow="GET, HEAD")
    match request.path:
        case "/healthz":
            return _health(read())
        case "/readyz":
            return _readiness(read())
        case "/metrics":
            return web.Response(body=exposition(read()), headers={"Content-Type": CONTENT_TYPE})
        case _:
            return _line("not found; there are /healthz, /readyz, /metrics", HTTPStatus.NOT_FOUND)


def _health(snapshot: Snapshot) -> web.Response:
    # That there is an answer at all shows that the event loop works.
    if snapshot.dead:
        return _line(f"dead: {', '.join(sorted(snapshot.dead))}", HTTPStatus.SERVICE_UNAVAILABLE)
    return _line("ok", HTTPStatus.OK)


def _readiness(snapshot: Snapshot) -> web.Response:
    is_off = snapshot.mode == "off"
    is_ready = is_off or snapshot.is_listed
    reason = "off" if is_off else "listed" if is_ready else "not_listed"
    # Rules with faults do not keep a good set from counting: a detail, and ready all the same.
    details = ["rules_refused"] if snapshot.are_rules_refused else []
    return web.json_response(
        {"ready": is_ready, "reasons": [reason, *details]},
        status=HTTPStatus.OK if is_ready else HTTPStatus.SERVICE_UNAVAILABLE,
    )


def _line(text: str, status: HTTPStatus, **headers: str) -> web.Response:
    return web.Response(text=f"{text}\n", status=status, headers=headers)


class _Request(web.BaseRequest):
    """A request whose answer, be it aiohttp's own to a malformed request, names no versions."""

    async def _prepare_hook(self, response: web.StreamResponse) -> None:
        response.headers.pop("Server", None)


def _why(host: str, port: int, error: Exception) -> str:
    code = getattr(error, "errno", None)
    if code == errno.EADDRINUSE:
        return f"port {port} is already in use on {host}; set health.port to another, or to 0"
    if code == errno.EACCES:
        return f"port {port} needs a right that the agent has not; set health.port above 1023"
    return f"{host}:{port} cannot be listened on ({type(error).__name__}); check health.host"
