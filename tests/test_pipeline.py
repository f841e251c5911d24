"""The whole agent against a simulated Kubernetes and a simulated Segment, both real HTTP."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise
from pathlib import Path
from uuid import UUID

import attrs
import orjson
import pytest

from agent.aggregate import Instance, Windows
from agent.containers import MAX_VERSION_FAILURES
from agent.counting import Counting
from agent.model import CRASHED, REPORT, Identity
from agent.modes import Decision, Mode
from agent.rules import RuleSet
from agent.sink.batch import batch_array
from agent.source.api import ApiError
from agent.state.document import Document, decode, encode
from agent.state.lease import LeaseLost
from agent.state.store import StateError
from agent.status import show_status
from tests.agents import (
    NAMESPACE,
    NANOS,
    PACE,
    WINDOW_SECONDS,
    Agent,
    Lab,
    after,
    lab,
    missing,
    until,
    write,
)
from tests.sim.botkube import Action, Fact, Generation, generate, replay
from tests.sim.botkube_v0_12 import BotKubeV012
from tests.sim.botkube_v0_18 import BotKubeV018
from tests.sim.botkube_v1_14 import BotKubeV114
from tests.sim.cluster import SIDECAR
from tests.sim.faults import (
    Answer,
    Delay,
    Fault,
    HalfOpen,
    LoseResponse,
    Reset,
    eof_after,
    hang_after,
    in_band,
    reset_after,
)
from tests.sim.store import CONFIGMAPS, DEPLOYMENTS, PODS

GENERATIONS: tuple[tuple[str, type[Generation]], ...] = (
    ("v0.12.4", BotKubeV012),
    ("v0.18.0", BotKubeV018),
    ("v1.14.0", BotKubeV114),
)


@pytest.fixture
async def world(tmp_path: Path, ruleset: RuleSet) -> AsyncIterator[Lab]:
    async with lab(tmp_path, ruleset) as opened:
        yield opened


async def test_what_three_generations_write_is_counted_and_delivered_once(world: Lab) -> None:
    truth: Counter[Fact] = Counter()
    lines = 0
    async with world.agent():
        for number, (version, generation) in enumerate(GENERATIONS):
            pod = world.cluster.botkube(
                NAMESPACE, at=world.clock.ns(), version=version, name=f"botkube-{number}"
            )
            rng = random.Random(number)
            writer = generation(rng, cluster="test")  # type: ignore[call-arg]
            times = iter(world.clock.ns, None)
            for action in islice(generate(writer, rng, times), 80):
                pod.play(action)
                truth.update(action.truth)
                lines += action.text.count(b"\n")
        await until(lambda: world.lines() == lines)
        await after(world, 2 * WINDOW_SECONDS)

    assert missing(truth, world) == {}
    assert world.lines() == lines
    assert not world.gaps()


async def test_collection_reports_say_what_was_observable_and_sum_up(world: Lab) -> None:
    async with world.agent():
        pod = world.cluster.botkube(NAMESPACE, at=world.clock.ns())
        truth = write(pod, world, 60)
        await until(lambda: missing(truth, world) == {})
        await after(world, WINDOW_SECONDS)

    reports = world.reports()
    assert [report["seq"] for report in reports] == list(range(1, len(reports) + 1))
    last = reports[-1]
    assert last["botkube_version"] == "v1.14.0"
    assert last["kubernetes_minor"] == "1.34"
    assert last["commands_observable"] is True
    assert last["mattermost_enabled"] is True
    assert last["slack_enabled"] is False
    handled = sum(n for (event, _), n in truth.items() if event == "Event handled")
    assert last["event_handled_total"] == handled
    assert sum(report["event_handled_delta"] for report in reports) == handled


@pytest.mark.parametrize(("after_it", "between"), [("v1.34.4", "1.34"), ("v1.35.1", None)])
async def test_of_windows_before_an_upgrade_that_nobody_saw_the_minor_is_not_told(
    world: Lab, after_it: str, between: str | None
) -> None:
    """An agent that is back from a drain would date the upgrade back to when it went."""
    async with world.agent() as agent:
        pod = world.cluster.botkube(NAMESPACE, at=world.clock.ns())
        truth = write(pod, world, 20)
        await until(lambda: missing(truth, world) == {})
        await after(world, WINDOW_SECONDS)
        await until(lambda: bool(world.reports()))
        await world.kill(agent)
    gone = datetime.fromtimestamp(world.clock.seconds(), UTC)
    write(pod, world, 20)
    world.clock.moved += 3 * WINDOW_SECONDS
    server = world.cluster.server
    server.options = attrs.evolve(server.options, git_version=after_it)
    back = datetime.fromtimestamp(world.clock.seconds(), UTC)
    async with world.agent(seed=2):
        await after(world, 2 * WINDOW_SECONDS)
        await until(lambda: datetime.fromisoformat(world.reports()[-1]["window_start"]) > back)

    told: dict[str, set[str | None]] = {"seen": set(), "missed": set(), "since": set()}
    for one in world.reports():
        start, end = (datetime.fromisoformat(one[at]) for at in ("window_start", "window_end"))
        # In the window of the start it depends on how long the agent took to ask.
        if not start < back < end:
            when = "seen" if end <= gone else "missed" if end <= back else "since"
            told[when].add(one.get("kubernetes_minor"))
    # The first agent may have been killed before it had kept a window that was over.
    assert {"1.34"} <= told["seen"] <= {"1.34", between}
    assert told["missed"] == {between}
    assert told["since"] == {after_it[1:5]}


async def test_a_start_before_all_is_read_does_not_date_the_upgrade_back(world: Lab) -> None:
    """It finds the new minor told, and the windows before it still open."""
    hour = 3600
    now = int(world.clock.seconds()) // hour * hour
    document = Document(b"k", str(UUID(int=7)), Windows(hour))
    document.instances["uid/1"] = Instance("v1.14.0", debug=True, started=True)
    told: list[object] = []

    def run(minor: str, at: int, *, read_until: int) -> None:
        nonlocal document
        identity = Identity(str(UUID(int=1)), None, minor, "kind")
        counting = Counting(decode(encode(document)), world.ruleset, identity, "test", sends=True)
        document = counting.document
        counting.begin(
            now_seconds=at,
            window_seconds=hour,
            count_from=0,
            new_stream=lambda: str(UUID(int=9)),
        )
        counting.close_due(now_seconds=at + 5, may_close=lambda end: end <= read_until)
        for batch in document.outbox:
            told.extend(
                call["properties"].get("kubernetes_minor")
                for call in orjson.loads(batch_array(batch))
                if call.get("event") == REPORT
            )
        document.outbox.clear()

    run("1.33", now, read_until=now)
    run("1.33", now + 2 * hour, read_until=now + 2 * hour)
    run("1.34", now + 10 * hour, read_until=now + 5 * hour)
    run("1.34", now + 11 * hour, read_until=now + 11 * hour)

    assert told == ["1.33"] * 2 + [None] * 8 + ["1.34"]


LEARNED: dict[str, tuple[list[tuple[float, str | None]], list[str | None]]] = {
    # What was learned at which hour, and what is told of each hour when all of them close.
    "noticed before a window is over": ([(0.5, "1.33"), (2.5, "1.34")], [None, None, "1.34"]),
    "asked again and again meanwhile": (
        [(0.5, "1.33"), (2.5, "1.34"), (3.5, "1.34"), (4.5, "1.34")],
        [None, None, "1.34", "1.34", "1.34"],
    ),
    "never told before": ([(2.5, "1.34")], ["1.34"] * 3),
    "told by none before": ([(0.5, None), (2.5, "1.34")], ["1.34"] * 3),
    "not allowed to ask for a while": ([(0.5, "1.33"), (1.5, None), (2.5, "1.33")], ["1.33"] * 3),
    "by a clock that was far ahead": (
        [(0.5, "1.33"), (99.5, "1.34"), (2.5, "1.34")],
        [None, None, "1.34"],
    ),
}


@pytest.mark.parametrize(("learned", "told"), LEARNED.values(), ids=LEARNED)
def test_the_minor_is_told_of_windows_since_which_it_is_known(
    ruleset: RuleSet, learned: list[tuple[float, str | None]], told: list[str | None]
) -> None:
    hour = 3600
    now = 500_000 * hour
    document = Document(b"k", str(UUID(int=7)), Windows(hour))
    document.windows.closed_until = now
    document.instances["uid/1"] = Instance("v1.14.0", debug=True, started=True)
    for at, minor in learned:
        # Each time it starts again.
        identity = Identity(str(UUID(int=1)), None, minor, minor and "kind")
        counting = Counting(decode(encode(document)), ruleset, identity, "test", sends=True)
        document = counting.document
        counting.begin(
            now_seconds=int(now + at * hour),
            window_seconds=hour,
            count_from=0,
            new_stream=lambda: str(UUID(int=9)),
        )
        if at == learned[-1][0]:
            until = now + len(told) * hour + 5
            counting.close_due(now_seconds=until, may_close=lambda _end: True)

    calls = [call for one in document.outbox for call in orjson.loads(batch_array(one))]
    said = [one["properties"] for one in calls if one.get("event") == REPORT]
    assert [one.get("kubernetes_minor") for one in said] == told


@pytest.mark.parametrize("sends", [False, True])
def test_of_windows_that_were_over_when_it_was_noticed_no_minor_is_told(
    ruleset: RuleSet, *, sends: bool
) -> None:
    hour = 3600
    now = 500_000 * hour
    document = Document(b"k", str(UUID(int=7)), Windows(hour))
    document.instances["uid/1"] = Instance("v1.14.0", debug=True, started=True)
    identity = Identity(str(UUID(int=1)), None, "1.33", "kind")
    counting = Counting(document, ruleset, identity, "test", sends=sends)
    counting.begin(
        now_seconds=now, window_seconds=hour, count_from=0, new_stream=lambda: str(UUID(int=9))
    )
    for at in (now + 5, now + hour + 5):
        counting.close_due(now_seconds=at, may_close=lambda _end: True)
    counting.learn("1.34", "kind", now_seconds=now + 2 * hour + 5)
    counting.close_due(now_seconds=now + 3 * hour + 5, may_close=lambda _end: True)

    arrays = [batch_array(one) for one in document.outbox]
    kept = [one.array for one in sorted(counting.ledger.entries, key=lambda one: one.number)]
    calls = [call for one in (arrays if sends else kept) for call in orjson.loads(one)]
    told = [one["properties"] for one in calls if one.get("event") == REPORT]
    assert [one.get("kubernetes_minor") for one in told] == ["1.33", None, "1.34"]


async def test_an_upgrade_of_the_cluster_is_noticed_while_it_runs(world: Lab) -> None:
    """One whose nodes are somebody else's is upgraded without a start of the agent's pod."""
    world.changes["pace"] = attrs.evolve(PACE, kubernetes=0.05)
    server = world.cluster.server
    async with world.agent():
        world.cluster.botkube(NAMESPACE, at=world.clock.ns())
        await until(lambda: bool(world.reports()))
        server.options = attrs.evolve(server.options, git_version="v1.35.1+k3s1")
        refused = server.faults.add(Answer(403), path="/version", times=2)
        await until(lambda: world.reports()[-1].get("kubernetes_minor") == "1.35")
        server.options = attrs.evolve(server.options, git_version="x.35")
        known = len(server.calls)
        await until(lambda: sum(one.path == "/version" for one in server.calls[known:]) > 1)
        unreadable = world.reports()[-1]["seq"]
        await until(lambda: world.reports()[-1]["seq"] > unreadable + 1)

    assert refused.seen > 2
    minors = [one.get("kubernetes_minor") for one in world.reports()]
    assert [one for one in minors if one] == sorted(one for one in minors if one)
    assert (minors[0], minors[-1]) == ("1.34", "1.35")
    assert world.reports()[-1]["distribution"] == "k3s"
    kinds = Counter(event["type"] for event in world.collector.accepted)
    assert kinds["identify"] == 2


@pytest.mark.parametrize("since", ["running", "restarted", "in back-off"])
async def test_no_botkube_is_told_of_windows_that_were_over_before_it_began(
    world: Lab, since: str
) -> None:
    async with world.agent() as agent:
        await until(lambda: bool(world.reports()))
        await world.kill(agent)
    world.clock.moved += 3 * WINDOW_SECONDS
    began = datetime.fromtimestamp(world.clock.seconds(), UTC)
    pod = world.cluster.botkube(NAMESPACE, at=world.clock.ns())
    write(pod, world, 20)
    if since != "running":
        world.clock.moved += 3
        pod.crash(at=world.clock.ns(), exit_code=2)
    if since == "restarted":
        world.clock.moved += 2
        pod.restart(at=world.clock.ns())
    if since == "in back-off":
        pod.back_off()
    async with world.agent(seed=2):
        await after(world, 2 * WINDOW_SECONDS)
        await until(lambda: datetime.fromisoformat(world.reports()[-1]["window_start"]) > began)

    said: dict[bool, set[str | None]] = {False: set(), True: set()}
    for one in world.reports():
        end = datetime.fromisoformat(one["window_end"])
        if not began - timedelta(seconds=2) < end < began + timedelta(seconds=2):
            said[end > began].add(one.get("botkube_version"))
    # One that has ended is in no window after that.
    after_it = {"v1.14.0", None} if since == "in back-off" else {"v1.14.0"}
    assert said == {False: {None}, True: after_it}


async def test_a_botkube_whose_node_had_a_clock_that_was_ahead_is_told(world: Lab) -> None:
    """By its status it has not begun; its lines, of the clock put right, say that it has."""
    async with world.agent():
        await until(lambda: bool(world.reports()))
        ahead = 6 * WINDOW_SECONDS
        pod = world.cluster.botkube(NAMESPACE, at=world.clock.ns() + ahead * NANOS)
        truth = write(pod, world, 20)
        await until(lambda: missing(truth, world) == {})
        await after(world, 2 * WINDOW_SECONDS)

    handled = [one for one in world.reports() if one.get("event_handled_delta")]
    assert handled
    since = world.reports()[world.reports().index(handled[0]) :]
    assert {one.get("botkube_version") for one in since} == {"v1.14.0"}


async def test_a_botkube_that_says_nothing_since_its_clock_was_put_right_is_told(
    world: Lab,
) -> None:
    """By its status it begins in two minutes, but it is there."""
    async with world.agent():
        await until(lambda: bool(world.reports()))
        world.cluster.botkube(NAMESPACE, at=world.clock.ns() + 6 * WINDOW_SECONDS * NANOS)
        since = len(world.reports())
        await until(lambda: len(world.reports()) > since + 3)

    told = [one.get("botkube_version") for one in world.reports()]
    assert set(told[since + 1 :]) == {"v1.14.0"}
    assert told[0] is None


async def test_identity_is_sent_once_with_stable_ids(world: Lab) -> None:
    async with world.agent():
        world.cluster.botkube(NAMESPACE, at=world.clock.ns())
        await until(lambda: len(world.reports()) > 2)

    kinds = Counter(event["type"] for event in world.collector.accepted)
    assert kinds["identify"] == kinds["group"] == 1


def counting(agent: Agent) -> Counting:
    assert agent.pipeline is not None
    return agent.pipeline.counting


LOG = r"/pods/[^/]+/log"
BATCH = r"/v1/batch"


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(reset_after(3000), id="reset in mid-body"),
        pytest.param(eof_after(2500), id="clean end in mid-line"),
        pytest.param(hang_after(lines=20), id="silent stream"),
        pytest.param(
            in_band("rpc error: code = Unknown desc = x", after_lines=9), id="in-band text"
        ),
        pytest.param(Reset(), id="reset before the answer"),
        pytest.param(Answer(500), id="server error"),
        pytest.param(Answer(429, retry_after=0), id="too many requests"),
    ],
)
async def test_a_broken_log_stream_loses_and_doubles_nothing(world: Lab, fault: Fault) -> None:
    world.cluster.server.faults.add(
        fault, path=LOG, times=3, when=lambda call: "follow" in call.query
    )
    async with world.agent():
        pod = world.cluster.botkube(NAMESPACE, at=world.clock.ns())
        truth = write(pod, world, 80)
        await until(lambda: missing(truth, world) == {})
        await after(world, 2 * WINDOW_SECONDS)

    assert missing(truth, world) == {}
    assert not world.gaps()


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(Answer(429, retry_after=1), id="too many requests"),
        pytest.param(Answer(503), id="unavailable"),
        pytest.param(Answer(408), id="request timeout"),
        pytest.param(Reset(), id="reset"),
        pytest.param(LoseResponse(), id="accepted but the answer was lost"),
    ],
)
async def test_a_flaky_destination_gets_each_event_once(world: Lab, fault: Fault) -> None:
    world.collector.faults.add(fault, path=BATCH, times=1)
    async with world.agent():
        pod = world.cluster.botkube(NAMESPACE, at=world.clock.ns())
        truth = write(pod, world, 40)
        await until(lambda: missing(truth, world) == {})

    assert missing(truth, world) == {}


async def test_a_rejected_batch_is_parked_and_blocks_nothing(world: Lab) -> None:
    world.collector.faults.add(Answer(400), path=BATCH, times=1)
    async with world.agent() as agent:
        world.cluster.botkube(NAMESPACE, at=world.clock.ns())
        await until(lambda: len(world.reports()) > 0)

        assert agent.pipeline is not None
        assert agent.pipeline.counting.document.parked == 1
        # Who reports was in the batch that is gone, and is said again.
        kinds = {event["type"] for event in world.collector.accepted}
        assert kinds == {"identify", "group", "track"}


async def test_an_agent_that_is_killed_goes_on_where_it_had_committed(world: Lab) -> None:
    pod = world.cluster.botkube(NAMESPACE, at=world.clock.ns())
    truth: Counter[Fact] = Counter()
    for round_ in range(5):
        async with world.agent(seed=round_):
            truth.update(write(pod, world, 25, seed=round_))
            await after(world, 20 + 25 * round_)
    async with world.agent(seed=9):
        await until(lambda: missing(truth, world) == {})
        await after(world, 2 * WINDOW_SECONDS)

    assert missing(truth, world) == {}
    assert not world.gaps()


async def test_a_crash_is_counted_once_and_the_dead_container_read_to_its_end(world: Lab) -> None:
    rng = random.Random(4)
    writer = BotKubeV114(rng, cluster="test")
    async with world.agent():
        pod = world.cluster.botkube(NAMESPACE, at=world.clock.ns())
        actions: list[Action] = []
        for _ in range(3):
            actions += islice(generate(writer, rng, iter(world.clock.ns, None)), 15)
            actions.append(writer.panic(world.clock.ns()))
            for action in actions[-16:]:
                pod.play(action)
            pod.crash(at=world.clock.ns(), exit_code=actions[-1].exit_code or 2)
            await after(world, 5)
            pod.restart(at=world.clock.ns())
            await after(world, 30)
        truth = replay(actions)
        await until(lambda: missing(truth, world) == {})
        await after(world, 2 * WINDOW_SECONDS)

    assert missing(truth, world) == {}


async def test_a_status_that_comes_late_does_not_mix_up_two_instances(world: Lab) -> None:
    rng = random.Random(4)
    writer = BotKubeV114(rng, cluster="test")
    async with world.agent():
        pod = world.cluster.botkube(NAMESPACE, at=world.clock.ns())
        actions = list(islice(generate(writer, rng, iter(world.clock.ns, None)), 15))
        for action in actions:
            pod.play(action)
        await until(lambda: missing(replay(actions), world) == {})
        # The restart is not seen for a while, but a plain request brings the new log at once.
        seen = asyncio.Event()
        world.cluster.server.faults.add(Delay(until=seen), path=r"/pods$", verb="watch")
        world.cluster.server.end_watches()
        actions.append(writer.panic(world.clock.ns()))
        pod.play(actions[-1])
        pod.crash(at=world.clock.ns(), exit_code=2)
        pod.restart(at=world.clock.ns())
        second = list(islice(generate(writer, rng, iter(world.clock.ns, None)), 15))
        for action in second:
            pod.play(action)
        await after(world, 60)
        seen.set()
        third = list(islice(generate(writer, rng, iter(world.clock.ns, None)), 15))[1:]
        for action in third:
            pod.play(action)
        truth = replay([*actions, *second, *third])
        await until(lambda: missing(truth, world) == {})
        await after(world, 2 * WINDOW_SECONDS)

    assert missing(truth, world) == {}


async def test_a_crash_without_a_last_word_takes_its_kind_from_the_status(world: Lab) -> None:
    async with world.agent():
        pod = world.cluster.botkube(NAMESPACE, at=world.clock.ns())
        await after(world, 5)
        pod.crash(at=world.clock.ns(), exit_code=137, reason="OOMKilled")
        await until(lambda: bool(world.counted()))

    assert world.counted() == Counter({("Application crashed", (("kind", "oom"),)): 1})


async def test_previous_text_of_a_removed_container_is_no_line(world: Lab) -> None:
    pod = world.cluster.botkube(NAMESPACE, at=world.clock.ns())
    pod.crash(at=world.clock.ns(), exit_code=2)
    pod.restart(at=world.clock.ns())
    pod.forget_dead()
    async with world.agent():
        await until(lambda: world.counted().total() == 1 and world.gaps()["restarted"] > 0)

    assert world.lines() == 0


async def test_a_rotation_that_went_by_unread_is_reported_as_a_gap(world: Lab) -> None:
    pod = world.cluster.botkube(NAMESPACE, at=world.clock.ns())
    truth = write(pod, world, 20)
    async with world.agent():
        await until(lambda: missing(truth, world) == {})
    # The clock goes on, so that the lines below are stamped well after the slack.
    world.clock.moved += 30
    write(pod, world, 20, seed=2)
    pod.rotate()
    world.clock.moved += 30
    truth.update(write(pod, world, 20, seed=3))
    async with world.agent(seed=2):
        await until(lambda: missing(truth, world) == {})
        await after(world, WINDOW_SECONDS)

    assert missing(truth, world) == {}
    assert world.gaps()["rotated"] >= 30


async def test_files_that_a_lagging_stream_skipped_are_a_gap(world: Lab) -> None:
    """The kubelet reads its file to the end and opens the newest; none between is served."""
    pod = world.cluster.botkube(NAMESPACE, at=world.clock.ns())
    truth = write(pod, world, 20)
    async with world.agent():
        await until(lambda: missing(truth, world) == {})
        truth.update(write(pod, world, 20, seed=2))
        pod.rotate()
        world.clock.moved += 20
        write(pod, world, 20, seed=3)
        pod.rotate()
        world.clock.moved += 20
        truth.update(write(pod, world, 20, seed=4))
        await until(lambda: missing(truth, world) == {})
        await after(world, 2 * WINDOW_SECONDS)

    assert missing(truth, world) == {}
    assert set(world.gaps()) == {"overtaken"}
    # Forty seconds, in minutes begun of each window that they touch.
    assert 60 <= world.gaps()["overtaken"] <= 3 * 60


async def test_a_lag_without_a_loss_is_no_gap(world: Lab) -> None:
    pod = world.cluster.botkube(NAMESPACE, at=world.clock.ns())
    truth: Counter[Fact] = Counter()
    for seed in range(4):
        truth.update(write(pod, world, 20, seed=seed))
        world.clock.moved += 3 * 4**seed
    async with world.agent() as agent:
        await until(lambda: missing(truth, world) == {})
        await after(world, WINDOW_SECONDS)

        assert agent.pipeline is not None
        assert not agent.pipeline.counting.gap_seconds
    assert not world.gaps()


async def test_lines_that_are_alike_and_have_one_stamp_cost_few_short_reads(world: Lab) -> None:
    """Some runtimes give all that is written at once one stamp, and an entry has empty lines."""
    pod = world.cluster.botkube(NAMESPACE, at=world.clock.ns())
    truth = write(pod, world, 20)
    async with world.agent():
        await until(lambda: missing(truth, world) == {})
        before, at = len(world.cluster.server.calls), world.clock.ns()
        for _ in range(200):
            pod.write(b"\n", at=at)
            pod.write(b"  |\n", at=at)
        truth.update(write(pod, world, 20, seed=2))
        await until(lambda: missing(truth, world) == {})
        calls = world.cluster.server.calls[before:]

    assert sum(call.subresource == "log" for call in calls) < 10


async def test_a_watch_that_expired_lists_again(world: Lab) -> None:
    async with world.agent():
        world.cluster.botkube(NAMESPACE, at=world.clock.ns(), name="botkube-1")
        await until(lambda: len(world.reports()) > 0)
        world.cluster.server.expire_watches()
        pod = world.cluster.botkube(NAMESPACE, at=world.clock.ns(), name="botkube-2")
        truth = write(pod, world, 20)
        await until(lambda: missing(truth, world) == {})

    assert missing(truth, world) == {}


async def test_a_watch_that_fails_once_changes_nothing(world: Lab) -> None:
    failed = world.cluster.server.faults.add(Answer(500), path="/pods$", verb="watch")
    async with world.agent() as agent:
        await until(lambda: failed.seen > 1)
        pod = world.cluster.botkube(NAMESPACE, at=world.clock.ns())
        truth = write(pod, world, 20)
        await until(lambda: missing(truth, world) == {})

        assert agent.pipeline is not None
        assert agent.pipeline.listing.is_whole


async def test_without_the_right_to_watch_pods_are_listed_again(
    world: Lab, caplog: pytest.LogCaptureFixture
) -> None:
    world.cluster.server.access.deny("watch", "pods")
    async with world.agent() as agent:
        await until(lambda: agent.pipeline is not None and agent.pipeline.listing.is_whole)
        pod = world.cluster.botkube(NAMESPACE, at=world.clock.ns())
        truth = write(pod, world, 20)
        await until(lambda: missing(truth, world) == {})

    rights = [vars(one)["right"] for one in caplog.records if one.msg == "a right is missing"]
    assert rights == ["watch pods"]


async def test_a_right_on_pods_is_told_once_for_all_selectors(
    world: Lab, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    world.changes["selectors"] = ("app=botkube", "app=other", "app=third")
    access = world.cluster.server.access
    lists, watches = access.deny("list", "pods"), access.deny("watch", "pods")

    def asked(verb: str) -> int:
        return len({str(one.query) for one in world.cluster.server.calls if one.verb == verb})

    async with world.agent(waits=False):
        # Each is asked for by the switches, too.
        await until(lambda: asked("list") > 5)
        access.denied.remove(lists)
        await until(lambda: asked("watch") > 2)
        await after(world, 5)
        access.denied.remove(watches)
    told = [one.message for one in caplog.records if one.message.startswith("pods")]
    rights = [vars(one).get("right") for one in caplog.records]

    assert told == ["pods cannot be listed", "pods listed"]
    assert rights.count("watch pods") == 1


async def test_without_the_right_to_get_a_pod_that_is_said_at_once_and_lines_count(
    world: Lab, caplog: pytest.LogCaptureFixture
) -> None:
    """The watch alone then tells of the next instance."""
    world.cluster.server.access.deny("get", "pods")
    async with world.agent():
        pod = world.cluster.botkube(NAMESPACE, at=world.clock.ns())
        world.cluster.botkube(NAMESPACE, at=world.clock.ns(), name="botkube-1")
        truth = write(pod, world, 20)
        await until(lambda: missing(truth, world) == {})
        said = [vars(one) for one in caplog.records if one.msg == "a right is missing"]
        pod.crash(at=world.clock.ns(), exit_code=0)
        pod.restart(at=world.clock.ns())
        truth.update(write(pod, world, 20, seed=2))
        await until(lambda: missing(truth, world) == {})

    assert [one["right"] for one in said] == ["get pods"]
    assert said[0]["trait"].endswith(f"namespace {NAMESPACE}")
    assert [one.msg for one in caplog.records].count("a right is missing") == 1


@pytest.mark.parametrize(("verb", "resource"), [("list", "pods"), ("get", "pods/log")])
async def test_a_missing_right_is_named(
    world: Lab, caplog: pytest.LogCaptureFixture, verb: str, resource: str
) -> None:
    world.cluster.server.access.deny(verb, resource)
    async with world.agent():
        world.cluster.botkube(NAMESPACE, at=world.clock.ns())
        await until(lambda: any("namespace" in vars(one) for one in caplog.records))

    # The switch that stands in the pods has no namespace of its own.
    named = [vars(one) for one in caplog.records if {"right", "namespace"} <= vars(one).keys()]
    assert {(one["right"], one["namespace"]) for one in named} == {
        (f"{verb} {resource}", NAMESPACE)
    }


async def test_where_no_pods_may_be_listed_windows_say_that_nothing_could_be_read(
    world: Lab,
) -> None:
    """A report that says nothing of a BotKube says otherwise that there is none."""
    world.changes["selectors"] = ("app=botkube", "app=other")
    denied = world.cluster.server.access.deny("list", "pods")
    pod = world.cluster.botkube(NAMESPACE, at=world.clock.ns())
    async with world.agent(waits=False) as agent:
        await after(world, 5 * WINDOW_SECONDS)
        blind = world.reports()
        world.cluster.server.access.denied.remove(denied)
        truth = write(pod, world, 20)
        await until(lambda: missing(truth, world) == {})
        await until(lambda: agent.pipeline is not None and not agent.pipeline.listing.refused)
        pod.remove(at=world.clock.ns())
        await after(world, 5 * WINDOW_SECONDS)

    assert {one.get("gap_seconds_unreadable") for one in blind} == {60}
    assert {one.get("botkube_version") for one in blind} == {None}
    last = world.reports()[-1]
    assert not {"gap_seconds_unreadable", "botkube_version"} & last.keys()


async def test_a_state_that_cannot_be_written_is_said_once(
    tmp_path: Path, ruleset: RuleSet, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "agent")
    async with lab(tmp_path, ruleset, state_path=None) as world, world.agent():
        sick = world.cluster.server.faults.add(
            Answer(500), path="botkube-analytics-state", verb="update", times=None
        )
        pod = world.cluster.botkube(NAMESPACE, at=world.clock.ns())
        truth = write(pod, world, 20)
        await until(lambda: sick.seen > 5)
        world.cluster.server.faults.clear()
        await until(lambda: missing(truth, world) == {})

    said = [one.msg for one in caplog.records if str(one.msg).startswith("state can")]
    assert said == ["state cannot be written", "state can be written again"]


@pytest.mark.parametrize(
    ("verb", "resource", "lost"),
    [
        ("get", "namespaces", "group"),
        ("get", "deployments", "nothing"),
        ("get", "configmaps", "nothing"),
    ],
)
async def test_a_missing_right_costs_its_trait_and_nothing_else(
    world: Lab, verb: str, resource: str, lost: str
) -> None:
    world.cluster.server.access.deny(verb, resource)
    async with world.agent():
        pod = world.cluster.botkube(NAMESPACE, at=world.clock.ns())
        truth = write(pod, world, 20)
        await until(lambda: missing(truth, world) == {})

    kinds = {event["type"] for event in world.collector.accepted}
    assert ("group" in kinds) == (lost != "group")


async def test_the_version_comes_from_the_chart_where_the_tag_says_nothing(world: Lab) -> None:
    async with world.agent():
        world.cluster.botkube(
            NAMESPACE, at=world.clock.ns(), version="v1.14.0", image="mirror.local/botkube:latest"
        )
        await until(lambda: bool(world.reports()) and "botkube_version" in world.reports()[-1])

    assert world.reports()[-1]["botkube_version"] == "v1.14.0"


async def test_a_stop_commits_sends_nothing_and_leaves_a_mark(world: Lab) -> None:
    pod = world.cluster.botkube(NAMESPACE, at=world.clock.ns())
    truth = write(pod, world, 20)
    async with world.agent() as agent:
        pipeline = agent.pipeline
        assert pipeline is not None
        await until(lambda: missing(truth, world) == {} and not pipeline.counting.document.outbox)
        # Early in a window, so that nothing is due to be sent by itself.
        await until(lambda: 5 < world.clock.seconds() % WINDOW_SECONDS < WINDOW_SECONDS / 2)
        more = write(pod, world, 20, seed=2)
        both = truth.total() + more.total()
        await until(lambda: pipeline.counting.observed.total() == both)
        requests = len(world.collector.requests)
        await world.finish(agent)
        sent_on_the_way_out = len(world.collector.requests) - requests
    left = decode((world.folder / "state.json").read_bytes())
    async with world.agent(seed=2):
        truth.update(more)
        await until(lambda: missing(truth, world) == {})

    assert sent_on_the_way_out == 0
    assert left.stopped_seconds is not None
    assert sum(window.counts.total() for window in left.windows.open.values()) == more.total()
    assert missing(truth, world) == {}


async def test_what_is_written_while_scaled_to_zero_is_not_counted(world: Lab) -> None:
    pod = world.cluster.botkube(NAMESPACE, at=world.clock.ns())
    truth = write(pod, world, 20)
    async with world.agent() as agent:
        await until(lambda: missing(truth, world) == {})
        await world.finish(agent)
    world.clock.moved += 1800
    write(pod, world, 20, seed=2)
    world.clock.moved += 1800
    async with world.agent(seed=2):
        await after(world, 1)  # of the second in which it began nothing counts
        truth.update(write(pod, world, 20, seed=3))
        await until(lambda: missing(truth, world) == {})
        await until(lambda: world.gaps()["stopped"] > 0)

    assert missing(truth, world) == {}
    windows = [(report["window_start"], report["window_end"]) for report in world.reports()]
    jumps = [end for (_, end), (start, _) in pairwise(windows) if end != start]
    # Windows wholly inside the stop are not sent and take no seq; those at its edges say so.
    assert len(jumps) == 1


async def test_crashes_while_scaled_to_zero_are_not_counted(world: Lab) -> None:
    pod = world.cluster.botkube(NAMESPACE, at=world.clock.ns())
    truth = write(pod, world, 20)
    async with world.agent() as agent:
        await until(lambda: missing(truth, world) == {})
        await world.finish(agent)
    for _ in range(3):
        world.clock.moved += 600
        pod.crash(at=world.clock.ns(), exit_code=2)
        pod.restart(at=world.clock.ns())
    world.clock.moved += 600
    async with world.agent(seed=2):
        await until(lambda: world.gaps()["stopped"] > 0)
        await after(world, WINDOW_SECONDS)

    assert not [event for event, _ in world.counted() if event == "Application crashed"]


async def test_a_version_that_nobody_tells_holds_up_nothing(world: Lab) -> None:
    sick = world.cluster.server.faults.add(Answer(500), path="/deployments/", times=None)
    async with world.agent():
        pod = world.cluster.botkube(NAMESPACE, at=world.clock.ns(), image="mirror/botkube:dev")
        truth = write(pod, world, 20)
        await until(lambda: missing(truth, world) == {})

    assert sick.seen > 1
    assert {report["botkube_version"] for report in world.reports()} <= {"other"}


async def test_a_version_that_is_told_at_last_is_told(world: Lab) -> None:
    """That nobody told it at first must not make it one that no list has, for good."""
    sick = world.cluster.server.faults.add(
        Answer(500), path="/deployments/", times=MAX_VERSION_FAILURES + 2
    )
    async with world.agent():
        pod = world.cluster.botkube(NAMESPACE, at=world.clock.ns(), image="mirror/botkube:dev")
        await until(lambda: bool(world.reports()) and versions(world)[-1] == "v1.14.0")
        pod.crash(at=world.clock.ns())
        await until(lambda: bool(crashed_versions(world)))

    assert sick.seen > MAX_VERSION_FAILURES
    assert crashed_versions(world) == {"v1.14.0"}


async def test_an_upgrade_whose_pods_cannot_start_renames_none_that_runs(world: Lab) -> None:
    """Where no tag tells the version, the Deployment's label tells that of its next pods."""
    server = world.cluster.server
    pod = world.cluster.botkube(
        NAMESPACE, at=world.clock.ns(), version="v1.13.0", image="mirror/botkube:dev"
    )
    async with world.agent() as agent:
        await until(lambda: bool(world.reports()))
        await world.kill(agent)
    patch = {"metadata": {"labels": {"helm.sh/chart": "botkube-v1.14.0"}}}
    server.store.merge(DEPLOYMENTS, NAMESPACE, "botkube", patch)
    async with world.agent(seed=2):
        await after(world, 2 * WINDOW_SECONDS)
        for _ in range(2):
            pod.crash(at=world.clock.ns())
            pod.restart(at=world.clock.ns())
            await after(world, 2 * WINDOW_SECONDS)

    assert set(versions(world)) == crashed_versions(world) == {"v1.13.0"}


