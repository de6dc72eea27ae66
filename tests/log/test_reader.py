import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.log.files import LogError
from gateway.log.names import SegmentName
from gateway.log.reader import (
    END_BYTES,
    Chunk,
    SegmentGone,
    SegmentReader,
    Tail,
    read_lines,
    size_of_lines,
)
from tests.log.samples import OTHER, STREAM, leave_open, line, lines


def seal(path: Path, content: bytes) -> Path:
    """As the sealer does it: cut, then rename."""
    os.truncate(path, len(content))
    return path.rename(path.with_name(path.name.removesuffix(".open")))


def test_open_segment_is_read_up_to_the_last_newline_before_the_zeros(tmp_path: Path) -> None:
    path = leave_open(tmp_path, 1, lines(1, 3) + line(4)[:50])
    whole = lines(1, 3)
    assert read_lines(path, 0) == Chunk(whole, len(whole), is_final=False)
    assert read_lines(path, len(whole)) == Chunk(b"", len(whole), is_final=False)


def test_newline_behind_zeros_is_not_there_yet(tmp_path: Path) -> None:
    path = leave_open(tmp_path, 1, lines(1, 1) + b"\0\0\0" + lines(2, 2))
    assert read_lines(path, 0).data == lines(1, 1)


def test_sealed_segment_is_final_at_its_end(tmp_path: Path) -> None:
    whole = lines(1, 3)
    path = seal(leave_open(tmp_path, 1, whole), whole)
    assert read_lines(path, 0) == Chunk(whole, len(whole), is_final=True)
    assert read_lines(path, 0, len(whole)) == Chunk(whole, len(whole), is_final=True)
    assert not read_lines(path, 0, len(whole) - 1).is_final
    assert read_lines(path, len(whole)) == Chunk(b"", len(whole), is_final=True)


def test_sealed_segment_with_a_damaged_end_comes_to_an_end(tmp_path: Path) -> None:
    path = tmp_path / SegmentName(STREAM, 1, "sealed").file_name
    path.write_bytes(lines(1, 1) + b"half")
    assert read_lines(path, 0) == Chunk(lines(1, 1), len(lines(1, 1)), is_final=True)


def test_damaged_line_of_a_sealed_segment_is_handed_out_all_the_same(tmp_path: Path) -> None:
    path = tmp_path / SegmentName(STREAM, 1, "sealed").file_name
    path.write_bytes(lines(1, 1) + b"\0\0\n" + lines(2, 2))
    assert read_lines(path, 0).data == path.read_bytes()


@given(limit=st.integers(0, 2000), count=st.integers(0, 6), is_sealed=st.booleans())
def test_any_limit_yields_every_line_once_in_order(
    tmp_path_factory: pytest.TempPathFactory, limit: int, count: int, *, is_sealed: bool
) -> None:
    whole = lines(1, count)
    path = leave_open(tmp_path_factory.mktemp("log"), 1, whole)
    path = seal(path, whole) if is_sealed else path
    read, chunk = b"", Chunk(b"", 0, is_final=False)
    while not chunk.is_final and (chunk.data or not read):
        chunk = read_lines(path, chunk.next_offset, limit)
        assert not chunk.data or chunk.data.endswith(b"\n")
        assert len(chunk.data) <= max(limit, 2 * len(line(1)) + 2)
        read += chunk.data
        if not count:
            break
    assert read == whole
    assert chunk.is_final == is_sealed


@pytest.mark.parametrize("is_sealed", [True, False])
def test_long_reads_yield_every_line_once_in_order(tmp_path: Path, *, is_sealed: bool) -> None:
    whole = lines(1, 200)
    path = leave_open(tmp_path, 1, whole)
    path = seal(path, whole) if is_sealed else path
    for limit in (2 * END_BYTES, 2 * END_BYTES + 1, 5 * END_BYTES, len(whole), 2 * len(whole)):
        read, chunk = b"", read_lines(path, 0, limit)
        while chunk.data:
            assert len(chunk.data) <= limit
            read += chunk.data
            chunk = read_lines(path, chunk.next_offset, limit)
        assert read == whole
        assert chunk.is_final == is_sealed


def test_long_read_ends_where_a_line_does(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    path.write_bytes(b"a" * (3 * END_BYTES) + b"\n" + b"b" * (4 * END_BYTES))
    with path.open("rb") as file:
        found = [size_of_lines(file.fileno(), 0, kib * END_BYTES) for kib in (1, 3, 4, 6, 9)]
    newline = 3 * END_BYTES + 1
    # In order: short; no newline yet; one in the last piece; none there; the file is shorter.
    assert found == [END_BYTES, newline - 1, newline, 6 * END_BYTES, 9 * END_BYTES]


def test_what_is_written_reaches_up_to_the_zeros(tmp_path: Path) -> None:
    whole = lines(1, 2)
    with SegmentReader(leave_open(tmp_path, 1, whole + b"\0")) as reader:
        found = [reader.reaches(at) for at in (0, len(whole) - 1, len(whole), len(whole) + 1)]
    assert found == [True, True, False, False]


def test_reader_follows_the_rename_from_open_to_sealed(tmp_path: Path) -> None:
    path = leave_open(tmp_path, 1, lines(1, 2) + line(3)[:9])
    with SegmentReader(path) as reader:
        first = reader.read(0)
        assert (first.data, first.is_final) == (lines(1, 2), False)
        seal(path, lines(1, 2))
        assert reader.read(first.next_offset) == Chunk(b"", first.next_offset, is_final=True)
    assert read_lines(path, 0).is_final


def test_reader_that_has_the_file_reads_on_when_it_was_sealed_and_dropped(tmp_path: Path) -> None:
    path = leave_open(tmp_path, 1, lines(1, 2))
    with SegmentReader(path) as reader:
        seal(path, lines(1, 2)).unlink()
        assert reader.read(0) == Chunk(lines(1, 2), len(lines(1, 2)), is_final=True)


def test_segment_that_is_gone_is_said_to_be(tmp_path: Path) -> None:
    with pytest.raises(SegmentGone, match="not there any more"):
        read_lines(tmp_path / SegmentName(STREAM, 1, "open").file_name, 0)


def test_other_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LogError, match="is no segment"):
        read_lines(tmp_path / "manifest.ndjson", 0)


def test_tail_tells_of_each_line_once_through_seals_and_new_segments(tmp_path: Path) -> None:
    path = leave_open(tmp_path, 1, lines(1, 2))
    tail = Tail(tmp_path)
    assert tail.poll() == [(f"{STREAM}-00000001.ndjson", lines(1, 2))]
    assert tail.poll() == []
    seal(path, lines(1, 2))
    leave_open(tmp_path, 2, lines(3, 3))
    leave_open(tmp_path, 1, lines(1, 1, stream=OTHER), stream=OTHER)
    assert [data for _, data in tail.poll()] == [lines(3, 3), lines(1, 1, stream=OTHER)]
    path.with_name(path.name.removesuffix(".open")).unlink()
    assert tail.poll() == []
    tail.close()


def test_tail_from_the_end_tells_only_of_what_comes(tmp_path: Path) -> None:
    path = leave_open(tmp_path, 1, lines(1, 2))
    tail = Tail(tmp_path, from_end=True)
    with path.open("r+b") as file:
        file.seek(len(lines(1, 2)))
        file.write(lines(3, 3))
    assert [data for _, data in tail.poll()] == [lines(3, 3)]
    tail.close()
