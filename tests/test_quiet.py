"""What was stamped or read before counting began never counts, however long it had to wait."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

import orjson
import pytest
from attrs import define, field
from hypothesis import example, given
from hypothesis import strategies as st

from agent.aggregate import Instance, Windows
from agent.model import NANOS, Format
from agent.prefilter import make_prefilter
from agent.reader import Reader
from agent.source.switches import ANNOTATION
from tests.agents import NAMESPACE, START, WINDOW_SECONDS, lab, until
from tests.faults.words import WORDS, say, word_rules
from tests.shipped import RULES
from tests.sim.faults import Answer, Delay
from tests.sim.store import NAMESPACES
from tests.strategies import NOON, Kubelet

PREFILTER = make_prefilter(word_rules().literals)
BEGIN = NOON + 10
"""From when on it counts; the first line is written ten seconds before."""

Step = tuple[str, int]
"""What happens, and how many tenths of a second after the step before."""

VERBS = ("said", "asked", "answered", "idle", "reopen")
BURST_LINES = 5
"""So many lines that say nothing, a second apart, which are passed over at once."""


def steps(*verbs: str) -> st.SearchStrategy[list[Step]]:
    step = st.tuples(st.sampled_from(verbs), st.integers(0, 40))
    return st.lists(step, min_size=1, max_size=40)


@define
class Scene:
    """A reader by the agent's clock, and a log by its node's, which is ahead by `ahead_ns`."""

    ahead_ns: int
    now_ns: int = NOON * NANOS
    kubelet: Kubelet = field(factory=Kubelet)
    reader: Reader = field(factory=lambda: Reader(word_rules(), PREFILTER, key=b"k"))
    windows: Windows = field(factory=lambda: Windows(1, count_from=BEGIN))
    said: dict[str, tuple[int, int]] = field(factory=dict)
    """When each word was read first, and its stamp, in seconds."""
    read: list[tuple[int, int]] = field(factory=list)
    """The same of each line."""

    def take(self, step: Step) -> None:
        verb, tenths = step
        self.now_ns += tenths * NANOS // 10
        if verb == "rotate":
            self.kubelet.rotate(len(self.kubelet.lines) // 2)
        if verb in {"reopen", "rotate"}:
            for line in self.kubelet.reply(self.reader.reopen()):
                self.feed([line])
        elif verb == "idle":
            self.reader.idle(4.0)
            self.feed([])
        elif verb == "burst":
            self.feed([self.write("mumbled", "", later) for later in range(BURST_LINES)])
        else:
            word = WORDS[len(self.said)]
            line = self.write(verb, word)
            self.said[word] = self.read[-1]
            self.feed([line])

    def write(self, verb: str, word: str, later: int = 0) -> bytes:
        at_ns = self.now_ns + self.ahead_ns + later * NANOS
        self.read.append((self.now_ns // NANOS, at_ns // NANOS))
        text = say(verb, word, at_seconds=at_ns // NANOS, shape=Format.LOGFMT)
        self.kubelet.write(at_ns, text)
        return self.kubelet.lines[-1][1]

    def feed(self, lines: list[bytes]) -> None:
        self.reader.feed(b"".join(line + b"\n" for line in lines), now_ns=self.now_ns)
        released = self.reader.take(now_ns=self.now_ns)
        self.windows.fold(Instance(), released, now_seconds=self.now_ns // NANOS)

    def counted(self, *, unsent: bool = False) -> Counter[str]:
        found: Counter[str] = Counter()
        for window in self.windows.open.values():
            for (_, _, properties), count in (window.unsent if unsent else window.counts).items():
                found[str(dict(properties)["word"])] += count
        return found

    def lines(self) -> int:
        return sum(window.lines for window in self.windows.open.values())


def play(played: list[Step], tenths_ahead: int) -> Scene:
    scene = Scene(tenths_ahead * NANOS // 10)
    for step in played:
        scene.take(step)
    scene.reader.finish()
    scene.feed([])
    return scene


AHEAD = [("asked", 99), ("answered", 5), ("said", 0)]
"""Asked just before it counts, and answered after; the node is ahead."""


@given(steps(*VERBS, "burst", "rotate"), st.integers(-50, 100))
@example([*AHEAD, ("idle", 50)], 10)
@example([("asked", 85), ("burst", 0), ("answered", 20)], 10)
@example([*AHEAD[:1], ("reopen", 5), *AHEAD[1:]], 10)
@example([("said", 80), ("asked", 19), ("reopen", 5), ("idle", 40)], 10)
@example([("said", 99), ("idle", 5)], 10)
@example([("said", 99), ("said", 5), ("reopen", 5), ("said", 5)], 20)
def test_nothing_stamped_or_read_before_counts(played: list[Step], tenths: int) -> None:
    scene = play(played, tenths)
    begun = {word for word, at in scene.said.items() if min(at) >= BEGIN}

    assert scene.counted().keys() <= begun
    assert scene.lines() <= sum(min(at) >= BEGIN for at in scene.read)
    assert not scene.counted().keys() & scene.counted(unsent=True).keys()


@given(steps(*VERBS), st.integers(-50, 100))
@example([("said", 120), ("asked", 1), ("said", 1), ("reopen", 50), ("said", 1)], 10)
def test_all_that_was_stamped_and_read_after_counts(played: list[Step], tenths: int) -> None:
    """Also where stamps are ahead, as long as all of them are as much."""
    scene = play(played, tenths)
    words = scene.counted() + scene.counted(unsent=True)
    begun = {word for word, at in scene.said.items() if min(at) >= BEGIN}

    assert scene.counted().keys() == begun & words.keys()


async def test_an_agent_counts_nothing_of_what_waited_over_the_end_of_the_quiet_period(
    tmp_path: Path,
) -> None:
    """It and the API server are a window behind the node, so that the stamp alone does not tell."""
    behind = WINDOW_SECONDS
    async with lab(tmp_path, word_rules(), quiet_period_seconds=WINDOW_SECONDS) as world:
        world.cluster.server.date = lambda: world.clock.seconds() - behind
        pod = world.cluster.botkube(NAMESPACE, at=world.clock.ns())

        def write(verb: str, word: str) -> None:
            text = say(verb, word, at_seconds=world.clock.ns() // NANOS, shape=Format.LOGFMT)
            pod.write(text.decode() + "\n", at=world.clock.ns())

        # However long a busy machine takes to begin.
        world.clock.is_held = True
        async with world.agent(wrong_seconds=-behind) as agent:
            assert agent.pipeline is not None
            follows = agent.pipeline.containers.follows
            counting = agent.pipeline.counting
            assert counting.document.windows.count_from == START
            world.clock.is_held = False
            await until(lambda: world.clock.moved >= WINDOW_SECONDS - 2)
            world.clock.is_held = True
            write("asked", "w1")
            await until(lambda: any(one.reader.is_holding for one in follows.values()))
            world.clock.moved = WINDOW_SECONDS + 0.5
            write("answered", "")
            write("said", "w2")
            await until(lambda: counting.observed["Said"] > 0)
            world.clock.is_held = False
            await until(lambda: len(world.collector.tracks("Said")) > 0)
        asked, said = world.collector.tracks("Asked"), world.collector.tracks("Said")

    assert counting.observed["Asked"] == 1
    assert (len(asked), len(said)) == (0, 1)


BEHIND = 120
AWAY = 700
"""Longer than a stop may last that is none, or since a first start that was cut short; the latter
not by the clock that is behind."""


@pytest.mark.parametrize("before", ["off", "local", "stopped", "lost", "cut-short"])
async def test_what_was_written_before_a_boundary_counts_not_though_our_clock_is_behind(
    tmp_path: Path, before: str
) -> None:
    """The node's clock and the API server's are right. The log is read once our clock says so."""
    patch = {"metadata": {"annotations": {ANNOTATION: "true" if before == "off" else None}}}
    async with lab(tmp_path, word_rules()) as world:
        world.clock.is_held = True
        pod = world.cluster.botkube(NAMESPACE, at=world.clock.ns())

        def write(word: str) -> None:
            text = say("said", word, at_seconds=world.clock.ns() // NANOS, shape=Format.LOGFMT)
            pod.write(text.decode() + "\n", at=world.clock.ns())

        if before == "off":
            async with world.agent() as agent:
                await world.finish(agent)
        world.cluster.server.store.merge(NAMESPACES, "", NAMESPACE, patch)
        async with world.agent(
            wrong_seconds=-BEHIND, sends=before != "local", waits=before != "off"
        ) as agent:
            if before == "off":
                await asyncio.wait([agent.task])
            else:
                await world.finish(agent)
        kept = tmp_path / "state.installation.json"
        if before in {"lost", "cut-short"}:
            (tmp_path / "state.json").unlink()
        if before == "cut-short":
            kept.write_bytes(orjson.dumps(orjson.loads(kept.read_bytes()) | {"commits": 0}))

        world.clock.moved = AWAY - 5
        write("w1")
        world.clock.moved = AWAY
        patch["metadata"]["annotations"][ANNOTATION] = None
        world.cluster.server.store.merge(NAMESPACES, "", NAMESPACE, patch)
        go_on = asyncio.Event()
        world.cluster.server.faults.add(Delay(until=go_on), path=r"/log$", times=None)
        async with world.agent(wrong_seconds=-BEHIND, seed=2) as agent:
            assert agent.pipeline is not None
            counting = agent.pipeline.counting
            world.clock.moved = AWAY + BEHIND + 2 * WINDOW_SECONDS
            go_on.set()
            await until(lambda: counting.lines > 0)
            write("w2")
            world.clock.is_held = False
            await until(lambda: len(world.collector.tracks("Said")) > 0)
        said = orjson.loads(kept.read_bytes())

    assert [one["properties"]["word"] for one in world.collector.tracks("Said")] == ["w2"]
    assert said.get("not_before", 0) == (START + AWAY + 1 if before in {"off", "local"} else 0)


HOUR = 3600
QUIET = 24 * HOUR


@pytest.mark.parametrize(
    ("wrong", "refusal"),
    [
        (0, None),
        (-2 * HOUR, None),
        (2 * HOUR, None),
        (-50 * 365 * 24 * HOUR, None),
        (-2 * HOUR, 401),
        (-2 * HOUR, 403),
        (-2 * HOUR, 404),
    ],
    ids=str,
)
async def test_the_quiet_period_begins_by_the_later_clock(
    tmp_path: Path, wrong: int, refusal: int | None
) -> None:
    """One that is behind at the first start is set some time, and it must not end before.

    A refusal tells the time, too.
    """
    async with lab(tmp_path, word_rules(), quiet_period_seconds=QUIET) as world:
        world.clock.is_held = True
        if refusal is not None:
            world.cluster.server.faults.add(Answer(refusal), path="/version", times=None)
        ends = []
        for wrong_seconds, seed in ((wrong, 1), (0, 2)):
            async with world.agent(wrong_seconds=wrong_seconds, seed=seed) as agent:
                assert agent.pipeline is not None
                ends.append(agent.pipeline.counting.document.windows.count_from)
                await world.finish(agent)

    assert ends == [START + max(0, wrong) + QUIET] * 2


@pytest.mark.parametrize(
    ("status", "begins"), [(403, True), (500, False)], ids=["refused", "no-answer"]
)
async def test_without_the_other_clock_it_begins_by_its_own_or_waits(
    tmp_path: Path, status: int, *, begins: bool
) -> None:
    async with lab(tmp_path, word_rules(), quiet_period_seconds=QUIET) as world:
        world.clock.is_held = True
        world.cluster.server.faults.add(Answer(status), path="/version", times=None)
        async with world.agent(waits=False) as agent:
            await until(lambda: agent.pipeline is not None or agent.task.done(), fenced=True)
            begun = agent.pipeline
        is_chosen = (tmp_path / "state.installation.json").exists()

    assert (begun is not None, is_chosen) == (begins, begins)


@pytest.mark.parametrize("way", ["restart", "reload"])
async def test_what_is_new_is_withheld_by_the_later_clock(tmp_path: Path, way: str) -> None:
    async with lab(tmp_path, word_rules(), quiet_period_seconds=QUIET) as world:
        world.clock.is_held = True
        async with world.agent(wrong_seconds=-HOUR) as agent:
            assert agent.pipeline is not None
            world.clock.moved = BEHIND
            if way == "reload":
                agent.pipeline.change_rules(RULES, make_prefilter(RULES.literals))
            held = agent.pipeline.counting.withholding
            await world.finish(agent)
        if way == "restart":
            world.ruleset = RULES
            async with world.agent(wrong_seconds=-HOUR, seed=2) as agent:
                assert agent.pipeline is not None
                held = agent.pipeline.counting.withholding
                await world.finish(agent)

    assert held.latest == START + BEHIND + QUIET
