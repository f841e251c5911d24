"""One request to a simulated server, on a connection of its own."""

from __future__ import annotations

import io
from collections.abc import Mapping

import aiohttp


async def ask(
    url: str,
    body: bytes = b"",
    *,
    method: str = "POST",
    query: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
) -> tuple[int, bytes]:
    """Return an answer's status and body."""
    connector = aiohttp.TCPConnector(force_close=True)
    # aiohttp warns of large bodies that are no file.
    data = io.BytesIO(body) if body else None
    async with (
        aiohttp.ClientSession(connector=connector) as session,
        session.request(method, url, params=query, data=data, headers=headers) as answer,
    ):
        return answer.status, await answer.read()
