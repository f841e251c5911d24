"""A real agent among texts that must not get out: who may see which of them, at every outlet.

`jqxz` stands in what nobody may see: lines of BotKube's log, labels, annotations, image tags, the
kubeconfig, versions, and whatever the API server and the destination answer. `wvkw` stands in names
that an operator needs to find a fault, of namespaces, pods and nodes: they may stand in the agent's
own log, on its page and in State, and never in what is sent, kept as sent, or measured.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import attrs
import orjson
import pytest

from agent.source.api import Access, ApiError, Client, NoCluster
from agent.state.document import _json as document_json
from agent.state.document import decode
from tests.sim.apiserver import ApiOptions
from tests.sim.cluster import Cluster
from tests.sim.collector import Collector
from tests.sim.faults import Answer, Fault
from tests.sim.pods import Pod
from tests.sim.store import PODS
from tests.test_privacy import CANARIES, TEMPLATES, without_hashes
from tests.watched import PATIENCE_SECONDS, PREFIX, Watched, settings_of, watched

SECRET = re.compile(r"[jqxz]{4}", re.IGNORECASE)
NAME = re.compile(r"wvkw", re.IGNORECASE)
NAMESPACE = "wvkw-team"
KEY = "aBcDeFgHiJkLmNoPqRsTuVwXyZ012345"
WORDS = "jqxz-said: xoxb-zxqj https://jqxz:zxqj@qqxx.zzjj"
STATUS = {
    "kind": "Status",
    "apiVersion": "v1",
    "metadata": {"name": WORDS},
    "status": "Failure",
    "message": f'pods "{WORDS}" is forbidden: User "{WORDS}" cannot',
    "reason": "Jqxzzqxj",
    "details": {"name": WORDS, "causes": [{"reason": WORDS, "message": WORDS, "field": WORDS}]},
}
LINES = [
    *(log.encode("utf-8", "replace") if isinstance(log, str) else log for log in CANARIES),
    *(
        orjson.dumps({"level": level, "msg": f"{text} {WORDS}", "error": WORDS, "time": WORDS})
        for level in ("debug", "info", "warning", "error", "fatal", "panic")
        for text in ("Starting BotKube", "while sending message", "Executing command", "panic:")
    ),
    *(
        log.replace(b"pods", b"jqxzzqxj").replace(b"default", b"zzxxqqjj") + b" " + WORDS.encode()
        for logs in TEMPLATES.values()
        for log in logs[:1]
    ),
    f"panic: {WORDS}\n\ngoroutine 1 [running]:\nmain.jqxzzqxj(0x1)\n".encode(),
]

pytestmark = pytest.mark.timeout(240)  # two processes beside a busy simulation


@attrs.define
class Outlets:
    """All that came out, by where it did."""

    on_wire: dict[str, str] = attrs.field(factory=dict)
    local: dict[str, str] = attrs.field(factory=dict)

    def found(self, what: re.Pattern[str], *, among: str = "") -> dict[str, str]:
        """Return where a canary stands, with what stands around it."""
        everything = self.on_wire if among == "wire" else self.on_wire | self.local
        hits = {name: what.search(text) for name, text in everything.items()}
        return {
            name: everything[name][max(0, hit.start() - 80) : hit.end() + 40]
            for name, hit in hits.items()
            if hit is not None
        }


def kubeconfig(cluster: Cluster) -> dict[str, Any]:
    """Return a kubeconfig in which every name and credential is a canary."""
    user = {"token": "jqxz-token-zxqj", "username": "jqxz"}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "jqxz-context",
        "preferences": {"jqxz": WORDS},
        "clusters": [{"name": "jqxz-cluster", "cluster": {"server": cluster.server.url}}],
        "users": [{"name": "jqxz-user", "user": user}],
        "contexts": [
            {"name": "jqxz-context", "context": {"cluster": "jqxz-cluster", "user": "jqxz-user"}}
        ],
    }


def furnish(cluster: Cluster) -> Pod:
    """Make the namespace and a pod of BotKube, with canaries in all that others may write there."""
    cluster.namespace(
        NAMESPACE, annotations={"jqxz/zxqj": WORDS, "botkube-analytics/disable": "no"}
    )
    config = {"jqxz.yaml": f"analytics: {{disable: false}}\nsettings: {{clusterName: '{WORDS}'}}\n"}
    cluster.config_map(NAMESPACE, "botkube-global-config", config)
    pod = cluster.botkube(
        NAMESPACE,
        at=time.time_ns(),
        name="wvkw-pod",
        node="wvkw-node",
        image="jqxz.example/zxqj/botkube:v1.14.0-jqxz",
    )
    labels = {"jqxz": "zxqj", "app.kubernetes.io/version": "v1.14.0-jqxz"}
    meta = {"labels": labels, "annotations": {"jqxz": WORDS}}
    cluster.server.store.merge(PODS, NAMESPACE, pod.name, {"metadata": meta})
    return pod


FAULTS: tuple[tuple[str, str, int, Fault], ...] = (
    ("/pods$", "list", 2, Answer(500, STATUS)),
    ("/pods$", "watch", 2, Answer(500, WORDS.encode())),
    ("/log$", "", 2, Answer(500, STATUS)),
    ("/namespaces/kube-system$", "", 1, Answer(403, STATUS)),
)


async def ask(port: int, path: str) -> str:
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"http://127.0.0.1:{port}{path}") as answer,
    ):
        return f"{dict(answer.headers)}\n{(await answer.read()).decode()}"


async def look(collector: Collector, port: int, page_port: int) -> Outlets:
    """Gather what an agent shows while it runs."""
    found = Outlets()
    found.on_wire |= {
        f"request {at}": f"{one.headers}\n{one.text.decode()}"
        for at, one in enumerate(collector.requests)
    }
    found.on_wire["metrics"] = await ask(port, "/metrics")
    for path in ("/readyz", "/healthz", "/nothing"):
        found.local[path] = await ask(port, path)
    for path in ("/", "/api/status", "/api/next", "/api/ledger"):
        found.local[f"page {path}"] = await ask(page_port, path)
    found.on_wire["next"] = found.local["page /api/next"]
    for entry in json.loads(found.local["page /api/ledger"].partition("\n")[2]):
        path = f"/api/ledger/{entry['number']}"
        found.on_wire[path] = await ask(page_port, path)
    return found


async def commands(folder: Path, page_port: int) -> dict[str, str]:
    """Return what the commands print that ask the running agent."""
    said = {}
    for command in (("status",), ("ledger",), ("ledger", "show", "1")):
        name = "-".join(command)
        port = {f"{PREFIX}PAGE_PORT": str(page_port)}
        async with watched(folder / name, *command, **port) as process:
            await process.process.wait()
        said[name] = process.out + process.err
    return said


def files(folder: Path) -> tuple[dict[str, str], dict[str, str]]:
    """Return what stands on disk: what is kept as it was sent, and State, unpacked."""
    kept = {str(one): one.read_text() for one in (folder / "ledger").iterdir()}
    document = decode((folder / "state.json").read_bytes())
    state = {"state": without_hashes(document_json(document)).decode()}
    state["installation"] = (folder / "state.installation.json").read_text()
    return kept, state


async def until(is_true: Callable[[], bool], agent: Watched) -> None:
    """Wait for what another process does; fail with what it said."""
    end = time.monotonic() + PATIENCE_SECONDS
    while not is_true() and time.monotonic() < end:  # noqa: ASYNC110 another process changes it
        await asyncio.sleep(0.05)
    assert is_true(), agent.out


async def test_no_text_of_others_gets_out_of_a_real_agent_anywhere(tmp_path: Path) -> None:
    folder = tmp_path / "agent"
    folder.mkdir()
    collector = Collector(KEY)
    options = ApiOptions(now=time.time_ns, git_version="v1.34.4-jqxz+zxqj")
    async with Cluster.running(options) as cluster, collector.running():
        pod = furnish(cluster)
        environment = settings_of(
            folder,
            kubeconfig(cluster),
            KUBERNETES_NAMESPACES=NAMESPACE,
            DESTINATION_ENDPOINT=collector.url,
            DESTINATION_WRITE_KEY=KEY,
            LOG_LEVEL="debug",
        )
        for path, verb, nth, fault in FAULTS:
            cluster.server.faults.add(fault, path=path, verb=verb, nth=nth)
        for number, status in enumerate((400, 500, 200)):
            body = json.dumps({"success": False, "message": WORDS, "error": STATUS}).encode()
            collector.faults.add(Answer(status, body), path="/v1/batch", nth=1 + number)
        async with watched(folder, "run", "--log-level", "debug", **environment) as agent:
            await agent.said("started")
            for number, line in enumerate(LINES):
                pod.write(line + b"\n", at=time.time_ns())
                if number % 20 == 0:
                    await asyncio.sleep(0.1)
                if number % 60 == 59:
                    cluster.server.order_streams("reset", path="/log")
            pod.crash(at=time.time_ns(), exit_code=2)  # what waits for another line is let go
            await until(lambda: len(collector.accepted) > 1, agent)
            cluster.server.end_watches()
            more = len(collector.requests) + 1
            await until(lambda: len(collector.requests) > more, agent)
            port, page_port = [(await agent.said(one))["port"] for one in ("mode", "page")]
            found = await look(collector, port, page_port)
            found.local |= await commands(tmp_path, page_port)
            code = await agent.end()
    kept, state = await asyncio.to_thread(files, folder)
    found.on_wire |= kept
    found.local |= {"out": agent.out, "err": agent.err, **state}
    logged = {line["message"] for line in agent.log()}

    assert code == 0
    assert agent.err == ""
    assert found.found(SECRET) == {}
    assert found.found(NAME, among="wire") == {}
    assert KEY not in str(found)
    # It would prove nothing if none of it had been met.
    sent = str(found.on_wire)
    assert "Application crashed" in sent
    assert "Collection report" in sent
    read = re.search(r"read_lines_total (\d+)", found.on_wire["metrics"])
    assert read is not None
    assert int(read.group(1)) > len(LINES)
    assert {"batch rejected and parked", "batch not accepted, will retry"} <= logged
    assert {"container cannot be read", "batch delivered"} & logged
    assert NAME.search(agent.out)
    assert NAME.search(found.local["page /"])
    assert len(kept) > 3


@pytest.mark.parametrize("status", [403, 500])
async def test_a_beginning_that_is_refused_repeats_no_answer(tmp_path: Path, status: int) -> None:
    folder = tmp_path / "agent"
    folder.mkdir()
    async with Cluster.running(ApiOptions(now=time.time_ns)) as cluster:
        furnish(cluster)
        cluster.server.faults.add(Answer(status, STATUS), times=None)
        environment = settings_of(folder, kubeconfig(cluster), KUBERNETES_NAMESPACES=NAMESPACE)
        async with watched(folder, "run", "--log-level", "debug", **environment) as agent:
            page = await agent.said("page")
            await until(lambda: len(cluster.server.calls) > 2 and len(agent.log()) > 2, agent)
            shown = await ask(page["port"], "/") + await ask(page["port"], "/api/status")
            await agent.end()
    said = agent.out + agent.err + shown

    assert SECRET.search(said) is None


@pytest.mark.parametrize(
    "change",
    [
        lambda _config: WORDS,
        lambda _config: f"a: [{WORDS}",
        lambda config: json.dumps({**config, "current-context": "zxqj-other"}),
        lambda config: json.dumps({**config, "clusters": WORDS}),
        lambda config: json.dumps(config).replace("http://127", "jqxz://zxqj:jqxz@127"),
        lambda config: json.dumps(config).replace('"token": "', '"tokenFile": "/jqxz/'),
        lambda config: json.dumps(config).replace(
            '"token": "jqxz-token-zxqj"',
            '"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "/jqxz/zxqj",'
            ' "args": ["jqxz"], "env": []}',
        ),
        lambda config: json.dumps(config).replace(
            '"token": "jqxz-token-zxqj"', '"client-certificate-data": "anF4eg==jqxz"'
        ),
    ],
    ids=["text", "torn", "context", "clusters", "scheme", "token-file", "program", "certificate"],
)
async def test_a_kubeconfig_that_cannot_be_used_is_not_repeated(
    tmp_path: Path, change: Callable[[dict[str, Any]], str]
) -> None:
    # What a library logs of it is not printed: `test_logs`.
    said = ""
    async with Cluster.running() as cluster:
        cluster.server.faults.add(Answer(401, STATUS), times=None)
        path = tmp_path / "kubeconfig"
        await asyncio.to_thread(path.write_text, change(kubeconfig(cluster)))
        try:
            async with Client(Access(str(path)), "test") as client:
                await client.get(f"/api/v1/namespaces/{NAMESPACE}")
        except (NoCluster, ApiError) as error:
            said = str(error)

    assert said
    assert SECRET.search(said) is None
