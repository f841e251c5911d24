"""That a request is held to its contract in each way, and that contracts and collectors agree."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import attrs
import pytest

from tests.asking import ask
from tests.contracts import SERVICES, check, load
from tests.sim.collector import Collector
from tests.sim.ga4 import GA4
from tests.sim.piwik_pro import PiwikPro
from tests.sim.posthog import PostHog
from tests.sim.receiving import Receiver

NOW = 1_795_435_200  # 2026-11-23T12:00:00Z
UUID = "a91dccc1-0ded-5bae-85d3-d7ffd3d8fa6b"
GOLDEN = Path(__file__).parent / "golden"
JSON = {"content-type": "application/json"}

Body = dict[str, Any]


@attrs.frozen
class Sent:
    path: str
    text: bytes
    query: Mapping[str, str] = attrs.field(factory=dict)
    headers: dict[str, str] = attrs.field(factory=lambda: JSON)
    method: str = "POST"


POSTHOG: Body = {
    "api_key": "phc_key",
    "batch": [
        {
            "event": "Event handled",
            "distinct_id": "8f14e45f",
            "uuid": UUID,
            "timestamp": "2026-11-23T11:00:00Z",
            "properties": {
                "$ip": "0.0.0.0",
                "$geoip_disable": True,
                "$process_person_profile": False,
                "count": 3,
            },
        }
    ],
}
GA4_BODY: Body = {
    "client_id": "123456.7654321",
    "timestamp_micros": (NOW - 3600) * 1_000_000,
    "consent": {"ad_user_data": "DENIED", "ad_personalization": "DENIED"},
    "user_properties": {"distribution": {"value": "eks"}},
    "events": [{"name": "event_handled", "params": {"platform": "slack", "count": 3}}],
}
HIT = {
    "idsite": "892d04bd-6e2b-4914-bfb4-bac721b37235",
    "rec": "1",
    "url": "https://botkube.invalid/",
    "_id": "257cc22df0ec483a",
    "uia": "1",
    "bots": "1",
    "e_c": "botkube",
    "e_a": "Event handled",
    "e_v": "3",
    "cdt": str(NOW - 3600),
    "dimension1": "slack",
}
KEYS = {"measurement_id": "G-ABC123", "api_secret": "api-secret"}


def segment(**body: object) -> Sent:
    made = json.loads((GOLDEN / "batch-envelope.json").read_bytes())
    headers = {"Authorization": "Basic d3JpdGUta2V5Og==", "Content-Encoding": "gzip"}
    return Sent("/v1/batch", json.dumps(made | body).encode(), headers=JSON | headers)


def golden(*names: str) -> list[Body]:
    return [event for name in names for event in json.loads((GOLDEN / name).read_bytes())]


def posthog(**event: object) -> Sent:
    batch = [POSTHOG["batch"][0] | event]
    return Sent("/batch/", json.dumps(POSTHOG | {"batch": batch}).encode())


def ga4(query: Mapping[str, str] = KEYS, **body: object) -> Sent:
    return Sent("/mp/collect", json.dumps(GA4_BODY | body).encode(), query)


def piwik(more: str = "", **hit: str) -> Sent:
    requests = [f"?{urlencode(HIT | hit)}{more}"]
    return Sent("/ppms.php", json.dumps({"requests": requests}).encode())


def params(**params: object) -> Sent:
    return ga4(events=[{"name": "event_handled", "params": params}])


def without(body: Body, name: str) -> bytes:
    return json.dumps({key: value for key, value in body.items() if key != name}).encode()


@pytest.mark.parametrize("service", SERVICES)
def test_every_entry_has_a_source_and_every_choice_a_reason(service: str) -> None:
    contract = load(service)
    for field in contract.request:
        assert field.source in contract.sources
        assert field.says
        assert field.why or not field.is_our_choice
    for answer in contract.answers:
        assert answer.source in contract.sources


def test_what_is_documented_has_no_fault() -> None:
    for service, sent in {
        "segment": segment(batch=golden("batch-window.json", "batch-identity.json")),
        "posthog": posthog(),
        "ga4": ga4(),
        "piwik-pro": piwik(),
    }.items():
        assert check(load(service), sent) == []


FAULTS = [
    ("ga4", attrs.evolve(ga4(), method="GET"), 'method: is none of ["POST"]'),
    ("segment", attrs.evolve(segment(), path="/v1/track"), 'path: is none of ["/v1/batch"]'),
    (
        "segment",
        attrs.evolve(segment(), headers=segment().headers | {"X-Strict-Mode": "1"}),
        "header: x-strict-mode: is not documented",
    ),
    ("posthog", attrs.evolve(posthog(), headers={}), "header: content-type: is missing"),
    ("ga4", ga4(KEYS | {"debug": "1"}), "query: debug: is not documented"),
    ("ga4", ga4({"api_secret": "s"}), "query: measurement_id: is missing"),
    ("ga4", attrs.evolve(ga4(), text=b"[]"), "body: is no JSON object"),
    ("ga4", attrs.evolve(ga4(), text=b"{"), "body: is no JSON object"),
    (
        "ga4",
        attrs.evolve(ga4(), text=ga4().text[:-1] + b', "client_id": "1.2"}'),
        "body: client_id stands twice in an object",
    ),
    (
        "ga4",
        attrs.evolve(ga4(), text=ga4().text.ljust(130_000)),
        "body: has more than 129999 bytes",
    ),
    ("ga4", ga4(extra=1), "envelope: extra: is not documented"),
    (
        "ga4",
        attrs.evolve(ga4(), text=without(GA4_BODY, "client_id")),
        "envelope: client_id: is missing",
    ),
    ("ga4", ga4(timestamp_micros="1"), "envelope: timestamp_micros: is not integer"),
    ("ga4", ga4(timestamp_micros=True), "envelope: timestamp_micros: is not integer"),
    ("ga4", ga4(timestamp_micros=1), "envelope: timestamp_micros: is less than 1000000000000000"),
    ("ga4", ga4(user_id="u"), "envelope: user_id: is never to be sent"),
    ("ga4", ga4(events=GA4_BODY["events"] * 26), "envelope: events: has more than 25 members"),
    ("ga4", ga4(events=["e"]), "event 0: is no object"),
    (
        "ga4",
        ga4(consent={"ad_user_data": "GRANTED", "ad_personalization": "DENIED"}),
        'envelope: consent.ad_user_data: is not "DENIED"',
    ),
    ("ga4", ga4(events=[{"name": "error"}]), "event 0: name: is reserved"),
    ("ga4", params(google_p=1), "event 0: params.google_p: the name: is reserved"),
    (
        "ga4",
        params(**{"p-q": 1}),
        "event 0: params.p-q: the name: does not match [A-Za-z][A-Za-z0-9_]*",
    ),
    ("ga4", params(p="x" * 101), "event 0: params.p: has more than 100 characters"),
    ("ga4", params(p=True), "event 0: params.p: is not string or number"),
    (
        "ga4",
        ga4(user_properties={"p": {}}),
        "envelope: user_properties.*.value: is missing",
    ),
    ("posthog", posthog(extra=1), "event 0: extra: is not documented"),
    (
        "posthog",
        posthog(properties=POSTHOG["batch"][0]["properties"] | {"$geoip_disable": 1}),
        "event 0: properties.$geoip_disable: is not boolean",
    ),
    (
        "posthog",
        posthog(properties=POSTHOG["batch"][0]["properties"] | {"$process_person_profile": True}),
        "event 0: properties.$process_person_profile: is not false",
    ),
    (
        "posthog",
        posthog(properties=POSTHOG["batch"][0]["properties"] | {"pad": "x" * 1_000_000}),
        "event 0: has more than 1000000 bytes",
    ),
    ("piwik-pro", piwik(e_v="many"), "event 0: e_v: is not number"),
    ("piwik-pro", piwik(e_v="100000000001"), "event 0: e_v: is more than 100000000000"),
    (
        "piwik-pro",
        piwik(color="red"),
        "event 0: color: the name: does not match dimension[1-9][0-9]{0,2}",
    ),
    ("piwik-pro", piwik("&rec=1"), "event 0: a name stands twice"),
]


@pytest.mark.parametrize(("service", "sent", "fault"), FAULTS, ids=range(len(FAULTS)))
def test_each_kind_of_fault_is_named(service: str, sent: Sent, fault: str) -> None:
    assert check(load(service), sent) == [fault]


def test_a_field_of_another_kind_of_event_is_a_fault() -> None:
    track = golden("batch-window.json")[0] | {"traits": {}}

    assert check(load("segment"), segment(batch=[track])) == ["event 0: traits: is not documented"]


@pytest.mark.parametrize("service", SERVICES)
def test_each_required_field_is_missed(service: str) -> None:
    contract = load(service)
    required = {field.name for field in contract.at("envelope") if field.required}
    faults = check(contract, Sent(contract.at("path")[0].one_of[0], b"{}"))

    assert {name for name in required if "." not in name} == {
        fault.split(": ")[1] for fault in faults if fault.startswith("envelope")
    }


@pytest.mark.parametrize(
    ("service", "make", "sent"),
    [
        ("segment", Collector, segment()),
        ("posthog", PostHog, posthog()),
        ("ga4", GA4, ga4()),
        ("piwik-pro", PiwikPro, piwik()),
    ],
    ids=SERVICES,
)
async def test_what_is_documented_is_kept_by_the_collector(
    service: str, make: Callable[[], Receiver], sent: Sent
) -> None:
    headers = {name: value for name, value in sent.headers.items() if name != "Content-Encoding"}
    async with make().running() as collector:
        collector.now = lambda: NOW
        await ask(collector.url + sent.path, sent.text, query=sent.query, headers=headers)

    assert collector.accepted
    assert collector.dropped == []
    assert check(load(service), collector.requests[0]) == []
