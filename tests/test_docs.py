"""README.md and PRIVACY.md against the code: tables, commands, names, links and examples.

The texts of `deploy/announcement/` have generated lists too, and else their own tests.

`python -m tests.test_docs --write` writes the generated tables anew.
"""

from __future__ import annotations

import argparse
import ast
import io
import re
import shlex
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml
from markdown_it import MarkdownIt
from rich.console import Console

from agent import __version__, auditing, instances, logs, previewing, settings
from agent import commands as command_line
from agent.aggregate import GAP_REASONS, Instance, Windows
from agent.arguments import EXIT_CODES, make_parser
from agent.around import around
from agent.counting import OUTBOX_BYTES, Counting
from agent.disclosure import (
    CALL,
    GROUP,
    IDENTIFY,
    KILLED_KINDS,
    OTHER,
    REQUEST,
    SHAPES,
    Disclosure,
    disclosures,
    event_names,
    questions,
    releases,
    texts,
)
from agent.doctor.rights import RIGHTS
from agent.follow.instance import Pace
from agent.ledger.ledger import MAX_BYTES, MAX_ENTRIES
from agent.model import CRASHED, REPORT, Format, Identity
from agent.plan import bounds
from agent.preview import preview
from agent.resume import MAX_HASHES
from agent.rulefiles import load_rules, shipped_folder
from agent.rules import pairing, rule, shared, try_examples
from agent.sink.batch import batch_array, build_identity, envelope, seal
from agent.sink.destination import AT_LEAST_ONCE, AT_MOST_ONCE, KINDS, Destination
from agent.source.switches import ANNOTATION, VARIABLE
from agent.state.document import Document
from agent.trial import try_log
from agent.web.metrics import METRICS, PREFIX
from agent.workbench.docs import schema_text
from tests.shipped import RULES
from tests.test_audit import FEW, of, windows

ROOT = Path(__file__).parent.parent
README, PRIVACY = ROOT / "README.md", ROOT / "PRIVACY.md"
RUNBOOK = ROOT / "deploy" / "README.md"
TOLD = ROOT / "deploy" / "announcement"
SAMPLES = ROOT / "tests" / "data" / "samples"
WEBSITE = ROOT / "deploy" / "website"
TEXTS = (
    *(README, PRIVACY, ROOT / "CHANGELOG.md", RUNBOOK),
    *(WEBSITE / "README.md", WEBSITE / "privacy.md"),
)
Rows = Iterable[Sequence[str]]


# --- the tables -----------------------------------------------------------------------------------


