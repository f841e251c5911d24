"""Pods as they are listed and watched: on the wire, in virtual time."""

from __future__ import annotations

import asyncio
import copy
import logging
import random
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import attrs
import kubernetes_asyncio.config  # noqa: F401 loaded before any clock runs: it takes half a second
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.source.api import Access, ApiError, Client
from agent.source.discovery import (
    MAX_EVENT_BYTES,
    MAX_PAGES,
    MIN_WATCH_SECONDS,
    WATCH_HOLDS_SECONDS,
    WATCH_SECONDS,
    Pod,
    Pods,
    Selection,
    pause_seconds,
    read_pod,
    watch,
)
from tests.faults import virtual
from tests.sim.apiserver import ApiOptions
from tests.sim.cluster import Cluster
from tests.sim.faults import Answer, Call, Cut, Fault, Reset
from tests.sim.gotime import SECOND
from tests.sim.status import Json
from tests.sim.store import PODS

NAMESPACE = "botkube"
SELECTION = Selection(NAMESPACE, "app=botkube", frozenset({"botkube"}))
T0 = 1_795_469_485 * SECOND
LIST, WATCH = "list", "watch"
OPTIONS = ApiOptions(piece_bytes=1 << 20)


@attrs.define(eq=False)
class Scene:
    """A cluster, somebody who watches its pods, and what was heard of them."""

    cluster: Cluster
    names: dict[str, str] = attrs.field(factory=dict)
    changes: Counter[str] = attrs.field(factory=Counter)
    lists: list[int] = attrs.field(factory=list)
    answers: list[int] = attrs.field(factory=list)
    missing: int = 0

    def changed(self, pod: Pod) -> None:
        self.names[pod.uid] = pod.name
        self.changes[pod.name] += 1

    def gone(self, uid: str) -> None:
        del self.names[uid]

    def listed(self, error: ApiError | None) -> None:
        self.lists.append(200 if error is None else error.status)

    def asked(self, error: ApiError | None) -> None:
        self.answers.append(200 if error is None else error.status)

    def may_not_watch(self) -> None:
        self.missing += 1

    def calls(self, verb: str) -> list[Call]:
        return [call for call in self.cluster.server.calls if call.verb == verb]

    def fault(self, fault: Fault, *, verb: str, times: int | None = 1) -> None:
        self.cluster.server.faults.add(fault, verb=verb, times=times)

    def pod(self, name: str) -> Any:  # noqa: ANN401 the simulation's
        return self.cluster.botkube(NAMESPACE, at=T0, name=name)


@asynccontextmanager
async def connected(cluster: Cluster) -> AsyncIterator[Client]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "kubeconfig"
        path.write_bytes(orjson.dumps(cluster.server.kubeconfig()))
        async with Client(Access(str(path)), "test") as client:
            yield client


def play(
    script: Callable[[Scene], Awaitable[None]],
    before: Callable[[Scene], None] = lambda _scene: None,
) -> Scene:
    """Watch a cluster while a script runs in virtual time; `before` prepares it."""

    async def work() -> Scene:
        async with Cluster.running(OPTIONS) as cluster, connected(cluster) as client:
            cluster.namespace(NAMESPACE)
            scene = Scene(cluster)
            before(scene)
            watching = asyncio.create_task(
                watch(
                    client,
                    SELECTION,
                    Pods(scene.changed, scene.gone),
                    random=random.Random(1),
                    listed=scene.listed,
                    may_not_watch=scene.may_not_watch,
                    asked=scene.asked,
                )
            )
            await script(scene)
            assert not watching.done() or watching.result()
            watching.cancel()
            with suppress(asyncio.CancelledError):
                await watching
            return scene

    return virtual.run(work(), seed=1)


async def sleep(seconds: float) -> None:
    await asyncio.sleep(seconds)


def heard(scene: Scene) -> set[str]:
    """Return the workloads whose pods are known."""
    return {name.split("-")[0] for name in scene.names.values()}


