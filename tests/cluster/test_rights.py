"""`deploy/manifests/` on a real API server: accepted, gives the rights it says, and no more."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterable
from pathlib import Path

import attrs
import pytest

from tests.cluster.api import Json, Refused
from tests.cluster.controlplane import ControlPlane, Given
from tests.cluster.lab import (
    ACCOUNT,
    LEASE,
    STATE,
    WINDOW_SECONDS,
    Agent,
    Lab,
    installed,
    lab,
)
from tests.sim.pods import Pod

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(180, func_only=True)]

AT_A_TIME = 5
BEGINS_NOT = "cannot begin, will try again"

Right = tuple[str, str, str, str]
"""Verb, group, resource, name."""

EVERYBODYS = {
    ("create", "authorization.k8s.io", "selfsubjectaccessreviews", ""),
    ("create", "authorization.k8s.io", "selfsubjectrulesreviews", ""),
    ("create", "authentication.k8s.io", "selfsubjectreviews", ""),
}


def rights(rules: Iterable[Json]) -> set[Right]:
    return {
        (verb, group, resource, name)
        for rule in rules
        for verb in rule["verbs"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for name in rule.get("resourceNames") or [""]
    }


def role(world: Lab, rules: list[Json]) -> None:
    """Give the agent's account these rights in place of what it has."""
    world.api.apply(world.namespace, installed()["Role/botkube-analytics"] | {"rules": rules})


def without(verb: str, resource: str, name: str = "") -> list[Json]:
    """Return the rules that are needed less one verb on one resource, or on one object of it."""
    rules: list[Json] = []
    for rule in installed()["Role/botkube-analytics"]["rules"]:
        names = rule.get("resourceNames", [])
        is_meant = resource in rule["resources"] and (not name or name in names)
        if not is_meant:
            rules.append(rule)
            continue
        rules.append(rule | {"verbs": [one for one in rule["verbs"] if one != verb]})
        if name:
            rules[-1]["resourceNames"] = [name]
            others = [one for one in names if one != name]
            rules += [rule | {"resourceNames": others}] if others else []
    return [rule for rule in rules if rule["verbs"]]


# --- the manifest ---------------------------------------------------------------------------------


def test_the_account_has_the_rights_of_the_role_and_those_of_everybody(world: Lab) -> None:
    path = "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews"
    answer = world.own_api.ask("POST", path, {"spec": {"namespace": world.namespace}})

    assert not answer["status"]["incomplete"]
    assert rights(answer["status"]["resourceRules"]) == EVERYBODYS | rights(
        installed()["Role/botkube-analytics"]["rules"]
    )


@pytest.mark.parametrize("name", installed())
def test_every_object_is_applied_again_without_a_change(world: Lab, name: str) -> None:
    """A strict server-side apply: an unknown field is refused."""
    found = installed()[name]
    once = world.api.apply(world.namespace, found)
    again = world.api.apply(world.namespace, found)

    assert once["metadata"]["resourceVersion"] == again["metadata"]["resourceVersion"]


def test_a_field_that_does_not_exist_is_refused(world: Lab) -> None:
    found = installed()["Deployment/botkube-analytics"]
    found["spec"]["template"]["spec"]["containers"][0]["probe"] = {}
    with pytest.raises(Refused, match="probe"):
        world.api.apply(world.namespace, found, dry_run=True)


def test_the_pod_is_one_that_a_restricted_namespace_takes(world: Lab) -> None:
    name = f"{world.namespace}-restricted"
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    meta = {"name": name, "labels": labels}
    world.api.ask("POST", "/api/v1/namespaces", {"metadata": meta})
    template = installed()["Deployment/botkube-analytics"]["spec"]["template"]
    path = f"/api/v1/namespaces/{name}/pods?dryRun=All&fieldValidation=Strict"
    pod = {"metadata": {"name": "agent"}, "spec": template["spec"]}

    assert world.api.ask("POST", path, pod)["metadata"]["name"] == "agent"
    del template["spec"]["containers"][0]["securityContext"]
    with pytest.raises(Refused, match="violates PodSecurity"):
        world.api.ask("POST", path, pod)
    world.api.ask("DELETE", f"/api/v1/namespaces/{name}")


# --- rights that are not needed -------------------------------------------------------------------

VERSION = "1.14.0"


def named(resource: str, name: str, *verbs: str) -> Json:
    return {"apiGroups": [""], "resources": [resource], "resourceNames": [name], "verbs": [*verbs]}


