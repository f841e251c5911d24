"""What was seen to say off is never forgotten: by whoever saw it, and whoever works next.

Beginnings and standing replicas alone, against the simulated API: nothing is read or sent here.
"""

from __future__ import annotations

import asyncio
import random
import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import attrs
import orjson
import pytest

from agent.aggregate import Instance
from agent.beginning import READ_SECONDS, Begun, SwitchedOff, _note, begin
from agent.ledger.directory import Directory
from agent.ledger.entries import Answer as Reply
from agent.ledger.ledger import Ledger
from agent.lookout import Lookout
from agent.modes import Decision, Mode
from agent.on_node import run_on_node
from agent.options import World
from agent.pipeline import LEDGER_STOP_SECONDS, STOP_SECONDS
from agent.rules import RuleSet
from agent.running import Running
from agent.sink.batch import batch_array
from agent.slots import HELD_SECONDS
from agent.source.api import ApiError, Client
from agent.source.switches import VARIABLE, ClusterSwitch
from agent.standing import stand
from agent.state.document import Document, decode
from agent.state.installation import Installation, read_installation
from agent.state.keeper import Keeper
from agent.state.lease import RELEASE_SECONDS
from agent.state.store import StateError
from agent.stores import stores_of
from agent.web.metrics import Snapshot
from agent.web.view import SAID_OFF, SwitchRow, View
from tests.agents import NAMESPACE, WINDOW_SECONDS, Agent, Lab, after, lab, missing, until, write
from tests.sim.faults import Answer, Delay, HalfOpen
from tests.sim.store import CONFIGMAPS, PODS
from tests.test_gate import closed, count, counting, executed
from tests.test_keeper import Silent
from tests.test_slots import botkube, remove, slots
from tests.test_switches import annotate, ended

BACKLOG = counting()
count(BACKLOG, executed())
closed(BACKLOG)


@pytest.fixture
async def world(tmp_path: Path, ruleset: RuleSet) -> AsyncIterator[Lab]:
    async with lab(tmp_path, ruleset, state_path=None) as opened:
        yield opened


@asynccontextmanager
async def beginning(
    world: Lab,
    lookout: Lookout | None = None,
    *,
    seed: int = 1,
    sends: bool = True,
    ledger: Ledger | None = None,
    waits_since: float | None = None,
) -> AsyncIterator[Begun]:
    """Begin a run, and read nothing; one that waits does so on a node without BotKube."""
    ids = random.Random(seed)
    outside = World(
        world.clock.seconds,
        ids,
        lambda: uuid.UUID(int=ids.getrandbits(128), version=4),
        ids.randbytes,
        world.clock.seconds,
    )
    async with AsyncExitStack() as stack:
        yield await begin(
            world.options(),
            world.ruleset,
            outside,
            stack,
            ledger or Ledger(),
            sends=sends,
            lookout=lookout or Lookout(),
            check=lambda: None,
            standing_since=waits_since,
            saw_none=waits_since is not None,
        )


async def leave_backlog(world: Lab, begun: Begun) -> str:
    """Let State hold batches as if the destination did not take them; return their stream."""
    begun.counting.document.outbox = list(BACKLOG.document.outbox)
    await begun.keeper.commit(now_seconds=int(world.clock.seconds()), before_encode=lambda _: None)
    return begun.counting.document.stream


async def see_off(world: Lab, lookout: Lookout) -> None:
    """Let a replica that stands by see an off, which is then taken back."""
    annotate(world, "true")
    waiting = until(lambda: lookout.noted is not None)
    clock = world.clock.seconds
    await stand(waiting, world.options(), lookout, clock=clock, every_seconds=0.01)
    annotate(world, None)


async def installation(world: Lab) -> Installation:
    async with Client(world.options().access, "test") as client:
        found, _is_there = await read_installation(stores_of(world.options(), client)[1])
    assert found is not None
    return found


async def document(world: Lab) -> Document:
    async with Client(world.options().access, "test") as client:
        stored = await stores_of(world.options(), client)[0][0].load()
    assert stored.data is not None
    return decode(stored.data)


@pytest.mark.parametrize("who", ["it", "another", "another that cannot be sent from"])
async def test_an_off_that_only_one_which_stands_by_has_seen_is_obeyed_by_who_works_next(
    world: Lab, who: str
) -> None:
    async with beginning(world) as first:
        stream = await leave_backlog(world, first)
    lookout = Lookout()
    await see_off(world, lookout)
    seen = int(world.clock.seconds())
    sends = who != "another that cannot be sent from"
    async with beginning(world, lookout if who == "it" else None, seed=2, sends=sends) as begun:
        found = begun.counting.document

    assert (found.outbox, found.stream == stream) == ([], False)
    # What was written since is neither counted nor learned from.
    ((since, until_),) = found.windows.stopped
    assert since <= seen <= until_
    assert (found.windows.count_from or until_) >= until_
    assert lookout.owed_since is None or who != "it"


