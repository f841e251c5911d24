"""The page that shows everything: one document without script, image, font or any other request.

Owns what stands where and the words around the figures. Must not know sockets or where the figures
come from. Everything shown is a number, a word of a closed list or an id, and is escaped all the
same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.web import reports
from agent.web.charts import chart
from agent.web.html import (
    code,
    fragment,
    head_and_body,
    moment,
    number,
    row,
    section,
    serialize,
    table,
    tag,
)
from agent.web.lastday import last_day, reported
from agent.web.mode import MAX_IN_ORDER, STATUS, mode
from agent.web.room import fit, fit_table, more, short
from agent.web.style import STYLE
from agent.web.words import AROUND, EVERY_CALL, PROPERTIES, sentence

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

    from agent.web.html import Part
    from agent.web.view import View

TITLE = "BotKube Analytics"
PARTS = (
    ("mode", "Mode and switches"),
    ("next", "Next report"),
    ("reports", "Last reports"),
    ("day", "Last day"),
    ("gaps", "Gaps"),
    ("fields", "What each field tells about you"),
    ("rules", "Rules"),
    ("off", "Switch it off"),
    ("verify", "Check it yourself"),
)
MAIN_ENDS = b"</main>"
MAX_BYTES = 98_000
"""The document stays below it whatever there is to show: each list has a room of its own, as bytes,
and what they leave goes to the exact JSON. The shipped rules and a full day fit with some to spare.
"""
DAY_ROOM, GAPS_ROOM, FIELDS_ROOM, RULES_ROOM = 14_000, 7_500, 3_000, 20_500


def page(view: View) -> bytes:
    """Return the whole document, with as much exact JSON as there is room for."""
    before, after = serialize(_frame(view)).split(MAIN_ENDS)
    first = fragment(mode(view, _contents()))
    rest = b"".join(map(fragment, (_day(view), _gaps(view), _fields(view), _rules(view))))
    rest += b"".join(map(fragment, (_off(), _verify(view)))) + MAIN_ENDS + after
    bare = _reports(view, room=0)
    room = MAX_BYTES - sum(map(len, (before, first, bare, rest)))
    return before + first + _reports(view, room=room) + rest


def _reports(view: View, *, room: int) -> bytes:
    coming, room = reports.coming(view, room=room)
    return fragment(coming) + fragment(reports.last(view, room=room))


def _frame(view: View) -> Element:
    """Return all that stands around the parts."""
    return tag(
        "html",
        tag(
            "head",
            tag("meta", charset="utf-8"),
            tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
            tag("title", f"{TITLE}: {view.mode}"),
            tag("style", STYLE),
        ),
        tag(
            "body",
            tag("a", "Skip to the content", href="#content", class_="skip"),
            tag("header", tag("h1", TITLE), _about()),
            tag("main", id="content"),
            tag(
                "footer",
                f"Version {view.version}. Made at ",
                moment(view.now_seconds),
                " UTC; all times are UTC. Reload for newer figures, or ask for ",
                tag("a", "the same as JSON", href="/api/status"),
                ".",
            ),
        ),
        lang="en",
    )


def _about() -> Element:
    return tag(
        "p",
        "This agent reads the logs of BotKube in your cluster, counts what happened, and reports "
        "the counts while it is on. This page shows all of it, changes nothing, and is served to "
        "this machine alone.",
    )


def _contents() -> Element:
    links = (tag("li", tag("a", title, href=f"#{name}")) for name, title in PARTS)
    return tag("nav", tag("ul", *links), aria_label="On this page")


def _day(view: View) -> Element:
    days = last_day(view.entries, now_seconds=view.now_seconds)
    covered = reported(view.entries, now_seconds=view.now_seconds)
    busiest = sorted(days, key=lambda day: -day.total) if len(days) > MAX_IN_ORDER else days
    charts, left = fit((chart(day, covered) for day in busiest), DAY_ROOM)
    legend = tag(
        "p",
        tag("span", "delivered", class_="key"),
        " \u00a0 ",
        tag("span", "not delivered", class_="key not"),
        " \u00a0 ",
        tag(
            "span",
            "hours of which a report is kept; others are not known",
            class_="key none",
        ),
    )
    shown = (legend, tag("div", *charts, class_="charts"), *more(left, STATUS))
    return section("day", "Last day", *(shown if days else (tag("p", "Nothing was counted."),)))


def _gaps(view: View) -> Element:
    if not view.gaps:
        return section("gaps", "Gaps", tag("p", "No gap since the agent was started."))
    rows = [
        (
            tag("span", moment(one.start_seconds), " to ", moment(one.end_seconds)),
            one.reason,
            f"{number(max(1, one.end_seconds - one.start_seconds))} s",
        )
        for one in view.gaps
    ]
    caption = "Intervals in which lines of a container could not be had, the latest first."
    head = ("from and to", "reason", "length")
    return section(
        "gaps", "Gaps", *fit_table(caption, head, rows, room=GAPS_ROOM, rest="see /api/status")
    )


def _fields(view: View) -> Element:
    own = {name for names in view.properties.values() for name in names}
    other = sorted(name for name in own if name not in PROPERTIES)
    rows = [(code(name), says) for name, says in PROPERTIES.items()]
    kept, left = fit((row((code(short(one)), sentence(one))) for one in other), FIELDS_ROOM)
    head = ("field", "what it tells about you")
    return section(
        "fields",
        "What each field tells about you",
        head_and_body("Properties of counts and reports.", head, [*map(row, rows), *kept]),
        *more(left, "see botkube-analytics plan"),
        table("Fields of every call.", head, [(code(one), say) for one, say in EVERY_CALL.items()]),
        table("Around the calls.", head, [(code(one), say) for one, say in AROUND.items()]),
    )


def _rules(view: View) -> Element:
    shown = sorted(view.rules, key=lambda rule: (-rule.hits, rule.id))
    rows = [
        (
            tag("span", code(short(one.id))),
            tag("span", tag("b", short(one.event)), f": {short(one.question)}")
            if one.event
            else "a fact of the container, or a part of another rule's pair",
            number(one.hits),
        )
        for one in shown
    ]
    caption = (
        f"{len(view.rules)} rules in force, digest {view.figures.rules_digest}; "
        "hits since the process was started, most first."
    )
    head = ("rule", "what it counts, and which question that answers", "hits")
    rest = "hits are in /api/status, questions in botkube-analytics plan"
    return section("rules", "Rules", *fit_table(caption, head, rows, room=RULES_ROOM, rest=rest))


def _off() -> Element:
    ways = (
        (
            "Set ",
            "BOTKUBE_ANALYTICS_DISABLE=true",
            " or ",
            "DO_NOT_TRACK=1",
            " in its environment.",
        ),
        ("Set ", "analytics.disable: true", " in its configuration file."),
        ("Start it with ", "--analytics-disable", "."),
        ("Annotate the namespace of BotKube: ", 'botkube-analytics/disable: "true"', "."),
        (
            "Set BotKube's own ",
            "analytics.disable: true",
            ", if a switch on this page has its name, or ",
            "BOTKUBE_ANALYTICS_DISABLE=true",
            " in the environment of its pods.",
        ),
        (
            "Scale it to zero: nothing is sent on the way out. What waits is kept, and sent when "
            "it starts again."
        ),
        ("With Helm, set ", "analytics.disable=true", ": then there is no pod, and no state."),
        ("To keep the counts and send nothing, take the write key away."),
    )
    return section(
        "off",
        "Switch it off",
        tag("p", "Any one of these is enough, and no other setting undoes it:"),
        tag("ul", *(tag("li", *_coded(way)) for way in ways)),
        tag(
            "p",
            "Off by one of the first three means: no connection, no name look-up, no page; only "
            "the health port listens; what was counted before and not sent yet is kept, and sent "
            "when it is on again. For those in the cluster the API server is asked, nothing is "
            "read or sent, and what was not sent is discarded.",
        ),
    )


def _coded(way: tuple[str, ...] | str) -> list[Part]:
    """Return a sentence in which every second piece is code."""
    if isinstance(way, str):
        return [way]
    return [code(piece) if at % 2 else piece for at, piece in enumerate(way)]


def _verify(view: View) -> Element:
    figures = view.figures
    where: list[Part] = ["nowhere; set ledger.path to keep them over a restart"]
    if view.ledger_path:
        where = [code(short(view.ledger_path))]
        if figures.ledger_failures:
            times = number(figures.ledger_failures)
            where.append(f", which failed {times} times; what cannot be written is in memory alone")
    steps = (
        (
            "See what your own logs would give: ",
            "kubectl logs deploy/botkube | botkube-analytics preview --format json -",
        ),
        (
            "See that no text of them would change it: ",
            "kubectl logs deploy/botkube | botkube-analytics prove -",
        ),
        (
            "Print a report exactly as it was sent: ",
            "botkube-analytics ledger show 1",
            "; its digest is that of ",
            "sha256sum",
            ".",
        ),
        ("See why each line counts as what it does: ", "botkube-analytics rules explain pod.log"),
        ("Read all that can leave: ", "PRIVACY.md", " and ", "agent/anonymize.py", "."),
        ("Let ", "destination.endpoint", " point to a server of your own and read what arrives."),
    )
    return section(
        "verify",
        "Check it yourself",
        tag("ul", *(tag("li", *_coded(step)) for step in steps)),
        tag(
            "p",
            f"The ledger holds {number(len(view.entries))} reports in "
            f"{number(figures.ledger_bytes)} bytes; {number(figures.ledger_dropped)} older ones "
            f"were dropped. On disk: ",
            *where,
            ".",
        ),
    )
