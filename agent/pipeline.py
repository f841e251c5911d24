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
import time
from contextlib import AsyncExitStack, suppress
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, TypeVar
from uuid import UUID

from attrs import define, field, frozen

from agent.containers import MAX_FOLLOWS, Containers, warn_missing
from agent.counting import Counting, leave_mode
from agent.follow import Pace
from agent.model import Identity
from agent.outbox import BatchKey, CommittedOutbox
from agent.sink.deliver import deliver
from agent.sink.outcome import Retry
from agent.source import identity as identities
from agent.source.api import Access, ApiError, Client
from agent.source.discovery import Pods, Selection, watch
from agent.source.switches import NOT_READABLE, read_switches
from agent.state import installation as installations
from agent.state.configmap import ConfigMapStore
from agent.state.disk import FileStore
from agent.state.keeper import Keeper
from agent.state.lease import LeaseTimes
from agent.state.store import Conflict, StateError
from agent.withholding import Withholding, review

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine
    from pathlib import Path
    from random import Random

    from agent.ledger.ledger import Ledger
    from agent.model import Batch
    from agent.rules import RuleSet
    from agent.sink.deliver import Send
    from agent.sink.outcome import Outcome
    from agent.source.switches import ClusterSwitch
    from agent.state.document import Document
    from agent.state.store import Store

log = logging.getLogger(__name__)

T = TypeVar("T")

QUIET_COMMIT_SECONDS = 600
"""Lines that matched nothing are only read again after a crash; they are not worth more writes."""

LEDGER_STOP_SECONDS = 0.5
"""A slow disk must not keep a stopped agent: a report is on it before it leaves."""

STOP_SECONDS = 4.0
NOTE_SECONDS = 0.5

MAX_TAKE_OVERS = 5
"""How often a starting agent claims State anew because another one has just written it."""


@frozen
class Options:
    """What a run needs to know, as plain values; `settings` makes them."""

    access: Access
    namespaces: tuple[str, ...]
    selectors: tuple[str, ...]
    containers: frozenset[str]
    node: str | None
    window_seconds: int
    commit_seconds: float
    quiet_period_seconds: int
    cluster_id: str
    state_path: Path | None
    state_namespace: str
    state_name: str
    installation_name: str
    agent_version: str
    destination: str = ""
    rules_paths: tuple[str, ...] = ()
    minimum: int = 0
    pace: Pace = field(factory=Pace)
    lease_name: str | None = None
    lease_times: LeaseTimes = field(factory=LeaseTimes)


@frozen
class World:
    """Time, randomness and ids, so that a run can be repeated.

    `clock` is wall time, which may jump; `monotonic` is for what must not believe it.
    """

    clock: Callable[[], float]
    random: Random
    new_uuid: Callable[[], UUID]
    new_bytes: Callable[[int], bytes]
    monotonic: Callable[[], float] = time.monotonic


def _always() -> None:
    """Let a process that is the only one act at any time."""


class SwitchedOff(Exception):  # noqa: N818 says what happened
    """A switch in the cluster says off; what was unsent is discarded."""


