"""The sink that writes the log to Kafka: at least once, each stream in its order.

A batch of lines becomes record batches, one a topic and partition, sent by an idempotent
producer with `acks=all`. When all are acknowledged the batch is delivered; whatever else
happens, the producer is abandoned with all that it holds, and the shipper offers the same
batch again, to a new one. What a consumer sees twice has the same `ce_id`.

Rule 1: of one stream and partition, the *first* appearances of records are in the order of
        the stream: a batch begins when the one before is acknowledged as a whole.
Rule 2: every call ends by its own deadline, whatever the brokers do.
Rule 3: a record that Kafka cannot take (too long, not JSON) never holds up the others: it is
        put aside in dead-letters.ndjson, after the others of its batch are acknowledged.

Cost: bench/shipper.py.
"""

from __future__ import annotations

import asyncio
import functools
import time
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

import msgspec
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, MessageSizeTooLargeError, RecordListTooLargeError

from gateway._fast import Pack, Packer
from gateway.config.recording import Kafka
from gateway.shipper.dead_letters import DeadLetters, Letter, letter_of
from gateway.shipper.kafka_batch import RecordBatch
from gateway.shipper.kafka_cluster import SECOND_NS, Cluster
from gateway.shipper.sink import Batch, SinkError
from gateway.threads import in_thread

CONTENT_TYPES = {"json": b"application/json", "msgpack": b"application/msgpack"}
TOO_LONG_FOR_BROKER = "longer than the broker takes"
OVERSIZE = (MessageSizeTooLargeError, RecordListTooLargeError)
ABANDON_S = 5.0
BATCHES_AT_ONCE = 4
HEADER_ROOM = 1024  # of a record, beside its value