def table(head: Sequence[str], rows: Rows) -> str:
    """Return a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    escaped = ([cell.replace("|", "\\|") for cell in one] for one in lines)
    return "\n".join(f"| {' | '.join(one)} |" for one in escaped)


def code(words: Iterable[object]) -> str:
    return ", ".join(f"`{str(word).lower() if isinstance(word, bool) else word}`" for word in words)


def settings_table() -> str:
    return table(
        ("setting", "variable", "flag", "values", "default", "what for"),
        (
            (f"`{name}`", f"`{variable}`", _flag(flag), values, f"`{default}`", reason)
            for name, variable, flag, values, default, reason in settings.table()
        ),
    )


def _flag(flag: str) -> str:
    return "none" if flag == "none" else f"`{flag}`"


def metrics_table() -> str:
    return table(
        ("metric", "type", "label", "meaning"),
        (
            (
                f"`{PREFIX}{one.name}`",
                "counter" if one.name.endswith("_total") else "gauge",
                f"`{one.label}`" if one.label else "",
                one.help,
            )
            for one in METRICS
        ),
    )


def rights_table() -> str:
    return table(
        ("right", "without it"), ((one.text, one.without) for one in RIGHTS if one.in_table)
    )


def destinations_table() -> str:
    """Return each kind of destination, what it needs, and how often a count arrives there."""
    return table(
        (
            "`destination.type`",
            "for",
            "server by region",
            "key",
            "needs besides",
            "a count arrives",
        ),
        (
            (
                f"`{name}`",
                one.title,
                ", ".join(f"{region} `{url}`" for region, url in one.regions.items()) or "none",
                one.key or "none",
                ", ".join(f"`destination.{key}`: {what}" for key, what in one.needs.items())
                or "nothing",
                _promises(name),
            )
            for name, one in KINDS.items()
        ),
    )


def _promises(name: str) -> str:
    choices = (AT_LEAST_ONCE, AT_MOST_ONCE)
    return " or ".join(
        dict.fromkeys(str(Destination(name, delivery=one).promise) for one in choices)
    )


PLAN = disclosures(RULES)
COUNTED = event_names(RULES)


def questions_table() -> str:
    """Return of each event for which questions it is counted, and one as it could be sent."""
    return table(
        ("event", "counted to learn", "for example"),
        (
            (f"`{name}`", " ".join(questions(RULES, name)), ", ".join(_example(name)))
            for name in COUNTED
        ),
    )


def _example(event: str) -> Iterator[str]:
    """Yield what an example of a rule gives, so that its values do occur together."""
    found = [
        (one.versions, properties)
        for one in sorted(RULES.rules, key=lambda one: one.id)
        for hit in one.hits
        for name, properties in hit.expected
        if name == event
    ]
    versions, properties = found[len(found) // 3]
    since = f"{versions[0] if versions else OTHER}."
    version = next((one for one in releases(RULES) if one.startswith(since)), OTHER)
    for name, value in {**properties, "count": 3, "botkube_version": version}.items():
        yield f"{name} `{value}`"


@pytest.mark.parametrize("event", COUNTED)
def test_the_example_of_an_event_is_what_could_be_sent(event: str) -> None:
    said = [one.rstrip("`").split(" `") for one in _example(event)]
    plan = {one.name: one for one in PLAN if one.event == event and one.name not in WINDOW}
    wanted = {name for name, one in plan.items() if not one.is_optional}

    assert wanted <= {name for name, _value in said} <= plan.keys()
    assert all(value in (*texts(plan[name].values), "3") for name, value in said)


def events_table() -> str:
    """Return every track event of the shipped rules with all values of its own properties."""
    own = [one for one in PLAN if one.event in COUNTED and one.shape == "words"]
    return table(
        ("event", "property", "", "every value"),
        (
            (
                f"`{one.event}`",
                f"`{one.name}`",
                "optional" if one.is_optional else "",
                code(one.values),
            )
            for one in own
            if one.name != "botkube_version"
        ),
    )


def common_table() -> str:
    """Return what every track event has beside its own properties."""
    names = [{one.name for one in PLAN if one.event == event} for event in COUNTED]
    shared = set.intersection(*names)
    return _told(one for one in PLAN if one.event == COUNTED[0] and one.name in shared)


def report_table() -> str:
    """Return the properties of a Collection report, those of one kind in a row."""
    return _told(one for one in PLAN if one.event == REPORT and one.name not in WINDOW)


def traits_table() -> str:
    """Return what `identify` and `group` say."""
    return table(
        ("call", "trait", "value", "what it tells about you"),
        (
            (f"`{one.event}`", f"`{one.name}`", _values(one), one.tells)
            for one in PLAN
            if one.event in {IDENTIFY, GROUP}
        ),
    )


def _told(found: Iterable[Disclosure]) -> str:
    rows: dict[tuple[str, str], list[str]] = {}
    for one in found:
        # "Whether slack is used." and its like stand in one row.
        name = one.name.removesuffix("_enabled")
        tells = one.tells if name == one.name else one.tells.split(" ")[0] + " it is used."
        rows.setdefault((_values(one), tells), []).append(one.name)
    return table(
        ("property", "value", "what it tells about you"),
        ((code(names), values, tells) for (values, tells), names in rows.items()),
    )


def _values(one: Disclosure) -> str:
    listed = f"one of the {len(one.values)} [below](#versions-and-distributions)"
    values = code(one.values) if len(one.values) < 4 else listed
    absent = ", or absent" if one.is_optional and "absent" not in SHAPES[one.shape] else ""
    return (values if one.shape == "words" else SHAPES[one.shape]) + absent


def around_table() -> str:
    """Return what stands around the events, as far as it tells something."""
    return _told(one for one in PLAN if one.event in {CALL, REQUEST} and one.tells)


def shared_table() -> str:
    """Return the closed lists that describe BotKube and the cluster."""
    wanted = {"botkube_version": COUNTED[0], "distribution": IDENTIFY}
    return table(
        ("property", "every value"),
        ((f"`{one.name}`", code(one.values)) for one in PLAN if wanted.get(one.name) == one.event),
    )


def worst_table() -> str:
    """Return the worst case of one window."""
    found = bounds(PLAN)
    rows = [(f"`{one.event}`", one.events, one.bytes, one.bits) for one in found]
    sums = [sum(getattr(one, key) for one in found) for key in ("events", "bytes", "bits")]
    return table(
        ("event", "at most so many", "bytes", "bits"),
        (
            (name, *(f"{number:,}" for number in numbers))
            for name, *numbers in [*rows, ("all", *sums)]
        ),
    )


def sent_table() -> str:
    """Return everything that can be sent in one table, and of each closed list its length."""
    by = {name: {one.name: _sized(one) for one in PLAN if one.event == name} for name in HEADS}
    common = by[COUNTED[0]].keys() & by[COUNTED[-1]].keys()
    rows = [
        (f"`{name}`", {key: by[name][key] for key in by[name] if key not in common})
        for name in COUNTED
    ]
    rows.append(
        ("each of these", {key: by[COUNTED[0]][key] for key in by[COUNTED[0]] if key in common})
    )
    rows += [(f"`{name}`", by[name]) for name in (REPORT, IDENTIFY, GROUP)]
    rows += [(name, by[name]) for name in (CALL, REQUEST)]
    return table(("what", "carries"), ((head, ", ".join(found.values())) for head, found in rows))


HEADS = (*COUNTED, REPORT, IDENTIFY, GROUP, CALL, REQUEST)


def _sized(one: Disclosure) -> str:
    if one.shape != "words" or True in one.values:
        return f"`{one.name}`"
    found = f"always `{one.values[0]}`" if len(one.values) == 1 else f"{len(one.values)} words"
    return f"`{one.name}` ({found})"


def example_event() -> str:
    """Return an event of a recorded log as it would be sent."""
    found = next(one for one in previewed("v1.6.0/pod.log") if one.get("event") == COUNTED[0])
    return f"```json\n{orjson.dumps(found, option=orjson.OPT_INDENT_2).decode()}\n```"


def names_list() -> str:
    return code((*COUNTED, REPORT, IDENTIFY, GROUP))


def switches_list() -> str:
    """Return every switch, those of the agent itself and those that stand in the cluster."""
    own = [one.name for one in settings.switches(settings.load({}, {}, _no_file))]
    named = "if its Deployment is called `botkube` or named in `rights.botkubeDeployments`"
    return "\n".join(
        (
            f"- {code(own)} of the agent: in its file, its environment, on its command line",
            f"- the annotation `{ANNOTATION}` of BotKube's namespace",
            f"- `{own[0]}` in BotKube's own configuration, {named}",
            f"- `{VARIABLE}` in BotKube's container's environment, if the value itself is there",
            f"- the chart's value `{own[0]}`, which takes the agent away",
        )
    )


def _no_file(path: str) -> str:
    raise FileNotFoundError(path)


def listed(title: str) -> str:
    """Return the list in a part of PRIVACY.md."""
    text = PRIVACY.read_text(encoding="utf-8")
    found = re.search(rf"(?ms)^## {re.escape(title)}\n.*?\n\n((?:- [^\n]*\n)+)", text)
    assert found is not None, f"PRIVACY.md has no list in {title!r}"
    return found.group(1).strip()


def neutral_table() -> str:
    """Return PRIVACY.md's table of what stands around the events, for each destination."""
    found = re.search(r"(?m)^\| destination \| who \|.*\n(?:\|.*\n)+", PRIVACY.read_text("utf-8"))
    assert found is not None, "PRIVACY.md has no table of what stands around"
    return found.group().strip()


