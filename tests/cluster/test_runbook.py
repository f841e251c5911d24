"""The commands of the runbook, in its order, as somebody types them: on a real API server."""

from __future__ import annotations

import base64
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.cluster import binaries
from tests.cluster.test_chart import NAME, Place, _helm, _operator, kubeconfig, place
from tests.manifests import DEPLOY

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300, func_only=True)]

__all__ = ["_helm", "_operator", "kubeconfig", "place"]

RUNBOOK = (DEPLOY / "README.md").read_text(encoding="utf-8")
KEPT_FOR_OTHERS = {
    " exec ": "no container runs here; tests of the command itself run it",
    "apply -k": "the folders name their namespace; test_chart applies each to one of its own",
    "get endpoints": "this API server keeps none of its own",
    "NAMESPACE": "an example, which test_chart renders with its own words",
}
"""What a command has in it that is not run, and why."""


def commands() -> list[str]:
    """Return every command of helm and kubectl, in a block or in a line, as it stands."""
    blocks = re.compile(r"(?ms)^```sh\n(.*?)^```$|`((?:helm|kubectl) [^`]+)`")
    found = [
        line
        for block, inline in (one.groups() for one in blocks.finditer(RUNBOOK))
        for line in (block or inline).splitlines()
    ]
    return [one for one in found if one.startswith(("helm ", "kubectl ")) and len(one.split()) > 3]


def run(place: Place, command: str, folder: Path) -> str:
    """Run it in a shell, in the namespace of this place and with its programs."""
    programs = folder / "bin"
    if not programs.exists():
        programs.mkdir()
        (programs / "helm").symlink_to(binaries.helm())
        shutil.copytree(DEPLOY / "chart", folder / "deploy" / "chart")
    command = re.sub(r"(-n |namespace |serviceaccount:)botkube\b", rf"\1{place.namespace}", command)
    done = subprocess.run(  # noqa: S603 the commands are our own
        ["/bin/bash", "-c", f"set -o pipefail\n{command}"],
        env={
            "HOME": str(folder),
            "KUBECONFIG": str(place.kubeconfig),
            "PATH": f"{programs}:{os.environ['PATH']}",
        },
        cwd=folder,
        capture_output=True,
        check=False,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, (command, done.stderr)
    return done.stdout


@pytest.fixture(autouse=True)
def _kubectl() -> None:
    if shutil.which("kubectl") is None:
        pytest.skip("no kubectl here, which the runbook uses")


def test_each_command_does_and_at_the_end_nothing_of_ours_is_left(
    place: Place, tmp_path: Path
) -> None:
    (tmp_path / "write-key").write_text("first")
    (tmp_path / "ca.crt").write_text("an authority")
    before, ran = place.there(), []
    for command in commands():
        if not any(part in command for part in KEPT_FOR_OTHERS):
            run(place, command, tmp_path)
            ran.append(command.split("#")[0].strip())
    core = f"/api/v1/namespaces/{place.namespace}"
    theirs = {f"{core}/secrets/segment", f"{core}/configmaps/authorities"}

    assert place.settles(before | theirs) == before | theirs
    assert not [one for one in KEPT_FOR_OTHERS if not any(one in line for line in commands())]
    assert sum("helm upgrade" in one for one in ran) == 3
    for one in ("helm install", "helm rollback", "rollout restart", "annotate", "helm uninstall"):
        assert any(one in command for command in ran), one


def key_of(place: Place) -> str:
    found = place.api.ask("GET", f"/api/v1/namespaces/{place.namespace}/secrets/{NAME}")
    return base64.b64decode(found["data"]["write-key"]).decode()


def test_a_key_that_is_a_value_is_rotated_by_the_command_and_restarts_the_pod(
    place: Place, tmp_path: Path
) -> None:
    (command,) = (one for one in commands() if "--set-file" in one)
    where = f"/apis/apps/v1/namespaces/{place.namespace}/deployments/{NAME}"
    given = "destination.writeKey=first,replicas=2"
    run(place, f"helm install {NAME} deploy/chart -n botkube --set {given}", tmp_path)
    old = place.api.ask("GET", where)["spec"]
    (tmp_path / "write-key").write_text("second")
    run(place, command, tmp_path)
    new = place.api.ask("GET", where)["spec"]
    marks = [one["template"]["metadata"].pop("annotations") for one in (old, new)]

    assert key_of(place) == "second"
    assert old == new
    assert {key for key in marks[0] if marks[0][key] != marks[1][key]} == {"checksum/write-key"}
    (tmp_path / "write-key").write_text("third\n")
    with pytest.raises(AssertionError, match="writeKey"):
        run(place, command, tmp_path)
    (moved,) = re.findall(r"`(--set destination\.writeKey=,\S+)`", RUNBOOK)
    run(place, f"{command.partition(' --set-file')[0]} {moved}", tmp_path)
    names = {one.rpartition("/")[2] for one in place.there() if "/secrets/" in one}
    assert NAME not in names
