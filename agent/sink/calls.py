"""The sealed batch as single events: as they are, or without `identify` and `group`.

Owns which event stands for these two where a service does not know them. Must not know which. Pure.
"""

from __future__ import annotations

from datetime import datetime
from hashlib import sha256
from typing import TYPE_CHECKING

import orjson
from attrs import frozen

from agent.sink.batch import batch_array

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Any

    from agent.model import Batch, Value

INSTALLATION = "Installation described"
CLUSTER = "Cluster described"
"""What `identify` and `group` say, as events: a profile of nobody is made of them."""


ALONG = ("stream", "seq", "window_start", "window_end")


@frozen
class Call:
    """One event: who (the installation), what, when, and its message id."""

    name: str
    installation: str
    message_id: str
    time: str
    properties: Mapping[str, Value]

    @property
    def along(self) -> dict[str, Value]:
        """Where it belongs: what every part of it has to say."""
        return {name: self.properties[name] for name in ALONG if name in self.properties}

    @property
    def own(self) -> dict[str, Value]:
        """What it says beside that."""
        return {name: value for name, value in self.properties.items() if name not in ALONG}

    @property
    def seconds(self) -> int:
        """When, in seconds since 1970."""
        return int(datetime.fromisoformat(self.time).timestamp())


def calls_of(batch: Batch) -> Iterator[Call]:
    """Return the events of a batch in order."""
    for event in orjson.loads(batch_array(batch)):
        yield Call(
            _name(event), event["anonymousId"], event["messageId"], event["timestamp"], _said(event)
        )


def in_parts(
    shares: Sequence[Mapping[str, Value]],
) -> Iterator[tuple[dict[str, int], Mapping[str, Value]]]:
    """Yield each share of a call with which part of how many it is, if it is not the only one."""
    for number, share in enumerate(shares, start=1):
        yield {"part": number, "parts": len(shares)} if len(shares) > 1 else {}, share


def lines_of(batch: Batch) -> bytes:
    """Return the events of a batch as they were sealed, a line of JSON each."""
    return b"".join(orjson.dumps(one) + b"\n" for one in orjson.loads(batch_array(batch)))


def plain(value: Value, limit: int) -> str | int:
    """Return a value as one that knows no booleans, and no longer text than this, can take it."""
    if isinstance(value, bool):
        return str(value).lower()
    return cut(value, limit) if isinstance(value, str) else value


def cut(text: str, limit: int) -> str:
    """Shorten a text so that two that are not equal stay so."""
    return text if len(text) <= limit else marked(text[: limit - 9], text)


def marked(text: str, of: str) -> str:
    """Return a text with a short digest of another, so that it is no third one's."""
    return f"{text}_{sha256(of.encode()).hexdigest()[:8]}"


def _name(event: Mapping[str, Any]) -> str:
    return {"identify": INSTALLATION, "group": CLUSTER}.get(event["type"]) or str(event["event"])


def _said(event: Mapping[str, Any]) -> Mapping[str, Value]:
    if event["type"] == "track":
        return dict(event["properties"])
    cluster = {"cluster_id": event["groupId"]} if event["type"] == "group" else {}
    return {**cluster, **event["traits"]}
