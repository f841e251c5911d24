from __future__ import annotations

from itertools import takewhile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.lag import MAX_SUSPECTS, Lag, Neighbours, Suspect
from agent.model import NANOS
from agent.stamps import span
from tests.sim.gotime import fixed_stamp

START = 1_800_000_000
Pairs = list[tuple[float, float]]


def line(second: float, text: str = "text") -> tuple[int, bytes]:
    at_ns = int((START + second) * NANOS)
    return at_ns, f"{fixed_stamp(at_ns)} {text}".encode()


def suspects(arrivals: Pairs, *, skew: float = 0.0) -> Pairs:
    """Give lines as (stamp, arrival); return the suspicious intervals."""
    lag = Lag(skew_ns=int(skew * NANOS))
    for stamp, arrival in arrivals:
        lag.take(*line(stamp), now_ns=int((START + arrival) * NANOS))
    return [(one.before_ns / NANOS - START, one.after_ns / NANOS - START) for one in lag.suspects]


@pytest.mark.parametrize(
    ("arrivals", "expected"),
    [
        pytest.param([(0, 0.1), (60, 60.1), (3600, 3600.1)], [], id="quiet and live"),
        pytest.param([(0, 10), (1, 10), (9, 10)], [(1, 9)], id="lag collapses"),
        pytest.param([(0, 10), (1, 10), (2, 10), (3, 10)], [], id="a backlog without a hole"),
        pytest.param([(0, 1.9), (1.8, 1.9)], [], id="small lag"),
        pytest.param(
            [(0, 0), (1, 8), (1.5, 8), (4.5, 8), (5, 8)], [(1.5, 4.5)], id="a file of a long lag"
        ),
        pytest.param([(0, 90), (9, 90), (18, 90), (27, 90)], [], id="pauses before the stream"),
        pytest.param(
            [(0, 100), (99, 100), (50, 100), (99.5, 100)], [(0, 99), (50, 99.5)], id="back"
        ),
    ],
)
def test_only_a_lag_that_collapses_is_suspicious(arrivals: Pairs, expected: Pairs) -> None:
    assert expected == suspects(arrivals)


def test_clocks_that_are_apart_are_no_lag() -> None:
    assert not suspects([(0, 30.1), (16, 46.1)], skew=30)
    assert suspects([(0, 33), (2.9, 33)]) == []
    assert suspects([(0, 40.1), (9, 40.1)], skew=30) == [(0, 9)]


def test_what_the_clocks_are_apart_is_told_by_the_line_that_shows_it() -> None:
    lag = Lag()
    for second, now in ((0, 30.2), (16, 46.1)):
        lag.take(*line(second), now_ns=int((START + now) * NANOS))
        lag.learn()

    assert not lag.suspects
    assert not suspects([(0, -29.9), (16, -13.9)])
    assert suspects([(0, -20), (10, -20)]) == [(0, 10)]
    assert suspects([(0, 40), (9, 40)], skew=60) == [(0, 9)]


def test_a_clock_that_was_set_far_back_makes_no_suspects_of_pauses() -> None:
    assert not suspects([(10 * number, -5000) for number in range(90)])


def test_before_the_next_line_of_a_log_that_is_read_to_its_end_nothing_is_skipped() -> None:
    lag = Lag()
    lag.take(*line(0), now_ns=(START + 60) * NANOS)
    was_small = lag.is_small
    lag.catch_up()
    lag.take(*line(70), now_ns=(START + 70) * NANOS)

    assert (was_small, lag.is_small) == (False, True)
    assert not lag.suspects


def test_another_stream_begins_anew() -> None:
    lag = Lag()
    lag.take(*line(0), now_ns=(START + 10) * NANOS)
    lag.reopen()
    lag.take(*line(9), now_ns=(START + 10) * NANOS)

    assert not lag.suspects


def test_suspicions_are_bounded_and_none_is_forgotten() -> None:
    lag = Lag()
    for number in range(6 * MAX_SUSPECTS):
        late = 9 if number % 2 == 0 else 0
        lag.take(*line(10 * number), now_ns=(START + 10 * number + late) * NANOS)

    first, last = lag.suspects[0], lag.suspects[-1]
    assert len(lag.suspects) == MAX_SUSPECTS
    assert (first.before_ns, last.after_ns) == (line(0)[0], line(10 * (6 * MAX_SUSPECTS - 1))[0])


