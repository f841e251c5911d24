"""Which text is a label selector: equality- and set-based requirements, joined by commas.

Owns its syntax, as the API server's own parser has it (apimachinery's `labels.Parse`): what it
would refuse is refused when settings are read, and not with a 400 for ever after. Pure.
"""

from __future__ import annotations

import re

MAX_PREFIX_CHARS = 253

_SPACE = r"[ \t\r\n]*"
_WORD = r"[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?"
_LABEL = r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?"
_PREFIX = rf"{_LABEL}(?:\.{_LABEL})*/"
# An empty set is refused; an empty value in it is one.
_VALUES = (
    rf"\({_SPACE}(?:{_WORD}{_SPACE}(?:,{_SPACE}(?:{_WORD})?{_SPACE})*"
    rf"|(?:,{_SPACE}(?:{_WORD})?{_SPACE})+)\)"
)


def _requirement(key: str) -> str:
    return (
        rf"(?:!{_SPACE}{key}"
        rf"|{key}(?:{_SPACE}(?:==|!=|=){_SPACE}(?:{_WORD})?"
        rf"|[ \t\r\n]+(?:in|notin){_SPACE}{_VALUES}"
        rf"|{_SPACE}[<>]{_SPACE}[0-9]{{1,18}})?)"
    )


_REQUIREMENT = re.compile(_requirement(rf"(?:(?=[^/]{{1,{MAX_PREFIX_CHARS}}}/){_PREFIX})?{_WORD}"))
_ANY_LENGTH = rf"{_SPACE}{_requirement(rf'(?:{_PREFIX})?{_WORD}')}{_SPACE}"
PATTERN = rf"{_SPACE}(?:{_ANY_LENGTH}(?:,{_ANY_LENGTH})*)?"
"""The same for a schema, whose patterns cannot look ahead: it takes a prefix of any length."""
# A comma between parentheses belongs to the set.
_COMMA = re.compile(r",(?![^(]*\))")


def is_selector(text: str) -> bool:
    """Whether the API server can read a text as a label selector."""
    parts = [part.strip(" \t\r\n") for part in _COMMA.split(text)]
    return parts == [""] or all(map(_REQUIREMENT.fullmatch, parts))
