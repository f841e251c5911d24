"""Piwik PRO's tracking API: POSTs of several hits, each a query string (its docs, "HTTP API").

Owns the hit's form: a custom event, whose address carries every property, because its dimensions
have numbers that are each account's own. Pure.

It knows no hit again, so `message_id`, `seq` and running totals ride along, by which repeats can be
removed.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlencode

import orjson
from attrs import frozen

from agent.names import snake
from agent.sink.calls import ALONG, calls_of, cut, in_parts, marked, plain
from agent.sink.destination import KINDS
from agent.sink.outcome import Delivered, Rejected, Retry
from agent.sink.wire import Request, read_status

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from agent.model import Batch, Value
    from agent.sink.calls import Call
    from agent.sink.outcome import Outcome
    from agent.sink.wire import Answer

MAX_HITS = 50
"""Of ours: it names no limit for a request, and one that is lost should not be a long one."""
MAX_ADDRESS_CHARS = 1_500
"""Of ours: an address is cut somewhere, and this much every server takes."""
MAX_TEXT_CHARS = 100
MAX_VALUE = 100_000_000_000
"""Of an event's value; a count beyond it stands in the address alone."""
SITE: Final = "https://botkube-analytics.invalid"
"""Stands for the page that every hit has to name."""
_OURS = ("message_id", "part", "parts")
_NOT_SAID = frozenset({*ALONG, "count", "count_floor", "botkube_version"})


@frozen
class PiwikPro:
    """Every event as a hit of a visitor who is the installation, from nowhere."""

    site_id: str
    reads_body: bool = True

    def pieces(self, batch: Batch) -> tuple[bytes, ...]:
        """Return arrays of query strings."""
        hits = [hit for one in calls_of(batch) for hit in self._hits(one)]
        return tuple(orjson.dumps(hits[at : at + MAX_HITS]) for at in range(0, len(hits), MAX_HITS))

    def request(self, piece: bytes, batch: Batch, *, key: str, sent_seconds: float) -> Request:  # noqa: ARG002 the piece says all
        """Return the hits, each with the token, without which its time and address are refused."""
        token = f"&token_auth={quote(key, safe='')}"
        body = orjson.dumps({"requests": [hit + token for hit in orjson.loads(piece)]})
        return Request(KINDS["piwik-pro"].path, body)

    def read(self, answer: Answer, piece: bytes) -> Outcome:
        """Take the status, unless the body says that hits were not taken."""
        outcome = read_status(answer)
        if not isinstance(outcome, Delivered) or not answer.body.strip():
            return outcome
        try:
            found = orjson.loads(answer.body)
        except orjson.JSONDecodeError:
            # A picture of one point is what a browser would get.
            return outcome if answer.body.startswith(b"GIF8") else Retry("unexpected_answer")
        return outcome if _is_whole(found, len(orjson.loads(piece))) else Rejected(answer.status)

    def _hits(self, call: Call) -> Iterator[str]:
        own = {
            marked(f"x_{name}", name) if name in _OURS else name: value
            for name, value in call.own.items()
        }
        for part, share in in_parts(list(_shares(own))):
            said = {**share, **call.along, **part, "message_id": call.message_id}
            yield "?" + urlencode(
                {
                    "idsite": self.site_id,
                    "rec": 1,
                    "send_image": 0,
                    # It leaves out what calls itself a bot, which is in the name of the client.
                    "bots": 1,
                    # An anonymous visitor, at no address.
                    "uia": 1,
                    "_id": sha256(call.installation.encode()).hexdigest()[:16],
                    "cdt": call.seconds,
                    "cip": "0.0.0.0",  # noqa: S104 - nothing is bound to it
                    "url": f"{SITE}/{snake(call.name)}?{urlencode(_words(said))}",
                    "e_c": call.name,
                    "e_a": _action(call),
                    "e_n": call.properties.get("botkube_version", "other"),
                    **_value(share),
                }
            )


def _value(share: Mapping[str, Value]) -> dict[str, Value]:
    count = share.get("count")
    return {"e_v": count} if isinstance(count, int) and count <= MAX_VALUE else {}


def _shares(own: Mapping[str, Value]) -> Iterator[dict[str, Value]]:
    """Cut properties into shares that an address has room for."""
    share: dict[str, Value] = {}
    size = 0
    for name, value in own.items():
        length = len(urlencode(_words({name: value}))) + 1
        if share and size + length > MAX_ADDRESS_CHARS:
            yield share
            share, size = {}, 0
        share[name] = value
        size += length
    yield share


def _words(said: Mapping[str, Value]) -> dict[str, str | int]:
    return {name: plain(value, MAX_TEXT_CHARS) for name, value in said.items()}


def _action(call: Call) -> str:
    """Return what an event is of, for its reports: `kubectl get slack ok`."""
    own = (value for name, value in call.properties.items() if name not in _NOT_SAID)
    words = [value for value in own if isinstance(value, str)]
    is_counted = "count" in call.properties
    said = (" ".join(words) if is_counted else "") or snake(call.name)
    return cut(said, MAX_TEXT_CHARS)


def _is_whole(found: Any, hits: int) -> bool:  # noqa: ANN401 what a server has answered
    """Whether a bulk answer says that every hit was taken, in the words of Matomo's."""
    if not isinstance(found, dict) or "error" in found:
        return False
    if found.get("status", "success") != "success" or found.get("invalid"):
        return False
    return bool(found.get("tracked", hits) == hits)
