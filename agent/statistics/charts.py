"""The charts as inline SVG, 280 units wide so that their words can be read on a phone. Pure.

What is not whole is hatched, what is withheld is dotted and of one size, and each drawing says in
its description what can be seen in it. It is given only what may be told.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from math import log10
from textwrap import wrap
from typing import TYPE_CHECKING

from attrs import frozen

from agent.statistics.answers import WITHHELD, Told
from agent.statistics.periods import figure, is_number
from agent.web.html import tag

if TYPE_CHECKING:
    from datetime import date
    from xml.etree.ElementTree import Element

WIDTH = 280
_STUMP = 24
_ROW = 40
_LABEL, _VALUE = 84, 72
_LETTERS = 13
"""Of a label in a line beside its columns."""


@frozen
class Bar:
    """A bar: its label, its length and that of the period before, and its number in words."""

    label: str
    value: Told
    text: str
    before: Told = None
    is_doubtful: bool = False
    is_withheld: bool = False
    """Whether it is what all that is withheld is together."""


@frozen
class Trend:
    """A row of small columns, one a week."""

    label: str
    values: Sequence[Told]
    text: str


@frozen
class Spread:
    """A row of quantiles: a line from 10 to 90 %, a box from 25 to 75 %, the median."""

    label: str
    p10: Told
    p25: Told
    median: Told
    p75: Told
    p90: Told
    text: str


class Drawing:
    """Makes drawings whose ids are unique in a page."""

    def __init__(self) -> None:
        self._numbers = count(1)

    def _svg(self, title: str, description: str, height: int, parts: Sequence[Element]) -> Element:
        name = f"chart-{next(self._numbers)}"
        return tag(
            "svg",
            tag("title", title, id=f"{name}-title"),
            tag("desc", description, id=f"{name}-text"),
            *parts,
            viewBox=f"0 0 {WIDTH} {height}",
            role="img",
            class_="chart",
            aria_labelledby=f"{name}-title",
            aria_describedby=f"{name}-text",
        )

    def bars(self, title: str, description: str, bars: Sequence[Bar]) -> Element:
        """Return bars below each other; a mark is where each was the week before."""
        most = max([1e-9, *(figure(one.value) for one in bars), *(figure(b.before) for b in bars)])
        parts: list[Element] = []
        for row, one in enumerate(bars):
            y = row * _ROW
            parts += (_text(0, y + 14, one.label), _text(WIDTH, y + 14, one.text, "end"))
            parts += _bar(one, y + 20, WIDTH * figure(one.value) / most)
            if is_number(one.before):
                x = min(WIDTH - 1.0, max(1.0, WIDTH * figure(one.before) / most))
                parts.append(_path(f"M{x:.1f} {y + 18}v14", "was"))
        return self._svg(title, description, max(1, len(bars)) * _ROW, parts)

    def trends(
        self,
        title: str,
        description: str,
        trends: Sequence[Trend],
        weeks: Sequence[date],
        doubtful: frozenset[date],
    ) -> Element:
        """Return small columns by week for each row, all on one scale."""
        most = max([1e-9, *(figure(value) for one in trends for value in one.values)])
        step = (WIDTH - _LABEL - _VALUE) / max(1, len(weeks))
        parts: list[Element] = []
        for row, one in enumerate(trends):
            base = row * _ROW + 32
            lines = wrap(one.label, _LETTERS, break_long_words=False)
            for up, line in enumerate(reversed(lines)):
                parts.append(_text(0, base - 2 - 14 * up, line))
            parts.append(_text(WIDTH, base - 2, one.text, "end"))
            parts.append(_path(f"M{_LABEL} {base + 0.5}h{step * len(weeks):.1f}", "axis-line"))
            for week, value, number in zip(weeks, one.values, count(), strict=False):
                x, wide = _LABEL + number * step + 0.5, step - 1
                parts += _column(x, base, wide, value, 28 / most, is_hatched=week in doubtful)
        height = len(trends) * _ROW
        if weeks:
            parts.append(_text(_LABEL, height + 12, f"{weeks[0]:%d %b}", "start", "small"))
            end = WIDTH - _VALUE
            parts.append(_text(end, height + 12, f"{weeks[-1]:%d %b}", "end", "small"))
        return self._svg(title, description, height + 18, parts)

    def columns(
        self,
        title: str,
        description: str,
        values: Sequence[Told],
        weeks: Sequence[date],
        doubtful: frozenset[date],
    ) -> Element:
        """Return a column a week, with its number above if there is room."""
        most = max([1e-9, *map(figure, values)])
        step = WIDTH / max(1, len(weeks))
        parts: list[Element] = []
        for week, value, number in zip(weeks, values, count(), strict=False):
            x, wide = number * step + 1, step - 2
            parts += _column(x, 120, wide, value, 96 / most, is_hatched=week in doubtful)
            if number % max(1, len(weeks) // 4) == 0:
                parts.append(_text(x, 134, f"{week:%d %b}", "start", "small"))
        parts.append(_path(f"M0 120.5h{WIDTH}", "axis-line"))
        if any(map(is_number, values)):
            parts.append(_text(0, 14, f"The highest is {most:,.0f}", "start", "small"))
        return self._svg(title, description, 140, parts)

    def spreads(self, title: str, description: str, spreads: Sequence[Spread]) -> Element:
        """Return quantiles on a scale whose steps are tenfold."""
        named = ("p10", "p25", "median", "p75", "p90")
        most = max([10.0, *(figure(getattr(one, name)) for one in spreads for name in named)])
        scale = (WIDTH - 4) / log10(1 + most)

        def at(value: Told) -> float:
            return 2 + scale * log10(1 + figure(value))

        parts: list[Element] = []
        for row, one in enumerate(spreads):
            y = row * _ROW
            parts += (_text(0, y + 14, one.label), _text(WIDTH, y + 14, one.text, "end"))
            if is_number(one.p10) and is_number(one.p90):
                parts.append(_path(f"M{at(one.p10):.1f} {y + 26}H{at(one.p90):.1f}", "range"))
            if is_number(one.p25) and is_number(one.p75):
                wide = max(1.0, at(one.p75) - at(one.p25))
                parts.append(
                    _path(f"M{at(one.p25):.1f} {y + 20}h{wide:.1f}v12h-{wide:.1f}z", "box")
                )
            if is_number(one.median):
                parts.append(_path(f"M{at(one.median):.1f} {y + 17}v18", "was"))
            elif one.median is WITHHELD:
                parts.append(_stump(0, y + 20))
        height = max(1, len(spreads)) * _ROW
        for power in range(int(log10(most)) + 1):
            x = at(10**power)
            parts.append(_path(f"M{x:.1f} {height}v4", "axis-line"))
            parts.append(_text(min(x, WIDTH - 30), height + 16, f"{10**power:,}", "start", "small"))
        return self._svg(title, description, height + 22, parts)


def _bar(bar: Bar, y: float, length: float) -> list[Element]:
    if bar.value is WITHHELD:
        return [_stump(0, y)]
    if not is_number(bar.value):
        return [_path(f"M0 {y + 5}h{_STUMP}", "nothing")]
    length = max(1.0, length)
    if bar.is_withheld:
        return [_dotted(0, y, length, 10)]
    if bar.is_doubtful:
        return [
            _path(f"M0 {y + 5}h{length:.1f}", "hatch"),
            _path(f"M0.5 {y}h{length:.1f}v10h-{length:.1f}z", "outline"),
        ]
    return [_path(f"M0 {y}h{length:.1f}v10h-{length:.1f}z", "bar")]


def _column(
    x: float, base: float, wide: float, value: Told, scale: float, *, is_hatched: bool
) -> list[Element]:
    if value is WITHHELD:
        return [_dotted(x, base - 5, wide, 5)]
    high = scale * figure(value)
    if not high:
        return []
    high = max(1.0, high)
    if is_hatched:
        return [
            _path(f"M{x + wide / 2:.1f} {base}v-{high:.1f}", "hatch", f"{wide:.1f}"),
            _path(f"M{x:.1f} {base}v-{high:.1f}h{wide:.1f}v{high:.1f}", "outline"),
        ]
    return [_path(f"M{x:.1f} {base}v-{high:.1f}h{wide:.1f}v{high:.1f}z", "bar")]


def _stump(x: float, y: float) -> Element:
    """Return what stands for a number that is withheld, always of one size."""
    return _dotted(x, y, _STUMP, 10)


def _dotted(x: float, y: float, wide: float, high: float) -> Element:
    return _path(f"M{x + 0.5:.1f} {y + 0.5}h{wide - 1:.1f}v{high - 1}h-{wide - 1:.1f}z", "dotted")


def _path(d: str, kind: str, width: str = "") -> Element:
    more = {"style": f"stroke-width:{width}"} if width else {}
    return tag("path", d=d, class_=kind, **more)


def _text(x: float, y: float, text: str, anchor: str = "start", kind: str = "label") -> Element:
    return tag("text", text, x=f"{x:.1f}", y=f"{y:.1f}", text_anchor=anchor, class_=kind)
