"""The command line as a user meets it: what is printed, which code it ends with, what it opens."""

from __future__ import annotations

import asyncio
import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import attrs
import orjson
import pytest

from agent import __version__
from agent.__main__ import main
from agent.ledger.ledger import Ledger
from agent.preview import preview
from agent.previewing import LONG_BYTES
from agent.rulefiles import load_rules
from agent.sink.batch import batch_array
from tests.test_ledger import on_disk

ROOT = Path(__file__).parent.parent
SAMPLES = ROOT / "tests" / "data" / "samples"
LOG = SAMPLES / "v1.6.0" / "pod.log"
SECRET = "aBcDeFgHiJkLmNoPqRsTuVwXyZ012345"
STOP_SECONDS = 5


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Keep this machine's settings, kubeconfig and State out of the tests."""
    for name in os.environ:
        if name.startswith(("BOTKUBE_ANALYTICS_", "KUBE")) or name == "DO_NOT_TRACK":
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "120")
    # Any free port: tests run beside each other, and `status` asks nobody.
    monkeypatch.setenv("BOTKUBE_ANALYTICS_PAGE_PORT", "0")


@attrs.frozen
class Said:
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str


def command(*arguments: str, stdin: bytes = b"", **environment: str) -> Said:
    """Run a command as a process of its own."""
    done = subprocess.run(  # noqa: S603 our own command
        [sys.executable, "-m", "agent", *arguments],
        input=stdin,
        capture_output=True,
        cwd=ROOT,
        env={**os.environ, **environment},
        timeout=25,
        check=False,
    )
    said = Said(done.returncode, done.stdout.decode(), done.stderr.decode())
    assert "Traceback" not in said.out + said.err
    return said


def call(capsys: pytest.CaptureFixture[str], *arguments: str) -> Said:
    """Run a command in this process, where it leaves nothing behind."""
    try:
        code = main(arguments)
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    return Said(code, *capsys.readouterr())


def give(monkeypatch: pytest.MonkeyPatch, text: bytes) -> None:
    """Put bytes on standard input."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text)))


# --- help -----------------------------------------------------------------------------------------


def test_help_names_every_command_and_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    said = call(capsys, "--help")

    assert said.code == 0
    for word in (
        "run",
        "preview",
        "audit",
        "report",
        "prove",
        "plan",
        "rules",
        "status",
        "doctor",
        "0 ",
        "1 ",
        "2 ",
        "3 ",
        "130 ",
    ):
        assert f"  {word}" in said.out


@pytest.mark.parametrize("name", ["run", "preview", "status", "doctor", "ledger"])
def test_help_of_a_command_tells_flags_values_and_defaults(
    capsys: pytest.CaptureFixture[str], name: str
) -> None:
    said = call(capsys, name, "--help")
    words = " ".join(said.out.split())

    assert said.code == 0
    assert "--window-seconds VALUE" in words
    assert "2 to 86400 seconds, a divisor of 86400; default: 3600" in words
    assert "write-key-file" in words
    assert "--destination-write-key VALUE" not in words


def test_version_is_the_packages(capsys: pytest.CaptureFixture[str]) -> None:
    assert Said(0, f"botkube-analytics {__version__}\n", "") == call(capsys, "--version")


@pytest.mark.parametrize(
    "arguments", [[], ["fly"], ["rules"], ["preview", "--window-minutes", "1"]]
)
def test_a_command_that_is_none_ends_with_code_2(
    capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    said = call(capsys, *arguments)

    assert said.code == 2
    assert said.err.startswith("usage: botkube-analytics")


# --- preview --------------------------------------------------------------------------------------


def expected_batches(*logs: bytes) -> str:
    """Return what `--format json` has to print for logs with the API's stamps."""
    found = preview(
        (iter([log]) for log in logs),
        load_rules(),
        window_seconds=3600,
        agent_version=__version__,
        now_seconds=0,
    )
    return "".join(batch_array(batch).decode() + "\n" for batch in found.batches)


def test_preview_raises_counts_below_the_minimum_as_the_wire_does(
    capsys: pytest.CaptureFixture[str],
) -> None:
    said = call(capsys, "preview", "--format", "json", "--privacy-minimum", "5", str(LOG))
    counts = [
        event["properties"]
        for line in said.out.splitlines()
        for event in json.loads(line)
        if "count" in event["properties"]
    ]

    assert min(one["count"] for one in counts) == 5
    assert {one["count"] for one in counts if "count_floor" in one} == {5}


def test_preview_prints_the_batch_byte_for_byte(capsys: pytest.CaptureFixture[str]) -> None:
    said = call(capsys, "preview", "--format", "json", str(LOG))
    (line,) = said.out.splitlines()

    assert Said(0, expected_batches(LOG.read_bytes()), "") == said
    assert [event["type"] for event in json.loads(line)] == ["track"] * 22


