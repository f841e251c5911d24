"""The installation object: the random id, chosen once and kept apart from State.

Losing State must not look like a new installation; deleting this object is how an operator
rotates the id.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any
from uuid import UUID

import orjson
from attrs import define, field

from agent.state.document import MAX_SECOND
from agent.state.store import Absent, Conflict, StateError
from agent.withholding import Withholding

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from agent.state.store import Store
    from agent.withholding import Series


FORMAT_VERSION = 1
_ONLY_OFF = {"version": FORMAT_VERSION, "sends": False}
"""What stands there of an off that was seen before an id was chosen: while it says so, none is."""


class NewerInstallation(StateError):  # noqa: N818 says what it is
    """Written by a later release than this; it must not be overwritten by an older one."""


class NoInstallation(StateError):  # noqa: N818 says what it is
    """Something is kept there, and it is none."""


class NotWritten(StateError):  # noqa: N818 says what happened
    """It could be read and says that no off was missed, but nothing could be noted there."""


@define
class Installation:
    """Who this installation is, and when the agent was first started for it.

    `commits` is how often State is known to have been written: one that says less is an older copy.
    Without any, a first start was cut short, and nothing is lost if there is no State. `slots` says
    the same of each slot, by its name. `sends` is whether the mode was `on` at the last start.
    `is_off` is whether an off was noted that no start has taken back, `off_noted` when the last one
    was, which tells it from others, and `not_before` since when none stands and the mode is what it
    is.
    `withholding` says which series are acknowledged; None if nobody noted it.
    """

    id: str
    first_start_seconds: int
    commits: int = 0
    is_new: bool = False
    withholding: Withholding | None = None
    slots: dict[str, int] = field(factory=dict)
    sends: bool | None = None
    is_off: bool = False
    off_noted: int = 0
    not_before: int = 0

    def commits_of(self, slot: str) -> int:
        """How often a slot is known to have been written; without a name it is the only State."""
        return self.slots.get(slot, 0) if slot else self.commits

    def misses(self, later: Installation) -> bool:
        """Whether who went by this has missed an off that was noted, and maybe is over, since."""
        return self.off_noted != later.off_noted or (later.is_off and not self.is_off)


async def load_installation(
    store: Store,
    *,
    choose_id: Callable[[], Awaitable[str]],
    now_seconds: int,
    withholding: Withholding | None = None,
    was_off: Callable[[], Awaitable[bool]] | None = None,
) -> Installation:
    """Read the object, or choose an id and keep it, and `withholding`. Raises `StateError`.

    `was_off` says whether a switch said off before there was an installation.
    """
    for _attempt in range(3):
        stored = await store.load()
        known = _decode_chosen(stored.data, store.where)
        if known is not None:
            return known
        chosen = Installation(await choose_id(), now_seconds, is_new=True, withholding=withholding)
        if _is_only_off(stored.data) or (was_off is not None and await was_off()):
            chosen.sends, chosen.is_off, chosen.off_noted = False, True, now_seconds
        try:
            await store.save(_encode(chosen), stored.version)
        except Conflict:
            continue  # another replica chose first: its id is the one
        return chosen
    what = f"{store.where} keeps changing"
    raise StateError(what)


async def read_installation(store: Store) -> tuple[Installation | None, bool]:
    """Read the object and choose nothing; return what it says, and whether the object is there.

    Raises `StateError`.
    """
    stored = await store.load()
    return _decode_chosen(stored.data, store.where), bool(stored.version)


async def note(
    store: Store,
    *,
    slot: str,
    commits: int,
    withholding: Withholding,
    sends: bool,
    now_seconds: int,
    went_by: Installation,
    begins: bool = False,
) -> Installation | None:
    """Keep how often State was written, and what is acknowledged.

    Raises `NotWritten` where that is all that failed, else `StateError`: then nobody knows whether
    an off was missed. A beginning keeps the mode, too, and takes an off back. It is only done if
    `went_by`, the object that this process has obeyed, knew of every off that was noted. Return
    what is to be gone by from now on; None if an off was missed: then nothing is changed.
    """
    for _attempt in range(3):
        try:
            stored = await store.load()
        except Absent:
            return went_by  # deleted, and with it whatever was noted
        known = _decode_chosen(stored.data, store.where)
        if known is None:
            return None if _is_only_off(stored.data) else went_by
        if went_by.misses(known):
            return None
        says, is_off = (sends, False) if begins else (known.sends, known.is_off)
        before, was = known.commits_of(slot), (known.withholding, known.sends, known.is_off)
        if before >= commits and was == (withholding, says, is_off):
            return known
        if slot:
            known.slots[slot] = max(before, commits)
        else:
            known.commits = max(before, commits)
        if (known.is_off and not is_off) or (known.sends is False and says):
            known.not_before = now_seconds + 1
        known.withholding, known.sends, known.is_off = withholding, says, is_off
        try:
            await store.save(_encode(known), stored.version)
        except Conflict:
            continue  # the owner of another slot was faster
        except StateError as error:
            raise NotWritten(str(error)) from error
        return known
    what = f"{store.where} keeps changing"
    raise NotWritten(what)


async def note_off(store: Store, *, now_seconds: int, noted: int | None = None) -> int | None:
    """Keep that a switch said off, and return when that was noted. Raises `StateError`.

    With `noted`, the answer to an earlier call, None if it was taken back since then: then somebody
    has obeyed that off, and nothing is changed.
    """
    for _attempt in range(3):
        stored = await store.load()
        known = _decode_chosen(stored.data, store.where)
        if known is None:
            at = 0
        elif noted is not None and not (known.is_off and noted in {0, known.off_noted}):
            return None
        else:
            # Also by a clock that was set back it is another one than those before.
            at = known.off_noted if known.is_off else max(now_seconds, known.off_noted + 1)
        if _is_only_off(stored.data) or (known is not None and known.is_off):
            return at
        if known is not None:
            known.sends, known.is_off, known.off_noted = False, True, at
        with suppress(Conflict):  # another replica has found the switch, too, or its slot written
            data = orjson.dumps(_ONLY_OFF) if known is None else _encode(known)
            await store.save(data, stored.version)
            return at
    what = f"{store.where} keeps changing"
    raise StateError(what)


def _encode(installation: Installation) -> bytes:
    said: dict[str, Any] = {
        "version": FORMAT_VERSION,
        "id": installation.id,
        "first_start_seconds": installation.first_start_seconds,
        "commits": installation.commits,
    }
    if installation.sends is not None:
        said["sends"] = installation.sends
        said["is_off"] = installation.is_off
        said["off_noted"] = installation.off_noted
        said["not_before"] = installation.not_before
    if installation.slots:
        said["slots"] = installation.slots
    if installation.withholding is not None:
        said["series"] = _series_out(installation.withholding.sent_from)
    return orjson.dumps(said)


def _decode_chosen(data: bytes | None, where: str) -> Installation | None:
    """Return what an object says in which an id was chosen, None of another."""
    return None if data is None or _is_only_off(data) else _decode(data, where)


def _is_only_off(data: bytes | None) -> bool:
    """Whether an off alone is said, however somebody who edited it has put it."""
    try:
        return data is not None and bool(orjson.loads(data) == _ONLY_OFF)
    except orjson.JSONDecodeError:
        return False


def _decode(data: bytes, where: str) -> Installation:
    try:
        found = orjson.loads(data)
        version = _whole(found.get("version", 1))
        if version > FORMAT_VERSION:
            what = (
                f"{where} has format {version}, this agent reads up to {FORMAT_VERSION}; "
                "use the release that wrote it, or delete its data to begin with a new id"
            )
            raise NewerInstallation(what)
        if not version:
            raise ValueError  # noqa: TRY301 as for every other odd value
        # An object of an older release does not say how often: State was there.
        commits = _whole(found.get("commits", 1))
        held = Withholding(_series_in(found["series"])) if "series" in found else None
        sends = _flag_or_none(found.get("sends"))
        return Installation(
            str(UUID(found["id"])),
            _whole(found["first_start_seconds"]),
            commits,
            withholding=held,
            slots={name: _whole(count) for name, count in found.get("slots", {}).items()},
            sends=sends,
            # One of an older release does not say whether the mode was off or `local`.
            is_off=bool(_flag_or_none(found.get("is_off", sends is False))),
            off_noted=_whole(found.get("off_noted", 0)),
            not_before=_whole(found.get("not_before", 0)),
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        what = f"{where} holds no installation; delete its data to begin with a new id"
        raise NoInstallation(what) from error


def _flag_or_none(found: object) -> bool | None:
    if found is not None and not isinstance(found, bool):
        raise TypeError
    return found


def _whole(found: object) -> int:
    if type(found) is not int or not 0 <= found < MAX_SECOND:
        raise ValueError
    return found


def _series_out(series: Mapping[Series, int]) -> dict[str, dict[str, dict[str, list[str]]]]:
    """Write series as a person would list them: from when on, event, property, values."""
    said: dict[str, dict[str, dict[str, list[str]]]] = {}
    for (event, name, value), seconds in sorted(series.items()):
        said.setdefault(str(seconds), {}).setdefault(event, {}).setdefault(name, []).append(value)
    return said


def _series_in(found: dict[str, dict[str, dict[str, list[str]]]]) -> dict[Series, int]:
    return {
        (event, name, str(value)): _whole(int(seconds))
        for seconds, events in found.items()
        for event, properties in events.items()
        for name, values in properties.items()
        for value in values
    }
