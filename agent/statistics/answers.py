"""The answers as the warehouse's models give them: one frozen value for a row of each view.

Owns names and order of their columns; what a column means stands in deploy/warehouse/README.md.
`WITHHELD` is in the place of what is not told. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from enum import Enum
from typing import Any, ClassVar, Final, Literal, TypeAlias

from attrs import fields, frozen


class _Withheld(Enum):
    HERE = "withheld"


WITHHELD: Final = _Withheld.HERE
Told: TypeAlias = int | float | Literal[_Withheld.HERE] | None
"""A number, or that there is none, or that it is withheld."""


@frozen(kw_only=True)
class Row:
    """What every answer says: of which week, and whether all that it needs could be observed."""

    KEYS: ClassVar[tuple[str, ...]] = ()
    SHARED: ClassVar[tuple[str, ...]] = ("installations_all",)
    """Columns that are the same for all rows of the week."""

    week: date
    is_complete: bool = True
    installations: Told = 0

    @property
    def key(self) -> tuple[str, ...]:
        """What the row is about."""
        return tuple(str(getattr(self, name)) for name in self.KEYS)


@frozen(kw_only=True)
class Active(Row):
    """How many installations and clusters there were."""

    installations_new: Told = None
    installations_kept: Told = None
    installations_returned: Told = None
    installations_gone: Told = None
    clusters: Told = None
    clusters_new: Told = None
    clusters_kept: Told = None
    clusters_returned: Told = None
    clusters_gone: Told = None
    installations_without_cluster: Told = None


@frozen(kw_only=True)
class Version(Row):
    """How many run a version of BotKube."""

    KEYS = ("botkube_version",)
    botkube_version: str
    installations_all: Told = None
    share: Told = None


@frozen(kw_only=True)
class Kubernetes(Row):
    """How many run on a Kubernetes of somebody's."""

    KEYS = ("kubernetes_minor", "distribution")
    kubernetes_minor: str
    distribution: str
    installations_all: Told = None
    share: Told = None


@frozen(kw_only=True)
class Both(Row):
    """How many run a version of BotKube on a Kubernetes of somebody's."""

    KEYS = ("botkube_version", "kubernetes_minor", "distribution")
    botkube_version: str
    kubernetes_minor: str
    distribution: str
    installations_all: Told = None
    share: Told = None


@frozen(kw_only=True)
class Integration(Row):
    """How many have a bot or a sink switched on."""

    KEYS = ("kind", "platform")
    kind: str
    platform: str
    installations_disabled: Told = None
    installations_unknown: Told = None
    installations_all: Told = None
    share: Told = None
    share_at_least: Told = None

    @property
    def is_at_least(self) -> bool:
        """Whether its share is of all, at least: of a sink, which is never known to be off.

        And of a bot where it is withheld of how many it is known.
        """
        is_told = isinstance(self.share_at_least, int | float)
        return self.kind == "sink" or (self.share is WITHHELD and is_told)

    @property
    def share_on(self) -> Told:
        """Of those of which it is known, or at least: None where it is known of nobody."""
        return (self.share_at_least or None) if self.is_at_least else self.share


@frozen(kw_only=True)
class Command(Row):
    """How often a command was run."""

    KEYS = ("platform", "command")
    SHARED = ("installations_observable", "hours_observable")
    platform: str
    command: str
    count: Told = None
    count_failed: Told = None
    installations_failed: Told = None
    installations_observable: Told = None
    hours_observable: Told = None

    @property
    def share(self) -> Told:
        """Of the installations that could show commands; withheld where one of the two is."""
        of = self.installations_observable
        if self.installations is WITHHELD or of is WITHHELD:
            return WITHHELD
        return self.installations / of if self.installations is not None and of else None


@frozen(kw_only=True)
class PerDay(Row):
    """How many events an installation handles on a day."""

    KEYS = ("platform",)
    SHARED = ("days_left_out",)
    platform: str
    installation_days: Told = None
    total: Told = None
    p10: Told = None
    p25: Told = None
    median: Told = None
    p75: Told = None
    p90: Told = None
    p99: Told = None
    days_left_out: Told = None


