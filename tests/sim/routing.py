"""What a request of the Kubernetes API asks for, read from its path as the API server does."""

from __future__ import annotations

import attrs
from aiohttp import web

from tests.sim.faults import Call
from tests.sim.query import boolean, parse
from tests.sim.selectors import selected_name
from tests.sim.status import Kind
from tests.sim.store import KINDS

_VERBS = {
    **dict.fromkeys(("GET", "HEAD"), "get"),
    "POST": "create",
    "PUT": "update",
    "PATCH": "patch",
    "DELETE": "delete",
}


def understand(request: web.BaseRequest) -> tuple[Call, Kind | None]:
    """Return the call and its resource; a path that is no resource has none."""
    query = parse(request.rel_url.raw_query_string)
    plain = Call(request.method, request.path, request.method.lower(), query)
    path = "" if request.path.startswith("//") else request.path
    group, version, rest = _group(path.strip("/").split("/"))
    namespace = ""
    if rest[:1] == ["namespaces"] and len(rest) > 1:
        # A namespace lies in itself as far as rights are concerned.
        namespace = rest[1]
        rest = rest if rest[2:] in ([], ["status"]) else rest[2:]
    plural, name, subresource = (*rest, "", "", "")[:3]
    kind = _kind(group, version, plural)
    if kind is None or len(rest) > 3 or (name and kind.namespaced and not namespace):
        return plain, None
    # What is done by another method has no name, so no rule allows it.
    verb = _VERBS.get(request.method, "")
    if verb == "get" and not name:
        # A list or watch of one name is a request for that name to whoever checks rights.
        verb = "watch" if boolean(query, "watch") else "list"
        name = selected_name(query.get("fieldSelector", ""))
    elif verb == "delete" and not name:
        verb = "deletecollection"
    call = attrs.evolve(
        plain,
        verb=verb,
        resource=plural,
        namespace=namespace,
        name=name,
        subresource=subresource,
    )
    return call, kind


def _group(parts: list[str]) -> tuple[str, str, list[str]]:
    if parts[:2] == ["api", "v1"]:
        return "", "v1", parts[2:]
    if parts[0] == "apis" and len(parts) > 3:
        return parts[1], parts[2], parts[3:]
    return "", "", []


def _kind(group: str, version: str, plural: str) -> Kind | None:
    for kind in KINDS:
        if (kind.group, kind.version, kind.plural) == (group, version, plural):
            return kind
    return None
