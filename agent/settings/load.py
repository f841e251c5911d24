"""Configuration file, environment and flags -> frozen `Settings`, or every fault of all three.

The only reader of the environment and of the configuration file. Flags win over the environment,
the environment over the file; a switch that is off anywhere is off.

A fault is printed and logged, and anything may have been pasted into the wrong place, so a fault
repeats a value only where that helps and cannot harm: a short number (`7`, `5.0`, `1h`) or a short
word of letters in one case (`loud`, `ture`), and of the section `destination`, where keys and
addresses are, nothing at all. Free text is never repeated. A key is named if it is made of short
lower-case words as ours are.
"""

from __future__ import annotations

import difflib
import re
from collections import defaultdict
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, TypeGuard

from attrs import define, field, frozen

from agent.modes import Decision, decide
from agent.rules.nodes import Items, Mapping, Node, Scalar, read
from agent.rules.places import Problem, Problems
from agent.settings.selectors import is_selector
from agent.settings.table import (
    DEFAULT_CONFIG,
    DEFAULT_STATE,
    PREFIX,
    SECTIONS,
    TABLE,
    Kind,
    Setting,
    Settings,
    Switch,
)
from agent.sink.destination import AT_LEAST_ONCE, KINDS, SEGMENT, Destination
from agent.sink.endpoint import EndpointError, endpoint_for

if TYPE_CHECKING:
    from collections import abc
    from collections.abc import Callable, Iterable

    ReadText = Callable[[str], str]

CONFIG_VARIABLE = "BOTKUBE_ANALYTICS_CONFIG"
MAX_NUMBER = 10**12
LOCALHOST = "127.0.0.1"
"""What `localhost` is, so that nobody is asked for it."""
SECRETIVE = "destination"
"""The section of which no value is repeated in a fault."""

_HARMLESS = re.compile(r"-?[0-9]{1,7}(\.[0-9]{1,2})?[a-z]?|[A-Z]?[a-z]{1,7}|[A-Z]{1,7}")
_KEY_NAME = re.compile(r"[a-z]{1,12}(_[a-z]{1,12}){0,3}")
_LINE = re.compile(r"[^\x00-\x1f\x7f]{1,4096}")
_PATTERNS = {
    Kind.NAME: re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?"),
    Kind.TEXT: _LINE,
    Kind.SELECTOR: _LINE,
    Kind.PATH: _LINE,
    Kind.ADDRESS: _LINE,
    Kind.URL: re.compile(r"[!-~]{1,4096}"),
    Kind.SECRET: re.compile(r"[!-9;-~]{1,4096}"),
}
_SWITCH_WORDS = {"true": True, "1": True, "yes": True, "on": True} | dict.fromkeys(
    ("false", "0", "no", "off"), False
)
_YAML_FIXES = {
    "write one rule a file, without `---` between": "write all sections above, without the `---`",
    "write one rule a file, and nothing after `...`": "write nothing after `...`",
}
"""What the reader of YAML advises for a file of rules, and what is right for settings."""
_SERVICE_LINK = re.compile(
    r"\w+=(tcp|udp|sctp)://.*|\w+_(SERVICE_(HOST|PORT\w*)|(TCP|UDP|SCTP)_(PROTO|PORT|ADDR))=.*"
)
"""What Kubernetes puts into every pod's environment for a service that is named like the agent."""


@frozen
class Fault:
    """What is wrong with one setting, where it was given, and what to do about it."""

    setting: str
    source: str
    message: str
    fix: str

    def __str__(self) -> str:
        return f"{self.source}: {self.setting}: {self.message}; {self.fix}"


class SettingsError(Exception):
    """All faults of file, environment and flags.

    `usable` are the settings without what is at fault: a switch that says off is obeyed even if
    something else is wrong.
    """

    def __init__(self, faults: Iterable[Fault], usable: Settings) -> None:
        self.faults = tuple(faults)
        self.usable = usable
        super().__init__("\n".join(map(str, self.faults)))