async def test_a_version_of_a_tag_overrules_one_of_a_label(world: Lab) -> None:
    """As when only a newer agent knows the release of the tag."""
    pod = world.cluster.botkube(
        NAMESPACE, at=world.clock.ns(), version="v1.13.0", image="mirror/botkube:dev"
    )
    async with world.agent() as agent:
        await until(lambda: bool(world.reports()) and versions(world)[-1] == "v1.13.0")
        await world.kill(agent)
    found = world.cluster.server.store.get(PODS, NAMESPACE, pod.name)
    found["spec"]["containers"][0]["image"] = "mirror/botkube:v1.14.0"
    world.cluster.server.store.update(PODS, NAMESPACE, pod.name, found)
    async with world.agent(seed=2):
        await after(world, 2 * WINDOW_SECONDS)
        pod.crash(at=world.clock.ns())
        await until(lambda: bool(crashed_versions(world)))

    assert crashed_versions(world) == {"v1.14.0"}


async def test_restarts_that_were_read_are_no_gap_after_a_stop(
    tmp_path: Path, ruleset: RuleSet
) -> None:
    """The count of restarts is forgotten then; the pod is not."""
    async with lab(tmp_path, ruleset, window_seconds=3600) as world:
        async with world.agent() as agent:
            await after(world, 5)
            world.clock.moved += 3600
            await until(lambda: bool(world.reports()))
            pod = world.cluster.botkube(NAMESPACE, at=world.clock.ns())
            await after(world, 5)
            for _ in range(3):
                pod.crash(at=world.clock.ns(), exit_code=2)
                await after(world, 5)
                pod.restart(at=world.clock.ns())
                await after(world, 5)
            await world.finish(agent)
        world.clock.moved += 900
        async with world.agent(seed=2):
            await after(world, 5)
            world.clock.moved += 3600
            await until(lambda: "stopped" in world.gaps())

    assert set(world.gaps()) == {"stopped"}
    assert world.counted().total() == 3


