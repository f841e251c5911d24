"""The last day of one event as an inline SVG: a bar an hour. Pure.

An hour without a report has no line below it, because it is not known to be zero. The figures stand
in text beside each chart too, so that nobody has to see it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.web.html import number, tag
from agent.web.lastday import HOURS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from xml.etree.ElementTree import Element

    from agent.web.lastday import Day

STEP, BAR = 12, 10
HEIGHT = 60
BASE = 3
"""The height of the line below the bars."""


def chart(day: Day, reported: Sequence[bool]) -> Element:
    """Return a figure: the bars, and what they say in words."""
    words = (
        f"{number(day.total)} in the last 24 hours, {number(sum(day.delivered))} of them "
        f"delivered; at most {number(day.highest)} in an hour"
    )
    drawing = tag(
        "svg",
        *_bars(day, reported),
        viewBox=f"0 0 {HOURS * STEP} {HEIGHT + BASE}",
        role="img",
        aria_label=f"{day.event}: {words}",
        preserveAspectRatio="none",
    )
    return tag(
        "figure",
        tag("figcaption", tag("b", day.event), f": {words}."),
        drawing,
        tag("p", "24 hours ago", tag("span", "now"), class_="axis"),
    )


def _bars(day: Day, reported: Sequence[bool]) -> list[Element]:
    """Return the three layers: the line below, what was delivered, and the rest on top of it."""
    base, low, high = "", "", ""
    for hour in range(HOURS):
        delivered, others = day.delivered[hour], day.others[hour]
        lower = _height(delivered, day.highest)
        upper = max(_height(delivered + others, day.highest), lower + 2 * bool(others))
        base += _bar(hour, HEIGHT, BASE) if reported[hour] else ""
        low += _bar(hour, HEIGHT - lower, lower)
        high += _bar(hour, HEIGHT - upper, upper - lower)
    layers = (("base", base), ("delivered", low), ("others", high))
    return [tag("path", class_=kind, d=path) for kind, path in layers if path]


def _height(count: int, highest: int) -> int:
    """Return a bar's height; what is not zero is seen."""
    return max(2, round(count * (HEIGHT - 4) / highest)) if count else 0


def _bar(hour: int, y: int, height: int) -> str:
    return f"M{hour * STEP + 1} {y}h{BAR}v{height}h-{BAR}z" if height else ""
