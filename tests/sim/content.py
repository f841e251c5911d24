"""What may stand in an object that a client writes: its fields and their types, names, sizes.

`decode` is what the server's decoder makes of a body: fields that do not exist are dropped with a
warning, and one of the wrong type is 400. `check` is the validation that follows, which is 422.
Both know what the agent writes, ConfigMaps and Leases, and what it asks for its rights with; other
kinds are taken as they come.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

from tests.sim import status
from tests.sim.gotime import parse_stamp
from tests.sim.selectors import is_label_value, key_faults
from tests.sim.status import Json, Kind

# The largest ConfigMap that the API takes, over all its values, and the largest annotations.
CONFIGMAP_BYTES = 1024 * 1024
ANNOTATION_BYTES = 256 * 1024

_MICRO_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}(Z|[+-]\d\d:\d\d)", re.ASCII)
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*", re.ASCII)
_KEY = re.compile(r"[-._a-zA-Z0-9]+", re.ASCII)
_KEY_CHARACTERS = 253


class _Wrong(Exception):  # noqa: N818 - what a decoder says of a value, at a place that it adds
    pass


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise _Wrong("is no string")
    return value


def _any(value: object) -> object:
    return value


def _switch(value: object) -> bool:
    if not isinstance(value, bool):
        raise _Wrong("is no bool")
    return value


def _number(bits: int) -> Callable[[object], int]:
    def read(value: object) -> int:
        if type(value) is not int or not -(1 << bits - 1) <= value < 1 << bits - 1:
            raise _Wrong(f"is no int{bits}")
        return value

    return read


def _bytes(value: object) -> str:
    # Bytes may be a list of numbers too.
    try:
        plain = bytes(value) if isinstance(value, list) else _decode_base64(_text(value))
    except (TypeError, ValueError):
        raise _Wrong("illegal base64 data") from None
    return base64.b64encode(plain).decode()


def _decode_base64(text: str) -> bytes:
    return base64.b64decode(re.sub(r"[\r\n]", "", text), validate=True)


def _time(value: object) -> str:
    try:
        parse_stamp(_text(value))
    except ValueError as error:
        raise _Wrong(str(error)) from None
    return _text(value)


def _micro_time(value: object) -> str:
    # Go takes exactly six digits where its layout has them.
    text = _text(value)
    if _MICRO_TIME.fullmatch(text) is None:
        layout = "2006-01-02T15:04:05.000000Z07:00"
        raise _Wrong(f'parsing time "{text}" as "{layout}": cannot parse')
    _time(text)
    try:
        at = datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        raise _Wrong(f'parsing time "{text}": out of range') from None
    return at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


# A function reads one value; a dict names fields; `{"": x}` is a map, and a list is of its only
# part.
_OWNER = {
    **dict.fromkeys(("apiVersion", "kind", "name", "uid"), _text),
    **dict.fromkeys(("controller", "blockOwnerDeletion"), _switch),
}
_META = {
    **dict.fromkeys(("name", "generateName", "namespace", "selfLink", "uid"), _text),
    **dict.fromkeys(("creationTimestamp", "deletionTimestamp"), _time),
    **dict.fromkeys(("generation", "deletionGracePeriodSeconds"), _number(64)),
    "resourceVersion": _text,
    "labels": {"": _text},
    "annotations": {"": _text},
    "ownerReferences": [_OWNER],
    "finalizers": [_text],
    "managedFields": [{"": _any}],
}
_LEASE_SPEC = {
    **dict.fromkeys(("holderIdentity", "strategy", "preferredHolder"), _text),
    **dict.fromkeys(("acquireTime", "renewTime"), _micro_time),
    **dict.fromkeys(("leaseDurationSeconds", "leaseTransitions"), _number(32)),
}
_ASKED = {
    **dict.fromkeys(("namespace", "verb", "group", "version", "resource"), _text),
    **dict.fromkeys(("subresource", "name"), _text),
    "fieldSelector": {"": _any},
    "labelSelector": {"": _any},
}
_TOP = {"kind": _text, "apiVersion": _text, "metadata": _META}
_SHAPES: dict[str, Json] = {
    "ConfigMap": {**_TOP, "data": {"": _text}, "binaryData": {"": _bytes}, "immutable": _switch},
    "Lease": {**_TOP, "spec": _LEASE_SPEC},
    "SelfSubjectAccessReview": {
        **_TOP,
        "spec": {"resourceAttributes": _ASKED, "nonResourceAttributes": {"": _text}},
        "status": {"": _any},
    },
    "DeleteOptions": {
        **dict.fromkeys(("kind", "apiVersion", "propagationPolicy"), _text),
        "gracePeriodSeconds": _number(64),
        "orphanDependents": _switch,
        "preconditions": {"": _text},
        "dryRun": [_text],
    },
}
_FINALIZERS = frozenset({"kubernetes", "orphan", "foregroundDeletion"})

_GATED = ("strategy", "preferredHolder")
"""Parts of a Lease that exist and are off by default."""

_SERVERS = (
    *("selfLink", "generation", "managedFields"),
    *("deletionTimestamp", "deletionGracePeriodSeconds"),
)
"""Parts of the metadata that a client may write and the server forgets."""


def decode(kind: Kind, obj: Json) -> tuple[Json, list[str]]:
    """Return the object as the server understands it, and its warnings; or raise 400."""
    shape = _SHAPES.get(kind.kind)
    given = obj.get("kind") or kind.kind, obj.get("apiVersion") or kind.api_version
    if given != (kind.kind, kind.api_version):
        what = f'{given[0]} in version "{given[1]}" cannot be handled as a {kind.kind}'
        raise status.bad_request(what)
    if shape is None:
        return obj, []
    warnings: list[str] = []
    try:
        found: Json = _read(obj, shape, "", warnings)
    except _Wrong as wrong:
        what = f'{kind.kind} in version "{kind.version}" cannot be handled as a {kind.kind}'
        raise status.bad_request(f"{what}: {wrong}") from None
    meta = {key: one for key, one in found.pop("metadata", {}).items() if key not in _SERVERS}
    # Empty texts and maps are as good as none, except where the API has a pointer.
    kept = {key: one for key, one in found.items() if one != {}}
    names = zip(("kind", "apiVersion"), given, strict=True)
    kept |= {key: one for key, one in names if key in kept}
    # A Lease has a spec whether or not one was given.
    if kind.kind == "Lease":
        spec = found.get("spec", {})
        kept["spec"] = {key: one for key, one in spec.items() if key not in _GATED}
    return {**kept, "metadata": {key: one for key, one in meta.items() if one}}, warnings


def _read(value: Any, shape: Any, path: str, warnings: list[str]) -> Any:  # noqa: ANN401 JSON
    try:
        return _read_one(value, shape, path, warnings)
    except _Wrong as wrong:
        raise wrong if path in str(wrong) and path else _Wrong(f"{path} {wrong}") from None


def _read_one(value: Any, shape: Any, path: str, warnings: list[str]) -> Any:  # noqa: ANN401 JSON
    if callable(shape):
        return shape(value)
    if isinstance(shape, list):
        if not isinstance(value, list):
            raise _Wrong("is no list")
        return [_read(one, shape[0], path, warnings) for one in value]
    if not isinstance(value, dict):
        raise _Wrong("is no object")
    if "" in shape:
        # An entry that is null is an empty one.
        return {
            key: "" if one is None else _read(one, shape[""], f"{path}.{key}", warnings)
            for key, one in value.items()
        }
    inside = f"{path}." if path else ""
    found = {}
    for key, one in value.items():
        if key not in shape:
            warnings.append(f'unknown field "{inside}{key}"')
        elif one is not None:
            found[key] = _read(one, shape[key], f"{inside}{key}", warnings)
    return found


def check(kind: Kind, name: str, obj: Json, *, before: Json | None = None) -> None:
    """Raise 422 if an object may not be written like this."""
    meta = obj["metadata"]
    # An update looks at some of the metadata again and again, at a ConfigMap's once more.
    again = 0 if before is None else 3 if kind.kind == "ConfigMap" else 2
    causes = again * [*_label_causes(meta), *_owner_causes(meta)]
    causes += _meta_causes(meta, kind)
    if before is not None and kind.kind == "ConfigMap":
        causes += _finalizer_causes(meta, kind)
    if kind.kind == "ConfigMap":
        causes += [*_immutable_causes(obj, before), *_key_causes(obj), *_size_causes(obj)]
    if kind.kind == "Lease":
        causes += _lease_causes(obj.get("spec") or {})
    if causes:
        raise status.invalid(kind.kind, name, *causes, group=kind.group)


def is_name(text: str) -> bool:
    """Whether a text is a name as most objects have it."""
    return len(text) <= _KEY_CHARACTERS and _NAME.fullmatch(text) is not None


def _meta_causes(meta: Json, kind: Kind) -> Iterator[Json]:
    if (prefix := meta.get("generateName", "")) and not is_name(prefix.removesuffix("-")):
        yield _invalid(prefix, "a lowercase RFC 1123 subdomain", "metadata.generateName")
    if not is_name(meta["name"]):
        yield _invalid(meta["name"], "a lowercase RFC 1123 subdomain", "metadata.name")
    yield from _label_causes(meta)
    yield from _finalizer_causes(meta, kind)
    yield from _owner_causes(meta)


def _finalizer_causes(meta: Json, kind: Kind) -> Iterator[Json]:
    found: list[str] = meta.get("finalizers") or []
    field = "metadata.finalizers"
    for one in found:
        yield from (_invalid(one, words, field) for words in key_faults(one))
    if {"orphan", "foregroundDeletion"} <= {*found}:
        shown = json.dumps(found, separators=(",", ":"))
        words = "finalizer orphan and foregroundDeletion cannot be both set"
        yield status.cause("Invalid", f"Invalid value: {shown}: {words}", field)
    # Only the oldest group wants them to be known.
    for number, one in enumerate(() if kind.group else found):
        if "/" not in one and one not in _FINALIZERS:
            words = "name is neither a standard finalizer name nor is it fully qualified"
            yield _invalid(one, words, f"{field}[{number}]")


def _owner_causes(meta: Json) -> Iterator[Json]:
    owners = meta.get("ownerReferences") or ()
    if sum(bool(one.get("controller")) for one in owners) > 1:
        yield _invalid("", "only one reference can be a controller", "metadata.ownerReferences")
    for one in owners:
        for key in ("apiVersion", "kind", "name", "uid"):
            if not one.get(key):
                yield _invalid("", "must not be empty", f"metadata.ownerReferences.{key}")


def _label_causes(meta: Json) -> Iterator[Json]:
    for key, one in (meta.get("labels") or {}).items():
        yield from (_invalid(key, words, "metadata.labels") for words in key_faults(key))
        if not is_label_value(one or ""):
            yield _invalid(one, "a valid label", "metadata.labels")
    annotations = meta.get("annotations") or {}
    for key in annotations:
        faults = key_faults(key.lower())
        yield from (_invalid(key, words, "metadata.annotations") for words in faults)
    if sum(len(f"{key}{one}".encode()) for key, one in annotations.items()) > ANNOTATION_BYTES:
        message = f"Too long: may not be more than {ANNOTATION_BYTES} bytes"
        yield status.cause("TooLong", message, "metadata.annotations")


def _key_causes(obj: Json) -> Iterator[Json]:
    data, binary = obj.get("data") or {}, obj.get("binaryData") or {}
    for part, keys in (("data", data), ("binaryData", binary)):
        for key in keys:
            where = f"{part}[{key}]"
            if len(key) > _KEY_CHARACTERS:
                yield _invalid(key, f"must be no more than {_KEY_CHARACTERS} characters", where)
            if _KEY.fullmatch(key) is None:
                yield _invalid(key, "a valid config key must consist of alphanumeric", where)
            elif key == "." or key.startswith(".."):
                yield _invalid(key, "must not be '.' or start with '..'", where)
            if part == "data" and key in binary:
                yield _invalid(key, "duplicate of key present in binaryData", where)


def _size_causes(obj: Json) -> Iterator[Json]:
    texts = (obj.get("data") or {}).values()
    blobs = (obj.get("binaryData") or {}).values()
    # binaryData is counted decoded: four characters stand for three bytes.
    size = sum(len(text.encode()) for text in texts) + sum(
        len(blob) // 4 * 3 - blob.count("=") for blob in blobs
    )
    if size > CONFIGMAP_BYTES:
        message = f"Too long: may not be more than {CONFIGMAP_BYTES} bytes"
        yield status.cause("TooLong", message, "[]")


def _immutable_causes(obj: Json, before: Json | None) -> Iterator[Json]:
    if before is None or not before.get("immutable"):
        return
    words = "Forbidden: field is immutable when `immutable` is set"
    if not obj.get("immutable"):
        yield status.cause("Forbidden", words, "immutable")
    for part in ("data", "binaryData"):
        if (obj.get(part) or {}) != (before.get(part) or {}):
            yield status.cause("Forbidden", words, part)


def _lease_causes(spec: Json) -> Iterator[Json]:
    for field, least in (("leaseDurationSeconds", 1), ("leaseTransitions", 0)):
        number = spec.get(field)
        if number is not None and number < least:
            than = "greater than 0" if least else "greater than or equal to 0"
            message = f"Invalid value: {number}: must be {than}"
            yield status.cause("Invalid", message, f"spec.{field}")


def _invalid(value: str, words: str, field: str) -> Json:
    return status.cause("Invalid", f'Invalid value: "{value}": {words}', field)


def merge(target: Any, patch: Any) -> Any:  # noqa: ANN401 - RFC 7386 is defined over any JSON value
    """Apply a JSON merge patch."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge(merged.get(key), value)
    return merged