@pytest.mark.parametrize("arguments", [[], ["-"]])
def test_preview_reads_standard_input(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    give(monkeypatch, LOG.read_bytes())

    assert (
        expected_batches(LOG.read_bytes())
        == call(capsys, "preview", "--format", "json", *arguments).out
    )


def test_preview_of_several_files_is_one_batch_of_all(capsys: pytest.CaptureFixture[str]) -> None:
    files = [SAMPLES / version / "pod.log" for version in ("v0.12.4", "v0.16.0")]

    assert (
        expected_batches(*(file.read_bytes() for file in files))
        == call(capsys, "preview", "--format", "json", *map(str, files)).out
    )


def test_preview_counts_the_same_without_the_apis_stamps(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    give(monkeypatch, b"".join(line[31:] for line in LOG.read_bytes().splitlines(keepends=True)))
    plain = call(capsys, "preview", "--format", "json", "-")
    stamped = call(capsys, "preview", "--format", "json", str(LOG))

    assert plain.code == 0
    assert counts(stamped.out) == counts(plain.out)
    assert reports(stamped.out) == reports(plain.out)


def reports(printed: str) -> list[tuple[str, int]]:
    """Return each Collection report's window and lines."""
    found = [event["properties"] for line in printed.splitlines() for event in json.loads(line)]
    return [(one["window_start"], one["lines_read"]) for one in found if "lines_read" in one]


def counts(printed: str) -> list[tuple[str, int]]:
    events = [event for line in printed.splitlines() for event in json.loads(line)]
    return [
        (event["event"], event["properties"]["count"])
        for event in events
        if "count" in event["properties"]
    ]


def test_preview_as_a_table_says_what_and_how_much(capsys: pytest.CaptureFixture[str]) -> None:
    said = call(capsys, "preview", str(LOG))

    assert said.code == 0
    assert "platform=elasticsearch, reason=rate_limited, what=event" in said.out
    (line,) = expected_batches(LOG.read_bytes()).splitlines()
    report = json.loads(line)[-1]["properties"]
    assert f"225 lines read, {report['lines_matched']} entries matched" in said.out
    assert "zero UUIDs" in said.out


@pytest.mark.parametrize("kind", ["table", "json"])
def test_preview_of_nothing_is_no_fault(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    give(monkeypatch, b"")
    said = call(capsys, "preview", "--format", kind)

    assert (said.code, said.err) == (0, "")
    assert kind == "table" or not said.out


@pytest.mark.parametrize(
    "garbage",
    [
        pytest.param(bytes(range(256)) * 4000, id="every byte"),
        pytest.param(b"\0" * 3_000_000, id="a line of NUL"),
        pytest.param(b'{"level":"debug","msg":"\xff\xfe' + b"\r\n" * 500, id="torn JSON"),
        pytest.param(b"\n" * 100_000, id="empty lines"),
        pytest.param(b"2026-11-23T21:29:10.1Z \n2026-99-99T99:99:99Z x\n", id="stamps"),
    ],
)
def test_preview_of_garbage_counts_nothing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, garbage: bytes
) -> None:
    give(monkeypatch, garbage)
    said = call(capsys, "preview", "--format", "json", "-")

    assert (said.code, said.err) == (0, "")
    assert not counts(said.out)


class Terminal(io.StringIO):
    """What somebody sees who looks at standard error."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("size", "is_shown"),
    [pytest.param(LONG_BYTES, False, id="short"), pytest.param(LONG_BYTES + 1, True, id="long")],
)
@pytest.mark.parametrize("source", ["standard input", "file"])
def test_preview_of_a_long_input_shows_how_far_it_is(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, source: str, size: int, *, is_shown: bool
) -> None:
    log = tmp_path / "long.log"
    log.write_bytes(b"x" * size)
    give(monkeypatch, log.read_bytes())
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", terminal := Terminal())

    assert main(["preview", str(log) if source == "file" else "-"]) == 0
    shown = terminal.getvalue()
    assert ("reading" in shown) is is_shown
    assert ("MB" in shown) is is_shown


def test_preview_of_a_long_input_says_nothing_where_nobody_looks(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    give(monkeypatch, b"x" * (LONG_BYTES + 1))

    assert call(capsys, "preview", "-").err == ""


@pytest.mark.parametrize(
    ("name", "why"), [("missing.log", "No such file or directory"), ("", "Is a directory")]
)
def test_preview_says_which_file_cannot_be_read_and_why(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, name: str, why: str
) -> None:
    said = call(capsys, "preview", str(tmp_path / name))

    assert (said.code, said.out) == (2, "")
    assert str(tmp_path) in said.err
    # The console wraps long lines.
    assert why in " ".join(said.err.split())


@pytest.mark.parametrize("kind", ["table", "json"])
def test_a_reader_that_has_gone_is_no_fault_of_ours(kind: str) -> None:
    ours, theirs = os.pipe()
    os.close(ours)
    done = subprocess.run(  # noqa: S603 our own command
        [sys.executable, "-m", "agent", "preview", "--format", kind, str(LOG)],
        stdout=theirs,
        stderr=subprocess.PIPE,
        cwd=ROOT,
        timeout=25,
        check=False,
    )
    os.close(theirs)

    assert done.stderr == b""
    assert kind == "table" or done.returncode == 0


STREAMS = {
    "preview-of-a-closed-input": ("preview - <&-", "cannot read standard input: it is closed"),
    "explain-of-a-closed-input": (
        "rules explain - <&-",
        "cannot read standard input: it is closed",
    ),
    "coverage-of-a-closed-input": ("rules coverage - <&-", "standard input: it is closed"),
    "preview-to-a-closed-output": ("preview LOG --format json >&-", "standard output is closed"),
    "check-to-a-closed-output": ("rules check >&-", "standard output is closed"),
    "preview-to-a-full-disk": ("preview LOG --format json >/dev/full", "No space left on device"),
    "preview-of-a-table-to-a-full-disk": ("preview LOG >/dev/full", "No space left on device"),
    "schema-to-a-full-disk": ("rules schema >/dev/full", "No space left on device"),
}


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no such device here")
@pytest.mark.parametrize(("line", "says"), STREAMS.values(), ids=STREAMS)
def test_a_stream_that_cannot_be_used_is_said_in_one_line(line: str, says: str) -> None:
    done = subprocess.run(  # noqa: S602 what a shell does to streams is what is tried
        f"{sys.executable} -m agent {line.replace('LOG', str(LOG))}",
        shell=True,
        capture_output=True,
        cwd=ROOT,
        timeout=25,
        check=False,
    )

    assert done.returncode == 2
    assert done.stdout == b""
    assert done.stderr.startswith(b"botkube-analytics: ")
    assert says in done.stderr.decode()
    assert done.stderr.count(b"\n") == 1


def test_commands_for_rules_load_no_http_client() -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "agent", "rules", "check"],
        capture_output=True,
        cwd=ROOT,
        timeout=25,
        check=False,
    )
    loaded = {line.rpartition(b"|")[2].strip() for line in done.stderr.splitlines()}

    assert done.returncode == 0
    assert b"agent.rules" in loaded
    assert not {b"aiohttp", b"kubernetes_asyncio", b"asyncio", b"rich"} & loaded


# --- settings -------------------------------------------------------------------------------------


def test_all_wrong_settings_are_said_at_once(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(f"windows: {{}}\ndestination: {{write_key: 'a b {SECRET}'}}\n")
    monkeypatch.setenv("BOTKUBE_ANALYTICS_DESTINATION_REGION", "mars")
    said = call(
        capsys, "preview", "--config", str(file), "--window-seconds", "7", "--log-level", "loud"
    )
    places = [line.partition(": ")[0] for line in said.err.splitlines()[1:]]
    expected = {
        f"{file}:1:1",
        f"{file}:2:26",
        "BOTKUBE_ANALYTICS_DESTINATION_REGION",
        "--window-seconds",
        "--log-level",
    }

    assert (said.code, said.out) == (2, "")
    assert expected == set(places)
    assert "did you mean window?" in said.err
    assert SECRET not in said.err


@pytest.mark.parametrize(
    ("name", "near"), [("WINDOW_SECOND", "BOTKUBE_ANALYTICS_WINDOW_SECONDS"), ("FOO", "")]
)
def test_a_variable_is_suggested_that_is_like_the_wrong_one_beyond_its_beginning(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, name: str, near: str
) -> None:
    monkeypatch.setenv(f"BOTKUBE_ANALYTICS_{name}", "1")
    said = call(capsys, "doctor")

    assert ("did you mean" in said.err) is bool(near)
    assert f"did you mean {near}" in said.err or "known: BOTKUBE_ANALYTICS_" in said.err


@pytest.mark.parametrize("name", ["run", "preview", "status", "doctor"])
def test_a_wrong_setting_stops_every_command(capsys: pytest.CaptureFixture[str], name: str) -> None:
    said = call(capsys, name, "--health-port", "many")

    assert (said.code, said.out) == (2, "")
    assert "--health-port: health.port: 'many' is not a whole number" in said.err


# --- rules ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["check", "--format", "json"], "[]"),
        (["test"], ", 0 failed"),
        (["explain", "--format", "json", str(LOG)], '"event":'),
        (["coverage", str(LOG)], "unmatched"),
        (["schema"], '"$schema"'),
        (["docs"], "# Rules"),
        (["fmt", "--check"], "0 of "),
    ],
    ids=lambda one: one[0] if isinstance(one, list) else None,
)
def test_every_command_of_rules_works_on_the_shipped_ones(
    capsys: pytest.CaptureFixture[str], arguments: list[str], expected: str
) -> None:
    said = call(capsys, "rules", *arguments)

    assert said.code == 0
    assert expected in said.out + said.err


def test_given_rules_are_added_to_the_shipped_ones(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "webhook.yaml").write_text("id: webhook-event-v1\ndisable: true\n")
    shipped = call(capsys, "preview", str(LOG)).out
    said = call(capsys, "preview", "--rules-paths", str(tmp_path), str(LOG))

    assert said.code == 0
    assert "platform=webhook" in shipped
    assert "Event handled       │ platform=webhook" not in said.out
    assert "Event handled       │ platform=mattermost" in said.out


def test_the_shipped_rules_are_in_order(capsys: pytest.CaptureFixture[str]) -> None:
    said = call(capsys, "rules", "check")

    assert said.code == 0
    assert " 0 faults; digest " in said.out


def test_every_fault_of_a_rule_file_has_its_place(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "one.yaml").write_text("id: One\nmessage: 'a(b'\nlevle: debug\n")
    (tmp_path / "two.yaml").write_text("id: two\n  message: x\n")
    said = call(capsys, "rules", "check", str(tmp_path))
    places = {line.split(": ")[0] for line in said.out.splitlines()[:-1]}

    assert (said.code, said.err) == (1, "")
    expected = {"one.yaml:1:5", "one.yaml:2:12", "one.yaml:3:1", "two.yaml:2:3"}
    assert {f"{tmp_path}/{place}" for place in expected} <= places
    assert "did you mean level?" in said.out
    assert said.out.endswith(" faults\n")


@pytest.mark.parametrize("content", [None, b"\xff\xfe", b""])
def test_what_is_no_rule_file_is_said_to_be_none(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, content: bytes | None
) -> None:
    file = tmp_path / "rule.yaml"
    if content is not None:
        file.write_bytes(content)
    said = call(capsys, "rules", "check", str(file))

    assert (said.code, said.err) == (2 if content is None else 1, "")
    assert f"{file}:1:1: " in said.out


def test_wrong_rules_stop_what_would_use_them(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "one.yaml").write_text("id: one\n")
    said = call(capsys, "preview", "--rules-paths", str(tmp_path), str(LOG))

    assert (said.code, said.out) == (2, "")
    assert "one.yaml:1:1: missing-key" in said.err


# --- audit ----------------------------------------------------------------------------------------


@pytest.fixture
def received(tmp_path: Path) -> Path:
    """Return an export of what a recorded log counts: one event a line."""
    log = LOG.read_bytes()
    shown = expected_batches(log).encode().splitlines()
    export = tmp_path / "received.ndjson"
    export.write_bytes(
        b"".join(orjson.dumps(event) + b"\n" for batch in shown for event in orjson.loads(batch))
    )
    return export


def test_audit_of_what_arrived_whole_ends_with_0(
    capsys: pytest.CaptureFixture[str], received: Path
) -> None:
    said = call(capsys, "audit", str(received))

    assert (said.code, said.err) == (0, "")
    assert said.out.startswith("consistent: 0 findings in 22 events, 1 windows, 1 streams")


def test_audit_names_the_interval_of_what_was_lost(
    capsys: pytest.CaptureFixture[str], received: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = received.read_bytes().splitlines(keepends=True)
    lost = orjson.loads(lines[0])["properties"]
    received.write_bytes(b"".join(lines[1:]))
    table = call(capsys, "audit", str(received))
    give(monkeypatch, received.read_bytes())
    found = json.loads(call(capsys, "audit", "-", "--format", "json").out)

    assert table.code == 1
    assert lost["window_start"] in " ".join(table.out.split()).replace("- ", "-")
    assert (found["consistent"], len(found["findings"])) == (False, 1)
    (one,) = found["findings"]
    assert (one["start"], one["end"]) == (lost["window_start"], lost["window_end"])
    assert (one["effect"], one["first_seq"], one["count"]) == ("lost", 1, lost["count"])


def test_audit_of_lines_that_are_no_events_ends_with_2(
    capsys: pytest.CaptureFixture[str], received: Path
) -> None:
    lines = received.read_bytes().splitlines()
    received.write_bytes(b"\n".join([*lines[:2], b'{"half', b"", b"[7]"]))
    said = call(capsys, "audit", str(received))

    assert (said.code, said.out) == (2, "")
    assert f"{received}:3: not JSON\n" in said.err
    assert f"{received}:5: not an object\n" in said.err


@pytest.mark.parametrize("content", [b"", b"{}\n", b"\xff\xfe\x00" * 99, b"7" * (9 << 20)])
def test_audit_of_nothing_or_of_anything_ends_with_2(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "received").write_bytes(content)
    said = call(capsys, "audit", str(tmp_path / "received"))

    assert (said.code, said.out) == (2, "")
    assert len(said.err) < 3000


def test_audit_of_a_file_that_is_not_there_ends_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    said = call(capsys, "audit", "nowhere.ndjson")

    assert said == Said(
        2, "", "botkube-analytics: cannot read nowhere.ndjson: No such file or directory\n"
    )


# --- status ---------------------------------------------------------------------------------------


def test_status_without_anything_is_local_and_empty(capsys: pytest.CaptureFixture[str]) -> None:
    said = call(capsys, "status")

    assert (said.code, said.err) == (0, "")
    assert "mode: local because no write key is set" in said.out
    assert "nothing yet" in said.out


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ((), "destination: none"),
        (("--destination-type", "stdout"), "destination: stdout, at least once"),
        (
            ("--destination-type", "file", "--destination-path", "/out/events"),
            "destination: file, exactly once",
        ),
    ],
    ids=["segment", "stdout", "file"],
)
def test_status_says_how_often_a_count_arrives(
    capsys: pytest.CaptureFixture[str], flags: tuple[str, ...], expected: str
) -> None:
    assert expected in call(capsys, "status", *flags).out.splitlines()


@pytest.mark.parametrize(
    ("kind", "more"),
    [
        ("segment", ()),
        ("posthog", ()),
        ("ga4", ("--destination-property", "G-ABC123")),
        ("stdout", ()),
    ],
)
def test_preview_prints_what_the_destination_would_be_given(
    capsys: pytest.CaptureFixture[str], kind: str, more: tuple[str, ...]
) -> None:
    log = str(SAMPLES / "v1.6.0" / "pod.log")
    said = call(capsys, "preview", "--format", "json", "--destination-type", kind, *more, log)
    found = [json.loads(line) for line in said.out.splitlines()]
    form = {
        "segment": lambda one: one[0]["type"] == "track",
        "posthog": lambda one: one[0]["properties"]["$process_person_profile"] is False,
        "ga4": lambda one: one["consent"]["ad_user_data"] == "DENIED",
        "stdout": lambda one: one["type"] == "track",
    }[kind]

    assert said.code == 0
    assert found
    assert all(map(form, found))


@pytest.mark.parametrize("kind", ["segment", "stdout"])
def test_the_log_leaves_standard_output_to_the_events(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    streams: list[object] = []

    async def served(*_: object, **__: object) -> int:
        return 0

    monkeypatch.setattr("agent.service.serve_pipeline", served)
    monkeypatch.setattr("agent.logs.configure", lambda _level, stream=None: streams.append(stream))
    said = call(capsys, "run", "--destination-type", kind)

    assert said.code == 0
    assert [one is not None for one in streams] == [kind == "stdout"]


def test_status_when_off_says_who_and_contacts_nothing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DO_NOT_TRACK", "1")
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
    said = call(capsys, "status")
    row = next(line for line in said.out.splitlines() if "DO_NOT_TRACK" in line and "yes" in line)

    assert (said.code, said.err) == (0, "")
    assert "mode: off because DO_NOT_TRACK" in said.out
    assert " true " in row
    assert "nothing is contacted" in said.out


@pytest.mark.parametrize("command", [("doctor", "--format", "json"), ("doctor",)])
def test_what_a_library_reports_stands_not_in_what_was_asked_for(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    command: tuple[str, ...],
) -> None:
    user = {"exec": {"apiVersion": "v1", "command": "false"}}
    found = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "one",
        "contexts": [{"name": "one", "context": {"cluster": "one", "user": "one"}}],
        "clusters": [{"name": "one", "cluster": {"server": "https://127.0.0.1:1"}}],
        "users": [{"name": "one", "user": user}],
    }
    (tmp_path / "kubeconfig").write_text(json.dumps(found), encoding="utf-8")
    monkeypatch.setenv("BOTKUBE_ANALYTICS_KUBERNETES_KUBECONFIG", str(tmp_path / "kubeconfig"))
    said = call(capsys, *command)

    assert "a library reported something" in said.err
    assert "a library reported something" not in said.out
    assert said.code in {1, 3}
    if "json" in command:
        json.loads(said.out)


def test_status_says_that_there_is_no_cluster(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
    said = call(capsys, "status")

    assert (said.code, said.err) == (3, "")
    assert "no usable kubeconfig" in said.out


def test_status_says_that_state_is_unreadable(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "state.json").write_text("{")
    said = call(capsys, "status", "--state-path", str(tmp_path / "state.json"))

    assert (said.code, said.err) == (1, "")
    assert "State is not readable" in said.out


@contextmanager
def showing(tmp_path: Path, **environment: str) -> Iterator[str]:
    """Run an agent whose cluster does not answer, and give the port of its page."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        (tmp_path / "kubeconfig").write_text(kubeconfig(url))
        settings = {
            "BOTKUBE_ANALYTICS_KUBERNETES_KUBECONFIG": str(tmp_path / "kubeconfig"),
            "BOTKUBE_ANALYTICS_HEALTH_HOST": "127.0.0.1",
            "BOTKUBE_ANALYTICS_HEALTH_PORT": "0",
        }
        with running(**settings, **environment) as agent:
            assert agent.process.stdout is not None
            said = json.loads(agent.process.stdout.readline())
            assert said["message"] == "page"
            yield str(said["port"])


def test_status_asks_the_agent_that_runs(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with showing(tmp_path) as port:
        said = command("status", BOTKUBE_ANALYTICS_PAGE_PORT=port)
        monkeypatch.setenv("DO_NOT_TRACK", "1")
        off = call(capsys, "status", "--page-port", port)

    assert (said.code, said.err) == (0, "")
    assert f"agent: version {__version__} runs, page http://127.0.0.1:{port}/" in said.out
    assert "mode: local because no write key is set" in said.out
    assert "ledger: 0 reports" in said.out
    assert "nothing is contacted" in off.out


def test_status_does_not_take_a_stranger_for_an_agent(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "index.html").write_text("hello")
    with subprocess.Popen(
        [sys.executable, "-u", "-m", "http.server", "--bind", "127.0.0.1", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=tmp_path,
    ) as stranger:
        assert stranger.stdout is not None
        found = re.search(rb"port (\d+)", stranger.stdout.readline())
        assert found is not None
        said = call(capsys, "status", "--page-port", found.group(1).decode())
        stranger.kill()

    assert "nothing yet" in said.out


# --- ledger ---------------------------------------------------------------------------------------


@pytest.fixture
def kept(tmp_path: Path) -> Ledger:
    """Return a ledger with three reports, as an agent has left it in a directory."""
    return asyncio.run(on_disk(tmp_path))


def test_ledger_lists_what_the_directory_holds(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, kept: Ledger
) -> None:
    flags = ["--ledger-path", str(tmp_path / "ledger")]
    table = call(capsys, "ledger", *flags)
    listed = json.loads(call(capsys, "ledger", "--format", "json", *flags).out)

    assert (table.code, table.err) == (0, "")
    assert table.out.count("delivered") == 3
    assert [one.head for one in kept.entries] == listed


@pytest.mark.parametrize("by", ["number", "digest", "whole digest"])
def test_ledger_show_prints_the_bytes_and_nothing_else(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, kept: Ledger, by: str
) -> None:
    entry = kept.entries[1]
    name = {"number": "2", "digest": entry.digest[:8], "whole digest": entry.digest}[by]
    said = call(capsys, "ledger", "--ledger-path", str(tmp_path / "ledger"), "show", name)

    assert Said(0, entry.array.decode(), "") == said


@pytest.mark.parametrize("name", ["4", "", "abc", "../00000001"])
def test_ledger_show_says_that_there_is_no_such_report(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, kept: Ledger, name: str
) -> None:
    said = call(capsys, "ledger", "show", name, "--ledger-path", str(tmp_path / "ledger"))

    assert (said.code, said.out) == (1, "")
    assert "see botkube-analytics ledger" in said.err
    assert kept.entries


def test_ledger_says_where_it_looked_in_vain(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    said = call(capsys, "ledger", "--page-port", "1", "--ledger-path", str(tmp_path / "none"))

    assert (said.code, said.out) == (3, "")
    words = " ".join(said.err.split())
    assert "no agent answers on 127.0.0.1:1, and" in words
    assert "cannot be read" in words


def test_ledger_asks_the_agent_that_runs(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, kept: Ledger
) -> None:
    given = {"BOTKUBE_ANALYTICS_LEDGER_PATH": str(tmp_path / "ledger")}
    with showing(tmp_path, **given) as port:
        listed = call(capsys, "ledger", "--format", "json", "--page-port", port)
        shown = call(capsys, "ledger", "show", "3", "--page-port", port)

    assert [one.head for one in kept.entries] == json.loads(listed.out)
    assert kept.entries[0].array.decode() == shown.out


def test_status_when_off_looks_at_no_rules(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "one.yaml").write_text("id: [")
    monkeypatch.setenv("DO_NOT_TRACK", "1")
    said = call(capsys, "status", "--rules-paths", str(tmp_path))

    assert (said.code, said.err) == (0, "")
    assert "rules and State were not read" in said.out


def test_run_says_in_its_log_that_its_rules_are_wrong(tmp_path: Path) -> None:
    (tmp_path / "one.yaml").write_text("id: secret-word\n")
    said = command("run", "--rules-paths", str(tmp_path))
    line = json.loads(said.out)

    assert (said.code, said.err) == (2, "")
    assert line["message"] == "rules refused, there is no set to start with"
    assert (line["code"], line["place"]) == ("missing-key", f"{tmp_path}/one.yaml:1")
    assert line["count"] == 2
    assert "secret-word" not in said.out


# --- run ------------------------------------------------------------------------------------------


def test_run_without_a_cluster_says_so_and_ends() -> None:
    said = command("run", "--health-host", "127.0.0.1", "--health-port", "0")
    messages = [json.loads(line)["message"] for line in said.out.splitlines()]

    assert (said.code, said.err) == (3, "")
    assert {"mode", "no cluster", "stopped"} <= set(messages)


def test_run_says_that_its_port_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        said = command("run", "--health-host", "127.0.0.1", "--health-port", port)

    assert (said.code, said.err) == (2, "")
    assert "health.port" in json.loads(said.out.splitlines()[-1])["why"]


@attrs.frozen
class Running:
    """A `run` that has said its mode."""

    process: subprocess.Popen[bytes]
    mode: Mapping[str, object]

    def get(self, path: str) -> tuple[int, str]:
        """Ask the health port."""
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"http://127.0.0.1:{self.mode['port']}{path}", timeout=5) as answer:
            return answer.status, answer.read().decode()


@contextmanager
def running(*flags: str, folder: str = str(ROOT), **environment: str) -> Iterator[Running]:
    """Run the agent until its first line."""
    with subprocess.Popen(  # noqa: S603 our own command
        [sys.executable, "-m", "agent", "run", *flags],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
    ) as process:
        try:
            assert process.stdout is not None
            yield Running(process, json.loads(process.stdout.readline()))
        finally:
            process.kill()


def sockets(pid: int) -> dict[str, str]:
    """Return the network sockets of a process: inode -> table and state."""
    links = (str(one.readlink()) for one in Path(f"/proc/{pid}/fd").iterdir())
    own = {link[len("socket:[") : -1] for link in links if link.startswith("socket:[")}
    found = {}
    for name in ("tcp", "tcp6", "udp", "udp6", "raw", "raw6"):
        table = Path(f"/proc/{pid}/net/{name}")
        lines = table.read_text().splitlines()[1:] if table.exists() else []
        for columns in map(str.split, lines):
            if columns[9] in own:
                found[columns[9]] = f"{name} {columns[3]}"
    return found


def kubeconfig(url: str) -> str:
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "one",
            "clusters": [{"name": "one", "cluster": {"server": url}}],
            "users": [{"name": "one", "user": {}}],
            "contexts": [{"name": "one", "context": {"cluster": "one", "user": "one"}}],
        }
    )


LISTENING = "tcp 0A"


@pytest.mark.skipif(not Path("/proc/self/net/tcp").exists(), reason="sockets are read from /proc")
@pytest.mark.parametrize(
    ("flags", "environment", "switch", "value"),
    [
        ([], {"BOTKUBE_ANALYTICS_DISABLE": "true"}, "BOTKUBE_ANALYTICS_DISABLE", "true"),
        ([], {"DO_NOT_TRACK": "1"}, "DO_NOT_TRACK", "true"),
        (["--analytics-disable"], {}, "--analytics-disable", "true"),
        (["--config", "config.yaml"], {}, "analytics.disable", "true"),
    ],
    ids=lambda one: one if isinstance(one, str) else None,
)
def test_off_stays_alive_opens_nothing_and_ends_at_once(
    tmp_path: Path, flags: list[str], environment: dict[str, str], switch: str, value: str
) -> None:
    (tmp_path / "config.yaml").write_text("analytics: {disable: true}\n")
    flags = [str(tmp_path / one) if one == "config.yaml" else one for one in flags]
    with socket.create_server(("127.0.0.1", 0)) as world:
        url = f"http://127.0.0.1:{world.getsockname()[1]}"
        (tmp_path / "kubeconfig").write_text(kubeconfig(url))
        everything = {
            "BOTKUBE_ANALYTICS_DESTINATION_WRITE_KEY": SECRET,
            "BOTKUBE_ANALYTICS_DESTINATION_ENDPOINT": url,
            "BOTKUBE_ANALYTICS_KUBERNETES_KUBECONFIG": str(tmp_path / "kubeconfig"),
            "BOTKUBE_ANALYTICS_HEALTH_HOST": "127.0.0.1",
            "BOTKUBE_ANALYTICS_HEALTH_PORT": "0",
        }
        with running(*flags, **everything, **environment) as agent:
            with pytest.raises(subprocess.TimeoutExpired):
                agent.process.wait(OBSERVED_SECONDS)
            opened = sockets(agent.process.pid)
            health, readiness = agent.get("/healthz"), agent.get("/readyz")
            metrics = agent.get("/metrics")[1]
            asked = time.monotonic()
            agent.process.send_signal(signal.SIGTERM)
            code = agent.process.wait(STOP_SECONDS)
            took = time.monotonic() - asked
        world.settimeout(0)
        with pytest.raises(BlockingIOError):
            world.accept()

    assert ("off", f"{switch} is {value}") == (agent.mode["mode"], agent.mode["why"])
    assert list(opened.values()) == [LISTENING]
    assert health == (200, "ok\n")
    assert readiness == (200, '{"ready": true, "reasons": ["off"]}')
    assert 'botkube_agent_mode{mode="off"} 1.0' in metrics
    assert code == 0
    assert took < STOP_SECONDS
    assert not list(tmp_path.rglob("state*.json"))


def test_off_ignores_rules_with_faults(tmp_path: Path) -> None:
    (tmp_path / "one.yaml").write_text("id: [\n")
    flags = ["--analytics-disable", "--rules-paths", str(tmp_path)]
    listen = {
        "BOTKUBE_ANALYTICS_HEALTH_HOST": "127.0.0.1",
        "BOTKUBE_ANALYTICS_HEALTH_PORT": "0",
    }
    with running(*flags, **listen) as agent:
        health = agent.get("/healthz")
        agent.process.send_signal(signal.SIGTERM)
        code = agent.process.wait(STOP_SECONDS)

    assert agent.mode["mode"] == "off"
    assert (health, code) == ((200, "ok\n"), 0)


def test_an_agent_that_still_loads_can_be_stopped() -> None:
    # As the first process of a container it would not get a signal that it does not handle.
    command = [sys.executable, "-X", "importtime", "-m", "agent", "run"]
    with subprocess.Popen(  # noqa: S603 our own command
        command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL
    ) as process:
        assert process.stderr is not None
        while not process.stderr.readline().endswith(b" agent.model\n"):
            assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        process.stderr.read()

    assert process.returncode == 143


def test_off_is_obeyed_although_other_settings_are_wrong() -> None:
    wrong = {
        "BOTKUBE_ANALYTICS_DESTINATION_ENDPOINT": f"https://{SECRET}@example.com",
        "BOTKUBE_ANALYTICS_WINDOW_SECONDS": "soon",
        "BOTKUBE_ANALYTICS_HEALTH_HOST": "127.0.0.1",
        "BOTKUBE_ANALYTICS_HEALTH_PORT": "0",
    }
    with running(DO_NOT_TRACK="1", **wrong) as agent:
        assert agent.process.stdout is not None
        said = [json.loads(agent.process.stdout.readline()) for _ in range(2)]
        health = agent.get("/healthz")
        agent.process.send_signal(signal.SIGTERM)
        code = agent.process.wait(STOP_SECONDS)

    assert (agent.mode["mode"], health, code) == ("off", (200, "ok\n"), 0)
    assert {one["message"] for one in said} == {"setting is wrong"}
    assert {one["why"].split(":")[0] for one in said} == {
        "BOTKUBE_ANALYTICS_DESTINATION_ENDPOINT",
        "BOTKUBE_ANALYTICS_WINDOW_SECONDS",
    }
    assert SECRET not in str(said)


def test_a_stop_while_the_api_server_does_not_answer_ends_at_once(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(STOP_SECONDS)
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        (tmp_path / "kubeconfig").write_text(kubeconfig(url))
        settings = {
            "BOTKUBE_ANALYTICS_KUBERNETES_KUBECONFIG": str(tmp_path / "kubeconfig"),
            "BOTKUBE_ANALYTICS_HEALTH_HOST": "127.0.0.1",
            "BOTKUBE_ANALYTICS_HEALTH_PORT": "0",
        }
        with running(**settings) as agent:
            asked, _ = silent.accept()
            agent.process.send_signal(signal.SIGTERM)
            code = agent.process.wait(STOP_SECONDS)
            asked.close()

    assert (agent.mode["mode"], code) == ("local", 0)


def test_a_stop_while_a_credential_program_hangs_ends_at_once(tmp_path: Path) -> None:
    config = json.loads(kubeconfig("https://127.0.0.1:1"))
    config["users"][0]["user"]["exec"] = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "command": sys.executable,
        "args": ["-c", "import pathlib, time; pathlib.Path('asked').touch(); time.sleep(60)"],
        "env": [],
    }
    (tmp_path / "kubeconfig").write_text(json.dumps(config))
    flags = ["--kubernetes-kubeconfig", str(tmp_path / "kubeconfig")]
    listen = {
        "BOTKUBE_ANALYTICS_HEALTH_HOST": "127.0.0.1",
        "BOTKUBE_ANALYTICS_HEALTH_PORT": "0",
        "BOTKUBE_ANALYTICS_STATE_PATH": str(tmp_path / "state.json"),
    }
    with running(*flags, folder=str(tmp_path), **listen) as agent:
        until = time.monotonic() + START_SECONDS
        while not (tmp_path / "asked").exists() and time.monotonic() < until:
            agent.get("/healthz")
        was_asked = (tmp_path / "asked").exists()
        agent.process.send_signal(signal.SIGTERM)
        code = agent.process.wait(STOP_SECONDS)

    assert (was_asked, code) == (True, 0)


def test_the_mode_is_said_at_every_level() -> None:
    with running(
        "--log-level", "error", "--health-host", "127.0.0.1", "--health-port", "0"
    ) as agent:
        assert agent.mode["mode"] == "local"


START_SECONDS = 20
"""A busy machine takes its time to import and to start a program."""

OBSERVED_SECONDS = 0.5
"""How long an agent that is off is watched before its sockets are looked at."""


@pytest.mark.parametrize("prefix", ["[pod/botkube-x/botkube] ", "> ", "botkube  | ", "    ", ""])
def test_lines_with_something_in_front_are_said_to_be_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], prefix: str
) -> None:
    lines = LOG.read_text(encoding="utf-8").splitlines()[:80]
    path = tmp_path / "pasted.log"
    path.write_text("".join(f"{prefix}{line.partition(' ')[2]}\n" for line in lines))
    code = main(["preview", str(path)])
    said = " ".join(capsys.readouterr().err.split())

    assert code == 0
    assert ("Something stands in front of BotKube's own text" in said) is bool(prefix)


# --- while it loads -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "module", ["agent.commands", "agent.settings", "yaml", "agent.statistics.report"]
)
def test_ctrl_c_while_modules_load_shows_no_traceback(tmp_path: Path, module: str) -> None:
    starting = f"""\
import os, signal, sys
from importlib.abc import MetaPathFinder

class Interrupting(MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == {module!r}:
            os.kill(os.getpid(), signal.SIGINT)

signal.signal(signal.SIGINT, signal.default_int_handler)
sys.meta_path.insert(0, Interrupting())
from agent.__main__ import main
sys.exit(main(["report", "nothing.ndjson", "-o", "report.html"]))
"""
    done = subprocess.run(  # noqa: S603 our own words
        [sys.executable, "-c", starting], cwd=tmp_path, capture_output=True, timeout=60, check=False
    )

    assert (done.returncode, done.stdout, done.stderr) == (130, b"", b"")
    assert list(tmp_path.iterdir()) == []
