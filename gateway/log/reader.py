"""Whole lines of a segment, while it is written and after.

Of an `.open` file, what stands before the first NUL is there; lines are complete up to the
last newline before it. A reader that holds the file keeps its place when the sealer cuts
and renames it, and even when it is unlinked.

Cost: one pread, one of 4 KiB before a long one, and one stat where nothing new is there. Nothing
      is parsed, and a long read is not copied again.
Rule 1: `data` ends with a newline or is empty; `next_offset` is where the next line begins.
Rule 2: `is_final`: the segment is sealed, and everything in it has been read.
Rule 3: before an `.open` file of a dead writer is read, the sealer should have repaired it: its
        damaged tail may hold newlines.

Knows nothing of records. The shipper, the store and `gateway log` read with it.
"""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType
from typing import Self

from msgspec import Struct

from gateway.log.files import LogError, is_still_at, why
from gateway.log.names import SegmentName, list_segments

DEFAULT_BYTES = 512 * 1024
END_BYTES = 4096  # looked at first for where the last whole line of a long read ends


class SegmentGone(LogError):
    """The file is not there any more: it was delivered, or dropped to make room."""

    reason = "segment_gone"


class Chunk(Struct, frozen=True):
    """Some whole lines."""

    data: bytes  # each line with its newline
    next_offset: int
    is_final: bool


class SegmentReader:
    """One segment, held open."""

    def __init__(self, path: Path) -> None:
        """Open the segment under this name, or under its sealed one; SegmentGone if neither is."""
        name = SegmentName.parse(path.name)
        if name is None:
            raise LogError(f"{path} is no segment of the log.")
        self.segment = name.segment
        self._sealed_path = path.with_name(name.segment)
        self._fd = _opened(path, self._sealed_path)
        self._is_sealed = False

    def read(self, offset: int, limit_bytes: int = DEFAULT_BYTES) -> Chunk:
        """Lines from `offset` on, at least one if there is one; about `limit_bytes` at most."""
        # Why: asked before reading, so that what was sealed in between is read once more.
        is_sealed = self._asks_whether_sealed()
        size = size_of_lines(self._fd, offset, max(limit_bytes, 1))
        while True:
            data = os.pread(self._fd, size, offset)
            is_all = len(data) < size
            lines, has_more = _whole_lines(data, is_sealed=is_sealed)
            if lines or is_all or not has_more:
                break
            size *= 2
        next_offset = offset + len(lines)
        # Why `is_all`: bytes without a newline at the end of a sealed file are nobody's line.
        at_end = is_all or next_offset >= os.fstat(self._fd).st_size
        return Chunk(lines, next_offset, is_sealed and at_end)

    def reaches(self, offset: int) -> bool:
        """Whether something is written at the offset."""
        return os.pread(self._fd, 1, offset) not in {b"", b"\0"}

    def _asks_whether_sealed(self) -> bool:
        # Why links: only a sealed segment is unlinked while there is anything in it.
        self._is_sealed = (
            self._is_sealed
            or is_still_at(self._fd, self._sealed_path)
            or os.fstat(self._fd).st_nlink == 0
        )
        return self._is_sealed

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def read_lines(path: Path, offset: int, limit_bytes: int = DEFAULT_BYTES) -> Chunk:
    """Lines of the segment, under its open or its sealed name; SegmentGone if neither is there."""
    with SegmentReader(path) as reader:
        return reader.read(offset, limit_bytes)


class Tail:
    """What is new in a directory since it was asked last, segment by segment."""

    def __init__(self, directory: Path, *, from_end: bool = False) -> None:
        self._directory = directory
        self._readers: dict[str, SegmentReader] = {}
        self._offsets: dict[str, int] = {}
        if from_end:
            while self.poll():
                pass

    def poll(self, limit_bytes: int = DEFAULT_BYTES) -> list[tuple[str, bytes]]:
        """(segment, whole lines) of each segment that has some; at most so many bytes of each."""
        found: list[tuple[str, bytes]] = []
        listed = {
            name.segment: path
            for name, path in list_segments(self._directory)
            if name.state != "new"
        }
        for segment, path in listed.items():
            data = self._next_of(segment, path, limit_bytes)
            if data:
                found.append((segment, data))
        for segment in self._offsets.keys() - listed.keys():
            del self._offsets[segment]
            self._forget(segment)
        return found

    def close(self) -> None:
        for segment in list(self._readers):
            self._forget(segment)

    def _next_of(self, segment: str, path: Path, limit_bytes: int) -> bytes:
        offset = self._offsets.get(segment, 0)
        if offset < 0:  # read to its end
            return b""
        reader = self._readers.get(segment)
        if reader is None:
            try:
                reader = self._readers[segment] = SegmentReader(path)
            except SegmentGone:
                return b""
        chunk = reader.read(offset, limit_bytes)
        self._offsets[segment] = -1 if chunk.is_final else chunk.next_offset
        if chunk.is_final:
            self._forget(segment)
        return chunk.data

    def _forget(self, segment: str) -> None:
        reader = self._readers.pop(segment, None)
        if reader is not None:
            reader.close()


def size_of_lines(fd: int, offset: int, most: int) -> int:
    """How much to read from the offset on so that a line ends there; `most` if none is known to.

    Why: what is read behind the last newline is cut off, and cutting copies all of the rest.
    """
    begin = most - END_BYTES
    if begin <= END_BYTES:
        return most
    end = os.pread(fd, END_BYTES, offset + begin)
    newline = end.rfind(b"\n")
    return begin + newline + 1 if newline >= 0 and len(end) == END_BYTES else most


def _opened(path: Path, sealed_path: Path) -> int:
    for candidate in (path, sealed_path):
        try:
            return os.open(candidate, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise LogError(f"{candidate} cannot be read: {why(error)}.") from None
    raise SegmentGone(f"The segment {sealed_path.name} is not there any more.")


def _whole_lines(data: bytes, *, is_sealed: bool) -> tuple[bytes, bool]:
    """The lines that are complete, and whether bytes of another follow that may be further on."""
    end = len(data) if is_sealed else data.find(b"\0")
    has_more = end == len(data) or end < 0
    end = len(data) if end < 0 else end
    return data[: data.rfind(b"\n", 0, end) + 1], has_more
