"""The simulated API over real HTTP: objects, lists, watches and rights."""

import contextlib
import io
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from agent.source.discovery import METADATA
from tests.sim.access import Rule
from tests.sim.apiserver import ApiOptions
from tests.sim.cluster import KUBE_SYSTEM_UID, Cluster
from tests.sim.store import CONFIGMAPS

Json = dict[str, Any]
NAMESPACED = "/api/v1/namespaces/botkube"
LEASES = "/apis/coordination.k8s.io/v1/namespaces/botkube/leases"


class Client:
    """Requests as a test wants them: status and decoded body."""

    def __init__(self, cluster: Cluster, session: aiohttp.ClientSession) -> None:
        self.cluster = cluster
        self.session = session

    async def call(
        self, method: str, path: str, body: object = None, *, headers: dict[str, str] | None = None
    ) -> tuple[int, Any]:
        return await self._call(method, path, body, {}, headers or {})

    async def get(self, path: str, **query: str) -> tuple[int, Any]:
        return await self._call("GET", path, None, query, {})

    async def _call(
        self, method: str, path: str, body: object, *options: dict[str, str]
    ) -> tuple[int, Any]:
        query, headers = options
        url = self.cluster.server.url + path
        # A stream, because aiohttp warns of large bodies that are bytes.
        data = None if body is None else io.BytesIO(json.dumps(body).encode())
        async with self.session.request(
            method,
            url,
            data=data,
            params=query,
            headers={"Content-Type": "application/json", **headers},
        ) as answer:
            return answer.status, json.loads(await answer.read())

    @contextlib.asynccontextmanager
    async def watch(self, path: str, **query: str) -> AsyncIterator[aiohttp.StreamReader]:
        url = self.cluster.server.url + path
        async with self.session.get(url, params={"watch": "true", **query}) as answer:
            assert answer.status == 200
            yield answer.content


async def event(stream: aiohttp.StreamReader) -> tuple[str, Json]:
    line = json.loads(await stream.readline())
    return line["type"], line["object"]


@contextlib.asynccontextmanager
async def connected(options: ApiOptions | None = None) -> AsyncIterator[Client]:
    async with Cluster.running(options) as cluster, aiohttp.ClientSession() as session:
        cluster.namespace("botkube")
        yield Client(cluster, session)


@pytest.fixture
async def api() -> AsyncIterator[Client]:
    async with connected() as client:
        yield client


def configmap(name: str = "state", **data: str) -> Json:
    return {"metadata": {"name": name}, "data": data}


async def test_version_is_that_of_the_options(api: Client) -> None:
    code, body = await api.get("/version")

    assert (code, body["major"], body["minor"], body["gitVersion"]) == (200, "1", "34", "v1.34.4")


async def test_kube_system_has_its_uid(api: Client) -> None:
    _, body = await api.get("/api/v1/namespaces/kube-system")

    assert body["metadata"]["uid"] == KUBE_SYSTEM_UID


async def test_missing_objects_are_404_with_a_status(api: Client) -> None:
    assert await api.get(f"{NAMESPACED}/configmaps/nope") == (
        404,
        {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": 'configmaps "nope" not found',
            "reason": "NotFound",
            "details": {"name": "nope", "kind": "configmaps"},
            "code": 404,
        },
    )


async def test_a_group_is_part_of_the_message(api: Client) -> None:
    _, body = await api.get(f"{LEASES}/nope")

    assert body["message"] == 'leases.coordination.k8s.io "nope" not found'
    assert body["details"]["group"] == "coordination.k8s.io"


async def test_unknown_paths_are_plain_404_and_unknown_resources_are_not(api: Client) -> None:
    async with api.session.get(f"{api.cluster.server.url}/nonsense") as answer:
        assert (answer.status, await answer.read()) == (404, b"404 page not found\n")
    code, body = await api.get("/api/v1/nonsense")
    assert (code, body["reason"]) == (404, "NotFound")


