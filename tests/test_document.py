"""The State document: what is saved is loaded, and nothing else is taken for one."""

from __future__ import annotations

import gzip
import string
from collections import Counter
from hashlib import blake2b
from pathlib import Path

import attrs
import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from agent.aggregate import Instance, Window, Windows
from agent.model import Batch, Cursor
from agent.state.document import (
    FORMAT_VERSION,
    MAX_KEY_BYTES,
    MAX_NS,
    MAX_NUMBER,
    MAX_SECOND,
    OLD_PLACE,
    Document,
    DocumentError,
    decode,
    encode,
    put_batch,
)

GOLDEN = Path(__file__).parent / "golden"
BODY = gzip.compress(b"[]", mtime=0)

word = st.text(string.ascii_letters + string.digits + "/.-_ ", max_size=12)
number = st.integers(0, (1 << 53) - 1)
second = st.integers(0, (1 << 34) - 1)
value = st.one_of(word, st.integers(-9, 1 << 40), st.booleans())
series = st.tuples(
    word, word, st.dictionaries(word, value, max_size=3).map(lambda one: tuple(sorted(one.items())))
)
counters = st.dictionaries(series, st.integers(1, 1 << 40), max_size=3).map(Counter)
windows = st.builds(
    Window,
    counters,
    counters,
    number,
    number,
    number,
    number,
    st.dictionaries(word, number, max_size=3).map(Counter),
)
cursors = st.builds(
    Cursor,
    second,
    number,
    st.binary(max_size=8),
    st.lists(st.binary(min_size=8, max_size=8), max_size=64).map(tuple),
    number,
    st.integers(0, (1 << 63) - 1),
)
instances = st.builds(
    Instance,
    word,
    st.booleans(),
    st.booleans(),
    st.none() | word,
    st.sets(word, max_size=3),
    st.sets(word, max_size=3),
    st.none() | second,
    st.sets(word, max_size=3),
    st.lists(st.none() | word, max_size=3).map(tuple),
    st.none() | number,
    st.none() | second,
)
bodies = st.binary(max_size=50).map(gzip.compress)
batches = st.builds(Batch, number, number, bodies, number, second, st.booleans())
documents = st.builds(
    Document,
    key=st.binary(max_size=64),
    stream=word,
    windows=st.builds(
        Windows,
        st.integers(1, 86_400),
        second,
        st.none() | second,
        st.lists(st.tuples(second, st.integers(1, (1 << 34) - 1)), max_size=3).map(tuple),
        st.dictionaries(second, windows, max_size=3),
    ),
    epoch=word,
    nonce=word,
    commits=number,
    seq=number,
    totals=st.dictionaries(word, number, max_size=3).map(Counter),
    cursors=st.dictionaries(word, cursors, max_size=3),
    breaks=st.dictionaries(word, st.tuples(cursors, cursors), max_size=3),
    instances=st.dictionaries(word, instances, max_size=3),
    outbox=st.lists(batches, max_size=3),
    parked=number,
    restarts=st.dictionaries(word, st.tuples(number, word, second), max_size=3),
    identified_seconds=second,
    identified_digest=word,
    learned_seconds=second,
    kubernetes=word,
    rules_digest=word,
    sends=st.none() | st.booleans(),
    stopped_seconds=st.none() | second,
    not_before=st.none() | second,
    off_noted=st.none() | second,
    blind=st.none() | st.tuples(second, second),
    saved_seconds=second,
)


@given(documents)
def test_what_is_saved_is_loaded(document: Document) -> None:
    assert document == decode(encode(document))


@given(documents)
def test_equal_documents_are_equal_bytes(document: Document) -> None:
    data = encode(document)

    assert data == encode(decode(data))


