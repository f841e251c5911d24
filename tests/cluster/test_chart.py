"""The chart on a real API server, installed with helm into a restricted namespace."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import random
import re
import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path

import attrs
import pytest
import yaml

from agent.doctor.rights import RIGHTS, Lack
from agent.settings.table import PREFIX
from agent.sink.destination import KINDS
from tests import manifests
from tests.cluster import binaries
from tests.cluster.api import MERGE, PLURALS, Api, Json, Refused
from tests.cluster.controlplane import READY_SECONDS, ControlPlane, Given
from tests.cluster.lab import Lab, lab
from tests.cluster.test_chart_fields import SITE
from tests.cluster.test_rights import EVERYBODYS, Right, rights
from tests.manifests import CHART, HelmError
from tests.test_chart import MAY_BE_ABSENT, WRONG, asked, environment, loaded, without, workload
from tests.test_chart import given as granted

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300, func_only=True)]

VALUES = sorted((CHART / "ci").glob("*.yaml"))
NAME = "botkube-analytics"
OFF_SECONDS = 60
GRACE_SECONDS = 30
SETTLE_SECONDS = 20
GIVEN_SECONDS = 3
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

    def settles(self, wanted: set[str]) -> set[str]:
        """Return what is there, once it is this or no longer changes: controllers take a while."""
        until = time.monotonic() + SETTLE_SECONDS
        while (found := self.there()) != wanted and time.monotonic() < until:
            time.sleep(1)
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

    def as_account(self) -> Api:
        """Return the API as the agent's account may use it."""
        path = f"/api/v1/namespaces/{self.namespace}/serviceaccounts/{NAME}/token"
        asked = {"spec": {"expirationSeconds": 600}}
        return self.api.as_bearer(self.api.ask("POST", path, asked)["status"]["token"])

    def rights(self, *, namespace: str | None = None) -> set[Right]:
        """Return what the account may do in a namespace, as the API server tells it."""
        path = "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews"
        asked = {"spec": {"namespace": namespace or self.namespace}}
        status = self.as_account().ask("POST", path, asked)["status"]
        assert not status["incomplete"]
        return rights(status["resourceRules"]) - EVERYBODYS


@pytest.fixture(scope="session")
def _operator(cluster: ControlPlane | Given) -> Iterator[None]:
    """Let the API server know the kinds of the Prometheus operator, with any content."""
    group, any_object = "monitoring.coreos.com", "x-kubernetes-preserve-unknown-fields"
    path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    made = []
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
        meta = {"name": f"{plural}.{group}"}
        try:
            cluster.api.ask("POST", path, {"metadata": meta, "spec": spec})
        except Refused as refused:
            if refused.status != HTTPStatus.CONFLICT:
                raise
        else:
            made.append(f"{path}/{plural}.{group}")
    until = time.monotonic() + READY_SECONDS
    while not all(_is_served(cluster.api, group, plural) for plural in CRDS.values()):
        assert time.monotonic() < until, "the API server does not serve a new kind"
        time.sleep(0.2)
    yield
    for one in made:
        cluster.api.ask("DELETE", one)


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
    if isinstance(cluster, Given):
        time.sleep(GIVEN_SECONDS)  # until its controllers have put into them what they put into all
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
        validated(place, found)
    place.helm(f"uninstall {NAME}")
    assert place.settles(before) == before


def validated(place: Place, found: Json) -> None:
    """Let the API server refuse an object, or the pod that it makes, in a restricted namespace."""
    # An unknown field is refused.
    place.api.apply(found["metadata"].get("namespace", place.namespace), found, dry_run=True)
    template = found.get("spec", {}).get("template")
    if template is not None:
        pod = {"metadata": {"name": "agent", **template["metadata"]}, "spec": template["spec"]}
        query = "dryRun=All&fieldValidation=Strict"
        place.api.ask("POST", f"/api/v1/namespaces/{place.namespace}/pods?{query}", pod)