async def test_what_was_counted_since_an_off_is_not_discarded_by_one_that_saw_it(
    world: Lab,
) -> None:
    async with beginning(world) as first:
        await leave_backlog(world, first)
    lookout = Lookout()
    await see_off(world, lookout)
    async with beginning(world, seed=2) as second:
        await after(world, 2)  # what is written in the second of the off may be of before it
        stream = await leave_backlog(world, second)
    async with beginning(world, lookout, seed=3) as third:
        found = third.counting.document

    assert (found.stream, len(found.outbox)) == (stream, len(BACKLOG.document.outbox))
    assert lookout.owed_since is None


async def test_one_that_stands_by_forgets_an_off_once_it_is_over_for_another(world: Lab) -> None:
    async with beginning(world) as first:
        await leave_backlog(world, first)
    lookout = Lookout()
    await see_off(world, lookout)
    async with beginning(world, seed=2):
        pass
    over: list[object] = []
    lookout.told = lambda _found: over.append(lookout.owed_since)
    waiting, clock = until(lambda: over[-2:] == [None, None]), world.clock.seconds
    await stand(waiting, world.options(), lookout, clock=clock, every_seconds=0.01)

    assert (await installation(world)).sends is True


async def test_an_off_that_is_only_remembered_takes_nothing_from_who_is_on_again(
    world: Lab,
) -> None:
    """Whoever was started since cannot read it, and says so."""
    async with beginning(world):
        pass
    lookout, server = Lookout(), world.cluster.server
    looks: list[object] = []
    await see_off(world, lookout)
    server.faults.add(Answer(403), path=f"/namespaces/{NAMESPACE}$", times=None)
    async with beginning(world, seed=2) as second:
        written = server.faults.add(Delay(), verb="update", path="-installation$", times=None)
        lookout.told = looks.append
        waiting, clock = until(lambda: len(looks) > 5), world.clock.seconds
        await stand(waiting, world.options(), lookout, clock=clock, every_seconds=0.01)
        await second.note()
        with pytest.raises(SwitchedOff):
            async with beginning(world, lookout, seed=3):
                pass
        await second.note()

    assert (written.seen, lookout.owed_since) == (0, None)


async def test_an_off_that_cannot_be_noted_is_owed_until_it_can(world: Lab) -> None:
    async with beginning(world) as first:
        stream = await leave_backlog(world, first)
    broken = world.cluster.server.faults.add(
        Answer(403), verb="update", path="-installation$", times=None
    )
    annotate(world, "true")
    lookout, clock = Lookout(), world.clock.seconds
    waiting = until(lambda: broken.seen > 1)
    await stand(waiting, world.options(), lookout, clock=clock, every_seconds=0.01)
    annotate(world, None)
    with pytest.raises(StateError):
        async with beginning(world, lookout, seed=2):
            pass
    owed = lookout.owed_since
    world.cluster.server.faults.clear()
    async with beginning(world, lookout, seed=2) as begun:
        found = begun.counting.document

    assert owed is not None
    assert (found.outbox, found.stream == stream) == ([], False)
    assert found.windows.stopped[0][1] > owed


async def test_an_off_that_comes_again_and_again_is_owed_since_the_first(world: Lab) -> None:
    annotate(world, "true")
    lookout = Lookout()
    async with Client(world.options().access, "test") as client:
        for now in (5, 7):
            await lookout.look(client, world.options(), now_seconds=now)
        first = lookout.owed_since
        lookout.noted = 3
        lookout.pay()
        since = [first, lookout.owed_since, lookout.noted]
        await lookout.look(client, world.options(), now_seconds=9)

    assert [*since, lookout.owed_since] == [5, None, None, 9]


async def test_an_off_is_written_to_state_before_the_run_ends(world: Lab) -> None:
    """To the installation, too, even if nothing was ever counted."""
    world.changes["pace"] = attrs.evolve(world.options().pace, switches=0.05)
    async with world.agent() as agent:
        annotate(world, "true")
        await ended(agent)

    assert (await installation(world)).sends is False
    found = await document(world)
    assert (found.sends, found.off_seconds is None) == (False, False)


