"""`deploy/` without helm: the chart's values, schema and metrics, and what is rendered from it."""

from __future__ import annotations

import asyncio
import ipaddress
import json
import os
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import jsonschema
import pytest
import yaml

from agent import __version__, settings
from agent.doctor.rights import RIGHTS, Lack, Right, Scope, actions
from agent.rules import RuleSet
from agent.sink.destination import Destination
from agent.source.switches import analytics_config, opt_out_configs
from tests import manifests
from tests.agents import NAMESPACE, after, lab, until
from tests.manifests import CHART, DEPLOY, RENDERED, SCHEMA, Json, manifest
from tests.sim.access import Rule
from tests.test_docs import README

VALUES_TEXT = (CHART / "values.yaml").read_text(encoding="utf-8")
VALUES: Json = yaml.load(VALUES_TEXT, Loader=yaml.CSafeLoader)
CI = sorted((CHART / "ci").glob("*.yaml"))
RUNBOOK = (DEPLOY / "README.md").read_text(encoding="utf-8")
ALERTS: list[Json] = yaml.load(
    (CHART / "files" / "alerts.yaml").read_text(encoding="utf-8"), Loader=yaml.CSafeLoader
)
MONITORING = (CHART / "templates" / "monitoring.yaml").read_text(encoding="utf-8")

Asked = tuple[str, str, str, str]
"""Verb, group, resource, name."""

HELMS = {"global", "enabled"}
"""What Helm itself gives to a chart inside of another, or reads there."""

OPEN = {"settings", "rules"}
"""Values that are empty, and whose keys the schema knows."""


# --- values ---------------------------------------------------------------------------------------


def merged(values: Json, given: Json) -> Json:
    """Return values with others over them, as helm does it: null takes a default away."""
    found = dict(values)
    for key, value in given.items():
        if value is None:
            found.pop(key, None)
        elif isinstance(value, dict) and isinstance(found.get(key), dict):
            found[key] = merged(found[key], value)
        else:
            found[key] = value
    return found


def unlike(values: Json, schema: Json, where: str = "") -> Iterator[str]:
    """Yield every key that values and schema do not both have."""
    known = schema.get("properties")
    if schema.get("type") != "object" or known is None:
        return
    assert schema["additionalProperties"] is False, where
    for key in values.keys() ^ (known.keys() - (set() if where else HELMS)):
        yield f"{where}{key}"
    for key in values.keys() & known.keys():
        if key not in OPEN and isinstance(values[key], dict) and values[key]:
            yield from unlike(values[key], known[key], f"{where}{key}.")


def schema() -> Json:
    """Return the schema; where the agent is not off, the values are its definition `values`."""
    found: Json = json.loads(SCHEMA.read_text(encoding="utf-8"))
    return found


def test_the_schema_has_the_keys_of_the_values() -> None:
    found = set(unlike(VALUES, schema()["definitions"]["values"]))
    # What a pod may have, and the chart has no default for.
    free = (
        "podSecurityContext.",
        "securityContext.",
        "livenessProbe.",
        "readinessProbe.",
        "startupProbe.",
    )

    assert {one for one in found if not one.startswith(free)} == set()


def test_the_schemas_settings_are_those_of_the_agent() -> None:
    # Written anew by: python -m tests.manifests --write
    assert manifests.schema() == schema()


def test_the_charts_destinations_are_those_of_the_agent() -> None:
    # Written anew by: python -m tests.manifests --write
    assert manifests.destinations() == manifests.DESTINATIONS.read_text(encoding="utf-8")


@pytest.mark.parametrize("path", [CHART / "values.yaml", *CI], ids=lambda one: one.stem)
def test_the_schema_takes_the_values(path: Path) -> None:
    given = yaml.safe_load(path.read_text(encoding="utf-8"))

    jsonschema.validate(merged(VALUES, given), schema())


