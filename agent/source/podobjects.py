"""One pod as the API server shows it now, asked for by its name.

Owns that a missing right to do so is said once of each namespace, and how long an outage is waited
out. Must not know what is followed, nor what an answer means for it.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import TYPE_CHECKING, TypeVar

from attrs import define, field

from agent.source.api import ApiError
from agent.source.discovery import pause_seconds, read_pod

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from random import Random

    from agent.source.api import Client
    from agent.source.discovery import Pod

T = TypeVar("T")


@define(eq=False)
class PodObjects:
    """The pods of the cluster; of their containers those with these names are told."""

    client: Client
    names: frozenset[str]
    missing: Callable[[str, str], None]
    _refused_in: set[str] = field(factory=set)

    async def get(self, namespace: str, name: str) -> Pod:
        """Return a pod as it is now. Raises `ApiError`."""
        path = f"/api/v1/namespaces/{namespace}/pods/{name}"
        try:
            return read_pod(await self.client.get(path), self.names)
        except ApiError as error:
            if error.status == HTTPStatus.FORBIDDEN and namespace not in self._refused_in:
                self._refused_in.add(namespace)
                trait = f"whose log it is after a restart in namespace {namespace}"
                self.missing(trait, "get pods")
            raise

    async def stays(self, pod: Pod) -> bool:
        """Whether a pod is there, and not about to go. Raises `ApiError`."""
        try:
            found = await self.get(pod.namespace, pod.name)
        except ApiError as error:
            if error.status == HTTPStatus.NOT_FOUND:
                return False
            raise
        return found.uid == pod.uid and not found.is_deleting


async def until_answered(
    question: Callable[[], Awaitable[T]],
    *,
    is_open: Callable[[], bool],
    monotonic: Callable[[], float],
    random: Random,
    pause: float,
    limit_seconds: float,
) -> T | None:
    """Ask while the question is open; None if that is over or nobody has answered in time.

    A 403 is an outage, too: an API server that has just started may not have loaded the rights yet.
    """
    began, failures = monotonic(), 0
    while is_open():
        try:
            return await question()
        except ApiError as error:
            failures += 1
            if monotonic() - began > limit_seconds:
                return None
            await asyncio.sleep(pause_seconds(failures, error, random, base=pause))
    return None
