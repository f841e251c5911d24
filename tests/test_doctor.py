"""What the doctor finds, over real HTTP: it judges, changes nothing, and repeats nobody's text."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import os
import random
import re
import socket
import time
from base64 import b64encode
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import attrs
import orjson
import pytest

from agent.__main__ import main
from agent.aggregate import Instance, Windows
from agent.doctor import states, verdicts
from agent.doctor.examine import MAX_TAILS, Patient, examine
from agent.doctor.levels import level_of
from agent.doctor.report import show_doctor
from agent.doctor.rights import RIGHTS, Lack, Right, Where
from agent.doctor.verdicts import Line, Verdict, worst
from agent.model import Batch
from agent.options import Options
from agent.rulefiles import load_rules
from agent.rules import RuleSet
from agent.settings import Switch
from agent.sink.destination import Destination
from agent.sink.http import open_session
from agent.sink.reach import reach
from agent.source.api import Client
from agent.source.switches import ANNOTATION
from agent.state.configmap import ConfigMapStore
from agent.state.document import Document, encode
from agent.state.store import StateError
from tests.agents import LEASE, NAMESPACE, START, Lab, lab, until, write
from tests.sim.access import Rule
from tests.sim.faults import Answer, HalfOpen
from tests.sim.pods import Pod
from tests.sim.store import CONFIGMAPS, LEASES, NAMESPACES, PODS
from tests.test_docs import README

STATE, INSTALLATION = "botkube-analytics-state", "botkube-analytics-installation"
EMPTYING = (
    f"kubectl -n {NAMESPACE} patch configmap {STATE} --type merge --patch '{{\"binaryData\":null}}'"
)
CANARY = "canary-4711"
SEGMENT = "https://api.segment.io"
INFO = b'{"level":"info","msg":"Starting BotKube","time":"2025-06-18T08:28:13Z"}\n'
DEBUG = b'{"level":"debug","msg":"canary-4711","time":"2025-06-18T08:28:13Z"}\n'
PLUGIN = b'{"level":"debug","msg":"x","plugin":"y","time":"2025-06-18T08:28:13Z"}\n'
OFF = Switch("DO_NOT_TRACK", "true", is_off=True)


@pytest.fixture
async def world(tmp_path: Path, ruleset: RuleSet) -> AsyncIterator[Lab]:
    """Open a cluster as the manifest leaves it, with a BotKube at debug, its clock the lab's."""
    async with lab(tmp_path, ruleset, state_path=None, lease_name=LEASE) as opened:
        for name in (STATE, INSTALLATION):
            opened.cluster.config_map(NAMESPACE, name)
        opened.cluster.lease(NAMESPACE, LEASE)
        yield opened


@pytest.fixture
def pod(world: Lab) -> Pod:
    found = world.cluster.botkube(NAMESPACE, at=world.clock.ns())
    found.write(DEBUG, at=world.clock.ns())
    return found


def patient(world: Lab, *, options: Options | None = None, **changes: Any) -> Patient:  # noqa: ANN401 as evolve
    made = Patient(
        options or world.options(),
        (Switch("BOTKUBE_ANALYTICS_DISABLE", "not set", is_off=False),),
        has_destination=True,
        load_rules=lambda: world.ruleset,
        clock=world.clock.seconds,
        check_seconds=3.0,
    )
    return attrs.evolve(made, **changes)


async def lines_of(world: Lab, **changes: Any) -> dict[str, Line]:  # noqa: ANN401 as evolve
    """Return each line by its check."""
    _, lines = await examine(patient(world, **changes))
    assert len(lines) == len({one.check for one in lines})
    return {one.check: one for one in lines}


def bad(lines: dict[str, Line]) -> dict[str, Verdict]:
    return {name: one.verdict for name, one in lines.items() if one.verdict is not Verdict.OK}


def right_on(where: Where) -> Right:
    return next(one for one in RIGHTS if one.where is where)


def name_of(right: Right) -> str:
    return f"right: {right.text.replace('`', '')}"


def put(world: Lab, name: str, data: bytes) -> None:
    """Let something stand in a ConfigMap of ours."""
    patch = {"binaryData": {"state": b64encode(data).decode()}}
    world.cluster.server.store.merge(CONFIGMAPS, NAMESPACE, name, patch)


def document(world: Lab, **changes: Any) -> Document:  # noqa: ANN401 as evolve
    now = int(world.clock.seconds())
    made = Document(b"k", "s", Windows(20), epoch="8f14e45f-ceea-467f-a2b1-3c5e9d0a7b64")
    made.saved_seconds = now
    return attrs.evolve(made, **changes)


def note_installation(world: Lab, **changes: Any) -> None:  # noqa: ANN401 as evolve
    said = {
        "version": 1,
        "id": "8f14e45f-ceea-467f-a2b1-3c5e9d0a7b64",
        "first_start_seconds": START,
        "commits": 0,
        **changes,
    }
    put(world, INSTALLATION, orjson.dumps(said))


@pytest.fixture
def settled(world: Lab, pod: Pod) -> Lab:
    """Leave there what an agent that works does, without one that runs."""
    put(world, STATE, encode(document(world)))
    note_installation(world)
    world.clock.is_held = True
    now = world.clock.seconds()
    hold(world, holder="8f14e45f-ceea-467f-a2b1-3c5e9d0a7b64", at=now)
    return world


def hold(world: Lab, *, holder: str, at: float) -> None:
    lease = world.cluster.server.store.get(LEASES, NAMESPACE, LEASE)
    stamp = datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    lease["spec"] = {"holderIdentity": holder, "renewTime": stamp, "leaseDurationSeconds": 15}
    world.cluster.server.store.update(LEASES, NAMESPACE, LEASE, lease)


# --- all is well ----------------------------------------------------------------------------------


async def test_with_an_agent_that_works_every_line_is_ok(world: Lab, pod: Pod) -> None:
    async with world.agent():
        write(pod, world, 30)
        await until(lambda: len(world.reports()) > 1)
        lines = await lines_of(world)
    calls = [one for one in world.cluster.server.calls if one.name == LEASE]

    assert bad(lines) == {}
    assert calls
    assert set(lines) == {
        "mode",
        "rules",
        "API server",
        "clock",
        "switches",
        *map(name_of, RIGHTS),
        "BotKube",
        "log level",
        "state",
        "installation",
        "lease",
        "destination",
    }
    assert re.search(r"format 1, \d+ bytes \(0 % of its limit\), written", lines["state"].says)
    assert "no event was sent" in lines["destination"].says


async def test_nothing_is_changed(settled: Lab) -> None:
    before = {
        kind.plural: settled.cluster.server.store.objects(kind)
        for kind in (CONFIGMAPS, LEASES, NAMESPACES)
    }
    version = settled.cluster.server.store.version
    settled.cluster.server.calls.clear()
    lines = await lines_of(settled)
    calls = settled.cluster.server.calls

    assert bad(lines) == {}
    assert {one.resource for one in calls if one.method != "GET"} == {"selfsubjectaccessreviews"}
    assert version == settled.cluster.server.store.version
    assert before == {
        kind.plural: settled.cluster.server.store.objects(kind)
        for kind in (CONFIGMAPS, LEASES, NAMESPACES)
    }


