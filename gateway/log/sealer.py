"""From a segment without a writer to a sealed one; repairs what crashes and power cuts left.

    .open, its lock free  ──scan──► cut behind the last good line ──rename──► in the manifest

A process may die between any two of these steps; the next call goes on from there. The
lock on the file is kept through all of them, so that two sealers never meet.

What the scan finds behind the last good line: zeros only, which is how a writer leaves
it; a tail without a good line in it, which is cut off and counted (`cut_bytes`); or, after a
power cut, damage with good lines behind it, which is put aside as `<segment>.damaged`.

Rule 1: a file whose lock another process holds is left alone.
Rule 2: a step that fails leaves everything as it was; `problem` says why in one sentence, and the
        next call tries again. A file that fails does not keep others from being sealed; a manifest
        that cannot be written does, so that at most one sealed file is not in it.
Rule 3: no asyncio here; the shipper calls it in a thread.

Cost: one read of each new segment; some 2 µs a line of 1 KiB.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from msgspec import Struct

from gateway.log.files import (
    LogError,
    is_still_at,
    pieces,
    replace_durably,
    sync_directory,
    try_lock,
    why,
)
from gateway.log.lines import MalformedLine, place_of
from gateway.log.manifest import Manifest, Sealed
from gateway.log.names import DAMAGED, SegmentName, list_segments
from gateway.log.reader import size_of_lines
from gateway.log.tally import Tally

LINE_START = b'{"v":'
SCAN_BYTES = 256 * 1024  # at once; more would not stay in the processor's cache
# Why not 0: the process that makes a `.new` file locks it a moment later.
ABANDONED_S = 60.0


class Counts(Struct):
    """What was done since the start; they only grow."""

    sealed_segments: int = 0
    sealed_records: int = 0
    cut_bytes: int = 0
    damaged_segments: int = 0
    damaged_bytes: int = 0
    empty_segments: int = 0
    abandoned_segments: int = 0  # `.new` files


class Sealer:
    """Seals the segments of one directory."""

    def __init__(self, directory: Path, *, now: Callable[[], float] = time.time) -> None:
        self.counts = Counts()
        self.problem = ""  # why something could not be sealed, the last time
        self._directory = directory
        self._now = now
        self._manifest = Manifest(directory, now=now)
        self._looked_back = False
        self._unsure: Sealed | None = None  # appending it failed, and taking that back may have

    def seal_ready(self) -> list[Sealed]:
        """Seal every segment that has lost its writer, oldest first; what was sealed."""
        self.problem = ""
        done: list[Sealed] = []
        try:
            self._manifest.settle()
            if not self._looked_back:
                self._note_missing_manifest()
                self._looked_back = True
            if self._unsure and self._manifest.find(self._unsure.segment):
                done.append(self._counted(self._unsure))
            for name, path in self._unsettled():
                sealed = self._try(name, path)
                done += [sealed] if sealed else []
        except LogError as error:  # of the manifest: Rule 2
            self.problem = str(error)
        return done

    def _unsettled(self) -> Iterator[tuple[SegmentName, Path]]:
        """Every file but those that are sealed, listed, and to be kept."""
        for name, path in list_segments(self._directory):
            listed = self._manifest.find(name.segment) if name.state == "sealed" else None
            if listed is None or listed.is_delivered:
                yield name, path

    def _try(self, name: SegmentName, path: Path) -> Sealed | None:
        try:
            with _taken(path) as fd:
                return None if fd is None else self._settle(name, path, fd)
        except OSError as error:
            self.problem = f"{path} cannot be sealed: {why(error)}."
            return None

    def _settle(self, name: SegmentName, path: Path, fd: int) -> Sealed | None:
        """What is to be done with a file that nobody else has."""
        # Why: a power cut may take back the rename of a file whose lines it left.
        if name.state == "new" and os.pread(fd, 1, 0) in {b"", b"\0"}:
            self._clear_abandoned(path, fd)
            return None
        if name.state == "sealed":
            if self._manifest.is_removed(name.segment):  # a crash before it was unlinked
                self._manifest.unlink(name.segment)
                return None
            if self._manifest.find(name.segment) or not is_still_at(fd, path):
                return None
        return self._seal(name, path, fd)

    def _seal(self, name: SegmentName, path: Path, fd: int) -> Sealed | None:
        found = _scan(fd, name.stream)
        self._put_aside(name, fd, found)
        if not found.tally.records:
            path.unlink()
            sync_directory(self._directory)
            self._count(found)
            self.counts.empty_segments += 1
            return None
        os.ftruncate(fd, found.tally.bytes)
        os.fsync(fd)
        if name.state != "sealed":
            self._rename(path, self._directory / name.segment)
        return self._list(name, found)

    def _put_aside(self, name: SegmentName, fd: int, found: _Found) -> None:
        """What stands behind damage, or stood there before a crash of ours."""
        aside = self._directory / f"{name.segment}{DAMAGED}"
        begin, end = found.tally.bytes, found.tally.bytes + found.damaged_bytes
        if begin < end:
            replace_durably(aside, b"".join(pieces(fd, begin, end)))
        elif aside.exists():
            found.damaged_bytes = aside.stat().st_size

    def _rename(self, path: Path, sealed: Path) -> None:
        if sealed.exists():  # never by us: numbers are not used twice
            raise FileExistsError(errno.EEXIST, f"{sealed.name} is there already")
        path.rename(sealed)
        sync_directory(self._directory)

    def _list(self, name: SegmentName, found: _Found) -> Sealed:
        content = found.tally.content()
        entry = self._manifest.sealed(name, content, found.cut_bytes, found.damaged_bytes)
        self._unsure = entry
        self._manifest.append(entry)
        self._count(found)
        return self._counted(entry)

    def _counted(self, entry: Sealed) -> Sealed:
        self._unsure = None
        self.counts.sealed_segments += 1
        self.counts.sealed_records += entry.records
        return entry

    def _clear_abandoned(self, path: Path, fd: int) -> None:
        if self._now() - os.fstat(fd).st_mtime < ABANDONED_S:
            return
        path.unlink()
        sync_directory(self._directory)
        self.counts.abandoned_segments += 1

    def _count(self, found: _Found) -> None:
        self.counts.cut_bytes += found.cut_bytes
        self.counts.damaged_bytes += found.damaged_bytes
        self.counts.damaged_segments += 1 if found.damaged_bytes else 0

    def _note_missing_manifest(self) -> None:
        """A crash leaves one sealed segment outside of the manifest; more is somebody's doing."""
        unknown = [
            name.segment
            for name, _ in self._unsettled()
            if name.state == "sealed" and not self._manifest.is_removed(name.segment)
        ]
        if len(unknown) > 1:
            self._manifest.append(
                self._manifest.broken(
                    f"{len(unknown)} sealed segments were not in the manifest: "
                    f"{unknown[0]} to {unknown[-1]}."
                )
            )


