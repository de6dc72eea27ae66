"""One partition of the records' topic, while a member of the group has it.

    open    fence the former owner, restore what was committed, go on behind it
    count   what was fetched
    flush   what changed, and where to go on, in one transaction
    close   let go; what was not flushed is counted by the next owner

Rule 1: what is committed stands for the records before its position, each counted once; what is
        in memory alone never has an effect.
Rule 2: whatever fails, the holding is closed and opened anew: then the topic says what counts.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec

from gateway.watch.changes import Changes
from gateway.watch.fetching import Batch, Fetched
from gateway.watch.state_topic import Position, StateTopic
from gateway.watch.tally import Tally

TOGETHER = 2048  # lines that are counted at once, at least: few at a time cost more each
LONGEST_SAMPLE = 200  # bytes of a value that is no MessagePack
FIRST_OF_JSON = b"{"[0]

Seen = Callable[[bytes], None]  # lines as they are counted


class Holding:
    """Counts one partition; of one event loop."""

    def __init__(self, partition: int, state: StateTopic, tally: Tally) -> None:
        """`tally` has counted nothing yet."""
        self.partition = partition
        self._tally = tally
        self._state = state
        self._writer = state.writer(partition)
        self._lock = asyncio.Lock()  # of flushing
        self._flushed = -1  # position that is committed
        self.position = -1  # offset where reading goes on; -1: not open
        self.end = 0  # of the partition, when it was last fetched
        self.lost = 0
        self.lines = 0  # since it was opened
        self.documents: dict[str, bytes] = {}  # that go with the next flush

    @property
    def lag(self) -> int:
        """Records that are there and not counted."""
        return max(0, self.end - self.position) if self.position >= 0 else 0

    @property
    def is_dirty(self) -> bool:
        """Whether a flush would change anything."""
        return self.position != self._flushed or bool(self.documents)

    async def open(self) -> None:
        """From here on nobody else's transactions are taken."""
        await self._writer.start()
        kept = await self._state.restored(self.partition)
        self._writer.know(kept.profiles)
        self._tally.restore(kept.changes)
        self._flushed = self.position = kept.position.next
        self.lost = kept.position.lost

    def count(self, fetched: Fetched, now_minute: int, seen: Seen | None = None) -> int:
        """Counts what was fetched from the position on; how many records."""
        taken = waiting = 0
        pieces: list[bytes] = []
        position = max(fetched.position, self.position)
        for number, batch in enumerate(fetched.batches, 1):
            lines, count = lines_in(batch, position)
            pieces.append(lines)
            taken, waiting = taken + count, waiting + count
            if waiting >= TOGETHER or number == len(fetched.batches):
                joined = b"".join(pieces)
                pieces, waiting = [], 0
                self._tally.count(joined, now_minute)
                if seen is not None:
                    seen(joined)
        self.lost += fetched.lost
        self.position, self.end = fetched.next, fetched.end
        self.lines += taken
        return taken

    async def flush(self) -> None:
        """Return when all that was counted is committed."""
        async with self._lock:
            if not self.is_dirty:
                return
            changes, documents = self._tally.drain(), self.documents
            position = Position(
                next=self.position,
                marks=changes.marks,
                told=changes.told,
                newest=changes.newest,
                lost=self.lost,
            )
            self.samples(changes)
            await self._writer.commit(changes, position, documents)
            self._flushed = position.next
            self.documents = {
                name: each for name, each in self.documents.items() if name not in documents
            }

    def samples(self, changes: Changes) -> None:
        """What was put aside: for whoever wants it."""

    async def close(self) -> None:
        """Let go of it."""
        await self._writer.close()


def lines_in(batch: Batch, position: int) -> tuple[bytes, int]:
    """The records as lines of JSON, whatever their values are encoded in; and how many."""
    lines, count = batch.lines(position)
    # Why the first byte of a line is enough: no object in MessagePack begins with it.
    if not lines or lines[0] == FIRST_OF_JSON:
        return lines, count
    values = [value for _key, value in batch.entries(position)]
    return b"".join(_line(value) for value in values), len(values)


def _line(value: bytes | None) -> bytes:
    """One value as a line; what cannot be read is no JSON either, so that it is told."""
    if not value or value[0] == FIRST_OF_JSON:
        return (value or b"null").replace(b"\n", b"\r") + b"\n"
    try:
        return msgspec.json.encode(msgspec.msgpack.decode(value)) + b"\n"
    except (msgspec.MsgspecError, UnicodeDecodeError, ValueError, RecursionError, TypeError):
        return b"not MessagePack: " + value[:LONGEST_SAMPLE].hex().encode() + b"\n"
