"""CRC-32C, by the processor and by the table, beside published values and aiokafka's."""

from __future__ import annotations

import pytest
from aiokafka.record.util import calc_crc32c
from hypothesis import given
from hypothesis import strategies as st

from gateway._fast import crc32c


@pytest.mark.parametrize("by_table", [False, True])
@pytest.mark.parametrize(
    "data, checksum",
    [
        (b"", 0),
        (b"123456789", 0xE3069283),
        (bytes(32), 0x8A9136AA),  # RFC 3720, B.4
        (b"\xff" * 32, 0x62A8AB43),
        (bytes(range(32)), 0x46DD794E),
    ],
)
def test_published_values(data: bytes, checksum: int, *, by_table: bool) -> None:
    assert crc32c(data, by_table=by_table) == checksum


@given(st.binary(max_size=100), st.integers(0, 9))
def test_both_ways_are_aiokafkas(data: bytes, skipped: int) -> None:
    view = memoryview(data)[skipped:]
    assert crc32c(view) == crc32c(view, by_table=True) == calc_crc32c(view)
