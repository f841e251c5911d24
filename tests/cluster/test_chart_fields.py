"""What the chart renders of its values, field by field, by helm alone: no API server is asked."""

from __future__ import annotations

import hashlib
import itertools
import json
import re
import shutil
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from agent import settings
from agent.sink.destination import AT_LEAST_ONCE, AT_MOST_ONCE, KINDS, Destination
from tests import manifests
from tests.manifests import CHART, NAMESPACE, RELEASE, Json
from tests.test_chart import MAY_BE_ABSENT, RUNBOOK, loaded, merged, without, workload

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(60, func_only=True)]

E: Json = yaml.safe_load((CHART / "ci" / "everything.yaml").read_text(encoding="utf-8"))
D: Json = yaml.safe_load((CHART / "ci" / "daemonset.yaml").read_text(encoding="utf-8"))
DEFAULTS: Json = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
OWN = {"app.kubernetes.io/name": RELEASE, "app.kubernetes.io/instance": RELEASE}
POD = "spec template spec"
AGENT = f"{POD} containers agent"
DNS = [{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53}]


@cache
def made(name: str) -> dict[str, Json]:
    """Return the objects of a file of `ci/`."""
    return manifests.objects(
        manifests.template("--values", str(CHART / "ci" / f"{name}.yaml"), namespace=NAMESPACE)
    )


def at(found: Any, path: str) -> Any:  # noqa: ANN401 whatever is there
    """Return what is at a path of keys; a list's items go by their name, or by number."""
    for part in path.split():
        if isinstance(found, list):
            by_name = {one["name"]: one for one in found if "name" in one}
            found = by_name[part] if part in by_name else found[int(part)]
        else:
            found = found[part]
    return found


def tcp(*ports: int) -> list[Json]:
    return [{"protocol": "TCP", "port": one} for one in ports]


def blocks(*cidrs: str) -> list[Json]:
    return [{"ipBlock": {"cidr": one}} for one in cidrs]


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