async def test_a_pod_whose_image_was_changed_runs_another_version(world: Lab) -> None:
    async with world.agent():
        pod = world.cluster.botkube(NAMESPACE, at=world.clock.ns(), version="v1.13.0")
        await until(lambda: bool(world.reports()) and versions(world)[-1] == "v1.13.0")
        found = world.cluster.server.store.get(PODS, NAMESPACE, pod.name)
        found["spec"]["containers"][0]["image"] = "ghcr.io/kubeshop/botkube:v1.14.0"
        world.cluster.server.store.update(PODS, NAMESPACE, pod.name, found)
        await after(world, 5)
        pod.crash(at=world.clock.ns(), exit_code=0, reason="Completed")
        pod.restart(at=world.clock.ns())
        await until(lambda: versions(world)[-1] == "v1.14.0")
        pod.crash(at=world.clock.ns())
        await until(lambda: bool(crashed_versions(world)))

    assert crashed_versions(world) == {"v1.14.0"}
    assert list(dict.fromkeys(versions(world))) in (
        ["v1.13.0", "v1.14.0"],
        ["v1.13.0", "several", "v1.14.0"],
    )


def versions(world: Lab) -> list[str | None]:
    """Return which version each window tells."""
    return [one.get("botkube_version") for one in world.reports()]


