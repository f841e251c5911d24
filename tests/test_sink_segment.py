"""One POST over real HTTP on localhost: what is on the wire, and what each answer comes to."""

import asyncio
import contextlib
import gzip
import json
import logging
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from attrs import evolve

from agent.model import Batch
from agent.sink.batch import AGE_LIMIT_SECONDS, batch_array, seal
from agent.sink.endpoint import EndpointError, WriteKeyError, endpoint_for
from agent.sink.http import HttpSender, open_session
from agent.sink.outcome import Delivered, Outcome, Rejected, Retry
from agent.sink.segment import Segment
from tests.sim.collector import Collector
from tests.sim.faults import Answer, Cut, Fault, HalfOpen, LoseResponse, Reset

NOW = 1_795_435_200  # 2026-11-23T12:00:00Z
KEY = "write-key"


def batch(seq: int = 1) -> Batch:
    event = {
        "type": "track",
        "event": "Event handled",
        "anonymousId": "a",
        "messageId": f"m{seq}",
        "timestamp": "2026-11-23T12:00:00Z",
        "properties": {"platform": "slack", "count": 1},
    }
    ((made,), _) = seal([event], seq=seq, sealed_seconds=NOW)
    return made


@pytest.fixture(autouse=True)
def _direct(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave a proxy of the machine that runs the tests out of them."""
    monkeypatch.setenv("no_proxy", "*")


@pytest.fixture
async def collector() -> AsyncIterator[Collector]:
    async with Collector(KEY).running() as collector:
        yield collector


@contextlib.asynccontextmanager
async def connected(url: str) -> AsyncIterator[HttpSender]:
    async with open_session("0.1.0") as session:
        yield HttpSender(session, endpoint_for(url), KEY, Segment("0.1.0"))


async def send(url: str, one: Batch | None = None, *, sent_seconds: float = NOW) -> Outcome:
    async with connected(url) as segment:
        return await segment.send(one or batch(), sent_seconds=sent_seconds)


# What is on the wire


async def test_an_accepted_batch_is_delivered(collector: Collector) -> None:
    assert await send(collector.url) == Delivered()
    assert [event["messageId"] for event in collector.accepted] == ["m1"]


async def test_the_request_says_what_segment_asks_for(collector: Collector) -> None:
    await send(collector.url)
    (request,) = collector.requests
    body = json.loads(request.text)

    assert request.headers["Authorization"] == "Basic d3JpdGUta2V5Og=="
    assert request.headers["Content-Type"] == "application/json"
    assert request.headers["Content-Encoding"] == "gzip"
    assert request.headers["User-Agent"] == "botkube-analytics/0.1.0"
    assert "Cookie" not in request.headers
    assert body.keys() == {"batch", "context", "sentAt"}
    assert body["context"]["ip"] == "0.0.0.0"


async def test_no_connection_outlives_its_request() -> None:
    """Else it would stand open after an off; the session here is not closed meanwhile."""
    ended = asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
        await reader.read()
        ended.set()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with connected(f"http://127.0.0.1:{port}") as segment, asyncio.timeout(5):
            assert await segment.send(batch(), sent_seconds=NOW) == Delivered()
            await ended.wait()


async def test_the_wire_carries_the_frozen_array(collector: Collector) -> None:
    one = batch()
    await send(collector.url, one)

    assert batch_array(one) in gzip.decompress(collector.requests[0].raw)


async def test_each_attempt_has_its_own_time(collector: Collector) -> None:
    await send(collector.url, sent_seconds=NOW)
    await send(collector.url, sent_seconds=NOW + 60)

    assert [json.loads(request.text)["sentAt"] for request in collector.requests] == [
        "2026-11-23T12:00:00Z",
        "2026-11-23T12:01:00Z",
    ]


async def test_a_late_repeat_says_so(collector: Collector) -> None:
    late = evolve(batch(), attempted=True)
    await send(collector.url, late, sent_seconds=NOW + AGE_LIMIT_SECONDS + 1)

    assert json.loads(collector.requests[0].text)["context"]["retried_late"] is True


async def test_a_netrc_file_neither_replaces_nor_breaks_the_write_key(
    collector: Collector, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("default login someone password secret\n")
    monkeypatch.setenv("NETRC", str(netrc))

    assert await send(collector.url) == Delivered()
    assert collector.requests[0].headers["Authorization"] == "Basic d3JpdGUta2V5Og=="


async def test_a_proxy_of_the_environment_is_used(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The collector plays the proxy: it is asked for a host that does not exist."""
    monkeypatch.delenv("no_proxy")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.setenv("http_proxy", collector.url)

    assert await send("http://segment.invalid") == Delivered()
    assert collector.requests[0].headers["Host"] == "segment.invalid"


# What an answer comes to


@pytest.mark.parametrize(
    ("fault", "outcome"),
    [
        (Answer(202), Delivered()),
        (Answer(429, retry_after=17), Retry("rate_limited", 17, is_untaken=True)),
        (Answer(429), Retry("rate_limited", is_untaken=True)),
        (Answer(503, retry_after=86_400), Retry("server_error", 3600)),
        (Answer(503, retry_after=0), Retry("server_error", 1)),
        (Answer(500), Retry("server_error")),
        (Answer(408), Retry("request_timeout")),
        (Answer(400), Rejected(400)),
        (Answer(401), Rejected(401)),
        (Answer(413, body=b"x" * 5_000_000), Rejected(413)),
        (Reset(), Retry("connection")),
        (LoseResponse(), Retry("connection")),
        (Cut("reset", after_bytes=3), Delivered()),
    ],
    ids=str,
)
async def test_an_answer_becomes_an_outcome(
    collector: Collector, fault: Fault, outcome: Outcome
) -> None:
    collector.faults.add(fault)

    assert await send(collector.url) == outcome


async def test_silence_becomes_a_retry(collector: Collector) -> None:
    collector.faults.add(HalfOpen())
    async with (
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(sock_read=0.05)) as session,
    ):
        segment = HttpSender(session, collector.url, KEY, Segment("0.1.0"))

        assert await segment.send(batch(), sent_seconds=NOW) == Retry("timeout")


