"""Replacing a file: what is on the disk at each step, as a power cut would leave it."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.replace import replace_file


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """Note what is made to last, and what the name stood for at that moment."""
    noted: list[str] = []
    real: Callable[[int], None] = os.fsync

    def fsync(handle: int) -> None:
        made = os.fstat(handle)
        what = "directory" if stat.S_ISDIR(made.st_mode) else f"file of {made.st_size}"
        noted.append(f"{what} while it says {(tmp_path / 'state').read_text()}")
        real(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    return noted


def test_the_content_lasts_before_the_name_and_the_name_before_the_end(
    tmp_path: Path, steps: list[str]
) -> None:
    path = tmp_path / "state"
    path.write_text("old")
    replace_file(path, b"new one")

    assert steps == ["file of 7 while it says old", "directory while it says new one"]


def test_only_its_owner_can_read_it_and_nothing_else_stays(tmp_path: Path) -> None:
    path = tmp_path / "state"
    replace_file(path, b"x" * 100)
    replace_file(path, b"short")

    assert path.read_bytes() == b"short"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [one.name for one in tmp_path.iterdir()] == ["state"]


def test_a_write_that_fails_leaves_the_old_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "state"
    path.write_text("old")

    def full(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        replace_file(path, b"new")

    assert path.read_text() == "old"