# --- rights ---------------------------------------------------------------------------------------

EXPECTED = {
    Lack.STOPS: Verdict.FAIL,
    Lack.BEGINS_NOT: Verdict.WARN,
    Lack.HIDES: Verdict.WARN,
    Lack.CREATES: Verdict.OK,
}
DENIED = {
    Where.PODS: ("", ""),
    Where.NAMESPACES: (NAMESPACE, NAMESPACE),
    Where.KUBE_SYSTEM: ("kube-system", "kube-system"),
    Where.SWITCHES: (NAMESPACE, "botkube-global-config"),
    Where.OLD_ID: (NAMESPACE, "botkube-analytics-config"),
    Where.DEPLOYMENTS: (NAMESPACE, "botkube"),
    Where.KEPT: (NAMESPACE, STATE),
    Where.STATE: (NAMESPACE, STATE),
    Where.INSTALLATION: (NAMESPACE, INSTALLATION),
    Where.NEW_STATE: ("", ""),
    Where.LEASE: (NAMESPACE, LEASE),
    Where.NEW_LEASE: ("", ""),
}
EACH = [
    pytest.param(right, verb, id=f"{verb} {right.where.name.lower()} {right.resource}")
    for right in RIGHTS
    for verb in right.verbs
]


@pytest.mark.parametrize(("right", "verb"), EACH)
async def test_a_missing_right_is_named_with_what_is_lost(
    settled: Lab, right: Right, verb: str
) -> None:
    namespace, name = DENIED[right.where]
    settled.cluster.server.access.deny(verb, right.resource, namespace, name)
    # Without an installation its old id is still of use.
    if right.where is Where.OLD_ID:
        put(settled, INSTALLATION, b"")
        settled.cluster.server.store.delete(CONFIGMAPS, NAMESPACE, INSTALLATION)
    lines = await lines_of(settled)
    line = lines[name_of(right)]
    others = {
        one: verdict for one, verdict in bad(lines).items() if one.startswith("right: ")
    }.keys() - {name_of(right)}

    is_moot = right.where is Where.DEPLOYMENTS
    assert line.verdict is (Verdict.OK if is_moot else EXPECTED[right.lack])
    assert line.says.startswith("missing")
    if line.verdict is Verdict.OK:
        assert "not needed" in line.says
    else:
        assert right.without.replace("`", "") in line.says
        assert f"{verb} {right.resource}" in line.fix
        # Whoever wants no right on the whole cluster is told what the chart does instead.
        is_wide = right.where is Where.KUBE_SYSTEM
        assert ("set identity.cluster_id to none" in line.fix) is is_wide
    # The ConfigMap of the old id is one of the opt-out's, too, and then State is not there.
    assert others <= {
        name_of(one)
        for one in RIGHTS
        if right.where is Where.OLD_ID and one.where in {Where.SWITCHES, Where.NEW_STATE}
    }


async def test_of_an_image_without_a_release_the_deployment_is_wanted(settled: Lab) -> None:
    """What the tag does not say stands in a label of the chart's."""
    (right,) = (one for one in RIGHTS if one.where is Where.DEPLOYMENTS)
    settled.cluster.server.access.deny("get", "deployments")
    known = (await lines_of(settled))[name_of(right)]
    settled.cluster.botkube(NAMESPACE, at=settled.clock.ns(), version="latest")
    unknown = (await lines_of(settled))[name_of(right)]

    assert (known.verdict, known.says.endswith("say the version")) == (Verdict.OK, True)
    assert (unknown.verdict, "allow get deployments/" in unknown.fix) == (Verdict.WARN, True)


def test_only_a_namespace_that_is_not_followed_needs_a_cluster_role() -> None:
    """In a followed namespace a Role that names it allows `get` on it, as the chart's does."""
    assert [one.where for one in RIGHTS if "ClusterRole" in one.text] == [Where.KUBE_SYSTEM]


async def test_a_deployment_that_no_setting_names_is_told(settled: Lab) -> None:
    """BotKube's own opt-out is looked for by the Deployment's name, and would not be seen."""
    options = attrs.evolve(settled.options(), deployments=("chatops",))
    told = (await lines_of(settled, options=options))["switches"]
    access = settled.cluster.server.access
    for deployment in ("botkube", "chatops"):
        access.deny("get", "configmaps", NAMESPACE, f"{deployment}-analytics-config")
    lines = await lines_of(settled, options=options)
    config = "configmaps/chatops-analytics-config in botkube"

    assert told.verdict is Verdict.WARN
    assert told.says.endswith("own opt-out is not looked for of Deployment botkube")
    assert "kubernetes.deployments" in told.fix
    for where in (Where.SWITCHES, Where.OLD_ID):
        (right,) = (one for one in RIGHTS if one.where is where)
        assert lines[name_of(right)].fix in {f"allow get {config}", ""}, where
    assert lines["switches"].says.count("analytics-config") == 1


async def test_a_deployment_from_before_there_was_an_opt_out_needs_no_name(settled: Lab) -> None:
    options = attrs.evolve(settled.options(), deployments=("botkube",))
    for name, version in (("ancient", "v0.12.4"), ("chatops", "v1.0.0")):
        settled.cluster.botkube(NAMESPACE, at=settled.clock.ns(), name=name, version=version)
    told = (await lines_of(settled, options=options))["switches"]

    assert told.says.endswith("not looked for of Deployment chatops")


@pytest.mark.parametrize("what", ["state", "lease"])
async def test_a_right_to_create_is_needed_where_nothing_is_there(settled: Lab, what: str) -> None:
    store, access = settled.cluster.server.store, settled.cluster.server.access
    where = Where.NEW_STATE if what == "state" else Where.NEW_LEASE
    right = next(one for one in RIGHTS if one.where is where)
    access.deny("create", right.resource)
    if what == "state":
        store.delete(CONFIGMAPS, NAMESPACE, STATE)
    else:
        store.delete(LEASES, NAMESPACE, LEASE)
    line = (await lines_of(settled))[name_of(right)]

    assert line.verdict is Verdict.FAIL
    assert "apply the manifest" in line.fix


async def test_where_the_manifest_was_applied_and_no_agent_began_nothing_fails(
    world: Lab, pod: Pod
) -> None:
    world.cluster.server.access.deny("create", "configmaps")
    lines = await lines_of(world)

    assert bad(lines) == dict.fromkeys(("state", "installation", "lease"), Verdict.WARN)
    assert "both are there" in lines["right: create on ConfigMaps"].says


async def test_rights_that_cannot_be_asked_for_are_said_to_be_so(settled: Lab) -> None:
    settled.cluster.server.access.deny("create", "selfsubjectaccessreviews")
    lines = await lines_of(settled)

    assert {Verdict.WARN} == {one.verdict for name, one in lines.items() if name[:6] == "right:"}
    assert "cannot be asked for (status 403 Forbidden)" in lines[name_of(RIGHTS[0])].says


