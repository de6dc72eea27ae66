"""What the machine may lack: descriptors, memory, time. It makes the gateway slow, not wrong."""

from __future__ import annotations

import os
import resource
import signal
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support.answers import echo, plays
from tests.support.fixtures import MakeBackend, MakeProcess
from tests.support.gateway import GatewayProcess
from tests.support.load import Load
from tests.support.raw_client import RawClient, Truncated, request_bytes
from tests.support.script import Pause, Received, Script
from tests.support.settings import echo as echo_settings
from tests.support.waiting import until

FILES = 96


@pytest.fixture
def scarce(make_backend: MakeBackend, make_process: MakeProcess) -> GatewayProcess:
    """A gateway whose processes may open few files."""
    settings = echo_settings(make_backend("echo", plays(echo)))
    return make_process(settings, files=FILES)


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_worker_without_free_descriptors_serves_those_it_has(scarce: GatewayProcess) -> None:
    [worker] = scarce.workers()
    with scarce.connect() as served:
        assert served.request("POST", "/echo", b"before").body == b"before"
        crowd = [RawClient(scarce.address) for _ in range(2 * FILES)]
        for n in range(20):
            assert served.request("POST", "/echo", b"%d" % n).body == b"%d" % n
        begun, used = time.monotonic(), cpu_s(worker)
        until(lambda: time.monotonic() - begun > 0.5)
        assert cpu_s(worker) - used < 0.4, "it turns in circles while it cannot accept"
        for client in crowd:
            client.close()
    assert scarce.workers() == [worker]


def test_worker_recovers_when_descriptors_are_free_again(scarce: GatewayProcess) -> None:
    crowd = [RawClient(scarce.address) for _ in range(2 * FILES)]
    for client in crowd:
        client.close()

    def is_served() -> bool:
        try:
            with scarce.connect(timeout_s=1) as client:
                return client.request("POST", "/echo", b"after").body == b"after"
        except OSError:
            return False

    until(is_served, 10.0, scarce.log)


def test_worker_that_stood_still_for_two_seconds_goes_on(
    make_backend: MakeBackend, make_process: MakeProcess
) -> None:
    """A stopped machine, a long pause: late answers, no wrong ones, no time-outs of its own."""
    gateway = make_process(echo_settings(make_backend("echo", plays(echo))))
    [worker] = gateway.workers()
    with Load(gateway.address, 100.0) as load:
        load.await_shots(30)
        os.kill(worker, signal.SIGSTOP)
        begun = time.monotonic()
        until(lambda: time.monotonic() - begun > 2.0, 5.0)
        os.kill(worker, signal.SIGCONT)
        load.await_shots(100)
    assert set(load.fates()) == {"right"}
    assert gateway.workers() == [worker]


def test_descriptors_and_memory_do_not_grow_with_requests(
    make_backend: MakeBackend, make_process: MakeProcess
) -> None:
    backend = make_backend("echo", plays(echo))
    gateway = make_process(echo_settings(backend, each={"pool": {"idle": 1}}))
    [worker] = gateway.workers()

    def descriptors() -> int:
        return len(list(Path(f"/proc/{worker}/fd").iterdir()))

    def resident() -> int:
        pages = int(Path(f"/proc/{worker}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def some(count: int) -> None:
        with Load(gateway.address, 400.0) as load:
            load.await_shots(count)
        assert set(load.fates()) == {"right"}

    some(400)
    files, memory = descriptors(), resident()
    some(1200)
    until(lambda: descriptors() <= files + 2)
    assert resident() - memory < 4 << 20


def allow_memory(worker: int, more_bytes: int) -> None:
    """Let the process map so much more than it has now, and not a byte beyond."""
    status = Path(f"/proc/{worker}/status").read_text()
    has_bytes = int(status.partition("VmSize:")[2].split()[0]) << 10
    resource.prlimit(worker, resource.RLIMIT_AS, (has_bytes + more_bytes, has_bytes + more_bytes))


def upload(address: tuple[str, int], body: bytes) -> str:
    """A status, or the name of the error that the client saw."""
    try:
        with RawClient(address, timeout_s=5) as client:
            client.send(request_bytes("POST", "/echo/slow", body))
            return str(client.read_response().status)
    except (OSError, Truncated) as error:
        return type(error).__name__


def uploads(gateway: GatewayProcess, count: int, size: int) -> Counter[str]:
    with ThreadPoolExecutor(count) as pool:
        return Counter(pool.map(lambda _n: upload(gateway.address, b"x" * size), range(count)))


def slow_echo(received: Received) -> Script:
    if received.path == "/echo/slow":
        yield Pause(1.0)
    yield from plays(echo)(received)


def test_bodies_beyond_the_configured_memory_are_refused_and_nothing_breaks(
    make_backend: MakeBackend, make_process: MakeProcess
) -> None:
    settings = echo_settings(make_backend("echo", slow_echo), limits={"buffered": "10MiB"})
    gateway = make_process(settings)
    [worker] = gateway.workers()
    allow_memory(worker, 60 << 20)
    begun = time.monotonic()
    found = uploads(gateway, 60, 1_000_000)
    turns = 1 + int(time.monotonic() - begun)  # each second the backend lets go of ten
    assert set(found) == {"200", "503"}
    assert 5 <= found["200"] <= 11 * turns
    assert gateway.workers() == [worker]
    assert "level=error" not in gateway.log()


@pytest.mark.slow
def test_worker_that_runs_out_of_memory_loses_requests_but_not_its_life(
    make_backend: MakeBackend, tmp_path: Path
) -> None:
    """More is configured than the machine has: what cannot be held is broken off."""
    settings = echo_settings(make_backend("echo", slow_echo))
    gateway = GatewayProcess(settings, tmp_path)
    try:
        [worker] = gateway.workers()
        allow_memory(worker, 10 << 20)
        for _ in range(3):
            uploads(gateway, 60, 3_000_000)
            if "MemoryError" in gateway.log():
                break
        with gateway.connect() as client:
            assert client.request("POST", "/echo", b"after").body == b"after"
        assert gateway.workers() == [worker]
        assert "MemoryError" in gateway.log()
    finally:
        gateway.process.send_signal(signal.SIGTERM)  # not `stop`: its log holds tracebacks
        assert gateway.process.wait(20) == 0
