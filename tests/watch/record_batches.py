"""Record batches as brokers send them, made by aiokafka's own builder."""

from __future__ import annotations

import struct
from collections.abc import Sequence

from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.util import calc_crc32c

ABORT, COMMIT = 0, 1
CONTROL = 0x20
_ATTRIBUTES_AT, _CRC_AT, _CHECKED_FROM = 21, 17, 21


def batch(
    base: int,
    values: Sequence[bytes | None],
    *,
    keys: Sequence[bytes | None] | None = None,
    codec: int = 0,
    producer: int = -1,
    is_transactional: bool = False,
) -> bytes:
    """Values from offset `base` on."""
    builder = DefaultRecordBatchBuilder(2, codec, is_transactional, producer, 0, 0, 1 << 24)
    for delta, value in enumerate(values):
        key = keys[delta] if keys else None
        builder.append(delta, 1_700_000_000_000 + delta, key, value, [])
    return at(base, bytearray(builder.build()))


def marker(base: int, producer: int, kind: int) -> bytes:
    """The end of a transaction."""
    key = struct.pack(">hh", 0, kind)
    whole = batch(base, [b"\0" * 6], keys=[key], producer=producer, is_transactional=True)
    return attributed(whole, CONTROL)


def attributed(whole: bytes, more: int) -> bytes:
    """With these bits set among its attributes."""
    changed = bytearray(whole)
    (attributes,) = struct.unpack_from(">h", changed, _ATTRIBUTES_AT)
    struct.pack_into(">h", changed, _ATTRIBUTES_AT, attributes | more)
    struct.pack_into(">I", changed, _CRC_AT, calc_crc32c(bytes(changed[_CHECKED_FROM:])))
    return bytes(changed)


def at(base: int, whole: bytearray) -> bytes:
    """With its first offset, which the checksum is not of."""
    struct.pack_into(">q", whole, 0, base)
    return bytes(whole)
