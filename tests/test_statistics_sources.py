"""Sources of a report: exactly what is named is read, once, whole, and left as it is."""

from __future__ import annotations

import gzip
import io
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from threading import Thread
from types import SimpleNamespace

import pytest

from agent.__main__ import main
from tests.fleet.fleet import generate
from tests.fleet.load import load_duckdb

duckdb = pytest.importorskip("duckdb", reason="the report needs the extra: pip install '.[report]'")

DAY = 86_400


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
def test_a_name_is_no_pattern(
    requests: list[bytes], expected: dict[str, str], tmp_path: Path, name: bytes
) -> None:
    others = [one.replace(b'Id":"', b'Id":"other-') for one in requests[:9]]
    for other in ("q1", "q2", "a"):
        write(tmp_path / other, others)
    source = write(tmp_path / os.fsdecode(name), requests)

    assert report(tmp_path / "out", source) == expected


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
