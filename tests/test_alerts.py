"""The alerts and the dashboard: PromQL of metrics that exist; each alert fires and keeps quiet.

The latter is judged by Prometheus' own `promtool`, where it is installed.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import promql_parser
import pytest
import yaml

from agent.web.metrics import METRICS, PREFIX

if TYPE_CHECKING:
    from collections.abc import Sequence

CHART = Path(__file__).parent.parent / "deploy" / "chart"
NAMESPACE = "botkube"
ALERTS: list[dict[str, Any]] = yaml.safe_load(
    (CHART / "files" / "alerts.yaml").read_text(encoding="utf-8").replace("NAMESPACE", NAMESPACE)
)
IN_TEMPLATE = re.findall(
    r"- alert: (\w+)\n +expr: (.+)",
    (CHART / "templates" / "monitoring.yaml")
    .read_text(encoding="utf-8")
    .replace("{{ .Release.Namespace }}", NAMESPACE),
)
RULES = [
    *({key: str(one[key]) for key in one if key in {"alert", "expr", "for"}} for one in ALERTS),
    *({"alert": name, "expr": expr, "for": "5m"} for name, expr in IN_TEMPLATE),
]


BOARD: Any = json.loads((CHART / "files" / "dashboard.json").read_text(encoding="utf-8"))
SHOWN = [target["expr"] for panel in BOARD["panels"] for target in panel["targets"]]
QUERIES = [
    *(one["expr"] for one in RULES),
    *(one.replace("$__rate_interval", "5m").replace("$namespace", NAMESPACE) for one in SHOWN),
]
PROMTOOL = shutil.which("promtool")
LABELS = {f"{PREFIX}{one.name}": one.label for one in METRICS}


@pytest.mark.parametrize("query", QUERIES)
def test_a_query_is_promql(query: str) -> None:
    assert promql_parser.parse(query)


@pytest.mark.parametrize(
    "query", [*QUERIES, *(one["query"] for one in BOARD["templating"]["list"])]
)
def test_a_query_names_metrics_and_labels_that_exist(query: str) -> None:
    names = re.findall(rf"{PREFIX}\w+", query)
    labels = re.findall(r"by \((\w+)\)", query) + re.findall(r'(\w+)="', query)

    assert set(names) <= LABELS.keys()
    assert set(labels) <= {"namespace", *(LABELS[name] for name in names)}


def test_every_alert_has_its_part_in_the_runbook_and_no_other() -> None:
    runbook = (CHART.parent / "README.md").read_text(encoding="utf-8")

    parts = re.findall(r"(?m)^#+ (BotkubeAnalytics\w+)$", runbook)

    assert sorted(one["alert"] for one in RULES) == sorted(parts)


def series(name: str, values: str, labels: str = "", pod: str = "a") -> dict[str, str]:
    """Return a series of one sample a minute; `0x60` is 61 zeros, `_x60` 61 minutes without."""
    given = ",".join(filter(None, (f'namespace="{NAMESPACE}",pod="{pod}"', labels)))
    return {"series": f"{PREFIX}{name}{{{given}}}", "values": values}


ON = series("mode", "1x1440", 'mode="on"')
NOT_OFF = series("mode", "0x1440", 'mode="off"')
RESTARTED_WITH_LOSS = [
    ON,
    series("gap_seconds_total", "0x70", 'reason="stopped"', pod="before"),
    series("gap_seconds_total", "_x72 900x100", 'reason="stopped"', pod="after"),
]

SLOW_FAILURES = series("commit_failures_total", " ".join(f"{failures}x4" for failures in range(30)))
"""One each five minutes, as with the greatest `commit.seconds`."""

CASES: list[tuple[str, list[dict[str, str]], str, list[str]]] = [
    ("nothing is scraped", [], "20m", ["BotkubeAnalyticsDown"]),
    ("all is well", [ON, NOT_OFF, series("followed_containers", "1x1440")], "12h", []),
    ("a gap grows", [ON, series("gap_seconds_total", "0x60 120x60", 'reason="rotated"')], "62m",
     ["BotkubeAnalyticsLosesLines"]),
    ("a gap at the start of a process", RESTARTED_WITH_LOSS, "80m", ["BotkubeAnalyticsLosesLines"]),
    ("a gap of two hours ago", RESTARTED_WITH_LOSS, "150m", []),
    ("a short gap", [ON, series("gap_seconds_total", "0x60 30x60", 'reason="rotated"')], "62m", []),
    ("nothing to follow", [ON, NOT_OFF, series("followed_containers", "0x1440")], "1h",
     ["BotkubeAnalyticsFollowsNothing"]),
    ("off follows nothing", [series("mode", "1x1440", 'mode="off"'),
                             series("followed_containers", "0x1440")], "1h", []),
    ("streams break off", [ON, series("stream_errors_total", "0+10x600")], "1h",
     ["BotkubeAnalyticsStreamErrors"]),
    ("one stream is refused", [ON, series("stream_errors_total", "0x30 1x600")], "40m", []),
    ("no write succeeds", [ON, series("commit_failures_total", "0+1x600")], "1h",
     ["BotkubeAnalyticsCannotCommit"]),
    ("no write succeeds, at the slowest pace", [ON, SLOW_FAILURES], "1h",
     ["BotkubeAnalyticsCannotCommit"]),
    ("writes failed for some minutes", [ON, series("commit_failures_total", "0x30 0+2x5 10x600"),
                                        series("commits_total", "0x36 0+1x600")], "50m", []),
    ("an agent cannot begin", [ON, series("cannot_begin", "0x30 1x600")], "1h",
     ["BotkubeAnalyticsCannotBegin"]),
    ("two fail in turn", [ON, series("cannot_begin", "0x30" + " 1x2 0x2" * 5),
                          series("cannot_begin", "0x600", pod="b")], "58m",
     ["BotkubeAnalyticsCannotBegin"]),
    ("an agent begins late", [ON, series("cannot_begin", "0x30 1x5 0x600")], "50m", []),
    ("a write fails once", [ON, series("commit_failures_total", "0x50 1x600")], "1h", []),
    ("reports wait", [ON, series("outbox_batches", "3x1440"),
                      series("delivered_batches_total", "0x1440")], "14h",
     ["BotkubeAnalyticsCannotDeliver"]),
    ("reports wait and leave", [ON, series("outbox_batches", "3x1440"),
                                series("delivered_batches_total", "0+1x1440")], "14h", []),
    ("a report is refused", [ON, series("rejected_batches_total", "0x50 1x600")], "1h",
     ["BotkubeAnalyticsRejected"]),
    ("a report is refused at once", [ON, series("rejected_batches_total", "_x50 1x600")], "1h",
     ["BotkubeAnalyticsRejected"]),
    ("the gate stops an event", [ON, series("gate_violations_total", "_x50 1x600")], "1h",
     ["BotkubeAnalyticsGateViolation"]),
    ("rules are refused, for long", [ON, series("rules_refused", "0x50 1x600")], "5h",
     ["BotkubeAnalyticsRulesRefused"]),
    ("containers wait", [ON, series("refused_containers_total", "0x50 4x600")], "1h",
     ["BotkubeAnalyticsTooManyContainers"]),
    ("a replica leads", [ON, series("leader", "1x600"), series("leader", "0x600", pod="b")], "1h",
     []),
    ("no replica leads", [ON, series("leader", "0x600"), series("leader", "0x600", pod="b")], "1h",
     ["BotkubeAnalyticsNobodyLeads"]),
]  # fmt: skip


def test_every_alert_has_a_case() -> None:
    assert {one["alert"] for one in RULES} == {name for *_, fired in CASES for name in fired}


@pytest.mark.skipif(PROMTOOL is None, reason="promtool is not installed")
@pytest.mark.parametrize(("given", "at", "fired"), [case[1:] for case in CASES],
                         ids=[case[0] for case in CASES])  # fmt: skip
def test_an_alert_fires_when_it_should(
    tmp_path: Path, given: list[dict[str, str]], at: str, fired: Sequence[str]
) -> None:
    (tmp_path / "rules.yaml").write_text(
        yaml.safe_dump({"groups": [{"name": "all", "rules": RULES}]}), encoding="utf-8"
    )
    asked = "ALERTS{alertstate='firing'}"
    expected = [{"labels": f'ALERTS{{alertname="{name}",alertstate="firing"}}', "value": 1}
                for name in fired]  # fmt: skip
    query = f"count by (__name__, alertname, alertstate) ({asked})"
    test = {
        "rule_files": ["rules.yaml"],
        "tests": [
            {
                "interval": "1m",
                "input_series": given,
                "promql_expr_test": [{"expr": query, "eval_time": at, "exp_samples": expected}],
            }
        ],
    }
    (tmp_path / "test.yaml").write_text(yaml.safe_dump(test), encoding="utf-8")

    done = subprocess.run(  # noqa: S603 Prometheus' own judge
        [PROMTOOL or "", "test", "rules", "test.yaml"],
        cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip

    assert done.returncode == 0, done.stdout + done.stderr
