from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

import attrs
import pytest

from agent import settings
from agent.settings import DEFAULT_CONFIG, PREFIX, TABLE, Settings, SettingsError, Switch, load
from agent.sink.destination import Destination

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

SITE = "892d04bd-6e2b-4914-bfb4-bac721b37235"
KEY = "aBcDeFgHiJkLmNoPqRsTuVwXyZ012345"
CLUSTER = {"KUBERNETES_SERVICE_HOST": "10.0.0.1"}


def reader(files: Mapping[str, str | Exception]) -> Callable[[str], str]:
    def read_text(path: str) -> str:
        found = files.get(path, FileNotFoundError(2, "No such file or directory"))
        if isinstance(found, Exception):
            raise found
        return found

    return read_text


def load_file(text: str, environ: Mapping[str, str] = CLUSTER, **flags: object) -> Settings:
    return load(environ, flags, reader({DEFAULT_CONFIG: text}))


def faults(
    environ: Mapping[str, str] = CLUSTER,
    flags: Mapping[str, object] | None = None,
    files: Mapping[str, str | Exception] | None = None,
) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load(environ, flags or {}, reader(files or {}))
    assert str(caught.value).splitlines() == [str(fault) for fault in caught.value.faults]
    return [str(fault).replace(DEFAULT_CONFIG, "file") for fault in caught.value.faults]


def value_of(found: Settings, name: str) -> object:
    section, _, key = name.partition(".")
    return getattr(getattr(found, section), key)


def test_without_anything_all_is_default() -> None:
    expected = Settings()
    found = load(CLUSTER, {}, reader({}))

    assert expected == attrs.evolve(found, analytics=expected.analytics)


VALUES = [
    ("analytics.disable", "yes", True),
    ("kubernetes.kubeconfig", "~/config", "/me/config"),
    ("kubernetes.context", "arn:aws:eks:eu-1:1:cluster/x", "arn:aws:eks:eu-1:1:cluster/x"),
    ("kubernetes.namespaces", "one;two", ("one", "two")),
    ("kubernetes.selectors", "a=b,c=d; e in (f, g)", ("a=b,c=d", "e in (f, g)")),
    ("kubernetes.containers", "bot", ("bot",)),
    ("kubernetes.deployments", "one;two", ("one", "two")),
    ("kubernetes.node", "ip-10-0-0-1.ec2.internal", "ip-10-0-0-1.ec2.internal"),
    ("rules.paths", "/rules;~/mine", ("/rules", "/me/mine")),
    ("window.seconds", "60", 60),
    ("state.path", "/var/state.json", "/var/state.json"),
    ("state.configmap", "other", "other"),
    ("state.slots", "4", 4),
    ("state.installation_configmap", "another", "another"),
    ("state.namespace", "observability", "observability"),
    ("lease.name", "botkube-analytics", "botkube-analytics"),
    ("destination.type", "posthog", "posthog"),
    ("destination.write_key", KEY, KEY),
    ("destination.region", "eu", "eu"),
    ("destination.endpoint", "http://127.0.0.1:9/v1/batch", "http://127.0.0.1:9/v1/batch"),
    ("identity.cluster_id", "none", "none"),
    ("privacy.quiet_period_seconds", "0", 0),
    ("privacy.minimum", "5", 5),
    ("commit.seconds", "300", 300),
    ("health.host", "localhost", "127.0.0.1"),
    ("health.port", "0", 0),
    ("page.port", "0", 0),
    ("ledger.path", "~/ledger", "/me/ledger"),
    ("log.level", "debug", "debug"),
]


NODE = {"BOTKUBE_ANALYTICS_KUBERNETES_NODE": "node-1"}
SLOTS = {"BOTKUBE_ANALYTICS_STATE_SLOTS": "2"}


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        pytest.param(NODE | SLOTS, [], id="whole"),
        pytest.param(NODE, [], id="no-slots"),
        pytest.param(SLOTS, ["state.slots: slots need `kubernetes.node`"], id="no-node"),
        pytest.param(
            NODE | SLOTS | {"BOTKUBE_ANALYTICS_LEASE_NAME": "x"},
            ["lease.name: this does not go with `state.slots`"],
            id="lease",
        ),
        pytest.param(
            NODE | SLOTS | {"BOTKUBE_ANALYTICS_STATE_PATH": "/x"},
            ["state.path: this does not go with `state.slots`"],
            id="file",
        ),
    ],
)
def test_slots_need_a_node_and_the_cluster(environ: Mapping[str, str], expected: list[str]) -> None:
    if not expected:
        load({**CLUSTER, **environ}, {}, reader({}))
        return
    found = [fault.partition(": ")[2].partition(";")[0] for fault in faults({**CLUSTER, **environ})]

    assert expected == found


