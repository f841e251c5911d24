"""Exports of received events: which files and addresses are read, and as what each is.

Owns how a source is named, and what is believed of its times. Blocks.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from errno import EBADF
from pathlib import Path
from threading import Event, Thread
from typing import TYPE_CHECKING, cast
from urllib.parse import urlsplit

from agent.statistics.calls import BROKEN, load_ledger, load_lines, load_together
from agent.statistics.copies import (
    NoTableError,
    is_repeated,
    load_duckdb,
    load_parquet,
    load_postgres,
)
from agent.statistics.loaded import Loaded
from agent.statistics.warehouse import WarehouseError, driver, first_line, part_of

if TYPE_CHECKING:
    from io import BufferedReader

    import duckdb

    from agent.statistics.loaded import Tables
    from agent.statistics.warehouse import Tell, Warehouse

MOST_AHEAD = 0.1
AHEAD = timedelta(days=1)
"""How much later than it is received a window may end, as the models have it."""
LARGE_BYTES = 2 << 30
SUFFIXES = (".ndjson", ".jsonl", ".json")
_NOT_UNPACKED = tuple(
    one + packed for one in SUFFIXES for packed in (".zst", ".bz2", ".xz", ".zip")
)
"""Refused, and not passed over in a folder: who wonders what is missing there would not be told."""
ADDRESSES = ("postgresql", "postgres")
_LOOK_SECONDS = 0.2
_BLOCK_BYTES = 1 << 16
_PLAIN, _PACKED = "lines", "gzip"
_UNPACKED_BY = {
    b"\x28\xb5\x2f\xfd": "zstd -dc",
    b"BZh": "bzip2 -dc",
    b"\xfd7zXZ\x00": "xz -dc",
    b"PK\x03\x04": "unzip -p",
}
_SMALL_BYTES = 1 << 20
_MOST_TOGETHER = 100
"""Segment writes thousands of small files, and each by itself takes a dozen statements."""


def label(source: str) -> str:
    """Return how a source may be named: an address without user and password."""
    if source == "-":
        return "standard input"
    if not _is_address(source):
        return readable(source)
    scheme, sign, _ = source.partition("://")
    if not sign:
        return f"{source.partition(':')[0]}:..."
    try:
        parts = urlsplit(source)
        host = parts.hostname or ""
    except ValueError:
        return f"{scheme}://..."
    # A slash in a password makes a path of what follows.
    return f"{scheme}://..." if "@" in parts.path else f"{scheme}://{host}{parts.path}"


def called(source: str) -> str:
    """Return how a source is named on a page for others: a file without the folders it lies in."""
    return label(source if source == "-" or _is_address(source) else Path(source).name or source)


def readable(name: str | Path) -> str:
    """Return the name of a file as text that can be written; a name need not be UTF-8."""
    return os.fsencode(name).decode(errors="replace")


def are_large(sources: Sequence[str]) -> bool:
    """Whether there is more than is held in memory, or nobody knows."""
    return (
        any(_is_address(source) or _is_piped(source) for source in sources)
        or sum(one.stat().st_size for one in files_of(sources)) > LARGE_BYTES
    )


def files_of(sources: Iterable[str]) -> Iterator[Path]:
    """Yield the files that are read, of those sources that are files and directories."""
    for source in sources:
        if not _is_address(source) and not _is_piped(source):
            yield from _files(source)


def load(sources: Sequence[str], into: Warehouse, tell: Callable[[str], Tell]) -> Loaded:
    """Read all sources into Segment's tables. Raises `OSError` and `WarehouseError`."""
    loaded = Loaded()
    tables = into.tables()
    beside = tuple(files_of(sources))
    for source in sources:
        is_piped = not _is_address(source) and _is_piped(source)
        progress = tell(label(source) + (", until its writer ends" if is_piped else ""))
        if source.startswith(tuple(f"{scheme}://" for scheme in ADDRESSES)):
            with watched(into.connection, progress):
                load_postgres(source, label(source), into, tables, loaded)
        elif _is_address(source):
            raise WarehouseError(f"{label(source)}: of addresses only postgresql:// is read")
        elif is_piped:
            copied = _copied(source, into.folder)
            with watched(into.connection, progress):
                _load_file(copied, label(source), _kind(copied), into, tables, loaded)
        else:
            _load_files(source, beside, into, tables, loaded, progress)
        progress(100)
    _tell_when(into, loaded)
    return loaded


def _tell_when(into: Warehouse, loaded: Loaded) -> None:
    """Take what copies of tables do not say of when they were received from when they were sent."""
    for table in into.tables():
        into.connection.execute(
            f"update {table} set received_at = sent_at where received_at is null"
        )
        lost = into.rows(f"delete from {table} where received_at is null")[0][0]
        if lost:
            loaded.events -= lost
            loaded.note(
                f"{table}: {lost} rows whose received_at and sent_at are no time: a timestamp, or "
                "text of one"
            )


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
    # What has a slash too few may hold a password, too.
    return "://" in source or (
        re.match("[A-Za-z][A-Za-z+]+:/", source) is not None and not Path(source).exists()
    )


def _is_piped(source: str) -> bool:
    """Whether it can be read only once, and from its beginning."""
    path = Path(source)
    return source == "-" or (path.exists() and not path.is_file() and not path.is_dir())


