"""Which of several replicas works: one Lease that a single process holds and renews.

Owns when this process may act. The Lease spares the others the work and nothing more: two holders
at once are possible (a paused process, a stuck request), and then the compare-and-swap of State is
the fence. So nobody's wall clock is trusted: a standby measures with its own monotonic clock for
how long the Lease did not change, and the holder stops by its own, five seconds earlier.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NoReturn

from attrs import define, field, frozen

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from agent.state.configmap import Requester

log = logging.getLogger(__name__)

MAX_DURATION_SECONDS = 60
"""How long a silent Lease is respected at most, whatever stands in it."""

JITTER = 0.2
RELEASE_SECONDS = 1.5
"""The rest of the five seconds in which the agent must have ended."""


@frozen
class LeaseTimes:
    """The usual ones of Kubernetes' own components, in seconds.

    A standby takes over when the Lease has not changed for `duration`; the holder gives up when it
    could not renew for `renew`. Attempts are `retry` apart, less a little jitter, and each may take
    `attempt`.
    """

    duration: int = 15
    renew: float = 10.0
    retry: float = 2.0
    attempt: float = 3.0


class LeaseLost(Exception):  # noqa: N818 names what happened
    """This process may not act any more; the message says why."""


@define(eq=False)
class Lease:
    """One process's view of the Lease.

    `holder` is a random id; `monotonic` is the clock that decides, `wall` only fills in the times
    that people read.
    """

    client: Requester
    namespace: str
    name: str
    holder: str
    monotonic: Callable[[], float]
    wall: Callable[[], float]
    random: Random
    times: LeaseTimes
    _until: float | None = field(default=None, init=False)
    _may_be_ours: bool = field(default=False, init=False)
    _seen: dict[str, Any] | None = field(default=None, init=False)
    _free_at: float = field(default=0.0, init=False)
    _trouble: str = field(default="", init=False)

    @property
    def is_held(self) -> bool:
        """Whether this process may act at this moment."""
        return self._until is not None and self.monotonic() < self._until

    def check(self) -> None:
        """Raise `LeaseLost` unless this process may act at this moment."""
        if self._until is None:
            raise LeaseLost("another replica holds the lease")
        if not self.is_held:
            raise LeaseLost("the lease could not be renewed in time")

    async def acquire(self) -> None:
        """Wait until the Lease is this process's."""
        while True:
            await self._try()
            if self.is_held:
                return
            await self._pause(self._free_at)

    async def hold(self) -> NoReturn:
        """Renew the Lease until it is lost. Raises `LeaseLost`."""
        while True:
            await self._pause(self._until)
            self.check()
            await self._try()
            self.check()

    async def release(self) -> None:
        """Let another replica have the Lease at once; without an answer it has to run out."""
        if not self._may_be_ours:
            return
        self._until = None
        self._may_be_ours = False
        try:
            async with asyncio.timeout(RELEASE_SECONDS):
                found = await self.client.request("GET", self._path)
                spec = _spec(found)
                if spec.get("holderIdentity") == self.holder:
                    await self._put(found, spec | {"holderIdentity": "", "renewTime": self._now()})
        except Exception as error:  # noqa: BLE001 the process must end whatever the API does
            self._complain(error)

    async def _try(self) -> None:
        """Make one attempt to get or keep the Lease; a failure is said and left to the clock."""
        limit = self.times.attempt
        if self._until is not None:
            limit = min(limit, max(self._until - self.monotonic(), 0.0))
        try:
            async with asyncio.timeout(limit):
                await self._attempt()
        except Exception as error:  # noqa: BLE001 an error that escapes would orphan the holder
            self._complain(error)
        else:
            self._trouble = ""

    async def _attempt(self) -> None:
        # From before the request: the API server cannot have written earlier than this, and the
        # others see it later.
        began = self.monotonic()
        try:
            found = await self.client.request("GET", self._path)
        except Exception as error:
            if getattr(error, "status", None) != HTTPStatus.NOT_FOUND:
                raise
            self._may_be_ours = True
            await self._create()
        else:
            spec = _spec(found)
            if not self._may_take(spec):
                self._until = None
                self._may_be_ours = False
                return
            self._may_be_ours = True
            # Of two replicas that both saw it free, one is answered 409.
            await self._put(found, spec | self._claim(spec))
        self._until = began + self.times.renew

    def _may_take(self, spec: dict[str, Any]) -> bool:
        if spec.get("holderIdentity") in {None, "", self.holder}:
            return True
        now = self.monotonic()
        if spec != self._seen:
            self._seen = spec
            self._free_at = now + _duration(spec, self.times.duration)
        return now >= self._free_at

    def _claim(self, spec: dict[str, Any]) -> dict[str, Any]:
        claim = {
            "holderIdentity": self.holder,
            "leaseDurationSeconds": self.times.duration,
            "renewTime": self._now(),
        }
        if spec.get("holderIdentity") == self.holder:
            return claim
        transitions = spec.get("leaseTransitions") or 0
        return claim | {"acquireTime": self._now(), "leaseTransitions": transitions + 1}

    async def _put(self, found: dict[str, Any], spec: dict[str, Any]) -> None:
        # What was read goes back with its resourceVersion, labels and annotations.
        await self.client.request("PUT", self._path, body=found | {"spec": spec})

    async def _create(self) -> None:
        # The chart makes it, and no right to create is needed; this is for a bare manifest.
        body = {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": self.name, "namespace": self.namespace},
            "spec": self._claim({}),
        }
        await self.client.request("POST", self._path.rpartition("/")[0], body=body)

    async def _pause(self, end: float | None) -> None:
        wait = self.times.retry * self.random.uniform(1 - JITTER, 1)
        left = 0.0 if end is None else end - self.monotonic()
        await asyncio.sleep(min(wait, left) if left > 0 else wait)

    def _complain(self, error: Exception) -> None:
        status = getattr(error, "status", 0 if isinstance(error, TimeoutError) else None)
        if status == HTTPStatus.CONFLICT:
            return  # another replica was faster; the next attempt sees who
        why = _why(status)
        if why != self._trouble:
            where = f"Lease {self.namespace}/{self.name}"
            log.warning("lease cannot be used", extra={"where": where, "why": why})
        self._trouble = why

    def _now(self) -> str:
        return datetime.fromtimestamp(self.wall(), UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")

    @property
    def _path(self) -> str:
        return _path(self.namespace, self.name)


@frozen
class LeaseSeen:
    """What a Lease says to somebody who only looks: times are its holder's."""

    holder: str
    renewed_seconds: float | None
    duration_seconds: int


async def look(client: Requester, namespace: str, name: str) -> LeaseSeen:
    """Read a Lease without taking part. Raises what the client raises."""
    found = (await client.request("GET", _path(namespace, name))).get("spec")
    spec = found if isinstance(found, dict) else {}
    holder = spec.get("holderIdentity")
    try:
        time = datetime.fromisoformat(str(spec.get("renewTime")))
        at = None if time.tzinfo is None else time.timestamp()
    except (ValueError, OverflowError):
        at = None
    return LeaseSeen(
        holder if isinstance(holder, str) else "", at, _duration(spec, LeaseTimes().duration)
    )


def _why(status: int | None) -> str:
    """Say what stands in the way, and what to do about it; None is no answer of an API server."""
    match status:
        case HTTPStatus.FORBIDDEN:
            lacks = "the service account lacks `get` or `update` on this Lease"
            return f"{lacks}, or `create` where it is not there: allow it, or apply the manifest"
        case HTTPStatus.UNAUTHORIZED:
            return "the API server refuses the token: see whether the service account still exists"
        case HTTPStatus.NOT_FOUND:
            return "it was deleted, or its namespace is not there: apply the manifest that has it"
        case HTTPStatus.BAD_REQUEST | HTTPStatus.UNPROCESSABLE_ENTITY | None:
            odd = "what stands in this Lease cannot be used or written back"
            return f"{odd}: delete it, and apply the manifest that has it"
        case 0:
            return "the API server does not answer: check the way to it, as `doctor` does"
        case _:
            return f"the API server answers with status {status}: look at its own health"


def _path(namespace: str, name: str) -> str:
    return f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases/{name}"


def _spec(found: dict[str, Any]) -> dict[str, Any]:
    return found.get("spec") or {}


def _duration(spec: dict[str, Any], usual: int) -> int:
    """Return for how long its holder wants to be respected, within limits."""
    wanted = spec.get("leaseDurationSeconds")
    return min(max(wanted, usual), MAX_DURATION_SECONDS) if isinstance(wanted, int) else usual
