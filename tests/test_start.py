"""From where counting starts, in every case there is."""

from __future__ import annotations

from itertools import product

import attrs
import pytest

from agent.aggregate import Instance, Windows
from agent.counting import STOP_TOLERANCE_SECONDS, Counting
from agent.model import Identity
from agent.start import (
    FIRST_START_SECONDS,
    JUST_STARTED_SECONDS,
    Start,
    is_first_start,
    start_of,
)
from agent.state.document import Document
from agent.state.installation import Installation
from agent.streams import note_off
from tests.faults.words import word_rules

NOW = 1_800_000_000
SHORT, LONG = JUST_STARTED_SECONDS, JUST_STARTED_SECONDS + 1

# is_fresh, was_written, is_first -> without slots, just started, waited
CASES = {
    (False, False, False): (Start.GOES_ON,) * 3,
    (False, False, True): (Start.GOES_ON,) * 3,
    (False, True, False): (Start.GOES_ON,) * 3,
    (False, True, True): (Start.GOES_ON,) * 3,
    (True, False, True): (Start.FROM_HEAD,) * 3,
    (True, False, False): (Start.STATE_LOST, Start.STATE_LOST, Start.SINCE_WAITING),
    (True, True, False): (Start.STATE_LOST, Start.STATE_LOST, Start.SINCE_WAITING),
    (True, True, True): (Start.STATE_LOST, Start.STATE_LOST, Start.SINCE_WAITING),
}


@pytest.mark.parametrize("case", CASES, ids=str)
def test_from_where_counting_starts(case: tuple[bool, bool, bool]) -> None:
    is_fresh, was_written, is_first = case
    found = tuple(
        start_of(
            is_lost=False,
            is_fresh=is_fresh,
            was_written=was_written,
            is_first=is_first,
            waited_seconds=waited,
        )
        for waited in (None, SHORT, LONG)
    )

    assert CASES[case] == found


def test_the_table_has_every_case() -> None:
    assert CASES.keys() == set(product((False, True), repeat=3))


@pytest.mark.parametrize("waited", [None, SHORT, LONG])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_what_is_lost_is_lost_in_every_case(
    case: tuple[bool, bool, bool], waited: float | None
) -> None:
    is_fresh, was_written, is_first = case
    found = start_of(
        is_lost=True,
        is_fresh=is_fresh,
        was_written=was_written,
        is_first=is_first,
        waited_seconds=waited,
    )

    assert found is Start.STATE_LOST


CUT_SHORT = Installation("id", NOW)


@pytest.mark.parametrize(
    ("installation", "has_slots", "after", "is_first"),
    [
        pytest.param(CUT_SHORT, False, 0, True, id="cut-short"),
        pytest.param(CUT_SHORT, False, FIRST_START_SECONDS, True, id="cut-short-and-still-soon"),
        pytest.param(CUT_SHORT, False, FIRST_START_SECONDS + 1, False, id="too-long-ago"),
        pytest.param(
            attrs.evolve(CUT_SHORT, is_new=True),
            False,
            FIRST_START_SECONDS + 1,
            True,
            id="new-whatever-else",
        ),
        pytest.param(attrs.evolve(CUT_SHORT, commits=1), False, 0, False, id="state-was-written"),
        pytest.param(
            attrs.evolve(CUT_SHORT, commits=1), True, 0, False, id="state-was-written-before-slots"
        ),
        pytest.param(attrs.evolve(CUT_SHORT, slots={"1": 1}), True, 0, True, id="of-several-nodes"),
        pytest.param(
            attrs.evolve(CUT_SHORT, slots={"1": 1}), False, 0, False, id="slots-were-written-before"
        ),
        pytest.param(attrs.evolve(CUT_SHORT, sends=True), False, 0, True, id="same-mode"),
        pytest.param(attrs.evolve(CUT_SHORT, sends=False), False, 0, False, id="another-mode"),
        pytest.param(
            attrs.evolve(CUT_SHORT, is_new=True, sends=False), True, 0, False, id="new-after-an-off"
        ),
        pytest.param(
            attrs.evolve(CUT_SHORT, sends=True, not_before=1), False, 0, False, id="was-not-on"
        ),
    ],
)
def test_what_a_first_start_is(
    installation: Installation, *, has_slots: bool, after: int, is_first: bool
) -> None:
    found = is_first_start(installation, has_slots=has_slots, sends=True, now_seconds=NOW + after)

    assert is_first == found


# --- what follows from it -------------------------------------------------------------------------


