"""Recorded logs of real BotKube programs against what the servers themselves counted."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.shipped import count, read, tell

SAMPLES = Path(__file__).parent / "data" / "samples"
VERSIONS = sorted(path.parent.name for path in SAMPLES.glob("v*/truth.json"))

BLIND = {
    # v0.11.0 prints no reply: a refused command leaves the same line as an executed one, so that
    # only their sum is in the log.
    ("v0.11.0", "pod.log"): ("Command executed", "Command refused"),
}


def truth(version: str, log: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((SAMPLES / version / "truth.json").read_text())
    return found if log == "pod.log" else found["info"]


@pytest.mark.parametrize("log", ["pod.log", "info.log"])
@pytest.mark.parametrize("version", VERSIONS)
def test_counts_are_the_servers_own(version: str, log: str) -> None:
    expected: Counter[tuple[str, str]] = Counter()
    for event, platforms in truth(version, log)["counts"].items():
        for platform, number in platforms.items():
            expected[event, platform] += number
    actual = count(read((SAMPLES / version / log).read_bytes(), stamped=True))
    for event in BLIND.get((version, log), ()):
        for counts in (expected, actual):
            for key in [key for key in counts if key[0] == event]:
                counts["Command executed or refused", key[1]] += counts.pop(key)

    assert expected == actual


@pytest.mark.parametrize("version", VERSIONS)
def test_verbs_are_those_of_the_commands(version: str) -> None:
    wanted = ("executed", "refused") if (version, "pod.log") in BLIND else ("executed",)
    expected = Counter(
        # `other` takes what is not in our own list.
        one["verb"]
        for one in truth(version, "pod.log")["commands"]
        if one["verdict"].split(",")[0] in wanted
    )
    if version == "v0.11.0":
        expected["other"] = expected.pop("other", 0)
    observations = read((SAMPLES / version / "pod.log").read_bytes(), stamped=True)
    actual = Counter(
        str(dict(one.properties)["command"])
        for one in observations
        if one.event == "Command executed"
    )

    assert expected == actual


ENABLED = {"event": "Integration enabled", "platform": "mattermost", "type": "bot"}


def crashed(kind: str) -> dict[str, object]:
    return {"event": "Application crashed", "kind": kind}


def faulty(reason: str, field: str, platform: str) -> dict[str, object]:
    return {
        "event": "Configuration error",
        "reason": reason,
        "field": field,
        "platform": platform,
    }


def executed(verb: str) -> dict[str, object]:
    return {
        "event": "Command executed",
        "platform": "mattermost",
        "command": verb,
        "result": "unknown",
    }


# What each case's log shows of the sentence in its .truth file. OOM and SIGKILL leave nothing in a
# log, and a server that is down is no mistake in the configuration.
CASES = {
    "v0.11.0-channel-missing": [
        faulty("channel_not_found", "Channels", "mattermost"),
        ENABLED,
        crashed("configuration"),
    ],
    "v0.11.0-panic-loop": [ENABLED, executed("version")],
    "v0.11.0-panic-loop.previous": [
        ENABLED,
        executed("version"),
        # The `get` after it ended BotKube before it ran.
        crashed("index_out_of_range"),
    ],
    "v0.11.0-yaml-error": [ENABLED, faulty("nothing_watched", "Resources", "other")],
    "v0.12.4-oom": [ENABLED],
    "v0.16.0-channel-missing": [
        faulty("channel_not_found", "Channels", "mattermost"),
        crashed("configuration"),
    ],
    "v0.16.0-mattermost-down": [crashed("connection")],
    "v0.16.0-undefined-binding": [
        faulty("undefined_binding", "Bindings", "elasticsearch"),
        crashed("configuration"),
    ],
    "v0.16.0-yaml-error": [faulty("yaml_syntax", "none", "other"), crashed("configuration")],
    "v1.14.0-sigkill": [ENABLED],
    "v1.6.0-mattermost-down": [crashed("connection")],
    "v1.6.0-mattermost-down.previous": [crashed("connection")],
    "v1.6.0-missing-field": [
        faulty("missing_field", "Indices", "elasticsearch"),
        crashed("configuration"),
    ],
    "v1.6.0-sigabrt": [ENABLED, crashed("abort")],
}


def test_every_case_has_an_expectation() -> None:
    assert sorted(CASES) == sorted(path.stem for path in (SAMPLES / "cases").glob("*.log"))


@pytest.mark.parametrize("case", sorted(CASES))
def test_a_fault_is_counted_once_and_as_what_it_is(case: str) -> None:
    log = (SAMPLES / "cases" / f"{case}.log").read_bytes()

    assert CASES[case] == tell(read(log, stamped=True))
