"""The page in a real headless Chromium: it fits, says nothing on the console, asks nobody else.

`PAGE_PICTURES=FOLDER` keeps what it looked like, for a person to see.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest

from agent.modes import Mode
from agent.rules import RuleSet
from tests.agents import NAMESPACE, Lab, after, lab, until, write
from tests.browser import Tab, browser, find
from tests.test_page import ask, served, shown, whole

CHROMIUM = find()
PHONE, DESKTOP = 390, 1280
PICTURES = os.environ.get("PAGE_PICTURES")

pytestmark = [
    pytest.mark.skipif(
        CHROMIUM is None, reason="no chromium here: apt-get install chromium to run these"
    ),
    # A browser starts in seconds where the machine is busy.
    pytest.mark.timeout(120),
]


@pytest.fixture
async def tab(tmp_path: Path) -> AsyncIterator[Tab]:
    assert CHROMIUM is not None
    async with browser(CHROMIUM, tmp_path / "profile") as opened:
        yield opened


@asynccontextmanager
async def running(folder: Path, ruleset: RuleSet) -> AsyncIterator[tuple[Lab, int]]:
    """Run an agent that has delivered reports, and serve its page."""
    async with lab(folder, ruleset, window_seconds=60) as world:
        pod = world.cluster.botkube(NAMESPACE, at=world.clock.ns())
        async with world.agent() as agent:
            write(pod, world, 40)
            await until(lambda: len(world.reports()) > 1)
            await after(world, 2)
            # What is shown and what is asked afterwards is of one moment.
            world.clock.is_held = True
            async with shown(world, agent, Mode.ON) as port:
                yield world, port


OPEN_ALL = "document.querySelectorAll('details').forEach(one => one.open = true)"
OVERFLOW = """[...document.querySelectorAll('body *')]
    .filter(one => one.getBoundingClientRect().right > innerWidth + 1 && !one.closest('.skip'))
    .map(one => one.tagName)"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [PHONE, DESKTOP])
async def test_it_fits_says_nothing_and_asks_nobody_else(
    tab: Tab, ruleset: RuleSet, width: int, scheme: str
) -> None:
    async with served(whole(ruleset)) as port:
        await tab.show(f"http://127.0.0.1:{port}/", width=width, scheme=scheme)
        closed = await tab.find("document.documentElement.scrollWidth")
        await tab.find(OPEN_ALL)
        opened = await tab.find("document.documentElement.scrollWidth")
        wide = await tab.find(OVERFLOW)
        back = await tab.find("getComputedStyle(document.body).backgroundColor")
        if PICTURES is not None:
            await tab.picture(Path(PICTURES) / f"page-{width}-{scheme}.png")

    assert (closed, opened, wide) == (width, width, [])
    assert tab.console == []
    assert set(tab.requests) == {f"http://127.0.0.1:{port}/"}
    assert (back == "rgb(255, 255, 255)") is (scheme == "light")


async def test_the_numbers_that_are_seen_are_those_of_the_api(
    tab: Tab, tmp_path: Path, ruleset: RuleSet
) -> None:
    async with running(tmp_path, ruleset) as (world, port):
        await tab.show(f"http://127.0.0.1:{port}/", width=DESKTOP)
        said: dict[str, Any] = orjson.loads((await ask(port, "/api/status")).body)
        facts = await tab.find(
            "Object.fromEntries([...document.querySelectorAll('dl.facts div')]"
            ".map(one => [...one.children].map(part => part.innerText)))"
        )
        charts = await tab.find(
            "[...document.querySelectorAll('figcaption')].map(one => one.innerText)"
        )
        reports = await tab.find("document.querySelectorAll('#reports ~ details').length")
        hits = await tab.find(
            "Object.fromEntries([...document.querySelectorAll('#rules ~ table tbody tr')]"
            ".map(row => [row.cells[0].innerText, row.cells[2].innerText]))"
        )
        await tab.find(OPEN_ALL)
        exact = await tab.find("document.querySelector('#reports ~ details pre').textContent")

    figures = said["figures"]
    assert facts["Reports sealed"] == f"{said['seq']:,}"
    assert facts["Lines read"] == f"{figures['lines_read']:,}"
    assert facts["Batches waiting"] == f"{figures['outbox_batches']:,}"
    assert facts["Batches refused, parked"] == f"{said['parked']:,}"
    assert len(charts) == len(said["last_day"]) > 0
    for line, (event, day) in zip(charts, said["last_day"].items(), strict=True):
        total = day["delivered"] + day["not_delivered"]
        assert line.startswith(f"{event}: {total:,} in the last 24 hours, {day['delivered']:,} of")
    assert reports == said["ledger"]["entries"]
    assert {rule: int(count.replace(",", "")) for rule, count in hits.items()} == said["rules"]
    assert exact.encode() in world.arrays()


async def test_everything_is_reached_by_keyboard(tab: Tab, ruleset: RuleSet) -> None:
    async with served(whole(ruleset)) as port:
        await tab.show(f"http://127.0.0.1:{port}/", width=DESKTOP)
        await tab.press("Tab")
        first = await tab.find("document.activeElement.innerText")
        seen = await tab.find("document.activeElement.getBoundingClientRect().left >= 0")
        await tab.find("document.querySelector('#reports ~ details summary').focus()")
        await tab.press("Enter")
        is_open = await tab.find("document.querySelector('#reports ~ details').open")

    assert (first, seen, is_open) == ("Skip to the content", True, True)


async def test_a_reader_that_sees_nothing_hears_names_and_figures(
    tab: Tab, ruleset: RuleSet
) -> None:
    async with served(whole(ruleset)) as port:
        await tab.show(f"http://127.0.0.1:{port}/", width=DESKTOP)
        await tab.call("Accessibility.enable")
        tree = await tab.call("Accessibility.getFullAXTree")
    names: dict[str, list[str]] = {}
    for node in tree["nodes"]:
        if not node["ignored"]:
            role = node["role"]["value"]
            names.setdefault(role, []).append(node.get("name", {}).get("value", ""))

    for role in ("table", "region", "image", "navigation", "link"):
        assert names.get(role), role
        assert all(names[role]), role
    assert any("in the last 24 hours" in name for name in names["image"])
