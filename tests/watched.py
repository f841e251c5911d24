"""The agent as a process of its own that is watched from its first import to its end.

An audit hook, which Python cannot take back, notes every socket that is made, every address that
is bound, connected or written to, every name that is looked up and every program that is started.
It comes in by a `sitecustomize` of ours, so the agent itself is what is installed.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import attrs

ROOT = Path(__file__).parent.parent
PREFIX = "BOTKUBE_ANALYTICS_"
SHARED = {"PATH", "LANG", "LC_ALL", "TMPDIR", "VIRTUAL_ENV"}
"""What a process takes over of our environment; nothing that a network would be told from."""

PATIENCE_SECONDS = 40

HOOK = """
import os, sys
_out = os.open({path!r}, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
_PROGRAMS = ("subprocess.Popen", "os.posix_spawn", "os.exec", "os.fork", "os.forkpty", "os.system")

def _text(one):
    return one.decode("utf-8", "replace") if isinstance(one, bytes) else str(one)

def _note(event, arguments):
    if event.startswith("socket.") or event in _PROGRAMS:
        said = [_text(one) for one in arguments if not hasattr(one, "fileno")]
        if event == "socket.__new__":
            said = [str(int(arguments[1])), str(int(arguments[2]))]
        os.write(_out, (event + "\\t" + "\\t".join(said) + "\\n").encode())

sys.addaudithook(_note)
os.write(_out, b"watched\\n")
"""


@attrs.define(eq=False)
class Watched:
    """A process under watch."""

    folder: Path
    process: asyncio.subprocess.Process

    @property
    def out(self) -> str:
        """What it wrote to standard output."""
        return (self.folder / "out").read_text(encoding="utf-8", errors="replace")

    @property
    def err(self) -> str:
        """What it wrote to standard error."""
        return (self.folder / "err").read_text(encoding="utf-8", errors="replace")

    def log(self) -> list[dict[str, Any]]:
        """Return its log so far; what is no line of JSON is a failure."""
        return [
            json.loads(line) for line in self.out.splitlines(keepends=True) if line[-1:] == "\n"
        ]

    def events(self) -> list[tuple[str, ...]]:
        """Return what was noted so far, without the mark of the hook."""
        first, *lines = (self.folder / "noted").read_text(encoding="utf-8").splitlines()
        assert first == "watched"
        return [tuple(line.split("\t")) for line in lines]

    async def said(self, message: str) -> dict[str, Any]:
        """Wait for a message in its log and return that line."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                for line in self.log():
                    if line["message"] == message:
                        return line
                assert self.process.returncode is None, self.out + self.err
                await asyncio.sleep(0.02)

    async def end(self) -> int:
        """Stop it as a kubelet would and return its exit code."""
        if self.process.returncode is None:
            self.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await self.process.wait()


@asynccontextmanager
async def watched(folder: Path, *arguments: str, **environment: str) -> AsyncIterator[Watched]:
    """Start a command of the agent under watch; what still runs at the end is killed."""
    _put_hook(folder)
    own = {name: value for name, value in os.environ.items() if name in SHARED}
    paths = os.pathsep.join((str(folder / "hook"), str(ROOT)))
    with (folder / "out").open("wb") as out, (folder / "err").open("wb") as err:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "agent",
            *arguments,
            env={**own, "HOME": str(folder), "COLUMNS": "200", "PYTHONPATH": paths, **environment},
            stdout=out,
            stderr=err,
            cwd=str(folder),
        )
    try:
        yield Watched(folder, process)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def _put_hook(folder: Path) -> None:
    (folder / "hook").mkdir(parents=True)
    (folder / "hook" / "sitecustomize.py").write_text(HOOK.format(path=str(folder / "noted")))


def settings_of(folder: Path, kubeconfig: Mapping[str, Any], **others: str) -> dict[str, str]:
    """Return the environment of an agent against a simulated cluster; State is a file."""
    path = folder / "kubeconfig"
    path.write_text(json.dumps(kubeconfig))
    found = {
        "KUBERNETES_KUBECONFIG": str(path),
        "STATE_PATH": str(folder / "state.json"),
        "LEDGER_PATH": str(folder / "ledger"),
        "WINDOW_SECONDS": "2",
        "COMMIT_SECONDS": "1",
        "PRIVACY_QUIET_PERIOD_SECONDS": "0",
        "HEALTH_HOST": "127.0.0.1",
        "HEALTH_PORT": "0",
        "PAGE_PORT": "0",
        **others,
    }
    return {PREFIX + name: value for name, value in found.items()}
