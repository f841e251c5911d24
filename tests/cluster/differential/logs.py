"""Logs: every option, every error, and every byte of what comes."""

from __future__ import annotations

from tests.cluster.differential.ask import CORE, Ask, Step, get

PODS = f"{CORE}/pods"
LINES = f"{PODS}/lines/log"
OPTIONS = (
    "", "timestamps=true", "timestamps=false", "timestamps=1", "timestamps=0", "timestamps=",
    "timestamps", "timestamps=x", "timestamps=True", "timestamps=FALSE", "timestamps=no",
    "container=botkube", "container=", "container=none", "previous=true", "previous=false",
    "previous=x", "follow=false", "follow=0",
    "tailLines=0", "tailLines=1", "tailLines=3", "tailLines=10", "tailLines=11", "tailLines=-1",
    "tailLines=99999999999", "tailLines=99999999999999999999", "tailLines=x", "tailLines=",
    "tailLines=1.5", "tailLines=%201", "tailLines=%2B2",
    "limitBytes=0", "limitBytes=1", "limitBytes=7", "limitBytes=10", "limitBytes=-1",
    "limitBytes=99999999", "limitBytes=x", "limitBytes=40&timestamps=true",
    "limitBytes=5&timestamps=true", "limitBytes=7&tailLines=2",
    "sinceSeconds=0", "sinceSeconds=-1", "sinceSeconds=x", "sinceSeconds=999999999",
    "sinceSeconds=9999999999999", f"sinceSeconds={2**63 - 10_000_000}", f"sinceSeconds={2**63}",
    f"sinceSeconds={2**63 - 1}", f"sinceSeconds={2**62}", "sinceSeconds=9223372037",
    "sinceSeconds=18446744074",
    "sinceTime=2026-11-24T00:00:05Z", "sinceTime=2026-11-24T00:00:05.250Z",
    "sinceTime=2026-11-24T00:00:05.9Z", "sinceTime=2026-11-24T00:00:05.999999999Z",
    "sinceTime=2026-11-24T01:00:05%2B01:00", "sinceTime=2026-11-24T00:00:05%2B00:00",
    "sinceTime=2020-01-01T00:00:00Z", "sinceTime=0001-01-01T00:00:00Z",
    "sinceTime=1969-12-31T00:00:00Z", "sinceTime=1970-01-01T00:00:00Z",
    "sinceTime=9999-12-31T23:59:59Z", "sinceTime=2027-01-01T00:00:00Z",
    "sinceTime=garbage", "sinceTime=", "sinceTime=2026-11-24", "sinceTime=2026-11-24T00:00:05",
    "sinceTime=2026-11-24%2000:00:05Z", "sinceTime=1795478405", "sinceTime=2026-02-30T00:00:00Z",
    "sinceTime=2026-11-24T25:00:00Z", "sinceTime=2026-11-24T00:00:60Z",
    "sinceTime=2026-11-24T00:00:05z", "sinceTime=2026-13-24T00:00:05Z", "sinceTime=null",
    "sinceTime=2026-11-24T00:00:05+01:00", "sinceTime=2026-11-24T00:00:05,5Z",
    "sinceTime=2026-11-24T0:00:05Z", "sinceTime=2026-11-24T00:00:05Zx",
    "sinceTime=2026-11-24T00:00:05.Z", "sinceTime=2026-11-24T00:00:05%2B25:00",
    "sinceTime=2026-11-24T00:00:05Z&sinceSeconds=5", "sinceTime=x&sinceSeconds=0",
    "sinceTime=2026-11-24T00:00:05Z&sinceSeconds=0", "sinceTime=2026-11-24T00:00:05Z&tailLines=8",
    "sinceTime=2026-11-24T00:00:05Z&tailLines=2&timestamps=true",
    "sinceTime=2026-11-24T00:00:05Z&limitBytes=9", "tailLines=-1&limitBytes=0&sinceSeconds=0",
    "tailLines=-1&sinceTime=x",
    "unknown=1", "stream=All", "stream=Stdout", "stream=Stderr", "stream=x", "stream=",
    "stream=Stdout&tailLines=1", "insecureSkipTLSVerifyBackend=true",
    "insecureSkipTLSVerifyBackend=false", "pretty=true", "tailLines=1&tailLines=2",
    "container=botkube&container=none", "timestamps=true&timestamps=false",
    "tailLines=1;timestamps=true", "tailLines=1;&timestamps=true", "tailLines=%zz", "%zz=1",
    "tailLines=1&timestamps=%",
)  # fmt: skip
ODD = (
    "",
    "timestamps=true",
    "sinceTime=2026-11-24T00:00:02Z&timestamps=true",
    "tailLines=3",
    "tailLines=9&timestamps=true",
    "limitBytes=60",
    "limitBytes=20000&timestamps=true",
    "sinceTime=2026-11-24T00:00:05Z&timestamps=true",
    "tailLines=1",
    "tailLines=18",
    "tailLines=20&timestamps=true",
    "limitBytes=16500",
    "tailLines=14&timestamps=true",
)
OTHERS = (
    "cut/log", "cut/log?timestamps=true", "cut/log?follow=true",
    "cut/log?follow=true&timestamps=true&tailLines=1", "cut/log?previous=true",
    "cut/log?follow=true&limitBytes=3", "cut/log?follow=true&tailLines=0",
    "again/log", "again/log?previous=true", "again/log?previous=true&timestamps=true",
    "again/log?previous=true&follow=true", "again/log?previous=true&tailLines=1",
    "again/log?timestamps=true", "again/log?tailLines=5",
    "empty/log", "empty/log?timestamps=true", "empty/log?tailLines=1",
    "empty/log?sinceTime=2026-11-24T00:00:00Z", "empty/log?limitBytes=5",
    "two/log", "two/log?container=none", "two/log?previous=true", "two/log?follow=true",
    "two/log?container=",
    "unscheduled/log", "unscheduled/log?container=none", "unscheduled/log?tailLines=-1",
    "unscheduled/log?follow=true", "none/log", "none/log?container=x", "none/log?tailLines=-1",
    "none/log?sinceTime=x", "UPPER/log",
    "lines/log/", "lines/log/x", "lines/logs",
)  # fmt: skip
WAITING = ("waiting/log", "waiting/log?follow=true")
CALENDAR = "Python's calendar begins with the year 1, and no log is older"
KUBELET = (
    "the kubelet of the tests finds no log where a real one looks at the status first; the words "
    "here are those of its source"
)

