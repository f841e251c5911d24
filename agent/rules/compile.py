"""YAML texts -> `RuleSet`, or every fault of every file at once.

Owns the order of compiling: shared files, rules, overrides, then what needs all of them. Must not
read files or match lines.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from agent.rules.checks import (
    check_captures,
    check_closers,
    check_facts,
    check_keys,
    check_passes,
    check_reachable,
    check_shared,
    check_taken_out,
)
from agent.rules.codes import HARMLESS
from agent.rules.examples import check_contradictions
from agent.rules.keys import Reader
from agent.rules.nodes import Mapping, Scalar, read
from agent.rules.places import Problems, RuleError, nearest_name
from agent.rules.rule import KEYS as RULE_KEYS
from agent.rules.rule import RuleCompiler
from agent.rules.ruleset import Rule, RuleSet
from agent.rules.shared import KEYS, Shared, check_format

if TYPE_CHECKING:
    from collections.abc import Iterable
    from collections.abc import Mapping as MappingType
    from collections.abc import Set as AbstractSet

    from agent.rules.places import Place, Problem

DISABLE_KEYS = ("version", "id", "disable")
_OVER_OTHERS = ("disable", "override")
_SURE = 0.8
_OF_A_SCENARIO = frozenset({"expect"})
_OF_A_RULE = frozenset({"id", "message", "hits", "misses", "override", "disable"})


def compile_rules(
    texts: MappingType[str, str],
    *,
    paths: MappingType[str, str] | None = None,
    shipped: AbstractSet[str] = frozenset(),
    unread: MappingType[str, str | None] | None = None,
    sound: dict[str, Mapping] | None = None,
) -> RuleSet:
    """Compile the files of a rule set, given as name -> text. Raises `RuleError` with all faults.

    Where all of them are harmless they come with the set instead.

    A file with `id` and `disable: true` takes the rule of this id out; one with `override: true`
    stands in its place. Both need the rule to be there. Places show a file's path from `paths`,
    else its name. Where a file of the user's does not go with one that is `shipped`, the fault is
    the user's. `unread` are files that should be of the set and are no texts, by path, with what
    can be made out of them, if anything can. `sound` keeps the files without faults for another
    time.
    """
    problems = Problems()
    shown = {name: (paths or {}).get(name, name) for name in texts}
    order = sorted(texts, key=lambda name: (name not in shipped, name))
    kept = {} if sound is None else sound
    nodes = {
        name: kept.get(shown[name]) or read(shown[name], texts[name], problems) for name in order
    }
    kept |= {
        node.place.path: node
        for node in nodes.values()
        if node is not None and node.place.path not in problems.faulty
    }
    made_out = unread or {}
    problems.texts = {path: text for path, text in made_out.items() if text is not None}
    problems.texts |= {shown[name]: text for name, text in texts.items()}
    problems.unread = {*made_out, *(shown[name] for name in order if nodes[name] is None)}
    return _compile(
        [node for node in nodes.values() if node is not None],
        problems,
        shipped={shown[name] for name in shipped if name in shown},
        digest=_digest(texts),
    )


def _compile(
    files: list[Mapping],
    problems: Problems,
    *,
    shipped: AbstractSet[str],
    digest: str,
) -> RuleSet:
    shared = Shared(problems)
    scenarios = [node for node in files if node.entries.keys() >= _OF_A_SCENARIO]
    for node in scenarios:
        what = "this is a scenario, by its `expect`"
        problems.add("unknown-name", node.keys["expect"], what, "call the file *.scenario.yaml")
    files = [node for node in files if node not in scenarios]
    files = [_spelt(node, problems) for node in files]
    declaring = [node for node in files if not _is_rule(node)]
    problems.shared = {node.place.path for node in declaring}
    cut = [_cut(node, problems) for node in files if _is_rule(node)]
    shared.take([*declaring, *(more for _, more in cut if more.entries)])
    for _, more in cut:
        # What stands where nothing is declared is told to be moved, and is not told to be unused.
        shared.used |= {
            (key, name)
            for key, one in more.entries.items()
            if isinstance(one, Mapping)
            for name in one.entries
        }
    files = [node for node, _ in cut]
    compilers = [
        RuleCompiler(node, shared, problems) for node in files if not _says(node, "disable")
    ]
    compiled = [(one, one.compile()) for one in compilers]
    rules = _choose(compiled, files, problems)
    order = sorted(rules.values(), key=lambda rule: (-rule.priority, rule.id))
    known = {rule.id for _, rule in compiled}
    check_closers(rules, known, shipped, problems)
    check_facts(order, [rule for _, rule in compiled], problems)
    meant = check_keys(rules, shipped, problems)
    gone = _gone(files)
    check_taken_out(rules, gone, shipped, problems)
    check_passes(rules, shared.events, problems)
    check_captures(
        rules,
        [rule for _, rule in compiled],
        {rule.id: one.written for one, rule in compiled if rules.get(rule.id) is rule},
        meant,
        problems,
    )
    check_reachable(order, problems)
    check_contradictions(order, problems)
    check_shared(shared, problems)
    found = sorted(_first_causes(problems), key=lambda one: (one.place, one.code))
    if problems.unread or any(one.code not in HARMLESS for one in found):
        raise RuleError(found)
    return RuleSet(
        tuple(order),
        shared.events,
        shared.vocabularies,
        shared.facts,
        shared.platforms["bots"],
        shared.platforms["sinks"],
        digest,
        tuple(shared.uncovered),
        tuple(found),
        frozenset(rule.event for _, rule in compiled if rule.event and rule.id in gone),
    )


def _first_causes(problems: Problems) -> list[Problem]:
    """Leave out what is said of a value that is no YAML to begin with, or that stands twice."""
    first = {"yaml", "duplicate-key"}
    torn = {one.place for one in problems.found if one.code in first}
    return [one for one in problems.found if one.code in first or one.place not in torn]


def _spelt(node: Mapping, problems: Problems) -> Mapping:
    """Return a file with `disable` or `override` as it was meant: all others depend on it."""
    wanted = [key for key in _OVER_OTHERS if key not in node.entries]
    for key in node.entries.keys() - set(RULE_KEYS) if "id" in node.entries else ():
        near = nearest_name(key, wanted, least=_SURE)
        if near is None or (near == "disable" and "message" in node.entries):
            continue
        problems.unknown("key in a rule", key, node.keys[key], wanted, meant=near)
        return Mapping(
            node.place,
            {near if one == key else one: value for one, value in node.entries.items()},
            {near if one == key else one: place for one, place in node.keys.items()},
        )
    return node


def _cut(node: Mapping, problems: Problems) -> tuple[Mapping, Mapping]:
    """Part a rule from what its file declares for all rules, which is a file's of its own."""
    more = {key: one for key, one in node.entries.items() if key in KEYS and key != "version"}
    for key in more:
        problems.add(
            "unknown-name",
            node.keys[key],
            f"{key!r} is no key of a rule, but of a file without an `id`",
            "move it to a file of its own",
        )
    rest = {key: one for key, one in node.entries.items() if key not in more}
    return Mapping(node.place, rest, node.keys), Mapping(node.place, more, node.keys)


