"""What comes next for one sink: every line once, in order, in turns; gaps are drops."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.log.lines import place_of, tombstone
from gateway.log.manifest import Manifest, Sealed
from gateway.log.names import SegmentName
from gateway.log.sealer import Sealer
from gateway.shipper.balance import balance_of
from gateway.shipper.checkpoint import Checkpoint, Ended
from gateway.shipper.shelf import Shelf, Surveyor
from gateway.shipper.source import Piece, Source
from gateway.shipper.upkeep import extent_of
from tests.shipper.conftest import CountReads
from tests.shipper.segments import SegmentWriter, line_of

LIMIT = 64 * 1024


class Rig:
    """One directory, its pictures, and a source."""

    def __init__(self, directory: Path, *, sealed_only: bool = False) -> None:
        self.directory = directory
        self.sealed_only = sealed_only
        self.surveyor = Surveyor(directory)
        self.source = Source({}, sealed_only=sealed_only)
        self.got: dict[str, list[int]] = {}

    def shelf(self) -> Shelf:
        Sealer(self.directory).seal_ready()
        shelf = self.surveyor.look()
        self.source.see(shelf)
        return shelf

    def next(self, limit: int = LIMIT) -> Piece | None:
        found = self.source.next(self.shelf(), limit)
        return found[1] if found else None

    def drain(self, limit: int = LIMIT) -> list[str]:
        """Take all there is; the streams of the pieces, in their order."""
        turns: list[str] = []
        while found := self.source.next(self.shelf(), limit):
            tail, piece = found
            lines = piece.batch.lines or (
                piece.batch.path.read_bytes().splitlines() if piece.batch.path else []
            )
            self.got.setdefault(tail.stream, []).extend(place_of(line).seq for line in lines)
            assert len(lines) == piece.batch.records
            tail.settle(piece)
            turns.append(tail.stream)
        return turns

    def restart(self) -> None:
        """As after `kill -9`, with every checkpoint saved."""
        checkpoints = {stream: tail.settled for stream, tail in self.source.tails.items()}
        self.source.close()
        self.surveyor.close()
        self.surveyor = Surveyor(self.directory)
        for entry in Manifest(self.directory).entries():  # as upkeep does
            if isinstance(entry, Sealed):
                self.surveyor.know(entry.segment, extent_of(entry))
        self.source = Source(checkpoints, sealed_only=self.sealed_only)

    def settled(self, stream: str) -> Checkpoint:
        return self.source.tails[stream].settled

    def balance(self) -> tuple[int, int, int]:
        balance = balance_of(self.source.tails.values(), Ended(), self.shelf())
        return balance.shipped, balance.waiting, balance.dropped


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "log"


def appended(writer: SegmentWriter, count: int) -> SegmentWriter:
    for _ in range(count):
        writer.append()
    return writer


@pytest.mark.parametrize("sealed_only", [False, True])
def test_every_line_comes_once_and_in_order(directory: Path, *, sealed_only: bool) -> None:
    rig = Rig(directory, sealed_only=sealed_only)
    writer = appended(SegmentWriter(directory, segment_bytes=4096), 100)
    rig.drain()
    appended(writer, 50)
    writer.close()
    rig.drain()
    assert rig.got == {writer.stream: list(range(1, 151))}
    assert rig.balance() == (150, 0, 0)


def test_lines_come_while_their_segment_is_written(directory: Path) -> None:
    rig = Rig(directory)
    writer = appended(SegmentWriter(directory), 1)
    for count in range(1, 5):
        rig.drain()
        assert rig.got[writer.stream] == list(range(1, count + 1))
        writer.append()


@pytest.mark.parametrize("count", [1, 40, 300])
def test_few_of_the_zeros_behind_the_lines_are_read(
    directory: Path, count_reads: CountReads, count: int
) -> None:
    writer = SegmentWriter(directory, segment_bytes=8 << 20)
    for _ in range(count):
        writer.append(1000)
    rig = Rig(directory)
    shelf = rig.shelf()
    reads = count_reads()
    found = rig.source.next(shelf, 4 << 20)
    assert found is not None
    assert found[1].batch.records == count
    assert sum(reads) < 2 * 1000 * count + 20 * 1024
    assert len(reads) < 16


def test_asked_twice_it_answers_the_same(directory: Path) -> None:
    rig = Rig(directory)
    appended(SegmentWriter(directory), 3)
    first, second = rig.next(), rig.next()
    assert first is not None
    assert first == second


def test_streams_take_turns(directory: Path) -> None:
    rig = Rig(directory)
    for slot in range(3):
        appended(SegmentWriter(directory, f"w{slot}"), 40)
    turns = rig.drain(limit=2048)
    assert len(turns) > 9
    assert all(len(set(turns[at : at + 3])) == 3 for at in range(0, 9, 3))


def test_line_longer_than_the_limit_comes_alone(directory: Path) -> None:
    rig = Rig(directory)
    writer = SegmentWriter(directory)
    for size in (300, 200_000, 300):
        writer.append(size)
    rig.drain(limit=1024)
    assert rig.got[writer.stream] == [1, 2, 3]


def test_gap_in_the_numbers_is_a_drop(directory: Path) -> None:
    rig = Rig(directory)
    writer = SegmentWriter(directory, segment_bytes=4096)
    writer.skip(2)
    appended(writer, 5).skip(3)
    appended(writer, 5)
    rig.drain()
    assert rig.balance() == (10, 0, 5)
    writer.skip()
    appended(writer, 20)
    rig.drain()
    assert rig.balance() == (30, 0, 6)


@pytest.mark.parametrize("sealed_only", [False, True])
def test_segment_that_is_gone_is_dropped_at_once(directory: Path, *, sealed_only: bool) -> None:
    """Also while the sink has not asked for more: it may be away."""
    rig = Rig(directory, sealed_only=sealed_only)
    writer = appended(SegmentWriter(directory, segment_bytes=4096), 60)
    shelf = rig.shelf()
    items = shelf.streams[writer.stream]
    gone = items[1].extent.last_seq
    for item in items[:2]:
        item.path.unlink()
    assert rig.balance() == (0, 60 - gone, gone)
    writer.close()
    rig.drain()
    assert rig.balance() == (60 - gone, 0, gone)


def test_stream_that_is_gone_altogether_is_dropped(directory: Path) -> None:
    rig = Rig(directory)
    writer = appended(SegmentWriter(directory), 9)
    writer.close()
    for item in rig.shelf().items():
        item.path.unlink()
    assert rig.balance() == (0, 0, 9)


def test_restart_goes_on_where_it_was(directory: Path) -> None:
    rig = Rig(directory)
    writer = SegmentWriter(directory, segment_bytes=4096)
    for _ in range(10):
        appended(writer, 7)
        rig.drain()
        rig.restart()
    assert rig.got[writer.stream] == list(range(1, 71))
    assert rig.balance() == (70, 0, 0)


def test_segment_written_anew_is_neither_sent_twice_nor_missed(directory: Path) -> None:
    """A person forgotten: other bytes, at other offsets, the same numbers."""
    rig = Rig(directory)
    writer = appended(SegmentWriter(directory), 20)
    writer.close()
    found = rig.source.next(rig.shelf(), 2000)
    assert found is not None
    found[0].settle(found[1])
    first = found[1].batch.records
    path = next(iter(rig.shelf().items())).path
    fresh = path.with_name("fresh")
    lines = path.read_bytes().splitlines()
    fresh.write_bytes(b"".join(tombstone(line)[:-9].rstrip() + b"}\n" for line in lines))
    fresh.rename(path)
    rig.drain()
    assert rig.got[writer.stream] == list(range(first + 1, 21))
    assert rig.settled(writer.stream).shipped == 20


def test_line_that_is_none_is_passed_over_and_counted(directory: Path) -> None:
    rig = Rig(directory)
    writer = appended(SegmentWriter(directory), 3)
    rig.drain()
    writer.append_line(b"\xff no line")
    appended(writer, 3)
    rig.drain()
    assert rig.got[writer.stream] == [1, 2, 3, 5, 6, 7]
    assert rig.source.tails[writer.stream].damaged == 1
    assert rig.balance() == (6, 0, 1)


def test_damage_in_a_sealed_segment_costs_its_own_line_only(directory: Path) -> None:
    rig = Rig(directory)
    writer = appended(SegmentWriter(directory), 9)
    writer.close()
    path = next(iter(rig.shelf().items())).path
    lines = path.read_bytes().splitlines()
    lines[0] = b"\0" * len(lines[0])
    path.write_bytes(b"\n".join(lines) + b"\n")
    rig.drain()
    assert rig.got[writer.stream] == list(range(2, 10))


def test_sink_that_is_new_has_what_is_there(directory: Path) -> None:
    """What others had before it came is not its loss."""
    surveyor = Surveyor(directory)
    writer = appended(SegmentWriter(directory, segment_bytes=4096), 60)
    Sealer(directory).seal_ready()
    item = surveyor.look().streams[writer.stream][0]
    item.path.unlink()
    surveyor.forget(item.name.segment, is_delivered=True)
    source = Source({}, sealed_only=False)
    source.see(surveyor.look())
    settled = source.tails[writer.stream].settled
    assert settled.before == settled.seq == item.extent.last_seq


def test_segment_of_this_name_alone_is_no_reason_to_trust_an_offset(directory: Path) -> None:
    rig = Rig(directory)
    writer = appended(SegmentWriter(directory), 5)
    rig.drain()
    settled = msgspec.structs.replace(rig.settled(writer.stream), inode=1, seq=2, shipped=2)
    rig.source = Source({writer.stream: settled}, sealed_only=False)
    rig.got.clear()
    rig.drain()
    assert rig.got[writer.stream] == [3, 4, 5]


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.integers(1, 30)),
        st.tuples(st.sampled_from(["skip", "roll", "drain", "restart", "drop", "new"]), st.just(1)),
    ),
    max_size=25,
)


@settings(max_examples=40, deadline=None)
@given(steps=STEPS, sealed_only=st.booleans(), limit=st.sampled_from([500, 3000, LIMIT]))
def test_balance_is_exact_whatever_happens(
    tmp_path_factory: pytest.TempPathFactory,
    steps: list[tuple[str, int]],
    sealed_only: bool,
    limit: int,
) -> None:
    """Counted beside: what was appended, what came, and so what was lost."""
    directory = tmp_path_factory.mktemp("source") / "log"
    rig = Rig(directory, sealed_only=sealed_only)
    writers = [SegmentWriter(directory, segment_bytes=4096)]
    for step, count in steps:
        if step == "append":
            appended(writers[-1], count)
        elif step == "skip":
            writers[-1].skip()
            writers[-1].append()
        elif step == "roll" and writers[-1].seq:
            writers[-1].roll()
        elif step == "drain":
            rig.drain(limit)
        elif step == "restart":
            rig.restart()
        elif step == "drop":
            drop_oldest(rig.shelf())
        elif step == "new":
            writers[-1].close()
            writers.append(SegmentWriter(directory, "w1", segment_bytes=4096))
        shipped, waiting, dropped = rig.balance()
        assert shipped == sum(map(len, rig.got.values()))
        assert shipped + waiting + dropped == sum(writer.seq for writer in writers)
    writers[-1].close()
    rig.drain(limit)
    total = sum(writer.seq for writer in writers)
    came = sum(map(len, rig.got.values()))
    assert rig.balance() == (came, 0, total - came)
    assert all(seqs == sorted(set(seqs)) for seqs in rig.got.values())


def drop_oldest(shelf: Shelf) -> None:
    sealed = sorted(
        (item for item in shelf.items() if item.is_sealed), key=lambda item: item.name.segment
    )
    if sealed:
        sealed[0].path.unlink()


def test_names_of_batches_are_those_of_sealed_segments(directory: Path) -> None:
    rig = Rig(directory)
    appended(SegmentWriter(directory), 1)
    piece = rig.next()
    assert piece is not None
    name = SegmentName.parse(piece.batch.segment)
    assert name is not None
    assert name.state == "sealed"
    assert place_of(line_of("w0-0123456789ab0000", 5)).seq == 5