@pytest.mark.parametrize("body", [b'{"status":{}}', b'{"status":{"allowed":"no"}}', b"[]"])
async def test_a_review_of_another_shape_is_no_answer(settled: Lab, body: bytes) -> None:
    settled.cluster.server.faults.add(Answer(201, body), path="reviews$", times=None)
    line = (await lines_of(settled))[name_of(RIGHTS[0])]

    assert (line.verdict, "the answer has another shape" in line.says) == (Verdict.WARN, True)


@pytest.mark.parametrize("name", [STATE, INSTALLATION])
async def test_what_is_kept_and_may_not_be_read_fails(settled: Lab, name: str) -> None:
    settled.cluster.server.access.deny("get", "configmaps", NAMESPACE, name)
    settled.cluster.server.access.deny("create", "configmaps")
    lines = await lines_of(settled)
    line = lines["state" if name == STATE else "installation"]
    create = lines[name_of(right_on(Where.NEW_STATE))]

    assert (line.verdict, "lacks `get configmaps`" in line.says) == (Verdict.FAIL, True)
    assert create.verdict is Verdict.WARN
    assert create.says.endswith("whether it is needed is not known")
    assert create.fix == "see the line of the state and of the installation"


async def test_a_namespace_that_nobody_named_may_be_closed(settled: Lab) -> None:
    options = attrs.evolve(settled.options(), namespaces=("default", NAMESPACE))
    settled.cluster.server.access.granted = [
        Rule(namespace=NAMESPACE),
        Rule("get", "namespaces"),
    ]
    guessed = await lines_of(settled, options=options, guessed=frozenset({"default", NAMESPACE}))
    named = await lines_of(settled, options=options)

    assert guessed[name_of(RIGHTS[0])].verdict is Verdict.WARN
    assert guessed[name_of(RIGHTS[0])].fix.endswith("in kubernetes.namespaces: botkube")
    assert guessed["BotKube"].verdict is Verdict.OK
    assert named[name_of(RIGHTS[0])].verdict is Verdict.FAIL


async def test_in_a_guessed_namespace_that_has_a_botkube_a_right_is_missing(settled: Lab) -> None:
    logs = next(one for one in RIGHTS if one.resource == "pods/log")
    settled.cluster.server.access.deny("get", "pods/log", NAMESPACE)
    line = (await lines_of(settled, guessed=frozenset({NAMESPACE})))[name_of(logs)]

    assert (line.verdict, line.fix) == (Verdict.FAIL, f"allow get pods/log in {NAMESPACE}")


# --- the API server -------------------------------------------------------------------------------


async def test_an_api_server_that_is_down_ends_the_questions(
    settled: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        url = f"http://127.0.0.1:{gone.getsockname()[1]}"
    monkeypatch.setattr(settled.cluster.server, "url", url)
    lines = await lines_of(settled)

    assert bad(lines) == {"API server": Verdict.FAIL}
    assert lines["API server"].says == "not reached: ClientConnectorError"
    assert "not contacted" in lines["destination"].says


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        (HalfOpen(), "not reached: no answer in time"),
        (Answer(503, CANARY.encode()), "it answers status 503 Service Unavailable"),
    ],
    ids=["silent", "503"],
)
async def test_an_api_server_that_does_not_answer_is_not_waited_for(
    settled: Lab, fault: HalfOpen | Answer, says: str
) -> None:
    settled.cluster.server.faults.add(fault, times=None)
    lines = await lines_of(settled, check_seconds=0.3)

    assert says in lines["API server"].says
    assert lines["API server"].verdict is Verdict.FAIL


async def test_a_token_that_is_refused_is_named(settled: Lab) -> None:
    settled.cluster.server.access.tokens = {"right": "agent"}
    settled.token = "wrong"
    lines = await lines_of(settled)

    assert lines["API server"].says == "reached, but it refuses the credentials"
    assert "log" not in {one.subresource for one in settled.cluster.server.calls}


async def test_an_api_server_that_hides_its_version_is_asked_for_the_rest(settled: Lab) -> None:
    settled.cluster.server.faults.add(Answer(403), path="^/version$", times=None)

    assert bad(await lines_of(settled)) == {"clock": Verdict.WARN}


async def test_each_check_has_its_seconds(settled: Lab) -> None:
    """A server that stops to answer after the first question costs a few of them."""
    settled.cluster.server.faults.add(
        HalfOpen(), when=lambda one: one.path != "/version", times=None
    )
    async with asyncio.timeout(5):
        lines = await lines_of(settled, check_seconds=0.3)

    assert "no answer in time" in lines["switches"].says
    assert "no answer in time" in lines["BotKube"].says
    assert "no answer in time" in lines["state"].says
    assert "no answer in time" in lines["lease"].says


@pytest.mark.parametrize(
    ("ahead", "verdict"),
    [(0, "ok"), (4, "ok"), (-4, "ok"), (20, "warn"), (-20, "warn"), (90, "fail"), (-90, "fail")],
)
async def test_the_clock_is_held_against_the_servers(
    settled: Lab, ahead: float, verdict: str
) -> None:
    settled.cluster.server.date = lambda: settled.clock.seconds() - ahead
    line = (await lines_of(settled))["clock"]

    assert line.verdict == verdict
    assert ("ahead" in line.says, "behind" in line.says) == (ahead > 5, ahead < -5)


@pytest.mark.parametrize(
    ("date", "before", "after", "skew"),
    [
        (START, START + 0.9, START + 0.9, 0),
        (START, START - 9.0, START + 9.0, 0),
        (START, START + 9.0, START + 10.0, 8),
        (START, START - 9.0, START - 7.0, -7),
        (None, START, START, None),
    ],
)
def test_what_a_whole_second_and_the_way_explain_is_no_skew(
    date: float | None, before: float, after: float, skew: float | None
) -> None:
    assert verdicts.skew_seconds(date, before=before, after=after) == skew


# --- switches -------------------------------------------------------------------------------------


async def test_off_by_a_local_switch_looks_at_nothing(settled: Lab) -> None:
    settled.cluster.server.calls.clear()

    def load_rules() -> RuleSet:
        raise AssertionError

    options = attrs.evolve(
        settled.options(), destination=Destination(endpoint="http://127.0.0.1:1")
    )
    lines = await lines_of(settled, switches=(OFF,), options=options, load_rules=load_rules)

    assert bad(lines) == {"mode": Verdict.WARN}
    assert list(lines) == ["mode"]
    assert lines["mode"].says == "off, because DO_NOT_TRACK is true"
    assert settled.cluster.server.calls == []


@pytest.mark.parametrize("how", ["annotation", "no answer"])
async def test_while_the_clusters_switches_stop_it_no_log_and_no_destination_is_asked(
    settled: Lab, how: str
) -> None:
    server = settled.cluster.server
    async with heard() as (url, requests):
        if how == "annotation":
            patch = {"metadata": {"annotations": {ANNOTATION: "true"}}}
            server.store.merge(NAMESPACES, "", NAMESPACE, patch)
        else:
            server.faults.add(Answer(500), path=f"/namespaces/{NAMESPACE}$", times=None)
        lines = await lines_of(settled, options=sending_to(settled, url))

    expected = Verdict.WARN if how == "annotation" else Verdict.FAIL
    assert lines["switches"].verdict is expected
    assert (lines["mode"].verdict is Verdict.WARN) is (how == "annotation")
    assert not [one for one in server.calls if one.subresource == "log"]
    assert requests == []
    assert "log level" not in lines
    assert lines["state"].verdict is Verdict.OK