def _is_rule(node: Mapping) -> bool:
    return bool(node.entries.keys() & _OF_A_RULE) or not node.entries


def _says(node: Mapping, key: str) -> bool:
    """Whether a file says so: `"true"` is a fault, told elsewhere, and meant all the same."""
    is_meant = "message" not in node.entries
    off = node.entries.get("enabled")
    if key == "disable" and is_meant and isinstance(off, Scalar) and key not in node.entries:
        return off.text.lower() in {"false", "no", "off", "0"}
    found = node.entries.get(key)
    if not isinstance(found, Scalar):
        return False
    if key == "override":
        return found.value is not False
    return found.value is True or (is_meant and found.text.lower() in {"true", "yes", "on", "1"})


def _choose(
    compiled: list[tuple[RuleCompiler, Rule]], files: list[Mapping], problems: Problems
) -> dict[str, Rule]:
    """Return the rules that hold, by id, once overrides and disables have acted."""
    rules: dict[str, Rule] = {}
    overrides = [(one, rule) for one, rule in compiled if _says(one.node, "override")]
    for one, rule in compiled:
        if _says(one.node, "override"):
            continue
        if rule.id and rule.id in rules:
            problems.add(
                "duplicate",
                rule.place,
                f"rule {rule.id!r} is declared twice",
                f"first in {rules[rule.id].place}; write another id, or "
                "add `override: true` to replace it",
            )
        rules.setdefault(rule.id, rule)
    shipped = dict(rules)
    acted: dict[str, Place] = {}
    for one, rule in overrides:
        said = one.node.entries["override"]
        is_sure = isinstance(said, Scalar) and said.value is True
        if rule.id and rule.id not in shipped and is_sure:
            _tell_nothing(rule.id, one.reader.place("id"), "replace", shipped, problems)
        _act(rule.id, rule.place, acted, problems)
        rules[rule.id] = rule
    for node in files:
        if _says(node, "disable"):
            reader = Reader(node, "a file that disables a rule", problems)
            _check_disable(node, problems)
            name = reader.text("id")
            check_format(reader)
            reader.flag("disable")
            if name and name not in shipped:
                _tell_nothing(name, reader.place("id"), "take out", shipped, problems)
            _act(name, reader.place("id"), acted, problems)
            rules.pop(name, None)
    return rules


def _gone(files: list[Mapping]) -> dict[str, Place]:
    """Return the ids of the rules that are taken out, and where that is said."""
    ids = [node.entries.get("id") for node in files if _says(node, "disable")]
    return {one.text: one.place for one in ids if isinstance(one, Scalar)}


def _tell_nothing(
    name: str, place: Place, what: str, known: Iterable[str], problems: Problems
) -> None:
    """Note an `override` or a `disable` of a rule that is not there."""
    if problems.may_declare("rule", name, place):
        return
    near = nearest_name(name, known)
    own = "remove `override` if it is a rule of its own" if what == "replace" else "remove the file"
    fix = f"did you mean {near}? Else {own}" if near else own
    problems.add("unknown-name", place, f"there is no rule {name!r} to {what}", fix)


def _check_disable(node: Mapping, problems: Problems) -> None:
    more = [key for key in node.entries if key not in DISABLE_KEYS]
    if more:
        problems.add(
            "unknown-name",
            node.keys[more[0]],
            f"a file that disables a rule says nothing else, but here stands {', '.join(more)}",
            "write `id` and `disable: true` alone, or `override: true` to replace the rule",
        )


def _act(name: str, place: Place, acted: dict[str, Place], problems: Problems) -> None:
    """Note a second file that overrides or disables one rule: which of them holds is a guess."""
    first = acted.setdefault(name, place)
    if name and first is not place:
        problems.add(
            "duplicate",
            place,
            f"rule {name!r} is overridden or disabled twice",
            f"first in {first}; remove one of the two",
        )


def _digest(texts: MappingType[str, str]) -> str:
    digest = hashlib.sha256()
    for path, text in sorted(texts.items()):
        digest.update(f"{path}\0{len(text)}\0{text}".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()[:16]
