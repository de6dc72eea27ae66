"""What a consumer group keeps, on a compacted topic of Kafka: profiles, marks, offsets.

Each partition of the records' topic has its state on one partition of the state topic: the
profiles of each key, and one *position*: where to go on reading, and the marks that the profiles
stand for. They change together, in one transaction of a producer that only the partition's owner
has: a new owner's producer fences the former one's, so what is written after that is not taken.
Reading a partition of the state topic from its beginning is then all that there is.

    key      [group, topic, partition, what, part, …]   JSON, so that it can be looked at
    value    the first part begins with the number of parts; no value: it expired

Rule 1: what is read is what was committed last, whole; nothing is between two transactions.
Rule 2: a value that is longer than a message may be goes in parts.
Rule 3: a writer that failed is never used again: whether its transaction counts, the next
        owner's restore says.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import msgspec
from aiokafka import AIOKafkaProducer
from aiokafka.client import AIOKafkaClient
from aiokafka.structs import OffsetAndMetadata, TopicPartition
from msgspec import Struct

from gateway.brokers import BrokerError, Brokers, abandon
from gateway.watch.changes import Changes, Key
from gateway.watch.group.fetching import Fetched, Topic

PART_BYTES = 512 * 1024
MOST_PARTS = 255
TRANSACTION_MS = 60_000  # after which brokers abort what its owner left open
RESTORE_S = 120.0
ABANDON_S = 2.0
COMPACTED = {"cleanup.policy": "compact", "min.cleanable.dirty.ratio": "0.1"}

PROFILES, POSITION, DOCUMENT = "profiles", "position", "document"


class Position(Struct, kw_only=True, omit_defaults=True):
    """Where reading of a partition goes on, and what its profiles stand for."""

    next: int = 0  # offset
    marks: dict[str, int] = {}  # by stream: its last line that was counted
    told: dict[str, int] = {}  # lines by result
    newest: int = 0  # minute
    lost: int = 0  # offsets that were gone before they were read


class Kept(Struct, kw_only=True):
    """All that is kept of one partition."""

    position: Position = msgspec.field(default_factory=Position)
    profiles: dict[Key, bytes] = msgspec.field(default_factory=dict)

    @property
    def changes(self) -> Changes:
        """As a Tally takes it."""
        return Changes(
            profiles=dict(self.profiles),
            marks=dict(self.position.marks),
            told=dict(self.position.told),
            newest=self.position.newest,
        )


class Scope(Struct, frozen=True):
    """Whose state: a topic may hold that of several groups."""

    group: str
    topic: str  # of the records

    def key(self, partition: int, what: str, part: int, *more: object) -> bytes:
        """Of a message."""
        return msgspec.json.encode([self.group, self.topic, partition, what, part, *more])

    def read(self, key: bytes | None) -> tuple[int, str, int, list[Any]] | None:
        """(partition, what, part, more) of a key; None of somebody else's."""
        try:
            group, topic, partition, what, part, *more = msgspec.json.decode(key or b"", type=list)
        except (msgspec.MsgspecError, UnicodeDecodeError, ValueError):
            return None
        return (partition, what, part, more) if (group, topic) == (self.group, self.topic) else None


class State:
    """What messages of the state topic add up to: of all partitions, or of one."""

    def __init__(self, scope: Scope, only: int | None = None) -> None:
        self._scope, self._only = scope, only
        self.kept: dict[int, Kept] = {}
        self.documents: dict[str, bytes] = {}  # kept beside what is counted, by name
        self._parts: dict[tuple[Any, ...], dict[int, bytes]] = {}  # of values with several

    def take(self, fetched: Fetched) -> None:
        """Adds what was fetched."""
        at = fetched.position
        for batch in fetched.batches:
            try:
                for key, value in batch.entries(at):
                    read = self._scope.read(key)
                    if read is not None and self._only in (None, read[0]):
                        self._put(*read, value)
            except ValueError as error:
                raise BrokerError(f"the state topic, from offset {batch.base}: {error}") from None

    def _put(
        self, partition: int, what: str, part: int, more: list[Any], value: bytes | None
    ) -> None:
        name = (partition, what, *more)
        if value is None:
            self._parts.pop(name, None)
            whole = None if part == 0 else b""
        else:
            whole = self._joined(name, part, value)
        if whole == b"":  # a part of something that is not whole yet
            return
        if what == DOCUMENT and whole is not None:
            self.documents[more[0]] = whole
        elif what == POSITION and whole is not None:
            self._of(partition).position = msgspec.msgpack.decode(whole, type=Position)
        elif what == PROFILES:
            key = Key.of_text(msgspec.json.encode(more))
            if whole is None:
                self._of(partition).profiles.pop(key, None)
            else:
                self._of(partition).profiles[key] = whole

    def _of(self, partition: int) -> Kept:
        return self.kept.setdefault(partition, Kept())

    def _joined(self, name: tuple[Any, ...], part: int, value: bytes) -> bytes:
        """The whole value when its last part is there; else nothing."""
        if part == 0 and value[:1] == b"\x01":
            self._parts.pop(name, None)
            return value[1:]
        parts = self._parts.setdefault(name, {})
        parts[part] = value
        first = parts.get(0, b"")
        if not first or part != first[0] - 1 or any(at not in parts for at in range(first[0])):
            return b""
        return first[1:] + b"".join(parts[at] for at in range(1, first[0]))


