"""The ledger: bytes as they were sent, what became of them, bounds, and crashes on the way to disk.

Then a whole agent: everything that the collector received stands in the ledger, in any mode.
"""

from __future__ import annotations

import asyncio
import stat
import threading
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path
from uuid import UUID

import orjson
import pytest
from attrs import field, frozen

from agent.aggregate import Windows
from agent.counting import Counting
from agent.ledger.directory import KEPT_NUMBERS, Directory
from agent.ledger.entries import Answer, Entry, EntryError, decode, digest_of, encode
from agent.ledger.ledger import MAX_ENTRIES, Ledger
from agent.model import REPORT, Batch, Identity, Observation
from agent.outbox import HELD_BACK, CommittedOutbox
from agent.rules import RuleSet
from agent.sink.batch import batch_array, seal
from agent.sink.destination import Destination
from agent.sink.outcome import Reason
from agent.source.switches import ANNOTATION
from agent.state.document import Document
from agent.web.reports import WHY
from tests.agents import NAMESPACE, START, WINDOW_SECONDS, Agent, after, lab, until, write
from tests.sim.faults import Answer as Reply
from tests.sim.faults import Delay
from tests.sim.store import NAMESPACES
from tests.test_gate import counting
from tests.test_pipeline import BATCH

NOW = 1_800_000_000
TRACK = {
    "type": "track",
    "anonymousId": "00000000-0000-0000-0000-000000000001",
    "timestamp": "2027-01-15T08:00:00Z",
}
WINDOW = {"window_start": "2027-01-15T07:00:00Z", "window_end": "2027-01-15T08:00:00Z"}


def batch(count: int = 3, *, seq: int = 1) -> Batch:
    """Return a sealed batch of one count and its report."""
    said: dict[str, dict[str, object]] = {
        "Event handled": {"platform": "slack", "count": count},
        REPORT: {"gap_seconds_rotated": 60, "lines_read": 9},
    }
    events: list[dict[str, object]] = [
        {
            **TRACK,
            "messageId": f"m{seq}-{index}",
            "event": name,
            "properties": {**own, **WINDOW, "seq": seq},
        }
        for index, (name, own) in enumerate(said.items())
    ]
    return seal(events, seq=seq, sealed_seconds=NOW)[0][0]


def send(ledger: Ledger, one: Batch, *, at: int = NOW) -> bytes:
    array = batch_array(one)
    ledger.send(one, array=array, destination="https://one.example", now_seconds=at)
    return array


def kept(ledger: Ledger) -> Entry:
    (entry,) = ledger.entries
    return entry


# --- what is kept ---


def test_a_batch_is_kept_before_anybody_answers() -> None:
    ledger = Ledger()
    array = send(ledger, batch())
    entry = kept(ledger)

    assert (entry.array, entry.answer, entry.attempts) == (array, Answer.WAITING, 1)
    assert entry.digest == sha256(array).hexdigest()
    assert (entry.size, entry.events, ledger.total_bytes) == (len(array), 2, len(array))


@pytest.mark.parametrize(
    ("answer", "detail"),
    [(Answer.DELIVERED, ""), (Answer.RETRY, "timeout"), (Answer.REJECTED, "400")],
)
def test_the_answer_and_its_time_are_noted(answer: Answer, detail: str) -> None:
    ledger = Ledger()
    array = send(ledger, batch())
    ledger.answer(array, answer, detail=detail, now_seconds=NOW + 5)
    entry = kept(ledger)

    assert (answer, detail) == (entry.answer, entry.detail)
    assert (entry.first_seconds, entry.at_seconds) == (NOW, NOW + 5)


def test_every_attempt_is_one_entry_again_without_an_answer() -> None:
    ledger = Ledger()
    for attempt in range(3):
        array = send(ledger, batch(), at=NOW + attempt)
        if attempt < 2:
            ledger.answer(array, Answer.RETRY, detail="timeout", now_seconds=NOW + attempt)
    entry = kept(ledger)

    assert (entry.attempts, entry.answer, entry.detail) == (3, Answer.WAITING, "")
    assert (entry.first_seconds, entry.at_seconds) == (NOW, NOW + 2)


