"""The whole gateway: requests are answered and recorded whatever becomes of the shipper."""

from __future__ import annotations

import http.client
import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from gateway.log.figures import FILE_NAME
from tests.support.fixtures import MakeBackend, MakeProcess, make_backend, make_process
from tests.support.gateway import GatewayProcess
from tests.support.settings import chat
from tests.support.waiting import until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(90)]

__all__ = ["make_backend", "make_process"]

BODY = json.dumps({"model": "chat", "messages": [{"role": "user", "content": "hi"}]})
PATIENCE_S = 15.0


class Client:
    """One connection that asks and remembers the ids of answers."""

    def __init__(self, gateway: GatewayProcess) -> None:
        self._connection = http.client.HTTPConnection(*gateway.address, timeout=10)
        self.ids: list[str] = []

    def close(self) -> None:
        self._connection.close()

    def ask(self, count: int) -> None:
        for _ in range(count):
            self._connection.request("POST", "/v1/chat/completions", BODY)
            answer = self._connection.getresponse()
            answer.read()
            assert answer.status == 200
            self.ids.append(answer.headers["x-request-id"])


def pid_of(figures: Path) -> int:
    return int(json.loads(figures.read_bytes())["pid"])


def log_of(gateway: GatewayProcess) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(gateway.admin("/api/v1/log")[1])
    return answer


def printed(gateway: GatewayProcess) -> list[str]:
    """Ids of the records on standard output, in their order."""
    lines = [line for line in gateway.log().splitlines() if line.startswith('{"v":')]
    return [json.loads(line)["request_id"] for line in lines]


def test_shipper_that_is_killed_comes_back_and_nobody_notices(
    make_backend: MakeBackend, make_process: MakeProcess
) -> None:
    settings = chat(make_backend("mini"), workers=2)
    settings["log"] = {"stdout": True, "store": {"enabled": False}}
    gateway = make_process(settings)
    client = Client(gateway)
    figures = Path(gateway.folder, "state", "run", FILE_NAME)
    until(figures.exists, PATIENCE_S)
    for _ in range(3):
        client.ask(20)
        pid = pid_of(figures)
        os.kill(pid, signal.SIGKILL)
        client.ask(20)
        until(lambda before=pid: pid_of(figures) != before, PATIENCE_S)  # type: ignore[misc]
    client.close()
    until(lambda: set(printed(gateway)) == set(client.ids), PATIENCE_S)
    until(lambda: log_of(gateway)["figures"]["sinks"][0]["shipped"] == 120, PATIENCE_S)
    log = log_of(gateway)
    (sink,) = log["figures"]["sinks"]
    assert (sink["appended"], sink["waiting"], sink["dropped"]) == (120, 0, 0)
    assert log["health"] == "ok"
    assert b'gateway_log_sink_shipped_total{sink="stdout"} 120' in gateway.admin("/metrics")[1]


def test_end_of_the_gateway_ships_the_last_records(
    make_backend: MakeBackend, make_process: MakeProcess
) -> None:
    settings = chat(make_backend("mini"), workers=1)
    settings["log"] = {"stdout": True, "store": {"enabled": False}, "niceness": 15}
    gateway = make_process(settings)
    client = Client(gateway)
    client.ask(50)
    client.close()
    figures = Path(gateway.folder, "state", "run", FILE_NAME)
    until(figures.exists, PATIENCE_S)
    ours = os.getpriority(os.PRIO_PROCESS, 0)
    assert os.getpriority(os.PRIO_PROCESS, pid_of(figures)) == min(19, ours + 15)
    gateway.stop()
    assert printed(gateway) == client.ids
    state = Path(gateway.folder, "state", "log")
    assert not list(state.glob("w*"))
