"""When State is written and for how long that may take; the store is the only thing played."""

from __future__ import annotations

import asyncio
from base64 import b64decode
from contextlib import nullcontext
from itertools import pairwise
from pathlib import Path
from random import Random

import pytest
from attrs import define, field

from agent.model import Batch
from agent.state.document import Document, decode, encode
from agent.state.keeper import Keeper
from agent.state.store import Conflict, StateError, Stored
from tests.agents import NAMESPACE
from tests.faults import virtual
from tests.faults.machine import FaultyStore, SaveFault
from tests.faults.simulation import open_lab
from tests.sim.faults import Answer, Call, Reset
from tests.sim.store import CONFIGMAPS


@define
class Silent:
    """A store that answers the first requests and then no more."""

    answers: int
    where: str = "nowhere"
    asked: list[str] = field(factory=list)
    silence: asyncio.Event = field(factory=asyncio.Event)
    """Set at its end."""

    def close(self) -> None:
        pass

    async def load(self) -> Stored:
        await self._answer("load")
        return Stored(None, "")

    async def save(self, data: bytes, version: str) -> str:
        assert data
        await self._answer("save")
        return version + "1"

    async def _answer(self, what: str) -> None:
        self.asked.append(what)
        if len(self.asked) > self.answers:
            await self.silence.wait()


async def commit(keeper: Keeper) -> None:
    await keeper.commit(now_seconds=1, before_encode=nothing)


def nothing(_document: Document) -> None:
    pass


@pytest.mark.looptime
async def test_an_end_is_bounded_whatever_the_store_does() -> None:
    """A commit that runs, the last one, and the look at what became of it: all in four seconds."""
    store = Silent(answers=1)
    keeper = Keeper(store, lambda: "id", lambda: b"key")
    await keeper.load(window_seconds=60)
    running = asyncio.create_task(commit(keeper))
    await asyncio.sleep(1)
    began = asyncio.get_running_loop().time()
    keeper.end_within(4)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    with pytest.raises(StateError):
        await commit(keeper)

    assert asyncio.get_running_loop().time() - began <= 4
    assert store.asked == ["load", "save", "save", "load"]


@pytest.mark.looptime
async def test_the_last_commit_has_its_turn_although_the_one_before_is_never_answered() -> None:
    store = Silent(answers=1)
    keeper = Keeper(store, lambda: "id", lambda: b"key")
    await keeper.load(window_seconds=60)
    running = asyncio.create_task(commit(keeper))
    await asyncio.sleep(1)
    keeper.end_within(4)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    last = asyncio.create_task(commit(keeper))
    await asyncio.sleep(0.5)
    store.silence.set()
    await last

    assert keeper.committed == 2


@pytest.mark.looptime
async def test_a_commit_that_is_not_answered_is_given_up() -> None:
    keeper = Keeper(Silent(answers=1), lambda: "id", lambda: b"key")
    await keeper.load(window_seconds=60)
    with pytest.raises(StateError, match="did not answer within 30"):
        await commit(keeper)


class Slow(FaultyStore):
    async def save(self, data: bytes, version: str) -> str:
        await asyncio.sleep(1)
        return await super().save(data, version)


@pytest.mark.looptime
async def test_a_commit_whose_task_is_cancelled_is_finished() -> None:
    """Else nobody would know whether the last commit follows it."""
    keeper = Keeper(Slow(), lambda: "id", lambda: b"key")
    await keeper.load(window_seconds=60)
    running = asyncio.create_task(commit(keeper))
    await asyncio.sleep(0.5)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running

    assert decode((await keeper.store.load()).data or b"").commits == 1


async def test_what_the_agent_before_commits_during_a_take_over_is_not_written_over() -> None:
    """It still ran: the one that takes over must look again."""
    store, ids = FaultyStore(), iter(map(str, range(100)))
    first, second = (Keeper(store, lambda: next(ids), lambda: b"key") for _ in range(2))
    await first.load(window_seconds=60)
    await commit(first)
    await second.load(window_seconds=60)
    await commit(first)
    with pytest.raises(Conflict, match="belongs to another agent"):
        await commit(second)
    await second.load(window_seconds=60)
    await commit(second)

    assert decode(store.data or b"").epoch == second.document.epoch
    with pytest.raises(Conflict):
        await commit(first)


