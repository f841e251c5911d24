"""Which BotKube pods there are: list and watch, as the latest picture of each pod.

Owns the list-then-watch loop and the few fields that are read from a pod. Must not know what
follows from a change. 410 means list again, everything else means watch on, unlike the library's
own watch (tomplus/kubernetes_asyncio#352).
"""

from __future__ import annotations

import asyncio
import logging
import re
from contextlib import suppress
from datetime import datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import orjson
from attrs import define, field, frozen

from agent.source.api import JSON, ApiError, as_object, items, part, reason_of, under

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable
    from random import Random

    from agent.source.api import Client

log = logging.getLogger(__name__)

WATCH_SECONDS = 270
MAX_EVENT_BYTES = 8 << 20
WATCH_HOLDS_SECONDS = 1.0
"""After so long without an error a watch is taken to tell of what comes."""
MIN_WATCH_SECONDS = 1.0
LIST_PAGE = "500"
METADATA = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"
"""In this form pods that are not BotKube's are asked for: what they run is not to be seen."""
ENDED_PHASES = frozenset({"Succeeded", "Failed"})
MAX_PAGES = 200
"""A list that goes on longer has no end: there are no clusters of so many pods."""
MAX_COUNT = (1 << 31) - 1
"""What the API has for restarts and exit codes is an int32."""

_VERSION = re.compile(r"[0-9]{1,20}")


class OddWatchError(ApiError):
    """The watch brought what is no event: only a list can tell what it would have said."""

    def __init__(self) -> None:
        super().__init__(0, "the watch has another shape")


@frozen
class Ended:
    """A terminated container instance, as the pod's status tells of it."""

    container_id: str
    exit_code: int
    reason: str
    finished_seconds: int
    started_seconds: int = 0


@frozen
class ContainerStatus:
    """What a pod's status says of one container.

    `image` is the one that its spec asks for. The runtime's own name for it is without the tag
    where a digest pins it, and any of several tags of one image.
    """

    name: str
    image: str
    container_id: str
    restarts: int
    is_running: bool
    started_seconds: int
    ended: Ended | None
    last_ended: Ended | None

    def began(self, container_id: str) -> int | None:
        """Return when that instance of the container began, in seconds since 1970, if it says.

        In back-off a status is of one that has ended, and says so only where it tells of the last.
        One that could not start has begun in 1970 (kubelet: `StartError`), and ended right then.
        """
        ended = {
            one.container_id: one.started_seconds or one.finished_seconds
            for one in (self.last_ended, self.ended)
            if one is not None
        }
        is_current = container_id == self.container_id
        return (self.started_seconds if is_current else 0) or ended.get(container_id) or None


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
    created_seconds: int = 0


