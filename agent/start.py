"""From where counting starts, with State as it was found: one word, decided in one place.

Owns what a first start is, and whether there is anything to miss. Must not know where State is
kept, nor what follows from the word. Pure.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agent.state.installation import Installation

FIRST_START_SECONDS = 600
"""For so long after it an installation of which no State is known was cut short, not robbed."""

JUST_STARTED_SECONDS = 5
"""So soon after a replica has begun to wait, the first lines of its pod may be stamped before that
by the clock of another."""


class Start(Enum):
    """From where counting starts."""

    GOES_ON = "goes_on"
    """From the Cursors: what is there goes on."""
    FROM_HEAD = "from_head"
    """From the head of what the kubelet serves: nothing was ever counted."""
    SINCE_WAITING = "since_waiting"
    """From when this replica began to wait: before it, nobody knows in which mode it was written;
    a pod that came after it has nothing to miss."""
    STATE_LOST = "state_lost"
    """From now, with a gap: something was counted before, or may have been, and is not known."""


def start_of(
    *,
    is_lost: bool,
    is_fresh: bool,
    was_written: bool,
    is_first: bool,
    waited_seconds: float | None,
) -> Start:
    """Decide from where counting starts.

    `is_lost` is whether State was known and cannot be gone on with, `is_fresh` whether nobody's
    counting goes on in it, `was_written` whether it ever was; `is_first` is whether this is the
    installation's first start, and `waited_seconds` how long a replica has waited on a node where
    no pod was, None if one was there before it, or where there are no slots.
    """
    if is_lost:
        return Start.STATE_LOST
    if not is_fresh:
        return Start.GOES_ON
    if is_first and not was_written:
        return Start.FROM_HEAD
    if waited_seconds is None or waited_seconds <= JUST_STARTED_SECONDS:
        return Start.STATE_LOST
    return Start.SINCE_WAITING


def is_first_start(
    installation: Installation, *, has_slots: bool, sends: bool, now_seconds: int
) -> bool:
    """Whether nothing was ever counted for an installation, but by replicas that begin with it.

    A first start that was cut short is begun again, and the slots of other nodes begin with the
    first one's; but what was written in another mode, or before the mode was `on`, is never sent.
    """
    if installation.is_new:
        return installation.sends is None
    is_soon = now_seconds - installation.first_start_seconds <= FIRST_START_SECONDS
    is_counted = installation.commits > 0 or (bool(installation.slots) and not has_slots)
    is_same_mode = installation.sends in {None, sends} and not installation.not_before
    return is_soon and not is_counted and is_same_mode
