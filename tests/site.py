"""A website with the kit of `deploy/website/`, and a stand-in for everybody else on the internet.

The stand-in has a loopback address of its own, is Google to the browser, and writes down who was
asked for what. Both speak TLS, so that addresses, cookies and the policy are those of a real site.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import attrs
from aiohttp import web

from tests.browser import Tab, opened, running
from tests.image.lab import certificates

ROOT = Path(__file__).parent.parent
KIT = ROOT / "deploy" / "website"
README = (KIT / "README.md").read_text(encoding="utf-8")
GTAG = (Path(__file__).parent / "data" / "website" / "gtag.js").read_text(encoding="utf-8")
HOST, OTHERS = "docs.example.com", "127.0.0.9"
URL = f"https://{HOST}"
ID = "G-TEST123"

_TYPES = {".js": "text/javascript", ".css": "text/css", ".html": "text/html"}


def shown(language: str) -> str:
    """Return the code block of a language in the kit's README that stands there first."""
    found = re.search(rf"(?ms)^```{language}\n(.*?)^```$", README)
    assert found is not None, f"the README shows no {language}"
    return found.group(1).strip()


POLICY = shown("text").removeprefix("Content-Security-Policy: ")
TAG = shown("html").replace("G-XXXXXXXXXX", ID)
LINK = re.findall(r"(?m)^<a .*</consent-state>$", README)[0]


@attrs.define
class Site:
    """What is special about the website.

    `texts` replaces something in the banner's words, `first` is a script that runs before all
    others, in the place of a browser that is special.
    """

    html: str = 'lang="en"'
    tag: str = TAG
    texts: tuple[str, str] = ("", "")
    first: str = ""


@attrs.define
class World:
    """What the website serves, what was asked of others, and two tabs of the browser that did.

    They are the same for all readers, one after the other: another process for each would cost
    more than all that they look at.
    """

    tab: Tab
    other: Tab
    site: Site = attrs.field(factory=Site)
    asked: list[str] = attrs.field(factory=list)
    headers: list[str] = attrs.field(factory=list)

    async def answer(self, request: web.BaseRequest) -> web.Response:
        """Serve the kit, or a page of documentation at any other address."""
        name = request.path.removeprefix("/consent/")
        if name == "first.js":
            body, kind = self.site.first, ".js"
        elif "/" in name or not (KIT / name).is_file():
            body, kind = self._page(), ".html"
        else:
            body, kind = (KIT / name).read_text(encoding="utf-8"), (KIT / name).suffix
            if name == "texts.js":
                body = body.replace(*self.site.texts) if self.site.texts[0] else body
        headers = {"Content-Security-Policy": POLICY}
        return web.Response(text=body, content_type=_TYPES[kind], headers=headers)

    def _page(self) -> str:
        first = '<script src="/consent/first.js"></script>' if self.site.first else ""
        lines = "".join(f"<p>{one} <a href='/a{one}'>link {one}</a></p>" for one in range(30))
        return (
            f"<!doctype html><html {self.site.html}><head><meta charset=utf-8><title>Secret</title>"
            f"<meta name=viewport content='width=device-width'>{first}{self.site.tag}</head><body>"
            f"<main><h1>Documentation</h1><p><a id=first href='/other'>other</a></p>{lines}</main>"
            f"<footer><p>{LINK}</p></footer></body></html>"
        )

    async def record(self, request: web.BaseRequest) -> web.Response:
        """Be everybody else: Google where its script is asked for."""
        # What a browser asks for itself (its updates, its lists) is for no site.
        if request.headers.get("Sec-Fetch-Site", "none") != "none":
            self.asked.append(str(request.url))
            self.headers.append(str(dict(request.headers)))
        if request.path == "/gtag/js":
            return web.Response(text=GTAG, content_type="text/javascript")
        return web.Response(status=204)

    def pretend(self, owner: str, name: str, value: str) -> None:
        """Let the browser say something else to each page from now on."""
        self.site.first = f"Object.defineProperty({owner}, '{name}', {{get: () => {value}}})"

    async def leave(self, tab: Tab) -> None:
        """Leave a page; where Google's script runs, hear its last word."""
        runs = await tab.find("!!document.querySelector('script[src*=googletagmanager]')")
        before = len(self.asked)
        async with tab.loading():
            await tab.call("Page.navigate", url="about:blank")
        with suppress(TimeoutError):
            async with asyncio.timeout(1):
                while runs and len(self.asked) == before:  # noqa: ASYNC110 nobody tells
                    await asyncio.sleep(0.01)

    async def forget(self) -> None:
        """Make of the reader somebody who was never here."""
        for tab in (self.tab, self.other):
            await self.leave(tab)
            tab.console.clear()
            tab.requests.clear()
        await self.tab.call("Storage.clearDataForOrigin", origin=URL, storageTypes="all")
        await self.tab.call("Network.clearBrowserCookies")
        self.site = Site()
        self.asked.clear()
        self.headers.clear()


@asynccontextmanager
async def internet(executable: str, folder: Path) -> AsyncIterator[World]:
    """Run a browser to which all names lead to this machine."""
    tls = await asyncio.to_thread(certificates, folder)
    world: World | None = None

    async def answer(request: web.BaseRequest) -> web.Response:
        assert world is not None
        return await world.answer(request)

    async def record(request: web.BaseRequest) -> web.Response:
        return await world.record(request) if world is not None else web.Response()

    async with (
        _serving(answer, "127.0.0.1", tls) as own,
        _serving(record, OTHERS, tls) as others,
        running(
            executable,
            folder / "profile",
            f"--host-resolver-rules=MAP {HOST} 127.0.0.1:{own}, MAP * {OTHERS}:{others}",
            "--ignore-certificate-errors",
            # Else it opens a page of its own, which asks somebody.
            "about:blank",
        ) as devtools,
        opened(devtools) as tab,
        opened(devtools, beside=tab) as other,
    ):
        # What is behind another tab is not painted.
        await tab.call("Page.bringToFront")
        world = World(tab, other)
        yield world


@asynccontextmanager
async def _serving(
    handler: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]],
    address: str,
    tls: ssl.SSLContext,
) -> AsyncIterator[int]:
    runner = web.ServerRunner(web.Server(handler))
    await runner.setup()
    try:
        await web.TCPSite(runner, address, 0, ssl_context=tls).start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()
