"""The GA4 collector over real HTTP: 204 to everything, and what became of it."""

import gzip
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.asking import ask
from tests.sim.ga4 import BODY_BYTES, GA4

Event = dict[str, Any]

NOW = 1_795_435_200  # 2026-11-23T12:00:00Z
HOUR = 3_600_000_000
COLLECT, DEBUG = "/mp/collect", "/debug/mp/collect"
KEYS = {"measurement_id": "G-ABC123", "api_secret": "api-secret"}


@pytest.fixture
async def ga4() -> AsyncIterator[GA4]:
    async with GA4().running() as ga4:
        ga4.now = lambda: NOW
        yield ga4


def event(name: object = "event_handled", **changes: object) -> Event:
    return {"name": name, "params": {"platform": "slack", "count": 1}} | changes


def body(*events: Event, **changes: object) -> bytes:
    made = {
        "client_id": "123456.7654321",
        "timestamp_micros": NOW * 1_000_000 - HOUR,
        "consent": {"ad_user_data": "DENIED", "ad_personalization": "DENIED"},
        "events": events or [event()],
    }
    kept = {key: value for key, value in (made | changes).items() if value is not None}
    return json.dumps(kept).encode()


async def post(
    ga4: GA4, body: bytes, path: str = COLLECT, keys: dict[str, str] = KEYS, **headers: str
) -> tuple[int, bytes]:
    return await ask(ga4.url + path, body, query=keys, headers=headers)


async def test_what_comes_twice_counts_twice(ga4: GA4) -> None:
    assert (await post(ga4, body())) == (204, b"")
    assert (await post(ga4, body())) == (204, b"")
    assert (len(ga4.accepted), ga4.duplicates, ga4.dropped) == (2, [], [])
    assert (ga4.requests[0].query, ga4.requests[0].events) == (KEYS, (event(),))


FAULTS = [
    (body(client_id=None), "VALUE_REQUIRED client_id"),
    (body(client_id="3e0c8a7d"), "VALUE_INVALID client_id"),
    (body(events=[]), "VALUE_REQUIRED events"),
    (body(*[event()] * 26), "EXCEEDED_MAX_ENTITIES events"),
    (body(extra=1), "VALUE_INVALID extra"),
    (body(consent={"ad_user_data": "denied"}), "VALUE_INVALID consent"),
    (body(consent={"ad_storage": "DENIED"}), "VALUE_INVALID consent"),
    (body(non_personalized_ads="yes"), "VALUE_INVALID non_personalized_ads"),
    (body(validation_behavior="STRICT"), "VALUE_INVALID validation_behavior"),
    (b"{", "VALUE_INVALID body"),
    (body()[:-1] + b', "client_id": "1.2"}', "NAME_DUPLICATED body"),
    (body().ljust(BODY_BYTES), "VALUE_OUT_OF_BOUNDS body"),
    (body(event("")), "VALUE_REQUIRED name"),
    (body(event("error")), "NAME_RESERVED name"),
    (body(event("ga_event")), "NAME_RESERVED name"),
    (body(event("Event handled")), "NAME_INVALID name"),
    (body(event("9_lives")), "NAME_INVALID name"),
    (body(event("n" * 41)), "NAME_INVALID name"),
    (body(event(extra=1)), "VALUE_INVALID extra"),
    (body(event(params=[])), "VALUE_INVALID params"),
    (body(event(params={f"p{n}": n for n in range(26)})), "EXCEEDED_MAX_ENTITIES params"),
    (body(event(params={"_p": 1})), "NAME_RESERVED params._p"),
    (body(event(params={"p-q": 1})), "NAME_INVALID params.p-q"),
    (body(event(params={"p": True})), "VALUE_INVALID params.p"),
    (body(event(params={"p": None})), "VALUE_INVALID params.p"),
    (body(event(params={"p": {}})), "VALUE_INVALID params.p"),
    (body(event(params={"p": "x" * 101})), "VALUE_OUT_OF_BOUNDS params.p"),
    (body(event(timestamp_micros="1")), "VALUE_INVALID timestamp_micros"),
    (body(event(timestamp_micros=NOW * 1_000_000 + 1)), "VALUE_OUT_OF_BOUNDS timestamp_micros"),
    (body(user_properties=[]), "VALUE_INVALID user_properties"),
    (body(user_properties={"p": 1}), "VALUE_INVALID user_properties.p"),
    (body(user_properties={"user_id": {"value": 1}}), "NAME_RESERVED user_properties.user_id"),
    (
        body(user_properties={"n" * 25: {"value": 1}}),
        f"NAME_INVALID user_properties.{'n' * 25}",
    ),
    (body(user_properties={"p": {"value": "x" * 37}}), "VALUE_OUT_OF_BOUNDS user_properties.p"),
    (
        body(user_properties={f"p{n}": {"value": n} for n in range(26)}),
        "EXCEEDED_MAX_ENTITIES user_properties",
    ),
]


@pytest.mark.parametrize(("wrong", "reason"), FAULTS, ids=range(len(FAULTS)))
async def test_what_breaks_a_limit_is_dropped_and_the_validation_server_says_so(
    ga4: GA4, wrong: bytes, reason: str
) -> None:
    assert (await post(ga4, wrong)) == (204, b"")
    assert ([], {reason}) == (ga4.accepted, set(ga4.reasons()))

    code, text = await post(ga4, wrong, DEBUG)
    messages = json.loads(text)["validationMessages"]
    assert (200, reason.split(maxsplit=1)[0]) == (code, messages[0]["validationCode"])
    assert messages[0].keys() == {"fieldPath", "description", "validationCode"}


async def test_one_bad_event_leaves_the_others(ga4: GA4) -> None:
    await post(ga4, body(event("error"), event()))

    assert (len(ga4.accepted), ga4.reasons()) == (1, ["NAME_RESERVED name"])


async def test_all_limits_can_be_reached(ga4: GA4) -> None:
    params = {f"p{n:039}": "x" * 100 for n in range(25)}
    properties = {f"p{n:023}": {"value": "x" * 36} for n in range(25)}
    full = body(*[event("n" * 40, params=params)] * 25, user_properties=properties)
    await post(ga4, full)

    assert (len(ga4.accepted), ga4.reasons()) == (25, [])


async def test_an_old_event_gets_the_oldest_time_unless_that_is_to_be_enforced(ga4: GA4) -> None:
    oldest = NOW * 1_000_000 - 72 * HOUR
    old = event(timestamp_micros=oldest - 1)
    await post(ga4, body(old))
    assert [oldest] == [kept["timestamp_micros"] for kept in ga4.restamped]

    await post(ga4, body(old, validation_behavior="ENFORCE_RECOMMENDATIONS"))
    assert ga4.reasons() == ["VALUE_OUT_OF_BOUNDS timestamp_micros"]


@pytest.mark.parametrize("wrong", ["measurement_id", "api_secret"])
async def test_wrong_keys_are_204_and_unknown_to_the_validation_server(
    ga4: GA4, wrong: str
) -> None:
    assert (await post(ga4, body(), COLLECT, KEYS | {wrong: "other"}))[0] == 204
    assert ([], [wrong]) == (ga4.accepted, ga4.reasons())
    assert (await post(ga4, body(), DEBUG, {})) == (200, b'{"validationMessages": []}')
    assert ga4.accepted == []


async def test_a_packed_body_is_not_read(ga4: GA4) -> None:
    packed = gzip.compress(body())

    assert (await post(ga4, packed, COLLECT, KEYS, **{"Content-Encoding": "gzip"}))[0] == 204
    assert ga4.reasons() == ["VALUE_INVALID body"]