async def test_a_beginning_that_is_off_discards_what_waits_in_state(
    world: Lab, tmp_path: Path
) -> None:
    ledger, (batch, *_) = Ledger(Directory(tmp_path / "ledger")), BACKLOG.document.outbox
    async with beginning(world) as first:
        await leave_backlog(world, first)
    array = batch_array(batch)
    ledger.send(batch, array=array, destination="", now_seconds=1)
    ledger.answer(array, Reply.RETRY, detail="server_error", now_seconds=1)
    annotate(world, "true")
    lookout, writes = Lookout(), []
    for _ in range(2):
        with pytest.raises(SwitchedOff):
            async with beginning(world, lookout, seed=2, ledger=ledger):
                pass
        writes.append(sum(call.verb == "update" for call in world.cluster.server.calls))
    found, kept = await document(world), Ledger(ledger.directory)
    await kept.load()

    assert (found.outbox, found.sends, lookout.owed_since) == ([], False, None)
    # Once: what is marked is not written again.
    assert writes[0] == writes[1]
    assert [(one.answer, one.detail) for one in kept.entries] == [(Reply.DISCARDED, "switched_off")]


async def test_a_slot_that_cannot_be_written_takes_none_from_those_who_work(
    tmp_path: Path, ruleset: RuleSet
) -> None:
    """Nor is what waits in it sent, once it can be written and somebody takes it."""
    async with lab(tmp_path, ruleset, state_path=None, slots=3, node="node-1") as world:
        pod, owing = botkube(world, "node-1"), Lookout()
        async with beginning(world) as left:
            stream = await leave_backlog(world, left)
        broken = Answer(403)
        world.cluster.server.faults.add(broken, verb="update", path="-state-0$", times=None)
        annotate(world, "true")
        with pytest.raises(StateError):
            async with beginning(world, owing, seed=2):
                pass
        annotate(world, None)
        remove(world, pod)
        botkube(world, "node-2", "second")
        world.changes["node"] = "node-2"
        async with beginning(world, seed=3) as second:
            assert second.keeper.store.where.endswith("-1")
        world.changes["node"] = "node-3"
        botkube(world, "node-3", "third")
        async with beginning(world, owing, seed=4) as third:
            assert third.keeper.store.where.endswith("-2")
        worked = slots(world)[1]
        world.cluster.server.faults.clear()
        world.clock.moved += HELD_SECONDS
        botkube(world, "node-4", "fourth")
        world.changes["node"] = "node-4"
        async with beginning(world, seed=5) as fourth:
            assert fourth.keeper.store.where.endswith("-0")
            found = fourth.counting.document

    assert (worked.nonce, worked.sends) == (second.counting.document.nonce, True)
    assert (found.outbox, found.stream == stream) == ([], False)


@pytest.fixture
async def nodes(tmp_path: Path, ruleset: RuleSet) -> AsyncIterator[Lab]:
    """Return a DaemonSet's cluster, where each replica has waited for long when its pod came."""
    async with lab(tmp_path, ruleset, state_path=None, slots=3, node="node-1") as opened:
        opened.clock.moved += 60
        yield opened


@pytest.mark.parametrize(
    ("waits", "is_deleted"), [(False, False), (True, False), (False, True), (True, True)]
)
async def test_nothing_of_an_off_before_the_first_start_counts_in_a_slot(
    nodes: Lab, *, waits: bool, is_deleted: bool
) -> None:
    """Nor if the installation object is deleted since: State says it, too."""
    since = nodes.clock.seconds() - 50 if waits else None
    annotate(nodes, "true")
    with pytest.raises(SwitchedOff):
        async with beginning(nodes):
            pass
    annotate(nodes, None)
    if is_deleted:
        name = nodes.options().installation_name
        nodes.cluster.server.store.delete(CONFIGMAPS, NAMESPACE, name)
    froms, lifted = [], int(nodes.clock.seconds())
    for number in (1, 2):
        nodes.changes["node"] = f"node-{number}"
        botkube(nodes, f"node-{number}", f"botkube-{number}")
        async with beginning(nodes, seed=number, waits_since=since) as begun:
            froms.append(begun.counting.document.windows.count_from or 0)

    assert min(froms) > lifted


async def test_an_off_that_only_one_has_seen_before_the_first_start_is_obeyed_by_all(
    nodes: Lab,
) -> None:
    since, lookout = nodes.clock.seconds() - 50, Lookout()
    await see_off(nodes, lookout)
    lifted, found = int(nodes.clock.seconds()), []
    for number, sees in ((1, None), (2, lookout), (3, None)):
        nodes.changes["node"] = f"node-{number}"
        botkube(nodes, f"node-{number}", f"botkube-{number}")
        async with beginning(nodes, sees, seed=number, waits_since=since) as begun:
            found.append(begun.counting.document.windows)

    assert min(one.count_from or 0 for one in found) > lifted
    assert all(start == 0 and end > lifted for one in found for start, end in one.stopped)
    assert all(one.stopped for one in found)


