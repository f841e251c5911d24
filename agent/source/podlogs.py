"""The pod log endpoint: one reply of one container, as chunks of bytes.

Owns its parameters and its time limits. Must not know lines. The reply
does not say whose it is, and a 200 may hold error text (kubernetes/kubernetes#142258); the reader
deals with both.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import aiohttp

from agent.source.api import ApiError
from agent.source.gathering import GATHER_SECONDS, Gathering

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    from agent.model import Container
    from agent.source.api import Client

IDLE_SECONDS = 300
MAX_SHORT_READ_BYTES = 16 << 20


async def follow(
    client: Client,
    container: Container,
    *,
    since_seconds: int,
    max_age_seconds: float,
    gather_seconds: float = GATHER_SECONDS,
) -> AsyncIterator[bytes]:
    """Yield chunks until the reply ends. Raises `TimeoutError` if it is silent or old for too long.

    Raises `ApiError` where the server refuses or breaks off.
    """
    loop = asyncio.get_running_loop()
    until = loop.time() + max_age_seconds
    params = {**_params(container, since_seconds), "follow": "true"}
    has_ended = False
    async with _opened(client, _path(container), params) as response:
        gathering = Gathering(response, gather_seconds)
        while (left := until - loop.time()) > 0:
            try:
                async with asyncio.timeout(left):
                    chunk = await gathering.read()
            except TimeoutError:
                break
            except aiohttp.ClientError as error:
                raise ApiError(0, type(error).__name__) from error
            if not chunk:
                has_ended = True
                break
            yield chunk
            del chunk  # a quiet stream must not keep it
            await gathering.pause()
    if not has_ended:
        # That we gave up says nothing of the log's end.
        raise TimeoutError


@asynccontextmanager
async def _opened(
    client: Client, path: str, params: dict[str, str]
) -> AsyncIterator[aiohttp.ClientResponse]:
    """Open a stream. Raises `TimeoutError` too: not even a header comes before the first line.

    So a log in which nothing stands yet is as silent as one in which nothing is added.
    """
    try:
        async with client.stream(
            path, params, read_seconds=IDLE_SECONDS, accept="text/plain, */*"
        ) as response:
            yield response
    except ApiError as error:
        if isinstance(error.__cause__, aiohttp.SocketTimeoutError):
            raise TimeoutError from error
        raise


async def read(
    client: Client,
    container: Container,
    *,
    since_seconds: int,
    previous: bool,
    read_seconds: float = 60.0,
) -> bytes:
    """Return the whole reply of a short read, capped. Raises `ApiError`."""
    parts: list[bytes] = []
    size = 0
    async for chunk in read_chunks(
        client,
        container,
        since_seconds=since_seconds,
        previous=previous,
        read_seconds=read_seconds,
    ):
        parts.append(chunk)
        size += len(chunk)
        if size > MAX_SHORT_READ_BYTES:
            raise ApiError(0, "log too large for a short read")
    return b"".join(parts)


async def read_chunks(
    client: Client,
    container: Container,
    *,
    since_seconds: int,
    previous: bool,
    read_seconds: float = 60.0,
) -> AsyncGenerator[bytes, None]:
    """Yield the reply of a read that does not follow. Raises `ApiError`."""
    params = _params(container, since_seconds)
    if previous:
        params["previous"] = "true"
    async with client.stream(
        _path(container), params, read_seconds=read_seconds, accept="text/plain, */*"
    ) as response:
        try:
            async for chunk in response.content.iter_any():
                yield chunk
        except aiohttp.ClientError as error:
            raise ApiError(0, type(error).__name__) from error


async def read_tail(
    client: Client, container: Container, *, lines: int, most_bytes: int, read_seconds: float
) -> bytes:
    """Return the last lines of a log, at most so many bytes of them. Raises `ApiError`."""
    params = {
        **_params(container, 0),
        "tailLines": str(lines),
        "limitBytes": str(most_bytes),
    }
    parts = bytearray()
    async with client.stream(
        _path(container), params, read_seconds=read_seconds, accept="text/plain, */*"
    ) as response:
        try:
            async for chunk in response.content.iter_any():
                parts += chunk
                if len(parts) >= most_bytes:
                    break
        except aiohttp.ClientError as error:
            raise ApiError(0, type(error).__name__) from error
    return bytes(parts)


def _path(container: Container) -> str:
    return f"/api/v1/namespaces/{container.namespace}/pods/{container.pod}/log"


def _params(container: Container, since_seconds: int) -> dict[str, str]:
    params = {"container": container.name, "timestamps": "true"}
    if since_seconds > 0:
        # Whole seconds, because the server cuts the rest off anyway (kubernetes/kubernetes#92389).
        since = datetime.fromtimestamp(since_seconds, UTC)
        params["sinceTime"] = since.strftime("%Y-%m-%dT%H:%M:%SZ")
    return params
