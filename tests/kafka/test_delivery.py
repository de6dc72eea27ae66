"""What a plain consumer of a real broker finds."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions
from aiokafka.partitioner import DefaultPartitioner

from gateway.config.recording import KafkaCreate
from gateway.config.units import Size
from gateway.shipper.dead_letters import FILE
from gateway.shipper.sink import SinkError
from tests.kafka.lines import (
    assert_complete_and_in_order,
    batch_of,
    consume,
    create_topic,
    deliver,
    feedback,
    ids,
    record,
    records,
    settings,
    sink_for,
    topics,
)
from tests.support.kafka import new_topic
from tests.support.kafka_broker import Address


async def test_every_line_arrives_as_it_is_keyed_and_in_order(
    kafka: Address, tmp_path: Path
) -> None:
    topic = new_topic()
    async with sink_for(settings(kafka.plain, topic), tmp_path) as sink:
        for first in range(1, 3001, 600):
            await sink.deliver(records(first, first + 599))
    messages = await consume(kafka.plain, topic)
    assert len(messages) == 3000
    assert_complete_and_in_order(messages, 3000)
    for message in messages:
        seq = msgspec.json.decode(message.value)["seq"]
        assert message.value == record(seq)
        assert message.key == f"request-{seq}".encode()
        assert message.partition == DefaultPartitioner()(message.key, [0, 1, 2], [0, 1, 2])


async def test_headers_are_a_cloud_event_that_any_consumer_can_read(
    kafka: Address, tmp_path: Path
) -> None:
    topic = new_topic()
    async with sink_for(settings(kafka.plain, topic), tmp_path) as sink:
        await sink.deliver(records(5, 5))
    (message,) = await consume(kafka.plain, topic)
    assert dict(message.headers) == {
        "ce_specversion": b"1.0",
        "ce_id": b"w1-0123456789abcdef.5",
        "ce_source": b"/gateway/a%20gateway",
        "ce_type": b"gateway.prediction",
        "ce_time": b"2026-11-21T12:00:00.005000Z",
        "content-type": b"application/json",
    }
    assert message.timestamp == 1795262400005


@pytest.mark.parametrize("compression", ["none", "gzip", "snappy", "lz4", "zstd"])
async def test_each_compression_is_read_by_broker_and_consumer(
    kafka: Address, tmp_path: Path, compression: str
) -> None:
    topic = new_topic()
    config = settings(kafka.plain, topic, compression=compression)
    async with sink_for(config, tmp_path) as sink:
        await sink.deliver(records(1, 500))
        await sink.deliver(records(501, 501))
    assert_complete_and_in_order(await consume(kafka.plain, topic), 501)


async def test_feedback_goes_to_its_own_topic_beside_its_request(
    kafka: Address, tmp_path: Path
) -> None:
    topic = new_topic()
    async with sink_for(settings(kafka.plain, topic), tmp_path) as sink:
        await sink.deliver(batch_of([record(1), feedback(2, about="request-1"), record(3)]))
    assert ids(await consume(kafka.plain, topic)) != []
    (told,) = await consume(kafka.plain, f"{topic}-feedback")
    assert told.key == b"request-1"
    assert dict(told.headers)["ce_type"] == b"gateway.feedback"
    (same,) = [each for each in await consume(kafka.plain, topic) if each.key == b"request-1"]
    assert told.partition == same.partition


async def test_stream_without_keys_stays_in_one_partition(kafka: Address, tmp_path: Path) -> None:
    topic = new_topic()
    async with sink_for(settings(kafka.plain, topic, key="none"), tmp_path) as sink:
        await sink.deliver(records(1, 50))
    messages = await consume(kafka.plain, topic)
    assert len({message.partition for message in messages}) == 1
    assert {message.key for message in messages} == {None}
    assert_complete_and_in_order(messages, 50)


async def test_key_by_user_brings_each_user_into_one_partition(
    kafka: Address, tmp_path: Path
) -> None:
    topic = new_topic()
    async with sink_for(settings(kafka.plain, topic, key="user"), tmp_path) as sink:
        await sink.deliver(records(1, 70))
    places: dict[bytes, set[int]] = {}
    for message in await consume(kafka.plain, topic):
        places.setdefault(message.key, set()).add(message.partition)
    assert set(places) == {b"user-%d" % number for number in range(7)}
    assert all(len(partitions) == 1 for partitions in places.values())


async def test_values_can_be_messagepack(kafka: Address, tmp_path: Path) -> None:
    topic = new_topic()
    async with sink_for(settings(kafka.plain, topic, format="msgpack"), tmp_path) as sink:
        await sink.deliver(records(1, 3))
    messages = await consume(kafka.plain, topic)
    for message in messages:
        read = msgspec.msgpack.decode(message.value)
        assert read == msgspec.json.decode(record(read["seq"]))
        assert dict(message.headers)["content-type"] == b"application/msgpack"
    assert len(messages) == 3


# -- topics


async def test_missing_topics_are_created_as_configured(kafka: Address, tmp_path: Path) -> None:
    topic = new_topic()
    config = settings(kafka.plain, topic, create=KafkaCreate(partitions=5))
    async with sink_for(config, tmp_path) as sink:
        await sink.deliver(records(1, 200))
    assert {topic, f"{topic}-feedback"} <= set(await topics(kafka.plain))
    assert {each.partition for each in await consume(kafka.plain, topic)} == set(range(5))


async def test_missing_topic_is_told_and_what_waited_goes_when_it_is_there(
    secured_kafka: Address, tmp_path: Path
) -> None:
    topic, broker = new_topic(), secured_kafka.plain
    async with sink_for(settings(broker, topic, create=None), tmp_path) as sink:
        with pytest.raises(SinkError, match=f"the topic {topic} does not exist"):
            await sink.deliver(records(1, 3))
        assert topic not in await topics(broker)
        await create_topic(broker, topic)
        await sink.deliver(records(1, 3))
    assert_complete_and_in_order(await consume(broker, topic), 3)


async def test_missing_topic_for_feedback_matters_when_there_is_feedback(
    kafka: Address, tmp_path: Path
) -> None:
    topic = new_topic()
    await create_topic(kafka.plain, topic)
    async with sink_for(settings(kafka.plain, topic, create=None), tmp_path) as sink:
        await sink.deliver(records(1, 2))
        with pytest.raises(SinkError, match=f"the topic {topic}-feedback does not exist"):
            await sink.deliver(batch_of([feedback(3, about="request-1")], 3))


async def test_partitions_that_are_added_are_used(kafka: Address, tmp_path: Path) -> None:
    topic = new_topic()
    config = settings(kafka.plain, topic, create=KafkaCreate(partitions=1))
    async with sink_for(config, tmp_path) as sink:
        await sink.deliver(records(1, 50))
        admin = AIOKafkaAdminClient(bootstrap_servers=kafka.plain)
        await admin.start()
        await admin.create_partitions({topic: NewPartitions(total_count=4)})
        await admin.close()
        assert sink._producer is not None
        while len(await sink._producer.partitions_for(topic)) < 4:
            await sink._producer.client.force_metadata_update()
        await sink.deliver(records(51, 200))
    messages = await consume(kafka.plain, topic)
    assert {message.partition for message in messages} == {0, 1, 2, 3}
    assert_complete_and_in_order(messages, 200)


async def test_more_copies_than_brokers_are_told(kafka: Address, tmp_path: Path) -> None:
    topic = new_topic()
    config = settings(kafka.plain, topic, create=KafkaCreate(partitions=1, replication=7))
    async with sink_for(config, tmp_path) as sink:
        with pytest.raises(SinkError, match=f"the topic {topic} cannot be created: .*eplication"):
            await sink.deliver(records(1, 1))


# -- records that Kafka cannot take


def letters(folder: Path) -> list[dict[str, object]]:
    return [msgspec.json.decode(line) for line in (folder / FILE).read_bytes().splitlines()]


async def test_record_over_the_limit_is_put_aside_and_the_others_arrive(
    kafka: Address, tmp_path: Path
) -> None:
    topic = new_topic()
    long = record(2, user="x" * 5000)
    lines = [record(1), long, b"{not json", record(4)]
    async with sink_for(settings(kafka.plain, topic, max_message=Size(4096)), tmp_path) as sink:
        await sink.deliver(batch_of(lines))
        assert sink.dead_letters == 2
    messages = await consume(kafka.plain, topic)
    assert sorted(message.value for message in messages) == [record(1), record(4)]
    first, second = letters(tmp_path)
    assert (first["reason"], first["line"]) == ("longer than max_message", long.decode())
    assert (second["reason"], second["bytes"]) == ("not a record", 9)


async def test_batch_too_long_for_the_broker_is_sent_in_smaller_ones(
    kafka: Address, tmp_path: Path
) -> None:
    topic = new_topic()
    await create_topic(kafka.plain, topic, 1, max_message_bytes=4000)
    await create_topic(kafka.plain, f"{topic}-feedback")
    config = settings(kafka.plain, topic, compression="none", create=None)
    lines = [record(seq) for seq in range(1, 41)]
    lines[20] = record(21, user="x" * 4000)
    async with sink_for(config, tmp_path) as sink:
        await sink.deliver(batch_of(lines))
        assert sink.dead_letters == 1
        await sink.deliver(records(41, 80))
        assert sink.dead_letters == 1
    messages = await consume(kafka.plain, topic)
    seqs = list(dict.fromkeys(msgspec.json.decode(each.value)["seq"] for each in messages))
    assert seqs == [seq for seq in range(1, 81) if seq != 21]
    (letter,) = letters(tmp_path)
    assert letter["reason"] == "longer than the broker takes"


async def test_record_is_not_forgotten_while_it_cannot_be_put_aside(
    kafka: Address, tmp_path: Path
) -> None:
    topic = new_topic()
    folder = tmp_path / "log"
    async with sink_for(settings(kafka.plain, topic, max_message=Size(100)), folder) as sink:
        with pytest.raises(SinkError, match="cannot put records aside"):
            await sink.deliver(records(1, 1))
        assert sink.dead_letters == 0
        folder.mkdir()
        assert await deliver(sink, records(1, 1)) == []
        assert sink.dead_letters == 1
