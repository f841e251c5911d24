"""Elements of the page; the serializer of the standard library escapes every text and value.

Must not know what is shown. There is no way to put markup into a text.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

# Elements are only built here, from values of ours; nothing is ever parsed.
from xml.etree.ElementTree import Element, tostring

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Part = Element | str


def tag(name: str, /, *parts: Part, **attributes: str) -> Element:
    """Return an element; `class_` is `class`, other underlines are hyphens."""
    named = {key.rstrip("_").replace("_", "-"): value for key, value in attributes.items()}
    element = Element(name, named)
    for part in parts:
        if isinstance(part, Element):
            element.append(part)
        elif len(element):
            last = element[-1]
            last.tail = (last.tail or "") + part
        else:
            element.text = (element.text or "") + part
    return element


def serialize(root: Element) -> bytes:
    """Return a whole document."""
    return b"<!DOCTYPE html>\n" + fragment(root)


def fragment(part: Element) -> bytes:
    """Return a part of a document."""
    return tostring(part, encoding="unicode", method="html").encode()


def table(caption: str, head: Sequence[str], rows: Iterable[Sequence[Part]]) -> Element:
    """Return a table whose first column names its rows."""
    return head_and_body(caption, head, map(row, rows))


def row(cells: Sequence[Part]) -> Element:
    """Return a row of a table, named by its first cell."""
    first, *others = cells
    return tag("tr", tag("th", first, scope="row"), *(tag("td", one) for one in others))


def head_and_body(caption: str, head: Sequence[str], rows: Iterable[Element]) -> Element:
    """Return a table of rows that are made already."""
    return tag(
        "table",
        tag("caption", caption),
        tag("thead", tag("tr", *(tag("th", one, scope="col") for one in head))),
        tag("tbody", *rows),
    )


def section(name: str, title: str, *parts: Part) -> Element:
    """Return a part of the page with its heading."""
    return tag("section", tag("h2", title, id=name), *parts, aria_labelledby=name)


def code(text: str) -> Element:
    """Return a name or a command."""
    return tag("code", text)


def number(value: float) -> str:
    """Return a number with its thousands apart."""
    return f"{int(value):,}"


def moment(seconds: float) -> Element:
    """Return a time in UTC, to the minute."""
    at = datetime.fromtimestamp(seconds, UTC)
    return tag("time", f"{at:%Y-%m-%d %H:%M}", datetime=f"{at:%Y-%m-%dT%H:%M:%SZ}")


def span(start_seconds: float, end_seconds: float) -> Element:
    """Return an interval in UTC; the day of its end only if it is another one."""
    end = datetime.fromtimestamp(end_seconds, UTC)
    form = "%H:%M" if int(start_seconds) // 86_400 == int(end_seconds) // 86_400 else "%m-%d %H:%M"
    return tag("span", moment(start_seconds), f" to {end:{form}}")