@pytest.mark.parametrize(
    ("resource", "name", "is_of_use"),
    [("namespaces", NAMESPACE, False), ("configmaps", "botkube-global-config", True)],
)
async def test_a_switch_that_may_not_be_read_is_a_warning(
    settled: Lab, resource: str, name: str, is_of_use: bool
) -> None:
    """An annotation that is not seen is not what to set."""
    settled.cluster.server.access.deny("get", resource, NAMESPACE, name)
    line = (await lines_of(settled))["switches"]

    assert (line.verdict, "not readable" in line.says) == (Verdict.WARN, True)
    assert line.fix.endswith("set the annotation of the namespace") is is_of_use


async def test_an_annotation_that_is_hidden_beside_another_switch_is_not_what_to_set(
    settled: Lab,
) -> None:
    access = settled.cluster.server.access
    access.deny("get", "namespaces", NAMESPACE, NAMESPACE)
    access.deny("get", "configmaps", NAMESPACE, "botkube-global-config")

    assert (await lines_of(settled))["switches"].fix.endswith(
        "so that a wish to switch off is seen"
    )


# --- BotKube --------------------------------------------------------------------------------------


async def test_no_pod_is_a_warning_and_on_a_node_is_none(settled: Lab) -> None:
    options = settled.options()
    elsewhere = attrs.evolve(options, selectors=("app=another",))
    here = attrs.evolve(options, node="node-2")

    line = (await lines_of(settled, options=elsewhere))["BotKube"]
    assert (line.verdict, "kubernetes.selectors" in line.fix) == (Verdict.WARN, True)
    assert (await lines_of(settled, options=here))["BotKube"].verdict is Verdict.OK
    missing = attrs.evolve(options, containers=frozenset({"another"}))
    line = (await lines_of(settled, options=missing))["BotKube"]
    assert (line.verdict, "kubernetes.containers" in line.fix) == (Verdict.WARN, True)


@pytest.mark.parametrize(
    ("text", "level"),
    [
        (INFO, "info"),
        (INFO + DEBUG, "debug"),
        (DEBUG + INFO, "debug"),
        (INFO + PLUGIN, "info"),
        (PLUGIN, "unknown"),
        (b"", "unknown"),
        (b'{"level":"debug","msg":"half a l', "unknown"),
    ],
)
def test_a_level_is_that_of_the_core(text: bytes, level: str) -> None:
    stamped = b"".join(
        b"2025-06-18T08:28:13.000000001Z " + line for line in text.splitlines(keepends=True)
    )
    assert level_of(stamped) == level
    # What the kubelet says in place of a log has no stamp.
    assert level_of(text) == "unknown"


async def test_a_botkube_at_info_is_a_warning_with_the_fix(settled: Lab) -> None:
    quiet = settled.cluster.botkube(NAMESPACE, name="other", at=settled.clock.ns())
    quiet.write(INFO, at=settled.clock.ns())
    line = (await lines_of(settled))["log level"]

    assert line.verdict is Verdict.WARN
    assert "1 of 2 containers log at debug" in line.says
    assert quiet.name in line.says
    assert "settings.log.level" in line.fix


async def test_a_log_that_cannot_be_read_fails(settled: Lab, pod: Pod) -> None:
    settled.cluster.server.faults.add(Answer(500, CANARY.encode()), path="/log$", times=None)
    line = (await lines_of(settled))["log level"]

    assert line.verdict is Verdict.FAIL
    assert f"(status 500 Internal Server Error): botkube/{pod.name}" in line.says


async def test_what_state_knows_of_a_level_is_not_read_in_the_log(settled: Lab, pod: Pod) -> None:
    server = settled.cluster.server
    await lines_of(settled)
    assert [one for one in server.calls if one.subresource == "log"]
    (call,) = (one for one in server.calls if one.subresource == "log")
    assert {"tailLines", "limitBytes"} <= call.query.keys()
    status = server.store.get(PODS, NAMESPACE, pod.name)["status"]
    key = f"{pod.uid}/{status['containerStatuses'][0]['containerID']}"
    put(settled, STATE, encode(document(settled, instances={key: Instance(debug=True)})))
    server.calls.clear()
    line = (await lines_of(settled))["log level"]

    assert (line.verdict, line.says) == (Verdict.OK, "1 of 1 containers log at debug")
    assert not [one for one in server.calls if one.subresource == "log"]


async def test_only_some_logs_are_looked_at(settled: Lab) -> None:
    for number in range(MAX_TAILS + 1):
        settled.cluster.botkube(NAMESPACE, name=f"more-{number}", at=settled.clock.ns())
    settled.cluster.server.calls.clear()
    line = (await lines_of(settled))["log level"]
    read = [one for one in settled.cluster.server.calls if one.subresource == "log"]

    assert len(read) == MAX_TAILS
    assert "2 more were not looked at" in line.says


# --- what is kept ---------------------------------------------------------------------------------

NOW = 1_800_000_000
LIMITS = states.Limits(
    NOW, window_seconds=3600, outbox_bytes=1000, object_bytes=2000, held_seconds=1800
)
BODY = gzip.compress(b"x")


def noise(size: int) -> str:
    """Return a text that takes about so many bytes, however it is compressed."""
    return random.Random(1).randbytes(size).hex()


def doc(**changes: Any) -> Document:  # noqa: ANN401 as evolve
    made = Document(b"k", "s", Windows(3600), epoch="8f14e45f-ceea-467f-a2b1-3c5e9d0a7b64")
    made.saved_seconds = NOW - 10
    return attrs.evolve(made, **changes)


def batch(size: int, *, sealed: int = NOW) -> Batch:
    return Batch(1, 0, BODY.ljust(size, b"\0"), 1, sealed, attempted=False)