def in_parts(value: bytes) -> Iterator[bytes]:
    """The parts of a value, the first with their number."""
    count = max(1, -(-len(value) // PART_BYTES))
    if count > MOST_PARTS:
        raise ValueError(f"a value of {len(value)} bytes is too long for the state topic")
    for at in range(count):
        chunk = value[at * PART_BYTES : (at + 1) * PART_BYTES]
        yield bytes([count]) + chunk if at == 0 else chunk


class StateTopic:
    """The topic, as members of a group see it."""

    def __init__(
        self, brokers: Brokers, client: AIOKafkaClient, name: str, scope: Scope, partitions: int
    ) -> None:
        self._brokers, self.name, self.scope = brokers, name, scope
        self.partitions = partitions
        self.topic = Topic(client, name)

    def place(self, partition: int) -> int:
        """The partition of the state topic that has the state of one of the records'."""
        return partition % self.partitions

    async def restored(self, partition: int) -> Kept:
        """All that was committed of a partition. Call it when its former owner is fenced."""
        place = self.place(partition)
        state = State(self.scope, partition)
        async with asyncio.timeout(RESTORE_S):
            end = (await self.topic.ends(self.partitions))[place]
            at = 0
            while at < end:
                (fetched,) = await self.topic.fetch({place: at})
                state.take(fetched)
                at = fetched.next
        return state.kept.get(partition, Kept())

    def writer(self, partition: int) -> Writer:
        """Of the state of one partition."""
        scope, compression = self.scope, self._brokers.config.compression
        producer = AIOKafkaProducer(
            **self._brokers.options(),
            # Why colons: no topic has one, so that no two scopes have the same id.
            transactional_id=f"{scope.group}:{scope.topic}:{partition}",
            transaction_timeout_ms=TRANSACTION_MS,
            acks="all",
            compression_type=None if compression == "none" else compression,
            max_batch_size=PART_BYTES,
            max_request_size=2 * PART_BYTES,
        )
        return Writer(producer, self, partition)


class Writer:
    """The one that may write the state of a partition, until another is made anywhere."""

    def __init__(self, producer: AIOKafkaProducer, state: StateTopic, partition: int) -> None:
        """`producer` is transactional, and not started."""
        self._producer, self._state, self._partition = producer, state, partition
        self._long: dict[Key, int] = {}  # parts of the keys that had several

    async def start(self) -> None:
        """Fence whoever wrote before; what that one left open is aborted."""
        await self._producer.start()

    def know(self, profiles: dict[Key, bytes]) -> None:
        """What was written before."""
        for key, value in profiles.items():
            if len(value) > PART_BYTES:
                self._long[key] = -(-len(value) // PART_BYTES)

    async def commit(
        self, changes: Changes, position: Position, documents: dict[str, bytes] | None = None
    ) -> None:
        """One transaction: all of it is there when it returns, and none if it never will."""
        producer, scope = self._producer, self._state.scope
        await producer.begin_transaction()
        sent: list[asyncio.Future[Any]] = []
        for key, value in changes.profiles.items():
            sent += await self._put(PROFILES, value, *msgspec.json.decode(key.text()))
            if len(value) > PART_BYTES:
                self._long[key] = max(self._long.get(key, 1), -(-len(value) // PART_BYTES))
        for key in changes.gone:
            more = msgspec.json.decode(key.text())
            for part in range(self._long.pop(key, 1)):
                sent.append(await self._send(scope.key(self._partition, PROFILES, part, *more)))
        for name, document in (documents or {}).items():
            sent += await self._put(DOCUMENT, document, name)
        sent += await self._put(POSITION, msgspec.msgpack.encode(position))
        await asyncio.gather(*sent)
        offsets = {
            TopicPartition(scope.topic, self._partition): OffsetAndMetadata(position.next, "")
        }
        await producer.send_offsets_to_transaction(offsets, scope.group)
        await producer.commit_transaction()

    async def _put(self, what: str, value: bytes, *more: object) -> list[asyncio.Future[Any]]:
        scope = self._state.scope
        return [
            await self._send(scope.key(self._partition, what, part, *more), piece)
            for part, piece in enumerate(in_parts(value))
        ]

    async def _send(self, key: bytes, value: bytes | None = None) -> asyncio.Future[Any]:
        place = self._state.place(self._partition)
        sent: asyncio.Future[Any] = await self._producer.send(
            self._state.name, value, key, partition=place
        )
        return sent

    async def close(self) -> None:
        """Let go of it; what is not committed never will be."""
        await abandon(self._producer, ABANDON_S)
