"""`gateway explain` asks a gateway that runs, and reads the state directory where none does."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gateway.explanation.page import page
from tests.cli.admin_port import AdminPort, exit_code
from tests.control.test_records import IT, FakeRecords


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_a_running_gateway_is_asked(capsys: pytest.CaptureFixture[str]) -> None:
    with AdminPort(records=FakeRecords()) as url:
        assert exit_code("explain", IT.id, "--admin", url) == 0
        assert capsys.readouterr().out == page(FakeRecords().explanation(IT.id)).rstrip("\n") + "\n"
        assert exit_code("explain", IT.id, "--admin", url, "--json") == 0
        assert json.loads(capsys.readouterr().out)["id"] == IT.id


@pytest.mark.parametrize("arguments", [["-c", "gateway.yaml"], ["--state", "here"], ["--payload"]])
def test_a_place_that_is_named_is_read(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with AdminPort(records=FakeRecords()) as url:
        assert exit_code("explain", IT.id, "--admin", url, *arguments) == 1
    assert "there are no records at all" in capsys.readouterr().err


def test_what_it_does_not_know_is_looked_up_here(capsys: pytest.CaptureFixture[str]) -> None:
    with AdminPort(records=FakeRecords()) as url:
        assert exit_code("explain", "other", "--admin", url) == 1
    assert "There is no record of other; there are no records at all" in capsys.readouterr().err


def test_no_gateway_is_no_fault(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code("explain", "x", "--admin", "http://127.0.0.1:1") == 1
    assert "there are no records at all" in capsys.readouterr().err
