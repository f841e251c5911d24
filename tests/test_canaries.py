"""A real agent whose beginning is refused or whose kubeconfig is unusable: it repeats nothing.

`jqxz` stands in labels, annotations, image tags, the kubeconfig, and whatever the API server
answers. `wvkw` stands in names that an operator needs to find a fault: these may be in the log.
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
import pytest

from tests.sim.apiserver import ApiOptions
from tests.sim.cluster import Cluster
from tests.sim.faults import Answer
from tests.sim.pods import Pod
from tests.sim.store import PODS
from tests.watched import settings_of, watched

SECRET = re.compile(r"[jqxz]{4}", re.IGNORECASE)
NAMESPACE = "wvkw-team"
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
pytestmark = pytest.mark.timeout(240)  # two processes beside a busy simulation


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


async def ask(port: int, path: str) -> str:
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"http://127.0.0.1:{port}{path}") as answer,
    ):
        return f"{dict(answer.headers)}\n{(await answer.read()).decode()}"


@pytest.mark.parametrize("status", [401, 403, 500])
async def test_a_beginning_that_is_refused_repeats_no_answer(tmp_path: Path, status: int) -> None:
    folder = tmp_path / "agent"
    folder.mkdir()
    async with Cluster.running(ApiOptions(now=time.time_ns)) as cluster:
        furnish(cluster)
        cluster.server.faults.add(Answer(status, STATUS), times=None)
        environment = settings_of(folder, kubeconfig(cluster), KUBERNETES_NAMESPACES=NAMESPACE)
        async with watched(folder, "run", "--log-level", "debug", **environment) as agent:
            page = await agent.said("page")
            await asyncio.sleep(2)
            shown = await ask(page["port"], "/") + await ask(page["port"], "/api/status")
            await agent.end()
    said = agent.out + agent.err + shown

    assert SECRET.search(said) is None
    assert cluster.server.calls
    assert len(agent.log()) > 2


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
    folder = tmp_path / "agent"
    folder.mkdir()
    async with Cluster.running() as cluster:
        environment = settings_of(folder, {}, KUBERNETES_NAMESPACES=NAMESPACE)
        (folder / "kubeconfig").write_text(change(kubeconfig(cluster)))
        async with watched(folder, "run", "--log-level", "debug", **environment) as agent:
            await agent.said("page")
            await asyncio.sleep(1)
            await agent.end()

    assert SECRET.search(agent.out + agent.err) is None
    assert agent.err == ""
