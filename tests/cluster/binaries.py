"""The programs of a control plane: built from Go modules on first use, kept under `.cache/`.

`python -m tests.cluster.binaries` builds what is missing and says in one line why it cannot; for
a cluster that CLUSTER_KUBECONFIG names, the kubelet's stand-in alone. Helm and kwok are modules of
their own: their tests are skipped where they cannot be built, and no others.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

HERE = Path(__file__).parent
CACHE = HERE.parent.parent / ".cache" / "cluster"
PACKAGES = {
    "etcd": "go.etcd.io/etcd/server/v3",
    "kube-apiserver": "k8s.io/kubernetes/cmd/kube-apiserver",
    "kubelet": "./kubelet",
}
HELM, KWOK = "helm.sh/helm/v3", "sigs.k8s.io/kwok"
SOURCES = ("go.mod", "go.sum", "kubelet/main.go")
MOST_SECONDS = 45 * 60
VERSION = re.findall(r"k8s.io/kubernetes (v\S+)", (HERE / "go.mod").read_text())[0]
HELM_VERSION = re.findall(rf"{HELM} (v\S+)", (HERE / "helm" / "go.mod").read_text())[0]
# A release is told its version by the linker; without, the API server says v0.0.0.
SAYS_VERSION = f"k8s.io/component-base/version.gitVersion={VERSION}"
HELM_SAYS_VERSION = f"{HELM}/internal/version.version={HELM_VERSION}"
KWOK_VERSION = re.findall(rf"{KWOK} v(\S+)", (HERE / "kwok" / "go.mod").read_text())[0]
KWOK_SAYS_VERSION = f"{KWOK}/pkg/consts.Version={KWOK_VERSION}"


class Missing(Exception):  # noqa: N818 a state of affairs, not a fault of a test
    """A program is not there and cannot be built here; the message says why."""


def programs(*names: str) -> Mapping[str, Path]:
    """Return where each program is, or each of these, built if need be. Raises `Missing`."""
    return {name: _program(name) for name in names or PACKAGES}


def wanted(environment: Mapping[str, str]) -> Sequence[str]:
    """Return the names of what is run here: in a cluster that is given, no control plane."""
    return ("kubelet",) if environment.get("CLUSTER_KUBECONFIG") else tuple(PACKAGES)


def helm() -> Path:
    """Return where helm is, built if need be. Raises `Missing`."""
    return _tool("helm", HELM, HELM_SAYS_VERSION)


def kwok() -> Path:
    """Return where kwok is, built if need be. Raises `Missing`."""
    return _tool("kwok", KWOK, KWOK_SAYS_VERSION)


def _tool(name: str, module: str, says_version: str) -> Path:
    folder = _folder(HERE / name, ("go.mod", "go.sum"))
    if not (folder / name).exists():
        _build(f"{module}/cmd/{name}", folder / name, HERE / name, says_version)
    return folder / name


def _program(name: str) -> Path:
    folder = _folder(HERE, SOURCES)
    if not (folder / name).exists():
        _build(PACKAGES[name], folder / name, HERE, SAYS_VERSION)
    return folder / name


def _folder(module: Path, sources: Sequence[str]) -> Path:
    """Return the folder of what is built from these sources."""
    wanted = b"".join((module / one).read_bytes() for one in sources)
    folder = CACHE / hashlib.sha256(wanted).hexdigest()[:12]
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _build(package: str, target: Path, module: Path, says_version: str) -> None:
    go = shutil.which("go")
    if go is None:
        raise Missing(f"{target.name} is built with Go 1.24 or newer, and there is no `go` here")
    began = time.monotonic()
    print(f"building {target.name}, some minutes, once", file=sys.stderr, flush=True)  # noqa: T201
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        built = Path(folder, target.name)
        flags = f"-ldflags=-s -w -X {says_version}"
        command = (go, "build", "-mod=readonly", "-trimpath", flags, "-o", str(built), package)
        try:
            done = subprocess.run(  # noqa: S603 the arguments are our own
                command,
                cwd=module,
                check=False,
                stdin=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                timeout=MOST_SECONDS,
            )
        except subprocess.TimeoutExpired as error:
            raise Missing(f"{target.name} was not built within {MOST_SECONDS} s") from error
        if done.returncode != 0:
            said = done.stderr.decode(errors="replace").strip().splitlines() or ["no word"]
            raise Missing(f"{target.name} cannot be built (no network?): go says: {said[-1]}")
        built.replace(target)
    print(f"built {target.name} in {time.monotonic() - began:.0f} s", file=sys.stderr)  # noqa: T201


def main() -> int:
    try:
        programs(*(sys.argv[1:] or wanted(os.environ)))
    except Missing as missing:
        print(f"no control plane: {missing}")  # noqa: T201
        return 1
    for tool, what in ((helm, "of the chart"), (kwok, "with kwok")):
        try:
            tool()
        except Missing as missing:
            print(f"no test {what}: {missing}")  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
