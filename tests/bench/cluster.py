"""A simulated cluster over HTTPS in a process of its own, so that its CPU is nobody else's.

Run as a program it serves pods whose logs are copies of one file, and obeys orders: `write` adds a
line to a pod, `add FILE` one more pod with a log of its own. Each is answered with how often logs
were asked for and the name of the last pod. The pieces are as small as those of a real API server.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import attrs

from tests.image.lab import certificates
from tests.sim.apiserver import ApiOptions
from tests.sim.cluster import Cluster
from tests.sim.faults import Answer
from tests.sim.pods import Pod

NAMESPACE, TOKEN = "botkube", "bench"
READY_SECONDS = 120
LINE = b'{"level":"debug","msg":"Message successfully sent to Webhook: map[Kind:Pod]","sink":"Webhook"}\n'


DISCOVERY: Mapping[str, Mapping[str, object]] = {
    "/api": {"kind": "APIVersions", "versions": ["v1"]},
    "/apis": {"kind": "APIGroupList", "apiVersion": "v1", "groups": []},
    "/api/v1": {
        "kind": "APIResourceList",
        "groupVersion": "v1",
        "resources": [
            {"name": "pods", "singularName": "pod", "namespaced": True, "kind": "Pod",
             "verbs": ["get", "list"], "shortNames": ["po"]},
        ],
    },
}  # fmt: skip
"""What kubectl asks before it asks for a log; the simulation itself has none."""


@attrs.define(eq=False)
class Served:
    """The cluster as the other side sees it."""

    url: str
    kubeconfig: Path
    authority: Path
    pods: list[str]
    namespace: str
    token: str
    process: asyncio.subprocess.Process
    followed: list[float] = attrs.field(factory=list)

    def log_url(self, pod: str) -> str:
        """Return where a pod's log is, as it stands now."""
        return log_url(self.url, self.namespace, pod)

    async def add(self, log: Path) -> str:
        """Add a pod with a log; return its name."""
        _, pod = await self.ask(f"add {log}")
        return pod

    async def ask(self, order: str) -> tuple[int, str]:
        """Send an order and return the answer."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(order.encode() + b"\n")
        calls, pod = (await self.process.stdout.readline()).decode().split()
        return int(calls), pod


@asynccontextmanager
async def served(folder: Path, log: Path, pods: int) -> AsyncIterator[Served]:
    """Serve a cluster with so many pods."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.bench.cluster", str(folder), str(log), str(pods),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=1 << 20,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        async with asyncio.timeout(READY_SECONDS):
            said: dict[str, Any] = json.loads(await process.stdout.readline())
        paths = folder / "kubeconfig", folder / "ca.pem"
        yield Served(said["url"], *paths, said["pods"], NAMESPACE, TOKEN, process)
    finally:
        process.kill()
        await process.wait()


async def _serve(folder: Path, log: Path, pods: int) -> None:
    tls = certificates(folder)
    options = ApiOptions(now=time.time_ns, tls=tls, authority=str(folder / "ca.pem"))
    async with Cluster.running(options) as cluster:
        cluster.namespace(NAMESPACE)
        made: list[Pod] = []

        def add(data: bytes) -> None:
            made.append(cluster.botkube(NAMESPACE, at=time.time_ns(), name=f"b{len(made)}"))
            made[-1].log().newest.data += data

        data = records(log)
        for _ in range(pods):
            add(data)
        server = cluster.server
        for path, answer in DISCOVERY.items():
            server.faults.add(Answer(200, answer), path=f"^{path}$", times=None)
        (folder / "kubeconfig").write_text(json.dumps(server.kubeconfig(TOKEN)))
        print(json.dumps({"url": server.url, "pods": [pod.name for pod in made]}), flush=True)
        reader = await _standard_input()
        while order := (await reader.readline()).decode().strip():
            if order == "write":
                made[0].write(LINE, at=time.time_ns())
            if order.startswith("add "):
                add(records(Path(order.removeprefix("add "))))
            asked = sum(call.subresource == "log" for call in server.calls)
            print(asked, made[-1].name, flush=True)


def log_url(server: str, namespace: str, pod: str) -> str:
    """Return where the log of a pod of BotKube is, with stamps, as it stands now."""
    path = f"api/v1/namespaces/{namespace}/pods/{pod}/log"
    return f"{server}/{path}?container=botkube&timestamps=true"


def records(log: Path) -> bytes:
    """Return a log as it stands on its node."""
    parts = (line.partition(b" ") for line in log.read_bytes().splitlines(keepends=True))
    return b"".join(b"%b stdout F %b" % (stamp, text) for stamp, _, text in parts)


async def _standard_input() -> asyncio.StreamReader:
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    return reader


if __name__ == "__main__":
    asyncio.run(_serve(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])))