# What a watch brings


def test_pods_come_change_and_go() -> None:
    async def script(scene: Scene) -> None:
        await sleep(5)
        assert heard(scene) == {"one"}
        two = scene.pod("two")
        await sleep(5)
        assert heard(scene) == {"one", "two"}
        before = scene.changes[two.name]
        two.crash(at=T0)
        await sleep(5)
        assert scene.changes[two.name] == before + 1
        two.remove(at=T0)
        await sleep(5)
        assert heard(scene) == {"one"}

    scene = play(script, lambda scene: scene.pod("one"))

    assert scene.lists == [200]


def test_what_went_between_two_lists_is_gone() -> None:
    async def script(scene: Scene) -> None:
        await sleep(5)
        server = scene.cluster.server
        scene.fault(Reset(), verb=WATCH, times=None)
        server.order_streams("reset")
        await sleep(30)
        (pod,) = server.store.objects(PODS, NAMESPACE)
        server.store.delete(PODS, NAMESPACE, pod["metadata"]["name"])
        server.store.compact()
        server.faults.clear()
        await sleep(120)
        assert heard(scene) == set()

    scene = play(script, lambda scene: scene.pod("one"))

    assert scene.lists == [200, 200]


def test_a_list_of_many_pages_is_read_to_its_end() -> None:
    async def script(scene: Scene) -> None:
        await sleep(20)

    def many(scene: Scene) -> None:
        for number in range(501):
            labels = {"app": "botkube"}
            scene.cluster.pod(NAMESPACE, f"p{number}", images={"botkube": "x"}, labels=labels)

    scene = play(script, many)

    assert len(scene.names) == 501
    assert ["limit" in call.query for call in scene.calls(LIST)] == [True, True]


def test_a_watch_goes_on_from_a_bookmark() -> None:
    """What changes elsewhere moves the version on: without bookmarks it would be forgotten."""

    async def script(scene: Scene) -> None:
        server = scene.cluster.server
        await sleep(5)
        for number in range(3):
            scene.cluster.config_map("default", f"c{number}")
        server.send_bookmarks()
        await sleep(5)
        server.store.compact()
        server.order_streams("close", path="watch=true")
        await sleep(10)
        assert scene.calls(WATCH)[-1].query["resourceVersion"] == str(server.store.version)

    scene = play(script, lambda scene: scene.pod("one"))

    assert scene.lists == [200]


def test_a_watch_asks_for_an_end_that_differs() -> None:
    """Not all watches of all agents may end in the same second."""

    async def script(scene: Scene) -> None:
        await sleep(5 * WATCH_SECONDS)

    asked = [int(call.query["timeoutSeconds"]) for call in play(script).calls(WATCH)]

    assert len(asked) >= 4
    assert len(set(asked)) > 2
    assert all(0.8 * WATCH_SECONDS - 1 <= seconds <= 1.2 * WATCH_SECONDS for seconds in asked)


def test_history_that_is_gone_is_listed_again_at_once() -> None:
    async def script(scene: Scene) -> None:
        for count in range(1, 6):
            await sleep(5)
            scene.cluster.server.expire_watches()
            await sleep(0.15)
            assert len(scene.lists) == count + 1

    play(script)


def test_without_the_right_to_watch_the_list_is_asked_for_again_and_again() -> None:
    async def script(scene: Scene) -> None:
        await sleep(5)
        scene.pod("one")
        await sleep(600)
        assert heard(scene) == {"one"}

    def deny(scene: Scene) -> None:
        scene.cluster.server.access.deny("watch", "pods")

    scene = play(script, deny)

    assert 10 <= len(scene.lists) <= 60
    assert scene.missing > 0


# Whether it would be told of who comes


def test_a_watch_that_stays_silent_is_an_answer() -> None:
    async def script(_scene: Scene) -> None:
        await sleep(60)

    scene = play(script)

    assert (scene.answers, scene.lists) == ([200, 200], [200])


