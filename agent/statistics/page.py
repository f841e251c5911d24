"""The page: one HTML file with nothing outside of it, for screens of any width and for paper. Pure.

Owns the order of the questions: what decides about support comes first. It is made of `Shown`, so
it can tell nothing that is withheld.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from attrs import frozen

from agent.statistics import adoption, trouble, usage, wording
from agent.statistics.parts import STYLE as MORE_STYLE
from agent.statistics.parts import Parts
from agent.statistics.periods import FEW, left_out, number, percent, period_of
from agent.statistics.shown import Shown, count_withheld
from agent.web.html import section, serialize, tag
from agent.web.style import STYLE

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element


@frozen
class About:
    """What is said of the data: where they were read, and what could not be."""

    sources: Sequence[str]
    events: int
    others: int
    faults: int
    agent_version: str
    tables: str
    """Where the tables lie beside the page."""
    has_reports: bool = True
    """Whether a Collection report was read."""


QUESTIONS = (
    adoption.kubernetes,
    adoption.versions,
    adoption.both,
    adoption.distributions,
    adoption.active,
    usage.integrations,
    usage.per_day,
    usage.commands,
    trouble.failures,
    trouble.misconfigured,
    trouble.crashes,
    trouble.completeness,
)


def render(shown: Shown, about: About) -> bytes | None:
    """Return the page; None if there is no week to tell of."""
    period = period_of(shown)
    return None if period is None else _document(Parts(shown, period, about.tables), about)


def _document(parts: Parts, about: About) -> bytes:
    answers = [*(answer(parts) for answer in QUESTIONS), _method(parts.shown, about)]
    contents = tag(
        "nav",
        tag("ul", *(tag("li", _link(part)) for part in answers)),
        aria_label="Questions",
    )
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("title", f"BotKube in the week of {parts.period.this}"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag(
            "meta",
            http_equiv="Content-Security-Policy",
            content="default-src 'none'; style-src 'unsafe-inline'",
        ),
        tag("style", STYLE + MORE_STYLE),
    )
    body = tag(
        "body",
        tag("a", "Skip to the answers", href="#main", class_="skip"),
        tag(
            "header",
            tag("h1", "How BotKube is used"),
            tag("p", wording.week_note(parts.period)),
            _summary(parts),
            contents,
        ),
        tag("main", *answers, id="main"),
        tag(
            "footer",
            tag("p", f"Made by botkube-analytics {about.agent_version}."),
        ),
    )
    return serialize(tag("html", head, body, lang="en"))


def _summary(parts: Parts) -> Element:
    now = parts.active
    observed = parts.period.observed.get(parts.period.this)
    clusters = now.clusters if now else None
    facts = [
        ("Installations", number(now.installations if now else None)),
        ("Clusters that they name", number(clusters)),
        ("Of their time observed", percent(observed)),
        (
            "Numbers withheld below",
            f"{parts.shown.least} installations" if parts.shown.least > 1 else "none are",
        ),
    ]
    return tag(
        "dl",
        *(tag("div", tag("dt", name), tag("dd", said)) for name, said in facts),
        class_="facts",
    )


def _method(shown: Shown, about: About) -> Element:
    withheld = count_withheld(shown)
    told = (
        tag("li", f"{about.events:,} events were read, of {', '.join(about.sources)}; "
            f"{about.others:,} others are not of this agent, and {about.faults:,} lines or "
            "events could not be used. Left out are windows that end more than a day after this "
            "was made, as by a clock that is wrong."
            + ("" if about.has_reports else
               " No Collection report is among them: without one nobody knows which versions run, "
               "what is on, nor what was observed.")),
        tag("li", "An installation counts once a week, with what its latest report says. "
            "Shares are of those of which it is known, those in the files of all that reported."),
        tag("li", f"° marks fewer than {FEW} installations, or that it is withheld how many: a "
            "few more or less change much."),
        tag("li", "All of it is of installations that run this agent and let it send, which need "
            "not be like the others. Unknown is what nobody said, several what more than one "
            "said at a time, other what no list of the agent's has, as a BotKube of one's own; "
            "points are those of a share in hundredths, against the week before."),
        tag("li", "Hatched columns and bars are of a week that is not whole, or of which less "
            "than 90 % of the time was observed; dotted ones are withheld. What could not be "
            "observed is left out, and never counted as zero."),
        tag("li", _promise(shown.least)),
        tag("li", "Withheld in part or as a whole: "
            + (", ".join(f"{number(many)} rows of {name}" for name, many in withheld.items())
               or "nothing")
            + "".join(f"; {name} of {' and of '.join(map(str, weeks))} as a whole"
                      for name, weeks in left_out(shown).items()) + "."),
    )  # fmt: skip
    return section("method", "How to read this", tag("ul", *told))


def _promise(least: int) -> str:
    if least <= 1:
        return "Nothing is withheld: rows may be of one installation."
    return (
        f"Withheld (a stump, always of one size) is what tells of fewer than {least} "
        "installations, and as many other numbers as it takes to keep these from being found: "
        "by addition and subtraction of everything in this page and its tables, a withheld "
        f"number of installations, of crashes or of failures below {least} can be {least} as well, "
        "and nearly always any smaller one, too. Where that cannot be had, a week's table is left "
        "out. The totals of two weeks still tell how many at least have gone, or are new in the "
        "second of the data, and installations and clusters how many at most have none. Rows in "
        "which one installation can stand several times (commands, days, failures, configuration) "
        "have no "
        "sum: of these the small ones are withheld, and how many use a command, have a fault, "
        "had whole days or were observed if that is all, or all that were observed, but fewer "
        f"than {least}. Not kept back is who of many did not fail or crash, and what one number "
        "bounds of another without being its sum. Drawings and sentences are made of what is "
        "told."
    )


def _link(part: Element) -> Element:
    heading = part[0]
    return tag("a", heading.text or "", href=f"#{heading.get('id')}")
