"""What a run needs to know and what it takes from outside, as plain values.

Owns no decision: `settings` makes the options, the command line the world.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from attrs import field, frozen

from agent.follow import Pace
from agent.sink.destination import Destination
from agent.state.lease import LeaseTimes

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from random import Random
    from uuid import UUID

    from agent.source.api import Access


@frozen
class Options:
    """What a run needs to know, as plain values; `settings` makes them."""

    access: Access
    namespaces: tuple[str, ...]
    selectors: tuple[str, ...]
    containers: frozenset[str]
    deployments: tuple[str, ...]
    node: str | None
    window_seconds: int
    commit_seconds: float
    quiet_period_seconds: int
    cluster_id: str
    state_path: Path | None
    state_namespace: str
    state_name: str
    installation_name: str
    agent_version: str
    destination: Destination = field(factory=Destination)
    rules_paths: tuple[str, ...] = ()
    minimum: int = 0
    pace: Pace = field(factory=Pace)
    lease_name: str | None = None
    slots: int = 0
    lease_times: LeaseTimes = field(factory=LeaseTimes)


@frozen
class World:
    """Time, randomness and ids, so that a run can be repeated.

    `clock` is wall time, which may jump; `monotonic` is for what must not believe it.
    """

    clock: Callable[[], float]
    random: Random
    new_uuid: Callable[[], UUID]
    new_bytes: Callable[[int], bytes]
    monotonic: Callable[[], float] = time.monotonic
