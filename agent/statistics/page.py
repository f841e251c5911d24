"""The page: one HTML file with nothing outside of it, for screens of any width and for paper. Pure.

Owns the order of the questions: what decides about support comes first. It is made of `Shown`, so
it can tell nothing that is withheld.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from attrs import field, frozen

from agent.statistics import sentences
from agent.statistics.answers import WITHHELD, Row, Told
from agent.statistics.charts import Bar, Drawing, Spread, Trend
from agent.statistics.periods import (
    FEW,
    Period,
    between,
    by_key,
    change,
    figure,
    is_number,
    not_known,
    number,
    of_known,
    of_week,
    or_older,
    percent,
    period_of,
    series,
    version_order,
)
from agent.statistics.withhold import Pair, Shown, count_withheld
from agent.web.html import head_and_body, section, serialize, tag
from agent.web.style import STYLE

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

AnyRow = TypeVar("AnyRow", bound=Row)
Key: TypeAlias = tuple[str, ...]

MAX_ROWS = 20
"""Of a chart. The table below it has all."""
MAX_BARS = 12
"""Of a chart that is about what is used or fails."""
MAX_STUMPS = 3
"""Bars of what is withheld; more are one together."""
MAX_OPEN = 15
"""Rows of a table that is open at once."""

_INCOMPLETE = (
    "Not complete: something of this week could not be observed or has not arrived, so there may "
    "be more."
)
_MORE_STYLE = """\
svg.chart{height:auto;max-width:24rem;overflow:visible}
.chart text{fill:var(--text);font:12px system-ui,sans-serif}
.chart text.small{fill:var(--soft);font-size:11px}
.chart .bar,.chart .box{fill:var(--good)}
.chart .box{fill-opacity:.45}
.chart .range{stroke:var(--good);stroke-width:2}
.chart .was{stroke:var(--other);stroke-width:2.5}
.chart .axis-line,.chart .nothing{stroke:var(--line)}
.chart .hatch{stroke:var(--soft);stroke-width:10;stroke-dasharray:2 2;fill:none}
.chart .hatch.low{stroke-width:4}
.chart .outline{stroke:var(--good);fill:none}
.said{font-size:1.1rem;max-width:48rem}
.note{color:var(--soft);font-size:.875rem}
.wide{overflow-x:auto}
.wide table{min-width:100%;width:auto}
.wide tbody th{min-width:0;white-space:nowrap}
.figures thead th:first-child{text-align:left}
.figures td,.figures thead th+th:not(.words){text-align:right;font-variant-numeric:tabular-nums;
white-space:nowrap}
.figures td.words,.figures thead th.words{text-align:left}
td.h1{background:color-mix(in srgb,var(--good) 8%,transparent)}
td.h2{background:color-mix(in srgb,var(--good) 18%,transparent)}
td.h3{background:color-mix(in srgb,var(--good) 28%,transparent)}
td.w{color:var(--soft);font-style:italic}
.both{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,20rem),1fr));gap:1rem}
figure{justify-content:flex-start;margin:.5rem 0;max-width:30rem}
@media (max-width:32rem){th,td{font-size:.85rem}}
@media print{:root{color-scheme:light;--text:#000;--soft:#444;--back:#fff;--card:#fff;
--line:#999;--link:#000;--good:#1a4fa0;--other:#a04a00}
body{max-width:none;padding:0;font-size:10pt}nav,.skip{display:none}
figure,tr,.answers{break-inside:avoid}h2,h3,.said{break-after:avoid}
.wide{overflow:visible}td.h1,td.h2,td.h3,.chart{print-color-adjust:exact}
details::details-content{content-visibility:visible;display:block;block-size:auto}}
"""


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
    ahead: int = 0
    """How many events were left out for a clock that is ahead."""


def render(shown: Shown, about: About) -> bytes | None:
    """Return the page; None if there is no week to tell of."""
    period = period_of(shown)
    return None if period is None else _Page(shown, period, about).document()


@frozen(eq=False)
class _Page:
    shown: Shown
    period: Period
    about: About
    draw: Drawing = field(factory=Drawing)

    def document(self) -> bytes:
        parts = [
            self._kubernetes(),
            self._versions(),
            self._both(),
            self._distributions(),
            self._active(),
            self._integrations(),
            self._per_day(),
            self._commands(),
            self._failures(),
            self._misconfigured(),
            self._crashes(),
            self._completeness(),
            self._method(),
        ]
        contents = tag(
            "nav",
            tag("ul", *(tag("li", _link(part)) for part in parts)),
            aria_label="Questions",
        )
        head = tag(
            "head",
            tag("meta", charset="utf-8"),
            tag("title", f"BotKube in the week of {self.period.this}"),
            tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
            tag("meta", name="color-scheme", content="light dark"),
            tag(
                "meta",
                http_equiv="Content-Security-Policy",
                content="default-src 'none'; style-src 'unsafe-inline'",
            ),
            tag("style", STYLE + _MORE_STYLE),
        )
        body = tag(
            "body",
            tag("a", "Skip to the answers", href="#main", class_="skip"),
            tag(
                "header",
                tag("h1", "How BotKube is used"),
                tag("p", sentences.week_note(self.period)),
                self._summary(),
                contents,
            ),
            tag("main", *parts, id="main"),
            tag(
                "footer",
                tag("p", f"Made by botkube-analytics {self.about.agent_version}."),
            ),
        )
        return serialize(tag("html", head, body, lang="en"))

    # --- the answers ------------------------------------------------------------------------------

    def _summary(self) -> Element:
        now = next(iter(of_week(self.shown.active_installations, self.period.this)), None)
        observed = self.period.observed.get(self.period.this)
        facts = [
            ("Installations", number(now.installations if now else None)),
            ("Clusters", number(now.clusters if now else None)),
            ("Of their time observed", percent(observed)),
            ("Numbers withheld below", f"{self.shown.least} installations"),
        ]
        return tag(
            "dl",
            *(tag("div", tag("dt", name), tag("dd", said)) for name, said in facts),
            class_="facts",
        )

    def _everyone(self) -> Told:
        now = next(iter(of_week(self.shown.active_installations, self.period.this)), None)
        return now.installations if now else None

    def _kubernetes(self) -> Element:
        rows = self.shown.kubernetes_minors
        return self._adoption(
            "kubernetes",
            "Which Kubernetes versions can be dropped?",
            "Kubernetes",
            "kubernetes_minors",
            rows,
        )

    def _versions(self) -> Element:
        rows = self.shown.version_adoption
        return self._adoption(
            "versions", "Which BotKube versions are in use?", "BotKube", "version_adoption", rows
        )

    def _adoption(
        self, name: str, question: str, what: str, table: str, rows: Sequence[Row]
    ) -> Element:
        now = sorted(of_week(rows, self.period.this), key=lambda one: version_order(one.key[0]))
        if not now:
            return section(name, question, tag("p", sentences.TOO_FEW, class_="said"))
        before = by_key(of_week(rows, self.period.before))
        older = or_older(now, self._everyone())
        shares, were = _shares(now), _shares(before.values())
        figures = [
            (
                one.key[0],
                number(one.installations) + self._few(one),
                percent(shares.get(one.key)),
                change(shares.get(one.key), were.get(one.key)),
                between(bounds),
            )
            for one, bounds in zip(now, older, strict=True)
        ]
        return section(
            name,
            question,
            *(
                tag("p", said, class_="said")
                for said in (
                    sentences.adoption(rows, self.period, what),
                    sentences.droppable(rows, self.period, self._everyone(), what),
                )
                if said
            ),
            tag(
                "div",
                self._share_bars(f"{what} by share of installations", now, before),
                self._trend(f"{what} by share of installations, week by week", now, rows),
                class_="both",
            ),
            self._table(
                f"{what} in the week of {self.period.this}",
                (what, "installations", "share", "points", "it or older"),
                figures,
                table,
                of=now,
                note=f"Shares are {sentences.whose(now)}.",
            ),
        )

    def _both(self) -> Element:
        name, question = "both", "Which BotKube runs on which Kubernetes?"
        now = of_week(self.shown.version_by_minor, self.period.this)
        if not now:
            return section(name, question, tag("p", sentences.TOO_FEW, class_="said"))
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
        caption = f"Installations by BotKube (rows) and Kubernetes, week of {self.period.this}"
        matrix = head_and_body(caption, ("BotKube", *minors), rows)
        matrix.set("class", "figures")
        return section(
            name,
            question,
            tag("p", sentences.pairs(now, self.period), class_="said"),
            self._scrolled(matrix, caption),
            tag(
                "p",
                "A dot is no installation at all; w is withheld. ",
                self._file("version_by_minor"),
                class_="note",
            ),
        )

    def _distributions(self) -> Element:
        rows = self.shown.distributions
        now = sorted(of_week(rows, self.period.this), key=lambda one: -figure(one.installations))
        before = by_key(of_week(rows, self.period.before))
        shares, were = _shares(now), _shares(before.values())
        places = of_week(self.shown.kubernetes_adoption, self.period.this)
        of_places = _shares(places)
        places.sort(key=lambda one: (version_order(one.kubernetes_minor), one.distribution))
        return section(
            "distributions",
            "Whose Kubernetes is it?",
            tag("p", sentences.adoption(rows, self.period, "Kubernetes of"), class_="said"),
            self._share_bars("Distributions by share of installations", now, before),
            self._table(
                f"Distributions in the week of {self.period.this}",
                ("distribution", "installations", "share", "points"),
                [
                    (
                        one.distribution,
                        number(one.installations) + self._few(one),
                        percent(shares.get(one.key)),
                        change(shares.get(one.key), were.get(one.key)),
                    )
                    for one in now
                ],
                "distributions",
                of=now,
                note=f"Shares are {sentences.whose(now)}.",
            ),
            self._table(
                f"By minor and distribution, week of {self.period.this}",
                ("Kubernetes", "distribution", "installations", "share"),
                [
                    (
                        one.kubernetes_minor,
                        one.distribution,
                        number(one.installations),
                        percent(of_places.get(one.key)),
                    )
                    for one in places
                ],
                "kubernetes_adoption",
                of=places,
                note=f"Shares are {sentences.whose(places)}.",
            ),
        )

    def _active(self) -> Element:
        rows = self.shown.active_installations
        weeks = self.period.weeks
        values = series(rows, weeks, "installations").get((), [])
        title = "Installations that reported, by week"
        names = ("new", "kept", "returned", "gone")
        figures = [
            (
                self._week(one.week),
                number(one.installations),
                *(number(getattr(one, f"installations_{part}")) for part in names),
                number(one.clusters),
                *(number(getattr(one, f"clusters_{part}")) for part in names),
                number(one.installations_without_cluster),
            )
            for one in rows
            if one.week in set(weeks)
        ]
        return section(
            "active",
            "How many are there?",
            tag("p", sentences.active(rows, self.period), class_="said"),
            self._figure(
                self.draw.columns(
                    title, self._described(values, weeks), values, weeks, self.period.doubtful
                ),
                title,
                self._marks(is_weekly=True),
            ),
            self._table(
                "Installations and clusters by week",
                (
                    "week of",
                    "installations",
                    *names,
                    "clusters",
                    *(f"{one} clusters" for one in names),
                    "without cluster",
                ),
                figures,
                "active_installations",
                of=of_week(rows, self.period.this),
            ),
        )

    def _integrations(self) -> Element:
        rows = self.shown.integrations
        now = sorted(of_week(rows, self.period.this), key=lambda one: -figure(one.share_at_least))
        before = by_key(of_week(rows, self.period.before))
        bars = [
            Bar(
                f"{one.platform} ({one.kind})",
                one.share_at_least,
                percent(one.share_at_least),
                _was(before, one, "share_at_least"),
                self.period.this in self.period.doubtful,
            )
            for one in now[:MAX_BARS]
        ]
        title = "Bots and sinks that are switched on, as a share of all installations at least"
        return section(
            "integrations",
            "Which notifiers and bots are used?",
            tag("p", sentences.integrations(rows, self.period), class_="said"),
            self._figure(self.draw.bars(title, _listed(bars), bars), title, self._marks()),
            self._table(
                f"Bots and sinks in the week of {self.period.this}",
                (
                    "platform",
                    "kind",
                    "on",
                    "off",
                    "unknown",
                    "on, of those known",
                    "on, at least",
                    "points",
                ),
                [
                    (
                        one.platform,
                        one.kind,
                        number(one.installations),
                        number(one.installations_disabled),
                        number(one.installations_unknown),
                        percent(one.share),
                        percent(one.share_at_least),
                        change(one.share_at_least, _was(before, one, "share_at_least")),
                    )
                    for one in now
                ],
                "integrations",
                of=now,
            ),
        )

    def _per_day(self) -> Element:
        rows = sorted(
            of_week(self.shown.events_per_day, self.period.this),
            key=lambda one: -figure(one.median),
        )
        before = by_key(of_week(self.shown.events_per_day, self.period.before))
        spreads = [
            Spread(
                one.platform,
                one.p10,
                one.p25,
                one.median,
                one.p75,
                one.p90,
                f"median {number(one.median)}",
            )
            for one in rows
        ]
        title = "Events that an installation handles on a day"
        described = "; ".join(f"{one.label}: {one.text}" for one in spreads) or "No platform."
        names = ("p10", "p25", "median", "p75", "p90", "p99")
        return section(
            "events",
            "How many events does an installation handle?",
            tag("p", sentences.per_day(rows, self.period), class_="said"),
            self._figure(
                self.draw.spreads(title, described, spreads),
                f"{title}: line from 10 to 90 % of the days, box from 25 to 75 %, mark at the "
                "median; each step of the scale is tenfold",
            ),
            self._table(
                f"Events per installation and day, week of {self.period.this}",
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
                        number(one.installations) + self._few(one),
                        number(one.installation_days),
                        *(number(getattr(one, name)) for name in names),
                        number(_was(before, one, "median")),
                        number(one.total),
                        number(one.days_left_out),
                    )
                    for one in rows
                ],
                "events_per_day",
                of=rows,
                note="Only days that were observed as a whole count; a quantile is withheld unless "
                f"the days of {self.shown.least} installations lie on either side of it.",
            ),
        )

    def _commands(self) -> Element:
        rows = of_week(self.shown.commands, self.period.this)
        rows.sort(key=lambda one: -figure(one.installations))
        before = by_key(of_week(self.shown.commands, self.period.before))
        bars = [
            Bar(
                f"{one.command}, {one.platform}",
                one.installations,
                number(one.installations),
                _was(before, one, "installations"),
                self.period.this in self.period.doubtful,
            )
            for one in rows[:MAX_BARS]
        ]
        title = "Commands by installations that used them"
        return section(
            "commands",
            "Which commands are used?",
            tag("p", sentences.commands(rows, self.period), class_="said"),
            self._figure(self.draw.bars(title, _listed(bars), bars), title, self._marks()),
            self._table(
                f"Commands in the week of {self.period.this}",
                (
                    "command",
                    "platform",
                    "installations",
                    "before",
                    "could show it",
                    "times",
                    "failed",
                ),
                [
                    (
                        one.command,
                        one.platform,
                        number(one.installations) + self._few(one),
                        number(_was(before, one, "installations")),
                        number(one.installations_observable),
                        number(one.count) + (" at most" if figure(one.count_at_most) else ""),
                        number(one.count_failed),
                    )
                    for one in rows
                ],
                "commands",
                of=rows,
                note="Commands are seen only where BotKube logs at debug: others are not counted "
                "as zero but left out.",
            ),
        )

    def _failures(self) -> Element:
        rows = of_week(self.shown.notification_failures, self.period.this)
        rows.sort(key=lambda one: (-figure(one.rate), -figure(one.failed_all)))
        before = by_key(of_week(self.shown.notification_failures, self.period.before))
        bars = [
            Bar(
                f"{one.platform}: {one.reason}",
                one.rate,
                percent(one.rate),
                _was(before, one, "rate"),
                self.period.this in self.period.doubtful,
            )
            for one in rows
            if one.what == "event" and one.rate is not None
        ][:MAX_BARS]
        title = "Events that could not be delivered, as a share of the attempts"
        return section(
            "failures",
            "Where do notifications fail?",
            tag("p", sentences.failures(rows, self.period), class_="said"),
            self._figure(self.draw.bars(title, _listed(bars), bars), title, self._marks()),
            self._table(
                f"Failures in the week of {self.period.this}",
                (
                    "platform",
                    "what",
                    "reason",
                    "failed",
                    "attempts",
                    "rate",
                    "rate before",
                    "installations",
                ),
                [
                    (
                        one.platform,
                        one.what,
                        one.reason,
                        number(one.failed_all),
                        number(one.attempts),
                        percent(one.rate),
                        percent(_was(before, one, "rate")),
                        number(one.installations) + self._few(one),
                    )
                    for one in rows
                ],
                "notification_failures",
                of=rows,
                note="Failed counts all that was seen; the rate only where attempts were seen too.",
            ),
        )

    def _misconfigured(self) -> Element:
        rows = of_week(self.shown.configuration_errors, self.period.this)
        rows.sort(key=lambda one: -figure(one.installations))
        before = by_key(of_week(self.shown.configuration_errors, self.period.before))
        bars = [
            Bar(
                f"{one.field}: {one.reason}, {one.platform}",
                one.share,
                percent(one.share),
                _was(before, one, "share"),
                self.period.this in self.period.doubtful,
            )
            for one in rows[:MAX_BARS]
        ]
        title = "Faults of configuration by share of installations"
        return section(
            "configuration",
            "What is configured wrongly?",
            tag("p", sentences.misconfigured(rows, self.period), class_="said"),
            self._figure(self.draw.bars(title, _listed(bars), bars), title, self._marks()),
            self._table(
                f"Faults in the week of {self.period.this}",
                ("key", "reason", "platform", "times", "installations", "share", "points"),
                [
                    (
                        one.field,
                        one.reason,
                        one.platform,
                        number(one.count),
                        number(one.installations) + self._few(one),
                        percent(one.share),
                        change(one.share, _was(before, one, "share")),
                    )
                    for one in rows
                ],
                "configuration_errors",
                of=rows,
            ),
        )

    def _crashes(self) -> Element:
        rows = of_week(self.shown.crashes, self.period.this)
        rows.sort(key=lambda one: version_order(one.botkube_version))
        before = by_key(of_week(self.shown.crashes, self.period.before))
        bars = [
            Bar(
                one.botkube_version,
                one.per_1000_hours,
                number(one.per_1000_hours),
                _was(before, one, "per_1000_hours"),
                self.period.this in self.period.doubtful,
            )
            for one in self._largest([one for one in rows if is_number(one.per_1000_hours)])
        ]
        kinds = of_week(self.shown.crash_kinds, self.period.this)
        kinds.sort(key=lambda one: (version_order(one.botkube_version), one.kind))
        title = "Crashes in 1,000 hours of an installation, by BotKube"
        return section(
            "crashes",
            "Which versions crash?",
            tag(
                "p",
                sentences.crashes(rows, kinds, self.period),
                class_="said",
            ),
            self._figure(self.draw.bars(title, _listed(bars), bars), title, self._marks()),
            self._table(
                f"Crashes in the week of {self.period.this}",
                ("BotKube", "crashes", "hours", "in 1,000 hours", "before", "installations"),
                [
                    (
                        one.botkube_version,
                        number(one.crashes),
                        number(one.installation_hours),
                        number(one.per_1000_hours),
                        number(_was(before, one, "per_1000_hours")),
                        number(one.installations) + self._few(one),
                    )
                    for one in rows
                ],
                "crashes",
                of=rows,
            ),
            self._table(
                f"Kinds of crashes in the week of {self.period.this}",
                ("BotKube", "kind", "crashes", "installations"),
                [
                    (
                        one.botkube_version,
                        one.kind,
                        number(one.crashes),
                        number(one.installations),
                    )
                    for one in kinds
                ],
                "crash_kinds",
                of=kinds,
            ),
        )

    def _completeness(self) -> Element:
        rows = self.shown.completeness
        weeks = self.period.weeks
        now = of_week(rows, self.period.this)
        now.sort(key=lambda one: -figure(one.hours))
        before = by_key(of_week(rows, self.period.before))
        trends = [
            Trend(key[0], values, percent(values[weeks.index(self.period.this)]))
            for key, values in series(rows, weeks, "share").items()
        ]
        trends.sort(key=lambda one: (one.label != "observed", one.label))
        title = "Observed and missing time by week, as a share of all time"
        return section(
            "completeness",
            "How complete are the data?",
            tag("p", sentences.completeness(rows, self.period), class_="said"),
            self._figure(
                self.draw.trends(
                    title,
                    "; ".join(f"{one.label}: {one.text}" for one in trends),
                    trends[:MAX_ROWS],
                    weeks,
                    self.period.doubtful,
                ),
                title,
                self._marks(is_weekly=True),
            ),
            self._table(
                f"Time in the week of {self.period.this}",
                ("what", "hours", "share", "before", "installations"),
                [
                    (
                        one.reason,
                        number(one.hours),
                        percent(one.share),
                        percent(_was(before, one, "share")),
                        number(one.installations),
                    )
                    for one in now
                ],
                "completeness",
                of=now,
            ),
        )

    def _method(self) -> Element:
        least = self.shown.least
        withheld = count_withheld(self.shown)
        about = self.about
        told = (
            tag("li", f"{about.events:,} events were read, of {', '.join(about.sources)}; "
                f"{about.others:,} others are not of this agent, and {about.faults:,} lines or "
                "events could not be used"
                + (f"; {about.ahead:,} are left out, of windows that end more than a day after "
                   "this was made: a clock is wrong." if about.ahead else ".")),
            tag("li", "An installation counts once a week, with what its latest report says; the "
                "share is of all that reported in that week."),
            tag("li", f"° marks fewer than {FEW} installations: a few more or less change much."),
            tag("li", "Hatched columns and bars are of a week that is not whole, or of which less "
                "than 90 % of the time was observed. What could not be observed is left out, and "
                "never counted as zero."),
            tag("li", f"Withheld (a stump, always of one size) is what tells of fewer than {least} "
                "installations, and as many other numbers as it takes to keep these from being "
                "found: by addition and subtraction of everything in this page and its tables, "
                "a withheld number of installations, of crashes or of failures up to "
                f"{least} can be any from 1 to {least}, and a greater one has at least {least} "
                "possible values. Where that cannot be had, a week's table is left out. Rows in "
                "which one installation can stand several times (commands, configuration) have no "
                "sum, and only the small ones are withheld. Drawings and sentences are made of "
                "what is told."),
            tag("li", "Withheld in part or as a whole: "
                + (", ".join(f"{number(many)} rows of {name}" for name, many in withheld.items())
                   or "nothing") + "."),
        )  # fmt: skip
        return section("method", "How to read this", tag("ul", *told))

    # --- their parts ------------------------------------------------------------------------------

    def _largest(self, rows: Sequence[AnyRow]) -> list[AnyRow]:
        """Return the rows of which most have, in the order in which they are."""
        kept = sorted(rows, key=lambda one: -figure(one.installations))[:MAX_ROWS]
        keys = {one.key for one in kept}
        return [one for one in rows if one.key in keys]

    def _share_bars(self, title: str, rows: Sequence[Row], before: Mapping[Key, Row]) -> Element:
        """Return a bar a row; many that are withheld are one, of what the others leave."""
        is_doubtful = self.period.this in self.period.doubtful
        hidden = sum(one.installations is WITHHELD for one in rows)
        known = of_known(rows)
        charted = known if hidden <= MAX_STUMPS else [one for one in known if _is_told(one)]
        before = by_key(of_known(before.values()))
        bars = [
            Bar(
                " ".join(one.key),
                _share(one),
                percent(_share(one)) + self._few(one),
                _share(before[one.key]) if one.key in before else None,
                is_doubtful,
            )
            for one in self._largest(charted)
        ]
        everyone = self._everyone()
        if hidden > MAX_STUMPS and isinstance(everyone, int):
            rest = everyone - sum(figure(one.installations) for one in rows)
            rest /= everyone - not_known(rows)
            together = f"{hidden} withheld, together"
            bars.append(Bar(together, rest, percent(rest), is_doubtful=True))
        note = f"{sentences.whose(rows).capitalize()}. {self._marks()}".strip()
        return self._figure(self.draw.bars(title, _listed(bars), bars), title, note)

    def _trend(self, title: str, now: Sequence[Row], rows: Sequence[Row]) -> Element:
        weeks = self.period.weeks
        note = f"{sentences.whose(now).capitalize()}. {self._marks(is_weekly=True)}".strip()
        values = series(of_known(rows), weeks, "share")
        trends = [
            Trend(one.key[0], values.get(one.key, []), percent(_share(one)))
            for one in self._largest(of_known(now))
            if _is_told(one) or any(map(is_number, values.get(one.key, ())))
        ]
        described = "; ".join(
            f"{one.label}: {percent(next((v for v in one.values if v is not None), None))} "
            f"first, {one.text} in the week of {self.period.this}"
            for one in trends
        )
        return self._figure(
            self.draw.trends(title, described, trends, weeks, self.period.doubtful),
            title,
            note,
        )

    def _marks(self, *, is_weekly: bool = False) -> str:
        if not is_weekly:
            return "Mark: the week before." if self.period.before else ""
        doubtful = sorted(one for one in self.period.weeks if one in self.period.doubtful)
        if not doubtful:
            return ""
        told = ", ".join(f"{one} ({self.period.why(one)})" for one in doubtful)
        return f"Hatched: {told}."

    def _figure(self, drawing: Element, title: str, note: str = "") -> Element:
        words = [tag("figcaption", tag("b", title), f". {note}" if note else ".")]
        return tag("figure", *words, drawing)

    def _table(
        self,
        caption: str,
        head: Sequence[str],
        rows: Sequence[Sequence[str]],
        name: str,
        *,
        of: Sequence[Row],
        note: str = "",
    ) -> Element:
        if not all(one.is_complete for one in of):
            note = f"{note} {_INCOMPLETE}".strip()
        made = [
            tag(
                "tr",
                tag("th", first, scope="row"),
                *(tag("td", one, **_kind(one)) for one in others),
            )
            for first, *others in rows
        ]
        table = head_and_body(caption, head, made)
        table.set("class", "figures")
        for title, shown in zip(table.findall("thead/tr/th"), (rows or [head])[0], strict=False):
            if "class_" in _kind(shown):
                title.set("class", _kind(shown)["class_"])
        details = tag(
            "details",
            tag("summary", f"Numbers: {caption}"),
            self._scrolled(table, caption) if rows else tag("p", "None."),
            tag("p", f"{note} " if note else "", self._file(name), class_="note"),
        )
        if len(rows) <= MAX_OPEN:
            details.set("open", "open")
        return details

    def _scrolled(self, table: Element, label: str) -> Element:
        return tag("div", table, class_="wide", tabindex="0", role="region", aria_label=label)

    def _file(self, name: str) -> Element:
        path = f"{self.about.tables}/{name}.csv"
        return tag("span", "All weeks: ", tag("a", f"{name}.csv", href=path), ".")

    def _few(self, row: Row) -> str:
        return "°" if is_number(row.installations) and figure(row.installations) < FEW else ""

    def _week(self, week: date) -> str:
        why = self.period.why(week)
        return f"{week}{f' ({why})' if why else ''}"

    def _described(self, values: Sequence[Told], weeks: Sequence[date]) -> str:
        return "; ".join(
            f"{self._week(week)}: {number(value)}"
            for week, value in zip(weeks, values, strict=False)
        )


def _link(part: Element) -> Element:
    heading = part[0]
    return tag("a", heading.text or "", href=f"#{heading.get('id')}")


def _listed(bars: Iterable[Bar]) -> str:
    return "; ".join(f"{one.label}: {one.text}" for one in bars) or "Nothing may be told."


def _kind(text: str) -> dict[str, str]:
    if text == "withheld":
        return {"class_": "w"}
    return {} if text[:1].isdigit() or text[:1] in "+-–u" else {"class_": "words"}


def _heat(cell: Pair | None, most: float) -> Element:
    if cell is None:
        return tag("td", "·")
    if cell.installations is WITHHELD:
        return tag("td", tag("abbr", "w", title="withheld"), class_="w")
    part = figure(cell.installations) / most
    return tag("td", number(cell.installations), class_=f"h{1 + int(min(part, 0.99) * 3)}")


def _is_told(row: Row) -> bool:
    return row.installations is not WITHHELD


def _share(row: Row | None) -> Told:
    found: Told = getattr(row, "share", None)
    return found


def _shares(rows: Iterable[Row]) -> Mapping[Key, Told]:
    """Return the share of each of which it is known what it is, of all such."""
    return {one.key: _share(one) for one in of_known(rows)}


def _was(before: Mapping[Key, Row], row: Row, name: str) -> Told:
    """Return a number of the same row in the week before."""
    found: Told = getattr(before.get(row.key), name, None)
    return found
