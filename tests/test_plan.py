"""The disclosure plan: it lists all that can leave, bounds it, and finds everything new in it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

import orjson
import pytest
from attrs import evolve

from agent.__main__ import main
from agent.disclosure import (
    SHAPES,
    Disclosure,
    disclosures,
    event_names,
    newly_disclosed,
    questions,
)
from agent.model import REPORT
from agent.names import RESERVED
from agent.plan import bounds
from agent.rules import RuleSet
from agent.rules.ruleset import Event
from agent.settings.table import TABLE
from agent.sink.batch import check_event
from agent.terms import CLUSTER_IDS, Terms, newly_told
from tests.shipped import RULES
from tests.test_docs import my_rules
from tests.test_gate import CALLS

__all__ = ["my_rules"]  # the rules of the README, in a folder

PLAN = disclosures(RULES)


def named(found: Iterable[Disclosure], event: str) -> dict[str, Disclosure]:
    return {one.name: one for one in found if one.event == event}


def with_events(**events: Event) -> RuleSet:
    return evolve(RULES, events={**RULES.events, **events})


# --- what is listed -------------------------------------------------------------------------------


def test_every_property_is_listed_once_with_a_shape_that_is_explained() -> None:
    places = [(one.event, one.name) for one in PLAN]

    assert len(places) == len(set(places))
    assert {one.shape for one in PLAN} <= SHAPES.keys()
    assert all(one.values for one in PLAN if one.shape == "words")


def test_what_is_sent_is_listed() -> None:
    for name, call in CALLS.items():
        inner = call["properties" if call["type"] == "track" else "traits"]

        assert inner.keys() <= named(PLAN, name).keys()
        assert call.keys() - {"properties", "traits"} <= named(PLAN, "every call").keys()


def test_no_property_has_a_name_that_a_warehouse_discards() -> None:
    assert not RESERVED & {one.name for one in PLAN if one.event in {REPORT, *RULES.events}}


def test_every_event_of_the_shipped_rules_has_a_question() -> None:
    assert [name for name in event_names(RULES) if not questions(RULES, name)] == []


def test_an_event_of_own_rules_is_listed_with_its_sums() -> None:
    found = disclosures(
        with_events(Restarted=Event("Restarted", "own", {"plugin": frozenset("ab")}))
    )

    assert named(found, "Restarted")["plugin"].values == ("a", "b")
    assert {"restarted_delta", "restarted_total"} <= named(found, REPORT).keys()


# --- the worst case -------------------------------------------------------------------------------


def test_the_worst_case_counts_every_combination() -> None:
    found = {one.event: one for one in bounds(PLAN)}

    assert found["Event handled"].events == len(
        RULES.events["Event handled"].properties["platform"]
    )
    assert found["Command refused"].events == 8 * 5
    # An optional property may be absent as well.
    assert found["Configuration error"].events == 21 * 25 * 12
    assert found[REPORT].events == 1


def test_no_call_is_longer_than_its_bound() -> None:
    found = {one.event: one for one in bounds(PLAN)}
    for name, call in CALLS.items():
        assert len(orjson.dumps(call)) <= found[name].bytes // found[name].events


def test_the_bound_is_reached_by_the_longest_call() -> None:
    found = {one.event: one for one in bounds(PLAN)}["Event handled"]
    call = CALLS["Command executed"]
    properties = {**call["properties"], "platform": "elasticsearch", "count": 2**53, "seq": 2**53}
    properties |= {"count_floor": True, "botkube_version": "v0.10.0"}
    del properties["command"], properties["result"]
    longest = {**call, "event": "Event handled", "properties": properties}

    assert check_event(longest) is None
    assert len(orjson.dumps(longest)) == found.bytes // found.events


# --- what is new ----------------------------------------------------------------------------------


def test_nothing_is_new_in_the_same_plan_nor_in_a_smaller_one() -> None:
    events = {name: one for name, one in RULES.events.items() if name != "Event handled"}
    smaller = disclosures(evolve(RULES, events=events, bots=RULES.bots[1:], digest="0" * 16))

    assert newly_disclosed(PLAN, PLAN) == ()
    assert newly_disclosed(PLAN, smaller) == ()


def test_a_new_value_a_new_property_and_a_new_event_are_found() -> None:
    handled = RULES.events["Event handled"]
    platforms = handled.properties["platform"]
    wider = evolve(
        handled,
        properties={"platform": platforms | {"irc"}, "hour": frozenset({0, 12})},
    )
    own = Event("Own", "own", {"is_it": frozenset({True, False})})
    found = newly_disclosed(PLAN, disclosures(with_events(**{"Event handled": wider, "Own": own})))
    told = {(one.event, one.name): one for one in found}

    assert told["Event handled", "platform"].values == ("irc",)
    assert told["Event handled", "hour"].what == "a new property"
    assert told["Own", "is_it"].values == ("false", "true")
    assert ("every call", "event") in told
    assert (REPORT, "own_total") in told
    assert ("Command executed", "command") not in told


def test_a_word_in_place_of_a_number_is_new() -> None:
    before = (Disclosure("A", "x", "words", (0, 1)),)
    after = (Disclosure("A", "x", "words", (False, True)),)

    assert [one.values for one in newly_disclosed(before, after)] == [("false", "true")]


@pytest.mark.parametrize(
    ("before", "after", "is_new"),
    [
        (Disclosure("A", "x", "true"), Disclosure("A", "x", "words", (False, True)), True),
        (Disclosure("A", "x", "words", (False, True)), Disclosure("A", "x", "true"), False),
        (Disclosure("A", "x", "uuid"), Disclosure("A", "x", "number"), True),
    ],
    ids=("wider", "narrower", "other"),
)
def test_another_shape_is_new_unless_it_says_less(
    before: Disclosure, after: Disclosure, *, is_new: bool
) -> None:
    assert bool(newly_disclosed([before], [after])) == is_new


# --- the command ----------------------------------------------------------------------------------


def call(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    code = main(["plan", *arguments])
    said = capsys.readouterr()
    return code, said.out + said.err


def test_it_prints_every_value_and_the_worst_case(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "4000")
    code, said = call(capsys)

    assert code == 0
    for one in PLAN:
        assert one.name in said
        assert all(str(value).lower() in said.lower() for value in one.values)
    assert "assumed: one release of BotKube at a time" in said


def test_a_plan_that_was_kept_is_compared_with(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, my_rules: Path
) -> None:
    kept = tmp_path / "plan.json"
    kept.write_text(call(capsys, "--format", "json")[1])
    rules = ("--rules-paths", str(my_rules))

    assert call(capsys, "--against", str(kept)) == (0, "nothing is newly disclosed\n")
    code, said = call(capsys, *rules, "--against", str(kept))
    assert code == 3
    assert "Plugin restarted / plugin: a new property: kubernetes, prometheus, other" in said
    assert call(capsys, *rules, "--against", str(kept), "--acknowledge") == (0, said)
    code, data = call(capsys, *rules, "--against", str(kept), "--format", "json")
    assert code == 3
    assert "Plugin restarted" in {one["event"] for one in json.loads(data)["new"]}


STRICT: dict[str, str | int] = {
    "identity.cluster_id": "none",
    "window.seconds": 3600,
    "privacy.minimum": 5,
    "destination.endpoint": "https://a.example/secret",
}
SETTINGS = [
    pytest.param("identity.cluster_id", "uuid5", "none before, now uuid5", id="uuid5"),
    pytest.param("identity.cluster_id", "raw", "none before, now raw", id="raw"),
    pytest.param("window.seconds", 1800, "3600 before, now 1800", id="shorter"),
    pytest.param("window.seconds", 7200, "", id="longer"),
    pytest.param("privacy.minimum", 4, "5 before, now 4", id="smaller"),
    pytest.param("privacy.minimum", 0, "5 before, now 0", id="no-minimum"),
    pytest.param("privacy.minimum", 6, "", id="larger"),
    pytest.param(
        "destination.endpoint",
        "https://b.example",
        "https://a.example before, now https://b.example",
        id="another-server",
    ),
    pytest.param("destination.endpoint", "https://a.example/other", "", id="same-server"),
]


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a configuration and the plan that was made with it."""
    folder = tmp_path_factory.mktemp("plan")
    (folder / "config.yaml").write_text(written(STRICT))
    command = [sys.executable, "-m", "agent", "plan", "--format", "json"]
    with (folder / "plan.json").open("wb") as kept:
        given = ["--config", str(folder / "config.yaml")]
        subprocess.run([*command, *given], stdout=kept, check=True)  # noqa: S603 our own command
    return folder


