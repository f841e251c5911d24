"""The bench measures what it says it does."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.bench import matching
from tests.bench.logs import FORMATS, LEVELS, LINE_BYTES, Format, Level, make_log
from tests.bench.peers import write_literals, write_mtail
from tests.shipped import PREFILTER, RULES

SIZE = 100_000


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("level", LEVELS)
def test_a_log_of_the_bench_matches_as_often_as_it_says(form: Format, level: Level) -> None:
    none, some = make_log(form, level, 0.0, SIZE), make_log(form, level, 0.1, SIZE)

    # `count` looks itself whether it counts as many as were written.
    assert (none.matching, matching.count(none, RULES, PREFILTER)[1]) == (0, set())
    assert 0.05 < some.matching / some.lines < 0.15
    assert matching.count(some, RULES, PREFILTER)[1]
    assert len(some.data) / some.lines == pytest.approx(LINE_BYTES, rel=0.1)
    assert some == make_log(form, level, 0.1, SIZE)


@pytest.mark.skipif(shutil.which("grep") is None, reason="there is no grep here")
@pytest.mark.parametrize("form", FORMATS)
def test_grep_finds_the_same_lines(tmp_path: Path, form: Format) -> None:
    log = make_log(form, "debug", 0.1, SIZE)
    (tmp_path / "log").write_bytes(log.data)
    call = ["grep", "-Ecf", str(write_literals(RULES, tmp_path)), str(tmp_path / "log")]
    done = subprocess.run(call, check=True, capture_output=True)  # noqa: S603 grep

    assert int(done.stdout) == log.matching


def test_mtail_gets_every_rule(tmp_path: Path) -> None:
    program = write_mtail(RULES.rules, tmp_path / "rules").read_text()

    assert program.count("entries[") == len(RULES.rules)
