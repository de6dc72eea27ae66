"""`gateway rollout lint`: every problem of a file, with its path, without a gateway."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from tests.cli.admin_port import exit_code
from tests.config.texts import varied

GOOD = "route: chat\narms:\n  v2: {backends: [two]}\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(path: Path, text: str) -> str:
    path.write_text(text)
    return str(path)


def whole(**rollouts: object) -> str:
    return yaml.safe_dump(varied(rollouts=rollouts), sort_keys=False)


def test_good_declaration_is_valid_by_itself(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_code("rollout", "lint", write(folder / "chat-v2.yaml", GOOD)) == 0
    first, note = capsys.readouterr().out.splitlines()
    assert first.endswith("chat-v2.yaml is valid: chat-v2")
    assert (
        note == "  note: what it refers to was not looked for; name a configuration with --config"
    )


def test_references_are_looked_for_in_the_configuration(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = write(folder / "other.yaml", whole())
    spec = write(folder / "v2.yaml", GOOD)
    assert exit_code("rollout", "lint", spec, "-c", config) == 0
    assert "note:" not in capsys.readouterr().out
    (folder / "other.yaml").rename(folder / "gateway.yaml")
    assert exit_code("rollout", "lint", spec) == 0
    assert "note:" not in capsys.readouterr().out


def test_every_problem_is_told_with_its_path(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = "route: chat\narms: {v2: {backend: [two]}}\nsteps: [{setWeight: 101}]\nalfa: 5%\n"
    assert exit_code("rollout", "lint", write(folder / "v2.yaml", text)) == 1
    first, *rest = capsys.readouterr().out.splitlines()
    assert first.endswith("v2.yaml is not valid: 3 problems")
    assert any("line 2: " in line and line.endswith("rollouts.v2.arms.v2.backend") for line in rest)
    assert any("line 3: " in line and line.endswith("v2.steps[0].setWeight") for line in rest)
    assert any("did you mean `alpha`?" in line for line in rest)


def test_whole_configuration_is_looked_into(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = write(
        folder / "a.yaml", whole(v2={"route": "chat", "arms": {"v2": {"policy": "fastest"}}})
    )
    assert exit_code("rollout", "lint", good) == 0
    assert capsys.readouterr().out.splitlines()[0].endswith("a.yaml is valid: v2")
    bad = write(folder / "b.yaml", whole(v2={"route": "chat"}))
    assert exit_code("rollout", "lint", bad) == 1
    assert "rollouts.v2" in capsys.readouterr().out
    assert exit_code("rollout", "lint", write(folder / "c.yaml", whole())) == 0
    assert capsys.readouterr().out.splitlines()[1] == "  note: it has no rollout"


def test_json_has_problems_and_paths(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec = write(folder / "v2.yaml", "route: chat\narms: {v2: {}}\nunits: user\n")
    assert exit_code("rollout", "lint", spec, "--json") == 1
    answer = json.loads(capsys.readouterr().out)
    assert answer["valid"] is False
    assert (answer["problems"][0]["path"], answer["problems"][0]["line"]) == (
        "rollouts.v2.units",
        3,
    )
    assert exit_code("rollout", "lint", write(folder / "v2.yaml", GOOD), "--json") == 0
    assert json.loads(capsys.readouterr().out)["rollouts"] == ["v2"]


@pytest.mark.parametrize("content", [b"[1, 2]", b"route: [", b""])
def test_what_is_no_rollout_is_a_sentence(
    folder: Path, content: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "bad.yaml").write_bytes(content)
    assert exit_code("rollout", "lint", "bad.yaml") == 1
    assert "not valid" in capsys.readouterr().out


def test_file_that_is_not_there_is_a_sentence(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_code("rollout", "lint", "nope.yaml") == 1
    assert "cannot read nope.yaml: No such file or directory" in capsys.readouterr().err
    (folder / "bad.yaml").write_bytes(b"\xff\xfe")
    assert exit_code("rollout", "lint", "bad.yaml") == 1
    assert "bad.yaml is not UTF-8 text" in capsys.readouterr().err
    config = ["-c", "nope.yaml"]
    assert exit_code("rollout", "lint", write(folder / "v2.yaml", GOOD), *config) == 1
