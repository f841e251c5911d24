"""Runs of lines that are each a whole entry and no more: what need not be looked at line by line.

Owns what such a line looks like in each format. A line counts here only if `lines.parse_stamp` and
`lines.read_head` would say the same of it, and if it shows on its own that its entry ends with it;
so `entries` knows where it stands after such a run without having seen it. Must not know rules.
"""

from __future__ import annotations

import re2

from agent.model import Format
from agent.rules.words import options
from agent.stamps import BYTES

_STAMP = (
    rb"\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])"
    rb"T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d\.\d{9}Z "
)
_TEXT = (
    rb"\x1b\[\d+m(?:INFO|DEBU|WARN|ERRO)\x1b\[0m"
    rb"\[\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:Z|[+-]\d\d:\d\d)\] "
    rb"(?:[^\n]* |[^\n]*\x1b\[0m=(?:[^\s\x0b\"\x1b]*|\"(?:[^\"\\\x1b\n]|\\[^\n\x1b])*\"))"
)
"""A coloured entry that ends with the padding of its message, or with a field."""
_JSON = rb"\{(?:\"(?:level|msg)\":|\"[^\n]*\"(?:level|msg)\":)[^\n]*"
_LOGFMT = rb"time=[^\n]*"


def _run(text: bytes) -> re2._Regexp:
    return re2.compile(rb"(?:%b%b\n)*" % (_STAMP, text), options=options())


_RUNS = {
    ord("\x1b"): (Format.TEXT, _run(_TEXT)),
    ord("t"): (Format.LOGFMT, _run(_LOGFMT)),
    ord("{"): (Format.JSON, _run(_JSON)),
}


def run_at(block: bytes, begin: int) -> tuple[Format | None, int]:
    """Return the format of the run of whole entries that begins here, and where the run ends.

    `block` holds whole lines, each with its newline. Without such a line here: None and `begin`.
    """
    first = block[begin + BYTES : begin + BYTES + 1]
    found = _RUNS.get(first[0]) if first else None
    if found is None:
        return None, begin
    run = found[1].match(block, begin)
    return (found[0], run.end()) if run is not None and run.end() > begin else (None, begin)
