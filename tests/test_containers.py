"""Which containers are followed, and whose windows wait for whom."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import attrs
import pytest

from agent import instances
from agent.aggregate import Windows
from agent.counting import Counting
from agent.instances import LEFT_SECONDS, MAX_LEFT
from agent.model import Identity
from agent.rules import RuleSet
from agent.source.discovery import read_pod
from agent.source.switches import MAX_PODS
from agent.state.document import Document, decode
from tests.agents import (
    NAMESPACE,
    PACE,
    WINDOW_SECONDS,
    Agent,
    Lab,
    after,
    lab,
    missing,
    until,
    write,
)
from tests.faults.words import word_rules
from tests.sim.botkube import Fact
from tests.sim.faults import Answer, Call, Delay, Reset, Scheduled
from tests.sim.pods import Pod
from tests.sim.store import PODS

OTHER = "other"


async def test_an_older_picture_of_a_pod_is_not_taken(tmp_path: Path, ruleset: RuleSet) -> None:
    """A watch that lags would bring back a container that has long been replaced."""
    async with lab(tmp_path, ruleset) as world, world.agent() as agent:
        pipeline = agent.pipeline
        assert pipeline is not None
        known = pipeline.containers.pods
        pod = world.cluster.botkube(NAMESPACE, at=world.clock.ns())
        await until(lambda: pod.uid in known and bool(known[pod.uid].containers[0].container_id))
        older = known[pod.uid]
        pod.crash(at=world.clock.ns())
        pod.restart(at=world.clock.ns())
        await until(lambda: known[pod.uid].containers[0].container_id == pod.container_id())
        newer = known[pod.uid]
        pipeline.containers.pod_changed(older)

        assert known[pod.uid] == newer
        follow = pipeline.containers.follows[f"{pod.uid}/{pod.container_id()}"]
        assert follow.is_current()


@pytest.mark.parametrize("status", [403, 404])
async def test_a_namespace_that_may_not_be_read_does_not_hold_the_others_windows(
    tmp_path: Path, ruleset: RuleSet, status: int
) -> None:
    async with lab(tmp_path, ruleset, namespaces=(NAMESPACE, OTHER)) as world:
        where = f"/namespaces/{OTHER}/pods$"
        world.cluster.server.faults.add(Answer(status), path=where, times=None)
        async with world.agent():
            truth = write(world.cluster.botkube(NAMESPACE, at=world.clock.ns()), world, 20)
            await until(lambda: missing(truth, world) == {})


async def test_a_namespace_that_is_not_known_yet_holds_all_windows(
    tmp_path: Path, ruleset: RuleSet
) -> None:
    """Its lines would be late else: the API server will answer sooner or later."""
    async with lab(tmp_path, ruleset, namespaces=(NAMESPACE, OTHER)) as world:
        world.cluster.server.faults.add(
            Answer(500),
            path=f"/namespaces/{OTHER}/pods$",
            # The switch in the pods has an answer: without one, nothing is read of any namespace.
            when=lambda call: call.query.get("limit") != MAX_PODS,
            times=None,
        )
        async with world.agent():
            truth = write(world.cluster.botkube(NAMESPACE, at=world.clock.ns()), world, 20)
            await after(world, 5 * WINDOW_SECONDS)
            assert world.reports() == []
            world.cluster.server.faults.clear()
            await until(lambda: missing(truth, world) == {})


async def test_instances_that_have_ended_take_room_from_the_hashes_of_the_others(
    tmp_path: Path, ruleset: RuleSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[int, int]] = []

    def kept(containers: int, ended: int) -> int:
        asked.append((containers, ended))
        return 1

    monkeypatch.setattr("agent.containers.hashes_kept", kept)
    async with lab(tmp_path, ruleset) as world, world.agent():
        pod = world.cluster.botkube(NAMESPACE, at=world.clock.ns())
        truth = write(pod, world, 20)
        await until(lambda: missing(truth, world) == {})
        pod.crash(at=world.clock.ns())
        pod.restart(at=world.clock.ns())
        await until(lambda: asked[-1] == (1, 1))

    assert (1, 0) in asked


# --- pods that leave the selection ---


def relabel(world: Lab, pod: Pod, component: str) -> None:
    patch = {"metadata": {"labels": {"component": component}}}
    world.cluster.server.store.merge(PODS, NAMESPACE, pod.name, patch)


async def leave(world: Lab, pod: Pod, agent: Agent) -> None:
    """Let a pod leave the selection, and wait until that stands in State."""
    relabel(world, pod, "another")
    assert agent.pipeline is not None
    containers, state = agent.pipeline.containers, world.folder / "state.json"
    # In State itself: the commit that has it may be over before anybody looks for the next one,
    # which may be a quarter of an hour away.
    await until(lambda: not containers.follows and pod.uid in decode(state.read_bytes()).left)


@pytest.mark.parametrize("is_restarted", [False, True])
@pytest.mark.parametrize("is_killed", [False, True])
async def test_a_pod_that_comes_back_into_the_selection_is_read_on_where_it_was_left(
    tmp_path: Path, ruleset: RuleSet, *, is_restarted: bool, is_killed: bool
) -> None:
    async with lab(tmp_path, ruleset) as world, world.agent() as agent:
        pod = world.cluster.botkube(NAMESPACE, at=world.clock.ns())
        truth = write(pod, world, 20)
        await until(lambda: missing(truth, world) == {})
        await leave(world, pod, agent)
        truth.update(write(pod, world, 10, seed=2))
        if is_restarted:
            pod.crash(at=world.clock.ns())
            pod.restart(at=world.clock.ns())
            truth["Application crashed", (("kind", "unknown"),)] += 1
            truth.update(write(pod, world, 10, seed=3))
        await after(world, 2 * WINDOW_SECONDS)  # its window is closed, and the next ones
        if is_killed:
            await world.kill(agent)
        async with AsyncExitStack() as stack:
            if is_killed:
                await stack.enter_async_context(world.agent(seed=2))
            relabel(world, pod, "controller")
            await until(lambda: missing(truth, world) == {})
            truth.update(write(pod, world, 10, seed=4))
            await until(lambda: missing(truth, world) == {})
            await after(world, 2 * WINDOW_SECONDS)

    assert missing(truth, world) == {}
    # What it wrote meanwhile counts, but windows were closed without it.
    assert world.gaps().keys() == {"unreadable"}


async def test_a_pod_that_comes_back_before_its_follow_has_ended_is_followed_again(
    tmp_path: Path, ruleset: RuleSet
) -> None:
    async with lab(tmp_path, ruleset) as world, world.agent() as agent:
        pod = world.cluster.botkube(NAMESPACE, at=world.clock.ns())
        truth = write(pod, world, 20)
        await until(lambda: missing(truth, world) == {})
        assert agent.pipeline is not None
        containers = agent.pipeline.containers
        picture = containers.pods[pod.uid]
        (before,) = containers.follows.values()
        containers._leave(pod.uid)
        containers.pod_changed(picture)
        await until(lambda: [*containers.follows.values()] not in ([before], []))
        truth.update(write(pod, world, 20, seed=2))
        await until(lambda: missing(truth, world) == {})

    assert not world.gaps()


async def test_a_pod_that_does_not_come_back_is_forgotten_after_a_day(
    tmp_path: Path, ruleset: RuleSet
) -> None:
    async with lab(tmp_path, ruleset, window_seconds=3600) as world, world.agent() as agent:
        pod = world.cluster.botkube(NAMESPACE, at=world.clock.ns())
        truth = write(pod, world, 20)
        assert agent.pipeline is not None
        document = agent.pipeline.counting.document
        await after(world, 10)
        world.clock.moved += 3600
        await until(lambda: missing(truth, world) == {})
        await leave(world, pod, agent)
        world.clock.moved += LEFT_SECONDS - 3600
        await after(world, 10)
        assert (len(document.cursors), len(document.restarts)) == (1, 1)
        world.clock.moved += 3600
        await until(lambda: not document.left)
        assert (document.cursors, document.instances, document.restarts) == ({}, {}, {})
        world.clock.moved += 3600
        await until(lambda: "pod_gone" in world.gaps())

    # As long as it may come back nobody knows that it writes nothing.
    assert world.gaps().keys() == {"unreadable", "pod_gone"}
    assert world.gaps()["pod_gone"] == 60


@pytest.mark.parametrize("is_restarted", [False, True])
async def test_a_pod_that_left_unnoticed_is_read_on_where_it_was_left(
    tmp_path: Path, ruleset: RuleSet, *, is_restarted: bool
) -> None:
    """The lists do not tell it from one that is gone, so the agent that comes next asks."""
    async with lab(tmp_path, ruleset) as world:
        async with world.agent() as agent:
            pod = world.cluster.botkube(NAMESPACE, at=world.clock.ns())
            truth = write(pod, world, 20)
            if is_restarted:
                await until(lambda: missing(truth, world) == {})
                pod.crash(at=world.clock.ns())
                pod.restart(at=world.clock.ns())
                truth["Application crashed", (("kind", "unknown"),)] += 1
                truth.update(write(pod, world, 10, seed=2))
            await until(lambda: missing(truth, world) == {})
            await world.kill(agent)
        relabel(world, pod, "another")
        async with world.agent(seed=2) as agent:
            assert agent.pipeline is not None
            document = agent.pipeline.counting.document
            await until(lambda: pod.uid in document.left)
            await after(world, 2 * WINDOW_SECONDS)
            truth.update(write(pod, world, 10, seed=3))
            relabel(world, pod, "controller")
            await until(lambda: missing(truth, world) == {})
            await after(world, 2 * WINDOW_SECONDS)

    assert missing(truth, world) == {}
    assert world.gaps().keys() == {"unreadable"}


async def test_a_pod_that_went_unnoticed_is_gone(tmp_path: Path, ruleset: RuleSet) -> None:
    async with lab(tmp_path, ruleset) as world:
        async with world.agent() as agent:
            pod = world.cluster.botkube(NAMESPACE, at=world.clock.ns())
            truth = write(pod, world, 20)
            await until(lambda: missing(truth, world) == {})
            await world.kill(agent)
        pod.remove(at=world.clock.ns())
        async with world.agent(seed=2):
            await until(lambda: bool(world.gaps()))

    assert world.gaps().keys() == {"pod_gone"}


async def test_a_pod_that_went_unnoticed_leaves_its_gap_where_its_lines_would_be(
    tmp_path: Path, ruleset: RuleSet
) -> None:
    """Windows that were over when the agent came back have been closed before it was known."""
    async with lab(tmp_path, ruleset) as world:
        async with world.agent() as agent:
            pod = world.cluster.botkube(NAMESPACE, at=world.clock.ns())
            truth = write(pod, world, 20)
            await until(lambda: missing(truth, world) == {})
            await world.kill(agent)
        lost = datetime.fromtimestamp(world.clock.seconds(), UTC)
        write(pod, world, 20)
        pod.remove(at=world.clock.ns())
        world.clock.moved += 3 * WINDOW_SECONDS

        def has_lost(report: Mapping[str, Any]) -> bool:
            start, end = (
                datetime.fromisoformat(report[f"window_{one}"]) for one in ("start", "end")
            )
            return start <= lost < end

        async with world.agent(seed=2):
            # Of a slow machine the window before may have a part of it.
            await until(lambda: any(map(has_lost, world.reports())))

    (report,) = filter(has_lost, world.reports())
    assert "gap_seconds_pod_gone" in report


async def test_a_namespace_that_may_not_be_listed_keeps_no_loss_in_another_unsaid(
    tmp_path: Path, ruleset: RuleSet
) -> None:
    """Whose pod it was State does not say: that it may come back is believed for a day."""
    async with lab(tmp_path, ruleset, window_seconds=3600, namespaces=(NAMESPACE, OTHER)) as world:
        give_up_soon(world)
        where = f"/namespaces/{OTHER}/pods$"
        world.cluster.server.faults.add(Answer(403), path=where, times=None)
        pod = world.cluster.botkube(NAMESPACE, at=world.clock.ns())
        async with world.agent() as agent:
            write(pod, world, 20)
            await after(world, 20)
            await world.kill(agent)
        pod.remove(at=world.clock.ns())
        async with world.agent(seed=2) as agent:
            assert agent.pipeline is not None
            document = agent.pipeline.counting.document
            await until(lambda: pod.uid in document.left)
            world.clock.moved += LEFT_SECONDS + 3600
            await until(lambda: "pod_gone" in world.gaps())

            assert (document.left, document.instances) == ({}, {})
    assert world.gaps().keys() == {"pod_gone", "unreadable"}


async def test_what_may_not_be_listed_any_more_is_not_passed_off_as_silent(
    tmp_path: Path, ruleset: RuleSet
) -> None:
    """Another BotKube is read all the while, so that windows say that all could be observed."""
    async with lab(tmp_path, ruleset, namespaces=(NAMESPACE, OTHER)) as world:
        world.cluster.namespace(OTHER)
        one = world.cluster.botkube(NAMESPACE, at=world.clock.ns(), name="one")
        other = world.cluster.botkube(OTHER, at=world.clock.ns(), name="other")
        truth = write(one, world, 10) + write(other, world, 10, seed=2)
        async with world.agent() as agent:
            await until(lambda: missing(truth, world) == {})
            await world.kill(agent)
        where = f"/namespaces/{OTHER}/pods$"
        refused = world.cluster.server.faults.add(Answer(403), path=where, times=None)
        read = len(world.reports())
        async with world.agent(seed=2):
            await after(world, WINDOW_SECONDS)
            truth += write(other, world, 10, seed=3)
            await until(lambda: len(world.reports()) > read + 3)
            await is_unreadable_until_it_may_be_listed(world, truth, refused, read)


async def test_a_rollout_where_pods_may_not_be_listed_any_more_is_not_silent(
    tmp_path: Path, ruleset: RuleSet
) -> None:
    """Nobody knows the pod that comes; of the one that goes there is only its end."""
    async with lab(tmp_path, ruleset, namespaces=(NAMESPACE, OTHER)) as world:
        world.cluster.namespace(OTHER)
        one = world.cluster.botkube(NAMESPACE, at=world.clock.ns(), name="one")
        before = world.cluster.botkube(OTHER, at=world.clock.ns(), name="other")
        truth = write(one, world, 10) + write(before, world, 10, seed=2)
        async with world.agent() as agent:
            await until(lambda: missing(truth, world) == {})
            assert agent.pipeline is not None
            where = f"/namespaces/{OTHER}/pods$"
            refused = world.cluster.server.faults.add(Answer(403), path=where, times=None)
            world.cluster.server.end_watches()
            await until(lambda: bool(agent.pipeline and agent.pipeline.listing.refused))
            before.remove(at=world.clock.ns())
            after_it = world.cluster.botkube(OTHER, at=world.clock.ns(), name="other")
            await until(lambda: "pod_gone" in world.gaps())
            read = len(world.reports())
            truth += write(after_it, world, 10, seed=3)
            await until(lambda: len(world.reports()) > read + 2)
            await is_unreadable_until_it_may_be_listed(world, truth, refused, read)


async def an_hour_is_reported(world: Lab) -> None:
    told = len(world.reports())
    world.clock.moved += 3600
    await until(lambda: len(world.reports()) > told)


async def test_what_came_to_a_namespace_that_is_gone_is_waited_for_for_a_day(
    tmp_path: Path, ruleset: RuleSet
) -> None:
    """With the namespace went the right to list it."""
    namespaces = NAMESPACE, OTHER
    async with lab(tmp_path, ruleset, namespaces=namespaces, window_seconds=3600) as world:
        world.cluster.namespace(OTHER)
        one = world.cluster.botkube(NAMESPACE, at=world.clock.ns(), name="one")
        async with world.agent() as agent:
            truth = write(one, world, 10)
            world.clock.moved += 3600
            await until(lambda: missing(truth, world) == {})
            where = f"/namespaces/{OTHER}/pods$"
            world.cluster.server.faults.add(Answer(403), path=where, times=None)
            world.cluster.server.end_watches()
            await until(lambda: bool(agent.pipeline and agent.pipeline.listing.refused))
            read = len(world.reports())
            for _ in range(27):
                await an_hour_is_reported(world)

    gaps = ["gap_seconds_unreadable" in report for report in world.reports()[read:]]
    assert sum(gaps) in {24, 25}  # it was refused within an hour
    assert gaps == sorted(gaps, reverse=True)
    assert len(gaps) >= 27


async def test_who_came_and_went_while_pods_could_not_be_listed_may_be_lost(
    tmp_path: Path, ruleset: RuleSet
) -> None:
    """They can be again before the window is over, or another agent starts before they can."""
    async with lab(tmp_path, ruleset, namespaces=(NAMESPACE, OTHER)) as world:
        world.cluster.namespace(OTHER)
        one = world.cluster.botkube(NAMESPACE, at=world.clock.ns(), name="one")
        where = f"/namespaces/{OTHER}/pods$"
        async with world.agent() as agent:
            truth = write(one, world, 10)
            await until(lambda: missing(truth, world) == {})
            await refused_for_a_while(world, agent, where)
            told = len(world.reports())
            await until(lambda: len(world.reports()) > told + 3)
            unread = ["gap_seconds_unreadable" in report for report in world.reports()[told:]]
            assert (unread[0], unread[-1]) == (True, False)
            world.cluster.server.faults.add(Answer(403), path=where, times=None)
            await world.kill(agent)
        told = len(world.reports())
        async with world.agent(seed=2):
            await until(lambda: len(world.reports()) > told + 3)

    assert all("gap_seconds_unreadable" in report for report in world.reports()[told:])


@pytest.mark.parametrize("is_killed", [False, True])
@pytest.mark.parametrize("is_refused", [False, True])
async def test_who_came_while_pods_could_not_be_listed_is_not_forgotten_by_a_restart(
    tmp_path: Path, ruleset: RuleSet, *, is_refused: bool, is_killed: bool
) -> None:
    """A new agent may list them at once, and nothing tells it that the one before could not."""
    namespaces = NAMESPACE, OTHER
    async with lab(tmp_path, ruleset, namespaces=namespaces, window_seconds=3600) as world:
        world.cluster.namespace(OTHER)
        one = world.cluster.botkube(NAMESPACE, at=world.clock.ns(), name="one")
        truth = write(one, world, 10)
        async with world.agent() as agent:
            assert agent.pipeline is not None
            pipeline = agent.pipeline
            await an_hour_is_reported(world)
            told = len(world.reports())
            fault = Answer(403) if is_refused else Answer(500)
            where = f"/namespaces/{OTHER}/pods$"
            lasting = world.cluster.server.faults.add(fault, path=where, times=None)
            world.cluster.server.end_watches()
            listing = pipeline.listing
            await until(lambda: bool(listing.refused or listing.failing))
            if not is_refused:
                world.clock.moved += PACE.unreadable  # less than that is not waited for
            await until(lambda: pipeline.counting.document.blind is not None)
            if is_killed:
                await until(lambda: saved(world).blind is not None)
                late = saved(world).saved_seconds - (saved(world).blind or (0, 0))[0]
                assert late < 60 + (not is_refused) * PACE.unreadable
                await world.kill(agent)
            else:
                await world.finish(agent)
        world.cluster.server.faults.schedules.remove(lasting)
        async with world.agent(seed=2):
            for _ in range(3):
                await an_hour_is_reported(world)
            await until(lambda: missing(truth, world) == {})
            assert saved(world).blind is None

    gaps = ["gap_seconds_unreadable" in one for one in world.reports()[told:]]
    assert gaps[0]
    assert not any(gaps[1:])


async def test_what_was_hidden_before_a_pause_is_told_of_its_own_hour_alone(
    tmp_path: Path, ruleset: RuleSet
) -> None:
    """It was over long before the agent was gone; what was written meanwhile is read and counts."""
    namespaces = NAMESPACE, OTHER
    async with lab(tmp_path, ruleset, namespaces=namespaces, window_seconds=3600) as world:
        world.cluster.namespace(OTHER)
        one = world.cluster.botkube(NAMESPACE, at=world.clock.ns(), name="one")
        truth = write(one, world, 10)
        async with world.agent() as agent:
            assert agent.pipeline is not None
            listing = agent.pipeline.listing
            await an_hour_is_reported(world)
            told = len(world.reports())
            where = f"/namespaces/{OTHER}/pods$"
            refused = world.cluster.server.faults.add(Answer(403), path=where, times=None)
            world.cluster.server.end_watches()
            await until(lambda: bool(listing.refused) and saved(world).blind is not None)
            world.cluster.server.faults.schedules.remove(refused)
            await until(lambda: not listing.refused)
            await world.kill(agent)
        world.clock.moved += 5 * 3600
        truth += write(one, world, 10, seed=2)
        async with world.agent(seed=2):
            await until(lambda: len(world.reports()) >= told + 5)
            await an_hour_is_reported(world)
            await until(lambda: missing(truth, world) == {})

    gaps = ["gap_seconds_unreadable" in one for one in world.reports()[told:]]
    assert gaps[0]
    assert not any(gaps[1:])


def saved(world: Lab) -> Document:
    return decode((world.folder / "state.json").read_bytes())


async def refused_for_a_while(world: Lab, agent: Agent, where: str) -> None:
    """Let pods not be listed within a window that is open before and after."""
    assert agent.pipeline is not None
    pipeline = agent.pipeline
    told = len(world.reports())
    await until(lambda: len(world.reports()) > told)
    refused = world.cluster.server.faults.add(Answer(403), path=where, times=None)
    world.cluster.server.end_watches()
    await until(lambda: bool(pipeline.listing.refused))
    world.cluster.server.faults.schedules.remove(refused)
    await until(lambda: not pipeline.listing.refused)


@pytest.mark.parametrize("is_long", [False, True])
async def test_who_comes_while_nobody_answers_is_waited_for(
    tmp_path: Path, ruleset: RuleSet, *, is_long: bool
) -> None:
    """No log is read that would fail, and yet it is not known that nothing is written."""
    async with lab(tmp_path, ruleset) as world, world.agent() as agent:
        assert agent.pipeline is not None
        pipeline, windows = agent.pipeline, agent.pipeline.counting.document.windows
        await until(lambda: len(world.reports()) > 0)
        away = world.cluster.server.faults.add(Reset(), path="/pods$", times=None)
        world.cluster.server.end_watches()
        await until(lambda: bool(pipeline.listing.failing))
        since = world.clock.seconds()
        truth = write(world.cluster.botkube(NAMESPACE, at=world.clock.ns()), world, 10)
        await after(world, 3 * WINDOW_SECONDS)
        assert windows.closed_until <= since
        if is_long:
            world.clock.moved += PACE.unreadable
            await until(lambda: windows.closed_until > since + PACE.unreadable / 2)
        world.cluster.server.faults.schedules.remove(away)
        await until(lambda: missing(truth, world) == {})
        told = len(world.reports())
        await until(lambda: len(world.reports()) > told + 2)

    assert set(world.gaps()) == ({"unreadable"} if is_long else set())
    assert "gap_seconds_unreadable" not in world.reports()[-1]


async def test_of_what_was_never_read_the_gap_is_where_it_ran(
    tmp_path: Path, ruleset: RuleSet
) -> None:
    pace = attrs.evolve(PACE, unreadable=1e6)  # its windows wait for it, however slow this is
    async with lab(tmp_path, ruleset, pace=pace) as world, world.agent() as agent:
        assert agent.pipeline is not None
        containers = agent.pipeline.containers
        first = world.cluster.botkube(NAMESPACE, at=world.clock.ns(), name="first")
        truth = write(first, world, 10)
        await until(lambda: missing(truth, world) == {})
        ran = world.clock.seconds()
        pod = world.cluster.botkube(NAMESPACE, at=world.clock.ns(), name="evicted")
        where = f"/pods/{pod.name}/log"
        unread = world.cluster.server.faults.add(Answer(500), path=where, times=None)
        write(pod, world, 10, seed=2)
        await until(lambda: len(containers.follows) == 2)
        await after(world, 2)
        pod.evict(at=world.clock.ns())
        await after(world, 2 * WINDOW_SECONDS)
        world.cluster.server.kubelet.remove(pod.container_id())
        world.cluster.server.faults.schedules.remove(unread)
        await until(lambda: len(containers.follows) == 1)
        await until(lambda: "restarted" in world.gaps())

    lost, *_ = [one for one in world.reports() if "gap_seconds_restarted" in one]
    assert began(lost) <= ran <= began(lost) + WINDOW_SECONDS


def began(report: Mapping[str, Any]) -> float:
    return datetime.fromisoformat(str(report["window_start"])).timestamp()


async def test_a_first_start_tells_nothing_of_when_there_was_no_agent(
    tmp_path: Path, ruleset: RuleSet
) -> None:
    """What an instance wrote that ended before, and whose log is gone, was nobody's to count."""
    async with lab(tmp_path, ruleset) as world:
        pod = world.cluster.botkube(NAMESPACE, at=world.clock.ns())
        world.clock.moved += 30 * WINDOW_SECONDS
        pod.crash(at=world.clock.ns(), exit_code=2)
        dead = pod.container_id()
        pod.restart(at=world.clock.ns())
        world.cluster.server.kubelet.remove(dead)
        world.clock.moved += 10 * WINDOW_SECONDS
        start = world.clock.seconds()
        async with world.agent():
            truth = write(pod, world, 10)
            truth["Application crashed", (("kind", "unseen"),)] += 1
            await after(world, 3 * WINDOW_SECONDS)
            told = list(map(began, world.reports()))

    assert told
    # Of when it crashed its status tells.
    assert len([at for at in told if at < start - WINDOW_SECONDS]) <= 11


