"""Configuration file, environment and flags -> frozen `Settings`, or every fault of all three.

The only reader of the environment and of the configuration file. A setting is declared once, in its
section's class: kind, default, limits and reason; validation, `--help` and the README's table come
from there. Flags win over the environment, the environment over the file; a switch that is off
anywhere is off. Text that could be a secret is never repeated.
"""

from __future__ import annotations

import difflib
import re
from collections import defaultdict
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Any

import attrs
from attrs import define, field, frozen

from agent.rules.places import Items, Mapping, Node, Problems, Scalar, read
from agent.sink.segment import REGIONS, EndpointError, endpoint_for

if TYPE_CHECKING:
    import argparse
    from collections import abc
    from collections.abc import Callable, Iterable

    ReadText = Callable[[str], str]

PREFIX = "BOTKUBE_ANALYTICS_"
CONFIG_VARIABLE = "BOTKUBE_ANALYTICS_CONFIG"
DEFAULT_CONFIG = "/etc/botkube-analytics/config.yaml"
DEFAULT_STATE = "~/.local/state/botkube-analytics/state.json"
DAY_SECONDS = 86_400
MAX_NUMBER = 10**12
MAX_SHOWN_CHARS = 24
"""A longer value is not repeated in a fault: it may be a secret in the wrong place."""


class Kind(StrEnum):
    """What a value may be, in the words of the README."""

    SWITCH = "true or false"
    NUMBER = "whole number"
    WORD = "word"
    NAME = "Kubernetes name"
    TEXT = "text"
    PATH = "path"
    URL = "URL"
    SECRET = "write key"  # noqa: S105 the name of a kind


_LINE = re.compile(r"[^\x00-\x1f\x7f]{1,4096}")
_PATTERNS = {
    Kind.NAME: re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?"),
    Kind.TEXT: _LINE,
    Kind.PATH: _LINE,
    Kind.URL: re.compile(r"[!-~]{1,4096}"),
    Kind.SECRET: re.compile(r"[!-9;-~]{1,4096}"),
}
_FIXES = {
    Kind.NAME: "write lower-case letters, digits, `-` and `.`, at most 253",
    Kind.TEXT: "write one line of text, in quotes where YAML reads something else",
    Kind.PATH: "write a path, in quotes where YAML reads something else",
    Kind.URL: "write a base URL such as https://segment.example.com",
    Kind.SECRET: "copy it again, in quotes; it has no space, line break or colon",
}
_SWITCH_WORDS = {"true": True, "1": True, "yes": True, "on": True} | dict.fromkeys(
    ("false", "0", "no", "off"), False
)
_SERVICE_LINK = re.compile(
    r"\w+=(tcp|udp|sctp)://.*|\w+_(SERVICE_(HOST|PORT\w*)|(TCP|UDP|SCTP)_(PROTO|PORT|ADDR))=.*"
)
"""What Kubernetes puts into every pod's environment for a service that is named like the agent."""


@frozen
class Setting:
    """One setting: all that validation, help and documentation need to know of it."""

    section: str
    key: str
    kind: Kind
    default: Any
    reason: str
    unit: str = ""
    least: int = 0
    most: int | None = None
    divides: int | None = None
    options: tuple[str, ...] = ()
    is_list: bool = False
    own_variable: str = ""

    @property
    def name(self) -> str:
        """The setting's name, and the key of its value among the flags."""
        return f"{self.section}.{self.key}"

    @property
    def variable(self) -> str:
        """The environment variable."""
        return self.own_variable or f"{PREFIX}{self.section}_{self.key}".upper()

    @property
    def flag(self) -> str | None:
        """The flag, which a secret has none of: other users can read a command line."""
        is_secret = self.kind is Kind.SECRET
        return None if is_secret else f"--{self.section}-{self.key}".replace("_", "-")

    @property
    def values(self) -> str:
        """What may be written, for people."""
        one = ", ".join(self.options) or self.kind.value
        if self.kind is Kind.NUMBER:
            one = f"{self.least} or more" if self.most is None else f"{self.least} to {self.most}"
            one += f" {self.unit}" if self.unit else ""
            one += f", a divisor of {self.divides}" if self.divides else ""
        return f"list of: {one}" if self.is_list else one

    @property
    def default_text(self) -> str:
        """The default as it would be written in the environment."""
        if isinstance(self.default, tuple):
            return ";".join(self.default) or "none"
        return "none" if self.default is None else str(self.default).replace("False", "false")

    @property
    def fix(self) -> str:
        """What to do about a value that does not fit."""
        return _FIXES.get(self.kind, f"write {'one of ' if self.options else ''}{self.values}")