def test_a_watch_that_is_too_old_is_no_answer_before_it_says_so() -> None:
    async def script(scene: Scene) -> None:
        await sleep(WATCH_HOLDS_SECONDS / 2)
        assert (len(scene.calls(WATCH)), scene.lists) == (1, [200])
        scene.cluster.server.expire_watches()
        await sleep(5)

    scene = play(script)

    assert (scene.answers[:3], scene.lists) == ([200, 410, 200], [200, 200])


def test_a_watch_that_ends_well_is_an_answer_however_soon() -> None:
    async def script(_scene: Scene) -> None:
        await sleep(60)

    def end(scene: Scene) -> None:
        scene.fault(Cut("eof", after_bytes=0), verb=WATCH, times=None)

    scene = play(script, end)

    assert (set(scene.answers), scene.lists) == ({200}, [200])
    assert len(scene.answers) >= len(scene.calls(WATCH))


# How often it asks


def test_a_watch_that_ends_at_once_is_not_asked_for_without_a_pause() -> None:
    async def script(scene: Scene) -> None:
        await sleep(60)

    def end(scene: Scene) -> None:
        scene.fault(Cut("eof", after_bytes=0), verb=WATCH, times=None)

    scene = play(script, end)

    assert 30 <= len(scene.calls(WATCH)) <= 60 / (0.5 * MIN_WATCH_SECONDS)


@pytest.mark.parametrize("verb", [LIST, WATCH])
def test_a_server_that_fails_is_asked_less_and_less(verb: str) -> None:
    async def script(scene: Scene) -> None:
        await sleep(600)

    scene = play(script, lambda scene: scene.fault(Answer(500), verb=verb, times=None))

    # Full jitter: half a minute on average, once it has grown; at first it is a second or two.
    assert 15 <= len(scene.calls(verb)) <= 50


def test_a_server_that_asks_for_a_pause_gets_it() -> None:
    async def script(scene: Scene) -> None:
        await sleep(39)
        assert len(scene.calls(LIST)) == 1
        await sleep(10)
        assert len(scene.calls(LIST)) == 2

    play(script, lambda scene: scene.fault(Answer(429, retry_after=40), verb=LIST))


seeds = st.integers(0, 1 << 32).map(random.Random)


@given(st.integers(0, 10_000), st.sampled_from([0.01, 0.5, 2.0]), seeds)
def test_a_pause_grows_to_a_minute_at_most(failures: int, base: float, rng: random.Random) -> None:
    most = min(60.0, base * 2 ** min(failures, 10))

    assert base / 5 <= pause_seconds(failures, None, rng, base=base) <= most


@pytest.mark.parametrize(
    ("asked", "least", "most"),
    [(0, 0.5, 1.0), (-1, 0.5, 1.0), (7, 7.0, 7.5), (300, 300.0, 300.5), (1e9, 300.0, 300.5)],
)
def test_a_pause_that_is_asked_for_is_bounded_and_has_jitter(
    asked: float, least: float, most: float
) -> None:
    error = ApiError(429, "", retry_after_seconds=asked)
    rng = random.Random(1)
    pauses = [pause_seconds(1, error, rng) for _ in range(100)]

    assert least <= min(pauses) < max(pauses) <= most
    assert max(pauses) - min(pauses) > 0.3


def test_pauses_of_many_agents_differ() -> None:
    rng = random.Random(1)
    pauses = [pause_seconds(7, None, rng) for _ in range(100)]

    assert min(pauses) < 10
    assert max(pauses) > 50


# What is none


def list_of(scene: Scene, *items: object) -> Answer:
    version = str(scene.cluster.server.store.version)
    body = {"kind": "PodList", "metadata": {"resourceVersion": version}, "items": items}
    return Answer(200, body)


