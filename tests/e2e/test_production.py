"""A real gateway: feedback by both ports, a new version, and what is said of both."""

from __future__ import annotations

import http.client
import json
import time
from pathlib import Path
from typing import Any

import pytest

from tests.cli.admin_port import exit_code
from tests.registry.mlflow_stand_in import StandIn
from tests.support.fixtures import MakeBackend, MakeProcess, make_backend, make_process
from tests.support.gateway import GatewayProcess
from tests.support.settings import chat
from tests.support.waiting import until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(90)]

__all__ = ["make_backend", "make_process"]

BODY = json.dumps({"model": "chat", "messages": [{"role": "user", "content": "hi"}]})
JSON = {"content-type": "application/json"}


def ask(gateway: GatewayProcess) -> str:
    """One answer; its request id."""
    connection = http.client.HTTPConnection(*gateway.address, timeout=5)
    connection.request("POST", "/v1/chat/completions", BODY, JSON)
    answer = connection.getresponse()
    answer.read()
    connection.close()
    assert answer.status == 200
    return str(answer.headers["x-request-id"])


def say(address: tuple[str, int], path: str, **members: Any) -> tuple[int, dict[str, Any]]:
    connection = http.client.HTTPConnection(*address, timeout=5)
    headers = {**JSON, "idempotency-key": "k"}
    connection.request("POST", path, json.dumps(members), headers)
    answer = connection.getresponse()
    found = answer.status, json.loads(answer.read())
    connection.close()
    return found


def is_written_down(gateway: GatewayProcess) -> bool:
    """Whether the controller is there: what came before is not of the time in force."""
    try:
        return gateway.admin("/api/v1/production")[0] == 200
    except OSError:
        return False


def chat_of(gateway: GatewayProcess) -> dict[str, Any]:
    status, body = gateway.admin("/api/v1/production?route=chat")
    assert status == 200, body
    found: dict[str, Any] = json.loads(body)["routes"][0]["backends"][0]
    return found


def test_new_version_is_told_with_what_people_said(
    make_backend: MakeBackend, make_process: MakeProcess, capsys: pytest.CaptureFixture[str]
) -> None:
    backend = make_backend()
    settings = chat(backend, each={"version": "1"})
    with StandIn() as mlflow:
        registry = {"mlflow": {"url": mlflow, "name": "fraud", "alias": "champion"}}
        settings["backends"][backend.name]["registry"] = registry
        gateway = make_process(settings)
        until(lambda: is_written_down(gateway), 10.0)
        names = [ask(gateway) for _ in range(4)]
        signals = [
            say(gateway.address, "/v1/feedback", request_id=names[0], signal="accept"),
            say(gateway.admin_address, "/api/v1/feedback", request_id=names[1], signal="thumbs_up"),
        ]
        assert [status for status, _ in signals] == [202, 202]
        assert say(gateway.address, "/v1/feedback", signal="accept")[0] == 400

        def is_counted() -> bool:
            figures = chat_of(gateway)["figures"]
            return bool(figures and figures["feedback_per_request"] == 0.5)

        until(is_counted, 10.0)
        until(lambda: chat_of(gateway)["registration"].get("version") == "7", 10.0)
    settings["backends"][backend.name]["version"] = "2"
    time.sleep(1.1)  # times are whole seconds
    before = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    gateway.apply(settings)
    ask(gateway)
    until(lambda: (chat_of(gateway)["figures"] or {}).get("requests") == 1, 10.0)
    found = chat_of(gateway)
    assert (found["configured_version"], found["since"]["by"]) == ("2", "signal")
    assert found["before"]["version"] == "1"
    assert found["before"]["figures"]["requests"] == 4
    assert found["registration"]["version"] == "7"  # though MLflow has gone
    gateway.stop()
    began = time.monotonic()
    assert exit_code("production", "--at", before, "-c", str(gateway.config), "--json") == 0
    assert time.monotonic() - began < 2
    [route] = json.loads(capsys.readouterr().out)["routes"]
    then = route["backends"][0]
    assert (then["version"], then["figures"]["requests"]) == ("1", 4)
    assert Path(gateway.folder / "state" / "registry").is_dir()