EVERYTHING: dict[str, dict[str, Any]] = {
    "Deployment": {
        "metadata annotations": E["commonAnnotations"],
        "spec replicas": E["replicas"],
        # One that stands by is there before the one that works goes.
        "spec strategy": {
            "type": "RollingUpdate",
            "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0},
        },
        "spec selector matchLabels": OWN,
        "spec template metadata annotations checksum/write-key": sha256(
            E["destination"]["writeKey"]
        ),
        "spec template metadata annotations example.com/scrape": "no",
        "spec template metadata annotations example.com/owner": "team",
        "spec template metadata labels sidecar": "false",
        "spec template metadata labels team": "chatops",
        f"{POD} serviceAccountName": "counting",
        f"{POD} priorityClassName": E["priorityClassName"],
        f"{POD} imagePullSecrets": E["imagePullSecrets"],
        f"{POD} nodeSelector": E["nodeSelector"] | {"kubernetes.io/os": "linux"},
        f"{POD} tolerations": E["tolerations"],
        f"{POD} affinity": E["affinity"],
        f"{POD} topologySpreadConstraints": [
            {**E["topologySpreadConstraints"][0], "labelSelector": {"matchLabels": OWN}},
            E["topologySpreadConstraints"][1],
        ],
        f"{POD} terminationGracePeriodSeconds": DEFAULTS["terminationGracePeriodSeconds"],
        f"{POD} securityContext": DEFAULTS["podSecurityContext"],
        f"{POD} volumes settings configMap": {"name": f"{RELEASE}-settings"},
        f"{POD} volumes rules configMap": {"name": f"{RELEASE}-rules"},
        f"{POD} volumes ledger emptyDir": {"sizeLimit": DEFAULTS["ledger"]["sizeLimit"]},
        f"{POD} volumes ca configMap": {
            "name": "authorities",
            "items": [{"key": "bundle.pem", "path": "ca.pem"}],
        },
        f"{POD} volumes write-key secret": {
            "secretName": RELEASE,
            "defaultMode": 0o440,
            "items": [{"key": "segment-key", "path": "write-key"}],
        },
        f"{AGENT} image": f"{E['image']['repository']}@{E['image']['digest']}",
        f"{AGENT} imagePullPolicy": "Always",
        f"{AGENT} resources": DEFAULTS["resources"],
        f"{AGENT} securityContext": DEFAULTS["securityContext"],
        f"{AGENT} ports health containerPort": 8080,
        f"{AGENT} volumeMounts write-key mountPath": "/run/secrets/botkube-analytics",
        f"{AGENT} volumeMounts ca mountPath": "/etc/botkube-analytics-ca",
        f"{AGENT} volumeMounts rules mountPath": "/etc/botkube-analytics-rules",
        f"{AGENT} env SSL_CERT_FILE value": "/etc/botkube-analytics-ca/ca.pem",
        f"{AGENT} env BOTKUBE_ANALYTICS_KUBERNETES_NAMESPACES value": "botkube-one;botkube-two",
        f"{AGENT} env BOTKUBE_ANALYTICS_LEASE_NAME value": RELEASE,
        **{f"{AGENT} env {one['name']}": one for one in E["extraEnv"]},
        **{
            f"{AGENT} {probe}Probe": {
                "httpGet": {"path": path, "port": "health"},
                **DEFAULTS[f"{probe}Probe"],
            }
            for probe, path in (
                ("startup", "/healthz"),
                ("liveness", "/healthz"),
                ("readiness", "/readyz"),
            )
        },
    },
    "Secret": {"stringData": {"segment-key": E["destination"]["writeKey"]}},
    "ConfigMap -rules": {"data": E["rules"]},
    "ServiceAccount counting": {
        "metadata annotations": E["serviceAccount"]["annotations"] | E["commonAnnotations"],
        "automountServiceAccountToken": False,
    },
    "PodDisruptionBudget": {
        "spec": {"minAvailable": 1, "selector": {"matchLabels": OWN}},
    },
    "NetworkPolicy": {
        "spec podSelector matchLabels": OWN,
        "spec policyTypes": ["Ingress", "Egress"],
        "spec ingress": [{"ports": tcp(8080), "from": E["networkPolicy"]["metricsFrom"]}],
        "spec egress": [
            {"ports": DNS},
            {"ports": tcp(6443), "to": blocks("10.0.0.1/32")},
            {"ports": tcp(3128), "to": blocks("192.0.2.0/24")},
        ],
    },
    "Service": {
        "spec selector": OWN,
        "spec clusterIP": "None",
        "spec publishNotReadyAddresses": True,
        "spec ports": [{"name": "health", "port": 8080, "targetPort": "health", "protocol": "TCP"}],
    },
    "ServiceMonitor": {
        "metadata labels release": "prometheus",
        "metadata labels team": "chatops",
        "spec selector matchLabels": OWN,
        "spec endpoints": [{"port": "health", "path": "/metrics", "interval": "30s"}],
    },
    "PrometheusRule": {"metadata labels release": "prometheus"},
    "ConfigMap -dashboard": {"metadata labels grafana_dashboard": "1"},
    "Lease": {"metadata annotations": E["commonAnnotations"]},
}
"""Fields by object (kind, and what its name has beyond the release's, or the whole) and path."""

DAEMONSET: dict[str, dict[str, Any]] = {
    "DaemonSet": {
        "spec updateStrategy rollingUpdate": {"maxUnavailable": 1},
        "spec selector matchLabels": OWN,
        f"{POD} serviceAccountName": RELEASE,
        f"{POD} tolerations": D["tolerations"],
        f"{POD} nodeSelector": {"kubernetes.io/os": "linux"},
        f"{POD} volumes write-key secret secretName": "segment",
        f"{POD} volumes write-key secret items": [{"key": "key", "path": "write-key"}],
        f"{AGENT} env BOTKUBE_ANALYTICS_STATE_SLOTS value": "3",
        f"{AGENT} env BOTKUBE_ANALYTICS_KUBERNETES_NODE valueFrom fieldRef fieldPath": (
            "spec.nodeName"
        ),
    },
    "NetworkPolicy": {
        "spec ingress": [{"ports": tcp(8080)}],
        "spec egress": [{"ports": DNS}, {"ports": tcp(443, 6443)}, {"ports": tcp(443)}],
    },
}

