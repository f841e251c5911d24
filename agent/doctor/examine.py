"""Asks what the doctor judges: bounded in time, changes nothing, and reads no log while off.

Owns the order. A local switch that says off: nothing is contacted. The switches in the cluster
come before any log and before the destination, as they do for the agent itself. What has no answer
within its seconds is a finding, too.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from http import HTTPStatus
from typing import TYPE_CHECKING, TypeVar

from attrs import field, frozen

from agent.counting import OUTBOX_BYTES
from agent.doctor import states, verdicts
from agent.doctor.levels import level_of
from agent.doctor.rights import RIGHTS, Scope, actions
from agent.doctor.states import Kept, LeaseFound, Limits
from agent.doctor.verdicts import Around, Held, Line, Refusal
from agent.model import Container
from agent.modes import Mode, decide
from agent.rules import RuleError
from agent.sink.reach import reach
from agent.sink.segment import open_session
from agent.slots import HELD_SECONDS
from agent.source.api import ApiError, Client, NoCluster
from agent.source.discovery import Selection, find_pods
from agent.source.podlogs import read_tail
from agent.source.rights import may
from agent.source.switches import BOTKUBE_CONFIGS, read_switches
from agent.state.configmap import MAX_OBJECT_BYTES, ConfigMapStore
from agent.state.disk import FileStore
from agent.state.installation import read_installation
from agent.state.lease import look
from agent.state.store import StateError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

    from agent.doctor.levels import Level
    from agent.doctor.rights import Action, Right
    from agent.modes import Decision, Switch
    from agent.options import Options
    from agent.rules import RuleSet
    from agent.source.discovery import Pod
    from agent.state.installation import Installation
    from agent.state.store import Store

T = TypeVar("T")

CHECK_SECONDS = 5.0
AT_A_TIME = 16
MAX_TAILS = 8
TAIL_LINES = 500
TAIL_BYTES = 256 * 1024

USUAL_DEPLOYMENT = "botkube"

NO_ANSWER = Refusal(0, "no answer in time")


@frozen
class Patient:
    """The installation that is looked at. `guessed` are namespaces that no setting names."""

    options: Options
    switches: tuple[Switch, ...]
    has_write_key: bool
    load_rules: Callable[[], RuleSet]
    clock: Callable[[], float]
    guessed: frozenset[str] = frozenset()
    check_seconds: float = CHECK_SECONDS


@frozen
class _Cluster:
    """A cluster that answers; every question has its seconds, and an answer or a refusal."""

    client: Client
    patient: Patient
    turns: asyncio.Semaphore = field(factory=lambda: asyncio.Semaphore(AT_A_TIME))

    @property
    def options(self) -> Options:
        return self.patient.options

    async def ask(self, asking: Awaitable[T]) -> T | Refusal:
        return await _ask(asking, self.patient.check_seconds)


@frozen
class _Keeping:
    """What is kept: State or its slots, and the installation and whether its object is there.

    `trouble` is why the installation cannot be read.
    """

    objects: tuple[Kept, ...]
    where: str
    installation: Installation | None = None
    has_object: bool = False
    trouble: str = ""


async def examine(patient: Patient) -> tuple[Decision, list[Line]]:
    """Return the mode, the cluster's switches included, and a line for each check."""
    local = decide(patient.switches, has_write_key=patient.has_write_key)
    if local.mode is Mode.OFF:
        return local, [verdicts.of_mode(local)]
    rules = await asyncio.to_thread(_rules, patient)
    async with AsyncExitStack() as stack:
        client = await _open(patient, stack)
        if isinstance(client, Line):
            return local, await _examine_alone(patient, local, rules, client)
        cluster = _Cluster(client, patient)
        before = patient.clock()
        date = await cluster.ask(client.read_date("/version"))
        after = patient.clock()
        if isinstance(date, Refusal):
            # Who may not ask for the version may ask for the rest.
            if date.status != HTTPStatus.FORBIDDEN:
                return local, await _examine_alone(patient, local, rules, verdicts.of_api(date))
            date = None
        clock = verdicts.of_clock(verdicts.skew_seconds(date, before=before, after=after))
        return await _examine(cluster, rules, clock)


