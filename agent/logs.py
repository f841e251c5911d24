"""What the agent writes to standard output: one JSON object a line, in closed words.

Owns which fields exist and what their values may be. A BotKube line must never get out this way:
messages are constants, arguments are not filled in, of an exception only its type is named, and
what a library says is replaced by where it said it.
"""

from __future__ import annotations

import json
import logging
import math
import re
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

MAX_CHARS = 200
MAX_TYPES = 8
LIBRARY_MESSAGE = "a library reported something"
# fmt: off
FIELDS = frozenset((
    "attempt", "batches", "bytes", "code", "commits", "container", "containers", "count",
    "digest", "event", "events", "host", "kind", "lines", "mode", "namespace", "node",
    "outcome", "part", "place", "pod", "port", "reason", "retry_seconds", "right", "rules",
    "seconds", "seq", "setting", "signal", "state", "status", "stream", "streams", "switch", "task",
    "trait", "value", "version", "why", "window_end", "window_start", "windows",
))
# fmt: on
"""The names that `extra=` may have; any other is left out. `error` and `where` are made here."""

ANNOUNCEMENT = "agent.mode"
"""The logger of the one line that is written at every level: which mode there is, and why."""

_PACKAGE = Path(__file__).parent
_LOGGER_NAME = re.compile(r"[A-Za-z0-9_.-]{1,100}")


def configure(level: str, stream: TextIO | None = None) -> None:
    """Send every log record to `stream`, or standard output, and nothing anywhere else.

    What would reach standard error with its text (an uncaught exception, a warning) is logged too.
    """
    handler = _Handler(stream or sys.stdout)
    handler.setFormatter(JsonFormatter())
    handler.addFilter(_is_wanted)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(max(logging.WARNING, _number(level)))
    logging.getLogger("agent").setLevel(_number(level))
    logging.getLogger(ANNOUNCEMENT).setLevel(logging.INFO)
    logging.captureWarnings(capture=True)
    sys.excepthook = _log_uncaught
    sys.unraisablehook = lambda what: _log_uncaught(what.exc_type, what.exc_value, None)


class JsonFormatter(logging.Formatter):
    """Turns a record into one line of ASCII JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line. Asks neither the record nor an exception for its text."""
        at = datetime.fromtimestamp(record.created, UTC)
        is_ours = _is_ours(record.name)
        is_constant = is_ours and isinstance(record.msg, str)
        line: dict[str, object] = {
            "time": at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name if _LOGGER_NAME.fullmatch(record.name) else "other",
            "message": str(record.msg)[:MAX_CHARS] if is_constant else LIBRARY_MESSAGE,
        }
        if is_ours:
            found = {name: value for name, value in vars(record).items() if name in FIELDS}
            line |= {name: _cut(value) for name, value in sorted(found.items()) if _is_plain(value)}
        else:
            line["where"] = f"{record.module}:{record.lineno}"
        if record.exc_info and (error := record.exc_info[1]) is not None:
            line["error"] = " < ".join(type(one).__name__ for one in _family(error))
            if (where := _innermost(error)) is not None:
                line["where"] = where
        return json.dumps(line, allow_nan=False)


class _Handler(logging.StreamHandler[TextIO]):
    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 logging's name
        """Say nothing: logging's own answer prints the record and its arguments."""


def _is_wanted(record: logging.LogRecord) -> bool:
    # A library may set a level of its own that lets more through.
    return _is_ours(record.name) or record.levelno >= logging.WARNING


def _is_ours(logger: str) -> bool:
    return logger == "agent" or logger.startswith("agent.")


def _number(level: str) -> int:
    return logging.getLevelNamesMapping()[level.upper()]


def _is_plain(value: object) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    return isinstance(value, (str, int))


def _cut(value: object) -> object:
    return str(value)[:MAX_CHARS] if isinstance(value, str) else value


def _family(error: BaseException) -> list[BaseException]:
    """Return an exception, what a group holds and what caused it, at most `MAX_TYPES`."""
    found: list[BaseException] = []
    waiting: list[BaseException | None] = [error]
    while waiting and len(found) < MAX_TYPES:
        one = waiting.pop(0)
        if one is None or any(one is known for known in found):
            continue
        found.append(one)
        waiting += one.exceptions if isinstance(one, BaseExceptionGroup) else ()
        waiting.append(one.__cause__ or (None if one.__suppress_context__ else one.__context__))
    return found


def _innermost(error: BaseException) -> str | None:
    """Return the innermost `file:line` of this package that an exception passed, if any."""
    for one in reversed(_family(error)):
        for path, line in reversed(list(_frames(one.__traceback__))):
            if path.is_relative_to(_PACKAGE):
                return f"{path.relative_to(_PACKAGE.parent)}:{line}"
    return None


def _frames(traceback: TracebackType | None) -> Iterator[tuple[Path, int]]:
    while traceback is not None:
        yield Path(traceback.tb_frame.f_code.co_filename), traceback.tb_lineno
        traceback = traceback.tb_next


def _log_uncaught(
    kind: type[BaseException], error: BaseException | None, _: TracebackType | None
) -> None:
    if not issubclass(kind, KeyboardInterrupt):
        logging.getLogger("agent").critical("unexpected error", exc_info=error)
