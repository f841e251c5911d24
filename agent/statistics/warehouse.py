"""A warehouse for the time of one command: DuckDB in a temporary directory, and our models in it.

Owns how much memory it may take, after which it writes to the disk, and where the models stand.
Must not know where events come from, nor what the answers mean. Blocks.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from contextlib import closing, contextmanager
from itertools import count
from math import ceil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, TypeAlias

from attrs import frozen

from agent.statistics.answers import VIEWS, Answers, columns, make_row

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import duckdb

MEMORY = "2GiB"
SLICE = 2_000_000
"""Calls of which is made at once what they say: what that takes is not all written to the disk."""
WEEKS = 14
"""Thirteen whole ones and the one that has begun."""

UNASKED = "insert into intervals"
"""Single windows, which no answer is made of: a tenth of a refresh."""
STEPS = ("between_days", "holes", "silences", "weeks", "undecided_weeks", "unsure_clusters")
"""Views that many answers ask for, and that ask for all of history."""


Tell: TypeAlias = Callable[[float], None]
"""Is told how many hundredths of a task are done."""


class WarehouseError(Exception):
    """The warehouse cannot be had or used; the message says why."""


@frozen(eq=False)
class Warehouse:
    """An open database of ours alone; `folder` is for what else is written meanwhile."""

    connection: duckdb.DuckDBPyConnection
    folder: Path

    def run(self, script: str, tell: Tell = lambda _share: None, without: str = "") -> None:
        """Run one of the files of the models, and tell how many hundredths of it are done.

        Statements with the words of `without` are left out.
        """
        statements = [
            one
            for one in self.connection.extract_statements(_script(script))
            if not without or without not in one.query
        ]
        for number, statement in enumerate(statements, 1):
            self.connection.execute(statement)
            tell(100 * number / len(statements))

    def refresh(self, calls: int, tell: Tell = lambda _share: None) -> None:
        """Make what so many calls say, in slices, and tell how many hundredths of it are done."""
        slices = max(1, ceil(calls / SLICE))
        for done in count():
            self.connection.execute("insert into refresh (calls) values (?)", [SLICE])
            begin = min(done, slices - 1)
            part = part_of(tell, 100 * begin / slices, 100 * (begin + 1) / slices)
            self.run("refresh.sql", part, without=UNASKED)
            if not self.rows("select 1 from pending limit 1"):
                break
        tell(100)

    def rows(self, query: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Return what a query gives."""
        return self.connection.execute(query, values).fetchall()

    def tables(self) -> Mapping[str, Mapping[str, str]]:
        """Return the columns of Segment's tables, with their types."""
        found: dict[str, dict[str, str]] = {}
        for table, column, kind in self.rows(
            "select table_name, column_name, data_type from information_schema.columns"
            " join information_schema.tables using (table_catalog, table_schema, table_name)"
            " where table_type = 'BASE TABLE' order by table_name, ordinal_position"
        ):
            found.setdefault(table, {})[column] = kind
        return {table: kinds for table, kinds in found.items() if "anonymous_id" in kinds}

    def answers(self) -> Answers:
        """Return the answers of the last weeks."""
        with self._keeping(STEPS):
            last = self.rows("select max(week) from active_installations")[0][0]
            found: dict[str, Any] = {}
            for name, view in VIEWS.items():
                order = ", ".join(map(quoted, ("week", *view.KEYS)))
                rows = self.rows(
                    f"select {', '.join(map(quoted, columns(view)))} from {name}"
                    f" where week > cast(? as date) - {7 * WEEKS} order by {order}",
                    [last],
                )
                found[name] = tuple(make_row(view, row) for row in rows)
        return Answers(**found)

    @contextmanager
    def _keeping(self, views: Sequence[str]) -> Iterator[None]:
        """Keep what views say, each made of those before it, for as long as others ask for it."""
        self.connection.execute("begin transaction")
        try:
            for view in views:
                self.connection.execute(
                    f"create table kept as select * from {view};"
                    f" drop view {view}; alter table kept rename to {view}"
                )
            yield
        finally:
            self.connection.execute("rollback")


