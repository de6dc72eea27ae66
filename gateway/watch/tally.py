"""Counting lines of the log into slices: by basis, source and minute.

    tally.restore(changes)          what a former life left
    tally.count(lines, now_minute)  again and again
    tally.drain()                   what is to be kept, in one transaction

Rows count in the minute they happened in, however late they come. Minutes that are past keeping
are summed into their hour, and rows that come later still count in the hour; nine days after
the newest minute hours go, too.

Rule 1: however lines are batched, drained, restored in between and come again, what is kept is
        what a single pass over them would have kept, to the bit.
Rule 2: each line has one result; none is passed over in silence.
Rule 3: in memory are the slices that are being counted, and of the others a key, or with no
        `recall` their encoded value.
Knows no clock: the caller says what minute it is.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from gateway.messages import RECORD_VERSION
from gateway.profiles.extraction import NUMBER, WORD, Batch, Extraction
from gateway.profiles.fields import Field, Words
from gateway.profiles.profile import JSON_NUMBER, JSON_STRING
from gateway.profiles.slices import AHEAD, Source
from gateway.profiles.text_column import Data
from gateway.watch.basis import Basis
from gateway.watch.changes import Changes, Key
from gateway.watch.marks import Marks, by_stream
from gateway.watch.mistyped import mistyped
from gateway.watch.samples import Samples
from gateway.watch.slots import Slots

# What becomes of a line; each has one result.
RESULTS = (
    "counted",
    "late",  # counted, but later than `lateness`
    "mistyped",  # counted, but a field had another type than in the reference
    "duplicate",  # counted before
    "other",  # no prediction: feedback, a refusal, …
    "unwatched",  # of a route that has no basis
    "malformed",  # no JSON object
    "version",  # of the record is one that this gateway does not know
    "unplaced",  # without stream or seq
    "untimed",
    "ahead",  # its clock is in front of ours
    "old",  # older than all that is kept
    "sources",  # of more versions and arms than are kept apart
    "defect",  # in a batch that could not be counted
)
COUNTED, LATE, MISTYPED, DUPLICATE, OTHER, UNWATCHED = range(6)
UNPLACED, UNTIMED, TOO_AHEAD, TOO_OLD, TOO_MANY = 8, 9, 10, 11, 12
VERSION = RESULTS.index("version")
# Of these a sample is kept.
ASIDE = ("mistyped", "malformed", "version", "unplaced", "untimed", "ahead", "old", "sources")

_PLACES = (("/stream", WORD), ("/seq", NUMBER), ("/v", NUMBER))
_MOST_SEQ = 2.0**53
_MOST_CLAIMED = 10_000  # streams; asking again is harmless

log = logging.getLogger(__name__)

Recall = Callable[[Key], bytes | None]
# (bases and their routes, stream, number of its first line that is counted here) -> numbers up
# to which lines of the stream were counted elsewhere, by basis and route.
Claim = Callable[[list[tuple[str, str]], str, int], Mapping[tuple[str, str], int]]
Lines = NDArray[np.intp]


class Tally:
    """Profiles of some bases; bounded, and at home in one thread at a time."""

    def __init__(
        self,
        bases: Iterable[Basis],
        keep: int = 24 * 60,
        *,
        lateness: int = 10,
        recall: Recall | None = None,
        claim: Claim | None = None,
        can_repeat: bool = True,
    ) -> None:
        """`keep` and `lateness` are minutes; older minutes are summed into hours.

        With `recall` the values of slices that are not being counted are asked for when a line
        comes late; without it they are kept here, encoded. `claim` is asked when a stream, or a
        basis, is counted for the first time. Where lines cannot come again (`can_repeat`), they
        need no order either.
        """
        self.told: Counter[str] = Counter()
        self._lateness = lateness
        self._claim, self._can_repeat = claim, can_repeat
        self._claimed: set[str] = set()  # streams
        self._floors: dict[tuple[str, str], dict[str, int]] = {}
        self._streams = Marks()
        self._samples = Samples()
        self._slots = Slots(keep, recall)
        self.use(bases)

    def use(self, bases: Iterable[Basis]) -> None:
        """Count on these from now on; slices of others stay until they expire."""
        self.refused: tuple[str, ...] = ()  # sentences: bases that cannot be counted
        self._bases = list(bases)
        while True:
            try:
                self._extraction = Extraction(
                    {}, also=[one.reference for one in self._bases], places=_PLACES
                )
            except ValueError as error:  # Why: too many columns; the other bases go on
                if not self._bases:
                    raise
                last = self._bases.pop()
                self.refused += (f"route {last.route}: too many fields in all: {error}",)
            else:
                break
        self._of_route: dict[str, list[tuple[Basis, tuple[Field, ...]]]] = {}
        for one in self._bases:
            fields = tuple(frozen.field for frozen in one.reference.fields)
            self._of_route.setdefault(one.route, []).append((one, fields))
        self._slots.know(one.reference for one in self._bases)
        self._claimed.clear()

    def count(self, lines: Data, now_minute: int) -> int:
        """Counts whole lines, each with its newline; how many were there."""
        taken = 0
        if self._slots.believe(now_minute):
            log.warning("the clock went back: records were counted as of a later time")
        for batch in self._extraction.batches(lines):
            for start, end in batch.malformed:
                self.told["malformed"] += 1
                self._samples.add("malformed", bytes(lines[start:end]), now_minute)
            taken += len(batch.malformed) + batch.lines.kinds.shape[1]
            if batch.lines.kinds.shape[1]:
                self._count(batch, now_minute)
        return taken

    def drain(self) -> Changes:
        """What changed since the last time; minutes past keeping are summed, hours go."""
        profiles, gone = self._slots.drain()
        self._drop_floors()
        return Changes(
            profiles=profiles,
            gone=gone,
            marks=dict(self._streams.last),
            told=dict(self.told),
            newest=self._slots.newest,
            oldest=self._slots.gone_before,
            samples=self._samples.take(),
        )

    def restore(self, changes: Changes, keys: Iterable[Key] = ()) -> None:
        """Begin with all that was kept; with `recall`, `keys` names it instead of `profiles`."""
        self._streams.last = dict(changes.marks)
        self.told = Counter(changes.told)
        self._slots.restore(changes.profiles, keys, changes.newest)

    def pass_over(
        self, stream: str, last_seq: int, records: int, sample: bytes, now_minute: int
    ) -> None:
        """Lines of a batch that cannot be counted are told, and not tried again."""
        self._streams.last[stream] = max(last_seq, self._streams.last.pop(stream, 0))
        self.told["defect"] += records
        self._samples.add("defect", sample, now_minute, stream)

    def mark(self, stream: str) -> int:
        """The number of the stream's last line that was counted; 0 none."""
        return self._streams.last.get(stream, 0)

    @property
    def newest(self) -> int:
        """The newest believable minute that was seen; 0 none."""
        return self._slots.newest

    @property
    def changed(self) -> int:
        """Slices that wait to be drained: each holds profiles of all fields in memory."""
        return len(self._slots.changed)

    @property
    def values(self) -> dict[Key, bytes]:
        """All that was drained and is kept, without `recall`: for `view.Counted`."""
        return self._slots.values

    # -- a batch

    def _count(self, batch: Batch, now: int) -> None:
        results = self._sifted(batch)
        is_prediction, is_timed = self._extraction.predictions(batch)
        is_open = results == COUNTED
        results[is_open & ~is_prediction] = OTHER
        results[is_open & is_prediction & ~is_timed] = UNTIMED
        abouts: dict[int, str] = {}
        chosen = np.flatnonzero(is_open & is_prediction & is_timed)
        # Why by time: what is too old is so for what came before it, however lines are batched.
        for source, minute, members in self._by_time(batch, chosen):
            self._count_group(batch, source, minute, members, results, abouts, now)
        for result, count in enumerate(np.bincount(results, minlength=len(RESULTS)).tolist()):
            if count:
                self.told[RESULTS[result]] += count
                if RESULTS[result] in ASIDE and self._samples.has_room(RESULTS[result], now):
                    line = int(np.flatnonzero(results == result)[0])
                    about = abouts.get(result, "")
                    self._samples.add(RESULTS[result], self._text(batch, line), now, about)

    def _sifted(self, batch: Batch) -> NDArray[np.int8]:
        """By line: UNPLACED, DUPLICATE, VERSION, or COUNTED for all that may be counted."""
        at_stream, at_seq, at_v = (self._extraction.place(name) for name, _ in _PLACES)
        part = batch.lines
        seqs = part.numbers[at_seq]
        is_placed = (part.kinds[at_stream] == JSON_STRING) & (part.kinds[at_seq] == JSON_NUMBER)
        is_placed &= (seqs >= 1) & (seqs < _MOST_SEQ)
        numbers = np.where(is_placed, seqs, 0).astype(np.int64)
        is_placed &= numbers == seqs
        lines = np.flatnonzero(is_placed)
        words = part.words[at_stream]
        self._begin(batch, words, numbers, lines)
        is_fresh = is_placed
        if self._can_repeat:
            is_fresh = self._streams.fresh(
                words, numbers, lines, lambda line: self._stream(batch, line)
            )
        is_known = (part.kinds[at_v] == JSON_NUMBER) & (part.numbers[at_v] == RECORD_VERSION)
        results = np.full(is_placed.size, COUNTED, np.int8)
        results[~is_known] = VERSION
        results[is_placed & ~is_fresh] = DUPLICATE
        results[is_known & ~is_placed] = UNPLACED
        return results

    def _stream(self, batch: Batch, line: int) -> str:
        return self._extraction.word(batch, self._extraction.place("/stream"), line)

    def _by_time(self, batch: Batch, chosen: Lines) -> Iterator[tuple[Source, int, Lines]]:
        yield from sorted(self._extraction.groups(batch, chosen), key=lambda group: group[1])

    def _count_group(
        self,
        batch: Batch,
        source: Source,
        minute: int,
        members: Lines,
        results: NDArray[np.int8],
        abouts: dict[int, str],
        now: int,
    ) -> None:
        bases = self._of_route.get(source.route)
        if bases is None:
            results[members] = UNWATCHED
            return
        if minute > now + AHEAD:
            results[members] = TOO_AHEAD
            return
        if self._slots.is_past(minute):
            results[members] = TOO_OLD
            return
        is_late = minute < self._slots.newest - self._lateness
        self._slots.see(min(minute, now))
        results[members] = DUPLICATE
        for basis, fields in bases:
            own = self._unclaimed(batch, members, basis)
            if not own.size:
                continue
            slot = self._slots.slot(basis.name, source, minute)
            if slot is None:
                results[own] = TOO_MANY
                continue
            results[own] = LATE if is_late else COUNTED
            wrong = self._extraction.count_fields(batch, own, fields, slot)
            if wrong and not is_late:
                results[own[mistyped(self._extraction, batch, wrong)[own]]] = MISTYPED
                abouts.setdefault(MISTYPED, f"{source.route}: {wrong[0].name}")

    # -- what others counted

    def _begin(self, batch: Batch, words: Words, numbers: NDArray[np.int64], lines: Lines) -> None:
        """Claims the rest of streams that are seen for the first time."""
        if self._claim is None:
            return
        ids = [(one.name, one.route) for one in self._bases]
        for members in by_stream(words, lines):
            stream = self._stream(batch, int(members[0]))
            new = numbers[members][numbers[members] > self.mark(stream)]
            if stream in self._claimed or not new.size:
                continue
            for basis, floor in self._claim(ids, stream, int(new.min())).items():
                if floor:
                    self._floors.setdefault(basis, {})[stream] = floor
            if len(self._claimed) > _MOST_CLAIMED:
                self._claimed.clear()
            self._claimed.add(stream)

    def _unclaimed(self, batch: Batch, members: Lines, basis: Basis) -> Lines:
        """Those of the lines that nobody else counted on this basis."""
        floors = self._floors.get((basis.name, basis.route))
        if not floors:
            return members
        at_stream, at_seq = self._extraction.place("/stream"), self._extraction.place("/seq")
        part = batch.lines
        is_own = np.zeros(part.kinds.shape[1], np.bool_)
        for lines in by_stream(part.words[at_stream], members):
            floor = floors.get(self._stream(batch, int(lines[0])), 0)
            is_own[lines] = part.numbers[at_seq, lines] > floor
        return members[is_own[members]]

    def _drop_floors(self) -> None:
        """Those that marks stand above of."""
        for floors in self._floors.values():
            for stream in [name for name, floor in floors.items() if self.mark(name) >= floor]:
                del floors[stream]

    def _text(self, batch: Batch, line: int) -> bytes:
        """The line's own text."""
        part = batch.lines
        for name in ("/time", "/stream", "/kind", "/route", "/version"):
            at = self._extraction.place(name)
            if part.kinds[at, line]:
                inside = int(part.starts[at, line])
                begin = batch.data.rfind(b"\n", 0, inside) + 1
                end = batch.data.find(b"\n", inside)
                return bytes(batch.data[begin : end if end >= 0 else len(batch.data)])
        return b""
