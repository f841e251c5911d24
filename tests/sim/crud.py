"""Reads and writes of single objects: get, create, update, patch, delete.

Each function takes a request to the status code and object that answer it, or raises `ApiError`.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable

import attrs

from tests.sim import content, negotiation, status
from tests.sim.faults import Call
from tests.sim.query import boolean, integer, object_version
from tests.sim.status import ApiError, Json, Kind
from tests.sim.store import PODS, Store

_DELETE_OPTIONS = Kind("", "v1", "", "DeleteOptions")

# A random end is put behind at most so much.
_BASE_CHARACTERS = 58


@attrs.frozen
class Body:
    """What a client sent along; what is odd in it is gathered in `warnings`."""

    data: bytes
    content_type: str
    warnings: list[str] = attrs.field(factory=list)


@attrs.frozen
class Done:
    """What answers a request."""

    code: int
    obj: Json


def read(store: Store, kind: Kind, call: Call) -> Done:
    asked = object_version(call.query.get("resourceVersion", ""))
    if asked > store.version:
        raise status.version_too_large(asked, store.version)
    return Done(200, store.get(kind, _namespace(kind, call), call.name))


def create(store: Store, kind: Kind, call: Call, body: Body, *, at: int) -> Done:
    obj = _decode(kind, call, body, "CreateOptions")
    _check_place(kind, call, obj)
    # These belong to the server; a client's values are overwritten.
    given = obj.get("metadata") or {}
    meta = {key: one for key, one in given.items() if key not in {"uid", "creationTimestamp"}}
    if not meta.get("name") and meta.get("generateName"):
        meta["name"] = meta["generateName"][:_BASE_CHARACTERS] + uuid.uuid4().hex[:5]
    return _create(store, kind, call, {**obj, "metadata": meta}, at=at)


def _create(store: Store, kind: Kind, call: Call, obj: Json, *, at: int) -> Done:
    if not _is_dry(call):
        return Done(201, store.create(kind, call.namespace, obj, at=at))
    made = _dry(store).create(kind, call.namespace, obj, at=at)
    meta = made["metadata"]
    # No version is given to it, and what is made later is another object.
    meta |= {"resourceVersion": obj["metadata"].get("resourceVersion", "")}
    meta |= {"uid": str(uuid.uuid4())}
    made["metadata"] = {key: one for key, one in meta.items() if one != ""}
    return Done(201, made)


def update(
    store: Store, kind: Kind, call: Call, body: Body, *, may_create: Callable[[], None], at: int
) -> Done:
    """Replace an object, or create it where its kind may be; `may_create` raises 403 if not."""
    obj = _decode(kind, call, body, "UpdateOptions")
    _check_place(kind, call, obj)
    name = (obj.get("metadata") or {}).get("name", "")
    if name != call.name:
        raise status.bad_request(
            f"the name of the object ({name}) does not match the name on the URL ({call.name})"
            if name
            else f"the name of the object ({call.name} based on URL) was undeterminable: "
            "name must be provided"
        )
    if _is_dry(call):
        store = _dry(store)
    try:
        before = store.get(kind, call.namespace, call.name)
    except ApiError:
        if not kind.create_on_update:
            raise
        _create_instead(store.copy(), kind, call, obj, at=at)
        try:
            may_create()
        except ApiError as error:
            error.is_late = True
            raise
        return _create_instead(store, kind, call, obj, at=at)
    made = store.update(kind, call.namespace, call.name, obj)
    if _is_dry(call):
        made["metadata"]["resourceVersion"] = before["metadata"]["resourceVersion"]
    return Done(200, made)


def _create_instead(store: Store, kind: Kind, call: Call, obj: Json, *, at: int) -> Done:
    meta = dict(obj["metadata"])
    if meta.get("uid"):
        cause = store.uid_cause(kind, call.namespace, call.name, meta["uid"], "")
        raise status.conflict(kind, call.name, cause)
    object_version(meta.pop("resourceVersion", ""))
    return _create(store, kind, call, {**obj, "metadata": meta}, at=at)


def patch(store: Store, kind: Kind, call: Call, body: Body) -> Done:
    wanted = negotiation.parse_patch(body.data, body.content_type)
    _check_dry(call, "PatchOptions")
    if _is_dry(call):
        store = _dry(store)
    before = store.get(kind, _namespace(kind, call), call.name)
    try:
        merged, warnings = content.decode(kind, content.merge(before, wanted))
        _judge(kind, call, body, warnings)
    except ApiError as error:
        # What a patch makes of the object is judged as the object's content.
        cause = status.cause("Invalid", str(error), "patch")
        raise status.invalid("", "", cause) from error
    meta = merged.get("metadata") or {}
    wanted_version = object_version(meta.get("resourceVersion", ""))
    if wanted_version not in {0, int(before["metadata"]["resourceVersion"])}:
        raise status.conflict(kind, call.name)
    if meta.get("uid") not in {None, before["metadata"]["uid"]}:
        cause = status.cause("Invalid", "Invalid value: field is immutable", "metadata.uid")
        # It is found twice: by the update, and by the object that results.
        raise status.invalid(kind.kind, call.name, cause, cause, group=kind.group)
    if meta.get("name") != call.name:
        raise status.bad_request("the name of the object does not match the name on the URL")
    _check_place(kind, call, merged)
    made = store.update(kind, _namespace(kind, call), call.name, merged)
    if _is_dry(call):
        made["metadata"]["resourceVersion"] = before["metadata"]["resourceVersion"]
    return Done(200, made)


def delete(store: Store, kind: Kind, call: Call, body: Body) -> Done:
    namespace = _namespace(kind, call)
    # The parameters count only where no body says otherwise.
    options = _delete_options(body) if body.data else _asked_options(call)
    _check_delete(options)
    if kind is PODS and store.get(kind, namespace, call.name):
        # A pod goes only when its node has stopped it, which is the test driver's part.
        raise status.method_not_allowed()
    found = store.get(kind, namespace, call.name)["metadata"]
    for key, wanted in (options.get("preconditions") or {}).items():
        if wanted != found.get(key):
            raise status.precondition_failed(kind, call.name, key, wanted, found.get(key))
    gone = store.copy() if options.get("dryRun") else store
    gone.delete(kind, namespace, call.name)
    details = {"name": call.name, "group": kind.group, "kind": kind.plural}
    details["uid"] = found["uid"]
    obj: Json = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"}
    return Done(200, obj | {"details": {key: one for key, one in details.items() if one}})


def _delete_options(body: Body) -> Json:
    try:
        given = negotiation.parse(body.data, body.content_type)
        options, _ = content.decode(_DELETE_OPTIONS, {**given, "apiVersion": ""})
    except ApiError as error:
        if error.code != 400:
            raise
        raise status.internal(str(error)) from error
    return options


def _asked_options(call: Call) -> Json:
    """Return the options of a delete without a body, which are its parameters."""
    query = call.query
    integer(query, "gracePeriodSeconds")
    wanted = {key: query[key] for key in ("uid", "resourceVersion") if query.get(key)}
    options: Json = {"preconditions": wanted}
    if "propagationPolicy" in query:
        options["propagationPolicy"] = query["propagationPolicy"]
    if "orphanDependents" in query:
        options["orphanDependents"] = boolean(query, "orphanDependents")
    if "dryRun" in query:
        options["dryRun"] = [query["dryRun"]]
    return options


def _check_delete(options: Json) -> None:
    policy, causes = options.get("propagationPolicy"), []
    if policy is not None and "orphanDependents" in options:
        words = "Invalid value: orphanDependents and deletionPropagation cannot be both set"
        causes.append(status.cause("Invalid", words, "propagationPolicy"))
    if policy not in {None, "Foreground", "Background", "Orphan"}:
        message = f'Unsupported value: "{policy}"'
        causes.append(status.cause("NotSupported", message, "propagationPolicy"))
    if set(options.get("dryRun", ())) - {"All"}:
        causes.append(status.cause("NotSupported", "Unsupported value", "dryRun"))
    if causes:
        raise status.invalid("DeleteOptions", "", *causes, group="meta.k8s.io")


def _decode(kind: Kind, call: Call, body: Body, options: str) -> Json:
    _check_dry(call, options)
    obj, warnings = content.decode(kind, negotiation.parse(body.data, body.content_type))
    _judge(kind, call, body, warnings)
    return obj


def _judge(kind: Kind, call: Call, body: Body, warnings: list[str]) -> None:
    """Pass warnings on, or raise 400 for them, or forget them, as the request wants it."""
    how = call.query.get("fieldValidation") or "Warn"
    if warnings and how == "Strict":
        what = f'{kind.kind} in version "{kind.version}" cannot be handled as a {kind.kind}'
        raise status.bad_request(f"{what}: strict decoding error: {', '.join(warnings)}")
    if how == "Warn":
        body.warnings.extend(warnings)


def _check_dry(call: Call, options: str) -> None:
    causes = []
    if options == "PatchOptions" and "force" in call.query:
        words = "Forbidden: may not be specified for non-apply patch"
        causes.append(status.cause("Forbidden", words, "force"))
    if call.query.get("dryRun", "All") != "All":
        causes.append(status.cause("NotSupported", "Unsupported value", "dryRun"))
    if call.query.get("fieldValidation", "") not in {"", "Strict", "Warn", "Ignore"}:
        causes.append(status.cause("NotSupported", "Unsupported value", "fieldValidation"))
    if len(call.query.get("fieldManager", "")) > 128:
        causes.append(status.cause("TooLong", "Too long", "fieldManager"))
    causes += [
        status.cause("Invalid", "Invalid value: invalid character", "fieldManager")
        for one in call.query.get("fieldManager", "")
        if not one.isprintable()
    ]
    if causes:
        raise status.invalid(options, "", *causes, group="meta.k8s.io")


def _dry(store: Store) -> Store:
    """Return a copy for what is only tried."""
    return attrs.evolve(store.copy(), root="/")


def _is_dry(call: Call) -> bool:
    return call.query.get("dryRun") == "All"


def _namespace(kind: Kind, call: Call) -> str:
    return call.namespace if kind.namespaced else ""


def _check_place(kind: Kind, call: Call, obj: Json) -> None:
    given = (obj.get("metadata") or {}).get("namespace")
    if kind.namespaced and given not in {None, "", call.namespace}:
        message = (
            "the namespace of the provided object does not match the namespace sent on the request"
        )
        raise status.bad_request(message)
