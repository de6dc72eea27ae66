"""From answers of Kafka's brokers to updated profiles, as a member of the watching group does it.

The broker is not there: what it would send is made once, as the shipper's sink makes it. Beside
it the same answers as aiokafka's consumer reads them, an object a message, which counts nothing.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from aiokafka.record.memory_records import MemoryRecords
from aiokafka.structs import ConsumerRecord

from bench.drift.findings import Rate
from bench.drift.ours import NOW, SYSTEM, best
from bench.drift.records import lines
from gateway._fast import Packer
from gateway.profiles.recorded import from_lines
from gateway.shipper.kafka_batch import RecordBatch
from gateway.watch.basis import Basis
from gateway.watch.group.fetching import Fetched, read_batches
from gateway.watch.group.holding import TOGETHER
from gateway.watch.group.pile import Pile
from gateway.watch.tally import Tally

ROOM = 512 * 1024  # of a record batch, as `log.kafka.batch` has it
CODECS = ("lz4", "zstd")
COUNTED = "profiles from Kafka's answers"


def answer_of(data: bytes, codec: str) -> bytes:
    """Record batches as a broker sends them."""
    packer = Packer(b"request_id", b"/gateway/g", b"application/json", 1 << 20)
    packed = packer.pack(data, b"w0", 1, 1, ROOM, 0)
    assert packed is not None
    packs, refused = packed
    assert not refused
    found, base = bytearray(), 0
    for pack in packs:
        whole = bytearray(RecordBatch(pack, codec)._build())  # noqa: SLF001
        struct.pack_into(">q", whole, 0, base)
        base += pack.count
        found += whole
    return bytes(found)


def fetched_of(answer: bytes) -> Fetched:
    """An answer, read."""
    batches, behind = read_batches(answer, 0, ())
    return Fetched(partition=0, position=0, next=behind, end=behind, stable=behind, batches=batches)


def answers(count: int, repetitions: int) -> Iterator[Rate]:
    """Rates of one core, by codec."""
    data = lines(count)
    reference = from_lines(data.splitlines()[:5000], "credit")
    basis = Basis(name=reference.hash, route="credit", origin="training", reference=reference)
    for codec in CODECS:
        answer = answer_of(data, codec)

        def counted(answer: bytes = answer) -> None:
            tally, pile, waiting = Tally([basis]), Pile(), 0
            for batch in fetched_of(answer).batches:
                waiting += pile.add(batch, 0)
                if waiting >= TOGETHER:
                    tally.count(pile.lines, NOW)
                    pile.clear()
                    waiting = 0
            tally.count(pile.lines, NOW)
            assert tally.drain().told == {"counted": count}

        def read(answer: bytes = answer) -> None:
            pile, taken = Pile(), 0
            for batch in fetched_of(answer).batches:
                taken += pile.add(batch, 0)
                pile.clear()
            assert taken == count

        def read_by_aiokafka(answer: bytes = answer) -> None:
            assert sum(1 for _ in messages_of(answer)) == count

        size = f"{len(answer) / count:,.0f} bytes each, {codec}"
        for system, what, measured in (
            (SYSTEM, f"{COUNTED}, {size}", counted),
            (SYSTEM, f"Kafka's answers as lines, {size}", read),
            ("aiokafka", f"Kafka's answers as messages, {size}", read_by_aiokafka),
        ):
            yield Rate(
                system=system,
                what=what,
                unit="messages",
                count=count,
                seconds=best(measured, repetitions),
                is_ours=system == SYSTEM,
            )


def messages_of(answer: bytes) -> Iterator[ConsumerRecord]:
    """As aiokafka's consumer makes them."""
    memory = MemoryRecords(answer)
    while memory.has_next():
        batch = memory.next_batch()
        assert batch is not None
        assert batch.validate_crc()
        for one in batch:
            yield ConsumerRecord(
                "records",
                0,
                one.offset,
                one.timestamp,
                one.timestamp_type,
                one.key,
                one.value,
                one.checksum,
                len(one.key or b""),
                len(one.value or b""),
                tuple(one.headers),
            )
