"""Pod logs over real HTTP: options, errors, following, and the pod's life seen through its log."""

import asyncio
import contextlib
import json
import random
from collections.abc import AsyncIterator

import aiohttp
import pytest

from tests.sim.apiserver import ApiOptions
from tests.sim.botkube import generate
from tests.sim.botkube_v1_14 import BotKubeV114
from tests.sim.cluster import Cluster
from tests.sim.gotime import SECOND
from tests.sim.pods import Pod

T0 = 1_795_469_485 * SECOND  # 2026-11-23T21:31:25Z


class Logs:
    """The log endpoint of one running BotKube pod."""

    def __init__(self, cluster: Cluster, pod: Pod, session: aiohttp.ClientSession) -> None:
        self.cluster = cluster
        self.pod = pod
        self.session = session

    @contextlib.asynccontextmanager
    async def open(self, **query: str) -> AsyncIterator[aiohttp.ClientResponse]:
        path = f"/api/v1/namespaces/botkube/pods/{self.pod.name}/log"
        async with self.session.get(self.cluster.server.url + path, params=query) as answer:
            yield answer

    async def read(self, **query: str) -> bytes:
        async with self.open(**query) as answer:
            assert (answer.status, answer.headers["Content-Type"]) == (200, "text/plain")
            return await answer.read()

    async def refusal(self, **query: str) -> tuple[int, str]:
        async with self.open(**query) as answer:
            assert answer.headers["Content-Type"] == "application/json"
            return answer.status, json.loads(await answer.read())["message"]


@contextlib.asynccontextmanager
async def running_pod(
    options: ApiOptions | None = None, *, sidecar: bool = False
) -> AsyncIterator[Logs]:
    async with Cluster.running(options) as cluster, aiohttp.ClientSession() as session:
        cluster.namespace("botkube")
        yield Logs(cluster, cluster.botkube("botkube", at=T0, sidecar=sidecar), session)


@pytest.fixture
async def logs() -> AsyncIterator[Logs]:
    async with running_pod() as logs:
        yield logs


async def test_since_time_is_cut_to_the_whole_second(logs: Logs) -> None:
    logs.pod.write("before\n", at=T0 - 1)
    logs.pod.write("one\n", at=T0 + 100_000_000)
    logs.pod.write("two\n", at=T0 + 600_000_000)

    assert await logs.read(sinceTime="2026-11-23T21:31:25.5Z") == b"one\ntwo\n"


async def test_since_seconds_counts_from_the_nodes_clock() -> None:
    async with running_pod(ApiOptions(now=lambda: T0 + 10 * SECOND)) as logs:
        logs.pod.write("old\n", at=T0 + 5 * SECOND - 1)
        logs.pod.write("new\n", at=T0 + 5 * SECOND)

        assert await logs.read(sinceSeconds="5") == b"new\n"


async def test_a_since_beyond_the_last_line_is_an_empty_200(logs: Logs) -> None:
    logs.pod.write("one\n", at=T0)

    assert await logs.read(sinceTime="2030-01-01T00:00:00Z") == b""


async def test_lines_carry_their_stamps_on_request(logs: Logs) -> None:
    logs.pod.write("one\n", at=T0 + 44_639_124)

    assert await logs.read(timestamps="true") == b"2026-11-23T21:31:25.044639124Z one\n"


@pytest.mark.parametrize(
    ("query", "code", "words"),
    [
        ({"sinceTime": "yesterday"}, 400, 'parsing time "yesterday" as'),
        ({"tailLines": "many"}, 400, 'strconv.ParseInt: parsing "many"'),
        ({"container": "nope"}, 400, "container nope is not valid for pod"),
        ({"previous": "true"}, 400, "previous terminated container"),
        ({"limitBytes": "0"}, 422, "limitBytes: Invalid value: 0: must be greater than 0"),
        ({"sinceSeconds": "0"}, 422, "sinceSeconds: Invalid value: 0"),
        ({"sinceSeconds": "1", "sinceTime": "2026-11-23T21:31:25Z"}, 422, "at most one of"),
        ({"tailLines": "-1"}, 422, "tailLines: Invalid value: -1"),
    ],
)
async def test_options_are_refused(
    logs: Logs, query: dict[str, str], code: int, words: str
) -> None:
    status, message = await logs.refusal(**query)

    assert code == status
    assert words in message


async def test_two_containers_need_a_name() -> None:
    async with running_pod(sidecar=True) as logs:
        logs.pod.write("side\n", at=T0, container="cfg-watcher")
        code, message = await logs.refusal()

        assert (code, message.endswith("choose one of: [botkube cfg-watcher]")) == (400, True)
        assert await logs.read(container="cfg-watcher") == b"side\n"


async def test_a_waiting_container_is_400(logs: Logs) -> None:
    logs.pod.wait_to_start("ContainerCreating")
    code, message = await logs.refusal()

    assert (code, message.endswith("is waiting to start: ContainerCreating")) == (400, True)


async def test_an_unscheduled_pod_has_no_content(logs: Logs) -> None:
    images, labels = {"botkube": "x"}, {"app": "botkube"}
    logs.pod = logs.cluster.pod("botkube", "new", images=images, labels=labels, node="")
    async with logs.open() as answer:
        assert (answer.status, await answer.read()) == (204, b"")


async def test_a_missing_pod_is_404(logs: Logs) -> None:
    logs.pod.remove(at=T0)

    assert (await logs.refusal())[0] == 404


