"""The administrator's hand in a real cluster: plain requests, apart from the agent's own client."""

from __future__ import annotations

import json
import ssl
import urllib.error
import urllib.request
from http import HTTPStatus
from typing import Any

import attrs

Json = dict[str, Any]
APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"
LIMIT_SECONDS = 20

PLURALS = {
    "ServiceAccount": "serviceaccounts",
    "ConfigMap": "configmaps",
    "Lease": "leases",
    "Role": "roles",
    "RoleBinding": "rolebindings",
    "ClusterRole": "clusterroles",
    "ClusterRoleBinding": "clusterrolebindings",
    "Deployment": "deployments",
    "DaemonSet": "daemonsets",
    "Secret": "secrets",
    "Service": "services",
    "NetworkPolicy": "networkpolicies",
    "PodDisruptionBudget": "poddisruptionbudgets",
    "ServiceMonitor": "servicemonitors",
    "PrometheusRule": "prometheusrules",
}


@attrs.frozen
class Refused(Exception):  # noqa: N818 what happened
    """The API server's answer was an error."""

    status: int
    answer: Json

    def __str__(self) -> str:
        return f"{self.status} {self.answer.get('reason')}: {self.answer.get('message')}"


@attrs.frozen
class Api:
    """One user's view of the API server."""

    url: str
    token: str
    ca: str
    certificate: tuple[str, str] | None = None

    def ask(
        self, method: str, path: str, body: object = None, *, kind: str = "application/json"
    ) -> Json:
        """Return the answer's object. Raises `Refused`, and `OSError` where there is no answer."""
        request = urllib.request.Request(  # noqa: S310 the scheme is ours
            self.url + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": kind},
        )
        if self.token:
            request.add_header("Authorization", f"Bearer {self.token}")
        context = ssl.create_default_context(cafile=self.ca)
        if self.certificate is not None:
            context.load_cert_chain(*self.certificate)
        try:
            with urllib.request.urlopen(request, timeout=LIMIT_SECONDS, context=context) as answer:  # noqa: S310
                text = answer.read()
        except urllib.error.HTTPError as error:
            with error:
                raise Refused(error.code, _object(error.read())) from None
        return _object(text)

    def apply(self, namespace: str, found: Json, *, dry_run: bool = False) -> Json:
        """Apply an object as `kubectl apply --server-side --validate=strict` does."""
        query = "?fieldManager=test&force=true&fieldValidation=Strict"
        path = f"{collection(namespace, found)}/{found['metadata']['name']}{query}"
        return self.ask("PATCH", path + ("&dryRun=All" if dry_run else ""), found, kind=APPLY)

    def delete(self, namespace: str, found: Json) -> None:
        """Delete an object; one that is not there is as good."""
        path = f"{collection(namespace, found)}/{found['metadata']['name']}"
        try:
            self.ask("DELETE", f"{path}?gracePeriodSeconds=0")
        except Refused as refused:
            if refused.status != HTTPStatus.NOT_FOUND:
                raise

    def as_bearer(self, token: str) -> Api:
        """Return the API as whoever holds a token sees it."""
        return attrs.evolve(self, token=token, certificate=None)

    def is_ready(self) -> bool:
        try:
            self.ask("GET", "/readyz")
        except (OSError, Refused):
            return False
        return True


def collection(namespace: str, found: Json) -> str:
    """Return the path at which objects of one kind are."""
    version = found["apiVersion"]
    root = f"/apis/{version}" if "/" in version else f"/api/{version}"
    where = "" if found["kind"].startswith("Cluster") else f"/namespaces/{namespace}"
    return f"{root}{where}/{PLURALS[found['kind']]}"


def _object(text: bytes) -> Json:
    try:
        found = json.loads(text)
    except ValueError:
        return {"message": text.decode(errors="replace")}
    return found if isinstance(found, dict) else {"message": str(found)}
