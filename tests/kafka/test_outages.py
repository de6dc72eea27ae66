"""A real broker that is killed, frozen, away for long: nothing lost, order kept, nothing hangs."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiokafka.admin import AIOKafkaAdminClient

from gateway.config.recording import KafkaCreate
from gateway.config.units import Duration
from gateway.shipper.kafka import ABANDON_S
from gateway.shipper.sink import SinkError
from gateway.threads import in_thread
from tests.kafka.lines import (
    SECOND,
    alone,
    assert_complete_and_in_order,
    consume,
    deliver,
    ids,
    records,
    settings,
    sink_for,
)
from tests.support.kafka import new_topic
from tests.support.kafka_broker import Address, Broker, free_ports

AWAY_S = 600.0 if os.environ.get("RUN_SLOW") else 3.0
KILLS = 20 if os.environ.get("RUN_SLOW") else 2
STEP = 200
MARGIN_S = 2.0


async def killed_and_started(broker: Broker, pause_s: float) -> None:
    await asyncio.sleep(pause_s)
    broker.kill()
    await started(broker)


async def started(broker: Broker) -> None:
    broker.launch()
    await in_thread(broker.await_answers, name="broker")


@pytest.mark.slow
@pytest.mark.timeout(60 + 40 * KILLS)
async def test_broker_that_is_killed_under_load_loses_nothing_and_keeps_the_order(
    killable_kafka: Broker, tmp_path: Path
) -> None:
    topic, last = new_topic(), 0
    config = settings(killable_kafka.bootstrap, topic, timeout=Duration(5 * SECOND))
    async with sink_for(config, tmp_path) as sink:
        for number in range(KILLS):
            killing = asyncio.create_task(killed_and_started(killable_kafka, 0.2 + number / 20))
            while not killing.done():
                await deliver(sink, records(last + 1, last + STEP))
                last += STEP
                await asyncio.sleep(0.01)
            await killing
        await deliver(sink, records(last + 1, last + STEP))
    messages = await consume(killable_kafka.bootstrap, topic)
    assert_complete_and_in_order(messages, last + STEP)


@pytest.mark.slow
@pytest.mark.timeout(AWAY_S + 60)
async def test_broker_that_is_away_for_long_costs_nothing_but_waiting(
    killable_kafka: Broker, tmp_path: Path
) -> None:
    topic = new_topic()
    config = settings(killable_kafka.bootstrap, topic, timeout=Duration(SECOND))
    async with sink_for(config, tmp_path) as sink:
        await deliver(sink, records(1, 10))
        killable_kafka.kill()
        said, until = set(), time.monotonic() + AWAY_S
        open_before = open_files()
        while time.monotonic() < until:
            began = time.monotonic()
            with pytest.raises(SinkError) as caught:
                await sink.deliver(records(11, 20))
            assert time.monotonic() - began < 1 + ABANDON_S + MARGIN_S
            said.add(str(caught.value).replace(killable_kafka.bootstrap, "BROKER"))
            await alone()
            await asyncio.sleep(0.05)
        assert open_files() <= open_before
        assert said <= {
            "Kafka did not acknowledge 10 records within 1 s",
            "no broker answers at BROKER: Connection refused",
        }
        await started(killable_kafka)
        await deliver(sink, records(11, 20))
    assert_complete_and_in_order(await consume(killable_kafka.bootstrap, topic), 20)


def open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


@asynccontextmanager
async def frozen(broker: Broker) -> AsyncIterator[None]:
    broker.freeze()
    try:
        yield
    finally:
        broker.thaw()


@pytest.mark.slow
async def test_broker_that_holds_the_line_and_says_nothing_is_given_up(
    killable_kafka: Broker, tmp_path: Path
) -> None:
    topic = new_topic()
    config = settings(killable_kafka.bootstrap, topic, timeout=Duration(SECOND))
    async with sink_for(config, tmp_path) as sink:
        await deliver(sink, records(1, 10))
        async with frozen(killable_kafka):
            began = time.monotonic()
            with pytest.raises(SinkError, match="did not acknowledge 10 records within 1 s"):
                await sink.deliver(records(11, 20))
            with pytest.raises(SinkError, match=r"no broker .* answered|no broker answers"):
                await sink.deliver(records(11, 20))
            await alone()
            assert time.monotonic() - began < 2 * (1 + ABANDON_S) + MARGIN_S
        await deliver(sink, records(11, 20))
        async with frozen(killable_kafka):
            delivering = asyncio.create_task(sink.deliver(records(21, 30)))
            await asyncio.sleep(0.2)
            began = time.monotonic()
            delivering.cancel()
            await asyncio.wait([delivering])
            await sink.close(1.0)
            await alone()
            assert time.monotonic() - began < ABANDON_S + 1 + MARGIN_S
        await deliver(sink, records(21, 30))
    messages = await consume(killable_kafka.bootstrap, topic)
    assert_complete_and_in_order(messages, 30)


async def test_topic_that_is_deleted_meanwhile_is_created_again(
    kafka: Address, tmp_path: Path
) -> None:
    topic, broker = new_topic(), kafka.plain
    config = settings(broker, topic, timeout=Duration(2 * SECOND), create=KafkaCreate(partitions=1))
    async with sink_for(config, tmp_path) as sink:
        await deliver(sink, records(1, 10))
        admin = AIOKafkaAdminClient(bootstrap_servers=broker)
        await admin.start()
        await admin.delete_topics([topic])
        await admin.close()
        await deliver(sink, records(11, 20))
    assert set(ids(await consume(broker, topic))) >= set(ids_of(11, 20))


def ids_of(first: int, last: int) -> list[str]:
    return [f"w1-0123456789abcdef.{seq}" for seq in range(first, last + 1)]


async def test_nobody_at_the_address_is_told_at_once(tmp_path: Path) -> None:
    places = tuple(f"127.0.0.1:{port}" for port in free_ports(2))
    async with sink_for(settings(places, new_topic()), tmp_path) as sink:
        began = time.monotonic()
        with pytest.raises(SinkError, match=f"no broker answers at ({'|'.join(places)}): Conn"):
            await sink.deliver(records(1, 1))
        assert time.monotonic() - began < MARGIN_S


async def test_name_that_nobody_knows_is_told(tmp_path: Path) -> None:
    async with sink_for(settings("nowhere.invalid:9092", new_topic()), tmp_path) as sink:
        with pytest.raises(SinkError, match=r"no broker answers at nowhere\.invalid:9092"):
            await sink.deliver(records(1, 1))