async def test_what_an_outage_hid_is_not_forgotten_where_it_ends_in_a_refusal(
    tmp_path: Path, ruleset: RuleSet
) -> None:
    async with lab(tmp_path, ruleset, namespaces=(NAMESPACE, OTHER)) as world:
        world.cluster.namespace(OTHER)
        where = f"/namespaces/{OTHER}/pods$"
        async with world.agent() as agent:
            assert agent.pipeline is not None
            pipeline = agent.pipeline
            await until(lambda: len(world.reports()) > 0)
            away = world.cluster.server.faults.add(Reset(), path=where, times=None)
            world.cluster.server.end_watches()
            await until(lambda: bool(pipeline.listing.failing))
            failing = int(world.clock.seconds())
            await after(world, 3 * WINDOW_SECONDS)
            over = int(world.clock.seconds())
            refused = world.cluster.server.faults.add(Answer(403), path=where, times=None)
            world.cluster.server.faults.schedules.remove(away)
            await until(lambda: bool(pipeline.listing.refused))
            world.cluster.server.faults.schedules.remove(refused)
            await until(lambda: began(world.reports()[-1]) > over)

    hidden = [
        "gap_seconds_unreadable" in one for one in world.reports() if failing <= began(one) < over
    ]
    assert len(hidden) >= 2
    assert all(hidden)


