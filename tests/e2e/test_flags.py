"""Flags and kill switches of a whole gateway: all workers, no controller, after restarts."""

from __future__ import annotations

import json
import os
import signal
import time
from typing import Any

import pytest

from tests.flags.declared import AUDIENCES, FLAGS
from tests.support.answers import echo, plays
from tests.support.fixtures import MakeBackend, MakeProcess
from tests.support.gateway import GatewayProcess
from tests.support.load import Load
from tests.support.raw_client import request_bytes
from tests.support.settings import echo as echo_settings
from tests.support.waiting import until

pytestmark = pytest.mark.e2e
ASKED = 12  # connections, so that each of two workers has some


def start(make_backend: MakeBackend, make_process: MakeProcess) -> GatewayProcess:
    settings = echo_settings(make_backend("echo", plays(echo)), workers=2)
    made = make_process({**settings, "flags": FLAGS, "audiences": AUDIENCES})
    until(made.plan_hash, 10.0, made.log)  # one may be ready before the others
    return made


@pytest.fixture(scope="module")
def gateway(share_backend: MakeBackend, share_process: MakeProcess) -> GatewayProcess:
    """Each test puts back what it sets."""
    return start(share_backend, share_process)


def told(gateway: GatewayProcess, path: str, body: Any) -> Any:
    status, answer = gateway.admin(f"/api/v1{path}", "POST", json.dumps(body).encode())
    assert status == 200, answer
    return json.loads(answer)


def evaluated(gateway: GatewayProcess, key: str = "plain") -> set[Any]:
    """What connections that are spread over all workers are told."""
    body = json.dumps({"context": {"targetingKey": "bob"}}).encode()
    path = f"/ofrep/v1/evaluate/flags/{key}"
    values = set()
    for _ in range(ASKED):
        with gateway.connect() as client:
            client.send(request_bytes("POST", path, body))
            values.add(json.loads(client.read_response("POST").body).get("value"))
    return values


def echoed(gateway: GatewayProcess) -> set[int]:
    statuses = set()
    for _ in range(ASKED):
        with gateway.connect() as client:
            client.send(request_bytes("POST", "/echo", b"{}"))
            statuses.add(client.read_response("POST").status)
    return statuses


def test_forced_variant_is_in_every_worker_and_stays(
    make_backend: MakeBackend, make_process: MakeProcess
) -> None:
    gateway = start(make_backend, make_process)
    assert evaluated(gateway) == {True}
    change = told(gateway, "/flags/plain", {"variant": "off", "author": "ann"})
    assert 0 < change["propagation_s"] < 1
    assert evaluated(gateway) == {False}
    status, history = gateway.admin("/api/v1/config/history")
    assert (status, json.loads(history)[0]["author"]) == (200, "ann")
    # a worker that dies: its successor starts with the same
    first = gateway.workers()[0]
    os.kill(first, signal.SIGKILL)
    until(lambda: len(gateway.workers()) == 2 and first not in gateway.workers(), 10.0, gateway.log)
    until(lambda: gateway.plan_hash() == change["hash"], 10.0, gateway.log)
    assert evaluated(gateway) == {False}
    # no controller: workers answer by themselves
    os.kill(gateway.controller(), signal.SIGSTOP)
    assert evaluated(gateway) == {False}
    os.kill(gateway.controller(), signal.SIGCONT)
    # the whole gateway, once more
    gateway.stop()
    gateway.launch()
    until(lambda: gateway.readiness() == 200, 10.0, gateway.log)
    assert evaluated(gateway) == {False}
    told(gateway, "/flags/plain/reset", {})
    assert evaluated(gateway) == {True}


def test_switches_work_within_a_second_under_load(gateway: GatewayProcess) -> None:
    took_s = []
    with Load(gateway.address, 100.0) as load:
        for _ in range(5):
            for is_off, expected in ((True, {503}), (False, {200})):
                began_s = time.monotonic()
                change = told(gateway, "/switches", {"name": "route.echo", "is_off": is_off})
                took_s.append(time.monotonic() - began_s)
                assert change["propagation_s"] <= took_s[-1]
                assert echoed(gateway) == expected
        load.await_shots(10)
    assert max(took_s) < 1
    status, metrics = gateway.admin("/metrics")
    assert status == 200
    lines = dict(line.rsplit(" ", 1) for line in metrics.decode().splitlines() if line[0] != "#")
    assert 0 < float(lines["gateway_config_last_propagation_seconds"]) < 1
    assert lines['gateway_switch_off{switch="route.echo"}'] == "0"


def test_backend_that_is_off_is_not_asked(gateway: GatewayProcess) -> None:
    told(gateway, "/switches", {"name": "backend.echo", "is_off": True})
    assert echoed(gateway) == {503}
    told(gateway, "/switches", {"name": "backend.echo", "is_off": False})
    assert echoed(gateway) == {200}


def test_change_of_the_file_leaves_switches_as_they_are(gateway: GatewayProcess) -> None:
    told(gateway, "/switches", {"name": "feature.flags", "is_off": True})
    assert evaluated(gateway) == {None}
    gateway.config.write_text(json.dumps({**gateway.settings, "server_header": "other"}))
    status, answer = gateway.admin("/api/v1/config/reload", "POST", b"{}")
    assert status == 200, answer
    assert json.loads(answer)["is_changed"] is True
    assert evaluated(gateway) == {None}
    told(gateway, "/switches", {"name": "feature.flags", "is_off": False})
    assert evaluated(gateway) == {True}
