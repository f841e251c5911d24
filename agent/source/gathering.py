"""A stream's bytes in large pieces: between two looks they gather in the kernel, not in wake-ups.

Owns how long reading of a connection is paused, so that the server waits as for any slow reader,
and how much is taken at a time. Must not know what the bytes say.
"""

from __future__ import annotations

import asyncio
from asyncio import sslproto

import aiohttp

GATHER_SECONDS = 0.2
FULL_BYTES = 128 * 1024
"""So much is taken at a time; a stream that has more to give is not kept waiting."""
IDLE_TURNS = 3
"""In so many turns of the loop a connection that has more to give gives it."""

TLS_BUFFER_BYTES = 24 * 1024
TLS_RECORD_BYTES = 16 * 1024 + 512
"""The longest record, with what stands around it."""


def shrink_tls_buffers() -> None:
    """Let each connection have a small buffer, where asyncio gives it 256 KiB and fills them."""
    sslproto.SSLProtocol.max_size = TLS_BUFFER_BYTES


class Gathering:
    """The body of one answer. `read` and then `pause`, in turns."""

    def __init__(self, response: aiohttp.ClientResponse, longest_seconds: float) -> None:
        self._response = response
        self._longest_seconds = longest_seconds
        self._size = 0
        transport = self._transport()
        if transport is not None:
            _limit_held(transport)

    async def read(self) -> bytes:
        """Return what there is once there is anything, at most about `FULL_BYTES`; b"" at the end.

        Raises what the answer raises.
        """
        content = self._response.content
        parts = [await content.readany()]
        size, idle = len(parts[0]), 0
        while 0 < size < FULL_BYTES and idle < IDLE_TURNS:
            await asyncio.sleep(0)
            try:
                more = content.read_nowait()
            except aiohttp.ClientError:
                break  # the next look says so; what came before it counts
            idle = 0 if more else idle + 1
            parts.append(more)
            size += len(more)
        self._size = size
        return b"".join(parts)

    async def pause(self) -> None:
        """Leave what comes where it is: not at all behind a full read, longest behind a line."""
        share = max(0.0, 1 - self._size / FULL_BYTES)
        if share > 0:
            held = self._transport()
            if held is not None:
                held.pause_reading()
            await asyncio.sleep(share * self._longest_seconds)
            if held is not None:
                held.resume_reading()

    def _transport(self) -> asyncio.Transport | None:
        # An answer that has ended has given its connection back.
        connection = self._response.connection
        return None if connection is None else connection.transport


def _limit_held(transport: asyncio.Transport) -> None:
    """Let a paused connection hold two records, not half a MiB of them, each with its wake-up.

    The lower limit is a whole record: below it the rest of one would never be waited for.
    """
    set_limits = getattr(transport, "set_read_buffer_limits", None)
    if set_limits is not None:
        set_limits(high=2 * TLS_RECORD_BYTES, low=TLS_RECORD_BYTES)
