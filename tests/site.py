"""A website with the kit of `deploy/website/`, and a stand-in for everybody else on the internet.

The stand-in has a loopback address of its own, is Google to the browser, and writes down who was
asked for what. Both speak TLS, so that addresses, cookies and the policy are those of a real site.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
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
class World:
    """What the website serves, what was asked of others, and the browser that did."""

    devtools: str
    language: str = 'lang="en"'
    tag: str = TAG
    head: str = ""
    texts: tuple[str, str] = ("", "")
    asked: list[str] = attrs.field(factory=list)
    headers: list[str] = attrs.field(factory=list)

    async def answer(self, request: web.BaseRequest) -> web.Response:
        """Serve the kit, or a page of documentation at any other address."""
        name = request.path.removeprefix("/consent/")
        if "/" in name or not (KIT / name).is_file():
            body, kind = self._page(), ".html"
        else:
            body, kind = (KIT / name).read_text(encoding="utf-8"), (KIT / name).suffix
            if name == "texts.js":
                body = body.replace(*self.texts) if self.texts[0] else body
        headers = {"Content-Security-Policy": POLICY}
        return web.Response(text=body, content_type=_TYPES[kind], headers=headers)

    def _page(self) -> str:
        lines = "".join(f"<p>{one} <a href='/a{one}'>link {one}</a></p>" for one in range(60))
        return (
            f"<!doctype html><html {self.language}><head><meta charset=utf-8><title>Secret</title>"
            f"<meta name=viewport content='width=device-width'>{self.head}{self.tag}</head><body>"
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

    @asynccontextmanager
    async def reader(self, *, beside: Tab | None = None, **said: object) -> AsyncIterator[Tab]:
        """Open a tab for somebody who was never here, and whose browser says this of itself."""
        async with opened(self.devtools, beside=beside) as tab:
            for name, value in said.items():
                script = f"Object.defineProperty(Navigator.prototype,'{name}',{{get:()=>{value}}})"
                await tab.call("Page.addScriptToEvaluateOnNewDocument", source=script)
            yield tab


@asynccontextmanager
async def internet(executable: str, folder: Path) -> AsyncIterator[World]:
    """Run a browser to which all names lead to this machine."""
    world = World("")
    tls = await asyncio.to_thread(certificates, folder)
    ports = []
    async with _serving() as runners:
        for handler, address in ((world.answer, "127.0.0.1"), (world.record, OTHERS)):
            runner = web.ServerRunner(web.Server(handler))
            runners.append(runner)
            await runner.setup()
            await web.TCPSite(runner, address, 0, ssl_context=tls).start()
            ports.append(runner.addresses[0][1])
        names = f"MAP {HOST} 127.0.0.1:{ports[0]}, MAP * {OTHERS}:{ports[1]}, EXCLUDE 127.0.0.1"
        flags = (f"--host-resolver-rules={names}", "--ignore-certificate-errors")
        async with running(executable, folder / "profile", *flags) as world.devtools:
            yield world


@asynccontextmanager
async def _serving() -> AsyncIterator[list[web.ServerRunner]]:
    runners: list[web.ServerRunner] = []
    try:
        yield runners
    finally:
        for runner in runners:
            await runner.cleanup()
