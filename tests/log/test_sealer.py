from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.log.chain import HEAD_NAME, read_head
from gateway.log.manifest import Broken, Manifest, Sealed
from gateway.log.names import SegmentName, list_segments
from gateway.log.sealer import Sealer
from tests.log.crashes import (
    Killed,
    dies_after,
    dies_before,
    dies_half_way,
    disk_fails,
    disk_is_full,
    steps,
)
from tests.log.samples import OTHER, STREAM, feedback, held, leave_open, line, lines

SEALED = f"{STREAM}-00000001.ndjson"
Instead = Callable[[str, Callable[[], Any], Any], Any]


def sealed_entries(directory: Path) -> list[Sealed]:
    return [entry for entry in Manifest(directory).entries() if isinstance(entry, Sealed)]


def test_orphan_is_cut_behind_its_last_line_and_listed(tmp_path: Path) -> None:
    whole = lines(1, 3) + msgspec.json.encode(feedback(4)) + b"\n"
    path = leave_open(tmp_path, 1, whole)
    (entry,) = Sealer(tmp_path).seal_ready()
    assert not path.exists()
    assert (tmp_path / SEALED).read_bytes() == whole
    assert entry == sealed_entries(tmp_path)[0]
    assert (entry.segment, entry.stream, entry.number) == (SEALED, STREAM, 1)
    assert (entry.records, entry.first_seq, entry.last_seq) == (4, 1, 4)
    assert (entry.bytes, entry.cut_bytes, entry.damaged_bytes) == (len(whole), 0, 0)
    assert entry.sha256 == hashlib.sha256(whole).hexdigest()
    assert entry.first_time == "2026-11-21T12:00:01.000000Z"
    assert entry.last_time == "2026-11-21T12:01:00.000000Z"
    assert [name.state for name, _ in list_segments(tmp_path)] == ["sealed"]


def test_sealing_again_finds_nothing_to_do(tmp_path: Path) -> None:
    leave_open(tmp_path, 1, lines(1, 3))
    sealer = Sealer(tmp_path)
    assert len(sealer.seal_ready()) == 1
    assert sealer.seal_ready() == []
    assert Sealer(tmp_path).seal_ready() == []
    assert len(sealed_entries(tmp_path)) == 1


def test_segment_whose_writer_lives_is_left_alone(tmp_path: Path) -> None:
    path = leave_open(tmp_path, 1, lines(1, 3))
    before = path.read_bytes()
    with held(path):
        assert Sealer(tmp_path).seal_ready() == []
        assert path.read_bytes() == before
    assert len(Sealer(tmp_path).seal_ready()) == 1


def test_segment_whose_writer_is_another_process_is_left_alone_until_it_is_killed(
    tmp_path: Path,
) -> None:
    path = leave_open(tmp_path, 1, lines(1, 3))
    program = (
        "import fcntl, sys, time\n"
        "file = open(sys.argv[1], 'r+b')\n"
        "fcntl.flock(file, fcntl.LOCK_EX)\n"
        "print('held', flush=True)\n"
        "time.sleep(30)\n"
    )
    arguments = [sys.executable, "-c", program, str(path)]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        writer.stdout.readline()
        assert Sealer(tmp_path).seal_ready() == []
        assert path.stat().st_size > len(lines(1, 3))
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        assert len(Sealer(tmp_path).seal_ready()) == 1


def test_empty_segment_is_deleted(tmp_path: Path) -> None:
    path = leave_open(tmp_path, 1, b"")
    sealer = Sealer(tmp_path)
    assert sealer.seal_ready() == []
    assert not path.exists()
    assert sealer.counts.empty_segments == 1
    assert sealer.counts.cut_bytes == 0


@pytest.mark.parametrize(
    "tail",
    [
        line(4)[:-1],
        line(4),
        b"x",
        b"garbage\n",
        b"\n",
        b"\xff\xfe\n\xff",
        b'{"v":1}\n',
        line(3) + b"\n",
        line(4, stream=OTHER) + b"\n",
        line(4)[:40] + b"\0" * 40 + line(4)[80:] + b"\n",
        b"[" * 2000 + b"\n",
    ],
)
def test_tail_without_a_good_line_is_cut_and_counted(tmp_path: Path, tail: bytes) -> None:
    leave_open(tmp_path, 1, lines(1, 3) + tail)
    sealer = Sealer(tmp_path)
    (entry,) = sealer.seal_ready()
    assert (tmp_path / SEALED).read_bytes() == lines(1, 3)
    assert entry.cut_bytes == sealer.counts.cut_bytes == len(tail)
    assert (entry.damaged_bytes, sealer.counts.damaged_segments) == (0, 0)