def begun(
    start: Start, *, stopped: int | None = None, waited: int = 0, not_before: int = 0
) -> Counting:
    document = Document(
        b"", "", Windows(60), sends=True, stopped_seconds=stopped, saved_seconds=NOW - 50
    )
    document.restarts["uid/botkube"] = (1, "uid/1", 1)
    counting = Counting(document, word_rules(), Identity("id"), "test", sends=True)
    counting.begin(
        now_seconds=NOW,
        window_seconds=60,
        count_from=0,
        start=start,
        not_before=not_before,
        waited_seconds=waited,
        new_stream=str,
    )
    return counting


@pytest.mark.parametrize(
    ("start", "not_before", "count_from", "learns_from", "gaps"),
    [
        (Start.GOES_ON, NOW - 50, 0, 0, {}),
        (Start.FROM_HEAD, 0, 0, 0, {}),
        (Start.FROM_HEAD, NOW - 50, 0, NOW - 50, {}),
        # In which mode the agent was before, nobody knows.
        (Start.SINCE_WAITING, 0, NOW - 99, NOW - 99, {}),
        (Start.SINCE_WAITING, NOW - 50, NOW - 50, NOW - 50, {}),
        (Start.STATE_LOST, 0, NOW + 1, NOW + 1, {"state_lost": 1}),
        (Start.STATE_LOST, NOW - 50, NOW + 1, NOW + 1, {"state_lost": 1}),
        (Start.STATE_LOST, NOW + 50, NOW + 60, NOW + 50, {"state_lost": 1}),
    ],
)
def test_what_counts_from_then_on(
    start: Start, not_before: int, count_from: int, learns_from: int, gaps: dict[str, int]
) -> None:
    counting = begun(start, waited=100, not_before=not_before)
    windows = counting.document.windows

    assert (windows.count_from, counting.gap_seconds) == (count_from, gaps)
    assert max((end for _, end in windows.stopped), default=0) == learns_from


@pytest.mark.parametrize("start", [Start.SINCE_WAITING, Start.STATE_LOST])
def test_what_a_free_slot_neither_counts_nor_learns_of_after_an_off(start: Start) -> None:
    document = Document(b"", "", Windows(60))
    counting = Counting(document, word_rules(), Identity("id"), "test", sends=True)
    counting.begin(
        now_seconds=NOW,
        latest_seconds=NOW + 5,
        window_seconds=60,
        count_from=0,
        start=start,
        was_off=True,
        waited_seconds=100,
        new_stream=str,
    )

    assert document.windows.stopped == ((0, NOW + 6),)
    assert document.windows.count_from == NOW + 6


LONG_AGO = NOW - STOP_TOLERANCE_SECONDS - 1


@pytest.mark.parametrize(
    ("stopped", "waited", "stops"),
    [
        pytest.param(LONG_AGO, 0, ((LONG_AGO, NOW + 1),), id="stopped"),
        pytest.param(LONG_AGO + 1, 0, (), id="replaced"),
        pytest.param(LONG_AGO, 1, (), id="replaced-by-one-that-waited"),
        pytest.param(
            LONG_AGO - 100, 100, ((LONG_AGO - 100, NOW - 99),), id="stopped-until-one-waited"
        ),
        pytest.param(NOW - 1000, 5000, (), id="stopped-while-another-waited"),
    ],
)
def test_an_agent_that_waits_for_its_turn_is_not_stopped(
    stopped: int, waited: int, stops: tuple[tuple[int, int], ...]
) -> None:
    counting = begun(Start.GOES_ON, stopped=stopped, waited=waited)
    document = counting.document

    assert document.windows.stopped == stops
    assert sum(counting.gap_seconds.values()) == sum(to - at - 1 for at, to in stops)
    assert (document.stopped_seconds, bool(document.restarts)) == (None, not stops)


@pytest.mark.parametrize("how", ["marked", "until now", "another id", "a new id"])
def test_nothing_that_was_learned_outlives_an_off(how: str) -> None:
    """Not even what was learned before, since from when on it was off nobody knows.

    With the object that held another id went whatever off was noted.
    """
    is_marked = how == "marked"
    document = Document(b"", "", Windows(60), sends=not is_marked, saved_seconds=5)
    document.off_seconds = 7 if is_marked else None
    document.installation = "other" if how == "another id" else "id"
    document.instances["uid/1"] = Instance(
        "v1.14.0",
        debug=True,
        started=True,
        kind="panic",
        bots={"slack"},
        sinks={"webhook"},
        ended_seconds=3,
        counted_by=2,
        marks={"a=b"},
        kinds_before=("oom", None),
    )
    counting = Counting(document, word_rules(), Identity("id"), "test", sends=True)
    if is_marked:
        note_off(document, "after", now_seconds=7)
    counting.begin(
        now_seconds=NOW,
        window_seconds=60,
        count_from=0,
        was_off=how == "until now",
        is_new_installation=how == "a new id",
        new_stream=lambda: "after",
    )

    # That it has ended, and where its log is broken, are no facts of BotKube's.
    left = Instance(ended_seconds=3, kinds_before=(None, None), counted_by=2)
    assert document.instances == {"uid/1": left}
    assert document.windows.stopped == ((0, NOW + 1),)


