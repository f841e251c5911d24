"""The one State document: cursors, facts, open windows and outbox, that change together.

Owns its shape and its bytes, and that old formats are still read. Must not know where it is kept.
Pure. Everything in it is a number, a random id, a keyed hash or a closed word.
"""

from __future__ import annotations

import gzip
import zlib
from base64 import b64decode, b64encode
from collections import Counter
from typing import Any

import orjson
from attrs import define, field

from agent.aggregate import Instance, SeriesKey, Window, Windows
from agent.model import Batch, Cursor, Value
from agent.resume import HASH_BYTES

FORMAT_VERSION = 1
GZIP = b"\x1f\x8b"
MAX_KEY_BYTES = 64
MAX_NUMBER = 1 << 53
"""Beyond it a number would not pass the exit gate; no count comes near."""
MAX_SECOND = 1 << 34
"""A few centuries from now: every time that nanoseconds in 63 bits can tell, and none that cannot
be written as a date."""
MAX_NS = 1 << 63
OLD_PLACE = "segment"
"""Where the releases that knew no other destination may have attempted a batch."""
MAX_WINDOW_SECONDS = 86_400


class DocumentError(Exception):
    """The bytes are not a State document that this version can read."""


class NewerFormat(DocumentError):  # noqa: N818 says what it is
    """The document was written by a later release."""


@define
class Document:
    """All that the agent knows, as it is committed.

    `key` hashes lines in cursors and is never sent. `stream` names one lineage of this document,
    `epoch` the process that owns it, `nonce` the last commit, so that an ambiguous write can be
    recognised. `holder` is whose this slot is, where there are several documents. `sends` is
    whether the mode was `on` when it was written, `installation` for whom. `stopped_seconds` is set
    by an orderly stop, `off_seconds` by a switch in the cluster. `not_before` and `off_noted` are
    what the installation's were that this goes by; None where an older release wrote it. `left` is
    which pods left the selection and may come back, by uid, and when they did. `blind` is
    from when to when nobody knows which pods came, where open windows have yet to tell so.
    `kubernetes` is what the cluster is, as it is known to be since `learned_seconds`.
    """

    key: bytes
    stream: str
    windows: Windows
    epoch: str = ""
    nonce: str = ""
    holder: str = ""
    installation: str = ""
    commits: int = 0
    seq: int = 0
    totals: Counter[str] = field(factory=Counter)
    cursors: dict[str, Cursor] = field(factory=dict)
    breaks: dict[str, tuple[Cursor, ...]] = field(factory=dict)
    instances: dict[str, Instance] = field(factory=dict)
    outbox: list[Batch] = field(factory=list)
    parked: int = 0
    restarts: dict[str, tuple[int, str, int]] = field(factory=dict)
    left: dict[str, int] = field(factory=dict)
    identified_seconds: int = 0
    identified_digest: str = ""
    learned_seconds: int = 0
    kubernetes: str = ""
    rules_digest: str = ""
    sends: bool | None = None
    stopped_seconds: int | None = None
    off_seconds: int | None = None
    not_before: int | None = None
    off_noted: int | None = None
    blind: tuple[int, int] | None = None
    saved_seconds: int = 0

    @property
    def outbox_bytes(self) -> int:
        """How much of the outbox's budget is used."""
        return sum(len(batch.body) for batch in self.outbox)


def encode(document: Document) -> bytes:
    """Return the document as compressed JSON; equal documents are equal bytes."""
    return gzip.compress(_json(document), compresslevel=1, mtime=0)


def _json(document: Document) -> bytes:
    return orjson.dumps(
        {
            "version": FORMAT_VERSION,
            "key": _pack(document.key),
            "stream": document.stream,
            "epoch": document.epoch,
            "nonce": document.nonce,
            "holder": document.holder,
            "installation": document.installation,
            "commits": document.commits,
            "seq": document.seq,
            "totals": dict(document.totals),
            "parked": document.parked,
            "restarts": {key: one[:2] for key, one in document.restarts.items()},
            "restarts_noted": {key: at for key, (*_, at) in document.restarts.items()},
            "left": document.left,
            "identified_seconds": document.identified_seconds,
            "identified_digest": document.identified_digest,
            "learned_seconds": document.learned_seconds,
            "kubernetes": document.kubernetes,
            "rules_digest": document.rules_digest,
            "sends": document.sends,
            "stopped_seconds": document.stopped_seconds,
            "off_seconds": document.off_seconds,
            "not_before": document.not_before,
            "off_noted": document.off_noted,
            "blind": document.blind,
            "saved_seconds": document.saved_seconds,
            "windows": {
                "seconds": document.windows.seconds,
                "closed_until": document.windows.closed_until,
                "count_from": document.windows.count_from,
                "stopped": document.windows.stopped,
                "open": [_window_out(at, one) for at, one in sorted(document.windows.open.items())],
            },
            "cursors": {key: _cursor_out(one) for key, one in sorted(document.cursors.items())},
            "breaks": {
                key: [_cursor_out(one) for one in found]
                for key, found in sorted(document.breaks.items())
            },
            "instances": {
                key: _instance_out(one) for key, one in sorted(document.instances.items())
            },
            "outbox": [_batch_out(batch) for batch in document.outbox],
            "places": [batch.place for batch in document.outbox],
        }
    )