async def test_the_owners_of_a_pod_can_be_followed(api: Client) -> None:
    pod = api.cluster.botkube("botkube", version="v1.14.0")
    _, obj = await api.get(f"{NAMESPACED}/pods/{pod.name}")
    apps = "/apis/apps/v1/namespaces/botkube"
    _, owner = await api.get(f"{apps}/replicasets/{obj['metadata']['ownerReferences'][0]['name']}")
    _, top = await api.get(f"{apps}/deployments/{owner['metadata']['ownerReferences'][0]['name']}")

    assert top["metadata"]["labels"]["helm.sh/chart"] == "botkube-v1.14.0"


async def test_a_put_with_an_old_version_is_a_conflict(api: Client) -> None:
    code, first = await api.call("POST", f"{NAMESPACED}/configmaps", configmap(a="1"))
    assert code == 201

    first["data"] = {"a": "2"}
    code, second = await api.call("PUT", f"{NAMESPACED}/configmaps/state", first)
    assert code == 200
    assert int(second["metadata"]["resourceVersion"]) > int(first["metadata"]["resourceVersion"])

    code, body = await api.call("PUT", f"{NAMESPACED}/configmaps/state", first)
    assert (code, body["reason"]) == (409, "Conflict")


async def test_a_put_that_changes_nothing_keeps_the_version(api: Client) -> None:
    _, first = await api.call("POST", f"{NAMESPACED}/configmaps", configmap(a="1"))

    assert await api.call("PUT", f"{NAMESPACED}/configmaps/state", first) == (200, first)


async def test_a_put_with_the_uid_of_a_deleted_object_is_a_conflict(api: Client) -> None:
    _, first = await api.call("POST", f"{NAMESPACED}/configmaps", configmap())
    await api.call("DELETE", f"{NAMESPACED}/configmaps/state")
    await api.call("POST", f"{NAMESPACED}/configmaps", configmap())
    del first["metadata"]["resourceVersion"]
    code, body = await api.call("PUT", f"{NAMESPACED}/configmaps/state", first)

    assert code == 409
    assert "Precondition failed: UID in precondition" in body["message"]


@pytest.mark.parametrize(
    ("request_line", "body", "code", "words"),
    [
        (("POST", f"{NAMESPACED}/configmaps"), configmap("there"), 409, "already exists"),
        (("POST", f"{NAMESPACED}/configmaps"), {"metadata": {}}, 422, "Required value"),
        (("POST", "/api/v1/namespaces/no/configmaps"), configmap(), 404, 'namespaces "no"'),
        (("PUT", f"{NAMESPACED}/configmaps/there"), configmap("here"), 400, "does not match"),
        (("PUT", f"{NAMESPACED}/configmaps/nope"), configmap("nope"), 404, "not found"),
        (
            ("PUT", f"{NAMESPACED}/configmaps/there"),
            configmap("there", a="x" * 1048577),
            422,
            "Too",
        ),
        (("PUT", f"{LEASES}/there"), {"metadata": {"name": "there"}}, 422, "must be specified"),
        (("POST", f"{NAMESPACED}/configmaps"), configmap("UPPER"), 422, "RFC 1123"),
        (("POST", f"{NAMESPACED}/configmaps"), configmap(**{"a b": "x"}), 422, "valid config key"),
        (("POST", f"{NAMESPACED}/configmaps"), {"data": {"a": 1}}, 400, "data.a is no string"),
        (("POST", f"{NAMESPACED}/configmaps"), {"kind": "Secret"}, 400, "cannot be handled as"),
        (("POST", f"{NAMESPACED}/configmaps/there"), {}, 405, "does not allow this method"),
    ],
)
async def test_writes_are_refused_as_the_real_server_does(
    api: Client, request_line: tuple[str, str], body: Json, code: int, words: str
) -> None:
    api.cluster.config_map("botkube", "there")
    await api.call("POST", LEASES, {"metadata": {"name": "there"}, "spec": {}})
    status, answer = await api.call(*request_line, body)

    assert code == status
    assert words in answer["message"]


