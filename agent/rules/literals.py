"""Literals: the plain texts by which the prefilter finds a rule's lines.

Owns what is plain text in a pattern, and the key `literals`. A literal that does not stand in each
line that the rule takes makes the rule blind, so what is doubtful is left out.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from agent.rules.spots import CLASS

if TYPE_CHECKING:
    from agent.rules.keys import Reader

MIN_LITERAL_BYTES = 5

_ESCAPE = re.compile(
    r"\\(?:x\{[^}]*\}|x[0-9A-Fa-f]{2}|[0-7]{1,3}|[pP](?:\{[^}]*\}|.)|Q.*?(?:\\E|$)|.)", re.DOTALL
)
_FLAGS = re.compile(r"\(\?[a-zA-Z]*(?:-[a-zA-Z]+)?\)")
_TIMES = re.compile(r"\{\d+(?:,\d*)?\}")
_PLAIN = frozenset(
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 !#$%'()*+,-./:;=?@[]^_`{|}~"
)


def read_literals(reader: Reader, pattern: str) -> tuple[bytes, ...]:
    """Take the key `literals`; without it, find one in the pattern of the message."""
    given = reader.placed_texts("literals")
    for place, text in given:
        if not text or longest_literal(re.escape(text)) != text.encode():
            reader.problems.add(
                "literal",
                place,
                f"{text!r} may be written in another way in a line",
                "a literal is plain ASCII without quotes, <, > and &",
            )
    if given:
        return tuple(text.encode() for _, text in given)
    found = longest_literal(pattern)
    if len(found) < MIN_LITERAL_BYTES:
        reader.problems.add(
            "literal",
            reader.place("message"),
            "no plain text of five characters stands in every match of this pattern",
            "give `literals: [...]`, one of which each matching line contains",
        )
    return (found,)


@lru_cache(maxsize=512)
def longest_literal(pattern: str) -> bytes:
    """Return the longest plain text that stands in every match of a pattern, or nothing.

    Only what stands outside groups, without a quantifier and with its case, counts, and only
    characters that all formats write as they are (JSON writes `<`, `>` and `&` as escapes, logfmt
    quotes).
    """
    runs: list[str] = [""]
    depth = position = 0
    is_folded = False
    while position < len(pattern):
        char = pattern[position]
        width = 1
        literal = ""
        if char == "\\":
            found = _ESCAPE.match(pattern, position)
            width = len(found.group()) if found else 1
            following = pattern[position + 1 : position + 2]
            literal = following if width == 2 and not following.isalnum() else ""  # noqa: PLR2004 \.
        elif char == "[":
            found = CLASS.match(pattern, position)
            width = len(found.group()) if found else 1
        elif char == "(" and (found := _FLAGS.match(pattern, position)):
            width = len(found.group())
            is_folded = is_folded or (depth == 0 and "i" in found.group().partition("-")[0])
        elif char in "()":
            depth += 1 if char == "(" else -1
        elif char == "|" and depth == 0:
            return b""
        elif char in "*?+" or (char == "{" and _TIMES.match(pattern, position)):
            if found := _TIMES.match(pattern, position):
                width = len(found.group())
            if char != "+":
                runs[-1] = runs[-1][:-1]
        elif char not in "^$.":
            literal = char
        if literal and depth == 0 and not is_folded and literal in _PLAIN:
            runs[-1] += literal
        else:
            runs.append("")
        position += width
    return max(runs, key=len).encode()
