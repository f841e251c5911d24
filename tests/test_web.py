from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from agent.web.listen import GUARDS, ServerError
from agent.web.loopback import HEADERS, serve_page
from agent.web.metrics import MAX_EVENTS, METRICS, Part, Snapshot, exposition
from agent.web.server import serve
from agent.web.view import View

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping
    from contextlib import AbstractAsyncContextManager

FIGURES = {
    "lines_read": "read_lines_total",
    "lines_matched": "matched_lines_total",
    "noise_lines": "noise_lines_total",
    "lines_cut": "cut_lines_total",
    "pair_bounds_hit": "pair_bounds_total",
    "containers_followed": "followed_containers",
    "streams_opened": "opened_streams_total",
    "stream_errors": "stream_errors_total",
    "windows_open": "open_windows",
    "windows_closed": "closed_windows_total",
    "outbox_batches": "outbox_batches",
    "outbox_bytes": "outbox_bytes",
    "batches_delivered": "delivered_batches_total",
    "batches_retried": "retried_batches_total",
    "batches_rejected": "rejected_batches_total",
    "events_accepted": "accepted_events_total",
    "last_delivery_seconds": "last_delivery_timestamp_seconds",
    "commits": "commits_total",
    "commit_failures": "commit_failures_total",
    "rules_loaded": "loaded_rules",
}


