"""Every setting, declared once in its section's class: kind, default, limits and reason.

Validation, `--help` and the README's table come from here. Must not know where a value is given.
"""

from __future__ import annotations

from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Any

import attrs
from attrs import field, frozen

from agent.sink.destination import AT_LEAST_ONCE, AT_MOST_ONCE, KINDS, SEGMENT
from agent.sink.endpoint import REGIONS

if TYPE_CHECKING:
    import argparse

PREFIX = "BOTKUBE_ANALYTICS_"
DEFAULT_CONFIG = "/etc/botkube-analytics/config.yaml"
DEFAULT_STATE = "~/.local/state/botkube-analytics/state.json"
DAY_SECONDS = 86_400


class Kind(StrEnum):
    """What a value may be, in the words of the README."""

    SWITCH = "true or false"
    NUMBER = "whole number"
    WORD = "word"
    NAME = "Kubernetes name"
    TEXT = "text"
    SELECTOR = "label selector"
    PATH = "path"
    URL = "URL"
    ADDRESS = "IP address or localhost"
    SECRET = "write key"  # noqa: S105 the name of a kind


_FIXES = {
    Kind.NAME: "write lower-case letters, digits, `-` and `.`, at most 253",
    Kind.TEXT: "write one line of text, in quotes where YAML reads something else",
    Kind.SELECTOR: "write it as for `kubectl get pods -l`: `app=botkube,tier in (a, b),!old`",
    Kind.PATH: "write a path, in quotes where YAML reads something else",
    Kind.URL: "write a base URL such as https://segment.example.com",
    Kind.ADDRESS: "write an IP address such as 127.0.0.1 or ::, or localhost: no name is looked up",
    Kind.SECRET: "copy it again, in quotes; it has no space, line break or colon",
}


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
    needs_one: bool = False
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
    selectors: tuple[str, ...] = _declare(
        Kind.SELECTOR,
        ("app=botkube,component=controller", "app.kubernetes.io/name=botkube"),
        "label selectors, any of which finds BotKube's pods, old chart and new",
        is_list=True,
    )
    containers: tuple[str, ...] = _name(
        ("botkube",), "containers to follow; init and sidecar containers are none", is_list=True
    )
    deployments: tuple[str, ...] = _name(
        ("botkube",),
        "BotKube's Deployments: `<name>-analytics-config` and `<name>-global-config` hold its own "
        "opt-out",
        is_list=True,
        needs_one=True,
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
    slots: int = _number(
        0,
        "DaemonSet: how many state ConfigMaps there are, `<state.configmap>-0` and so on, of which "
        "a replica claims one; 0: a single one",
        most=64,
    )
    namespace: str | None = _name(
        None, "where both ConfigMaps and the Lease are; none: the agent's own"
    )


@frozen
class Lease:
    name: str | None = _name(
        None, "the Lease that elects the one of several replicas that works; none: one replica"
    )


@frozen
class Destination:
    type: str = _word(
        SEGMENT, "which service, or what else, takes the events", options=tuple(KINDS)
    )
    write_key: str | None = _declare(
        Kind.SECRET,
        None,
        "the key of the service: Segment's write key, PostHog's project key, GA4's API secret, "
        "Piwik PRO's tracking token; none: counts stay in the cluster",
    )
    write_key_file: str | None = _path(None, "a file with the write key, as a Secret is mounted")
    region: str = _word("us", "where the service's account is", options=tuple(REGIONS))
    endpoint: str | None = _declare(
        Kind.URL, None, "an own endpoint that speaks the same, in place of the region's"
    )
    property: str | None = _text(
        None, "`ga4`: the measurement id; `piwik-pro`: the id of the site or app"
    )
    path: str | None = _path(None, "`file`: the file that events are appended to")
    delivery: str = _word(
        AT_LEAST_ONCE,
        "`ga4`, `piwik-pro`, `stdout`, which know no event again: what is not known to have "
        "arrived is sent again, or not",
        options=(AT_LEAST_ONCE, AT_MOST_ONCE),
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
    minimum: int = _number(
        0,
        "a smaller count of an event is sent as this number, with `count_floor`; 0: as it is",
        most=1_000_000,
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
    host: str = _declare(
        Kind.ADDRESS,
        "0.0.0.0",  # noqa: S104
        "where health and metrics listen; probes come from the node",
    )
    port: int = _number(8080, "the port of health and metrics; 0: any free one", most=65_535)


@frozen
class Page:
    port: int = _number(
        8081, "the port of the page, on loopback only; 0: any free one", most=65_535
    )


@frozen
class Ledger:
    path: str | None = _path(
        None, "a directory that keeps the reports over a restart; none: in memory only"
    )


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
    lease: Lease = Lease()
    destination: Destination = Destination()
    identity: Identity = Identity()
    privacy: Privacy = Privacy()
    commit: Commit = Commit()
    health: Health = Health()
    page: Page = Page()
    ledger: Ledger = Ledger()
    log: Log = Log()


SECTIONS: dict[str, Any] = {one.name: type(one.default) for one in attrs.fields(Settings)}
TABLE = tuple(
    Setting(section, one.name, **one.metadata)
    for section, kind in SECTIONS.items()
    for one in attrs.fields(kind)
    if one.metadata
)


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
