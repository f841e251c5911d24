"""What a rule set newly discloses is withheld for a quiet period, alone and visibly."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson
import pytest
from attrs import evolve

from agent.gate import make_gate
from agent.model import CRASHED, NANOS, REPORT, Observation
from agent.rules import RuleSet
from agent.rules.ruleset import Event
from agent.sink.batch import batch_array
from agent.state.disk import FileStore
from agent.state.installation import load_installation, note
from agent.withholding import MAX_ACKNOWLEDGED, Withholding, review, series_of
from tests.agents import NAMESPACE, WINDOW_SECONDS, Agent, Lab, after, lab, missing, until, write
from tests.shipped import RULES
from tests.test_gate import EXECUTED, HOUR, NOON, closed, count, counting, executed, without
from tests.test_reload import NOTHING, Mount, load, reloading

DAY = 24 * HOUR
OLD = without("Command executed", "helm")
HELM = executed((("command", "helm"), *EXECUTED[1:]))
NEW_WORD = ("Command executed", "command", "helm")


def at(now: int, before: Withholding | None, ruleset: RuleSet, quiet: int = DAY) -> Withholding:
    return review(before, ruleset, now_seconds=now, quiet_seconds=quiet)


# --- what is new, and for how long ----------------------------------------------------------------


def test_the_rules_of_a_first_start_are_acknowledged() -> None:
    first = at(0, None, RULES)

    assert first == Withholding(series_of(RULES), frozenset(), 0)


def test_the_new_alone_is_withheld_for_a_quiet_period() -> None:
    found = at(100, at(0, None, OLD), RULES)

    assert found.withheld == {NEW_WORD}
    assert found.until_seconds == 100 + DAY
    assert found.events == {"Command executed"}


def test_a_restart_neither_shortens_nor_renews_the_time() -> None:
    found = at(100, at(0, None, OLD), RULES)

    assert at(200, found, RULES) == found
    assert at(99 + DAY, found, RULES) == found


def test_what_was_withheld_for_a_quiet_period_is_acknowledged() -> None:
    found = at(100 + DAY, at(100, at(0, None, OLD), RULES), RULES)

    assert found == Withholding(series_of(RULES))


def test_more_that_is_new_begins_the_time_anew() -> None:
    wider = evolve(RULES, events={**RULES.events, "Mine": Event("Mine", "mine", {})})
    found = at(200, at(100, at(0, None, OLD), RULES), wider)

    assert NEW_WORD in found.withheld
    assert found.events == {"Command executed", "Mine", REPORT}
    assert found.until_seconds == 200 + DAY


def test_what_was_taken_out_may_come_back() -> None:
    assert not at(200, at(100, at(0, None, RULES), OLD), RULES).withheld


def test_without_a_quiet_period_nothing_is_withheld() -> None:
    assert at(100, at(0, None, OLD), RULES, quiet=0) == Withholding(series_of(RULES))


def test_what_is_remembered_is_bounded() -> None:
    many = frozenset(("Old", "word", str(number)) for number in range(MAX_ACKNOWLEDGED + 1))
    found = at(0, Withholding(many | series_of(OLD)), RULES)

    assert found.acknowledged == series_of(OLD)
    assert found.withheld == {NEW_WORD}


@pytest.mark.parametrize("ruleset", [OLD, RULES])
async def test_what_is_noted_is_read(tmp_path: Path, ruleset: RuleSet) -> None:
    store = FileStore(tmp_path / "installation.json", is_owner=False)

    async def choose() -> str:
        return "00000000-0000-4000-8000-000000000001"

    first = await load_installation(
        store, choose_id=choose, now_seconds=5, withholding=at(0, None, OLD)
    )
    held = at(100, first.withholding, ruleset)
    await note(store, commits=3, withholding=held)
    again = await load_installation(store, choose_id=choose, now_seconds=6)

    assert (again.withholding, again.commits, again.first_start_seconds) == (held, 3, 5)


# --- what is sent ---------------------------------------------------------------------------------


def sent(*observations: Observation, held: Withholding, now: int = NOON) -> dict[str, Any]:
    """Count in the window of a moment and return what leaves: counts by command, and the report."""
    made = counting(withholding=held)
    made.document.windows.closed_until = now - now % HOUR
    for one in observations:
        made.document.windows.count(one, "v1.14.0", now_seconds=now, sent_from=made._sent_from)
    calls = closed(made, at=now - now % HOUR + HOUR)
    gate = make_gate(RULES, agent_version="1")
    assert [gate(call) for call in calls] == [None] * len(calls)
    assert made.violations == 0
    names = {call["event"]: call["properties"] for call in calls if call["type"] == "track"}
    commands = {
        call["properties"]["command"]: call["properties"]["count"]
        for call in calls
        if call.get("event") == "Command executed"
    }
    kept = [
        orjson.loads(entry.array) for entry in made.ledger.entries if entry.detail == "withheld"
    ]
    return {"commands": commands, "report": names[REPORT], "kept": kept}


def until_one() -> Withholding:
    """Withhold `helm` until one o'clock, an hour's boundary."""
    return Withholding(series_of(OLD), frozenset({NEW_WORD}), NOON + HOUR)


def test_the_new_word_is_left_out_and_its_event_says_so() -> None:
    found = sent(executed(), HELM, HELM, held=until_one())
    report = found["report"]

    assert found["commands"] == {"kubectl get": 1}
    assert (report["command_executed_delta"], report["command_executed_total"]) == (1, 1)
    assert report["command_executed_withheld"] is True
    assert "event_handled_withheld" not in report


def test_what_is_withheld_is_in_the_ledger() -> None:
    found = sent(executed(), HELM, held=until_one())
    (events,) = found["kept"]

    assert [one["properties"]["command"] for one in events if one.get("event") == HELM.event] == [
        "helm"
    ]


def test_from_the_next_window_on_it_is_sent() -> None:
    late = evolve(HELM, at_ns=(NOON + HOUR) * NANOS)
    found = sent(late, held=until_one(), now=NOON + HOUR)

    assert found["commands"] == {"helm": 1}
    assert "command_executed_withheld" not in found["report"]


def test_a_line_from_before_that_is_read_late_is_never_sent() -> None:
    found = sent(HELM, held=until_one(), now=NOON + HOUR)

    assert found["commands"] == {}
    assert found["report"]["command_executed_total"] == 0


def test_a_time_within_a_window_ends_with_that_window() -> None:
    held = evolve(until_one(), until_seconds=NOON + 1)
    found = sent(evolve(HELM, at_ns=(NOON + 2) * NANOS), held=held)

    assert found["commands"] == {}


def test_a_crash_of_a_new_kind_is_withheld() -> None:
    kind = ("Application crashed", "kind", "oom")
    made = counting(
        withholding=Withholding(series_of(RULES) - {kind}, frozenset({kind}), NOON + DAY)
    )
    made.end_instance(
        "pod/one",
        exit_code=137,
        reason="OOMKilled",
        finished_seconds=NOON,
        is_deleting=False,
        now_seconds=NOON,
    )
    calls = closed(made)

    assert CRASHED not in {call.get("event") for call in calls}
    assert calls[-1]["properties"]["application_crashed_withheld"] is True


def test_a_new_platform_and_a_new_distribution_are_not_said() -> None:
    new = {(REPORT, "slack_enabled", "true"), (REPORT, "slack_enabled", "false")}
    new |= {(event, "distribution", "kind") for event in (REPORT, "identify", "group")}
    made = counting(withholding=Withholding(series_of(RULES) - new, frozenset(new), NOON + DAY))
    made.document.instances["pod/one"].bots.add("slack")
    count(made, executed())
    calls = closed(made)
    array = b"".join(map(batch_array, made.document.outbox))

    assert "slack_enabled" not in calls[-1]["properties"]
    assert b'"distribution"' not in array


# --- a whole agent --------------------------------------------------------------------------------


BREW = """\
version: 1
events: {Brew done: {category: fork, properties: {drink: [tea]}}}
"""
BREWS = """\
id: my-fork-brews
event: Brew done
question: How often does my fork brew?
level: info
message: 'My fork brews$'
properties: {drink: tea}
hits:
  - log: '{"level":"info","msg":"My fork brews","time":"2025-06-18T08:28:13Z"}'
    expect: {drink: tea}