@pytest.mark.parametrize(
    ("answer", "detail", "expected"),
    [
        (None, "", Answer.WAITING),
        (Answer.RETRY, "timeout", Answer.WAITING),
        (Answer.RETRY, "connection", Answer.WAITING),
        (Answer.RETRY, "server_error", Answer.DISCARDED),
    ],
)
def test_of_what_is_discarded_without_an_answer_it_is_not_said_that_it_was_not_accepted(
    answer: Answer | None, detail: str, expected: Answer
) -> None:
    ledger = Ledger()
    array = send(ledger, batch())
    if answer is not None:
        ledger.answer(array, answer, detail=detail, now_seconds=NOW)
    never_sent = batch_array(batch(seq=2))
    ledger.discard([array, never_sent], why="switched_off", now_seconds=NOW + 1)
    entry = kept(ledger)

    assert (entry.answer, entry.detail) == (expected, "switched_off")
    assert entry.at_seconds == NOW + 1


def test_what_is_not_sent_says_so_and_why_once() -> None:
    ledger = Ledger()
    for _ in range(2):
        ledger.keep_unsent(batch(), array=batch_array(batch()), why="local", now_seconds=NOW)
    entry = kept(ledger)

    assert (entry.answer, entry.detail) == (Answer.NOT_SENT, "local")
    assert (entry.destination, entry.attempts) == ("", 0)


def test_a_report_is_summed_up_in_numbers() -> None:
    ledger = Ledger()
    send(ledger, batch(7))
    summary = kept(ledger).summary

    assert (summary.counts, summary.gaps) == ({"Event handled": 7}, {"rotated": 60})
    assert summary.end_seconds - summary.start_seconds == 3600


@pytest.mark.parametrize(
    ("name", "expected"),
    [("1", 1), ("2", 2), ("3", None), ("", None), ("zz", None)],
)
def test_an_entry_is_found_by_its_number(name: str, expected: int | None) -> None:
    ledger = Ledger()
    send(ledger, batch())
    send(ledger, batch(seq=2))
    found = ledger.find(name)

    assert expected == (found.number if found is not None else None)


def test_an_entry_is_found_by_enough_of_its_digest() -> None:
    ledger = Ledger()
    send(ledger, batch())
    entry = kept(ledger)

    assert entry == ledger.find(entry.digest) == ledger.find(entry.digest[:12].upper())


# --- bounds ---


def test_the_oldest_entries_go_first_and_are_counted() -> None:
    ledger = Ledger(max_entries=3)
    for seq in range(1, 6):
        send(ledger, batch(seq=seq))

    assert [one.number for one in ledger.entries] == [5, 4, 3]
    assert ledger.dropped == 2


def test_the_bytes_are_bounded_and_the_newest_is_kept_whatever_its_size() -> None:
    size = len(batch_array(batch()))
    ledger = Ledger(max_bytes=2 * size + 1)
    for seq in range(1, 4):
        send(ledger, batch(seq=seq))
    tiny = Ledger(max_bytes=1)
    send(tiny, batch())

    assert [one.number for one in ledger.entries] == [3, 2]
    assert ledger.total_bytes == 2 * size
    assert len(tiny.entries) == 1


# --- on disk ---


async def on_disk(folder: Path, *, seqs: range = range(1, 4), limit: int = MAX_ENTRIES) -> Ledger:
    ledger = Ledger(Directory(folder / "ledger"), max_entries=limit)
    await ledger.load()
    for seq in seqs:
        array = send(ledger, batch(seq=seq))
        ledger.answer(array, Answer.DELIVERED, now_seconds=NOW + seq)
        await ledger.save()
    return ledger


async def read(folder: Path) -> list[Entry]:
    """Return what stands in the directory, as another process sees it."""
    return await asyncio.to_thread(lambda: list(Directory(folder / "ledger").read()))


