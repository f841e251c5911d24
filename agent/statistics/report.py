"""What `report` does: reads the sources, asks the models, writes the page and the tables.

Owns files, the progress bar and what is said at the terminal. Nothing is written before all is
made. Blocks.
"""

from __future__ import annotations

import csv
import io
import os
import shutil
import sys
from contextlib import contextmanager, suppress
from errno import EACCES, EEXIST, EISDIR, ENOTDIR
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from agent.statistics.answers import WITHHELD, columns
from agent.statistics.page import About, render
from agent.statistics.shown import SHOWN
from agent.statistics.signals import handled
from agent.statistics.sources import are_large, called, files_of, hold_back, load, readable
from agent.statistics.warehouse import WarehouseError, naming, opened
from agent.statistics.withhold import withhold

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from agent.statistics.answers import Row
    from agent.statistics.loaded import Loaded
    from agent.statistics.shown import Shown
    from agent.statistics.warehouse import Tell, Warehouse

MAX_SHOWN_FAULTS = 20


def show_report(
    sources: Sequence[str], output: Path, *, least: int, agent_version: str, now: datetime
) -> int:
    """Write the report on exported events."""
    errors = Console(stderr=True)
    if "" in sources:
        return _refuse(errors, "a SOURCE has no name: is the variable empty that was to name it?")
    if output == Path("-"):
        return _refuse(errors, "a report is a page with tables beside it: -o needs a file's name")
    try:
        # What cannot be written is known before anything is read.
        with handled() as signals, _room(output) as room:
            _spare(sources, output)
            with (
                opened(is_large=are_large(sources)) as warehouse,
                _progress(errors) as progress,
                signals.at_once(),
            ):
                loaded = _fill(warehouse, sources, progress, now)
                about = About(
                    [called(one) for one in sources],
                    loaded.events,
                    loaded.others,
                    len(loaded.faults) + loaded.more_faults + loaded.foreign,
                    agent_version,
                    readable(_tables(output).name),
                    loaded.has_reports,
                )
                with naming(output):
                    _make(room, withhold(warehouse.answers(), least), about)
            signals.end()
            with naming(output):
                _put(room, output)
    except WarehouseError as error:
        return _refuse(errors, str(error))
    except OSError as error:
        return _refuse(errors, f"cannot use {readable(error.filename or output)}: {error.strerror}")
    sys.stdout.flush()
    # The name itself, which need not be text.
    sys.stdout.buffer.write(os.fsencode(output) + b"\n")
    return 0


def _spare(sources: Sequence[str], output: Path) -> None:
    """Refuse to write to what is read."""
    read = {_identity(one.stat()) for one in files_of(sources)}
    if "-" in sources:
        with suppress(AttributeError, OSError, ValueError):  # closed, or no file at all
            read.add(_identity(os.fstat(sys.stdin.fileno())))
    for one in (output, *(_tables(output) / f"{name}.csv" for name in SHOWN)):
        if one.exists() and _identity(one.stat()) in read:
            raise WarehouseError(f"{readable(one)}: a source, to which nothing is written")


def _identity(found: os.stat_result) -> tuple[int, int]:
    return found.st_dev, found.st_ino


def _fill(
    warehouse: Warehouse, sources: Sequence[str], progress: Progress, now: datetime
) -> Loaded:
    warehouse.run("tables.sql")
    loaded = load(sources, warehouse, lambda source: _task(progress, source))
    hold_back(warehouse, loaded, now)
    _say_faults(progress.console, loaded)
    if not loaded.events:
        raise WarehouseError(
            "no event of this agent could be read: a line of a file is an event, or a request of"
            " events, which jq -c .[] FILE makes of an array; a table, of a database or as Parquet,"
            " is named like the event in it (collection_report)"
        )
    models = _task(progress, "the models")
    warehouse.run("models.sql")
    warehouse.refresh(loaded.events, models)
    read = warehouse.rows("select coalesce(sum(calls), 0) from loads")[0][0]
    loaded.foreign = loaded.events - read
    if loaded.foreign:
        progress.console.print(
            f"botkube-analytics: events left out: {loaded.foreign}, with a number, a word or a "
            "time that no window has",
            soft_wrap=True,
        )
    loaded.has_reports = bool(warehouse.rows("select count(*) from reports")[0][0])
    if read and not loaded.has_reports:
        progress.console.print(
            "botkube-analytics: no Collection report was read (of tables: collection_report):"
            " without them nobody knows which versions run, what is on, nor what was observed",
            soft_wrap=True,
        )
    return loaded


