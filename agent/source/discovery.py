"""Which BotKube pods there are: list and watch, as the latest picture of each pod.

Owns the list-then-watch loop and the few fields that are read from a pod. Must not know what
follows from a change. 410 means list again, everything else means watch on, unlike the library's
own watch (tomplus/kubernetes_asyncio#352).
"""

from __future__ import annotations

import asyncio
import logging
from datetime import datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import orjson
from attrs import define, field, frozen

from agent.source.api import ApiError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable
    from random import Random

    from agent.source.api import Client

log = logging.getLogger(__name__)

WATCH_SECONDS = 270
MAX_EVENT_BYTES = 8 << 20
MIN_WATCH_SECONDS = 1.0
LIST_PAGE = "500"


@frozen
class Ended:
    """A terminated container instance, as the pod's status tells of it."""

    container_id: str
    exit_code: int
    reason: str
    finished_seconds: int


@frozen
class ContainerStatus:
    """What a pod's status says of one container."""

    name: str
    image: str
    container_id: str
    restarts: int
    is_running: bool
    started_seconds: int
    ended: Ended | None
    last_ended: Ended | None


@frozen
class Pod:
    """What is read from a pod object."""

    namespace: str
    name: str
    uid: str
    labels: tuple[tuple[str, str], ...]
    owner: str
    is_deleting: bool
    is_finished: bool
    version: int
    containers: tuple[ContainerStatus, ...]


@define
class Pods:
    """All selected pods. `changed` is called with each new picture, `gone` with a uid."""

    changed: Callable[[Pod], None]
    gone: Callable[[str], None]
    _seen: dict[str, set[str]] = field(factory=dict)

    def put(self, selection: str, pod: Pod) -> None:
        """Take a new picture of a pod that one selection contains."""
        self._seen.setdefault(pod.uid, set()).add(selection)
        self.changed(pod)

    def drop(self, selection: str, uid: str) -> None:
        """Take it that a selection no longer contains a pod."""
        selections = self._seen.get(uid)
        if selections is None:
            return
        selections.discard(selection)
        if not selections:
            del self._seen[uid]
            self.gone(uid)

    def keep_only(self, selection: str, uids: Iterable[str]) -> None:
        """Take a whole list: what the selection contained before and not now is gone from it."""
        for uid in {uid for uid, found in self._seen.items() if selection in found} - set(uids):
            self.drop(selection, uid)


@frozen
class Selection:
    """Which pods of one namespace, and which of their containers. An empty set means all."""

    namespace: str
    selector: str
    containers: frozenset[str]
    node: str | None = None

    @property
    def name(self) -> str:
        """Tell selections apart."""
        return f"{self.namespace}/{self.selector}"

    @property
    def path(self) -> str:
        """Where the pods are listed."""
        return f"/api/v1/namespaces/{self.namespace}/pods"

    @property
    def params(self) -> dict[str, str]:
        """The selectors as query parameters."""
        node = {} if self.node is None else {"fieldSelector": f"spec.nodeName={self.node}"}
        return {"labelSelector": self.selector, **node}


async def watch(
    client: Client,
    selection: Selection,
    pods: Pods,
    *,
    random: Random,
    listed: Callable[[ApiError | None], None],
    may_not_watch: Callable[[], None],
) -> None:
    """List and watch for ever; `listed` hears of every list that succeeds or fails.

    A watch that the server refuses is begun anew with a list, so that without the right to watch
    the list is asked for again and again, at least once a minute.
    """
    version: str | None = None
    failures = 0
    while True:
        began = asyncio.get_running_loop().time()
        error: ApiError | None = None
        try:
            if version is None:
                version = await _list(client, selection, pods)
                listed(None)
            seconds = int(WATCH_SECONDS * random.uniform(0.8, 1.2))
            async for reached in _watch(client, selection, pods, version, seconds=seconds):
                version, failures = reached, 0
        except ApiError as raised:
            error = raised
            if version is None:
                listed(error)
            elif error.status:
                version = None
                if error.status == HTTPStatus.FORBIDDEN:
                    may_not_watch()
        if error is not None and error.status != HTTPStatus.GONE:
            failures += 1
            await asyncio.sleep(pause_seconds(failures, error, random))
        elif asyncio.get_running_loop().time() - began < MIN_WATCH_SECONDS:
            # A server that ends every watch at once must not be asked without a pause.
            await asyncio.sleep(random.uniform(0.5, 1.0) * MIN_WATCH_SECONDS)


