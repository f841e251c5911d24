"""Tables of others, as Parquet or in a database -> the same tables of ours. Blocks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from agent.statistics.warehouse import (
    WarehouseError,
    column_of,
    exactly,
    first_line,
    literal,
    quoted,
)

if TYPE_CHECKING:
    from agent.statistics.loaded import Loaded, Tables
    from agent.statistics.warehouse import Warehouse

_TRAITS = frozenset({"identifies", "groups"})


class NoTableError(WarehouseError):
    """A file holds no table of ours."""


def load_parquet(path: Path, shown: str, into: Warehouse, tables: Tables, loaded: Loaded) -> None:
    """Read a table of that name, or one of all events. Raises `NoTableError`."""
    relation = f"read_parquet({exactly(path)}, hive_partitioning = false)"
    found = set(_columns(into, relation))
    name = Path(shown).stem.lower()
    parts: dict[str, str] = {}
    if name in tables:
        parts = {name: relation}
    elif "event" in found:
        event = "replace(lower(event::varchar), ' ', '_')"
        parts = {
            table: f"(select * from {relation} where {event} = '{table}')"
            for table in tables
            if table not in _TRAITS
        }
    if not any(found & tables[table].keys() for table in parts):
        raise NoTableError(
            f"{shown}: neither a table of ours by name and columns,"
            " nor one of all events with a column `event`"
        )
    for table, part in parts.items():
        loaded.events += _insert(into, part, found, table, tables[table])


def is_repeated(path: Path, beside: Iterable[Path], tables: Tables) -> bool:
    """Whether it is Segment's table of all events, whose events have tables beside it."""
    events = tables.keys() - _TRAITS
    return path.name.lower() == "tracks.parquet" and any(
        one.parent == path.parent and one.suffix == ".parquet" and one.stem.lower() in events
        for one in beside
    )


def load_duckdb(path: Path, shown: str, into: Warehouse, tables: Tables, loaded: Loaded) -> None:
    """Read the tables of a database file."""
    into.connection.execute(f"attach {literal(str(path.absolute()))} as export_of (read_only)")
    try:
        found = into.rows(
            "select lower(table_name), list(schema_name order by schema_name) from duckdb_tables()"
            " where database_name = 'export_of' group by 1"
        )
        for table, schemas in found:
            if table in tables:
                if len(schemas) > 1:
                    raise WarehouseError(
                        f"{shown}: {table} is in more than one schema ({', '.join(schemas)}): copy"
                        " those of one into a file of their own"
                    )
                relation = f"export_of.{quoted(schemas[0])}.{quoted(table)}"
                has = _columns(into, relation)
                loaded.events += _insert(into, relation, has, table, tables[table])
    finally:
        into.connection.execute("detach export_of")


def load_postgres(source: str, shown: str, into: Warehouse, tables: Tables, loaded: Loaded) -> None:
    """Copy the columns that the models read, as text."""
    try:
        import psycopg  # noqa: PLC0415 of the same extra
    except ImportError as error:
        raise WarehouseError(
            "PostgreSQL needs psycopg: pip install 'botkube-analytics[report]'"
        ) from error
    spool = into.folder / "copied.csv"
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
            database.execute("set datestyle = 'ISO'")
            found = database.execute(
                # Also those that may not be read: that is an error then, and not no events.
                "select relname::text, attname::text from pg_catalog.pg_attribute"
                " join pg_catalog.pg_class on pg_class.oid = attrelid"
                " where attnum > 0 and not attisdropped"
                " and pg_catalog.pg_table_is_visible(attrelid)"
            ).fetchall()
            if not tables.keys() & {name for name, _ in found}:
                raise WarehouseError(
                    f"{shown}: no table of ours is on the search path; name the schema in the"
                    " address: ?options=-csearch_path%3Dschema"
                )
            for table, columns in tables.items():
                has = {column for name, column in found if name == table}
                names = [one for one in columns if one in has]
                if not names:
                    continue
                listed = ", ".join(f"{quoted(one)}::text" for one in names)
                query = f"copy (select {listed} from {quoted(table)}) to stdout (format csv)"
                with database.cursor().copy(query.encode()) as copy, spool.open("wb") as out:
                    for block in copy:
                        out.write(block)
                kinds = ", ".join(f"{literal(one)}: 'VARCHAR'" for one in names)
                # Of a table that is not kept the reader itself would take what a cast asks for, and
                # refuse all rows for one value.
                relation = (
                    "(with copied as materialized (select * from"
                    f" read_csv({exactly(spool)}, header = false, columns = {{{kinds}}},"
                    " auto_detect = false, delim = ',', quote = '\"', escape = '\"'))"
                    " select * from copied)"
                )
                loaded.events += _insert(into, relation, names, table, columns)
    except psycopg.Error as error:
        raise WarehouseError(f"{shown}: {first_line(error)}") from error


def _columns(into: Warehouse, relation: str) -> Sequence[str]:
    """Return the columns in small letters; DuckDB finds them in any."""
    return [row[0].lower() for row in into.rows(f"describe select * from {relation}")]


def _insert(
    into: Warehouse, relation: str, has: Iterable[str], table: str, columns: Mapping[str, str]
) -> int:
    names = [one for one in columns if one in set(has)]
    if not names:
        return 0
    listed = ", ".join(column_of(quoted(one), columns[one]) for one in names)
    inserted: int = into.rows(
        f"insert into {table} ({', '.join(map(quoted, names))}) select {listed} from {relation}"
    )[0][0]
    return inserted
