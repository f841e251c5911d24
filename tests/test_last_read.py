"""What an ended container has left: read whole, never taken for another's, else a gap."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import attrs
import pytest

from agent.follow import Follow, Pace, audit, wants_audit
from agent.follow.audit import look_between
from agent.follow.last_read import _ended_with_its_container, _is_anothers
from agent.lag import Suspect
from agent.model import Container, Format
from agent.prefilter import make_prefilter
from agent.reader import Reader
from agent.rules import RuleSet
from agent.source import podlogs
from agent.source.api import ApiError, Client
from agent.source.discovery import ContainerStatus, Ended
from tests.agents import NAMESPACE, NANOS, WINDOW_SECONDS, Lab, after, lab, missing, until, write
from tests.faults import virtual
from tests.faults.simulation import open_lab
from tests.faults.words import WORDS, say, word_rules
from tests.sim.botkube import Fact, replay
from tests.sim.botkube_v1_14 import BotKubeV114
from tests.sim.faults import Answer, Cut, Delay, Fault, HalfOpen, Reset, in_band
from tests.sim.pods import Pod
from tests.strategies import NOON, stamp

LOG = r"/pods/[^/]+/log"
OPENER = (
    '{"bot":"Slack","commGroup":"g","level":"debug","msg":"Slack incoming Request: ping",'
    '"time":"2027-01-15T08:00:00Z"}\n'
)


@pytest.fixture
async def world(tmp_path: Path, ruleset: RuleSet) -> AsyncIterator[Lab]:
    async with lab(tmp_path, ruleset) as opened:
        yield opened


def panic(pod: Pod, world: Lab) -> Counter[Fact]:
    """Let a pod write a panic and end."""
    action = BotKubeV114(random.Random(4), cluster="test").panic(world.clock.ns())
    pod.play(action)
    pod.crash(at=world.clock.ns(), exit_code=2)
    return replay([action])


@pytest.mark.parametrize("is_killed", [False, True], ids=["log errors", "agent killed"])
async def test_a_rotation_before_a_crash_loses_nothing_of_what_is_left(
    world: Lab, *, is_killed: bool
) -> None:
    pod = world.cluster.botkube(NAMESPACE, at=world.clock.ns())
    truth = write(pod, world, 20)
    async with world.agent():
        await until(lambda: missing(truth, world) == {})
        if not is_killed:
            world.cluster.server.faults.add(Answer(502), path=LOG, times=2)
            world.cluster.server.order_streams("reset", path="/log")
            truth += crash_behind_a_rotation(pod, world)
            await until(lambda: missing(truth, world) == {})
    if is_killed:
        truth += crash_behind_a_rotation(pod, world)
        async with world.agent(seed=2):
            await until(lambda: missing(truth, world) == {})

    assert missing(truth, world) == {}


def crash_behind_a_rotation(pod: Pod, world: Lab) -> Counter[Fact]:
    world.clock.moved += 30
    pod.rotate()
    truth = write(pod, world, 20, seed=2)
    truth += panic(pod, world)
    pod.restart(at=world.clock.ns())
    return truth


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(in_band("rpc error: Unknown\n", after_lines=10), id="error text"),
        pytest.param(in_band("rpc error: Unknown", after_lines=10), id="error text at the end"),
        pytest.param(in_band("failed to watch file\n", after_lines=0), id="text alone"),
        pytest.param(Cut("eof", after_lines=10), id="early end"),
        pytest.param(Cut("eof", after_bytes=1000), id="end in a line"),
        pytest.param(Cut("reset", after_bytes=1000), id="reset in a line"),
        pytest.param(Answer(500), id="server error"),
        pytest.param(Answer(429, retry_after=1), id="too many requests"),
        pytest.param(Reset(), id="reset"),
    ],
)
async def test_a_last_read_that_fails_is_made_again(world: Lab, fault: Fault) -> None:
    pod = world.cluster.botkube(NAMESPACE, at=world.clock.ns())
    truth = write(pod, world, 20)
    truth += panic(pod, world)
    pod.restart(at=world.clock.ns())
    failed = world.cluster.server.faults.add(
        fault, path=LOG, when=lambda call: call.query.get("previous") == "true"
    )
    async with world.agent():
        await until(lambda: missing(truth, world) == {})
        await after(world, WINDOW_SECONDS)

    assert failed.seen > 1
    assert missing(truth, world) == {}
    assert not world.gaps()


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(Cut("eof", after_lines=3), id="behind a line"),
        pytest.param(Cut("eof", after_bytes=300), id="in a line"),
    ],
)
async def test_a_reply_that_ends_before_what_was_counted_is_no_other_file(
    world: Lab, fault: Fault
) -> None:
    pod = world.cluster.botkube(NAMESPACE, at=world.clock.ns())
    truth = write(pod, world, 20)
    async with world.agent():
        await until(lambda: missing(truth, world) == {})
        truth += write(pod, world, 20, seed=2)
        await until(lambda: missing(truth, world) == {})
        failed = world.cluster.server.faults.add(
            fault, path=LOG, times=4, when=lambda call: call.query.get("follow") != "true"
        )
        truth += panic(pod, world)
        pod.restart(at=world.clock.ns())
        await until(lambda: failed.seen > 4 and missing(truth, world) == {})
        await after(world, WINDOW_SECONDS)

    assert missing(truth, world) == {}
    assert not world.gaps()


async def test_a_stream_that_is_given_up_has_not_ended(world: Lab) -> None:
    """Age says nothing of the end: taken for it, the rest would be given up in silence."""
    pod = world.cluster.botkube(NAMESPACE, at=world.clock.ns())
    write(pod, world, 5)
    container = Container(NAMESPACE, pod.name, pod.uid, "botkube", "any")
    async with Client(world.options().access, "test") as client:
        stream = podlogs.follow(
            client, container, since_seconds=0, max_age_seconds=0.2, gather_seconds=0
        )
        with pytest.raises(TimeoutError):
            async for _ in stream:
                pass


async def test_an_outage_of_the_log_around_a_crash_gives_nothing_up(world: Lab) -> None:
    pod = world.cluster.botkube(NAMESPACE, at=world.clock.ns())
    truth = write(pod, world, 20)
    async with world.agent():
        await until(lambda: missing(truth, world) == {})
        world.cluster.server.faults.add(Answer(502), path=LOG, times=None)
        world.cluster.server.order_streams("reset", path="/log")
        truth += write(pod, world, 20, seed=2)
        truth += panic(pod, world)
        await after(world, 120)
        world.cluster.server.faults.clear()
        await until(lambda: missing(truth, world) == {})

    assert missing(truth, world) == {}
    assert not world.gaps()


async def test_an_instance_between_two_that_were_read_is_a_gap_and_never_anothers_log(
    world: Lab,
) -> None:
    pod = world.cluster.botkube(NAMESPACE, at=world.clock.ns())
    truth = write(pod, world, 20)
    async with world.agent():
        await until(lambda: missing(truth, world) == {})
        world.cluster.server.faults.add(Answer(502), path=LOG, times=None)
        world.cluster.server.order_streams("reset", path="/log")
        write(pod, world, 20, seed=2)
        panic(pod, world)
        await after(world, 20)
        pod.restart(at=world.clock.ns())
        truth += write(pod, world, 20, seed=3)
        truth += panic(pod, world)
        await after(world, 20)
        pod.back_off()
        await after(world, 20)
        pod.restart(at=world.clock.ns())
        world.cluster.server.faults.clear()
        # The first crash is known by its exit code alone: its last words are gone.
        truth["Application crashed", (("kind", "unknown"),)] += 1
        await until(lambda: missing(truth, world) == {})
        await after(world, WINDOW_SECONDS)

    assert missing(truth, world) == {}
    assert set(world.gaps()) == {"restarted"}


async def test_an_answer_that_comes_after_the_next_crash_is_anothers(world: Lab) -> None:
    """What a server gives as the previous log depends on when it looks."""
    pod = world.cluster.botkube(NAMESPACE, at=world.clock.ns())
    panic(pod, world)
    await after(world, 60)
    pod.restart(at=world.clock.ns())
    truth = write(pod, world, 20, seed=2)
    crashed = asyncio.Event()
    late = world.cluster.server.faults.add(
        Delay(until=crashed), path=LOG, when=lambda call: call.query.get("previous") == "true"
    )
    async with world.agent() as agent:
        pipeline = agent.pipeline
        assert pipeline is not None
        await until(lambda: late.seen > 0 and pipeline.counting.observed.total() == truth.total())
        truth += panic(pod, world)
        pod.restart(at=world.clock.ns())
        await after(world, 5)
        crashed.set()
        # The first one's log is gone, only its exit code is known.
        truth["Application crashed", (("kind", "unknown"),)] += 1
        await until(lambda: missing(truth, world) == {})
        await after(world, WINDOW_SECONDS)

    assert missing(truth, world) == {}
    assert set(world.gaps()) == {"restarted"}


async def test_a_last_line_without_its_newline_counts_if_it_stays_so(world: Lab) -> None:
    pod = world.cluster.botkube(NAMESPACE, at=world.clock.ns())
    line = '{"level":"fatal","msg":"while running application: boom","time":"2027-01-15T08:00:00Z"}'
    pod.write(line, at=world.clock.ns())
    pod.crash(at=world.clock.ns(), exit_code=1)
    pod.restart(at=world.clock.ns())
    async with world.agent():
        await until(lambda: world.counted().total() == 1)
        await after(world, WINDOW_SECONDS)

    assert world.counted() == {("Application crashed", (("kind", "fatal"),)): 1}
    assert world.lines() == 1


async def test_lines_that_wait_for_another_survive_their_file(world: Lab) -> None:
    """An opener that waits is counted although the file was rotated before its stream broke."""
    pod = world.cluster.botkube(NAMESPACE, at=world.clock.ns())
    async with world.agent() as agent:
        pod.write(OPENER, at=world.clock.ns())
        pipeline = agent.pipeline
        assert pipeline is not None
        follows = pipeline.containers.follows
        await until(lambda: any(one.reader.is_holding for one in follows.values()))
        pod.rotate()
        world.cluster.server.order_streams("reset", path="/log")
        await until(lambda: world.counted().total() == 1)

    assert [event for event, _ in world.counted()] == ["Command executed"]
    assert world.lines() == 1


async def test_what_a_broken_last_read_forgot_is_reported(world: Lab) -> None:
    """The stream had brought all, but what it brought was waiting, and then its log was gone."""
    pod = world.cluster.botkube(NAMESPACE, at=world.clock.ns())
    plain = '{"level":"info","msg":"nothing","time":"2027-01-15T08:00:00Z"}\n'
    times = [world.clock.ns() + n * NANOS // 1000 for n in range(4)]
    async with world.agent() as agent:
        pipeline = agent.pipeline
        assert pipeline is not None
        follows = pipeline.containers.follows
        for text, at in zip((plain, OPENER, plain, plain), times, strict=True):
            pod.write(text, at=at)
        await until(lambda: [one.reader.lines_read for one in follows.values()] == [4])
        assert [one.reader.cursor().total for one in follows.values()] == [1]
        world.clock.is_held = True  # nothing but the last read reads
        for fault, number in ((Cut("reset", after_lines=2), 1), (Answer(404), None)):
            world.cluster.server.faults.add(
                fault, path=LOG, times=number, when=lambda call: "follow" not in call.query
            )
        pod.crash(at=world.clock.ns(), exit_code=0)
        await until(lambda: bool(pipeline.counting.gaps))

        assert pipeline.counting.lines == 2
        assert [(one.reason, one.start_ns) for one in pipeline.counting.gaps] == [
            ("restarted", times[1])
        ]


async def test_a_half_open_last_read_holds_only_its_own_container(world: Lab) -> None:
    stuck = world.cluster.botkube(NAMESPACE, at=world.clock.ns(), name="stuck")
    write(stuck, world, 5)
    panic(stuck, world)
    stuck.restart(at=world.clock.ns())
    world.cluster.server.faults.add(HalfOpen(), path=f"/pods/{stuck.name}/log", times=None)
    pod = world.cluster.botkube(NAMESPACE, at=world.clock.ns(), name="well")
    truth = write(pod, world, 20, seed=2)
    async with world.agent() as agent:
        pipeline = agent.pipeline
        assert pipeline is not None
        await until(lambda: pipeline.counting.observed.total() == truth.total())


RUNNING = ContainerStatus("botkube", "", "id", 0, True, 0, None, None)  # noqa: FBT003


def alone(times: dict[str, float]) -> Follow:
    """Return a follow that nobody runs, whose two clocks are the test's."""
    nothing: Any = None
    reader, may_read = Reader(nothing, make_prefilter([])), asyncio.Event()
    may_read.set()
    return Follow(
        Container("botkube", "pod", "uid", "botkube", "id"),
        reader,
        nothing,
        lambda: 1e9 + times["wall"],
        lambda: times["passed"],
        random.Random(1),
        lambda _one, _released: None,
        may_read,
        Pace(unreadable=600),
        nothing,
        nothing,
    )


