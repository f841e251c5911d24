"""As a DaemonSet: a fixed number of State objects, of which each replica owns at most one.

Owns which slot a replica may take. A slot is claimed only while a pod of BotKube is on the node, so
that their number tells nothing of the number of nodes, and never from a node whose pods still
exist. Must not know what is read or sent; the claim is fenced by the write that follows it.
"""

from __future__ import annotations

from contextlib import suppress
from enum import IntEnum
from typing import TYPE_CHECKING
from uuid import UUID, uuid5

from attrs import field, frozen

from agent.aggregate import Instance
from agent.state.document import Document, DocumentError, NewerFormat, decode, pods_of
from agent.state.store import Conflict, StateError
from agent.streams import begin_stream

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from agent.state.keeper import Keeper
    from agent.state.store import Store

HELD_SECONDS = 1800
"""How long a slot is its holder's after the last write; ordinary commits renew it."""

_HOLDERS = UUID("5b0f4c1e-2f0d-4b57-9a39-0d5cf4f7a3c1")


class Claim(IntEnum):
    """Why a slot may be claimed, the best reason last."""

    NEVER = 0
    EMPTY = 1
    """Nothing is in it that would have to be finished."""
    LEFT = 2
    """Its pods no longer exist: its windows and outbox are to be finished."""
    LOST = 3
    """It was written and is not there, or is an older copy: it may have been this node's."""
    OURS = 4
    """This node held it before."""
    READ_HERE = 5
    """It has cursors of pods on this node."""


@frozen
class Node:
    """This replica's node, and the node of every pod of BotKube there is, by uid.

    `ended` is the node of the container instances of pods that have ended, by key.
    """

    name: str
    nodes: Mapping[str, str]
    ended: Mapping[str, str] = field(factory=dict)

    @property
    def holder(self) -> str:
        """Who holds the slots of this node: a hash of its name, the same after a restart."""
        return str(uuid5(_HOLDERS, self.name))


async def choose_slot(
    stores: Sequence[Store], known: Sequence[int], node: Node, *, now_seconds: int
) -> int:
    """Return the index of the slot to claim, the first of the best. Raises `StateError`.

    `known` is how often each slot is known to have been written.
    """
    claims: list[Claim] = []
    for store, commits in zip(stores, known, strict=True):
        stored = await store.load()
        document: Document | None = None
        try:
            document = decode(stored.data) if stored.data is not None else None
        except NewerFormat:
            claims.append(Claim.NEVER)
            continue
        except DocumentError:
            pass  # it is as good as empty: whoever takes it says that State was lost
        is_lost = commits > (0 if document is None else document.commits)
        claim = claim_of(document, node, now_seconds=now_seconds)
        claims.append(Claim.LOST if is_lost and claim is not Claim.NEVER else claim)
    best = max(claims)
    if best is Claim.NEVER:
        what = (
            f"none of the {len(stores)} state slots is free; raise `state.slots`, and let the "
            "ConfigMaps and the Role name as many"
        )
        raise StateError(what)
    return claims.index(best)


async def is_unfinished(stores: Sequence[Store], node: Node, *, now_seconds: int) -> bool:
    """Whether a slot of this node's holds what is to be closed or sent. Raises `StateError`."""
    for store in stores:
        stored = await store.load()
        with suppress(DocumentError):
            found = decode(stored.data) if stored.data is not None else None
            claim = claim_of(found, node, now_seconds=now_seconds)
            if found is not None and claim is Claim.OURS and not _is_empty(found):
                return True
    return False


def take_slot(keeper: Keeper, node: Node, stream: str, *, now_seconds: int) -> bool:
    """Make a slot that was loaded this node's; return whether nobody's counting goes on in it.

    Raises `Conflict` if another agent claimed it since it was chosen.
    """
    found = None if keeper.is_new else keeper.document
    claim = claim_of(found, node, now_seconds=now_seconds)
    if claim is Claim.NEVER:
        what = f"{keeper.store.where} was claimed by another agent"
        raise Conflict(what)
    if claim is Claim.EMPTY:
        begin_stream(keeper.document, stream)
    if claim in {Claim.EMPTY, Claim.LEFT}:
        # The slot in which they were counted was given back: they are not read once more.
        for key in (key for key, where in node.ended.items() if where == node.name):
            keeper.document.instances.setdefault(key, Instance(ended_seconds=1))
    keeper.document.holder = node.holder
    return claim is Claim.EMPTY


def claim_of(document: Document | None, node: Node, *, now_seconds: int) -> Claim:
    """Return why this node may claim a slot as it stands now, if it may."""
    if document is None:
        return Claim.EMPTY
    uids = pods_of(document)
    if any(node.nodes.get(uid) == node.name for uid in uids):
        return Claim.READ_HERE
    if document.holder == node.holder:
        return Claim.OURS
    is_held = bool(document.holder) and now_seconds < document.saved_seconds + HELD_SECONDS
    if is_held or uids & node.nodes.keys():
        return Claim.NEVER
    return Claim.EMPTY if _is_empty(document) else Claim.LEFT


def _is_empty(document: Document) -> bool:
    return not (pods_of(document) or document.windows.open or document.outbox)
