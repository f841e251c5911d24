"""Who reports: an answer of another shape is none, and is asked for again."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import attrs
import orjson
import pytest
from attrs import evolve

from agent.rules import RuleSet
from agent.source import identity
from agent.source.api import Access, ApiError, Client
from agent.source.discovery import ContainerStatus, Pod
from tests.sim.cluster import Cluster
from tests.sim.faults import Answer

STATUS = ContainerStatus("botkube", "registry/botkube", "c", 0, True, 0, None, None)  # noqa: FBT003
POD = Pod("botkube", "botkube-6b-x", "u", (), "botkube-6b", False, False, 1, (STATUS,))  # noqa: FBT003


@attrs.define(eq=False)
class Scene:
    cluster: Cluster
    client: Client
    ruleset: RuleSet
    missing: list[str] = attrs.field(factory=list)

    def note(self, trait: str, _right: str) -> None:
        self.missing.append(trait)

    async def cluster_id(self, kind: str = "uuid5") -> object:
        return await identity.find_cluster_id(self.client, kind=kind, missing=self.note)

    async def kubernetes(self) -> object:
        return await identity.find_kubernetes(self.client, self.ruleset, missing=self.note)

    async def installation(self) -> object:
        return await identity.find_installation_id(
            self.client, ("botkube",), ("botkube",), missing=self.note
        )

    async def version(self) -> object:
        return await identity.find_version(
            self.client, POD, STATUS, self.ruleset, missing=self.note
        )


@pytest.fixture
async def scene(tmp_path: Path, ruleset: RuleSet) -> AsyncIterator[Scene]:
    async with Cluster.running() as cluster:
        path = tmp_path / "kubeconfig"
        path.write_bytes(orjson.dumps(cluster.server.kubeconfig()))
        async with Client(Access(str(path)), "test") as client:
            yield Scene(cluster, client, ruleset)


ASKS: dict[str, Callable[[Scene], Any]] = {
    "cluster id": Scene.cluster_id,
    "kubernetes": Scene.kubernetes,
    "installation": Scene.installation,
    "version": Scene.version,
}
ODD = [b"null", b"[1]", b'"x"', b"7"]


@pytest.mark.parametrize("body", ODD)
@pytest.mark.parametrize("ask", ASKS)
async def test_an_answer_of_another_shape_is_none(scene: Scene, ask: str, body: bytes) -> None:
    scene.cluster.server.faults.add(Answer(200, body), times=None)
    with pytest.raises(ApiError):
        await ASKS[ask](scene)

    assert scene.missing == []


@pytest.mark.parametrize(
    ("ask", "body"),
    [
        ("cluster id", b'{"metadata":[1]}'),
        ("installation", b'{"data":"x"}'),
        ("version", b'{"metadata":7}'),
        ("version", b'{"metadata":{"labels":["x"]}}'),
    ],
)
async def test_a_part_of_another_shape_is_no_answer(scene: Scene, ask: str, body: bytes) -> None:
    scene.cluster.server.faults.add(Answer(200, body), times=None)
    with pytest.raises(ApiError):
        await ASKS[ask](scene)


@pytest.mark.parametrize(
    ("ask", "body", "expected"),
    [
        ("cluster id", b"{}", None),
        ("cluster id", b'{"metadata":{"uid":[1]}}', None),
        ("kubernetes", b"{}", (None, None)),
        ("kubernetes", b'{"gitVersion":[1]}', (None, None)),
        ("installation", b'{"data":{"analytics.yaml":[1]}}', None),
        ("version", b'{"metadata":{"labels":{"helm.sh/chart":[1]}}}', "other"),
    ],
)
async def test_a_value_of_another_shape_is_not_known(
    scene: Scene, ask: str, body: bytes, expected: object
) -> None:
    scene.cluster.server.faults.add(Answer(200, body), times=None)

    assert expected == await ASKS[ask](scene)


@pytest.mark.parametrize("status", [401, 403])
async def test_a_trait_that_may_not_be_read_is_said(scene: Scene, status: int) -> None:
    scene.cluster.server.faults.add(Answer(status), times=None)

    assert (await scene.cluster_id(), await scene.kubernetes()) == (None, (None, None))
    assert scene.missing == ["cluster id", "Kubernetes version"]


async def test_the_id_of_botkube_is_found_by_its_deployments_name(scene: Scene) -> None:
    own = "0f0e0d0c-0b0a-4908-8706-050403020100"
    scene.cluster.namespace("botkube")
    for name, said in (("botkube", str(uuid4())), ("chatops", own)):
        data = {"analytics.yaml": f"analytics:\n  installationID: {said}\n"}
        scene.cluster.config_map("botkube", f"{name}-analytics-config", data)

    found = await identity.find_installation_id(
        scene.client, ("botkube",), ("other", "chatops"), missing=scene.note
    )
    assert (found, scene.missing) == (own, [])


async def test_each_kind_of_cluster_id(scene: Scene) -> None:
    raw, hashed = await scene.cluster_id("raw"), await scene.cluster_id()

    assert len({raw, hashed, await scene.cluster_id("none")}) == 3


async def test_a_known_release_needs_no_right(scene: Scene) -> None:
    status = evolve(STATUS, image="ghcr.io/kubeshop/botkube:v1.14.0@sha256:0123")
    found = await identity.find_version(
        scene.client, POD, status, scene.ruleset, missing=scene.note
    )

    assert found == "v1.14.0"
    assert scene.cluster.server.calls == []
