"""Streams of lines into mapped files."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway._fast import Segment, Stream
from tests.support.records import lines_of, segment

NOW_NS = 10**15


def stream(*sizes: int) -> Stream:
    made = Stream("w0-0000000000000000")
    for number, size in enumerate(sizes, 1):
        made.attach(segment(number, size))
    return made


@settings(deadline=None)
@given(st.lists(st.binary(max_size=40).map(lambda line: line.replace(b"\n", b"")), max_size=60))
def test_every_number_is_used_and_what_found_room_is_there(lines: list[bytes]) -> None:
    lines = [line.replace(b"\0", b"") for line in lines]
    writing = stream(512, 512)
    first, second = writing.current, writing.spare
    assert first is not None
    assert second is not None
    kept = [line for line in lines if writing.add(line, NOW_NS)]
    assert writing.seq == len(lines)
    assert (writing.records, writing.dropped) == (len(kept), len(lines) - len(kept))
    assert writing.written_bytes == sum(len(line) + 1 for line in kept)
    assert [*lines_of(first), *lines_of(second)] == kept


def test_a_line_is_never_cut() -> None:
    writing = stream(64)
    assert writing.add(b"a" * 40, NOW_NS)
    assert not writing.add(b"b" * 24, NOW_NS)
    assert writing.add(b"c" * 22, NOW_NS)
    assert writing.current is not None
    assert lines_of(writing.current) == [b"a" * 40, b"c" * 22]
    assert (writing.seq, writing.dropped) == (3, 1)


def test_a_full_segment_is_handed_out_and_the_spare_taken() -> None:
    writing = stream(32, 32)
    full = writing.current
    for _ in range(2):
        assert writing.add(b"x" * 20, NOW_NS)
    assert writing.take_full() == [full]
    assert writing.take_full() == []
    assert writing.spare is None


def test_an_old_segment_is_rolled_once_it_has_a_line_and_a_spare() -> None:
    writing = stream(64)
    writing.roll_if_older(NOW_NS + 5)
    assert writing.take_full() == []
    writing.add(b"x", NOW_NS)
    writing.roll_if_older(NOW_NS + 5)
    assert writing.take_full() == []  # there is no spare
    writing.attach(segment(2, 64))
    writing.roll_if_older(NOW_NS)
    assert writing.take_full() == []  # it is not older
    writing.roll_if_older(NOW_NS + 1)
    assert len(writing.take_full()) == 1


def test_room_is_low_in_the_last_quarter_without_a_spare() -> None:
    writing = Stream("w0-0000000000000000")
    assert writing.is_low
    said = []
    writing.attach(segment(1, 100))
    said.append(writing.is_low)
    writing.add(b"x" * 75, NOW_NS)
    said.append(writing.is_low)
    writing.attach(segment(2, 100))
    said.append(writing.is_low)
    assert said == [False, True, False]


def test_only_one_spare_is_kept() -> None:
    writing = stream(64, 64)
    with pytest.raises(ValueError, match="has a spare"):
        writing.attach(segment(3, 64))


def test_a_closed_stream_drops_and_counts() -> None:
    writing = stream(64, 64)
    writing.close()
    assert len(writing.take_full()) == 2
    assert not writing.add(b"x", NOW_NS)
    assert writing.dropped == 1


def test_a_closed_segment_is_not_written_into() -> None:
    closed = segment(1, 64)
    closed.close()
    closed.close()
    writing = Stream("w0-0000000000000000")
    writing.attach(closed)
    assert not writing.add(b"x", NOW_NS)


def test_lines_of_a_killed_process_are_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "segment"
    fd = os.open(path, os.O_RDWR | os.O_CREAT)
    os.ftruncate(fd, 4096)
    child = os.fork()
    if child == 0:  # pragma: no cover
        writing = Stream("w0-0000000000000000")
        writing.attach(Segment(os.dup(fd), 1))
        for number in range(10):
            writing.add(b"line %d" % number, NOW_NS)
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    os.close(fd)
    assert path.read_bytes().rstrip(b"\0").splitlines() == [b"line %d" % n for n in range(10)]


def test_always_sync_writes_all_the_same(tmp_path: Path) -> None:
    fd = os.open(tmp_path / "segment", os.O_RDWR | os.O_CREAT)
    os.ftruncate(fd, 4096)
    writing = Stream("w0-0000000000000000", always_sync=True)
    writing.attach(Segment(fd, 1))
    assert writing.add(b"x", NOW_NS)
    assert (tmp_path / "segment").read_bytes()[:2] == b"x\n"


def test_what_cannot_be_mapped_is_an_error() -> None:
    fd = os.memfd_create("empty")
    with pytest.raises(OSError, match="cannot be mapped"):
        Segment(fd, 1)
    os.close(fd)


def test_pages_are_touched_ahead_and_hold_zeros() -> None:
    made = segment(1, 256 << 10)
    assert made.touched == 0
    made.touch(1)
    assert made.touched == 64 << 10  # whole large pages
    made.touch(1)  # what is there is left alone
    made.touch(1 << 30)
    assert made.touched == made.size == 256 << 10
    assert os.pread(made.fd, made.size, 0) == bytes(made.size)


def test_touching_changes_no_line() -> None:
    writing = stream(256 << 10)
    assert writing.current is not None
    assert writing.add(b"before", NOW_NS)
    writing.current.touch(128 << 10)
    assert writing.add(b"after", NOW_NS)
    writing.current.touch(256 << 10)
    assert lines_of(writing.current) == [b"before", b"after"]


def test_a_closed_segment_is_not_touched() -> None:
    made = segment(1, 256 << 10)
    made.close()
    made.touch(1)
    assert made.touched == 0
