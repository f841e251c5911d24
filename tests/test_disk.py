"""State in a file."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest

from agent.state.disk import FileStore
from agent.state.store import Conflict, Stored


async def test_the_first_object_in_a_new_folder_can_be_written(tmp_path: Path) -> None:
    store = FileStore(tmp_path / "new" / "installation.json", is_owner=False)
    version = await store.save(b"{}", "")

    assert Stored(b"{}", version) == await store.load()


async def test_a_write_that_is_cancelled_has_ended_when_its_owner_has(tmp_path: Path) -> None:
    """Else it would fall on what the next owner has written."""
    path = tmp_path / "state.json"
    begun, may_end = threading.Event(), threading.Event()

    class Slow(FileStore):
        def _save(self, data: bytes, version: str) -> str:
            begun.set()
            may_end.wait(10)
            return super()._save(data, version)

    saving = asyncio.create_task(Slow(path).save(b"old", ""))
    await asyncio.to_thread(begun.wait, 10)
    for _ in range(3):
        saving.cancel()
        await asyncio.wait([saving], timeout=1)
        assert not saving.done()

    may_end.set()
    await asyncio.gather(saving, return_exceptions=True)
    assert saving.cancelled()
    assert path.read_bytes() == b"old"


async def test_a_file_that_another_process_changed_is_not_written_over(tmp_path: Path) -> None:
    one, other = (FileStore(tmp_path / "state.json", is_owner=False) for _ in range(2))
    version = await one.save(b"first", "")
    await other.save(b"second", version)
    with pytest.raises(Conflict, match="changed by another process"):
        await one.save(b"third", version)
    with pytest.raises(Conflict):
        await one.save(b"third", "")

    assert (await one.load()).data == b"second"


async def test_a_store_that_was_closed_can_be_used_again(tmp_path: Path) -> None:
    """A beginning that failed is tried again, and then holds the file as before."""
    one, other = (FileStore(tmp_path / "state.json") for _ in range(2))
    await one.load()
    one.close()
    await other.load()
    with pytest.raises(Conflict, match="in use by another agent"):
        await one.load()
    other.close()
    await one.load()
    one.close()
    one.close()