def decode(data: bytes) -> Document:
    """Read a document of this or an older format. Raises `DocumentError`."""
    try:
        found = orjson.loads(gzip.decompress(data) if data[:2] == GZIP else data)
        version = found["version"]
        if type(version) is not int or version < 1:
            what = "State has no format version"
            raise DocumentError(what)
        if version > FORMAT_VERSION:
            what = (
                f"State has format {version}, this agent reads up to {FORMAT_VERSION}; "
                "use the release that wrote it, or delete State to begin anew"
            )
            raise NewerFormat(what)
        windows = found["windows"]
        return Document(
            key=_key(found["key"]),
            stream=_text(found["stream"]),
            epoch=_text(found["epoch"]),
            nonce=_text(found["nonce"]),
            # The first documents were the only ones of their installation.
            holder=_text(found.get("holder", "")),
            installation=_text(found.get("installation", "")),
            commits=_number(found["commits"]),
            seq=_number(found["seq"]),
            totals=Counter(_numbers(found["totals"])),
            parked=_number(found["parked"]),
            # When they were noted came later than the first documents of this format.
            restarts={
                key: (*_restarts(one), _second(found.get("restarts_noted", {}).get(key, 0)))
                for key, one in found["restarts"].items()
            },
            left={uid: _second(at) for uid, at in found.get("left", {}).items()},
            identified_seconds=_second(found["identified_seconds"]),
            identified_digest=_text(found["identified_digest"]),
            # These came later than the first documents of this format.
            learned_seconds=_second(found.get("learned_seconds", 0)),
            kubernetes=_text(found.get("kubernetes", "")),
            rules_digest=_text(found["rules_digest"]),
            sends=None if found["sends"] is None else _flag(found["sends"]),
            stopped_seconds=_second_or_none(found["stopped_seconds"]),
            off_seconds=_second_or_none(found.get("off_seconds")),
            not_before=_second_or_none(found.get("not_before")),
            off_noted=_second_or_none(found.get("off_noted")),
            blind=_times_or_none(found.get("blind")),
            saved_seconds=_second(found["saved_seconds"]),
            windows=Windows(
                _length(windows["seconds"]),
                _second(windows["closed_until"]),
                _second_or_none(windows["count_from"]),
                _stops(windows["stopped"]),
                {_second(one["start"]): _window_in(one) for one in windows["open"]},
            ),
            cursors={key: _cursor_in(one) for key, one in found["cursors"].items()},
            breaks={
                # This came later than the first documents of this format.
                key: tuple(map(_cursor_in, one))
                for key, one in found.get("breaks", {}).items()
            },
            instances={key: _instance_in(one) for key, one in found["instances"].items()},
            outbox=list(map(_batch_in, found["outbox"], _places(found))),
        )
    except (
        LookupError,
        TypeError,
        ValueError,
        AttributeError,
        EOFError,
        OSError,
        zlib.error,
    ) as error:
        what = f"State is not readable: {type(error).__name__}"
        raise DocumentError(what) from error


def pods_of(document: Document) -> set[str]:
    """Return the uids of the pods of which it knows anything."""
    keys = document.cursors.keys() | document.instances.keys() | document.restarts.keys()
    return {key.partition("/")[0] for key in keys}


def put_batch(document: Document, batch: Batch) -> None:
    """Put a batch in the place of the one with its `seq` and `part`, if that is still there."""
    document.outbox = [
        batch if (one.seq, one.part) == (batch.seq, batch.part) else one for one in document.outbox
    ]


def _pack(data: bytes) -> str:
    return b64encode(data).decode()


def _counts_out(counts: Counter[SeriesKey]) -> list[Any]:
    return [
        [event, version, properties, count]
        for (event, version, properties), count in sorted(counts.items(), key=repr)
    ]


def _counts_in(found: list[Any]) -> Counter[SeriesKey]:
    return Counter(
        {
            (
                _text(event),
                _text(version),
                tuple((_text(name), _value(value)) for name, value in properties),
            ): _number(count)
            for event, version, properties, count in found
        }
    )


def _window_out(start: int, window: Window) -> dict[str, Any]:
    return {
        "start": start,
        "counts": _counts_out(window.counts),
        "unsent": _counts_out(window.unsent),
        "lines": window.lines,
        "matched": window.matched,
        "late": window.late,
        "gaps": dict(window.gaps),
        "rotations": window.rotations,
        "unsent_lines": window.unsent_lines,
        "unsent_matched": window.unsent_matched,
        "unsent_late": window.unsent_late,
    }


def _window_in(found: dict[str, Any]) -> Window:
    return Window(
        _counts_in(found["counts"]),
        _counts_in(found["unsent"]),
        _number(found["lines"]),
        _number(found["matched"]),
        _number(found["late"]),
        _number(found["rotations"]),
        Counter(_numbers(found["gaps"])),
        # These came later than the first documents of this format.
        *(
            _number(found.get(name, 0))
            for name in ("unsent_lines", "unsent_matched", "unsent_late")
        ),
    )


