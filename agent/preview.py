"""What would be sent for saved logs: the same reader, windows and builder, without a cluster.

Owns putting the pure parts together for bytes that somebody has at hand. Each input is read as one
container instance; fatal and panic entries count as crashes, because there is no container status.
"""

from __future__ import annotations

import codecs
from collections import Counter
from itertools import chain
from typing import TYPE_CHECKING

from attrs import frozen

from agent.aggregate import Instance, Windows
from agent.gate import admit, make_gate
from agent.lines import is_stamped
from agent.model import CRASHED, Batch, Identity
from agent.prefilter import Prefilter, make_prefilter
from agent.reader import Reader
from agent.reports import ZERO
from agent.sink.batch import build_window, seal

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from agent.rules import RuleSet

NOBODY = Identity(ZERO)
"""Stands for the installation, which only a running agent has."""

_HEAD_BYTES = 1 << 16
_MARKS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}


@frozen
class Preview:
    """The batches that would be sent, and what is worth knowing of the input."""

    batches: tuple[Batch, ...]
    lines: int
    matched: int
    noise: int
    violations: int


def preview(
    inputs: Iterable[Iterator[bytes]],
    ruleset: RuleSet,
    *,
    window_seconds: int,
    agent_version: str,
    now_seconds: int,
    identity: Identity = NOBODY,
    stream: str = ZERO,
    version: str = "other",
    minimum: int = 0,
) -> Preview:
    """Return what the inputs give. Windows in which nothing was read are left out.

    With the identity, stream and BotKube version of a running agent it is what that agent sends.
    """
    prefilter = make_prefilter(ruleset.literals)
    windows = Windows(window_seconds, is_bounded=False)
    instances: list[Instance] = []
    lines = matched = noise = 0
    for chunks in inputs:
        instance = Instance(version)
        instances.append(instance)
        reader: Reader | None = None
        for reader in _read(chunks, ruleset, prefilter):
            released = reader.take()
            windows.fold(instance, released, now_seconds=now_seconds)
            lines += released.lines
            matched += released.matched
        noise += reader.noise if reader is not None else 0
    batches: list[Batch] = []
    totals: Counter[str] = Counter()
    gate = make_gate(ruleset, agent_version=agent_version)
    violations = 0
    for seq, start in enumerate(sorted(windows.open), start=1):
        events, totals = build_window(
            windows.close(start, instances, bots=ruleset.bots, sinks=ruleset.sinks),
            identity=identity,
            stream=stream,
            seq=seq,
            totals=totals,
            events=(*ruleset.events, CRASHED),
            gate=gate,
            agent_version=agent_version,
            rules_digest=ruleset.digest,
            minimum=minimum,
        )
        admitted, refused = admit(gate, events)
        violations += refused
        batches += seal(admitted, seq=seq, sealed_seconds=now_seconds)[0]
    return Preview(tuple(batches), lines, matched, noise, violations)


def _read(chunks: Iterator[bytes], ruleset: RuleSet, prefilter: Prefilter) -> Iterator[Reader]:
    """Feed one input to a reader; yield the reader whenever it may have released something."""
    head = b""
    chunks = decode(chunks)
    for chunk in chunks:
        head += chunk
        if len(head) >= _HEAD_BYTES:
            break
    reader = Reader(ruleset, prefilter, stamped=is_stamped(head.split(b"\n")), count_crashes=True)
    reader.feed(head)
    yield reader
    for chunk in chunks:
        reader.feed(chunk)
        yield reader
    reader.finish()
    yield reader


def decode(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Take a byte order mark off, and turn UTF-16, in which PowerShell saves, into UTF-8."""
    head = b""
    for chunk in chunks:
        head += chunk
        if len(head) >= len(codecs.BOM_UTF8):
            break
    for mark, name in _MARKS.items():
        if head.startswith(mark):
            decoder = codecs.getincrementaldecoder(name)("replace")
            for chunk in chain((head[len(mark) :],), chunks):
                yield decoder.decode(chunk).encode("utf-8", "replace")
            yield decoder.decode(b"", final=True).encode("utf-8", "replace")
            return
    yield head
    yield from chunks