async def test_the_next_process_finds_every_entry_and_goes_on_counting(tmp_path: Path) -> None:
    before = await on_disk(tmp_path)
    after_ = await on_disk(tmp_path, seqs=range(4, 5))

    assert before.entries == after_.entries[1:]
    assert after_.entries[0].number == 4


async def test_a_file_holds_the_bytes_and_their_digest_can_be_checked(tmp_path: Path) -> None:
    ledger = await on_disk(tmp_path)
    data = (tmp_path / "ledger" / "00000002.report").read_bytes()
    head, _, array = data.partition(b"\n")

    assert array == batch_array(batch(seq=2))
    assert orjson.loads(head)["digest"] == sha256(array).hexdigest()
    assert decode(data) == ledger.entries[1]


async def test_nobody_else_can_read_it(tmp_path: Path) -> None:
    await on_disk(tmp_path)
    modes = {stat.S_IMODE(one.stat().st_mode) for one in (tmp_path / "ledger").iterdir()}

    assert stat.S_IMODE((tmp_path / "ledger").stat().st_mode) == 0o700
    assert modes == {0o600}


async def test_the_bounds_hold_on_disk_too(tmp_path: Path) -> None:
    await on_disk(tmp_path, seqs=range(1, 6), limit=2)
    files = sorted(one.name for one in (tmp_path / "ledger").iterdir())
    fewer = Ledger(Directory(tmp_path / "ledger"), max_entries=1)
    await fewer.load()
    await fewer.save()

    assert files == ["00000004.report", "00000005.report"]
    assert [one.name for one in (tmp_path / "ledger").iterdir()] == ["00000005.report"]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        pytest.param(".00000009.report.77", b"half", id="temporary file"),
        pytest.param("00000002.report", b"", id="empty"),
        pytest.param("00000002.report", b'{"version": 9}\n[]', id="newer format"),
        pytest.param("00000002.report", b"\xff\n\xff", id="no JSON"),
        pytest.param("other.txt", b"mine", id="another file"),
    ],
)
async def test_what_a_crash_or_a_stranger_left_over_is_no_entry(
    tmp_path: Path, name: str, content: bytes
) -> None:
    await on_disk(tmp_path, seqs=range(1, 2))
    (tmp_path / "ledger" / name).write_bytes(content)
    ledger = Ledger(Directory(tmp_path / "ledger"))
    await ledger.load()

    assert [one.number for one in ledger.entries] == [1]
    assert not list((tmp_path / "ledger").glob(".*"))


async def test_a_changed_report_is_no_entry(tmp_path: Path) -> None:
    await on_disk(tmp_path, seqs=range(1, 2))
    file = tmp_path / "ledger" / "00000001.report"
    file.write_bytes(file.read_bytes().replace(b'"count":3', b'"count":2'))

    assert not await read(tmp_path)
    with pytest.raises(EntryError, match="digest"):
        decode(file.read_bytes())


async def test_what_cannot_be_read_does_not_stay_for_ever(tmp_path: Path) -> None:
    await on_disk(tmp_path, seqs=range(1, 2))
    (tmp_path / "ledger" / "00000001.report").write_bytes(b"damaged")
    (tmp_path / "ledger" / f"{KEPT_NUMBERS + 1:08}.report").write_bytes(b"damaged, too")
    await asyncio.to_thread(Directory(tmp_path / "ledger").load)

    assert len(list((tmp_path / "ledger").iterdir())) == 1


async def test_a_directory_that_cannot_be_written_stops_nothing_and_is_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "ledger").write_text("a file")
    ledger = await on_disk(tmp_path)

    assert len(ledger.entries) == 3
    assert ledger.failures == 4
    assert [one.message for one in caplog.records] == ["ledger cannot be written"]


async def test_what_could_not_be_written_is_written_later(tmp_path: Path) -> None:
    (tmp_path / "ledger").write_text("a file")
    ledger = await on_disk(tmp_path)
    (tmp_path / "ledger").unlink()
    await ledger.save()

    assert len(await read(tmp_path)) == 3


