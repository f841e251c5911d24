"""State and the Lease in real objects: conflicts are noticed, and one of two agents works."""

from __future__ import annotations

import asyncio
import signal
import time

import pytest

from tests.cluster.api import MERGE, Json
from tests.cluster.lab import LEASE, STATE, Agent, Lab, installed

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(120, func_only=True)]

FAIL_OVER_SECONDS = 20


def state_path(world: Lab) -> str:
    return f"/api/v1/namespaces/{world.namespace}/configmaps/{STATE}"


def leads(agent: Agent) -> bool:
    return len(agent.said("leading")) > len(agent.said("lease was lost"))


async def test_a_label_of_somebody_else_stays_and_stops_nothing(world: Lab) -> None:
    """The next write is a conflict; what stands there is still the agent's own."""
    pod = world.node.botkube()
    agent = await world.agent()
    await world.writes(pod, 3)
    label: Json = {"metadata": {"labels": {"somebody": "else"}}}
    world.api.ask("PATCH", state_path(world), label, kind=MERGE)
    await world.writes(pod, 3)

    await world.all_counted()
    assert agent.is_running
    assert world.api.ask("GET", state_path(world))["metadata"]["labels"]["somebody"] == "else"
    assert 409 in {one["responseStatus"]["code"] for one in world.asked()}


async def test_a_state_that_is_deleted_is_written_again_once_it_may_be(world: Lab) -> None:
    pod = world.node.botkube()
    agent = await world.agent()
    await world.writes(pod, 2)
    found = installed()[f"ConfigMap/{STATE}"]
    world.api.delete(world.namespace, found)
    world.write(pod, 10)
    await world.until(lambda: bool(agent.said("state cannot be written")))
    world.api.apply(world.namespace, found)
    await world.writes(pod, 1)

    await world.all_counted()
    assert agent.said("state can be written again")


async def test_of_two_agents_without_a_lease_the_older_ends(world: Lab) -> None:
    pod = world.node.botkube()
    older = await world.agent()
    await world.writes(pod, 2)
    newer = await world.agent(waits=False)
    writing = asyncio.create_task(world.writes(pod, 6))
    assert older.process is not None
    async with asyncio.timeout(30):
        assert await older.process.wait() == 3, world.told()
    await writing

    await world.all_counted()
    assert newer.is_running


async def test_a_leader_that_is_killed_is_followed_in_time(world: Lab) -> None:
    pod = world.node.botkube()
    first = await world.agent(LEASE_NAME=LEASE)
    second = await world.agent(waits=False, LEASE_NAME=LEASE)
    await world.until(lambda: bool(second.said("standing by")))
    await world.writes(pod, 2)
    await first.end(signal.SIGKILL)
    killed = time.monotonic()
    writing = asyncio.create_task(world.writes(pod, 5))
    await world.until(lambda: leads(second))
    followed = time.monotonic() - killed
    await writing

    await world.all_counted()
    assert followed < FAIL_OVER_SECONDS
    path = f"/apis/coordination.k8s.io/v1/namespaces/{world.namespace}/leases/{LEASE}"
    assert world.api.ask("GET", path)["spec"]["leaseTransitions"] == 2


async def test_a_leader_that_is_stopped_is_followed_at_once(world: Lab) -> None:
    pod = world.node.botkube()
    first = await world.agent(LEASE_NAME=LEASE)
    second = await world.agent(waits=False, LEASE_NAME=LEASE)
    await world.until(lambda: bool(second.said("standing by")))
    await world.writes(pod, 2)
    assert await first.end(signal.SIGTERM) == 0
    await world.until(lambda: leads(second), 6)
    await world.writes(pod, 1)

    await world.all_counted()