WRONG_SOURCES: list[Json] = [
    {"fieldRef": {}},
    {"resourceFieldRef": {}},
    {"configMapKeyRef": {"name": "a"}},
    {"secretKeyRef": {"key": "a"}},
    {"secretKeyRef": {"name": "a", "key": "a b"}},
    {"secretKeyRef": {"name": "a", "key": "a", "optinal": True}},
    {"secret": {}},
]
WRONG: list[Json] = [
    {"replica": 1},
    {"replicas": "2"},
    {"replicas": -1},
    {"kind": "StatefulSet"},
    {"slots": 65},
    {"namespaces": ["Not a name"]},
    {"destination": {"region": "mars"}},
    {"destination": {"write_key": "x"}},
    {"destination": {"type": "mixpanel"}},
    {"destination": {"delivery": "exactly-once"}},
    {"destination": {"property": 5}},
    {"destination": {"existingClaim": "a..b"}},
    *({"destination": {"path": one}} for one in ("", "a.ndjson", "/a.ndjson", "/data/", "/data//a",
                                                 "/data/../a", "/data/a:b/c", "~/data/a")),
    {"destination": {"endpoint": "https://segment.example.com?q"}},
    {"nameOverride": "with.dot"},
    {"fullnameOverride": "with.dot"},
    {"settings": {"window": {"seconds": 7000}}},
    {"settings": {"kubernetes": {"selectors": ["app in ("]}}},
    {"settings": {"destination": {"region": "eu"}}},
    {"settings": {"privacy": {"minumum": 5}}},
    {"settings": {"privacy": {"minimum": -5}}},
    {"settings": {"health": {"port": 9000}}},
    {"rules": {"../../etc/passwd": "x"}},
    {"image": {"digest": "latest"}},
    {"rights": {"secrets": True}},
    {"extraEnv": [{"name": "A", "valeu": "b"}]},
    {"extraEnv": [{"name": "BOTKUBE_ANALYTICS_STATE_CONFIGMAP", "value": "mine"}]},
    *({"extraEnv": [{"name": "A", "valueFrom": one}]} for one in WRONG_SOURCES),
    *({probe: {key: 1 << 31}} for probe in ("livenessProbe", "readinessProbe", "startupProbe")
      for key in ("failureThreshold", "periodSeconds", "timeoutSeconds", "initialDelaySeconds")),
    {"readinessProbe": {"successThreshold": 1 << 31}},
    *({"podSecurityContext": {key: 1 << 31}} for key in ("runAsUser", "runAsGroup", "fsGroup")),
    *({"podSecurityContext": {"supplementalGroups": [one]}} for one in (-1, 1 << 31)),
    *({section: {"seccompProfile": one}} for section in ("podSecurityContext", "securityContext")
      for one in ({"type": "Localhost"}, {"type": "Localhost", "localhostProfile": ""},
                  {"type": "RuntimeDefault", "localhostProfile": "a.json"})),
    {"imagePullSecrets": [{"name": "a"}, {"name": "a"}]},
    {"rules": {f"{'a' * 249}.yaml": "x"}},
    *({"networkPolicy": {"apiServer": {"cidrs": [one]}}} for one in ("10.0.0.1", "300.0.0.0/8")),
    {"networkPolicy": {"metricsFrom": [{"ipBlock": {"cidr": "10.0.0.0/33"}}]}},
    {"livenessProbe": {"successThreshold": 2}},
    {"startupProbe": {"successThreshold": 2}},
    {"readinessProbe": {"successThreshold": 0}},
    {"image": {"repository": "registry/"}},
    {"image": {"repository": "registry/name@sha256:0"}},
    {"image": {"repository": "registry.example/Name"}},
    {"image": {"repository": "registry.example/a//name"}},
    *({"image": {"repository": one}} for one in ("[::1]", "2001:db8::1/a", "[]/a")),
    {"destination": {"existingSecret": "a..b"}},
    {"destination": {"key": "..key"}},
    {"commonLabels": {"a b": "c"}},
    {"commonLabels": {"a": "b c"}},
    {"podAnnotations": {"/a": "c"}},
    {"resources": {"limits": {"memory": "1.2.3"}}},
    {"resources": {"limits": {"memory": "1Zi"}}},
    *({"ledger": {"sizeLimit": one}} for one in ("much", "0", "0.0Mi", "1n", "500m")),
    {"securityContext": {"privileged": True}},
    {"securityContext": {"capabilities": {"add": ["CAP_NET_RAW"]}}},
    {"metrics": {"serviceMonitor": {"interval": ""}}},
    {"metrics": {"serviceMonitor": {"interval": "30s1m"}}},
    {"readinessProbe": {"terminationGracePeriodSeconds": 5}},
    {"podSecurityContext": {"runAsUser": 0}},
    {"analytics": {"disable": "true"}},
    {"enabled": "yes"},
]  # fmt: skip
"""What the API server refuses, or takes for something else than was meant."""
OF_THE_OBJECT_THAT_STAYS = {"nameOverride", "fullnameOverride", "commonLabels"}