def _declare(kind: Kind, default: object, reason: str, **limits: object) -> Any:  # noqa: ANN401 attrs
    declared = {"kind": kind, "default": default, "reason": reason, **limits}
    return field(default=default, repr=kind is not Kind.SECRET, metadata=declared)


_number, _word = partial(_declare, Kind.NUMBER), partial(_declare, Kind.WORD)
_name, _text = partial(_declare, Kind.NAME), partial(_declare, Kind.TEXT)
_path = partial(_declare, Kind.PATH)


@frozen
class Switch:
    """One local off switch: its name, its value in a closed word, and whether it turns off."""

    name: str
    value: str
    is_off: bool


@frozen
class Analytics:
    disable: bool = _declare(
        Kind.SWITCH,
        False,  # noqa: FBT003 a default
        "true: nothing is read or sent, no connection is opened; DO_NOT_TRACK=1 does the same",
        own_variable="BOTKUBE_ANALYTICS_DISABLE",
    )
    switches: tuple[Switch, ...] = ()


@frozen
class Kubernetes:
    kubeconfig: str | None = _path(None, "none: the service account, else the usual kubeconfig")
    context: str | None = _text(None, "a context of the kubeconfig; none: its current one")
    namespaces: tuple[str, ...] = _name(
        (), "where BotKube runs; none: the agent's own, then botkube", is_list=True
    )
    selectors: tuple[str, ...] = _text(
        ("app=botkube,component=controller", "app.kubernetes.io/name=botkube"),
        "label selectors, any of which finds BotKube's pods, old chart and new",
        is_list=True,
    )
    containers: tuple[str, ...] = _name(
        ("botkube",), "containers to follow; init and sidecar containers are none", is_list=True
    )
    node: str | None = _name(None, "follow this node's pods only (DaemonSet); none: all nodes")


@frozen
class Rules:
    paths: tuple[str, ...] = _path(
        (), "rule files or folders added to the shipped rules", is_list=True
    )


@frozen
class Window:
    seconds: int = _number(
        3600,
        "the interval that is counted, the finest time that is sent; below 60 for trials only",
        unit="seconds",
        least=2,
        most=DAY_SECONDS,
        divides=DAY_SECONDS,
    )


@frozen
class State:
    path: str | None = _path(
        None, f"the state file; none: in a cluster the ConfigMap, else {DEFAULT_STATE}"
    )
    configmap: str = _name(
        "botkube-analytics-state", "the ConfigMap of cursors, open windows and outbox"
    )
    installation_configmap: str = _name(
        "botkube-analytics-installation", "the ConfigMap of the installation id"
    )
    namespace: str | None = _name(None, "where both ConfigMaps are; none: the agent's own")


@frozen
class Destination:
    write_key: str | None = _declare(
        Kind.SECRET, None, "the Segment source's write key; none: counts stay in the cluster"
    )
    write_key_file: str | None = _path(None, "a file with the write key, as a Secret is mounted")
    region: str = _word("us", "where the Segment workspace is", options=tuple(REGIONS))
    endpoint: str | None = _declare(
        Kind.URL, None, "an own Segment-compatible endpoint, in place of the region's"
    )


@frozen
class Identity:
    cluster_id: str = _word(
        "uuid5",
        "the cluster's id: a hash of the uid of kube-system, that uid itself, or none",
        options=("uuid5", "raw", "none"),
    )


@frozen
class Privacy:
    quiet_period_seconds: int = _number(
        DAY_SECONDS, "how long after the first start nothing is sent, to look first", unit="seconds"
    )


@frozen
class Commit:
    seconds: int = _number(
        5,
        "least time between writes of the state, which bounds re-reading",
        unit="seconds",
        least=1,
        most=300,
    )


@frozen
class Health:
    host: str = _text("0.0.0.0", "where health and metrics listen; probes come from the node")  # noqa: S104
    port: int = _number(8080, "the port of health and metrics; 0: any free one", most=65_535)


@frozen
class Log:
    level: str = _word(
        "info",
        "the least level that is logged; nothing is logged per event at any",
        options=("debug", "info", "warning", "error"),
    )


@frozen
class Settings:
    """All settings as they are in force, grouped by section."""

    analytics: Analytics = Analytics()
    kubernetes: Kubernetes = Kubernetes()
    rules: Rules = Rules()
    window: Window = Window()
    state: State = State()
    destination: Destination = Destination()
    identity: Identity = Identity()
    privacy: Privacy = Privacy()
    commit: Commit = Commit()
    health: Health = Health()
    log: Log = Log()


