"""What a place for State must do, and how it fails."""

from __future__ import annotations

from typing import Protocol

from attrs import frozen


class StateError(Exception):
    """State cannot be read or written now; the message says where and what to do."""


class Conflict(StateError):  # noqa: N818 names what happened
    """Somebody else has written since: this process is fenced off."""


class Absent(StateError):  # noqa: N818 names what was found
    """The object is not there, and may not be made."""


@frozen
class Stored:
    """The bytes found, and the version that a replacement must name. `data` None: nothing there."""

    data: bytes | None
    version: str


class Store(Protocol):
    """One named object that is replaced atomically."""

    @property
    def where(self) -> str:
        """Name the place for a person."""

    def close(self) -> None:
        """Let another process have the object at once."""

    async def load(self) -> Stored:
        """Read the object. Raises `StateError`."""

    async def save(self, data: bytes, version: str) -> str:
        """Replace the object if it still has this version; return the new one.

        Raises `Conflict` if it has another, `StateError` if it is not known whether it was written.
        """
