"""The simulated API and the real one answer the same requests alike, or differ where it is said."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.controlplane import ControlPlane, Given
from tests.cluster.differential import deletes, forms, logs, odd, reads, watches, writes
from tests.cluster.differential.ask import Ask, Aspect, Script
from tests.cluster.differential.compare import aspects, where
from tests.cluster.differential.furniture import furnish
from tests.cluster.differential.sides import Side, real, simulated

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(120, func_only=True)]

SCRIPTS: Mapping[str, Script] = {
    "reads": reads.SCRIPT,
    "writes": writes.SCRIPT,
    "deletes": deletes.SCRIPT,
    "watches": watches.SCRIPT,
    "logs": logs.SCRIPT,
    "forms": forms.SCRIPT,
    "odd": odd.SCRIPT,
}


@pytest.mark.parametrize("script", SCRIPTS)
async def test_both_servers_answer_alike(
    cluster: ControlPlane | Given, tmp_path: Path, script: str
) -> None:
    namespace = f"same-{secrets.token_hex(4)}"
    async with simulated(namespace) as ours, real(cluster, tmp_path, namespace) as theirs:
        furnish(ours)
        await asyncio.to_thread(furnish, theirs)
        said = await play(SCRIPTS[script], ours, theirs)

    assert not said, "\n".join(said)


async def test_both_forget_what_was_before_a_restart(
    cluster: ControlPlane | Given, tmp_path: Path
) -> None:
    if not isinstance(cluster, ControlPlane):
        pytest.skip("not in a cluster that others use")
    namespace = f"same-{secrets.token_hex(4)}"
    async with simulated(namespace) as ours, real(cluster, tmp_path, namespace) as theirs:
        said = await play(watches.BEFORE, ours, theirs)
        ours.restart()
        await asyncio.to_thread(theirs.restart)
        said += await play(watches.AFTER, ours, theirs)

    assert not said, "\n".join(said)


async def play(script: Script, ours: Side, theirs: Side) -> list[str]:
    """Send every request to both, and return what is wrong with the answers."""
    said: list[str] = []
    for part in script:
        asks = part if isinstance(part, tuple) else (part,)
        mine = asyncio.gather(*map(ours.answer, asks))
        right = asyncio.gather(*map(theirs.answer, asks))
        for ask, one, other in zip(asks, await mine, await right, strict=True):
            found = aspects(one, ours.names, has_marks=ask.has_marks)
            wanted = aspects(other, theirs.names, has_marks=ask.has_marks)
            said += complaints(ask, found, wanted)
    return said


def complaints(ask: Ask, ours: Mapping[Aspect, Any], theirs: Mapping[Aspect, Any]) -> Iterator[str]:
    """Say in what the answers differ if it is not exactly what is known, and how."""
    differing = {key for key in {**ours, **theirs} if ours.get(key) != theirs.get(key)}
    known = set(ask.differs[1]) if ask.differs else set()
    if differing != known:
        yield f"{ask}: known to differ in {sorted(known)}" if known else str(ask)
        for key in sorted(differing):
            yield f"    {key}{where(ours.get(key), theirs.get(key))}"
