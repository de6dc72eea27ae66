"""Finding a verb, help, exit codes."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from gateway import __version__
from gateway.cli import VERBS, main
from gateway.errors import StateError


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as caught:
        main([*arguments])
    assert isinstance(caught.value.code, int)
    return caught.value.code


def test_help_lists_every_verb_in_plain_text(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--help") == 0
    shown = capsys.readouterr().out
    assert shown.isascii()
    assert [verb for verb in VERBS if f"  {verb} " not in shown] == []
    assert "Exit codes: 0 good" in shown


@pytest.mark.parametrize("verb", VERBS)
def test_each_verb_has_help(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(verb, "--help") == 0
    assert capsys.readouterr().out.startswith(f"Usage: gateway {verb}")


def test_misspelt_verb_names_the_one_meant(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("chek") == 2
    assert "There is no verb `chek`, did you mean `check`?" in capsys.readouterr().err


def test_wrong_option_exits_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("version", "--nonsense") == 2
    assert "No such option" in capsys.readouterr().err


def test_version_is_printed_plainly_and_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("version") == 0
    assert capsys.readouterr().out.startswith(f"gateway {__version__} (Python ")
    assert run("version", "--json") == 0
    assert json.loads(capsys.readouterr().out)["version"] == __version__


def test_version_is_fast_because_it_imports_nothing_else() -> None:
    program = "import sys; from gateway.cli import version; print(*sys.modules)"
    found = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert not {"yaml", "sqlalchemy", "gateway.config", "uvloop"} & set(found.stdout.split())


@pytest.mark.parametrize("verb", ["production", "status", "explain", "flag", "log", "rollout"])
def test_verb_that_asks_a_gateway_does_not_load_what_only_the_gateway_needs(verb: str) -> None:
    program = f"import sys; import gateway.cli.{verb}; print(*sys.modules)"
    found = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert not {"sqlalchemy", "asyncio", "numpy", "duckdb"} & set(found.stdout.split())


@pytest.mark.parametrize(
    "error, code, said",
    [
        (StateError("no room"), 1, "gateway: no room\n"),
        (KeyboardInterrupt(), 130, ""),
    ],
)
def test_error_becomes_a_sentence_and_a_code(
    error: BaseException,
    code: int,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(*_arguments: Any, **_options: Any) -> None:
        raise error

    monkeypatch.setattr("gateway.cli.version.platform.python_version", fail)
    assert run("version") == code
    assert said in capsys.readouterr().err


def test_reader_that_has_enough_is_no_traceback() -> None:
    program = f"{sys.executable} -m gateway config keys | head -1"
    found = subprocess.run(program, shell=True, capture_output=True, text=True, check=False)
    assert found.stderr == ""
    assert found.stdout == "# Configuration\n"


def test_module_is_the_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "gateway", "version"], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("gateway ")
