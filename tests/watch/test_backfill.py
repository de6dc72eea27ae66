"""What was recorded before anybody counted is counted once, whoever counts meanwhile."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Sequence
from pathlib import Path

import pytest

from gateway.store import Store
from gateway.watch.backfill import Backfill
from gateway.watch.basis import Basis
from gateway.watch.changes import Changes, Key, decoded, encoded
from gateway.watch.kept import BACKFILL, FILE, Kept
from gateway.watch.kept_file import KeptError
from gateway.watch.tally import Tally
from tests.profiles.samples import MINUTE
from tests.watch.lines import NOW, basis_of, single_pass, stream_of

BASES = [basis_of(), basis_of(seed=2)]
STREAMS = [f"w{at}-000000000000000{at}" for at in range(3)]
SEGMENT = 10  # lines
MINUTES = [MINUTE + minute for minute in range(0, 90, 7)]


class Place:
    """A state directory with a log, a store, and those who count."""

    def __init__(self, root: Path) -> None:
        self.root, self.log = root, root / "log"
        self.log.mkdir(mode=0o700)
        self.store = Store(root / "store", self.log)
        self.lines = {name: stream_of(name, 57, minutes=MINUTES) for name in STREAMS}
        self.live = Kept(root / FILE)
        self.tally = self._tally([])
        self.done = dict.fromkeys(STREAMS, 0)
        self.now = NOW

    def write(self, *, stored: Sequence[int] = (), opened: bool = False) -> None:
        """Segments of all streams; those of these numbers into the store."""
        for name, lines in self.lines.items():
            for number in range(-(-len(lines) // SEGMENT)):
                path = self.log / f"{name}-{number + 1:08d}.ndjson"
                is_open = opened and (number + 1) * SEGMENT > len(lines)
                if is_open:
                    path = path.with_name(path.name + ".open")
                path.write_bytes(b"".join(lines[number * SEGMENT : (number + 1) * SEGMENT]))
                os.utime(path, (NOW * 60 + number, NOW * 60 + number))
                if number in stored and not is_open:
                    self.store.add(path)
                    path.unlink()

    def read(self, name: str, count: int) -> None:
        """The log's reader counts some lines more."""
        at = self.done[name]
        self.tally.count(b"".join(self.lines[name][at : at + count]), NOW)
        self.live.save(self.tally.drain())
        self.done[name] = min(at + count, len(self.lines[name]))

    def restart(self, bases: Sequence[Basis]) -> None:
        self.tally = self._tally(bases)

    def _tally(self, bases: Sequence[Basis]) -> Tally:
        kept = self.live
        tally = Tally(
            bases, recall=kept.value, claim=lambda of, name, seq: kept.claim(of, name, seq, NOW)
        )
        tally.restore(*kept.begin())
        return tally

    def backfill(self, bases: Sequence[Basis], since: int = 0) -> list[int]:
        """Lines of each segment that was counted."""
        kept = Kept(self.root / FILE, BACKFILL)
        run = Backfill(bases, kept, self.store, self.log)
        return [piece.lines for piece in run.run(since, NOW) if piece.bases]

    def counted(self) -> dict[Key, bytes]:
        """Both parts added up."""
        references = {one.name: one.reference for one in BASES}
        sums: dict[Key, dict[str, object]] = {}
        for part in (self.live, Kept(self.root / FILE, BACKFILL)):
            for key in part.load()[1]:
                slot = decoded(part.value(key) or b"", references[key.basis])
                whole = sums.setdefault(key, {})
                for field, profile in slot.items():
                    whole[field] = whole[field].merge(profile) if field in whole else profile  # type: ignore[attr-defined]
        return {key: encoded(slot) for key, slot in sums.items()}  # type: ignore[arg-type]

    def wanted(self) -> dict[Key, bytes]:
        return single_pass([line for lines in self.lines.values() for line in lines], BASES)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_all_that_is_recorded_is_counted_and_counted_once(place: Place) -> None:
    place.write(stored=[0, 1, 3])
    assert sum(place.backfill(BASES)) == 57 * 3
    assert place.counted() == place.wanted()
    assert place.backfill(BASES) == []
    assert place.counted() == place.wanted()


def test_a_basis_that_came_later_is_counted_on_its_own(place: Place) -> None:
    place.write()
    place.backfill(BASES[:1])
    place.backfill(BASES)
    assert place.counted() == place.wanted()


def test_parts_of_the_past_may_be_counted_in_any_order(place: Place) -> None:
    place.write(stored=[4])
    newest = place.backfill(BASES, NOW + 1)
    assert newest == []
    at = NOW * 60 + 3
    for path in place.log.iterdir():
        if path.stat().st_mtime >= at:
            os.utime(path, (at + 3600, at + 3600))
    assert 0 < sum(place.backfill(BASES, NOW + 1)) < 57 * 3
    place.backfill(BASES)
    assert place.counted() == place.wanted()


@pytest.mark.parametrize("seed", range(5))
def test_beside_the_log_s_reader_every_line_counts_once(
    place: Place, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    chance = random.Random(seed)
    place.write(stored=[at for at in range(5) if chance.random() < 0.4], opened=True)
    save = Kept.save

    def failing(self: Kept, changes: Changes, **more: object) -> None:
        if chance.random() < 0.2:
            raise KeptError("killed before")
        save(self, changes, **more)  # type: ignore[arg-type]
        if chance.random() < 0.2:
            raise KeptError("killed behind")

    for bases in ([], BASES[:1], BASES):
        place.restart(bases)
        for _ in range(chance.randint(1, 3)):
            place.read(chance.choice(STREAMS), chance.randint(1, 12))
            if bases and chance.random() < 0.6:
                with monkeypatch.context() as patched:
                    patched.setattr(Kept, "save", failing)
                    try:
                        place.backfill(bases)
                    except KeptError:
                        continue
    for name in STREAMS:
        place.read(name, 60)
    place.backfill(BASES)
    assert place.counted() == place.wanted()


def test_of_a_segment_that_is_written_nothing_is_taken_from_the_log_s_reader(place: Place) -> None:
    place.write(opened=True)
    assert sum(place.backfill(BASES)) == 50 * 3
    place.restart(BASES)
    for name in STREAMS:
        place.read(name, 60)
    assert place.counted() == place.wanted()
    told = place.live.told()[""]
    assert told["duplicate"] == 150
    assert told["counted"] + told["late"] == 21


def test_lines_that_were_forgotten_or_damaged_are_passed_over(place: Place) -> None:
    place.write()
    path = place.log / f"{STREAMS[0]}-00000001.ndjson"
    lines = path.read_bytes().splitlines(keepends=True)
    place_of = json.dumps({"v": 1, "kind": "forgotten", "stream": STREAMS[0], "seq": 3})
    lines[2], lines[9] = place_of.encode() + b"\n", b"\0\0 torn\n"
    path.write_bytes(b"".join(lines))
    place.backfill(BASES)
    told = Kept(place.root / FILE, BACKFILL).told()[BACKFILL]
    assert (told["other"], told["malformed"]) == (1, 1)
    assert told["counted"] + told.get("late", 0) == 57 * 3 - 2


def test_nothing_recorded_is_nothing_counted(place: Place) -> None:
    assert place.backfill(BASES) == []
    assert place.backfill([]) == []
