"""Non-interference: what differs only in free text gives the same bytes, and no canary gets out.

`shown` runs a log through the agent's own reader, counting, builder, state, metrics, readiness,
status and log, and returns every byte that any of them would show. Two logs that the rules decide
alike (`agent.proving.reading`) must show the same; what is planted must not be in it, alike or not.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import logging
import random
import re
import socket
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from agent import instances, logs, status
from agent.aggregate import Windows
from agent.counting import Counting
from agent.ledger.ledger import Ledger
from agent.model import NANOS, Container, Identity
from agent.modes import Decision, Mode
from agent.options import World
from agent.proving.reading import Reading, make_policy
from agent.proving.renaming import CANARY, STYLES, Renaming
from agent.proving.variant import read_log, vary
from agent.reader import Reader
from agent.rules import RuleSet
from agent.service import serve_pipeline
from agent.sink.batch import batch_array
from agent.state.document import Document, decode, encode
from agent.state.document import _json as document_json
from agent.web.metrics import Snapshot, exposition
from tests.agents import NAMESPACE, PATIENCE_SECONDS, START, Lab, lab, until
from tests.shipped import PREFILTER, RULES
from tests.strategies import SAMPLE_LOGS, SAMPLES, stamp
from tests.test_reload import ask

POLICY = make_policy(RULES)
ID = "8f14e45f-ceea-467f-9d3b-5d1c0a7e2b11"
NOON = 1_795_435_200
DEBUG_LOGGERS = ("agent", "")

CANARIES = (
    b"JqxzZqxj",
    b"xoxb-jqxz-zxqj-jjqqxxzz",
    b"https://jqxz:zxqj@qqxx.zzjj:443/jqxz?t=zxqj#qqjj",
    b"jqxz@zxqj.jq",
    b"10.20.30.40.jqxz",
    b"eyJqxzqx.zxqjqxz.jqxzzqxj",
    b"-----BEGIN JQXZ KEY-----\\njqxzzxqj",
    b"\x00jqxz\x07\x1b[31mzxqj\x1b[0m\x7f\x08",
    b"\x1b[36mbot\x1b[0m=jqxz",
    b"\xff\xfejqxz\xc3",
    "жщjqxzжщ\N{SNOWMAN}".encode(),
    b"jqxz\njqxz zxqj",
    b"jqxz\r\n\tzxqj",
    # What overlaps with closed words, numbers and what the parsers look for.
    b"getjqxz",
    b"jqxzkubectl get zxqj",
    b"429jqxz",
    b"v1.14.0-jqxz",
    b"Mattermostjqxz",
    b'"jqxz":"zxqj",',
    b'jqxz" zxqj="qqjj',
    b" bot=jqxz token=zxqj ",
    b"\\u006aqxz\\njqxz\\x6a",
    b"`jqxz` on `zxqj`",
    b"<https://jqxz.zxqj|jqxz>",
    b"2026-11-23T12:00:00Z jqxz",
    b"panic: jqxz\n\ngoroutine 1 [running]:\nmain.zxqj(0x1)",
    b"jqxz" * 3000,
)


# --- everything that anybody could see ------------------------------------------------------------


@attrs.frozen
class Shown:
    """Every byte that comes out of the agent for a log, by where it does."""

    batches: tuple[bytes, ...]
    state: bytes
    metrics: bytes
    status: str
    log: str
    errors: str
    noise: int = attrs.field(eq=False)

    @property
    def all(self) -> str:
        parts = [one.decode() for one in (*self.batches, self.state, self.metrics)]
        return "\n".join([*parts, self.status, self.log, self.errors])


def shown(log: bytes) -> Shown:
    """Return what is seen of a stamped log of one container at all outlets, logs at debug."""
    errors = io.StringIO()
    with logged() as said, contextlib.redirect_stderr(errors):
        counting = Counting(
            Document(b"k" * 32, ID, Windows(3600), epoch="e", nonce="n"),
            RULES,
            Identity(ID, ID, "1.34", "kind"),
            "1",
            sends=True,
        )
        counting.begin(now_seconds=NOON, window_seconds=3600, count_from=0, new_stream=str)
        container = Container(NAMESPACE, "pod", "uid", "botkube", "id")
        instances.instance_of(counting, container, "v1.14.0")
        reader = Reader(RULES, PREFILTER, key=b"k" * 32, count_crashes=True)
        for begin in range(0, len(log), 777):
            reader.feed(log[begin : begin + 777])
            counting.fold(container.key, reader.take(), now_seconds=NOON)
        reader.finish()
        counting.fold(container.key, reader.take(), now_seconds=NOON)
        counting.document.cursors[container.key] = reader.cursor()
        opened = document_json(counting.document)
        counting.close_due(now_seconds=NOON + 7300, may_close=lambda _end: True)
        document = counting.document
        page = exposition(
            Snapshot(
                mode="on",
                lines_read=counting.lines,
                lines_matched=counting.matched,
                noise_lines=reader.noise,
                lines_cut=reader.cut,
                observations=counting.observed,
                gap_seconds=counting.gap_seconds,
                pair_bounds_hit=reader.bound_hits,
                gate_violations=counting.violations,
            )
        )
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            status._print_state(Console(file=printed, width=120), "x", encode(document))
    assert not counting.violations
    return Shown(
        tuple(map(batch_array, document.outbox)),
        without_hashes(opened) + without_hashes(document_json(document)),
        page,
        printed.getvalue(),
        said.getvalue(),
        errors.getvalue(),
        reader.noise,
    )


@contextlib.contextmanager
def logged() -> Iterator[io.StringIO]:
    """Catch what is logged at every level, in the agent's own form, without its times."""
    said = io.StringIO()
    handler = logging.StreamHandler(said)
    handler.setFormatter(Timeless())
    kept = [(logger, logger.level) for logger in map(logging.getLogger, DEBUG_LOGGERS)]
    root = logging.getLogger()
    root.addHandler(handler)
    for logger, _ in kept:
        logger.setLevel(logging.DEBUG)
    try:
        yield said
    finally:
        root.removeHandler(handler)
        for logger, level in kept:
            logger.setLevel(level)


