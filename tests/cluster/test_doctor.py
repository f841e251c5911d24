"""The doctor in a pod of a real cluster: what it says of the rights is what the API server does."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from pathlib import Path

import pytest

from agent.doctor.rights import RIGHTS, Lack, Right, Where
from tests.cluster.api import Json
from tests.cluster.controlplane import ControlPlane, Given
from tests.cluster.lab import LEASE, ROOT, Lab, lab
from tests.cluster.test_rights import NEEDED, grant, install_botkube, optional, role, without
from tests.cluster.test_rights import Right as Asked

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


async def one_taken_away(cluster: ControlPlane | Given, folder: Path, right: Asked) -> None:
    verb, _, resource, name = right
    async with lab(cluster, folder) as world:
        role(world, without(verb, resource, name))
        code, lines = await doctor(world, LEASE_NAME=LEASE)
        needed = (one for one in RIGHTS if one.in_role)
        missing = [one for one in needed if lines[name_of(one)]["says"].startswith("missing")]
        (found,) = missing
        line = lines[name_of(found)]

        assert (verb in found.verbs, found.resource) == (True, resource), right
        assert (line["verdict"], code) == (("warn", 0) if found.lack is Lack.HIDES else ("fail", 1))
        assert f"allow {verb} {resource}{name and '/'}{name}" in line["fix"], right
        assert found.without.replace("`", "") in line["says"], right


async def test_each_right_of_the_role_that_is_taken_away_is_named(
    cluster: ControlPlane | Given, tmp_path: Path
) -> None:
    async with asyncio.TaskGroup() as group:
        for number, right in enumerate(NEEDED):
            group.create_task(one_taken_away(cluster, tmp_path / str(number), right))


NOT_NEEDED = {
    "kube-system": {Where.KUBE_SYSTEM},
    "namespace": {Where.NAMESPACES},
    "deployments": {Where.DEPLOYMENTS},
    "global config": {Where.SWITCHES},
    "analytics config": {Where.SWITCHES, Where.OLD_ID},
    "watch": {Where.PODS},
}


async def one_not_given(cluster: ControlPlane | Given, folder: Path, missing: str) -> None:
    async with lab(cluster, folder) as world:
        rights = optional(world.namespace)
        made = grant(world, [one for name, one in rights.items() if name != missing])
        install_botkube(world)
        code, lines = await doctor(world, LEASE_NAME=LEASE)
        for one in made:
            world.api.delete(world.namespace, one)
        found = [one for one in RIGHTS if lines[name_of(one)]["says"].startswith("missing")]
        said = [one for one in found if one.lack is not Lack.CREATES]

        assert {one.where for one in said} == NOT_NEEDED[missing], missing
        assert {lines[name_of(one)]["verdict"] for one in said} == {"warn"}, missing
        assert code == 0, missing


async def test_each_right_that_is_not_needed_and_not_given_is_named(
    cluster: ControlPlane | Given, tmp_path: Path
) -> None:
    assert NOT_NEEDED.keys() == optional("").keys()
    async with asyncio.TaskGroup() as group:
        for missing in NOT_NEEDED:
            group.create_task(one_not_given(cluster, tmp_path / missing, missing))


async def test_a_token_that_has_died_is_named(world: Lab) -> None:
    world.give("x.y.z")
    code, lines = await doctor(world)

    assert (code, lines["API server"]["verdict"]) == (1, "fail")
    assert "refuses the credentials" in lines["API server"]["says"]
