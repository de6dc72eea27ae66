"""Pictures of the directory: how far each segment has come, found by probing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.log.sealer import Sealer
from gateway.shipper.shelf import Extent, Item, OpenEnd, Surveyor, measure
from tests.shipper.conftest import CountReads
from tests.shipper.segments import SegmentWriter


def open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def only(surveyor: Surveyor) -> Item:
    (item,) = surveyor.look().items()
    return item


@given(sizes=st.lists(st.integers(0, 40_000), max_size=12))
def test_end_of_an_open_segment_is_found(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int]
) -> None:
    directory = tmp_path_factory.mktemp("shelf")
    writer, surveyor = SegmentWriter(directory), Surveyor(directory)
    writer.roll()
    assert only(surveyor).extent == Extent(first_seq=0, last_seq=0, records=0, bytes=0)
    for size in sizes:
        writer.append(size)
        extent = only(surveyor).extent
        assert (extent.first_seq, extent.last_seq, extent.bytes) == (1, writer.seq, writer._used)
    writer.close()
    surveyor.close()


def test_line_that_is_being_written_does_not_count(tmp_path: Path) -> None:
    writer, surveyor = SegmentWriter(tmp_path), Surveyor(tmp_path)
    writer.append()
    assert writer._map is not None
    writer._map[writer._used : writer._used + 400] = b'{"v":1,"seq":2' + b"x" * 386
    assert only(surveyor).extent.last_seq == 1
    assert only(surveyor).extent.bytes == writer._used


def test_first_look_at_a_long_segment_costs_few_reads(
    tmp_path: Path, count_reads: CountReads
) -> None:
    writer = SegmentWriter(tmp_path, segment_bytes=8 << 20)
    while writer._used < 7 << 20:
        writer.append(60_000)
    reads = count_reads()
    assert only(Surveyor(tmp_path)).extent.last_seq == writer.seq
    assert len(reads) < 60
    assert sum(reads) < 512 * 1024


def test_only_new_bytes_are_synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = SegmentWriter(tmp_path)
    writer.append()
    end = OpenEnd(next(tmp_path.glob("*.open")))
    synced: list[int] = []
    monkeypatch.setattr(os, "fdatasync", synced.append)
    for _ in range(3):
        end.look()
        end.sync()
    assert len(synced) == 1
    writer.append()
    end.look()
    end.sync()
    assert len(synced) == 2
    end.close()


def test_bytes_that_came_since_the_look_are_synced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = SegmentWriter(tmp_path)
    writer.append()
    end = OpenEnd(next(tmp_path.glob("*.open")))
    synced: list[int] = []
    monkeypatch.setattr(os, "fdatasync", synced.append)
    for count in (1, 2, 3):
        writer.append()
        end.sync()
        assert len(synced) == count
    end.look()
    end.sync()  # once more, for the end is known only now
    end.sync()
    assert len(synced) == 4
    end.close()


def test_sealed_segment_is_as_the_manifest_says(tmp_path: Path) -> None:
    writer, surveyor = SegmentWriter(tmp_path), Surveyor(tmp_path)
    for _ in range(5):
        writer.append()
    writer.close()
    (sealed,) = Sealer(tmp_path).seal_ready()
    known = Extent(first_seq=1, last_seq=5, records=5, bytes=sealed.bytes)
    surveyor.know(sealed.segment, known)
    assert only(surveyor).extent == known == measure(only(surveyor).path)
    assert surveyor.look().appended == {writer.stream: 5}


def test_what_was_appended_is_known_when_the_segment_is_gone(tmp_path: Path) -> None:
    surveyor = Surveyor(tmp_path)
    segment = "w0-0123456789ab0000-00000001.ndjson"
    surveyor.know(segment, Extent(first_seq=1, last_seq=5, records=5, bytes=9))
    surveyor.forget(segment, is_delivered=True)
    shelf = surveyor.look()
    assert (shelf.appended, shelf.delivered) == ({segment[:19]: 5}, {segment[:19]: 5})


def test_new_segment_is_no_item_but_its_stream_lives(tmp_path: Path) -> None:
    (tmp_path / "w0-0123456789ab0000-00000001.ndjson.new").touch()
    shelf = Surveyor(tmp_path).look()
    assert list(shelf.items()) == []
    assert shelf.writing == {"w0-0123456789ab0000"}


def test_descriptors_of_sealed_segments_are_given_back(tmp_path: Path) -> None:
    writer, surveyor = SegmentWriter(tmp_path, segment_bytes=2048), Surveyor(tmp_path)
    before = open_files()
    for _ in range(60):
        writer.append()
        Sealer(tmp_path).seal_ready()
        surveyor.look()
    writer.close()
    Sealer(tmp_path).seal_ready()
    surveyor.look()
    assert open_files() == before
