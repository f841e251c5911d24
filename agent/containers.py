"""Which container instances are followed: pods come and go, follows begin and end.

Owns the pictures of pods, the follows and what a pod's change means for them. Must not know
windows, commits or destinations: what a follow releases goes to `counting` in the same step.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from http import HTTPStatus
from typing import TYPE_CHECKING, TypeVar

from attrs import define, evolve, field

from agent import instances
from agent.follow import Follow, Pace, audit, read_instance, wants_audit
from agent.model import Container
from agent.prefilter import Prefilter, make_prefilter
from agent.reader import Reader
from agent.resume import hashes_kept, keep_breaks
from agent.source import identity as identities
from agent.source.api import ApiError
from agent.source.discovery import find_all, instance_keys, pause_seconds
from agent.source.podobjects import PodObjects, until_answered
from agent.state.document import pods_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Iterable
    from random import Random

    from agent.counting import Counting
    from agent.model import Released
    from agent.rules import RuleSet
    from agent.source.api import Client
    from agent.source.discovery import ContainerStatus, Pod, Selection
    from agent.state.document import Document

log = logging.getLogger(__name__)

T = TypeVar("T")

MAX_AUDITS = 8
MAX_FOLLOWS = 1000
MAX_VERSION_FAILURES = 5


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
class Containers:
    """The pods that are known and the follows of their container instances.

    `group` holds the tasks of all follows; it ends when they do, or when it is cancelled.
    `has_looked` says that it is known which pods of State left while nobody looked.
    """

    counting: Counting
    ruleset: RuleSet
    client: Client
    clock: Callable[[], float]
    monotonic: Callable[[], float]
    random: Random
    group: asyncio.TaskGroup
    names: frozenset[str]
    pace: Pace
    follows: dict[str, Follow] = field(factory=dict)
    pods: dict[str, Pod] = field(factory=dict)
    may_read: asyncio.Event = field(factory=asyncio.Event)
    max_follows: int = MAX_FOLLOWS
    refused: int = 0
    ended: Ended = field(factory=Ended)
    has_looked: bool = False
    _tasks: set[asyncio.Task[None]] = field(factory=set)
    _audits: int = 0
    _versions: dict[str, tuple[str, str]] = field(factory=dict)
    """Of each pod the image for which was asked, and the version that it is."""
    _waiting: set[str] = field(factory=set)
    _gone: set[str] = field(factory=set)
    _leaving: set[str] = field(factory=set)
    _left: set[str] = field(factory=set)
    """Pods that were read until they left the selection."""
    _finished: set[str] = field(factory=set)
    """Those of them that had finished, and of which all was read: they write no more."""
    _looks: bool = False
    _tried: set[str] = field(factory=set)
    _prefilter: Prefilter = field(init=False)
    _objects: PodObjects = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._prefilter = make_prefilter(self.ruleset.literals)
        self._objects = PodObjects(self.client, self.names, warn_missing)
        self.may_read.set()

    def pod_changed(self, pod: Pod) -> None:
        """Take a new picture of a selected pod: start and end follows."""
        self._leaving.discard(pod.uid)
        self.counting.document.left.pop(pod.uid, None)
        self._take(pod)

    def _take(self, pod: Pod) -> None:
        known = self.pods.get(pod.uid)
        if known is not None and pod.version < known.version:
            return  # an older picture, from a watch that lags
        self.pods[pod.uid] = pod
        self._gone.discard(pod.uid)
        if pod.namespace not in self._tried:
            self._tried.add(pod.namespace)
            self._begin(self._try_out(pod), "right")
        # Before any instance of a pod is begun: of one that is new none is known.
        for status in pod.containers:
            self._note_restarts(pod, status)
        for status in pod.containers:
            ids = [status.container_id]
            if status.last_ended is not None and status.last_ended.container_id not in ids:
                ids.insert(0, status.last_ended.container_id)
            for container_id in filter(None, ids):
                container = Container(pod.namespace, pod.name, pod.uid, status.name, container_id)
                follow = self.follows.get(container.key)
                if follow is None and not self._has_ended(container.key):
                    follow = self._start(container, pod, status)
                if follow is not None:
                    follow.take_picture(status, pod)
            self._leave_others(pod, status, set(ids))
        if pod.is_finished:
            self._end_untold(pod)

    def _end_untold(self, pod: Pod) -> None:
        """Let end of a finished pod what its status does not name, as of one that was evicted."""
        named = {status.name for status in pod.containers}
        for follow in self.follows.values():
            if follow.container.pod_uid == pod.uid and follow.container.name not in named:
                follow.take_status(None, is_deleting=True)

    def pod_gone(self, uid: str) -> None:
        """Take it that no selection contains a pod any more: it is gone, or its labels changed.

        What is being read of one that is gone is drained first.
        """
        pod = self.pods.get(uid)
        if pod is None or pod.is_deleting:
            self._end(uid)
        else:
            self._leaving.add(uid)
            self._begin(self._find_out(pod), "left")

    async def _find_out(self, pod: Pod) -> None:
        stays = await self._ask(
            lambda: self._objects.stays(pod), is_open=lambda: pod.uid in self._leaving
        )
        if pod.uid not in self._leaving:
            return  # it is back already
        self._leaving.discard(pod.uid)
        if stays is False:
            self._end(pod.uid)
        else:
            self._leave(pod.uid)

    async def _ask(
        self, question: Callable[[], Awaitable[T]], *, is_open: Callable[[], bool]
    ) -> T | None:
        """Ask about pods that no selection contains while the question is open.

        An outage is waited out as long as one of the logs is. What is wrongly taken to be gone
        would be lost if it comes back, or count twice: after an outage without end it may return.
        """
        return await until_answered(
            question,
            is_open=is_open,
            monotonic=self.monotonic,
            random=self.random,
            pause=self.pace.retry,
            limit_seconds=self.pace.unreadable,
        )

    def look_for_missing(self, everything: Iterable[Selection]) -> None:
        """Once, when all selections are listed that may be: which pods of State left unnoticed?

        The lists do not tell those that are gone from those whose labels were changed.
        """
        if not self._looks:
            self._looks = True
            self._begin(self._find_missing(tuple(everything)), "missing")

    async def _find_missing(self, everything: tuple[Selection, ...]) -> None:
        document = self.counting.document
        there = await self._ask(
            lambda: find_all(self.client, everything),
            is_open=lambda: bool(pods_of(document) - self.pods.keys() - document.left.keys()),
        )
        # Meanwhile it may have come back, or left anew.
        known = self.pods.keys() | self._gone | document.left.keys()
        missing = pods_of(document) - known
        for uid in missing if there is None else missing & there:
            instances.note_left(self.counting, uid, now_seconds=int(self.clock()))
        self.has_looked = True

    @property
    def _read(self) -> set[str]:
        return {follow.container.pod_uid for follow in self.follows.values()}

    def _leave(self, uid: str) -> None:
        """Stop reading a pod that left the selection; its Cursors stay for when it comes back."""
        pod = self.pods.pop(uid, None)
        self._left.add(uid)
        unread = {key.partition("/")[0] for key in self.counting.document.cursors}
        if pod is not None and pod.is_finished and uid not in unread | self._read | self._waiting:
            self._finished.add(uid)
        instances.note_left(self.counting, uid, now_seconds=int(self.clock()))
        for follow in self.follows.values():
            if follow.container.pod_uid == uid:
                follow.leave()

    def _end(self, uid: str) -> None:
        self.pods.pop(uid, None)
        self._gone.add(uid)
        self._versions.pop(uid, None)
        for follow in self.follows.values():
            if follow.container.pod_uid == uid:
                follow.take_status(None, is_deleting=True)

    def _leave_others(self, pod: Pod, status: ContainerStatus, ids: set[str]) -> None:
        for follow in self.follows.values():
            other = follow.container
            is_same = (other.pod_uid, other.name) == (pod.uid, status.name)
            if is_same and other.container_id not in ids:
                follow.take_picture(status, pod)

    def _note_restarts(self, pod: Pod, status: ContainerStatus) -> None:
        # A container that its runtime has lost ends in a status without an id.
        last = status.last_ended.container_id if status.last_ended else ""
        began = filter(None, map(status.began, filter(None, (last, status.container_id))))
        instances.count_restarts(
            self.counting,
            f"{pod.uid}/{status.name}",
            status.restarts,
            current=f"{pod.uid}/{status.container_id}" if status.container_id else "",
            last_ended=f"{pod.uid}/{last}" if last else "",
            ended={key for key, one in self.follows.items() if one.ended is not None},
            created_seconds=pod.created_seconds,
            began_seconds=min(began, default=None),
            now_seconds=int(self.clock()),
        )

    def _has_ended(self, key: str) -> bool:
        document = self.counting.document
        instance = document.instances.get(key)
        has_ended = instance is not None and instance.ended_seconds is not None
        return has_ended and key not in document.cursors  # else it was lost, and is found again

    def _start(self, container: Container, pod: Pod, status: ContainerStatus) -> Follow | None:
        if len(self.follows) >= self.max_follows:
            self._refuse(pod)
            return None
        document, now = self.counting.document, int(self.clock())
        version = self._version(pod, status) or "other"
        instance = instances.instance_of(self.counting, container, version)
        instance.ended_seconds = None  # as far as its runtime has found it again
        if instance.began_seconds is None:
            began = status.began(container.container_id)
            # It is there already, whatever its node's clock said of when it began.
            instance.began_seconds = min(began, now) if began is not None else None
        began = instance.began_seconds
        reader = Reader(
            self.ruleset,
            self._prefilter,
            key=document.key,
            cursor=document.cursors.get(container.key),
            breaks=document.breaks.get(container.key, ()),
            enabled=instance.known,
            debug_seen=instance.debug,
        )
        follow = Follow(
            container,
            reader,
            self.client,
            self.clock,
            self.monotonic,
            self.random,
            self._fold,
            self.may_read,
            self.pace,
            self._taken_over,
            self._refresh,
            self._previous(container, status),
            document.windows.told_from(began, now_seconds=now) if began is not None else None,
        )
        follow.may_finish.set()
        self.follows[container.key] = follow
        follow.take_picture(status, pod)
        self._begin(self._run(follow, pod, status), "follow")
        return follow

    def _refuse(self, pod: Pod) -> None:
        """Let a container wait until another one's log has ended; its file is the buffer."""
        if not self._waiting:
            log.warning("too many containers, some must wait", extra={"limit": self.max_follows})
        self.refused += pod.uid not in self._waiting
        self._waiting.add(pod.uid)

    def _take_up_waiting(self) -> None:
        waiting, self._waiting = self._waiting, set()
        for uid in waiting & self.pods.keys():
            self._take(self.pods[uid])

    def _version(self, pod: Pod, status: ContainerStatus) -> str | None:
        """Return which version a container's image is; None if that was not asked yet."""
        image, version = self._versions.get(pod.uid, ("", ""))
        return version if version and image == status.image else None

    async def _name(
        self, one: Follow, pod: Pod, status: ContainerStatus, is_named: asyncio.Event
    ) -> None:
        """Learn which version a container instance is; its log waits for that, though not long."""
        failures, known = 0, self.counting.document.instances[one.container.key].version
        if known != "other" and identities.version_of(status, self.ruleset) is None:
            # The label of its Deployment may be another by now, whose pods cannot start.
            self._versions.setdefault(pod.uid, (status.image, known))
        while self._version(pod, status) is None and one.container.key in self.follows:
            try:
                version = await identities.find_version(
                    self.client, pod, status, self.ruleset, missing=warn_missing
                )
                self._versions[pod.uid] = status.image, version
            except ApiError as error:
                failures += 1
                if failures <= MAX_VERSION_FAILURES:
                    one.fail(error)
                if failures >= MAX_VERSION_FAILURES:
                    # A trait that nobody tells must not keep the log unread, nor the others'
                    # windows open.
                    is_named.set()
                base = self.pace.retry
                await asyncio.sleep(pause_seconds(failures, error, self.random, base=base))
        if one.container.key in self.follows:
            version = self._version(pod, status) or "other"
            is_current = one.container.container_id == status.container_id
            is_sure = is_current and identities.version_of(status, self.ruleset) is not None
            instances.instance_of(self.counting, one.container, version, is_sure=is_sure)
        is_named.set()

    async def _run(self, one: Follow, pod: Pod, status: ContainerStatus) -> None:
        is_named = asyncio.Event()
        self._begin(self._name(one, pod, status, is_named), "version")
        await is_named.wait()
        await read_instance(one)
        if one.is_done:
            self._close(one)
        else:
            self._put_cursor(one)
        del self.follows[one.container.key]
        self.ended.add(one)
        self._take_up_waiting()
        if one.container.pod_uid in self.pods:
            self._take(self.pods[one.container.pod_uid])  # it may have come back meanwhile

    def _close(self, one: Follow) -> None:
        ended = one.ended
        # The final Cursor and the crash move together: no await between.
        if one.may_return():
            self._put_cursor(one)
        else:
            self.counting.document.cursors.pop(one.container.key, None)
        instances.end_instance(
            self.counting,
            one.container.key,
            exit_code=ended.exit_code if ended else None,
            reason=ended.reason if ended else "",
            finished_seconds=ended.finished_seconds if ended else 0,
            is_deleting=one.is_deleting,
            now_seconds=int(self.clock()),
        )

    def _previous(self, container: Container, status: ContainerStatus) -> Follow | None:
        """Return the follow of the newest instance before it, if it is still reading."""
        place = (container.pod_uid, container.name)
        for follow in reversed(self.follows.values()):
            other = follow.container
            # None is previous to another one while it is the current one: its stream goes on.
            is_same = (other.pod_uid, other.name) == place and other != container
            is_same = is_same and other.container_id != status.container_id
            # What a process before this one had counted may be this instance's, too.
            if is_same and (follow.opened or follow.reader.cursor().total):
                follow.begin_asking()
                return follow
        return None

    async def _refresh(self, follow: Follow) -> str | None:
        """Look at a pod again; return which pod has its name: "" for none, None: nobody says."""
        container = follow.container
        try:
            pod = await self._objects.get(container.namespace, container.pod)
        except ApiError as error:
            if error.status == HTTPStatus.NOT_FOUND:
                self._end(container.pod_uid)
                return ""
            # Without the right nobody can be asked, ever: it is taken for the one it was.
            return container.pod_uid if error.status == HTTPStatus.FORBIDDEN else None
        if pod.uid != container.pod_uid:
            # Another pod has its name now (a StatefulSet's), and answers in its place.
            self._end(container.pod_uid)
        elif pod.uid in self.pods:
            # One that no selection contains any more is not taken up again.
            self._take(pod)
        return pod.uid

    async def _try_out(self, pod: Pod) -> None:
        # Nothing else asks before a container restarts, and then a missing right costs already.
        with suppress(ApiError):
            await self._objects.get(pod.namespace, pod.name)

    def _taken_over(self, before: Follow, after: Follow, part: int) -> None:
        instances.take_over(self.counting, before.container.key, after.container.key, part)

    def _fold(self, follow: Follow, released: Released) -> None:
        self.counting.fold(follow.container.key, released, now_seconds=int(self.clock()))

    def change_rules(self, ruleset: RuleSet, prefilter: Prefilter) -> None:
        """Go on with another rule set: what is not released is read again, as after a crash."""
        self.ruleset, self._prefilter = ruleset, prefilter
        for follow in self.follows.values():
            follow.reader.change_rules(ruleset, prefilter)
            follow.interrupt()

    def _begin(self, work: Coroutine[None, None, None], name: str) -> None:
        task = self.group.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def cancel(self) -> None:
        """Stop reading."""
        for task in self._tasks:
            task.cancel()

    def hold_back(self) -> None:
        """Stop reading for a while; the kubelet's files are the buffer."""
        self.may_read.clear()
        for follow in self.follows.values():
            follow.hold_back()

    def read_on(self) -> None:
        """Go on reading; what failed before says nothing of now."""
        self.may_read.set()
        for follow in self.follows.values():
            follow.failing_since = None

    def put_cursors(self, document: Document) -> None:
        """Put into the document how far each follow has come, at the instant of a commit."""
        living = len(document.cursors.keys() | self.follows.keys())
        most = hashes_kept(living, max(0, len(document.instances) - living))
        for follow in self.follows.values():
            self._put_cursor(follow)
        for key, cursor in document.cursors.items():
            document.cursors[key] = evolve(cursor, hashes=cursor.hashes[-most:])
        document.breaks = keep_breaks(document.breaks, document.cursors)

    def _put_cursor(self, follow: Follow) -> None:
        document, key = self.counting.document, follow.container.key
        document.cursors[key] = follow.reader.cursor()
        document.breaks[key] = follow.reader.breaks

    def audit(self, due: int | None) -> None:
        # Not awaited: a container whose reply hangs must not hold up the others' windows.
        for one in self.follows.values():
            if self._audits < MAX_AUDITS and wants_audit(one, due):
                self._audits += 1
                one.is_auditing = True
                self._begin(self._audit_one(one), "audit")

    async def _audit_one(self, one: Follow) -> None:
        try:
            await audit(one)
        finally:
            one.is_auditing = False
            self._audits -= 1

    def may_close(self, end_seconds: int) -> bool:
        return not any(follow.holds(end_seconds) for follow in self.follows.values())

    def unreadable(self, start_seconds: int, end_seconds: int) -> list[float]:
        """Return since when containers could not be read for which a window no longer waits."""
        failing = [
            follow.failing_since
            for follow in self.follows.values()
            if follow.failing_since is not None and follow.may_lack(start_seconds, end_seconds)
        ]
        return [*failing, *self._unread(start_seconds, end_seconds)]

    def _unread(self, start_seconds: int, end_seconds: int) -> Iterable[float]:
        """Return since when nobody reads pods that State knows of and whose end nobody told.

        They may not be listed, or left the selection and may come back: what they write meanwhile
        is read late or never, and until then nobody knows that it is nothing, even if all that was
        read of them has ended. Nor of one that has to wait for another's end.
        """
        document = self.counting.document
        for uid in self._waiting & self.pods.keys():
            if self.pods[uid].created_seconds < end_seconds:
                yield max(start_seconds, self.pods[uid].created_seconds)
        known = document.left.keys() | {key.partition("/")[0] for key in document.restarts}
        known |= {
            key.partition("/")[0]
            for key, one in document.instances.items()
            if one.ended_seconds is None and (one.began_seconds or 0) < end_seconds
        }
        for uid in known - self.pods.keys() - self._gone - self._finished - self._read:
            since = document.left.get(uid, 0) if uid in self._left else start_seconds
            if since < end_seconds:
                yield since

    def _lost(self) -> set[str]:
        """Return the instances that their runtime has lost and may find again."""
        restarts = self.counting.document.restarts
        places = (
            f"{pod.uid}/{status.name}"
            for pod in self.pods.values()
            for status in pod.containers
            if not (pod.is_finished or status.container_id or status.ended)
        )
        return {restarts[place][1] for place in places if place in restarts}

    def forget(self) -> None:
        """Drop instances that no pod's status names any more.

        Unless they were looked for, what belongs to a pod that nobody told of may still be there.
        """
        named = {key for pod in self.pods.values() for key in instance_keys(pod)}
        named |= self._lost()
        document, now = self.counting.document, int(self.clock())

        def is_over(key: str) -> bool:
            uid = key.partition("/")[0]
            if instances.may_return(self.counting, uid, now_seconds=now):
                return False
            return self.has_looked or uid in self.pods or uid in self._gone

        kept = named | self.follows.keys()
        instances.forget(
            self.counting,
            [key for key in document.instances if key not in kept and is_over(key)],
            [
                key
                for key in document.restarts
                if key.partition("/")[0] not in self.pods and is_over(key)
            ],
            there=self.pods.keys(),
            now_seconds=now,
        )
        self._gone &= {key.partition("/")[0] for key in document.instances}
        self._left &= document.left.keys()
        self._finished &= document.left.keys()


def warn_missing(trait: str, right: str) -> None:
    """Say once which right is missing and what is unknown without it."""
    log.warning("a right is missing", extra={"trait": trait, "right": right})
