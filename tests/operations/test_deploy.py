"""Dashboard and alert rules ask for metrics that exist, in PromQL that is valid, and each alert has its runbook."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml

from tiercel.operations.table import METRICS

ROOT = Path(__file__).parent.parent.parent
RULES = ROOT / "deploy" / "prometheus" / "tiercel.rules.yaml"
DASHBOARD = ROOT / "deploy" / "grafana" / "dashboards" / "tiercel.json"
# Of Prometheus itself and of its client library.
OTHERS = {"up": {"job", "instance"}, "process_cpu_seconds_total": {"job"}, "process_resident_memory_bytes": {"job"}}
TARGET = {"job", "instance", "le"}


def rules() -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


def panels() -> list[dict[str, Any]]:
    return [panel for panel in json.loads(DASHBOARD.read_text())["panels"] if panel["type"] != "row"]


EXPRESSIONS = [rule["expr"] for rule in rules()] + [
    target["expr"].replace("$__rate_interval", "5m") for panel in panels() for target in panel["targets"]
]


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_expressions_are_valid_and_of_metrics_that_exist(expression: str) -> None:
    promql_parser.parse(expression)
    names = set(re.findall(r"\b(?:tiercel|process)_[a-z_]+", expression)) | set(re.findall(r"\bup\b", expression))
    assert names
    known = {name if row.kind != "histogram" else f"{name}_bucket": row for name, row in METRICS.items()}
    assert names <= known.keys() | OTHERS.keys()
    labels = TARGET.union(*(known[name].labels for name in names & known.keys()))
    for group in re.findall(r"by \(([^)]*)\)", expression):
        assert set(re.split(r",\s*", group)) <= labels, expression


def test_legends_name_labels_that_the_expression_keeps() -> None:
    for panel in panels():
        for target in panel["targets"]:
            for label in re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]):
                assert label in target["expr"] or label in {"instance", "version"}, (panel["title"], label)


def test_every_alert_has_a_runbook() -> None:
    text = (ROOT / "docs" / "operations.md").read_text()
    for rule in rules():
        assert f"### {rule['alert']}\n" in text
        assert rule["annotations"]["runbook"] == f"docs/operations.md#{rule['alert'].lower()}"
        assert rule["labels"]["severity"] in {"warning", "critical"}
    assert set(re.findall(r"^### (Tiercel\w+)$", text, re.MULTILINE)) == {rule["alert"] for rule in rules()}


def test_the_dashboard_is_what_its_script_renders() -> None:
    done = subprocess.run([sys.executable, str(ROOT / "scripts" / "dashboard.py"), "--check"], check=False)
    assert done.returncode == 0
    assert len({panel["id"] for panel in panels()}) == len(panels())


def test_prometheus_takes_rules_and_configuration(tmp_path: Path) -> None:
    if shutil.which("promtool") is None:
        pytest.skip("needs promtool (Debian: prometheus)")
    settings = yaml.safe_load((ROOT / "deploy" / "prometheus" / "prometheus.yaml").read_text())
    settings["rule_files"] = [str(RULES)]
    token = tmp_path / "token"
    token.write_text("secret")
    settings["scrape_configs"][0]["authorization"]["credentials_file"] = str(token)
    (tmp_path / "prometheus.yaml").write_text(yaml.safe_dump(settings))
    done = subprocess.run(
        ["promtool", "check", "config", str(tmp_path / "prometheus.yaml")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(rules())} rules found" in done.stdout
