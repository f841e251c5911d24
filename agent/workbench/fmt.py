"""`rules fmt`: one layout for all rule files, without losing a comment or changing a meaning.

Owns the order of the top-level keys and the whitespace around them. A key moves with its value and
the comments above it, as text; texts over several lines are never touched. What would mean
something else afterwards is left as it was.
"""

from __future__ import annotations

import sys
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import yaml
from attrs import frozen

from agent.rulefiles import is_rule_file, read_files, shipped_folder
from agent.rules.schema import RULE
from agent.workbench.faults import nearest

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@frozen
class _Block:
    """A top-level key with the comments above it, as lines."""

    key: str
    lines: tuple[str, ...]


def fmt(paths: Sequence[str], *, is_check: bool) -> int:
    """Format the given rule files and folders, or the shipped ones; or say which would change."""
    roots = [Path(path) for path in paths] or [shipped_folder()]
    files = read_files(map(str, roots))
    given = [path for path in files.paths.values() if _is_below(path, roots) and is_rule_file(path)]
    changed = 0
    for path in given:
        text = path.read_text(encoding="utf-8")
        made = format_text(text)
        if made == text:
            continue
        changed += 1
        print(nearest(str(path)))
        if not is_check:
            path.write_text(made, encoding="utf-8")
    verb = "would change" if is_check else "changed"
    print(f"{changed} of {len(given)} files {verb}", file=sys.stderr)
    return 1 if is_check and changed else 0


def format_text(text: str) -> str:
    """Return a rule file in the one layout; what is not YAML, or would change, as it is."""
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError:
        return text
    if not isinstance(node, yaml.MappingNode) or node.flow_style:
        return text
    head, blocks = _cut(node, _stripped(node, text.split("\n")))
    keys = {block.key for block in blocks}
    if "id" in keys:
        order = {key: number for number, key in enumerate(RULE)}
        blocks = sorted(blocks, key=lambda one: order.get(one.key, len(order)))
    lines = [*head, *(line for block in blocks for line in block.lines)]
    made = "\n".join(lines) + "\n"
    return made if made == text or meaning(made) == meaning(text) else text


def meaning(text: str) -> dict[str, object] | None:
    """Return what a rule file says, without the order of its top-level keys; None if not YAML.

    The order of all else is part of it: the first word of a vocabulary wins.
    """
    try:
        found = yaml.load(text, Loader=_LOADER)  # noqa: S506 a safe loader
    except yaml.YAMLError:
        return None
    if not isinstance(found, dict):
        return None
    return {key: _in_order(value) for key, value in found.items()}


def _in_order(value: object) -> object:
    if isinstance(value, dict):
        return [(key, _in_order(one)) for key, one in value.items()]
    return [_in_order(one) for one in value] if isinstance(value, list) else (type(value), value)


def _cut(node: yaml.MappingNode, lines: list[str]) -> tuple[list[str], list[_Block]]:
    """Cut a file into what stands above the first key, and its keys.

    The first comments belong to the file if an empty line follows them or they speak to an editor.
    """
    starts = [_first_comment(lines, key.start_mark.line) for key, _ in node.value]
    head_end = starts[0] if starts else 0
    while head_end < len(lines) and lines[head_end].startswith("# yaml-language-server"):
        head_end += 1
    if starts:
        starts[0] = max(starts[0], head_end)
    blocks = [
        _Block(key.value, tuple(lines[begin:end]))
        for (key, _), (begin, end) in zip(node.value, pairwise([*starts, len(lines)]), strict=True)
    ]
    return lines[:head_end], blocks


def _first_comment(lines: Sequence[str], line: int) -> int:
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
