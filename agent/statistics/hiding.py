"""Which numbers must be hidden besides the small ones, so that no sum gives these away. Pure.

Numbers that add up are edges of a graph, sums its nodes: what goes into a node is as much as what
comes out of it. A small number is safe if it lies on rings of hidden ones: all of a ring can be
other numbers together, and nothing that is told changes. So for each small number for which what
is hidden already does not give way as far as it must, the ring is found that hides the least, of
numbers that are large enough.

What it promises: by addition and subtraction of all that is told, a hidden number below
`least` can still be each from 1 to `least`, if it is not known to be more; and any other that gives
way for it can be as many numbers.
"""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict, deque
from collections.abc import Hashable, Iterable, Sequence, Set
from itertools import count
from math import inf
from typing import TypeAlias

from attrs import define, field, frozen

Node: TypeAlias = Hashable
OUTSIDE: Node = None
"""Where numbers come from and go to that are in no other sum."""
_HIDDEN_ALREADY = 1e-3
_ANY = 1 << 53
"""As far as a number can rise."""


@frozen
class Cell:
    """A number: from which sum it comes, into which it goes, and what hiding it would cost.

    It is `floor` at least, as everybody knows: where only what there is has a number, that is one.
    """

    name: Hashable
    value: int
    tail: Node
    head: Node
    is_small: bool = False
    cost: float = 1.0
    floor: int = 1


def hide(
    cells: Sequence[Cell], least: int, also: Set[Hashable] = frozenset()
) -> frozenset[Hashable] | None:
    """Return the names of all cells that must be hidden; None if that is not enough.

    `also` are hidden already, for what they would tell of others elsewhere.
    """
    hidden = {one.name for one in cells if one.is_small or one.name in also}
    ways = _Ways()
    for one in cells:
        if one.name in hidden:
            ways.add(one)
    for one in sorted((one for one in cells if one.is_small), key=_order):
        if ways.have_room(one, least):
            continue
        ring = _ring(one, cells, hidden, least)
        if ring is None:
            return None
        for other in cells:
            if other.name in ring and other.name not in hidden:
                ways.add(other)
        hidden.update(ring)
    return frozenset(hidden)


def _order(cell: Cell) -> tuple[int, str]:
    return cell.value, repr(cell.name)


def room(value: int, least: int, floor: int = 1) -> tuple[int, int]:
    """Return how far a small number must be able to go down and up."""
    if value <= least:
        return max(0, value - max(1, floor)), least - value
    return least - 1, 0


@define
class _Ways:
    """How far hidden numbers can go, from a node to another: down as a sum does, and up."""

    down: defaultdict[Node, Counter[Node]] = field(factory=lambda: defaultdict(Counter))
    up: defaultdict[Node, Counter[Node]] = field(factory=lambda: defaultdict(Counter))

    def add(self, cell: Cell, sign: int = 1) -> None:
        """Let a hidden number give way, or, with a negative sign, no longer."""
        spare = sign * max(0, cell.value - cell.floor)
        for ways, ahead, back in ((self.down, spare, sign * _ANY), (self.up, sign * _ANY, spare)):
            ways[cell.tail][cell.head] += ahead
            ways[cell.head][cell.tail] += back

    def have_room(self, cell: Cell, least: int) -> bool:
        """Whether the others, all together, give way as far as a small one must be able to go."""
        down, up = room(cell.value, least, cell.floor)
        self.add(cell, -1)
        have_room = _carry(self.down, cell, down) and _carry(self.up, cell, up)
        self.add(cell)
        return have_room


def _carry(ways: defaultdict[Node, Counter[Node]], cell: Cell, many: int) -> bool:
    """Whether so many can go from a cell's head back to its tail, by all ways together.

    It is found way by way, as Ford and Fulkerson do; what goes on one can be sent back by another.
    """
    gone: list[tuple[Node, Node, int]] = []
    while many > 0 and cell.head != cell.tail:
        way = _way(ways, cell.head, cell.tail)
        if not way:
            break
        step = min(many, *(ways[tail][head] for tail, head in way))
        many -= step
        for tail, head in way:
            ways[tail][head] -= step
            ways[head][tail] += step
            gone.append((tail, head, step))
    for tail, head, step in gone:
        ways[tail][head] += step
        ways[head][tail] -= step
    return many <= 0 or cell.head == cell.tail


def _way(
    ways: defaultdict[Node, Counter[Node]], start: Node, end: Node
) -> Sequence[tuple[Node, Node]]:
    before: dict[Node, Node] = {start: start}
    waiting = deque([start])
    while waiting and end not in before:
        node = waiting.popleft()
        for to, many in ways[node].items():
            if many and to not in before:
                before[to] = node
                waiting.append(to)
    way: list[tuple[Node, Node]] = []
    while end in before and end != start:
        way.append((before[end], end))
        end = before[end]
    return way


def _ring(
    cell: Cell, cells: Iterable[Cell], hidden: set[Hashable], least: int
) -> Sequence[Hashable] | None:
    """Return the cheapest way from a cell's head back to its tail."""
    down, up = room(cell.value, least, cell.floor)
    ways: defaultdict[Node, list[tuple[Node, float, Hashable]]] = defaultdict(list)
    for one in cells:
        cost = _HIDDEN_ALREADY if one.name in hidden else one.cost
        if one.name == cell.name or cost == inf:
            continue
        if one.value - down >= one.floor:  # it falls when the cell does
            ways[one.tail].append((one.head, cost, one.name))
        if one.value - up >= one.floor:  # it falls when the cell rises
            ways[one.head].append((one.tail, cost, one.name))
    return _cheapest(ways, cell.head, cell.tail)


def _cheapest(
    ways: defaultdict[Node, list[tuple[Node, float, Hashable]]], start: Node, end: Node
) -> Sequence[Hashable] | None:
    number = count()  # nodes need not have an order
    waiting: list[tuple[float, int, Node, tuple[Hashable, ...]]] = [(0.0, 0, start, ())]
    done: set[Node] = set()
    while waiting:
        cost, _, node, way = heapq.heappop(waiting)
        if node == end:
            return way
        if node in done:
            continue
        done.add(node)
        for to, more, name in ways[node]:
            if to not in done:
                heapq.heappush(waiting, (cost + more, next(number) + 1, to, (*way, name)))
    return None
