"""Every right of the agent: what it is for, and what is unknown without it.

The one list of them: the README's table is written from it, the Role of the README's manifest is
compared with it, and the doctor asks for it. Pure.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

from attrs import frozen

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


class Where(Enum):
    """Which objects a right is about."""

    PODS = "the pods of each namespace that is followed"
    NAMESPACES = "the namespaces that are followed"
    KUBE_SYSTEM = "kube-system"
    SWITCHES = "the ConfigMaps of BotKube's own opt-out"
    OLD_ID = "the ConfigMap of BotKube v0.13's id"
    DEPLOYMENTS = "BotKube's Deployments"
    KEPT = "the ConfigMaps of State and installation"
    STATE = "the ConfigMaps of State"
    INSTALLATION = "the ConfigMap of the installation"
    NEW_STATE = "ConfigMaps that are not there yet"
    LEASE = "the Lease"
    NEW_LEASE = "a Lease that is not there yet"


class Lack(Enum):
    """What the lack of a right is."""

    STOPS = "the agent cannot work"
    BEGINS_NOT = "the agent cannot begin for the first time"
    HIDES = "something is unknown"
    CREATES = "objects must exist"


@frozen
class Right:
    """A row: `on` and `without` are in the README's words.

    `in_role` says that the manifest's Role grants it, `in_table` that the README lists it as one
    that is not needed.
    """

    verbs: tuple[str, ...]
    resource: str
    where: Where
    on: str
    without: str
    lack: Lack
    group: str = ""
    in_role: bool = False
    in_table: bool = True

    @property
    def text(self) -> str:
        """The right as the README names it."""
        return f"{' and '.join(f'`{verb}`' for verb in self.verbs)} on {self.on}"


@frozen
class Action:
    """One thing that may be allowed, as the API server is asked for it."""

    verb: str
    resource: str
    group: str
    namespace: str
    name: str

    def __str__(self) -> str:
        named = f"{self.resource}/{self.name}" if self.name else self.resource
        # A namespace lies in itself, so that a Role in it is enough.
        where = "" if self.resource == "namespaces" else f" in {self.namespace}"
        return f"{self.verb} {named}{where}"


@frozen
class Scope:
    """Which objects an installation is about. Without a cluster id that is not looked for.

    `guessed` are the namespaces among the followed ones that nobody named; `has_home` is whether it
    is known in which namespace the agent runs.
    """

    namespaces: tuple[str, ...]
    guessed: frozenset[str]
    deployments: tuple[tuple[str, str], ...]
    state_namespace: str
    state_names: tuple[str, ...]
    installation: str | None
    lease: str | None
    has_cluster_id: bool
    switch_names: tuple[str, ...]
    id_names: tuple[str, ...]
    has_home: bool = True


COORDINATION = "coordination.k8s.io"

# fmt: off
RIGHTS = (
    Right(
        ("list",), "pods", Where.PODS, "pods",
        "BotKube is not found, so nothing is read", Lack.STOPS, in_role=True, in_table=False,
    ),
    Right(
        ("get",), "pods/log", Where.PODS, "pods/log",
        "nothing is read", Lack.STOPS, in_role=True, in_table=False,
    ),
    Right(
        ("get",), "configmaps", Where.KEPT, "the ConfigMaps of State and installation",
        "an agent that starts cannot begin, so nothing is read", Lack.STOPS,
        in_role=True, in_table=False,
    ),
    Right(
        ("update",), "configmaps", Where.STATE, "the ConfigMaps of State",
        "an agent that starts cannot begin, and one that runs counts in memory and sends nothing",
        Lack.STOPS, in_role=True, in_table=False,
    ),
    Right(
        ("update",), "configmaps", Where.INSTALLATION, "the ConfigMap of the installation",
        "a first start cannot keep its id, so nothing is read; a later one is not told of "
        "an older copy of State", Lack.BEGINS_NOT, in_role=True, in_table=False,
    ),
    Right(
        ("get",), "namespaces", Where.KUBE_SYSTEM, "namespace `kube-system` (a ClusterRole)",
        "no cluster id, so no `group` call", Lack.HIDES,
    ),
    Right(
        ("get",), "deployments", Where.DEPLOYMENTS, "Deployments in BotKube's namespace",
        "`botkube_version` is `other` where the image tag is no release", Lack.HIDES, "apps",
    ),
    Right(
        ("get",), "namespaces", Where.NAMESPACES, "the namespaces that are followed",
        "the annotation that switches off is not seen, which the log and `status` say", Lack.HIDES,
    ),
    Right(
        ("get",), "configmaps", Where.SWITCHES,
        "ConfigMaps `<name>-analytics-config`, `<name>-global-config` of BotKube's Deployments",
        "BotKube's own opt-out is not seen, which the log and `status` say", Lack.HIDES,
    ),
    Right(
        ("get",), "configmaps", Where.OLD_ID, "ConfigMaps `<name>-analytics-config`",
        "the installation id is a new one instead of that of BotKube v0.13", Lack.HIDES,
    ),
    Right(
        ("get",), "pods", Where.PODS, "pods",
        "whose log it is after a restart is known from the watch alone: where that is late, lines "
        "may be missed or count twice; a pod that is deleted by force may come back for all the "
        "agent knows, and windows of the next day report `unreadable`", Lack.HIDES, in_role=True,
    ),
    Right(
        ("watch",), "pods", Where.PODS, "pods",
        "pods that come and go are noticed within a minute instead of at once", Lack.HIDES,
        in_role=True,
    ),
    Right(
        ("create",), "configmaps", Where.NEW_STATE, "ConfigMaps",
        "both ConfigMaps must exist; the chart makes them", Lack.CREATES,
    ),
    Right(
        ("get", "update"), "leases", Where.LEASE, "the Lease",
        "only one replica, without `lease.name`", Lack.STOPS, COORDINATION, in_role=True,
    ),
    Right(
        ("create",), "leases", Where.NEW_LEASE, "Leases",
        "the Lease must exist; the chart makes it", Lack.CREATES, COORDINATION,
    ),
)
# fmt: on


def actions(right: Right, scope: Scope) -> tuple[Action, ...]:
    """Return all that a right has to allow in one installation; none: it is not wanted there."""
    return tuple(
        Action(verb, right.resource, right.group, namespace, name)
        for namespace, name in _objects(right.where, scope)
        for verb in right.verbs
    )


def _objects(where: Where, scope: Scope) -> Iterator[tuple[str, str]]:
    """Yield namespace and name of the objects; a namespace lies in itself."""
    followed = scope.namespaces
    match where:
        case Where.PODS:
            yield from ((one, "") for one in followed)
        case Where.NAMESPACES:
            yield from ((one, one) for one in followed)
        case Where.KUBE_SYSTEM:
            yield from [("kube-system", "kube-system")] if scope.has_cluster_id else []
        case Where.SWITCHES:
            yield from _each(followed, scope.switch_names)
        case Where.OLD_ID:
            yield from _each(followed, scope.id_names)
        case Where.DEPLOYMENTS:
            yield from scope.deployments
        case Where.KEPT | Where.STATE | Where.INSTALLATION:
            yield from _each([scope.state_namespace], _kept(where, scope))
        case Where.NEW_STATE:
            yield from [(scope.state_namespace, "")] if scope.state_names else []
        case Where.LEASE:
            yield from [(scope.state_namespace, scope.lease)] if scope.lease else []
        case Where.NEW_LEASE:
            yield from [(scope.state_namespace, "")] if scope.lease else []


def _kept(where: Where, scope: Scope) -> Iterator[str]:
    if where is not Where.INSTALLATION:
        yield from scope.state_names
    if where is not Where.STATE and scope.installation:
        yield scope.installation


def _each(namespaces: Iterable[str], names: Iterable[str]) -> Iterator[tuple[str, str]]:
    names = tuple(names)
    yield from ((namespace, name) for namespace in namespaces for name in names)
