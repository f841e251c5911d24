"""The switches that stand in the cluster: an annotation of ours, and BotKube's own opt-outs.

Owns where they stand and what their values mean. A 404 means that a switch is not set, a 403 that
it may not be read, which is said; any other answer is none, and is the caller's `ApiError`. What is
odd in an answer is not readable, and hides nothing that stands beside it.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, TypeAlias

import yaml
from attrs import frozen

from agent.source.api import ApiError, items, part, under
from agent.source.discovery import ENDED_PHASES, Selection

if TYPE_CHECKING:
    from agent.source.api import Client

Says: TypeAlias = Callable[[dict[str, Any]], str]
"""What an object says of its switch, in a closed word."""

ANNOTATION = "botkube-analytics/disable"
VARIABLE = "BOTKUBE_ANALYTICS_DISABLE"
"""By which BotKube itself is told not to report, like us."""
MAX_PODS = "100"
"""So many of BotKube's pods are looked at for each selection."""
MAX_READS = 16
"""So many switches are read at a time: with many namespaces one after the other takes too long."""

MAX_YAML_CHARS = 128 * 1024
"""Of one ConfigMap: about a second's work, in a thread. BotKube's chart makes some 30 KB."""

NOT_SET, NO, NOT_READABLE, OFF = "not set", "false", "not readable", "true"
NO_POD = "no pod"
"""Where pods would say it, and none is there."""
_STRENGTH = (NOT_SET, NO, NOT_READABLE, OFF)
"""Of several words the last stands: one that says no does not speak for one that is not readable.
"""
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_SAYS_NO = frozenset({"false", "0", "no", "off"})
_DISABLED = re.compile(r"(?<![\w-])disable[\"']?\s*:\s*[\"']?(?i:true|yes|on|1)\b")
"""A wish in a file that is too long, or no YAML that can be read."""

FIRST_WITH_OPT_OUT = (0, 13)
"""The BotKube that first reported something itself, and could be told not to."""


@frozen
class ClusterSwitch:
    """One switch by its place, its value in a closed word, and whether it turns the agent off.

    `right` is that by which it is read; empty if what was read cannot be understood.
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

    def said(self, found: dict[str, Any] | None) -> ClusterSwitch:
        value = NOT_SET if found is None else self.says(found)
        right = "" if value == NOT_READABLE else self.right
        return ClusterSwitch(self.name, value, value == OFF, right)

    def not_read(self) -> ClusterSwitch:
        return ClusterSwitch(self.name, NOT_READABLE, is_off=False, right=self.right)


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
            return await _read(client, place)

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
            found.append(place.not_read())
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


async def _read(client: Client, place: _Place) -> ClusterSwitch:
    try:
        found: dict[str, Any] | None = await client.get(place.path, place.params)
    except ApiError as error:
        if error.status == HTTPStatus.FORBIDDEN:
            return place.not_read()
        if error.status != HTTPStatus.NOT_FOUND:
            raise
        found = None
    if found is not None and place.says is _disable:
        # A long file takes a while, for which streams and the lease must not wait.
        return await asyncio.to_thread(place.said, found)
    return place.said(found)


def _word(said: object) -> str:
    # A wish to be left alone is not refused over its spelling.
    return NO if str(said).strip().lower() in _SAYS_NO else OFF


def _strongest(words: Iterable[str]) -> str:
    return max(words, key=_STRENGTH.index, default=NOT_SET)


def _annotation(namespace: dict[str, Any]) -> str:
    said = part(part(namespace, "metadata"), "annotations").get(ANNOTATION)
    return NOT_SET if said is None else _word(said)


def _environment(pods: dict[str, Any]) -> str:
    """Return what the environment of the pods' containers says; any off wins.

    A pod that has ended says nothing any more: it may be left over.
    """
    living = [pod for pod in items(pods, "items") if not _has_ended(pod)]
    if not living:
        return NO_POD
    containers = (one for pod in living for one in _each(under(pod, "spec"), "containers"))
    return _strongest(word for one in containers for word in _container(one))


def _has_ended(pod: object) -> bool:
    phase = under(under(pod, "status"), "phase")
    return isinstance(phase, str) and phase in ENDED_PHASES


def _container(container: object) -> Iterator[str]:
    """Return what each mention of the variable says; what stands in another object is not seen.

    An empty value is not set, as BotKube has it. `env` goes before `envFrom`.
    """
    env = list(_each(container, "env"))
    own = [one for one in env if under(one, "name") == VARIABLE]
    for one in own:
        value = under(one, "value")
        if value:
            yield _word(value)
        elif under(one, "valueFrom"):
            yield NOT_READABLE
    if None in env or (not own and any(map(_may_bring, _each(container, "envFrom")))):
        yield NOT_READABLE


def _may_bring(source: object) -> bool:
    return source is None or VARIABLE.startswith(str(under(source, "prefix") or ""))


def _each(found: object, name: str) -> Iterator[object]:
    """Return the objects of the list that stands under a name, and None for whatever is odd."""
    listed = under(found, name)
    if listed is None and isinstance(found, dict):
        return
    for one in listed if isinstance(listed, list) else [None]:
        yield one if isinstance(one, dict) else None


def _disable(config: dict[str, Any]) -> str:
    """Return `analytics.disable` of the YAML files in a ConfigMap of BotKube's; any off wins.

    What is too long, or no YAML that can be read, may say off, so it is not taken for a switch that
    is not set.
    """
    texts = [
        one for one in part(config, "data").values() if isinstance(one, str) and "analytics" in one
    ]
    is_long = sum(map(len, texts)) > MAX_YAML_CHARS
    return _strongest(word for one in texts for word in (_torn if is_long else _wishes)(one))


def _torn(text: str) -> list[str]:
    return [OFF if _DISABLED.search(text) else NOT_READABLE]


def _wishes(text: str) -> list[str]:
    """Return what every `analytics.disable` in a file says that may hold anything.

    A key may stand there twice, of which a loader would only keep the last.
    """
    try:
        documents = list(yaml.compose_all(text, Loader=_LOADER))
        return [
            _word(value.value) if isinstance(value, yaml.ScalarNode) else OFF
            for value in _under(_under(documents, "analytics"), "disable")
            if not value.tag.endswith(":null")
        ]
    except Exception:  # noqa: BLE001 the loader fails in many ways, and names what it read
        return _torn(text)


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
