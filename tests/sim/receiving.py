"""What all collectors have in common: a real HTTP server, its faults, and an account of what came.

Owns the server and the account's form. What a request means, what is answered and what is really
kept is each service's own: `collector` (Segment), `posthog`, `ga4`, `piwik_pro`.
"""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import time
import zlib
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, Self

import attrs
from aiohttp import web

from tests.sim.faults import Answer, Call, FaultPlan
from tests.sim.wire import Wire, cut_of, serve

Event = dict[str, Any]

# More than any of the services reads, so that each refuses what is too large in its own way.
_SERVER_BYTES = 32 * 1024 * 1024


@attrs.frozen
class Received:
    """One request as it came in; `text` is its body unpacked, `events` what could be read of it."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    caller: str
    raw: bytes
    text: bytes
    events: tuple[Event, ...] = ()


@attrs.frozen
class Dropped:
    """An event that was thrown away although the answer says success."""

    reason: str
    event: Event


@attrs.frozen
class Reply:
    """An answer: JSON unless its body is bytes, and nothing at all without one."""

    code: int
    body: Event | bytes | None = None
    media_type: str = "text/plain"


class Receiver(ABC):
    """The server with its account; `now` is its clock, which a test may replace."""

    def __init__(self) -> None:
        self.faults = FaultPlan()
        self.now: Callable[[], float] = time.time
        self.accepted: list[Event] = []
        self.duplicates: list[Event] = []
        self.dropped: list[Dropped] = []
        self.requests: list[Received] = []
        self.url = ""
        self._closing = asyncio.Event()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Self]:
        app = web.Application(client_max_size=_SERVER_BYTES)
        app.router.add_route("*", "/{path:.*}", self._receive)
        runner = web.AppRunner(
            app,
            handler_cancellation=True,
            access_log=None,
            auto_decompress=False,
            shutdown_timeout=0.1,
        )
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield self
        finally:
            self._closing.set()
            await runner.cleanup()
            # One more turn of the loop, in which the closed transports let go of their sockets.
            await asyncio.sleep(0)

    def reasons(self) -> list[str]:
        """Say why each event was dropped, in order."""
        return [dropped.reason for dropped in self.dropped]

    @abstractmethod
    def _take(self, received: Received) -> Reply:
        """Account for a request and answer it as the service does."""

    def _refusal(self, message: str) -> Event:
        """Word an error as the service does."""
        return {"error": message}

    def _drop(self, reason: str, *events: Event) -> None:
        self.dropped += [Dropped(reason, event) for event in events]

    async def _receive(self, request: web.Request) -> web.StreamResponse:
        fault = self.faults.take(Call(request.method, request.path, query=dict(request.query)))
        wire = Wire(request, closing=self._closing, cut=cut_of(fault))

        async def handler(wire: Wire) -> None:
            await _send(wire, self._take(await _read(request)))

        return await serve(wire, fault, handler, self._refuse)

    async def _refuse(self, wire: Wire, fault: Answer) -> None:
        extra = {}
        if fault.retry_after is not None:
            wait = str(fault.retry_after)
            extra = {"Retry-After": wait, "X-RateLimit-Reset": wait}
        body = self._refusal("fault") if fault.body is None else fault.body
        await _send(
            wire, Reply(fault.status, body if isinstance(body, bytes) else dict(body)), extra
        )


def read_json(text: bytes) -> Event | None:
    """Read a body that must be a JSON object."""
    try:
        body = json.loads(text)
    except ValueError:
        return None
    return body if isinstance(body, dict) else None


def size_of(event: Event) -> int:
    return len(json.dumps(event, separators=(",", ":"), ensure_ascii=False).encode())


async def _read(request: web.Request) -> Received:
    raw = await request.read()
    return Received(
        method=request.method,
        path=request.path,
        query=dict(request.query),
        headers=request.headers.copy(),
        caller=request.remote or "",
        raw=raw,
        text=_unpack(raw, request.headers.get("Content-Encoding", "")),
    )


def _unpack(raw: bytes, encoding: str) -> bytes:
    """Unpack a body; one that cannot be unpacked reads as an empty one, which none accepts."""
    if encoding != "gzip":
        return raw
    try:
        return gzip.decompress(raw)
    except (OSError, EOFError, zlib.error):
        return b""


async def _send(wire: Wire, reply: Reply, extra: Mapping[str, str] | None = None) -> None:
    if reply.body is None:
        await wire.answer(reply.code, b"", extra or {})
    elif isinstance(reply.body, bytes):
        await wire.answer(
            reply.code, reply.body, {"Content-Type": reply.media_type, **(extra or {})}
        )
    else:
        headers = {"Content-Type": "application/json", **(extra or {})}
        await wire.answer(reply.code, json.dumps(reply.body).encode(), headers)
