"""One container, one agent's pure parts, and everything that can happen between them.

Each step is a method with plain arguments, so that hypothesis and a seeded generator can both
choose; `settle` lets everything end and compares. Nothing here waits or opens a socket: replies
come from the simulated kubelet's pure model, State goes to `FaultyStore`, batches to a list.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Sequence
from typing import Any, Literal
from uuid import UUID

import attrs
import orjson

from agent import instances
from agent.counting import Counting
from agent.lag import SMALL_LAG_NS, Neighbours, Suspect
from agent.lines import parse_stamp
from agent.model import NANOS, REPORT, Batch, Container, Continuity, Format, Gap, Identity, Released
from agent.outbox import CommittedOutbox
from agent.prefilter import make_prefilter
from agent.reader import Reader
from agent.resume import keep_breaks
from agent.sink.batch import batch_array
from agent.sink.deliver import deliver
from agent.sink.destination import Destination
from agent.sink.outcome import Delivered, Outcome, Retry
from agent.state.document import Document, decode
from agent.state.keeper import Keeper
from agent.state.store import Conflict, StateError, Stored
from tests.faults.replies import Line, Place, Reply
from tests.faults.truth import Counted, Truth, Wrong
from tests.faults.words import WORDS, say, word_rules
from tests.sim.crilog import Instance
from tests.sim.gotime import trimmed_stamp
from tests.sim.kubelet import Habits, KubeletError, LogOptions, pick_instance
from tests.strategies import NOON

RULES = word_rules()
PREFILTER = make_prefilter(RULES.literals)
WINDOW_SECONDS = 60
SHAPES = (Format.LOGFMT, Format.TEXT, Format.JSON)
POD_UID = "0f8fad5b-d9cb-469f-a165-70867728950e"

SaveFault = Literal["", "refused", "lost", "unknown", "unread"]
"""What happens to a write: nothing; not stored; stored, but the answer is lost; and both again
with a failure of the look that follows."""

Between = Literal["", "stderr", "rotation", "both"]
"""What comes between the two pieces of a line."""

SendFault = Literal["", "refused", "lost"]


@attrs.define(eq=False)
class FaultyStore:
    """State somewhere: compare-and-swap, whose answers may get lost. `counted` is what it holds."""

    data: bytes | None = None
    version: int = 0
    counted: Counted = attrs.field(factory=Counted)
    fault: SaveFault = ""
    offered: Counted = attrs.field(factory=Counted)
    _blind: bool = False

    @property
    def where(self) -> str:
        return "here"

    def close(self) -> None:
        pass

    async def load(self) -> Stored:
        if self._blind:
            self._blind = False
            raise StateError("no answer")
        return Stored(self.data, str(self.version))

    async def save(self, data: bytes, version: str) -> str:
        fault, self.fault = self.fault, ""
        self._blind = fault in {"unknown", "unread"}
        if fault in {"refused", "unread"}:
            raise StateError("no answer")
        if version != str(self.version):
            raise Conflict("changed")
        self.data, self.counted = data, self.offered.copy()
        self.version += 1
        if fault:
            raise StateError("no answer")
        return str(self.version)


@attrs.define(eq=False)
class Following:
    """One container instance as an agent reads it, and what was read of it but not counted yet."""

    instance: str
    reader: Reader
    reply: Reply | None = None
    stream: bytearray = attrs.field(factory=bytearray)
    fed: int = 0
    may_gap: bool = False
    """Whether a gap would be true: the last counted line is not in the file that is served."""
    highest_ns: int = 0
    accept_gap: bool = False
    held: list[Line] = attrs.field(factory=list)
    """What was read before the stream was opened anew, and is counted even if its file is gone."""
    pending: list[Line] = attrs.field(factory=list)
    known: dict[bytes, Line] = attrs.field(factory=dict)
    lag: tuple[int, Line] | None = None
    owed: set[Place] = attrs.field(factory=set)
    """Lost where the stream skipped files, which an audit has to find out."""


@attrs.define(eq=False)
class Process:
    """One life of an agent: what is gone when it is killed."""

    keeper: Keeper
    counting: Counting
    outbox: CommittedOutbox
    follows: dict[str, Following] = attrs.field(factory=dict)
    asked: tuple[Batch, asyncio.Future[Outcome]] | None = None
    delivering: asyncio.Task[None] | None = None


IDENTITY = Identity(str(UUID(int=1, version=4)))
"""One installation: with another one, what was counted for the first is never sent."""


class World:
    """The container's node, the agent, the place of State and the destination.

    Where the kubelet `serves_again` what stands in the newest file, no clock that stamps runs back,
    no rotation parts the pieces of a line, and no line with its stamp stands there twice: with
    these it can count twice (README).
    """

    def __init__(self, *, serves_again: bool = False) -> None:
        self.serves_again = serves_again
        self.loop = asyncio.new_event_loop()
        self.ids = random.Random(0)
        self.truth = Truth()
        self.store = FaultyStore()
        self.at_ns = NOON * NANOS
        self.now_ns = self.highest_ns = self.at_ns
        self.written = 0
        self.instances: dict[str, Instance] = {}
        self.started = 0
        self.alive = ""
        self.dead = ""
        self.state = "running"
        self.accepted: dict[str, dict[str, Any]] = {}
        self.unseen: set[str] = set()
        self.gaps: list[Gap] = []
        self.start_container()
        self.process = self._start()

    def close(self) -> None:
        try:
            self._end_process()
        finally:
            self.loop.close()

    # --- the container ---

    def append(
        self,
        verb: str = "said",
        *,
        step_ns: int = 1000,
        rotate_after: int | None = None,
        copies: int = 1,
    ) -> None:
        """Print an entry, perhaps with a rotation between its lines, perhaps several times."""
        if self.state != "running":
            return
        self._step(step_ns)
        word = WORDS[self.written % len(WORDS)]
        self.written += 1
        entry = self._say(verb, word)
        if self.shape is Format.LOGFMT:
            copies = 1  # glued to a piece of another line, one of two equal lines is not told apart
        for _ in range(1 if self.serves_again else copies):
            for number, text in enumerate(entry.split(b"\n")):
                is_head = number == 0 and verb != "answered"
                self._record(text, word if is_head else None)
                if rotate_after == number and copies == 1:
                    self.rotate()

    def append_pieces(self, *, between: Between = "", straddle: bool = False) -> None:
        """Print a long line as two pieces, with something between them."""
        if self.state != "running" or self.shape is not Format.LOGFMT:
            return
        self._step(1000)
        if straddle:
            self.at_ns = (self.at_ns // NANOS + 1) * NANOS - 1
        word = WORDS[self.written % len(WORDS)]
        self.written += 1
        text = self._say("said", word)
        cut = len(text) - 4 - len(word)
        head = self._record(text[:cut], word, tag=b"P")
        self.at_ns += 1
        if between in {"rotation", "both"} and not self.serves_again:
            self.rotate()
        if between in {"stderr", "both"}:
            other = WORDS[self.written % len(WORDS)]
            self.written += 1
            self._record(self._say("said", other), other, stream=b"stderr")
        tail = self._record(text[cut:], None, is_line=False)
        self.truth.tails[tail] = head

    def append_late(self) -> None:
        """Print a line to the file that was just renamed away."""
        log = self.log
        if self.state != "running" or len(log.files) < 2 or self.shape is Format.TEXT:
            return
        self._step(1000)
        place = (log.container_id, len(log.files) - 2, len(log.files[-2].data))
        word = WORDS[self.written % len(WORDS)]
        self.written += 1
        self.truth.heads[place] = word
        # No client gets it, but a stream that still reads that file.
        self.truth.traceless.add(place)
        log.write_late(self._say("said", word), at=self.at_ns)

    def tear(self) -> None:
        """Cut a record in two by a rotation: the kubelet can read neither half.

        The second one comes behind a whole record, without which the file could not be read at all.
        """
        if self.state != "running":
            return
        self.log.write_record(b"%s stdout F half of" % trimmed_stamp(self.at_ns).encode())
        self.rotate()
        self.append()
        self.log.write_record(b" a record\n")

    def rotate(self) -> None:
        if self.state == "running":
            self.log.rotate()

    def crash_container(self) -> None:
        if self.state == "running":
            self.log.end(at=self.at_ns)
            self.state = "terminated"

    def back_off(self) -> None:
        if self.state == "terminated":
            self.state = "waiting"

    def start_container(self) -> None:
        """Begin the first or, after a crash, the next instance; the one before last is removed."""
        if self.alive and self.state == "running":
            return
        if self.dead:
            self._remove(self.dead)
        self.dead, self.alive = self.alive, f"containerd://{self.started}"
        self.started += 1
        self.instances[self.alive] = Instance(self.alive)
        self.unseen.add(self.alive)
        self.state = "running"

    def pass_time(self, *, written_ns: int, agent_ns: int) -> None:
        """Let time go by; the agent's clock may be set back."""
        self.at_ns += written_ns
        self.now_ns += written_ns + agent_ns

    @property
    def log(self) -> Instance:
        return self.instances[self.alive]

    @property
    def shape(self) -> Format:
        """Return the format of this instance's log: a BotKube writes in one."""
        return SHAPES[(self.started - 1) % len(SHAPES)]

    def _say(self, verb: str, word: str) -> bytes:
        # The clock that stamps may run back. That of the entries may not, because copies of
        # earlier entries are told by it.
        self.highest_ns = max(self.highest_ns, self.at_ns)
        return say(verb, word, at_seconds=self.highest_ns // NANOS, shape=self.shape)

    def _step(self, step_ns: int) -> None:
        if self.alive in self.unseen or self.serves_again:
            # Lines that no reply shows again cannot tell whose they are while the status is late.
            step_ns = max(step_ns, 0)
        self.at_ns = max(self.at_ns + step_ns, NOON * NANOS)
        self.now_ns = max(self.now_ns, self.now_ns + step_ns)

    def _record(
        self,
        text: bytes,
        word: str | None,
        *,
        tag: bytes = b"F",
        stream: bytes = b"stdout",
        is_line: bool = True,
    ) -> Place:
        log = self.log
        place = (log.container_id, len(log.files) - 1, len(log.newest.data))
        if is_line:
            self.truth.heads[place] = word
        stamp = trimmed_stamp(self.at_ns).encode()
        log.write_record(b"%s %s %s %s\n" % (stamp, stream, tag, text))
        return place

    def _remove(self, instance: str) -> None:
        self.instances.pop(instance)

    # --- what the API server answers ---

    def _pod(self) -> dict[str, Any]:
        dead = {"terminated": {"containerID": self.dead}} if self.dead else {}
        state: dict[str, Any] = {"running": {}}
        if self.state == "terminated":
            state = {"terminated": {"containerID": self.alive}}
        elif self.state == "waiting":
            state, dead = (
                {"waiting": {"reason": "CrashLoopBackOff"}},
                {"terminated": {"containerID": self.alive}},
            )
        status = {
            "name": "botkube",
            "containerID": self.alive,
            "state": state,
            "lastState": dead,
        }
        return {"metadata": {"name": "pod"}, "status": {"containerStatuses": [status]}}

    def _open(self, since_seconds: int, *, follow: bool, previous: bool = False) -> Reply | None:
        try:
            chosen = pick_instance(self._pod(), "botkube", previous=previous)
        except KubeletError:
            return None
        if chosen not in self.instances:
            return None
        since = since_seconds * NANOS if since_seconds else None
        options = LogOptions(follow=follow, timestamps=True, since=since)
        return Reply(self.instances[chosen], options, Habits(serves_again=self.serves_again))

    def _short_read(self, since_seconds: int, *, previous: bool = False) -> bytes | None:
        reply = self._open(since_seconds, follow=False, previous=previous)
        return None if reply is None else _whole(reply)

    # --- the agent reads ---

    @property
    def following(self) -> Following | None:
        """Return what is read of the instance that is thought to be running."""
        return next(reversed(self.process.follows.values()), None)

    def connect(self) -> None:
        """Open a stream from where the Cursor stands; the one that was open is gone."""
        following = self.following
        if following is None:
            return
        if following.reply is not None:
            following.accept_gap = following.reader.gap_suspected
        _hold(following)
        since = following.reader.reopen(accept_gap=following.accept_gap)
        reply = self._open(since, follow=True)
        if reply is not None:
            self._begin_reply(following, reply, since)

    def _begin_reply(self, following: Following, reply: Reply, since: int) -> None:
        following.reply, following.fed, following.lag = reply, 0, None
        following.stream.clear()
        counted = self.truth.counted.of(following.instance)
        served = (reply.instance.container_id, reply.opened)
        is_gone = not counted or _is_gone(counted, since, served)
        following.may_gap = is_gone and _is_gone([*counted, *following.held], since, served)
        # What the file still holds is read again, and what `since` leaves out of it is not.
        following.pending = list(following.held) if is_gone else []
        following.highest_ns = max((line.at_ns for line in counted), default=0)
        if not counted and not following.held:
            # Of an instance of which nothing is counted yet, nobody knows where it began.
            self.truth.traceless |= self.truth.uncounted(
                reply.instance.container_id, files=range(reply.opened)
            )

    def receive(self, size: int, *, delay_ns: int = 0) -> None:
        """Let so many bytes of the stream arrive, and count what is released."""
        following = self.following
        if following is None or following.reply is None:
            return
        self.now_ns += delay_ns
        self._feed(following, size)
        if following.reader.gap_suspected or following.reader.step is not None:
            self.disconnect()

    def _feed(self, following: Following, size: int) -> None:
        reply = following.reply
        assert reply is not None
        wanted = following.fed + size - len(following.stream)
        following.stream += reply.read(wanted) if wanted > 0 else b""
        chunk = bytes(following.stream[following.fed : following.fed + size])
        begin = following.fed
        following.fed += len(chunk)
        reader = following.reader
        reader.feed(chunk, now_ns=self.now_ns if reply.options.follow else None)
        while (step := reader.step) is not None:
            neighbours = self._look(step, reader.behind_step)
            if not (neighbours.verdict or neighbours.begins_file):
                break
            reader.go_on(neighbours.following)
        behind = self._behind_step(following)
        following.pending = [one for one in following.pending if one not in behind]
        for line in reply.lines:
            if begin < line.end <= following.fed and line not in behind:
                self._read_line(following, line)
        passed = [line for line in reply.passed if line.end <= following.fed]
        self.truth.hide(passed, highest_ns=following.highest_ns)
        self._fold(following)

    @staticmethod
    def _behind_step(following: Following) -> Sequence[Line]:
        """Return what is not taken of a stream that goes back."""
        reply, waiting = following.reply, following.reader._steps.behind
        if reply is None or not waiting:
            return ()
        fed = sum(line.end <= following.fed for line in reply.lines)
        return reply.lines[fed - sum(parse_stamp(raw) is not None for raw in waiting) :]

    def _read_line(self, following: Following, line: Line) -> None:
        """Note a line of the stream: is it new, and was anything skipped before it?"""
        assert following.reply is not None
        begin = following.stream.rfind(b"\n", 0, line.end - 1) + 1
        following.known[bytes(following.stream[begin : line.end - 1])] = line
        is_new = self.truth.is_new(line, following.pending, after_gap=following.may_gap)
        if is_new:
            following.pending.append(line)
        before, lag = following.lag, self.now_ns - line.at_ns
        following.lag = (lag if is_new else 0, line)
        file = before[1].places[-1][1] if before is not None else following.reply.opened
        instance, first, _ = line.places[0]
        skipped = self.truth.uncounted(instance, files=range(file + 1, first))
        # Within a line, nothing tells a skipped file from a torn line.
        self.truth.traceless |= self.truth.uncounted(
            instance, files=range(first + 1, line.places[-1][1])
        )
        if before is not None and before[0] > SMALL_LAG_NS and 2 * lag < before[0]:
            following.owed |= skipped
        else:
            self.truth.traceless |= skipped

    def _fold(self, following: Following) -> None:
        released = following.reader.take()
        self.gaps += released.gaps
        for gap in released.gaps:
            self._judge(following, gap)
        self.truth.count(following.instance, following.pending, released)
        self.process.counting.fold(
            self._container(following.instance).key, released, now_seconds=self.now_ns // NANOS
        )
        reader = following.reader
        is_whole = reader.is_proved and not reader.is_holding
        if is_whole and following.pending:
            raise Wrong(f"{len(following.pending)} lines of a reply were not counted")

    def _judge(self, following: Following, gap: Gap) -> None:
        """Take a gap that the reader found: is there one?"""
        reply = following.reply
        if reply is None or not following.may_gap:
            raise Wrong(f"a gap without a loss: {gap}")
        served = reply.instance.container_id
        if served != following.instance:
            # It reaches from the one's last line to the first that is left of the other.
            self.truth.reported |= self.truth.uncounted(following.instance)
        self.truth.reported |= self.truth.uncounted(served, files=range(reply.opened))

    def disconnect(self, text: bytes = b"") -> None:
        """End the stream where it stands, perhaps with words of the kubelet's own."""
        following = self.following
        if following is None or following.reply is None:
            return
        if text:
            if following.fed and following.stream[following.fed - 1 : following.fed] != b"\n":
                # The kubelet ends its words with the reply, never with a line.
                text = text.removesuffix(b"\n")
            following.reader.feed(text, now_ns=self.now_ns)
            self._fold(following)
        following.accept_gap = following.reader.gap_suspected
        following.reply = None
        if following.accept_gap:
            self.observe()

    def audit(self) -> None:
        """Ask by a short read whether the stream is alive and whether it skipped anything."""
        following = self.following
        if following is None or following.reply is None:
            return
        for suspect in tuple(following.reader.lag.suspects):
            self._look_between(following, suspect)
        reply = self._short_read(following.reader.cursor().since_seconds)
        if reply is None:
            return
        had_trail = following.reader._has_trail
        verdict = following.reader.audit(reply)
        if following.reader._has_trail and not (had_trail or following.reader.is_proved):
            following.pending = list(following.held)  # what may be gone is not waited for
        if following.lag is not None and reply:
            # What is the log's last line is followed by no skipped file, however late it came.
            is_last = following.known.get(reply.splitlines()[-1]) is following.lag[1]
            following.lag = (0 if is_last else following.lag[0], following.lag[1])
        if verdict in {Continuity.CONTINUOUS, Continuity.ROTATED}:
            following.reader.idle(60.0)
            self._fold(following)
        else:
            self.disconnect()

    def _look_between(self, following: Following, suspect: Suspect) -> None:
        following.reader.lag.suspects.remove(suspect)
        if self._look(suspect).verdict:
            return
        first, last = following.known[suspect.before], following.known[suspect.after]
        newest = (self.alive, len(self.log.files) - 1)
        if first.places[0][:2] == last.places[0][:2] == newest:
            raise Wrong("overtaken where two lines stand next to each other")
        self.truth.reported |= following.owed
        following.owed = set()
        gap = Gap("overtaken", suspect.before_ns, suspect.after_ns)
        self.gaps.append(gap)
        key = self._container(following.instance).key
        self.process.counting.fold(key, Released(gaps=(gap,)), now_seconds=self.now_ns // NANOS)

    def _look(self, suspect: Suspect, after: Sequence[bytes] = ()) -> Neighbours:
        neighbours = Neighbours(suspect, after)
        neighbours.feed(self._short_read(min(suspect.before_ns, suspect.after_ns) // NANOS) or b"")
        return neighbours

    # --- the agent learns of restarts ---

    def observe(self) -> None:
        """See the container's present status: end what has ended, begin what has begun."""
        following = self.following
        if self.alive in self.unseen:
            self.unseen.discard(self.alive)
            self._pass_over_unseen(following)
            self._follow(self.alive, before=following)
        for one in tuple(self.process.follows.values()):
            if one.instance != self.alive or self.state != "running":
                self._read_rest(one)

    def _pass_over_unseen(self, following: Following | None) -> None:
        """Report instances whose whole life nobody saw: the count of restarts says so."""
        for instance in self.unseen & {self.dead}:
            self.unseen.discard(instance)
            self._follow(instance, before=following)
        for instance in tuple(self.unseen):
            self.unseen.discard(instance)
            if following is None:
                # There is no count of restarts to compare this one with.
                self.truth.traceless |= self.truth.uncounted(instance)
            else:
                self._lose(instance)

    def _follow(self, instance: str, *, before: Following | None) -> None:
        counting, container = self.process.counting, self._container(instance)
        facts = instances.instance_of(counting, container, "other")
        if facts.ended_seconds is not None:
            return
        reader = Reader(
            RULES,
            PREFILTER,
            key=counting.document.key,
            cursor=counting.document.cursors.get(container.key),
            breaks=counting.document.breaks.get(container.key, ()),
            enabled=facts.known,
            debug_seen=facts.debug,
        )
        self.process.follows[container.key] = Following(instance, reader)
        if before is None or before.instance == instance:
            return
        before.reply = None
        before.pending, before.held = [], []
        is_current = instance == self.alive
        places = before.reader.places()
        for place in places:
            reply = self._short_read(place.since_seconds, previous=not is_current)
            part = before.reader.part_of(place)
            if reply is None:
                continue
            claim = reader.claim(place)
            claim.feed(reply)
            if claim.answer() and reader.take_over(before.reader, place):
                instances.take_over(
                    counting, self._container(before.instance).key, container.key, part
                )
                self.truth.counted.take_over(before.instance, instance)
                break
        before.reader.forget()

    def _read_rest(self, following: Following) -> None:
        """Read an ended instance to its end, by its id."""
        reader = following.reader
        following.reply = None
        is_current = following.instance == self.alive
        for accept_gap in (False, True):
            since = reader.cursor().since_seconds
            reply = self._open(since, follow=False, previous=not is_current)
            if reply is None or reply.instance.container_id != following.instance:
                _hold(following)
                self._abandon(following)
                break
            _hold(following)
            reader.reopen(accept_gap=accept_gap)
            self._begin_reply(following, reply, since)
            for suspect in tuple(reader.lag.suspects):
                self._look_between(following, suspect)
            while not reply.finished or following.fed < len(following.stream):
                self._feed(following, 1 << 20)
            reader.settle()
            if reader.is_broken_off:
                self._abandon(following)
                break
            if not reader.gap_suspected:
                reader.finish()
                self._fold(following)
                break
        following.reply = None
        key = self._container(following.instance).key
        document = self.process.counting.document
        document.cursors.pop(key, None)
        del self.process.follows[key]
        instances.end_instance(
            self.process.counting,
            key,
            exit_code=2,
            reason="Error",
            finished_seconds=self.at_ns // NANOS,
            is_deleting=False,
            now_seconds=self.now_ns // NANOS,
        )

    def _abandon(self, following: Following) -> None:
        """Report what is left of an instance that cannot be read, and count what was read."""
        self._lose(following.instance)
        following.pending = list(following.held)
        following.reader.abandon()
        self._fold(following)

    def _lose(self, instance: str) -> None:
        """Report an instance that cannot be read any more."""
        self.truth.reported |= self.truth.uncounted(instance)
        self.gaps.append(Gap("restarted", self.at_ns, self.at_ns))
        self.process.counting.add_gap(self.gaps[-1])

    # --- the agent commits, closes windows and sends ---

    def commit(self, fault: SaveFault = "") -> None:
        """Write State; if another agent has taken over, this one ends and the other goes on."""
        process = self.process
        process.outbox.offer()
        marked = frozenset[tuple[int, int]]()

        def take_cursors(document: Document) -> None:
            nonlocal marked
            for key, one in process.follows.items():
                document.cursors[key] = one.reader.cursor()
                document.breaks[key] = one.reader.breaks
            document.breaks = keep_breaks(document.breaks, document.cursors)
            marked = process.outbox.keys()
            self.store.offered = self.truth.counted.copy()

        self.store.fault = fault
        seconds = self.now_ns // NANOS
        try:
            self._run(process.keeper.commit(now_seconds=seconds, before_encode=take_cursors))
        except Conflict:
            self.kill()
        except StateError:
            return
        else:
            process.outbox.commit(marked)
            self._turn()

    def kill(self) -> None:
        """End the agent as SIGKILL does, and start the next one."""
        if self._is_mixed():
            return
        self._end_process()
        self._forget()
        self.process = self._start()

    def _is_mixed(self) -> bool:
        """Whether lines are counted as those of an instance that is gone, and are the next one's.

        An agent that dies before it sees the restart leaves nobody who could know.
        """
        return any(
            owner not in self.instances and line.places[0][0] != owner
            for counted in (self.truth.counted, self.store.counted)
            for owner, line in counted.lines
        )

    def kill_in_commit(self, fault: SaveFault) -> None:
        """End the agent between its write and the answer."""
        self.commit(fault)
        self.kill()

    def usurp(self) -> None:
        """Let another agent take over while this one lives on: its next commit must be refused."""
        if self._is_mixed():
            return
        self.commit()
        fenced, version = self.process, self.store.version
        self._forget()
        self.process = self._start()
        assert self.store.version > version
        newest, self.process = self.process, fenced
        try:
            self._run(fenced.keeper.commit(now_seconds=0, before_encode=lambda _document: None))
        except Conflict:
            self._end_process()
        else:
            raise Wrong("two agents have committed")
        finally:
            self.process = newest

    def tick(self) -> None:
        """Close the windows that are over."""
        self.process.counting.close_due(
            now_seconds=self.now_ns / NANOS, may_close=lambda _end: True
        )

    def send(self, fault: SendFault = "") -> None:
        """Let the destination answer a batch that was given to it, if there is one."""
        self._turn()
        if self.process.asked is None:
            return
        (batch, answer), self.process.asked = self.process.asked, None
        if fault != "refused":
            self._accept(batch)
        answer.set_result(Retry("connection") if fault else Delivered())
        self._turn()

    def _accept(self, batch: Batch) -> None:
        for event in orjson.loads(batch_array(batch)):
            self.accepted.setdefault(event["messageId"], event)

    async def _send(self, batch: Batch, *, sent_seconds: float) -> Outcome:
        del sent_seconds
        stored = decode(self.store.data or b"")
        ours = stored.epoch == self.process.counting.document.epoch
        if ours and batch.body not in [one.body for one in stored.outbox]:
            raise Wrong("a batch is sent that no commit holds")
        answer: asyncio.Future[Outcome] = self.loop.create_future()
        self.process.asked = (batch, answer)
        return await answer

    def _start(self) -> Process:
        """Begin a process as `pipeline` does: load, claim, and follow what the status names."""
        keeper = Keeper(self.store, self._new_id, lambda: self.ids.randbytes(32))
        self._run(keeper.load(window_seconds=WINDOW_SECONDS))
        counting = Counting(keeper.document, RULES, IDENTITY, "test", sends=True)
        counting.begin(
            now_seconds=self.now_ns // NANOS,
            window_seconds=WINDOW_SECONDS,
            count_from=0,
            new_stream=self._new_id,
        )
        self.store.offered = self.truth.counted.copy()
        self._run(
            keeper.commit(now_seconds=self.now_ns // NANOS, before_encode=lambda _document: None)
        )
        outbox = CommittedOutbox(counting, Destination(), lambda: 0.0)
        outbox.may_send.set()
        self.process = Process(keeper, counting, outbox)
        self._take_up()
        delivering = deliver(
            self.process.outbox,
            self._send,
            clock=lambda: self.now_ns / NANOS,
            sleep=lambda _seconds: asyncio.sleep(0),
        )
        self.process.delivering = self.loop.create_task(delivering)
        self._turn()
        return self.process

    def _take_up(self) -> None:
        """Follow what was being followed: State knows which instances have not ended."""
        known = self.process.counting.document.instances
        self.unseen |= {one for one in (self.dead, self.alive) if one in self.instances}
        self.unseen -= {
            one
            for one in self.unseen
            if (found := known.get(self._container(one).key)) is not None
            and found.ended_seconds is not None
        }
        for instance in self.dead, self.alive:
            if instance in self.unseen and self._container(instance).key in known:
                self.unseen.discard(instance)
                self._follow(instance, before=self.following)
        # Of an instance that came and went before any commit knew of it there is no trace.
        for number in range(self.started):
            name = f"containerd://{number}"
            if name not in self.instances and self._container(name).key not in known:
                self.truth.traceless |= self.truth.uncounted(name)
        gone = [key for key in known if key.partition("/")[2] not in self.instances]
        for key in gone:
            if known[key].ended_seconds is None:
                known[key].ended_seconds = 0
                self._lose(key.partition("/")[2])

    def _forget(self) -> None:
        for one in self.process.follows.values():
            # What a stream skipped and no audit has looked into is known to nobody now.
            self.truth.traceless |= one.owed
        self.truth.counted = self.store.counted.copy()

    def _end_process(self) -> None:
        task = self.process.delivering
        if task is not None:
            task.cancel()
            self._turn()
            if task.done() and not task.cancelled() and task.exception() is not None:
                task.result()

    def _container(self, instance: str) -> Container:
        return Container("ns", "pod", POD_UID, "botkube", instance)

    def _new_id(self) -> str:
        return str(UUID(int=self.ids.getrandbits(128), version=4))

    def _run(self, work: Any) -> None:  # noqa: ANN401 any coroutine
        self.loop.run_until_complete(work)

    def _turn(self) -> None:
        async def turns() -> None:
            for _ in range(4):
                await asyncio.sleep(0)

        self._run(turns())
        task = self.process.delivering if hasattr(self, "process") else None
        if task is not None and task.done() and not task.cancelled():
            task.result()

    # --- the end ---

    def settle(self) -> None:
        """Let everything that is left be read, closed and sent; then compare."""
        self.observe()
        for _ in range(4):
            if self.following is not None and self.following.reply is None:
                self.connect()
            self.receive(1 << 20)
            self.audit()
        self.crash_container()
        self.observe()
        if self.process.follows:
            raise Wrong("an instance has no end")
        self.commit()
        self.now_ns = max(self.now_ns, self.at_ns) + 3 * WINDOW_SECONDS * NANOS
        self.tick()
        self.commit()
        for _ in range(200):
            self.send()
            self.commit()
            if not self.process.counting.document.outbox:
                break
        self._compare()

    def _compare(self) -> None:
        if missing := self.truth.missing():
            raise Wrong(f"lost without a word: {sorted(missing)}")
        counts: Counter[str] = Counter()
        lines = 0
        for event in self.accepted.values():
            if event.get("event") in {"Said", "Asked"}:
                counts[event["properties"]["word"]] += event["properties"]["count"]
            elif event.get("event") == REPORT:
                lines += event["properties"]["lines_read"]
        if counts != self.truth.counted.words:
            raise Wrong(f"delivered {counts}, counted {self.truth.counted.words}")
        if lines != len(self.truth.counted.lines):
            raise Wrong(f"{lines} lines reported, {len(self.truth.counted.lines)} counted")


def _hold(following: Following) -> None:
    """Keep what was read and not counted, before a stream is opened anew."""
    if following.reader._has_trail:
        # Not what waits for the proof that it goes on behind it.
        following.held = following.pending[: len(following.reader._unreleased.lines)]


def _is_gone(lines: list[Line], since: int, served: tuple[str, int]) -> bool:
    """Whether the last of these lines that a reply must hold is not in the file that is served."""
    window = [line for line in lines if line.at_ns // NANOS >= since]
    return bool(lines) and (not window or window[-1].places[0][:2] != served)


def _whole(reply: Reply) -> bytes:
    data = b""
    while not reply.finished:
        data += reply.read()
    return data
