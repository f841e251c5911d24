"""From when to when nobody knows who came, and what of it windows say."""

from __future__ import annotations

from http import HTTPStatus

import pytest
from attrs import define, field
from hypothesis import given
from hypothesis import strategies as st

from agent.instances import LEFT_SECONDS
from agent.listing import Listing, told_by

OK, REFUSED, FAILED = HTTPStatus.OK, HTTPStatus.FORBIDDEN, HTTPStatus.INTERNAL_SERVER_ERROR
PATIENCE = 600
HOUR = 3600
NAMES = ("one", "other")


@define
class Play:
    """Lists of both selections, as they are answered, and the hours that are over since."""

    listing: Listing = field(factory=lambda: Listing(len(NAMES), PATIENCE))
    closed_until: int = 0

    def answer(self, name: str, status: int, now: float) -> None:
        self.listing.take_list(name, status, now=now, closed_until=self.closed_until)
        self.listing.take_answer(name, status, now=now, closed_until=self.closed_until)

    def hours(self, now: float) -> list[tuple[int, float | None]]:
        """Close the hours that may be; return since when nobody knows of each who came."""
        told = []
        while self.closed_until + HOUR <= now and self.listing.is_settled:
            end = self.closed_until + HOUR
            if self.listing.is_awaited(end, now=now):
                break
            told.append((self.closed_until, self.listing.unseen_since(self.closed_until, end)))
            self.closed_until = end
        return told

    def start_anew(self, now: float) -> None:
        """Let another process go on, that knows what the one before noted just now."""
        blind = self.listing.blind(self.closed_until, now=now)
        self.listing = Listing(len(NAMES), PATIENCE)
        self.listing.go_on(blind)


def began() -> Play:
    play = Play()
    for name in NAMES:
        play.answer(name, OK, 0)
    return play


def test_a_short_failure_says_nothing_once_it_is_over() -> None:
    play = began()
    play.answer("other", FAILED, 100)
    play.answer("other", OK, 699)

    assert play.hours(HOUR) == [(0, None)]


def test_a_failure_that_is_not_over_is_waited_for() -> None:
    play = began()
    play.answer("other", FAILED, 3500)

    assert play.hours(4099) == []
    assert play.hours(4100) == [(0, 3500)]


def test_a_long_failure_says_since_when() -> None:
    play = began()
    play.answer("other", FAILED, 100)
    play.answer("other", OK, 700)

    assert play.hours(2 * HOUR) == [(0, 100), (HOUR, None)]


def test_a_clock_that_was_set_back_is_not_waited_for() -> None:
    play = began()
    play.answer("other", FAILED, 3500)

    assert not play.listing.is_awaited(HOUR, now=3499)