FIELDS = [
    pytest.param(file, found, path, wanted, id=f"{file}: {found} {path}")
    for file, table in (("everything", EVERYTHING), ("daemonset", DAEMONSET))
    for found, fields in table.items()
    for path, wanted in fields.items()
]


@pytest.mark.parametrize(("file", "found", "path", "wanted"), FIELDS)
def test_a_value_is_rendered(file: str, found: str, path: str, wanted: object) -> None:
    kind, _, name = found.partition(" ")
    whole = name if name and not name.startswith("-") else RELEASE + name

    assert at(made(file)[f"{kind}/{whole}"], path) == wanted


@pytest.mark.parametrize("file", ["everything", "daemonset"])
def test_changed_settings_restart_the_pod(file: str) -> None:
    objects = made(file)
    (pod,) = (
        one["spec"]["template"] for one in objects.values() if "template" in one.get("spec", {})
    )
    text = objects[f"ConfigMap/{RELEASE}-settings"]["data"]["config.yaml"]

    assert pod["metadata"]["annotations"]["checksum/settings"] == sha256(text.rstrip("\n"))


def test_what_is_not_given_is_not_there() -> None:
    objects = made("daemonset")
    pod = at(objects[f"DaemonSet/{RELEASE}"], POD)

    assert {one["name"] for one in pod["volumes"]} == {"settings", "write-key", "ledger"}
    assert "SSL_CERT_FILE" not in {one["name"] for one in pod["containers"][0]["env"]}
    kinds = {name.partition("/")[0] for name in objects}
    assert not kinds & {"Secret", "Service", "ServiceMonitor", "Lease", "PodDisruptionBudget"}


SHOWN: Json = {
    one: {"enabled": True} for one in ("service", "serviceMonitor", "prometheusRule", "dashboard")
}
WITH_ALL: Json = {"networkPolicy": {"enabled": True}, "metrics": SHOWN}
CHANGES = re.compile(r"Context\.|^resources|^metrics\.dashboard")
"""Without these it is another object: with the platform's defaults, without a label."""


def made_of(folder: Path, values: Json) -> dict[str, Json]:
    path = folder / "values.yaml"
    path.write_text(json.dumps(values))
    return manifests.objects(manifests.template("--values", str(path), namespace=NAMESPACE))


@pytest.mark.parametrize("kind", ["Deployment", "DaemonSet"])
def test_what_is_left_empty_is_as_if_it_were_not_given(tmp_path: Path, kind: str) -> None:
    given = {"kind": kind, **WITH_ALL}
    nulls = without(one for one in MAY_BE_ABSENT if not CHANGES.search(one))

    assert made_of(tmp_path, merged(nulls, given)) == made_of(tmp_path, given)
    assert loaded(made_of(tmp_path, {"kind": kind, **without(MAY_BE_ABSENT)}))


