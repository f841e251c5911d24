"""The page's first part: what is asked first, answered in one box; then figures, switches and ids.

Owns the words for each mode. Whoever stops reading after the box shall know what happens, and how
to change it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.ledger.entries import Answer
from agent.web.html import code, moment, number, section, table, tag
from agent.web.room import fit_names, fit_table, short
from agent.web.view import NOT_READABLE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from xml.etree.ElementTree import Element

    from agent.web.html import Part
    from agent.web.view import SwitchRow, View

SWITCHES_ROOM, WITHHELD_ROOM, NAMES_ROOM = 4_000, 1_000, 500
MAX_IN_ORDER = 24
"""Of a longer list what matters most stands first, because its end may not fit."""
STATUS = "see botkube-analytics status or /api/status"
UNKNOWN = "\N{EM DASH}"
"""Stands for a figure that is not known while nothing runs; 0 would be a lie."""


def mode(view: View, contents: Element) -> Element:
    """Return the part; the links to the others stand below the box."""
    is_sending = view.mode == "on" and not (view.is_quiet or view.means)
    return section(
        "mode",
        "Mode and switches",
        tag(
            "dl",
            *(part for asked, says in _answers(view) for part in (tag("dt", asked), says)),
            class_="answers" if is_sending else "answers quiet",
        ),
        contents,
        _facts(view),
        *_switches(view),
        table("Who reports.", ("id", "value"), _ids(view)),
    )


def _answers(view: View) -> Iterator[tuple[str, Element]]:
    is_off = view.mode == "off"
    why = f", because {short(view.why)}. {view.means}"
    yield "Mode", tag("dd", tag("b", view.mode), why)
    if view.unreadable:
        yield "Not readable", _unreadable(view)
    yield ("Switch it on", _way_back(view)) if is_off else ("Next report", _next(view))
    yield "Sent so far", _sent(view)
    yield "Never leaves", _never()
    if view.withheld:
        yield "Withheld", _withheld(view)
    if view.figures.are_rules_refused:
        yield "Rules", _refused()
    if not is_off:
        yield "Switch it off", _way_out()


def _unreadable(view: View) -> Element:
    return tag(
        "dd",
        tag("b", "An off that stands there is not obeyed: "),
        f"{fit_names([short(one) for one in view.unreadable], NAMES_ROOM)}. ",
        code("botkube-analytics doctor"),
        " says what to mend.",
    )


def _way_back(view: View) -> Element:
    names = [short(one.name) for one in view.switches if one.is_off]
    return tag(
        "dd",
        f"Take back what says off: {fit_names(names, NAMES_ROOM)}. An annotation goes with ",
        code("kubectl annotate namespace NAMESPACE botkube-analytics/disable-"),
        f". It is looked at every {view.look_every_seconds} seconds, and no restart is needed.",
    )


def _next(view: View) -> Element:
    """Return when the next report leaves, or why none does."""
    if view.is_quiet:
        return tag(
            "dd",
            "Nothing is sent before ",
            moment(view.count_from_seconds or 0),
            " UTC, so that you can look first. What is counted until then never is; it is ",
            tag("a", "shown here", href="#next"),
            " and kept in the ledger.",
        )
    if view.mode == "local":
        return tag(
            "dd",
            "Nothing is sent. What would be is ",
            tag("a", "shown here", href="#next"),
            " and kept in the ledger.",
        )
    if view.next is None or not view.may_send or view.is_untold:
        return tag("dd", "None from here now.")
    trouble = _trouble(view)
    return tag(
        "dd",
        f"{trouble} The next report follows after "
        if trouble
        else "Counts are sent: the next report leaves after ",
        moment(view.next.end_seconds),
        f" UTC, to {short(view.destination)}. ",
        tag("a", "As it stands", href="#next"),
        ".",
    )


def _trouble(view: View) -> str:
    """Return what the destination has said last, if that was no yes.

    Of one that was changed since the answers say nothing.
    """
    tried = (one for one in view.entries if one.attempts and one.destination == view.destination)
    latest = max(tried, key=lambda one: one.at_seconds, default=None)
    waiting = view.figures.outbox_batches
    if latest is None:
        return ""
    if latest.answer is Answer.REJECTED:
        return f"The destination refused the last one for good ({short(latest.detail)})."
    if latest.answer is Answer.RETRY and waiting:
        why = f"The destination did not accept the last one ({short(latest.detail)})"
        return f"{why}: {number(waiting)} wait to be sent."
    return ""


def _sent(view: View) -> Element:
    if not view.entries:
        where = "that is kept" if view.ledger_path else "since the process was started"
        return tag("dd", f"Nothing {where}.")
    at = [one.at_seconds for one in view.entries if one.answer is Answer.DELIVERED]
    others = sum(bool(one.attempts) for one in view.entries) - len(at)
    dropped = view.figures.ledger_dropped
    return tag(
        "dd",
        f"Delivered: {number(len(at))} of the {number(len(view.entries))} reports that are kept",
        *((", the last at ", moment(at[0]), " UTC") if at else ()),
        *((f"; {number(others)} more left, but are not known to be accepted",) if others else ()),
        *((f"; {number(dropped)} older ones were dropped",) if dropped else ()),
        ". ",
        tag("a", "Their exact bytes", href="#reports"),
        ".",
    )


def _never() -> Element:
    return tag(
        "dd",
        "Text of a log line; names of namespaces, objects, channels, users or hosts; arguments of "
        "commands, tokens, URLs. Only words of fixed lists, numbers and ids leave: ",
        tag("a", "each field", href="#fields"),
        ".",
    )


def _withheld(view: View) -> Element:
    names = fit_names(view.withheld, WITHHELD_ROOM)
    return tag(
        "dd",
        f"The rules newly disclose something of: {names}. That alone is withheld before ",
        moment(view.withheld_until_seconds),
        " UTC, and what is counted of it until then is never sent.",
    )


def _refused() -> Element:
    return tag(
        "dd",
        "The rule files have changed and do not compile, so the last good set stays in force. The "
        "log names the first fault, ",
        code("botkube-analytics rules check"),
        " all of them.",
    )


def _way_out() -> Element:
    return tag(
        "dd",
        "Set ",
        code("BOTKUBE_ANALYTICS_DISABLE=true"),
        " or scale it to zero: ",
        tag("a", "all ways", href="#off"),
        ".",
    )


def _facts(view: View) -> Element:
    figures = view.figures
    delivered = figures.last_delivery_seconds

    def running(figure: int) -> str:
        return number(figure) if view.is_running else UNKNOWN

    facts: tuple[tuple[str, Part], ...] = (
        ("Destination", _destination(view)),
        ("Reports sealed", running(view.seq)),
        ("Delivered since the start", number(figures.batches_delivered)),
        ("Last of them", "none" if delivered is None else moment(delivered)),
        ("Batches waiting", running(figures.outbox_batches)),
        ("Batches refused, parked", running(view.parked)),
        ("Lines read", running(figures.lines_read)),
        ("Containers followed", running(figures.containers_followed)),
    )
    cards = (tag("div", tag("dt", name), tag("dd", at)) for name, at in facts)
    return tag("dl", *cards, class_="facts")


def _destination(view: View) -> str:
    promise = f", {view.promise}" if view.promise else ""
    return f"{short(view.destination)}{promise}" if view.destination else "none"


def _switches(view: View) -> list[Element]:
    winner = next((one for one in view.switches if one.is_off), None)
    switches = view.switches
    if len(switches) > MAX_IN_ORDER:
        # What says off stands first, then what cannot be read: the end may not fit.
        switches = tuple(
            sorted(switches, key=lambda one: (not one.is_off, one.value != NOT_READABLE))
        )

    def says(one: SwitchRow) -> str:
        return "off" + (", decides" * (one is winner)) if one.is_off else "no"

    return fit_table(
        "Every switch. Any that says off wins.",
        ("switch", "value", "says off"),
        [(code(short(one.name)), short(one.value), says(one)) for one in switches],
        room=SWITCHES_ROOM,
        rest=STATUS,
    )


def _ids(view: View) -> list[tuple[Part, Part]]:
    return [
        ("Installation", code(view.installation_id or "none yet")),
        ("Cluster", code(view.cluster_id or "none")),
        ("Stream", code(view.stream or "none yet")),
        ("Window", f"{number(view.window_seconds)} seconds"),
    ]