@pytest.mark.parametrize(
    "body",
    [
        b"null",
        b"[]",
        b"{}",
        b'{"metadata":{},"items":{}}',
        b'{"metadata":[],"items":[]}',
        b'{"metadata":{"continue":7},"items":[]}',
    ],
)
def test_an_answer_that_is_no_list_changes_nothing(body: bytes) -> None:
    async def script(scene: Scene) -> None:
        await sleep(5)
        scene.fault(Answer(200, body), verb=LIST)
        scene.cluster.server.expire_watches()
        await sleep(0.3)
        assert heard(scene) == {"one"}
        await sleep(60)
        assert heard(scene) == {"one"}

    scene = play(script, lambda scene: scene.pod("one"))

    assert scene.lists == [200, 0, 200]
    assert max(scene.changes.values()) < 10


def test_a_list_that_has_no_end_changes_nothing() -> None:
    endless = b'{"metadata":{"continue":"x","resourceVersion":"1"},"items":[]}'

    async def script(scene: Scene) -> None:
        await sleep(5)
        scene.fault(Answer(200, endless), verb=LIST, times=MAX_PAGES)
        scene.cluster.server.expire_watches()
        await sleep(60)
        assert heard(scene) == {"one"}

    scene = play(script, lambda scene: scene.pod("one"))

    assert scene.lists == [200, 0, 200]


@pytest.mark.parametrize(
    "odd",
    [
        None,
        7,
        [],
        {},
        {"metadata": []},
        {"metadata": {"uid": "u", "name": "n"}, "status": "x"},
        {"metadata": {"uid": "u", "name": "n", "labels": ["x"]}},
        {"metadata": {"uid": "u", "name": "n", "ownerReferences": [None]}},
        {"metadata": {"uid": "u", "name": "n"}, "status": {"containerStatuses": [None]}},
    ],
    ids=str,
)
def test_an_odd_pod_does_not_stop_the_others_and_is_said(
    odd: object, caplog: pytest.LogCaptureFixture
) -> None:
    async def script(scene: Scene) -> None:
        await sleep(5)
        (pod,) = scene.cluster.server.store.objects(PODS, NAMESPACE)
        scene.fault(list_of(scene, odd, pod), verb=LIST, times=2)
        for _ in range(2):
            scene.cluster.server.expire_watches()
            await sleep(5)
        scene.pod("two")
        await sleep(5)
        assert heard(scene) == {"one", "two"}

    play(script, lambda scene: scene.pod("one"))

    said = [record.msg for record in caplog.records if record.levelno >= logging.WARNING]
    assert said == ["pod cannot be understood"]


def test_a_pod_that_becomes_odd_stays_as_it_was() -> None:
    async def script(scene: Scene) -> None:
        await sleep(5)
        (pod,) = scene.cluster.server.store.objects(PODS, NAMESPACE)
        pod["status"]["containerStatuses"] = [None]
        scene.fault(list_of(scene, pod), verb=LIST)
        scene.cluster.server.expire_watches()
        await sleep(5)
        assert heard(scene) == {"one"}

    play(script, lambda scene: scene.pod("one"))


def test_a_list_with_a_pod_that_says_no_uid_takes_none_away() -> None:
    """It may be any of those that are not in the list."""

    async def script(scene: Scene) -> None:
        await sleep(5)
        scene.fault(list_of(scene, None), verb=LIST)
        scene.cluster.server.expire_watches()
        await sleep(5)
        assert heard(scene) == {"one"}
        scene.fault(list_of(scene), verb=LIST)
        scene.cluster.server.expire_watches()
        await sleep(0.5)
        assert heard(scene) == set()

    play(script, lambda scene: scene.pod("one"))


def line_of(event: object) -> Cut:
    """Let a watch begin with one line, and end."""
    return Cut("eof", after_bytes=0, text=orjson.dumps(event) + b"\n")


