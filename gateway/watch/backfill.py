"""Counting what was recorded before anybody counted: from the store, and from the log's files.

A segment is counted as a whole, on the bases that it was not counted on before, in one
transaction with a note that says so: killed anywhere, run again, run for another stretch or
beside a gateway that counts, every line counts once on each basis. Where the log's reader
counts from some line of a stream on, this counts up to that line; and where this was first,
that one leaves these lines to it (`kept`, Rule 2).

Rule 1: the oldest segments first, so that minutes are summed into hours on the way.
Rule 2: of a segment that is still written only what the log's reader has passed is counted.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

from msgspec import Struct

from gateway.log.lines import MalformedLine, place_of
from gateway.log.names import SegmentName, list_segments
from gateway.log.reader import SegmentGone, SegmentReader
from gateway.store import Store
from gateway.watch.basis import Basis
from gateway.watch.kept import Kept
from gateway.watch.tally import Tally

CHUNK_LINES = 2000
CHUNK_BYTES = 4 * 2**20
MINUTE_US = 60_000_000

Read = Callable[[], Iterator[bytes]]
Id = tuple[str, str]  # of a basis: its name, and the route


class Piece(Struct, frozen=True):
    """A segment that was counted, or had nothing to count."""

    segment: str
    lines: int  # that were read
    bases: int  # that it was counted on


class Backfill:
    """One run; blocking."""

    def __init__(
        self,
        bases: Sequence[Basis],
        kept: Kept,
        store: Store,
        log: Path,
        *,
        keep: int = 24 * 60,
        lateness: int = 10,
    ) -> None:
        """`kept` is of the part `BACKFILL`; `keep` and `lateness` are minutes."""
        self._bases = {(one.name, one.route): one for one in bases}
        self._kept, self._store, self._log = kept, store, log
        self._on = list(self._bases)  # what the tally counts on
        self._tally = Tally(bases, keep, lateness=lateness, recall=kept.value, can_repeat=False)
        self._tally.restore(*kept.begin())

    def run(self, since_minute: int, now_minute: int) -> Iterator[Piece]:
        """Counts each segment that holds anything since then; the oldest first."""
        for name, read in self._segments(since_minute):
            try:
                yield self._fill(name, read, now_minute)
            except SegmentGone:  # to the store, a moment ago
                stored = functools.partial(self._stored, name.segment)
                yield self._fill(name.as_state("sealed"), stored, now_minute)

    def told(self) -> dict[str, int]:
        """Lines by result, of this run and those before."""
        return dict(self._tally.told)

    def _segments(self, since_minute: int) -> list[tuple[SegmentName, Read]]:
        found: dict[str, tuple[int, SegmentName, Read]] = {}
        for name, path in list_segments(self._log):
            changed_us = int(path.stat().st_mtime * 1e6) if path.exists() else 0
            if name.state != "new" and changed_us >= since_minute * MINUTE_US:
                found[name.segment] = (changed_us, name, functools.partial(_read, path))
        for segment, last_us in self._store.segments(since_minute * MINUTE_US).items():
            parsed = SegmentName.parse(segment)
            if parsed is not None:
                found[segment] = (last_us, parsed, functools.partial(self._stored, segment))
        ordered = sorted(found.values(), key=lambda one: (one[0], one[1].stream, one[1].number))
        return [(name, read) for _, name, read in ordered]

    def _stored(self, segment: str) -> Iterator[bytes]:
        return _joined(self._store.lines_of(segment) or ())

    def _fill(self, name: SegmentName, read: Read, now_minute: int) -> Piece:
        unfilled = self._kept.unfilled(list(self._bases), name.segment)
        # Why 1: of that stream every line is the other's.
        wanted = [one for one in unfilled if self._kept.first(one, name.stream) != 1]
        chunks = list(read()) if wanted else []
        last = _last_seq(chunks)
        if not last:
            return Piece(name.segment, 0, 0)
        by_ceiling: dict[int, list[Id]] = {}
        for one in wanted:
            if name.state == "open" and not 0 < self._kept.first(one, name.stream) <= last + 1:
                continue
            ceiling = min(self._kept.claim_back(one, name.stream, last, now_minute), last)
            by_ceiling.setdefault(ceiling, []).append(one)
        for ceiling, ids in by_ceiling.items():
            if ids != self._on:
                self._tally.use([self._bases[one] for one in ids])
                self._on = ids
            for chunk in chunks:
                if ceiling == last:
                    self._tally.count(chunk, now_minute)
                elif _seq(chunk.partition(b"\n")[0]) <= ceiling:
                    self._tally.count(_up_to(chunk, ceiling), now_minute)
        filled = [one for ids in by_ceiling.values() for one in ids]
        self._kept.save(self._tally.drain(), filled=filled, segment=name.segment, now=now_minute)
        return Piece(name.segment, sum(chunk.count(b"\n") for chunk in chunks), len(filled))


def _read(path: Path) -> Iterator[bytes]:
    with SegmentReader(path) as reader:
        offset = 0
        while data := reader.read(offset, CHUNK_BYTES).data:
            yield data
            offset += len(data)


def _joined(lines: Iterable[bytes]) -> Iterator[bytes]:
    left = iter(lines)
    while some := list(islice(left, CHUNK_LINES)):
        yield b"\n".join(some) + b"\n"


def _last_seq(chunks: Sequence[bytes]) -> int:
    """The highest number that is in the segment; 0 none."""
    for chunk in reversed(chunks):
        for line in reversed(chunk.splitlines()):
            seq = _seq(line)
            if seq:
                return seq
    return 0


def _up_to(chunk: bytes, ceiling: int) -> bytes:
    """The lines whose numbers are at most so high."""
    lines = chunk.splitlines(keepends=True)
    return b"".join(line for line in lines if 0 < _seq(line) <= ceiling)


def _seq(line: bytes) -> int:
    try:
        return place_of(line).seq
    except MalformedLine:
        return 0
