"""The two servers, each with a namespace and an account with few rights; they are asked alike."""

from __future__ import annotations

import asyncio
import io
import json
import re
import ssl
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from pathlib import Path
from urllib.parse import quote

import aiohttp
import attrs
from multidict import CIMultiDict, MultiMapping
from yarl import URL

from tests.cluster.api import Json
from tests.cluster.controlplane import ControlPlane, Given
from tests.cluster.differential.ask import Ask, Step
from tests.cluster.node import Node
from tests.sim.access import ADMIN, Rule
from tests.sim.apiserver import MIDNIGHT, ApiOptions
from tests.sim.cluster import Cluster
from tests.sim.pods import Pod

ACCOUNT = "reader"
RULES: tuple[tuple[str, str, tuple[str, ...], tuple[str, ...]], ...] = (
    ("", "pods", ("get", "list", "watch"), ()),
    ("", "pods/log", ("get",), ()),
    ("", "configmaps", ("get", "update"), ("state",)),
    ("coordination.k8s.io", "leases", ("get", "update"), ("lease",)),
)
"""Group, resource, verbs, names: what the account may do in the namespace."""

STEP_SECONDS = 0.15
"""Enough for what came before to reach whoever follows."""


@attrs.frozen
class Answer:
    status: int
    headers: MultiMapping[str]
    body: bytes
    end: str = "whole"
    """Whether the body ended as it should, was cut off or had no end."""


