"""Stamps in their usual form: the same time as before, and in the order of their bytes."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.lines import parse_stamp
from agent.model import NANOS
from agent.stamps import are_dates, at, count_seconds, in_usual_form, since, span, stamped
from tests.strategies import NOON, stamp

FORMS = [
    b"2026-11-26T06:33:21.123456789Z text",
    b"2026-11-26T06:33:21.123456789Z ",
    b"2026-11-26T06:33:21.123456789Z",
    b"2026-11-26T06:33:21Z text that is longer Z ",
    b"2026-11-26T06:33:21.12Z abcdefZ more",
    b"2026-11-26T06:33:21.1234+02:00 text",
    b"2026-11-26T06:33:21.123456789-11:30 text",
    b"2026-11-26T23:59:60.123456789Z text",
    b"1970-01-01T00:00:00.000000001Z text",
    b"2261-12-31T23:59:59.999999999Z text",
]


@pytest.mark.parametrize("line", FORMS)
def test_the_usual_form_says_the_same(line: bytes) -> None:
    found = parse_stamp(line)
    assert found is not None
    at_ns, begin = found

    usual = in_usual_form(line, at_ns, begin)

    assert (at(usual), usual[31:]) == (at_ns, line[begin:])
    assert usual[:30] == stamp(at_ns)
    assert stamped([b"torn", line]) == [usual]


moments = st.integers(NOON * NANOS, (NOON + 5) * NANOS)


@given(st.lists(moments, max_size=30), st.integers(NOON - 1, NOON + 6))
def test_many_lines_are_told_apart_as_one_by_one(times: list[int], second: int) -> None:
    lines = [stamp(at_ns) + b" %d" % number for number, at_ns in enumerate(times)]

    assert since(lines, second) == [line for line in lines if at(line) // NANOS >= second]
    for some in (lines, sorted(lines)) if lines else ():
        found = span(some)
        assert count_seconds(found) == Counter(at_ns // NANOS for at_ns in times)
        assert (at(found.lowest), at(found.highest)) == (min(times), max(times))
        assert span(some[:1]) == found.part(0, 1)
        assert found.part(0, len(some)) == found


@pytest.mark.parametrize(
    ("days", "expected"),
    [
        (["2026-02-28", "2026-02-28"], True),
        (["2026-02-28", "2026-03-01"], True),
        (["2026-02-28", "2026-02-30", "2026-03-01"], False),
        (["2026-02-30", "2026-02-30"], False),
        (["1969-12-31"], False),
    ],
)
def test_days_that_do_not_exist_are_none(days: list[str], expected: bool) -> None:
    lines = [f"{day}T00:00:00.000000000Z x".encode() for day in days]

    assert are_dates(span(lines)) is expected
