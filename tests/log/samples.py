"""Lines and segments as a worker leaves them."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from gateway.log.names import SegmentName
from gateway.messages import RECORD_VERSION, Feedback, Payload, Record, Timing

STREAM = "w0-0198c0ffee00beef"
OTHER = "w1-0198c0ffee00cafe"
SIZE = 16 * 1024


def record(seq: int, *, stream: str = STREAM, request_id: str = "r") -> Record:
    return Record(
        v=RECORD_VERSION,
        id=f"0198c0ff-ee00-7000-8000-{seq:012d}",
        request_id=request_id,
        time=f"2026-11-21T12:00:{seq % 60:02d}.000000Z",
        kind="prediction",
        gateway="g",
        worker=0,
        stream=stream,
        seq=seq,
        plan="0" * 16,
        outcome="ok",
        status=200,
        timing=Timing(total_us=1200 + seq),
        request=Payload(bytes=100),
        response=Payload(bytes=200),
    )


def feedback(seq: int, *, stream: str = STREAM) -> Feedback:
    return Feedback(
        v=RECORD_VERSION,
        id=f"0198c0ff-ee00-7000-9000-{seq:012d}",
        time="2026-11-21T12:01:00.000000Z",
        kind="feedback",
        gateway="g",
        worker=0,
        stream=stream,
        seq=seq,
        request_id="r",
        signal="thumbs",
        value=msgspec.Raw(b"true"),
    )


def line(seq: int, *, stream: str = STREAM, request_id: str = "r") -> bytes:
    return msgspec.json.encode(record(seq, stream=stream, request_id=request_id))


def lines(first: int, last: int, *, stream: str = STREAM) -> bytes:
    return b"".join(line(seq, stream=stream) + b"\n" for seq in range(first, last + 1))


def leave_open(
    directory: Path, number: int, content: bytes, *, stream: str = STREAM, size: int = SIZE
) -> Path:
    """An `.open` file whose writer is gone: the content, then zeros."""
    path = directory / SegmentName(stream, number, "open").file_name
    path.write_bytes(content.ljust(size, b"\0"))
    return path


@contextmanager
def held(path: Path) -> Iterator[int]:
    """The lock on a file as its writer has it."""
    fd = os.open(path, os.O_RDWR)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield fd
    finally:
        os.close(fd)


def tree(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(directory.iterdir())}


def names(paths: Iterable[Path]) -> list[str]:
    return sorted(path.name for path in paths)
