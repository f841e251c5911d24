"""The bench measures what it says it does; and what must not grow, in counts and ratios."""

from __future__ import annotations

import math
import shutil
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
import re2
from attrs import evolve

from agent import blocks
from agent.blocks import DEBUG
from agent.prefilter import make_prefilter
from agent.reader import Reader
from agent.rules import RuleSet
from tests.bench import matching
from tests.bench.logs import FORMATS, LEVELS, LINE_BYTES, Format, Level, make_log
from tests.bench.peers import write_literals, write_mtail
from tests.shipped import PREFILTER, RULES

SIZE = 100_000
CALLS_A_LINE = 0.8
"""Each chunk costs some 300, whatever stands in it, and has 700 lines."""
CALLS_AN_ENTRY = 320
PEAK_BYTES = 4 << 20


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


def calls(work: Callable[[], object]) -> int:
    """Count the function calls of some work, of Python's and of C's, which no machine changes."""
    made = 0

    def note(_frame: object, event: str, _argument: object) -> None:
        nonlocal made
        made += event in {"call", "c_call"}

    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(None)
    return made


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("level", LEVELS)
def test_no_code_looks_at_a_line_that_no_rule_needs(form: Format, level: Level) -> None:
    short, long = (make_log(form, level, 0.0, size * SIZE) for size in (4, 16))
    made = [calls(lambda log=log: matching.count(log, RULES, PREFILTER)) for log in (short, long)]  # type: ignore[misc]

    assert made[1] - made[0] < CALLS_A_LINE * (long.lines - short.lines)


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("level", LEVELS)
def test_an_entry_that_counts_takes_so_many_calls(form: Format, level: Level) -> None:
    few, many = make_log(form, level, 0.1, SIZE), make_log(form, level, 1.0, SIZE)
    made = [calls(lambda log=log: matching.count(log, RULES, PREFILTER)) for log in (few, many)]  # type: ignore[misc]
    each = (made[1] - made[0]) / (many.matching - few.matching)

    assert each < CALLS_AN_ENTRY


def test_what_is_held_while_a_log_is_read_does_not_grow_with_it() -> None:
    """Of a backlog no more is kept than the lines of the last seconds, which prove a resume."""
    peaks = []
    for size in (20, 60):
        log = make_log("json", "debug", 0.01, size * SIZE)
        tracemalloc.start()
        matching.count(log, RULES, PREFILTER)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()

    assert peaks[1] < PEAK_BYTES
    assert peaks[1] < 1.2 * peaks[0]


class Searches:
    """Stands in for a pattern and counts how often it was searched for."""

    def __init__(self) -> None:
        self.made = 0

    def search(self, text: bytes, begin: int) -> object:
        self.made += 1
        return DEBUG.search(text, begin)


@pytest.mark.parametrize(("odd", "most"), [(b"", 0), (b"level=debug", 1)])
def test_the_level_is_looked_for_once_in_a_block_and_again_only_behind_what_seems_to_tell_it(
    monkeypatch: pytest.MonkeyPatch, odd: bytes, most: int
) -> None:
    """However many runs and single lines the block has; without any of the words not at all."""
    log = make_log("json", "info", 0.1, SIZE)
    *lines, last, _ = log.data.split(b"\n")
    counted = Searches()
    monkeypatch.setattr(blocks, "DEBUG", counted)
    reader = Reader(RULES, PREFILTER)
    reader.feed(b"\n".join([*lines, last.replace(b'"level"', b'"x":"%b","level"' % odd), b""]))

    assert 300 < len(lines) < 2000
    assert counted.made == most


def with_rules(count: int) -> RuleSet:
    """Return a set with so many rules, of which only ours are for the logs of the bench."""
    ours = [rule for rule in RULES.rules if rule.id in {"webhook-event-v1", "elasticsearch-event"}]
    more = []
    for number in range(count - len(ours)):
        text = f"Sentence number {number} about something else"
        other = evolve(
            ours[0], id=f"other-{number}", pattern=text, message=re2.compile(text.encode()),
            literals=(text.encode(),),
        )  # fmt: skip
        more.append(other)
    return evolve(RULES, rules=(*more, *ours))


def test_a_line_costs_the_same_with_a_thousand_rules() -> None:
    log = make_log("json", "debug", 0.05, 5 * SIZE)
    sets = [with_rules(count) for count in (10, 1000)]
    filters = [make_prefilter(one.literals) for one in sets]
    least = [math.inf, math.inf]
    for _ in range(5):
        for index, (one, prefilter) in enumerate(zip(sets, filters, strict=True)):
            least[index] = min(least[index], matching.count(log, one, prefilter)[0])
    made = [
        calls(lambda one=one, prefilter=prefilter: matching.count(log, one, prefilter))  # type: ignore[misc]
        for one, prefilter in zip(sets, filters, strict=True)
    ]

    assert made[1] < 1.1 * made[0]
    assert least[1] < 2 * least[0]
