"""A thin client of the Kubernetes API: credentials, sessions, statuses; JSON in and out.

Owns the connection and its errors. Must not know what a pod is. Credentials come from
kubernetes_asyncio's configuration loader; requests go through aiohttp directly, because the
generated client has no `sinceTime`, skips the status check of streams and sets no time limits
(kubernetes/kubernetes#108498, tomplus/kubernetes_asyncio#402).
"""

from __future__ import annotations

import asyncio
import importlib.util
import io
import logging
import math
import re
import ssl
import sys
import threading
from contextlib import asynccontextmanager, suppress
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Self

import aiohttp
import orjson
from attrs import define, field, frozen

from agent.hosts import is_base_url
from agent.source.gathering import shrink_tls_buffers

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

log = logging.getLogger(__name__)

JSON = "application/json"

CONTROL_SECONDS = 20
CONNECT_SECONDS = 10
CREDENTIALS_SECONDS = 60
_NAMESPACE = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
READ_BUFFER_BYTES = 64 * 1024
MAX_ANSWER_BYTES = 32 << 20

_REASONS = frozenset(
    [
        "Unauthorized",
        "Forbidden",
        "NotFound",
        "AlreadyExists",
        "Conflict",
        "Gone",
        "Expired",
        "Invalid",
        "BadRequest",
        "Timeout",
        "ServerTimeout",
        "StoreReadError",
        "TooManyRequests",
        "MethodNotAllowed",
        "NotAcceptable",
        "InternalError",
        "RequestEntityTooLarge",
        "UnsupportedMediaType",
        "ServiceUnavailable",
    ]
)
"""Those of metav1.StatusReason; an extension of the API may say anything, names among it."""


class ApiError(Exception):
    """The API server answered with an error, or not at all (`status` 0).

    `date_seconds` is the time by the server's clock, if its answer tells it.
    """

    def __init__(
        self,
        status: int,
        reason: str,
        *,
        retry_after_seconds: float | None = None,
        date_seconds: float | None = None,
    ) -> None:
        super().__init__(f"{status} {reason}")
        self.status = status
        self.reason = reason
        self.retry_after_seconds = retry_after_seconds
        self.date_seconds = date_seconds


class NoCluster(Exception):  # noqa: N818 a state of affairs, not a fault of the API
    """There is neither a service account nor a usable kubeconfig."""


@frozen
class Access:
    """How to reach a cluster: kubeconfig path and context, or neither for the defaults."""

    kubeconfig: str | None = None
    context: str | None = None


@frozen
class _Call:
    """One request, so that it can be sent again."""

    method: str
    path: str
    params: Mapping[str, str] | None
    limits: aiohttp.ClientTimeout
    accept: str
    data: bytes | None = None
    content_type: str = JSON


