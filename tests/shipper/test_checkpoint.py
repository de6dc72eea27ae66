"""Checkpoints: whole or not at all, and sums that count nothing twice."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.shipper.checkpoint import Checkpoint, CheckpointError, Checkpoints, Ended

STREAM = "w0-0123456789ab0000"
AT = Checkpoint(stream=STREAM, number=3, offset=17, inode=9, seq=12, shipped=10, dropped=2)


def saved(directory: Path, *checkpoints: Checkpoint) -> Checkpoints:
    kept = Checkpoints(directory, "kafka")
    kept.save(checkpoints)
    return kept


def test_what_was_saved_is_loaded(tmp_path: Path) -> None:
    saved(tmp_path, AT)
    assert Checkpoints(tmp_path, "kafka").load() == ({STREAM: AT}, Ended())


def test_sinks_do_not_see_each_other(tmp_path: Path) -> None:
    saved(tmp_path, AT)
    assert Checkpoints(tmp_path, "store").load() == ({}, Ended())


def test_only_the_owner_may_read(tmp_path: Path) -> None:
    saved(tmp_path, AT)
    assert (tmp_path / "kafka").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "kafka" / STREAM).stat().st_mode & 0o777 == 0o600


@given(cut=st.integers(0, 10_000), flip=st.integers(0, 7))
def test_torn_or_altered_checkpoint_is_none(
    tmp_path_factory: pytest.TempPathFactory, cut: int, flip: int
) -> None:
    directory = tmp_path_factory.mktemp("checkpoints")
    kept = saved(directory, AT)
    path = directory / "kafka" / STREAM
    content = bytearray(path.read_bytes())
    at = cut % (len(content) - 1)  # the newline at the end says nothing
    path.write_bytes(content[:at])
    assert kept.load()[0] == {}
    content[at] ^= 1 << flip
    path.write_bytes(content)
    assert kept.load()[0] == {}


def test_checkpoint_under_another_name_is_none(tmp_path: Path) -> None:
    kept = saved(tmp_path, AT)
    (tmp_path / "kafka" / STREAM).rename(tmp_path / "kafka" / "w1-0123456789ab0000")
    assert kept.load()[0] == {}


def test_leftover_of_a_crash_is_passed_over(tmp_path: Path) -> None:
    kept = saved(tmp_path, AT)
    (tmp_path / "kafka" / f".{STREAM}.new").write_bytes(b"half")
    assert kept.load()[0] == {STREAM: AT}


def test_directory_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CheckpointError, match=r"cannot write to .*file/kafka: Not a directory"):
        Checkpoints(tmp_path / "file", "kafka")


def test_full_disk_overwrites_in_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing new can be made, but a checkpoint that is there goes on."""
    kept = saved(tmp_path, AT)
    fill_disk(monkeypatch)
    later = Checkpoint(stream=STREAM, number=4, seq=20, shipped=18, dropped=2)
    kept.save([later])
    assert kept.load()[0] == {STREAM: later}
    with pytest.raises(CheckpointError, match="No space left on device"):
        kept.save([Checkpoint(stream="w1-0123456789ab0000")])


def fill_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.open

    def full(path: Any, flags: int, mode: int = 0o777) -> int:
        if flags & os.O_CREAT:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(path, flags, mode)

    monkeypatch.setattr(os, "open", full)


def test_ended_streams_are_added_up_once(tmp_path: Path) -> None:
    """A crash between the sum and the removal leaves the checkpoint; it does not count again."""
    kept = saved(tmp_path, AT)
    before = (tmp_path / "kafka" / STREAM).read_bytes()
    ended = Ended().plus([AT])
    kept.end(ended)
    assert kept.load() == ({}, Ended(shipped=10, dropped=2, latest=(STREAM,)))
    (tmp_path / "kafka" / STREAM).write_bytes(before)
    assert kept.load()[0] == {}
    assert not (tmp_path / "kafka" / STREAM).exists()
    assert ended.plus([]).shipped == 10
