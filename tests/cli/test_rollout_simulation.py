"""`gateway rollout simulate`: a table and a picture of what a rollout would do."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from gateway.cli.rollout_simulation import USUAL, effects_of, page, simulated, span
from gateway.config.document import parse_rollout
from gateway.config.rollouts import Gate, Rollout
from gateway.config.units import Share
from gateway.messages import Timing
from gateway.rollout.metrics import METRICS
from gateway.rollout.traffic import Effect, assumed
from tests.cli.admin_port import exit_code
from tests.config.texts import varied
from tests.store.places import Place, record

SHORT = """\
route: chat
arms: {v2: {backends: [two]}}
steps: [{setWeight: 50}]
gates: [{metric: errors}, {metric: latency, margin: 20%}, {metric: drift}]
minimum: {time: 60s, samples: 100}
"""
FAST = ["--runs", "20", "--rate", "50"]


@pytest.fixture
def spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "short.yaml").write_text(SHORT)
    return "short.yaml"


def test_table_and_picture_are_printed(spec: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code("rollout", "simulate", spec, *FAST, "-e", "errors=20") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "short: 20 simulated rollouts of each kind, alpha 5%, 50 requests/s"
    assert lines[1].startswith("traffic assumed: errors 2%")
    assert lines[2] == "note: the gate drift is not simulated and taken to pass"
    assert lines[4].split()[:4] == ["CHALLENGER", "ROLLED-BACK", "PROMOTED", "UNDECIDED"]
    equal, worse = lines[5].split(), lines[6].split()
    assert equal[:2] == ["no", "difference"]
    assert worse[:4] == ["errors", "×", "20", "100.0%"]
    assert lines[6].endswith("errors 100.0%")
    assert any("▁" in line or "█" in line for line in lines[8:])
    assert sum(line.startswith(("rolled back", "promoted")) for line in lines) == 2


def test_json_has_every_figure_and_the_seed_decides(
    spec: str, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["rollout", "simulate", spec, *FAST, "--seed", "7", "--json"]
    assert exit_code(*arguments) == 0
    first = json.loads(capsys.readouterr().out)
    assert exit_code(*arguments) == 0
    assert json.loads(capsys.readouterr().out) == first
    assert [each["effect"] for each in first["effects"]] == [
        "no difference",
        "errors × 2",
        "latency × 1.44",
    ]
    assert first["left_out"] == ["drift"]
    assert {"promoted", "rolled_back", "rollback_s", "timeline"} <= first["effects"][0].keys()


def test_assumptions_are_taken(spec: str, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--errors", "0.1", "--latency", "2s", "--cost", "0.5", "--accepted", "90%"]
    assert exit_code("rollout", "simulate", spec, *FAST, *options, "--json") == 0
    traffic = json.loads(capsys.readouterr().out)["traffic"]
    assert traffic["requests_per_s"] == 50
    assert traffic["shares"]["errors"] == 0.1
    assert traffic["median_ms"]["latency"] == pytest.approx(2000, rel=0.01)
    assert traffic["means"]["cost"] == 0.5


def test_champion_is_taken_from_the_recorded_log(
    spec: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "state").mkdir()
    place = Place(tmp_path / "state")
    failed = {"outcome": "upstream_5xx", "status": 502}
    timing = Timing(total_us=250_000, first_byte_us=90_000)
    lines = [
        record(n, timing=timing, cost_usd=0.01 * (n % 2), **(failed if n % 10 == 0 else {}))
        for n in range(1, 201)
    ]
    place.added(1, [*lines, record(201, route="another")])
    options = ["--log", "--since", "2020-01-01", "--state", str(place.state)]
    try:
        assert exit_code("rollout", "simulate", spec, "--runs", "20", *options, "--json") == 0
    finally:
        place.store.close()
    traffic = json.loads(capsys.readouterr().out)["traffic"]
    assert traffic["source"] == "recorded: 200 requests"
    assert traffic["shares"]["errors"] == pytest.approx(0.1)
    assert traffic["requests_per_s"] == pytest.approx(1.0, rel=0.02)
    assert traffic["median_ms"]["latency"] == 250
    assert traffic["means"]["cost"] == pytest.approx(0.005)


@pytest.mark.parametrize(
    "options,sentence",
    [
        (["-e", "errors"], "expected METRIC=FACTOR, such as errors=2, not `errors`"),
        (["-e", "speed=2"], "known: errors, timeouts"),
        (["-e", "errors=0"], "expected METRIC=FACTOR"),
        (["-e", "errors=x"], "expected METRIC=FACTOR"),
        (["--errors", "200%"], "--errors: expected a share"),
        (["--latency", "2"], "--latency: expected a time with its unit"),
        (["--log"], "expected at least 100 answered requests, found 0 of the route chat"),
        (["v3"], "no rollout `v3` in the file"),
    ],
)
def test_what_cannot_be_simulated_is_a_sentence(
    spec: str, options: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_code("rollout", "simulate", spec, *FAST, *options) == 1
    assert sentence in capsys.readouterr().err


def test_problems_of_the_file_come_first(spec: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path(spec).write_text(SHORT.replace("setWeight", "setWait"))
    assert exit_code("rollout", "simulate", spec) == 1
    assert "steps[0].setWait" in capsys.readouterr().err


def test_one_of_several_has_to_be_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    each = {"route": "chat", "arms": {"v2": {"policy": "fastest"}}, "layer": "a", "end": 0.5}
    both = {"a": each, "b": each | {"start": 0.5, "end": 1.0}}
    path = tmp_path / "gateway.yaml"
    path.write_text(yaml.safe_dump(varied(rollouts=both), sort_keys=False))
    assert exit_code("rollout", "simulate", str(path), *FAST) == 1
    assert "say which one; it has a, b" in capsys.readouterr().err


def rollout_with(*gates: Gate) -> Rollout:
    return Rollout(route="chat", arms={}, gates=gates)


def test_usual_effects_go_beyond_the_margins() -> None:
    rollout = rollout_with(
        Gate(metric="latency", margin=Share(0.5)),
        Gate(metric="feedback.accept", margin=Share(0.1)),
        Gate(metric="feedback.accept", margin=Share(0.1), name="again"),
        Gate(metric="drift"),
    )
    assert [effect.factors for effect in effects_of(rollout, [])] == [
        {},
        {"latency": 1.8},
        {"feedback.accept": 0.81},
    ]
    assert effects_of(rollout, ["errors=2,cost=3"])[1].factors == {"errors": 2.0, "cost": 3.0}


def test_every_usual_metric_exists() -> None:
    assert set(USUAL) <= set(METRICS)


def test_picture_rises_from_nothing_to_everything() -> None:
    found = simulated(
        "short",
        parse_rollout(SHORT),
        assumed(requests_per_s=50),
        [Effect(), Effect(name="much worse", factors={"errors": 20.0})],
        runs=20,
        seed=1,
    )
    *_, promoted, equal, worse = page(found).rstrip().splitlines()
    assert promoted.startswith("promoted")
    assert equal.rstrip().endswith("100.0%")
    assert "█" in equal
    assert worse.split() == ["much", "worse", "0.0%"]


@pytest.mark.parametrize(
    "value_s,text", [(1.0, "1s"), (59.4, "59.4s"), (90, "1.5m"), (5400, "1.5h"), (172_800, "2d")]
)
def test_times_are_told_in_the_unit_that_fits(value_s: float, text: str) -> None:
    assert span(value_s) == text
