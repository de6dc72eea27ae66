"""Members of the watching group are killed, frozen, ended and added under load.

Whatever happens, what is kept is what a single pass over the topic counts (issue: "consumers
killed and added under load: counts equal to a single pass over the topic").
"""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections import defaultdict
from pathlib import Path

import pytest

from gateway.config.recording import Kafka, KafkaCreate
from gateway.config.units import Duration
from gateway.profiles.recorded import from_lines
from gateway.shipper.kafka import KafkaSink
from gateway.watch.basis import Basis
from gateway.watch.changes import Changes
from gateway.watch.group.state_topic import Kept
from gateway.watch.tally import Tally
from tests.kafka.lines import SECOND, batch_of, consume, deliver, record, settings
from tests.kafka.members import Process, caught_up, kept_of
from tests.shipper.processes import Child
from tests.support.kafka import new_topic
from tests.support.kafka_broker import Address, Broker

IS_LONG = bool(os.environ.get("RUN_SLOW"))
ROUNDS = 80 if IS_LONG else 7
LAST_S = 90.0  # to catch up at the end
BATCH = 40  # lines
STREAMS = 3

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800 if IS_LONG else 150)]


class Feed:
    """Lines of several streams as the shipper sends them: batches, some of them twice."""

    def __init__(self, config: Kafka, folder: Path, seed: int, seconds: float) -> None:
        self._chance, self._seconds = random.Random(seed), seconds
        self.child = Child(lambda: asyncio.run(self._send(config, folder)))

    async def _send(self, config: Kafka, folder: Path) -> None:
        sink = KafkaSink(config, "g", folder)
        sent = dict.fromkeys((f"w{at}-00000000000000aa" for at in range(STREAMS)), 0)
        ends = time.monotonic() + self._seconds
        while time.monotonic() < ends:
            stream = self._chance.choice(list(sent))
            first = sent[stream] + 1
            lines = [line_of(seq, stream) for seq in range(first, first + BATCH)]
            batch = batch_of(lines, first, stream)
            for _again in range(self._chance.choice((1, 1, 1, 2))):
                await deliver(sink, batch)
            sent[stream] += BATCH
            await asyncio.sleep(0.005)
        await sink.close(2.0)


class Campaign:
    """Two to four members, and what happens to them."""

    def __init__(self, config: Kafka, chance: random.Random, broker: Broker | None = None) -> None:
        """`broker` is killed, too, where it is given."""
        self._config, self._chance, self._broker = config, chance, broker
        self._victims = ["kill", "kill", "end", "add", "freeze"] + ["broker"] * bool(broker)
        self._members = [Process(config, counting), Process(config, counting)]

    def round(self) -> None:
        time.sleep(self._chance.uniform(0.1, 1.2))
        victim = self._chance.choice(self._members)
        what = self._chance.choice(self._victims)
        if what == "broker" and self._broker is not None:
            self._broker.kill()
            time.sleep(self._chance.uniform(0.0, 1.0))
            self._broker.start()
        elif what == "freeze":
            victim.freeze()
            time.sleep(self._chance.uniform(0.1, 3.0))
            victim.thaw()
        elif what == "add" and len(self._members) < 4:
            self._members.append(Process(self._config, counting))
        else:
            self._members.remove(victim)
            if what == "end":
                assert victim.end() == 0
            else:
                victim.kill()
            if len(self._members) < 2:
                self._members.append(Process(self._config, counting))

    def finish(self) -> dict[int, Kept]:
        """Wait until all is counted; every member ends in good order."""
        asyncio.run(caught_up(self._config, LAST_S))
        for member in self._members:
            assert member.end() == 0
        self._members = []
        return asyncio.run(kept_of(self._config))

    def stop(self) -> None:
        for member in self._members:
            member.kill()


def line_of(seq: int, stream: str) -> bytes:
    """A record with a number and a category, 200 of a stream in a minute."""
    day, minute = divmod(seq // 200, 1440)
    hour, minute = divmod(minute, 60)
    return record(
        seq,
        stream=stream,
        time=f"2026-11-{1 + day:02d}T{hour:02d}:{minute:02d}:00.500000Z",
        finish_reason=("stop", "length", "tool_calls")[seq % 3],
    )


def counting() -> Tally:
    """On the duration and the finish reason."""
    lines = [line_of(seq, "w9-00000000000000aa") for seq in range(1, 2000, 7)]
    signals = ("/timing/total_us", "/finish_reason")
    reference = from_lines(lines, "chat", signals=signals)
    basis = Basis(name=reference.hash, route="chat", origin="training", reference=reference)
    return Tally([basis])


def single_pass(config: Kafka) -> dict[int, Changes]:
    """By partition: what one tally keeps that is given each message in its order, once."""
    by_partition: dict[int, list[bytes]] = defaultdict(list)
    for message in asyncio.run(consume(config.bootstrap, config.topic)):
        by_partition[message.partition].append(message.value + b"\n")
    found = {}
    for partition, lines in by_partition.items():
        tally = counting()
        tally.count(b"".join(lines), int(time.time()) // 60)
        found[partition] = tally.drain()
    return found


def counted(told: dict[str, int]) -> int:
    return told["counted"] + told.get("late", 0)


def run_campaign(
    config: Kafka, folder: Path, chance: random.Random, broker: Broker | None = None
) -> dict[int, Kept]:
    feed = Feed(config, folder, chance.randrange(2**32), ROUNDS * 0.9)
    campaign = Campaign(config, chance, broker)
    try:
        for _round in range(ROUNDS):
            campaign.round()
        assert feed.child.wait() == 0
        return campaign.finish()
    finally:
        campaign.stop()
        feed.child.kill()


def test_counts_are_a_single_pass_whoever_is_killed(kafka: Address, tmp_path: Path) -> None:
    seed = random.randrange(2**32)
    config = settings(kafka.plain, new_topic(), create=KafkaCreate(partitions=4))
    kept = run_campaign(config, tmp_path, random.Random(seed))
    assert_single_pass(config, kept, seed)


@pytest.mark.skipif(not IS_LONG, reason="takes minutes; RUN_SLOW=1 runs it")
def test_counts_are_a_single_pass_where_brokers_are_killed_too(
    killable_kafka: Broker, tmp_path: Path
) -> None:
    seed = random.randrange(2**32)
    config = settings(
        killable_kafka.bootstrap,
        new_topic(),
        create=KafkaCreate(partitions=4),
        timeout=Duration(3 * SECOND),
    )
    kept = run_campaign(config, tmp_path, random.Random(seed), killable_kafka)
    assert_single_pass(config, kept, seed)


def assert_single_pass(config: Kafka, kept: dict[int, Kept], seed: int) -> None:
    expected = single_pass(config)
    assert kept.keys() == expected.keys()
    for partition, once in expected.items():
        found = kept[partition]
        assert found.profiles == once.profiles, f"seed {seed}"
        assert found.position.marks == once.marks, f"seed {seed}"
        # Why together: whether a line came late depends on what came with it.
        assert counted(found.position.told) == counted(once.told), f"seed {seed}"
        assert found.position.told["duplicate"] == once.told["duplicate"] > 0
        assert set(once.told) <= {"duplicate", "counted", "late"}
        assert len(once.profiles) > 2
