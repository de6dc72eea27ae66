"""The alert rules name only metrics, labels and outcomes that exist."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from gateway.errors import OUTCOMES
from gateway.telemetry import BREAKER_STATES, METRICS

FOLDER = Path(__file__).resolve().parents[2] / "deploy/prometheus"
RULES: list[dict[str, Any]] = [
    rule
    for group in yaml.safe_load((FOLDER / "rules.yaml").read_text("utf-8"))["groups"]
    for rule in group["rules"]
]
ALERTS = [rule for rule in RULES if "alert" in rule]
SERIES = {
    name
    for metric in METRICS
    for name in (
        [f"{metric.name}{end}" for end in ("_bucket", "_sum", "_count")]
        if metric.kind == "histogram"
        else [metric.name]
    )
}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.get("alert") or rule.get("record"))
def test_rule_uses_metrics_that_exist(rule: dict[str, Any]) -> None:
    names = re.findall(r"(?<![:\w])gateway_\w+", rule["expr"])
    assert set(names) <= SERIES
    recorded = {r["record"] for r in RULES if "record" in r}
    assert set(re.findall(r"\b\w+:\w+:\w+\b", rule["expr"])) <= recorded


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: rule["alert"])
def test_alert_has_a_severity_and_a_sentence(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in {"page", "ticket"}
    assert rule["annotations"]["summary"].endswith(".")
    assert rule["for"]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.get("alert") or rule.get("record"))
def test_label_values_exist(rule: dict[str, Any]) -> None:
    reasons = {outcome.reason for outcome in OUTCOMES}
    for label, known in (("outcome", reasons), ("state", set(BREAKER_STATES))):
        for values in re.findall(rf'\b{label}=~?"([^"]+)"', rule["expr"]):
            assert set(values.split("|")) <= known


def test_failed_requests_are_those_of_gateway_and_upstream() -> None:
    expr = next(
        r["expr"] for r in RULES if r.get("record") == "route:gateway_requests_failed:rate5m"
    )
    counted = set(re.findall(r'outcome=~"([^"]+)"', expr)[0].split("|"))
    assert counted == {o.reason for o in OUTCOMES if o.fault in {"gateway", "upstream"}}