class Timeless(logs.JsonFormatter):
    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = orjson.loads(super().format(record))
        return orjson.dumps({**line, "time": ""}).decode()


def without_hashes(state: bytes) -> bytes:
    """Return a state document without the keyed hashes of lines, their key, and the packed outbox.

    The outbox is compared as it is sent; packed it is arbitrary bytes.
    """
    found = orjson.loads(state)
    found["key"] = ""
    found["outbox"] = len(found["outbox"])
    found["cursors"] = {
        key: [one for one in cursor if not isinstance(one, str | list)]
        for key, cursor in found["cursors"].items()
    }
    return orjson.dumps(found)


def alike(log: bytes) -> tuple[int, Mapping[int, Reading]]:
    """Return what two logs have in common that differ only in free text."""
    found = read_log(log, POLICY)
    return found.trace.lines, found.readings


# --- what is planted ------------------------------------------------------------------------------

TEMPLATES = {
    rule.id: tuple(one.log.encode() for one in (*rule.hits, *rule.misses)) for rule in RULES.rules
}
SHAPES = ("plain", "wrapped", "pieces", "joined", "torn")


def stamped(log: bytes, shape: str, cut: int) -> bytes:
    """Return a log as the API serves it, its lines in one of the shapes that happen."""
    lines = log.removesuffix(b"\n").split(b"\n")
    if shape == "wrapped":
        lines = [wrapped(line) for line in lines]
    made = []
    for number, line in enumerate(lines):
        now = stamp(NOON * NANOS + number * 1_000_000) + b" "
        at = cut % (len(line) + 1)
        match shape:
            case "pieces":  # an old kubelet gives each piece of a long line a line of its own
                made += [now + line[:at], now + line[at:]]
            case "joined":  # or a stamp in its middle
                made.append(now + line[:at] + now + line[at:])
            case "torn" if number % 2:  # in-band text of the kubelet's has no stamp
                made.append(line[at:])
            case _:
                made.append(now + line)
    return b"\n".join(made) + b"\n"


