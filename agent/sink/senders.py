"""What sends to each kind of destination.

Owns which class that is. Must not know settings, or when to send.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from agent.sink.destination import Promise
from agent.sink.http import HttpSender
from agent.sink.ndjson import FileSender, StandardOutput
from agent.sink.translations import translation_of

if TYPE_CHECKING:
    import aiohttp

    from agent.sink.destination import Destination
    from agent.sink.wire import SendWhile


def make_sender(
    destination: Destination, session: aiohttp.ClientSession, *, key: str, agent_version: str
) -> SendWhile:
    """Return what sends, for one run. Raises `WriteKeyError` where there has to be a key."""
    may_repeat = destination.promise is not Promise.AT_MOST_ONCE
    translation = translation_of(destination, agent_version)
    if translation is not None:
        return HttpSender(session, destination.endpoint, key, translation, may_repeat).send
    if destination.kind == "file":
        return FileSender(Path(destination.path)).send
    return StandardOutput(may_repeat).send
