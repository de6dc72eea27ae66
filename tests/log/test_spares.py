"""Segments that are used again: all zeros, of this boot, never under a reader's feet."""

from __future__ import annotations

import fcntl
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.log import spares
from gateway.log.manifest import DELIVERED, DROPPED, Manifest
from gateway.log.names import list_segments
from gateway.log.quota import make_room, used_bytes
from gateway.log.spares import retire, take

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="leases and boot ids are Linux's")

MIB = 1 << 20
LINE = b'{"v":1,"user":"somebody"}\n'


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Path]:
    spares._boot.cache_clear()
    yield tmp_path
    spares._boot.cache_clear()


def segment(directory: Path, number: int = 1, size: int = MIB) -> Path:
    path = directory / f"w0-00000000000000aa-{number:08d}.ndjson"
    path.write_bytes((LINE * (size // len(LINE) + 1))[:size])
    return path


def spares_in(directory: Path) -> list[Path]:
    return sorted(directory.glob("spare-*"))


def test_a_full_segment_becomes_a_spare_of_zeros(directory: Path) -> None:
    retire(segment(directory, size=MIB + 7))
    (spare,) = spares_in(directory)
    assert spare.read_bytes() == bytes(MIB + 7)
    assert list_segments(directory) == []  # it is no segment to anybody


def test_a_short_segment_is_deleted(directory: Path) -> None:
    retire(segment(directory, size=MIB // 2 - 1))
    assert list(directory.iterdir()) == []


def test_no_more_than_a_few_are_kept(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spares, "KEPT_BYTES", 3 * MIB)
    for number in range(1, 6):
        retire(segment(directory, number))
    assert len(list(directory.iterdir())) == 3


def test_what_somebody_still_reads_is_not_overwritten(directory: Path) -> None:
    path = segment(directory)
    written = path.read_bytes()
    with path.open("rb") as reader:
        retire(path)
        assert list(directory.iterdir()) == []
        assert reader.read() == written


def test_what_somebody_has_locked_is_not_overwritten(directory: Path) -> None:
    path = segment(directory)
    with path.open("rb") as holder:
        fcntl.flock(holder, fcntl.LOCK_EX)
        retire(path)
    assert list(directory.iterdir()) == []


def test_a_file_that_is_gone_is_gone(directory: Path) -> None:
    with pytest.raises(FileNotFoundError):
        (directory / "none").stat()
    retire(directory / "w0-00000000000000aa-00000001.ndjson")
    assert list(directory.iterdir()) == []


def test_a_spare_is_taken_once_and_locked(directory: Path) -> None:
    retire(segment(directory))
    target = directory / "w0-00000000000000bb-00000001.ndjson.new"
    fd = take(directory, target, MIB)
    assert fd is not None
    assert os.path.samestat(os.fstat(fd), target.stat())
    with target.open("rb") as other, pytest.raises(BlockingIOError):
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    assert take(directory, target.with_name("other.new"), MIB) is None
    os.close(fd)


@pytest.mark.parametrize("wished", [MIB // 2, 2 * MIB])
def test_spares_of_another_size_are_deleted(directory: Path, wished: int) -> None:
    retire(segment(directory))
    assert take(directory, directory / "t.new", wished) is None
    assert list(directory.iterdir()) == []


def test_a_spare_of_another_boot_is_deleted(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    retire(segment(directory))
    monkeypatch.setattr(spares, "_boot", lambda: "0" * 8)
    assert take(directory, directory / "t.new", MIB) is None
    assert list(directory.iterdir()) == []


def test_where_the_system_does_not_say_which_boot_it_is_nothing_is_kept(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spares, "_boot", lambda: "")
    retire(segment(directory))
    assert list(directory.iterdir()) == []


def test_what_a_crash_left_half_overwritten_is_deleted(directory: Path) -> None:
    left = directory / f"spare-{spares._boot()}-00000000.new"
    segment(directory).rename(left)
    with left.open("rb") as maker:
        fcntl.flock(maker, fcntl.LOCK_EX)
        assert take(directory, directory / "t.new", MIB) is None
        assert left.exists()  # its maker lives
    assert take(directory, directory / "t.new", MIB) is None
    assert not left.exists()


def test_spares_count_as_room_and_go_first(directory: Path) -> None:
    kept = segment(directory, 2)
    retire(segment(directory, 1))
    assert used_bytes(directory) == 2 * MIB
    assert make_room(directory, 2 * MIB, MIB) == ()
    assert [path.name for path in directory.iterdir() if path.suffix == ".ndjson"] == [kept.name]
    assert spares_in(directory) == []


@pytest.mark.parametrize("reason, count", [(DELIVERED, 1), (DROPPED, 0)])
def test_only_what_was_delivered_is_kept(directory: Path, reason: str, count: int) -> None:
    """What is dropped is dropped for its room."""
    path = segment(directory)
    Manifest(directory).remove(path.name, 3, reason)
    assert not path.exists()
    assert len(spares_in(directory)) == count
