"""Reports -> Segment calls -> sealed batches: the one builder of what leaves the cluster.

Owns the payload's shape, its message ids, and Segment's limits. Preview, page, ledger and wire all
show the array that `seal` froze; only the envelope around it is made anew for each attempt. Must
not know where batches are kept or sent. Pure.
"""

from __future__ import annotations

import gzip
import re
from collections import Counter
from datetime import UTC, datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Any, TypeAlias
from uuid import UUID, uuid5

import orjson

from agent.model import CRASHED, REPORT, Batch
from agent.names import MAX_NUMBER, MAX_TEXT_CHARS, check_name, snake

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from agent.gate import Gate
    from agent.model import Aggregate, Identity, Report, Value

Event: TypeAlias = dict[str, Any]
"""One Segment call (`track`, `identify` or `group`) as it stands in the batch array."""

LIBRARY = "botkube-analytics"

# Segment counts in KB without saying which; decimal ones are within both readings.
MAX_EVENT_BYTES = 32_000
MAX_BATCH_BYTES = 500_000
MAX_BATCH_EVENTS = 2_500
ENVELOPE_BYTES = 1_000
"""Kept free in a batch for what `envelope` adds."""
MAX_BODY_BYTES = 64_000
"""Not Segment's limit but the State's: how much one batch may take of the outbox, compressed."""

MAX_ID_CHARS = 100

AGE_LIMIT_SECONDS = 20 * 3600
"""Segment remembers message ids for about 24 h. A repeat this long after sealing is flagged."""

_DAY_SECONDS = 86_400
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
_COMMON = frozenset({"type", "anonymousId", "messageId", "timestamp"})
_OWN = {
    "track": frozenset({"event", "properties"}),
    "identify": frozenset({"traits"}),
    "group": frozenset({"groupId", "traits"}),
}


def build_window(
    report: Report,
    *,
    identity: Identity,
    stream: str,
    seq: int,
    totals: Mapping[str, int],
    events: Iterable[str],
    gate: Gate,
    agent_version: str,
    rules_digest: str,
    rules_changed: bool = False,
    minimum: int = 0,
) -> tuple[list[Event], Counter[str]]:
    """Return the `track` events of a closed window, its Collection report last, and new totals.

    `totals` are running sums by event name; `events` are the names that the rule set can count.
    The report lists all of them, so that a zero is said and not left out, and no others, which an
    older rule set may have left in State. Deltas and totals are sums of the counts as sent: a count
    below `minimum` is raised to it and marked, and an event that the gate or `seal` will discard is
    left out and stands as `events_discarded`.
    """
    window: dict[str, Value] = {
        "stream": stream,
        "seq": seq,
        "window_start": _iso(report.start_seconds),
        "window_end": _iso(report.end_seconds),
    }
    made: list[Event] = []
    deltas: Counter[str] = Counter()
    discarded = 0
    for index, aggregate in enumerate(report.aggregates):
        properties = _properties(aggregate, minimum=minimum) | window
        event = _track(aggregate.event, properties, identity, at=report.end_seconds)
        made.append(_with_id(event, identity, f"{stream}/{seq}/{index}"))
        if check_event(made[-1]) is None and gate(made[-1]) is None:
            deltas[aggregate.event] += properties["count"]
        else:
            discarded += 1
    sums = Counter(totals) + deltas
    properties = {
        **dict(report.collection),
        **_sums({*events, CRASHED}, deltas=deltas, totals=sums),
        **_known(identity),
        "agent_version": agent_version,
        "rules_digest": rules_digest,
        **({"rules_changed": True} if rules_changed else {}),
        **({"events_discarded": discarded} if discarded else {}),
        **window,
    }
    event = _track(REPORT, properties, identity, at=report.end_seconds)
    made.append(_with_id(event, identity, f"{stream}/{seq}/{len(made)}"))
    return made, sums


def build_identity(identity: Identity, *, agent_version: str, at_seconds: int) -> list[Event]:
    """Return `identify`, and `group` if the cluster has an id, as they stand for a UTC day.

    They are stamped with the day's first second: nothing in them is finer than a day, and the same
    content has the same message ids all day, so equal ids mean that there is nothing new to say.
    """
    day = at_seconds - at_seconds % _DAY_SECONDS
    common = {"anonymousId": identity.installation_id, "timestamp": _iso(day)}
    traits = _known(identity)
    calls: list[Event] = [
        {"type": "identify", **common, "traits": {**traits, "agent_version": agent_version}}
    ]
    if identity.cluster_id is not None:
        calls.append({"type": "group", **common, "groupId": identity.cluster_id, "traits": traits})
    return [_with_id(call, identity, f"identity/{day}") for call in calls]


def check_event(event: Event) -> str | None:
    """Return which limit or rule of Segment or of a warehouse an event breaks, in one word.

    Segment answers 200 to most of these and keeps nothing, so they must not leave at all.
    """
    kind = event.get("type")
    own = _OWN.get(kind) if isinstance(kind, str) else None
    if own is None:
        return "type"
    if event.keys() != _COMMON | own:
        return "keys"
    if not _is_text(event["messageId"], MAX_ID_CHARS):
        return "message_id"
    if not all(_is_text(event.get(key, "-")) for key in ("anonymousId", "groupId", "event")):
        return "identity"
    if not isinstance(event["timestamp"], str) or not _TIME.fullmatch(event["timestamp"]):
        return "timestamp"
    return _check_flat(event["properties" if kind == "track" else "traits"]) or _check_size(event)


