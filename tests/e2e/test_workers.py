"""Processes that die, or are replaced, under constant load: who notices, and who must not."""

from __future__ import annotations

import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support.answers import echo, plays
from tests.support.fixtures import MakeBackend, MakeProcess
from tests.support.gateway import GatewayProcess
from tests.support.load import Load, fate
from tests.support.openai_model import OpenAIModel
from tests.support.raw_client import request_bytes
from tests.support.script import Pause, Received, Script
from tests.support.settings import chat
from tests.support.settings import echo as echo_settings
from tests.support.waiting import until

RATE_PER_S = 200.0
WORKERS = 2


@pytest.fixture(scope="module")
def shared(share_backend: MakeBackend, share_process: MakeProcess) -> GatewayProcess:
    settings = echo_settings(share_backend("echo", plays(echo)), workers=WORKERS)
    return share_process(settings)


@pytest.fixture
def gateway(shared: GatewayProcess) -> GatewayProcess:
    """One whose workers are all there, whatever became of those before them."""
    await_workers(shared)
    return shared


def await_workers(gateway: GatewayProcess, *, without: int = 0) -> None:
    """Return when all workers serve, and the one that is gone is none of them."""

    def are_there() -> bool:
        workers = gateway.workers()
        return without not in workers and len(workers) == WORKERS and is_administered(gateway)

    until(are_there, 20.0, gateway.log)


def test_each_worker_killed_costs_only_what_it_had_in_flight(gateway: GatewayProcess) -> None:
    killed: list[float] = []
    with Load(gateway.address, RATE_PER_S) as load:
        load.await_shots(50)
        for worker in gateway.workers():
            killed.append(time.monotonic())
            os.kill(worker, signal.SIGKILL)
            await_workers(gateway, without=worker)
        load.await_shots(100)
    failed = [shot for shot in load.shots if not shot.is_right]
    for shot in failed:
        assert shot.status == 0, shot  # cut off, never answered wrongly
        assert any(shot.sent_at <= at + 0.05 and shot.ended_at >= at - 0.05 for at in killed), shot
    assert len(failed) <= 3 * WORKERS
    slowest = max(shot.seconds for shot in load.shots if shot.is_right)
    assert slowest < 2.0, "connections waited for the successor too long"


def test_killed_worker_is_replaced_within_a_second(gateway: GatewayProcess) -> None:
    worker = gateway.workers()[0]
    os.kill(worker, signal.SIGKILL)
    begun = time.monotonic()
    until(lambda: worker not in gateway.workers() and len(gateway.workers()) == WORKERS, 5.0)
    assert time.monotonic() - begun < 1.5


def slot_of(line: str) -> int:
    return int(line.partition("--slot=")[2].split()[0])


def kill_whoever_sits_at(gateway: GatewayProcess, slot: int, is_over: threading.Event) -> int:
    """As in a crash loop: none of them gets as far as to serve; how many there were."""
    killed: set[int] = set()
    while not is_over.wait(0.01):
        for pid, line in gateway.children().items():
            if " gateway worker " in line and slot_of(line) == slot and pid not in killed:
                os.kill(pid, signal.SIGKILL)
                killed.add(pid)
    return len(killed)


@pytest.mark.parametrize(
    "seconds", [2.0, pytest.param(20.0, marks=[pytest.mark.slow, pytest.mark.timeout(90)])]
)
def test_worker_in_a_crash_loop_is_stood_in_for(gateway: GatewayProcess, seconds: float) -> None:
    is_over = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        killing = pool.submit(kill_whoever_sits_at, gateway, 1, is_over)
        until(lambda: len(gateway.workers()) < WORKERS)
        with Load(gateway.address, RATE_PER_S, keep=0) as load:
            time.sleep(seconds)
        is_over.set()
        assert killing.result() >= 3
    assert set(load.fates()) == {"right"}
    assert max(shot.seconds for shot in load.shots) < 1.0
    until(lambda: gateway.plan_hash() != "", 20.0, gateway.log)


def test_worker_that_hangs_is_stood_in_for(gateway: GatewayProcess) -> None:
    worker = gateway.workers()[0]
    os.kill(worker, signal.SIGSTOP)
    try:
        time.sleep(1.3)
        with Load(gateway.address, RATE_PER_S, keep=0) as load:
            load.await_shots(200)
    finally:
        os.kill(worker, signal.SIGCONT)
    assert set(load.fates()) == {"right"}
    assert max(shot.seconds for shot in load.shots) < 1.0


def test_controller_killed_is_noticed_by_nobody(gateway: GatewayProcess) -> None:
    with Load(gateway.address, RATE_PER_S) as load:
        load.await_shots(50)
        controller = gateway.controller()
        os.kill(controller, signal.SIGKILL)
        load.await_shots(100)
        until(lambda: gateway.controller() != controller, 15.0, gateway.log)
        await_workers(gateway)
    assert set(load.fates()) == {"right"}
    assert load.retried == 0