_ID = re.compile(r"containerd://[0-9a-f]{64}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_VERSION = re.compile(r"(resource version: |current: |\()\d+\b")


@attrs.define
class Names:
    """Ids and versions of one server, each under a name that says where it was first seen."""

    _names: dict[str, str] = attrs.field(factory=dict)
    _answer: int = 0
    _count: int = 0

    def begin(self) -> None:
        """Go on to the next answer."""
        self._answer, self._count = self._answer + 1, 0

    def name(self, text: str) -> str:
        if text not in self._names:
            self._count += 1
            self._names[text] = f"<{self._answer}.{self._count}>"
        return self._names[text]

    def plain(self, text: str) -> str:
        """Rid a text of what differs between two servers."""
        text = _ID.sub(lambda found: self.name(found[0]), text)
        # Whose rule it is that allows something is the business of who wrote the rule.
        text = re.sub(r"(?<=RBAC: allowed by ).*", "a rule", text)
        return _VERSION.sub(r"\1<version>", text)


@attrs.define(eq=False)
class Side:
    """One server. `make` creates a pod whose containers wait; `restart` makes the server forget all
    that happened; `before` hears who asks next.
    """

    url: str
    session: aiohttp.ClientSession
    tokens: Mapping[str, str]
    namespace: str
    make: Callable[..., Pod]
    restart: Callable[[], None]
    before: Callable[[str], None] = lambda _: None
    names: Names = attrs.field(factory=Names)
    pods: dict[str, Pod] = attrs.field(factory=dict)
    kept: dict[str, str] = attrs.field(factory=dict)

    async def answer(self, ask: Ask) -> Answer:
        """Send one request and read the answer to its end, with what happens meanwhile."""
        self.before(ask.who)
        headers = {"Accept": ask.accept, "Content-Type": ask.kind}
        if ask.who in self.tokens:
            headers["Authorization"] = f"Bearer {self.tokens[ask.who]}"
        body = ask.body if isinstance(ask.body, str) else json.dumps(ask.body)
        request = self.session.request(
            ask.method,
            URL(self.url + self.fill(ask.path), encoded=True),
            data=None if ask.body is None else io.BytesIO(self.fill(body).encode()),
            headers=headers,
            skip_auto_headers=["Content-Type"] if ask.body is None else (),
            allow_redirects=False,
        )
        # A stream may begin only with its first byte.
        answering = asyncio.create_task(_read(request, ask.seconds))
        for step in ask.during:
            await asyncio.sleep(STEP_SECONDS)
            await self.play(step)
        answer = await answering
        self._keep(ask.keep, answer)
        return answer

    async def play(self, step: Ask | Step) -> None:
        if isinstance(step, Ask):
            await self.answer(step)
            return
        pod = self.pods[step.pod]
        match step.does:
            case "write":
                pod.write(step.text, at=MIDNIGHT)
            case "rotate":
                pod.rotate()
            case "crash":
                # A request to the real server: in a thread, as whoever follows is read meanwhile.
                await asyncio.to_thread(pod.crash, at=MIDNIGHT)

    def fill(self, text: str) -> str:
        """Put the values of this side in their places."""
        text = text.replace("<ns>", self.namespace)
        return re.sub(r"<(\w+:\w+)>", lambda found: self.kept[found[1]], text)

    def _keep(self, name: str, answer: Answer) -> None:
        if not name:
            return
        meta = json.loads(answer.body).get("metadata", {})
        self.kept[f"rv:{name}"] = meta.get("resourceVersion", "")
        self.kept[f"uid:{name}"] = meta.get("uid", "")
        self.kept[f"continue:{name}"] = quote(meta.get("continue", ""))


async def _read(
    request: AbstractAsyncContextManager[aiohttp.ClientResponse], seconds: float
) -> Answer:
    parts, status, end = bytearray(), 0, "whole"
    headers: MultiMapping[str] = CIMultiDict()
    try:
        async with asyncio.timeout(seconds), request as response:
            status, headers = response.status, response.headers
            async for chunk in response.content.iter_any():
                parts += chunk
    except TimeoutError:
        end = "endless"
    except aiohttp.ClientError as error:
        end = type(error).__name__
    return Answer(status, headers, bytes(parts), end)


@asynccontextmanager
async def simulated(namespace: str) -> AsyncIterator[Side]:
    options = ApiOptions(now=time.time_ns)
    async with Cluster.running(options) as cluster, aiohttp.ClientSession() as session:
        cluster.namespace(namespace)
        access = cluster.server.access
        user = f"system:serviceaccount:{namespace}:{ACCOUNT}"
        access.tokens |= {"admin": ADMIN, "agent": user}
        granted = [
            Rule(verb, resource, namespace, name)
            for _, resource, verbs, names in RULES
            for verb in verbs
            for name in names or ("",)
        ]

        def before(who: str) -> None:
            access.granted = granted if who == "agent" else None

        # The node is named after the namespace, as the real one.
        cluster.node = namespace
        make = partial(cluster.pod, namespace)
        tokens = {"admin": "admin", "agent": "agent", "stranger": "x.y.z"}
        yield Side(
            cluster.server.url,
            session,
            tokens,
            namespace,
            make,
            cluster.server.expire_watches,
            before,
        )


@asynccontextmanager
async def real(cluster: ControlPlane | Given, folder: Path, namespace: str) -> AsyncIterator[Side]:
    api, where = cluster.api, f"/api/v1/namespaces/{namespace}"
    api.ask("POST", "/api/v1/namespaces", {"metadata": {"name": namespace}})
    for found in _account(namespace):
        api.apply(namespace, found)
    asked = {"spec": {"expirationSeconds": 600}}
    token = api.ask("POST", f"{where}/serviceaccounts/{ACCOUNT}/token", asked)["status"]["token"]
    tls = ssl.create_default_context(cafile=api.ca)
    if api.certificate is not None:
        tls.load_cert_chain(*api.certificate)
    connector = aiohttp.TCPConnector(ssl=tls)
    async with aiohttp.ClientSession(connector=connector) as session:
        with Node.running(cluster, folder / "node", name=namespace) as node:

            def restart() -> None:
                assert isinstance(cluster, ControlPlane)
                cluster.kill_api()
                cluster.start_api()

            tokens = {"admin": api.token, "agent": token, "stranger": "x.y.z"}
            yield Side(api.url, session, tokens, namespace, node.pod, restart)
    node.remove()
    api.ask("DELETE", where)


def _account(namespace: str) -> list[Json]:
    """Return the objects that give an account the rights of `RULES`."""
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": ACCOUNT}
    version = {"apiVersion": "rbac.authorization.k8s.io/v1", "metadata": {"name": ACCOUNT}}
    rules = [
        {"apiGroups": [group], "resources": [resource], "verbs": list(verbs)}
        | ({"resourceNames": list(names)} if names else {})
        for group, resource, verbs, names in RULES
    ]
    subject = {"kind": "ServiceAccount", "name": ACCOUNT, "namespace": namespace}
    return [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": ACCOUNT}},
        {**version, "kind": "Role", "rules": rules},
        {**version, "kind": "RoleBinding", "roleRef": role, "subjects": [subject]},
    ]
