"""Rules that change while the agent runs: good ones replace, bad ones do not, counts survive."""

from __future__ import annotations

import asyncio
import logging
import random
import socket
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import attrs
import orjson
import pytest

from agent import reload
from agent.ledger.ledger import Ledger
from agent.logs import JsonFormatter
from agent.modes import Decision, Mode
from agent.options import World
from agent.reload import Reloading, watch_rules
from agent.rulefiles import load_rules
from agent.rules import RuleSet
from agent.service import serve_pipeline
from agent.status import show_running
from agent.web.metrics import Snapshot, exposition
from agent.web.server import serve
from agent.web.view import View, status
from agent.workbench.check import find_faults
from tests.agents import NAMESPACE, WINDOW_SECONDS, Agent, Lab, after, lab, missing, until, write
from tests.sim.botkube import Fact

OWN = """\
id: my-fork
event: Command executed
question: Which commands does my fork run?
level: info
message: 'My fork runs a command (?P<how>\\w+)$'
properties:
  platform: slack
  command: {capture: how, vocabulary: verbs}
  result: ok
hits:
  - log: '{"level":"info","msg":"My fork runs a command ping","time":"2025-06-18T08:28:13Z"}'
    expect: {platform: slack, command: ping, result: ok}
"""
LINE = '{"level":"info","msg":"My fork runs a command ping","time":"2025-06-18T08:28:13Z"}\n'
COUNTED: Fact = (
    "Command executed",
    (("command", "ping"), ("platform", "slack"), ("result", "ok")),
)


