"""The whole agent: which tasks there are, what they share, and how they stop. START READING HERE.

`container -> LogLine -> Record -> Match -> Observation -> Window -> Aggregate -> Batch -> Delivered
-> checkpoint`

`source.discovery` says which pods exist; `containers` begins and ends a `follow.Follow` per
container instance, which reads its log through a `reader.Reader`; what that releases, `counting`
folds into the one document, closing windows and sealing batches; `state.keeper` commits the
document; `sink.deliver` sends what `outbox` knows to be committed. All of them run in one task
group: if one fails, all stop, and the next start goes on from the last commit.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import AsyncExitStack, suppress
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, TypeVar

from attrs import define, field

from agent.beginning import TAKE_BACK_SECONDS, SwitchedOff, begin, unless
from agent.containers import Containers, warn_missing
from agent.counting import GRACE_SECONDS, Counting
from agent.listing import Listing, told_by
from agent.obey import note_owed
from agent.outbox import BatchKey, CommittedOutbox
from agent.reports import present
from agent.sink.deliver import deliver
from agent.sink.outcome import Retry
from agent.source.api import ApiError, Client
from agent.source.discovery import Pods, Selection, tell_listed, watch
from agent.source.identity import find_kubernetes
from agent.state.keeper import Keeper
from agent.state.store import Conflict, StateError
from agent.stores import stores_of
from agent.streams import give_back
from agent.withholding import Withholding, review

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import NoReturn

    from agent.ledger.ledger import Ledger
    from agent.lookout import Lookout
    from agent.model import Batch
    from agent.options import Options, World
    from agent.prefilter import Prefilter
    from agent.rules import RuleSet
    from agent.sink.deliver import Send
    from agent.sink.outcome import Outcome
    from agent.sink.wire import SendWhile
    from agent.state.document import Document
    from agent.state.store import Store

log = logging.getLogger(__name__)

T = TypeVar("T")

QUIET_COMMIT_SECONDS = 900
"""Lines that matched nothing are only read again after a crash, and a batch that was delivered is
only sent again, with the same ids; they are not worth more writes."""

LEDGER_STOP_SECONDS = 0.5
"""A slow disk must not keep a stopped agent: a report is on it before it leaves."""

STOP_SECONDS = 3.0
"""With that and `lease.RELEASE_SECONDS` it has ended within five, however slow all are."""


def _always() -> None:
    """Let a process that is the only one act at any time."""


@define(eq=False)
class Pipeline:
    """What the tasks of one run share; each part is usable alone.

    `check` raises when this process may not act any more: it is asked before each commit and send.
    `later` is our clock or the API server's, whichever is later. `untold` is why the installation
    could not be read when it was to be told, until it can. `answers` are the status of the last
    list in each namespace, `may_watch` is False once a watch was refused: both are told once for
    all selectors, to which they are the same.
    """

    options: Options
    world: World
    counting: Counting
    keeper: Keeper
    containers: Containers
    outbox: CommittedOutbox
    check: Callable[[], None]
    note: Callable[[], Awaitable[object]]
    later: Callable[[], float]
    listing: Listing
    answers: dict[str, int] = field(factory=dict)
    may_watch: bool = True
    commits: int = 0
    commit_failures: int = 0
    delivery: asyncio.Task[NoReturn] | None = None
    _last_commit: float = 0.0
    _last_told: float = 0.0
    _trouble: str = ""
    untold: str = ""
    is_drained: asyncio.Event = field(factory=asyncio.Event)
    """Set once a slot has nothing left that would have to be read, closed or sent."""
    _written: tuple[frozenset[BatchKey], tuple[int, Withholding]] = field(init=False)
    _noted: tuple[int, Withholding] = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._noted = self._worth_noting()
        self._written = self.outbox.keys(), self._noted

    @property
    def holds_back(self) -> bool:
        """Whether nothing of what would be sent may leave now, whatever the destination says."""
        return self.counting.sends and bool(self.untold or not self.outbox.may_send.is_set())

    def _worth_noting(self) -> tuple[int, Withholding]:
        return self.counting.document.seq, self.counting.withholding

    def _unreadable(self, start_seconds: int, end_seconds: int) -> list[float]:
        """Return since when something of a window could not be read for which it does not wait."""
        if self.listing.is_blind and not self.containers.follows:
            # Whether there is a BotKube nobody knows: that is not the same as that there is none.
            return [start_seconds]
        unseen_since = self.listing.unseen_since(start_seconds, end_seconds)
        of_containers = self.containers.unreadable(start_seconds, end_seconds)
        return [*([] if unseen_since is None else [unseen_since]), *of_containers]

    def _may_close(self, end_seconds: int) -> bool:
        """Whether a window waits for nothing: no log, nor word of who has come, for a while."""
        is_awaited = self.listing.is_awaited(end_seconds, now=self.world.clock())
        return not is_awaited and self.containers.may_close(end_seconds)

    @property
    def _knows_who_is_gone(self) -> bool:
        """Whether none of the pods in State is still to be looked for, where all may be listed."""
        listing = self.listing
        return listing.is_settled and (self.containers.has_looked or not listing.is_whole)

    def change_rules(self, ruleset: RuleSet, prefilter: Prefilter) -> None:
        """Go on with another rule set: what is not released is read again, as after a crash."""
        withholding = review(
            self.counting.withholding,
            ruleset,
            now_seconds=int(self.later()),
            quiet_seconds=self.options.quiet_period_seconds,
        )
        self.counting.change_rules(ruleset, withholding)
        self.containers.change_rules(ruleset, prefilter)

    async def tick(self) -> None:
        """Audit silent streams, close windows and commit, again and again."""
        while True:
            await asyncio.sleep(self.options.pace.tick)
            self.containers.audit(self.counting.awaited(now_seconds=self.world.clock()))
            if self._knows_who_is_gone:
                # What they still wrote is a gap in the windows that are about to be closed.
                self.containers.forget()
                self.counting.close_due(
                    now_seconds=self.world.clock(),
                    may_close=self._may_close,
                    unreadable=self._unreadable,
                )
            self._note_blind()
            self._hold_back()
            self.outbox.offer()
            await self._commit_if_due()
            await self.counting.ledger.save()
            if self.options.slots and self._has_drained():
                self.is_drained.set()

    def _note_blind(self) -> None:
        """Have the document know what this process alone would: when nobody knew who came."""
        document, windows = self.counting.document, self.counting.document.windows
        blind = self.listing.blind(windows.closed_until, now=self.world.clock())
        # Within a window it may last as long as it will: written anew it would tell nothing more.
        told = partial(told_by, seconds=windows.seconds, grace=GRACE_SECONDS)
        if told(blind) != told(document.blind):
            self.counting.is_dirty = True
            self.counting.is_urgent |= blind is not None
        document.blind = blind

    def _has_drained(self) -> bool:
        document, containers = self.counting.document, self.containers
        is_gone = all(pod.is_finished for pod in containers.pods.values())
        is_read = self.listing.is_whole and is_gone and not containers.follows
        is_waited_for = document.cursors or document.left
        # One in which a container was, and wrote nothing, is open too: its report is to be told.
        is_open = document.windows.open or present(document, document.windows.closed_until)
        return is_read and not (is_waited_for or is_open or document.outbox)

    def _hold_back(self) -> None:
        """Stop reading while the outbox is full, and go on when it is not."""
        may_read = self.containers.may_read
        if self.counting.is_full and may_read.is_set():
            log.warning("outbox is full, reading waits")
            self.containers.hold_back()
        elif not self.counting.is_full and not may_read.is_set():
            log.info("outbox has room again, reading goes on")
            self.containers.read_on()

    async def _commit_if_due(self) -> None:
        now = self.world.clock()
        since = now - self._last_commit
        is_urgent = self.counting.is_urgent and since >= self.options.commit_seconds
        # A slot is held by being written.
        is_due = self.counting.is_dirty or self.options.slots
        is_overdue = is_due and since >= QUIET_COMMIT_SECONDS
        # A window that is over is about to be closed, which must be written at once.
        is_overdue = is_overdue and self.counting.due(now_seconds=now) is None
        clock_was_set_back = since < 0
        if not (is_urgent or is_overdue or clock_was_set_back):
            # What is written need not be written again because nobody could be told of it.
            if self.untold and not 0 <= now - self._last_told < self.options.commit_seconds:
                self.check()
                await self._release()
            return
        try:
            await self.commit()
        except Conflict:
            raise  # another process has taken over, this one ends
        except StateError as error:
            self.commit_failures += 1
            if str(error) != self._trouble:
                log.error("state cannot be written", extra={"why": str(error)})
            self._trouble = str(error)

    async def commit(self, *, tells: bool = False) -> None:
        """Write the document as it is now; what is committed may be sent.

        `tells` has the installation told in any case. Raises `SwitchedOff` for an off that was
        missed, once obeyed.
        """
        await self._write()
        await self._release(tells=tells)

    async def _release(self, *, tells: bool = False) -> None:
        """Let leave what is written, once the installation knows what of it is worth noting."""
        sealed, noted = self._written
        if tells or noted != self._noted:
            # Before anything of a closed window is sent: an older copy of State would send it anew,
            # and what was written in an off that was missed must not leave.
            self._last_told = self.world.clock()
            if not await self._tell():
                self.outbox.commit(frozenset())
                return
            self._noted = noted
        self.outbox.commit(sealed)

    async def _write(self) -> None:
        """Write the document as it is now."""
        self.check()
        self._last_commit = self.world.clock()
        self.counting.is_dirty = self.counting.is_urgent = False
        written = self._written

        def take_cursors(document: Document) -> None:
            nonlocal written
            self.containers.forget()
            self.containers.put_cursors(document)
            written = self.outbox.keys(), self._worth_noting()

        try:
            await self.keeper.commit(
                now_seconds=int(self.world.clock()), before_encode=take_cursors
            )
        except BaseException:
            self.counting.is_dirty = self.counting.is_urgent = True
            raise
        finally:
            self.counting.rest_bytes = self.keeper.rest_bytes
        if self._trouble:
            log.info("state can be written again")
        self._trouble = ""
        self.commits += 1
        self._written = written

    async def _tell(self) -> bool:
        """Tell the installation how far State has come, and return whether it could be read."""
        missed: SwitchedOff | None = None
        try:
            await self.note()
        except SwitchedOff as error:
            missed = error
        except StateError as error:
            if str(error) != self.untold:
                log.warning("installation cannot be read", extra={"why": str(error)})
            self.untold = str(error)
            return False
        if self.untold:
            log.info("installation can be read again")
        self.untold = ""
        if missed is not None:
            # Another replica saw an off which this one does not know of.
            self.switch_off(now_seconds=int(self.world.clock()))
            await self.commit_off()
            raise missed
        return True

    def switch_off(self, *, now_seconds: int) -> None:
        """Stop reading and sending at once, and discard what is unsent."""
        self.outbox.may_send.clear()
        self.containers.cancel()
        if self.delivery is not None:
            # A request whose connection is still being made would leave while State is written.
            self.delivery.cancel()
        self.counting.switch_off(str(self.world.new_uuid()), now_seconds=now_seconds)

    async def commit_off(self) -> None:
        """Write that it was switched off; the installation was told before, or has told it."""
        try:
            await self._write()
        except Conflict:
            raise
        except StateError as error:
            # Where an off is owed or noted, the next beginning obeys it before anything else, even
            # if no switch says off by then.
            log.error("state cannot be written", extra={"why": str(error)})


async def run(
    options: Options,
    ruleset: RuleSet,
    world: World,
    *,
    send: SendWhile | None,
    started: Callable[[Pipeline], None],
    stop: asyncio.Event,
    ledger: Ledger,
    lookout: Lookout,
    check: Callable[[], None] = _always,
    standing_since: float | None = None,
    saw_none: bool = False,
) -> None:
    """Run until `stop` is set or a slot is drained. `send` None means local: send nothing.

    What is sent, and what would be, is kept in the ledger; `lookout` outlives the run.

    Raises `NoCluster`, `StateError`, `ApiError` where it cannot begin, `SwitchedOff` alone or in a
    group, and what `check` raises.
    """
    async with AsyncExitStack() as stack:
        beginning = begin(
            options,
            ruleset,
            world,
            stack,
            ledger,
            sends=send is not None,
            lookout=lookout,
            check=check,
            standing_since=standing_since,
            saw_none=saw_none,
        )
        begun = await unless(stop, beginning)
        if begun is None:
            return
        client, counting, keeper = begun.client, begun.counting, begun.keeper
        try:
            async with asyncio.TaskGroup() as group:
                containers = Containers(
                    counting,
                    ruleset,
                    client,
                    world.clock,
                    world.monotonic,
                    world.random,
                    group,
                    options.containers,
                    options.pace,
                )
                listing = Listing(
                    len(options.namespaces) * len(options.selectors), options.pace.unreadable
                )
                listing.go_on(counting.document.blind)
                outbox = CommittedOutbox(counting, options.destination, world.clock)
                outbox.may_send.set()  # the beginning's last act was a look at the switches
                pipeline = Pipeline(
                    options,
                    world,
                    counting,
                    keeper,
                    containers,
                    outbox,
                    check,
                    begun.note,
                    begun.later,
                    listing,
                )
                started(pipeline)
                tasks = [
                    group.create_task(pipeline.tick(), name="tick"),
                    group.create_task(_obey(pipeline, client, lookout), name="switches"),
                    group.create_task(_learn(pipeline, client), name="kubernetes"),
                ]
                pods = Pods(containers.pod_changed, containers.pod_gone)
                tasks += [
                    group.create_task(
                        _watch(pipeline, client, pods, namespace, selector), name="watch"
                    )
                    for namespace in options.namespaces
                    for selector in options.selectors
                ]
                if send is not None:
                    checked = _checked(send, check, outbox)
                    delivery = deliver(outbox, checked, clock=world.clock)
                    pipeline.delivery = group.create_task(delivery, name="deliver")
                    tasks.append(pipeline.delivery)
                try:
                    await unless(stop, pipeline.is_drained.wait())
                except asyncio.CancelledError:
                    # All that is in memory is dropped: what became of a write under way is for
                    # the next run to find out.
                    keeper.end_within(0)
                    raise
                # Stop reading, commit, exit; nothing is sent on the way out, because scaling to
                # zero is an opt-out.
                keeper.end_within(STOP_SECONDS)
                end = asyncio.get_running_loop().time() + STOP_SECONDS
                containers.cancel()
                for task in tasks:
                    task.cancel()
            if stop.is_set():
                outbox.take_back()
                counting.document.stopped_seconds = int(world.clock())
            else:
                give_back(counting.document)
            try:
                async with asyncio.timeout_at(end):
                    await pipeline.commit(tells=True)
            except StateError as error:
                # The next start goes on from the last commit, as after a crash.
                log.error("state cannot be written", extra={"why": str(error)})
            except TimeoutError:
                # State is written; the next start reads this before anything else.
                log.warning("installation cannot be read", extra={"why": "no answer in time"})
        finally:
            await ledger.save(limit_seconds=LEDGER_STOP_SECONDS)


def _checked(send: SendWhile, check: Callable[[], None], outbox: CommittedOutbox) -> Send:
    async def checked(batch: Batch, *, sent_seconds: float) -> Outcome:
        check()
        if not outbox.may_leave(batch):
            return Retry("switched_off", is_untaken=True)
        may_go_on = partial(outbox.may_leave, batch)
        return await send(batch, sent_seconds=sent_seconds, may_go_on=may_go_on)

    return checked


async def _obey(pipeline: Pipeline, client: Client, lookout: Lookout) -> None:
    """Read the cluster's switches again and again; send nothing while they cannot be read.

    The first look was the last act of the beginning.
    """
    outbox, pace = pipeline.outbox, pipeline.options.pace
    clock = asyncio.get_running_loop().time
    while True:
        await asyncio.sleep(lookout.begun + pace.switches - clock())
        now = int(pipeline.world.clock())
        try:
            is_off = await lookout.look(client, pipeline.options, now_seconds=now)
        except ApiError as error:
            if outbox.may_send.is_set():
                log.warning("switches cannot be read", extra={"why": str(error)})
            outbox.may_send.clear()
            continue
        if is_off:
            pipeline.switch_off(now_seconds=now)
            await _note_off(lookout, stores_of(pipeline.options, client)[1])
            await pipeline.commit_off()
            raise SwitchedOff
        outbox.may_send.set()


async def _learn(pipeline: Pipeline, client: Client) -> None:
    """Ask the cluster again and again what it is; where it does not say, it is what it was."""
    counting, pace = pipeline.counting, pipeline.options.pace
    while True:
        await asyncio.sleep(pace.kubernetes)
        with suppress(ApiError):
            minor, distribution = await find_kubernetes(
                client, counting.ruleset, missing=lambda _trait, _right: None
            )
            if minor is not None:
                now = int(pipeline.world.clock())
                counting.learn(minor, distribution, now_seconds=now)


async def _note_off(lookout: Lookout, installation: Store) -> None:
    """Note the off while it stands: one that is on again by the next beginning has obeyed it."""
    try:
        async with asyncio.timeout(TAKE_BACK_SECONDS):
            await note_owed(lookout, installation)
    except (StateError, TimeoutError):
        pass  # State is marked all the same, and it stays owed


async def _watch(
    pipeline: Pipeline, client: Client, pods: Pods, namespace: str, selector: str
) -> None:
    options = pipeline.options
    selection = Selection(namespace, selector, options.containers, options.node)

    listing = pipeline.listing

    def taken_by(take: Callable[..., None], error: ApiError | None) -> None:
        status = HTTPStatus.OK if error is None else error.status
        closed = pipeline.counting.document.windows.closed_until
        take(selection.name, status, now=pipeline.world.clock(), closed_until=closed)

    def listed(error: ApiError | None) -> None:
        taken_by(listing.take_list, error)
        if listing.is_settled:
            everything = (
                Selection(one, "", frozenset(), options.node) for one in options.namespaces
            )
            pipeline.containers.look_for_missing(everything)
        tell_listed(pipeline.answers, namespace, error)

    def may_not_watch() -> None:
        if pipeline.may_watch:
            pipeline.may_watch = False
            warn_missing("changes of pods at once", "watch pods")

    await watch(
        client,
        selection,
        pods,
        random=pipeline.world.random,
        listed=listed,
        may_not_watch=may_not_watch,
        asked=partial(taken_by, listing.take_answer),
    )