def crashed_versions(world: Lab) -> set[str]:
    events = [one for one in world.collector.accepted if one.get("event") == CRASHED]
    return {one["properties"]["botkube_version"] for one in events}


async def test_state_that_is_lost_is_reported_and_never_a_crash(world: Lab) -> None:
    pod = world.cluster.botkube(NAMESPACE, at=world.clock.ns())
    truth = write(pod, world, 20)
    async with world.agent():
        await until(lambda: missing(truth, world) == {})
    (world.folder / "state.json").write_text("not a document")
    async with world.agent(seed=2):
        await until(lambda: world.gaps()["state_lost"] > 0)

    assert len({report["stream"] for report in world.reports()}) == 2


@pytest.mark.parametrize("place", ["file", "ConfigMap"])
@pytest.mark.parametrize("end", ["stopped", "killed"])
async def test_an_older_copy_of_state_is_recognised(
    tmp_path: Path, ruleset: RuleSet, place: str, end: str
) -> None:
    """What somebody puts back from a backup while no agent runs is not counted twice."""
    where: dict[str, object] = {"state_path": None} if place == "ConfigMap" else {}
    async with lab(tmp_path, ruleset, **where) as world:
        pod = world.cluster.botkube(NAMESPACE, at=world.clock.ns())
        truth = write(pod, world, 20)
        async with world.agent() as agent:
            await until(lambda: missing(truth, world) == {})
            old = kept(world)
            truth += write(pod, world, 20, seed=2)
            await until(lambda: missing(truth, world) == {})
            if end == "stopped":
                await world.finish(agent)
        put_back(world, old)
        async with world.agent(seed=3):
            await until(lambda: world.gaps()["state_lost"] > 0)
            truth += write(pod, world, 20, seed=4)
            await until(lambda: missing(truth, world) == {})

    assert missing(truth, world) == {}
    assert len({report["stream"] for report in world.reports()}) == 2


