"""A driver for tests: a server with namespaces, BotKube workloads as its chart makes them, pods.

What a pod then does is in `pods`. Times are arguments, except where an age does not matter.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import AsyncIterator, Mapping

import attrs

from tests.sim.apiserver import MIDNIGHT, ApiOptions, ApiServer
from tests.sim.gotime import seconds_stamp
from tests.sim.pods import Pod
from tests.sim.status import Json, Kind
from tests.sim.store import CONFIGMAPS, DEPLOYMENTS, LEASES, NAMESPACES, PODS, REPLICASETS

BOTKUBE_LABELS = {"app": "botkube", "component": "controller"}
KUBE_SYSTEM_UID = "3f0c1e52-7a64-4a0e-9d2b-0c1f6f3f8a11"
NODE = "node-1"
SIDECAR = "cfg-watcher"


@attrs.define(eq=False)
class Cluster:
    """The simulated cluster: the server and what lives in it."""

    server: ApiServer
    node: str = NODE

    @classmethod
    @contextlib.asynccontextmanager
    async def running(cls, options: ApiOptions | None = None) -> AsyncIterator[Cluster]:
        """Start a server that knows the usual namespaces."""
        server = ApiServer(options)
        cluster = cls(server)
        cluster.namespace("kube-system", uid=KUBE_SYSTEM_UID)
        cluster.namespace("default")
        async with server.running():
            yield cluster

    def namespace(
        self, name: str, *, uid: str = "", annotations: Mapping[str, str] | None = None
    ) -> Json:
        meta: Json = {"name": name, "labels": {"kubernetes.io/metadata.name": name}}
        if uid:
            meta["uid"] = uid
        if annotations:
            meta["annotations"] = dict(annotations)
        obj = {"metadata": meta, "spec": {"finalizers": ["kubernetes"]}}
        return self._create(NAMESPACES, "", obj | {"status": {"phase": "Active"}})

    def config_map(self, namespace: str, name: str, data: Mapping[str, str] | None = None) -> Json:
        obj: Json = {"metadata": {"name": name}}
        return self._create(CONFIGMAPS, namespace, obj | ({"data": dict(data)} if data else {}))

    def lease(self, namespace: str, name: str) -> Json:
        return self._create(LEASES, namespace, {"metadata": {"name": name}, "spec": {}})

    def botkube(
        self,
        namespace: str,
        *,
        at: int = MIDNIGHT,
        version: str = "v1.14.0",
        image: str = "",
        sidecar: bool = False,
        name: str = "botkube",
        node: str = "",
    ) -> Pod:
        """Install BotKube as its chart does, and start its pod; the namespace must exist."""
        image = image or f"ghcr.io/kubeshop/botkube:{version}"
        chart = {
            **BOTKUBE_LABELS,
            "app.kubernetes.io/name": "botkube",
            "app.kubernetes.io/instance": name,
            "app.kubernetes.io/managed-by": "Helm",
            "helm.sh/chart": f"botkube-{version}",
        }
        images = {"botkube": image} | ({SIDECAR: "ghcr.io/kubeshop/k8s-sidecar"} if sidecar else {})
        template = {"metadata": {"labels": BOTKUBE_LABELS}, "spec": _spec(images, "")}
        spec = {"selector": {"matchLabels": BOTKUBE_LABELS}, "template": template, "replicas": 1}
        owner = self._owner(DEPLOYMENTS, namespace, name, chart, spec)
        suffix = hashlib.sha256(f"{namespace}/{name}/{version}".encode()).hexdigest()
        labels = {**BOTKUBE_LABELS, "pod-template-hash": suffix[:10]}
        set_name = f"{name}-{suffix[:10]}"
        owner = self._owner(REPLICASETS, namespace, set_name, labels, spec, owner=owner)
        count = sum(
            pod["metadata"]["name"].startswith(set_name)
            for pod in self.server.store.objects(PODS, namespace)
        )
        pod_name = f"{set_name}-{hashlib.sha256(f'{suffix}{count}'.encode()).hexdigest()[:5]}"
        pod = self.pod(
            namespace,
            pod_name,
            images=images,
            labels=labels,
            owner=owner,
            node=node or self.node,
            at=at,
        )
        for container in pod.containers:
            pod.start(at=at, container=container)
        return pod

    def pod(
        self,
        namespace: str,
        name: str,
        *,
        images: Mapping[str, str],
        labels: Mapping[str, str],
        owner: Json | None = None,
        node: str | None = None,
        at: int | None = None,
    ) -> Pod:
        """Create a pod whose containers wait to start; an empty node leaves it unscheduled."""
        meta: Json = {"name": name, "labels": dict(labels)}
        if at is not None:
            meta["creationTimestamp"] = seconds_stamp(at)
        if owner is not None:
            meta["ownerReferences"] = [owner]
        obj: Json = {"metadata": meta, "spec": _spec(images, self.node if node is None else node)}
        obj["status"] = {"phase": "Pending"}
        created = self._create(PODS, namespace, obj)
        pod = Pod(self.server, namespace, name, created["metadata"]["uid"], tuple(images))
        if node != "":
            for container in pod.containers:
                pod.wait_to_start(container=container)
        return pod

    def _owner(
        self,
        kind: Kind,
        namespace: str,
        name: str,
        labels: Mapping[str, str],
        spec: Json,
        *,
        owner: Json | None = None,
    ) -> Json:
        """Create an owner unless it is there, and return the reference to it."""
        meta: Json = {"name": name, "labels": dict(labels)}
        if owner is not None:
            meta["ownerReferences"] = [owner]
        existing = [
            obj
            for obj in self.server.store.objects(kind, namespace)
            if obj["metadata"]["name"] == name
        ]
        obj = existing[0] if existing else None
        obj = obj or self._create(kind, namespace, {"metadata": meta, "spec": spec})
        return {
            "apiVersion": kind.api_version,
            "kind": kind.kind,
            "name": name,
            "uid": obj["metadata"]["uid"],
            "controller": True,
            "blockOwnerDeletion": True,
        }

    def _create(self, kind: Kind, namespace: str, obj: Json) -> Json:
        return self.server.store.create(kind, namespace, obj, at=self.server.options.now())


def _spec(images: Mapping[str, str], node: str) -> Json:
    spec: Json = {"containers": [{"name": name, "image": image} for name, image in images.items()]}
    if node:
        spec["nodeName"] = node
    return spec | {"restartPolicy": "Always", "serviceAccountName": "botkube-sa"}
