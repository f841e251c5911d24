"""What a start costs: imports, rules, and the whole of a process that only starts."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

from tests.bench import peers
from tests.bench.figures import Row, within

if TYPE_CHECKING:
    from collections.abc import Iterator

_TOLD = """
import json, sys, time
before = len(sys.modules)
began = time.process_time()
import agent.service
from agent.source.api import load_credentials_code
load_credentials_code()
imported = time.process_time()
from agent.prefilter import make_prefilter
from agent.rulefiles import load_rules
make_prefilter(load_rules([]).literals)
print(json.dumps([imported - began, len(sys.modules) - before, time.process_time() - imported]))
"""


def measure(*, turns: int) -> Iterator[Row]:
    """Yield the rows of a start."""
    told = [_tell() for _ in range(turns)]
    bare = min(peers.cpu_seconds([sys.executable, "-c", "pass"]) for _ in range(turns))
    shown = min(peers.cpu_seconds([sys.executable, "-m", "agent", "--help"]) for _ in range(turns))
    imports, modules, rules = (min(one) for one in zip(*told, strict=True))
    yield within("start", "bare python", bare * 1000, "CPU ms")
    yield within("start", f"imports of `run`, {modules:.0f} modules", imports * 1000, "CPU ms")
    yield within("start", "shipped rules and prefilter", rules * 1000, "CPU ms")
    yield within("start", "`--help`", shown * 1000, "CPU ms")


def _tell() -> list[float]:
    call = [sys.executable, "-c", _TOLD]
    done = subprocess.run(call, check=True, capture_output=True)  # noqa: S603 our own
    found: list[float] = json.loads(done.stdout)
    return found
