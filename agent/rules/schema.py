"""The JSON Schema by which editors complete rule files.

Owns its shape. What the keys are called and what they are for stands in `language`. The compiler
is stricter than the schema, since it knows the names of the set.
"""

from __future__ import annotations

from agent.rules.language import (
    CLOSER,
    EVENT,
    EXPECTED,
    PAIR,
    RULE,
    SCENARIO,
    SHARED,
    SOURCE,
    UNCOVERED,
    VOCABULARY,
)
from agent.rules.shapes import TEXT, TEXTS, VALUE, Schema, mapping_of, ref
from agent.rules.sources import FORMS

LOG = "Whole lines of the log of one container, stamped or plain."
URL = "https://json-schema.org/draft/2020-12/schema"


def make_schema() -> Schema:
    """Return the JSON Schema of a rule file, a shared file and a scenario file."""
    listed = mapping_of(
        {"vocabularies": ("Any word of these, or several joined.", TEXTS)}, "vocabularies"
    )
    value = {"oneOf": [VALUE, listed]}
    return {
        "$schema": URL,
        "title": "Rule files of botkube-analytics",
        "if": {"anyOf": [{"required": [key]} for key in ("id", "message", "hits")]},
        "then": {
            "if": {"required": ["disable"], "properties": {"disable": {"const": True}}},
            "then": ref("disable"),
            "else": ref("rule"),
        },
        "else": {
            "if": {"required": ["expect"]},
            "then": ref("scenario"),
            "else": ref("shared"),
        },
        "$defs": {
            "rule": {
                **mapping_of(RULE, "id", "message", "hits"),
                "dependentRequired": {"event": ["question"]},
            },
            "disable": _switched_off(),
            "shared": mapping_of(SHARED),
            "pair": mapping_of(PAIR, "closers"),
            "closer": mapping_of(CLOSER, "by"),
            "source": {"oneOf": [VALUE, *map(_source, FORMS)]},
            "hit": {"oneOf": [TEXT, _hit()]},
            "miss": {"oneOf": [TEXT, mapping_of({"log": (LOG, TEXT)}, "log")]},
            "vocabulary": mapping_of(VOCABULARY, "words"),
            "event": mapping_of(EVENT, "category"),
            "values": {"oneOf": [value, {"type": "array", "items": value, "minItems": 1}]},
            "scenario": {
                **mapping_of(SCENARIO, "expect"),
                "oneOf": [{"required": ["log"]}, {"required": ["file"]}],
            },
            "expected": mapping_of(EXPECTED, "event"),
            "uncovered": mapping_of(UNCOVERED, "category", "formats", "versions", "reason"),
        },
    }


def _source(form: tuple[str, ...]) -> Schema:
    needed = [key for key in form if key != "otherwise"]
    return mapping_of({key: SOURCE[key] for key in form}, *needed)


def _hit() -> Schema:
    expected = {"type": "object", "additionalProperties": VALUE}
    what = "The properties of what it counts, with `event` where it is another; `[]` for nothing."
    either = {"oneOf": [expected, {"type": "array", "items": expected}]}
    return mapping_of({"log": (LOG, TEXT), "expect": (what, either)}, "log")


def _switched_off() -> Schema:
    made = mapping_of({key: RULE[key] for key in ("version", "id", "disable")}, "id", "disable")
    made["properties"]["disable"]["const"] = True
    return made