@define
class Pods:
    """All selected pods. `changed` is called with each new picture, `gone` with a uid."""

    changed: Callable[[Pod], None]
    gone: Callable[[str], None]
    _seen: dict[str, set[str]] = field(factory=dict)
    _odd: set[str] = field(factory=set)

    def put(self, selection: str, pod: Pod) -> None:
        """Take a new picture of a pod that one selection contains."""
        self._odd.discard(pod.uid)
        self._seen.setdefault(pod.uid, set()).add(selection)
        self.changed(pod)

    def drop(self, selection: str, uid: str) -> None:
        """Take it that a selection no longer contains a pod."""
        self._odd.discard(uid)
        selections = self._seen.get(uid)
        if selections is None:
            return
        selections.discard(selection)
        if not selections:
            del self._seen[uid]
            self.gone(uid)

    def skip(self, selection: Selection, uid: str) -> None:
        """Leave a pod at its last picture, because the new one cannot be read; say so once."""
        if uid not in self._odd:
            self._odd.add(uid)
            log.warning("pod cannot be understood", extra={"namespace": selection.namespace})

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
    asked: Callable[[ApiError | None], None] = lambda _error: None,
) -> None:
    """List and watch for ever; `listed` hears of every list that succeeds or fails.

    `asked` hears of every list and watch that tells of pods, or fails.

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
                asked(None)
            seconds = int(WATCH_SECONDS * random.uniform(0.8, 1.2))
            async for reached in _watch(client, selection, pods, version, asked, seconds=seconds):
                version, failures = reached, 0
        except ApiError as raised:
            error = raised
            asked(error)
            if version is None:
                listed(error)
            elif error.status or isinstance(error, OddWatchError):
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


async def find_nodes(
    client: Client, selections: Iterable[Selection]
) -> tuple[dict[str, str], dict[str, str]]:
    """Return where pods are: by uid those that have not ended, by instance those that have.

    The node is empty for one that has none yet. In a namespace that may not be listed nobody reads
    any. Raises `ApiError`.
    """
    nodes: dict[str, str] = {}
    ended: dict[str, str] = {}
    for selection in selections:
        try:
            async for items, _version in _pages(client, selection):
                for pod in items:
                    node = _text(_inner(pod, "spec").get("nodeName"))
                    if _text(_inner(pod, "status").get("phase")) not in ENDED_PHASES:
                        nodes[_uid(pod)] = node
                        continue
                    with suppress(ApiError):
                        keys = instance_keys(read_pod(pod, selection.containers))
                        ended |= dict.fromkeys(keys, node)
        except ApiError as error:
            if error.status not in {HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND}:
                raise
    return nodes, ended


def tell_listed(answers: dict[str, int], namespace: str, error: ApiError | None) -> None:
    """Say once per change whether the pods of a namespace can be listed; `answers` remembers."""
    status = HTTPStatus.OK if error is None else error.status
    if status == answers.get(namespace):
        return
    answers[namespace] = status
    where = {"namespace": namespace, "right": "list pods", "status": status}
    if error is None:
        log.info("pods listed", extra={"namespace": namespace})
    else:
        log.warning("pods cannot be listed", extra=where | {"reason": error.reason})


async def find_all(client: Client, selections: Iterable[Selection]) -> set[str]:
    """Return the uids of the pods that are there to stay. Raises `ApiError`."""
    return {
        _uid(pod)
        for selection in selections
        async for items, _version in _pages(client, selection, accept=METADATA)
        for pod in map(as_object, items)
        if "deletionTimestamp" not in part(pod, "metadata")
    }


async def find_pods(client: Client, selections: Iterable[Selection]) -> list[Pod]:
    """Return the pods there are now, each once; one that cannot be read is left out.

    Raises `ApiError`.
    """
    pods: dict[str, Pod] = {}
    for selection in selections:
        async for page, _version in _pages(client, selection):
            for item in page:
                with suppress(ApiError):
                    pod = read_pod(item, selection.containers)
                    pods[pod.uid] = pod
    return list(pods.values())


async def _list(client: Client, selection: Selection, pods: Pods) -> str:
    uids: list[str] = []
    version = ""
    async for page, listed in _pages(client, selection):
        uids += [_take_pod(item, selection, pods) for item in page]
        version = listed
    if all(uids):
        # Else one of those that are not in it may be the one that could not be read.
        pods.keep_only(selection.name, uids)
    return version


async def _pages(
    client: Client, selection: Selection, *, accept: str = JSON
) -> AsyncIterator[tuple[list[Any], str]]:
    """Ask for a list page by page; yield the items of each, and the list's resourceVersion."""
    page = {**selection.params, "limit": LIST_PAGE}
    for _number in range(MAX_PAGES):
        found = await client.get(selection.path, page, accept=accept)
        if "items" not in found:
            raise ApiError(0, "the answer is no list")  # and not an empty one
        metadata = part(found, "metadata")
        yield items(found, "items"), _text(metadata.get("resourceVersion"))
        following = metadata.get("continue")
        if not following:
            return
        if not isinstance(following, str):
            raise ApiError(0, "the answer has another shape")
        page["continue"] = following
    raise ApiError(0, "the list has no end")


def _take_pod(found: object, selection: Selection, pods: Pods) -> str:
    """Take a pod object, or skip it if it cannot be read; return its uid, if it says one.

    One odd pod must not keep the logs of the others unread.
    """
    try:
        pod = read_pod(found, selection.containers)
    except ApiError:
        uid = _uid(found)
        pods.skip(selection, uid)
        return uid
    pods.put(selection.name, pod)
    return pod.uid


def _uid(found: object) -> str:
    return _text(_inner(found, "metadata").get("uid"))


def _inner(found: object, name: str) -> dict[str, Any]:
    """Return the object that stands in another under a name, empty if what stands there is odd."""
    inner = under(found, name)
    return inner if isinstance(inner, dict) else {}


async def _watch(
    client: Client,
    selection: Selection,
    pods: Pods,
    version: str,
    asked: Callable[[ApiError | None], None],
    *,
    seconds: int,
) -> AsyncIterator[str]:
    """Take events until the watch ends; yield after each the version to go on from."""
    params = {
        **selection.params,
        "watch": "true",
        "resourceVersion": version,
        "allowWatchBookmarks": "true",
        "timeoutSeconds": str(seconds),
    }
    async with client.stream(
        selection.path, params, read_seconds=seconds + 15, accept="application/json"
    ) as response:
        # Not at once: one that is too old is answered, too, and then says so.
        holds = asyncio.get_running_loop().call_later(WATCH_HOLDS_SECONDS, asked, None)
        try:
            rest = b""
            async for chunk in response.content.iter_any():
                *lines, rest = (rest + chunk).split(b"\n")
                if len(rest) > MAX_EVENT_BYTES:
                    raise ApiError(0, "watch event too large")
                for line in filter(None, lines):
                    version = _take_line(line, selection, pods) or version
                    asked(None)
                    yield version
        finally:
            holds.cancel()
    asked(None)


