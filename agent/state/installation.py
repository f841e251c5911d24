"""The installation object: the random id, chosen once and kept apart from State.

Losing State must not look like a new installation; deleting this object is how an operator
rotates the id.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

import orjson
from attrs import define

from agent.state.store import Conflict, StateError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from agent.state.store import Store


@define
class Installation:
    """Who this installation is, and when the agent was first started for it."""

    id: str
    first_start_seconds: int
    is_new: bool = False


async def load_installation(
    store: Store, *, choose_id: Callable[[], Awaitable[str]], now_seconds: int
) -> Installation:
    """Read the object, or choose an id and keep it. Raises `StateError`."""
    for _attempt in range(3):
        stored = await store.load()
        if stored.data is not None:
            return _decode(stored.data, store.where)
        chosen = Installation(await choose_id(), now_seconds, is_new=True)
        data = orjson.dumps(
            {"version": 1, "id": chosen.id, "first_start_seconds": chosen.first_start_seconds}
        )
        try:
            await store.save(data, stored.version)
        except Conflict:
            continue  # another replica chose first: its id is the one
        return chosen
    what = f"{store.where} keeps changing"
    raise StateError(what)


def _decode(data: bytes, where: str) -> Installation:
    try:
        found = orjson.loads(data)
        return Installation(str(UUID(found["id"])), int(found["first_start_seconds"]))
    except (KeyError, TypeError, ValueError) as error:
        what = f"{where} holds no installation; delete its data to begin with a new id"
        raise StateError(what) from error
