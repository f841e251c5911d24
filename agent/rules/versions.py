"""BotKube's versions, as far as rules speak of them: a first and a last one.

Owns the list of versions, and the key `versions`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from agent.rules.nodes import Items, Node, Scalar
from agent.rules.places import nearest_name

if TYPE_CHECKING:
    from agent.rules.keys import Reader

VERSIONS = (*(f"v0.{minor}" for minor in range(8, 19)), *(f"v1.{minor}" for minor in range(15)))
FIRST, LAST = VERSIONS[0], VERSIONS[-1]
VERSION = r"v(\d+)\.(\d+)"

_ALL = "there are v0.8 to v0.18 and v1.0 to v1.14"
_MAJOR = re.compile(r"[vV]?\d{1,9}")
_NUMBERS = re.compile(r"[vV]?(\d{1,9})\.(\d{1,9})(?:\.|-|$)")


def read_versions(reader: Reader) -> tuple[str, str]:
    """Take the key `versions`; without it, or if it is wrong, a rule is for all of them."""
    node = reader.take("versions")
    if node is None:
        return FIRST, LAST
    items = node.items if isinstance(node, Items) else (node,)
    found = [_read_version(one, reader) for one in items]
    if None in found:
        return FIRST, LAST
    known = [one for one in found if one is not None]
    order = sorted(known, key=VERSIONS.index) or [FIRST]
    if len(known) != 2:  # noqa: PLR2004 first, last
        place = items[2].place if items[2:] else node.place
        last = order[-1] if known[1:] else LAST
        fix = f"write [{order[0]}, {last}]"
        reader.problems.add("versions", place, "versions are a first and a last one", fix)
        return FIRST, LAST
    if known != order:
        what = f"the last version, {known[1]}, is before the first, {known[0]}"
        fix = f"write [{order[0]}, {order[1]}]"
        reader.problems.add("versions", items[1].place, what, fix)
    return order[0], order[1]


def _read_version(node: Node, reader: Reader) -> str | None:
    text = node.text if isinstance(node, Scalar) else ""
    if text in VERSIONS:
        return text
    what = (
        f"{text!r} is no version of BotKube that is known here" if text else "a version is a text"
    )
    reader.problems.add("versions", node.place, what, _fix(text))
    return None


def _fix(text: str) -> str:
    found = _NUMBERS.match(f"{text}.0" if _MAJOR.fullmatch(text) else text)
    if found is None:
        near = nearest_name(text, VERSIONS)
        return f"did you mean {near}? {_ALL}" if near else f"write one as v1.2; {_ALL}"
    number = (int(found[1]), int(found[2]))
    meant = f"v{number[0]}.{number[1]}"
    if meant in VERSIONS:
        return f"write {meant}"
    before = [one for one in VERSIONS if tuple(map(int, one[1:].split("."))) < number]
    return f"did you mean {before[-1] if before else FIRST}? {_ALL}"


def between(first: str, last: str) -> tuple[str, ...]:
    """Return all versions from the first to the last."""
    return VERSIONS[VERSIONS.index(first) : VERSIONS.index(last) + 1]
