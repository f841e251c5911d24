"""One pod by its name: one that is about to go, or that has another's name, does not stay."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from agent.source.api import Access, Client
from agent.source.discovery import read_pod
from agent.source.podobjects import PodObjects
from tests.sim.cluster import Cluster
from tests.sim.store import PODS

NAMESPACE = "botkube"
AT = 1_800_000_000_000_000_000


@pytest.mark.parametrize(
    ("becomes", "stays"),
    [("nothing else", True), ("about to go", False), ("another", False), ("gone", False)],
)
async def test_a_pod_stays_that_is_there_and_not_about_to_go(
    tmp_path: Path, becomes: str, *, stays: bool
) -> None:
    async with Cluster.running() as cluster:
        cluster.namespace(NAMESPACE)
        path = tmp_path / "kubeconfig"
        path.write_bytes(orjson.dumps(cluster.server.kubeconfig()))
        pod = cluster.botkube(NAMESPACE, at=AT)
        known = read_pod(cluster.server.store.get(PODS, NAMESPACE, pod.name), frozenset())
        if becomes == "about to go":
            pod.begin_delete(at=AT)
        elif becomes != "nothing else":
            pod.remove(at=AT)
        if becomes == "another":
            assert cluster.botkube(NAMESPACE, at=AT).name == known.name
        async with Client(Access(str(path)), "test") as client:
            objects = PodObjects(client, frozenset(), lambda _trait, _right: None)
            assert await objects.stays(known) is stays