def test_a_null_that_no_default_is_under_is_as_if_it_were_not_given(tmp_path: Path) -> None:
    """Written out, the agent would not take settings, nor the chart a variable from elsewhere."""
    name = {"fieldRef": {"fieldPath": "metadata.name"}}
    peers: list[Json] = [{"podSelector": {}}, {"ipBlock": {"cidr": "10.0.0.0/8"}}]
    kept = {"namespaceSelector": {"matchLabels": {"team": None}}}
    nobody = {"labelSelector": {"matchLabels": {"app": None}}, "topologyKey": "zone"}
    apart = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [nobody]}}
    spread = nobody | {"maxSkew": 1, "whenUnsatisfiable": "DoNotSchedule"}
    given: Json = {
        **WITH_ALL,
        "extraEnv": [{"name": "DO_NOT_TRACK", "valueFrom": name}],
        "networkPolicy": {"enabled": True, "metricsFrom": [*peers, kept]},
        "settings": {"privacy": {"minimum": 5}},
        "rules": {"b.yaml": "rules"},
        "affinity": apart,
        "topologySpreadConstraints": [spread],
    }
    nulls: Json = {
        **{key: {"team": None} for key in ("commonLabels", "commonAnnotations", "podLabels")},
        "extraEnv": [{"name": "DO_NOT_TRACK", "value": None, "valueFrom": name}],
        "networkPolicy": {
            "enabled": True,
            "metricsFrom": [peers[0] | {"ipBlock": None}, peers[1] | {"podSelector": None}, kept],
        },
        "settings": {
            "privacy": {"minimum": 5, "quiet_period_seconds": None},
            "kubernetes": {"selectors": None},
            "identity": None,
        },
        "rules": {"a.yaml": None, "b.yaml": "rules"},
    }
    nulls["networkPolicy"]["metricsFrom"][1]["ipBlock"] = peers[1]["ipBlock"] | {"except": None}
    found = made_of(tmp_path, given | nulls)
    policy = found[f"NetworkPolicy/{RELEASE}"]

    assert found == made_of(tmp_path, given)
    assert loaded(found).privacy.minimum == 5
    # A selector with less would select more.
    assert policy["spec"]["ingress"][0]["from"][2] == kept
    pod = found[f"Deployment/{RELEASE}"]["spec"]["template"]["spec"]
    assert (pod["affinity"], pod["topologySpreadConstraints"]) == (apart, [spread])


HARDENED = (
    "podSecurityContext.runAsNonRoot",
    "podSecurityContext.seccompProfile",
    "podSecurityContext.seccompProfile.type",
    "securityContext.allowPrivilegeEscalation",
    "securityContext.readOnlyRootFilesystem",
    "securityContext.capabilities",
    "securityContext.capabilities.drop",
    "startupProbe.failureThreshold",
    "ledger.enabled",
)


@pytest.mark.parametrize("path", HARDENED)
def test_a_null_that_would_take_away_hardening_is_refused_by_name(
    tmp_path: Path, path: str
) -> None:
    name = path.rpartition(".")[2]
    with pytest.raises(manifests.HelmError, match=f"missing property '{name}'"):
        made_of(tmp_path, without([path]))


@pytest.mark.parametrize(
    "peer", [{"ipBlock": {"cidr": "10.0.0.0/8"}, "podSelector": {}}, {"podSelector": None}], ids=str
)
def test_a_peer_that_is_two_or_none_is_told_in_words(tmp_path: Path, peer: Json) -> None:
    with pytest.raises(manifests.HelmError, match="an entry has either ipBlock, or selectors"):
        made_of(tmp_path, {"networkPolicy": {"metricsFrom": [peer]}})


def test_off_is_rendered_whatever_else_is_wrong(tmp_path: Path) -> None:
    nulls = dict.fromkeys(DEFAULTS.keys() - {"analytics", "settings"})
    naming = {"nameOverride", "fullnameOverride", "commonLabels", "commonAnnotations"}
    for given in (nulls, dict.fromkeys(nulls.keys() - naming, 3)):
        found = made_of(tmp_path, {**given, "analytics": {"disable": True}})

        assert [*found] == [f"ConfigMap/{RELEASE}-installation"]


