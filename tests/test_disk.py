"""State in a file."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

from agent.state.disk import FileStore
from agent.state.store import Stored


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
