"""Patterns: compiled by google-re2 within bounds.

Owns the limits of a pattern and the fixes for what RE2 refuses. Must not know what a rule is.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import re2

from agent.rules.words import options

if TYPE_CHECKING:
    from agent.rules.places import Place, Problems

MAX_PATTERN_CHARACTERS = 1000
MAX_PROGRAM = 20_000

_NO_LOOK = "RE2 has no look-around; list what may stand there, or use `unless`"
_HINTS = (
    ("missing )", r"close the group, or write \( for a parenthesis"),
    ("missing closing )", r"close the group, or write \( for a parenthesis"),
    ("unexpected )", r"open the group, or write \) for a parenthesis"),
    ("missing ]", r"close the class, or write \[ for a bracket"),
    ("missing closing ]", r"close the class, or write \[ for a bracket"),
    ("capture group", "write (?P<name>...) with a name of letters, digits and _"),
    ("(?=", _NO_LOOK),
    ("(?!", _NO_LOOK),
    ("(?<=", _NO_LOOK),
    ("(?<!", _NO_LOOK),
    ("(?>", "RE2 never goes back, so write (?:...) for an atomic group"),
    ("(?P=", "RE2 has no back-references; write the text itself"),
    ("(?x", "RE2 has the flags i, m, s and U only; write the pattern without spaces"),
    ("(?P", "write (?P<name>...) with a name of letters, digits and _"),
    ("(?", "RE2 has groups (...), (?:...), (?P<name>...) and the flags i, m, s and U"),
    (r"trailing \ ".rstrip(), r"write \\ for a backslash"),
    ("escape", "RE2 has no back-references and no such escape; write the text itself"),
    ("no argument for repetition", r"write \* \+ or \? for the character itself"),
    ("bad repetition operator", "write one repetition, not two"),
    ("repetition size", "repeat at most 1000 times"),
    ("range: [:", "write a class that RE2 has, such as [[:alpha:]] or [[:digit:]]"),
    ("range", "put a hyphen last in its class, and the lower end of a range first"),
    ("UTF-8", "write the characters in UTF-8"),
)
_NAMED_GROUP = re.compile(r"(?<!\\)\(\?P?<(\w+)>")
CLASS = re.compile(r"\[\^?\]?(?:\[:\^?\w+:\]|\\.|[^\]\\])*\]", re.DOTALL)
_CLASS_OR_ESCAPE = re.compile(rf"\\.|{CLASS.pattern}", re.DOTALL)
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
_REPEATED_TWICE = re.compile(
    rf"(?<!\\)\((?:\?(?:P?<\w+>|:))?(?:{CLASS.pattern}|\\[a-zA-Z]|[^\\\[\]()|.*+?{{}}^$]|\.)"
    r"[*+]\??\)(?:[*+]|\{\d+,\d*\})",
    re.DOTALL,
)


def compile_pattern(pattern: str, place: Place, problems: Problems) -> re2._Regexp:
    """Compile one pattern; a fault goes to `problems`, and nothing is captured in its stead."""
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
            next(
                (hint for part, hint in _HINTS if part in _refused(text, pattern)),
                "see RE2's syntax",
            ),
        )
        return re2.compile(b"")
    _check_bounds(pattern, made, place, problems)
    return made


def _splits_character(pattern: str) -> str | None:
    """Say how a pattern tears a character of several bytes apart, or None if it does not."""
    classes = (found.group() for found in _CLASS_OR_ESCAPE.finditer(pattern))
    if any(one.startswith("[") and not one.isascii() for one in classes):
        return "in a class"
    return next((how for split, how in _SPLIT if split.search(pattern)), None)


def _refused(text: str, pattern: str) -> str:
    """Return what RE2 says, which leaves open what begins with `(?P`."""
    return f"{text}=" if text.endswith("(?P") and "(?P=" in pattern else text


def _check_bounds(pattern: str, made: re2._Regexp, place: Place, problems: Problems) -> None:
    if made.programsize > MAX_PROGRAM:
        problems.add(
            "pattern",
            place,
            f"this pattern compiles to a program of {made.programsize} steps, beyond {MAX_PROGRAM}",
            "lower its repetitions",
        )
    names = _NAMED_GROUP.findall(pattern)
    for name in sorted({name for name in names if names.count(name) > 1}):
        problems.add(
            "pattern",
            place,
            f"the pattern captures {name!r} twice",
            "give the second group another name",
        )
    if (twice := _REPEATED_TWICE.search(pattern)) is not None:
        problems.add(
            "pattern",
            place,
            f"{twice.group()} repeats a repetition",
            "write one repetition: it matches the same",
        )


def captures_in(pattern: str) -> frozenset[str]:
    """Return the names of the groups that a pattern captures."""
    return frozenset(_NAMED_GROUP.findall(pattern))
