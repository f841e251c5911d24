"""Ctrl-C, SIGTERM and SIGHUP while a report is made: it ends at once, and leaves nothing behind.

Owns that each becomes an exit code, whatever a library makes of what a handler raises: DuckDB says
that a query was interrupted, which would pass for a fault of the source.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from threading import current_thread, main_thread

from attrs import define


@define
class Signals:
    """Which one came, and whether it may end what is going on now."""

    number: int = 0
    is_at_once: bool = False

    def come(self, number: int, _frame: object) -> None:
        """Handle one."""
        self.number = number
        if self.is_at_once:
            self.end()

    def end(self) -> None:
        """End if one has come."""
        if self.number:
            raise SystemExit(128 + self.number)

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Let them end this in its midst; elsewhere they wait, or a folder would be left behind."""
        self.is_at_once = True
        try:
            self.end()
            yield
        except Exception:
            self.end()
            raise
        finally:
            self.is_at_once = False


@contextmanager
def handled() -> Iterator[Signals]:
    """Handle them, where that can be; one that is ignored stays so."""
    signals = Signals()
    before = {one: signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    if current_thread() is not main_thread():
        before = {}
    try:
        for one, handler in before.items():
            if handler is not signal.SIG_IGN:
                signal.signal(one, signals.come)
        yield signals
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)
