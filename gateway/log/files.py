"""The few steps on files that must be durable, or must not be taken by two.

Rule 1: after a file was made, renamed or unlinked, its directory is fsynced; else a power cut may
        take the step back.
Rule 2: nothing is left half done when a step fails: the caller sees OSError and the old state.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from gateway.errors import GatewayError

PRIVATE = 0o600
READ_BYTES = 1 << 20


class LogError(GatewayError):
    """The files of the prediction log cannot be used; the sentence says which and why."""

    reason = "log"


def why(error: OSError) -> str:
    """What the system said, as the end of a sentence."""
    return (error.strerror or str(error)).lower()


def sync_directory(directory: Path) -> None:
    """What was made, renamed or unlinked in the directory survives a power cut."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def write_all(fd: int, content: bytes) -> None:
    """Every byte, though the system may take them in pieces."""
    left = memoryview(content)
    while left:
        left = left[os.write(fd, left) :]


def write_durably(path: Path, content: bytes, flags: int = os.O_CREAT | os.O_TRUNC) -> None:
    """The content is on the disk, at the beginning of the file; its name is not yet."""
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC | flags, PRIVATE)
    try:
        write_all(fd, content)
        os.fsync(fd)
    finally:
        os.close(fd)


def replace_durably(path: Path, content: bytes) -> None:
    """The file has this content or, whatever happens, the one before."""
    fresh = path.with_name(f".{path.name}.new")
    write_durably(fresh, content)
    fresh.rename(path)
    sync_directory(path.parent)


def try_lock(fd: int) -> bool:
    """Whether the file is ours now, until it is closed; nobody is waited for."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def locked(path: Path) -> Iterator[int]:
    """The file, made if it is not there, while no other process has it."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, PRIVATE)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield fd
    finally:
        os.close(fd)


def is_still_at(fd: int, path: Path) -> bool:
    """Whether the path leads to this open file, not to another or nowhere."""
    with suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(fd), path.stat())
    return False


def pieces(fd: int, begin: int, end: int) -> Iterator[bytes]:
    """The bytes between two places, in pieces; fewer where the file ends before."""
    while begin < end:
        piece = os.pread(fd, min(READ_BYTES, end - begin), begin)
        if not piece:
            return
        yield piece
        begin += len(piece)


def forget_pages(path: Path) -> None:
    """Nothing of the file stays in memory that is on the disk, where the system can be told."""
    if not hasattr(os, "posix_fadvise"):
        return
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(fd)