def _copied(source: str, folder: Path) -> Path:
    """Copy what can be read only once; who opens a pipe waits for its writer."""
    path = folder / "piped"
    with path.open("wb") as out, ExitStack() as stack:
        if source != "-":
            file = stack.enter_context(Path(source).open("rb"))
        elif sys.stdin is None:
            raise OSError(EBADF, "it is closed", label(source))
        else:
            file = cast("BufferedReader", sys.stdin.buffer)
        # One call of the system at a time: between two, a signal is seen.
        while block := file.read1(_BLOCK_BYTES):
            out.write(block)
    return path


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
def watched(
    connection: duckdb.DuckDBPyConnection, tell: Tell, look_seconds: float = _LOOK_SECONDS
) -> Iterator[None]:
    """Tell how far a statement has come, while it runs."""
    connection.execute("set enable_progress_bar = true; set enable_progress_bar_print = false")
    done = Event()

    def watch() -> None:
        most = 0.0
        while not done.wait(look_seconds):
            # Of one source there are several statements.
            most = max(most, connection.query_progress())
            tell(most)

    thread = Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _files(source: str) -> list[Path]:
    """Return the files of a source that is one, or a directory.

    Segment keeps raw events in a directory a day, as `segment-logs/SOURCE/DAY/FILE.gz` (its
    documentation of the storage destination), so that directories in it are read, too.
    """
    path = Path(source)
    if not path.is_dir():
        return [path]
    found = []
    seen: set[tuple[int, int]] = set()
    for folder, folders, files in os.walk(path, onerror=_refuse, followlinks=True):
        at = Path(folder).stat()
        if (at.st_dev, at.st_ino) in seen:
            folders[:] = []  # a link leads back
            continue
        seen.add((at.st_dev, at.st_ino))
        folders[:] = sorted(one for one in folders if not one.startswith("."))
        within = (Path(folder, one) for one in sorted(files) if _is_export(one))
        found += [one for one in within if one.is_file()]
    if not found:
        raise WarehouseError(f"{readable(source)}: no export and no ledger is in this directory")
    return found


def _refuse(error: OSError) -> None:
    """Pass over no folder: what cannot be read would be missing, and nobody would know."""
    raise error


def _is_export(name: str) -> bool:
    # What begins with a dot belongs to a file system, or to a copy that is under way.
    return not name.startswith(".") and name.endswith(
        (*SUFFIXES, *_NOT_UNPACKED, ".gz", ".parquet", ".report")
    )


def _load_files(
    source: str,
    beside: Sequence[Path],
    into: Warehouse,
    tables: Tables,
    loaded: Loaded,
    tell: Tell,
) -> None:
    """Read a file or the files of a folder; `beside` are those of all sources."""
    paths = _files(source)
    entries = [one for one in paths if one.suffix == ".report"]
    if entries:
        load_ledger(entries, into, tables, loaded)
    exports = {
        one: one.stat().st_size
        for one in paths
        if one.suffix != ".report" and not is_repeated(one, beside, tables)
    }
    whole = sum(exports.values()) or 1
    begun = 0
    for kind, some in _together(exports):
        size = sum(exports[one] for one in some)
        part = part_of(tell, 100 * begun / whole, 100 * (begun + size) / whole)
        try:
            with watched(into.connection, part):
                _load_some(some, kind, into, tables, loaded)
        except NoTableError as error:
            # What else lies in a folder is left alone, as in a database.
            if not Path(source).is_dir():
                if len(beside) == 1:
                    raise
                loaded.note(str(error))
        begun += size
        part(100)


def _together(exports: Mapping[Path, int]) -> Iterator[tuple[str, list[Path]]]:
    """Yield what files are, and small ones of lines together."""
    kept: dict[str, list[Path]] = {_PLAIN: [], _PACKED: []}
    for path, size in exports.items():
        kind = _kind(path)
        if size > _SMALL_BYTES or kind not in kept or not _is_named(path):
            yield kind, [path]
            continue
        kept[kind].append(path)
        if len(kept[kind]) == _MOST_TOGETHER:
            yield kind, kept[kind]
            kept[kind] = []
    yield from ((kind, some) for kind, some in kept.items() if some)


def _load_some(
    paths: Sequence[Path], kind: str, into: Warehouse, tables: Tables, loaded: Loaded
) -> None:
    """Read files, several at once unless something in one of them has to be named."""
    half = len(paths) // 2
    if not half:
        _load_file(paths[0], readable(paths[0]), kind, into, tables, loaded)
    elif not load_together(paths, into, tables, loaded, is_zipped=kind == _PACKED):
        _load_some(paths[:half], kind, into, tables, loaded)
        _load_some(paths[half:], kind, into, tables, loaded)


def _kind(path: Path) -> str:
    with path.open("rb") as file:
        begin = file.read(16)
    if begin.startswith(b"PAR1"):
        return "parquet"
    if begin[8:12] == b"DUCK":
        return "duckdb"
    for magic, unpack in _UNPACKED_BY.items():
        if begin.startswith(magic):
            return unpack
    return _PACKED if begin.startswith(b"\x1f\x8b") else _PLAIN


def _is_named(path: Path) -> bool:
    """Whether DuckDB can be given its name; it takes UTF-8 alone."""
    return readable(path) == str(path)


def _load_file(
    path: Path, shown: str, kind: str, into: Warehouse, tables: Tables, loaded: Loaded
) -> None:
    if not _is_named(path):
        link = into.folder / "named"
        link.unlink(missing_ok=True)
        link.symlink_to(path.absolute())
        path = link
    if kind in _UNPACKED_BY.values():
        raise WarehouseError(
            f"{shown}: not packed by gzip: {kind} FILE | botkube-analytics report - reads it"
        )
    with _named(shown):
        if kind == "parquet":
            load_parquet(path, shown, into, tables, loaded)
        elif kind == "duckdb":
            load_duckdb(path, shown, into, tables, loaded)
        else:
            load_lines(path, shown, into, tables, loaded, is_zipped=kind == _PACKED)
