"""Two replicas: one leads, the other stands by, and State's fence counts right when both think so.

The replicas talk to the simulated API over HTTP. One that has to be paused runs on a loop of its
own, in a thread, because SIGSTOP stops all of a process between two of its steps.
"""

from __future__ import annotations

import asyncio
import base64
import random
import socket
import threading
import uuid
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import groupby
from pathlib import Path
from typing import Any

import attrs
import pytest

from agent.ledger.ledger import Ledger
from agent.modes import Decision, Mode
from agent.options import World
from agent.pipeline import Pipeline
from agent.rules import RuleSet
from agent.service import serve_pipeline
from agent.sink.http import open_session
from agent.source.api import ApiError, Client
from agent.state.document import decode
from agent.state.lease import Lease, LeaseLost, LeaseTimes
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
from tests.sim.botkube import Fact
from tests.sim.faults import Answer, Delay, Fault, HalfOpen, LoseResponse, Reset
from tests.sim.store import LEASES, Change
from tests.test_reload import ask, ask_until

pytestmark = pytest.mark.timeout(60)

STATE = "botkube-analytics-state"
LEASES_PATH = "/leases"
MUCH_SECONDS = 600
"""How far a clock is out: many windows, and many times the time of a lease."""
FAIL_OVER_SECONDS = 20
IMPATIENT = LeaseTimes(retry=0.02, attempt=0.03)
"""Where an API server is silent: an attempt takes some three seconds of the agent's clock."""


@pytest.fixture
async def world(tmp_path: Path, ruleset: RuleSet) -> AsyncIterator[Lab]:
    async with lab(tmp_path, ruleset, state_path=None, lease_name=LEASE) as opened:
        opened.cluster.lease(NAMESPACE, LEASE)
        yield opened


def spec(world: Lab) -> dict[str, Any]:
    found: dict[str, Any] = world.cluster.server.store.get(LEASES, NAMESPACE, LEASE)["spec"]
    return found


def leads(agent: Agent) -> bool:
    return agent.pipeline is not None


def released(world: Lab) -> tuple[list[Change], Change]:
    """Return the writes of State before the first release of the lease, and that release."""
    history = world.cluster.server.store.history
    index, release = next(
        (index, one)
        for index, one in enumerate(history)
        if one.kind is LEASES and one.after["spec"].get("holderIdentity") == ""
    )
    states = [one for one in history[:index] if one.after["metadata"]["name"] == STATE]
    return states, release


def owners(world: Lab) -> list[str]:
    """Return the epochs in State's history, each as often as it began to own State."""
    states = [
        decode(base64.b64decode(one.after["binaryData"]["state"])).epoch
        for one in world.cluster.server.store.history
        if one.after["metadata"]["name"] == STATE and "binaryData" in one.after
    ]
    return [epoch for epoch, _ in groupby(states)]


async def all_counted(world: Lab, truth: Counter[Fact]) -> None:
    """Wait until counts equal the truth, and then a window for what would come twice."""
    await until(lambda: missing(truth, world) == {})
    await after(world, WINDOW_SECONDS + 10)

    assert missing(truth, world) == {}
    assert not world.gaps()


# --- electing -------------------------------------------------------------------------------------


async def test_one_leads_and_the_other_stands_by(world: Lab) -> None:
    pod = world.cluster.botkube(NAMESPACE, at=world.clock.ns())
    async with world.agent() as first, world.agent(seed=2, waits=False) as second:
        truth = write(pod, world, 20)
        await all_counted(world, truth)

        assert (leads(first), leads(second)) == (True, False)
        assert (first.terms, second.terms) == (1, 0)
    assert len({report["stream"] for report in world.reports()}) == 1
    # A random id says nothing of a host.
    assert str(uuid.UUID(spec(world)["holderIdentity"])) == spec(world)["holderIdentity"]


async def test_a_killed_leader_is_followed_within_20_seconds(world: Lab) -> None:
    pod = world.cluster.botkube(NAMESPACE, at=world.clock.ns())
    async with world.agent() as first, world.agent(seed=2, waits=False) as second:
        truth = write(pod, world, 20)
        await after(world, 20)
        before = spec(world)["leaseTransitions"]
        await world.kill(first)
        killed = world.clock.seconds()
        truth.update(write(pod, world, 20, seed=2))
        await after(world, 8)
        # A change that is no renewal does not prolong the lease of the dead.
        annotated = {"metadata": {"annotations": {"by": "hand"}}}
        world.cluster.server.store.merge(LEASES, NAMESPACE, LEASE, annotated)
        await until(lambda: leads(second))
        followed = world.clock.seconds() - killed
        await all_counted(world, truth)

    assert 10 < followed <= FAIL_OVER_SECONDS
    assert spec(world)["leaseTransitions"] == before + 1


