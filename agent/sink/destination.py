"""What a destination is: which kinds there are, what each needs, where it is and what it promises.

Owns these facts for settings, status, plan and doctor. Must not know HTTP or what a batch holds.
Pure.
"""

from __future__ import annotations

import re
from enum import StrEnum
from hashlib import blake2b
from posixpath import normpath
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from attrs import field, frozen

from agent.sink.endpoint import REGIONS

if TYPE_CHECKING:
    from collections.abc import Mapping

SEGMENT: Final = "segment"
AT_LEAST_ONCE: Final = "at-least-once"
AT_MOST_ONCE: Final = "at-most-once"


class Promise(StrEnum):
    """How often what is counted once arrives."""

    EXACTLY_ONCE = "exactly once"
    AT_LEAST_ONCE = "at least once"
    AT_MOST_ONCE = "at most once"


@frozen
class Kind:
    """One kind of destination.

    `regions` are base URLs by region; without any the endpoint has to be given, or there is none.
    `needs` are the settings without which it cannot work, beside the key, `forms` what a value of
    them looks like. `drops_repeats` is whether it, or what reads it, knows what it has already.
    """

    title: str
    drops_repeats: bool
    key: str = ""
    regions: Mapping[str, str] = field(factory=dict)
    needs: Mapping[str, str] = field(factory=dict)
    forms: Mapping[str, re.Pattern[str]] = field(factory=dict)
    path: str = ""


KINDS: Final[Mapping[str, Kind]] = {
    SEGMENT: Kind(
        "Segment, RudderStack, Jitsu",
        key="the source's write key",
        regions=REGIONS,
        drops_repeats=True,
        path="/v1/batch",
    ),
    "posthog": Kind(
        "PostHog",
        key="the project key",
        regions={"us": "https://us.i.posthog.com", "eu": "https://eu.i.posthog.com"},
        drops_repeats=True,
        path="/batch/",
    ),
    "ga4": Kind(
        "Google Analytics 4",
        key="the API secret of the data stream",
        regions={
            "us": "https://www.google-analytics.com",
            "eu": "https://region1.google-analytics.com",
        },
        needs={"property": "the measurement id of the data stream, such as G-AB12CD34EF"},
        forms={"property": re.compile(r"G-[A-Z0-9]{4,20}")},
        drops_repeats=False,
        path="/mp/collect",
    ),
    "piwik-pro": Kind(
        "Piwik PRO",
        key="the tracking token, without which it drops what is older than a day",
        needs={
            "endpoint": "the account's address, such as https://example.piwik.pro",
            "property": "the id of the site or app, a UUID",
        },
        forms={"property": re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")},
        drops_repeats=False,
        path="/ppms.php",
    ),
    "file": Kind(
        "files of events, one a line",
        needs={"path": "the file to write to"},
        drops_repeats=True,
    ),
    "stdout": Kind("standard output, one event a line", drops_repeats=False),
}


@frozen
class Destination:
    """Where batches go. `endpoint` is a base URL without a slash at its end; empty: on no network.

    `site` (of the setting `property`) and `path` are what the kind needs, `delivery` is the choice
    where there is one. The key is no part of it: the same place may be reached with another key.
    """

    kind: str = SEGMENT
    endpoint: str = REGIONS["us"]
    site: str = ""
    path: str = field(default="", repr=False)
    delivery: str = AT_LEAST_ONCE

    @property
    def origin(self) -> str:
        """Return where it is, without a path, which may be a secret; empty if on no network."""
        if not self.endpoint:
            return ""
        parts = urlsplit(self.endpoint)
        return f"{parts.scheme}://{parts.netloc}"

    @property
    def name(self) -> str:
        """Return what people are told of it; a plan compares it."""
        if self.kind == SEGMENT:
            return self.origin
        return " ".join(filter(None, (self.kind, self.origin, self.site)))

    @property
    def promise(self) -> Promise:
        """Return how often a count arrives there."""
        if KINDS[self.kind].drops_repeats:
            return Promise.EXACTLY_ONCE
        is_repeated = self.delivery == AT_LEAST_ONCE
        return Promise.AT_LEAST_ONCE if is_repeated else Promise.AT_MOST_ONCE

    @property
    def place(self) -> str:
        """Return a digest of where it is, by which a batch knows where it was attempted."""
        parts = urlsplit(self.endpoint)
        server = f"{parts.scheme}://{parts.netloc.lower()}{parts.path}"
        where = f"{self.kind}\n{server}\n{self.site}\n{normpath(self.path)}"
        return blake2b(where.encode(), digest_size=8).hexdigest()

    def is_place_of(self, place: str) -> bool:
        """Whether a batch was attempted here. Older releases knew no place but Segment."""
        return place == self.place or place == self.kind == SEGMENT
