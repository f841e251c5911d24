"""The shapes of JSON Schema that the rule language is made of."""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
FLAG: Schema = {"type": "boolean"}
TEXTS: Schema = {"oneOf": [TEXT, {"type": "array", "items": TEXT}]}
NAMES: Schema = {"type": "object", "additionalProperties": TEXT}
VALUE: Schema = {"type": ["string", "integer", "boolean"]}


def words_of(options: object) -> Schema:
    listed = {"enum": [str(one) for one in options]}  # type: ignore[attr-defined]
    return {"oneOf": [listed, {"type": "array", "items": listed}]}


def number_of(least: int, most: int) -> Schema:
    return {"type": "integer", "minimum": least, "maximum": most}


def mapping_of(keys: dict[str, tuple[str, Schema]], *required: str) -> Schema:
    return {
        "type": "object",
        "additionalProperties": False,
        "required": list(required),
        "properties": {
            name: {"description": what, **schema} for name, (what, schema) in keys.items()
        },
    }


def ref(name: str) -> Schema:
    return {"$ref": f"#/$defs/{name}"}


SOURCES: Schema = {"type": "object", "additionalProperties": ref("source")}
