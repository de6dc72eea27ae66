"""What was sealed, forgotten and removed, in order: `manifest.ndjson`, a chain of hashes.

Entries are appended by whoever seals or removes a segment (the shipper; a worker's
allocator where the shipper is gone; `gateway log forget`), and read by everyone.

Rule 1: an entry `removed` is written before its file is unlinked, so that a file that is missing
        without one is a finding; a file that is there in spite of one is a crash, and goes.
Rule 2: kinds this program does not know stay in the chain and are passed over.

Cost: the index holds one entry a segment that still exists, here or in the store, and the
name of every other; about 100 bytes each.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from msgspec import Struct

from gateway.log.chain import MANIFEST_NAME, Chain, encoded
from gateway.log.content import Content
from gateway.log.files import LogError, pieces, sync_directory, why
from gateway.log.names import SegmentName
from gateway.log.spares import retire

# Why a file went: every sink has it, the store among them; or it is nowhere here any more, as
# every sink has it and there is no store, as it was too old, or as room was needed.
DELIVERED, SHIPPED, RETENTION, DROPPED = "delivered", "shipped", "retention", "dropped"


class Entry(Struct, frozen=True, kw_only=True, tag_field="kind"):
    """One step in the life of the log."""

    at: str  # when: RFC 3339, UTC, milliseconds


class Sealed(Entry, frozen=True, kw_only=True, tag="sealed"):
    """A segment has got its last line."""

    segment: str
    stream: str
    number: int
    bytes: int
    records: int  # lines, feedback among them
    first_seq: int
    last_seq: int
    first_time: str
    last_time: str
    sha256: str
    check: str  # finds the line that was altered; see `tally`
    cut_bytes: int = 0  # of an unfinished or damaged end
    damaged_bytes: int = 0  # put aside in `<segment>.damaged`, behind damage in its midst


class Forgotten(Entry, frozen=True, kw_only=True, tag="forgotten"):
    """Lines of a segment were replaced by tombstones."""

    segment: str
    sha256: str  # from now on
    was: str
    bytes: int
    check: str
    records: int  # how many were replaced
    reason: str = ""


class Removed(Entry, frozen=True, kw_only=True, tag="removed"):
    """A segment's file is deleted."""

    segment: str
    records: int
    reason: str  # delivered: it is in the store; shipped, retention, dropped: not here


class Broken(Entry, frozen=True, kw_only=True, tag="broken"):
    """Something was found that no crash leaves behind."""

    sentence: str


AnyEntry = Sealed | Forgotten | Removed | Broken

_entries = msgspec.json.Decoder(AnyEntry)


class Listed(Struct, frozen=True):
    """A segment as the manifest knows it now."""

    sealed: Sealed
    sha256: str
    bytes: int
    check: str
    is_delivered: bool = False  # only in the store


