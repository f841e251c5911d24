"""Asks the agent that runs on this machine, over the port of its page.

Owns that only 127.0.0.1 is asked, that what answers is an agent of ours, and how long and how much
is waited for. Must not know what is done with the answer.
"""

from __future__ import annotations

import urllib.error
import urllib.request
from http.client import HTTPException
from typing import Any

import orjson

from agent.web.view import HOST, PRODUCT

WAIT_SECONDS = 3
MAX_BYTES = 16 << 20

# A proxy of the environment has no business with this machine's own port.
_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def ask_status(port: int) -> dict[str, Any] | None:
    """Return the running agent's status, or None if none answers there. Port 0 asks nobody."""
    body = _get(port, "/api/status") if port else None
    try:
        found = orjson.loads(body or b"null")
    except orjson.JSONDecodeError:
        return None
    is_ours = isinstance(found, dict) and found.get("agent") == PRODUCT
    return found if is_ours else None


def ask_ledger(port: int) -> list[dict[str, Any]] | None:
    """Return what the running agent's ledger holds, without the bytes; None if none answers."""
    if ask_status(port) is None:
        return None
    body = _get(port, "/api/ledger")
    found: list[dict[str, Any]] | None = None if body is None else orjson.loads(body)
    return found


def ask_entry(port: int, number: int) -> bytes | None:
    """Return the bytes of a report of the running agent."""
    return _get(port, f"/api/ledger/{number}")


def _get(port: int, path: str) -> bytes | None:
    try:
        with _opener.open(f"http://{HOST}:{port}{path}", timeout=WAIT_SECONDS) as answer:
            body: bytes = answer.read(MAX_BYTES)
            return body
    except (OSError, HTTPException, urllib.error.URLError):
        return None