async def _open(patient: Patient, stack: AsyncExitStack) -> Client | Line:
    opening = Client(patient.options.access, f"botkube-analytics/{patient.options.agent_version}")
    try:
        found = await _ask(stack.enter_async_context(opening), 2 * patient.check_seconds)
    except NoCluster as error:
        return verdicts.of_api(None, str(error))
    return verdicts.of_api(found) if isinstance(found, Refusal) else found


async def _examine_alone(
    patient: Patient, decision: Decision, rules: Line, api: Line
) -> list[Line]:
    """Judge what can be seen without the cluster; the destination waits for its switches."""
    lines = [verdicts.of_mode(decision), rules, api]
    if patient.options.state_path is not None:
        lines += _judge_keeping(patient, await _keeping(patient, None))
    return [*lines, verdicts.not_contacted("without the cluster's switches nothing is sent")]


async def _examine(cluster: _Cluster, rules: Line, clock: Line) -> tuple[Decision, list[Line]]:
    patient = cluster.patient
    switches = await cluster.ask(read_switches(cluster.client, cluster.options.namespaces))
    said = () if isinstance(switches, Refusal) else switches
    decision = decide((*patient.switches, *said), has_write_key=patient.has_write_key)
    may_read = not isinstance(switches, Refusal) and decision.mode is not Mode.OFF
    pods, keeping, lease, destination = await asyncio.gather(
        _pods(cluster),
        _keeping(patient, cluster.client),
        _lease(cluster),
        _destination(patient, decision.mode, is_known=not isinstance(switches, Refusal)),
    )
    found = [] if isinstance(pods, Refusal) else pods
    scope = _scope(patient, found)
    held, levels = await asyncio.gather(
        asyncio.gather(*(_held(cluster, right, scope) for right in RIGHTS)),
        _levels(cluster, found, keeping) if may_read else _nothing(),
    )
    around = _around(found, keeping, lease)
    return decision, [
        verdicts.of_mode(decision),
        rules,
        verdicts.of_api(None),
        clock,
        verdicts.of_switches(switches),
        *(verdicts.of_right(one, scope, around) for one in held if one.wanted),
        _judge_pods(pods, cluster.options),
        *levels,
        *_judge_keeping(patient, keeping),
        *_judge_lease(patient, lease),
        destination,
    ]


def _rules(patient: Patient) -> Line:
    try:
        ruleset = patient.load_rules()
    except RuleError as error:
        # What stands in a rule file is not repeated.
        first = error.problems[0]
        place = f"{first.place.path}:{first.place.line}"
        return verdicts.of_rule_faults(len(error.problems), first.code, place)
    return verdicts.of_rules(len(ruleset.rules), ruleset.digest)


async def _ask(asking: Awaitable[T], seconds: float) -> T | Refusal:
    try:
        async with asyncio.timeout(seconds):
            return await asking
    except TimeoutError:
        return NO_ANSWER
    except ApiError as error:
        return Refusal(error.status, error.reason)


async def _nothing() -> list[Line]:
    return []


# --- rights ---------------------------------------------------------------------------------------


def _scope(patient: Patient, pods: Iterable[Pod]) -> Scope:
    options = patient.options
    owners = {(pod.namespace, pod.owner.rpartition("-")[0]) for pod in pods if pod.owner}
    usual = ((namespace, USUAL_DEPLOYMENT) for namespace in options.namespaces)
    on_disk = options.state_path is not None
    return Scope(
        namespaces=options.namespaces,
        guessed=patient.guessed,
        deployments=tuple(sorted(one for one in owners if one[1])) or tuple(usual),
        state_namespace=options.state_namespace,
        state_names=() if on_disk else (*_state_names(options), options.installation_name),
        lease=options.lease_name,
        has_cluster_id=options.cluster_id != "none",
        switch_names=BOTKUBE_CONFIGS,
    )