def load(
    environ: abc.Mapping[str, str], flags: abc.Mapping[str, object], read_text: ReadText
) -> Settings:
    """Return the settings in force. `flags` has setting names for keys; None is not given.

    `read_text` takes a path and raises `OSError` or `UnicodeDecodeError`. Raises `SettingsError`.
    """
    given = _Given(environ.get("HOME", ""))
    variable = environ.get(CONFIG_VARIABLE, "").strip()
    if (flag := flags.get("config")) is not None:
        _take_file(given, "--config", str(flag), read_text)
    elif variable:
        _take_file(given, CONFIG_VARIABLE, variable, read_text)
    else:
        _take_file(given, DEFAULT_CONFIG, DEFAULT_CONFIG, read_text)
    _take_environment(given, environ)
    for one in TABLE:
        if one.flag is not None and flags.get(one.name) is not None:
            given.take(one, 2, one.flag, flags[one.name])
    _take_write_key_file(given, read_text)
    _check_state_path(given)
    _check_slots(given)
    _check_destination(given)
    values: dict[str, dict[str, Any]] = {section: {} for section in SECTIONS}
    for setting, layers in given.values.items():
        values[setting.section][setting.key] = layers[max(layers)][1]
    if "path" not in values["state"] and "KUBERNETES_SERVICE_HOST" not in environ:
        values["state"]["path"] = given.expand(DEFAULT_STATE)
    off = _off_switches(given, environ.get("DO_NOT_TRACK", ""))
    values["analytics"] = {"disable": any(one.is_off for one in off), "switches": off}
    found = Settings(**{section: kind(**values[section]) for section, kind in SECTIONS.items()})
    if given.faults:
        raise SettingsError(given.faults, found)
    return found


def destination(settings: Settings) -> Destination:
    """Return where batches go."""
    found = settings.destination
    kind = KINDS[found.type]
    base = found.endpoint or kind.regions.get(found.region)
    return Destination(
        found.type,
        endpoint_for(base) if base and kind.path else "",
        found.property or "",
        found.path or "",
        found.delivery,
    )


def has_destination(settings: Settings) -> bool:
    """Whether there is all that sending needs: a key, where one is needed."""
    return settings.destination.write_key is not None or not KINDS[settings.destination.type].key


def mode(settings: Settings) -> Decision:
    """Return the mode by what is set here alone."""
    return decide(switches(settings), has_destination=has_destination(settings))


def switches(settings: Settings) -> tuple[Switch, ...]:
    """Return every local off switch, set or not."""
    return settings.analytics.switches


class _Unfit(Exception):  # noqa: N818 becomes a Fault where the source is known
    """Why a value does not fit its setting."""


@define
class _Given:
    """What was given: per setting and layer (file 0, environment 1, flags 2) source and value."""

    home: str
    values: dict[Setting, dict[int, tuple[str, Any]]] = field(factory=lambda: defaultdict(dict))
    faults: list[Fault] = field(factory=list)

    def take(self, setting: Setting, layer: int, source: str, value: object) -> None:
        several = value if isinstance(value, (list, tuple)) else [value]
        if setting.needs_one and not several:
            self.fault(setting.name, source, "this list is empty", "name one, or leave it out")
            return
        try:
            fit: Any = tuple(
                _fit(setting, one) for one in (several if setting.is_list else [value])
            )
        except _Unfit as unfit:
            self.fault(setting.name, source, str(unfit), setting.fix)
            return
        if setting.kind is Kind.PATH:
            fit = tuple(map(self.expand, fit))
        self.values[setting][layer] = (source, fit if setting.is_list else fit[0])

    def fault(self, setting: str, source: str, message: str, fix: str) -> None:
        self.faults.append(Fault(setting, source, message, fix))

    def unknown(self, name: str, source: str, known: Iterable[str]) -> None:
        # All variables begin alike, which makes none of them like another.
        known = sorted(known)
        by_rest = {one.removeprefix(PREFIX): one for one in known}
        near = difflib.get_close_matches(name.removeprefix(PREFIX), by_rest, n=1, cutoff=0.55)
        near = [by_rest[one] for one in near] or [one.name for one in TABLE if one.key == name]
        fix = f"did you mean {near[0]}?" if near else f"known: {', '.join(known)}"
        # Variables have names; a key of a file may be a secret in the wrong place.
        is_plain = name.startswith(PREFIX) or _KEY_NAME.fullmatch(name)
        self.fault(name if is_plain else "this key", source, "there is no such setting", fix)

    def expand(self, path: str) -> str:
        return self.home + path[1:] if self.home and path.startswith("~/") else path

    def read(self, setting: str, source: str, path: str, read_text: ReadText) -> str | None:
        try:
            return read_text(self.expand(path))
        except UnicodeDecodeError:
            why = "the file is not UTF-8 text"
        except (OSError, ValueError) as error:
            if source == DEFAULT_CONFIG and isinstance(error, FileNotFoundError):
                return None
            reason = getattr(error, "strerror", None) or type(error).__name__
            why = f"the file cannot be read: {reason}"
        # The path is not repeated: it may be the secret itself.
        self.fault(setting, source, why, "name a readable text file")
        return None