async def test_an_older_copy_that_is_put_under_a_running_agent_is_replaced(
    tmp_path: Path, ruleset: RuleSet
) -> None:
    async with lab(tmp_path, ruleset, state_path=None) as world:
        pod = world.cluster.botkube(NAMESPACE, at=world.clock.ns())
        truth = write(pod, world, 20)
        async with world.agent():
            await until(lambda: missing(truth, world) == {})
            old = kept(world)
        async with world.agent(seed=2) as agent:
            truth += write(pod, world, 20, seed=2)
            await until(lambda: missing(truth, world) == {})
            put_back(world, old)
            truth += write(pod, world, 20, seed=3)
            await until(lambda: missing(truth, world) == {})

            assert not agent.task.done()
    assert not world.gaps()


def kept(world: Lab) -> dict[str, object]:
    """Return State as it is stored now."""
    if world.options().state_path is not None:
        return {"file": (world.folder / "state.json").read_bytes()}
    found = world.cluster.server.store.get(CONFIGMAPS, NAMESPACE, "botkube-analytics-state")
    return {"binaryData": dict(found["binaryData"])}


def put_back(world: Lab, old: dict[str, object]) -> None:
    """Replace State behind the agent's back."""
    if isinstance(data := old.get("file"), bytes):
        (world.folder / "state.json").write_bytes(data)
        return
    name = "botkube-analytics-state"
    store = world.cluster.server.store
    store.update(CONFIGMAPS, NAMESPACE, name, store.get(CONFIGMAPS, NAMESPACE, name) | old)