_SECTIONS: dict[str, Any] = {one.name: type(one.default) for one in attrs.fields(Settings)}
TABLE = tuple(
    Setting(section, one.name, **one.metadata)
    for section, kind in _SECTIONS.items()
    for one in attrs.fields(kind)
    if one.metadata
)


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
    """All faults of file, environment and flags."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = tuple(faults)
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
    if given.faults:
        raise SettingsError(given.faults)
    values: dict[str, dict[str, Any]] = {section: {} for section in _SECTIONS}
    for setting, layers in given.values.items():
        values[setting.section][setting.key] = layers[max(layers)][1]
    if "path" not in values["state"] and "KUBERNETES_SERVICE_HOST" not in environ:
        values["state"]["path"] = given.expand(DEFAULT_STATE)
    off = _off_switches(given, environ.get("DO_NOT_TRACK", ""))
    values["analytics"] = {"disable": any(one.is_off for one in off), "switches": off}
    return Settings(**{section: kind(**values[section]) for section, kind in _SECTIONS.items()})


def switches(settings: Settings) -> tuple[Switch, ...]:
    """Return every local off switch, set or not."""
    return settings.analytics.switches


def table() -> tuple[tuple[str, str, str, str, str, str], ...]:
    """Return the README's rows: setting, variable, flag, values, default, reason."""
    return tuple(
        (one.name, one.variable, one.flag or "none", one.values, one.default_text, one.reason)
        for one in TABLE
    )


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Declare every flag; `vars` of the parsed arguments is what `load` takes."""
    parser.add_argument("--config", metavar="FILE", help=f"default: {DEFAULT_CONFIG} if it exists")
    for one in TABLE:
        options: dict[str, Any] = {
            "action": "append" if one.is_list else "store",
            "metavar": "VALUE",
        }
        if one.kind is Kind.SWITCH:
            options = {"action": "store_const", "const": True}
        if one.flag is not None:
            text = f"{one.reason} ({one.values}; default: {one.default_text})"
            parser.add_argument(one.flag, dest=one.name, help=text.replace("%", "%%"), **options)


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
        near = difflib.get_close_matches(name, known := sorted(known), n=1)
        near = near or [one.name for one in TABLE if one.key == name]
        fix = f"did you mean {near[0]}?" if near else f"known: {', '.join(known)}"
        # Variables have names; a key of a file may be a secret in the wrong place.
        is_plain = name.startswith(PREFIX) or re.fullmatch(r"[A-Za-z_]{1,24}", name)
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
        message, fix = problem.message, problem.hint
        if problem.code == "type":
            message, fix = "this is not a mapping of plain words", "write sections and their keys"
        # A key or an alias may be a misplaced secret, so nothing quoted is repeated.
        message = re.sub(r"""["'].*["']""", "this", message, flags=re.DOTALL)
        given.fault("config", str(problem.place), message, fix or "correct the YAML here")
    if top is None:
        return
    for section, node in top.entries.items():
        keys = {one.key: one for one in TABLE if one.section == section}
        if not keys:
            given.unknown(section, str(top.keys[section]), _SECTIONS)
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
            raise _Unfit(f"{_shown(value)} is neither true nor false")
        return found
    if setting.kind is Kind.WORD:
        if value not in setting.options:
            raise _Unfit(f"{_shown(value)} is not one of its words")
    elif not isinstance(value, str) or not _PATTERNS[setting.kind].fullmatch(value):
        raise _Unfit(f"this is not a {setting.kind.value}")
    elif setting.kind is Kind.URL:
        try:
            endpoint_for(value)
        except EndpointError as error:
            raise _Unfit(str(error)) from error
    return value


def _fit_number(setting: Setting, value: object) -> int:
    if isinstance(value, bool) or not re.fullmatch(r"-?[0-9]{1,12}", str(value)):
        raise _Unfit(f"{_shown(value)} is not a whole number")
    number = int(str(value))
    if number < setting.least or (setting.most is not None and number > setting.most):
        raise _Unfit(f"{number} is out of range")
    if setting.divides is not None and setting.divides % number:
        raise _Unfit(f"{number} does not divide {setting.divides}")
    return number


def _shown(value: object) -> str:
    is_short = isinstance(value, (str, int, float)) and len(str(value)) <= MAX_SHOWN_CHARS
    return repr(value) if is_short else "this"
