"""Asks what the doctor judges: bounded in time, changes nothing, and reads no log while off.

Owns the order. A local switch that says off: nothing is contacted. The switches in the cluster
come before any log and before the destination, as they do for the agent itself. What has no answer
within its seconds is a finding, too.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from functools import partial
from http import HTTPStatus
from itertools import product
from typing import TYPE_CHECKING, TypeVar

from attrs import evolve, field, frozen

from agent.doctor import states, verdicts
from agent.doctor.asking import ask
from agent.doctor.elsewhere import find_home, open_ones
from agent.doctor.keeping import Keeping, judge_keeping, read_keeping, state_names
from agent.doctor.levels import level_of
from agent.doctor.rights import RIGHTS, Scope, Where, actions
from agent.doctor.states import LeaseFound
from agent.doctor.verdicts import Around, Held, Line, Refusal
from agent.model import Container
from agent.modes import Mode, decide
from agent.rules import RuleError
from agent.sink.http import open_session
from agent.sink.reach import reach
from agent.source.api import Client, NoCluster
from agent.source.discovery import Selection, find_pods
from agent.source.identity import release, version_of
from agent.source.podlogs import read_tail
from agent.source.rights import may
from agent.source.switches import (
    FIRST_WITH_OPT_OUT,
    analytics_config,
    opt_out_configs,
    read_switches,
)
from agent.state.lease import look

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

    from agent.doctor.levels import Level
    from agent.doctor.rights import Action, Right
    from agent.modes import Decision, Switch
    from agent.options import Options
    from agent.rules import RuleSet
    from agent.source.discovery import Pod

T = TypeVar("T")

CHECK_SECONDS = 5.0
AT_A_TIME = 16
MAX_TAILS = 8
TAIL_LINES = 500
TAIL_BYTES = 256 * 1024


@frozen
class Patient:
    """The installation that is looked at. `guessed` are namespaces that no setting names.

    Of an agent that runs elsewhere those are left out into which the account may not look, and
    `homes` are where it may run, the likeliest first, if no setting says it. `looked` are those of
    them, if none has its installation.
    """

    options: Options
    switches: tuple[Switch, ...]
    has_destination: bool
    load_rules: Callable[[], RuleSet]
    clock: Callable[[], float]
    guessed: frozenset[str] = frozenset()
    is_elsewhere: bool = False
    homes: tuple[str, ...] = ()
    looked: tuple[str, ...] = ()
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
        return await ask(asking, self.patient.check_seconds)


async def examine(patient: Patient) -> tuple[Decision, list[Line]]:
    """Return the mode, the cluster's switches included, and a line for each check."""
    local = decide(patient.switches, has_destination=patient.has_destination)
    if local.mode is Mode.OFF:
        return local, [verdicts.of_mode(local)]
    rules, ruleset = await asyncio.to_thread(_rules, patient)
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
        placed = await _placed(cluster)
        return await _examine(placed, clock, rules=rules, ruleset=ruleset)


async def _placed(cluster: _Cluster) -> _Cluster:
    """Put a guess where an agent is that runs elsewhere."""
    patient = cluster.patient
    options = patient.options
    may = partial(_may, cluster)
    home = await find_home(
        cluster.client,
        patient.homes,
        options.installation_name,
        may=may,
        seconds=patient.check_seconds,
    )
    if patient.is_elsewhere and patient.guessed:
        kept = await open_ones(options.namespaces, may, home=home.namespace)
        options = evolve(options, namespaces=kept)
        patient = evolve(patient, guessed=frozenset(kept))
    if patient.homes:
        where = home.guess(patient.homes, options.namespaces)
        options = evolve(options, state_namespace=where)
        patient = evolve(patient, looked=() if home.namespace else patient.homes)
    return evolve(cluster, patient=evolve(patient, options=options))


async def _open(patient: Patient, stack: AsyncExitStack) -> Client | Line:
    opening = Client(patient.options.access, f"botkube-analytics/{patient.options.agent_version}")
    try:
        found = await ask(stack.enter_async_context(opening), 2 * patient.check_seconds)
    except NoCluster as error:
        return verdicts.of_api(None, str(error))
    return verdicts.of_api(found) if isinstance(found, Refusal) else found


async def _examine_alone(
    patient: Patient, decision: Decision, rules: Line, api: Line
) -> list[Line]:
    """Judge what can be seen without the cluster; the destination waits for its switches."""
    lines = [verdicts.of_mode(decision), rules, api]
    if patient.options.state_path is not None:
        keeping = await read_keeping(patient.options, None, patient.check_seconds)
        lines += judge_keeping(keeping, patient.options, int(patient.clock()))
    return [*lines, verdicts.not_contacted("without the cluster's switches nothing is sent")]