@pytest.mark.parametrize("waited_seconds", [1, 5])
@pytest.mark.parametrize("set_seconds", [0, 60])
def test_a_stream_that_a_server_ended_before_its_container_was_not_whole(
    tmp_path: Path, waited_seconds: float, set_seconds: float
) -> None:
    """The node's clock is behind, or the agent's was set forward; the pod is gone at once."""
    behind = 0 if set_seconds else 3 * NANOS

    async def lose() -> tuple[int, Counter[str]]:
        async with open_lab(tmp_path) as world:

            def now() -> int:
                return world.clock.ns() - int(world.clock.moved * NANOS) - behind

            pod = world.cluster.botkube(NAMESPACE, at=now())
            async with world.agent():
                for _ in range(3):
                    pod.write(OPENER, at=now())
                    await asyncio.sleep(waited_seconds)
                world.clock.moved = set_seconds
                world.cluster.server.order_streams("eof", path="/log")
                await asyncio.sleep(1)
                pod.write(OPENER, at=now())
                pod.begin_delete(at=now())
                pod.remove(at=now())
                await asyncio.sleep(150)
                return world.lines(), world.gaps()

    lines, gaps = virtual.run(lose(), seed=1)

    assert (lines, [*gaps]) == (3, ["pod_gone"])


@pytest.mark.parametrize(("behind_seconds", "gaps"), [(0, []), (3, [])], ids=["true", "behind"])
def test_a_quiet_stream_is_judged_by_the_agents_clock(
    tmp_path: Path, behind_seconds: int, gaps: list[str]
) -> None:
    """Its lines are old, so nothing tells how far the node's clock is behind: a limit."""

    async def lose() -> tuple[int, list[str]]:
        async with open_lab(tmp_path) as world:

            def now() -> int:
                return world.clock.ns() - behind_seconds * NANOS

            pod = world.cluster.botkube(NAMESPACE, at=now())
            pod.write(OPENER, at=now())
            await asyncio.sleep(60)
            async with world.agent():
                await asyncio.sleep(30)
                if behind_seconds:
                    # A server ends the stream, and a line comes before the container's end.
                    world.cluster.server.order_streams("eof", path="/log")
                    await asyncio.sleep(1)
                    pod.write(OPENER, at=now())
                pod.begin_delete(at=now())
                pod.remove(at=now())
                await asyncio.sleep(150)
                return world.lines(), [*world.gaps()]

    assert virtual.run(lose(), seed=1) == (1, gaps)