async def test_a_put_creates_a_lease(api: Client) -> None:
    code, body = await api.call("PUT", f"{LEASES}/agent", {"metadata": {"name": "agent"}})

    assert (code, body["kind"]) == (201, "Lease")


async def test_a_merge_patch_removes_what_is_null(api: Client) -> None:
    await api.call("POST", f"{NAMESPACED}/configmaps", configmap(a="1", b="2"))
    _, body = await api.call(
        "PATCH",
        f"{NAMESPACED}/configmaps/state",
        {"data": {"a": None, "c": "3"}},
        headers={"Content-Type": "application/merge-patch+json"},
    )

    assert body["data"] == {"b": "2", "c": "3"}


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, 2),
        ({"labelSelector": "app=botkube,component=controller"}, 1),
        ({"labelSelector": "app in (botkube, other)"}, 2),
        ({"labelSelector": "app!=botkube"}, 1),
        ({"labelSelector": "!component"}, 1),
        ({"fieldSelector": "spec.nodeName=node-1"}, 1),
        ({"fieldSelector": "metadata.name=other,spec.nodeName=node-2"}, 1),
        ({"fieldSelector": "status.phase=Running"}, 1),
    ],
)
async def test_lists_are_selected(api: Client, query: dict[str, str], expected: int) -> None:
    api.cluster.botkube("botkube")
    images, labels = {"main": "x"}, {"app": "other"}
    api.cluster.pod("botkube", "other", images=images, labels=labels, node="node-2")
    _, body = await api.get("/api/v1/pods", **query)

    assert expected == len(body["items"])
    assert (body["kind"], body["apiVersion"]) == ("PodList", "v1")
    assert "kind" not in body["items"][0]


async def test_an_unknown_field_is_400(api: Client) -> None:
    code, body = await api.get(f"{NAMESPACED}/pods", fieldSelector="spec.colour=red")

    assert code == 400
    assert "field label not supported: spec.colour" in body["message"]


async def test_a_list_comes_in_pages_until_they_expire(api: Client) -> None:
    for name in ("a", "b", "c"):
        api.cluster.config_map("botkube", name)
    path = f"{NAMESPACED}/configmaps"
    _, first = await api.get(path, limit="2")
    token = first["metadata"]["continue"]
    _, rest = await api.get(path, limit="2", **{"continue": token})

    names = [item["metadata"]["name"] for item in first["items"] + rest["items"]]
    assert names == ["a", "b", "c"]

    api.cluster.server.store.tick()
    api.cluster.server.store.compact()
    assert (await api.get(path, **{"continue": token}))[0] == 410


async def test_of_a_pod_its_metadata_alone_can_be_had(api: Client) -> None:
    api.cluster.botkube("botkube")
    whole = await api.get(f"{NAMESPACED}/pods")
    code, found = await api.call("GET", f"{NAMESPACED}/pods", headers={"Accept": METADATA})

    assert (whole[0], code, found["kind"]) == (200, 200, "PartialObjectMetadataList")
    assert [one.keys() for one in found["items"]] == [{"kind", "apiVersion", "metadata"}]
    assert found["items"][0]["metadata"] == whole[1]["items"][0]["metadata"]


async def test_a_watch_goes_on_from_the_version_of_a_list(api: Client) -> None:
    path = f"{NAMESPACED}/configmaps"
    api.cluster.config_map("botkube", "before")
    _, listed = await api.get(path)
    missed = api.cluster.config_map("botkube", "missed")
    async with api.watch(path, resourceVersion=listed["metadata"]["resourceVersion"]) as stream:
        assert ("ADDED", missed) == await event(stream)
        store = api.cluster.server.store
        changed = store.update(CONFIGMAPS, "botkube", "missed", configmap("missed", a="1"))
        assert ("MODIFIED", changed) == await event(stream)
        gone = store.delete(CONFIGMAPS, "botkube", "missed")
        assert ("DELETED", gone) == await event(stream)


