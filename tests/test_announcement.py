"""The texts of `deploy/announcement/` against the code: names, numbers, commands, placeholders.

The lists in them are generated, and tested with those of PRIVACY.md. Commands are typed into a
shell, in which programs that would need a cluster only write down what they were given.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import jsonschema
import pytest
import yaml

from agent import commands as command_line
from agent import settings
from agent.arguments import EXIT_CODES, make_parser
from agent.counting import OUTBOX_BYTES, STOP_TOLERANCE_SECONDS
from agent.disclosure import GROUP, IDENTIFY, texts
from agent.follow import Pace
from agent.ledger.ledger import MAX_BYTES, MAX_ENTRIES
from agent.lookout import SWITCHES_SECONDS
from agent.model import REPORT
from agent.modes import Mode
from agent.on_node import STANDING_LOOKS
from agent.rules import rule
from agent.sink.calls import CLUSTER, INSTALLATION
from agent.sink.destination import KINDS, Destination
from agent.sink.translations import translation_of
from agent.source import switches as in_cluster
from agent.source.switches import ANNOTATION, FIRST_WITH_OPT_OUT, VARIABLE
from agent.terms import MODE
from tests.manifests import CHART, DEPLOY, NAMESPACE, RELEASE, RENDERED, manifest
from tests.shipped import RULES
from tests.test_chart import HELMS, VALUES, merged, paths, schema
from tests.test_docs import (
    COUNTED,
    PLAN,
    PRIVACY,
    ROOT,
    SAMPLES,
    TABLES,
    TOLD,
    marked,
    subcommands,
    switches_list,
)
from tests.test_docs import spans as code_spans

POSTED = ("chat", "release-notes", "documentation", "privacy-policy", "questions")
TEXT = {name: (TOLD / f"{name}.md").read_text(encoding="utf-8") for name in (*POSTED, "checklist")}
SETTINGS = {one.name: one for one in settings.TABLE}
MANIFESTS = {folder: manifest(folder) for folder in RENDERED}
CHOICES = ("if on by default", "if a key is needed", "end")
PLACEHOLDER = re.compile(r"<[A-Z]+(?:-[A-Z]+)*>")
WITHHELD = "_withheld"
PARENT = "botkube"
"""The release and the chart of BotKube itself, in which the agent's chart can be."""


each_text = pytest.mark.parametrize("name", TEXT)


# --- placeholders and versions --------------------------------------------------------------------


def filled(text: str, choice: str = CHOICES[0]) -> str:
    """Return a text as it would be posted: one version, no comment, no placeholder."""
    other = CHOICES[1 - CHOICES.index(choice)]
    text = re.sub(rf"(?s)<!-- {other} -->\n.*?(?=<!-- )", "", text)
    text = re.sub(r"(?m)^<!-- .* -->\n", "", text)
    return PLACEHOLDER.sub("filled-in", text)


def listed() -> list[str]:
    return re.findall(r"(?m)^\| `(<[A-Z-]+>)` \| \S.* \|$", TEXT["checklist"])


def test_every_placeholder_stands_in_the_checklist_and_is_used() -> None:
    before, _, _ = TEXT["checklist"].partition("## Placeholders")
    used = {found for name in POSTED for found in PLACEHOLDER.findall(TEXT[name])}

    assert used | set(PLACEHOLDER.findall(before)) == set(listed())
    assert sorted(set(listed())) == listed()
    # Only what is posted has to be filled in.
    assert used == set(listed())


@each_text
def test_a_placeholder_has_one_form(name: str) -> None:
    text = re.sub(r"(?s)<!-- .*? -->", "", TEXT[name]).replace("`<event>_withheld`", "")
    text = text.replace("'<[A-Z][A-Z-]*>|<!--'", "")
    odd = [one for one in re.findall(r"<[^>\n]*>?", text) if not PLACEHOLDER.fullmatch(one)]

    assert not odd
    assert not re.findall(r"(?i)\b(todo|tbd|xxx|fixme|lorem)\b|\[[a-z][a-z ]*\](?!\()|\{\{", text)


