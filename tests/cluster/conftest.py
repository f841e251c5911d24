"""The control plane, once for all tests, and a namespace of its own for each."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.cluster.binaries import Missing, programs
from tests.cluster.controlplane import ControlPlane, Given
from tests.cluster.lab import Lab, lab


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane | Given]:
    """Take the cluster of CLUSTER_KUBECONFIG if that is set, else one that is made here."""
    folder = tmp_path_factory.mktemp("cluster")
    kubeconfig = os.environ.get("CLUSTER_KUBECONFIG")
    try:
        if kubeconfig:
            address = os.environ.get("CLUSTER_NODE_ADDRESS", "127.0.0.1")
            yield Given.load(
                programs("kubelet"), folder, kubeconfig=kubeconfig, node_address=address
            )
            return
        found = programs()
    except Missing as missing:
        pytest.skip(f"no control plane: {missing}")
    with ControlPlane.running(found, folder) as plane:
        yield plane


@pytest.fixture
async def world(cluster: ControlPlane | Given, tmp_path: Path) -> AsyncIterator[Lab]:
    async with lab(cluster, tmp_path) as opened:
        yield opened