async def _examine(
    cluster: _Cluster, clock: Line, *, rules: Line, ruleset: RuleSet | None
) -> tuple[Decision, list[Line]]:
    patient = cluster.patient
    options = patient.options
    switches = await cluster.ask(
        read_switches(cluster.client, options.namespaces, options.deployments, options.selectors)
    )
    said = () if isinstance(switches, Refusal) else switches
    decision = decide((*patient.switches, *said), has_destination=patient.has_destination)
    may_read = not isinstance(switches, Refusal) and decision.mode is not Mode.OFF
    pods, keeping, lease, destination = await asyncio.gather(
        _pods(cluster),
        read_keeping(patient.options, cluster.client, patient.check_seconds),
        _lease(cluster),
        _destination(patient, decision.mode, is_known=not isinstance(switches, Refusal)),
    )
    found = [] if isinstance(pods, Refusal) else pods
    scope = _scope(patient, found)
    held, levels = await asyncio.gather(
        asyncio.gather(*(_held(cluster, right, scope) for right in RIGHTS)),
        _levels(cluster, found, keeping) if may_read else _nothing(),
    )
    around = _around(found, keeping, lease, has_versions=_has_versions(found, ruleset))
    return decision, [
        verdicts.of_mode(decision),
        rules,
        verdicts.of_api(None),
        clock,
        verdicts.of_switches(switches, sorted(_unnamed(found, options, ruleset))),
        *(verdicts.of_right(one, scope, around) for one in held if one.wanted),
        _judge_pods(pods, cluster.options),
        *levels,
        *judge_keeping(
            keeping,
            patient.options,
            int(patient.clock()),
            may_create=_may_create(held),
            looked=patient.looked,
        ),
        *_judge_lease(patient, lease),
        destination,
    ]


def _rules(patient: Patient) -> tuple[Line, RuleSet | None]:
    try:
        ruleset = patient.load_rules()
    except RuleError as error:
        # What stands in a rule file is not repeated.
        first = error.problems[0]
        place = f"{first.place.path}:{first.place.line}"
        return verdicts.of_rule_faults(len(error.problems), first.code, place), None
    return verdicts.of_rules(len(ruleset.rules), ruleset.digest), ruleset


async def _nothing() -> list[Line]:
    return []


# --- rights ---------------------------------------------------------------------------------------


def _scope(patient: Patient, pods: Iterable[Pod]) -> Scope:
    options = patient.options
    usual = product(options.namespaces, options.deployments)
    on_disk = options.state_path is not None
    return Scope(
        namespaces=options.namespaces,
        guessed=patient.guessed,
        has_home=not patient.looked,
        deployments=tuple(sorted(_deployments(pods))) or tuple(usual),
        state_namespace=options.state_namespace,
        state_names=() if on_disk else tuple(state_names(options)),
        installation=None if on_disk else options.installation_name,
        lease=options.lease_name,
        has_cluster_id=options.cluster_id != "none",
        switch_names=opt_out_configs(options.deployments),
        id_names=tuple(map(analytics_config, options.deployments)),
    )


def _deployments(pods: Iterable[Pod]) -> set[tuple[str, str]]:
    """Return namespace and name of the Deployments that pods are of."""
    owners = ((pod.namespace, pod.owner.rpartition("-")[0]) for pod in pods)
    return {one for one in owners if one[1]}


def _unnamed(pods: Iterable[Pod], options: Options, ruleset: RuleSet | None) -> set[str]:
    """Return the Deployments with an opt-out of their own of which no setting tells."""
    with_opt_out = (one for one in pods if not _is_older(one, ruleset))
    return {name for _, name in _deployments(with_opt_out)} - {*options.deployments}


def _is_older(pod: Pod, ruleset: RuleSet | None) -> bool:
    """Whether a pod is known to be of a BotKube from before it had an opt-out."""
    found = [ruleset and version_of(one, ruleset) for one in pod.containers]
    return bool(found) and all(one and release(one) < FIRST_WITH_OPT_OUT for one in found)


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


def _may_create(held: Iterable[Held]) -> bool:
    return not any(one.missing for one in held if one.right.where is Where.NEW_STATE)


def _has_versions(pods: Iterable[Pod], ruleset: RuleSet | None) -> bool:
    """Whether no Deployment need be asked for BotKube's version; of no pod nothing is known."""
    containers = [container for pod in pods for container in pod.containers]
    if ruleset is None or not containers:
        return False
    return all(version_of(one, ruleset) is not None for one in containers)


def _around(
    pods: Iterable[Pod],
    keeping: Keeping,
    lease: LeaseFound | Refusal | None,
    *,
    has_versions: bool,
) -> Around:
    is_known = not keeping.trouble and not any(one.trouble for one in keeping.objects)
    has_objects = keeping.has_object and all(one.exists for one in keeping.objects)
    is_no_lease = isinstance(lease, Refusal) and lease.status == HTTPStatus.NOT_FOUND
    return Around(
        pods_in=frozenset(pod.namespace for pod in pods),
        has_state=has_objects if is_known else None,
        has_lease=True if isinstance(lease, LeaseFound) else False if is_no_lease else None,
        has_installation=keeping.installation is not None,
        has_versions=has_versions,
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


async def _levels(cluster: _Cluster, pods: Iterable[Pod], keeping: Keeping) -> list[Line]:
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


# --- the lease ------------------------------------------------------------------------------------


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
    destination = patient.options.destination
    if not destination.origin:
        return verdicts.not_contacted(f"{destination.name} is on no network")
    async with open_session(patient.options.agent_version) as session:
        found = await reach(session, destination.origin, seconds=patient.check_seconds)
    return verdicts.of_destination(destination.origin, found)