async def test_a_stopped_leader_commits_then_releases_then_is_followed_at_once(world: Lab) -> None:
    pod = world.cluster.botkube(NAMESPACE, at=world.clock.ns())
    async with world.agent() as first, world.agent(seed=2, waits=False) as second:
        truth = write(pod, world, 20)
        await after(world, 5)
        await world.finish(first)
        stopped = world.clock.seconds()
        truth.update(write(pod, world, 20, seed=2))
        await until(lambda: leads(second))
        followed = world.clock.seconds() - stopped
        await all_counted(world, truth)

    before, release = released(world)
    assert release.kind is LEASES
    # The last commit before the release says that it was a stop.
    data = before[-1].after["binaryData"]["state"]
    assert decode(base64.b64decode(data)).stopped_seconds is not None
    assert followed < 10


async def test_a_standby_that_is_stopped_ends_and_leaves_the_lease_alone(
    world: Lab, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    async with world.agent() as first, world.agent(seed=2, waits=False) as second:
        await after(world, 5)
        holder = spec(world)["holderIdentity"]
        await world.finish(second)

        assert spec(world)["holderIdentity"] == holder
        assert leads(first)
    assert caplog.messages.count("leading") == 1


async def test_the_lease_is_made_where_no_chart_made_it(world: Lab) -> None:
    world.cluster.server.store.delete(LEASES, NAMESPACE, LEASE)
    async with world.agent():
        assert spec(world)["leaseTransitions"] == 1


async def test_a_lease_that_may_have_been_made_is_released(world: Lab) -> None:
    """The answer to its creation was lost, and the process ends before it looks again."""
    world.cluster.server.store.delete(LEASES, NAMESPACE, LEASE)
    clock, faults = world.clock, world.cluster.server.faults
    lost = faults.add(LoseResponse(), path=LEASES_PATH, verb="create")
    async with Client(world.options().access, "test") as client:
        times = LeaseTimes(retry=3600)
        lease = Lease(
            client, NAMESPACE, LEASE, "me", clock.monotonic, clock.seconds, random.Random(1), times
        )
        acquiring = asyncio.create_task(lease.acquire())
        await until(lambda: lost.seen > 0)
        await after(world, 5)
        made = spec(world)["holderIdentity"]
        acquiring.cancel()
        await asyncio.gather(acquiring, return_exceptions=True)
        await lease.release()

    assert (made, spec(world)["holderIdentity"]) == ("me", "")


async def test_labels_of_the_lease_are_left_alone(world: Lab) -> None:
    store = world.cluster.server.store
    store.merge(LEASES, NAMESPACE, LEASE, {"metadata": {"labels": {"app": "ours"}}})
    async with world.agent():
        store.merge(LEASES, NAMESPACE, LEASE, {"metadata": {"annotations": {"by": "hand"}}})
        await after(world, 10)
    metadata = store.get(LEASES, NAMESPACE, LEASE)["metadata"]

    assert (metadata["labels"], metadata["annotations"]) == ({"app": "ours"}, {"by": "hand"})


# --- renewing -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(Answer(500), id="server error"),
        pytest.param(Answer(409), id="conflict"),
        pytest.param(Answer(429, retry_after=1), id="too many requests"),
        pytest.param(Answer(200, b"not JSON"), id="no JSON"),
        pytest.param(Answer(200, {"spec": "odd"}), id="odd JSON"),
        pytest.param(Reset(), id="reset"),
        pytest.param(LoseResponse(), id="answer lost"),
    ],
)
async def test_a_renewal_that_fails_is_tried_again(world: Lab, fault: Fault) -> None:
    pod = world.cluster.botkube(NAMESPACE, at=world.clock.ns())
    async with world.agent() as first:
        truth = write(pod, world, 20)
        hits = [
            world.cluster.server.faults.add(fault, path=LEASES_PATH, verb=verb, times=2)
            for verb in ("get", "update")
        ]
        await until(lambda: all(hit.seen > 3 for hit in hits))
        await all_counted(world, truth)

        assert first.terms == 1


