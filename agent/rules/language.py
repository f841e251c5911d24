"""The rule language as data: every key of every mapping, with words for a person and an editor.

Owns what each key is for. Which keys there are, and which words they take, comes from the modules
that compile them; tests hold both together.
"""

from __future__ import annotations

from agent.model import Format
from agent.rules.pairing import CHOICES, THEN
from agent.rules.rule import ID, ORIGINS
from agent.rules.ruleset import LEVELS, MAX_SECONDS
from agent.rules.scenarios import MAX_COUNT
from agent.rules.shapes import (
    FLAG,
    NAMES,
    SOURCES,
    TEXT,
    TEXTS,
    VALUE,
    Schema,
    mapping_of,
    number_of,
    ref,
    words_of,
)
from agent.rules.shared import FORMAT_VERSION
from agent.rules.versions import VERSIONS

FORMAT = ("The version of this language.", number_of(FORMAT_VERSION, FORMAT_VERSION))

RULE: dict[str, tuple[str, Schema]] = {
    "version": FORMAT,
    "id": (
        "The rule's name in reports of tools, and what other rules call it: words of a-z and 0-9.",
        {"type": "string", "pattern": f"^{ID}$"},
    ),
    "override": ("Stand in the place of the rule with this id.", FLAG),
    "disable": ("Take the rule with this id out; nothing else is needed then.", FLAG),
    "event": ("The track event that is counted, one of `events`; none if it only closes.", TEXT),
    "question": ("The question that the count answers. Needed with `event`.", TEXT),
    "versions": (
        "The first and the last BotKube version that writes this line.",
        {
            "type": "array",
            "items": {"enum": list(VERSIONS)},
            "minItems": 2,
            "maxItems": 2,
        },
    ),
    "formats": ("The wire formats in which it stands; json, logfmt and text.", words_of(Format)),
    "level": ("The level, or one of these levels; any without it.", words_of(LEVELS)),
    "origin": (
        "Whose lines are looked at: the core's, those of plugins, or any.",
        {"enum": list(ORIGINS)},
    ),
    "priority": (
        "Where two rules take an entry, the higher wins, then the id; 0 without it.",
        number_of(-100, 100),
    ),
    "message": (
        (
            "An RE2 pattern for the begin of the message. `(?P<name>...)` captures; `${name}` "
            "stands for a fragment. A message may have several lines: `.` stops at the end of one, "
            "`(?s:.*)` does not."
        ),
        TEXT,
    ),
    "literals": (
        (
            "Plain texts of which each matching line contains one; only needed if the message has "
            "none of five characters."
        ),
        TEXTS,
    ),
    "fields": (
        (
            "Fields that must be there, and a pattern for the whole of each value; one in JSON "
            "that is no text is matched as JSON without spaces, and `null` is not there."
        ),
        NAMES,
    ),
    "optional_fields": ("Fields that properties may use where they are there.", TEXTS),
    "absent_fields": ("Fields that must not be there.", TEXTS),
    "when": (
        (
            "Facts of the container instance, each with the values that it may have; `unknown` "
            "before it is known."
        ),
        {"type": "object", "additionalProperties": TEXTS},
    ),
    "unless": (
        (
            "Captures or fields, each with a pattern, or a vocabulary of which no word, may be "
            "found in it."
        ),
        {
            "type": "object",
            "additionalProperties": {
                "oneOf": [TEXT, mapping_of({"vocabulary": ("Its name.", TEXT)}, "vocabulary")]
            },
        },
    ),
    "each": (
        (
            "One entry names several faults: count each match of `pattern` in `capture`, once for "
            "each value of the property `once_per`."
        ),
        mapping_of(
            {
                "capture": ("The capture to look in.", TEXT),
                "pattern": ("What one fault looks like.", TEXT),
                "once_per": ("The property of which each value counts once.", TEXT),
            },
            "capture",
            "pattern",
            "once_per",
        ),
    ),
    "enables": ("The entry shows that its `platform` is enabled.", FLAG),
    "once": ("Count only if the platform was not known to be enabled.", FLAG),
    "properties": ("The properties that are counted by, each with its source.", SOURCES),
    "fact": (
        "What the entry says about its container instance from here on.",
        mapping_of(
            {
                "name": ("One of `facts`.", TEXT),
                "value": ("Its value; `true` without it.", ref("source")),
            },
            "name",
        ),
    ),
    "alone": (
        "Whether an entry that closes no pair counts on its own.",
        {"enum": ["count", "ignore"]},
    ),
    "pair": ("Wait for another entry that says what came of this one.", ref("pair")),
    "hits": (
        "Logs that the rule takes, each with all that it counts.",
        {"type": "array", "items": ref("hit"), "minItems": 1},
    ),
    "misses": (
        "Logs of which the rule takes nothing.",
        {"type": "array", "items": ref("miss")},
    ),
}

PAIR: dict[str, tuple[str, Schema]] = {
    "lines": ("It waits for so many lines; 1000 without it.", number_of(1, 100_000)),
    "seconds": (
        "It waits for so many seconds of line time; 30 without it.",
        number_of(1, MAX_SECONDS),
    ),
    "key": ("Captures or fields that must be equal where both entries have them.", TEXTS),
    "result": (
        "What happens if nothing comes; `count` with an `event`.",
        {"enum": ["count", "ignore"]},
    ),
    "also": ("Names of the key, each with the capture that is a second value of it.", NAMES),
    "closers": ("Who ends it, and how.", {"type": "array", "items": ref("closer"), "minItems": 1}),
}

