"""In what two answers differ, once everything is out of them that must: ids, versions, times.

Of pods only those fields are compared that the agent or its user may look at: the real server fills
in the defaults of dozens of others.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import groupby, takewhile
from typing import Any

from tests.cluster.api import Json
from tests.cluster.differential.ask import Aspect
from tests.cluster.differential.sides import Answer, Names

HEADERS = (
    "Allow",
    "Cache-Control",
    "Connection",
    "Content-Encoding",
    "Content-Type",
    "Location",
    "Retry-After",
    "Transfer-Encoding",
    "Warning",
    "Www-Authenticate",
    "X-Content-Type-Options",
)

WORDY = frozenset({400, 406, 415, 422, 500})
"""Refusals of what is wrong in itself: nobody reads how Go's parsers put it, except of logs."""

NOT_COMPARED: Mapping[str, str] = {
    "managedFields": "they exist for server-side apply, which is not modelled",
    "generation": "neither the agent nor its user looks at it",
    **dict.fromkeys(("gitCommit", "gitTreeState", "buildDate", "goVersion"), "a release's own"),
}
"""Fields that the simulation does not have, or has otherwise, and why."""

_STATUS = ("name", "image", "state", "lastState", "ready", "restartCount", "containerID")
_NONE = "nothing"


def aspects(answer: Answer, names: Names, *, has_marks: bool = False) -> dict[Aspect, Any]:
    """Take an answer apart."""
    names.begin()
    text = answer.body.decode(errors="replace")
    found: dict[Aspect, Any] = {"status": answer.status, "head": _head(answer), "body": text}
    if not answer.headers.get("Content-Type", "").startswith("application/json"):
        return found
    events = [_plain(one, names, "") for one in _objects(text)]
    # How often a bookmark is repeated depends on what the server is busy with.
    body = [one for one, _ in groupby(events) if has_marks or not _is_mark(one)]
    if len(body) == 1 and isinstance(body[0], dict) and body[0].get("kind") == "Status":
        found["reason"] = body[0].pop("reason", "")
        # The kubelet of the tests ends its words with a line break.
        found["message"] = body[0].pop("message", "").rstrip("\n")
        if answer.status in WORDY and "container" not in found["message"]:
            del found["message"]
            details = body[0].get("details", {})
            details.pop("name", None)
            for cause in details.get("causes", ()):
                del cause["message"]
    return {**found, "body": body}


def _is_mark(event: Any) -> bool:  # noqa: ANN401 JSON
    """Whether this is a bookmark, and not the one that ends what was there at the beginning."""
    is_mark = isinstance(event, dict) and event.get("type") == "BOOKMARK"
    return is_mark and "annotations" not in event["object"]["metadata"]


def _objects(text: str) -> list[Any]:
    try:
        return [json.loads(text)]
    except ValueError:
        return [json.loads(line) for line in text.splitlines()]


def where(ours: Any, theirs: Any, path: str = "") -> str:  # noqa: ANN401 JSON
    """Say at which place two answers differ first."""
    if isinstance(ours, list) and isinstance(theirs, list):
        ours, theirs = dict(enumerate(ours)), dict(enumerate(theirs))
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for key in {**ours, **theirs}:
            one, other = ours.get(key, _NONE), theirs.get(key, _NONE)
            if one != other:
                return where(one, other, f"{path}.{key}")
    if isinstance(ours, str) and isinstance(theirs, str):
        same = takewhile(lambda pair: pair[0] == pair[1], zip(ours, theirs, strict=False))
        start = max(0, sum(1 for _ in same) - 30)
        ours, theirs = ours[start:], theirs[start:]
    return f"{path}: {str(ours)[:300]!r} instead of {str(theirs)[:300]!r}"


def _head(answer: Answer) -> Json:
    found: Json = {name: answer.headers.getall(name) for name in HEADERS if name in answer.headers}
    if (answer.status < 300 or answer.status in WORDY) and "json" in answer.headers.get(
        "Content-Type", ""
    ):
        # Long answers come in chunks, and what is not compared decides what is long.
        found.pop("Transfer-Encoding", None)
    return found if answer.end == "whole" else {**found, "end": answer.end}


def _plain(found: Any, names: Names, key: str) -> Any:  # noqa: ANN401 JSON
    if isinstance(found, list):
        return [_plain(one, names, "") for one in found]
    if isinstance(found, str):
        if key in {"uid", "resourceVersion"} and found:
            return names.name(found)
        return "<time>" if key == "creationTimestamp" else names.plain(found)
    if not isinstance(found, dict):
        return found
    if isinstance(found.get("spec"), dict) and "containers" in found["spec"]:
        found = found | {"spec": _spec(found["spec"]), "status": _status(found["status"])}
    if "items" in found:
        found = found | {"metadata": _unversioned(found["metadata"])}
    if found.get("type") == "BOOKMARK":
        mark = found["object"]
        found = found | {"object": mark | {"metadata": _unversioned(mark["metadata"])}}
    # In one order, because names are given in it.
    return {
        name: _plain(one, names, name)
        for name, one in sorted(found.items())
        if name not in NOT_COMPARED
    }


def _unversioned(meta: Json) -> Json:
    """Rid the metadata of what moves with every write of anybody."""
    opaque = {"resourceVersion": "", "continue": "<token>"}
    return {key: opaque.get(key, one) for key, one in meta.items()}


def _spec(spec: Json) -> Json:
    containers = spec["containers"] or []
    names = [{"name": one["name"], "image": one["image"]} for one in containers]
    return {"nodeName": spec.get("nodeName"), "containers": names}


def _status(status: Json) -> Json:
    statuses = status.get("containerStatuses", [])
    shown = [{key: one[key] for key in _STATUS if key in one} for one in statuses]
    return {"phase": status.get("phase"), "containerStatuses": shown}
