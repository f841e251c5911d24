"""How much State may hold: what is bounded, and what gives way to what."""

from __future__ import annotations

import random
import uuid
from collections import Counter
from itertools import product

import pytest

from agent.aggregate import MAX_OPEN, Instance, Window, Windows
from agent.containers import MAX_FOLLOWS
from agent.counting import LEFT_SECONDS, MAX_INSTANCES, Counting
from agent.model import MAX_BREAKS, NANOS, Batch, Cursor, Gap, Identity
from agent.resume import hashes_kept, keep_breaks
from agent.sink.batch import MAX_BODY_BYTES
from agent.state.configmap import MAX_OBJECT_BYTES
from agent.state.document import Document, encode
from tests.faults.words import WORDS, word_rules

NOW = 1_800_000_000


def counts(document: Document) -> Counting:
    identity = Identity(str(uuid.UUID(int=1)))
    return Counting(document, word_rules(), identity, "test", sends=True)


def fill_containers(document: Document, rng: random.Random, containers: int, ended: int) -> None:
    """Put so many containers into a document, each restarted so often."""
    hashes = hashes_kept(containers, containers * ended)
    for number in range(containers):
        uid = uuid.UUID(int=rng.getrandbits(128))
        ids = [f"{uid}/containerd://{rng.randbytes(32).hex()}" for _ in range(ended + 1)]
        for key in ids:
            document.instances[key] = Instance(
                "v1.14.0", debug=True, started=True, bots={"slack"}, sinks={"webhook"}
            )
        *dead, key = ids
        for one in dead:
            document.instances[one].kind = "nil_pointer"
            document.instances[one].ended_seconds = NOW + rng.randrange(3600)
        kept = tuple(rng.randbytes(8) for _ in range(hashes))
        last_ns = (NOW + number) * 10**9 + rng.randrange(10**9)
        at = NOW + number
        document.cursors[key] = Cursor(at, hashes, rng.randbytes(8), kept, 10**6, last_ns)
        document.restarts[f"{uid}/botkube"] = (ended, key, NOW)
        document.breaks[key] = (document.cursors[key],) * MAX_BREAKS
    document.breaks = keep_breaks(document.breaks, document.cursors)


def fill_windows(document: Document, rng: random.Random, windows: int) -> None:
    """Open so many windows, each with many series."""
    for number in range(windows):
        series = {
            ("Said", "v1.14.0", (("word", word),)): rng.randrange(1, 1000) for word in WORDS[:40]
        }
        document.windows.open[NOW + number * 3600] = Window(
            Counter(series), lines=rng.randrange(10**6), gaps=Counter(rotated=rng.randrange(3600))
        )


def fill_outbox(counting: Counting, rng: random.Random) -> None:
    """Seal reports until windows wait; the last one is as large as a batch can be."""
    outbox = counting.document.outbox
    counting.rest_bytes = len(encode(counting.document))
    while not counting.is_full:
        outbox.append(Batch(len(outbox), 0, rng.randbytes(1000), 50, NOW))
    outbox[-1] = Batch(len(outbox), 0, rng.randbytes(MAX_BODY_BYTES), 50, NOW)


SIZES = [*product((50, 500, MAX_FOLLOWS), (0, 1, 2)), (250, 11)]


@pytest.mark.parametrize(("containers", "ended"), [(50, 0), (250, 11), (MAX_FOLLOWS, 2)])
def test_a_full_state_fits_into_a_config_map(containers: int, ended: int) -> None:
    rng, document = random.Random(containers), Document(b"", "", Windows(3600))
    fill_containers(document, rng, containers, ended)
    fill_windows(document, rng, MAX_OPEN)
    fill_outbox(counts(document), rng)

    assert len(encode(document)) < MAX_OBJECT_BYTES