@pytest.mark.parametrize(
    ("kept", "verdict", "word"),
    [
        pytest.param(doc(), "ok", "epoch 8f14e45f", id="fine"),
        pytest.param(doc(commits=2), "fail", "older copy", id="older copy"),
        pytest.param(doc(parked=1, commits=3), "warn", "refused for good", id="parked"),
        pytest.param(doc(commits=3, stopped_seconds=NOW - 600), "warn", "stopped", id="stopped"),
        pytest.param(doc(commits=3, saved_seconds=NOW - 9100), "warn", "longer", id="stale"),
        pytest.param(doc(commits=3, saved_seconds=NOW + 90), "warn", "future", id="future"),
        pytest.param(doc(commits=3, outbox=[batch(900)]), "warn", "nearly full", id="outbox"),
        pytest.param(
            doc(commits=3, outbox=[batch(9, sealed=NOW - 90_000)]), "warn", "waited", id="waits"
        ),
        pytest.param(doc(commits=3, stream=noise(1400)), "warn", "near its limit", id="near"),
        pytest.param(doc(commits=3, stream=noise(2500)), "fail", "larger than", id="too large"),
        pytest.param(b"{", "fail", "cannot be read as State", id="unreadable"),
        pytest.param(b'{"version":2}', "fail", "newer format", id="newer"),
        pytest.param(None, "fail", "one had before", id="deleted"),
    ],
)
def test_state_is_judged_by_what_stands_in_it(
    kept: Document | bytes | None, verdict: str, word: str
) -> None:
    data = encode(kept) if isinstance(kept, Document) else kept
    known = 0 if isinstance(kept, Document) and not kept.commits else 3
    line = states.of_state(states.Kept("S", data, exists=True), LIMITS, known_commits=known)

    assert line.verdict == verdict
    assert word in line.says
    assert bool(line.fix) is (verdict != "ok")


@pytest.mark.parametrize(
    ("data", "verdict"),
    [(b"\x1f\x8bcanary-4711", "fail"), (b'{"version":2,"x":"canary-4711"}', "fail")],
    ids=["unreadable", "newer"],
)
@pytest.mark.parametrize("place", ["cluster", "disk"])
async def test_state_that_cannot_be_used_fails(
    settled: Lab, tmp_path: Path, data: bytes, verdict: str, place: str
) -> None:
    options = settled.options()
    if place == "disk":
        options = attrs.evolve(options, state_path=tmp_path / "state.json")
        (tmp_path / "state.json").write_bytes(data)
    else:
        put(settled, STATE, data)
    line = (await lines_of(settled, options=options))["state"]
    command = f"rm {tmp_path / 'state.json'}" if place == "disk" else EMPTYING

    assert line.verdict == verdict
    assert line.fix.endswith(command) is (b"version" in data)
    assert CANARY not in line.says + line.fix


async def test_what_is_to_be_removed_is_quoted_for_a_shell(settled: Lab, tmp_path: Path) -> None:
    path = tmp_path / "two words.json"
    path.write_bytes(b'{"version":2}')
    options = attrs.evolve(settled.options(), state_path=path)

    assert (await lines_of(settled, options=options))["state"].fix.endswith(f"rm '{path}'")


async def test_of_an_installation_that_gives_no_answer_nothing_is_to_be_emptied(
    settled: Lab,
) -> None:
    settled.cluster.server.faults.add(HalfOpen(), path=f"{INSTALLATION}$", times=None)
    line = (await lines_of(settled, check_seconds=0.3))["installation"]

    assert (line.verdict, "patch" in line.fix) == (Verdict.FAIL, False)


@pytest.mark.parametrize(("name", "check"), [(STATE, "state"), (INSTALLATION, "installation")])
async def test_an_immutable_object_fails_and_is_to_be_made_anew(
    settled: Lab, name: str, check: str
) -> None:
    settled.cluster.server.store.merge(CONFIGMAPS, NAMESPACE, name, {"immutable": True})
    lines = await lines_of(settled)
    where = f"kubectl -n {NAMESPACE} get configmap {name} -o yaml"

    assert lines[check].verdict is Verdict.FAIL
    assert "is `immutable`, so no agent can write it" in lines[check].says
    assert f"{where} | sed '/^immutable:/d' | kubectl" in lines[check].fix


async def test_of_an_object_that_cannot_be_written_it_is_said_that_it_is_immutable(
    settled: Lab,
) -> None:
    settled.cluster.server.store.merge(CONFIGMAPS, NAMESPACE, STATE, {"immutable": True})
    async with Client(settled.options().access, "test") as client:
        store = ConfigMapStore(client, NAMESPACE, STATE)
        found = await store.load()
        with pytest.raises(StateError, match="it is immutable; make it anew"):
            await store.save(b"x", found.version)


async def test_state_beyond_its_limit_fails(settled: Lab) -> None:
    put(settled, STATE, encode(document(settled, stream=noise(860_000))))
    line = (await lines_of(settled))["state"]

    assert (line.verdict, "larger than its limit" in line.says) == (Verdict.FAIL, True)
    assert line.fix.endswith(EMPTYING)


async def test_an_installation_says_when_sending_begins(settled: Lab) -> None:
    options = attrs.evolve(settled.options(), quiet_period_seconds=86_400)
    quiet = (await lines_of(settled, options=options))["installation"]
    put(settled, INSTALLATION, b'{"id":"canary-4711"}')
    broken = (await lines_of(settled))["installation"]
    put(settled, INSTALLATION, b'{"version":7,"id":"canary-4711"}')
    newer = (await lines_of(settled))["installation"]

    assert (quiet.verdict, "nothing is sent for another 24 h" in quiet.says) == (Verdict.OK, True)
    assert broken.verdict is Verdict.FAIL
    assert "8f14e45f" not in quiet.says
    assert (newer.verdict, "newer format than 1" in newer.says) == (Verdict.FAIL, True)
    assert newer.fix.startswith("use the release that wrote it")
    for one in (broken, newer):
        assert f"patch configmap {INSTALLATION} --type merge" in one.fix
    assert CANARY not in broken.says + broken.fix + newer.says + newer.fix


@pytest.mark.parametrize(
    ("holder", "age", "verdict", "word"),
    [
        ("8f14e45f-ceea-467f-a2b1-3c5e9d0a7b64", 2, "ok", "held by 8f14e45f, renewed"),
        ("8f14e45f-ceea-467f-a2b1-3c5e9d0a7b64", 600, "warn", "it has run out"),
        ("8f14e45f-ceea-467f-a2b1-3c5e9d0a7b64", -600, "warn", "ahead"),
        ("", 2, "warn", "no replica leads"),
        ("canary-4711", 2, "ok", "held by another"),
    ],
)
async def test_a_lease_is_judged_by_its_holder_and_age(
    settled: Lab, holder: str, age: float, verdict: str, word: str
) -> None:
    hold(settled, holder=holder, at=settled.clock.seconds() - age)
    line = (await lines_of(settled))["lease"]

    assert (line.verdict, word in line.says) == (verdict, True)


@pytest.mark.parametrize("spec", [{}, [], "x", {"holderIdentity": 1, "renewTime": "never"}])
async def test_a_lease_of_another_shape_is_no_traceback(settled: Lab, spec: object) -> None:
    body = json.dumps({"spec": spec}).encode()
    settled.cluster.server.faults.add(Answer(200, body), path="/leases/", times=None)

    assert (await lines_of(settled))["lease"].verdict is Verdict.WARN


async def test_slots_are_counted_and_each_in_use_is_judged(settled: Lab) -> None:
    names = [f"{STATE}-{number}" for number in range(4)]
    for name in names[:3]:
        settled.cluster.config_map(NAMESPACE, name)
    put(settled, names[0], encode(document(settled, holder="8f14e45f", parked=2)))
    put(settled, names[1], b"{")
    options = attrs.evolve(settled.options(), slots=4, node=settled.cluster.node, lease_name=None)
    lines = await lines_of(settled, options=options)

    assert lines["slots"].says.startswith("4 slots: 1 held, 0 left")
    assert bad({name: one for name, one in lines.items() if name.startswith("slot")}) == {
        "slot 0": Verdict.WARN,
        "slot 1": Verdict.FAIL,
        "slot 3": Verdict.FAIL,
    }


