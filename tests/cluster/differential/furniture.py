"""The pods that the scripts ask about, the same on both servers."""

from __future__ import annotations

from tests.cluster.differential.sides import Side
from tests.sim.apiserver import MIDNIGHT as NOW
from tests.sim.gotime import SECOND
from tests.sim.pods import Pod

# Behind records of every kind, some that are none; the runtime's stamps may have any zone.
RECORDS = (
    "no record at all",
    "2026-11-24T00:00:02.5Z stdout F short stamp",
    "2026-11-24T01:00:03+01:00 stdout F other zone",
    "2026-11-24T00:00:04.5Z stdout P piece ",
    "2026-11-24T00:00:05.5Z stderr F of another stream",
    "2026-11-24T00:00:06.5Z stdout F:x tagged",
    "2026-11-24T00:00:06.5Z stdin F which stream",
    "2026-11-24T00:00:01Z stdout F clock ran back",
    "2026-11-24T00:00:07Z stdout F ",
    "2026-11-24T00:00:08Z stdout F",
    "",
    "2026-11-24T00:00:09Z stdout F last one",
)


def furnish(side: Side) -> None:
    """Make the pods, each named after what is particular about it."""
    _make(side, "waiting", app="other")
    _make(side, "unscheduled", node="")
    _make(side, "two", "botkube", "sidecar").start(at=NOW, container="sidecar")
    for name in ("two", "lines", "odd", "cut", "again", "empty", "alive", "alive2"):
        (side.pods.get(name) or _make(side, name)).start(at=NOW)
    for number in range(10):
        at = NOW + number * SECOND + SECOND // 4
        side.pods["lines"].write(f"line {number}\n", at=at)
    _write_odd(side.pods["odd"])
    side.pods["cut"].write("whole\nhalf", at=NOW)
    side.pods["cut"].crash(at=NOW + SECOND)
    _live_again(side.pods["again"])
    for name in ("alive", "alive2"):
        side.pods[name].write("before\n", at=NOW)


def _make(
    side: Side, name: str, *containers: str, app: str = "botkube", node: str | None = None
) -> Pod:
    images = dict.fromkeys(containers or ("botkube",), "example.org/botkube:v1.14.0")
    labels = {"app": app, "run": side.namespace}
    side.pods[name] = side.make(name, images=images, labels=labels, node=node)
    return side.pods[name]


def _write_odd(pod: Pod) -> None:
    pod.write("to stderr\n", at=NOW, stream="stderr")
    pod.write("\n  blank above, \u00fcnic\u00f6de \U0001f600 \x1b[31mred\x1b[0m\r\n", at=NOW + 1)
    pod.write("a" * 40_000 + "\n", at=NOW + SECOND + 100)
    for record in RECORDS:
        pod.log().write_record(f"{record}\n".encode())


def _live_again(pod: Pod) -> None:
    pod.write("first life\n", at=NOW)
    pod.crash(at=NOW + SECOND)
    pod.restart(at=NOW + 2 * SECOND)
    pod.write("second life\n", at=NOW + 2 * SECOND)
    pod.rotate()
    pod.write("after rotation\n", at=NOW + 3 * SECOND)
