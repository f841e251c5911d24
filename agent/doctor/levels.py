"""At which level a BotKube logs, from the end of its log. Returns one of three words. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

from agent.entries import Entries
from agent.lines import Framer, parse_stamp
from agent.records import parse

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent.model import Entry

Level: TypeAlias = Literal["debug", "info", "unknown"]


def level_of(tail: bytes) -> Level:
    """Return `debug` if a core debug entry is there, `info` if others are, else `unknown`.

    What plugins write says nothing of BotKube's own level.
    """
    level: Level = "unknown"
    for entry in _entries(tail):
        record = parse(entry)
        if record is None or record.plugin:
            continue
        if record.level == "debug":
            return "debug"
        level = "info"
    return level


def _entries(tail: bytes) -> Iterator[Entry]:
    entries = Entries()
    for number, line in enumerate(Framer().feed(tail), 1):
        stamp = parse_stamp(line)
        if stamp is not None:
            at_ns, begin = stamp
            yield from entries.feed(line[begin:], at_ns, number)
    yield from entries.finish()
