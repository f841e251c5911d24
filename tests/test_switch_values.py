"""What each switch in the cluster says, where what holds it is odd, long, or refers to another."""

from __future__ import annotations

import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from agent.rules import RuleSet
from agent.source import switches
from agent.source.api import ApiError, Client
from agent.source.switches import _LOADER, VARIABLE, read_switches
from tests.agents import NAMESPACE, Lab, lab
from tests.sim.faults import Answer
from tests.test_switches import SELECTOR


@pytest.fixture
async def world(tmp_path: Path, ruleset: RuleSet) -> AsyncIterator[Lab]:
    async with lab(tmp_path, ruleset) as opened:
        yield opened


def pod(*containers: object, phase: str = "Running") -> dict[str, Any]:
    return {"spec": {"containers": list(containers)}, "status": {"phase": phase}}


def own(**says: object) -> dict[str, Any]:
    return {"env": [{"name": VARIABLE, **says}]}


ELSEWHERE = {"valueFrom": {"configMapKeyRef": {"name": "a", "key": "b"}}}
SOURCE = {"configMapRef": {"name": "a"}}
SAYS: dict[str, tuple[list[object], str]] = {
    "none": ([], "no pod"),
    "ended": ([pod(own(value="true"), phase="Failed")], "no pod"),
    "silent": ([pod({})], "not set"),
    "value from elsewhere": ([pod(own(**ELSEWHERE))], "not readable"),
    "beside one that says no": ([pod(own(**ELSEWHERE), own(value="false"))], "not readable"),
    "beside one that says off": ([pod(own(**ELSEWHERE), own(value="true"))], "true"),
    "another value from elsewhere": ([pod({"env": [{"name": "A", **ELSEWHERE}]})], "not set"),
    "all from elsewhere": ([pod({"envFrom": [SOURCE]})], "not readable"),
    "prefix that fits": ([pod({"envFrom": [{"prefix": "BOTKUBE_", **SOURCE}]})], "not readable"),
    "prefix that does not": ([pod({"envFrom": [{"prefix": "A_", **SOURCE}]})], "not set"),
    "env goes first": ([pod({**own(value="false"), "envFrom": [SOURCE]})], "false"),
    "env goes first, empty": ([pod({**own(value=""), "envFrom": [SOURCE]})], "not set"),
    "odd value": ([pod(own(value=["x"]))], "true"),
    "odd pod": ([None], "not readable"),
    "odd pod beside one that says off": ([7, pod(own(value="true"))], "true"),
    "no status": ([{"spec": {"containers": [own(value="true")]}}], "true"),
    "odd status": ([{**pod(own(value="true")), "status": {"phase": [1]}}], "true"),
    "no spec": ([{"status": {}}], "not readable"),
    "no containers": ([{"spec": {"containers": None}}], "not set"),
    "odd containers": ([{"spec": {"containers": {"env": []}}}], "not readable"),
    "odd container": ([pod("x", own(value="true"))], "true"),
    "odd entry": ([pod({"env": [None, {"name": VARIABLE, "value": "true"}]})], "true"),
    "odd entry alone": ([pod({"env": [None]})], "not readable"),
    "odd env": ([pod({"env": "x"})], "not readable"),
    "odd source": ([pod({"envFrom": [None]})], "not readable"),
}


async def test_what_is_odd_or_stands_elsewhere_is_not_readable_and_hides_no_off(world: Lab) -> None:
    found = {}
    async with Client(world.options().access, "test") as client:
        for name, (pods, _value) in SAYS.items():
            body = orjson.dumps({"items": pods})
            fault = world.cluster.server.faults.add(Answer(200, body), path="/pods$", times=None)
            *_, one = await read_switches(client, [NAMESPACE], [], [SELECTOR])
            world.cluster.server.faults.schedules.remove(fault)
            found[name] = one.value
            # No right is missing where what was read is not understood.
            assert bool(one.right) is (one.value != "not readable")

    assert found == {name: value for name, (_pods, value) in SAYS.items()}


async def test_pods_that_are_no_list_give_no_answer(world: Lab) -> None:
    world.cluster.server.faults.add(Answer(200, b'{"items":7}'), path="/pods$", times=None)
    async with Client(world.options().access, "test") as client:
        with pytest.raises(ApiError):
            await read_switches(client, [NAMESPACE], [], [SELECTOR])


# --- a long file ----------------------------------------------------------------------------------


def long(disable: str, size: int) -> str:
    head = f"analytics:\n  disable: {disable}\n"
    return head + "".join(f"k{at}: [a, b, {{c: d}}]\n" for at in range((size - len(head)) // 24))


@pytest.mark.parametrize(("disable", "value"), [("true", "true"), ("false", "not readable")])
async def test_a_file_that_is_too_long_is_not_readable_unless_it_says_off(
    world: Lab, disable: str, value: str
) -> None:
    data = {"a": "analytics: {disable: false}", "b": long(disable, 600_000)}
    world.cluster.config_map(NAMESPACE, "botkube-global-config", data)
    async with Client(world.options().access, "test") as client:
        began = time.process_time()
        found = await read_switches(client, [NAMESPACE], ["botkube"], [])
        took = time.process_time() - began

    assert found[-1].value == value
    assert took < 0.5


async def test_a_file_is_not_parsed_on_the_thread_that_everything_else_waits_for(
    world: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads = []

    class Watched(_LOADER):  # type: ignore[misc, valid-type]
        def __init__(self, text: str) -> None:
            threads.append(threading.current_thread())
            super().__init__(text)

    monkeypatch.setattr(switches, "_LOADER", Watched)
    world.cluster.config_map(NAMESPACE, "botkube-global-config", {"a": long("false", 32_000)})
    async with Client(world.options().access, "test") as client:
        found = await read_switches(client, [NAMESPACE], ["botkube"], [])

    assert found[-1].value == "false"
    assert threads
    assert threading.main_thread() not in threads