def privacy_page() -> str:
    """Return the website's privacy.md as HTML."""
    text = (WEBSITE / "privacy.md").read_text(encoding="utf-8").split("---\n", 2)[2]
    html: str = MarkdownIt("commonmark").enable("table").render(re.sub(r"<!-- .*? -->\n", "", text))
    for title in re.findall(r"(?m)^#+ (.+)$", text):
        (anchor,) = anchors(f"# {title}")
        html = re.sub(rf"<(h\d)>{re.escape(title)}<", rf'<\1 id="{anchor}">{title}<', html)
    return html.strip()


WINDOW = frozenset({"stream", "seq", "window_start", "window_end"})
TABLES: dict[Path, dict[str, Callable[[], str]]] = {
    README: {
        "rights": rights_table,
        "settings": settings_table,
        "metrics": metrics_table,
        "destinations": destinations_table,
    },
    PRIVACY: {
        "destinations": destinations_table,
        "questions": questions_table,
        "events": events_table,
        "common": common_table,
        "report": report_table,
        "traits": traits_table,
        "closed-lists": shared_table,
        "worst-case": worst_table,
    },
    TOLD / "chat.md": {"names": names_list},
    TOLD / "release-notes.md": {"names": names_list},
    TOLD / "documentation.md": {"example": example_event, "sent": sent_table},
    TOLD / "privacy-policy.md": {"sent": sent_table, "switches": switches_list},
    WEBSITE / "privacy.md": {
        "never": partial(listed, "Never collected"),
        "stop": partial(listed, "How to stop it"),
        "events": events_table,
        "common": common_table,
        "report": report_table,
        "traits": traits_table,
        "around": around_table,
        "destinations": destinations_table,
        "neutral": neutral_table,
        "closed-lists": shared_table,
    },
    # Of the one before, so after it.
    WEBSITE / "privacy.html": {"page": privacy_page},
}