CLOSER: dict[str, tuple[str, Schema]] = {
    "by": ("The rule, or one of the rules, whose entry acts.", TEXTS),
    "then": (
        (
            "`count`: end and count. `ignore`: end, count nothing. `wait`: wait on, changed. "
            "`next`: end and count, and the closer opens its own pair. `pass`: end, and the "
            "closer's pair takes over. `suspect`: wait on, and become the `event` unless a later "
            "entry says something else."
        ),
        {"enum": list(THEN)},
    ),
    "event": ("The event that it becomes.", TEXT),
    "properties": ("Properties that it gets, from the closer's captures.", SOURCES),
    "passes": ("Properties that `pass` takes over; `result` without it.", TEXTS),
    "choose": (
        "Of several openers with equally much in common: `oldest`, or `newest` (the last touched).",
        {"enum": list(CHOICES)},
    ),
    "join": ("Names of the key, each with the capture that must be there and equal.", NAMES),
    "prefer": ("Names of the key, each with the capture by which openers come first.", NAMES),
    "also": ("Names of the key, each with the capture that is one more value of it.", NAMES),
    "within": (
        "It acts only so many seconds of line time after the opener; as long as the pair waits.",
        number_of(1, MAX_SECONDS),
    ),
    "hold": (
        "A `count` that an entry with a `join` may still gainsay, so many seconds of line time.",
        number_of(1, MAX_SECONDS),
    ),
    "once_per": ("Captures for each value of which a `wait` acts once; else it acts once.", TEXTS),
}

SOURCE: dict[str, tuple[str, Schema]] = {
    "capture": ("The capture or field to read.", TEXT),
    "vocabulary": ("The vocabulary whose word is given.", TEXT),
    "otherwise": ("What is given where there is no word; `other` without it.", ref("source")),
    "buckets": (
        "Rising bounds: given is the highest that the number reaches, else 0.",
        {"type": "array", "items": {"type": "integer"}},
    ),
    "present": ("The capture of which it is said whether it is there.", TEXT),
    "join": (
        "Several sources with a space between.",
        {"type": "array", "items": ref("source")},
    ),
    "only_enabled": ("The one of these platforms that is enabled, if it is one.", TEXTS),
}

SHARED: dict[str, tuple[str, Schema]] = {
    "version": FORMAT,
    "platforms": (
        (
            "The names of bots and sinks. A set that has this key stands alone, without the "
            "shipped rules."
        ),
        mapping_of(
            {
                "bots": ("Platforms that people write to.", {"type": "array", "items": TEXT}),
                "sinks": ("Platforms that only take events.", {"type": "array", "items": TEXT}),
            }
        ),
    ),
    "fragments": ("Pieces of patterns, for `${name}` in a pattern or another piece.", NAMES),
    "vocabularies": (
        "Closed lists of words.",
        {"type": "object", "additionalProperties": ref("vocabulary")},
    ),
    "facts": (
        "What can be known of a container instance, and its values.",
        {"type": "object", "additionalProperties": ref("values")},
    ),
    "events": (
        "The track events, their properties, and every value of each.",
        {"type": "object", "additionalProperties": ref("event")},
    ),
    "uncovered": (
        "Why no rule covers a category in some versions and formats.",
        {"type": "array", "items": ref("uncovered")},
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
        "A pattern: what its groups take in, as names of users, a `search` does not see.",
        TEXT,
    ),
    "words": (
        "Each word with the texts that stand for it; without any, the word itself.",
        {
            "type": "object",
            "additionalProperties": {"oneOf": [{"type": "null"}, *TEXTS["oneOf"]]},
            "minProperties": 1,
        },
    ),
}

EVENT: dict[str, tuple[str, Schema]] = {
    "category": ("The part of the table of coverage that it belongs to.", TEXT),
    "properties": (
        "Each property with every value it can take.",
        {"type": "object", "additionalProperties": ref("values")},
    ),
    "optional": ("Properties that a rule may leave out.", TEXTS),
}

UNCOVERED: dict[str, tuple[str, Schema]] = {
    "category": ("The category, as events name it; or `crashes`.", TEXT),
    "formats": ("The wire formats of which this is true.", words_of(Format)),
    "versions": RULE["versions"],
    "at": ("The BotKube log level at which it is true.", {"enum": ["info", "debug", "any"]}),
    "reason": ("Why no line tells it.", TEXT),
}

SCENARIO: dict[str, tuple[str, Schema]] = {
    "description": ("What happens in it.", TEXT),
    "log": ("The log of one container, stamped or plain.", TEXT),
    "file": ("A file with the log, seen from the scenario's folder.", TEXT),
    "expect": (
        "All that the log counts, in any order.",
        {"type": "array", "items": ref("expected")},
    ),
}

EXPECTED: dict[str, tuple[str, Schema]] = {
    "event": ("The event.", TEXT),
    "properties": ("All its properties.", {"type": "object", "additionalProperties": VALUE}),
    "count": ("How often; 1 without it.", number_of(1, MAX_COUNT)),
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
