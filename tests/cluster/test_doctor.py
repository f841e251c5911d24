"""The doctor in a pod of a real cluster: what it says of the rights is what the API server does."""

from __future__ import annotations

import asyncio
import json
import signal
import sys

import pytest

from agent.doctor.rights import RIGHTS, Lack, Right
from tests.cluster.api import Json
from tests.cluster.lab import LEASE, ROOT, Lab
from tests.cluster.test_rights import grant, optional, role, without

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(180, func_only=True)]


async def doctor(world: Lab, **settings: str) -> tuple[int, dict[str, Json]]:
    """Run it as in the agent's pod; return its code, and each line by its check."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.cluster.in_pod", "doctor", "--format", "json",
        env=world._environment(settings), cwd=ROOT, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, {one["check"]: one for one in json.loads(out)["lines"]}


def name_of(right: Right) -> str:
    return f"right: {right.text.replace('`', '')}"


async def test_of_an_agent_with_every_right_every_line_is_ok(world: Lab) -> None:
    made = grant(world, optional(world.namespace).values())
    pod = world.node.botkube()
    agent = await world.agent(LEASE_NAME=LEASE)
    await world.writes(pod, 3)
    await world.all_counted()
    code, lines = await doctor(world, LEASE_NAME=LEASE)
    await agent.end(signal.SIGTERM)
    for one in made:
        world.api.delete(world.namespace, one)

    assert {name for name, one in lines.items() if one["verdict"] != "ok"} == set()
    assert code == 0
    assert "held by" in lines["lease"]["says"]
    assert {name_of(one) for one in RIGHTS} <= lines.keys()


async def test_with_the_manifests_role_what_is_not_needed_is_missing(world: Lab) -> None:
    _, lines = await doctor(world, LEASE_NAME=LEASE)
    missing = {name for name, one in lines.items() if one["says"].startswith("missing")}

    assert missing == {name_of(one) for one in RIGHTS if not one.in_role}
    assert {lines[name]["verdict"] for name in missing} <= {"ok", "warn"}


@pytest.mark.parametrize(
    ("verb", "resource"),
    [("list", "pods"), ("get", "pods/log"), ("update", "configmaps"), ("get", "leases")],
)
async def test_a_right_that_is_taken_away_is_named(world: Lab, verb: str, resource: str) -> None:
    role(world, without(verb, resource))
    code, lines = await doctor(world, LEASE_NAME=LEASE)
    found = [
        name_of(one)
        for one in RIGHTS
        if (one.resource, one.lack) == (resource, Lack.STOPS) and verb in one.verbs
    ]

    assert code == 1
    assert [lines[one]["verdict"] for one in found] == ["fail"]
    assert f"allow {verb} {resource}" in lines[found[0]]["fix"]


async def test_a_token_that_has_died_is_named(world: Lab) -> None:
    world.give("x.y.z")
    code, lines = await doctor(world)

    assert (code, lines["API server"]["verdict"]) == (1, "fail")
    assert "refuses the credentials" in lines["API server"]["says"]