class Mount:
    """A folder as the kubelet mounts a ConfigMap: each update swaps the link `..data`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._number = 0
        folder.mkdir()
        self.put({})

    def put(self, files: dict[str, str]) -> None:
        self._number += 1
        data = self.folder / f"..{self._number}"
        data.mkdir()
        for name, text in files.items():
            (data / name).write_text(text)
        link = self.folder / "..new"
        link.symlink_to(data.name)
        link.rename(self.folder / "..data")
        for path in self.folder.glob("[!.]*"):
            if path.name not in files:
                path.unlink()
        for name in files:
            if not (self.folder / name).is_symlink():
                (self.folder / name).symlink_to(f"..data/{name}")


NOTHING = {"nothing.yaml": "# nothing yet\nversion: 1\n"}


@pytest.fixture
def mount(tmp_path: Path) -> Mount:
    made = Mount(tmp_path / "mounted")
    made.put(NOTHING)
    return made


@pytest.fixture
async def world(tmp_path: Path, mount: Mount) -> AsyncIterator[Lab]:
    async with lab(tmp_path, await load(mount)) as opened:
        yield opened


async def load(mount: Mount) -> RuleSet:
    return await asyncio.to_thread(load_rules, [str(mount.folder)])


@asynccontextmanager
async def reloading(world: Lab, agent: Agent, mount: Mount) -> AsyncIterator[Reloading]:
    """Watch the mounted rules for a running agent, as the service does."""
    await until(lambda: agent.pipeline is not None)
    assert agent.pipeline is not None
    state = Reloading()
    task = asyncio.create_task(
        watch_rules(
            [str(mount.folder)],
            world.ruleset.digest,
            agent.pipeline.change_rules,
            reloading=state,
            every_seconds=0.01,
        )
    )
    try:
        yield state
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def digest_in_force(agent: Agent) -> str:
    assert agent.pipeline is not None
    return agent.pipeline.counting.ruleset.digest


async def test_rules_change_under_load_and_nothing_is_lost_or_doubled(
    world: Lab, mount: Mount
) -> None:
    truth: Counter[Fact] = Counter()
    async with world.agent() as agent, reloading(world, agent, mount):
        pod = world.cluster.botkube(NAMESPACE, at=world.clock.ns())
        for round_ in range(4):
            before = digest_in_force(agent)
            mount.put({"own.yaml": f"# {round_}\n{OWN}"})
            truth.update(write(pod, world, 40, seed=round_))
            await until(lambda before=before: digest_in_force(agent) != before)  # type: ignore[misc]
            truth.update(write(pod, world, 40, seed=10 + round_))
        await until(lambda: missing(truth, world) == {})
        await after(world, 2 * WINDOW_SECONDS)

    assert missing(truth, world) == {}
    assert not world.gaps()


async def test_a_new_rule_counts_from_the_change_on(world: Lab, mount: Mount) -> None:
    async with world.agent() as agent, reloading(world, agent, mount):
        pod = world.cluster.botkube(NAMESPACE, at=world.clock.ns())
        pod.write(LINE, at=world.clock.ns())
        await until(lambda: world.lines() > 0)
        mount.put({"own.yaml": OWN})
        await until(lambda: digest_in_force(agent) != world.ruleset.digest)
        pod.write(LINE, at=world.clock.ns())
        await until(lambda: world.counted()[COUNTED] > 0)
        await after(world, 2 * WINDOW_SECONDS)

    assert world.counted()[COUNTED] == 1


async def test_the_next_report_says_that_the_rules_have_changed(world: Lab, mount: Mount) -> None:
    async with world.agent() as agent, reloading(world, agent, mount):
        world.cluster.botkube(NAMESPACE, at=world.clock.ns())
        await until(lambda: len(world.reports()) > 1)
        mount.put({"own.yaml": OWN})
        digest = (await load(mount)).digest
        await until(lambda: world.reports()[-1]["rules_digest"] == digest)
        await after(world, 2 * WINDOW_SECONDS)

    changed = [report["seq"] for report in world.reports() if report.get("rules_changed")]
    first = next(one["seq"] for one in world.reports() if one["rules_digest"] == digest)
    assert changed == [first]


async def test_a_change_is_reported_though_the_agent_dies_before_the_report(
    world: Lab, mount: Mount
) -> None:
    async with world.agent() as agent:
        world.cluster.botkube(NAMESPACE, at=world.clock.ns())
        await until(lambda: len(world.reports()) > 0)
    mount.put({"own.yaml": OWN})
    world.ruleset = await load(mount)
    async with world.agent(seed=2) as agent:
        await until(lambda: agent.pipeline is not None and agent.pipeline.commits > 0)
    async with world.agent(seed=3):
        await until(lambda: any(one.get("rules_changed") for one in world.reports()))
        await after(world, 2 * WINDOW_SECONDS)

    assert [bool(one.get("rules_changed")) for one in world.reports()].count(True) == 1


async def test_what_waits_is_evaluated_with_the_new_rules(world: Lab, mount: Mount) -> None:
    """An opener that waits under the old rules is read again, and counts as the new ones say."""
    opener = (
        '{"bot":"Slack","commGroup":"g","level":"debug","msg":"Slack incoming Request: ping",'
        '"time":"2025-06-18T08:28:13Z"}\n'
    )
    async with world.agent() as agent, reloading(world, agent, mount):
        pod = world.cluster.botkube(NAMESPACE, at=world.clock.ns())
        pod.write(opener, at=world.clock.ns())
        await until(lambda: _holds(agent))
        mount.put({"own.yaml": "id: command-request\ndisable: true\n"})
        await until(lambda: digest_in_force(agent) != world.ruleset.digest)
        await after(world, 3 * WINDOW_SECONDS)

    assert not any(event == "Command executed" for event, _ in world.counted())


def _holds(agent: Agent) -> bool:
    assert agent.pipeline is not None
    return any(follow.reader.is_holding for follow in agent.pipeline.containers.follows.values())


@pytest.fixture
def caught(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    with caplog.at_level(logging.INFO, logger="agent.reload"):
        yield caplog


async def test_a_broken_set_is_refused_and_the_last_good_one_stays(
    world: Lab, mount: Mount, caught: pytest.LogCaptureFixture
) -> None:
    async with world.agent() as agent, reloading(world, agent, mount) as state:
        pod = world.cluster.botkube(NAMESPACE, at=world.clock.ns())
        mount.put({"own.yaml": OWN})
        await until(lambda: digest_in_force(agent) != world.ruleset.digest)
        good = digest_in_force(agent)
        broken = OWN.replace("level: info", "level: secret-word")
        mount.put({"idle.yaml": "fragments: {idle: x}\n", "own.yaml": broken})
        await until(lambda: state.failures == 1)
        truth = write(pod, world, 30)
        await until(lambda: missing(truth, world) == {})
        await after(world, 10)

        assert (state.failures, state.is_refused) == (1, True)
        assert digest_in_force(agent) == good
        mount.put({"own.yaml": OWN})
        await until(lambda: not state.is_refused)

        assert digest_in_force(agent) == good
    (refused,) = [one for one in caught.records if one.levelno == logging.ERROR]
    said = vars(refused)
    assert (said["count"], said["code"]) == (2, "unknown-name")
    assert said["place"].endswith("own.yaml:4")
    assert "secret-word" not in str(said)


async def test_what_only_check_tells_stops_no_reload(world: Lab, mount: Mount) -> None:
    """One standard for a start and a reload: a set that compiles."""
    async with world.agent() as agent, reloading(world, agent, mount) as state:
        wrong = OWN.replace("command: ping, result", "command: get, result")
        mount.put({"own.yaml": wrong, "more.yaml": "fragments: {idle: x}\n"})
        await until(lambda: digest_in_force(agent) != world.ruleset.digest)

        assert (state.failures, state.is_refused) == (0, False)
    _, found, _ = await asyncio.to_thread(find_faults, [str(mount.folder)])
    assert [one.code for one in found] == ["unused-fragment", "hit"]


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(OWN.replace("Which", "Wh\aich"), id="control-character"),
        pytest.param("vocabularies: {mine: {match: search, words: {'a(b': }}}\n", id="word"),
        pytest.param("a: &a [*a]\n", id="alias-of-itself"),
    ],
)
async def test_no_text_of_a_file_ends_the_agent(world: Lab, mount: Mount, text: str) -> None:
    async with world.agent() as agent, reloading(world, agent, mount) as state:
        mount.put({"own.yaml": text})
        await until(lambda: state.is_refused)
        mount.put({"own.yaml": OWN})
        await until(lambda: digest_in_force(agent) != world.ruleset.digest)

    assert (state.failures, state.is_refused) == (1, False)


async def test_a_fault_of_ours_is_a_refusal_as_well(
    mount: Mount, caught: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_paths: object) -> RuleSet:
        raise ZeroDivisionError("secret-word")

    monkeypatch.setattr(reload, "load_rules", fail)
    state = Reloading()
    async with watching(mount, state, lambda *_: None):
        await until(lambda: state.is_refused)

    (refused,) = [one for one in caught.records if one.levelno == logging.ERROR]
    said = JsonFormatter().format(refused)
    assert '"code": "internal"' in said
    assert '"error": "ZeroDivisionError"' in said
    assert "secret-word" not in said


async def test_a_set_that_changes_while_it_is_read_is_read_again(
    mount: Mount, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was read may be half of one set and half of another; it is never put in force."""
    applied: list[str] = []
    loads = iter([{"own.yaml": OWN}, NOTHING])

    def load_and_swap(paths: list[str]) -> RuleSet:
        made = load_rules(paths)
        if (later := next(loads, None)) is not None:
            mount.put(later)
        return made

    monkeypatch.setattr(reload, "load_rules", load_and_swap)
    state = Reloading()
    start = (await load(mount)).digest
    mount.put({"own.yaml": f"# torn\n{OWN}"})
    torn = (await load(mount)).digest
    async with watching(mount, state, lambda ruleset, _: applied.append(ruleset.digest)):
        await until(lambda: next(loads, "") == "" and state.failures == 0)
        mount.put({"own.yaml": f"# last\n{OWN}"})
        await until(lambda: bool(applied))

    assert torn not in applied
    assert start not in applied


