"""`rules docs` and `rules schema`: the language for a person and for an editor.

Owns the generated page `rules/README.md`, with the table of what covers what. Everything in it is
read from the code and the rules: keys from `rules.schema`, codes from `rules.codes`, cells from the
rules of a set.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson
from attrs import frozen

from agent.model import Format
from agent.rules import shared
from agent.rules.codes import CODES, HARMLESS, OF_A_RUN
from agent.rules.language import SECTIONS
from agent.rules.schema import make_schema
from agent.rules.versions import between

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from agent.rules import Rule, RuleSet

PAGE = "README.md"
CATEGORIES = ("commands", "events", "failures", "configuration", "crashes", "integrations")
"""Those of the shipped rules, in the order of the page; others follow by name."""
AT = ("info", "debug")

WIRE: dict[Format, tuple[tuple[str, str], ...]] = {
    Format.TEXT: (("v0.8", "v0.12"), ("v1.2", "v1.14")),
    Format.LOGFMT: (("v0.13", "v1.14"),),
    Format.JSON: (("v1.2", "v1.14"),),
    Format.STANDARD: (("v0.13", "v1.1"),),
    Format.PANIC: (("v0.8", "v1.14"),),
    Format.KLOG: (("v0.8", "v1.14"),),
}
"""Which BotKube writes which format: text is coloured, standard is Go's own logger at the end."""

HEAD = """\
# Rules

Written by `botkube-analytics rules docs`; a test keeps it true. Do not edit.

One rule a file; a file without `id` is shared. The files of `rules.paths` are added to these:
a file with the id of a shipped rule and `override: true` stands in its place, one with
`disable: true` takes it out, and any other adds a rule. In an editor with a YAML language server
keys are completed if a file begins with `# yaml-language-server: $schema=` and the path of
`schema.json`.

```yaml
id: my-fork-sent
event: Event handled
question: Which events does my fork handle?
versions: [v1.0, v1.14]
level: info
message: 'My fork has sent it to (?P<where>\\w+)$'
properties:
  platform: {capture: where, vocabulary: bots, otherwise: unknown}
hits:
  - log: '{"level":"info","msg":"My fork has sent it to Slack","time":"2025-06-18T08:28:13Z"}'
    expect: {platform: slack}
misses:
  - '{"level":"debug","msg":"My fork has sent it to Slack","time":"2025-06-18T08:28:13Z"}'
```

Write it to a file, then:

```sh
botkube-analytics rules check my-fork-sent.yaml
botkube-analytics rules test my-fork-sent.yaml
botkube-analytics rules explain --rules my-fork-sent.yaml pod.log
botkube-analytics rules coverage --rules my-fork-sent.yaml pod.log
```

A pattern is RE2: linear time, no look-around, no back-references. `message` is matched from its
beginning, the value of a field as a whole. No text of a line can be counted by: a property is a
constant, a word of a vocabulary, a boolean or a bucket, and every value is declared by its event.
"""


@frozen
class Row:
    """One line of the table: versions that are alike, and what covers them at info and debug.

    What is there at info is there at debug as well, so a row without rules at debug needs a reason
    only if it has none at info either.
    """

    versions: tuple[str, str]
    format: Format
    rules: tuple[tuple[str, ...], tuple[str, ...]]
    reasons: tuple[tuple[str, ...], tuple[str, ...]]

    @property
    def is_explained(self) -> bool:
        """Whether each empty cell has a reason, and no other one has."""
        info, debug = (bool(rules) for rules in self.rules)
        return bool(self.reasons[0]) != info and (info or bool(self.reasons[1]) != debug)


def make_page(ruleset: RuleSet) -> str:
    """Return the whole page."""
    return "\n".join((HEAD, *_language(), *_coverage(ruleset), *_codes())).rstrip() + "\n"


def schema_text() -> str:
    """Return the JSON Schema as `rules/schema.json` has it."""
    return orjson.dumps(make_schema(), option=orjson.OPT_INDENT_2).decode() + "\n"


def all_categories(ruleset: RuleSet) -> tuple[str, ...]:
    """Return the categories that events of a set name, and those that the agent itself counts."""
    there = {*(event.category for event in ruleset.events.values()), *shared.CATEGORIES}
    known = [one for one in CATEGORIES if one in there]
    return (*known, *sorted(there - set(known)))