async def test_a_watch_without_a_version_starts_with_what_is_there(api: Client) -> None:
    there = api.cluster.config_map("botkube", "there")
    async with api.watch(f"{NAMESPACED}/configmaps") as stream:
        assert ("ADDED", there) == await event(stream)


async def test_what_leaves_a_watchs_selection_is_deleted_for_it(api: Client) -> None:
    pod = api.cluster.botkube("botkube")
    query = {"fieldSelector": "status.phase=Pending", "resourceVersion": "1"}
    async with api.watch(f"{NAMESPACED}/pods", **query) as stream:
        kinds = [await event(stream) for _ in range(3)]

    assert [kind for kind, _ in kinds] == ["ADDED", "MODIFIED", "DELETED"]
    assert {pod.name} == {obj["metadata"]["name"] for _, obj in kinds}


async def test_bookmarks_are_sent_to_those_who_asked(api: Client) -> None:
    path, server = f"{NAMESPACED}/pods", api.cluster.server
    version = str(server.store.version)
    async with (
        api.watch(path, resourceVersion=version, allowWatchBookmarks="true") as asked,
        api.watch(path, resourceVersion=version) as silent,
    ):
        server.store.tick()
        server.end_watches()
        kind, mark = await event(asked)

        assert ("BOOKMARK", str(server.store.version)) == (
            kind,
            mark["metadata"]["resourceVersion"],
        )
        assert await silent.read() == b""


async def test_a_watch_ends_after_its_timeout() -> None:
    async with (
        connected(ApiOptions(second=0.001)) as api,
        api.watch(f"{NAMESPACED}/pods", timeoutSeconds="5") as stream,
    ):
        assert await stream.read() == b""


async def test_a_version_that_is_too_old_is_an_error_event(api: Client) -> None:
    api.cluster.server.store.compact()
    async with api.watch(f"{NAMESPACED}/pods", resourceVersion="1") as stream:
        kind, status = await event(stream)

        assert (kind, status["code"], status["reason"]) == ("ERROR", 410, "Expired")
        assert await stream.read() == b""


async def test_a_version_that_is_too_old_may_be_a_status() -> None:
    async with connected(ApiOptions(gone_as_status=True)) as api:
        api.cluster.server.store.compact()
        code, body = await api.get(f"{NAMESPACED}/pods", watch="1", resourceVersion="1")

        assert (code, body["reason"]) == (410, "Expired")


async def test_running_watches_can_expire(api: Client) -> None:
    version = str(api.cluster.server.store.version)
    async with api.watch(f"{NAMESPACED}/pods", resourceVersion=version) as stream:
        api.cluster.server.expire_watches()

        assert (await event(stream))[0] == "ERROR"


async def test_a_version_of_the_future_is_a_timeout(api: Client) -> None:
    code, body = await api.get(f"{NAMESPACED}/pods", resourceVersion="999999")

    assert (code, body["reason"]) == (504, "Timeout")


def bearer(token: str) -> dict[str, dict[str, str]]:
    return {"headers": {"Authorization": f"Bearer {token}"}}


async def test_tokens_are_checked(api: Client) -> None:
    api.cluster.server.access.tokens["good"] = "system:serviceaccount:botkube:agent"
    path = f"{NAMESPACED}/pods"

    assert (await api.call("GET", path, **bearer("good")))[0] == 200
    assert (await api.call("GET", path, **bearer("stale")))[0] == 401
    assert (await api.call("GET", path))[0] == 403
    assert (await api.call("GET", "/version"))[0] == 200


async def test_a_missing_right_is_403_in_the_apis_words(api: Client) -> None:
    pod = api.cluster.botkube("botkube")
    api.cluster.server.access.deny("get", "pods/log", namespace="botkube")
    code, body = await api.get(f"{NAMESPACED}/pods/{pod.name}/log")

    assert code == 403
    assert body["message"] == (
        f'pods "{pod.name}" is forbidden: User "system:admin" cannot get resource "pods/log" '
        'in API group "" in the namespace "botkube"'
    )
    assert (await api.get(f"{NAMESPACED}/pods/{pod.name}"))[0] == 200


