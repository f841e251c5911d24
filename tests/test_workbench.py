"""The tools of a rule author: what the commands below `rules` say and return."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import accumulate
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator

from agent import rulefiles
from agent.__main__ import main
from agent.lines import MAX_LINE_BYTES
from agent.rulefiles import load_rules, read_files, shipped_folder
from agent.rules import Rule, RuleError, compile_rules, rule, scenarios, shared
from agent.rules.branches import branches_of
from agent.rules.codes import CODES
from agent.rules.language import SECTIONS
from agent.rules.schema import make_schema
from agent.trace import trace_log
from agent.trial import try_log
from agent.workbench.check import load_sound
from agent.workbench.coverage import Coverage, Unmatched, measure
from agent.workbench.docs import CATEGORIES, rows_of
from agent.workbench.explain import tell_lines
from agent.workbench.fmt import format_text, meaning
from agent.workbench.templates import template_of
from tests.shipped import RULES, TEXTS, logs_of, read, tell

SAMPLES = Path(__file__).parent / "data" / "samples"
LOGS = [
    pytest.param(path, id=f"{path.parent.name}-{path.stem}")
    for path in sorted(SAMPLES.rglob("*.log"))
]
SHIPPED = pytest.mark.parametrize("shipped", RULES.rules, ids=lambda rule: rule.id)
REQUEST = (
    '{"bot":"Slack","commGroup":"g","level":"debug","msg":"Slack incoming Request: kubectl get po",'
    '"time":"2025-06-18T08:28:13Z"}'
)
RULE = """\
id: mine
event: Event handled
question: Which events does my fork handle?
level: info
message: 'My fork has sent it to (?P<where>\\w+)$'
properties:
  platform: {capture: where, vocabulary: bots, otherwise: unknown}
hits:
  - log: '{"level":"info","msg":"My fork has sent it to Slack","time":"2025-06-18T08:28:13Z"}'
    expect: {platform: slack}
misses:
  - '{"level":"info","msg":"My fork has sent it to Slack and more","time":"2025-06-18T08:28:13Z"}'
"""

Run = Callable[..., tuple[int, str]]


@pytest.fixture
def run(capfdbinary: pytest.CaptureFixture[bytes]) -> Run:
    """Return a way to run a command: its exit code and what it printed."""

    def run(*arguments: str) -> tuple[int, str]:
        try:
            code = main(["rules", *arguments])
        except SystemExit as exit_:
            code = int(exit_.code or 0)
        return code, capfdbinary.readouterr().out.decode()

    return run


def write(folder: Path, text: str, name: str = "mine.yaml") -> str:
    path = folder / name
    path.write_text(text)
    return str(path)


def edit(old: str, new: str) -> str:
    assert old in RULE
    return RULE.replace(old, new, 1)


# --- trace ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", LOGS)
def test_a_trace_counts_what_the_agent_counts(path: Path) -> None:
    log = path.read_bytes()

    assert read(log, stamped=True) == trace_log(RULES, log).observations


@SHIPPED
def test_a_trace_counts_what_a_trial_counts(shipped: Rule) -> None:
    for log in logs_of(shipped):
        assert try_log(RULES, log).observations == trace_log(RULES, log.encode()).observations


def test_what_a_pair_counts_stands_at_the_line_that_opened_it() -> None:
    (log,) = {
        example.log
        for rule in RULES.rules
        if rule.id == "bot-event-v1"
        for example in rule.hits
        if "Unable to create post" in example.log
    }
    first, *others = trace_log(RULES, log.encode()).steps

    assert [(rule, one.event) for rule, one in first.counts] == [
        ("bot-event-v1", "Notification failed")
    ]
    assert not any(step.counts for step in others)
    assert [act.line for act in first.closed_by] == [2, 3]


def test_lines_count_as_they_stand_in_a_file_with_lines_that_have_no_stamp() -> None:
    stamped = f"2025-06-18T08:28:13.000000001Z {REQUEST}\n"
    trace = trace_log(RULES, f"{stamped}unable to retrieve container logs\n{stamped}".encode())

    assert [step.line for step in trace.steps] == [1, 3]
    assert trace.lines == 3


STAMP = "2025-06-18T08:28:13.000000001Z"


@SHIPPED
def test_an_example_counts_the_same_with_stamps_and_without(shipped: Rule) -> None:
    for log in logs_of(shipped):
        plain, ran = try_log(RULES, log), try_log(RULES, f"no stamp\n{with_stamps(log)}")

        assert tell(plain.observations) == tell(ran.observations)
        assert (plain.matched, plain.unseen) == (ran.matched, ran.unseen)


def with_stamps(log: str) -> str:
    """Return a log as the API serves it."""
    lines = log.splitlines(keepends=True)
    own = [re.search(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", line) for line in lines]
    # A line without a time of its own is written with the one before.
    stamps = list(accumulate(own, lambda last, found: found[0] if found else last, initial=STAMP))
    del stamps[0]
    return "".join(f"{stamp} {line}" for stamp, line in zip(stamps, lines, strict=True))


def test_the_stamps_of_an_example_tell_how_long_a_pair_waits() -> None:
    ours = next(rule for rule in RULES.rules if rule.id == "command-request")
    (log, *_) = (one.log for one in ours.hits if one.log.count("\n") > 1)
    late = log.splitlines()
    text = "\n".join(f"2025-06-18T08:{28 + at * 20}:13Z {line}" for at, line in enumerate(late))

    assert try_log(RULES, text).observations != try_log(RULES, log).observations


# --- explain --------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", LOGS)
def test_explained_lines_agree_with_what_is_counted(path: Path) -> None:
    log = path.read_bytes()
    told = list(tell_lines(trace_log(RULES, log)))
    expected = Counter((one.event, one.properties) for one in read(log, stamped=True))
    actual = Counter(
        (str(one["event"]), tuple(sorted(one["properties"].items())))
        for one in told
        if isinstance(one["properties"], dict)
    )

    assert expected == actual
    assert set(range(1, log.count(b"\n") + 1)) == {one["line"] for one in told}


def test_explain_gives_an_object_a_line(run: Run, tmp_path: Path) -> None:
    path = write(tmp_path, f"{REQUEST}\nnothing\n", "some.log")
    code, out = run("explain", "--format", "json", path)

    assert code == 0
    assert [json.loads(line) for line in out.splitlines()] == [
        {
            "line": 1,
            "rule": "command-request",
            "event": "Command executed",
            "properties": {"command": "kubectl get", "platform": "slack", "result": "unknown"},
        },
        {"line": 2, "rule": None, "event": None, "properties": None},
    ]


def test_explain_names_the_parts_of_an_entry_and_its_rule(run: Run) -> None:
    code, out = run("explain", REQUEST)

    assert code == 0
    assert "line 1: json, level debug, from the core" in out
    assert "fields   bot=" in out
    assert "command-request" in out
    assert "nothing ended it: its result is count" in out
    assert "counts   Command executed {command: kubectl get, platform: slack" in out


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        pytest.param('"debug"', '"info"', "level: it wants debug, this is info", id="level"),
        pytest.param(
            '"bot"',
            '"plugin":"botkube/helm","bot"',
            "origin: it wants lines of the core",
            id="origin",
        ),
        pytest.param(
            "Slack incoming",
            "My Slack incoming",
            "message: it has the literal, but does not match",
            id="message",
        ),
    ],
)
def test_explain_names_the_first_condition_that_failed(
    run: Run, old: str, new: str, says: str
) -> None:
    _, out = run("explain", REQUEST.replace(old, new, 1))

    assert "counts   nothing" in out
    assert f"command-request: {says}" in out


def test_explain_names_a_field_that_is_missing(run: Run) -> None:
    _, out = run("explain", '{"level":"info","msg":"Starting bot","time":"2025-06-18T08:28:13Z"}')

    assert "bot-started: fields.bot: the field is missing; it must match '.+'" in out


def test_explain_shows_values_of_fields_and_patterns_as_written(run: Run, tmp_path: Path) -> None:
    rule = """\
