"""A writer of segments in plain Python, as the contract of the log has it; a process of its own.

    python -m tests.shipper.segments DIRECTORY PREFIX COUNT SEGMENT_BYTES PER_S TALLY

TALLY is a file with the number of the latest line that was appended, so that whoever kills
the process knows what must arrive: a line counts once its newline is there.
"""

from __future__ import annotations

import contextlib
import fcntl
import mmap
import os
import struct
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from gateway.log.names import new_stream
from gateway.messages import Payload, Record, Timing


def line_of(stream: str, seq: int, size: int = 0) -> bytes:
    """A record as one line without newline, about so many bytes."""
    now = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    record = Record(
        v=1,
        id=f"{stream}-{seq}",
        request_id=f"{stream}-{seq}",
        time=now,
        kind="prediction",
        gateway="test",
        worker=0,
        stream=stream,
        seq=seq,
        plan="p",
        outcome="ok",
        status=200,
        timing=Timing(total_us=1),
        request=Payload(bytes=1),
        response=Payload(bytes=1),
    )
    line = msgspec.json.encode(record)
    if len(line) + 12 < size:
        padded = msgspec.structs.replace(record, user="u" * (size - len(line) - 10))
        line = msgspec.json.encode(padded)
    return line


class SegmentWriter:
    """One stream."""

    def __init__(
        self, directory: Path, prefix: str = "w0", segment_bytes: int = 1 << 20, seq: int = 0
    ) -> None:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.stream = new_stream(prefix)
        self.seq = seq
        self._directory, self._size = directory, segment_bytes
        self._number, self._used = 0, 0
        self._fd = -1
        self._map: mmap.mmap | None = None

    def append(self, size: int = 0) -> int:
        """One record more; its number."""
        self.append_line(line_of(self.stream, self.seq + 1, size))
        return self.seq

    def append_line(self, line: bytes) -> None:
        self.seq += 1
        if self._map is None or self._used + len(line) + 1 > self._size:
            self.roll()
        assert self._map is not None
        begin, end = self._used, self._used + len(line)
        self._map[begin:end] = line
        self._map[end] = 10  # the newline last
        self._used = end + 1

    def skip(self, count: int = 1) -> None:
        """Lines that were dropped before they were written."""
        self.seq += count

    def roll(self) -> None:
        """Close this segment, if there is one, and open the next."""
        self.close()
        self._number += 1
        new = self._directory / f"{self.stream}-{self._number:08d}.ndjson.new"
        self._fd = os.open(new, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.posix_fallocate(self._fd, 0, self._size)
        self._map = mmap.mmap(self._fd, self._size)
        new.rename(new.with_suffix(".open"))
        self._used = 0

    def close(self) -> None:
        """Leave the segment to the sealer."""
        if self._map is not None:
            self._map.close()
            os.close(self._fd)
            self._map = None


def main(directory: str, prefix: str, count: str, size: str, per_s: str, tally: str) -> None:
    """Append so many records, so fast; 0 as fast as it goes."""
    writer = SegmentWriter(Path(directory), prefix, int(size))
    fd = os.open(tally, os.O_RDWR | os.O_CREAT, 0o600)
    os.ftruncate(fd, 8)
    counter = mmap.mmap(fd, 8)
    Path(tally + ".stream").write_text(writer.stream)
    pause_s = 1 / float(per_s) if float(per_s) else 0.0
    for _ in range(int(count)):
        seq = writer.append(300)
        counter[:8] = struct.pack("<Q", seq)
        if pause_s:
            time.sleep(pause_s)
    with contextlib.suppress(KeyboardInterrupt):
        time.sleep(float(os.environ.get("LINGER_S", "0")))
    writer.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
