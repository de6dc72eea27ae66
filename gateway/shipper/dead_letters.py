"""Lines that a destination will never take, kept beside the log for people to look at.

`dead-letters.ndjson`: one object a line with the time, the reason, where the line stood and
the line itself. When the file is full it becomes `dead-letters.old.ndjson`, over the one
before.

Rule 1: no more than twice MOST_BYTES on disk, whatever comes.
Rule 2: a letter is on disk when `put` returns; it may come twice.

Blocking; one writer. Knows nothing of why.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import msgspec
from msgspec import Struct

from gateway.log.files import write_all

FILE = "dead-letters.ndjson"
OLD_FILE = "dead-letters.old.ndjson"
MOST_BYTES = 64 * 2**20
LONGEST_LINE = 8 * 2**20  # of a line that is kept


class Letter(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line, and why it is here."""

    time: str  # when it was put aside
    sink: str
    reason: str
    segment: str
    bytes: int  # of the line
    line: str  # undecodable bytes as U+FFFD
    cut: bool = False  # only the beginning is here


def letter_of(line: bytes, *, time: str, sink: str, reason: str, segment: str) -> Letter:
    return Letter(
        time=time,
        sink=sink,
        reason=reason,
        segment=segment,
        bytes=len(line),
        line=line[:LONGEST_LINE].decode("utf-8", "replace"),
        cut=len(line) > LONGEST_LINE,
    )


class DeadLetters:
    """The file in one directory."""

    def __init__(self, directory: Path, *, most_bytes: int = MOST_BYTES) -> None:
        self._directory = directory
        self._most_bytes = most_bytes

    def put(self, letters: Iterable[Letter]) -> None:
        """Append; OSError where that cannot be."""
        content = b"".join(msgspec.json.encode(letter) + b"\n" for letter in letters)
        path = self._directory / FILE
        if path.exists() and path.stat().st_size + len(content) > self._most_bytes:
            path.replace(self._directory / OLD_FILE)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            size = os.fstat(descriptor).st_size
            try:
                write_all(descriptor, content)
            except OSError:
                os.ftruncate(descriptor, size)  # Why: half a line would spoil the next one
                raise
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
