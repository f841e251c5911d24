"""What `preview` prints: the counts that saved logs would make, and what hides entries in them.

Owns its tables and messages for a person at a terminal. Must not know arguments, settings, or a
cluster.
"""

from __future__ import annotations

import errno
import re
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import orjson
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    FileSizeColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from agent.model import REPORT
from agent.preview import Preview, preview
from agent.sink.batch import batch_array

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from agent.model import Batch
    from agent.rules import RuleSet

CHUNK_BYTES = 1 << 20
LONG_BYTES = 8 << 20
COMMON = frozenset({"stream", "seq", "window_start", "window_end", "count", "botkube_version"})

HIDDEN_BYTES = 1 << 20
_HEAD = rb'(?:time="\d{4}-|\{"[a-z]|(?:\x1b\[\d+m)?(?:DEBU|INFO|WARN|ERRO|FATA)(?:\x1b\[0m)?\[\d)'
_HIDDEN_HEAD = re.compile(rb"(?m)^(?!\d{4}-\d\d-\d\dT|" + _HEAD + rb")[^\n]{1,200}?" + _HEAD)


def show_preview(
    files: Sequence[str],
    ruleset: RuleSet,
    *,
    window_seconds: int,
    agent_version: str,
    now_seconds: int,
    as_json: bool,
    minimum: int = 0,
    show: Callable[[Batch], bytes] = batch_array,
) -> int:
    """Print what would be sent for the files; `-` or none is standard input."""
    errors = Console(stderr=True)
    names = list(files) or ["-"]
    hidden = _Hidden()
    try:
        sizes = [Path(name).stat().st_size for name in names if name != "-"]
        with _progress(errors, sum(sizes) if len(sizes) == len(names) else None) as advance:
            found = preview(
                (hidden.watch(_chunks(name, advance)) for name in names),
                ruleset,
                window_seconds=window_seconds,
                agent_version=agent_version,
                now_seconds=now_seconds,
                minimum=minimum,
            )
    except OSError as error:
        name = error.filename or "standard input"
        errors.print(f"botkube-analytics: cannot read {name}: {error.strerror}", markup=False)
        return 2
    if not found.matched and hidden.heads > found.lines // 2:
        errors.print(
            "Something stands in front of BotKube's own text in these lines, so they count nothing "
            "(kubectl logs --prefix, stern, docker compose, a quotation): save them without it, as "
            "kubectl logs does.",
            markup=False,
        )
    if as_json:
        # One line a batch, or a request of it: byte for byte what the destination would be given.
        for batch in found.batches:
            sys.stdout.buffer.write(show(batch) + b"\n")
        sys.stdout.buffer.flush()
    else:
        _print_preview(Console(), found)
    return 0


class _Hidden:
    """Counts the heads of entries that stand behind something else, in the first of a log."""

    def __init__(self) -> None:
        self.heads = 0
        self._left = HIDDEN_BYTES

    def watch(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        """Pass the chunks of a log on."""
        for chunk in chunks:
            if self._left > 0:
                self.heads += sum(1 for _ in _HIDDEN_HEAD.finditer(chunk[: self._left]))
                self._left -= len(chunk)
            yield chunk


class _progress:  # noqa: N801 used like a function
    """A progress bar for long input on an interactive terminal, else nothing.

    How long standard input is, nobody knows (`total` None): then it is a spinner with the bytes
    that were read, once it has turned out to be long.
    """

    def __init__(self, console: Console, total: int | None) -> None:
        self._total = total
        self._read = 0
        self._bar = Progress(
            TextColumn("reading"),
            SpinnerColumn() if total is None else BarColumn(),
            FileSizeColumn() if total is None else DownloadColumn(),
            *(() if total is None else (TimeRemainingColumn(),)),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task: TaskID | None = None

    def __enter__(self) -> Callable[[int], None]:
        return self._advance

    def _advance(self, size: int) -> None:
        self._read += size
        if self._task is None and (self._total or self._read) > LONG_BYTES:
            self._bar.start()
            self._task = self._bar.add_task("reading", total=self._total)
        if self._task is not None:
            self._bar.update(self._task, completed=self._read)

    def __exit__(self, *_exc: object) -> None:
        self._bar.stop()


def _chunks(name: str, advance: Callable[[int], None]) -> Iterator[bytes]:
    def read(file: BinaryIO) -> Iterator[bytes]:
        while chunk := file.read(CHUNK_BYTES):
            advance(len(chunk))
            yield chunk

    if name == "-":
        if sys.stdin is None:
            raise OSError(errno.EBADF, "it is closed", "standard input")
        yield from read(sys.stdin.buffer)
        return
    with Path(name).open("rb") as file:
        yield from read(file)


def _print_preview(console: Console, found: Preview) -> None:
    counts: Counter[tuple[str, str]] = Counter()
    reports = 0
    events = [event for batch in found.batches for event in orjson.loads(batch_array(batch))]
    for event in events:
        properties = event["properties"]
        if event["event"] == REPORT:
            reports += 1
            continue
        own = {key: value for key, value in properties.items() if key not in COMMON}
        shown = ", ".join(f"{key}={value}" for key, value in own.items())
        counts[event["event"], shown] += properties["count"]
    table = Table(title="What would be sent", title_justify="left")
    table.add_column("event")
    table.add_column("properties", overflow="fold")
    table.add_column("count", justify="right")
    for (name, shown), count in sorted(counts.items()):
        table.add_row(name, shown, str(count))
    console.print(table)
    console.print(
        f"{found.lines} lines read, {found.matched} entries matched, {found.noise} lines of noise; "
        f"{len(events)} events, {reports} of them Collection reports (one per window)."
    )
    if found.violations:
        console.print(f"{found.violations} events were discarded by the exit gate.")
    console.print(
        "Installation and stream are shown as zero UUIDs: only a running agent has them. "
        "See the batch itself with --format json."
    )
