"""One partition of the records' topic, while a member of the group has it.

    open    fence the former owner, restore what was committed, go on behind it
    count   what was fetched
    flush   what changed, and where to go on, in one transaction
    close   let go; what was not flushed is counted by the next owner

Rule 1: what is committed stands for the records before its position, each counted once; what is
        in memory alone never has an effect.
Rule 2: whatever fails, the holding is closed and opened anew: then the topic says what counts.
Rule 3: records that cannot be counted, by a defect, are told and passed over, and hold up nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence

import msgspec

from gateway.watch.changes import Sample
from gateway.watch.group.fetching import Batch, Fetched
from gateway.watch.group.pile import Pile
from gateway.watch.group.state_topic import Position, StateTopic
from gateway.watch.tally import Tally

TOGETHER = 2048  # lines that are counted at once, at least: few at a time cost more each

Seen = Callable[[bytes], None]  # lines as they are counted
Aside = Callable[[Sequence[Sample]], None]  # samples of lines that were put aside
Range = tuple[int, int]  # offsets: the first, and the one behind the last


class Defect(Exception):
    """Records could not be counted; what the tally has in memory is worth nothing now."""

    def __init__(self, records: Range) -> None:
        super().__init__(f"records from offset {records[0]} to before {records[1]}")
        self.records = records


class _Place(msgspec.Struct):
    """What is read of a line that is passed over."""

    stream: str = ""
    seq: int = 0


class Holding:
    """Counts one partition; of one event loop."""

    def __init__(
        self,
        partition: int,
        state: StateTopic,
        tally: Tally,
        passed: Iterable[Range] = (),
        aside: Aside | None = None,
        pile: Pile | None = None,
    ) -> None:
        """`tally` has counted nothing yet; `passed` are records that cannot be counted.

        Holdings of one event loop may share a pile.
        """
        self.partition = partition
        self._tally, self._passed, self._aside = tally, tuple(passed), aside
        self._pile = pile or Pile()
        self._state = state
        self._writer = state.writer(partition)
        self._lock = asyncio.Lock()  # of flushing
        self._flushed = -1  # position that is committed
        self.position = -1  # offset where reading goes on; -1: not open
        self.end = 0  # of the partition, when it was last fetched
        self.lost = 0
        self.lines = 0  # since it was opened
        self.told: dict[str, int] = {}  # lines by result, as of the last flush
        self.results: Counter[str] = Counter()  # of `told`, since the caller cleared it
        self.documents: dict[str, bytes] = {}  # that go with the next flush

    @property
    def lag(self) -> int:
        """Records that are there and not counted."""
        return max(0, self.end - self.position) if self.position >= 0 else 0

    @property
    def changed(self) -> int:
        """Slices that wait to be flushed."""
        return self._tally.changed

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
        self.lost, self.told = kept.position.lost, kept.position.told

    def count(self, fetched: Fetched, now_minute: int, seen: Seen | None = None) -> int:
        """Counts what was fetched from the position on; how many records. Raises Defect."""
        return sum(self.counting(fetched, now_minute, seen))

    def counting(
        self, fetched: Fetched, now_minute: int, seen: Seen | None = None
    ) -> Iterator[int]:
        """The same in pieces, after each of which it may be flushed."""
        for batches in self._together(fetched.batches):
            first = max(batches[0].base, self.position)
            taken = self._pile_up(batches, first)
            lines = self._pile.lines
            if self._is_passed(batches[0]):
                self._pass_over(lines, now_minute)
            else:
                self._count(lines, (first, batches[-1].last + 1), now_minute)
            if seen is not None:
                seen(bytes(lines))
            self.lines += taken
            self.position, self.end = batches[-1].last + 1, fetched.end
            yield taken
        self.lost += fetched.lost
        self.position, self.end = fetched.next, fetched.end

    def _pile_up(self, batches: list[Batch], first: int) -> int:
        """The lines of their records from offset `first` on; how many."""
        self._pile.clear()
        taken = 0
        for batch in batches:
            try:
                taken += self._pile.add(batch, first)
            except ValueError:  # Why not tried again: its checksum is right, it was sent so
                self.lost += batch.count
        return taken

    def _together(self, batches: list[Batch]) -> Iterator[list[Batch]]:
        """Those that are counted at once."""
        found: list[Batch] = []
        for batch in batches:
            if found and (
                sum(each.count for each in found) >= TOGETHER
                or self._is_passed(batch) != self._is_passed(found[0])
            ):
                yield found
                found = []
            found.append(batch)
        if found:
            yield found

    def _count(self, lines: bytearray, records: Range, now_minute: int) -> None:
        try:
            self._tally.count(lines, now_minute)
        except Exception as error:
            raise Defect(records) from error

    def _is_passed(self, batch: Batch) -> bool:
        return any(first <= batch.last < end for first, end in self._passed)

    def _pass_over(self, lines: bytearray, now_minute: int) -> None:
        by_stream: dict[str, list[int]] = {}
        for line in lines.splitlines():
            with contextlib.suppress(msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
                place = msgspec.json.decode(line, type=_Place)
                by_stream.setdefault(place.stream, []).append(place.seq)
        sample = bytes(lines.partition(b"\n")[0])
        for stream, seqs in by_stream.items():
            self._tally.pass_over(stream, max(seqs), len(seqs), sample, now_minute)

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
            new = Counter(position.told)
            new.subtract(self.told)
            if self._aside is not None and changes.samples:
                self._aside(changes.samples)
            await self._writer.commit(changes, position, documents)
            self.told = position.told
            self.results.update(new)
            self._flushed = position.next
            self.documents = {
                name: each for name, each in self.documents.items() if name not in documents
            }

    async def close(self) -> None:
        """Let go of it."""
        await self._writer.close()
