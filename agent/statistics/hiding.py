"""Which numbers must be hidden besides the small ones, so that no sum gives these away. Pure.

Numbers that add up are edges of a graph, sums its nodes: what goes into a node is as much as what
comes out of it. A small number is safe if it lies on rings of hidden ones: all of a ring can be
other numbers together, and nothing that is told changes. So for each small number for which what
is hidden already does not give way as far as it must, the ring is found that hides the least, of
numbers that are large enough.

What it promises: by addition and subtraction of all that is told, a hidden number below
`least` can still be each from 1 to `least`, if it is not known to be more; and any other can be at
least `least` different numbers.
"""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict, deque
from collections.abc import Hashable, Iterable, Sequence, Set
from itertools import count
from math import inf
from typing import TypeAlias

from attrs import frozen

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
    for one in sorted((one for one in cells if one.is_small), key=_order):
        if _has_room(one, [other for other in cells if other.name in hidden], least):
            continue
        ring = _ring(one, cells, hidden, least)
        if ring is None:
            return None
        hidden.update(ring)
    return frozenset(hidden)


def _order(cell: Cell) -> tuple[int, str]:
    return cell.value, repr(cell.name)


def room(value: int, least: int, floor: int = 1) -> tuple[int, int]:
    """Return how far a small number must be able to go down and up."""
    if value <= least:
        return max(0, value - max(1, floor)), least - value
    return least - 1, 0


def _has_room(cell: Cell, hidden: Iterable[Cell], least: int) -> bool:
    """Whether hidden numbers, all together, give way as far as a small one must be able to go."""
    down, up = room(cell.value, least, cell.floor)
    falls: defaultdict[Node, Counter[Node]] = defaultdict(Counter)
    rises: defaultdict[Node, Counter[Node]] = defaultdict(Counter)
    for one in hidden:
        if one.name == cell.name:
            continue
        spare = max(0, one.value - one.floor)
        for ways, ahead, back in ((falls, spare, _ANY), (rises, _ANY, spare)):
            ways[one.tail][one.head] += ahead
            ways[one.head][one.tail] += back
    return _carries(falls, cell, down) and _carries(rises, cell, up)


def _carries(ways: defaultdict[Node, Counter[Node]], cell: Cell, many: int) -> bool:
    """Whether so many can go from a cell's head back to its tail, by all ways together.

    It is found way by way, as Ford and Fulkerson do; what goes on one can be sent back by another.
    """
    while many > 0 and cell.head != cell.tail:
        way = _way(ways, cell.head, cell.tail)
        if not way:
            return False
        step = min(many, *(ways[tail][head] for tail, head in way))
        for tail, head in way:
            ways[tail][head] -= step
            ways[head][tail] += step
        many -= step
    return True


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