@attrs.frozen
class Optional:
    """A right that is not needed: its rule, and what is said to be unknown without it."""

    rule: Json
    unknown: tuple[tuple[str, str], ...]
    is_cluster_wide: bool = False


def optional(namespace: str) -> dict[str, Optional]:
    """Return the rows of the README's table that concern reading, for one namespace."""
    configs = {
        name: f"analytics.disable in ConfigMap {namespace}/{name}"
        for name in ("botkube-global-config", "botkube-analytics-config")
    }
    own = ("installation id of BotKube v0.13", "get configmaps/botkube-analytics-config")
    annotation = f"annotation botkube-analytics/disable of namespace {namespace}"
    deployments = {"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["get"]}
    return {
        "kube-system": Optional(
            named("namespaces", "kube-system", "get"),
            (("cluster id", "get namespaces/kube-system"),),
            is_cluster_wide=True,
        ),
        "namespace": Optional(
            named("namespaces", namespace, "get"),
            ((annotation, f"get namespaces/{namespace}"),),
            is_cluster_wide=True,
        ),
        "deployments": Optional(deployments, (("BotKube version", "get deployments"),)),
        "global config": Optional(
            named("configmaps", "botkube-global-config", "get"),
            ((configs["botkube-global-config"], "get configmaps/botkube-global-config"),),
        ),
        "analytics config": Optional(
            named("configmaps", "botkube-analytics-config", "get"),
            ((configs["botkube-analytics-config"], own[1]), own),
        ),
        "watch": Optional(
            {"apiGroups": [""], "resources": ["pods"], "verbs": ["watch"]},
            (("changes of pods at once", "watch pods"),),
        ),
    }


def grant(world: Lab, wanted: Iterable[Optional]) -> list[Json]:
    """Give the account what it needs, and these; return what no namespace takes away with it."""
    wanted = list(wanted)
    role(world, without("watch", "pods") + [one.rule for one in wanted if not one.is_cluster_wide])
    group = "rbac.authorization.k8s.io"
    of_cluster: Json = {
        "apiVersion": f"{group}/v1",
        "kind": "ClusterRole",
        "metadata": {"name": world.namespace},
        "rules": [one.rule for one in wanted if one.is_cluster_wide],
    }
    binding: Json = {
        "apiVersion": f"{group}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": world.namespace},
        "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": world.namespace},
        "subjects": [{"kind": "ServiceAccount", "name": ACCOUNT, "namespace": world.namespace}],
    }
    for found in (of_cluster, binding):
        world.api.apply(world.namespace, found)
    return [binding, of_cluster]


def install_botkube(world: Lab) -> Pod:
    """Install BotKube from an image whose tag tells no version, which its Deployment then does."""
    image = "registry.example/botkube:latest"
    labels = {"app": "botkube"}
    template = {
        "metadata": {"labels": labels},
        "spec": {"containers": [{"name": "botkube", "image": image}]},
    }
    deployment: Json = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "botkube", "labels": {"helm.sh/chart": f"botkube-v{VERSION}"}},
        "spec": {"selector": {"matchLabels": labels}, "template": template},
    }
    world.api.apply(world.namespace, deployment)
    owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "botkube-5d9c", "uid": "1"}
    return world.node.botkube(image=image, owner=owner)


async def unknown(cluster: ControlPlane | Given, folder: Path, missing: str | None) -> None:
    """Let an agent work without one of the rights, or with all; it counts, and says which."""
    async with lab(cluster, folder) as world:
        rights = optional(world.namespace)
        made = grant(world, [one for name, one in rights.items() if name != missing])
        pod = install_botkube(world)
        agent = await world.agent()
        await world.writes(pod, 3)
        await world.all_counted()
        said = {(one["trait"], one["right"]) for one in agent.said("a right is missing")}
        has_cluster_id = any(one["type"] == "group" for one in world.collector.accepted)
        versions = {one["botkube_version"] for one in world.reports()}

        assert said == set(rights[missing].unknown if missing else ()), missing
        assert has_cluster_id == (missing != "kube-system"), missing
        for one in made:
            world.api.delete(world.namespace, one)
        assert versions == {"other" if missing == "deployments" else f"v{VERSION}"}, missing


async def test_without_a_right_one_thing_is_unknown(
    cluster: ControlPlane | Given, tmp_path: Path
) -> None:
    async with asyncio.TaskGroup() as group:
        for missing in (None, *optional("")):
            group.create_task(unknown(cluster, tmp_path / str(missing), missing))