async def test_what_is_gone_and_may_not_be_made_is_no_first_start(settled: Lab) -> None:
    objects = settled.cluster.server.store
    objects.delete(CONFIGMAPS, NAMESPACE, INSTALLATION)
    rotated = (await lines_of(settled))["installation"]
    settled.cluster.server.access.deny("create", "configmaps")
    objects.delete(CONFIGMAPS, NAMESPACE, STATE)
    lines = await lines_of(settled)

    assert rotated.verdict is Verdict.WARN
    assert "it was deleted" in rotated.says
    assert "chooses a new id" in rotated.fix
    for check in ("state", "installation"):
        assert lines[check].verdict is Verdict.FAIL
        assert lines[check].fix.startswith("apply the manifest that has it")


async def test_slots_that_cannot_be_read_are_counted(settled: Lab) -> None:
    for number in range(3):
        settled.cluster.config_map(NAMESPACE, f"{STATE}-{number}")
        put(settled, f"{STATE}-{number}", b"{")
    options = attrs.evolve(settled.options(), slots=3, node=settled.cluster.node, lease_name=None)
    line = (await lines_of(settled, options=options))["slots"]

    assert line.verdict is Verdict.FAIL
    assert line.says.endswith("0 free, 3 missing or not readable")


async def test_a_fix_names_all_that_is_to_be_allowed(settled: Lab) -> None:
    names = [f"{STATE}-{number}" for number in range(6)]
    for name in names:
        settled.cluster.config_map(NAMESPACE, name)
        settled.cluster.server.access.deny("update", "configmaps", NAMESPACE, name)
    options = attrs.evolve(settled.options(), slots=6, node=settled.cluster.node, lease_name=None)
    right = next(one for one in RIGHTS if one.where is Where.STATE)
    line = (await lines_of(settled, options=options))[name_of(right)]

    assert "and 2 more" in line.says
    assert [name for name in names if name not in line.fix] == []


@pytest.mark.parametrize("more", [None, b"{", b""], ids=["alone", "beside broken", "beside free"])
async def test_slots_that_are_all_held_are_a_warning(settled: Lab, more: bytes | None) -> None:
    """One that cannot be read is as good as held."""
    found = [encode(document(settled, holder="8f14e45f")), *([] if more is None else [more])]
    for index, data in enumerate(found):
        settled.cluster.config_map(NAMESPACE, f"{STATE}-{index}")
        if data:
            put(settled, f"{STATE}-{index}", data)
    options = attrs.evolve(
        settled.options(), slots=len(found), node=settled.cluster.node, lease_name=None
    )
    line = (await lines_of(settled, options=options))["slots"]

    assert ("state.slots" in line.fix) is (more != b"")
    assert line.verdict is (Verdict.OK if more == b"" else Verdict.WARN)


async def test_a_slot_whose_object_is_missing_is_not_free(settled: Lab) -> None:
    settled.cluster.config_map(NAMESPACE, f"{STATE}-0")
    options = attrs.evolve(settled.options(), slots=2, node=settled.cluster.node, lease_name=None)
    line = (await lines_of(settled, options=options))["slots"]

    assert line.says.endswith("1 free, 1 missing or not readable")


# --- the destination ------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def heard(
    answer: bytes = b"HTTP/1.1 404 Not Found\r\nContent-Length: 11\r\n\r\n",
) -> AsyncIterator[tuple[str, list[bytes]]]:
    """Listen, keep what is said, and answer the same to all; nothing: stay silent."""
    requests: list[bytes] = []
    closing = asyncio.Event()

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            requests.append(await reader.read(65_536))
            writer.write(answer)
            await writer.drain()
            if not answer:
                await closing.wait()
        except ConnectionError:
            requests.append(b"")
        finally:
            writer.close()

    server = await asyncio.start_server(take, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", requests
    finally:
        closing.set()
        server.close()
        await asyncio.sleep(0)


def sending_to(world: Lab, url: str) -> Options:
    return attrs.evolve(world.options(), destination=Destination(endpoint=url))


async def test_the_destination_is_told_nothing(
    settled: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login canary password canary-4711\n")
    (tmp_path / "netrc").chmod(0o600)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    async with heard() as (url, requests):
        lines = await lines_of(settled, options=sending_to(settled, url))
    (request,) = requests
    head, *headers = request.decode().strip().splitlines()

    assert head == "GET / HTTP/1.1"
    assert {one.partition(":")[0] for one in headers} == {
        "Host",
        "User-Agent",
        "Accept",
        "Accept-Encoding",
        "Connection",
    }
    assert lines["destination"].verdict is Verdict.OK


async def test_in_mode_local_the_destination_is_left_alone(settled: Lab) -> None:
    async with heard() as (url, requests):
        lines = await lines_of(settled, options=sending_to(settled, url), has_destination=False)

    assert bad(lines) == {}
    assert lines["mode"].says.startswith("local")
    assert lines["destination"].says == "not contacted: no write key is set"
    assert requests == []


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "reached"),
        (b"HTTP/1.1 401 canary-4711\r\nContent-Length: 0\r\n\r\n", "reached"),
        (
            b"HTTP/1.1 302 x\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
            "reached",
        ),
        (b"HTTP/1.1 407 x\r\nContent-Length: 0\r\n\r\n", "proxy"),
        (b"HTTP/1.1 503 x\r\nContent-Length: 0\r\n\r\n", "gateway"),
        (b"canary-4711\r\n\r\n", "connection"),
        (b"", "timeout"),
    ],
)
async def test_what_an_answer_of_the_destination_means(answer: bytes, found: str) -> None:
    async with heard(answer) as (url, _), open_session("test") as session:
        assert await reach(session, url, seconds=0.5) == found


async def test_a_destination_that_is_not_there_fails(settled: Lab) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        url = f"http://127.0.0.1:{gone.getsockname()[1]}"
    lines = await lines_of(settled, options=sending_to(settled, url))

    assert bad(lines) == {"destination": Verdict.FAIL}


async def test_a_destination_that_speaks_no_tls_fails(settled: Lab) -> None:
    async with heard() as (url, _):
        https = url.replace("http:", "https:")
        lines = await lines_of(settled, options=sending_to(settled, https))

    assert "no TLS that can be trusted" in lines["destination"].says


