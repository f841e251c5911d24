"""The agent as a process of its own: what it has used, and what it has committed."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import attrs

from agent.state.document import Document, DocumentError, decode
from tests.watched import settings_of

POLL_SECONDS = 0.02
PATIENCE_SECONDS = 600
TICKS = os.sysconf("SC_CLK_TCK")


@attrs.define(eq=False)
class Agent:
    """One running agent; State is a file that only it writes."""

    folder: Path
    process: asyncio.subprocess.Process
    began: float

    def cpu_seconds(self) -> float:
        """Return what it has used of all cores, of user and system."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def rss_mib(self) -> float:
        """Return its resident memory."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        (line,) = [line for line in status.splitlines() if line.startswith("VmRSS:")]
        return int(line.split()[1]) / 1024

    def committed(self) -> Document | None:
        """Return the last commit, if there is any."""
        try:
            return decode((self.folder / "state.json").read_bytes())
        except (FileNotFoundError, DocumentError):
            return None

    def lines(self) -> list[int]:
        """Return how many lines of each container are committed."""
        document = self.committed()
        return [] if document is None else [one.total for one in document.cursors.values()]

    async def until(self, is_so: Callable[[], bool]) -> float:
        """Wait until something is so, looking often; return how long after the start it was."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not is_so():
                assert self.process.returncode is None, (self.folder / "log").read_text()[-2000:]
                await asyncio.sleep(POLL_SECONDS)
        return time.monotonic() - self.began


@asynccontextmanager
async def agent(folder: Path, kubeconfig: Path, **others: str) -> AsyncIterator[Agent]:
    """Start an agent that counts and does not send; kill it at the end."""
    folder.mkdir(parents=True)
    settings = {
        "KUBERNETES_NAMESPACES": "botkube",
        "COMMIT_SECONDS": "10",
        "WINDOW_SECONDS": "3600",
        "LEDGER_PATH": "",
        **others,
    }
    environment = settings_of(folder, {}, **settings)
    environment["BOTKUBE_ANALYTICS_KUBERNETES_KUBECONFIG"] = str(kubeconfig)
    environment = {name: value for name, value in environment.items() if value}
    environment |= {"PATH": os.environ["PATH"], "PYTHONPATH": str(Path.cwd()), "HOME": str(folder)}
    with (folder / "log").open("wb") as output:
        began = time.monotonic()
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "agent", "run", env=environment, stdout=output, stderr=output
        )
    try:
        yield Agent(folder, process, began)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