@pytest.mark.parametrize(("name", "text", "expected"), VALUES)
def test_each_setting_from_each_place(name: str, text: str, expected: object) -> None:
    setting = next(one for one in TABLE if one.name == name)
    home = CLUSTER | {"HOME": "/me"} | (NODE if name == "state.slots" else {})
    items = [part.strip() for part in text.split(";")]
    written = (
        "[" + ", ".join(f"'{item}'" for item in items) + "]" if setting.is_list else f"'{text}'"
    )
    by_file = load_file(f"{setting.section}:\n  {setting.key}: {written}\n", home)
    by_variable = load(home | {setting.variable: text}, {}, reader({}))
    found = [value_of(by_file, name), value_of(by_variable, name)]
    if setting.flag is not None:
        arguments = [setting.flag] if setting.default is False else []
        for item in items if setting.default is not False else ():
            arguments += [setting.flag, item]
        found.append(value_of(load(home, parse(arguments), reader({})), name))

    assert [expected] * len(found) == found


def test_every_setting_is_tried_above() -> None:
    elsewhere = ("write_key_file", "property", "path", "delivery")
    names = {f"destination.{one}" for one in elsewhere}
    assert {one.name for one in TABLE} - names == {row[0] for row in VALUES}


def parse(arguments: list[str]) -> dict[str, Any]:
    parser = argparse.ArgumentParser()
    settings.add_flags(parser)
    return vars(parser.parse_args(arguments))


def test_flags_win_over_environment_over_file() -> None:
    text = "window: {seconds: 60}\nlog: {level: debug}\nhealth: {port: 1}\n"
    environ = CLUSTER | {
        "BOTKUBE_ANALYTICS_LOG_LEVEL": "error",
        "BOTKUBE_ANALYTICS_HEALTH_PORT": "2",
    }
    found = load(environ, parse(["--health-port", "3"]), reader({DEFAULT_CONFIG: text}))

    assert (found.window.seconds, found.log.level, found.health.port) == (60, "error", 3)


def test_without_a_deployment_no_opt_out_would_be_looked_for() -> None:
    fault = "this list is empty; name one, or leave it out"
    text = "kubernetes:\n  deployments: []\n"
    by_variable = {**CLUSTER, "BOTKUBE_ANALYTICS_KUBERNETES_DEPLOYMENTS": ";"}

    assert [one.endswith(fault) for one in faults(files={DEFAULT_CONFIG: text})] == [True]
    assert [one.endswith(fault) for one in faults(by_variable)] == [True]


def test_a_list_replaces_the_default_list() -> None:
    found = load_file("kubernetes:\n  selectors: app=bot\n  containers: []\n")

    assert (found.kubernetes.selectors, found.kubernetes.containers) == (("app=bot",), ())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# nothing\n\n  # yet\n",
        "window:\n",
        "window:\n  seconds:\n",
        "window: {seconds: null}\n",
    ],
)
def test_what_is_empty_is_not_set(text: str) -> None:
    assert (
        load_file(text, CLUSTER | {"BOTKUBE_ANALYTICS_WINDOW_SECONDS": " "}).window.seconds == 3600
    )


@pytest.mark.parametrize(
    ("flags", "environ", "expected"),
    [
        pytest.param({"config": "/flag"}, {settings.CONFIG_VARIABLE: "/env"}, 2, id="flag"),
        pytest.param({}, {settings.CONFIG_VARIABLE: "/env"}, 3, id="variable"),
        pytest.param({"config": None}, {}, 4, id="default"),
    ],
)
def test_which_file_is_read(
    flags: Mapping[str, object], environ: Mapping[str, str], expected: int
) -> None:
    texts = {"/flag": 2, "/env": 3, DEFAULT_CONFIG: 4}
    files = {path: f"window: {{seconds: {seconds}}}" for path, seconds in texts.items()}

    assert expected == load(environ, flags, reader(files)).window.seconds


