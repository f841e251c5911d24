"""The answers to who runs what where: what decides which versions are supported. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.statistics import adopted, wording
from agent.statistics.answers import WITHHELD, Row
from agent.statistics.parts import INCOMPLETE, shares_of
from agent.statistics.periods import (
    between,
    by_key,
    change,
    figure,
    number,
    of_week,
    or_older,
    percent,
    series,
    version_order,
)
from agent.statistics.shown import OR_OLDER
from agent.web.html import head_and_body, section, tag

if TYPE_CHECKING:
    from collections.abc import Sequence
    from xml.etree.ElementTree import Element

    from agent.statistics.parts import Parts
    from agent.statistics.shown import Pair


def kubernetes(parts: Parts) -> Element:
    """Say which Kubernetes could be dropped, and who would be left behind."""
    rows = parts.shown.kubernetes_minors
    return _adoption(
        parts,
        "kubernetes",
        "Which Kubernetes versions can be dropped?",
        "Kubernetes",
        "kubernetes_minors",
        rows,
    )


def versions(parts: Parts) -> Element:
    """Say which BotKube is in use."""
    rows = parts.shown.version_adoption
    return _adoption(
        parts, "versions", "Which BotKube versions are in use?", "BotKube", "version_adoption", rows
    )


def _adoption(
    parts: Parts, name: str, question: str, what: str, table: str, rows: Sequence[Row]
) -> Element:
    now, were = parts.compared(rows)
    now.sort(key=lambda one: version_order(one.key[0]))
    if not now:
        return parts.left_out(name, question, table)
    before = by_key(were)
    older = or_older(now, parts.active.installations if parts.active else None)
    shares, shares_before = shares_of(now, now), shares_of(were, now)
    figures = [
        (
            one.key[0],
            number(one.installations) + parts.few(one),
            percent(shares.get(one.key)),
            between(bounds),
            change(shares.get(one.key), shares_before.get(one.key)),
        )
        for one, bounds in zip(now, older, strict=True)
    ]
    return section(
        name,
        question,
        *(
            tag("p", said, class_="said")
            for said in (
                adopted.adoption(rows, parts.period, what),
                adopted.droppable(rows, parts.period, parts.active, what),
            )
            if said
        ),
        tag(
            "div",
            parts.share_bars(f"{what} by share of installations", now, before),
            parts.trend(f"{what} by share of installations, week by week", now, table),
            class_="both",
        ),
        parts.table(
            f"{what} in the week of {parts.period.this}",
            (what, "installations", "share", "it or older", "points"),
            figures,
            table,
            of=now,
            note=parts.share_note(now, were),
        ),
    )


def both(parts: Parts) -> Element:
    """Say which BotKube runs on which Kubernetes."""
    name, question = "both", "Which BotKube runs on which Kubernetes?"
    now = of_week(parts.shown.version_by_minor, parts.period.this)
    if not now:
        return parts.left_out(name, question, "version_by_minor")
    cells = {one.key: one for one in now}
    versions = sorted({one.botkube_version for one in now}, key=version_order)
    minors = sorted({one.kubernetes_minor for one in now}, key=version_order)
    most = max(figure(one.installations) for one in now) or 1
    rows = [
        tag(
            "tr",
            tag("th", version, scope="row"),
            *(_heat(cells.get((version, minor)), most) for minor in minors),
        )
        for version in versions
    ]
    caption = f"Installations by BotKube (rows) and Kubernetes, week of {parts.period.this}"
    matrix = head_and_body(caption, ("BotKube", *minors), rows)
    matrix.set("class", "figures")
    return section(
        name,
        question,
        tag("p", adopted.pairs(parts.shown.version_by_minor, parts.period), class_="said"),
        parts.scrolled(matrix, caption),
        tag(
            "p",
            "A dot is no installation at all; w is withheld. ",
            # Of each alone more would be withheld.
            "The oldest minors are put together. " if minors[0].endswith(OR_OLDER) else "",
            "" if all(one.is_complete for one in now) else f"{INCOMPLETE} ",
            parts.file("version_by_minor"),
            class_="note",
        ),
    )


def distributions(parts: Parts) -> Element:
    """Say whose Kubernetes it is."""
    rows = parts.shown.distributions
    now, were = parts.compared(rows)
    now.sort(key=lambda one: -figure(one.installations))
    before = by_key(were)
    shares, shares_before = shares_of(now, now), shares_of(were, now)
    places = of_week(parts.shown.kubernetes_adoption, parts.period.this)
    of_places = shares_of(places, places)
    places.sort(key=lambda one: (version_order(one.kubernetes_minor), one.distribution))
    return section(
        "distributions",
        "Whose Kubernetes is it?",
        tag("p", adopted.adoption(rows, parts.period, "Kubernetes of"), class_="said"),
        parts.share_bars("Distributions by share of installations", now, before) if now else "",
        parts.table(
            f"Distributions in the week of {parts.period.this}",
            ("distribution", "installations", "share", "points"),
            [
                (
                    one.distribution,
                    number(one.installations) + parts.few(one),
                    percent(shares.get(one.key)),
                    change(shares.get(one.key), shares_before.get(one.key)),
                )
                for one in now
            ],
            "distributions",
            of=now,
            note=parts.share_note(now, were),
        ),
        parts.table(
            f"By minor and distribution, week of {parts.period.this}",
            ("Kubernetes", "distribution", "installations", "share"),
            [
                (
                    one.kubernetes_minor,
                    one.distribution,
                    number(one.installations) + parts.few(one),
                    percent(of_places.get(one.key)),
                )
                for one in places
            ],
            "kubernetes_adoption",
            of=places,
            note=f"Shares are {wording.whose(places)}." if places else "",
            words=2,
        ),
    )


def active(parts: Parts) -> Element:
    """Say how many installations and clusters there were, week by week."""
    rows = parts.shown.active_installations
    weeks = parts.period.weeks
    values = series(rows, weeks, "installations").get((), [])
    title = "Installations that reported, by week"
    names = ("new", "kept", "returned", "gone")
    shown = [one for one in rows if one.week in set(weeks)]
    return section(
        "active",
        "How many are there?",
        tag("p", adopted.active(rows, parts.period), class_="said"),
        parts.figure(
            parts.draw.columns(
                title, parts.described(values, weeks), values, weeks, parts.period.doubtful
            ),
            title,
            parts.weekly(values),
        ),
        *(
            parts.table(
                f"{what.capitalize()} by week",
                ("week of", what, *names, *more),
                [
                    (
                        parts.week(one.week),
                        *(number(getattr(one, name)) for name in (what, *parted, *more.values())),
                    )
                    for one in shown
                ],
                "active_installations",
                of=of_week(rows, parts.period.this),
                note="In the first week of the data all are new.",
            )
            for what, more in (
                ("installations", {"without cluster": "installations_without_cluster"}),
                ("clusters", {}),
            )
            for parted in [[f"{what}_{part}" for part in names]]
        ),
    )


def _heat(cell: Pair | None, most: float) -> Element:
    if cell is None:
        return _said("·", "none")
    if cell.installations is WITHHELD:
        return _said("w", "withheld", class_="w")
    part = figure(cell.installations) / most
    return tag("td", number(cell.installations), class_=f"h{1 + int(min(part, 0.99) * 3)}")


def _said(seen: str, heard: str, **attributes: str) -> Element:
    """Return a cell with a sign, and with a word for those who hear the page."""
    sign = tag("span", seen, aria_hidden="true", title=heard)
    return tag("td", sign, tag("span", heard, class_="heard"), **attributes)
