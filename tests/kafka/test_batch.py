"""A finished batch, read by aiokafka's own reader."""

from __future__ import annotations

from typing import Any

import pytest
from aiokafka.record.memory_records import MemoryRecords

from gateway._fast import Pack, Packer
from gateway.shipper.kafka import waves
from gateway.shipper.kafka_batch import CODECS, RecordBatch
from tests.kafka.lines import STREAM, record


def packs(count: int, *, partitions: int = 1, room: int = 1 << 20) -> list[Pack]:
    data = b"".join(record(seq) + b"\n" for seq in range(1, count + 1))
    packer = Packer(b"id", b"/gateway/g", b"application/json", 1 << 20)
    found = packer.pack(data, STREAM.encode(), partitions, 0, room, 0)
    assert found is not None
    return found[0]


@pytest.mark.parametrize("compression", CODECS)
def test_batch_reads_as_the_records_that_were_packed(compression: str) -> None:
    (pack,) = packs(100)
    made = RecordBatch(pack, compression)
    made._set_producer_state(77, 3, 1000)
    (batch,) = list_of(MemoryRecords(bytes(made._build())))
    assert batch.validate_crc()
    assert (batch.producer_id, batch.producer_epoch, batch.base_sequence) == (77, 3, 1000)
    read = list(batch)
    assert [message.value for message in read] == [record(seq) for seq in range(1, 101)]
    assert [message.offset for message in read] == list(range(100))
    assert read[0].timestamp == 1795262400001


def list_of(memory: MemoryRecords) -> list[Any]:
    found = []
    while memory.has_next():
        found.append(memory.next_batch())
    return found


@pytest.mark.parametrize("compression", ["gzip", "snappy", "lz4", "zstd"])
def test_compression_makes_it_smaller(compression: str) -> None:
    (pack,) = packs(100)
    assert RecordBatch(pack, compression).size() < len(pack.data) // 2


def test_batch_that_compression_would_lengthen_is_sent_as_it_is() -> None:
    (pack,) = packs(1)
    made = RecordBatch(pack, "gzip")
    assert made.size() <= len(pack.data)
    (batch,) = list_of(MemoryRecords(bytes(made._build())))
    assert batch.validate_crc()


def test_batch_is_the_same_bytes_each_time_it_is_sent() -> None:
    (pack,) = packs(10)
    made = RecordBatch(pack, "zstd")
    made._set_producer_state(1, 0, 0)
    assert made._build() is made._build()


def test_batch_is_full_and_counted_from_the_beginning() -> None:
    (pack,) = packs(10)
    made = RecordBatch(pack, "zstd")
    assert made.closed()
    assert made.record_count() == 10


def test_waves_hold_one_pack_of_each_partition_in_their_order() -> None:
    found = packs(200, partitions=3, room=4000)
    sent = waves(found)
    assert len(sent) > 1
    for wave in sent:
        places = [(pack.is_feedback, pack.partition) for pack in wave]
        assert len(places) == len(set(places))
    for partition in range(3):
        firsts = [p.first_line for wave in sent for p in wave if p.partition == partition]
        assert firsts == sorted(firsts)
    assert sum(map(len, sent)) == len(found)