# --- rights that are needed -----------------------------------------------------------------------

INSTALLATION = "botkube-analytics-installation"
NEEDED = {
    ("list", "", "pods", ""): "pods cannot be listed",
    ("get", "", "pods", ""): "a right is missing",
    ("watch", "", "pods", ""): "a right is missing",
    ("get", "", "pods/log", ""): "container cannot be read",
    ("get", "", "configmaps", STATE): BEGINS_NOT,
    ("update", "", "configmaps", STATE): BEGINS_NOT,
    ("get", "", "configmaps", INSTALLATION): BEGINS_NOT,
    ("update", "", "configmaps", INSTALLATION): "installation cannot be written",
    ("get", "coordination.k8s.io", "leases", LEASE): "lease cannot be used",
    ("update", "coordination.k8s.io", "leases", LEASE): "lease cannot be used",
}
"""What the log of an agent says that starts without a right."""
OF_LEASE = "lacks get or update on this Lease"
UPDATE_STATE = ("update", "", "configmaps", STATE)


def names(agent: Agent, message: str, right: Right) -> bool:
    """Whether the log has a message that names a right."""
    verb, _, resource, _ = right
    wanted = OF_LEASE if resource == "leases" else f"{verb} {resource}"
    return wanted in str(agent.said(message)).replace("`", "")


def test_each_right_of_the_role_is_among_those_that_are_taken_away() -> None:
    assert NEEDED.keys() == rights(installed()["Role/botkube-analytics"]["rules"])


def batches(found: list[Right]) -> list[list[Right]]:
    """So many agents at a time: with more of them two cores take longer over each."""
    return [found[at : at + AT_A_TIME] for at in range(0, len(found), AT_A_TIME)]


async def given_later(cluster: ControlPlane | Given, folder: Path, right: Right) -> None:
    verb, group, resource, name = right
    async with lab(cluster, folder) as world:
        pod = world.node.botkube()
        agent = await (world.agent(LEASE_NAME=LEASE) if resource == "leases" else world.agent())
        await world.writes(pod, 1)
        await agent.end(signal.SIGTERM)
        role(world, without(verb, resource, name))
        await world.until(lambda: not world.may(verb, resource, group=group, name=name))
        world.write(pod, 10)
        await agent.start()
        await world.until(lambda: names(agent, NEEDED[right], right))
        await world.writes(pod, 1)
        role(world, installed()["Role/botkube-analytics"]["rules"])

        # Where no pods may be listed nobody knows whether anything is written; it counts late.
        is_blind = (verb, resource) == ("list", "pods")
        await world.all_counted(may_say=frozenset({"gap_seconds_unreadable"} if is_blind else ()))


@pytest.mark.parametrize("some", batches(list(NEEDED)), ids=("first", "rest"))
async def test_a_right_that_is_given_later_is_used(
    cluster: ControlPlane | Given, tmp_path: Path, some: list[Right]
) -> None:
    """Each right of the Role alone; which one is missing is said."""
    async with asyncio.TaskGroup() as group:
        for number, right in enumerate(some):
            group.create_task(given_later(cluster, tmp_path / str(number), right))


async def test_state_that_may_no_longer_be_written_holds_back_what_is_sent(world: Lab) -> None:
    pod = world.node.botkube()
    agent = await world.agent()
    await world.writes(pod, 1)
    role(world, without("update", "configmaps", STATE))
    await world.until(lambda: names(agent, "state cannot be written", UPDATE_STATE))
    sent = len(world.collector.accepted)
    await world.writes(pod, 2 * WINDOW_SECONDS)
    held = len(world.collector.accepted)
    role(world, installed()["Role/botkube-analytics"]["rules"])

    await world.all_counted()
    assert held == sent


async def test_a_state_that_must_be_created_waits_for_the_right(world: Lab) -> None:
    world.api.delete(world.namespace, installed()["ConfigMap/botkube-analytics-state"])
    pod = world.node.botkube()
    agent = await world.agent(waits=False)
    await world.until(lambda: bool(agent.said(BEGINS_NOT)))
    create = {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["create"]}
    role(world, [*installed()["Role/botkube-analytics"]["rules"], create])
    await world.until(lambda: bool(agent.said("pods listed")))
    await world.writes(pod, 1)

    await world.all_counted()
    assert "create configmaps" in agent.said(BEGINS_NOT)[0]["why"]