@pytest.mark.parametrize(
    "damage", [b"garbage\n", b"\0" * 5000, b"\0" * 100 + b"\n", b'{"v":1}\n', b"\n", b"{}\n"]
)
def test_what_stands_behind_damage_is_put_aside(tmp_path: Path, damage: bytes) -> None:
    leave_open(tmp_path, 1, lines(1, 3) + damage + lines(5, 6))
    sealer = Sealer(tmp_path)
    (entry,) = sealer.seal_ready()
    assert (tmp_path / SEALED).read_bytes() == lines(1, 3)
    assert (tmp_path / f"{SEALED}.damaged").read_bytes() == damage + lines(5, 6)
    assert entry.damaged_bytes == sealer.counts.damaged_bytes == len(damage + lines(5, 6))
    assert (sealer.counts.damaged_segments, entry.cut_bytes) == (1, 0)


def test_segment_damaged_from_its_beginning_is_put_aside_whole(tmp_path: Path) -> None:
    leave_open(tmp_path, 1, b"\0" * 64 + lines(1, 3))
    sealer = Sealer(tmp_path)
    assert sealer.seal_ready() == []
    assert (tmp_path / f"{SEALED}.damaged").read_bytes() == b"\0" * 64 + lines(1, 3)
    assert [path.name for _, path in list_segments(tmp_path)] == []
    assert sealer.counts.damaged_segments == 1


def test_large_segment_is_sealed_whole(tmp_path: Path) -> None:
    whole = lines(1, 8000)
    assert len(whole) > 2 << 20  # Why: more than two pieces of the scan
    leave_open(tmp_path, 1, whole + b"half", size=4 << 20)
    (entry,) = Sealer(tmp_path).seal_ready()
    assert (entry.records, entry.cut_bytes) == (8000, 4)
    assert entry.sha256 == hashlib.sha256(whole).hexdigest()


@given(content=st.binary(max_size=300), good=st.integers(0, 3), later=st.integers(0, 2))
@settings(max_examples=60, deadline=None)
def test_whatever_a_power_cut_left_what_is_good_is_kept_and_nothing_else(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, good: int, later: int
) -> None:
    directory = tmp_path_factory.mktemp("log")
    whole = lines(1, good) + content + lines(10, 9 + later)
    leave_open(directory, 1, whole)
    Sealer(directory).seal_ready()
    sealed = directory / SEALED
    kept = sealed.read_bytes() if sealed.exists() else b""
    aside = directory / f"{SEALED}.damaged"
    assert kept.startswith(lines(1, good))
    assert whole.startswith(kept)
    if aside.exists():
        assert kept + aside.read_bytes() == whole.rstrip(b"\0")
    elif later:
        assert kept.endswith(lines(10, 9 + later))


def test_abandoned_allocation_is_deleted_when_it_is_old(tmp_path: Path) -> None:
    path = tmp_path / SegmentName(STREAM, 2, "new").file_name
    path.write_bytes(bytes(100))
    made_at = path.stat().st_mtime
    with held(path):
        Sealer(tmp_path, now=lambda: made_at + 3600).seal_ready()
        assert path.exists()
    Sealer(tmp_path, now=lambda: made_at + 30).seal_ready()
    assert path.exists()
    sealer = Sealer(tmp_path, now=lambda: made_at + 3600)
    sealer.seal_ready()
    assert not path.exists()
    assert sealer.counts.abandoned_segments == 1


def test_lines_in_a_file_whose_rename_a_power_cut_took_back_are_sealed(tmp_path: Path) -> None:
    path = leave_open(tmp_path, 1, lines(1, 2))
    path.rename(path.with_suffix(".new"))
    (entry,) = Sealer(tmp_path).seal_ready()
    assert entry.records == 2
    assert (tmp_path / SEALED).read_bytes() == lines(1, 2)


def test_sealed_file_is_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / SEALED).write_bytes(lines(1, 2))
    leave_open(tmp_path, 1, lines(1, 3))
    sealer = Sealer(tmp_path)
    sealer.seal_ready()
    assert "is there already" in sealer.problem
    assert (tmp_path / SEALED).read_bytes() == lines(1, 2)
    assert (tmp_path / f"{SEALED}.open").read_bytes().startswith(lines(1, 3))


def scene(directory: Path) -> dict[str, bytes]:
    """Orphans of every sort; what must be kept of each."""
    leave_open(directory, 1, lines(1, 3) + b"half a line")
    leave_open(directory, 2, b"")
    leave_open(directory, 3, lines(4, 5) + b"damage\n" + lines(7, 8))
    leave_open(directory, 1, lines(1, 2, stream=OTHER), stream=OTHER)
    return {
        SEALED: lines(1, 3),
        f"{STREAM}-00000003.ndjson": lines(4, 5),
        f"{OTHER}-00000001.ndjson": lines(1, 2, stream=OTHER),
    }


