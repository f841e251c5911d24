"""The last day of one event as an inline SVG: a bar an hour. Pure.

An hour without a report has no line below it, because it is not known to be zero. The figures stand
in text beside each chart too, so that nobody has to see it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.web.html import number, tag
from agent.web.lastday import HOUR_SECONDS, HOURS, first_hour

if TYPE_CHECKING:
    from collections.abc import Sequence
    from xml.etree.ElementTree import Element

    from agent.web.lastday import Day

STEP, BAR = 12, 10
HEIGHT = 60
BASE = 3
"""The height of the line below the bars."""


def chart(day: Day, reported: Sequence[bool], *, now_seconds: int) -> Element:
    """Return a figure: the bars, and what they say in words."""
    words = (
        f"{number(day.total)} in the last 24 hours, {number(sum(day.delivered))} of them "
        f"delivered; at most {number(day.highest)} in an hour"
    )
    bars: list[Element] = []
    for hour in range(HOURS):
        bars += _hour(day, hour, is_reported=reported[hour], now_seconds=now_seconds)
    width = HOURS * STEP
    drawing = tag(
        "svg",
        *bars,
        viewBox=f"0 0 {width} {HEIGHT + BASE}",
        role="img",
        aria_label=f"{day.event}: {words}",
        preserveAspectRatio="none",
    )
    return tag(
        "figure",
        tag("figcaption", tag("b", day.event), f" {words}."),
        drawing,
        tag("p", "24 hours ago", tag("span", "now"), class_="axis"),
    )


def _hour(day: Day, hour: int, *, is_reported: bool, now_seconds: int) -> list[Element]:
    delivered, others = day.delivered[hour], day.others[hour]
    low = _height(delivered, day.highest)
    high = _height(delivered + others, day.highest)
    at = first_hour(now_seconds) // HOUR_SECONDS % 24 + hour
    title = f"{at % 24:02}:00 UTC: {number(delivered)} delivered, {number(others)} not"
    drawn = []
    if is_reported:
        drawn.append(_bar(hour, HEIGHT, BASE, "base", title))
    if low:
        drawn.append(_bar(hour, HEIGHT - low, low, "delivered", title))
    if high > low:
        drawn.append(_bar(hour, HEIGHT - high, high - low, "others", title))
    return drawn


def _height(count: int, highest: int) -> int:
    """Return a bar's height; what is not zero is seen."""
    return max(2, round(count * (HEIGHT - 2) / highest)) if count else 0


def _bar(hour: int, y: int, height: int, kind: str, title: str) -> Element:
    return tag(
        "rect",
        tag("title", title),
        class_=kind,
        x=str(hour * STEP + 1),
        y=str(y),
        width=str(BAR),
        height=str(height),
    )
