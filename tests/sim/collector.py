"""A collector that speaks Segment's `/v1/batch`.

Like the original it answers 200 to nearly everything; what it really did with each event stands in
`accepted`, `duplicates` and `dropped`.
"""

from __future__ import annotations

import base64

import attrs

from tests.sim.receiving import Event, Received, Receiver, Reply, read_json, size_of

EVENT_BYTES = 32 * 1024
BATCH_BYTES = 500 * 1024
BATCH_EVENTS = 2500
MESSAGE_ID_CHARS = 100

_TYPES = frozenset({"track", "identify", "group", "page", "screen", "alias"})


class Collector(Receiver):
    """The server with its account.

    `strict` answers 401 to a wrong key and 400 to an invalid event, as some compatible servers
    do; a request can ask for it with `X-Strict-Mode: 1`.
    """

    def __init__(self, write_key: str = "write-key", *, strict: bool = False) -> None:
        super().__init__()
        self.write_key = write_key
        self.strict = strict
        self._seen: set[str] = set()

    def tracks(self, event: str) -> list[Event]:
        """Return the accepted `track` calls of one name."""
        return [e for e in self.accepted if e["type"] == "track" and e["event"] == event]

    def forget_ids(self) -> None:
        """Forget all message ids, as the original does after a day."""
        self._seen.clear()

    def _take(self, received: Received) -> Reply:
        if (received.method, received.path) != ("POST", "/v1/batch"):
            return Reply(404, self._refusal("not found"))
        envelope = _envelope(received.text)
        events = () if envelope is None else tuple(envelope["batch"])
        self.requests.append(attrs.evolve(received, events=events))
        strict = self.strict or received.headers.get("X-Strict-Mode") == "1"
        if envelope is None:
            return Reply(400, self._refusal("malformed JSON"))
        if len(received.text) > BATCH_BYTES or any(
            size_of(event) > EVENT_BYTES for event in events
        ):
            return Reply(400, self._refusal("exceeds maximum size"))
        if not self._knows(received.headers.get("Authorization", ""), envelope):
            if strict:
                return Reply(401, self._refusal("invalid write key"))
            self._drop("write key", *events)
        elif len(events) > BATCH_EVENTS:
            self._drop("too many events", *events)
        elif strict and any(_fault(event) for event in events):
            return Reply(400, self._refusal("invalid event"))
        else:
            for event in events:
                self._account(event)
        return Reply(200, {"success": True})

    def _refusal(self, message: str) -> Event:
        return {"success": False, "message": message, "code": "invalid_request"}

    def _account(self, event: Event) -> None:
        fault = _fault(event)
        if fault:
            self._drop(fault, event)
        elif event["messageId"] in self._seen:
            self.duplicates.append(event)
        else:
            self._seen.add(event["messageId"])
            self.accepted.append(event)

    def _knows(self, authorization: str, envelope: Event) -> bool:
        basic = base64.b64encode(f"{self.write_key}:".encode()).decode()
        return authorization == f"Basic {basic}" or envelope.get("writeKey", "") == self.write_key


def _fault(event: Event) -> str:
    """Say what is wrong with an event, or nothing."""
    message_id = event.get("messageId")
    if not isinstance(message_id, str) or not 0 < len(message_id) <= MESSAGE_ID_CHARS:
        return "messageId"
    if event.get("type") not in _TYPES:
        return "type"
    if not (event.get("anonymousId") or event.get("userId")):
        return "anonymousId or userId"
    needed = {"track": "event", "group": "groupId"}.get(event["type"])
    if needed and not (isinstance(event.get(needed), str) and event[needed]):
        return needed
    return ""


def _envelope(text: bytes) -> Event | None:
    envelope = read_json(text)
    if envelope is None or not isinstance(envelope.get("batch"), list):
        return None
    return envelope if all(isinstance(event, dict) for event in envelope["batch"]) else None
