"""The image as a pod would run it, against the simulated API and collector, both behind TLS.

Owns certificates, the service account's files, containers and what their writers wrote. Containers
share this machine's network, because the simulation listens on its loopback alone.
"""

from __future__ import annotations

import asyncio
import json
import random
import secrets
import ssl
import subprocess
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import attrs
import pytest

from tests.agents import NAMESPACE
from tests.faults.test_processes import counted, gaps, wait_until
from tests.image.engine import Engine
from tests.sim.apiserver import ApiOptions
from tests.sim.botkube import Fact, generate
from tests.sim.botkube_v1_14 import BotKubeV114
from tests.sim.cluster import Cluster
from tests.sim.collector import Collector
from tests.sim.pods import Pod

PYTHON = "/opt/venv/bin/python"
WINDOW_SECONDS = 2
PATIENCE_SECONDS = 40
STOP_SECONDS = 20
ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
AUTHORITY = "/authority.pem"
# As strict as a restricted namespace, and a user that nobody has heard of, as on OpenShift.
STRICT = (
    *("--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges"),
    *("--user", "1234560:0", "--network", "host"),
)


@attrs.frozen
class Container:
    """A running container of the image. The loop serves its API, so nothing here may hold it up."""

    engine: Engine
    name: str

    async def log(self) -> list[dict[str, Any]]:
        text = await asyncio.to_thread(self.engine, "logs", self.name)
        return [json.loads(line) for line in text.splitlines()]

    async def says(self, message: str) -> dict[str, Any]:
        """Wait for a message and return its line."""
        log: list[dict[str, Any]] = []
        until = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < until:
            log = await self.log()
            for line in log:
                if line["message"] == message:
                    return line
            await asyncio.sleep(0.2)
        pytest.fail(f"{message!r} is not in {log}")

    async def run(self, *command: str) -> tuple[int, str]:
        """Run a command in it, as `kubectl exec` does; return its exit code and what it said."""
        try:
            return 0, await asyncio.to_thread(self.engine, "exec", self.name, *command)
        except subprocess.CalledProcessError as error:
            return error.returncode, str(error.output)

    async def prints(self, words: str, *command: str) -> None:
        """Run a command again and again until its output has the words."""
        printed = ""
        until = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < until:
            _, printed = await self.run(*command)
            if words in printed:
                return
            await asyncio.sleep(0.2)
        pytest.fail(f"{words!r} is not in {printed!r}")

    async def resident_bytes(self) -> int:
        _, text = await self.run(PYTHON, "-c", "print(open('/proc/1/status').read())")
        return next(int(line.split()[1]) for line in text.splitlines() if "VmRSS" in line) * 1024

    async def stop(self) -> int:
        """Stop it as a kubelet does; return its exit code."""
        await asyncio.to_thread(self.engine, "stop", "--time", str(STOP_SECONDS), self.name)
        state = ("inspect", "--format", "{{.State.ExitCode}}", self.name)
        return int(await asyncio.to_thread(self.engine, *state))