@asynccontextmanager
async def watching(
    mount: Mount, state: Reloading, apply: Callable[[RuleSet, object], None]
) -> AsyncIterator[None]:
    task = asyncio.create_task(
        watch_rules([str(mount.folder)], "", apply, reloading=state, every_seconds=0.01)
    )
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_folder_without_rules_is_refused_as_well(world: Lab, mount: Mount) -> None:
    async with world.agent() as agent, reloading(world, agent, mount) as state:
        mount.put({})
        await until(lambda: state.is_refused)

        assert digest_in_force(agent) == world.ruleset.digest


async def test_the_process_watches_the_rules_of_its_settings(world: Lab, mount: Mount) -> None:
    pace = attrs.evolve(world.options().pace, rules=0.01)
    options = attrs.evolve(world.options(), rules_paths=(str(mount.folder),), pace=pace)
    stop = asyncio.Event()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = int(taken.getsockname()[1])
    task = asyncio.create_task(
        serve_pipeline(
            Decision(Mode.LOCAL, "a test"),
            ("127.0.0.1", port),
            world.ruleset,
            options,
            World(world.clock.seconds, random.Random(1), uuid.uuid4, random.randbytes),
            key=None,
            stop=stop,
            ledger=Ledger(),
            switches=(),
            page_port=0,
        )
    )
    try:
        mount.put({"own.yaml": OWN})
        digest = (await load(mount)).digest.encode()
        await ask_until(port, "/metrics", lambda page: digest in page)
        mount.put({"own.yaml": "id: ["})
        await ask_until(port, "/readyz", lambda page: b"rules_refused" in page)
        page = await ask(port, "/metrics")
    finally:
        stop.set()
        code = await task

    assert code == 0
    assert digest in page
    assert b"botkube_agent_rules_reload_failures_total 1.0" in page