def written(settings: Mapping[str, str | int]) -> str:
    """Return a configuration file."""
    return "".join("{}:\n  {}: {}\n".format(*name.split("."), at) for name, at in settings.items())


@pytest.mark.parametrize(("name", "value", "what"), SETTINGS)
def test_a_setting_that_tells_more_is_new(
    capsys: pytest.CaptureFixture[str], strict: Path, name: str, value: str | int, what: str
) -> None:
    given = ("--config", str(strict / "config.yaml"))
    flag = f"--{name.replace('.', '-').replace('_', '-')}={value}"
    code, said = call(capsys, *given, flag, "--against", str(strict / "plan.json"))

    shown = name.removesuffix(".endpoint")
    expected = f"settings / {shown}: {what}\n1 newly disclosed\n"
    assert (code, said) == ((3, expected) if what else (0, "nothing is newly disclosed\n"))
    assert "secret" not in (strict / "plan.json").read_text()


@pytest.mark.parametrize("way", ["environment", "file"])
def test_a_setting_is_seen_wherever_it_was_given(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    strict: Path,
    tmp_path: Path,
    way: str,
) -> None:
    more = {"identity.cluster_id": "raw"}
    (tmp_path / "config.yaml").write_text(written(STRICT | (more if way == "file" else {})))
    if way == "environment":
        monkeypatch.setenv("BOTKUBE_ANALYTICS_IDENTITY_CLUSTER_ID", "raw")
    given = ("--config", str(tmp_path / "config.yaml"), "--against", str(strict / "plan.json"))

    code, said = call(capsys, *given)
    assert (code, said.splitlines()[0]) == (
        3,
        "settings / identity.cluster_id: none before, now raw",
    )
    assert call(capsys, *given, "--acknowledge") == (0, said)


