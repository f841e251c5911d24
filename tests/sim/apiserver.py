"""The simulated Kubernetes API: a real HTTP server on localhost.

Owns the way of a request from its path to the part that answers it: authentication and rights
(`access`, reviews of one's own rights among them), single objects (`crud`), lists and watches
(`watching`), pod logs (`podlogs`); faults come first. Written with aiohttp alone: kmock's emulator
serves neither versions, conflicts, selectors, bookmarks nor 410 (see `store`), and these are what a
watcher has to survive.

It is held against the real server by `tests/cluster/differential/`, which lists the deviations.
Not modelled: protobuf, tables, discovery, managedFields, server-side apply, finalizers,
priority and fairness, `stream=` of split log streams (off by default in 1.34).
"""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import re
import ssl
import time
import uuid
from collections.abc import AsyncIterator, Callable, Mapping
from email.utils import formatdate
from functools import partial

import attrs
from aiohttp import web
from multidict import CIMultiDict

from tests.sim import content, crud, podlogs, status, watching
from tests.sim.access import Access
from tests.sim.faults import Answer, Call, FaultPlan, Then
from tests.sim.kubelet import Habits, Kubelet
from tests.sim.negotiation import Form, negotiate, parse
from tests.sim.query import check_timeout
from tests.sim.routing import understand
from tests.sim.status import ApiError, Json, Kind
from tests.sim.store import DEPLOYMENTS, KINDS, NAMESPACES, PODS, REPLICASETS, REVIEWS, Store
from tests.sim.wire import Wire, cut_of, serve

# 2026-11-24T00:00:00Z: a fixed "now" for whoever does not care.
MIDNIGHT = 1_795_478_400_000_000_000

# The real server's limit for a request body.
_BODY_BYTES = 3 * 1024 * 1024

# The real server compresses what is longer, for whoever takes it.
_GZIP_BYTES = 128 * 1024

_WITH_STATUS = (PODS, NAMESPACES, DEPLOYMENTS, REPLICASETS)

# Elsewhere nothing is served, so that a path there is no missing resource.
_KNOWN_GROUP = re.compile(f"/api/.|/apis/({'|'.join({one.group for one in KINDS} - {''})})/")

_METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE"})

_NO_SNIFFING = {"X-Content-Type-Options": "nosniff"}


@attrs.frozen
class ApiOptions:
    """How this server differs from an ordinary one.

    `second` is the length of a second of `timeoutSeconds` in loop time; `now` is only asked for
    creation times and `sinceSeconds`. With `tls` it speaks TLS, by a certificate of the authority
    in that file.
    """

    git_version: str = "v1.34.4"
    piece_bytes: int = 8 * 1024
    second: float = 1.0
    gone_as_status: bool = False
    now: Callable[[], int] = lambda: MIDNIGHT
    habits: Habits = attrs.field(factory=Habits)
    tls: ssl.SSLContext | None = None
    authority: str = ""


