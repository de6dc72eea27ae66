"""What is done to the files, in turns."""

from __future__ import annotations

import contextlib
import ctypes
import mmap
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.log.manifest import Manifest, Removed
from gateway.shipper import progress
from gateway.shipper.checkpoint import Checkpoint
from gateway.shipper.progress import Progress
from gateway.shipper.upkeep import Rules, Upkeep
from tests.shipper.segments import SegmentWriter
from tests.support.gateway import ROOT

RULES = Rules(max_bytes=1 << 30, drops_oldest=True)


def written(directory: Path, records: int = 60) -> SegmentWriter:
    writer = SegmentWriter(directory, segment_bytes=4096)
    for _ in range(records):
        writer.append()
    return writer


def behind(stream: str, number: int) -> dict[str, Checkpoint]:
    return {stream: Checkpoint(stream=stream, number=number)}


def test_only_what_every_sink_has_is_removed(tmp_path: Path) -> None:
    writer, upkeep = written(tmp_path), Upkeep(tmp_path, RULES)
    stream = writer.stream
    sealed = [item for item in upkeep.turn(Progress()).items() if item.is_sealed]
    assert len(sealed) > 3
    progress = Progress(sinks=(behind(stream, 3), behind(stream, 2)))
    upkeep.turn(progress)
    assert not sealed[0].path.exists()
    assert sealed[1].path.exists()
    entry = list(Manifest(tmp_path).entries())[-1]
    assert isinstance(entry, Removed)
    assert (entry.segment, entry.reason) == (sealed[0].name.segment, "delivered")
    assert upkeep.shelf.delivered == {stream: sealed[0].extent.last_seq}


def test_what_was_delivered_is_known_after_a_restart(tmp_path: Path) -> None:
    writer, upkeep = written(tmp_path), Upkeep(tmp_path, RULES)
    upkeep.turn(Progress())
    upkeep.turn(Progress(sinks=(behind(writer.stream, 3),)))
    again = Upkeep(tmp_path, RULES)
    assert again.turn(Progress()).delivered == upkeep.shelf.delivered
    assert again.shelf.appended == {writer.stream: 60}


def test_segment_that_a_sink_is_reading_is_not_dropped(tmp_path: Path) -> None:
    written(tmp_path)
    upkeep = Upkeep(tmp_path, Rules(max_bytes=0, drops_oldest=True))
    upkeep.rules = RULES
    first = next(item for item in upkeep.turn(Progress()).items() if item.is_sealed)
    upkeep.rules = Rules(max_bytes=0, drops_oldest=True)
    shelf = upkeep.turn(Progress(in_use=frozenset({first.name.segment})))
    assert [item.path for item in shelf.items() if item.is_sealed] == [first.path]
    assert upkeep.made_room > 2


def test_step_that_fails_is_told_once_and_does_not_stop_the_others(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    writer, upkeep = written(tmp_path), Upkeep(tmp_path, RULES)
    upkeep.turn(Progress())
    manifest = tmp_path / "manifest.ndjson"
    kept = manifest.read_bytes()
    manifest.unlink()
    manifest.mkdir()
    writer.roll()
    upkeep.turn(Progress())
    shelf = upkeep.turn(Progress())
    assert "manifest.ndjson" in upkeep.error
    assert shelf.appended == {writer.stream: 60}
    assert len(caplog.records) == 1
    manifest.rmdir()
    manifest.write_bytes(kept)
    upkeep.turn(Progress())
    assert upkeep.error == ""


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = shutil.which("mount")
    if mount is None or os.geteuid() != 0:
        pytest.skip("a file system of its own needs root")
    if subprocess.run([mount, "-t", "tmpfs", "-o", "size=1m", "t", disk], check=False).returncode:
        pytest.skip("nothing can be mounted here")
    yield disk
    subprocess.run(["umount", "-l", disk], check=True)


def fill(disk: Path) -> Path:
    """A file that takes all the room there is."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(b"x" * 4096)
    return filler


def test_full_disk_does_not_keep_what_was_delivered(small_disk: Path) -> None:
    """The room that it takes may be what is missing."""
    log = small_disk / "log"
    writer, upkeep = written(log, 30), Upkeep(log, RULES)
    writer.close()
    upkeep.turn(Progress())
    fill(small_disk)
    shelf = upkeep.turn(Progress(sinks=(behind(writer.stream, 99),)))
    assert (list(shelf.items()), upkeep.error) == ([], "")
    assert isinstance(list(Manifest(log).entries())[-1], Removed)


def test_full_disk_still_seals(small_disk: Path) -> None:
    """What was allocated and not used is the room that it needs."""
    log = small_disk / "log"
    writer, upkeep = SegmentWriter(log, segment_bytes=64 * 1024), Upkeep(log, RULES)
    writer.append()
    upkeep.turn(Progress())
    fill(small_disk)
    for _ in range(39):
        writer.append()
    writer.close()
    (item,) = upkeep.turn(Progress()).items()
    assert (item.is_sealed, item.extent.records, upkeep.error) == (True, 40, "")


@pytest.fixture
def on_disk() -> Iterator[Path]:
    """Beside the sources: where /tmp is memory, nothing of it can be let go."""
    build = ROOT / "build"
    build.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=build) as folder:
        yield Path(folder)


@pytest.mark.skipif(not hasattr(os, "posix_fadvise"), reason="the system takes no advice")
def test_backlog_does_not_stay_in_memory(on_disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "NEAR_BYTES", 2 * 4096)
    writer, upkeep = written(on_disk), Upkeep(on_disk, RULES)
    shelf = upkeep.turn(Progress(sinks=({},)))
    sealed = [item for item in shelf.items() if item.is_sealed]
    resident = [pages_in_memory(item.path) for item in sealed]
    assert resident == [1, 1, 1, *[0] * (len(sealed) - 3)]
    for item in sealed:  # nothing of it is lost
        assert item.path.read_bytes().count(b"\n") == item.extent.records > 0
    upkeep.turn(Progress(sinks=(behind(writer.stream, 1),)))
    assert pages_in_memory(sealed[-1].path) == 1  # told once: what was read since may stay


def pages_in_memory(path: Path) -> int:
    """mincore(2)."""
    libc = ctypes.CDLL(None, use_errno=True)
    with path.open("r+b") as file, mmap.mmap(file.fileno(), 0) as mapped:
        start = ctypes.addressof(ctypes.c_char.from_buffer(mapped))
        vector = (ctypes.c_ubyte * (len(mapped) // mmap.PAGESIZE + 1))()
        assert libc.mincore(ctypes.c_void_p(start), ctypes.c_size_t(len(mapped)), vector) == 0
        return sum(page & 1 for page in vector)
