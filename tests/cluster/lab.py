"""One namespace of the real cluster, with `deploy/manifests/` in it, and real agent processes.

Owns the agents, the writers' truth and the comparison with what a local collector accepted.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import random
import secrets
import shutil
import signal
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import attrs
import pytest

from tests import manifests
from tests.cluster.api import Api, Json
from tests.cluster.controlplane import ControlPlane, Given
from tests.cluster.node import Node
from tests.faults.test_processes import counted, gaps, wait_until
from tests.sim.botkube import Fact, generate
from tests.sim.botkube_v1_14 import BotKubeV114
from tests.sim.collector import Collector
from tests.sim.pods import Pod

ACCOUNT = LEASE = "botkube-analytics"
STATE = "botkube-analytics-state"
WINDOW_SECONDS = 2
PATIENCE_SECONDS = 40
ROOT = Path(__file__).parent.parent.parent


@attrs.define(eq=False)
class Agent:
    """An agent as in a pod; a process that ends is not started again by itself."""

    environment: Mapping[str, str]
    log: Path
    process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        with self.log.open("ab") as output:
            self.process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "tests.cluster.in_pod",
                env=dict(self.environment), cwd=ROOT, stdout=output, stderr=output,
            )  # fmt: skip

    @property
    def is_running(self) -> bool:
        return self.process is not None and self.process.returncode is None

    async def end(self, number: signal.Signals) -> int:
        assert self.process is not None
        if self.process.returncode is None:
            self.process.send_signal(number)
        return await self.process.wait()

    def said(self, message: str) -> list[dict[str, Any]]:
        """Return the lines of its log with one message."""
        lines = self.log.read_text(encoding="utf-8").splitlines()
        return [one for one in map(_line, lines) if one.get("message") == message]


@attrs.define(eq=False)
class Lab:
    """A namespace, its node, its agents, its collector, and what its pods wrote."""

    cluster: ControlPlane | Given
    node: Node
    collector: Collector
    folder: Path
    truth: Counter[Fact] = attrs.field(factory=Counter)
    lines: int = 0
    agents: list[Agent] = attrs.field(factory=list)
    _writers: dict[str, Any] = attrs.field(factory=dict)

    @property
    def namespace(self) -> str:
        return self.node.name

    @property
    def api(self) -> Api:
        return self.cluster.api

    @property
    def plane(self) -> ControlPlane:
        """The control plane, where it is ours to kill and to look into."""
        if not isinstance(self.cluster, ControlPlane):
            pytest.skip("not in a cluster that others use")
        return self.cluster

    @property
    def user(self) -> str:
        return f"system:serviceaccount:{self.namespace}:{ACCOUNT}"

    async def agent(self, *, waits: bool = True, **settings: str) -> Agent:
        """Start an agent; it has listed the pods when this returns, unless `waits` is off."""
        log = self.folder / f"agent-{len(self.agents)}.log"
        agent = Agent(self._environment(settings), log)
        self.agents.append(agent)
        await agent.start()
        if waits:
            await self.until(lambda: bool(agent.said("pods listed")))
        return agent

    def token(self, bound_to: Json | None = None) -> str:
        """Return a token of the agent's account, which dies with the object that it is bound to."""
        spec: Json = {"expirationSeconds": 600}
        if bound_to is not None:
            kept = {"name": bound_to["metadata"]["name"], "uid": bound_to["metadata"]["uid"]}
            spec["boundObjectRef"] = {"apiVersion": "v1", "kind": "Pod", **kept}
        path = f"/api/v1/namespaces/{self.namespace}/serviceaccounts/{ACCOUNT}/token"
        token: str = self.api.ask("POST", path, {"spec": spec})["status"]["token"]
        return token

    def pod_of_an_agent(self, name: str) -> Json:
        """Create a pod to which a token can be bound; nothing runs in it."""
        spec = {"serviceAccountName": ACCOUNT, "containers": [{"name": "agent", "image": "agent"}]}
        path = f"/api/v1/namespaces/{self.namespace}/pods"
        return self.api.ask("POST", path, {"metadata": {"name": name}, "spec": spec})

    def remove(self, pod: Json) -> None:
        path = f"/api/v1/namespaces/{self.namespace}/pods/{pod['metadata']['name']}"
        self.api.ask("DELETE", f"{path}?gracePeriodSeconds=0")

    @property
    def own_api(self) -> Api:
        """The API as the agent's account may use it."""
        return self.api.as_bearer(self.token())

    def may(self, verb: str, resource: str, *, group: str = "", name: str = "") -> bool:
        """Ask the API server whether the agent's account has a right in its namespace."""
        resource, _, subresource = resource.partition("/")
        wanted = {
            "namespace": self.namespace,
            "verb": verb,
            "group": group,
            "resource": resource,
            "subresource": subresource,
            "name": name,
        }
        path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
        answer = self.own_api.ask("POST", path, {"spec": {"resourceAttributes": wanted}})
        return bool(answer["status"]["allowed"])

    def asked(self) -> list[Json]:
        """Return what was asked of this namespace by the agent's account, or by nobody known."""
        found = self.plane.requests(self.namespace)
        return [one for one in found if one["user"].get("username") in {self.user, None, ""}]

    def give(self, token: str) -> None:
        """Let the agents find a token, as the kubelet does: the file is replaced."""
        new = self.files / "new"
        new.write_text(token)
        new.replace(self.files / "token")

    @property
    def files(self) -> Path:
        return self.folder / "serviceaccount"

    def write(self, pod: Pod, count: int = 1) -> None:
        """Let a pod write some actions at this moment."""
        for action in itertools.islice(self._actions(pod), count):
            pod.play(action)
            self.truth.update(action.truth)
            self.lines += action.text.count(b"\n")

    async def writes(self, pod: Pod, seconds: float) -> None:
        """Let a pod write for a while."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self.write(pod)
            await asyncio.sleep(0.03)

    def crash(self, pod: Pod) -> None:
        """Let a pod's container panic; the next one will be a new BotKube."""
        action = self._writers[pod.name][0].panic(time.time_ns())
        pod.play(action)
        self.truth.update(action.truth)
        self.lines += action.text.count(b"\n")
        pod.crash(at=time.time_ns(), exit_code=action.exit_code or 2)
        del self._writers[pod.name]

    async def until(self, is_true: Callable[[], bool], seconds: float = PATIENCE_SECONDS) -> None:
        await wait_until(is_true, seconds)
        assert is_true(), self.told()

    async def all_counted(
        self, *, seconds: float = PATIENCE_SECONDS, may_say: frozenset[str] = frozenset()
    ) -> None:
        """Wait until counts equal the truth, and then windows for what would come twice.

        `may_say` are the gaps that may be reported, though nothing is lost.
        """
        await wait_until(self.is_equal, seconds)
        await asyncio.sleep(1.5 * WINDOW_SECONDS)
        assert self.is_equal(), self.told()
        assert gaps(self.collector) <= may_say, self.told()
        assert sum(self.truth.values()), "nothing was written"

    def is_equal(self) -> bool:
        return counted(self.collector) == (self.truth, self.lines)

    def told(self) -> str:
        """Say what differs, and what the agents said."""
        found, lines = counted(self.collector)
        different = {
            key: (self.truth[key], found[key])
            for key in self.truth.keys() | found.keys()
            if self.truth[key] != found[key]
        }
        logs = "\n".join(one.log.read_text(encoding="utf-8") for one in self.agents)
        return (
            f"(written, counted) where they differ: {different}\n"
            f"lines written {self.lines}, read {lines}; gaps {gaps(self.collector)}\n{logs}"
        )

    def reports(self) -> list[dict[str, Any]]:
        return [one["properties"] for one in self.collector.tracks("Collection report")]

    def _actions(self, pod: Pod) -> Any:  # noqa: ANN401 an endless iterator of actions
        if pod.name not in self._writers:
            rng = random.Random(f"{pod.uid}/{pod.container_id()}")
            writer = BotKubeV114(rng, cluster="test")
            self._writers[pod.name] = writer, generate(writer, rng, iter(time.time_ns, None))
        return self._writers[pod.name][1]

    def _environment(self, settings: Mapping[str, str]) -> dict[str, str]:
        usual = {
            "KUBERNETES_NAMESPACES": self.namespace,
            "WINDOW_SECONDS": str(WINDOW_SECONDS),
            "COMMIT_SECONDS": "1",
            "PRIVACY_QUIET_PERIOD_SECONDS": "0",
            "DESTINATION_ENDPOINT": self.collector.url,
            "DESTINATION_WRITE_KEY": self.collector.write_key,
            "HEALTH_HOST": "127.0.0.1",
            "HEALTH_PORT": "0",
            "PAGE_PORT": "0",
        }
        where = urlsplit(self.api.url)
        return {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT),
            "POD_FILES": str(self.files),
            "KUBERNETES_SERVICE_HOST": str(where.hostname),
            "KUBERNETES_SERVICE_PORT": str(where.port or 443),
            **{f"BOTKUBE_ANALYTICS_{key}": value for key, value in {**usual, **settings}.items()},
        }


