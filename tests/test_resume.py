"""Trails and proofs against a model kubelet: continuous, rotated, gap, and nothing in between."""

from __future__ import annotations

from itertools import pairwise, product

import pytest
from attrs import define, evolve, field
from hypothesis import example, given
from hypothesis import strategies as st

from agent.model import NANOS, Continuity, Cursor
from agent.resume import (
    BREAK_HASHES,
    MAX_BROKEN,
    MAX_HASHES,
    MAX_TORN,
    MAX_TRAIL_BYTES,
    SLACK_SECONDS,
    Proof,
    Trail,
    hash_line,
    hashes_kept,
    keep_breaks,
)
from tests.strategies import NOON, Kubelet, stamp, stamps

KEY = b"key"
T0 = NOON * NANOS


@define
class Follower:
    """Counts lines: a Cursor from connection to connection, and what it was told of losses."""

    max_bytes: int = MAX_TRAIL_BYTES
    cursor: Cursor = field(factory=Cursor)
    counted: list[bytes] = field(factory=list)
    verdicts: list[Continuity] = field(factory=list)

    def connect(self, kubelet: Kubelet) -> None:
        proof = Proof(KEY, self.cursor)
        trail = Trail(KEY, self.cursor, max_bytes=self.max_bytes)
        fresh = []
        for line in kubelet.reply(self.cursor.since_seconds):
            if proof.verdict is None:
                proof.take(line)
            else:
                fresh.append(line)
        proof.settle()
        assert proof.verdict is not None
        self.verdicts.append(proof.verdict)
        at = {line: at_ns for at_ns, line in kubelet.lines}
        for line in proof.seen:
            trail.restore([line])
        for line in (*proof.fresh, *fresh):
            trail.add([line], last_ns=at[line])
            self.counted.append(line)
        self.cursor = trail.cursor()

    @property
    def lost(self) -> bool:
        return Continuity.GAP in self.verdicts


def check(
    before: list[tuple[int, bytes]],
    after: list[tuple[int, bytes]],
    *,
    dropped: int,
    expected: Continuity,
    counted: int,
    max_bytes: int = MAX_TRAIL_BYTES,
) -> None:
    """Follow a log, append, rotate, follow again: the verdict and how many lines were counted."""
    kubelet, follower = Kubelet(), Follower(max_bytes)
    for at_ns, text in before:
        kubelet.write(at_ns, text)
    follower.connect(kubelet)
    for at_ns, text in after:
        kubelet.write(at_ns, text)
    kubelet.rotate(dropped)
    follower.connect(kubelet)

    assert (Continuity.FRESH, expected) == tuple(follower.verdicts)
    assert counted == len(follower.counted) == follower.cursor.total


