"""The whole agent: which tasks there are, what they share, and how they stop. START READING HERE.

`container -> LogLine -> Record -> Match -> Observation -> Window -> Aggregate -> Batch -> Delivered
-> checkpoint`

`source.discovery` says which containers exist; a `follow.Follow` per container instance reads its
log through a `reader.Reader`, which releases Observations; `counting` folds them into the one
document, closes windows and seals batches; `state.keeper` commits the document; `sink.deliver`
sends what was committed. All of them run in one task group: if one fails, all stop, and the next
start goes on from the last commit.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from http import HTTPStatus
from typing import TYPE_CHECKING, TypeVar
from uuid import UUID

from attrs import define, field, frozen

from agent.counting import Counting
from agent.follow import Follow, Pace
from agent.match import make_prefilter
from agent.model import Container, Identity
from agent.reader import Reader
from agent.sink.deliver import deliver
from agent.source import identity as identities
from agent.source.api import Access, ApiError, Client
from agent.source.discovery import Pods, Selection, pause_seconds, read_pod, watch
from agent.state.configmap import ConfigMapStore
from agent.state.disk import FileStore
from agent.state.document import Document, mark_attempted
from agent.state.installation import load_installation
from agent.state.keeper import Keeper
from agent.state.store import Conflict, StateError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from pathlib import Path
    from random import Random

    from agent.model import Batch, Released
    from agent.rules import RuleSet
    from agent.sink.deliver import Send
    from agent.source.discovery import ContainerStatus, Pod
    from agent.state.store import Store

log = logging.getLogger(__name__)

T = TypeVar("T")

QUIET_COMMIT_SECONDS = 600
"""Lines that matched nothing are only read again after a crash; they are not worth more writes."""

STOP_SECONDS = 4.0
MAX_AUDITS = 8
MAX_FOLLOWS = 1000
FOLLOW = "follow"


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
    rules_paths: tuple[str, ...] = ()
    pace: Pace = field(factory=Pace)


@frozen
class World:
    """Time, randomness and ids, so that a run can be repeated."""

    clock: Callable[[], float]
    random: Random
    new_uuid: Callable[[], UUID]
    new_bytes: Callable[[int], bytes]


@define
class Ended:
    """What the follows that have ended had counted."""

    noise: int = 0
    cut: int = 0
    bounds: int = 0
    opened: int = 0
    errors: int = 0

    def add(self, follow: Follow) -> None:
        """Take over the figures of a follow that ends."""
        self.noise += follow.reader.noise
        self.cut += follow.reader.cut
        self.bounds += follow.reader.bound_hits
        self.opened += follow.opened
        self.errors += follow.errors


@define(eq=False)
class Pipeline:
    """What the tasks of one run share; each part is usable alone."""

    options: Options
    ruleset: RuleSet
    world: World
    client: Client
    counting: Counting
    keeper: Keeper
    group: asyncio.TaskGroup
    follows: dict[str, Follow] = field(factory=dict)
    pods: dict[str, Pod] = field(factory=dict)
    settled: set[str] = field(factory=set)
    listed: set[str] = field(factory=set)
    may_read: asyncio.Event = field(factory=asyncio.Event)
    committed: asyncio.Event = field(factory=asyncio.Event)
    commits: int = 0
    commit_failures: int = 0
    refused: int = 0
    ended: Ended = field(factory=Ended)
    _committed_outbox: tuple[tuple[int, int], ...] = ()
    _last_commit: float = 0.0
    _audits: int = 0
    _prefilter: Callable[[bytes], bool] = field(init=False)
    _versions: dict[str, str] = field(factory=dict)

    def __attrs_post_init__(self) -> None:
        self._prefilter = make_prefilter(self.ruleset.literals)
        self.may_read.set()
        self._committed_outbox = self._outbox_ids()

    # --- containers ---------------------------------------------------------------------------

    def pod_changed(self, pod: Pod) -> None:
        """Take a new picture of a pod: start and end follows."""
        known = self.pods.get(pod.uid)
        if known is not None and pod.version < known.version:
            return  # an older picture, from a watch that lags
        self.pods[pod.uid] = pod
        for status in pod.containers:
            ids = [status.container_id]
            if status.last_ended is not None and status.last_ended.container_id not in ids:
                ids.insert(0, status.last_ended.container_id)
            self._note_restarts(pod, status)
            for container_id in filter(None, ids):
                container = Container(pod.namespace, pod.name, pod.uid, status.name, container_id)
                follow = self.follows.get(container.key)
                if follow is None and not self._has_ended(container.key):
                    follow = self._start(container, pod, status)
                if follow is not None:
                    follow.take_status(status, is_deleting=pod.is_deleting)
            self._leave_others(pod, status, set(ids))

    def pod_gone(self, uid: str) -> None:
        """Take it that a pod is no longer there; what is being read is drained first."""
        self.pods.pop(uid, None)
        self._versions.pop(uid, None)
        for follow in self.follows.values():
            if follow.container.pod_uid == uid:
                follow.take_status(None, is_deleting=True)

    def _leave_others(self, pod: Pod, status: ContainerStatus, ids: set[str]) -> None:
        for follow in self.follows.values():
            other = follow.container
            is_same = (other.pod_uid, other.name) == (pod.uid, status.name)
            if is_same and other.container_id not in ids:
                follow.take_status(status, is_deleting=pod.is_deleting)

    def _note_restarts(self, pod: Pod, status: ContainerStatus) -> None:
        self.counting.count_restarts(
            f"{pod.uid}/{status.name}",
            status.restarts,
            current=f"{pod.uid}/{status.container_id}",
            last_ended=f"{pod.uid}/{status.last_ended.container_id}" if status.last_ended else "",
            now_seconds=int(self.world.clock()),
        )

    def _has_ended(self, key: str) -> bool:
        instance = self.counting.document.instances.get(key)
        return instance is not None and instance.ended_seconds is not None

    def _start(self, container: Container, pod: Pod, status: ContainerStatus) -> Follow | None:
        if len(self.follows) >= MAX_FOLLOWS:
            self.refused += 1
            return None
        document = self.counting.document
        instance = self.counting.instance(container, self._versions.get(pod.uid, "other"))
        reader = Reader(
            self.ruleset,
            self._prefilter,
            key=document.key,
            cursor=document.cursors.get(container.key),
            enabled=instance.known,
            debug_seen=instance.debug,
        )
        follow = Follow(
            container,
            reader,
            self.client,
            self.world.clock,
            self.world.random,
            self._fold,
            self.may_read,
            self.options.pace,
            self._taken_over,
            self._refresh,
            self._previous(container),
        )
        follow.may_finish.set()
        self.follows[container.key] = follow
        follow.take_status(status, is_deleting=pod.is_deleting)
        self.group.create_task(self._run(follow, pod, status), name=FOLLOW)
        return follow

    async def _run(self, follow: Follow, pod: Pod, status: ContainerStatus) -> None:
        failures = 0
        while pod.uid not in self._versions:
            try:
                self._versions[pod.uid] = await identities.find_version(
                    self.client, pod, status, self.ruleset, missing=warn_missing
                )
            except ApiError as error:
                failures += 1
                base = self.options.pace.retry
                await asyncio.sleep(pause_seconds(failures, error, self.world.random, base=base))
        self.counting.instance(follow.container, self._versions[pod.uid])
        await follow.run()
        ended = follow.ended()
        # The final Cursor and the crash move together: no await between.
        self.counting.document.cursors.pop(follow.container.key, None)
        self.counting.end_instance(
            follow.container.key,
            exit_code=ended.exit_code if ended else None,
            reason=ended.reason if ended else "",
            finished_seconds=ended.finished_seconds if ended else 0,
            is_deleting=follow.is_deleting,
            now_seconds=int(self.world.clock()),
        )
        del self.follows[follow.container.key]
        self.ended.add(follow)

    def _previous(self, container: Container) -> Follow | None:
        """Return the follow of the same container's previous instance, if it is still reading."""
        place = (container.pod_uid, container.name)
        for follow in self.follows.values():
            other = follow.container
            if (other.pod_uid, other.name) == place and other != container and follow.opened:
                follow.may_finish.clear()
                return follow
        return None

    async def _refresh(self, follow: Follow) -> None:
        container = follow.container
        path = f"/api/v1/namespaces/{container.namespace}/pods/{container.pod}"
        with suppress(ApiError):
            pod = read_pod(await self.client.get(path), self.options.containers)
            if pod.uid == container.pod_uid:
                self.pod_changed(pod)

    def _taken_over(self, before: Follow, after: Follow) -> None:
        self.counting.take_over(before.container.key, after.container.key)

    def _fold(self, follow: Follow, released: Released) -> None:
        self.counting.fold(follow.container.key, released, now_seconds=int(self.world.clock()))

    def change_rules(self, ruleset: RuleSet, prefilter: Callable[[bytes], bool]) -> None:
        """Go on with another rule set: what is not released is read again, as after a crash."""
        self.ruleset, self._prefilter = ruleset, prefilter
        self.counting.change_rules(ruleset)
        for follow in self.follows.values():
            follow.reader.change_rules(ruleset, prefilter)
            follow.interrupt()

    # --- time ---------------------------------------------------------------------------------

    async def tick(self) -> None:
        """Audit silent streams, close windows and commit, again and again."""
        while True:
            await asyncio.sleep(self.options.pace.tick)
            now = self.world.clock()
            self._audit(self.counting.due(now_seconds=now))
            if self.is_settled:
                self.counting.close_due(
                    now_seconds=self.world.clock(),
                    may_close=self._may_close,
                    unreadable=self._unreadable,
                )
            self._hold_back()
            await self._commit_if_due()

    @property
    def is_settled(self) -> bool:
        """Whether every selection was listed once, or may not be: then windows may close."""
        wanted = len(self.options.namespaces) * len(self.options.selectors)
        return len(self.settled) >= wanted

    @property
    def is_listed(self) -> bool:
        """Whether all that was selected is known."""
        return self.is_settled and self.listed == self.settled

    def _audit(self, due: int | None) -> None:
        # Not awaited: a container whose reply hangs must not hold up the others' windows.
        for follow in self.follows.values():
            if self._audits < MAX_AUDITS and follow.wants_audit(due):
                self._audits += 1
                follow.is_auditing = True
                self.group.create_task(self._audit_one(follow), name=f"{FOLLOW} audit")

    async def _audit_one(self, follow: Follow) -> None:
        try:
            await follow.audit()
        finally:
            follow.is_auditing = False
            self._audits -= 1

    def _may_close(self, end_seconds: int) -> bool:
        return not any(follow.holds(end_seconds) for follow in self.follows.values())

    def _unreadable(self, end_seconds: int) -> list[float]:
        """Return since when containers could not be read whose windows no longer wait."""
        return [
            follow.failing_since
            for follow in self.follows.values()
            if follow.failing_since is not None
            and follow.is_unreadable()
            and follow.clear_seconds < end_seconds > follow.released_seconds
        ]

    def _hold_back(self) -> None:
        """Stop reading while the outbox is full; the kubelet's files are the buffer."""
        if self.counting.is_full and self.may_read.is_set():
            log.warning("outbox is full, reading waits")
            self.may_read.clear()
            for follow in self.follows.values():
                follow.interrupt()
        elif not self.counting.is_full and not self.may_read.is_set():
            log.info("outbox has room again, reading goes on")
            self.may_read.set()

    # --- commits ------------------------------------------------------------------------------

    async def _commit_if_due(self) -> None:
        since = self.world.clock() - self._last_commit
        counting = self.counting
        urgent = counting.is_urgent and since >= self.options.commit_seconds
        was_set_back = since < 0
        if was_set_back or urgent or (counting.is_dirty and since >= QUIET_COMMIT_SECONDS):
            try:
                await self.commit()
            except Conflict:
                raise  # another process has taken over, this one ends
            except StateError as error:
                self.commit_failures += 1
                log.error("state cannot be written", extra={"why": str(error)})

    async def commit(self) -> None:
        """Write the document as it is now; what is committed may be sent."""
        self._last_commit = self.world.clock()
        self.counting.is_dirty = self.counting.is_urgent = False
        frozen_outbox: tuple[tuple[int, int], ...] = ()

        def take_cursors(document: Document) -> None:
            nonlocal frozen_outbox
            for key, follow in self.follows.items():
                document.cursors[key] = follow.reader.cursor()
            self._forget()
            frozen_outbox = self._outbox_ids()

        try:
            await self.keeper.commit(
                now_seconds=int(self.world.clock()), before_encode=take_cursors
            )
        except BaseException:
            self.counting.is_dirty = self.counting.is_urgent = True
            raise
        self.commits += 1
        self._committed_outbox = frozen_outbox
        self.committed.set()

    def _forget(self) -> None:
        """Drop ended instances that no pod's status names any more."""
        if not self.is_listed:
            return
        named = {
            f"{uid}/{container_id}"
            for uid, pod in self.pods.items()
            for status in pod.containers
            for container_id in (
                status.container_id,
                *(one.container_id for one in (status.ended, status.last_ended) if one),
            )
        }
        document = self.counting.document
        self.counting.forget(
            [key for key in document.instances if key not in named | self.follows.keys()],
            [key for key in document.restarts if key.partition("/")[0] not in self.pods],
        )

    def _outbox_ids(self) -> tuple[tuple[int, int], ...]:
        return tuple((batch.seq, batch.part) for batch in self.counting.document.outbox)

    # --- the outbox, as `deliver` sees it -----------------------------------------------------

    async def next(self) -> Batch:
        """Wait for a committed batch and return the oldest."""
        while True:
            for batch in self.counting.document.outbox:
                if (batch.seq, batch.part) in self._committed_outbox:
                    return batch
            self.committed.clear()
            await self.committed.wait()

    async def attempted(self, batch: Batch) -> None:
        """Note that the batch is about to be given to the destination."""
        mark_attempted(self.counting.document, batch)

    async def delivered(self, batch: Batch) -> None:
        """Remove a batch that was accepted; the removal is part of the next commit."""
        self._drop(batch)

    async def rejected(self, batch: Batch, _status: int) -> None:
        """Park a batch that will never be accepted; `deliver` says so."""
        self.counting.document.parked += 1
        self._drop(batch)

    def _drop(self, batch: Batch) -> None:
        self.counting.drop_batch(batch)