def _take_file(given: _Given, source: str, path: str, read_text: ReadText) -> None:
    text = given.read("config", source, path, read_text)
    if text is None or all(line.lstrip()[:1] in {"", "#"} for line in text.splitlines()):
        return
    problems = Problems()
    top = read(path, text, problems)
    for problem in problems.found:
        _take_problem(given, problem, top)
    if top is None:
        return
    for section, node in top.entries.items():
        keys = {one.key: one for one in TABLE if one.section == section}
        if not keys:
            given.unknown(section, str(top.keys[section]), SECTIONS)
        elif not isinstance(node, Mapping):
            if _plain(node) is not None:
                fix = f"write keys below it: {', '.join(keys)}"
                given.fault(section, str(node.place), "a section is a mapping", fix)
        else:
            for key, value in node.entries.items():
                if key not in keys:
                    given.unknown(key, str(node.keys[key]), keys)
                elif (plain := _plain(value)) is not None:
                    given.take(keys[key], 0, str(value.place), plain)


def _take_problem(given: _Given, problem: Problem, top: Mapping | None) -> None:
    """Say a fault of the YAML in the words of settings."""
    name, message, fix = "config", problem.message, _YAML_FIXES.get(problem.hint, problem.hint)
    if problem.code == "type":
        message, fix = "this is not a mapping of plain words", "write sections and their keys"
    elif problem.code == "duplicate-key":
        name = _twice(problem, top) or name
    # A key or an alias may be a misplaced secret, so nothing quoted is repeated.
    message = re.sub(r"""["'].*["']""", "this", message, flags=re.DOTALL)
    given.fault(name, str(problem.place), message, fix or "correct the YAML here")


def _twice(problem: Problem, top: Mapping | None) -> str | None:
    """Return which section or setting stands twice, if what stands there is one."""
    key = problem.message.split("'")[1] if "'" in problem.message else ""
    above = [name for name, place in top.keys.items() if place < problem.place] if top else []
    inner = f"{above[-1]}.{key}" if above else ""
    known = {*SECTIONS, *(one.name for one in TABLE)}
    return next((name for name in (inner, key) if name in known), None)


def _plain(node: Node) -> object:
    if isinstance(node, Scalar):
        return node.value
    return [_plain(item) for item in node.items] if isinstance(node, Items) else node


def _take_environment(given: _Given, environ: abc.Mapping[str, str]) -> None:
    settings = {one.variable: one for one in TABLE}
    for name, value in sorted(environ.items()):
        is_ours = name.startswith(PREFIX) and name != CONFIG_VARIABLE
        # An empty variable is a variable that is not set.
        if not is_ours or not value.strip() or _SERVICE_LINK.fullmatch(f"{name}={value}"):
            continue
        if (one := settings.get(name)) is None:
            given.unknown(name, name, settings)
        else:
            parts = [part.strip() for part in value.split(";") if part.strip()]
            given.take(one, 1, name, parts if one.is_list else value.strip())


def _take_write_key_file(given: _Given, read_text: ReadText) -> None:
    """Let the stronger of key and file win; in one layer they contradict each other."""
    secret, file = (
        next(one for one in TABLE if one.name == f"destination.{key}")
        for key in ("write_key", "write_key_file")
    )
    keys, paths = given.values.get(secret, {}), given.values.get(file, {})
    if not paths or max(keys, default=-1) > max(paths):
        given.values.pop(file, None)
        return
    layer = max(paths)
    source, path = paths[layer]
    if layer in keys:
        fix = f"keep this one or the one at {source}"
        given.fault(secret.name, keys[layer][0], "write_key and write_key_file are both given", fix)
    elif (text := given.read(file.name, source, path, read_text)) is not None:
        given.take(secret, layer, path, text.strip())


def _check_state_path(given: _Given) -> None:
    """Two files are made beside each other there, so the path must end with a name."""
    setting = next(one for one in TABLE if one.name == "state.path")
    for source, path in given.values.get(setting, {}).values():
        if path.rpartition("/")[2] in {"", ".", ".."}:
            given.fault(setting.name, source, "this names a folder", "name a file in it")


def _check_slots(given: _Given) -> None:
    """Slots share one cluster's pods out between nodes: they need a node, and rule out the rest."""
    in_force = {
        setting.name: layers[max(layers)] for setting, layers in given.values.items() if layers
    }
    source, slots = in_force.get("state.slots", ("", 0))
    if not slots:
        return
    if "kubernetes.node" not in in_force:
        given.fault("state.slots", source, "slots need `kubernetes.node`", "set it, or no slots")
    for name in ("lease.name", "state.path"):
        if name in in_force:
            fix = f"remove it, or the slots at {source}"
            given.fault(name, in_force[name][0], "this does not go with `state.slots`", fix)


