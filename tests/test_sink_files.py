"""Files that are carried out by hand, and standard output: nothing twice, nothing torn."""

import asyncio
import contextlib
import fcntl
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.model import Batch
from agent.sink import ndjson
from agent.sink.batch import build_identity, seal
from agent.sink.calls import lines_of
from agent.sink.ndjson import FileSender, StandardOutput
from agent.sink.outcome import Delivered, GivenUp, Outcome, Retry
from tests.test_sink_batch import IDENTITY, NOON, REPORT_OF_NOON, build

AT = NOON + 3700


def batch(seq: int) -> Batch:
    calls = build_identity(IDENTITY, agent_version="0.1.0", at_seconds=NOON)
    ((made,), _) = seal([*calls, *build(REPORT_OF_NOON, seq=seq)[0]], seq=seq, sealed_seconds=AT)
    return made


async def write(sender: FileSender | StandardOutput, one: Batch, *, at: float = AT) -> Outcome:
    return await sender.send(one, sent_seconds=at)


async def test_every_event_is_a_line_as_it_was_sealed(tmp_path: Path) -> None:
    path = tmp_path / "made" / "events.ndjson"
    sender = FileSender(path)
    for seq in (1, 2):
        assert await write(sender, batch(seq)) == Delivered()

    assert path.read_bytes() == lines_of(batch(1)) + lines_of(batch(2))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


async def test_a_batch_that_a_crash_has_left_there_is_not_repeated(tmp_path: Path) -> None:
    path = tmp_path / "events.ndjson"
    await write(FileSender(path), batch(1))
    # Its removal from State was not committed.
    assert await write(FileSender(path), batch(1)) == Delivered()

    assert path.read_bytes() == lines_of(batch(1))


@settings(deadline=None, max_examples=40)
@given(cut=st.integers(0, 4_000), before=st.booleans())
def test_what_a_crash_has_torn_is_completed(
    tmp_path_factory: pytest.TempPathFactory, cut: int, before: bool
) -> None:
    path = tmp_path_factory.mktemp("torn") / "events.ndjson"
    whole = lines_of(batch(1)) * before
    path.write_bytes(whole + lines_of(batch(2))[:cut])

    assert asyncio.run(write(FileSender(path), batch(2))) == Delivered()
    assert path.read_bytes() == whole + lines_of(batch(2))


async def test_half_a_line_of_what_was_discarded_is_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "events.ndjson"
    path.write_bytes(lines_of(batch(1)) + b'{"type":"track","event":"' + b"x" * 200_000)
    await write(FileSender(path), batch(2))

    assert path.read_bytes() == lines_of(batch(1)) + lines_of(batch(2))


async def test_a_full_file_is_set_aside_under_a_name_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "events.ndjson"
    sender = FileSender(path, max_bytes=len(lines_of(batch(1))))
    for seq in (1, 2, 3):
        await write(sender, batch(seq))
    names = await asyncio.to_thread(lambda: sorted(one.name for one in tmp_path.iterdir()))

    assert names == [
        "events-20261123T130140Z-1.ndjson",
        "events-20261123T130140Z-2.ndjson",
        "events-20261123T130140Z.ndjson",
    ]
    assert (tmp_path / names[1]).read_bytes() == lines_of(batch(3))


async def test_a_batch_that_filled_its_file_is_not_repeated_in_the_next(tmp_path: Path) -> None:
    path = tmp_path / "events.ndjson"
    await write(FileSender(path, max_bytes=1), batch(1))
    await write(FileSender(path, max_bytes=1), batch(1))

    (only,) = await asyncio.to_thread(lambda: list(tmp_path.iterdir()))
    assert only != path
    assert only.read_bytes() == lines_of(batch(1))


async def test_what_nobody_carries_out_is_not_thrown_away(tmp_path: Path) -> None:
    sender = FileSender(tmp_path / "events.ndjson", max_bytes=1, max_files=2)
    for seq in (1, 2):
        assert await write(sender, batch(seq)) == Delivered()
    assert await write(sender, batch(3)) == Retry("file", is_untaken=True)
    (tmp_path / "events-20261123T130140Z.ndjson").unlink()
    assert await write(sender, batch(3)) == Delivered()


async def test_a_file_that_cannot_be_written_is_tried_again(tmp_path: Path) -> None:
    (tmp_path / "events").mkdir()

    assert await write(FileSender(tmp_path / "events"), batch(1)) == Retry("file", is_untaken=True)
    assert await write(FileSender(tmp_path / "events" / "one"), batch(1)) == Delivered()


