"""Each destination over real HTTP on localhost: its documented request, its limits, its answers."""

import asyncio
import contextlib
import json
import string
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import pytest
from aiohttp import web
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.around import around
from agent.disclosure import disclosures
from agent.model import Aggregate, Batch, Report, Value
from agent.rules import RuleSet
from agent.sink.batch import build_identity, seal
from agent.sink.calls import CLUSTER, INSTALLATION, calls_of
from agent.sink.destination import AT_MOST_ONCE, KINDS, Destination, Promise
from agent.sink.ga4 import MAX_AGE_SECONDS, GoogleAnalytics
from agent.sink.http import open_session
from agent.sink.outcome import Delivered, GivenUp, Outcome, Rejected, Retry
from agent.sink.piwik_pro import PiwikPro
from agent.sink.posthog import QUOTA_SECONDS
from agent.sink.senders import make_sender
from agent.sink.translations import shown_by
from agent.sink.wire import SendWhile
from tests.asking import ask
from tests.contracts import check, load
from tests.sim import ga4 as sim_ga4
from tests.sim import piwik_pro as sim_piwik
from tests.sim import posthog as sim_posthog
from tests.sim.collector import Collector
from tests.sim.faults import Answer, LoseResponse, Reset
from tests.sim.receiving import Receiver
from tests.test_sink_batch import IDENTITY, NOON, REPORT_OF_NOON, build

SITE = "892d04bd-6e2b-4914-bfb4-bac721b37235"
MEASUREMENT = "G-ABC123"
AT = NOON + 3700
WIDE = Report(
    NOON,
    NOON + 3600,
    tuple(
        Aggregate(
            "Notification failed",
            (("platform", f"p{number}"), ("reason", "rate_limited"), ("what", "event")),
            "v1.6.0",
            number + 1,
        )
        for number in range(60)
    ),
    (*REPORT_OF_NOON.collection, *((f"platform_{number}_enabled", True) for number in range(70))),
)


def batch(report: Report = WIDE, *, seq: int = 7) -> Batch:
    """Seal the events of a window with the identity calls in front, as a running agent does."""
    calls = build_identity(IDENTITY, agent_version="0.1.0", at_seconds=NOON)
    made, dropped = seal([*calls, *build(report, seq=seq)[0]], seq=seq, sealed_seconds=AT)
    assert dropped == 0
    (one,) = made
    return one


def receiver_of(kind: str) -> Receiver:
    match kind:
        case "segment":
            made: Receiver = Collector("write-key")
        case "posthog":
            made = sim_posthog.PostHog("write-key")
        case "ga4":
            made = sim_ga4.GA4(MEASUREMENT, "write-key")
        case _:
            made = sim_piwik.PiwikPro(SITE, "write-key")
    made.now = lambda: float(AT)
    return made


def of_one(properties: Mapping[str, Value]) -> Batch:
    """Seal one event of a custom rule."""
    event = {
        "type": "track",
        "event": "Plugin restarted",
        "anonymousId": IDENTITY.installation_id,
        "messageId": "the-id",
        "timestamp": "2026-11-23T12:00:00Z",
        "properties": properties,
    }
    ((made,), _) = seal([event], seq=1, sealed_seconds=NOON)
    return made


SERVICES = ("segment", "posthog", "ga4", "piwik-pro")
SITES = {"ga4": MEASUREMENT, "piwik-pro": SITE}


