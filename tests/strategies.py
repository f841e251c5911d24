"""Hypothesis strategies, and the two small models that properties are held against.

`render` prints an entry as logrus does (TextFormatter with and without colours, JSONFormatter);
`Kubelet` serves a log as the kubelet does: a file, a filter by whole seconds, and rotation.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from attrs import define, field
from hypothesis import strategies as st

from agent.model import NANOS, Format

SAMPLES = Path(__file__).parent / "data" / "samples"
SAMPLE_LOGS = sorted(
    str(path.relative_to(SAMPLES)) for path in SAMPLES.rglob("*.log") if path.is_file()
)

NOON = 1_767_268_800
"""2026-01-01T12:00:00Z, where made-up logs begin."""

COLOURS = {
    "info": 36,
    "warning": 33,
    "error": 31,
    "fatal": 31,
    "panic": 31,
    "debug": 37,
    "trace": 37,
}
_BARE = re.compile(r"[A-Za-z0-9\-._/@^+]*")
_SHORT = dict(
    zip('"\\\a\b\f\n\r\t\v', ['\\"', "\\\\", *(f"\\{one}" for one in "abfnrtv")], strict=True)
)


def clock(at_seconds: int) -> str:
    """Return a time as logrus prints it."""
    return datetime.fromtimestamp(at_seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def render(level: str, message: str, fields: Mapping[str, str], *, at: int, shape: Format) -> bytes:
    """Return what logrus prints for an entry, without its last newline."""
    if shape is Format.JSON:
        entry = {**fields, "level": level, "msg": message, "time": clock(at)}
        text = json.dumps(entry, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        for char in "<>&\u2028\u2029":
            text = text.replace(char, f"\\u{ord(char):04x}")
        return text.encode()
    pairs = sorted((name, _value(value)) for name, value in fields.items())
    if shape is Format.LOGFMT:
        head = f'time="{clock(at)}" level={level} msg={_value(message)}'
        return (head + "".join(f" {name}={value}" for name, value in pairs)).encode()
    colour = f"\x1b[{COLOURS[level]}m"
    head = f"{colour}{level.upper()[:4]}\x1b[0m[{clock(at)}] {message.removesuffix(chr(10)):<44} "
    return (head + "".join(f" {colour}{name}\x1b[0m={value}" for name, value in pairs)).encode()


def _value(text: str) -> str:
    return text if _BARE.fullmatch(text) else '"' + "".join(map(_quoted, text)) + '"'


def _quoted(char: str) -> str:
    code = ord(char)
    if char in _SHORT:
        return _SHORT[char]
    if char.isprintable():
        return char
    if char < " " or char == "\x7f":
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def stamp(at_ns: int) -> bytes:
    """Return the API's stamp with nine digits."""
    return f"{clock(at_ns // NANOS)[:-1]}.{at_ns % NANOS:09d}Z".encode()


@define
class Kubelet:
    """One log file. `lines` are (stamp in ns, whole line); a rotation drops a prefix."""

    lines: list[tuple[int, bytes]] = field(factory=list)

    def write(self, at_ns: int, text: bytes) -> None:
        self.lines.append((at_ns, stamp(at_ns) + b" " + text))

    def rotate(self, dropped: int) -> None:
        del self.lines[:dropped]

    def reply(self, since_seconds: int) -> list[bytes]:
        return [line for at_ns, line in self.lines if at_ns // NANOS >= since_seconds]


def stamped(texts: Iterable[tuple[int, bytes]]) -> Kubelet:
    """Return a log of (ns, text)."""
    kubelet = Kubelet()
    for at_ns, text in texts:
        kubelet.write(at_ns, text)
    return kubelet


def chunks(data: bytes, cuts: Sequence[int]) -> list[bytes]:
    """Cut bytes at the given places."""
    places = sorted({cut % (len(data) + 1) for cut in cuts})
    return [data[a:b] for a, b in zip([0, *places], [*places, len(data)], strict=True)]


cuts = st.lists(st.integers(0, 1 << 20), max_size=12)
"""Places to cut at; taken modulo the length of what is cut."""

words = st.text(st.characters(codec="utf-8"), max_size=60)
names = st.from_regex(r"[A-Za-z_][A-Za-z0-9_.-]{0,12}", fullmatch=True).filter(
    lambda name: name not in {"time", "level", "msg", "plugin", "logger", "subsystem_name"}
)
levels = st.sampled_from(sorted(COLOURS))


@st.composite
def stamps(draw: st.DrawFn, count: int) -> list[int]:
    """Stamps of so many lines: equal, rising, or back by no more than the slack of two seconds."""
    highest = NOON * NANOS
    found = []
    step = st.one_of(
        st.just(0),
        st.integers(0, 3 * NANOS),
        st.integers(-2 * NANOS, 0),
        st.integers(0, 40 * NANOS),
    )
    for _ in range(count):
        move = draw(step)
        found.append(highest + move)
        highest = max(highest, highest + move)
    return found