async def _held(cluster: _Cluster, right: Right, scope: Scope) -> Held:
    """Ask for one right, all that it has to allow at a time."""
    wanted = actions(right, scope)
    answers = await asyncio.gather(*(_may(cluster, one) for one in wanted))
    refusal = next((one for one in answers if isinstance(one, Refusal)), None)
    pairs = zip(wanted, answers, strict=True)
    return Held(right, wanted, tuple(one for one, answer in pairs if answer is False), refusal)


async def _may(cluster: _Cluster, action: Action) -> bool | Refusal:
    async with cluster.turns:
        return await cluster.ask(
            may(
                cluster.client,
                action.verb,
                action.resource,
                group=action.group,
                namespace=action.namespace,
                name=action.name,
            )
        )


def _around(pods: Iterable[Pod], keeping: _Keeping, lease: LeaseFound | Refusal | None) -> Around:
    is_known = not keeping.trouble and not any(one.trouble for one in keeping.objects)
    has_objects = keeping.has_object and all(one.exists for one in keeping.objects)
    is_no_lease = isinstance(lease, Refusal) and lease.status == HTTPStatus.NOT_FOUND
    return Around(
        pods_in=frozenset(pod.namespace for pod in pods),
        has_state=has_objects if is_known else None,
        has_lease=True if isinstance(lease, LeaseFound) else False if is_no_lease else None,
        has_installation=keeping.installation is not None,
    )


# --- BotKube --------------------------------------------------------------------------------------


def _selections(options: Options) -> list[Selection]:
    return [
        Selection(namespace, selector, options.containers, options.node)
        for namespace in options.namespaces
        for selector in options.selectors
    ]


async def _pods(cluster: _Cluster) -> list[Pod] | Refusal:
    """Return the pods of all selections that may be listed, or why none of them was found."""
    answers = await asyncio.gather(
        *(cluster.ask(find_pods(cluster.client, [one])) for one in _selections(cluster.options))
    )
    pods = {pod.uid: pod for one in answers if not isinstance(one, Refusal) for pod in one}
    refusal = next((one for one in answers if isinstance(one, Refusal)), None)
    return list(pods.values()) if pods or refusal is None else refusal


def _running(pods: Iterable[Pod]) -> list[Container]:
    return [
        Container(pod.namespace, pod.name, pod.uid, one.name, one.container_id)
        for pod in pods
        for one in pod.containers
        if one.is_running
    ]


def _judge_pods(pods: Sequence[Pod] | Refusal, options: Options) -> Line:
    found = pods if isinstance(pods, Refusal) else (len(pods), len(_running(pods)))
    return verdicts.of_pods(found, namespaces=options.namespaces, node=options.node or "")


async def _levels(cluster: _Cluster, pods: Iterable[Pod], keeping: _Keeping) -> list[Line]:
    """Look at the end of the log of those of which State does not know that they log at debug."""
    documents = [document for one in keeping.objects if (document := states.read(one))]
    known = {key for one in documents for key, found in one.instances.items() if found.debug}
    containers = _running(pods)
    asked = [one for one in containers if one.key not in known]
    tails = await asyncio.gather(*(_level(cluster, one) for one in asked[:MAX_TAILS]))
    levels: list[tuple[str, Level | Refusal]] = [
        (f"{one.namespace}/{one.pod}", "debug") for one in containers if one.key in known
    ]
    names = (f"{one.namespace}/{one.pod}" for one in asked)
    levels += zip(names, tails, strict=False)
    return [verdicts.of_levels(levels, len(containers) - len(levels))] if levels else []


async def _level(cluster: _Cluster, container: Container) -> Level | Refusal:
    tail = await cluster.ask(
        read_tail(
            cluster.client,
            container,
            lines=TAIL_LINES,
            most_bytes=TAIL_BYTES,
            read_seconds=cluster.patient.check_seconds,
        )
    )
    return tail if isinstance(tail, Refusal) else level_of(tail)


# --- what is kept ---------------------------------------------------------------------------------


