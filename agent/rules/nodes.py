"""YAML text -> nodes that remember where they stand.

Owns reading YAML without losing places, what of YAML a rule file may use, and how much of it: a
small file can name itself over and over. Must not know what a rule is. Pure: text comes in, nodes
or faults go out.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import yaml
from attrs import field, frozen

from agent.rules.misreadings import Lines, fault_of
from agent.rules.places import Problem

if TYPE_CHECKING:
    from agent.rules.places import Place, Problems

MAX_NODES = 50_000
MAX_DEPTH = 40


@frozen
class Scalar:
    """A YAML scalar as PyYAML's safe loader reads it, and as it is written."""

    place: Place
    value: str | int | float | bool | None
    text: str = ""


@frozen
class Items:
    """A YAML sequence."""

    place: Place
    items: tuple[Node, ...]


@frozen
class Mapping:
    """A YAML mapping; keys are strings and each stands once."""

    place: Place
    entries: dict[str, Node] = field(factory=dict)
    keys: dict[str, Place] = field(factory=dict)


Node = Scalar | Items | Mapping

_FAST = getattr(yaml, "CSafeLoader", None)
_TAG = "tag:yaml.org,2002:"
_AS_TEXT = frozenset({f"{_TAG}timestamp", f"{_TAG}value", f"{_TAG}merge"})
_WHOLE = re.compile(r"[-+]?(?:0|[1-9][0-9]*)")
_A_TAG = "a tag, which begins with !, has no meaning here"
_NO_TAG = "write the value without it, in quotes if it begins with !"


class _TooLargeError(Exception):
    """What a file holds more of than a rule file may; nothing else of it is looked at."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


def read(path: str, text: str, problems: Problems) -> Mapping | None:
    """Read one file whose top is a mapping; faults go to `problems`."""
    text = text.removeprefix("\ufeff")
    lines = Lines(path, text)
    start = lines.start
    loader: yaml.SafeLoader | None = None
    try:
        loader = yaml.SafeLoader(text)
        node = _compose(text, loader)
        if node is None:
            problems.add("yaml", start, "the file is empty", "write a rule or delete the file")
            return None
        found = _Nodes(lines, loader, problems).convert(node, 0)
    except (yaml.YAMLError, RecursionError) as error:
        problems.found.append(fault_of(error, text, lines, max_depth=MAX_DEPTH))
        return None
    except _TooLargeError as error:
        problems.found.append(error.problem)
        return None
    finally:
        if loader is not None:
            loader.dispose()
    if not isinstance(found, Mapping):
        problems.add("type", start, "a rule file is a mapping", "begin with `id: ...`")
        return None
    return found


def _compose(text: str, loader: yaml.SafeLoader) -> yaml.Node | None:
    """Compose with libyaml, ten times as fast; faults are left to the one whose words we know."""
    if _FAST is not None:
        fast: yaml.SafeLoader = _FAST(text)
        try:
            return fast.get_single_node()
        except yaml.YAMLError as error:
            if "nesting depth" in str(error):
                raise RecursionError from error  # the other one takes seconds to find out
    return loader.get_single_node()


class _Nodes:
    """Turns composed YAML into nodes, each alias written out, within the bounds of a file."""

    def __init__(self, lines: Lines, loader: yaml.SafeLoader, problems: Problems) -> None:
        self._lines = lines
        self._loader = loader
        self._problems = problems
        self._count = 0
        self._open: set[int] = set()

    def convert(self, node: yaml.Node, depth: int) -> Node:
        """Return a node and all in it."""
        is_block = isinstance(node, yaml.CollectionNode) and not node.flow_style
        end = None if is_block else node.end_mark
        place = self._lines.place(node.start_mark, end)
        self._count += 1
        if self._count > MAX_NODES:
            self._refuse(
                place, f"this file has more than {MAX_NODES} values", "write fewer `*` aliases"
            )
        if id(node) in self._open:
            what = "what this names stands inside itself"
            raise _TooLargeError(Problem("yaml", place, what, "write its values out"))
        if depth > MAX_DEPTH:
            self._refuse(place, f"this stands more than {MAX_DEPTH} deep", "close the brackets")
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, place)
        kind = "seq" if isinstance(node, yaml.SequenceNode) else "map"
        if node.tag != f"{_TAG}{kind}":
            self._add(place, _A_TAG, _NO_TAG)
            if depth:
                return Scalar(place, None)  # what is meant by it nobody knows
        self._open.add(id(node))
        made: Node
        if isinstance(node, yaml.SequenceNode):
            made = Items(place, tuple(self.convert(item, depth + 1) for item in node.value))
        else:
            made = self._mapping(node, place, depth)
        self._open.discard(id(node))
        return made

    def _mapping(self, node: yaml.Node, place: Place, depth: int) -> Mapping:
        found = Mapping(place)
        for key_node, value_node in node.value:
            at = self._lines.place(key_node.start_mark)
            if key_node.tag == f"{_TAG}merge":
                self._add(at, "merge keys are not read here", "write the keys out")
                continue
            if not isinstance(key_node, yaml.ScalarNode):
                self._problems.add("type", at, "a key is a plain word", "write `name: value`")
                continue
            key = key_node.value
            if key in found.entries:
                first = found.keys[key].line
                self._problems.add(
                    "duplicate-key",
                    at,
                    f"{key!r} stands twice",
                    f"remove one of the two, the first is in line {first}",
                )
                # Which of the two is meant nobody knows.
                found.entries[key] = Scalar(at, None)
                continue
            found.keys[key] = at
            found.entries[key] = self.convert(value_node, depth + 1)
        return found

    def _scalar(self, node: yaml.ScalarNode, place: Place) -> Scalar:
        """Return a scalar's value: no date, and no number that is written in a way of its own.

        YAML 1.1 reads 010 as 8 and 1:30 as 90; both stay the text that they are.
        """
        text = node.value
        try:
            text.encode()
        except UnicodeEncodeError:
            self._add(place, "half a character stands here", "remove the escape `\\ud8..`")
            return Scalar(place, "", "")
        if node.tag == f"{_TAG}str":
            return Scalar(place, text, text)
        is_plain = not node.style
        implicit = (is_plain, not is_plain)
        plain: str = self._loader.resolve(yaml.ScalarNode, text, implicit)  # type: ignore[no-untyped-call]
        if node.tag != plain:
            self._add(place, _A_TAG, _NO_TAG)
            return Scalar(place, text, text)
        if node.tag in _AS_TEXT or (node.tag == f"{_TAG}int" and not _WHOLE.fullmatch(text)):
            return Scalar(place, text, text)
        try:
            return Scalar(place, self._loader.construct_object(node), text)
        except ValueError:  # Python reads no number of more than 4,300 digits
            self._add(place, "this number is too long", "write fewer digits")
            return Scalar(place, 0, text)

    def _add(self, place: Place, message: str, hint: str) -> None:
        self._problems.add("yaml", place, message, hint)

    def _refuse(self, place: Place, message: str, hint: str) -> None:
        raise _TooLargeError(Problem("too-large", place, message, hint))
