"""What follows for sealed segments from how far the sinks are."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from gateway.log.names import SegmentName
from gateway.shipper.checkpoint import Checkpoint
from gateway.shipper.progress import NEAR_BYTES, Progress, delivered, distant
from gateway.shipper.shelf import Extent, Item, Shelf

STREAM = "w0-019b76daa8000000"
SEGMENT_BYTES = 16 << 20
NEAR = NEAR_BYTES // SEGMENT_BYTES  # segments


def item(number: int, *, is_sealed: bool = True) -> Item:
    name = SegmentName(stream=STREAM, number=number, state="sealed" if is_sealed else "open")
    extent = Extent(first_seq=number, last_seq=number, records=1, bytes=SEGMENT_BYTES)
    return Item(name=name, path=Path(name.segment), extent=extent)


SHELF = Shelf(streams={STREAM: (*map(item, range(1, 9)), item(9, is_sealed=False))})


def at(number: int, offset: int = 0) -> dict[str, Checkpoint]:
    return {STREAM: Checkpoint(stream=STREAM, number=number, offset=offset)}


def numbers(items: Iterable[Item]) -> list[int]:
    return [each.number for each in items]


@pytest.mark.parametrize(
    "sinks, found",
    [
        ((), []),
        (({},), []),
        ((at(9), {}), []),
        ((at(3),), [1, 2]),
        ((at(9), at(3)), [1, 2]),
        ((at(2, SEGMENT_BYTES - 1),), [1]),
        ((at(2, SEGMENT_BYTES),), [1, 2]),
    ],
)
def test_delivered_is_what_every_sink_is_behind(
    sinks: tuple[dict[str, Checkpoint], ...], found: list[int]
) -> None:
    assert numbers(delivered(SHELF, Progress(sinks=sinks))) == found


@pytest.mark.parametrize(
    "sinks, found",
    [
        ((), []),
        (({},), [*range(1 + NEAR, 9)]),
        ((at(3),), [*range(3 + NEAR, 9)]),
        ((at(9),), []),
        ((at(9), at(1)), [*range(1 + NEAR, 9)]),
        ((at(6), at(1)), [*range(1 + NEAR, 6), *range(6 + NEAR, 9)]),
    ],
    ids=["no sink", "new sink", "one", "at the end", "one far behind", "two"],
)
def test_distant_is_what_a_sink_wants_and_none_reads_soon(
    sinks: tuple[dict[str, Checkpoint], ...], found: list[int]
) -> None:
    assert numbers(distant(SHELF, Progress(sinks=sinks))) == found


def test_what_a_sink_reads_is_not_distant() -> None:
    reading = frozenset({item(7).name.segment})
    assert 7 not in numbers(distant(SHELF, Progress(sinks=(at(1),), in_use=reading)))


def test_stream_that_nobody_writes_stays_in_memory() -> None:
    ended = Shelf(streams={STREAM: SHELF.streams[STREAM][:-1]})
    assert numbers(distant(ended, Progress(sinks=({},)))) == []
