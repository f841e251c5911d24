"""A text that is no YAML -> the place and the fix that its writer needs.

Owns what PyYAML's words mean: it names the point where it could not go on, which is often lines
after the quote or the bracket that was forgotten. Must not know what a rule is. Pure.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import yaml
from yaml.error import Mark

from agent.rules.places import Place, Problem

if TYPE_CHECKING:
    from collections.abc import Iterator

_CLOSE_QUOTE = "close the quote that begins here"
_IN_QUOTES = "put the text in single quotes, each ' in it twice"
_HINTS = (
    ("'\\t'", "indent with spaces"),
    ("cannot start any token", _IN_QUOTES),
    ("mapping values are not allowed", "put a text with a colon in it in quotes"),
    ("unexpected end of stream", _CLOSE_QUOTE),
    ("could not find expected ':'", "write `key: value`, with a space after the colon"),
    ("expected ',' or", "close the bracket that begins here, or put the text in quotes"),
    ("expected the node content", "close the bracket"),
    ("unknown escape character", "use single quotes, in which a backslash stands for itself"),
    ("undefined alias", "put a text that begins with * in quotes"),
    ("expected a single document", "write one rule a file, without `---` between"),
    ("expected '<document start>'", "write one rule a file, and nothing after `...`"),
)
_LIKE_LOG = "indent it like `log`"
_INDENT = "check the indentation: it is like that of no line above"
_ODD_STARTS = (yaml.FlowSequenceStartToken, yaml.FlowMappingStartToken, yaml.TagToken)
_ODD_BREAKS = re.compile("[\r\x85\u2028\u2029]")
_INDENTED_KEY = re.compile(r"(?P<indent> +)[A-Za-z_][\w-]*(?=:)")
_NO_SPACE = re.compile(r" *-(?=[A-Za-z_][\w-]*:)")
_BLOCK = re.compile(
    r"^(?P<indent> *(?:- +)?)(?P<head>[A-Za-z_][\w-]*: *[|>][-+\d]*) *\n(?P<text> *)(?=[^\s])",
    re.MULTILINE,
)
_KEY_OR_ITEM = re.compile(r"- |-$|#|[A-Za-z_][\w-]*:", re.MULTILINE)
_NO_COLON = re.compile(r"\s*(?:- )?(?P<key>[A-Za-z_][\w-]*) +[\[{]")


class Lines:
    """Turns PyYAML's marks into places whose lines end as editors and excerpts end them.

    YAML ends a line at U+0085, U+2028 and U+2029 as well, which are characters like any other in
    an editor.
    """

    def __init__(self, path: str, text: str) -> None:
        self._path = path
        self._text = text
        self._starts = (
            [0, *(found.end() for found in re.finditer("\n", text))]
            if _ODD_BREAKS.search(text)
            else None
        )

    @property
    def start(self) -> Place:
        """Where the file begins."""
        return Place(self._path, 1, 1)

    def place(self, mark: Any, end: Any = None) -> Place:  # noqa: ANN401 PyYAML's or libyaml's
        """Return the place of a mark; with an end, it knows what is written there on one line."""
        is_text = end is not None and mark.line == end.line
        written = self._text[mark.index : end.index] if is_text else ""
        if self._starts is not None:
            return self.at(mark.index, written)
        return Place(self._path, mark.line + 1, mark.column + 1, written)

    def at(self, index: int, written: str = "") -> Place:
        """Return the place of a character; only for a text with breaks of YAML's own."""
        starts = self._starts or [0]
        line = bisect_right(starts, index)
        return Place(self._path, line, index - starts[line - 1] + 1, written)


def fault_of(error: Exception, text: str, lines: Lines, *, max_depth: int) -> Problem:
    """Return the fault that an error of PyYAML stands for."""
    if isinstance(error, yaml.reader.ReaderError):
        place = Lines(lines.start.path, f"{text}\r").at(error.position)
        code = error.character if isinstance(error.character, int) else ord(error.character)
        what = f"the character U+{code:04X} cannot stand in YAML"
        return Problem("yaml", place, what, "remove this character")
    if not isinstance(error, yaml.MarkedYAMLError):
        return Problem(
            "too-large",
            _too_deep(text, lines, max_depth),
            f"this stands more than {max_depth} deep",
            "close the brackets",
        )
    mark, hint = _shallow(error, text) or _read(error, text)
    what = " ".join(part for part in (error.context, error.problem) if part)
    place = lines.place(mark) if mark else lines.start
    return Problem("yaml", place, f"this is not YAML: {what}", hint)


def _too_deep(text: str, lines: Lines, max_depth: int) -> Place:
    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > max_depth + 1 and event.start_mark is not None:
            return lines.place(event.start_mark)
    return lines.start


def _read(error: yaml.MarkedYAMLError, text: str) -> tuple[Mark | None, str]:
    """Return where the slip is, and what to write there."""
    what = f"{error.context} {error.problem}"
    begin, end = error.context_mark, error.problem_mark
    mark = end or begin
    hint = next((hint for part, hint in _HINTS if part in what), _INDENT)
    if begin is not None and end is not None and _began_there(error):
        mark = begin
        hint = _CLOSE_QUOTE if "quoted scalar" in what else hint
    elif "expected ',' or" in what:
        hint = "put a comma before it, close the bracket, or put the text in quotes"
    if end is not None and "mapping values are not allowed" in what:
        return _missing_colon(text, end) or _too_far_in(text, end) or (mark, hint)
    if end is not None and "expected <block end>" in what:
        found = _no_item(text, begin, end) or _unquoted(text, end) or _misquoted(text, end)
        found = found or _no_space(text, end)
        return found or (mark, hint)
    return mark, hint


