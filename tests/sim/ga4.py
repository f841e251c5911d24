"""A collector that speaks Google Analytics' Measurement Protocol.

`/mp/collect` answers 204 to whatever comes and never says what became of it; that stands in
`accepted` and `dropped`. There are no duplicates: what comes twice counts twice. The same checks
speak at `/debug/mp/collect`, which keeps nothing and knows no secret. Where the documents leave
open how much of an event a limit costs, it costs all of it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import attrs

from tests.sim.receiving import Event, Received, Receiver, Reply

EVENTS = 25
PARAMS = 25
NAME_CHARS = 40
VALUE_CHARS = 100
USER_PROPERTIES = 25
USER_NAME_CHARS = 24
USER_VALUE_CHARS = 36
BODY_BYTES = 130_000
BACKDATE_SECONDS = 72 * 3600

# ruff: disable[SIM905] - names read better in lines than in a column

RESERVED_EVENTS = frozenset(
    """
    ad_activeview ad_click ad_exposure ad_impression ad_query ad_reward adunit_exposure
    app_clear_data app_exception app_install app_remove app_store_refund app_update app_upgrade
    dynamic_link_app_open dynamic_link_app_update dynamic_link_first_open error first_open
    first_visit in_app_purchase notification_dismiss notification_foreground notification_open
    notification_receive notification_send os_update screen_view session_start user_engagement
    """.split()
)
RESERVED_USER_PROPERTIES = frozenset(
    """
    first_open_time first_visit_time last_deep_link_referrer user_id first_open_after_install
    """.split()
)
RESERVED_PREFIXES = ("_", "firebase_", "ga_", "google_", "gtag.")

_BODY_KEYS = frozenset(
    """
    client_id user_id timestamp_micros user_properties user_data consent non_personalized_ads
    user_location ip_override device user_agent validation_behavior events
    """.split()
)
# ruff: enable[SIM905]
_CONSENTS = frozenset({"ad_user_data", "ad_personalization"})
_NAME = re.compile("[A-Za-z][A-Za-z0-9_]*")
_CLIENT_ID = re.compile(r"[1-9][0-9]*\.[1-9][0-9]*")
_BEHAVIORS = ("RELAXED", "ENFORCE_RECOMMENDATIONS")


@attrs.frozen
class Fault:
    """What breaks a rule: in one event, or in the request and so in all of them."""

    code: str
    what: str
    event: int | None = None

    @property
    def reason(self) -> str:
        return f"{self.code} {self.what}"

    def message(self) -> Event:
        """Say it as the validation server does."""
        where = "Request" if self.event is None else f"Event at index: [{self.event}]"
        return {
            "fieldPath": self.what if self.event is None else "events",
            "description": f"{where} breaks a rule of [{self.what}].",
            "validationCode": self.code,
        }


class GA4(Receiver):
    """The server with its account.

    `restamped` are the accepted events that were older than is allowed, and got the oldest time
    that is, which is what happens unless the request asks to have them rejected.
    """

    def __init__(self, measurement_id: str = "G-ABC123", api_secret: str = "api-secret") -> None:
        super().__init__()
        self.measurement_id = measurement_id
        self.api_secret = api_secret
        self.restamped: list[Event] = []

    def _take(self, received: Received) -> Reply:
        if received.method != "POST" or received.path not in {"/mp/collect", "/debug/mp/collect"}:
            return Reply(404, b"not found")
        body = _Body(received, now=self.now())
        self.requests.append(attrs.evolve(received, events=tuple(body.events)))
        faults = list(body.faults())
        if received.path != "/mp/collect":
            return Reply(200, {"validationMessages": [fault.message() for fault in faults]})
        # A request without an event is accounted for too.
        events = body.events or [{}]
        if received.query.get("measurement_id") != self.measurement_id:
            self._drop("measurement_id", *events)
        elif received.query.get("api_secret") != self.api_secret:
            self._drop("api_secret", *events)
        elif whole := [fault for fault in faults if fault.event is None]:
            self._drop(whole[0].reason, *events)
        else:
            self._account(body, faults)
        return Reply(204)

    def _account(self, body: _Body, faults: list[Fault]) -> None:
        first = {fault.event: fault for fault in reversed(faults)}
        for index, event in enumerate(body.events):
            if index in first:
                self._drop(first[index].reason, event)
                continue
            at = body.stamp(event)
            assert isinstance(at, int)
            stored = {**event, "client_id": body.of["client_id"]}
            stored["timestamp_micros"] = max(at, body.oldest)
            self.accepted.append(stored)
            if at < body.oldest:
                self.restamped.append(stored)


class _Body:
    """A request's body, read, with all that is wrong with it."""

    def __init__(self, received: Received, *, now: float) -> None:
        self.now = int(now * 1_000_000)
        self.oldest = self.now - BACKDATE_SECONDS * 1_000_000
        self._received = received
        self._repeated = False
        # That a packed body is read is documented nowhere.
        is_packed = "Content-Encoding" in received.headers
        self.of: Event = {} if is_packed else self._read(received.raw)
        events = self.of.get("events")
        is_list = isinstance(events, list) and all(isinstance(event, dict) for event in events)
        self.events: list[Event] = events if is_list and events else []

    def faults(self) -> Iterator[Fault]:
        if len(self._received.raw) >= BODY_BYTES:
            yield Fault("VALUE_OUT_OF_BOUNDS", "body")
        if not self.of:
            yield Fault("VALUE_INVALID", "body")
            return
        if self._repeated:
            yield Fault("NAME_DUPLICATED", "body")
        for key in self.of.keys() - _BODY_KEYS:
            yield Fault("VALUE_INVALID", key)
        yield from self._request_faults()
        yield from _user_faults(self.of.get("user_properties", {}))
        if not self.events:
            yield Fault("VALUE_REQUIRED", "events")
        if len(self.events) > EVENTS:
            yield Fault("EXCEEDED_MAX_ENTITIES", "events")
        for index, event in enumerate(self.events):
            for fault in self._event_faults(event):
                yield attrs.evolve(fault, event=index)

    def stamp(self, event: Event) -> object:
        """Return an event's time: its own, else the request's, else now."""
        return event.get("timestamp_micros", self.of.get("timestamp_micros", self.now))

    def _request_faults(self) -> Iterator[Fault]:
        client_id = self.of.get("client_id")
        if not client_id:
            yield Fault("VALUE_REQUIRED", "client_id")
        elif not isinstance(client_id, str) or not _CLIENT_ID.fullmatch(client_id):
            yield Fault("VALUE_INVALID", "client_id")
        if self.of.get("validation_behavior", _BEHAVIORS[0]) not in _BEHAVIORS:
            yield Fault("VALUE_INVALID", "validation_behavior")
        if not isinstance(self.of.get("non_personalized_ads", False), bool):
            yield Fault("VALUE_INVALID", "non_personalized_ads")
        if not _is_consent(self.of.get("consent", {})):
            yield Fault("VALUE_INVALID", "consent")

    def _event_faults(self, event: Event) -> Iterator[Fault]:
        for key in event.keys() - {"name", "params", "timestamp_micros"}:
            yield Fault("VALUE_INVALID", key)
        name = event.get("name")
        if not name:
            yield Fault("VALUE_REQUIRED", "name")
        else:
            yield from _name_faults(name, "name", limit=NAME_CHARS, reserved=RESERVED_EVENTS)
        yield from self._time_faults(self.stamp(event))
        params = event.get("params", {})
        if not isinstance(params, dict):
            yield Fault("VALUE_INVALID", "params")
            return
        if len(params) > PARAMS:
            yield Fault("EXCEEDED_MAX_ENTITIES", "params")
        for key, value in params.items():
            what = f"params.{key}"
            yield from _name_faults(key, what, limit=NAME_CHARS)
            yield from _value_faults(value, what, limit=VALUE_CHARS)

    def _time_faults(self, at: object) -> Iterator[Fault]:
        if isinstance(at, bool) or not isinstance(at, int):
            yield Fault("VALUE_INVALID", "timestamp_micros")
        elif at > self.now or (at < self.oldest and self._enforces):
            yield Fault("VALUE_OUT_OF_BOUNDS", "timestamp_micros")

    @property
    def _enforces(self) -> bool:
        return self.of.get("validation_behavior") == _BEHAVIORS[1]

    def _read(self, raw: bytes) -> Event:
        def build(pairs: list[tuple[str, Any]]) -> Event:
            self._repeated |= len(dict(pairs)) < len(pairs)
            return dict(pairs)

        try:
            body = json.loads(raw, object_pairs_hook=build)
        except ValueError:
            return {}
        return body if isinstance(body, dict) else {}


