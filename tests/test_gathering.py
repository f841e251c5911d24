"""How a stream's bytes are gathered, on the wire: what waits waits at the server, over TLS too."""

from __future__ import annotations

import asyncio
import shutil
import ssl
import tracemalloc
from asyncio import sslproto
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import attrs
import pytest

from agent.rules import RuleSet
from agent.source import gathering
from agent.source.gathering import (
    FULL_BYTES,
    GATHER_SECONDS,
    TLS_BUFFER_BYTES,
    TLS_RECORD_BYTES,
    Gathering,
)
from tests.agents import NAMESPACE, NANOS, after, lab, until
from tests.image.lab import certificates

HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
PIECE = b"x" * 8192
LINE, LINES = b"x" * 99 + b"\n", 900
"""What is read at once."""
BACKLOG_PIECES = 512
MANY_PIECES = 16 * BACKLOG_PIECES
"""More than the kernel keeps for a connection."""
HOURS = 10_000.0

needs_openssl = pytest.mark.skipif(
    shutil.which("openssl") is None, reason="there is no openssl here, which makes certificates"
)
schemes = pytest.mark.parametrize("scheme", ["http", pytest.param("https", marks=needs_openssl)])


@attrs.define
class Served:
    """A server that sends a line, and then pieces as fast as they are taken."""

    response: aiohttp.ClientResponse
    sent: list[int] = attrs.field(factory=list)
    go_on: asyncio.Event = attrs.field(factory=asyncio.Event)

    @property
    def transport(self) -> asyncio.Transport:
        connection = self.response.connection
        assert connection is not None
        assert connection.transport is not None
        return connection.transport


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


@asynccontextmanager
async def served(folder: Path, scheme: str, pieces: int = BACKLOG_PIECES) -> AsyncIterator[Served]:
    sent: list[int] = []
    go_on = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(HEAD + _chunk(b"a line\n"))
        await go_on.wait()
        for _ in range(pieces):
            writer.write(_chunk(PIECE))
            await writer.drain()
            sent.append(len(PIECE))
        writer.write(_chunk(b""))
        writer.close()

    tls = certificates(folder) if scheme == "https" else None
    gathering.shrink_tls_buffers()
    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    url = f"{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    trust = ssl.create_default_context(cafile=folder / "ca.pem") if tls is not None else True
    async with (
        aiohttp.ClientSession(read_bufsize=64 * 1024) as session,
        session.get(url, ssl=trust) as response,
    ):
        yield Served(response, sent, go_on)
    server.close()
    await asyncio.sleep(0)


async def until_quiet(figure: Callable[[], int]) -> None:
    """Wait until a figure has not moved for a good many turns of the loop."""
    last, quiet = -1, 0
    while quiet < 300:
        await asyncio.sleep(0)
        quiet = quiet + 1 if figure() == last else 0
        last = figure()


@schemes
async def test_while_it_pauses_the_server_waits(tmp_path: Path, scheme: str) -> None:
    async with served(tmp_path, scheme, MANY_PIECES) as one:
        gathered = Gathering(one.response, HOURS)
        first = await gathered.read()
        pausing = asyncio.create_task(gathered.pause())
        await asyncio.sleep(0)
        one.go_on.set()
        await until_quiet(lambda: len(one.sent))
        held = getattr(one.transport, "get_read_buffer_size", lambda: 0)()

        assert first == b"a line\n"
        assert 0 < len(one.sent) < MANY_PIECES, "the server is kept waiting"
        assert one.response.content.total_bytes == len(first), "nothing was taken meanwhile"
        assert held <= 2 * TLS_RECORD_BYTES + TLS_BUFFER_BYTES, "nor held on the way"
        pausing.cancel()


@schemes
async def test_a_backlog_comes_whole_in_full_pieces_without_pauses(
    tmp_path: Path, scheme: str
) -> None:
    async with served(tmp_path, scheme) as one:
        gathered = Gathering(one.response, HOURS)
        one.go_on.set()
        pieces = [await gathered.read()]
        while pieces[-1]:
            if len(pieces[-1]) >= FULL_BYTES:
                await gathered.pause()
            pieces.append(await gathered.read())

        assert b"".join(pieces) == b"a line\n" + BACKLOG_PIECES * PIECE
        assert len(pieces) <= 1.25 * BACKLOG_PIECES * len(PIECE) / FULL_BYTES + 2


async def test_a_pause_is_the_longer_the_less_there_was(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    class Answer:
        connection = None

    # An answer that has ended has no connection.
    gathered = Gathering(Answer(), 0.2)  # type: ignore[arg-type]
    monkeypatch.setattr(asyncio, "sleep", sleep)
    for size in (100, FULL_BYTES // 2, FULL_BYTES, 2 * FULL_BYTES):
        gathered._size = size
        await gathered.pause()

    assert pauses == [pytest.approx(0.2, rel=0.01), 0.1]


def test_what_the_goals_of_memory_and_latency_stand_on() -> None:
    """Fifty streams in 96 MiB, five hundred in 128; a line is counted a quarter second later."""
    assert TLS_BUFFER_BYTES <= 32 * 1024
    assert FULL_BYTES <= 256 * 1024
    assert GATHER_SECONDS <= 0.25


@needs_openssl
async def test_a_connection_has_a_small_buffer(tmp_path: Path) -> None:
    """Of asyncio's inside, so that another Python that has another one is noticed."""
    async with served(tmp_path, "https") as one:
        protocol = one.transport._ssl_protocol  # type: ignore[attr-defined]

        assert isinstance(protocol, sslproto.SSLProtocol)
        assert len(protocol._ssl_buffer) == TLS_BUFFER_BYTES  # type: ignore[attr-defined]
        Gathering(one.response, 0.2)
        assert protocol._incoming_high_water == 2 * TLS_RECORD_BYTES  # type: ignore[attr-defined]
        assert protocol._incoming_low_water == TLS_RECORD_BYTES  # type: ignore[attr-defined]


async def test_a_stream_that_is_quiet_keeps_nothing_of_a_backlog(
    tmp_path: Path, ruleset: RuleSet
) -> None:
    """But the lines of the last seconds, of which none is long; each of 500 may have had one."""
    async with lab(tmp_path, ruleset) as world:
        pod = world.cluster.botkube(NAMESPACE, at=world.clock.ns())
        for number in range(LINES):
            pod.write(LINE, at=world.clock.ns() + number * NANOS // 1000)
        tracemalloc.start()
        try:
            async with world.agent() as agent:
                assert agent.pipeline is not None
                counting = agent.pipeline.counting
                await until(lambda: counting.lines == LINES)
                await after(world, 10)
                found = tracemalloc.take_snapshot().traces
        finally:
            tracemalloc.stop()
    kept = [one.size for one in found if "/agent/" in one.traceback[0].filename]

    assert max(kept) < LINES * len(LINE) / 2
