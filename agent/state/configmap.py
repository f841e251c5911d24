"""State in a ConfigMap: compare-and-swap on its resourceVersion.

The object is created by the chart without data, so that no right to create is needed; where it is
missing (a bare manifest) one attempt to create it is made. The client is whatever can send a
request; its errors carry a `status`.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from http import HTTPStatus
from typing import Any, Protocol

from attrs import define, field

from agent.state.store import Absent, Conflict, StateError, Stored

MAX_OBJECT_BYTES = 1_000_000
KEY = "state"

_OTHERS = {"labels", "annotations", "ownerReferences", "finalizers"}
_OTHER_SHAPE = (AttributeError, LookupError, TypeError, ValueError)
"""What reading an answer raises that is JSON and no ConfigMap."""


class Requester(Protocol):
    """The part of an API client that is needed here."""

    async def request(self, method: str, path: str, *, body: object = None) -> Any:  # noqa: ANN401 JSON
        """Send one request and return the answer's JSON; failures are exceptions with `status`."""


@define
class ConfigMapStore:
    """One ConfigMap, named in the Role of the agent."""

    client: Requester
    namespace: str
    name: str
    is_owner: bool = True
    is_immutable: bool = field(default=False, init=False)
    _kept: dict[str, Any] = field(factory=dict, init=False)

    @property
    def where(self) -> str:
        """Namespace and name of the ConfigMap."""
        return f"ConfigMap {self.namespace}/{self.name}"

    @property
    def _path(self) -> str:
        return f"/api/v1/namespaces/{self.namespace}/configmaps"

    def close(self) -> None:
        """Hold nothing: the resourceVersion is the only fence."""

    async def load(self) -> Stored:
        """Read the object; its owner creates it empty if it is not there."""
        try:
            found = await self.client.request("GET", f"{self._path}/{self.name}")
        except Exception as error:
            status = _status(error)
            if status != HTTPStatus.NOT_FOUND:
                raise self._failed("read", "get", status) from error
            if not self.is_owner:
                return Stored(None, "")
            found = await self._create()
        try:
            metadata = found["metadata"]
            # What others wrote there is theirs; a PUT without it would take it away.
            kept = _OTHERS & metadata.keys()
            self._kept = {name: metadata[name] for name in kept}
            self.is_immutable = found.get("immutable") is True
            return _stored(found)
        except _OTHER_SHAPE as error:
            raise self._odd("read") from error

    async def save(self, data: bytes, version: str) -> str:
        """Replace the object's content if its resourceVersion is still `version`."""
        if len(data) > MAX_OBJECT_BYTES:
            what = f"State has {len(data)} bytes, too large for {self.where}"
            raise StateError(what)
        body = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {
                "name": self.name,
                "namespace": self.namespace,
                "resourceVersion": version,
                **self._kept,
            },
            "binaryData": {KEY: b64encode(data).decode()},
        }
        try:
            found = await self.client.request("PUT", f"{self._path}/{self.name}", body=body)
        except Exception as error:
            status = _status(error)
            if status == HTTPStatus.CONFLICT:
                what = f"{self.where} was changed by another process"
                raise Conflict(what) from error
            raise self._failed("write", "update", status) from error
        try:
            return str(found["metadata"]["resourceVersion"])
        except _OTHER_SHAPE as error:
            raise self._odd("write") from error

    async def _create(self) -> Any:  # noqa: ANN401 JSON
        body = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": self.name, "namespace": self.namespace},
        }
        try:
            return await self.client.request("POST", self._path, body=body)
        except Exception as error:
            if _status(error) == HTTPStatus.CONFLICT:  # another replica was faster
                return await self.client.request("GET", f"{self._path}/{self.name}")
            failed = self._failed("create", "create", _status(error))
            if _status(error) == HTTPStatus.FORBIDDEN:
                raise Absent(str(failed)) from error
            raise failed from error

    def _failed(self, doing: str, right: str, status: int) -> StateError:
        if status in {HTTPStatus.FORBIDDEN, HTTPStatus.UNAUTHORIZED}:
            return StateError(
                f"cannot {doing} {self.where}: the service account lacks `{right} configmaps`"
            )
        if status == HTTPStatus.UNPROCESSABLE_ENTITY and self.is_immutable:
            return StateError(f"cannot {doing} {self.where}: it is immutable; make it anew without")
        return StateError(f"cannot {doing} {self.where}: status {status}")

    def _odd(self, doing: str) -> StateError:
        return StateError(f"cannot {doing} {self.where}: the answer has another shape")


def _status(error: Exception) -> int:
    """Return the HTTP status of a failure; what has none is not a failure of the request."""
    status = getattr(error, "status", None)
    if status is None:
        raise error
    return int(status)


def _stored(found: Any) -> Stored:  # noqa: ANN401 JSON
    data = (found.get("binaryData") or {}).get(KEY)
    version = str(found["metadata"]["resourceVersion"])
    return Stored(None if data is None else b64decode(data), version)
