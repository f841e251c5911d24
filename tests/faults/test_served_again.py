"""A file that the kubelet serves again in one stream: its lines count once, whatever their stamps.

The reader waited while the log was rotated twice, so the newest file is opened twice.
"""

from __future__ import annotations

import asyncio

import pytest

from agent.model import Format
from tests.agents import NANOS
from tests.faults.test_late_status import Node, play
from tests.faults.words import WORDS, say

sleep = asyncio.sleep


def burst(node: Node, count: int, *, apart_ns: int) -> None:
    """Write so many lines at once."""
    for number in range(count):
        word = WORDS[number % len(WORDS)]
        text = say("said", word, at_seconds=node.now() // NANOS, shape=Format.LOGFMT)
        node.pod.write(text + b"\n", at=node.now() + number * apart_ns)
        node.truth[word] += 1


async def serve_again(node: Node, count: int, *, apart_ns: int) -> None:
    """Let a stream that is open bring a new file twice."""
    await sleep(50)
    await node.write(10)
    node.pod.rotate()
    node.pod.rotate()
    burst(node, count, apart_ns=apart_ns)
    await node.settle()


@pytest.mark.parametrize("apart_ns", [0, 5_000, 2_000_000], ids=["at once", "dense", "apart"])
def test_a_file_that_is_served_again_counts_once(apart_ns: int) -> None:
    async def scene(node: Node) -> None:
        async with node.lab.agent():
            await serve_again(node, 100, apart_ns=apart_ns)

        assert not node.lab.gaps()

    play(scene)
