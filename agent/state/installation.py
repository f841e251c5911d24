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
    """Who this installation is, and when the agent was first started for it.

    `commits` is how often State is known to have been written: one that says less is an older copy.
    Without any, a first start was cut short, and nothing is lost if there is no State.
    """

    id: str
    first_start_seconds: int
    commits: int = 0
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
        try:
            await store.save(_encode(chosen), stored.version)
        except Conflict:
            continue  # another replica chose first: its id is the one
        return chosen
    what = f"{store.where} keeps changing"
    raise StateError(what)


async def note_commits(store: Store, commits: int) -> None:
    """Keep how often State was written, at a start and an orderly stop. Raises `StateError`."""
    stored = await store.load()
    if stored.data is None:
        return
    known = _decode(stored.data, store.where)
    if known.commits < commits:
        known.commits = commits
        await store.save(_encode(known), stored.version)


def _encode(installation: Installation) -> bytes:
    return orjson.dumps(
        {
            "version": 1,
            "id": installation.id,
            "first_start_seconds": installation.first_start_seconds,
            "commits": installation.commits,
        }
    )


def _decode(data: bytes, where: str) -> Installation:
    try:
        found = orjson.loads(data)
        # An object of an older release does not say how often: State was there.
        commits = int(found.get("commits", 1))
        return Installation(str(UUID(found["id"])), int(found["first_start_seconds"]), commits)
    except (KeyError, TypeError, ValueError) as error:
        what = f"{where} holds no installation; delete its data to begin with a new id"
        raise StateError(what) from error