@define
class Unread(FaultyStore):
    """A store that cannot be read for a while."""

    is_unread: bool = False

    async def load(self) -> Stored:
        if self.is_unread:
            raise StateError("no answer")
        return await super().load()


async def test_a_commit_whose_answer_was_lost_is_no_other_agents_because_nobody_can_look() -> None:
    """The next one meets another version, and finds out whose it is once the store is read."""
    store, ids = Unread(), iter(map(str, range(100)))
    keeper = Keeper(store, lambda: next(ids), lambda: b"key")
    await keeper.load(window_seconds=60)
    store.fault, store.is_unread = "lost", True
    for _ in range(2):
        with pytest.raises(StateError) as raised:
            await commit(keeper)
        assert not isinstance(raised.value, Conflict)
    store.is_unread = False
    await commit(keeper)

    assert decode(store.data or b"").commits == keeper.committed == 3


@pytest.mark.parametrize("commits", [1, 2])
async def test_an_older_copy_that_somebody_puts_back_is_written_over(commits: int) -> None:
    """What the agent before has written as often as this one is none."""
    store, ids = FaultyStore(), iter(map(str, range(100)))
    first, second = (Keeper(store, lambda: next(ids), lambda: b"key") for _ in range(2))
    await first.load(window_seconds=60)
    await commit(first)
    copy = decode(store.data or b"")
    copy.commits = commits
    await second.load(window_seconds=60)
    await commit(second)
    store.data, store.version = encode(copy), store.version + 1
    with nullcontext() if commits == 1 else pytest.raises(Conflict, match="another agent"):
        await commit(second)

    found = decode(store.data or b"")
    written = (second.document.epoch, 3)
    assert (found.epoch, found.commits) == (written if commits == 1 else (copy.epoch, 2))


@pytest.mark.parametrize("fault", ["", "lost"])
async def test_a_state_that_somebody_deletes_meanwhile_is_written_again(fault: SaveFault) -> None:
    """Also after a commit whose answer was lost: that one was found in the store."""
    store, ids = FaultyStore(), iter(map(str, range(100)))
    keeper = Keeper(store, lambda: next(ids), lambda: b"key")
    await keeper.load(window_seconds=60)
    store.fault = fault
    await commit(keeper)
    store.data, store.version = None, store.version + 1
    await commit(keeper)

    assert decode(store.data or b"").commits == 2


async def test_what_is_beside_the_outbox_is_measured_without_it() -> None:
    store, ids = FaultyStore(), iter(map(str, range(100)))
    keeper = Keeper(store, lambda: next(ids), lambda: b"key")
    await keeper.load(window_seconds=60)
    await commit(keeper)
    before = keeper.rest_bytes
    keeper.document.outbox = [Batch(1, 0, Random(1).randbytes(50_000), 1, 1)]
    await commit(keeper)

    assert abs(keeper.rest_bytes - before) < 5000


async def test_what_is_loaded_again_says_nothing_of_what_was_not_readable() -> None:
    store, ids = FaultyStore(b"odd"), iter(map(str, range(100)))
    keeper = Keeper(store, lambda: next(ids), lambda: b"key")
    found = []
    for known_commits in range(3):
        await keeper.load(window_seconds=60, known_commits=known_commits)
        found.append((keeper.is_new, keeper.was_unreadable))
        await commit(keeper)

    assert found == [(True, True), (False, False), (False, False)]


async def test_what_begins_anew_is_no_older_copy_at_the_next_start() -> None:
    """It goes on with the number of commits that is known, else it would be lost at each start."""
    store, ids = FaultyStore(), iter(map(str, range(100)))
    first, second = (Keeper(store, lambda: next(ids), lambda: b"key") for _ in range(2))
    await first.load(window_seconds=60, known_commits=50)
    await commit(first)
    await second.load(window_seconds=60, known_commits=50)

    assert (first.is_new, first.committed) == (True, 51)
    assert (second.is_new, second.was_unreadable) == (False, False)


