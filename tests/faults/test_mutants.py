"""The suite against known bugs: it must notice every one of them."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from tests.faults.mutants import MUTANTS, SEEDS
from tests.faults.schedule import play
from tests.faults.truth import Wrong

SCHEDULES = 400


def play_all(seeds: Iterable[int]) -> None:
    for seed in seeds:
        play(seed)


@pytest.mark.parametrize("name", MUTANTS)
def test_a_known_bug_makes_the_suite_fail(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    MUTANTS[name](monkeypatch)

    with pytest.raises(Wrong):
        play_all([SEEDS.get(name, 0), *range(SCHEDULES)])
