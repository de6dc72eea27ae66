"""Changing the store: one at a time, in steps that a crash cannot cut in two.

A change writes new volumes beside the old ones, puts them into the catalog in place of
those, and deletes the old files. What the manifest of the log has to be told stands in the
catalog until it was.

Rule 1: everything here is done under the lock.
Rule 2: files that the catalog does not name are deleted when the next change begins.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.log.files import LogError, try_lock, why
from gateway.log.names import SegmentName
from gateway.store.catalog import Catalog, Damaged, Pending
from gateway.store.database import Connection, StoreError, connected, failures
from gateway.store.orders import Orders, read_orders, write_orders
from gateway.store.rows import Rows
from gateway.store.segments import lines_in, segments_in
from gateway.store.volume import (
    ENDINGS,
    Volume,
    leftovers,
    remove_files,
    volume_of,
    write_volume,
)

if TYPE_CHECKING:
    from gateway.log.manifest import Manifest

LOCK_NAME = "store.lock"
LOCK_WAIT_S = 20.0
LOOK_S = 0.02


class Changes:
    """Write access to one store."""

    def __init__(self, directory: Path, log_directory: Path) -> None:
        self.directory, self.log_directory = directory, log_directory
        self.catalog = Catalog(directory)

    @contextmanager
    def begun(self, connection: Connection) -> Iterator[None]:
        """The lock is held, the catalog whole, and what a crash left half done is finished."""
        try:
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(f"cannot make {self.directory}: {why(error)}") from None
        with lock(self.directory / LOCK_NAME):
            self._settle(connection)
            yield

    def manifest(self) -> Manifest:
        """Of the log."""
        from gateway.log.manifest import Manifest  # noqa: PLC0415  slow to import

        return Manifest(self.log_directory)

    def orders(self) -> Orders:
        return read_orders(self.directory)

    def order(self, orders: Orders) -> None:
        write_orders(self.directory, orders)

    def write(
        self,
        connection: Connection,
        day: str,
        tables: Mapping[str, Rows],
        segments: Mapping[str, int],
        *,
        instead_of: Sequence[Volume] = (),
        pending: Sequence[Pending] = (),
    ) -> Volume:
        """A new volume of these rows, in force when this returns."""
        number = self.catalog.next_number()
        volume = write_volume(connection, self.directory, day, number, tables)
        if volume.records + volume.feedback != sum(segments.values()):
            remove_files(self.directory, day, number)
            raise StoreError(f"volume {number} has not the lines that it should have")
        self.catalog.put(volume, segments, instead_of=instead_of, pending=pending)
        self.delete_files(instead_of)
        return volume

    def delete_files(self, volumes: Sequence[Volume]) -> None:
        """Delete what the catalog does not name any more; else the next change does."""
        with suppress(OSError):
            for volume in volumes:
                remove_files(self.directory, volume.day, volume.number)
                self._remove_folder(volume.day)

    def tell_manifest(self, connection: Connection) -> list[str]:
        """Tell the log's manifest of tombstones; what it cannot be told, in sentences."""
        problems: list[str] = []
        for pending in self.catalog.pending():
            try:
                self._tell(connection, pending)
            except (LogError, StoreError) as error:
                problems.append(str(error))
        return problems

    def _tell(self, connection: Connection, pending: Pending) -> None:
        from gateway.log.tally import content_of  # noqa: PLC0415  slow to import

        manifest = self.manifest()
        name, listed = SegmentName.parse(pending.segment), manifest.find(pending.segment)
        if name is not None and listed is not None:
            content = content_of(self._data(connection, pending.segment), name.stream)
            if content.sha256 != listed.sha256:
                manifest.forget(pending.segment, content, pending.records, pending.reason)
        self.catalog.settle(pending.segment)

    def _data(self, connection: Connection, segment: str) -> bytes:
        with suppress(FileNotFoundError):
            return (self.log_directory / segment).read_bytes()
        volume = self.catalog.volume_of(segment)
        lines = lines_in(connection, self.directory, volume, segment) if volume else iter(())
        return b"".join(line + b"\n" for line in lines)

    # what a crash left

    def _settle(self, connection: Connection) -> None:
        try:
            if self.catalog.exists:
                known = {(each.day, each.number) for each in self.catalog.volumes()}
            else:
                known = self._rebuilt(connection)
        except Damaged:
            self.catalog.set_aside(str(time.time_ns()))
            known = self._rebuilt(connection)
        self._sweep(known)

    def _sweep(self, known: set[tuple[str, int]]) -> None:
        with suppress(OSError):
            for path in leftovers(self.directory):
                path.unlink(missing_ok=True)
            for day, number in self._on_disk():
                if (day, number) not in known:
                    remove_files(self.directory, day, number)
                    self._remove_folder(day)

    def _on_disk(self) -> set[tuple[str, int]]:
        paths = (path for ending in ENDINGS for path in self.directory.glob(f"*/*.{ending}"))
        split = ((path.parent.name, path.name.partition(".")[0]) for path in paths)
        return {(day, int(number)) for day, number in split if number.isdigit()}

    def _remove_folder(self, day: str) -> None:
        with suppress(OSError):  # it is not empty
            (self.directory / day).rmdir()

    def _rebuilt(self, connection: Connection) -> set[tuple[str, int]]:
        """A catalog made from the files; of two that hold a segment, the later one counts."""
        try:
            self.catalog.create()
        except OSError as error:
            raise StoreError(f"cannot write to {self.directory}: {why(error)}") from None
        taken: set[str] = set()
        known: set[tuple[str, int]] = set()
        for day, number in sorted(self._on_disk(), key=lambda each: each[1], reverse=True):
            try:
                volume = volume_of(connection, self.directory, day, number)
                segments = segments_in(connection, self.directory, volume)
            except (failures(), OSError):
                known.add((day, number))  # damaged: left where it is, for whoever can repair it
                continue
            if volume.records + volume.feedback == sum(segments.values()) and not (
                taken & segments.keys()
            ):
                self.catalog.put(volume, segments)
                taken |= segments.keys()
                known.add((day, number))
        return known


def repair(directory: Path, log_directory: Path) -> None:
    """Make a damaged catalog anew, and finish what a crash left half done."""
    with connected(threads=1) as connection, Changes(directory, log_directory).begun(connection):
        pass


@contextmanager
def lock(path: Path, *, wait_s: float = LOCK_WAIT_S) -> Iterator[None]:
    """The file is ours alone; StoreError where another process keeps it too long."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StoreError(f"cannot write to {path.parent}: {why(error)}") from None
    try:
        deadline_s = time.monotonic() + wait_s
        while not try_lock(fd):
            if time.monotonic() > deadline_s:
                raise StoreError("another process is changing the store; try again later")
            time.sleep(LOOK_S)
        yield
    finally:
        os.close(fd)
