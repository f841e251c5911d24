"""Off by a switch in the cluster: nothing is read or sent, and nothing of it counts later."""

from __future__ import annotations

import asyncio
import random
import re
import socket
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import attrs
import orjson
import pytest

from agent.beginning import SwitchedOff
from agent.follow import Pace
from agent.ledger.entries import Answer as LedgerAnswer
from agent.ledger.ledger import Ledger
from agent.lookout import SWITCHES_SECONDS, Lookout, was_off
from agent.model import Batch
from agent.modes import Decision, Mode
from agent.options import World
from agent.outbox import CommittedOutbox
from agent.pipeline import _checked
from agent.rules import RuleSet
from agent.service import serve_pipeline
from agent.sink.destination import Destination
from agent.sink.http import HttpSender
from agent.sink.outcome import Delivered, Outcome, Retry
from agent.source.api import ApiError, Client
from agent.source.switches import ANNOTATION, MAX_YAML_CHARS, VARIABLE, read_switches
from agent.standing import stand
from tests.agents import (
    LEASE,
    NAMESPACE,
    WINDOW_SECONDS,
    Agent,
    Lab,
    after,
    lab,
    missing,
    until,
    write,
)
from tests.sim.faults import Answer, Delay, HalfOpen
from tests.sim.store import CONFIGMAPS, NAMESPACES, PODS
from tests.test_gate import closed, count, counting, executed
from tests.test_reload import ask, ask_until

SELECTOR = "app=botkube"
WAS_OFF = was_off("not readable")
LOG = r"/pods/[^/]+/log"


@pytest.fixture
async def world(tmp_path: Path, ruleset: RuleSet) -> AsyncIterator[Lab]:
    async with lab(tmp_path, ruleset) as opened:
        yield opened


def annotate(world: Lab, value: str | None) -> None:
    """Set or remove the annotation."""
    patch = {"metadata": {"annotations": {ANNOTATION: value}}}
    world.cluster.server.store.merge(NAMESPACES, "", NAMESPACE, patch)


def configure(world: Lab, name: str, text: str) -> None:
    """Let BotKube have a configuration."""
    obj = {"metadata": {"name": name}, "data": {"file.yaml": text}}
    world.cluster.server.store.create(CONFIGMAPS, NAMESPACE, obj, at=world.clock.ns())


async def names_off(world: Lab) -> list[str]:
    """Return which switches say off."""
    async with Client(world.options().access, "test") as client:
        return [
            one.name
            for one in await read_switches(client, [NAMESPACE], ["botkube"], [SELECTOR])
            if one.is_off
        ]


@pytest.mark.parametrize(
    ("value", "is_off"),
    [
        ("true", True),
        ("1", True),
        ("ture", True),
        ("", True),
        ("false", False),
        ("No", False),
        (" off ", False),
        ("0", False),
        (None, False),
    ],
)
async def test_an_annotation_says_off(world: Lab, value: str | None, *, is_off: bool) -> None:
    annotate(world, value)

    found = await names_off(world)
    assert found == ([f"annotation {ANNOTATION} of namespace {NAMESPACE}"] if is_off else [])


def merged(bottom: str, levels: int = 30) -> str:
    """Return a switch at the bottom of merges, each of two: 2**30 ways lead there."""
    links = "".join(f"a{n + 1}: &a{n + 1} {{<<: [*a{n}, *a{n}]}}\n" for n in range(levels))
    return f"a0: &a0 {bottom}\n{links}analytics: {{<<: *a{levels}}}\n"


@pytest.mark.parametrize(
    ("name", "text", "is_off"),
    [
        ("botkube-analytics-config", "analytics:\n  disable: true\n  installationID: x\n", True),
        ("botkube-global-config", "settings: {}\nanalytics:\n  # no\n  disable: true\n", True),
        ("botkube-global-config", "analytics: {disable: 'true'}\n", True),
        ("botkube-global-config", "analytics: {disable: 1}\n", True),
        ("botkube-global-config", "a: 1\n---\nanalytics: {disable: true}\n", True),
        ("botkube-global-config", "analytics: {disable: 1.0}\n", True),
        ("botkube-global-config", "analytics: {disable: [true]}\n", True),
        ("botkube-global-config", "analytics: {disable: true}\nanalytics: {}\n", True),
        ("botkube-global-config", "analytics: {disable: true, disable: false}\n", True),
        ("botkube-global-config", "a: &a {disable: true}\nanalytics: {<<: *a}\n", True),
        ("botkube-global-config", "a: &a {disable: true}\nanalytics: {<<: [*a]}\n", True),
        ("botkube-global-config", merged("{disable: true}"), True),
        ("botkube-global-config", merged("{disable: false}"), False),
        ("botkube-global-config", "a: &a {<<: *a}\nanalytics: &b {<<: [*a, *b]}\n", False),
        ("botkube-global-config", "analytics: {disable: ~}\n", False),
        ("botkube-global-config", "analytics:\n\tdisable : true\n", True),
        ("botkube-global-config", "analytics:\n\t'disable': true\n", True),
        ("botkube-global-config", "analytics: !!bool x\n", False),
        ("botkube-global-config", "analytics:\n  disable: false\n", False),
        ("botkube-global-config", "settings:\n  disable: true\n", False),
        ("botkube-global-config", "analytics: [\n", False),
        ("botkube-other-config", "analytics: {disable: true}\n", False),
    ],
)
async def test_botkubes_own_opt_out_says_off(
    world: Lab, name: str, text: str, *, is_off: bool
) -> None:
    configure(world, name, text)

    assert bool(await names_off(world)) is is_off


