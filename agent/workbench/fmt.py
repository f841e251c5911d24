"""`rules fmt`: one layout for all rule files, without losing a comment or changing a meaning.

Owns the order of the top-level keys and the whitespace around them. A key moves with its value and
the comments right above it, as text; texts over several lines are never touched. What would mean
something else afterwards is left as it was, and said.
"""

from __future__ import annotations

import sys
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import yaml
from attrs import frozen

from agent.rulefiles import read_files, shipped_folder
from agent.rules import Place, Problem, RuleError
from agent.rules.language import RULE
from agent.rules.nodes import Items, Mapping, Node, Scalar, read
from agent.rules.places import Problems
from agent.workbench.faults import as_text, nearest, sources

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_EDITOR = "# yaml-language-server"


@frozen
class _Block:
    """A top-level key with the comments above it, as lines."""

    key: str
    lines: tuple[str, ...]


def fmt(paths: Sequence[str], *, is_check: bool) -> int:
    """Format the given rule files and folders, or the shipped ones; or say which would change."""
    roots = [Path(path) for path in paths] or [shipped_folder()]
    files = read_files(map(str, roots))
    if files.problems:
        raise RuleError(files.problems)
    given = [path for path in map(Path, files.paths.values()) if _is_below(path, roots)]
    changed = 0
    problems: list[Problem] = []
    for path in given:
        text = path.read_bytes().decode("utf-8")
        faults = Problems()
        read(str(path), text, faults)
        made = format_text(text)
        if faults.found or made is None:
            problems += faults.found or [_unmoved(path)]
            continue
        if made == text:
            continue
        changed += 1
        print(nearest(str(path)))
        if not is_check:
            path.write_bytes(made.encode())
    for line in as_text(problems, sources(one.place.path for one in problems)):
        print(line, file=sys.stderr)
    verb = "would change" if is_check else "changed"
    print(f"{changed} of {len(given)} files {verb}", file=sys.stderr)
    return 1 if problems or (is_check and changed) else 0


def format_text(text: str) -> str | None:
    """Return a rule file in the one layout, as it is if it is none, or None if it cannot move."""
    plain = text.removeprefix("\ufeff").replace("\r\n", "\n")
    try:
        node = yaml.compose(plain, Loader=_LOADER)
    except yaml.YAMLError:
        return text
    if not isinstance(node, yaml.MappingNode) or node.flow_style:
        return text
    head, blocks, tail = _cut(node, _stripped(node, plain.split("\n")))
    keys = {block.key for block in blocks}
    if "id" in keys:
        order = {key: number for number, key in enumerate(RULE)}
        blocks = sorted(blocks, key=lambda one: order.get(one.key, len(order)))
    lines = [*head, *(line for block in blocks for line in block.lines), *tail]
    made = "\n".join(lines) + "\n"
    return made if made == text or meaning(made) == meaning(text) else None


def meaning(text: str) -> dict[str, object] | None:
    """Return what a rule file says, without the order of its top-level keys; None if not YAML.

    The order of all else is part of it: the first word of a vocabulary wins.
    """
    problems = Problems()
    found = read("", text, problems)
    if found is None or problems.found:
        return None
    return {key: _in_order(value) for key, value in found.entries.items()}


def _in_order(node: Node) -> object:
    match node:
        case Mapping():
            return [(key, _in_order(one)) for key, one in node.entries.items()]
        case Items():
            return [_in_order(one) for one in node.items]
        case Scalar():
            return (type(node.value), node.value)


def _unmoved(path: Path) -> Problem:
    return Problem(
        "yaml",
        Place(str(path), 1, 1),
        "this file would mean something else with its keys in order",
        "put the keys in order by hand; an `&` must stand before its `*`",
    )


def _cut(node: yaml.MappingNode, lines: list[str]) -> tuple[list[str], list[_Block], list[str]]:
    """Cut a file into what stands above the first key, its keys, and what stands below the last.

    Comments belong to the key below them, with an empty line between or without.
    """
    starts = [_first_comment(lines, key.start_mark.line) for key, _ in node.value]
    # What an empty line parts from the first key is about the file.
    starts[:1] = [_comment_above(lines, key.start_mark.line) for key, _ in node.value[:1]]
    head_end = starts[0] if starts else 0
    while head_end < len(lines) and lines[head_end].startswith(_EDITOR):
        head_end += 1
    if starts:
        starts[0] = max(starts[0], head_end)
    ends = [line for line, text in enumerate(lines) if text in {"...", "---"} and line >= head_end]
    end = next((line for line in ends if not starts or line > starts[-1]), len(lines))
    blocks = [
        _Block(key.value, tuple(lines[begin:until]))
        for (key, _), (begin, until) in zip(node.value, pairwise([*starts, end]), strict=True)
    ]
    return lines[:head_end], blocks, [line for line in lines[end:] if line != "..."]


def _first_comment(lines: Sequence[str], line: int) -> int:
    first = _comment_above(lines, line)
    above = first
    while above > 0 and not lines[above - 1]:
        above -= 1
    found = _comment_above(lines, above)
    return _first_comment(lines, found) if found < above else first


def _comment_above(lines: Sequence[str], line: int) -> int:
    while line > 0 and lines[line - 1].startswith("#"):
        line -= 1
    return line


def _texts(node: yaml.Node) -> Iterable[tuple[int, int]]:
    """Yield the first and the last line of each text over several lines, whose spaces count."""
    if isinstance(node, yaml.ScalarNode):
        if node.end_mark.line > node.start_mark.line:
            last = node.end_mark.line - (1 if node.end_mark.column == 0 else 0)
            yield node.start_mark.line, last
        return
    for child in node.value:
        for one in child if isinstance(child, tuple) else (child,):
            yield from _texts(one)


def _stripped(node: yaml.Node, lines: list[str]) -> list[str]:
    """Return the lines without trailing spaces, and without empty ones at the end."""
    inside = {line for begin, end in _texts(node) for line in range(begin, end + 1)}
    made = [line if number in inside else line.rstrip() for number, line in enumerate(lines)]
    while made and not made[-1] and len(made) - 1 not in inside:
        made.pop()
    return made


def _is_below(path: Path, roots: Iterable[Path]) -> bool:
    return any(path == root or root in path.parents for root in roots)