def around(folder: Path, values: Json) -> dict[str, Json]:
    """Return the objects of a chart that has this one inside, and tells what `global` is to it."""
    shutil.copytree(CHART, folder / "charts" / RELEASE)
    needs = {"name": RELEASE, "version": ">=0", "condition": f"{RELEASE}.enabled"}
    chart = {"apiVersion": "v2", "name": "platform", "version": "1.0.0", "dependencies": [needs]}
    (folder / "Chart.yaml").write_text(json.dumps(chart))
    (folder / "values.yaml").write_text(json.dumps(values))
    (folder / "templates").mkdir()
    told = {"kind": "ConfigMap", "metadata": {"name": "told"}, "data": "{{ .Values.global }}"}
    text = json.dumps(told).replace('"{{ .Values.global }}"', "{{ toJson .Values.global }}")
    (folder / "templates" / "told.yaml").write_text(text)
    return manifests.objects(manifests.run("template", "platform", str(folder)))


@pytest.mark.parametrize("is_wanted", [True, False])
def test_it_goes_into_a_chart_with_the_usual_condition(tmp_path: Path, is_wanted: bool) -> None:
    given = {RELEASE: {"enabled": is_wanted, "affinity": None, "namespaces": ["botkube"]}}
    found = around(tmp_path, {"global": None, **given})

    assert (f"Deployment/platform-{RELEASE}" in found) is is_wanted
    assert len(found) > 1 or not is_wanted


def test_what_helm_shares_with_other_charts_is_left_as_it_is(tmp_path: Path) -> None:
    shared = {"pull": None, "registries": [{"host": "example.com", "user": None}]}
    found = around(tmp_path, {"global": shared})

    assert found["ConfigMap/told"]["data"] == shared
    assert f"Deployment/platform-{RELEASE}" in found


def test_every_alert_has_its_place_in_the_runbook() -> None:
    (group,) = made("everything")[f"PrometheusRule/{RELEASE}"]["spec"]["groups"]
    url = E["metrics"]["prometheusRule"]["runbookUrl"]
    alone = manifests.objects(
        manifests.template("--set", "replicas=2,metrics.prometheusRule.enabled=true")
    )[f"PrometheusRule/{RELEASE}"]

    for rule in group["rules"]:
        assert rule["annotations"]["runbook_url"] == f"{url}#{rule['alert'].lower()}"
        assert "NAMESPACE" not in rule["expr"]
    for rule in alone["spec"]["groups"][0]["rules"]:
        assert rule["annotations"]["runbook_url"] == f"#{rule['alert'].lower()}"


def test_no_label_of_ones_own_takes_the_place_of_the_charts(tmp_path: Path) -> None:
    """By which selectors find the pods, and the state of a release its objects."""
    mine = dict.fromkeys(OWN, "mine")
    shown = {name: one | ({} if name == "service" else {"labels": mine})
             for name, one in SHOWN.items()}  # fmt: skip
    for given in ({"commonLabels": mine}, {"podLabels": mine}, {"metrics": shown}):
        found = made_of(tmp_path, {**WITH_ALL, **given})
        labels = [one["metadata"]["labels"] for one in found.values()]
        labels.append(at(found[f"Deployment/{RELEASE}"], "spec template metadata labels"))

        assert not [one for one in labels if not one.items() >= OWN.items()], given


def test_what_go_writes_as_1e6_is_a_number_all_the_same(tmp_path: Path) -> None:
    quiet = {"privacy": {"quiet_period_seconds": 31_536_000}}
    objects = made_of(tmp_path, {"terminationGracePeriodSeconds": 1_000_000, "settings": quiet})

    assert at(objects[f"Deployment/{RELEASE}"], f"{POD} terminationGracePeriodSeconds") == 1_000_000
    assert loaded(objects).privacy.quiet_period_seconds == 31_536_000


def test_no_annotation_of_ones_own_hides_that_settings_changed() -> None:
    given = r"podAnnotations.checksum/settings=mine,commonAnnotations.checksum/settings=ours"
    (found,) = (
        one
        for one in manifests.objects(manifests.template("--set", given)).values()
        if one["kind"] == "Deployment"
    )

    assert len(at(found, "spec template metadata annotations checksum/settings")) == 64


