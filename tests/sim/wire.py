"""One answer on its way to the client, and the faults that happen to it there.

All simulated servers write through `Wire`, which slices bodies into pieces, carries out scheduled
cuts, and lets a test end a running stream. It knows nothing of what the bytes mean.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import Awaitable, Callable, Mapping

from aiohttp import web
from multidict import CIMultiDict

from tests.sim.faults import Answer, Cut, Delay, Fault, HalfOpen, LoseResponse, Reset, Then

# So much of an answer net/http holds back, to see whether there is more.
_BUFFERED_BYTES = 2048


class Ended(Exception):  # noqa: N818 - not an error: the stream is over, by order or by fault
    """Nothing more can be written; handlers let it pass."""


class Wire:
    """The answer to one request; `wake` is set when a waiting handler should look again."""

    def __init__(
        self,
        request: web.BaseRequest,
        *,
        closing: asyncio.Event,
        cut: Cut | None = None,
        piece_bytes: int = 64 * 1024,
    ) -> None:
        self.path = request.path_qs
        self.wake = asyncio.Event()
        self.response: web.StreamResponse | None = None
        self.lost = False
        self._request = request
        self._closing = closing
        self._cut = cut
        self._piece_bytes = piece_bytes
        self._order: Then | None = None
        self._sent_bytes = 0
        self._sent_lines = 0

    @property
    def is_to_be_cut(self) -> bool:
        """Whether a fault waits for the body to begin."""
        return self._cut is not None

    @property
    def takes_gzip(self) -> bool:
        return "gzip" in self._request.headers.get("Accept-Encoding", "")

    async def answer(self, code: int, body: bytes, headers: Mapping[str, str]) -> None:
        """Send a whole answer; its length stands on it if it is short, as Go's server has it."""
        response = web.StreamResponse(status=code, headers=CIMultiDict(headers))
        if len(body) > _BUFFERED_BYTES:
            response.enable_chunked_encoding()
        else:
            response.content_length = len(body)
        await self._prepare(response)
        if self._request.method != "HEAD":
            await self.write(body)
        await self.finish()

    async def begin(self, code: int, headers: Mapping[str, str]) -> None:
        """Send the head of a stream; its body follows in chunks."""
        response = web.StreamResponse(status=code, headers=dict(headers))
        response.enable_chunked_encoding()
        await self._prepare(response)
        await self.write(b"")

    async def write(self, data: bytes) -> None:
        await self._obey()
        cut = self._cut
        place = None if cut is None else cut.find(self._sent_bytes, self._sent_lines, data)
        if cut is not None and place is not None:
            await self._send(data[:place] + cut.text)
            await self._end(cut.then)
        await self._send(data)
        self._sent_bytes += len(data)
        self._sent_lines += data.count(b"\n")

    async def finish(self) -> None:
        """End the body, where a cut without a place happens too."""
        await self._obey()
        if self._cut is not None and (self._cut.after_bytes, self._cut.after_lines) == (None, None):
            await self._send(self._cut.text)
            await self._end(self._cut.then)
        if self.response is not None and not self.lost:
            await self.response.write_eof()

    async def wait(self, seconds: float | None = None) -> None:
        """Wait until woken, or at most for some loop seconds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.wake.wait()
        self.wake.clear()
        await self._obey()

    def order(self, then: Then) -> None:
        """End the running stream from outside, at the handler's next step."""
        self._order = then
        self.wake.set()

    def reset(self) -> None:
        """Close with RST instead of FIN, so that the peer sees a reset and not an end."""
        transport = self._request.transport
        if transport is not None:
            transport.get_extra_info("socket").setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
            )
            transport.abort()

    async def _prepare(self, response: web.StreamResponse) -> None:
        self.response = response
        if not self.lost:
            await response.prepare(self._request)

    async def _send(self, data: bytes) -> None:
        if self.response is None or self.lost:
            return
        for start in range(0, len(data), self._piece_bytes):
            await self.response.write(data[start : start + self._piece_bytes])

    async def _obey(self) -> None:
        if self._order is not None:
            await self._end(self._order)

    async def _end(self, then: Then) -> None:
        if then == "reset":
            self.reset()
        elif then == "close" and self._request.transport is not None:
            self._request.transport.close()
        elif then == "eof" and self.response is not None:
            await self.response.write_eof()
        elif then == "hang":
            await self._closing.wait()
            self.reset()
        raise Ended


async def serve(
    wire: Wire,
    fault: Fault | None,
    handler: Callable[[Wire], Awaitable[None]],
    refuse: Callable[[Wire, Answer], Awaitable[None]],
) -> web.StreamResponse:
    """Answer one request through its fault; `refuse` words the server's own errors."""
    with contextlib.suppress(Ended):
        await _serve(wire, fault, handler, refuse)
    # After a reset there is nobody to answer: aiohttp finds the connection gone and stops quietly.
    return wire.response if wire.response is not None else web.Response(status=500)


def cut_of(fault: Fault | None) -> Cut | None:
    """Return the part of a fault that a wire has to know from its first byte."""
    if isinstance(fault, Delay):
        fault = fault.then
    return fault if isinstance(fault, Cut) else None


async def _serve(
    wire: Wire,
    fault: Fault | None,
    handler: Callable[[Wire], Awaitable[None]],
    refuse: Callable[[Wire, Answer], Awaitable[None]],
) -> None:
    match fault:
        case Delay():
            await _hold(fault)
            await _serve(wire, fault.then, handler, refuse)
        case Reset():
            wire.reset()
        case HalfOpen():
            wire.order("hang")
            await wire.wait()
        case Answer():
            await refuse(wire, fault)
        case LoseResponse():
            wire.lost = True
            await handler(wire)
            wire.reset()
        case Cut() | None:
            await handler(wire)


async def _hold(delay: Delay) -> None:
    if delay.until is not None:
        await delay.until.wait()
    await asyncio.sleep(delay.seconds)