@pytest.mark.parametrize("is_on_again", [False, True])
async def test_nothing_of_an_off_counts_nor_is_learned_in_a_slot_that_was_free(
    nodes: Lab, *, is_on_again: bool
) -> None:
    botkube(nodes, "node-1")
    async with beginning(nodes):
        pass
    since, lookout = nodes.clock.seconds(), Lookout()
    nodes.clock.moved += 50
    await see_off(nodes, lookout)
    lifted = int(nodes.clock.seconds())
    if is_on_again:
        async with beginning(nodes, seed=2):
            pass
    nodes.changes["node"] = "node-2"
    botkube(nodes, "node-2", "second")
    async with beginning(nodes, lookout, seed=3, waits_since=since) as begun:
        windows = begun.counting.document.windows

    assert begun.keeper.store.where.endswith("-1")
    assert (windows.count_from or 0) > lifted
    ((start, end),) = windows.stopped
    assert (start, end > lifted) == (0, True)


@pytest.mark.parametrize(
    "who",
    ["itself", "itself, turned on", "another first", "another first, turned on"],
)
async def test_nothing_of_an_off_that_one_in_mode_local_has_missed_is_kept(
    nodes: Lab, who: str
) -> None:
    """What it learned meanwhile would be told once the mode is `on`."""
    sends, learned = who.endswith("turned on"), Instance(bots={"slack"}, started=True)
    botkube(nodes, "node-1")
    async with beginning(nodes, sends=False) as begun:
        await see_off(nodes, Lookout())
        begun.counting.document.instances["uid/1"] = learned
        await leave_backlog(nodes, begun)
    lifted = int(nodes.clock.seconds())
    if who.startswith("another first"):
        nodes.changes["node"] = "node-2"
        botkube(nodes, "node-2", "second")
        async with beginning(nodes, seed=2, sends=False) as second:
            # Nor is it learned from the head of a log in a slot that was free.
            ((start, end),) = second.counting.document.windows.stopped
        assert (start, end > lifted) == (0, True)
    nodes.changes["node"] = "node-1"
    async with beginning(nodes, seed=3, sends=sends) as third:
        found = third.counting.document
        ((start, end),) = found.windows.stopped

    assert third.keeper.store.where.endswith("-0")
    assert (found.instances, found.outbox) == ({"uid/1": Instance()}, [])
    assert (start, end > lifted) == (0, True)


async def test_what_was_learned_in_mode_local_is_told_once_it_is_on(nodes: Lab) -> None:
    """Also in a slot whose replica is not the first that is turned on."""
    learned = Instance(bots={"slack"}, started=True)
    for number in (1, 2):
        nodes.changes["node"] = f"node-{number}"
        botkube(nodes, f"node-{number}", f"botkube-{number}")
        async with beginning(nodes, seed=number, sends=False) as begun:
            begun.counting.document.instances["uid/1"] = learned
            await leave_backlog(nodes, begun)
    found = []
    for number in (1, 2):
        nodes.changes["node"] = f"node-{number}"
        async with beginning(nodes, seed=number + 2) as begun:
            found.append(begun.counting.document)

    assert [one.instances for one in found] == [{"uid/1": learned}] * 2
    assert [one.outbox for one in found] == [[], []]


@pytest.mark.parametrize("is_fresh", [True, False])
async def test_what_was_written_before_a_start_may_be_of_mode_local_if_another_is(
    nodes: Lab, *, is_fresh: bool
) -> None:
    botkube(nodes, "node-1")
    async with beginning(nodes) as first:
        stream = await leave_backlog(nodes, first)
    nodes.changes["node"] = "node-2"
    botkube(nodes, "node-2", "second")
    async with beginning(nodes, seed=2, sends=False):
        pass
    now = int(nodes.clock.seconds())
    if is_fresh:
        botkube(nodes, "node-3", "third")
    nodes.changes["node"] = "node-3" if is_fresh else "node-1"
    async with beginning(nodes, seed=3) as again:
        found = again.counting.document

    assert (found.outbox, found.stream == stream) == ([], False)
    ((start, end),) = found.windows.stopped
    assert (start, end > now) == (0, True)


async def test_one_that_works_misses_no_off_because_another_is_local(nodes: Lab) -> None:
    """As while the pods of a DaemonSet are replaced because of a write key, there and back."""
    botkube(nodes, "node-1")
    async with beginning(nodes) as begun:
        nodes.changes["node"] = "node-2"
        botkube(nodes, "node-2", "second")
        async with beginning(nodes, seed=2, sends=False):
            await begun.note()
        async with beginning(nodes, seed=3):
            await begun.note()


async def test_an_off_is_noted_once_while_the_mode_is_local(world: Lab) -> None:
    async with beginning(world, sends=False):
        pass
    written = world.cluster.server.faults.add(
        Delay(), verb="update", path="-installation$", times=None
    )
    annotate(world, "true")
    looks: list[object] = []
    for _ in range(2):
        lookout = Lookout(looks.append)
        waiting, clock = until(lambda: len(looks) > 3), world.clock.seconds
        await stand(waiting, world.options(), lookout, clock=clock, every_seconds=0.01)
        looks.clear()

    assert written.seen == 1
    assert (await installation(world)).is_off


