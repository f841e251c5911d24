"""The rule language as data: a JSON Schema for editors, and the same keys with words for a person.

Owns what each key is for. Which keys there are, and which words they take, comes from the modules
that compile them; tests hold both together. The compiler is stricter than the schema, since it
knows the names of the set.
"""

from __future__ import annotations

from typing import Any

from agent.model import Format
from agent.rules.pairing import CHOICES, THEN
from agent.rules.rule import ID, LEVELS, ORIGINS, VERSION
from agent.rules.ruleset import MAX_SECONDS
from agent.rules.scenarios import MAX_COUNT
from agent.rules.shared import FORMAT_VERSION

Schema = dict[str, Any]

URL = "https://json-schema.org/draft/2020-12/schema"

_TEXT: Schema = {"type": "string"}
_FLAG: Schema = {"type": "boolean"}
_TEXTS: Schema = {"oneOf": [_TEXT, {"type": "array", "items": _TEXT}]}
_NAMES: Schema = {"type": "object", "additionalProperties": _TEXT}
_PATTERNS: Schema = {"type": "object", "additionalProperties": _TEXT}
_VALUE: Schema = {"type": ["string", "integer", "boolean"]}


def _words(options: object) -> Schema:
    listed = {"enum": [str(one) for one in options]}  # type: ignore[attr-defined]
    return {"oneOf": [listed, {"type": "array", "items": listed}]}


def _number(least: int, most: int) -> Schema:
    return {"type": "integer", "minimum": least, "maximum": most}


def _object(keys: dict[str, tuple[str, Schema]], *required: str) -> Schema:
    return {
        "type": "object",
        "additionalProperties": False,
        "required": list(required),
        "properties": {
            name: {"description": what, **schema} for name, (what, schema) in keys.items()
        },
    }


def _ref(name: str) -> Schema:
    return {"$ref": f"#/$defs/{name}"}


_SOURCES: Schema = {"type": "object", "additionalProperties": _ref("source")}
_FORMAT = ("The version of this language.", _number(FORMAT_VERSION, FORMAT_VERSION))

RULE: dict[str, tuple[str, Schema]] = {
    "version": _FORMAT,
    "id": (
        "The rule's name in reports of tools, and what other rules call it: words of a-z and 0-9.",
        {"type": "string", "pattern": f"^{ID}"},
    ),
    "override": ("Stand in the place of the rule with this id.", _FLAG),
    "disable": ("Take the rule with this id out; nothing else is needed then.", _FLAG),
    "event": ("The track event that is counted, one of `events`; none if it only closes.", _TEXT),
    "question": ("The question that the count answers. Needed with `event`.", _TEXT),
    "versions": (
        "The first and the last BotKube version that writes this line.",
        {
            "type": "array",
            "items": {"type": "string", "pattern": f"^{VERSION}"},
            "minItems": 2,
            "maxItems": 2,
        },
    ),
    "formats": ("The wire formats in which it stands; json, logfmt and text.", _words(Format)),
    "level": ("The level, or one of these levels; any without it.", _words(LEVELS)),
    "origin": (
        "Whose lines are looked at: the core's, those of plugins, or any.",
        {"enum": list(ORIGINS)},
    ),
    "priority": (
        "Where two rules take an entry, the higher wins, then the id; 0 without it.",
        _number(-100, 100),
    ),
    "message": (
        (
            "An RE2 pattern for the begin of the message. `(?P<name>...)` captures; `${name}` "
            "stands for a fragment."
        ),
        _TEXT,
    ),
    "literals": (
        (
            "Plain texts of which each matching line contains one; only needed if the message has "
            "none of five characters."
        ),
        _TEXTS,
    ),
    "fields": ("Fields that must be there, and a pattern for the whole of each value.", _PATTERNS),
    "optional_fields": ("Fields that properties may use where they are there.", _TEXTS),
    "absent_fields": ("Fields that must not be there.", _TEXTS),
    "when": (
        (
            "Facts of the container instance, each with the values that it may have; `unknown` "
            "before it is known."
        ),
        {"type": "object", "additionalProperties": _TEXTS},
    ),
    "unless": (
        (
            "Captures or fields, each with a pattern, or a vocabulary of which no word, may be "
            "found in it."
        ),
        {
            "type": "object",
            "additionalProperties": {
                "oneOf": [_TEXT, _object({"vocabulary": ("Its name.", _TEXT)}, "vocabulary")]
            },
        },
    ),
    "each": (
        (
            "One entry names several faults: count each match of `pattern` in `capture`, once for "
            "each value of the property `once_per`."
        ),
        _object(
            {
                "capture": ("The capture to look in.", _TEXT),
                "pattern": ("What one fault looks like.", _TEXT),
                "once_per": ("The property of which each value counts once.", _TEXT),
            },
            "capture",
            "pattern",
            "once_per",
        ),
    ),
    "enables": ("The entry shows that its `platform` is enabled.", _FLAG),
    "once": ("Count only if the platform was not known to be enabled.", _FLAG),
    "properties": ("The properties that are counted by, each with its source.", _SOURCES),
    "fact": (
        "What the entry says about its container instance from here on.",
        _object(
            {
                "name": ("One of `facts`.", _TEXT),
                "value": ("Its value; `true` without it.", _ref("source")),
            },
            "name",
        ),
    ),
    "alone": (
        "Whether an entry that closes no pair counts on its own.",
        {"enum": ["count", "ignore"]},
    ),
    "pair": ("Wait for another entry that says what came of this one.", _ref("pair")),
    "hits": (
        "Logs that the rule takes, each with all that it counts.",
        {"type": "array", "items": _ref("hit")},
    ),
    "misses": ("Logs of which the rule takes nothing.", {"type": "array", "items": _TEXT}),
}

