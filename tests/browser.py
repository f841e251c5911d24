"""A real headless Chromium, driven over its DevTools protocol; no library, and nothing downloaded.

Owns the process and what it reports: console messages, requests, and what scripts of the test
(not of the page, whose policy forbids any) find in the document.
"""

from __future__ import annotations

import asyncio
import base64
import os
import re
import shutil
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any

import aiohttp
import attrs

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PATIENCE_SECONDS = 60
_DEVTOOLS = re.compile(rb"DevTools listening on (ws://\S+)")


def find() -> str | None:
    """Return the path of a Chromium, if this machine has one."""
    return next((path for path in map(shutil.which, NAMES) if path), None)


@attrs.define(eq=False)
class Tab:
    """One open page and what it has said."""

    socket: aiohttp.ClientWebSocketResponse
    session: str = ""
    context: str = ""
    console: list[str] = attrs.field(factory=list)
    requests: list[str] = attrs.field(factory=list)
    _ids: count[int] = attrs.field(factory=lambda: count(1))
    _answers: dict[int, asyncio.Future[dict[str, Any]]] = attrs.field(factory=dict)
    _events: defaultdict[str, asyncio.Event] = attrs.field(
        factory=lambda: defaultdict(asyncio.Event)
    )

    async def call(self, method: str, **parameters: object) -> dict[str, Any]:
        """Call a method of the protocol."""
        number = next(self._ids)
        self._answers[number] = asyncio.get_running_loop().create_future()
        message = {"id": number, "method": method, "params": parameters}
        await self.socket.send_json(message | ({"sessionId": self.session} if self.session else {}))
        async with asyncio.timeout(PATIENCE_SECONDS):
            answer = await self._answers[number]
        assert "error" not in answer, answer
        found: dict[str, Any] = answer["result"]
        return found

    async def listen(self) -> None:
        """Take what the browser says until it is gone."""
        async for message in self.socket:
            said = message.json()
            if "id" in said:
                self._answers.pop(said["id"]).set_result(said)
            else:
                self._note(said["method"], said["params"])
                self._events[said["method"]].set()

    def _note(self, method: str, said: dict[str, Any]) -> None:
        match method:
            case "Network.requestWillBeSent":
                self.requests.append(said["request"]["url"])
            case "Runtime.consoleAPICalled":
                self.console.append(str(said["args"]))
            case "Runtime.exceptionThrown":
                self.console.append(str(said["exceptionDetails"]))
            case "Log.entryAdded":
                self.console.append(f"{said['entry']['level']}: {said['entry']['text']}")
            case _:
                pass

    async def show(self, url: str, *, width: int, height: int = 900, scheme: str = "light") -> None:
        """Load a page at a width, as a phone or a desktop would."""
        await self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 600,
        )
        await self.call(
            "Emulation.setEmulatedMedia",
            features=[{"name": "prefers-color-scheme", "value": scheme}],
        )
        async with self.loading():
            await self.call("Page.navigate", url=url)

    @asynccontextmanager
    async def loading(self) -> AsyncIterator[None]:
        """Wait until what is done here has loaded a page."""
        self._events["Page.loadEventFired"].clear()
        yield
        async with asyncio.timeout(PATIENCE_SECONDS):
            await self._events["Page.loadEventFired"].wait()

    async def find(self, script: str) -> Any:  # noqa: ANN401 whatever the script gives
        """Return what an expression is in the document."""
        said = await self.call(
            "Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in said, said
        return said["result"].get("value")

    async def press(self, key: str) -> None:
        """Press and release a key."""
        codes = {"Tab": 9, "Enter": 13, "Escape": 27}
        for kind in ("keyDown", "keyUp"):
            text = {"text": "\r"} if key == "Enter" and kind == "keyDown" else {}
            await self.call(
                "Input.dispatchKeyEvent",
                type=kind,
                key=key,
                code=key,
                windowsVirtualKeyCode=codes[key],
                **text,
            )

    async def picture(self, path: Path) -> None:
        """Write the whole page as PNG, for a person to look at."""
        found = await self.call("Page.captureScreenshot", captureBeyondViewport=True)
        data = base64.b64decode(found["data"])
        await asyncio.to_thread(path.write_bytes, data)


@asynccontextmanager
async def browser(executable: str, folder: Path) -> AsyncIterator[Tab]:
    """Run a Chromium with an empty profile and give its only page."""
    async with running(executable, folder) as address, opened(address) as tab:
        yield tab


@asynccontextmanager
async def running(executable: str, folder: Path, *flags: str) -> AsyncIterator[str]:
    """Run a Chromium with an empty profile and give the address of its protocol."""
    process = await asyncio.create_subprocess_exec(
        executable,
        "--headless=new",
        "--remote-debugging-port=0",
        f"--user-data-dir={folder}",
        "--no-first-run",
        "--no-default-browser-check",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--hide-scrollbars",
        *flags,
        *(["--no-sandbox"] if os.geteuid() == 0 else []),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield await _devtools(process)
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.communicate()


@asynccontextmanager
async def opened(address: str, *, beside: Tab | None = None) -> AsyncIterator[Tab]:
    """Open a page that shares cookies and storage with nothing but the one that it is beside."""
    async with (
        aiohttp.ClientSession() as client,
        client.ws_connect(address, max_msg_size=0) as socket,
    ):
        tab = Tab(socket)
        listening = asyncio.create_task(tab.listen())
        if beside is None:
            made = await tab.call("Target.createBrowserContext")
            tab.context = made["browserContextId"]
        else:
            tab.context = beside.context
        made = await tab.call(
            "Target.createTarget", url="about:blank", browserContextId=tab.context
        )
        attached = await tab.call("Target.attachToTarget", targetId=made["targetId"], flatten=True)
        tab.session = attached["sessionId"]
        for domain in ("Page", "Network", "Runtime", "Log"):
            await tab.call(f"{domain}.enable")
        yield tab
        listening.cancel()
        with suppress(asyncio.CancelledError):
            await listening


async def _devtools(process: asyncio.subprocess.Process) -> str:
    assert process.stderr is not None
    async with asyncio.timeout(PATIENCE_SECONDS):
        async for line in process.stderr:
            if (found := _DEVTOOLS.search(line)) is not None:
                return found.group(1).decode()
    raise AssertionError("Chromium has ended")