POD: Json = {
    "metadata": {
        "name": "botkube-6b-x",
        "namespace": NAMESPACE,
        "uid": "7e1f",
        "resourceVersion": "12",
        "labels": {"app": "botkube"},
        "ownerReferences": [{"kind": "ReplicaSet", "name": "botkube-6b", "uid": "9a"}],
    },
    "spec": {
        "containers": [
            {"name": "botkube", "image": "ghcr.io/kubeshop/botkube:v1.14.0@sha256:0937"},
        ]
    },
    "status": {
        "phase": "Running",
        "containerStatuses": [
            {
                "name": "botkube",
                "image": "sha256:4470ab49",
                "containerID": "containerd://2",
                "restartCount": 1,
                "state": {"running": {"startedAt": "2026-11-24T00:00:00Z"}},
                "lastState": {
                    "terminated": {
                        "containerID": "containerd://1",
                        "exitCode": 2,
                        "reason": "Error",
                        "startedAt": "2026-11-23T00:00:00Z",
                        "finishedAt": "2026-11-23T23:59:50Z",
                    }
                },
            }
        ],
    },
}


@pytest.mark.parametrize(
    "event",
    [
        None,
        [],
        7,
        "x",
        {},
        {"type": "ADDED"},
        {"type": "ADDED", "object": None},
        {"type": "ADDED", "object": [1]},
        {"type": [], "object": {"metadata": {"resourceVersion": 7}}},
        {"type": "ADDED", "object": {}},
        {"type": "DELETED", "object": {"metadata": "x"}},
        {"type": "BOOKMARK", "object": {"metadata": [1]}},
        {"type": "ERROR", "object": {"code": "x", "reason": [1]}},
        {"type": "ERROR", "object": None},
    ],
    ids=str,
)
def test_an_odd_event_does_not_end_the_watching(event: object) -> None:
    async def script(scene: Scene) -> None:
        await sleep(10)
        scene.pod("two")
        await sleep(10)
        assert heard(scene) == {"one", "two"}

    def prepare(scene: Scene) -> None:
        scene.pod("one")
        scene.fault(line_of(event), verb=WATCH)

    play(script, prepare)


def test_what_is_no_event_is_looked_up_in_a_list() -> None:
    """From the same version the watch might bring the same again, for ever."""

    async def script(scene: Scene) -> None:
        await sleep(10)

    scene = play(script, lambda scene: scene.fault(line_of(None), verb=WATCH))

    assert scene.lists == [200, 200]


def test_an_event_without_end_is_given_up() -> None:
    async def script(scene: Scene) -> None:
        cut = Cut("hang", after_bytes=0, text=b"x" * (MAX_EVENT_BYTES + 1))
        scene.fault(cut, verb=WATCH)
        await sleep(60)
        assert len(scene.calls(WATCH)) == 2

    play(script)


# What is read of a pod


def test_a_pod_is_read() -> None:
    pod = read_pod(POD, frozenset())
    (status,) = pod.containers

    assert (pod.name, pod.uid, pod.owner, pod.version) == ("botkube-6b-x", "7e1f", "botkube-6b", 12)
    # A runtime has no tag for an image that a digest pins.
    assert status.image == "ghcr.io/kubeshop/botkube:v1.14.0@sha256:0937"
    assert (status.restarts, status.is_running, status.started_seconds) == (1, True, 1_795_478_400)
    assert status.ended is None
    assert status.last_ended is not None
    assert (status.last_ended.exit_code, status.last_ended.finished_seconds) == (2, 1_795_478_390)


@pytest.mark.parametrize("is_waiting", [False, True])
@pytest.mark.parametrize(
    ("started", "began"),
    [("2026-11-24T00:00:07Z", 1_795_478_407), ("1970-01-01T00:00:00Z", 1_795_478_409)],
)
def test_of_one_that_has_ended_it_is_known_when_it_began(
    started: str, began: int, *, is_waiting: bool
) -> None:
    """In back-off, too, whose status is of the one before; one that never started ended at once."""
    pod = copy.deepcopy(POD)
    ended = {
        "containerID": "containerd://aa",
        "exitCode": 128,
        "startedAt": started,
        "finishedAt": "2026-11-24T00:00:09Z",
    }
    found = pod["status"]["containerStatuses"][0]
    found["containerID"] = "containerd://aa"
    found["state"] = {"waiting": {}} if is_waiting else {"terminated": ended}
    found["lastState"] = {"terminated": ended} if is_waiting else {}
    (status,) = read_pod(pod, frozenset()).containers

    assert status.began("containerd://aa") == began
    assert status.began("containerd://bb") is None


