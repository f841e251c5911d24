"""A collector that speaks Segment's `/v1/batch`: a real HTTP server with an account of what it
took.

Like the original it answers 200 to nearly everything; what it really did with each event stands in
`accepted`, `duplicates` and `dropped`. Faults are scheduled as on the simulated API.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import gzip
import json
import zlib
from collections.abc import AsyncIterator, Mapping
from typing import Any

import attrs
from aiohttp import web

from tests.sim.faults import Answer, Call, FaultPlan
from tests.sim.wire import Wire, cut_of, serve

EVENT_BYTES = 32 * 1024
BATCH_BYTES = 500 * 1024
BATCH_EVENTS = 2500
MESSAGE_ID_CHARS = 100

_TYPES = frozenset({"track", "identify", "group", "page", "screen", "alias"})

Event = dict[str, Any]


@attrs.frozen
class Received:
    """One request as it came in; `events` is empty if the body could not be read."""

    headers: Mapping[str, str]
    raw: bytes
    text: bytes
    events: tuple[Event, ...]


@attrs.frozen
class Dropped:
    """An event that was thrown away although the answer was 200."""

    reason: str
    event: Event


class Collector:
    """The server with its account.

    `strict` answers 401 to a wrong key and 400 to an invalid event, as some compatible servers
    do; a request can ask for it with `X-Strict-Mode: 1`.
    """

    def __init__(self, write_key: str = "write-key", *, strict: bool = False) -> None:
        self.write_key = write_key
        self.strict = strict
        self.faults = FaultPlan()
        self.accepted: list[Event] = []
        self.duplicates: list[Event] = []
        self.dropped: list[Dropped] = []
        self.requests: list[Received] = []
        self.url = ""
        self._seen: set[str] = set()
        self._closing = asyncio.Event()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Collector]:
        app = web.Application(client_max_size=16 * 1024 * 1024)
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

    def tracks(self, event: str) -> list[Event]:
        """Return the accepted `track` calls of one name."""
        return [e for e in self.accepted if e["type"] == "track" and e["event"] == event]

    def forget_ids(self) -> None:
        """Forget all message ids, as the original does after a day."""
        self._seen.clear()

    async def _receive(self, request: web.Request) -> web.StreamResponse:
        call = Call(request.method, request.path, query=dict(request.query))
        fault = self.faults.take(call)
        wire = Wire(request, closing=self._closing, cut=cut_of(fault))

        async def handler(wire: Wire) -> None:
            code, answer = self._take(request, await request.read())
            await _send(wire, code, answer)

        return await serve(wire, fault, handler, _refuse)

    def _take(self, request: web.Request, raw: bytes) -> tuple[int, Event]:
        if (request.method, request.path) != ("POST", "/v1/batch"):
            return 404, _refusal("not found")
        text = _unpack(raw, request.headers.get("Content-Encoding", ""))
        envelope = _envelope(text)
        events = () if envelope is None else tuple(envelope["batch"])
        self.requests.append(Received(dict(request.headers), raw, text or b"", events))
        strict = self.strict or request.headers.get("X-Strict-Mode") == "1"
        if envelope is None:
            return 400, _refusal("malformed JSON")
        if len(text or b"") > BATCH_BYTES or any(_size(event) > EVENT_BYTES for event in events):
            return 400, _refusal("exceeds maximum size")
        if not self._knows(request.headers.get("Authorization", ""), envelope):
            if strict:
                return 401, _refusal("invalid write key")
            self.dropped += [Dropped("write key", event) for event in events]
        elif len(events) > BATCH_EVENTS:
            self.dropped += [Dropped("too many events", event) for event in events]
        elif strict and any(_fault(event) for event in events):
            return 400, _refusal("invalid event")
        else:
            for event in events:
                self._account(event)
        return 200, {"success": True}

    def _account(self, event: Event) -> None:
        fault = _fault(event)
        if fault:
            self.dropped.append(Dropped(fault, event))
        elif event["messageId"] in self._seen:
            self.duplicates.append(event)
        else:
            self._seen.add(event["messageId"])
            self.accepted.append(event)

    def _knows(self, authorization: str, envelope: Event) -> bool:
        basic = base64.b64encode(f"{self.write_key}:".encode()).decode()
        return authorization == f"Basic {basic}" or envelope.get("writeKey", "") == self.write_key


def _fault(event: Event) -> str:
    """Say what is wrong with an event, or nothing."""
    message_id = event.get("messageId")
    if not isinstance(message_id, str) or not 0 < len(message_id) <= MESSAGE_ID_CHARS:
        return "messageId"
    if event.get("type") not in _TYPES:
        return "type"
    if not (event.get("anonymousId") or event.get("userId")):
        return "anonymousId or userId"
    needed = {"track": "event", "group": "groupId"}.get(event["type"])
    if needed and not (isinstance(event.get(needed), str) and event[needed]):
        return needed
    return ""


def _unpack(raw: bytes, encoding: str) -> bytes | None:
    if encoding != "gzip":
        return raw
    try:
        return gzip.decompress(raw)
    except (OSError, EOFError, zlib.error):
        return None


def _envelope(text: bytes | None) -> Event | None:
    try:
        envelope = json.loads(text or b"")
    except ValueError:
        return None
    if not isinstance(envelope, dict) or not isinstance(envelope.get("batch"), list):
        return None
    return envelope if all(isinstance(event, dict) for event in envelope["batch"]) else None


def _size(event: Event) -> int:
    return len(json.dumps(event, separators=(",", ":"), ensure_ascii=False).encode())


def _refusal(message: str) -> Event:
    return {"success": False, "message": message, "code": "invalid_request"}


async def _refuse(wire: Wire, fault: Answer) -> None:
    extra = {}
    if fault.retry_after is not None:
        extra = {"Retry-After": str(fault.retry_after), "X-RateLimit-Reset": str(fault.retry_after)}
    body = _refusal("fault") if fault.body is None else fault.body
    if isinstance(body, bytes):
        await wire.answer(fault.status, body, {"Content-Type": "text/plain", **extra})
    else:
        await _send(wire, fault.status, dict(body), extra)


async def _send(wire: Wire, code: int, body: Event, extra: Mapping[str, str] | None = None) -> None:
    headers = {"Content-Type": "application/json", **(extra or {})}
    await wire.answer(code, json.dumps(body).encode(), headers)
