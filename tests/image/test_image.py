"""What is in the image, and that it works as a restricted pod runs it."""

from __future__ import annotations

import asyncio
import gzip
import json
import re
import subprocess
import sys
import time
import urllib.request
from pathlib import Path, PurePosixPath

import pytest

from agent import __version__
from tests.agents import NAMESPACE
from tests.image.conftest import TAG, Image
from tests.image.lab import AUTHORITY, WINDOW_SECONDS, Lab
from tests.sim.store import CONFIGMAPS

pytestmark = [pytest.mark.image, pytest.mark.timeout(300, func_only=True)]

ROOT = Path(__file__).parent.parent.parent
SIZE_BYTES = 130_000_000
COMPRESSED_BYTES = 35_000_000
RESIDENT_BYTES = 80 * 1024 * 1024
COMMAND = "botkube-analytics"
# What the engine puts into every container.
ENGINES = {".dockerenv", "dev", "proc", "sys", "run"} | {
    f"etc/{name}" for name in ("hostname", "hosts", "mtab", "resolv.conf")
}


def names(image: Image) -> set[PurePosixPath]:
    """Return every file and link, but the engine's own."""
    found = {PurePosixPath(name) for name, one in image.members.items() if not one.isdir()}
    own = {PurePosixPath(name) for name in ENGINES}
    return {path for path in found if not own & {path, *path.parents}}


def test_nothing_can_be_executed_but_python_and_the_agents_command(image: Image) -> None:
    found = {
        path.name
        for path in names(image)
        if image.members[str(path)].isfile()
        and image.members[str(path)].mode & 0o111
        and ".so" not in path.name
    }

    assert {COMMAND} == {name for name in found if not re.fullmatch(r"python3?(\.\d+)?", name)}


def test_there_is_no_shell_and_no_package_manager(image: Image) -> None:
    unwanted = {"sh", "bash", "dash", "busybox", "apt", "apt-get", "dpkg", "pip", "ensurepip"}

    assert not [path for path in names(image) if unwanted & set(path.parts)]


def test_beside_python_and_the_agent_there_are_five_files(image: Image) -> None:
    found = {str(path) for path in names(image)}
    libraries = {name for name in found if re.search(r"\.so(\.|$)", name)}
    python = {name for name in found if re.match(r"usr/(local/)?(bin|lib)/python3", name)}
    python |= {name for name in found if re.fullmatch(r"usr/(local/)?bin/python", name)}
    agent = {name for name in found if name.startswith("opt/venv/")}

    assert {
        "etc/group",
        "etc/nsswitch.conf",
        "etc/passwd",
        "etc/ssl/certs/ca-certificates.crt",
        "sbom.cdx.json",
    } == found - libraries - python - agent


def test_every_module_has_bytecode_that_is_never_checked(image: Image) -> None:
    sources = {path for path in names(image) if path.suffix == ".py"}
    compiled = {path for path in names(image) if path.suffix == ".pyc"}
    unchecked = b"\x01\x00\x00\x00"

    assert {path.stem for path in sources} == {path.name.split(".")[0] for path in compiled}
    assert len(sources) == len(compiled)
    assert {unchecked} == {head[4:8] for head in image.heads(".pyc")}


def test_user_and_group_are_numbers(image: Image) -> None:
    assert image.config["User"] == "65532:65532"


def test_it_is_told_what_it_is(image: Image) -> None:
    prefix = "org.opencontainers.image."
    labels = {
        key.removeprefix(prefix): value
        for key, value in image.config["Labels"].items()
        if key.startswith(prefix)
    }

    assert __version__ == labels["version"]
    assert re.fullmatch(r"[0-9a-f]{40}|unknown", labels["revision"])
    assert {"title", "description", "licenses", "vendor", "version", "revision"} == labels.keys()


def test_authorities_are_named_and_pips_own_is_not_among_them(image: Image) -> None:
    path = "/etc/ssl/certs/ca-certificates.crt"
    listed = image.read(path[1:]).decode()

    assert f"SSL_CERT_FILE={path}" in image.config["Env"]
    assert listed.count("BEGIN CERTIFICATE") > 100
    assert image.foreign.strip() not in listed
    assert image.foreign.splitlines()[1] not in json.dumps(image.inspected)


def test_it_is_small(image: Image, capsys: pytest.CaptureFixture[str]) -> None:
    saved = image.files.with_name("saved.tar")
    image.engine("save", "--output", saved, TAG)
    compressed = len(gzip.compress(saved.read_bytes(), 6))
    with capsys.disabled():
        print(f"\nimage: {image.inspected['Size']} bytes, {compressed} compressed")  # noqa: T201 a result

    assert image.inspected["Size"] <= SIZE_BYTES
    assert compressed <= COMPRESSED_BYTES


