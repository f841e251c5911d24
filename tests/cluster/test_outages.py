"""A control plane that is killed, paused, started again and forgets: nothing is lost or doubled."""

from __future__ import annotations

import asyncio
import json
import random
import re
from http import HTTPStatus

import pytest

from agent.source import discovery
from agent.source.api import Access, Client
from agent.source.discovery import Pods, Selection, watch
from tests.cluster.api import Refused
from tests.cluster.lab import Lab
from tests.cluster.node import kubeconfig

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(180, func_only=True)]


async def test_an_api_server_that_is_killed_in_the_middle_of_a_stream(world: Lab) -> None:
    pod = world.node.botkube()
    agent = await world.agent()
    await world.writes(pod, 2)
    writing = asyncio.create_task(world.writes(pod, 8))
    for _ in range(2):
        await asyncio.to_thread(world.plane.kill_api)
        await asyncio.sleep(1)
        await asyncio.to_thread(world.plane.start_api)
    await writing

    await world.until(world.is_equal)
    # Until it has read its roles a server that has just started may refuse a list: that is said.
    was_refused = any(
        line["message"] == "pods cannot be listed" and line["status"] == HTTPStatus.FORBIDDEN
        for line in map(json.loads, agent.log.read_text(encoding="utf-8").splitlines())
    )
    await world.all_counted(may_say=frozenset({"gap_seconds_unreadable"} if was_refused else ()))


async def test_an_api_server_that_ends_in_order_in_the_middle_of_a_stream(world: Lab) -> None:
    """As in an upgrade: it takes no new request, and what is open goes on until its time is up."""
    await asyncio.to_thread(world.plane.kill_api)
    await asyncio.to_thread(world.plane.start_api, "--request-timeout=5s")
    pod = world.node.botkube()
    agent = await world.agent()
    await world.writes(pod, 2)
    ending = asyncio.create_task(asyncio.to_thread(world.plane.end_api))
    while not ending.done():
        await world.writes(pod, 0.5)
    await ending
    await world.writes(pod, 1)
    await asyncio.to_thread(world.plane.start_api)
    await world.writes(pod, 2)

    await world.all_counted()
    assert agent.is_running


async def test_an_etcd_that_does_not_answer_for_a_while(world: Lab) -> None:
    pod = world.node.botkube()
    agent = await world.agent()
    await world.writes(pod, 2)
    world.plane.pause_etcd()
    try:
        await world.writes(pod, 8)
    finally:
        world.plane.resume_etcd()
    await world.writes(pod, 1)

    await world.all_counted()
    assert agent.is_running


async def test_a_watch_from_a_version_that_is_forgotten_begins_with_a_list(world: Lab) -> None:
    first = world.node.botkube("botkube-0")
    await world.agent()
    await world.writes(first, 1)
    version = world.api.ask("GET", pods(world))["metadata"]["resourceVersion"]
    before = len(lists(world))
    world.node.botkube("botkube-1")  # a later version, by which the API server begins anew
    await asyncio.to_thread(world.plane.kill_api)
    world.plane.compact()
    await asyncio.to_thread(world.plane.start_api)
    asked = f"{pods(world)}?watch=true&timeoutSeconds=1&resourceVersion={version}"

    assert expired(world, asked)
    await world.until(lambda: len(lists(world)) > before)
    await world.writes(first, 1)
    await world.all_counted()


async def test_a_bookmark_moves_the_version_that_the_next_watch_begins_from(
    world: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The agent's own watch, with a shorter life; none of the pods that it selects changes."""
    monkeypatch.setattr(discovery, "WATCH_SECONDS", 5)
    path = world.folder / "kubeconfig"
    path.write_text(json.dumps(kubeconfig(world.own_api)))
    selection = Selection(world.namespace, "app=botkube", frozenset())
    seen = Pods(lambda _: None, lambda _: None)
    async with Client(Access(str(path)), "test") as client:
        watching = asyncio.create_task(
            watch(
                client,
                selection,
                seen,
                random=random.Random(1),
                listed=lambda _: None,
                may_not_watch=lambda: None,
            )
        )
        for number in range(12):
            world.pod_of_an_agent(f"other-{number}")
            await asyncio.sleep(1)
        watching.cancel()
    versions = [int(one) for one in re.findall(r"resourceVersion=(\d+)", " ".join(watches(world)))]

    assert len(set(versions)) >= 2
    assert versions == sorted(versions)
    assert len(lists(world)) == 1


async def test_a_token_that_is_dead_is_read_anew(world: Lab) -> None:
    owners = [world.pod_of_an_agent(f"agent-{number}") for number in range(2)]
    world.give(world.token(owners[0]))
    pod = world.node.botkube()
    agent = await world.agent()
    await world.writes(pod, 1)
    old = (world.files / "token").read_text()
    world.remove(owners[0])
    await world.until(lambda: is_refused(world, old))
    # For a while there is no other: what needs the API fails, what is open goes on.
    await world.writes(pod, 4)
    world.give(world.token(owners[1]))
    await world.writes(pod, 2)

    await world.all_counted()
    assert agent.is_running
    assert 401 in {one["responseStatus"]["code"] for one in world.asked()}


async def test_tokens_that_expire_are_replaced_under_the_running_agent(world: Lab) -> None:
    """As a kubelet does, which puts a new token in place of one that lives 600 s before it ends.

    The last one is late: for some seconds the agent has a token that has expired.
    """
    first = world.plane.shortened(world.token(), lives_seconds=8)
    world.give(first)
    pod = world.node.botkube()
    agent = await world.agent()
    await world.writes(pod, 2)
    second = world.plane.shortened(world.token(), lives_seconds=16)
    world.give(second)
    await world.until(lambda: is_refused(world, first))
    await world.writes(pod, 2)
    await world.until(lambda: is_refused(world, second))
    await world.writes(pod, 2)
    world.give(world.token())
    await world.writes(pod, 2)

    await world.all_counted()
    assert agent.is_running
    assert 401 in {one["responseStatus"]["code"] for one in world.asked()}


def pods(world: Lab) -> str:
    return f"/api/v1/namespaces/{world.namespace}/pods"


def lists(world: Lab) -> list[str]:
    """Return the lists of pods that agents asked for."""
    return [one["requestURI"] for one in world.asked() if one["verb"] == "list"]


def watches(world: Lab) -> list[str]:
    """Return the watches of pods that have ended or go on, in their order."""
    return [one["requestURI"] for one in world.asked() if one["verb"] == "watch"]


def expired(world: Lab, path: str) -> bool:
    try:
        answer = world.api.ask("GET", path)
    except Refused as refused:
        return refused.status == 410
    return bool(answer["type"] == "ERROR" and answer["object"]["code"] == 410)


def is_refused(world: Lab, token: str) -> bool:
    try:
        world.api.as_bearer(token).ask("GET", pods(world))
    except Refused as refused:
        return refused.status == 401
    return False