@frozen
class Slow(Directory):
    """A disk that holds the first write until it is told, and may fail then."""

    error: Exception | None = None
    begun: threading.Event = field(factory=threading.Event)
    may_end: threading.Event = field(factory=threading.Event)
    is_overtaken: threading.Event = field(factory=threading.Event)

    def write(self, entries: Iterable[Entry], gone: Iterable[int]) -> None:
        if not self.begun.is_set():
            self.begun.set()
            self.may_end.wait(10)
            if self.error is not None:
                raise self.error
        elif not self.may_end.is_set():
            self.is_overtaken.set()
            self.may_end.set()
        super().write(entries, gone)


@pytest.mark.parametrize("error", [None, OSError(), ValueError()], ids=repr)
async def test_a_write_that_is_cancelled_neither_loses_nor_undoes_nor_ends_what_comes_after(
    tmp_path: Path, error: Exception | None
) -> None:
    slow = Slow(tmp_path / "ledger", error)
    ledger = Ledger(slow)
    one, other = send(ledger, batch(seq=1)), send(ledger, batch(seq=2))
    ledger.answer(one, Answer.RETRY, now_seconds=NOW)
    writing = asyncio.ensure_future(ledger.save())
    await asyncio.to_thread(slow.begun.wait, 10)
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing
    ledger.answer(one, Answer.DELIVERED, now_seconds=NOW)
    saving = asyncio.ensure_future(ledger.save())
    for _ in range(9):
        await asyncio.sleep(0)
    slow.may_end.set()
    await saving

    assert not slow.is_overtaken.is_set()
    assert [found.answer for found in await read(tmp_path)] == [Answer.DELIVERED, Answer.WAITING]
    assert digest_of(other) in {found.digest for found in await read(tmp_path)}


def test_an_entry_is_what_was_written() -> None:
    ledger = Ledger()
    send(ledger, batch())

    assert kept(ledger) == decode(encode(kept(ledger)))


# --- a whole agent ---


def by_answer(agent: Agent, answer: Answer) -> list[Entry]:
    return [one for one in agent.ledger.entries if one.answer is answer]


async def test_the_ledger_holds_what_the_collector_received(
    tmp_path: Path, ruleset: RuleSet
) -> None:
    async with lab(tmp_path, ruleset) as world:
        pod = world.cluster.botkube(NAMESPACE, at=world.clock.ns())
        async with world.agent() as agent:
            write(pod, world, 30)
            await until(lambda: len(by_answer(agent, Answer.DELIVERED)) > 2)
            found = {one.array for one in agent.ledger.entries}

            assert set(world.arrays()) <= found
            assert {one.destination for one in agent.ledger.entries} == {world.collector.url}


async def test_a_retry_and_a_rejection_are_in_the_ledger_with_their_reasons(
    tmp_path: Path, ruleset: RuleSet
) -> None:
    async with lab(tmp_path, ruleset) as world:
        world.collector.faults.add(Reply(503), path=BATCH, times=1)
        world.cluster.botkube(NAMESPACE, at=world.clock.ns())
        async with world.agent() as agent:
            await until(lambda: bool(by_answer(agent, Answer.RETRY)))
            retried = by_answer(agent, Answer.RETRY)[0]
            await until(lambda: bool(by_answer(agent, Answer.DELIVERED)))
            world.collector.faults.add(Reply(400), path=BATCH, times=1)
            await until(lambda: bool(by_answer(agent, Answer.REJECTED)))
            parked = by_answer(agent, Answer.REJECTED)[0]
    delivered = agent.ledger.find(str(retried.number))

    assert retried.detail == "server_error"
    assert delivered is not None
    assert (delivered.attempts, delivered.array) == (2, retried.array)
    assert parked.detail == "400"
    assert orjson.loads(parked.array)


