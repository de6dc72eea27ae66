"""Rollouts by the real processes: traffic moves by itself, and back, whoever is killed."""

from __future__ import annotations

import http.client
import json
import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any, Self

import pytest

from tests.support.answers import Answer, plays
from tests.support.backends import Backend
from tests.support.fixtures import MakeBackend, MakeProcess
from tests.support.gateway import GatewayProcess
from tests.support.script import Answerer, Received
from tests.support.settings import NO_BREAKER, ONE_ATTEMPT, Settings, configuration, http_backend
from tests.support.waiting import until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]
PAUSE_S = 0.004  # of each client between two requests: the cores are for the gateway


def failing(share: float, seed: int = 1) -> Answerer:
    """Answers, but for this share of the requests."""
    chance = random.Random(seed)

    def answer(_: Received) -> Answer:
        return Answer(500 if chance.random() < share else 200, body=b'{"ok": 1}')

    return plays(answer)


def settings(old: Backend, new: Backend, **rollout: Any) -> Settings:
    backends = {
        "old": http_backend(old, breaker=NO_BREAKER),
        "new": http_backend(new, breaker=NO_BREAKER),
    }
    routes = {
        "echo": {
            "backends": ["old"],
            "match": [{"path": "/echo", "methods": ["POST"]}],
            "retry": ONE_ATTEMPT,
        }
    }
    declared: Settings = {
        "route": "echo",
        "arms": {"challenger": {"backends": ["new"]}},
        "minimum": {"time": "300ms", "samples": 20},
        "gates": [{"metric": "errors", "minimum": 20}],
        **rollout,
    }
    made = configuration(backends, routes, workers=2)
    return {**made, "rollouts": {"next": declared}}


class Clients:
    """Keep asking, each on a connection of its own, until told to end."""

    def __init__(self, gateway: GatewayProcess, number: int = 4) -> None:
        self.statuses: Counter[int] = Counter()
        self._gateway, self._is_over = gateway, threading.Event()
        self._threads = [threading.Thread(target=self._ask) for _ in range(number)]

    def _ask(self) -> None:
        connection = http.client.HTTPConnection(*self._gateway.address, timeout=10)
        with closing(connection):
            while not self._is_over.is_set():
                connection.request("POST", "/echo", b"{}", {"content-type": "application/json"})
                answer = connection.getresponse()
                answer.read()
                self.statuses[answer.status] += 1
                time.sleep(PAUSE_S)

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        for thread in self._threads:
            thread.join()


def view(gateway: GatewayProcess) -> dict[str, Any]:
    status, body = gateway.admin("/api/v1/rollouts/next")
    found: dict[str, Any] = json.loads(body) if status == 200 else {"phase": "", "weight": 0}
    return found


def say(gateway: GatewayProcess, verb: str, **body: object) -> dict[str, Any]:
    status, answer = gateway.admin(
        f"/api/v1/rollouts/next/{verb}", "POST", json.dumps(body).encode()
    )
    assert status == 200, answer
    found: dict[str, Any] = json.loads(answer)
    return found


def decisions(gateway: GatewayProcess) -> list[dict[str, Any]]:
    _, body = gateway.admin("/api/v1/rollouts/next/decisions")
    found: list[dict[str, Any]] = json.loads(body)
    return found


@contextmanager
def phase_reached(gateway: GatewayProcess, phase: str, within_s: float = 40.0) -> Iterator[None]:
    yield
    until(lambda: view(gateway)["phase"] == phase, within_s, lambda: json.dumps(view(gateway)))


def test_challenger_with_errors_is_rolled_back_by_itself(
    make_backend: MakeBackend, make_process: MakeProcess
) -> None:
    old, new = make_backend("old", failing(0.0)), make_backend("new", failing(0.3))
    gateway = make_process(settings(old, new, steps=[{"setWeight": 10}, {"setWeight": 100}]))
    with Clients(gateway), phase_reached(gateway, "rolled_back"):
        pass
    served = len(new.received)
    time.sleep(0.2)
    assert len(new.received) == served
    found = view(gateway)
    assert found["weight"] == 0
    assert found["propagation_s"] is not None
    assert found["propagation_s"] < 1.0
    assert decisions(gateway)[-1]["event"] == "rolled_back"


def test_equal_challenger_is_promoted_without_a_failed_request(
    make_backend: MakeBackend, make_process: MakeProcess
) -> None:
    old, new = make_backend("old", failing(0.0)), make_backend("new", failing(0.0))
    steps = [{"setWeight": 20}, {"setWeight": 50}, {"setWeight": 100}]
    gateway = make_process(settings(old, new, steps=steps, alpha="0.1%"))
    with Clients(gateway) as clients, phase_reached(gateway, "promoted"):
        pass
    assert set(clients.statuses) == {200}
    events = [one["event"] for one in decisions(gateway)]
    assert events == ["started", *["advanced"] * 3, "promoted"]
    assert "set routes.echo.backends to [new]" in view(gateway)["edit"]
    found = say(gateway, "undo")
    assert (found["phase"], found["weight"]) == ("rolled_back", 0)


