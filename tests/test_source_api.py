"""What the client makes of credentials that it is given."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from agent.source.api import Access, Client, NoCluster


def kubeconfig(url: str) -> str:
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "one",
            "clusters": [{"name": "one", "cluster": {"server": url}}],
            "users": [{"name": "one", "user": {}}],
            "contexts": [{"name": "one", "context": {"cluster": "one", "user": "one"}}],
        }
    )


@pytest.mark.parametrize(
    "text",
    [
        "clusters: [",
        "a: \x07",
        "[]",
        "clusters: 1",
        kubeconfig(""),
        kubeconfig("127.0.0.1:1"),
        kubeconfig("https://127.0.0.1:port"),
        kubeconfig("https://[::1"),
        kubeconfig("http://a..b:6443"),
        kubeconfig(f"http://{'a' * 64}:6443"),
        kubeconfig("https://x").replace(
            '"server"', '"certificate-authority-data": "AAAA", "server"'
        ),
        kubeconfig("https://x").replace(
            '"user": {}', '"user": {"client-certificate-data": "AAAA"}'
        ),
        kubeconfig("https://x").replace('"cluster": "one"', '"cluster": "two"'),
        kubeconfig("https://x").replace('"current-context": "one"', '"current-context": "two"'),
    ],
)
async def test_a_kubeconfig_that_cannot_be_used_is_no_cluster(tmp_path: Path, text: str) -> None:
    (tmp_path / "kubeconfig").write_text(text)
    with pytest.raises(NoCluster, match="kubeconfig"):
        async with Client(Access(str(tmp_path / "kubeconfig")), "test"):
            pass
