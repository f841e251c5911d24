"""`deploy/`: the chart's settings in its schema, and the manifests that are rendered from it.

`python -m tests.manifests --write` renders `deploy/manifests/` anew with helm, which is built on
first use, and writes what the agent's settings decide: parts of `values.schema.json`, and the
chart's table of destinations.
"""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import yaml

from agent import settings
from agent.settings.load import MAX_NUMBER
from agent.settings.selectors import PATTERN as SELECTOR
from agent.settings.table import Destination, Kind
from agent.sink.destination import KINDS
from tests.cluster.binaries import Missing, helm

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agent.settings.table import Setting

Json = dict[str, Any]
DEPLOY = Path(__file__).parent.parent / "deploy"
CHART, MANIFESTS = DEPLOY / "chart", DEPLOY / "manifests"
SCHEMA = CHART / "values.schema.json"
DESTINATIONS = CHART / "files" / "destinations.yaml"
RELEASE, NAMESPACE = "botkube-analytics", "botkube"

RENDERED: Mapping[str, str] = {
    "base": "",
    "overlays/daemonset": "kind=DaemonSet",
    "overlays/file": "destination.type=file,destination.existingClaim=botkube-analytics-events",
    "overlays/local-only": "networkPolicy.enabled=true",
    "overlays/namespaced": (
        "rights.optOutAnnotation=false,rights.botkubeOptOut=false,rights.botkubeVersion=false"
    ),
    "overlays/two-replicas": "replicas=2",
}

DECIDED = {
    "analytics": {"disable"},
    "kubernetes": {"kubeconfig", "context", "namespaces", "deployments", "node"},
    "rules": {"paths"},
    "state": {"path", "configmap", "installation_configmap", "slots", "namespace"},
    "lease": {"name"},
    "destination": {one.name for one in attrs.fields(Destination)},
    "health": {"host", "port"},
    "page": {"port"},
    "ledger": {"path"},
}
"""The settings that other values of the chart decide, or on which its probes and notes rest."""


FORMS = {Kind.NAME: "[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?", Kind.SELECTOR: SELECTOR}
"""What texts must be wholly; a kind that is not here is no setting of the chart."""


def settings_schema() -> Json:
    """Return the schema of the chart's value `settings`: the agent's own table less `DECIDED`."""
    sections: dict[str, Json] = {}
    for one in settings.TABLE:
        if one.key in DECIDED.get(one.section, ()):
            continue
        found = _value_schema(one)
        if one.is_list:
            found = {"type": "array", "items": found}
        found = _or_null(found)
        sections.setdefault(one.section, {})[one.key] = {"description": one.reason, **found}
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            name: {"type": ["object", "null"], "additionalProperties": False, "properties": keys}
            for name, keys in sections.items()
        },
    }


def _or_null(found: Json) -> Json:
    """Take what is left empty in YAML, too."""
    if "enum" in found:
        return found | {"enum": [*found["enum"], None]}
    return found | {"type": [found["type"], "null"]}


def _value_schema(setting: Setting) -> Json:
    most = MAX_NUMBER - 1 if setting.most is None else setting.most
    if setting.options:
        return {"enum": list(setting.options)}
    if setting.divides is not None:
        numbers = range(setting.least, most + 1)
        return {"enum": [one for one in numbers if not setting.divides % one]}
    if setting.kind is Kind.NUMBER:
        return {"type": "integer", "minimum": setting.least, "maximum": most}
    return {"type": "string", "minLength": 1, "pattern": f"^{FORMS[setting.kind]}$"}


def schema() -> Json:
    """Return the chart's schema with the settings as the agent has them."""
    found: Json = json.loads(SCHEMA.read_text(encoding="utf-8"))
    values = found["definitions"]["values"]["properties"]
    values["settings"] = settings_schema()
    values["destination"]["properties"] |= {
        one.key: _value_schema(one)
        for one in settings.TABLE
        if one.section == "destination" and one.options
    }
    return found


def destinations() -> str:
    """Return the chart's table of the types of destinations: what the agent knows of each."""
    found = {
        name: {
            "title": one.title.partition(",")[0],
            "key": one.key,
            "isServer": bool(one.path),
            "regions": [*one.regions],
            "needs": dict(one.needs),
            "forms": {key: form.pattern for key, form in one.forms.items()},
            "dropsRepeats": one.drops_repeats,
        }
        for name, one in KINDS.items()
    }
    return f"# Written by `make manifests`: the agent's own table.\n{_yaml(found)}"


def objects(text: str) -> dict[str, Json]:
    """Return the objects of a YAML text by kind, name and, where it is given, namespace."""
    found = [one for one in yaml.safe_load_all(text) if one]
    return {key(one): one for one in found}


def key(found: Json) -> str:
    """Return what tells an object from others."""
    meta = found["metadata"]
    return "/".join([found["kind"], meta["name"], *filter(None, [meta.get("namespace")])])


def template(*arguments: str, namespace: str = NAMESPACE) -> str:
    """Return what helm renders of the chart. Raises `Missing`, and what helm says as an error."""
    return run("template", RELEASE, str(CHART), "--namespace", namespace, *arguments)


def run(*arguments: str) -> str:
    """Run helm, which reads no setting of whoever runs it, and return its output."""
    done = subprocess.run(  # noqa: S603 the arguments are our own
        [helm(), *arguments],
        env={"HOME": "/nonexistent"},
        capture_output=True,
        check=False,
        text=True,
        timeout=120,
    )
    if done.returncode:
        raise HelmError(done.stderr)
    return done.stdout


class HelmError(Exception):
    """Helm ended with an error; the text is its own."""