async def test_one_in_mode_local_obeys_an_off_that_it_has_missed_when_it_is_stopped(
    world: Lab,
) -> None:
    botkube(world, "node-1")
    world.changes["pace"] = attrs.evolve(world.options().pace, switches=1000)
    async with world.agent(sends=False) as agent:
        await see_off(world, Lookout())
        with pytest.raises(SwitchedOff):
            await world.finish(agent)

    assert (await document(world)).off_seconds is not None


async def test_an_off_in_the_quiet_period_is_obeyed_by_another(world: Lab) -> None:
    world.changes["quiet_period_seconds"] = 3600
    async with beginning(world):
        pass
    await see_off(world, Lookout())
    seen = int(world.clock.seconds())
    async with beginning(world, seed=2) as second:
        ((since, until_),) = second.counting.document.windows.stopped

    assert since <= seen < until_


# --- who takes an off back ------------------------------------------------------------------------


async def test_one_that_works_takes_no_off_back_that_it_has_missed(world: Lab) -> None:
    botkube(world, "node-1")
    # Nor does a tick of its own write State, and obey in its own task.
    world.changes["pace"] = attrs.evolve(world.options().pace, switches=1000, tick=1000)
    async with world.agent() as agent:
        pipeline = agent.pipeline
        assert pipeline is not None
        before = pipeline.counting.document.stream
        await see_off(world, Lookout())
        pipeline.counting.document.seq += 1  # as if a window had ended
        pipeline.counting.document.outbox = list(BACKLOG.document.outbox)
        # As it would be learned of a line from between that off and this moment.
        (key,) = pipeline.counting.document.instances
        pipeline.counting.document.instances[key] = Instance(bots={"slack"}, started=True)
        with pytest.raises(SwitchedOff):
            await pipeline.commit()
        found = await document(world)

        assert not pipeline.outbox.may_send.is_set()
    assert (found.outbox, found.stream == before, found.sends) == ([], False, False)
    assert found.off_seconds is not None
    assert found.instances == {key: Instance()}
    assert (await installation(world)).sends is False


async def test_one_that_works_obeys_an_off_that_another_has_taken_back(nodes: Lab) -> None:
    """At the latest when it is stopped."""
    pod = botkube(nodes, "node-1")
    nodes.changes["window_seconds"] = 3600
    nodes.changes["pace"] = attrs.evolve(nodes.options().pace, switches=1000)
    async with nodes.agent() as agent:
        pipeline = agent.pipeline
        assert pipeline is not None
        await see_off(nodes, Lookout())
        write(pod, nodes, 5)
        nodes.changes["node"] = "node-2"
        botkube(nodes, "node-2", "second")
        async with beginning(nodes, seed=2):
            pass
        await until(lambda: pipeline.counting.lines > 0)
        with pytest.raises(SwitchedOff):
            await nodes.finish(agent)
    worked, took_back = slots(nodes)

    assert (worked.windows.open, worked.sends, took_back.sends) == ({}, False, True)


@pytest.mark.parametrize(
    ("how", "is_missed"), [("fails", True), ("fails", False), ("is slow", True)]
)
async def test_nothing_is_sent_before_it_is_known_whether_an_off_was_missed(
    world: Lab,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    *,
    how: str,
    is_missed: bool,
) -> None:
    caplog.set_level("INFO")
    pod, server = botkube(world, "node-1"), world.cluster.server
    world.changes["pace"] = attrs.evolve(world.options().pace, switches=1000)
    async with world.agent() as agent:
        pipeline = agent.pipeline
        assert pipeline is not None
        write(pod, world, 20)
        world.clock.is_held = True
        if is_missed:
            await see_off(world, Lookout())
        before = len(world.collector.requests)
        with monkeypatch.context() as slow:
            if how == "fails":
                server.faults.add(Answer(500), verb="get", path="-installation$", times=None)
            else:
                slow.setattr("agent.beginning.READ_SECONDS", 0.0)
            world.clock.is_held = False
            await until(lambda: bool(pipeline.counting.document.outbox))
            await until(lambda: bool(pipeline.untold))
            commits = pipeline.commits
            await after(world, WINDOW_SECONDS / 2)
            # State holds it already; another window may have ended meanwhile.
            assert pipeline.commits <= commits + 2
            held = [pipeline.outbox.may_leave(one) for one in pipeline.counting.document.outbox]
            assert (set(held), len(world.collector.requests)) == ({False}, before)
            view = shown(world, agent).view()
            assert view.means.startswith("Nothing is sent until the installation object can be")
            assert view.figures.holds_back
            world.clock.is_held, commits = True, pipeline.commits
            server.faults.clear()
        if is_missed:
            with pytest.raises(ExceptionGroup) as raised:
                await agent.task
            assert raised.group_contains(SwitchedOff)
        else:
            await until(lambda: len(world.collector.requests) > before)
            assert pipeline.commits == commits
            view = shown(world, agent).view()
            assert (view.means, view.figures.holds_back) == ("", False)
    said = [one.message for one in caplog.records if one.message.startswith("installation")]

    assert len(world.collector.requests) > before or is_missed
    assert said == ["installation cannot be read", "installation can be read again"]