def _cursor_out(cursor: Cursor) -> list[Any]:
    return [
        cursor.since_seconds,
        cursor.count,
        _pack(cursor.chain),
        _pack(b"".join(cursor.hashes)),
        cursor.total,
        cursor.last_ns,
    ]


def _cursor_in(found: list[Any]) -> Cursor:
    since, count, chain, hashes, total, last = found
    packed = _unpack(hashes)
    if len(packed) % HASH_BYTES:
        raise ValueError
    pieces = tuple(packed[at : at + HASH_BYTES] for at in range(0, len(packed), HASH_BYTES))
    return Cursor(
        _second(since),
        _number(count),
        _unpack(chain),
        pieces,
        _number(total),
        _within(last, MAX_NS),
    )


def _instance_out(instance: Instance) -> dict[str, Any]:
    seldom = {
        "kinds_before": instance.kinds_before,
        "counted_by": instance.counted_by,
        "began_seconds": instance.began_seconds,
    }
    return {name: one for name, one in seldom.items() if one not in ((), None)} | {
        "version": instance.version,
        "debug": instance.debug,
        "started": instance.started,
        "kind": instance.kind,
        "bots": sorted(instance.bots),
        "sinks": sorted(instance.sinks),
        "ended_seconds": instance.ended_seconds,
        "marks": sorted(instance.marks),
    }


def _instance_in(found: dict[str, Any]) -> Instance:
    return Instance(
        _text(found["version"]),
        _flag(found["debug"]),
        _flag(found["started"]),
        None if found["kind"] is None else _text(found["kind"]),
        _texts(found["bots"]),
        _texts(found["sinks"]),
        _second_or_none(found["ended_seconds"]),
        _texts(found["marks"]),
        # These came later than the first documents of this format.
        _texts_or_none(found.get("kinds_before", [])),
        _number_or_none(found.get("counted_by")),
        _second_or_none(found.get("began_seconds")),
    )


def _batch_out(batch: Batch) -> list[Any]:
    return [
        batch.seq,
        batch.part,
        _pack(batch.body),
        batch.events,
        batch.sealed_seconds,
        batch.attempted,
    ]


def _places(found: dict[str, Any]) -> list[str]:
    """Return where each batch was attempted, which came later than the first documents."""
    count = len(found["outbox"])
    places = found.get("places", [OLD_PLACE] * count)
    if not isinstance(places, list) or len(places) != count:
        raise ValueError
    return list(map(_text, places))


def _batch_in(found: list[Any], place: str) -> Batch:
    seq, part, body, events, sealed, attempted = found
    return Batch(
        _number(seq),
        _number(part),
        _body(body),
        _number(events),
        _second(sealed),
        _flag(attempted),
        place,
    )


# A value of another type, or of no sense, would fail much later, in the middle of a commit, or let
# no window close: each is checked here.


def _within(found: object, limit: int) -> int:
    if type(found) is not int:
        raise TypeError
    if not 0 <= found < limit:
        raise ValueError
    return found


def _number(found: object) -> int:
    return _within(found, MAX_NUMBER)


def _second(found: object) -> int:
    return _within(found, MAX_SECOND)


def _key(found: object) -> bytes:
    key = _unpack(found)
    if len(key) > MAX_KEY_BYTES:
        raise ValueError
    return key


def _body(found: object) -> bytes:
    body = _unpack(found)
    gzip.decompress(body)
    return body


def _length(found: object) -> int:
    seconds = _number(found)
    if not 1 <= seconds <= MAX_WINDOW_SECONDS:
        raise ValueError
    return seconds


def _stops(found: list[Any]) -> tuple[tuple[int, int], ...]:
    # The first documents had room for one, (0, 0) if there was none.
    stops = [found] if found and type(found[0]) is int else found
    return tuple((_second(start), _second(end)) for start, end in stops if end)


def _second_or_none(found: object) -> int | None:
    return None if found is None else _second(found)


def _times_or_none(found: list[Any] | None) -> tuple[int, int] | None:
    if found is None:
        return None
    start, end = found
    return _second(start), _second(end)


def _number_or_none(found: object) -> int | None:
    return None if found is None else _number(found)


def _numbers(found: dict[str, Any]) -> dict[str, int]:
    return {name: _number(count) for name, count in found.items()}


def _text(found: object) -> str:
    if not isinstance(found, str):
        raise TypeError
    return found


def _texts(found: object) -> set[str]:
    if not isinstance(found, list):
        raise TypeError
    return {_text(one) for one in found}


def _texts_or_none(found: object) -> tuple[str | None, ...]:
    if not isinstance(found, list):
        raise TypeError
    return tuple(None if one is None else _text(one) for one in found)


def _restarts(found: list[Any]) -> tuple[int, str]:
    count, current = found
    return _number(count), _text(current)


def _flag(found: object) -> bool:
    if not isinstance(found, bool):
        raise TypeError
    return found


def _value(found: object) -> Value:
    if not isinstance(found, str | int | bool):
        raise TypeError
    return found


def _unpack(found: object) -> bytes:
    return b64decode(_text(found), validate=True)