def test_a_stream_that_ended_with_the_kubelets_own_words_was_not_whole(tmp_path: Path) -> None:
    """Its pod is gone before it can be read again, and what it had not brought with it."""

    async def lose() -> tuple[int, Counter[str]]:
        async with open_lab(tmp_path) as world:
            world.changes["pace"] = Pace(tick=5.0, retry=100.0)
            pod = world.cluster.botkube(NAMESPACE, at=world.clock.ns())
            for _ in range(5):
                pod.write(OPENER, at=world.clock.ns() - 9 * NANOS)
            words = in_band("rpc error: Unknown\n", after_lines=2)
            ended = world.cluster.server.faults.add(words, path=LOG)
            async with world.agent():
                await asyncio.sleep(5)
                assert ended.seen > 0
                pod.begin_delete(at=world.clock.ns() - 5 * NANOS)
                pod.remove(at=world.clock.ns() - 5 * NANOS)
                await asyncio.sleep(150)
                return world.lines(), world.gaps()

    lines, gaps = virtual.run(lose(), seed=1)

    assert (lines, [*gaps]) == (2, ["pod_gone"])


@pytest.mark.parametrize(
    ("finished", "first", "is_anothers"),
    [(NOON, NOON, False), (NOON, NOON + 1, False), (NOON, NOON + 2, True), (0, NOON, False)],
)
def test_a_log_that_begins_after_an_instance_had_finished_is_anothers(
    finished: int, first: int, *, is_anothers: bool
) -> None:
    one = alone({"wall": 0.0, "passed": 0.0})
    one.ended = Ended("id", 2, "Error", finished)
    chunk = b"no stamp\n" + stamp(first * NANOS) + b" a\n" + stamp((NOON + 9) * NANOS) + b" b\n"

    assert _is_anothers(one, chunk) is is_anothers
    assert not _is_anothers(one, b"no stamp\n")