async def test_a_follow_flushes_every_line(logs: Logs) -> None:
    logs.pod.write("zero\n", at=T0)
    async with logs.open(follow="true") as answer:
        assert await answer.content.readany() == b"zero\n"
        for text in (b"one\n", b"two\n"):
            logs.pod.write(text, at=T0)

            assert text == await answer.content.readany()


async def test_not_even_a_header_comes_before_the_first_line(logs: Logs) -> None:
    is_open = asyncio.Event()

    async def follow() -> bytes:
        async with logs.open(follow="true") as answer:
            is_open.set()
            return await answer.content.readany()

    following = asyncio.create_task(follow())
    while not logs.pod.log().listeners:  # noqa: ASYNC110 - the server has no event for it
        await asyncio.sleep(0)
    for _ in range(100):
        await asyncio.sleep(0)
    assert not is_open.is_set()
    logs.pod.write("one\n", at=T0)

    assert await following == b"one\n"


async def test_a_follow_goes_over_a_rotation(logs: Logs) -> None:
    logs.pod.write("old\n", at=T0)
    async with logs.open(follow="true") as answer:
        assert await answer.content.readline() == b"old\n"

        logs.pod.rotate()
        logs.pod.write("new\n", at=T0)

        assert await answer.content.readline() == b"new\n"
    assert await logs.read() == b"new\n"


async def test_a_follow_ends_when_its_container_does(logs: Logs) -> None:
    logs.pod.write("first\n", at=T0)
    async with logs.open(follow="true") as answer:
        logs.pod.write("last\n", at=T0)
        logs.pod.crash(at=T0 + SECOND)

        assert await answer.read() == b"first\nlast\n"


async def test_a_body_comes_in_pieces_that_do_not_heed_lines() -> None:
    async with running_pod(ApiOptions(piece_bytes=1000)) as logs:
        logs.pod.write(b"x" * 1500 + b"\n", at=T0)
        async with logs.open() as answer:
            pieces = [len(piece) async for piece, end in answer.content.iter_chunks() if end]

        assert pieces == [1000, 501]


async def test_a_crash_shows_in_the_status_and_in_previous(logs: Logs) -> None:
    first = logs.pod.container_id()
    logs.pod.write("first\n", at=T0)
    logs.pod.crash(at=T0 + SECOND, exit_code=2, reason="Error")
    logs.pod.restart(at=T0 + 2 * SECOND)
    logs.pod.write("second\n", at=T0 + 2 * SECOND)
    store = logs.cluster.server.store
    pods = [c.after for c in store.history if c.kind.plural == "pods"]
    status = pods[-1]["status"]["containerStatuses"][0]

    assert (await logs.read(), await logs.read(previous="true")) == (b"second\n", b"first\n")
    assert status["restartCount"] == 1
    assert status["containerID"] != first
    assert status["lastState"]["terminated"] == {
        "exitCode": 2,
        "reason": "Error",
        "startedAt": "2026-11-23T21:31:25Z",
        "finishedAt": "2026-11-23T21:31:26Z",
        "containerID": first,
    }


async def test_in_back_off_both_requests_read_the_same_dead_instance(logs: Logs) -> None:
    logs.pod.write("dead\n", at=T0)
    logs.pod.crash(at=T0)
    logs.pod.back_off()

    assert await logs.read() == await logs.read(previous="true") == b"dead\n"


async def test_a_dead_instance_that_is_gone_is_text_without_a_stamp(logs: Logs) -> None:
    gone = logs.pod.container_id()
    logs.pod.crash(at=T0)
    logs.pod.restart(at=T0)
    logs.pod.forget_dead()
    reply = await logs.read(previous="true", timestamps="true")

    assert reply == f"unable to retrieve container logs for {gone}".encode()
    assert len(gone) == len("containerd://") + 64


async def test_only_one_dead_instance_is_kept(logs: Logs) -> None:
    for text in ("one\n", "two\n"):
        logs.pod.write(text, at=T0)
        logs.pod.crash(at=T0)
        logs.pod.restart(at=T0)

    assert await logs.read(previous="true") == b"two\n"
    assert len(logs.cluster.server.kubelet.instances) == 2


async def test_a_pod_that_goes_can_be_read_until_it_is_gone(logs: Logs) -> None:
    logs.pod.begin_delete(at=T0)
    logs.pod.write("last words\n", at=T0)

    assert await logs.read() == b"last words\n"

    async with logs.open(follow="true") as answer:
        logs.pod.remove(at=T0 + SECOND)

        assert await answer.read() == b"last words\n"
    pods = [c for c in logs.cluster.server.store.history if c.kind.plural == "pods"]
    assert pods[-1].type == "DELETED"
    assert "deletionTimestamp" in pods[-1].after["metadata"]


async def test_a_writers_actions_come_back_line_by_line(logs: Logs) -> None:
    rng = random.Random(5)
    actions = list(generate(BotKubeV114(rng), rng, range(T0, T0 + 50)))
    for action in actions:
        logs.pod.play(action)

    assert await logs.read() == b"".join(action.text for action in actions)


async def test_a_client_that_leaves_frees_its_stream(logs: Logs) -> None:
    logs.pod.write("one\n", at=T0)
    async with logs.open(follow="true"):
        pass
    async with asyncio.timeout(1):
        while logs.cluster.server.wires:  # noqa: ASYNC110 - the server has no event for it
            await asyncio.sleep(0)

    assert not logs.pod.log().listeners
