"""Windows: where an Observation is counted, what a gap crosses, and what a closed window says."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.aggregate import MAX_AHEAD, MAX_GAP_WINDOWS, MAX_OPEN, Instance, Windows
from agent.model import NANOS, Fact, Gap, Observation, Released, Report, Value
from agent.names import snake

HOUR = 3600
T0 = 1_767_268_800  # a full hour
NOW = T0 + 10 * HOUR
BOTS = ("slack", "socketSlack")
SINKS = ("elasticsearch", "webhook", "pagerDuty")


def seen(at: float = 0, event: str = "Event handled", platform: str = "slack") -> Observation:
    return Observation(event, (("platform", platform),), int((T0 + at) * NANOS))


def fold(
    windows: Windows,
    *observations: Observation,
    version: str = "v1.14.0",
    now: int = NOW,
    **more: object,
) -> None:
    windows.fold(Instance(version), Released(observations, **more), now_seconds=now)  # type: ignore[arg-type]


def counts(report: Report) -> dict[tuple[str, str], int]:
    return {(one.event, str(one.properties[0][1])): one.count for one in report.aggregates}


def close(windows: Windows, start: int, *instances: Instance) -> Report:
    return windows.close(T0 + start, instances, bots=BOTS, sinks=SINKS)


def collection(windows: Windows, start: int, *instances: Instance) -> dict[str, Value]:
    return dict(close(windows, start, *instances).collection)


# --- windows ---


@pytest.mark.parametrize(
    ("at", "seconds", "start"),
    [
        (0, HOUR, 0),
        (HOUR - 0.001, HOUR, 0),
        (HOUR, HOUR, HOUR),
        (90, 60, 60),
        (25 * HOUR, 24 * HOUR, 12 * HOUR),
        (-1, HOUR, -HOUR),
    ],
)
def test_a_window_is_aligned_to_utc_and_half_open(at: float, seconds: int, start: int) -> None:
    windows = Windows(seconds)
    fold(windows, seen(at))
    report = windows.close(T0 + start, (), bots=BOTS, sinks=SINKS)

    assert (T0 + start, T0 + start + seconds) == (report.start_seconds, report.end_seconds)
    assert (len(report.aggregates), windows.open) == (1, {})


def test_a_series_is_event_version_and_properties() -> None:
    windows = Windows(HOUR)
    fold(windows, seen(), seen(1), seen(2, platform="discord"), seen(3, "Command refused"))
    fold(windows, seen(4), version="v1.0.0")
    report = close(windows, 0)

    assert sorted(one.count for one in report.aggregates) == [1, 1, 1, 2]
    assert {"v1.14.0", "v1.0.0"} == {one.botkube_version for one in report.aggregates}


def test_what_comes_after_the_close_is_late_in_the_oldest_open_window() -> None:
    windows = Windows(HOUR)
    fold(windows, seen(0), seen(3 * HOUR))
    close(windows, 0)
    fold(windows, seen(1))
    second, third = close(windows, HOUR), close(windows, 2 * HOUR)

    assert (
        counts(second),
        dict(second.collection)["late_lines"],
    ) == ({("Event handled", "slack"): 1}, 1)
    assert (counts(third), dict(third.collection)["late_lines"]) == ({}, 0)


def test_a_window_without_lines_says_zero() -> None:
    assert collection(Windows(HOUR), 0) == {
        "lines_read": 0,
        "lines_matched": 0,
        "late_lines": 0,
        "rotations_crossed": 0,
    }


def test_lines_stand_in_the_window_of_their_stamps() -> None:
    windows = Windows(HOUR)
    fold(windows, lines_at={T0 + 10: 4, T0 + HOUR: 1, T0 + HOUR - 1: 1}, matched_at={T0 + 10: 2})

    first = collection(windows, 0)
    assert (first["lines_read"], first["lines_matched"]) == (5, 2)
    assert collection(windows, HOUR)["lines_read"] == 1


def test_lines_that_must_not_be_sent_are_not_said_either() -> None:
    windows = Windows(HOUR, count_from=T0 + HOUR, stopped=((T0 + 2 * HOUR, T0 + 3 * HOUR),))
    fold(windows, lines_at={T0: 1, T0 + 2 * HOUR: 1, T0 + 3 * HOUR: 1}, now=T0 + 9 * HOUR)

    read = [collection(windows, hour * HOUR)["lines_read"] for hour in range(4)]
    assert read == [0, 0, 0, 1]


def test_a_crossed_rotation_is_told() -> None:
    windows = Windows(HOUR)
    fold(windows, rotations=1)

    assert collection(windows, NOW - NOW % HOUR - T0)["rotations_crossed"] == 1


@pytest.mark.parametrize(
    ("opened", "at", "first"),
    [
        pytest.param((), 5, 10, id="none-open"),
        pytest.param((7, 9), 5, 7, id="before-the-oldest"),
        pytest.param((7, 9), 8, 8, id="behind-the-oldest"),
    ],
)
def test_a_first_start_tells_of_no_time_before_its_oldest_window(
    opened: tuple[int, ...], at: int, first: int
) -> None:
    windows = Windows(HOUR)
    fold(windows, *(seen(hour * HOUR) for hour in opened))

    assert windows.told_from(T0 + at * HOUR, now_seconds=NOW + 60) == T0 + first * HOUR


def test_the_oldest_window_is_told() -> None:
    windows = Windows(HOUR)
    before = windows.oldest()
    fold(windows, seen(2 * HOUR), seen(0))

    assert (before, windows.oldest()) == (None, T0)


observations = st.builds(
    seen,
    st.integers(0, 5 * HOUR),
    st.sampled_from(["Event handled", "Command refused"]),
    st.sampled_from(["slack", "discord"]),
)


@given(
    st.lists(observations, max_size=20).flatmap(
        lambda rows: st.tuples(st.just(rows), st.permutations(rows))
    ),
    st.integers(0, 3),
)
def test_the_order_of_folding_is_irrelevant(
    orders: tuple[Sequence[Observation], Sequence[Observation]], closed: int
) -> None:
    reports = []
    for order in orders:
        windows = Windows(HOUR)
        for hour in range(closed):
            close(windows, hour * HOUR)
        for one in order:
            fold(windows, one)
        reports.append([close(windows, hour * HOUR) for hour in range(closed, 7)])

    assert reports[0] == reports[1]
    assert len(orders[0]) == sum(one.count for report in reports[0] for one in report.aggregates)


# --- what may be sent ---


@pytest.mark.parametrize(
    ("count_from", "at", "now", "counted"),
    [
        pytest.param(0, 0, 1, True, id="always"),
        pytest.param(T0 + HOUR, HOUR, HOUR, True, id="from-then-on"),
        pytest.param(T0 + HOUR, HOUR - 1, HOUR, False, id="stamped-before"),
        pytest.param(T0 + HOUR, HOUR + 1, HOUR - 1, False, id="read-before"),
        pytest.param(None, 0, 1, False, id="never"),
    ],
)
def test_what_is_stamped_or_read_before_is_kept_apart(
    count_from: int | None, at: int, now: int, counted: bool
) -> None:
    windows = Windows(HOUR, count_from=count_from)
    fold(windows, seen(at), now=T0 + now)
    (window,) = windows.open.values()

    assert (int(counted), int(not counted)) == (window.counts.total(), window.unsent.total())


def test_a_late_line_from_before_is_not_sent_either() -> None:
    windows = Windows(HOUR, count_from=T0 + HOUR)
    close(windows, 0)
    fold(windows, seen(1), now=T0 + 2 * HOUR)

    assert close(windows, HOUR).aggregates == ()


@pytest.mark.parametrize(
    ("count_from", "stopped", "start", "expected"),
    [
        (0, (0, 0), 0, True),
        (None, (0, 0), 0, False),
        (T0 + HOUR, (0, 0), 0, False),
        (T0 + HOUR, (0, 0), HOUR, True),
        (T0 + 1, (0, 0), 0, True),
        (0, (T0, T0 + 2 * HOUR), HOUR, False),
        (0, (T0 + 1, T0 + HOUR), 0, True),
        (0, (T0, T0 + HOUR), HOUR, True),
    ],
)
def test_only_windows_of_the_time_that_counts_are_sent(
    count_from: int | None, stopped: tuple[int, int], start: int, expected: bool
) -> None:
    windows = Windows(HOUR, count_from=count_from, stopped=(stopped,))

    assert expected is windows.is_sent(T0 + start)


@pytest.mark.parametrize(("at", "counted"), [(9, 1), (10, 0), (19, 0), (20, 1)])
def test_what_was_written_while_stopped_is_not_counted(at: int, counted: int) -> None:
    windows = Windows(HOUR, stopped=((T0 + 10, T0 + 20),))
    fold(windows, seen(at))

    assert counted == len(close(windows, 0).aggregates)


@pytest.mark.parametrize("count_from", [0, None, T0 + HOUR], ids=["on", "local", "quiet"])
def test_nothing_written_while_stopped_is_even_kept_for_the_operator(
    count_from: int | None,
) -> None:
    """Scaled to zero is an opt-out: neither counts nor lines of it stand anywhere."""
    windows = Windows(HOUR, count_from=count_from, stopped=((T0 + 10, T0 + 20),))
    fold(windows, seen(15), lines_at={T0 + 15: 7}, matched_at={T0 + 15: 5})
    windows.count(seen(15), "v1.14.0", now_seconds=NOW)
    unsent = windows.look_unsent(T0, (), bots=(), sinks=())
    said = (close(windows, 0), unsent)

    assert [one.aggregates for one in said] == [(), ()]
    assert [dict(one.collection)[name] for one in said for name in LINES] == [0] * 6


LINES = ("lines_read", "lines_matched", "late_lines")


# --- how many windows may be open ---

FAR = 100 * 365 * 24 * HOUR
PRESENT = NOW - T0


def opened(windows: Windows) -> list[int]:
    return sorted(at - T0 for at in windows.open)


@pytest.mark.parametrize(
    ("ahead", "start"),
    [
        (MAX_AHEAD * HOUR, PRESENT + MAX_AHEAD * HOUR),
        (MAX_AHEAD * HOUR + HOUR - 1, PRESENT + MAX_AHEAD * HOUR),
        ((MAX_AHEAD + 1) * HOUR, PRESENT),
        (FAR, PRESENT),
    ],
)
def test_what_is_stamped_far_ahead_counts_late_in_the_present(ahead: int, start: int) -> None:
    windows, at = Windows(HOUR), PRESENT + ahead
    gap = Gap("rotated", (T0 + at) * NANOS, (T0 + at + 1) * NANOS)
    fold(windows, seen(at), lines_at={T0 + at: 3}, matched_at={T0 + at: 2}, gaps=(gap,))
    (window,) = windows.open.values()

    assert opened(windows) == [start]
    assert (window.lines, window.matched, window.gaps["rotated"]) == (3, 2, 1)
    assert (sum(window.counts.values()), window.late) == (1, start == PRESENT)


def test_lines_of_many_years_open_no_more_windows_than_state_can_hold() -> None:
    windows, years = Windows(HOUR), range(0, -(MAX_OPEN + 50) * HOUR, -HOUR)
    for at in years:
        fold(windows, seen(at), lines_at={T0 + at: 1})
    late = windows.open[NOW]

    assert len(windows.open) == MAX_OPEN + 1
    assert opened(windows)[-2:] == [0, PRESENT]
    assert (late.lines, late.late, sum(late.counts.values())) == (50, 50, 50)
    assert sum(one.lines for one in windows.open.values()) == len(years)
    # What finds its window open still counts there.
    fold(windows, seen(0))
    assert (windows.open[T0].late, sum(windows.open[T0].counts.values())) == (0, 2)


def test_the_present_is_not_before_what_is_closed() -> None:
    windows = Windows(HOUR, closed_until=NOW + 5 * HOUR)  # the clock was set back
    fold(windows, seen(FAR))

    assert opened(windows) == [PRESENT + 5 * HOUR]


def test_what_is_not_kept_is_not_bounded() -> None:
    windows = Windows(HOUR, is_bounded=False)
    fold(windows, *(seen(at * HOUR) for at in range(MAX_OPEN + 5)), seen(FAR))

    assert len(windows.open) == MAX_OPEN + 6


# --- gaps ---


def check_gap(gap: tuple[float, float], expected: dict[int, int], *, closed: int = 0) -> None:
    """Compare the seconds of a gap in each window, by the window's hour."""
    windows = Windows(HOUR, closed_until=T0 + closed)
    start, end = (int((T0 + at) * NANOS) for at in gap)
    windows.add_gap(Gap("rotated", start, end), now_seconds=NOW)

    found = {(at - T0) // HOUR: one.gaps["rotated"] for at, one in windows.open.items()}
    assert expected == found


@pytest.mark.parametrize(
    ("gap", "expected", "closed"),
    [
        pytest.param((10, 70), {0: 60}, 0, id="within"),
        pytest.param((10, 10), {0: 1}, 0, id="an-instant-is-a-second"),
        pytest.param((10.2, 10.9), {0: 1}, 0, id="less-than-a-second"),
        pytest.param((HOUR - 10, HOUR + 20), {0: 10, 1: 20}, 0, id="two-windows"),
        pytest.param((HOUR - 10, HOUR + 0.7), {0: 10, 1: 1}, 0, id="a-begun-second"),
        pytest.param((0, 3 * HOUR), {0: HOUR, 1: HOUR, 2: HOUR}, 0, id="whole-windows"),
        pytest.param((10, HOUR + 20), {1: 20}, HOUR, id="partly-closed"),
        pytest.param((10, 20), {1: 1}, HOUR, id="closed"),
        pytest.param((20, 10), {0: 1}, 0, id="backwards"),
    ],
)
def test_a_gap_spreads_over_the_windows_it_crosses(
    gap: tuple[float, float], expected: dict[int, int], closed: int
) -> None:
    check_gap(gap, expected, closed=closed)


@given(
    st.integers(0, 10 * HOUR),
    st.integers(0, 10 * HOUR),
    st.integers(10 * HOUR // MAX_GAP_WINDOWS, HOUR),
)
def test_a_gap_loses_no_second(start: int, length: int, seconds: int) -> None:
    windows = Windows(seconds)
    windows.add_gap(
        Gap("rotated", (T0 + start) * NANOS, (T0 + start + length) * NANOS), now_seconds=NOW
    )

    assert max(length, 1) == sum(one.gaps["rotated"] for one in windows.open.values())


def test_a_gap_over_too_many_windows_is_said_by_the_first_and_the_last() -> None:
    """The first was open then: without it, it would be the only one that says that all was read."""
    windows = Windows(HOUR)
    start, end = T0 + HOUR // 2, T0 + 5000 * HOUR + 60
    windows.add_gap(Gap("stopped", start * NANOS, end * NANOS), now_seconds=end)

    assert len(windows.open) <= MAX_GAP_WINDOWS
    assert windows.open[T0].gaps["stopped"] == HOUR // 2
    last = [5000 - at for at in range(MAX_GAP_WINDOWS - 2)]
    assert {(at - T0) // HOUR for at in windows.open} - {0} >= set(last)
    assert windows.open[T0 + 5000 * HOUR].gaps["stopped"] == 60


def test_a_gap_is_rounded_up_to_minutes() -> None:
    windows = Windows(HOUR)
    for reason, seconds in (("rotated", 1), ("stopped", 60), ("unreadable", 61)):
        windows.add_gap(Gap(reason, T0 * NANOS, (T0 + seconds) * NANOS), now_seconds=NOW)
    found = collection(windows, 0)

    assert tuple(
        found[f"gap_seconds_{reason}"] for reason in ("rotated", "stopped", "unreadable")
    ) == (60, 60, 120)


# --- what instances say ---


def instance(*facts: tuple[str, str], version: str = "v1.14.0") -> Instance:
    found = Instance(version)
    found.learn(Released(facts=tuple(Fact(name, value) for name, value in facts)))
    return found


START = ("started", "true")
DEBUG = ("level", "debug")
SLACK = ("enabled_bot", "slack")
SINK = ("enabled_sink", "pagerDuty")


@pytest.mark.parametrize(
    ("instances", "expected"),
    [
        pytest.param([], {}, id="no-instance"),
        pytest.param([instance()], {}, id="start-not-seen"),
        pytest.param([instance(START)], {"slack": False, "socket_slack": False}, id="started"),
        pytest.param([instance(SLACK)], {"slack": True}, id="seen-without-start"),
        pytest.param(
            [instance(START, SLACK)], {"slack": True, "socket_slack": False}, id="enabled"
        ),
        pytest.param([instance(START), instance()], {}, id="false-only-if-all-are"),
        pytest.param([instance(START), instance(SLACK)], {"slack": True}, id="true-if-any-is"),
        pytest.param(
            [instance(START), instance(START)],
            {"slack": False, "socket_slack": False},
            id="all-are",
        ),
        pytest.param([instance(SINK)], {"pager_duty": True}, id="sink"),
        pytest.param(
            [instance(START, SINK), instance(START)],
            {"slack": False, "socket_slack": False, "pager_duty": True},
            id="a-sink-is-never-false",
        ),
    ],
)
def test_enabled_integrations(instances: list[Instance], expected: dict[str, bool]) -> None:
    found = collection(Windows(HOUR), 0, *instances)

    assert expected == {
        name.removesuffix("_enabled"): value for name, value in found.items() if "_enabled" in name
    }


@pytest.mark.parametrize(
    ("instances", "expected"),
    [
        pytest.param([], None, id="no-instance"),
        pytest.param([instance()], None, id="unknown"),
        pytest.param([instance(START)], False, id="info"),
        pytest.param([instance(DEBUG)], True, id="debug"),
        pytest.param([instance(DEBUG, START)], True, id="debug-after-start"),
        pytest.param([instance(DEBUG), instance(START)], False, id="one-of-two"),
        pytest.param([instance(DEBUG), instance()], None, id="one-unknown"),
    ],
)
def test_commands_and_events_are_observable_at_debug_only(
    instances: list[Instance], expected: bool | None
) -> None:
    found = collection(Windows(HOUR), 0, *instances)

    assert (expected, expected) == (
        found.get("commands_observable"),
        found.get("events_observable"),
    )


@pytest.mark.parametrize(
    ("facts", "level", "known"),
    [
        ((), "unknown", set()),
        ((DEBUG,), "debug", {"level=debug"}),
        ((START,), "info", {"started=true"}),
        ((("kind", "oom"), ("kind", "panic")), "unknown", {"kind=panic"}),
        ((SLACK, SINK), "unknown", {"slack", "pagerDuty"}),
        ((("mode", "a"), ("mode", "b")), "unknown", {"mode=b"}),
    ],
)
def test_facts_are_learned(facts: tuple[tuple[str, str], ...], level: str, known: set[str]) -> None:
    found = instance(*facts)

    assert (level, known) == (found.level, set(found.known))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Event handled", "event_handled"),
        ("Application crashed", "application_crashed"),
        ("pagerDuty", "pager_duty"),
        ("slack", "slack"),
        ("cloudTeams", "cloud_teams"),
    ],
)
def test_names_become_property_names(name: str, expected: str) -> None:
    assert expected == snake(name)
