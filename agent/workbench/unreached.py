"""How what nothing reaches is shown: to a person, a user's own rules first, and to a program."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from agent.workbench.coverage import Coverage

MAX_UNMATCHED = 50


def show(found: Coverage, *, as_json: bool, has_logs: bool) -> None:
    """Print what is not covered."""
    if as_json:
        unmatched = [
            {
                "level": one.level,
                "plugin": one.is_plugin,
                "template": one.template,
                "count": one.count,
                "first": one.where,
            }
            for one in found.unmatched
        ]
        data = {
            "rules": found.rules,
            "closers": found.closers,
            "branches": found.branches,
            "words": found.words,
            "totals": found.totals,
            "unmatched": unmatched,
        }
        print(orjson.dumps(data, option=orjson.OPT_INDENT_2).decode())
        return
    for line in _tell(found, has_logs=has_logs):
        print(line)


def _tell(found: Coverage, *, has_logs: bool) -> Iterator[str]:
    closers = [(one["rule"], f"waits for {one['by']} ({one['then']})") for one in found.closers]
    branches = [(one["rule"], f"{one['key']}: {one['branch']!r}") for one in found.branches]
    words = [(name, one) for name, listed in found.words.items() for one in listed]
    yield from _section("rules", found, [(name, "") for name in found.rules])
    yield from _section("closers", found, closers)
    yield from _section("branches", found, branches)
    yield from _section("words", found, words)
    if not has_logs:
        return
    count = sum(one.count for one in found.unmatched)
    yield f"unmatched  {count} messages of level error or worse, {len(found.unmatched)} kinds"
    for one in found.unmatched[:MAX_UNMATCHED]:
        plugin = ", plugin" if one.is_plugin else ""
        yield f"  {one.count:>6}  {one.level}{plugin}  {one.template}  (first: {one.where})"
    if len(found.unmatched) > MAX_UNMATCHED:
        yield f"  and {len(found.unmatched) - MAX_UNMATCHED} more; see --format json"


def _section(what: str, found: Coverage, missing: list[tuple[str, str]]) -> Iterable[str]:
    """Show what is not reached; beside a user's own rules, of the shipped ones only how many."""
    total = found.totals[what]
    shown = [(name, text) for name, text in missing if not found.own or name in found.own]
    hidden = len(missing) - len(shown)
    yield f"{what:9}  {total - len(missing)} of {total} reached{', not these:' if shown else ''}"
    if what == "words":
        names = dict.fromkeys(name for name, _ in shown)
        lines = [f"{name}: {', '.join(word for of, word in shown if of == name)}" for name in names]
    else:
        lines = [f"{name} {text}".rstrip() for name, text in shown]
    yield from (f"  {line}" for line in lines)
    if hidden:
        yield f"  {'and ' if shown else ''}{hidden} of the shipped rules; see --format json"