def small() -> Document:
    """Return the document of golden/state-v1.json."""
    key = ("Event handled", "v1.14.0", (("count_floor", True), ("platform", "slack")))
    return Document(
        key=b"0123456789abcdef",
        stream="5f0c1ad6-3b0e-4d0e-8f7b-0a8b7a1c2d3e",
        windows=Windows(
            3600,
            1_767_268_800,
            1_767_265_200,
            ((1, 2),),
            {
                1_767_268_800: Window(
                    Counter({key: 7}),
                    Counter({key: 1}),
                    100,
                    8,
                    1,
                    2,
                    Counter({"rotated": 5}),
                )
            },
        ),
        epoch="e",
        nonce="n",
        commits=3,
        seq=2,
        totals=Counter({"Event handled": 9}),
        cursors={
            "uid/id": Cursor(1_767_268_900, 3, b"chain678", (b"hash0001", b"hash0002"), 30, 5)
        },
        instances={
            "uid/id": Instance(
                "v1.14.0",
                debug=True,
                started=True,
                kind="panic",
                bots={"slack"},
                sinks={"webhook"},
                ended_seconds=None,
                marks={"mode=a"},
            )
        },
        outbox=[Batch(1, 0, BODY, 4, 1_767_268_801, attempted=True)],
        parked=1,
        restarts={"uid/botkube": (2, "uid/id", 0)},
        identified_seconds=1_767_268_800,
        identified_digest="d",
        rules_digest="r",
        sends=True,
        stopped_seconds=1_767_269_000,
        saved_seconds=1_767_269_001,
    )


def test_the_first_format_is_read() -> None:
    """Whether its batches were attempted is not known; it knew no destination but Segment."""
    expected = small()
    expected.outbox = [attrs.evolve(one, place=OLD_PLACE) for one in expected.outbox]

    assert expected == decode((GOLDEN / "state-v1.json").read_bytes())


def test_the_golden_document_is_of_the_format_it_names() -> None:
    names = sorted(path.name for path in GOLDEN.glob("state-v*.json"))

    assert [f"state-v{version}.json" for version in range(1, FORMAT_VERSION + 1)] == names
    for version, name in enumerate(names, 1):
        assert version == orjson.loads((GOLDEN / name).read_bytes())["version"]


def as_json(document: Document) -> bytes:
    """Return what is written, before it is compressed."""
    return gzip.decompress(encode(document))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff",
        b"null",
        b"7",
        b'"text"',
        b"[]",
        b"{}",
        b'{"version":null}',
        b'{"version":"1"}',
        b'{"version":0}',
        b'{"version":1}',
        b'{"version":2}',
        as_json(small())[:-1],
        encode(small())[:-1],
        as_json(small()) + b"{}",
        b"[" * 10_000,
    ],
)
def test_garbage_is_no_document(data: bytes) -> None:
    with pytest.raises(DocumentError):
        decode(data)


def test_an_error_holds_nothing_of_the_document() -> None:
    with pytest.raises(DocumentError) as raised:
        decode(b'{"version":1,"key":"c2VjcmV0","stream":["secret"]}')

    assert "secret" not in str(raised.value)


junk = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats(allow_nan=False) | word,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(word, inner, max_size=3),
    max_leaves=5,
)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """Return a document with one value at any depth replaced or removed."""
    top = orjson.loads(as_json(small()))
    node = top
    while True:
        keys = list(node) if isinstance(node, dict) else list(range(len(node)))
        key = draw(st.sampled_from(keys))
        if isinstance(node[key], dict | list) and node[key] and draw(st.booleans()):
            node = node[key]
            continue
        if draw(st.booleans()):
            del node[key]
        else:
            node[key] = draw(junk)
        return orjson.dumps(top)