@pytest.mark.parametrize(
    ("ended", "tail", "is_whole"), [(NOON, b"", True), (NOON + 1, b"", False), (NOON, b"ha", False)]
)
def test_a_stream_that_outlived_its_container_and_ended_with_a_line_was_whole(
    ended: int, tail: bytes, *, is_whole: bool
) -> None:
    one = alone({"wall": 0.0, "passed": 0.0})
    one.ended = Ended("id", 2, "Error", ended)
    one.saw_end, one.end_seconds, one.at_end = True, NOON + 0.5, (3, tail)

    assert _ended_with_its_container(one) is is_whole


@pytest.mark.parametrize("meanwhile", ["nothing", "its-end", "line", "end", "last-read", "lost"])
async def test_an_audit_says_nothing_of_what_changed_meanwhile(
    monkeypatch: pytest.MonkeyPatch, meanwhile: str
) -> None:
    """Its answer is older than such lines, and what follows them is still to come.

    Whoever has stopped may have put its Cursor down already.
    """
    one = alone({"wall": 0.0, "passed": 0.0})
    one.scope = asyncio.timeout(None)
    first, second = (stamp(NOON * NANOS + n) + b" line\n" for n in range(2))
    await one.take(first)

    async def answer(*_args: object, **_kwargs: object) -> bytes:
        if meanwhile == "line":
            await one.take(second)
        elif meanwhile == "end":
            one.scope = None
        elif meanwhile != "nothing":
            one.scope, one.saw_end = None, True
            one.status = None if meanwhile == "lost" else RUNNING
            if meanwhile == "last-read":
                one.has_stopped.set()
        return first

    monkeypatch.setattr(podlogs, "read", answer)
    await audit(one)

    assert (one.clear_seconds > 0) is (meanwhile in {"nothing", "its-end"})