@pytest.mark.parametrize(
    ("went_by", "off_noted", "misses"),
    [(None, 6, True), (0, 6, True), (5, 6, True), (6, 6, False), (6, 0, False), (None, 0, False)],
)
@pytest.mark.parametrize("sends", [True, False])
def test_a_state_of_mode_local_missed_an_off_if_it_went_by_another(
    *, went_by: int | None, off_noted: int, misses: bool, sends: bool
) -> None:
    learned = Instance(bots={"slack"}, started=True)
    document = Document(b"", "", Windows(60), sends=False, not_before=3, off_noted=went_by)
    document.instances["uid/1"] = learned
    counting = Counting(document, word_rules(), Identity("id"), "test", sends=sends)
    counting.begin(
        now_seconds=NOW,
        window_seconds=60,
        count_from=0,
        # The mode was turned on since, which is no off.
        not_before=9,
        off_noted=off_noted,
        new_stream=str,
    )

    assert document.instances == {"uid/1": Instance() if misses else learned}
    assert document.windows.stopped == (((0, NOW + 1),) if misses else ())
    # While it stands, another off is noted as the same.
    assert (document.not_before, document.off_noted) == (3, went_by)
    counting.go_by(9, off_noted)
    assert (document.not_before, document.off_noted) == (9, off_noted)


@pytest.mark.parametrize(
    ("sends", "saved", "count_from", "went_by", "not_before", "misses"),
    [
        pytest.param(True, 5, 3, None, 6, True, id="written-before-it-was-on-again"),
        pytest.param(True, 6, 3, None, 6, False, id="written-since"),
        # By the clock of an agent that is behind the API server's.
        pytest.param(True, 5, 6, None, 6, False, id="counts-since"),
        pytest.param(True, 5, None, None, 0, False, id="never-off"),
        pytest.param(None, 5, None, None, 6, False, id="nobody-counted"),
        pytest.param(True, 5, NOW + 99, None, None, True, id="off-until-now-in-a-quiet-period"),
        pytest.param(
            True, NOW + 99, 3, None, None, True, id="off-until-now-by-a-clock-that-is-behind"
        ),
        pytest.param(None, 5, None, None, None, False, id="off-until-now-and-nobody-counted"),
        # In a quiet period, say, or before the first window that is sent.
        pytest.param(True, 5, NOW + 99, 0, 6, True, id="obeyed-none-and-counts-later"),
        pytest.param(True, 5, NOW + 99, 3, 6, True, id="obeyed-another-and-counts-later"),
        pytest.param(True, 7, 3, 8, 6, True, id="obeyed-a-later-one-by-another-clock"),
        pytest.param(True, 5, 3, 6, 6, False, id="obeyed-it-by-a-clock-that-is-behind"),
        pytest.param(True, 5, 3, 6, 0, False, id="never-off-since-another-id-was-chosen"),
        pytest.param(None, 5, None, 3, 6, False, id="obeyed-another-and-nobody-counted"),
    ],
)
def test_a_state_that_missed_an_off_counts_anew(
    *,
    sends: bool | None,
    saved: int,
    count_from: int | None,
    went_by: int | None,
    not_before: int | None,
    misses: bool,
) -> None:
    windows = Windows(60, count_from=count_from)
    document = Document(b"", "before", windows, sends=sends, saved_seconds=saved)
    document.not_before = went_by
    learned = Instance(bots={"slack"}, started=True)
    document.instances["uid/1"] = learned
    counting = Counting(document, word_rules(), Identity("id"), "test", sends=True)
    counting.begin(
        now_seconds=NOW,
        window_seconds=60,
        count_from=0,
        not_before=not_before or 0,
        was_off=not_before is None,
        new_stream=lambda: "after",
    )

    assert document.stream == ("after" if misses else "before")
    assert windows.stopped == (((0, NOW + 1),) if misses else ())
    # Nor does what was learned outlive it, whoever has taken that off back.
    assert document.instances == {"uid/1": Instance() if misses else learned}
    assert document.not_before == went_by
