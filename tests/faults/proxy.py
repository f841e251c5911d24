"""A TCP proxy that cuts connections: what a node, a load balancer or a network does to them."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import attrs


@attrs.define(eq=False)
class Proxy:
    """Listens on a free port and passes everything on to one server; `cut` resets it all."""

    url: str = ""
    cuts: int = 0
    _writers: set[asyncio.StreamWriter] = attrs.field(factory=set)

    @classmethod
    @contextlib.asynccontextmanager
    async def before(cls, url: str) -> AsyncIterator[Proxy]:
        """Stand before the server of a URL."""
        proxy, target = cls(), urlsplit(url)

        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                theirs, ours = await asyncio.open_connection(target.hostname, target.port)
            except OSError:
                writer.close()
                return
            proxy._writers |= {writer, ours}
            await asyncio.gather(_pump(reader, ours), _pump(theirs, writer))
            proxy._writers -= {writer, ours}

        server = await asyncio.start_server(connected, "127.0.0.1", 0)
        proxy.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            yield proxy
        finally:
            proxy.cut()
            server.close()
            await asyncio.sleep(0.01)

    def cut(self) -> None:
        """Reset every connection, both ways."""
        self.cuts += 1
        for writer in self._writers:
            sock = writer.get_extra_info("socket")
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(64 * 1024):
            writer.write(data)
            await writer.drain()
    with contextlib.suppress(OSError):
        writer.close()
        await writer.wait_closed()
