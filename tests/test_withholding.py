"""What a rule set newly discloses is withheld for a quiet period, alone and visibly."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson
import pytest
from attrs import evolve

from agent import instances
from agent.gate import make_gate
from agent.model import CRASHED, NANOS, REPORT, Identity, Observation, Report
from agent.reports import Origin
from agent.rules import RuleSet, compile_rules
from agent.rules.ruleset import Event
from agent.sink.batch import batch_array
from agent.state.disk import FileStore
from agent.state.installation import load_installation, note
from agent.withholding import ABSENT, MAX_SERIES, Series, Withholding, review, series_of
from tests.agents import NAMESPACE, WINDOW_SECONDS, Agent, Lab, after, lab, missing, until, write
from tests.shipped import RULES, TEXTS
from tests.test_gate import EXECUTED, HOUR, NOON, closed, count, counting, executed, without
from tests.test_reload import NOTHING, Mount, load, reloading

DAY = 24 * HOUR
OLD = without("Command executed", "helm")
HELM = executed((("command", "helm"), *EXECUTED[1:]))
NEW_WORD = ("Command executed", "command", "helm")


def at(now: int, before: Withholding | None, ruleset: RuleSet, quiet: int = DAY) -> Withholding:
    return review(before, ruleset, now_seconds=now, quiet_seconds=quiet)


def new(held: Withholding) -> dict[Series, int]:
    """Return the series that were not there at the first start, and from when on they are sent."""
    return {series: seconds for series, seconds in held.sent_from.items() if seconds}


def test_what_a_disabled_rule_counted_is_said_not_to_be_counted_as_a_whole() -> None:
    """Nothing is said of others, and no zero passes for a count."""
    rules = compile_rules(
        {**TEXTS, "mine/off.yaml": "version: 1\nid: final-error\ndisable: true\n"}
    )
    identity = Identity(str(UUID(int=1)), None, None, None)
    gate = make_gate(rules, agent_version="1.0.0")
    report = Report(0, HOUR, (), (("lines_matched", 7),))
    said = [
        dict(Origin(identity, one, "1.0.0", gate).without_withheld(report).collection)
        for one in (rules, RULES)
    ]

    assert rules.taken_out == {"Configuration error"}
    assert said == [
        {"lines_matched": 7, "configuration_error_withheld": True},
        {"lines_matched": 7},
    ]


# --- what is new, and for how long ----------------------------------------------------------------


def test_the_rules_of_a_first_start_are_not_withheld() -> None:
    first = at(0, None, RULES)

    assert first.sent_from == dict.fromkeys(series_of(RULES), 0)


def test_the_new_alone_is_withheld_for_a_quiet_period() -> None:
    found = at(100, at(0, None, OLD), RULES)

    assert new(found) == {NEW_WORD: 100 + DAY}
    assert found.events(100) == {"Command executed": 100 + DAY}
    assert found.events(100 + DAY) == {}


@pytest.mark.parametrize("now", [200, 99 + DAY, 100 + DAY, 100 + 9 * DAY])
def test_a_restart_neither_shortens_nor_renews_the_time_and_forgets_it_never(now: int) -> None:
    """A line from before may still be read, however late."""
    found = at(100, at(0, None, OLD), RULES)

    assert at(now, found, RULES) == found


def test_more_that_is_new_has_a_time_of_its_own() -> None:
    wider = evolve(RULES, events={**RULES.events, "Mine": Event("Mine", "mine", {})})
    found = at(200, at(100, at(0, None, OLD), RULES), wider)

    assert found.sent_from[NEW_WORD] == 100 + DAY
    assert found.events(0) == {
        "Command executed": 100 + DAY,
        "Mine": 200 + DAY,
        REPORT: 200 + DAY,
    }


def test_what_was_taken_out_may_come_back() -> None:
    assert not new(at(200, at(100, at(0, None, RULES), OLD), RULES))


def test_that_a_property_may_be_absent_is_new() -> None:
    event = RULES.events["Command executed"]
    may = evolve(
        RULES, events={**RULES.events, event.name: evolve(event, optional=frozenset({"result"}))}
    )

    assert new(at(0, at(0, None, RULES), may)) == {(event.name, "result", ABSENT): DAY}


def test_without_a_quiet_period_nothing_is_withheld() -> None:
    assert not new(at(100, at(0, None, OLD), RULES, quiet=0))


def test_what_is_remembered_is_bounded() -> None:
    many = {("Old", "word", str(number)): 0 for number in range(MAX_SERIES + 1)}
    found = at(0, Withholding(many | dict.fromkeys(series_of(OLD), 0)), RULES)

    assert found.sent_from.keys() == series_of(RULES)
    assert new(found) == {NEW_WORD: DAY}


@pytest.mark.parametrize("ruleset", [OLD, RULES])
async def test_what_is_noted_is_read(tmp_path: Path, ruleset: RuleSet) -> None:
    store = FileStore(tmp_path / "installation.json", is_owner=False)

    async def choose() -> str:
        return "00000000-0000-4000-8000-000000000001"

    first = await load_installation(
        store, choose_id=choose, now_seconds=5, withholding=at(0, None, OLD)
    )
    held = at(100, first.withholding, ruleset)
    await note(
        store, slot="", commits=3, withholding=held, sends=True, now_seconds=5, went_by=first
    )
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


def until_one(*series: Series) -> Withholding:
    """Withhold `helm`, or other series, until one o'clock, an hour's boundary."""
    return Withholding(
        dict.fromkeys(series_of(RULES), 0) | dict.fromkeys(series or [NEW_WORD], NOON + HOUR)
    )


def test_the_new_word_is_left_out_and_its_event_says_so() -> None:
    found = sent(executed(), HELM, HELM, held=until_one())
    report = found["report"]

    assert found["commands"] == {"kubectl get": 1}
    assert (report["command_executed_delta"], report["command_executed_total"]) == (1, 1)
    assert report["command_executed_withheld"] is True
    assert "event_handled_withheld" not in report
    assert "lines_matched" not in report


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
    held = Withholding({NEW_WORD: NOON + 1})
    found = sent(evolve(HELM, at_ns=(NOON + 2) * NANOS), held=held)

    assert found["commands"] == {}


def test_what_a_new_release_of_botkube_counts_is_withheld() -> None:
    found = sent(executed(), held=until_one(("Command executed", "botkube_version", "v1.14.0")))

    assert (found["commands"], found["report"]["command_executed_total"]) == ({}, 0)


def test_a_crash_of_a_new_kind_is_withheld() -> None:
    made = counting(withholding=until_one(("Application crashed", "kind", "oom")))
    instances.end_instance(
        made,
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
    said = {(REPORT, "slack_enabled", "true"), (REPORT, "slack_enabled", "false")}
    said |= {(REPORT, "webhook_enabled", "")}
    said |= {(event, "distribution", "kind") for event in (REPORT, "identify", "group")}
    made = counting(withholding=Withholding(dict.fromkeys(said, NOON + DAY)))
    made.document.instances["pod/one"].bots.add("slack")
    made.document.instances["pod/one"].sinks.add("webhook")
    count(made, executed())
    calls = closed(made)
    array = b"".join(map(batch_array, made.document.outbox))

    assert not {"slack_enabled", "webhook_enabled"} & calls[-1]["properties"].keys()
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
            await until(lambda: withheld(agent, world) == {"Brew done", REPORT})
            changed = world.clock.seconds()
            truth = write(pod, world, 20)
            pod.write(BREWED, at=world.clock.ns())
            await until(lambda: missing(truth, world) == {})
        world.ruleset = await load(mount)
        async with world.agent(seed=2) as agent:
            assert withheld(agent, world) == {"Brew done", REPORT}
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


def withheld(agent: Agent, world: Lab) -> set[str]:
    assert agent.pipeline is not None
    return {*agent.pipeline.counting.withholding.events(int(world.clock.seconds()))}


# --- the second in which it begins ----------------------------------------------------------------


def test_what_was_written_in_the_second_of_the_change_is_not_sent() -> None:
    """It may have been written while a switch said off."""
    made = counting()
    made.sends = False
    made.begin(now_seconds=NOON, window_seconds=HOUR, count_from=0, new_stream=str)
    made.sends = True
    made.begin(now_seconds=NOON, window_seconds=HOUR, count_from=0, new_stream=str)

    assert made.document.windows.count_from == NOON + HOUR


# --- what a change of mode leaves behind ----------------------------------------------------------


def test_a_new_installation_has_a_stream_of_its_own() -> None:
    """Whoever deleted the object wants nothing to link the two."""
    made = counting()
    count(made, executed())
    closed(made)
    made.begin(
        now_seconds=NOON + HOUR,
        window_seconds=HOUR,
        count_from=0,
        new_stream=lambda: "other",
        is_new_installation=True,
    )
    document = made.document

    assert (document.stream, document.seq, document.totals, document.outbox) == ("other", 0, {}, [])


def test_time_in_another_mode_makes_no_empty_reports() -> None:
    made = counting()
    count(made, executed())
    closed(made)
    made.sends = False
    made.begin(now_seconds=NOON, window_seconds=HOUR, count_from=0, new_stream=str)
    made.sends = True
    later = NOON + 9 * DAY
    made.begin(now_seconds=later, window_seconds=HOUR, count_from=0, new_stream=str)
    before = len(made.ledger.entries)
    closed(made, at=later + HOUR)

    assert len(made.ledger.entries) - before <= 1


def test_crashes_of_another_mode_are_not_counted() -> None:
    made = counting()
    made.document.restarts["pod/one"] = (1, "pod/one", 1)
    made.sends = False
    made.begin(now_seconds=NOON, window_seconds=HOUR, count_from=0, new_stream=str)

    assert not made.document.restarts


def test_no_stop_is_forgotten() -> None:
    made = counting()
    stops = [(NOON, NOON + 5000), (NOON + 6000, NOON + 8000)]
    for start, end in stops:
        made.document.stopped_seconds = start
        made.begin(now_seconds=end, window_seconds=HOUR, count_from=0, new_stream=str)
    windows = made.document.windows
    for start, end in stops:
        windows.count(evolve(HELM, at_ns=(start + 9) * NANOS), "v1.14.0", now_seconds=end + 9)

    assert not any(window.counts or window.unsent for window in windows.open.values())


def test_what_was_counted_in_another_mode_is_discarded() -> None:
    made = counting()
    count(made, executed())
    made.sends = False
    made.begin(now_seconds=NOON, window_seconds=HOUR, count_from=0, new_stream=str)

    assert not made.document.windows.open
