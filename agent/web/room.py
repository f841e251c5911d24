"""Room on the page: what of a list still fits, and that there is more of it.

Owns how much a text and a list may take, in bytes as they are sent. Whatever is left out is counted
and said where it would have stood. Must not know what is shown.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.web.html import fragment, head_and_body, number, row, tag

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from xml.etree.ElementTree import Element

    from agent.web.html import Part

MAX_CHARS = 200
CUT = "\N{HORIZONTAL ELLIPSIS}"


def short(text: str, most: int = MAX_CHARS) -> str:
    """Return a text, cut visibly if it is long: a path, an address, a question."""
    return text if len(text) <= most else text[:most] + CUT


def fit(parts: Iterable[Element], room: int) -> tuple[list[Element], int]:
    """Return the first parts that fit into so many bytes together, and how many do not."""
    kept: list[Element] = []
    left = 0
    for part in parts:
        # After the first that does not fit none follows, so that nothing is missing in between.
        size = 0 if left else len(fragment(part))
        if left or size > room:
            left += 1
            continue
        kept.append(part)
        room -= size
    return kept, left


def fit_table(
    caption: str,
    head: Sequence[str],
    rows: Iterable[Sequence[Part]],
    *,
    room: int,
    rest: str,
) -> list[Element]:
    """Return a table of the rows that fit, and a sentence on those that do not."""
    kept, left = fit((row(cells) for cells in rows), room)
    return [head_and_body(caption, head, kept), *more(left, rest)]


def more(left: int, rest: str) -> list[Element]:
    """Return the sentence that says how many were left out, and where they are."""
    return [tag("p", f"{number(left)} more: {rest}.", class_="more")] if left else []


def fit_names(names: Sequence[str], room: int) -> str:
    """Return names in one line, as many as fit, and how many more there are."""
    kept: list[str] = []
    for name in names:
        room -= len(fragment(tag("p", name)))
        if room < 0:
            break
        kept.append(name)
    left = len(names) - len(kept)
    return ", ".join(kept) + (f" and {number(left)} more" if left else "")