async def test_what_another_agent_began_anew_is_not_written_over() -> None:
    """It was written less often, but it is no older copy of what this agent found."""
    store, ids = FaultyStore(), iter(map(str, range(100)))
    first, second = (Keeper(store, lambda: next(ids), lambda: b"key") for _ in range(2))
    await first.load(window_seconds=60)
    for _ in range(3):
        await commit(first)
    store.data, store.version = None, store.version + 1
    await second.load(window_seconds=60)
    await commit(second)

    with pytest.raises(Conflict, match="belongs to another agent"):
        await commit(first)
    assert decode(store.data or b"").epoch == second.document.epoch


HOURS = 1
IDLE = b'time="2027-01-15T08:00:00Z" level=info msg="nothing that counts"\n'


async def live_quietly(folder: Path, pauses_seconds: float) -> dict[str, list[float]]:
    """Let a BotKube print a line now and then that no rule takes; return when what was written."""
    async with open_lab(folder, window_seconds=3600) as lab:
        # So that a quarter of an hour is over when the window is, before it is closed.
        lab.clock.moved = 1.5
        async with lab.agent() as agent:
            pod = lab.cluster.botkube(NAMESPACE, at=lab.clock.ns())
            await asyncio.sleep(1800)
            written: dict[str, list[float]] = {"state": [], "installation": []}

            def note_write(call: Call) -> bool:
                for name, times in written.items():
                    if call.verb == "update" and call.name == f"botkube-analytics-{name}":
                        times.append(lab.clock.seconds())
                return False

            lab.cluster.server.faults.add(Reset(), path="/configmaps/", times=None, when=note_write)
            end = lab.clock.seconds() + HOURS * 3600
            while lab.clock.seconds() < end:
                pod.write(IDLE, at=lab.clock.ns())
                await asyncio.sleep(pauses_seconds)
            assert not agent.task.done()
            assert len(lab.reports()) == HOURS
            return {name: [at for at in times if at < end] for name, times in written.items()}


@pytest.mark.parametrize("pauses_seconds", [47.0, 1000.0])
def test_a_quiet_botkube_costs_at_most_five_small_writes_an_hour(
    tmp_path: Path, pauses_seconds: float
) -> None:
    written = virtual.run(live_quietly(tmp_path, pauses_seconds), seed=1)

    # Both objects at each window's end, and State once each quarter of an hour between.
    assert len(written["installation"]) == HOURS
    assert HOURS < len(written["state"]) <= 4 * HOURS
    assert min(after - before for before, after in pairwise(written["state"])) > 600


async def write_once(folder: Path, *, fails: int = 0, clock_moves: float = 0.0) -> int:
    """Let a BotKube print a line that counts; return how many lines State holds a minute later."""
    async with open_lab(folder, window_seconds=3600) as lab:
        pod = lab.cluster.botkube(NAMESPACE, at=lab.clock.ns())
        async with lab.agent():
            await asyncio.sleep(60)
            lab.cluster.server.faults.add(
                Answer(500), path="/configmaps/", verb="update", times=fails
            )
            lab.clock.moved += clock_moves
            pod.write(b'time="2027-01-15T08:00:00Z" level=info msg="said w0"\n', at=lab.clock.ns())
            await asyncio.sleep(60)
            found = lab.cluster.server.store.get(CONFIGMAPS, NAMESPACE, "botkube-analytics-state")
            document = decode(b64decode(found["binaryData"]["state"]))
            return sum(one.total for one in document.cursors.values())


@pytest.mark.parametrize(("fails", "clock_moves"), [(1, 0.0), (0, -3600.0)])
def test_what_was_counted_is_committed_soon_whatever_comes_between(
    tmp_path: Path, fails: int, clock_moves: float
) -> None:
    """A commit that failed is made again, and a clock that was set back is not waited for."""
    counted = write_once(tmp_path, fails=fails, clock_moves=clock_moves)

    assert virtual.run(counted, seed=1) == 1
