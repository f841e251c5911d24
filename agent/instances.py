"""The container instances in the document: how each ends, and when it is forgotten.

Owns that every end of an instance is one crash at most, whoever tells of it: the instance's own
status, the restart count that passed it by, or that no status names it any more. Like `counting`
nothing here awaits, and it must not know tasks or requests; time is an argument.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import evolve

from agent.aggregate import Instance
from agent.model import NANOS, Gap

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from agent.counting import Counting
    from agent.model import Container

MAX_INSTANCES = 3000
"""Beyond it those that have ended and that no status names are forgotten before their window ends.
"""
MAX_UNSEEN = 10_000
"""How many crashes of a container may be counted that nobody saw; a status may hold any number."""
LEFT_SECONDS = 86_400
"""For so long a pod that left the selection is read on where it was left if it comes back."""
MAX_LEFT = 100


def instance_of(
    counting: Counting, container: Container, version: str, *, is_sure: bool = False
) -> Instance:
    """Return the facts of a container instance, new if it was not known.

    The version that was learned first is its own, unless another one is sure: that of its
    Deployment's label may be another by now, or its pod's image.
    """
    found = counting.document.instances.setdefault(container.key, Instance())
    if found.version != version and (found.version == "other" or is_sure):
        found.version = version
        counting.is_dirty = counting.is_urgent = True
    return found


def take_over(counting: Counting, before: str, after: str, part: int) -> None:
    """Move the facts of one instance to another: they were learned from the other's lines.

    Its lines are those behind so many breaks. What ended it stands there, too; the other facts
    are of the present, and move only with the last of the lines.
    """
    instances = counting.document.instances
    old, new = instances[before], instances[after]
    is_newest = part >= len(old.kinds_before)
    new.kind = old.give_up(part)
    if is_newest:
        instances[after] = evolve(
            old,
            version=new.version,
            kind=new.kind,
            kinds_before=(),
            ended_seconds=new.ended_seconds,
            counted_by=new.counted_by,
            began_seconds=new.began_seconds,
        )
        instances[before] = Instance(
            old.version,
            kind=old.kind,
            kinds_before=old.kinds_before,
            ended_seconds=old.ended_seconds,
            counted_by=old.counted_by,
            began_seconds=old.began_seconds,
        )
    counting.is_dirty = counting.is_urgent = True


def end_instance(
    counting: Counting,
    key: str,
    *,
    exit_code: int | None,
    reason: str,
    finished_seconds: int,
    is_deleting: bool,
    now_seconds: int,
) -> None:
    """Close the books of a container instance; a crash is one Observation."""
    instance = counting.document.instances[key]
    if instance.ended_seconds is not None:
        return
    instance.ended_seconds = finished_seconds or now_seconds
    counting.is_dirty = counting.is_urgent = True
    counts = exit_code not in {None, 0} and (
        not is_deleting or instance.said_kind is not None or reason == "OOMKilled"
    )
    if counts and instance.counted_by is None:
        kind = instance.said_kind or {"OOMKilled": "oom"}.get(
            reason, "killed" if exit_code in {137, 143} else "unknown"
        )
        counting.crash(kind, instance.version, finished_seconds or now_seconds, now_seconds)


def count_restarts(
    counting: Counting,
    container: str,
    restarts: int,
    *,
    current: str,
    last_ended: str,
    ended: Collection[str] = (),
    created_seconds: int = 0,
    began_seconds: int | None = None,
    now_seconds: int,
) -> None:
    """Note a container's restart count; instances that a jump skipped count as `unseen`.

    Those of a pod that nobody knew are a gap since it was created, until the oldest instance that
    is still named began: how they ended nobody knows. At a first start they may have ended before
    anybody counted here.

    `current` and `last_ended` are the keys of the instances that the status still names, `ended`
    those whose end a status told and that are still read. One that was current before and ended in
    between without its end being seen was skipped, too. One that is current still may be counted
    as restarted, where the runtime has lost it (kubelet: `ContainerStatusUnknown`): its crash is
    counted then, and it is read on if it is found again.
    When a skipped one ended nobody knows, but that it was after the count before was noted.
    """
    document = counting.document
    before = document.restarts.get(container)
    known = before[1] if before is not None else ""
    # One that is known already, and is not the one before, has ended before that one began.
    is_later = last_ended == known or last_ended not in document.instances
    if not (last_ended and is_later):
        # A status that names none is of no other one, unless it says that this one has ended, or
        # one that came after it: then the next was lost before any status named it.
        current = current or known
    document.restarts[container] = (restarts, current, now_seconds)
    if before is None:
        counting.is_dirty = counting.is_urgent = True  # the count to compare the next one with
        pod = container.partition("/")[0]
        # After a stop the count is gone, but what was read of the pod is not.
        is_known = any(key.partition("/")[0] == pod for key in document.instances)
        until = min(began_seconds or now_seconds, now_seconds)
        is_new = not is_known and until >= document.windows.closed_until > 0
        if is_new and restarts > len({last_ended} - {"", current}):
            since = min(created_seconds, until)
            counting.add_gap(Gap("restarted", since * NANOS, until * NANOS))
    if before is None or restarts == before[0]:
        return
    counting.is_dirty = counting.is_urgent = True
    instance = document.instances.get(known)
    if restarts < before[0]:
        if instance is not None and instance.counted_by is not None and current not in {"", known}:
            # What was lost is found, and is not the one before, whose crash is in the count: its
            # own was counted as one that nobody saw.
            document.instances.setdefault(current, Instance()).counted_by = before[0]
        return
    seen = {last_ended} - {"", current} if is_later else set()
    # Of one that was given up because it was lost, nobody has told the end.
    is_over = instance is not None and instance.ended_seconds is not None
    is_told = is_over and before[1] not in document.cursors
    if instance is not None and instance.counted_by is not None:
        # Its crash is in the count before; one that went back, as it was found, has it to come.
        is_to_come = instance.counted_by > before[0]
        seen = seen | {before[1]} if is_to_come else seen - {before[1]}
    elif is_told or before[1] in ended:
        seen |= {before[1]} - {current}
    skipped = restarts - before[0] - len(seen)
    # They were of the same pod, and so of the same image.
    version = instance.version if instance is not None else "other"
    unseen = [Instance(version)] * min(skipped, MAX_UNSEEN)
    if unseen and instance is not None and before[1] not in seen and instance.counted_by is None:
        unseen[0] = instance
        instance.counted_by = restarts  # whoever tells of its end later is late
    for one in unseen:
        _count_unseen(counting, one, since_seconds=before[2], now_seconds=now_seconds)
    if len(unseen) > (before[1] == current):
        # What was not read of them before is gone with them.
        since = min(before[2] or now_seconds, now_seconds)
        counting.add_gap(Gap("restarted", since * NANOS, now_seconds * NANOS))


def _count_unseen(
    counting: Counting, instance: Instance, *, since_seconds: int | None, now_seconds: int
) -> None:
    """Count a crash that nobody saw, with what the instance surely said of it."""
    kind, at = instance.own_kind or "unseen", now_seconds
    counting.crash(kind, instance.version, at, now_seconds, since_seconds=since_seconds)


def note_left(counting: Counting, uid: str, *, now_seconds: int) -> None:
    """Note that a pod left the selection: what is known of it stays for a while."""
    left = counting.document.left
    left[uid] = now_seconds
    if len(left) > MAX_LEFT:
        del left[min(left, key=lambda one: left[one])]
    counting.is_dirty = counting.is_urgent = True


def may_return(counting: Counting, uid: str, *, now_seconds: int) -> bool:
    """Whether a pod left the selection so lately that it may come back."""
    at = counting.document.left.get(uid)
    return at is not None and now_seconds - at < LEFT_SECONDS


def forget(
    counting: Counting,
    keys: Iterable[str],
    containers: Iterable[str],
    *,
    there: Collection[str] = (),
    now_seconds: int,
) -> None:
    """Drop what belongs to instances and containers that no pod's status names any more.

    What was not read of them is gone. Of a pod that is still there others have come since.
    """
    document = counting.document
    for key in keys:
        ended = document.instances[key].ended_seconds
        if ended is None or key in document.cursors:
            _lose(counting, key, there=there, now_seconds=now_seconds)
        elif ended >= document.windows.closed_until and len(document.instances) <= MAX_INSTANCES:
            continue  # its window is still open
        document.instances.pop(key, None)
        document.cursors.pop(key, None)
        counting.is_dirty = True
    for container in containers:
        document.restarts.pop(container, None)
    document.left = {
        uid: at
        for uid, at in document.left.items()
        if may_return(counting, uid, now_seconds=now_seconds)
    }


def _lose(counting: Counting, key: str, *, there: Collection[str], now_seconds: int) -> None:
    """Report what was not read of an instance to its end, and the crash that nobody told of."""
    document, uid = counting.document, key.partition("/")[0]
    instance, cursor = document.instances[key], document.cursors.get(key)
    last_ns = cursor.last_ns if cursor is not None else 0
    # Of one that left the selection nothing was to be counted from then on.
    end_ns = document.left.get(uid, now_seconds) * NANOS
    if cursor is not None and instance.ended_seconds is not None:
        last_ns = max(last_ns, instance.ended_seconds * NANOS)  # what was before was reported
    if not last_ns and instance.began_seconds is not None:
        began = document.windows.told_from(instance.began_seconds, now_seconds=now_seconds)
        last_ns = began * NANOS
    start_ns = min(last_ns or end_ns, end_ns)
    counting.add_gap(Gap("restarted" if uid in there else "pod_gone", start_ns, end_ns))
    is_latest = any(key == current for _, current, _ in document.restarts.values())
    is_known = instance.ended_seconds is not None or instance.counted_by is not None
    if uid not in there or is_latest or is_known:
        return
    # It was passed by before its end was read, so no restart count will tell of it again. What
    # happened while the agent was switched off is nobody's business.
    since = last_ns // NANOS
    if not document.windows.was_stopped(since, now_seconds):
        _count_unseen(counting, instance, since_seconds=since or None, now_seconds=now_seconds)