AXES: list[list[Json]] = [
    [*({"replicas": one} for one in (0, 1, 3)),
     *({"kind": "DaemonSet", "slots": one} for one in (1, 64))],
    [{}, {"existingSecret": "segment", "caConfigMap": "ca"}, {"writeKey": "x", "region": "eu"},
     {"writeKey": "x", "endpoint": "https://segment.example.com"},
     {"type": "ga4", "existingSecret": "google", "property": "G-AB12CD34EF"}, {"type": "stdout"}],
    [{}, {"enabled": True},
     {"enabled": True, "apiServer": {"cidrs": ["10.0.0.1/32", "fd00::/8"]},
      "destination": {"cidrs": ["192.0.2.0/24"], "ports": [3128]},
      "metricsFrom": [{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"]}}]}],
    [{}, {one: {"enabled": True}
          for one in ("service", "serviceMonitor", "prometheusRule", "dashboard")}],
    [{}, {"namespaces": ["one", "two"]}],
    [{}, {"optOutAnnotation": False, "botkubeOptOut": False, "botkubeVersion": False},
     {"clusterId": True}],
    [{}, {"extraEnv": [{"name": "DO_NOT_TRACK", "value": "1"}]}, {"serviceAccount": {
        "create": False}}, {"analytics": {"disable": True}}],
]  # fmt: skip
PLACES = ("", "destination", "networkPolicy", "metrics", "", "rights", "")
"""Under which value each axis stands; without one they are values themselves."""
SAMPLES = 24


def combined() -> Iterator[Json]:
    """Yield values of which each is one of all that the axes make together."""
    every = list(itertools.product(*AXES))
    for chosen in random.Random(7).sample(every, SAMPLES):
        found: Json = {}
        for place, one in zip(PLACES, chosen, strict=True):
            found |= {place: one} if place else one
        yield found
    yield without(MAY_BE_ABSENT)


def test_values_go_together(place: Place) -> None:
    """What the API server refuses of any of them, a platform's pipeline would, too."""
    path = place.folder / "values.yaml"
    for values in combined():
        values["namespaces"] = [
            f"{place.namespace}-{one}" for one in values.get("namespaces") or ()
        ]
        path.write_text(json.dumps(values))
        text = place.helm(f"template {NAME}", CHART, "--values", path)
        parts = [one for one in yaml.safe_load_all(text) if one]

        assert len(parts) == len(manifests.objects(text)), values
        for found in parts:
            validated(place, found)


def test_a_pod_of_every_values_file_has_settings_that_the_agent_takes() -> None:
    seen = []
    for path in VALUES:
        objects = manifests.objects(manifests.template("--values", str(path)))
        if path.stem == "off":
            assert [*objects] == [f"ConfigMap/{NAME}-installation"]
            continue
        seen.append(loaded(objects))
        pod = workload(objects)["spec"]["template"]["spec"]
        (container,) = pod["containers"]
        # A subPath would not follow a change of the rules.
        assert not [one for one in container["volumeMounts"] if "subPath" in one]
        assert "automountServiceAccountToken" in pod

    assert {one.lease.name is None for one in seen} == {True, False}
    assert {one.destination.write_key is None for one in seen} == {True, False}
    assert {one.destination.type for one in seen} == {*KINDS}
    assert {one.identity.cluster_id for one in seen} == {"raw", "none", "uuid5"}
    assert ["/etc/botkube-analytics-rules"] in [list(one.rules.paths) for one in seen]


@pytest.mark.parametrize("release", ["123", "1x.b"])
def test_a_release_may_be_called_as_helm_lets_it(place: Place, release: str) -> None:
    """In a namespace that is called by a number."""
    odd = attrs.evolve(place, namespace=f"{secrets.randbelow(10**12)}")
    place.api.ask("POST", "/api/v1/namespaces", {"metadata": {"name": odd.namespace}})
    odd.helm(f"install {release}", CHART, "--set", "metrics.service.enabled=true,replicas=2")
    odd.helm(f"uninstall {release}")
    place.api.ask("DELETE", f"/api/v1/namespaces/{odd.namespace}")


def test_two_releases_of_one_name_follow_the_same_namespace(place: Place) -> None:
    watched = place.namespaces[2]
    for one in (place, attrs.evolve(place, namespace=place.namespaces[1])):
        given = f"namespaces[0]={watched},rights.clusterId=true"
        one.helm(f"install {NAME}", CHART, "--set", given)

        assert ("list", "", "pods", "") in one.rights(namespace=watched)
    place.helm(f"uninstall {NAME}")
    assert ("list", "", "pods", "") in one.rights(namespace=watched)


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
    assert place.settles(before) == before


@pytest.mark.parametrize("given", ["", "replicas=2", "kind=DaemonSet"])
async def test_counts_go_on_over_upgrade_and_rollback_as_if_nothing_had_happened(
    cluster: ControlPlane | Given, kubeconfig: Path, tmp_path: Path, given: str
) -> None:
    """A real agent with the chart's rights, variables and file, stopped and started around each."""
    places = []

    def with_helm(api: Api, namespace: str) -> None:
        places.append(Place(api, namespace, kubeconfig, tmp_path))
        places[0].helm(f"install {NAME}", CHART, *(["--set", given] if given else []))

    async with lab(cluster, tmp_path / "lab", with_helm) as world:
        (place,) = places
        settings = of_the_chart(place, world)
        pod = world.node.botkube()
        agent = await world.agent(waits=True, **settings)
        await world.writes(pod, 3)
        for step in (
            (f"upgrade {NAME}", newer(tmp_path / "newer"), "--reset-then-reuse-values"),
            (f"rollback {NAME}", "1"),
        ):
            assert await agent.end(signal.SIGTERM) == 0
            await asyncio.to_thread(place.helm, *step)
            await world.writes(pod, 1)
            agent = await world.agent(waits=True, **settings)
            await world.writes(pod, 2)

        await world.all_counted()
        reports = world.reports()
        sent = {one["anonymousId"] for one in world.collector.accepted}
        path = f"/api/v1/namespaces/{world.namespace}"
        changed = {"metadata": {"annotations": {"botkube-analytics/disable": "true"}}}
        world.api.ask("PATCH", path, changed, kind=MERGE)
        await world.until(
            lambda: any(one["mode"] == "off" for one in agent.said("mode")), OFF_SECONDS
        )
        missing = agent.said("a right is missing")

    assert not missing
    assert len({one["stream"] for one in reports}) == 1
    assert len(sent) == 1
    assert [one["seq"] for one in reports] == list(range(1, len(reports) + 1))
    totals = [one["event_handled_total"] for one in reports]
    assert totals == sorted(totals)
    assert totals[-1] == sum(one["event_handled_delta"] for one in reports)


async def test_an_agent_whose_state_and_rights_are_gone_ends_in_time_and_sends_nothing(
    cluster: ControlPlane | Given, kubeconfig: Path, tmp_path: Path
) -> None:
    """Off takes them away while the pod ends."""
    places = []

    def with_helm(api: Api, namespace: str) -> None:
        places.append(Place(api, namespace, kubeconfig, tmp_path))
        places[0].helm(f"install {NAME}", CHART)

    async with lab(cluster, tmp_path / "lab", with_helm) as world:
        (place,) = places
        pod = world.node.botkube()
        agent = await world.agent(waits=True, **of_the_chart(place, world))
        await world.writes(pod, 3)
        await asyncio.to_thread(
            place.helm, f"upgrade {NAME}", CHART, "--set", "analytics.disable=true"
        )
        world.write(pod, 10)
        sent = len(world.collector.accepted)
        async with asyncio.timeout(GRACE_SECONDS):
            assert await agent.end(signal.SIGTERM) == 0
        ended = len(world.collector.accepted)

    assert ended == sent


def of_the_chart(place: Place, world: Lab) -> dict[str, str]:
    """Return the settings of the chart's pod, whose files are in the folder of the test."""
    objects = manifests.objects(place.helm(f"get manifest {NAME}"))
    file = place.folder / "config.yaml"
    file.write_text(objects[f"ConfigMap/{NAME}-settings"]["data"]["config.yaml"])
    found = environment(objects, namespace=place.namespace, nodeName=world.node.name)
    found |= {f"{PREFIX}CONFIG": str(file), f"{PREFIX}LEDGER_PATH": str(place.folder / "ledger")}
    return {name.removeprefix(PREFIX): value for name, value in found.items()}


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
    installation = f"/api/v1/namespaces/{place.namespace}/configmaps/{NAME}-installation"
    records = {one for one in place.there() if "/secrets/sh.helm.release." in one}

    assert place.settles(before | records | {installation}) == before | records | {installation}
    assert "Mode: off" in notes
    assert place.get("ConfigMap", f"{NAME}-installation")["binaryData"] == {"state": "aWQ="}
    place.helm(f"upgrade {NAME}", CHART, "--reuse-values", "--set", "analytics.disable=false")
    assert place.get("ConfigMap", f"{NAME}-installation")["binaryData"] == {"state": "aWQ="}
    assert place.rights()


def test_turned_off_for_a_moment_the_rest_of_the_release_is_the_same(place: Place) -> None:
    place.helm(f"install {NAME}", CHART)
    before = place.there()
    place.helm(f"upgrade {NAME}", CHART, "--set", "analytics.disable=true")
    place.helm(f"rollback {NAME}", "1")

    wanted = before | {one for one in place.there() if "/secrets/sh.helm.release." in one}
    assert place.settles(wanted) == wanted


# --- rights ---------------------------------------------------------------------------------------

GIVEN = {
    "always": ("", ""),
    "as a Deployment": ("", "kind=DaemonSet"),
    "as a DaemonSet": ("kind=DaemonSet", ""),
    "`replicas` above 1": ("replicas=2", ""),
    "`rights.optOutAnnotation` (default)": ("", "rights.optOutAnnotation=false"),
    "`rights.botkubeOptOut` (default)": ("", "rights.botkubeOptOut=false"),
    "`rights.botkubeVersion` (default)": ("", "rights.botkubeVersion=false"),
    "`rights.clusterId`": ("rights.clusterId=true", ""),
}
"""When a row of the runbook's table holds: the value with which it does, and with which not."""


def documented(conditions: set[str], namespace: str, *, is_own: bool) -> set[Right]:
    """Return the runbook's rights in one namespace, where these conditions hold."""
    found: set[Right] = set()
    for row in table("rights"):
        verbs, resources, names, where, when = (cell.strip() for cell in row.split("|")[1:-1])
        is_here = where == "the cluster" or is_own == (where == "the release's namespace")
        if when not in conditions or not is_here:
            continue
        resource, _, group = resources.partition(".")
        kept = names.replace("NAMESPACE", namespace)
        if "…" in kept:
            kept = " ".join([kept.split()[0], *(f"{NAME}-state-{one}" for one in range(8))])
        found |= {
            (verb, group, resource, name) for verb in verbs.split() for name in kept.split() or [""]
        }
    return found


def table(name: str) -> list[str]:
    """Return the rows of a table of the runbook, without its head."""
    text = (CHART.parent / "README.md").read_text(encoding="utf-8")
    found = re.search(rf"(?s)<!-- {name} -->\n(.*?)\n<!-- /{name} -->", text)
    assert found is not None
    return found.group(1).splitlines()[2:]


def test_every_row_of_the_table_of_rights_has_a_value() -> None:
    assert {row.split("|")[5].strip() for row in table("rights")} == GIVEN.keys()


SETS = ["", *sorted({one for pair in GIVEN.values() for one in pair if one})]


def test_the_account_has_the_documented_rights_and_no_other(place: Place) -> None:
    """For every value that gives or takes one; BotKube in another namespace, and in the same."""
    place.helm(f"install {NAME}", CHART)
    for watched in ("", f"namespaces[0]={place.namespaces[1]}"):
        for given in SETS:
            values = ",".join(filter(None, [watched, given]))
            arguments = ["--set", values] if values else []
            place.helm(f"upgrade {NAME}", CHART, "--reset-values", *arguments)
            holds = {
                name
                for name, (given_with, taken_with) in GIVEN.items()
                if (given == given_with or not given_with) and (given != taken_with or not given)
            }
            own = documented(holds, place.namespace, is_own=True)
            of_botkube = documented(holds, place.namespaces[bool(watched)], is_own=False)
            if not watched:
                own, of_botkube = own | of_botkube, set()

            assert place.rights() == own, values
            elsewhere = place.rights(namespace=place.namespaces[1])
            of_cluster = {one for one in of_botkube | own if one[3] == "kube-system"}
            assert elsewhere == of_botkube | of_cluster, values


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ("[]", ("botkube",)),
        ("null", ("botkube",)),
        ('["chatops-botkube", "botkube"]', ("chatops-botkube", "botkube")),
    ],
)
def test_role_and_settings_name_the_same_botkubes(given: str, named: tuple[str, ...]) -> None:
    text = manifests.template("--set-json", f"rights.botkubeDeployments={given}")
    objects = manifests.objects(text)
    rights = [one for one in RIGHTS if one.lack is not Lack.CREATES]

    assert asked(objects, rights) == granted(objects[f"Role/{NAME}"]["rules"])
    assert loaded(objects).kubernetes.deployments == named


def test_a_role_in_a_namespace_lets_get_that_namespace_and_no_other(place: Place) -> None:
    place.helm(f"install {NAME}", CHART)
    mine = place.as_account()

    assert mine.ask("GET", f"/api/v1/namespaces/{place.namespace}")["kind"] == "Namespace"
    for path in ("", f"/{place.namespaces[1]}", "/kube-system"):
        with pytest.raises(Refused, match="Forbidden"):
            mine.ask("GET", f"/api/v1/namespaces{path}")
    with pytest.raises(Refused, match="Forbidden"):
        mine.ask("GET", f"/api/v1/namespaces/{place.namespace}/secrets")


# --- values ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("given", WRONG, ids=str)
def test_helm_refuses_a_value_that_the_schema_does_not_know(tmp_path: Path, given: Json) -> None:
    path = tmp_path / "values.yaml"
    path.write_text(json.dumps(given))
    with pytest.raises(HelmError, match="don't meet the specifications of the schema"):
        manifests.template("--values", str(path))


ENV = "BOTKUBE_ANALYTICS_DISABLE"


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"image": {"repository": "host:5000/a/b:1.0"}}, "write that in image.tag"),
        (
            {
                "extraEnv": [
                    {"name": "A", "value": "", "valueFrom": {"fieldRef": {"fieldPath": "x"}}}
                ]
            },
            "extraEnv gives A both a value and valueFrom: leave one",
        ),
        ({"extraEnv": [{"name": "A"}, {"name": "A"}]}, "extraEnv names A twice"),
        (
            {
                "extraEnv": [{"name": "SSL_CERT_FILE", "value": "/x"}],
                "destination": {"caConfigMap": "ca"},
            },
            "which destination.caConfigMap sets",
        ),
        ({"extraEnv": [{"name": ENV, "value": "maybe"}]}, f'"maybe" for {ENV}: write true or'),
        ({"enabled": False}, "switches nothing here: analytics.disable does"),
        ({"settings": {"identity": {"cluster_id": "raw"}}}, "set rights.clusterId too"),
        (
            {"destination": {"type": "ga4", "existingSecret": "a"}},
            "ga4 needs destination.property: the measurement id",
        ),
        (
            {"destination": {"type": "piwik-pro", "property": "0a1b2c3d"}},
            "piwik-pro needs destination.endpoint: the account's address",
        ),
        (
            {"destination": {"type": "ga4", "property": "UA-1234-5"}},
            "destination.property has not its form: it is the measurement id",
        ),
        (
            {"destination": {"property": "G-AB12CD34EF"}},
            "destination.property does not go with destination.type segment",
        ),
        (
            {"destination": {"type": "stdout", "endpoint": "https://a.example"}},
            "destination.endpoint does not go with destination.type stdout",
        ),
        (
            {"destination": {"type": "stdout", "existingSecret": "a"}},
            "destination.existingSecret does not go with destination.type stdout",
        ),
        (
            {"destination": {"type": "file", "existingClaim": "a", "writeKey": "a"}},
            "destination.writeKey does not go with destination.type file",
        ),
        (
            {"destination": {"existingClaim": "a"}},
            "destination.existingClaim does not go with destination.type segment",
        ),
        (
            {"destination": {"type": "posthog", "delivery": "at-most-once"}},
            "posthog has no choice of destination.delivery: it knows what it has already",
        ),
        (
            {"destination": {"type": "file"}},
            "file needs destination.existingClaim: a PersistentVolumeClaim that is there",
        ),
        (
            {"destination": {"type": "file", "existingClaim": "a"}, "replicas": 2},
            "file is written by one pod: leave kind Deployment and replicas 1",
        ),
        (
            {"destination": {"type": "file", "existingClaim": "a"}, "kind": "DaemonSet"},
            "file is written by one pod: leave kind Deployment and replicas 1",
        ),
    ],
)
def test_helm_says_what_to_do_about_a_value(tmp_path: Path, given: Json, told: str) -> None:
    path = tmp_path / "values.yaml"
    path.write_text(json.dumps(given))
    with pytest.raises(HelmError) as refused:
        manifests.template("--values", str(path))
    assert told in str(refused.value)
    # What is wrong must not be in the way of off.
    assert manifests.template("--values", str(path), "--set", "analytics.disable=true")