def rendered() -> dict[Path, str]:
    """Return every file of `deploy/manifests/` as the chart makes it."""
    whole = {folder: plain(given) for folder, given in RENDERED.items()}
    base = whole.pop("base")
    files = {
        "base/kustomization.yaml": {"namespace": NAMESPACE, "resources": ["objects.yaml"]},
        "base/objects.yaml": [*map(_of_no_namespace, base.values())],
    }
    for folder, wanted in whole.items():
        added = [one for name, one in wanted.items() if name not in base]
        patches = [_deleted(one) for name, one in base.items() if name not in wanted]
        patches += [
            patch
            for name, one in wanted.items()
            if name in base and (patch := _changed(base[name], one))
        ]
        overlay: Json = {"resources": ["../../base", *(["objects.yaml"] if added else [])]}
        overlay = {"namespace": NAMESPACE, **overlay}
        files[f"{folder}/kustomization.yaml"] = overlay | ({"patches": patches} if patches else {})
        if added:
            files[f"{folder}/objects.yaml"] = added
    return {MANIFESTS / name: _text(name, found) for name, found in files.items()}


def plain(given: str, *, namespace: str = NAMESPACE) -> dict[str, Json]:
    """Render the chart without the marks by which Helm knows what is its own."""
    found = objects(template(*(["--set", given] if given else []), namespace=namespace))
    for one in found.values():
        for labels in (one, one.get("spec", {}).get("template", {})):
            for mark in ("helm.sh/chart", "app.kubernetes.io/managed-by"):
                labels.get("metadata", {}).get("labels", {}).pop(mark, None)
    return found


def _of_no_namespace(found: Json) -> Json:
    """Let kustomize say where an account is: a namespace that stands here it would not change."""
    if "subjects" not in found:
        return found
    kept = [{k: v for k, v in one.items() if k != "namespace"} for one in found["subjects"]]
    return found | {"subjects": kept}


def _deleted(found: Json) -> Json:
    kept = {"apiVersion": found["apiVersion"], "kind": found["kind"]}
    return {"patch": _yaml({"$patch": "delete", **kept, "metadata": {"name": _name(found)}})}


def _changed(old: Json, new: Json) -> Json | None:
    """Return the patch that replaces every part that differs."""
    # The value is not last: kustomize would take the line break off a text at the patch's end.
    operations = [
        {"op": "replace", "value": new[part], "path": f"/{part}"}
        for part in new
        if old.get(part) != new[part]
    ]
    target = {"kind": new["kind"], "name": _name(new)}
    return {"target": target, "patch": _yaml(operations)} if operations else None


def _name(found: Json) -> str:
    name: str = found["metadata"]["name"]
    return name


def _text(name: str, found: object) -> str:
    if name.endswith("objects.yaml"):
        assert isinstance(found, list)
        return _head(name) + "---\n".join(_yaml(one) for one in found)
    assert isinstance(found, dict)
    kinds = {"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization"}
    return _head(name) + _yaml(kinds | found)


def _head(name: str) -> str:
    folder = name.rpartition("/")[0]
    given = RENDERED[folder] or "its defaults"
    return f"# Rendered by `make manifests` from the chart: {given}\n"


class _Dumper(yaml.SafeDumper):
    """Texts of several lines are written as such, and nothing by reference."""

    def ignore_aliases(self, _data: object) -> bool:
        return True


def _string(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _string)


def _yaml(found: object) -> str:
    return yaml.dump(found, Dumper=_Dumper, sort_keys=False, width=100)


def manifest(folder: str = "base", *, namespace: str = NAMESPACE) -> dict[str, Json]:
    """Return the objects of a folder of `deploy/manifests/`, as kustomize makes them.

    Only as far as `rendered` uses kustomize; the cluster tests compare it with the real one. The
    rights on the namespace itself are those on another, where one is given.
    """
    path = MANIFESTS / folder
    overlay = yaml.safe_load((path / "kustomization.yaml").read_text(encoding="utf-8"))
    found: dict[str, Json] = {}
    for resource in overlay["resources"]:
        if resource.endswith(".yaml"):
            found |= objects((path / resource).read_text(encoding="utf-8"))
        else:
            found |= manifest("base")
    for patch in overlay.get("patches", ()):
        change = yaml.safe_load(patch["patch"])
        if isinstance(change, dict):
            del found[key(change)]
            continue
        target = found[f"{patch['target']['kind']}/{patch['target']['name']}"]
        for one in change:
            target[one["path"].removeprefix("/")] = one["value"]
    return _moved(found, namespace)


def _moved(found: dict[str, Json], namespace: str) -> dict[str, Json]:
    for one in found.values():
        one["metadata"].pop("namespace", None)
        for rule in one.get("rules", ()):
            if rule["resources"] == ["namespaces"]:
                rule["resourceNames"] = [namespace]
        for subject in one.get("subjects", ()):
            subject["namespace"] = namespace
    return found


def needed(rules: list[Json]) -> list[Json]:
    """Return the rules of the Role without which the agent does not work."""
    return [one for one in copy.deepcopy(rules) if not is_optional(one)]


def is_optional(rule: Json) -> bool:
    """Return whether a rule is one that a value of the chart (`rights`) gives."""
    names = rule.get("resourceNames") or [""]
    return rule["resources"][0] in {"namespaces", "deployments"} or "global" in names[-1]


def main() -> int:
    if sys.argv[1:] != ["--write"]:
        sys.exit("render deploy/manifests/ anew: python -m tests.manifests --write")
    DESTINATIONS.write_text(destinations(), encoding="utf-8")
    SCHEMA.write_text(json.dumps(schema(), indent=2) + "\n", encoding="utf-8")
    try:
        found = rendered()
    except Missing as missing:
        print(f"no helm: {missing}")  # noqa: T201
        return 1
    for path, text in found.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
