"""The answers to what fails, and to how much of all that was seen. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf
from typing import TYPE_CHECKING

from agent.statistics import sentences, wording
from agent.statistics.answers import WITHHELD
from agent.statistics.charts import Trend
from agent.statistics.parts import MAX_BARS, MAX_ROWS, was
from agent.statistics.periods import (
    by_key,
    change,
    figure,
    is_number,
    number,
    of_week,
    percent,
    version_order,
)
from agent.web.html import section, tag

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

    from agent.statistics.answers import Crashes, Failure
    from agent.statistics.parts import Parts


def failures(parts: Parts) -> Element:
    """Say which notifications fail, and why."""
    rows = of_week(parts.shown.notification_failures, parts.period.this)
    rows.sort(key=lambda one: (-figure(one.rate), -figure(one.failed_all)))
    before = by_key(of_week(parts.shown.notification_failures, parts.period.before))
    rated = [one for one in rows if one.what == "event" and one.rate is not None]
    title = "Events that could not be delivered, as a share of the attempts"
    return section(
        "failures",
        "Where do notifications fail?",
        tag("p", sentences.failures(rows, parts.period), class_="said"),
        parts.bars(
            title,
            rated,
            before,
            "rate",
            lambda one: f"{one.platform}: {one.reason}",
            few=("installations", "installations_failed"),
        ),
        _by_platform(parts, rated),
        parts.table(
            f"Failures in the week of {parts.period.this}",
            (
                "platform",
                "what",
                "reason",
                "failed",
                "attempts",
                "rate",
                "rate before",
                "installations",
                "of those that tried",
                "failed in all",
                "installations in all",
            ),
            [
                (
                    one.platform,
                    one.what,
                    one.reason,
                    number(one.failed),
                    number(one.attempts),
                    percent(one.rate),
                    percent(was(before, one, "rate")),
                    number(one.installations_failed) + parts.few(one, "installations_failed"),
                    percent(one.share_failed),
                    number(one.failed_all),
                    number(one.installations) + parts.few(one),
                )
                for one in rows
            ],
            "notification_failures",
            of=rows,
            words=3,
            note="The rate is of windows in which attempts are seen, too, and of the attempts of "
            "all installations together: one that sends much can decide it, while of those that "
            "tried each counts once. In all is what failed anywhere. An event is news of the "
            "cluster, a reply the answer to a command; of what it is, or where, not every line "
            "tells (unknown).",
        ),
    )


def _by_platform(parts: Parts, rated: Sequence[Failure]) -> Element:
    """Return what each platform lost for all reasons: at least, where one is withheld."""
    were = of_week(parts.shown.notification_failures, parts.period.before)
    now, before = sentences.lost(rated), sentences.lost(were)

    def said(name: str, rates: Mapping[str, float], rows: Sequence[Failure]) -> str:
        hidden = {one.platform for one in rows if one.what == "event" and one.rate is WITHHELD}
        if not rates.get(name) and name in hidden:
            return number(WITHHELD)  # at least none says nothing
        if name not in rates:
            return number(None)
        return f"{'at least ' if name in hidden else ''}{percent(rates[name])}"

    # Of one reason they may be withheld, and of another be told.
    attempts = {one.platform: one for one in sorted(rated, key=lambda one: is_number(one.attempts))}
    return parts.table(
        f"Events lost for any reason in the week of {parts.period.this}",
        ("platform", "attempts", "lost", "lost before"),
        [
            (
                name,
                number(one.attempts) + parts.few(one, "installations_observed"),
                said(name, now, rated),
                said(name, before, were),
            )
            for name, one in sorted(attempts.items(), key=lambda one: -now.get(one[0], 0))
        ],
        "notification_failures",
        of=rated,
        none="No failure was seen of an event whose attempts are known.",
    )


def misconfigured(parts: Parts) -> Element:
    """Say which faults configurations have."""
    rows = of_week(parts.shown.configuration_errors, parts.period.this)
    rows.sort(key=lambda one: -figure(one.installations))
    before = by_key(of_week(parts.shown.configuration_errors, parts.period.before))
    title = "Faults of configuration by share of the installations that could show them"
    whose = wording.could_show(rows, list(before.values()), "faults")
    # Of all, or of those that could show one: they are not the same.
    is_alike = wording.is_told(rows) == wording.is_told(before.values())
    return section(
        "configuration",
        "What is configured wrongly?",
        tag("p", sentences.misconfigured(rows, parts.period), class_="said"),
        parts.bars(
            title,
            rows,
            before if is_alike else {},
            "share",
            lambda one: f"{one.field}: {one.reason}, {one.platform}",
            note=whose,
        ),
        parts.table(
            f"Faults in the week of {parts.period.this}",
            ("key", "reason", "platform", "times", "installations", "share", "points"),
            [
                (
                    one.field,
                    one.reason,
                    one.platform,
                    number(one.count),
                    number(one.installations) + parts.few(one),
                    percent(one.share),
                    change(one.share, was(before, one, "share")) if is_alike else "–",
                )
                for one in rows
            ],
            "configuration_errors",
            of=rows,
            words=3,
            note=whose,
        ),
    )


def _weight(row: Crashes) -> float:
    """Return how many installations a rate is of; withheld beside a rate are all but few."""
    if not is_number(row.per_1000_hours):
        return 0
    return inf if row.installations is WITHHELD else figure(row.installations)


def crashes(parts: Parts) -> Element:
    """Say which versions crash, and how."""
    rows = of_week(parts.shown.crashes, parts.period.this)
    rows.sort(key=lambda one: version_order(one.botkube_version))
    before = by_key(of_week(parts.shown.crashes, parts.period.before))
    rated = [one for one in rows if one.per_1000_hours is not None]
    kinds = of_week(parts.shown.crash_kinds, parts.period.this)
    kinds.sort(key=lambda one: (version_order(one.botkube_version), one.kind))
    title = "Crashes in 1,000 hours of an installation, by BotKube"
    return section(
        "crashes",
        "Which versions crash?",
        tag(
            "p",
            sentences.crashes(rows, kinds, parts.period),
            class_="said",
        ),
        parts.bars(
            title,
            parts.largest(rated, MAX_BARS, _weight),
            before,
            "per_1000_hours",
            lambda one: one.botkube_version,
            number,
            of=rated,
        ),
        parts.table(
            f"Crashes in the week of {parts.period.this}",
            (
                "BotKube",
                "crashes",
                "hours",
                "in 1,000 hours",
                "before",
                "installations",
                "of which crashed",
            ),
            [
                (
                    one.botkube_version,
                    number(one.crashes),
                    number(one.installation_hours),
                    number(one.per_1000_hours),
                    number(was(before, one, "per_1000_hours")),
                    number(one.installations) + parts.few(one),
                    number(one.installations_crashed) + parts.few(one, "installations_crashed"),
                )
                for one in rows
            ],
            "crashes",
            of=rows,
            note="A rate is of the hours of all installations together: one that crashes much can "
            "decide it.",
        ),
        parts.table(
            f"Kinds of crashes in the week of {parts.period.this}",
            ("BotKube", "kind", "crashes", "installations"),
            [
                (
                    one.botkube_version,
                    one.kind,
                    number(one.crashes),
                    number(one.installations) + parts.few(one),
                )
                for one in kinds
            ],
            "crash_kinds",
            of=kinds,
            words=2,
            none="None is told.",
            note=(
                "Kinds are of all windows, also of those that name several versions or none, which"
                " are in no rate: they can be more than a version's crashes. Of a version whose"
                " kinds are withheld as a whole none is here."
            ),
        ),
    )


def completeness(parts: Parts) -> Element:
    """Say how much of the time was observed, and why not the rest."""
    rows = parts.shown.completeness
    weeks = parts.period.weeks
    now = of_week(rows, parts.period.this)
    now.sort(key=lambda one: -figure(one.hours))
    before = by_key(of_week(rows, parts.period.before))
    few = {one.key: parts.few(one) for one in now}
    this = weeks.index(parts.period.this)
    trends = [
        Trend(sentences.reason(key[0]), values, percent(values[this]) + few.get(key, ""))
        for key, values in parts.by_week("completeness", rows, "share").items()
    ]
    trends.sort(key=lambda one: (one.label != "observed", one.label))
    title = "Observed and missing time by week, as a share of all time"
    return section(
        "completeness",
        "How complete are the data?",
        tag("p", sentences.completeness(rows, parts.period), class_="said"),
        parts.figure(
            parts.draw.trends(
                title,
                "; ".join(f"{one.label}: {one.text}" for one in trends),
                trends[:MAX_ROWS],
                weeks,
                parts.period.doubtful,
            ),
            title,
            parts.weekly(*(one.values for one in trends)),
        ),
        parts.table(
            f"Time in the week of {parts.period.this}",
            ("what", "hours", "share", "before", "installations"),
            [
                (
                    sentences.reason(one.reason),
                    number(one.hours),
                    percent(one.share),
                    percent(was(before, one, "share")),
                    number(one.installations) + parts.few(one),
                )
                for one in now
            ],
            "completeness",
            of=now,
            note="Reasons overlap and are added up over the streams of an installation, of which "
            "one can miss what another observed: together they can be more than what is missing. "
            "They can be less, too: between two streams that do not overlap there is none.",
        ),
        tag(
            "ul",
            *(
                tag(
                    "li",
                    tag("b", sentences.reason(one.reason)),
                    f": {wording.REASONS[one.reason]}.",
                )
                for one in now
            ),
            class_="note",
        ),
    )