id: many-restarts
message: Restarting now
fields: {restarts: '\\d\\d'}
hits: ['{"level":"info","msg":"Restarting now","restarts":10}']
"""
    write(tmp_path, rule)
    line = '{"level":"info","msg":"Restarting now","note":"a b","restarts":7,"x":"%s"}' % ("y" * 90)
    _, out = run("explain", "--rules", str(tmp_path), line)

    assert f'fields   note="a b", restarts=7, x={"y" * 60} ...\n' in out
    assert r"fields.restarts: the field is 7, which does not match '\d\d'" in out


SENT = (
    b"\x1b[36mINFO\x1b[0m[2026-11-23T21:31:30Z] >> Sending to Mattermost: {Code: Title:x} \n"
    b"\x1b[37mDEBU\x1b[0m[2026-11-23T21:31:30Z] Event successfully sent to channel "
    b"alerts00000000000000000000 \n"
)


def test_a_rule_that_states_a_fact_acts_on_pairs_as_well(run: Run, tmp_path: Path) -> None:
    log = tmp_path / "pod.log"
    log.write_bytes(SENT)
    _, explained = run("explain", str(log))
    after = explained.partition("line 2:")[2]

    assert "states   deliveries" in after
    assert "acts on the pair of line 1: then count" in after


def test_explain_reads_standard_input(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(REQUEST.encode())))
    code, out = run("explain", "-")

    assert code == 0
    assert "command-request" in out


def test_explain_refuses_a_file_that_is_not_there(run: Run) -> None:
    assert run("explain", "missing.log") == (2, "")


def test_explain_takes_a_line_without_a_space_for_a_line(run: Run) -> None:
    code, out = run("explain", '{"level":"info","msg":"x"}')

    assert code == 0
    assert "line 1: json, level info, from the core" in out
    assert "1 line, 1 entry, 0 counted" in out


def test_explain_refuses_nothing_at_all(run: Run) -> None:
    assert run("explain", "")[0] == 2


def test_explain_tells_a_line_that_is_too_long(run: Run, tmp_path: Path) -> None:
    path = write(tmp_path, f'{{"level":"info","msg":"{"x" * MAX_LINE_BYTES}"}}\n', "long.log")

    assert f"cut at {MAX_LINE_BYTES} bytes" in run("explain", path)[1]


def test_explain_shows_the_path_of_a_rules_file(run: Run, tmp_path: Path) -> None:
    rules = write(tmp_path, RULE)
    line = '{"level":"info","msg":"My fork has sent it to Slack","time":"2025-06-18T08:28:13Z"}'

    assert f"mine ({rules}:1)" in run("explain", "--rules", rules, line)[1]
    assert f"mine ({rules}:1)" in run("explain", "--rules", str(tmp_path), line)[1]


def test_explain_names_a_difference_in_capital_letters(run: Run, tmp_path: Path) -> None:
    rules = write(tmp_path, RULE)
    line = '{"level":"info","msg":"my Fork has sent it to Slack","time":"2025-06-18T08:28:13Z"}'
    _, out = run("explain", "--rules", rules, line)

    assert "mine: message: it has the literal with other capital letters" in out


@pytest.mark.parametrize("command", [["explain", "-"], ["coverage", "-"]])
def test_a_closed_standard_input_is_no_traceback(
    run: Run, monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", None)

    assert run(*command) == (2, "")


def test_explain_uses_rules_beside_the_shipped_ones(run: Run, tmp_path: Path) -> None:
    rules = write(tmp_path, RULE)
    line = '{"level":"info","msg":"My fork has sent it to Slack","time":"2025-06-18T08:28:13Z"}'
    _, out = run("explain", "--rules", rules, line)

    assert "counts   Event handled {platform: slack}, by mine" in out


# --- check ----------------------------------------------------------------------------------------


def test_the_shipped_rules_are_clean(run: Run) -> None:
    code, out = run("check")

    assert code == 0
    assert "0 faults" in out


def test_a_users_file_is_checked_with_the_shipped_rules(run: Run, tmp_path: Path) -> None:
    assert run("check", write(tmp_path, RULE))[0] == 0


def test_a_users_file_that_takes_a_rule_out_is_no_fault_of_the_others(
    run: Run, tmp_path: Path
) -> None:
    path = write(tmp_path, "id: command-request\ndisable: true\n")
    checked, tested = run("check", path), run("test", path)
    whole = sum(
        len(rule.hits) + len(rule.misses) for rule in RULES.rules if rule.id != "command-request"
    )

    for code, out in (checked, tested):
        assert code == 0
        counts = re.search(r"(\d+) examples \((\d+) left out, as they go through", out)
        assert counts is not None
        assert int(counts[2]) > 0
        assert int(counts[1]) + int(counts[2]) == whole


def test_a_closer_that_others_need_is_not_taken_out_alone(run: Run, tmp_path: Path) -> None:
    code, out = run("check", write(tmp_path, "id: message-sent\ndisable: true\n"))

    assert code == 1
    assert "the events of bot-event-v1, slack-event-v1, teams-event-v1 can never count" in out
    assert out.endswith("1 fault\n")


def test_check_points_at_each_fault_with_a_caret(run: Run, tmp_path: Path) -> None:
    write(tmp_path, edit("level: info", "level: inof"))
    write(tmp_path, "id: [", "broken.yaml")
    code, out = run("check", str(tmp_path))

    assert code == 1
    assert (
        f"{tmp_path}/mine.yaml:4:8: unknown-name: no level is called 'inof'\n"
        "  4 | level: inof\n"
        "    |        ^\n"
        "  fix: did you mean info?\n"
    ) in out
    assert f"{tmp_path}/broken.yaml:1:6: yaml: " in out
    assert out.endswith("2 faults\n")


def test_a_file_that_does_not_compile_hides_no_example_of_another(run: Run, tmp_path: Path) -> None:
    write(tmp_path, edit("expect: {platform: slack}", "expect: {platform: discord}"))
    write(tmp_path, "id: [", "broken.yaml")
    _, out = run("check", "--format", "json", str(tmp_path))

    assert [one["code"] for one in json.loads(out)] == ["yaml", "hit"]


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        pytest.param("id: mine", "id: mine", "unused-fragment", id="of-a-set"),
        pytest.param("My fork has", "My (?P<fork>fork) has", "unused-capture", id="of-the-rule"),
    ],
)
def test_a_name_that_nobody_uses_hides_no_example_and_no_scenario(
    run: Run, tmp_path: Path, old: str, new: str, code: str
) -> None:
    write(
        tmp_path, edit("expect: {platform: slack}", "expect: {platform: discord}").replace(old, new)
    )
    if code == "unused-fragment":
        write(tmp_path, "fragments: {idle: x}\n", "shared.yaml")
    write(
        tmp_path,
        "log: x\nexpect: [{event: Event handled, properties: {platform: slack}}]\n",
        "a.scenario.yaml",
    )
    _, out = run("check", "--format", "json", str(tmp_path))

    assert sorted([code, "hit", "scenario"]) == sorted(one["code"] for one in json.loads(out))


def test_of_two_examples_that_differ_the_one_at_fault_is_told_once(
    run: Run, tmp_path: Path
) -> None:
    text = edit("  - log", "  - log: 'x'\n    expect: {platform: slack}\n  - log")
    example = RULE[RULE.index("  - log") : RULE.index("misses")]
    write(tmp_path, text.replace("misses:", f"{example.replace('slack', 'discord')}misses:"))
    _, checked = run("check", "--format", "json", str(tmp_path))
    code, tested = run("test", str(tmp_path))

    assert [(one["code"], one["line"]) for one in json.loads(checked)] == [
        ("hit", 9),
        ("contradiction", 13),
    ]
    assert (code, tested.count("contradiction")) == (1, 1)


def test_check_speaks_sarif(run: Run, tmp_path: Path) -> None:
    code, out = run("check", "--format", "sarif", write(tmp_path, edit("id: mine", "id: Mine")))
    log = json.loads(out)

    assert code == 1
    assert log["version"] == "2.1.0"
    (result,) = log["runs"][0]["results"]
    assert result["ruleId"] == log["runs"][0]["tool"]["driver"]["rules"][0]["id"] == "id"
    place = result["locations"][0]["physicalLocation"]
    assert place["region"] == {"startLine": 1, "startColumn": 5}
    assert place["artifactLocation"]["uri"] == (tmp_path / "mine.yaml").as_uri()


def test_check_speaks_sarif_of_nothing(run: Run) -> None:
    code, out = run("check", "--format", "sarif")

    assert code == 0
    assert json.loads(out)["runs"][0]["results"] == []


def test_check_annotates_pull_requests(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, RULE.replace("id: mine", "id: Mine"))
    monkeypatch.chdir(tmp_path)
    code, out = run("check", "--format", "github", "mine.yaml")

    assert code == 1
    assert out.startswith("::error file=mine.yaml,line=1,col=5,title=id::'Mine' is no id")


def test_check_refuses_a_folder_without_rules(run: Run, tmp_path: Path) -> None:
    code, out = run("check", str(tmp_path))

    assert code == 1
    assert "there is no rule file in this folder" in out


def test_a_rule_that_the_agent_would_not_find_is_a_fault(run: Run, tmp_path: Path) -> None:
    """What examples count and what the agent counts is the same, or check says so."""
    path = write(tmp_path, edit("level: info", "literals: [My spoon]\nlevel: info"))
    code, out = run("check", "--format", "json", path)

    assert code == 1
    assert [(one["code"], one["line"]) for one in json.loads(out)] == [("literal", 4)]


def test_a_rule_that_takes_shipped_lines_is_the_users_fault(run: Run, tmp_path: Path) -> None:
    text = RULE.replace("level: info\n", "level: info\npriority: 50\n").replace(
        "My fork has sent it to (?P<where>\\w+)$", "Starting bot(?P<where>.*)"
    )
    text = text.replace("My fork has sent it to Slack", "Starting bot").replace(
        "expect: {platform: slack}", "expect: {platform: unknown}"
    )
    path = write(tmp_path, text.partition("misses:")[0])
    code, out = run("check", "--format", "json", path)

    assert code == 1
    assert [(one["file"], one["code"]) for one in json.loads(out)] == [(path, "shadows")]
    assert "bot-started" in json.loads(out)[0]["message"]


def test_a_shipped_rule_can_be_at_fault_itself(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "shipped"
    shutil.copytree(shipped_folder(), folder)
    path = folder / "integrations" / "bot-started.yaml"
    text = path.read_text()
    path.write_text(text.replace("platform: teams", "platform: slack"))
    monkeypatch.setattr(rulefiles, "shipped_folder", lambda: folder)
    code, out = run("check", "--format", "json")

    assert path.read_text() != text
    assert code == 1
    assert {(one["file"], one["code"]) for one in json.loads(out)} == {(str(path), "hit")}


def test_what_cannot_be_read_hides_no_other_fault(run: Run, tmp_path: Path) -> None:
    write(tmp_path, edit("level: info", "level: inof"))
    (tmp_path / "utf.yaml").write_bytes(b"\xff")
    (tmp_path / "dangling.yaml").symlink_to("nowhere.yaml")
    (tmp_path / "loop.yaml").symlink_to("loop.yaml")
    (tmp_path / ".hidden").mkdir()
    write(tmp_path / ".hidden", "id: [")
    code, out = run("check", "--format", "json", str(tmp_path))
    found = [(Path(one["file"]).name, one["code"]) for one in json.loads(out)]

    assert code == 1
    assert found == [
        ("dangling.yaml", "file"),
        ("loop.yaml", "file"),
        ("mine.yaml", "unknown-name"),
        ("utf.yaml", "file"),
    ]
    assert all(one["fix"] for one in json.loads(out))


@pytest.fixture
def hidden() -> Iterator[Path]:
    """Return a folder in which something can be hidden from us, even from a root."""
    with tempfile.TemporaryDirectory() as name:
        folder, who = Path(name), os.geteuid()
        folder.chmod(0o755)
        yield folder
        os.seteuid(who)
        for path in (folder, *folder.iterdir()):
            path.chmod(0o755)


def hide(path: Path, mode: int) -> None:
    path.chmod(mode)
    if os.geteuid() == 0:
        os.seteuid(65534)


@pytest.mark.parametrize(("mode", "name"), [(0, "more"), (0o311, "more"), (0o644, "mine.yaml")])
def test_a_folder_that_cannot_be_read_is_a_fault(
    run: Run, hidden: Path, mode: int, name: str
) -> None:
    write(hidden, RULE, "good.yaml")
    (hidden / "more").mkdir()
    write(hidden / "more", edit("level: info", "level: inof"))
    hide(hidden / "more", mode)
    code, out = run("check", "--format", "json", str(hidden))

    assert [(Path(one["file"]).name, one["code"]) for one in json.loads(out)] == [(name, "file")]
    assert "cannot be read: Permission denied" in json.loads(out)[0]["message"]
    assert code == 1
    with pytest.raises(RuleError):
        rulefiles.load_rules([str(hidden)])


@pytest.mark.parametrize("name", ["", "mine.yaml"])
def test_what_is_named_and_cannot_be_read_ends_with_2(run: Run, hidden: Path, name: str) -> None:
    write(hidden, RULE)
    hide(hidden / name, 0)
    code, out = run("check", str(hidden / name))

    assert code == 2
    assert "cannot be read: Permission denied" in out
    assert "1 fault\n" in out


@pytest.mark.parametrize("command", ["check", "test", "fmt"])
@pytest.mark.parametrize("name", ["nope", "nope.yaml", "x" * 5000, "loop.yaml"])
def test_a_path_that_leads_nowhere_ends_with_2(
    run: Run, tmp_path: Path, name: str, command: str
) -> None:
    (tmp_path / "loop.yaml").symlink_to("loop.yaml")

    assert run(command, f"{tmp_path}/{name}")[0] == 2


@pytest.mark.parametrize("style", ["text", "json", "sarif", "github"])
def test_any_name_of_a_file_can_be_shown(run: Run, tmp_path: Path, style: str) -> None:
    for number, name in enumerate([b"a\xff.yaml", b"a\nb.yaml"]):
        text = edit("level: info", "level: inof").replace("id: mine", f"id: mine-{number}")
        (tmp_path / os.fsdecode(name)).write_text(text)
    code, out = run("check", "--format", style, str(tmp_path))

    assert code == 1
    assert out.count("unknown-name") >= 2
    assert "a\nb" not in out


def test_a_caret_stands_below_its_place_behind_tabs(run: Run, tmp_path: Path) -> None:
    _, out = run("check", write(tmp_path, edit("level: info", "level:\tinof")))

    assert "  4 | level:\tinof\n    |       \t^\n" in out


def test_a_file_at_fault_neither_brings_nor_hides_another_fault(run: Run, tmp_path: Path) -> None:
    """The words cannot be read: of the rule that needs them nothing is said, of the other all."""
    (tmp_path / "words.yaml").write_bytes(b"vocabularies: {w\xe4: {}, mine: {words: {a: b}}}\n")
    write(tmp_path, edit("vocabulary: bots", "vocabulary: mine"))
    other = edit("platform: slack}", "platform: teams}").replace("id: mine", "id: other")
    write(tmp_path, other.replace("My fork", "Your fork"), "other.yaml")
    _, out = run("check", "--format", "json", str(tmp_path))
    found = [(Path(one["file"]).name, one["code"]) for one in json.loads(out)]

    assert found == [("other.yaml", "hit"), ("words.yaml", "file")]


def test_scenarios_are_checked_as_well(run: Run, tmp_path: Path) -> None:
    write(tmp_path, RULE)
    write(tmp_path, SCENARIO.replace("expect:", "expekt:"), "a.scenario.yaml")
    write(tmp_path, SCENARIO.replace("count: 2", "count: 3"), "b.scenario.yaml")
    write(tmp_path, SCENARIO.replace("log: |", "file: gone.log\nx: |"), "c.scenario.yaml")
    write(tmp_path, SCENARIO, "d.scenario.yaml")
    write(tmp_path, "description: x\nfile: gone.log\nexpect: []\n", "e.scenario.yaml")
    write(tmp_path, SCENARIO.replace("}\nexpect", "\nexpect"), "f.scenario.yaml")
    code, out = run("check", "--format", "json", str(tmp_path))
    found = [(Path(one["file"]).name, one["line"], one["code"]) for one in json.loads(out)]

    assert code == 1
    assert found == [
        ("a.scenario.yaml", 4, "unknown-name"),
        ("b.scenario.yaml", 7, "scenario"),
        ("c.scenario.yaml", 2, "unknown-name"),
        ("e.scenario.yaml", 2, "file"),
        ("f.scenario.yaml", 1, "scenario"),
    ]
    assert "line 2 of this log cannot be read as JSON" in json.loads(out)[-1]["message"]
    alone = str(tmp_path / "b.scenario.yaml")
    assert [one["code"] for one in json.loads(run("check", "--format", "json", alone)[1])] == [
        "scenario"
    ]


def test_a_scenario_of_an_event_that_is_declared_twice_tells_nothing(
    run: Run, tmp_path: Path
) -> None:
    text = "version: 1\nevents:\n  Spoon bent:\n    category: x\n    properties: {NAME: [a]}\n"
    write(tmp_path, text.replace("NAME", "how"), "a.yaml")
    write(tmp_path, text.replace("NAME", "who"), "b.yaml")
    expected = "expect: [{event: Spoon bent, properties: {who: a}}]"
    write(tmp_path, f"log: x\n{expected}\n", "c.scenario.yaml")
    rule = "message: Spoon bent\nproperties: {how: a, who: a}\nhits: [{log: 'x', expect: []}]\n"
    write(tmp_path, f"id: spoon\nevent: Spoon bent\nquestion: x\n{rule}", "spoon.yaml")
    _, out = run("check", "--format", "json", str(tmp_path))

    assert [(one["code"], Path(one["file"]).name) for one in json.loads(out)] == [
        ("duplicate", "b.yaml")
    ]


def test_every_code_is_explained() -> None:
    said = set[str]()
    for path in Path("agent").rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        said |= {code for code in CODES if f'"{code}"' in text and path.name != "codes.py"}
    said |= {f"unused-{what}" for what in ("event", "fact", "fragment", "vocabulary")}

    assert set(CODES) == said


# --- test -----------------------------------------------------------------------------------------


def test_the_shipped_examples_and_scenarios_pass(run: Run) -> None:
    code, out = run("test")

    assert code == 0
    assert "0 failed" in out
    assert " 0 scenarios" not in out


SCENARIO = f"""\
log: |
  {REQUEST}
  {REQUEST}
