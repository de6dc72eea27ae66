"""Records of some batches as lines of JSON, one behind the other, in memory that is used again.

    pile.add(batch, first)      again and again; ValueError: the batch is damaged
    pile.lines                  all of them, until the next `clear`
    pile.clear()

Why: lines are looked at once. What is given back and asked for again is cleared by the kernel,
page by page, which costs a fifth of what counting a line does.
"""

from __future__ import annotations

import msgspec

from gateway._fast import lines_into
from gateway.watch.group.fetching import Batch

KEPT_BYTES = 8 * 2**20  # a larger pile is given back
LONGEST_SAMPLE = 200  # bytes of a value that is no MessagePack
FIRST_OF_JSON = b"{"[0]


class Pile:
    """Of one thread."""

    def __init__(self) -> None:
        self._room = bytearray()
        self._used = 0

    @property
    def lines(self) -> bytearray:
        """Each with its newline; whoever keeps them has to copy them."""
        del self._room[self._used :]
        return self._room

    def clear(self) -> None:
        """Forget them."""
        self._used = 0
        if len(self._room) > KEPT_BYTES:
            self._room = bytearray()

    def add(self, batch: Batch, first: int) -> int:
        """Lines of the records from offset `first` on, whatever they are encoded in; how many."""
        records, behind = batch.records(), self._used
        used, taken = lines_into(self._room, behind, records, batch.count, first - batch.base)
        # Why the first byte of a line is enough: no object in MessagePack begins with it.
        if not taken or self._room[behind] == FIRST_OF_JSON:
            self._used = used
            return taken
        lines = b"".join(_line(value) for _key, value in batch.entries(first))
        self._room[behind:] = lines
        self._used = behind + len(lines)
        return taken


def _line(value: bytes | None) -> bytes:
    """One value as a line; what cannot be read is no JSON either, so that it is told."""
    if not value or value[0] == FIRST_OF_JSON:
        return (value or b"null").replace(b"\n", b"\r") + b"\n"
    try:
        return msgspec.json.encode(msgspec.msgpack.decode(value)) + b"\n"
    except (msgspec.MsgspecError, UnicodeDecodeError, ValueError, RecursionError, TypeError):
        return b"not MessagePack: " + value[:LONGEST_SAMPLE].hex().encode() + b"\n"
