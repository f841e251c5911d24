"""The objects behind the simulated API: one counter of versions, compare-and-swap, and a history.

Written plainly rather than on kmock's emulator: that one keeps no resourceVersion (so neither
conflict, 410 nor bookmark can happen), knows no selectors, merges on PUT and has reasons such as
"Not Found" of its own. Pure: no I/O, and the time of a creation is an argument.
"""

from __future__ import annotations

import copy
import re
import uuid
from typing import TYPE_CHECKING, Any

import attrs

from tests.sim import status
from tests.sim.gotime import seconds_stamp
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
KINDS = (NAMESPACES, PODS, CONFIGMAPS, LEASES, DEPLOYMENTS, REPLICASETS, REVIEWS)

# The largest ConfigMap that the API takes, over all its values.
CONFIGMAP_BYTES = 1024 * 1024

_MICRO_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}(Z|[+-]\d\d:\d\d)")

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
    """All objects; what goes in and out is copied, so nobody can change them from outside."""

    version: int = 1
    oldest: int = 1
    history: list[Change] = attrs.field(factory=list)
    listeners: set[Callable[[Change], None]] = attrs.field(factory=set)
    _objects: dict[Key, Json] = attrs.field(factory=dict)

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
        if meta.get("resourceVersion"):
            raise status.internal("resourceVersion should not be set on objects to be created")
        if (kind.resource, namespace, name) in self._objects:
            raise status.already_exists(kind, name)
        _check_content(kind, name, obj)
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
            raise status.conflict(kind, name, _uid_cause(kind, namespace, name, meta, old_meta))
        version = meta.get("resourceVersion")
        if not version and not kind.unconditional_update:
            cause = status.cause(
                "Invalid",
                "Invalid value: 0x0: must be specified for an update",
                "metadata.resourceVersion",
            )
            raise status.invalid(kind.kind, name, cause, group=kind.group)
        if version and version != old_meta["resourceVersion"]:
            raise status.conflict(kind, name)
        _check_content(kind, name, obj)
        new = {"kind": kind.kind, "apiVersion": kind.api_version, **copy.deepcopy(obj)}
        kept = {key: old_meta[key] for key in ("uid", "creationTimestamp", "resourceVersion")}
        new["metadata"] = {**new["metadata"], **kept, "name": name}
        if kind.namespaced:
            new["metadata"]["namespace"] = namespace
        if new == old:
            return old  # the real store writes nothing either, and the version stays
        return self._put(kind, "MODIFIED", new, old)

    def merge(self, kind: Kind, namespace: str, name: str, patch: Json) -> Json:
        """Apply a JSON merge patch; a resourceVersion in it must be the current one."""
        merged = _merge(self.get(kind, namespace, name), patch)
        return self.update(kind, namespace, name, merged)

    def delete(self, kind: Kind, namespace: str, name: str) -> Json:
        old = self.get(kind, namespace, name)
        del self._objects[kind.resource, namespace, name]
        return self._put(kind, "DELETED", copy.deepcopy(old), old)

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


def _check_content(kind: Kind, name: str, obj: Json) -> None:
    if kind is LEASES:
        _check_lease(name, obj.get("spec") or {})
    if kind is not CONFIGMAPS:
        return
    texts = (obj.get("data") or {}).values()
    blobs = (obj.get("binaryData") or {}).values()
    # binaryData is counted decoded: four characters stand for three bytes.
    size = sum(len(text.encode()) for text in texts) + sum(
        len(blob) // 4 * 3 - blob.count("=") for blob in blobs
    )
    if size > CONFIGMAP_BYTES:
        message = f"Too long: may not be more than {CONFIGMAP_BYTES} bytes"
        raise status.invalid(kind.kind, name, status.cause("TooLong", message, "[]"))


def _check_lease(name: str, spec: Json) -> None:
    for field in ("acquireTime", "renewTime"):
        text = spec.get(field)
        if text is not None and not _MICRO_TIME.fullmatch(text):
            # Go takes exactly six digits where its layout has them.
            message = (
                'Lease in version "v1" cannot be handled as a Lease: '
                f'parsing time "{text}" as "2006-01-02T15:04:05.000000Z07:00": cannot parse'
            )
            raise status.bad_request(message)
    for field, least in (("leaseDurationSeconds", 1), ("leaseTransitions", 0)):
        number = spec.get(field)
        if number is not None and number < least:
            than = "greater than 0" if least else "greater than or equal to 0"
            cause = status.cause(
                "Invalid", f"Invalid value: {number}: must be {than}", f"spec.{field}"
            )
            raise status.invalid(LEASES.kind, name, cause, group=LEASES.group)


def _uid_cause(kind: Kind, namespace: str, name: str, meta: Json, old_meta: Json) -> str:
    group = f"{kind.group}/" if kind.group == "apps" else ""
    return (
        f"StorageError: invalid object, Code: 4, Key: /registry/{group}{kind.plural}/{namespace}/"
        f"{name}, ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: "
        f"UID in precondition: {meta['uid']}, UID in object meta: {old_meta['uid']}"
    )


def _merge(target: Any, patch: Any) -> Any:  # noqa: ANN401 - RFC 7386 is defined over any JSON value
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = _merge(merged.get(key), value)
    return merged
