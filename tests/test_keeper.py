"""When State is written and for how long that may take; the store is the only thing played."""

from __future__ import annotations

import asyncio

import pytest
from attrs import define, field

from agent.state.document import Document
from agent.state.keeper import Keeper
from agent.state.store import StateError, Stored


@define
class Silent:
    """A store that answers the first requests and then no more."""

    answers: int
    where: str = "nowhere"
    asked: list[str] = field(factory=list)

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
            await asyncio.Event().wait()


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
async def test_a_commit_that_is_not_answered_is_given_up() -> None:
    keeper = Keeper(Silent(answers=1), lambda: "id", lambda: b"key")
    await keeper.load(window_seconds=60)
    with pytest.raises(StateError, match="did not answer within 30"):
        await commit(keeper)
