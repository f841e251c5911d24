"""The collector over real HTTP: what it answers, and what it says that it took."""

import contextlib
import gzip
import io
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from tests.sim.collector import BATCH_BYTES, BATCH_EVENTS, EVENT_BYTES, Collector
from tests.sim.faults import Answer, LoseResponse, Reset

Event = dict[str, Any]


def track(message_id: str = "m1", **changes: str | None) -> Event:
    event = {"type": "track", "event": "Event handled", "anonymousId": "a"}
    return {**event, "messageId": message_id, **changes}


class Sender:
    def __init__(self, collector: Collector, session: aiohttp.ClientSession) -> None:
        self.collector = collector
        self.session = session

    async def post(
        self, body: bytes, *, key: str = "write-key", **headers: str
    ) -> tuple[int, aiohttp.ClientResponse]:
        async with self.session.post(
            f"{self.collector.url}/v1/batch",
            data=io.BytesIO(body),
            headers={"Authorization": aiohttp.encode_basic_auth(key, "")} | headers,
        ) as answer:
            await answer.read()
            return answer.status, answer

    async def send(self, *events: Event, **kw: str) -> int:
        return (await self.post(json.dumps({"batch": events}).encode(), **kw))[0]


@contextlib.asynccontextmanager
async def collecting(*, strict: bool = False) -> AsyncIterator[Sender]:
    connector = aiohttp.TCPConnector(force_close=True)
    async with (
        Collector(strict=strict).running() as collector,
        aiohttp.ClientSession(connector=connector) as session,
    ):
        yield Sender(collector, session)


@pytest.fixture
async def sender() -> AsyncIterator[Sender]:
    async with collecting() as sender:
        yield sender


async def test_events_are_accepted_once_by_their_id(sender: Sender) -> None:
    first, second = track("m1"), track("m2", event="Command executed")

    assert await sender.send(first, second) == 200
    assert await sender.send(first) == 200
    assert [first, second] == sender.collector.accepted
    assert [first] == sender.collector.duplicates
    assert [second] == sender.collector.tracks("Command executed")


async def test_forgotten_ids_are_accepted_again(sender: Sender) -> None:
    await sender.send(track())
    sender.collector.forget_ids()
    await sender.send(track())

    assert len(sender.collector.accepted) == 2


async def test_gzip_is_unpacked_and_the_raw_body_kept(sender: Sender) -> None:
    packed = gzip.compress(json.dumps({"batch": [track()]}).encode())
    code, _ = await sender.post(packed, **{"Content-Encoding": "gzip"})
    received = sender.collector.requests[0]

    assert (200, [track()]) == (code, sender.collector.accepted)
    assert (packed, (track(),)) == (received.raw, received.events)


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        (track(""), "messageId"),
        (track("m" * 101), "messageId"),
        (track(type="trick"), "type"),
        (track(event=""), "event"),
        (track(anonymousId=""), "anonymousId or userId"),
        (track(type="group"), "groupId"),
    ],
)
async def test_invalid_events_are_dropped_behind_a_200(
    sender: Sender, event: Event, reason: str
) -> None:
    assert await sender.send(event, track("good")) == 200
    assert [reason] == [dropped.reason for dropped in sender.collector.dropped]
    assert [track("good")] == sender.collector.accepted


async def test_a_user_id_and_an_id_of_100_characters_are_enough(sender: Sender) -> None:
    await sender.send(track("m" * 100, anonymousId=None, userId="u"))

    assert len(sender.collector.accepted) == 1


async def test_a_wrong_key_is_dropped_behind_a_200(sender: Sender) -> None:
    assert await sender.send(track(), key="wrong") == 200
    assert sender.collector.accepted == []
    assert [d.reason for d in sender.collector.dropped] == ["write key"]


async def test_a_strict_collector_says_so() -> None:
    async with collecting(strict=True) as sender:
        assert await sender.send(track(), key="wrong") == 401
        assert await sender.send(track(""), track("good")) == 400
        assert sender.collector.accepted == []


def padded(size: int) -> Event:
    """Make an event of exactly so many bytes."""
    base = len(json.dumps(track(pad=""), separators=(",", ":")))
    return track(pad="x" * (size - base))


@pytest.mark.parametrize(("size", "code"), [(EVENT_BYTES, 200), (EVENT_BYTES + 1, 400)])
async def test_an_event_has_a_limit(sender: Sender, size: int, code: int) -> None:
    assert code == await sender.send(padded(size))


async def test_a_batch_has_a_limit_in_bytes(sender: Sender) -> None:
    body = json.dumps({"batch": [track()]}).encode()

    assert (await sender.post(body.ljust(BATCH_BYTES)))[0] == 200
    assert (await sender.post(body.ljust(BATCH_BYTES + 1)))[0] == 400


async def test_too_many_events_are_dropped_behind_a_200(sender: Sender) -> None:
    # Small enough for the limit in bytes, which is looked at first.
    events = [track(str(number)) for number in range(BATCH_EVENTS + 1)]

    assert await sender.send(*events) == 200
    assert (0, len(events)) == (len(sender.collector.accepted), len(sender.collector.dropped))


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"batch": 1}', b'{"batch": [1]}', b"\x1f"])
async def test_what_is_no_batch_is_400(sender: Sender, body: bytes) -> None:
    assert (await sender.post(body))[0] == 400


async def test_broken_gzip_is_400(sender: Sender) -> None:
    assert (await sender.post(b"nonsense", **{"Content-Encoding": "gzip"}))[0] == 400


async def test_scheduled_refusals_take_nothing(sender: Sender) -> None:
    sender.collector.faults.add(Answer(429, retry_after=3))
    code, answer = await sender.post(json.dumps({"batch": [track()]}).encode())

    assert (code, answer.headers["Retry-After"]) == (429, "3")
    assert sender.collector.accepted == []
    assert await sender.send(track()) == 200


async def test_a_reset_takes_nothing(sender: Sender) -> None:
    sender.collector.faults.add(Reset())
    with pytest.raises(aiohttp.ClientOSError):
        await sender.send(track())

    assert sender.collector.requests == []


async def test_a_lost_response_takes_all(sender: Sender) -> None:
    sender.collector.faults.add(LoseResponse())
    with pytest.raises(aiohttp.ClientOSError):
        await sender.send(track())

    assert [track()] == sender.collector.accepted
