"""Replies of the log endpoint: how long one is waited for, and how large one may be."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import attrs
import orjson
import pytest

from agent.model import Container
from agent.source import podlogs
from agent.source.api import Access, ApiError, Client
from tests.faults import virtual
from tests.sim.apiserver import ApiOptions
from tests.sim.cluster import Cluster
from tests.sim.faults import Answer, Cut, Fault, HalfOpen, Reset
from tests.sim.gotime import SECOND
from tests.sim.pods import Pod

T = TypeVar("T")
NAMESPACE = "botkube"
T0 = 1_795_469_485 * SECOND


@attrs.define(eq=False)
class Scene:
    """A pod that writes, and how its log is read."""

    cluster: Cluster
    pod: Pod
    client: Client
    container: Container

    def fault(self, fault: Fault) -> None:
        self.cluster.server.faults.add(fault, path="/log$", times=None)

    def query(self) -> dict[str, str]:
        (call,) = [call for call in self.cluster.server.calls if call.subresource == "log"]
        return dict(call.query)

    async def follow(self, *, max_age_seconds: float = 900, since_seconds: int = 0) -> list[bytes]:
        chunks: list[bytes] = []
        try:
            async for chunk in podlogs.follow(
                self.client,
                self.container,
                since_seconds=since_seconds,
                max_age_seconds=max_age_seconds,
            ):
                chunks.append(chunk)  # noqa: PERF401 what came before the error is kept
        except TimeoutError:
            chunks.append(b"too old")
        return chunks

    async def read(self) -> bytes:
        return await podlogs.read(self.client, self.container, since_seconds=0, previous=False)

    async def drain(self) -> None:
        """Read as an ended instance is read."""
        async for _ in podlogs.read_chunks(
            self.client, self.container, since_seconds=0, previous=False
        ):
            pass


def play(script: Callable[[Scene], Awaitable[T]]) -> T:
    """Run a script in virtual time."""

    async def work() -> T:
        with tempfile.TemporaryDirectory() as folder:
            async with Cluster.running(ApiOptions(piece_bytes=1 << 20)) as cluster:
                cluster.namespace(NAMESPACE)
                pod = cluster.botkube(NAMESPACE, at=T0)
                path = Path(folder) / "kubeconfig"
                path.write_bytes(orjson.dumps(cluster.server.kubeconfig()))
                container = Container(
                    NAMESPACE, pod.name, pod.uid, "botkube", pod.container_id("botkube")
                )
                async with Client(Access(str(path)), "test") as client:
                    return await script(Scene(cluster, pod, client, container))

    return virtual.run(work(), seed=1)


def now() -> float:
    return asyncio.get_running_loop().time()


def test_a_stream_brings_what_is_written_until_it_ends() -> None:
    async def script(scene: Scene) -> list[bytes]:
        following = asyncio.create_task(scene.follow(since_seconds=T0 // SECOND))
        for text in ("one\n", "two\n"):
            await asyncio.sleep(60)
            scene.pod.write(text, at=T0)
        await asyncio.sleep(1)
        scene.pod.crash(at=T0)
        assert scene.query()["sinceTime"] == "2026-11-23T21:31:25Z"
        return await following

    text = b"".join(play(script))

    assert [line.split()[-1] for line in text.splitlines()] == [b"one", b"two"]


def test_a_silent_stream_is_given_up() -> None:
    """A connection may have died without a sign; an attempt costs little."""

    async def script(scene: Scene) -> float:
        scene.fault(Cut("hang", after_bytes=0, text=b"x\n"))
        began = now()
        assert await scene.follow(max_age_seconds=10_000) == [b"x\n", b"too old"]
        return now() - began

    assert 290 <= play(script) <= 310


def test_a_log_in_which_nothing_stands_yet_is_silent_and_no_failure() -> None:
    """The server sends not even a header before the first line."""

    async def script(scene: Scene) -> float:
        began = now()
        assert await scene.follow(max_age_seconds=10_000) == [b"too old"]
        return now() - began

    assert 290 <= play(script) <= 310


def test_a_stream_that_is_silent_when_it_is_old_is_ended_then() -> None:
    async def script(scene: Scene) -> float:
        scene.fault(Cut("hang", after_bytes=0))
        began = now()
        assert await scene.follow(max_age_seconds=100) == [b"too old"]
        return now() - began

    assert 99 <= play(script) <= 101


@pytest.mark.parametrize("in_chunks", [True, False])
def test_a_server_that_does_not_answer_is_given_up(*, in_chunks: bool) -> None:
    async def script(scene: Scene) -> float:
        scene.fault(HalfOpen())
        began = now()
        with pytest.raises(ApiError):
            await (scene.drain() if in_chunks else scene.read())
        return now() - began

    assert 55 <= play(script) <= 65


def test_an_old_stream_is_ended_and_not_taken_for_the_end_of_the_log() -> None:
    """It may be followed through a server that is to go, or with a token that has expired."""

    async def script(scene: Scene) -> tuple[bytes, float]:
        async def write() -> None:
            while True:
                scene.pod.write("more\n", at=T0)
                await asyncio.sleep(10)

        writing = asyncio.create_task(write())
        began = now()
        *_, last = await scene.follow(max_age_seconds=900)
        writing.cancel()
        return last, now() - began

    last, age = play(script)

    assert last == b"too old"
    assert 890 <= age <= 910


def test_small_pieces_are_gathered() -> None:
    """Each wakes the loop: lines that come singly are read a few times a second."""

    async def script(scene: Scene) -> int:
        following = asyncio.create_task(scene.follow())
        await asyncio.sleep(1)
        for _ in range(1000):
            scene.pod.write("more\n", at=T0)
            await asyncio.sleep(0.01)
        scene.pod.crash(at=T0)
        return len(await following)

    assert play(script) <= 100


@pytest.mark.parametrize(("size", "fits"), [(16 << 20, True), ((16 << 20) + 1, False)])
def test_a_short_read_has_a_cap(size: int, *, fits: bool) -> None:
    async def script(scene: Scene) -> int:
        scene.fault(Answer(200, b"x" * size))
        try:
            return len(await scene.read())
        except ApiError as error:
            return error.status

    assert play(script) == (size if fits else 0)


@pytest.mark.parametrize(
    "fault", [Reset(), Cut("reset", after_bytes=5), Cut("close", after_bytes=5), Answer(500)]
)
def test_what_breaks_off_is_an_error(fault: Fault) -> None:
    async def script(scene: Scene) -> None:
        scene.pod.write("one\ntwo\n", at=T0)
        scene.fault(fault)
        for work in (scene.read, scene.follow):
            with pytest.raises(ApiError):
                await work()

    play(script)
