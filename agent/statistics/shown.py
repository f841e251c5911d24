"""What may be told: the answers without what tells of few installations, and the tables of it.

Owns which tables are written and shown; what must be withheld of them, `withhold` decides. Pure.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import ClassVar

from attrs import frozen

from agent.statistics.answers import (
    WITHHELD,
    Active,
    Command,
    Completeness,
    Crashes,
    CrashKind,
    Failure,
    Integration,
    Kubernetes,
    Misconfigured,
    PerDay,
    Row,
    Told,
    Version,
    numbers,
)

OTHERS = "all others"
OR_OLDER = " or older"
UNKNOWN = "unknown"
_NOT_ONE = {UNKNOWN, "several", OTHERS}


@frozen(kw_only=True)
class Minor(Row):
    """How many run on a minor of Kubernetes, whoever made it."""

    KEYS: ClassVar[tuple[str, ...]] = ("kubernetes_minor",)
    kubernetes_minor: str
    installations_all: Told = None
    share: Told = None


@frozen(kw_only=True)
class Distribution(Row):
    """How many run on somebody's Kubernetes, whatever its minor."""

    KEYS: ClassVar[tuple[str, ...]] = ("distribution",)
    distribution: str
    installations_all: Told = None
    share: Told = None


@frozen(kw_only=True)
class Pair(Row):
    """How many run a version of BotKube on a minor of Kubernetes, or the oldest put together."""

    KEYS: ClassVar[tuple[str, ...]] = ("botkube_version", "kubernetes_minor")
    botkube_version: str
    kubernetes_minor: str
    installations_all: Told = None
    share: Told = None


@frozen
class Shown:
    """What may be told; of a week of which too little may be, a table has no rows."""

    least: int = 0
    active_installations: Sequence[Active] = ()
    version_adoption: Sequence[Version] = ()
    kubernetes_minors: Sequence[Minor] = ()
    distributions: Sequence[Distribution] = ()
    kubernetes_adoption: Sequence[Kubernetes] = ()
    version_by_minor: Sequence[Pair] = ()
    integrations: Sequence[Integration] = ()
    commands: Sequence[Command] = ()
    events_per_day: Sequence[PerDay] = ()
    notification_failures: Sequence[Failure] = ()
    configuration_errors: Sequence[Misconfigured] = ()
    crashes: Sequence[Crashes] = ()
    crash_kinds: Sequence[CrashKind] = ()
    completeness: Sequence[Completeness] = ()


SHOWN: dict[str, type[Row]] = {
    "active_installations": Active,
    "version_adoption": Version,
    "kubernetes_minors": Minor,
    "distributions": Distribution,
    "kubernetes_adoption": Kubernetes,
    "version_by_minor": Pair,
    "integrations": Integration,
    "commands": Command,
    "events_per_day": PerDay,
    "notification_failures": Failure,
    "configuration_errors": Misconfigured,
    "crashes": Crashes,
    "crash_kinds": CrashKind,
    "completeness": Completeness,
}
"""The kind of row of each table that is written."""


def is_known(row: Row) -> bool:
    """Whether what the row is about is one thing, and known."""
    return not _NOT_ONE & {*row.key}


def is_together(word: str) -> bool:
    """Whether a word stands for several versions, or minors."""
    return word == OTHERS or word.endswith(OR_OLDER)


def days_of_few(least: int) -> int:
    """Return how many days of a week fewer than `least` installations can have together."""
    return 7 * (least - 1)


def count_withheld(shown: Shown) -> Counter[str]:
    """Return in how many rows of each table something is withheld."""
    return Counter(
        name
        for name in SHOWN
        for row in getattr(shown, name)
        if any(getattr(row, one) is WITHHELD for one in numbers(type(row)))
    )
