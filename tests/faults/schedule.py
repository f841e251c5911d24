"""Schedules of the machine from a seed: the steps that hypothesis chooses, many times faster."""

from __future__ import annotations

import random
from collections.abc import Callable

from agent.model import NANOS
from tests.faults.machine import Between, World

VERBS = ("said", "said", "said", "asked", "answered")
STEPS_NS = (0, 0, 1, 1000, NANOS // 3, NANOS, 7 * NANOS, -NANOS // 2, -2 * NANOS, -9 * NANOS)
SIZES = (0, 1, 60, 90, 300, 5000, 1 << 20)
DELAYS_NS = (0, 0, 0, NANOS, 9 * NANOS, 40 * NANOS)


def _append(world: World, rng: random.Random) -> None:
    for _ in range(rng.choice((1, 1, 2, 5))):
        world.append(
            rng.choice(VERBS),
            step_ns=rng.choice(STEPS_NS),
            rotate_after=rng.choice((None, None, None, 0, 1, 2)),
            copies=rng.choice((1, 1, 1, 2, 3)),
        )


def _receive(world: World, rng: random.Random) -> None:
    if world.following is None:
        world.observe()
    if world.following is not None and world.following.reply is None and rng.random() < 0.8:
        world.connect()
    world.receive(rng.choice(SIZES), delay_ns=rng.choice(DELAYS_NS))


def _live(world: World, rng: random.Random) -> None:
    """Print something to a stream that keeps up."""
    _receive(world, rng)
    _append(world, rng)
    world.receive(1 << 20)


def _fall_behind(world: World, rng: random.Random) -> None:
    """Let a stream that has read something hang while files come and go."""
    world.receive(1 << 20)
    for _ in range(rng.choice((1, 2, 3))):
        _append(world, rng)
        world.rotate()
        world.pass_time(written_ns=rng.choice((0, 0, 9 * NANOS)), agent_ns=0)
    _append(world, rng)
    world.receive(rng.choice(SIZES), delay_ns=rng.choice(DELAYS_NS))


def _pieces(world: World, rng: random.Random) -> None:
    between: tuple[Between, ...] = ("", "stderr", "rotation", "both")
    # What is glued to a piece that `since` leaves out has no stamp, until a rotation parts the two.
    straddle = rng.random() < 0.3
    world.append_pieces(
        between=rng.choice(between[::2] if straddle else between), straddle=straddle
    )


def _disconnect(world: World, rng: random.Random) -> None:
    world.disconnect(rng.choice((b"", b"", b"rpc error: code = Unknown", b"failed to watch\n")))


def _commit(world: World, rng: random.Random) -> None:
    world.commit(rng.choice(("", "", "refused", "lost", "unknown", "unread")))


def _pass_time(world: World, rng: random.Random) -> None:
    world.pass_time(
        written_ns=rng.choice((0, NANOS, 30 * NANOS, 90 * NANOS)),
        agent_ns=rng.choice((0, 0, 5 * NANOS, -50 * NANOS, 200 * NANOS)),
    )


CHOICES: tuple[tuple[Callable[[World, random.Random], None], int], ...] = (
    (_append, 30),
    (_live, 20),
    (_fall_behind, 3),
    (_pieces, 4),
    (lambda world, _: world.append_late(), 2),
    (lambda world, _: world.tear(), 1),
    (lambda world, _: world.rotate(), 5),
    (lambda world, _: world.connect(), 14),
    (_receive, 40),
    (_disconnect, 6),
    (lambda world, _: world.audit(), 8),
    (lambda world, _: world.observe(), 5),
    (lambda world, _: world.crash_container(), 3),
    (lambda world, _: world.back_off(), 2),
    (lambda world, _: world.start_container(), 4),
    (_commit, 14),
    (lambda world, rng: world.kill_in_commit(rng.choice(("refused", "lost"))), 3),
    (lambda world, _: world.kill(), 4),
    (lambda world, _: world.usurp(), 2),
    (_pass_time, 6),
    (lambda world, _: world.tick(), 8),
    (lambda world, rng: world.send(rng.choice(("", "", "refused", "lost"))), 10),
)  # fmt: skip


def play(seed: int, *, steps: int = 60) -> None:
    """Play the schedule of a seed to its end; raises `Wrong` where the agent is wrong."""
    rng = random.Random(seed)
    kinds = [kind for kind, _ in CHOICES]
    # What happens often differs by schedule, so that rare things also come one after the other.
    weights = [weight * rng.choice((0.1, 1, 1, 4)) for _, weight in CHOICES]
    world = World(serves_again=seed % 4 == 1)
    try:
        for step in rng.choices(kinds, weights, k=steps):
            step(world, rng)
        world.settle()
    except AssertionError as error:
        error.add_note(f"seed {seed}")
        raise
    finally:
        world.close()
