"""Which words each kind of destination is given, and what people are shown of them. Pure.

Owns that the two are the same bytes. Must not know how they are sent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.sink.calls import lines_of
from agent.sink.ga4 import GoogleAnalytics
from agent.sink.piwik_pro import PiwikPro
from agent.sink.posthog import PostHog
from agent.sink.segment import Segment

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.model import Batch
    from agent.sink.destination import Destination
    from agent.sink.wire import Translation


def translation_of(destination: Destination, agent_version: str) -> Translation | None:
    """Return the words of a service, None for what takes the events as they are."""
    match destination.kind:
        case "segment":
            return Segment(agent_version)
        case "posthog":
            return PostHog()
        case "ga4":
            return GoogleAnalytics(destination.site)
        case "piwik-pro":
            return PiwikPro(destination.site)
        case _:
            return None


def shown_by(destination: Destination) -> Callable[[Batch], bytes]:
    """Return what shows a batch: the bytes that leave, but for key and time, a line a request.

    Where a file or standard output takes them, it is a line an event.
    """
    translation = translation_of(destination, "")
    if translation is None:
        return lambda batch: lines_of(batch).rstrip(b"\n")
    return lambda batch: b"\n".join(translation.pieces(batch))