async def test_a_report_is_on_disk_before_it_leaves_and_survives_a_kill(
    tmp_path: Path, ruleset: RuleSet
) -> None:
    async with lab(tmp_path, ruleset) as world:
        world.ledger_path = tmp_path / "ledger"
        unanswered = world.collector.faults.add(Delay(seconds=999), path=BATCH, times=1)
        world.cluster.botkube(NAMESPACE, at=world.clock.ns())
        async with world.agent() as agent:
            await until(lambda: bool(by_answer(agent, Answer.WAITING)))
            await until(lambda: unanswered.seen > 0)  # else it would meet the next agent
        killed = await read(tmp_path)
        async with world.agent(seed=2) as agent:
            await until(lambda: bool(by_answer(agent, Answer.DELIVERED)))
            delivered = by_answer(agent, Answer.DELIVERED)[0]

    assert [(one.answer, one.attempts) for one in killed] == [(Answer.WAITING, 1)]
    assert (delivered.number, delivered.attempts) == (killed[0].number, 2)
    assert delivered.array == killed[0].array


@pytest.mark.parametrize("found", ["while it runs", "when it starts", "no write key"])
async def test_what_is_discarded_is_not_said_to_be_sent_again(
    tmp_path: Path, ruleset: RuleSet, found: str
) -> None:
    off = {"metadata": {"annotations": {ANNOTATION: "true"}}}
    async with lab(tmp_path, ruleset) as world:
        world.ledger_path = tmp_path / "ledger"
        namespaces = world.cluster.server.store
        world.collector.faults.add(Reply(503), path=BATCH, times=None)
        world.cluster.botkube(NAMESPACE, at=world.clock.ns())
        async with world.agent() as agent:
            await until(lambda: bool(by_answer(agent, Answer.RETRY)))
            if found == "while it runs":
                namespaces.merge(NAMESPACES, "", NAMESPACE, off)
                await until(agent.task.done, fenced=True)
        if found == "when it starts":
            namespaces.merge(NAMESPACES, "", NAMESPACE, off)
            async with world.agent(seed=2, waits=False) as agent:
                await until(agent.task.done, fenced=True)
        elif found == "no write key":
            async with world.agent(seed=2, sends=False) as agent:
                await world.finish(agent)
        tried = [one for one in await read(tmp_path) if one.attempts]
    why = "mode_changed" if found == "no write key" else "switched_off"

    # One that was tried again when the agent ended has no answer.
    assert {one.answer for one in tried} <= {Answer.DISCARDED, Answer.WAITING}
    assert {one.detail for one in tried} == {why}
    assert why in WHY


async def test_a_report_that_the_destination_has_is_not_called_discarded_after_an_off(
    tmp_path: Path, ruleset: RuleSet
) -> None:
    """The off comes between the request, which is taken, and its answer."""
    off = {"metadata": {"annotations": {ANNOTATION: "true"}}}
    async with lab(tmp_path, ruleset) as world:
        world.ledger_path = tmp_path / "ledger"
        slow = world.collector.faults.add(Delay(seconds=999), path=BATCH, times=None)
        world.cluster.botkube(NAMESPACE, at=world.clock.ns())
        async with world.agent() as agent:
            await until(lambda: slow.seen > 0)
            world.cluster.server.store.merge(NAMESPACES, "", NAMESPACE, off)
            await until(agent.task.done, fenced=True)
        (tried,) = [one for one in await read(tmp_path) if one.attempts]

    assert (tried.answer, tried.detail) == (Answer.WAITING, "switched_off")


def test_what_came_before_sending_began_is_a_report_of_its_own(ruleset: RuleSet) -> None:
    start = NOW - NOW % 3600
    windows = Windows(3600, count_from=start + 1800)
    counting = Counting(
        Document(b"", str(UUID(int=1)), windows, sends=True),
        ruleset,
        Identity("00000000-0000-0000-0000-000000000000"),
        "0.1.0",
        sends=True,
    )
    counting.begin(
        now_seconds=start,
        window_seconds=3600,
        count_from=0,
        new_stream=lambda: str(UUID(int=2)),
    )
    for at, count in ((start + 60, 2), (start + 1860, 3)):
        for _ in range(count):
            seen = Observation("Event handled", (("platform", "slack"),), at * 1_000_000_000)
            windows.count(seen, "v1.14.0", now_seconds=at)
    counting.close_due(now_seconds=start + 3700, may_close=lambda _end: True)
    entry = kept(counting.ledger)
    (sealed,) = counting.document.outbox
    sent = orjson.loads(batch_array(sealed))

    assert (entry.answer, entry.detail) == (Answer.NOT_SENT, "before_start")
    assert entry.summary.counts == {"Event handled": 2}
    assert [one["properties"]["count"] for one in sent if one.get("event") == "Event handled"] == [
        3
    ]
    assert counting.document.seq == 1
    assert counting.document.totals == {"Event handled": 3}