@pytest.mark.parametrize("given", WRONG, ids=str)
def test_the_schema_refuses(given: Json) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(merged(VALUES, given), schema())


@pytest.mark.parametrize("given", WRONG, ids=str)
def test_nothing_that_is_wrong_is_in_the_way_of_off(given: Json) -> None:
    off = {"disable": True}
    is_off = isinstance(given.get("analytics"), dict) or not given.keys() & OF_THE_OBJECT_THAT_STAYS
    values = merged(merged(VALUES, given), {"analytics": off})

    assert jsonschema.Draft7Validator(schema()).is_valid(values) is is_off


TAKEN: list[Json] = [
    *({"resources": {"limits": {"ephemeral-storage": one}}}
      for one in ("1Pi", "1Ei", "1P", "1E", "25000u", "100000000n", "+1", "1e3", 0.5, 10**9)),
    *({"ledger": {"sizeLimit": one}} for one in ("32M", "0.5Gi", 33_554_432)),
    *({"metrics": {"serviceMonitor": {"interval": one}}} for one in ("1m30s", "500ms", "1h")),
    {"image": {"digest": f"sha512:{'ab' * 64}"}},
    *({"image": {"repository": one}} for one in ("Host:5000/a/b_c--d.e", "a__b", "[::1]/a",
                                                 "[2001:db8::1]:5000/a")),
    {"podSecurityContext": {"runAsGroup": 0, "fsGroup": 0, "supplementalGroupsPolicy": "Strict"}},
    {"securityContext": {"runAsGroup": 0}},
    {"livenessProbe": {"terminationGracePeriodSeconds": 5}},
    {"startupProbe": {"terminationGracePeriodSeconds": 5}},
    {"podSecurityContext": {"seccompProfile": {"type": "Localhost", "localhostProfile": "a.json"}}},
    {"podSecurityContext": {"supplementalGroups": [0, 5]}},
    *({"extraEnv": [{"name": "A", "valueFrom": one}]} for one in (
        {"secretKeyRef": {"name": "a", "key": "a.b", "optional": True}},
        {"resourceFieldRef": {"resource": "limits.cpu", "divisor": 1}},
        {"fieldRef": {"fieldPath": "metadata.name"}},
    )),
    {"rules": {f"{'a' * 248}.yaml": "x"}},
]  # fmt: skip


@pytest.mark.parametrize("given", TAKEN, ids=lambda one: str(one)[:60])
def test_the_schema_takes_what_the_api_server_takes(given: Json) -> None:
    jsonschema.validate(merged(VALUES, given), schema())


EMPTY: list[Json] = [
    {"settings": {"privacy": None}},
    *({"settings": {one.section: {one.key: None}}} for one in settings.TABLE
      if one.key not in manifests.DECIDED.get(one.section, ())),
    *({key: {"team": None}} for key in ("commonLabels", "commonAnnotations", "podLabels",
                                        "podAnnotations", "nodeSelector")),
    {"rules": {"a.yaml": None}},
    {"resources": {"limits": {"cpu": None}}},
    {"extraEnv": [{"name": "A", "value": None, "valueFrom": None}]},
    {"networkPolicy": {"metricsFrom": [
        {"podSelector": {}, "namespaceSelector": None, "ipBlock": None},
        {"ipBlock": {"cidr": "10.0.0.0/8", "except": None}}]}},
]  # fmt: skip
"""What no default of the chart's is under, so that Helm leaves the null there."""