async def test_what_was_committed_before_is_held_back_too(world: Lab) -> None:
    pod, faults = botkube(world, "node-1"), world.cluster.server.faults
    refused = world.collector.faults.add(Answer(503), path="/v1/batch", times=None)
    async with world.agent() as agent:
        pipeline = agent.pipeline
        assert pipeline is not None
        write(pod, world, 20)
        await until(lambda: refused.seen > 0)
        (first, *_) = pipeline.counting.document.outbox
        may_leave = [pipeline.outbox.may_leave(first)]
        faults.add(Answer(500), verb="get", path="-installation$", times=None)
        await until(lambda: bool(pipeline.untold))
        may_leave.append(pipeline.outbox.may_leave(first))
        faults.clear()
        await until(lambda: not pipeline.untold)
        may_leave.append(pipeline.outbox.may_leave(first))

    assert may_leave == [True, False, True]


def shown(world: Lab, agent: Agent) -> Running:
    """Return what the page of an agent in mode `on` is made from."""
    return Running(
        Decision(Mode.ON, "a test"),
        world.ruleset,
        world.options(),
        agent.ledger,
        (),
        has_destination=True,
        clock=world.clock.seconds,
        pipeline=agent.pipeline,
        looked=world.clock.seconds(),
    )


@pytest.mark.looptime
async def test_whether_an_off_was_missed_has_no_answer_after_a_few_seconds() -> None:
    silent = Silent(answers=0)
    keeper = Keeper(silent, str, bytes)
    began = asyncio.get_running_loop().time()
    with pytest.raises(StateError, match="no answer in time"):
        await _note(silent, "", keeper, BACKLOG, lambda: 1.0, Installation("id", 1))

    assert 1 <= asyncio.get_running_loop().time() - began <= 3


def test_an_end_takes_five_seconds_at_most() -> None:
    assert STOP_SECONDS + LEDGER_STOP_SECONDS + RELEASE_SECONDS <= 5


