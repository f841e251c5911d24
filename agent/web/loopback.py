"""The page's own listener: on 127.0.0.1 alone, for loopback host names alone, to be read alone.

Owns the addresses, the headers and who is answered. A neighbour cannot reach it; a web page in the
operator's browser can send requests to it, but not under a name of its own (DNS rebinding), and
cannot read or frame an answer.
"""

from __future__ import annotations

import re
from contextlib import asynccontextmanager
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import orjson
from aiohttp import web

from agent.ledger.ledger import find_entry
from agent.web.listen import GUARDS, listen
from agent.web.page import page
from agent.web.style import STYLE_HASH
from agent.web.view import HOST, status

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from agent.web.view import View

HEADERS = GUARDS | {
    "Content-Security-Policy": (f"{GUARDS['Content-Security-Policy']}; style-src '{STYLE_HASH}'"),
}
HTML, JSON, TEXT = "text/html; charset=utf-8", "application/json", "text/plain; charset=utf-8"
LINES = "application/x-ndjson"
_NAMES = re.compile(r"(localhost|127\.0\.0\.1|\[::1\])(:[0-9]{1,5})?", re.IGNORECASE)
_ENTRY = re.compile(r"/api/ledger/([0-9a-f]{1,64})")


@asynccontextmanager
async def serve_page(port: int, read: Callable[[], View]) -> AsyncIterator[int]:
    """Serve the page and give its port, which 0 leaves open. Raises `ServerError`."""
    async with listen(HOST, port, partial(_answer, read), section="page", guards=HEADERS) as number:
        yield number


async def _answer(read: Callable[[], View], request: web.BaseRequest) -> web.Response:
    names = request.headers.getall("Host", [])
    target = request.raw_path
    # A target in absolute form names a host, too, which counts before the header.
    is_ours = target.startswith("/") or _NAMES.fullmatch(urlsplit(target).netloc)
    if len(names) != 1 or not _NAMES.fullmatch(names[0]) or not is_ours:
        # A port-forward has another port, so the port is not compared.
        return _text("ask for localhost", HTTPStatus.MISDIRECTED_REQUEST)
    if request.method not in {"GET", "HEAD"}:
        return _text("only GET", HTTPStatus.METHOD_NOT_ALLOWED, Allow="GET, HEAD")
    match request.path:
        case "/":
            return _reply(page(read()), HTML)
        case "/api/status":
            return _reply(orjson.dumps(status(read())), JSON)
        case "/api/ledger":
            return _reply(orjson.dumps([one.head for one in read().entries]), JSON)
        case "/api/next":
            coming = read().next
            return _reply(b"\n".join(coming.shown if coming else ()), LINES)
        case _:
            return _entry(read, request.path)


def _entry(read: Callable[[], View], path: str) -> web.Response:
    if (named := _ENTRY.fullmatch(path)) is not None:
        entry = find_entry(read().entries, named.group(1))
        if entry is not None:
            return _reply(entry.array, JSON)
    return _text(
        "not found; there are /, /api/status, /api/next, /api/ledger", HTTPStatus.NOT_FOUND
    )


def _reply(body: bytes, kind: str, status: HTTPStatus = HTTPStatus.OK) -> web.Response:
    return web.Response(body=body, status=status, headers={"Content-Type": kind})


def _text(text: str, status: HTTPStatus, **headers: str) -> web.Response:
    answer = _reply(f"{text}\n".encode(), TEXT, status)
    answer.headers.update(headers)
    return answer
