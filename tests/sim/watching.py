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
from tests.sim.negotiation import Form
from tests.sim.query import ListOptions
from tests.sim.selectors import Matches, check_selectors, field_matches, label_matches
from tests.sim.status import ApiError, Json, Kind
from tests.sim.store import LEASES, PODS, Change, Store
from tests.sim.wire import Wire

if TYPE_CHECKING:
    from collections.abc import Mapping

# The server picks a random time of this order when a watch names none.
DEFAULT_TIMEOUT_SECONDS = 2700

# So long before its end a watch sends a last bookmark, if it lives that long.
BOOKMARK_SECONDS = 2

_INITIAL_END = {"k8s.io/initial-events-end": "true"}


@attrs.frozen
class _Page:
    """Where a list goes on: at an object, as of a version; of what there is now if it is -1."""

    version: int
    start: tuple[str, str]

    @property
    def token(self) -> str:
        text = json.dumps({"rv": self.version, "start": self.start})
        return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")

    @classmethod
    def of(cls, token: str) -> _Page:
        try:
            found = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
            namespace, name = found["start"]
            return cls(int(found["rv"]), (namespace, name))
        except (ValueError, TypeError, KeyError) as error:
            raise status.bad_request(f"continue key is not valid: {error}") from error

    def store(self, store: Store) -> Store:
        try:
            return store if self.version < 0 else store.at(self.version)
        except ApiError:
            raise status.expired_continue(_Page(-1, self.start).token) from None


def list_objects(store: Store, kind: Kind, call: Call) -> Json:
    wanted = [call.query.get(key, "") for key in ("labelSelector", "fieldSelector")]
    is_everything = not check_selectors(*wanted)
    options = ListOptions.of(call.query, is_watch=False)
    selected = _selection(kind, call)
    page = _Page.of(options.token) if options.token else _Page(-1, ("", ""))
    if options.token and options.version not in {"", "0"}:
        raise status.bad_request("specifying resource version is not allowed when using continue")
    asked = options.list_version()
    if asked > store.version:
        raise status.version_too_large(asked, store.version)
    store = store.at(asked) if options.is_exact else page.store(store)
    every = store.objects(kind, call.namespace if kind.namespaced else "")
    found = [obj for obj in every if _place(obj) > page.start]
    items = [obj for obj in found if selected(obj)]
    meta: Json = {"resourceVersion": str(store.version)}
    # What is in memory is listed whole, and one object by its name has nothing behind it.
    limit = 0 if call.name or options.version == "0" else options.limit
    # Of a full page the server knows only that there are more objects, selected or not.
    if 0 < limit < len(items) or (limit == len(items) > 0 and found[-1] is not items[-1]):
        items, rest = items[:limit], items[limit:]
        meta["continue"] = _Page(store.version, _place(items[-1])).token
        if is_everything:
            meta["remainingItemCount"] = len(rest)
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

    def __init__(self, store: Store, kind: Kind, call: Call, wire: Wire, form: Form) -> None:
        self._store = store
        self._form = form
        self._kind = kind
        self._wire = wire
        self._selected = _selection(kind, call)
        self._namespace = call.namespace if kind.namespaced else ""
        self._queue: deque[Json | None] = deque()
        self._options = ListOptions.of(call.query, is_watch=True)

    def prepare(self) -> None:
        """Queue what happened since the version asked for, or raise what makes that impossible."""
        version, starts_with_all = self._options.watch_version(), self._options.starts_with_all
        if starts_with_all is None:
            starts_with_all = version == 0
        if starts_with_all:
            for obj in self._store.objects(self._kind, self._namespace):
                if self._selected(obj):
                    self._queue.append({"type": "ADDED", "object": obj})
            self.bookmark(_INITIAL_END)
        elif version:
            for change in self._store.since(version, self._kind):
                self._change(change)

    async def run(self, headers: Mapping[str, str], *, second: float) -> None:
        """Stream until the time is up or an end was ordered; `second` is a second of loop time."""
        asked = self._options.timeout_seconds or DEFAULT_TIMEOUT_SECONDS
        loop = asyncio.get_running_loop()
        deadline = loop.time() + asked * second
        begun, place = self._store.version, deadline - BOOKMARK_SECONDS * second
        if asked > BOOKMARK_SECONDS:
            # Not to whoever began where the store still is.
            loop.call_at(place, self._bookmark_after, begun)
        self._store.listeners.add(self._change)
        try:
            await self._wire.begin(200, headers)
            while await self._drain() and loop.time() < deadline:
                await self._wire.wait(deadline - loop.time())
        finally:
            self._store.listeners.discard(self._change)
        await self._wire.finish()

    def bookmark(self, annotations: Mapping[str, str] | None = None) -> None:
        """Send a bookmark, if this watch asked for them."""
        if self._options.bookmarks:
            meta: Json = {"resourceVersion": str(self._store.version)}
            meta |= {"annotations": dict(annotations)} if annotations else {}
            mark: Json = {"kind": self._kind.kind, "apiVersion": self._kind.api_version}
            mark["metadata"] = meta
            if self._kind is PODS:
                mark |= {"spec": {"containers": None}, "status": {}}
            if self._kind is LEASES:
                mark |= {"spec": {}}
            self._push({"type": "BOOKMARK", "object": mark})

    def _bookmark_after(self, version: int) -> None:
        if version < self._store.version:
            self.bookmark()

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
            try:
                event |= {"object": self._form.of(event["object"])}
            except ApiError:
                return False  # what one event cannot be is told by the end of all
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


def _place(obj: Json) -> tuple[str, str]:
    meta = obj["metadata"]
    return meta.get("namespace", ""), meta["name"]


def _selection(kind: Kind, call: Call) -> Matches:
    labels = label_matches(call.query.get("labelSelector", ""))
    fields = field_matches(call.query.get("fieldSelector", ""), kind)
    return lambda obj: labels(obj) and fields(obj)
