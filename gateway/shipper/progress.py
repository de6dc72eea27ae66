"""How far the sinks are, and what follows for sealed segments: delivered, or read much later.

Knows nothing of files.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from msgspec import Struct

from gateway.shipper.checkpoint import Checkpoint
from gateway.shipper.shelf import Item, Shelf

NEAR_BYTES = 32 << 20  # in front of a sink, of each stream: what it reads within seconds


class Progress(Struct, frozen=True, kw_only=True):
    """How far the sinks are: durable checkpoints of each, and segments that one is reading."""

    sinks: tuple[Mapping[str, Checkpoint], ...] = ()
    in_use: frozenset[str] = frozenset()


def delivered(shelf: Shelf, progress: Progress) -> Iterator[Item]:
    """Sealed segments that every sink is behind, durably; none without a sink."""
    for item in shelf.items():
        if not item.is_sealed or not progress.sinks:
            continue
        if all(_is_behind(sink.get(item.name.stream), item) for sink in progress.sinks):
            yield item


def distant(shelf: Shelf, progress: Progress) -> Iterator[Item]:
    """Sealed segments that some sink still has to get to, and none will soon.

    Why not of a stream that nobody writes: no new segment is in want of their memory.
    """
    for stream, items in shelf.streams.items():
        if items[-1].is_sealed:
            continue
        near: set[str] = set(progress.in_use)
        wanted: set[str] = set()
        for sink in progress.sinks:
            ahead = [item for item in items if not _is_behind(sink.get(stream), item)]
            wanted.update(item.name.segment for item in ahead)
            near.update(_near(ahead))
        for item in items:
            segment = item.name.segment
            if item.is_sealed and segment in wanted and segment not in near:
                yield item


def _near(ahead: Iterable[Item]) -> Iterator[str]:
    """The first of these, as far as NEAR_BYTES reach."""
    before = 0
    for item in ahead:
        if before >= NEAR_BYTES:
            return
        yield item.name.segment
        before += item.extent.bytes


def _is_behind(checkpoint: Checkpoint | None, item: Item) -> bool:
    return checkpoint is not None and (
        checkpoint.number > item.number
        or (checkpoint.number == item.number and checkpoint.offset >= item.extent.bytes)
    )
