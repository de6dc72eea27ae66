"""What there is to ship: every segment of the directory, and how far each stream has come.

A Shelf is a picture of one moment; the Surveyor takes the next one. Sealed segments are as
the manifest says, and never change. Of an open segment the end is found by probing: it is
preallocated with zeros and no line holds one, so a gallop and a bisection of one-byte
reads find the end of the data, and the last line before it has the latest number.

Cost: some twenty system calls for an open segment that grew, two for one that did not;
      two to sync one that grew; nothing a record.
Rule: a picture may be older than the disk, never ahead of it: a segment said to be sealed
      grows no more, a record said to be appended is there, or was.

Knows nothing of sinks. Blocking; one call at a time.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec
from msgspec import Struct

from gateway.log.lines import MalformedLine, Place, place_of
from gateway.log.names import SegmentName, list_segments

TAIL_BYTES = 16 * 1024


class Extent(Struct, frozen=True, kw_only=True):
    """What a segment holds."""

    first_seq: int  # 0: not known
    last_seq: int  # 0: nothing yet
    records: int  # 0: not counted, the segment is open
    bytes: int


class Item(Struct, frozen=True, kw_only=True):
    """One segment."""

    name: SegmentName
    path: Path
    extent: Extent

    @property
    def number(self) -> int:
        return self.name.number

    @property
    def is_sealed(self) -> bool:
        return self.name.state == "sealed"


class Shelf(Struct, frozen=True, kw_only=True):
    """Everything at one moment."""

    streams: Mapping[str, tuple[Item, ...]] = {}  # by number
    writing: frozenset[str] = frozenset()  # streams that have a file of any kind
    appended: Mapping[str, int] = {}  # the latest `seq` ever seen, of each stream ever seen
    delivered: Mapping[str, int] = {}  # the latest `seq` in a segment that every sink had

    def after(self, stream: str, number: int) -> Item | None:
        """The first segment of the stream from this number on."""
        return next((each for each in self.streams.get(stream, ()) if each.number >= number), None)

    def items(self) -> Iterable[Item]:
        return (item for items in self.streams.values() for item in items)


def place_in(line: bytes) -> Place | None:
    """Where the line stands; None where it is no line of the log."""
    try:
        return place_of(line)
    except MalformedLine:
        return None


def measure(path: Path) -> Extent:
    """The extent of a sealed segment that the manifest does not know; reads all of it."""
    lines = [place for line in path.read_bytes().splitlines() if (place := place_in(line))]
    if not lines:
        return Extent(first_seq=0, last_seq=0, records=0, bytes=path.stat().st_size)
    return Extent(
        first_seq=lines[0].seq,
        last_seq=lines[-1].seq,
        records=len(lines),
        bytes=path.stat().st_size,
    )


class OpenEnd:
    """Follows the end of one open segment."""

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self.inode = os.fstat(self._fd).st_ino
        self._synced = self._end = 0
        self.extent = Extent(first_seq=0, last_seq=0, records=0, bytes=0)

    def close(self) -> None:
        os.close(self._fd)

    def look(self) -> None:
        """Find the end anew."""
        if self._has(self._end):
            self._end = self._find_end()
            self._read_tail()
            self._read_head()

    def sync(self) -> None:
        """Bring to the disk what is not there.

        Why the end of the latest look: finding it anew costs as much as the rest of a sync. What
        came since is on the disk as well; it is seen once more, by a sync that has little to do.
        """
        end = self._end
        if self._has(self._synced):
            os.fdatasync(self._fd)
            self._synced = end

    def _has(self, offset: int) -> bool:
        return os.pread(self._fd, 1, offset) not in {b"", b"\0"}

    def _find_end(self) -> int:
        """An offset behind data and before a zero, or the end of the file."""
        step, low = 1024, self._end
        while self._has(low + step):
            low, step = low + step, step * 2
        high = low + step
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self._has(middle) else (low, middle)
        return high

    def _read_tail(self) -> None:
        """Take the latest whole line before the end, if there is one since the last look."""
        known, size = self.extent, TAIL_BYTES
        while True:
            begin = max(known.bytes, self._end - size)
            tail = os.pread(self._fd, self._end - begin, begin)
            stop = tail.rfind(b"\n")
            start = tail.rfind(b"\n", 0, max(stop, 0))
            if stop >= 0 and (start >= 0 or begin == known.bytes):
                break
            if begin == known.bytes:
                return
            size *= 4
        place = place_in(tail[start + 1 : stop])
        if place is not None:
            self.extent = msgspec.structs.replace(known, last_seq=place.seq, bytes=begin + stop + 1)

    def _read_head(self) -> None:
        """Take the first line, once."""
        size = TAIL_BYTES
        while self.extent.bytes and not self.extent.first_seq:
            head = os.pread(self._fd, size, 0)
            stop = head.find(b"\n")
            if stop >= 0:
                place = place_in(head[:stop])
                first_seq = place.seq if place else self.extent.last_seq
                self.extent = msgspec.structs.replace(self.extent, first_seq=first_seq)
            size *= 4


class Surveyor:
    """Takes one picture after the other; keeps what does not change between them."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._sealed: dict[str, Extent] = {}  # by segment name
        self._ends: dict[str, OpenEnd] = {}  # by segment name
        self._appended: dict[str, int] = {}
        self._delivered: dict[str, int] = {}

    def know(self, segment: str, extent: Extent) -> None:
        """A sealed segment, as the manifest has it."""
        self._sealed[segment] = extent
        name = SegmentName.parse(segment)
        if name is not None:
            self._see(name.stream, extent.last_seq)

    def forget(self, segment: str, *, is_delivered: bool) -> None:
        """A segment that was removed."""
        extent, name = self._sealed.pop(segment, None), SegmentName.parse(segment)
        if is_delivered and extent is not None and name is not None:
            latest = max(extent.last_seq, self._delivered.get(name.stream, 0))
            self._delivered[name.stream] = latest

    def look(self) -> Shelf:
        streams: dict[str, list[Item]] = {}
        writing: set[str] = set()
        for name, path in list_segments(self._directory):
            writing.add(name.stream)
            with contextlib.suppress(FileNotFoundError):  # sealed or removed meanwhile
                if name.state != "new":
                    item = Item(name=name, path=path, extent=self._extent(name, path))
                    streams.setdefault(name.stream, []).append(item)
        items = [item for items in streams.values() for item in items]
        self._close_ends({item.name.segment for item in items if not item.is_sealed})
        for segment in self._sealed.keys() - {item.name.segment for item in items}:
            del self._sealed[segment]
        return Shelf(
            streams={stream: tuple(items) for stream, items in streams.items()},
            writing=frozenset(writing),
            appended=dict(self._appended),
            delivered=dict(self._delivered),
        )

    def sync(self) -> None:
        """Bring to the disk what open segments hold that is not there."""
        for end in list(self._ends.values()):
            end.sync()

    def close(self) -> None:
        self._close_ends(set())

    def _extent(self, name: SegmentName, path: Path) -> Extent:
        if name.state == "open":
            extent = self._end(name, path).extent
        else:
            if name.segment not in self._sealed:
                self._sealed[name.segment] = measure(path)
            extent = self._sealed[name.segment]
        self._see(name.stream, extent.last_seq)
        return extent

    def _end(self, name: SegmentName, path: Path) -> OpenEnd:
        end = self._ends.get(name.segment)
        if end is None:
            end = self._ends[name.segment] = OpenEnd(path)
        end.look()
        return end

    def _see(self, stream: str, seq: int) -> None:
        if seq > self._appended.get(stream, 0):
            self._appended[stream] = seq

    def _close_ends(self, kept: set[str]) -> None:
        for segment in self._ends.keys() - kept:
            self._ends.pop(segment).close()
