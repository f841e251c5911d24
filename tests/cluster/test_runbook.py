"""The commands of the runbook, in its order, as somebody types them: on a real API server.

And those by which the texts of `deploy/announcement/` say that one can say no.
"""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.cluster import binaries
from tests.cluster.test_chart import NAME, Place, _helm, _operator, kubeconfig, place
from tests.manifests import DEPLOY
from tests.test_announcement import COMMANDS, PARENT

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
    secrets = {f"{core}/secrets/{one}" for one in ("segment", "destination")}
    theirs = secrets | {f"{core}/configmaps/authorities"}

    assert place.settles(before | theirs) == before | theirs
    assert not [one for one in KEPT_FOR_OTHERS if not any(one in line for line in commands())]
    assert sum("helm upgrade" in one for one in ran) == 4
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


# --- what the announcement says -------------------------------------------------------------------


def told(*parts: str) -> str:
    """Return the command of the texts that has all of these in it."""
    (found,) = {one for one in COMMANDS if all(part in one for part in parts)}
    return found.replace("<BOTKUBE-CHART>", PARENT)


def workload(place: Place, kind: str = "deployments", name: str = NAME) -> dict[str, Any]:
    where = f"/apis/apps/v1/namespaces/{place.namespace}/{kind}/{name}"
    found: dict[str, Any] = place.api.ask("GET", where)["spec"]
    return found


def ours(place: Place, before: set[str]) -> set[str]:
    """Return what is there by kind and name, but for what the API server and Helm keep."""
    names = {"/".join(one.split("/")[-2:]) for one in place.there() - before}
    return {one for one in names if not one.startswith(("secrets/sh.helm", "controllerrevisions/"))}


def test_the_announcements_switches_off_do_what_they_say(place: Place, tmp_path: Path) -> None:
    before = place.there()
    install = f"helm install {NAME} deploy/chart -n botkube"
    run(place, f"{install} --set destination.writeKey=key", tmp_path)
    run(place, told("kubectl annotate"), tmp_path)
    meta = place.api.ask("GET", f"/api/v1/namespaces/{place.namespace}")["metadata"]
    assert meta["annotations"]["botkube-analytics/disable"] == "true"
    assert f"deployment.apps/{NAME}" in run(place, told("get deploy,ds"), tmp_path)
    run(place, told("set env deploy/"), tmp_path)
    (container,) = workload(place)["template"]["spec"]["containers"]
    assert {"name": "BOTKUBE_ANALYTICS_DISABLE", "value": "true"} in container["env"]
    run(place, told("kubectl -n botkube scale"), tmp_path)
    assert workload(place)["replicas"] == 0
    # An upgrade takes the pause back, as the text says.
    run(place, "helm upgrade botkube-analytics deploy/chart -n botkube --reuse-values", tmp_path)
    assert workload(place)["replicas"] == 1
    run(place, told("helm upgrade", "--set analytics.disable"), tmp_path)
    assert ours(place, before) == {f"configmaps/{NAME}-installation"}
    run(place, told("helm uninstall"), tmp_path)
    assert place.settles(before) == before
    run(place, f"{install} --set kind=DaemonSet", tmp_path)
    run(place, told("set env ds/"), tmp_path)
    (container,) = workload(place, "daemonsets")["template"]["spec"]["containers"]
    assert {"name": "BOTKUBE_ANALYTICS_DISABLE", "value": "true"} in container["env"]
    run(place, told("helm uninstall"), tmp_path)


def test_as_a_part_of_botkubes_chart_it_is_called_and_switched_off_as_announced(
    place: Place, tmp_path: Path
) -> None:
    before = place.there()
    chart = tmp_path / PARENT
    shutil.copytree(DEPLOY / "chart", chart / "charts" / NAME)
    part = {"name": NAME, "version": "0.1.0", "condition": f"{NAME}.enabled"}
    about = {"apiVersion": "v2", "name": PARENT, "version": "1.0.0", "dependencies": [part]}
    (chart / "Chart.yaml").write_text(json.dumps(about))
    given = f"{NAME}.destination.writeKey=key"
    said = run(place, f"helm install {PARENT} {PARENT} -n botkube --set {given}", tmp_path)
    assert workload(place, name=f"{PARENT}-{NAME}")["replicas"] == 1
    assert "switch off" not in said  # of a part's notes nothing is printed, as the checklist warns
    run(place, told("helm upgrade", PARENT, f"--set {NAME}.analytics.disable"), tmp_path)
    assert ours(place, before) == {f"configmaps/{PARENT}-{NAME}-installation"}
    gone = f"helm upgrade {PARENT} {PARENT} -n botkube --reset-then-reuse-values"
    run(place, f"{gone} --set {NAME}.enabled=false", tmp_path)
    assert ours(place, before) == set()
    run(place, f"helm uninstall {PARENT} -n botkube", tmp_path)
