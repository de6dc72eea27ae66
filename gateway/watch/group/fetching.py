"""Record batches of a topic's partitions, fetched and read, batch by batch.

Why not aiokafka's consumer: it makes an object of every message, which costs as much as counting
it does. Groups, connections and metadata are aiokafka's; fetching is one request a broker, and
`_fast.unpack` makes lines of what comes.

Rule 1: only what is committed is read: batches of transactions that were aborted, or are still
        open, are not there.
Rule 2: a batch whose checksum is wrong is an error with its place, never half read.
Rule 3: a position that the topic no longer has is told, and reading goes on at its beginning.
Every call ends by the client's own deadline of requests.
"""

from __future__ import annotations

import asyncio
import gzip
import struct
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import aiokafka.errors as kafka_errors
import cramjam
import zstandard
from aiokafka.client import AIOKafkaClient
from aiokafka.codec import snappy_decode
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.protocol.offset import OffsetRequest
from aiokafka.structs import TopicPartition
from msgspec import Struct

from gateway._fast import crc32c, entries_of
from gateway.brokers import BrokerError, words_of

# Base offset, length behind this field, leader's epoch, magic, CRC; attributes, last offset,
# first and last time, producer's id and epoch, sequence, count.
HEADER = struct.Struct(">qiibIhiqqqhii")
BEHIND_LENGTH = 12
CHECKED_FROM = 21  # what the checksum is of
MAGIC = 2
CODEC, TRANSACTIONAL, CONTROL = 0x07, 0x10, 0x20  # bits of the attributes
READ_COMMITTED = 1
EARLIEST, LATEST = -2, -1
WAIT_MS = 500  # that a broker may hold a request while there is nothing
MOST_BYTES = 8 * 2**20  # of an answer …
MOST_UNCOMPRESSED = 2**28  # of a record batch
MOST_ROOM = 2**23  # bytes of a record batch that memory is kept for
MOST_OF_PARTITION = 2 * 2**20  # … and of one partition in it
OF_ANOTHER_LEADER = (
    kafka_errors.NotLeaderForPartitionError,
    kafka_errors.UnknownTopicOrPartitionError,
    kafka_errors.LeaderNotAvailableError,
    kafka_errors.ReplicaNotAvailableError,
)

# What each codec says of what it cannot read.
DAMAGED = (
    cramjam.DecompressionError,
    zstandard.ZstdError,
    zlib.error,
    OSError,
    EOFError,
    ValueError,
    RuntimeError,
)

Data = bytes | memoryview


_zstd_decompressor = zstandard.ZstdDecompressor()


def _zstd(data: memoryview) -> Data:
    size = zstandard.frame_content_size(data)
    if size > MOST_UNCOMPRESSED:
        raise ValueError(f"it has {size} bytes, more than {MOST_UNCOMPRESSED}")
    # Why two: the faster one wants to know how much there will be.
    if size > 0:
        return _zstd_decompressor.decompress(data)
    return memoryview(cramjam.zstd.decompress(data))


class _Room:
    """Where LZ4's frames are decompressed to: they do not say how large they will be.

    Why not new memory each time: the kernel clears it, page by page, which costs twice as much as
    decompressing into it does.
    """

    def __init__(self) -> None:
        self._bytes = bytearray(2**20)

    def decompressed(self, data: memoryview) -> Data:
        """Of meaning until the next one is."""
        try:
            size = cramjam.lz4.decompress_into(data, self._bytes)
        except cramjam.DecompressionError:  # Why again: it may be that there was no room
            whole = memoryview(cramjam.lz4.decompress(data))
            if len(self._bytes) < len(whole) <= MOST_ROOM:
                self._bytes = bytearray(len(whole))
            return whole
        return memoryview(self._bytes)[:size]


CODECS: dict[int, Callable[[memoryview], Data]] = {
    0: lambda data: data,
    1: gzip.decompress,
    2: lambda data: bytes(snappy_decode(bytes(data))),
    3: _Room().decompressed,
    4: _zstd,
}


class Batch(Struct, frozen=True):
    """Records that were sent together."""

    base: int  # offset that the records' own count from
    last: int  # offset of the last one that was sent
    last_ms: int  # the latest time, milliseconds since 1970
    count: int
    codec: int
    data: memoryview  # the records, compressed

    def records(self) -> Data:
        """The records, uncompressed, until others are; ValueError: they cannot be.

        Why not before they are wanted: what is fetched together may be ten times as large.
        """
        try:
            return CODECS[self.codec](self.data)
        except DAMAGED as error:
            raise ValueError(f"a record batch cannot be decompressed: {error}") from None

    def entries(self, position: int) -> Iterator[tuple[bytes | None, bytes | None]]:
        """Keys and values from an offset on."""
        for _delta, key, value in entries_of(self.records(), self.count, position - self.base):
            yield key, value


class Fetched(Struct, kw_only=True):
    """What one answer had of a partition."""

    partition: int
    position: int  # what was asked for
    next: int  # where to go on
    end: int  # behind the last record that all replicas have
    stable: int  # before the first record whose transaction is still open
    batches: list[Batch]
    lost: int = 0  # offsets that the topic does not have any more


class _Header(NamedTuple):
    base: int
    length: int
    epoch: int
    magic: int
    checksum: int
    attributes: int
    last_delta: int
    first_ms: int
    last_ms: int
    producer: int
    producer_epoch: int
    sequence: int
    records: int