def marked(text: str, name: str) -> re.Match[str]:
    found = re.search(rf"(?s)<!-- {name} -->\n(.*?)\n?<!-- /{name} -->", text)
    assert found is not None, f"there are no markers for {name}"
    return found


def write_tables() -> None:
    """Write every generated table anew."""
    for path, tables in TABLES.items():
        text = path.read_text(encoding="utf-8")
        for name, make in tables.items():
            found = marked(text, name)
            body = f"<!-- {name} -->\n{make()}\n<!-- /{name} -->"
            text = text[: found.start()] + body + text[found.end() :]
        path.write_text(text, encoding="utf-8")


# --- reading the documents ------------------------------------------------------------------------


def section(title: str) -> str:
    """Return a part of the README by its heading."""
    found = re.search(rf"(?ms)^## {re.escape(title)}\n(.*?)(?=^## |\Z)", _readme())
    assert found is not None, f"the README has no part {title!r}"
    return found.group(1)


def _readme() -> str:
    return README.read_text(encoding="utf-8")


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"(?ms)^```{language}\n(.*?)^```$", text)


def cells(name: str) -> list[list[str]]:
    """Return the rows of a hand-written table between markers, without its head."""
    rows = marked(_readme(), name).group(1).strip().splitlines()[2:]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", row)[1:-1]] for row in rows]


def spans(text: str) -> list[str]:
    """Return what stands in backticks outside of code blocks."""
    return re.findall(r"`([^`\n]+)`", re.sub(r"(?ms)^```.*?^```$", "", text))


# --- generated tables -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "name"),
    [
        pytest.param(path, name, id=f"{path.name}-{name}")
        for path, tables in TABLES.items()
        for name in tables
    ],
)
def test_a_generated_table_is_what_the_code_says(path: Path, name: str) -> None:
    text = path.read_text(encoding="utf-8")

    # Written anew by: python -m tests.test_docs --write
    assert TABLES[path][name]() == marked(text, name).group(1)


# --- commands -------------------------------------------------------------------------------------


def subcommands() -> set[str]:
    """Return every command that the parser knows, such as `rules check`."""
    return set(_subcommands(make_parser(command_line.COMMANDS, settings.add_flags), ""))


def _subcommands(parser: argparse.ArgumentParser, prefix: str) -> Iterator[str]:
    groups = [one for one in parser._actions if isinstance(one, argparse._SubParsersAction)]
    if not all(one.required for one in groups):
        yield prefix.strip()  # a command of its own, with commands below it
    if not groups:
        yield prefix.strip()
    for group in groups:
        for name, below in group.choices.items():
            yield from _subcommands(below, f"{prefix} {name}")


def test_the_table_of_commands_has_every_command() -> None:
    names = (re.match(r"`([a-z]+(?: [a-z]+)*)", row[0]) for row in cells("commands"))
    documented = {name.group(1) for name in names if name is not None}

    assert subcommands() == documented


