"""Writers of BotKube's logs that know what they wrote: three generations, one interface.

An `Action` is what BotKube prints when one thing happens, and what a perfect reader would count for
it. Wording and order of the lines are those of recorded pods; names and texts are invented.
Everything comes from a seeded `random.Random` and the times given, so a run can be repeated.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

import attrs

from tests.sim.crilog import Stream

# An event as the agent sends it, without `count` and without a failure's `reason`.
Fact = tuple[str, tuple[tuple[str, str], ...]]

PLATFORMS = ("mattermost", "webhook", "elasticsearch")
NAMESPACES = ("orchard", "harbour", "lantern", "meadow", "quarry", "foundry")
NAMES = ("plum", "barge", "wick", "fence", "anvil", "kiln", "oar", "thistle", "ember", "sluice")
REASONS = ("BackOff", "FailedMount", "ImageCheckFailed", "Unhealthy")
USERS = ("kim", "noor", "jules", "sasha")


def fact(event: str, **properties: str) -> Fact:
    return event, tuple(sorted(properties.items()))


ENABLED = fact("Integration enabled", platform="mattermost", type="bot")


def executed(command: str, result: str) -> Fact:
    return fact("Command executed", platform="mattermost", command=command, result=result)


def refused(reason: str) -> Fact:
    return fact("Command refused", platform="mattermost", reason=reason)


def handled(platform: str) -> Fact:
    return fact("Event handled", platform=platform)


def failed(platform: str, what: str) -> Fact:
    return fact("Notification failed", platform=platform, what=what)


def crashed(kind: str) -> Fact:
    return fact("Application crashed", kind=kind)


@attrs.frozen
class Action:
    """What one thing wrote, what it counts for, and the exit code if it was the last."""

    kind: str
    at: int
    parts: tuple[tuple[Stream, bytes], ...]
    truth: Counter[Fact]
    exit_code: int | None = None

    @property
    def text(self) -> bytes:
        return b"".join(part for _, part in self.parts)


class Generation(Protocol):
    """One generation of BotKube; each method writes what happens at one time."""

    version: str

    def start(self, at: int) -> Action: ...
    def event(self, at: int, refusing: frozenset[str] = frozenset()) -> Action: ...
    def command(self, at: int, result: str = "ok") -> Action: ...
    def refused(self, at: int) -> Action: ...
    def ignored(self, at: int) -> Action: ...
    def failed_reply(self, at: int) -> Action: ...
    def noise(self, at: int) -> Action: ...
    def panic(self, at: int) -> Action: ...


@attrs.frozen
class Thing:
    """An invented object of the watched cluster."""

    kind: str
    resource: str
    api_version: str
    name: str
    namespace: str

    @property
    def plural(self) -> str:
        return self.resource.rsplit("/", 1)[1]


def some_thing(rng: random.Random) -> Thing:
    kind, resource, api_version = rng.choice(
        (
            ("Job", "batch/v1/jobs", "batch/v1"),
            ("Service", "v1/services", "v1"),
            ("StatefulSet", "apps/v1/statefulsets", "apps/v1"),
            ("Deployment", "apps/v1/deployments", "apps/v1"),
        )
    )
    return Thing(kind, resource, api_version, rng.choice(NAMES), rng.choice(NAMESPACES))


def generate(writer: Generation, rng: random.Random, times: Iterable[int]) -> Iterator[Action]:
    """Yield a start and then a mixture of actions, one for each time; never a panic."""
    remaining = iter(times)
    for at in remaining:
        yield writer.start(at)
        break
    for at in remaining:
        yield _pick(writer, rng)(at)


def replay(actions: Iterable[Action]) -> Counter[Fact]:
    """Add up what all actions count for."""
    total: Counter[Fact] = Counter()
    for action in actions:
        total.update(action.truth)
    return total


def _pick(writer: Generation, rng: random.Random) -> Callable[[int], Action]:
    refusing = frozenset({rng.choice(PLATFORMS)})
    # Noise is most of a debug log; the rest is weighted so that a short run has some of everything.
    choices: list[tuple[Callable[[int], Action], int]] = [
        (writer.noise, 40),
        (writer.event, 20),
        (lambda at: writer.event(at, refusing), 9),
        (writer.command, 12),
        (lambda at: writer.command(at, "failed"), 6),
        (writer.refused, 6),
        (writer.ignored, 4),
        (writer.failed_reply, 3),
    ]
    makers, weights = zip(*choices, strict=True)
    picked: Callable[[int], Action] = rng.choices(makers, weights)[0]
    return picked
