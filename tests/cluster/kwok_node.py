"""kwok as a kubelet: it looks after the node object and serves the logs. Owns its configuration.

Its pod stages know neither a crash nor a restart, so pods are left to the steps of the tests, as
they are with `kubelet/`. Its files are named when it starts: links, which may lead nowhere yet.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from tests.cluster.api import Json

GROUP = "kwok.x-k8s.io"
ANNOTATIONS = {f"{GROUP}/node": "fake"}
READY_SECONDS = 30
# One stage at least, else it takes its own, which set every pod to running.
NO_POD: Json = {
    "kind": "Stage",
    "metadata": {"name": "no-pod"},
    "spec": {
        "resourceRef": {"apiGroup": "v1", "kind": "Pod"},
        "selector": {"matchLabels": {"for": "nobody"}},
        "next": {"statusTemplate": "{}"},
    },
}


def flags(
    folder: Path, node: str, address: str, port: int, *, tls: Sequence[Path], kubeconfig: Json
) -> Sequence[str]:
    """Return the arguments for one node, and write the files that they name."""
    config, access = folder / "kwok.json", folder / "kubeconfig.json"
    config.write_text("\n---\n".join(map(json.dumps, _config(folder / "links", node))))
    access.write_text(json.dumps(kubeconfig))
    return (
        f"--kubeconfig={access}",
        f"--config={config}",
        f"--manage-single-node={node}",
        f"--node-ip={address}",
        f"--node-port={port}",
        f"--server-address={address}:{port}",
        f"--tls-cert-file={tls[0]}",
        f"--tls-private-key-file={tls[1]}",
    )


def _config(links: Path, namespace: str) -> Sequence[Json]:
    logs = [_logs(links, namespace, f"botkube-{number}") for number in range(3)]
    return [{"apiVersion": f"{GROUP}/v1alpha1", **one} for one in (NO_POD, *logs)]


def _logs(links: Path, namespace: str, pod: str) -> Json:
    files = {
        key: str(links / f"{namespace}_{pod}.{which}")
        for key, which in (("logsFile", "current"), ("previousLogsFile", "previous"))
    }
    return {
        "kind": "Logs",
        "metadata": {"name": pod, "namespace": namespace},
        "spec": {"logs": [{**files, "follow": True}]},
    }
