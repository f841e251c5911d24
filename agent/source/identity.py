"""Who reports: cluster id, Kubernetes version, installation id, BotKube's version.

Owns the look-ups and how a missing right degrades one trait and says which. Everything that
leaves is a closed word, a UUID or a Kubernetes minor.
"""

from __future__ import annotations

import re
from http import HTTPStatus
from itertools import product
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid5

from agent.source.api import ApiError, part
from agent.source.switches import analytics_config

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.rules import RuleSet
    from agent.source.api import Client
    from agent.source.discovery import ContainerStatus, Pod

CLUSTER_NAMESPACE = UUID("6f1d4c1e-9a51-5d0b-8a2e-52f6a5b9d3c7")
"""The namespace of cluster ids: uuid5(this, uid of kube-system)."""

REFUSALS = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND})
"""What degrades a trait; any other failure means that it is not known yet."""

_MINOR = re.compile(r"v?(\d+)\.(\d+)")
_TAG = re.compile(r"(?::|@)?v?(\d+\.\d+\.\d+)$")
_CHART = re.compile(r"botkube-v?(\d+\.\d+\.\d+)$")
_INSTALLATION = re.compile(
    r"installationID:\s*[\"']?([0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})"
)


async def find_cluster_id(
    client: Client, *, kind: str, missing: Callable[[str, str], None]
) -> str | None:
    """Return the cluster's id: `uuid5` of kube-system's uid, the `raw` uid, or `none`."""
    if kind == "none":
        return None
    path, right = "/api/v1/namespaces/kube-system", "get namespaces/kube-system"
    found = await _get(client, path, "cluster id", right, missing)
    uid = part(found, "metadata").get("uid")
    if not isinstance(uid, str) or not uid:
        return None
    return uid if kind == "raw" else str(uuid5(CLUSTER_NAMESPACE, uid))


async def find_kubernetes(
    client: Client, ruleset: RuleSet, *, missing: Callable[[str, str], None]
) -> tuple[str | None, str | None]:
    """Return (minor version as `1.34`, distribution from the closed list)."""
    found = await _get(client, "/version", "Kubernetes version", "get /version", missing)
    version = str(found.get("gitVersion", ""))
    minor = _MINOR.match(version)
    if minor is None:
        return None, None
    return f"{minor.group(1)}.{minor.group(2)}", _word(ruleset, "distributions", version) or "other"


async def find_installation_id(
    client: Client,
    namespaces: tuple[str, ...],
    deployments: tuple[str, ...],
    *,
    missing: Callable[[str, str], None],
) -> str | None:
    """Return the id that BotKube v0.13 keeps in its own ConfigMap, if it is readable there."""
    for namespace, name in product(namespaces, map(analytics_config, deployments)):
        path = f"/api/v1/namespaces/{namespace}/configmaps/{name}"
        right = f"get configmaps/{name}"
        found = await _get(client, path, "installation id of BotKube v0.13", right, missing)
        text = str(part(found, "data").get("analytics.yaml", ""))
        id_found = _INSTALLATION.search(text)
        if id_found is not None:
            return str(UUID(id_found.group(1)))
    return None


def version_of(container: ContainerStatus, ruleset: RuleSet) -> str | None:
    """Return BotKube's version if the image's tag is a known release."""
    tag = _TAG.search(container.image.partition("@")[0])
    return _known(tag.group(1), ruleset) if tag else None


def release(version: str) -> tuple[int, ...]:
    """Return a known release so that a later one is greater."""
    return tuple(map(int, version.removeprefix("v").split(".")))


async def find_version(
    client: Client,
    pod: Pod,
    container: ContainerStatus,
    ruleset: RuleSet,
    *,
    missing: Callable[[str, str], None],
) -> str:
    """Return BotKube's version: a known release from the image tag, else from the chart label."""
    known = version_of(container, ruleset)
    if known is not None:
        return known
    deployment = pod.owner.rpartition("-")[0]
    if deployment:
        path = f"/apis/apps/v1/namespaces/{pod.namespace}/deployments/{deployment}"
        found = await _get(client, path, "BotKube version", "get deployments", missing)
        labels = part(part(found, "metadata"), "labels")
        chart = _CHART.search(str(labels.get("helm.sh/chart", "")))
        known = _known(chart.group(1), ruleset) if chart else None
    return known or "other"


def _known(version: str, ruleset: RuleSet) -> str | None:
    return _word(ruleset, "releases", f"v{version}")


def _word(ruleset: RuleSet, vocabulary: str, text: str) -> str | None:
    # A rule set of the operator's own may lack the vocabulary: then there are no known words.
    found = ruleset.vocabularies.get(vocabulary)
    return found.word(text.encode()) if found is not None else None


async def _get(
    client: Client, path: str, trait: str, right: str, missing: Callable[[str, str], None]
) -> dict[str, Any]:
    """Return the object, empty where it is not there or may not be read."""
    try:
        return await client.get(path)
    except ApiError as error:
        if error.status not in REFUSALS:
            raise  # not an answer: to be asked again
        if error.status != HTTPStatus.NOT_FOUND:
            missing(trait, right)
        return {}