def is_administered(gateway: GatewayProcess) -> bool:
    """Whether a controller answers that knows all workers."""
    try:
        return gateway.plan_hash() != ""
    except OSError:
        return False


def test_data_port_serves_while_the_controller_is_stopped(gateway: GatewayProcess) -> None:
    """A controller that hangs (SIGSTOP) is worse than a dead one."""
    controller = gateway.controller()
    os.kill(controller, signal.SIGSTOP)
    try:
        with Load(gateway.address, RATE_PER_S) as load:
            load.await_shots(200)
        assert set(load.fates()) == {"right"}
    finally:
        os.kill(controller, signal.SIGCONT)


def test_rolling_restart_is_noticed_by_nobody(gateway: GatewayProcess) -> None:
    before = set(gateway.workers())
    with Load(gateway.address, RATE_PER_S) as load:
        load.await_shots(50)
        gateway.process.send_signal(signal.SIGUSR2)
        until(lambda: is_rolled(gateway, before), 20.0, gateway.log)
        load.await_shots(100)
    assert {fate(shot) for shot in load.shots} == {"right"}


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_five_rolling_restarts_under_20_000_requests_fail_none(
    make_backend: MakeBackend, make_process: MakeProcess
) -> None:
    drain = {"lame_duck": "1s", "hard_stop": "5s"}
    settings = echo_settings(make_backend("echo", plays(echo)), workers=WORKERS, drain=drain)
    gateway = make_process(settings)
    with Load(gateway.address, 2 * RATE_PER_S) as load:
        for _ in range(5):
            before = set(gateway.workers())
            load.await_shots(2000)
            gateway.process.send_signal(signal.SIGUSR2)
            until(lambda before=before: is_rolled(gateway, before), 20.0, gateway.log)  # type: ignore[misc]
            load.await_shots(2000)
    assert len(load.shots) >= 20_000
    assert set(load.fates()) == {"right"}, load.fates()
    assert load.retried == 0, "a kept connection was closed under a request"


def is_rolled(gateway: GatewayProcess, before: set[int]) -> bool:
    now = set(gateway.workers())
    return len(now) == WORKERS and not now & before


def test_restart_after_everything_was_killed_needs_nothing_else(
    make_backend: MakeBackend, make_process: MakeProcess
) -> None:
    """The parent dies with -9: its processes end too, and a new gateway takes the port."""
    settings = echo_settings(make_backend("echo", plays(echo)), workers=WORKERS)
    gateway = make_process(settings)
    children = list(gateway.children())
    gateway.process.kill()
    gateway.process.wait(5)
    until(lambda: not any(is_alive(pid) for pid in children), 20.0)
    gateway.launch()
    until(lambda: gateway.readiness() == 200, 15.0, gateway.log)
    with gateway.connect() as client:
        assert client.request("POST", "/echo", b"x").body == b"x"


def is_alive(pid: int) -> bool:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return False
    return fields[0] not in ("Z", "X")


def test_drain_lets_requests_finish_and_says_that_it_is_not_ready(
    make_backend: MakeBackend, make_process: MakeProcess
) -> None:
    backend = make_backend("echo", slow_echo)
    settings = echo_settings(backend, drain={"lame_duck": "700ms", "hard_stop": "5s"})
    gateway = make_process(settings)
    with gateway.connect() as busy, gateway.connect() as idle:
        assert idle.request("GET", "/readyz").status == 200
        busy.send(request_bytes("POST", "/echo/slow", b"finished"))
        until(lambda: bool(backend.received))
        gateway.process.send_signal(signal.SIGTERM)
        until(lambda: gateway.readiness() == 503, 2.0)
        served = idle.request("POST", "/echo", b"still")
        assert served.body == b"still"
        assert served.header("connection") == "close"
        assert busy.read_response().body == b"finished"
    assert gateway.process.wait(10) == 0


def slow_echo(received: Received) -> Script:
    if received.path == "/echo/slow":
        yield Pause(1.5)
    yield from plays(echo)(received)


def test_stream_gets_its_time_and_then_an_explicit_end(
    make_backend: MakeBackend, make_process: MakeProcess
) -> None:
    backend = make_backend("mini", plays(OpenAIModel("mini", chunks=10_000, gap_s=0.05)))
    gateway = make_process(chat(backend, drain={"lame_duck": "0s", "hard_stop": "1s"}))
    with gateway.connect() as client:
        body = b'{"model": "chat", "messages": [], "stream": true}'
        client.send(request_bytes("POST", "/v1/chat/completions", body))
        until(lambda: not client.is_quiet(0))
        begun = time.monotonic()
        gateway.process.send_signal(signal.SIGTERM)
        data = client.read_to_end(5.0)
    assert 0.8 < time.monotonic() - begun < 3.0
    assert b"[DONE]" not in data
    assert b'"error"' in data[-500:]
    assert not data.endswith(b"0\r\n\r\n") or b'"error"' in data[-400:]
    assert gateway.process.wait(10) == 0
