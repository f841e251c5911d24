"""What each answer of the page is made of: a chart, its numbers beneath, and what is to be known.

Owns how they look and how few, withheld and doubtful are marked; must not know the questions. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from attrs import field, frozen

from agent.statistics import wording
from agent.statistics.answers import WITHHELD, Active, Row, Told
from agent.statistics.charts import Bar, Drawing, Trend
from agent.statistics.periods import (
    MAX_WEEKS,
    Period,
    by_key,
    figure,
    is_number,
    known_of,
    number,
    of_known,
    of_week,
    percent,
    series,
    with_absent,
)
from agent.statistics.shown import Shown
from agent.web.html import head_and_body, section, tag

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
DOTTED = "Dotted: withheld; by itself always of one size."

INCOMPLETE = (
    "Not complete: something of this week could not be observed or has not arrived, so there may "
    "be more."
)
STYLE = """\
svg.chart{height:auto;max-width:24rem;overflow:visible}
.chart text{fill:var(--text);font:12px system-ui,sans-serif}
.chart text.small{fill:var(--soft);font-size:11px}
.chart .bar,.chart .box{fill:var(--good)}
.chart .box{fill-opacity:.45}
.chart .range{stroke:var(--good);stroke-width:2}
.chart .was{stroke:var(--other);stroke-width:2.5}
.chart .axis-line,.chart .nothing{stroke:var(--line)}
.chart .hatch{stroke:var(--soft);stroke-width:10;stroke-dasharray:2 2;fill:none}
.chart .outline{stroke:var(--good);fill:none}
.chart .dotted{stroke:var(--soft);stroke-dasharray:1.5 1.5;fill:none}
.said{font-size:1.1rem;max-width:48rem}
.note{color:var(--soft);font-size:.875rem}
.wide{overflow-x:auto;position:relative}
.heard{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}
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
figure,tr,.answers,.said{break-inside:avoid}
h2,h3,.said,summary,caption,thead,tr:first-child{break-after:avoid}
.wide{overflow:visible}td.h1,td.h2,td.h3,.chart{print-color-adjust:exact}
details::details-content{content-visibility:visible;display:block;block-size:auto}}
"""


@frozen(eq=False)
class Parts:
    """Makes the parts of one page, of what may be told; `tables` is where its files lie."""

    shown: Shown
    period: Period
    tables: str
    draw: Drawing = field(factory=Drawing)

    @property
    def active(self) -> Active | None:
        """How many installations were there in the week."""
        return next(iter(of_week(self.shown.active_installations, self.period.this)), None)

    def compared(self, rows: Sequence[AnyRow]) -> tuple[list[AnyRow], list[AnyRow]]:
        """Return the rows of the week and of the one before, each with what the other has."""
        now, were = of_week(rows, self.period.this), of_week(rows, self.period.before)
        return with_absent(now, were), with_absent(were, now)

    def largest(
        self,
        rows: Sequence[AnyRow],
        many: int = MAX_ROWS,
        by: Callable[[AnyRow], float] = lambda one: figure(one.installations),
    ) -> list[AnyRow]:
        """Return the rows of which most have, in the order in which they are."""
        kept = sorted(rows, key=by, reverse=True)[:many]
        keys = {one.key for one in kept}
        return [one for one in rows if one.key in keys]

    def share_bars(self, title: str, rows: Sequence[Row], before: Mapping[Key, Row]) -> Element:
        """Return a bar a row; many that are withheld are one, of what the others leave."""
        is_doubtful = self.period.this in self.period.doubtful
        hidden = sum(one.installations is WITHHELD for one in rows)
        known = of_known(rows, rows)
        charted = known if hidden <= MAX_STUMPS else [one for one in known if is_told(one)]
        were = by_key(of_known(before.values(), rows))
        bars = [
            Bar(
                " ".join(one.key),
                share_of(one),
                percent(share_of(one)) + self.few(one),
                share_of(were.get(one.key)),
                is_doubtful,
            )
            for one in self.largest(charted)
        ]
        everyone = self.active.installations if self.active else None
        if hidden > MAX_STUMPS and isinstance(everyone, int):
            rest = everyone - sum(figure(one.installations) for one in rows)
            rest /= max(1, known_of(rows, everyone))
            together = f"{hidden} withheld, together"
            bars.append(Bar(together, rest, percent(rest), is_withheld=True))
        return self.figure(
            self.draw.bars(title, listed(bars), bars),
            title,
            f"{wording.whose(rows).capitalize()}.",
            self.marks(bars),
            cut(charted, MAX_ROWS, "installations"),
            wording.not_compared(rows, before.values(), self.period),
        )

    def bars(
        self,
        title: str,
        rows: Sequence[AnyRow],
        before: Mapping[Key, Row],
        name: str,
        label: Callable[[AnyRow], str],
        text: Callable[[Told], str] = percent,
        of: Sequence[Row] | None = None,
        note: str = "",
        few: Sequence[str] = ("installations",),
    ) -> Element:
        """Return a bar a row: one number of it, and what that was in the week before.

        `rows` are from the largest, or those of which most have `of` these; `few` are its numbers
        of installations behind that one.
        """
        is_doubtful = self.period.this in self.period.doubtful
        made = []
        for one in rows[:MAX_BARS]:
            value: Told = getattr(one, name)
            said = text(value)
            if is_number(value):
                said += wording.mark(one, *few, is_apart=True)
            made.append(Bar(label(one), value, said, was(before, one, name), is_doubtful))
        is_cut = (
            cut(rows, MAX_BARS, name)
            if of is None
            else cut(of, MAX_BARS, "installations", "with most installations")
        )
        notes = note, self.marks(made), is_cut
        return self.figure(self.draw.bars(title, listed(made), made), title, *notes)

    def by_week(self, table: str, rows: Sequence[Row], name: str) -> Mapping[Key, Sequence[Told]]:
        """Return a number of each key by week: withheld where the table is so as a whole."""
        told: Sequence[Row] = getattr(self.shown, table)
        left_out = [self.period.is_left_out(table, told, week) for week in self.period.weeks]
        return {
            key: [
                WITHHELD if is_left_out else one
                for one, is_left_out in zip(values, left_out, strict=True)
            ]
            for key, values in series(rows, self.period.weeks, name).items()
        }

    def trend(self, title: str, now: Sequence[Row], table: str) -> Element:
        """Return a row of columns a week for each that most have."""
        weeks = self.period.weeks
        rows: Sequence[Row] = getattr(self.shown, table)
        every = [one for week in weeks for one in with_absent(of_week(rows, week), now)]
        values = self.by_week(table, of_known(every, now), "share")
        drawable = [
            one
            for one in of_known(now, now)
            if is_told(one) or any(map(is_number, values.get(one.key, ())))
        ]
        trends = [
            Trend(one.key[0], values.get(one.key, []), percent(share_of(one)) + self.few(one))
            for one in self.largest(drawable)
        ]
        described = "; ".join(
            f"{one.label}: {percent(next((v for v in one.values if v is not None), None))} "
            f"first, {one.text} in the week of {self.period.this}"
            for one in trends
        )
        return self.figure(
            self.draw.trends(title, described, trends, weeks, self.period.doubtful),
            title,
            f"{wording.whose_by_week(now, rows).capitalize()}.",
            self.weekly(*(one.values for one in trends)),
            cut(drawable, MAX_ROWS, "installations"),
            "Without what is told of neither this week nor the one before."
            if len(values) > len(of_known(now))
            else "",
        )

    def marks(self, bars: Iterable[Bar]) -> str:
        """Return what the marks, the hatching and the dots of bars mean."""
        bars = list(bars)
        this = self.period.this
        notes = {
            "Mark: the week before.": any(is_number(one.before) for one in bars),
            f"Hatched: {self.week(this)}.": any(
                one.is_doubtful and is_number(one.value) for one in bars
            ),
            DOTTED: any(one.value is WITHHELD or one.is_withheld for one in bars),
        }
        return " ".join(note for note, is_due in notes.items() if is_due)

    def weekly(self, *rows: Sequence[Told]) -> str:
        """Return what the hatching and the dots of columns by week mean."""
        doubtful = sorted(one for one in self.period.weeks if one in self.period.doubtful)
        told = ", ".join(map(self.week, doubtful))
        dotted = DOTTED if any(one is WITHHELD for values in rows for one in values) else ""
        return f"{f'Hatched: {told}. ' if told else ''}{dotted}".strip()

    def figure(self, drawing: Element, title: str, *notes: str) -> Element:
        """Return a drawing under its title."""
        note = " ".join(filter(None, notes))
        words = [tag("figcaption", tag("b", title), f". {note}" if note else ".")]
        return tag("figure", *words, drawing)

    def table(
        self,
        caption: str,
        head: Sequence[str],
        rows: Sequence[Sequence[str]],
        name: str,
        *,
        of: Sequence[Row],
        note: str = "",
        words: int = 1,
        none: str = "None.",
    ) -> Element:
        """Return the numbers of a drawing, open if they are few; its first columns are words.

        Many rows of which nothing is told are one together, at the end.
        """
        if not all(one.is_complete for one in of):
            note = f"{note} {INCOMPLETE}".strip()
        shown = [one for one in rows if not _is_withheld(one[words:])]
        left = len(rows) - len(shown)
        if left <= MAX_STUMPS:
            shown, left = list(rows), 0
        made = [
            tag(
                "tr",
                tag("th", first, scope="row"),
                *(
                    tag("td", *_heard(one), **_kind(one, is_word=at < words))
                    for at, one in enumerate(others, 1)
                ),
            )
            for first, *others in shown
        ]
        if left:
            more = f"{left} more" if shown else f"all {left}"
            made.append(
                tag(
                    "tr",
                    tag("th", more, scope="row", colspan=str(words)),
                    *(tag("td", "withheld", class_="w") for _ in head[words:]),
                )
            )
        table = head_and_body(caption, head, made)
        table.set("class", "figures")
        for title in table.findall("thead/tr/th")[:words]:
            title.set("class", "words")
        details = tag(
            "details",
            tag("summary", f"Numbers: {caption}"),
            self.scrolled(table, caption)
            if rows
            else tag("p", wording.nothing(self.period, name, none)),
            tag("p", f"{note} " if note else "", self.file(name), class_="note"),
        )
        if len(made) <= MAX_OPEN:
            details.set("open", "open")
        return details

    def left_out(self, name: str, question: str, table: str) -> Element:
        """Return the part of a question to which nothing may be told of the week."""
        return section(
            name,
            question,
            tag("p", wording.nothing(self.period, table), class_="said"),
            tag("p", self.file(table), class_="note"),
        )

    def share_note(self, now: Sequence[Row], before: Iterable[Row]) -> str:
        """Return of whom the shares of a table are, and what they are compared with."""
        if not now:
            return ""
        note = f"Shares are {wording.whose(now)}."
        return f"{note} {wording.not_compared(now, before, self.period)}".strip()

    def scrolled(self, table: Element, label: str) -> Element:
        """Return a table that scrolls by itself where the screen is narrow."""
        return tag("div", table, class_="wide", tabindex="0", role="region", aria_label=label)

    def file(self, name: str) -> Element:
        """Return where the weeks of a table lie."""
        path = f"{self.tables}/{name}.csv"
        weeks = f"Week by week, the last {MAX_WEEKS + 1} at most: "
        return tag("span", weeks, tag("a", f"{name}.csv", href=path), ".")

    def few(self, row: Row, *names: str) -> str:
        """Return the mark of a number that says little: few are behind it, by one of `names`."""
        return wording.mark(row, *names)

    def week(self, week: date) -> str:
        """Return a week, and what is wrong with it."""
        note = self.period.note(week)
        return f"{week}{f' ({note})' if note else ''}"

    def described(self, values: Sequence[Told], weeks: Sequence[date]) -> str:
        """Return numbers by week as text."""
        return "; ".join(
            f"{self.week(week)}: {number(value)}"
            for week, value in zip(weeks, values, strict=False)
        )


def listed(bars: Iterable[Bar]) -> str:
    """Return bars as text."""
    return "; ".join(f"{one.label}: {one.text}" for one in bars) or "Nothing may be told."


def cut(rows: Sequence[Row], drawn: int, name: str, which: str = "largest") -> str:
    """Return how many rows a drawing has, if not all: nobody knows how large withheld ones are."""
    if len(rows) <= drawn:
        return ""
    told = f"{drawn} of" if wording.is_any_withheld(rows, name) else f"The {drawn} {which} of"
    return f"{told} {len(rows)}; the others are in the table."


def is_told(row: Row) -> bool:
    """Whether its installations are told."""
    return row.installations is not WITHHELD


def share_of(row: Row | None) -> Told:
    """Return its share; None if it has none."""
    found: Told = getattr(row, "share", None)
    return found


def shares_of(rows: Iterable[Row], like: Iterable[Row]) -> Mapping[Key, Told]:
    """Return the share of each of which it is known what it is: see `of_known`."""
    return {one.key: share_of(one) for one in of_known(rows, like)}


def was(before: Mapping[Key, Row], row: Row, name: str) -> Told:
    """Return a number of the same row in the week before."""
    found: Told = getattr(before.get(row.key), name, None)
    return found


def _is_withheld(numbers: Sequence[str]) -> bool:
    return "withheld" in numbers and {*numbers} <= {"withheld", "–"}


def _heard(text: str) -> Iterator[str | Element]:
    """Yield a cell's text, with a word instead of the mark for those who hear the page."""
    yield text.removesuffix("°")
    if text.endswith("°"):
        yield tag("span", "°", aria_hidden="true")
        yield tag("span", ", of few", class_="heard")


def _kind(text: str, *, is_word: bool) -> dict[str, str]:
    if is_word:
        return {"class_": "words"}
    return {"class_": "w"} if text == "withheld" else {}
