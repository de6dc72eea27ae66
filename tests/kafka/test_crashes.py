"""`kill -9` of writers, shipper and broker at random moments, the checkpoints lost on the way.

Everything from segments on disk to what a plain consumer reads: nothing lost, first
appearances in order, balance exact.
"""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import signal
import struct
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway.config.units import Duration
from gateway.log.figures import LogFigures, read_figures
from gateway.shipper.kafka import KafkaSink
from gateway.shipper.shipper import DIRECTORY, Shipper, sole
from tests.kafka.lines import SECOND, consume, ids, settings
from tests.shipper.processes import HURRY, RULES, Child, KillableWriter
from tests.shipper.segments import SegmentWriter
from tests.support.kafka import new_topic
from tests.support.kafka_broker import Broker
from tests.support.waiting import until

ROUNDS = 200 if os.environ.get("RUN_SLOW") else 0
LAST_S = 60.0  # for what is left at the end

pytestmark = [pytest.mark.slow, pytest.mark.timeout(2400 if os.environ.get("RUN_SLOW") else 120)]


class SteadyWriter(KillableWriter):
    """Some two thousand records a second, so that a broker keeps up with two of them."""

    def _write(self, directory: Path, prefix: str, segment_bytes: int) -> None:
        writer = SegmentWriter(directory, prefix, segment_bytes)
        self._shared[16 : 16 + len(writer.stream)] = writer.stream.encode()
        while True:
            self._shared[:8] = struct.pack("<Q", writer.append())
            time.sleep(0.0004)


class Campaign:
    """A directory with two writers, a shipper and a broker, each started again when killed."""

    def __init__(self, root: Path, broker: Broker, chance: random.Random) -> None:
        self.directory, self.figures = root / "log", root / "figures.json"
        self.directory.mkdir(mode=0o700)
        self.topic, self.broker, self.chance = new_topic(), broker, chance
        self.appended: dict[str, int] = {}
        self._writers = [self._writer(slot) for slot in range(2)]
        self._shipper = self._start_shipper()

    def round(self, victim: str) -> None:
        """Let them work for a moment, then kill one of them."""
        time.sleep(self.chance.uniform(0.0, 0.3))
        if victim == "writer":
            slot = self.chance.randrange(2)
            self._end(self._writers[slot])
            self._writers[slot] = self._writer(slot)
        elif victim == "broker":
            self.broker.kill()
            time.sleep(self.chance.uniform(0.0, 0.5))
            self.broker.start()
        else:
            self._shipper.kill()
            if victim == "checkpoints":
                shutil.rmtree(self.directory / DIRECTORY / "kafka", ignore_errors=True)
            self._shipper = self._start_shipper()

    def finish(self) -> LogFigures:
        """End the writers as `kill -9` does, the shipper in good order; its last figures."""
        for writer in self._writers:
            self._end(writer)
        time.sleep(0.5)  # for the shipper to hear a signal at all
        assert self._shipper.kill(signal.SIGTERM) == 0
        figures = read_figures(self.figures, time.time())
        assert figures is not None
        return figures

    def stop(self) -> None:
        for child in (self._shipper, *(writer.child for writer in self._writers)):
            child.kill()

    def _writer(self, slot: int) -> KillableWriter:
        return SteadyWriter(self.directory, f"w{slot}")

    def _end(self, writer: KillableWriter) -> None:
        until(lambda: writer.appended, 10)
        writer.child.kill()
        self.appended[writer.stream] = writer.appended

    def _start_shipper(self) -> Child:
        return Child(lambda: asyncio.run(self._ship()))

    async def _ship(self) -> None:
        ended = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
        timeout, linger = Duration(3 * SECOND), Duration(SECOND // 100)
        config = settings(self.broker.bootstrap, self.topic, timeout=timeout, linger=linger)
        with sole(self.directory):
            shipper = Shipper(self.directory, RULES, figures=self.figures, pace=HURRY)
            await shipper.use({"kafka": KafkaSink(config, "g", self.directory)})
            await shipper.run(ended, LAST_S)
            await shipper.close()


def assert_nothing_is_lost(messages: list[Any], appended: dict[str, int]) -> int:
    """Every stream is there from its first to its last line; how many lines that are."""
    found: dict[str, dict[int, list[int]]] = defaultdict(lambda: defaultdict(list))
    for message in messages:
        line = msgspec.json.decode(message.value)
        found[line["stream"]][message.partition].append(line["seq"])
    assert found.keys() == appended.keys()
    count = 0
    for stream, partitions in found.items():
        firsts = [list(dict.fromkeys(seqs)) for seqs in partitions.values()]
        assert all(seqs == sorted(seqs) for seqs in firsts), stream
        everything = sorted(seq for seqs in firsts for seq in seqs)
        # Why one more: a writer may have been killed before it could say so.
        assert len(everything) in {appended[stream], appended[stream] + 1}
        assert everything == list(range(1, len(everything) + 1))
        count += len(everything)
    assert len(set(ids(messages))) == count
    return count


@pytest.mark.parametrize(
    "victims",
    [
        ["broker", "shipper", "writer", "shipper", "writer"],
        ["broker", "shipper", "checkpoints", "writer"],
    ],
    ids=["checkpoints_kept", "checkpoints_lost"],
)
def test_nothing_is_lost_whoever_is_killed(
    killable_kafka: Broker, tmp_path: Path, victims: list[str]
) -> None:
    seed = random.randrange(2**32)
    chance = random.Random(seed)
    order = victims + chance.choices(victims, k=ROUNDS)
    chance.shuffle(order)
    campaign = Campaign(tmp_path, killable_kafka, chance)
    try:
        for victim in order:
            campaign.round(victim)
        figures = campaign.finish()
    finally:
        campaign.stop()
    messages = asyncio.run(consume(killable_kafka.bootstrap, campaign.topic))
    count = assert_nothing_is_lost(messages, campaign.appended)
    (sink,) = figures.sinks
    assert (sink.waiting, sink.dropped) == (0, 0), f"seed {seed}"
    assert sink.shipped == sink.appended, f"seed {seed}"
    # Why not more: what was delivered and removed before a checkpoint was lost is neither.
    assert sink.shipped == count or ("checkpoints" in order and sink.shipped < count)
