"""Where one sink is in each stream, and what comes next there.

A Tail follows one stream for one sink: its settled place is the sink's checkpoint, `next`
reads what follows, `settle` moves on once that was acknowledged. A Source has one Tail a
stream and lets them take turns, so that a busy stream, or a long backlog, holds no other up.

    open segment      read up to the last newline before the first zero byte
    sealed segment    read to its end, then the next number that is there
    a number is gone  it was dropped: what the next segment begins with says how much

Cost: a chunk is read with one system call, after a look at one byte for each doubling of its
      size, so that at most half of what is read is behind the lines; only its first and last
      line are decoded, the lines between are counted. A gap in `seq` is a line that was dropped.
Rule 1: a Tail leaves a segment only when a picture says that it is sealed, or gone.
Rule 2: `next` changes nothing that is settled; asked twice, it answers the same.
Rule 3: lines that were settled are passed over, whatever the offset says, so that a segment
        which was written anew (a person forgotten) is neither sent twice nor missed.

Knows nothing of sinks; `shipper` keeps what is settled in checkpoints. Blocking reads of
files that are in the page cache, or nearly so.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from datetime import datetime

from msgspec import Struct
from msgspec.structs import replace

from gateway._fast import count_lines
from gateway.log.lines import Place
from gateway.log.reader import SegmentGone, SegmentReader
from gateway.shipper.checkpoint import Checkpoint
from gateway.shipper.shelf import Item, Shelf, place_in
from gateway.shipper.sink import Batch

FIRST_READ_BYTES = 16 * 1024


class Piece(Struct, frozen=True, kw_only=True):
    """A batch, and where its stream is once it is delivered."""

    batch: Batch
    after: Checkpoint
    due_s: float  # seconds since 1970 when the first of it could have been delivered


class Tail:
    """One stream, as one sink has it."""

    def __init__(self, settled: Checkpoint, *, sealed_only: bool) -> None:
        self.settled = settled
        self.damaged = 0  # lines that were none
        self._sealed_only = sealed_only
        self._file: _File | None = None

    @property
    def stream(self) -> str:
        return self.settled.stream

    def next(self, shelf: Shelf, limit: int) -> Piece | None:
        """What follows the settled place; None where nothing does, yet."""
        if self._sealed_only:
            return self._next_segment(shelf)
        while (item := shelf.after(self.stream, self.settled.number)) is not None:
            try:
                piece = self._next_lines(item, limit)
            except (FileNotFoundError, SegmentGone):  # removed since the picture was taken
                self.close()
                return None
            if piece is not None:
                return piece
            if not item.is_sealed:
                return None
            self.settled = replace(self.settled, number=item.number + 1, offset=0, inode=0)
        return None

    def settle(self, piece: Piece) -> None:
        """The piece was delivered."""
        self.settled = piece.after

    def drop_until(self, seq: int) -> None:
        """What is left of the stream up to here is gone for good."""
        gap = seq - self.settled.seq
        if gap > 0:
            self.settled = replace(self.settled, seq=seq, dropped=self.settled.dropped + gap)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    # -- whole segments

    def _next_segment(self, shelf: Shelf) -> Piece | None:
        settled = self.settled
        item = shelf.after(self.stream, settled.number)
        while item is not None and item.is_sealed and item.extent.last_seq <= settled.seq:
            item = shelf.after(self.stream, item.number + 1)
        if item is None or not item.is_sealed:
            return None
        extent = item.extent
        batch = Batch(
            stream=self.stream,
            segment=item.name.segment,
            records=extent.records,
            first_seq=extent.first_seq,
            last_seq=extent.last_seq,
            path=item.path,
        )
        after = _after(settled, batch, item.number + 1, 0, 0)
        return Piece(batch=batch, after=after, due_s=_changed_s(item))

    # -- lines

    def _next_lines(self, item: Item, limit: int) -> Piece | None:
        file = self._opened(item)
        while data := file.lines(limit):
            begin = file.offset
            kept, place, last = self._unsettled(data)
            if kept:
                batch = Batch(
                    stream=self.stream,
                    segment=item.name.segment,
                    records=count_lines(kept),
                    first_seq=place.seq,
                    last_seq=last.seq,
                    data=kept,
                )
                after = _after(self.settled, batch, item.number, begin + len(data), file.inode)
                return Piece(batch=batch, after=after, due_s=_seconds(place.time))
            file.offset = begin + len(data)
            self.settled = replace(
                self.settled, number=item.number, offset=file.offset, inode=file.inode
            )
        return None

    def _opened(self, item: Item) -> _File:
        """The file of the segment, at the settled place, or at its begin where that is no place."""
        file = self._file
        if file is not None and (file.number != item.number or not file.is_at(item)):
            self.close()
            file = None
        if file is None:
            file = self._file = _File(item)
        is_same = self.settled.number == item.number and self.settled.inode == file.inode
        file.offset = self.settled.offset if is_same else 0
        return file

    def _unsettled(self, data: bytes) -> tuple[bytes, Place, Place]:
        """The lines that were not settled, the first and the last of them; b"" none."""
        begin, end = data.find(b"\n"), data.rfind(b"\n", 0, len(data) - 1)
        first, last = place_in(data[:begin]), place_in(data[end + 1 : -1])
        if first and last and first.seq > self.settled.seq:
            return data, first, last
        if last and last.seq <= self.settled.seq:
            return b"", last, last
        return self._sifted(data)

    def _sifted(self, data: bytes) -> tuple[bytes, Place, Place]:
        """Line by line: what begins before the settled place, or holds what is no line."""
        kept: list[bytes] = []
        first = last = Place("", 0)
        for line in data[:-1].split(b"\n"):
            place = place_in(line)
            if place is None:
                self.damaged += 1
            elif place.seq > max(last.seq, self.settled.seq):
                first = first if kept else place
                last = place
                kept.append(line)
        return b"".join(line + b"\n" for line in kept), first, last


class Source:
    """Every stream, as one sink has it."""

    def __init__(self, checkpoints: Mapping[str, Checkpoint], *, sealed_only: bool) -> None:
        self._sealed_only = sealed_only
        self.tails = {
            stream: Tail(settled, sealed_only=sealed_only)
            for stream, settled in checkpoints.items()
        }
        self._turns = deque(self.tails.values())

    def see(self, shelf: Shelf) -> None:
        """Begin to follow streams that are new."""
        for stream in shelf.streams.keys() - self.tails.keys():
            before = shelf.delivered.get(stream, 0)
            settled = Checkpoint(stream=stream, seq=before, before=before)
            tail = self.tails[stream] = Tail(settled, sealed_only=self._sealed_only)
            self._turns.append(tail)

    def next(self, shelf: Shelf, limit: int) -> tuple[Tail, Piece] | None:
        """What comes next, from the stream whose turn it is or the first after it that has any."""
        for _ in range(len(self._turns)):
            tail = self._turns[0]
            self._turns.rotate(-1)
            piece = tail.next(shelf, limit)
            if piece is not None:
                return tail, piece
        return None

    def forget(self, stream: str) -> None:
        """The stream has ended and is settled."""
        tail = self.tails.pop(stream)
        self._turns.remove(tail)
        tail.close()

    def close(self) -> None:
        for tail in self.tails.values():
            tail.close()


class _File:
    """One open file of a segment, and an offset into it."""

    def __init__(self, item: Item) -> None:
        self.number = item.number
        self.offset = 0
        self._reader = SegmentReader(item.path)
        self.inode = _inode(item)

    def close(self) -> None:
        self._reader.close()

    def is_at(self, item: Item) -> bool:
        """Whether this is the file that the segment's name stands for."""
        # Why only sealed ones: until then nobody writes a segment anew, and its name changes.
        return not item.is_sealed or item.path.stat().st_ino == self.inode

    def lines(self, limit: int) -> bytes:
        """Whole lines from the offset on, about so many bytes; b"" where there is none."""
        size = min(FIRST_READ_BYTES, limit)
        # Why looked for: behind the lines of an open segment are zeros, which cost time to copy.
        while size < limit and self._reader.reaches(self.offset + size):
            size = min(2 * size, limit)
        return self._reader.read(self.offset, size).data