@pytest.mark.parametrize("is_over", [False, True])
async def test_restarts_before_pods_could_be_listed_again_are_a_gap(
    tmp_path: Path, ruleset: RuleSet, *, is_over: bool
) -> None:
    """The pod is older than the last window that was closed, and nobody knew it."""
    namespaces = NAMESPACE, OTHER
    async with lab(tmp_path, ruleset, namespaces=namespaces, window_seconds=3600) as world:
        world.cluster.namespace(OTHER)
        async with world.agent() as agent:
            assert agent.pipeline is not None
            pipeline = agent.pipeline
            await after(world, 5)  # the first window has begun
            await an_hour_is_reported(world)
            where = f"/namespaces/{OTHER}/pods$"
            refused = world.cluster.server.faults.add(Answer(403), path=where, times=None)
            world.cluster.server.end_watches()
            await until(lambda: bool(pipeline.listing.refused))
            pod = world.cluster.botkube(OTHER, at=world.clock.ns())
            await an_hour_is_reported(world)
            for _ in range(3):
                pod.crash(at=world.clock.ns(), exit_code=2)
                pod.restart(at=world.clock.ns())
            if is_over:  # all that nobody saw is in a window that says so
                await an_hour_is_reported(world)
            world.cluster.server.faults.schedules.remove(refused)
            await until(lambda: not pipeline.listing.refused)
            await an_hour_is_reported(world)

    assert ("restarted" in world.gaps()) is not is_over


