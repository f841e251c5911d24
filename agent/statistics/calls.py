"""Calls as lines of JSON -> the tables that Segment would have written.

DuckDB parses JSON by the columns that the models read; only lines that are neither a call nor a
request of calls are looked at here. Of what cannot be read the place is said, never the text.
Blocks.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from contextlib import closing, suppress
from datetime import UTC, datetime
from itertools import count, islice
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import orjson
from attrs import define, field

from agent.ledger.entries import EntryError, decode
from agent.names import RESERVED
from agent.statistics.loaded import Loaded
from agent.statistics.warehouse import column_of, driver, exactly, literal, quoted, zoned

if TYPE_CHECKING:
    from agent.statistics.loaded import Tables
    from agent.statistics.warehouse import Warehouse

MAX_LINE_BYTES = 8 << 20
MAX_NUMBER = 2**53
BROKEN = (EOFError, gzip.BadGzipFile, zlib.error)
"""What a file raises that is no gzip, or the beginning of one."""
_SAMPLE = 100
_SHOWN = 64
"""Bytes of a line that is too long, which leave it no JSON."""
_LACKS = "an event with no usable who, when, window or numbers"
_TOO_LONG = f"longer than {MAX_LINE_BYTES >> 20} MiB"
_CALLS = "botkube_analytics_export"
_BAGS = ("properties", "traits")
# Where a column of Segment's own stands in a call; the others are properties.
_FROM_CALL = {
    "id": "id",
    "anonymous_id": "anonymous_id",
    "group_id": "group_id",
    "received_at": "received",
    "sent_at": "sent",
    "original_timestamp": "original",
    "timestamp": "coalesce(received - (sent - original), original)",
    "context_retried_late": "late",
}
_TRAITS = {"identifies": "identify", "groups": "group"}
_KINDS = ("track", "identify", "group", "page", "screen", "alias")
# A row of a warehouse may have a `type` too, of an integration.
_IS_NONE = f"coalesce(call.type not in {_KINDS}, true)"
_TABLE = (
    "case call.type when 'identify' then 'identifies' when 'group' then 'groups'"
    " when 'track' then coalesce(replace(lower(call.event), ' ', '_'), '') else"
    f" case when not {_IS_NONE} then '' end end"
)


def load_lines(
    path: Path,
    shown: str,
    into: Warehouse,
    tables: Tables,
    loaded: Loaded,
    *,
    is_zipped: bool,
) -> None:
    cut: set[int] = set()
    try:
        are_requests = _are_requests(path, is_zipped=is_zipped)
        _parse([path], into, are_requests=are_requests, is_zipped=is_zipped)
    except (driver().Error, *BROKEN):
        begun = into.folder / "begun.ndjson"
        lines, is_broken, cut = _begin(path, begun, is_zipped=is_zipped)
        if not lines or not (is_broken or cut):
            raise
        if is_broken:
            loaded.note(f"{shown}:{lines + 1}: no whole gzip file; the lines before are kept")
        path, is_zipped = begun, False
        are_requests = _are_requests(path, is_zipped=is_zipped)
        _parse([path], into, are_requests=are_requests)
    unread = _unread(into)
    unusable = _spread(into, tables, loaded)
    spool = into.folder / "lines.ndjson"
    again = _Again(shown, spool, loaded, cut, are_requests=are_requests)
    if unread or unusable:
        with closing(_open(path, is_zipped=is_zipped)) as file:
            again.look(file, frozenset(unread), frozenset(unusable))
    if again.where:
        _parse([spool], into, are_requests=True)
        for row in _spread(into, tables, loaded):
            loaded.note(f"{shown}:{again.where[row - 1]}: {_LACKS}")


def load_together(
    paths: Sequence[Path], into: Warehouse, tables: Tables, loaded: Loaded, *, is_zipped: bool
) -> bool:
    """Read small files at once, if in none of them is anything that has to be looked at.

    Returns whether they are read; of a file by itself it can be said where something is amiss.
    """
    read = Loaded()
    into.connection.begin()
    with suppress(driver().Error, *BROKEN):
        are_requests = any(_are_requests(one, is_zipped=is_zipped) for one in paths)
        _parse(paths, into, are_requests=are_requests, is_zipped=is_zipped)
        if not _unread(into) and not _spread(into, tables, read):
            into.connection.commit()
            loaded.events += read.events
            loaded.others += read.others
            return True
    into.connection.rollback()
    return False


def _are_requests(path: Path, *, is_zipped: bool) -> bool:
    """Whether the first line that can be read is a request; others are looked at again."""
    with closing(_open(path, is_zipped=is_zipped)) as file:
        for line in islice(_lines(file), _SAMPLE):
            with suppress(orjson.JSONDecodeError):
                found = orjson.loads(line)
                return isinstance(found, dict) and "batch" in found
    return False


def _parse(
    paths: Sequence[Path], into: Warehouse, *, are_requests: bool, is_zipped: bool = False
) -> None:
    """Read files into one row a call, its properties still JSON; what is no call has no name."""
    texts = ("messageId", "anonymousId", "groupId", "timestamp", "sentAt", "receivedAt")
    context = "STRUCT(retried_late BOOLEAN)"
    call = {
        **dict.fromkeys(("type", "event", *texts, "originalTimestamp"), "VARCHAR"),
        "context": context,
        **dict.fromkeys(_BAGS, "JSON"),
    }
    if are_requests:
        around = {"sentAt": "VARCHAR", "receivedAt": "VARCHAR", "context": context}
        schema = {"batch": f"{_struct(call)}[]", **around}
        call_of = "unnest(coalesce(batch, [null]))"
    else:
        schema = call
        call_of = f"struct_pack({', '.join(f'{quoted(name)} := {quoted(name)}' for name in call)})"
    columns = ", ".join(f"{literal(name)}: {literal(kind)}" for name, kind in schema.items())
    own = '"sentAt" as sent, "receivedAt" as received, context.retried_late as late'
    into.connection.execute(
        f"create or replace temp table {_CALLS} as select line, {_TABLE} as named,"
        ' call."messageId" as id, call."anonymousId" as anonymous_id, call."groupId" as group_id,'
        f" {_time('receivedAt', 'received', 'sentAt', 'sent', 'timestamp')} as received,"
        f" {_time('sentAt', 'sent')} as sent,"
        f" {_time('originalTimestamp', 'timestamp')} as original,"
        " coalesce(call.context.retried_late, late) as late,"
        f" coalesce({', '.join(f'call.{bag}' for bag in _BAGS)}) as bag"
        f" from (select row_number() over () as line, {own}, {call_of} as call"
        f" from read_ndjson([{', '.join(map(exactly, paths))}], columns = {{{columns}}},"
        " ignore_errors = true, hive_partitioning = false,"
        f" compression = '{'gzip' if is_zipped else 'none'}',"
        f" maximum_object_size = {MAX_LINE_BYTES}))"
    )


def _time(*names: str) -> str:
    """Return the first of these that is a time, in a call or the request around it."""
    around = ("received", "sent")
    found = (one if one in around else f"call.{quoted(one)}" for one in names)
    return zoned(*found)


def _unread(into: Warehouse) -> list[int]:
    """Return the lines in which something is no call."""
    found = into.rows(f"select distinct line from {_CALLS} where named is null order by 1")
    return [line for (line,) in found]


def _struct(kinds: Mapping[str, str]) -> str:
    return f"STRUCT({', '.join(f'{quoted(name)} {kind}' for name, kind in kinds.items())})"


def _spread(into: Warehouse, tables: Tables, loaded: Loaded) -> list[int]:
    """Put each call into the table of its event; return the lines with one that is unusable."""
    counts = dict(into.rows(f"select named, count(*) from {_CALLS} group by 1"))
    unusable: set[int] = set()
    for table, columns in tables.items():
        many = counts.pop(table, 0)
        if not many:
            continue
        kinds = {
            name: "VARCHAR" if "TIME" in kind else kind
            for name, kind in columns.items()
            if name not in _FROM_CALL
        }
        calls = (
            f"(select *, json_transform(bag, {literal(orjson.dumps(kinds).decode())}) as own"
            f" from {_CALLS} where named = '{table}')"
        )
        named = ", ".join(map(quoted, columns))
        listed = ", ".join(
            f"{column_of(_value(name), kind)} as {quoted(name)}" for name, kind in columns.items()
        )
        into.connection.execute(f"insert into {table} ({named}) select {listed} from {calls}")
        bad = _unusable(columns)
        wrong = into.rows(f"select count(*) from {table} where {bad}")[0][0]
        if wrong:
            lines = into.rows(
                f"select line from (select line as line, {listed} from {calls}) where {bad}"
            )
            unusable.update(line for (line,) in lines)
            into.connection.execute(f"delete from {table} where {bad}")
        loaded.events += many - wrong
    into.connection.execute(f"drop table {_CALLS}")
    counts.pop(None, 0)
    loaded.others += sum(counts.values())
    return sorted(unusable)


def _value(column: str) -> str:
    """Return where a column stands in a call, as Segment fills it."""
    if column in _FROM_CALL:
        return _FROM_CALL[column]
    return f"own.{quoted(column)}"


def _unusable(columns: Iterable[str]) -> str:
    """Return the condition under which nothing can be made of a row."""
    wrong = {
        "id": "id is null",
        "anonymous_id": "anonymous_id is null",
        "received_at": "received_at is null",
        "stream": "stream is null",
        "seq": f"coalesce(seq not between 0 and {MAX_NUMBER}, true)",
        "count": f'coalesce("count" not between 0 and {MAX_NUMBER}, true)',
        "window_start": "window_start is null",
        "window_end": "window_end is null",
    }
    return f"({' or '.join(wrong[one] for one in columns if one in wrong)})"


@define
class _Again:
    """Lines that DuckDB could not read as what the others are: what can be made of them.

    `cut` are those that are too long, as far as the file has them no more; `where` tells of each
    line of `spool` which line of the file it was.
    """

    shown: str
    spool: Path
    loaded: Loaded
    cut: Set[int]
    are_requests: bool = field(kw_only=True)
    where: list[int] = field(factory=list)

    def look(self, file: IO[bytes], unread: Set[int], unusable: Set[int]) -> None:
        """Look at those lines of a file, blank ones not counted, and name the unusable."""
        rows = count(1)
        with self.spool.open("wb") as out:
            for number, line in enumerate(_lines(file), 1):
                if not line.strip():
                    continue
                row = next(rows)
                if row in unusable:
                    self.loaded.note(f"{self.shown}:{number}: {_LACKS}")
                if row not in unread:
                    continue
                is_cut = number in self.cut or _is_cut(line)
                found = _TOO_LONG if is_cut else _request(line, are_read=self.are_requests)
                if isinstance(found, str):
                    self.loaded.note(f"{self.shown}:{number}: {found}")
                else:
                    out.write(orjson.dumps(found) + b"\n")
                    self.where.append(number)


def _open(path: Path, *, is_zipped: bool) -> IO[bytes]:
    opened: Any = gzip.open if is_zipped else open
    file: IO[bytes] = opened(path, "rb")
    return file


def _begin(path: Path, begun: Path, *, is_zipped: bool) -> tuple[int, bool, set[int]]:
    """Copy the lines that a file begins with, the first bytes of those that are too long.

    Returns how many lines there are, whether the file breaks off after them, and which of them
    were too long: DuckDB takes a whole file for unreadable because of one.
    """
    lines, cut = 0, set()
    with closing(_open(path, is_zipped=is_zipped)) as file, begun.open("wb") as out:
        try:
            for line in _lines(file):
                lines += 1
                if _is_cut(line):
                    cut.add(lines)
                out.write(line[:_SHOWN] + b"\n" if _is_cut(line) else line)
        except BROKEN:
            return lines, True, cut
    return lines, False, cut


def _lines(file: IO[bytes]) -> Iterator[bytes]:
    """Yield lines; one beyond the limit is cut, which leaves it no JSON."""
    while line := file.readline(MAX_LINE_BYTES):
        yield line
        while line and not line.endswith(b"\n"):
            line = file.readline(MAX_LINE_BYTES)


def _is_cut(line: bytes) -> bool:
    return len(line) == MAX_LINE_BYTES and not line.endswith(b"\n")


def _request(line: bytes, *, are_read: bool) -> dict[str, Any] | str:
    """Return the calls of a line as a request, or what the line is."""
    try:
        found = orjson.loads(line)
    except orjson.JSONDecodeError:
        return "not JSON"
    calls = found
    if isinstance(found, dict):
        if isinstance(found.get("batch"), list) and are_read:
            return "a request with something that is no call"
        calls = found.get("batch", [found])
    if not isinstance(calls, list) or not all(isinstance(one, dict) for one in calls):
        return "neither an event nor a request of events"
    made = [_call(one) for one in calls]
    if not all(one.get("type") in _KINDS for one in made):
        return "neither an event nor a request of events"
    return (found if isinstance(found, dict) and "batch" in found else {}) | {"batch": made}


def _call(found: dict[str, Any]) -> dict[str, Any]:
    """Return a call; one that is a row of a warehouse is made one again."""
    if "anonymous_id" not in found or "properties" in found:
        return found  # a call already, or nothing
    rest = {name: value for name, value in found.items() if name not in RESERVED}
    kind = "track" if "event" in found else "group" if "group_id" in found else "identify"
    return {
        "type": kind,
        "event": found.get("event"),
        "messageId": found.get("id"),
        "anonymousId": found["anonymous_id"],
        "groupId": found.get("group_id"),
        "receivedAt": found.get("received_at"),
        "sentAt": found.get("sent_at"),
        "originalTimestamp": found.get("original_timestamp"),
        "timestamp": found.get("timestamp"),
        "context": {"retried_late": found.get("context_retried_late")},
        "properties" if kind == "track" else "traits": rest,
    }


def load_ledger(paths: Sequence[Path], into: Warehouse, tables: Tables, loaded: Loaded) -> None:
    """Read kept reports, each as a request."""
    spool = into.folder / "ledger.ndjson"
    read: list[Path] = []
    with spool.open("wb") as out:
        for path in paths:
            try:
                entry = decode(path.read_bytes())
                at = datetime.fromtimestamp(entry.at_seconds, UTC).isoformat().encode()
            except EntryError as error:
                loaded.note(f"{path}:1: {error}")
                continue
            except (OSError, OverflowError, ValueError):
                loaded.note(f"{path}:1: a time that no date has")
                continue
            out.write(b'{"receivedAt":"%b","batch":%b}\n' % (at, entry.array.replace(b"\n", b" ")))
            read.append(path)
    _parse([spool], into, are_requests=True)
    for row in [*_unread(into), *_spread(into, tables, loaded)]:
        loaded.note(f"{read[row - 1]}:2: {_LACKS}")
