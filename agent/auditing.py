"""What `audit` reads and prints: an export of received events, and what is wrong with it.

Owns files, lines and a table for a person at a terminal. Must not know what makes events sound.
"""

from __future__ import annotations

import sys
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import orjson
from attrs import asdict
from rich.console import Console
from rich.table import Table

from agent.audit import Audit, is_consistent
from agent.received import NotAnEvent, read_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from agent.audit import Finding, Summary

MAX_LINE_BYTES = 8 << 20
MAX_SHOWN_FAULTS = 20


def show_audit(files: Sequence[str], *, is_part: bool, as_json: bool) -> int:
    """Check an export of received events and print what was lost or doubled, and where."""
    errors = Console(stderr=True)
    audit = Audit(is_part=is_part)
    faults: list[str] = []
    others = 0
    try:
        for name in files:
            for number, line in enumerate(_lines(name), 1):
                try:
                    ours, left = read_line(line) if line.strip() else ([], 0)
                except NotAnEvent as error:
                    faults.append(f"{name}:{number}: {error}")
                    continue
                others += left
                for one in ours:
                    audit.add(one)
    except OSError as error:
        errors.print(
            f"botkube-analytics: cannot read {error.filename}: {error.strerror}", markup=False
        )
        return 2
    if not faults and not audit.summaries():
        faults.append(f"no event of this agent, {others} others; see --help for what is read")
    for fault in faults[:MAX_SHOWN_FAULTS]:
        errors.print(f"botkube-analytics: {fault}", markup=False, soft_wrap=True)
    if faults:
        more = len(faults) - MAX_SHOWN_FAULTS
        if more > 0:
            errors.print(f"botkube-analytics: and {more} more lines like these")
        return 2
    findings = audit.findings()
    if as_json:
        _print_json(audit, findings, others)
    else:
        _print_table(Console(), audit, findings, others)
    return 0 if is_consistent(findings) else 1


def _lines(name: str) -> Iterator[bytes]:
    """Yield lines; one beyond the limit is cut there, which leaves it no JSON."""
    with ExitStack() as stack:
        file = sys.stdin.buffer if name == "-" else stack.enter_context(Path(name).open("rb"))
        while line := file.readline(MAX_LINE_BYTES):
            yield line


def _print_table(console: Console, audit: Audit, findings: Sequence[Finding], others: int) -> None:
    summaries = audit.summaries()
    if findings:
        table = Table(title="What is wrong", title_justify="left")
        for name in ("installation", "stream", "seq", "from", "to", "effect", "what"):
            table.add_column(name, overflow="fold")
        for one in findings:
            seqs = {one.first_seq: None, one.last_seq: None}
            what = one.kind if one.event is None else f"{one.event}: {one.kind}"
            counted = "" if one.count is None else f" ({one.count})"
            table.add_row(
                one.installation[:8],
                one.stream[:8],
                " to ".join(map(str, seqs)),
                "?" if one.start_seconds is None else _time(one.start_seconds),
                _time(one.end_seconds),
                one.effect,
                what + counted,
            )
        console.print(table)
    lost = len([one for one in findings if one.effect != "uncertain"])
    console.print(
        f"{'not consistent' if lost else 'consistent'}: {lost} findings in "
        f"{sum(one.events for one in summaries)} events, {sum(one.windows for one in summaries)} "
        f"windows, {len(summaries)} streams; {others} other events were not looked at"
    )


def _print_json(audit: Audit, findings: list[Finding], others: int) -> None:
    found = {
        "consistent": is_consistent(findings),
        "streams": [_plain(one) for one in audit.summaries()],
        "findings": [_plain(one) for one in findings],
        "other_events": others,
    }
    sys.stdout.buffer.write(orjson.dumps(found, option=orjson.OPT_INDENT_2) + b"\n")
    sys.stdout.buffer.flush()


def _plain(one: Finding | Summary) -> dict[str, object]:
    """Return a value for JSON, its seconds as times."""
    return {
        name.replace("_seconds", ""): _time(value) if name.endswith("_seconds") and value else value
        for name, value in asdict(one).items()
    }


def _time(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
