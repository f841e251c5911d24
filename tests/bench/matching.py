"""Matching with extraction and counting, against programs that only find or count lines.

The agent's own reader and windows, from the bytes of a reply to counts, in this process; grep,
ripgrep and mtail from a file that is in memory. CPU seconds of each, the least of several turns.
"""

from __future__ import annotations

import time
from collections import Counter
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

from agent.aggregate import Instance, Windows
from agent.prefilter import make_prefilter
from agent.reader import Reader
from agent.rulefiles import load_rules
from tests.bench import peers
from tests.bench.figures import Row, faster
from tests.bench.logs import FORMATS, LEVELS, Log, make_log

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from agent.prefilter import Prefilter
    from agent.rules import RuleSet

SHARES = (0.001, 0.01, 0.1, 1.0)
CHUNK_BYTES = 128 * 1024
"""What a stream hands over at most."""
FEW, MANY = 0.02, 0.2
MTAIL_BYTES = 2 << 20
"""It is slow, and what it needs to start is subtracted."""


def count(log: Log, ruleset: RuleSet, prefilter: Prefilter) -> tuple[float, set[str]]:
    """Read and count a log; return the CPU seconds, and the rules that took entries."""
    began = time.process_time()
    reader, windows, instance = Reader(ruleset, prefilter, key=b"k" * 32), Windows(3600), Instance()
    windows.count_from = 0
    hits: Counter[str] = Counter()

    def fold() -> int:
        released = reader.take()
        windows.fold(instance, released, now_seconds=int(time.time()))
        hits.update(released.hits)
        return released.matched

    matched = 0
    for begin in range(0, len(log.data), CHUNK_BYTES):
        reader.feed(log.data[begin : begin + CHUNK_BYTES], now_ns=time.time_ns())
        matched += fold()
    reader.finish()
    matched += fold()
    reader.cursor()
    used = time.process_time() - began
    assert matched == log.matching, (matched, log.matching)
    return used, set(hits)


def measure(folder: Path, *, size: int, turns: int, here: frozenset[str]) -> Iterator[Row]:
    """Yield a row for each log and peer."""
    bench = _Bench(folder, load_rules([]), turns, here)
    for form, level, share in product(FORMATS, LEVELS, SHARES):
        yield from bench.compare(f"{form} {level} {share:.1%}", make_log(form, level, share, size))


class _Bench:
    """The peers' files, and the runs one after the other, so that all meet the same machine."""

    def __init__(self, folder: Path, ruleset: RuleSet, turns: int, here: frozenset[str]) -> None:
        self._folder, self._ruleset, self._turns, self._here = folder, ruleset, turns, here
        self._prefilter = make_prefilter(ruleset.literals)
        self._log, self._short = folder / "bench.log", folder / "short.log"
        self._literals = str(peers.write_literals(ruleset, folder))
        self._all = peers.write_mtail(ruleset.rules, folder / "all.mtail")
        (folder / "empty.log").write_bytes(b"")

    def compare(self, of: str, log: Log) -> Iterator[Row]:
        """Measure one log with everybody."""
        short = log.data[: log.data.rfind(b"\n", 0, MTAIL_BYTES) + 1]
        self._log.write_bytes(log.data)
        self._short.write_bytes(short)
        _, hits = count(log, self._ruleset, self._prefilter)
        few = [rule for rule in self._ruleset.rules if rule.id in hits]
        some = peers.write_mtail(few, self._folder / "some.mtail")
        calls: dict[str, tuple[str, int, Callable[[], float]]] = {
            "agent": ("", len(log.data), lambda: count(log, self._ruleset, self._prefilter)[0]),
            "grep -Ec": ("grep", len(log.data), lambda: self._find("grep", "-Ecf")),
            "rg -c": ("rg", len(log.data), lambda: self._find("rg", "-cf")),
            "mtail": ("mtail", len(short), lambda: self._mtail(self._all)),
            f"mtail, {len(few)} rules": ("mtail", len(short), lambda: self._mtail(some)),
        }
        least = {name: float("inf") for name, (of, *_) in calls.items() if of in {"", *self._here}}
        for _, name in product(range(self._turns), least):
            least[name] = min(least[name], calls[name][2]())
        speeds = {name: calls[name][1] / 2**20 / max(used, 1e-3) for name, used in least.items()}
        what = f"matching, {len(log.data) / log.lines:.0f} B a line"
        for name, speed in speeds.items():
            if name != "agent":
                goal = _goal(name, log.matching / log.lines)
                yield faster(what, of, speeds["agent"], name, speed, goal)

    def _find(self, *call: str) -> float:
        return peers.cpu_seconds([*call, self._literals, str(self._log)])

    def _mtail(self, program: Path) -> float:
        used = peers.cpu_seconds(peers.mtail(program, self._short))
        return used - peers.cpu_seconds(peers.mtail(program, self._folder / "empty.log"))


def _goal(peer: str, share: float) -> float | None:
    goals = {"grep -Ec": (1.0, 0.25, None), "mtail": (None, 12.0, 1.5)}
    few, some, many = goals.get(peer, (None, None, None))
    return few if share < FEW else some if share < MANY else many
