"""One line of an export of received events -> the events of this agent that stand in it.

Owns what collectors and warehouses make of an event: Segment's `track` call, alone, in an array or
in a request with its `batch`; or a row of a warehouse, whose columns are the properties in snake
case beside Segment's own. Must not know what is wrong with them together. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, TypeAlias

import orjson
from attrs import frozen

from agent.model import REPORT
from agent.names import RESERVED, snake

Sums: TypeAlias = Mapping[str, tuple[int, int]]
"""By event name in snake case: what a Collection report says was sent in its window, and in all."""

MAX_NUMBER = 2**63
_DIGITS = re.compile(r"[0-9]{1,19}(\.0)?")
_REPORT = snake(REPORT)
_TRUE = (True, "true", "TRUE", "t", 1)


class NotAnEvent(Exception):  # noqa: N818 says what the line is
    """The line is no event that can be audited; the message says why, and quotes nothing."""


@frozen
class Received:
    """One event as it arrived. `content` is a digest of all that it says beside its message id."""

    installation: str
    stream: str
    seq: int
    name: str
    message_id: str
    start_seconds: int
    end_seconds: int
    content: bytes
    count: int
    was_stopped: bool
    is_retried_late: bool
    sums: Sums | None


def read_line(line: bytes) -> tuple[list[Received], int]:
    """Return the events of this agent in a line, and how many others. Raises `NotAnEvent`."""
    try:
        found = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise NotAnEvent("not JSON") from error
    events = list(_events(found))
    ours = [_read(one) for one in events if _is_ours(one)]
    return ours, len(events) - len(ours)


def _events(found: object) -> Iterator[dict[str, Any]]:
    """Yield the calls or rows of a line; a request's context holds for each of its calls."""
    if isinstance(found, dict) and isinstance(found.get("batch"), list):
        around = {"context": found["context"]} if "context" in found else {}
        for one in found["batch"]:
            yield around | _object(one)
    elif isinstance(found, list):
        yield from map(_object, found)
    else:
        yield _object(found)


def _object(found: object) -> dict[str, Any]:
    if not isinstance(found, dict):
        raise NotAnEvent("not an object")
    return found


def _values(event: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the properties of a call, or the columns of a row."""
    properties = event.get("properties")
    return properties if isinstance(properties, dict) else event


def _is_ours(event: Mapping[str, Any]) -> bool:
    # Other calls of the source have neither; identify and group have no stream.
    values = _values(event)
    return values.get("stream") is not None and values.get("window_start") is not None


def _read(event: Mapping[str, Any]) -> Received:
    values = _values(event)
    is_row = values is event
    own = {
        name: value
        for name, value in values.items()
        # A column that is NULL is a property that was not there.
        if value is not None and not (is_row and _is_segments(name))
    }
    name = snake(_text(event, "event", "event_text", "table"))
    start, end = _seconds(own, "window_start"), _seconds(own, "window_end")
    if start >= end:
        raise NotAnEvent("`window_end` is not after `window_start`")
    told = orjson.dumps(own, option=orjson.OPT_SORT_KEYS)
    return Received(
        installation=_text(event, "anonymousId", "anonymous_id"),
        stream=_text(own, "stream"),
        seq=_number(own, "seq", least=1),
        name=name,
        message_id=_text(event, "messageId", "message_id", "id"),
        start_seconds=start,
        end_seconds=end,
        content=sha256(name.encode() + b"\0" + told).digest(),
        count=0 if name == _REPORT else _number(own, "count"),
        was_stopped=bool(own.get("gap_seconds_stopped")),
        is_retried_late=_is_retried_late(event),
        sums=_sums(own) if name == _REPORT else None,
    )


def _is_segments(column: str) -> bool:
    """Whether a column is Segment's or the warehouse's own, and none of the event's properties."""
    return column in RESERVED or column == "table" or column.startswith(("context_", "_"))


def _is_retried_late(event: Mapping[str, Any]) -> bool:
    context = event.get("context")
    flag = context.get("retried_late") if isinstance(context, dict) else None
    return flag in _TRUE or event.get("context_retried_late") in _TRUE


def _sums(own: Mapping[str, Any]) -> Sums:
    names = [name.removesuffix("_delta") for name in own if name.endswith("_delta")]
    sums = {name: (_number(own, f"{name}_delta"), _number(own, f"{name}_total")) for name in names}
    if any(total < delta for delta, total in sums.values()):
        raise NotAnEvent("a `_total` is less than its `_delta`")
    return sums


def _text(values: Mapping[str, Any], *names: str) -> str:
    for name in names:
        found = values.get(name)
        if isinstance(found, str) and found:
            return found
    raise NotAnEvent(f"`{'` or `'.join(names)}` is missing or no text")


def _number(values: Mapping[str, Any], name: str, *, least: int = 0) -> int:
    """Read a whole number; warehouses also write 7 as "7" or 7.0."""
    found = values.get(name)
    if isinstance(found, bool) or not _DIGITS.fullmatch(str(found)):
        raise NotAnEvent(f"`{name}` is missing or no whole number")
    number = int(str(found).removesuffix(".0"))
    if not least <= number < MAX_NUMBER:
        raise NotAnEvent(f"`{name}` is out of range")
    return number


def _seconds(values: Mapping[str, Any], name: str) -> int:
    """Read a time; warehouses write `2026-11-24 00:00:00 UTC` for `2026-11-24T00:00:00Z`."""
    text = _text(values, name)
    try:
        at = datetime.fromisoformat(text.removesuffix(" UTC"))
        return int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp())
    except (ValueError, OverflowError) as error:
        raise NotAnEvent(f"`{name}` is no time") from error