def test_the_order_of_cluster_ids_is_of_all_there_are() -> None:
    (setting,) = [one for one in TABLE if one.name == "identity.cluster_id"]

    assert sorted(CLUSTER_IDS) == sorted(setting.options)
    terms = [Terms(one, 60, 0, "") for one in CLUSTER_IDS]
    assert [*newly_told(terms[2], terms[0])] == []


def test_a_folder_of_rules_tells_no_settings(capsys: pytest.CaptureFixture[str]) -> None:
    code, said = call(capsys, "--identity-cluster-id", "raw", "--against", "rules")

    assert code == 0
    assert "a folder tells no settings: only rules are compared" in said


def test_a_folder_of_rules_is_compared_with(
    capsys: pytest.CaptureFixture[str], my_rules: Path
) -> None:
    rules = ("--rules-paths", str(my_rules))

    assert call(capsys, "--against", str(my_rules))[0] == 0
    assert call(capsys, *rules, "--against", str(my_rules))[0] == 0
    assert call(capsys, *rules, "--against", "rules")[0] == 3


TERMS = Terms("none", 60, 0, "").data
TEXT = {"event": "a", "property": "b", "shape": "text", "values": [], "optional": False}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"version": 1, "series": []}',
        '{"version": 2}',
        '{"version": 2, "series": []}',
        '{"version": 2, "series": [{}], "settings": {}}',
        json.dumps({"version": 2, "series": [TEXT], "settings": TERMS}),
        json.dumps({"version": 2, "series": [], "settings": TERMS | {"window.seconds": "1"}}),
        json.dumps({"version": 2, "series": [], "settings": TERMS | {"identity.cluster_id": "x"}}),
    ],
)
def test_what_is_no_plan_ends_with_2(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, text: str
) -> None:
    kept = tmp_path / "plan.json"
    kept.write_text(text)
    code, said = call(capsys, "--against", str(kept))

    assert code == 2
    assert str(kept) in said


def test_a_plan_that_is_not_there_ends_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    code, said = call(capsys, "--against", "/nowhere.json")

    assert code == 2
    assert "cannot read /nowhere.json: No such file or directory" in said
