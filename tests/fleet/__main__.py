"""`python -m tests.fleet`: write the requests of a fleet as lines of JSON, and say how it went."""

from __future__ import annotations

import argparse
import gzip
import sys
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING, cast

from tests.fleet.fleet import Fleet
from tests.fleet.world import HOUR, Setting

if TYPE_CHECKING:
    from collections.abc import Iterable


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.fleet", description=__doc__)
    parser.add_argument("--installations", type=int, default=40, metavar="N")
    parser.add_argument("--days", type=int, default=21, metavar="N")
    parser.add_argument("--seed", type=int, default=1, metavar="N")
    parser.add_argument("--window-seconds", type=int, default=HOUR, metavar="N")
    parser.add_argument(
        "--trouble", type=float, default=1.0, metavar="X", help="how much goes wrong; 0 is nothing"
    )
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FILE")
    given = parser.parse_args()
    setting = Setting(
        given.seed, given.days, given.window_seconds, trouble=given.trouble, is_exact=False
    )
    fleet = Fleet(setting, given.installations)
    started = time.monotonic()
    with open_output(given.output) as file:
        for request in shown(fleet, fleet.requests()):
            file.write(request + b"\n")
    seconds = time.monotonic() - started
    say(f"{fleet.windows:,} windows, {fleet.events:,} calls in {seconds:,.1f} s")
    for name, times in sorted(fleet.met.items()):
        say(f"{times:10,} {name}")


def open_output(path: Path) -> IO[bytes]:
    """Open a file to write to; what is named so is compressed."""
    return cast("IO[bytes]", gzip.open(path, "wb", 1)) if path.suffix == ".gz" else path.open("wb")


def say(text: str) -> None:
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def shown(fleet: Fleet, requests: Iterable[bytes]) -> Iterable[bytes]:
    """Pass requests on and say every few seconds how far the fleet is."""
    started = last = time.monotonic()
    for number, request in enumerate(requests):
        yield request
        if number % 1000 == 0 and time.monotonic() - last > 5:
            last = time.monotonic()
            rate = fleet.events / (last - started)
            say(f"{fleet.windows:,} windows, {fleet.events:,} calls, {rate:,.0f}/s")


if __name__ == "__main__":
    main()