def _began_there(error: yaml.MarkedYAMLError) -> bool:
    """Whether what is wrong is the beginning, and PyYAML only noticed it later."""
    assert error.context_mark is not None
    assert error.problem_mark is not None
    context = error.context or ""
    is_later = error.problem_mark.line > error.context_mark.line
    return (
        "end of stream" in (error.problem or "")
        or context == "while scanning a simple key"
        or (is_later and context.startswith(("while parsing a flow", "while scanning a double")))
    )


def _missing_colon(text: str, at: Mark) -> tuple[Mark, str] | None:
    """See `platform {capture: x, ...}`: the words before the bracket were to be a key."""
    begin = at.index - at.column
    found = _NO_COLON.match(text, begin)
    if found is None or found.end() > at.index:
        return None
    end = found.end("key")
    mark = Mark(at.name, end, at.line, end - begin, None, 0)
    return mark, "write `key: value`: no colon follows the key"


def _too_far_in(text: str, at: Mark) -> tuple[Mark, str] | None:
    """See a key that goes on with the text of the line above, because it is indented."""
    begin = at.index - at.column
    found = _INDENTED_KEY.match(text, begin)
    if found is None or found.end() != at.index:
        return None
    column = len(found["indent"])
    mark = Mark(at.name, begin + column, at.line, column, None, 0)
    return mark, "indent this key like those above it"


def _shallow(error: yaml.MarkedYAMLError, text: str) -> tuple[Mark, str] | None:
    """See a text below `log: |` that is not indented deeper than its key."""
    end = error.problem_mark
    if end is None:
        return None
    before = list(_BLOCK.finditer(text, 0, end.index + 1))
    if not before or len(before[-1]["text"]) > len(before[-1]["indent"]):
        return None
    found = before[-1]
    if _KEY_OR_ITEM.match(text, found.end()):
        return None
    line = text.count("\n", 0, found.end())
    mark = Mark(end.name, found.end(), line, len(found["text"]), None, 0)
    return mark, f"indent the text below `{found['head']}` deeper"


def _no_item(text: str, begin: Mark | None, at: Mark) -> tuple[Mark, str] | None:
    """See a hyphen that is not there, or the next key of an item where its hyphen stands."""
    if begin is None or not text.startswith("expect:", at.index):
        return None
    if text.startswith("log:", begin.index) and begin.column < at.column:
        is_item = bool(text[begin.index - begin.column : begin.index].strip())
        return (at, _LIKE_LOG) if is_item else (begin, "write `- ` before it")
    if text.startswith("- log:", begin.index) and begin.column == at.column:
        return at, _LIKE_LOG
    return None


def _unquoted(text: str, at: Mark) -> tuple[Mark, str] | None:
    """See a text that begins like a list, a mapping or a tag, and goes on behind it."""
    begin: Mark | None = None
    is_next = False
    depth = 0
    for token in _tokens(text):
        if token.start_mark.index >= at.index:
            break
        if isinstance(token, yaml.ValueToken | yaml.BlockEntryToken) and not depth:
            begin, is_next = None, True
            continue
        if is_next and isinstance(token, _ODD_STARTS):
            begin = token.start_mark
        is_next = False
        depth += isinstance(token, yaml.FlowSequenceStartToken | yaml.FlowMappingStartToken)
        depth -= isinstance(token, yaml.FlowSequenceEndToken | yaml.FlowMappingEndToken)
    is_here = begin is not None and begin.line == at.line
    return (begin, _IN_QUOTES) if begin is not None and is_here else None


def _no_space(text: str, at: Mark) -> tuple[Mark, str] | None:
    """See `-log: ...` in this line, or in the one above of which this one goes on."""
    begin = at.index - at.column
    for line, start in ((at.line, begin), (at.line - 1, text.rfind("\n", 0, begin - 1) + 1)):
        found = _NO_SPACE.match(text, start) if start < begin or line == at.line else None
        if found is not None:
            column = found.end() - start
            mark = Mark(at.name, found.end(), line, column, None, 0)
            return mark, "write a space after the hyphen"
    return None


def _misquoted(text: str, at: Mark) -> tuple[Mark, str] | None:
    """Look at the quoted text before the point: it ended too late or too early."""
    before: yaml.ScalarToken | None = None
    for token in _tokens(text):
        if token.start_mark.index >= at.index:
            break
        if isinstance(token, yaml.ScalarToken):
            before = token if token.style in {"'", '"'} else None
        elif not isinstance(token, yaml.BlockEndToken):
            before = None
    if before is None or before.end_mark.line != at.line:
        return None
    if before.end_mark.line > before.start_mark.line:
        return before.start_mark, _CLOSE_QUOTE
    end = before.end_mark
    quote = Mark(end.name, end.index - 1, end.line, end.column - 1, None, 0)
    if before.style == "'":
        return quote, "write a quote inside single quotes twice: ''"
    return quote, 'write a quote inside double quotes as \\", or use single quotes'


def _tokens(text: str) -> Iterator[yaml.Token]:
    with suppress(yaml.YAMLError):
        yield from yaml.scan(text, Loader=yaml.SafeLoader)