async def is_unreadable_until_it_may_be_listed(
    world: Lab, truth: Counter[Fact], refused: Scheduled, read: int
) -> None:
    """Assert that each window since so many has a gap, and that what was read late counts."""
    unread = world.reports()[read:]
    world.cluster.server.faults.schedules.remove(refused)
    await until(lambda: missing(truth, world) == {})
    counted = len(world.reports())
    await until(lambda: len(world.reports()) > counted + 2)

    assert unread
    assert all("gap_seconds_unreadable" in report for report in unread)
    assert "gap_seconds_unreadable" not in world.reports()[-1]


async def test_a_pod_that_left_between_two_of_its_instances_is_not_silent(
    tmp_path: Path, ruleset: RuleSet
) -> None:
    """All that was read of it has ended, but it will restart."""
    async with lab(tmp_path, ruleset) as world, world.agent() as agent:
        pod = world.cluster.botkube(NAMESPACE, at=world.clock.ns())
        truth = write(pod, world, 10)
        await until(lambda: missing(truth, world) == {})
        pod.crash(at=world.clock.ns(), exit_code=2)
        pod.back_off()
        truth["Application crashed", (("kind", "unknown"),)] += 1
        assert agent.pipeline is not None
        document, containers = agent.pipeline.counting.document, agent.pipeline.containers
        await until(lambda: not containers.follows)
        relabel(world, pod, "another")
        await until(lambda: pod.uid in document.left)
        pod.restart(at=world.clock.ns())
        read = len(world.reports())
        truth += write(pod, world, 10, seed=2)
        await until(lambda: len(world.reports()) > read + 3)
        unread = world.reports()[read + 1 :]
        relabel(world, pod, "controller")
        await until(lambda: missing(truth, world) == {})

    assert all("gap_seconds_unreadable" in report for report in unread)


