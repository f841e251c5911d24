"""Faults that a test schedules on requests, for the simulated API and for the collectors alike.

Owns what can go wrong on the wire and which request it hits; `wire` carries it out. A schedule is
chosen by path, verb, occurrence or any predicate over the request, and each fires as often as it
says.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping
from typing import Any, Literal

import attrs

# How a stream ends: RST, FIN without the last chunk, the proper last chunk, or silence on an open
# connection.
Then = Literal["reset", "close", "eof", "hang"]


@attrs.frozen
class Call:
    """A request as faults, rights and assertions see it; `verb` is Kubernetes' (list, watch, …)."""

    method: str
    path: str
    verb: str = ""
    query: Mapping[str, str] = attrs.field(factory=dict)
    resource: str = ""
    namespace: str = ""
    name: str = ""
    subresource: str = ""


@attrs.frozen
class Reset:
    """Reset the connection before any answer; the request has no effect."""


@attrs.frozen
class HalfOpen:
    """Accept the request and stay silent until the server stops."""


@attrs.frozen
class Answer:
    """Answer with this status instead; without a body the server's own words for the status."""

    status: int
    body: Mapping[str, Any] | bytes | None = None
    retry_after: int | None = None


@attrs.frozen
class LoseResponse:
    """Carry the request out, then reset the connection instead of answering."""


@attrs.frozen
class Cut:
    """Let the body pass up to a place, add a text, and end the stream in one of four ways.

    Without a place it happens where the body ends by itself. A number of bytes never ends behind
    a whole line, which looks like the end of a log: one more passes.
    """

    then: Then
    after_bytes: int | None = None
    after_lines: int | None = None
    text: bytes = b""

    def find(self, sent_bytes: int, sent_lines: int, data: bytes) -> int | None:
        """Return the index in `data` where the cut falls, if it does."""
        if self.after_bytes is not None and sent_bytes + len(data) >= self.after_bytes:
            index = max(self.after_bytes - sent_bytes, min(sent_bytes, 1))
            index += data[:index].endswith(b"\n")
            return index if index <= len(data) else None
        if self.after_lines is None or sent_lines + data.count(b"\n") < self.after_lines:
            return None
        index = 0
        for _ in range(self.after_lines - sent_lines):
            index = data.index(b"\n", index) + 1
        return index


@attrs.frozen(eq=False)
class Delay:
    """Hold the request until an event is set or some loop seconds have passed, then go on."""

    until: asyncio.Event | None = None
    seconds: float = 0.0
    then: Reset | HalfOpen | Answer | LoseResponse | Cut | None = None


Fault = Reset | HalfOpen | Answer | LoseResponse | Cut | Delay


def reset_after(body_bytes: int) -> Cut:
    return Cut("reset", after_bytes=body_bytes)


def eof_after(body_bytes: int) -> Cut:
    """End cleanly in the middle of a line, as a stopped API server does."""
    return Cut("eof", after_bytes=body_bytes)


def hang_after(*, lines: int) -> Cut:
    """Send so many lines and then nothing more, on a connection that stays open."""
    return Cut("hang", after_lines=lines)


def in_band(text: str, *, after_lines: int | None = None) -> Cut:
    """Put text without a stamp into a 200 body, after some lines or at its end; then end it."""
    return Cut("eof", after_lines=after_lines, text=text.encode())


@attrs.define(eq=False)
class Scheduled:
    """One schedule; `seen` counts the requests that it matched."""

    fault: Fault
    matches: Callable[[Call], bool]
    first: int
    times: int | None
    seen: int = 0

    def fires(self, call: Call) -> bool:
        if not self.matches(call):
            return False
        self.seen += 1
        past = self.seen - self.first
        return past >= 0 and (self.times is None or past < self.times)


@attrs.define(eq=False)
class FaultPlan:
    """All schedules of one server; the first that fires wins."""

    schedules: list[Scheduled] = attrs.field(factory=list)

    def add(
        self,
        fault: Fault,
        *,
        path: str = "",
        verb: str = "",
        nth: int = 1,
        times: int | None = 1,
        when: Callable[[Call], bool] | None = None,
    ) -> Scheduled:
        """Schedule a fault for `times` matching requests from the `nth` on (None: for ever).

        `path` is searched as a regular expression, `verb` is a Kubernetes verb or an HTTP method.
        """
        pattern = re.compile(path)

        def matches(call: Call) -> bool:
            if pattern.search(call.path) is None or (when is not None and not when(call)):
                return False
            return verb in {"", call.verb, call.method}

        scheduled = Scheduled(fault, matches, nth, times)
        self.schedules.append(scheduled)
        return scheduled

    def clear(self) -> None:
        self.schedules.clear()

    def take(self, call: Call) -> Fault | None:
        """Return the fault for a request, counting it in every schedule that it matches."""
        fired = [scheduled for scheduled in self.schedules if scheduled.fires(call)]
        return fired[0].fault if fired else None