async def test_an_audit_clears_no_window_of_a_line_that_waits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nothing follows it, and what it counts is still to be decided."""
    one, rules = alone({"wall": 0.0, "passed": 0.0}), word_rules()
    one.reader = Reader(rules, make_prefilter(rules.literals))
    one.scope = asyncio.timeout(None)
    asked = say("asked", WORDS[0], at_seconds=NOON, shape=Format.LOGFMT)
    chunk = stamp(NOON * NANOS) + b" " + asked + b"\n"
    await one.take(chunk)

    async def answer(*_args: object, **_kwargs: object) -> bytes:
        return chunk

    monkeypatch.setattr(podlogs, "read", answer)
    await audit(one)

    assert (one.reader.is_holding, one.clear_seconds) == (True, 0)


@pytest.mark.parametrize(("silence", "is_ended"), [(1.5, False), (2.5, True)])
async def test_what_follows_a_short_silence_may_still_be_on_its_way(
    monkeypatch: pytest.MonkeyPatch, silence: float, *, is_ended: bool
) -> None:
    """A stream that is as quick as the read that found more is not dead."""
    times = {"wall": 0.0, "passed": 0.0}
    one = alone(times)
    first, second = (stamp(NOON * NANOS + n) + b" line\n" for n in range(2))
    await one.take(first)
    times["passed"] = silence

    async def answer(*_args: object, **_kwargs: object) -> bytes:
        return first + second

    monkeypatch.setattr(podlogs, "read", answer)
    async with asyncio.timeout(None) as scope:
        one.scope = scope
        await audit(one)
        is_interrupted = scope.when() is not None

    assert is_interrupted is is_ended


@pytest.mark.parametrize(
    ("finished", "may"), [(None, True), (0, True), (NOON - 1, True), (NOON - 2, False)]
)
def test_a_window_lacks_no_line_of_an_instance_that_had_ended_before(
    finished: int | None, *, may: bool
) -> None:
    """However long its last read has to wait."""
    times = {"wall": 0.0, "passed": 0.0}
    one = alone(times)
    one.ended = None if finished is None else Ended("id", 2, "Error", finished)
    one.fail(ApiError(502, "Bad Gateway"))
    waits = one.may_lack(NOON, NOON + 60)
    times["passed"] = 601.0

    assert (waits, one.may_lack(NOON, NOON + 60)) == (False, may)


def test_while_nobody_tries_to_read_nobody_knows_that_it_cannot_be_read() -> None:
    """When the outbox has room again, windows wait for what is read then."""
    times = {"wall": 0.0, "passed": 0.0}
    one = alone(times)
    one.fail(ApiError(502, "Bad Gateway"))
    one.may_read.clear()
    times["passed"] = 601.0

    assert not one.is_unreadable()
    assert one.holds(NOON)


JUMPS = [(3600.0, 60.0, False), (-3600.0, 700.0, True)]


@pytest.mark.parametrize(("wall", "passed", "wants"), [(3600.0, 30.0, False), (-9.0, 61.0, True)])
async def test_a_clock_that_jumps_asks_no_sooner_and_no_later(
    wall: float, passed: float, *, wants: bool
) -> None:
    times = {"wall": 0.0, "passed": 0.0}
    one = alone(times)
    one.scope = asyncio.timeout(None)
    times.update(wall=wall, passed=passed)

    assert wants_audit(one, None) is wants


@pytest.mark.parametrize(("wall", "passed", "gives_up"), JUMPS)
async def test_a_clock_that_jumps_condemns_no_suspect(
    monkeypatch: pytest.MonkeyPatch, wall: float, passed: float, *, gives_up: bool
) -> None:
    async def fail(*_args: object, **_kwargs: object) -> AsyncIterator[bytes]:
        raise ApiError(502, "Bad Gateway")
        yield b""

    monkeypatch.setattr(podlogs, "read_chunks", fail)
    times = {"wall": 0.0, "passed": 0.0}
    one = alone(times)
    suspect = Suspect(0, b"a", 1, b"b")
    one.reader.lag.suspects.append(suspect)
    await look_between(one, suspect)
    times.update(wall=wall, passed=passed)
    await look_between(one, suspect)

    assert (suspect not in one.reader.lag.suspects) is gives_up
    assert bool(one.asked) is not gives_up


@pytest.mark.parametrize(
    ("answer", "current", "is_settled"),
    [("uid", "id", True), ("uid", "next", False), (None, "id", False)],
    ids=["its own", "the next one's", "nobody's"],
)
async def test_two_lines_stand_apart_only_in_the_log_of_their_own_instance(
    monkeypatch: pytest.MonkeyPatch, answer: str | None, current: str, *, is_settled: bool
) -> None:
    """The container restarts while the request is under way; its status comes later."""

    async def read(*_args: object, **_kwargs: object) -> AsyncIterator[bytes]:
        yield stamp((NOON + 9) * NANOS) + b" c\n"

    async def refresh(one: Follow) -> str | None:
        one.take_status(attrs.evolve(RUNNING, container_id=current), is_deleting=False)
        return answer

    monkeypatch.setattr(podlogs, "read_chunks", read)
    one = alone({"wall": 0.0, "passed": 0.0})
    one.refresh = refresh
    one.take_status(RUNNING, is_deleting=False)
    suspect = Suspect(NOON * NANOS, b"a", (NOON + 1) * NANOS, b"b")
    one.reader.lag.suspects.append(suspect)
    await look_between(one, suspect)

    assert (suspect not in one.reader.lag.suspects) is is_settled


@pytest.mark.parametrize(("wall", "passed", "gives_up"), JUMPS)
async def test_a_clock_that_jumps_gives_no_container_up(
    wall: float, passed: float, *, gives_up: bool
) -> None:
    """How long it could not be read is measured by a clock that nobody sets."""
    times = {"wall": 0.0, "passed": 0.0}
    one = alone(times)
    one.fail(ApiError(502, "Bad Gateway"))
    times.update(wall=wall, passed=passed)

    assert one.is_unreadable() is gives_up
