"""`gateway drift report | status` on files, and told to a gateway."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gateway.cli import drift_report
from gateway.cli.drift_report import _findings, _Looked
from gateway.drift.battery import Battery
from gateway.profiles.profile import Profile
from gateway.profiles.reference import from_arrays
from tests.alerts.alerts import Case, Clock, Gateway, make_drift
from tests.cli.admin_port import AdminPort, exit_code
from tests.profiles.samples import line

ROWS = 1_000


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """A training file, and one in which `amount` became cents and `country` has another."""
    place, draw = tmp_path_factory.mktemp("files"), np.random.default_rng(5)
    for name, factor, more in (("train", 1.0, []), ("now", 100.0, ["xx"] * 100)):
        countries = [*draw.choice(["de", "fr"], ROWS - len(more)), *more]
        rows = zip(
            draw.lognormal(3, 1, ROWS) * factor, draw.normal(size=ROWS), countries, strict=True
        )
        text = "".join(f"{amount:.4f},{age:.4f},{country}\n" for amount, age, country in rows)
        (place / f"{name}.csv").write_text(f"amount,age,country\n{text}")
    return str(place / "train.csv"), str(place / "now.csv")


def test_status_names_what_drifts(
    files: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    train, now = files
    assert exit_code("drift", "status", "scores", "--reference", train, "--current", now) == 0
    head, *lines = capsys.readouterr().out.splitlines()
    assert head.startswith("Drift of scores: 2 of 3 fields drift")
    assert {line.split()[1] for line in lines if line[0] == "!"} == {"amount", "country"}


def test_report_is_a_page_or_json(
    files: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train, now = files
    page = tmp_path / "report.html"
    asked = ("drift", "report", "scores", "--reference", train, "--current", now)
    assert exit_code(*asked, "--out", str(page)) == 0
    assert page.read_text().startswith("<!doctype html>")
    capsys.readouterr()
    assert exit_code(*asked, "--format", "json") == 0
    assert json.loads(capsys.readouterr().out)["number_of_drifted_columns"] == 2


@pytest.fixture
def case(tmp_path: Path) -> Iterator[Case]:
    found = Case(tmp_path, make_drift(), Clock(), Gateway())
    yield found
    found.engine.dispose()


def test_what_is_found_becomes_an_alert_and_what_is_not_ends_it(
    files: tuple[str, str], case: Case, capsys: pytest.CaptureFixture[str]
) -> None:
    train, now = files
    with AdminPort(alerts=case.desk) as url:
        for minute, current in enumerate([now, now, train, train, train]):
            case.clock.at(minute)
            arguments = ("--reference", train, "--current", current, "--admin", url)
            assert exit_code("drift", "status", "scores", *arguments, "--rule", "watch") == 0
    said = [line for line in capsys.readouterr().err.splitlines() if "open alerts" in line]
    assert [line.rpartition(" ")[2] for line in said] == ["none", "1", "1", "1", "none"]
    alert = case.desk.alert(1)
    assert (alert.lead.kind, alert.lead.field) == ("unit_changed", "amount")
    assert "country" in {one.field for one in alert.followers}


@pytest.mark.parametrize("name", ["gone.csv", "gone.json", "some.txt"])
def test_file_that_is_none_is_a_sentence(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(tmp_path / name)
    assert exit_code("drift", "status", "scores", "--reference", path, "--current", path) == 1
    assert name in capsys.readouterr().err


def test_recorded_traffic_is_pinned_and_compared(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    now, draw = int(time.time()) // 60, np.random.default_rng(2)
    shift = [0.0]

    def recorded(*_: object) -> list[bytes]:
        return [line({"x": draw.normal() + shift[0]}, minute=now - at % 30) for at in range(600)]

    monkeypatch.setattr(drift_report, "_lines", recorded)
    pinned = str(tmp_path / "iris.json")
    assert exit_code("drift", "pin", "iris", "--out", pinned) == 0
    shift[0] = 2.0
    assert exit_code("drift", "status", "iris", "--reference", pinned, "--last", "1h") == 0
    out = capsys.readouterr().out
    assert "600 records" in out
    drifting = [text.split()[1] for text in out.splitlines() if text.startswith("!")]
    assert drifting == ["x"]


def test_nothing_recorded_is_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ("--out", str(tmp_path / "x.json"), "--state", str(tmp_path))
    assert exit_code("drift", "pin", "iris", *arguments) == 1
    assert "no record of the route `iris`" in capsys.readouterr().err


def became(columns: dict[str, Any], now: dict[str, Any]) -> dict[str, str]:
    """Kinds of what is told, by field."""
    reference = from_arrays(columns)
    profiles = {name: Profile(then.field) for name, then in reference.profiles.items()}
    for name, profile in profiles.items():
        profile.update(now[name])
    verdict = Battery(reference.profiles).look(profiles, 0.01)
    told = _findings(_Looked(reference.profiles, profiles, verdict))
    return {one["field"]: one["kind"] for one in told}


@pytest.mark.parametrize(
    "field, change, kind",
    [
        ("amount", lambda x: x + 1, "feature_drift"),
        ("amount", lambda x: x * 100, "unit_changed"),
        ("amount", lambda x: np.where(np.arange(x.size) % 3, x, -1.0), "sentinel"),
        ("amount", lambda x: np.where(np.arange(x.size) % 3, x, np.nan), "data_missing"),
        ("prediction.p.0", lambda x: x + 1, "prediction_drift"),
        ("prediction.p.0", lambda x: x * 0 + 20.0, "prediction_collapse"),
        ("/usage/output_tokens", lambda x: x + 2, "llm_signals"),
    ],
)
def test_what_drifts_is_called_as_the_rules_call_it(
    field: str, change: Callable[[Any], Any], kind: str
) -> None:
    draw = np.random.default_rng(6)
    then, now = draw.normal(20, 4, 4_000), draw.normal(20, 4, 4_000)
    assert became({field: then}, {field: change(now)}) == {field: kind}