def with_environment(world: Lab, *values: object, phase: str = "Running") -> None:
    """Let a pod of BotKube have the variable in its containers, beside others."""
    pod = world.cluster.botkube(NAMESPACE, at=world.clock.ns())
    more = {"name": "A", "value": "true"}
    containers = [
        {
            "name": f"c{number}",
            "image": "x",
            "env": [more, {"name": VARIABLE, "value": value}, {"name": VARIABLE, "valueFrom": {}}],
        }
        for number, value in enumerate(values)
    ]
    patch = {"spec": {"containers": containers}, "status": {"phase": phase}}
    world.cluster.server.store.merge(PODS, NAMESPACE, pod.name, patch)


@pytest.mark.parametrize(
    ("values", "value"),
    [
        (["true"], "true"),
        (["1"], "true"),
        (["T"], "true"),
        (["ture"], "true"),
        (["false", "true"], "true"),
        (["true", "false"], "true"),
        (["false"], "false"),
        (["0"], "false"),
        ([""], "not set"),
        ([None], "not set"),
        ([], "not set"),
    ],
    ids=str,
)
async def test_the_environment_of_botkubes_pods_says_off(
    world: Lab, values: list[object], value: str
) -> None:
    with_environment(world, *values)
    async with Client(world.options().access, "test") as client:
        found = await read_switches(client, [NAMESPACE], [], [SELECTOR])
        others = await read_switches(client, [NAMESPACE], [], ["app=other"])

    name = f"{VARIABLE} of pods {SELECTOR} in namespace {NAMESPACE}"
    assert (found[-1].name, found[-1].value, found[-1].is_off) == (name, value, value == "true")
    assert others[-1].value == "no pod"


async def test_a_pod_that_has_ended_says_nothing_any_more(world: Lab) -> None:
    with_environment(world, "true", phase="Failed")
    assert await names_off(world) == []


@pytest.mark.parametrize("status", [403, 500])
async def test_pods_that_may_not_be_listed_hide_a_switch(world: Lab, status: int) -> None:
    where = f"/namespaces/{NAMESPACE}/pods$"
    world.cluster.server.faults.add(Answer(status), path=where, times=None)
    async with Client(world.options().access, "test") as client:
        if status == 500:
            with pytest.raises(ApiError):
                await read_switches(client, [NAMESPACE], [], [SELECTOR])
            return
        found = await read_switches(client, [NAMESPACE], [], [SELECTOR])

    assert (found[-1].value, found[-1].right) == ("not readable", "list pods")


async def test_no_log_is_read_of_a_botkube_that_is_off_by_its_environment(world: Lab) -> None:
    with_environment(world, "true")
    async with world.agent(waits=False) as agent:
        await ended(agent)

    assert not [call for call in world.cluster.server.calls if call.subresource == "log"]


@pytest.mark.parametrize("name", ["one-analytics-config", "one-global-config", "two-global-config"])
async def test_the_opt_out_of_every_deployment_that_is_named_is_obeyed(
    world: Lab, name: str
) -> None:
    """Whoever looks: one that begins, one that works, one that stands by."""
    world.changes |= {"deployments": ("one", "two"), "node": "node-2"}
    async with world.agent() as agent:
        configure(world, name, "analytics: {disable: true}\n")
        await ended(agent)
    before = len(world.cluster.server.calls)
    async with world.agent(waits=False, seed=2) as agent:
        await ended(agent)
    assert {call.resource for call in world.cluster.server.calls[before:]} == {
        "namespaces",
        "configmaps",
        "pods",
    }

    world.changes |= {"slots": 1, "state_path": None}
    async with process(world) as (health, page):
        await ask_until(health, "/readyz", lambda said: b'"off"' in said)
        off = await status_until(page, lambda said: said["mode"] == "off")
    # On a node without BotKube it is looked at ten times as rarely.
    assert off["look_every_seconds"] == 10 * world.options().pace.switches


@pytest.mark.parametrize(
    "body",
    [
        b"null",
        b"[1]",
        b'"x"',
        b'"not readable"',
        b'{"metadata":[1]}',
        b'{"metadata":{"annotations":["x"]}}',
        b'{"metadata":{},"data":[1]}',
    ],
)
async def test_a_switch_of_another_shape_is_no_answer(world: Lab, body: bytes) -> None:
    """Neither off nor on: nothing is sent until there is one."""
    configure(world, "botkube-global-config", "{}")
    world.cluster.server.faults.add(Answer(200, body), path=f"/{NAMESPACE}", times=None)
    with pytest.raises(ApiError):
        await names_off(world)