def wrapped(line: bytes) -> bytes:
    """Return a line as BotKube prints what a plugin wrote to its standard error."""
    fields = {"level": "debug", "logger": "stderr", "msg": line.decode("utf-8", "replace")}
    return orjson.dumps({**fields, "plugin": "botkube/x", "time": "2026-11-23T12:00:00Z"})


def check(log: bytes, place: int, pair: tuple[bytes, bytes], shape: str) -> bool:
    """Plant two canaries at a place; return whether the rules decide both logs alike."""
    at = place % (len(log) + 1)
    one, other = (stamped(log[:at] + canary + log[at:], shape, place) for canary in pair)
    first, second = shown(one), shown(other)

    assert CANARY.search(first.all) is None
    assert CANARY.search(second.all) is None
    is_alike = alike(one) == alike(other) and first.noise == second.noise
    if is_alike:
        assert first == second
    return is_alike


canaries = st.tuples(st.sampled_from(CANARIES), st.sampled_from(CANARIES))


@pytest.mark.parametrize("rule", sorted(TEMPLATES))
@settings(max_examples=5)
@given(data=st.data())
def test_what_is_planted_in_a_rules_lines_changes_nothing_and_is_nowhere(
    rule: str, data: st.DataObject
) -> None:
    log = data.draw(st.sampled_from(TEMPLATES[rule]))
    place = data.draw(st.integers(0, len(log)))
    check(log, place, data.draw(canaries), data.draw(st.sampled_from(SHAPES)))


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("rule", sorted(TEMPLATES))
def test_canaries_at_every_place_of_every_line_of_a_rule(rule: str) -> None:
    rng = random.Random(rule)
    for log in TEMPLATES[rule]:
        for place in range(len(log) + 1):
            pair = (rng.choice(CANARIES), rng.choice(CANARIES))
            check(log, place, pair, rng.choice(SHAPES))


def test_most_places_of_a_line_are_free_text() -> None:
    """The property above would hold of nothing if no two logs were ever decided alike."""
    rng = random.Random(1)
    plain = [one for one in CANARIES if re.fullmatch(rb"[\w:/.@?=#-]+", one)]
    logs_ = [log for logs_ in TEMPLATES.values() for log in logs_]
    tried = [
        check(log, rng.randrange(len(log)), (rng.choice(plain), rng.choice(plain)), "plain")
        for log in rng.sample(logs_, 60)
    ]

    assert sum(tried) > 0.8 * len(tried)


@pytest.mark.parametrize(
    ("name", "style"),
    [(name, STYLES[number % len(STYLES)]) for number, name in enumerate(SAMPLE_LOGS)],
)
def test_a_recorded_log_with_other_text_shows_the_same(name: str, style: str) -> None:
    log = read_log((SAMPLES / name).read_bytes(), POLICY)
    varied = vary(log, POLICY, Renaming(style, 5))
    first, second = shown(log.text), shown(varied.text)

    assert CANARY.search(second.all) is None
    assert attrs.evolve(first, metrics=b"") == attrs.evolve(second, metrics=b"")
    assert first.noise != second.noise or first == second


# --- the whole agent, over HTTP -------------------------------------------------------------------


@attrs.frozen
class Seen:
    """What a whole agent shows of a log: to its destination, to probes, to its operator."""

    batches: list[dict[str, Any]]
    metrics: list[str]
    ready: bytes
    page: str
    kept: list[bytes]
    status: str
    log: frozenset[str]
    state: bytes


TIMING = ("commits", "opened_streams", "last_delivery", "outbox", "delivered", "windows")
"""Metrics that tell how often the loop has turned."""


