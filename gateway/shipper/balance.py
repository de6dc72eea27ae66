"""appended = shipped + waiting + dropped, for one sink, from the numbers of the lines alone.

Every line has a number in its stream, without gaps, so what was appended is known from the
latest one, and what is missing between two lines was dropped. Nothing is counted in
memory: checkpoints hold what is settled, the files and the manifest the rest, so a
restart changes no figure.

Rule: a line is counted once, under one of the three, however often it was sent.

Pure; knows nothing of files and time.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from gateway.shipper.checkpoint import Ended
from gateway.shipper.shelf import Item, Shelf
from gateway.shipper.source import Tail, lost


class Balance(Struct, frozen=True, kw_only=True):
    """What became of the lines that one sink should have; `bytes` are of those waiting."""

    shipped: int
    waiting: int
    dropped: int
    bytes: int

    @property
    def appended(self) -> int:
        return self.shipped + self.waiting + self.dropped


def balance_of(
    tails: Iterable[Tail], ended: Ended, shelf: Shelf, in_hand: tuple[str, int] = ("", 0)
) -> Balance:
    """The balance of a sink; `in_hand` is the stream and last number of the batch under way."""
    shipped, dropped, waiting, size = ended.shipped, ended.dropped, 0, 0
    for tail in tails:
        settled = tail.settled
        behind = max(0, shelf.appended.get(tail.stream, 0) - settled.seq)
        gone = lost(tail, shelf, in_hand[1] if in_hand[0] == tail.stream else 0)
        shipped += settled.shipped
        dropped += settled.dropped + gone
        waiting += behind - gone
        size += sum(_bytes_left(item, tail) for item in shelf.streams.get(tail.stream, ()))
    return Balance(shipped=shipped, waiting=waiting, dropped=dropped, bytes=size)


def _bytes_left(item: Item, tail: Tail) -> int:
    settled = tail.settled
    if item.number < settled.number:
        return 0
    if item.number > settled.number:
        return item.extent.bytes
    return max(0, item.extent.bytes - settled.offset)