@each_text
def test_where_texts_differ_both_versions_stand_there(name: str) -> None:
    found = re.findall(r"(?m)^<!-- (if .*|end) -->$", TEXT[name])

    assert found == list(CHOICES) * (len(found) // 3)
    assert name in {"privacy-policy", "checklist"} or found


@pytest.mark.parametrize("choice", CHOICES[:2])
def test_what_is_left_when_all_is_filled_in_has_no_comment(choice: str, tmp_path: Path) -> None:
    folder = tmp_path / "deploy" / "announcement"
    folder.mkdir(parents=True)
    for name, text in TEXT.items():
        (folder / f"{name}.md").write_text(text, encoding="utf-8")
    (block,) = re.findall(r"(?ms)^```sh\n(.*?)^```$", TEXT["checklist"])
    copy, look = block.splitlines()
    found = in_folder(tmp_path, block)
    assert len(found.splitlines()) > len(listed())
    for path in (tmp_path / "posts").glob("*.md"):
        path.write_text(filled(path.read_text(encoding="utf-8"), choice), encoding="utf-8")

    assert copy.endswith("rm posts/checklist.md")
    assert sorted(path.stem for path in (tmp_path / "posts").iterdir()) == sorted(POSTED)
    assert in_folder(tmp_path, look) == ""


def in_folder(folder: Path, lines: str) -> str:
    done = subprocess.run(  # noqa: S603 the commands are our own
        ["/bin/bash", "-c", lines], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    return done.stdout


# --- names ----------------------------------------------------------------------------------------

FOREIGN = {
    **dict.fromkeys(("25m", "96Mi", "256Mi"), "compared with the chart's values below"),
    "userId": "Segment's, which the agent never sends; the texts say so",
    ".venv/bin/botkube-analytics": "made by `make venv`",
    "botkube-botkube-analytics": "test_runbook of the cluster tests renders it",
    "ds/botkube-analytics": "kubectl's short name for what the manifests have",
    "valueFrom": "Kubernetes'",
    "envFrom": "Kubernetes'",
    "kubectl scale": "kubectl's",
    "--reset-then-reuse-values": "helm's",
    "No resources found": "kubectl's",
    "deploy/botkube-botkube-analytics": "test_runbook of the cluster tests renders it",
    "a count arrives": "a column of PRIVACY.md",
    "distinct_id": "PostHog's",
    "installation_id": "see agent/sink/ga4.py",
    "_id": "Piwik PRO's",
}
"""What stands in backticks, is nothing of ours, and why it may."""


def known() -> set[str]:
    """Return every name that the code, the chart or the rules have."""
    plan = {one.name for one in PLAN} | {one.event for one in PLAN}
    assert any(one.endswith(WITHHELD) for one in plan)
    words = {word for one in PLAN for word in texts(one.values)}
    flags = {one.flag for one in settings.TABLE if one.flag}
    variables = {one.variable for one in settings.TABLE}
    own = {one.name for one in settings.switches(settings.load({}, {}, _no_file))}
    objects = {key.partition("/")[2] for found in MANIFESTS.values() for key in found}
    rights = {
        resource
        for found in MANIFESTS.values()
        for one in found.values()
        for right in one.get("rules", ())
        for resource in right["resources"]
    }
    switches = {ANNOTATION, VARIABLE, in_cluster.analytics_config(PARENT)}
    return (
        plan | words | flags | variables | own | objects | rights | switches | SETTINGS.keys()
        | subcommands() | set(paths(VALUES)) | set(Mode) | RULES.vocabularies.keys()
        | {f"overlays/{path.name}" for path in (DEPLOY / "manifests" / "overlays").iterdir()}
        | {path.name for path in (CHART / "templates").iterdir()}
        | {path.name for path in TOLD.iterdir()}
        | {f"<!-- {one} -->" for one in CHOICES}
        | {PARENT, MODE, f"<event>{WITHHELD}", INSTALLATION, CLUSTER, *KINDS}
    )  # fmt: skip


def _no_file(path: str) -> str:
    raise FileNotFoundError(path)


def is_assigned(span: str) -> bool:
    """Whether it gives a setting, a switch or a value of the chart something that it can have."""
    name, _, given = re.sub(r": |=", "\0", span, count=1).partition("\0")
    value = yaml.safe_load(given)
    if name == MODE:
        return given in set(Mode)
    if name == "disable":
        return name in rule.KEYS and value is True
    if name == "condition":
        return given in {f"{RELEASE}.{one}" for one in HELMS}
    if name == VARIABLE:
        return settings.switches(settings.load({name: given}, {}, _no_file))[1].is_off
    if name in SETTINGS:
        section, key = name.split(".")
        files = {"c": yaml.safe_dump({section: {key: value}})}
        return bool(settings.load({}, {"config": "c"}, files.__getitem__))
    own = name.removeprefix(f"{RELEASE}.")
    if own == "enabled" and own in HELMS:
        return isinstance(value, bool)
    return own in set(paths(VALUES)) and takes(nested(own, value))


def nested(path: str, value: object) -> dict[str, Any]:
    for part in reversed(path.split(".")):
        value = {part: value}
    assert isinstance(value, dict)
    return value


def takes(given: Mapping[str, Any]) -> bool:
    return jsonschema.Draft7Validator(schema()).is_valid(merged(VALUES, dict(given)))


def outside(name: str) -> str:
    """Return a text without what is generated in it."""
    text = TEXT[name]
    for made in TABLES.get(TOLD / f"{name}.md", {}):
        found = marked(text, made)
        text = text[: found.start()] + text[found.end() :]
    return text


@each_text
def test_what_stands_in_backticks_exists(name: str) -> None:
    names = known()
    odd = [
        span
        for span in code_spans(outside(name))
        if span not in names | FOREIGN.keys()
        and span.removeprefix(f"{RELEASE}.") not in set(paths(VALUES))
        and span not in listed()
        and not is_command(span)
        and not (span.startswith("ledger show ") and check_agent(span.split()))
        and not (ROOT / span).exists()
        and not (re.search(": |=", span) and is_assigned(span))
    ]

    assert not odd


def test_no_foreign_name_is_left_over() -> None:
    spans = {span for name in TEXT for span in code_spans(outside(name))}

    assert not FOREIGN.keys() - spans


def test_every_event_has_a_reason_and_every_question_its_event() -> None:
    (why,) = re.findall(r"(?ms)^## Why\n(.*?)(?=^## )", TEXT["documentation"])
    heads = [row.split("|")[1] for row in why.strip().splitlines()[2:]]
    named = [span for head in heads for span in code_spans(head)]

    assert sorted(named) == sorted((*COUNTED, REPORT, IDENTIFY, GROUP))


def test_every_switch_is_in_the_documentation() -> None:
    (part,) = re.findall(r"(?ms)^## Switch it off\n(.*?)(?=^## )", TEXT["documentation"])

    assert not [one for one in code_spans(switches_list()) if one not in part]


def test_every_folder_and_kind_of_installation_is_in_the_documentation() -> None:
    titles = re.findall(r"(?m)^### (.*)$", TEXT["documentation"])

    assert titles[1:7] == [
        "Helm, as a part of BotKube's chart",
        "Helm, on its own",
        "Kustomize manifests",
        "DaemonSet",
        "Run by hand, on a laptop",
        "Scaling to zero",
    ]
    assert schema()["definitions"]["values"]["properties"]["kind"]["enum"] == [
        "Deployment",
        "DaemonSet",
    ]


# --- numbers --------------------------------------------------------------------------------------

DEFAULTS = {name: one.default for name, one in SETTINGS.items()}
PYTHON = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
NUMBERS = {
    f"{DEFAULTS['privacy.quiet_period_seconds'] // 3600} hours": "the quiet period",
    f"at most {OUTBOX_BYTES >> 10} KiB": "what waits for the destination",
    f"{STOP_TOLERANCE_SECONDS // 60} minutes": "what a stop may last",
    f"every {Pace().switches * STANDING_LOOKS / 60:.0f} minutes": "a standby's look at switches",
    f"last {MAX_ENTRIES} reports (at most {MAX_BYTES >> 20} MiB)": "the ledger",
    "v{}.{}".format(*FIRST_WITH_OPT_OUT): "the BotKube with an id and an opt-out of its own",
    f"Python {PYTHON['requires-python'].removeprefix('>=').partition(',')[0]} or newer": "",
    "ends with 3": "an exit code, see below",
    "A count of 3 ": "an example",
    "makes the 3 a 10": "an example, see below",
    "every 3 months": "advice",
    "fewer than 10 installations": "advice",
    "at least 4 weeks": "advice",
    "30 at most": "the GDPR's month",
    "7, 30, 90, 180 or 365 days": "Segment's choices for its archive",
    "Segment answers 200": "Segment's, see agent/sink/segment.py",
}
"""Every number in the texts, outside of code and generated lists, with what it is."""


@each_text
def test_every_number_is_accounted_for(name: str) -> None:
    text = re.sub(r"(?ms)^```.*?^```$|`[^`\n]+`|\]\(\S+\)", "", outside(name))
    for number in NUMBERS:
        text = text.replace(number, "")

    assert not re.findall(r".{0,30}\d.{0,20}", text)
    spelled = re.findall(
        r"(?i)\b(?:half an?|one|two|three|four|five|six|ten|twelve|a few) "
        r"(?:second|minute|hour|day|week|month)s?\b",
        text,
    )
    assert not spelled


def test_every_number_is_told() -> None:
    assert not [one for one in NUMBERS if not any(one in text for text in TEXT.values())]


def test_what_the_numbers_are_said_to_mean() -> None:
    said = " ".join(TEXT.values())

    assert DEFAULTS["window.seconds"] == 3600
    assert said.count("once an hour") > 2
    assert Pace().switches + SWITCHES_SECONDS < 60
    assert "within a minute" in said
    assert re.search(r"(?m)^ +3 +.*plan: something new", EXIT_CODES)
    assert "`privacy.minimum: 10` makes the 3 a 10" in said
    assert "`window.seconds: 86400` makes the hour a day" in said
    room = VALUES["resources"]
    asked = f"`{room['requests']['cpu']}` of CPU and `{room['requests']['memory']}` of memory"
    assert f"`{room['requests']['memory']}` of memory" in TEXT["chat"]
    for name in ("documentation", "questions"):
        assert asked in TEXT[name]
        assert f"`{room['limits']['memory']}`" in TEXT[name]
    assert (ROOT / "LICENSE").read_text(encoding="utf-8").startswith("MIT License")
    assert "under the MIT licence" in TEXT["questions"]


# --- what is said of behaviour --------------------------------------------------------------------

BEHAVIOUR = {
    "documentation": (
        "but keeps what was counted and not sent yet, and sends it if it is switched on again",
        "`replicas: 0` lasts over an upgrade, `kubectl scale` does not",
        "`status` says `mode: off` and names the switch",
        "run by hand it is a hash of the id of namespace kube-system unless you set `none`",
        "the manifests in `overlays/namespaced` do not",
        "the second leaves nothing",
        "These hours run once, with a key or without",
    ),
    "questions": (
        "It has no right on Secrets",
        "It writes two ConfigMaps; as a DaemonSet one for each of `slots` and one more",
        "Of an answer it uses the status and how long to wait, and of PostHog's and Piwik PRO's",
    ),
}
"""Sentences about behaviour without a name or number in them, so that none is changed in passing.

Whether they are true is for the tests of that behaviour."""


@pytest.mark.parametrize("name", BEHAVIOUR)
def test_what_is_said_of_behaviour_still_stands_there(name: str) -> None:
    assert not [one for one in BEHAVIOUR[name] if one not in TEXT[name]]


def test_whose_answers_are_read_is_what_the_questions_say() -> None:
    places = {kind: Destination(kind, site="G-AB12CD34EF") for kind in KINDS}
    found = {kind: translation_of(place, "") for kind, place in places.items()}
    readers = {kind for kind, one in found.items() if one is not None and one.reads_body}

    assert readers == {"posthog", "piwik-pro"}


def test_the_outbox_is_as_large_in_every_text() -> None:
    assert f"at most {OUTBOX_BYTES >> 10} KiB" in PRIVACY.read_text(encoding="utf-8")


def test_how_many_objects_are_written_is_what_the_questions_say() -> None:
    def written(folder: str) -> int:
        return sum(one.startswith("ConfigMap/") for one in MANIFESTS[folder]) - 1

    # But for the settings.
    assert (written("base"), VALUES["kind"]) == (2, "Deployment")


# --- what is said of the chart and the manifests --------------------------------------------------


def test_as_it_comes_nothing_has_a_write_key() -> None:
    destination = VALUES["destination"]

    assert (destination["existingSecret"], destination["writeKey"]) == ("", "")
    assert DEFAULTS["destination.write_key"] is None
    # Without a word of it Segment is meant.
    assert (DEFAULTS["destination.type"], destination["type"]) == ("segment", "segment")
    for found in MANIFESTS.values():
        assert "write-key" not in yaml.safe_dump(found)
        assert "WRITE_KEY" not in yaml.safe_dump(found)


def test_the_cluster_id_is_what_the_documentation_says_of_each_way() -> None:
    for found in MANIFESTS.values():
        text = found[f"ConfigMap/{RELEASE}-settings"]["data"]["config.yaml"]
        assert yaml.safe_load(text)["identity"] == {"cluster_id": "none"}

    assert VALUES["rights"]["clusterId"] is False
    assert DEFAULTS["identity.cluster_id"] == "uuid5"


def test_the_rights_are_what_the_texts_admit() -> None:
    rules = [
        right
        for found in MANIFESTS.values()
        for one in found.values()
        for right in one.get("rules", ())
    ]
    logs = [one for one in rules if "pods/log" in one["resources"]]

    assert logs
    assert not [one for one in logs if one.get("resourceNames")]
    assert not [one for one in rules if {"secrets", "*"} & {*one["resources"], *one["verbs"]}]
    for name in ("optOutAnnotation", "botkubeOptOut"):
        assert VALUES["rights"][name] is True
    assert "namespaces" not in str(MANIFESTS["overlays/namespaced"][f"Role/{RELEASE}"]["rules"])


# --- commands -------------------------------------------------------------------------------------

PROGRAMS = ("botkube-analytics", "kubectl", "helm", "make")
RUNS = {"preview", "prove", "plan", "status"}
"""Commands that need no cluster; of others what they are given is looked at."""
# One write: both ends of a pipe write down at once.
STUB = """#!{bash}
line=$(printf '%s\\037' "${{0##*/}}" "$@"); printf '%s\\n' "$line" >> "$GIVEN"
{then}
"""
KUBECTL = """case " $* " in
*" logs "*) cat "$SAMPLE" ;;
*" exec "*) while [ "$1" != -- ]; do shift; done; shift; exec "$@" ;;
esac"""
AGENT = """case "$1" in
run) shift; set -- status "$@" ;;  # which says whether it would be off
doctor|ledger) exit 0 ;;
esac
exec {python} -m agent "$@" """


def is_command(line: str) -> bool:
    words = re.sub(r"^(\w+=\S+ )+", "", line).split()
    return words[0] in PROGRAMS and len(words) > 1 and line not in FOREIGN


def commands() -> Iterator[str]:
    """Yield every command of the texts, without what a comment says of it."""
    for text in TEXT.values():
        blocks = "".join(re.findall(r"(?ms)^```sh\n(.*?)^```$", text))
        lines = [*blocks.splitlines(), *code_spans(text)]
        yield from (one.partition("  #")[0].strip() for one in lines if is_command(one))


COMMANDS = list(dict.fromkeys(commands()))


Shell: TypeAlias = Callable[[str], tuple[list[list[str]], str]]


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """Return what runs a line in a shell; its programs write down what they are given."""
    programs = tmp_path / "bin"
    programs.mkdir()
    then = {"kubectl": KUBECTL, "helm": "", "make": "", RELEASE: AGENT}
    for name, after in then.items():
        text = STUB.format(bash="/bin/bash", then=after.replace("{python}", sys.executable))
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    (tmp_path / "log").write_bytes((SAMPLES / "v1.6.0" / "pod.log").read_bytes())
    environ = {
        "HOME": str(tmp_path),
        "PATH": f"{programs}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "GIVEN": str(tmp_path / "given"),
        "SAMPLE": str(tmp_path / "log"),
        "COLUMNS": "200",
    }

    def run(line: str) -> tuple[list[list[str]], str]:
        done = subprocess.run(  # noqa: S603 the commands are our own
            ["/bin/bash", "-o", "pipefail", "-c", PLACEHOLDER.sub("filled-in", line)],
            cwd=tmp_path,
            env=environ,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, (line, done.stderr)
        given = (tmp_path / "given").read_text().splitlines()
        return [one.split("\x1f")[:-1] for one in given], done.stdout

    return run


@pytest.mark.parametrize("line", COMMANDS)
def test_a_command_does_what_it_is_given_for(line: str, shell: Shell) -> None:
    if "--against" in line:
        shell("botkube-analytics plan --format json > plan.json")
    given, said = shell(line)
    for program, *arguments in given:
        CHECKS[program](arguments)
    if "botkube-analytics run" in line:
        assert said.startswith("mode: off")
    elif any(f"botkube-analytics {one}" in line for one in RUNS):
        assert said
    if "prove" in line:
        assert "proved: no other text" in said


def check_agent(arguments: list[str]) -> bool:
    """Fail, as the command would, if it does not understand; True otherwise."""
    return bool(make_parser(command_line.COMMANDS, settings.add_flags).parse_args(arguments))


def check_make(arguments: list[str]) -> None:
    (target,) = arguments

    assert re.search(rf"(?m)^{target}:", (ROOT / "Makefile").read_text(encoding="utf-8"))


def check_helm(arguments: list[str]) -> None:
    match arguments:
        case ["upgrade", name, chart, "-n", "botkube", "--reset-then-reuse-values", "--set", given]:
            path, _, value = given.partition("=")
            is_part = chart == "filled-in"
            assert name == (PARENT if is_part else RELEASE)
            assert is_part or (ROOT / chart) == CHART
            assert path.startswith(f"{RELEASE}.") is is_part
            assert takes(nested(path.removeprefix(f"{RELEASE}."), yaml.safe_load(value)))
        case ["uninstall", name, "-n", "botkube"]:
            assert name == RELEASE
        case _:
            pytest.fail(f"not understood: {arguments}")


def check_kubectl(arguments: list[str]) -> None:
    if arguments[:2] == ["-n", NAMESPACE]:
        arguments = arguments[2:]
    match arguments:
        case ["logs", target]:
            assert target in {f"deploy/{PARENT}", f"deploy/{RELEASE}"}
            assert PARENT in VALUES["rights"]["botkubeDeployments"]
        case ["exec", target, "--", "botkube-analytics", *_]:
            check_target(target)
        case ["port-forward", target, port]:
            check_target(target)
            assert int(port) == DEFAULTS["page.port"]
        case ["annotate", "namespace", "botkube", given]:
            key, _, value = given.partition("=")
            assert key == ANNOTATION
            assert in_cluster._word(value) == in_cluster.OFF
        case ["set", "env", target, given]:
            check_target(target)
            assert is_assigned(given)
        case ["scale", target, "--replicas=0"]:
            check_target(target)
        case ["delete", "-k", folder]:
            assert folder.removeprefix("deploy/manifests/") in RENDERED
        case ["get", "deploy,ds", "--all-namespaces", "-l", label]:
            key, _, value = label.partition("=")
            assert MANIFESTS["base"][f"Deployment/{RELEASE}"]["metadata"]["labels"][key] == value
        case _:
            pytest.fail(f"not understood: {arguments}")


def check_target(target: str) -> None:
    kind, _, name = target.partition("/")
    folder, kind = {
        "deploy": ("base", "Deployment"),
        "ds": ("overlays/daemonset", "DaemonSet"),
    }[kind]

    assert f"{kind}/{name}" in MANIFESTS[folder]


CHECKS = {
    RELEASE: check_agent,
    "kubectl": check_kubectl,
    "helm": check_helm,
    "make": check_make,
}


def test_every_way_to_say_no_is_among_the_commands() -> None:
    said = "\n".join(COMMANDS)

    assert f"{ANNOTATION}=true" in said
    for one in settings.switches(settings.load({}, {}, _no_file)):
        if one.name != "analytics.disable":  # which stands in a file
            assert one.name in said
    assert "--set analytics.disable=true" in said
    assert f"--set {RELEASE}.analytics.disable=true" in said
    assert "--replicas=0" in said
    assert shlex.split("kubectl delete -k deploy/manifests/base")[-1] in said