@pytest.mark.parametrize(
    ("environ", "text", "expected"),
    [
        pytest.param(CLUSTER, "", None, id="cluster"),
        pytest.param(
            {"HOME": "/me"},
            "",
            "/me/.local/state/botkube-analytics/state.json",
            id="laptop",
        ),
        pytest.param({}, "", settings.DEFAULT_STATE, id="no home"),
        pytest.param({"HOME": "/x"}, "state: {path: s.json}", "s.json", id="given"),
    ],
)
def test_where_the_state_is_kept(
    environ: Mapping[str, str], text: str, expected: str | None
) -> None:
    assert expected == load_file(text, environ).state.path


@pytest.mark.parametrize(
    ("environ", "text", "flags", "by"),
    [
        pytest.param({}, "analytics: {disable: true}", [], {"analytics.disable"}, id="file"),
        pytest.param(
            {"BOTKUBE_ANALYTICS_DISABLE": "1"}, "", [], {"BOTKUBE_ANALYTICS_DISABLE"}, id="variable"
        ),
        pytest.param({}, "", ["--analytics-disable"], {"--analytics-disable"}, id="flag"),
        pytest.param({"DO_NOT_TRACK": "1"}, "", [], {"DO_NOT_TRACK"}, id="do not track"),
        pytest.param({"DO_NOT_TRACK": "True"}, "", [], {"DO_NOT_TRACK"}, id="do not track true"),
        pytest.param({"DO_NOT_TRACK": "please"}, "", [], {"DO_NOT_TRACK"}, id="do not track, odd"),
        pytest.param({"DO_NOT_TRACK": "0"}, "", [], set(), id="do track"),
        pytest.param({"DO_NOT_TRACK": ""}, "", [], set(), id="do not track empty"),
        pytest.param(
            {"BOTKUBE_ANALYTICS_DISABLE": "false", "DO_NOT_TRACK": "false"},
            "analytics: {disable: true}",
            [],
            {"analytics.disable"},
            id="off in the file wins over on in the environment",
        ),
    ],
)
def test_any_off_wins(
    environ: Mapping[str, str], text: str, flags: list[str], by: set[str]
) -> None:
    found = load(CLUSTER | dict(environ), parse(flags), reader({DEFAULT_CONFIG: text}))

    assert by == {switch.name for switch in settings.switches(found) if switch.is_off}
    assert found.analytics.disable == bool(by)


def test_switches_name_all_and_their_values() -> None:
    found = load_file("analytics: {disable: off}", {"DO_NOT_TRACK": "1"})

    assert (
        Switch("analytics.disable", "false", is_off=False),
        Switch("BOTKUBE_ANALYTICS_DISABLE", "not set", is_off=False),
        Switch("--analytics-disable", "not set", is_off=False),
        Switch("DO_NOT_TRACK", "true", is_off=True),
    ) == settings.switches(found)


WINDOW_FIX = "write 2 to 86400 seconds, a divisor of 86400"
COMMIT_FIX = "write 1 to 300 seconds"
NAME_FIX = "write lower-case letters, digits, `-` and `.`, at most 253"
TEXT_FIX = "write one line of text, in quotes where YAML reads something else"
SELECTOR_FIX = "write it as for `kubectl get pods -l`: `app=botkube,tier in (a, b),!old`"
PATH_FIX = "write a path, in quotes where YAML reads something else"
URL_FIX = "write a base URL such as https://segment.example.com"
KEY_FIX = "copy it again, in quotes; it has no space, line break or colon"
LEVEL_FIX = "write one of debug, info, warning, error"
FILE_FIX = "name a readable text file"

UNKNOWN = "there is no such setting"
ENDPOINT_FAULT = "the endpoint must be a URL that begins with https://"
SECOND_DOCUMENT = "expected a single document in the stream but found another document"
HOST_FAULT = (
    "the endpoint's host is not valid: it is an address, or a name of parts of 1 to 63 letters, "
    "digits and hyphens; correct the URL"
)

