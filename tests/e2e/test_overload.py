"""Three times what the backends can do: they stay busy, and the rest is told so at once.

A backend here takes a fixed time for each request and as many at once as its limit, so
its capacity is known: `limit / seconds`.
"""

from __future__ import annotations

import math
import threading

import pytest

from tests.support.answers import echo, plays
from tests.support.backends import Backend
from tests.support.faults import after, held
from tests.support.fixtures import MakeBackend, MakeProcess
from tests.support.gateway import GatewayProcess
from tests.support.load import Shot, fates, load_in_process
from tests.support.logged import metric
from tests.support.raw_client import request_bytes
from tests.support.settings import Settings, http_backend
from tests.support.settings import echo as echo_settings
from tests.support.waiting import until

SERVICE_S = 0.04
LIMIT = 4  # at once, each of two backends
CAPACITY_PER_S = 2 * LIMIT / SERVICE_S
DEADLINE_S = 1.0
SLOW = (pytest.mark.slow, pytest.mark.timeout(180))


def settings_for(backends: list[Backend], **more: object) -> Settings:
    """A route over both, with a queue and a deadline."""
    made = echo_settings(backends[0], each={"max_concurrency": LIMIT})
    second = http_backend(backends[1], max_concurrency=LIMIT)
    made["backends"]["second"] = second
    made["routes"]["echo"].update(
        {
            "backends": ["echo", "second"],
            "policy": "least_loaded",
            "timeout": {"total": f"{DEADLINE_S}s"},
            **more,
        }
    )
    return made


@pytest.fixture(scope="module")
def gateway(share_backend: MakeBackend, share_process: MakeProcess) -> GatewayProcess:
    answer = after(SERVICE_S, plays(echo))
    backends = [share_backend(name, answer) for name in ("echo", "second")]
    return share_process(settings_for(backends))


def quantile(values: list[float], q: float) -> float:
    return sorted(values)[min(len(values) - 1, math.ceil(q * len(values)) - 1)]


def middle(shots: list[Shot], seconds: float) -> list[Shot]:
    """The shots of the time between a warm-up and the end."""
    begun = shots[0].sent_at
    return [shot for shot in shots if begun + 0.5 <= shot.sent_at <= begun + seconds - 0.2]


def goodput_per_s(shots: list[Shot]) -> float:
    """Right answers within the deadline, per second."""
    good = [shot for shot in shots if shot.is_right and shot.seconds <= DEADLINE_S]
    return len(good) / (shots[-1].sent_at - shots[0].sent_at)


@pytest.mark.parametrize("seconds", [3.0, pytest.param(20.0, marks=SLOW)])
def test_three_times_the_capacity_keeps_the_backends_busy(
    gateway: GatewayProcess, seconds: float
) -> None:
    # Why up to three times: other tests on the same cores take from one half and not the other.
    kept, over = 0.0, list[Shot]()
    for _ in range(3):
        peak = middle(load_in_process(gateway.address, CAPACITY_PER_S * 1.05, seconds, 64), seconds)
        over = middle(load_in_process(gateway.address, CAPACITY_PER_S * 3, seconds, 256), seconds)
        assert set(fates(over)) <= {"right", "503"}, fates(over)
        kept = goodput_per_s(over) / min(goodput_per_s(peak), CAPACITY_PER_S)
        if kept >= 0.95:
            break
    assert kept >= 0.95
    admitted = [shot.seconds for shot in over if shot.is_right]
    assert quantile(admitted, 0.99) <= DEADLINE_S
    refused = [shot for shot in over if shot.status == 503]
    assert len(refused) > len(over) / 2
    assert all(int(shot.retry_after) >= 1 for shot in refused)


def test_refusals_come_at_once(gateway: GatewayProcess) -> None:
    """Each refusal within 5 ms, but for what the machine itself holds up: one of three times."""
    late = 1.0
    for _ in range(3):
        shots = middle(load_in_process(gateway.address, CAPACITY_PER_S * 3, 3.0, 256), 3.0)
        late = quantile([shot.seconds for shot in shots if shot.status == 503], 0.9)
        if late <= 0.005:
            break
    assert late <= 0.005


