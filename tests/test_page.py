"""The page and its API over real HTTP: what is shown, to whom, and that it is what is sent."""

from __future__ import annotations

import asyncio
import html
import re
import socket
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import attrs
import orjson
import pytest

from agent.__main__ import main
from agent.aggregate import GAP_REASONS, Instance, Window, Windows
from agent.counting import OUTBOX_BYTES
from agent.ledger.entries import Answer, digest_of
from agent.ledger.ledger import Ledger
from agent.model import CRASHED, NANOS, Gap, Identity
from agent.modes import Decision, Mode
from agent.names import snake
from agent.preview import preview
from agent.rules import RuleSet, compile_rules
from agent.running import Running
from agent.sink.batch import batch_array, build_identity, build_window, envelope, seal
from agent.sink.outcome import Delivered, Rejected, Retry
from agent.source.api import Client
from agent.source.switches import ClusterSwitch, read_switches
from agent.status import show_running
from agent.web.lastday import HOURS, last_day, reported
from agent.web.listen import ServerError
from agent.web.loopback import serve_page
from agent.web.metrics import Snapshot, exposition
from agent.web.mode import UNKNOWN
from agent.web.page import MAX_BYTES, page
from agent.web.style import STYLE
from agent.web.view import GapRow, NextReport, RuleRow, SwitchRow, View, status
from agent.web.words import AROUND, EVERY_CALL, PROPERTIES, sentence
from tests.agents import NAMESPACE, PACE, Agent, Lab, after, lab, until, write
from tests.shipped import TEXTS
from tests.sim.pods import Pod
from tests.test_ledger import batch, send

NOW = 1_800_000_000
EMPTY = View(NOW, "1", "local", "a test")
EVIL = "</style></pre><script>alert(1)</script>\"'&<"


# --- to whom ---


@attrs.frozen
class Said:
    status: int
    headers: Mapping[str, str]
    body: bytes


@asynccontextmanager
async def served(view: View = EMPTY) -> AsyncIterator[int]:
    async with serve_page(0, lambda: view) as port:
        yield port


