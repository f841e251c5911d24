"""In which forms a client will take an answer, and in which its body comes.

Only JSON is written, and YAML is read as well: a client that prefers another form, which the real
server would have (YAML, protobuf, tables), is answered in JSON too. Of an object its metadata alone
can be had.
"""

from __future__ import annotations

import json
from typing import Any

import attrs
import yaml

from tests.sim import status
from tests.sim.status import ApiError, Json

_FORMS = ("application/json", "application/yaml", "application/vnd.kubernetes.protobuf")
MERGE_PATCHES = frozenset(
    {"application/merge-patch+json", "application/strategic-merge-patch+json"}
)
_OTHER_PATCHES = frozenset({"application/json-patch+json", "application/apply-patch+yaml"})

_METADATA, _METADATA_LIST, _TABLE = "PartialObjectMetadata", "PartialObjectMetadataList", "Table"
_META_VERSIONS = ("meta.k8s.io/v1", "meta.k8s.io/v1beta1")


@attrs.frozen
class Form:
    """As which kind an object is wanted; of a version too, unless it is wanted as it is."""

    kind: str = ""
    version: str = ""

    def of(self, obj: Json) -> Json:
        """Return the object so, or raise 406."""
        if self.kind in {"", _TABLE} or obj["kind"] == "Status":
            return obj
        is_list = "items" in obj
        if is_list is not (self.kind == _METADATA_LIST):
            message = f"you requested {self.kind}, but the requested object is another"
            raise ApiError(406, "NotAcceptable", message)
        made = {"kind": self.kind, "apiVersion": self.version, "metadata": obj["metadata"]}
        if is_list:
            each = Form(_METADATA, self.version)
            made["items"] = [each.of({"kind": "", **one}) for one in obj["items"]]
        return made

    def check_log(self) -> None:
        """Raise what a log is answered with that is wanted as an object of metadata."""
        if self.kind == _METADATA:
            raise status.internal("object does not implement the Object interfaces")
        if self.kind:
            raise ApiError(406, "NotAcceptable", "a log is no list and no table")


def negotiate(accept: str, *, is_log: bool, is_path: bool, is_watch: bool) -> Form:
    """Return the best form that an Accept header names and that can be had, or raise 406."""
    forms = _FORMS[:1] if is_path else _FORMS
    clauses = sorted(map(_clause, accept.split(",")), key=lambda one: -_weight(one[1]))
    for name, options in clauses if accept.strip() else ():
        form = forms[0] if name == "*/*" else name
        found = Form() if is_path else _wanted(options)
        if form in forms and found is not None:
            if is_watch and form == _FORMS[1]:
                break
            return found
    if not accept.strip():
        return Form()
    # Plain text alone is refused too: an error could not be told in it. Other details are empty
    # where no form was known by its name.
    known = {*forms, "text/plain"} if is_log else {*forms}
    details: Json | None = {} if known.isdisjoint(name for name, _ in clauses) else None
    message = f"only the following media types are accepted: {', '.join(forms)}"
    raise ApiError(406, "NotAcceptable", message, details)


def _clause(text: str) -> tuple[str, Json]:
    name, *options = (one.strip() for one in text.split(";"))
    return name, dict(one.partition("=")[::2] for one in options)


def _weight(options: Json) -> float:
    try:
        return float(options.get("q", 1))
    except ValueError:
        return 0.0


def _wanted(options: Json) -> Form | None:
    """Return what the options of one clause ask for, None if that cannot be had."""
    kind, group, version = (options.get(key, "") for key in ("as", "g", "v"))
    if options.get("stream", "") not in {"", "watch"}:
        return None
    if not (kind or group or version):
        return Form()
    is_known = f"{group}/{version}" in _META_VERSIONS
    if not is_known or kind not in {_METADATA, _METADATA_LIST, _TABLE}:
        return None
    return Form(kind, f"{group}/{version}")


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