def spread(count: int, *, first: int = 0, step: int = NANOS // 10) -> list[tuple[int, bytes]]:
    return [(T0 + n * step, b"line %d" % n) for n in range(first, first + count)]


SAME = [(T0, b"same")]
A, B = (T0, b"a"), (T0, b"b")


@pytest.mark.parametrize(
    ("before", "after", "dropped", "expected", "counted"),
    [
        pytest.param(spread(5), spread(3, first=5), 0, Continuity.CONTINUOUS, 8, id="goes-on"),
        pytest.param(spread(5), [], 0, Continuity.CONTINUOUS, 5, id="nothing-new"),
        pytest.param(spread(200), spread(3, first=200), 0, Continuity.CONTINUOUS, 203, id="long"),
        pytest.param(
            spread(200, step=0),
            spread(3, first=200),
            0,
            Continuity.CONTINUOUS,
            203,
            id="more-than-the-hashes",
        ),
        pytest.param(SAME * 200, SAME * 3, 0, Continuity.CONTINUOUS, 203, id="identical-lines"),
        pytest.param([A, *SAME * 98, A], [B], 0, Continuity.CONTINUOUS, 101, id="first-is-as-last"),
        pytest.param(spread(5), spread(3, first=5), 3, Continuity.ROTATED, 8, id="rotated-within"),
        pytest.param(
            spread(5), spread(3, first=5), 4, Continuity.ROTATED, 8, id="rotated-to-the-last"
        ),
        pytest.param(
            [A, B, A], [(T0, b"c")], 2, Continuity.ROTATED, 4, id="rotated-to-a-line-as-the-first"
        ),
        pytest.param(
            [A, A, B, A, A],
            [(T0, b"c")],
            3,
            Continuity.ROTATED,
            6,
            id="rotated-to-lines-as-the-first",
        ),
        pytest.param(
            spread(200, step=0),
            spread(3, first=200),
            150,
            Continuity.ROTATED,
            203,
            id="long-rotated",
        ),
        pytest.param(
            spread(200, step=0),
            spread(3, first=200),
            100,
            Continuity.ROTATED,
            203,
            id="long-rotated-before-the-hashes",
        ),
        pytest.param(
            spread(200, step=0), [], 100, Continuity.ROTATED, 200, id="long-rotated-nothing-new"
        ),
        pytest.param(
            spread(5), spread(3, first=5), 5, Continuity.GAP, 8, id="rotated-behind-the-last"
        ),
        pytest.param(
            spread(5), spread(3, first=5), 7, Continuity.GAP, 6, id="rotated-past-new-lines"
        ),
        pytest.param(spread(5), spread(3, first=5), 8, Continuity.GAP, 5, id="nothing-is-left"),
        pytest.param(
            spread(200, step=0),
            spread(3, first=200),
            201,
            Continuity.GAP,
            202,
            id="long-rotated-past",
        ),
    ],
)
def test_the_head_of_a_reply_tells_how_it_continues(
    before: list[tuple[int, bytes]],
    after: list[tuple[int, bytes]],
    dropped: int,
    expected: Continuity,
    counted: int,
) -> None:
    check(before, after, dropped=dropped, expected=expected, counted=counted)


@pytest.mark.parametrize("max_bytes", [50, 400, 2000])
def test_a_burst_larger_than_memory_is_continued(max_bytes: int) -> None:
    check(
        spread(300, step=NANOS // 200),
        spread(300, first=300),
        dropped=0,
        expected=Continuity.CONTINUOUS,
        counted=600,
        max_bytes=max_bytes,
    )


def prove(folded: str, head: str) -> list[tuple[Continuity | None, int, int]]:
    """Return, after each line of a head, the verdict, how many lines are seen and how many new."""
    trail = Trail(KEY, Cursor())
    for text in folded:
        trail.add([stamp(T0) + b" " + text.encode()], last_ns=T0)
    proof = Proof(KEY, trail.cursor())
    verdicts = []
    for text in head:
        proof.take(stamp(T0) + b" " + text.encode())
        verdicts.append((proof.verdict, len(proof.seen), len(proof.fresh)))
    return verdicts


UNDECIDED = (None, 0, 0)


def test_another_files_head_is_a_gap_once_no_line_of_it_can_be_the_rest_of_a_torn_one() -> None:
    assert prove("ab", "acd") == [UNDECIDED, UNDECIDED, (Continuity.GAP, 0, 3)]


@pytest.mark.parametrize(
    ("folded", "head", "seen"),
    [
        pytest.param("abcd", "xcd", 3, id="one"),
        pytest.param("abcd", "xycd", 4, id="one-of-each-stream"),
        pytest.param("abcd", "xd", 2, id="before-the-last"),
    ],
)
def test_rests_of_torn_lines_at_a_files_head_are_looked_past(
    folded: str, head: str, seen: int
) -> None:
    # Seeds 2990 and 3472 of tests/faults: a line torn by a rotation was folded whole.
    assert (Continuity.ROTATED, seen, 0) == prove(folded, head)[-1]


@pytest.mark.parametrize("count", [1, 5, MAX_HASHES, MAX_HASHES + 1, 3 * MAX_HASHES])
@pytest.mark.parametrize(
    ("dropped", "cut"), [(0, 1), (0, 4), (0, 150), (2, 4), (150, 160), (190, 192)]
)
def test_a_reply_that_has_not_the_last_of_the_known_lines_broke_off(
    count: int, dropped: int, cut: int
) -> None:
    lines = [b"%s %s" % (stamp(at_ns), text) for at_ns, text in spread(200, step=1)]
    trail, other = Trail(KEY, Cursor()), b"%s other" % stamp(T0 + count + 1)
    trail.add(lines[:count], last_ns=T0 + count - 1)
    part, another = Proof(KEY, trail.cursor()), Proof(KEY, trail.cursor())
    for line in lines[dropped:cut]:
        part.take(line)
    another.take(other)

    assert Proof(KEY, trail.cursor()).is_broken_off
    assert part.is_broken_off is (cut < count)
    assert not another.is_broken_off


def test_another_files_old_lines_are_no_part_of_the_known_ones() -> None:
    trail = Trail(KEY, Cursor())
    known = [b"%s %s" % (stamp(at_ns), text) for at_ns, text in spread(3 * MAX_HASHES, step=1)]
    trail.add(known, last_ns=T0 + len(known) - 1)
    proof, broke_off = Proof(KEY, trail.cursor()), []
    for number in range(3 * MAX_HASHES - 1):
        proof.take(b"%s other %d" % (stamp(T0), number))
        broke_off.append(proof.is_broken_off)

    # So far they may be known ones whose hashes are not kept.
    assert broke_off == [number < 2 * MAX_HASHES for number in range(3 * MAX_HASHES - 1)]


def test_without_folded_lines_everything_is_fresh() -> None:
    assert Continuity.FRESH is Proof(KEY, Cursor()).verdict


def test_since_stays_behind_the_highest_stamp() -> None:
    trail = Trail(KEY, Cursor())
    sinces = []
    for seconds in (0, 10, 8, 11, 30):
        trail.add([b"x"], last_ns=T0 + seconds * NANOS)
        sinces.append(trail.cursor().since_seconds - NOON)

    assert sinces == [-SLACK_SECONDS, 8, 8, 9, 28]


def test_a_cursor_holds_few_hashes_and_no_text() -> None:
    trail = Trail(KEY, Cursor())
    for at_ns, text in spread(500, step=0):
        trail.add([stamp(at_ns) + b" " + text], last_ns=at_ns)
    cursor = trail.cursor()

    assert (cursor.count, len(cursor.hashes), cursor.total) == (500, MAX_HASHES, 500)
    assert {8} == {len(one) for one in (*cursor.hashes, cursor.chain)}


def test_hashes_need_the_key() -> None:
    assert hash_line(b"a", b"line") != hash_line(b"b", b"line")


def test_a_trail_is_bounded() -> None:
    trail = Trail(KEY, Cursor(), max_bytes=1000)
    for at_ns, text in spread(500, step=0):
        trail.add([stamp(at_ns) + b" " + text], last_ns=at_ns)

    assert sum(map(len, trail._lines)) <= 1000


def test_a_burst_is_asked_for_again_without_what_was_long_before_it() -> None:
    trail = Trail(KEY, Cursor(), max_bytes=1000)
    for at_ns, text in [*spread(9), *[(T0 + 60 * NANOS, b"burst %d" % n) for n in range(500)]]:
        trail.add([stamp(at_ns) + b" " + text], last_ns=at_ns)
    cursor = trail.cursor()

    assert (cursor.since_seconds, cursor.count) == (NOON + 60 - SLACK_SECONDS, 500)


@st.composite
def lives(draw: st.DrawFn) -> tuple[list[int], list[tuple[int, int]]]:
    """Stamps of lines, and connections: after how many lines, and how many the file then drops."""
    times = draw(stamps(draw(st.integers(0, 40))))
    places = sorted(draw(st.lists(st.integers(0, len(times)), max_size=6)))
    drops = draw(st.lists(st.integers(0, 12), min_size=len(places), max_size=len(places)))
    return times, list(zip(places, drops, strict=True))


bounds = st.sampled_from([60, 200, 800, MAX_TRAIL_BYTES])


@given(lives(), bounds, st.integers(1, 3))
def test_without_rotation_each_line_is_counted_once(
    life: tuple[list[int], list[tuple[int, int]]], max_bytes: int, variety: int
) -> None:
    times, connections = life
    kubelet, follower = Kubelet(), Follower(max_bytes)
    places = [0, *(place for place, _ in connections), len(times)]
    for begin, end in pairwise(places):
        for number in range(begin, end):
            kubelet.write(times[number], b"line %d" % (number % variety))
        follower.connect(kubelet)

    assert [line for _, line in kubelet.lines] == follower.counted
    assert not follower.lost


@given(lives(), bounds)
@example(([T0, T0 + 1], [(1, 0), (2, 2)]), MAX_TRAIL_BYTES)
def test_every_line_is_counted_once_or_a_gap_is_reported(
    life: tuple[list[int], list[tuple[int, int]]], max_bytes: int
) -> None:
    # Here lines differ: of equal lines with equal stamps nobody can tell which one is left.
    times, connections = life
    kubelet, follower, written = Kubelet(), Follower(max_bytes), []
    begin = 0
    for end, dropped in [*connections, (len(times), 0)]:
        for number in range(begin, end):
            kubelet.write(times[number], b"line %d" % number)
            written.append(kubelet.lines[-1])
        begin = end
        kubelet.rotate(dropped)
        last_counted = follower.counted[-1] if follower.counted else None
        is_there = any(line == last_counted for _, line in kubelet.lines)
        follower.connect(kubelet)
        if last_counted is None:
            written = list(kubelet.lines)  # what was gone before the first look was never seen
        else:
            assert is_there == (follower.verdicts[-1] is not Continuity.GAP)

    assert follower.lost or [line for _, line in written] == follower.counted


@pytest.mark.parametrize(
    ("containers", "ended", "most"),
    [(1, 0, 64), (500, 0, 64), (500, 500, 62), (1000, 0, 18), (1000, 1000, 11), (100_000, 9, 1)],
)
def test_the_more_containers_the_fewer_hashes_each_keeps(
    containers: int, ended: int, most: int
) -> None:
    assert hashes_kept(containers, ended) == most


def test_of_the_breaks_of_very_many_containers_the_latest_are_kept() -> None:
    """Of each the last hashes: they stand where its log did not continue."""
    hashes = tuple(bytes([n]) * 8 for n in range(BREAK_HASHES + 2))
    breaks = {
        str(number): (Cursor(last_ns=9), Cursor(last_ns=number, hashes=hashes))
        for number in reversed(range(MAX_BROKEN + 3))
    }
    kept = keep_breaks(breaks | {"none": ()}, breaks.keys() - {str(MAX_BROKEN)})

    numbers = [*range(2, MAX_BROKEN), MAX_BROKEN + 1, MAX_BROKEN + 2]
    assert kept == {
        str(n): (Cursor(last_ns=9), Cursor(last_ns=n, hashes=hashes[2:])) for n in numbers
    }


def describe(lines: list[bytes]) -> tuple[int, bytes, tuple[bytes, ...]]:
    """Return count, chain and last hashes of lines, as a Cursor says them."""
    trail = Trail(KEY, Cursor())
    for line in lines:
        trail.add([line], last_ns=0)
    cursor = trail.cursor()
    return cursor.count, cursor.chain, cursor.hashes


@given(lives(), bounds)
@example(([T0] * 20 + [T0 + 9 * NANOS], []), 60)
@example(([T0] * 20 + [T0 + 2 * NANOS], []), 60)
@example(([T0] * 20 + [T0 + 3 * NANOS], []), 60)
@example(([T0 + NANOS] + [T0] * 20 + [T0 + 3 * NANOS], []), 60)
@example(([T0] * 20 + [T0 + 9 * NANOS] * 20, []), 60)
def test_a_cursor_says_which_lines_a_reply_since_its_second_begins_with(
    life: tuple[list[int], list[tuple[int, int]]], max_bytes: int
) -> None:
    """However much of a burst is kept as count, chain and last hashes alone."""
    times, commits = life
    trail, lines = Trail(KEY, Cursor(), max_bytes=5 * max_bytes), []
    for number, at_ns in enumerate(times):
        lines.append((at_ns, b"%b line %d" % (stamp(at_ns), number)))
        trail.add([lines[-1][1]], last_ns=at_ns)
        if number in {place for place, _ in commits}:
            trail.cursor()
    cursor = trail.cursor()
    served = [line for at_ns, line in lines if at_ns // NANOS >= cursor.since_seconds]

    assert (cursor.count, cursor.chain, cursor.hashes) == describe(served)
    assert (cursor.total, cursor.last_ns) == (len(lines), max(times, default=0))


def expect(folded: str, head: str, known: int) -> tuple[Continuity, int]:
    """Return what a whole reply says of lines that were folded, the last `known` by their hashes.

    The most lines that can be explained are: all of them, or their end, behind a torn line or two.
    """
    if head.startswith(folded):
        return Continuity.CONTINUOUS, len(folded)
    if len(folded) > known:
        for seen in range(min(len(head), len(folded)), 0, -1):
            if folded[-known:].endswith(head[:seen][-known:]):
                return Continuity.ROTATED, seen
        return Continuity.GAP, 0
    for torn in range(MAX_TORN + 1):
        for seen in range(len(folded), 0, -1):
            if len(head) >= torn + seen and head[torn : torn + seen] == folded[-seen:]:
                whole = seen == len(folded)
                return Continuity.CONTINUOUS if whole else Continuity.ROTATED, torn + seen
        if head[torn:] in folded:
            break  # it ends among lines that were folded, before the last one: nothing is torn
    return Continuity.GAP, 0


def words(letters: str, most: int) -> list[str]:
    return ["".join(one) for size in range(most + 1) for one in product(letters, repeat=size)]


@pytest.mark.parametrize("known", [1, 2, 3, MAX_HASHES])
def test_of_every_short_head_the_most_lines_are_recognised(known: int) -> None:
    wrong = []
    for folded in filter(None, words("ab", 4)):
        trail = Trail(KEY, Cursor())
        for text in folded:
            trail.add([stamp(T0) + b" " + text.encode()], last_ns=T0)
        cursor = trail.cursor()
        cursor = evolve(cursor, hashes=cursor.hashes[-known:])
        for head in words("abc", 5):
            proof = Proof(KEY, cursor)
            for text in head:
                if proof.verdict is None:
                    proof.take(stamp(T0) + b" " + text.encode())
            proof.settle()
            found = (proof.verdict, len(proof.seen))
            if found != expect(folded, head, known):
                wrong.append((folded, head, found, expect(folded, head, known)))

    assert wrong == []
