"""The website kit in a real headless Chromium, with everybody whom it asks written down.

Google, and all others, are a stand-in with a loopback address of its own. `PAGE_PICTURES=FOLDER`
keeps what it looked like, for a person to see.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import re
import time
from collections.abc import AsyncIterator
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import orjson
import pytest
import pytest_asyncio

from tests.browser import Tab, find
from tests.site import HOST, ID, KIT, POLICY, README, TAG, URL, World, internet

CHROMIUM = find()
PICTURES = os.environ.get("PAGE_PICTURES")
KEY = f"analytics-consent-{ID}"
PARTS = ("analytics.js", "banner.js", "consent.css", "consent.js", "texts.js")

in_chromium = [
    pytest.mark.skipif(
        CHROMIUM is None, reason="no chromium here: apt-get install chromium to run these"
    ),
    # A browser starts in seconds where the machine is busy.
    pytest.mark.timeout(120),
    pytest.mark.asyncio(loop_scope="module"),
]


def chromium(test: Any) -> Any:  # noqa: ANN401 any test
    for mark in in_chromium:
        test = mark(test)
    return test


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def online(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    assert CHROMIUM is not None
    async with internet(CHROMIUM, tmp_path_factory.mktemp("website")) as world:
        yield world


@pytest_asyncio.fixture(loop_scope="module")
async def world(online: World) -> AsyncIterator[World]:
    yield online
    await online.forget()


@pytest.fixture
def tab(world: World) -> Tab:
    return world.tab


# --- what a reader does and sees ------------------------------------------------------------------

SHADOW = "document.querySelector('consent-banner')?.shadowRoot"
BOX = f"{SHADOW}?.querySelector('section')"
SEEN = f"!!({BOX}?.offsetHeight)"
STATE = "document.querySelector('consent-state').shadowRoot?.textContent"
FOOTER = "document.querySelector('footer a')"
REFUSE, ACCEPT, CLOSE = range(3)


async def visit(tab: Tab, path: str = "/", **how: Any) -> None:  # noqa: ANN401 as `show`
    await tab.show(URL + path, **{"width": 1280, **how})
    await until(tab, "!!customElements.get('consent-state')")


async def until(tab: Tab, script: str) -> None:
    """Wait for something that the page does by itself."""
    async with asyncio.timeout(10):
        while not await tab.find(script):  # noqa: ASYNC110 nobody tells
            await asyncio.sleep(0.02)


async def push(tab: Tab, number: int) -> None:
    await until(tab, f"{BOX}?.querySelectorAll('button')[{number}]?.offsetHeight > 0")
    await tab.find(f"{BOX}.querySelectorAll('button')[{number}].click()")


async def accept(tab: Tab, world: World) -> None:
    await push(tab, ACCEPT)
    await told(world, "page_view")


async def answered_before(tab: Tab, world: World, button: int) -> None:
    await visit(tab)
    if button == ACCEPT:
        await accept(tab, world)
    else:
        await push(tab, button)
    await world.leave(tab)
    world.asked.clear()
    tab.requests.clear()


async def told(world: World, event: str) -> None:
    async with asyncio.timeout(10):
        while not any(one["en"] == event for one in measured(world)):  # noqa: ASYNC110 nobody tells
            await asyncio.sleep(0.02)


def measured(world: World) -> list[dict[str, str]]:
    """Return what Google has been told, one event each."""
    return [
        {name: values[0] for name, values in _query(one).items()}
        for one in world.asked
        if urlsplit(one).path == "/g/collect"
    ]


def _query(url: str) -> dict[str, list[str]]:
    return parse_qs(urlsplit(url).query, keep_blank_values=True)


async def cookies(tab: Tab) -> dict[str, dict[str, Any]]:
    found = await tab.call("Network.getAllCookies")
    return {one["name"]: one for one in found["cookies"]}


async def stored(tab: Tab) -> dict[str, str]:
    found: dict[str, str] = await tab.find("({...localStorage, ...sessionStorage})")
    return found


async def quiet(tab: Tab) -> None:
    """Let everything happen that was about to."""
    await tab.find("new Promise(go => requestIdleCallback(() => setTimeout(go, 50)))")


async def settled(tab: Tab, world: World, *, is_asked: bool, is_counted: bool) -> None:
    """Wait for what should come, and a little for what should not."""
    if is_asked:
        await until(tab, SEEN)
    if is_counted:
        await told(world, "page_view")
    await quiet(tab)


def strangers(tab: Tab) -> list[str]:
    return [one for one in tab.requests if urlsplit(one).hostname != HOST]


# --- before an answer, a no, a yes ----------------------------------------------------------------


@chromium
async def test_before_an_answer_nothing_is_asked_set_or_kept(world: World, tab: Tab) -> None:
    await visit(tab, "/page?token=secret#secret")
    await until(tab, SEEN)
    await quiet(tab)
    await visit(tab, "/another")
    await quiet(tab)

    assert (strangers(tab), world.asked) == ([], [])
    assert (await cookies(tab), await stored(tab)) == ({}, {})
    assert tab.console == []
    assert "because you have not accepted" in await tab.find(STATE)


@chromium
async def test_a_no_is_kept_and_asks_nobody(world: World, tab: Tab) -> None:
    await visit(tab)
    await push(tab, REFUSE)
    await visit(tab, "/another")
    await quiet(tab)
    kept = orjson.loads((await stored(tab)).pop(KEY))

    assert (await tab.find(SEEN), strangers(tab), world.asked) == (False, [], [])
    assert await cookies(tab) == {}
    assert (kept["choice"], kept["language"]) == ("refused", "en")
    assert "not counted, as you refused on" in await tab.find(STATE)


@chromium
async def test_a_yes_tells_pages_without_query_fragment_or_title(world: World, tab: Tab) -> None:
    await visit(tab, "/from?token=secret")
    await tab.find("document.querySelector('#first').href = '/guide?token=secret#secret'")
    async with tab.loading():
        await tab.find("document.querySelector('#first').click()")
    await accept(tab, world)
    await tab.find("history.pushState(0, '', '/next?token=secret#secret')")
    await told(world, "scroll")
    await tab.find("history.replaceState(0, '', '/next?other=secret')")
    await visit(tab, "/last?token=secret")
    await told(world, "last_word")
    seen = measured(world)
    views = [(one["dl"], one["dr"], one["dt"]) for one in seen[:20] if one["en"] == "page_view"]
    found = await cookies(tab)
    kept = orjson.loads((await stored(tab))[KEY])
    hosts = {urlsplit(one).hostname for one in world.asked}

    assert views[:2] == [
        (f"{URL}/guide", f"{URL}/from", "/guide"),
        (f"{URL}/next", f"{URL}/guide", "/next"),
    ]
    assert [one for one in views[2:] if not one[0].endswith("/last")] == []
    assert next(one["dl"] for one in seen if one["en"] == "scroll") == f"{URL}/next"
    assert "ecret" not in " ".join(world.asked + world.headers)
    assert "Referer" not in world.headers[0]
    assert {(one["gcs"], one["signals"], one["ads"], one["update"]) for one in seen} == {
        ("G101", "false", "false", "false")
    }
    assert hosts == {"www.googletagmanager.com", "region1.google-analytics.com"}
    assert found.keys() == {"_ga", f"_ga_{ID[2:]}"}
    assert {
        (one["domain"], one["path"], one["secure"], one["sameSite"]) for one in found.values()
    } == {(HOST, "/", True, "Lax")}
    assert max(one["expires"] for one in found.values()) < time.time() + 181 * 86_400
    assert kept.keys() == {"choice", "date", "version", "language"}
    assert tab.console == []


@chromium
@pytest.mark.parametrize(
    ("referrer", "told_of_it"),
    [
        ("https://elsewhere.example.org/secret?secret", "https://elsewhere.example.org/"),
        ("android-app://org.example.secret/", ""),
    ],
)
async def test_of_another_site_its_origin_alone_is_told(
    world: World, tab: Tab, referrer: str, told_of_it: str
) -> None:
    world.pretend("Document.prototype", "referrer", f"'{referrer}'")
    await visit(tab)
    await accept(tab, world)

    assert [one["dr"] for one in measured(world)] == [told_of_it]


@chromium
async def test_everything_is_denied_before_google_is_told_anything(world: World, tab: Tab) -> None:
    await visit(tab)
    before = await tab.find("dataLayer.map(one => [...one])")
    await tab.find("window.said = [...dataLayer]; dataLayer.push = one => said.push(one)")
    await push(tab, ACCEPT)
    said = await tab.find("said.map(one => [...one].slice(0, 2).concat([one[2]]))")

    (denied,) = before
    assert denied[:2] == ["consent", "default"]
    assert set(denied[2].values()) == {"denied"}
    assert denied[2].keys() > {"ad_storage", "ad_user_data", "ad_personalization"}
    assert [one[:2] for one in said[:2]] == [["consent", "default"], ["consent", "update"]]
    assert said[1][2] == {"analytics_storage": "granted"}


# --- taking it back -------------------------------------------------------------------------------


@chromium
async def test_a_yes_that_is_taken_back_leaves_nothing_in_any_tab(world: World, tab: Tab) -> None:
    other = world.other
    everywhere = (
        "_ga=1;path=/guide/, _gid=1;domain=example.com;path=/, _gcl_au=1;path=/guide,"
        " _gat=1;path=/, _gac_UA-1=1;path=/"
    )
    await visit(tab, "/guide/page")
    await accept(tab, world)
    await visit(other, "/elsewhere")
    for one in everywhere.split(", "):
        await tab.find(f"document.cookie = '{one}'")
    await tab.find("document.cookie = '_gallery=1;path=/'")
    await tab.find(f"localStorage['_gcl_ls'] = 1; {FOOTER}.click()")
    world.asked.clear()
    async with tab.loading(), other.loading():
        await push(tab, REFUSE)
    await quiet(tab)
    await visit(other, "/elsewhere?again")
    await quiet(other)

    assert world.asked == []
    assert (await cookies(tab)).keys() == {"_gallery"}
    assert (await stored(tab)).keys() == {KEY}
    assert "you refused" in await tab.find(STATE)
    assert "you refused" in await other.find(STATE)


@chromium
async def test_a_page_that_comes_back_from_the_cache_knows_what_was_answered_since(
    world: World, tab: Tab
) -> None:
    await visit(tab)
    await accept(tab, world)
    await tab.find(f"localStorage.setItem('{KEY}', '{{\"choice\": \"refused\"}}')")
    async with tab.loading():
        await tab.find("dispatchEvent(new PageTransitionEvent('pageshow', {persisted: true}))")
    await quiet(tab)

    assert await cookies(tab) == {}


@chromium
async def test_a_page_of_an_older_text_leaves_a_yes_to_the_newer_one(
    world: World, tab: Tab
) -> None:
    await visit(world.other, "/old")
    await until(world.other, SEEN)
    world.site.texts = ("sets cookies", "sets two cookies")
    await visit(tab, "/new")
    await accept(tab, world)
    await quiet(world.other)
    await quiet(tab)
    found = await cookies(tab)

    assert found.keys() == {"_ga", f"_ga_{ID[2:]}"}
    assert "you accepted" in await tab.find(STATE)
    assert "you have not accepted" in await world.other.find(STATE)


@chromium
async def test_a_refusal_in_a_page_of_an_older_text_takes_a_yes_to_the_newer_one_back(
    world: World, tab: Tab
) -> None:
    """Google never ran in that page, and what it has set in the other one goes all the same."""
    await visit(world.other, "/old")
    await until(world.other, SEEN)
    world.site.texts = ("sets cookies", "sets two cookies")
    await visit(tab, "/new")
    await accept(tab, world)
    before = await cookies(tab)
    await world.leave(tab)
    await push(world.other, REFUSE)
    await quiet(world.other)

    assert before
    assert await cookies(world.other) == {}
    assert "refused" in json.dumps(await stored(world.other))


@chromium
async def test_two_sites_of_one_origin_are_answered_one_by_one(world: World, tab: Tab) -> None:
    await answered_before(tab, world, ACCEPT)
    world.site.tag = TAG.replace(ID, "G-OTHER1")
    await visit(tab, "/other/")
    await push(tab, REFUSE)
    await quiet(tab)
    none = list(world.asked)
    world.site.tag = TAG
    await visit(tab)
    await told(world, "page_view")

    assert none == []


@chromium
async def test_a_page_without_a_yes_leaves_what_others_set(world: World, tab: Tab) -> None:
    await visit(tab)
    await tab.find("document.cookie = '_ga=1;domain=example.com;path=/'")
    await visit(tab, "/another")
    await until(tab, SEEN)
    await push(tab, REFUSE)
    await visit(tab, "/another")
    await quiet(tab)

    assert (await cookies(tab)).keys() == {"_ga"}


@chromium
async def test_storage_that_is_cleared_takes_a_yes_back(world: World, tab: Tab) -> None:
    await visit(tab)
    await accept(tab, world)
    async with tab.loading():
        await world.other.show(f"{URL}/consent/privacy.css", width=1280)
        await world.other.find("localStorage.clear()")
    await until(tab, SEEN)

    assert await cookies(tab) == {}


@chromium
async def test_a_no_that_cannot_be_written_takes_the_yes_away(world: World, tab: Tab) -> None:
    await visit(tab)
    await accept(tab, world)
    await tab.find(
        f"Storage.prototype.setItem = () => {{throw new DOMException('full')}}; {FOOTER}.click()"
    )
    async with tab.loading():
        await push(tab, REFUSE)
    await until(tab, SEEN)

    assert (await cookies(tab), await stored(tab)) == ({}, {})


@chromium
@pytest.mark.parametrize("rest", ["", ', "date": "soon"'])
async def test_a_no_without_its_day_is_a_no(world: World, tab: Tab, rest: str) -> None:
    world.site.first = f"localStorage['{KEY}'] = '{{\"choice\": \"refused\"{rest}}}'"
    await visit(tab)
    await quiet(tab)

    assert (await tab.find(SEEN), world.asked) == (False, [])
    assert await tab.find(STATE) == (
        "Your visits are not counted, because you have not accepted it."
    )


# --- who is not asked -----------------------------------------------------------------------------


@chromium
@pytest.mark.parametrize(
    ("says", "sentence"),
    [
        pytest.param(("globalPrivacyControl", "true"), "Global Privacy Control", id="gpc"),
        pytest.param(("doNotTrack", "'1'"), "Do Not Track", id="dnt"),
    ],
)
async def test_a_browser_that_says_no_is_not_asked_and_told_why(
    world: World, tab: Tab, says: tuple[str, str], sentence: str
) -> None:
    await answered_before(tab, world, ACCEPT)
    world.pretend("Navigator.prototype", *says)
    await visit(tab)
    await quiet(tab)
    asked = await tab.find(SEEN)
    await tab.find(f"{FOOTER}.click()")
    await until(tab, SEEN)
    buttons = await tab.find(f"[...{BOX}.querySelectorAll('button')].map(one => one.innerText)")

    assert (asked, world.asked, strangers(tab)) == (False, [], [])
    assert (await cookies(tab), await stored(tab)) == ({}, {})
    assert sentence in await tab.find(STATE)
    assert sentence in await tab.find(f"{BOX}.innerText")
    assert buttons == ["Close"]


@chromium
@pytest.mark.parametrize(
    "storage", ["(() => {throw new DOMException('no', 'SecurityError')})()", "null"]
)
async def test_where_nothing_can_be_kept_nobody_is_asked(
    world: World, tab: Tab, storage: str
) -> None:
    world.pretend("window", "localStorage", storage)
    await visit(tab)
    await quiet(tab)

    assert (await tab.find(SEEN), strangers(tab), tab.console) == (False, [], [])
    assert "keeps no answers" in await tab.find(STATE)


@chromium
async def test_an_answer_that_cannot_be_written_is_a_no(world: World, tab: Tab) -> None:
    await visit(tab)
    await tab.find("Storage.prototype.setItem = () => {throw new DOMException('full')}")
    await push(tab, ACCEPT)
    await quiet(tab)

    assert (world.asked, await cookies(tab)) == ([], {})
    assert "keeps no answers" in await tab.find(STATE)


@chromium
@pytest.mark.parametrize(
    "tag", [TAG.replace(ID, one) for one in ("G-YOUR-ID", "UA-1", "G-XXXXXXXXXX")]
)
async def test_a_site_without_an_account_asks_nothing(world: World, tab: Tab, tag: str) -> None:
    world.site.tag = tag
    await visit(tab)

    assert await tab.find(SEEN) is False
    assert await tab.find(STATE) == "This site counts no visits."


# --- asked again ----------------------------------------------------------------------------------


@chromium
@pytest.mark.parametrize(
    ("button", "change", "is_asked"),
    [
        pytest.param(ACCEPT, ("", ""), False, id="yes"),
        pytest.param(ACCEPT, ("sets cookies", "sets two cookies"), True, id="yes, other text"),
        pytest.param(ACCEPT, ("setzt", "legt"), False, id="yes, other text of another language"),
        pytest.param(REFUSE, ("sets cookies", "sets two cookies"), False, id="no, other text"),
    ],
)
async def test_who_accepted_another_text_is_asked_again(
    world: World, tab: Tab, button: int, change: tuple[str, str], *, is_asked: bool
) -> None:
    await answered_before(tab, world, button)
    world.site.texts = change
    is_counted = button == ACCEPT and not is_asked
    await visit(tab)
    await settled(tab, world, is_asked=is_asked, is_counted=is_counted)

    assert await tab.find(SEEN) is is_asked
    assert bool(world.asked) is is_counted
    assert bool(await cookies(tab)) is is_counted
    # Not erased: it may be that of a newer page.
    assert KEY in await stored(tab)


@chromium
async def test_a_yes_holds_in_every_language_of_the_site(world: World, tab: Tab) -> None:
    await answered_before(tab, world, ACCEPT)
    world.site.html = 'lang="de-AT"'
    await visit(tab)
    await told(world, "page_view")

    assert await tab.find(SEEN) is False
    assert "werden gezählt" in await tab.find(STATE)


@chromium
async def test_a_yes_ends_after_half_a_year(world: World, tab: Tab) -> None:
    def ago(days: int) -> dict[str, str]:
        return {"date": str(datetime.now(UTC).date() - timedelta(days=days))}

    await visit(tab)
    await accept(tab, world)
    agreed = orjson.loads((await stored(tab))[KEY])
    kept = [(agreed | ago(179), False), (agreed | ago(181), True), (agreed | ago(-3), True)]
    kept += [(agreed | {"date": "soon"}, True), (agreed | {"language": "xx"}, True), (7, True)]
    for text, is_asked in [
        *((orjson.dumps(one).decode(), asked) for one, asked in kept),
        ("{", True),
    ]:
        await world.leave(tab)
        world.asked.clear()
        world.site.first = f"localStorage['{KEY}'] = '{text}'"
        await visit(tab)
        await settled(tab, world, is_asked=is_asked, is_counted=not is_asked)

        assert await tab.find(SEEN) is is_asked, text
        assert bool(world.asked) is not is_asked, text


# --- how it behaves in a page ---------------------------------------------------------------------


@chromium
async def test_it_works_once_however_often_it_is_included(world: World, tab: Tab) -> None:
    world.site.tag = TAG + TAG + TAG.replace("consent.js", "consent.js?v=2")
    await visit(tab)
    await accept(tab, world)
    await quiet(tab)

    assert await tab.find("document.querySelectorAll('consent-banner').length") == 1
    assert [one["en"] for one in measured(world)] == ["page_view"]
    assert tab.console == []


@chromium
@pytest.mark.parametrize("button", [None, ACCEPT])
async def test_it_stays_where_a_script_puts_in_another_body(
    world: World, tab: Tab, button: int | None
) -> None:
    await visit(tab)
    await until(tab, SEEN)
    # From here on the browser tells the banner of its size; what goes before that is not noticed.
    await until(tab, "getComputedStyle(document.documentElement).paddingBottom !== '0px'")
    if button is not None:
        await accept(tab, world)
    await tab.find(
        "(() => {const body = document.createElement('body'); body.innerHTML ="
        " document.body.innerHTML; body.querySelector('consent-banner').remove();"
        "document.body.replaceWith(body)})()"
    )
    if button is None:
        await until(tab, SEEN)
    await tab.find(f"{FOOTER}.click()")
    await until(tab, f"{SHADOW}?.activeElement === {BOX}")
    async with tab.loading() if button is not None else nullcontext():
        await push(tab, REFUSE)
    await quiet(tab)

    assert await cookies(tab) == {}
    assert "you refused" in await tab.find(STATE)


@chromium
async def test_a_page_that_is_made_ready_in_advance_is_not_counted(world: World, tab: Tab) -> None:
    await answered_before(tab, world, ACCEPT)
    world.pretend("Document.prototype", "prerendering", "!window.go")
    await tab.show(URL, width=1280)
    await quiet(tab)
    before = list(world.asked)
    await tab.find("window.go = 1; document.dispatchEvent(new Event('prerenderingchange'))")
    await told(world, "page_view")

    assert before == []


@chromium
async def test_a_keyboard_is_enough_and_the_focus_comes_back(world: World, tab: Tab) -> None:
    inside = f"{SHADOW}.activeElement?.innerText"
    await visit(tab)
    await until(tab, SEEN)
    names = []
    for _ in range(3):
        await tab.press("Tab")
        names.append(await tab.find(inside))
    ring = await tab.find(f"getComputedStyle({SHADOW}.activeElement).outline")
    # After an answer the Tab key goes on where the page begins.
    await tab.find(f"{BOX}.querySelectorAll('button')[{REFUSE}].focus()")
    await tab.press("Enter")
    heard = await tab.find(f"{SHADOW}.querySelector('[role=status]').textContent")
    await tab.press("Tab")
    first = await tab.find("document.activeElement.id")
    await tab.find(f"{FOOTER}.focus()")
    await tab.press("Enter")
    await until(tab, f"{SHADOW}.activeElement === {BOX}")
    panel = await tab.find(f"{BOX}.innerText")
    await tab.press("Escape")

    assert names == ["Details", "Refuse", "Accept"]
    assert "solid 3px" in ring
    assert "not counted, as you refused" in heard
    assert first == "first"
    assert "not counted, as you refused" in panel
    assert await tab.find(SEEN) is False
    assert await tab.find(f"document.activeElement === {FOOTER}") is True


@chromium
async def test_it_never_covers_what_has_the_focus_and_moves_nothing(world: World, tab: Tab) -> None:
    world.site.first = (
        "new PerformanceObserver(list => list.getEntries().forEach(one => window.moved ="
        " (window.moved ?? 0) + one.value)).observe({type: 'layout-shift', buffered: true});"
        "document.documentElement.style.paddingBottom = '7px'"
    )
    await visit(tab, width=360, height=740)
    await until(tab, SEEN)
    await quiet(tab)
    moved = await tab.find("window.moved ?? 0")
    room = await tab.find(
        "(scrollTo(0, 1e6), document.querySelector('footer p').getBoundingClientRect().bottom)"
        f" <= {BOX}.getBoundingClientRect().top"
    )
    covered = await tab.find(
        "(async () => {const found = [];"
        "const frame = () => new Promise(go => requestAnimationFrame(() =>"
        " requestAnimationFrame(go)));"
        "const visit = async link => {link.focus(); await frame();"
        f"const its = link.getBoundingClientRect(), own = {BOX}.getBoundingClientRect();"
        "if (its.top < own.bottom && its.bottom > own.top) found.push(link.innerText)};"
        "scrollTo(0, 0); for (const link of document.querySelectorAll('a')) await visit(link);"
        # Scrolling was enough for these. It is not for what stays where it is.
        f"if ({BOX}.className) found.push('moved');"
        "const fixed = document.createElement('div'); fixed.innerHTML = '<a href=/>fixed</a>';"
        "fixed.style.position = 'fixed'; fixed.style.bottom = 0; document.body.append(fixed);"
        "await visit(fixed.firstChild); fixed.remove(); return found})()"
    )
    await push(tab, REFUSE)
    left = await tab.find("getComputedStyle(document.documentElement).paddingBottom")
    scroll = await tab.find("getComputedStyle(document.documentElement).scrollPaddingBottom")

    assert (covered, moved, room) == ([], 0, True)
    assert (left, scroll) == ("7px", "auto")


LOOKS = [
    ("en", 320, "light"),
    ("ar", 360, "dark"),
    ("ar", 1280, "light"),
    ("en", 1280, "dark"),
]


@chromium
@pytest.mark.parametrize(("language", "width", "scheme"), LOOKS)
async def test_it_fits_it_is_fair_and_axe_finds_nothing(
    world: World, tab: Tab, language: str, width: int, scheme: str
) -> None:
    direction = "rtl" if language == "ar" else "ltr"
    world.site.html = f'lang="{language}-XX" dir="{direction}"'
    buttons = f"[...{BOX}.querySelectorAll('.choices button')]"
    await visit(tab, width=width, height=740, scheme=scheme)
    await until(tab, SEEN)
    asked = await axe(tab)
    wide = await tab.find("document.documentElement.scrollWidth")
    part = await tab.find(f"{BOX}.offsetHeight / innerHeight")
    sizes = await tab.find(f"{buttons}.map(one => [one.offsetWidth, one.offsetHeight])")
    styles = await tab.find(f"{buttons}.map(one => ({{...getComputedStyle(one)}}))")
    order = await tab.find(f"{buttons}.map(one => one.getBoundingClientRect().x)")
    back = await tab.find(f"getComputedStyle({BOX}).backgroundColor")
    await picture(tab, f"ask-{language}-{width}-{scheme}")
    await tab.find(f"{FOOTER}.click()")
    await until(tab, f"{SHADOW}.activeElement === {BOX}")
    opened = await axe(tab)
    await picture(tab, f"panel-{language}-{width}-{scheme}")

    assert (asked, opened, wide) == ([], [], width)
    assert part < 0.4
    assert sizes[0] == sizes[1]
    assert min(sizes[0]) >= 44
    for one in styles:
        for name in ("perspectiveOrigin", "transformOrigin", "insetInlineStart"):
            one.pop(name, None)
    assert styles[0] == styles[1]
    assert styles[0]["borderTop"].startswith("2px solid")
    assert (order[0] < order[1]) is (direction == "ltr")
    assert (back == "rgb(255, 255, 255)") is (scheme == "light")


@chromium
async def test_the_privacy_page_fits_and_axe_finds_nothing(tab: Tab) -> None:
    for width in (1280, 320):
        await visit(tab, "/consent/privacy.html", width=width, scheme="dark")
        await picture(tab, f"privacy-{width}")

        assert await tab.find("document.documentElement.scrollWidth") == width
    assert (await axe(tab), tab.console) == ([], [])


@chromium
async def test_large_letters_break_no_word_of_a_button(world: World, tab: Tab) -> None:
    world.site.first = "document.documentElement.style.fontSize = '200%'"
    world.site.html = 'lang="de"'
    await visit(tab, width=320, height=640)
    await until(tab, SEEN)
    await picture(tab, "large-letters")
    lines = await tab.find(
        f"[...{BOX}.querySelectorAll('.choices button')].map(one => {{const range ="
        " document.createRange(); range.selectNodeContents(one);"
        " return [range.getClientRects().length, one.scrollWidth <= one.clientWidth]})"
    )

    assert lines == [[1, True], [1, True]]


@chromium
@pytest.mark.parametrize(
    ("own", "system", "back"),
    [("light", "dark", "rgb(255, 255, 255)"), ("dark", "light", "rgb(30, 35, 40)")],
)
async def test_no_style_of_the_site_reaches_in_and_nothing_lies_above(
    world: World, tab: Tab, own: str, system: str, back: str
) -> None:
    world.site.first = f"document.documentElement.style.colorScheme = '{own}'"
    await visit(tab, scheme=system)
    await tab.find(
        "(() => {document.body.style.cssText = 'text-transform: uppercase; white-space: nowrap;"
        " letter-spacing: 6px'; const over = document.createElement('div'); over.style.cssText ="
        " 'position: fixed; inset: 0; z-index: 9999'; document.body.append(over)})()"
    )
    await until(tab, SEEN)
    style = await tab.find(
        f"(style => [style.textTransform, style.whiteSpace, style.letterSpacing,"
        f" getComputedStyle({BOX}).backgroundColor])"
        f"(getComputedStyle({BOX}.querySelector('button')))"
    )
    top = await tab.find(
        f"(its => document.elementFromPoint(its.left + 20, its.top + 20)?.localName)"
        f"({BOX}.getBoundingClientRect())"
    )

    assert style == ["none", "normal", "normal", back]
    assert top == "consent-banner"


@chromium
async def test_the_link_works_below_a_router_and_with_a_modifier_is_the_browsers(
    world: World, tab: Tab
) -> None:
    await visit(tab)
    await push(tab, REFUSE)
    await tab.find(
        "document.body.addEventListener('click', event => {window.left = event.defaultPrevented;"
        " event.preventDefault(); event.stopPropagation()})"
    )
    for name in ("ctrlKey", "metaKey", "shiftKey"):
        await tab.find(
            f"{FOOTER}.dispatchEvent(new MouseEvent('click', {{bubbles: true, cancelable: true,"
            f" {name}: true}}))"
        )
        assert await tab.find("window.left") is False
        assert await tab.find(SEEN) is False
    await tab.find(f"{FOOTER}.click()")

    await until(tab, SEEN)


@chromium
async def test_a_language_without_texts_gets_english_that_says_so(world: World, tab: Tab) -> None:
    world.site.html = 'lang="fa" dir="rtl"'
    await visit(tab)
    await until(tab, SEEN)

    assert await tab.find(f"[{BOX}.lang, getComputedStyle({BOX}).direction]") == ["en", "ltr"]


@chromium
async def test_it_stays_off_paper_and_in_sight_when_magnified(world: World, tab: Tab) -> None:
    # 1280 × 1024 at 400 %.
    await visit(tab, width=320, height=256)
    await until(tab, SEEN)
    edges = await tab.find(
        f"[{BOX}.getBoundingClientRect().top, ...[...{BOX}.querySelectorAll('button')].map("
        "one => one.getBoundingClientRect().bottom)]"
    )
    await tab.call("Emulation.setEmulatedMedia", media="print")

    assert edges[0] >= 0
    assert max(edges[1:]) <= 256
    assert await tab.find(SEEN) is False


async def axe(tab: Tab) -> list[Any]:
    """Return what axe finds wrong in what is seen."""
    script = (files("axe_core_python") / "axe.min.js").read_text(encoding="utf-8")
    await tab.find(f"{script};0")
    found: list[Any] = await tab.find(
        "axe.run().then(found => found.violations.map(one =>"
        " [one.id, ...one.nodes.map(node => node.target.join(' '))]))"
    )
    return found


async def picture(tab: Tab, name: str) -> None:
    if PICTURES is not None:
        await tab.picture(Path(PICTURES) / f"{name}.png")


# --- the files ------------------------------------------------------------------------------------


def kit(name: str) -> str:
    return (KIT / name).read_text(encoding="utf-8")


def test_what_a_page_loads_is_small() -> None:
    assert sum(len(gzip.compress(kit(name).encode())) for name in PARTS) < 9 * 1024


def test_it_needs_nothing_but_its_own_files() -> None:
    text = "".join(map(kit, PARTS))

    assert set(re.findall(r'from "(.*?)"', text)) <= {f"./{name}" for name in PARTS}
    assert set(re.findall(r"https?://[^/`\"]+", text)) == {"https://www.googletagmanager.com"}
    assert not re.findall(r"innerHTML|insertAdjacent|eval\(|import\(|@import|url\(", text)
    assert not re.findall(r"animation|transition", kit("consent.css"))


def test_every_language_has_every_text() -> None:
    blocks = re.findall(r"(?ms)^  (\w+): \{$(.*?)^  \}", kit("texts.js"))
    keys = {name: re.findall(r"(?m)^    (\w+):", block) for name, block in blocks}

    assert set(keys) == {"en", "de", "ar"}
    assert all(one == keys["en"] for one in keys.values())
    assert all(block.count("{date}") == 2 for _name, block in blocks)


def test_what_the_privacy_page_says_of_the_website_is_what_the_kit_does() -> None:
    said = kit("privacy.md").partition("## What BotKube Analytics collects")[0]
    days = re.findall(r"DAYS = (\d+)", kit("consent.js"))

    assert set(re.findall(r"(\d+) days", said)) == set(days)
    assert "`analytics-consent-`" in said
    assert "`analytics-consent-${id}`" in kit("consent.js")
    # What Google Analytics records whatever it is told.
    for event in ("first_visit", "session_start", "user_engagement"):
        assert f"`{event}`" in said
    for host in re.findall(r"https://(?:\*\.)?([\w.-]+)", POLICY):
        assert host in said or "google-analytics.com" in host


def test_every_recipe_says_what_the_script_asks_for() -> None:
    recipes = README.count("consent/consent.js")

    assert recipes == 3
    assert README.count("data-measurement-id") == recipes
    assert README.count("data-privacy") == recipes
    assert len(re.findall(r"#privacy-choices.*</a> <consent-state></consent-state>", README)) == 3


def test_the_readme_names_every_file() -> None:
    named = set(re.findall(r"`([\w.]+\.(?:js|css|md|html))`", README))

    assert {one.name for one in KIT.iterdir()} - {"README.md"} <= named
