"""One kept report: its exact bytes, what became of it, and its form in a file.

Owns the words of the answers, the digest and the file format. Must not know clocks, files or what
sends. Pure.

A file is a line of JSON about the report, a newline, and then the `batch` array, byte for byte and
without a newline after it, so that `tail -n +2 FILE | sha256sum` gives the digest.
"""

from __future__ import annotations

import gzip
from datetime import datetime
from enum import StrEnum
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import orjson
from attrs import field, frozen

from agent.model import REPORT

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

FORMAT_VERSION = 1
MIN_DIGITS = 6
"""Of a digest, to name a report."""
_GAP = "gap_seconds_"


class Answer(StrEnum):
    """What became of a report."""

    WAITING = "waiting"
    """It was given to the destination; no answer is known. With a detail: nor will one be."""
    DELIVERED = "delivered"
    RETRY = "retry"
    REJECTED = "rejected"
    DISCARDED = "discarded"
    """The destination's last answer did not accept it, and it is not sent again."""
    NOT_SENT = "not_sent"


UNANSWERED = frozenset({"timeout", "connection"})
"""The reasons of a retry that are no answer: the destination may have accepted it."""


class EntryError(ValueError):
    """The bytes are no entry that this version can read, or not what their digest says."""


@frozen
class Summary:
    """What an array says, in numbers: one window, its counts by event, its gaps by reason."""

    start_seconds: int = 0
    end_seconds: int = 0
    counts: Mapping[str, int] = field(factory=dict)
    gaps: Mapping[str, int] = field(factory=dict)


@frozen
class Entry:
    """One report. `body` is the gzip-compressed bytes that the destination is given, `size` their
    length before that; `sealed` is the digest of the array of which they were made.

    `detail` is the reason of a retry, the status of a rejection, why it was not sent: `local`
    (nothing is sent in this mode), `before_start` (before sending begins) or `withheld` (the rules
    newly disclose it), or why it will not be sent (again): `switched_off` or `mode_changed` (that,
    or the installation), `destination_changed` (another one may have it) or `at_most_once` (this
    one may). `at_seconds` is when this became known, `first_seconds` when it was first
    given to the destination, or closed.
    """

    number: int
    digest: str
    sealed: str
    body: bytes = field(repr=False)
    size: int
    events: int
    first_seconds: int
    at_seconds: int
    destination: str
    answer: Answer
    detail: str = ""
    attempts: int = 0
    summary: Summary = Summary()

    @property
    def is_unanswered(self) -> bool:
        """Whether the last attempt had no answer, so that it may have been accepted."""
        is_retry = self.answer is Answer.RETRY
        return self.answer is Answer.WAITING or (is_retry and self.detail in UNANSWERED)

    @property
    def array(self) -> bytes:
        """What the destination is given, byte for byte: the `batch` array or its translation."""
        return gzip.decompress(self.body)

    @property
    def head(self) -> dict[str, Any]:
        """All that is known of the report but its bytes, as JSON has it."""
        return {
            "number": self.number,
            "digest": self.digest,
            "bytes": self.size,
            "events": self.events,
            "first_seconds": self.first_seconds,
            "at_seconds": self.at_seconds,
            "destination": self.destination,
            "answer": str(self.answer),
            "detail": self.detail,
            "attempts": self.attempts,
            "window_start_seconds": self.summary.start_seconds,
            "window_end_seconds": self.summary.end_seconds,
        }


def digest_of(array: bytes) -> str:
    """Return the digest by which a report is named."""
    return sha256(array).hexdigest()


def find_number(known: Sequence[tuple[int, str]], name: str) -> int | None:
    """Return the number that a name means: itself, or the beginning of one digest alone."""
    if any(name == str(number) for number, _ in known):
        return int(name)
    begins = [number for number, digest in known if digest.startswith(name.lower())]
    return begins[0] if len(begins) == 1 and len(name) >= MIN_DIGITS else None


def summarize(array: bytes) -> Summary:
    """Return what an array says in numbers. Raises `ValueError` for what is no array of ours."""
    start = end = 0
    counts: dict[str, int] = {}
    gaps: dict[str, int] = {}
    for event in orjson.loads(array):
        properties = event.get("properties")
        if properties is None:
            continue  # identify and group
        start, end = _seconds(properties["window_start"]), _seconds(properties["window_end"])
        if event["event"] == REPORT:
            for name, value in properties.items():
                if name.startswith(_GAP):
                    gaps[name.removeprefix(_GAP)] = int(value)
        else:
            counts[event["event"]] = counts.get(event["event"], 0) + int(properties["count"])
    return Summary(start, end, counts, gaps)


def encode(entry: Entry) -> bytes:
    """Return an entry as the bytes of its file."""
    more = {"sealed": entry.sealed, "counts": entry.summary.counts, "gaps": entry.summary.gaps}
    return orjson.dumps({"version": FORMAT_VERSION, **entry.head, **more}) + b"\n" + entry.array


def decode(data: bytes) -> Entry:
    """Read the bytes of a file. Raises `EntryError`."""
    first, _, array = data.partition(b"\n")
    try:
        head = orjson.loads(first)
        _check(head["version"] == FORMAT_VERSION, "it has another format version")
        _check(head["digest"] == digest_of(array), "it is not what its digest says")
        return Entry(
            number=int(head["number"]),
            digest=str(head["digest"]),
            # Which array it was came later than the first files, in which it is the array itself.
            sealed=str(head.get("sealed", head["digest"])),
            body=gzip.compress(array, mtime=0),
            size=len(array),
            events=int(head["events"]),
            first_seconds=int(head["first_seconds"]),
            at_seconds=int(head["at_seconds"]),
            destination=str(head["destination"]),
            answer=Answer(head["answer"]),
            detail=str(head["detail"]),
            attempts=int(head["attempts"]),
            summary=_summary(head) if "counts" in head else summarize(array),
        )
    except EntryError:
        raise
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        what = f"the entry is not readable: {type(error).__name__}"
        raise EntryError(what) from error


def _summary(head: Mapping[str, Any]) -> Summary:
    counts, gaps = (
        {str(name): int(value) for name, value in head[one].items()} for one in ("counts", "gaps")
    )
    start, end = int(head["window_start_seconds"]), int(head["window_end_seconds"])
    return Summary(start, end, counts, gaps)


def _check(is_so: bool, else_what: str) -> None:  # noqa: FBT001 like an assert
    if not is_so:
        raise EntryError(else_what)


def _seconds(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp())
