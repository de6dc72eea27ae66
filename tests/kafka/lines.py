"""Lines of the log, batches of them, a sink that sends them, and a plain consumer."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from gateway.config.recording import Kafka, KafkaCreate
from gateway.config.units import Duration
from gateway.messages import RECORD_VERSION, Feedback, Payload, Record, Timing
from gateway.shipper.kafka import KafkaSink
from gateway.shipper.sink import Batch, SinkError

STREAM = "w1-0123456789abcdef"
SECOND = 1_000_000_000


def record(seq: int, *, stream: str = STREAM, **members: Any) -> bytes:
    given: dict[str, Any] = {
        "id": f"{stream}.{seq}",
        "request_id": f"request-{seq}",
        "time": f"2026-11-21T12:00:{seq // 1000 % 60:02d}.{seq % 1000:03d}000Z",
        "kind": "prediction",
        "timing": Timing(total_us=seq),
        "request": Payload(bytes=seq),
        "response": Payload(bytes=0),
        "route": "chat",
        "user": f"user-{seq % 7}",
    }
    made = Record(
        v=RECORD_VERSION,
        gateway="g",
        worker=1,
        stream=stream,
        seq=seq,
        plan="p",
        outcome="ok",
        status=200,
        **given | members,
    )
    return msgspec.json.encode(made)


def feedback(seq: int, *, about: str, signal: str = "thumbs", **members: Any) -> bytes:
    made = Feedback(
        v=RECORD_VERSION,
        id=members.pop("id", f"feedback-{seq}"),
        time="2026-11-21T12:01:00.000000Z",
        kind="feedback",
        gateway="g",
        worker=1,
        stream=STREAM,
        seq=seq,
        request_id=about,
        signal=signal,
        **members,
    )
    return msgspec.json.encode(made)


def batch_of(lines: Iterable[bytes], first_seq: int = 1, stream: str = STREAM) -> Batch:
    each = list(lines)
    return Batch(
        stream=stream,
        segment=f"{stream}-00000001.ndjson",
        records=len(each),
        first_seq=first_seq,
        last_seq=first_seq + len(each) - 1,
        data=b"".join(line + b"\n" for line in each),
    )


def records(first: int, last: int, **members: Any) -> Batch:
    return batch_of((record(seq, **members) for seq in range(first, last + 1)), first)


def settings(bootstrap: str | tuple[str, ...], topic: str, **more: Any) -> Kafka:
    """As configured, with deadlines for tests; topics are created unless `create=None`."""
    given: dict[str, Any] = {
        "bootstrap": (bootstrap,) if isinstance(bootstrap, str) else bootstrap,
        "topic": topic,
        "feedback_topic": f"{topic}-feedback",
        "timeout": Duration(10 * SECOND),
        "create": KafkaCreate(partitions=3),
    }
    return Kafka(**given | more)


@contextlib.asynccontextmanager
async def sink_for(config: Kafka, folder: Path) -> AsyncIterator[KafkaSink]:
    """A sink that leaves no task behind."""
    sink = KafkaSink(config, "a gateway", folder)
    try:
        yield sink
    finally:
        await sink.close(2.0)
    await alone()


async def alone() -> None:
    """Return when there is no task but this; what was cancelled needs a turn to end."""
    deadline = time.monotonic() + 0.5
    while left := asyncio.all_tasks() - {asyncio.current_task()}:
        assert time.monotonic() < deadline, left
        await asyncio.sleep(0.01)


async def deliver(sink: KafkaSink, batch: Batch, within_s: float = 90.0) -> list[str]:
    """Offer the batch until it is taken, as the shipper does; what the sink said meanwhile."""
    deadline, said = time.monotonic() + within_s, []
    while True:
        try:
            await sink.deliver(batch)
        except SinkError as error:
            said.append(str(error))
            assert time.monotonic() < deadline, said[-3:]
            await asyncio.sleep(0.05)
        else:
            return said


async def consume(bootstrap: str | tuple[str, ...], topic: str, **options: Any) -> list[Any]:
    """All messages that the topic has now, each partition's in its order."""
    servers = bootstrap if isinstance(bootstrap, str) else list(bootstrap)
    consumer = AIOKafkaConsumer(
        bootstrap_servers=servers, auto_offset_reset="earliest", check_crcs=True, **options
    )
    await consumer.start()
    try:
        await consumer._client.force_metadata_update()
        known = consumer.partitions_for_topic(topic) or set()
        while not known:
            await consumer.topics()
            known = consumer.partitions_for_topic(topic) or set()
        places = [TopicPartition(topic, number) for number in sorted(known)]
        consumer.assign(places)
        ends = await consumer.end_offsets(places)
        found: list[Any] = []
        while any([await consumer.position(place) < ends[place] for place in places]):
            for messages in (await consumer.getmany(timeout_ms=500)).values():
                found += messages
        return found
    finally:
        await consumer.stop()


async def create_topic(
    bootstrap: str, topic: str, partitions: int = 3, **configs: str | int
) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        named = {name.replace("_", "."): str(value) for name, value in configs.items()}
        made = NewTopic(topic, partitions, 1, topic_configs=named)
        answer = await admin.create_topics([made])
        assert [error[1] for error in answer.topic_errors] == [0]
        # Why: the broker hears of it from its controller, a moment after we do.
        async with asyncio.timeout(20):
            while not await _is_led(admin, topic, partitions):
                await asyncio.sleep(0.02)
    finally:
        await admin.close()


async def _is_led(admin: AIOKafkaAdminClient, topic: str, partitions: int) -> bool:
    [found] = await admin.describe_topics([topic])
    led = [one for one in found["partitions"] if one["leader"] >= 0]
    return found["error_code"] == 0 and len(led) == partitions


async def topics(bootstrap: str) -> list[str]:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        return list(await admin.list_topics())
    finally:
        await admin.close()


def ids(messages: Iterable[Any]) -> list[str]:
    return [dict(message.headers)["ce_id"].decode() for message in messages]


def assert_complete_and_in_order(messages: list[Any], last: int, stream: str = STREAM) -> None:
    """Every record at least once; first appearances in the order of the stream."""
    by_partition: dict[int, list[int]] = {}
    for message in messages:
        by_partition.setdefault(message.partition, []).append(
            msgspec.json.decode(message.value)["seq"]
        )
    firsts = {number: list(dict.fromkeys(seqs)) for number, seqs in by_partition.items()}
    for seqs in firsts.values():
        assert seqs == sorted(seqs)
    assert sorted(seq for seqs in firsts.values() for seq in seqs) == list(range(1, last + 1))
    assert set(ids(messages)) == {f"{stream}.{seq}" for seq in range(1, last + 1)}