expect:
  - event: Command executed
    properties: {{platform: slack, command: kubectl get, result: unknown}}
    count: 2
"""


def test_a_scenario_passes(run: Run, tmp_path: Path) -> None:
    code, out = run("test", write(tmp_path, SCENARIO, "a.scenario.yaml"))

    assert code == 0
    assert "1 scenario, 0 failed" in out


def test_a_scenario_is_run_with_the_rules_beside_it(run: Run, tmp_path: Path) -> None:
    write(tmp_path, RULE)
    line = '{"level":"info","msg":"My fork has sent it to Slack","time":"2025-06-18T08:28:13Z"}'
    one = "  - {event: Event handled, properties: {platform: slack}}\n"
    text = f"log: '{line}'\nexpect:\n{one}"

    assert run("test", write(tmp_path, text, "a.scenario.yaml"))[0] == 0
    # What is expected twice is expected to be counted twice.
    assert run("test", write(tmp_path, text + one, "a.scenario.yaml"))[0] == 1


def test_a_scenario_reads_the_log_beside_it(run: Run, tmp_path: Path) -> None:
    write(tmp_path, f"{REQUEST}\n{REQUEST}\n", "some.log")
    text = "file: some.log\n" + SCENARIO[SCENARIO.index("expect:") :]

    assert run("test", write(tmp_path, text, "a.scenario.yaml"))[0] == 0


def test_a_failing_scenario_shows_what_differs(run: Run, tmp_path: Path) -> None:
    text = SCENARIO.replace("count: 2", "count: 3")
    code, out = run("test", write(tmp_path, text, "a.scenario.yaml"))
    key = "event: Command executed, properties: {command: kubectl get, platform: slack, result"

    assert code == 1
    assert f"{tmp_path}/a.scenario.yaml:7:12: scenario" in out
    assert f"- {{{key}: unknown}}, count: 3}}" in out
    assert f"+ {{{key}: unknown}}, count: 2}}" in out


def test_a_failing_scenario_is_told_at_the_entry_that_is_wrong(run: Run, tmp_path: Path) -> None:
    path = write(tmp_path, SCENARIO.replace("kubectl get,", "kubectl top,"), "a.scenario.yaml")

    assert f"{path}:5:5: scenario" in run("check", path)[1]


@pytest.mark.parametrize("kind", ["events", "vocabularies", "facts"])
def test_what_we_declare_is_declared_once_more_with_one_fault(
    run: Run, tmp_path: Path, kind: str
) -> None:
    made = {"vocabularies": "{words: {x: }}", "facts": "[x]"}
    event = "{category: commands, properties: {x: [y]}}"
    names = getattr(RULES, kind)
    more = "".join(f"  {name}: {made.get(kind, event)}\n" for name in names)
    _, out = run("check", "--format", "json", write(tmp_path, f"{kind}:\n{more}"))
    found = json.loads(out)

    assert len(found) == len(names)
    assert {one["code"] for one in found} == {"duplicate"}


def test_a_failing_example_shows_what_differs(run: Run, tmp_path: Path) -> None:
    code, out = run("test", write(tmp_path, edit("expect: {platform: slack}", "expect: []")))

    assert code == 1
    assert "mine.yaml:10:5: example" in out
    assert "+ {event: Event handled, properties: {platform: slack}, count: 1}" in out


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("expect:", "expects:", "did you mean expect?"),
        ("Command executed", "Command execute", "did you mean Command executed?"),
        ("platform: slack", "platform: slak", "did you mean slack?"),
        ("log: |", "log: x\nfile: |", "a.scenario.yaml:2:1: duplicate: a scenario has a `log` or"),
        (
            "properties: {platform: slack, command: kubectl get, result: unknown}",
            "platform: slack",
            "write `properties: {platform: slack}`",
        ),
        ("count: 2", "count: 0", "from 1 to 1000000"),
    ],
)
def test_a_broken_scenario_names_its_place(
    run: Run, tmp_path: Path, old: str, new: str, says: str
) -> None:
    code, out = run("test", write(tmp_path, SCENARIO.replace(old, new), "a.scenario.yaml"))

    assert code == 1
    assert says in out


# --- coverage -------------------------------------------------------------------------------------


SPOON = '{"level":"info","msg":"My spoon has sent it to Slack","time":"2025-06-18T08:28:13Z"}'


def test_the_shipped_set_is_covered_by_its_own_examples(run: Run) -> None:
    code, out = run("coverage", "--format", "json", "--strict")
    found = json.loads(out)
    totals = found.pop("totals")

    assert found == {"rules": [], "closers": [], "branches": [], "words": {}, "unmatched": []}
    assert all(totals[what] for what in ("rules", "closers", "branches", "words"))
    assert code == 0


def test_coverage_names_what_is_not_reached(run: Run, tmp_path: Path) -> None:
    rule = edit("My fork has", "My (?:fork|spoon) has")
    write(tmp_path, rule.replace("vocabulary: bots", "vocabulary: tones"))
    tones = "vocabularies:\n  tones: {words: {slack: [slack], discord: [soft]}}\n"
    write(tmp_path, tones, "v.yaml")
    code, out = run("coverage", "--format", "json", "--strict", "--rules", str(tmp_path))
    found = json.loads(out)

    assert code == 1
    assert found["branches"] == [{"rule": "mine", "key": "message", "branch": "spoon"}]
    assert found["words"] == {"tones": ["discord"]}
    assert found["totals"]["rules"] == len(RULES.rules) + 1


def test_coverage_shows_a_users_own_rules_first(run: Run, tmp_path: Path) -> None:
    write(tmp_path, edit("My fork has", "My (?:fork|spoon) has"))
    line = '{"commGroup":"g","level":"debug","msg":"Message successfully sent"}'
    taken = "message: 'Message successfully sent$'\nfields: {commGroup: g}\n"
    write(tmp_path, f"id: taker\npriority: 9\n{taken}hits: ['{line}']\n", "taker.yaml")
    _, out = run("coverage", "--rules", str(tmp_path))

    assert "  mine message: 'spoon'\n" in out
    assert "  1 of the shipped rules; see --format json\n" in out
    assert "pagerduty-event" not in out


def test_coverage_goes_on_behind_a_scenario_at_fault(run: Run, tmp_path: Path) -> None:
    write(tmp_path, edit("My fork has", "My (?:fork|spoon) has"))
    write(tmp_path, SCENARIO.replace("expect:", "expekt:"), "a.scenario.yaml")
    write(tmp_path, f"log: '{SPOON}'\nexpect: []\n", "b.scenario.yaml")
    code, out = run("coverage", "--format", "json", "--rules", str(tmp_path))

    assert code == 1
    assert not json.loads(out)["branches"]


def test_a_severe_message_without_a_rule_is_not_full_coverage() -> None:
    whole = Coverage([], [], [], {}, {}, [])
    missed = Unmatched("error", False, "x", 1, "a.log:1")  # noqa: FBT003 the core's

    assert whole.is_full
    assert not Coverage([], [], [], {}, {}, [missed]).is_full


def test_the_words_of_a_closer_are_reached_through_it(tmp_path: Path) -> None:
    write(
        tmp_path,
        RULE.replace(
            "level: info\n",
            "level: info\npair: {closers: [{by: heard, properties: "
            "{platform: {capture: whom, vocabulary: tones, otherwise: unknown}}}]}\n",
        ),
    )
    tones = "vocabularies:\n  tones: {words: {teams: [loud], discord: [soft]}}\n"
    write(tmp_path, tones, "v.yaml")
    heard = '{"level":"info","msg":"It was heard loud","time":"2025-06-18T08:28:13Z"}'
    write(
        tmp_path, f"id: heard\nmessage: 'It was heard (?P<whom>.*)'\nhits: ['{heard}']\n", "h.yaml"
    )
    line = '{"level":"info","msg":"My fork has sent it to Slack","time":"2025-06-18T08:28:13Z"}'
    ruleset = load_rules([str(tmp_path)])
    found = measure(ruleset, {"a.log": f"{line}\n{heard}\n".encode()})

    assert found.words["tones"] == ["discord"]


def test_a_log_covers_what_examples_do_not(tmp_path: Path) -> None:
    ruleset = load_rules([write(tmp_path, edit("My fork has", "My (?:fork|spoon) has"))])

    def missing(logs: dict[str, bytes]) -> list[str]:
        return [one["branch"] for one in measure(ruleset, logs).branches if one["rule"] == "mine"]

    assert missing({}) == ["spoon"]
    assert not missing({"x.log": SPOON.encode()})


def test_unmatched_errors_are_grouped_into_templates(run: Run, tmp_path: Path) -> None:
    lines = [
        json.dumps({"level": "error", "msg": f'cannot brew pot {n} for "me-{n}"'}) for n in range(3)
    ]
    path = write(tmp_path, "\n".join([*lines, json.dumps({"level": "info", "msg": "hi"})]), "a.log")
    code, out = run("coverage", path)

    assert code == 0
    assert "3  error  cannot brew pot <n> for <text>  (first: " in out


@pytest.mark.parametrize(
    ("message", "template"),
    [
        ('pods "web-0" not found', "pods <text> not found"),
        ("Post https://x.y/z: no such host", "Post <url> no such host"),
        ("open /config/a.yaml: no such file", "open <path>: no such file"),
        ("address 0xc000012 and 10.0.0.1:80", "address <hex> and <n>"),
        ("nodes my-node-1 is gone after 30s", "nodes <name> is gone after <n>"),
        ("first line\nsecond", "first line ..."),
        ("it isn't what we're after", "it isn't what we're after"),
    ],
)
def test_templates_keep_the_wording_only(message: str, template: str) -> None:
    assert template == template_of(message)


@pytest.mark.parametrize(
    ("pattern", "text", "taken"),
    [
        ("a(?:b|c)", "ac", ["c"]),
        ("(?s)ab|cd", "cd", ["cd"]),
        ("x(?:y|)z", "xz", [""]),
        (r"[|)]\|(?P<n>p|q(?:r|s))", "|" + "|qs", ["q(?:r|s)", "s"]),
        ("plain", "plain", []),
    ],
)
def test_branches_are_those_that_took_part(pattern: str, text: str, taken: list[str]) -> None:
    assert taken == [one.text for one in branches_of(pattern).taken(text.encode())]


def test_every_shipped_pattern_means_the_same_with_its_branches_marked() -> None:
    for one in RULES.rules:
        branches = branches_of(one.pattern)
        for example in one.hits:
            for step in trace_log(RULES, example.log.encode()).steps:
                if step.rule == one.id and step.record is not None and branches.all:
                    assert list(branches.taken(step.record.message)) or "?" in one.pattern


# --- all of them ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "command", ["check", "test", "explain", "coverage", "schema", "docs", "fmt"]
)
def test_every_command_says_what_it_is_for(run: Run, command: str) -> None:
    code, out = run(command, "--help")

    assert code == 0
    assert "usage: botkube-analytics rules" in out


def test_a_broken_rule_is_told_by_the_other_commands_too(run: Run, tmp_path: Path) -> None:
    rules = write(tmp_path, edit("level: info", "level: inof"))

    assert run("docs", "--rules", rules)[0] == 2


COMMANDS = [("explain", "--rules"), ("coverage", "--rules"), ("test",)]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda words: words[0])
def test_commands_run_with_what_compiles(
    run: Run, tmp_path: Path, command: tuple[str, ...]
) -> None:
    write(tmp_path, edit("level: info", "level: inof"))
    other = RULE.replace("id: mine", "id: sound").replace("My fork", "Our fork")
    write(tmp_path, other, "sound.yaml")
    line = '{"level":"info","msg":"Our fork has sent it to Slack"}'
    code, out = run(*command, str(tmp_path), *([line] if command[0] == "explain" else []))

    says = {"explain": ", by sound", "coverage": " reached", "test": "0 scenarios, 0 failed"}
    assert (code, says[command[0]] in out) == (1, True)


def test_files_that_are_left_out_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    load_sound([write(tmp_path, edit("level: info", "level: inof"))])

    assert "mine.yaml\n" in capsys.readouterr().err


@pytest.mark.parametrize("path", ["nowhere", "empty", "faulty"])
def test_rules_of_which_nothing_is_left_are_told(run: Run, tmp_path: Path, path: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "faulty").mkdir()
    write(tmp_path / "faulty", "platforms: {bots: [a], sinks: []}\nevents: x\n")

    assert run("explain", "--rules", str(tmp_path / path), REQUEST)[0] == 2


# --- schema ---------------------------------------------------------------------------------------

VALIDATOR = Draft202012Validator(make_schema())
FILES = [
    pytest.param(path, id=str(path.relative_to(shipped_folder())))
    for path in sorted(shipped_folder().rglob("*.yaml"))
]


def test_the_schema_beside_the_rules_is_the_one_that_the_code_writes(run: Run) -> None:
    """To write it anew: `botkube-analytics rules schema > rules/schema.json`."""
    assert run("schema") == (0, (shipped_folder() / "schema.json").read_text())


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(make_schema())


@pytest.mark.parametrize("path", FILES)
def test_every_shipped_file_is_valid_and_names_its_schema(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    found = re.match(r"# yaml-language-server: \$schema=(\S+)\n", text)

    assert found is not None
    assert (path.parent / found[1]).resolve() == shipped_folder() / "schema.json"
    assert not list(VALIDATOR.iter_errors(yaml.safe_load(text)))


WRONG = [
    ("level: info", "levle: info"),
    ("level: info", "level: inof"),
    ("level: info", "pair: {lines: 5}"),
    ("id: mine\n", ""),
    ("level: info", "versions: [v1.0]"),
    ("level: info", "versions: [v1.0, v9.99]"),
    ("question: Which events does my fork handle?\n", ""),
    (", vocabulary: bots, otherwise: unknown", ""),
    ("{capture: where, vocabulary: bots, otherwise: unknown}", "{}"),
    ("vocabulary: bots", "vocabulary: bots, buckets: [1]"),
    ("vocabulary: bots", "vocabulary: bots, present: where"),
    (RULE[RULE.index("\n  - log") : RULE.index("\nmisses")], " []"),
]


def test_the_schema_refuses_what_the_compiler_refuses(run: Run, tmp_path: Path) -> None:
    texts = [
        edit(old, new).replace("id: mine", f"id: mine-{n}") for n, (old, new) in enumerate(WRONG)
    ]
    assert run("check", write(tmp_path, RULE))[0] == 0
    (tmp_path / "mine.yaml").unlink()
    for number, text in enumerate(texts):
        write(tmp_path, text, f"{number}.yaml")
    code, out = run("check", "--format", "json", str(tmp_path))
    refused = {Path(one["file"]).name for one in json.loads(out)}

    assert code == 1
    assert refused == {f"{number}.yaml" for number in range(len(WRONG))}
    for text in texts:
        assert list(VALIDATOR.iter_errors(yaml.safe_load(text)))
    assert not list(VALIDATOR.iter_errors(yaml.safe_load(RULE)))


@pytest.mark.parametrize(
    ("text", "is_valid"),
    [
        ("log: x\nexpect: []\n", True),
        ("log: x\nfile: x.log\nexpect: []\n", False),
        ("expect: []\n", False),
        ("version: 1\nvocabularies: {mine: {words: {}}}\n", False),
        ("version: 1\nevents: {Mine: {category: x, properties: {a: b}}}\n", True),
        ("version: 1\nevents: {Mine: {category: x, properties: {a: []}}}\n", False),
        (edit("  - '{", "  - log: '{"), True),
        ("id: mine\ndisable: true\n", True),
        ("id: mine\ndisable: true\nlevel: info\n", False),
    ],
)
def test_the_schema_judges_as_the_compiler_does(text: str, is_valid: bool) -> None:
    assert is_valid == (not list(VALIDATOR.iter_errors(yaml.safe_load(text))))


def test_the_schema_knows_every_key_that_the_compiler_knows() -> None:
    assert set(rule.KEYS) == set(SECTIONS["rule"])
    assert set(shared.KEYS) == set(SECTIONS["shared file"])
    assert set(scenarios.KEYS) == set(SECTIONS["scenario"])
    assert set(scenarios.EXPECT_KEYS) == set(SECTIONS["expected count"])


SECTION_TEXTS = {
    "pair": (
        edit("level: info", "pair: {closers: [{by: mine}], KEY: 1}"),
        "key in pair",
    ),
    "closer": (edit("level: info", "pair: {closers: [{by: mine, KEY: 1}]}"), "key in a closer"),
    "source": (
        edit("otherwise: unknown", "otherwise: unknown, KEY: 1"),
        "key in property platform",
    ),
    "vocabulary": (
        "version: 1\nvocabularies:\n  mine: {words: {a: }, used_by: agent, KEY: 1}\n",
        "key in vocabulary mine",
    ),
    "event": ("version: 1\nevents:\n  Mine: {category: events, KEY: 1}\n", "key in event Mine"),
    "uncovered": (
        "version: 1\nuncovered:\n  - {category: events, formats: json, reason: x, KEY: 1}\n",
        "key in uncovered",
    ),
}


@pytest.mark.parametrize("section", SECTION_TEXTS)
def test_the_compiler_knows_every_key_that_the_schema_knows(section: str) -> None:
    text, what = SECTION_TEXTS[section]
    shared = {name: TEXTS[f"rules/{name}"] for name in ("events.yaml", "vocabularies.yaml")}
    for key in SECTIONS[section]:
        given = f"{key[:-1]}{'x' if key[-1] != 'x' else 'y'}"
        with pytest.raises(RuleError) as caught:
            compile_rules({**shared, "mine.yaml": text.replace("KEY", given)})
        faults = [one for one in caught.value.problems if what in one.message]

        assert len(faults) == 1
        assert key in faults[0].hint


# --- docs -----------------------------------------------------------------------------------------


def test_the_page_beside_the_rules_is_the_one_that_the_code_writes(run: Run) -> None:
    """To write it anew: `botkube-analytics rules docs > rules/README.md`."""
    assert run("docs") == (0, (shipped_folder() / "README.md").read_text())


@pytest.mark.parametrize("category", CATEGORIES)
def test_every_cell_has_a_rule_or_a_reason(category: str) -> None:
    assert not [row for row in rows_of(load_rules(), category) if not row.is_explained]


def test_a_category_of_ones_own_is_in_the_table(run: Run, tmp_path: Path) -> None:
    events = "events:\n  Mine: {category: plugins, properties: {platform: [slack, other]}}\n"
    write(tmp_path, events, "events.yaml")
    write(tmp_path, RULE.replace("Event handled", "Mine").replace(", otherwise: unknown", ""))
    write(
        tmp_path,
        edit("event: Event handled", "event: Mine")
        .replace("{capture: where, vocabulary: bots, otherwise: unknown}", "slack")
        .replace("(?P<where>\\w+)", "\\w+"),
    )
    _, out = run("docs", "--rules", str(tmp_path))

    assert "### Plugins\n" in out
    assert "| `mine` |" in out


def test_every_category_is_in_the_table() -> None:
    ruleset = load_rules()

    assert {one.category for one in ruleset.events.values()} | {"crashes"} == set(CATEGORIES)
    assert {one.category for one in ruleset.uncovered} <= set(CATEGORIES)


def test_the_example_of_the_page_is_a_rule(run: Run, tmp_path: Path) -> None:
    found = re.search(r"```yaml\n(.*?)```", (shipped_folder() / "README.md").read_text(), re.DOTALL)

    assert found is not None
    assert run("check", write(tmp_path, found[1]))[0] == 0


# --- fmt ------------------------------------------------------------------------------------------


def test_the_shipped_files_have_the_one_layout(run: Run) -> None:
    assert run("fmt", "--check") == (0, "")


@pytest.mark.parametrize("path", FILES)
def test_fmt_is_idempotent_and_changes_no_meaning(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    made = format_text(text)

    assert made is not None
    assert made == format_text(made)
    assert meaning(text) == meaning(made)


UNTIDY = """\
# yaml-language-server: $schema=../schema.json
# About the file.