async def test_a_renewal_that_hangs_is_given_up_and_tried_again(world: Lab) -> None:
    world.changes["lease_times"] = IMPATIENT
    pod = world.cluster.botkube(NAMESPACE, at=world.clock.ns())
    async with world.agent() as first:
        truth = write(pod, world, 20)
        hit = world.cluster.server.faults.add(HalfOpen(), path=LEASES_PATH, verb="update")
        await until(lambda: hit.seen > 2)
        await all_counted(world, truth)

        assert leads(first)


async def test_a_renewal_is_as_old_as_its_request(world: Lab) -> None:
    """Its answer may come so late that another already leads."""
    async with world.agent() as first:
        arrives = asyncio.Event()
        held = world.cluster.server.faults.add(
            Delay(until=arrives), path=LEASES_PATH, verb="update"
        )
        await until(lambda: held.seen == 1)
        world.clock.moved += 12
        arrives.set()
        await until(lambda: not leads(first))
        await until(lambda: leads(first))

        assert first.terms == 2


async def test_an_api_server_that_falls_silent_costs_the_lease_and_no_count(world: Lab) -> None:
    world.changes["lease_times"] = IMPATIENT
    pod = world.cluster.botkube(NAMESPACE, at=world.clock.ns())
    async with world.agent() as first, world.agent(seed=2, waits=False) as second:
        truth = write(pod, world, 20)
        await until(lambda: missing(truth, world) == {})
        world.cluster.server.faults.add(HalfOpen(), path="", times=None)
        silent = world.clock.seconds()
        await until(lambda: not leads(first))
        lost = world.clock.seconds() - silent
        truth.update(write(pod, world, 20, seed=2))
        await after(world, 30)
        assert not leads(first)
        assert not leads(second)
        assert not first.task.done()

        world.cluster.server.faults.clear()
        await until(lambda: leads(first) or leads(second))
        await all_counted(world, truth)

    assert lost <= 15


async def test_a_lost_right_costs_the_lease_until_it_is_given_back(
    world: Lab, caplog: pytest.LogCaptureFixture
) -> None:
    pod = world.cluster.botkube(NAMESPACE, at=world.clock.ns())
    async with world.agent() as first:
        denied = world.cluster.server.access.deny("update", "leases")
        truth = write(pod, world, 20)
        await until(lambda: not leads(first))
        await after(world, 10)
        assert not [wire for wire in world.cluster.server.wires if "/log" in wire.path]
        world.cluster.server.access.denied.remove(denied)
        await all_counted(world, truth)

        assert first.terms == 2
    said = [vars(one)["why"] for one in caplog.records if one.message == "lease cannot be used"]
    # Not every two seconds; again if something else was the matter in between.
    assert 1 <= sum("lacks `get` or `update`" in why for why in said) <= 2


@pytest.mark.parametrize(
    ("fault", "fix"),
    [
        pytest.param(Answer(401), "whether the service account still exists", id="token"),
        pytest.param(Answer(404), "apply the manifest that has it", id="nowhere"),
        pytest.param(Answer(422), "delete it, and apply the manifest", id="refused"),
        pytest.param(Answer(503), "look at its own health", id="ill"),
        pytest.param(Answer(200, {"spec": "odd"}), "delete it, and apply", id="odd"),
        pytest.param(Answer(200, b"not JSON"), "check the way to it", id="no JSON"),
        pytest.param(Reset(), "check the way to it", id="reset"),
        pytest.param(HalfOpen(), "check the way to it", id="silent"),
    ],
)
async def test_why_a_lease_cannot_be_used_is_a_sentence_with_the_fix(
    world: Lab, fault: Fault, fix: str, caplog: pytest.LogCaptureFixture
) -> None:
    if isinstance(fault, HalfOpen):
        world.changes["lease_times"] = IMPATIENT
    world.cluster.server.faults.add(fault, path=LEASES_PATH, times=None)

    def said() -> list[str]:
        return [vars(one)["why"] for one in caplog.records if one.message == "lease cannot be used"]

    async with world.agent(waits=False):
        # On a busy machine the first answer may come too late, which is said as well.
        await until(lambda: any(fix in why for why in said()))


