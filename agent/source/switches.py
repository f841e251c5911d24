"""The switches that stand in the cluster: an annotation of ours, and BotKube's own opt-outs.

Owns where they stand and what their values mean. A 404 means that a switch is not set, a 403 that
it may not be read, which is said; any other answer is none, and is the caller's `ApiError`.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, TypeAlias

import yaml
from attrs import frozen

from agent.source.api import ApiError, as_object, items, part
from agent.source.discovery import ENDED_PHASES, Selection

if TYPE_CHECKING:
    from agent.source.api import Client

Says: TypeAlias = Callable[[dict[str, Any]], object]
"""What an object says of its switch; None: it is not set."""

ANNOTATION = "botkube-analytics/disable"
VARIABLE = "BOTKUBE_ANALYTICS_DISABLE"
"""By which BotKube itself is told not to report, like us."""
MAX_PODS = "100"
"""So many of BotKube's pods are looked at for each selection."""
MAX_READS = 16
"""So many switches are read at a time: with many namespaces one after the other takes too long."""

NOT_SET, NOT_READABLE = "not set", "not readable"
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_SAYS_NO = frozenset({"false", "0", "no", "off"})
_DISABLED = re.compile(r"(?<![\w-])disable[\"']?\s*:\s*[\"']?(?i:true|yes|on|1)\b")
"""A wish in a file that is no YAML that can be read."""

FIRST_WITH_OPT_OUT = (0, 13)
"""The BotKube that first reported something itself, and could be told not to."""


@frozen
class ClusterSwitch:
    """One switch by its place, its value in a closed word, and whether it turns the agent off.

    `right` is that by which it is read.
    """

    name: str
    value: str
    is_off: bool
    right: str = ""


@frozen
class _Place:
    """Where a switch stands, and how what stands there says it."""

    name: str
    right: str
    path: str
    says: Says
    params: Mapping[str, str] | None = None

    def found(self, value: str, *, is_off: bool = False) -> ClusterSwitch:
        return ClusterSwitch(self.name, value, is_off, self.right)


def analytics_config(deployment: str) -> str:
    """Return in which ConfigMap the chart of v0.13 keeps `analytics.disable`, and an id."""
    return f"{deployment}-analytics-config"


def opt_out_configs(deployments: Iterable[str]) -> tuple[str, ...]:
    """Return the ConfigMaps that may hold BotKube's own opt-out; later charts have the second.

    A chart gives them and the Deployment names that begin alike.
    """
    return tuple(
        name for one in deployments for name in (analytics_config(one), f"{one}-global-config")
    )


async def read_switches(
    client: Client,
    namespaces: Iterable[str],
    deployments: Iterable[str],
    selectors: Iterable[str],
    *,
    limit_seconds: float | None = None,
) -> tuple[ClusterSwitch, ...]:
    """Return every switch of these namespaces and of the BotKubes in them.

    Those are told by the names of their Deployments and by the selectors of their pods. What has no
    answer by the limit gave none.

    One that says off is enough, whatever became of the others. Raises `ApiError` where none says
    off and one gave no answer.
    """
    slots = asyncio.Semaphore(MAX_READS)

    async def read(place: _Place) -> ClusterSwitch:
        async with slots:
            return _switch(place, await _read(client, place))

    async def ask(place: _Place) -> ClusterSwitch | ApiError:
        try:
            async with asyncio.timeout_at(deadline):
                return await read(place)
        except TimeoutError:
            return ApiError(0, "no answer in time")
        except ApiError as error:
            return error

    now = asyncio.get_running_loop().time()
    deadline = None if limit_seconds is None else now + limit_seconds
    places = list(_places(namespaces, opt_out_configs(deployments), tuple(selectors)))
    answers = await asyncio.gather(*map(ask, places))
    is_off = any(isinstance(one, ClusterSwitch) and one.is_off for one in answers)
    found = []
    for place, answer in zip(places, answers, strict=True):
        if isinstance(answer, ClusterSwitch):
            found.append(answer)
        elif is_off:
            found.append(place.found(NOT_READABLE))
        else:
            raise answer
    return tuple(found)


