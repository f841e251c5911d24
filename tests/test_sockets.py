"""Which sockets a real agent makes, binds and connects, and which names it asks for, all its life.

Off: the health port's listener and nothing else. Local: the API server as well, and no destination.
On: the API server and the destination.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Iterable
from pathlib import Path

import aiohttp
import pytest

from tests.agents import NAMESPACE
from tests.sim.apiserver import ApiOptions
from tests.sim.cluster import Cluster
from tests.sim.collector import Collector
from tests.watched import Watched, settings_of, watched

INET, STREAM = str(int(socket.AF_INET)), str(int(socket.SOCK_STREAM))
UNIX = str(int(socket.AF_UNIX))
OBSERVED_SECONDS = 1.0
KEY = "aBcDeFgHiJkLmNoPqRsTuVwXyZ012345"

pytestmark = pytest.mark.timeout(120)  # a process imports a lot, on a machine that may be busy


def network(events: Iterable[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Return all that was noted but for the pairs by which a loop wakes itself."""
    return [one for one in events if one[:2] != ("socket.__new__", UNIX)]


def outward(events: Iterable[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Return what goes out or asks for a name: all but making, binding and accepting."""
    return [one for one in network(events) if one[0] not in {"socket.__new__", "socket.bind"}]


def asked_of(events: Iterable[tuple[str, ...]]) -> set[str]:
    """Return every address and name that something was sent to, or asked for."""
    return {" ".join(one) for one in outward(events)}


async def get(agent: Watched, path: str) -> tuple[int, str]:
    """Ask the health port."""
    port = (await agent.said("mode"))["port"]
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"http://127.0.0.1:{port}{path}") as answer,
    ):
        return answer.status, await answer.text()


SWITCHES = [
    ([], {"BOTKUBE_ANALYTICS_DISABLE": "true"}, "BOTKUBE_ANALYTICS_DISABLE"),
    ([], {"DO_NOT_TRACK": "1"}, "DO_NOT_TRACK"),
    (["--analytics-disable"], {}, "--analytics-disable"),
    (["--config", "config.yaml"], {}, "analytics.disable"),
    (["--health-host", "localhost"], {"DO_NOT_TRACK": "true"}, "DO_NOT_TRACK"),
]


@pytest.mark.parametrize(
    ("flags", "environment", "switch"), SWITCHES, ids=lambda one: str(one)[:20]
)
async def test_off_makes_one_socket_in_all_its_life_and_asks_for_nothing(
    tmp_path: Path, flags: list[str], environment: dict[str, str], switch: str
) -> None:
    """A name in the settings would be looked up if anything were: none of them is an address."""
    folder = tmp_path / "agent"
    folder.mkdir()
    (folder / "config.yaml").write_text("analytics: {disable: true}\n")
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "c",
        "clusters": [{"name": "c", "cluster": {"server": "http://api.cluster.example:6443"}}],
        "users": [{"name": "u", "user": {}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
    }
    everything = settings_of(
        folder, config, DESTINATION_WRITE_KEY=KEY, DESTINATION_ENDPOINT="https://to.example"
    )
    proxies = {"HTTPS_PROXY": "http://proxy.example:3128", "KUBERNETES_SERVICE_HOST": "api.example"}
    async with watched(folder, "run", *flags, **everything, **proxies, **environment) as agent:
        mode = await agent.said("mode")
        await asyncio.sleep(OBSERVED_SECONDS)
        before = network(agent.events())
        answers = [await get(agent, path) for path in ("/healthz", "/readyz", "/metrics")]
        code = await agent.end()
        events = network(agent.events())

    assert (mode["mode"], code, agent.err) == ("off", 0, "")
    assert mode["why"].startswith(switch)
    assert before == [
        ("socket.__new__", INET, STREAM),
        ("socket.bind", "('127.0.0.1', 0)"),
    ]
    # A connection that is accepted is a socket, too; each probe made one.
    assert events[2:] == [("socket.__new__", INET, STREAM)] * len(answers)
    assert [status for status, _ in answers] == [200] * 3


@pytest.mark.parametrize(
    "command", [("status",), ("doctor",), ("ledger",), ("ledger", "show", "1")], ids=str
)
async def test_no_command_makes_a_socket_while_off(
    tmp_path: Path, command: tuple[str, ...]
) -> None:
    """Not even to this machine: 8081 is where an agent that runs would answer."""
    async with watched(tmp_path / "agent", *command, DO_NOT_TRACK="1") as agent:
        await agent.process.wait()

    assert network(agent.events()) == []
    assert ("DO_NOT_TRACK" in agent.out) is (command[0] != "ledger")


# Without a write key the destination, the region's server, is not even looked up.
@pytest.mark.parametrize("has_key", [False, True], ids=["local", "on"])
async def test_local_reaches_the_api_server_alone_and_on_the_destination_as_well(
    tmp_path: Path, *, has_key: bool
) -> None:
    folder = tmp_path / "agent"
    folder.mkdir()
    collector = Collector(KEY)
    async with (
        Cluster.running(ApiOptions(now=time.time_ns)) as cluster,
        collector.running(),
    ):
        cluster.namespace(NAMESPACE)
        pod = cluster.botkube(NAMESPACE, at=time.time_ns())
        others = (
            {"DESTINATION_WRITE_KEY": KEY, "DESTINATION_ENDPOINT": collector.url} if has_key else {}
        )
        environment = settings_of(
            folder,
            cluster.server.kubeconfig(),
            KUBERNETES_NAMESPACES=NAMESPACE,
            **others,
        )
        async with watched(folder, "run", **environment) as agent:
            await agent.said("started")
            text = '{"level":"info","msg":"Starting BotKube","time":"2025-06-18T08:28:13Z"}\n'
            until = time.monotonic() + 8
            # Local, as many windows are closed as would have been sent.
            while time.monotonic() < until and not (has_key and collector.accepted):
                pod.write(text.encode(), at=time.time_ns())
                await asyncio.sleep(0.2)
            kept = sorted((folder / "ledger").glob("*"))
            code = await agent.end()
        events = agent.events()
    api, sink = (
        url.rpartition("/")[2].rpartition(":")[2] for url in (cluster.server.url, collector.url)
    )
    reached = {
        f"socket.connect ('127.0.0.1', {port})" for port in (api, *([sink] if has_key else []))
    }

    assert (code, agent.err) == (0, "")
    assert kept
    assert asked_of(events) == reached
    assert bool(collector.requests) is has_key
