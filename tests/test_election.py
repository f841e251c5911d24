"""What follows from a lease that is held or lost: how a term ends, and when the next one begins."""

from __future__ import annotations

import asyncio
import random
import uuid
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from agent.election import _why, run_elected
from agent.lookout import Lookout
from agent.options import World
from agent.rules import RuleSet
from agent.state.lease import LeaseLost, LeaseTimes
from agent.state.store import Conflict
from tests.agents import LEASE, NAMESPACE, lab

TIMES = LeaseTimes(retry=0.1, attempt=1.0)


async def test_a_term_that_somebody_else_ended_by_writing_is_followed_after_a_pause(
    tmp_path: Path, ruleset: RuleSet, caplog: pytest.LogCaptureFixture
) -> None:
    """Else the two would take State from each other as fast as they can."""
    caplog.set_level("INFO")
    terms: list[float] = []
    stop, ids = asyncio.Event(), random.Random(1)

    async def term(check: Callable[[], None]) -> None:
        check()
        terms.append(asyncio.get_running_loop().time())
        if len(terms) == 3:
            stop.set()
        raise Conflict("somebody else has written")

    async with lab(
        tmp_path, ruleset, state_path=None, lease_name=LEASE, lease_times=TIMES
    ) as world:
        world.cluster.lease(NAMESPACE, LEASE)
        await run_elected(
            world.options(),
            World(
                world.clock.seconds,
                random.Random(1),
                lambda: uuid.UUID(int=ids.getrandbits(128), version=4),
                ids.randbytes,
                world.clock.seconds,
            ),
            term,
            stand_by=lambda: None,
            lead=lambda: None,
            stop=stop,
            lookout=Lookout(),
            is_again=True,
        )

    assert all(later - earlier >= TIMES.retry for earlier, later in pairwise(terms))
    # The first turn is no news, since the one before it had come to nothing.
    said = [caplog.messages.count(one) for one in ("standing by", "leading", "lease was lost")]
    assert (len(terms), said) == (3, [2, 2, 3])


LOST, CONFLICT = LeaseLost("lost"), Conflict("written")
FAULT, OTHER = KeyError("ours"), ValueError("ours, too")


@pytest.mark.parametrize(
    ("ended", "why"),
    [
        pytest.param([LOST], LOST, id="the lease"),
        pytest.param([CONFLICT, LOST], LOST, id="the lease before a conflict"),
        pytest.param([ExceptionGroup("", [CONFLICT])], CONFLICT, id="a conflict in a task"),
        pytest.param([LOST, FAULT], FAULT, id="what a beginning failed with"),
    ],
)
def test_a_term_ends_by_one_reason(ended: list[Exception], why: Exception) -> None:
    assert _why(ExceptionGroup("", ended)) is why


@pytest.mark.parametrize(
    "faults",
    [
        pytest.param([FAULT, OTHER], id="two"),
        pytest.param([ExceptionGroup("", [FAULT])], id="in a task"),
    ],
)
def test_faults_of_ours_are_all_told_and_no_loss_of_the_lease(faults: list[Exception]) -> None:
    why = _why(ExceptionGroup("", [LOST, *faults]))

    assert isinstance(why, ExceptionGroup)
    assert why.subgroup((LeaseLost, Conflict)) is None
    assert [*map(repr, why.exceptions)] == [*map(repr, faults)]
