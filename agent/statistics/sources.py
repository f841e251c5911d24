"""Exports of received events: which files and addresses are read, and as what each is.

Owns how a source is named, and what is believed of its times. Blocks.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event, Thread
from typing import TYPE_CHECKING, TypeAlias
from urllib.parse import urlsplit

from agent.statistics.calls import BROKEN, load_ledger, load_lines
from agent.statistics.copies import load_duckdb, load_parquet, load_postgres
from agent.statistics.loaded import Loaded
from agent.statistics.warehouse import WarehouseError, driver, first_line

if TYPE_CHECKING:
    import duckdb

    from agent.statistics.loaded import Tables
    from agent.statistics.warehouse import Warehouse

Tell: TypeAlias = Callable[[float], None]
"""Is told how many hundredths of a source are read."""

MOST_AHEAD = 0.1
AHEAD = timedelta(days=1)
"""How much later than it is received a window may end, as the models have it."""
LARGE_BYTES = 2 << 30
SUFFIXES = (".ndjson", ".jsonl", ".json")
ADDRESSES = ("postgresql", "postgres")
_LOOK_SECONDS = 0.2


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
                load_postgres(source, label(source), into, tables, loaded)
            elif _is_address(source):
                raise WarehouseError(f"{label(source)}: of addresses only postgresql:// is read")
            else:
                paths = list(_files(source, into.folder))
                entries = [one for one in paths if one.suffix == ".report"]
                if entries:
                    load_ledger(entries, into, tables, loaded)
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


@contextmanager
def _named(source: str) -> Iterator[None]:
    """Say of a file that is not what it begins like which one it is."""
    duckdb = driver()
    try:
        yield
    except duckdb.OutOfMemoryException:
        raise
    except (duckdb.Error, *BROKEN) as error:
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
        load_parquet(path, into, tables, loaded)
    elif begin[8:12] == b"DUCK":
        load_duckdb(path, into, tables, loaded)
    else:
        load_lines(path, into, tables, loaded, is_zipped=begin.startswith(b"\x1f\x8b"))