async def test_nobody_listening_becomes_a_retry(unused_tcp_port: int) -> None:
    assert await send(f"http://127.0.0.1:{unused_tcp_port}") == Retry("connection", is_untaken=True)


@pytest.mark.parametrize(
    "answer", [b"", b"HTTP/1.1 ", b"\x16\x03\r\n\r\n", b"HTTP/1.1 abc\r\n\r\n"]
)
async def test_what_is_no_answer_becomes_a_retry(answer: bytes) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]

        assert await send(f"http://127.0.0.1:{port}") == Retry("connection")


@pytest.mark.parametrize("host", ["api..segment.io", ".", "a" * 64, "xn--.invalid"])
async def test_a_host_that_fits_into_no_request_becomes_a_retry(host: str) -> None:
    """Settings refuse most of them; one that passes must not end the agent."""
    async with open_session("0.1.0") as session:
        segment = HttpSender(session, f"http://{host}:1", KEY, Segment("0.1.0"))

        assert await segment.send(batch(), sent_seconds=NOW) == Retry("connection")


async def test_a_proxy_that_is_no_url_becomes_a_retry_and_is_not_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.delenv("no_proxy")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.setenv("http_proxy", "http://secret[")

    assert await send("http://segment.invalid") == Retry("connection")
    assert "secret" not in caplog.text


async def test_no_attempt_waits_for_ever() -> None:
    async with open_session("0.1.0") as session:
        assert session.timeout.total is not None
        assert session.timeout.sock_connect is not None


async def test_a_batch_whose_answer_was_lost_counts_once(collector: Collector) -> None:
    collector.faults.add(LoseResponse())
    outcomes = [await send(collector.url), await send(collector.url)]

    assert outcomes == [Retry("connection"), Delivered()]
    assert (len(collector.accepted), len(collector.duplicates)) == (1, 1)