SCRIPT: tuple[Ask, ...] = (
    *(get(f"{LINES}?{one}") for one in OPTIONS),
    *(get(f"{PODS}/odd/log?{one}") for one in ODD),
    *(get(f"{PODS}/{one}") for one in OTHERS),
    *(get(f"{PODS}/{one}", differs=(KUBELET, {"message"})) for one in WAITING),
    get(f"{PODS}/waiting/log?previous=true"),
    get(
        f"{LINES}?sinceTime=0000-01-01T00:00:00Z",
        differs=(CALENDAR, {"status", "head", "reason", "body"})
    ),
    *(get(f"{LINES}?tailLines=1", who=who) for who in ("agent", "stranger", "nobody")),
    get("/api/v1/namespaces/none/pods/x/log", who="agent"),
    get("/api/v1/namespaces/none/pods/x/log"),
    *(
        get(
            f"{LINES}?tailLines=1", accept=accept) for accept in ("text/plain, */*",
            "application/json", "*/*", "text/plain", "", "application/yaml"
        )
    ),
    # Not even a header comes before the first line.
    get(f"{PODS}/empty/log?follow=true", seconds=1),
    # Followed until the container ends.
    get(
        f"{PODS}/alive/log?follow=true&timestamps=true",
        during=(
            Step("alive", "write", "live\n"), Step("alive", "rotate"),
            Step("alive", "write", "after rotation\n"), Step("alive", "write", "half"),
            Step("alive", "crash")
        )
    ),
    get(
        f"{PODS}/alive2/log?follow=true&tailLines=0&limitBytes=20",
        during=(
            Step("alive2", "write", "live and kicking\n"),
            Step("alive2", "write", "more than that\n")
        )
    ),
)  # fmt: skip
