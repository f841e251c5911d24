"""Which containers are followed, and whose windows wait for whom."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.rules import RuleSet
from tests.agents import NAMESPACE, WINDOW_SECONDS, after, lab, missing, until, write
from tests.sim.faults import Answer

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
        where = f"/namespaces/{OTHER}/pods$"
        world.cluster.server.faults.add(Answer(500), path=where, times=None)
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
