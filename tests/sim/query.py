"""Query parameters as Go's API machinery converts them, and what it refuses in them.

A part that is not well formed is passed over, and the first of several values counts; a flag is on
unless it says "false" or "0"; a number that is none is 400, and options of a list or watch that do
not go together are 422.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import parse_qsl

import attrs

from tests.sim import status
from tests.sim.status import ApiError, Json

Query = Mapping[str, str]

_INT64 = range(-(1 << 63), 1 << 63)
_UINT64 = range(1 << 64)
_BROKEN_PART = re.compile(r";|%(?![0-9a-fA-F]{2})")
_DURATION = re.compile(r"[+-]?(0|((\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h))+)", re.ASCII)
_EXACT, _NOT_OLDER = "Exact", "NotOlderThan"


def parse(text: str) -> Query:
    """Read what stands behind the question mark; a part that is not well formed is passed over."""
    parts = [part for part in text.split("&") if not _BROKEN_PART.search(part)]
    # Of several values the first counts.
    return dict(reversed(parse_qsl("&".join(parts), keep_blank_values=True)))


def boolean(query: Query, key: str) -> bool:
    return key in query and query[key].lower() not in {"false", "0"}


def integer(query: Query, key: str) -> int | None:
    """Return the number, None if the parameter is not there; an empty one is no number."""
    if key not in query:
        return None
    text = query[key]
    if not re.fullmatch(r"[+-]?\d+", text, re.ASCII):
        raise status.bad_request(f'strconv.ParseInt: parsing "{text}": invalid syntax')
    if int(text) not in _INT64:
        raise status.bad_request(f'strconv.ParseInt: parsing "{text}": value out of range')
    return int(text)


def check_timeout(query: Query) -> None:
    """Raise 400 if `timeout` is no duration; how long it is matters to nobody here."""
    text = query.get("timeout", "")
    if text and _DURATION.fullmatch(text) is None:
        words = f'invalid timeout specified in the request URL - time: invalid duration "{text}"'
        raise status.bad_request(words)


@attrs.frozen
class ListOptions:
    """What a list or a watch was asked for, apart from its selectors.

    `starts_with_all` None leaves it to the version whether a watch begins with what is there.
    """

    version: str
    match: str
    limit: int
    token: str
    timeout_seconds: int | None
    bookmarks: bool
    starts_with_all: bool | None

    @classmethod
    def of(cls, query: Query, *, is_watch: bool) -> ListOptions:
        """Read the options, or raise 400 or 422."""
        initial = "sendInitialEvents"
        found = cls(
            query.get("resourceVersion", ""),
            query.get("resourceVersionMatch", ""),
            integer(query, "limit") or 0,
            query.get("continue", ""),
            integer(query, "timeoutSeconds"),
            boolean(query, "allowWatchBookmarks"),
            boolean(query, initial) if initial in query else None,
        )
        if causes := found.watch_causes() if is_watch else found.list_causes():
            raise status.invalid("ListOptions", "", *causes, group="meta.k8s.io")
        return found

    def list_causes(self) -> list[Json]:
        causes = []
        if self.match:
            if not self.version:
                causes.append(_forbidden_match("unless resourceVersion is provided"))
            if self.token:
                causes.append(_forbidden_match("when continue is provided"))
            if self.match not in {_EXACT, _NOT_OLDER}:
                causes.append(_unsupported_match(self.match, f'"{_EXACT}", "{_NOT_OLDER}", ""'))
            if (self.match, self.version) == (_EXACT, "0"):
                causes.append(_forbidden_match('for resourceVersion "0"', 'Match "exact"'))
        if self.starts_with_all is not None:
            words = "Forbidden: sendInitialEvents is forbidden for list"
            causes.append(status.cause("Forbidden", words, "sendInitialEvents"))
        return causes

    def watch_causes(self) -> list[Json]:
        causes = []
        # Without a version the server itself asks for what is there, as of a version not older.
        is_legacy = self.starts_with_all is None and not self.match and self.version in {"", "0"}
        if self.starts_with_all is not None and self.match != _NOT_OLDER:
            words = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
            causes.append(status.cause("Forbidden", f"Forbidden: {words}", "resourceVersionMatch"))
        if self.match:
            if self.starts_with_all is None:
                words = "for watch unless sendInitialEvents is provided"
                causes.append(_forbidden_match(words))
            if self.match != _NOT_OLDER:
                causes.append(_unsupported_match(self.match, f'"{_NOT_OLDER}"'))
        if self.token and (self.match or is_legacy):
            causes.append(_forbidden_match("when continue is provided"))
        return causes

    @property
    def is_exact(self) -> bool:
        """Whether a list is one of the past: pages of a version are, unless they say otherwise."""
        is_page = self.limit > 0 and self.version not in {"", "0"}
        return self.match == _EXACT or (is_page and not self.match)

    def list_version(self) -> int:
        """Return the version that a list must not be older than."""
        try:
            return object_version(self.version)
        except ApiError as error:
            raise status.bad_request(f"invalid resource version: {error}") from None

    def watch_version(self) -> int:
        """Return the version after which a watch begins; an error here carries no reason."""
        return object_version(self.version)


def object_version(text: str) -> int:
    """Return the version of one object, or raise 500."""
    is_number = text.isascii() and text.isdecimal()
    if text and (not is_number or int(text) not in _UINT64):
        words = f'strconv.ParseUint: parsing "{text}": invalid syntax'
        raise status.internal(f'resourceVersion: Invalid value: "{text}": {words}')
    return int(text or 0)


def _forbidden_match(words: str, what: str = "Match") -> Json:
    message = f"Forbidden: resourceVersion{what} is forbidden {words}"
    return status.cause("Forbidden", message, "resourceVersionMatch")


def _unsupported_match(given: str, supported: str) -> Json:
    message = f'Unsupported value: "{given}": supported values: {supported}'
    return status.cause("NotSupported", message, "resourceVersionMatch")