def test_of_two_annotations_the_one_for_less_wins(tmp_path: Path) -> None:
    mine, ours = {"a": "mine"}, {"a": "ours", "b": "ours"}
    both = {"a": "mine", "b": "ours"}
    found = made_of(
        tmp_path,
        {
            "commonAnnotations": ours,
            "podAnnotations": mine,
            "serviceAccount": {"annotations": mine},
        },
    )
    deployment = found[f"Deployment/{RELEASE}"]

    assert deployment["metadata"]["annotations"] == ours
    assert at(deployment, "spec template metadata annotations").items() >= both.items()
    assert found[f"ServiceAccount/{RELEASE}"]["metadata"]["annotations"] == both


def test_that_nobody_leads_is_an_alert_where_somebody_has_to() -> None:
    """Of the file's own alerts `tests/test_alerts.py` says what they must be."""
    exprs = {}
    for given in ("replicas=2", "replicas=1", "kind=DaemonSet,replicas=2"):
        text = manifests.template("--set", f"{given},metrics.prometheusRule.enabled=true")
        (group,) = manifests.objects(text)[f"PrometheusRule/{RELEASE}"]["spec"]["groups"]
        found = [one["expr"] for one in group["rules"] if one["alert"].endswith("NobodyLeads")]
        exprs[given] = found

    assert exprs.pop("replicas=2") == [f'sum(botkube_agent_leader{{namespace="{NAMESPACE}"}}) == 0']
    assert [*exprs.values()] == [[], []]


def test_where_nothing_shall_run_there_is_no_alert_that_nothing_does() -> None:
    found = [
        manifests.template("--set", f"{given},metrics.prometheusRule.enabled=true")
        for given in ("replicas=0", "kind=DaemonSet,replicas=0")
    ]

    assert ["kind: PrometheusRule" in one for one in found] == [False, True]


def test_what_exists_wins_over_what_is_given_too() -> None:
    given = "destination.existingSecret=mine,destination.writeKey=x,existingRulesConfigMap=ours"
    found = manifests.objects(manifests.template("--set", rf"{given},rules.a\.yaml=version"))
    template = found[f"Deployment/{RELEASE}"]["spec"]["template"]

    assert not {name for name in found if name.startswith("Secret/") or name.endswith("-rules")}
    assert at(template, "spec volumes write-key secret secretName") == "mine"
    assert at(template, "spec volumes rules configMap name") == "ours"
    assert "checksum/write-key" not in template["metadata"]["annotations"]


# --- destinations ---------------------------------------------------------------------------------

SITE = "0a1b2c3d-4e5f-6789-abcd-ef0123456789"
CHOSEN = {
    "posthog": Destination("posthog", "https://eu.i.posthog.com"),
    "ga4": Destination(
        "ga4", "https://www.google-analytics.com", "G-AB12CD34EF", delivery=AT_MOST_ONCE
    ),
    "piwik-pro": Destination("piwik-pro", "https://example.piwik.pro", SITE),
    "file": Destination("file", "", path="/data/botkube/counts.ndjson"),
    "stdout": Destination("stdout", ""),
}
"""By file of `ci/`: where the agent in its pod sends to."""
PLACED = {"posthog": {"region"}, "ga4": {"region"}, "piwik-pro": {"endpoint"}}


@pytest.mark.parametrize("file", CHOSEN)
def test_the_agent_in_the_pod_has_the_destination_of_the_values(file: str) -> None:
    found = loaded(made(file))

    assert settings.destination(found) == CHOSEN[file]
    assert settings.has_destination(found)
    text = made(file)[f"ConfigMap/{RELEASE}-settings"]["data"]["config.yaml"]
    told = yaml.safe_load(text)["destination"].keys()
    assert told & {"region", "endpoint"} == PLACED.get(file, set())
    assert (found.destination.write_key is None) is (not KINDS[file].key)


