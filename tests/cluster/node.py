"""A node of the real cluster: `kubelet/` or kwok serves its logs, from files that are written here.

Owns the node object, that process and the files; what pods do is `tests.sim.pods`, the same steps
as in the simulation, whose statuses go to the real API server. Nothing runs on the node, and
nobody but the tests reports on its pods.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import attrs

from tests.cluster import kwok_node
from tests.cluster.api import MERGE, Api, Json
from tests.cluster.controlplane import ControlPlane, Given, free_port
from tests.sim.cluster import BOTKUBE_LABELS
from tests.sim.crilog import Instance
from tests.sim.pods import Pod
from tests.sim.status import Kind
from tests.sim.store import PODS

IMAGE = "ghcr.io/kubeshop/botkube:v1.14.0"
CONTAINER = "botkube"


@attrs.define(eq=False)
class LogFiles:
    """The logs of all container instances, as files that the runtime would write."""

    folder: Path
    instances: dict[str, Instance] = attrs.field(factory=dict)
    _written: dict[str, list[int]] = attrs.field(factory=dict)

    def add(self, container_id: str) -> Instance:
        """Begin the log of a new container instance."""
        instance = self.instances[container_id] = Instance(container_id)
        self._written[container_id] = []
        instance.listeners.add(lambda: self._flush(instance))
        self._flush(instance)
        return instance

    def remove(self, container_id: str) -> None:
        """Forget an instance and its log, as garbage collection does."""
        if self.instances.pop(container_id, None) is not None:
            self.path(container_id).unlink()
            self._written.pop(container_id)

    def path(self, container_id: str) -> Path:
        """Where an instance's newest file is."""
        return self.folder / f"{container_id.rpartition('/')[2]}.log"

    def _flush(self, instance: Instance) -> None:
        """Bring the files up to date, older ones under the names that a rotation gave them."""
        path, written = self.path(instance.container_id), self._written[instance.container_id]
        for number, file in enumerate(instance.files):
            if number == len(written):
                if number:
                    path.rename(path.with_name(f"{path.name}.{number - 1}"))
                path.touch()
                written.append(0)
            is_newest = number == len(instance.files) - 1
            if written[number] < len(file.data):
                where = path if is_newest else path.with_name(f"{path.name}.{number}")
                with where.open("ab") as output:
                    output.write(file.data[written[number] :])
                written[number] = len(file.data)
        if instance.ended:
            path.with_name(f"{path.name}.ended").touch()


@attrs.define(eq=False)
class PodObjects:
    """The pods of the API server, as the kubelet of this node reports on them."""

    api: Api
    logs: LogFiles
    links: Path

    def get(self, kind: Kind, namespace: str, name: str) -> Json:
        return self.api.ask("GET", self._path(kind, namespace, name))

    def update(self, kind: Kind, namespace: str, name: str, obj: Json) -> Json:
        """Write the status, with the links to the logs that it names."""
        for one in obj["status"]["containerStatuses"]:
            dead = (one["lastState"].get("terminated") or {}).get("containerID", "")
            self._link(namespace, name, "current", one.get("containerID", ""))
            self._link(namespace, name, "previous", dead)
        return self.api.ask("PUT", f"{self._path(kind, namespace, name)}/status", obj)

    def delete(self, kind: Kind, namespace: str, name: str) -> Json:
        return self.api.ask("DELETE", f"{self._path(kind, namespace, name)}?gracePeriodSeconds=0")

    def link(self, namespace: str, name: str, which: str) -> Path:
        """Where `kubelet/` looks for a log of a pod's container."""
        return self.links / f"{namespace}_{name}.{which}"

    def _link(self, namespace: str, name: str, which: str, container_id: str) -> None:
        new = self.links / "new"
        if container_id:
            new.symlink_to(self.logs.path(container_id))
            new.replace(self.link(namespace, name, which))

    def _path(self, kind: Kind, namespace: str, name: str) -> str:
        assert kind is PODS
        return f"/api/v1/namespaces/{namespace}/pods/{name}"