@define(eq=False)
class Pipeline:
    """What the tasks of one run share; each part is usable alone.

    `check` raises when this process may not act any more: it is asked before each commit and send.
    """

    options: Options
    world: World
    counting: Counting
    keeper: Keeper
    containers: Containers
    outbox: CommittedOutbox
    check: Callable[[], None]
    note: Callable[[], Awaitable[None]]
    settled: set[str] = field(factory=set)
    listed: set[str] = field(factory=set)
    commits: int = 0
    commit_failures: int = 0
    _last_commit: float = 0.0
    _trouble: str = ""
    _noted: Withholding = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._noted = self.counting.withholding

    @property
    def is_settled(self) -> bool:
        """Whether every selection was listed once, or may not be: then windows may close."""
        wanted = len(self.options.namespaces) * len(self.options.selectors)
        return len(self.settled) >= wanted

    @property
    def is_listed(self) -> bool:
        """Whether all that was selected is known."""
        return self.is_settled and self.listed == self.settled

    def change_rules(self, ruleset: RuleSet, prefilter: Callable[[bytes], bool]) -> None:
        """Go on with another rule set: what is not released is read again, as after a crash."""
        withholding = review(
            self.counting.withholding,
            ruleset,
            now_seconds=int(self.world.clock()),
            quiet_seconds=self.options.quiet_period_seconds,
        )
        self.counting.change_rules(ruleset, withholding)
        self.containers.change_rules(ruleset, prefilter)

    async def tick(self) -> None:
        """Audit silent streams, close windows and commit, again and again."""
        while True:
            await asyncio.sleep(self.options.pace.tick)
            self.containers.audit(self.counting.due(now_seconds=self.world.clock()))
            if self.is_settled:
                self.counting.close_due(
                    now_seconds=self.world.clock(),
                    may_close=self.containers.may_close,
                    unreadable=self.containers.unreadable,
                )
            self._hold_back()
            await self._commit_if_due()
            if self.counting.withholding is not self._noted:
                self._noted = self.counting.withholding
                await self.note()
            await self.counting.ledger.save()

    def _hold_back(self) -> None:
        """Stop reading while the outbox is full, and go on when it is not."""
        may_read = self.containers.may_read
        if self.counting.is_full and may_read.is_set():
            log.warning("outbox is full, reading waits")
            self.containers.hold_back()
        elif not self.counting.is_full and not may_read.is_set():
            log.info("outbox has room again, reading goes on")
            may_read.set()

    async def _commit_if_due(self) -> None:
        since = self.world.clock() - self._last_commit
        is_urgent = self.counting.is_urgent and since >= self.options.commit_seconds
        is_overdue = self.counting.is_dirty and since >= QUIET_COMMIT_SECONDS
        clock_was_set_back = since < 0
        if not (is_urgent or is_overdue or clock_was_set_back):
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

    async def commit(self) -> None:
        """Write the document as it is now; what is committed may be sent."""
        self.check()
        self._last_commit = self.world.clock()
        self.counting.is_dirty = self.counting.is_urgent = False
        sealed: frozenset[BatchKey] = frozenset()

        def take_cursors(document: Document) -> None:
            nonlocal sealed
            self.containers.put_cursors(document)
            if self.is_listed:
                self.containers.forget()
            sealed = self.outbox.keys()

        try:
            await self.keeper.commit(
                now_seconds=int(self.world.clock()), before_encode=take_cursors
            )
        except BaseException:
            self.counting.is_dirty = self.counting.is_urgent = True
            raise
        if self._trouble:
            log.info("state can be written again")
        self._trouble = ""
        self.commits += 1
        self.outbox.commit(sealed)


