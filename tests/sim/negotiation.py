"""In which forms a client will take an answer, and in which its body comes.

Only JSON is written, and YAML is read as well: a client that prefers another form, which the real
server would have (YAML, protobuf, tables), is answered in JSON too.
"""

from __future__ import annotations

import json
from typing import Any

import yaml

from tests.sim import status
from tests.sim.status import ApiError, Json

_FORMS = ("application/json", "application/yaml", "application/vnd.kubernetes.protobuf")
MERGE_PATCHES = frozenset(
    {"application/merge-patch+json", "application/strategic-merge-patch+json"}
)
_OTHER_PATCHES = frozenset({"application/json-patch+json", "application/apply-patch+yaml"})


def check_accept(accept: str, *, is_log: bool, is_path: bool) -> None:
    """Raise 406 unless one of the forms in an Accept header can be had."""
    forms = ("application/json",) if is_path else _FORMS
    wanted = [clause.partition(";")[0].strip() for clause in accept.split(",")]
    if {"", "*/*", *forms}.isdisjoint(wanted):
        # Plain text alone is refused too: an error could not be told in it.
        details: Json | None = None if is_log and "text/plain" in wanted else {}
        message = f"only the following media types are accepted: {', '.join(forms)}"
        raise ApiError(406, "NotAcceptable", message, details)


def parse(body: bytes, content_type: str) -> Json:
    """Read the object in a body, or raise 400 or 415; `null` is an empty one."""
    form = content_type.partition(";")[0].strip().lower()
    if form not in {"", *_FORMS}:
        raise _unsupported(_FORMS, None)
    if form == _FORMS[2]:
        raise status.bad_request("provided data does not appear to be a protobuf message")
    try:
        obj = yaml.safe_load(body) if form == _FORMS[1] else _read_json(body)
    except (ValueError, RecursionError, yaml.YAMLError) as error:
        raise status.bad_request(f"couldn't get version/kind; json parse error: {error}") from error
    if obj is None:
        return {}
    strings = [obj.get(key) for key in ("kind", "apiVersion")] if isinstance(obj, dict) else [1]
    if not all(one is None or isinstance(one, str) for one in strings):
        raise status.bad_request("couldn't get version/kind; json parse error: no object")
    return dict(obj)


def parse_patch(body: bytes, content_type: str) -> Json:
    """Read a merge patch, or raise 400 or 415."""
    form = content_type.partition(";")[0].strip()
    if form in _OTHER_PATCHES:
        raise _unsupported(tuple(sorted(MERGE_PATCHES)), {})
    if form not in MERGE_PATCHES:
        raise _unsupported(tuple(sorted(MERGE_PATCHES | _OTHER_PATCHES)), {})
    try:
        patch = _read_json(body)
    except ValueError as error:
        raise status.bad_request(f"error decoding patch: {error}") from error
    if not isinstance(patch, dict):
        raise status.bad_request("error decoding patch: json: cannot unmarshal into an object")
    return patch


def _read_json(body: bytes) -> Any:  # noqa: ANN401 JSON
    """Read JSON as Go does, to whom half a pair of surrogates is an unknown character."""
    found = json.loads(body.decode(errors="replace"))
    if b"\\u" not in body:
        return found
    text = json.dumps(found, ensure_ascii=False).encode("utf-16-le", "surrogatepass")
    return json.loads(text.decode("utf-16-le", "replace"))


def _unsupported(forms: tuple[str, ...], details: Json | None) -> ApiError:
    message = (
        "the body of the request was in an unknown format - accepted media types include: "
        f"{', '.join(forms)}"
    )
    return ApiError(415, "UnsupportedMediaType", message, details)