async def test_a_switch_that_may_not_be_read_is_none_and_is_said(
    world: Lab, caplog: pytest.LogCaptureFixture
) -> None:
    world.cluster.server.access.deny("get", "namespaces")
    async with world.agent():
        pod = world.cluster.botkube(NAMESPACE, at=world.clock.ns())
        truth = write(pod, world, 20)
        await until(lambda: missing(truth, world) == {})

    said = [vars(one) for one in caplog.records if one.msg == "a right is missing"]
    assert {(one["trait"], one["right"]) for one in said} == {
        (f"annotation {ANNOTATION} of namespace {NAMESPACE}", f"get namespaces/{NAMESPACE}"),
        ("cluster id", "get namespaces/kube-system"),
    }


async def test_off_from_the_start_reads_no_log_and_counts_nothing_of_it_later(world: Lab) -> None:
    annotate(world, "true")
    pod = world.cluster.botkube(NAMESPACE, at=world.clock.ns())
    write(pod, world, 20)
    async with world.agent(waits=False) as agent:
        await ended(agent)
    assert not [call for call in world.cluster.server.calls if call.subresource == "log"]

    annotate(world, None)
    async with world.agent(seed=2):
        await after(world, WINDOW_SECONDS)
        truth = write(pod, world, 20, seed=2)
        await until(lambda: missing(truth, world) == {})

    assert missing(truth, world) == {}


async def test_a_slot_that_is_taken_after_an_off_counts_nothing_of_it(
    tmp_path: Path, ruleset: RuleSet
) -> None:
    """Its own State says nothing of the mode: the installation has to, or it began at the head."""
    async with lab(tmp_path, ruleset, slots=2, node="node-1", state_path=None) as world:
        world.cluster.botkube(NAMESPACE, at=world.clock.ns(), node="node-1")
        async with world.agent() as agent:
            await world.finish(agent)
        annotate(world, "true")
        async with world.agent(seed=2, waits=False) as agent:
            await ended(agent)
        pod = world.cluster.botkube(NAMESPACE, name="other", at=world.clock.ns(), node="node-2")
        write(pod, world, 20)
        annotate(world, None)
        async with world.agent(seed=3, node="node-2"):
            await after(world, WINDOW_SECONDS)
            truth = write(pod, world, 20, seed=2)
            await until(lambda: missing(truth, world) == {})


async def test_a_change_to_off_discards_what_is_unsent_and_what_is_written_meanwhile(
    world: Lab,
) -> None:
    pod = world.cluster.botkube(NAMESPACE, at=world.clock.ns())
    truth = write(pod, world, 20)
    async with world.agent() as agent:
        pipeline = agent.pipeline
        assert pipeline is not None
        await until(lambda: missing(truth, world) == {})
        world.collector.faults.add(Answer(503), path="/v1/batch", times=None)
        write(pod, world, 20, seed=2)
        await until(lambda: len(pipeline.counting.document.outbox) > 1)
        write(pod, world, 20, seed=3)
        annotate(world, "true")
        await ended(agent)
        write(pod, world, 20, seed=4)
        world.collector.faults.clear()

    annotate(world, None)
    async with world.agent(seed=2):
        await after(world, WINDOW_SECONDS)
        truth += write(pod, world, 20, seed=5)
        await until(lambda: missing(truth, world) == {})

    assert missing(truth, world) == {}
    assert len({report["stream"] for report in world.reports()}) == 2


