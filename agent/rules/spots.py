"""Where in a pattern stands what RE2 refuses: it says what it is, and seldom where.

Owns reading RE2's words for the place. Must not know how a fault is told.
"""

from __future__ import annotations

import re

CLASS = re.compile(r"\[\^?\]?(?:\[:\^?\w+:\]|\\.|[^\]\\])*\]", re.DOTALL)
_PART = re.compile(rf"\\Q.*?(?:\\E|$)|\\.|{CLASS.pattern}|.", re.DOTALL)
_NOTHING_BEFORE = frozenset({"", "(", "|"})


def spot(pattern: str, refusal: str) -> int:
    """Return the index of what RE2 refuses in a pattern; 0 if it does not tell."""
    what, _, named = refusal.partition(": ")
    parts = [(found.start(), found.group()) for found in _PART.finditer(pattern)]
    if what == r"trailing \ ".rstrip():
        return len(pattern) - 1
    if what in {"missing )", "unexpected )"}:
        return _parenthesis(parts)
    if "range" in what or "escape" in what:
        # It may stand in a class, and what looks like it outside is plain text.
        for at, part in parts:
            if part[0] == "[" and named in part:
                return at + part.index(named)
    before = ""
    for at, part in parts:
        is_it = not what.startswith("no argument") or before in _NOTHING_BEFORE
        if named and is_it and pattern.startswith(named, at):
            return at
        before = part
    return max(0, pattern.find(named))


def _parenthesis(parts: list[tuple[int, str]]) -> int:
    """Return where a parenthesis stands that has no other one."""
    opened: list[int] = []
    for at, part in parts:
        if part == "(":
            opened.append(at)
        elif part == ")" and not opened:
            return at
        elif part == ")":
            opened.pop()
    return opened[-1] if opened else 0