def as_helm_leaves(values: Json, given: Json) -> Json:
    """Return values with others over them, and with each null for which there is no default."""
    found = merged(values, given)
    for key, value in given.items():
        if isinstance(value, dict):
            found[key] = as_helm_leaves(values.get(key) or {}, value)
        elif value is None and key not in values:
            found[key] = None
    return found


@pytest.mark.parametrize("given", EMPTY, ids=lambda one: str(one)[:60])
def test_the_schema_takes_what_is_left_empty(given: Json) -> None:
    jsonschema.validate(as_helm_leaves(VALUES, given), schema())


def test_every_template_begins_without_nulls() -> None:
    """Helm renders them in any order, and those that come later do not see what one takes away."""
    for path in (CHART / "templates").glob("[!_]*"):
        first = re.findall(r"\{\{-? (?!/\*)(.*?) -?\}\}", path.read_text(encoding="utf-8"))[0]

        assert first == 'include "withoutNulls" .Values', path.name


@pytest.mark.parametrize("given", [{"global": None}, {"global": {"a": 1}}, {"enabled": False}])
def test_the_schema_takes_what_helm_gives_to_a_chart_inside_of_another(given: Json) -> None:
    jsonschema.validate({**VALUES, **given}, schema())


MAY_BE_ABSENT = {
    # The chart has a default for it where it is rendered, or nothing is one.
    "replicas", "namespaces", "settings", "rules", "existingRulesConfigMap", "imagePullSecrets",
    "nameOverride", "fullnameOverride", "commonLabels", "commonAnnotations", "podLabels",
    "podAnnotations", "extraEnv", "resources", "terminationGracePeriodSeconds",
    "priorityClassName", "nodeSelector", "tolerations", "affinity", "topologySpreadConstraints",
    *(f"destination.{key}" for key in ("existingSecret", "writeKey", "endpoint", "caConfigMap",
                                       "property", "existingClaim")),
    "rights.clusterId", "rights.botkubeDeployments",
    "ledger.sizeLimit",
    *(f"image.{key}" for key in ("tag", "digest", "pullPolicy")),
    "serviceAccount.name", "serviceAccount.annotations",
    *(f"networkPolicy.{key}"
      for key in ("enabled", "metricsFrom", "apiServer.cidrs", "destination.cidrs")),
    *(f"metrics.{key}"
      for key in ("service.enabled", "serviceMonitor.enabled", "serviceMonitor.labels",
                  "serviceMonitor.interval", "prometheusRule.enabled", "prometheusRule.labels",
                  "prometheusRule.runbookUrl", "dashboard.enabled", "dashboard.labels")),
    # The platform's own are in force: OpenShift chooses users, the image has one.
    *(f"podSecurityContext.{key}" for key in ("runAsUser", "runAsGroup", "fsGroup")),
    "resources.requests", "resources.limits",
}  # fmt: skip
"""Values that null may take away, and whoever leaves one empty in YAML. Not those without which
something else would be installed in silence: fewer rights, no hardening, any port, a start of six
seconds."""


def without(paths: Iterable[str]) -> Json:
    """Return values in which each of these is null."""
    found: Json = {}
    for path in paths:
        given: Json | None = None
        for part in reversed(path.split(".")):
            given = {part: given}
        found = joined(found, given or {})
    return found


def joined(one: Json, other: Json) -> Json:
    """Return both, with null for a section of which one has it."""
    found = one | other
    for key in one.keys() & other.keys():
        is_null = one[key] is None or other[key] is None
        found[key] = None if is_null else joined(one[key], other[key])
    return found


def paths(values: Json, where: str = "") -> Iterator[str]:
    """Yield every key of the chart's own; those of labels and quantities are the user's."""
    for key, value in values.items():
        yield f"{where}{key}"
        is_own = key not in {"labels", "requests", "limits"}
        if isinstance(value, dict) and is_own:
            yield from paths(value, f"{where}{key}.")


