"""Kafka's record batches read by their definition, and the partition that its clients choose.

https://kafka.apache.org/documentation/#recordbatch
Slow and obvious; knows nothing of how `_fast.kafka` writes them.
"""

from __future__ import annotations

from typing import NamedTuple

HEADER_BYTES = 61


class Message(NamedTuple):
    time_ms: int
    key: bytes | None
    value: bytes
    headers: list[tuple[str, bytes]]


class Reader:
    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def take(self, count: int) -> bytes:
        assert 0 <= count <= len(self.data) - self.at
        self.at += count
        return self.data[self.at - count : self.at]

    def varint(self) -> int:
        number = shift = 0
        while True:
            (byte,) = self.take(1)
            number |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return number >> 1 if number % 2 == 0 else -(number >> 1) - 1

    def sized(self) -> bytes | None:
        length = self.varint()
        return None if length == -1 else self.take(length)


def messages_in(records: bytes, first_ms: int) -> list[Message]:
    """The records behind a batch header, each checked to be as long as it says."""
    reader = Reader(records)
    found: list[Message] = []
    while reader.at < len(records):
        one = Reader(reader.take(reader.varint()))
        assert one.take(1) == b"\0"  # attributes
        time_ms = first_ms + one.varint()
        assert one.varint() == len(found)  # offset
        key, value = one.sized(), one.sized()
        assert value is not None
        headers = []
        for _ in range(one.varint()):
            name, text = one.sized(), one.sized()
            assert name is not None
            assert text is not None
            headers.append((name.decode(), text))
        assert one.at == len(one.data)
        found.append(Message(time_ms, key, value, headers))
    return found


def murmur2(data: bytes) -> int:
    """Appleby's MurmurHash2, 32 bits, with the seed of Kafka's clients."""
    factor, mask = 0x5BD1E995, 0xFFFFFFFF
    hashed = 0x9747B28C ^ len(data)
    while len(data) >= 4:
        word = int.from_bytes(data[:4], "little") * factor & mask
        word = (word ^ word >> 24) * factor & mask
        hashed = (hashed * factor & mask) ^ word
        data = data[4:]
    if data:
        hashed = (hashed ^ int.from_bytes(data, "little")) * factor & mask
    hashed = (hashed ^ hashed >> 13) * factor & mask
    return hashed ^ hashed >> 15


def partition(key: bytes, partitions: int) -> int:
    return (murmur2(key) & 0x7FFFFFFF) % partitions
