"""The settings that decide how much the same counts tell, and to whom; what is new in others. Pure.

Owns which way each of them tells more. Must not know where they were set.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attrs import frozen

from agent.disclosure import New

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

SETTINGS = "settings"
"""What stands in place of an event."""
CLUSTER_IDS = ("none", "uuid5", "raw")
"""The one that tells least first."""


@frozen
class Terms:
    """The settings in force; of the destination only which server it is."""

    cluster_id: str
    window_seconds: int
    minimum: int
    destination: str

    @property
    def data(self) -> dict[str, str | int]:
        """The values by the names of their settings, as a plan keeps them."""
        return {
            "identity.cluster_id": self.cluster_id,
            "window.seconds": self.window_seconds,
            "privacy.minimum": self.minimum,
            "destination": self.destination,
        }


def read_terms(data: Mapping[str, Any]) -> Terms:
    """Return what a plan has kept. Raises `KeyError` or `ValueError` for what is none."""
    found = Terms(
        data["identity.cluster_id"],
        data["window.seconds"],
        data["privacy.minimum"],
        data["destination"],
    )
    numbers = (found.window_seconds, found.minimum)
    if found.cluster_id not in CLUSTER_IDS or {type(one) for one in numbers} != {int}:
        raise ValueError
    return found


def newly_told(old: Terms, new: Terms) -> Iterator[New]:
    """Return each setting that tells more, or somebody else, than it did."""
    tells_more = (
        CLUSTER_IDS.index(new.cluster_id) > CLUSTER_IDS.index(old.cluster_id),
        new.window_seconds < old.window_seconds,
        # A count is at least 1, so a minimum of 1 raises none.
        max(new.minimum, 1) < max(old.minimum, 1),
        new.destination != old.destination,
    )
    for (name, before), now, is_more in zip(
        old.data.items(), new.data.values(), tells_more, strict=True
    ):
        if is_more:
            yield New(SETTINGS, name, f"{before} before, now {now}")
