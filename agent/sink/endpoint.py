"""Where batches go, with which key, and what is wrong with either.

Owns what a setting of the destination may be. Must not know HTTP, so that settings need no client.
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from agent.hosts import is_base_url

REGIONS = {
    "us": "https://api.segment.io",
    "eu": "https://events.eu1.segmentapis.com",
}


class EndpointError(ValueError):
    """The endpoint is no usable URL. The message does not repeat it."""


_ENDINGS = ("/batch", "/v1", "/mp/collect", "/ppms.php")
"""The services' documents show the URL with these, so that is what gets copied."""
_KEY = re.compile(r"[!-9;-~]+")


class WriteKeyError(ValueError):
    """The write key cannot be one. The message does not repeat it."""


def check_key(key: str) -> None:
    """Raise `WriteKeyError` for what can be known to be no key: most services say nothing of it."""
    if not _KEY.fullmatch(key):
        raise WriteKeyError(
            "the write key is empty or holds a space, a line break or a colon; copy it again"
        )


def endpoint_for(place: str) -> str:
    """Return the base URL, to which a service's path is added. Raises `EndpointError`."""
    if not place.isascii() or not place.isprintable() or " " in place:
        raise EndpointError(
            "the endpoint holds a character that a URL cannot have; encode or remove it"
        )
    try:
        parts = urlsplit(place)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise EndpointError("the endpoint's host or port is not valid; correct the URL") from error
    if parts.scheme not in {"http", "https"} or not host:
        raise EndpointError("the endpoint must be a URL that begins with https://")
    if "@" in parts.netloc:
        raise EndpointError("the endpoint holds credentials; give the write key as its own setting")
    if not is_base_url(place):
        raise EndpointError(
            "the endpoint's host is not valid: it is an address, or a name of parts of 1 to 63 "
            "letters, digits and hyphens; correct the URL"
        )
    if "?" in place or "#" in place:
        raise EndpointError("the endpoint has a query or fragment; give the base URL alone")
    path = parts.path.rstrip("/")
    for ending in _ENDINGS:
        path = path.removesuffix(ending).rstrip("/")
    return f"{parts.scheme}://{parts.netloc}{path}"