def _places(
    namespaces: Iterable[str], configs: tuple[str, ...], selectors: tuple[str, ...]
) -> Iterable[_Place]:
    for namespace in namespaces:
        path = f"/api/v1/namespaces/{namespace}"
        name = f"annotation {ANNOTATION} of namespace {namespace}"
        yield _Place(name, f"get namespaces/{namespace}", path, _annotation)
        for config in configs:
            name = f"analytics.disable in ConfigMap {namespace}/{config}"
            yield _Place(name, f"get configmaps/{config}", f"{path}/configmaps/{config}", _disable)
        for selector in selectors:
            # Of every node: a wish in one pod is one of the whole BotKube.
            pods = Selection(namespace, selector, frozenset())
            name = f"{VARIABLE} of pods {selector} in namespace {namespace}"
            yield _Place(
                name, "list pods", pods.path, _environment, {**pods.params, "limit": MAX_PODS}
            )


async def _read(client: Client, place: _Place) -> dict[str, Any] | str | None:
    """Return the object, None if it is not there, `NOT_READABLE` if it may not be read."""
    try:
        return await client.get(place.path, place.params)
    except ApiError as error:
        if error.status == HTTPStatus.NOT_FOUND:
            return None
        if error.status == HTTPStatus.FORBIDDEN:
            return NOT_READABLE
        raise


def _switch(place: _Place, found: dict[str, Any] | str | None) -> ClusterSwitch:
    if isinstance(found, str):
        return place.found(found)
    said = None if found is None else place.says(found)
    if said == NOT_READABLE:
        return place.found(NOT_READABLE)
    if said is None:
        return place.found(NOT_SET)
    is_off = _says_off(said)
    return place.found(str(is_off).lower(), is_off=is_off)


def _says_off(said: object) -> bool:
    # A wish to be left alone is not refused over its spelling.
    return str(said).strip().lower() not in _SAYS_NO


def _annotation(namespace: dict[str, Any]) -> object:
    return part(part(namespace, "metadata"), "annotations").get(ANNOTATION)


def _environment(pods: dict[str, Any]) -> object:
    """Return what the environment of the pods' containers says; any off wins.

    A value that stands elsewhere (`valueFrom`) is not seen. An empty one is not set, as BotKube has
    it. A pod that has ended says nothing any more: it may be left over.
    """
    said: object = None
    for pod in map(as_object, items(pods, "items")):
        if part(pod, "status").get("phase") in ENDED_PHASES:
            continue
        for container in map(as_object, items(part(pod, "spec"), "containers")):
            for one in map(as_object, items(container, "env")):
                value = one.get("value")
                if one.get("name") == VARIABLE and value:
                    if _says_off(value):
                        return value
                    said = value
    return said


def _disable(config: dict[str, Any]) -> object:
    """Return `analytics.disable` of the YAML files in a ConfigMap of BotKube's; any off wins.

    One that is no YAML we can read may say off, so it is not taken for a switch that is not set.
    """
    said: object = None
    for text in part(config, "data").values():
        wishes = _wishes(text)
        if wishes is None:
            wishes = ["true" if _DISABLED.search(text) else NOT_READABLE]
        for value in wishes:
            if value != NOT_READABLE and _says_off(value):
                return value
            # One that says no does not speak for one that cannot be read.
            said = NOT_READABLE if NOT_READABLE in {said, value} else value
    return said


def _wishes(text: object) -> list[str] | None:
    """Return every value of `analytics.disable` in a file that may hold anything; None if torn.

    A key may stand there twice, of which a loader would only keep the last.
    """
    if not isinstance(text, str) or "analytics" not in text:
        return []
    try:
        documents = list(yaml.compose_all(text, Loader=_LOADER))
        return [
            value.value if isinstance(value, yaml.ScalarNode) else "true"
            for value in _under(_under(documents, "analytics"), "disable")
            if not value.tag.endswith(":null")
        ]
    except Exception:  # noqa: BLE001 the loader fails in many ways, and names what it read
        return None


def _under(nodes: Iterable[yaml.Node], key: str) -> list[yaml.Node]:
    """Return what stands under a key in mappings, and in those that are merged into them.

    Each node is looked at once: merges of merges would be twice as many with every level.
    """
    found: list[yaml.Node] = []
    seen: set[yaml.Node] = set()
    waiting = list(nodes)
    while waiting:
        node = waiting.pop()
        if node in seen or not isinstance(node, yaml.MappingNode):
            continue
        seen.add(node)
        for name, value in node.value:
            if not name.tag.endswith(":merge"):
                found += [value] if name.value == key else []
            elif not isinstance(value, yaml.SequenceNode):
                waiting.append(value)
            elif value not in seen:
                seen.add(value)
                waiting += value.value
    return found