@pytest.mark.parametrize("word", ["", "On", "0", " false ", "$(OFF)"])
def test_helm_takes_the_words_that_the_agent_takes(word: str) -> None:
    assert manifests.template("--set-json", f'extraEnv=[{{"name":"{ENV}","value":"{word}"}}]')


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("", ["Mode: local", "First possible upload: none", "86400 seconds"]),
        ("destination.existingSecret=mine", ["Mode: on", "Segment (us)", "Secret mine", "86400"]),
        (
            "destination.writeKey=x,settings.privacy.quiet_period_seconds=0,destination.region=eu",
            ["Segment (eu)", "no quiet period", "window is 3600 seconds"],
        ),
        (
            "destination.writeKey=x,extraEnv[0].name=DO_NOT_TRACK,extraEnv[0].value=yes",
            ["Mode: off (DO_NOT_TRACK in extraEnv)", "First possible upload: none"],
        ),
        (
            "extraEnv[0].name=BOTKUBE_ANALYTICS_DISABLE,extraEnv[0].value=On",
            ["Mode: off (BOTKUBE_ANALYTICS_DISABLE in extraEnv)"],
        ),
        (
            "destination.writeKey=x,extraEnv[0].name=DO_NOT_TRACK,extraEnv[0].value=off",
            ["Mode: on"],
        ),
        (
            "destination.writeKey=x,extraEnv[0].name=DO_NOT_TRACK,extraEnv[0].valueFrom.fieldRef.fieldPath=x",
            ["Mode: on", "Not judged here: DO_NOT_TRACK in extraEnv", "valueFrom"],
        ),
        (
            "destination.writeKey=x,extraEnv[0].name=DO_NOT_TRACK,extraEnv[0].value=$(OFF)",
            ["Mode: on", "Not judged here: DO_NOT_TRACK in extraEnv"],
        ),
        (
            "destination.writeKey=x,destination.endpoint=https://a.example,settings.window.seconds=60",
            ["Counts go to https://a.example\n", "A window is 60 seconds"],
        ),
        (
            "namespaces={one,two},rights.botkubeOptOut=false",
            [
                "annotate namespace one botkube-analytics/disable=true\n",
                "annotate namespace two botkube-analytics/disable=true\n",
                "own configuration    # not seen: rights.botkubeOptOut is false",
                "kubectl -n one logs deploy/botkube --timestamps",
            ],
        ),
        ("replicas=null", ["Mode: local", "own configuration\n"]),
        ("rights.botkubeDeployments=null", ["logs deploy/botkube --timestamps"]),
        ("kind=DaemonSet", ["exec ds/botkube-analytics", "preview -"]),
        ("rights.optOutAnnotation=false", ["not seen: rights.optOutAnnotation is false"]),
        (
            "analytics.disable=true",
            [
                "Mode: off",
                "helm uninstall",
                "--reset-then-reuse-values --set analytics.disable=false",
            ],
        ),
        (
            "replicas=0,destination.writeKey=x",
            ["Mode: off (replicas: 0)", "upload: none, until a pod runs:\n", "--set replicas=1"],
        ),
        (
            "destination.type=posthog,destination.existingSecret=mine,destination.region=eu",
            ["Mode: on. Counts go to PostHog (eu)\n", "Secret mine", "there exactly once.\n"],
        ),
        ("destination.type=posthog", ["Mode: local", "for PostHog the project key.\n"]),
        (
            "destination.type=ga4,destination.existingSecret=mine,destination.property=G-ABCD",
            ["Google Analytics 4 (us)\n", "there at least once (destination.delivery).\n"],
        ),
        (
            (
                f"destination.type=piwik-pro,destination.writeKey=x,destination.property={SITE},"
                "destination.endpoint=https://a.example,destination.delivery=at-most-once"
            ),
            ["to Piwik PRO (https://a.example)\n", "there at most once (destination.delivery).\n"],
        ),
        (
            "destination.type=file,destination.existingClaim=mine",
            ["-events/events.ndjson on PersistentVolumeClaim mine.\nA count arrives there exactly"],
        ),
        (
            "destination.type=stdout",
            ["to standard output, which is in the pod's log.\nA count arrives there at least"],
        ),
        (
            "destination.type=stdout,replicas=0",
            ["until a pod runs:\n"],
        ),
        ("replicas=0", ["until a pod runs, and a write key is given"]),
        (
            "replicas=0,extraEnv[0].name=DO_NOT_TRACK,extraEnv[0].value=yes",
            ["until a pod runs, and DO_NOT_TRACK is taken out of extraEnv, and a write key"],
        ),
    ],
)
def test_the_notes_say_mode_destination_first_upload_and_how_to_stop(
    place: Place, given: str, told: list[str]
) -> None:
    notes = place.helm(f"install {NAME}", CHART, "--dry-run=client", "--set", given)

    assert [one for one in told if one not in notes] == []
    runs = not {"analytics.disable=true", "replicas=0"} & {*given.split(",")}
    assert ("exec " in notes) == runs
    ways = ("analytics.disable=true", "botkube-analytics/disable=true", "BotKube's own")
    assert "Mode: off" in notes or [one for one in ways if one not in notes] == []