def test_capacity_is_never_exceeded_at_a_backend(
    make_backend: MakeBackend, make_process: MakeProcess
) -> None:
    """Two workers share the limit through the board, without a lock: each may take the last
    slot in the same microsecond, and no more than that.
    """
    answer = after(SERVICE_S, plays(echo))
    backends = [make_backend(name, answer) for name in ("echo", "second")]
    workers = 2
    gateway = make_process({**settings_for(backends), "workers": workers})
    shots = load_in_process(gateway.address, CAPACITY_PER_S * 2, 2.0, 128)
    assert fates(shots)["right"] > CAPACITY_PER_S
    for backend in backends:
        assert most_at_once(backend) <= LIMIT + workers - 1


def most_at_once(backend: Backend) -> int:
    """The largest number of requests that were being answered at the same time."""
    edges = [(one.at, 1) for one in backend.received]
    edges += [(one.answered_at or one.abandoned_at, -1) for one in backend.received]
    now = most = 0
    for _, step in sorted(edges, key=lambda edge: (edge[0], edge[1])):
        now += step
        most = max(most, now)
    return most


def await_queued(gateway: GatewayProcess, count: int) -> None:
    def queued() -> float:
        return metric(gateway, "gateway_requests_queued", '{route="echo"}')

    until(lambda: queued() == count, 10.0, queued)


def test_urgent_requests_pass_the_others_in_the_queue(
    make_backend: MakeBackend, make_process: MakeProcess, gate: threading.Event
) -> None:
    backend = make_backend("echo", held(gate, plays(echo)))
    settings = echo_settings(backend, each={"max_concurrency": 1}, overrides=["priority"])
    settings["routes"]["echo"]["queue"] = {"max": 50, "max_wait": "20s", "target": "20s"}
    gateway = make_process(settings)
    clients = [gateway.connect() for _ in range(8)]
    for number, client in enumerate(clients):
        urgent = [("x-gateway-priority", "0")] if number == 7 else []
        client.send(request_bytes("POST", "/echo", b"%d" % number, urgent))
        if number == 0:
            until(lambda: bool(backend.received))
    await_queued(gateway, 7)
    gate.set()
    assert {client.read_response().status for client in clients} == {200}
    order = [one.body for one in backend.received]
    assert order.index(b"7") == 1
    assert order[0] == b"0"
    for client in clients:
        client.close()


def test_queue_that_is_full_refuses_and_the_waiting_are_served(
    make_backend: MakeBackend, make_process: MakeProcess, gate: threading.Event
) -> None:
    backend = make_backend("echo", held(gate, plays(echo)))
    settings = echo_settings(backend, each={"max_concurrency": 1})
    settings["routes"]["echo"]["queue"] = {"max": 2, "max_wait": "20s", "target": "20s"}
    gateway = make_process(settings)
    clients = [gateway.connect() for _ in range(6)]
    for number, client in enumerate(clients):
        client.send(request_bytes("POST", "/echo", b"%d" % number))
        if number == 0:
            until(lambda: bool(backend.received))
        elif number <= 2:
            await_queued(gateway, number)
    refused = [client.read_response().status for client in clients[3:]]
    gate.set()
    statuses = [client.read_response().status for client in clients[:3]] + refused
    assert sorted(statuses) == [200, 200, 200, 503, 503, 503]
    assert statuses[:3] == [200, 200, 200]
    for client in clients:
        client.close()


def test_wait_in_the_queue_is_bounded(make_backend: MakeBackend, make_process: MakeProcess) -> None:
    backend = make_backend("echo", after(2.0, plays(echo)))
    settings = echo_settings(backend, each={"max_concurrency": 1})
    settings["routes"]["echo"]["queue"] = {"max": 5, "max_wait": "300ms", "target": "3s"}
    gateway = make_process(settings)
    with gateway.connect() as first, gateway.connect() as second:
        first.send(request_bytes("POST", "/echo", b"first"))
        until(lambda: bool(backend.received))
        answer = second.request("POST", "/echo", b"second")
        assert answer.status == 503
        assert int(answer.header("retry-after") or 0) >= 1
        assert first.read_response().body == b"first"
    assert [one.body for one in backend.received] == [b"first"]