@frozen(kw_only=True)
class Failure(Row):
    """How often something could not be delivered, and why."""

    KEYS = ("platform", "what", "reason")
    platform: str
    what: str
    reason: str
    failed: Told = None
    attempts: Told = None
    rate: Told = None
    installations_failed: Told = None
    installations_observed: Told = None
    installations_unobserved: Told = None
    failed_all: Told = None

    @property
    def share_failed(self) -> Told:
        """Of the installations whose attempts are known; withheld where one of the two is."""
        failed, of = self.installations_failed, self.installations_observed
        if failed is WITHHELD or of is WITHHELD:
            return WITHHELD
        return failed / of if failed is not None and of else None


@frozen(kw_only=True)
class Misconfigured(Row):
    """How many have a fault in their configuration."""

    KEYS = ("reason", "field", "platform")
    SHARED = ("installations_observable",)
    reason: str
    field: str
    platform: str
    count: Told = None
    installations_observable: Told = None
    share: Told = None


@frozen(kw_only=True)
class Crashes(Row):
    """How often a version crashes."""

    KEYS = ("botkube_version",)
    botkube_version: str
    crashes: Told = None
    installation_hours: Told = None
    per_1000_hours: Told = None
    installations_crashed: Told = None
    installations_all: Told = None


@frozen(kw_only=True)
class CrashKind(Row):
    """How it crashes."""

    KEYS = ("botkube_version", "kind")
    botkube_version: str
    kind: str
    crashes: Told = None


@frozen(kw_only=True)
class Completeness(Row):
    """How much of the time was observed, and why not the rest."""

    KEYS = ("reason",)
    SHARED = ("installations_all", "is_whole")
    reason: str
    hours: Told = None
    share: Told = None
    is_whole: Told = None
    """Whether the data go from before the week to after it, whatever was lost in it."""


VIEWS: dict[str, type[Row]] = {
    "active_installations": Active,
    "version_adoption": Version,
    "kubernetes_adoption": Kubernetes,
    "version_by_kubernetes": Both,
    "integrations": Integration,
    "commands": Command,
    "events_per_day": PerDay,
    "notification_failures": Failure,
    "configuration_errors": Misconfigured,
    "crashes": Crashes,
    "crash_kinds": CrashKind,
    "completeness": Completeness,
}
"""Each view, in the order of the questions."""


@frozen
class Answers:
    """The rows of every view, by week and key."""

    active_installations: Sequence[Active] = ()
    version_adoption: Sequence[Version] = ()
    kubernetes_adoption: Sequence[Kubernetes] = ()
    version_by_kubernetes: Sequence[Both] = ()
    integrations: Sequence[Integration] = ()
    commands: Sequence[Command] = ()
    events_per_day: Sequence[PerDay] = ()
    notification_failures: Sequence[Failure] = ()
    configuration_errors: Sequence[Misconfigured] = ()
    crashes: Sequence[Crashes] = ()
    crash_kinds: Sequence[CrashKind] = ()
    completeness: Sequence[Completeness] = ()


def columns(view: type[Row]) -> tuple[str, ...]:
    """Return the columns of a view: the week, the keys, the numbers."""
    names = [one.name for one in fields(view)]
    numbers = [name for name in names if name not in {"week", "is_complete", *view.KEYS}]
    return ("week", "is_complete", *view.KEYS, *numbers)


def numbers(view: type[Row]) -> tuple[str, ...]:
    """Return the columns that are about a row alone."""
    return tuple(name for name in columns(view)[2 + len(view.KEYS) :] if name not in view.SHARED)


def make_row(view: type[Row], values: Sequence[Any]) -> Row:
    """Return a row of values as a database gives them, in the order of `columns`."""
    named = dict(zip(columns(view), values, strict=True))
    keys = {name: "unknown" if named[name] is None else str(named[name]) for name in view.KEYS}
    told = {
        name: _number(value)
        for name, value in named.items()
        if name not in {"week", "is_complete", *view.KEYS}
    }
    all_of_it: dict[str, Any] = {**keys, **told}
    return view(week=named["week"], is_complete=bool(named["is_complete"]), **all_of_it)


def _number(value: Any) -> int | float | None:  # noqa: ANN401 a Decimal of the database's, too
    if value is None or isinstance(value, int):
        return value
    number = float(value)
    return int(number) if number.is_integer() else number
