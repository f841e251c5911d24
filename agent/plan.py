"""The disclosure plan: every series that could ever exist, its bounds, and what is new in it.

Owns the arithmetic of the worst case, the comparison of two plans, and how both are printed.
Reads rule files and plans; must not know logs, where settings stand, or the cluster.
"""

from __future__ import annotations

import sys
from math import log2, prod
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import attrs
import orjson
from attrs import frozen
from rich.console import Console
from rich.table import Table

from agent.around import around
from agent.disclosure import (
    CALL,
    GROUP,
    IDENTIFY,
    REQUEST,
    SHAPES,
    Disclosure,
    New,
    disclosures,
    event_names,
    newly_disclosed,
    questions,
    texts,
)
from agent.model import REPORT
from agent.modes import Mode
from agent.rulefiles import load_rules
from agent.terms import MODE, QUIET, SETTINGS, Terms, newly_told, read_terms

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from agent.model import Value
    from agent.rules import RuleSet

T = TypeVar("T")

FORMAT_VERSION = 2
_WRITE = "write one with: botkube-analytics plan --format json"
COUNT_BITS = 20
NUMBER_BITS = 32
ASSUMPTIONS = (
    "one release of BotKube at a time: each further one multiplies the events that count",
    f"a count tells at most {COUNT_BITS} bits (a million in a window), a number {NUMBER_BITS}",
    "every series counts in the same window, each with its longest values",
    "deltas and totals follow from the counts, ids and times from the installation: no bits",
    "bytes are those of a call as it is sealed; other services' words for it are longer or shorter",
)
_COMMON = frozenset({"stream", "seq", "window_start", "window_end"})
_BITS = {
    "true": 1.0,
    "count": float(COUNT_BITS),
    "number": float(NUMBER_BITS),
    "minutes": 11.0,
    "minor": 10.0,
}
"""What one value of a shape tells at most; of a shape that is not here nothing new."""
_LONGEST: Mapping[str, Value] = {
    "true": True,
    "count": 2**53,
    "number": 2**53,
    "minutes": 2**53,
    "sum": 2**53,
    "total": 2**53,
    "uuid": "0" * 36,
    "boundary": "0" * 20,
    "now": "0" * 20,
    "minor": "999.999",
    "version": "0" * 20,
    "digest": "0" * 16,
}


class PlanError(Exception):
    """What was given to compare with is no plan and no rules."""


@frozen
class Bound:
    """The worst case of one event in one window: how many of it, how many bytes, how many bits."""

    event: str
    events: int
    bytes: int
    bits: int


def bounds(found: Sequence[Disclosure]) -> tuple[Bound, ...]:
    """Return the worst case of every event in one window, under `ASSUMPTIONS`."""
    names = dict.fromkeys(one.event for one in found if one.event not in {CALL, REQUEST})
    return tuple(_bound(name, [one for one in found if one.event == name]) for name in names)


def _bound(event: str, own: Sequence[Disclosure]) -> Bound:
    size = len(orjson.dumps(_longest_call(event, own)))
    if event in {REPORT, IDENTIFY, GROUP}:
        bits = sum(_bits(one) for one in own if one.name not in _COMMON)
        return Bound(event, 1, size, round(bits))
    series = prod(
        len(one.values) + one.is_optional
        for one in own
        if one.shape == "words" and one.name != "botkube_version"
    )
    release = next((one for one in own if one.name == "botkube_version"), None)
    bits = series * (COUNT_BITS + 1) + (_bits(release) if release is not None else 0)
    return Bound(event, series, series * size, round(bits))


def _bits(one: Disclosure) -> float:
    if one.shape == "words":
        return log2(len(one.values) + one.is_optional)
    return _BITS.get(one.shape, 0.0) + (one.is_optional and one.shape in {"minutes", "minor"})


def _longest_call(event: str, own: Sequence[Disclosure]) -> dict[str, Any]:
    """Return a call as long as this one can be."""
    values = {one.name: _longest(one) for one in own}
    around = {"anonymousId": "0" * 36, "messageId": "0" * 36, "timestamp": "0" * 20}
    if event in {IDENTIFY, GROUP}:
        return {"type": event, **around, "groupId": "0" * 36, "traits": values}
    return {"type": "track", "event": event, **around, "properties": values}


def _longest(one: Disclosure) -> Value:
    if one.shape == "words":
        return max(one.values, key=lambda value: len(orjson.dumps(value)), default="")
    return _LONGEST[one.shape]


def read_plan(path: str) -> tuple[tuple[Disclosure, ...], Terms | None]:
    """Read a plan that `--format json` has written, or make that of a folder of rules.

    A folder tells no settings. Raises `PlanError`, or `RuleError` for rules with faults.
    """
    if Path(path).is_dir():
        return disclosures(load_rules([path])), None
    try:
        found = orjson.loads(Path(path).read_bytes())
    except OSError as error:
        raise PlanError(f"cannot read {path}: {error.strerror}") from error
    except orjson.JSONDecodeError as error:
        place = f"{path}:{error.lineno}:{error.colno}"
        raise PlanError(f"{place}: this is no JSON, so no plan; {_WRITE}") from error
    try:
        return _plan(found)
    except ValueError as error:
        what = f"{path}: {error}: no plan has such a value there; {_WRITE}"
        raise PlanError(what) from error


