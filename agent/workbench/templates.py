"""A message -> its template: what it has in common with the others of its kind.

Owns which parts of a message are values: quoted text, URLs, paths, numbers, names with digits,
dots, hyphens or slashes. What is left is BotKube's own wording, by which a new message is noticed.
"""

from __future__ import annotations

import re

MAX_CHARACTERS = 160

_STEPS = (
    (re.compile(r"\x1b\[[0-9;]*m"), ""),
    (re.compile(r"\b\w+://[^\s\"']+"), "<url>"),
    (re.compile(r"\"(?:[^\"\\]|\\.)*\"|(?<!\w)'[^']*'(?!\w)|`[^`]*`"), "<text>"),
    (re.compile(r"(?:map|\{|&\{)\S*[\[{:].*"), "<dump>"),
    (re.compile(r"\b0x[0-9a-f]+\b|\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b"), "<hex>"),
    (re.compile(r"\b(?=[a-f]*\d)[0-9a-f]{8,}\b"), "<hex>"),
    (re.compile(r"(?<![\w<-])\d+(?:[.:]\d+)*(?:[mun]?s|[KMG]i?B)?(?![\w.-])"), "<n>"),
    (re.compile(r"<@[^>]*>|(?<!\w)[@#][\w.-]+"), "<name>"),
    (re.compile(r"(?<![\w<])[\w.-]*/[\w./-]*"), "<path>"),
    (re.compile(r"(?<![\w<-])[\w-]*(?:\d[\w-]*|[a-z][.-](?=[a-z])[\w.-]*)(?<![.-])"), "<name>"),
)


def template_of(message: str) -> str:
    """Return the first line of a message with placeholders for its values."""
    text, _, rest = message.partition("\n")
    for pattern, placeholder in _STEPS:
        text = pattern.sub(placeholder, text)
    cut = " ..." if rest.strip() or len(text) > MAX_CHARACTERS else ""
    return text[:MAX_CHARACTERS].strip() + cut
