"""The shipped rule set, compiled once for all tests, and the ways to run a log through it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from agent.prefilter import Prefilter, make_prefilter
from agent.reader import Reader
from agent.rulefiles import is_rule_file
from agent.rules import Rule, compile_rules

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agent.model import Observation

ROOT = Path(__file__).parent.parent
TEXTS = {
    str(path.relative_to(ROOT)): path.read_text(encoding="utf-8")
    for path in sorted((ROOT / "rules").rglob("*.yaml"))
    if is_rule_file(path)
}
RULES = compile_rules(TEXTS)
PREFILTER = make_prefilter(RULES.literals)


def load_cases(path: Path) -> list[dict[str, Any]]:
    """Return the labelled lines of a data file."""
    found: list[dict[str, Any]] = yaml.load(
        path.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader
    )
    return found


def read(log: bytes, *, stamped: bool, prefilter: Prefilter = PREFILTER) -> tuple[Observation, ...]:
    """Return what the agent's own reader counts in a whole log."""
    reader = Reader(RULES, prefilter, stamped=stamped, count_crashes=True, key=b"k")
    reader.feed(log)
    reader.finish()
    return reader.take().observations


def logs_of(rule: Rule) -> list[str]:
    """Return the logs of a rule's examples."""
    return [one.log for one in (*rule.hits, *rule.misses)]


def tell(observations: Iterable[Observation]) -> list[dict[str, object]]:
    """Return Observations as plain data, to compare with what a data file expects."""
    return [{"event": one.event, **dict(one.properties)} for one in observations]


def count(observations: Iterable[Observation]) -> Counter[tuple[str, str]]:
    """Count in the words of the recorded truths: ignored commands and failed replies apart."""
    found: Counter[tuple[str, str]] = Counter()
    for one in observations:
        values = dict(one.properties)
        name = one.event
        if name == "Command refused" and values["reason"] == "ignored":
            name = "Command ignored"
        if name == "Notification failed" and values["what"] == "reply":
            name = "Reply failed"
        if name == "Notification failed" and values["what"] == "unknown":
            name = "Notification failed or reply failed"
        found[name, str(values.get("platform", ""))] += 1
    return found
