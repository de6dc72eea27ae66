from __future__ import annotations

import errno
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from gateway.log.files import LogError
from gateway.log.manifest import Manifest, Removed
from gateway.log.names import SegmentName, list_segments
from gateway.log.quota import has_room, make_room, used_bytes
from gateway.log.sealer import Sealer
from gateway.log.verify import verify
from tests.log.samples import OTHER, SIZE, STREAM, held, leave_open, lines

EACH = len(lines(1, 3))


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Three sealed segments, the second of another stream, and one being written."""
    for number, stream in ((1, STREAM), (1, OTHER), (2, STREAM)):
        first = 3 * number - 2
        leave_open(tmp_path, number, lines(first, first + 2, stream=stream), stream=stream)
        (entry,) = Sealer(tmp_path).seal_ready()
        os.utime(tmp_path / entry.segment, ns=(0, len(list_segments(tmp_path)) * 10**9))
    leave_open(tmp_path, 3, lines(7, 9))
    return tmp_path


def left(directory: Path) -> list[str]:
    return [f"{name.stream[:2]}-{name.number}-{name.state}" for name, _ in list_segments(directory)]


def test_everything_that_holds_lines_is_counted(directory: Path) -> None:
    assert used_bytes(directory) == 3 * EACH + SIZE
    (directory / f"{STREAM}-00000001.ndjson.damaged").write_bytes(b"x" * 100)
    (directory / SegmentName(STREAM, 4, "new").file_name).write_bytes(b"x" * 10)
    assert used_bytes(directory) == 3 * EACH + SIZE + 110
    assert has_room(directory, used_bytes(directory) + 5, 5)
    assert not has_room(directory, used_bytes(directory) + 5, 6)


def test_nothing_is_dropped_while_there_is_room(directory: Path) -> None:
    assert make_room(directory, used_bytes(directory) + SIZE, SIZE) == ()
    assert len(list_segments(directory)) == 4


def test_oldest_goes_first_and_no_more_than_needed(directory: Path) -> None:
    removed = make_room(directory, used_bytes(directory) - 1, 0)
    assert [(entry.segment, entry.records) for entry in removed] == [
        (f"{STREAM}-00000001.ndjson", 3)
    ]
    removed = make_room(directory, used_bytes(directory) + EACH, 2 * EACH)
    assert [entry.segment for entry in removed] == [f"{OTHER}-00000001.ndjson"]
    assert left(directory) == ["w0-2-sealed", "w0-3-open"]
    assert verify(directory).is_good


def test_what_is_dropped_is_in_the_manifest(directory: Path) -> None:
    removed = make_room(directory, 0, 0)
    written = [entry for entry in Manifest(directory).entries() if isinstance(entry, Removed)]
    assert list(removed) == written
    assert {entry.reason for entry in written} == {"dropped"}
    assert left(directory) == ["w0-3-open"]  # is never dropped


def test_protected_and_locked_segments_stay(directory: Path) -> None:
    with held(directory / f"{OTHER}-00000001.ndjson"):
        make_room(directory, 0, 0, {f"{STREAM}-00000001.ndjson"})
    assert left(directory) == ["w0-1-sealed", "w0-3-open", "w1-1-sealed"]


def test_what_was_put_aside_goes_before_good_lines(directory: Path) -> None:
    aside = directory / f"{STREAM}-00000001.ndjson.damaged"
    aside.write_bytes(b"x" * 100)
    assert make_room(directory, used_bytes(directory) - 1, 0) == ()
    assert not aside.exists()


def test_two_that_need_room_at_once_drop_no_more_than_one(directory: Path) -> None:
    limit = used_bytes(directory) - 1
    removed: list[Removed] = []
    threads = [
        threading.Thread(target=lambda: removed.extend(make_room(directory, limit, 0)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(removed) == 1


def test_on_a_full_disk_the_file_goes_before_the_entry(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real_write, real_unlink = os.write, os.unlink
    unlinked: list[Any] = []

    def write(fd: int, content: bytes) -> int:
        if not unlinked:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real_write(fd, content)

    def unlink(path: Any, **named: Any) -> None:
        unlinked.append(path)
        real_unlink(path, **named)

    monkeypatch.setattr(os, "write", write)
    monkeypatch.setattr(os, "unlink", unlink)
    assert len(make_room(directory, used_bytes(directory) - 1, 0)) == 1
    monkeypatch.undo()
    assert verify(directory).is_good


def test_directory_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(LogError, match="No room can be made in"):
        make_room(tmp_path / "absent", 0, 0)