def pause_seconds(
    failures: int, error: ApiError | None, random: Random, *, base: float = 0.5
) -> float:
    """Return how long to wait after so many failures: doubling to a minute, with full jitter."""
    if error is not None and error.retry_after_seconds is not None:
        return min(max(error.retry_after_seconds, base), 300.0) + random.uniform(0, base)
    return random.uniform(base / 5, min(60.0, base * 2 ** min(failures, 10)))


async def _list(client: Client, selection: Selection, pods: Pods) -> str:
    uids: list[str] = []
    page = {**selection.params, "limit": LIST_PAGE}
    while True:
        found = await client.get(selection.path, page)
        for item in found.get("items") or ():
            pod = read_pod(item, selection.containers)
            uids.append(pod.uid)
            pods.put(selection.name, pod)
        metadata = found.get("metadata") or {}
        if not metadata.get("continue"):
            break
        page["continue"] = metadata["continue"]
    pods.keep_only(selection.name, uids)
    return str(metadata.get("resourceVersion", ""))


async def _watch(
    client: Client, selection: Selection, pods: Pods, version: str, *, seconds: int
) -> AsyncIterator[str]:
    """Take events until the watch ends; yield after each the version to go on from."""
    asked = {
        **selection.params,
        "watch": "true",
        "resourceVersion": version,
        "allowWatchBookmarks": "true",
        "timeoutSeconds": str(seconds),
    }
    async with client.stream(
        selection.path, asked, read_seconds=seconds + 15, accept="application/json"
    ) as content:
        rest = b""
        async for chunk in content.iter_any():
            *lines, rest = (rest + chunk).split(b"\n")
            if len(rest) > MAX_EVENT_BYTES:
                raise ApiError(0, "watch event too large")
            for line in filter(None, lines):
                version = _take_line(line, selection, pods) or version
                yield version


def _take_line(line: bytes, selection: Selection, pods: Pods) -> str | None:
    try:
        event = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise ApiError(0, "the watch is not JSON") from error
    return _take_event(event, selection, pods)


def _take_event(event: dict[str, Any], selection: Selection, pods: Pods) -> str | None:
    """Take one watch event; return the resourceVersion to go on from."""
    found = event.get("object") or {}
    if event.get("type") == "ERROR":
        raise ApiError(int(found.get("code") or 500), str(found.get("reason") or "watch error"))
    if event.get("type") in {"ADDED", "MODIFIED"}:
        pods.put(selection.name, read_pod(found, selection.containers))
    elif event.get("type") == "DELETED":
        pod = read_pod(found, selection.containers)
        pods.put(selection.name, pod)
        pods.drop(selection.name, pod.uid)
    return (found.get("metadata") or {}).get("resourceVersion")


def read_pod(found: dict[str, Any], containers: frozenset[str]) -> Pod:
    """Read a pod object. Only ordinary containers of the given names; an empty set means all."""
    metadata, status = found.get("metadata") or {}, found.get("status") or {}
    owners = metadata.get("ownerReferences") or ()
    return Pod(
        namespace=str(metadata.get("namespace", "")),
        name=str(metadata.get("name", "")),
        uid=str(metadata.get("uid", "")),
        labels=tuple(sorted((metadata.get("labels") or {}).items())),
        owner=str(owners[0].get("name", "")) if owners else "",
        is_deleting="deletionTimestamp" in metadata,
        version=_version(metadata.get("resourceVersion")),
        is_finished=status.get("phase") in {"Succeeded", "Failed"},
        containers=tuple(
            _container(one)
            for one in status.get("containerStatuses") or ()
            if not containers or one.get("name") in containers
        ),
    )


def _version(text: object) -> int:
    # Opaque by contract, a growing number in every API server there is: good enough to tell an
    # older picture of the same pod, which a lagging watch may bring, from a newer one.
    return int(text) if isinstance(text, str) and text.isdigit() else 0


def _container(found: dict[str, Any]) -> ContainerStatus:
    state, last = found.get("state") or {}, found.get("lastState") or {}
    running = state.get("running")
    return ContainerStatus(
        name=str(found.get("name", "")),
        image=str(found.get("image", "")),
        container_id=str(found.get("containerID") or ""),
        restarts=int(found.get("restartCount") or 0),
        is_running=running is not None,
        started_seconds=_seconds((running or state.get("terminated") or {}).get("startedAt")),
        ended=_ended(state.get("terminated")),
        last_ended=_ended(last.get("terminated")),
    )


def _ended(found: dict[str, Any] | None) -> Ended | None:
    if not found:
        return None
    return Ended(
        str(found.get("containerID") or ""),
        int(found.get("exitCode") or 0),
        str(found.get("reason") or ""),
        _seconds(found.get("finishedAt")),
    )


def _seconds(text: str | None) -> int:
    return int(datetime.fromisoformat(text).timestamp()) if text else 0
