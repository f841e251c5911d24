"""Where batches go: a region of Segment's or a URL, and what is wrong with one.

Owns what a setting of the destination may be. Must not know HTTP, so that settings need no client.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from agent.hosts import is_base_url

REGIONS = {
    "us": "https://api.segment.io",
    "eu": "https://events.eu1.segmentapis.com",
}


class EndpointError(ValueError):
    """The endpoint is neither a region nor a usable URL. The message does not repeat it."""


class WriteKeyError(ValueError):
    """The write key cannot be one. The message does not repeat it."""


def endpoint_for(place: str) -> str:
    """Return the base URL, to which `/v1/batch` is added, of `us`, `eu` or an own URL."""
    if place in REGIONS:
        return REGIONS[place]
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
        raise EndpointError("the endpoint must be `us`, `eu` or a URL that begins with https://")
    if "@" in parts.netloc:
        raise EndpointError("the endpoint holds credentials; give the write key as its own setting")
    if not is_base_url(place):
        raise EndpointError(
            "the endpoint's host is not valid: it is an address, or a name of parts of 1 to 63 "
            "letters, digits and hyphens; correct the URL"
        )
    if "?" in place or "#" in place:
        raise EndpointError("the endpoint has a query or fragment; give the base URL alone")
    # Segment's documents show the URL with these endings, so that is what gets copied.
    path = parts.path.rstrip("/").removesuffix("/batch").removesuffix("/v1").rstrip("/")
    return f"{parts.scheme}://{parts.netloc}{path}"
