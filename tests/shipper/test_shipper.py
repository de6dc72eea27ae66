"""All sinks together: independence, quota, the end, and one shipper a directory."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.log.figures import SinkFigures, read_figures
from gateway.log.verify import verify
from gateway.shipper.shipper import Shipper, ShipperError, sole
from gateway.shipper.upkeep import Rules
from tests.shipper.processes import HURRY, RULES
from tests.shipper.segments import SegmentWriter
from tests.shipper.sinks import MemorySink


class Rig:
    def __init__(self, root: Path, rules: Rules = RULES) -> None:
        self.log, self.file = root / "log", root / "figures.json"
        self.writer = SegmentWriter(self.log, segment_bytes=4096)
        self.shipper = Shipper(self.log, rules, figures=self.file, pace=HURRY)

    def append(self, count: int) -> None:
        for _ in range(count):
            self.writer.append()

    def figures(self, name: str) -> SinkFigures:
        return next(sink for sink in self.shipper.figures().sinks if sink.name == name)

    @contextlib.asynccontextmanager
    async def running(self, *sinks: MemorySink, flush_s: float = 5.0) -> AsyncIterator[None]:
        ended = asyncio.Event()
        await self.shipper.use({sink.name: sink for sink in sinks})
        task = asyncio.create_task(self.shipper.run(ended, flush_s))
        try:
            yield
        finally:
            ended.set()
            await task
            await self.shipper.close()


async def until(holds: object, timeout_s: float = 5.0) -> None:
    assert callable(holds)
    async with asyncio.timeout(timeout_s):
        while not holds():
            await asyncio.sleep(0.005)


async def test_dead_sink_does_not_hold_another(tmp_path: Path) -> None:
    rig, dead, alive = Rig(tmp_path), MemorySink("kafka"), MemorySink("store", sealed_only=True)
    dead.failing = "away"
    async with rig.running(dead, alive, flush_s=0.05):
        rig.append(60)
        rig.writer.roll()
        await until(lambda: alive.count == 60)
        await until(lambda: rig.figures("kafka").waiting == 60)
        assert list(rig.log.glob("w*.ndjson"))  # kept for the dead one
        dead.failing = None
        await until(lambda: dead.count == 60)
        await until(lambda: not list(rig.log.glob("w*.ndjson")))


async def test_sink_that_hangs_does_not_hold_another(tmp_path: Path) -> None:
    class Hanging(MemorySink):
        async def deliver(self, batch: object) -> None:
            await asyncio.Event().wait()

    rig, alive = Rig(tmp_path), MemorySink("store", sealed_only=True)
    async with rig.running(Hanging("kafka"), alive, flush_s=0.05):
        rig.append(60)
        rig.writer.close()
        await until(lambda: alive.count == 60)


async def test_oldest_segments_are_dropped_when_there_is_no_room(tmp_path: Path) -> None:
    rules = Rules(max_bytes=40_000, drops_oldest=True)
    rig, dead = Rig(tmp_path, rules), MemorySink("kafka")
    dead.failing = "away"
    async with rig.running(dead, flush_s=0.05):
        for _ in range(20):
            rig.append(20)
            await asyncio.sleep(0.02)
        await until(lambda: rig.shipper.figures().segment_bytes <= 40_000)
        kafka = rig.figures("kafka")
        assert kafka.dropped > 200
        assert (kafka.appended, kafka.shipped) == (400, 0)
        dead.failing = None
        rig.writer.close()
        await until(lambda: rig.figures("kafka").waiting == 0)
        kafka = rig.figures("kafka")
    assert kafka.shipped == dead.count
    assert kafka.dropped == 400 - dead.count
    assert verify(rig.log, None).findings == ()


async def test_nothing_is_dropped_where_requests_are_shed_instead(tmp_path: Path) -> None:
    rig, dead = Rig(tmp_path, Rules(max_bytes=4000, drops_oldest=False)), MemorySink("kafka")
    dead.failing = "away"
    async with rig.running(dead, flush_s=0.0):
        rig.append(100)
        await until(lambda: rig.figures("kafka").waiting == 100)
        await asyncio.sleep(0.05)
        assert rig.figures("kafka").dropped == 0


async def test_end_ships_what_was_written_last(tmp_path: Path) -> None:
    rig, lines, segments = Rig(tmp_path), MemorySink("kafka"), MemorySink("store", sealed_only=True)
    async with rig.running(lines, segments):
        await asyncio.sleep(0.05)
        rig.append(30)
        rig.writer.close()
    assert (lines.count, segments.count) == (30, 30)
    assert lines.is_closed
    figures = read_figures(rig.file, 0.0)
    assert figures is not None
    assert {sink.waiting for sink in figures.sinks} == {0}


async def test_end_is_bounded(tmp_path: Path) -> None:
    rig, dead = Rig(tmp_path), MemorySink("kafka")
    dead.failing = "away"
    async with asyncio.timeout(2):
        async with rig.running(dead, flush_s=0.1):
            rig.append(30)
            await asyncio.sleep(0.05)


async def test_end_finds_out_at_once_whether_a_sink_is_back(tmp_path: Path) -> None:
    """It had failed for so long that the next try was far off."""
    rig, away = Rig(tmp_path), MemorySink("kafka")
    away.failing = "away"
    async with rig.running(away, flush_s=1.0):
        rig.append(30)
        rig.writer.close()
        await until(lambda: rig.figures("kafka").failures >= 5)
        away.failing = None
    assert away.count == 30
    figures = read_figures(rig.file, 0.0)
    assert figures is not None
    assert figures.sinks[0].waiting == 0


async def test_sinks_come_and_go_while_it_runs(tmp_path: Path) -> None:
    rig, first, second = Rig(tmp_path), MemorySink("kafka"), MemorySink("stdout")
    async with rig.running(first):
        rig.append(5)
        await until(lambda: first.count == 5)
        await rig.shipper.use({"stdout": second}, kept=frozenset({"kafka"}))
        rig.append(5)
        await until(lambda: first.count == second.count == 10)
        await rig.shipper.use({}, kept=frozenset({"stdout"}))
        assert first.is_closed
        rig.append(5)
        await until(lambda: second.count == 15)
        again = MemorySink("kafka")
        await rig.shipper.use({"kafka": again}, kept=frozenset({"stdout"}))
        await until(lambda: again.count == 5)  # from its checkpoint on
        assert again.lines[rig.writer.stream] == list(range(11, 16))


async def test_nothing_is_removed_while_a_sink_is_replaced(tmp_path: Path) -> None:
    """Another password for Kafka, say: the store had everything long ago."""

    class SlowToClose(MemorySink):
        async def close(self, deadline_s: float) -> None:
            await asyncio.sleep(0.2)

    rig, store = Rig(tmp_path), MemorySink("store", sealed_only=True)
    refused, taken = SlowToClose("kafka"), MemorySink("kafka")
    refused.failing = "wrong password"
    async with rig.running(refused, store):
        rig.append(60)
        rig.writer.close()
        await until(lambda: store.count == 60)
        await asyncio.sleep(0.3)  # until its checkpoint says so
        await rig.shipper.use({"kafka": taken}, kept=frozenset({"store"}))
        await until(lambda: rig.figures("kafka").waiting == 0)
        kafka = rig.figures("kafka")
    assert (kafka.appended, kafka.shipped, kafka.dropped) == (60, 60, 0)
    assert taken.count == 60


async def test_without_a_sink_records_stay(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    async with rig.running():
        rig.append(60)
        rig.writer.close()
        await until(lambda: rig.shipper.figures().sealed_segments)
    assert list(rig.log.glob("w*.ndjson"))


async def test_figures_that_cannot_be_written_are_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rig = Rig(tmp_path)
    rig.file.mkdir()
    async with rig.running():
        await until(lambda: "figures.json" in rig.shipper.figures().error)
    assert sum("cannot write" in record.message for record in caplog.records) == 1


def test_second_shipper_of_a_directory_says_so(tmp_path: Path) -> None:
    with sole(tmp_path), pytest.raises(ShipperError, match="another shipper is at work in"):
        sole(tmp_path).__enter__()
    with sole(tmp_path):
        pass


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_directory_that_is_read_only_is_one_sentence(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(ShipperError, match=r"cannot write to .*: Permission denied"):
        sole(tmp_path).__enter__()


def test_directory_that_is_none_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "log").touch()
    with pytest.raises(ShipperError, match=r"cannot write to .*/log/shipper: Not a directory"):
        sole(tmp_path / "log").__enter__()


def test_figures_that_are_old_are_none(tmp_path: Path) -> None:
    assert read_figures(tmp_path / "nothing", 0.0) is None
    (tmp_path / "torn").write_bytes(b'{"at_s":1')
    assert read_figures(tmp_path / "torn", 0.0) is None