class ApiServer:
    """The server with its controls; `calls` is every request in the order of arrival.

    `date` is its clock, in seconds, for the Date header.
    """

    def __init__(self, options: ApiOptions | None = None) -> None:
        self.options = options or ApiOptions()
        self.store = Store()
        self.kubelet = Kubelet(self.options.habits)
        self.faults = FaultPlan()
        self.access = Access()
        self.calls: list[Call] = []
        self.wires: list[Wire] = []
        self.watches: list[watching.Watch] = []
        self.url = ""
        self.date: Callable[[], float] = time.time
        self._closing = asyncio.Event()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[ApiServer]:
        """Listen on a free port of localhost, without waiting for anyone at the end."""
        app = web.Application(client_max_size=_BODY_BYTES)
        app.router.add_route("*", "/{path:.*}", self._receive)
        app.on_response_prepare.append(self._finish_headers)
        runner = web.AppRunner(
            app, handler_cancellation=True, access_log=None, shutdown_timeout=0.1
        )
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=self.options.tls)
        await site.start()
        scheme = "http" if self.options.tls is None else "https"
        self.url = f"{scheme}://127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield self
        finally:
            self._closing.set()
            self.order_streams("close")
            await runner.cleanup()
            # One more turn of the loop, in which the closed transports let go of their sockets.
            await asyncio.sleep(0)

    def kubeconfig(self, token: str = "") -> Json:
        """Return what a kubeconfig file for this server holds; JSON is YAML."""
        user = {"token": token} if token else {}
        cluster = {"server": self.url}
        if self.options.authority:
            cluster["certificate-authority"] = self.options.authority
        return {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "simulated",
            "clusters": [{"name": "simulated", "cluster": cluster}],
            "users": [{"name": "agent", "user": user}],
            "contexts": [
                {"name": "simulated", "context": {"cluster": "simulated", "user": "agent"}}
            ],
        }

    def order_streams(self, then: Then, *, path: str = "") -> int:
        """End every running stream whose path and query contain a text, and count them."""
        chosen = [wire for wire in self.wires if path in wire.path]
        for wire in chosen:
            wire.order(then)
        return len(chosen)

    def send_bookmarks(self) -> None:
        for watch in self.watches:
            watch.bookmark()

    def end_watches(self) -> None:
        """End all watches as their timeout would."""
        for watch in self.watches:
            watch.bookmark()
            watch.end()

    def expire_watches(self) -> None:
        """Forget all history and send 410 as an error event to the running watches."""
        self.store.compact()
        for watch in self.watches:
            watch.fail(status.expired_version(1, self.store.oldest))

    async def _receive(self, request: web.Request) -> web.StreamResponse:
        call, kind = understand(request)
        self.calls.append(call)
        fault = self.faults.take(call)
        wire = Wire(
            request,
            closing=self._closing,
            cut=cut_of(fault),
            piece_bytes=self.options.piece_bytes,
        )
        self.wires.append(wire)

        async def handler(wire: Wire) -> None:
            try:
                await self._answer(request, call, kind, wire)
            except ApiError as error:
                # What is refused before anything looked at it has a header more.
                is_early = error.code == 403 and not error.is_late
                extra = _NO_SNIFFING if is_early else _warned(error.warnings)
                await self._send(wire, error.code, error.body, extra)

        try:
            return await serve(wire, fault, handler, self._refuse)
        finally:
            self.wires.remove(wire)

    async def _answer(
        self, request: web.Request, call: Call, kind: Kind | None, wire: Wire
    ) -> None:
        is_log = call.subresource == "log" and kind is PODS
        if call.verb != "watch" and not is_log:
            check_timeout(call.query)
        user = self.access.user(request.headers.get("Authorization", ""))
        self.access.check(user, call, kind)
        accept = request.headers.get("Accept", "")
        if kind is None or not kind.kind:
            await self._answer_path(call, wire, accept)
            return
        is_status = call.subresource == "status" and kind in _WITH_STATUS and call.verb == "get"
        if call.subresource and not is_log and not is_status:
            raise status.no_resource()
        if request.method not in _METHODS or (is_log and request.method != "GET"):
            raise status.method_not_allowed()
        form = negotiate(accept, is_log=is_log, is_path=False, is_watch=call.verb == "watch")
        if is_log:
            form.check_log()
            now = self.options.now()
            wanted = podlogs.parse_request(call.name, call.query, now=now)
            pod = self.store.get(PODS, call.namespace, call.name)
            await podlogs.serve_log(self.kubelet, pod, wanted, wire, _headers("text/plain"))
        elif call.verb == "watch":
            await self._watch(kind, call, wire, form)
        else:
            body = crud.Body(await _read(request), request.headers.get("Content-Type", ""))
            try:
                done = self._object(kind, call, body, user)
            except ApiError as error:
                error.warnings = body.warnings
                raise
            await self._send(wire, done.code, form.of(done.obj), _warned(body.warnings))

    def _object(self, kind: Kind, call: Call, body: crud.Body, user: str) -> crud.Done:
        now = self.options.now()
        if kind is REVIEWS:
            # Answered and forgotten: there is nothing to get, list or watch.
            if call.name:
                raise status.no_resource()
            if call.verb != "create":
                raise status.method_not_allowed()
            asked, warnings = content.decode(kind, parse(body.data, body.content_type))
            body.warnings.extend(warnings)
            return crud.Done(201, self.access.review(user, asked))
        match call.verb:
            case "list":
                found = watching.list_objects(self.store, kind, call)
                return crud.Done(200, found)
            case "get":
                return crud.read(self.store, kind, call)
            case "create" if not call.name and bool(call.namespace) is kind.namespaced:
                return crud.create(self.store, kind, call, body, at=now)
            case "update" if call.name:
                create = attrs.evolve(call, verb="create")
                may_create = partial(self.access.check, user, create, kind)
                return crud.update(self.store, kind, call, body, may_create=may_create, at=now)
            case "patch" if call.name:
                return crud.patch(self.store, kind, call, body)
            case "delete" if call.name:
                return crud.delete(self.store, kind, call, body)
        raise status.method_not_allowed()

    async def _watch(self, kind: Kind, call: Call, wire: Wire, form: Form) -> None:
        watch = watching.Watch(self.store, kind, call, wire, form)
        try:
            watch.prepare()
        except ApiError as error:
            # The watch cache reports 410 inside the stream, other paths of the server as a status.
            if error.code != 410 or self.options.gone_as_status:
                raise
            watch.fail(error)
        self.watches.append(watch)
        try:
            await watch.run(_headers("application/json"), second=self.options.second)
        finally:
            self.watches.remove(watch)

    async def _answer_path(self, call: Call, wire: Wire, accept: str) -> None:
        if call.path.rstrip("/") == "/version":
            if call.method != "GET":
                raise status.method_not_allowed()
            negotiate(accept, is_log=False, is_path=True, is_watch=False)
            await self._send(wire, 200, _version_info(self.options.git_version))
        elif call.path in {"/healthz", "/livez", "/readyz"}:
            headers = {**_headers("text/plain; charset=utf-8"), **_NO_SNIFFING}
            await wire.answer(200, b"ok", headers)
        elif _KNOWN_GROUP.match(call.path):
            raise status.no_resource()
        else:
            headers = {**_headers("text/plain; charset=utf-8"), **_NO_SNIFFING}
            await wire.answer(404, b"404 page not found\n", headers)

    async def _finish_headers(self, _: web.Request, response: web.StreamResponse) -> None:
        # kube-apiserver does not name itself.
        response.headers.popall("Server", None)
        response.headers["Date"] = formatdate(self.date(), usegmt=True)

    async def _refuse(self, wire: Wire, fault: Answer) -> None:
        body = fault.body
        if body is None:
            body = status.of_code(fault.status, fault.retry_after).body
        retry = {} if fault.retry_after is None else {"Retry-After": str(fault.retry_after)}
        if isinstance(body, bytes):
            await wire.answer(fault.status, body, {**_headers("text/plain"), **retry})
        else:
            await self._send(wire, fault.status, dict(body), retry)

    async def _send(
        self, wire: Wire, code: int, obj: Json, extra: Mapping[str, str] | None = None
    ) -> None:
        body = json.dumps(obj, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"
        retry = (obj.get("details") or {}).get("retryAfterSeconds") if code >= 400 else None
        headers = CIMultiDict(_headers("application/json"))
        headers.extend(extra or {})
        if retry is not None:
            headers["Retry-After"] = str(retry)
        if len(body) > _GZIP_BYTES and wire.takes_gzip:
            body = gzip.compress(body, 1)
            headers["Content-Encoding"] = "gzip"
        await wire.answer(code, body, headers)


async def _read(request: web.Request) -> bytes:
    try:
        return await request.read()
    except web.HTTPRequestEntityTooLarge:
        raise status.too_large(_BODY_BYTES) from None


def _warned(warnings: list[str]) -> Mapping[str, str]:
    return CIMultiDict(("Warning", f"299 - {json.dumps(one)}") for one in warnings)


def _headers(content_type: str) -> dict[str, str]:
    return {
        "Audit-Id": str(uuid.uuid4()),
        "Cache-Control": "no-cache, private",
        "Content-Type": content_type,
    }


def _version_info(git_version: str) -> Json:
    major, minor, *_ = git_version.removeprefix("v").split(".")
    return {
        "major": major,
        "minor": minor,
        "emulationMajor": major,
        "emulationMinor": minor,
        "minCompatibilityMajor": major,
        "minCompatibilityMinor": str(int(minor) - 1),
        "gitVersion": git_version,
        "gitCommit": "0" * 40,
        "gitTreeState": "clean",
        "buildDate": "2026-02-10T12:00:00Z",
        "goVersion": "go1.24.12",
        "compiler": "gc",
        "platform": "linux/amd64",
    }