@pytest.mark.parametrize(("containers", "ended"), SIZES)
def test_a_state_whose_outbox_is_full_has_room_for_all_containers(
    containers: int, ended: int
) -> None:
    rng, document = random.Random(containers), Document(b"", "", Windows(3600))
    fill_outbox(counts(document), rng)
    fill_containers(document, rng, containers, ended)

    assert len(encode(document)) < MAX_OBJECT_BYTES


def test_an_empty_outbox_lets_reading_go_on_whatever_the_rest_takes() -> None:
    counting = counts(Document(b"", "", Windows(3600)))
    counting.rest_bytes = MAX_OBJECT_BYTES

    assert not counting.is_full


def test_instances_that_have_ended_are_bounded() -> None:
    """A crash loop of many containers cannot fill State before its window ends."""
    document = Document(b"", "", Windows(3600, closed_until=NOW))
    keys = [f"uid/{number}" for number in range(MAX_INSTANCES + 5)]
    document.instances = {key: Instance(ended_seconds=NOW) for key in keys}
    counting = counts(document)
    counting.forget(keys, [], now_seconds=NOW)

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
    counting.forget([key], ["uid/botkube"], now_seconds=NOW)

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


def test_an_instance_that_was_read_to_its_end_is_forgotten_without_a_gap() -> None:
    assert not forgotten(None, ended=NOW - 3601).gaps


def test_an_instance_whose_window_is_open_is_kept() -> None:
    """Its crash would count a second time if its pod came back."""
    document = Document(b"", "", Windows(3600, closed_until=NOW - 3600))
    document.instances = {"uid/1": Instance(ended_seconds=NOW - 3600)}
    counting = counts(document)
    counting.forget(["uid/1"], [], now_seconds=NOW)

    assert list(document.instances) == ["uid/1"]
    assert not counting.is_dirty


@pytest.mark.parametrize(
    ("after", "may"), [(0, True), (LEFT_SECONDS - 1, True), (LEFT_SECONDS, False)]
)
def test_a_pod_that_left_may_return_for_a_day(after: int, *, may: bool) -> None:
    counting = counts(Document(b"", "", Windows(3600)))
    counting.note_left("uid", now_seconds=NOW)
    is_kept = counting.may_return("uid", now_seconds=NOW + after)
    counting.forget([], [], now_seconds=NOW + after)

    assert (is_kept, "uid" in counting.document.left) == (may, may)
    assert not counting.may_return("another", now_seconds=NOW)


def test_the_first_window_is_the_one_in_which_reading_began() -> None:
    """However late it is known that an empty log is empty: until then it is asked for."""
    hour = 3600
    counting = counts(Document(b"", "", Windows(hour)))
    counting = counts(Document(b"", "", Windows(hour)))
    start, read_until = NOW - NOW % hour, NOW

    counting.close_due(now_seconds=NOW, may_close=lambda _end: False)
    asked = counting.awaited(now_seconds=NOW + hour)
    counting.close_due(now_seconds=NOW + 2 * hour, may_close=lambda end: end <= read_until)

    assert (asked, counting.document.windows.closed_until) == (start, start)
    assert counting.awaited(now_seconds=NOW + 2 * hour) == start + hour


def test_only_with_the_last_of_the_lines_the_facts_of_the_present_go_to_another_instance() -> None:
    """To one of the middle goes what ended it, and nothing else: the rest is the newest's.

    The first instance's lines hold two more: the second ended with a panic, the third is alive.
    """
    first = Instance(debug=True, bots={"slack"}, kinds_before=(None, "nil_pointer"))
    instances = {"pod/1": first, "pod/2": Instance(), "pod/3": Instance()}
    document = Document(b"", "", Windows(3600), instances=instances)
    counting = counts(document)
    counting.take_over("pod/1", "pod/2", 1)

    assert document.instances["pod/2"] == Instance(kind="nil_pointer")
    assert document.instances["pod/1"] == Instance(debug=True, bots={"slack"}, kinds_before=(None,))

    counting.take_over("pod/1", "pod/3", 1)

    assert document.instances["pod/3"] == Instance(debug=True, bots={"slack"})
    assert document.instances["pod/1"] == Instance()