def part_of(tell: Tell, begin: float, end: float) -> Tell:
    """Tell what is done of a part that takes the whole from one hundredth to another."""
    return lambda done: tell(begin + (end - begin) * done / 100)


def zoned(*values: str) -> str:
    """Return the first value that is a time, with its zone, UTC if it names none; or null.

    Text of one, Snowflake's for one, may have a blank before the zone, which DuckDB does not know.
    """
    found = (
        f"try_cast({text} as timestamptz)"
        for one in values
        for text in (one, f"regexp_replace({one}::varchar, ' ([+-][0-9]|Z$)', '\\1')")
    )
    return f"coalesce({', '.join(found)})"


def column_of(value: str, kind: str) -> str:
    """Return a value as a column of ours has it, or null: times in UTC, without a zone."""
    # DuckDB drops the zone of a text that it is to read as a time without one.
    return f"try_cast({zoned(value) if 'TIME' in kind else value} as {kind})"


def quoted(name: str) -> str:
    """Return a name as SQL has it."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Return a text as SQL has it."""
    return "'" + text.replace("'", "''") + "'"


def exactly(path: Path) -> str:
    """Return a path as SQL has it: of this file, where DuckDB would take its name for a pattern."""
    return literal(re.sub(r"[*?\[]", r"[\g<0>]", str(path.absolute())))


def driver() -> Any:  # noqa: ANN401 a module
    """Return DuckDB. Raises `WarehouseError` where the extra is not installed."""
    try:
        import duckdb  # noqa: PLC0415 what does not need it works without it
    except ImportError as error:
        raise WarehouseError(
            "the report needs DuckDB: pip install 'botkube-analytics[report]'"
        ) from error
    return duckdb


@contextmanager
def opened(*, is_large: bool = True) -> Iterator[Warehouse]:
    """Open a warehouse and remove it afterwards. Raises `WarehouseError`.

    A large one is packed into a file, which takes longer and a tenth of the room.
    """
    duckdb = driver()
    with TemporaryDirectory(prefix="botkube-analytics-") as name:
        folder = Path(name)
        settings: dict[str, str | bool | int | float | list[str]] = {
            "memory_limit": MEMORY,
            "temp_directory": str(folder / "spill"),
            "threads": _cores(),
            # Extensions come from elsewhere: nothing is downloaded.
            "autoinstall_known_extensions": "false",
        }
        place = str(folder / "warehouse.duckdb") if is_large else ":memory:"
        try:
            with naming(folder), closing(duckdb.connect(place, config=settings)) as connection:
                connection.execute("set TimeZone = 'UTC'")
                yield Warehouse(connection, folder)
        except duckdb.OutOfMemoryException as error:
            raise WarehouseError(f"the events need more than memory and {folder} hold") from error
        except (duckdb.IOException, duckdb.TransactionException) as error:  # a commit that failed
            raise WarehouseError(f"DuckDB cannot read or write: {first_line(error)}") from error
        except duckdb.Error as error:
            # What it says may quote a value of the events.
            raise WarehouseError(f"the models cannot take these events: {_kind(error)}") from error


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Name what is written to, where an error does not: a full disk is found by what is open."""
    try:
        yield
    except OSError as error:
        if error.filename is not None:
            raise
        raise type(error)(error.errno, error.strerror, str(path)) from error


def _cores() -> int:
    """Return how many cores this process may use; more threads than that cost a tenth."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on macOS
        return os.cpu_count() or 1


def _kind(error: Exception) -> str:
    return f"DuckDB's {type(error).__name__}"


def first_line(error: Exception) -> str:
    """Return what an error says, without what it quotes below."""
    return str(error).partition("\n")[0]


def _script(name: str) -> str:
    """Return a file of the models, which lie beside the code in a wheel."""
    package = Path(__file__).parent.parent
    inside = package / "warehouse"
    folder = inside if inside.is_dir() else package.parent / "deploy" / "warehouse"
    return (folder / name).read_text(encoding="utf-8")