def warn_missing(trait: str, right: str) -> None:
    """Say once which right is missing and what is unknown without it."""
    log.warning("a right is missing", extra={"trait": trait, "right": right})


async def run(
    options: Options,
    ruleset: RuleSet,
    world: World,
    *,
    send: Send | None,
    started: Callable[[Pipeline], None],
    stop: asyncio.Event,
) -> None:
    """Run until `stop` is set. `send` None means local: collect, show, send nothing.

    Raises `NoCluster`, `StateError`, `ApiError` where it cannot begin.
    """
    async with Client(
        options.access, f"botkube-analytics/{options.agent_version}", MAX_FOLLOWS + 50
    ) as client:
        begun = await _unless(stop, _begin(options, ruleset, world, client, sends=send is not None))
        if begun is None:
            return
        counting, keeper = begun
        try:
            async with asyncio.TaskGroup() as group:
                pipeline = Pipeline(options, ruleset, world, client, counting, keeper, group)
                # The epoch stands before anything is read or sent: from here on others are fenced.
                await pipeline.commit()
                started(pipeline)
                tasks = [group.create_task(pipeline.tick(), name="tick")]
                pods = Pods(pipeline.pod_changed, pipeline.pod_gone)
                tasks += [
                    group.create_task(_watch(pipeline, pods, namespace, selector), name="watch")
                    for namespace in options.namespaces
                    for selector in options.selectors
                ]
                if send is not None:
                    delivery = deliver(pipeline, send, clock=world.clock)
                    tasks.append(group.create_task(delivery, name="deliver"))
                await stop.wait()
                # Stop reading, commit, exit; nothing is sent on the way out, because scaling to
                # zero is an opt-out.
                keeper.limit_seconds = STOP_SECONDS / 2
                tasks += [
                    task for task in asyncio.all_tasks() if task.get_name().startswith(FOLLOW)
                ]
                for task in tasks:
                    task.cancel()
            counting.document.stopped_seconds = int(world.clock())
            try:
                await pipeline.commit()
            except StateError as error:
                # The next start goes on from the last commit, as after a crash.
                log.error("state cannot be written", extra={"why": str(error)})
        finally:
            keeper.store.close()