VALUE_FAULTS = [
    ("window: {seconds: 7}", "1:19: window.seconds: 7 does not divide 86400", WINDOW_FIX),
    ("window: {seconds: 0}", "1:19: window.seconds: 0 is out of range", WINDOW_FIX),
    ("window: {seconds: 1h}", "1:19: window.seconds: '1h' is not a whole number", WINDOW_FIX),
    ("commit: {seconds: 301}", "1:19: commit.seconds: 301 is out of range", COMMIT_FIX),
    ("commit: {seconds: 5.0}", "1:19: commit.seconds: 5.0 is not a whole number", COMMIT_FIX),
    ("commit: {seconds: true}", "1:19: commit.seconds: True is not a whole number", COMMIT_FIX),
    ("commit: {seconds: {a: b}}", "1:19: commit.seconds: this is not a whole number", COMMIT_FIX),
    (
        f"commit: {{seconds: 1{'0' * 4000}}}",
        "1:19: commit.seconds: this number is too large",
        COMMIT_FIX,
    ),
    ("health: {port: 65536}", "1:16: health.port: 65536 is out of range", "write 0 to 65535"),
    (
        "privacy: {quiet_period_seconds: -1}",
        "1:33: privacy.quiet_period_seconds: -1 is out of range",
        "write 0 or more seconds",
    ),
    (
        "analytics: {disable: ture}",
        "1:22: analytics.disable: 'ture' is neither true nor false",
        "write true or false",
    ),
    ("log: {level: loud}", "1:14: log.level: 'loud' is not one of its words", LEVEL_FIX),
    (
        "destination: {region: [us]}",
        "1:23: destination.region: this is not one of its words",
        "write one of us, eu",
    ),
    ("state: {configmap: My_S}", "1:20: state.configmap: this is not a Kubernetes name", NAME_FIX),
    ("kubernetes: {context: 12}", "1:23: kubernetes.context: this is not a text", TEXT_FIX),
    (
        "kubernetes: {selectors: ['app in (']}",
        "1:25: kubernetes.selectors: this is not a label selector",
        SELECTOR_FIX,
    ),
    (
        "kubernetes: {selectors: [7]}",
        "1:25: kubernetes.selectors: this is not a label selector",
        SELECTOR_FIX,
    ),
    ("rules: {paths: [a, [b]]}", "1:16: rules.paths: this is not a path", PATH_FIX),
    (
        "destination: {endpoint: ftp://x}",
        f"1:25: destination.endpoint: {ENDPOINT_FAULT}",
        URL_FIX,
    ),
    (
        "destination: {endpoint: 'http://api..segment.io'}",
        f"1:25: destination.endpoint: {HOST_FAULT}",
        URL_FIX,
    ),
]
KEY_FAULTS = [
    ("windows: {seconds: 60}", f"1:1: windows: {UNKNOWN}", "did you mean window?"),
    ("log:\n  levle: info", f"2:3: levle: {UNKNOWN}", "did you mean level?"),
    ("write_key: x", f"1:1: write_key: {UNKNOWN}", "did you mean destination.write_key?"),
    ("log: {qqq: 1}", f"1:7: qqq: {UNKNOWN}", "known: level"),
    ("log: info", "1:6: log: a section is a mapping", "write keys below it: level"),
    ("- a", "1:1: config: this is not a mapping of plain words", "write sections and their keys"),
    (
        "log: {}\nlog: {}",
        "2:1: log: this stands twice",
        "remove one of the two, the first is in line 1",
    ),
    (
        "log: {}\nwindow:\n  seconds: 60\n  seconds: 120\nstate: {}",
        "4:3: window.seconds: this stands twice",
        "remove one of the two, the first is in line 3",
    ),
    (
        "log: {}\n---\nlog: {}",
        f"2:1: config: this is not YAML: {SECOND_DOCUMENT}",
        "write all sections above, without the `---`",
    ),
    (
        "log: {}\n...\nlog: {}",
        "3:1: config: this is not YAML: expected this",
        "write nothing after `...`",
    ),
    (
        "log: {level: info\nx: [",
        "1:6: config: this is not YAML: while parsing a flow mapping expected this",
        "close the bracket that begins here, or put the text in quotes",
    ),
]


