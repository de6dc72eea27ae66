"""`gateway check`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from gateway.cli import main
from gateway.config import parse
from tests.config.texts import varied


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as caught:
        main([*arguments])
    assert isinstance(caught.value.code, int)
    return caught.value.code


def written(tmp_path: Path, changes: dict[str, object] | None = None) -> str:
    path = tmp_path / "gateway.yaml"
    path.write_text(yaml.safe_dump(varied(changes)))
    return str(path)


def test_valid_file_shows_what_will_be_in_force(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(tmp_path, {"backends.two.api_key": "sk-literal"})
    assert run("check", "-c", path) == 0
    shown = capsys.readouterr().out
    assert f"{path} is valid; plan " in shown
    assert ": a secret is written here; better `${NAME}`" in shown
    assert "route chat\n  protocol      openai\n  policy        ordered\n" in shown
    assert "sk-literal" not in shown


def test_wrong_file_is_told_with_lines_and_exits_with_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(tmp_path, {"routes.chat.polcy": "x", "listen": {"prt": 1}})
    assert run("check", "-c", path) == 1
    shown = capsys.readouterr().out.splitlines()
    assert shown[0] == f"{path} is not valid: 2 problems"
    assert "unknown key `prt`, did you mean `port`? - at listen.prt" in shown[1]


def test_missing_file_is_one_problem(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("check", "-c", str(tmp_path / "none.yaml")) == 1
    assert "is not valid: 1 problem\n" in capsys.readouterr().out


def test_json_of_a_valid_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = written(tmp_path, {"backends.two.api_key": "sk-literal"})
    assert run("check", "-c", path, "--json", "--show") == 0
    printed = capsys.readouterr().out
    answer = json.loads(printed)
    assert answer["valid"] is True
    assert answer["warnings"][0]["path"] == "backends.two.api_key"
    assert answer["summary"]["routes"]["route chat"]["candidates"] == "one, two"
    assert answer["config"]["backends"]["two"]["api_key"] == "***"
    assert "sk-literal" not in printed


def test_json_of_a_wrong_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = written(tmp_path, {"routes.chat.backends": ["one", "tow"]})
    assert run("check", "-c", path, "--json") == 1
    answer = json.loads(capsys.readouterr().out)
    assert answer["valid"] is False
    [problem] = answer["problems"]
    assert problem["path"] == "routes.chat.backends[1]"
    assert problem["line"] > 0


def test_show_prints_the_effective_configuration(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("check", "-c", written(tmp_path), "--show") == 0
    shown = parse(capsys.readouterr().out, {})
    assert shown.config.backends["one"].timeout.connect == 2 * 10**9


def test_variables_come_from_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path, {"listen": {"port": "${GATEWAY_TEST_PORT}"}})
    assert run("check", "-c", path) == 1
    monkeypatch.setenv("GATEWAY_TEST_PORT", "9999")
    assert run("check", "-c", path) == 0


def test_json_without_show_leaves_the_configuration_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("check", "-c", written(tmp_path), "--json") == 0
    assert "config" not in json.loads(capsys.readouterr().out)
