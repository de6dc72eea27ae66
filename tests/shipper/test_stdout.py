"""Records as lines of the standard output."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from gateway.shipper.sink import Batch, SinkError
from gateway.shipper.stdout import StdoutSink

STREAM = "w0-0123456789ab0000"


def batch_of(*lines: bytes) -> Batch:
    return Batch(
        stream=STREAM,
        segment=f"{STREAM}-00000001.ndjson",
        records=len(lines),
        first_seq=1,
        last_seq=len(lines),
        data=b"".join(line + b"\n" for line in lines),
    )


async def test_lines_are_printed() -> None:
    reader, writer = os.pipe()
    await StdoutSink(writer).deliver(batch_of(b"one", b"two"))
    assert os.read(reader, 100) == b"one\ntwo\n"
    os.close(reader)
    os.close(writer)


async def test_reader_that_went_is_a_sentence() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with pytest.raises(SinkError, match="cannot write to standard output: Broken pipe"):
        await StdoutSink(writer).deliver(batch_of(b"one"))
    os.close(writer)


async def test_line_that_was_begun_is_finished_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """The device takes half, fails, and is well again."""
    taken = bytearray()
    answers: Iterator[int | OSError] = iter([3, OSError(28, "No space left on device"), 2, 100])

    def write(_descriptor: int, data: memoryview) -> int:
        answer = next(answers)
        if isinstance(answer, OSError):
            raise answer
        taken.extend(data[:answer])
        return min(answer, len(data))

    monkeypatch.setattr(os, "write", write)
    sink, batch = StdoutSink(9), batch_of(b"one", b"two")
    with pytest.raises(SinkError, match="No space left"):
        await sink.deliver(batch)
    await sink.deliver(batch)
    assert bytes(taken) == b"one\ntwo\n"


def test_batch_without_data_has_no_lines() -> None:
    assert batch_of().lines == []
    assert batch_of(b"a", b"").lines == [b"a", b""]
