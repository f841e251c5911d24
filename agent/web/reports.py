"""The page's reports: the next one as it stands, the last ones with their exact bytes.

Owns how much of them stands on the page; what does not is linked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson

from agent.ledger.entries import Answer
from agent.model import REPORT
from agent.web.html import code, fragment, moment, number, section, span, tag
from agent.web.room import fit, fit_table, short

if TYPE_CHECKING:
    from collections.abc import Iterable
    from xml.etree.ElementTree import Element

    from agent.ledger.entries import Entry
    from agent.web.html import Part
    from agent.web.view import View

MAX_REPORTS = 24
MAX_PROPERTIES_CHARS = 400
COUNTS_ROOM, COLLECTION_ROOM, REPORTS_ROOM = 6_500, 7_000, 14_000
"""Bytes; what is left out is said, and the exact bytes are always one link away."""
COMMON = frozenset({"stream", "seq", "window_start", "window_end", "count", "botkube_version"})
ANSWERS = {
    Answer.WAITING: "sent, no answer known",
    Answer.DELIVERED: "delivered",
    Answer.RETRY: "not accepted, will be sent again",
    Answer.REJECTED: "refused and parked",
    Answer.DISCARDED: "not accepted when last tried, discarded",
    Answer.NOT_SENT: "not sent",
}
WHY = {
    "local": "the mode is local",
    "before_start": "before sending begins",
    "withheld": "the rules newly disclose it",
    "switched_off": "it was switched off",
    "mode_changed": "the mode or the installation changed",
    "destination_changed": "the destination was changed",
    "at_most_once": "it is not sent twice",
}


def coming(view: View, *, room: int) -> tuple[Element, int]:
    """Return the next report, its counts and its bytes if it closed now, and the room left."""
    if view.next is None:
        why = "Reading has not begun yet."
        if view.mode == "off":
            why = "Nothing is read while it is off."
        elif view.stands_by:
            why = "Nothing is read here while this replica stands by."
        return section("next", "Next report", tag("p", why)), room
    exact, room = _exact(b"\n".join(view.next.shown), room)
    events = [event for array in view.next.arrays for event in orjson.loads(array)]
    size = sum(map(len, view.next.shown))
    will = "will be sent" if view.next.is_sent else "will not be sent, only kept in the ledger"
    rows = list(_counts(events))
    counts = fit_table(
        "What was counted so far.",
        ("event", "properties", "count"),
        rows,
        room=COUNTS_ROOM,
        rest="they are in the JSON",
    )
    link = tag("a", "the same bytes", href="/api/next")
    part = section(
        "next",
        "Next report",
        tag(
            "p",
            "As it stands for the interval ",
            span(view.next.start_seconds, view.next.end_seconds),
            f" UTC. When that is over it {will}.",
        ),
        *(counts if rows else [tag("p", "Nothing was counted yet in this interval.")]),
        *_collection(events),
        tag(
            "details",
            tag("summary", f"Exact JSON, {number(size)} bytes"),
            tag("p", link),
            *exact,
            id="next-json",
        ),
    )
    return part, room


def _counts(events: Iterable[dict[str, object]]) -> Iterable[tuple[Part, ...]]:
    for event in events:
        properties = event.get("properties")
        if not isinstance(properties, dict) or event["event"] == REPORT:
            continue
        own = (f"{name}={value}" for name, value in properties.items() if name not in COMMON)
        said = short(", ".join(own), MAX_PROPERTIES_CHARS)
        yield short(str(event["event"])), said, number(properties["count"])


def _collection(events: Iterable[dict[str, object]]) -> Iterable[Element]:
    for event in events:
        properties = event.get("properties")
        if isinstance(properties, dict) and event["event"] == REPORT:
            own = [(code(short(name)), short(_value(at))) for name, at in properties.items()]
            title = f"{REPORT}: {len(own)} fields about the interval itself"
            rows = fit_table(
                f"Its {REPORT}.",
                ("field", "value"),
                own,
                room=COLLECTION_ROOM,
                rest="they are in the JSON",
            )
            yield tag("details", tag("summary", title), *rows)


def last(view: View, *, room: int) -> Element:
    """Return the last reports, the newest first, with exact bytes as far as there is room."""
    if not view.entries:
        return section("reports", "Last reports", tag("p", "No report was made yet."))
    latest = view.entries[:MAX_REPORTS]
    bare, _ = fit((_report(entry, []) for entry in latest), REPORTS_ROOM)
    shown = []
    for entry, _without in zip(latest, bare, strict=False):
        exact, room = _exact(entry.array, room) if entry.size < room else ([], room)
        shown.append(_report(entry, exact))
    others = len(view.entries) - len(shown)
    more = f" {number(others)} older ones are in the ledger." if others > 0 else ""
    return section(
        "reports",
        "Last reports",
        tag(
            "p",
            f"The last {number(len(shown))}, the newest first, byte for byte.{more} All: ",
            code("botkube-analytics ledger"),
            ", or ",
            tag("a", "the list as JSON", href="/api/ledger"),
            ".",
        ),
        *shown,
    )


def _report(entry: Entry, exact: list[Element]) -> Element:
    is_delivered = entry.answer is Answer.DELIVERED
    says = ANSWERS[entry.answer]
    why = WHY.get(entry.detail, short(entry.detail))
    window = entry.summary
    rows: list[tuple[Part, Part]] = [
        ("Destination", short(entry.destination) or "none"),
        ("Answer", f"{says}: {why}" if why else says),
        ("Known since", moment(entry.at_seconds)),
        ("Attempts", number(entry.attempts)),
        ("sha256", code(entry.digest)),
    ]
    return tag(
        "details",
        tag(
            "summary",
            tag("b", f"{entry.number}"),
            ": ",
            span(window.start_seconds, window.end_seconds),
            f", {number(entry.events)} events, {number(entry.size)} bytes, ",
            tag("span", says, class_="answer" if is_delivered else "answer others"),
        ),
        tag("dl", *(part for name, at in rows for part in (tag("dt", name), tag("dd", at)))),
        tag("p", tag("a", "its bytes alone", href=f"/api/ledger/{entry.number}")),
        *exact,
    )


def _exact(array: bytes, room: int) -> tuple[list[Element], int]:
    """Return bytes as they are, if there is room for them on the page, and the room left."""
    shown = tag("pre", array.decode(), tabindex="0", role="region", aria_label="Exact JSON")
    left = room - len(fragment(shown))
    return ([shown], left) if left >= 0 else ([], room)


def _value(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
