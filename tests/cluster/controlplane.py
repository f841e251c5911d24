"""etcd and kube-apiserver as processes on loopback, which can be killed, paused and started again.

Owns their ports, files and flags. RBAC, Pod Security and service-account tokens are on; there is no
controller manager, no scheduler, and no kubelet but `node`. `Given` is any other cluster, which the
same tests use as far as they kill nothing.
"""

from __future__ import annotations

import asyncio
import base64
import json
import secrets
import shutil
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import attrs
from kubernetes_asyncio.client import Configuration
from kubernetes_asyncio.config import load_kube_config

from tests.cluster.api import Api, Json
from tests.cluster.binaries import Missing

READY_SECONDS = 60
END_SECONDS = 60
LEEWAY_SECONDS = 60
ISSUER = "https://kubernetes.default.svc"
AUDIT = """
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules: [{level: Metadata}]
"""


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@attrs.frozen(eq=False)
class Given:
    """A cluster that a kubeconfig names; its API server reaches this machine at `node_address`."""

    programs: Mapping[str, Path]
    api: Api
    node_address: str
    tls: Sequence[Path]
    """Any pair does for a kubelet, because an API server does not check a kubelet's by default."""

    @classmethod
    def load(
        cls, programs: Mapping[str, Path], folder: Path, *, kubeconfig: str, node_address: str
    ) -> Given:
        """Read the kubeconfig, whatever way of logging in it has."""
        found = Configuration()
        asyncio.run(load_kube_config(config_file=kubeconfig, client_configuration=found))
        assert found.host, f"{kubeconfig} names no server"
        assert found.ssl_ca_cert, f"{kubeconfig} names no certificate authority"
        bearer = found.api_key.get("BearerToken", "").removeprefix("Bearer ")
        has_pair = found.cert_file and found.key_file
        pair = (str(found.cert_file), str(found.key_file)) if has_pair else None
        api = Api(found.host.rstrip("/"), bearer, found.ssl_ca_cert, pair)
        return cls(programs, api, node_address, make_certificate(folder))


def make_certificate(folder: Path) -> tuple[Path, Path]:
    """Make a certificate and its key. Raises `Missing`."""
    openssl = shutil.which("openssl")
    if openssl is None:
        raise Missing("the kubelet's certificate is made with openssl, and there is none here")
    made = folder / "kubelet.crt", folder / "kubelet.key"
    arguments = f"req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=kubelet -out {made[0]}"
    subprocess.run(  # noqa: S603 the arguments are our own
        [openssl, *arguments.split(), "-keyout", made[1]], check=True, stderr=subprocess.DEVNULL
    )
    return made