async def test_a_pod_that_had_finished_writes_nothing_where_it_went(
    tmp_path: Path, ruleset: RuleSet
) -> None:
    async with lab(tmp_path, ruleset) as world, world.agent() as agent:
        pod = world.cluster.botkube(NAMESPACE, at=world.clock.ns(), name="evicted")
        truth = write(pod, world, 10)
        await until(lambda: missing(truth, world) == {})
        pod.crash(at=world.clock.ns(), exit_code=137)
        truth["Application crashed", (("kind", "killed"),)] += 1
        patch = {"status": {"phase": "Failed", "reason": "Evicted"}}
        world.cluster.server.store.merge(PODS, NAMESPACE, pod.name, patch)
        other = world.cluster.botkube(NAMESPACE, at=world.clock.ns(), name="other")
        truth += write(other, world, 10, seed=2)
        await until(lambda: missing(truth, world) == {})
        assert agent.pipeline is not None
        document, containers = agent.pipeline.counting.document, agent.pipeline.containers
        await until(lambda: len(containers.follows) == 1)
        relabel(world, pod, "another")
        await until(lambda: pod.uid in document.left)
        left = len(world.reports())
        await until(lambda: len(world.reports()) > left + 3)

    assert not world.gaps()


async def test_a_pod_that_finished_before_its_turn_was_not_read_to_its_end(
    tmp_path: Path, ruleset: RuleSet
) -> None:
    async with lab(tmp_path, ruleset) as world, world.agent() as agent:
        first = world.cluster.botkube(NAMESPACE, at=world.clock.ns(), name="first")
        truth = write(first, world, 10)
        await until(lambda: missing(truth, world) == {})
        assert agent.pipeline is not None
        document, containers = agent.pipeline.counting.document, agent.pipeline.containers
        containers.max_follows = 1
        pod = world.cluster.botkube(NAMESPACE, at=world.clock.ns(), name="evicted")
        write(pod, world, 10, seed=2)
        await until(lambda: containers.refused > 0)
        pod.crash(at=world.clock.ns(), exit_code=137)
        patch = {"status": {"phase": "Failed", "reason": "Evicted"}}
        world.cluster.server.store.merge(PODS, NAMESPACE, pod.name, patch)
        await until(lambda: containers.pods[pod.uid].is_finished)
        relabel(world, pod, "another")
        await until(lambda: pod.uid in document.left)
        left = len(world.reports())
        await until(lambda: len(world.reports()) > left + 3)

    assert "gap_seconds_unreadable" in world.reports()[-1]


