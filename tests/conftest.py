"""What tests share: the hypothesis profiles, the rule set, and a watch over blocking calls."""

from __future__ import annotations

import asyncio
import inspect
import logging
import os
from collections.abc import Generator, Iterator
from contextlib import contextmanager

import pytest
from blockbuster import blockbuster_ctx
from hypothesis import HealthCheck, settings

from agent.prefilter import Prefilter, make_prefilter
from agent.rulefiles import load_rules, shipped_folder
from agent.rules import RuleSet
from agent.rules import compile as rules_compiler
from agent.rules.nodes import Mapping, read
from agent.rules.places import Problems

# Up to Python 3.13 looptime asks for the current loop while fixtures are made, which warns that
# there is none unless somebody said so before.
asyncio.set_event_loop(None)

# No test trusts the machine's list of CAs, and each of the many processes that are started would
# read all of it, twice, just to import the HTTP client.
os.environ["SSL_CERT_FILE"] = os.devnull

SHIPPED = str(shipped_folder())

_COMMON = settings(
    deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.register_profile("ci", _COMMON, derandomize=True, max_examples=60)
settings.register_profile("search", _COMMON, max_examples=2000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


@pytest.fixture(scope="session")
def ruleset() -> RuleSet:
    """Return the rules of this repository."""
    return load_rules()


@pytest.fixture(scope="session")
def prefilter(ruleset: RuleSet) -> Prefilter:
    return make_prefilter(ruleset.literals)


def pytest_configure() -> None:
    """Parse each file of the shipped rules once in a process: commands read them all over."""
    vars(rules_compiler)["read"] = _Read()


class _Read:
    """`read`, which knows the files that it has found no fault in, as a workbench's run does."""

    def __init__(self) -> None:
        self._sound: dict[tuple[str, str], Mapping] = {}

    def __call__(self, path: str, text: str, problems: Problems) -> Mapping | None:
        known = self._sound.get((path, text))
        if known is not None:
            return known
        faults = len(problems.found)
        found = read(path, text, problems)
        if found is not None and len(problems.found) == faults and path.startswith(SHIPPED):
            self._sound[path, text] = found
        return found


# Hooks, not fixtures: a fixture more costs each of the thousands of tests a millisecond or two.


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, bool | None, bool | None]:
    """Watch over a test from its set-up to its end, and leave the next one nothing of it."""
    levels = {one: one.level for one in (logging.getLogger(), logging.getLogger("agent"))}
    try:
        if inspect.iscoroutinefunction(getattr(item, "function", None)):
            with _no_blocking_calls():
                return (yield)
        return (yield)
    finally:
        # No test decides what the next one in this process hears of the agent's log.
        for logger, level in levels.items():
            logger.setLevel(level)


@contextmanager
def _no_blocking_calls() -> Iterator[None]:
    """Fail a coroutine of ours that blocks the loop; what pytest and the fakes do is their own."""
    with blockbuster_ctx(scanned_modules=["agent"]) as blocking:
        for function in blocking.functions.values():
            # It runs in a thread with a loop of its own, because the library reads files there.
            function.can_block_in("agent/source/api.py", "_load_configuration")
        yield
