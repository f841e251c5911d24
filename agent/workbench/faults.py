"""The forms of a fault: for a person, a program, a code scanner, and a pull request.

Owns excerpts and the formats text, json, sarif and github. Must not know how faults are found.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import orjson

from agent import __version__
from agent.rules.codes import CODES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from agent.rules import Problem

MAX_EXCERPT = 100
MARGIN = 30


def sources(paths: Iterable[str]) -> dict[str, list[str]]:
    """Return the lines of the files that faults point to; a file that cannot be read has none."""
    found: dict[str, list[str]] = {}
    for path in paths:
        if path not in found:
            try:
                found[path] = Path(path).read_text(encoding="utf-8-sig").split("\n")
            except (OSError, ValueError):
                found[path] = []
    return found


def as_text(problems: Iterable[Problem], texts: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """Say each fault with its place, an excerpt and what to write instead."""
    for one in problems:
        place = one.place
        where = f"{nearest(place.path)}:{place.line}:{place.column}"
        yield f"{where}: {one.code}: {_shown(one.message)}"
        yield from excerpt(one, texts.get(place.path, ()))
        if one.hint:
            yield f"  fix: {_shown(one.hint)}"
        yield ""


def excerpt(problem: Problem, lines: Sequence[str]) -> Iterator[str]:
    """Return the line of a fault with a caret under its place, cut where it is long."""
    place = problem.place
    if not 0 < place.line <= len(lines):
        return
    line = lines[place.line - 1].rstrip("\r")
    column = min(place.column, len(line) + 1)
    start = max(0, column - 1 - MARGIN) if len(line) > MAX_EXCERPT else 0
    before, after = "..." if start else "", "..." if len(line) > start + MAX_EXCERPT else ""
    shown = "".join(map(_printable, line[start : start + MAX_EXCERPT]))
    # A tab stays a tab above and below, so that the caret stands where it should.
    lead = "".join("\t" if char == "\t" else " " for char in line[start : column - 1])
    gutter = " " * len(str(place.line))
    yield f"  {place.line} | {before}{shown}{after}"
    yield f"  {gutter} | {' ' * len(before)}{lead}^"


def as_json(problems: Iterable[Problem], _texts: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """Give all faults as one JSON array."""
    found = [
        {
            "code": one.code,
            "file": nearest(one.place.path),
            "line": one.place.line,
            "column": one.place.column,
            "message": _shown(one.message),
            "fix": _shown(one.hint),
        }
        for one in problems
    ]
    yield orjson.dumps(found, option=orjson.OPT_INDENT_2).decode()


def as_sarif(problems: Iterable[Problem], _texts: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """Give all faults as a SARIF 2.1.0 log of one run."""
    found = list(problems)
    codes = sorted({one.code for one in found})
    run = {
        "tool": {
            "driver": {
                "name": "botkube-analytics",
                "semanticVersion": __version__,
                "rules": [
                    {"id": code, "shortDescription": {"text": CODES.get(code, code)}}
                    for code in codes
                ],
            }
        },
        "columnKind": "unicodeCodePoints",
        "results": [
            {
                "ruleId": one.code,
                "ruleIndex": codes.index(one.code),
                "level": "error",
                "message": {"text": _with_fix(one)},
                "locations": [
                    {
                        "physicalLocation": {
                            "artifactLocation": {"uri": _uri(one.place.path)},
                            "region": {
                                "startLine": one.place.line,
                                "startColumn": one.place.column,
                            },
                        }
                    }
                ],
            }
            for one in found
        ],
    }
    log = {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [run],
    }
    yield orjson.dumps(log, option=orjson.OPT_INDENT_2).decode()


def as_github(problems: Iterable[Problem], _texts: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """Give each fault as the workflow command that annotates a line of a pull request."""
    for one in problems:
        place = f"file={_property(nearest(one.place.path))},line={one.place.line}"
        code = _property(one.code)
        yield f"::error {place},col={one.place.column},title={code}::{_data(_with_fix(one))}"


FORMATS: dict[str, Callable[[Iterable[Problem], Mapping[str, Sequence[str]]], Iterator[str]]] = {
    "text": as_text,
    "json": as_json,
    "sarif": as_sarif,
    "github": as_github,
}


def nearest(path: str) -> str:
    """Return a path as seen from the working folder, where it lies below it, on one line."""
    with suppress(OSError, RuntimeError, ValueError):  # too long, a link to itself, not below it
        path = str(Path(path).resolve().relative_to(Path.cwd()))
    return "".join(_printable(char) if char != "\t" else " " for char in _shown(path))


def _printable(char: str) -> str:
    return char if char.isprintable() or char == "\t" else "\N{REPLACEMENT CHARACTER}"


def _uri(path: str) -> str:
    shown = Path(nearest(path))
    return shown.as_uri() if shown.is_absolute() else quote(shown.as_posix())


def _with_fix(problem: Problem) -> str:
    text = f"{problem.message} ({problem.hint})" if problem.hint else problem.message
    return _shown(text)


def _shown(text: str) -> str:
    """Return a text that can be printed: a name of a file may hold what is no character."""
    return text.encode("utf-8", "replace").decode()


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
