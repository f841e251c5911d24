"""Which host of a URL can be asked at all: an address, or a name that fits into a request.

Owns the form of names. What is refused here would raise in the HTTP client, long after the setting
was read. Must not know whether a host exists. Pure.
"""

from __future__ import annotations

import re
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from urllib.parse import urlsplit

MAX_HOST_CHARS = 253

_LABEL = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
_NUMBER = re.compile(r"[0-9]+|0[xX][0-9A-Fa-f]*")
_ENCODED = "xn--"


def is_base_url(url: str) -> bool:
    """Whether a URL has a scheme of HTTP and a host and port that can be connected to."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:  # no such port, or half an IPv6 address
        return False
    if parts.scheme not in {"http", "https"} or not host or port == 0:
        return False
    before, bracket, after = parts.netloc.rpartition("]")
    if bracket or "[" in before:
        return _is_ipv6(host) and after[:1] in {"", ":"}
    return is_host(host)


def is_host(host: str) -> bool:
    """Whether this is an IPv4 address or a name of labels of 1 to 63 bytes, also when encoded."""
    try:
        # What is not ASCII yet is encoded as the client will do it.
        name = host.encode("idna").decode("ascii").removesuffix(".")
    except UnicodeError:
        return False
    labels = name.split(".")
    if len(name) > MAX_HOST_CHARS or not all(map(_is_label, labels)):
        return False
    # A name never ends with a number: this is an address, or a slip in one.
    return not _NUMBER.fullmatch(labels[-1]) or _is_ipv4(name)


def _is_ipv6(host: str) -> bool:
    try:
        IPv6Address(host)
    except AddressValueError:
        return False
    return True


def _is_label(label: str) -> bool:
    if not _LABEL.fullmatch(label):
        return False
    if not label.lower().startswith(_ENCODED):
        return True
    try:
        return not label[len(_ENCODED) :].encode().decode("punycode").isascii()
    except UnicodeError:
        return False


def _is_ipv4(name: str) -> bool:
    try:
        IPv4Address(name)
    except AddressValueError:
        return False
    return True