def test_controller_that_is_killed_in_the_middle_goes_on(
    make_backend: MakeBackend, make_process: MakeProcess
) -> None:
    old, new = make_backend("old", failing(0.0)), make_backend("new", failing(0.0))
    steps = [{"setWeight": 10}, {"setWeight": 30}, {"setWeight": 60}, {"setWeight": 100}]
    gateway = make_process(settings(old, new, steps=steps))
    with Clients(gateway) as clients, phase_reached(gateway, "promoted", 60.0):
        for step in (0, 2):
            until_step(gateway, step)
            os.kill(gateway.controller(), signal.SIGKILL)
            time.sleep(0.3)
    assert set(clients.statuses) == {200}
    found = decisions(gateway)
    advanced = [one["step"] for one in found if one["event"] == "advanced"]
    assert advanced == [0, 1, 2, 3]
    assert [one["event"] for one in found].count("promoted") == 1


def until_step(gateway: GatewayProcess, step: int) -> None:
    until(lambda: _step_of(gateway) >= step, 40.0, gateway.log)


def _step_of(gateway: GatewayProcess) -> int:
    try:
        return int(view(gateway).get("step", -1))
    except OSError:
        return -1


def test_blue_green_switches_and_switches_back_without_a_failed_request(
    make_backend: MakeBackend, make_process: MakeProcess
) -> None:
    old, new = make_backend("old", failing(0.0)), make_backend("new", failing(0.0))
    gateway = make_process(settings(old, new, steps=[{"setWeight": 100}], autostart=False))
    with Clients(gateway) as clients:
        for _ in range(3):
            found = say(gateway, "start" if view(gateway)["phase"] == "pending" else "retry")
            assert found["weight"] == 100
            with phase_reached(gateway, "promoted"):
                pass
            found = say(gateway, "undo")
            assert found["weight"] == 0
            assert found["propagation_s"] < 1.0
    assert set(clients.statuses) == {200}
    assert new.received


@pytest.mark.slow
def test_rollout_goes_on_after_the_whole_gateway_was_restarted(
    make_backend: MakeBackend, make_process: MakeProcess
) -> None:
    old, new = make_backend("old", failing(0.0)), make_backend("new", failing(0.0))
    steps = [{"setWeight": 10}, {"setWeight": 40}, {"pause": {}}, {"setWeight": 100}]
    gateway = make_process(settings(old, new, steps=steps))
    with Clients(gateway), phase_reached(gateway, "paused"):
        pass
    before = decisions(gateway)
    gateway.stop()
    gateway.launch()
    gateway._await_ready()
    until(lambda: _step_of(gateway) == 2, 10.0, gateway.log)
    assert (view(gateway)["phase"], view(gateway)["weight"]) == ("paused", 40)
    assert decisions(gateway) == before
    assert view(gateway)["arms"][0]["assigned"] > 0
    say(gateway, "promote")
    with Clients(gateway), phase_reached(gateway, "promoted"):
        pass


@pytest.mark.slow
def test_worker_that_is_killed_takes_no_evidence_along(
    make_backend: MakeBackend, make_process: MakeProcess
) -> None:
    old, new = make_backend("old", failing(0.0)), make_backend("new", failing(0.0))
    steps = [{"setWeight": 50}, {"pause": {}}, {"setWeight": 100}]
    gateway = make_process(settings(old, new, steps=steps))
    with Clients(gateway), phase_reached(gateway, "paused"):
        pass
    time.sleep(1.5)
    counted = [arm["assigned"] for arm in view(gateway)["arms"]]
    workers = gateway.workers()
    os.kill(workers[0], signal.SIGKILL)
    until(lambda: len(set(gateway.workers()) - set(workers)) == 1, 20.0, gateway.log)
    time.sleep(1.5)
    assert [arm["assigned"] for arm in view(gateway)["arms"]] == counted


@pytest.mark.slow
def test_changed_declaration_begins_again_and_a_removed_one_ends(
    make_backend: MakeBackend, make_process: MakeProcess
) -> None:
    old, new = make_backend("old", failing(0.0)), make_backend("new", failing(0.0))
    found = settings(old, new, steps=[{"setWeight": 30}, {"pause": {}}])
    gateway = make_process(found)
    with Clients(gateway) as clients:
        with phase_reached(gateway, "paused"):
            pass
        found["rollouts"]["next"]["alpha"] = "1%"
        write(gateway, found)
        until(lambda: view(gateway).get("revision") == 2, 20.0, gateway.log)
        with phase_reached(gateway, "paused"):
            pass
        del found["rollouts"]
        write(gateway, found)
        with phase_reached(gateway, "aborted"):
            pass
    assert set(clients.statuses) == {200}
    served = len(new.received)
    with Clients(gateway):
        time.sleep(0.3)
    assert len(new.received) == served


def write(gateway: GatewayProcess, changed: Settings) -> None:
    """Into the file, which the controller watches."""
    fixed = {key: gateway.settings[key] for key in ("listen", "admin", "drain", "state")}
    gateway.settings = {**changed, **fixed}
    gateway._write(gateway.settings)