def _inode(item: Item) -> int:
    """Of the segment's file; the picture may be older than its last renaming."""
    try:
        return item.path.stat().st_ino
    except FileNotFoundError:
        return item.path.with_name(item.name.segment).stat().st_ino


def _seconds(time: str) -> float:
    """RFC 3339 as seconds since 1970; 0 where it is none."""
    try:
        return datetime.fromisoformat(time).timestamp()
    except ValueError:
        return 0.0


def _changed_s(item: Item) -> float:
    """When the segment was sealed, or a little before."""
    try:
        return item.path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _after(settled: Checkpoint, batch: Batch, number: int, offset: int, inode: int) -> Checkpoint:
    """The place behind the batch; what is missing between and within was dropped."""
    return replace(
        settled,
        number=number,
        offset=offset,
        inode=inode,
        seq=batch.last_seq,
        shipped=settled.shipped + batch.records,
        dropped=settled.dropped + batch.last_seq - settled.seq - batch.records,
    )


def lost(tail: Tail, shelf: Shelf, in_hand_seq: int = 0) -> int:
    """Lines behind what is settled or in hand that are gone, and not counted as dropped yet."""
    stream, seq = tail.stream, max(tail.settled.seq, in_hand_seq)
    item = shelf.after(stream, tail.settled.number)
    if item is None:
        return max(0, shelf.appended.get(stream, 0) - seq)
    if item.number == tail.settled.number:
        return 0
    return max(0, item.extent.first_seq - 1 - seq)
