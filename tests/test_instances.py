"""How container instances end and are forgotten: what was not read is a gap, each end one crash."""

from __future__ import annotations

from collections import Counter

import pytest

from agent import instances
from agent.aggregate import Instance, SeriesKey, Windows
from agent.counting import Counting
from agent.instances import LEFT_SECONDS, MAX_INSTANCES
from agent.model import CRASHED, NANOS, Container, Cursor, Gap
from agent.state.document import Document
from tests.test_counting import NOW, counts


def test_a_version_that_becomes_known_is_written_at_once() -> None:
    container = Container("botkube", "botkube-x", "uid", "botkube", "containerd://1")
    counting = counts(Document(b"", "", Windows(3600)))
    instances.instance_of(counting, container, "other")
    before = counting.is_dirty, counting.is_urgent
    instances.instance_of(counting, container, "v1.14.0")

    assert before == (False, False)
    assert (counting.is_dirty, counting.is_urgent) == (True, True)


def test_instances_that_have_ended_are_bounded() -> None:
    """A crash loop of many containers cannot fill State before its window ends."""
    document = Document(b"", "", Windows(3600, closed_until=NOW))
    keys = [f"uid/{number}" for number in range(MAX_INSTANCES + 5)]
    document.instances = {key: Instance(ended_seconds=NOW) for key in keys}
    counting = counts(document)
    instances.forget(counting, keys, [], now_seconds=NOW)

    assert list(document.instances) == keys[5:]
    assert not counting.gap_seconds


def forgotten(
    cursor: Cursor | None, *, ended: int | None = None, left: int | None = None
) -> Counting:
    """Return what counts after an instance that no status names any more was forgotten."""
    key, other = "uid/containerd://1", "uid/containerd://2"
    document = Document(b"", "", Windows(3600, closed_until=NOW - 3600))
    document.instances = {key: Instance(ended_seconds=ended), other: Instance()}
    document.cursors = {other: Cursor(total=1)} | ({key: cursor} if cursor is not None else {})
    document.restarts = {"uid/botkube": (1, key, 0), "uid/other": (0, other, 0)}
    document.left = {"uid": left} if left is not None else {}
    counting = counts(document)
    instances.forget(counting, [key], ["uid/botkube"], now_seconds=NOW)

    assert (list(document.cursors), list(document.instances)) == ([other], [other])
    assert list(document.restarts) == ["uid/other"]
    assert counting.is_dirty
    return counting


AT = (NOW - 100) * NANOS


@pytest.mark.parametrize(
    ("cursor", "left", "gap"),
    [
        pytest.param(Cursor(total=1, last_ns=AT), None, (AT, NOW * NANOS), id="read"),
        pytest.param(Cursor(), None, (NOW * NANOS, NOW * NANOS), id="nothing-read"),
        pytest.param(None, None, (NOW * NANOS, NOW * NANOS), id="never-opened"),
        pytest.param(
            Cursor(total=1, last_ns=2 * NOW * NANOS),
            None,
            (NOW * NANOS, NOW * NANOS),
            id="stamped-ahead",
        ),
        pytest.param(
            Cursor(total=1, last_ns=AT), NOW - 50, (AT, (NOW - 50) * NANOS), id="left-before"
        ),
    ],
)
def test_what_was_not_read_of_a_forgotten_instance_is_a_gap(
    cursor: Cursor | None, left: int | None, gap: tuple[int, int]
) -> None:
    counting = forgotten(cursor, left=left)

    assert [*counting.gaps] == [Gap("pod_gone", *gap)]


def test_at_a_first_start_what_was_never_read_is_a_gap_from_the_first_window_on() -> None:
    """Before that there was no agent."""
    document = Document(b"", "", Windows(3600))
    document.instances = {"uid/1": Instance(began_seconds=NOW - 5 * 3600)}
    counting = counts(document)
    instances.forget(counting, ["uid/1"], [], now_seconds=NOW + 100)

    assert NOW % 3600 == 0
    assert [*counting.gaps] == [Gap("pod_gone", NOW * NANOS, (NOW + 100) * NANOS)]


def test_an_instance_that_was_read_to_its_end_is_forgotten_without_a_gap() -> None:
    assert not forgotten(None, ended=NOW - 3601).gaps


def test_an_instance_whose_window_is_open_is_kept() -> None:
    """Its crash would count a second time if its pod came back."""
    document = Document(b"", "", Windows(3600, closed_until=NOW - 3600))
    document.instances = {"uid/1": Instance(ended_seconds=NOW - 3600)}
    counting = counts(document)
    instances.forget(counting, ["uid/1"], [], now_seconds=NOW)

    assert list(document.instances) == ["uid/1"]
    assert not counting.is_dirty


