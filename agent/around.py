"""What stands around the events at each kind of destination, beside what the rules declare. Pure.

Owns the plan's list of it for those that are not Segment; Segment's stands with all that is sealed.
Must not know how a batch is translated; a test compares the two.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from agent.disclosure import CALL, REQUEST, Disclosure

if TYPE_CHECKING:
    from collections.abc import Iterable

_call, _request = partial(Disclosure, CALL), partial(Disclosure, REQUEST)
_maybe = partial(Disclosure, CALL, is_optional=True)
_WHO = "Which installation: a random number."
_DERIVED = "Which installation: made of its random number."
_WHICH = "Which event, so that repeats can be found."
_NAMES = "Which of the events above, or `Installation described`, `Cluster described`."
_END = "The end of the window, or the day."
_CLUSTER = _maybe("cluster_id", "uuid", tells="Which cluster: see `groupId`.")
_PARTS = (
    _maybe("part", "number", tells="Which part of an event that does not fit into one."),
    _maybe("parts", "number", tells="Of how many."),
)

_AROUND: Final = {
    "posthog": (
        _call("event", "told", tells=_NAMES),
        _call("distinct_id", "uuid", tells=_WHO),
        _call("uuid", "uuid", tells=_WHICH),
        _call("timestamp", "boundary", tells=_END),
        _call("$ip", "words", ("0.0.0.0",), tells="Nothing."),  # noqa: S104 bound to nothing
        _call("$geoip_disable", "words", (True,)),
        _call("$process_person_profile", "words", (False,)),
        _call("$lib", "words", ("botkube-analytics",)),
        _CLUSTER,
    ),
    "ga4": (
        _call("name", "told", tells=_NAMES),
        _call("installation_id", "uuid", tells=_WHO),
        _call("message_id", "uuid", tells=_WHICH),
        _call("session_id", "number", tells=_END),
        _call("engagement_time_msec", "words", (1,), tells="Nothing."),
        *_PARTS,
        _CLUSTER,
        _request("client_id", "hash", tells=_DERIVED),
        Disclosure(REQUEST, "timestamp_micros", "number", tells=_END, is_optional=True),
        _request("consent.ad_user_data", "words", ("DENIED",)),
        _request("consent.ad_personalization", "words", ("DENIED",)),
    ),
    "piwik-pro": (
        _call("idsite", "setting", tells="Whose account it is."),
        *(_call(name, "words", (1,)) for name in ("rec", "bots", "uia")),
        _call("send_image", "words", (0,)),
        _call("cip", "words", ("0.0.0.0",), tells="Nothing."),  # noqa: S104 bound to nothing
        _call("_id", "hash", tells=_DERIVED),
        _call("cdt", "number", tells=_END),
        _call("url", "told", tells="All properties of the event, under an address of nobody."),
        _call("message_id", "uuid", tells=_WHICH),
        _call("e_c", "told", tells=_NAMES),
        _call("e_a", "told", tells="The words of the event's own properties."),
        _call("e_n", "told", tells="Which BotKube runs."),
        _maybe("e_v", "count", tells="How often, in this window."),
        *_PARTS,
        _CLUSTER,
    ),
}


def around(found: Iterable[Disclosure], kind: str) -> tuple[Disclosure, ...]:
    """Return what can leave for a kind of destination: the events, and what stands around them."""
    if kind == "segment":
        return tuple(found)
    if kind not in _AROUND:
        # Files and standard output get the calls as they were sealed, and no request.
        return tuple(one for one in found if one.event != REQUEST)
    return (*_AROUND[kind], *(one for one in found if one.event not in {CALL, REQUEST}))
