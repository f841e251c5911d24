"""Reader, Cursor, document, commits and outbox under every fault, against a model that counts.

A failure names its seed, `play(seed)` repeats it; hypothesis makes its own failures small. More of
both: `make faults`.
"""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from agent.model import NANOS
from tests.faults.machine import Between, SaveFault, SendFault, World
from tests.faults.schedule import DELAYS_NS, SIZES, STEPS_NS, VERBS, play

FROM = int(os.environ.get("FAULTS_FROM", "0"))
SEEDS = int(os.environ.get("FAULTS_SCHEDULES", "120"))
PARTS = 4
EXAMPLES = int(os.environ.get("FAULTS_EXAMPLES", "25"))


class Machine(RuleBasedStateMachine):
    """The same steps, chosen by hypothesis."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()

    def teardown(self) -> None:
        try:
            self.world.settle()
        finally:
            self.world.close()

    @rule(
        verb=st.sampled_from(VERBS),
        step_ns=st.sampled_from(STEPS_NS),
        rotate_after=st.sampled_from((None, None, 0, 1)),
        copies=st.integers(1, 3),
        follows=st.booleans(),
    )
    def append(
        self, verb: str, step_ns: int, rotate_after: int | None, copies: int, *, follows: bool
    ) -> None:
        self.world.append(verb, step_ns=step_ns, rotate_after=rotate_after, copies=copies)
        if follows:
            self.world.receive(1 << 20)

    @rule(between=st.sampled_from(("", "stderr", "rotation", "both")))
    def append_pieces(self, between: Between) -> None:
        self.world.append_pieces(between=between)

    @rule()
    def append_straddling_pieces(self) -> None:
        self.world.append_pieces(between="rotation", straddle=True)

    @rule()
    def append_late(self) -> None:
        self.world.append_late()

    @rule()
    def tear(self) -> None:
        self.world.tear()

    @rule()
    def rotate(self) -> None:
        self.world.rotate()

    @rule()
    def connect(self) -> None:
        self.world.observe()
        self.world.connect()

    @rule()
    def connect_before_the_status_comes(self) -> None:
        self.world.connect()

    @rule(size=st.sampled_from(SIZES), delay_ns=st.sampled_from(DELAYS_NS))
    def receive(self, size: int, delay_ns: int) -> None:
        self.world.receive(size, delay_ns=delay_ns)

    @rule(text=st.sampled_from((b"", b"rpc error: code = Unknown", b"failed to watch\n")))
    def disconnect(self, text: bytes) -> None:
        self.world.disconnect(text)

    @rule()
    def audit(self) -> None:
        self.world.audit()

    @rule()
    def crash_container(self) -> None:
        self.world.crash_container()

    @rule()
    def back_off(self) -> None:
        self.world.back_off()

    @rule()
    def start_container(self) -> None:
        self.world.start_container()

    @rule(fault=st.sampled_from(("", "refused", "lost", "unknown", "unread")))
    def commit(self, fault: SaveFault) -> None:
        self.world.commit(fault)

    @rule(fault=st.sampled_from(("refused", "lost")))
    def kill_in_commit(self, fault: SaveFault) -> None:
        self.world.kill_in_commit(fault)

    @rule()
    def kill(self) -> None:
        self.world.kill()

    @rule()
    def usurp(self) -> None:
        self.world.usurp()

    @rule(
        written_ns=st.sampled_from((0, NANOS, 90 * NANOS)),
        agent_ns=st.sampled_from((0, 5 * NANOS, -50 * NANOS)),
    )
    def pass_time(self, written_ns: int, agent_ns: int) -> None:
        self.world.pass_time(written_ns=written_ns, agent_ns=agent_ns)

    @rule(fault=st.sampled_from(("", "refused", "lost")))
    def close_and_send(self, fault: SendFault) -> None:
        self.world.tick()
        self.world.send(fault)


TestMachine = Machine.TestCase
TestMachine.settings = settings(
    max_examples=EXAMPLES, stateful_step_count=40, suppress_health_check=list(HealthCheck)
)


@pytest.mark.parametrize("seed", [4187, 20026, 30647, 32852])
def test_a_schedule_that_found_a_bug_passes(seed: int) -> None:
    play(seed)


@pytest.mark.parametrize("part", range(PARTS))
def test_whatever_happens_lines_count_once_or_are_reported_lost(part: int) -> None:
    for seed in range(FROM + part, FROM + SEEDS, PARTS):
        play(seed)


@pytest.mark.parametrize("rotates", [False, True])
@pytest.mark.parametrize("is_killed", [False, True])
@pytest.mark.parametrize("size", [90, 300])
def test_a_head_that_was_cut_off_before_it_was_decided_is_read_again(
    size: int, *, is_killed: bool, rotates: bool
) -> None:
    """Nothing of it was counted, and what is gone of it by then is a gap."""
    world = World()
    try:
        _read(world, entries=5)
        world.kill()
        for _ in range(3):
            world.append(step_ns=0)
        world.connect()
        world.receive(size)
        assert world.following is not None
        reader = world.following.reader
        assert not reader.is_proved
        assert reader.lines_stamped > 0
        world.commit()
        if is_killed:
            world.kill()
        world.disconnect()
        if rotates:
            world.rotate()
            world.append(step_ns=0)
        world.settle()

        assert len(world.truth.counted.lines) == (6 if rotates else 8)
        assert bool(world.gaps) is rotates
    finally:
        world.close()


def _read(world: World, *, entries: int) -> None:
    """Let so many entries be printed, counted and committed."""
    for _ in range(entries):
        world.append(step_ns=0)
    world.observe()
    world.connect()
    world.receive(1 << 20)
    world.commit()


@pytest.mark.parametrize("lines", [1, 2, 9])
@pytest.mark.parametrize("rotations", [2, 3, 7])
def test_what_is_served_again_counts_once(lines: int, rotations: int) -> None:
    """A kubelet that waited for its reader opens the newest file once for each rotation."""
    world = World(serves_again=True)
    world.append()
    world.observe()
    world.connect()
    world.receive(1 << 20)
    for _ in range(rotations):
        world.pass_time(written_ns=20 * NANOS, agent_ns=0)
        world.rotate()
    for _ in range(lines):
        world.append(step_ns=NANOS // 10)
    world.receive(1 << 20)
    assert world.following is not None
    assert world.following.reply is None  # asked for anew

    world.settle()
    assert world.truth.counted.places == world.truth.heads.keys()
    world.close()
