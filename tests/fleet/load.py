"""Requests as they arrived -> the raw tables of a warehouse, as Segment would fill them.

Owns what Segment makes of a call: a table per event, a column per property that was ever seen, of
the type of its first value, the time corrected for the sender's clock. It drops nothing: doubles
are the models' to find. Rows go in by the thousand, so that a fleet of any size needs little room.
"""

from __future__ import annotations

import tempfile
from collections import defaultdict
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import orjson
from attrs import define, field

from agent.names import snake

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import duckdb
    import psycopg

Row: TypeAlias = dict[str, Any]
TABLES = {"identify": "identifies", "group": "groups"}
TIMES = frozenset(
    {"received_at", "sent_at", "original_timestamp", "timestamp", "window_start", "window_end"}
)
_KINDS = {bool: "boolean", int: "bigint", str: "text"}


class Warehouse(Protocol):
    """Where rows go. The models may have made a table or a column before."""

    def create(self, table: str) -> None: ...

    def add_column(self, table: str, column: str, kind: str) -> None: ...

    def insert(self, table: str, columns: dict[str, str], rows: list[Row]) -> None: ...


def rows_of(request: bytes) -> Iterator[tuple[str, Row]]:
    """Yield table and row of each call of a request."""
    found = orjson.loads(request)
    received, sent = found["receivedAt"], found["sentAt"]
    around: Row = {"received_at": received, "sent_at": sent}
    if "retried_late" in found["context"]:
        around["context_retried_late"] = found["context"]["retried_late"]
    # By how much the sender's clock was behind, as far as a collector can tell.
    behind = _seconds(received) - _seconds(sent)
    for call in found["batch"]:
        row = {
            "id": call["messageId"],
            "anonymous_id": call["anonymousId"],
            **around,
            "original_timestamp": call["timestamp"],
            "timestamp": _shift(call["timestamp"], behind),
        }
        if call["type"] == "track":
            table, values = snake(call["event"]), call["properties"]
        else:
            table, values = TABLES[call["type"]], call["traits"]
        if "groupId" in call:
            row["group_id"] = call["groupId"]
        for name, value in values.items():
            row[snake(name)] = value
        yield table, row


@lru_cache(maxsize=4096)
def _seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


@lru_cache(maxsize=4096)
def _shift(text: str, seconds: float) -> str:
    at = datetime.fromtimestamp(_seconds(text) + seconds, UTC)
    return at.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


@define
class Loader:
    """Fills a warehouse; `times` is the type that its columns of times have."""

    warehouse: Warehouse
    times: str = "timestamptz"
    rows_at_once: int = 50_000
    columns: defaultdict[str, dict[str, str]] = field(factory=lambda: defaultdict(dict))
    rows: defaultdict[str, list[Row]] = field(factory=lambda: defaultdict(list))

    def load(self, requests: Iterable[bytes]) -> None:
        """Put requests into the tables."""
        for request in requests:
            for table, row in rows_of(request):
                self._add(table, row)
        for table in list(self.rows):
            self._flush(table)

    def _add(self, table: str, row: Row) -> None:
        known = self.columns[table]
        if not row.keys() <= known.keys():
            self._widen(table, row)
        rows = self.rows[table]
        rows.append(row)
        if len(rows) >= self.rows_at_once:
            self._flush(table)

    def _widen(self, table: str, row: Row) -> None:
        known = self.columns[table]
        new = {
            name: self.times if name in TIMES else _KINDS[type(value)]
            for name, value in row.items()
            if name not in known
        }
        if not known:
            self.warehouse.create(table)
        for name, kind in new.items():
            self.warehouse.add_column(table, name, kind)
        known |= new

    def _flush(self, table: str) -> None:
        rows = self.rows.pop(table, [])
        if rows:
            self.warehouse.insert(table, self.columns[table], rows)


@define
class DuckDB:
    """DuckDB reads rows fastest from a file."""

    connection: duckdb.DuckDBPyConnection
    directory: Path

    def create(self, table: str) -> None:
        self.connection.execute(f"create table if not exists {table} (id text)")

    def add_column(self, table: str, column: str, kind: str) -> None:
        self.connection.execute(f'alter table {table} add column if not exists "{column}" {kind}')

    def insert(self, table: str, columns: dict[str, str], rows: list[Row]) -> None:
        path = self.directory / "rows.ndjson"
        with path.open("wb") as file:
            file.writelines(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE) for row in rows)
        kinds = ", ".join(f"'{name}': '{kind}'" for name, kind in columns.items())
        self.connection.execute(
            f"insert into {table} by name select * from read_json("  # noqa: S608
            f"'{path}', format = 'newline_delimited', columns = {{{kinds}}})"
        )
        path.unlink()


@define
class PostgreSQL:
    """PostgreSQL takes rows as a copy."""

    connection: psycopg.Connection[Any]

    def create(self, table: str) -> None:
        self.connection.execute(f"create table if not exists {table} (id text)".encode())

    def add_column(self, table: str, column: str, kind: str) -> None:
        self.connection.execute(
            f'alter table {table} add column if not exists "{column}" {kind}'.encode()
        )

    def insert(self, table: str, columns: dict[str, str], rows: list[Row]) -> None:
        names = ", ".join(f'"{name}"' for name in columns)
        statement = f"copy {table} ({names}) from stdin".encode()
        with self.connection.cursor() as cursor, cursor.copy(statement) as copy:
            for row in rows:
                copy.write_row([row.get(name) for name in columns])


def load_duckdb(
    connection: duckdb.DuckDBPyConnection, requests: Iterable[bytes], *, times: str = "timestamptz"
) -> None:
    """Load requests into a DuckDB database."""
    connection.execute("set timezone = 'UTC'")
    with tempfile.TemporaryDirectory() as directory:
        Loader(DuckDB(connection, Path(directory)), times).load(requests)


def load_postgresql(
    connection: psycopg.Connection[Any], requests: Iterable[bytes], *, times: str = "timestamptz"
) -> None:
    """Load requests into a PostgreSQL database, into the schema that stands first in its path."""
    connection.execute("set timezone = 'UTC'")
    Loader(PostgreSQL(connection), times).load(requests)
    connection.commit()
