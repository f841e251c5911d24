"""A container engine: one that answers, else a Docker daemon of our own; and a base to build on.

Where no registry can be reached, Debian with its own Python, made by debootstrap and kept under
`.cache/`, stands in for the official image. `python -m tests.image.engine` tries all this and says
in one line why it cannot. Nothing is installed here, and the daemon leaves nothing behind.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import attrs
import certifi

ROOT = Path(__file__).parent.parent.parent
CACHE = ROOT / ".cache" / "image"
OFFICIAL: str = re.findall(r"(?m)^ARG PYTHON_IMAGE=(\S+)$", (ROOT / "Dockerfile").read_text())[0]
# The release that the official image is made of, with the same minor version of Python.
SUITE = "trixie"
PACKAGES = "python3,python3-venv,python3-pip,ca-certificates"
STAND_IN = f"botkube-analytics-base:{SUITE}"
START_SECONDS = 30
PULL_SECONDS = 120
BASE_SECONDS = 10 * 60
BUILD_SECONDS = 15 * 60
NO_NETWORK = ("--iptables=false", "--ip-masq=false", "--ip-forward=false", "--bridge=none")


class Missing(Exception):  # noqa: N818 a state of affairs, not a fault of a test
    """There is no engine, or nothing to build on; the message says why."""


@attrs.frozen
class Engine:
    """An engine that answers; `command` is its client."""

    command: str
    environment: Mapping[str, str]

    def __call__(self, *arguments: str | Path, seconds: float = 60, given: str = "") -> str:
        """Run the client and return what it printed. Raises CalledProcessError."""
        return _run(
            [self.command, *map(str, arguments)],
            seconds=seconds,
            environment=self.environment,
            given=given,
        )

    def build(self, tag: str, *, ca_file: Path) -> None:
        """Build the image as users do."""
        given = [f"ENGINE={self.command}", f"IMAGE={tag}", f"PYTHON_IMAGE={self._base()}"]
        # A daemon of ours has no other network to give.
        given += [f"CA_FILE={ca_file}", "BUILD_FLAGS=--network host"]
        _run(
            ["make", "--no-print-directory", "image", *given],
            seconds=BUILD_SECONDS,
            environment=self.environment,
        )

    def has_official(self) -> bool:
        """Say whether the official image is here or can be had."""
        for command in (("image", "inspect"), ("pull", "--quiet")):
            with suppress(subprocess.SubprocessError, OSError):
                self(*command, OFFICIAL, seconds=PULL_SECONDS)
                return True
        return False

    def _base(self) -> str:
        if self.has_official():
            return OFFICIAL
        self("import", stand_in(), STAND_IN, seconds=PULL_SECONDS)
        return STAND_IN


@contextmanager
def engine() -> Iterator[Engine]:
    """Take the engine that answers, else start one. Raises `Missing`."""
    for command in ("docker", "podman"):
        found = Engine(command, os.environ)
        if shutil.which(command) and _answers(found):
            yield found
            return
    for program in ("docker", "dockerd", "unshare"):
        if shutil.which(program) is None:
            raise Missing(
                f"no container engine answers, and none can be started: there is no `{program}` "
                "here (Debian and Ubuntu: apt-get install docker.io debootstrap)"
            )
    if os.geteuid() != 0:
        raise Missing("no container engine answers, and only root can start one")
    with tempfile.TemporaryDirectory(prefix="image-") as folder, _daemon(Path(folder)) as started:
        yield started


@contextmanager
def _daemon(folder: Path) -> Iterator[Engine]:
    socket, log = folder / "socket", folder / "log"
    host = f"unix://{socket}"
    command = [
        # What it mounts is gone with it, whatever becomes of it.
        *("unshare", "--mount", "--propagation", "private"),
        *("dockerd", "--host", host, "--data-root", str(folder / "data"), *NO_NETWORK),
        *("--exec-root", str(folder / "run"), "--pidfile", str(folder / "pid")),
    ]
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603 the arguments are our own
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
    try:
        # Not a context of the user's, which would name another engine.
        kept = {k: v for k, v in os.environ.items() if not k.startswith("DOCKER_")}
        started = Engine("docker", kept | {"DOCKER_HOST": host})
        until = time.monotonic() + START_SECONDS
        while not _answers(started):
            if process.poll() is not None or time.monotonic() > until:
                said = log.read_text(errors="replace").strip().splitlines() or ["no word"]
                raise Missing(f"dockerd does not start here; it says: {said[-1]}")
            time.sleep(0.2)
        yield started
    finally:
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(START_SECONDS)
    except subprocess.TimeoutExpired:
        # Its containerd and what it runs are of its session.
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    # The daemon makes one group in each hierarchy, empty by now.
    for group in Path("/sys/fs/cgroup").glob("*/docker"):
        if not any(one.is_dir() for one in group.iterdir()):
            group.rmdir()


def stand_in() -> Path:
    """Return the archive of the stand-in, made if need be. Raises `Missing`."""
    archive = CACHE / f"{SUITE}.tar.gz"
    if archive.exists():
        return archive
    if shutil.which("debootstrap") is None or os.geteuid() != 0:
        raise Missing(
            f"{OFFICIAL} cannot be pulled, and what stands in for it is made as root with "
            "debootstrap (apt-get install debootstrap)"
        )
    print("making a base with debootstrap, a minute, once", file=sys.stderr, flush=True)  # noqa: T201
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as folder:
        root, made = Path(folder, "root"), Path(folder, "made")
        options = ("--variant=minbase", f"--include={PACKAGES}")
        _make(["debootstrap", *options, SUITE, str(root)])
        for name in ("python", "python3"):
            # Where the official image has it.
            (root / "usr" / "local" / "bin" / name).symlink_to("/usr/bin/python3")
        left_out = ("./var/cache/apt/archives/*.deb", "./var/lib/apt/lists/*")
        excluded = [f"--exclude={one}" for one in left_out]
        _make(["tar", "-czf", str(made), *excluded, "-C", str(root), "."])
        made.replace(archive)
    return archive


def _make(command: Sequence[str]) -> None:
    try:
        _run(command, seconds=BASE_SECONDS)
    except (subprocess.SubprocessError, OSError) as error:
        said = str(getattr(error, "stdout", None) or error).strip().splitlines()
        raise Missing(f"{command[0]} does not make a base (no network?): {said[-1]}") from error


def _answers(found: Engine) -> bool:
    try:
        # Podman has no daemon, so it answers where it can run.
        found("info", seconds=20)
    except (subprocess.SubprocessError, OSError):
        return False
    return True


def authorities() -> str:
    """Return the PEM text of those that this machine trusts beyond the public ones.

    Behind a proxy that inspects TLS, its own is among them.
    """
    paths = ssl.get_default_verify_paths()
    places = (os.environ.get("PIP_CERT"), paths.cafile, "/etc/ssl/certs/ca-certificates.crt")
    mine = next((Path(one) for one in places if one and Path(one).exists()), None)
    if mine is None:
        return ""
    public = set(_certificates(Path(certifi.where())))
    return "\n".join(one for one in _certificates(mine) if one not in public)


def _certificates(path: Path) -> list[str]:
    begin, end = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
    found: list[str] = re.findall(f"{begin}.*?{end}", path.read_text(errors="replace"), re.DOTALL)
    return found


def _run(
    command: Sequence[str],
    *,
    seconds: float,
    environment: Mapping[str, str] | None = None,
    given: str = "",
) -> str:
    done = subprocess.run(  # noqa: S603 the arguments are our own
        command,
        cwd=ROOT,
        check=False,
        env=environment,
        input=given,
        capture_output=True,
        text=True,
        timeout=seconds,
    )
    if done.returncode != 0:
        said = done.stdout + done.stderr
        error = subprocess.CalledProcessError(done.returncode, command, said)
        error.add_note(said[-2000:])
        raise error
    return done.stdout


def main() -> int:
    """Try to have an engine and a base."""
    try:
        with engine() as found:
            if not found.has_official():
                stand_in()
    except Missing as missing:
        print(f"no image: {missing}")  # noqa: T201
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
