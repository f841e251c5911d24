"""Logs of any size from a seed: so many lines of a hundred belong to a rule, about 200 bytes each.

Owns what BotKube prints there, in the shapes of the recorded logs, stamped as the kubelet stamps
lines. An `info` log is one of BotKube at its usual level, a `debug` log has its debug lines too.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Literal

import attrs

from tests.sim import botkube as bk
from tests.sim.gotime import fixed_stamp, seconds_stamp
from tests.sim.logrus import as_json, coloured, logfmt

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Format = Literal["text", "logfmt", "json"]
Level = Literal["info", "debug"]

FORMATS: tuple[Format, ...] = ("text", "logfmt", "json")
LEVELS: tuple[Level, ...] = ("info", "debug")
LINE_BYTES = 200
BEGIN_NS = 1_780_000_000_000_000_000
LINE_NS = 2_000_000
"""Five hundred lines a second: more than any BotKube was seen to write for long."""

_BOT = {"bot": "Mattermost", "commGroup": "default-group"}
_PRINT: Mapping[Format, Callable[..., bytes]] = {
    "text": coloured,
    "logfmt": logfmt,
    "json": as_json,
}


@attrs.frozen
class Log:
    """A log as it comes from the API, and how many of its entries belong to a rule."""

    data: bytes
    lines: int
    matching: int


def make_log(
    form: Format, level: Level, share: float, size: int, *, begin_ns: int = BEGIN_NS, seed: int = 1
) -> Log:
    """Write a log of so many bytes; `share` of its lines belong to a rule."""
    rng = random.Random(f"{form} {level} {share} {seed}")
    at, lines, matching, length = begin_ns, [], 0, 0
    while length < size:
        # Lines are no metronome.
        at += rng.randrange(2 * LINE_NS)
        is_match = rng.random() < share
        text = (_matching if is_match else _other)(form, level, at, rng)
        line = fixed_stamp(at).encode() + b" " + text
        lines.append(line)
        matching += is_match
        length += len(line)
    return Log(b"".join(lines), len(lines), matching)


def _matching(form: Format, level: Level, at: int, rng: random.Random) -> bytes:
    said = rng.choice(_MATCHING[form, level])
    thing = bk.some_thing(rng)
    message, fields = said[1], said[2]
    return _PRINT[form](at, said[0], _fill(message, thing, at, rng), fields)


def _other(form: Format, level: Level, at: int, rng: random.Random) -> bytes:
    at_level, message = rng.choice(_OTHER[level])
    return _PRINT[form](at, at_level, _fill(message, bk.some_thing(rng), at, rng))


def _fill(message: str, thing: bk.Thing, at: int, rng: random.Random) -> str:
    return message.format(
        resource=thing.resource,
        name=f"{thing.name}-{rng.getrandbits(40):010x}",
        namespace=thing.namespace,
        kind=thing.kind,
        when=seconds_stamp(at),
        number=rng.randrange(10_000),
    )


_Said = tuple[str, str, "Mapping[str, object] | None"]

_DUMP = (
    "map[Cluster:turin Count:0 Kind:{kind} Level:success Name:{name} Namespace:{namespace} "
    "Title:{resource} created]"
)
_ES = (
    "elastic: Error 429 (Too Many Requests): failed to parse field of {resource}/{name} {namespace}"
)
_MATCHING: Mapping[tuple[Format, Level], tuple[_Said, ...]] = {
    ("text", "debug"): (
        ("debug", "Event successfully sent to ElasticSearch index ops-{namespace}-{name} at {when} for {resource}, document {number} of today", None),
        ("debug", "Event successfully sent to Webhook {{ {resource} created {kind} {name} {namespace} [] create   info oslo  {when} 0  false [] []}}", None),
        ("debug", "Event successfully sent to MS Teams 19:{name}@thread.tacv2 about {kind} {name} in {namespace} at {when}", None),
    ),
    ("text", "info"): (
        ("error", "Failed to post data to els. Error:" + _ES, None),
        ("error", "Error Posting Webhook: 503 for {kind} {name} of {namespace}, {resource} that was seen at {when}, attempt {number} of many", None),
    ),
    ("logfmt", "debug"): (
        ("debug", 'Event successfully sent to channel "alerts-{namespace}" about {kind} {name}', _BOT),
        ("debug", "Event successfully sent to Webhook: {{ {resource} {kind} {name} {namespace} [] create info}}", {"sink": "Webhook"}),
    ),
    ("logfmt", "info"): (
        ("error", "while sending event: while posting data to ELS: " + _ES, None),
        ("error", "Failed to send message. Error: : Unable to create post about {kind} {name}.", _BOT),
    ),
    ("json", "debug"): (
        ("debug", "Message successfully sent to Webhook: " + _DUMP, {"sink": "Webhook"}),
        ("debug", 'Event successfully sent to Elasticsearch index "ops-{namespace}" with {kind} {name}', {"commGroup": "default-group", "sink": "Elasticsearch"}),
    ),
    ("json", "info"): (
        ("error", "while sending sink message: while sending message to webhook: Error Posting Webhook: 503 for {kind} {name} {namespace}", None),
        ("info", 'received unsupported command: "please feed the {kind} {name} of {namespace} at {when}"', {"component": "Executor"}),
    ),
}  # fmt: skip
_INFO = (
    ("info", "Registering informer for {resource} of namespace {namespace}, named {name}, resync period 30m0s, number {number}"),
    ("info", "Reflector of {resource} was listed again in namespace {namespace}: {number} objects of {kind} {name}, nothing to tell"),
    ("warning", "Watch of {resource} in {namespace} closed after {number} bookmarks, next one begins behind {kind} {name}"),
)  # fmt: skip
_DEBUG = (
    ("debug", "Processing update to {resource}/{name} in {namespace} namespaces, {kind} of generation {number}: no change of note"),
    ("debug", "Ignoring update to {resource}/{name} in {namespace} namespaces, {kind} is not selected by any of {number} bindings"),
    ("debug", "Object annotations filter successful! {kind} {name} in {namespace} has none of ours among its {number}"),
    ("debug", "Skipping insignificant event of {resource}/{name}, {kind} in {namespace}: status alone changed, version {number}"),
)  # fmt: skip
_OTHER: Mapping[Level, tuple[tuple[str, str], ...]] = {
    "info": _INFO,
    "debug": (*_INFO[:1], *_DEBUG),
}