async def ask_until(port: int, path: str, is_it: Callable[[bytes], bool]) -> None:
    async with asyncio.timeout(8):
        while not is_it(await ask(port, path)):  # noqa: ASYNC110 a page has no event to wait for
            await asyncio.sleep(0.01)


async def ask(port: int, path: str) -> bytes:
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return b""  # it does not listen yet
    writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    answer = await reader.read()
    writer.close()
    return answer


async def test_the_health_port_tells_of_refused_rules_and_stays_ready() -> None:
    snapshot = Snapshot(mode="on", is_settled=True, rules_reload_failures=2, are_rules_refused=True)
    async with serve("127.0.0.1", 0, lambda: snapshot) as port:
        answer = await ask(port, "/readyz")

    assert answer.startswith(b"HTTP/1.1 200")
    assert orjson.loads(answer.partition(b"\r\n\r\n")[2]) == {
        "ready": True,
        "reasons": ["listed", "rules_refused"],
    }
    assert b"botkube_agent_rules_reload_failures_total 2.0" in exposition(snapshot)
    assert b"botkube_agent_rules_refused 1.0" in exposition(snapshot)
    assert b"botkube_agent_rules_refused 0.0" in exposition(Snapshot())


def test_status_tells_of_refused_rules(capsys: pytest.CaptureFixture[str]) -> None:
    said = []
    for is_refused in (False, True):
        view = View(0, "1", "local", "a test", figures=Snapshot(are_rules_refused=is_refused))
        show_running(status(view), 1)
        said.append("do not compile" in capsys.readouterr().out)

    assert said == [False, True]


def test_the_digest_does_not_depend_on_the_folder(tmp_path: Path) -> None:
    made: list[RuleSet] = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "own.yaml").write_text(OWN)
        made.append(load_rules([str(tmp_path / name)]))

    assert made[0].digest == made[1].digest
