"""The chart on a real API server, installed with helm into a restricted namespace."""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import time
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path

import attrs
import pytest

from tests import manifests
from tests.cluster import binaries
from tests.cluster.api import MERGE, PLURALS, Api, Json, Refused
from tests.cluster.controlplane import READY_SECONDS, ControlPlane, Given
from tests.cluster.test_rights import EVERYBODYS, Right, rights
from tests.manifests import CHART

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300, func_only=True)]

VALUES = sorted((CHART / "ci").glob("*.yaml"))
NAME = "botkube-analytics"
RESTRICTED = {
    f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "audit", "warn")
}
CRDS = {"ServiceMonitor": "servicemonitors", "PrometheusRule": "prometheusrules"}


@pytest.fixture(scope="session", autouse=True)
def _helm() -> None:
    try:
        binaries.helm()
    except binaries.Missing as missing:
        pytest.skip(f"no helm: {missing}")


@pytest.fixture(scope="session")
def kubeconfig(cluster: ControlPlane | Given, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the administrator's kubeconfig."""
    if isinstance(cluster, Given):
        return Path(os.environ["CLUSTER_KUBECONFIG"])
    api = cluster.api
    path = tmp_path_factory.mktemp("kubeconfig") / "config"
    given = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "test",
        "clusters": [
            {"name": "test", "cluster": {"server": api.url, "certificate-authority": api.ca}}
        ],
        "users": [{"name": "test", "user": {"token": api.token}}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
    }
    path.write_text(json.dumps(given))
    return path


@attrs.frozen
class Place:
    """A restricted namespace, two more in which BotKube could run, and helm."""

    api: Api
    namespace: str
    kubeconfig: Path
    folder: Path

    @property
    def namespaces(self) -> list[str]:
        return [self.namespace, f"{self.namespace}-one", f"{self.namespace}-two"]

    def helm(self, command: str, *arguments: str | Path) -> str:
        given = ["--namespace", self.namespace, "--kubeconfig", str(self.kubeconfig)]
        return manifests.run(*command.split(), *map(str, arguments), *given)

    def values(self, path: Path) -> Path:
        """Return a values file with the namespaces of this place."""
        mine = self.folder / path.name
        mine.write_text(path.read_text().replace("botkube-", f"{self.namespace}-"))
        text = re.sub(rf"{self.namespace}-(?!one|two)", "botkube-", mine.read_text())
        mine.write_text(text)
        return mine

    def get(self, kind: str, name: str) -> Json:
        where = "/apis/coordination.k8s.io/v1" if kind == "Lease" else "/api/v1"
        return self.api.ask("GET", f"{where}/namespaces/{self.namespace}/{PLURALS[kind]}/{name}")

    def put(self, kind: str, name: str, change: Json) -> Json:
        """Write as the agent does, with another's hand than helm's."""
        where = "/apis/coordination.k8s.io/v1" if kind == "Lease" else "/api/v1"
        path = f"{where}/namespaces/{self.namespace}/{PLURALS[kind]}/{name}?fieldManager=agent"
        return self.api.ask("PATCH", path, change, kind=MERGE)

    def there(self) -> set[str]:
        """Return everything in the namespaces, and what the cluster has of rights."""
        found = set()
        for path, kind, is_namespaced in self._kinds():
            roots = [f"{path}/namespaces/{one}/{kind}" for one in self.namespaces]
            for root in roots if is_namespaced else [f"{path}/{kind}"]:
                items = self.api.ask("GET", root)["items"]
                found |= {f"{root}/{one['metadata']['name']}" for one in items}
        return found

    def _kinds(self) -> Iterator[tuple[str, str, bool]]:
        groups = self.api.ask("GET", "/apis")["groups"]
        for path in [
            "/api/v1",
            *(f"/apis/{one['preferredVersion']['groupVersion']}" for one in groups),
        ]:
            for one in self.api.ask("GET", path)["resources"]:
                is_right = one["name"].startswith("cluster") and "rbac" in path
                is_ours = one["name"] != "events" and (one["namespaced"] or is_right)
                if "list" in one["verbs"] and is_ours:
                    yield path, one["name"], one["namespaced"]

    def rights(self, account: str = NAME, *, namespace: str | None = None) -> set[Right]:
        """Return what the account may do in a namespace, as the API server tells it."""
        path = f"/api/v1/namespaces/{self.namespace}/serviceaccounts/{account}/token"
        token = self.api.ask("POST", path, {"spec": {"expirationSeconds": 600}})["status"]["token"]
        path = "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews"
        asked = {"spec": {"namespace": namespace or self.namespace}}
        status = self.api.as_bearer(token).ask("POST", path, asked)["status"]
        assert not status["incomplete"]
        return rights(status["resourceRules"]) - EVERYBODYS


@pytest.fixture(scope="session")
def _operator(cluster: ControlPlane | Given) -> None:
    """Let the API server know the kinds of the Prometheus operator, with any content."""
    group, any_object = "monitoring.coreos.com", "x-kubernetes-preserve-unknown-fields"
    for kind, plural in CRDS.items():
        version = {"name": "v1", "served": True, "storage": True}
        version["schema"] = {"openAPIV3Schema": {"type": "object", any_object: True}}
        names = {
            "kind": kind,
            "plural": plural,
            "singular": kind.lower(),
            "listKind": f"{kind}List",
        }
        spec = {"group": group, "scope": "Namespaced", "names": names, "versions": [version]}
        path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
        meta = {"name": f"{plural}.{group}"}
        try:
            cluster.api.ask("POST", path, {"metadata": meta, "spec": spec})
        except Refused as refused:
            if refused.status != HTTPStatus.CONFLICT:
                raise
    until = time.monotonic() + READY_SECONDS
    while not all(_is_served(cluster.api, group, plural) for plural in CRDS.values()):
        assert time.monotonic() < until, "the API server does not serve a new kind"
        time.sleep(0.2)


def _is_served(api: Api, group: str, plural: str) -> bool:
    try:
        api.ask("GET", f"/apis/{group}/v1/{plural}")
    except Refused:
        return False
    return True


@pytest.fixture
def place(
    cluster: ControlPlane | Given, _operator: None, kubeconfig: Path, tmp_path: Path
) -> Iterator[Place]:
    found = Place(cluster.api, f"botkube-{secrets.token_hex(4)}", kubeconfig, tmp_path)
    for name in found.namespaces:
        labels = RESTRICTED if name == found.namespace else {}
        meta = {"name": name, "labels": labels}
        found.api.ask("POST", "/api/v1/namespaces", {"metadata": meta})
    yield found
    for name in found.namespaces:
        found.api.ask("DELETE", f"/api/v1/namespaces/{name}")


# --- every values file ----------------------------------------------------------------------------


@pytest.mark.parametrize("path", VALUES, ids=lambda one: one.stem)
def test_a_values_file_is_installed_and_taken_away_without_a_trace(
    place: Place, path: Path
) -> None:
    values = place.values(path)
    before = place.there()
    place.helm("lint --strict", CHART, "--values", values)
    objects = manifests.objects(place.helm(f"template {NAME}", CHART, "--values", values))
    place.helm(f"install {NAME}", CHART, "--values", values)
    installed = place.there() - before

    assert installed
    for found in objects.values():
        # An unknown field is refused.
        place.api.apply(found["metadata"].get("namespace", place.namespace), found, dry_run=True)
        template = found.get("spec", {}).get("template")
        if template is not None:
            pod = {"metadata": {"name": "agent", **template["metadata"]}, "spec": template["spec"]}
            query = "dryRun=All&fieldValidation=Strict"
            place.api.ask("POST", f"/api/v1/namespaces/{place.namespace}/pods?{query}", pod)
    place.helm(f"uninstall {NAME}")
    assert place.there() == before


def test_the_namespace_refuses_a_pod_that_is_not_restricted(place: Place) -> None:
    objects = manifests.objects(place.helm(f"template {NAME}", CHART))
    spec = objects[f"Deployment/{NAME}"]["spec"]["template"]["spec"]
    del spec["securityContext"]["seccompProfile"]
    path = f"/api/v1/namespaces/{place.namespace}/pods?dryRun=All"
    with pytest.raises(Refused, match="violates PodSecurity"):
        place.api.ask("POST", path, {"metadata": {"name": "agent"}, "spec": spec})


# --- upgrade, roll back ---------------------------------------------------------------------------


def newer(folder: Path) -> Path:
    """Return the chart as the next release could have it."""
    shutil.copytree(CHART, folder)
    text = (CHART / "Chart.yaml").read_text().replace(": 0.1.0", ": 0.2.0")
    (folder / "Chart.yaml").write_text(text)
    return folder


@pytest.mark.parametrize("kind", ["Deployment", "DaemonSet"])
def test_what_the_agent_wrote_survives_upgrades_and_a_rollback(place: Place, kind: str) -> None:
    before = place.there()
    place.helm(f"install {NAME}", CHART, "--set", f"kind={kind}")
    names = [f"{NAME}-installation", f"{NAME}-state"]
    if kind == "DaemonSet":
        names[1:] = [f"{NAME}-state-{number}" for number in range(8)]
    written = {}
    for name in names:
        assert not {"data", "binaryData"} & place.get("ConfigMap", name).keys()
        found = place.put("ConfigMap", name, {"binaryData": {"state": "aWRzLCBjdXJzb3Jz"}})
        written[name] = found["binaryData"], found["metadata"]["uid"]

    def kept() -> dict[str, tuple[Json, str]]:
        found = {name: place.get("ConfigMap", name) for name in names}
        return {name: (one["binaryData"], one["metadata"]["uid"]) for name, one in found.items()}

    place.helm(f"upgrade {NAME}", CHART, "--reuse-values", "--set", "commonLabels.team=chatops")
    assert kept() == written
    place.helm(f"upgrade {NAME}", newer(place.folder / "newer"), "--reuse-values")
    version = place.get("ConfigMap", names[0])["metadata"]["labels"]["app.kubernetes.io/version"]
    assert (version, kept()) == ("0.2.0", written)
    place.helm(f"rollback {NAME}", "1")
    version = place.get("ConfigMap", names[0])["metadata"]["labels"]["app.kubernetes.io/version"]
    assert (version, kept()) == ("0.1.0", written)
    place.helm(f"uninstall {NAME}")
    assert place.there() == before


def test_the_lease_comes_with_replicas_and_keeps_its_holder(place: Place) -> None:
    place.helm(f"install {NAME}", CHART, "--set", "replicas=2")
    place.put("Lease", NAME, {"spec": {"holderIdentity": "one", "leaseTransitions": 7}})
    place.helm(f"upgrade {NAME}", CHART, "--set", "replicas=3")
    place.helm(f"rollback {NAME}", "1")

    assert place.get("Lease", NAME)["spec"] == {"holderIdentity": "one", "leaseTransitions": 7}
    place.helm(f"upgrade {NAME}", CHART, "--set", "replicas=1")
    with pytest.raises(Refused, match="NotFound"):
        place.get("Lease", NAME)


def test_off_takes_pod_and_rights_away_and_keeps_the_installation(place: Place) -> None:
    before = place.there()
    place.helm(f"install {NAME}", CHART, "--set", "rights.clusterId=true")
    place.put("ConfigMap", f"{NAME}-installation", {"binaryData": {"state": "aWQ="}})
    notes = place.helm(
        f"upgrade {NAME}", CHART, "--reuse-values", "--set", "analytics.disable=true"
    )
    left = {one for one in place.there() - before if "/secrets/sh.helm.release." not in one}

    assert left == {f"/api/v1/namespaces/{place.namespace}/configmaps/{NAME}-installation"}
    assert "Mode: off" in notes
    assert place.get("ConfigMap", f"{NAME}-installation")["binaryData"] == {"state": "aWQ="}
    place.helm(f"upgrade {NAME}", CHART, "--reuse-values", "--set", "analytics.disable=false")
    assert place.get("ConfigMap", f"{NAME}-installation")["binaryData"] == {"state": "aWQ="}
    assert place.rights()
