"""BotKube's versions, as far as rules speak of them: a first and a last one.

Owns the list of versions, and the key `versions`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.rules.nodes import Items

if TYPE_CHECKING:
    from agent.rules.keys import Reader

VERSIONS = (*(f"v0.{minor}" for minor in range(8, 19)), *(f"v1.{minor}" for minor in range(15)))
FIRST, LAST = VERSIONS[0], VERSIONS[-1]
VERSION = r"v(\d+)\.(\d+)"

_FIX = "write [v0.13, v0.18]; there are v0.8 to v0.18 and v1.0 to v1.14"


def read_versions(reader: Reader) -> tuple[str, str]:
    """Take the key `versions`; without it, or if it is wrong, a rule is for all of them."""
    found = [text for _, text in reader.placed_texts("versions")]
    node = reader.take("versions")
    if node is None or len(found) < len(node.items if isinstance(node, Items) else (node,)):
        return FIRST, LAST
    known = [VERSIONS.index(text) for text in found if text in VERSIONS]
    if len(found) != 2 or len(known) != 2 or known[0] > known[1]:  # noqa: PLR2004 first, last
        place = reader.place("versions")
        reader.problems.add("versions", place, "versions are a first and a last one", _FIX)
        return FIRST, LAST
    return found[0], found[1]


def between(first: str, last: str) -> tuple[str, ...]:
    """Return all versions from the first to the last."""
    return VERSIONS[VERSIONS.index(first) : VERSIONS.index(last) + 1]