@attrs.define(eq=False)
class ControlPlane:
    """The two processes; `api` speaks to them as the administrator."""

    programs: Mapping[str, Path]
    folder: Path
    node_address: str = "127.0.0.1"
    admin_token: str = attrs.field(factory=lambda: secrets.token_hex(16))
    port: int = attrs.field(factory=free_port)
    etcd_port: int = attrs.field(factory=free_port)
    etcd: subprocess.Popen[bytes] | None = None
    apiserver: subprocess.Popen[bytes] | None = None

    @property
    def ca(self) -> Path:
        """The certificate that the API server made for itself; `apiserver.key` is beside it."""
        return self.folder / "certs" / "apiserver.crt"

    @property
    def key(self) -> Path:
        return self.ca.with_suffix(".key")

    @property
    def tls(self) -> Sequence[Path]:
        return self.ca, self.key

    @property
    def api(self) -> Api:
        return Api(f"https://127.0.0.1:{self.port}", self.admin_token, str(self.ca))

    @classmethod
    @contextmanager
    def running(cls, programs: Mapping[str, Path], folder: Path) -> Iterator[ControlPlane]:
        plane = cls(programs, folder)
        (folder / "audit.yaml").write_text(AUDIT)
        (folder / "tokens").write_text(f'{plane.admin_token},admin,admin,"system:masters"\n')
        try:
            plane.start_etcd()
            plane.start_api()
            yield plane
        finally:
            for process in (plane.apiserver, plane.etcd):
                if process is not None:
                    process.kill()
                    process.wait()

    def start_etcd(self) -> None:
        peer = f"http://127.0.0.1:{free_port()}"
        self.etcd = self._start(
            "etcd",
            f"--data-dir={self.folder / 'etcd'}",
            f"--listen-client-urls={self._etcd_url}",
            f"--advertise-client-urls={self._etcd_url}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=default={peer}",
            "--unsafe-no-fsync",
            "--log-level=error",
        )

    def start_api(self, *flags: str) -> None:
        """Start the API server, or start it again, and wait until it is ready."""
        folder = self.folder
        self.apiserver = self._start(
            "kube-apiserver",
            f"--etcd-servers={self._etcd_url}",
            "--bind-address=127.0.0.1",
            "--advertise-address=127.0.0.1",
            f"--secure-port={self.port}",
            f"--cert-dir={self.ca.parent}",
            "--endpoint-reconciler-type=none",
            "--service-cluster-ip-range=10.0.0.0/24",
            "--kubelet-preferred-address-types=InternalIP",
            "--authorization-mode=RBAC",
            "--enable-admission-plugins=PodSecurity",
            # Without a controller manager no namespace gets its default account.
            "--disable-admission-plugins=ServiceAccount",
            f"--token-auth-file={folder / 'tokens'}",
            f"--service-account-issuer={ISSUER}",
            f"--service-account-key-file={self.key}",
            f"--service-account-signing-key-file={self.key}",
            f"--audit-policy-file={folder / 'audit.yaml'}",
            f"--audit-log-path={folder / 'audit.log'}",
            *flags,
        )
        until = time.monotonic() + READY_SECONDS
        while not self.api.is_ready():
            assert self.apiserver.poll() is None, self.told("kube-apiserver")
            assert time.monotonic() < until, self.told("kube-apiserver")
            time.sleep(0.1)

    def kill_api(self) -> None:
        assert self.apiserver is not None
        self.apiserver.kill()
        self.apiserver.wait()

    def end_api(self) -> None:
        """Let the API server end as in an upgrade: it closes what is open in its own order."""
        assert self.apiserver is not None
        self.apiserver.terminate()
        assert self.apiserver.wait(END_SECONDS) == 0, self.told("kube-apiserver")

    def pause_etcd(self) -> None:
        assert self.etcd is not None
        self.etcd.send_signal(signal.SIGSTOP)

    def resume_etcd(self) -> None:
        assert self.etcd is not None
        self.etcd.send_signal(signal.SIGCONT)

    def compact(self) -> int:
        """Let etcd forget everything before its present revision, and return that."""
        revision = int(self._etcd("/v3/kv/range", {"key": "AA=="})["header"]["revision"])
        self._etcd("/v3/kv/compaction", {"revision": revision, "physical": True})
        return revision

    def requests(self, namespace: str) -> list[Json]:
        """Return what was asked of one namespace, from the audit log, in the order of answers."""
        lines = (self.folder / "audit.log").read_text(encoding="utf-8").splitlines()
        found = [json.loads(line) for line in lines if line.endswith("}")]
        return [one for one in found if one.get("objectRef", {}).get("namespace") == namespace]

    def shortened(self, token: str, *, lives_seconds: int) -> str:
        """Return a service account's token that is refused so soon; the API gives none under 600 s.

        The API server takes a token for a minute after its `exp`, for clocks that differ.
        """
        header, payload, _ = token.split(".")
        claims = json.loads(base64.urlsafe_b64decode(payload + "=="))
        claims["exp"] = int(time.time()) + lives_seconds - LEEWAY_SECONDS
        signed = f"{header}.{_base64(json.dumps(claims).encode())}"
        arguments = f"openssl dgst -sha256 -sign {self.key}"
        made = subprocess.run(  # noqa: S603 the arguments are our own
            arguments.split(), input=signed.encode(), stdout=subprocess.PIPE, check=True
        )
        return f"{signed}.{_base64(made.stdout)}"

    def told(self, program: str) -> str:
        """Return the end of what a program wrote."""
        return (self.folder / f"{program}.log").read_text(encoding="utf-8")[-3000:]

    @property
    def _etcd_url(self) -> str:
        return f"http://127.0.0.1:{self.etcd_port}"

    def _etcd(self, path: str, body: Json) -> Json:
        data = json.dumps(body).encode()
        with urllib.request.urlopen(self._etcd_url + path, data=data, timeout=10) as answer:  # noqa: S310
            found: Json = json.load(answer)
            return found

    def _start(self, program: str, *arguments: str) -> subprocess.Popen[bytes]:
        with (self.folder / f"{program}.log").open("ab") as output:
            return subprocess.Popen(  # noqa: S603 a program that we built
                [self.programs[program], *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=self.folder,
            )