def _take_line(line: bytes, selection: Selection, pods: Pods) -> str:
    try:
        event = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise ApiError(0, "the watch is not JSON") from error
    if not isinstance(event, dict) or not isinstance(event.get("object"), dict):
        raise OddWatchError
    return _take_event(event, selection, pods)


def _take_event(event: dict[str, Any], selection: Selection, pods: Pods) -> str:
    """Take one watch event; return the resourceVersion to go on from, if it says one."""
    found, kind = event["object"], event.get("type")
    if kind == "ERROR":
        raise ApiError(_count(found.get("code")) or 500, reason_of(found, "watch error"))
    if kind in ("ADDED", "MODIFIED", "DELETED"):
        uid = _take_pod(found, selection, pods)
        if kind == "DELETED":
            pods.drop(selection.name, uid)
    metadata = found.get("metadata")
    return _text(metadata.get("resourceVersion")) if isinstance(metadata, dict) else ""


def read_pod(found: object, containers: frozenset[str]) -> Pod:
    """Read a pod object. Only ordinary containers of the given names; an empty set means all.

    Raises `ApiError` where its parts are not what the API has there. A text, a number or a time
    that is none counts as not said.
    """
    pod = as_object(found)
    metadata, status = part(pod, "metadata"), part(pod, "status")
    uid, name = _text(metadata.get("uid")), _text(metadata.get("name"))
    if not uid or not name:
        raise ApiError(0, "a pod without a name or uid")
    owners = [as_object(one) for one in items(metadata, "ownerReferences")]
    labels = part(metadata, "labels")
    statuses = [as_object(one) for one in items(status, "containerStatuses")]
    asked = [as_object(one) for one in items(part(pod, "spec"), "containers")]
    images = {_text(one.get("name")): _text(one.get("image")) for one in asked}
    return Pod(
        namespace=_text(metadata.get("namespace")),
        name=name,
        uid=uid,
        labels=tuple(sorted((key, _text(value)) for key, value in labels.items())),
        owner=_text(owners[0].get("name")) if owners else "",
        is_deleting="deletionTimestamp" in metadata,
        version=_version(metadata.get("resourceVersion")),
        is_finished=_text(status.get("phase")) in ENDED_PHASES,
        containers=tuple(
            _container(one, image=images.get(_text(one.get("name")), ""))
            for one in statuses
            if not containers or _text(one.get("name")) in containers
        ),
        created_seconds=_seconds(metadata.get("creationTimestamp")),
    )


def instance_keys(pod: Pod) -> set[str]:
    """Return the keys of the container instances that a pod's status names."""
    return {
        f"{pod.uid}/{container_id}"
        for status in pod.containers
        for container_id in (
            status.container_id,
            *(one.container_id for one in (status.ended, status.last_ended) if one),
        )
    }


def _container(found: dict[str, Any], *, image: str) -> ContainerStatus:
    state = part(found, "state")
    terminated = part(state, "terminated")
    return ContainerStatus(
        name=_text(found.get("name")),
        image=image,
        container_id=_text(found.get("containerID")),
        restarts=max(0, _count(found.get("restartCount"))),
        is_running=state.get("running") is not None,
        started_seconds=_seconds((part(state, "running") or terminated).get("startedAt")),
        ended=_ended(terminated),
        last_ended=_ended(part(part(found, "lastState"), "terminated")),
    )


def _ended(found: dict[str, Any]) -> Ended | None:
    if not found:
        return None
    return Ended(
        _text(found.get("containerID")),
        _count(found.get("exitCode")),
        _text(found.get("reason")),
        _seconds(found.get("finishedAt")),
        _seconds(found.get("startedAt")),
    )


def _text(found: object) -> str:
    return found if isinstance(found, str) else ""


def _count(found: object) -> int:
    return found if type(found) is int and abs(found) <= MAX_COUNT else 0


def _version(found: object) -> int:
    # Opaque by contract, a growing number in every API server there is: good enough to tell an
    # older picture of the same pod, which a lagging watch may bring, from a newer one.
    text = _text(found)
    return int(text) if _VERSION.fullmatch(text) else 0


def _seconds(found: object) -> int:
    try:
        at = datetime.fromisoformat(_text(found))
    except ValueError:
        return 0
    # A time that names no zone is none of the API's.
    return max(0, int(at.timestamp())) if at.tzinfo is not None else 0