def _make(room: Path, shown: Shown, about: About) -> None:
    page = render(shown, about)
    if page is None:
        raise WarehouseError("no window was sent in these events")
    (room / "page").write_bytes(page)
    (room / "tables").mkdir()
    for name, text in csv_files(shown):
        (room / "tables" / name).write_text(text, encoding="utf-8")


def _put(room: Path, output: Path) -> None:
    tables = _tables(output)
    tables.mkdir(parents=True, exist_ok=True)
    for one in (room / "tables").iterdir():
        shutil.move(one, tables / one.name)
    shutil.move(room / "page", output)


def _tables(output: Path) -> Path:
    return output.with_name(f"{output.stem}-tables")


@contextmanager
def _room(output: Path) -> Iterator[Path]:
    """Make a folder near the output in which all is made ready, and leave none.

    Raises `OSError` if nothing can be written there.
    """
    if output.is_dir():
        raise IsADirectoryError(EISDIR, os.strerror(EISDIR), str(output))
    if output.exists() and not output.is_file():
        raise FileExistsError(EEXIST, "not a regular file", str(output))
    tables = _tables(output)
    if tables.exists() and not os.access(tables, os.W_OK | os.X_OK):
        raise PermissionError(EACCES, os.strerror(EACCES), str(tables))
    if tables.exists() and not tables.is_dir():
        raise NotADirectoryError(ENOTDIR, os.strerror(ENOTDIR), str(tables))
    for name in SHOWN:
        if (table := tables / f"{name}.csv").is_dir():
            raise IsADirectoryError(EISDIR, os.strerror(EISDIR), str(table))
    near = next(one for one in output.absolute().parents if one.exists())
    try:
        room = TemporaryDirectory(dir=near, prefix=".botkube-analytics-")
    except OSError as error:
        raise type(error)(error.errno, error.strerror, str(output)) from error
    with room as name:
        yield Path(name)


def csv_files(shown: Shown) -> Iterator[tuple[str, str]]:
    """Yield name and text of each table."""
    for name, view in SHOWN.items():
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(columns(view))
        rows: Sequence[Row] = getattr(shown, name)
        for one in rows:
            writer.writerow([_cell(getattr(one, column)) for column in columns(view)])
        yield f"{name}.csv", out.getvalue()


def _cell(value: object) -> object:
    if value is WITHHELD:
        return "withheld"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return round(value, 6)
    if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")):
        return f"'{value}"  # a sheet would take it for a formula
    return value


def _progress(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        console=console,
        disable=not console.is_terminal,
    )


def _task(progress: Progress, source: str) -> Tell:
    task = progress.add_task(source, total=100)
    return lambda done: progress.update(task, completed=done)


def _say_faults(errors: Console, loaded: Loaded) -> None:
    for fault in loaded.faults[:MAX_SHOWN_FAULTS]:
        errors.print(f"botkube-analytics: {fault}", markup=False, soft_wrap=True)
    more = len(loaded.faults) + loaded.more_faults - MAX_SHOWN_FAULTS
    if more > 0:
        errors.print(f"botkube-analytics: and {more} more lines like these")
    if loaded.ahead:
        errors.print(
            f"botkube-analytics: events left out: {loaded.ahead}, of windows that end more than a "
            "day from now: a clock is wrong",
            soft_wrap=True,
        )


def _refuse(errors: Console, message: str) -> int:
    errors.print(f"botkube-analytics: {message}", markup=False, soft_wrap=True)
    return 2
