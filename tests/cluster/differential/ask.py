"""What a script says: requests, who sends them, and in what the simulation may differ and why.

In paths, queries and bodies `<ns>` is the namespace of the run, and `<rv:x>`, `<uid:x>` and
`<continue:x>` are what the answer to an earlier request with `keep="x"` said of itself.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Literal

import attrs

Json = dict[str, Any]
Who = Literal["admin", "agent", "stranger", "nobody"]
"""The administrator, an account with the rights of `sides.RULES`, a bad token, none."""

Aspect = Literal["status", "head", "reason", "message", "body"]
"""Status code; headers; a Status' reason; its message; everything else."""

CORE, LEASES = "/api/v1/namespaces/<ns>", "/apis/coordination.k8s.io/v1/namespaces/<ns>/leases"
MERGE = "application/merge-patch+json"


@attrs.frozen
class Step:
    """What happens to a pod while a stream runs."""

    pod: str
    does: Literal["write", "rotate", "crash"]
    text: str = ""


@attrs.frozen
class Ask:
    """One request. `body` is JSON, or text as it stands; `during` happens once a stream has begun.

    Bookmarks are compared where `has_marks`; elsewhere it is chance whether any come. What has no
    end after `seconds` has none, which is a way to answer too. `differs` is why the simulation
    answers otherwise, and in which aspects: one that no longer differs fails as well.
    """

    method: str
    path: str
    body: Json | str | None = None
    who: Who = "admin"
    keep: str = ""
    kind: str = "application/json"
    accept: str = "application/json"
    during: Sequence[Ask | Step] = ()
    seconds: float = 7.0
    has_marks: bool = False
    differs: tuple[str, Collection[Aspect]] | None = None

    def __str__(self) -> str:
        text = str(self.body)
        body = text if len(text) < 150 else f"{text[:30]} ... {text[-110:]}"
        more = "" if self.body is None else f" {self.kind}: {body}"
        form = "" if self.accept == "application/json" else f" as {self.accept!r}"
        return f"{self.who}: {self.method} {self.path[:150]}{more}{form}"


Script = Sequence[Ask | tuple[Ask, ...]]
"""Requests one after the other; those in a tuple, which change nothing, all at once."""


def get(path: str, **others: Any) -> Ask:  # noqa: ANN401 as Ask
    return Ask("GET", path, **others)


def config_map(name: str, /, **fields: Any) -> Json:  # noqa: ANN401 JSON
    """Return a ConfigMap; fields of its metadata begin with `meta_`."""
    return _object("v1", "ConfigMap", name, fields)


def lease(name: str, /, **fields: Any) -> Json:  # noqa: ANN401 JSON
    return _object("coordination.k8s.io/v1", "Lease", name, fields)


def _object(version: str, kind: str, name: str, fields: Json) -> Json:
    meta = {key.removeprefix("meta_"): one for key, one in fields.items() if "meta_" in key}
    rest = {key: one for key, one in fields.items() if "meta_" not in key}
    named = {"name": name} if name else {}
    return {"apiVersion": version, "kind": kind, "metadata": {**named, **meta}, **rest}