def test_a_refusal_says_so_for_a_day() -> None:
    play = began()
    play.answer("other", REFUSED, 100)
    told = play.hours(30 * HOUR)

    assert [start for start, since in told if since is not None] == [
        hour * HOUR for hour in range(LEFT_SECONDS // HOUR + 1)
    ]


def test_a_refused_one_that_failed_once_says_it_no_longer_than_a_day() -> None:
    play = began()
    play.answer("other", FAILED, 100)
    play.answer("other", REFUSED, 110)

    assert play.hours(3 * LEFT_SECONDS)[-1] == (3 * LEFT_SECONDS - HOUR, None)


def test_a_failure_that_ends_in_a_refusal_began_when_it_failed() -> None:
    play = began()
    play.answer("other", FAILED, 100)
    play.answer("other", REFUSED, 110)
    play.answer("other", OK, 120)

    assert play.hours(2 * HOUR) == [(0, 100), (HOUR, None)]


def test_of_what_was_told_a_second_refusal_says_nothing_again() -> None:
    play = began()
    play.answer("other", REFUSED, 100)
    play.answer("other", OK, 120)
    assert play.hours(2 * HOUR) == [(0, 100), (HOUR, None)]
    play.answer("other", REFUSED, 2 * HOUR + 50)
    play.answer("other", OK, 2 * HOUR + 60)

    assert play.hours(3 * HOUR) == [(2 * HOUR, 2 * HOUR + 50)]


def test_a_refusal_is_over_with_the_first_list_and_not_with_each_that_follows() -> None:
    play = began()
    play.answer("other", REFUSED, 100)
    play.answer("other", OK, 120)
    play.answer("other", OK, HOUR + 120)

    assert play.hours(2 * HOUR) == [(0, 100), (HOUR, None)]


def test_two_refusals_in_an_hour_are_one_since_the_first() -> None:
    play = began()
    for at in (100, 200):
        play.answer("other", REFUSED, at)
        play.answer("other", OK, at + 10)

    assert play.hours(HOUR) == [(0, 100)]


def test_of_several_selections_the_first_is_told() -> None:
    play = began()
    play.answer("one", REFUSED, 200)
    play.answer("other", REFUSED, 100)

    assert play.hours(HOUR) == [(0, 100)]
    assert play.listing.is_blind


def test_only_what_windows_have_yet_to_tell_is_noted() -> None:
    play = began()
    play.answer("one", FAILED, 100)
    assert play.listing.blind(0, now=699) is None
    assert play.listing.blind(0, now=700) == (100, 700)
    play.answer("one", OK, 800)
    assert play.listing.blind(799, now=900) == (100, 800)
    assert play.listing.blind(800, now=900) is None
    play.closed_until = 800
    play.answer("one", REFUSED, 1000)
    play.answer("other", FAILED, 1100)
    assert play.listing.blind(800, now=2000) == (1000, 2000)


def test_what_is_noted_is_noted_anew_once_another_window_will_tell_it() -> None:
    def told(since: int, until: int) -> tuple[int, int] | None:
        return told_by((since, until), HOUR, grace=2)

    assert told(3500, 3500) == told(3500, HOUR + 1)
    assert told(3500, HOUR + 2) == told(3500, 2 * HOUR + 1)
    assert len({told(3500, 3500), told(3500, HOUR + 2), told(3400, 3500), None}) == 4
    assert told_by(None, HOUR, grace=2) is None


@pytest.mark.parametrize(("first", "since"), [(OK, 100), (REFUSED, 0)])
def test_what_nobody_knew_before_a_start_is_told_after_it(first: int, since: int) -> None:
    play = began()
    play.hours(HOUR)
    play.answer("other", REFUSED, HOUR + 100)
    play.start_anew(HOUR + 200)
    play.answer("one", OK, HOUR + 210)
    play.answer("other", first, HOUR + 210)

    assert play.hours(2 * HOUR) == [(HOUR, HOUR + since)]


steps = st.lists(
    st.tuples(
        st.sampled_from([*NAMES, "start anew"]),
        st.sampled_from([OK, OK, REFUSED, FAILED]),
        st.integers(1, 900),
    ),
    max_size=40,
)


@given(steps)
def test_who_came_while_nobody_could_know_is_in_an_hour_that_says_so(
    played: list[tuple[str, HTTPStatus, int]],
) -> None:
    """Nobody can know from the first answer that fails until the next that does not."""
    play = began()
    now = 0
    since: dict[str, int] = {}
    refused: set[str] = set()
    unseen: list[tuple[int, int]] = []
    told: dict[int, float | None] = {}
    for name, status, seconds in played:
        now += seconds
        told |= play.hours(now)
        if name == "start anew":
            # What failed less long than is waited for may be told as seen.
            failing = {one for one, at in since.items() if one not in refused and now - at < 600}
            since = {one: at for one, at in since.items() if one not in failing}
            play.start_anew(now)
            for one in NAMES:
                unread = REFUSED if one in refused else FAILED
                play.answer(one, unread if one in since else OK, now)
            continue
        play.answer(name, status, now)
        if status != OK:
            since.setdefault(name, now)
            if status == REFUSED:
                refused.add(name)
        elif name in since:
            at = since.pop(name)
            if name in refused or now - at >= PATIENCE:
                unseen.append((at, now))
            refused.discard(name)
    told |= play.hours(now + HOUR)

    for at, until in unseen:
        for start, found in told.items():
            if at < start + HOUR and start < until:
                assert found is not None
                assert found <= max(at, start)


@given(steps)
def test_where_all_could_be_listed_nothing_is_said(
    played: list[tuple[str, HTTPStatus, int]],
) -> None:
    play = began()
    now = 0
    for name, _, seconds in played:
        now += seconds
        if name == "start anew":
            play.start_anew(now)
        for one in NAMES:
            play.answer(one, OK, now)
        assert {since for _, since in play.hours(now)} <= {None}