async def _unless(stop: asyncio.Event, beginning: Coroutine[None, None, T]) -> T | None:
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
    options: Options, ruleset: RuleSet, world: World, client: Client, *, sends: bool
) -> tuple[Counting, Keeper]:
    now = int(world.clock())
    state, installation_store = _stores(options, client)
    own_id = await identities.find_installation_id(client, options.namespaces)
    installation = await load_installation(
        installation_store, choose_id=lambda: own_id or str(world.new_uuid()), now_seconds=now
    )
    minor, distribution = await identities.find_kubernetes(client, ruleset, missing=warn_missing)
    identity = Identity(
        installation.id,
        await identities.find_cluster_id(client, kind=options.cluster_id, missing=warn_missing),
        minor,
        distribution,
    )
    quiet_until = installation.first_start_seconds + options.quiet_period_seconds
    keeper = Keeper(state, lambda: str(world.new_uuid()), lambda: world.new_bytes(32))
    await keeper.load(window_seconds=options.window_seconds)
    counting = Counting(keeper.document, ruleset, identity, options.agent_version, sends)
    counting.begin(
        now_seconds=now,
        window_seconds=options.window_seconds,
        count_from=quiet_until if options.quiet_period_seconds else 0,
        was_lost=keeper.was_unreadable or (keeper.is_new and not installation.is_new),
        new_stream=lambda: str(world.new_uuid()),
    )
    return counting, keeper


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


async def _watch(pipeline: Pipeline, pods: Pods, namespace: str, selector: str) -> None:
    options = pipeline.options
    selection = Selection(namespace, selector, options.containers, options.node)
    status: int | None = None

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
        if error is None:
            log.info("pods listed")
        else:
            log.warning("pods cannot be listed", extra={"status": status, "reason": error.reason})

    await watch(pipeline.client, selection, pods, random=pipeline.world.random, listed=listed)
