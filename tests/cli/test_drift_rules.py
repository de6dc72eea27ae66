"""`gateway drift status | report` by the rules, of what is kept."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
import yaml
from PIL import Image

from tests.cli.admin_port import exit_code
from tests.watch.test_reports import HOUR, cents_from, kept, training
from tests.watch.world import START

CONFIG = {
    "backends": {"model": {"protocol": "kserve", "url": "http://127.0.0.1:9001"}},
    "routes": {"fraud": {"backends": ["model"]}, "chat": {"backends": ["model"]}},
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state directory and a configuration; in the last hour euros became cents."""
    place = tmp_path_factory.mktemp("rules")
    drift = training(place)
    kept(place, drift, befall=cents_from(START + 3 * HOUR))
    rules = {"inputs": {"reference": "train", "window": "1h", "every": "5m"}}
    references = {"train": {"kind": "training", "file": str(place / "train.json")}}
    watched = {**CONFIG, "drift": {"references": references, "rules": rules}}
    (place / "gateway.yaml").write_text(yaml.safe_dump(watched))
    (place / "plain.yaml").write_text(yaml.safe_dump(CONFIG))
    return place


def run(place: Path, *arguments: str, file: str = "gateway.yaml") -> int:
    where = ("--config", str(place / file), "--state", str(place))
    return exit_code("drift", *arguments, *where)


def test_status_has_a_line_a_rule(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(place, "status") == 0
    said = capsys.readouterr()
    head, fraud, *_ = said.out.splitlines()
    assert head.split() == ["ROUTE", "RULE", "AGAINST", "VERSION", "ARM", "ROWS", "DRIFT", "WORST"]
    assert fraud.split()[:5] == ["fraud", "inputs", "training", "7", "champion"]
    assert "amount" in fraud
    assert "lines: counted 1,440" in said.out
    assert "note: inputs on chat: too few rows" in said.err


def test_status_of_a_route_has_a_line_a_field(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(place, "status", "fraud") == 0
    head, first, *_ = capsys.readouterr().out.splitlines()
    assert head.startswith("Drift of fraud: inputs, version 7: ")
    assert first.startswith("! amount")
    assert run(place, "status", "fraud", "--json") == 0
    (one,) = json.loads(capsys.readouterr().out)["reports"]
    assert one["report"]["drift_by_columns"]["amount"]["drift_detected"] is True


def test_report_is_a_page_a_picture_or_json(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page, picture = tmp_path / "a.html", tmp_path / "a.png"
    assert run(place, "report", "fraud", "-o", str(page)) == 0
    assert "fields drift, by inputs" in capsys.readouterr().out
    assert page.read_text().startswith("<!doctype html>")
    assert len(page.read_bytes()) < 200_000
    assert run(place, "report", "fraud", "-o", str(picture), "--format", "png") == 0
    assert Image.open(io.BytesIO(picture.read_bytes())).format == "PNG"
    capsys.readouterr()
    assert run(place, "report", "fraud", "--format", "json") == 0
    assert json.loads(capsys.readouterr().out)["route"] == "fraud"


@pytest.mark.parametrize(
    "arguments, file, says",
    [
        (("status",), "plain.yaml", "has a `reference`"),
        (("status", "frud"), "gateway.yaml", "did you mean `fraud`"),
        (("status", "fraud", "--rule", "input"), "gateway.yaml", "did you mean `inputs`"),
        (("report", "chat"), "gateway.yaml", "no rule of drift.rules has enough rows"),
        (("status", "--current", "x.csv"), "gateway.yaml", "compared with --reference"),
        (("status", "--reference", "x.csv"), "gateway.yaml", "a ROUTE is needed"),
    ],
)
def test_what_cannot_be_said_is_one_sentence(
    place: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    file: str,
    says: str,
) -> None:
    assert run(place, *arguments, file=file) != 0
    assert says in " ".join(capsys.readouterr().err.replace("│", " ").split())
