"""What happens before anything is read: the switches, the identity, and the claim of State.

Owns that order, which privacy and the fence rest on: no id is chosen and no log is opened before a
switch in the cluster could say off, and nothing is read or sent before this process's epoch stands
in State. Must not know containers, windows or the destination.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from attrs import frozen

from agent.containers import MAX_FOLLOWS, warn_missing
from agent.counting import Counting
from agent.model import Identity
from agent.obey import is_marked, pay_owed
from agent.sink.translations import shown_by
from agent.slots import take_slot
from agent.source import identity as identities
from agent.source.api import ApiError, Client
from agent.start import is_first_start, start_of
from agent.state import installation as installations
from agent.state.keeper import Keeper
from agent.state.store import Conflict
from agent.stores import InTime, find_store, stores_of
from agent.withholding import review

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine
    from contextlib import AsyncExitStack

    from agent.ledger.ledger import Ledger
    from agent.lookout import Lookout
    from agent.options import Options, World
    from agent.rules import RuleSet
    from agent.state.installation import Installation
    from agent.state.store import Store

log = logging.getLogger(__name__)

T = TypeVar("T")

NOTE_SECONDS = 0.5
READ_SECONDS = 2.0
"""How long it may take to read whether an off was missed, without which nothing is sent."""

TAKE_BACK_SECONDS = 10.0
"""How long what must be noted of an off may take; nothing is read or sent meanwhile."""

MAX_TAKE_OVERS = 5
"""How often a starting agent claims State anew because another one has just written it."""


class SwitchedOff(Exception):  # noqa: N818 says what happened
    """A switch in the cluster says off; what was unsent is discarded."""


@frozen
class Begun:
    """What a run goes on with; `note` tells the installation how far State has come.

    `note` raises `SwitchedOff` if another replica has noted an off there since, `StateError` if
    that cannot be read.
    `later` is the clock by which all goes before which nothing counts.
    """

    client: Client
    counting: Counting
    keeper: Keeper
    note: Callable[[], Awaitable[object]]
    later: Callable[[], float]


async def unless(stop: asyncio.Event, beginning: Coroutine[None, None, T]) -> T | None:
    """Wait for a beginning, unless the stop comes first."""
    begin = asyncio.ensure_future(beginning)
    stopping = asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait({begin, stopping}, return_when=asyncio.FIRST_COMPLETED)
        return begin.result() if begin.done() else None
    finally:
        for task in (begin, stopping):
            task.cancel()
        await asyncio.gather(begin, stopping, return_exceptions=True)


async def begin(
    options: Options,
    ruleset: RuleSet,
    world: World,
    stack: AsyncExitStack,
    ledger: Ledger,
    *,
    sends: bool,
    lookout: Lookout,
    check: Callable[[], None],
    standing_since: float | None = None,
    saw_none: bool = False,
) -> Begun:
    """Look at the switches, find out who this is, claim State, and look again, in this order.

    `standing_since` is when this process began to wait for its turn, by the clock that nobody sets:
    while it waited, the agent was not stopped. `saw_none` is whether no pod of BotKube was there
    then.

    Raises `NoCluster`, `StateError`, `ApiError` where it cannot begin, `SwitchedOff`, and what
    `check` raises.
    """
    user_agent = f"botkube-analytics/{options.agent_version}"
    client = await stack.enter_async_context(Client(options.access, user_agent, MAX_FOLLOWS + 50))
    now = int(world.clock())
    since = world.monotonic() if standing_since is None else standing_since
    waited = int(world.monotonic() - since)
    stores, installation_store = stores_of(options, client)
    # A beginning that fails is tried again, and must not meet its own lock.
    for store in stores:
        stack.callback(store.close)

    def keep(store: Store) -> Keeper:
        return Keeper(store, lambda: str(world.new_uuid()), lambda: world.new_bytes(32))

    async def obey() -> None:
        is_off = await lookout.look(client, options, now_seconds=now)
        # An off that stands, and one that was seen before.
        await pay_owed(
            lookout,
            installation_store,
            map(keep, stores),
            ledger,
            window_seconds=options.window_seconds,
        )
        if is_off:
            raise SwitchedOff

    # Before any log is read, and before an id is chosen.
    await obey()
    for one in lookout.unreadable:
        if one.right:
            warn_missing(one.name, one.right)

    async def choose_id() -> str:
        own = await identities.find_installation_id(
            client, options.namespaces, options.deployments, missing=warn_missing
        )
        return own or str(world.new_uuid())

    later = await _later_clock(client, world)
    # After the switches were read: until then one may have said off.
    now, latest, waited_in_all = int(world.clock()), int(later()), int(world.monotonic() - since)
    installation = await installations.load_installation(
        installation_store,
        choose_id=choose_id,
        now_seconds=latest,
        withholding=review(None, ruleset, now_seconds=latest, quiet_seconds=0),
        was_off=partial(is_marked, stores),
    )
    withholding = review(
        installation.withholding,
        ruleset,
        now_seconds=latest,
        quiet_seconds=options.quiet_period_seconds,
    )
    minor, distribution = await identities.find_kubernetes(client, ruleset, missing=warn_missing)
    identity = Identity(
        installation.id,
        await identities.find_cluster_id(client, kind=options.cluster_id, missing=warn_missing),
        minor,
        distribution,
    )
    quiet_until = installation.first_start_seconds + options.quiet_period_seconds
    is_first = is_first_start(
        installation, has_slots=bool(options.slots), sends=sends, now_seconds=latest
    )

    async def take_over() -> tuple[str, Keeper, Counting]:
        slot, store, node = await find_store(options, client, stores, installation, now_seconds=now)
        keeper, known_commits = keep(store), installation.commits_of(slot)
        await keeper.load(window_seconds=options.window_seconds, known_commits=known_commits)
        is_fresh = keeper.is_new
        if node is not None:
            is_fresh = take_slot(keeper, node, str(world.new_uuid()), now_seconds=now)
        start = start_of(
            is_lost=keeper.was_unreadable or (keeper.is_new and known_commits > 0),
            is_fresh=is_fresh,
            was_written=known_commits > 0,
            is_first=is_first,
            waited_seconds=waited if node is not None and saw_none else None,
        )
        counting = Counting(
            keeper.document,
            ruleset,
            identity,
            options.agent_version,
            sends,
            ledger,
            minimum=options.minimum,
            withholding=withholding,
            show=shown_by(options.destination),
        )
        counting.begin(
            now_seconds=now,
            latest_seconds=latest,
            window_seconds=options.window_seconds,
            count_from=quiet_until if options.quiet_period_seconds else 0,
            waited_seconds=waited_in_all,
            start=start,
            not_before=installation.not_before,
            off_noted=installation.off_noted,
            was_off=installation.is_off
            # Where nothing says otherwise it may have been `local` here, too.
            or (sends and installation.sends is False and keeper.document.sends is not False),
            new_stream=lambda: str(world.new_uuid()),
            # A replica that started at the same moment may have begun State since.
            is_new_installation=installation.is_new
            and keeper.document.saved_seconds < installation.first_start_seconds,
        )
        # The epoch stands before anything is read or sent: from here on others are fenced.
        check()
        await keeper.commit(now_seconds=now, before_encode=lambda _document: None)
        return slot, keeper, counting

    # Of several replicas that want a slot at once, each round lets one have one.
    for _attempt in range(MAX_TAKE_OVERS + options.slots - 1):
        # An agent that still runs may commit between our look and our claim: then look again.
        with suppress(Conflict):
            slot, keeper, counting = await take_over()
            break
    else:
        slot, keeper, counting = await take_over()
    note = partial(_note, installation_store, slot, keeper, counting, later)
    went_by = await note(installation, begins=True)
    counting.go_by(went_by.not_before, went_by.off_noted)
    # What stood between the first look and this may have taken long; the tasks start at once.
    await obey()
    return Begun(client, counting, keeper, partial(note, went_by), later)


async def _later_clock(client: Client, world: World) -> Callable[[], float]:
    """Return a clock that tells our time or the API server's, whichever is later.

    The stamps of lines are of other clocks. If ours is behind, what was written before a boundary
    that went by it would be stamped after it; and a boundary must not come earlier once it is set.
    """
    asked = world.monotonic()
    try:
        date = await client.read_date("/version")
    except ApiError as error:
        if error.status not in identities.REFUSALS:
            raise
        # Who may not ask for the version is told the time all the same.
        date = error.date_seconds
    if date is None:
        return world.clock
    ahead = date - asked
    return lambda: max(world.clock(), world.monotonic() + ahead)


async def _note(
    store: Store,
    slot: str,
    keeper: Keeper,
    counting: Counting,
    clock: Callable[[], float],
    went_by: Installation,
    *,
    begins: bool = False,
) -> Installation:
    """Tell the installation how often State was written, and which series are acknowledged.

    Return what this process goes by from then on.

    By the one an older copy is recognised. What could not be noted is withheld anew at next start.
    But an off that is over must be taken back before anything is counted, which the next start
    would else discard. Raises `SwitchedOff` for one that was missed, `StateError` for one that
    stays, and where nobody knows whether one was missed.
    """
    turns_on = counting.sends and went_by.sends is False
    takes_back = begins and (went_by.is_off or turns_on)
    try:
        noted = await installations.note(
            InTime(
                store,
                TAKE_BACK_SECONDS if begins else READ_SECONDS,
                TAKE_BACK_SECONDS if takes_back else NOTE_SECONDS,
            ),
            slot=slot,
            commits=keeper.committed,
            withholding=counting.withholding,
            sends=counting.sends,
            now_seconds=int(clock()),
            went_by=went_by,
            begins=begins,
        )
    except installations.NotWritten as error:
        if takes_back:
            raise
        log.warning("installation cannot be written", extra={"why": str(error)})
        return went_by
    if noted is None:
        raise SwitchedOff
    return noted
