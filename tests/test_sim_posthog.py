"""The PostHog collector over real HTTP: what it answers, keeps, and throws away."""

import contextlib
import gzip
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.asking import ask
from tests.sim.faults import Answer
from tests.sim.posthog import BODY_BYTES, EVENT_BYTES, PostHog

Event = dict[str, Any]

NOW = 1_795_435_200  # 2026-11-23T12:00:00Z
UUID = "a91dccc1-0ded-5bae-85d3-d7ffd3d8fa6b"
PRIVATE = {"$ip": "0.0.0.0", "$geoip_disable": True, "$process_person_profile": False}


def event(name: object = "handled", **changes: object) -> Event:
    made = {
        "event": name,
        "distinct_id": "d",
        "uuid": UUID,
        "timestamp": "2026-11-23T11:00:00Z",
        "properties": PRIVATE,
    }
    return {key: value for key, value in (made | changes).items() if value is not None}


@contextlib.asynccontextmanager
async def running(*, strict: bool = False, checks_key: bool = True) -> AsyncIterator[PostHog]:
    async with PostHog(strict=strict, checks_key=checks_key).running() as posthog:
        posthog.now = lambda: NOW
        yield posthog


@pytest.fixture
async def posthog() -> AsyncIterator[PostHog]:
    async with running() as posthog:
        yield posthog


async def post(
    posthog: PostHog, body: bytes, path: str = "/batch/", **headers: str
) -> tuple[int, bytes]:
    return await ask(posthog.url + path, body, headers=headers)


async def send(posthog: PostHog, *events: Event, **envelope: object) -> tuple[int, bytes]:
    body = {"api_key": "phc_key", "batch": events} | envelope
    return await post(posthog, json.dumps(body).encode())


OK = (200, b'{"status": "Ok"}')


async def test_an_event_is_kept_once_by_four_of_its_fields(posthog: PostHog) -> None:
    assert await send(posthog, event()) == OK
    assert await send(posthog, event(properties=PRIVATE | {"count": 2})) == OK
    await send(posthog, event(distinct_id="e"), event("other"), event(timestamp="2026-11-23"))

    assert [len(posthog.accepted), len(posthog.duplicates)] == [4, 1]


async def test_without_a_uuid_nothing_is_a_duplicate(posthog: PostHog) -> None:
    await send(posthog, event(uuid=None), event(uuid=None))

    assert len(posthog.accepted) == 2


async def test_a_time_of_sending_moves_the_stored_time(posthog: PostHog) -> None:
    await send(posthog, event(), sent_at="2026-11-23T11:30:00Z")
    await send(posthog, event(), sent_at="2026-11-23T11:30:01Z")

    assert [kept["timestamp"] for kept in posthog.accepted] == [
        "2026-11-23T11:30:00+00:00",
        "2026-11-23T11:29:59+00:00",
    ]


async def test_a_time_that_is_none_becomes_now(posthog: PostHog) -> None:
    await send(posthog, event(timestamp=1_795_431_600))

    assert posthog.accepted[0]["timestamp"] == "2026-11-23T12:00:00+00:00"


async def test_a_time_of_sending_can_be_ignored(posthog: PostHog) -> None:
    properties = PRIVATE | {"$ignore_sent_at": True}
    await send(posthog, event(properties=properties), sent_at="2026-11-23T11:30:00Z")

    assert posthog.accepted[0]["timestamp"] == "2026-11-23T11:00:00+00:00"


async def test_an_address_a_place_and_a_person_are_kept_unless_forbidden(posthog: PostHog) -> None:
    await send(posthog, event())
    assert (posthog.ips, posthog.located, posthog.profiles) == ([], [], [])

    await send(
        posthog, event(uuid=None, properties={"$ip": "", "$process_person_profile": "false"})
    )
    assert (posthog.ips, posthog.profiles) == (["127.0.0.1"], ["d"])
    assert [posthog.accepted[1]] == posthog.located


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (event(""), "event"),
        (event(distinct_id=""), "distinct_id"),
        (event(uuid="m1"), "uuid"),
        (event(properties=[]), "properties"),
        (event(properties={"pad": "x" * EVENT_BYTES}), "size"),
        (event("$identify"), "person"),
    ],
)
async def test_invalid_events_are_dropped_behind_a_200(
    posthog: PostHog, wrong: Event, reason: str
) -> None:
    assert await send(posthog, wrong, event()) == OK
    assert ([reason], 1) == (posthog.reasons(), len(posthog.accepted))


async def test_over_its_quota_it_keeps_nothing_and_says_200(posthog: PostHog) -> None:
    posthog.is_over_quota = True
    code, body = await send(posthog, event())

    assert (code, json.loads(body)) == (200, {"status": "Ok", "quota_limited": ["events"]})
    assert (posthog.accepted, posthog.reasons()) == ([], ["quota"])


@pytest.mark.parametrize("key", ["", "other", "phx_personal", None, 1])
async def test_a_wrong_key_is_401(posthog: PostHog, key: object) -> None:
    assert (await send(posthog, event(), api_key=key))[0] == 401
    assert posthog.accepted == []


async def test_the_cloud_says_200_to_a_key_that_nobody_has() -> None:
    async with running(checks_key=False) as posthog:
        assert await send(posthog, event(), api_key="phc_other") == OK
        assert (await send(posthog, event(), api_key="phx_personal"))[0] == 401
        assert (posthog.accepted, posthog.reasons()) == ([], ["api_key"])


async def test_a_strict_server_refuses_the_whole_batch() -> None:
    async with running(strict=True) as posthog:
        assert (await send(posthog, event(""), event()))[0] == 400
        assert posthog.accepted == []


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"batch": 1}', b'{"batch": []}'])
async def test_what_is_no_batch_is_400(posthog: PostHog, body: bytes) -> None:
    assert (await post(posthog, body))[0] == 400


async def test_a_body_has_a_limit(posthog: PostHog) -> None:
    body = json.dumps({"api_key": "phc_key", "batch": [event()]}).encode()

    assert await post(posthog, body.ljust(BODY_BYTES)) == OK
    assert (await post(posthog, body.ljust(BODY_BYTES + 1)))[0] == 413


async def test_gzip_and_one_event_alone_are_read(posthog: PostHog) -> None:
    body = gzip.compress(json.dumps({"api_key": "phc_key"} | event()).encode())

    assert await post(posthog, body, "/i/v0/e/", **{"Content-Encoding": "gzip"}) == OK
    assert len(posthog.accepted) == 1


async def test_scheduled_faults_take_nothing(posthog: PostHog) -> None:
    posthog.faults.add(Answer(503))

    assert (await send(posthog, event()))[0] == 503
    assert (await post(posthog, b"", "/v1/batch"))[0] == 404
    assert posthog.requests == []