def test_the_list_of_contents_is_whole(image: Image) -> None:
    listed = json.loads(image.read("sbom.cdx.json"))
    purls = {one["purl"].split("@")[0] for one in listed["components"]}
    locked = re.findall(r"(?m)^([a-z0-9-]+)==", (ROOT / "requirements.txt").read_text())

    assert listed["bomFormat"] == "CycloneDX"
    assert f"pkg:pypi/{COMMAND}@{__version__}" == listed["metadata"]["component"]["purl"]
    assert {f"pkg:pypi/{name}" for name in locked} == {p for p in purls if "pypi" in p}
    assert {"pkg:generic/python", "pkg:deb/debian/libc6"} <= purls
    assert any(one.startswith("pkg:deb/debian/libssl") for one in purls)


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_every_locked_requirement_has_a_wheel(machine: str, tmp_path: Path) -> None:
    version = "3.13"
    platforms = [f"--platform=manylinux_2_{minor}_{machine}" for minor in (17, 28, 35)]
    for lock in ("requirements.txt", "requirements-build.txt", "requirements-sbom.txt"):
        done = subprocess.run(  # noqa: S603 the arguments are our own
            [
                *(sys.executable, "-m", "pip", "install", "--dry-run", "--no-deps", "--quiet"),
                *("--disable-pip-version-check", "--require-hashes", "--only-binary", ":all:"),
                *("--python-version", version, f"--platform=manylinux2014_{machine}", *platforms),
                *("--target", str(tmp_path), "--requirement", str(ROOT / lock)),
            ],
            check=False,
            capture_output=True,
            text=True,
            timeout=200,
        )

        assert done.returncode == 0, f"{lock}: {done.stderr}"


async def test_counts_equal_what_was_written(
    world: Lab, capsys: pytest.CaptureFixture[str]
) -> None:
    pod = world.cluster.botkube(NAMESPACE, at=time.time_ns(), version="v1.14.0")
    settings = {
        "DESTINATION_ENDPOINT": world.collector_url,
        "DESTINATION_WRITE_KEY": world.collector.write_key,
    }
    async with world.agent(f"--env=SSL_CERT_FILE={AUTHORITY}", **settings) as agent:
        await agent.says("pods listed")
        await world.write(pod, 5)
        await world.all_counted()
        resident = await agent.resident_bytes()
        first = (await agent.log())[0]
        state = world.cluster.server.store.objects(CONFIGMAPS, NAMESPACE)
        port = str((await agent.says("page"))["port"])
        page = await asyncio.to_thread(ask, f"http://127.0.0.1:{port}/")
        status = await agent.run(COMMAND, "status", "--page-port", port)
        await agent.prints(
            '"delivered"', COMMAND, "ledger", "--format", "json", "--page-port", port
        )
        doctor = await agent.run(COMMAND, "doctor")
        code = await agent.stop()

    with capsys.disabled():
        print(f"\nagent: {resident >> 20} MiB resident")  # noqa: T201 a result
    assert (first["message"], first["mode"], first["version"]) == ("mode", "on", __version__)
    assert first["why"]
    assert resident <= RESIDENT_BYTES
    assert {one["metadata"]["name"] for one in state} >= {
        "botkube-analytics-state",
        "botkube-analytics-installation",
    }
    assert "Collection report" in page
    assert status[0] == 0, status
    assert "ok   right: get on pods/log: held" in doctor[1]
    assert doctor[0] == 0, doctor[1]
    assert code == 0


async def test_an_authority_that_is_not_named_is_refused(world: Lab) -> None:
    pod = world.cluster.botkube(NAMESPACE, at=time.time_ns(), version="v1.14.0")
    settings = {"DESTINATION_ENDPOINT": world.collector_url, "DESTINATION_WRITE_KEY": "write-key"}
    async with world.agent(**settings) as agent:
        await agent.says("pods listed")
        await world.write(pod, WINDOW_SECONDS)
        said = await agent.says("batch not accepted, will retry")

    assert said["reason"] == "connection"
    assert not world.collector.requests


async def test_without_a_write_key_it_counts_and_sends_nothing(world: Lab) -> None:
    pod = world.cluster.botkube(NAMESPACE, at=time.time_ns(), version="v1.14.0")
    async with world.agent() as agent:
        await agent.says("pods listed")
        await world.write(pod, 3 * WINDOW_SECONDS)
        port = str((await agent.says("page"))["port"])
        first = (await agent.log())[0]
        asked = (COMMAND, "ledger", "--format", "json", "--page-port", port)
        await agent.prints('"not_sent"', *asked)

    assert (first["message"], first["mode"]) == ("mode", "local")
    assert not world.collector.requests


async def test_switched_off_it_says_so_and_ends_in_order(world: Lab) -> None:
    async with world.agent(DISABLE="true") as agent:
        first = await agent.says("mode")
        code = await agent.stop()

    assert (first["mode"], first["version"]) == ("off", __version__)
    assert not world.cluster.server.calls
    assert code == 0


@pytest.mark.parametrize(
    ("command", "says"),
    [
        (("--version",), __version__),
        (("plan",), "Command executed"),
        (("rules", "check"), ""),
        (("rules", "test"), ""),
        (("rules", "docs"), "# Rules"),
        (("preview", "-"), "Command executed"),
        (("prove", "-"), "proved"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_the_other_commands_work(image: Image, command: tuple[str, ...], says: str) -> None:
    log = (ROOT / "tests/data/samples/v1.6.0/pod.log").read_text()
    flags = ("--rm", "--interactive", "--read-only", "--cap-drop", "ALL", "--network", "none")

    assert says in image.engine("run", *flags, TAG, *command, given=log, seconds=200)


def ask(url: str) -> str:
    with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310 our own address
        return str(answer.read().decode())