@given(damaged() | st.binary(max_size=40))
@example(orjson.dumps({**orjson.loads(as_json(small())), "count_from": "x", "commits": 1e300}))
def test_a_damaged_document_is_an_error_or_can_be_saved(data: bytes) -> None:
    try:
        document = decode(data)
    except DocumentError:
        return

    assert document == decode(encode(document))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("stopped_seconds",), "x"),
        (("windows", "count_from"), "x"),
        (("windows", "open", 0, "lines"), "x"),
        (("windows", "open", 0, "counts", 0, 3), "x"),
        (("windows", "open", 0, "counts", 0, 0), 7),
        (("windows", "open", 0, "gaps"), {"rotated": "x"}),
        (("windows", "seconds"), 0),
        (("windows", "stopped"), [1]),
        (("windows", "stopped"), [["x", 2]]),
        (("cursors", "uid/id", 0), "x"),
        (("cursors", "uid/id", 5), None),
        (("cursors", "uid/id", 3), "AAAA"),
        (("instances", "uid/id", "debug"), "x"),
        (("instances", "uid/id", "version"), None),
        (("instances", "uid/id", "bots"), "slack"),
        (("outbox", 0, 0), "x"),
        (("outbox", 0, 5), 1),
        (("outbox", 0, 2), "AAAA"),
        (("cursors", "uid/id", 0), 10**13),
        (("key",), "A" * 88),
        (("totals",), ["Event handled"]),
        (("totals",), {"Event handled": "x"}),
        (("stream",), None),
        (("stream",), ["x"]),
        (("key",), "!"),
        (("commits",), 1e300),
        (("commits",), True),
        (("version",), True),
        (("version",), 1.0),
        (("seq",), -1),
        (("seq",), 10**16),
        (("commits",), -1),
        (("parked",), -1),
        (("identified_seconds",), 10**15),
        (("stopped_seconds",), -1),
        (("saved_seconds",), 10**15),
        (("windows", "seconds"), 86_401),
        (("windows", "closed_until"), -1),
        (("windows", "closed_until"), 10**15),
        (("windows", "count_from"), -1),
        (("windows", "count_from"), 10**15),
        (("windows", "stopped"), [0, 10**15]),
        (("windows", "open", 0, "start"), -3600),
        (("windows", "open", 0, "start"), 10**15),
        (("windows", "open", 0, "counts", 0, 3), -1),
        (("windows", "open", 0, "gaps"), {"rotated": -1}),
        (("cursors", "uid/id", 5), -1),
        (("instances", "uid/id", "ended_seconds"), 10**15),
        (("instances", "uid/id", "counted_by"), -1),
        (("outbox", 0, 4), 10**15),
        (("restarts", "uid/botkube"), [-1, "uid/id"]),
        (("restarts_noted", "uid/botkube"), -1),
        (("totals",), {"Event handled": -1}),
        (("version",), 0),
        (("commits",), MAX_NUMBER),
        (("saved_seconds",), MAX_SECOND),
        (("cursors", "uid/id", 5), MAX_NS),
    ],
)
def test_a_value_of_another_type_or_of_no_sense_is_an_error(
    path: tuple[str | int, ...], value: object
) -> None:
    top = orjson.loads(as_json(small()))
    node = top
    for key in path[:-1]:
        node = node[key]
    node[path[-1]] = value

    with pytest.raises(DocumentError):
        decode(orjson.dumps(top))


def test_the_first_documents_had_room_for_one_stop() -> None:
    top = orjson.loads(as_json(small()))
    read = []
    for stop in ([0, 0], [1, 2]):
        top["windows"]["stopped"] = stop
        read.append(decode(orjson.dumps(top)).windows.stopped)

    assert read == [(), ((1, 2),)]


def test_a_key_may_be_as_long_as_a_keyed_hash_takes() -> None:
    document = small()
    document.key = bytes(MAX_KEY_BYTES)
    assert decode(encode(document)).key == document.key == bytes(blake2b.MAX_KEY_SIZE)

    document.key = bytes(MAX_KEY_BYTES + 1)
    with pytest.raises(DocumentError):
        decode(encode(document))


def test_a_batch_is_marked_as_attempted() -> None:
    document = small()
    first, second = (Batch(1, part, b"x", 1, 1) for part in range(2))
    document.outbox = [first, second]
    put_batch(document, attrs.evolve(second, attempted=True))

    assert [one.attempted for one in document.outbox] == [False, True]


def test_the_outbox_knows_its_size() -> None:
    assert small().outbox_bytes == len(BODY)