async def test_a_pod_that_finished_and_left_before_its_log_was_opened_is_not_silent(
    tmp_path: Path, ruleset: RuleSet
) -> None:
    """Of a follow that has just begun no Cursor stands in State."""
    async with lab(tmp_path, ruleset) as world:
        pod = world.cluster.botkube(NAMESPACE, at=world.clock.ns())
        write(pod, world, 10)
        pod.evict(at=world.clock.ns())
        relabel(world, pod, "another")
        found = world.cluster.server.store.get(PODS, NAMESPACE, pod.name)
        async with world.agent() as agent:
            assert agent.pipeline is not None
            containers = agent.pipeline.containers
            containers.pod_changed(read_pod(found, frozenset()))
            containers._leave(pod.uid)
            left = len(world.reports())
            await until(lambda: len(world.reports()) > left + 3)

    assert "gap_seconds_unreadable" in world.reports()[-1]


async def test_a_pod_that_comes_back_finished_and_leaves_unread_is_not_silent(
    tmp_path: Path, ruleset: RuleSet
) -> None:
    """Its status names no instance any more, but the Cursor of one stands in State."""
    async with lab(tmp_path, ruleset) as world, world.agent() as agent:
        pod = world.cluster.botkube(NAMESPACE, at=world.clock.ns())
        truth = write(pod, world, 10)
        await until(lambda: missing(truth, world) == {})
        assert agent.pipeline is not None
        containers = agent.pipeline.containers
        picture = containers.pods[pod.uid]
        await leave(world, pod, agent)
        write(pod, world, 10, seed=2)
        containers.pod_changed(attrs.evolve(picture, is_finished=True, containers=()))
        containers._leave(pod.uid)
        left = len(world.reports())
        await until(lambda: len(world.reports()) > left + 3)

    assert "gap_seconds_unreadable" in world.reports()[-1]