@given(st.lists(st.sampled_from("abc"), max_size=12), st.integers(1, 40))
def test_lines_are_neighbours_if_they_stand_side_by_side(words: list[str], size: int) -> None:
    suspect = Suspect(*line(0, "a"), *line(0, "b"))
    log = b"".join(line(0, word)[1] + b"\nfragment\n" for word in words)
    neighbours = Neighbours(suspect)
    for at in range(0, len(log), size):
        neighbours.feed(log[at : at + size])

    assert neighbours.verdict is ("ab" in "".join(words))


@given(
    st.lists(st.sampled_from("abc"), max_size=12),
    st.lists(st.sampled_from("abc"), max_size=4),
    st.integers(1, 40),
)
def test_of_lines_that_are_to_follow_it_is_told_how_many_do(
    words: list[str], more: list[str], size: int
) -> None:
    wanted = "".join(["b", *more])
    suspect = Suspect(*line(0, "a"), *line(0, "b"))
    neighbours = Neighbours(suspect, [line(0, word)[1] for word in wanted])
    log = b"".join(line(0, word)[1] + b"\nfragment\n" for word in words)
    for at in range(0, len(log), size):
        if not neighbours.is_done:
            neighbours.feed(log[at : at + size])

    _, pair, rest = "".join(words).partition("ab")
    behind = "b" + rest if pair else ""
    equal = (one == other for one, other in zip(wanted, behind, strict=False))
    assert neighbours.following == len([*takewhile(bool, equal)])


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        pytest.param(b"", False, id="nothing"),
        pytest.param(line(0, "b")[1] + b"\n" + line(0, "c")[1] + b"\n", True, id="second alone"),
        pytest.param(line(0, "b")[1] + b"\n" + line(0, "a")[1] + b"\n", False, id="both"),
        pytest.param(line(0, "c")[1] + b"\n", False, id="neither"),
        pytest.param(line(0, "b")[1] + b"\n" + line(0, "c")[1][:-1], False, id="end in a line"),
        pytest.param(line(0, "b")[1] + b"\nrpc error\n", False, id="text behind it"),
        pytest.param(b"fragment\n" + line(0, "b")[1] + b"\n", False, id="text before it"),
    ],
)
def test_a_line_begins_a_file_where_the_one_before_it_is_missing(
    reply: bytes, *, expected: bool
) -> None:
    neighbours = Neighbours(Suspect(*line(1, "a"), *line(0, "b")))
    neighbours.feed(reply.replace(line(0, "a")[1], line(1, "a")[1]))

    assert neighbours.begins_file is expected


@given(
    st.lists(st.tuples(st.lists(st.integers(0, 40), min_size=1, max_size=6), st.integers(0, 60))),
    st.integers(0, 3),
)
def test_lines_that_arrive_together_are_suspected_as_one_by_one(
    arrivals: list[tuple[list[int], int]], skew: int
) -> None:
    together, singly = Lag(skew_ns=skew * NANOS), Lag(skew_ns=skew * NANOS)
    for seconds, now in arrivals:
        lines = [line(second) for second in seconds]
        together.take_all(span([text for _, text in lines]), now_ns=lines[0][0] + now * NANOS)
        for at_ns, text in lines:
            singly.take(at_ns, text, now_ns=lines[0][0] + now * NANOS)

    assert together == singly


def test_a_delay_is_that_of_the_last_line_whatever_is_known_of_the_clocks() -> None:
    lag = Lag()
    delays = [lag.delay_ns]
    for second, now, skew in ((0, 5, 5), (10, 13, 3)):
        at_ns, text = line(second)
        lag.take(at_ns, text, now_ns=at_ns + (now - second) * NANOS)
        lag.skew_ns = skew * NANOS
        delays.append(lag.delay_ns)
    lag.reopen()

    assert [*delays, lag.delay_ns] == [None, 5 * NANOS, 3 * NANOS, None]
