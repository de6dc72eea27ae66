"""How far one sink is in one stream, on disk: a small file for each, `<sink>/<stream>`.

One line: the CRC-32 of the rest in hexadecimal, a space, JSON. It is written beside, synced
and renamed, after the sink acknowledged. Where that fails for want of space, the file is
overwritten in place, which needs none.

Rule 1: before + shipped + dropped == seq: what was settled is accounted for.
Rule 2: a file that is missing, torn or from elsewhere is no checkpoint: the sink gets the
        stream from its oldest segment on, again. Duplicates, never a loss.
Rule 3: streams that have ended are added up in one file, `ended`, which names what it added
        last, so that a crash between the two writes counts nothing twice.

Knows nothing of segments and of who delivers.
"""

from __future__ import annotations

import binascii
import errno
import logging
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TypeVar

import msgspec
from msgspec import Struct

from gateway.errors import GatewayError
from gateway.log.files import sync_directory, write_durably

ENDED = "ended"
NO_SPACE = {errno.ENOSPC, errno.EDQUOT}

log = logging.getLogger(__name__)


class CheckpointError(GatewayError):
    """Checkpoints cannot be kept."""

    reason = "checkpoint"


class Checkpoint(Struct, frozen=True, kw_only=True):
    """Everything up to `seq` is settled; the next line is at `offset` of segment `number`."""

    stream: str
    number: int = 0  # of the segment; 0 before the first
    offset: int = 0  # bytes
    inode: int = 0  # of the segment's file: an offset into another one means nothing
    seq: int = 0
    shipped: int = 0  # lines, each counted once however often it was sent
    dropped: int = 0  # lines that were gone before this sink had them
    before: int = 0  # lines of a time when this sink, or its checkpoint, was not there


class Ended(Struct, frozen=True, kw_only=True):
    """Streams that nobody writes any more, added up."""

    shipped: int = 0
    dropped: int = 0
    before: int = 0
    latest: tuple[str, ...] = ()  # added by the last write; their files may still be there

    def plus(self, checkpoints: Iterable[Checkpoint]) -> Ended:
        added = list(checkpoints)
        return Ended(
            shipped=self.shipped + sum(each.shipped for each in added),
            dropped=self.dropped + sum(each.dropped for each in added),
            before=self.before + sum(each.before for each in added),
            latest=tuple(each.stream for each in added),
        )


T = TypeVar("T", Checkpoint, Ended)


class Checkpoints:
    """Of one sink. Blocking; used from threads, one call at a time."""

    def __init__(self, directory: Path, sink: str) -> None:
        self._directory = directory / sink
        try:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            sentence = f"cannot write to {self._directory}: {error.strerror}"
            raise CheckpointError(sentence) from None

    def load(self) -> tuple[dict[str, Checkpoint], Ended]:
        """What is there and whole, by stream."""
        ended = self._read(ENDED, Ended) or Ended()
        found: dict[str, Checkpoint] = {}
        for path in sorted(self._directory.iterdir()):
            if path.name == ENDED or path.name.startswith("."):
                continue
            if path.name in ended.latest:
                path.unlink(missing_ok=True)
                continue
            checkpoint = self._read(path.name, Checkpoint)
            if checkpoint is not None and checkpoint.stream == path.name:
                found[path.name] = checkpoint
        return found, ended

    def save(self, checkpoints: Iterable[Checkpoint]) -> None:
        """Durable when it returns; CheckpointError where that cannot be."""
        self._write({each.stream: each for each in checkpoints})

    def end(self, ended: Ended) -> None:
        """Keep the sums, then remove the checkpoints that they hold."""
        self._write({ENDED: ended})
        for stream in ended.latest:
            (self._directory / stream).unlink(missing_ok=True)

    def _read(self, name: str, kind: type[T]) -> T | None:
        path = self._directory / name
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            log.error("cannot read the checkpoint %s: %s", path, error.strerror)
            return None
        crc, _, body = content.rstrip(b" ").partition(b" ")
        try:
            if crc == b"%08x" % binascii.crc32(body):
                return msgspec.json.decode(body, type=kind)
        except msgspec.DecodeError:
            pass
        log.error("the checkpoint %s is damaged; its stream is sent again", path)
        return None

    def _write(self, files: Mapping[str, Checkpoint | Ended]) -> None:
        try:
            for name, value in files.items():
                body = msgspec.json.encode(value) + b"\n"
                self._replace(name, b"%08x %b" % (binascii.crc32(body), body))
            sync_directory(self._directory)
        except OSError as error:
            sentence = f"cannot write checkpoints to {self._directory}: {error.strerror}"
            raise CheckpointError(sentence) from None

    def _replace(self, name: str, content: bytes) -> None:
        path, fresh = self._directory / name, self._directory / f".{name}.new"
        try:
            write_durably(fresh, content)
            fresh.replace(path)
        except OSError as error:
            fresh.unlink(missing_ok=True)
            if error.errno not in NO_SPACE or not path.exists():
                raise
            # Why padded: the length stays, so that nothing has to be allocated; a crash half
            # way leaves a damaged checkpoint, which costs duplicates.
            write_durably(path, content.ljust(path.stat().st_size), flags=0)
