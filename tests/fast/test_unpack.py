"""Records of a batch, read as lines, beside aiokafka's own reader."""

from __future__ import annotations

import pytest
from aiokafka.record.default_records import DefaultRecordBatch, DefaultRecordBatchBuilder
from hypothesis import given
from hypothesis import strategies as st

from gateway._fast import entries_of, lines_into

HEADER_BYTES = 61

Sent = tuple[bytes | None, bytes | None, list[tuple[str, bytes | None]]]

sent = st.tuples(
    st.none() | st.binary(max_size=40),
    st.none() | st.binary(max_size=200),
    st.lists(st.tuples(st.text(max_size=5), st.none() | st.binary(max_size=9)), max_size=3),
)


def batch_of(messages: list[Sent]) -> bytes:
    """A whole batch as aiokafka's producer makes it."""
    builder = DefaultRecordBatchBuilder(2, 0, 0, -1, -1, -1, 1 << 20)
    for offset, (key, value, headers) in enumerate(messages):
        builder.append(offset, 1_700_000_000_000 + 7 * offset, key, value, headers)
    return bytes(builder.build())


def lines_of(data: bytes | memoryview, count: int, first: int = 0) -> tuple[bytes, int]:
    """Behind something that is there already, in too little room."""
    room = bytearray(b"before")
    used, taken = lines_into(room, 6, data, count, first)
    assert room.startswith(b"before")
    return bytes(room[6:used]), taken


def line_of(value: bytes | None) -> bytes:
    return b"null" if value is None else value.replace(b"\n", b"\r")


@given(st.lists(sent, min_size=1, max_size=20), st.integers(0, 25))
def test_keys_and_values_are_those_that_aiokafka_reads(messages: list[Sent], first: int) -> None:
    whole = batch_of(messages)
    read = [(one.offset, one.key, one.value) for one in DefaultRecordBatch(whole)]
    assert entries_of(whole[HEADER_BYTES:], len(messages), first) == read[first:]
    lines = b"".join(line_of(value) + b"\n" for _offset, _key, value in read[first:])
    assert lines_of(memoryview(whole)[HEADER_BYTES:], len(messages), first) == (
        lines,
        len(read[first:]),
    )


@given(st.lists(sent, min_size=1, max_size=5), st.data())
def test_what_is_cut_off_is_refused(messages: list[Sent], data: st.DataObject) -> None:
    records = batch_of(messages)[HEADER_BYTES:]
    cut = records[: data.draw(st.integers(1, len(records) - 1))]
    for read in (lines_of, entries_of):
        with pytest.raises(ValueError, match="not the records of a batch"):
            read(cut, len(messages))


@given(st.binary(min_size=1, max_size=60), st.integers(1, 5))
def test_any_bytes_are_records_or_refused(data: bytes, count: int) -> None:
    try:
        lines, taken = lines_of(data, count)
    except ValueError:
        return
    assert lines.count(b"\n") == taken <= count


def test_bytes_behind_the_last_record_are_refused() -> None:
    records = batch_of([(None, b"{}", [])])[HEADER_BYTES:]
    with pytest.raises(ValueError, match="not the records"):
        lines_of(records + b"\0", 1)
    assert lines_of(b"", 0) == (b"", 0)
    assert entries_of(b"", 0) == []