async def test_of_a_finished_pod_that_left_nothing_is_kept_after_a_day(
    tmp_path: Path, ruleset: RuleSet
) -> None:
    async with lab(tmp_path, ruleset, window_seconds=3600) as world, world.agent() as agent:
        assert agent.pipeline is not None
        document, containers = agent.pipeline.counting.document, agent.pipeline.containers
        pod = world.cluster.botkube(NAMESPACE, at=world.clock.ns())
        write(pod, world, 10)
        await until(lambda: bool(containers.follows))
        pod.evict(at=world.clock.ns())
        await until(lambda: containers.pods[pod.uid].is_finished and not containers.follows)
        relabel(world, pod, "another")
        await until(lambda: pod.uid in document.left)
        assert containers._finished == {pod.uid}
        world.clock.moved += LEFT_SECONDS + 3600
        await until(lambda: not document.left)

        assert not containers._finished


async def test_what_the_status_of_an_evicted_pod_does_not_name_has_ended(
    tmp_path: Path, ruleset: RuleSet
) -> None:
    """The object stays, and nobody would tell of its containers any more."""
    async with lab(tmp_path, ruleset) as world, world.agent() as agent:
        pod = world.cluster.botkube(NAMESPACE, at=world.clock.ns())
        truth = write(pod, world, 10)
        await until(lambda: missing(truth, world) == {})
        assert agent.pipeline is not None
        containers = agent.pipeline.containers
        pod.log().end(at=world.clock.ns())
        status = {"phase": "Failed", "reason": "Evicted", "containerStatuses": None}
        world.cluster.server.store.merge(PODS, NAMESPACE, pod.name, {"status": status})
        await until(lambda: not containers.follows)
        await until(lambda: "pod_gone" in world.gaps())

        assert pod.uid in containers.pods
    assert missing(truth, world) == {}


async def test_all_pods_are_asked_for_only_if_one_is_missing(
    tmp_path: Path, ruleset: RuleSet
) -> None:
    async with lab(tmp_path, ruleset) as world:
        truth = write(world.cluster.botkube(NAMESPACE, at=world.clock.ns()), world, 20)
        for seed in (1, 2):
            async with world.agent(seed=seed) as agent:
                await until(lambda: missing(truth, world) == {})
                await world.kill(agent)

        assert not any(map(asks_for_all, world.cluster.server.calls))


def looks(world: Lab, pod: Pod) -> int:
    """Return how often the pod itself was asked for."""
    return sum(one.path.endswith(f"/pods/{pod.name}") for one in world.cluster.server.calls)


def asks_for_all(call: Call) -> bool:
    return call.query.get("labelSelector") == ""


async def test_a_pod_that_is_not_found_is_gone(tmp_path: Path, ruleset: RuleSet) -> None:
    async with lab(tmp_path, ruleset) as world, world.agent() as agent:
        pod = world.cluster.botkube(NAMESPACE, at=world.clock.ns())
        truth = write(pod, world, 20)
        await until(lambda: missing(truth, world) == {})
        world.cluster.server.faults.add(Answer(404), path=f"/pods/{pod.name}$", times=None)
        relabel(world, pod, "another")
        assert agent.pipeline is not None
        containers = agent.pipeline.containers
        await until(lambda: pod.uid not in containers.pods)

        assert not agent.pipeline.counting.document.left


@pytest.mark.parametrize("status", [403, 500])
@pytest.mark.parametrize("is_unnoticed", [False, True])
async def test_a_pod_that_nobody_can_be_asked_for_may_come_back(
    tmp_path: Path, ruleset: RuleSet, status: int, *, is_unnoticed: bool
) -> None:
    """It was taken to be gone, and what it wrote when it was back was lost or counted twice."""
    async with lab(tmp_path, ruleset, window_seconds=3600) as world, AsyncExitStack() as stack:
        give_up_soon(world)
        agent = await stack.enter_async_context(world.agent())
        pod = world.cluster.botkube(NAMESPACE, at=world.clock.ns())
        truth = write(pod, world, 20)
        await after(world, 20)
        if is_unnoticed:
            await world.kill(agent)
        refuse_to_tell(world, pod, Answer(status), times=None)
        relabel(world, pod, "another")
        if is_unnoticed:
            agent = await stack.enter_async_context(world.agent(seed=2))
        assert agent.pipeline is not None
        document = agent.pipeline.counting.document
        await until(lambda: pod.uid in document.left)
        world.cluster.server.faults.clear()
        await after(world, 20)
        relabel(world, pod, "controller")
        truth.update(write(pod, world, 10, seed=3))
        await after(world, 20)
        world.clock.moved += 3600
        await until(lambda: missing(truth, world) == {})

    assert not world.gaps()


