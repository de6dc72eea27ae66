"""`gateway status`, `gateway backends` and `gateway drain` against a real admin port."""

import json

import pytest

from gateway.cli import status as status_verb
from gateway.control.parts import Version
from tests.cli.admin_port import AdminPort, exit_code
from tests.control.alerts import FakeAlerts


def test_status_is_a_page_of_text(capsys: pytest.CaptureFixture[str]) -> None:
    with AdminPort() as url:
        assert exit_code("status", "--admin", url) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "ok: Everything is up."
    assert "plan a1b2c3d4e5f6, 2 of 2 workers" in lines[1]
    assert lines[2].startswith("log ok: The log is in order; store has")
    assert lines[4].split()[:3] == ["ROUTE", "POLICY", "REQ/S"]
    assert lines[4].split()[5:7] == ["FIRST-p50/p95", "TOTAL-p50/p95"]
    assert lines[8].split()[5:7] == ["FIRST-p50/p95", "TOTAL-p50/p95"]
    assert lines[5].split()[:2] == ["chat", "ordered"]
    assert lines[9].split()[:2] == ["mini", "up"]


def test_status_tells_of_a_refused_configuration(capsys: pytest.CaptureFixture[str]) -> None:
    port = AdminPort()
    port.gateway.configuration.failure = Version(
        hash="", author="file", at="2026-01-01T00:00:00Z", outcome="refused", detail="line 3: no"
    )
    with port as url:
        exit_code("status", "--admin", url)
    assert capsys.readouterr().out.endswith("the one in force is unchanged:\nline 3: no\n")


def test_status_as_json_is_one_value(capsys: pytest.CaptureFixture[str]) -> None:
    with AdminPort() as url:
        assert exit_code("status", "--json", "--admin", url) == 0
    assert json.loads(capsys.readouterr().out)["health"] == "ok"


@pytest.mark.parametrize("flags", [["--watch"], ["--watch", "--json"]])
def test_watch_goes_on_until_it_is_interrupted(
    flags: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses = iter([None, None])

    def sleep(_seconds: float) -> None:
        if next(pauses, "stop") == "stop":
            raise KeyboardInterrupt

    monkeypatch.setattr(status_verb, "sleep", sleep)
    with AdminPort() as url:
        assert exit_code("status", *flags, "--admin", url) == 130
    out = capsys.readouterr().out
    assert out.count("Everything is up.") == 3
    if "--json" in flags:
        assert [json.loads(line)["health"] for line in out.splitlines()] == ["ok"] * 3


def test_gateway_that_is_not_there_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code("status", "--admin", "http://127.0.0.1:1") == 1
    err = capsys.readouterr().err
    assert err.startswith("gateway: no gateway answers at http://127.0.0.1:1")
    assert err.count("\n") == 1


def test_backends_show_state_and_time_left(capsys: pytest.CaptureFixture[str]) -> None:
    port = AdminPort()
    now_ns = port.gateway.now_ns
    port.gateway.board.cells["open_until_ns"][1] = now_ns + 24_000_000_000
    port.gateway.board.cells["unhealthy"][2] = 1
    with port as url:
        assert exit_code("backends", "--admin", url) == 0
    out = capsys.readouterr().out
    assert "breaker open, 24s left" in out
    assert "unhealthy" in out


def test_backends_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    with AdminPort() as url:
        exit_code("backends", "--json", "--admin", url)
    assert [b["name"] for b in json.loads(capsys.readouterr().out)] == ["mini", "local", "fraud-v3"]


@pytest.mark.parametrize("flags", [[], ["--json"]])
def test_drain_asks_the_gateway_to_drain(
    flags: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    port = AdminPort()
    with port as url:
        assert exit_code("drain", *flags, "--admin", url) == 0
    assert port.gateway.workers.is_draining
    assert "draining" in capsys.readouterr().out


def test_status_says_what_the_watch_found(capsys: pytest.CaptureFixture[str]) -> None:
    with AdminPort(alerts=FakeAlerts()) as url:
        assert exit_code("status", "--admin", url) == 0
    lines = capsys.readouterr().out.splitlines()
    said = "watch changed: scores (inputs); 1 alert open, data until 2025-10-09T"
    assert lines[3].startswith(said)