async def seen(
    folder: Path, ruleset: RuleSet, log: bytes, capsys: pytest.CaptureFixture[str]
) -> Seen:
    """Let a pod write a log and return all that an agent shows of it, and nothing else."""
    with logged() as said:
        async with lab(folder, ruleset, window_seconds=3600) as world:
            pod = world.cluster.botkube(NAMESPACE, at=START * NANOS)
            for number, line in enumerate(log.split(b"\n")):
                pod.write(line + b"\n", at=START * NANOS + number * 1_000_000)
            found = await _run(world, log.count(b"\n") + 1)
    out = capsys.readouterr()

    assert out.err == ""
    return attrs.evolve(
        found,
        status=out.out.replace(str(folder), "").replace(world.collector.url, "there"),
        log=frozenset(re.sub(r'"port":\d+', "", said.getvalue()).splitlines()),
    )


async def _run(world: Lab, lines: int) -> Seen:
    stop = asyncio.Event()
    port, page_port = free_port(), free_port()
    ledger = Ledger()
    ids = random.Random(1)
    decision, options = Decision(Mode.ON, "a test"), world.options()
    task = asyncio.create_task(
        serve_pipeline(
            decision,
            ("127.0.0.1", port),
            world.ruleset,
            options,
            World(
                world.clock.seconds,
                random.Random(1),
                lambda: uuid.UUID(int=ids.getrandbits(128), version=4),
                ids.randbytes,
                world.clock.monotonic,
            ),
            key="write-key",
            stop=stop,
            ledger=ledger,
            switches=(),
            page_port=page_port,
        )
    )
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            # A page has no event to wait for.
            while b"read_lines_total %d.0" % lines not in await ask(port, "/metrics"):  # noqa: ASYNC110
                await asyncio.sleep(0.1)
        world.clock.moved += 3600
        await until(lambda: len(world.reports()) > 0)
        pages = [await ask(port, path) for path in ("/metrics", "/readyz")]
        page = await look(page_port)
    finally:
        stop.set()
        await task
    assert await status.show_status(decision, (), world.ruleset, options) == 0
    assert options.state_path is not None
    document = decode(options.state_path.read_bytes())
    metrics = pages[0].partition(b"\r\n\r\n")[2].decode()
    return Seen(
        [call for call in world.collector.accepted if call.get("properties", {}).get("seq", 1) < 2],
        [line for line in metrics.splitlines() if not any(word in line for word in TIMING)],
        pages[1].partition(b"\r\n\r\n")[2],
        page,
        [one.array for one in ledger.entries if b'"seq":1,' in one.array],
        "",
        frozenset(),
        _kept(without_hashes(document_json(document))),
    )


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


async def look(port: int) -> str:
    """Return the operator's page, without ports, and times at which things happened to be done."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    host = f"127.0.0.1:{port}"
    writer.write(f"GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
    answer = (await reader.read()).decode()
    writer.close()

    assert answer.startswith("HTTP/1.1 200")
    body = answer.partition("\r\n\r\n")[2]
    return re.sub(r"\d\d:\d\d(?::\d\d)?|(?<=127\.0\.0\.1:)\d+", "", body)


def _kept(state: bytes) -> bytes:
    """Return what State says of the log; the rest tells how often it was written."""
    found = orjson.loads(state)
    wanted = (found["totals"], found["instances"], found["cursors"])
    return orjson.dumps([list(one.values()) for one in wanted])


@pytest.mark.timeout(120)  # two whole agents, each over HTTP
async def test_a_whole_agent_shows_the_same_of_two_logs_that_differ_in_free_text(
    tmp_path: Path,
    ruleset: RuleSet,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    texts = [one for logs_ in TEMPLATES.values() for one in logs_]
    log = read_log(b"\n".join(text.removesuffix(b"\n") for text in texts), POLICY)
    varied = vary(log, POLICY, Renaming("secret", 7))
    monkeypatch.setenv("COLUMNS", "400")
    folders = [tmp_path / name for name in "ab"]
    for folder in folders:
        folder.mkdir()
    first = await seen(folders[0], ruleset, log.text, capsys)
    second = await seen(folders[1], ruleset, varied.text, capsys)

    assert len(first.batches) > 50
    assert len(first.log) > 3
    assert CANARY.search(varied.text.decode("utf-8", "replace"))
    assert CANARY.search(str(second)) is None
    assert first == second
