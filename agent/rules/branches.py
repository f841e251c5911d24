"""The alternatives of a pattern: which branches it has, and which of them a text took.

Owns cutting a pattern at its `|`. Each branch is put into a group of its own, so that the engine
itself says which one took part.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING

import re2
from attrs import define, field, frozen

from agent.rules.spots import CLASS
from agent.rules.words import options

if TYPE_CHECKING:
    from collections.abc import Iterable

_HEAD = re.compile(r"\((?:\?(?:P?<\w+>|[a-zA-Z-]*:))?")
_FLAGS = re.compile(r"\(\?[a-zA-Z-]+\)")
_GROUP = "branch_"


@frozen
class Branch:
    """One side of a `|`, and the whole of the alternation that it belongs to."""

    text: str
    whole: str


@frozen(eq=False)
class Branches:
    """A pattern's branches, and the same pattern with a group around each of them."""

    all: tuple[Branch, ...]
    _pattern: re2._Regexp

    def taken(self, text: bytes) -> Iterable[Branch]:
        """Return the branches that took part in the match at the start of a text."""
        found = self._pattern.match(text) if self.all else None
        for name, value in found.groupdict().items() if found is not None else ():
            if value is not None and name.startswith(_GROUP.encode()):
                yield self.all[int(name[len(_GROUP) :])]


@define
class _Open:
    """A group that is open while a pattern is read: where it begins, and where its `|` stand."""

    begin: int
    bars: list[int] = field(factory=list)


def branches_of(pattern: str) -> Branches:
    """Return the branches of every alternation in a pattern that RE2 has compiled."""
    found: list[Branch] = []
    # Branches end at a `|` or a parenthesis, so no two insertions meet but those of an empty one.
    inserts: dict[int, str] = {}
    for begin, bars, end in sorted(_alternations(pattern)):
        edges = [begin - 1, *bars, end]
        for left, right in pairwise(edges):
            inserts[left + 1] = f"(?P<{_GROUP}{len(found)}>"
            inserts[right] = inserts.get(right, "") + ")"
            found.append(Branch(pattern[left + 1 : right], pattern[begin:end]))
    marked = "".join(
        inserts.get(position, "") + pattern[position : position + 1]
        for position in range(len(pattern) + 1)
    )
    return Branches(tuple(found), re2.compile(marked.encode(), options=options()))


def _alternations(pattern: str) -> Iterable[tuple[int, tuple[int, ...], int]]:
    """Yield (begin, where its `|` stand, end) of every alternation."""
    stack = [_Open(0)]
    position = 0
    while position < len(pattern):
        char = pattern[position]
        width = 1
        if char == "\\":
            width = 2
        elif char == "[":
            width = len(found.group()) if (found := CLASS.match(pattern, position)) else 1
        elif char == "(":
            flags = _FLAGS.match(pattern, position)
            head = _HEAD.match(pattern, position)
            assert head is not None
            width = len((flags or head).group())
            if flags is None:
                stack.append(_Open(position + width))
            elif stack[-1].begin == position:
                # Flags hold for all branches of their group: they stay in front of the first.
                stack[-1].begin = position + width
        elif char == "|":
            stack[-1].bars.append(position)
        elif char == ")" and len(stack) > 1:
            group = stack.pop()
            if group.bars:
                yield group.begin, tuple(group.bars), position
        position += width
    if stack[0].bars:
        yield stack[0].begin, tuple(stack[0].bars), len(pattern)