@pytest.mark.parametrize(("text", "fault", "fix"), VALUE_FAULTS + KEY_FAULTS)
def test_a_fault_of_the_file_has_place_setting_fault_and_fix(
    text: str, fault: str, fix: str
) -> None:
    assert [f"file:{fault}; {fix}"] == faults(files={DEFAULT_CONFIG: text})


ADDRESS_FIX = "write an IP address such as 127.0.0.1 or ::, or localhost: no name is looked up"


@pytest.mark.parametrize(
    ("name", "value", "fault", "fix"),
    [
        ("LOG_LEVEL", "INFO", "log.level: 'INFO' is not one of its words", LEVEL_FIX),
        ("COMMIT_SECONDS", "x", "commit.seconds: 'x' is not a whole number", COMMIT_FIX),
        (
            "DISABLE",
            "maybe",
            "analytics.disable: 'maybe' is neither true nor false",
            "write true or false",
        ),
        (
            "KUBERNETES_NAMESPACES",
            "a;B",
            "kubernetes.namespaces: this is not a Kubernetes name",
            NAME_FIX,
        ),
        *(
            (
                "HEALTH_HOST",
                value,
                "health.host: this is not an IP address or localhost",
                ADDRESS_FIX,
            )
            for value in ("probe.example", "localhost.example", "[::1]", "127.1", "fe80::1%eth0")
        ),
        (
            "HEALT_PORT",
            "8080",
            f"BOTKUBE_ANALYTICS_HEALT_PORT: {UNKNOWN}",
            "did you mean BOTKUBE_ANALYTICS_HEALTH_PORT?",
        ),
        (
            "ANALYTICS_DISABLE",
            "true",
            f"BOTKUBE_ANALYTICS_ANALYTICS_DISABLE: {UNKNOWN}",
            "did you mean BOTKUBE_ANALYTICS_DISABLE?",
        ),
    ],
)
def test_a_fault_of_a_variable(name: str, value: str, fault: str, fix: str) -> None:
    assert [f"{PREFIX}{name}: {fault}; {fix}"] == faults({PREFIX + name: value})


def test_a_fault_of_a_flag() -> None:
    expected = (
        "--commit-seconds: commit.seconds: '0s' is not a whole number; write 1 to 300 seconds"
    )

    assert [expected] == faults(flags=parse(["--commit-seconds", "0s"]))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("BOTKUBE_ANALYTICS_SERVICE_HOST", "10.0.0.2"),
        ("BOTKUBE_ANALYTICS_SERVICE_PORT", "8080"),
        ("BOTKUBE_ANALYTICS_SERVICE_PORT_HTTP", "8080"),
        ("BOTKUBE_ANALYTICS_PORT", "tcp://10.0.0.2:8080"),
        ("BOTKUBE_ANALYTICS_PORT_8080_TCP", "tcp://10.0.0.2:8080"),
        ("BOTKUBE_ANALYTICS_PORT_8080_TCP_PROTO", "tcp"),
        ("BOTKUBE_ANALYTICS_PORT_8080_TCP_PORT", "8080"),
        ("BOTKUBE_ANALYTICS_PORT_8080_TCP_ADDR", "10.0.0.2"),
        ("BOTKUBE_ANALYTICS_HEALTH_PORT", "tcp://10.0.0.2:8080"),
    ],
)
def test_what_kubernetes_says_of_a_service_is_no_setting(name: str, value: str) -> None:
    assert load({name: value}, {}, reader({})).health.port == 8080


