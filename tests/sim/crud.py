"""Reads and writes of single objects: get, create, update, patch, delete.

Each function takes a request to the status code and object that answer it, or raises `ApiError`.
"""

from __future__ import annotations

import json

from tests.sim import status
from tests.sim.faults import Call
from tests.sim.status import ApiError, Json, Kind
from tests.sim.store import PODS, Store

_MERGE_TYPES = frozenset({"application/merge-patch+json", "application/strategic-merge-patch+json"})


def read(store: Store, kind: Kind, call: Call) -> tuple[int, Json]:
    return 200, store.get(kind, _namespace(kind, call), call.name)


def create(store: Store, kind: Kind, call: Call, body: bytes, *, at: int) -> tuple[int, Json]:
    obj = parse(body)
    _check_place(kind, call, obj)
    # These belong to the server; a client's values are overwritten.
    meta = {
        key: value
        for key, value in (obj.get("metadata") or {}).items()
        if key not in {"uid", "creationTimestamp"}
    }
    return 201, store.create(kind, call.namespace, {**obj, "metadata": meta}, at=at)


def update(store: Store, kind: Kind, call: Call, body: bytes, *, at: int) -> tuple[int, Json]:
    obj = parse(body)
    _check_place(kind, call, obj)
    name = (obj.get("metadata") or {}).get("name", "")
    if name != call.name:
        raise status.bad_request(
            f"the name of the object ({name}) does not match the name on the URL ({call.name})"
            if name
            else "name is required"
        )
    try:
        return 200, store.update(kind, call.namespace, call.name, obj)
    except ApiError as error:
        if error.code != 404 or not kind.create_on_update:
            raise
    return create(store, kind, call, body, at=at)


def patch(
    store: Store, kind: Kind, call: Call, body: bytes, *, content_type: str
) -> tuple[int, Json]:
    if content_type not in _MERGE_TYPES:
        accepted = ", ".join(sorted(_MERGE_TYPES))
        message = (
            f"the body of the request was in an unknown format - accepted media types include: "
            f"{accepted}"
        )
        raise ApiError(415, "UnsupportedMediaType", message)
    return 200, store.merge(kind, _namespace(kind, call), call.name, parse(body))


def delete(store: Store, kind: Kind, call: Call) -> tuple[int, Json]:
    if kind is PODS:
        # A pod goes only when its node has stopped it, which is the test driver's part.
        raise status.method_not_allowed()
    gone = store.delete(kind, _namespace(kind, call), call.name)
    details = {"name": call.name, "group": kind.group, "kind": kind.plural}
    details["uid"] = gone["metadata"]["uid"]
    return 200, {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Success",
        "details": {key: value for key, value in details.items() if value},
    }


def parse(body: bytes) -> Json:
    try:
        obj = json.loads(body)
    except ValueError as error:
        raise status.bad_request(f"couldn't get version/kind; json parse error: {error}") from error
    if not isinstance(obj, dict):
        raise status.bad_request("couldn't get version/kind; json parse error: not an object")
    return obj


def _namespace(kind: Kind, call: Call) -> str:
    return call.namespace if kind.namespaced else ""


def _check_place(kind: Kind, call: Call, obj: Json) -> None:
    given = (obj.get("metadata") or {}).get("namespace")
    if kind.namespaced and given not in {None, "", call.namespace}:
        message = (
            "the namespace of the provided object does not match the namespace sent on the request"
        )
        raise status.bad_request(message)