def test_null_takes_away_no_value_that_is_needed() -> None:
    """Helm lets null take a default away, and the template has nothing to put there."""
    validator = jsonschema.Draft7Validator(schema())
    found = set()
    for path in paths(VALUES):
        if validator.is_valid(merged(VALUES, without([path]))):
            found.add(path)

    assert found == MAY_BE_ABSENT


RANGES = (
    "0.0.0.0/0",
    "192.0.2.1/32",
    "10.0.0.0/8",
    "255.255.255.255/9",
    "10.0.0/8",
    "10.0.0.256/8",
    "10.0.0.0/33",
    "10.0.0.0/",
    "010.0.0.0/8",
    "::/0",
    "::1/128",
    "2001:db8::/32",
    "1:2:3:4:5:6:7:8/128",
    "1::3:4:5:6:7:8/127",
    "1:2:3:4:5:6:7::/64",
    "1:2:3:4:5:6:7:8:9/64",
    "1::2::3/64",
    "1:2:3/64",
    ":1:2:3:4:5:6:7/64",
    "2001:db8::/129",
    "fe80::1%eth0/64",
    "12345::/16",
    "a",
)


@pytest.mark.parametrize("text", RANGES)
def test_the_schema_takes_the_ranges_that_are_ones(text: str) -> None:
    found = schema()["definitions"]["cidrs"]
    try:
        is_range = bool(ipaddress.ip_network(text, strict=False)) and "%" not in text
    except ValueError:
        is_range = False

    assert jsonschema.Draft7Validator(found).is_valid([text]) is is_range


def both(section: str, key: str, value: object) -> tuple[bool, bool]:
    """Return whether the chart's schema and the agent take a setting."""
    found = schema()["definitions"]["values"]["properties"]
    part = found["settings"]["properties"].get(section, found.get(section))
    is_schemas = jsonschema.Draft7Validator(part["properties"][key]).is_valid(value)
    text = yaml.safe_dump({section: {key: value}})
    try:
        settings.load({"BOTKUBE_ANALYTICS_CONFIG": "file"}, {}, {"file": text}.__getitem__)
    except settings.SettingsError:
        return is_schemas, False
    return is_schemas, True


SECONDS = (-1, 0, 1, 2, 7, 8, 59, 60, 61, 1800, 3600, 7000, 7200, 86_400, 86_401, 172_800)
SELECTORS = (
    "app=botkube",
    "app",
    "!app",
    "example.com/app==a, tier in (a,b) ,!old",
    "app notin (a,)",
    "n > 5",
    "app in (",
    "app in ()",
    "app=(a)",
    "app=a,,b=c",
    "/app=a",
    "-app=a",
    "a b",
    "app=a)",
)
ENDPOINTS = (
    "https://segment.example.com",
    "http://localhost:8080/v1/batch",
    "https://[::1]:65535/",
    "https://host:",
    "https://a_b.example.com./x@y",
    "https://host:0",
    "https://host:65536",
    "https://host:99999",
    "https://host?q",
    "https://host/#f",
    "https://host/ä",
    "https://a..b",
    "https://-a.example.com",
    "https://user@host",
    "https://",
    "ftp://host",
    f"https://host/{'a' * 4096}",
)
NUMBERS = (-1, 0, 1, 300, 301, 1_000_001, 10**12 - 1, 10**12, 10**20, 1.5, "x", True)
SETTINGS: list[tuple[str, str, Iterable[object]]] = [
    ("window", "seconds", SECONDS),
    ("privacy", "quiet_period_seconds", NUMBERS),
    ("privacy", "minimum", NUMBERS),
    ("commit", "seconds", NUMBERS),
    ("kubernetes", "containers", [["botkube"], ["a.b", "1"], ["A B"], [""], ["-a"], ["a" * 254]]),
    ("kubernetes", "selectors", [[one] for one in SELECTORS]),
    ("destination", "endpoint", ENDPOINTS),
]


