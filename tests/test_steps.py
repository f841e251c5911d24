from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agent.model import NANOS
from agent.stamps import at, span
from agent.steps import MAX_BYTES, MAX_LINES, MAX_STEP_NS, STEP_NS, Steps
from tests.sim.gotime import fixed_stamp

NOON = 1_800_000_000 * NANOS


def line(at_ns: int, text: str = "text") -> bytes:
    return f"{fixed_stamp(NOON + at_ns)} {text}".encode()


class Stream:
    """A stream whose steps back the log itself has: each is looked into and goes on."""

    def __init__(self) -> None:
        self.steps = Steps()
        self.read = self.asked = 0

    def take(self, *lines: bytes) -> None:
        for one in lines:
            if self.steps.take(one, at(one), read=self.read):
                self.asked += 1
                self.steps.go_on(1)
                self.steps.take(one, at(one), read=self.read)
            self.read += 1

    def take_together(self, *lines: bytes) -> None:
        arrived = span(list(lines))
        if self.steps.may_be_in(arrived):
            self.take(*lines)
        else:
            self.steps.note(arrived)
            self.read += len(lines)

    def comes_again(self, one: bytes) -> bool:
        return self.steps.take(one, at(one), read=self.read)


@given(
    st.lists(
        st.tuples(st.booleans(), st.lists(st.integers(-3, 5), min_size=1, max_size=200)),
        min_size=1,
        max_size=4,
    ),
    st.sampled_from((0, STEP_NS // 50, STEP_NS // 2, 60 * STEP_NS)),
    st.data(),
)
def test_a_line_that_was_taken_is_a_step_when_it_comes_again(
    pieces: list[tuple[bool, list[int]]], unit_ns: int, data: st.DataObject
) -> None:
    stream, taken, at_ns = Stream(), list[bytes](), 0
    for is_ordered, offsets in pieces:
        base = at_ns
        lines = [
            line(base + max(0, unit_ns * (number + offset)), str(len(taken) + number))
            for number, offset in enumerate(sorted(offsets) if is_ordered else offsets)
        ]
        stream.take_together(*lines)
        taken += lines
        at_ns = base + unit_ns * len(lines)
    one = data.draw(st.sampled_from(taken))

    assert stream.comes_again(one)


def test_what_a_log_has_once_is_asked_no_more() -> None:
    stream = Stream()
    for number in range(1000):
        stream.take(line(number * 10 * STEP_NS - 60 * STEP_NS * (number % 2), str(number)))

    assert stream.asked < 10


def test_what_was_forgotten_before_the_log_stepped_so_far_is_no_new_line() -> None:
    stream = Stream()
    stream.take_together(*(line(number * STEP_NS) for number in range(200)))
    stream.take(line(140 * STEP_NS, "behind"))

    assert stream.comes_again(line(170 * STEP_NS))


def test_what_one_stream_of_an_instance_has_shown_is_known_in_the_next() -> None:
    stream = Stream()
    stream.take(line(60 * STEP_NS), line(0))
    stream.steps.reopen()
    stream.take(line(200 * STEP_NS), line(150 * STEP_NS), line(130 * STEP_NS))

    assert stream.asked == 2


def test_a_clock_that_was_set_back_begins_another_time() -> None:
    stream = Stream()
    stream.take(*(line(MAX_STEP_NS + number) for number in range(1000)), line(0, "set"))
    stream.take(line(-STEP_NS // 2), line(STEP_NS), line(STEP_NS // 2))
    stream.take(line(-STEP_NS))

    assert stream.asked == 2


def test_the_highest_stamp_is_that_of_all_lines_also_where_a_clock_was_set_back() -> None:
    stream = Stream()
    stream.take_together(line(1), line(2 * MAX_STEP_NS))
    stream.take(line(0))

    assert stream.steps.highest_ns == NOON + 2 * MAX_STEP_NS


def test_of_a_burst_no_more_is_known_than_may_be_kept() -> None:
    for text, count in (("", MAX_LINES), ("x" * 1000, MAX_BYTES // 1000)):
        stream = Stream()
        stream.take(*(line(0, f"{number} {text}") for number in range(2 * count)))
        asked = stream.asked
        stream.take(line(0, "one more"))

        assert stream.asked == asked + 1
        assert stream.comes_again(line(0, f"0 {text}"))
