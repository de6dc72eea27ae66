"""What is not in the store yet: segments of the log, being written or waiting.

They are opened before the catalog is read. A segment that is then in the catalog is left
out, and one that was delivered meanwhile is still held open: no line is missed, and none
is seen twice.

Cost: a search reads all of them, 64 MiB and about 0.3 s each when full.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec
from msgspec import Struct

from gateway.log.names import SegmentName, list_segments, started_ms
from gateway.log.reader import SegmentGone, SegmentReader
from gateway.store.filters import Filter


class Head(Struct, frozen=True):
    """What is read of a line to know whether it is the one."""

    id: str = ""
    request_id: str = ""
    kind: str = ""
    time: str = ""


_heads = msgspec.json.Decoder(Head)


class LiveSegment:
    """One segment of the log, held open."""

    def __init__(self, name: SegmentName, path: Path) -> None:
        self.segment = name.segment
        self.first_ms = started_ms(name.stream)
        self._reader = SegmentReader(path)
        status = path.stat()
        self._size = status.st_size
        # Why only sealed ones: writes through a mapping change the time of a file late.
        self._last_s = status.st_mtime if name.state == "sealed" else float("inf")

    def close(self) -> None:
        self._reader.close()

    def data(self) -> bytes:
        """Its whole lines."""
        return self._reader.read(0, max(self._size, 1)).data

    def may_hold(self, wanted: Filter) -> bool:
        last_us = int(self._last_s * 1e6) if self._last_s < float("inf") else 1 << 62
        return wanted.overlaps(self.first_ms * 1000, last_us)

    def lines_with(self, key: str) -> Iterator[bytes]:
        """Lines whose id or request id this is."""
        data, needle = self.data(), msgspec.json.encode(key)
        place = data.find(needle)
        while place >= 0:
            begin, end = data.rfind(b"\n", 0, place) + 1, data.find(b"\n", place)
            if end < 0:
                return
            line = data[begin:end]
            head = head_of(line)
            if head is not None and key in {head.id, head.request_id}:
                yield line
            place = data.find(needle, end)


@contextmanager
def live_segments(log_directory: Path) -> Iterator[list[LiveSegment]]:
    """All of them, open."""
    opened: list[LiveSegment] = []
    try:
        for name, path in list_segments(log_directory):
            # What is gone between the listing and the opening is in the store, or was dropped.
            with suppress(SegmentGone, FileNotFoundError):
                if name.state != "new":
                    opened.append(LiveSegment(name, _present(name, path)))
        yield opened
    finally:
        for each in opened:
            each.close()


def without(segments: Collection[LiveSegment], known: Collection[str]) -> list[LiveSegment]:
    """Those that the store does not have."""
    return [each for each in segments if each.segment not in known]


def head_of(line: bytes) -> Head | None:
    try:
        return _heads.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _present(name: SegmentName, path: Path) -> Path:
    """Its path now: it may have been sealed since the directory was listed."""
    return path if os.path.lexists(path) else path.with_name(name.segment)