def seal(events: Sequence[Event], *, seq: int, sealed_seconds: int) -> tuple[list[Batch], int]:
    """Freeze events into batches within all limits, in order, and count what `check_event` refused.

    Batches are told apart by `seq` and `part`, so one `seq` is sealed once: identity calls go in
    front of the events of the window with which they are sent.
    """
    pieces = [orjson.dumps(event) for event in events if check_event(event) is None]
    bodies = [sealed for run in _runs(pieces) for sealed in _bodies(run)]
    batches = [
        Batch(seq, part, body, count, sealed_seconds) for part, (body, count) in enumerate(bodies)
    ]
    return batches, len(events) - len(pieces)


def batch_array(batch: Batch) -> bytes:
    """Return the frozen `batch` array, byte for byte as it was sealed."""
    return gzip.decompress(batch.body)


def envelope(batch: Batch, *, sent_seconds: float, agent_version: str) -> bytes:
    """Return the request body for one attempt: the frozen array, constants and a fresh `sentAt`.

    A batch that was attempted before and is older than `AGE_LIMIT_SECONDS` may have been accepted
    longer ago than Segment remembers. It is sent all the same, with `retried_late` in the context
    (column `context_retried_late`), so that readers can look for doubles by message id; the flag
    stands outside the array because the array's bytes never change.
    """
    context: dict[str, Any] = {
        "library": {"name": LIBRARY, "version": agent_version},
        # Segment takes the caller's address unless the context names one.
        "ip": "0.0.0.0",  # noqa: S104 - nothing is bound to it
    }
    if batch.attempted and sent_seconds - batch.sealed_seconds > AGE_LIMIT_SECONDS:
        context["retried_late"] = True
    around = {"context": context, "sentAt": _iso(int(sent_seconds))}
    return b'{"batch":' + batch_array(batch) + b"," + orjson.dumps(around)[1:]


def _properties(aggregate: Aggregate, *, minimum: int) -> dict[str, Any]:
    floor = {"count_floor": True} if aggregate.count < minimum else {}
    return {
        **dict(aggregate.properties),
        "count": max(aggregate.count, minimum),
        **floor,
        "botkube_version": aggregate.botkube_version,
    }


def _sums(
    names: Iterable[str], *, deltas: Mapping[str, int], totals: Mapping[str, int]
) -> dict[str, int]:
    sums: dict[str, int] = {}
    for name in sorted(names):
        sums[f"{snake(name)}_delta"] = deltas.get(name, 0)
        sums[f"{snake(name)}_total"] = totals.get(name, 0)
    return sums


def _known(identity: Identity) -> dict[str, str]:
    """Return the traits of the cluster that could be read; an absent one makes no column value."""
    traits = {
        "kubernetes_minor": identity.kubernetes_minor,
        "distribution": identity.distribution,
    }
    return {name: value for name, value in traits.items() if value is not None}


def _track(name: str, properties: Mapping[str, Any], identity: Identity, *, at: int) -> Event:
    return {
        "type": "track",
        "event": name,
        "anonymousId": identity.installation_id,
        "timestamp": _iso(at),
        "properties": dict(properties),
    }


def _with_id(event: Event, identity: Identity, place: str) -> Event:
    """Give an event its message id.

    Segment compares ids across all its customers, so the random installation id is the namespace.
    The digest is part of the name: after a roll-back of State the same place may hold other
    content, which must not be taken for a repeat.
    """
    digest = sha256(orjson.dumps(event, option=orjson.OPT_SORT_KEYS)).hexdigest()
    message_id = uuid5(UUID(identity.installation_id), f"{place}/{digest}")
    return {**event, "messageId": str(message_id)}


def _iso(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _is_text(value: object, limit: int = MAX_TEXT_CHARS) -> bool:
    return isinstance(value, str) and 0 < len(value) <= limit


def _check_flat(values: object) -> str | None:
    """Warehouses want flat scalars under names that are not their own columns' (Segment docs)."""
    if not isinstance(values, dict):
        return "properties"
    for name, value in values.items():
        if (fault := check_name(name) if isinstance(name, str) else "name") is not None:
            return fault
        if not _is_scalar(value):
            return "value"
    return None


def _is_scalar(value: object) -> bool:
    if isinstance(value, int):
        return abs(value) <= MAX_NUMBER
    return isinstance(value, str) and len(value) <= MAX_TEXT_CHARS


def _check_size(event: Event) -> str | None:
    try:
        size = len(orjson.dumps(event))
    except TypeError:
        # Text that is not Unicode, such as half a surrogate pair.
        return "encoding"
    return "size" if size > MAX_EVENT_BYTES else None


def _runs(pieces: Iterable[bytes]) -> Iterator[list[bytes]]:
    """Cut encoded events into runs within the raw limits."""
    room = MAX_BATCH_BYTES - ENVELOPE_BYTES
    run: list[bytes] = []
    size = 0
    for piece in pieces:
        if run and (len(run) == MAX_BATCH_EVENTS or size + len(piece) + 1 > room):
            yield run
            run, size = [], 0
        run.append(piece)
        size += len(piece) + 1
    if run:
        yield run


def _bodies(run: list[bytes]) -> Iterator[tuple[bytes, int]]:
    """Compress a run; halve it while it is too large, which ends because one event always fits."""
    body = gzip.compress(b"[" + b",".join(run) + b"]", mtime=0)
    if len(body) <= MAX_BODY_BYTES or len(run) == 1:
        yield body, len(run)
        return
    half = len(run) // 2
    yield from _bodies(run[:half])
    yield from _bodies(run[half:])