def test_a_file_is_on_the_claim_and_nothing_else_can_be_written() -> None:
    text = manifests.template("--values", str(CHART / "ci" / "file.yaml"))
    pod = workload(manifests.objects(text))["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    writable = {
        one["name"]: one["mountPath"]
        for one in container["volumeMounts"]
        if not one.get("readOnly", False)
    }

    assert not plain(text) & ODD
    assert at(pod, "volumes events") == {
        "name": "events",
        "persistentVolumeClaim": {"claimName": "1e3"},
    }
    assert writable == {"ledger": "/var/lib/botkube-analytics", "events": "/data/botkube"}
    assert pod["securityContext"]["fsGroup"] == pod["securityContext"]["runAsGroup"]


@pytest.mark.parametrize("file", ["posthog", "file", "stdout"])
def test_the_policy_has_a_way_to_the_destination_only_where_it_is_a_server(file: str) -> None:
    egress = made(file)[f"NetworkPolicy/{RELEASE}"]["spec"]["egress"]
    ways = [{"ports": DNS}, {"ports": tcp(443, 6443)}]

    assert egress == ([*ways, {"ports": tcp(443)}] if file == "posthog" else ways)


def test_what_is_no_server_needs_no_secret_and_only_a_file_a_claim() -> None:
    for file in CHOSEN:
        pod = workload(made(file))["spec"]["template"]["spec"]
        volumes = {one["name"] for one in pod["volumes"]}

        assert ("write-key" in volumes) == bool(KINDS[file].key), file
        assert ("events" in volumes) == (file == "file"), file


def test_chart_and_agent_refuse_the_same_destinations(tmp_path: Path) -> None:
    """What only the agent refuses is a pod that ends with code 2."""
    path = tmp_path / "values.yaml"
    own = {"endpoint": "https://one.example.com"}
    google, piwik = {"property": "G-AB12CD34EF"}, {"property": SITE}
    neither = {"property": f"G-AB12CD34EF {SITE}"}
    places: tuple[dict[str, str], ...] = ({}, own, google, own | piwik, own | neither)
    taken = set()
    for kind, place, delivery in itertools.product(KINDS, places, (AT_LEAST_ONCE, AT_MOST_ONCE)):
        given = {"type": kind, "delivery": delivery, **place}
        is_file = {"path": "/data/counts"} if kind == "file" else {}
        claim = {"existingClaim": "events"} if kind == "file" else {}
        path.write_text(json.dumps({"destination": given | is_file | claim}))
        try:
            objects = manifests.objects(manifests.template("--values", str(path)))
        except manifests.HelmError:
            objects = {}
        text = json.dumps({"destination": given | is_file})
        try:
            wanted = settings.load(
                {"BOTKUBE_ANALYTICS_CONFIG": "file"}, {}, {"file": text}.__getitem__
            )
        except settings.SettingsError:
            assert not objects, given
            continue
        assert objects, given
        assert settings.destination(loaded(objects)) == settings.destination(wanted)
        taken.add(kind)

    assert taken == {*KINDS}


@pytest.mark.parametrize(
    "folder", ["/etc", "/usr/lib", "/var", "/var/lib/botkube-analytics", "/run/a"]
)
def test_no_file_is_where_the_image_or_another_volume_is(folder: str) -> None:
    given = f"destination.type=file,destination.existingClaim=a,destination.path={folder}/events"
    with pytest.raises(manifests.HelmError, match=f"{folder} is the image's or another volume's"):
        manifests.template("--set", given)
    beside = given.replace(folder, f"/data{folder}")

    assert loaded(manifests.objects(manifests.template("--set", beside)))