PAIR: dict[str, tuple[str, Schema]] = {
    "lines": ("It waits for so many lines; 1000 without it.", _number(1, 100_000)),
    "seconds": (
        "It waits for so many seconds of line time; 30 without it.",
        _number(1, MAX_SECONDS),
    ),
    "key": ("Captures or fields that must be equal where both entries have them.", _TEXTS),
    "result": (
        "What happens if nothing comes; `count` with an `event`.",
        {"enum": ["count", "ignore"]},
    ),
    "also": ("Names of the key, each with the capture that is a second value of it.", _NAMES),
    "closers": ("Who ends it, and how.", {"type": "array", "items": _ref("closer"), "minItems": 1}),
}

CLOSER: dict[str, tuple[str, Schema]] = {
    "by": ("The rule, or one of the rules, whose entry acts.", _TEXTS),
    "then": (
        (
            "`count`: end and count. `ignore`: end, count nothing. `wait`: wait on, changed. "
            "`next`: end and count, and the closer opens its own pair. `pass`: end, and the "
            "closer's pair takes over."
        ),
        {"enum": list(THEN)},
    ),
    "event": ("The event that it becomes.", _TEXT),
    "properties": ("Properties that it gets, from the closer's captures.", _SOURCES),
    "passes": ("Properties that `pass` takes over; `result` without it.", _TEXTS),
    "choose": (
        "Of several openers with equally much in common: `oldest`, or `newest` (the last touched).",
        {"enum": list(CHOICES)},
    ),
    "join": ("Names of the key, each with the capture that must be there and equal.", _NAMES),
    "prefer": ("Names of the key, each with the capture by which openers come first.", _NAMES),
    "also": ("Names of the key, each with the capture that is one more value of it.", _NAMES),
    "within": (
        "It acts only so many seconds of line time after the opener; as long as the pair waits.",
        _number(1, MAX_SECONDS),
    ),
    "once_per": ("Captures for each value of which a `wait` acts once; else it acts once.", _TEXTS),
}

SOURCE: dict[str, tuple[str, Schema]] = {
    "capture": ("The capture or field to read.", _TEXT),
    "vocabulary": ("The vocabulary whose word is given.", _TEXT),
    "otherwise": ("What is given where there is no word; `other` without it.", _ref("source")),
    "buckets": (
        "Bounds: given is the highest that the number reaches, else 0.",
        {"type": "array", "items": {"type": "integer"}},
    ),
    "present": ("The capture of which it is said whether it is there.", _TEXT),
    "join": (
        "Several sources with a space between.",
        {"type": "array", "items": _ref("source")},
    ),
    "only_enabled": ("The one of these platforms that is enabled, if it is one.", _TEXTS),
}

SHARED: dict[str, tuple[str, Schema]] = {
    "version": _FORMAT,
    "platforms": (
        (
            "The names of bots and sinks. A set that has this key stands alone, without the "
            "shipped rules."
        ),
        _object(
            {
                "bots": ("Platforms that people write to.", {"type": "array", "items": _TEXT}),
                "sinks": ("Platforms that only take events.", {"type": "array", "items": _TEXT}),
            }
        ),
    ),
    "fragments": ("Pieces of patterns, for `${name}` in a pattern.", _PATTERNS),
    "vocabularies": (
        "Closed lists of words.",
        {"type": "object", "additionalProperties": _ref("vocabulary")},
    ),
    "facts": (
        "What can be known of a container instance, and its values.",
        {"type": "object", "additionalProperties": _ref("values")},
    ),
    "events": (
        "The track events, their properties, and every value of each.",
        {"type": "object", "additionalProperties": _ref("event")},
    ),
    "uncovered": (
        "Why no rule covers a category in some versions and formats.",
        {"type": "array", "items": _ref("uncovered")},
    ),
}