async def run(
    options: Options,
    ruleset: RuleSet,
    world: World,
    *,
    send: Send | None,
    started: Callable[[Pipeline], None],
    stop: asyncio.Event,
    ledger: Ledger,
    switched: Callable[[tuple[ClusterSwitch, ...]], None] = lambda _found: None,
    check: Callable[[], None] = _always,
) -> None:
    """Run until `stop` is set. `send` None means local: collect, show, send nothing.

    What is sent, and what would be, is kept in the ledger; `switched` hears of the cluster's
    switches whenever they were read.

    Raises `NoCluster`, `StateError`, `ApiError` where it cannot begin, `SwitchedOff` alone or in a
    group, and what `check` raises.
    """
    async with AsyncExitStack() as stack:
        beginning = _begin(
            options,
            ruleset,
            world,
            stack,
            ledger,
            sends=send is not None,
            switched=switched,
            check=check,
        )
        begun = await unless(stop, beginning)
        if begun is None:
            return
        client, counting, keeper, note = begun
        try:
            async with asyncio.TaskGroup() as group:
                containers = Containers(
                    counting,
                    ruleset,
                    client,
                    world.clock,
                    world.random,
                    group,
                    options.containers,
                    options.pace,
                )
                outbox = CommittedOutbox(counting, options.destination, world.clock)
                pipeline = Pipeline(
                    options, world, counting, keeper, containers, outbox, check, note
                )
                started(pipeline)
                tasks = [
                    group.create_task(pipeline.tick(), name="tick"),
                    group.create_task(_obey(pipeline, client, switched), name="switches"),
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
                    tasks.append(group.create_task(delivery, name="deliver"))
                try:
                    await stop.wait()
                except asyncio.CancelledError:
                    # All that is in memory is dropped: what became of a write under way is for
                    # the next run to find out.
                    keeper.end_within(0)
                    raise
                # Stop reading, commit, exit; nothing is sent on the way out, because scaling to
                # zero is an opt-out.
                keeper.end_within(STOP_SECONDS)
                containers.cancel()
                for task in tasks:
                    task.cancel()
            counting.document.stopped_seconds = int(world.clock())
            try:
                await pipeline.commit()
                await note()
            except StateError as error:
                # The next start goes on from the last commit, as after a crash.
                log.error("state cannot be written", extra={"why": str(error)})
        finally:
            keeper.store.close()
            await ledger.save(limit_seconds=LEDGER_STOP_SECONDS)


def _checked(send: Send, check: Callable[[], None], outbox: CommittedOutbox) -> Send:
    async def checked(batch: Batch, *, sent_seconds: float) -> Outcome:
        check()
        if not outbox.may_leave(batch):
            return Retry("switched_off")
        return await send(batch, sent_seconds=sent_seconds)

    return checked


async def unless(stop: asyncio.Event, beginning: Coroutine[None, None, T]) -> T | None:
    """Wait for a beginning, unless the stop comes first."""
    begin = asyncio.ensure_future(beginning)
    stopping = asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait({begin, stopping}, return_when=asyncio.FIRST_COMPLETED)
        return begin.result() if begin.done() else None
    finally:
        for task in (begin, stopping):
            task.cancel()
        await asyncio.gather(begin, stopping, return_exceptions=True)


async def _begin(
    options: Options,
    ruleset: RuleSet,
    world: World,
    stack: AsyncExitStack,
    ledger: Ledger,
    *,
    sends: bool,
    switched: Callable[[tuple[ClusterSwitch, ...]], None],
    check: Callable[[], None],
) -> tuple[Client, Counting, Keeper, Callable[[], Awaitable[None]]]:
    user_agent = f"botkube-analytics/{options.agent_version}"
    client = await stack.enter_async_context(Client(options.access, user_agent, MAX_FOLLOWS + 50))
    now = int(world.clock())
    state, installation_store = _stores(options, client)
    keeper = Keeper(state, lambda: str(world.new_uuid()), lambda: world.new_bytes(32))
    # Before any log is read, and before an id is chosen.
    found = await read_switches(client, options.namespaces)
    switched(found)
    for one in found:
        if one.value == NOT_READABLE:
            warn_missing(one.name, "get")
    if any(one.is_off for one in found):
        await _discard_unsent(keeper, options, new_stream=str(world.new_uuid()), now_seconds=now)
        raise SwitchedOff

    async def choose_id() -> str:
        own = await identities.find_installation_id(
            client, options.namespaces, missing=warn_missing
        )
        return own or str(world.new_uuid())

    installation = await installations.load_installation(
        installation_store,
        choose_id=choose_id,
        now_seconds=now,
        withholding=review(None, ruleset, now_seconds=now, quiet_seconds=0),
    )
    withholding = review(
        installation.withholding,
        ruleset,
        now_seconds=now,
        quiet_seconds=options.quiet_period_seconds,
    )
    minor, distribution = await identities.find_kubernetes(client, ruleset, missing=warn_missing)
    identity = Identity(
        installation.id,
        await identities.find_cluster_id(client, kind=options.cluster_id, missing=warn_missing),
        minor,
        distribution,
    )
    quiet_until = installation.first_start_seconds + options.quiet_period_seconds

    async def take_over() -> Counting:
        await keeper.load(window_seconds=options.window_seconds, known_commits=installation.commits)
        counting = Counting(
            keeper.document,
            ruleset,
            identity,
            options.agent_version,
            sends,
            ledger,
            minimum=options.minimum,
            withholding=withholding,
        )
        counting.begin(
            now_seconds=now,
            window_seconds=options.window_seconds,
            count_from=quiet_until if options.quiet_period_seconds else 0,
            was_lost=keeper.was_unreadable or (keeper.is_new and installation.commits > 0),
            new_stream=lambda: str(world.new_uuid()),
        )
        # The epoch stands before anything is read or sent: from here on others are fenced.
        check()
        await keeper.commit(now_seconds=now, before_encode=lambda _document: None)
        return counting

    for _attempt in range(MAX_TAKE_OVERS - 1):
        # An agent that still runs may commit between our look and our claim: then look again.
        with suppress(Conflict):
            counting = await take_over()
            break
    else:
        counting = await take_over()
    note = partial(_note, installation_store, keeper, counting)
    await note()
    return client, counting, keeper, note


async def _discard_unsent(
    keeper: Keeper, options: Options, *, new_stream: str, now_seconds: int
) -> None:
    """Mark State as off, once, so that what is written meanwhile never counts."""
    try:
        await keeper.load(window_seconds=options.window_seconds)
        if keeper.document.sends is not False:
            leave_mode(keeper.document, new_stream)
            await keeper.commit(now_seconds=now_seconds, before_encode=lambda _document: None)
    finally:
        keeper.store.close()


async def _obey(
    pipeline: Pipeline, client: Client, switched: Callable[[tuple[ClusterSwitch, ...]], None]
) -> None:
    """Read the cluster's switches again and again; send nothing while they cannot be read."""
    outbox = pipeline.outbox
    while True:
        await asyncio.sleep(pipeline.options.pace.switches)
        try:
            found = await read_switches(client, pipeline.options.namespaces)
        except ApiError as error:
            if outbox.may_send.is_set():
                log.warning("switches cannot be read, nothing is sent", extra={"why": str(error)})
            outbox.may_send.clear()
            continue
        switched(found)
        if any(one.is_off for one in found):
            outbox.may_send.clear()
            pipeline.containers.cancel()
            pipeline.counting.switch_off(str(pipeline.world.new_uuid()))
            try:
                await pipeline.commit()
            except Conflict:
                raise
            except StateError as error:
                # The next beginning finds the switch, too, and marks State before anything else.
                log.error("state cannot be written", extra={"why": str(error)})
            raise SwitchedOff
        outbox.may_send.set()


async def _note(store: Store, keeper: Keeper, counting: Counting) -> None:
    """Tell the installation how often State was written, and which series are acknowledged.

    By the one an older copy is recognised. What could not be noted is withheld anew at next start.
    """
    try:
        async with asyncio.timeout(NOTE_SECONDS):
            await installations.note(
                store, commits=keeper.committed, withholding=counting.withholding
            )
    except (StateError, TimeoutError):
        log.warning("installation cannot be written")


def _stores(options: Options, client: Client) -> tuple[Store, Store]:
    if options.state_path is not None:
        path = options.state_path
        return FileStore(path), FileStore(
            path.with_name(f"{path.stem}.installation.json"), is_owner=False
        )
    return (
        ConfigMapStore(client, options.state_namespace, options.state_name),
        ConfigMapStore(client, options.state_namespace, options.installation_name),
    )


async def _watch(
    pipeline: Pipeline, client: Client, pods: Pods, namespace: str, selector: str
) -> None:
    options = pipeline.options
    selection = Selection(namespace, selector, options.containers, options.node)
    status: int | None = None
    warned = False

    def listed(error: ApiError | None) -> None:
        nonlocal status
        if error is None:
            pipeline.listed.add(selection.name)
        else:
            pipeline.listed.discard(selection.name)
        if error is None or error.status in {HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND}:
            # A namespace that may not be read must not hold the others' windows.
            pipeline.settled.add(selection.name)
        before, status = status, HTTPStatus.OK if error is None else error.status
        if status == before:
            return
        where = {"namespace": namespace, "right": "list pods", "status": status}
        if error is None:
            log.info("pods listed", extra={"namespace": namespace})
        else:
            log.warning("pods cannot be listed", extra=where | {"reason": error.reason})

    def may_not_watch() -> None:
        nonlocal warned
        if not warned:
            warned = True
            warn_missing("changes of pods at once", "watch pods")

    await watch(
        client,
        selection,
        pods,
        random=pipeline.world.random,
        listed=listed,
        may_not_watch=may_not_watch,
    )