def _plan(found: object) -> tuple[tuple[Disclosure, ...], Terms]:
    """Return what a plan says. Raises `ValueError` with the place of an odd value."""
    version = _get(found, "version", int)
    if version != FORMAT_VERSION:
        raise ValueError(f"version {version} and not {FORMAT_VERSION}")
    series = enumerate(_get(found, "series", list))
    return tuple(_disclosure(one, f"series[{number}].") for number, one in series), read_terms(
        _get(found, SETTINGS, dict)
    )


def _disclosure(found: object, place: str) -> Disclosure:
    values = _get(found, "values", list, place)
    shape = _get(found, "shape", str, place)
    if shape not in SHAPES:
        raise ValueError(f"{place}shape")
    if not {type(one) for one in values} <= {str, int, bool}:
        raise ValueError(f"{place}values")
    return Disclosure(
        _get(found, "event", str, place),
        _get(found, "property", str, place),
        shape,
        tuple(values),
        is_optional=_get(found, "optional", bool, place),
    )


def _get(found: object, name: str, kind: type[T], place: str = "") -> T:
    value = found.get(name) if isinstance(found, dict) else None
    # A boolean is no number.
    if type(value) is not kind:
        raise ValueError(f"{place}{name}")
    return value


# --- printing -------------------------------------------------------------------------------------


def show_plan(
    ruleset: RuleSet,
    terms: Terms,
    *,
    against: str | None,
    acknowledged: bool,
    as_json: bool,
    kind: str = "segment",
) -> int:
    """Print the plan for a kind of destination, or what is new in it; return the exit code."""
    found = around(disclosures(ruleset), kind)
    if against is None:
        if as_json:
            _print_json(_plan_data(ruleset, found, terms))
        else:
            _print_plan(ruleset, found, terms)
        return 0
    series, before = read_plan(against)
    new = newly_disclosed(series, found)
    if before is None:
        print("a folder tells no settings: only rules are compared", file=sys.stderr)
    else:
        new += tuple(newly_told(before, terms))
        for name, tells in ((QUIET, terms.quiet_seconds), (MODE, terms.mode == Mode.ON)):
            if before.data[name] is None and tells:
                print(f"{name}: not known of the old plan, so not compared", file=sys.stderr)
    if as_json:
        _print_json({"version": FORMAT_VERSION, "new": [attrs.asdict(one) for one in new]})
    else:
        _print_new(new)
    return 3 if new and not acknowledged else 0


def _plan_data(ruleset: RuleSet, found: Sequence[Disclosure], terms: Terms) -> dict[str, Any]:
    limits = bounds(found)
    return {
        "version": FORMAT_VERSION,
        "rules_digest": ruleset.digest,
        SETTINGS: terms.data,
        "series": [
            {
                "event": one.event,
                "property": one.name,
                "shape": one.shape,
                "values": list(one.values),
                "optional": one.is_optional,
                "tells": one.tells,
            }
            for one in found
        ],
        "questions": {event: list(questions(ruleset, event)) for event in event_names(ruleset)},
        "worst_case": [attrs.asdict(one) for one in limits],
        "assumptions": list(ASSUMPTIONS),
    }


def _print_json(data: Mapping[str, Any]) -> None:
    sys.stdout.buffer.write(orjson.dumps(data, option=orjson.OPT_INDENT_2) + b"\n")
    sys.stdout.buffer.flush()


def _print_plan(ruleset: RuleSet, found: Sequence[Disclosure], terms: Terms) -> None:
    console = Console()
    series = Table(title="Everything that could ever be sent", title_justify="left")
    for head in ("event", "property", "values"):
        series.add_column(head, overflow="fold")
    for one in found:
        name = f"{one.name} (or absent)" if one.is_optional else one.name
        values = ", ".join(texts(one.values)) or SHAPES[one.shape]
        series.add_row(one.event, name, values)
    console.print(series)
    limits = Table(title="Worst case of one window", title_justify="left")
    limits.add_column("event")
    for head in ("events", "bytes", "bits"):
        limits.add_column(head, justify="right")
    for bound in bounds(found):
        limits.add_row(bound.event, f"{bound.events:,}", f"{bound.bytes:,}", f"{bound.bits:,}")
    total = bounds(found)
    limits.add_row(
        "all",
        *(f"{sum(getattr(one, key) for one in total):,}" for key in ("events", "bytes", "bits")),
    )
    console.print(limits)
    for assumption in ASSUMPTIONS:
        console.print(f"  assumed: {assumption}", highlight=False)
    said = ", ".join(f"{name} {value}" for name, value in terms.data.items())
    console.print(f"settings: {said}", highlight=False, markup=False, soft_wrap=True)
    console.print(f"rules: {len(ruleset.rules)}, digest {ruleset.digest}", highlight=False)


def _print_new(new: Sequence[New]) -> None:
    for one in new:
        shown = f": {', '.join(one.values)}" if one.values else ""
        print(f"{one.event} / {one.name}: {one.what}{shown}")
    print(f"{len(new)} newly disclosed" if new else "nothing is newly disclosed")