"""
BREWED = '{"level":"info","msg":"My fork brews","time":"2025-06-18T08:28:13Z"}\n'


async def test_a_new_rule_is_withheld_and_then_counts(tmp_path: Path) -> None:
    mount = Mount(tmp_path / "mounted")
    mount.put(NOTHING)
    quiet = 6 * WINDOW_SECONDS
    async with lab(tmp_path, await load(mount), quiet_period_seconds=quiet) as world:
        pod = world.cluster.botkube(NAMESPACE, at=world.clock.ns())
        async with world.agent() as agent, reloading(world, agent, mount):
            await until(lambda: len(world.reports()) > 0)
            mount.put({"own.yaml": BREWS, "events.yaml": BREW})
            await until(lambda: withheld(agent) == {"Brew done", REPORT})
            changed = world.clock.seconds()
            truth = write(pod, world, 20)
            pod.write(BREWED, at=world.clock.ns())
            await until(lambda: missing(truth, world) == {})
        world.ruleset = await load(mount)
        async with world.agent(seed=2) as agent:
            assert withheld(agent) == {"Brew done", REPORT}
            await until(lambda: world.clock.seconds() >= changed + quiet + WINDOW_SECONDS)
            pod.write(BREWED, at=world.clock.ns())
            await until(lambda: len(brewed(world)) > 0)
            await after(world, 2 * WINDOW_SECONDS)

    assert [one["count"] for one in brewed(world)] == [1]
    flags = [one.get("brew_done_withheld", False) for one in world.reports()]
    assert (flags[0], True in flags, flags[-1]) == (False, True, False)
    assert world.reports()[-1]["brew_done_total"] == 1


def brewed(world: Lab) -> list[Mapping[str, Any]]:
    return [event["properties"] for event in world.collector.tracks("Brew done")]


def withheld(agent: Agent) -> frozenset[str]:
    assert agent.pipeline is not None
    return agent.pipeline.counting.withholding.events


# --- the second in which it begins ----------------------------------------------------------------


def test_what_was_written_in_the_second_of_the_change_is_not_sent() -> None:
    """It may have been written while a switch said off."""
    made = counting()
    made.sends = False
    made.begin(now_seconds=NOON, window_seconds=HOUR, count_from=0, was_lost=False, new_stream=str)
    made.sends = True
    made.begin(now_seconds=NOON, window_seconds=HOUR, count_from=0, was_lost=False, new_stream=str)

    assert made.document.windows.count_from == NOON + HOUR
