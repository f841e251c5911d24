"""The whole path through a real API server, as `make bench` measures it through a simulated one."""

from __future__ import annotations

import json
import time
from pathlib import Path

import attrs
import pytest
from rich.console import Console

from tests.bench import peers
from tests.bench.cluster import log_url, records
from tests.bench.figures import Report
from tests.bench.logs import make_log
from tests.bench.path import SHARE, compare, first_line, rows
from tests.cluster.lab import Lab
from tests.cluster.node import kubeconfig

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300, func_only=True)]

BYTES = 48 << 20
TURNS = 2
MOST_OF_KUBECTL = 6.0
"""What is far above any measurement: the figures say how it is, this says that it broke."""


@attrs.define(eq=False)
class Place:
    """The cluster as the bench sees it."""

    world: Lab
    kubeconfig: Path
    authority: Path
    token: str
    namespace: str
    pods: list[str] = attrs.field(factory=list)

    def log_url(self, pod: str) -> str:
        return log_url(self.world.api.url, self.namespace, pod)

    async def add(self, log: Path) -> str:
        pod = self.world.node.botkube(f"botkube-{len(self.pods)}")
        pod.log().write_record(records(log))
        self.pods.append(pod.name)
        return pod.name


async def test_a_log_is_counted_for_little_more_than_it_costs_to_print(
    world: Lab, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    best: dict[str, float] = {}
    access = tmp_path / "access"
    access.write_text(json.dumps(kubeconfig(world.api)))
    log = make_log("json", "debug", SHARE, BYTES, begin_ns=time.time_ns())
    for turn in range(TURNS):
        folder = tmp_path / f"turn-{turn}"
        folder.mkdir()
        place = Place(world, access, Path(world.api.ca), world.token(), world.namespace)
        await place.add(first_line(log, folder))
        used = await compare(folder, place, log, here=peers.installed())
        best = {name: min(one, best.get(name, one)) for name, one in used.items()}
        for name in place.pods:
            world.remove({"metadata": {"name": name}})
    found = list(rows(best, log))
    with capsys.disabled():
        Report(found, title="the whole path through kube-apiserver").print(Console(width=160))

    for row in found:
        if row.peer == "kubectl":
            assert row.ratio is not None
            assert 1 / row.ratio <= MOST_OF_KUBECTL
