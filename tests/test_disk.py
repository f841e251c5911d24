"""State in a file."""

from __future__ import annotations

from pathlib import Path

from agent.state.disk import FileStore
from agent.state.store import Stored


async def test_the_first_object_in_a_new_folder_can_be_written(tmp_path: Path) -> None:
    store = FileStore(tmp_path / "new" / "installation.json", is_owner=False)
    version = await store.save(b"{}", "")

    assert Stored(b"{}", version) == await store.load()
