"""What the commands that end by themselves print: preview, status.

Owns tables and messages for a person at a terminal. Must not know arguments or settings.
"""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import orjson
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from agent.model import REPORT
from agent.preview import Preview, preview
from agent.sink.batch import batch_array
from agent.source.api import ApiError, Client, NoCluster
from agent.state.configmap import ConfigMapStore
from agent.state.disk import FileStore
from agent.state.document import DocumentError, decode
from agent.state.store import StateError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from agent.modes import Decision, Switch
    from agent.pipeline import Options
    from agent.rules import RuleSet

CHUNK_BYTES = 1 << 20
LONG_BYTES = 8 << 20
COMMON = frozenset({"stream", "seq", "window_start", "window_end", "count", "botkube_version"})


def show_preview(
    files: Sequence[str],
    ruleset: RuleSet,
    *,
    window_seconds: int,
    agent_version: str,
    now_seconds: int,
    as_json: bool,
) -> int:
    """Print what would be sent for the files; `-` or none is standard input."""
    errors = Console(stderr=True)
    names = list(files) or ["-"]
    try:
        sizes = [Path(name).stat().st_size if name != "-" else 0 for name in names]
        with _progress(errors, sum(sizes)) as advance:
            found = preview(
                (_chunks(name, advance) for name in names),
                ruleset,
                window_seconds=window_seconds,
                agent_version=agent_version,
                now_seconds=now_seconds,
            )
    except OSError as error:
        errors.print(
            f"botkube-analytics: cannot read {error.filename}: {error.strerror}", markup=False
        )
        return 2
    if as_json:
        # One line a batch, each the `batch` array byte for byte as it would be on the wire.
        for batch in found.batches:
            sys.stdout.buffer.write(batch_array(batch) + b"\n")
        sys.stdout.buffer.flush()
    else:
        _print_preview(Console(), found)
    return 0


class _progress:  # noqa: N801 used like a function
    """A progress bar for long input on an interactive terminal, else nothing."""

    def __init__(self, console: Console, total: int) -> None:
        self._bar = (
            Progress(
                TextColumn("reading"),
                BarColumn(),
                DownloadColumn(),
                TimeRemainingColumn(),
                console=console,
                transient=True,
            )
            if console.is_terminal and total > LONG_BYTES
            else None
        )
        self._total = total

    def __enter__(self):  # type: ignore[no-untyped-def] # noqa: ANN204
        if self._bar is None:
            return lambda _size: None
        self._bar.start()
        task = self._bar.add_task("reading", total=self._total)
        return lambda size: self._bar.advance(task, size)

    def __exit__(self, *_exc: object) -> None:
        if self._bar is not None:
            self._bar.stop()


def _chunks(name: str, advance) -> Iterator[bytes]:  # type: ignore[no-untyped-def] # noqa: ANN001
    def read(file: BinaryIO) -> Iterator[bytes]:
        while chunk := file.read(CHUNK_BYTES):
            advance(len(chunk))
            yield chunk

    if name == "-":
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
    console.print(
        "Installation and stream are shown as zero UUIDs: only a running agent has them. "
        "See the batch itself with --format json."
    )


async def show_status(
    decision: Decision, switches: Iterable[Switch], ruleset: RuleSet, options: Options
) -> int:
    """Print the mode, every switch and what State holds."""
    console = Console()
    console.print(f"mode: [bold]{decision.mode}[/] because {decision.why}")
    table = Table("switch", "value", "says off")
    for switch in switches:
        table.add_row(switch.name, switch.value, "yes" if switch.is_off else "no")
    console.print(table)
    console.print(f"rules: {len(ruleset.rules)}, digest {ruleset.digest}")
    if decision.mode == "off":
        console.print("nothing is contacted while the mode is off; State was not read")
        return 0
    try:
        return _print_state(console, *(await _read_state(options)))
    except (StateError, ApiError, NoCluster) as error:
        console.print(f"state: {error}", markup=False)
        return 3


async def _read_state(options: Options) -> tuple[str, bytes | None]:
    if options.state_path is not None:
        store = FileStore(options.state_path, is_owner=False)
        return store.where, (await store.load()).data
    async with Client(options.access, f"botkube-analytics/{options.agent_version}") as client:
        kept = ConfigMapStore(client, options.state_namespace, options.state_name, is_owner=False)
        return kept.where, (await kept.load()).data


def _print_state(console: Console, where: str, data: bytes | None) -> int:
    console.print(f"state: {where}", markup=False)
    if data is None:
        console.print("  nothing yet: the agent has not committed here")
        return 0
    try:
        document = decode(data)
    except DocumentError as error:
        console.print(f"  {error}", markup=False)
        return 1
    console.print(
        f"  stream {document.stream}, window {document.seq} sealed, {len(document.windows.open)} "
        f"open, {len(document.outbox)} batches waiting, {document.parked} parked"
    )
    console.print(
        f"  {len(document.cursors)} containers followed, "
        f"{sum(one.total for one in document.cursors.values())} lines behind their cursors"
    )
    for event, total in sorted(document.totals.items()):
        console.print(f"  {event}: {total} sent in all")
    return 0