async def test_nothing_is_sent_while_the_switch_cannot_be_read(
    world: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What had begun to be sent by then may still arrive, so beginnings are counted."""
    begun: list[int] = []
    send = HttpSender.send

    async def noted(
        self: HttpSender, batch: Batch, *, sent_seconds: float, may_go_on: Callable[[], bool]
    ) -> Outcome:
        begun.append(batch.seq)
        return await send(self, batch, sent_seconds=sent_seconds, may_go_on=may_go_on)

    monkeypatch.setattr(HttpSender, "send", noted)
    world.collector.faults.add(Delay(seconds=0.1), path="/v1/batch", times=None)
    async with world.agent() as agent:
        pipeline = agent.pipeline
        assert pipeline is not None
        await until(lambda: len(world.reports()) > 0)
        where = f"/namespaces/{NAMESPACE}$"
        world.cluster.server.faults.add(Answer(500), path=where, times=None)
        await until(lambda: not pipeline.outbox.may_send.is_set())
        pod = world.cluster.botkube(NAMESPACE, at=world.clock.ns())
        truth = write(pod, world, 20)
        sent = len(begun)
        await until(lambda: len(pipeline.counting.document.outbox) > 1)
        assert len(begun) == sent
        assert pipeline.holds_back

        world.cluster.server.faults.clear()
        await until(lambda: missing(truth, world) == {})

    assert missing(truth, world) == {}


@pytest.mark.parametrize("status", [500, 401])
async def test_a_switch_without_an_answer_at_the_start_means_wait(world: Lab, status: int) -> None:
    where = f"/namespaces/{NAMESPACE}$"
    sick = world.cluster.server.faults.add(Answer(status), path=where, times=None)
    async with world.agent(waits=False) as agent:
        await ended(agent)

    assert sick.seen > 0
    assert not [call for call in world.cluster.server.calls if call.subresource == "log"]


@asynccontextmanager
async def process(world: Lab, *, seed: int = 1) -> AsyncIterator[tuple[int, int]]:
    """Run all of `run`, and give the ports of health and page; it ends as at SIGTERM, with 0."""
    ports = []
    for _ in range(2):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            ports.append(int(taken.getsockname()[1]))
    ids, stop = random.Random(seed), asyncio.Event()
    task = asyncio.create_task(
        serve_pipeline(
            Decision(Mode.ON, "a destination is set"),
            ("127.0.0.1", ports[0]),
            world.ruleset,
            world.options(),
            World(
                world.clock.seconds,
                random.Random(seed),
                lambda: uuid.UUID(int=ids.getrandbits(128), version=4),
                ids.randbytes,
                world.clock.seconds,
            ),
            key="write-key",
            stop=stop,
            ledger=Ledger(),
            switches=(),
            page_port=ports[1],
        )
    )
    try:
        yield ports[0], ports[1]
    finally:
        stop.set()
        code = await task
    assert code == 0


async def test_the_process_stays_alive_while_off_and_goes_on_afterwards(world: Lab) -> None:
    """It asks the API server for the switches alone, says `off`, and counts from its return on."""
    annotate(world, "true")
    pod = world.cluster.botkube(NAMESPACE, at=world.clock.ns())
    write(pod, world, 20)
    async with process(world) as (port, _page):
        await ask_until(port, "/readyz", lambda page: b'"off"' in page)
        await after(world, WINDOW_SECONDS)
        asked = {(call.resource, call.subresource) for call in world.cluster.server.calls}
        annotate(world, None)
        await ask_until(port, "/readyz", lambda page: b'"off"' not in page and b" 200 " in page)
        await after(world, WINDOW_SECONDS)
        truth = write(pod, world, 20, seed=2)
        await until(lambda: missing(truth, world) == {})
        annotate(world, "true")
        await ask_until(port, "/readyz", lambda page: b'"off"' in page)

    assert asked == {("namespaces", ""), ("configmaps", ""), ("pods", "")}
    assert missing(truth, world) == {}


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"lease_name": LEASE, "state_path": None}, id="lease"),
        pytest.param({"slots": 2, "node": "node-1", "state_path": None}, id="node"),
    ],
)
async def test_a_replica_that_stands_by_shows_the_clusters_switches(
    tmp_path: Path, ruleset: RuleSet, changes: dict[str, object]
) -> None:
    """The one that works looks at them once an hour here, so it is not it that sees the off."""
    async with lab(tmp_path, ruleset, **changes) as world:
        world.cluster.lease(NAMESPACE, LEASE)
        world.cluster.botkube(NAMESPACE, at=world.clock.ns(), node="node-1")
        often = world.options().pace
        world.changes["pace"] = attrs.evolve(often, switches=3600.0)
        async with world.agent():
            world.changes |= {"pace": attrs.evolve(often, switches=0.05)}
            world.changes |= {"node": "node-2"} if "node" in changes else {}
            async with process(world, seed=2) as (health, page):
                await ask_until(health, "/readyz", lambda said: b'"standby"' in said)
                shown = await status_until(page, lambda said: len(said["switches"]) == 4)
                annotate(world, "true")
                off = await status_until(page, lambda said: said["mode"] == "off")
                ready = await ask(health, "/readyz")
                annotate(world, None)
                again = await status_until(page, lambda said: said["mode"] == "on")
                where = f"/namespaces/{NAMESPACE}$"
                world.cluster.server.faults.add(Answer(500), path=where, times=None)
                stale = await status_until(page, lambda said: SINCE.search(said["means"]))
                world.cluster.server.faults.clear()
                await status_until(page, lambda said: not SINCE.search(said["means"]))

    assert [one["value"] for one in shown["switches"]] == ["not set"] * 4
    assert shown["means"].startswith("This replica stands by")
    assert off["why"] == f"annotation {ANNOTATION} of namespace {NAMESPACE} is true"
    assert b'"off"' in ready
    assert again["figures"]["leads"] is False
    since = datetime.fromtimestamp(stale["looked_seconds"], UTC)
    assert SINCE.findall(stale["means"]) == [f"{since:%Y-%m-%d %H:%M:%S}"]
    assert stale["switches"] == again["switches"]


async def test_a_replica_that_waits_shows_that_it_cannot_list_pods(
    tmp_path: Path, ruleset: RuleSet
) -> None:
    async with lab(tmp_path, ruleset, slots=2, node="node-1", state_path=None) as world:
        denied = world.cluster.server.access.deny("list", "pods")
        async with process(world) as (health, page):
            await ask_until(health, "/healthz", lambda said: b" 200 " in said)
            blind = "It cannot list the pods of every namespace"
            await status_until(page, lambda said: blind in said["means"])
            world.cluster.server.access.denied.remove(denied)
            await status_until(page, lambda said: blind not in said["means"])


async def test_a_fault_of_ours_in_a_look_is_not_lost(world: Lab) -> None:
    def fail(_found: object) -> None:
        raise ZeroDivisionError

    waiting, clock = after(world, 30), world.clock.seconds
    with pytest.raises(ZeroDivisionError):
        await stand(waiting, world.options(), Lookout(fail), clock=clock, every_seconds=1.0)


SINCE = re.compile(r"switches could not be read since (.*) UTC; what they said then is shown")


async def status_until(port: int, is_true: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    """Ask a page for its numbers until they are as expected."""
    async with asyncio.timeout(20), aiohttp.ClientSession() as session:
        while True:
            async with session.get(f"http://127.0.0.1:{port}/api/status") as answer:
                found: dict[str, Any] = orjson.loads(await answer.read())
            if is_true(found):
                return found
            await asyncio.sleep(0.01)


MANY = tuple(f"team-{at:02}" for at in range(12))


async def test_an_off_is_obeyed_in_time_although_every_answer_is_slow(
    world: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """52 switches of 13 namespaces, each answer an eighth of the time of one look."""
    monkeypatch.setattr("agent.lookout.SWITCHES_SECONDS", 3.2)
    world.changes["namespaces"] = (NAMESPACE, *MANY)
    for name in MANY:
        world.cluster.namespace(name)
    async with world.agent() as agent:
        pod = world.cluster.botkube(NAMESPACE, at=world.clock.ns())
        truth = write(pod, world, 20)
        await until(lambda: missing(truth, world) == {})
        world.cluster.server.faults.add(
            Delay(seconds=0.4),
            when=lambda call: call.resource in {"namespaces", "configmaps"},
            times=None,
        )
        patch = {"metadata": {"annotations": {ANNOTATION: "true"}}}
        asked = asyncio.get_running_loop().time()
        world.cluster.server.store.merge(NAMESPACES, "", MANY[-1], patch)
        await ended(agent)
        took = asyncio.get_running_loop().time() - asked

    # From one look's beginning to the next is a second here, and a look takes 3.2 at most.
    assert took < (1.0 + 3.2) * 1.5


def test_an_off_is_obeyed_within_a_minute() -> None:
    """Set just after it was read, it is found by the next look, by its end at the latest."""
    assert max(Pace().switches, SWITCHES_SECONDS) + SWITCHES_SECONDS < 60


async def test_an_off_is_obeyed_although_another_switch_gives_no_answer(world: Lab) -> None:
    annotate(world, "true")
    faults = world.cluster.server.faults
    faults.add(Answer(500), path="botkube-analytics-config", times=None)
    faults.add(HalfOpen(), path="botkube-global-config", times=None)
    async with Client(world.options().access, "test") as client:
        found = await read_switches(client, [NAMESPACE], ["botkube"], [], limit_seconds=0.5)
        annotate(world, None)
        with pytest.raises(ApiError):
            await read_switches(client, [NAMESPACE], ["botkube"], [], limit_seconds=0.5)

    assert [(one.value, one.is_off) for one in found] == [
        ("true", True),
        ("not readable", False),
        ("not readable", False),
    ]


async def leave_backlog(world: Lab) -> None:
    """Let State hold batches that nobody took, and forget that they were offered."""
    world.collector.faults.add(Answer(503), path="/v1/batch", times=None)
    async with world.agent() as agent:
        pipeline = agent.pipeline
        assert pipeline is not None
        write(world.cluster.botkube(NAMESPACE, at=world.clock.ns()), world, 20)
        await until(lambda: len(pipeline.counting.document.outbox) > 1)
        await world.finish(agent)
    world.collector.faults.clear()
    world.collector.requests.clear()


@pytest.mark.parametrize("change", ["off", "no answer"])
async def test_a_switch_that_changes_while_the_beginning_is_slow_keeps_the_backlog_back(
    world: Lab, change: str
) -> None:
    """The switches were read before; what followed took longer than from one look to the next."""
    await leave_backlog(world)
    world.changes["pace"] = attrs.evolve(world.options().pace, switches=3600.0)
    server = world.cluster.server
    slow = server.faults.add(Delay(seconds=0.5), path="/version", times=None)
    server.faults.add(Delay(seconds=0.2), path=f"/namespaces/{NAMESPACE}$", times=None)
    before = len(server.calls)
    async with world.agent(waits=False, seed=2) as agent:
        await until(lambda: slow.seen > 0)
        if change == "off":
            annotate(world, "true")
        else:
            server.faults.clear()
            where = f"/namespaces/{NAMESPACE}$"
            late = Delay(seconds=0.2, then=Answer(500))
            server.faults.add(late, path=where, times=None)
        await ended(agent)

    assert isinstance(agent.task.exception(), SwitchedOff if change == "off" else ApiError)
    assert world.collector.requests == []
    assert not [call for call in server.calls[before:] if call.subresource == "log"]


async def test_an_off_that_could_not_be_written_is_not_forgotten_when_it_is_taken_back(
    world: Lab,
) -> None:
    """State cannot be written while the switch says off, nor for a while after."""
    world.changes["state_path"] = None
    faults = world.cluster.server.faults
    pod = world.cluster.botkube(NAMESPACE, at=world.clock.ns())
    world.collector.faults.add(Answer(503), path="/v1/batch", times=None)
    async with process(world) as (health, page):
        await ask_until(health, "/readyz", lambda said: b" 200 " in said)
        write(pod, world, 20)
        before = await status_until(page, lambda said: said["figures"]["outbox_batches"] > 1)
        broken = faults.add(Answer(403), verb="update", path="-state$", times=None)
        annotate(world, "true")
        off = await status_until(page, lambda said: "cannot be done yet" in said["means"])
        write(pod, world, 20, seed=2)
        annotate(world, None)
        seen = broken.seen
        owing = await status_until(page, lambda said: said["mode"] == "on")
        await until(lambda: broken.seen > seen)
        world.collector.faults.clear()
        world.collector.requests.clear()
        faults.clear()
        on = await status_until(page, lambda said: said["next"] and said["next"]["is_sent"])
        await after(world, WINDOW_SECONDS)
        truth = write(pod, world, 20, seed=3)
        await until(lambda: missing(truth, world) == {})

    assert off["mode"] == "off"
    assert owing["means"].endswith("What was unsent when a switch said off is discarded first.")
    assert before["stream"] != on["stream"]
    assert {report["stream"] for report in world.reports()} == {on["stream"]}
    # Of what waited the oldest alone was ever given to the destination, and is in the ledger. If it
    # was just being tried again when the switch said off, no answer is known.
    answers = on["ledger"]["answers"]
    assert answers.get("discarded", 0) + answers.get("waiting", 0) == 1
    assert "retry" not in answers


async def test_an_off_that_stands_in_state_costs_nothing_of_who_led_after_it(
    tmp_path: Path, ruleset: RuleSet
) -> None:
    async with lab(tmp_path, ruleset, state_path=None, lease_name=LEASE) as world:
        world.cluster.lease(NAMESPACE, LEASE)
        pod = world.cluster.botkube(NAMESPACE, at=world.clock.ns())
        async with process(world, seed=1) as (health, page):
            await ask_until(health, "/healthz", lambda said: b" 200 " in said)
            await status_until(page, lambda said: said["next"] is not None)
            annotate(world, "true")
            await status_until(page, lambda said: said["mode"] == "off")
            annotate(world, None)
            async with world.agent(seed=2) as other:
                await status_until(page, lambda said: said["mode"] == "on")
                await after(world, 3 * WINDOW_SECONDS)
                before = world.counted()
                world.collector.faults.add(Answer(503), path="/v1/batch", times=None)
                truth = write(pod, world, 20, seed=5)
                assert other.pipeline is not None
                document = other.pipeline.counting.document
                await until(lambda: len(document.outbox) > 1)
                await world.finish(other)
            world.collector.faults.clear()
            said = await status_until(page, lambda said: said["next"] is not None)
            await until(lambda: world.counted() - before == truth)

    assert said["stream"] == document.stream


async def test_a_switch_that_said_off_stays_off_when_it_may_no_longer_be_read(
    world: Lab,
) -> None:
    access, name = world.cluster.server.access, f"annotation {ANNOTATION} of namespace {NAMESPACE}"
    annotate(world, "true")
    world.cluster.botkube(NAMESPACE, at=world.clock.ns())
    async with process(world) as (health, page):
        await ask_until(health, "/readyz", lambda said: b'"off"' in said)
        denied = access.deny("get", "namespaces")
        held = await status_until(page, lambda said: said["switches"][0]["value"] == WAS_OFF)
        ready = await ask(health, "/readyz")
        annotate(world, None)
        looks = len(world.cluster.server.calls) + 9
        await until(lambda: len(world.cluster.server.calls) > looks)
        still = await status_until(page, lambda _said: True)
        asked = {(call.resource, "limit" in call.query) for call in world.cluster.server.calls}
        access.denied.remove(denied)
        await status_until(page, lambda said: said["mode"] == "on")

    assert (held["mode"], still["mode"]) == ("off", "off")
    assert held["why"] == f"{name} is not readable now, and said off"
    assert "stays off until it says otherwise or is gone" in held["means"]
    assert b'"off"' in ready
    # Of the pods only the hundred of the switch: none is followed.
    assert asked == {("namespaces", False), ("configmaps", False), ("pods", True)}


async def test_an_off_is_remembered_until_its_object_is_read_or_gone(world: Lab) -> None:
    name, access = "botkube-global-config", world.cluster.server.access
    configure(world, name, "analytics: {disable: true}\n")
    found: list[tuple[str, bool]] = []
    # The last one is of the pods.
    lookout = Lookout(lambda read: found.append((read[-2].value, read[-2].is_off)))
    async with Client(world.options().access, "test") as client:
        await lookout.look(client, world.options(), now_seconds=1)
        denied = access.deny("get", "configmaps")
        await lookout.look(client, world.options(), now_seconds=1)
        world.cluster.server.store.delete(CONFIGMAPS, NAMESPACE, name)
        await lookout.look(client, world.options(), now_seconds=1)
        access.denied.remove(denied)
        await lookout.look(client, world.options(), now_seconds=1)
        access.deny("get", "configmaps")
        await lookout.look(client, world.options(), now_seconds=1)

    assert found == [
        ("true", True),
        (WAS_OFF, True),
        (WAS_OFF, True),
        ("not set", False),
        ("not readable", False),
    ]


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("-state$", "the state or the installation object cannot be used"),
        ("/version$", "the API server answers with status 500"),
    ],
)
async def test_the_page_says_why_an_agent_that_is_on_cannot_begin(
    world: Lab, path: str, why: str
) -> None:
    world.changes["state_path"] = None
    world.cluster.server.faults.add(Answer(500), path=path, times=None)
    async with process(world) as (health, page):
        await ask_until(health, "/healthz", lambda said: b" 200 " in said)
        stuck = await status_until(page, lambda said: said["means"].startswith("The agent cannot"))
        held = await ask(health, "/metrics")
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"http://127.0.0.1:{page}/") as answer,
        ):
            document = await answer.text()
        await ask_until(
            health, "/metrics", lambda said: b"\nbotkube_agent_cannot_begin 1.0" in said
        )
        world.cluster.server.faults.clear()
        begun = await status_until(page, lambda said: said["next"])
        await ask_until(
            health, "/metrics", lambda said: b"\nbotkube_agent_cannot_begin 0.0" in said
        )

    assert stuck["mode"] == "on"
    assert stuck["means"] == (
        f"The agent cannot begin, because {why}. It tries again, and until it has begun, no log is "
        "read and nothing is sent."
    )
    assert f"no switch says off. {stuck['means']}" in document
    assert b"botkube_agent_held_back 1.0\n" in held
    assert begun["means"] == ""


IN_TURN = {
    "elected": ({"lease_name": LEASE}, ["standing by", "leading"]),
    "on its node": ({"slots": 2, "node": "node-1"}, ["waiting for BotKube on this node"]),
}


@pytest.mark.parametrize("stops", ["no right", "off"])
@pytest.mark.parametrize(("changes", "told"), IN_TURN.values(), ids=IN_TURN)
async def test_a_turn_that_comes_to_nothing_again_and_again_is_told_once(
    world: Lab,
    caplog: pytest.LogCaptureFixture,
    changes: dict[str, Any],
    told: list[str],
    stops: str,
) -> None:
    caplog.set_level("INFO")
    world.changes |= {"state_path": None, **changes}
    cluster = world.cluster
    cluster.lease(NAMESPACE, LEASE)
    cluster.botkube(NAMESPACE, at=world.clock.ns(), node="node-1")
    denied = cluster.server.access.deny("update", "configmaps") if stops == "no right" else None
    annotate(world, None if denied else "true")

    def turns() -> list[str]:
        return [one for one in caplog.messages if one in {*told, "lease was lost", "started"}]

    async with process(world):
        looks = f"/api/v1/namespaces/{NAMESPACE}"
        await until(lambda: [one.path for one in cluster.server.calls].count(looks) > 5)
        before = turns()
        if denied:
            cluster.server.access.denied.remove(denied)
        annotate(world, None)
        await until(lambda: "started" in turns())

    assert before == told
    assert turns() == [*told, "started"]


async def test_a_batch_that_waits_for_the_ledger_does_not_leave_once_it_may_not(
    world: Lab,
) -> None:
    """Between `next` and the request the switch may have become unreadable, or said off."""
    made = counting()
    count(made, executed())
    closed(made)
    outbox = CommittedOutbox(made, Destination(endpoint=world.collector.url), world.clock.seconds)
    outbox.may_send.set()
    tried: list[Batch] = []

    async def send(batch: Batch, *, sent_seconds: float, may_go_on: Callable[[], bool]) -> Outcome:
        assert may_go_on()
        tried.append(attrs.evolve(batch, sealed_seconds=int(sent_seconds)))
        return Delivered()

    checked = _checked(send, lambda: None, outbox)
    waiting = asyncio.create_task(outbox.next())
    await asyncio.sleep(0)
    outbox.commit(outbox.keys())
    batch = await waiting
    outbox.may_send.clear()
    held = await checked(batch, sent_seconds=1.0)
    outbox.may_send.set()
    sent = await checked(batch, sent_seconds=2.0)
    await outbox.attempted(batch)
    made.switch_off("another stream", now_seconds=5)
    gone = await checked(batch, sent_seconds=3.0)
    await outbox.retried(batch, "switched_off", is_untaken=True)
    (entry,) = made.ledger.entries

    held_back = Retry("switched_off", is_untaken=True)
    assert (held, sent, gone) == (held_back, Delivered(), held_back)
    assert [one.sealed_seconds for one in tried] == [2]
    assert (entry.answer, entry.detail) == (LedgerAnswer.WAITING, "switched_off")


async def test_what_is_under_way_when_the_switch_becomes_unreadable_waits_in_the_outbox(
    world: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The whole agent: a slow disk keeps the batch between the outbox and the wire."""
    saving, go_on = asyncio.Event(), asyncio.Event()
    attempted = CommittedOutbox.attempted

    async def slowly(self: CommittedOutbox, batch: Batch) -> None:
        await attempted(self, batch)
        saving.set()
        await go_on.wait()

    monkeypatch.setattr(CommittedOutbox, "attempted", slowly)
    async with world.agent() as agent:
        assert agent.pipeline is not None
        outbox = agent.pipeline.outbox
        pod = world.cluster.botkube(NAMESPACE, at=world.clock.ns())
        truth = write(pod, world, 20)
        await until(saving.is_set)
        where = f"/namespaces/{NAMESPACE}$"
        world.cluster.server.faults.add(Answer(500), path=where, times=None)
        await until(lambda: not outbox.may_send.is_set())
        go_on.set()
        await after(world, 2 * WINDOW_SECONDS)
        sent = len(world.collector.requests)
        world.cluster.server.faults.clear()
        await until(lambda: missing(truth, world) == {})

    assert sent == 0


TCP_CONNECTING = "02"


def is_connecting(port: int) -> bool:
    """Whether the kernel is making a connection to a port, which was not accepted yet."""
    _head, *lines = Path("/proc/net/tcp").read_text().splitlines()
    rows = [line.split()[2:4] for line in lines]
    return [f"0100007F:{port:04X}", TCP_CONNECTING] in rows


async def test_no_request_leaves_nor_line_is_read_after_an_off_while_state_is_written_slowly(
    tmp_path: Path, ruleset: RuleSet
) -> None:
    """The collector's queue is full, so that a connection is made only when there is room again."""
    bodies: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        bodies.append(await reader.read(1 << 16))
        writer.close()

    async with lab(tmp_path, ruleset, state_path=None) as world:
        with socket.create_server(("127.0.0.1", 0), backlog=0) as collector:
            address = collector.getsockname()
            world.collector.url = f"http://127.0.0.1:{address[1]}"
            written, blocker = asyncio.Event(), socket.create_connection(address)
            async with world.agent() as agent:
                pipeline = agent.pipeline
                assert pipeline is not None
                pod = world.cluster.botkube(NAMESPACE, at=world.clock.ns())
                write(pod, world, 20)
                await until(lambda: is_connecting(address[1]))
                state = world.cluster.server.faults.add(
                    Delay(until=written), verb="update", path="-state$", times=None
                )
                annotate(world, "true")
                await until(lambda: state.seen > 0 and pipeline.counting.document.sends is False)
                read = pipeline.counting.lines
                write(pod, world, 20, seed=2)
                blocker.close()
                async with await asyncio.start_server(answer, sock=collector):
                    await until(lambda: not is_connecting(address[1]))
                    await after(world, 2 * WINDOW_SECONDS)
                    written.set()
                    await ended(agent)

    assert [one for one in bodies if one] == []
    assert pipeline.counting.lines == read > 0


LONG = f"analytics: {{disable: false}}\n#{'x' * (MAX_YAML_CHARS // 2)}\n"


async def ended(agent: Agent) -> None:
    """Wait until an agent has ended by itself."""
    async with asyncio.timeout(20):
        await asyncio.wait([agent.task])


@pytest.mark.parametrize(
    ("texts", "value"),
    [
        (["analytics:\n\tdisable: true\n"], "true"),
        (["analytics:\n  disable: true\nother: !custom x\n"], "true"),
        (["analytics:\n\tdisable: false\n"], "not readable"),
        (["analytics:\n\tdisabled: truely\n"], "not readable"),
        (["analytics:\n\tnot-disable: true\n"], "not readable"),
        (["analytics:\n\tdisable: onwards\n"], "not readable"),
        (["analytics:\n\tdisable: ON\n"], "true"),
        (["analytics:\n\tdisable: 1\n"], "true"),
        (["analytics: [\n", "analytics: {disable: false}\n"], "not readable"),
        (["analytics: {disable: false}\n", "analytics: [\n"], "not readable"),
        (["analytics:\n\tdisable: true\n", "analytics: {disable: true}\n"], "true"),
        (["analytics: {disable: false}\n", "analytics: {disable: true}\n"], "true"),
        (["analytics: {disable: true}\n", "analytics: {disable: false}\n"], "true"),
        # Each is short enough to be read, and both are not.
        ([LONG], "false"),
        ([LONG, LONG], "not readable"),
    ],
    ids=range(15),
)
async def test_a_configuration_of_botkube_that_is_torn_is_not_a_switch_that_is_not_set(
    world: Lab, texts: list[str], value: str
) -> None:
    data = {f"{number}.yaml": text for number, text in enumerate(texts)}
    world.cluster.config_map(NAMESPACE, "botkube-global-config", data)
    async with Client(world.options().access, "test") as client:
        found = await read_switches(client, [NAMESPACE], ["botkube"], [])

    assert found[-1].value == value