@pytest.mark.parametrize(
    ("after", "may"), [(0, True), (LEFT_SECONDS - 1, True), (LEFT_SECONDS, False)]
)
def test_a_pod_that_left_may_return_for_a_day(after: int, *, may: bool) -> None:
    counting = counts(Document(b"", "", Windows(3600)))
    instances.note_left(counting, "uid", now_seconds=NOW)
    is_kept = instances.may_return(counting, "uid", now_seconds=NOW + after)
    instances.forget(counting, [], [], now_seconds=NOW + after)

    assert (is_kept, "uid" in counting.document.left) == (may, may)
    assert not instances.may_return(counting, "another", now_seconds=NOW)


def test_only_with_the_last_of_the_lines_the_facts_of_the_present_go_to_another_instance() -> None:
    """To one of the middle goes what ended it, and nothing else: the rest is the newest's.

    The first instance's lines hold two more: the second ended with a panic, the third is alive.
    """
    first = Instance(
        debug=True,
        bots={"slack"},
        kinds_before=(None, "nil_pointer"),
        counted_by=1,
        began_seconds=NOW,
    )
    known = {"pod/1": first, "pod/2": Instance(), "pod/3": Instance(began_seconds=NOW + 9)}
    document = Document(b"", "", Windows(3600), instances=known)
    counting = counts(document)
    instances.take_over(counting, "pod/1", "pod/2", 1)

    assert document.instances["pod/2"] == Instance(kind="nil_pointer")
    assert document.instances["pod/1"] == Instance(
        debug=True, bots={"slack"}, kinds_before=(None,), counted_by=1, began_seconds=NOW
    )

    instances.take_over(counting, "pod/1", "pod/3", 1)

    assert document.instances["pod/3"] == Instance(
        debug=True, bots={"slack"}, began_seconds=NOW + 9
    )
    assert document.instances["pod/1"] == Instance(counted_by=1, began_seconds=NOW)


SEEN = NOW - 100


def passed_by(
    *, noted: str = "uid/2", there: tuple[str, ...] = ("uid",), stop: int = 0, first: Instance
) -> Counting:
    """Return what counts after the first of two instances is forgotten, read until `SEEN`."""
    document = Document(b"", "", Windows(3600, closed_until=NOW - 3600))
    document.instances = {"uid/1": first, "uid/2": Instance()}
    document.cursors = {"uid/1": Cursor(total=1, last_ns=SEEN * NANOS)}
    document.restarts = {"uid/botkube": (2, noted, NOW)}
    document.windows.stop(stop - 5, stop)
    counting = counts(document)
    instances.forget(counting, ["uid/1"], [], there=there, now_seconds=NOW)

    assert list(document.instances) == ["uid/2"]
    return counting


def test_an_instance_that_others_have_passed_by_unread_has_crashed() -> None:
    """The restart count was noted when its end was to be told still."""
    counting = passed_by(first=Instance(kind="oom"))
    counted = Counter[SeriesKey]()
    for window in counting.document.windows.open.values():
        counted += window.counts

    assert counted == {(CRASHED, "other", (("kind", "oom"),)): 1}
    assert [*counting.gaps] == [Gap("restarted", SEEN * NANOS, NOW * NANOS)]


@pytest.mark.parametrize(
    ("noted", "there", "stop", "first", "reason"),
    [
        pytest.param("uid/1", ("uid",), 0, Instance(), "restarted", id="still-the-latest"),
        pytest.param("uid/2", (), 0, Instance(), "pod_gone", id="pod-gone"),
        pytest.param("uid/2", ("uid",), SEEN + 1, Instance(), "restarted", id="switched-off"),
        pytest.param("uid/2", ("uid",), 0, Instance(counted_by=1), "restarted", id="counted"),
    ],
)
def test_of_another_that_is_forgotten_unread_no_crash_is_known(
    noted: str, there: tuple[str, ...], stop: int, first: Instance, reason: str
) -> None:
    counting = passed_by(noted=noted, there=there, stop=stop, first=first)

    assert not counting.observed
    assert [*counting.gaps] == [Gap(reason, SEEN * NANOS, NOW * NANOS)]


def test_an_end_that_is_told_after_the_restart_count_is_the_same_crash() -> None:
    document = Document(b"", "", Windows(3600), instances={"uid/1": Instance()})
    document.restarts = {"uid/botkube": (0, "uid/1", SEEN)}
    counting = counts(document)
    instances.count_restarts(
        counting, "uid/botkube", 2, current="uid/3", last_ended="uid/2", now_seconds=NOW
    )
    instances.end_instance(
        counting,
        "uid/1",
        exit_code=2,
        reason="Error",
        finished_seconds=NOW - 1,
        is_deleting=False,
        now_seconds=NOW,
    )

    assert counting.observed == Counter({CRASHED: 1})


def test_a_status_that_names_no_instance_is_not_of_another_one() -> None:
    """As that of an evicted pod."""
    document = Document(b"", "", Windows(3600), restarts={"uid/botkube": (0, "uid/1", SEEN)})
    counting = counts(document)
    instances.count_restarts(counting, "uid/botkube", 0, current="", last_ended="", now_seconds=NOW)

    assert document.restarts == {"uid/botkube": (0, "uid/1", NOW)}


