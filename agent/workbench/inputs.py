"""What a person hands to a command: the text of a file, of standard input, or itself a line."""

from __future__ import annotations

import sys
from pathlib import Path

STANDARD_INPUT = "-"


class InputError(Exception):
    """Something that was named cannot be read. The message says what and why."""


def read_log(name: str) -> bytes:
    """Read a log file, or standard input for `-`. Raises `InputError`."""
    try:
        if name == STANDARD_INPUT:
            if sys.stdin is None:
                raise InputError("cannot read standard input: it is closed")
            return sys.stdin.buffer.read()
        return Path(name).read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a NUL in a name
        what = "standard input" if name == STANDARD_INPUT else name
        why = error.strerror if isinstance(error, OSError) else "this is no name of a file"
        raise InputError(f"cannot read {what}: {why}") from error


def read_log_or_line(argument: str) -> bytes:
    """Read a log file or standard input; what is neither is a log text itself."""
    if argument == STANDARD_INPUT or (argument and _is_file(argument)):
        return read_log(argument)
    # A line in JSON may have no space; a name that begins like one is hardly a file's.
    is_line = argument.startswith('{"') or any(char.isspace() for char in argument.strip())
    if not is_line:
        raise InputError(f"{argument!r} is no file, and no log line either")
    return argument.encode("utf-8", "surrogateescape")


def _is_file(argument: str) -> bool:
    try:
        return Path(argument).exists()
    except (OSError, ValueError):  # too long for a name, or a NUL in it: a text
        return False