VOCABULARY: dict[str, tuple[str, Schema]] = {
    "match": (
        (
            "`exact`: the whole text, without case. `search`: patterns that are looked for inside; "
            "the first word wins."
        ),
        {"enum": ["exact", "search"]},
    ),
    "used_by": ("`agent` for a list that the agent itself asks.", {"enum": ["rules", "agent"]}),
    "hide": (
        (
            "A pattern for `match: search`: what its groups take in, as names that users chose, "
            "is cut out of the text first."
        ),
        _TEXT,
    ),
    "words": (
        "Each word with the texts that stand for it; without any, the word itself.",
        {
            "type": "object",
            "additionalProperties": {"oneOf": [{"type": "null"}, *_TEXTS["oneOf"]]},
        },
    ),
}

EVENT: dict[str, tuple[str, Schema]] = {
    "category": ("The part of the table of coverage that it belongs to.", _TEXT),
    "properties": (
        "Each property with every value it can take.",
        {"type": "object", "additionalProperties": _ref("values")},
    ),
    "optional": ("Properties that a rule may leave out.", _TEXTS),
}

UNCOVERED: dict[str, tuple[str, Schema]] = {
    "category": ("The category, as events name it; or `crashes`.", _TEXT),
    "formats": ("The wire formats of which this is true.", _words(Format)),
    "versions": RULE["versions"],
    "at": ("The BotKube log level at which it is true.", {"enum": ["info", "debug", "any"]}),
    "reason": ("Why no line tells it.", _TEXT),
}

SCENARIO: dict[str, tuple[str, Schema]] = {
    "description": ("What happens in it.", _TEXT),
    "log": ("The log of one container, stamped or plain.", _TEXT),
    "file": ("A file with the log, seen from the scenario's folder.", _TEXT),
    "expect": (
        "All that the log counts, in any order.",
        {"type": "array", "items": _ref("expected")},
    ),
}

EXPECTED: dict[str, tuple[str, Schema]] = {
    "event": ("The event.", _TEXT),
    "properties": ("All its properties.", {"type": "object", "additionalProperties": _VALUE}),
    "count": ("How often; 1 without it.", _number(1, MAX_COUNT)),
}

SECTIONS = {
    "rule": RULE,
    "pair": PAIR,
    "closer": CLOSER,
    "source": SOURCE,
    "shared file": SHARED,
    "vocabulary": VOCABULARY,
    "event": EVENT,
    "uncovered": UNCOVERED,
    "scenario": SCENARIO,
    "expected count": EXPECTED,
}
"""Every mapping of the language with its keys, in the order in which a reader needs them."""


def make_schema() -> Schema:
    """Return the JSON Schema of a rule file, a shared file and a scenario file."""
    expected = {"type": "object", "additionalProperties": _VALUE}
    hit = _object(
        {
            "log": ("The log.", _TEXT),
            "expect": (
                (
                    "The properties of what it counts, with `event` where it is another; `[]` for "
                    "nothing."
                ),
                {"oneOf": [expected, {"type": "array", "items": expected}]},
            ),
        },
        "log",
    )
    switched_off = _object(
        {key: RULE[key] for key in ("version", "id", "disable")}, "id", "disable"
    )
    switched_off["properties"]["disable"]["const"] = True
    listed = _object({"vocabularies": ("Any word of these, or several joined.", _TEXTS)})
    return {
        "$schema": URL,
        "title": "Rule files of botkube-analytics",
        "if": {"anyOf": [{"required": [key]} for key in ("id", "message", "hits")]},
        "then": {
            "if": {"required": ["disable"]},
            "then": _ref("disable"),
            "else": _ref("rule"),
        },
        "else": {
            "if": {"required": ["expect"]},
            "then": _ref("scenario"),
            "else": _ref("shared"),
        },
        "$defs": {
            "rule": _object(RULE, "id", "message", "hits"),
            "disable": switched_off,
            "shared": _object(SHARED),
            "pair": _object(PAIR, "closers"),
            "closer": _object(CLOSER, "by"),
            "source": {"oneOf": [_VALUE, _object(SOURCE)]},
            "hit": {"oneOf": [_TEXT, hit]},
            "vocabulary": _object(VOCABULARY, "words"),
            "event": _object(EVENT, "category"),
            "values": {"type": "array", "items": {"oneOf": [_VALUE, listed]}},
            "scenario": _object(SCENARIO, "expect"),
            "expected": _object(EXPECTED, "event"),
            "uncovered": _object(UNCOVERED, "category", "formats", "versions", "reason"),
        },
    }