async def test_local_mode_counts_and_sends_nothing(world: Lab) -> None:
    async with world.agent(sends=False) as agent:
        pod = world.cluster.botkube(NAMESPACE, at=world.clock.ns())
        write(pod, world, 20)
        await until(
            lambda: agent.pipeline is not None and agent.pipeline.counting.windows_closed > 1
        )

        assert agent.pipeline is not None
        assert agent.pipeline.counting.observed.total() > 10
        assert not agent.pipeline.counting.document.outbox
    assert not world.collector.requests


async def test_state_in_a_config_map_is_fenced_by_its_version(
    tmp_path: Path, ruleset: RuleSet
) -> None:
    async with lab(tmp_path, ruleset, state_path=None) as world:
        pod = world.cluster.botkube(NAMESPACE, at=world.clock.ns())
        truth = write(pod, world, 20)
        async with world.agent() as first:
            await until(lambda: missing(truth, world) == {})
            async with world.agent(seed=2) as second:
                truth.update(write(pod, world, 20, seed=2))
                await until(lambda: first.task.done() or second.task.done(), fenced=True)
                await until(lambda: missing(truth, world) == {}, fenced=True)

    assert missing(truth, world) == {}


async def test_a_claim_that_another_commit_overtook_is_made_again(
    tmp_path: Path, ruleset: RuleSet
) -> None:
    async with lab(tmp_path, ruleset, state_path=None) as world:
        pod = world.cluster.botkube(NAMESPACE, at=world.clock.ns())
        truth = write(pod, world, 20)
        async with world.agent():
            await until(lambda: missing(truth, world) == {})
        overtaken = world.cluster.server.faults.add(
            Answer(409), path="botkube-analytics-state", verb="update", times=2
        )
        async with world.agent(seed=2):
            truth.update(write(pod, world, 20, seed=2))
            await until(lambda: missing(truth, world) == {})

    assert overtaken.seen > 2
    assert missing(truth, world) == {}


async def test_status_reads_and_writes_nothing(
    tmp_path: Path, ruleset: RuleSet, capsys: pytest.CaptureFixture[str]
) -> None:
    async with lab(tmp_path, ruleset, state_path=None) as world:
        decision = Decision(Mode.LOCAL, "a test")
        code = await show_status(decision, (), ruleset, world.options())
        methods = {call.method for call in world.cluster.server.calls}

    assert (code, methods) == (0, {"GET"})
    assert "nothing yet" in capsys.readouterr().out


async def test_a_lost_answer_to_a_commit_is_recognised(tmp_path: Path, ruleset: RuleSet) -> None:
    async with lab(tmp_path, ruleset, state_path=None) as world, world.agent() as agent:
        pod = world.cluster.botkube(NAMESPACE, at=world.clock.ns())
        await until(lambda: len(world.reports()) > 0)
        # Twice, because the HTTP client repeats a PUT once by itself.
        world.cluster.server.faults.add(
            LoseResponse(), path="botkube-analytics-state", verb="update", times=2
        )
        truth = write(pod, world, 30)
        await until(lambda: missing(truth, world) == {})

        assert not agent.task.done()

    assert missing(truth, world) == {}


async def test_a_pod_that_is_deleted_is_drained_first(world: Lab) -> None:
    async with world.agent():
        pod = world.cluster.botkube(NAMESPACE, at=world.clock.ns())
        await after(world, 5)
        truth = write(pod, world, 30)
        pod.begin_delete(at=world.clock.ns())
        pod.remove(at=world.clock.ns())
        await until(lambda: missing(truth, world) == {})

    assert missing(truth, world) == {}


async def test_a_half_open_api_server_does_not_stop_the_other_containers(world: Lab) -> None:
    async with world.agent() as agent:
        assert agent.pipeline is not None
        stuck = world.cluster.botkube(NAMESPACE, at=world.clock.ns(), name="stuck")
        world.cluster.server.faults.add(HalfOpen(), path=f"/pods/{stuck.name}/log", times=None)
        pod = world.cluster.botkube(NAMESPACE, at=world.clock.ns(), name="well")
        truth = write(pod, world, 20)
        pipeline = agent.pipeline
        await until(lambda: pipeline.counting.observed.total() == truth.total())

    assert any(call.name == stuck.name for call in world.cluster.server.calls)