@attrs.define(eq=False)
class Node:
    """One node with its pods' logs; what `tests.sim.pods.Pod` takes for a server."""

    api: Api
    name: str
    kubelet: LogFiles
    store: PodObjects

    @classmethod
    @contextmanager
    def running(
        cls, cluster: ControlPlane | Given, folder: Path, *, name: str, kwok: Path | None = None
    ) -> Iterator[Node]:
        """Start a node, by kwok if given, whose pods are in the namespace of the same name."""
        for one in ("logs", "links"):
            (folder / one).mkdir(parents=True)
        logs = LogFiles(folder / "logs")
        node = cls(cluster.api, name, logs, PodObjects(cluster.api, logs, folder / "links"))
        address, port = cluster.node_address, free_port()
        command: list[str | Path] = [
            cluster.programs["kubelet"],
            f"--address={address}:{port}",
            f"--cert={cluster.tls[0]}",
            f"--key={cluster.tls[1]}",
            f"--links={folder / 'links'}",
        ]
        if kwok is not None:
            access = kubeconfig(cluster.api)
            arguments = kwok_node.flags(
                folder, name, address, port, tls=cluster.tls, kubeconfig=access
            )
            command = [kwok, *arguments]
        with (folder / "kubelet.log").open("ab") as output:
            process = subprocess.Popen(  # noqa: S603 a program that we built
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        try:
            if kwok is None:
                node.register(address, port)
            else:
                node.announce()
            yield node
        finally:
            process.kill()
            process.wait()

    def register(self, address: str, port: int) -> None:
        """Make the node object, which tells the API server where to ask for logs."""
        self.api.ask("POST", "/api/v1/nodes", {"metadata": {"name": self.name}})
        status = {
            "addresses": [{"type": "InternalIP", "address": address}],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": port}},
            "conditions": [{"type": "Ready", "status": "True"}],
        }
        path = f"/api/v1/nodes/{self.name}/status"
        self.api.ask("PATCH", path, {"status": status}, kind=MERGE)

    def announce(self) -> None:
        """Make the node object, and wait until kwok has told the API server where it listens."""
        meta = {"name": self.name, "annotations": kwok_node.ANNOTATIONS}
        self.api.ask("POST", "/api/v1/nodes", {"metadata": meta})
        until = time.monotonic() + kwok_node.READY_SECONDS
        while "daemonEndpoints" not in self.api.ask("GET", f"/api/v1/nodes/{self.name}")["status"]:
            assert time.monotonic() < until, "kwok does not look after its node"
            time.sleep(0.1)

    def remove(self) -> None:
        self.api.ask("DELETE", f"/api/v1/nodes/{self.name}")

    def botkube(
        self, name: str = "botkube-0", *, image: str = IMAGE, owner: Json | None = None
    ) -> Pod:
        """Create a pod of BotKube on this node and start its container."""
        pod = self.pod(name, images={CONTAINER: image}, labels=BOTKUBE_LABELS, owner=owner)
        pod.start(at=time.time_ns())
        return pod

    def pod(
        self,
        name: str,
        *,
        images: Mapping[str, str],
        labels: Mapping[str, str],
        owner: Json | None = None,
        node: str | None = None,
    ) -> Pod:
        """Create a pod whose containers wait to start; an empty node leaves it unscheduled."""
        node = self.name if node is None else node
        spec: Json = {"automountServiceAccountToken": False}
        spec["containers"] = [{"name": one, "image": image} for one, image in images.items()]
        meta: Json = {"name": name, "labels": dict(labels)}
        meta |= {"ownerReferences": [owner]} if owner is not None else {}
        path = f"/api/v1/namespaces/{self.name}/pods"
        asked = {"metadata": meta, "spec": spec | ({"nodeName": node} if node else {})}
        created = self.api.ask("POST", path, asked)
        pod = Pod(self, self.name, name, created["metadata"]["uid"], tuple(images))
        for container in images if node else ():
            pod.wait_to_start(container=container)
        return pod


def kubeconfig(api: Api) -> Json:
    """Return a kubeconfig for the same user."""
    user = {"token": api.token} if api.token else {}
    if api.certificate is not None:
        user |= dict(zip(("client-certificate", "client-key"), api.certificate, strict=True))
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "c",
        "clusters": [
            {"name": "c", "cluster": {"server": api.url, "certificate-authority": api.ca}}
        ],
        "users": [{"name": "u", "user": user}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
    }