@pytest.mark.parametrize(("section", "key", "values"), SETTINGS, ids=lambda one: str(one)[:24])
def test_schema_and_agent_take_the_same_settings(
    section: str, key: str, values: Iterable[object]
) -> None:
    """What only the agent refuses is a pod that ends with code 2."""
    found = {str(one)[:40]: both(section, key, one) for one in values}

    assert {one: two for one, two in found.items() if two[0] != two[1]} == {}
    assert len({*found.values()}) == 2


def keys(node: yaml.Node) -> Iterator[yaml.ScalarNode]:
    """Yield the keys of all mappings that are written in lines, not in braces."""
    if isinstance(node, yaml.MappingNode) and not node.flow_style:
        for key, value in node.value:
            yield key
            yield from keys(value)


def test_every_key_of_the_values_has_a_comment_of_its_own() -> None:
    lines = VALUES_TEXT.splitlines()
    root = yaml.compose(VALUES_TEXT)
    assert root is not None
    found = list(keys(root))
    bare = [
        lines[key.start_mark.line]
        for key in found
        if not re.match(rf" {{{key.start_mark.column}}}# \S", lines[key.start_mark.line - 1])
    ]

    assert len(found) > len(VALUES)
    assert bare == []


def test_the_chart_is_of_the_agents_version() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))

    assert {str(chart["version"]), str(chart["appVersion"])} == {__version__}


# --- manifests ------------------------------------------------------------------------------------


def role(folder: str) -> list[Json]:
    rules: list[Json] = manifest(folder)["Role/botkube-analytics"]["rules"]
    return rules


@pytest.mark.parametrize("folder", RENDERED)
def test_no_manifest_gives_a_right_on_secrets_or_on_everything(folder: str) -> None:
    for name, found in manifest(folder).items():
        for rule in found.get("rules", ()):
            words = [*rule["verbs"], *rule["resources"], *rule["apiGroups"]]

            assert "secrets" not in words, name
            assert "*" not in words, name
            assert {"create", "delete", "patch"}.isdisjoint(words), name


def test_no_manifest_needs_a_right_of_the_whole_cluster() -> None:
    kinds = {name.partition("/")[0] for folder in RENDERED for name in manifest(folder)}

    assert not {kind for kind in kinds if kind.startswith("Cluster")}


@pytest.mark.parametrize("folder", RENDERED)
def test_state_is_applied_without_data(folder: str) -> None:
    found = manifest(folder)
    held = [name for name in found if re.search(r"-(state|installation)(-\d+)?$", name)]
    slots = 8 if folder.endswith("daemonset") else 1

    assert len(held) == slots + 1
    assert not [name for name in held if {"data", "binaryData"} & found[name].keys()]
    granted = {name for rule in role(folder) for name in rule.get("resourceNames", ())}
    assert {name.partition("/")[2] for name in held} <= granted


def test_the_namespaced_overlay_has_the_rights_that_are_needed_and_no_other() -> None:
    assert role("overlays/namespaced") == manifests.needed(role("base"))
    assert len(role("base")) > len(role("overlays/namespaced"))


def asked(objects: dict[str, Json], rights: Iterable[Right]) -> set[Asked]:
    """Return what the doctor asks for in an installation, for these rights."""
    held = [
        one.partition("/")[2] for one in objects if re.search(r"-(state|installation)(-\d+)?$", one)
    ]
    names = loaded(objects).kubernetes.deployments
    scope = Scope(
        namespaces=(NAMESPACE,),
        guessed=frozenset(),
        deployments=tuple((NAMESPACE, one) for one in names),
        state_namespace=NAMESPACE,
        state_names=tuple(one for one in held if not one.endswith("-installation")),
        installation=next(one for one in held if one.endswith("-installation")),
        lease="botkube-analytics" if "Lease/botkube-analytics" in objects else None,
        has_cluster_id=False,
        switch_names=opt_out_configs(names),
        id_names=tuple(map(analytics_config, names)),
    )
    found = [one for right in rights for one in actions(right, scope)]
    return {(one.verb, one.group, one.resource, one.name) for one in found}