def shown_commands() -> list[str]:
    lines = [
        line for kind in ("sh", "console") for line in "".join(blocks(_readme(), kind)).splitlines()
    ]
    return [
        found.group(1).partition(" | ")[0].partition(" #")[0].partition(" > ")[0].strip()
        for line in [*lines, *spans(_readme())]
        if (
            found := re.search(
                r"botkube-analytics "
                r"((?:run|preview|audit|report|prove|plan|rules|status|doctor|ledger)\b.*)",
                line,
            )
        )
    ]


def test_every_command_that_is_shown_is_understood() -> None:
    shown = shown_commands()
    for line in shown:
        make_parser(command_line.COMMANDS, settings.add_flags).parse_args(shlex.split(line))

    assert subcommands() == {
        name for name in subcommands() if any(line.startswith(name) for line in shown)
    }


def test_every_exit_code_is_in_the_table() -> None:
    known = set(re.findall(r"(?m)^ +(\d+) ", EXIT_CODES))

    assert known == {row[0].strip("`") for row in cells("exit-codes")}


def test_every_make_target_exists_and_is_shown() -> None:
    targets = set(re.findall(r"(?m)^([a-z-]+):", (ROOT / "Makefile").read_text()))
    named = set(re.findall(r"(?:^|`)make ([a-z-]+)", _readme(), re.MULTILINE))

    assert targets == named


# --- log messages ---------------------------------------------------------------------------------


def logged() -> set[str]:
    """Return every constant message that the package logs."""
    return {
        message
        for path in (ROOT / "agent").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        for message in _messages(node)
    } | {logs.LIBRARY_MESSAGE}


def _messages(call: ast.Call) -> Iterator[str]:
    levels = {"debug", "info", "warning", "error", "critical", "exception", "log"}
    if not isinstance(call.func, ast.Attribute) or call.func.attr not in levels:
        return
    owner = call.func.value
    is_logger = isinstance(owner, ast.Call) or (
        isinstance(owner, ast.Name) and owner.id in {"log", "logger", "announcement"}
    )
    if is_logger:
        constants = (one for one in call.args if isinstance(one, ast.Constant))
        yield from (one.value for one in constants if isinstance(one.value, str))


def test_every_log_message_is_explained() -> None:
    assert logged() == {row[0].strip("`") for row in cells("messages")}


# --- names, paths and links -----------------------------------------------------------------------


def test_every_module_stands_in_the_code_map() -> None:
    named = set(re.findall(r"`(agent/[\w/]+(?:\.py|/))`", section("Architecture")))
    modules = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "agent").rglob("*.py")
        if path.name != "__init__.py"
    }
    folders = {name for name in named if name.endswith("/")}

    assert all((ROOT / name).exists() for name in named)
    assert not {one for one in modules - named if not one.startswith(tuple(folders))}


@pytest.mark.parametrize("path", TEXTS, ids=lambda one: str(one.relative_to(ROOT)))
def test_every_link_leads_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", path.read_text(encoding="utf-8")):
        if target.startswith("https://"):
            continue
        name, _, anchor = target.partition("#")
        linked = path.parent / name if name else path

        assert linked.exists(), target
        assert not anchor or anchor in anchors(linked.read_text(encoding="utf-8")), target


def anchors(text: str) -> set[str]:
    titles = re.findall(r"(?m)^#+ (.+)$", text)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("path", TEXTS, ids=lambda one: str(one.relative_to(ROOT)))
def test_every_file_that_is_named_exists(path: Path) -> None:
    named = re.findall(
        r"`((?:agent|deploy|rules|tests)/[\w./-]+)`", path.read_text(encoding="utf-8")
    )

    assert not [name for name in named if not (ROOT / name).exists()]


def test_every_reason_for_a_gap_is_explained() -> None:
    assert set(GAP_REASONS) <= {word for row in cells("gaps") for word in spans(row[0])}


# --- preview --------------------------------------------------------------------------------------


def previewed(name: str) -> list[dict[str, Any]]:
    """Return the events of the batches that `preview` would show for a recorded log."""
    found = preview(
        [iter([(SAMPLES / name).read_bytes()])],
        RULES,
        window_seconds=3600,
        agent_version=__version__,
        now_seconds=1_800_000_000,
    )
    return [event for batch in found.batches for event in orjson.loads(batch_array(batch))]


