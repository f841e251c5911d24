"""Every example of every shipped rule is run, and the rules' promises hold for all of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from agent.prefilter import Everything
from agent.preview import preview
from agent.rules import Rule, try_examples, values_of
from agent.trial import try_log
from tests.shipped import RULES, load_cases, logs_of, read, tell

DATA = Path(__file__).parent / "data"
LINES = [
    pytest.param(case, id=f"{path.stem}-{number}")
    for path in sorted((DATA / "lines").glob("*.yaml"))
    for number, case in enumerate(load_cases(path), 1)
]
RULE = pytest.mark.parametrize("rule", RULES.rules, ids=lambda rule: rule.id)


def test_every_hit_counts_what_it_says_and_no_miss_is_taken() -> None:
    assert not try_examples(RULES, lambda log: try_log(RULES, log))


@pytest.mark.parametrize("case", LINES)
def test_lines_count_as_they_are_labelled(case: dict[str, Any]) -> None:
    assert case["expect"] == tell(try_log(RULES, case["log"]).observations)


@RULE
def test_the_prefilter_changes_nothing(rule: Rule) -> None:
    for log in logs_of(rule):
        text = log.encode() + (b"" if log.endswith("\n") else b"\n")
        expected = try_log(RULES, log).observations

        assert expected == read(text, stamped=False)
        assert expected == read(text, stamped=False, prefilter=Everything())


@pytest.mark.parametrize("path", sorted((DATA / "samples").glob("v*/*.log")), ids=str)
def test_the_prefilter_changes_nothing_in_real_logs(path: Path) -> None:
    log = path.read_bytes()

    assert read(log, stamped=True, prefilter=Everything()) == read(log, stamped=True)


@RULE
def test_a_log_that_is_cut_counts_nothing_more(rule: Rule) -> None:
    for log in logs_of(rule):
        lines = log.splitlines(keepends=True)
        whole = len(try_log(RULES, log).observations)
        for cut in range(len(lines)):
            # A pair that was cut off may count its own declared result instead: never more than
            # its entries, and nothing that is not in the log.
            assert len(try_log(RULES, "".join(lines[:cut])).observations) <= max(whole, cut)


@RULE
def test_every_value_that_can_leave_is_declared(rule: Rule) -> None:
    if rule.event is None:
        return
    declared = RULES.events[rule.event].properties
    for name, source in rule.properties.items():
        assert values_of(source) <= declared[name]


@RULE
def test_every_rule_has_hits_and_a_question_if_it_counts(rule: Rule) -> None:
    assert rule.hits
    assert rule.question or rule.event is None


def test_the_agent_s_own_vocabularies_know_their_words() -> None:
    assert RULES.vocabularies["releases"].word(b"v1.14.0") == "v1.14.0"
    assert RULES.vocabularies["releases"].word(b"v1.14.0-mycorp") is None
    expected = {
        b"v1.29.1-eks-b9c9ed7": "eks",
        b"v1.28.7-gke.1026000": "gke",
        b"v1.30.2+k3s1": "k3s",
        b"v1.30.2+rke2r1": "rke2",
        b"v1.27.6+f67aeb3": "openshift",
        b"v1.34.4": None,
    }

    assert expected == {text: RULES.vocabularies["distributions"].word(text) for text in expected}


HEADS = {
    "none": b"",
    "kubectl": b'Defaulted container "botkube" out of: botkube, cfg-watcher (init)\n',
    "command": b"$ kubectl logs deploy/botkube --timestamps\r\n",
    "cut": b"...\n",
    "blank": b"\r\n",
    "mark": b"\xef\xbb\xbf",
}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
@pytest.mark.parametrize("stamped", [False, True])
@pytest.mark.parametrize("before", HEADS.values(), ids=HEADS)
def test_what_stands_before_a_saved_log_changes_nothing(
    before: bytes, stamped: bool, encoding: str
) -> None:
    line = (
        b"\x1b[36mINFO\x1b[0m[2022-05-22T03:36:26Z] Starting slack bot                           \n"
    )
    log = before + (b"2022-05-22T03:36:26.000000001Z " if stamped else b"") + line
    found = preview(
        [iter([log.decode("utf-8-sig").encode(encoding) if encoding != "utf-8" else log])],
        RULES,
        window_seconds=3600,
        agent_version="0",
        now_seconds=1_653_200_000,
    )

    assert found.matched == 1
