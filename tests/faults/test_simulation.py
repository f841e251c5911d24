"""Whole agents in virtual time, schedule by schedule; `play(seed)` repeats one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults import nodes
from tests.faults.simulation import play

FROM = int(os.environ.get("FAULTS_FROM", "0"))
SEEDS = int(os.environ.get("FAULTS_SIMULATIONS", "4"))
PARTS = 4

FOUND = (36, 54, 183, 249, 362, 581)
"""Schedules that found a bug once: its mend is beside them in the history."""

FOUND_WITH_NAMES = (777070, 778073)
"""Others that did so since pods can get another's name."""

FOUND_WITH_LOSSES = (600109, 601323)
"""Those since a runtime can lose containers, and find them again."""

FOUND_OF_NODES = (777012,)
"""Those of a DaemonSet that did so, or showed a limit."""


@pytest.mark.timeout(60 + SEEDS)
@pytest.mark.parametrize("part", range(PARTS))
def test_agents_that_are_killed_replaced_and_cut_off_count_each_line_once(part: int) -> None:
    for seed in range(FROM + part, FROM + SEEDS, PARTS):
        play(seed)


@pytest.mark.timeout(60 + SEEDS)
@pytest.mark.parametrize("part", range(2))
def test_replicas_whose_pods_move_and_whose_slots_are_changed_count_each_line_once(
    part: int,
) -> None:
    for seed in range(FROM + part, FROM + max(SEEDS // 4, 2), 2):
        nodes.play(seed)


@pytest.mark.parametrize("seed", FOUND)
def test_a_schedule_that_found_a_bug_passes(seed: int) -> None:
    play(seed, reuses_names=False, loses_containers=False)


@pytest.mark.parametrize("seed", FOUND_WITH_NAMES)
def test_a_schedule_with_names_that_found_a_bug_passes(seed: int) -> None:
    play(seed, loses_containers=False)


@pytest.mark.parametrize("seed", FOUND_WITH_LOSSES)
def test_a_schedule_with_losses_that_found_a_bug_passes(seed: int) -> None:
    play(seed)


@pytest.mark.parametrize("seed", FOUND_OF_NODES)
def test_a_schedule_of_replicas_that_found_a_bug_passes(seed: int) -> None:
    nodes.play(seed)


def test_the_same_seed_is_the_same_schedule_in_another_process() -> None:
    code = "from tests.faults.simulation import play; print(*play(2), sep='\\n')"
    root = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONHASHSEED": "7", "PYTHONPATH": str(root)}
    other = subprocess.run(  # noqa: S603 this interpreter, this code
        [sys.executable, "-c", code],
        env=environment, cwd=root, capture_output=True, text=True, check=True,
    )  # fmt: skip

    assert play(2) == other.stdout.splitlines()
