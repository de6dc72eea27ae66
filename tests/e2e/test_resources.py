"""What the machine may lack: descriptors, time. Little of it makes the gateway slow, not wrong."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from tests.support.answers import echo, plays
from tests.support.fixtures import MakeBackend, MakeProcess
from tests.support.gateway import GatewayProcess
from tests.support.load import Load
from tests.support.raw_client import RawClient
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