def given(rules: Iterable[Json]) -> set[Asked]:
    return {
        (verb, group, resource, name)
        for rule in rules
        for verb in rule["verbs"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for name in rule.get("resourceNames", [""])
    }


@pytest.mark.parametrize("folder", RENDERED)
def test_the_doctor_asks_for_what_is_granted_and_for_no_more(folder: str) -> None:
    is_small = folder.endswith("namespaced")
    # What makes objects is asked for because a bare manifest lets the agent make its own.
    rights = [one for one in RIGHTS if one.lack is not Lack.CREATES]
    rights = [one for one in rights if one.in_role] if is_small else rights

    assert asked(manifest(folder), rights) == given(role(folder))
    needed = [one for one in RIGHTS if one.in_role]
    assert asked(manifest(folder), needed) == given(manifests.needed(role(folder)))


def test_the_readme_shows_how_to_install_from_here() -> None:
    text = README.read_text(encoding="utf-8")

    assert "helm install botkube-analytics deploy/chart" in text
    for folder in re.findall(r"deploy/manifests/([a-z/-]+)", text + RUNBOOK):
        assert (manifests.MANIFESTS / folder).is_dir(), folder


# --- the agent, installed so ----------------------------------------------------------------------


def granted(folder: str) -> list[Rule]:
    return [
        Rule(verb, resource, NAMESPACE, name)
        for rule in role(folder)
        for verb in rule["verbs"]
        for resource in rule["resources"]
        for name in rule.get("resourceNames", [""])
    ]


@pytest.mark.parametrize(
    ("folder", "lease"),
    [
        ("base", None),
        ("overlays/namespaced", None),
        ("overlays/two-replicas", "botkube-analytics"),
    ],
)
async def test_the_rights_are_enough(
    tmp_path: Path, ruleset: RuleSet, folder: str, lease: str | None
) -> None:
    async with lab(tmp_path, ruleset, state_path=None, lease_name=lease) as world:
        for found in manifest(folder).values():
            kind, name = found["kind"], found["metadata"]["name"]
            if kind == "ConfigMap" and not found.keys() & {"data"}:
                world.cluster.config_map(NAMESPACE, name)
            elif kind == "Lease":
                world.cluster.lease(NAMESPACE, name)
        world.cluster.server.access.granted = granted(folder)
        world.cluster.botkube(NAMESPACE, at=world.clock.ns())
        async with world.agent() as agent:
            await until(lambda: len(world.reports()) > 1)
            await after(world, 1)
            await world.finish(agent)
    report = world.reports()[0]

    assert {"v1.14.0", "1.34"} == {report["botkube_version"], report["kubernetes_minor"]}
    assert not world.gaps()


async def test_files_are_carried_out_and_audited_as_the_runbook_says(
    tmp_path: Path, ruleset: RuleSet
) -> None:
    """But for `kubectl exec`: what the pod's Python is told, on the files of an agent."""
    folder, full = VALUES["destination"]["path"].rsplit("/", 1)[0], "events-20261123T120000Z.ndjson"
    volume, home = tmp_path / "volume", tmp_path / "home"
    home.mkdir()
    async with lab(tmp_path, ruleset) as world:
        path = volume / "events.ndjson"
        world.changes["destination"] = Destination("file", "", path=str(path))
        world.cluster.botkube(NAMESPACE, at=world.clock.ns())
        async with world.agent() as agent:
            await until(lambda: path.exists() and path.read_bytes().count(b"Collection report") > 1)
            await world.finish(agent)
    carried = path.rename(volume / full).read_bytes()
    path.touch()
    (block,) = re.findall(r"(?ms)^```sh\n([^`]*os\.listdir.*?)^```$", RUNBOOK)
    told = []
    for line in block.splitlines():
        command = line.removeprefix("kubectl -n botkube exec deploy/botkube-analytics -- ")
        command = command.replace(folder, str(volume)).replace("python ", f"{sys.executable} ", 1)
        command = command.replace("botkube-analytics ", f"{sys.executable} -m agent ", 1)
        done = await asyncio.create_subprocess_shell(
            command, stdout=asyncio.subprocess.PIPE, cwd=home, env=os.environ | {"COLUMNS": "120"}
        )
        told.append((await done.communicate())[0].decode())
        assert done.returncode == 0, command

    assert told[0].split() == [full, path.name]
    assert (home / full).read_bytes() == carried
    assert told[2].startswith("consistent")
    assert [one.name for one in volume.iterdir()] == [path.name]


def workload(objects: dict[str, Json]) -> Json:
    """Return the Deployment or DaemonSet among the objects."""
    (found,) = (one for one in objects.values() if one["kind"] in {"Deployment", "DaemonSet"})
    return found


def environment(objects: dict[str, Json], **fields: str) -> dict[str, str]:
    """Return the container's variables, with the pod's own fields by the end of their paths."""
    (container,) = workload(objects)["spec"]["template"]["spec"]["containers"]
    return {
        one["name"]: one["value"]
        if "value" in one
        else fields[one["valueFrom"]["fieldRef"]["fieldPath"].rpartition(".")[2]]
        for one in container["env"]
    }


def loaded(objects: dict[str, Json]) -> settings.Settings:
    """Return the settings as the agent reads them in such a pod."""
    given = environment(objects, namespace="botkube", nodeName="node", name="pod")
    names = (name for name in objects if name.endswith("-settings"))
    files = {
        f"/etc/botkube-analytics/{file}": text
        for name in names
        for file, text in objects[name]["data"].items()
    }
    files["/run/secrets/botkube-analytics/write-key"] = "key"
    return settings.load(given, {}, files.__getitem__)


@pytest.mark.parametrize("folder", RENDERED)
def test_a_manifest_names_settings_and_ports_that_exist(folder: str) -> None:
    objects = manifest(folder)
    spec = workload(objects)["spec"]
    pod = spec["template"]["spec"]
    (container,) = pod["containers"]
    found = loaded(objects)
    ports = {one["name"]: one["containerPort"] for one in container["ports"]}
    probes = {
        (container[probe]["httpGet"]["path"], ports[container[probe]["httpGet"]["port"]])
        for probe in ("startupProbe", "livenessProbe", "readinessProbe")
    }

    assert probes == {("/healthz", found.health.port), ("/readyz", found.health.port)}
    assert f"ConfigMap/{found.state.installation_configmap}" in objects
    states = [f"{found.state.configmap}-{one}" for one in range(found.state.slots)]
    assert {f"ConfigMap/{one}" for one in states or [found.state.configmap]} <= objects.keys()
    assert found.lease.name is None or f"Lease/{found.lease.name}" in objects
    assert f"ServiceAccount/{pod['serviceAccountName']}" in objects
    assert container["image"] == f"botkube-analytics:{__version__}"
    if spec.get("replicas") == 1:
        assert spec["strategy"] == {"type": "Recreate"}


@pytest.mark.parametrize("folder", RENDERED)
def test_a_service_of_the_same_name_gives_the_pod_no_variables(folder: str) -> None:
    """BOTKUBE_ANALYTICS_PORT and its like would be settings that do not exist, and end it."""
    pod = workload(manifest(folder))["spec"]["template"]["spec"]
    with pytest.raises(settings.SettingsError):
        settings.load({"BOTKUBE_ANALYTICS_PORT": "tcp://10.0.0.7:8080"}, {}, str)

    assert pod["enableServiceLinks"] is False


def test_without_a_destination_the_policy_has_the_api_servers_ports_alone() -> None:
    spec = manifest("overlays/local-only")["NetworkPolicy/botkube-analytics"]["spec"]

    assert spec["policyTypes"] == ["Ingress", "Egress"]
    assert [[port["port"] for port in one["ports"]] for one in spec["egress"]] == [
        [53, 53],
        VALUES["networkPolicy"]["apiServer"]["ports"],
    ]
    assert [[port["port"] for port in one["ports"]] for one in spec["ingress"]] == [[8080]]
