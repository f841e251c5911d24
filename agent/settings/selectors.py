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
_PREFIX = rf"(?=[^/]{{1,{MAX_PREFIX_CHARS}}}/){_LABEL}(?:\.{_LABEL})*/"
_KEY = rf"(?:{_PREFIX})?{_WORD}"
# An empty set is refused; an empty value in it is one.
_VALUES = (
    rf"\({_SPACE}(?:{_WORD}{_SPACE}(?:,{_SPACE}(?:{_WORD})?{_SPACE})*"
    rf"|(?:,{_SPACE}(?:{_WORD})?{_SPACE})+)\)"
)
_REQUIREMENT = re.compile(
    rf"!{_SPACE}{_KEY}"
    rf"|{_KEY}(?:{_SPACE}(?:==|!=|=){_SPACE}(?:{_WORD})?"
    rf"|[ \t\r\n]+(?:in|notin){_SPACE}{_VALUES}"
    rf"|{_SPACE}[<>]{_SPACE}[0-9]{{1,18}})?"
)
# A comma between parentheses belongs to the set.
_COMMA = re.compile(r",(?![^(]*\))")


def is_selector(text: str) -> bool:
    """Whether the API server can read a text as a label selector."""
    parts = [part.strip(" \t\r\n") for part in _COMMA.split(text)]
    return parts == [""] or all(map(_REQUIREMENT.fullmatch, parts))