def installed() -> dict[str, Json]:
    """Return what `deploy/manifests/` installs for two replicas, less the rights not needed.

    The agents are processes of the tests, so a cluster that could run the image runs none.
    """
    found = manifests.manifest("overlays/two-replicas")
    for one in found.values():
        for subject in one.get("subjects", ()):
            del subject["namespace"]  # the binding's own
    found[f"Deployment/{ACCOUNT}"]["spec"]["replicas"] = 0
    role = found[f"Role/{ACCOUNT}"]
    role["rules"] = manifests.needed(role["rules"])
    return found


def install(api: Api, namespace: str) -> None:
    for found in installed().values():
        api.apply(namespace, found)


@asynccontextmanager
async def lab(
    cluster: ControlPlane | Given,
    folder: Path,
    install: Callable[[Api, str], None] = install,
    *,
    kwok: Path | None = None,
) -> AsyncIterator[Lab]:
    """Open a namespace with the agent installed, its token, a node and a collector."""
    api, collector = cluster.api, Collector()
    namespace = f"botkube-{secrets.token_hex(4)}"
    where = f"/api/v1/namespaces/{namespace}"
    api.ask("POST", "/api/v1/namespaces", {"metadata": {"name": namespace}})
    install(api, namespace)
    with Node.running(cluster, folder / "node", name=namespace, kwok=kwok) as node:
        async with collector.running():
            found = Lab(cluster, node, collector, folder)
            found.files.mkdir()
            shutil.copy(api.ca, found.files / "ca.crt")
            (found.files / "namespace").write_text(namespace)
            found.give(found.token())
            try:
                yield found
            finally:
                for agent in found.agents:
                    await agent.end(signal.SIGKILL)
    # Not where a test has failed: the control plane may be down.
    node.remove()
    api.ask("DELETE", where)


def _line(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
