"""The codes of faults: stable names that a script may rely on, and what each of them stands for."""

from __future__ import annotations

CODES = {
    "buckets": "The bounds of buckets do not rise.",
    "contradiction": "Two examples say different things of the same log.",
    "duplicate": "The same name is declared twice.",
    "duplicate-key": "The same key stands twice in one mapping.",
    "each": "A rule with `each` cannot open a pair.",
    "enables": "`enables` needs a property `platform`.",
    "file": "A file cannot be read.",
    "format": "A file is of a version of the rule language that this program does not know.",
    "free-text": "A property would carry the text of a log line.",
    "hide": "`hide` has no group, or its vocabulary is not searched.",
    "hit": "An example of a rule counts something else than it expects.",
    "id": "An id is not made of words of a-z and 0-9 with hyphens between.",
    "impossible": "One key excludes what another one wants: no line is taken, or no pair ended.",
    "internal": "A rule set cannot be read for a reason that is a fault of ours.",
    "literal": "No plain text to look for stands in each line that a rule takes.",
    "miss": "A rule takes a line that it says is not its own, or it is no line.",
    "missing-key": "A key that must be there is missing.",
    "missing-property": "A rule leaves out a property that its event needs.",
    "no-example": "A rule has no example.",
    "once": "`once` needs `enables`.",
    "pair": "A pair is not complete.",
    "pattern": "A pattern cannot be read, or is too large.",
    "reserved": "A name is one that the receiver or the agent itself uses.",
    "scenario": "A scenario counts something else than it expects.",
    "shadowed": "No example of a rule reaches it: another rule takes them.",
    "shadows": "A rule of yours takes lines that are examples of shipped rules.",
    "source": "A property has no source, or several.",
    "too-large": "A file or a list of values is larger than a rule set may be.",
    "type": "A value is of another type than its key needs.",
    "uncovered": "A reason why something is not covered is incomplete.",
    "unknown-name": "A key or a name is not known.",
    "unreachable": "A rule, closer or text of a word is behind one that takes all it would take.",
    "unused-capture": "Nothing uses a capture or an optional field.",
    "unused-event": "No rule uses an event.",
    "unused-fact": "No rule uses a fact.",
    "unused-fragment": "No rule uses a fragment.",
    "unused-key": "No closer has a name of a pair's key.",
    "unused-vocabulary": "No rule uses a vocabulary.",
    "value": "A property could take a value that its event or fact does not declare.",
    "versions": "Versions are not a first and a last one.",
    "yaml": "A file is not YAML.",
}

HARMLESS = frozenset(
    {
        "contradiction",
        "unused-capture",
        "unused-event",
        "unused-fact",
        "unused-fragment",
        "unused-key",
        "unused-vocabulary",
    }
)
"""Faults of a set that compiles all the same: they change nothing of what it counts."""

OF_A_RUN = frozenset({"hit", "miss", "scenario", "shadowed", "shadows"})
"""Faults that only a run of examples and scenarios shows."""
