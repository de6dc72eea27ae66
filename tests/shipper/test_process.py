"""The shipper as the supervisor starts it: configuration, locks, signals, sentences."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway.compiler import compile_plan
from gateway.config import parse
from gateway.log.figures import FILE_NAME, LogFigures, SinkFigures, read_figures
from gateway.messages import Delivery
from gateway.offers import keep_offer, offer_of
from gateway.run.child import ShipperPost, command
from tests.shipper.segments import SegmentWriter
from tests.support.waiting import until

ROOT = Path(__file__).parents[2]
PATIENCE_S = 15.0

pytestmark = pytest.mark.e2e


class Rig:
    """A state directory, an offer in it, and shippers."""

    def __init__(self, state: Path) -> None:
        self.state, self.log = state, state / "log"
        (state / "run").mkdir(parents=True)
        self.plan = state / "run" / "plan"
        self.generation = 0
        self.output = state / "stdout"

    def offer(self, **log: Any) -> None:
        self.generation += 1
        settings = {
            "state": str(self.state),
            "workers": 1,
            "backends": {"b": {"protocol": "openai", "url": "http://127.0.0.1:9/v1"}},
            "routes": {"chat": {"backends": ["b"]}},
            "log": {"store": {"enabled": False}, **log},
        }
        document = parse(json.dumps(settings), {})
        plan = compile_plan(document)
        keep_offer(self.plan, offer_of(document, plan, self.generation, Delivery()))

    def start(self) -> subprocess.Popen[bytes]:
        post = ShipperPost(
            ready=os.open(os.devnull, os.O_WRONLY),
            plan=self.plan,
            supervisor=os.getpid(),
            log_format="text",
            log_level="info",
        )
        os.set_inheritable(post.ready, True)
        with self.output.open("ab") as output:
            process = subprocess.Popen(
                command(post),
                stdout=output,
                stderr=subprocess.PIPE,
                pass_fds=(post.ready,),
                cwd=ROOT,
            )
        os.close(post.ready)
        return process

    @contextlib.contextmanager
    def running(self) -> Iterator[subprocess.Popen[bytes]]:
        with self.start() as process:
            try:
                until(lambda: self.figures() is not None, PATIENCE_S)
                yield process
                process.send_signal(signal.SIGTERM)
                assert process.wait(PATIENCE_S) == 0
            finally:
                process.kill()

    def figures(self) -> LogFigures | None:
        return read_figures(self.plan.with_name(FILE_NAME), time.time())

    def sink(self, name: str) -> SinkFigures | None:
        figures = self.figures()
        return (
            next((sink for sink in figures.sinks if sink.name == name), None) if figures else None
        )

    def printed(self) -> list[int]:
        lines = self.output.read_bytes().splitlines() if self.output.exists() else []
        return [msgspec.json.decode(line)["seq"] for line in lines]


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path / "state")


def appended(writer: SegmentWriter, count: int) -> SegmentWriter:
    for _ in range(count):
        writer.append()
    return writer


def test_records_are_shipped_and_the_end_ships_the_rest(rig: Rig) -> None:
    rig.offer(stdout=True)
    with rig.running():
        writer = appended(SegmentWriter(rig.log), 20)
        until(lambda: len(rig.printed()) == 20, PATIENCE_S)
        appended(writer, 5).close()
    assert rig.printed() == list(range(1, 26))


def test_configuration_is_followed(rig: Rig) -> None:
    rig.offer(stdout=True)
    with rig.running():
        writer = appended(SegmentWriter(rig.log), 5)
        until(lambda: len(rig.printed()) == 5, PATIENCE_S)
        rig.offer(objects={"url": f"file://{rig.state}/objects"})
        until(lambda: rig.sink("objects") and not rig.sink("stdout"), PATIENCE_S)
        appended(writer, 5).close()
        until(lambda: list((rig.state / "objects").rglob("*.zst")), PATIENCE_S)
    assert rig.printed() == [1, 2, 3, 4, 5]


def test_sink_that_cannot_be_made_is_told_and_nothing_else_suffers(rig: Rig) -> None:
    rig.offer(stdout=True, objects={"url": "gopher://nowhere"})
    with rig.running() as process:
        appended(SegmentWriter(rig.log), 5).close()
        until(lambda: len(rig.printed()) == 5, PATIENCE_S)
        until(lambda: (sink := rig.sink("objects")) and sink.failures, PATIENCE_S)
        objects = rig.sink("objects")
        assert objects is not None
        assert objects.error.startswith("the sink objects cannot be used: cannot use")
        assert objects.waiting == 5
        assert process.poll() is None


def test_second_shipper_says_so_and_ends(rig: Rig) -> None:
    rig.offer(stdout=True)
    with rig.running(), rig.start() as second:
        _, errors = second.communicate(timeout=PATIENCE_S)
        assert second.returncode == 1
        (line,) = errors.decode().splitlines()
        assert "shipper cannot start: another shipper is at work in" in line


def test_directory_that_cannot_be_written_is_one_sentence(rig: Rig) -> None:
    rig.offer(stdout=True)
    rig.log.touch()
    with rig.start() as process:
        _, errors = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 1
    (line,) = errors.decode().splitlines()
    assert "shipper cannot start: cannot write to" in line
    assert "Not a directory" in line


def test_offer_that_is_damaged_is_one_sentence(rig: Rig) -> None:
    rig.plan.write_bytes(b"\xc1")
    with rig.start() as process:
        _, errors = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 1
    assert errors.count(b"\n") == 1