async def test_namespaces_that_cannot_be_listed_for_a_while_keep_their_cursors(world: Lab) -> None:
    pod = world.cluster.botkube(NAMESPACE, at=world.clock.ns())
    truth = write(pod, world, 20)
    async with world.agent():
        await until(lambda: missing(truth, world) == {})
    world.cluster.server.faults.add(Answer(403), path=r"/pods$", verb="list", times=2)
    async with world.agent(seed=2):
        truth.update(write(pod, world, 20, seed=2))
        await until(lambda: missing(truth, world) == {})
        await after(world, 2 * WINDOW_SECONDS)

    assert missing(truth, world) == {}
    assert not world.gaps()


async def test_what_is_counted_in_local_mode_is_never_sent(world: Lab) -> None:
    pod = world.cluster.botkube(NAMESPACE, at=world.clock.ns())
    async with world.agent(sends=False) as agent:
        write(pod, world, 20)
        await until(lambda: counting(agent).observed.total() > 10)
        await world.finish(agent)
    async with world.agent(seed=2) as agent:
        await until(
            lambda: world.clock.seconds() > (counting(agent).document.windows.count_from or 0)
        )
        truth = write(pod, world, 20, seed=2)
        await until(lambda: missing(truth, world) == {})

    assert missing(truth, world) == {}
    assert world.reports()[0]["seq"] == 1
    assert sum(report["lines_read"] for report in world.reports()) <= 100


async def test_leaving_on_discards_what_was_not_sent(world: Lab) -> None:
    world.collector.faults.add(Answer(503), path=BATCH, times=None)
    pod = world.cluster.botkube(NAMESPACE, at=world.clock.ns())
    async with world.agent() as agent:
        write(pod, world, 20)
        await until(lambda: len(counting(agent).document.outbox) > 0)
        await world.finish(agent)
    async with world.agent(sends=False, seed=2) as agent:
        assert not counting(agent).document.outbox


async def test_a_container_whose_last_line_is_old_holds_nobody_up(world: Lab) -> None:
    old = world.cluster.botkube(NAMESPACE, at=world.clock.ns(), name="old")
    old.write("INFO[2027-01-14T20:00:00Z] nothing\n", at=world.clock.ns() - 3_600 * NANOS)
    async with world.agent():
        pod = world.cluster.botkube(NAMESPACE, at=world.clock.ns(), name="busy")
        truth = write(pod, world, 20)
        await until(lambda: missing(truth, world) == {})

    assert missing(truth, world) == {}


async def test_a_container_that_cannot_be_read_for_long_is_a_gap(
    tmp_path: Path, ruleset: RuleSet
) -> None:
    async with lab(tmp_path, ruleset) as world:
        world.changes["pace"] = attrs.evolve(world.options().pace, unreadable=30.0)
        world.cluster.server.access.deny("get", "pods/log")
        async with world.agent():
            world.cluster.botkube(NAMESPACE, at=world.clock.ns())
            await until(lambda: world.gaps()["unreadable"] > 0)


async def test_a_namespace_that_may_not_be_listed_keeps_nothing_of_the_others(
    tmp_path: Path, ruleset: RuleSet
) -> None:
    """State is bounded, and the agent is ready, whatever a Role leaves out."""
    async with lab(tmp_path, ruleset, namespaces=(NAMESPACE, "other")) as world:
        world.cluster.server.faults.add(Answer(403), path="/other/pods$", times=None)
        gone = world.cluster.botkube(NAMESPACE, at=world.clock.ns(), name="gone")
        pod = world.cluster.botkube(NAMESPACE, at=world.clock.ns())
        async with world.agent() as agent:
            truth = write(pod, world, 20)
            await until(lambda: missing(truth, world) == {})
            gone.remove(at=world.clock.ns())
            for _ in range(4):
                pod.crash(at=world.clock.ns(), exit_code=0)
                pod.restart(at=world.clock.ns())
                await after(world, 5)
            await after(world, 2 * WINDOW_SECONDS)
            write(pod, world, 20, seed=2)
            await until(lambda: len(counting(agent).document.instances) <= 2)

            assert agent.pipeline is not None
            assert (agent.pipeline.listing.is_settled, agent.pipeline.listing.is_whole) == (
                True,
                False,
            )
            assert len(counting(agent).document.restarts) == 1


async def test_a_beginning_that_failed_does_not_meet_its_own_lock(world: Lab) -> None:
    state = world.folder / "state.json"
    state.write_bytes(orjson.dumps({"version": 99}))
    async with world.agent(waits=False) as agent:
        await asyncio.wait([agent.task])
        assert isinstance(agent.task.exception(), StateError)
    state.unlink()
    pod = world.cluster.botkube(NAMESPACE, at=world.clock.ns())
    async with world.agent(seed=2):
        truth = write(pod, world, 20)
        await until(lambda: missing(truth, world) == {})


async def test_more_containers_than_can_be_followed_wait_for_their_turn(world: Lab) -> None:
    async with world.agent() as agent:
        assert agent.pipeline is not None
        containers = agent.pipeline.containers
        containers.max_follows = 1
        first = world.cluster.botkube(NAMESPACE, at=world.clock.ns(), name="first")
        truth = write(first, world, 20)
        await until(lambda: missing(truth, world) == {})
        second = world.cluster.botkube(NAMESPACE, at=world.clock.ns(), name="second")
        truth += write(second, world, 20, seed=2)
        await until(lambda: containers.refused > 0)
        closed = len(world.reports())
        await until(lambda: len(world.reports()) > closed + 1)
        assert missing(truth, world) != {}
        assert "gap_seconds_unreadable" in world.reports()[-1]

        first.remove(at=world.clock.ns())
        await until(lambda: missing(truth, world) == {})
        assert containers.refused == 1


@pytest.mark.parametrize("same_name", [False, True])
async def test_a_pod_that_went_while_no_agent_was_reading_is_a_gap(
    world: Lab, *, same_name: bool
) -> None:
    """What it wrote behind the last commit is gone with its log."""
    pod = world.cluster.botkube(NAMESPACE, at=world.clock.ns(), name="one")
    truth = write(pod, world, 20)
    async with world.agent():
        await until(lambda: missing(truth, world) == {})
        await after(world, 10)
    write(pod, world, 20, seed=2)
    pod.remove(at=world.clock.ns())
    other = world.cluster.botkube(
        NAMESPACE, at=world.clock.ns(), name="one" if same_name else "two"
    )
    truth += write(other, world, 20, seed=3)
    async with world.agent(seed=2):
        await until(lambda: missing(truth, world) == {})
        await until(lambda: world.gaps()["pod_gone"] > 0)
        await after(world, 2 * WINDOW_SECONDS)

    assert missing(truth, world) == {}
    assert set(world.gaps()) == {"pod_gone"}


async def test_crashes_that_nobody_saw_are_counted_as_unseen(world: Lab) -> None:
    pod = world.cluster.botkube(NAMESPACE, at=world.clock.ns())
    async with world.agent() as agent:
        await until(lambda: bool(counting(agent).document.restarts))
        await after(world, 5)
    for _ in range(3):
        pod.crash(at=world.clock.ns(), exit_code=2)
        pod.restart(at=world.clock.ns())
    async with world.agent(seed=2):
        await until(lambda: world.counted().total() >= 3)
        await after(world, 2 * WINDOW_SECONDS)

    kinds = {dict(properties)["kind"]: n for (_, properties), n in world.counted().items()}
    assert kinds == {"unseen": 2, "unknown": 1}
    assert crashed_versions(world) == {"v1.14.0"}