class KafkaSink:
    """Sends to the topics of one cluster."""

    name = "kafka"
    sealed_only = False

    def __init__(self, config: Kafka, gateway: str, directory: Path) -> None:
        self._config = config
        self._cluster = Cluster(config)
        self._producer: AIOKafkaProducer | None = None
        self._is_started = False
        self._looked_up: set[str] = set()  # topics that are there
        self._room = max(config.batch, 2 * HEADER_ROOM)  # of a record batch, uncompressed
        self._packer = Packer(
            b"" if config.key == "none" else config.key.encode(),
            f"/gateway/{quote(gateway)}".encode(),
            CONTENT_TYPES[config.format],
            config.max_message,
        )
        self._dead_letters = DeadLetters(directory)
        self.dead_letters = 0

    @property
    def batch_bytes(self) -> int:
        # Why more than one batch: lines are spread over partitions, and each request has a cost.
        return BATCHES_AT_ONCE * self._config.batch

    @property
    def linger_s(self) -> float:
        return self._config.linger / SECOND_NS

    async def deliver(self, batch: Batch) -> None:
        is_delivered = False
        try:
            async with asyncio.timeout(self._config.timeout / SECOND_NS):
                refused = await self._send(batch)
            is_delivered = True
        except TimeoutError:
            raise SinkError(self._lateness(batch)) from None
        except (KafkaError, OSError) as error:
            raise SinkError(self._cluster.refusal(error)) from None
        finally:
            if not is_delivered:
                await self._abandon(ABANDON_S)
        if refused:
            await self._put_aside(batch, refused)

    async def close(self, deadline_s: float) -> None:
        await self._abandon(deadline_s)

    # -- sending

    async def _send(self, batch: Batch) -> dict[int, str]:
        """Everything is acknowledged when it returns, but the lines that it returns."""
        too_long: dict[int, str] = {}
        while True:
            packs, refused = await self._packs(batch, too_long)
            oversize = await self._send_packs(packs)
            if oversize is None:
                return too_long | dict(refused)
            if oversize.count == 1:
                too_long[oversize.first_line] = TOO_LONG_FOR_BROKER
            else:
                self._room = len(oversize.data) // 2
            # Why: the sequence has a hole now, and nothing behind it would be taken.
            await self._abandon(ABANDON_S)

    async def _packs(
        self, batch: Batch, skipped: dict[int, str]
    ) -> tuple[list[Pack], list[tuple[int, str]]]:
        partitions = await self._partitions(self._config.topic)
        of_feedback = 0
        if self._config.create is not None:
            of_feedback = await self._partitions(self._config.feedback_topic)
        values = _as_msgpack(batch) if self._config.format == "msgpack" else None
        while True:
            packed = self._packer.pack(
                batch.data,
                batch.stream.encode(),
                partitions,
                of_feedback,
                self._room,
                time.time_ns() // 1_000_000,
                skipped,
                values,
            )
            if packed is not None:
                return packed
            of_feedback = await self._partitions(self._config.feedback_topic)

    async def _partitions(self, topic: str) -> int:
        """How many the topic has, as the producer knows now."""
        producer = await self._started()
        if topic not in self._looked_up:
            await self._cluster.look_up(producer.client, topic)
            self._looked_up.add(topic)
        return len(await producer.partitions_for(topic))

    async def _started(self) -> AIOKafkaProducer:
        if self._producer is None:
            self._producer = self._cluster.producer()
        if not self._is_started:
            await self._cluster.start(self._producer)
            self._is_started = True
        return self._producer

    async def _send_packs(self, packs: list[Pack]) -> Pack | None:
        """None when all are acknowledged, else the first that was too long."""
        for wave in waves(packs):
            too_long = await self._send_wave(wave)
            if too_long is not None:
                return too_long
        return None

    async def _send_wave(self, packs: list[Pack]) -> Pack | None:
        producer = await self._started()
        topics = (self._config.topic, self._config.feedback_topic)
        answers = []
        for pack in packs:
            made = RecordBatch(pack, self._config.compression)
            topic = topics[pack.is_feedback]
            answers.append(await producer.send_batch(made, topic, partition=pack.partition))
        results = await asyncio.gather(*answers, return_exceptions=True)
        for pack, result in zip(packs, results, strict=True):
            if isinstance(result, OVERSIZE):
                return pack
        for result in results:
            if isinstance(result, BaseException):
                raise result
        return None

    async def _abandon(self, deadline_s: float) -> None:
        producer, self._producer = self._producer, None
        self._is_started = False
        self._looked_up = set()
        if producer is not None:
            await self._cluster.abandon(producer, deadline_s)

    def _lateness(self, batch: Batch) -> str:
        seconds = self._config.timeout / SECOND_NS
        if not self._looked_up:
            return f"no broker of {self._cluster.names} answered within {seconds:g} s"
        return f"Kafka did not acknowledge {batch.records} records within {seconds:g} s"

    # -- what cannot be sent

    async def _put_aside(self, batch: Batch, refused: dict[int, str]) -> None:
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        letters: list[Letter] = [
            letter_of(
                batch.lines[number], time=now, sink=self.name, reason=why, segment=batch.segment
            )
            for number, why in sorted(refused.items())
        ]
        try:
            await in_thread(functools.partial(self._dead_letters.put, letters), name="letters")
        except OSError as error:
            sentence = f"cannot put records aside that Kafka cannot take: {error.strerror}"
            raise SinkError(sentence) from None
        self.dead_letters += len(letters)


def waves(packs: list[Pack]) -> list[list[Pack]]:
    """The first pack of each partition, the second of each, and so on.

    Why: a broker that does not know a producer yet takes any sequence, so what follows a
    refused batch of the same partition may not be under way already.
    """
    made: list[list[Pack]] = []
    before: dict[tuple[bool, int], int] = {}
    for pack in packs:
        place = (pack.is_feedback, pack.partition)
        number = before.get(place, 0)
        before[place] = number + 1
        if number == len(made):
            made.append([])
        made[number].append(pack)
    return made


def _as_msgpack(batch: Batch) -> list[bytes | None]:
    """The lines as MessagePack; None for one that is no JSON."""
    values: list[bytes | None] = []
    for line in batch.lines:
        try:
            values.append(msgspec.msgpack.encode(msgspec.json.decode(line)))
        except msgspec.DecodeError:
            values.append(None)
    return values