@pytest.mark.parametrize("may_create", [True, False])
async def test_a_deleted_lease_doubles_nothing(world: Lab, may_create: bool) -> None:
    pod = world.cluster.botkube(NAMESPACE, at=world.clock.ns())
    async with world.agent() as first, world.agent(seed=2, waits=False) as second:
        truth = write(pod, world, 20)
        await after(world, 5)
        if not may_create:
            world.cluster.server.access.deny("create", "leases")
        world.cluster.server.store.delete(LEASES, NAMESPACE, LEASE)
        truth.update(write(pod, world, 20, seed=2))
        if not may_create:
            await until(lambda: not leads(first))
            await after(world, 20)
            assert not leads(second)
            world.cluster.lease(NAMESPACE, LEASE)
        await until(lambda: leads(first) or leads(second))
        await all_counted(world, truth)


# --- clocks ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("of_leader", "of_standby"),
    [
        pytest.param(MUCH_SECONDS, 0, id="leader fast"),
        pytest.param(-MUCH_SECONDS, 0, id="leader slow"),
        pytest.param(0, MUCH_SECONDS, id="standby fast"),
    ],
)
async def test_a_clock_that_is_wrong_by_many_windows_decides_nothing(
    world: Lab, of_leader: int, of_standby: int
) -> None:
    pod = world.cluster.botkube(NAMESPACE, at=world.clock.ns())
    async with (
        world.agent(wrong_seconds=of_leader) as first,
        world.agent(seed=2, waits=False, wrong_seconds=of_standby) as second,
    ):
        truth = write(pod, world, 20)
        await after(world, 60)
        assert (leads(first), leads(second)) == (True, False)

        await world.kill(first)
        killed = world.clock.seconds()
        truth.update(write(pod, world, 20, seed=2))
        await until(lambda: leads(second))
        assert world.clock.seconds() - killed <= FAIL_OVER_SECONDS

        # A window that was closed too early takes nothing more; late lines are in the next.
        await after(world, 10)
        world.clock.moved += MUCH_SECONDS + 2 * WINDOW_SECONDS
        await until(lambda: missing(truth, world) == {})
        await after(world, 2 * WINDOW_SECONDS)

    assert missing(truth, world) == {}


# --- two that both believe they lead --------------------------------------------------------------