class Topic:
    """One topic, read by partitions."""

    def __init__(self, client: AIOKafkaClient, name: str) -> None:
        self._client, self.name = client, name

    @property
    def partitions(self) -> int:
        """How many it has, as far as is known; there may be more later."""
        return len(self._client.cluster.partitions_for_topic(self.name) or ())

    async def fetch(self, positions: Mapping[int, int]) -> list[Fetched]:
        """What is there from these offsets on; waits a moment where nothing is."""
        by_node = self._by_leader(positions)
        requests = [self._ask(node, partitions) for node, partitions in by_node.items()]
        answers = await asyncio.gather(*requests)
        return [one for answer in answers for one in answer]

    async def ends(self, partitions: int, at: int = LATEST) -> dict[int, int]:
        """Offsets behind the last record of each partition, or of its first."""
        asked = self._by_leader(dict.fromkeys(range(partitions), at))
        found: dict[int, int] = {}
        for node, wanted in asked.items():
            request = OffsetRequest(-1, 0, [(self.name, list(wanted.items()))])
            answer = await self._client.send(node, request)
            for _topic, given in answer.topics:
                for partition, code, *rest in given:
                    self._check(partition, kafka_errors.for_code(code))
                    found[partition] = rest[1]
        return found

    def _by_leader(self, values: Mapping[int, int]) -> dict[int, dict[int, int]]:
        found: dict[int, dict[int, int]] = defaultdict(dict)
        for partition, value in values.items():
            leader = self._client.cluster.leader_for_partition(TopicPartition(self.name, partition))
            if leader is None or leader < 0:
                self._client.force_metadata_update()
                raise BrokerError(f"{self.name}: partition {partition} has no leader now")
            found[leader][partition] = value
        return found

    async def _ask(self, node: int, positions: Mapping[int, int]) -> list[Fetched]:
        asked = [(one, offset, MOST_OF_PARTITION) for one, offset in positions.items()]
        request = FetchRequest(WAIT_MS, 1, MOST_BYTES, READ_COMMITTED, [(self.name, asked)], "")
        answer = await self._client.send(node, request)
        found = []
        for _topic, given in answer.topics:
            for partition, code, end, *rest in given:
                position = positions[partition]
                error = kafka_errors.for_code(code)
                if error is kafka_errors.OffsetOutOfRangeError:
                    found.append(await self._beginning(node, partition, position))
                    continue
                self._check(partition, error)
                # Of every version that brokers of message format 2 know.
                aborted = rest[2] if answer.API_VERSION >= 11 else rest[-2]
                found.append(self._read(partition, position, end, rest[0], aborted, rest[-1]))
        return found

    def _check(self, partition: int, error: type[Exception]) -> None:
        if error is kafka_errors.NoError:
            return
        if issubclass(error, OF_ANOTHER_LEADER):
            self._client.force_metadata_update()
        if error is kafka_errors.TopicAuthorizationFailedError:
            raise BrokerError(f"this user may not read the topic {self.name}")
        raise BrokerError(f"{self.name}, partition {partition}: {words_of(error())}")

    async def _beginning(self, node: int, partition: int, position: int) -> Fetched:
        """Go on where the topic begins now."""
        request = OffsetRequest(-1, 0, [(self.name, [(partition, EARLIEST)])])
        answer = await self._client.send(node, request)
        ((_topic, ((_partition, code, *rest),)),) = answer.topics
        self._check(partition, kafka_errors.for_code(code))
        first = rest[1]
        return Fetched(
            partition=partition,
            position=position,
            next=first,
            end=first,
            stable=first,
            batches=[],
            lost=abs(first - position),
        )

    def _read(
        self, partition: int, position: int, end: int, stable: int, aborted: Any, data: bytes
    ) -> Fetched:
        try:
            batches, behind = read_batches(data, position, aborted or ())
        except ValueError as error:
            where = f"{self.name}, partition {partition}, from offset {position}"
            raise BrokerError(f"{where}: {error}") from None
        return Fetched(
            partition=partition,
            position=position,
            next=behind,
            end=end,
            stable=stable,
            batches=batches,
        )


def read_batches(data: bytes, position: int, aborted: Any) -> tuple[list[Batch], int]:
    """Committed batches with anything from `position` on, and the offset behind them.

    `aborted` are (producer, first offset) of transactions that were. The last batch may be cut
    off: it comes again. ValueError: the data are damaged.
    """
    found: list[Batch] = []
    open_aborts = sorted(aborted, key=lambda one: one[1])
    gone: set[int] = set()
    at, view = 0, memoryview(data)
    while at + HEADER.size <= len(data):
        head = _Header._make(HEADER.unpack_from(data, at))
        behind = at + BEHIND_LENGTH + head.length
        if head.magic != MAGIC:
            raise ValueError(f"message format {head.magic}; {MAGIC} is what is read")
        if head.length < HEADER.size - BEHIND_LENGTH:
            raise ValueError("a record batch is shorter than its header")
        if behind > len(data):
            break
        if crc32c(view[at + CHECKED_FROM : behind]) != head.checksum:
            raise ValueError("the checksum of a record batch is wrong")
        while open_aborts and open_aborts[0][1] <= head.base:
            gone.add(open_aborts.pop(0)[0])
        last = head.base + head.last_delta
        is_aborted = head.attributes & TRANSACTIONAL and head.producer in gone
        if head.attributes & CONTROL:
            gone.discard(head.producer)  # whatever it says, the transaction has ended
        elif not is_aborted and last >= position and head.records:
            codec = head.attributes & CODEC
            if codec not in CODECS:
                raise ValueError(f"compressed by a codec of number {codec}, which is not known")
            data_of = view[at + HEADER.size : behind]
            found.append(Batch(head.base, last, head.last_ms, head.records, codec, data_of))
        position = max(position, last + 1)
        at = behind
    return found, position
