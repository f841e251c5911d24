"""The objects behind the simulated API: one counter of versions, compare-and-swap, and a history.

Written plainly rather than on kmock's emulator: that one keeps no resourceVersion (so neither
conflict, 410 nor bookmark can happen), knows no selectors, merges on PUT and has reasons such as
"Not Found" of its own. Pure: no I/O, and the time of a creation is an argument.
"""

from __future__ import annotations

import copy
import uuid
from typing import TYPE_CHECKING

import attrs

from tests.sim import content, status
from tests.sim.gotime import seconds_stamp
from tests.sim.query import object_version
from tests.sim.status import Json, Kind

if TYPE_CHECKING:
    from collections.abc import Callable

NAMESPACES = Kind("", "v1", "namespaces", "Namespace", namespaced=False)
PODS = Kind("", "v1", "pods", "Pod")
CONFIGMAPS = Kind("", "v1", "configmaps", "ConfigMap")
LEASES = Kind(
    "coordination.k8s.io",
    "v1",
    "leases",
    "Lease",
    create_on_update=True,
    unconditional_update=False,
)
DEPLOYMENTS = Kind("apps", "v1", "deployments", "Deployment")
REPLICASETS = Kind("apps", "v1", "replicasets", "ReplicaSet")
REVIEWS = Kind(
    "authorization.k8s.io",
    "v1",
    "selfsubjectaccessreviews",
    "SelfSubjectAccessReview",
    namespaced=False,
)
# Kinds of which there is nothing, so that they are missing or forbidden and no unknown path.
OTHERS = (
    Kind("", "v1", "nodes", "Node", namespaced=False),
    *(Kind("", "v1", f"{kind.lower()}s", kind) for kind in ("Secret", "Service", "Event")),
    Kind("", "v1", "serviceaccounts", "ServiceAccount"),
    Kind("apps", "v1", "daemonsets", "DaemonSet"),
    Kind("apps", "v1", "statefulsets", "StatefulSet"),
)
KINDS = (NAMESPACES, PODS, CONFIGMAPS, LEASES, DEPLOYMENTS, REPLICASETS, REVIEWS, *OTHERS)

Key = tuple[str, str, str]


@attrs.frozen
class Change:
    """One step of the history; by `before` a watch sees what left its selection."""

    version: int
    kind: Kind
    type: str
    after: Json
    before: Json | None