def test_one_that_was_lost_before_a_status_named_it_is_not_the_one_that_ended_before() -> None:
    """The first has crashed, and its end is told; the next is lost, and then replaced."""
    restarts = {"uid/botkube": (0, "uid/1", SEEN)}
    document = Document(b"", "", Windows(3600), instances={"uid/1": Instance()}, restarts=restarts)
    counting, container = counts(document), "uid/botkube"
    instances.count_restarts(
        counting, container, 1, current="", last_ended="uid/1", now_seconds=NOW
    )
    assert (document.restarts, bool(counting.observed)) == ({container: (1, "", NOW)}, False)
    instances.count_restarts(
        counting, container, 2, current="uid/3", last_ended="", now_seconds=NOW + 5
    )

    assert counting.observed == Counter({CRASHED: 1})
    assert [*counting.gaps] == [Gap("restarted", NOW * NANOS, (NOW + 5) * NANOS)]


def jumped(restarts: int, *, last_ended: str, current: str, ended: tuple[str, ...]) -> Counting:
    """Return what counts after a restart count of a container whose first instance was noted."""
    document = Document(b"", "", Windows(3600), instances={"uid/1": Instance()})
    document.restarts = {"uid/botkube": (0, "uid/1", SEEN)}
    counting = counts(document)
    instances.count_restarts(
        counting,
        "uid/botkube",
        restarts,
        current=current,
        last_ended=last_ended,
        ended=ended,
        now_seconds=NOW,
    )
    return counting


def test_many_instances_that_a_jump_skipped_are_one_gap_from_the_count_before_to_now() -> None:
    counting = jumped(500, last_ended="uid/499", current="uid/500", ended=())

    assert counting.observed == Counter({CRASHED: 499})
    assert [*counting.gaps] == [Gap("restarted", SEEN * NANOS, NOW * NANOS)]


def test_an_end_that_was_told_and_is_still_to_be_read_was_not_skipped() -> None:
    counting = jumped(2, last_ended="uid/2", current="uid/3", ended=("uid/1",))

    assert not counting.observed
    assert not counting.gaps


@pytest.mark.parametrize("current", ["uid/1", ""])
def test_a_container_that_its_runtime_has_lost_has_crashed_and_is_read_on(current: str) -> None:
    """The kubelet counts a restart, and names no id of what has ended."""
    counting = jumped(1, last_ended="", current=current, ended=())

    assert counting.observed == Counter({CRASHED: 1})
    assert not counting.gaps


LOST = ("", "")
FOUND = ("uid/1", "")


@pytest.mark.parametrize(
    ("pictures", "kinds"),
    [
        pytest.param([(1, LOST), (2, ("uid/3", "uid/2"))], {"oom": 1}, id="next-ended"),
        pytest.param(
            [(1, LOST), (3, ("uid/4", "uid/3"))], {"oom": 1, "unseen": 1}, id="next-but-one-ended"
        ),
        pytest.param([(1, LOST), (2, LOST)], {"oom": 1, "unseen": 1}, id="next-lost"),
        pytest.param(
            [(1, LOST), (2, ("uid/3", "uid/1"))],
            {"oom": 1, "unseen": 1},
            id="found-and-ended-unseen-and-the-next-lost",
        ),
        pytest.param([(1, LOST), (0, FOUND), (1, LOST)], {"oom": 1}, id="lost-twice"),
        pytest.param(
            [(1, LOST), (0, FOUND), (1, ("uid/2", "uid/1"))], {"oom": 1}, id="found-and-ended"
        ),
        pytest.param(
            [(1, LOST), (0, FOUND), (2, ("uid/3", "uid/2"))],
            {"oom": 1},
            id="found-and-ended-unseen",
        ),
        pytest.param(
            [(1, LOST), (0, FOUND), (3, ("uid/4", "uid/3"))],
            {"oom": 1, "unseen": 1},
            id="found-and-ended-with-the-next",
        ),
    ],
)
def test_a_lost_container_has_crashed_once_and_hides_no_crash_of_another(
    pictures: list[tuple[int, tuple[str, str]]], kinds: dict[str, int]
) -> None:
    """The first instance said why it ends; whatever is last ended has a status of its own."""
    document = Document(b"", "", Windows(3600), instances={"uid/1": Instance(kind="oom")})
    document.restarts = {"uid/botkube": (0, "uid/1", SEEN)}
    counting = counts(document)
    for number, (restarts, (current, last)) in enumerate(pictures):
        instances.count_restarts(
            counting,
            "uid/botkube",
            restarts,
            current=current,
            last_ended=last,
            now_seconds=NOW + number,
        )

    counted = Counter[SeriesKey]()
    for window in document.windows.open.values():
        counted += window.counts
    assert {dict(key[2])["kind"]: count for key, count in counted.items()} == kinds


def test_what_is_lost_of_an_instance_that_was_given_up_is_reported_from_then_on() -> None:
    """What was before is reported already; its runtime might have found it again."""
    counting = passed_by(first=Instance(ended_seconds=NOW - 10, counted_by=1))

    assert [*counting.gaps] == [Gap("restarted", (NOW - 10) * NANOS, NOW * NANOS)]
