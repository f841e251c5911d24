"""The settings that decide how much the same counts tell, when and to whom; what is new. Pure.

Owns which way each of them tells more. Must not know where they were set.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attrs import frozen

from agent.disclosure import New
from agent.modes import Mode

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

SETTINGS = "settings"
"""What stands in place of an event."""
QUIET = "privacy.quiet_period_seconds"
MODE = "mode"
CLUSTER_IDS = ("none", "uuid5", "raw")
MODES = (Mode.OFF, Mode.LOCAL, Mode.ON)
"""Of each the one that tells least first."""


@frozen
class Terms:
    """The settings in force; of the destination only which server it is.

    `quiet_seconds` and `mode` are None where an older plan does not say them; `mode` is by what is
    set for the agent itself, as no plan knows a cluster.
    """

    cluster_id: str
    window_seconds: int
    minimum: int
    destination: str
    quiet_seconds: int | None
    mode: str | None = None

    @property
    def data(self) -> dict[str, str | int | None]:
        """The values by the names of their settings, as a plan keeps them."""
        return {
            "identity.cluster_id": self.cluster_id,
            "window.seconds": self.window_seconds,
            "privacy.minimum": self.minimum,
            "destination": self.destination,
            QUIET: self.quiet_seconds,
            MODE: self.mode,
        }


def read_terms(data: Mapping[str, Any]) -> Terms:
    """Return what a plan has kept. Raises `ValueError` with the place of an odd value."""
    cluster_id, destination = data.get("identity.cluster_id"), data.get("destination")
    if not isinstance(cluster_id, str) or cluster_id not in CLUSTER_IDS:
        raise ValueError(f"{SETTINGS}.identity.cluster_id")
    if not isinstance(destination, str) or not destination.isprintable():
        raise ValueError(f"{SETTINGS}.destination")
    window = _number(data, "window.seconds", least=1)
    quiet = _number(data, QUIET, least=0) if QUIET in data else None
    mode = data.get(MODE)
    if MODE in data and mode not in MODES:
        raise ValueError(f"{SETTINGS}.{MODE}")
    return Terms(
        cluster_id,
        window,
        _number(data, "privacy.minimum", least=0),
        destination,
        quiet,
        mode,
    )


def _number(data: Mapping[str, Any], name: str, *, least: int) -> int:
    found = data.get(name)
    if type(found) is not int or found < least:
        raise ValueError(f"{SETTINGS}.{name}")
    return found


def newly_told(old: Terms, new: Terms) -> Iterator[New]:
    """Return each setting that tells more, or earlier, or somebody else, than it did."""
    tells_more = (
        CLUSTER_IDS.index(new.cluster_id) > CLUSTER_IDS.index(old.cluster_id),
        new.window_seconds < old.window_seconds,
        # A count is at least 1, so a minimum of 1 raises none.
        max(new.minimum, 1) < max(old.minimum, 1),
        new.destination != old.destination,
        # At a first start, and whenever the rules disclose more.
        _is_sooner(new.quiet_seconds, old.quiet_seconds),
        None not in {new.mode, old.mode} and MODES.index(new.mode) > MODES.index(old.mode),
    )
    for (name, before), now, is_more in zip(
        old.data.items(), new.data.values(), tells_more, strict=True
    ):
        if is_more:
            was = "not known" if before is None else before
            yield New(SETTINGS, name, f"{was} before, now {now}")


def _is_sooner(now: int | None, before: int | None) -> bool:
    """Whether a quiet period is shorter, or may be: none is less than any that is not known."""
    return not now if before is None else (now or 0) < before
