"""Times as Go prints and reads them, in nanoseconds since the epoch.

The pod log API, the API server's objects and its error texts all follow Go's time package.
Everything here is UTC and pure; nothing reads a clock.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from datetime import UTC, datetime

SECOND = 1_000_000_000

# The elements of time.RFC3339 in the order in which Go's parser meets them.
_LAYOUT = (
    ("2006", r"\d{4}"),
    ("-", "-"),
    ("01", r"\d{2}"),
    ("-", "-"),
    ("02", r"\d{2}"),
    ("T", "T"),
    ("15", r"\d{1,2}"),
    (":", ":"),
    ("04", r"\d{2}"),
    (":", ":"),
    ("05", r"\d{2}(?:[.,]\d+)?"),
    ("Z07:00", r"Z|[+-]\d{2}:\d{2}"),
)

# The stamps of records, of which there are many, are recognised at once.
_RECORD_STAMP = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?Z", re.ASCII)


def seconds_stamp(at: int) -> str:
    """Print a time as objects carry it: whole seconds."""
    return _whole_seconds(at // SECOND)


def fixed_stamp(at: int) -> str:
    """Print a time with nine digits always, as the kubelet does in front of a line."""
    return f"{_whole_seconds(at // SECOND)[:-1]}.{at % SECOND:09d}Z"


def trimmed_stamp(at: int) -> str:
    """Print a time as RFC3339Nano: no trailing zeros, and no fraction for a whole second."""
    fraction = f"{at % SECOND:09d}".rstrip("0")
    return f"{_whole_seconds(at // SECOND)[:-1]}{'.' if fraction else ''}{fraction}Z"


def in_zone_of(written: str, at: int, style: Callable[[int], str]) -> str:
    """Print a time in the zone of a stamp; an offset of nothing is Z."""
    if written.endswith("Z") or not (ahead := _offset_seconds(written[-6:])):
        return style(at)
    return style(at + ahead * SECOND).removesuffix("Z") + written[-6:]


def parse_stamp(text: str) -> int:
    """Read RFC 3339 with any fraction and offset; a ValueError has Go's wording."""
    if (found := _RECORD_STAMP.fullmatch(text)) is not None:
        return _seconds_of(text, found[1]) * SECOND + int((found[2] or "").ljust(9, "0"))
    rest, parts = text, []
    for element, pattern in _LAYOUT:
        found = re.match(pattern, rest, re.ASCII)
        if found is None:
            raise ValueError(_cannot_parse(text, rest, element))
        parts.append(found.group())
        rest = rest[found.end() :]
    if rest:
        raise ValueError(f'parsing time "{text}": extra text: "{rest}"')
    second, _, fraction = parts[10].replace(",", ".").partition(".")
    whole = _seconds_of(text, "".join(parts[:10]) + second)
    return (whole - _offset_seconds(parts[11])) * SECOND + int(fraction[:9].ljust(9, "0"))


def _seconds_of(text: str, whole: str) -> int:
    try:
        return _epoch_second(whole)
    except ValueError:
        raise ValueError(f'parsing time "{text}": day out of range') from None


def _cannot_parse(text: str, rest: str, element: str) -> str:
    return (
        f'parsing time "{text}" as "2006-01-02T15:04:05Z07:00": '
        f'cannot parse "{rest}" as "{element}"'
    )


def _offset_seconds(zone: str) -> int:
    if zone == "Z":
        return 0
    if int(zone[1:3]) > 24 or int(zone[4:6]) > 60:
        raise ValueError("time zone offset out of range")
    sign = -1 if zone[0] == "-" else 1
    return sign * (int(zone[1:3]) * 3600 + int(zone[4:6]) * 60)


# Neighbouring lines share their second; without the cache a long log spends most of its time here.
@functools.lru_cache(maxsize=1024)
def _whole_seconds(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@functools.lru_cache(maxsize=1024)
def _epoch_second(text: str) -> int:
    return int(datetime.strptime(text, "%Y-%m-%dT%H:%M:%S").replace(tzinfo=UTC).timestamp())
