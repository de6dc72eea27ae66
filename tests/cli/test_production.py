"""`gateway production`: by a running gateway, and from the state directory of one that is not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from gateway.cli.production import page
from gateway.production.figures import Figures
from gateway.registry.registration import Registration
from gateway.state.database import open_database
from gateway.state.history import ConfigHistory, Entry
from tests.cli.admin_port import AdminPort, exit_code
from tests.config.texts import varied
from tests.production.line import T0, FakeFigures, Line

NOBODY = "http://127.0.0.1:1"


class Place:
    """A gateway.yaml and the state of a gateway that ran."""

    def __init__(self, root: Path) -> None:
        self.config, self.state = root / "gateway.yaml", root / "state"
        self._changes = 0

    def change(self, version: str, by: str) -> None:
        text = yaml.safe_dump(varied({"backends.one.version": version}, state=str(self.state)))
        self.config.write_text(text)
        self._changes += 1
        engine = open_database(self.state)
        ConfigHistory(engine).append(
            Entry(
                at_ms=int(T0 * 1000) - 86_400_000 * (10 - self._changes),
                author=by,
                hash=f"{version}".rjust(64, "a"),
                outcome="applied",
                text=text,
            )
        )
        engine.dispose()


@pytest.fixture
def place(tmp_path: Path) -> Place:
    place = Place(tmp_path)
    place.change("1", "ada")  # 2026-09-12T14:13:20Z
    place.change("2", "bob")  # a day later
    return place


def run(place: Place, *arguments: str, admin: str = NOBODY) -> int:
    return exit_code("production", *arguments, "-c", str(place.config), "--admin", admin)


def test_running_gateway_is_asked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = Line(tmp_path / "of the gateway")
    line.change({"backends.one.version": "5"}, by="eve")
    place = Place(tmp_path)
    with AdminPort(production=line.in_force()) as url:
        assert run(place, admin=url) == 0
        assert run(place, "chat", "--json", admin=url) == 0
        assert run(place, "chatt", admin=url) == 1
    shown = capsys.readouterr()
    assert "chat (ordered), untouched since 2026-09-21T14:14:20Z, by eve" in shown.out
    assert "fraud (ordered)" in shown.out
    answer = json.loads(shown.out[shown.out.index("{") :])
    assert [route["name"] for route in answer["routes"]] == ["chat"]
    assert "did you mean `chat`" in shown.err


def test_past_needs_no_gateway(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(place, "chat", "--at", "2026-09-12T20:00") == 0
    shown = capsys.readouterr().out
    assert shown.startswith(
        "2026-09-12T20:00:00Z: plan aaaaaaaaaaaa was in force, since 2026-09-12"
    )
    row = next(line.split() for line in shown.splitlines() if line.startswith("one"))
    assert row[:6] == ["one", "one", "1", "-", "2026-09-12T14:13:20Z", "ada"]


def test_state_directory_may_be_named(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code("production", "--state", str(place.state), "--json") == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["routes"][0]["backends"][0]["before"]["version"] == "1"


def test_gateway_that_does_not_run_leaves_what_was_in_force_last(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(place) == 0
    note = capsys.readouterr().out.splitlines()[1]
    assert note.startswith("note: no gateway answers at http://127.0.0.1:1")
    assert note.endswith("This is what was in force last.")


@pytest.mark.parametrize(
    "arguments,said",
    [
        (
            ["--at", "2020-01-01"],
            "nothing is known of 2020-01-01T00:00:00Z: the first configuration",
        ),
        (["--at", "soon"], "`soon` is no time"),
        (["chatt", "--at", "2026-09-12T20:00"], "there was no route `chatt`"),
    ],
)
def test_what_is_not_known_exits_with_1(
    place: Place, arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(place, *arguments) == 1
    assert said in capsys.readouterr().err


def test_without_any_state_nothing_is_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = Place(tmp_path)
    assert run(place, "--at", "1h") == 1
    assert "no configuration has been in force yet" in capsys.readouterr().err
    assert run(place) == 1
    assert "is it running?" in capsys.readouterr().err
    assert not place.state.exists()


# -- the page


def page_of(line: Line, **of_one: Any) -> list[str]:
    """The page with members of the first backend replaced."""
    answer = json.loads(msgspec.json.encode(line.in_force().at("", "chat")))
    answer["routes"][0]["backends"][0] |= json.loads(msgspec.json.encode(of_one))
    return [line.strip() for line in page(answer).splitlines()]


@pytest.fixture
def line(tmp_path: Path) -> Line:
    line = Line(tmp_path)
    line.change({"backends.one.version": "1"})
    line.change({"backends.one.version": "2"})
    return line


def test_figures_and_comparison_are_on_the_page(line: Line) -> None:
    own = Figures(
        requests=200,
        error_share=0.01,
        p50_s=0.25,
        p95_s=1.5,
        cost_usd=0.02,
        feedback_per_request=0.5,
    )
    line.figures = FakeFigures({("chat", "one"): own})
    lines = page_of(line)
    row = next(each.split() for each in lines if each.startswith("one"))
    assert row[6:] == ["200", "1.0%", "250ms/1.50s", "$0.02", "0.5"]
    before = "one: before: one one 1, until 2026-09-21T14:15:20Z: 200 requests, 1.0% errors,"
    assert any(each.startswith(before) for each in lines)
    assert any("against that: errors +0.00 points, p50 +0.0%" in each for each in lines)
    assert lines[-1] == "Figures: counted by hand, at most the last day of each version."


def test_registration_is_on_the_page(line: Line) -> None:
    found = Registration(
        source="mlflow",
        trained_at="2026-09-01",
        data=("payments",),
        metrics={"auc": 0.97},
        owner="ada",
        model="fraud",
        version="7",
        aliases={"champion": "7", "challenger": "8"},
        as_of="2026-09-21T14:00:00Z",
        problem="the MLflow server does not answer",
    )
    lines = page_of(line, registration=found)
    assert "one: trained 2026-09-01, on payments, with auc 0.97, owner ada" in lines
    assert "one: in MLflow: fraud version 7 (champion), as of 2026-09-21T14:00:00Z" in lines
    assert "one: model registry: the MLflow server does not answer" in lines


def test_notes_weights_and_bounds_are_on_the_page(line: Line) -> None:
    since = msgspec.to_builtins(line.in_force().at().since) | {"is_at_least": True}
    shown = page_of(line, note="configured 1, answers say 2", share=0.25, since=since)
    assert "one: configured 1, answers say 2" in shown
    assert "one: this share since 2026-09-21T14:15:20Z, by ada" in shown
    assert any(" 25.0%  <= 2026-09-21" in each for each in shown)