def test_what_preview_is_said_to_print_is_what_it_prints(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = next(one for one in blocks(_readme(), "console") if "preview -\n" in one)
    printed = io.StringIO()
    monkeypatch.setattr(previewing, "Console", lambda **_: Console(file=printed, width=160))
    previewing.show_preview(
        [str(SAMPLES / "v1.6.0" / "pod.log")],
        RULES,
        window_seconds=3600,
        agent_version=__version__,
        now_seconds=1_800_000_000,
        as_json=False,
    )
    actual = {line.rstrip() for line in printed.getvalue().splitlines()}
    expected = [line.rstrip() for line in shown.splitlines()[1:] if line.strip("…. ")]

    assert len(expected) > 5
    assert not [line for line in expected if line not in actual]


def test_what_audit_is_said_to_print_is_what_it_prints(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    shown = next(one for one in blocks(_readme(), "console") if "audit received" in one)
    events = windows(FEW)
    del events[of(events, 3, "Command executed")]
    events.append(events[of(events, 4, "Event handled")])
    (tmp_path / "received.ndjson").write_bytes(b"\n".join(map(orjson.dumps, events)))
    printed = io.StringIO()
    monkeypatch.setattr(auditing, "Console", lambda **_: Console(file=printed, width=160))
    auditing.show_audit([str(tmp_path / "received.ndjson")], is_part=False, as_json=False)

    assert shown.splitlines()[1:] == [one.rstrip() for one in printed.getvalue().splitlines()]


# --- privacy --------------------------------------------------------------------------------------

LOGS = sorted(str(path.relative_to(SAMPLES)) for path in SAMPLES.rglob("*.log"))


@pytest.mark.parametrize("name", LOGS)
def test_nothing_leaves_that_privacy_md_does_not_list(name: str) -> None:
    listed = set(spans(PRIVACY.read_text(encoding="utf-8")))
    for event in previewed(name):
        free = {"anonymousId", "messageId", "timestamp"}
        assert event.keys() - free == {"type", "event", "properties"}
        assert free | {event["event"]} <= listed
        for key, value in event["properties"].items():
            assert key in listed
            is_free = key in FREE or not isinstance(value, str)
            assert is_free or value in listed, (key, value)


FREE = {"stream", "window_start", "window_end", "agent_version", "rules_digest"}
"""Properties whose texts are made by the agent: random, times, versions."""


def test_every_field_of_identity_and_envelope_is_listed() -> None:
    listed = set(spans(PRIVACY.read_text(encoding="utf-8")))
    zero = "00000000-0000-0000-0000-000000000000"
    calls = build_identity(
        Identity(zero, zero, "1.34", "eks"), agent_version="1", at_seconds=1_800_000_000
    )
    batch = seal(calls, seq=1, sealed_seconds=0)[0][0]
    around = orjson.loads(envelope(batch, sent_seconds=0, agent_version="1"))
    names = {key for call in calls for key in (*call, *call["traits"])}
    names |= {*around, *around["context"], *around["context"]["library"]}

    assert not names - listed


@pytest.mark.parametrize(
    ("exit_code", "reason", "expected"),
    [
        (137, "OOMKilled", "oom"),
        (137, "Error", "killed"),
        (143, "Error", "killed"),
        (1, "Error", "unknown"),
    ],
)
def test_a_crash_without_words_has_a_listed_kind(
    exit_code: int, reason: str, expected: str
) -> None:
    counting = Counting(
        Document(b"", "stream", Windows(3600), instances={"one": Instance()}),
        RULES,
        Identity("00000000-0000-0000-0000-000000000000"),
        "1",
        sends=True,
    )
    instances.end_instance(
        counting,
        "one",
        exit_code=exit_code,
        reason=reason,
        finished_seconds=7200,
        is_deleting=False,
        now_seconds=7200,
    )
    counted = counting.document.windows.open[7200].counts

    assert {(CRASHED, "other", (("kind", expected),)): 1} == counted
    assert expected in KILLED_KINDS


def test_what_privacy_md_says_in_prose_is_what_the_code_does() -> None:
    text = (ROOT / "PRIVACY.md").read_text()
    added = {(kind, one.name): one.values for kind in KINDS for one in around((), kind)}

    assert f"hashes of the last {MAX_HASHES} lines" in text
    assert f"keeps the last {MAX_ENTRIES} reports, at most {MAX_BYTES >> 20} MiB" in text
    assert f"at most {OUTBOX_BYTES >> 10} KiB" in text
    assert f"`$ip` is `{added['posthog', '$ip'][0]}`" in text
    assert f"`engagement_time_msec`, always {added['ga4', 'engagement_time_msec'][0]}" in text
    assert "again every half minute" in text
    assert Pace().switches == 30


def test_the_readmes_table_of_what_is_sent_has_every_event() -> None:
    named = [word for row in cells("sent") for word in spans(row[0])]

    assert Counter([*RULES.events, CRASHED, REPORT]) == Counter(
        word for word in named if word not in {"identify", "group"}
    )


def test_the_example_of_a_configuration_file_is_valid() -> None:
    (text,) = blocks(section("Configure"), "yaml")
    files = {"config.yaml": text, "/etc/botkube-analytics/write-key": "key\n"}
    found = settings.load({}, {"config": "config.yaml"}, files.__getitem__)

    assert found.kubernetes.namespaces == ("botkube", "chatops")
    assert (found.destination.write_key, found.destination.region) == ("key", "eu")


# --- write a rule ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def my_rules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the rules of the README, each block in the file that it names."""
    folder = tmp_path_factory.mktemp("my-rules")
    for text in blocks(section("Write a rule"), "yaml"):
        name = re.match(r"# my-rules/(\S+)\n", text)
        assert name is not None
        (folder / name.group(1)).write_text(text, encoding="utf-8")
    assert len(list(folder.glob("*.yaml"))) > 1
    return folder


def test_the_example_compiles_and_its_examples_hold(my_rules: Path) -> None:
    example = load_rules([str(my_rules)])
    own = [one for one in example.rules if one.id not in {old.id for old in RULES.rules}]

    assert own
    assert all(one.hits for one in own)
    assert not try_examples(example, lambda log: try_log(example, log))


def test_the_commands_for_a_rule_say_that_the_example_is_in_order(
    my_rules: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(my_rules.parent)
    # An entry of the example, as a log.
    found = yaml.safe_load((my_rules / "plugin-restarted.yaml").read_text(encoding="utf-8"))
    (my_rules.parent / "pod.log").write_text(found["hits"][0]["log"], encoding="utf-8")
    shown = "".join(blocks(section("Write a rule"), "sh")).replace("my-rules", my_rules.name)
    for line in shown.splitlines():
        arguments = shlex.split(line, comments=True)[1:]

        assert command_line.run(arguments) == 0, (arguments, capsys.readouterr())
    said = capsys.readouterr().out

    assert " 0 faults; " in said
    assert "plugin=kubernetes" in said


def test_every_key_of_the_rule_language_is_explained() -> None:
    reference = (shipped_folder() / "README.md").read_text(encoding="utf-8")
    newcomer = {word.partition(":")[0] for word in spans(section("Write a rule"))}
    known = set(_schema_keys(orjson.loads(schema_text())))
    words = {*pairing.THEN, *map(str, Format), *rule.ORIGINS, "skip", "exact", "search"}

    assert {*rule.KEYS, *shared.KEYS} - {"override", "disable"} <= known
    assert not known - newcomer - set(spans(reference))
    assert not words - newcomer - {word.partition(":")[0] for word in spans(reference)}
    # What a first rule is made of is explained without the reference.
    assert not {*rule.KEYS, *words} - newcomer


def _schema_keys(node: object) -> Iterator[str]:
    """Return every key that a schema allows, at any depth."""
    if isinstance(node, dict):
        named = node.get("properties", {})
        yield from named
        below = [*named.values(), *(one for name, one in node.items() if name != "properties")]
    else:
        below = node if isinstance(node, list) else []
    for one in below:
        yield from _schema_keys(one)


if __name__ == "__main__":
    if sys.argv[1:] == ["--write"]:
        write_tables()
    else:
        sys.exit("write the generated tables anew: python -m tests.test_docs --write")
