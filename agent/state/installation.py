"""The installation object: the random id, chosen once and kept apart from State.

Losing State must not look like a new installation; deleting this object is how an operator
rotates the id.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

import orjson
from attrs import define

from agent.state.document import MAX_SECOND
from agent.state.store import Conflict, StateError
from agent.withholding import Withholding

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from agent.state.store import Store
    from agent.withholding import Series


@define
class Installation:
    """Who this installation is, and when the agent was first started for it.

    `commits` is how often State is known to have been written: one that says less is an older copy.
    Without any, a first start was cut short, and nothing is lost if there is no State.
    `withholding` says which series are acknowledged; None if nobody noted it.
    """

    id: str
    first_start_seconds: int
    commits: int = 0
    is_new: bool = False
    withholding: Withholding | None = None


async def load_installation(
    store: Store,
    *,
    choose_id: Callable[[], Awaitable[str]],
    now_seconds: int,
    withholding: Withholding | None = None,
) -> Installation:
    """Read the object, or choose an id and keep it, and `withholding`. Raises `StateError`."""
    for _attempt in range(3):
        stored = await store.load()
        if stored.data is not None:
            return _decode(stored.data, store.where)
        chosen = Installation(await choose_id(), now_seconds, is_new=True, withholding=withholding)
        try:
            await store.save(_encode(chosen), stored.version)
        except Conflict:
            continue  # another replica chose first: its id is the one
        return chosen
    what = f"{store.where} keeps changing"
    raise StateError(what)


async def note(store: Store, *, commits: int, withholding: Withholding) -> None:
    """Keep how often State was written, and what is acknowledged. Raises `StateError`."""
    stored = await store.load()
    if stored.data is None:
        return
    known = _decode(stored.data, store.where)
    if known.commits < commits or known.withholding != withholding:
        known.commits = max(known.commits, commits)
        known.withholding = withholding
        await store.save(_encode(known), stored.version)


def _encode(installation: Installation) -> bytes:
    said: dict[str, Any] = {
        "version": 1,
        "id": installation.id,
        "first_start_seconds": installation.first_start_seconds,
        "commits": installation.commits,
    }
    held = installation.withholding
    if held is not None:
        said["acknowledged"] = _series_out(held.acknowledged)
        said["withheld"] = _series_out(held.withheld)
        said["withheld_until_seconds"] = held.until_seconds
    return orjson.dumps(said)


def _decode(data: bytes, where: str) -> Installation:
    try:
        found = orjson.loads(data)
        # An object of an older release does not say how often: State was there.
        commits = _whole(found.get("commits", 1))
        held = None
        if "acknowledged" in found:
            held = Withholding(
                _series_in(found["acknowledged"]),
                _series_in(found["withheld"]),
                _whole(found["withheld_until_seconds"]),
            )
        return Installation(
            str(UUID(found["id"])), _whole(found["first_start_seconds"]), commits, withholding=held
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        what = f"{where} holds no installation; delete its data to begin with a new id"
        raise StateError(what) from error


def _whole(found: object) -> int:
    if type(found) is not int or not 0 <= found < MAX_SECOND:
        raise ValueError
    return found


def _series_out(series: Iterable[Series]) -> dict[str, dict[str, list[str]]]:
    """Write series as a person would list them: event, property, values."""
    said: dict[str, dict[str, list[str]]] = {}
    for event, name, value in sorted(series):
        said.setdefault(event, {}).setdefault(name, []).append(value)
    return said


def _series_in(found: dict[str, dict[str, list[str]]]) -> frozenset[Series]:
    return frozenset(
        (event, name, str(value))
        for event, properties in found.items()
        for name, values in properties.items()
        for value in values
    )