def faults_of(raw: bytes, *, now: float) -> list[Fault]:
    """Return what breaks a rule in the body of a request."""
    received = Received("POST", "/mp/collect", {}, {}, "", raw, raw)
    return list(_Body(received, now=now).faults())


def _is_consent(consent: object) -> bool:
    return isinstance(consent, dict) and all(
        key in _CONSENTS and value in ("GRANTED", "DENIED") for key, value in consent.items()
    )


def _user_faults(properties: object) -> Iterator[Fault]:
    if not isinstance(properties, dict):
        yield Fault("VALUE_INVALID", "user_properties")
        return
    if len(properties) > USER_PROPERTIES:
        yield Fault("EXCEEDED_MAX_ENTITIES", "user_properties")
    for name, value in properties.items():
        what = f"user_properties.{name}"
        yield from _name_faults(
            name, what, limit=USER_NAME_CHARS, reserved=RESERVED_USER_PROPERTIES
        )
        if not isinstance(value, dict) or value.keys() - {"value", "timestamp_micros"}:
            yield Fault("VALUE_INVALID", what)
        else:
            yield from _value_faults(value.get("value"), what, limit=USER_VALUE_CHARS)


def _name_faults(
    name: object, what: str, *, limit: int, reserved: frozenset[str] = frozenset()
) -> Iterator[Fault]:
    if not isinstance(name, str):
        yield Fault("NAME_INVALID", what)
    elif name in reserved or name.startswith(RESERVED_PREFIXES):
        yield Fault("NAME_RESERVED", what)
    elif not _NAME.fullmatch(name) or len(name) > limit:
        yield Fault("NAME_INVALID", what)


def _value_faults(value: object, what: str, *, limit: int) -> Iterator[Fault]:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        yield Fault("VALUE_INVALID", what)
    elif isinstance(value, str) and len(value) > limit:
        yield Fault("VALUE_OUT_OF_BOUNDS", what)
