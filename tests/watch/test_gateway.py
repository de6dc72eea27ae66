"""The whole gateway: what is asked is counted, on disk and in metrics, and only once."""

from __future__ import annotations

import http.client
import json
import time
from pathlib import Path

import pytest

from gateway.watch.kept import FILE, Kept
from tests.cli.admin_port import exit_code
from tests.support.answers import Answer, json_answer, plays
from tests.support.fixtures import MakeBackend, MakeProcess, make_backend, make_process
from tests.support.gateway import GatewayProcess
from tests.support.logged import metric
from tests.support.script import Received
from tests.support.settings import configuration, http_backend
from tests.support.waiting import until
from tests.watch.lines import basis_of

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(90)]
__all__ = ["make_backend", "make_process"]

BASIS = basis_of()
REQUESTS = 60
PATIENCE_S = 20.0


def scores(_request: Received) -> Answer:
    return json_answer({"predictions": [0.5]})


@pytest.fixture
def gateway(make_backend: MakeBackend, make_process: MakeProcess, tmp_path: Path) -> GatewayProcess:
    file = tmp_path / "iris.json"
    file.write_bytes(BASIS.reference.encode())
    settings = configuration(
        {"model": http_backend(make_backend("model", plays(scores)))},
        {"iris": {"backends": ["model"], "record": {"features": "/instances"}}},
        drift={
            "references": {"then": {"kind": "training", "file": str(file)}},
            "rules": {"inputs": {"reference": "then"}},
        },
    )
    return make_process(settings)


def ask(gateway: GatewayProcess) -> None:
    connection = http.client.HTTPConnection(*gateway.address, timeout=10)
    for number in range(REQUESTS):
        rows = [{"x": number / 10, "c": "abz"[number % 3]}, {"x": None}]
        connection.request(
            "POST",
            "/v1/models/iris:predict",
            json.dumps({"instances": rows}),
            {"content-type": "application/json"},
        )
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 200
    connection.close()


def test_what_is_asked_is_counted_once(gateway: GatewayProcess) -> None:
    state = Path(gateway.folder, "state")
    kept = Kept(state / FILE)
    ask(gateway)
    until(lambda: kept.told().get("", {}).get("counted") == REQUESTS, PATIENCE_S)
    assert metric(gateway, "gateway_drift_lines_total", '{result="counted"}') == REQUESTS
    view, now = kept.view(), int(time.time() // 60)
    (source,) = view.sources(BASIS)
    numbers = view.window(BASIS, source, "x", now - 5, now + 1)
    assert (numbers.values, numbers.specials["null"]) == (REQUESTS, REQUESTS)
    words = view.window(BASIS, source, "c", now - 5, now + 1)
    assert (words.values, words.strangers) == (40, {"z": 20})
    assert words.specials["missing"] == REQUESTS
    assert exit_code("drift", "backfill", "--config", str(gateway.config)) == 0
    assert view.window(BASIS, source, "x", now - 5, now + 2).values == REQUESTS
