"""Scheduled faults, seen by a real client of the simulated API."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

import aiohttp
import pytest

from tests.sim.cluster import Cluster
from tests.sim.faults import (
    Answer,
    Call,
    Cut,
    Delay,
    Fault,
    FaultPlan,
    HalfOpen,
    LoseResponse,
    Reset,
    eof_after,
    hang_after,
    in_band,
    reset_after,
)
from tests.sim.gotime import SECOND
from tests.sim.pods import Pod
from tests.sim.store import CONFIGMAPS

T0 = 1_795_469_485 * SECOND
CONFIGMAP = "/api/v1/namespaces/botkube/configmaps/state"
LINES = b"one\ntwo\nthree\n"
SHORT = 0.02


class Scene:
    """A cluster with one pod that has written three lines."""

    def __init__(self, cluster: Cluster, pod: Pod, session: aiohttp.ClientSession) -> None:
        self.cluster = cluster
        self.pod = pod
        self.session = session

    def schedule(self, fault: Fault, *, verb: str = "", times: int = 1) -> None:
        self.cluster.server.faults.add(fault, verb=verb, times=times)

    def get(
        self, path: str = CONFIGMAP
    ) -> contextlib.AbstractAsyncContextManager[aiohttp.ClientResponse]:
        return self.session.get(self.cluster.server.url + path)

    def log(
        self, query: str = ""
    ) -> contextlib.AbstractAsyncContextManager[aiohttp.ClientResponse]:
        return self.get(f"/api/v1/namespaces/botkube/pods/{self.pod.name}/log?{query}")


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    async with aiohttp.ClientSession() as session, Cluster.running() as cluster:
        cluster.namespace("botkube")
        cluster.config_map("botkube", "state")
        pod = cluster.botkube("botkube", at=T0)
        pod.write(LINES, at=T0)
        yield Scene(cluster, pod, session)


# aiohttp repeats GET and PUT once by itself when the connection breaks before an answer.
REPEATED = 2


async def test_a_reset_before_the_answer(scene: Scene) -> None:
    scene.schedule(Reset(), times=REPEATED)
    with pytest.raises(aiohttp.ClientOSError, match="reset by peer"):
        await scene.session.get(scene.cluster.server.url + CONFIGMAP)
    async with scene.get() as answer:
        assert answer.status == 200


async def test_a_half_open_connection_stays_silent(scene: Scene) -> None:
    scene.schedule(HalfOpen())
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(SHORT), scene.get():
            pass


async def test_a_status_with_retry_after(scene: Scene) -> None:
    scene.schedule(Answer(429, retry_after=7))
    async with scene.get() as answer:
        body = await answer.json()

    assert (answer.status, answer.headers["Retry-After"]) == (429, "7")
    assert (body["reason"], body["details"]["retryAfterSeconds"]) == ("TooManyRequests", 7)


async def test_a_status_with_a_body_of_ones_own(scene: Scene) -> None:
    scene.schedule(Answer(502, body=b"<html>Bad Gateway</html>"))
    async with scene.get() as answer:
        assert (answer.status, await answer.read()) == (502, b"<html>Bad Gateway</html>")


async def test_a_lost_response_leaves_the_write_behind(scene: Scene) -> None:
    scene.schedule(LoseResponse(), verb="update", times=REPEATED)
    body = {"metadata": {"name": "state"}, "data": {"written": "yes"}}
    with pytest.raises(aiohttp.ClientOSError):
        await scene.session.put(scene.cluster.server.url + CONFIGMAP, json=body)

    stored = scene.cluster.server.store.get(CONFIGMAPS, "botkube", "state")
    assert stored["data"] == {"written": "yes"}


async def test_a_delayed_answer_comes_when_it_may(scene: Scene) -> None:
    gate = asyncio.Event()
    scene.schedule(Delay(until=gate))

    async def ask() -> int:
        async with scene.get() as answer:
            return answer.status

    task = asyncio.create_task(ask())
    async with asyncio.timeout(1):
        while not scene.cluster.server.calls:  # noqa: ASYNC110 - the server has no event for it
            await asyncio.sleep(0)
    assert not task.done()

    gate.set()
    assert await task == 200


async def test_a_delay_can_end_in_another_fault(scene: Scene) -> None:
    scene.schedule(Delay(then=Answer(503)))
    async with scene.get() as answer:
        assert answer.status == 503


async def test_a_reset_in_the_middle_of_a_body(scene: Scene) -> None:
    scene.schedule(reset_after(5))
    with pytest.raises(aiohttp.ClientError):
        async with scene.log() as answer:
            await answer.read()


async def test_a_connection_closed_without_the_last_chunk(scene: Scene) -> None:
    scene.schedule(Cut("close", after_bytes=5))
    async with scene.log() as answer:
        assert await answer.content.readexactly(5) == b"one\nt"
        with pytest.raises(aiohttp.ClientPayloadError):
            await answer.content.readany()


async def test_a_clean_end_in_the_middle_of_a_line(scene: Scene) -> None:
    scene.schedule(eof_after(5))
    async with scene.log("follow=true") as answer:
        assert await answer.read() == b"one\nt"


async def test_a_plain_answer_can_be_cut_too(scene: Scene) -> None:
    scene.schedule(Cut("close", after_bytes=5))
    async with scene.get() as answer:
        with pytest.raises(aiohttp.ClientPayloadError):
            await answer.read()


@pytest.mark.parametrize(
    ("after_lines", "expected"),
    [(0, b"rpc error"), (2, b"one\ntwo\nrpc error"), (None, LINES + b"rpc error")],
)
async def test_error_text_within_a_log(
    scene: Scene, after_lines: int | None, expected: bytes
) -> None:
    scene.schedule(in_band("rpc error", after_lines=after_lines))
    async with scene.log() as answer:
        assert (200, expected) == (answer.status, await answer.read())


async def test_a_follow_that_hangs_after_some_lines(scene: Scene) -> None:
    scene.schedule(hang_after(lines=1))
    async with scene.log("follow=true") as answer:
        assert await answer.content.readline() == b"one\n"
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(SHORT):
                await answer.content.readany()


async def test_running_follows_can_be_made_to_hang(scene: Scene) -> None:
    async with scene.log("follow=true") as answer:
        await answer.content.readexactly(len(LINES))

        assert scene.cluster.server.order_streams("hang", path="/log?") == 1

        scene.pod.write("never seen\n", at=T0)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(SHORT):
                await answer.content.readany()


async def test_running_streams_can_be_reset(scene: Scene) -> None:
    async with scene.log("follow=true") as answer:
        await answer.content.readexactly(len(LINES))
        scene.cluster.server.order_streams("reset")
        with pytest.raises(aiohttp.ClientError):
            await answer.content.readany()


GET = Call("GET", "/api/v1/pods", "list")
WATCH = Call("GET", "/api/v1/pods", "watch")


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ({}, "x..."),
        ({"nth": 2}, ".x.."),
        ({"nth": 2, "times": 2}, ".xx."),
        ({"times": None}, "xxxx"),
        ({"verb": "watch"}, ".x.."),
        ({"verb": "GET", "nth": 4}, "...x"),
        ({"path": "/nodes"}, "...."),
        ({"when": lambda call: call.verb == "watch", "nth": 2}, "...x"),
    ],
)
def test_a_schedule_fires_where_it_says(
    where: dict[str, int | str | Callable[[Call], bool] | None], expected: str
) -> None:
    plan = FaultPlan()
    plan.add(Reset(), **where)  # type: ignore[arg-type] # a table of keyword arguments

    assert expected == "".join("x" if plan.take(c) else "." for c in (GET, WATCH, GET, WATCH))


def test_the_first_of_two_schedules_wins_and_both_count() -> None:
    plan = FaultPlan()
    plan.add(Answer(500))
    plan.add(Answer(503), nth=2)

    assert [Answer(500), Answer(503), None] == [plan.take(GET) for _ in range(3)]