@pytest.mark.parametrize("status", [403, 500])
@pytest.mark.parametrize("is_unnoticed", [False, True])
async def test_an_outage_makes_no_pod_gone_that_left_the_selection(
    tmp_path: Path, ruleset: RuleSet, status: int, *, is_unnoticed: bool
) -> None:
    """It was read from its beginning when it came back, and counted twice."""
    async with lab(tmp_path, ruleset) as world, AsyncExitStack() as stack:
        agent = await stack.enter_async_context(world.agent())
        pod = world.cluster.botkube(NAMESPACE, at=world.clock.ns())
        truth = write(pod, world, 20)
        await until(lambda: missing(truth, world) == {})
        failed = refuse_to_tell(world, pod, Answer(status), times=6)
        if is_unnoticed:
            await world.kill(agent)
        relabel(world, pod, "another")
        if is_unnoticed:
            agent = await stack.enter_async_context(world.agent(seed=2))
        assert agent.pipeline is not None
        document = agent.pipeline.counting.document
        await until(lambda: pod.uid in document.left)
        truth.update(write(pod, world, 10, seed=3))
        relabel(world, pod, "controller")
        await until(lambda: missing(truth, world) == {})
        await after(world, 2 * WINDOW_SECONDS)

    assert failed.seen >= 6
    assert missing(truth, world) == {}
    assert world.gaps().keys() <= {"unreadable"}


def give_up_soon(world: Lab) -> None:
    world.changes["pace"] = attrs.evolve(world.options().pace, unreadable=20.0)


def refuse_to_tell(world: Lab, pod: Pod, answer: Answer, *, times: int | None) -> Scheduled:
    def asks(call: Call) -> bool:
        return asks_for_all(call) or call.path.endswith(f"/pods/{pod.name}")

    return world.cluster.server.faults.add(answer, path="/pods", times=times, when=asks)


async def test_a_pod_that_is_asked_for_a_second_time_is_no_other(
    tmp_path: Path, ruleset: RuleSet
) -> None:
    """While the question is open, the pod comes back: it is followed as if it had never left."""
    async with lab(tmp_path, ruleset) as world, world.agent() as agent:
        pod = world.cluster.botkube(NAMESPACE, at=world.clock.ns())
        truth = write(pod, world, 20)
        await until(lambda: missing(truth, world) == {})
        assert agent.pipeline is not None
        containers, asked = agent.pipeline.containers, asyncio.Event()
        fault = world.cluster.server.faults.add(
            Delay(until=asked), path=f"/pods/{pod.name}$", times=None
        )
        relabel(world, pod, "another")
        await until(lambda: fault.seen > 0)
        relabel(world, pod, "controller")
        await after(world, 5)
        asked.set()
        truth.update(write(pod, world, 20, seed=2))
        await until(lambda: missing(truth, world) == {})

        assert not agent.pipeline.counting.document.left
        assert pod.uid in containers.pods
    assert not world.gaps()


@pytest.mark.parametrize("is_gone", [False, True])
async def test_a_pod_that_left_anew_while_all_are_asked_for_has_not_left_unnoticed(
    tmp_path: Path, ruleset: RuleSet, *, is_gone: bool
) -> None:
    """The list still names it, but what became of it is known, or being asked."""
    async with lab(tmp_path, ruleset) as world, AsyncExitStack() as stack:
        agent = await stack.enter_async_context(world.agent())
        pod = world.cluster.botkube(NAMESPACE, at=world.clock.ns())
        truth = write(pod, world, 20)
        await until(lambda: missing(truth, world) == {})
        await world.kill(agent)
        relabel(world, pod, "another")
        listed, asked, faults = asyncio.Event(), asyncio.Event(), world.cluster.server.faults
        before = looks(world, pod)
        listing = faults.add(Delay(until=listed), path="/pods$", when=asks_for_all)
        agent = await stack.enter_async_context(world.agent(seed=2))
        await until(lambda: listing.seen > 0)
        assert agent.pipeline is not None
        containers, document = agent.pipeline.containers, agent.pipeline.counting.document
        relabel(world, pod, "controller")
        # A first pod is asked for to see whether that is allowed.
        await until(lambda: pod.uid in containers.pods and looks(world, pod) > before)
        answer = Answer(404) if is_gone else None
        asking = faults.add(
            Delay(until=None if is_gone else asked, then=answer), path=f"/pods/{pod.name}$"
        )
        relabel(world, pod, "another")
        await until(lambda: asking.seen > 0 and (pod.uid not in containers.pods or not is_gone))
        listed.set()
        await until(lambda: containers.has_looked)

        assert pod.uid not in document.left
        asked.set()


async def test_of_very_many_pods_that_left_the_first_are_forgotten() -> None:
    counting = Counting(Document(b"", "", Windows(60)), word_rules(), Identity(""), "t", sends=True)
    for number in range(MAX_LEFT + 2):
        instances.note_left(counting, str(number), now_seconds=number)

    assert list(counting.document.left) == [str(number) for number in range(2, MAX_LEFT + 2)]
