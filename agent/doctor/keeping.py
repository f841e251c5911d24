"""What is kept as the doctor finds it: State or its slots, and the installation.

Reads and takes part in nothing: no lock is taken and no object is made. Must not know the pods,
the switches or the destination.
"""

from __future__ import annotations

import asyncio
from shlex import quote
from typing import TYPE_CHECKING

from attrs import frozen

from agent.counting import OUTBOX_BYTES
from agent.doctor import states
from agent.doctor.asking import ask
from agent.doctor.states import Kept, Limits, Trouble
from agent.doctor.verdicts import Line, Refusal
from agent.slots import HELD_SECONDS
from agent.state.configmap import MAX_OBJECT_BYTES, ConfigMapStore
from agent.state.disk import FileStore
from agent.state.installation import (
    FORMAT_VERSION,
    NewerInstallation,
    NoInstallation,
    read_installation,
)
from agent.state.store import StateError

if TYPE_CHECKING:
    from agent.options import Options
    from agent.source.api import Client
    from agent.state.installation import Installation
    from agent.state.store import Store

IMMUTABLE = "`immutable`, so no agent can write it"


@frozen
class Keeping:
    """State or its slots, and the installation and whether its object is there.

    `trouble` is why the installation cannot be read, and what to do about it; then nothing is known
    of its object.
    """

    objects: tuple[Kept, ...]
    where: str
    installation: Installation | None = None
    has_object: bool = False
    trouble: Trouble | None = None


def state_names(options: Options) -> list[str]:
    """Return the names of the State ConfigMaps: one, or one for each slot."""
    slots = [f"{options.state_name}-{index}" for index in range(options.slots)]
    return slots or [options.state_name]


async def read_keeping(options: Options, client: Client | None, seconds: float) -> Keeping:
    """Read all that is kept, each within its seconds; on disk no client is needed."""
    stores: list[Store] = []
    if options.state_path is not None:
        path = options.state_path
        own: Store = FileStore(path.with_name(f"{path.stem}.installation.json"), is_owner=False)
        stores.append(FileStore(path, is_owner=False))
    else:
        assert client is not None
        at = options.state_namespace
        own = ConfigMapStore(client, at, options.installation_name, is_owner=False)
        stores += [ConfigMapStore(client, at, one, is_owner=False) for one in state_names(options)]
    found, objects = await asyncio.gather(
        _installation(own, seconds), asyncio.gather(*(_kept(one, seconds) for one in stores))
    )
    if isinstance(found, Trouble):
        return Keeping(tuple(objects), own.where, trouble=found)
    return Keeping(tuple(objects), own.where, *found)


async def _kept(store: Store, seconds: float) -> Kept:
    try:
        stored = await ask(store.load(), seconds)
    except StateError as error:
        return Kept(store.where, trouble=str(error))
    if isinstance(stored, Refusal):
        return Kept(store.where, trouble=f"cannot read {store.where}: {stored}")
    frozen_fix = _making_anew(store)
    if frozen_fix:
        return Kept(store.where, trouble=f"{store.where} is {IMMUTABLE}", fix=frozen_fix)
    emptying = _emptying(store)
    return Kept(store.where, stored.data, exists=bool(stored.version), emptying=emptying)


def _making_anew(store: Store) -> str:
    """Return how to make an object anew that was read and can never be written; else nothing."""
    if not (isinstance(store, ConfigMapStore) and store.is_immutable):
        return ""
    kubectl, name = f"kubectl -n {store.namespace}", f"configmap {store.name}"
    anew = f"{kubectl} get {name} -o yaml | sed '/^immutable:/d' | {kubectl} replace --force -f -"
    return f"delete it and make it anew, with what stands in it: {anew}"


def _emptying(store: Store) -> str:
    """Return the command that takes its data away; a ConfigMap stays, as the Role names it."""
    if isinstance(store, ConfigMapStore):
        patch = """--type merge --patch '{"binaryData":null}'"""
        return f"kubectl -n {store.namespace} patch configmap {store.name} {patch}"
    return f"rm {quote(store.where)}"


async def _installation(store: Store, seconds: float) -> tuple[Installation | None, bool] | Trouble:
    # Offered for what was read alone: whoever may not look would empty an installation that works.
    anew = f"for a new id: {_emptying(store)}"
    unread = "see the rights, and the API server's line"
    try:
        found = await ask(read_installation(store), seconds)
    except NewerInstallation:
        says = f"{store.where} has a newer format than {FORMAT_VERSION}, which this release reads"
        fix = f"use the release that wrote it, or, {anew}"
        return Trouble(says, fix)
    except NoInstallation as error:
        return Trouble(str(error), f"put a copy back, or, {anew}")
    except StateError as error:
        return Trouble(str(error), unread)
    if isinstance(found, Refusal):
        return Trouble(f"cannot read {store.where}: {found}", unread)
    frozen_fix = _making_anew(store)
    return Trouble(f"{store.where} is {IMMUTABLE}", frozen_fix) if frozen_fix else found


def judge_keeping(
    keeping: Keeping,
    options: Options,
    now_seconds: int,
    *,
    may_create: bool = True,
    looked: tuple[str, ...] = (),
) -> list[Line]:
    """Return a line for State or for all slots, and one for the installation.

    `looked` are the namespaces in which no installation was found, where it was looked for.
    """
    found = keeping.installation
    limits = Limits(
        now_seconds=now_seconds,
        window_seconds=options.window_seconds,
        outbox_bytes=OUTBOX_BYTES,
        object_bytes=None if options.state_path is not None else MAX_OBJECT_BYTES,
        held_seconds=HELD_SECONDS,
        may_create=may_create,
        looked=looked,
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
        limits,
        quiet_seconds=options.quiet_period_seconds,
        exists=keeping.has_object,
        was_started=any(one.data is not None for one in keeping.objects),
    )
    return [*lines, judged]
