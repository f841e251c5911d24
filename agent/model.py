"""The frozen values that pass between the stages, in the order in which a line meets them.

`container -> chunk -> LogLine -> Record -> Match -> Observation -> Window -> Aggregate -> Batch`.
This file knows no stage and imports nothing of ours. Times are integers: nanoseconds since the
epoch where they come from a log line (`*_ns`), whole seconds elsewhere (`*_seconds`).
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, TypeAlias

from attrs import field, frozen

if TYPE_CHECKING:
    from collections.abc import Mapping

NANOS = 1_000_000_000

CRASHED = "Application crashed"
"""The one event that comes from the container status rather than from a rule."""

REPORT = "Collection report"
"""The track event that says what a window could show; one per window."""

Value: TypeAlias = str | int | bool
"""What a property may be: a word of a closed vocabulary, a bucket or count, or a boolean."""

Properties: TypeAlias = tuple[tuple[str, Value], ...]
"""Properties sorted by name, so that equal properties are equal keys."""


class Format(StrEnum):
    """The shapes in which the entries of a BotKube pod stand."""

    TEXT = "text"
    LOGFMT = "logfmt"
    JSON = "json"
    STANDARD = "standard"
    KLOG = "klog"
    PANIC = "panic"


@frozen
class Container:
    """One container instance, the unit of following, of cursors and of facts."""

    namespace: str
    pod: str
    pod_uid: str
    name: str
    container_id: str

    @property
    def key(self) -> str:
        """The identity of the instance in State. Holds no name that an operator chose."""
        return f"{self.pod_uid}/{self.container_id}"


@frozen
class Entry:
    """A head line with its continuation lines: the unit of matching.

    `text` is the entry without the API's stamps, physical lines joined by a newline, at most
    `lines.MAX_LINE_BYTES` a line. `at_ns` is the API's stamp of the head, else the entry's own.
    """

    format: Format
    text: bytes
    at_ns: int
    first_line: int
    line_count: int


@frozen
class Record:
    """A parsed entry. Raw text lives here and in `Match.captures`, in memory only."""

    format: Format
    level: str
    message: bytes
    fields: Mapping[str, bytes]
    at_ns: int
    first_line: int
    plugin: bool = False


@frozen
class Observation:
    """A match after anonymisation: closed words and values only. Safe to keep and send."""

    event: str
    properties: Properties
    at_ns: int


@frozen
class Fact:
    """Something true of a container instance from here on, in closed words only."""

    name: str
    value: str


BREAK = Fact("", "break")
"""What follows may be of the next instance; no rule can state a fact without a name."""
MAX_BREAKS = 4
"""How many instances may come and go behind one late status."""


def learn(known: set[str], fact: Fact) -> None:
    """Add a fact to what is known of an instance: a platform's name, else `name=value`.

    The latest value of a fact stands; platforms only add up.
    """
    if fact.name.startswith("enabled_"):
        known.add(fact.value)
        return
    prefix = f"{fact.name}="
    known.difference_update([word for word in known if word.startswith(prefix)])
    known.add(prefix + fact.value)


@frozen
class Cursor:
    """How far one container instance has been folded.

    `since_seconds` is what the next request asks for. `count`, `chain` and `hashes` describe, in
    arrival order, the folded lines stamped at or after it: their number, a chained keyed hash over
    all of them, and the keyed hashes of the last few. `total` counts all folded lines.
    """

    since_seconds: int = 0
    count: int = 0
    chain: bytes = b""
    hashes: tuple[bytes, ...] = ()
    total: int = 0
    last_ns: int = 0


class Continuity(StrEnum):
    """What the head of a reply says about the lines folded before it."""

    FRESH = "fresh"
    CONTINUOUS = "continuous"
    ROTATED = "rotated"
    GAP = "gap"


@frozen
class Gap:
    """An interval of one container in which lines could not be had, and why."""

    reason: str
    start_ns: int
    end_ns: int


@frozen
class Released:
    """What a reader hands over to be folded in one step: effects of lines, in line order.

    `lines_at` and `matched_at` count lines and matched entries by the second of their stamps;
    `rotations` says how often the file was seen to have been rotated since it was read last;
    `hits` counts entries by the rule that took them. `ahead_ns` is by how much stamps were at most
    ahead of the clock when their lines were read, those that had to wait among them.
    """

    observations: tuple[Observation, ...] = ()
    facts: tuple[Fact, ...] = ()
    gaps: tuple[Gap, ...] = ()
    lines_at: Mapping[int, int] = field(factory=dict)
    matched_at: Mapping[int, int] = field(factory=dict)
    rotations: int = 0
    last_ns: int = 0
    hits: Mapping[str, int] = field(factory=dict)
    ahead_ns: int = 0

    @property
    def lines(self) -> int:
        """How many lines were released."""
        return sum(self.lines_at.values())

    @property
    def matched(self) -> int:
        """How many of the released entries a rule matched."""
        return sum(self.matched_at.values())

    def __bool__(self) -> bool:
        return bool(self.lines_at or self.observations or self.facts or self.gaps or self.rotations)


@frozen
class Aggregate:
    """The count of one key in one closed window."""

    event: str
    properties: Properties
    botkube_version: str
    count: int


@frozen
class Report:
    """What one closed window says: its aggregates, and what the Collection report says of it.

    `collection` holds the properties that only this window knows (lines, gaps, observability,
    enabled integrations); sums and identity are added by the one builder, `sink.batch`.
    """

    start_seconds: int
    end_seconds: int
    aggregates: tuple[Aggregate, ...]
    collection: Properties


@frozen
class Identity:
    """Who reports, in closed words; `None` where a right is missing or the operator wants none."""

    installation_id: str
    cluster_id: str | None = None
    kubernetes_minor: str | None = None
    distribution: str | None = None


@frozen
class Batch:
    """A sealed `batch` array: frozen bytes that are never rebuilt, and what is known of them.

    `body` is the gzip-compressed JSON array; `events` is its length; `sealed_seconds` is the
    agent's clock when it was sealed. `attempted` is whether a destination may have it, as far as
    nobody knows better; `place` is which one it is known to have been given to, empty for none.
    """

    seq: int
    part: int
    body: bytes
    events: int
    sealed_seconds: int
    attempted: bool = False
    place: str = ""
