"""`gateway drift performance`: a table, JSON, and what is missing in a sentence."""

from __future__ import annotations

import json
import time
from pathlib import Path

import msgspec
import pytest

from tests.cli.admin_port import exit_code
from tests.store.places import Place, feedback, id_of, record

CONFIG = """
state: {state}
backends: {{one: {{protocol: http, url: "http://127.0.0.1:9"}}}}
routes: {{chat: {{backends: [one]}}, other: {{backends: [one]}}}}
drift: {{labels: {{chat: {{matured: 1m, kind: probability, signals: [thumbs]}}}}}}
"""


@pytest.fixture
def config(tmp_path: Path) -> str:
    state, now = tmp_path / "state", time.time()
    state.mkdir()
    place, lines = Place(state), []

    def ago(seconds: float) -> str:
        moment = time.gmtime(now - seconds)
        return time.strftime("%Y-%m-%dT%H:%M:%S.000000Z", moment)

    for seq in range(1, 301):
        score = (seq % 100) / 100
        said = msgspec.Raw(msgspec.json.encode([{"score": score}]))
        lines.append(record(2 * seq, predictions=said, time=ago(7200 - seq), version=str(seq % 2)))
        value = msgspec.Raw(b"true" if seq * 7 % 100 < score * 100 else b"false")
        changes = {"signal": "label", "value": value, "time": ago(7190 - seq)}
        lines.append(feedback(2 * seq + 1, id_of(2 * seq), **changes))
    lines.append(feedback(700, id_of(2), time=ago(7195)))
    lines.append(record(999, predictions=msgspec.Raw(b"[0.5]"), time=ago(10)))
    place.added(1, lines)
    place.store.close()
    file = tmp_path / "gateway.yaml"
    file.write_text(CONFIG.format(state=json.dumps(str(state))))
    return str(file)


def test_figures_are_a_table_with_intervals(
    config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_code("drift", "performance", "chat", "-c", config) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "chat: `the prediction` as probability against `label`"
    assert lines[1].endswith("300 predictions, 300 with a label (100.0%)")
    row = next(line.split() for line in lines if line.startswith("auc"))
    value, low, high = map(float, row[1:4])
    assert 0.5 < low < value < high < 1
    assert row[4:] == ["300", "DeLong,", "logit"]
    assert any(line.startswith("Expected of what came since") for line in lines)
    assert any(line.startswith("VERSION") for line in lines)
    assert any(line.startswith("thumbs") for line in lines)


def test_json_has_the_same_figures(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code("drift", "performance", "chat", "-c", config, "--last", "1d", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["route"], found["labelled"]) == ("chat", 300)
    assert {one["name"] for one in found["figures"]} >= {"auc", "ece", "brier", "accuracy"}


@pytest.mark.parametrize(
    "route, more, sentence",
    [
        ("other", (), "drift.labels says nothing of `other`"),
        ("nobody", (), "there is no route `nobody`"),
        ("chat", ("--last", "soon"), "a time with its unit, such as 24h or 30d"),
    ],
)
def test_what_is_missing_is_a_sentence(
    config: str,
    capsys: pytest.CaptureFixture[str],
    route: str,
    more: tuple[str, ...],
    sentence: str,
) -> None:
    assert exit_code("drift", "performance", route, "-c", config, *more) != 0
    assert sentence in capsys.readouterr().err
