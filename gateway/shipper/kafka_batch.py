"""A finished record batch, in the form in which aiokafka's producer takes one.

The records come from `_fast` ready to be sent; here they are compressed and get the header
of their batch. Producer id and sequence are known only when the producer sends it.

Why not aiokafka's own builder: it takes a call a record, 1.7 us with our headers, and its
zstd has the broker's level and new tables for each batch (3 us a record; 1.6 here).

Rule: built once, however often it is sent: the same sequence is the same bytes.
"""

from __future__ import annotations

import gzip
import struct
from collections.abc import Callable
from typing import Any

import cramjam
import zstandard
from aiokafka.codec import snappy_encode
from aiokafka.producer.message_accumulator import BatchBuilder

from gateway._fast import Pack, crc32c

# Base offset, length behind this field, leader's epoch, magic, CRC; attributes, last offset,
# first and last time, producer's id and epoch, sequence, count.
HEADER = struct.Struct(">qiibIhiqqqhii")
BEHIND_LENGTH = 12
CRC_AT, CHECKED_FROM = 17, 21
MAGIC = 2
GZIP_LEVEL = 5

# Level 1 but for window and table: 256 KiB and 8,192 entries instead of 512 KiB and 16,384.
# Why: the table stays in the processor's first cache, the window in its second; a batch of
# 300 KiB takes a quarter less time and is a hundredth smaller (bench/micro/compression.py).
ZSTD = zstandard.ZstdCompressionParameters(
    strategy=zstandard.STRATEGY_FAST,
    window_log=18,
    hash_log=13,
    chain_log=13,
    search_log=1,
    min_match=7,
)
# Why kept: a new one would have to be given its tables each time.
_compressor = zstandard.ZstdCompressor(compression_params=ZSTD)


def _lz4(data: memoryview) -> bytes:
    # Why unlinked: brokers read blocks that stand alone only.
    compressor = cramjam.lz4.Compressor(level=1, content_checksum=False, block_linked=False)
    compressor.compress(bytes(data))
    return bytes(compressor.finish())


def _zstd(data: memoryview) -> bytes:
    return _compressor.compress(data)


def _gzip(data: memoryview) -> bytes:
    return gzip.compress(data, GZIP_LEVEL, mtime=0)


# By the configuration's name: the number in the batch's attributes, and what compresses.
CODECS: dict[str, tuple[int, Callable[[memoryview], bytes] | None]] = {
    "none": (0, None),
    "gzip": (1, _gzip),
    "snappy": (2, snappy_encode),
    "lz4": (3, _lz4),
    "zstd": (4, _zstd),
}


class RecordBatch(BatchBuilder):  # type: ignore[misc]
    """Takes the place of a builder that is full and closed."""

    def __init__(self, pack: Pack, compression: str) -> None:
        super().__init__(0, 0)
        self._buffer: bytearray | None = None
        self._closed = True
        self._relative_offset = pack.count
        self._pack = pack
        self._producer = (-1, -1, -1)  # id, epoch, first sequence
        self._attributes, self._bytes = _compressed(pack.data, compression)

    def size(self) -> int:
        return len(self._bytes)

    def append(self, **_: Any) -> None:
        """Nothing: it is full."""

    def _set_producer_state(self, producer_id: int, epoch: int, sequence: int) -> None:
        self._producer = (producer_id, epoch, sequence)

    def _build(self) -> bytearray:
        if self._buffer is None:
            pack, data = self._pack, self._bytes
            first, last, count = pack.first_ms, pack.last_ms, pack.count
            fields = (self._attributes, count - 1, first, last, *self._producer, count)
            HEADER.pack_into(data, 0, 0, len(data) - BEHIND_LENGTH, -1, MAGIC, 0, *fields)
            crc = crc32c(memoryview(data)[CHECKED_FROM:])
            struct.pack_into(">I", data, CRC_AT, crc)
            self._buffer = data
        return self._buffer


def _compressed(data: bytearray, compression: str) -> tuple[int, bytearray]:
    """The attributes, and room for the header with the records behind it."""
    number, compress = CODECS[compression]
    if compress is None:
        return 0, data
    packed = compress(memoryview(data)[HEADER.size :])
    if len(packed) >= len(data) - HEADER.size:
        return 0, data
    return number, bytearray(HEADER.size) + packed