async def test_a_proxy_is_the_way_as_it_is_for_batches(
    settled: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with heard() as (url, requests):
        monkeypatch.setenv("http_proxy", url)
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        lines = await lines_of(settled, options=sending_to(settled, "http://to.example"))

    assert requests[0].startswith(b"GET http://to.example/ ")
    assert lines["destination"].verdict is Verdict.OK


# --- what is printed ------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [200, 400, 403, 404, 409, 500])
async def test_no_text_of_an_answer_is_printed(
    settled: Lab, capsysbinary: pytest.CaptureFixture[bytes], status: int
) -> None:
    body = {
        "kind": CANARY,
        "message": CANARY,
        "reason": CANARY,
        "metadata": {"name": CANARY, "uid": CANARY, "annotations": {"x": CANARY}},
        "data": {"x": f"analytics: {CANARY}"},
        "spec": {"holderIdentity": CANARY, "renewTime": CANARY},
        "status": {"allowed": False, "reason": CANARY, "evaluationError": CANARY},
        "items": [{"metadata": {"namespace": CANARY}}, CANARY],
        "binaryData": {"state": b64encode(CANARY.encode()).decode()},
    }
    settled.cluster.server.faults.add(
        Answer(status, body), when=lambda one: one.path != "/version", times=None
    )
    for as_json in (False, True):
        await show_doctor(patient(settled), as_json=as_json)
    said = b"".join(capsysbinary.readouterr())

    assert b"API server" in said
    assert CANARY.encode() not in said


async def test_no_text_of_a_log_is_printed(
    settled: Lab, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    settled.cluster.server.calls.clear()
    for as_json in (False, True):
        assert await show_doctor(patient(settled), as_json=as_json) == 0
    said = b"".join(capsysbinary.readouterr())

    assert [one for one in settled.cluster.server.calls if one.subresource == "log"]
    assert CANARY.encode() not in said


async def test_json_says_the_same_and_the_code_is_that_of_the_worst(
    settled: Lab, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    assert await show_doctor(patient(settled), as_json=True) == 0
    fine = json.loads(capsysbinary.readouterr().out)
    settled.cluster.server.access.deny("get", "pods/log")
    assert await show_doctor(patient(settled), as_json=True) == 1
    broken = json.loads(capsysbinary.readouterr().out)
    assert await show_doctor(patient(settled), as_json=False) == 1
    text = capsysbinary.readouterr().out.decode()

    assert (fine["verdict"], broken["verdict"], broken["mode"]) == ("ok", "fail", "on")
    assert {"check", "verdict", "says", "fix"} == set(broken["lines"][0])
    for one in broken["lines"]:
        assert f"{one['verdict']:<4} {one['check']}: {one['says']}" in text
    assert "fix: allow get pods/log in botkube" in text
    assert "fix: allow get pods/log in botkube" not in text.split("right: get on pods/log")[0]


async def test_the_readme_shows_what_is_printed(
    world: Lab, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    (shown,) = re.findall(r"(?s)\n\$ kubectl exec [^\n]* doctor\n(.*?)\n```", README.read_text())
    pod = world.cluster.botkube(NAMESPACE, at=world.clock.ns())
    pod.write(INFO, at=world.clock.ns())
    world.cluster.server.access.deny("update", "configmaps", NAMESPACE, STATE)
    world.cluster.server.access.deny("get", "namespaces", "kube-system")
    options = attrs.evolve(world.options(), lease_name=None)
    await show_doctor(patient(world, options=options), as_json=False)
    text = capsysbinary.readouterr().out.decode().replace(options.destination.name, SEGMENT)
    text = text.replace(pod.name, "botkube-d0011128ad-46fca")

    assert [one for one in shown.splitlines() if one not in [*text.splitlines(), "…"]] == []


async def test_warnings_are_no_failure(
    settled: Lab, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    settled.cluster.server.access.deny("watch", "pods")

    assert await show_doctor(patient(settled), as_json=False) == 0
    assert b"warn right: watch on pods" in capsysbinary.readouterr().out


def test_the_worst_is_the_last_of_ok_warn_and_fail() -> None:
    lines = [Line("x", verdict, "x") for verdict in (Verdict.FAIL, Verdict.OK, Verdict.WARN)]

    assert [worst(lines), worst(lines[1:]), worst(lines[1:2]), worst([])] == [
        "fail",
        "warn",
        "ok",
        "ok",
    ]


async def test_rules_with_faults_fail_and_the_rest_is_looked_at(
    settled: Lab, tmp_path: Path
) -> None:
    (tmp_path / "rule.yaml").write_text(f"{CANARY}: x\n{CANARY}: x\n")
    lines = await lines_of(settled, load_rules=lambda: load_rules([str(tmp_path / "rule.yaml")]))

    assert bad(lines) == {"rules": Verdict.FAIL}
    assert "rule.yaml:" in lines["rules"].says
    assert CANARY not in lines["rules"].says


# --- the command ----------------------------------------------------------------------------------


@pytest.fixture
def _own_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in os.environ:
        if name.startswith(("BOTKUBE_ANALYTICS_", "KUBE")) or name == "DO_NOT_TRACK":
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.mark.usefixtures("_own_environment")
@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        (["doctor"], 1, "fail API server: there is no service account here"),
        (["doctor", "--analytics-disable"], 0, "warn mode: off, because --analytics-disable"),
        (["doctor", "--window-seconds", "7"], 2, "window.seconds"),
        (["doctor", "--format", "xml"], 2, "usage: "),
    ],
)
def test_the_command_ends_with_the_code_of_what_it_found(
    capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, word: str
) -> None:
    try:
        ended = main(arguments)
    except SystemExit as end:
        ended = int(end.code or 0)
    said = "".join(capsys.readouterr())

    assert (ended, word in said) == (code, True)


@pytest.mark.usefixtures("_own_environment")
def test_deployed_looks_at_the_cluster_and_not_at_this_machines_file(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["doctor"]) == 1
    assert ".local/state" in capsys.readouterr().out
    assert main(["doctor", "--deployed"]) == 1
    assert ".local/state" not in capsys.readouterr().out


@pytest.mark.usefixtures("_own_environment")
@pytest.mark.parametrize(
    ("context", "has_pod"),
    [("", False), (NAMESPACE, True), ("default", True), ("default", False), ("../x", False)],
)
async def test_from_elsewhere_a_guess_counts_where_the_account_may_look(
    world: Lab,
    tmp_path: Path,
    capsysbinary: pytest.CaptureFixture[bytes],
    context: str,
    has_pod: bool,
) -> None:
    """The account's own token, as the README tells, and the rights of the chart alone."""
    if has_pod:
        world.cluster.botkube(NAMESPACE, at=world.clock.ns())
    world.cluster.server.access.tokens = {"t": "agent"}
    world.cluster.server.access.granted = [
        Rule(resource="selfsubjectaccessreviews"),
        Rule(namespace=NAMESPACE),
    ]
    code, lines = await deployed(world, tmp_path, capsysbinary, namespace=context)
    rights = {name: one for name, one in lines.items() if name.startswith("right: ")}

    assert {name for name, one in rights.items() if one["verdict"] != "ok"} == {
        name_of(next(one for one in RIGHTS if one.where is Where.KUBE_SYSTEM))
    }
    assert f"in {NAMESPACE}" in lines["BotKube"]["says"]
    assert f"{NAMESPACE}/{STATE}" in lines["state"]["says"]
    assert not [one for one in world.cluster.server.calls if one.namespace == "default"]
    assert code == 0


@pytest.mark.usefixtures("_own_environment")
async def test_from_elsewhere_the_contexts_namespace_is_that_of_the_installation(
    world: Lab, tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    world.cluster.server.access.tokens = {"t": "agent"}
    world.cluster.server.access.granted = [
        Rule(resource="selfsubjectaccessreviews"),
        Rule(namespace="chat"),
    ]
    _, own = await deployed(world, tmp_path, capsysbinary, namespace="chat")
    _, other = await deployed(world, tmp_path, capsysbinary, namespace="")

    assert own[name_of(RIGHTS[0])]["verdict"] == "ok"
    assert f"chat/{STATE}" in own["state"]["says"]
    assert other[name_of(RIGHTS[0])]["verdict"] == "fail"
    assert other[name_of(RIGHTS[0])]["fix"].startswith("name BotKube's own in kubernetes.namesp")


@pytest.mark.usefixtures("_own_environment")
async def test_what_is_named_is_asked_for_from_elsewhere(
    world: Lab, tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    world.cluster.server.access.tokens = {"t": "agent"}
    world.cluster.server.access.granted = [Rule(resource="selfsubjectaccessreviews")]
    named = [f"--kubernetes-namespaces={one}" for one in "ab"]
    flags = [*named, "--identity-cluster-id", "none"]
    code, lines = await deployed(world, tmp_path, capsysbinary, flags, namespace="a")

    assert (code, "list pods in a, list pods in b" in str(lines)) == (1, True)
    assert "kube-system" not in str(lines)
    assert f"a/{STATE}" in lines["state"]["says"]
    assert lines["installation"]["says"].endswith("; it may be in any of a, b")


@pytest.mark.usefixtures("_own_environment")
@pytest.mark.parametrize(
    ("context", "flags"),
    [
        (NAMESPACE, ["--kubernetes-namespaces=chat"]),
        ("chat", [f"--kubernetes-namespaces={NAMESPACE}"]),
        ("chat", []),
        ("chat", ["--kubernetes-namespaces=chat", f"--state-namespace={NAMESPACE}"]),
    ],
)
async def test_from_elsewhere_state_is_where_the_installation_is(
    settled: Lab,
    tmp_path: Path,
    capsysbinary: pytest.CaptureFixture[bytes],
    context: str,
    flags: list[str],
) -> None:
    """The account may look everywhere; the agent has committed, and BotKube may be elsewhere."""
    settled.cluster.server.access.tokens = {"t": "agent"}
    _, lines = await deployed(settled, tmp_path, capsysbinary, flags, namespace=context)

    assert f"{NAMESPACE}/{STATE}" in lines["state"]["says"]
    assert f"{NAMESPACE}/{INSTALLATION} has its id" in lines["installation"]["says"]


@pytest.mark.usefixtures("_own_environment")
@pytest.mark.parametrize("slots", ["0", "2"])
async def test_from_elsewhere_it_is_said_where_no_installation_was_found(
    world: Lab, tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes], slots: str
) -> None:
    world.cluster.server.access.tokens = {"t": "agent"}
    flags = [f"--state-installation-configmap={INSTALLATION}-of-another", f"--state-slots={slots}"]
    flags += ["--kubernetes-node=a", f"--state-configmap={STATE}-of-another"]
    _, lines = await deployed(world, tmp_path, capsysbinary, flags, namespace="chat")
    kept = lines["state" if slots == "0" else "slots"]

    assert lines["installation"]["says"].endswith("it may be in any of chat, botkube")
    assert "--state-namespace" in lines["installation"]["fix"]
    assert kept["fix"] == "see the line of the installation"
    assert "no agent" not in str(lines)


@pytest.mark.usefixtures("_own_environment")
async def test_from_elsewhere_no_right_is_asked_for_in_a_foreign_namespace(
    world: Lab, tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    """An account that may do nothing: its context says where it belongs."""
    world.cluster.server.access.tokens = {"t": "agent"}
    world.cluster.server.access.granted = [Rule(resource="selfsubjectaccessreviews")]
    code, lines = await deployed(world, tmp_path, capsysbinary, namespace="chat")
    fixes = [one["fix"] for name, one in lines.items() if name.startswith("right: ")]

    assert code == 1
    assert "allow list pods in chat" in " ".join(fixes)
    assert not re.search(rf"in {NAMESPACE}\b|namespaces/{NAMESPACE}\b", " ".join(fixes))
    assert lines[name_of(right_on(Where.KEPT))]["fix"].startswith("name the namespace in which")


@pytest.mark.usefixtures("_own_environment")
@pytest.mark.parametrize("knows_rights", [False, True])
async def test_from_elsewhere_an_installation_that_may_not_be_seen_is_told_where_it_may_be(
    settled: Lab, tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes], *, knows_rights: bool
) -> None:
    """The account may do nothing in the namespace of its context."""
    access = settled.cluster.server.access
    access.tokens = {"t": "agent"}
    access.granted = [Rule(namespace=NAMESPACE), Rule(resource="selfsubjectaccessreviews")]
    access.deny("get", "configmaps", NAMESPACE, INSTALLATION)
    if not knows_rights:
        access.deny("create", "selfsubjectaccessreviews")
    _, lines = await deployed(settled, tmp_path, capsysbinary, namespace="chat")

    place = f"ConfigMap {NAMESPACE}/{INSTALLATION}" if knows_rights else f"chat, {NAMESPACE}"
    assert place in lines["installation"]["says"]
    assert "in chat" not in str(lines) or not knows_rights
    # Nothing is to be emptied that nobody has looked at.
    assert "patch" not in lines["installation"]["fix"]
    if not knows_rights:
        assert lines["installation"]["fix"].startswith("name the namespace in which the agent runs")
        assert lines["state"]["fix"] == "see the line of the installation"


@pytest.mark.usefixtures("_own_environment")
async def test_from_elsewhere_what_off_left_behind_hides_no_agent(
    settled: Lab, tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    settled.cluster.server.access.tokens = {"t": "agent"}
    settled.cluster.namespace("chat")
    settled.cluster.config_map("chat", INSTALLATION, {})
    _, lines = await deployed(settled, tmp_path, capsysbinary, namespace="chat")

    assert f"{NAMESPACE}/{INSTALLATION} has its id" in lines["installation"]["says"]


async def deployed(
    world: Lab,
    folder: Path,
    said: pytest.CaptureFixture[bytes],
    flags: list[str] | None = None,
    *,
    namespace: str,
) -> tuple[int, dict[str, dict[str, str]]]:
    """Run `doctor --deployed` with a token; the context names a namespace or none."""
    world.cluster.server.date = time.time
    kubeconfig = world.cluster.server.kubeconfig("t")
    if namespace:
        kubeconfig["contexts"][0]["context"]["namespace"] = namespace
    path = folder / "laptop"
    path.write_bytes(orjson.dumps(kubeconfig))
    flags = [*(flags or []), "--format", "json", "--kubernetes-kubeconfig", str(path)]
    code = await asyncio.to_thread(main, ["doctor", "--deployed", *flags])
    lines = json.loads(said.readouterr().out)["lines"]
    return code, {one["check"]: one for one in lines}