@define
class Client:
    """One cluster's API. Use as an async context manager; log streams have a session of their own.

    A slow or stuck stream must never keep a commit or a lease waiting for a connection.
    """

    access: Access
    user_agent: str
    max_streams: int = 1000
    _configuration: Any = field(default=None, init=False)
    _control: aiohttp.ClientSession | None = field(default=None, init=False)
    _streams: aiohttp.ClientSession | None = field(default=None, init=False)

    async def __aenter__(self) -> Self:
        self._configuration = await _load_in_thread(self.access)
        tls = await asyncio.to_thread(_tls_context, self._configuration)
        shrink_tls_buffers()
        self._control = self._session(tls=tls, limit=50)
        self._streams = self._session(tls=tls, limit=self.max_streams)
        return self

    async def __aexit__(self, *_exc: object) -> None:
        try:
            if self._control is not None:
                await self._control.close()
        finally:
            # Even if the wait above is cancelled, as when a lease is lost just then.
            if self._streams is not None:
                await self._streams.close()

    async def get(
        self, path: str, params: Mapping[str, str] | None = None, *, accept: str = JSON
    ) -> dict[str, Any]:
        """GET a JSON object. Raises `ApiError`."""
        return await self.request("GET", path, params=params, accept=accept)

    async def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: object = None,
        content_type: str = JSON,
        accept: str = JSON,
    ) -> dict[str, Any]:
        """Send one request and return the object; 401 is tried once more. Raises `ApiError`."""
        limits = aiohttp.ClientTimeout(total=CONTROL_SECONDS, sock_connect=CONNECT_SECONDS)
        data = None if body is None else orjson.dumps(body)
        assert self._control is not None
        call = _Call(method, path, params, limits, accept, data, content_type)
        async with self._open(self._control, call) as response:
            answer = await _read_capped(response, MAX_ANSWER_BYTES)
            try:
                found = orjson.loads(answer)
            except orjson.JSONDecodeError as error:
                raise ApiError(0, "the answer is not JSON") from error
            return as_object(found)

    async def read_date(self, path: str) -> float | None:
        """GET a path and return the Date of the answer, in seconds. Raises `ApiError`."""
        limits = aiohttp.ClientTimeout(total=CONTROL_SECONDS, sock_connect=CONNECT_SECONDS)
        assert self._control is not None
        call = _Call("GET", path, None, limits, JSON)
        async with self._open(self._control, call) as response:
            return date_seconds(response.headers.get("Date", ""))

    @asynccontextmanager
    async def stream(
        self, path: str, params: Mapping[str, str], *, read_seconds: float, accept: str
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Open a long answer. `read_seconds` bounds each silence; the caller bounds its age."""
        limits = aiohttp.ClientTimeout(
            total=None, sock_connect=CONNECT_SECONDS, sock_read=read_seconds
        )
        assert self._streams is not None
        call = _Call("GET", path, params, limits, accept)
        async with self._open(self._streams, call) as response:
            yield response

    @asynccontextmanager
    async def _open(
        self, session: aiohttp.ClientSession, call: _Call
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        try:
            response = await self._send(session, call)
            if response.status == HTTPStatus.UNAUTHORIZED:
                # The token may have been rotated since it was read on disk.
                response.release()
                await self._reload_token()
                response = await self._send(session, call)
            async with response:
                await _raise_for_status(response)
                yield response
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise ApiError(0, type(error).__name__) from error

    async def _send(self, session: aiohttp.ClientSession, call: _Call) -> aiohttp.ClientResponse:
        headers = {"Accept": call.accept}
        if call.data is not None:
            headers["Content-Type"] = call.content_type
        try:
            token = await self._configuration.get_api_key_with_prefix("BearerToken")
        except Exception as error:  # reads a token anew, which fails in as many ways as the loader
            raise ApiError(0, "no credentials") from error
        if token:
            headers["Authorization"] = token
        try:
            return await session.request(
                call.method,
                self._configuration.host.rstrip("/") + call.path,
                params=call.params,
                headers=headers,
                # A file object, because aiohttp warns of large bodies given as bytes.
                data=None if call.data is None else io.BytesIO(call.data),
                timeout=call.limits,
                allow_redirects=False,
                proxy=self._configuration.proxy,
            )
        except ValueError as error:
            # A host, a proxy or a token that fits into no request; what it is stays unsaid.
            raise ApiError(0, type(error).__name__) from error

    async def _reload_token(self) -> None:
        try:
            fresh = await _load_in_thread(self.access)
        except NoCluster as error:
            raise ApiError(HTTPStatus.UNAUTHORIZED, "no credentials") from error
        self._configuration.api_key = fresh.api_key
        self._configuration.refresh_api_key_hook = fresh.refresh_api_key_hook

    def _session(self, *, tls: ssl.SSLContext | bool, limit: int) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=tls, limit=limit, ttl_dns_cache=300),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"User-Agent": self.user_agent},
            read_bufsize=READ_BUFFER_BYTES,
            auto_decompress=True,
        )


async def _load_in_thread(access: Access) -> Any:  # noqa: ANN401 kubernetes_asyncio is untyped
    """Load outside of our loop: it reads files, and its import alone takes half a second.

    A thread of its own that nobody waits for: a kubeconfig may run a program that hangs.
    """
    loop = asyncio.get_running_loop()
    loaded: asyncio.Future[Any] = loop.create_future()

    def finish(result: object, error: Exception | None) -> None:
        if not loaded.done():
            loaded.set_result(result) if error is None else loaded.set_exception(error)

    def work() -> None:
        result, error = None, None
        try:
            result = asyncio.run(_load_configuration(access))
        except Exception as raised:  # noqa: BLE001 given on to who waits
            error = raised
        with suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(finish, result, error)

    threading.Thread(target=work, name="credentials", daemon=True).start()
    try:
        async with asyncio.timeout(CREDENTIALS_SECONDS):
            return await loaded
    except TimeoutError as error:
        raise ApiError(0, "no credentials in time") from error


async def _load_configuration(access: Access) -> Any:  # noqa: ANN401 kubernetes_asyncio is untyped
    # Here because an agent that is off need not pay for it.
    config, configuration = load_credentials_code()
    try:
        if access.kubeconfig is None and access.context is None:
            try:
                config.load_incluster_config(client_configuration=configuration)
            except config.ConfigException:
                await config.load_kube_config(client_configuration=configuration)
        else:
            await config.load_kube_config(
                config_file=access.kubeconfig,
                context=access.context,
                client_configuration=configuration,
            )
    except Exception as error:  # the loader fails in many ways on a file that is not as it expects
        what = (
            "there is no service account here and no usable kubeconfig; "
            "check kubernetes.kubeconfig and kubernetes.context"
        )
        raise NoCluster(what) from error
    if not is_base_url(str(configuration.host)):
        what = "the kubeconfig names no server that can be asked; write `server: https://...`"
        raise NoCluster(what)
    return configuration


def context_namespace(access: Access) -> str:
    """Return the namespace that the kubeconfig's context names; empty if it names none."""
    config, _ = load_credentials_code()
    try:
        contexts, current = config.list_kube_config_contexts(access.kubeconfig)
        chosen = [one for one in contexts if one["name"] == access.context] or [current]
        found = str(chosen[0]["context"].get("namespace"))
    except Exception:  # noqa: BLE001 as above; that there is no cluster is said by who asks it
        return ""
    return found if found != "None" and _NAMESPACE.fullmatch(found) else ""


def load_credentials_code() -> tuple[Any, Any]:
    """Import what reads credentials; return it and an empty configuration.

    Not with the client that its packages' `__init__` modules import and that we never call: its 800
    modules are 36 MiB of memory in every agent and half a second of its start.
    """
    if "kubernetes_asyncio" not in sys.modules:
        for name in ("kubernetes_asyncio", "kubernetes_asyncio.client"):
            spec = importlib.util.find_spec(name)
            assert spec is not None
            # Made and not executed.
            sys.modules[name] = importlib.util.module_from_spec(spec)
        from kubernetes_asyncio.client import configuration  # noqa: PLC0415

        client: Any = sys.modules["kubernetes_asyncio.client"]
        # ApiClient is taken by name and used for nothing that we ask for.
        client.Configuration, client.ApiClient = configuration.Configuration, None
    from kubernetes_asyncio import config  # noqa: PLC0415
    from kubernetes_asyncio.client import Configuration  # noqa: PLC0415

    return config, Configuration()


def date_seconds(text: str) -> float | None:
    """Return the time that a Date header says; None if it is none."""
    try:
        return parsedate_to_datetime(text).timestamp()
    except (ValueError, OverflowError):
        return None


def as_object(found: object) -> dict[str, Any]:
    """Return JSON that must be an object. Raises `ApiError`, as for no answer at all."""
    if not isinstance(found, dict):
        raise ApiError(0, "the answer has another shape")
    return found


def under(found: object, name: str) -> object:
    """Return what stands under a name, None where nothing does or what it would stand in is odd."""
    return found.get(name) if isinstance(found, dict) else None


def part(found: dict[str, Any], name: str) -> dict[str, Any]:
    """Return the object that stands in another under a name, empty if nothing does."""
    inner = found.get(name)
    return {} if inner is None else as_object(inner)


def items(found: dict[str, Any], name: str) -> list[Any]:
    """Return the list that stands in an object under a name, empty if nothing does."""
    items = found.get(name)
    if items is None:
        return []
    if not isinstance(items, list):
        raise ApiError(0, "the answer has another shape")
    return items


def reason_of(status: object, otherwise: str) -> str:
    """Return the one word by which a `Status` names its reason; other text may quote data."""
    said = status.get("reason") if isinstance(status, dict) else None
    return said if isinstance(said, str) and said in _REASONS else otherwise


def _tls_context(configuration: Any) -> ssl.SSLContext | bool:  # noqa: ANN401 kubernetes_asyncio is untyped
    if configuration.host.startswith("http://"):
        return True
    try:
        context = ssl.create_default_context(cafile=configuration.ssl_ca_cert)
        if configuration.cert_file:
            context.load_cert_chain(configuration.cert_file, configuration.key_file)
    except (OSError, ValueError) as error:
        what = "the kubeconfig's certificates cannot be used; check kubernetes.kubeconfig"
        raise NoCluster(what) from error
    # What Python 3.13 asks in addition, clusters' own authorities often lack (key identifiers on
    # EKS, key usage on microk8s): tomplus/kubernetes_asyncio#349, canonical/microk8s#5537.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if not configuration.verify_ssl:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


async def _raise_for_status(response: aiohttp.ClientResponse) -> None:
    if response.status < HTTPStatus.MULTIPLE_CHOICES:
        return
    reason = HTTPStatus(response.status).phrase if response.status in set(HTTPStatus) else ""
    with suppress(orjson.JSONDecodeError):
        reason = reason_of(orjson.loads(await _read_capped(response, 64 * 1024)), reason)
    raise ApiError(
        response.status,
        reason,
        retry_after_seconds=_wait_seconds(response.headers.get("Retry-After", "")),
        date_seconds=date_seconds(response.headers.get("Date", "")),
    )


def _wait_seconds(retry_after: str) -> float | None:
    try:
        wait = float(retry_after)
    except ValueError:
        return None
    # No comparison holds for what is no number, and no limit for what has none.
    return wait if math.isfinite(wait) else None


async def _read_capped(response: aiohttp.ClientResponse, most: int) -> bytes:
    parts = bytearray()
    async for chunk in response.content.iter_any():
        parts += chunk
        if len(parts) > most:
            raise ApiError(0, "answer too large")
    return bytes(parts)