# --- manifests ------------------------------------------------------------------------------------


def test_the_manifests_are_what_the_chart_renders() -> None:
    # Written anew by: make manifests
    found = {path: path.read_text() for path in manifests.MANIFESTS.rglob("*") if path.is_file()}

    assert found == manifests.rendered()


@pytest.mark.parametrize("folder", manifests.RENDERED)
def test_kustomize_makes_of_a_folder_what_helm_makes_of_its_values(folder: str) -> None:
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("no kubectl here, whose kustomize is compared")
    path = str(manifests.MANIFESTS / folder)
    done = subprocess.run([kubectl, "kustomize", path], capture_output=True, check=True)  # noqa: S603
    made = manifests.objects(done.stdout.decode())
    wanted = manifests.plain(manifests.RENDERED[folder])
    for found in made.values():
        assert found["metadata"].pop("namespace") == manifests.NAMESPACE

    assert {manifests.key(one): one for one in made.values()} == wanted
    assert manifests.manifest(folder) == wanted


@pytest.mark.parametrize("folder", manifests.RENDERED)
def test_a_folder_goes_into_another_namespace_as_the_runbook_says(
    tmp_path: Path, folder: str
) -> None:
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("no kubectl here, whose kustomize is tried")
    text = (manifests.DEPLOY / "README.md").read_text()
    (recipe,) = (one for one in re.findall(r"(?s)```yaml\n(.*?)```", text) if "patches:" in one)
    if folder.endswith("two-replicas"):
        recipe = recipe.replace("/rules/3/", "/rules/4/")
    if folder.endswith("namespaced"):
        recipe = recipe.partition("patches:")[0]
    # Only paths from here on are taken.
    target = Path(os.path.relpath(manifests.MANIFESTS / folder, tmp_path))
    recipe = recipe.replace("deploy/manifests/base", str(target))
    (tmp_path / "kustomization.yaml").write_text(recipe)
    done = subprocess.run([kubectl, "kustomize", tmp_path], capture_output=True, check=True)  # noqa: S603
    made = manifests.objects(done.stdout.decode()).values()

    assert {one["metadata"].pop("namespace") for one in made} == {"chat"}
    wanted = manifests.plain(manifests.RENDERED[folder], namespace="chat")
    assert {manifests.key(one): one for one in made} == wanted


@pytest.mark.parametrize("folder", manifests.RENDERED)
def test_a_folder_is_applied_and_again_without_a_change(place: Place, folder: str) -> None:
    found = manifests.manifest(folder, namespace=place.namespace)
    once = [place.api.apply(place.namespace, one) for one in found.values()]
    place.put("ConfigMap", f"{NAME}-installation", {"binaryData": {"state": "aWQ="}})
    again = [place.api.apply(place.namespace, one) for one in found.values()]
    versions = [
        {manifests.key(one): one["metadata"].get("generation") for one in made}
        for made in (once, again)
    ]

    assert versions[0] == versions[1]
    assert place.get("ConfigMap", f"{NAME}-installation")["binaryData"] == {"state": "aWQ="}
