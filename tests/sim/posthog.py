"""A collector that speaks PostHog's capture API: `/batch/` and `/i/v0/e/`.

It answers 200 as soon as the body and the project's key are in order, and throws events away
afterwards. It also keeps more than was sent: the caller's address, a place made of it, a person.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from uuid import uuid4

import attrs

from tests.sim.receiving import Event, Received, Receiver, Reply, read_json, size_of

BODY_BYTES = 20 * 1024 * 1024
EVENT_BYTES = 1_000_000

_BATCH, _SINGLE = "/batch", "/i/v0/e"
_UUID = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
# Calls that are about a person or a group, which an event without a person cannot be.
_NEED_PERSON = frozenset({"$identify", "$create_alias", "$merge_dangerously", "$groupidentify"})


class PostHog(Receiver):
    """The server with its account; what it keeps beside the events stands in three lists.

    `ips` are addresses of callers, `located` events that were given a place, `profiles` the
    distinct ids that became persons. Switches: over its quota it takes nothing and says 200;
    `strict` answers 400 to a whole batch with an event that lacks its name or its distinct id, as
    newer servers do; without `checks_key` an unknown key is 200, as in the cloud, where only its
    form is looked at before the answer.
    """

    def __init__(
        self, api_key: str = "phc_key", *, strict: bool = False, checks_key: bool = True
    ) -> None:
        super().__init__()
        self.api_key = api_key
        self.strict = strict
        self.checks_key = checks_key
        self.is_over_quota = False
        self.ips: list[str] = []
        self.located: list[Event] = []
        self.profiles: list[str] = []
        self._seen: set[tuple[str, datetime, str, str]] = set()

    def _take(self, received: Received) -> Reply:
        path = received.path.removesuffix("/")
        if received.method != "POST" or path not in {_BATCH, _SINGLE}:
            return Reply(404, b"not found")
        envelope = read_json(received.text)
        events = _events(envelope, path)
        self.requests.append(attrs.evolve(received, events=events or ()))
        if len(received.raw) > BODY_BYTES or len(received.text) > BODY_BYTES:
            return Reply(413, b"payload too large")
        if envelope is None or not events:
            return Reply(400, b"failed to parse request")
        key = envelope.get("api_key")
        if not _is_key(key) or (self.checks_key and key != self.api_key):
            return Reply(401, b"API key is not valid")
        if self.is_over_quota:
            self._drop("quota", *events)
            return Reply(200, {"status": "Ok", "quota_limited": ["events"]})
        if self.strict and any(_fault(event) in {"event", "distinct_id"} for event in events):
            return Reply(400, b"event submitted without a name or a distinct_id")
        if key != self.api_key:
            self._drop("api_key", *events)
        else:
            for event in events:
                self._account(event, sent_at=envelope.get("sent_at"), caller=received.caller)
        return Reply(200, {"status": "Ok"})

    def _account(self, event: Event, *, sent_at: object, caller: str) -> None:
        fault = _fault(event)
        if fault:
            self._drop(fault, event)
            return
        properties = _properties(event)
        distinct_id = str(_distinct_id(event))
        at = self._stamp(event, sent_at)
        uuid = str(event.get("uuid") or uuid4()).lower()
        stored = {**event, "uuid": uuid, "distinct_id": distinct_id, "timestamp": at.isoformat()}
        # An empty one is none: that it keeps the caller's out is promised nowhere.
        if not properties.get("$ip"):
            self.ips.append(caller)
        if properties.get("$geoip_disable") is not True:
            self.located.append(stored)
        # Nothing but the boolean counts.
        if properties.get("$process_person_profile") is not False:
            self.profiles.append(distinct_id)
        key = (uuid, at, event["event"], distinct_id)
        (self.duplicates if key in self._seen else self.accepted).append(stored)
        self._seen.add(key)

    def _stamp(self, event: Event, sent_at: object) -> datetime:
        """Return the time that is stored: moved by the sender's clock, so never twice the same."""
        now = datetime.fromtimestamp(self.now(), UTC)
        at, sent = _time(event.get("timestamp")), _time(sent_at)
        if at is None:
            return now
        if sent is None or _properties(event).get("$ignore_sent_at") is True:
            return at
        return now - (sent - at)


def _events(envelope: Event | None, path: str) -> tuple[Event, ...] | None:
    """Return the events of a body, if it is one of a batch or, where allowed, of one event."""
    if envelope is None:
        return None
    if path == _SINGLE and "batch" not in envelope:
        return (envelope,) if "event" in envelope else None
    batch = envelope.get("batch")
    if not isinstance(batch, list) or not all(isinstance(event, dict) for event in batch):
        return None
    return tuple(batch)


def _fault(event: Event) -> str:
    """Say what is wrong with an event, or nothing."""
    name, properties = event.get("event"), event.get("properties", {})
    if not isinstance(name, str) or not name:
        return "event"
    if not isinstance(properties, dict):
        return "properties"
    if not _distinct_id(event):
        return "distinct_id"
    uuid = event.get("uuid")
    if uuid is not None and not (isinstance(uuid, str) and _UUID.fullmatch(uuid)):
        return "uuid"
    if size_of(event) > EVENT_BYTES:
        return "size"
    if name in _NEED_PERSON and properties.get("$process_person_profile") is False:
        return "person"
    return ""


def _properties(event: Event) -> Event:
    properties = event.get("properties")
    return properties if isinstance(properties, dict) else {}


def _distinct_id(event: Event) -> object:
    return event.get("distinct_id") or _properties(event).get("distinct_id")


def _is_key(key: object) -> bool:
    """Whether a key has the form of a project's; a personal one (`phx_`) is refused."""
    return isinstance(key, str) and 0 < len(key) <= 64 and key.isascii() and key[:4] != "phx_"


def _time(text: object) -> datetime | None:
    """Read a time; one that is not ISO 8601 counts as none."""
    if not isinstance(text, str):
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    return at if at.utcoffset() is not None else at.replace(tzinfo=UTC)
