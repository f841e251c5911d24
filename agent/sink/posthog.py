"""PostHog's `/batch/`: one POST for one sealed batch (PostHog docs, "Capture API").

Owns the event's form, and what an answer of 200 hides. Pure.

An event is known again by uuid, time, name and distinct id together, so all four are frozen; no
`sent_at` is given, by which the time would be moved at each attempt.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import orjson
from attrs import frozen

from agent.sink.batch import LIBRARY
from agent.sink.calls import calls_of
from agent.sink.destination import KINDS
from agent.sink.outcome import Delivered, Retry
from agent.sink.wire import Request, read_status

if TYPE_CHECKING:
    from agent.model import Batch
    from agent.sink.outcome import Outcome
    from agent.sink.wire import Answer

QUOTA_SECONDS = 3600.0
"""Over its quota it keeps nothing, mostly until the month's end."""
NEUTRAL: Final = {
    # Without one it takes the caller's address, and where that is.
    "$ip": "0.0.0.0",  # noqa: S104 - nothing is bound to it
    "$geoip_disable": True,
    "$process_person_profile": False,
    "$lib": LIBRARY,
}


@frozen
class PostHog:
    """Every event with its own id, of which PostHog keeps one; no person is made of any."""

    reads_body: bool = True

    def pieces(self, batch: Batch) -> tuple[bytes, ...]:
        """Return one array: the largest batch is far below the 20 MB that a request may have."""
        events = [
            {
                "event": one.name,
                "distinct_id": one.installation,
                "timestamp": one.time,
                "uuid": one.message_id,
                "properties": {**one.properties, **NEUTRAL},
            }
            for one in calls_of(batch)
        ]
        return (orjson.dumps(events),)

    def request(self, piece: bytes, batch: Batch, *, key: str, sent_seconds: float) -> Request:  # noqa: ARG002 nothing in it may change
        """Return the array with the project's key."""
        body = b'{"api_key":' + orjson.dumps(key) + b',"batch":' + piece + b"}"
        return Request(KINDS["posthog"].path, body, is_packed=True)

    def read(self, answer: Answer, piece: bytes) -> Outcome:  # noqa: ARG002 the answer is for all of it
        """Believe a success that says so; one that names a quota has kept nothing."""
        outcome = read_status(answer)
        if not isinstance(outcome, Delivered):
            return outcome
        try:
            found = orjson.loads(answer.body)
        except orjson.JSONDecodeError:
            found = None
        if not isinstance(found, dict) or found.get("status") not in (1, "Ok"):
            return Retry("unexpected_answer")
        limited = found.get("quota_limited") or []
        if not isinstance(limited, list):
            return Retry("unexpected_answer")
        if "events" in limited:
            return Retry("quota", QUOTA_SECONDS, is_untaken=True)
        return outcome