def assert_consistent(directory: Path, kept: dict[str, bytes]) -> None:
    """Nothing lost, nothing sealed twice, the chain whole and ended by its head."""
    entries = sealed_entries(directory)
    assert sorted(entry.segment for entry in entries) == sorted(kept)
    assert len(list(Manifest(directory).entries())) == len(entries)
    for entry in entries:
        content = (directory / entry.segment).read_bytes()
        assert content == kept[entry.segment]
        assert entry.sha256 == hashlib.sha256(content).hexdigest()
    head = read_head(directory)
    assert head is not None
    assert head.count == len(entries)
    assert (directory / f"{STREAM}-00000003.ndjson.damaged").read_bytes() == b"damage\n" + lines(
        7, 8
    )
    assert {name.state for name, _ in list_segments(directory)} == {"sealed"}


def all_steps(directory: Path) -> int:
    directory.mkdir()
    scene(directory)
    with steps(0, dies_before) as counted:
        Sealer(directory).seal_ready()
    return counted.seen


@pytest.mark.parametrize("dies", [dies_before, dies_after, dies_half_way])
def test_sealer_that_dies_at_any_step_is_continued_by_the_next(
    tmp_path: Path, dies: Instead
) -> None:
    count = all_steps(tmp_path / "counted")
    assert count > 30
    for at in range(1, count + 1):
        directory = tmp_path / str(at)
        directory.mkdir()
        kept = scene(directory)
        with pytest.raises(Killed), steps(at, dies):
            Sealer(directory).seal_ready()
        with suppress(Killed), steps(at % 7 + 1, dies):  # and once more, early
            Sealer(directory).seal_ready()
        Sealer(directory).seal_ready()
        assert_consistent(directory, kept)
        assert Sealer(directory).seal_ready() == []


@pytest.mark.parametrize("fails", [disk_is_full, disk_fails])
@pytest.mark.parametrize("for_ever", [False, True])
def test_disk_that_fails_at_any_step_is_told_and_nothing_is_lost(
    tmp_path: Path, fails: Instead, *, for_ever: bool
) -> None:
    count = all_steps(tmp_path / "counted")
    for at in range(1, count + 1):
        directory = tmp_path / str(at)
        directory.mkdir()
        kept = scene(directory)
        sealer = Sealer(directory)
        with steps(-at if for_ever else at, fails):
            returned = sealer.seal_ready()
        assert sealer.problem.endswith(".") or len(returned) == len(kept) or not for_ever
        returned += sealer.seal_ready()
        assert sealer.problem == ""
        assert_consistent(directory, kept)
        assert sorted(entry.segment for entry in returned) == sorted(kept)


def test_file_that_cannot_be_sealed_does_not_keep_others(tmp_path: Path) -> None:
    (tmp_path / f"{STREAM}-00000001.ndjson.open").symlink_to("/dev/full")
    leave_open(tmp_path, 2, lines(1, 2))
    sealer = Sealer(tmp_path)
    assert [entry.number for entry in sealer.seal_ready()] == [2]
    assert "cannot be sealed" in sealer.problem


def test_sealed_segment_outside_of_the_manifest_is_listed_at_the_next_start(tmp_path: Path) -> None:
    Sealer(tmp_path).seal_ready()
    (tmp_path / SEALED).write_bytes(lines(1, 2))
    (entry,) = Sealer(tmp_path).seal_ready()
    assert entry.records == 2


def test_manifest_that_was_deleted_is_told_for_ever_and_nothing_is_lost(tmp_path: Path) -> None:
    for number in range(1, 4):
        leave_open(tmp_path, number, lines(number, number))
    Sealer(tmp_path).seal_ready()
    (tmp_path / "manifest.ndjson").unlink()
    (tmp_path / HEAD_NAME).unlink()
    assert len(Sealer(tmp_path).seal_ready()) == 3
    broken = [entry for entry in Manifest(tmp_path).entries() if isinstance(entry, Broken)]
    assert [entry.sentence[:40] for entry in broken] == ["3 sealed segments were not in the manife"]


def test_removal_that_a_crash_interrupted_is_completed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    leave_open(tmp_path, 1, lines(1, 2))
    Sealer(tmp_path).seal_ready()
    monkeypatch.setattr(os, "unlink", lambda *_, **__: dies_before("unlink", print, ()))
    with pytest.raises(Killed):
        Manifest(tmp_path).remove(SEALED, 2, "dropped")
    monkeypatch.undo()
    assert (tmp_path / SEALED).exists()
    assert Sealer(tmp_path).seal_ready() == []
    assert not (tmp_path / SEALED).exists()
    assert len(sealed_entries(tmp_path)) == 1


def test_directory_that_is_not_there_is_told(tmp_path: Path) -> None:
    sealer = Sealer(tmp_path / "absent")
    assert sealer.seal_ready() == []
    assert sealer.problem.endswith("cannot be written: no such file or directory.")
