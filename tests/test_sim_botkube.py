"""The writers of BotKube's logs: repeatable, in shape, and true to what they claim."""

import json
import random
from collections.abc import Callable

import pytest

from tests.sim import botkube as bk
from tests.sim.botkube import Generation
from tests.sim.botkube_v0_12 import BotKubeV012
from tests.sim.botkube_v0_18 import BotKubeV018
from tests.sim.botkube_v1_14 import BotKubeV114
from tests.sim.gotime import SECOND
from tests.sim.logrus import as_json, coloured, klog, logfmt

T0 = 1_795_469_485 * SECOND  # 2026-11-23T21:31:25Z
GENERATIONS: list[Callable[[random.Random], Generation]] = [BotKubeV012, BotKubeV018, BotKubeV114]

every_generation = pytest.mark.parametrize(
    "make", GENERATIONS, ids=[maker.__name__ for maker in GENERATIONS]
)


def test_coloured_text_is_byte_for_byte_logrus() -> None:
    assert coloured(T0, "info", "Starting controller") == (
        b"\x1b[36mINFO\x1b[0m[2026-11-23T21:31:25Z] Starting controller                          \n"
    )
    assert coloured(T0, "info", "Botkube connected to Slack!", {"bot": "SocketSlack"}) == (
        b"\x1b[36mINFO\x1b[0m[2026-11-23T21:31:25Z] Botkube connected to Slack!                   "
        b"\x1b[36mbot\x1b[0m=SocketSlack\n"
    )


def test_logfmt_quotes_as_go_does() -> None:
    line = logfmt(T0, "error", 'a\n\t* "b"', {"z": "plain-1", "bot": "MS Teams", "ok": True})

    assert line == (
        b'time="2026-11-23T21:31:25Z" level=error msg="a\\n\\t* \\"b\\"" '
        b'bot="MS Teams" ok=true z=plain-1\n'
    )


def test_json_is_sorted_and_escapes_html() -> None:
    assert as_json(T0, "debug", "<a> & b", {"bot": "M"}) == (
        b'{"bot":"M","level":"debug","msg":"\\u003ca\\u003e \\u0026 b",'
        b'"time":"2026-11-23T21:31:25Z"}\n'
    )


def test_klog_has_its_own_time() -> None:
    assert klog(T0 + 818_927_000, "W", "rest.go:17", "x") == (
        b"W1123 21:31:25.818927       1 rest.go:17] x\n"
    )


@every_generation
def test_the_same_seed_writes_the_same(make: Callable[[random.Random], Generation]) -> None:
    def run(seed: int) -> list[bk.Action]:
        rng = random.Random(seed)
        return list(bk.generate(make(rng), rng, range(T0, T0 + 200)))

    assert run(1) == run(1)
    assert run(1) != run(2)


@every_generation
def test_a_run_has_something_of_every_kind(make: Callable[[random.Random], Generation]) -> None:
    rng = random.Random(7)
    actions = list(bk.generate(make(rng), rng, range(T0, T0 + 500)))
    events = {event for event, _ in bk.replay(actions)}

    assert actions[0].kind == "start"
    assert all(action.text.endswith(b"\n") for action in actions)
    assert events == {
        "Command executed",
        "Command refused",
        "Event handled",
        "Notification failed",
        "Integration enabled",
    }


@every_generation
def test_an_event_counts_once_for_each_platform(
    make: Callable[[random.Random], Generation],
) -> None:
    action = make(random.Random(1)).event(T0, frozenset({"webhook"}))

    assert dict(action.truth) == {
        bk.handled("mattermost"): 1,
        bk.failed("webhook", "event"): 1,
        bk.handled("elasticsearch"): 1,
    }


@every_generation
def test_noise_counts_for_nothing(make: Callable[[random.Random], Generation]) -> None:
    writer = make(random.Random(3))

    assert not bk.replay(writer.noise(at) for at in range(T0, T0 + 100))


@every_generation
def test_a_panic_ends_the_container(make: Callable[[random.Random], Generation]) -> None:
    action = make(random.Random(1)).panic(T0)

    assert action.exit_code in {1, 2}
    assert [event for event, _ in action.truth] == ["Application crashed"]
    assert b"goroutine" in action.text


def messages(action: bk.Action) -> list[str]:
    return [json.loads(line)["msg"] for line in action.text.splitlines()]


def test_v0_12_prints_the_request_after_the_failure() -> None:
    text = BotKubeV012(random.Random(1)).command(T0, "failed").text

    assert text.index(b"Error in executing kubectl command") < text.index(b"incoming Request: get")
    assert text.count(b"\x1b[0m[") == 4


def test_v0_12_claims_success_after_a_refused_webhook() -> None:
    text = BotKubeV012(random.Random(1)).event(T0, frozenset({"webhook"})).text
    order = [
        text.index(words)
        for words in (b"Error Posting Webhook: 404", b"Event Not Sent", b"sent to Webhook")
    ]

    assert order == sorted(order)


def test_v0_18_prints_the_request_first() -> None:
    text = BotKubeV018(random.Random(1)).command(T0).text
    steps = (b"incoming Request", b"Expanding aliases", b"Handling command", b"Mattermost Response")

    assert [text.count(step) for step in steps] == [1, 1, 1, 1]
    assert [text.index(step) for step in steps] == sorted(text.index(step) for step in steps)
    assert all(line.startswith(b'time="') for line in text.splitlines())


def test_v1_14_claims_success_after_a_refused_post() -> None:
    found = messages(BotKubeV114(random.Random(1)).event(T0, frozenset({"mattermost"})))
    posts = [m for m in found if "channel" in m or "Failed" in m]

    assert [post.split(" ")[0] for post in posts] == ["Sending", "Failed", "Message"]
    assert "Type:nonInteractiveEventSingleSection" in posts[0]


def test_v1_14_replies_have_an_empty_type() -> None:
    found = messages(BotKubeV114(random.Random(1)).command(T0))

    assert ["Message:{Type: " in m for m in found if m.startswith("Sending message")] == [True]
