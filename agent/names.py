"""Names as a warehouse takes them: what may be a property or an event, and which are taken.

Owns the rules of names that Segment and the warehouses behind it have. Rules are held to them when
they compile, and `sink.batch` before it seals: a wrong name costs the whole event. Pure.
"""

from __future__ import annotations

import re
from functools import lru_cache

MAX_NAME_CHARS = 63
"""A property becomes a column, and PostgreSQL cuts longer names."""
MAX_TEXT_CHARS = 512
"""Warehouses cut longer strings."""
MAX_NUMBER = 2**53
"""Beyond it JSON readers that know only floats lose digits."""

# Properties of these names are discarded by a warehouse (Segment, "Warehouse Schemas").
RESERVED = frozenset(
    {
        "anonymous_id",
        "event",
        "event_text",
        "group_id",
        "id",
        "loaded_at",
        "original_timestamp",
        "received_at",
        "sent_at",
        "timestamp",
        "user_id",
        "uuid",
        "uuid_ts",
    }
)
# Each event has a table of its own name beside these (the same page).
TABLES = frozenset(
    {"accounts", "aliases", "groups", "identifies", "pages", "screens", "tracks", "users"}
)
ADDED = frozenset(
    {"botkube_version", "count", "count_floor", "seq", "stream", "window_end", "window_start"}
)
"""What `sink.batch` adds to every event that is counted."""

_NAME = re.compile(rf"[A-Za-z][A-Za-z0-9_]{{0,{MAX_NAME_CHARS - 1}}}")


@lru_cache(maxsize=512)  # the same names come with every event
def snake(name: str) -> str:
    """Return a name as a property name: `Event handled` -> `event_handled`."""
    spaced = "".join(
        f"_{char.lower()}" if char.isupper() else char for char in name.replace(" ", "_")
    )
    return spaced.lstrip("_").replace("__", "_")


@lru_cache(maxsize=512)
def check_name(name: str) -> str | None:
    """Return what keeps a name from being that of a property, in one word."""
    if not _NAME.fullmatch(name):
        return "name"
    # Warehouses turn names to snake case before they compare.
    if not RESERVED.isdisjoint({name.lower(), snake(name)}):
        return "reserved"
    if snake(name).startswith("context_"):
        return "reserved"
    return None