async def test_local_windows_are_in_the_ledger_alone(tmp_path: Path, ruleset: RuleSet) -> None:
    async with lab(tmp_path, ruleset) as world:
        world.ledger_path = tmp_path / "ledger"
        pod = world.cluster.botkube(NAMESPACE, at=world.clock.ns())
        async with world.agent(sends=False) as agent:
            truth = write(pod, world, 30)
            await until(lambda: len(agent.ledger.entries) > 2)
            await world.finish(agent)
        entries = await read(tmp_path)
    counts = sum(sum(one.summary.counts.values()) for one in entries)
    events = [event for one in entries for event in orjson.loads(one.array)]
    reports = [one["properties"] for one in events if one.get("event") == REPORT]

    assert {(Answer.NOT_SENT, "local", "")} == {
        (one.answer, one.detail, one.destination) for one in entries
    }
    assert truth.total() == counts
    assert sum(one["lines_read"] for one in reports) > 30
    assert {(0, "00000000-0000-0000-0000-000000000000")} == {
        (one["seq"], one["stream"]) for one in reports
    }
    assert [one["type"] for one in events].count("identify") == 1
    assert not world.collector.requests


async def test_the_quiet_period_uses_nothing_of_the_stream(
    tmp_path: Path, ruleset: RuleSet
) -> None:
    quiet = 2 * WINDOW_SECONDS
    async with lab(tmp_path, ruleset, quiet_period_seconds=quiet) as world:
        pod = world.cluster.botkube(NAMESPACE, at=world.clock.ns())
        async with world.agent() as agent:
            shown = write(pod, world, 20)
            await until(lambda: world.clock.seconds() > START + quiet + WINDOW_SECONDS)
            sent = write(pod, world, 20, seed=2)
            await until(lambda: sum(world.counted().values()) >= sent.total())
            await after(world, WINDOW_SECONDS)
            unsent = by_answer(agent, Answer.NOT_SENT)
    counted = sum(sum(one.summary.counts.values()) for one in unsent)

    assert {"before_start"} == {one.detail for one in unsent}
    assert shown.total() == counted
    assert sent == world.counted()
    assert world.reports()[0]["seq"] == 1
    assert not {one.array for one in unsent} & set(world.arrays())


@pytest.mark.parametrize(
    ("answers", "expected", "discarded"),
    [
        ([], (Answer.RETRY, HELD_BACK, 0), Answer.NOT_SENT),
        (["timeout"], (Answer.RETRY, "timeout", 1), Answer.WAITING),
        (["timeout", "server_error"], (Answer.RETRY, "server_error", 2), Answer.DISCARDED),
    ],
)
async def test_an_attempt_that_was_held_back_changes_no_answer(
    answers: list[Reason], expected: tuple[Answer, str, int], discarded: Answer
) -> None:
    made, one = counting(), batch()
    made.document.outbox = [one]
    outbox = CommittedOutbox(made, Destination(endpoint="https://example.org"), lambda: 5.0)
    reasons: list[Reason] = [*answers, HELD_BACK, HELD_BACK]
    for reason in reasons:
        await outbox.attempted(one)
        await outbox.retried(one, reason, is_untaken=reason == HELD_BACK)
    (entry,) = made.ledger.entries
    made.ledger.discard([batch_array(one)], why="switched_off", now_seconds=6)
    (gone,) = made.ledger.entries

    assert (entry.answer, entry.detail, entry.attempts) == expected
    assert (gone.answer, gone.detail) == (discarded, "switched_off")
