"""Patterns: compiled by google-re2 within bounds, and the plain text that each of them contains.

Owns the limits of a pattern and its literal for the prefilter. Must not know what a rule is.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import re2

from agent.rules.ruleset import options

if TYPE_CHECKING:
    from agent.rules.places import Place, Problems

MAX_PATTERN_CHARACTERS = 1000
MAX_PROGRAM = 20_000
MIN_LITERAL_BYTES = 5

_NO_LOOK = "RE2 has no look-around; list what may stand there, or use `unless`"
_HINTS = (
    ("(?=", _NO_LOOK),
    ("(?!", _NO_LOOK),
    ("(?<", _NO_LOOK),
    ("missing )", r"close the group, or write \( for a parenthesis"),
    ("missing closing )", r"close the group, or write \( for a parenthesis"),
    ("unexpected )", r"open the group, or write \) for a parenthesis"),
    ("missing ]", r"close the class, or write \[ for a bracket"),
    ("missing closing ]", r"close the class, or write \[ for a bracket"),
    ("escape", "RE2 has no back-references and no such escape; write the text itself"),
    ("no argument for repetition", r"write \* \+ or \? for the character itself"),
    ("bad repetition operator", "write one repetition, not two"),
    ("repetition size", "repeat at most 1000 times"),
    ("range", "put a hyphen last in its class, and the lower end of a range first"),
    ("capture group", "write (?P<name>...) with a name that stands once"),
    ("UTF-8", "write the characters in UTF-8"),
)
_NAMED_GROUP = re.compile(r"\(\?P<(\w+)>")
_CLASS = re.compile(r"\\.|\[\^?\]?(?:\[:\^?\w+:\]|\\.|[^\]\\])*\]", re.DOTALL)
_SPLIT = (
    # Patterns look at bytes, and such a character is several of them.
    (re.compile(r"[^\x00-\x7f](?:[*+?]|\{\d)"), "repeated"),
    (
        re.compile(r"\(\?\w*i\w*(?:\)(?s:.*)|:(?:[^()]|\([^()]*\))*)[^\x00-\x7f]"),
        "looked for without case",
    ),
    (
        re.compile(r"(?<!\\)(?:\\\\)*\\(?:[pP]|x\{(?!0*[0-7]?[0-9a-fA-F]\}))"),
        "named by number or kind",
    ),
)
_PLAIN = frozenset(
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 !#$%'()*+,-./:;=?@[]^_`{|}~"
)


def compile_pattern(pattern: str, place: Place, problems: Problems) -> re2._Regexp:
    """Compile one pattern; a fault goes to `problems`, and nothing matches in its stead."""
    if len(pattern) > MAX_PATTERN_CHARACTERS:
        problems.add(
            "pattern",
            place,
            f"this pattern has {len(pattern)} characters, fragments written out",
            f"a pattern has at most {MAX_PATTERN_CHARACTERS}",
        )
        return re2.compile(b"")
    if (how := _splits_character(pattern)) is not None:
        problems.add(
            "pattern",
            place,
            f"a character outside ASCII is {how}, but a pattern looks at bytes",
            r"write alternatives (é|è), or the bytes themselves: \xc3[\xa8-\xa9]",
        )
        return re2.compile(b"")
    try:
        made = re2.compile(pattern.encode(), options=options())
    except re2.error as error:
        what = error.args[0] if error.args else b""
        text = what.decode("utf-8", "replace") if isinstance(what, bytes) else str(what)
        problems.add(
            "pattern",
            place,
            f"RE2 cannot read this pattern: {text}",
            next((hint for part, hint in _HINTS if part in text), "see RE2's syntax"),
        )
        return re2.compile(b"")
    if made.programsize > MAX_PROGRAM:
        problems.add(
            "pattern",
            place,
            "this pattern compiles to too large a program",
            "lower its repetitions",
        )
    return made


def _splits_character(pattern: str) -> str | None:
    """Say how a pattern tears a character of several bytes apart, or None if it does not."""
    classes = (found.group() for found in _CLASS.finditer(pattern))
    if any(one.startswith("[") and not one.isascii() for one in classes):
        return "in a class"
    return next((how for split, how in _SPLIT if split.search(pattern)), None)


def captures_in(pattern: str) -> frozenset[str]:
    """Return the names of the groups that a pattern captures."""
    return frozenset(_NAMED_GROUP.findall(pattern))


def longest_literal(pattern: str) -> bytes:
    """Return the longest plain text that stands in every match of a pattern, or nothing.

    Only what stands outside groups and without a quantifier counts, and only characters that all
    formats write as they are (JSON writes `<`, `>` and `&` as escapes, logfmt quotes).
    """
    runs: list[str] = [""]
    depth = position = 0
    while position < len(pattern):
        char = pattern[position]
        width = 1
        literal = ""
        if char == "\\":
            width = 2
            following = pattern[position + 1 : position + 2]
            literal = following if not following.isalnum() else ""
        elif char == "[":
            begin = 3 if pattern[position + 1 : position + 2] == "^" else 2
            width = max(pattern.find("]", position + begin) - position + 1, 1)
        elif char in "()":
            depth += 1 if char == "(" else -1
        elif char == "|" and depth == 0:
            return b""
        elif char in "*?+{":
            if char == "{":
                width = max(pattern.find("}", position) - position + 1, 1)
            if char != "+" and runs[-1]:
                runs[-1] = runs[-1][:-1]
        elif char not in "^$.":
            literal = char
        if literal and depth == 0 and literal in _PLAIN:
            runs[-1] += literal
        else:
            runs.append("")
        position += width
    return max(runs, key=len).encode()
