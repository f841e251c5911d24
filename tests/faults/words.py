"""A rule set that tells lines apart: each says a word of a closed list, so what was counted shows.

Two events: `Said` by a line alone, `Asked` by a pair that waits for its answer.
"""

from __future__ import annotations

from functools import cache

from agent.model import Format
from agent.rules import RuleSet, compile_rules
from tests.strategies import render

WORDS = tuple(f"w{number}" for number in range(200))

_SHARED = f"""
version: 1
platforms: {{bots: [slack], sinks: []}}
vocabularies:
  words:
    words: {{{", ".join(f"{word}: [{word}]" for word in WORDS)}}}
events:
  Said:
    category: commands
    properties: {{word: [{{vocabularies: [words]}}]}}
  Asked:
    category: commands
    properties: {{word: [{{vocabularies: [words]}}], result: [ok, unknown]}}
"""

_RULES = """
id: said
event: Said
question: Which words were said?
message: 'said (?P<word>\\w+)'
properties: {word: {capture: word, vocabulary: words, otherwise: skip}}
hits: [{log: 'time="2026-01-01T12:00:00Z" level=info msg="said w1"'}]
---
id: asked
event: Asked
question: Which words were asked for?
message: 'asked (?P<word>\\w+)'
properties: {word: {capture: word, vocabulary: words, otherwise: skip}, result: unknown}
pair:
  lines: 6
  seconds: 3
  closers:
    - {by: answered, then: count, properties: {result: ok}}
hits: [{log: 'time="2026-01-01T12:00:00Z" level=info msg="asked w1"'}]
---
id: answered
message: 'answered'
hits: [{log: 'time="2026-01-01T12:00:00Z" level=info msg="answered"'}]
"""


@cache
def word_rules() -> RuleSet:
    texts = {f"{number}.yaml": text for number, text in enumerate(_RULES.split("---\n"))}
    return compile_rules({**texts, "shared.yaml": _SHARED})


def say(verb: str, word: str, *, at_seconds: int, shape: Format) -> bytes:
    """Return an entry that counts a word; in colour it has three lines, as long messages do."""
    if shape is Format.TEXT:
        message = f"{verb} {word}\nand more of {word}\nto the end of {word}"
        return render("info", message, {"bot": "x"}, at=at_seconds, shape=shape)
    return render("info", f"{verb} {word}", {}, at=at_seconds, shape=shape)
