"""As a DaemonSet: which slot of State a replica claims, and that counts stay exact as pods move.

The replicas talk to the simulated API over HTTP; each is on a node of its own.
"""

from __future__ import annotations

import asyncio
import base64
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest

from agent.aggregate import Instance, Window, Windows
from agent.beginning import SwitchedOff
from agent.model import Cursor
from agent.rules import RuleSet
from agent.slots import HELD_SECONDS, Claim, Node, claim_of, take_slot
from agent.source.switches import ANNOTATION
from agent.state.disk import FileStore
from agent.state.document import Document, decode, encode
from agent.state.keeper import Keeper
from agent.state.store import Conflict, StateError
from agent.streams import begin_stream, give_back
from tests.agents import (
    NAMESPACE,
    START,
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
from tests.sim.faults import Delay, Reset
from tests.sim.pods import Pod
from tests.sim.store import CONFIGMAPS, NAMESPACES

pytestmark = pytest.mark.timeout(90)

HERE = Node("node-1", {"here": "node-1", "there": "node-2"})
CURSOR = Cursor(0, 0, b"", (), 0, 0)


def document(*uids: str, holder: str = "", saved: int = START, is_open: bool = False) -> Document:
    windows = Windows(20, open={0: Window()} if is_open else {})
    cursors = {f"{uid}/containerd://1": CURSOR for uid in uids}
    return Document(b"", "", windows, holder=holder, saved_seconds=saved, cursors=cursors)


def test_a_slot_begins_anew_without_what_another_could_not_know() -> None:
    found = document()
    found.blind = START - 5, START
    begin_stream(found, "new")

    assert found == Document(b"", "new", Windows(20), saved_seconds=START)


@pytest.mark.parametrize(
    ("found", "now", "claim"),
    [
        pytest.param(None, START, Claim.EMPTY, id="nothing-stored"),
        pytest.param(document(), START, Claim.EMPTY, id="released"),
        pytest.param(document("here", holder="x"), START, Claim.READ_HERE, id="pods-of-this-node"),
        pytest.param(document("there"), START, Claim.NEVER, id="pods-of-another-node"),
        pytest.param(
            document("there", holder="x"),
            START + HELD_SECONDS,
            Claim.NEVER,
            id="pods-of-another-node-whose-agent-is-gone",
        ),
        pytest.param(document("gone", holder="x"), START, Claim.NEVER, id="held"),
        pytest.param(
            document("gone", holder="x"), START + HELD_SECONDS - 1, Claim.NEVER, id="still-held"
        ),
        pytest.param(
            document("gone", holder="x"), START + HELD_SECONDS, Claim.LEFT, id="no-longer-held"
        ),
        pytest.param(
            document(is_open=True, holder="x"), START + HELD_SECONDS, Claim.LEFT, id="windows-left"
        ),
        pytest.param(document(holder="x"), START + HELD_SECONDS, Claim.EMPTY, id="nothing-left"),
        pytest.param(document("gone", holder=HERE.holder), START, Claim.OURS, id="ours"),
        pytest.param(
            document(holder=HERE.holder), START + HELD_SECONDS, Claim.OURS, id="ours-for-ever"
        ),
    ],
)
def test_who_may_claim_a_slot(found: Document | None, now: int, claim: Claim) -> None:
    assert claim_of(found, HERE, now_seconds=now) is claim


async def keeper_of(path: Path, found: Document) -> Keeper:
    """Return a keeper that has loaded a slot with this in it."""
    store = FileStore(path, is_owner=False)
    await store.save(encode(found), "")
    keeper = Keeper(store, lambda: "id", lambda: b"key")
    await keeper.load(window_seconds=WINDOW_SECONDS)
    return keeper


async def test_a_slot_that_another_agent_claimed_meanwhile_is_not_taken(tmp_path: Path) -> None:
    keeper = await keeper_of(tmp_path / "slot", document("gone", holder="x"))

    with pytest.raises(Conflict, match="claimed by another agent"):
        take_slot(keeper, HERE, "stream", now_seconds=START)


async def test_nothing_of_an_empty_slot_goes_on(tmp_path: Path) -> None:
    found = document()
    found.windows.closed_until, found.windows.count_from = START, START
    found.stopped_seconds, found.seq, found.totals["x"] = 5, 7, 1
    found.off_seconds, found.sends = 6, False
    keeper = await keeper_of(tmp_path / "slot", found)
    is_fresh = take_slot(keeper, HERE, "stream", now_seconds=START)
    taken = keeper.document

    assert is_fresh
    assert (taken.stream, taken.holder, taken.seq, taken.totals) == ("stream", HERE.holder, 0, {})
    assert (taken.windows, taken.stopped_seconds) == (Windows(20), None)
    assert (taken.off_seconds, taken.sends) == (None, None)


def test_a_slot_that_is_given_back_is_an_empty_one() -> None:
    found = document(holder=HERE.holder)
    found.instances["here/1"], found.restarts["here/botkube"] = (
        Instance(ended_seconds=1),
        (1, "", 1),
    )
    give_back(found)

    for node in (HERE, Node("node-2", HERE.nodes)):
        assert claim_of(found, node, now_seconds=START) is Claim.EMPTY


async def test_all_of_a_slot_that_was_left_goes_on(tmp_path: Path) -> None:
    keeper = await keeper_of(tmp_path / "slot", document("gone", is_open=True))
    before = keeper.document.stream
    is_fresh = take_slot(keeper, HERE, "stream", now_seconds=START)

    assert not is_fresh
    assert (keeper.document.stream, list(keeper.document.windows.open)) == (before, [0])


def test_a_holder_is_no_name() -> None:
    assert "node" not in HERE.holder
    assert Node("node-1", {}).holder == HERE.holder != Node("node-2", {}).holder


# --- whole replicas -------------------------------------------------------------------------------


@pytest.fixture
async def world(tmp_path: Path, ruleset: RuleSet) -> AsyncIterator[Lab]:
    async with lab(tmp_path, ruleset, state_path=None, slots=2, node="node-1") as opened:
        yield opened


def slots(world: Lab) -> list[Document]:
    """Return the slots that were ever written."""
    return [
        decode(base64.b64decode(found["binaryData"]["state"]))
        for found in world.cluster.server.store.objects(CONFIGMAPS, NAMESPACE)
        if found["metadata"]["name"].startswith("botkube-analytics-state-")
        and "binaryData" in found
    ]


def botkube(world: Lab, node: str, name: str = "botkube") -> Pod:
    return world.cluster.botkube(NAMESPACE, at=world.clock.ns(), node=node, name=name)


def leads(agent: Agent) -> bool:
    return agent.pipeline is not None


def remove(world: Lab, pod: Pod) -> None:
    pod.begin_delete(at=world.clock.ns())
    pod.remove(at=world.clock.ns())


async def all_counted(world: Lab, truth: Counter[Fact]) -> None:
    await until(lambda: missing(truth, world) == {})
    await after(world, WINDOW_SECONDS + 10)

    assert missing(truth, world) == {}
    assert not world.gaps()


async def test_a_slot_is_claimed_only_where_botkube_is(world: Lab) -> None:
    pod = botkube(world, "node-1")
    async with (
        world.agent(node="node-1") as first,
        world.agent(seed=2, waits=False, node="node-2") as second,
    ):
        truth = write(pod, world, 20)
        await all_counted(world, truth)

        assert (leads(first), leads(second)) == (True, False)
        assert len(slots(world)) == 1


async def test_one_that_waits_and_may_not_list_pods_says_so_once_and_begins_when_it_may(
    world: Lab, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    denied = world.cluster.server.access.deny("list", "pods")
    pod = botkube(world, "node-1")

    def told() -> list[str]:
        return [one for one in caplog.messages if one.startswith("pods ")]

    async with world.agent(waits=False, node="node-1") as agent:
        await until(lambda: bool(told()))
        await after(world, 120)
        assert (told(), leads(agent)) == (["pods cannot be listed"], False)
        world.cluster.server.access.denied.remove(denied)
        await until(lambda: leads(agent))
        await all_counted(world, write(pod, world, 20))

    assert told() == ["pods cannot be listed", "pods listed", "pods listed"]


async def test_two_nodes_count_apart_and_each_exactly(world: Lab) -> None:
    one, other = botkube(world, "node-1"), botkube(world, "node-2", "other-botkube")
    async with world.agent(node="node-1"), world.agent(seed=2, node="node-2"):
        truth = write(one, world, 20)
        truth.update(write(other, world, 20, seed=2))
        await all_counted(world, truth)

    assert len({report["stream"] for report in world.reports()}) == 2
    ids = {event["anonymousId"] for event in world.collector.accepted}
    assert len(ids) == 1


async def test_a_pod_that_moves_is_followed_by_another_replica_with_another_slot(
    world: Lab,
) -> None:
    pod = botkube(world, "node-1")
    async with (
        world.agent(node="node-1") as first,
        world.agent(seed=2, waits=False, node="node-2") as second,
    ):
        truth = write(pod, world, 20)
        await after(world, 5)
        remove(world, pod)
        moved = botkube(world, "node-2")
        truth.update(write(moved, world, 20, seed=2))
        await until(lambda: leads(second))
        await until(lambda: not leads(first))
        await all_counted(world, truth)

        assert [one.holder != "" for one in slots(world)] == [False, True]
        assert not slots(world)[0].cursors


async def test_a_silent_pod_that_moves_leaves_no_window_without_a_report(world: Lab) -> None:
    """Its last window is told before the slot is given back, though nothing was written in it."""
    seconds = world.changes["window_seconds"] = 40
    async with (
        world.agent(waits=False, node="node-1") as first,
        world.agent(seed=2, waits=False, node="node-2") as second,
    ):
        pod = botkube(world, "node-1")
        truth = write(pod, world, 20)
        await until(lambda: leads(first))
        await until(lambda: missing(truth, world) == {})
        edge = (world.clock.seconds() // seconds + 2) * seconds
        await after(world, edge - 4 - world.clock.seconds())
        remove(world, pod)
        await after(world, 8)
        truth.update(write(botkube(world, "node-2"), world, 20, seed=2))
        await until(lambda: leads(second))
        await until(lambda: missing(truth, world) == {})
        await after(world, seconds + 10)

    told = sorted(world.reports(), key=lambda one: str(one["window_start"]))
    assert len({one["stream"] for one in told}) == 2
    assert [one["window_start"] for one in told[1:]] == [one["window_end"] for one in told[:-1]]
    assert all(one.get("botkube_version") for one in told)
    assert not world.gaps()


async def test_a_slot_that_was_released_begins_a_new_stream(world: Lab) -> None:
    pod = botkube(world, "node-1")
    async with world.agent(node="node-1") as agent:
        truth = write(pod, world, 20)
        await after(world, 5)
        remove(world, pod)
        await until(lambda: not leads(agent))
        first = max(report["window_start"] for report in world.reports())[:19]
        await after(world, 3 * WINDOW_SECONDS)
        second = world.clock.seconds() // WINDOW_SECONDS * WINDOW_SECONDS
        truth.update(write(botkube(world, "node-1"), world, 20, seed=2))
        await all_counted(world, truth)

    assert len(slots(world)) == 1
    assert len({report["stream"] for report in world.reports()}) == 2
    assert [report["seq"] for report in world.reports()].count(1) == 2
    # No empty windows for the time in which the slot was nobody's.
    begin = datetime.fromtimestamp(second, UTC).isoformat()[:19]
    starts = [report["window_start"][:19] for report in world.reports()]
    assert len([start for start in starts if first < start < begin]) == 0


async def test_what_an_evicted_pod_left_is_counted_once(world: Lab) -> None:
    """Its object stays, and names logs that were read before the slot was given back."""
    async with world.agent(node="node-1", waits=False) as agent:
        await after(world, 10)
        pod = botkube(world, "node-1")
        truth = write(pod, world, 20)
        await until(lambda: missing(truth, world) == {})
        pod.evict(at=world.clock.ns())
        truth["Application crashed", (("kind", "killed"),)] += 1
        await until(lambda: missing(truth, world) == {})
        await until(lambda: not leads(agent))
        await after(world, WINDOW_SECONDS)
        assert not leads(agent)
        truth.update(write(botkube(world, "node-1", "another"), world, 20, seed=2))
        await all_counted(world, truth)


async def count_and_leave(world: Lab, *, kill: bool = False) -> Counter[Fact]:
    """Let a replica count a pod and give its slot back; return what was counted."""
    pod = botkube(world, "node-1")
    async with world.agent(node="node-1") as first:
        truth = write(pod, world, 20)
        await until(lambda: missing(truth, world) == {})
        remove(world, pod)
        await until(lambda: not leads(first))
        if kill:
            await world.kill(first)
    return truth


async def test_a_pod_that_comes_soon_after_a_replica_has_nothing_to_miss(world: Lab) -> None:
    """What matters is that none was there before the replica, not how long it has run."""
    truth = await count_and_leave(world, kill=True)
    async with world.agent(seed=2, node="node-1", waits=False):
        await after(world, 10)
        truth.update(write(botkube(world, "node-1", "another"), world, 20, seed=2))
        await all_counted(world, truth)


async def test_a_pod_that_was_there_before_a_replica_is_said_to_be_unread(world: Lab) -> None:
    """However long the replica had to wait for its slot."""
    await count_and_leave(world)
    write(botkube(world, "node-1", "another"), world, 20, seed=2)
    answered = asyncio.Event()
    slow = world.cluster.server.faults.add(
        Delay(until=answered), path="/configmaps/botkube-analytics-state-0"
    )
    async with world.agent(seed=2, node="node-1", waits=False):
        await until(lambda: slow.seen > 0)
        world.clock.moved += 100
        answered.set()
        await until(lambda: "state_lost" in world.gaps())


async def test_a_replica_that_starts_again_goes_on_with_its_slot(world: Lab) -> None:
    pod = botkube(world, "node-1")
    async with world.agent(node="node-1") as first:
        truth = write(pod, world, 20)
        await after(world, 5)
        await world.kill(first)
    truth.update(write(pod, world, 20, seed=2))
    async with world.agent(seed=3, node="node-1"):
        await all_counted(world, truth)

    assert len(slots(world)) == 1


async def test_a_slot_is_kept_while_botkube_is_silent(world: Lab) -> None:
    world.changes["window_seconds"] = 3600
    botkube(world, "node-1")
    async with world.agent(node="node-1"):
        await after(world, 5)
        world.clock.moved += 1000
        jumped = world.clock.seconds()
        await until(lambda: slots(world)[0].saved_seconds >= int(jumped))


async def test_a_replica_that_waits_for_botkube_is_not_a_stopped_one(world: Lab) -> None:
    # The one before it was stopped at the very moment at which its slot had nothing left.
    left = document(holder=HERE.holder)
    left.stopped_seconds, left.stream = START, str(UUID(int=1, version=4))
    name, data = "botkube-analytics-state-0", base64.b64encode(encode(left)).decode()
    world.cluster.config_map(NAMESPACE, name)
    world.cluster.server.store.merge(CONFIGMAPS, NAMESPACE, name, {"binaryData": {"state": data}})
    async with world.agent(node="node-1", waits=False):
        await after(world, 5)
        world.clock.moved += 700
        truth = write(botkube(world, "node-1"), world, 20)
        await all_counted(world, truth)


async def test_a_slot_that_was_wiped_is_said_to_be_lost(world: Lab) -> None:
    pod = botkube(world, "node-1")
    async with world.agent(node="node-1") as first:
        truth = write(pod, world, 20)
        await until(lambda: not missing(truth, world))
        await world.finish(first)
    store, slot = world.cluster.server.store, "botkube-analytics-state-0"
    store.merge(CONFIGMAPS, NAMESPACE, slot, {"binaryData": None})
    async with world.agent(seed=2, node="node-1"):
        await until(lambda: "state_lost" in world.gaps())


async def test_a_slot_that_was_wiped_is_not_passed_over_for_a_free_one(world: Lab) -> None:
    one = botkube(world, "node-1")
    async with world.agent(node="node-1") as first, world.agent(seed=2, node="node-2", waits=False):
        truth = write(one, world, 10)
        other = botkube(world, "node-2", "other-botkube")
        truth.update(write(other, world, 10, seed=2))
        await until(lambda: not missing(truth, world))
        remove(world, one)
        await until(lambda: not leads(first))
    store, slot = world.cluster.server.store, "botkube-analytics-state-1"
    store.merge(CONFIGMAPS, NAMESPACE, slot, {"binaryData": None})
    async with world.agent(seed=3, node="node-2"):
        await until(lambda: "state_lost" in world.gaps())
        await after(world, 2 * WINDOW_SECONDS)

    assert not missing(truth, world)


async def test_many_replicas_claim_a_slot_each_at_the_same_moment(world: Lab) -> None:
    world.changes["slots"] = 8
    truth: Counter[Fact] = Counter()
    async with AsyncExitStack() as stack:
        agents = [
            await stack.enter_async_context(world.agent(seed=at, node=f"node-{at}", waits=False))
            for at in range(1, 9)
        ]
        for at in range(1, 9):
            truth.update(write(botkube(world, f"node-{at}", f"botkube-{at}"), world, 5, seed=at))
        await until(lambda: all(map(leads, agents)))
        await until(lambda: not missing(truth, world))

    assert len({one.holder for one in slots(world)}) == 8


async def test_what_a_lost_node_left_is_finished_by_the_next_that_needs_a_slot(
    world: Lab,
) -> None:
    pod = botkube(world, "node-1")
    unreachable = world.collector.faults.add(Reset(), times=None)
    async with world.agent(node="node-1") as first:
        truth = write(pod, world, 20)
        await until(lambda: bool(slots(world)[0].outbox))
        await world.kill(first)
    remove(world, pod)
    world.collector.faults.schedules.remove(unreachable)
    world.clock.moved += HELD_SECONDS
    truth.update(write(botkube(world, "node-2"), world, 20, seed=2))
    async with world.agent(seed=2, node="node-2"):
        await until(lambda: not missing(truth, world))

    assert len(slots(world)) == 1
    assert len({report["stream"] for report in world.reports()}) == 1


async def test_a_replica_that_starts_again_finishes_what_it_left_without_a_pod(
    world: Lab,
) -> None:
    pod = botkube(world, "node-1")
    unreachable = world.collector.faults.add(Reset(), times=None)
    async with world.agent(node="node-1") as first:
        truth = write(pod, world, 20)
        await until(lambda: bool(slots(world)[0].outbox))
        await after(world, 5)
        await world.kill(first)
    world.collector.faults.schedules.remove(unreachable)
    remove(world, pod)
    async with world.agent(seed=2, node="node-1") as second:
        await until(lambda: not missing(truth, world))
        await until(lambda: not leads(second))

    assert slots(world)[0].holder == ""
    assert not slots(world)[0].outbox


async def test_a_slot_whose_pods_exist_is_left_alone(world: Lab) -> None:
    world.changes["slots"] = 1
    pod = botkube(world, "node-1")
    async with world.agent(node="node-1") as first:
        write(pod, world, 5)
        await after(world, 5)
        await world.kill(first)
    botkube(world, "node-2", "other-botkube")
    world.clock.moved += HELD_SECONDS
    with pytest.raises(StateError, match=r"raise `state\.slots`"):
        async with world.agent(seed=2, node="node-2"):
            pass


async def test_what_is_written_while_no_replica_ran_is_not_counted_in_a_new_slot(
    world: Lab,
) -> None:
    # Scaled to zero is an opt-out, also where no slot could keep the mark of it.
    pod = botkube(world, "node-1")
    async with world.agent(node="node-1") as agent:
        truth = write(pod, world, 20)
        await after(world, 5)
        remove(world, pod)
        await until(lambda: not leads(agent))
        await until(lambda: not missing(truth, world))
        await world.finish(agent)
    before = botkube(world, "node-2")
    write(before, world, 20, seed=2)
    world.clock.moved += 1200
    async with world.agent(seed=2, node="node-2"):
        await after(world, 2 * WINDOW_SECONDS)
        truth.update(write(before, world, 20, seed=3))
        await until(lambda: not missing(truth, world))


async def test_off_marks_every_slot(world: Lab) -> None:
    world.changes["slots"] = 3
    one, other = botkube(world, "node-1"), botkube(world, "node-2", "other-botkube")
    patch = {"metadata": {"annotations": {ANNOTATION: "true"}}}
    async with world.agent(node="node-1") as first, world.agent(seed=2, node="node-2"):
        truth = write(one, world, 10) + write(other, world, 10, seed=2)
        await until(lambda: not missing(truth, world))
        world.cluster.server.store.merge(NAMESPACES, "", NAMESPACE, patch)
        with pytest.raises(ExceptionGroup):
            await first.task
    with pytest.raises(SwitchedOff):
        async with world.agent(seed=3, node="node-1"):
            pass

    assert [one.sends for one in slots(world)] == [False, False, False]
    write(one, world, 10, seed=3)
    remove(world, other)
    write(botkube(world, "node-3", "third-botkube"), world, 10, seed=4)
    await after(world, 1)
    unset = {"metadata": {"annotations": {ANNOTATION: None}}}
    world.cluster.server.store.merge(NAMESPACES, "", NAMESPACE, unset)
    async with world.agent(seed=4, node="node-1"), world.agent(seed=5, node="node-3"):
        await after(world, 3 * WINDOW_SECONDS)

    assert not missing(truth, world)


async def test_of_two_on_one_node_only_one_can_commit(world: Lab) -> None:
    # As while a pod of the DaemonSet is being replaced.
    pod = botkube(world, "node-1")
    async with world.agent(node="node-1") as first:
        truth = write(pod, world, 10)
        await after(world, 5)
        async with world.agent(seed=2, node="node-1", waits=False):
            truth.update(write(pod, world, 10, seed=2))
            await until(lambda: not missing(truth, world), fenced=True)
            await until(first.task.done, fenced=True)

    assert not missing(truth, world)


async def test_two_on_one_node_that_start_again_and_again_count_each_line_once(
    world: Lab,
) -> None:
    """Each start takes the slot from the other, which ends, and is started again."""
    pod = botkube(world, "node-1")
    truth: Counter[Fact] = Counter()
    async with AsyncExitStack() as stack:
        agent = await stack.enter_async_context(world.agent(node="node-1"))
        for seed in range(2, 8):
            truth.update(write(pod, world, 5, seed=seed))
            other = world.agent(seed=seed, node="node-1", waits=False)
            before, agent = agent, await stack.enter_async_context(other)
            await until(before.task.done, fenced=True)
        truth.update(write(pod, world, 5, seed=8))
        await until(lambda: missing(truth, world) == {}, fenced=True)
        await until(lambda: leads(agent), fenced=True)

    assert missing(truth, world) == {}
    assert not world.gaps()
    assert len({report["stream"] for report in world.reports()}) == 1