@pytest.fixture(autouse=True)
def _direct(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave a proxy of the machine that runs the tests out of them."""
    monkeypatch.setenv("no_proxy", "*")


@contextlib.asynccontextmanager
async def connected(
    kind: str, *, delivery: str = "at-least-once"
) -> AsyncIterator[tuple[Receiver, Callable[[], SendWhile]]]:
    """Run a service, and give what makes a sender to it, one for each run of an agent."""
    async with receiver_of(kind).running() as receiver, open_session("0.1.0") as session:
        destination = Destination(kind, receiver.url, site=SITES.get(kind, ""), delivery=delivery)

        def make() -> SendWhile:
            return make_sender(destination, session, key="write-key", agent_version="0.1.0")

        yield receiver, make


async def send(
    sending: SendWhile, one: Batch, *, at: float = AT, may_go_on: Callable[[], bool] = lambda: True
) -> Outcome:
    return await sending(one, sent_seconds=at, may_go_on=may_go_on)


def count_of(kind: str, event: dict[str, Any]) -> tuple[str, int]:
    """Return what a kept event says was counted, in the words of its service."""
    match kind:
        case "ga4":
            return event["name"], event["params"].get("count", 0)
        case "piwik-pro":
            said = dict(parse_qsl(urlsplit(event["url"]).query))
            return event["e_c"], int(said.get("count", 0))
        case _:
            return event.get("event", event.get("type", "")), event.get("properties", {}).get(
                "count", 0
            )


# --- what every service gets ---


@pytest.mark.parametrize("kind", SERVICES)
async def test_every_event_arrives_and_none_breaks_a_limit(kind: str) -> None:
    async with connected(kind) as (receiver, make):
        assert await send(make(), batch()) == Delivered()

    counted: Counter[str] = Counter()
    for name, count in (count_of(kind, event) for event in receiver.accepted):
        counted[name.lower().replace(" ", "_")] += count
    assert receiver.dropped == []
    assert counted["notification_failed"] == sum(range(1, 61))
    assert counted["collection_report"] == 0
    assert "collection_report" in counted


@pytest.mark.parametrize("kind", SERVICES)
async def test_the_request_is_the_documented_one_field_by_field(kind: str) -> None:
    async with connected(kind) as (receiver, make):
        await send(make(), batch())
        await send(make(), batch(REPORT_OF_NOON, seq=8))

    contract = load(kind)
    assert [fault for request in receiver.requests for fault in check(contract, request)] == []
    assert len(receiver.requests) >= 2


@pytest.mark.parametrize("kind", SERVICES)
async def test_what_is_shown_is_what_leaves(kind: str) -> None:
    """But for the key, and what changes with each attempt."""
    one = batch()
    async with connected(kind) as (receiver, make):
        await send(make(), one)
    shown = shown_by(Destination(kind, "https://example.com", site=SITES.get(kind, "")))(one)
    pieces = shown.split(b"\n")

    assert b"write-key" not in shown
    assert len(pieces) == len(receiver.requests)
    for piece, request in zip(pieces, receiver.requests, strict=True):
        sent = request.text.replace(b"&token_auth=write-key", b"")
        assert piece in sent


@pytest.mark.parametrize("kind", SERVICES)
def test_a_batch_is_always_translated_alike(kind: str) -> None:
    show = shown_by(Destination(kind, "https://example.com", site=SITES.get(kind, "")))

    assert show(batch()) == show(evolve(batch(), attempted=True, place="elsewhere"))


@pytest.mark.parametrize("kind", SERVICES)
async def test_what_removes_doubles_later_rides_along(kind: str) -> None:
    async with connected(kind) as (receiver, make):
        await send(make(), batch(REPORT_OF_NOON))

    said = json.dumps([dict(one) for one in receiver.accepted])
    ids = {one.message_id for one in calls_of(batch(REPORT_OF_NOON))}
    assert all(one in said for one in ids)
    assert said.count("3e0c8a7d-94a1-4bb0-9c55-0e3f4f3d2a10") >= 3
    assert "application_crashed_total" in said


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (Answer(400), Rejected(400)),
        (Answer(401), Rejected(401)),
        (Answer(413), Rejected(413)),
        (Answer(429, retry_after=9), Retry("rate_limited", 9, is_untaken=True)),
        (Answer(500), Retry("server_error")),
        (Answer(302), Retry("redirected", is_untaken=True)),
        (Reset(), Retry("connection")),
        (LoseResponse(), Retry("connection")),
    ],
    ids=str,
)
@pytest.mark.parametrize("kind", SERVICES)
async def test_an_answer_means_the_same_everywhere(
    kind: str, answer: Answer | Reset | LoseResponse, outcome: Outcome
) -> None:
    async with connected(kind) as (receiver, make):
        receiver.faults.add(answer)
        assert await send(make(), batch(REPORT_OF_NOON)) == outcome


@pytest.mark.parametrize("kind", SERVICES)
async def test_nobody_at_the_other_end_has_nothing_of_it(kind: str, unused_tcp_port: int) -> None:
    destination = Destination(kind, f"http://127.0.0.1:{unused_tcp_port}", SITES.get(kind, ""))
    async with open_session("0.1.0") as session:
        sending = make_sender(destination, session, key="write-key", agent_version="0.1.0")
        assert await send(sending, batch()) == Retry("connection", is_untaken=True)


# --- several requests for one batch ---


async def test_what_was_taken_is_not_sent_again_by_the_same_run() -> None:
    async with connected("ga4") as (receiver, make):
        sending, one = make(), batch()
        receiver.faults.add(Answer(503), nth=3)
        assert await send(sending, one) == Retry("server_error")
        taken = len(receiver.accepted)
        assert await send(sending, one) == Delivered()

    ids = Counter(
        (one["params"]["message_id"], one["params"].get("part")) for one in receiver.accepted
    )
    assert 0 < taken < len(receiver.accepted)
    assert set(ids.values()) == {1}


async def test_a_switch_that_cannot_be_read_stops_it_between_two_requests() -> None:
    async with connected("ga4") as (receiver, make):
        sending, one = make(), batch()
        assert await send(sending, one, may_go_on=lambda: False) == Retry("interrupted")
        assert len(receiver.requests) == 1
        assert await send(sending, one) == Delivered()

    assert receiver.dropped == []


async def test_one_request_that_is_refused_does_not_keep_the_others_back() -> None:
    async with connected("ga4") as (receiver, make):
        receiver.faults.add(Answer(400), nth=2)
        assert await send(make(), batch()) == Rejected(400)

    assert len(receiver.requests) > 2
    assert any(one["name"] == "collection_report" for one in receiver.accepted)


# --- at least once, at most once ---


@pytest.mark.parametrize("kind", ["ga4", "piwik-pro"])
async def test_at_least_once_repeats_what_may_have_been_lost(kind: str) -> None:
    async with connected(kind) as (receiver, make):
        receiver.faults.add(LoseResponse())
        sending, one = make(), batch(REPORT_OF_NOON)
        assert await send(sending, one) == Retry("connection")
        assert await send(sending, one) == Delivered()

    said = Counter(json.dumps(one, sort_keys=True) for one in receiver.accepted)
    assert max(said.values()) == 2


@pytest.mark.parametrize("kind", ["ga4", "piwik-pro"])
@pytest.mark.parametrize("fault", [LoseResponse(), Reset(), Answer(502)], ids=str)
async def test_at_most_once_repeats_nothing_of_which_it_is_not_known(
    kind: str, fault: LoseResponse | Reset | Answer
) -> None:
    async with connected(kind, delivery=AT_MOST_ONCE) as (receiver, make):
        receiver.faults.add(fault)
        sending, one = make(), batch()
        outcomes = [await send(sending, one)]
        while isinstance(outcomes[-1], Retry):
            outcomes.append(await send(sending, one))

    assert outcomes[-1] == GivenUp()
    said = Counter(json.dumps(one, sort_keys=True) for one in receiver.accepted)
    assert set(said.values()) == {1}
    assert len(receiver.requests) >= len(outcomes) - 1


@pytest.mark.parametrize("fault", [Answer(429, retry_after=1), Answer(307)], ids=str)
async def test_at_most_once_repeats_what_was_certainly_not_taken(fault: Answer) -> None:
    async with connected("ga4", delivery=AT_MOST_ONCE) as (receiver, make):
        receiver.faults.add(fault)
        sending, one = make(), batch()
        assert isinstance(await send(sending, one), Retry)
        assert await send(sending, one) == Delivered()

    assert receiver.dropped == []


async def test_at_most_once_does_not_take_up_what_another_run_attempted() -> None:
    attempted = evolve(batch(), attempted=True, place="there")
    async with open_session("0.1.0") as session:
        once = Destination("stdout", "", delivery=AT_MOST_ONCE)
        sending = make_sender(once, session, key="", agent_version="0.1.0")
        assert await send(sending, attempted) == GivenUp()
    async with connected("ga4", delivery=AT_MOST_ONCE) as (receiver, make):
        assert await send(make(), attempted) == GivenUp()
        assert receiver.requests == []
    async with connected("ga4") as (receiver, make):
        assert await send(make(), attempted) == Delivered()


# --- PostHog ---


async def test_posthog_takes_a_repeat_for_one_event_and_makes_nobody_of_it() -> None:
    async with connected("posthog") as (receiver, make):
        assert isinstance(receiver, sim_posthog.PostHog)
        receiver.faults.add(LoseResponse())
        sending, one = make(), batch()
        await send(sending, one, at=AT)
        await send(sending, one, at=AT + 7200)

    events = len(list(calls_of(one)))
    assert (len(receiver.accepted), len(receiver.duplicates)) == (events, events)
    assert (receiver.ips, receiver.located, receiver.profiles) == ([], [], [])


async def test_posthogs_quota_is_no_success_although_it_says_200() -> None:
    async with connected("posthog") as (receiver, make):
        assert isinstance(receiver, sim_posthog.PostHog)
        receiver.is_over_quota = True
        sending = make()
        assert await send(sending, batch()) == Retry("quota", QUOTA_SECONDS, is_untaken=True)
        receiver.is_over_quota = False
        assert await send(sending, batch()) == Delivered()

    assert receiver.accepted


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>sign in</html>", b"[]", b'{"status":0}', b'{"status":"Error"}', b"x" * 200_000],
    ids=lambda body: body[:20].decode() or "empty",
)
async def test_what_is_not_posthogs_yes_is_none(body: bytes) -> None:
    async with connected("posthog") as (receiver, make):
        receiver.faults.add(Answer(200, body=body))
        assert await send(make(), batch()) == Retry("unexpected_answer")


@pytest.mark.parametrize(
    "body", [b'{"status":1}', b'{"status":"Ok","quota_limited":["recordings"]}']
)
async def test_both_of_posthogs_servers_are_understood(body: bytes) -> None:
    async with connected("posthog") as (receiver, make):
        receiver.faults.add(Answer(200, body=body))
        assert await send(make(), batch()) == Delivered()


@contextlib.asynccontextmanager
async def chopping(body: bytes) -> AsyncIterator[str]:
    """Run a server that gives its answer a few bytes at a time."""

    async def answer(request: web.Request) -> web.StreamResponse:
        await request.read()
        response = web.StreamResponse()
        await response.prepare(request)
        for at in range(0, len(body), 4):
            await response.write(body[at : at + 4])
            await asyncio.sleep(0.002)
        return response

    app = web.Application()
    app.router.add_post("/{path:.*}", answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@pytest.mark.parametrize(
    ("kind", "body", "outcome"),
    [
        ("posthog", b'{"status":1}', Delivered()),
        ("piwik-pro", b'{"status":"success","tracked":5,"invalid":0}', Delivered()),
        ("piwik-pro", b"GIF89a-and-so-on", Delivered()),
        ("piwik-pro", b'{"error":"invalid token"}', Rejected(200)),
        ("piwik-pro", b'{"status":"error"}', Rejected(200)),
        ("piwik-pro", b'{"status":"success","tracked":1}', Rejected(200)),
        ("piwik-pro", b"false", Rejected(200)),
        ("piwik-pro", b"<html>", Retry("unexpected_answer")),
        ("posthog", b'{"status":1,"quota_limited":true}', Retry("unexpected_answer")),
        ("posthog", b'{"status":1,"quota_limited":null}', Delivered()),
        ("posthog", b'{"status":{}}', Retry("unexpected_answer")),
    ],
    ids=lambda one: one.decode() if isinstance(one, bytes) else "",
)
async def test_an_answer_in_pieces_is_read_to_its_end(
    kind: str, body: bytes, outcome: Outcome
) -> None:
    assert len(list(calls_of(batch(REPORT_OF_NOON)))) == 5
    async with chopping(body) as url, open_session("0.1.0") as session:
        destination = Destination(kind, url, SITES.get(kind, ""))
        sending = make_sender(destination, session, key="write-key", agent_version="0.1.0")
        assert await send(sending, batch(REPORT_OF_NOON)) == outcome


@pytest.mark.parametrize("kind", SERVICES)
@pytest.mark.parametrize("status", [400, 401, 429])
async def test_a_refusal_whose_body_is_broken_off_is_one(kind: str, status: int) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(f"HTTP/1.1 {status} No\r\nContent-Length: 100\r\n\r\nsorry".encode())
        writer.close()

    refused = Retry("rate_limited", is_untaken=True) if status == 429 else Rejected(status)
    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        destination = Destination(kind, f"http://127.0.0.1:{port}", SITES.get(kind, ""))
        async with open_session("0.1.0") as session:
            sending = make_sender(destination, session, key="write-key", agent_version="0.1.0")
            assert await send(sending, batch(Report(NOON, NOON + 3600, (), ()))) == refused


# --- Google Analytics ---


async def test_google_analytics_own_validation_finds_nothing() -> None:
    async with connected("ga4") as (receiver, make):
        await send(make(), batch())
        found = [
            json.loads((await ask(f"{receiver.url}/debug/mp/collect", one.raw, headers=JSON))[1])
            for one in list(receiver.requests)
        ]

    assert found == [{"validationMessages": []}] * len(found)


JSON = {"Content-Type": "application/json"}


async def test_google_analytics_gets_no_time_that_it_would_not_take() -> None:
    """A late event stands at its arrival; its interval is said all the same."""
    late = AT + MAX_AGE_SECONDS + 3600
    async with connected("ga4") as (receiver, make):
        receiver.now = lambda: float(late)
        assert isinstance(receiver, sim_ga4.GA4)
        assert await send(make(), batch(), at=late) == Delivered()

    assert receiver.restamped == []
    assert receiver.dropped == []
    assert {one["params"].get("window_start") for one in receiver.accepted} - {None} == {
        "2026-11-23T12:00:00Z"
    }


async def test_a_report_with_many_fields_is_told_in_parts() -> None:
    async with connected("ga4") as (receiver, make):
        await send(make(), batch())
    parts = [one["params"] for one in receiver.accepted if one["name"] == "collection_report"]
    said = {name: value for one in parts for name, value in one.items()}

    assert [one["part"] for one in parts] == list(range(1, len(parts) + 1))
    assert {one["parts"] for one in parts} == {len(parts)}
    assert {f"platform_{number}_enabled" for number in range(70)} <= said.keys()
    assert said["platform_69_enabled"] == "true"


names = st.text(string.ascii_letters + string.digits + "_", min_size=1, max_size=63).map(
    "a".__add__
)
values = st.one_of(st.text(max_size=512), st.integers(-(2**53), 2**53), st.booleans())


@settings(deadline=None, max_examples=60)
@given(
    name=st.one_of(
        st.sampled_from(["Error", "Session start", "Ga thing", "Google thing"]),
        st.text(string.ascii_letters, min_size=1, max_size=63),
    ),
    said=st.dictionaries(
        st.one_of(names, st.sampled_from(["message_id", "part", "session_id", "ga_x", "google_y"])),
        values,
        max_size=80,
    ),
)
def test_whatever_a_rule_declares_fits_into_google_analytics(
    name: str, said: dict[str, str | int | bool]
) -> None:
    event = {
        "type": "track",
        "event": name,
        "anonymousId": IDENTITY.installation_id,
        "messageId": "m",
        "timestamp": "2026-11-23T12:00:00Z",
        "properties": {**said, "stream": "s", "seq": 1},
    }
    made, dropped = seal([event], seq=1, sealed_seconds=NOON)
    if dropped:
        return
    pieces = GoogleAnalytics(MEASUREMENT).pieces(made[0])
    told = {
        param for piece in pieces for one in json.loads(piece)["events"] for param in one["params"]
    }

    assert [sim_ga4.faults_of(piece, now=AT) for piece in pieces] == [[]] * len(pieces)
    # None of two that are not equal has become the other.
    assert len(told - {"part", "parts"}) == len({*said, "stream", "seq"}) + 4


# --- Piwik PRO ---


async def test_piwik_pro_gets_a_visitor_from_nowhere() -> None:
    async with connected("piwik-pro") as (receiver, make):
        assert isinstance(receiver, sim_piwik.PiwikPro)
        await send(make(), batch())

    assert receiver.ips == []
    assert {one["_id"] for one in receiver.accepted} == {receiver.accepted[0]["_id"]}
    said = parse_qs(urlsplit(receiver.accepted[-1]["url"]).query)
    assert said["seq"] == ["7"]
    assert all(len(one["url"]) < 2_000 for one in receiver.accepted)


async def test_piwik_pro_takes_what_waited_for_days() -> None:
    late = AT + 5 * 86_400
    async with connected("piwik-pro") as (receiver, make):
        receiver.now = lambda: float(late)
        assert await send(make(), batch(), at=late) == Delivered()

    assert receiver.dropped == []


async def test_hits_that_a_bulk_answer_calls_invalid_are_said() -> None:
    async with connected("piwik-pro") as (receiver, make):
        assert isinstance(receiver, sim_piwik.PiwikPro)
        receiver.counts_bulk = True
        assert await send(make(), batch(REPORT_OF_NOON)) == Delivered()
        receiver.idsite = "00000000-0000-0000-0000-000000000000"
        assert await send(make(), batch(REPORT_OF_NOON)) == Rejected(200)


# --- the plan ---


def names_in(kind: str, piece: bytes) -> set[str]:
    """Return every name in what a destination is given, that of an object within another too."""
    found = json.loads(piece)
    if kind == "piwik-pro":
        hits = [dict(parse_qsl(hit.removeprefix("?"))) for hit in found]
        said = [dict(parse_qsl(urlsplit(hit["url"]).query)) for hit in hits]
        return {name for one in (*hits, *said) for name in one}
    return set(_names(found, ""))


def _names(found: object, above: str) -> Iterator[str]:
    if isinstance(found, list):
        for one in found:
            yield from _names(one, above)
    elif isinstance(found, dict):
        for name, value in found.items():
            if isinstance(value, dict | list):
                # What the service calls the place of properties is no property.
                is_place = name in {"properties", "params", "traits", "events"}
                yield from _names(value, "" if is_place else f"{name}.")
            else:
                yield f"{above}{name}"


@pytest.mark.parametrize("kind", [*KINDS])
def test_the_plan_names_whatever_a_destination_is_given(kind: str, ruleset: RuleSet) -> None:
    found = {one.name for one in around(disclosures(ruleset), kind)}
    show = shown_by(Destination(kind, "https://example.com", site=SITES.get(kind, "")))
    shown = {name for piece in show(batch()).splitlines() for name in names_in(kind, piece)}
    # Made up here, to have many.
    shown = {name for name in shown if not name.startswith("platform_")}
    own = {one.name for one in around((), kind)}

    assert shown - found == set()
    assert own <= shown


# --- the facts about each ---


def test_the_plain_events_say_what_identify_and_group_say() -> None:
    first, second, *_ = calls_of(batch())

    assert (first.name, second.name) == (INSTALLATION, CLUSTER)
    assert second.properties["cluster_id"] == IDENTITY.cluster_id
    assert first.properties["distribution"] == "kind"


@pytest.mark.parametrize(
    ("destination", "name", "promise"),
    [
        (Destination(), "https://api.segment.io", Promise.EXACTLY_ONCE),
        (
            Destination("posthog", "https://eu.i.posthog.com"),
            "posthog https://eu.i.posthog.com",
            Promise.EXACTLY_ONCE,
        ),
        (
            Destination("ga4", "https://www.google-analytics.com", MEASUREMENT),
            f"ga4 https://www.google-analytics.com {MEASUREMENT}",
            Promise.AT_LEAST_ONCE,
        ),
        (
            Destination("piwik-pro", "https://a.piwik.pro/secret", SITE, delivery=AT_MOST_ONCE),
            f"piwik-pro https://a.piwik.pro {SITE}",
            Promise.AT_MOST_ONCE,
        ),
        (Destination("file", "", path="/secret/file"), "file", Promise.EXACTLY_ONCE),
        (Destination("stdout", ""), "stdout", Promise.AT_LEAST_ONCE),
    ],
    ids=lambda one: one.kind if isinstance(one, Destination) else "",
)
def test_what_people_are_told_of_a_destination(
    destination: Destination, name: str, promise: Promise
) -> None:
    assert (destination.name, destination.promise) == (name, promise)
    assert "secret" not in repr(destination).replace("a.piwik.pro/secret", "")


async def test_what_a_rule_calls_as_we_do_takes_the_place_of_nothing() -> None:
    names = ("message_id", "part", "parts", "session_id", "x_session_id", "ga_x", "x_ga_x")
    one = of_one({**{name: f"of {name}" for name in names}, "count": 2 * 10**12})
    (piece,) = GoogleAnalytics(MEASUREMENT).pieces(one)
    (told,) = [found["params"] for found in json.loads(piece)["events"]]
    (hits,) = PiwikPro(SITE).pieces(one)
    hit = dict(parse_qsl(json.loads(hits)[0].removeprefix("?")))
    said = dict(parse_qsl(urlsplit(hit["url"]).query))

    for found in (told, said):
        assert found["message_id"] == "the-id"
        assert {f"of {name}" for name in names} <= set(map(str, found.values()))
    assert "e_v" not in hit
    assert said["count"] == str(2 * 10**12)


async def test_a_word_of_any_length_fits_into_an_address() -> None:
    one = of_one({**{f"word_{number}": "😀" * 512 for number in range(9)}, "count": 1})
    (hits,) = PiwikPro(SITE).pieces(one)
    for text in json.loads(hits):
        hit = dict(parse_qsl(text.removeprefix("?")))
        assert len(hit["url"]) < 3_000
        assert len(hit["e_a"]) <= 100


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Destination("file", "", path="/a/b"), Destination("file", "", path="/a/./b")),
        (Destination(endpoint="https://API.example"), Destination(endpoint="https://api.example")),
    ],
    ids=["path", "server"],
)
def test_another_spelling_is_no_other_place(one: Destination, other: Destination) -> None:
    assert one.is_place_of(other.place)
    assert not one.is_place_of(Destination("file", "", path="/a/c").place)


def test_another_place_is_another_destination_and_another_key_is_not() -> None:
    one = Destination("ga4", "https://example.com", MEASUREMENT)

    assert one.is_place_of(one.place)
    assert not evolve(one, site="G-OTHER1").is_place_of(one.place)
    assert not evolve(one, endpoint="https://example.org").is_place_of(one.place)
    assert not evolve(one, kind="posthog").is_place_of(one.place)
    assert evolve(one, delivery=AT_MOST_ONCE).is_place_of(one.place)
    assert Destination().is_place_of("segment")
    assert not one.is_place_of("segment")
