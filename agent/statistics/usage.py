"""The answers to what is used, and how much. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.statistics import sentences, wording
from agent.statistics.charts import Spread
from agent.statistics.parts import was
from agent.statistics.periods import (
    by_key,
    change,
    figure,
    is_number,
    number,
    of_week,
    percent,
)
from agent.statistics.shown import days_of_few
from agent.web.html import section, tag

if TYPE_CHECKING:
    from collections.abc import Iterable
    from xml.etree.ElementTree import Element

    from agent.statistics.answers import Integration, Told
    from agent.statistics.parts import Parts


def integrations(parts: Parts) -> Element:
    """Say which bots and sinks are switched on."""
    rows = parts.shown.integrations
    now = of_week(rows, parts.period.this)
    now.sort(key=lambda one: (one.share_on is None, -figure(one.share_on)))
    bots = [one for one in now if one.kind == "bot"]
    sinks = [one for one in now if one.kind == "sink"]
    were = [one for one in of_week(rows, parts.period.before) if one.kind == "bot"]
    before = by_key(were)
    return section(
        "integrations",
        "Which notifiers and bots are used?",
        tag("p", sentences.integrations(rows, parts.period), class_="said"),
        tag(
            "div",
            *(
                parts.bars(
                    f"{kind} that are switched on, as a share "
                    f"{wording.whose_integrations(of_kind)}",
                    of_kind,
                    # How lower bounds differ tells nothing.
                    {} if _are_at_least(of_kind, were) else before,
                    "share_on",
                    lambda one: one.platform,
                    _known,
                )
                for kind, of_kind in (("Bots", bots), ("Sinks", sinks))
            ),
            class_="both",
        ),
        parts.table(
            f"Bots and sinks in the week of {parts.period.this}",
            ("platform", "kind", "on", "off", "unknown", "share", "points"),
            [
                (
                    one.platform,
                    one.kind,
                    number(one.installations) + parts.few(one),
                    number(one.installations_disabled),
                    number(one.installations_unknown),
                    _at_least(one),
                    change(one.share, was(before, one, "share")),
                )
                for one in now
            ],
            "integrations",
            of=now,
            words=2,
            note=f"Shares of bots are {wording.whose_integrations(bots)}"
            f"{_not_compared(bots, were)}. Sinks are never known to be off: their shares, of all, "
            "are not compared.",
        ),
    )


def _known(share: Told) -> str:
    return "unknown" if share is None else percent(share)


def _are_at_least(*weeks: Iterable[Integration]) -> bool:
    return any(one.is_at_least for rows in weeks for one in rows)


def _not_compared(now: Iterable[Integration], before: Iterable[Integration]) -> str:
    if _are_at_least(now):
        return " and not compared, for of how many it is known is withheld"
    if _are_at_least(before):
        return " and not compared, for of how many it was known in the week before is withheld"
    return ""


def _at_least(row: Integration) -> str:
    at_least = "at least " if row.is_at_least and is_number(row.share_on) else ""
    return at_least + _known(row.share_on)


def per_day(parts: Parts) -> Element:
    """Say how many events an installation handles on a day."""
    rows = sorted(
        of_week(parts.shown.events_per_day, parts.period.this),
        key=lambda one: -figure(one.median),
    )
    before = by_key(of_week(parts.shown.events_per_day, parts.period.before))
    spreads = [
        Spread(
            one.platform,
            one.p10,
            one.p25,
            one.median,
            one.p75,
            one.p90,
            f"median {number(one.median)}"
            + (wording.mark(one, is_apart=True) if is_number(one.median) else ""),
        )
        for one in rows
    ]
    title = "Events that an installation handles on a day"
    described = "; ".join(f"{one.label}: {one.text}" for one in spreads) or "No platform."
    names = ("p10", "p25", "median", "p75", "p90", "p99")
    return section(
        "events",
        "How many events does an installation handle?",
        tag("p", sentences.per_day(rows, parts.period), class_="said"),
        parts.figure(
            parts.draw.spreads(title, described, spreads),
            f"{title}: line from 10 to 90 % of the days, box from 25 to 75 %, mark at the "
            "median; each step of the scale is tenfold",
            "What is withheld is not drawn, or dotted if it is the median."
            if wording.is_any_withheld(rows, "p10", "p25", "median", "p75", "p90")
            else "",
        ),
        parts.table(
            f"Events per installation and day, week of {parts.period.this}",
            (
                "platform",
                "installations",
                "days",
                *names,
                "median before",
                "events",
                "days left out",
            ),
            [
                (
                    one.platform,
                    number(one.installations) + parts.few(one),
                    number(one.installation_days),
                    *(number(getattr(one, name)) for name in names),
                    number(was(before, one, "median")),
                    number(one.total),
                    number(one.days_left_out),
                )
                for one in rows
            ],
            "events_per_day",
            of=rows,
            note="Only days that were observed as a whole count; days left out are those of all "
            "installations, and so in each row the same." + _beyond(parts.shown.least),
        ),
    )


def _beyond(least: int) -> str:
    if least <= 1:
        return ""
    return (
        f" A quantile is withheld unless more than {days_of_few(least)} days lie on either "
        f"side of it: these are of at least {least} installations."
    )


def commands(parts: Parts) -> Element:
    """Say which commands are used."""
    rows = of_week(parts.shown.commands, parts.period.this)
    rows.sort(key=lambda one: -figure(one.installations))
    were = of_week(parts.shown.commands, parts.period.before)
    before = by_key(were)
    title = "Commands by share of the installations that could show them"
    whose = wording.could_show(rows, were, "commands")
    return section(
        "commands",
        "Which commands are used?",
        tag("p", sentences.commands(rows, parts.period), class_="said"),
        parts.bars(
            title,
            rows,
            before,
            "share",
            lambda one: f"{one.command}, {one.platform}",
            note=whose,
        ),
        parts.table(
            f"Commands in the week of {parts.period.this}",
            (
                "command",
                "platform",
                "installations",
                "share",
                "share before",
                "times",
                "failed",
            ),
            [
                (
                    one.command,
                    one.platform,
                    number(one.installations) + parts.few(one),
                    percent(one.share),
                    percent(was(before, one, "share")),
                    number(one.count),
                    number(one.count_failed),
                )
                for one in rows
            ],
            "commands",
            of=rows,
            words=2,
            note="Commands are seen only where BotKube logs at debug: others are not counted "
            f"as zero but left out. {whose}".strip(),
        ),
    )