@attrs.define(eq=False)
class Lab:
    """The cluster and the collector, by plain HTTP for us, by HTTPS for the agent."""

    engine: Engine
    image: str
    folder: Path
    cluster: Cluster
    collector: Collector
    api_url: str
    collector_url: str
    truth: Counter[Fact] = attrs.field(factory=Counter)
    lines: int = 0

    @asynccontextmanager
    async def agent(self, *flags: str, **settings: str) -> AsyncIterator[Container]:
        """Run an agent with settings of the environment alone."""
        name = f"image-{secrets.token_hex(4)}"
        given = [f"--env={key}={value}" for key, value in self._environment(settings).items()]
        mounted = [
            f"--volume={self.folder / 'account'}:{ACCOUNT}:ro",
            f"--volume={self.folder / 'ca.pem'}:{AUTHORITY}:ro",
        ]
        await asyncio.to_thread(
            self.engine, "run", "--detach", "--name", name, *STRICT, *given, *mounted, *flags,
            self.image,
        )  # fmt: skip
        try:
            yield Container(self.engine, name)
        finally:
            await asyncio.to_thread(self.engine, "rm", "--force", name)

    async def write(self, pod: Pod, seconds: float) -> None:
        """Let a BotKube write for a while."""
        rng = random.Random(1)
        until = time.monotonic() + seconds
        writer = BotKubeV114(rng, cluster="test")
        for action in generate(writer, rng, iter(time.time_ns, None)):
            pod.play(action)
            self.truth.update(action.truth)
            self.lines += action.text.count(b"\n")
            if time.monotonic() > until:
                return
            await asyncio.sleep(0.03)

    async def all_counted(self) -> None:
        """Wait until counts equal the truth, and then windows for what would come twice."""
        await wait_until(self.is_equal, PATIENCE_SECONDS)
        await asyncio.sleep(1.5 * WINDOW_SECONDS)
        assert counted(self.collector) == (self.truth, self.lines)
        assert not gaps(self.collector)

    def is_equal(self) -> bool:
        return counted(self.collector) == (self.truth, self.lines)

    def _environment(self, settings: Mapping[str, str]) -> dict[str, str]:
        where = urlsplit(self.api_url)
        usual = {
            "WINDOW_SECONDS": str(WINDOW_SECONDS),
            "COMMIT_SECONDS": "1",
            "PRIVACY_QUIET_PERIOD_SECONDS": "0",
            "HEALTH_HOST": "127.0.0.1",
            "HEALTH_PORT": "0",
            "PAGE_PORT": "0",
        }
        return {
            "KUBERNETES_SERVICE_HOST": str(where.hostname),
            "KUBERNETES_SERVICE_PORT": str(where.port),
            **{f"BOTKUBE_ANALYTICS_{key}": value for key, value in {**usual, **settings}.items()},
        }


@asynccontextmanager
async def lab(engine: Engine, image: str, folder: Path) -> AsyncIterator[Lab]:
    """Open a cluster with a namespace for BotKube, in which the agent has its account."""
    tls = certificates(folder)
    _make_account(folder)
    collector = Collector(strict=True)
    async with Cluster.running(ApiOptions(now=time.time_ns)) as cluster, collector.running():
        cluster.namespace(NAMESPACE)
        async with _relay(cluster.server.url, tls) as api, _relay(collector.url, tls) as events:
            yield Lab(engine, image, folder, cluster, collector, api, events)


def _make_account(folder: Path) -> None:
    """Make what the kubelet mounts, readable to a user of nobody's."""
    account = folder / "account"
    account.mkdir()
    (account / "ca.crt").write_text((folder / "ca.pem").read_text())
    (account / "namespace").write_text(NAMESPACE)
    (account / "token").write_text("token")
    for one in (folder, *folder.rglob("*")):
        one.chmod(0o755 if one.is_dir() else 0o644)


@asynccontextmanager
async def _relay(url: str, tls: ssl.SSLContext) -> AsyncIterator[str]:
    """Take TLS off what goes to a server."""
    there = urlsplit(url)
    open_: set[asyncio.Task[None]] = set()

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection(there.hostname, there.port)
        for way in (pass_on(reader, far_writer), pass_on(far_reader, writer)):
            task = asyncio.create_task(way)
            open_.add(task)
            task.add_done_callback(open_.discard)

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    try:
        yield f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for task in open_:
            task.cancel()
        await asyncio.gather(*open_, return_exceptions=True)


def certificates(folder: Path) -> ssl.SSLContext:
    """Make an authority, `ca.pem`, and a server's certificate by it."""
    make = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    made = [
        ["-subj", "/CN=authority", "-addext", "keyUsage=critical,keyCertSign"],
        ["-subj", "/CN=server", "-addext", "subjectAltName=IP:127.0.0.1"],
    ]
    made[0] += ["-keyout", "ca.key", "-out", "ca.pem"]
    made[1] += ["-CA", "ca.pem", "-CAkey", "ca.key", "-keyout", "server.key", "-out", "server.pem"]
    made[1] += ["-addext", "basicConstraints=critical,CA:FALSE"]
    for one in made:
        subprocess.run([*make, *one], cwd=folder, check=True, stderr=subprocess.DEVNULL)  # noqa: S603 ours
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(folder / "server.pem", folder / "server.key")
    return tls