def test_the_runbook_has_the_values_of_every_destination() -> None:
    (found,) = re.findall(r"(?s)<!-- destinations -->\n(.*?)\n<!-- /destinations -->", RUNBOOK)
    rows = [[cell.strip() for cell in row.split("|")[1:-1]] for row in found.splitlines()[2:]]
    told = {}
    for kind, _, key, given, promise, _ in rows:
        # Together with the Secret, where there is one.
        secret = "" if key == "none" else ",destination.existingSecret=mine"
        arguments = given.strip("`").replace("ENDPOINT", "https://a.example")
        arguments = arguments.removeprefix("--set ").replace("SITE", SITE)
        objects = manifests.objects(manifests.template("--set", arguments + secret))
        found = loaded(objects).destination
        told[found.type] = promise

        assert kind.strip("`") == found.type
        assert (key != "none") == (found.write_key is not None)
    promises = {
        name: " or ".join(
            dict.fromkeys(
                str(Destination(name, delivery=one).promise)
                for one in (AT_LEAST_ONCE, AT_MOST_ONCE)
            )
        )
        for name in KINDS
    }

    assert told == promises


# --- names ----------------------------------------------------------------------------------------

ODD = {"123", "1e3", "yes", "off", "0x1", "1.5", "on", "null"}


def plain(text: str) -> set[str]:
    """Return the values that stand without quotes, which YAML may read as it likes."""
    nodes = [*filter(None, yaml.compose_all(text, Loader=yaml.SafeLoader))]
    found = set()
    while nodes:
        node = nodes.pop()
        if isinstance(node, yaml.ScalarNode):
            found |= {node.value} if node.style is None else set()
        elif isinstance(node, yaml.SequenceNode):
            nodes += node.value
        elif isinstance(node, yaml.MappingNode):
            nodes += [part for pair in node.value for part in pair]
    return found


def test_a_name_that_yaml_reads_as_something_else_is_quoted(tmp_path: Path) -> None:
    """Go's YAML reads 1e3 as a number and Python's does not: so quotes are what is looked for."""
    values = tmp_path / "values.yaml"
    values.write_text('namespaces: ["1e3", "null"]\ndestination: {writeKey: "0x1", key: "1.5"}\n')
    odd = str(CHART / "ci" / "odd-names.yaml")
    for kind in ("Deployment", "DaemonSet"):
        given = ["--namespace", "123", "--values", odd, "--values", str(values)]
        given += ["--set", f"kind={kind}", "--set-string", "priorityClassName=123"]
        for more in ([], ["--set", "destination.existingSecret="]):
            text = manifests.run("template", "123", str(CHART), *given, *more)

            assert not plain(text) & ODD


@pytest.mark.parametrize("release", ["a.b", "1x", "7.7", "m" * 31 + "." + "n" * 20])
def test_a_service_has_a_name_that_it_can_have(release: str) -> None:
    objects = manifests.objects(
        manifests.run("template", release, str(CHART), "--set", "metrics.service.enabled=true")
    )
    (name,) = (name.partition("/")[2] for name in objects if name.startswith("Service/"))

    assert re.fullmatch(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?", name)
    (metadata,) = (one["metadata"] for one in objects.values() if one["kind"] == "Deployment")
    label = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
    assert re.fullmatch(rf"{label}(\.{label})*", metadata["name"])


def test_two_long_names_that_begin_alike_are_two() -> None:
    found = [
        manifests.objects(manifests.run("template", "m" * 52 + end, str(CHART))).keys()
        for end in "ab"
    ]

    assert not found[0] & found[1]
    longest = max(name.partition("/")[2] for name in found[0])
    assert len(longest) <= len("-installation") + 40


def test_a_right_in_another_namespace_says_whose_it_is() -> None:
    """So that two releases of one name can follow the same namespace."""
    values = ["--values", str(CHART / "ci" / "daemonset.yaml"), "--set", "rights.clusterId=true"]
    found = [
        {
            name
            for name in manifests.objects(manifests.template(*values, namespace=one))
            if name.endswith(("botkube-one", "botkube-two")) or name.startswith("Cluster")
        }
        for one in ("first", "second")
    ]

    assert len(found[0]) == 6
    assert not found[0] & found[1]