@attrs.define(eq=False)
class Apart:
    """An agent on a loop of its own, in a thread, that can be stopped as SIGSTOP would."""

    world: Lab
    pipeline: Pipeline | None = None
    terms: int = 0
    failure: BaseException | None = None
    _loop: asyncio.AbstractEventLoop | None = None
    _stop: asyncio.Event | None = None
    _may_run: threading.Event = attrs.field(factory=threading.Event)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Apart]:
        """Let it live; it leads when the body begins."""
        thread = threading.Thread(target=self._live, name="apart")
        thread.start()
        try:
            await until(lambda: self.pipeline is not None or self.failure is not None)
            yield self
        finally:
            self.resume()
            if self._loop is not None and self._stop is not None and thread.is_alive():
                self._loop.call_soon_threadsafe(self._stop.set)
            await until(lambda: not thread.is_alive())
        assert self.failure is None

    def pause(self) -> None:
        """Stop everything in the agent, between two of its steps, until `resume`."""
        assert self._loop is not None
        self._may_run.clear()
        self._loop.call_soon_threadsafe(self._may_run.wait)

    def resume(self) -> None:
        self._may_run.set()

    def start(self, pipeline: Pipeline) -> None:
        self.pipeline = pipeline
        self.terms += 1

    def stand_by(self) -> None:
        self.pipeline = None

    def _live(self) -> None:
        try:
            asyncio.run(self._main())
        except BaseException as error:  # noqa: BLE001 the test's thread looks at it
            self.failure = error

    async def _main(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        async with open_session("test") as session:
            await self.world.life(
                self.world.sender(session),
                seed=77,
                started=self.start,
                stand_by=self.stand_by,
                stop=self._stop,
                ledger=Ledger(),
            )


@pytest.mark.parametrize("seed", range(2))
async def test_a_leader_that_slept_past_its_lease_counts_nothing_twice(
    world: Lab, seed: int
) -> None:
    pod = world.cluster.botkube(NAMESPACE, at=world.clock.ns())
    async with Apart(world).running() as sleeper, world.agent(seed=2, waits=False) as second:
        truth = write(pod, world, 20, seed=10 + seed)
        await after(world, 3 + 20 * seed)
        sleeper.pause()
        slept = world.clock.seconds()
        truth.update(write(pod, world, 20, seed=20 + seed))
        await until(lambda: leads(second))
        assert world.clock.seconds() - slept <= FAIL_OVER_SECONDS + 5
        truth.update(write(pod, world, 20, seed=30 + seed))
        await after(world, WINDOW_SECONDS)

        sleeper.resume()
        await until(lambda: sleeper.pipeline is None)
        await all_counted(world, truth)
        assert leads(second)


async def test_a_commit_of_a_leader_that_slept_is_refused(world: Lab) -> None:
    """The request left in time and arrives when another leads: only the fence can tell."""
    pod = world.cluster.botkube(NAMESPACE, at=world.clock.ns())
    async with Apart(world).running() as sleeper:
        truth = write(pod, world, 20)
        await until(lambda: missing(truth, world) == {})
        arrives = asyncio.Event()
        held = world.cluster.server.faults.add(Delay(until=arrives), path=STATE, verb="update")
        truth.update(write(pod, world, 20, seed=2))
        await until(lambda: held.seen == 1)
        sleeper.pause()
        async with world.agent(seed=2) as second:
            truth.update(write(pod, world, 20, seed=3))
            await until(lambda: missing(truth, world) == {})
            arrives.set()
            await after(world, 5)
            sleeper.resume()
            await until(lambda: sleeper.pipeline is None)
            await all_counted(world, truth)

            assert leads(second)
    epochs = owners(world)
    assert len(epochs) == len(set(epochs)) == 2


async def test_who_writes_state_without_the_lease_sends_the_leader_back(world: Lab) -> None:
    """Such as an agent without `lease.name`; the process stays alive, where one alone would end."""
    pod = world.cluster.botkube(NAMESPACE, at=world.clock.ns())
    async with world.agent() as first:
        truth = write(pod, world, 20)
        await until(lambda: missing(truth, world) == {})
        world.changes["lease_name"] = None
        async with world.agent(seed=2) as second:
            await world.finish(second)
        truth.update(write(pod, world, 20, seed=3))
        await all_counted(world, truth)

        assert first.terms == 2


# --- the process ----------------------------------------------------------------------------------


@attrs.define(eq=False)
class Replica:
    """The process as `run` is it, with its health port."""

    port: int
    stop: asyncio.Event
    task: asyncio.Task[int]

    async def end(self) -> int:
        self.stop.set()
        return await self.task


@asynccontextmanager
async def replica(world: Lab, *, seed: int) -> AsyncIterator[Replica]:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = int(taken.getsockname()[1])
    ids, stop = random.Random(seed), asyncio.Event()
    life = serve_pipeline(
        Decision(Mode.ON, "a test"),
        ("127.0.0.1", port),
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
        page_port=0,
    )
    one = Replica(port, stop, asyncio.create_task(life))
    try:
        yield one
    finally:
        one.task.cancel()
        await asyncio.gather(one.task, return_exceptions=True)


async def test_the_health_port_tells_standby_from_leader(world: Lab) -> None:
    async with replica(world, seed=1) as first:
        await ask_until(first.port, "/readyz", lambda page: b'"listed"' in page)
        async with replica(world, seed=2) as second:
            await ask_until(second.port, "/readyz", lambda page: b'"standby"' in page)
            ready = await ask(second.port, "/readyz")
            figures = [await ask(one.port, "/metrics") for one in (first, second)]
            assert await first.end() == 0
            await ask_until(second.port, "/metrics", lambda page: b"agent_leader 1.0" in page)
            await ask_until(second.port, "/readyz", lambda page: b'"listed"' in page)
            assert await second.end() == 0

    assert ready.startswith(b"HTTP/1.1 200")
    assert b"botkube_agent_leader 1.0" in figures[0]
    assert b"botkube_agent_leader 0.0" in figures[1]


async def test_a_fault_of_ours_ends_the_process_and_releases_the_lease(world: Lab) -> None:
    pod = world.cluster.botkube(NAMESPACE, at=world.clock.ns())
    async with world.agent() as first:
        await after(world, 5)
        assert first.pipeline is not None
        # Lines of an instance that the document does not know cannot be folded.
        first.pipeline.counting.document.instances.clear()
        write(pod, world, 5)
        await until(first.task.done, fenced=True)

        assert isinstance(first.task.exception(), ExceptionGroup)
        assert spec(world)["holderIdentity"] == ""


async def test_a_leader_that_cannot_begin_leaves_the_lease_to_another(world: Lab) -> None:
    world.cluster.server.access.deny("get", "configmaps")
    async with replica(world, seed=1) as first:
        await until(lambda: spec(world).get("leaseTransitions", 0) > 0)
        await until(lambda: spec(world)["holderIdentity"] == "")
        await ask_until(first.port, "/readyz", lambda page: b"not_listed" in page)
        world.cluster.server.access.denied.clear()
        await ask_until(first.port, "/readyz", lambda page: b'"listed"' in page)

        assert await first.end() == 0


async def test_a_stop_while_the_api_server_is_silent_ends_in_time(world: Lab) -> None:
    async with world.agent() as first:
        world.cluster.server.faults.add(HalfOpen(), path="", times=None)
        async with asyncio.timeout(5):
            await world.finish(first)


@attrs.frozen
class Held:
    """A Lease that another replica held and renews no more."""

    seconds: object

    async def request(self, method: str, path: str, *, body: object = None) -> Any:  # noqa: ANN401
        del method, path, body
        return {"spec": {"holderIdentity": "another", "leaseDurationSeconds": self.seconds}}


@pytest.mark.looptime
@pytest.mark.parametrize(
    ("wanted", "respected"), [(5, 15), (40, 40), (4000, 60), ("for ever", 15), (None, 15)]
)
async def test_a_holder_is_respected_for_as_long_as_it_asks_within_limits(
    wanted: object, respected: int
) -> None:
    now = asyncio.get_running_loop().time
    lease = Lease(Held(wanted), NAMESPACE, LEASE, "us", now, now, random.Random(1), LeaseTimes())
    began = now()
    await lease.acquire()

    # It is not waited for the next attempt but one.
    assert now() - began == pytest.approx(respected)


@attrs.define
class Scripted:
    """An API server without faults but those that are written down, and a Lease that is free."""

    faults: list[int] = attrs.field(factory=list)
    holder: str = ""
    asked: list[str] = attrs.field(factory=list)
    is_silent: bool = False

    async def request(self, method: str, path: str, *, body: Any = None) -> Any:  # noqa: ANN401
        del path
        self.asked.append(method)
        if self.is_silent:
            await asyncio.Event().wait()
        if method == "PUT":
            if self.faults and (status := self.faults.pop(0)):
                raise ApiError(status, "scripted")
            self.holder = body["spec"]["holderIdentity"]
        return {"spec": {"holderIdentity": self.holder}}


def lease_of(server: Scripted) -> Lease:
    now = asyncio.get_running_loop().time
    return Lease(server, NAMESPACE, LEASE, "us", now, now, random.Random(1), LeaseTimes())


@pytest.mark.looptime
async def test_a_lease_that_is_not_renewed_is_held_up_to_its_end_and_not_at_it() -> None:
    lease = lease_of(Scripted())
    await lease.acquire()
    end = asyncio.get_running_loop().time() + lease.times.renew
    lease.monotonic = lambda: end - 0.001
    lease.check()
    lease.monotonic = lambda: end
    with pytest.raises(LeaseLost, match="renewed in time"):
        lease.check()


@pytest.mark.looptime
@pytest.mark.parametrize("attempt", [0.1, 3.0, 9.0])
async def test_a_lease_is_lost_when_it_ends_and_no_attempt_or_pause_later(attempt: float) -> None:
    server, now = Scripted(), asyncio.get_running_loop().time
    times = LeaseTimes(attempt=attempt)
    lease = Lease(server, NAMESPACE, LEASE, "us", now, now, random.Random(1), times)
    began = now()
    await lease.acquire()
    server.is_silent = True
    with pytest.raises(LeaseLost):
        await lease.hold()

    assert now() - began == pytest.approx(times.renew)


@pytest.mark.looptime
async def test_what_keeps_a_lease_from_its_use_is_said_again_if_it_comes_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    lease = lease_of(Scripted([500, 500, 0, 500, 0]))
    await lease.acquire()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(9):
            await lease.hold()

    assert [record.message for record in caplog.records] == ["lease cannot be used"] * 2


@pytest.mark.looptime
async def test_a_lease_that_another_replica_got_first_is_not_released() -> None:
    server = Scripted([409])
    lease = lease_of(server)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1):
            await lease.acquire()
    server.holder = "another"
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1):
            await lease.acquire()
    asked = len(server.asked)
    await lease.release()

    assert asked == len(server.asked)
