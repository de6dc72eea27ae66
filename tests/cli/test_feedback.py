"""`gateway feedback` against a real admin port."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from tests.cli.admin_port import AdminPort, exit_code
from tests.control.test_feedback import FakeLog


def lines_of(*commands: list[str]) -> list[dict[str, Any]]:
    """What is logged."""
    log = FakeLog()
    with AdminPort(feedback=log) as url:
        for arguments in commands:
            assert exit_code("feedback", "r1", *arguments, "--admin", url) == 0
    return [msgspec.to_builtins(msgspec.json.decode(msgspec.json.encode(n))) for n in log.lines]


def test_values_are_json_or_texts(capsys: pytest.CaptureFixture[str]) -> None:
    commands = {
        "accept": [],
        "edit": ["0.25"],
        "thumbs": ["down"],
        "score": ["4", "--range", "1:5"],
        "label": ['{"class": 3}'],
        "ticket": ["118"],
        "comment": ["12"],
    }
    lines = lines_of(*([signal, *rest] for signal, rest in commands.items()))
    assert [line.get("value") for line in lines] == [
        True,
        0.25,
        False,
        {"score": 4, "range": [1, 5]},
        {"class": 3},
        "118",
        None,
    ]
    assert lines[-1]["comment"] == "12"
    assert capsys.readouterr().out.split() == [line["id"] for line in lines]


def test_options_go_along(capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--comment", "fine", "--source", "desk", "--happened-at", "2026-01-01T00:00:00Z"]
    again = ["task", "true", *options, "--key", "k", "--json"]
    lines = lines_of(again, again)
    assert {line["id"] for line in lines} == {lines[0]["id"]}
    assert (lines[0]["comment"], lines[0]["source"]) == ("fine", "desk")
    assert lines[0]["happened_at"] == "2026-01-01T00:00:00.000000Z"
    assert json.loads(capsys.readouterr().out.split("}")[0] + "}") == {"ids": [lines[0]["id"]]}


def test_wrong_signal_exits_with_1_and_the_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    with AdminPort(feedback=FakeLog()) as url:
        assert exit_code("feedback", "r1", "acept", "--admin", url) == 1
    assert capsys.readouterr().err == "gateway: `acept` is no signal, did you mean `accept`.\n"


@pytest.mark.parametrize("text", ["1-5", "a:5"])
def test_wrong_range_exits_with_2(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code("feedback", "r1", "score", "3", "--range", text) == 2
    assert "lowest and the highest score" in " ".join(capsys.readouterr().err.split())
