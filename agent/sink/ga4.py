"""Google Analytics 4, Measurement Protocol: POSTs of up to 25 events.

Owns its limits (Google's page "Measurement Protocol reference", "Limitations"). It answers 2xx to
everything, and what breaks a limit is gone, so nothing may break one here. Pure.

An event with more properties than it may have becomes several, with `part` of `parts`. It knows no
event again, so `message_id`, `seq` and running totals ride along, by which repeats can be removed.
"""

from __future__ import annotations

from hashlib import sha256
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final

import orjson
from attrs import frozen

from agent.names import snake
from agent.sink.calls import ALONG, calls_of, cut, in_parts, marked, plain
from agent.sink.destination import KINDS
from agent.sink.wire import Request, read_status

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from agent.model import Batch, Value
    from agent.sink.calls import Call
    from agent.sink.outcome import Outcome
    from agent.sink.wire import Answer

MAX_EVENTS = 25
MAX_PARAMS = 25
MAX_NAME_CHARS = 40
MAX_TEXT_CHARS = 100
MAX_BODY_BYTES = 130_000
MAX_AGE_SECONDS = 71 * 3600
"""It takes times of the last 72 hours. An older one is left out, and the event has that of its
arrival; `window_start` and `window_end` say it all the same."""

CONSENT: Final = {"ad_user_data": "DENIED", "ad_personalization": "DENIED"}
RESERVED_PREFIXES: Final = ("_", "ga_", "google_", "firebase_", "gtag_")
# fmt: off
RESERVED_EVENTS: Final = frozenset((
    "ad_activeview", "ad_click", "ad_exposure", "ad_impression", "ad_query", "ad_reward",
    "adunit_exposure", "app_background", "app_clear_data", "app_exception", "app_foreground",
    "app_install", "app_remove", "app_store_refund", "app_store_subscription_cancel",
    "app_store_subscription_convert", "app_store_subscription_renew", "app_update", "app_upgrade",
    "dynamic_link_app_open", "dynamic_link_app_update", "dynamic_link_first_open", "error",
    "firebase_campaign", "first_open", "first_visit", "in_app_purchase", "notification_dismiss",
    "notification_foreground", "notification_open", "notification_receive", "notification_send",
    "os_update", "screen_view", "session_start", "user_engagement",
))
# fmt: on
_OURS: Final = (
    "installation_id",
    "message_id",
    "part",
    "parts",
    "engagement_time_msec",
    "session_id",
)
_ROOM = MAX_PARAMS - len(ALONG) - len(_OURS)


@frozen
class GoogleAnalytics:
    """The events of one time in one request, with the installation as the client."""

    measurement_id: str
    reads_body: bool = False

    def pieces(self, batch: Batch) -> tuple[bytes, ...]:
        """Return the bodies of the requests."""
        calls = groupby(calls_of(batch), key=lambda one: (one.installation, one.seconds))
        return tuple(
            orjson.dumps(
                {
                    "client_id": client_id(installation),
                    "timestamp_micros": seconds * 1_000_000,
                    "consent": CONSENT,
                    "events": events,
                }
            )
            for (installation, seconds), found in calls
            for events in _runs(event for one in found for event in _events(one))
        )

    def request(self, piece: bytes, batch: Batch, *, key: str, sent_seconds: float) -> Request:  # noqa: ARG002 the piece says all
        """Return a body with a time that is still taken, or with none."""
        body = orjson.loads(piece)
        if sent_seconds - body["timestamp_micros"] / 1_000_000 > MAX_AGE_SECONDS:
            del body["timestamp_micros"]
            piece = orjson.dumps(body)
        query = {"measurement_id": self.measurement_id, "api_secret": key}
        return Request(KINDS["ga4"].path, piece, query)

    def read(self, answer: Answer, piece: bytes) -> Outcome:  # noqa: ARG002 the status says all there is
        """Take the status, which is 2xx whatever became of the events."""
        return read_status(answer)


def client_id(installation: str) -> str:
    """Return the installation as a client of the web: two numbers with a point between."""
    digest = sha256(installation.encode()).digest()
    first, second = (int.from_bytes(part) % 9_000_000_000 for part in (digest[:8], digest[8:16]))
    return f"{first + 1_000_000_000}.{second + 1_000_000_000}"


def _events(call: Call) -> Iterator[dict[str, Any]]:
    """Return a call as events within the limits, their names and values as these want them."""
    for part, share in in_parts(list(_shares(call.own))):
        yield {
            "name": event_name(call.name),
            "params": {
                **{
                    param_name(name): plain(value, MAX_TEXT_CHARS)
                    for name, value in {**call.along, **share}.items()
                },
                **part,
                "installation_id": call.installation,
                "message_id": call.message_id,
                # Without these two no report counts the installation as active.
                "engagement_time_msec": 1,
                "session_id": str(call.seconds),
            },
        }


def _shares(own: Mapping[str, Value]) -> Iterator[dict[str, Value]]:
    names = list(own)
    for at in range(0, max(len(names), 1), _ROOM):
        yield {name: own[name] for name in names[at : at + _ROOM]}


def event_name(name: str) -> str:
    """Return an event's name as it may be there: `Event handled` -> `event_handled`."""
    found = _fit(snake(name))
    return _fit(marked(f"botkube_{found}", found)) if found in RESERVED_EVENTS else found


def param_name(name: str) -> str:
    """Return a property's name as it may be there, and is none of ours."""
    return _fit(marked(f"x_{name}", name) if name in _OURS else name)


def _fit(name: str) -> str:
    is_reserved = name.lower().startswith(RESERVED_PREFIXES)
    return cut(marked(f"x_{name}", name) if is_reserved else name, MAX_NAME_CHARS)


def _runs(events: Iterable[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """Cut events into requests. The largest event is far below the limit of a body."""
    room = MAX_BODY_BYTES - 1_000
    run: list[dict[str, Any]] = []
    size = 0
    for event in events:
        length = len(orjson.dumps(event)) + 1
        if run and (len(run) == MAX_EVENTS or size + length > room):
            yield run
            run, size = [], 0
        run.append(event)
        size += length
    if run:
        yield run