async def ask(port: int, path: str = "/", *, method: str = "GET", **headers: str) -> Said:
    url = f"http://127.0.0.1:{port}{path}"
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, url, headers=headers) as answer,
    ):
        return Said(answer.status, dict(answer.headers), await answer.read())


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("localhost", 200),
        ("LocalHost:9000", 200),
        ("127.0.0.1:8081", 200),
        ("[::1]:8081", 200),
        ("[::1]", 200),
        ("evil.example", 421),
        ("localhost.evil.example", 421),
        ("evil.example:8081", 421),
        ("127.0.0.1.evil.example", 421),
        ("10.0.0.7:8081", 421),
        ("localhost:8081@evil.example", 421),
        ("", 421),
    ],
)
async def test_only_names_of_this_machine_are_answered(host: str, expected: int) -> None:
    async with served() as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(f"GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        answer = await reader.read()
        writer.close()
        await writer.wait_closed()

    assert f" {expected} ".encode() in answer.partition(b"\r\n")[0]
    assert (b"BotKube Analytics" in answer) is (expected == 200)


@pytest.mark.parametrize(
    ("name", "expected"), [("localhost:8081", b"200"), ("evil.example", b"421")]
)
async def test_a_target_with_a_name_of_its_own_is_answered_for_this_machine_alone(
    name: str, expected: bytes
) -> None:
    async with served() as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        head = f"GET http://{name}/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        writer.write(head.encode())
        answer = await reader.read()
        writer.close()
        await writer.wait_closed()

    assert answer.split(b" ")[1] == expected


@pytest.mark.parametrize("head", [b"", b"Host: localhost\r\nHost: evil.example\r\n"])
async def test_no_name_or_two_are_none(head: bytes) -> None:
    async with served() as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\n" + head + b"Connection: close\r\n\r\n")
        answer = await reader.read()
        writer.close()
        await writer.wait_closed()

    assert answer.split(b" ")[1] in {b"400", b"421"}


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"])
async def test_nothing_can_be_changed(method: str) -> None:
    async with served() as port:
        said = await ask(port, method=method)

    assert (said.status, said.headers["Allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize("path", ["/", "/api/status", "/nowhere"])
async def test_every_answer_is_guarded_and_sets_no_cookie(path: str) -> None:
    async with served() as port:
        said = await ask(port, path)
        head = await ask(port, path, method="HEAD")
    policy = said.headers["Content-Security-Policy"]

    assert policy.startswith("default-src 'none'; ")
    assert "; style-src 'sha256-" in policy
    assert "unsafe" not in policy
    assert "script" not in policy
    assert said.headers["X-Content-Type-Options"] == "nosniff"
    assert said.headers["Referrer-Policy"] == "no-referrer"
    assert said.headers["Cache-Control"] == "no-store"
    assert not {"Set-Cookie", "Server", "Access-Control-Allow-Origin"} & set(said.headers)
    assert (head.status, head.body) == (said.status, b"")


async def test_it_listens_on_loopback_alone() -> None:
    async with served() as port:
        with socket.socket(socket.AF_INET6) as other, pytest.raises(OSError):  # noqa: PT011 any
            other.connect(("::1", port))
        with pytest.raises(ServerError, match=r"set page\.port to another"):
            async with serve_page(port, lambda: EMPTY):
                pass
        with socket.socket() as neighbour:
            # Bound to the wildcard address the port would be taken for this one as well.
            neighbour.bind(("127.0.0.2", port))


# --- what is on it ---


def whole(ruleset: RuleSet, **changes: object) -> View:
    """Return a view with something in every part."""
    ledger = Ledger()
    for seq in range(1, 31):
        array = send(ledger, batch(seq, seq=seq), at=NOW - 9)
        ledger.answer(array, Answer.DELIVERED if seq % 2 else Answer.RETRY, now_seconds=NOW)
    coming = batch_array(batch(99, seq=99))
    view = View(
        NOW,
        "1",
        "on",
        "a destination is set",
        switches=(SwitchRow("DO_NOT_TRACK", "false", is_off=False),),
        destination="https://one.example",
        installation_id="5f0c1ad6-3b0e-4d0e-8f7b-0a8b7a1c2d3e",
        seq=30,
        count_from_seconds=0,
        next=NextReport(NOW, NOW + 3600, is_sent=True, arrays=(coming,)),
        entries=ledger.entries,
        gaps=(GapRow("rotated", NOW - 60, NOW),),
        rules=tuple(RuleRow(rule.id, rule.event or "", rule.question, 3) for rule in ruleset.rules),
        properties={name: tuple(event.properties) for name, event in ruleset.events.items()},
    )
    return attrs.evolve(view, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("answer", "waiting", "says"),
    [
        (
            Answer.RETRY,
            2,
            "did not accept the last one (401): 2 wait to be sent. The next",
        ),
        (Answer.RETRY, 0, "Counts are sent: the next report leaves after"),
        (Answer.REJECTED, 0, "refused the last one for good (401). The next report follows after"),
        (Answer.DELIVERED, 2, "Counts are sent: the next report leaves after"),
    ],
)
def test_the_box_says_what_the_destination_said_last(
    ruleset: RuleSet, answer: Answer, waiting: int, says: str
) -> None:
    ledger = Ledger()
    first, second = (send(ledger, batch(at, seq=at), at=NOW) for at in (1, 2))
    ledger.answer(second, Answer.RETRY, detail="later", now_seconds=NOW - 1)
    ledger.answer(first, answer, detail="401", now_seconds=NOW)
    figures = Snapshot(outbox_batches=waiting)
    document = page(whole(ruleset, entries=ledger.entries, figures=figures)).decode()

    assert says in re.sub(r"<[^>]*>", "", document)
    assert ("Counts are sent" in document) is says.startswith("Counts")


@pytest.mark.parametrize("answer", [Answer.RETRY, Answer.REJECTED])
def test_the_box_blames_no_destination_for_what_another_has_said(
    ruleset: RuleSet, answer: Answer
) -> None:
    ledger = Ledger()
    ledger.answer(send(ledger, batch(1)), answer, detail="401", now_seconds=NOW)
    figures = Snapshot(outbox_batches=1)
    other = whole(
        ruleset, entries=ledger.entries, figures=figures, destination="https://two.example"
    )

    assert "Counts are sent: the next report" in page(other).decode()


def test_the_box_says_what_has_left_and_was_not_accepted(ruleset: RuleSet) -> None:
    ledger = Ledger()
    for seq, answer in enumerate((Answer.RETRY, Answer.REJECTED, Answer.DELIVERED), 1):
        ledger.answer(send(ledger, batch(seq, seq=seq)), answer, now_seconds=NOW)
    send(ledger, batch(4, seq=4))
    kept = batch(5, seq=5)
    ledger.keep_unsent(kept, array=batch_array(kept), why="withheld", now_seconds=NOW)
    said = re.sub("<[^>]*>", "", page(whole(ruleset, entries=ledger.entries)).decode())

    assert "Delivered: 1 of the 5 reports that are kept" in said
    assert "; 3 more left, but are not known to be accepted. Their exact bytes" in said


def test_there_is_no_script_no_asset_and_no_inline_style(ruleset: RuleSet) -> None:
    text = page(whole(ruleset)).decode()

    assert not re.search(r"<(script|img|link|iframe|object|embed|form|input|base)\b", text)
    assert not re.search(r"\b(style|src|on[a-z]+)=\"", text)
    assert not [url for url in re.findall(r'href="([^"]*)"', text) if url[:1] not in "#/"]
    assert not re.search(r"url\(|@import", STYLE)


def extreme(ruleset: RuleSet, text: str, count: int = 700) -> View:
    """Return a view in which every list is long and every word is."""
    ledger = Ledger()
    said = [f"{text[:40]} {at:03}" for at in range(count)]
    events = [
        {**call, "event": name, "properties": {**call["properties"], f"p{text}": text}}
        for name in said[:200]
        for call in orjson.loads(batch_array(batch(9)))[:1]
    ]
    (report,) = (
        {**call, "properties": dict.fromkeys((f"{name}_total" for name in said), 10**15)}
        for call in orjson.loads(batch_array(batch(9)))[1:]
    )
    coming = orjson.dumps([*events, report])
    for seq in range(1, 201):
        one = batch(seq, seq=seq)
        ledger.send(one, array=batch_array(one), destination=text, now_seconds=NOW)
    return whole(
        ruleset,
        why=text,
        destination=text,
        ledger_path=text,
        switches=(
            *(SwitchRow(f"{text} {at}", "not readable", is_off=False) for at in range(600)),
            SwitchRow("the last one", "true", is_off=True),
        ),
        withheld=tuple(said),
        next=NextReport(NOW, NOW + 86_400, is_sent=True, arrays=(coming,)),
        entries=tuple(
            attrs.evolve(one, summary=attrs.evolve(one.summary, counts=Counter(said)))
            for one in ledger.entries
        ),
        gaps=tuple(GapRow("backpressure", NOW - 10**8, NOW - at) for at in range(500)),
        rules=tuple(RuleRow(f"rule-{at:04}-{text}", text, text, 10**15) for at in range(999)),
        properties={name: (f"{name}_own", *(f"p{at}" for at in range(30))) for name in said},
    )


@pytest.mark.parametrize("text", ["Why? " * 900, "&" * 4096, "\N{SNOWMAN}" * 4096, EVIL * 99])
async def test_it_is_under_a_hundred_kilobytes_however_much_there_is_to_show(
    ruleset: RuleSet, text: str
) -> None:
    view = extreme(ruleset, text)
    async with served(view) as port:
        said = await ask(port)
    document = said.body.decode()
    shown_ = {
        name: part.count('<th scope="row">') + part.count("<figure>") + part.count("<summary><b>")
        for name, part in parts(document).items()
    }
    left = {
        name: [int(one.replace(",", "")) for one in re.findall(r">([\d,]+) more: ", part)]
        for name, part in parts(document).items()
    }

    assert len(said.body) <= MAX_BYTES < 100_000
    assert len(said.body) + sum(len(f"{key}: {at}") + 2 for key, at in said.headers.items()) < 1e5
    # What is shown and what is said to be left out are together all there is.
    assert shown_["rules"] + sum(left["rules"]) == 999
    assert shown_["gaps"] + sum(left["gaps"]) == 500
    assert shown_["day"] + sum(left["day"]) == 700
    assert shown_["mode"] + sum(left["mode"]) == 601 + 4
    assert shown_["next"] + sum(left["next"]) == 200 + 700
    assert shown_["fields"] + sum(left["fields"]) == len({*PROPERTIES, *EVERY_CALL, *AROUND}) + 731
    older = re.search(r"([\d,]+) older ones are in the ledger", document)
    assert older is not None
    assert shown_["reports"] + int(older.group(1)) == 200
    assert min(shown_.values()) > 0
    # The one that decides is seen, however many others there are.
    assert "off, decides" in document


def parts(document: str) -> dict[str, str]:
    """Return the sections of the page that list something, by name."""
    found = re.findall(r'<section aria-labelledby="(\w+)">(.*?)</section>', document, re.DOTALL)
    return {name: text for name, text in found if name not in {"off", "verify"}}


async def test_nothing_is_left_out_of_what_is_usual(ruleset: RuleSet) -> None:
    days = Counter(dict.fromkeys((*ruleset.events, CRASHED), 10**6))
    usual = whole(ruleset)
    usual = attrs.evolve(
        usual,
        switches=tuple(
            SwitchRow(
                f"analytics.disable in ConfigMap botkube/config-{at}", "not set", is_off=False
            )
            for at in range(10)
        ),
        entries=tuple(
            attrs.evolve(one, summary=attrs.evolve(one.summary, counts=days))
            for one in usual.entries[:24]
        ),
        gaps=tuple(GapRow("rotated", NOW - at, NOW) for at in range(30)),
    )
    document = page(usual).decode()

    assert " more: " not in document
    assert "older ones are in the ledger" not in document
    assert document.count("<figure>") == len(days)
    assert document.count("<summary><b>") == 24


def own_rules(count: int) -> dict[str, str]:
    """Return rule files of an operator with very many rules, each with an event of its own."""
    names = [f"Brew {at:03} done" for at in range(count)]
    declared = ", ".join(
        f"{one}: {{category: fork, properties: {{drink: [tea]}}}}" for one in names
    )
    files = {"own/events.yaml": f"version: 1\nevents: {{{declared}}}\n"}
    for at, name in enumerate(names):
        log = f'{{"level":"info","msg":"My fork brews{at:03}","time":"2025-06-18T08:28:13Z"}}'
        files[f"own/{at:03}.yaml"] = (
            f"id: my-fork-brews-{at:03}\nevent: {name}\nlevel: info\n"
            f"question: {'How often does my fork brew, and why? ' * 40}\n"
            f"message: 'My fork brews{at:03}$'\nproperties: {{drink: tea}}\n"
            f"hits:\n  - log: '{log}'\n    expect: {{drink: tea}}\n"
        )
    return files


@pytest.mark.timeout(180)  # an agent with 400 rules that watches 60 namespaces
async def test_the_page_of_an_agent_with_very_much_to_show_stays_small(tmp_path: Path) -> None:
    brews = [
        f'{{"level":"info","msg":"My fork brews{at:03}","time":"2025-06-18T08:28:13Z"}}\n'.encode()
        for at in range(300)
    ]
    ruleset = await asyncio.to_thread(compile_rules, {**TEXTS, **own_rules(300)})
    names = [NAMESPACE, *(f"team-{at:03}-{'x' * 50}" for at in range(59))]
    pace = attrs.evolve(PACE, switches=60.0)  # a look is one at 240 switches
    async with lab(
        tmp_path, ruleset, window_seconds=3600, namespaces=tuple(names), pace=pace
    ) as world:
        for name in names[1:]:
            world.cluster.namespace(name)
        pod = world.cluster.botkube(NAMESPACE, at=world.clock.ns())
        async with Client(world.options().access, "test") as client:
            found = await read_switches(client, names, ["botkube"], ["app=botkube"])
        async with world.agent() as agent, shown(world, agent, switches=found) as port:
            assert agent.pipeline is not None
            running = agent.pipeline
            await until(lambda: running.listing.is_settled)
            for hour in range(1, 5):
                for line in brews[: 300 if hour > 3 else 20]:
                    pod.write(line, at=world.clock.ns())
                await until(lambda: running.containers.may_close(int(world.clock.seconds())))
                for _ in range(3):
                    end = world.clock.ns()
                    running.counting.add_gap(Gap("rotated", end - NANOS, end))
                world.clock.moved += 3600
                await until(lambda: len({one["seq"] for one in world.reports()}) >= hour)  # noqa: B023
            for line in brews:
                pod.write(line, at=world.clock.ns())
            await until(lambda: running.counting.observed.total() >= 3 * 20 + 2 * 300)
            said = await ask(port)
            status_ = orjson.loads((await ask(port, "/api/status")).body)

    assert len(said.body) <= MAX_BYTES
    assert len(status_["rules"]) == len(ruleset.rules) > 400
    assert len(status_["switches"]) == 4 * 60
    assert len(status_["last_day"]) >= 300
    assert said.body.count(b" more: ") >= 4


@pytest.mark.parametrize("name", ["why", "destination", "installation_id", "version", "mode"])
def test_whatever_stands_in_a_value_is_no_markup(ruleset: RuleSet, name: str) -> None:
    view = whole(
        ruleset,
        switches=(SwitchRow(EVIL, EVIL, is_off=True),),
        gaps=(GapRow(EVIL, 0, 1),),
        rules=(RuleRow(EVIL, EVIL, EVIL, 1),),
        properties={EVIL: (EVIL,)},
        ledger_path=EVIL,
    )
    text = page(attrs.evolve(view, **{name: EVIL})).decode()  # type: ignore[arg-type]

    assert "<script" not in text
    assert text.count("</style>") == 1
    assert "&lt;script&gt;alert(1)" in text


def test_the_mode_says_why_and_until_when_nothing_is_sent(ruleset: RuleSet) -> None:
    on, local = page(whole(ruleset)).decode(), page(EMPTY).decode()
    quiet = page(whole(ruleset, count_from_seconds=NOW + 3600)).decode()

    assert "because a destination is set" in on
    assert "Nothing is sent before" not in on
    assert 'Nothing is sent before <time datetime="2027-01-15T09:00:00Z">2027-01-15 09:00' in quiet
    assert "Nothing is sent." in local


def test_the_switch_that_decides_is_named(ruleset: RuleSet) -> None:
    rows = (SwitchRow("one", "false", is_off=False), SwitchRow("two", "true", is_off=True))

    assert "off, decides" in page(whole(ruleset, switches=rows)).decode()


WAYS_OFF = (
    ("BOTKUBE_ANALYTICS_DISABLE=true", "environment"),
    ("DO_NOT_TRACK=1", "environment"),
    ("analytics.disable: true", "configuration file"),
    ("--analytics-disable",),
    ('botkube-analytics/disable: "true"', "namespace"),
    ("BotKube's own", "analytics.disable: true"),
    ("BOTKUBE_ANALYTICS_DISABLE", "environment of"),
    ("write key",),
    ("to zero", "sent when it starts again"),
    ("analytics.disable", "no pod"),
)


def test_every_way_to_switch_off_stands_on_the_page_and_in_the_privacy_notice(
    ruleset: RuleSet,
) -> None:
    notice = (
        (Path(__file__).parent.parent / "PRIVACY.md").read_text().partition("## How to stop it")[2]
    )
    ways = [line for line in notice.partition("##")[0].splitlines() if line.startswith("- ")]
    part = page(whole(ruleset)).decode().partition('id="off"')[2].partition("</section>")[0]
    off = html.unescape(re.sub("<[^>]*>", "", part))

    for way in WAYS_OFF:
        assert any(all(word in one for word in way) for one in ways)
        assert [word for word in way if word not in off] == []
    assert len(ways) == len(WAYS_OFF)


def test_what_a_local_off_keeps_is_said(ruleset: RuleSet) -> None:
    root = Path(__file__).parent.parent
    documents = [root / "PRIVACY.md", root / "README.md", root / "deploy" / "README.md"]
    said = [page(whole(ruleset)).decode(), *(one.read_text() for one in documents)]

    assert [
        one for one in said if not re.search(r"sent when (it|the agent) is on again", one)
    ] == []


ROWS = (SwitchRow("one", "false", is_off=False), SwitchRow("two", "true", is_off=True))
STANDS_BY = Snapshot(mode="on", leads=False)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        pytest.param(
            {
                "mode": "off",
                "why": "two is true",
                "switches": ROWS,
                "next": None,
                "look_every_seconds": 300,
            },
            [
                "It is looked at every 300 seconds",
                "<b>off</b>, because two is true. No log is read and nothing is sent.",
                "Take back what says off: two.",
                "Nothing is read while it is off.",
                "Delivered: 15 of the 30 reports that are kept, the last at ",
            ],
            id="off",
        ),
        pytest.param(
            {"figures": STANDS_BY, "next": None},
            ["This replica stands by: it reads and sends nothing.", "None from here now."],
            id="standing by",
        ),
        pytest.param(
            {"figures": STANDS_BY, "looked_seconds": NOW - 66, "next": None},
            ["could not be read since 2027-01-15 07:58:54 UTC"],
            id="standing by, no look since",
        ),
        pytest.param({"has_looked": False, "next": None}, ["were not read yet"], id="no look yet"),
        pytest.param(
            {"figures": STANDS_BY, "has_looked": False, "next": None},
            ["This replica stands by", "were not read yet"],
            id="standing by, no look yet",
        ),
        pytest.param(
            {"may_send": False},
            ["cannot be read now, so nothing is sent until they can.", "None from here now."],
            id="unreadable",
        ),
        pytest.param(
            {"is_untold": True},
            ["Nothing is sent until the installation object can be read", "None from here now."],
            id="installation unreadable",
        ),
        pytest.param(
            {"mode": "local", "may_send": False},
            ["cannot be read now, so what they said last holds and counting goes on.</dd>"],
            id="local, unreadable",
        ),
        pytest.param(
            {"is_full": True, "figures": Snapshot(outbox_batches=9)},
            ["so no log is read until the destination takes some of it.</dd>", "9 wait to be"],
            id="outbox full",
        ),
        pytest.param(
            {"mode": "local", "has_looked": False, "next": None},
            ["before they are, no log is read.</dd>"],
            id="local, no look yet",
        ),
        pytest.param(
            {"mode": "local", "figures": STANDS_BY, "next": None},
            ["it reads nothing. One that works has a page of its own, with what it counts.</dd>"],
            id="local, standing by",
        ),
    ],
)
def test_what_a_mode_comes_to_is_said_in_the_box(
    ruleset: RuleSet, changes: dict[str, Any], says: list[str]
) -> None:
    view = whole(ruleset, **changes)
    document = page(view).decode()

    assert [one for one in says if one not in document] == []
    assert "Counts are sent" not in document
    assert ("Switch it on" in document) is (view.mode == "off")
    assert status(view)["means"] in document
    assert 'class="answers quiet"' in document
    assert 'class="answers"' in page(whole(ruleset)).decode()


@pytest.mark.parametrize(
    "changes", [{"figures": STANDS_BY}, {"mode": "off"}], ids=["standing by", "off"]
)
@pytest.mark.parametrize(("every", "seconds"), [(30, 65), (300, 605)])
def test_since_when_the_switches_had_no_answer_is_said_once_two_looks_have_failed(
    ruleset: RuleSet, changes: dict[str, Any], every: int, seconds: int
) -> None:
    """Each may take as long as lies between them, and a little more."""
    said = [
        "could not be read since" in whole(ruleset, look_every_seconds=every, **changes, **at).means
        for at in ({"looked_seconds": NOW - seconds}, {"looked_seconds": NOW - seconds - 1}, {})
    ]

    assert said == [False, True, False]


@pytest.mark.parametrize("mode", ["on", "local", "off"])
def test_a_switch_that_may_not_be_read_is_said_first(
    ruleset: RuleSet, capsys: pytest.CaptureFixture[str], mode: str
) -> None:
    """While another says off, nothing is read whatever it says."""
    rows = (*ROWS[: 1 + (mode == "off")], SwitchRow("hidden", "not readable", is_off=False))
    view = whole(ruleset, mode=mode, switches=rows)
    box = page(view).decode().partition("</dl>")[0]
    show_running(status(view), 8081)
    said = capsys.readouterr().out

    wanted = mode != "off"
    assert ("<b>An off that stands there is not obeyed: </b>hidden. " in box) is wanted
    assert ("NOT READABLE, an off that stands there is not obeyed: hidden;" in said) is wanted


@pytest.mark.parametrize("answer", Answer)
def test_every_answer_of_a_report_is_shown_in_words(ruleset: RuleSet, answer: Answer) -> None:
    view = whole(ruleset)
    entry = attrs.evolve(view.entries[0], answer=answer, detail="")
    document = page(attrs.evolve(view, entries=(entry,))).decode()

    said = {
        Answer.WAITING: "sent, no answer known",
        Answer.DELIVERED: "delivered",
        Answer.RETRY: "not accepted, will be sent again",
        Answer.REJECTED: "refused and parked",
        Answer.DISCARDED: "not accepted when last tried, discarded",
        Answer.NOT_SENT: "not sent",
    }[answer]
    assert re.search(rf">{said}<", document)


def test_what_is_withheld_is_said_with_its_time(ruleset: RuleSet) -> None:
    held = page(whole(ruleset, withheld=("Brew done",), withheld_until_seconds=NOW + 3600)).decode()

    assert "newly disclose something of: Brew done" in held
    assert "The rules newly disclose" not in page(whole(ruleset)).decode()


def test_refused_rules_are_said(ruleset: RuleSet) -> None:
    view = whole(ruleset)
    figures = attrs.evolve(view.figures, are_rules_refused=True)

    assert "do not compile" in page(attrs.evolve(view, figures=figures)).decode()
    assert "do not compile" not in page(view).decode()


def test_headings_tables_and_regions_are_named(ruleset: RuleSet) -> None:
    text = page(whole(ruleset)).decode()

    assert text.count("<h1>") == 1
    assert text.count("<table>") == text.count("<caption>")
    assert set(re.findall(r'aria-labelledby="(\w+)"', text)) == set(
        re.findall(r'<h2 id="(\w+)"', text)
    )
    assert set(re.findall(r'href="#(\w+)"', text)) <= set(re.findall(r'id="([\w-]+)"', text))
    assert all('scope="' in cell for cell in re.findall(r"<th\b[^>]*>", text))
    assert text.count('role="img"') == text.count("<svg")
    assert '<html lang="en">' in text


def luminance(colour: str) -> float:
    full = colour if len(colour) == 6 else "".join(2 * digit for digit in colour)
    parts = [int(full[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    linear = [one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in parts]
    return sum(one * weight for one, weight in zip(linear, (0.2126, 0.7152, 0.0722), strict=True))


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize("front", ["text", "soft", "link", "good", "other"])
@pytest.mark.parametrize("back", ["back", "card"])
def test_every_colour_can_be_read(scheme: int, front: str, back: str) -> None:
    blocks = re.findall(r":root\{([^}]*)\}", STYLE)
    colours = dict(re.findall(r"--(\w+):#([0-9a-f]{3,6})", blocks[scheme].replace("\n", "")))
    high, low = sorted((luminance(colours[front]), luminance(colours[back])), reverse=True)

    assert (high + 0.05) / (low + 0.05) >= 4.5


# --- words ---


def occurring(ruleset: RuleSet) -> set[str]:
    """Return every property that can occur: of the rules' events, and of a report with all."""
    names = {"kind"} | {name for event in ruleset.events.values() for name in event.properties}
    window = Window(gaps=Counter(dict.fromkeys(GAP_REASONS, 60)))
    instance = Instance(
        "v1.14.0", debug=True, started=True, bots={*ruleset.bots}, sinks={*ruleset.sinks}
    )
    windows = Windows(3600, open={NOW: window})
    report = windows.close(NOW, [instance], bots=ruleset.bots, sinks=ruleset.sinks)
    crash = attrs.evolve(report, aggregates=())
    zero = "00000000-0000-0000-0000-000000000000"
    identity = Identity(zero, zero, "1.34", "eks")
    events, _ = build_window(
        crash,
        identity=identity,
        stream=zero,
        seq=1,
        totals={},
        events=(*ruleset.events, CRASHED),
        gate=lambda _event: None,
        agent_version="1",
        rules_digest="1",
        rules_changed=True,
    )
    calls = build_identity(identity, agent_version="1", at_seconds=NOW)
    names |= {name for event in events for name in event["properties"]}
    names |= {name for call in calls for name in call["traits"]}
    names |= {f"{snake(event)}_withheld" for event in ruleset.events}
    return names | {"count", "count_floor", "botkube_version", "events_discarded"}


def test_every_property_that_can_occur_has_one_sentence(ruleset: RuleSet) -> None:
    own = sentence("a name that no table has")
    unexplained = {name for name in occurring(ruleset) if sentence(name) == own}

    assert not unexplained


def test_every_sentence_is_of_a_property_that_can_occur(ruleset: RuleSet) -> None:
    used = {sentence(name) for name in occurring(ruleset)}

    assert not [name for name, says in PROPERTIES.items() if says not in used]


def test_every_field_around_a_property_has_a_sentence() -> None:
    zero = "00000000-0000-0000-0000-000000000000"
    calls = build_identity(Identity(zero, zero), agent_version="1", at_seconds=NOW)
    calls.append(orjson.loads(batch_array(batch()))[0])
    sealed = attrs.evolve(seal(calls, seq=1, sealed_seconds=0)[0][0], attempted=True)
    around = orjson.loads(envelope(sealed, sent_seconds=NOW, agent_version="1"))
    names = {*around, *around["context"], *around["context"]["library"]}

    assert {name for call in calls for name in call} == set(EVERY_CALL)
    assert names == set(AROUND)


# --- the last day ---


def test_counts_stand_in_the_hour_of_their_window() -> None:
    ledger = Ledger()
    array = send(ledger, batch(5))
    before = last_day(ledger.entries, now_seconds=NOW)
    ledger.answer(array, Answer.DELIVERED, now_seconds=NOW)
    (day,) = last_day(ledger.entries, now_seconds=NOW)

    assert before[0].others == [0] * 22 + [5, 0]
    assert day.delivered == [0] * 22 + [5, 0]
    assert (day.total, day.highest, sum(day.others)) == (5, 5, 0)


def test_an_hour_without_a_report_is_not_zero() -> None:
    ledger = Ledger()
    send(ledger, batch())

    assert reported(ledger.entries, now_seconds=NOW) == [False] * 22 + [True, False]
    assert reported((), now_seconds=NOW) == [False] * HOURS


def test_what_is_older_than_a_day_is_not_in_it() -> None:
    ledger = Ledger()
    send(ledger, batch())

    assert last_day(ledger.entries, now_seconds=NOW + 86_400) == ()


# --- the API, and a whole agent ---


@asynccontextmanager
async def shown(
    world: Lab, agent: Agent, mode: Mode = Mode.ON, *, switches: tuple[ClusterSwitch, ...] = ()
) -> AsyncIterator[int]:
    """Serve the page of a running agent."""
    running = Running(
        Decision(mode, "a test"),
        world.ruleset,
        world.options(),
        agent.ledger,
        switches,
        mode is Mode.ON,
        world.clock.seconds,
        agent.pipeline,
        looked=world.clock.seconds(),
    )
    async with serve_page(0, running.view) as port:
        yield port


@pytest.fixture
async def world(tmp_path: Path, ruleset: RuleSet) -> AsyncIterator[Lab]:
    async with lab(tmp_path, ruleset, window_seconds=60) as opened:
        yield opened


def exact(document: bytes, start: int = 0) -> bytes:
    """Return the exact JSON of the first element after a place in the document."""
    found = re.search(rb"<pre[^>]*>(.*?)</pre>", document[start:], re.DOTALL)
    assert found is not None
    return found.group(1).replace(b"&lt;", b"<").replace(b"&gt;", b">").replace(b"&amp;", b"&")


async def test_page_api_ledger_wire_and_preview_are_the_same_bytes(
    world: Lab, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    world.ledger_path = tmp_path / "ledger"
    # Early in a window, so that all of it is written, read and shown within the first one.
    await until(lambda: world.clock.seconds() % 60 < 1)
    pod = world.cluster.botkube(NAMESPACE, at=world.clock.ns(), version="v1.14.0")
    async with world.agent() as agent, shown(world, agent) as port:
        truth = write(pod, world, 40)
        pipeline = agent.pipeline
        assert pipeline is not None
        await until(lambda: pipeline.counting.observed.total() >= truth.total())
        await after(world, 5)
        world.clock.is_held = True
        standing = await ask(port, "/api/next")
        document = (await ask(port)).body
        world.clock.is_held = False
        await until(lambda: bool(world.reports()))
        await after(world, 1)
        (entry,) = [one for one in agent.ledger.entries if one.array == world.arrays()[0]]
        kept = await ask(port, f"/api/ledger/{entry.number}")
        later = (await ask(port)).body
        log = await saved_log(world, pod)
        identity = pipeline.counting.identity
        stream = pipeline.counting.document.stream
    # The next process, and a command that asks nobody, have what the killed one left on the disk.
    async with world.agent(seed=2) as agent, shown(world, agent) as port:
        left = await ask(port, f"/api/ledger/{entry.number}")
        again = (await ask(port)).body
    file = world.ledger_path / f"{entry.number:08}.report"
    on_disk = (await asyncio.to_thread(file.read_bytes)).partition(b"\n")[2]
    asked = ["ledger", "--ledger-path", str(world.ledger_path), "--page-port", "0"]
    code = await asyncio.to_thread(main, [*asked, "show", str(entry.number)])
    wire = world.arrays()[0]
    # A preview has no cluster and so no calls of identity, which stand in front.
    events = orjson.loads(wire)
    own = [orjson.dumps(event) for event in events if event["type"] == "track"]
    previewed = preview(
        [iter([log])],
        world.ruleset,
        window_seconds=60,
        agent_version="test",
        now_seconds=int(world.clock.seconds()),
        identity=identity,
        stream=stream,
        version="v1.14.0",
    )

    assert wire == standing.body
    assert wire == exact(document, document.index(b'id="next-json"'))
    assert wire == kept.body == left.body
    assert wire in [exact(later, at.start()) for at in re.finditer(b"<details>", later)]
    assert wire in [exact(again, at.start()) for at in re.finditer(b"<details>", again)]
    assert wire == on_disk
    assert (code, capfdbinary.readouterr().out.rstrip(b"\n")) == (0, wire)
    assert b"[" + b",".join(own) + b"]" == batch_array(previewed.batches[0])
    assert truth == world.counted()


async def saved_log(world: Lab, pod: Pod) -> bytes:
    """Return a pod's log as `kubectl logs --timestamps` saves it."""
    server = world.cluster.server
    url = f"{server.url}/api/v1/namespaces/{NAMESPACE}/pods/{pod.name}/log?timestamps=true"
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        return await answer.read()


async def test_the_api_says_the_numbers_of_the_page(world: Lab) -> None:
    pod = world.cluster.botkube(NAMESPACE, at=world.clock.ns())
    async with world.agent() as agent, shown(world, agent) as port:
        write(pod, world, 30)
        await until(lambda: len(world.reports()) > 1)
        said = orjson.loads((await ask(port, "/api/status")).body)
        heads = orjson.loads((await ask(port, "/api/ledger")).body)
        document = (await ask(port)).body.decode()

    assert said["mode"] == "on"
    assert said["installation_id"] in document
    assert said["stream"] in document
    assert said["destination"] == world.collector.url
    assert said["promise"] == "exactly once"
    assert said["ledger"]["entries"] == len(heads) > 1
    assert sum(said["rules"].values()) > 0
    for event, day in said["last_day"].items():
        total = day["delivered"] + day["not_delivered"]
        assert f"<b>{event}</b>: {total:,} in the last 24 hours" in document


async def test_the_ledgers_numbers_are_its_own_and_a_directory_that_fails_is_said(
    world: Lab,
) -> None:
    (world.folder / "ledger").write_text("a file")
    world.ledger_path = world.folder / "ledger"
    pod = world.cluster.botkube(NAMESPACE, at=world.clock.ns())
    async with world.agent() as agent, shown(world, agent) as port:
        agent.ledger.max_entries = 2
        write(pod, world, 30)
        await until(lambda: agent.ledger.dropped > 0)
        await world.finish(agent)
        said = orjson.loads((await ask(port, "/api/status")).body)["ledger"]
        document = (await ask(port)).body.decode()
        ledger = agent.ledger

    assert (said["entries"], said["bytes"]) == (2, ledger.total_bytes)
    assert (said["dropped"], said["failures"]) == (ledger.dropped, ledger.failures)
    assert min(ledger.total_bytes, ledger.dropped, ledger.failures) > 0
    assert f"holds 2 reports in {ledger.total_bytes:,} bytes" in document
    assert f"which failed {ledger.failures:,} times; what cannot be written" in document
    assert f"; {ledger.dropped:,} older ones were dropped. <a" in document
    assert f"bytes; {ledger.dropped:,} older ones were dropped. On disk" in document


@pytest.mark.parametrize("ends", ["off", "standby"])
async def test_what_was_delivered_stays_said_when_nothing_runs_any_more(
    world: Lab, ends: str
) -> None:
    """The box, the cards, the JSON and the metrics agree, whatever ended the pipeline."""
    running = Running(
        Decision(Mode.ON, "a test"),
        world.ruleset,
        world.options(),
        Ledger(),
        (),
        has_destination=True,
        clock=world.clock.seconds,
    )
    for outcome in (Delivered(), Retry("timeout"), Rejected(400)):
        running.note(batch(), outcome, NOW)
    if ends == "off":
        running.switch([ClusterSwitch("an annotation", "true", is_off=True)])
    else:
        running.stand_by()
    async with serve_page(0, running.view) as port:
        figures = orjson.loads((await ask(port, "/api/status")).body)["figures"]
        document = (await ask(port)).body.decode()
    cards = dict(re.findall(r"<div><dt>(.*?)</dt><dd>(.*?)</dd></div>", document))
    metrics = exposition(running.snapshot()).decode()

    assert [figures[f"batches_{one}"] for one in ("delivered", "retried", "rejected")] == [1, 1, 1]
    assert (figures["events_accepted"], figures["last_delivery_seconds"]) == (2, NOW)
    assert cards["Delivered since the start"] == "1"
    assert "2027-01-15 08:00" in cards["Last of them"]
    assert {cards[one] for one in ("Reports sealed", "Batches waiting", "Lines read")} == {UNKNOWN}
    assert "delivered_batches_total 1.0" in metrics


async def test_in_local_mode_the_next_report_is_shown_and_said_not_to_be_sent(world: Lab) -> None:
    pod = world.cluster.botkube(NAMESPACE, at=world.clock.ns())
    async with world.agent(sends=False) as agent, shown(world, agent, Mode.LOCAL) as port:
        truth = write(pod, world, 20)
        await until(lambda: agent_counts(agent) >= truth.total())
        standing = (await ask(port, "/api/next")).body
        said = orjson.loads((await ask(port, "/api/status")).body)
        await until(lambda: bool(agent.ledger.entries))
        kept = {one.array for one in agent.ledger.entries}

    counts = [event["properties"].get("count", 0) for event in orjson.loads(standing)[2:]]
    assert sum(counts) == truth.total()
    assert said["next"]["is_sent"] is False
    assert said["next"]["digests"] == [digest_of(standing)]
    assert standing in kept
    assert said["destination"] == ""


async def test_a_full_outbox_is_said(world: Lab) -> None:
    async with world.agent() as agent, shown(world, agent, Mode.ON) as port:
        assert agent.pipeline is not None
        before = orjson.loads((await ask(port, "/api/status")).body)
        large = attrs.evolve(batch(1), body=bytes(OUTBOX_BYTES + 1))
        agent.pipeline.counting.document.outbox = [large]
        said = orjson.loads((await ask(port, "/api/status")).body)

    assert "has filled its room" not in before["means"]
    assert "has filled its room" in said["means"]


def agent_counts(agent: Agent) -> int:
    assert agent.pipeline is not None
    return agent.pipeline.counting.observed.total()


@pytest.mark.parametrize("name", ["99", "zz", "../state", "0"])
async def test_a_report_that_is_not_there_is_not_found(ruleset: RuleSet, name: str) -> None:
    async with served(whole(ruleset)) as port:
        said = await ask(port, f"/api/ledger/{name}")

    assert said.status == 404


def test_without_a_pipeline_there_is_little_to_say() -> None:
    found = status(EMPTY)

    assert (found["next"], found["ledger"]["entries"]) == (None, 0)
    assert b"Reading has not begun yet" in page(EMPTY)
