"""Readings of a shipper that is none: a process that sleeps or does not, and a file of figures."""

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from bench.load import shipper
from bench.load.peers import PEERS
from bench.load.rig import Running, Unavailable
from bench.load.shipper import Shipper
from gateway.log.figures import FILE_NAME, LogFigures, SinkFigures, write_figures

SLEEP, WORK = ["sleep", "20"], [sys.executable, "-c", "while True: pass"]
SINK = SinkFigures(
    name="store",
    appended=0,
    shipped=0,
    waiting=0,
    dropped=0,
    waiting_bytes=0,
    lag_s=0,
    failures=0,
    retries=0,
    dead_letters=0,
    damaged_lines=0,
    error="",
    error_at_s=0,
)


class Log:
    """A log whose figures are written ten times a second."""

    def __init__(self, state: Path) -> None:
        self.file = state / "run" / FILE_NAME
        self.file.parent.mkdir(parents=True)
        self.appended = 0
        self.sinks: tuple[SinkFigures, ...] = (SINK,)
        self.is_over = False

    def write(self) -> None:
        zeros: dict[str, Any] = dict.fromkeys(LogFigures.__struct_fields__, 0)
        fixed = {"at_s": time.time(), "appended": self.appended, "sinks": self.sinks, "error": ""}
        write_figures(self.file, LogFigures(**(zeros | fixed)))

    def go_on(self) -> None:
        while not self.is_over:
            self.write()
            time.sleep(0.1)


@contextmanager
def going_on(log: Log) -> Iterator[None]:
    log.write()
    thread = threading.Thread(target=log.go_on)
    thread.start()
    try:
        yield
    finally:
        log.is_over = True
        thread.join()


@contextmanager
def running(command: list[str], scratch: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    made = Running(peer=PEERS["gateway"], pid=1, port=1, stream_port=1, scratch=scratch)
    with subprocess.Popen(command) as process:
        monkeypatch.setattr(Running, "shipper_pids", lambda _: [process.pid])
        try:
            yield made, process
        finally:
            process.kill()


def test_what_was_shipped_since_is_told_when_the_shipper_rests(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = Log(tmp_path / "state")
    log.appended, log.sinks = 100, (replace(SINK, shipped=90, dropped=1),)
    with running(SLEEP, tmp_path, monkeypatch) as (proxy, _), going_on(log):
        reader = Shipper(proxy)
        log.appended = 700
        log.sinks = (replace(SINK, shipped=590, dropped=3), replace(SINK, name="b", shipped=580))
        found = reader.shipping()
    assert found is not None
    assert (found.appended, found.shipped, found.dropped) == (600, 490, 2)
    assert found.sinks == ("store", "b")
    assert not found.unsettled
    assert 0 <= found.cpu_us < 50_000


def test_a_shipper_that_works_on_and_on_is_not_waited_for_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shipper, "PATIENCE_S", 0.6)
    monkeypatch.setattr(shipper, "CALM_SHARE", 0.001)
    log = Log(tmp_path / "state")
    with running(WORK, tmp_path, monkeypatch) as (proxy, _), going_on(log):
        found = Shipper(proxy).shipping()
    assert found is not None
    assert found.unsettled
    assert found.cpu_us > 0


def test_a_shipper_that_died_is_not_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shipper, "LOOK_S", 0.01)
    log = Log(tmp_path / "state")
    with running(WORK, tmp_path, monkeypatch) as (proxy, process), going_on(log):
        reader = Shipper(proxy)
        time.sleep(0.05)
        reader.before_us = reader.cpu_us()
        process.kill()
        process.wait()
        with pytest.raises(Unavailable, match="died"):
            reader.shipping()


def test_figures_that_are_not_renewed_are_not_taken_for_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shipper, "PATIENCE_S", 0.2)
    log = Log(tmp_path / "state")
    log.write()
    with (
        running(SLEEP, tmp_path, monkeypatch) as (proxy, _),
        pytest.raises(Unavailable, match="says nothing"),
    ):
        Shipper(proxy)


def test_a_proxy_without_a_shipper_ships_nothing() -> None:
    assert Shipper(None).shipping() is None