@pytest.mark.parametrize("container", ["botkube", SIDECAR])
@pytest.mark.parametrize("crashes", [1, 3])
async def test_what_a_new_pod_wrote_before_its_last_restarts_is_a_gap(
    world: Lab, crashes: int, container: str
) -> None:
    """Of a restart that is not the last one the log is gone, and with it what it counted."""
    world.changes["containers"] = frozenset({"botkube", SIDECAR})
    async with world.agent() as agent:
        await until(lambda: bool(world.reports()))
        await world.kill(agent)
    pod = world.cluster.botkube(NAMESPACE, at=world.clock.ns(), sidecar=True)
    for _ in range(crashes):
        pod.crash(at=world.clock.ns(), exit_code=2, container=container)
        pod.restart(at=world.clock.ns(), container=container)
    async with world.agent(seed=2):
        await until(lambda: bool(crashed_versions(world)))
        await after(world, 2 * WINDOW_SECONDS)

    assert set(world.gaps()) == ({"restarted"} if crashes > 1 else set())


async def test_a_pod_that_crashes_and_is_deleted_is_counted_with_its_last_words(world: Lab) -> None:
    rng = random.Random(4)
    writer = BotKubeV114(rng, cluster="test")
    async with world.agent():
        pod = world.cluster.botkube(NAMESPACE, at=world.clock.ns())
        await after(world, 5)
        actions = [writer.start(world.clock.ns()), writer.panic(world.clock.ns())]
        for action in actions:
            pod.play(action)
        pod.begin_delete(at=world.clock.ns())
        pod.remove(at=world.clock.ns(), exit_code=2, reason="Error")
        await until(lambda: missing(replay(actions), world) == {})

    assert missing(replay(actions), world) == {}


@pytest.mark.parametrize(("outbox", "rest"), [(1000, 10_000), (2000, 0)])
async def test_a_full_outbox_stops_reading_until_there_is_room(
    world: Lab, monkeypatch: pytest.MonkeyPatch, outbox: int, rest: int
) -> None:
    """What the rest of State takes beyond its share is taken from that of the outbox."""
    monkeypatch.setattr("agent.counting.OUTBOX_BYTES", outbox)
    monkeypatch.setattr("agent.counting.CURSORS_BYTES", rest)
    sick = world.collector.faults.add(Answer(503), path=BATCH, times=None)
    async with world.agent() as agent:
        pod = world.cluster.botkube(NAMESPACE, at=world.clock.ns())
        truth = write(pod, world, 20)
        await until(lambda: counting(agent).is_full)
        await after(world, 5)
        read = counting(agent).lines
        truth.update(write(pod, world, 20, seed=2))
        await after(world, 60)
        assert counting(agent).lines == read
        assert (counting(agent).document.outbox_bytes > outbox) == (rest > 0)

        world.collector.faults.clear()
        await until(lambda: missing(truth, world) == {})

    assert sick.seen > 0
    assert missing(truth, world) == {}


async def test_what_a_full_outbox_cost_is_reported_as_backpressure(
    world: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.counting.OUTBOX_BYTES", 1000)
    world.collector.faults.add(Answer(503), path=BATCH, times=None)
    async with world.agent() as agent:
        pod = world.cluster.botkube(NAMESPACE, at=world.clock.ns())
        truth = write(pod, world, 20)
        await until(lambda: counting(agent).is_full)
        assert agent.pipeline is not None
        for follow in agent.pipeline.containers.follows.values():
            follow.fail(ApiError(502, "Bad Gateway"))  # the last that is tried for a long time
        world.clock.moved += 2 * PACE.unreadable
        await after(world, 30)
        write(pod, world, 20, seed=2)
        pod.rotate()
        await after(world, 30)
        truth.update(write(pod, world, 20, seed=3))
        await after(world, 5)

        world.collector.faults.clear()
        await until(lambda: missing(truth, world) == {})
        await after(world, WINDOW_SECONDS)

    assert missing(truth, world) == {}
    assert set(world.gaps()) == {"backpressure"}
    assert world.gaps()["backpressure"] >= 60


async def test_nothing_is_sent_that_is_not_committed(tmp_path: Path, ruleset: RuleSet) -> None:
    async with lab(tmp_path, ruleset, state_path=None) as world, world.agent() as agent:
        pod = world.cluster.botkube(NAMESPACE, at=world.clock.ns())
        await until(lambda: len(world.reports()) > 0)
        denied = world.cluster.server.access.deny("update", "configmaps")
        await after(world, 5)
        requests = len(world.collector.requests)
        closed = counting(agent).windows_closed
        truth = write(pod, world, 20)
        await until(lambda: counting(agent).windows_closed > closed + 2)
        assert len(world.collector.requests) == requests

        world.cluster.server.access.denied.remove(denied)
        await until(lambda: missing(truth, world) == {})

    assert missing(truth, world) == {}


def allow(times: int) -> Callable[[], None]:
    """Return a check that lets a process act so often, such as until its lease runs out."""
    left = iter(range(times))

    def check() -> None:
        if next(left, None) is None:
            raise LeaseLost("a test")

    return check


async def test_who_may_not_act_commits_nothing(world: Lab) -> None:
    pod = world.cluster.botkube(NAMESPACE, at=world.clock.ns())
    write(pod, world, 20)
    async with world.agent(check=allow(1)) as agent:
        claimed = (world.folder / "state.json").read_bytes()
        await until(agent.task.done, fenced=True)

        error = agent.task.exception()
        assert isinstance(error, ExceptionGroup)
        assert error.subgroup(LeaseLost) is not None
    assert (world.folder / "state.json").read_bytes() == claimed


async def test_who_may_not_act_sends_nothing(world: Lab) -> None:
    sick = world.collector.faults.add(Answer(503), path=BATCH, times=None)
    world.cluster.botkube(NAMESPACE, at=world.clock.ns())
    async with world.agent():
        await until(lambda: sick.seen > 0)
    sent = sick.seen
    # One act is to claim State; then the batch in it could go out, well before the next tick.
    world.changes["pace"] = attrs.evolve(world.options().pace, tick=1.0)
    async with world.agent(seed=2, check=allow(1)) as agent:
        await until(agent.task.done, fenced=True)

    assert sick.seen == sent


async def test_a_token_that_was_rotated_is_read_again(world: Lab) -> None:
    world.cluster.server.access.tokens = {"first": "agent"}
    world.token = "first"
    async with world.agent():
        pod = world.cluster.botkube(NAMESPACE, at=world.clock.ns())
        truth = write(pod, world, 20)
        await until(lambda: missing(truth, world) == {})
        world.cluster.server.access.tokens = {"second": "agent"}
        world.token = "second"
        world.options()  # writes the kubeconfig anew
        world.cluster.server.order_streams("eof", path="/log")
        truth.update(write(pod, world, 20, seed=2))
        await until(lambda: missing(truth, world) == {})

    assert missing(truth, world) == {}


async def test_a_stop_while_starting_ends_at_once(world: Lab) -> None:
    world.cluster.server.faults.add(HalfOpen(), path="", times=None)
    async with world.agent(waits=False) as agent:
        await until(lambda: bool(world.cluster.server.calls))
        agent.stop.set()
        async with asyncio.timeout(3):
            await agent.task


async def test_a_minimum_raises_small_counts_and_sums_are_of_what_was_sent(
    tmp_path: Path, ruleset: RuleSet
) -> None:
    async with lab(tmp_path, ruleset, minimum=7) as world, world.agent():
        pod = world.cluster.botkube(NAMESPACE, at=world.clock.ns())
        truth = write(pod, world, 40)
        await until(lambda: set(truth) <= set(world.counted()))
        await after(world, WINDOW_SECONDS)
    sent = [event["properties"] for event in world.collector.accepted if "event" in event]
    counts = [one for one in sent if "count" in one]
    deltas = [value for one in sent for name, value in one.items() if name.endswith("_delta")]

    assert {7} == {one["count"] for one in counts if "count_floor" in one}
    assert min(one["count"] for one in counts) >= 7
    assert sum(one["count"] for one in counts) == sum(deltas) > truth.total()
