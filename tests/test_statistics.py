"""The command `report`: every form of an export gives the same answers, and the page is sound."""

from __future__ import annotations

import asyncio
import csv
import gzip
import re
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import date, datetime, timedelta, timezone
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from xml.etree import ElementTree as ET

import orjson
import pytest

from agent.__main__ import main
from agent.ledger.entries import Answer, Entry, digest_of, encode
from agent.statistics import sentences
from agent.statistics.answers import (
    WITHHELD,
    Active,
    Answers,
    Completeness,
    Crashes,
    Kubernetes,
    Version,
)
from agent.statistics.page import About, render
from agent.statistics.periods import Period, or_older
from agent.statistics.report import csv_files
from agent.statistics.shown import Minor
from agent.statistics.withhold import withhold
from tests.browser import Tab, browser, find
from tests.fleet.fleet import generate
from tests.fleet.load import load_duckdb, load_postgresql, rows_of
from tests.postgres import postgresql

duckdb = pytest.importorskip("duckdb", reason="the report needs the extra: pip install '.[report]'")

DAY = 86_400
WEEK = date(2026, 11, 2)
ABOUT = About(["events.ndjson"], 9, 0, 0, "1.0.0", "report-tables")


@pytest.fixture(scope="module")
def requests() -> list[bytes]:
    """Return what a small fleet sent, with little in the way."""
    return list(generate(1, 30, 22, window_seconds=DAY, trouble=0.3).requests())


def report(folder: Path, *sources: str, least: int = 2) -> dict[str, str]:
    """Return the tables that the command writes."""
    folder.mkdir(exist_ok=True)
    page = folder / "report.html"
    assert main(["report", *sources, "-o", str(page), "--suppress-below", str(least)]) == 0
    assert page.read_bytes().startswith(b"<!DOCTYPE html>")
    tables = sorted((folder / "report-tables").iterdir())
    return {one.name: one.read_text(encoding="utf-8") for one in tables}


def write(path: Path, lines: Sequence[bytes]) -> str:
    path.write_bytes(b"".join(line + b"\n" for line in lines))
    return str(path)


