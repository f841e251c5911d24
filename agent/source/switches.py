"""The switches that stand in the cluster: an annotation of ours, and BotKube's own opt-out.

Owns where they stand and what their values mean. A 404 means that a switch is not set, a 403 that
it may not be read, which is said; any other answer is none, and is the caller's `ApiError`.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import yaml
from attrs import frozen

from agent.source.api import ApiError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agent.source.api import Client

ANNOTATION = "botkube-analytics/disable"
BOTKUBE_CONFIGS = ("botkube-analytics-config", "botkube-global-config")
"""Where BotKube's chart keeps `analytics.disable`: v0.13 in the first, later ones in the second."""

NOT_SET, NOT_READABLE = "not set", "not readable"
_SAYS_NO = frozenset({"false", "0", "no", "off", ""})


@frozen
class ClusterSwitch:
    """One switch by its place, its value in a closed word, and whether it turns the agent off."""

    name: str
    value: str
    is_off: bool


async def read_switches(client: Client, namespaces: Iterable[str]) -> tuple[ClusterSwitch, ...]:
    """Return every switch of these namespaces. Raises `ApiError` where one gave no answer."""
    found: list[ClusterSwitch] = []
    for namespace in namespaces:
        path = f"/api/v1/namespaces/{namespace}"
        name = f"annotation {ANNOTATION} of namespace {namespace}"
        found.append(_switch(name, await _read(client, path), _annotation))
        for config in BOTKUBE_CONFIGS:
            name = f"analytics.disable in ConfigMap {namespace}/{config}"
            found.append(
                _switch(name, await _read(client, f"{path}/configmaps/{config}"), _disable)
            )
    return tuple(found)


async def _read(client: Client, path: str) -> Any:  # noqa: ANN401 JSON
    """Return the object, None if it is not there, `NOT_READABLE` if it may not be read."""
    try:
        return await client.get(path)
    except ApiError as error:
        if error.status == HTTPStatus.NOT_FOUND:
            return None
        if error.status in {HTTPStatus.FORBIDDEN, HTTPStatus.UNAUTHORIZED}:
            return NOT_READABLE
        raise


def _switch(name: str, found: Any, says: Any) -> ClusterSwitch:  # noqa: ANN401 JSON
    if found == NOT_READABLE:
        return ClusterSwitch(name, NOT_READABLE, is_off=False)
    said = None if found is None else says(found)
    if said is None:
        return ClusterSwitch(name, NOT_SET, is_off=False)
    # A wish to be left alone is not refused over its spelling.
    is_off = str(said).strip().lower() not in _SAYS_NO
    return ClusterSwitch(name, str(is_off).lower(), is_off)


def _annotation(namespace: Any) -> object:  # noqa: ANN401 JSON
    return ((namespace.get("metadata") or {}).get("annotations") or {}).get(ANNOTATION)


def _disable(config: Any) -> object:  # noqa: ANN401 JSON
    """Return `analytics.disable` of the YAML files in a ConfigMap of BotKube's chart, if any."""
    for text in (config.get("data") or {}).values():
        try:
            found = yaml.safe_load(text)
        except (yaml.YAMLError, ValueError, RecursionError):
            continue
        analytics = found.get("analytics") if isinstance(found, dict) else None
        if isinstance(analytics, dict) and isinstance(analytics.get("disable"), (bool, str)):
            return analytics["disable"]
    return None
