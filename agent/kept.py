"""What `ledger` prints: every kept report, and one byte for byte.

Owns where the reports are looked for: the running agent, else the directory. Must not know
arguments or settings.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import orjson
from attrs import frozen
from rich.console import Console
from rich.table import Table

from agent.ask import ask_entry, ask_ledger, ask_status
from agent.ledger.directory import Directory
from agent.ledger.entries import find_number

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


@frozen
class Place:
    """Where reports may be: the port of a running agent (0: do not ask), and a directory."""

    port: int
    path: Path | None


def show_ledger(place: Place, *, as_json: bool) -> int:
    """Print what the ledger holds, the newest first."""
    found = _find(place)
    if found is None:
        return _nowhere(place)
    if as_json:
        sys.stdout.buffer.write(orjson.dumps(found, option=orjson.OPT_INDENT_2) + b"\n")
        sys.stdout.buffer.flush()
    else:
        _print(found)
    return 0


def show_entry(place: Place, name: str) -> int:
    """Print a report exactly as it was sent, without a newline after it."""
    found = _find(place)
    if found is None:
        return _nowhere(place)
    number = find_number([(one["number"], one["digest"]) for one in found], name)
    body = None if number is None else _bytes(place, number)
    if body is None:
        errors = Console(stderr=True)
        errors.print(
            "botkube-analytics: no report has this number, or only one this beginning of a digest; "
            "see botkube-analytics ledger",
            markup=False,
        )
        return 1
    sys.stdout.buffer.write(body)
    sys.stdout.buffer.flush()
    return 0


def _find(place: Place) -> list[dict[str, Any]] | None:
    asked = ask_ledger(place.port)
    if asked is not None or place.path is None:
        return asked
    try:
        return [one.head for one in Directory(place.path).read()][::-1]
    except OSError:
        return None


def _bytes(place: Place, number: int) -> bytes | None:
    if ask_status(place.port) is not None:
        return ask_entry(place.port, number)
    found = () if place.path is None else Directory(place.path).read()
    return next((one.array for one in found if one.number == number), None)


def _nowhere(place: Place) -> int:
    asked = f"no agent answers on 127.0.0.1:{place.port}" if place.port else "no agent was asked"
    kept = "ledger.path is not set" if place.path is None else f"{place.path} cannot be read"
    Console(stderr=True).print(f"botkube-analytics: {asked}, and {kept}", markup=False)
    return 3


def _print(found: Iterable[dict[str, Any]]) -> None:
    table = Table("number", "window", "events", "bytes", "destination", "answer", "at", "sha256")
    for head in found:
        says = head["answer"] + (f" ({head['detail']})" if head["detail"] else "")
        table.add_row(
            str(head["number"]),
            _at(head["window_start_seconds"]),
            str(head["events"]),
            str(head["bytes"]),
            head["destination"] or "none",
            says,
            _at(head["at_seconds"]),
            head["digest"][:12],
        )
    console = Console()
    console.print(table)
    console.print("Times are UTC. See a report itself with: botkube-analytics ledger show NUMBER")


def _at(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M}"