def _state_names(options: Options) -> list[str]:
    slots = [f"{options.state_name}-{index}" for index in range(options.slots)]
    return slots or [options.state_name]


async def _keeping(patient: Patient, client: Client | None) -> _Keeping:
    """Read all that is kept, and take part in nothing: no lock, no object is made."""
    options = patient.options
    stores: list[Store] = []
    if options.state_path is not None:
        path = options.state_path
        own: Store = FileStore(path.with_name(f"{path.stem}.installation.json"), is_owner=False)
        stores.append(FileStore(path, is_owner=False))
    else:
        assert client is not None
        at = options.state_namespace
        own = ConfigMapStore(client, at, options.installation_name, is_owner=False)
        stores += [ConfigMapStore(client, at, one, is_owner=False) for one in _state_names(options)]
    (installation, has_object, trouble), objects = await asyncio.gather(
        _installation(own, patient.check_seconds),
        asyncio.gather(*(_kept(one, patient.check_seconds) for one in stores)),
    )
    return _Keeping(tuple(objects), own.where, installation, has_object, trouble)


async def _kept(store: Store, seconds: float) -> Kept:
    try:
        stored = await _ask(store.load(), seconds)
    except StateError as error:
        return Kept(store.where, trouble=str(error))
    if isinstance(stored, Refusal):
        return Kept(store.where, trouble=f"cannot read {store.where}: {stored}")
    return Kept(store.where, stored.data, exists=bool(stored.version))


async def _installation(store: Store, seconds: float) -> tuple[Installation | None, bool, str]:
    try:
        found = await _ask(read_installation(store), seconds)
    except StateError as error:
        return None, False, str(error)
    if isinstance(found, Refusal):
        return None, False, f"cannot read {store.where}: {found}"
    return *found, ""


def _judge_keeping(patient: Patient, keeping: _Keeping) -> list[Line]:
    options, now = patient.options, int(patient.clock())
    found = keeping.installation
    limits = Limits(
        now_seconds=now,
        window_seconds=options.window_seconds,
        outbox_bytes=OUTBOX_BYTES,
        object_bytes=None if options.state_path is not None else MAX_OBJECT_BYTES,
        held_seconds=HELD_SECONDS,
    )

    def known(slot: str) -> int:
        return 0 if found is None else found.commits_of(slot)

    if options.slots:
        lines = states.of_slots(keeping.objects, limits, lambda index: known(str(index)))
    else:
        lines = [states.of_state(one, limits, known_commits=known("")) for one in keeping.objects]
    first = (0 if found is None else found.first_start_seconds, found is not None)
    judged = states.of_installation(
        keeping.trouble or first,
        keeping.where,
        now_seconds=now,
        quiet_seconds=options.quiet_period_seconds,
    )
    return [*lines, judged]


async def _lease(cluster: _Cluster) -> LeaseFound | Refusal | None:
    options = cluster.options
    if options.lease_name is None:
        return None
    seen = await cluster.ask(look(cluster.client, options.state_namespace, options.lease_name))
    if isinstance(seen, Refusal):
        return seen
    return LeaseFound(seen.holder, seen.renewed_seconds, seen.duration_seconds)


def _judge_lease(patient: Patient, found: LeaseFound | Refusal | None) -> list[Line]:
    options = patient.options
    where = f"Lease {options.state_namespace}/{options.lease_name}"
    now = patient.clock()
    return [] if found is None else [states.of_lease(found, where, now_seconds=now)]


# --- the destination ------------------------------------------------------------------------------


async def _destination(patient: Patient, mode: Mode, *, is_known: bool) -> Line:
    if not is_known:
        return verdicts.not_contacted("without the cluster's switches nothing is sent")
    if mode is not Mode.ON:
        why = "no write key is set" if mode is Mode.LOCAL else "a switch says off"
        return verdicts.not_contacted(why)
    origin = patient.options.destination
    async with open_session(patient.options.agent_version) as session:
        found = await reach(session, origin, seconds=patient.check_seconds)
    return verdicts.of_destination(origin, found)
