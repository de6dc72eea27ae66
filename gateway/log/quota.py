"""How much room the log takes, and how some is made by dropping the oldest of it.

Used by the shipper and, where the shipper is gone, by a worker that needs a new segment.
Both may call at once: they take turns, so that no more is dropped than is needed.

Spares count, and go first; then what was put aside as damaged.

Rule 1: a segment that is written, or that somebody has locked, is never dropped.
Rule 2: dropping is written into the manifest, with the number of records, before the file goes. On
        a disk so full that it cannot be, the file goes first: that is the room the entry needs.

Cost: a stat of each file; the newlines of what is dropped are counted.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

from gateway._fast import count_lines
from gateway.log import spares
from gateway.log.files import LogError, locked, pieces, sync_directory, try_lock, why
from gateway.log.manifest import DROPPED, Manifest, Removed
from gateway.log.names import DAMAGED, SegmentName, list_segments

LOCK_NAME = "quota.lock"


def used_bytes(directory: Path) -> int:
    """Of all segments, also those being written, of spares, and of what was put aside."""
    found = [*_segments(directory), *_put_aside(directory)]
    return sum(map(_size, found)) + spares.used_bytes(directory)


def has_room(directory: Path, max_bytes: int, needed_bytes: int) -> bool:
    """Whether so many bytes more are within the limit."""
    return used_bytes(directory) + needed_bytes <= max_bytes


def make_room(
    directory: Path, max_bytes: int, needed_bytes: int, protected: Collection[str] = ()
) -> tuple[Removed, ...]:
    """Drop the oldest sealed segments until so many bytes more are within the limit.

    Segments named in `protected` stay. Whether it was enough, `has_room` says. LogError where a
    file cannot be deleted.
    """
    try:
        with locked(directory / LOCK_NAME):
            return _make_room(directory, max_bytes - needed_bytes, protected)
    except OSError as error:
        raise LogError(f"No room can be made in {directory}: {why(error)}.") from None


def _make_room(directory: Path, limit: int, protected: Collection[str]) -> tuple[Removed, ...]:
    used = used_bytes(directory)
    used -= spares.clear(directory, used - limit)
    for path in _put_aside(directory) if used > limit else ():
        used -= _size(path)
        path.unlink(missing_ok=True)
        sync_directory(directory)
    removed: list[Removed] = []
    manifest = Manifest(directory)
    for path in _oldest(directory) if used > limit else ():
        if used <= limit:
            break
        size = _size(path)
        entry = None if path.name in protected else _drop(manifest, path)
        if entry:
            used -= size
            removed.append(entry)
    return tuple(removed)


def _drop(manifest: Manifest, path: Path) -> Removed | None:
    """The entry of the segment that was dropped; None where somebody has it."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        if not try_lock(fd):
            return None
        size = os.fstat(fd).st_size
        records = sum(count_lines(piece) for piece in pieces(fd, 0, size))
    finally:
        os.close(fd)
    try:
        return manifest.remove(path.name, records, DROPPED)
    except LogError:
        manifest.unlink(path.name)  # Rule 2
        return manifest.remove(path.name, records, DROPPED)


def _segments(directory: Path) -> list[Path]:
    return [path for _, path in list_segments(directory)]


def _oldest(directory: Path) -> list[Path]:
    """Sealed segments by the time of their last line."""
    sealed = [path for name, path in list_segments(directory) if name.state == "sealed"]
    return sorted(sealed, key=lambda path: (_changed_ns(path), path.name))


def _put_aside(directory: Path) -> list[Path]:
    found = directory.glob(f"*.ndjson{DAMAGED}")
    return sorted(path for path in found if SegmentName.parse(path.name.removesuffix(DAMAGED)))


def _size(path: Path) -> int:
    with suppress(FileNotFoundError):
        return path.stat().st_size
    return 0


def _changed_ns(path: Path) -> int:
    with suppress(FileNotFoundError):
        return path.stat().st_mtime_ns
    return 0
