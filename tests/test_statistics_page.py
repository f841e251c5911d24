"""The page of `report`: sentences are true whatever is withheld, drawings show what is told."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from attrs import evolve

from agent.statistics.answers import (
    WITHHELD,
    Active,
    Command,
    Completeness,
    Crashes,
    CrashKind,
    Failure,
    Integration,
    Kubernetes,
    Misconfigured,
    PerDay,
    Row,
    Told,
)
from agent.statistics.blanks import blank
from agent.statistics.charts import WIDTH
from agent.statistics.page import About, render
from agent.statistics.periods import change, figure, number, percent
from agent.statistics.sentences import reason
from agent.statistics.shown import Distribution, Minor, Pair, Shown
from agent.statistics.wording import REASONS
from tests.warehouse import FOLDER

WEEKS = [date(2026, 10, 26), date(2026, 11, 2)]
BEFORE, WEEK = WEEKS
ABOUT = About(["events.ndjson"], 9, 0, 0, "1.0.0", "report-tables")


def page_of(*, weeks: Sequence[date] = WEEKS, many: Told = 100, **tables: Sequence[Row]) -> str:
    """Return the page of weeks that are whole, and of what may be told of them."""
    told: dict[str, Sequence[Any]] = {
        "active_installations": [Active(week=week, installations=many) for week in weeks],
        "completeness": [observed(week) for week in weeks],
        **tables,
    }
    return (render(Shown(5, **told), ABOUT) or b"").decode()


def observed(week: date = WEEK, share: Told = 0.9, hours: Told = 900) -> Completeness:
    return Completeness(
        week=week, is_whole=True, reason="observed", hours=hours, share=share, installations=100
    )


def all_of(pattern: str, page: str) -> list[str]:
    """Return what there is of something between its ends."""
    return re.findall(pattern, page, re.DOTALL)


def said(page: str, question: str) -> str:
    """Return what is said to a question."""
    return " ".join(all_of(r'<p class="said">(.*?)</p>', part(page, question)))


def part(page: str, question: str) -> str:
    return all_of(rf'<h2 id="{question}">.*?</section>', page)[0]


def drawing(page: str, title: str) -> ET.Element:
    """Return the drawing that has a title."""
    drawings = (ET.fromstring(one) for one in all_of(r"<svg.*?</svg>", page))  # noqa: S314 our own page
    return next(one for one in drawings if one.findtext("title") == title)


def drawn(chart: ET.Element, kind: str) -> list[str]:
    """Return the paths of a kind."""
    return [one.get("d", "") for one in chart.findall("path") if one.get("class") == kind]


def caption(page: str, title: str) -> str:
    """Return what stands over a drawing."""
    return next(
        one for one in all_of(r"<figcaption>(.*?)</figcaption>", page) if f"<b>{title}</b>" in one
    )


def numbers(page: str, title: str) -> str:
    """Return the table of a title, with what stands below it."""
    return next(one for one in all_of(r"<details.*?</details>", page) if title in one)


def cells(page: str, title: str) -> list[list[str]]:
    (table,) = all_of(r"<table.*?</table>", numbers(page, title))
    rows = ET.fromstring(table).findall("tbody/tr")  # noqa: S314 as above
    for heard in (one for row in rows for cell in row for one in cell if one.get("class")):
        heard.text = ""
    return [["".join(cell.itertext()) for cell in row] for row in rows]


def minor(name: str, many: Told, week: date = WEEK, everyone: int = 100) -> Minor:
    return Minor(
        week=week,
        kubernetes_minor=name,
        installations=many,
        installations_all=everyone,
        share=many / everyone if isinstance(many, int) else WITHHELD,
    )


# --- whom a share is of ---------------------------------------------------------------------------

BARS = "Kubernetes by share of installations"


@pytest.mark.parametrize(
    ("unknown_before", "unknown", "told", "share", "points", "is_marked"),
    [
        (
            20,
            50,
            "1.30: 80.0 % of those of which it is known, +30.0 points",
            "80.0 %",
            "+30.0",
            True,
        ),
        # It is not known whose share that of the week before would be.
        (WITHHELD, 50, "1.30: 80.0 % of those of which it is known.", "80.0 %", "–", False),
        (20, WITHHELD, "1.30: 40.0 % of all installations, 0.0 points", "40.0 %", "0.0", True),
        (
            WITHHELD,
            WITHHELD,
            "1.30: 40.0 % of all installations, 0.0 points",
            "40.0 %",
            "0.0",
            True,
        ),
    ],
)
def test_shares_are_compared_with_shares_of_the_same(
    unknown_before: Told, unknown: Told, told: str, share: str, points: str, *, is_marked: bool
) -> None:
    page = page_of(
        kubernetes_minors=[
            minor("1.29", 40, BEFORE),
            minor("1.30", 40, BEFORE),
            minor("unknown", unknown_before, BEFORE),
            minor("1.29", 10),
            minor("1.30", 40),
            minor("unknown", unknown),
        ]
    )
    (old, row, _) = cells(page, "Kubernetes in the week")
    trends = drawing(page, f"{BARS}, week by week")

    assert told in said(page, "kubernetes")
    assert [row[2], row[4]] == [share, points]
    assert old[4].startswith("–" if points == "–" else "-")
    assert len(drawn(drawing(page, BARS), "was")) == (2 if is_marked else 0)
    whose = "known in each week" if unknown != WITHHELD else "Of all installations. "
    assert whose in caption(page, f"{BARS}, week by week") + " "
    assert ("Mark: the week before" in caption(page, BARS)) == is_marked
    assert ("Not compared with the week before" in caption(page, BARS)) != is_marked
    assert ("Not compared with the week before" in numbers(page, "Kubernetes in the")) != is_marked
    others = "The week before it was not known of 20."
    for where in (caption(page, BARS), numbers(page, "Kubernetes in the")):
        assert (others in where) == ((unknown_before, unknown) == (20, 50))
    assert len(drawn(trends, "dotted")) == (0 if is_marked else 2)
    assert ("Dotted: withheld" in caption(page, f"{BARS}, week by week")) != is_marked


def test_a_share_or_older_is_of_those_that_the_others_are_of() -> None:
    page = page_of(
        kubernetes_minors=[minor("1.29", 20), minor("1.30", 30), minor("unknown", WITHHELD)]
    )

    assert said(page, "kubernetes").endswith(
        "Of all installations (of how many it is not known is withheld), "
        "20.0 % are on Kubernetes 1.29 or older; 50.0 % on 1.30 or older."
    )


def test_the_share_of_a_pair_is_of_all() -> None:
    def pair(version: str, minor: str, many: Told) -> Pair:
        return Pair(
            week=WEEK,
            botkube_version=version,
            kubernetes_minor=minor,
            installations=many,
            installations_all=100,
            share=many / 100 if isinstance(many, int) else WITHHELD,
        )

    page = page_of(
        version_by_minor=[
            pair("v1.13", "1.30", WITHHELD),
            pair("v1.14", "1.30", 30),
            pair("v1.14", "1.31", 10),
            pair("all others", "unknown", WITHHELD),
            pair("all others", "1.30", 50),
        ]
    )

    assert said(page, "both") == (
        "Of those told apart, the most common is BotKube v1.14 on Kubernetes 1.30: "
        "30.0 % of all installations. "
        "2 numbers are withheld. "
        "Of those on Kubernetes 1.30, BotKube v1.14 is run by 30 and others, "
        "or one that is not known, by 50; other numbers are withheld."
    )
    assert "put together" not in part(page, "both")
    assert "Not complete" not in part(page, "both")
    heard = part(page, "both").count('<span class="heard">withheld</span>')
    assert heard == 2
    assert 'class="heard">none</span>' in part(page, "both")
    assert re.findall(r'class="h(.)">(\d+)<', part(page, "both")) == [
        ("2", "30"),
        ("1", "10"),
        ("3", "50"),
    ]


@pytest.mark.parametrize(
    ("told", "word"), [(60, "The most common"), (30, "The most common of those told")]
)
def test_what_is_withheld_can_be_more_common(told: int, word: str) -> None:
    page = page_of(
        kubernetes_minors=[minor("1.29", WITHHELD), minor("1.30", told), minor("1.31", WITHHELD)]
    )

    assert said(page, "kubernetes").startswith(f"{word} is Kubernetes 1.30")


@pytest.mark.parametrize(
    ("many", "names"),
    [
        (2, "1.20 and 1.21: 10.0 %"),
        (4, "1.20, 1.21, 1.22 and 1.23: 10.0 %"),
        (6, "1.20, 1.21, 1.22 and 3 more: 10.0 %"),
    ],
)
def test_several_can_be_the_most_common(many: int, names: str) -> None:
    tied = [minor(f"1.{20 + number}", 10) for number in range(many)]
    page = page_of(
        kubernetes_minors=[minor("1.20", 5, BEFORE), *tied, minor("1.40", 9)],
        version_by_minor=[
            Pair(
                week=week,
                botkube_version="v1",
                kubernetes_minor=name,
                installations=40,
                installations_all=100,
                share=0.4,
            )
            for week, name in ((BEFORE, "1.32"), (WEEK, "1.32"), (WEEK, "1.33"))
        ],
        commands=[command("get", 9), command("top", 9)],
        configuration_errors=[fault("warning", 9), fault("wrong_type", 9)],
    )

    assert said(page, "kubernetes").startswith(f"The most common are Kubernetes {names} each.")
    assert said(page, "both") == (
        "The most common are BotKube v1 on Kubernetes 1.32 and BotKube v1 on Kubernetes 1.33: "
        "40.0 % each of all installations. "
        "Of those on Kubernetes 1.32, BotKube v1 is run by 40."
    )
    assert said(page, "commands").startswith("One of the most used is get on slack: 9")
    assert said(page, "configuration").startswith("One of the most common is warning")


def test_what_could_be_dropped_is_told_up_to_a_fifth() -> None:
    old = [minor(f"1.{number}", 2) for number in range(15, 27)]
    page = page_of(kubernetes_minors=[*old, minor("1.32", 36), minor("1.33", 40)])

    assert said(page, "kubernetes").endswith(
        "Of all installations, 2.0 % are on Kubernetes 1.15 or older; 8.0 % on 1.18 or older; "
        "14.0 % on 1.21 or older; 20.0 % on 1.24 or older."
    )


@pytest.mark.parametrize(
    ("told", "bounds"),
    [
        (
            (5, WITHHELD, 5, 40, WITHHELD, 46),
            (
                "5.0 % are on Kubernetes 1.25 or older; 11.0 to 13.0 % on 1.27 or older; "
                "54.0 % on 1.29 or older."
            ),
        ),
        (  # Those that are withheld could be dropped as well.
            (WITHHELD, WITHHELD, WITHHELD, 20, 30, 40),
            (
                "1.0 to 8.0 % are on Kubernetes 1.25 or older; 2.0 to 9.0 % on 1.26 or older; "
                "10.0 % on 1.27 or older; 30.0 % on 1.28 or older."
            ),
        ),
        (  # Of the newest alone it is known how many have it or an older one.
            (WITHHELD, 5, 5, 80, WITHHELD),
            (
                "1.0 to 9.0 % are on Kubernetes 1.25 or older; 6.0 to 14.0 % on 1.26 or older; "
                "11.0 to 19.0 % on 1.27 or older; 91.0 to 99.0 % on 1.28 or older."
            ),
        ),
    ],
)
def test_the_most_that_could_be_dropped_is_told_by_its_bounds(
    told: Sequence[Told], bounds: str
) -> None:
    rows = [minor(f"1.{number}", many) for number, many in enumerate(told, 25)]
    page = page_of(kubernetes_minors=rows)

    assert said(page, "kubernetes").endswith(f"Of all installations, {bounds}")


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ([minor("other", 5)], "In none of these is other (5.0 %), which can be older."),
        (
            [minor("other", WITHHELD)],
            "In none of these is other, which can be older; how many have it is withheld.",
        ),
        (
            [minor("edge", 2), minor("other", WITHHELD)],
            (
                "In none of these are edge and other, which can be older;"
                " how many have them is withheld."
            ),
        ),
    ],
)
def test_versions_without_order_are_told_to_be_in_no_sum(rows: Sequence[Row], told: str) -> None:
    page = page_of(kubernetes_minors=[minor("1.30", 30), minor("1.31", 65), *rows])

    assert said(page, "kubernetes").endswith(told)


@pytest.mark.parametrize(
    ("gone", "unknown", "has_week", "names"),
    [
        (0, 2, True, "1.9, 1.10 and 1.11"),
        (7, 2, True, "1.11"),
        (0, 9, True, "1.11"),
        (8, 2, True, ""),
        (4, 6, True, ""),
        (WITHHELD, 2, True, ""),
        (None, 2, True, ""),
        (0, WITHHELD, True, ""),
        (0, 2, False, ""),
    ],
)
def test_what_nobody_has_any_more_is_told_if_they_were_heard_of(
    gone: Told, unknown: Told, names: str, *, has_week: bool
) -> None:
    were: list[tuple[str, Told]] = [
        ("1.9", WITHHELD),
        ("1.10", 7),
        ("1.11", 8),
        ("unknown", 2),
        ("1.30", 80),
    ]
    page = page_of(
        active_installations=[
            Active(week=BEFORE, installations=100),
            Active(week=WEEK, installations=100, installations_gone=gone),
        ],
        completeness=[observed(BEFORE), observed(share=0.95 if has_week else WITHHELD)],
        kubernetes_minors=[
            *(minor(name, many, BEFORE) for name, many in were),
            minor("unknown", unknown),
            minor("1.30", 90),
        ],
    )
    told = f"At the end of the week before, and not of this one: {names}."

    assert said(page, "kubernetes").endswith(told) == bool(names)
    assert ("not of this one" in page) == bool(names)


def test_a_week_of_which_it_is_withheld_how_much_was_observed_says_so() -> None:
    page = page_of(completeness=[observed(BEFORE), observed(share=WITHHELD)])

    assert f"The week of {WEEK} (how much was observed is withheld), compared with" in page
    assert drawn(drawing(page, "Installations that reported, by week"), "hatch") == []


def test_in_the_first_week_nobody_is_told_to_be_new() -> None:
    row = Active(week=WEEK, installations=80, installations_new=80, clusters=0)

    assert said(page_of(active_installations=[row]), "active") == (
        f"80 installations reported in the week of {WEEK}."
    )
    before = Active(week=BEFORE, installations=80)
    assert said(page_of(active_installations=[before, evolve(row, clusters=9)]), "active") == (
        f"80 installations, naming 9 clusters, reported in the week of {WEEK}; as many as the week"
        " before (80 new)."
    )


def test_what_one_of_two_weeks_has_alone_is_nothing_in_the_other() -> None:
    oldest = BEFORE - timedelta(weeks=1)
    page = page_of(
        weeks=[oldest, *WEEKS],
        kubernetes_minors=[
            minor("1.30", 100, oldest),
            minor("1.33", 40, BEFORE),
            evolve(minor("1.34", 60, BEFORE), is_complete=False),
            minor("1.33", 40),
            minor("1.35", 60),
        ],
    )
    trends = f"{BARS}, week by week"

    assert said(page, "kubernetes").startswith(
        "The most common is Kubernetes 1.35: 60.0 %, +60.0 points against the week before."
    )
    assert [one[:3] + one[4:] for one in cells(page, "Kubernetes in the week")] == [
        ["1.33", "40", "40.0 %", "0.0"],
        ["1.34", "0°", "0.0 %", "-60.0"],
        ["1.35", "60", "60.0 %", "+60.0"],
    ]
    assert "Not complete" not in numbers(page, "Kubernetes in the week")
    chart = drawing(page, BARS)
    assert chart.findtext("desc") == "1.33: 40.0 %; 1.34: 0.0 %°; 1.35: 60.0 %"
    assert [one.split()[0] for one in drawn(chart, "was")] == ["M186.7", f"M{WIDTH - 1}.0", "M1.0"]
    assert drawing(page, trends).findtext("desc") == "; ".join(
        f"{name}: 0.0 % first, {now} in the week of {WEEK}"
        for name, now in (("1.33", "40.0 %"), ("1.34", "0.0 %°"), ("1.35", "60.0 %"))
    )
    assert "Without what is told of neither this week nor the one before." in caption(page, trends)


@pytest.mark.parametrize(
    ("before", "points", "first"),
    [
        # Each that somebody has has a row, be it withheld.
        ([minor("1.33", 90, BEFORE), minor("1.34", WITHHELD, BEFORE)], "+60.0", "0.0 %"),
        # That none has it of whom it is known says nothing if it is known of none.
        ([minor("unknown", 100, BEFORE)], "–", "60.0 %"),
        # Shares of that week would be of others.
        ([minor("1.33", 90, BEFORE), minor("unknown", WITHHELD, BEFORE)], "–", "withheld"),
        ([], "–", "withheld"),
    ],
)
def test_what_had_no_row_was_nothing_only_if_it_is_told(
    before: Sequence[Row], points: str, first: str
) -> None:
    page = page_of(kubernetes_minors=[*before, minor("1.35", 60), minor("1.36", 40)])
    row = next(one for one in cells(page, "Kubernetes in the week") if one[0] == "1.35")
    is_told = points != "–"

    assert row[4] == points
    assert ("points against" in said(page, "kubernetes")) == is_told
    assert any("M1.0" in one for one in drawn(drawing(page, BARS), "was")) == is_told
    assert f"1.35: {first} first, 60.0 % in" in (
        drawing(page, f"{BARS}, week by week").findtext("desc") or ""
    )
    assert "Without what is told of neither" not in caption(page, f"{BARS}, week by week")


@pytest.mark.parametrize("which", WEEKS[-2:])
def test_of_weeks_that_are_little_observed_nobody_is_said_to_be_gone(which: date) -> None:
    were = [minor(name, 50, BEFORE) for name in ("1.29", "1.30")]
    page = page_of(
        kubernetes_minors=[*were, minor("1.30", 100)],
        completeness=[observed(week, 0.2 if week == which else 0.95) for week in WEEKS],
    )

    assert "1.29" not in said(page, "kubernetes")


def test_points_are_those_that_were_won() -> None:
    assert change(0.3, 0.2) == "+10.0"
    assert change(0.2, 0.3) == "-10.0"
    assert change(0.2, WITHHELD) == change(None, 0.2) == "–"


@pytest.mark.parametrize(
    ("share", "told"),
    [
        (0, "0.0 %"),
        (1e-7, "under 0.01 %"),
        (0.0004, "0.04 %"),
        (0.9994, "99.9 %"),
        (0.9995, "over 99.9 %"),
        (1 - 1e-7, "over 99.9 %"),
        (0.7 + 0.2 + 0.1, "100.0 %"),  # though this sum is less
        (1, "100.0 %"),
    ],
)
def test_no_share_is_told_as_all_or_nothing_that_is_not(share: float, told: str) -> None:
    assert percent(share) == told


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (0, "0"),
        (0.004, "under 0.01"),
        (0.01, "0.01"),
        (9.5, "9.50"),
        (10.4, "10"),
        (1234.5, "1,234"),
        (1234, "1,234"),
    ],
)
def test_no_number_is_told_as_nothing_that_is_not(value: float, told: str) -> None:
    assert number(value) == told


def test_a_table_tells_what_changed_since_the_week_before() -> None:
    def on(week: date, many: int) -> Integration:
        return Integration(
            week=week, kind="bot", platform="slack", installations=many, share=many / 100
        )

    def fault(week: date, many: int) -> Misconfigured:
        return Misconfigured(
            week=week,
            reason="warning",
            field="unreachable",
            platform="slack",
            count=many,
            installations=many,
            share=many / 100,
        )

    def of(week: date, many: int) -> Distribution:
        return Distribution(
            week=week, distribution="eks", installations=many, installations_all=100
        )

    page = page_of(
        distributions=[of(BEFORE, 70), of(WEEK, 40)],
        integrations=[on(BEFORE, 40), on(WEEK, 50)],
        configuration_errors=[fault(BEFORE, 50), fault(WEEK, 40)],
    )

    assert cells(page, "Distributions in the week")[0][-2:] == ["40.0 %", "-30.0"]
    assert cells(page, "Bots and sinks")[0][-1] == "+10.0"
    assert cells(page, "Faults in the week")[0][-1] == "-10.0"


# --- sentences ------------------------------------------------------------------------------------


def failure(
    platform: str, reason: str, rate: Told, what: str = "event", installations: Told = 50
) -> Failure:
    return Failure(
        week=WEEK,
        platform=platform,
        what=what,
        reason=reason,
        rate=rate,
        installations=installations,
    )


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (
            [
                failure("slack", "unreachable", 0.01),
                failure("slack", "timeout", 0.02),
                failure("teams", "timeout", 0.025),
            ],
            "slack lost most: 3.0 % of its events were not delivered.",
        ),
        (  # The winner's own reasons are no doubt about who it is.
            [
                failure("slack", "unreachable", 0.03),
                failure("slack", "timeout", WITHHELD),
                failure("teams", "timeout", 0.02),
            ],
            "slack lost most: at least 3.0 % of its events were not delivered.",
        ),
        (
            [
                failure("slack", "unreachable", 0.03),
                failure("teams", "timeout", 0.02),
                failure("teams", "unreachable", WITHHELD, installations=WITHHELD),
            ],
            "Of those told, slack lost most: 3.0 % of its events were not delivered.",
        ),
        (
            [failure("slack", "unreachable", 0.03), failure("teams", "timeout", 0.03)],
            "slack and teams lost most: 3.0 % of their events each were not delivered.",
        ),
        (
            [failure("slack", "unreachable", 0.03), failure("teams", "timeout", None)],
            (
                "Of those whose attempts are known, slack lost most: 3.0 % of its events were not"
                " delivered."
            ),
        ),
        (
            [failure("slack", "timeout", 0.0), failure("teams", "timeout", WITHHELD)],
            "Failures were seen; of how many attempts is withheld.",
        ),
        (
            [failure("slack", "timeout", WITHHELD)],
            "Failures were seen; of how many attempts is withheld.",
        ),
        (
            [failure("slack", "timeout", None, what="message")],
            "No failure was seen of an event whose attempts are known.",
        ),
        ([], "No failure was seen."),
    ],
)
def test_who_lost_most_is_said_as_far_as_it_is_told(rows: Sequence[Row], expected: str) -> None:
    told = said(page_of(notification_failures=rows), "failures")
    assert told.startswith(expected)
    assert told.removeprefix(expected).partition("ost installations met")[0] in {
        *("", " M", " Of those told, m"),
    }


def test_what_a_platform_lost_for_any_reason_stands_in_a_table() -> None:
    rows = [
        evolve(failure("slack", "unreachable", 0.01), attempts=WITHHELD),
        evolve(failure("slack", "timeout", 0.02), attempts=700, installations_observed=40),
        evolve(failure("teams", "timeout", 0.04), attempts=900, installations_observed=29),
        failure("teams", "unreachable", WITHHELD),
        failure("discord", "timeout", WITHHELD),
        failure("discord", "timeout", 0.5, what="reply"),
        failure("webhook", "timeout", None),
        evolve(failure("mattermost", "timeout", 0.0), attempts=600),
        failure("mattermost", "unreachable", WITHHELD),
        evolve(failure("slack", "timeout", 0.005), week=BEFORE),
        evolve(failure("teams", "timeout", WITHHELD), week=BEFORE),
    ]

    table = cells(page_of(notification_failures=rows), "Events lost for any reason")

    assert table == [
        ["teams", "900°", "at least 4.0 %", "withheld"],
        ["slack", "700", "3.0 %", "0.50 %"],
        ["discord", "–", "withheld", "–"],
        ["mattermost", "600", "withheld", "–"],
    ]


def hits(reason: str, many: Told, failed: Told = 12, of: Told = 60) -> Failure:
    return evolve(
        failure("slack", reason, 0.01, installations=many),
        installations_failed=failed,
        installations_observed=of,
    )


@pytest.mark.parametrize(
    ("rows", "expected", "share"),
    [
        (
            [hits("timeout", 50), hits("other", 40, 40), failure("x", "other", None, "reply", 90)],
            "Most installations met timeout on slack: 50.",
            "66.7 %",
        ),
        (
            [hits("timeout", 12), hits("other", WITHHELD, WITHHELD, WITHHELD)],
            "Of those told, most installations met timeout on slack: 12.",
            "withheld",
        ),
        (
            [hits("timeout", 12), hits("other", 12)],
            "Most installations met timeout on slack and other on slack: 12.",
            "20.0 %",
        ),
    ],
)
def test_what_most_installations_met_is_said_whatever_they_send(
    rows: Sequence[Failure], expected: str, share: str
) -> None:
    page = page_of(notification_failures=rows)

    assert said(page, "failures").endswith(f" not delivered. {expected}")
    assert share in [one[8] for one in cells(page, "Failures in the week")]


@pytest.mark.parametrize(
    ("able", "whose", "points"),
    [(90, "those that could show faults", "+10.0"), (WITHHELD, "all", "–")],
)
def test_shares_of_all_are_not_compared_with_those_of_some(
    able: Told, whose: str, points: str
) -> None:
    now = evolve(fault("missing", 30), share=0.5, installations_observable=able)
    before = evolve(now, week=BEFORE, share=0.4, installations_observable=90)
    page = page_of(configuration_errors=[now, before])

    assert said(page, "configuration").endswith(f"50.0 % of {whose}.")
    assert cells(page, "Faults in the week")[0][6] == points


@pytest.mark.parametrize(
    ("share", "note"),
    [
        (0.3, "Shares are of all installations, of which few could show no fault."),
        (None, "How many could show faults is withheld."),
    ],
)
def test_where_it_is_withheld_who_could_show_faults_no_more_is_said(share: Told, note: str) -> None:
    row = evolve(fault("missing", 30), share=share, installations_observable=WITHHELD)

    assert note in page_of(configuration_errors=[row])


def version(name: str, rate: Told) -> Crashes:
    crashes = rate * 10 if isinstance(rate, int) else rate
    return Crashes(
        week=WEEK,
        botkube_version=name,
        crashes=crashes,
        installation_hours=10_000,
        per_1000_hours=rate,
        installations=50,
    )


def kind(name: str, crashes: Told, version: str = "v1.13.0") -> CrashKind:
    return CrashKind(
        week=WEEK, botkube_version=version, kind=name, crashes=crashes, installations=9
    )


@pytest.mark.parametrize(
    ("rows", "kinds", "expected"),
    [
        (
            [version("v1.13.0", 5), version("v1.14.0", 2), version("several", WITHHELD)],
            [kind("oom", 20), kind("nil_pointer", 30), kind("panic", 90, "v1.14.0")],
            (
                "BotKube v1.13.0 crashed most for its time: 5 times in 1,000 hours, most often of "
                "kind nil_pointer."
            ),
        ),
        (
            [version("v1.13.0", 5), version("v1.14.0", WITHHELD)],
            [kind("oom", 20), kind("nil_pointer", WITHHELD)],
            (
                "Of those told, BotKube v1.13.0 crashed most for its time: 5 "
                "times in 1,000 hours, of "
                "the kinds told, most often of kind oom."
            ),
        ),
        (
            [evolve(version("v1.13.0", 1), per_1000_hours=0.004)],
            [],
            "BotKube v1.13.0 crashed most for its time: under 0.01 times in 1,000 hours.",
        ),
        (
            [version("v1.13.0", 0), version("v1.14.0", WITHHELD)],
            [],
            "No crash was seen of those versions that are told; it is withheld of 1 version.",
        ),
        (
            [version("v1.13.0", 0)],
            [],
            "No crash was seen in hours in which one version is known to have run.",
        ),
        (
            [version("v1.13.0", WITHHELD)],
            [],
            "It is withheld: it would tell of single installations.",
        ),
        (
            [version("several", WITHHELD)],
            [],
            "No hour is known in which a version ran whose crashes could be seen.",
        ),
        ([], [], "It is withheld as a whole: by sums, single installations would be found in it."),
    ],
)
def test_which_version_crashed_most_is_said_as_far_as_it_is_told(
    rows: Sequence[Row], kinds: Sequence[Row], expected: str
) -> None:
    page = page_of(crashes=rows, crash_kinds=kinds)

    assert said(page, "crashes") == expected


def missing(reason: str, hours: Told) -> Completeness:
    share = hours / 1000 if isinstance(hours, int) else WITHHELD
    return Completeness(week=WEEK, reason=reason, hours=hours, share=share, installations=9)


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (
            [
                observed(),
                missing("stopped", 30),
                missing("withheld", 60),
                missing("implausible", 99),
            ],
            (
                "90.0 % of the time of all installations was observed; of the reasons why "
                "something is missing, that of most hours is stopped (30)."
            ),
        ),
        (  # Between two streams of an installation there is no reason.
            [observed(), missing("stopped", 10), missing("delivery", 60)],
            (
                "90.0 % of the time of all installations was observed; of the reasons why something"
                " is missing, that of most hours is delivery (60); of 30 hours at least that are "
                "missing nobody says why."
            ),
        ),
        (
            [
                observed(),
                missing("stopped", 10),
                missing("delivery", 39),
                missing("implausible", 5),
            ],
            (
                "90.0 % of the time of all installations was observed; of 46 hours at least that "
                "are missing nobody says why."
            ),
        ),
        (
            [observed()],
            (
                "90.0 % of the time of all installations was observed; of 100 hours at least that "
                "are missing nobody says why."
            ),
        ),
        (  # At least: 99.9 are no 100.
            [observed(hours=899.4)],
            (
                "90.0 % of the time of all installations was observed; of 99 hours at least that "
                "are missing nobody says why."
            ),
        ),
        # It can be all that is missing.
        ([observed(), missing("implausible", WITHHELD)], "90.0 % of the time"),
        ([observed(share=0.9996)], "Over 99.9 % of the time of all installations was observed"),
        # One stream of each could not read what the other observed.
        ([observed(share=1.0), missing("unreadable", 900)], "100.0 % of the time of all"),
        ([observed(), missing("delivery", 6), missing("stopped", WITHHELD)], "90.0 % of the time"),
        ([observed(share=WITHHELD)], "It is withheld: it would tell of single installations."),
        ([missing("delivery", 900)], "0.0 % of the time of all installations was observed; of the"),
    ],
)
def test_why_time_is_missing_is_said_only_where_it_is_and_is_told(
    rows: Sequence[Row], expected: str
) -> None:
    told = said(page_of(completeness=[observed(BEFORE), *rows]), "completeness")

    assert told.startswith(expected)
    assert ("missing" in told) == ("; of" in expected)


def test_every_reason_of_the_models_has_its_meaning_beneath_the_numbers() -> None:
    models = (FOLDER / "models.sql").read_text(encoding="utf-8")
    view = models[models.index("create view completeness") :]
    named = set(re.findall(r"installation, \'(\w+)\'", view)) | set(
        re.findall(r"\'(\w+)\' as reason", view)
    )

    page = part(page_of(completeness=[missing(one, 3) for one in REASONS]), "completeness")

    assert named == set(REASONS)
    meant = all_of(r"<li><b>(.*?)</b>: .+?\.</li>", page)
    assert set(meant) == {reason(one) for one in named}


def command(name: str, many: Told) -> Command:
    return Command(
        week=WEEK,
        platform="slack",
        command=name,
        count=90,
        installations=many,
        installations_observable=60,
    )


def fault(reason: str, many: Told) -> Misconfigured:
    return Misconfigured(
        week=WEEK,
        reason=reason,
        field="Token",
        platform="slack",
        count=many,
        installations=many,
        installations_observable=100,
        share=many / 100 if isinstance(many, int) else WITHHELD,
    )


def day(platform: str, median: Told) -> PerDay:
    return PerDay(week=WEEK, platform=platform, installations=50, median=median, p90=WITHHELD)


def on(platform: str, many: Told, kind: str = "bot") -> Integration:
    share = many / 100 if isinstance(many, int) else WITHHELD
    return Integration(
        week=WEEK,
        kind=kind,
        platform=platform,
        installations=many,
        share=None if kind == "sink" else share,
        share_at_least=share,
    )


@pytest.mark.parametrize(
    ("question", "table", "rows", "expected"),
    [
        (
            "commands",
            "commands",
            [command("get", 20), command("logs", 30), command("top", 10)],
            (
                "The most used is logs on slack: 30 installations of 60 that "
                "could show commands, 90 "
                "times."
            ),
        ),
        (
            "commands",
            "commands",
            [command("get", 20), command("logs", WITHHELD)],
            (
                "Of those told, the most used is get on slack: 20 "
                "installations of 60 that could show "
                "commands, 90 times."
            ),
        ),
        (
            "commands",
            "commands",
            [evolve(command("get", 20), count=WITHHELD)],
            "The most used is get on slack: 20 installations of 60 that could show commands.",
        ),
        (
            "commands",
            "commands",
            [command("get", WITHHELD)],
            "Commands were seen; how many installations used them is withheld.",
        ),
        ("commands", "commands", [], "No command was seen."),
        (
            "configuration",
            "configuration_errors",
            [fault("warning", 20), fault("wrong_type", 30)],
            (
                "The most common is wrong_type (key Token, platform slack): "
                "30 installations, 30.0 % of "
                "those that could show faults."
            ),
        ),
        (
            "configuration",
            "configuration_errors",
            [fault("warning", WITHHELD)],
            "Faults were seen; how many installations have them is withheld.",
        ),
        ("configuration", "configuration_errors", [], "No fault was seen."),
        (
            "events",
            "events_per_day",
            [day("slack", 7)],
            "On half of the days an installation with slack handles at most 7 events a day.",
        ),
        (  # Of those that most have, however much others handle.
            "events",
            "events_per_day",
            [evolve(day("teams", 9), installations=40), day("slack", 7)],
            "On half of the days an installation with slack handles at most 7 events a day.",
        ),
        (
            "events",
            "events_per_day",
            [day("slack", WITHHELD)],
            "It is withheld: it would tell of single installations.",
        ),
        ("events", "events_per_day", [], "No day was observed as a whole."),
        (
            "integrations",
            "integrations",
            [on("slack", 20), on("teams", 30), on("discord", WITHHELD)],
            (
                "Of those told, bots switched on most often, as a share of those installations of "
                "which it is known: teams (30.0 %) and slack (20.0 %°)."
            ),
        ),
        (
            "integrations",
            "integrations",
            [on("slack", 20), on("webhook", 40, "sink"), on("pagerDuty", 0, "sink")],
            (
                "Bots switched on most often, as a share of those installations of which it is "
                "known: slack (20.0 %°). Sinks switched on most often, as a share of all "
                "installations at least: webhook (40.0 %)."
            ),
        ),
        (
            "integrations",
            "integrations",
            [on("slack", WITHHELD)],
            "It is withheld: it would tell of single installations.",
        ),
        ("integrations", "integrations", [on("slack", 0)], "None was seen to be switched on."),
        (
            "distributions",
            "distributions",
            [
                Distribution(week=WEEK, distribution=name, installations=WITHHELD)
                for name in ("eks", "gke")
            ],
            "It is withheld: it would tell of single installations.",
        ),
    ],
)
def test_none_is_told_apart_from_what_is_withheld(
    question: str, table: str, rows: Sequence[Row], expected: str
) -> None:
    told: dict[str, Any] = {table: rows}

    assert said(page_of(**told), question) == expected


# --- what is withheld as a whole ------------------------------------------------------------------


def test_what_is_not_seen_may_be_withheld_by_an_operator() -> None:
    page = page_of(completeness=[observed(BEFORE), observed(), missing("withheld", WITHHELD)])

    for question, what in (("failures", "failure"), ("configuration", "fault")):
        assert said(page, question) == f"No {what} was seen, as far as operators let it be seen."


def test_a_table_without_rows_says_why() -> None:
    page = page_of(
        kubernetes_minors=[minor("1.30", 100, BEFORE), minor("1.30", 100)],
        crashes=[version("v1", 0)],
    )

    assert said(page, "versions") == said(page, "both")
    assert said(page, "versions").startswith("It is withheld as a whole")
    assert '"report-tables/version_adoption.csv"' in part(page, "versions")
    for title, why in (
        ("Distributions in the week", "It is withheld as a whole"),
        ("By minor and distribution", "It is withheld as a whole"),
        ("Commands in the week", "None."),
        ("Kinds of crashes", "None is told."),
    ):
        assert f"<p>{why}" in numbers(page, title)
    told = part(page, "method")
    assert f"kubernetes_adoption of {BEFORE} and of {WEEK} as a whole" in told
    assert f"crashes of {BEFORE} as a whole" in told
    assert "kubernetes_minors of" not in told


def test_a_week_of_few_is_withheld_and_no_week_that_is_not_whole() -> None:
    weeks = [WEEK + timedelta(weeks=number) for number in range(4)]
    page = page_of(
        weeks=weeks,
        active_installations=[
            Active(week=week, installations=WITHHELD if week in weeks[:1] else 50) for week in weeks
        ],
        # Of the third it is withheld as a whole; and the data end in the last.
        completeness=[observed(weeks[1]), Completeness(week=weeks[3], reason="observed", share=0.5,
                                                       is_complete=False, is_whole=False)],
        kubernetes_minors=[minor("1.30", 50, week, 50) for week in (weeks[1], weeks[3])],
    )  # fmt: skip
    title = "Installations that reported, by week"

    assert f"<p>The week of {weeks[2]}, compared with that of {weeks[1]}.</p>" in page
    assert f"Hatched: {weeks[3]} (not whole)." in caption(page, title)
    assert "Dotted: withheld" in caption(page, title)
    assert len(drawn(drawing(page, title), "dotted")) == 1
    assert [one[0] for one in cells(page, "Installations by week")] == [
        f"{weeks[0]} (withheld)",
        f"{weeks[1]}",
        f"{weeks[2]}",
        f"{weeks[3]} (not whole)",
    ]
    assert said(page, "kubernetes").startswith("It is withheld as a whole")
    assert f"everything of {weeks[0]} as a whole" in part(page, "method")
    # That of the week that is left out is no zero.
    shares = drawing(page, "Observed and missing time by week, as a share of all time")
    assert len(drawn(shares, "dotted")) == 2
    assert said(page, "completeness").startswith("It is withheld as a whole")


def test_nothing_is_compared_with_a_week_that_is_withheld() -> None:
    page = page_of(
        active_installations=[
            Active(week=BEFORE, installations=WITHHELD),
            Active(week=WEEK, installations=9),
        ],
        completeness=[observed()],
        kubernetes_minors=[minor("1.30", 9, everyone=9)],
    )

    assert "the one before cannot be compared with it: it is withheld." in page
    assert "The week before is withheld." in numbers(page, "Kubernetes in the week")


def test_of_a_fleet_of_few_nothing_is_told() -> None:
    page = page_of(many=WITHHELD, completeness=[])
    told = all_of(r'<p class="said">(.*?)</p>', page)

    assert len(told) == 12
    assert {*told} == {
        "It is withheld: too few installations reported in the week to tell of them."
    }


def test_of_few_the_week_is_a_whole_one_too() -> None:
    weeks = [WEEK, WEEK + timedelta(weeks=1)]
    begun = Completeness(
        week=weeks[1], reason="observed", share=WITHHELD, is_complete=False, is_whole=False
    )
    page = page_of(weeks=weeks, many=WITHHELD, completeness=[observed(), begun])

    assert f"<title>BotKube in the week of {WEEK}</title>" in page


def test_of_a_week_in_which_nobody_reported_there_is_none() -> None:
    told = all_of(r'<p class="said">(.*?)</p>', page_of(many=0, completeness=[]))

    assert len(told) == 12
    assert {*told} == {"Nobody reported in the week."}


def test_after_a_week_in_which_nobody_reported_nobody_is_called_new_or_back() -> None:
    now = Active(week=WEEK, installations=100, installations_new=0, installations_returned=100)
    page = page_of(
        active_installations=[Active(week=BEFORE, installations=0), now], completeness=[observed()]
    )

    assert said(page, "active") == (
        f"100 installations reported in the week of {WEEK}; in the week before nobody did."
    )


@pytest.mark.parametrize(
    ("new", "returned", "gone", "expected"),
    [
        (9, 0, 7, "9 new, 0 back again, 7 gone"),
        (WITHHELD, 0, 7, "0 back again, 7 gone; how many are new is withheld"),
        (WITHHELD, WITHHELD, 7, "7 gone; how many are new or back again is withheld"),
        (WITHHELD, WITHHELD, WITHHELD, "how many are new, back again or gone is withheld"),
    ],
)
def test_who_came_is_told_or_said_to_be_withheld(
    new: Told, returned: Told, gone: Told, expected: str
) -> None:
    now = Active(
        week=WEEK,
        installations=100,
        installations_new=new,
        installations_returned=returned,
        installations_gone=gone,
    )
    page = page_of(active_installations=[Active(week=BEFORE, installations=90), now])

    assert said(page, "active").endswith(f"; 10 more than the week before ({expected}).")


# --- drawings and tables --------------------------------------------------------------------------


def test_a_bar_is_as_long_as_its_number_and_marked_where_it_was() -> None:
    page = page_of(
        kubernetes_minors=[
            minor("1.29", 80, BEFORE),
            minor("1.30", 20, BEFORE),
            minor("1.29", 20),
            minor("1.30", 40),
            minor("1.31", WITHHELD),
        ]
    )
    chart = drawing(page, BARS)

    # The longest is 80 % of the week before.
    assert [one.split("h")[1].split("v")[0] for one in drawn(chart, "bar")] == ["70.0", "140.0"]
    assert [one.split()[0] for one in drawn(chart, "was")] == [f"M{WIDTH - 1}.0", "M70.0", "M1.0"]
    assert drawn(chart, "dotted") == ["M0.5 100.5h23.0v9h-23.0z"]
    assert drawn(chart, "hatch") == []
    assert "Mark: the week before. Dotted: withheld" in caption(page, BARS)
    assert "Of all installations." in caption(page, f"{BARS}, week by week")


def test_a_drawing_that_has_not_all_rows_says_so() -> None:
    page = page_of(
        kubernetes_minors=[minor(f"1.{number}", 4) for number in range(10, 35)],
        commands=[command(f"get {number}", number) for number in range(1, 36)],
        configuration_errors=[fault(f"reason {number}", 9) for number in range(12)],
        crashes=[evolve(version(f"v1.{n}.0", 1), installations=50 + n) for n in range(14)],
    )
    crashed = "Crashes in 1,000 hours of an installation, by BotKube"

    for title in (BARS, f"{BARS}, week by week"):
        assert "The 20 largest of 25; the others are in the table." in caption(page, title)
    title = "Commands by share of the installations that could show them"
    assert "The 12 largest of 35; the others are in the table." in caption(page, title)
    page_of_few = page_of(
        commands=[command("top", WITHHELD), *(command(f"get {n}", n) for n in range(12))]
    )
    assert ". 12 of 13; the others are in the table." in caption(page_of_few, title)
    assert "largest" not in caption(
        page, "Faults of configuration by share of the installations that could show them"
    )
    told = "The 12 with most installations of 14; the others are in the table."
    assert told in caption(page, crashed)
    assert len(drawn(drawing(page, crashed), "bar")) == 12
    assert "v1.13.0" in (drawing(page, crashed).findtext("desc") or "")


@pytest.mark.parametrize(
    ("many", "could", "share", "note"),
    [
        (20, 20, "100.0 %", "same week: 60, in the week before 20."),
        (30, 60, "50.0 %", "same week: 60, in the week before 60."),
        (20, WITHHELD, "withheld", "same week: 60, in the week before withheld."),
    ],
)
def test_commands_are_compared_as_shares_of_those_that_could_show_them(
    many: Told, could: Told, share: str, note: str
) -> None:
    title = "Commands by share of the installations that could show them"
    before = evolve(command("get", many), week=BEFORE, installations_observable=could)
    hidden = evolve(command("top", WITHHELD), installations_observable=WITHHELD)
    page = page_of(commands=[before, hidden, command("get", 60)])
    chart = drawing(page, title)

    assert cells(page, "Commands in the week")[0][2:5] == ["60", "100.0 %", share]
    assert note in caption(page, title)
    assert note in numbers(page, "Commands in the week")
    assert chart.findtext("desc") == "get, slack: 100.0 %; top, slack: withheld"
    assert [one.split()[0] for one in drawn(chart, "was")] == {
        "100.0 %": [f"M{WIDTH - 1}.0"], "50.0 %": ["M140.0"], "withheld": [],
    }[share]  # fmt: skip


def test_bots_are_compared_where_they_are_known_and_sinks_not_at_all() -> None:
    def row(week: date, kind: str, platform: str, many: int, off: int) -> Integration:
        return Integration(
            week=week,
            kind=kind,
            platform=platform,
            installations=many,
            installations_disabled=off,
            installations_unknown=100 - many - off,
            share=many / (many + off) if many + off and kind == "bot" else None,
            share_at_least=many / 100,
        )

    page = page_of(
        integrations=[
            row(BEFORE, "bot", "slack", 40, 10),
            row(BEFORE, "bot", "teams", 0, 50),
            row(BEFORE, "bot", "discord", 0, 50),
            row(BEFORE, "sink", "webhook", 40, 0),
            row(BEFORE, "sink", "pagerDuty", 0, 0),
            row(WEEK, "bot", "slack", 80, 20),
            row(WEEK, "bot", "discord", 0, 0),
            row(WEEK, "bot", "teams", 0, 100),
            row(WEEK, "sink", "webhook", 60, 0),
            row(WEEK, "sink", "pagerDuty", 0, 0),
        ]
    )
    bots, sinks = (
        drawing(page, f"{kind} that are switched on, as a share {whose}")
        for kind, whose in (
            ("Bots", "of those installations of which it is known"),
            ("Sinks", "of all installations at least"),
        )
    )

    assert {one[0]: one[-2:] for one in cells(page, "Bots and sinks")} == {
        "slack": ["80.0 %", "0.0"],
        "teams": ["0.0 %", "0.0"],
        "discord": ["unknown", "–"],
        "webhook": ["at least 60.0 %", "–"],
        "pagerDuty": ["unknown", "–"],
    }
    assert bots.findtext("desc") == "slack: 80.0 %; teams: 0.0 %°; discord: unknown"
    assert [one.split()[0] for one in drawn(bots, "was")] == [f"M{WIDTH - 1}.0", "M1.0", "M1.0"]
    assert sinks.findtext("desc") == "webhook: 60.0 %; pagerDuty: unknown"
    assert drawn(sinks, "was") == []


@pytest.mark.parametrize(
    ("hidden", "whose", "slack", "note"),
    [
        ({BEFORE, WEEK}, "of all installations at least", ["at least 60.0 %", "–"], "it is known"),
        ({WEEK}, "of all installations at least", ["at least 60.0 %", "–"], "it is known"),
        ({BEFORE}, "of those installations of which it is known", ["62.5 %", "–"], "it was known"),
        (set(), "of those installations of which it is known", ["62.5 %", "+12.5"], ""),
    ],
)
def test_bots_are_told_as_shares_of_all_where_it_is_withheld_of_how_many_it_is_known(
    hidden: set[date], whose: str, slack: list[str], note: str
) -> None:
    def row(week: date, platform: str, many: Told, known: int) -> Integration:
        is_told = isinstance(many, int)
        return Integration(
            week=week,
            kind="bot",
            platform=platform,
            installations=many,
            share=figure(many) / known if is_told and week not in hidden else WITHHELD,
            share_at_least=figure(many) / 100 if is_told else WITHHELD,
        )

    page = page_of(
        integrations=[
            row(BEFORE, "slack", 48, 96),
            row(WEEK, "slack", 60, 96),
            row(WEEK, "teams", WITHHELD, 96),
        ]
    )
    chart = drawing(page, f"Bots that are switched on, as a share {whose}")

    assert {one[0]: one[-2:] for one in cells(page, "Bots and sinks")} == {
        "slack": slack,
        "teams": ["withheld", "–"],
    }
    share = slack[0].removeprefix("at least ")
    assert chart.findtext("desc") == f"slack: {share}; teams: withheld"
    assert f"as a share {whose}: slack ({share})." in said(page, "integrations")
    assert bool(drawn(chart, "was")) is not bool(hidden)
    told = numbers(page, "Bots and sinks")
    assert f"Shares of bots are {whose}" in told
    assert (f"not compared, for of how many {note}" in told) is bool(hidden)


def test_what_is_withheld_of_many_is_one_bar_that_is_dotted() -> None:
    rows = [minor(f"1.{number}", WITHHELD) for number in range(20, 24)]
    chart = drawing(page_of(kubernetes_minors=[*rows, minor("1.30", 80)]), BARS)

    assert drawn(chart, "dotted") == ["M0.5 60.5h69.0v9h-69.0z"]
    assert "4 withheld, together: 20.0 %" in (chart.findtext("desc") or "")


def test_a_rate_of_crashes_that_is_withheld_is_drawn_as_such() -> None:
    hidden = evolve(version("v1.2.0", 1), per_1000_hours=WITHHELD, crashes=WITHHELD)
    none = evolve(version("v1.3.0", 1), per_1000_hours=None)
    chart = drawing(
        page_of(crashes=[version("v1.1.0", 1), hidden, none]),
        "Crashes in 1,000 hours of an installation, by BotKube",
    )

    assert (len(drawn(chart, "bar")), len(drawn(chart, "dotted"))) == (1, 1)


def test_a_rate_of_all_but_few_is_drawn_before_others() -> None:
    rows = [version(f"v1.{number}.0", 1) for number in range(13)]
    rows += [evolve(version("v1.13.0", 9), installations=WITHHELD)]
    rows += [evolve(version("v1.14.0", WITHHELD), installations=900)]
    chart = drawing(page_of(crashes=rows), "Crashes in 1,000 hours of an installation, by BotKube")

    assert len(drawn(chart, "bar")) == 12
    assert "v1.13.0" in (chart.findtext("desc") or "")
    assert "v1.14.0" not in (chart.findtext("desc") or "")


def test_a_week_of_which_little_was_observed_is_hatched_and_it_says_so() -> None:
    page = page_of(
        kubernetes_minors=[minor("1.30", 90), minor("1.31", 10)], completeness=[observed(share=0.7)]
    )

    assert len(drawn(drawing(page, BARS), "hatch")) == 2
    assert f"Hatched: {WEEK} (70.0 % observed)." in caption(page, BARS)


def test_a_table_says_if_it_is_not_complete() -> None:
    def told(*, is_complete: bool) -> str:
        rows = [Command(week=WEEK, platform="x", command="get", is_complete=is_complete)]
        return numbers(page_of(commands=rows), "Commands in the week")

    assert "Not complete: something of this week could not be observed" in told(is_complete=False)
    assert "Not complete" not in told(is_complete=True)


def test_words_stand_left_and_numbers_right_whatever_they_begin_with() -> None:
    page = page_of(
        notification_failures=[failure("unknown", "unreachable", 0.1, installations=70)],
        completeness=[observed(), missing("withheld", 1)],
    )
    failures = numbers(page, "Failures in the week")

    assert re.findall(r'<t[hd] class="words"[^>]*>(.*?)</', failures)[-2:] == [
        "event",
        "unreachable",
    ]
    assert "<td>70</td>" in failures
    assert failures.count('class="words"') == 5
    assert '<td class="w">' not in numbers(page, "Time in the week")
    assert [one[0] for one in cells(page, "Time in the week")] == [
        "observed",
        "withheld by the operator",
    ]


def test_what_a_row_is_about_is_words_in_every_table() -> None:
    page = page_of(
        kubernetes_adoption=[Kubernetes(week=WEEK, kubernetes_minor="1.30", distribution="eks")],
        integrations=[on("slack", 20)],
        commands=[command("get", 20)],
        configuration_errors=[fault("warning", 9)],
        crash_kinds=[kind("oom", 90)],
    )

    for title, words in (
        ("By minor and distribution", ["Kubernetes", "distribution", "eks"]),
        ("Bots and sinks", ["platform", "kind", "bot"]),
        ("Commands in the week", ["command", "platform", "slack"]),
        ("Faults in the week", ["key", "reason", "platform", "warning", "slack"]),
        ("Kinds of crashes", ["BotKube", "kind", "oom"]),
    ):
        assert re.findall(r'class="words"[^>]*>(.*?)</', numbers(page, title)) == words


def test_few_are_marked_in_every_table() -> None:
    page = page_of(
        crashes=[version("v1.13.0", 9)],
        crash_kinds=[kind("oom", 90)],
        completeness=[observed(), missing("stopped", 1)],
        integrations=[on("slack", 20)],
    )

    assert cells(page, "Kinds of crashes")[0][-1] == "9°"
    assert [one[-1] for one in cells(page, "Time in the week")] == ["100", "9°"]
    assert cells(page, "Bots and sinks")[0][2] == "20°"


def test_of_how_many_a_rate_is_may_be_withheld_and_is_marked_then() -> None:
    """It would pass for one of many."""
    page = page_of(
        crashes=[evolve(version("v1.13.0", 9), installations=WITHHELD), version("v1.14.0", 3)],
        events_per_day=[evolve(day("slack", 7), installations=WITHHELD)],
    )

    assert "9° times in 1,000 hours" in said(page, "crashes")
    assert (
        drawing(page, "Crashes in 1,000 hours of an installation, by BotKube").findtext("desc")
        == "v1.13.0: 9°; v1.14.0: 3"
    )
    assert "at most 7° events" in said(page, "events")
    assert "slack: median 7°" in page


def test_growth_since_a_week_that_is_not_whole_says_so() -> None:
    page = page_of(completeness=[observed()])

    assert "; as many as the week before (not whole)" in said(page, "active")


def test_points_against_a_week_that_is_not_whole_say_so() -> None:
    page = page_of(
        completeness=[observed()],
        kubernetes_minors=[minor("1.35", 60, BEFORE), minor("1.35", 70)],
        version_by_minor=[
            Pair(
                week=week,
                botkube_version="v1.14.0",
                kubernetes_minor="1.35",
                installations=many,
                share=many / 100,
            )
            for week, many in ((BEFORE, 60), (WEEK, 70))
        ],
    )

    assert said(page, "kubernetes").startswith(
        "The most common is Kubernetes 1.35: 70.0 %, +10.0 points against the week before (not"
        " whole)."
    )
    assert "+10.0 points against the week before (not whole)" in said(page, "both")


def test_few_behind_a_rate_are_marked() -> None:
    page = page_of(
        notification_failures=[
            evolve(failure("slack", "timeout", 0.1), installations_failed=29),
            evolve(failure("teams", "timeout", 0.05), installations_failed=30),
            evolve(failure("x", "timeout", WITHHELD), installations_failed=WITHHELD),
        ],
        crashes=[evolve(version("v1.13.0", 1), installations_crashed=many) for many in (9, 40)],
    )
    rates = drawing(page, "Events that could not be delivered, as a share of the attempts")

    assert rates.findtext("desc") == (
        "slack: timeout: 10.0 %°; teams: timeout: 5.0 %; x: timeout: withheld"
    )
    assert [one[7] for one in cells(page, "Failures in the week")] == ["29°", "30", "withheld"]
    assert [one[-1] for one in cells(page, "Crashes in the week")] == ["9°", "40"]


def test_few_are_marked_in_every_drawing() -> None:
    def listed(title: str) -> str:
        return drawing(page, title).findtext("desc") or ""

    page = page_of(
        kubernetes_minors=[minor("1.29", 9), minor("1.30", 91)],
        integrations=[on("slack", 20), on("teams", 30), on("discord", WITHHELD)],
        events_per_day=[
            evolve(day("slack", 7), installations=9),
            evolve(day("x", WITHHELD), installations=9),
        ],
        commands=[command("get", 20), command("logs", 30)],
        notification_failures=[
            failure("slack", "timeout", 0.1, installations=9),
            failure("teams", "timeout", WITHHELD, installations=9),
        ],
        configuration_errors=[fault("warning", 9)],
        crashes=[evolve(version("v1.13.0", 1), installations=9), version("several", None)],
        completeness=[missing("stopped", 100), missing("delivery", 40), observed()],
    )

    assert listed(BARS) == "1.29: 9.0 %°; 1.30: 91.0 %"
    assert "9.0 %° in the week of" in listed(f"{BARS}, week by week")
    assert listed(
        "Bots that are switched on, as a share of those installations of which it is known"
    ) == ("teams: 30.0 %; slack: 20.0 %°; discord: withheld")
    assert listed("Events that an installation handles on a day") == (
        "slack: median 7°; x: median withheld"
    )
    assert listed("Commands by share of the installations that could show them") == (
        "logs, slack: 50.0 %; get, slack: 33.3 %°"
    )
    assert listed("Events that could not be delivered, as a share of the attempts") == (
        "slack: timeout: 10.0 %°; teams: timeout: withheld"
    )
    assert listed(
        "Faults of configuration by share of the installations that could show them"
    ).endswith("9.0 %°")
    assert listed("Crashes in 1,000 hours of an installation, by BotKube") == "v1.13.0: 1°"
    assert listed("Observed and missing time by week, as a share of all time") == (
        "observed: 90.0 %; delivery: 4.0 %°; stopped: 10.0 %°"
    )


def test_installations_and_clusters_have_a_table_each() -> None:
    row = Active(week=WEEK, installations=80, clusters=60, clusters_gone=7)
    page = page_of(active_installations=[row])

    assert cells(page, "Installations by week")[0][:2] == [str(WEEK), "80"]
    assert cells(page, "Clusters by week") == [[str(WEEK), "60", "–", "–", "–", "7"]]
    assert "The highest is 80" in part(page, "active")


@pytest.mark.parametrize(("clusters", "told"), [(60, "60"), (WITHHELD, "withheld"), (None, "–")])
def test_the_headline_says_how_many_clusters_are_named(clusters: Told, told: str) -> None:
    page = page_of(active_installations=[Active(week=WEEK, installations=80, clusters=clusters)])

    assert f"<dt>Clusters that they name</dt><dd>{told}</dd>" in page


def test_the_most_common_pair_is_looked_for_among_those_told_apart() -> None:
    pairs = [
        Pair(
            week=WEEK,
            botkube_version=version,
            kubernetes_minor="1.31",
            installations=many,
            installations_all=100,
            share=many / 100,
        )
        for version, many in (("v1.14", 40), ("all others", 60))
    ]
    page = page_of(version_by_minor=pairs)

    assert "Of those told apart, the most common is BotKube v1.14" in said(page, "both")


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ((7, 12, 5), "v1.14 is run by 12, v1.9 by 7 and v1.13 by 5"),
        ((WITHHELD, 12, 0), "v1.14 is run by 12; other numbers are withheld"),
        ((WITHHELD, 0, WITHHELD), None),
    ],
)
def test_what_those_on_the_oldest_minors_run_is_told(
    told: tuple[Told, ...], words: str | None
) -> None:
    """Not of those that are put together, which is told of the newer minors only."""
    pairs = [
        Pair(
            week=WEEK,
            is_complete=False,
            botkube_version=version,
            kubernetes_minor=minor,
            installations=many,
            installations_all=100,
            share=WITHHELD if many is WITHHELD else figure(many) / 100,
        )
        for minor, those in (
            ("1.31", (8, 9, 10)),
            ("1.30 or older", told),
            ("unknown", (20, 20, 20)),
        )
        for version, many in zip(("v1.9", "v1.14", "v1.13"), those, strict=True)
    ]
    page = page_of(version_by_minor=pairs)

    columns = re.findall(r'<th scope="col">([^<]*)', part(page, "both"))
    assert columns == ["BotKube", "1.30 or older", "1.31", "unknown"]
    assert "The oldest minors are put together." in part(page, "both")
    assert "Not complete: " in part(page, "both")
    assert said(page, "both").startswith("Of those told apart, the most common is BotKube v1.1")
    if words is None:
        assert "Of those on" not in said(page, "both")
    else:
        assert said(page, "both").endswith(
            f"Of those on Kubernetes 1.30 or older, BotKube {words}."
        )


@pytest.mark.parametrize("told", [0, 2])
@pytest.mark.parametrize("hidden", [3, 4])
def test_many_rows_of_which_nothing_is_told_are_one_together(hidden: int, told: int) -> None:
    """They are in the file one by one."""
    rows = [command(f"get {name}", 30) for name in range(told)]
    rows += [blank(command(f"top {name}", 4)) for name in range(hidden)]
    found = cells(page_of(commands=rows), "Commands in the week of")

    names = [one[0] for one in found]
    if hidden == 3:
        assert len(found) == told + hidden
        assert {"top 0", "top 1", "top 2"} <= {*names}
    else:
        assert names == [*(f"get {name}" for name in range(told)), "4 more" if told else "all 4"]
        assert {*found[-1][1:]} == {"withheld"}


def test_days_that_are_alike_are_not_more_than_themselves() -> None:
    day = PerDay(week=WEEK, platform="slack", installations=100, median=20, p90=20)
    page = page_of(events_per_day=[day])

    assert "at most 20 events a day, on nine days of ten at most 20." in said(page, "events")
    assert "What is withheld is not drawn" not in part(page, "events")


@pytest.mark.parametrize("name", ["p10", "p25", "median", "p75", "p90"])
def test_a_quantile_that_is_not_drawn_is_said_to_be_withheld(name: str) -> None:
    told: dict[str, Any] = {"p90": 20, name: WITHHELD}
    page = page_of(events_per_day=[evolve(day("slack", 7), **told)])

    assert "What is withheld is not drawn" in part(page, "events")
