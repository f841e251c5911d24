"""Lists and watches: selectors, pages, resume from a resourceVersion, bookmarks and 410.

A list is answered at once; a `Watch` lives as long as its stream and takes changes from the store
as they happen. How long it lives is counted in loop time, so that tests need not wait.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections import deque
from typing import TYPE_CHECKING

import attrs

from tests.sim import status
from tests.sim.faults import Call
from tests.sim.selectors import Matches, field_matches, label_matches
from tests.sim.status import ApiError, Json, Kind
from tests.sim.store import PODS, Change, Store
from tests.sim.wire import Wire

if TYPE_CHECKING:
    from collections.abc import Mapping

# The server picks a random time of this order when a watch names none.
DEFAULT_TIMEOUT_SECONDS = 2700

_TRUE = frozenset({"1", "true", "True"})


@attrs.define(eq=False)
class Pages:
    """The rest of lists that were asked for in pages, by continue token."""

    _rest: dict[str, list[Json]] = attrs.field(factory=dict)

    def keep(self, version: str, rest: list[Json]) -> str:
        last = {"v": "meta.k8s.io/v1", "rv": int(version), "start": rest[0]["metadata"]["name"]}
        token = base64.urlsafe_b64encode(json.dumps(last).encode()).decode().rstrip("=")
        self._rest[token] = rest
        return token

    def take(self, token: str) -> list[Json]:
        if token not in self._rest:
            raise status.expired_continue(token)
        return list(self._rest[token])

    def expire(self) -> None:
        """Forget all: the next page is answered with 410."""
        self._rest.clear()


def list_objects(store: Store, pages: Pages, kind: Kind, call: Call) -> Json:
    selected = _selection(kind, call)
    asked = _version(kind, call.query)
    if asked > store.version:
        raise status.version_too_large(asked, store.version)
    token = call.query.get("continue", "")
    if token:
        items = pages.take(token)
    else:
        found = store.objects(kind, call.namespace if kind.namespaced else "")
        items = [obj for obj in found if selected(obj)]
    meta: Json = {"resourceVersion": str(store.version)}
    limit = int(call.query.get("limit", "0") or 0)
    if 0 < limit < len(items):
        items, rest = items[:limit], items[limit:]
        meta |= {"continue": pages.keep(str(store.version), rest), "remainingItemCount": len(rest)}
    for item in items:
        # The items of a list carry neither.
        item.pop("kind", None)
        item.pop("apiVersion", None)
    return {
        "kind": f"{kind.kind}List",
        "apiVersion": kind.api_version,
        "metadata": meta,
        "items": items,
    }


class Watch:
    """One running watch; the server's controls put bookmarks, errors and ends into its queue."""

    def __init__(self, store: Store, kind: Kind, call: Call, wire: Wire) -> None:
        self._store = store
        self._kind = kind
        self._call = call
        self._wire = wire
        self._selected = _selection(kind, call)
        self._namespace = call.namespace if kind.namespaced else ""
        self._queue: deque[Json | None] = deque()
        self._bookmarks = call.query.get("allowWatchBookmarks", "") in _TRUE

    def prepare(self) -> None:
        """Queue what happened since the version asked for, or raise what makes that impossible."""
        version = _version(self._kind, self._call.query)
        if version:
            for change in self._store.since(version, self._kind):
                self._change(change)
            return
        for obj in self._store.objects(self._kind, self._namespace):
            if self._selected(obj):
                self._queue.append({"type": "ADDED", "object": obj})

    async def run(self, headers: Mapping[str, str], *, second: float) -> None:
        """Stream until the time is up or an end was ordered; `second` is a second of loop time."""
        asked = float(self._call.query.get("timeoutSeconds", "0") or 0)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + (asked or DEFAULT_TIMEOUT_SECONDS) * second
        self._store.listeners.add(self._change)
        try:
            await self._wire.begin(200, headers)
            while await self._drain() and loop.time() < deadline:
                await self._wire.wait(deadline - loop.time())
        finally:
            self._store.listeners.discard(self._change)
        await self._wire.finish()

    def bookmark(self) -> None:
        """Send a bookmark, if this watch asked for them."""
        if self._bookmarks:
            meta = {"resourceVersion": str(self._store.version)}
            mark: Json = {"kind": self._kind.kind, "apiVersion": self._kind.api_version}
            mark["metadata"] = meta
            if self._kind is PODS:
                mark |= {"spec": {"containers": None}, "status": {}}
            self._push({"type": "BOOKMARK", "object": mark})

    def fail(self, error: ApiError) -> None:
        """Send an error event and end."""
        self._push({"type": "ERROR", "object": error.body})
        self.end()

    def end(self) -> None:
        """End as at `timeoutSeconds`: a last bookmark, then a clean end."""
        self._push(None)

    async def _drain(self) -> bool:
        while self._queue:
            event = self._queue.popleft()
            if event is None:
                return False
            await self._wire.write(json.dumps(event, separators=(",", ":")).encode() + b"\n")
        return True

    def _push(self, event: Json | None) -> None:
        self._queue.append(event)
        self._wire.wake.set()

    def _change(self, change: Change) -> None:
        meta = change.after["metadata"]
        if change.kind is not self._kind or self._namespace not in {"", meta.get("namespace", "")}:
            return
        now = change.type != "DELETED" and self._selected(change.after)
        before = change.before is not None and self._selected(change.before)
        # What enters or leaves the selection is an addition or a deletion to this watch.
        if now:
            self._push({"type": "MODIFIED" if before else "ADDED", "object": change.after})
        elif before and change.before is not None:
            version = {"resourceVersion": meta["resourceVersion"]}
            last = {**change.before, "metadata": {**change.before["metadata"], **version}}
            self._push({"type": "DELETED", "object": last})


def is_watch(query: Mapping[str, str]) -> bool:
    return query.get("watch", "") in _TRUE


def _selection(kind: Kind, call: Call) -> Matches:
    labels = label_matches(call.query.get("labelSelector", ""))
    fields = field_matches(call.query.get("fieldSelector", ""), kind)
    return lambda obj: labels(obj) and fields(obj)


def _version(kind: Kind, query: Mapping[str, str]) -> int:
    text = query.get("resourceVersion", "")
    if text and not text.isdecimal():
        message = f'Invalid value: "{text}": strconv.ParseUint: parsing "{text}": invalid syntax'
        cause = status.cause("Invalid", message, "resourceVersion")
        raise status.invalid(kind.plural, "", cause, group=kind.group)
    return int(text or 0)
