"""Patterns: compiled by google-re2 within bounds.

Owns the limits of a pattern and the fixes for what RE2 refuses. Must not know what a rule is.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

import re2
from attrs import Factory, field, frozen

from agent.rules.spots import CLASS, spot
from agent.rules.words import options

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agent.rules.places import Place, Problem, Problems

MAX_PATTERN_CHARACTERS = 1000
MAX_PROGRAM = 20_000

MAX_REPETITIONS = 1000

KEPT_PATTERNS = 512
"""Of a set that is compiled again, with other files, most patterns are the same."""

_SIZE = re.compile(r"repetition size: \{(\d*,?\d*)\}")
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
    (r"\Z", r"write $ or \z for the end of the text"),
    ("escape", "RE2 has no back-references and no such escape; write the text itself"),
    ("no argument for repetition", r"write \* \+ or \? for the character itself"),
    ("bad repetition operator", "write one repetition, not two"),
    ("nested repetition size", "the product of nested repetitions must be at most 1000"),
    ("repetition size", "repeat at most 1000 times"),
    ("range: [:", "write a class that RE2 has, such as [[:alpha:]] or [[:digit:]]"),
    ("range", "put a hyphen last in its class, and the lower end of a range first"),
    ("UTF-8", "write the characters in UTF-8"),
)
_NAMED_GROUP = re.compile(r"(?<!\\)\(\?P?<(\w+)>")
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


@frozen
class Pattern:
    """A pattern as it is `written`, and its `text` with the fragments written out.

    `origins` says of each character of the text which written one it comes from. It is not
    `is_whole` where a fragment is not there. `torn` is the fault of a fragment on its own.
    """

    place: Place
    written: str
    text: str = field(default=Factory(lambda self: self.written, takes_self=True))
    origins: Sequence[int] = field(
        default=Factory(lambda self: range(len(self.written)), takes_self=True)
    )
    is_whole: bool = True
    torn: Problem | None = None

    def at(self, index: int) -> Place:
        """Return where a character of the text stands; one of a fragment, where that is named."""
        return self.place.within(self.written, self.origins[index]) if self.origins else self.place


def compile_pattern(made: Pattern, problems: Problems) -> re2._Regexp:
    """Compile one pattern; a fault goes to `problems`, and nothing is captured in its stead."""
    pattern, place = made.text, made.place
    if len(pattern) > MAX_PATTERN_CHARACTERS:
        problems.add(
            "pattern",
            place,
            f"this pattern has {len(pattern)} characters, fragments written out",
            f"a pattern has at most {MAX_PATTERN_CHARACTERS}",
        )
        return re2.compile(b"")
    if (split := _splits_character(pattern)) is not None:
        at, how = split
        problems.add(
            "pattern",
            made.at(at),
            f"a character outside ASCII is {how}, but a pattern looks at bytes",
            r"write alternatives (é|è), or the bytes themselves: \xc3[\xa8-\xa9]",
        )
        return re2.compile(b"")
    try:
        regexp = _regexp(pattern)
    except re2.error as error:
        if made.torn is not None:
            if made.torn not in problems.found:
                problems.found.append(made.torn)
            return re2.compile(b"")
        what = error.args[0] if error.args else b""
        text = what.decode("utf-8", "replace") if isinstance(what, bytes) else str(what)
        problems.add(
            "pattern",
            made.at(spot(pattern, _refused(text, pattern))),
            f"RE2 cannot read this pattern: {text}",
            next(
                (hint for part, hint in _HINTS if part in _refused(text, pattern)),
                "see RE2's syntax",
            ),
        )
        return re2.compile(b"")
    _check_bounds(made, regexp, problems)
    return regexp


@lru_cache(KEPT_PATTERNS)
def _regexp(pattern: str) -> re2._Regexp:
    return re2.compile(pattern.encode(), options=options())


@lru_cache(KEPT_PATTERNS)
def _splits_character(pattern: str) -> tuple[int, str] | None:
    """Say where and how a pattern tears a character of several bytes apart, or None."""
    for found in _CLASS_OR_ESCAPE.finditer(pattern):
        if found.group().startswith("[") and not found.group().isascii():
            return found.start(), "in a class"
    splits = ((split.search(pattern), how) for split, how in _SPLIT)
    return next(((found.start(), how) for found, how in splits if found), None)


def _refused(text: str, pattern: str) -> str:
    """Return what RE2 says, which leaves open what begins with `(?P`, and which size it means."""
    if (size := _SIZE.search(text)) is not None and all(
        int(number) <= MAX_REPETITIONS for number in size[1].split(",") if number
    ):
        return text.replace("repetition size", "nested repetition size")
    return f"{text}=" if text.endswith("(?P") and "(?P=" in pattern else text


def _check_bounds(made: Pattern, regexp: re2._Regexp, problems: Problems) -> None:
    if regexp.programsize > MAX_PROGRAM:
        problems.add(
            "pattern",
            made.place,
            f"this pattern compiles to {regexp.programsize} steps, beyond {MAX_PROGRAM}",
            "lower its repetitions",
        )
    groups: dict[str, list[int]] = {}
    for found in _NAMED_GROUP.finditer(made.text):
        groups.setdefault(found[1], []).append(found.start())
    for name, starts in groups.items():
        if not starts[1:]:
            continue
        problems.add(
            "pattern",
            made.at(starts[1]),
            f"the pattern captures {name!r} twice",
            "give the second group another name",
        )
    if (twice := _REPEATED_TWICE.search(made.text)) is not None:
        problems.add(
            "pattern",
            made.at(twice.start()),
            f"{twice.group()} repeats a repetition",
            "write one repetition: it matches the same",
        )


def captures_in(pattern: str) -> dict[str, int]:
    """Return the names of the groups that a pattern captures, each with where it begins."""
    return {found[1]: found.start() for found in _NAMED_GROUP.finditer(pattern)}
