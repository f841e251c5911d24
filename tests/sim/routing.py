"""What a request of the Kubernetes API asks for, read from its path as the API server does."""

from __future__ import annotations

import attrs
from aiohttp import web

from tests.sim.faults import Call
from tests.sim.query import Query, boolean, integer, parse
from tests.sim.selectors import label_matches, selected_name
from tests.sim.status import ApiError, Kind
from tests.sim.store import KINDS

_VERBS = {
    **dict.fromkeys(("GET", "HEAD"), "get"),
    "POST": "create",
    "PUT": "update",
    "PATCH": "patch",
    "DELETE": "delete",
}


def understand(request: web.BaseRequest) -> tuple[Call, Kind | None]:
    """Return the call and its resource; a path that is no resource has none.

    One that does not exist is a resource all the same, of no kind: whoever has no right on it does
    not hear that.
    """
    query = parse(request.rel_url.raw_query_string)
    plain = Call(request.method, request.path, request.method.lower(), query)
    group, version, rest = _group(request.path.strip("/").split("/"))
    namespace = ""
    if rest[:1] == ["namespaces"] and len(rest) > 1:
        # A namespace lies in itself as far as rights are concerned.
        namespace = rest[1]
        rest = rest if rest[2:] in ([], ["status"], ["finalize"]) else rest[2:]
    plural, name, subresource = (*rest, "", "", "")[:3]
    if not plural:
        return plain, None
    kind = _kind(group, version, plural)
    is_homeless = name and kind.namespaced and not namespace
    if is_homeless or len(rest) > 3 or request.path.startswith("//"):
        kind = attrs.evolve(kind, kind="")
    # What is done by another method has no name, so no rule allows it.
    verb = _VERBS.get(request.method, "")
    if verb == "get" and not name:
        # A list or watch of one name is a request for that name to whoever checks rights.
        verb = "watch" if boolean(query, "watch") else "list"
        name = _selected_name(query)
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


def _selected_name(query: Query) -> str:
    """Return the name that is listed, of options that can all be read."""
    try:
        label_matches(query.get("labelSelector", ""))
        for key in ("limit", "timeoutSeconds"):
            integer(query, key)
    except ApiError:
        return ""
    return selected_name(query.get("fieldSelector", ""))


def _group(parts: list[str]) -> tuple[str, str, list[str]]:
    if parts[0] == "api" and len(parts) > 2:
        return "", parts[1], parts[2:]
    if parts[0] == "apis" and len(parts) > 3:
        return parts[1], parts[2], parts[3:]
    return "", "", []


def _kind(group: str, version: str, plural: str) -> Kind:
    for kind in KINDS:
        if (kind.group, kind.version, kind.plural) == (group, version, plural):
            return kind
    return Kind(group, version, plural, "")