def _check_destination(given: _Given) -> None:
    """Each kind needs settings that no other has, and not all know a choice of delivery."""
    in_force = {
        setting.key: layers[max(layers)]
        for setting, layers in given.values.items()
        if layers and setting.section == SECRETIVE
    }
    source, name = in_force.get("type", ("", SEGMENT))
    kind = KINDS[name]
    for key, what in kind.needs.items():
        if key not in in_force and not any(one.setting.endswith(f".{key}") for one in given.faults):
            needed = f"{name} needs `destination.{key}`"
            given.fault("destination.type", source, needed, f"set it: {what}")
    for key, form in kind.forms.items():
        at, value = in_force.get(key, ("", None))
        if value is not None and not form.fullmatch(value):
            given.fault(
                f"destination.{key}", at, "this has not its form", f"it is {kind.needs[key]}"
            )
    strange: list[str] = [
        key for key in ("property", "path") if key in in_force and key not in kind.needs
    ]
    strange += ["endpoint"] if "endpoint" in in_force and not kind.path else []
    for key in strange:
        fits = (
            one
            for one, other in KINDS.items()
            if key in other.needs or (key == "endpoint" and other.path)
        )
        needs = ", ".join(fits)
        fix = f"remove it, or set the type that has it: {needs}"
        message = f"this does not go with `destination.type` {name}"
        given.fault(f"destination.{key}", in_force[key][0], message, fix)
    at, delivery = in_force.get("delivery", ("", AT_LEAST_ONCE))
    if delivery != AT_LEAST_ONCE and kind.drops_repeats:
        message = f"{name} has no such choice: it knows what it has already"
        given.fault("destination.delivery", at, message, "remove it")


def _off_switches(given: _Given, do_not_track: str) -> tuple[Switch, ...]:
    setting = next(one for one in TABLE if one.kind is Kind.SWITCH)
    found = {layer: value for layer, (_, value) in given.values.get(setting, {}).items()}
    names = (setting.name, setting.variable, str(setting.flag))
    named = [(name, found.get(layer)) for layer, name in enumerate(names)]
    # A wish not to be tracked is not refused over its spelling.
    wish = do_not_track.strip().lower()
    named.append(("DO_NOT_TRACK", _SWITCH_WORDS.get(wish, True) if wish else None))
    return tuple(
        Switch(name, "not set" if value is None else str(value).lower(), value is True)
        for name, value in named
    )


def _fit(setting: Setting, value: object) -> object:
    """Return a value as its setting's type. Raises `_Unfit`."""
    if isinstance(value, int) and abs(value) > MAX_NUMBER:
        raise _Unfit("this number is too large")
    if setting.kind is Kind.NUMBER:
        return _fit_number(setting, value)
    if setting.kind is Kind.SWITCH:
        if (found := _SWITCH_WORDS.get(str(value).strip().lower())) is None:
            raise _Unfit(f"{_shown(setting, value)} is neither true nor false")
        return found
    if setting.kind is Kind.WORD:
        if value not in setting.options:
            raise _Unfit(f"{_shown(setting, value)} is not one of its words")
    elif not _has_form(value, setting.kind):
        raise _Unfit(f"this is not a {setting.kind.value}")
    elif setting.kind is Kind.ADDRESS:
        return _fit_address(value)
    elif setting.kind is Kind.URL:
        try:
            endpoint_for(value)
        except EndpointError as error:
            raise _Unfit(str(error)) from error
    return value


def _has_form(value: object, kind: Kind) -> TypeGuard[str]:
    if not isinstance(value, str) or not _PATTERNS[kind].fullmatch(value):
        return False
    return kind is not Kind.SELECTOR or is_selector(value)


def _fit_address(text: str) -> str:
    """Return an address for which nobody has to be asked, as for a name or an IPv6 zone."""
    if text.lower() == "localhost":
        return LOCALHOST
    try:
        found = ip_address(text)
    except ValueError:
        found = None
    if found is None or "%" in text:
        raise _Unfit(f"this is not an {Kind.ADDRESS.value}")
    return str(found)


def _fit_number(setting: Setting, value: object) -> int:
    if isinstance(value, bool) or not re.fullmatch(r"-?[0-9]{1,12}", str(value)):
        raise _Unfit(f"{_shown(setting, value)} is not a whole number")
    number = int(str(value))
    if number < setting.least or (setting.most is not None and number > setting.most):
        raise _Unfit(f"{_shown(setting, number)} is out of range")
    if setting.divides is not None and setting.divides % number:
        raise _Unfit(f"{_shown(setting, number)} does not divide {setting.divides}")
    return number


def _shown(setting: Setting, value: object) -> str:
    is_harmless = setting.section != SECRETIVE and _HARMLESS.fullmatch(str(value))
    return repr(value) if is_harmless and isinstance(value, (str, int, float)) else "this"
