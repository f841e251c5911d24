"""Where State and the installation stand: in files or ConfigMaps, as the options say.

Owns their names, which of several slots this node's is, and how long is waited for an answer. Must
not know what is in them.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

from attrs import frozen

from agent.slots import Node, choose_slot
from agent.source.discovery import Selection, find_nodes
from agent.state.configmap import ConfigMapStore
from agent.state.disk import FileStore
from agent.state.store import StateError

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from agent.options import Options
    from agent.source.api import Client
    from agent.state.installation import Installation
    from agent.state.store import Store, Stored

T = TypeVar("T")


@frozen
class InTime:
    """A store for whom an answer that is late is none."""

    store: Store
    load_seconds: float
    save_seconds: float

    @property
    def where(self) -> str:
        """Name the place for a person."""
        return self.store.where

    def close(self) -> None:
        """Let another process have the object at once."""
        self.store.close()

    async def load(self) -> Stored:
        """Read the object. Raises `StateError`."""
        return await self._in_time(self.store.load(), self.load_seconds)

    async def save(self, data: bytes, version: str) -> str:
        """Replace the object. Raises `Conflict` and `StateError`."""
        return await self._in_time(self.store.save(data, version), self.save_seconds)

    async def _in_time(self, asked: Awaitable[T], seconds: float) -> T:
        try:
            async with asyncio.timeout(seconds):
                return await asked
        except TimeoutError as error:
            what = f"no answer in time: {self.where}"
            raise StateError(what) from error


def stores_of(options: Options, client: Client) -> tuple[list[Store], Store]:
    """Return State, or its slots, and the installation object."""
    if options.state_path is not None:
        path = options.state_path
        installation = path.with_name(f"{path.stem}.installation.json")
        return [FileStore(path)], FileStore(installation, is_owner=False)
    name, namespace = options.state_name, options.state_namespace
    names = [f"{name}-{index}" for index in range(options.slots)] or [name]
    return (
        [ConfigMapStore(client, namespace, one) for one in names],
        ConfigMapStore(client, namespace, options.installation_name),
    )


async def find_store(
    options: Options,
    client: Client,
    stores: list[Store],
    installation: Installation,
    *,
    now_seconds: int,
) -> tuple[str, Store, Node | None]:
    """Return the slot to claim, its place and this node; without slots the one State."""
    if not options.slots:
        return "", stores[0], None
    node = Node(options.node or "", *await find_nodes(client, _everywhere(options)))
    known = [installation.commits_of(str(index)) for index in range(len(stores))]
    index = await choose_slot(stores, known, node, now_seconds=now_seconds)
    return str(index), stores[index], node


def _everywhere(options: Options) -> list[Selection]:
    """Return the selections of the pods of every node."""
    return [
        Selection(namespace, selector, options.containers)
        for namespace in options.namespaces
        for selector in options.selectors
    ]