def test_all_faults_are_reported_at_once() -> None:
    found = faults(
        {"BOTKUBE_ANALYTICS_LOG_LEVLE": "x", "BOTKUBE_ANALYTICS_WINDOW_SECONDS": "7"},
        {"health.port": "x"},
        {DEFAULT_CONFIG: "log: {level: x}\nwindow: {seconds: 1, x: 1}\n"},
    )

    sources = [
        "file:1:14",
        "file:2:19",
        "file:2:22",
        f"{PREFIX}LOG_LEVLE",
        f"{PREFIX}WINDOW_SECONDS",
    ]
    assert [*sources, "--health-port"] == [fault.partition(": ")[0] for fault in found]


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (FileNotFoundError(2, "No such file"), "cannot be read: No such file"),
        (PermissionError(13, "Permission denied"), "cannot be read: Permission denied"),
        (IsADirectoryError(21, "Is a directory"), "cannot be read: Is a directory"),
        (UnicodeDecodeError("utf-8", KEY.encode(), 0, 1, KEY), "is not UTF-8 text"),
        (ValueError(KEY), "cannot be read: ValueError"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_unreadable_file_is_a_fault(error: Exception, why: str) -> None:
    expected = f"config: the file {why}; {FILE_FIX}"

    assert [f"--config: {expected}"] == faults(flags={"config": "/x"}, files={"/x": error})
    assert [f"{PREFIX}CONFIG: {expected}"] == faults({PREFIX + "CONFIG": "/x"}, files={"/x": error})


WRITE_KEY = "BOTKUBE_ANALYTICS_DESTINATION_WRITE_KEY"
KEY_FILE = "BOTKUBE_ANALYTICS_DESTINATION_WRITE_KEY_FILE"


@pytest.mark.parametrize(
    ("environ", "text", "expected"),
    [
        pytest.param({WRITE_KEY: "a"}, "", "a", id="variable"),
        pytest.param({KEY_FILE: "/key"}, "", KEY, id="file of the variable"),
        pytest.param({}, "destination: {write_key_file: /key}", KEY, id="file of the file"),
        pytest.param(
            {WRITE_KEY: "a"}, "destination: {write_key_file: /none}", "a", id="variable over file"
        ),
        pytest.param({KEY_FILE: "/key"}, "destination: {write_key: a}", KEY, id="file over file"),
    ],
)
def test_the_write_key(environ: Mapping[str, str], text: str, expected: str) -> None:
    found = load(environ, {}, reader({DEFAULT_CONFIG: text, "/key": f"{KEY}\n"}))

    assert expected == found.destination.write_key


@pytest.mark.parametrize(
    ("environ", "key", "fault", "fix"),
    [
        pytest.param(
            {WRITE_KEY: "a", KEY_FILE: "/key"},
            KEY,
            f"{WRITE_KEY}: destination.write_key: write_key and write_key_file are both given",
            f"keep this one or the one at {KEY_FILE}",
            id="both",
        ),
        pytest.param(
            {KEY_FILE: "/none"},
            KEY,
            f"{KEY_FILE}: destination.write_key_file: the file cannot be read: "
            "No such file or directory",
            FILE_FIX,
            id="unreadable",
        ),
        pytest.param(
            {KEY_FILE: "/key"},
            " \n",
            "/key: destination.write_key: this is not a write key",
            KEY_FIX,
            id="empty",
        ),
    ],
)
def test_a_fault_of_the_write_key(
    environ: Mapping[str, str], key: str, fault: str, fix: str
) -> None:
    assert [f"{fault}; {fix}"] == faults(environ, files={"/key": key})


@pytest.mark.parametrize(
    ("environ", "text"),
    [
        pytest.param({WRITE_KEY: f"{KEY} {KEY}"}, "", id="wrong key"),
        pytest.param({KEY_FILE: KEY}, "", id="key for a path"),
        pytest.param({KEY_FILE: "/key"}, "", id="wrong content"),
        pytest.param({"BOTKUBE_ANALYTICS_WRITE_KEY": KEY}, "", id="wrong variable"),
        pytest.param({}, f"destination: {{region: {KEY}}}", id="key for a word"),
        pytest.param({}, f"destination: {{endpoint: 'https://{KEY}:@x'}}", id="key in the URL"),
        pytest.param({}, f"destination:\n  write_key:{KEY}\n", id="no space"),
        pytest.param({}, f"destination: {{{KEY}}}", id="key for a key"),
        pytest.param({}, f"{KEY}: x", id="key for a section"),
        pytest.param({}, f"destination: {{'{KEY}': 1, '{KEY}': 2}}", id="key for a key, twice"),
        pytest.param({}, f"kubernetes: {{selectors: ['{KEY}:']}}", id="key for a selector"),
        pytest.param({}, f"destination: {{write_key:{KEY}}}", id="no space in braces"),
        pytest.param({}, f"destination: {{write_key: *{KEY}}}", id="alias"),
        pytest.param({}, f"destination: {{write_key: !{KEY} x}}", id="tag"),
        pytest.param({}, f"destination: {{write_key: '{KEY}", id="open quote"),
        pytest.param({}, f"destination: {{write_key: [{KEY}]}}", id="list"),
    ],
)
def test_no_fault_repeats_a_secret(environ: Mapping[str, str], text: str) -> None:
    found = faults(environ, files={DEFAULT_CONFIG: text, "/key": f"{KEY}\n{KEY}"})

    assert found
    assert KEY not in "".join(found)


# What somebody may hold in the clipboard: keys, tokens, passwords, numbers, addresses, a path.
PASTED = (
    "aB3dE6gH9jK2",
    "s3cr3t",
    "hunter2",
    "abcdefghijklmnop",
    "ABCDEFGHIJKLMNOP",
    "AbCdEfGhIjKl",
    "AKIAIOSFODNN7",
    "xoxb-1-2-abc",
    "123456789012",
    "12345678",
    "db:pass",
    "10.20.30.40",
    "jane@acme.io",
    "payments-eu",
    "/etc/acme.key",
    "acme.example",
)


@pytest.mark.parametrize("pasted", PASTED)
@pytest.mark.parametrize("name", [one.name for one in TABLE])
def test_what_is_pasted_into_any_setting_is_not_repeated(name: str, pasted: str) -> None:
    """Wherever it does not fit: in the file as text, in a list, as a key, and as a variable."""
    setting = next(one for one in TABLE if one.name == name)
    texts = [
        f"{setting.section}: {{{setting.key}: '{pasted}'}}",
        f"{setting.section}: {{{setting.key}: {pasted}}}",
        f"{setting.section}: {{{setting.key}: ['{pasted} (', [x]]}}",
        f"{setting.section}: {{{setting.key}: {{'{pasted}': '{pasted}'}}}}",
        f"{setting.section}: {{'{pasted}': 1}}",
        f"{setting.section}: '{pasted}'",
        f"'{pasted}': {{{setting.key}: 1}}",
    ]
    said = [
        *(_said({}, {DEFAULT_CONFIG: text}) for text in texts),
        _said({setting.variable: pasted}, {}),
        _said({setting.variable: f"{pasted}\n (;;"}, {}),
    ]

    assert sum(map(bool, said)) >= 4
    assert not [one for one in said if pasted in one]


def _said(environ: Mapping[str, str], files: Mapping[str, str]) -> str:
    """Return all that is said of settings, without the paths of files that were named."""
    try:
        load({**CLUSTER, **environ}, {}, reader(files))
    except SettingsError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("word", ["ap", "loud", "7"])
def test_of_the_destination_no_value_is_repeated_however_harmless(word: str) -> None:
    said = _said({}, {DEFAULT_CONFIG: f"destination: {{region: {word}, endpoint: {word}x}}"})

    assert "region" in said
    assert repr(word) not in said
    assert f" {word} " not in said


def test_settings_do_not_show_the_write_key() -> None:
    found = load({WRITE_KEY: KEY}, {}, reader({}))

    assert found.destination.write_key == KEY
    assert KEY not in repr(found)


def test_a_secret_has_no_flag() -> None:
    assert [one.name for one in TABLE if one.flag is None] == ["destination.write_key"]


def test_table_has_a_row_of_text_for_each_setting() -> None:
    rows = settings.table()

    assert len(TABLE) == len(rows)
    assert all(isinstance(cell, str) and cell for row in rows for cell in row)
    assert rows[[row[0] for row in rows].index("window.seconds")][:5] == (
        "window.seconds",
        "BOTKUBE_ANALYTICS_WINDOW_SECONDS",
        "--window-seconds",
        "2 to 86400 seconds, a divisor of 86400",
        "3600",
    )


def test_help_names_each_flag_with_its_default() -> None:
    parser = argparse.ArgumentParser()
    settings.add_flags(parser)
    text = " ".join(parser.format_help().split())

    assert [one.flag for one in TABLE if one.flag and f"{one.flag} " not in text] == []
    assert "default: botkube-analytics-state)" in text


# Destinations: what each kind needs, and what does not go with it


def given(**section: str) -> settings.Settings:
    named = {f"{PREFIX}DESTINATION_{key.upper()}": one for key, one in section.items()}
    return load(CLUSTER | named, {}, reader({}))


@pytest.mark.parametrize(
    ("section", "expected"),
    [
        ({}, Destination()),
        ({"region": "eu"}, Destination(endpoint="https://events.eu1.segmentapis.com")),
        (
            {"endpoint": "https://a.example/v1/batch", "region": "eu"},
            Destination(endpoint="https://a.example"),
        ),
        ({"type": "posthog"}, Destination("posthog", "https://us.i.posthog.com")),
        (
            {"type": "posthog", "region": "eu"},
            Destination("posthog", "https://eu.i.posthog.com"),
        ),
        (
            {"type": "ga4", "property": "G-ABC123", "delivery": "at-most-once"},
            Destination("ga4", "https://www.google-analytics.com", "G-ABC123", "", "at-most-once"),
        ),
        (
            {"type": "ga4", "property": "G-ABC123", "region": "eu"},
            Destination("ga4", "https://region1.google-analytics.com", "G-ABC123"),
        ),
        (
            {"type": "piwik-pro", "endpoint": "https://a.piwik.pro/ppms.php", "property": SITE},
            Destination("piwik-pro", "https://a.piwik.pro", SITE),
        ),
        ({"type": "file", "path": "/out/events"}, Destination("file", "", path="/out/events")),
        ({"type": "stdout"}, Destination("stdout", "")),
    ],
    ids=lambda one: " ".join(one.values()) if isinstance(one, dict) else "",
)
def test_a_destination_is_what_its_settings_say(
    section: dict[str, str], expected: Destination
) -> None:
    assert settings.destination(given(**section)) == expected


@pytest.mark.parametrize(
    ("section", "fault"),
    [
        ({"type": "ga4"}, "destination.type: ga4 needs `destination.property`; set it: the measur"),
        (
            {"type": "ga4", "property": "UA-1"},
            "destination.property: this has not its form; it is the measurement id",
        ),
        (
            {"type": "piwik-pro", "property": SITE},
            "destination.type: piwik-pro needs `destination.endpoint`; set it: the account's addr",
        ),
        (
            {"type": "piwik-pro", "endpoint": "https://a.piwik.pro", "property": "7"},
            "destination.property: this has not its form; it is the id of the site or app, a UUID",
        ),
        ({"type": "file"}, "destination.type: file needs `destination.path`; set it: the file"),
        (
            {"path": "/out"},
            "destination.path: this does not go with `destination.type` segment; remove it, or",
        ),
        (
            {"property": "G-ABC123"},
            "destination.property: this does not go with `destination.type` segment; remove it",
        ),
        (
            {"type": "stdout", "endpoint": "https://a.example"},
            "destination.endpoint: this does not go with `destination.type` stdout",
        ),
        (
            {"delivery": "at-most-once"},
            "destination.delivery: segment has no such choice: it knows what it has already",
        ),
        ({"type": "GA4"}, "destination.type: this is not one of its words"),
    ],
    ids=lambda one: " ".join(one.values()) if isinstance(one, dict) else "",
)
def test_what_does_not_go_together_is_said(section: dict[str, str], fault: str) -> None:
    with pytest.raises(SettingsError) as caught:
        given(**section)

    assert [fault in str(one) for one in caught.value.faults] == [True], caught.value


@pytest.mark.parametrize(
    ("section", "is_ready"),
    [
        ({}, False),
        ({"write_key": KEY}, True),
        ({"type": "posthog"}, False),
        ({"type": "file", "path": "/out/events"}, True),
        ({"type": "stdout"}, True),
    ],
    ids=str,
)
def test_a_key_is_asked_for_where_one_is_needed(section: dict[str, str], is_ready: bool) -> None:
    assert settings.has_destination(given(**section)) is is_ready