class _Found(Struct):
    """What a scan of a file found."""

    tally: Tally  # of the good lines at its beginning
    cut_bytes: int  # behind them, without a good line in them
    damaged_bytes: int  # or with one


@contextmanager
def _taken(path: Path) -> Iterator[int | None]:
    """The file under its lock; None where it is another's, or not there any more."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        yield None
        return
    try:
        yield fd if try_lock(fd) and is_still_at(fd, path) else None
    finally:
        os.close(fd)


def _scan(fd: int, stream: str) -> _Found:
    tally, size = Tally(stream, is_quick=True), os.fstat(fd).st_size
    wanted, is_good = SCAN_BYTES, True
    while is_good and tally.bytes < size:
        wanted = size_of_lines(fd, tally.bytes, wanted)
        data = os.pread(fd, wanted, tally.bytes)
        end = data.find(b"\0")
        end = end if end >= 0 else len(data)
        whole = data.rfind(b"\n", 0, end) + 1
        # Why: a line may be longer than what was read; the end of the file is an end like zeros.
        is_good = not tally.add(data[:whole]) and end == wanted
        wanted = SCAN_BYTES if whole else 2 * wanted
    leftover, has_lines = _leftover(fd, tally, stream, size)
    return _Found(tally, 0 if has_lines else leftover, leftover if has_lines else 0)


def _leftover(fd: int, tally: Tally, stream: str, size: int) -> tuple[int, bool]:
    """Bytes behind the good lines up to the last that is not NUL; whether good lines are there."""
    begin, end, has_lines, rest = tally.bytes, tally.bytes, False, b""
    for piece in pieces(fd, begin, size):
        used = len(piece.rstrip(b"\0"))
        end = begin + used if used else end
        begin += len(piece)
        if has_lines or not (used or rest):
            continue
        *lines, rest = (rest + piece[:used]).split(b"\n")
        has_lines = any(_is_later(line, stream, tally.last_seq) for line in lines)
    return end - tally.bytes, has_lines


def _is_later(line: bytes, stream: str, seq: int) -> bool:
    try:
        place = place_of(line[max(line.rfind(LINE_START), 0) :])  # Why: garbage before it
    except MalformedLine:
        return False
    return place.stream == stream and place.seq > seq
