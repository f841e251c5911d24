"""Sources of a report: exactly what is named is read, once, whole, and left as it is."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from itertools import cycle
from pathlib import Path
from threading import Event, Thread, main_thread
from types import SimpleNamespace
from urllib.parse import urlencode

import orjson
import pytest

from agent.__main__ import main
from agent.statistics import warehouse
from agent.statistics.signals import handled
from agent.statistics.sources import load, watched
from agent.statistics.warehouse import WarehouseError, opened
from tests.fleet.fleet import generate
from tests.fleet.load import load_duckdb, load_postgresql
from tests.postgres import postgresql

duckdb = pytest.importorskip("duckdb", reason="the report needs the extra: pip install '.[report]'")

DAY = 86_400
UNREADABLE = (b"1790000000", b'""', b'"soon"', b"null")


@pytest.fixture(scope="module")
def requests() -> list[bytes]:
    """Return what a few installations sent, in more than one block of a pipe."""
    found = list(generate(1, 8, 22, window_seconds=DAY, trouble=0.3).requests())
    assert sum(map(len, found)) > 3 << 16
    return found


def report(folder: Path, *sources: str) -> dict[str, str]:
    """Return the tables that the command writes."""
    folder.mkdir(exist_ok=True)
    assert main(["report", *sources, "-o", str(folder / "r.html"), "--suppress-below", "0"]) == 0
    tables = sorted((folder / "r-tables").iterdir())
    return {one.name: one.read_text(encoding="utf-8") for one in tables}


def refused(capsys: pytest.CaptureFixture[str], folder: Path, *sources: str) -> str:
    """Return in which sentence the command refuses."""
    capsys.readouterr()
    assert main(["report", *sources, "-o", str(folder / "refused.html")]) == 2
    assert not (folder / "refused.html").exists()
    (said,) = capsys.readouterr().err.splitlines()
    return said


def write(path: Path, lines: Sequence[bytes]) -> str:
    path.write_bytes(b"".join(line + b"\n" for line in lines))
    return str(path)


@pytest.fixture(scope="module")
def expected(requests: list[bytes], tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("expected")
    return report(folder, write(folder / "events.ndjson", requests))


def test_much_at_once_is_made_in_slices(
    requests: list[bytes],
    expected: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told: list[float] = []
    once: list[float] = []
    models = Path(__file__).parent.parent / "deploy" / "warehouse" / "models.sql"
    source = write(tmp_path / "events.ndjson", requests)
    with opened() as database:
        database.run("tables.sql")
        loaded = load([source], database, lambda _source: told.append)
        database.run("models.sql")
        monkeypatch.setattr(warehouse, "SLICE", loaded.events // 3)
        told.clear()
        database.refresh(loaded.events, told.append)
        asked = {name: database.rows(f"from {name}") for name in ("intervals", "facts")}
        database.run("refresh.sql", once.append)
        whole = database.rows("from intervals")

    assert len(told) > 2 * len(once)
    # Of single windows a report asks nothing.
    assert asked["intervals"] == []
    assert asked["facts"]
    assert whole
    assert not re.findall(r"(?:from|join) intervals\b", models.read_text(encoding="utf-8"))
    assert told == sorted(told)
    assert 0 < told[0] < told[-1] == 100
    assert report(tmp_path, source) == expected


def test_a_source_without_a_name_is_not_the_folder_one_is_in(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    said = refused(capsys, tmp_path, "")

    assert "a SOURCE has no name: is the variable empty" in said


def test_a_directory_is_told_by_its_files(requests: list[bytes], tmp_path: Path) -> None:
    told: list[float] = []
    (tmp_path / "empty.ndjson").touch()
    write(tmp_path / "first.ndjson", requests)
    write(tmp_path / "second.ndjson", requests * 3)
    with opened() as database:
        database.run("tables.sql")
        load([str(tmp_path)], database, lambda _source: told.append)

    assert told == sorted(told)
    assert {25, 100} <= set(told)


def kept_by_segment(folder: Path, requests: Sequence[bytes], many: int) -> list[Path]:
    """Write files as Segment's storage destinations do, a few a day; return them in order."""
    each = -(-len(requests) // many)
    paths = []
    for at in range(many):
        path = folder / "segment-logs" / "source" / f"{1_790_000_000 + at // 5}" / f"{at:03}.gz"
        path.parent.mkdir(parents=True, exist_ok=True)
        calls = [
            orjson.dumps({**around, **call})
            for one in requests[at * each : (at + 1) * each]
            for around in [orjson.loads(one)]
            for call in around.pop("batch")
        ]
        path.write_bytes(gzip.compress(b"\n".join([*calls, b""])))
        paths.append(path)
    return paths


def test_what_segment_keeps_is_read_from_its_folder(
    requests: list[bytes],
    expected: dict[str, str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    kept_by_segment(tmp_path, requests, 130)
    hidden = tmp_path / "segment-logs" / ".trash"
    hidden.mkdir()
    write(hidden / "odd.ndjson", [b"not JSON"])
    write(tmp_path / "segment-logs" / "._odd.ndjson", [b"not JSON"])

    assert report(tmp_path / "out", str(tmp_path / "segment-logs")) == expected
    assert capsys.readouterr().err == ""


def test_a_folder_is_read_whatever_it_is_called_and_where_it_lies(
    requests: list[bytes], expected: dict[str, str], tmp_path: Path
) -> None:
    """As if its name were a partition's, and behind a link; one that leads back ends nothing."""
    disk, exports = tmp_path / "disk", tmp_path / "exports"
    for name, some in (("receivedAt=2026-01-01", requests[::2]), ("batch=1", requests[1::2])):
        (disk / name).mkdir(parents=True)
        write(disk / name / "a.ndjson", some)
    exports.mkdir()
    (exports / "linked").symlink_to(disk)
    (disk / "back").symlink_to(exports)

    assert report(tmp_path / "out", str(exports)) == expected


def test_a_table_is_read_whatever_its_folder_is_called(
    requests: list[bytes], expected: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "tables").mkdir()
    source = write_parquet(tmp_path / "tables" / "received_at=2026-01-01", requests)

    assert report(tmp_path / "out", source) == expected


@pytest.mark.skipif(os.getuid() == 0 and not shutil.which("setpriv"), reason="root reads all")
def test_a_folder_that_may_not_be_read_is_named(requests: list[bytes], tmp_path: Path) -> None:
    closed = tmp_path / "exports" / "closed"
    closed.mkdir(parents=True)
    write(closed.parent / "a.ndjson", requests)
    closed.chmod(0)
    dropped = ["--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-all"]
    alone = ["setpriv", *dropped] if os.getuid() == 0 else []
    command = [*alone, sys.executable, "-m", "agent", "report", str(closed.parent)]
    done = subprocess.run(  # noqa: S603 our own program
        [*command, "-o", str(tmp_path / "r.html")], capture_output=True, text=True, check=False
    )

    assert done.returncode == 2
    assert f"cannot use {closed}: Permission denied" in done.stderr


def test_of_many_small_files_those_that_cannot_be_read_are_named(
    requests: list[bytes],
    expected: dict[str, str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    paths = kept_by_segment(tmp_path, requests, 40)
    # What is not packed is read apart, so that three are read together with each of these.
    no_json, lacking, broken = paths[3], paths[14], paths[20]
    odd = {"type": "track", "event": "Event handled", "properties": {}}
    for path, more in ((no_json, b"not JSON"), (lacking, orjson.dumps(odd))):
        path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes()) + more))
    broken.write_bytes(broken.read_bytes() + gzip.compress(b"{}")[:-9])
    for path in (paths[10], paths[17], paths[30]):
        path.write_bytes(gzip.decompress(path.read_bytes()))
    at = {one: gzip.decompress(one.read_bytes()).count(b"\n") + 1 for one in (no_json, lacking)}

    assert report(tmp_path / "out", str(tmp_path / "segment-logs")) == expected

    said = capsys.readouterr().err.splitlines()
    begin = "botkube-analytics: "
    assert said[:2] == [
        f"{begin}{no_json}:{at[no_json]}: not JSON",
        f"{begin}{lacking}:{at[lacking]}: an event with no usable who, when, window or numbers",
    ]
    assert [one.rpartition(": ")[2] for one in said[2:]] == [
        "no whole gzip file; the lines before are kept"
    ]


def test_what_is_read_again_of_small_files_is_there_once(
    requests: list[bytes], tmp_path: Path
) -> None:
    paths = kept_by_segment(tmp_path, requests, 20)
    odd = orjson.dumps({"type": "track", "event": "Event handled", "properties": {}})
    paths[-1].write_bytes(gzip.compress(gzip.decompress(paths[-1].read_bytes()) + odd))

    with opened() as database:
        database.run("tables.sql")
        loaded = load([str(tmp_path)], database, lambda _source: lambda _share: None)
        kept = sum(database.rows(f"select count(*) from {one}")[0][0] for one in database.tables())  # noqa: S608 our own tables

    assert kept == loaded.events == sum(len(orjson.loads(one)["batch"]) for one in requests)


def test_many_small_files_cost_little_more_than_one(requests: list[bytes], tmp_path: Path) -> None:
    paths = kept_by_segment(tmp_path / "many", requests, 200)
    whole = tmp_path / "whole.ndjson"
    whole.write_bytes(b"".join(gzip.decompress(one.read_bytes()) for one in paths))

    def cost(source: Path) -> float:
        with opened() as database:
            database.run("tables.sql")
            begun = time.process_time()
            load([str(source)], database, lambda _source: lambda _share: None)
            return time.process_time() - begun

    # One that has to be looked at is found by halves.
    paths[77].write_bytes(gzip.compress(gzip.decompress(paths[77].read_bytes()) + b"not JSON"))
    # By itself each takes a dozen statements, and all together more than thirty times as much.
    assert cost(tmp_path / "many") < 10 * cost(whole)


def test_a_time_that_cannot_be_read_is_taken_from_when_it_was_sent(
    requests: list[bytes], tmp_path: Path
) -> None:
    """As if the collector had not said it."""
    without = [re.sub(rb',"receivedAt":"[^"]*"', b"", one) for one in requests]
    unread = [
        re.sub(rb'"receivedAt":"[^"]*"', b'"receivedAt":' + received, one)
        for one, received in zip(requests, cycle(UNREADABLE), strict=False)
    ]
    assert unread != requests != without
    expected = report(tmp_path / "without", write(tmp_path / "a.ndjson", without))

    assert report(tmp_path / "unread", write(tmp_path / "b.ndjson", unread)) == expected


def test_an_event_of_no_time_is_named(
    requests: list[bytes],
    expected: dict[str, str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    bad = orjson.loads(requests[-1])
    bad["sentAt"] = bad["receivedAt"] = "soon"
    for call in bad["batch"]:
        call["timestamp"] = "later"
    source = write(tmp_path / "a.ndjson", [orjson.dumps(bad), *requests])

    assert report(tmp_path, source) == expected
    (said,) = capsys.readouterr().err.splitlines()
    assert said == (
        f"botkube-analytics: {source}:1: an event with no usable who, when, window or numbers"
    )


@pytest.mark.parametrize(
    ("pattern", "instead"),
    [
        (rb'"botkube_version":"[^"]*"', b'"botkube_version":"v1.' + b"9" * 5000 + b'"'),
        (rb'"seq":\d+', b'"seq":1000000000000'),
    ],
)
def test_what_no_window_has_is_left_out_and_told(
    requests: list[bytes],
    expected: dict[str, str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    pattern: bytes,
    instead: bytes,
) -> None:
    bad, many = re.subn(pattern, instead, requests[-1])
    assert many
    source = write(tmp_path / "a.ndjson", [*requests, bad])
    found = report(tmp_path, source)

    told = re.findall(r"events left out: (\d+), with a number", capsys.readouterr().err)
    assert told == [str(many)]
    del found["completeness.csv"]  # what else is in that request came twice
    assert found == {name: text for name, text in expected.items() if name in found}
    page = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert f"{many} lines or events could not be used" in page


def test_years_that_no_date_has_are_left_out(
    requests: list[bytes], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    far = [re.sub(rb'"20(?=\d\d-\d\d-\d\dT)', b'"120', one) for one in requests]

    source = write(tmp_path / "a.ndjson", far)
    assert main(["report", source, "-o", str(tmp_path / "report.html")]) == 2
    assert not (tmp_path / "report.html").exists()
    told, refusal = capsys.readouterr().err.splitlines()
    assert "with a number, a word or a time that no window has" in told
    assert refusal == "botkube-analytics: no window was sent in these events"


@pytest.mark.parametrize("room", [1000, 20_000, 200_000])
def test_a_full_disk_is_told_and_nothing_is_left(
    requests: list[bytes], tmp_path: Path, room: int
) -> None:
    source = Path(write(tmp_path / "events.ndjson", requests))
    (tmp_path / "temporary").mkdir()
    (tmp_path / "out").mkdir()
    # No file may become larger: what a write to a full disk does, at a place of ours.
    limited = (
        "import resource, sys; from agent.__main__ import main;"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({room}, {room}));"
        "sys.exit(main(['report', '-', '-o', 'out/report.html']))"
    )
    with source.open("rb") as events:
        done = subprocess.run(  # noqa: S603 our own program
            [sys.executable, "-c", limited],
            stdin=events,
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env={**os.environ, "TMPDIR": str(tmp_path / "temporary")},
            check=False,
        )

    (said,) = done.stderr.splitlines()
    assert done.returncode == 2
    assert said.startswith("botkube-analytics: ")
    assert said.endswith("File too large")
    assert str(tmp_path / "temporary") in said
    assert list((tmp_path / "out").iterdir()) == list((tmp_path / "temporary").iterdir()) == []


@pytest.mark.parametrize("is_zipped", [False, True])
def test_a_pipe_is_read_whole_and_its_lines_are_named(
    requests: list[bytes],
    expected: dict[str, str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    *,
    is_zipped: bool,
) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    content = b"\n".join([b"{half", *requests])
    content = gzip.compress(content) if is_zipped else content
    writer = Thread(target=lambda: pipe.write_bytes(content), daemon=True)
    writer.start()
    found = report(tmp_path / "out", str(pipe))

    assert found == expected
    assert capsys.readouterr().err == f"botkube-analytics: {pipe}:1: not JSON\n"


def test_standard_input_is_read_and_its_lines_are_named(
    requests: list[bytes],
    expected: dict[str, str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    content = io.BytesIO(b"\n".join([*requests, b"{half"]))
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=content))
    found = report(tmp_path / "out", "-", "-")

    assert found == expected
    assert capsys.readouterr().err == (
        f"botkube-analytics: standard input:{len(requests) + 1}: not JSON\n"
    )


@pytest.mark.parametrize(
    "name",
    [
        b"q[12]",
        b"*",
        b"**",
        b"q?",
        b"[!a]",
        b"it's",
        b'a "b"',
        b"a\nb",
        b"a\\b",
        b"{q1,q2}",
        b"\xe9",
    ],
)
def test_a_name_is_no_pattern(requests: list[bytes], tmp_path: Path, name: bytes) -> None:
    for other in ("q1", "q2", "a"):
        write(tmp_path / other, requests[9:])
    source = write(tmp_path / os.fsdecode(name), requests[:9])

    told: list[float] = []
    with opened() as database:
        database.run("tables.sql")
        loaded = load([source], database, lambda _source: told.append)
    calls = [call for one in requests[:9] for call in orjson.loads(one)["batch"]]
    assert (loaded.events, loaded.others, loaded.faults) == (len(calls), 0, [])


def write_parquet(folder: Path, requests: Sequence[bytes]) -> str:
    folder.mkdir()
    with duckdb.connect() as database:
        load_duckdb(database, requests, times="varchar")
        for (table,) in database.execute("select table_name from duckdb_tables()").fetchall():
            database.execute(f"copy {table} to '{folder}/{table}.parquet'")
    return str(folder)


def test_a_name_of_parquet_is_no_pattern(
    requests: list[bytes], expected: dict[str, str], tmp_path: Path
) -> None:
    write_parquet(tmp_path / "1", requests[:9])
    source = write_parquet(tmp_path / "[12]", requests)

    assert report(tmp_path / "out", source) == expected


def copied(path: Path, query: str) -> str:
    path.parent.mkdir(exist_ok=True)
    with duckdb.connect() as database:
        database.execute(f"copy ({query}) to '{path}' (format parquet)")
    return str(path)


def test_of_a_folder_of_parquet_only_tables_of_ours_are_read_and_no_event_twice(
    requests: list[bytes],
    expected: dict[str, str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def events() -> list[str]:
        page = (tmp_path / "out" / "r.html").read_text(encoding="utf-8")
        return re.findall(r"[\d,]+ events were read", page)

    source = Path(write_parquet(tmp_path / "tables", requests))
    assert report(tmp_path / "out", str(source)) == expected
    (read,) = events()
    copied(source / "users.parquet", "select 'a' as id, now() as received_at")
    copied(source / "numbers.parquet", "select 7 as event")
    copied(source / "sales.parquet", "select {'a': 'canary'} as event, 'b' as id")
    tracks = f"select *, 'Event_Handled' as event from '{source}/event_handled.parquet'"  # noqa: S608 ours
    alone = copied(tmp_path / "alone" / "tracks.parquet", tracks)
    copied(tmp_path / "alone" / "groups.parquet", "select 'canary' as members")
    shutil.copy(alone, source / "tracks.parquet")

    listed = [str(one) for one in sorted(source.iterdir()) if one.stem != "numbers"]
    assert report(tmp_path / "out", *listed) == expected
    assert events() == [read]
    said = capsys.readouterr().err
    assert "users.parquet: neither a table of ours" in said
    assert "tracks" not in said

    assert report(tmp_path / "out", str(source)) == expected
    assert events() == [read]
    assert "users" not in capsys.readouterr().err
    (source / "event_handled.parquet").unlink()
    (source / "tracks.parquet").unlink()
    assert report(tmp_path / "out", str(source), str(tmp_path / "alone")) == expected
    assert events() == [read]


@pytest.mark.parametrize(
    ("name", "query"),
    [
        ("users", "select 'canary' as id"),
        ("groups", "select 'canary' as members"),
        ("event_handled", "select 'canary' as event"),
        ("all", "select 7 as event"),
        ("all", "select 7 as event, 'canary' as id"),
        ("all", "select {'canary': 'canary'} as event, 'canary' as id"),
        ("all", "select 'canary'::blob as event, 'canary' as id"),
    ],
)
def test_parquet_of_no_use_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, query: str
) -> None:
    said = refused(capsys, tmp_path, copied(tmp_path / f"{name}.parquet", query))

    assert (
        ": neither a table of ours by name and columns" in said or ": no event of this ag" in said
    )
    assert "canary" not in said


def test_a_table_of_no_column_of_ours_in_a_database_is_left_alone(
    requests: list[bytes], expected: dict[str, str], tmp_path: Path
) -> None:
    with duckdb.connect(str(tmp_path / "export.db")) as database:
        database.execute("create table groups (members varchar)")
    source = write(tmp_path / "events.ndjson", requests)

    assert report(tmp_path / "out", source, str(tmp_path / "export.db")) == expected


@pytest.mark.parametrize(
    ("content", "unpack"),
    [
        (bytes.fromhex("28b52ffd") + b"\x00" * 40, "zstd -dc"),
        (bz2.compress(b"{}"), "bzip2 -dc"),
        (lzma.compress(b"{}"), "xz -dc"),
        (b"PK\x03\x04" + b"\x00" * 40, "unzip -p"),
    ],
)
def test_a_file_that_is_packed_otherwise_is_named_with_what_unpacks_it(
    requests: list[bytes],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    content: bytes,
    unpack: str,
) -> None:
    path = tmp_path / "export.ndjson"
    path.write_bytes(content)

    told = f"not packed by gzip: {unpack} FILE | botkube-analytics report - reads it"
    assert refused(capsys, tmp_path, str(path)).endswith(f"{path}: {told}")
    packed = path.rename(tmp_path / "export.ndjson.zst")
    write(tmp_path / "good.ndjson", requests)
    assert refused(capsys, tmp_path, str(tmp_path)).endswith(f"{packed}: {told}")


def test_a_source_is_never_written_to(
    requests: list[bytes], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "exports"
    folder.mkdir()
    source = write(folder / "events.ndjson", requests)
    (tmp_path / "link").symlink_to(source)
    (tmp_path / "o-tables").mkdir()
    os.link(source, tmp_path / "o-tables" / "commands.csv")
    for given in (source, str(folder), str(tmp_path / "link")):
        for output in (source, str(tmp_path / "link"), str(tmp_path / "o.html")):
            assert main(["report", given, "-o", output]) == 2
            assert "a source, to which nothing is written" in capsys.readouterr().err
    assert main(["report", source, "-o", "-"]) == 2
    assert "-o needs a file's name" in capsys.readouterr().err
    assert main(["report", source, "-o", "/dev/null"]) == 2
    assert "cannot use /dev/null: not a regular file" in capsys.readouterr().err
    in_the_way = tmp_path / "p-tables" / "crashes.csv"
    in_the_way.mkdir(parents=True)
    assert main(["report", source, "-o", str(tmp_path / "p.html")]) == 2
    assert f"cannot use {in_the_way}: Is a directory" in capsys.readouterr().err
    shutil.rmtree(tmp_path / "p-tables")

    assert Path(source).read_bytes() == b"".join(one + b"\n" for one in requests)
    assert (tmp_path / "link").is_symlink()
    assert sorted(one.name for one in tmp_path.iterdir()) == ["exports", "link", "o-tables"]


def test_a_source_that_comes_by_standard_input_is_not_written_to(
    requests: list[bytes],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    source = Path(write(tmp_path / "events.ndjson", requests))
    with source.open() as file:
        monkeypatch.setattr(sys, "stdin", file)
        assert main(["report", "-", "-o", str(source)]) == 2
    assert "a source, to which nothing is written" in capsys.readouterr().err
    assert source.read_bytes().count(b"\n") == len(requests)


def test_a_report_beside_its_sources_is_written_again(
    requests: list[bytes], expected: dict[str, str], tmp_path: Path
) -> None:
    write(tmp_path / "events.ndjson", requests)
    for _ in range(2):
        assert report(tmp_path, str(tmp_path)) == expected


CODES = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}


@pytest.fixture
def signals_as_in_a_terminal() -> Iterator[None]:
    """Let the signals end a process: a job in the background may begin with one ignored."""
    before = {one: signal.getsignal(one) for one in CODES}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    for one, handler in before.items():
        signal.signal(one, handler)


@pytest.mark.usefixtures("signals_as_in_a_terminal")
@pytest.mark.parametrize(("number", "code"), CODES.items())
def test_a_signal_while_it_waits_for_a_pipe_leaves_nothing_behind(
    requests: list[bytes],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    number: signal.Signals,
    code: int,
) -> None:
    pipe, room, temporary = tmp_path / "pipe", tmp_path / "room", tmp_path / "temporary"
    os.mkfifo(pipe)
    room.mkdir()
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    done = Event()
    before = signal.getsignal(number)

    def interrupt() -> None:
        with pipe.open("wb") as file:
            file.write(b"\n".join(requests))  # more than a pipe holds: it is being read
            file.flush()
            signal.pthread_kill(main_thread().ident or 0, number)
            done.wait(60)

    writer = Thread(target=interrupt, daemon=True)
    writer.start()
    with pytest.raises(SystemExit) as ended:
        main(["report", str(pipe), "-o", str(room / "report.html")])
    done.set()
    writer.join()

    assert ended.value.code == code
    assert capsys.readouterr().err == ""
    assert [*room.iterdir(), *temporary.iterdir()] == []
    assert signal.getsignal(number) is before


@pytest.mark.usefixtures("signals_as_in_a_terminal")
def test_a_signal_in_the_midst_of_a_query_is_no_fault_of_it() -> None:
    query = "create or replace temp table x as select hash(range) h from range(5000000) order by h"
    with handled() as signals, opened(is_large=False) as warehouse:
        begun = Event()

        def interrupt() -> None:
            begun.wait(60)
            os.kill(os.getpid(), signal.SIGTERM)

        def work() -> None:
            begun.set()
            for _ in range(20):
                warehouse.connection.execute(query)

        Thread(target=interrupt, daemon=True).start()
        with pytest.raises(SystemExit, match="143"), signals.at_once():
            work()
        with pytest.raises(SystemExit, match="143"):
            signals.end()


@pytest.mark.usefixtures("signals_as_in_a_terminal")
def test_a_signal_waits_while_something_is_made_or_removed() -> None:
    with handled() as signals:
        os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(SystemExit, match="130"), signals.at_once():
            pytest.fail("it goes on")


@pytest.mark.usefixtures("signals_as_in_a_terminal")
def test_a_signal_that_is_ignored_stays_so() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with handled() as signals, signals.at_once():
        os.kill(os.getpid(), signal.SIGINT)

    assert signals.number == 0
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def test_the_name_of_the_page_need_not_be_text(
    requests: list[bytes],
    expected: dict[str, str],
    tmp_path: Path,
    capfdbinary: pytest.CaptureFixture[bytes],
) -> None:
    source = write(tmp_path / "events.ndjson", requests)
    output = os.fsencode(tmp_path) + b"/caf\xe9.html"
    assert main(["report", source, "-o", os.fsdecode(output), "--suppress-below", "0"]) == 0
    sys.stdout.flush()

    assert capfdbinary.readouterr() == (output + b"\n", b"")
    page = Path(os.fsdecode(output)).read_text(encoding="utf-8")
    assert "caf\N{REPLACEMENT CHARACTER}-tables" in page
    tables = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9-tables"))
    assert {one.name for one in tables.iterdir()} == set(expected)


def test_names_of_parquet_may_be_in_capitals(
    requests: list[bytes], expected: dict[str, str], tmp_path: Path
) -> None:
    source = Path(write_parquet(tmp_path / "tables", requests))
    with duckdb.connect() as database:
        for one in source.iterdir():
            relation = database.sql(f"from '{one}'")
            names = ", ".join(f'"{name}" as "{name.upper()}"' for name in relation.columns)
            capitals = source / f"{one.stem.upper()}.parquet"
            relation.project(names).write_parquet(str(capitals))
            one.unlink()

    assert report(tmp_path / "out", str(source)) == expected


def test_a_table_in_two_schemas_is_refused(
    requests: list[bytes], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = str(tmp_path / "export.db")
    with duckdb.connect(source) as database:
        load_duckdb(database, requests[:9])
        database.execute("create schema a; create table a.identifies as from identifies")

    assert "export.db: identifies is in more than one schema (a, main): copy" in refused(
        capsys, tmp_path, source
    )


def test_a_right_or_a_schema_that_lacks_is_named(
    requests: list[bytes], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    psycopg = pytest.importorskip("psycopg")
    with postgresql() as address:
        with psycopg.connect(address) as database:
            database.execute("create schema segment; set search_path = segment")
            load_postgresql(database, requests)
            database.execute("create role reader login; grant usage on schema segment to reader")
            database.execute("grant select on all tables in schema segment to reader")
            database.execute("revoke select on event_handled from reader")
        given = dict(one.split("=", 1) for one in address.split())
        given["user"] = "reader"
        lost = f"postgresql:///?{urlencode(given)}"

        assert "on the search path; name the schema in the address: ?options=" in refused(
            capsys, tmp_path, lost
        )
        options = urlencode({"options": "-csearch_path=segment"})
        assert "permission denied for table event_handled" in refused(
            capsys, tmp_path, f"{lost}&{options}"
        )


WRONG = {
    "collection_report": {"seq": "1e30", "window_end": "soon", "received_at": "canary"},
    "event_handled": {"count": "many", "count_floor": "maybe", "context_retried_late": "2"},
}


def test_a_value_of_postgresql_that_does_not_fit_is_as_none(
    requests: list[bytes], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    psycopg = pytest.importorskip("psycopg")
    with postgresql() as address:
        source = f"postgresql:///?{urlencode(dict(one.split('=', 1) for one in address.split()))}"
        found = []
        for is_none in (False, True):
            with psycopg.connect(address) as database:
                database.execute("drop schema public cascade; create schema public")
                load_postgresql(database, requests)
                for table, values in WRONG.items():
                    for number, (column, value) in enumerate(values.items()):
                        database.execute(
                            f"alter table {table} add column if not exists {column} boolean;"
                            f"alter table {table} alter {column} type text using {column}::text"
                        )
                        database.execute(
                            f"update {table} set {column} = %s where id ="  # noqa: S608 ours
                            f" (select id from {table} order by id limit 1 offset {number})",
                            [None if is_none else value],
                        )
            found.append(report(tmp_path / "out", source))

    assert found[0] == found[1]
    told = capsys.readouterr().err.splitlines()
    assert told == [
        "botkube-analytics: events left out: 3, with a number, a word or a time that no window has"
    ] * len(found)


def test_progress_never_goes_backwards() -> None:
    told: list[float] = []
    done = iter([-1.0, 50.0, 98.0, 1.0, 100.0, 0.0])
    enough = Event()

    def query_progress() -> float:
        found = next(done, None)
        if found is None:
            enough.set()
            return 0.0
        return found

    def execute(_statement: str) -> None:
        pass

    connection = SimpleNamespace(execute=execute, query_progress=query_progress)
    with watched(connection, told.append, look_seconds=0):  # type: ignore[arg-type]
        assert enough.wait(60)

    assert told[:6] == [0, 50, 98, 98, 100, 100]


def test_thirteen_whole_weeks_are_told(tmp_path: Path) -> None:
    sent = list(generate(3, 2, 130, window_seconds=DAY, trouble=0).requests())
    tables = report(tmp_path / "out", write(tmp_path / "events", sent))
    weeks = {line.split(",")[0] for line in tables["completeness.csv"].splitlines()[1:]}

    assert len(weeks) == 14


def test_where_many_clocks_are_ahead_they_are_believed(
    requests: list[bytes], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    year = re.compile(rb"\b20\d\d-(?=\d\d-\d\dT)")
    lines = [
        year.sub(b"2051-", one) if number % 3 == 0 else one for number, one in enumerate(requests)
    ]
    report(tmp_path / "out", write(tmp_path / "events", lines))

    assert capsys.readouterr().err == ""


def test_what_the_models_cannot_take_is_said_without_what_it_was() -> None:
    with (
        pytest.raises(WarehouseError, match="DuckDB's ConversionException") as refusal,
        opened(is_large=False) as warehouse,
    ):
        warehouse.rows("select cast('somebody' as bigint)")

    assert "somebody" not in str(refusal.value)


@pytest.mark.parametrize("name", ["events.ndjson", "events.ndjson.gz"])
def test_a_line_beyond_all_bounds_loses_no_other(
    tmp_path: Path,
    requests: list[bytes],
    expected: dict[str, str],
    capsys: pytest.CaptureFixture[str],
    name: str,
) -> None:
    lines = [*requests[:3], b'{"batch":"' + b"x" * (17 << 20) + b'"}', *requests[3:]]
    path = tmp_path / name
    whole = b"".join(line + b"\n" for line in lines)
    path.write_bytes(gzip.compress(whole, 1) if name.endswith(".gz") else whole)

    assert report(tmp_path / "out", str(path)) == expected
    assert f"{name}:4: longer than 8 MiB" in capsys.readouterr().err