@attrs.define(eq=False)
class Store:
    """All objects; what goes in and out is copied, so nobody can change them from outside.

    `root` is where the real server's store says that they are.
    """

    version: int = 1
    oldest: int = 1
    history: list[Change] = attrs.field(factory=list)
    listeners: set[Callable[[Change], None]] = attrs.field(factory=set)
    root: str = "/registry/"
    _objects: dict[Key, Json] = attrs.field(factory=dict, alias="_objects")

    def get(self, kind: Kind, namespace: str, name: str) -> Json:
        found = self._objects.get((kind.resource, namespace, name))
        if found is None:
            raise status.not_found(kind, name)
        return copy.deepcopy(found)

    def objects(self, kind: Kind, namespace: str = "") -> list[Json]:
        """Return the objects of one namespace, or of all, in the order of their keys."""
        return [
            copy.deepcopy(obj)
            for (resource, where, _), obj in sorted(self._objects.items(), key=lambda item: item[0])
            if resource == kind.resource and namespace in {"", where}
        ]

    def create(self, kind: Kind, namespace: str, obj: Json, *, at: int) -> Json:
        name = _name_of(kind, obj)
        meta = obj["metadata"]
        if kind.namespaced and (NAMESPACES.resource, "", namespace) not in self._objects:
            raise status.not_found(NAMESPACES, namespace)
        content.check(kind, name, obj)
        # What is no number is no version either.
        given = meta.get("resourceVersion") or ""
        if given.isdecimal() and int(given):
            raise status.internal("resourceVersion should not be set on objects to be created")
        if (kind.resource, namespace, name) in self._objects:
            prefix = meta.get("generateName")
            raise (status.name_taken if prefix else status.already_exists)(kind, name)
        unique = uuid.uuid5(
            uuid.NAMESPACE_OID, f"{kind.resource}/{namespace}/{name}/{self.version}"
        )
        new = {"kind": kind.kind, "apiVersion": kind.api_version, **copy.deepcopy(obj)}
        # A uid that the caller chose is kept: only the driver of a test can choose one
        # (see `crud`).
        new["metadata"] |= {
            "uid": meta.get("uid") or str(unique),
            "creationTimestamp": meta.get("creationTimestamp") or seconds_stamp(at),
        }
        if kind.namespaced:
            new["metadata"]["namespace"] = namespace
        return self._put(kind, "ADDED", new, None)

    def update(self, kind: Kind, namespace: str, name: str, obj: Json) -> Json:
        """Replace an object; a resourceVersion or uid in it must be the current one."""
        old = self.get(kind, namespace, name)
        meta, old_meta = obj.get("metadata") or {}, old["metadata"]
        if meta.get("uid") not in {None, "", old_meta["uid"]}:
            words = self.uid_cause(kind, namespace, name, meta["uid"], old_meta["uid"])
            raise status.conflict(kind, name, words)
        # Nought is no version: whatever is there is replaced.
        version = object_version(meta.get("resourceVersion") or "")
        if not version and not kind.unconditional_update:
            cause = status.cause(
                "Invalid",
                "Invalid value: 0x0: must be specified for an update",
                "metadata.resourceVersion",
            )
            raise status.invalid(kind.plural, name, cause, group=kind.group)
        if version and version != int(old_meta["resourceVersion"]):
            raise status.conflict(kind, name)
        content.check(kind, name, obj, before=old)
        new = {"kind": kind.kind, "apiVersion": kind.api_version, **copy.deepcopy(obj)}
        kept = {key: old_meta[key] for key in ("uid", "creationTimestamp", "resourceVersion")}
        new["metadata"] = {**new["metadata"], **kept, "name": name}
        if kind.namespaced:
            new["metadata"]["namespace"] = namespace
        if new == old:
            return old  # the real store writes nothing either, and the version stays
        return self._put(kind, "MODIFIED", new, old)

    def uid_cause(self, kind: Kind, namespace: str, name: str, given: str, found: str) -> str:
        """Word that an object is another one than the writer thinks."""
        where = f"{kind.group}/" if kind.group == "apps" else ""
        return (
            f"StorageError: invalid object, Code: 4, Key: {self.root}{where}{kind.plural}/"
            f"{namespace}/{name}, ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: "
            f"UID in precondition: {given}, UID in object meta: {found}"
        )

    def merge(self, kind: Kind, namespace: str, name: str, patch: Json) -> Json:
        """Apply a JSON merge patch; a resourceVersion in it must be the current one."""
        merged = content.merge(self.get(kind, namespace, name), patch)
        return self.update(kind, namespace, name, merged)

    def delete(self, kind: Kind, namespace: str, name: str) -> Json:
        old = self.get(kind, namespace, name)
        del self._objects[kind.resource, namespace, name]
        return self._put(kind, "DELETED", copy.deepcopy(old), old)

    def copy(self) -> Store:
        """Return a store that may be changed without anybody hearing of it."""
        return Store(self.version, self.oldest, root=self.root, _objects=dict(self._objects))

    def at(self, version: int) -> Store:
        """Return a copy as things were at a version, or raise 410."""
        if version < self.oldest:
            raise status.expired_version(version, self.oldest)
        past = attrs.evolve(self.copy(), version=version)
        for change in reversed([one for one in self.history if one.version > version]):
            meta = change.after["metadata"]
            key = (change.kind.resource, meta.get("namespace", ""), meta["name"])
            past._objects.pop(key, None)
            if change.before is not None:
                past._objects[key] = change.before
        return past

    def compact(self) -> None:
        """Forget the history: a watch from before now gets 410."""
        self.oldest = self.version
        self.history.clear()

    def tick(self) -> int:
        """Step the counter as writes to other objects would, and return it."""
        self.version += 1
        return self.version

    def since(self, version: int, kind: Kind) -> list[Change]:
        """Return what happened to a kind after a version, or raise 410."""
        if version < self.oldest:
            raise status.expired_version(version, self.oldest)
        return [c for c in self.history if c.version > version and c.kind == kind]

    def _put(self, kind: Kind, change: str, new: Json, before: Json | None) -> Json:
        new["metadata"]["resourceVersion"] = str(self.tick())
        meta = new["metadata"]
        if change != "DELETED":
            self._objects[kind.resource, meta.get("namespace", ""), meta["name"]] = new
        step = Change(self.version, kind, change, copy.deepcopy(new), before)
        self.history.append(step)
        for listener in tuple(self.listeners):
            listener(step)
        return copy.deepcopy(new)


def _name_of(kind: Kind, obj: Json) -> str:
    name = (obj.get("metadata") or {}).get("name")
    if not name:
        message = "Required value: name or generateName is required"
        raise status.invalid(
            kind.kind, "", status.cause("Required", message, "metadata.name"), group=kind.group
        )
    return str(name)