class Manifest:
    """The manifest of one directory, for reading and appending; for one thread at a time."""

    def __init__(self, directory: Path, *, now: Callable[[], float] = time.time) -> None:
        self._directory = directory
        self._now = now
        self._path = directory / MANIFEST_NAME
        self._chain = Chain(directory, lambda sentence: encoded(self.broken(sentence)))
        self._inode = self._offset = 0
        self._live: dict[str, Listed] = {}
        self._gone: set[str] = set()

    # appending

    def settle(self) -> None:
        """Make the files if they are not there; bring what a crash left up to date."""
        self._chain.settle()

    def append(self, entry: AnyEntry) -> None:
        """Add an entry durably; LogError, and nothing is added, where that cannot be done."""
        self._chain.append(encoded(entry))

    def sealed(self, name: SegmentName, content: Content, cut: int, damaged: int) -> Sealed:
        """The entry of a segment with this content."""
        return Sealed(
            at=self.at(),
            segment=name.segment,
            stream=name.stream,
            number=name.number,
            cut_bytes=cut,
            damaged_bytes=damaged,
            **msgspec.structs.asdict(content),
        )

    def broken(self, sentence: str) -> Broken:
        return Broken(at=self.at(), sentence=sentence)

    def forget(self, segment: str, content: Content, records: int, reason: str = "") -> None:
        """Write down that so many lines of a segment became tombstones, and its content now.

        The lines themselves are replaced after this, in the file or the store. After a crash in
        between, `verify` says so, and forgetting again, which appends nothing, completes it.
        """
        listed = self.find(segment)
        if listed is None:
            raise LogError(f"The manifest does not know the segment {segment}.")
        if listed.sha256 == content.sha256:
            return
        entry = Forgotten(
            at=self.at(),
            segment=segment,
            sha256=content.sha256,
            was=listed.sha256,
            bytes=content.bytes,
            check=content.check,
            records=records,
            reason=reason,
        )
        self.append(entry)

    def remove(self, segment: str, records: int, reason: str) -> Removed:
        """Delete a segment's file, and write that down first; delivered ones may be spares."""
        entry = Removed(at=self.at(), segment=segment, records=records, reason=reason)
        self.append(entry)
        self.unlink(segment, keeps_spare=reason == DELIVERED)
        return entry

    def unlink(self, segment: str, *, keeps_spare: bool = False) -> None:
        """Delete a segment's file; the manifest must know."""
        path = self._directory / segment
        try:
            with suppress(FileNotFoundError):
                retire(path) if keeps_spare else path.unlink()
            sync_directory(self._directory)
        except OSError as error:
            raise LogError(f"{path} cannot be deleted: {why(error)}") from None

    def at(self) -> str:
        moment = datetime.fromtimestamp(self._now(), UTC)
        return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")

    # reading

    def entries(self) -> Iterator[AnyEntry]:
        """Every entry that can be read, from the first on."""
        for line in _lines_from(self._path, 0):
            entry = entry_of(line)
            if entry is not None:
                yield entry

    def find(self, segment: str) -> Listed | None:
        """The segment as it is now, in the log or in the store; None where it is in neither."""
        self.refresh()
        return self._live.get(segment)

    def live(self) -> dict[str, Listed]:
        """Every segment that is in the log or in the store, in the order of sealing."""
        self.refresh()
        return dict(self._live)

    def is_removed(self, segment: str) -> bool:
        """Whether the segment's file was deleted, or was about to be."""
        self.refresh()
        listed = self._live.get(segment)
        return listed.is_delivered if listed else segment in self._gone

    def refresh(self) -> None:
        """Read what was appended since."""
        try:
            status = self._path.stat()
        except FileNotFoundError:
            self._clear()
            return
        if status.st_ino != self._inode or status.st_size < self._offset:
            self._clear()
            self._inode = status.st_ino
        if status.st_size == self._offset:
            return
        for line in _lines_from(self._path, self._offset):
            self._offset += len(line) + 1
            entry = entry_of(line)
            if entry is not None:
                self._note(entry)

    def _clear(self) -> None:
        self._inode = self._offset = 0
        self._live.clear()
        self._gone.clear()

    def _note(self, entry: AnyEntry) -> None:
        if isinstance(entry, Broken):
            return
        listed = self._live.get(entry.segment)
        if isinstance(entry, Sealed):
            self._live[entry.segment] = Listed(entry, entry.sha256, entry.bytes, entry.check)
        elif isinstance(entry, Forgotten) and listed:
            self._live[entry.segment] = msgspec.structs.replace(
                listed, sha256=entry.sha256, bytes=entry.bytes, check=entry.check
            )
        elif isinstance(entry, Removed) and listed and entry.reason == DELIVERED:
            self._live[entry.segment] = msgspec.structs.replace(listed, is_delivered=True)
        elif isinstance(entry, Removed):
            self._live.pop(entry.segment, None)
            self._gone.add(entry.segment)


def entry_of(line: bytes) -> AnyEntry | None:
    """The entry of a line; None where it is damaged or of an unknown kind."""
    try:
        entry: AnyEntry = _entries.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return entry


def _lines_from(path: Path, offset: int) -> Iterator[bytes]:
    """Whole lines without their newlines."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        rest = b""
        for piece in pieces(fd, offset, os.fstat(fd).st_size):
            *lines, rest = (rest + piece).split(b"\n")
            yield from lines
    finally:
        os.close(fd)
