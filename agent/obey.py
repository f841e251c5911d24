"""What an off does to what is stored: all that is unsent is discarded, and none of it counts later.

Owns the order: the installation is told first, because by it a State that cannot be marked just
then is known to have missed an off. Must not know what the switches are, nor what is read or sent.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from agent.state import installation as installations
from agent.state.document import DocumentError, decode
from agent.streams import note_off

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from agent.ledger.ledger import Ledger
    from agent.lookout import Lookout
    from agent.state.keeper import Keeper
    from agent.state.store import Store


async def note_owed(lookout: Lookout, installation: Store) -> None:
    """Tell the installation of the off that is owed. Raises `StateError`.

    It is paid if that was taken back since it was first told: somebody else has obeyed it.
    """
    assert lookout.owed_since is not None
    noted = await installations.note_off(
        installation, now_seconds=lookout.owed_since, noted=lookout.noted
    )
    if noted is None:
        lookout.pay()
    else:
        lookout.noted = noted


async def pay_owed(
    lookout: Lookout,
    installation: Store,
    keepers: Iterable[Keeper],
    ledger: Ledger,
    *,
    window_seconds: int,
) -> None:
    """Mark the installation and every State as off, if an off is owed. Raises `StateError`."""
    if lookout.owed_since is not None:
        await note_owed(lookout, installation)
    since = lookout.owed_since
    if since is None:
        return
    for keeper in keepers:
        await keeper.load(window_seconds=window_seconds)
        if keeper.document.off_seconds is None:
            discarded = note_off(keeper.document, keeper.new_id(), now_seconds=since)
            ledger.discard(discarded, why="switched_off", now_seconds=since)
            await keeper.commit(now_seconds=since, before_encode=lambda _document: None)
    await ledger.save()
    lookout.pay()


async def is_marked(stores: Sequence[Store]) -> bool:
    """Whether a State is marked as off. Raises `StateError`."""
    for store in stores:
        stored = await store.load()
        with suppress(DocumentError):
            if stored.data is not None and decode(stored.data).off_seconds is not None:
                return True
    return False
