"""Seeded schedules of faults: whatever happens, what was written is counted once or reported lost.

Each seed gives one schedule, so that a failure can be repeated by its number. On real sockets and
with the shipped rules; the simulation beside it is faster and repeats exactly.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable
from itertools import islice
from pathlib import Path

import pytest

from agent.rules import RuleSet
from tests.agents import NAMESPACE, WINDOW_SECONDS, Agent, Lab, after, lab, until
from tests.sim.botkube import Fact, Generation, generate
from tests.sim.botkube_v0_12 import BotKubeV012
from tests.sim.botkube_v0_18 import BotKubeV018
from tests.sim.botkube_v1_14 import BotKubeV114
from tests.sim.faults import (
    Answer,
    Call,
    Fault,
    LoseResponse,
    Reset,
    eof_after,
    hang_after,
    in_band,
    reset_after,
)

SEEDS = int(os.environ.get("FAULT_SEEDS", "4"))
LIVES = 3
STEPS = 12
GENERATIONS: tuple[tuple[str, Callable[..., Generation]], ...] = (
    ("v0.12.4", BotKubeV012),
    ("v0.18.0", BotKubeV018),
    ("v1.14.0", BotKubeV114),
)


@pytest.fixture
async def world(tmp_path: Path, ruleset: RuleSet) -> AsyncIterator[Lab]:
    async with lab(tmp_path, ruleset) as opened:
        yield opened


def is_follow(call: Call) -> bool:
    return "follow" in call.query


def some_fault(rng: random.Random) -> Fault:
    faults: list[Fault] = [
        reset_after(rng.randint(0, 5000)),
        eof_after(rng.randint(0, 5000)),
        hang_after(lines=rng.randint(0, 30)),
        in_band("rpc error: code = Unknown", after_lines=rng.randint(0, 30)),
        Answer(500),
        Reset(),
    ]
    return rng.choice(faults)


def disturb(world: Lab, agent: Agent, rng: random.Random) -> None:
    """Let the next follow break in some way, and the running one end now."""
    world.cluster.server.faults.add(some_fault(rng), path="/log", when=is_follow)
    assert agent.pipeline is not None
    for follow in list(agent.pipeline.containers.follows.values()):
        follow.interrupt()


@pytest.mark.parametrize("seed", range(SEEDS))
async def test_broken_streams_kills_and_lost_answers_lose_and_double_nothing(
    world: Lab, seed: int
) -> None:
    rng = random.Random(seed)
    version, generation = rng.choice(GENERATIONS)
    pod = world.cluster.botkube(NAMESPACE, at=world.clock.ns(), version=version)
    writer = generation(random.Random(seed), cluster="test")
    truth: Counter[Fact] = Counter()

    def write(count: int) -> None:
        for action in islice(generate(writer, rng, iter(world.clock.ns, None)), count):
            pod.play(action)
            truth.update(action.truth)

    def is_counted() -> bool:
        return world.counted() == truth

    for life in range(LIVES):
        async with world.agent(seed=seed * 10 + life) as agent:
            for _ in range(STEPS):
                step = rng.random()
                if step < 0.5:
                    write(rng.randint(1, 25))
                elif step < 0.75:
                    disturb(world, agent, rng)
                elif step < 0.9:
                    await after(world, rng.randint(1, 70))
                else:
                    world.collector.faults.add(LoseResponse(), path="/v1/batch")
    world.cluster.server.faults.clear()
    async with world.agent(seed=999):
        write(3)
        await until(is_counted)
        await after(world, 2 * WINDOW_SECONDS)

    assert world.counted() == truth
    assert not world.gaps()
