"""The disclosure plan: it lists all that can leave, bounds it, and finds everything new in it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import orjson
import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

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
from agent.modes import Mode
from agent.names import RESERVED
from agent.plan import PlanError, bounds, read_plan
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


def test_a_property_that_may_be_absent_now_hides_no_new_value() -> None:
    before = Disclosure("A", "x", "words", ("one",))
    after = evolve(before, values=("one", "two"), is_optional=True)
    found = newly_disclosed([before], [after])

    assert [(one.what, one.values) for one in found] == [
        ("new values", ("two",)),
        ("may be absent now", ()),
    ]


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
    "privacy.quiet_period_seconds": 600,
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
    pytest.param("privacy.quiet_period_seconds", 599, "600 before, now 599", id="shorter-quiet"),
    pytest.param("privacy.quiet_period_seconds", 0, "600 before, now 0", id="no-quiet"),
    pytest.param("privacy.quiet_period_seconds", 601, "", id="longer-quiet"),
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
    sections: dict[str, dict[str, str | int]] = {}
    for name, at in settings.items():
        section, _, key = name.partition(".")
        sections.setdefault(section, {})[key] = at
    return json.dumps(sections)


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
    terms = [Terms(one, 60, 0, "", 0) for one in CLUSTER_IDS]
    assert [*newly_told(terms[2], terms[0])] == []


@pytest.mark.parametrize("seconds", [1, 86_400])
def test_a_quiet_period_that_an_older_plan_lacks_is_not_known(
    capsys: pytest.CaptureFixture[str], strict: Path, tmp_path: Path, seconds: int
) -> None:
    kept = json.loads((strict / "plan.json").read_text())
    del kept["settings"]["privacy.quiet_period_seconds"]
    (tmp_path / "old.json").write_text(json.dumps(kept))
    given = ("--config", str(strict / "config.yaml"), "--against", str(tmp_path / "old.json"))
    quiet = f"--privacy-quiet-period-seconds={seconds}"

    unknown = "privacy.quiet_period_seconds: not known of the old plan, so not compared\n"
    assert call(capsys, *given, quiet) == (0, f"nothing is newly disclosed\n{unknown}")
    code, said = call(capsys, *given, quiet, "--identity-cluster-id=raw")
    assert (code, said.count("settings / ")) == (3, 1)
    none = "settings / privacy.quiet_period_seconds: not known before, now 0\n1 newly disclosed\n"
    assert call(capsys, *given, "--privacy-quiet-period-seconds=0") == (3, none)


@pytest.mark.parametrize("old", Mode)
@pytest.mark.parametrize("new", Mode)
def test_a_mode_that_sends_more_is_new(old: Mode, new: Mode) -> None:
    """Being off tells nobody anything, not even the operator."""
    told = [one.name for one in newly_told(terms_in(old), terms_in(new))]
    order = [Mode.OFF, Mode.LOCAL, Mode.ON]

    assert told == (["mode"] if order.index(new) > order.index(old) else [])


def test_a_write_key_is_new_unless_an_older_plan_knows_no_mode(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    strict: Path,
    tmp_path: Path,
) -> None:
    kept = json.loads((strict / "plan.json").read_text())
    del kept["settings"]["mode"]
    (tmp_path / "old.json").write_text(json.dumps(kept))
    given = ("--config", str(strict / "config.yaml"), "--against")
    nothing = "nothing is newly disclosed\n"
    unknown = "mode: not known of the old plan, so not compared\n"

    assert call(capsys, *given, str(tmp_path / "old.json")) == (0, nothing)
    monkeypatch.setenv("BOTKUBE_ANALYTICS_DESTINATION_WRITE_KEY", "k")
    assert call(capsys, *given, str(tmp_path / "old.json")) == (0, nothing + unknown)
    new = "settings / mode: local before, now on\n1 newly disclosed\n"
    assert call(capsys, *given, str(strict / "plan.json")) == (3, new)


def terms_in(mode: str) -> Terms:
    return Terms("none", 60, 0, "", 0, mode)


def test_a_minimum_of_one_is_none() -> None:
    """A count is at least 1, so that it raises nothing: none at all tells no more."""
    assert [*newly_told(Terms("none", 60, 1, "", 0), Terms("none", 60, 0, "", 0))] == []


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


TERMS = Terms("none", 60, 0, "", 0, "on").data
ONE = {"event": "a", "property": "b", "shape": "words", "values": [1], "optional": False}


def plan_of(one: object = ONE, **terms: object) -> str:
    return json.dumps({"version": 2, "series": [ONE, one], "settings": TERMS | terms})


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("", ":1:1: this is no JSON"),
        ('{"version": 2,\n"series": [}', ":2:12: this is no JSON"),
        ('{"version": 2, "\udcff": 1}', ":1:"),
        ("[" * 5000, ":1:"),
        ("[]", ": version: "),
        ("7", ": version: "),
        ('{"version": 2.0}', ": version: "),
        ('{"version": 1, "series": []}', ": version 1 and not 2: "),
        ('{"version": 2}', ": series: "),
        ('{"version": 2, "series": {}}', ": series: "),
        ('{"version": 2, "series": []}', ": settings: "),
        ('{"version": 2, "series": [], "settings": []}', ": settings: "),
        (plan_of({}), ": series[1].values: "),
        (plan_of("x"), ": series[1].values: "),
        (plan_of(ONE | {"event": []}), ": series[1].event: "),
        (plan_of(ONE | {"property": {}}), ": series[1].property: "),
        (plan_of(ONE | {"shape": "text"}), ": series[1].shape: "),
        (plan_of(ONE | {"shape": []}), ": series[1].shape: "),
        (plan_of(ONE | {"values": "ab"}), ": series[1].values: "),
        (plan_of(ONE | {"values": [[]]}), ": series[1].values: "),
        (plan_of(ONE | {"values": [0.5]}), ": series[1].values: "),
        (plan_of(ONE | {"optional": 0}), ": series[1].optional: "),
        (plan_of(ONE | {"optional": "no"}), ": series[1].optional: "),
        (plan_of(**{"window.seconds": "1"}), ": settings.window.seconds: "),
        (plan_of(**{"window.seconds": 0}), ": settings.window.seconds: "),
        (plan_of(**{"window.seconds": True}), ": settings.window.seconds: "),
        (plan_of(**{"privacy.minimum": -1}), ": settings.privacy.minimum: "),
        (plan_of(**{"privacy.minimum": 10**30}), ": settings.privacy.minimum: "),
        (plan_of(**{"identity.cluster_id": "x"}), ": settings.identity.cluster_id: "),
        (plan_of(**{"identity.cluster_id": []}), ": settings.identity.cluster_id: "),
        (
            plan_of(**{"privacy.quiet_period_seconds": None}),
            ": settings.privacy.quiet_period_seconds: ",
        ),
        (plan_of(destination=None), ": settings.destination: "),
        (plan_of(mode=[]), ": settings.mode: "),
        (plan_of(mode="loud"), ": settings.mode: "),
        (plan_of(destination="a\x1b[2J"), ": settings.destination: "),
    ],
)
def test_what_is_no_plan_is_told_with_its_place(tmp_path: Path, text: str, place: str) -> None:
    kept = tmp_path / "plan.json"
    kept.write_text(text, errors="surrogateescape")
    with pytest.raises(PlanError, match=re.escape(f"{kept}{place}")) as refused:
        read_plan(str(kept))

    assert "\n" not in str(refused.value)


def test_what_is_no_plan_ends_with_2(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    kept = tmp_path / "plan.json"
    kept.write_text(plan_of(ONE | {"event": []}))
    code, said = call(capsys, "--against", str(kept))

    assert (code, said.count("\n")) == (2, 1)
    assert f"{kept}: series[1].event: " in said


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
SMALL = {
    "version": 2,
    "series": [
        {
            "event": one.event,
            "property": one.name,
            "shape": one.shape,
            "values": [*one.values],
            "optional": one.is_optional,
        }
        for one in PLAN[::40]
    ],
    "settings": TERMS,
}


@st.composite
def mutated(draw: st.DrawFn) -> object:
    """Return a plan in which something was taken out, added or put in place of another thing."""
    plan = json.loads(json.dumps(SMALL))
    for _ in range(draw(st.integers(1, 3))):
        at: Any = plan
        while draw(st.booleans()):
            inner = at[key] if (key := draw(key_of(at))) is not None else None
            if not isinstance(inner, (dict, list)) or not inner:
                break
            at = inner
        if (key := draw(key_of(at))) is None:
            continue
        if draw(st.booleans()):
            at[key] = draw(JSON)
        else:
            del at[key]
    return plan


def key_of(found: dict[str, object] | list[object]) -> st.SearchStrategy[Any]:
    keys = [*found] if isinstance(found, dict) else range(len(found))
    return st.sampled_from(keys) if found else st.none()


@given(mutated())
def test_no_plan_that_somebody_edited_ends_with_a_traceback(plan: object) -> None:
    with tempfile.NamedTemporaryFile() as kept:
        kept.write(json.dumps(plan).encode("utf-8", "surrogatepass"))
        kept.flush()
        with suppress(PlanError):
            series, terms = read_plan(kept.name)
            assert terms is not None
            newly_disclosed(series, PLAN)
            [*newly_told(terms, Terms("raw", 60, 0, "", 0, "on"))]


def test_a_plan_that_is_not_there_ends_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    code, said = call(capsys, "--against", "/nowhere.json")

    assert code == 2
    assert "cannot read /nowhere.json: No such file or directory" in said