def rows_of(ruleset: RuleSet, category: str) -> list[Row]:
    """Return the rows of one category: every version and format, those alike together."""
    rows: list[Row] = []
    rules = [rule for rule in ruleset.rules if category in categories_of(ruleset, rule)]
    for kind, ranges in WIRE.items():
        for first, last in ranges:
            before: Row | None = None
            for version in between(first, last):
                row = _row(ruleset, rules, category, version, kind)
                if before is not None and (row.rules, row.reasons) == (
                    before.rules,
                    before.reasons,
                ):
                    before = Row((before.versions[0], version), kind, row.rules, row.reasons)
                    rows[-1] = before
                else:
                    before = row
                    rows.append(row)
    return rows


def categories_of(ruleset: RuleSet, rule: Rule) -> frozenset[str]:
    """Return the categories that a rule counts for, by itself or through its closers."""
    events = [rule.event, *(closer.event for closer in (rule.pair.closers if rule.pair else ()))]
    found = {ruleset.events[event].category for event in events if event is not None}
    if rule.fact is not None and rule.fact[0] == "kind":
        found.add("crashes")
    if rule.enables:
        found.add("integrations")
    return frozenset(found)


def _row(
    ruleset: RuleSet, counting: Sequence[Rule], category: str, version: str, kind: Format
) -> Row:
    """Return one cell: of the rules that count for a category those of a version and a format."""
    rules: list[tuple[str, ...]] = []
    reasons: list[tuple[str, ...]] = []
    for at in AT:
        found = tuple(
            sorted(
                rule.id
                for rule in counting
                if kind in rule.formats
                and version in between(*rule.versions)
                and _visible_at(rule, at)
            )
        )
        why = tuple(
            one.reason
            for one in ruleset.uncovered
            if one.category == category
            and kind in one.formats
            and version in between(*one.versions)
            and one.at in {at, "any"}
        )
        rules.append(found)
        reasons.append(why)
    return Row((version, version), kind, (rules[0], rules[1]), (reasons[0], reasons[1]))


def _visible_at(rule: Rule, at: str) -> bool:
    """Whether a rule's lines are printed only at debug, or at info already."""
    is_debug = bool(rule.levels) and rule.levels <= {"debug", "trace"}
    return is_debug == (at == "debug")


def _language() -> Iterator[str]:
    yield "## The language\n"
    for name, keys in SECTIONS.items():
        yield f"### Keys of {'an' if name[0] in 'aeu' else 'a'} {name}\n"
        yield from _table(
            ("key", "what it is"), ((f"`{key}`", what) for key, (what, _) in keys.items())
        )
    yield (
        "A source is a value, or one of: `{capture, vocabulary, otherwise}`, `{capture, buckets}`, "
        "`{present}`, `{join}`, `{only_enabled, otherwise}`. `skip` instead of a value leaves the "
        "entry out.\n"
    )
    yield (
        "A scenario file is called `*.scenario.yaml` and lies beside the rules; `rules test` runs "
        "it.\n"
    )


def _coverage(ruleset: RuleSet) -> Iterator[str]:
    yield "## What covers what\n"
    yield (
        "For each category, BotKube version and wire format the rules that count it: `at info` "
        "from lines that are always there, `at debug` from those of a BotKube that logs at debug "
        "besides. Where no rule can, the reason.\n"
    )
    for category in all_categories(ruleset):
        yield f"### {category.capitalize()}\n"
        yield from _table(
            ("versions", "format", "at info", "at debug besides"),
            (
                (
                    _span(row.versions),
                    str(row.format),
                    _cell(row.rules[0], row.reasons[0]),
                    ""
                    if row.rules[0] and not row.rules[1]
                    else _cell(row.rules[1], row.reasons[1]),
                )
                for row in rows_of(ruleset, category)
            ),
        )


def _span(versions: tuple[str, str]) -> str:
    first, last = versions
    return first if first == last else f"{first} to {last}"


def _cell(rules: Iterable[str], reasons: Iterable[str]) -> str:
    return ", ".join(f"`{one}`" for one in rules) or "none: " + " ".join(reasons)


def _codes() -> Iterator[str]:
    yield "## Codes of faults\n"
    yield (
        "`rules check` tells them all. A set with one that is refused is never in force, neither "
        "at the start of an agent nor later; the others stop nothing.\n"
    )
    yield from _table(
        ("code", "what is wrong", "a set with it"),
        (
            (f"`{one}`", what, "runs" if one in HARMLESS | OF_A_RUN else "is refused")
            for one, what in CODES.items()
        ),
    )


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    for row in (head, ["---"] * len(head), *rows):
        yield "| " + " | ".join(cell.replace("|", r"\|") for cell in row) + " |"
    yield ""
