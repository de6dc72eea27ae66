"""`gateway alert` before a real admin port."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.alerts.finding import Finding
from tests.alerts.alerts import Case, Clock, Gateway, finding, look, make_drift
from tests.cli.admin_port import AdminPort, exit_code


@pytest.fixture
def case(tmp_path: Path) -> Iterator[Case]:
    found = Case(tmp_path, make_drift(), Clock(), Gateway())
    yield found
    found.engine.dispose()


def open_one(case: Case, *findings: Finding) -> None:
    for minute in (0, 1):
        case.clock.at(minute)
        asyncio.run(case.desk.look(look(minute, *findings, rule="watch")))


def run(case: Case, *arguments: str) -> int:
    with AdminPort(alerts=case.desk) as url:
        return exit_code("alert", *arguments, "--admin", url)


def test_no_alert_is_said(case: Case, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(case, "list") == 0
    assert capsys.readouterr().out == "no alert is open\n"


def test_alerts_are_listed(case: Case, capsys: pytest.CaptureFixture[str]) -> None:
    open_one(case, finding(), finding("feature_drift", "per_day"))
    assert run(case, "list") == 0
    head, row = capsys.readouterr().out.splitlines()
    assert head.split()[:3] == ["ID", "SEVERITY", "ROUTE"]
    assert row.split()[:3] == ["1", "warning", "scores"]
    assert "values are missing: amount" in row


def test_alert_is_shown_with_evidence_followers_and_actions(
    case: Case, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = finding(evidence={"null_share": 0.5}, requests=("r-1",), field="a\x1b[31mb")
    open_one(case, shown, finding("feature_drift", "per_day"))
    assert run(case, "silence", "1", "8h", "--author", "eva") == 0
    assert run(case, "show", "1") == 0
    out = capsys.readouterr().out
    for part in (
        "null_share",
        "0.5",
        "r-1",
        "per_day",
        "data-missing.md",
        "silence done by api:eva",
    ):
        assert part in out
    assert "\x1b" not in out


def test_alert_is_resolved(case: Case, capsys: pytest.CaptureFixture[str]) -> None:
    open_one(case, finding())
    assert run(case, "resolve", "1", "--json") == 0
    assert json.loads(capsys.readouterr().out)["status"] == "resolved"


@pytest.mark.parametrize("length", ["8", "h", "-1h", "8y"])
def test_silence_wants_a_time(length: str) -> None:
    assert exit_code("alert", "silence", "1", "--", length) == 2


def test_alert_that_is_none_is_said(case: Case, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(case, "show", "3") == 1
    assert "no alert 3" in capsys.readouterr().err