@contextlib.contextmanager
def pipe() -> Iterator[tuple[int, int]]:
    reading, writing = os.pipe()
    try:
        yield reading, writing
    finally:
        for handle in (reading, writing):
            with contextlib.suppress(OSError):
                os.close(handle)


async def test_standard_output_gets_the_lines_and_nothing_else() -> None:
    with pipe() as (reading, writing):
        assert await write(StandardOutput(handle=writing), batch(1)) == Delivered()
        assert os.read(reading, 1 << 16) == lines_of(batch(1))


async def test_what_has_not_left_when_it_may_not_go_on_never_does() -> None:
    """Nobody reads, so the pipe is full; then a switch says off, and the reader goes on."""
    lines = lines_of(batch(1))
    with pipe() as (reading, writing):
        fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
        os.write(writing, b"x" * 4096)
        sender = StandardOutput(handle=writing)
        may = iter([True, False, True])
        stopped = await sender.send(batch(1), sent_seconds=AT, may_go_on=lambda: next(may))
        filled = os.read(reading, 1 << 16)
        rest = await write(sender, batch(1))

        assert (stopped, filled, rest) == (Retry("interrupted"), b"x" * 4096, Delivered())
        assert os.read(reading, 1 << 16) == lines


async def test_a_blocked_standard_output_keeps_nobody_from_ending() -> None:
    with pipe() as (_reading, writing):
        fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
        os.write(writing, b"x" * 4096)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await write(StandardOutput(handle=writing), batch(1))


async def test_a_closed_standard_output_is_no_delivery() -> None:
    with pipe() as (reading, writing):
        os.close(reading)
        assert await write(StandardOutput(handle=writing), batch(1)) == Retry("file")
        os.close(writing)
        assert await write(StandardOutput(handle=writing), batch(1)) == Retry("file")


async def test_standard_output_repeats_after_a_crash_only_where_that_is_wanted() -> None:
    attempted = evolve(batch(1), attempted=True, place="here")
    with pipe() as (reading, writing):
        once = StandardOutput(may_repeat=False, handle=writing)
        assert await write(once, attempted) == GivenUp()
        assert await write(StandardOutput(handle=writing), attempted) == Delivered()
        assert os.read(reading, 1 << 16) == lines_of(batch(1))


@pytest.mark.parametrize(
    "data",
    [
        b"my precious notes",
        b"one\ntwo",
        b"\x00" * 70_000,
        b'{"type":"FeatureCollection","features":[]}',
        b'one\n{"type":"track","event":"Command executed","anonymousId":"',
    ],
)
async def test_what_is_none_of_ours_is_left_alone(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "notes"
    path.write_bytes(data)

    assert await write(FileSender(path), batch(1)) == Retry("file", is_untaken=True)
    assert path.read_bytes() == data


@pytest.mark.parametrize("name", ["/dev/full", "/dev/null", "/dev/zero"])
async def test_what_is_no_file_is_none(name: str) -> None:
    assert await write(FileSender(Path(name)), batch(1)) == Retry("file", is_untaken=True)


async def test_a_file_that_another_set_aside_just_then_is_not_written_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "events.ndjson"
    await write(FileSender(path), batch(1))
    take = ndjson._take

    def set_aside_first(file: BinaryIO) -> bool:
        path.rename(path.with_name("events-20261123T130140Z.ndjson"))
        return take(file)

    with monkeypatch.context() as patch:
        patch.setattr(ndjson, "_take", set_aside_first)
        assert await write(FileSender(path), batch(2)) == Retry("file", is_untaken=True)
    assert await write(FileSender(path), batch(2)) == Delivered()
    assert path.read_bytes() == lines_of(batch(2))


async def test_two_who_write_to_one_file_tear_nothing(tmp_path: Path) -> None:
    path = tmp_path / "events.ndjson"
    first, second = FileSender(path), FileSender(path)

    async def all_of(sender: FileSender, seqs: range) -> None:
        for seq in seqs:
            async with asyncio.timeout(20):
                while await write(sender, batch(seq)) != Delivered():  # noqa: ASYNC110 as delivery does
                    await asyncio.sleep(0.001)

    await asyncio.gather(all_of(first, range(1, 21)), all_of(second, range(21, 41)))
    whole = b"".join(sorted(lines_of(batch(seq)) for seq in range(1, 41)))

    assert sorted(path.read_bytes().splitlines()) == sorted(whole.splitlines())