@pytest.fixture(scope="module")
def expected(requests: list[bytes], tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("expected")
    return report(folder, write(folder / "events.ndjson", requests))


# --- sources --------------------------------------------------------------------------------------


def calls(request: bytes) -> list[dict[str, Any]]:
    """Return the calls of a request, each with what the collector knows of it."""
    found = orjson.loads(request)
    around = {name: value for name, value in found.items() if name != "batch"}
    return [{**around, **one} for one in found["batch"]]


def as_calls(folder: Path, requests: Sequence[bytes]) -> list[str]:
    lines = [orjson.dumps(one) for request in requests for one in calls(request)]
    return [write(folder / "calls.jsonl", lines)]


def as_arrays(folder: Path, requests: Sequence[bytes]) -> list[str]:
    return [write(folder / "arrays", [orjson.dumps(calls(one)) for one in requests])]


def as_rows(folder: Path, requests: Sequence[bytes]) -> list[str]:
    rows = [
        row if table in {"identifies", "groups"} else {**row, "event": table}
        for one in requests
        for table, row in rows_of(one)
    ]
    return [write(folder / "rows.json", [orjson.dumps(row) for row in rows])]


def as_mixed(folder: Path, requests: Sequence[bytes]) -> list[str]:
    lines = [orjson.dumps(one) for request in requests[:9] for one in calls(request)]
    return [write(folder / "mixed", [*lines, b"", *requests[9:]])]


def as_folder(folder: Path, requests: Sequence[bytes]) -> list[str]:
    source = folder / "exports"
    source.mkdir()
    write(source / "one.ndjson", requests[:50])
    (source / "two.ndjson.gz").write_bytes(gzip.compress(b"\n".join(requests[50:])))
    (source / "notes.txt").write_text("not an export")
    return [str(source)]


def as_unnamed_gzip(folder: Path, requests: Sequence[bytes]) -> list[str]:
    (folder / "it's packed").write_bytes(gzip.compress(b"\n".join(requests)))
    return [str(folder / "it's packed")]


def as_database(folder: Path, requests: Sequence[bytes]) -> list[str]:
    with duckdb.connect(str(folder / "export.db")) as database:
        load_duckdb(database, requests)
    return [str(folder / "export.db")]


def as_parquet(folder: Path, requests: Sequence[bytes]) -> list[str]:
    source = folder / "tables"
    source.mkdir()
    with duckdb.connect() as database:
        load_duckdb(database, requests, times="varchar")
        for (table,) in database.execute("select table_name from duckdb_tables()").fetchall():
            database.execute(f"copy {table} to '{source}/{table}.parquet'")
    return [str(source)]


@pytest.mark.parametrize(
    "form",
    [as_calls, as_arrays, as_rows, as_mixed, as_folder, as_unnamed_gzip, as_database, as_parquet],
)
def test_every_form_of_an_export_gives_the_same_answers(
    requests: list[bytes],
    expected: dict[str, str],
    tmp_path: Path,
    form: Callable[[Path, Sequence[bytes]], list[str]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    found = report(tmp_path / "out", *form(tmp_path, requests))

    assert found == expected
    assert capsys.readouterr().err == ""


def _of_postgresql(at: datetime) -> str:
    """Return a time as `row_to_json` gives one in a session whose zone is of the west."""
    return at.astimezone(timezone(-timedelta(hours=8))).isoformat()


def _of_bigquery(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S.%f} UTC"


def _of_snowflake(at: datetime) -> str:
    return f"{at.astimezone(timezone(timedelta(hours=5.5))):%Y-%m-%d %H:%M:%S.%f %z}"


def _of_trino(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S.%f} Z"


@pytest.mark.parametrize("written", [_of_postgresql, _of_bigquery, _of_snowflake, _of_trino])
def test_times_are_the_same_however_a_warehouse_writes_them(
    requests: list[bytes],
    expected: dict[str, str],
    tmp_path: Path,
    written: Callable[[datetime], str],
) -> None:
    (source,) = as_rows(tmp_path, requests)
    as_it_was = Path(source).read_bytes()
    made = re.sub(
        rb"20[0-9]{2}-[-0-9:.T]+Z",
        lambda found: written(datetime.fromisoformat(found[0].decode())).encode(),
        as_it_was,
    )
    assert made != as_it_was
    Path(source).write_bytes(made)

    assert report(tmp_path / "out", source) == expected


def test_a_text_of_parquet_that_names_a_zone_is_a_time_of_that_zone(
    requests: list[bytes], expected: dict[str, str], tmp_path: Path
) -> None:
    (source,) = as_parquet(tmp_path, requests)
    away = "strftime({0}::timestamp + interval 9 hours, '%Y-%m-%d %H:%M:%S.%g+09') as {0}"
    times = ", ".join(away.format(one) for one in ("window_start", "window_end"))
    made = tmp_path / "made"
    made.mkdir()
    with duckdb.connect() as database:
        for path in Path(source).iterdir():
            replaced = "*" if path.stem in {"identifies", "groups"} else f"* replace ({times})"
            table = database.read_parquet(str(path)).project(replaced)
            table.write_parquet(str(made / path.name))

    assert report(tmp_path / "out", str(made)) == expected


def test_a_database_of_postgresql_gives_the_same_answers(
    requests: list[bytes], expected: dict[str, str], tmp_path: Path
) -> None:
    psycopg = pytest.importorskip("psycopg")
    with postgresql() as address:
        with psycopg.connect(address) as database:
            database.execute("create schema segment")
            database.execute("set search_path = segment")
            database.execute("set timezone = 'Asia/Tokyo'")
            database.execute("alter database postgres set datestyle = 'SQL, DMY'")
            load_postgresql(database, requests)
        found = report(tmp_path / "out", _url(address))

    assert found == expected


def _url(address: str) -> str:
    """Return a connection string as the URL that it is for the command, and whose tables."""
    parts = {
        **dict(one.split("=", 1) for one in address.split()),
        "options": "-csearch_path=segment",
    }
    return f"postgresql:///?{urlencode(parts)}"


def test_a_ledger_gives_what_it_kept(
    requests: list[bytes], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "ledger"
    source.mkdir()
    for number, request in enumerate(requests, 1):
        found = orjson.loads(request)
        array = orjson.dumps(found["batch"])
        at = int(datetime.fromisoformat(found["receivedAt"]).timestamp())
        entry = Entry(
            number, digest_of(array), digest_of(array), gzip.compress(array), len(array),
            len(found["batch"]), at, at, "segment", Answer.DELIVERED,
        )  # fmt: skip
        (source / f"{number:08}.report").write_bytes(encode(entry))
    (source / "00009999.report").write_bytes(b"{}\n[]")
    last = (source / f"{len(requests):08}.report").read_bytes()
    late = re.sub(rb'("at_seconds":)\d+', rb"\g<1>%d" % 10**15, last)
    assert late != last
    (source / "00009998.report").write_bytes(late)
    found = report(tmp_path / "out", str(source))

    assert len(found["active_installations.csv"].splitlines()) > 2
    assert f"{source / '00009998.report'}:1: a time that no date has" in capsys.readouterr().err


@pytest.mark.parametrize("size", [9 << 20, 33 << 20])
def test_what_cannot_be_used_is_named_and_the_rest_is_kept(
    requests: list[bytes],
    expected: dict[str, str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    size: int,
) -> None:
    bad = orjson.loads(requests[1])
    bad["batch"][0]["properties"] = {"seq": "many"}
    bad["batch"][0]["type"] = "track"
    bad["batch"][0]["event"] = "Event handled"
    del bad["batch"][1:]
    other = b'{"batch":[{"type":"track","event":"Somebody else\'s","anonymousId":"1"}]}'
    lines = [
        requests[0], b'{"half', b"", orjson.dumps(bad), b"[7]", other, b"\xff\xfe", *requests[1:],
        b"7" * size,
    ]  # fmt: skip
    source = write(tmp_path / "events", lines)
    found = report(tmp_path / "out", source)
    said = capsys.readouterr().err

    assert found == expected
    assert sorted(said.splitlines()) == [
        f"botkube-analytics: {source}:{len(lines)}: longer than 8 MiB",
        f"botkube-analytics: {source}:2: not JSON",
        f"botkube-analytics: {source}:4: an event with no usable who, when, window or numbers",
        f"botkube-analytics: {source}:5: neither an event nor a request of events",
        f"botkube-analytics: {source}:7: not JSON",
    ]
    assert "many" not in said
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "1 others are not of this agent, and 5 lines or events could not be used" in page


@pytest.mark.parametrize("year", [b"2051-", b"9999-"])
def test_one_clock_that_is_far_ahead_empties_no_week(
    requests: list[bytes], tmp_path: Path, capsys: pytest.CaptureFixture[str], year: bytes
) -> None:
    lines = [
        orjson.dumps({k: v for k, v in orjson.loads(one).items() if k != "receivedAt"})
        for one in requests
    ]
    expected = report(tmp_path / "right", write(tmp_path / "events", lines))
    own = len(re.findall("out: 2,", capsys.readouterr().err)) * 2  # of the fleet's clocks
    ahead = re.sub(rb"\b20\d\d-(?=\d\d-\d\dT)", year, lines[len(lines) // 2])
    many = len(orjson.loads(ahead)["batch"])
    ahead = re.sub(rb'("anonymousId":")[^"]+', rb"\g<1>ahead", ahead)
    found = report(tmp_path / "out", write(tmp_path / "more", [*lines, ahead]))

    assert found == expected
    many += own
    assert capsys.readouterr().err == (
        f"botkube-analytics: events left out: {many}, of windows that end more than a day from "
        "now: a clock is wrong\n"
    )
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    # How many tells of few, on a page for others; none is said to be none either.
    assert "Left out are windows that end more than a day after this was made" in page
    assert f"{many} " not in page.rpartition("How to read this")[2]


def test_a_fleet_whose_clocks_are_all_ahead_is_believed(
    requests: list[bytes], expected: dict[str, str], tmp_path: Path
) -> None:
    """The clock here is behind, then; 28 years later the days of the week are the same."""
    later = [
        re.sub(rb"\b20(\d\d)(?=-\d\d-\d\dT)", lambda at: b"20%d" % (int(at[1]) + 28), one)
        for one in requests
    ]
    found = report(tmp_path / "out", write(tmp_path / "events", later))

    assert {
        name: re.sub(r"(?m)^20(\d\d)", lambda at: f"20{int(at[1]) - 28}", text)
        for name, text in found.items()
    } == expected


@pytest.mark.parametrize("content", [b"", b"{}\n", b"\xff\xfe\x00" * 99, b"7" * (9 << 20), b"[]"])
def test_nothing_that_can_be_read_ends_with_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes
) -> None:
    (tmp_path / "events").write_bytes(content)
    code = main(["report", str(tmp_path / "events"), "-o", str(tmp_path / "report.html")])
    said = capsys.readouterr()

    assert (code, said.out) == (2, "")
    assert "no event of this agent could be read" in said.err
    assert not (tmp_path / "report.html").exists()


def as_broken(name: str, content: bytes) -> Callable[[Path], str]:
    def make(folder: Path) -> str:
        (folder / name).write_bytes(content)
        return str(folder / name)

    return make


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (as_broken("a.ndjson.gz", b"\x1f\x8bgarbage"), "a.ndjson.gz: cannot be read"),
        (as_broken("a.gz", gzip.compress(b"{}" * 99)[:20]), "a.gz: cannot be read"),
        (as_broken("b.gz", b"\x1f\x8b\x08" + b"\0" * 99), "b.gz: cannot be read"),
        (as_broken("a.parquet", b"PAR1garbage"), "a.parquet: cannot be read"),
        (as_broken("event_handled.parquet", b"PAR1" + b"\0" * 999), "event_handled.parquet: can"),
        (as_broken("a.db", b"12345678DUCKgarbage"), "a.db: cannot be read"),
        (lambda _: "postgresql://me:canary@[bad/x", "postgresql://...: not an address of Postg"),
        (lambda _: "postgresql://me:can%zzary@host/x", "postgresql://host/x: not an address of"),
        (lambda _: "postgresql://me:can/ary@host/x", "postgresql://...: not an address of Pos"),
        (lambda _: "mysql://me:canary@host/x", "mysql://host/x: of addresses only postgresql"),
    ],
)
def test_what_is_broken_is_named_in_one_sentence(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    make: Callable[[Path], str],
    named: str,
) -> None:
    pytest.importorskip("psycopg")
    code = main(["report", make(tmp_path), "-o", str(tmp_path / "new" / "report.html")])
    (said,) = capsys.readouterr().err.splitlines()

    assert code == 2
    assert named in said
    assert "can" not in said.replace("cannot", "")
    assert not (tmp_path / "new").exists()


def test_the_beginning_of_a_gzip_file_is_kept(
    requests: list[bytes], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    packed = gzip.compress(b"\n".join(requests))
    (tmp_path / "cut.ndjson.gz").write_bytes(packed[: len(packed) // 2])
    found = report(tmp_path / "out", str(tmp_path / "cut.ndjson.gz"))
    (said,) = capsys.readouterr().err.splitlines()

    assert len(found["active_installations.csv"].splitlines()) > 2
    assert re.search(r"cut.ndjson.gz:\d+: no whole gzip file; the lines before are kept", said)


def test_refused_it_leaves_nothing_behind(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    empty = write(tmp_path / "events", [])
    here = tmp_path / "here"
    here.mkdir()
    (here / "file").touch()
    before = sorted(here.rglob("*"))
    for output, named in (
        (here / "report.html", "no event of this agent could be read"),
        (here / "new" / "er" / "report.html", "no event of this agent could be read"),
        (here / "file" / "report.html", "cannot use"),
        (here, "cannot use"),
    ):
        assert main(["report", empty, "-o", str(output)]) == 2
        assert named in capsys.readouterr().err
        assert sorted(here.rglob("*")) == before


@pytest.mark.parametrize("number", ["-1", "1001", "few"])
def test_a_number_below_which_nothing_can_be_withheld_is_refused(
    capsys: pytest.CaptureFixture[str], number: str
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["report", "events", "-o", "report.html", "--suppress-below", number])

    assert f"not a number of installations up to 1000: '{number}'" in capsys.readouterr().err


def test_a_file_that_is_not_there_ends_with_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = main(["report", "nowhere.ndjson", "-o", str(tmp_path / "report.html")])

    assert code == 2
    assert "cannot use nowhere.ndjson: No such file or directory" in capsys.readouterr().err


def test_without_duckdb_it_says_what_to_install(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "duckdb", None)
    code = main(["report", write(tmp_path / "events", []), "-o", str(tmp_path / "report.html")])

    assert code == 2
    assert "pip install 'botkube-analytics[report]'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("source", "named"),
    [
        (
            "postgresql://me:canary@127.0.0.1:1/analytics?connect_timeout=1",
            "postgresql://127.0.0.1/analytics: ",
        ),
        ("postgresql:/me:canary@127.0.0.1/analytics", "postgresql:...: of addresses only"),
    ],
)
def test_a_password_of_an_address_is_not_told(
    source: str, named: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("psycopg")
    code = main(["report", source, "-o", str(tmp_path / "report.html")])
    said = capsys.readouterr().err

    assert code == 2
    assert named in said
    assert "canary" not in said


def test_without_a_collection_report_it_says_what_is_missing(
    requests: list[bytes], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [
        orjson.dumps(one)
        for request in requests
        for one in orjson.loads(request)["batch"]
        if one.get("event") != "Collection report"
    ]
    output = tmp_path / "report.html"
    assert main(["report", write(tmp_path / "events.ndjson", lines), "-o", str(output)]) == 0

    assert "no Collection report was read" in capsys.readouterr().err
    page = output.read_text()
    assert "No Collection report is among them" in page
    # Of whose machine it is a page for others says nothing.
    assert "events.ndjson" in page
    assert str(tmp_path) not in page


# --- the page -------------------------------------------------------------------------------------


def test_a_share_or_older_is_told_within_what_is_known() -> None:
    rows = [
        Minor(week=WEEK, kubernetes_minor=minor, installations=many)
        for minor, many in (("1.28", WITHHELD), ("1.29", 20), ("1.30", WITHHELD), ("1.31", 70))
    ]

    # Both that are withheld are ten together, and each of them has one.
    assert or_older(rows, 100) == [(0.01, 0.09), (0.21, 0.29), (0.30, 0.30), (1.0, 1.0)]


def minors(*named: tuple[str, int]) -> list[Kubernetes]:
    total = sum(many for _, many in named)
    return [
        Kubernetes(
            week=WEEK,
            kubernetes_minor=minor,
            distribution="eks",
            installations=many,
            installations_all=total,
            share=many / total,
        )
        for minor, many in named
    ]


def test_shares_are_of_those_that_are_known() -> None:
    places = minors(("1.29", 10), ("1.30", 30), ("unknown", 60))
    shown = withhold(Answers([Active(week=WEEK, installations=100)], kubernetes_adoption=places), 5)
    page = (render(shown, ABOUT) or b"").decode()

    assert "The most common is Kubernetes 1.30: 75.0 % of those of which it is known" in page
    assert (
        "Of those installations of which it is known (of 60 it is not), "
        "25.0 % are on Kubernetes 1.29 or older." in page
    )
    assert "<desc>1.29: 25.0 %°; 1.30: 75.0 %</desc>" in re.sub(r"<desc[^>]*>", "<desc>", page)
    assert ",unknown,60,100,0.6" in dict(csv_files(shown))["kubernetes_minors.csv"]


def test_crashes_of_no_single_version_are_no_headline() -> None:
    rows = [
        Crashes(
            week=WEEK,
            botkube_version=version,
            crashes=crashes,
            installation_hours=900,
            per_1000_hours=crashes / 0.9,
            installations=50,
        )
        for version, crashes in (("several", 90), ("unknown", 80), ("v1.14.0", 9))
    ]
    week = Period([WEEK], WEEK, None, frozenset([WEEK]))

    assert sentences.crashes(rows, [], week).startswith("BotKube v1.14.0 crashed most")


def test_values_of_a_source_are_text_wherever_they_stand() -> None:
    evil = '</title></svg><script>alert(1)</script>"&'
    answers = Answers(
        [Active(week=WEEK, installations=50)],
        [
            Version(
                week=WEEK,
                botkube_version=evil,
                installations=50,
                installations_all=50,
                share=1.0,
            )
        ],
    )
    page = render(withhold(answers, 5), ABOUT)

    assert page is not None
    assert b"<script" not in page
    assert page.count(b"&lt;script&gt;") > 3


def test_a_sheet_takes_no_value_for_a_formula() -> None:
    answers = Answers(
        [Active(week=WEEK, installations=50)],
        [Version(week=WEEK, botkube_version="=cmd()", installations=50, installations_all=50)],
    )
    text = dict(csv_files(withhold(answers, 5)))["version_adoption.csv"]

    assert next(csv.DictReader(text.splitlines()))["botkube_version"] == "'=cmd()"


def test_weeks_that_are_not_whole_are_marked_and_not_compared() -> None:
    weeks = [WEEK + timedelta(weeks=number) for number in range(3)]
    answers = Answers(
        [Active(week=week, installations=40 + 10 * n) for n, week in enumerate(weeks)],
        completeness=[
            Completeness(
                week=week,
                # Something is lost in every week of a large fleet.
                is_complete=False,
                is_whole=week != weeks[-1],
                reason="observed",
                hours=700,
                share=0.7 if week == weeks[0] else 1.0,
                installations=40,
            )
            for week in weeks
        ],
    )
    page = (render(withhold(answers, 5), ABOUT) or b"").decode()

    assert f"The week of {weeks[1]}, compared with that of {weeks[0]} (70.0 % observed)" in page
    assert "50 installations reported in the week of 2026-11-09; 10 more than the week" in page
    assert f"Hatched: {weeks[0]} (70.0 % observed), {weeks[2]} (not whole)" in page


def test_a_week_in_which_nobody_reported_is_told_as_one() -> None:
    weeks = [WEEK + timedelta(weeks=number) for number in range(3)]
    answers = Answers(
        [Active(week=week, installations=0 if week == weeks[1] else 40) for week in weeks],
        completeness=[
            Completeness(
                week=week,
                is_whole=True,
                reason="delivery" if week == weeks[1] else "observed",
                hours=6720,
                share=1.0,
                installations=40,
            )
            for week in weeks
        ],
    )
    page = (render(withhold(answers, 5), ABOUT) or b"").decode()

    assert f"The week of {weeks[2]}, compared with that of {weeks[1]} (nobody reported)" in page
    assert f"Hatched: {weeks[1]} (nobody reported)" in page
    told = rows_of_table(page, "Installations by week")
    assert [cell.text for cell in told[1]][:2] == [f"{weeks[1]} (nobody reported)", "0"]


def test_a_table_says_what_was_in_the_week_before() -> None:
    def version(week: date, name: str, many: int) -> Version:
        return Version(
            week=week,
            botkube_version=name,
            installations=many,
            installations_all=100,
            share=many / 100,
        )

    before = WEEK - timedelta(weeks=1)
    answers = Answers(
        [Active(week=week, installations=100) for week in (before, WEEK)],
        [
            version(before, "v1.13.0", 70),
            version(before, "v1.14.0", 30),
            version(WEEK, "v1.13.0", 40),
            version(WEEK, "v1.14.0", 40),
            version(WEEK, "unknown", 20),
        ],
        completeness=[
            Completeness(week=week, is_whole=True, reason="observed", installations=100)
            for week in (before, WEEK)
        ],
    )
    page = (render(withhold(answers, 5), ABOUT) or b"").decode()
    told = rows_of_table(page, f"BotKube in the week of {WEEK}")

    # Of the eighty of which it is known: in the week before it was known of all.
    assert [[cell.text for cell in row] for row in told] == [
        ["v1.13.0", "40", "50.0 %", "50.0 %", "-20.0"],
        ["v1.14.0", "40", "50.0 %", "100.0 %", "+20.0"],
        ["unknown", "20", "–", "–", "–"],
    ]
    # The mark is read as degrees: who hears the page is told in words.
    assert '20<span aria-hidden="true">°</span><span class="heard">, of few</span></td>' in page
    assert "Shares are of those installations of which it is known (of 20 it is not)." in page
    assert '<p class="said"></p>' not in page and '<p class="said"/>' not in page  # noqa: PT018


def rows_of_table(page: str, caption: str) -> list[ET.Element]:
    """Return the rows of a table of the page."""
    tables = (ET.fromstring(one) for one in re.findall(r"<table.*?</table>", page, re.DOTALL))  # noqa: S314 our own page
    found = next(one for one in tables if one.findtext("caption") == caption)
    return found.findall("tbody/tr")


@pytest.fixture
async def tab(tmp_path: Path) -> AsyncIterator[Tab]:
    found = find()
    if found is None:
        pytest.skip("no chromium here: apt-get install chromium to run this")
    async with browser(found, tmp_path / "profile") as opened:
        yield opened


def _make(folder: Path, requests: Sequence[bytes], least: int) -> None:
    report(folder / "out", write(folder / "events", requests), least=least)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("least", [0, 5])
async def test_it_fits_asks_nobody_and_axe_finds_nothing(
    tab: Tab, requests: list[bytes], tmp_path: Path, least: int
) -> None:
    await asyncio.to_thread(_make, tmp_path, requests, least)
    page = (tmp_path / "out" / "report.html").as_uri()
    axe = (files("axe_core_python") / "axe.min.js").read_text(encoding="utf-8")
    for width, scheme in ((320, "light"), (1280, "dark")):
        await tab.show(page, width=width, scheme=scheme)
        await tab.find("document.querySelectorAll('details').forEach(one => one.open = true)")
        assert await tab.find("document.documentElement.scrollWidth") == width
        await tab.find(f"{axe};0")
        found = await tab.find(
            "axe.run().then(found => found.violations.map(one =>"
            " [one.id, ...one.nodes.map(node => node.target.join(' '))]))"
        )
        assert found == []

    assert tab.console == []
    assert {one.partition("#")[0] for one in tab.requests} == {page}


def test_every_chart_has_a_title_a_description_and_its_numbers(
    requests: list[bytes], tmp_path: Path
) -> None:
    report(tmp_path / "out", write(tmp_path / "events", requests))
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    drawings = re.findall(r"<svg.*?</svg>", page, re.DOTALL)
    sections = re.findall(r"<section.*?</section>", page, re.DOTALL)
    ids = re.findall(r' id="([^"]+)"', page)

    assert len(drawings) > 9
    for one in drawings:
        root = ET.fromstring(one)  # noqa: S314 our own page
        title, described = root.find("title"), root.find("desc")
        assert title is not None and title.text  # noqa: PT018
        assert described is not None and described.text  # noqa: PT018
        assert root.get("aria-labelledby") == title.get("id")
    assert all("<table" in one for one in sections if "<svg" in one)
    assert all('class="said"' in one for one in sections[:-1])
    assert len(ids) == len(set(ids))
    assert not re.search(r"<(script|link|img|iframe|object)\b|@import|url\(", page)