async def test_only_granted_rights_are_held(api: Client) -> None:
    api.cluster.server.access.granted = [Rule("get", "configmaps", "botkube", "state")]
    api.cluster.config_map("botkube", "state")

    assert (await api.get(f"{NAMESPACED}/configmaps/state"))[0] == 200
    assert (await api.get(f"{NAMESPACED}/configmaps/other"))[0] == 403
    assert (await api.get("/api/v1/pods"))[1]["message"].endswith("at the cluster scope")


async def test_stopping_does_not_wait_for_running_watches() -> None:
    async with aiohttp.ClientSession() as session:
        async with Cluster.running() as cluster:
            answer = await session.get(f"{cluster.server.url}/api/v1/pods?watch=1")
        with pytest.raises(aiohttp.ClientPayloadError):
            await answer.read()


# --- reviews of one's own rights ------------------------------------------------------------------

REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"


def review(**attributes: str) -> Json:
    kind = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview"}
    return kind | {"spec": {"resourceAttributes": attributes}}


async def allowed(api: Client, **attributes: str) -> bool:
    code, body = await api.call("POST", REVIEWS, review(**attributes))
    assert code == 201
    return bool(body["status"]["allowed"])


async def test_a_review_says_what_the_rules_say(api: Client) -> None:
    access = api.cluster.server.access
    access.granted = [Rule("get", "configmaps", "botkube", "state"), Rule("get", "pods/log")]
    state = {"verb": "get", "resource": "configmaps", "namespace": "botkube", "name": "state"}
    log = {"verb": "get", "resource": "pods", "subresource": "log", "namespace": "botkube"}

    assert await allowed(api, **state)
    assert await allowed(api, **log)
    assert not await allowed(api, **state | {"verb": "update"})
    assert not await allowed(api, **state | {"name": ""})
    assert not await allowed(api, **state | {"namespace": "default"})
    assert not await allowed(api, **log | {"subresource": ""})
    assert not await allowed(api, **state | {"group": "apps"})
    access.deny("get", "configmaps")
    assert not await allowed(api, **state)


async def test_a_review_agrees_with_what_is_then_answered(api: Client) -> None:
    api.cluster.server.access.granted = [Rule("get", "namespaces", "kube-system", "kube-system")]

    for name in ("kube-system", "botkube"):
        may = await allowed(api, verb="get", resource="namespaces", namespace=name, name=name)
        code, _ = await api.get(f"/api/v1/namespaces/{name}")
        assert may is (code == 200)


async def test_a_review_asks_one_thing_and_is_not_kept(api: Client) -> None:
    code, body = await api.call("POST", REVIEWS, {"spec": {}})
    assert (code, body["details"]["causes"][0]["field"]) == (422, "spec.resourceAttributes")
    both = {"resourceAttributes": {}, "nonResourceAttributes": {"path": "/"}}
    code, body = await api.call("POST", REVIEWS, {"spec": both})
    assert (code, body["details"]["causes"][0]["field"]) == (422, "spec.nonResourceAttributes")
    assert (await api.get(REVIEWS))[0] == 405


async def test_only_who_is_known_may_ask_for_a_review(api: Client) -> None:
    api.cluster.server.access.tokens = {"secret": "agent"}
    answers = [
        (await api.call("POST", REVIEWS, review(verb="get"), headers=headers))[0]
        for headers in ({}, {"Authorization": "Bearer secret"}, {"Authorization": "Bearer other"})
    ]

    assert answers == [403, 201, 401]


async def test_the_date_is_the_servers_own(api: Client) -> None:
    api.cluster.server.date = lambda: 1_800_000_000.9
    async with api.session.get(api.cluster.server.url + "/version") as answer:
        assert answer.headers["Date"] == "Fri, 15 Jan 2027 08:00:00 GMT"