async def test_an_end_does_not_wait_for_the_installation(
    world: Lab, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("agent.pipeline.STOP_SECONDS", READ_SECONDS / 4)
    async with world.agent() as agent:
        world.cluster.server.faults.add(HalfOpen(), path="-installation$", times=None)
        began = asyncio.get_running_loop().time()
        await world.finish(agent)
        took = asyncio.get_running_loop().time() - began

    world.cluster.server.faults.clear()
    found = await document(world)

    assert took < READ_SECONDS / 2
    assert found.stopped_seconds is not None
    assert caplog.messages[-1] == "installation cannot be read"


async def test_what_cannot_be_noted_keeps_nothing_back_where_no_off_was_missed(world: Lab) -> None:
    botkube(world, "node-1")
    async with world.agent():
        await until(lambda: len(world.collector.requests) > 0)
        refused = world.cluster.server.faults.add(
            Answer(403), verb="update", path="-installation$", times=None
        )
        await until(lambda: refused.seen > 0)
        before = len(world.collector.requests)
        await until(lambda: len(world.collector.requests) > before)


async def test_a_beginning_that_cannot_know_whether_it_has_missed_an_off_is_none(
    world: Lab,
) -> None:
    async with beginning(world):
        pass
    broken = Answer(500)
    world.cluster.server.faults.add(broken, verb="get", path="-installation$", nth=2, times=None)
    with pytest.raises(StateError, match="cannot read"):
        async with beginning(world, seed=2):
            pass


@pytest.mark.parametrize("works", [True, False], ids=["it works", "it begins anew"])
async def test_an_off_is_missed_although_one_before_it_was_obeyed(
    nodes: Lab, *, works: bool
) -> None:
    """Another replica takes it back, while nothing that is counted is to be sent yet."""
    nodes.changes["quiet_period_seconds"] = 3600
    botkube(nodes, "node-1")
    async with beginning(nodes):
        pass
    await see_off(nodes, Lookout())
    async with beginning(nodes, seed=2) as begun:
        stream = await leave_backlog(nodes, begun)
    async with beginning(nodes, seed=3) as begun:
        assert begun.counting.document.stream == stream
        await begun.note()
        nodes.clock.moved += 5
        await see_off(nodes, Lookout())
        nodes.changes["node"] = "node-2"
        botkube(nodes, "node-2", "second")
        async with beginning(nodes, seed=4):
            pass
        if works:
            with pytest.raises(SwitchedOff):
                await begun.note()
    if not works:
        nodes.changes["node"] = "node-1"
        async with beginning(nodes, seed=5) as begun:
            assert begun.counting.document.stream != stream


async def test_a_beginning_takes_no_off_back_that_it_has_missed(world: Lab) -> None:
    async with beginning(world):
        pass
    go_on = asyncio.Event()
    claim = world.cluster.server.faults.add(Delay(go_on), verb="update", path="-state$")

    async def between_its_looks() -> None:
        await until(lambda: claim.seen > 0)
        await see_off(world, Lookout())
        go_on.set()

    seeing = asyncio.create_task(between_its_looks())
    with pytest.raises(SwitchedOff):
        async with beginning(world, seed=2):
            pass
    await seeing

    assert (await installation(world)).sends is False


async def test_an_off_that_a_pipeline_saw_takes_nothing_from_who_is_on_again(world: Lab) -> None:
    world.changes["pace"] = attrs.evolve(world.options().pace, switches=0.05)
    async with world.agent() as agent:
        annotate(world, "true")
        await ended(agent)
    annotate(world, None)
    async with beginning(world, seed=2) as second:
        stream = await leave_backlog(world, second)
    async with beginning(world, agent.lookout, seed=3) as third:
        found = third.counting.document

    assert (found.stream, len(found.outbox)) == (stream, len(BACKLOG.document.outbox))


@pytest.mark.parametrize("sends", [True, False])
async def test_an_off_stays_until_a_beginning_could_take_it_back(
    world: Lab, monkeypatch: pytest.MonkeyPatch, *, sends: bool
) -> None:
    async with beginning(world, sends=sends):
        pass
    await see_off(world, Lookout())
    server = world.cluster.server
    server.faults.add(Answer(403), verb="update", path="-installation$", times=None)
    with pytest.raises(StateError):
        async with beginning(world, seed=2, sends=sends):
            pass
    still = await installation(world)
    server.faults.clear()
    # However slow that is.
    monkeypatch.setattr("agent.beginning.NOTE_SECONDS", 0.0)
    async with beginning(world, seed=3, sends=sends) as third:
        stream = await leave_backlog(world, third)
    async with beginning(world, seed=4, sends=sends) as fourth:
        found = fourth.counting.document

    assert (still.is_off, (await installation(world)).is_off) == (True, False)
    assert (found.stream, len(found.outbox)) == (stream, len(BACKLOG.document.outbox))


async def test_an_installation_that_is_deleted_meanwhile_holds_nothing_back(world: Lab) -> None:
    """The chart's Role names the object and may not make another one."""
    pod = world.cluster.botkube(NAMESPACE, at=world.clock.ns())
    async with world.agent():
        await until(lambda: bool(world.collector.requests))
        world.cluster.server.access.deny("create", "configmaps")
        name = "botkube-analytics-installation"
        world.cluster.server.store.delete(CONFIGMAPS, NAMESPACE, name)
        truth = write(pod, world, 20)
        await until(lambda: missing(truth, world) == {})


async def test_what_is_not_understood_is_no_right_that_is_missing(
    world: Lab, caplog: pytest.LogCaptureFixture
) -> None:
    data = {"a": "analytics: ["}
    world.cluster.config_map(NAMESPACE, "botkube-global-config", data)
    lookout = Lookout()
    async with beginning(world, lookout):
        pass

    assert [one.value for one in lookout.unreadable] == ["not readable"]
    assert "a right is missing" not in caplog.messages


async def test_a_look_takes_no_longer_than_it_may(world: Lab) -> None:
    world.cluster.server.faults.add(HalfOpen(), path=f"/namespaces/{NAMESPACE}$", times=None)
    lookout, loop = Lookout(), asyncio.get_running_loop()
    async with Client(world.options().access, "test") as client:
        began = loop.time()
        with pytest.raises(ApiError):
            await lookout.look(client, world.options(), now_seconds=1, limit_seconds=0.05)
        ended_at = loop.time()

    assert began <= lookout.begun <= ended_at < began + 5


async def test_a_look_without_an_answer_does_not_keep_one_that_stands_by_from_the_next(
    world: Lab,
) -> None:
    world.cluster.server.faults.add(HalfOpen(), path=f"/namespaces/{NAMESPACE}$")
    annotate(world, "true")
    lookout = Lookout()
    waiting, clock = until(lambda: lookout.owed_since is not None), world.clock.seconds
    began = asyncio.get_running_loop().time()
    await stand(waiting, world.options(), lookout, clock=clock, every_seconds=0.5)

    assert asyncio.get_running_loop().time() - began < 10


@pytest.mark.parametrize("status", [403, 404])
async def test_a_namespace_that_cannot_be_listed_hides_not_that_no_pod_is_here(
    nodes: Lab, status: int
) -> None:
    """And one that waits on a node without BotKube looks at the switches less often."""
    nodes.cluster.server.faults.add(Answer(status), path="/namespaces/other/pods$", times=None)
    pace = attrs.evolve(nodes.options().pace, switches=0.05)
    options = attrs.evolve(nodes.options(), namespaces=(NAMESPACE, "other"), pace=pace)
    none_here, stop, looks = asyncio.Event(), asyncio.Event(), []
    lookout = Lookout(lambda _found: looks.append(lookout.begun))
    waiting = run_on_node(
        options,
        World(nodes.clock.seconds, random.Random(1), uuid.uuid4, random.randbytes),
        never,
        stand_by=lambda: None,
        lead=lambda: None,
        none_here=none_here.set,
        answers={},
        stop=stop,
        lookout=lookout,
    )
    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        group.create_task(waiting)
        await none_here.wait()
        await until(lambda: len(looks) > 1)
        stop.set()

    assert looks[1] - looks[0] >= 10 * pace.switches


async def never() -> None:
    """Stand for a term that must not begin."""
    raise AssertionError


async def test_odd_pods_keep_no_replica_from_its_slot(tmp_path: Path, ruleset: RuleSet) -> None:
    pods = [None, 7, {"metadata": None}, {"metadata": {"uid": "a"}, "spec": [1], "status": [[]]}]
    async with lab(tmp_path, ruleset, state_path=None, slots=1, node="node-1") as world:
        body = orjson.dumps({"items": pods, "metadata": {}})
        world.cluster.server.faults.add(Answer(200, body), path="/pods$", times=None)
        async with beginning(world):
            pass


async def test_a_botkube_that_is_scaled_to_zero_and_back_stays_off(world: Lab) -> None:
    found: list[ClusterSwitch] = []
    lookout = Lookout(lambda read: found.append(read[-1]))
    store = world.cluster.server.store

    def say(value: str) -> str:
        name = botkube(world, "node-1", f"botkube-{value}").name
        spec = {
            "containers": [
                {"name": "botkube", "image": "x", "env": [{"name": VARIABLE, "value": value}]}
            ]
        }
        store.merge(PODS, NAMESPACE, name, {"spec": spec})
        return name

    async with Client(world.options().access, "test") as client:

        async def look() -> None:
            await lookout.look(client, world.options(), now_seconds=1)

        await look()
        name = say("true")
        await look()
        store.delete(PODS, NAMESPACE, name)
        await look()
        await look()
        say("false")
        await look()

    assert [(one.value, one.is_off) for one in found] == [
        ("no pod", False),
        ("true", True),
        ("no pod now, and said off", True),
        ("no pod now, and said off", True),
        ("false", False),
    ]


# --- what is shown --------------------------------------------------------------------------------

STANDS = Snapshot(leads=False)
DISCARDED = "What was unsent is discarded, and"
LATER = "What was unsent is discarded before anything is read or sent again"


@pytest.mark.parametrize(
    ("owes", "figures", "cannot_begin", "says"),
    [
        (False, Snapshot(), "", DISCARDED),
        (False, Snapshot(), "it is broken", DISCARDED),
        (True, Snapshot(), "", f"{LATER}, and"),
        (True, Snapshot(), "it is broken", f"{LATER}, which cannot be done yet, because it is"),
        (True, STANDS, "", f"{LATER}, and"),
        (True, STANDS, "it is broken", f"{LATER}, and"),
    ],
)
def test_the_page_says_what_becomes_of_what_is_unsent(
    *, owes: bool, figures: Snapshot, cannot_begin: str, says: str
) -> None:
    view = View(1, "1", "off", "x", owes_off=owes, figures=figures, cannot_begin=cannot_begin)

    assert f" nothing is sent. {says}" in view.means


def test_one_that_stands_by_says_so_before_what_it_owes() -> None:
    view = View(1, "1", "on", "x", owes_off=True, figures=STANDS, cannot_begin="it is broken")

    assert view.means.startswith("This replica stands by")
    assert "discarded" not in view.means


@pytest.mark.parametrize("is_blind", [True, False])
def test_one_that_waits_says_that_it_cannot_list_pods(*, is_blind: bool) -> None:
    view = View(1, "1", "on", "x", figures=STANDS, is_blind=is_blind)

    assert view.means.startswith("This replica stands by")
    assert ("`pods cannot be listed` in its log" in view.means) is is_blind


@pytest.mark.parametrize("is_off", [True, False])
def test_what_keeps_the_agent_off_is_said_of_a_switch_that_says_off(*, is_off: bool) -> None:
    held = SwitchRow("a", f"no pod now, {SAID_OFF}", is_off)
    view = View(1, "1", "off", "x", switches=(held, SwitchRow("b", "true", is_off=True)))

    assert ("stays off until it says otherwise" in view.means) is is_off