@contextlib.asynccontextmanager
async def answering(status: int, headers: dict[str, str]) -> AsyncIterator[tuple[str, list[str]]]:
    """Serve one fixed answer, for headers that the simulated collector does not give."""
    paths: list[str] = []

    async def answer(request: web.BaseRequest) -> web.Response:
        paths.append(request.path)
        return web.Response(status=status, headers=headers)

    server = web.Server(answer)
    runner = web.ServerRunner(server)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}", paths
    finally:
        await runner.cleanup()
        await asyncio.sleep(0)


@pytest.mark.parametrize(
    ("header", "after_seconds"),
    [
        ("Mon, 23 Nov 2026 12:01:30 GMT", 90),
        ("Mon, 23 Nov 2026 12:01:30 -0000", 90),
        ("Mon, 23 Nov 2026 12:01:30 +0900", 90),
        ("Mon, 23 Nov 2026 11:00:00 GMT", 1),
        ("Tue, 24 Nov 2026 12:00:00 GMT", 3600),
        ("soon", None),
        ("-5", None),
        ("nan", None),
        ("9" * 5000, None),
        ("Mon, 99 Nov 2026 12:01:30 GMT", None),
    ],
    ids=lambda value: str(value)[:30],
)
async def test_retry_after_is_read_within_bounds(header: str, after_seconds: float | None) -> None:
    async with answering(503, {"Retry-After": header}) as (url, _):
        assert await send(url) == Retry("server_error", after_seconds)


async def test_a_redirect_is_not_followed() -> None:
    """Whoever answers for the destination must not be able to send the write key elsewhere."""
    async with answering(307, {"Location": "/elsewhere"}) as (url, paths):
        assert await send(url) == Retry("redirected", is_untaken=True)
        assert paths == ["/v1/batch"]


async def test_cookies_are_not_kept() -> None:
    async with (
        answering(200, {"Set-Cookie": "a=b"}) as (url, _),
        # For a host with a name: aiohttp's own jar takes none from addresses.
        connected(url.replace("127.0.0.1", "localhost")) as segment,
    ):
        await segment.send(batch(), sent_seconds=NOW)

        assert len(segment.session.cookie_jar) == 0


async def test_nothing_of_an_answer_is_logged(
    collector: Collector, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    collector.faults.add(Answer(400, body=b"echo of an event"))
    await send(collector.url)

    assert "echo" not in caplog.text


# Where to, and on whose behalf


@pytest.mark.parametrize(
    ("place", "endpoint"),
    [
        ("https://example.com", "https://example.com"),
        ("https://example.com/", "https://example.com"),
        ("https://example.com/v1/", "https://example.com"),
        ("https://example.com/v1/batch", "https://example.com"),
        ("http://[::1]:8080/prefix/v1", "http://[::1]:8080/prefix"),
    ],
)
def test_an_endpoint_is_a_base_url(place: str, endpoint: str) -> None:
    assert endpoint_for(place) == endpoint


@pytest.mark.parametrize(
    "place",
    [
        "",
        "us",
        "asia",
        "example.com",
        "ftp://example.com",
        "https://",
        "https://exa mple.com",
        "https://example.com\n",
        "https://example.com:port",
        "https://example.com:99999",
        "http://api..segment.io",
        "http://.:1",
        "https://xn--.invalid",
        f"https://{'secret' * 11}.example.com",
        "https://[::1",
        "https://someone:secret@example.com",
        "https://example.com/?key=secret",
        "https://example.com/#secret",
    ],
)
def test_what_is_no_endpoint_is_refused_without_repeating_it(place: str) -> None:
    with pytest.raises(EndpointError) as caught:
        endpoint_for(place)

    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("key", ["", "a b", "secret\n", "secret:", "sécret"])
async def test_what_is_no_write_key_is_refused_without_repeating_it(key: str) -> None:
    async with open_session("0.1.0") as session:
        with pytest.raises(WriteKeyError) as caught:
            HttpSender(session, "https://example.com", key, Segment("0.1.0"))

    assert "secret" not in str(caught.value)


async def test_the_write_key_is_not_in_the_repr() -> None:
    async with connected("https://api.example.com") as segment:
        assert KEY not in repr(segment)