def samples(snapshot: Snapshot) -> dict[tuple[str, tuple[str, ...]], float]:
    """Read the page as Prometheus does: (name, label values) -> figure."""
    return {
        (sample.name.removeprefix("botkube_agent_"), tuple(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(exposition(snapshot).decode())
        for sample in family.samples
    }


@pytest.mark.parametrize(("attribute", "metric"), FIGURES.items())
def test_each_figure_is_the_metric_of_its_name(attribute: str, metric: str) -> None:
    figures: dict[str, Any] = {attribute: 1_790_000_123}
    found = samples(Snapshot(**figures))

    assert found[metric, ()] == 1_790_000_123
    assert Counter(found.values())[1_790_000_123] == 1


@pytest.mark.parametrize(
    ("snapshot", "expected"),
    [
        pytest.param(
            Snapshot(observations={"Event handled": 3, "Command executed": 2}),
            {
                ("observations_total", ("Event handled",)): 3,
                ("observations_total", ("Command executed",)): 2,
            },
            id="observations by event",
        ),
        pytest.param(
            Snapshot(gap_seconds={"rotated": 60, "made up": 5, "another": 2}),
            {
                ("gap_seconds_total", ("rotated",)): 60,
                ("gap_seconds_total", ("stopped",)): 0,
                ("gap_seconds_total", ("other",)): 7,
            },
            id="gaps by closed reason",
        ),
        pytest.param(
            Snapshot(mode="local"),
            {("mode", ("on",)): 0, ("mode", ("local",)): 1, ("mode", ("off",)): 0},
            id="mode",
        ),
        pytest.param(Snapshot(), {("held_back", ()): 0}, id="nothing held back"),
        pytest.param(Snapshot(holds_back=True), {("held_back", ()): 1}, id="held back"),
        pytest.param(
            Snapshot(rules_digest="ab12"), {("rules_info", ("ab12",)): 1}, id="rules digest"
        ),
    ],
)
def test_labels(snapshot: Snapshot, expected: Mapping[tuple[str, tuple[str, ...]], float]) -> None:
    found = samples(snapshot)

    assert expected == {key: found[key] for key in expected}


def test_words_that_are_not_closed_are_no_labels() -> None:
    page = exposition(Snapshot(mode="SENTINEL", gap_seconds={"SENTINEL": 1})).decode()

    assert "SENTINEL" not in page


def test_events_beyond_the_limit_are_summed() -> None:
    found = samples(Snapshot(observations={f"event {at:03}": 1 for at in range(MAX_EVENTS + 7)}))

    events = {labels: value for (name, labels), value in found.items() if "observations" in name}
    assert len(events) == MAX_EVENTS + 1
    assert events["other",] == 7


def test_no_delivery_yet_is_no_sample() -> None:
    assert ("last_delivery_timestamp_seconds", ()) not in samples(Snapshot())


@pytest.mark.parametrize(("leads", "expected"), [(True, 1), (False, 0), (None, None)])
def test_who_leads_is_told_only_where_there_is_an_election(
    leads: bool | None, expected: int | None
) -> None:
    assert samples(Snapshot(leads=leads)).get(("leader", ())) == expected


def test_each_metric_has_a_name_of_its_own_and_help() -> None:
    assert len(METRICS) == len({one.name for one in METRICS})
    assert all(one.help for one in METRICS)


HEALTH = [
    pytest.param("/healthz", Snapshot(), 200, "ok\n", id="healthy"),
    pytest.param(
        "/healthz", Snapshot(dead=(Part.STATE, Part.SINK)), 503, "dead: sink, state\n", id="dead"
    ),
    pytest.param(
        "/readyz", Snapshot(), 200, '{"ready": true, "reasons": ["off"]}', id="ready when off"
    ),
    pytest.param(
        "/readyz",
        Snapshot(mode="on"),
        503,
        '{"ready": false, "reasons": ["not_listed"]}',
        id="not ready before the first list",
    ),
    pytest.param(
        "/readyz",
        Snapshot(mode="on", is_settled=True, batches_retried=99, dead=(Part.SINK,)),
        200,
        '{"ready": true, "reasons": ["listed"]}',
        id="ready without egress",
    ),
    pytest.param(
        "/readyz",
        Snapshot(mode="on", leads=False),
        200,
        '{"ready": true, "reasons": ["standby"]}',
        id="ready as a standby",
    ),
    pytest.param(
        "/readyz",
        Snapshot(mode="on", leads=True),
        503,
        '{"ready": false, "reasons": ["not_listed"]}',
        id="not ready while it begins to lead",
    ),
    pytest.param(
        "/secret",
        Snapshot(),
        404,
        "not found; there are /healthz, /readyz, /metrics\n",
        id="other path",
    ),
]


@pytest.mark.parametrize(("path", "snapshot", "status", "text"), HEALTH)
async def test_answers(path: str, snapshot: Snapshot, status: int, text: str) -> None:
    async with (
        serve("127.0.0.1", 0, lambda: snapshot) as port,
        aiohttp.ClientSession() as session,
        session.get(f"http://127.0.0.1:{port}{path}") as response,
    ):
        assert (status, text) == (response.status, await response.text())
        assert "Server" not in response.headers


async def test_metrics_are_those_of_the_moment() -> None:
    lines = iter((5, 8))
    pages = []
    async with (
        serve("127.0.0.1", 0, lambda: Snapshot(lines_read=next(lines))) as port,
        aiohttp.ClientSession() as session,
    ):
        for _ in range(2):
            async with session.get(f"http://127.0.0.1:{port}/metrics") as response:
                assert (
                    response.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
                )
                pages.append(await response.read())

    assert [exposition(Snapshot(lines_read=5)), exposition(Snapshot(lines_read=8))] == pages


CANARY = "q7x2zkw9"
REQUESTS = [
    pytest.param(
        "GET /{canary} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", 404, id="path"
    ),
    pytest.param(
        "POST /{canary} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", 405, id="method"
    ),
    pytest.param("GET /{canary} HTTP/9.9\r\nHost: localhost\r\n\r\n", 400, id="version"),
    pytest.param("GET / HTTP/1.1\r\nHost: localhost\r\n{canary}\r\n\r\n", 400, id="no header"),
    pytest.param("GET / HTTP/1.1\r\n{canary}\x01: x\r\n\r\n", 400, id="control character"),
    pytest.param("{canary} / HTTP/1.1\r\nContent-Length: {canary}\r\n\r\n", 400, id="length"),
    pytest.param("\x16\x03\x01\x02{canary}\r\n\r\n", 400, id="TLS"),
    pytest.param("GET / HTTP/1.1\r\nX: " + "{canary}" * 5000 + "\r\n\r\n", 400, id="too long"),
    pytest.param(
        "GET / HTTP/1.1\r\nTransfer-Encoding: {canary}\r\n\r\n{canary}", 400, id="encoding"
    ),
]


@asynccontextmanager
async def health() -> AsyncIterator[int]:
    async with serve("127.0.0.1", 0, Snapshot) as port:
        yield port


@asynccontextmanager
async def the_page() -> AsyncIterator[int]:
    async with serve_page(0, lambda: View(0, "1", "local", "a test")) as port:
        yield port


@pytest.mark.parametrize(("request_text", "status"), REQUESTS)
@pytest.mark.parametrize(("served", "guards"), [(health, GUARDS), (the_page, HEADERS)])
async def test_every_answer_is_guarded_names_no_version_and_repeats_nothing(
    served: Callable[[], AbstractAsyncContextManager[int]],
    guards: Mapping[str, str],
    request_text: str,
    status: int,
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with served() as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request_text.replace("{canary}", CANARY).encode("latin-1"))
        async with asyncio.timeout(10):
            answer = (await reader.read()).decode()
        writer.close()
        await writer.wait_closed()
    head = answer.partition("\r\n\r\n")[0].split("\r\n")

    assert head[0].split(" ")[1] == str(status)
    assert [name for name, value in guards.items() if f"{name}: {value}" not in head] == []
    assert not [line for line in head if line.startswith(("Server:", "Set-Cookie:"))]
    assert CANARY not in answer
    assert "aiohttp" not in answer
    assert caplog.records == []


async def test_an_answer_that_fails_says_no_more_than_that(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail() -> Snapshot:
        raise ValueError(CANARY)

    async with (
        serve("127.0.0.1", 0, fail) as port,
        aiohttp.ClientSession() as session,
        session.get(f"http://127.0.0.1:{port}/metrics") as response,
    ):
        said = await response.text()

    assert (response.status, said) == (500, "internal server error\n")
    assert GUARDS.items() <= dict(response.headers).items()
    assert response.headers["Connection"] == "close"
    assert [one.message for one in caplog.records] == ["an answer has failed"]


async def test_no_request_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(0)
    async with (
        serve("127.0.0.1", 0, Snapshot) as port,
        aiohttp.ClientSession() as session,
        session.get(f"http://127.0.0.1:{port}/healthz"),
    ):
        pass

    assert [record for record in caplog.records if record.name.startswith("aiohttp")] == []


async def test_a_busy_port_names_the_setting() -> None:
    async with serve("127.0.0.1", 0, Snapshot) as port:
        with pytest.raises(ServerError) as caught:
            async with serve("127.0.0.1", port, Snapshot):
                pass

    text = f"port {port} is already in use on 127.0.0.1; set health.port to another, or to 0"
    assert text == str(caught.value)


async def test_an_address_of_nobody_names_the_setting() -> None:
    with pytest.raises(ServerError, match=r"check health\.host"):
        async with serve("203.0.113.1", 0, Snapshot):
            pass


async def test_the_port_is_free_again_after_closing() -> None:
    async with serve("127.0.0.1", 0, Snapshot) as port:
        pass
    async with serve("127.0.0.1", port, Snapshot) as again:
        assert port == again
