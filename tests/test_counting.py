"""How much State may hold: what is bounded, and what gives way to what."""

from __future__ import annotations

import random
import uuid
from collections import Counter
from itertools import product

import pytest

from agent.aggregate import MAX_OPEN, Instance, Window, Windows
from agent.containers import MAX_FOLLOWS
from agent.counting import Counting
from agent.model import MAX_BREAKS, Batch, Cursor, Identity
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
                "v1.14.0",
                debug=True,
                started=True,
                bots={"slack"},
                sinks={"webhook"},
                began_seconds=NOW + rng.randrange(3600),
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