def test_containers_of_other_names_are_left_out() -> None:
    assert read_pod(POD, frozenset({"other"})).containers == ()


@pytest.mark.parametrize(
    "time",
    ["yesterday", 7, None, [], "2026", "2026-11-24", "0001-01-01T00:00:00Z", "²", "9" * 5000],
    ids=lambda time: str(time)[:20],
)
def test_a_time_that_is_none_is_zero(time: object) -> None:
    pod = copy.deepcopy(POD)
    pod["status"]["containerStatuses"][0]["state"]["running"]["startedAt"] = time
    (status,) = read_pod(pod, frozenset()).containers

    assert status.started_seconds == 0


@pytest.mark.parametrize("number", ["7", -1, 1.5, True, None, [], 1 << 31, 10**18])
def test_a_count_that_is_none_is_zero(number: object) -> None:
    pod = copy.deepcopy(POD)
    pod["status"]["containerStatuses"][0]["restartCount"] = number
    (status,) = read_pod(pod, frozenset()).containers

    assert status.restarts == 0


@pytest.mark.parametrize("version", ["²", "٣", "x", "", "9" * 5000, 7, None, []], ids=str)
def test_a_version_that_is_no_number_is_zero(version: object) -> None:
    pod = copy.deepcopy(POD)
    pod["metadata"]["resourceVersion"] = version

    assert read_pod(pod, frozenset()).version == 0


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(1 << 63), (1 << 64) - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
    | st.sampled_from(["2026-11-24T00:00:00Z", "Running", "botkube"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["metadata", "status", "uid", "name", "code", "state", "running"]),
            inner,
            max_size=3,
        )
    ),
    max_leaves=6,
)


@st.composite
def damaged(draw: st.DrawFn, whole: Json) -> object:
    """Return an object with some values at any depth replaced or removed."""
    top: Any = {"top": copy.deepcopy(whole)}
    for _ in range(draw(st.integers(1, 3))):
        node, key = top, "top"
        while isinstance(node[key], dict | list) and node[key] and draw(st.integers(0, 4)):
            node = node[key]
            key = draw(st.sampled_from(list(node) if isinstance(node, dict) else range(len(node))))
        node[key] = draw(anything)
    return orjson.loads(orjson.dumps(top["top"]))


@given(damaged(POD), st.sampled_from([frozenset[str](), frozenset({"botkube"})]))
def test_a_damaged_pod_is_read_or_refused(pod: object, containers: frozenset[str]) -> None:
    with suppress(ApiError):
        assert read_pod(pod, containers).uid


EVENT: Json = {"type": "MODIFIED", "object": POD}
PAGE: Json = {"kind": "PodList", "metadata": {"resourceVersion": "1"}, "items": [POD]}


@given(damaged(PAGE), damaged(EVENT), st.sampled_from(["ADDED", "DELETED", "ERROR", "BOOKMARK"]))
def test_nothing_that_a_server_says_ends_the_watching(
    page: object, event: object, kind: str
) -> None:
    if isinstance(event, dict) and event.get("type") == "MODIFIED":
        event["type"] = kind

    async def script(scene: Scene) -> None:
        await sleep(30)
        scene.pod("one")
        await sleep(90)
        assert "one" in heard(scene)

    def prepare(scene: Scene) -> None:
        scene.fault(Answer(200, orjson.dumps(page)), verb=LIST)
        scene.fault(line_of(event), verb=WATCH)

    play(script, prepare)
