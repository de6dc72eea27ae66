"""One sink with all that belongs to it: retries, checkpoints, what is told."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.log.sealer import Sealer
from gateway.shipper import outlet as module
from gateway.shipper.checkpoint import CheckpointError
from gateway.shipper.outlet import Outlet, pause_after
from gateway.shipper.shelf import Surveyor
from gateway.shipper.sink import Batch
from tests.shipper.segments import SegmentWriter
from tests.shipper.sinks import MemorySink


@pytest.fixture(autouse=True)
def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FIRST_PAUSE_S", 0.005)
    monkeypatch.setattr(module, "LONGEST_PAUSE_S", 0.02)
    monkeypatch.setattr(module, "SAVE_EVERY_S", 0.01)


class Rig:
    def __init__(self, root: Path, sink: MemorySink, *, ended_after_s: float = 600.0) -> None:
        self.log, self.sink = root / "log", sink
        self.writer = SegmentWriter(self.log, segment_bytes=4096)
        self.surveyor = Surveyor(self.log)
        self.ended_after_s = ended_after_s
        self.outlet = self.make()

    def make(self) -> Outlet:
        return Outlet(self.sink, self.log / "shipper", ended_after_s=self.ended_after_s)

    def append(self, count: int) -> None:
        for _ in range(count):
            self.writer.append()

    def look(self) -> None:
        Sealer(self.log).seal_ready()
        self.outlet.show(self.surveyor.look())

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.outlet.run())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def until_done(self) -> None:
        self.look()
        async with asyncio.timeout(5):
            while not self.outlet.is_done:
                await asyncio.sleep(0.005)


async def test_what_was_acknowledged_is_saved_and_not_sent_again(tmp_path: Path) -> None:
    rig = Rig(tmp_path, MemorySink())
    rig.append(20)
    async with rig.running():
        await rig.until_done()
    rig.outlet = rig.make()
    rig.append(5)
    async with rig.running():
        await rig.until_done()
    assert rig.sink.lines[rig.writer.stream] == list(range(1, 26))


async def test_failing_sink_is_offered_the_same_batch_until_it_takes_it(tmp_path: Path) -> None:
    sink = MemorySink()
    sink.failing = "no broker answers"
    rig = Rig(tmp_path, sink)
    rig.append(5)
    async with rig.running():
        rig.look()
        figures = rig.outlet.figures(time.time())
        async with asyncio.timeout(10):
            while figures.failures <= 3 or figures.lag_s <= 0.05:
                await asyncio.sleep(0.01)
                figures = rig.outlet.figures(time.time())
        assert figures.error == "no broker answers"
        assert figures.failures == figures.retries + 1 or figures.failures == figures.retries
        assert figures.waiting == 5
        assert figures.lag_s < 5
        rig.append(5)  # comes after
        sink.failing = None
        await rig.until_done()
    tried: list[Batch] = [batch for batch in sink.tried if batch.first_seq == 1]
    assert all(batch is tried[0] for batch in tried)
    assert sink.lines[rig.writer.stream] == list(range(1, 11))
    figures = rig.outlet.figures(time.time())
    assert (figures.failures, figures.error, figures.lag_s) == (0, "", 0.0)


async def test_failure_is_told_once_and_its_end_too(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sink = MemorySink()
    sink.failing = "the password=hunter22 is wrong"
    rig = Rig(tmp_path, sink)
    rig.append(1)
    with caplog.at_level("INFO"):
        async with rig.running():
            rig.look()
            await asyncio.sleep(0.06)
            sink.failing = None
            await rig.until_done()
    assert [record.message for record in caplog.records] == [
        "sink does not take records: the password=[redacted] is wrong",
        "sink takes records again",
    ]


async def test_defect_of_a_sink_is_logged_and_retried(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Defective(MemorySink):
        async def deliver(self, batch: Batch) -> None:
            if len(self.tried) < 3:
                self.tried.append(batch)
                raise ZeroDivisionError
            await super().deliver(batch)

    rig = Rig(tmp_path, Defective())
    rig.append(3)
    async with rig.running():
        await rig.until_done()
    assert rig.sink.lines[rig.writer.stream] == [1, 2, 3]
    assert sum("ZeroDivisionError" in (record.exc_text or "") for record in caplog.records) == 1


async def test_dropped_segment_is_not_offered_any_more(tmp_path: Path) -> None:
    sink = MemorySink(sealed_only=True)
    sink.failing = "away"
    rig = Rig(tmp_path, sink)
    rig.append(60)
    rig.look()
    first, *_ = rig.surveyor.look().streams[rig.writer.stream]
    async with rig.running():
        await asyncio.sleep(0.03)
        first.path.unlink()
        sink.failing = None
        rig.writer.close()
        await rig.until_done()
    figures = rig.outlet.figures(time.time())
    gone = first.extent.last_seq
    assert (figures.appended, figures.shipped, figures.dropped) == (60, 60 - gone, gone)
    assert sink.lines[rig.writer.stream][0] == gone + 1


async def test_segment_that_went_behind_the_picture_does_not_stop_the_loop(tmp_path: Path) -> None:
    """The picture still has it; the next one can only come if the loop goes on."""
    rig = Rig(tmp_path, MemorySink(sealed_only=True))
    rig.append(60)
    rig.look()
    first, *_ = rig.surveyor.look().streams[rig.writer.stream]
    first.path.unlink()
    async with rig.running():
        await asyncio.sleep(0.05)
        assert rig.sink.tried == []
        rig.writer.close()
        await rig.until_done()
    assert rig.sink.count == 60 - first.extent.last_seq


async def test_checkpoint_that_cannot_be_written_does_not_stop_delivery(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = Rig(tmp_path, MemorySink())

    def full(_checkpoints: object) -> None:
        raise CheckpointError("cannot write checkpoints: No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(rig.outlet._checkpoints, "save", full)
        async with rig.running():
            rig.append(5)
            rig.look()
            async with asyncio.timeout(5):
                while rig.sink.count < 5 or not rig.outlet.figures(0.0).error:
                    await asyncio.sleep(0.005)
    assert rig.outlet.saved == {}
    assert not rig.outlet.is_done
    assert "No space left" in rig.outlet.figures(time.time()).error
    await rig.outlet.close(1.0)
    assert rig.outlet.figures(time.time()).error == ""
    assert rig.outlet.saved[rig.writer.stream].shipped == 5
    assert rig.sink.is_closed


async def test_stream_that_ended_is_added_up(tmp_path: Path) -> None:
    rig = Rig(tmp_path, MemorySink(), ended_after_s=0.05)
    rig.append(7)
    rig.writer.close()
    async with rig.running():
        await rig.until_done()
        for path in rig.log.glob("w*.ndjson"):
            path.unlink()
        async with asyncio.timeout(5):
            while not rig.outlet.ended.shipped:
                rig.look()
                await asyncio.sleep(0.01)
    assert rig.outlet.saved == {}
    for outlet in (rig.outlet, rig.make()):
        figures = outlet.figures(time.time())
        assert (figures.appended, figures.shipped, figures.waiting) == (7, 7, 0)


async def test_small_amounts_are_let_gather(tmp_path: Path) -> None:
    """A line every moment is not a batch every line."""
    sink = MemorySink()
    sink.linger_s = 0.05
    rig = Rig(tmp_path, sink)
    async with rig.running():
        for _ in range(100):
            rig.append(1)
            rig.look()
            await asyncio.sleep(0.002)
        await rig.until_done()
    assert sink.count == 100
    assert len(sink.batches) < 20


async def test_what_cannot_grow_is_not_waited_for(tmp_path: Path) -> None:
    sink = MemorySink()
    sink.batch_bytes, sink.linger_s = 1 << 20, 0.2
    rig = Rig(tmp_path, sink)
    rig.append(200)  # in many segments of 4 KiB
    async with rig.running():
        began_s = time.monotonic()
        await rig.until_done()
    assert sink.count == 200
    assert len(sink.batches) > 10
    assert time.monotonic() - began_s < 1.5


def test_pauses_grow_and_are_bounded() -> None:
    assert 0.0025 <= pause_after(1) <= 0.005
    assert 0.01 <= pause_after(1_000_000) <= 0.02
