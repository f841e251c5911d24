"""The health port: /healthz, /readyz, /metrics, and nothing else.

Owns the listener and the words of the answers. Must not know what is measured: `read` gives a
`Snapshot`. Neither answer depends on the destination, so that no orchestrator restarts an agent
because the network is closed.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING

from aiohttp import web

from agent.web.listen import listen
from agent.web.metrics import CONTENT_TYPE, exposition

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from agent.web.metrics import Snapshot


@asynccontextmanager
async def serve(host: str, port: int, read: Callable[[], Snapshot]) -> AsyncIterator[int]:
    """Serve the health port and give its number, which port 0 leaves open. Raises `ServerError`."""
    async with listen(host, port, partial(_answer, read), section="health") as number:
        yield number


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
    reason = (
        "off"
        if snapshot.mode == "off"
        # A standby has nothing to do yet, and a rollout must not wait for it to lead.
        else "standby"
        if snapshot.leads is False
        else "listed"
        if snapshot.is_settled
        else "not_listed"
    )
    is_ready = reason != "not_listed"
    # Rules with faults do not keep a good set from counting: a detail, and ready all the same.
    details = ["rules_refused"] if snapshot.are_rules_refused else []
    return web.json_response(
        {"ready": is_ready, "reasons": [reason, *details]},
        status=HTTPStatus.OK if is_ready else HTTPStatus.SERVICE_UNAVAILABLE,
    )


def _line(text: str, status: HTTPStatus, **headers: str) -> web.Response:
    return web.Response(text=f"{text}\n", status=status, headers=headers)
