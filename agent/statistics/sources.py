"""Exports of received events -> the tables that Segment would have written.

Owns which files and addresses are read, and how. Of what cannot be read the place is said, never
the text. DuckDB parses JSON by the columns that the models read; only lines that are neither a
call nor a request of calls are looked at here. Blocks.
"""

from __future__ import annotations

import gzip
import shutil
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from itertools import count, islice
from pathlib import Path
from threading import Event, Thread
from typing import IO, TYPE_CHECKING, Any, TypeAlias
from urllib.parse import urlsplit

import orjson
from attrs import define, field

from agent.ledger.entries import EntryError, decode
from agent.names import RESERVED
from agent.statistics.warehouse import WarehouseError, first_line

if TYPE_CHECKING:
    import duckdb

    from agent.statistics.warehouse import Warehouse

Tell: TypeAlias = Callable[[float], None]
"""Is told how many hundredths of a source are read."""

MAX_LINE_BYTES = 8 << 20
MAX_FAULTS = 1000
MOST_AHEAD = 0.1
AHEAD = timedelta(days=1)
"""How much later than it is received a window may end, as the models have it."""
LARGE_BYTES = 2 << 30
MAX_NUMBER = 2**53
SUFFIXES = (".ndjson", ".jsonl", ".json")
ADDRESSES = ("postgresql", "postgres")
_BROKEN = (EOFError, gzip.BadGzipFile, zlib.error)
"""What a file raises that is no gzip, or the beginning of one."""
_LOOK_SECONDS = 0.2
_SAMPLE = 100
_LACKS = "an event that lacks who, which window, or a number"
_CALLS = "botkube_analytics_export"
_BAGS = ("properties", "traits")
_RECEIVED, _SENT, _ORIGINAL = (
    f"try_cast({one} as timestamptz)" for one in ("received", "sent", "original")
)
# Where a column of Segment's own stands in a call; the others are properties.
_FROM_CALL = {
    "id": "id",
    "anonymous_id": "anonymous_id",
    "group_id": "group_id",
    "received_at": _RECEIVED,
    "sent_at": _SENT,
    "original_timestamp": _ORIGINAL,
    "timestamp": f"coalesce({_RECEIVED} - ({_SENT} - {_ORIGINAL}), {_ORIGINAL})",
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


@define
class Loaded:
    """What was read, and what could not be: `path:line: why`, the first of them all."""

    events: int = 0
    others: int = 0
    faults: list[str] = field(factory=list)
    more_faults: int = 0
    ahead: int = 0
    """How many were of windows that have not been yet, by a clock that is wrong."""

    def note(self, fault: str) -> None:
        """Keep a fault, or count it."""
        if len(self.faults) < MAX_FAULTS:
            self.faults.append(fault)
        else:
            self.more_faults += 1


def label(source: str) -> str:
    """Return how a source may be named: an address without user and password."""
    if not _is_address(source):
        return source
    scheme = source.partition("://")[0]
    try:
        parts = urlsplit(source)
        host = parts.hostname or ""
    except ValueError:
        return f"{scheme}://..."
    # A slash in a password makes a path of what follows.
    return f"{scheme}://..." if "@" in parts.path else f"{scheme}://{host}{parts.path}"


def are_large(sources: Iterable[str]) -> bool:
    """Whether there is more than is held in memory, or nobody knows."""
    return (
        any(source == "-" or _is_address(source) for source in sources)
        or sum(
            one.stat().st_size
            for source in map(Path, sources)
            for one in (source.iterdir() if source.is_dir() else (source,))
        )
        > LARGE_BYTES
    )


def load(sources: Iterable[str], into: Warehouse, tell: Callable[[str], Tell]) -> Loaded:
    """Read all sources into Segment's tables. Raises `OSError` and `WarehouseError`."""
    loaded = Loaded()
    tables = into.tables()
    for source in sources:
        progress = tell(label(source))
        with _watched(into.connection, progress):
            if source.startswith(tuple(f"{scheme}://" for scheme in ADDRESSES)):
                _load_postgres(source, into, tables, loaded)
            elif _is_address(source):
                raise WarehouseError(f"{label(source)}: of addresses only postgresql:// is read")
            else:
                paths = list(_files(source, into.folder))
                entries = [one for one in paths if one.suffix == ".report"]
                if entries:
                    _load_ledger(entries, into, tables, loaded)
                for path in paths:
                    if path.suffix != ".report":
                        with _named(str(path)):
                            _load_file(path, into, tables, loaded)
        progress(100)
    return loaded


def hold_back(into: Warehouse, loaded: Loaded, now: datetime) -> None:
    """Let nothing be received later than now.

    Where a collector did not say when, the sender does, by the clock that made the windows. One
    that is far ahead would pass for right, and every week up to its own for empty. Where many are
    ahead, it is the clock here that is wrong, or a fleet that was made up.
    """
    naive = now.astimezone(UTC).replace(tzinfo=None)
    tables = into.tables()
    ahead = sum(
        into.rows(
            f"select count(*) from {table} where received_at > $1"
            " and try_cast(window_end as timestamptz) > $2",
            [naive, now + AHEAD],
        )[0][0]
        for table, columns in tables.items()
        if "window_end" in columns
    )
    if ahead > MOST_AHEAD * loaded.events:
        return
    loaded.ahead = ahead
    for table in tables:
        into.connection.execute(
            f"update {table} set received_at = $1 where received_at > $1", [naive]
        )


def _is_address(source: str) -> bool:
    return "://" in source


def _duckdb() -> Any:  # noqa: ANN401 a module
    import duckdb  # noqa: PLC0415 an extra: whoever comes here has it

    return duckdb


@contextmanager
def _named(source: str) -> Iterator[None]:
    """Say of a file that is not what it begins like which one it is."""
    duckdb = _duckdb()
    try:
        yield
    except duckdb.OutOfMemoryException:
        raise
    except (duckdb.Error, *_BROKEN) as error:
        raise WarehouseError(f"{source}: cannot be read: {first_line(error)}") from error


@contextmanager
def _watched(connection: duckdb.DuckDBPyConnection, tell: Tell) -> Iterator[None]:
    """Tell how far a statement has come, while it runs."""
    connection.execute("set enable_progress_bar = true; set enable_progress_bar_print = false")
    done = Event()

    def watch() -> None:
        while not done.wait(_LOOK_SECONDS):
            tell(max(0.0, connection.query_progress()))

    thread = Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _files(source: str, folder: Path) -> Iterator[Path]:
    """Yield the files of a source; standard input becomes one."""
    if source == "-":
        path = folder / "stdin"
        with path.open("wb") as file:
            shutil.copyfileobj(sys.stdin.buffer, file)
        yield path
        return
    path = Path(source)
    if not path.is_dir():
        yield path
        return
    found = [one for one in sorted(path.iterdir()) if one.is_file() and _is_export(one.name)]
    if not found:
        raise WarehouseError(f"{source}: no export and no ledger is in this directory")
    yield from found


def _is_export(name: str) -> bool:
    return name.removesuffix(".gz").endswith(SUFFIXES) or name.endswith((".parquet", ".report"))


def _load_file(path: Path, into: Warehouse, tables: Tables, loaded: Loaded) -> None:
    with path.open("rb") as file:
        begin = file.read(16)
    if begin.startswith(b"PAR1"):
        _load_parquet(path, into, tables, loaded)
    elif begin[8:12] == b"DUCK":
        _load_duckdb(path, into, tables, loaded)
    else:
        _load_lines(path, into, tables, loaded, is_zipped=begin.startswith(b"\x1f\x8b"))


Tables: TypeAlias = Mapping[str, Mapping[str, str]]


# --- lines of JSON --------------------------------------------------------------------------------


def _load_lines(
    path: Path,
    into: Warehouse,
    tables: Tables,
    loaded: Loaded,
    *,
    is_zipped: bool,
) -> None:
    shown = str(path)
    if is_zipped and path.suffix != ".gz":
        # DuckDB goes by the name.
        link = into.folder / "export.gz"
        link.unlink(missing_ok=True)
        link.symlink_to(path.resolve())
        path = link
    try:
        are_requests = _are_requests(path, is_zipped=is_zipped)
        _parse(path, into, are_requests=are_requests)
    except (_duckdb().Error, *_BROKEN):
        begun = into.folder / "begun.ndjson"
        if not is_zipped or not (lines := _begin(path, begun)):
            raise
        loaded.note(f"{shown}:{lines + 1}: no whole gzip file; the lines before are kept")
        path, is_zipped = begun, False
        are_requests = _are_requests(path, is_zipped=is_zipped)
        _parse(path, into, are_requests=are_requests)
    unread = _unread(into)
    unusable = _spread(into, tables, loaded)
    spool = into.folder / "lines.ndjson"
    again = _Again(shown, spool, loaded, are_requests=are_requests)
    if unread or unusable:
        with closing(_open(path, is_zipped=is_zipped)) as file:
            again.look(file, frozenset(unread), frozenset(unusable))
    if again.where:
        _parse(spool, into, are_requests=True)
        for row in _spread(into, tables, loaded):
            loaded.note(f"{shown}:{again.where[row - 1]}: {_LACKS}")


def _are_requests(path: Path, *, is_zipped: bool) -> bool:
    """Whether the first line that can be read is a request; others are looked at again."""
    with closing(_open(path, is_zipped=is_zipped)) as file:
        for line in islice(_lines(file), _SAMPLE):
            with suppress(orjson.JSONDecodeError):
                found = orjson.loads(line)
                return isinstance(found, dict) and "batch" in found
    return False


def _parse(path: Path, into: Warehouse, *, are_requests: bool) -> None:
    """Read a file into one row a call, its properties still JSON; what is no call has no name."""
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
        call_of = f"struct_pack({', '.join(f'{_name(name)} := {_name(name)}' for name in call)})"
    columns = ", ".join(f"{_text(name)}: {_text(kind)}" for name, kind in schema.items())
    own = '"sentAt" as sent, "receivedAt" as received, context.retried_late as late'
    into.connection.execute(
        f"create or replace temp table {_CALLS} as select line, {_TABLE} as named,"
        ' call."messageId" as id, call."anonymousId" as anonymous_id, call."groupId" as group_id,'
        ' coalesce(call."receivedAt", received, call."sentAt", sent, call."timestamp") as received,'
        ' coalesce(call."sentAt", sent) as sent,'
        ' coalesce(call."originalTimestamp", call."timestamp") as original,'
        " coalesce(call.context.retried_late, late) as late,"
        f" coalesce({', '.join(f'call.{bag}' for bag in _BAGS)}) as bag"
        f" from (select row_number() over () as line, {own}, {call_of} as call"
        f" from read_ndjson({_text(str(path))}, columns = {{{columns}}}, ignore_errors = true,"
        f" maximum_object_size = {MAX_LINE_BYTES}))"
    )


def _unread(into: Warehouse) -> list[int]:
    """Return the lines in which something is no call."""
    found = into.rows(f"select distinct line from {_CALLS} where named is null order by 1")
    return [line for (line,) in found]


def _struct(kinds: Mapping[str, str]) -> str:
    return f"STRUCT({', '.join(f'{_name(name)} {kind}' for name, kind in kinds.items())})"


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
            f"(select *, json_transform(bag, {_text(orjson.dumps(kinds).decode())}) as own"
            f" from {_CALLS} where named = '{table}')"
        )
        named = ", ".join(map(_name, columns))
        listed = ", ".join(
            f"try_cast({_value(name)} as {kind}) as {_name(name)}" for name, kind in columns.items()
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
    return f"own.{_name(column)}"


def _unusable(columns: Iterable[str]) -> str:
    """Return the condition under which nothing can be made of a row."""
    wrong = {
        "id": "id is null",
        "anonymous_id": "anonymous_id is null",
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

    `where` tells of each line of `spool` which line of the file it was.
    """

    shown: str
    spool: Path
    loaded: Loaded
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
                found = _request(line, are_read=self.are_requests)
                if isinstance(found, str):
                    self.loaded.note(f"{self.shown}:{number}: {found}")
                else:
                    out.write(orjson.dumps(found) + b"\n")
                    self.where.append(number)


def _open(path: Path, *, is_zipped: bool) -> IO[bytes]:
    opened: Any = gzip.open if is_zipped else open
    file: IO[bytes] = opened(path, "rb")
    return file


def _begin(path: Path, begun: Path) -> int:
    """Copy the whole lines that a broken file begins with; return how many they are."""
    lines = 0
    with closing(_open(path, is_zipped=True)) as file, begun.open("wb") as out, suppress(*_BROKEN):
        for line in file:
            out.write(line)
            lines += 1
    return lines


def _lines(file: IO[bytes]) -> Iterator[bytes]:
    """Yield lines; one beyond the limit is cut, which leaves it no JSON."""
    while line := file.readline(MAX_LINE_BYTES):
        yield line
        while line and not line.endswith(b"\n"):
            line = file.readline(MAX_LINE_BYTES)


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


def _load_ledger(paths: Sequence[Path], into: Warehouse, tables: Tables, loaded: Loaded) -> None:
    """Read kept reports, each as a request."""
    spool = into.folder / "ledger.ndjson"
    read: list[Path] = []
    with spool.open("wb") as out:
        for path in paths:
            try:
                entry = decode(path.read_bytes())
            except EntryError as error:
                loaded.note(f"{path}:1: {error}")
                continue
            at = datetime.fromtimestamp(entry.at_seconds, UTC).isoformat().encode()
            out.write(b'{"receivedAt":"%b","batch":%b}\n' % (at, entry.array.replace(b"\n", b" ")))
            read.append(path)
    _parse(spool, into, are_requests=True)
    for row in [*_unread(into), *_spread(into, tables, loaded)]:
        loaded.note(f"{read[row - 1]}:2: {_LACKS}")


# --- tables ---------------------------------------------------------------------------------------


def _load_parquet(path: Path, into: Warehouse, tables: Tables, loaded: Loaded) -> None:
    """Read a table of that name, or one of all events."""
    relation = f"read_parquet({_text(str(path))})"
    found = _columns(into, relation)
    if path.stem in tables:
        loaded.events += _insert(into, relation, found, path.stem, tables[path.stem])
        return
    if "event" not in found:
        raise WarehouseError(f"{path}: no table of ours has this name, and no column is `event`")
    for table, columns in tables.items():
        if table not in _TRAITS:
            one = f"(select * from {relation} where replace(lower(event), ' ', '_') = '{table}')"
            loaded.events += _insert(into, one, found, table, columns)


def _load_duckdb(path: Path, into: Warehouse, tables: Tables, loaded: Loaded) -> None:
    """Read the tables of a database file."""
    into.connection.execute(f"attach {_text(str(path))} as export_of (read_only)")
    try:
        found = into.rows(
            "select table_name, any_value(schema_name) from duckdb_tables()"
            " where database_name = 'export_of' group by 1"
        )
        for table, schema in found:
            if table in tables:
                relation = f"export_of.{_name(schema)}.{_name(table)}"
                has = _columns(into, relation)
                loaded.events += _insert(into, relation, has, table, tables[table])
    finally:
        into.connection.execute("detach export_of")


def _load_postgres(source: str, into: Warehouse, tables: Tables, loaded: Loaded) -> None:
    """Copy the columns that the models read, as text."""
    try:
        import psycopg  # noqa: PLC0415 of the same extra
    except ImportError as error:
        raise WarehouseError(
            "PostgreSQL needs psycopg: pip install 'botkube-analytics[report]'"
        ) from error
    spool = into.folder / "copied.csv"
    shown = label(source)
    try:
        # What it says quotes the address, and with it the password; a part that is left of a
        # password with a slash would pass for a port.
        is_address = bool(psycopg.conninfo.conninfo_to_dict(source)) and shown[-3:] != "..."
    except psycopg.Error:
        is_address = False
    if not is_address:
        raise WarehouseError(f"{shown}: not an address of PostgreSQL")
    try:
        with psycopg.connect(source) as database:
            database.read_only = True
            database.execute("set timezone = 'UTC'")
            found = database.execute(
                "select table_name, column_name from information_schema.columns"
                " where table_schema = any(current_schemas(false))"
            ).fetchall()
            for table, columns in tables.items():
                has = {column for name, column in found if name == table}
                names = [one for one in columns if one in has]
                if not names:
                    continue
                listed = ", ".join(f"{_name(one)}::text" for one in names)
                query = f"copy (select {listed} from {_name(table)}) to stdout (format csv)"
                with database.cursor().copy(query.encode()) as copy, spool.open("wb") as out:
                    for block in copy:
                        out.write(block)
                kinds = ", ".join(f"{_text(one)}: 'VARCHAR'" for one in names)
                relation = (
                    f"read_csv({_text(str(spool))}, header = false, columns = {{{kinds}}},"
                    " auto_detect = false, delim = ',', quote = '\"', escape = '\"')"
                )
                loaded.events += _insert(into, relation, names, table, columns)
    except psycopg.Error as error:
        raise WarehouseError(f"{shown}: {first_line(error)}") from error


def _columns(into: Warehouse, relation: str) -> Sequence[str]:
    return [row[0] for row in into.rows(f"describe select * from {relation}")]


def _insert(
    into: Warehouse, relation: str, has: Iterable[str], table: str, columns: Mapping[str, str]
) -> int:
    names = [one for one in columns if one in set(has)]
    listed = ", ".join(f"try_cast({_name(one)} as {columns[one]})" for one in names)
    inserted: int = into.rows(
        f"insert into {table} ({', '.join(map(_name, names))}) select {listed} from {relation}"
    )[0][0]
    return inserted


def _name(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _text(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