hits:
  - log: |
      a text with spaces at its end  \n\
      and more

    expect: {platform: slack}
# Why it is debug.
level: debug\x20\x20
message: 'x'   # a remark
event: Event handled
id: mine


"""
TIDY = """\
# yaml-language-server: $schema=../schema.json
# About the file.

id: mine
event: Event handled
# Why it is debug.
level: debug
message: 'x'   # a remark
hits:
  - log: |
      a text with spaces at its end  \n\
      and more

    expect: {platform: slack}
"""


def test_fmt_orders_keys_and_keeps_comments_with_them() -> None:
    assert format_text(UNTIDY) == TIDY
    assert format_text(TIDY) == TIDY
    assert meaning(TIDY) == meaning(UNTIDY)


@pytest.mark.parametrize("text", ["id: [", "", "- a\n", "{id: x}\n"])
def test_fmt_leaves_alone_what_it_cannot_read(text: str) -> None:
    assert format_text(text) == text


@pytest.mark.parametrize(
    ("text", "made"),
    [
        pytest.param(
            "level: x\n# one\n\n# two\nid: y\n", "# one\n\n# two\nid: y\nlevel: x\n", id="comments"
        ),
        pytest.param("id: x\r\nlevel: y\r\n", "id: x\nlevel: y\n", id="crlf"),
        pytest.param("\ufeffid: x\n", "id: x\n", id="mark"),
        pytest.param("---\nlevel: x\nid: y\n...\n", "---\nid: y\nlevel: x\n", id="end"),
        pytest.param("level: &a x\nid: *a\n", None, id="alias-before-its-anchor"),
    ],
)
def test_fmt_brings_into_order_what_it_can(text: str, made: str | None) -> None:
    assert made == format_text(text)


@pytest.mark.parametrize("text", ["id: [", "level: &a x\nid: *a\n", "id: x\nid: y\n"])
@pytest.mark.parametrize("flags", [[], ["--check"]])
def test_fmt_says_what_it_cannot_format(
    run: Run, tmp_path: Path, text: str, flags: list[str]
) -> None:
    path = write(tmp_path, text)

    assert run("fmt", *flags, path) == (1, "")
    assert Path(path).read_text() == text


def test_fmt_finds_line_breaks_of_another_system(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_bytes(b"id: x\r\n")

    assert run("fmt", "--check", str(path))[0] == 1
    assert run("fmt", str(path))[0] == 0
    assert path.read_bytes() == b"id: x\n"


def test_fmt_writes_files_and_says_which(run: Run, tmp_path: Path) -> None:
    path = write(tmp_path, UNTIDY)

    assert run("fmt", "--check", path) == (1, f"{path}\n")
    assert Path(path).read_text() == UNTIDY
    assert run("fmt", path) == (0, f"{path}\n")
    assert Path(path).read_text() == TIDY


def test_a_set_means_the_same_after_fmt(tmp_path: Path) -> None:
    """Rules compiled from formatted files count the same in every recorded log."""
    texts = {name: format_text(text) or "" for name, text in read_files().texts.items()}
    made = compile_rules(texts)

    assert [rule.id for rule in RULES.rules] == [rule.id for rule in made.rules]
    for path in sorted(SAMPLES.glob("v*/pod.log")):
        log = path.read_bytes()
        assert trace_log(RULES, log).observations == trace_log(made, log).observations
