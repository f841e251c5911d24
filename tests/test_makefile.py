"""What the Makefile's targets end with, with an engine that fails; and which programs are built."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.cluster.binaries import wanted

MAKEFILE = Path(__file__).parent.parent / "Makefile"
ENGINE = """#!/bin/sh
echo "$1" >> asked
case "$1" in
create) echo c1 ;;
cp) exit {code} ;;
esac
"""


def make(folder: Path, *arguments: str, cp_code: int = 0) -> tuple[int, list[str]]:
    """Make there with an engine that notes what it is asked for; return code and notes."""
    engine = folder / "engine"
    engine.write_text(ENGINE.format(code=cp_code))
    engine.chmod(0o755)
    call = ["make", "-f", str(MAKEFILE), f"ENGINE={engine}", "VERSION=1", *arguments]
    done = subprocess.run(  # noqa: S603 our own Makefile
        call, cwd=folder, check=False, capture_output=True, timeout=10
    )
    asked = folder / "asked"
    return done.returncode, asked.read_text().split() if asked.exists() else []


pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="there is no make here")


@pytest.mark.parametrize("cp_code", [0, 1])
def test_a_list_that_was_not_copied_fails_and_the_container_goes(
    tmp_path: Path, cp_code: int
) -> None:
    code, asked = make(tmp_path, "sbom", cp_code=cp_code)

    assert (bool(code), asked) == (bool(cp_code), ["create", "cp", "rm"])


def test_no_image_is_built_without_the_authority_that_was_named(tmp_path: Path) -> None:
    code, asked = make(tmp_path, "image", f"CA_FILE={tmp_path / 'nope'}")

    assert (bool(code), asked) == (True, [])


def test_an_image_of_another_platform_is_asked_for_by_its_name(tmp_path: Path) -> None:
    call = ["make", "--dry-run", "-f", str(MAKEFILE), "image", "VERSION=1", "PLATFORM=linux/arm64"]
    done = subprocess.run(call, cwd=tmp_path, check=True, capture_output=True, text=True)  # noqa: S603

    assert " --platform linux/arm64 " in done.stdout


def test_pip_compiles_nothing_for_the_image() -> None:
    """Under QEMU that took longer than all else; PIP_NO_COMPILE=1 means that it shall."""
    text = MAKEFILE.with_name("Dockerfile").read_text().replace("\\\n", "")
    installs = re.findall(r"python -m pip [^;\n]* install [^;\n]*", text)

    assert len(installs) == 3
    assert not [one for one in installs if " --no-compile " not in one]
    assert "PIP_NO_COMPILE" not in text


def test_an_image_is_built_with_an_authority_and_without(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("x")

    assert make(tmp_path, "image") == (0, ["build"])
    assert make(tmp_path, "image", "CA_FILE=ca.pem") == (0, ["build", "build"])


def test_in_a_cluster_that_is_given_no_control_plane_is_built() -> None:
    assert wanted({"CLUSTER_KUBECONFIG": "x"}) == ("kubelet",)
    assert wanted({}) == ("etcd", "kube-apiserver", "kubelet")
